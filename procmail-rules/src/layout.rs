//! An rcfile laid out anew, with the same meaning.

use crate::ast::{Action, Assignment, Condition, Lock, Recipe, Script, Span, Statement};
use crate::diagnostic::{Diagnostic, Kind, Severity};

const INDENT: &[u8] = b"  ";

impl Script {
    /// The text laid out anew: a statement a line, blocks indented, `:0` in front of every
    /// recipe and a star in front of every condition. Values, folders, programs and expressions
    /// stay as they are, and so do comments.
    ///
    /// # Errors
    ///
    /// What is not understood, or means something only for some values of variables, cannot be
    /// laid out; this is what.
    pub fn format(&self) -> Result<Vec<u8>, Vec<Diagnostic>> {
        let stops: Vec<Diagnostic> = self
            .faults
            .iter()
            .filter(|fault| {
                fault.kind.severity() == Severity::Error && fault.kind != Kind::TextAfterSize
                    || fault.kind == Kind::DependsOnValues
                    || fault.kind == Kind::QuoteInBackquotes
            })
            .cloned()
            .collect();
        if !stops.is_empty() {
            return Err(stops);
        }
        let mut layout = Layout {
            script: self,
            out: Vec::with_capacity(self.text.len() + self.text.len() / 8),
            comments: self.comments.as_slice(),
        };
        layout.statements(&self.statements, 0, 0, self.text.len());
        // Behind a backslash or a brace that ends the file a newline would mean something.
        if !self.text.ends_with(b"\n")
            && layout.out.ends_with(b"\n")
            && Self::parse(&layout.out).format().as_ref() != Ok(&layout.out)
        {
            layout.out.pop();
        }
        Ok(layout.out)
    }
}

struct Layout<'a> {
    script: &'a Script,
    out: Vec<u8>,
    /// Comments that are no statements, and not written yet.
    comments: &'a [Span],
}

