//! Where and how an account keeps its mail.

use std::path::PathBuf;

use crate::quota::QuotaRule;

/// How an account keeps its mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A file for each message, a directory `.A.B` for each mailbox (Maildir++).
    Maildir,
    /// A file for each message, a directory `A/B` for each mailbox (Dovecot's `LAYOUT=fs`).
    MaildirFs,
    /// A file for each mailbox, a directory for each level above one.
    Mbox,
    /// No files at all: the mail is gone with its [`Store`](crate::Store). For tests.
    Memory,
}

/// In which order the locks of an mbox are taken. All programs of a host must agree, or wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MboxLocks {
    /// `FILE.lock`, then `fcntl` on the file that then has the name; Dovecot's `mbox_write_locks = dotlock fcntl`.
    #[default]
    DotlockFcntl,
    /// `fcntl`, then `FILE.lock`; Dovecot's `mbox_write_locks = fcntl dotlock`, which is Debian's order.
    FcntlDotlock,
}

/// Where and how an account keeps its mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountConfig {
    /// The directory of INBOX and of every other mailbox; made when it is missing.
    pub root: PathBuf,
    /// How mail is kept in it.
    pub format: Format,
    /// The file of INBOX where mail is kept in mbox files, `/var/mail/USER` say. Maildir does not look at it.
    pub inbox: PathBuf,
    /// Keep CRLF line ends in Maildir files, as Dovecot's `mail_save_crlf`; LF is what Postfix and Dovecot write.
    pub save_crlf: bool,
    /// Keep an index beside each mailbox, so that listing it opens no message. It can be deleted at any time.
    pub index: bool,
    /// This host's name: in file names, and in locks to tell whether their owner can be asked after.
    pub host: String,
    /// How mbox files are locked.
    pub mbox_locks: MboxLocks,
    /// How much the account may hold. Where no rule is for `*`, the limits are those that a `maildirsize` file in
    /// the root tells, if there is one.
    pub quota: Vec<QuotaRule>,
}

impl AccountConfig {
    /// A Maildir++ in `root` as Postfix and Dovecot make it.
    pub fn maildir(root: impl Into<PathBuf>, host: impl Into<String>) -> Self {
        let inbox = PathBuf::new();
        Self {
            root: root.into(),
            format: Format::Maildir,
            inbox,
            save_crlf: false,
            index: true,
            host: host.into(),
            quota: Vec::new(),
            mbox_locks: MboxLocks::default(),
        }
    }

    /// Directories of messages in directories of the mailboxes' names, INBOX in `root` itself.
    pub fn maildir_fs(root: impl Into<PathBuf>, host: impl Into<String>) -> Self {
        Self {
            format: Format::MaildirFs,
            ..Self::maildir(root, host)
        }
    }

    /// Mail in memory; `root` is only what tells this account from others of its [`Store`](crate::Store).
    pub fn memory(root: impl Into<PathBuf>) -> Self {
        Self {
            format: Format::Memory,
            ..Self::maildir(root, "localhost")
        }
    }

    /// Mbox files in `root`, with INBOX elsewhere or in the same directory.
    pub fn mbox(
        root: impl Into<PathBuf>,
        inbox: impl Into<PathBuf>,
        host: impl Into<String>,
    ) -> Self {
        let (root, inbox) = (root.into(), inbox.into());
        Self {
            root,
            format: Format::Mbox,
            inbox,
            save_crlf: false,
            index: true,
            host: host.into(),
            quota: Vec::new(),
            mbox_locks: MboxLocks::default(),
        }
    }
}
