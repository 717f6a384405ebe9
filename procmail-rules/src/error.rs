//! What can end an evaluation other than procmail's own ways of ending.

use std::fmt;

/// Which of the [`Limits`](crate::Limits) was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Octets of one rcfile.
    RcSize,
    /// Files included in one another.
    IncludeDepth,
    /// Files opened in one run.
    RcFiles,
    /// Blocks nested in one another.
    BraceDepth,
    /// Statements executed.
    Statements,
    /// Variables.
    Variables,
    /// Octets of one value.
    ValueSize,
    /// Octets of all values.
    EnvironmentSize,
    /// Octets of a regular expression after macro expansion.
    RegexLength,
    /// Groups nested in one another.
    RegexDepth,
    /// States of a compiled expression.
    RegexStates,
    /// States times octets searched in one run.
    RegexWork,
    /// Effects asked of the host.
    Effects,
    /// Clones.
    Clones,
    /// Expansions nested in one another.
    ExpansionDepth,
    /// Octets of log.
    LogSize,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RcSize => "rcfile size",
            Self::IncludeDepth => "include depth",
            Self::RcFiles => "number of rcfiles opened",
            Self::BraceDepth => "block depth",
            Self::Statements => "number of statements",
            Self::Variables => "number of variables",
            Self::ValueSize => "size of a value",
            Self::EnvironmentSize => "size of the environment",
            Self::RegexLength => "length of a regular expression",
            Self::RegexDepth => "group depth of a regular expression",
            Self::RegexStates => "states of a regular expression",
            Self::RegexWork => "regular expression work",
            Self::Effects => "number of effects",
            Self::Clones => "number of clones",
            Self::ExpansionDepth => "expansion depth",
            Self::LogSize => "size of the log",
        })
    }
}

/// An evaluation that was broken off: the mail is not taken care of, unless an earlier effect
/// delivered it, and the host must keep it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} exceeds its limit{}", Where(rcfile, *line))]
pub struct Error {
    /// The limit that was exceeded.
    pub limit: Limit,
    /// The rcfile being read, empty where none was.
    pub rcfile: Vec<u8>,
    /// The line being read, 1-based; 0 where none was.
    pub line: usize,
}

impl Error {
    pub(crate) fn limit(limit: Limit) -> Self {
        Self {
            limit,
            rcfile: Vec::new(),
            line: 0,
        }
    }

    pub(crate) fn at(mut self, rcfile: &[u8], line: usize) -> Self {
        if self.rcfile.is_empty() {
            self.rcfile = rcfile.to_vec();
            self.line = line;
        }
        self
    }
}

struct Where<'a>(&'a [u8], usize);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " at {}:{}", String::from_utf8_lossy(self.0), self.1)
    }
}

/// The host used the evaluator in a way its contract forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// An answer came although nothing was asked.
    #[error("no effect is waiting for an answer")]
    NotAsked,
    /// The answer is not one of those the effect allows.
    #[error("the answer does not fit the effect")]
    WrongReply,
}
