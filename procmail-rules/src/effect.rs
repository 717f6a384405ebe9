//! What an evaluation asks of its host, and the answers.

use std::sync::Arc;
use std::time::Duration;

use crate::note::Note;
use crate::variable::Environment;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Step {
    /// Carry out the effect, give its answer to [`Evaluator::answer`](crate::Evaluator::answer),
    /// step again.
    Ask(Effect),
    /// The last effect still waits for its answer.
    NeedAnswer,
    /// The rcfile has run to its end.
    Done(Outcome),
}

/// One thing the host does on behalf of the rcfile. Paths are relative to the directory last
/// given in [`ChangeDirectory`](Effect::ChangeDirectory).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// A step to be told to people: see [`Config::notes`](crate::Config::notes). Answer:
    /// [`Reply::Done`].
    Note(Note),
    /// Append to the log. Answer: [`Reply::Done`].
    Log(Log),
    /// Send the log to this file from now on. Answer: [`Reply::Done`], or [`Reply::Failed`] to
    /// keep the old one.
    OpenLog {
        /// The file; `/dev/null` to log nowhere.
        path: Vec<u8>,
    },
    /// Read an rcfile. Answer: [`Reply::Rc`].
    ReadRc {
        /// The file.
        path: Vec<u8>,
    },
    /// Make this the current directory. Answer: [`Reply::Done`] or [`Reply::Failed`].
    ChangeDirectory {
        /// The directory.
        path: Vec<u8>,
    },
    /// What is this folder? Make it if its kind is wanted and it is missing.
    /// Answer: [`Reply::Folder`], [`Reply::NoMaildir`], or [`Reply::Failed`] if there can be no
    /// such directory.
    Folder {
        /// The folder, without the suffix that told its kind.
        path: Vec<u8>,
        /// The kind its name asks for; none: a directory if one is there, otherwise an mbox.
        wanted: Option<FolderKind>,
    },
    /// Deliver to a folder. Answer: [`Reply::Delivered`], [`Reply::CutShort`] if the writing broke
    /// off, [`Reply::Failed`] if it could not begin.
    Deliver(Delivery),
    /// Link a delivered file into another directory. Answer: [`Reply::Delivered`] or
    /// [`Reply::Failed`].
    Link {
        /// The file, as [`Reply::Delivered`] named it.
        file: Vec<u8>,
        /// The directory.
        folder: Vec<u8>,
        /// Its kind, never [`FolderKind::Mbox`].
        kind: FolderKind,
        /// What names in a plain directory begin with.
        prefix: Vec<u8>,
    },
    /// Run a program. Answer: [`Reply::Ran`]. A host that runs none answers
    /// [`Ran::refused`].
    Run(Run),
    /// Write to standard output. Answer: [`Reply::Done`] or [`Reply::Failed`].
    Print {
        /// What to write.
        content: Vec<u8>,
    },
    /// Try once to create a lockfile. Answer: [`Reply::Lock`].
    Lock {
        /// The lockfile.
        path: Vec<u8>,
    },
    /// Remove a lockfile taken before. Answer: [`Reply::Done`] or [`Reply::Failed`].
    Unlock {
        /// The lockfile.
        path: Vec<u8>,
    },
    /// Remove somebody else's stale lockfile. Answer: [`Reply::Done`] or [`Reply::Failed`].
    ForceLock {
        /// The lockfile.
        path: Vec<u8>,
    },
    /// Let time pass. Answer: [`Reply::Done`].
    Sleep(Duration),
    /// New files get these permissions less this mask. Answer: [`Reply::Done`].
    Umask(u32),
    /// Tell the mail notifier what became of the message: `user@offset:folder`. Answer:
    /// [`Reply::Notified`], or [`Reply::Failed`] if there is no such notifier, or
    /// [`Reply::Done`] if that is nobody's concern.
    Notify {
        /// COMSAT: empty for the default, else `service@host` or parts of it.
        service: Vec<u8>,
        /// The folder or program delivered to, below MAILDIR.
        folder: Vec<u8>,
        /// Octets that a folder has grown by: the offset told is where they begin. None if it was
        /// no folder, and no offset is told.
        grown: Option<usize>,
    },
    /// What follows, up to the matching [`CloneEnd`](Effect::CloneEnd), is done by a clone: the
    /// host remembers its current directory, umask and log. Answer: [`Reply::Done`], or
    /// [`Reply::Failed`] if there can be no clone.
    CloneBegin,
    /// The clone has ended: the host goes back to what it remembered. Answer: [`Reply::Done`].
    CloneEnd {
        /// The clone's exit code.
        exit: u8,
    },
    /// `DELIVERED=yes`: the caller may be told of success now; whatever happens later cannot
    /// bounce any more. Answer: [`Reply::Done`].
    Detach,
    /// `DROPPRIVS=yes`: give up special privileges for good. Answer: [`Reply::Done`] or
    /// [`Reply::Failed`].
    DropPrivileges,
}

