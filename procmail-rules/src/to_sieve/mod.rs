//! Rcfiles as Sieve scripts, as far as Sieve can say the same.
//!
//! Each recipe has one of three outcomes. It is *exact*: whatever the message, as long as its
//! fields are written `Name: value` without encoded words and folds, the same folders and
//! addresses come of it. It is *close*: what differs is named in a comment. Or it is *refused*:
//! it stands in a comment with the reason, and where its conditions can be said the mail is kept.

mod action;
mod pattern;
mod test;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::ast::{Action, Assignment, Block, Piece, Recipe, Script, Statement, Word};
use test::{Cond, text};

/// An rcfile in Sieve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The script (RFC 5228).
    pub script: String,
    /// What is not exact, by line.
    pub remarks: Vec<Remark>,
}

impl Translation {
    /// Does the script do the same as the rcfile?
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.remarks
            .iter()
            .all(|remark| remark.outcome == Fidelity::Exact)
    }
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The line of the rcfile, 1-based.
    pub line: usize,
    /// How well it is translated.
    pub outcome: Fidelity,
    /// The difference, or the reason.
    pub text: String,
}

/// How well something is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fidelity {
    /// The same comes of it; something that means nothing in Sieve was left out.
    Exact,
    /// Almost the same.
    Close,
    /// Not at all.
    Refused,
}

impl Script {
    /// Translates the rcfile to a Sieve script.
    #[must_use]
    pub fn to_sieve(&self) -> Translation {
        let mut translator = Translator {
            script: self,
            out: String::new(),
            depth: 0,
            requires: BTreeSet::new(),
            remarks: Vec::new(),
            values: BTreeMap::new(),
            names: BTreeMap::new(),
            default: None,
            copies: false,
            conditional: 0,
            assigned: BTreeMap::new(),
        };
        count_assignments(&self.statements, &mut translator.assigned);
        for fault in &self.faults {
            if fault.kind.severity() == crate::Severity::Error {
                let line = self.position(fault.span.start).0;
                translator.remark(line, Fidelity::Refused, fault.kind.message());
            }
        }
        translator.statements(&self.statements);
        translator.finish()
    }
}

/// What is known of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// It is this, wherever the script goes on.
    Constant(Vec<u8>),
    /// The script sets a variable of the same name.
    Dynamic,
    /// It comes from something that cannot be said in Sieve.
    Unknown,
}

struct Translator<'a> {
    script: &'a Script,
    out: String,
    depth: usize,
    requires: BTreeSet<&'static str>,
    remarks: Vec<Remark>,
    values: BTreeMap<Vec<u8>, Value>,
    /// Names as Sieve compares them, and as they were written.
    names: BTreeMap<String, Vec<u8>>,
    /// DEFAULT, where it is another mailbox.
    default: Option<String>,
    /// Everything is a copy: the block of a clone.
    copies: bool,
    /// Tests around what is being written.
    conditional: usize,
    /// How often each variable is assigned.
    assigned: BTreeMap<Vec<u8>, usize>,
}

/// Variables that have a meaning for procmail alone.
const MEANINGLESS: [&[u8]; 24] = [
    b"VERBOSE",
    b"LOGFILE",
    b"LOGABSTRACT",
    b"LOG",
    b"LOCKFILE",
    b"LOCKEXT",
    b"LOCKSLEEP",
    b"LOCKTIMEOUT",
    b"SUSPEND",
    b"TIMEOUT",
    b"NORESRETRY",
    b"UMASK",
    b"COMSAT",
    b"LINEBUF",
    b"SHELL",
    b"SHELLFLAGS",
    b"SHELLMETAS",
    b"SENDMAIL",
    b"SENDMAILFLAGS",
    b"PATH",
    b"MSGPREFIX",
    b"DROPPRIVS",
    b"ORGMAIL",
    b"DELIVERED",
];

