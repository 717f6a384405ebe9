//! What only the host knows.

use crate::Script;

/// A question of a running script. The host answers with [`Evaluation::answer`](crate::Evaluation::answer) and steps
/// on; [`Answer::Failed`] ends the script with its implicit keep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// Do all these mailboxes exist, and may the user file into them (RFC 5490 §3.1)? [`Answer::Bool`].
    MailboxExists(Vec<String>),
    /// Does a mailbox with each of these ids exist (RFC 9042 §4)? [`Answer::Bool`].
    MailboxIdExists(Vec<String>),
    /// Has this mailbox, or any if `None`, all these special-use attributes (RFC 8579 §3)? [`Answer::Bool`].
    SpecialUseExists {
        /// The mailbox, or any of the user's.
        mailbox: Option<String>,
        /// Attributes like `\Junk`.
        attributes: Vec<String>,
    },
    /// The value of an annotation (RFC 5490 §3.3, §4.1). [`Answer::Text`].
    Metadata {
        /// The mailbox; `None` asks for the server's own annotation.
        mailbox: Option<String>,
        /// Its name, like `/private/comment`.
        annotation: String,
    },
    /// Was this id seen before and not yet forgotten (RFC 7352 §3)? [`Answer::Bool`].
    ///
    /// Only ask the store; what is to be remembered comes as [`Action::TrackDuplicate`](crate::Action).
    Duplicate {
        /// `:handle`, or empty.
        handle: String,
        /// The id.
        id: Vec<u8>,
    },
    /// Was an answer sent to this address under this handle and not yet forgotten (RFC 5230 §4.2)? [`Answer::Bool`].
    VacationAnswered {
        /// What tells this vacation from others.
        handle: String,
        /// The envelope sender.
        recipient: String,
    },
    /// Is any of these values on any of these lists (RFC 6134 §2.7)? [`Answer::Text`] with the value that is.
    ListContains {
        /// Names or URIs of lists.
        lists: Vec<String>,
        /// The values.
        values: Vec<String>,
    },
    /// Are all these lists known (RFC 6134 §2.5)? [`Answer::Bool`].
    ListsKnown(Vec<String>),
    /// The script of that name (RFC 6609 §3.1), compiled. [`Answer::Script`].
    Script {
        /// Its name.
        name: String,
        /// From the global scripts rather than the user's own.
        global: bool,
    },
    /// Run a program and give its result (vnd.dovecot.filter, execute). [`Answer::Program`].
    Program(Program),
    /// The score of the spam or virus scanner (RFC 5235). [`Answer::Score`].
    Score {
        /// Of the virus scanner.
        virus: bool,
    },
    /// A command of a test suite; only scripts that require `vnd.dovecot.testsuite` ask it.
    Suite(crate::testsuite::Request),
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// Which of the extensions.
    pub kind: ProgramKind,
    /// Its name among those the host offers; never a path.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its standard input.
    pub input: Vec<u8>,
}

/// Which extension runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramKind {
    /// `pipe`: only takes the message.
    Pipe,
    /// `filter`: gives back a changed message.
    Filter,
    /// `execute`: gives back text and success.
    Execute,
}

/// The host's answer to a [`Question`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Yes or no.
    Bool(bool),
    /// A text, or that there is none.
    Text(Option<String>),
    /// The script asked for, or that there is none.
    Script(Option<Script>),
    /// What a program did.
    Program {
        /// It ended with status zero.
        success: bool,
        /// Its standard output.
        output: Vec<u8>,
    },
    /// A score and the score that means certainty; `None` if the message was not scanned.
    Score(Option<Score>),
    /// Several texts; only test suites ask for them.
    Texts(Vec<String>),
    /// A message; only test suites ask for it.
    Octets(Option<Vec<u8>>),
    /// The host could not find out: the script ends, the message is kept.
    Failed(String),
}

/// The result of a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// What was found.
    pub value: u32,
    /// What would be certain; never zero.
    pub maximum: u32,
}
