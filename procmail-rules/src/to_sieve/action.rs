//! Actions: folders, addresses, blocks, and the programs whose purpose is known.

use super::test::text;
use super::{Fidelity, Translator};
use crate::ast::{Action, Block, Piece, Recipe, Statement, Word};
use crate::eval::folder_kind;

/// Programs that are used for what Sieve does itself.
enum Idiom {
    Duplicate,
    Vacation(String),
    Edit(Vec<Edit>),
}

/// A change of the header.
enum Edit {
    Delete(String),
    Add(String, String),
    AddIfMissing(String, String),
}

impl Translator<'_> {
    pub(super) fn action(&mut self, recipe: &Recipe) {
        let flags = recipe.flags;
        let copy = flags.copy || self.copies;
        if (flags.header != flags.body)
            && !flags.filter
            && matches!(recipe.action, Action::Folders(_) | Action::Forward(_))
        {
            return self.keep(recipe, "Sieve stores and sends whole messages");
        }
        match &recipe.action {
            Action::Folders(words) => self.folders(recipe, words, copy),
            Action::Forward(words) if !flags.filter => self.forward(recipe, words, copy),
            Action::Pipe(command) => self.pipe(recipe, command, copy),
            Action::Block(block) if flags.copy => self.clone_block(recipe, block),
            Action::Block(block) => self.statements(&block.statements),
            Action::Capture { name, .. } => {
                self.values.insert(name.clone(), super::Value::Unknown);
                self.refuse_action(recipe, "it runs a program");
            }
            Action::Forward(_) => self.keep(recipe, "it filters the mail through a program"),
            Action::Missing => self.refuse_action(recipe, "it has no action"),
        }
    }

    fn refuse_action(&mut self, recipe: &Recipe, reason: &str) {
        let (start, end) = (recipe.action_span.start, recipe.action_span.end);
        self.refuse(start, end, reason);
    }

    /// The mail of a delivery that cannot be said is kept, so that it is not lost to later rules.
    fn keep(&mut self, recipe: &Recipe, reason: &str) {
        self.refuse_action(recipe, reason);
        if !recipe.flags.copy && !self.copies && !recipe.flags.filter {
            self.write("keep;");
            self.write("stop;");
        }
    }

    fn end(&mut self, copy: bool) {
        if !copy {
            self.write("stop;");
        }
    }

    fn folders(&mut self, recipe: &Recipe, words: &[Word], copy: bool) {
        let mut mailboxes = Vec::new();
        for word in words {
            match self.mailbox(word) {
                Ok(mailbox) => mailboxes.push(mailbox),
                Err(reason) => return self.keep(recipe, reason),
            }
        }
        // Behind a file procmail passes the rest over; only directories get links.
        let is_directory = |word: &Word| {
            let end = match word.pieces.last() {
                Some(Piece::Text { text, .. }) => text.as_slice(),
                _ => b"",
            };
            end == b"/" || folder_kind(end).1.is_some()
        };
        if !words.first().is_some_and(is_directory) {
            mailboxes.truncate(1);
        }
        if mailboxes.is_empty() || mailboxes.iter().any(String::is_empty) {
            return self.refuse_action(recipe, "the folder's name is empty");
        }
        let last = mailboxes.len() - 1;
        for (index, mailbox) in mailboxes.iter().enumerate() {
            if mailbox == "/dev/null" {
                if !copy {
                    self.write("discard;");
                }
                continue;
            }
            if mailbox == "INBOX" && !copy {
                self.write("keep;");
                continue;
            }
            self.require("fileinto");
            self.require("mailbox");
            let how = if copy || index < last {
                self.require("copy");
                ":copy :create"
            } else {
                ":create"
            };
            self.write(&format!("fileinto {how} {};", quoted(mailbox)));
        }
        self.end(copy);
    }

    /// The mailbox of a folder's name, as the inside of a Sieve string.
    pub(super) fn mailbox(&mut self, word: &Word) -> Result<String, &'static str> {
        let starts_with = |name: &[u8]| matches!(word.pieces.first(), Some(Piece::Variable { name: first, alternative: None, .. }) if first == name);
        if word.pieces.len() == 1 && (starts_with(b"DEFAULT") || starts_with(b"ORGMAIL")) {
            return Ok("INBOX".to_owned());
        }
        let mut pieces = word.pieces.as_slice();
        let mut below = false;
        if starts_with(b"MAILDIR") {
            pieces = pieces.get(1..).unwrap_or(&[]);
            below = true;
        } else if starts_with(b"HOME") {
            return Err("the folder is outside of MAILDIR");
        }
        let rest = Word {
            span: word.span.clone(),
            pieces: pieces.to_vec(),
        };
        if pieces.iter().any(|piece| {
            matches!(piece, Piece::Variable { quoted: false, name, .. }
                if !matches!(self.values.get(name), Some(super::Value::Constant(value)) if !value.iter().any(u8::is_ascii_whitespace)))
        }) && !pieces.is_empty()
        {
            // Unquoted, a value with blanks is several folders; MATCH most often has none.
            let line = self.line_of(word.span.start);
            self.remark(
                line,
                Fidelity::Close,
                "a value with blanks would be the names of several folders",
            );
        }
        let name = self.dynamic(&rest)?;
        if name == "/dev/null" {
            return Ok(name);
        }
        let absolute = name.starts_with('/');
        if absolute && !below {
            return Err("the folder is outside of MAILDIR");
        }
        if name.starts_with('|') || name.split('/').any(|part| part == "..") {
            return Err("the name is none of a mailbox");
        }
        let trimmed = name.strip_suffix("/.").unwrap_or(&name);
        let trimmed = trimmed.trim_start_matches("./").trim_matches('/');
        Ok(trimmed.to_owned())
    }

    fn forward(&mut self, recipe: &Recipe, words: &[Word], copy: bool) {
        let mut addresses = Vec::new();
        for word in words {
            match self.dynamic(word) {
                Ok(address) if address.starts_with('-') => {
                    return self.keep(recipe, "it has options for sendmail");
                }
                Ok(address) => addresses.extend(
                    address
                        .split(',')
                        .filter(|address| !address.is_empty())
                        .map(str::to_owned),
                ),
                Err(reason) => return self.keep(recipe, reason),
            }
        }
        if addresses.is_empty() {
            return self.keep(recipe, "it has no address");
        }
        if addresses.iter().any(|address| !address.contains('@')) {
            return self.keep(recipe, "redirect wants addresses with a domain");
        }
        let last = addresses.len() - 1;
        for (index, address) in addresses.iter().enumerate() {
            let how = if copy || index < last {
                self.require("copy");
                "redirect :copy"
            } else {
                "redirect"
            };
            self.write(&format!("{how} {};", quoted(address)));
        }
        self.end(copy);
    }

    fn clone_block(&mut self, recipe: &Recipe, block: &Block) {
        if let Err(reason) = copies_only(block) {
            return self.refuse_action(recipe, reason);
        }
        let before = std::mem::replace(&mut self.copies, true);
        self.statements(&block.statements);
        self.copies = before;
    }

    fn pipe(&mut self, recipe: &Recipe, command: &[u8], copy: bool) {
        let command = String::from_utf8_lossy(command).into_owned();
        match idiom(&command, recipe) {
            Some(Idiom::Duplicate) => {
                self.differs(
                    recipe.action_span.start,
                    "the server remembers for how long a message was seen",
                );
                self.require("duplicate");
                self.write("if duplicate {");
                self.depth += 1;
                self.write("discard;");
                self.end(copy);
                self.depth -= 1;
                self.write("}");
            }
            Some(Idiom::Vacation(reason)) => {
                self.differs(
                    recipe.action_span.start,
                    "the server decides whom it answers, and how often",
                );
                self.require("vacation");
                self.write(&format!("vacation {};", text(&reason)));
                self.end(copy);
            }
            Some(Idiom::Edit(edits)) => self.edits(recipe, &edits),
            None if recipe.flags.filter => {
                self.keep(recipe, "it filters the mail through a program");
            }
            None => self.keep(recipe, "it runs a program"),
        }
    }

    fn edits(&mut self, recipe: &Recipe, edits: &[Edit]) {
        self.differs(
            recipe.action_span.start,
            "the server decides which fields a script may change",
        );
        self.require("editheader");
        for edit in edits {
            match edit {
                Edit::Delete(name) => self.write(&format!("deleteheader {};", text(name))),
                Edit::Add(name, value) => {
                    self.write(&format!("addheader :last {} {};", text(name), text(value)))
                }
                Edit::AddIfMissing(name, value) => self.write(&format!(
                    "if not exists {} {{ addheader :last {} {}; }}",
                    text(name),
                    text(name),
                    text(value)
                )),
            }
        }
    }
}

