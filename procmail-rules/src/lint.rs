//! The traps that rcfiles fall into.

use crate::ast::{
    Action, Assignment, Condition, Lock, Piece, Recipe, Script, Span, Statement, Test, Word,
};
use crate::diagnostic::{Diagnostic, Kind};
use crate::eval::folder_kind;
use crate::regex;

impl Script {
    /// What is wrong with the rcfile or looks as if something else had been meant, by place.
    #[must_use]
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut lint = Lint {
            script: self,
            found: self.faults.clone(),
        };
        lint.carriage_returns();
        lint.statements(&self.statements);
        let mut found = lint.found;
        // Lines that end in CR are skipped for that reason alone.
        if found.iter().any(|fault| fault.kind == Kind::CarriageReturn) {
            found.retain(|fault| fault.kind == Kind::CarriageReturn);
        }
        found.sort_by_key(|fault| (fault.span.start, fault.span.end, fault.kind));
        found.dedup_by(|later, earlier| later.kind == earlier.kind && later.span == earlier.span);
        found
    }
}

struct Lint<'a> {
    script: &'a Script,
    found: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn warn(&mut self, kind: Kind, span: Span) {
        self.found.push(Diagnostic::new(kind, span));
    }

    fn mend(&mut self, kind: Kind, span: Span, replaced: Span, text: impl Into<Vec<u8>>) {
        self.found
            .push(Diagnostic::new(kind, span).with_fix(replaced, text));
    }

    fn carriage_returns(&mut self) {
        let text = self.script.text();
        let found: Vec<usize> = memchr::memmem::find_iter(text, b"\r\n").collect();
        for at in found {
            self.mend(Kind::CarriageReturn, at..at + 1, at..at + 1, b"".as_slice());
        }
    }

    fn statements(&mut self, statements: &[Statement]) {
        let mut assigned: Option<&Assignment> = None;
        let mut delivered = false;
        for statement in statements {
            let after_failure = matches!(statement, Statement::Comment(_))
                || matches!(statement,
                Statement::Recipe(recipe) if recipe.flags.on_error);
            if delivered && !after_failure {
                self.warn(Kind::NeverReached, statement.span());
                delivered = false;
            }
            let before = assigned.take();
            match statement {
                Statement::Comment(span) => self.comment(span),
                Statement::Assignment(assignment) => {
                    self.assignment(assignment, before);
                    assigned = Some(assignment);
                }
                Statement::Recipe(recipe) => {
                    self.recipe(recipe);
                    delivered = always_delivers(recipe) && !may_fail(recipe);
                }
                _ => {}
            }
        }
    }

    fn comment(&mut self, span: &Span) {
        if self.script.slice(span).ends_with(b"\\") {
            let backslash = span.end - 1..span.end;
            self.mend(
                Kind::ContinuedComment,
                backslash.clone(),
                backslash,
                b"".as_slice(),
            );
        }
    }

    fn assignment(&mut self, assignment: &Assignment, before: Option<&Assignment>) {
        let Some(value) = &assignment.value else {
            if let Some(before) = before
                && before.value.is_some()
                && self.same_line(before.span.end, assignment.span.start)
            {
                self.junk(before, assignment);
            }
            return;
        };
        let text = value.constant();
        let raw = self.script.slice(&value.span);
        match (assignment.name.as_slice(), text.as_deref()) {
            (b"LOCKEXT", Some(b"")) => self.warn(Kind::EmptyLockExtension, assignment.span.clone()),
            (b"UMASK", Some(b"")) => self.mend(
                Kind::EmptyUmask,
                assignment.span.clone(),
                assignment.span.clone(),
                b"UMASK=077".as_slice(),
            ),
            (b"HOST", _) => self.warn(Kind::HostCheck, assignment.span.clone()),
            (b"SWITCHRC", _) if raw == b"$_" => {
                self.warn(Kind::EndlessSwitch, assignment.span.clone());
            }
            _ => {}
        }
        if raw == b"}" {
            self.mend(
                Kind::BraceAsValue,
                value.span.clone(),
                value.span.clone(),
                b"\"\" }".as_slice(),
            );
        }
        self.tilde(value);
    }

    fn junk(&mut self, value: &Assignment, junk: &Assignment) {
        let Some(word) = &value.value else { return };
        let raw = self.script.slice(&(word.span.start..junk.span.end));
        if raw.iter().any(|byte| b"\"'`\\".contains(byte)) || word.pieces.is_empty() {
            self.warn(Kind::JunkAfterValue, junk.span.clone());
            return;
        }
        let quoted = [b"\"", raw, b"\""].concat();
        self.mend(
            Kind::JunkAfterValue,
            junk.span.clone(),
            word.span.start..junk.span.end,
            quoted,
        );
    }

    fn same_line(&self, from: usize, to: usize) -> bool {
        !self.script.slice(&(from..to)).contains(&b'\n')
    }

    fn tilde(&mut self, word: &Word) {
        if let Some(Piece::Text {
            text,
            quoted: false,
        }) = word.pieces.first()
            && text.starts_with(b"~/")
        {
            let tilde = word.span.start..word.span.start + 1;
            self.mend(Kind::Tilde, tilde.clone(), tilde, b"$HOME".as_slice());
        }
    }

    fn recipe(&mut self, recipe: &Recipe) {
        self.number(recipe);
        let flags = recipe.flags;
        if flags.on_error && (flags.otherwise || flags.also_succeeded) {
            self.warn(Kind::ConflictingFlags, recipe.line.clone());
        }
        if let Lock::Named(name) = &recipe.lock
            && let Some(text) = name.constant()
            && text.len() <= 3
            && text
                .iter()
                .all(|byte| crate::ast::Flags::default().take(*byte))
        {
            self.flags_as_lock(recipe, &text, name);
        }
        for condition in &recipe.conditions {
            self.condition(condition);
        }
        self.action(recipe);
    }

    fn number(&mut self, recipe: &Recipe) {
        let counted = match recipe.number {
            None if recipe.flags.is_chained() => return,
            None => 1,
            Some(0) => return,
            Some(number) => number,
        };
        let kind = if recipe.number.is_none() {
            Kind::NoNumber
        } else {
            Kind::CountedConditions
        };
        let starred = recipe
            .conditions
            .iter()
            .take(counted)
            .all(|condition| condition.starred);
        if !starred {
            // Stars have to be added as well: that is more than one change.
            return self.warn(kind, recipe.line.clone());
        }
        let raw = self.script.slice(&recipe.line);
        let digits = raw
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = recipe.line.start + 1..recipe.line.start + 1 + digits;
        self.mend(kind, recipe.line.clone(), number, b"0".as_slice());
    }

    fn flags_as_lock(&mut self, recipe: &Recipe, flags: &[u8], name: &Word) {
        let raw = self.script.slice(&recipe.line);
        let colon = raw.iter().rposition(|byte| *byte == b':');
        let Some(colon) = colon.filter(|at| *at > 0) else {
            return;
        };
        let colon = recipe.line.start + colon;
        let text = [flags, b":"].concat();
        self.mend(
            Kind::FlagsAsLock,
            name.span.clone(),
            colon..name.span.end,
            text,
        );
    }

    fn condition(&mut self, condition: &Condition) {
        let raw = self.script.slice(&condition.span).to_vec();
        let base = condition.span.start;
        for (at, _) in raw.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            let rest = raw.get(at + 1..).unwrap_or(&[]);
            let blanks = rest
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t'))
                .count();
            let star = base + at + 1 + blanks;
            if rest.get(blanks) == Some(&b'*') && raw.get(at.wrapping_sub(1)) == Some(&b'\\') {
                let backslash = base + at - 1..base + at;
                self.mend(
                    Kind::StarOnContinuation,
                    star..star + 1,
                    backslash,
                    b"".as_slice(),
                );
            }
        }
        match &condition.test {
            Test::Regex(text) => self.expression(condition, text),
            Test::Size { limit, .. } => self.size(condition, limit),
            Test::Substituted(word) => {
                let rest = condition.text.get(condition.prefixes.length + 1..);
                let first = rest.and_then(<[u8]>::first);
                if first.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'{')
                    && word
                        .pieces
                        .iter()
                        .all(|piece| matches!(piece, Piece::Text { .. }))
                {
                    let at = condition.start + condition.prefixes.length;
                    self.mend(
                        Kind::DollarCondition,
                        at..condition.span.end,
                        at..at,
                        b"$ ".as_slice(),
                    );
                }
            }
            Test::Program(_) => {}
        }
    }

    fn size(&mut self, condition: &Condition, limit: &Word) {
        let Some(text) = limit.constant() else { return };
        let (_, used) = crate::number::integer(&text, 10);
        let rest = text.get(used..).unwrap_or(&[]);
        if rest.iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
            self.warn(Kind::TextAfterSize, condition.span.clone());
        }
    }

    fn expression(&mut self, condition: &Condition, text: &[u8]) {
        if regex::is_unbalanced(text) {
            self.warn(Kind::UnbalancedRegex, condition.span.clone());
        }
        let start = condition.start + condition.prefixes.length;
        let raw = condition
            .text
            .get(condition.prefixes.length..)
            .unwrap_or(&[])
            .to_vec();
        if raw.starts_with(b"\\/") || raw.starts_with(b"\\<") || raw.starts_with(b"\\>") {
            let kind = Kind::LostBackslash;
            self.mend(kind, start..start + 2, start..start, b"()".as_slice());
        }
        let mut at = 0;
        while let Some(byte) = raw.get(at) {
            let rest = raw.get(at..).unwrap_or(&[]);
            let place = start + at;
            match byte {
                b'\\' => {
                    self.escaped(rest, place);
                    at += 2;
                    continue;
                }
                b'[' => {
                    at += self.class(rest, place);
                    continue;
                }
                b'.' => self.dot(raw.get(..at).unwrap_or(&[]), rest, place),
                b'#' if at > 0 && raw.get(at - 1) == Some(&b' ') => {
                    let blanks = raw
                        .get(..at)
                        .unwrap_or(&[])
                        .iter()
                        .rev()
                        .take_while(|byte| matches!(byte, b' ' | b'\t'))
                        .count();
                    let end = condition.span.end;
                    let span = place - blanks..end;
                    self.mend(Kind::HashInCondition, place..end, span, b"".as_slice());
                    return;
                }
                b'^' if is_eaten_to(rest) => {
                    let after = place + 1..place + 1;
                    self.mend(Kind::ToMacro, place..place + 3, after, b"()".as_slice());
                }
                b'{' if is_repeat(rest) => self.warn(Kind::BraceRepeat, place..place + 1),
                _ => {}
            }
            at += 1;
        }
    }

    fn escaped(&mut self, rest: &[u8], place: usize) {
        let mut behind = rest.iter().skip(2).skip_while(|byte| **byte == b')');
        if rest.get(1) == Some(&b'/') && behind.next() == Some(&b'|') {
            let after = place + 2..place + 2;
            return self.mend(
                Kind::MarkAtTheEnd,
                place..place + 2,
                after,
                b"()".as_slice(),
            );
        }
        let replacement: &[u8] = match rest.get(1) {
            Some(b'd') => b"[0-9]",
            Some(b'w') => b"[a-zA-Z0-9_]",
            Some(b's') => b"[ \t]",
            Some(b'n') => b"$",
            Some(b'b') => b"\\<",
            Some(b't') => b"\t",
            _ => return,
        };
        self.mend(
            Kind::LetterEscape,
            place..place + 2,
            place..place + 2,
            replacement,
        );
    }

    /// Returns the octets of the class.
    fn class(&mut self, rest: &[u8], place: usize) -> usize {
        let mut at = 1 + usize::from(rest.get(1) == Some(&b'^'));
        let first = at;
        while let Some(byte) = rest.get(at) {
            if *byte == b']' && at > first {
                break;
            }
            if *byte == b'[' && rest.get(at + 1) == Some(&b':') {
                let end = memchr::memmem::find(rest.get(at..).unwrap_or(&[]), b":]");
                if let Some(end) = end {
                    let span = place + at..place + at + end + 2;
                    let name = rest.get(at + 2..at + end).unwrap_or(&[]);
                    match named_class(name) {
                        Some(text) => self.mend(Kind::NamedClass, span.clone(), span, text),
                        None => self.warn(Kind::NamedClass, span),
                    }
                    at += end + 1;
                }
            } else if *byte == b'\\'
                && rest
                    .get(at + 1)
                    .is_some_and(|next| next.is_ascii_punctuation() && *next != b'\\')
            {
                let span = place + at..place + at + 1;
                self.mend(Kind::BackslashInClass, span.clone(), span, b"".as_slice());
            }
            at += 1;
        }
        at + 1
    }

    /// A dot between two names, as in a domain, that is neither escaped nor repeated.
    fn dot(&mut self, before: &[u8], rest: &[u8], place: usize) {
        let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let label = before
            .iter()
            .rev()
            .take_while(|byte| is_label(byte))
            .count();
        let after: Vec<u8> = rest
            .iter()
            .skip(1)
            .take_while(|byte| is_label(byte))
            .copied()
            .collect();
        let repeated = matches!(rest.get(1 + after.len()), Some(b'*' | b'+' | b'?'));
        if label >= 2 && after.len() >= 2 && !(repeated && after.len() < 3) {
            self.mend(
                Kind::UnescapedDot,
                place..place + 1,
                place..place,
                b"\\".as_slice(),
            );
        }
    }

    fn action(&mut self, recipe: &Recipe) {
        match &recipe.action {
            Action::Folders(words) => self.folders(recipe, words),
            Action::Pipe(text) => self.pipe(recipe, text),
            Action::Forward(_) if recipe.flags.filter => {
                self.filter(recipe);
            }
            Action::Capture { .. } if recipe.flags.filter || recipe.flags.copy => {
                self.warn(Kind::ExtraneousFlags, recipe.line.clone());
            }
            Action::Block(block) => {
                let flags = recipe.flags;
                if flags.filter || flags.header || flags.body || flags.ignore_errors || flags.raw {
                    self.warn(Kind::ExtraneousFlags, recipe.line.clone());
                }
                if !flags.copy && recipe.lock != Lock::None {
                    self.useless_lock(recipe);
                }
                if flags.copy && !delivers(&block.statements) {
                    self.warn(Kind::CloneFallsOut, recipe.line.clone());
                }
                self.statements(&block.statements);
            }
            _ => {}
        }
    }

    fn filter(&mut self, recipe: &Recipe) {
        let flags = recipe.flags;
        if flags.copy {
            self.warn(Kind::ExtraneousFlags, recipe.line.clone());
        }
        if !flags.wait && !flags.wait_quietly && recipe.lock == Lock::None {
            self.add_to_flags(Kind::FilterWithoutWait, recipe, b"w");
        }
    }

    /// Puts something behind the flags, in front of a comment.
    fn add_to_flags(&mut self, kind: Kind, recipe: &Recipe, text: &[u8]) {
        let end = recipe.line.end;
        self.mend(kind, recipe.line.clone(), end..end, text);
    }

    fn useless_lock(&mut self, recipe: &Recipe) {
        match &recipe.lock {
            Lock::Implicit(colon) if colon.start > recipe.line.start => {
                let colon = colon.clone();
                self.mend(
                    Kind::UselessLock,
                    recipe.line.clone(),
                    colon,
                    b"".as_slice(),
                );
            }
            _ => self.warn(Kind::UselessLock, recipe.line.clone()),
        }
    }

    fn pipe(&mut self, recipe: &Recipe, text: &[u8]) {
        if recipe.flags.filter {
            return self.filter(recipe);
        }
        if recipe.lock == Lock::None && memchr::memmem::find(text, b">>").is_some() {
            self.add_to_flags(Kind::MissingLock, recipe, b":");
        }
    }

    fn folders(&mut self, recipe: &Recipe, words: &[Word]) {
        if recipe.flags.filter {
            self.warn(Kind::ExtraneousFlags, recipe.line.clone());
        }
        if recipe.flags.ignore_errors {
            self.warn(Kind::IgnoredFolderErrors, recipe.line.clone());
        }
        let Some(first) = words.first() else { return };
        self.tilde(first);
        let raw = self.script.slice(&recipe.action_span);
        let start = recipe.action_span.start;
        if looks_like_condition(raw) {
            self.mend(
                Kind::MissingStar,
                recipe.action_span.clone(),
                start..start,
                b"* ".as_slice(),
            );
            return;
        }
        // What a name ends in is known even where something is substituted in front of it.
        let end = match first.pieces.last() {
            Some(Piece::Text { text, .. }) => text.as_slice(),
            _ => return,
        };
        let whole = first.constant();
        let null = whole.as_deref() == Some(b"/dev/null");
        let directory = end == b"/" || end == b"/." || folder_kind(end).1.is_some();
        if recipe.lock == Lock::None && !null && !directory {
            self.add_to_flags(Kind::MissingLock, recipe, b":");
        } else if matches!(recipe.lock, Lock::Implicit(_)) && (null || directory) {
            self.useless_lock(recipe);
        }
    }
}

