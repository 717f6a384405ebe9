//! What can go wrong: the operation and the path it was done on.

use std::io;
use std::path::{Path, PathBuf};

use crate::quota::QuotaResource;
use crate::spool::QueueId;

/// A failure of the store. Nothing that was acknowledged before is lost by it, and the store stays usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the store's own does not say what it must.
    #[error("{path}: {what} at octet {at}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Another program holds the lock and did not give it back in time.
    #[error("{path} is locked by another program", path = path.display())]
    Locked {
        /// The locked file.
        path: PathBuf,
    },
    /// There is no such mailbox.
    #[error("no mailbox {0:?}")]
    NoSuchMailbox(String),
    /// The mailbox is there already.
    #[error("mailbox {0:?} exists")]
    MailboxExists(String),
    /// The name cannot be a mailbox in this format.
    #[error("mailbox name {name:?}: {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// INBOX can be neither deleted nor made a child of itself.
    #[error("INBOX cannot be deleted")]
    Inbox,
    /// No message of the mailbox has this UID any more.
    #[error("no message with UID {0}")]
    NoSuchMessage(u32),
    /// The mailbox has as many keywords as its format can hold.
    #[error("no room for keyword {0:?}")]
    TooManyKeywords(String),
    /// The name cannot be an entry of metadata.
    #[error("metadata entry {entry:?}: {reason}")]
    InvalidEntry {
        /// The name as given.
        entry: String,
        /// Why not.
        reason: &'static str,
    },
    /// The account has as many entries of metadata as it may have.
    #[error("more than {0} entries of metadata")]
    TooManyEntries(usize),
    /// The account may not hold so much more.
    #[error(
        "{wanted} {resource} more than {used} in mailbox {mailbox:?} would be above the quota of {limit}"
    )]
    OverQuota {
        /// Where they were to go.
        mailbox: String,
        /// What there would be too much of.
        resource: QuotaResource,
        /// So much the account holds.
        used: u64,
        /// So much was to come.
        wanted: u64,
        /// So much it may hold.
        limit: u64,
    },
    /// Every UID of the mailbox has been given; it needs a new UIDVALIDITY.
    #[error("no UIDs left")]
    NoUidsLeft,
    /// The spool has no such message.
    #[error("no message {0} in the spool")]
    NoSuchQueueId(QueueId),
    /// The message of the spool is not claimed, so its state must not change.
    #[error("message {0} is not claimed")]
    NotClaimed(QueueId),
    /// The spool has been closed.
    #[error("the spool is closed")]
    Closed,
    /// The record is larger than the log takes.
    #[error("{octets} octets are too many for one record, {limit} the most")]
    TooLarge {
        /// As large as this.
        octets: usize,
        /// At most this.
        limit: usize,
    },
}

impl Error {
    /// Whether the same call may succeed later with nothing changed: a full or failing disk, a held lock.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Locked { .. } | Self::Closed)
    }

    /// Whether the disk or the user's quota of it is full.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            Self::OverQuota { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the place is not ours to write to.
    pub(crate) fn is_not_allowed(&self) -> bool {
        let kinds = [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
        ];
        matches!(self, Self::Io { source, .. } if kinds.contains(&source.kind()))
    }

    /// Whether a file of the store's own is none that can be read: too long, broken, a symbolic link, a directory, a
    /// pipe or a socket.
    pub(crate) fn is_no_file_of_ours(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Io { source, .. } => {
                // ENXIO: a socket, or a pipe that nobody reads from.
                let codes = [rustix::io::Errno::LOOP, rustix::io::Errno::NXIO];
                source.kind() == io::ErrorKind::IsADirectory
                    || codes
                        .iter()
                        .any(|code| source.raw_os_error() == Some(code.raw_os_error()))
            }
            _ => false,
        }
    }

    /// The same failure for every caller that shared the operation.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Io {
                operation,
                path,
                source,
            } => Self::Io {
                operation,
                path: path.clone(),
                source: match source.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::from(source.kind()),
                },
            },
            Self::Corrupt { path, at, what } => Self::Corrupt {
                path: path.clone(),
                at: *at,
                what,
            },
            Self::Locked { path } => Self::Locked { path: path.clone() },
            Self::NoSuchMailbox(name) => Self::NoSuchMailbox(name.clone()),
            Self::MailboxExists(name) => Self::MailboxExists(name.clone()),
            Self::InvalidName { name, reason } => Self::InvalidName {
                name: name.clone(),
                reason,
            },
            Self::Inbox => Self::Inbox,
            Self::NoSuchMessage(uid) => Self::NoSuchMessage(*uid),
            Self::TooManyKeywords(keyword) => Self::TooManyKeywords(keyword.clone()),
            Self::InvalidEntry { entry, reason } => Self::InvalidEntry {
                entry: entry.clone(),
                reason,
            },
            Self::TooManyEntries(limit) => Self::TooManyEntries(*limit),
            Self::OverQuota {
                mailbox,
                resource,
                used,
                wanted,
                limit,
            } => Self::OverQuota {
                mailbox: mailbox.clone(),
                resource: *resource,
                used: *used,
                wanted: *wanted,
                limit: *limit,
            },
            Self::NoUidsLeft => Self::NoUidsLeft,
            Self::NoSuchQueueId(id) => Self::NoSuchQueueId(*id),
            Self::NotClaimed(id) => Self::NotClaimed(*id),
            Self::Closed => Self::Closed,
            Self::TooLarge { octets, limit } => Self::TooLarge {
                octets: *octets,
                limit: *limit,
            },
        }
    }
}

/// Says what was tried on which path.
pub(crate) trait IoContext<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            operation,
            path: path.to_owned(),
            source,
        })
    }
}
