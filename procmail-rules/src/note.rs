//! What an evaluation tells about its course, for people.

use crate::ast::{Area, Span};

/// A step of the evaluation; hosts get it if [`Config::notes`](crate::Config::notes) is set.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The rcfile, as `$_` shows it.
    pub rcfile: Vec<u8>,
    /// Where the text stands that the note is about.
    pub span: Span,
    /// The text, without blanks and ends of lines around it.
    pub text: Vec<u8>,
    /// The line it begins on, 1-based.
    pub line: usize,
    /// What happens.
    pub fact: Fact,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fact {
    /// A variable is given a value, or removed.
    Assigned {
        /// The variable.
        name: Vec<u8>,
        /// The value; none removes it.
        value: Option<Vec<u8>>,
    },
    /// An assignment in a block that is passed over, or one too long for LINEBUF.
    NotAssigned,
    /// A recipe begins.
    Recipe(Gate),
    /// A condition of it.
    Condition(Verdict),
    /// All conditions are read.
    Decided {
        /// The action is carried out.
        matched: bool,
        /// `$=`, where a condition had a weight.
        score: Option<i64>,
    },
    /// The action is read.
    Action {
        /// It is carried out.
        done: bool,
    },
    /// A `}`.
    BlockEnd,
}

/// Whether a recipe's flags let it run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// They do.
    Open,
    /// It is part of a block that is passed over.
    Passed,
    /// `A`: the recipe it depends on did not match.
    NotAlso,
    /// `a`: the same, or its action did not succeed.
    NotSucceeded,
    /// `E`: the recipe before it matched.
    NotOtherwise,
    /// `e`: there was no failure to make up for.
    NoError,
}

/// What comes of a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is not looked at: an earlier one failed, the flags close the recipe, or the score is as
    /// high as can be.
    NotTried,
    /// It is too long for LINEBUF, which makes it false.
    TooLong,
    /// It is tested.
    Tested {
        /// The recipe goes on.
        holds: bool,
        /// It has a `!`.
        negated: bool,
        /// The points it adds and the sum so far, where it has a weight.
        points: Option<(i64, i64)>,
        /// What was tested.
        subject: Subject,
    },
}

/// What a condition looked at, and what it saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A regular expression was searched.
    Regex {
        /// The expression, with its macros expanded.
        pattern: Vec<u8>,
        /// Where it was searched.
        area: Area,
        /// The line in which the first match ends; none if there is no match.
        found: Option<Vec<u8>>,
    },
    /// A size was compared.
    Size {
        /// The size, in octets.
        size: i64,
        /// What it is compared with.
        limit: i64,
        /// Is it to be smaller?
        less: bool,
    },
    /// A program was run.
    Program {
        /// Its exit code; negative for a signal.
        exit: i32,
    },
}