/// A string whose inside is escaped already.
fn quoted(inside: &str) -> String {
    format!("\"{inside}\"")
}

/// A clone's block can be said where it delivers, changes nothing and stops nowhere on the way.
fn copies_only(block: &Block) -> Result<(), &'static str> {
    let mut ends = false;
    for statement in &block.statements {
        match statement {
            Statement::Comment(_) => {}
            Statement::Recipe(recipe) => {
                let flags = recipe.flags;
                if !matches!(recipe.action, Action::Folders(_) | Action::Forward(_))
                    || flags.filter
                    || flags.is_chained()
                {
                    return Err("the block of a clone does more than deliver");
                }
                if ends || !flags.copy && !recipe.conditions.is_empty() {
                    return Err("the block of a clone may end before its last recipe");
                }
                ends = !flags.copy;
            }
            _ => return Err("the block of a clone does more than deliver"),
        }
    }
    if ends {
        Ok(())
    } else {
        Err("a clone that does not deliver in its block goes on behind it")
    }
}

/// Finds out what a program is for.
fn idiom(command: &str, recipe: &Recipe) -> Option<Idiom> {
    let words = words(command)?;
    let first = words.first()?.rsplit('/').next()?;
    if recipe.flags.filter {
        if first != "formail" || recipe.flags.body && !recipe.flags.header {
            return None;
        }
        return edits(words.get(1..)?).map(Idiom::Edit);
    }
    if first == "formail" && words.get(1).is_some_and(|word| word == "-D") && words.len() == 4 {
        return Some(Idiom::Duplicate);
    }
    let replies = command.contains("formail") && command.contains(" -r");
    let sends = command.contains("$SENDMAIL") || command.contains("sendmail ");
    if replies && sends && command.contains("-t") {
        return said(command).map(Idiom::Vacation);
    }
    None
}