/// Text for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The text, with its line ends.
    pub text: Vec<u8>,
    /// It begins with a line of the VERBOSE trace: a host that keeps procmail's layout writes
    /// `procmail: [pid] date` before it once a second.
    pub stamped: bool,
}

/// The kinds of folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FolderKind {
    /// One file, appended to.
    Mbox,
    /// A directory with `tmp`, `new` and `cur`.
    Maildir,
    /// A directory of numbered files.
    Mh,
    /// A directory of files named by prefix and inode code.
    Directory,
}

/// A message, or part of one, for a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The folder.
    pub folder: Vec<u8>,
    /// Its kind.
    pub kind: FolderKind,
    /// What to write, quoted and terminated as the kind wants it. Nothing is to be added.
    pub content: Vec<u8>,
    /// What names in a plain directory begin with (MSGPREFIX).
    pub prefix: Vec<u8>,
    /// Give up after this long.
    pub timeout: Option<Duration>,
    /// What can be written counts as delivered, and stays (flag `i`).
    pub partial: bool,
}

/// How the writing to a folder broke off. Of a new file nothing stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutShort {
    /// The file: the folder itself for an mbox, else the one that was being made.
    pub file: Vec<u8>,
    /// Why.
    pub fault: WriteFault,
    /// An mbox is as long again as it was.
    pub restored: bool,
}

/// Why a folder could not be written to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WriteFault {
    /// The disk is full.
    NoSpace,
    /// The user has no more room on it.
    QuotaExceeded,
    /// Anything else.
    Other,
}

/// What a program is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// `* ?`
    Condition,
    /// Backquotes.
    Substitution,
    /// `|`
    Pipe,
    /// `!`
    Forward,
    /// `|` with `f`
    Filter,
    /// `NAME=|`
    Capture,
    /// TRAP
    Trap,
}

/// A program to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What to run.
    pub command: Command,
    /// What for.
    pub purpose: Purpose,
    /// Its standard input.
    pub input: Vec<u8>,
    /// What becomes of its standard output. Standard error always goes to the log.
    pub output: Output,
    /// Wait for it to end. If not, the answer may be given as soon as the input is written and
    /// the output, if captured, is read.
    pub wait: bool,
    /// Its environment, complete.
    pub environment: Arc<Environment>,
    /// End it after this long; none: never. One that is not waited for, and has its input, is
    /// procmail's no more: it is told that the time is over, and the output is read to its end.
    pub timeout: Option<Duration>,
}

/// How a program is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// With these arguments, the first naming the program, without a shell.
    Direct(Vec<Vec<u8>>),
    /// By a shell.
    Shell {
        /// The shell.
        shell: Vec<u8>,
        /// Its one argument before the text; left out if empty.
        flags: Vec<u8>,
        /// The text.
        text: Vec<u8>,
    },
}

/// What becomes of a program's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// It is thrown away.
    Discard,
    /// It goes to the log.
    Log,
    /// It is the answer's `output`; no more than so many octets need be kept.
    Capture(usize),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It ran too long and was ended.
    TimedOut,
    /// It could not be started.
    NotStarted,
    /// The host runs no such programs.
    Refused,
}