impl Translator<'_> {
    fn finish(mut self) -> Translation {
        if let Some(default) = self.default.take() {
            self.require("fileinto");
            self.require("mailbox");
            self.write(&format!("fileinto :create {};", text(&default)));
        }
        let mut script = String::new();
        if !self.requires.is_empty() {
            let names: Vec<String> = self.requires.iter().map(|name| text(name)).collect();
            let _ = writeln!(script, "require [{}];\n", names.join(", "));
        }
        if self.out.contains('\0') {
            // Sieve has no NUL, and procmail reads none as anybody means it.
            self.remark(1, Fidelity::Refused, "it has NUL octets");
            self.out = self.out.replace('\0', "\u{fffd}");
        }
        script.push_str(&self.out);
        self.remarks.sort_by_key(|remark| remark.line);
        Translation {
            script,
            remarks: self.remarks,
        }
    }

    fn require(&mut self, capability: &'static str) {
        self.requires.insert(capability);
    }

    fn write(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.out.push_str("    ");
        }
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn comment(&mut self, octets: &[u8]) {
        for line in shown(octets).lines() {
            let line = format!("# {}", line.trim_start_matches('#').trim_start());
            self.write(line.trim_end());
        }
    }

    fn remark(&mut self, line: usize, outcome: Fidelity, text: impl Into<String>) {
        self.remarks.push(Remark {
            line,
            outcome,
            text: text.into(),
        });
    }

    fn line_of(&self, at: usize) -> usize {
        self.script.position(at).0
    }

    /// Says that something is not translated, and shows it.
    fn refuse(&mut self, at: usize, end: usize, reason: &str) {
        let line = self.line_of(at);
        self.remark(line, Fidelity::Refused, reason);
        self.write(&format!("# Not translated (line {line}): {reason}."));
        let source = self.script.slice(&(at..end)).to_vec();
        for line in shown(&source).lines() {
            self.write(format!("#   {line}").trim_end());
        }
    }

    fn differs(&mut self, at: usize, difference: &str) {
        let line = self.line_of(at);
        self.remark(line, Fidelity::Close, difference);
        self.write(&format!("# Line {line} differs: {difference}."));
    }

    fn statements(&mut self, statements: &[Statement]) {
        for (index, statement) in statements.iter().enumerate() {
            match statement {
                Statement::Comment(span) => {
                    let comment = self.script.slice(span).to_vec();
                    self.comment(&comment);
                }
                Statement::Assignment(assignment) => self.assignment(assignment),
                Statement::Recipe(recipe) => {
                    let followed = statements
                        .get(index + 1..)
                        .unwrap_or(&[])
                        .iter()
                        .find_map(as_recipe)
                        .is_some_and(|next| next.flags.is_chained());
                    self.recipe(recipe, followed);
                }
                Statement::StrayBrace(span) | Statement::Skipped(span) => {
                    self.refuse(span.start, span.end, "procmail passes it over");
                }
            }
        }
    }

    fn assignment(&mut self, assignment: &Assignment) {
        let (start, end) = (assignment.span.start, assignment.span.end);
        let name = assignment.name.as_slice();
        if MEANINGLESS.contains(&name) {
            let source = self.script.slice(&assignment.span).to_vec();
            self.write(&format!(
                "# {} (means nothing in Sieve)",
                shown(&source).replace('\n', " ")
            ));
            self.values.insert(name.to_vec(), Value::Unknown);
            let line = self.line_of(start);
            return self.remark(line, Fidelity::Exact, "it means nothing in Sieve");
        }
        let reason = match name {
            b"INCLUDERC" | b"SWITCHRC" => "the other rcfile has to be translated on its own",
            b"HOST" => "a script does not choose by host",
            b"EXITCODE" | b"TRAP" => "a script has no exit code, and runs no programs",
            b"LASTFOLDER" | b"SHIFT" | b"PROCMAIL_OVERFLOW" => {
                "the variable has a meaning for procmail alone"
            }
            b"DEFAULT" if self.conditional > 0 || self.copies => {
                "DEFAULT is set only under some conditions"
            }
            b"MAILDIR" if self.conditional > 0 => "MAILDIR is set only under some conditions",
            _ => "",
        };
        if !reason.is_empty() {
            self.values.insert(name.to_vec(), Value::Unknown);
            return self.refuse(start, end, reason);
        }
        let nothing = Word::default();
        let word = assignment.value.as_ref().unwrap_or(&nothing);
        if name == b"MAILDIR" {
            let source = self.script.slice(&assignment.span).to_vec();
            self.write(&format!(
                "# {} (mailboxes are named from here)",
                shown(&source).replace('\n', " ")
            ));
            let value = self.constant(word).map_or(Value::Unknown, Value::Constant);
            self.values.insert(name.to_vec(), value);
            return;
        }
        if name == b"DEFAULT" {
            return match self.mailbox(word) {
                Ok(mailbox) => {
                    // Without one the mail goes to ORGMAIL.
                    let other = mailbox != "INBOX" && !mailbox.is_empty();
                    self.default = other.then_some(mailbox);
                }
                Err(reason) => self.refuse(start, end, reason),
            };
        }
        let plain = |text: &Vec<u8>| push_plain(&mut String::new(), text).is_ok();
        let constant = self.constant(word).filter(plain);
        if let Some(constant) = constant.filter(|_| self.conditional == 0) {
            self.values
                .insert(name.to_vec(), Value::Constant(constant.clone()));
            // It may be tested later.
            if let Ok(shown) = String::from_utf8(constant) {
                self.set(name, &shown);
            }
            return;
        }
        match self.dynamic(word) {
            Ok(value) => {
                self.values.insert(name.to_vec(), Value::Dynamic);
                let Some(shown) = self.sieve_name(name) else {
                    return self.refuse(
                        start,
                        end,
                        "Sieve does not tell capitals in names of variables",
                    );
                };
                self.require("variables");
                self.write(&format!("set \"{shown}\" \"{value}\";"));
            }
            Err(reason) => {
                self.values.insert(name.to_vec(), Value::Unknown);
                self.refuse(start, end, reason);
            }
        }
    }

    fn set(&mut self, name: &[u8], value: &str) {
        // Only what changes, or is tested by its name, needs to be there at run time.
        let uses = self.script.text();
        let changes = self.assigned.get(name).is_some_and(|count| *count > 1);
        let tested = [b" ??".as_slice(), b"??"].into_iter().any(|mark| {
            let needle = [name, mark].concat();
            memchr::memmem::find(uses, &needle).is_some()
        });
        if !changes && !tested {
            return;
        }
        if let Some(shown) = self.sieve_name(name) {
            self.require("variables");
            self.write(&format!("set \"{shown}\" {};", text(value)));
        }
    }

    /// The name in Sieve, if no other name differs from it by capitals alone.
    fn sieve_name(&mut self, name: &[u8]) -> Option<String> {
        let shown = String::from_utf8(name.to_vec()).ok()?;
        let known = self
            .names
            .entry(shown.to_ascii_lowercase())
            .or_insert_with(|| name.to_vec());
        (known == name && !shown.starts_with("pm_")).then_some(shown)
    }

    /// The text of a word whose variables are known.
    fn constant(&self, word: &Word) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text { text, .. } => out.extend_from_slice(text),
                Piece::Variable {
                    name,
                    alternative: None,
                    ..
                } => match self.values.get(name) {
                    Some(Value::Constant(value)) => out.extend_from_slice(value),
                    _ => return None,
                },
                _ => return None,
            }
        }
        Some(out)
    }

    /// The inside of a Sieve string for a word whose variables the script sets.
    fn dynamic(&mut self, word: &Word) -> Result<String, &'static str> {
        let mut out = String::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text { text: octets, .. } => {
                    push_plain(&mut out, octets)?;
                }
                Piece::Variable {
                    name,
                    alternative: None,
                    ..
                } => match self.values.get(name).cloned() {
                    Some(Value::Constant(value)) => push_plain(&mut out, &value)?,
                    Some(Value::Dynamic) => {
                        let name = self
                            .sieve_name(name)
                            .ok_or("Sieve does not tell capitals in names of variables")?;
                        let _ = write!(out, "${{{name}}}");
                    }
                    _ => return Err("it uses a variable that a script does not know"),
                },
                Piece::Command { .. } => return Err("it runs a program"),
                _ => return Err("it has a substitution that Sieve does not know"),
            }
        }
        Ok(out)
    }

    fn recipe(&mut self, recipe: &Recipe, followed: bool) {
        let inner = match &recipe.action {
            Action::Block(block) => block
                .statements
                .iter()
                .find_map(as_recipe)
                .is_some_and(|first| first.flags.is_chained()),
            _ => false,
        };
        let tracked = followed || inner;
        let flags = recipe.flags;
        if tracked || flags.is_chained() {
            self.require("variables");
        }
        if tracked {
            // lastcond and prevcond of the chain.
            if !flags.also && !flags.also_succeeded {
                self.write("set \"pm_last\" \"\";");
            }
            if !flags.otherwise {
                self.write("set \"pm_prev\" \"\";");
            }
        }
        let required = self.requires.clone();
        let condition = match self.conditions(recipe) {
            Ok(condition) => condition,
            Err(reason) => {
                self.requires = required;
                self.forget(recipe);
                return self.refuse(recipe.span.start, recipe.span.end, reason);
            }
        };
        for difference in condition.differences {
            self.differs(recipe.span.start, difference);
        }
        let before = self.out.len();
        let always = condition.test == Cond::True;
        if !always {
            self.write(&format!("if {} {{", condition.test.render()));
            self.depth += 1;
            self.conditional += 1;
        }
        let opened = self.out.len();
        if tracked {
            self.write("set \"pm_last\" \"1\";");
            self.write("set \"pm_prev\" \"1\";");
        }
        if let Some((name, group)) = &condition.matched {
            self.require("variables");
            self.write(&format!("set \"{name}\" \"${{{group}}}\";"));
            self.values.insert(b"MATCH".to_vec(), Value::Dynamic);
        }
        self.action(recipe);
        if tracked && matches!(recipe.action, Action::Block(_)) {
            self.write("set \"pm_last\" \"1\";");
            self.write("set \"pm_prev\" \"1\";");
        }
        if !always {
            let empty = self.out.len() == opened;
            self.depth -= 1;
            self.conditional -= 1;
            if empty {
                self.out.truncate(before);
            } else {
                self.write("}");
            }
        }
    }

    /// What a recipe that is not translated would have changed is not known any more.
    fn forget(&mut self, recipe: &Recipe) {
        if recipe
            .conditions
            .iter()
            .any(|condition| memchr::memmem::find(&condition.text, b"\\/").is_some())
        {
            self.values.insert(b"MATCH".to_vec(), Value::Unknown);
        }
        match &recipe.action {
            Action::Capture { name, .. } => {
                self.values.insert(name.clone(), Value::Unknown);
            }
            Action::Block(block) => self.forget_block(block),
            _ => {}
        }
    }

    fn forget_block(&mut self, block: &Block) {
        for statement in &block.statements {
            match statement {
                Statement::Assignment(assignment) => {
                    self.values.insert(assignment.name.clone(), Value::Unknown);
                }
                Statement::Recipe(recipe) => self.forget(recipe),
                _ => {}
            }
        }
    }
}

