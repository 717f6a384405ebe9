//! An rcfile as a tree, as far as it can be known without running it.
//!
//! procmail has no syntax apart from its execution: where a statement ends is decided while it is
//! carried out. Only few things depend on values, though: how many lines are conditions after
//! `:$N`, what the flags are in `:0 $FLAGS`, lines longer than LINEBUF, and a `#` right behind an
//! unquoted substitution. [`Script::is_certain`] tells whether a text has any of the first two or
//! the last.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::parser;

/// Octets of the rcfile, from the first (0-based) to behind the last.
pub type Span = Range<usize>;

/// An rcfile.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub(crate) text: Arc<[u8]>,
    pub(crate) statements: Vec<Statement>,
    pub(crate) faults: Vec<Diagnostic>,
    /// Comments in and behind the lines of recipes, and behind empty values.
    pub(crate) comments: Vec<Span>,
    pub(crate) certain: bool,
}

impl Script {
    /// Parses an rcfile. There is none that cannot be parsed: what procmail reports and passes
    /// over is in [`check`](Self::check).
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        parser::parse(text)
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The statements, in order.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Does the tree hold whatever the variables are?
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.certain
    }

    /// The octets of a span.
    #[must_use]
    pub fn slice(&self, span: &Span) -> &[u8] {
        self.text.get(span.clone()).unwrap_or(&[])
    }

    /// Line and column of an octet, both 1-based; columns count octets.
    #[must_use]
    pub fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        (line, 1 + before.len() - start)
    }
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Statement {
    /// `#` to the end of the line.
    Comment(Span),
    /// `NAME=value`, or `NAME` to remove it.
    Assignment(Assignment),
    /// `:0` and what belongs to it.
    Recipe(Box<Recipe>),
    /// A `}` that closes nothing.
    StrayBrace(Span),
    /// What procmail reports as skipped.
    Skipped(Span),
}

impl Statement {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Comment(span) | Self::StrayBrace(span) | Self::Skipped(span) => span.clone(),
            Self::Assignment(assignment) => assignment.span.clone(),
            Self::Recipe(recipe) => recipe.span.clone(),
        }
    }
}

/// `NAME=value`
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// From the name to the end of the value.
    pub span: Span,
    /// The name.
    pub name: Vec<u8>,
    /// The value; none removes the variable.
    pub value: Option<Word>,
}

/// Text with quotes and substitutions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    /// Where it stands.
    pub span: Span,
    /// What it is made of.
    pub pieces: Vec<Piece>,
}

impl Word {
    /// The text, where nothing is substituted.
    #[must_use]
    pub fn constant(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text { text, .. } => out.extend_from_slice(text),
                _ => return None,
            }
        }
        Some(out)
    }
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Piece {
    /// Literal text, unquoted.
    Text {
        /// The text.
        text: Vec<u8>,
        /// It stood in quotes or behind a backslash.
        quoted: bool,
    },
    /// `$NAME`, `${NAME}` and `${NAME:-word}`; `$1` has the name `1`, `$?` the name `?`.
    Variable {
        /// The name.
        name: Vec<u8>,
        /// What may take the place of the value.
        alternative: Option<Alternative>,
        /// In double quotes: the value is not split into words.
        quoted: bool,
        /// Where it stands.
        span: Span,
    },
    /// `$\NAME`: the value, quoted for a regular expression.
    Disarmed {
        /// The name.
        name: Vec<u8>,
    },
    /// `"$@"`
    Arguments,
    /// A command in backquotes.
    Command {
        /// The command.
        text: Vec<u8>,
        /// In double quotes: the output is not split into words.
        quoted: bool,
        /// Where it stands, with its backquotes.
        span: Span,
    },
}

/// The word of `${NAME:-word}`, and when it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// When it is used.
    pub when: When,
    /// What is used.
    pub word: Vec<Piece>,
}

/// When an alternative is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// `:-`
    UnsetOrEmpty,
    /// `-`
    Unset,
    /// `:+`
    SetAndFilled,
    /// `+`
    Set,
}

/// A recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// From the colon to the end of the action.
    pub span: Span,
    /// The line with the flags, from the colon on.
    pub line: Span,
    /// The number behind the colon.
    pub number: Option<usize>,
    /// The flags.
    pub flags: Flags,
    /// The local lockfile.
    pub lock: Lock,
    /// What procmail skips of the line: unknown flags and more.
    pub rest: Vec<u8>,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// The action.
    pub action: Action,
    /// Where the action stands.
    pub action_span: Span,
}