impl Layout<'_> {
    fn indent(&mut self, depth: usize) {
        for _ in 0..depth {
            self.out.extend_from_slice(INDENT);
        }
    }

    fn line(&mut self, depth: usize, text: &[u8]) {
        self.indent(depth);
        self.out.extend_from_slice(text);
        self.out.push(b'\n');
    }

    fn breaks(&self, from: usize, to: usize) -> usize {
        let between = self.script.slice(&(from..to));
        memchr::memchr_iter(b'\n', between).count()
    }

    /// Writes the comments up to an octet: those on a line of their own, or the one behind what
    /// has just been written.
    fn comments_until(&mut self, from: usize, to: usize, depth: usize) {
        while let Some((comment, rest)) = self.comments.split_first() {
            if comment.start >= to {
                break;
            }
            self.comments = rest;
            if comment.start < from {
                continue;
            }
            let text = self.script.slice(comment);
            if self.breaks(from, comment.start) == 0 && self.out.last() == Some(&b'\n') {
                self.append_to_line(text, comment.start == from);
            } else {
                self.line(depth, text);
            }
        }
    }

    /// A blank in front of a comment may be one that means something, and so may its lack.
    fn append_to_line(&mut self, comment: &[u8], glued: bool) {
        self.out.pop();
        if !glued {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(comment);
        self.out.push(b'\n');
    }

    fn statements(&mut self, statements: &[Statement], depth: usize, start: usize, end: usize) {
        let mut last = start;
        for (index, statement) in statements.iter().enumerate() {
            let span = statement.span();
            let first = index == 0;
            let breaks = self.breaks(last, span.start);
            if !first && breaks > 1 {
                self.out.push(b'\n');
            }
            match statement {
                Statement::Comment(comment) => {
                    let text = self.script.slice(comment);
                    if breaks == 0 && !first && self.out.last() == Some(&b'\n') {
                        self.append_to_line(text, false);
                    } else {
                        self.line(depth, text);
                    }
                }
                Statement::Assignment(assignment) => self.assignment(assignment, depth),
                Statement::Recipe(recipe) => self.recipe(recipe, depth),
                // There are none without a fault that stops it all.
                Statement::StrayBrace(_) | Statement::Skipped(_) => {}
            }
            last = span.end;
            let next = statements
                .get(index + 1)
                .map_or(end, |next| next.span().start);
            self.comments_until(last, next, depth);
        }
    }

    fn assignment(&mut self, assignment: &Assignment, depth: usize) {
        let text = match &assignment.value {
            None => assignment.name.clone(),
            Some(value) => {
                let value = self.script.slice(&value.span);
                [&assignment.name, b"=".as_slice(), value].concat()
            }
        };
        self.line(depth, &text);
    }

    fn recipe(&mut self, recipe: &Recipe, depth: usize) {
        let line = self.recipe_line(recipe);
        self.line(depth, &line);
        let mut last = recipe.line.end;
        for condition in &recipe.conditions {
            self.comments_until(last, condition.span.start, depth);
            let text = self.condition(condition);
            self.line(depth, &text);
            last = condition.span.end;
        }
        self.comments_until(last, recipe.action_span.start, depth);
        match &recipe.action {
            Action::Block(block) if block.statements.is_empty() => self.line(depth, b"{ }"),
            Action::Block(block) => {
                self.line(depth, b"{");
                let end = block.close.unwrap_or(recipe.action_span.end);
                self.statements(
                    &block.statements,
                    depth + 1,
                    recipe.action_span.start + 1,
                    end,
                );
                self.line(depth, b"}");
            }
            Action::Folders(words) if words.is_empty() => self.line(depth, b"\"\""),
            Action::Folders(words) if words.len() == 1 => {
                let mut text = self.script.slice(&recipe.action_span).to_vec();
                if self.blank_means_something(&text, recipe.action_span.end) {
                    text.push(b' ');
                }
                self.line(depth, &text);
            }
            _ => {
                let text = self.script.slice(&recipe.action_span);
                self.line(depth, text);
            }
        }
    }

    /// A blank behind a folder line that is a name begins one more word, though it is empty. In
    /// front of a comment there is one anyway.
    fn blank_means_something(&self, folder: &[u8], end: usize) -> bool {
        let name = folder.strip_suffix(b"=").unwrap_or(folder);
        let behind = self.script.slice(&(end..self.script.text.len()));
        let blanks = behind
            .iter()
            .take_while(|byte| crate::eval::is_blank(**byte))
            .count();
        name.iter().all(|byte| crate::eval::is_name(*byte))
            && blanks > 0
            && behind.get(blanks) != Some(&b'#')
    }

    fn recipe_line(&self, recipe: &Recipe) -> Vec<u8> {
        let raw = self.script.slice(&recipe.line);
        let quoted = |text: &[u8]| text.iter().any(|byte| b"\"'\\`$\n".contains(byte));
        let (flags, lock) = match &recipe.lock {
            Lock::None => (raw, None),
            Lock::Implicit(colon) => (
                self.script.slice(&(recipe.line.start..colon.start)),
                Some(b"".as_slice()),
            ),
            Lock::Named(name) => (
                self.script.slice(&(recipe.line.start..name.span.start)),
                Some(self.script.slice(&name.span)),
            ),
        };
        if quoted(flags) || !recipe.rest.is_empty() {
            return raw.to_vec();
        }
        let mut letters: Vec<u8> = Vec::new();
        for letter in flags.iter().filter(|byte| byte.is_ascii_alphabetic()) {
            if !letters.contains(letter) {
                letters.push(*letter);
            }
        }
        let mut line = b":0".to_vec();
        if !letters.is_empty() {
            line.push(b' ');
            line.extend_from_slice(&letters);
        }
        if let Some(lock) = lock {
            line.push(b':');
            if !lock.is_empty() {
                line.push(b' ');
                line.extend_from_slice(lock);
            }
        }
        line
    }

    fn condition(&self, condition: &Condition) -> Vec<u8> {
        let star = condition.span.start + usize::from(condition.starred);
        let raw = self.script.slice(&(star..condition.span.end));
        // A line of nothing but a backslash is not what it is with a blank in front of it.
        if raw.starts_with(b"\\\n") {
            return [b"*".as_slice(), raw].concat();
        }
        let raw = self.script.slice(&(condition.start..condition.span.end));
        let raw = crate::eval::trim(raw);
        if raw.is_empty() {
            return b"*".to_vec();
        }
        [b"* ".as_slice(), raw].concat()
    }
}