/// `^TO` in front of a letter: the macro is meant to stand in front of an expression.
fn is_eaten_to(rest: &[u8]) -> bool {
    rest.starts_with(b"^TO") && rest.get(3).is_some_and(u8::is_ascii_uppercase)
}

/// `{2}` or `{2,3}`
fn is_repeat(rest: &[u8]) -> bool {
    let inside: Vec<u8> = rest
        .iter()
        .skip(1)
        .take_while(|byte| byte.is_ascii_digit() || **byte == b',')
        .copied()
        .collect();
    inside.first().is_some_and(u8::is_ascii_digit) && rest.get(1 + inside.len()) == Some(&b'}')
}

fn named_class(name: &[u8]) -> Option<&'static [u8]> {
    Some(match name {
        b"alpha" => b"a-zA-Z",
        b"digit" => b"0-9",
        b"alnum" => b"a-zA-Z0-9",
        b"upper" => b"A-Z",
        b"lower" => b"a-z",
        b"space" | b"blank" => b" \t",
        b"xdigit" => b"0-9a-fA-F",
        _ => return None,
    })
}

/// Does a folder's name look like a condition whose star is missing?
fn looks_like_condition(raw: &[u8]) -> bool {
    let operators = [b".*".as_slice(), b"??", b"\\/"];
    raw.starts_with(b"^")
        || operators
            .iter()
            .any(|operator| memchr::memmem::find(raw, operator).is_some())
        || matches!(raw.first(), Some(b'<' | b'>' | b'?'))
}

/// Does the recipe take all mail that comes to it?
fn always_delivers(recipe: &Recipe) -> bool {
    let flags = recipe.flags;
    if !recipe.conditions.is_empty() || flags.copy || flags.filter || flags.is_chained() {
        return false;
    }
    match &recipe.action {
        Action::Folders(words) => !words.is_empty(),
        Action::Forward(_) | Action::Pipe(_) => true,
        Action::Block(block) => delivers(&block.statements),
        Action::Capture { .. } | Action::Missing => false,
    }
}

/// Programs may fail, and so may folders whose name is not known; what follows is for that.
fn may_fail(recipe: &Recipe) -> bool {
    match &recipe.action {
        Action::Folders(words) => words.first().is_none_or(|word| word.constant().is_none()),
        Action::Pipe(_) => true,
        Action::Block(block) => !block
            .statements
            .iter()
            .any(|statement| matches!(statement, Statement::Recipe(recipe) if always_delivers(recipe) && !may_fail(recipe))),
        _ => false,
    }
}

fn delivers(statements: &[Statement]) -> bool {
    statements
        .iter()
        .any(|statement| matches!(statement, Statement::Recipe(recipe) if always_delivers(recipe)))
}
