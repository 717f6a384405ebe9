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
    /// Convert parts of the message, all or none (RFC 6558 §2). [`Answer::Converted`].
    Convert(Conversion),
    /// Put calendar data into the user's calendar (RFC 9671 §3): the one question with an effect of its own, since the
    /// script wants to know its outcome. [`Answer::Calendar`].
    Calendar(Calendar),
    /// The score of the spam or virus scanner (RFC 5235). [`Answer::Score`].
    Score {
        /// Of the virus scanner.
        virus: bool,
    },
    /// A command of a test suite; only scripts that require `vnd.dovecot.testsuite` ask it.
    Suite(crate::testsuite::Request),
}

/// Parts to convert.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// Their media type.
    pub from: String,
    /// The media type they should have.
    pub to: String,
    /// `name=value` each (RFC 5259 §10).
    pub parameters: Vec<String>,
    /// Their contents, free of transfer encodings.
    pub parts: Vec<Vec<u8>>,
}

/// Calendar data and what a script wants done with it (RFC 9671 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calendar {
    /// `:allowpublic`: data that is no iTIP message (RFC 5546) may be added too.
    pub allow_public: bool,
    /// `:addresses`: addresses of the user besides those that the host knows.
    pub addresses: Vec<String>,
    /// `:updatesonly`: nothing new is added.
    pub updates_only: bool,
    /// `:calendarid`: where new objects go; the default calendar if there is none with this id.
    pub calendar_id: Option<String>,
    /// `:deletecancelled`: cancelled objects are removed, not only marked.
    pub delete_cancelled: bool,
    /// `:organizers`: only objects whose organizer is on this external list.
    pub organizers: Option<String>,
    /// The data, part by part; never none.
    pub parts: Vec<CalendarPart>,
}

/// A part that holds calendar data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CalendarPart {
    /// `text/calendar`, `application/calendar+xml` or `application/calendar+json`.
    pub media_type: String,
    /// The parameter `method` of its media type, as iMIP (RFC 6047) has it.
    pub method: Option<String>,
    /// The data in UTF-8.
    pub text: String,
}

/// What became of calendar data (RFC 9671 §3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarOutcome {
    /// Nothing was done.
    NoAction,
    /// Something new was added.
    Added,
    /// Something was updated, cancelled or removed.
    Updated,
    /// It could not be done.
    Error,
}

impl CalendarOutcome {
    /// As the script sees it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAction => "no_action",
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Error => "error",
        }
    }
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
    /// The contents of all parts anew, in their order; `None` if any could not be converted: nothing changes then.
    Converted(Option<Vec<Vec<u8>>>),
    /// What became of calendar data.
    Calendar {
        /// For `:outcome`.
        outcome: CalendarOutcome,
        /// For `:reason`: why, for a person.
        reason: String,
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