/// What came of running a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended; `Exited(0)` where it was not waited for.
    pub status: Status,
    /// What it wrote, where that was asked for.
    pub output: Vec<u8>,
    /// All input was written.
    pub input_written: bool,
}

impl Ran {
    /// A program that ended with this exit code and read all its input.
    #[must_use]
    pub fn exited(code: i32, output: Vec<u8>) -> Self {
        Self {
            status: Status::Exited(code),
            output,
            input_written: true,
        }
    }

    /// The answer of a host that does not run this program.
    #[must_use]
    pub fn refused() -> Self {
        Self {
            status: Status::Refused,
            output: Vec::new(),
            input_written: false,
        }
    }
}

/// What came of trying for a lockfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockTry {
    /// It is ours.
    Taken,
    /// It is there already.
    Busy {
        /// How long ago it was made, in seconds.
        age: u64,
        /// Octets in it.
        size: u64,
    },
    /// It cannot be made.
    Impossible {
        /// The file that could not be written.
        attempted: Vec<u8>,
    },
}

/// The host's answer to an [`Effect`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// It could not be done.
    Failed,
    /// The text of an rcfile; none if there is no such regular file or it cannot be read.
    Rc(Option<Vec<u8>>),
    /// The folder is of this kind.
    Folder(FolderKind),
    /// The directory is there, but not what a Maildir consists of.
    NoMaildir {
        /// `new`, `cur` or `tmp`: the first that cannot be had.
        part: Vec<u8>,
    },
    /// Delivered to this file.
    Delivered {
        /// The folder itself for an mbox, else the new file with its directory.
        file: Vec<u8>,
    },
    /// The writing to the folder broke off.
    CutShort(CutShort),
    /// The program has run.
    Ran(Ran),
    /// The lockfile was tried.
    Lock(LockTry),
    /// The mail notifier was told this.
    Notified {
        /// `user@offset:folder`
        text: Vec<u8>,
    },
}

/// The replies that an effect allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Done,
    Rc,
    Folder,
    Delivered,
    Ran,
    Lock,
    Notified,
}

impl Effect {
    pub(crate) fn expects(&self) -> Expected {
        match self {
            Self::ReadRc { .. } => Expected::Rc,
            Self::Folder { .. } => Expected::Folder,
            Self::Deliver(_) | Self::Link { .. } => Expected::Delivered,
            Self::Run(_) => Expected::Ran,
            Self::Lock { .. } => Expected::Lock,
            Self::Notify { .. } => Expected::Notified,
            _ => Expected::Done,
        }
    }
}

impl Expected {
    pub(crate) fn allows(self, reply: &Reply) -> bool {
        match self {
            Self::Done => matches!(reply, Reply::Done | Reply::Failed),
            Self::Rc => matches!(reply, Reply::Rc(_)),
            Self::Folder => matches!(
                reply,
                Reply::Folder(_) | Reply::NoMaildir { .. } | Reply::Failed
            ),
            Self::Delivered => matches!(
                reply,
                Reply::Delivered { .. } | Reply::CutShort(_) | Reply::Failed
            ),
            Self::Ran => matches!(reply, Reply::Ran(_)),
            Self::Lock => matches!(reply, Reply::Lock(_)),
            Self::Notified => matches!(reply, Reply::Notified { .. } | Reply::Done | Reply::Failed),
        }
    }
}

/// How an evaluation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// procmail's exit code.
    pub exit: u8,
    /// What became of the mail.
    pub end: End,
    /// LASTFOLDER at the end.
    pub last_folder: Vec<u8>,
    /// The variables at the end.
    pub environment: Arc<Environment>,
}

/// What became of the mail, whatever EXITCODE makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// It was delivered.
    Delivered,
    /// It could not be delivered.
    Undelivered,
    /// HOST did not match and no rcfile was left: procmail reports success and the mail is gone.
    /// A host that does not want that delivers it itself.
    HostMismatch,
}