/// What `echo` writes in a command.
fn said(command: &str) -> Option<String> {
    if command.contains('`') || command.contains("cat ") {
        return None;
    }
    let mut out = String::new();
    for part in command.split("echo ").skip(1) {
        let quote = part
            .chars()
            .next()
            .filter(|first| matches!(first, '"' | '\''))?;
        let text = part.get(1..)?;
        let text = text.get(..text.find(quote)?)?;
        if text.contains('$') {
            return None;
        }
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        out.push_str(text);
    }
    (!out.is_empty()).then_some(out)
}

/// The words of a command without anything for the shell.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '"' | '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        end if end == letter => break,
                        '$' | '`' | '\\' if letter == '"' => return Some(Vec::from(["?".into()])),
                        other => word.push(other),
                    }
                }
            }
            '$' | '`' | '\\' => return Some(Vec::from(["?".into()])),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

/// What the options of formail change.
fn edits(options: &[String]) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let letter = option.strip_prefix('-')?;
        let (letter, field) = match letter.len() {
            1 => (letter, options.next()?.as_str()),
            _ => (letter.get(..1)?, letter.get(1..)?),
        };
        let (name, value) = field.split_once(':')?;
        let value = value.trim();
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        // Sieve would take it for a variable, or not take it at all.
        if !plain || name.is_empty() || value.contains("${") || value.contains(['\r', '\n']) {
            return None;
        }
        let (name, value) = (name.to_owned(), value.to_owned());
        match (letter, value.is_empty()) {
            ("I", true) => edits.push(Edit::Delete(name)),
            ("I", false) => {
                edits.push(Edit::Delete(name.clone()));
                edits.push(Edit::Add(name, value));
            }
            ("A", false) => edits.push(Edit::Add(name, value)),
            ("a", false) => edits.push(Edit::AddIfMissing(name, value)),
            _ => return None,
        }
    }
    (!edits.is_empty()).then_some(edits)
}