/// The flags of a recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `H`: search the header.
    pub search_header: bool,
    /// `B`: search the body.
    pub search_body: bool,
    /// `D`: distinguish case.
    pub distinguish_case: bool,
    /// `A`: only if the last recipe without `A` and `a` matched.
    pub also: bool,
    /// `a`: the same, and its action succeeded.
    pub also_succeeded: bool,
    /// `E`: only if the recipe before did not match.
    pub otherwise: bool,
    /// `e`: only if the recipe before matched and its action failed.
    pub on_error: bool,
    /// `h`: the action gets the header.
    pub header: bool,
    /// `b`: the action gets the body.
    pub body: bool,
    /// `f`: the program is a filter.
    pub filter: bool,
    /// `c`: a copy.
    pub copy: bool,
    /// `w`: wait for the program.
    pub wait: bool,
    /// `W`: the same, quietly.
    pub wait_quietly: bool,
    /// `i`: ignore errors of writing.
    pub ignore_errors: bool,
    /// `r`: raw.
    pub raw: bool,
}

impl Flags {
    /// Takes one letter; false if it is no flag.
    pub(crate) fn take(&mut self, letter: u8) -> bool {
        let flag = match letter {
            b'H' => &mut self.search_header,
            b'B' => &mut self.search_body,
            b'D' => &mut self.distinguish_case,
            b'A' => &mut self.also,
            b'a' => &mut self.also_succeeded,
            b'E' => &mut self.otherwise,
            b'e' => &mut self.on_error,
            b'h' => &mut self.header,
            b'b' => &mut self.body,
            b'f' => &mut self.filter,
            b'c' => &mut self.copy,
            b'w' => &mut self.wait,
            b'W' => &mut self.wait_quietly,
            b'i' => &mut self.ignore_errors,
            b'r' => &mut self.raw,
            _ => return false,
        };
        *flag = true;
        true
    }

    /// Is it one of a chain: `A`, `a`, `E` or `e`?
    #[must_use]
    pub fn is_chained(self) -> bool {
        self.also || self.also_succeeded || self.otherwise || self.on_error
    }

    /// The letters, in the order of the manual.
    #[must_use]
    pub fn letters(self) -> String {
        [
            (self.search_header, 'H'),
            (self.search_body, 'B'),
            (self.distinguish_case, 'D'),
            (self.also, 'A'),
            (self.also_succeeded, 'a'),
            (self.otherwise, 'E'),
            (self.on_error, 'e'),
            (self.header, 'h'),
            (self.body, 'b'),
            (self.filter, 'f'),
            (self.copy, 'c'),
            (self.wait, 'w'),
            (self.wait_quietly, 'W'),
            (self.ignore_errors, 'i'),
            (self.raw, 'r'),
        ]
        .into_iter()
        .filter_map(|(set, letter)| set.then_some(letter))
        .collect()
    }
}

/// The lockfile of a recipe.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Lock {
    /// None.
    #[default]
    None,
    /// A colon alone: the folder's name and LOCKEXT. The span is that of the colon.
    Implicit(Span),
    /// A name.
    Named(Word),
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The line or lines, from the star on.
    pub span: Span,
    /// The text behind the star, without blanks at its ends; continuation lines as they are.
    pub text: Vec<u8>,
    /// Where that text begins.
    pub start: usize,
    /// The line has a star.
    pub starred: bool,
    /// What is in front of the test.
    pub prefixes: Prefixes,
    /// The test.
    pub test: Test,
}

/// What stands in front of a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prefixes {
    /// `!`, an odd number of times.
    pub negated: bool,
    /// `w^x`
    pub weight: Option<(f64, f64)>,
    /// `NAME ??`
    pub area: Area,
    /// Octets of the text they take, with blanks.
    pub length: usize,
}

/// Where a condition looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Area {
    /// What the flags say.
    #[default]
    Flags,
    /// `H ??`
    Header,
    /// `B ??`
    Body,
    /// `HB ??`
    Both,
    /// `NAME ??`
    Variable(Vec<u8>),
}

/// What a condition tests.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A regular expression, continuation lines joined, its macros not expanded.
    Regex(Vec<u8>),
    /// `< n` or `> n`
    Size {
        /// `<`
        less: bool,
        /// The number and what follows, which is substituted.
        limit: Word,
    },
    /// `? command`
    Program(Vec<u8>),
    /// `$`: what it tests is known when this is substituted. Further prefixes may be part of it.
    Substituted(Word),
}

/// What a recipe does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Folders; the second and further ones get links.
    Folders(Vec<Word>),
    /// `! arguments`
    Forward(Vec<Word>),
    /// `| command`
    Pipe(Vec<u8>),
    /// `NAME=| command` or `NAME=! arguments`
    Capture {
        /// The variable.
        name: Vec<u8>,
        /// The program.
        program: Box<Action>,
    },
    /// `{` … `}`
    Block(Block),
    /// The rcfile ends, or another recipe begins.
    Missing,
}

/// The statements in braces.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The statements.
    pub statements: Vec<Statement>,
    /// Where the closing brace is, if there is one.
    pub close: Option<usize>,
}