/// Puts a text into the inside of a Sieve string, where it must mean nothing but itself.
fn push_plain(out: &mut String, octets: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8")?;
    if text.contains('\r') {
        return Err("it has a carriage return, as where the lines of an rcfile end in CRLF");
    }
    if text.contains("${") || out.ends_with('$') && text.starts_with('{') {
        return Err("it has a text that Sieve takes for a variable");
    }
    out.push_str(&test::escaped(text));
    Ok(())
}

/// Octets for a comment: what would end it, or is no text, does not get in.
fn shown(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).replace("\r\n", "\n");
    text.strip_suffix('\r')
        .unwrap_or(&text)
        .chars()
        .map(|letter| match letter {
            '\n' | '\t' => letter,
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

fn as_recipe(statement: &Statement) -> Option<&Recipe> {
    match statement {
        Statement::Recipe(recipe) => Some(recipe),
        _ => None,
    }
}

fn count_assignments(statements: &[Statement], counts: &mut BTreeMap<Vec<u8>, usize>) {
    for statement in statements {
        match statement {
            Statement::Assignment(assignment) => {
                *counts.entry(assignment.name.clone()).or_default() += 1;
            }
            Statement::Recipe(recipe) => {
                if let Action::Block(block) = &recipe.action {
                    count_assignments(&block.statements, counts);
                }
            }
            _ => {}
        }
    }
}
