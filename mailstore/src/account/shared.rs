//! What the mailboxes of an account share: the disk, and where each mailbox is on it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::{AccountConfig, Format, MboxLocks, maildir, maildir_fs, mbox};
use crate::delivered::Deliveries;
use crate::durable::{Durable, Fs, Kind};
use crate::error::Error;
use crate::lock::DotLock;
use crate::quota::Ledger;
use crate::{memory, name};

/// What the mailboxes of an account share.
pub(crate) struct Shared {
    pub(crate) durable: Durable,
    pub(crate) root: PathBuf,
    pub(crate) host: String,
    pub(crate) save_crlf: bool,
    pub(crate) index: bool,
    pub(crate) format: Format,
    inbox: PathBuf,
    uid_validity: Mutex<()>,
    pub(crate) deliveries: Deliveries,
    pub(crate) quota: Ledger,
    pub(crate) mbox_locks: MboxLocks,
    memory: Arc<memory::Root>,
}

/// Where a mailbox is.
#[derive(Clone, Debug)]
pub(crate) enum Site {
    /// Its directory.
    Maildir(PathBuf),
    /// Its files.
    Mbox(crate::mbox::Site),
    /// Its name.
    Memory(String),
}

/// The file of the last UIDVALIDITY that was given.
const UID_VALIDITY: &str = "posthaste-uidvalidity";

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Shared {
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        config: &AccountConfig,
        memory: Arc<memory::Root>,
    ) -> Result<Self, Error> {
        let durable = Durable::new(fs);
        if config.format != Format::Memory {
            durable.make_dir(&config.root)?;
        }
        Ok(Self {
            durable,
            root: config.root.clone(),
            host: config.host.clone(),
            save_crlf: config.save_crlf,
            index: config.index,
            format: config.format,
            inbox: config.inbox.clone(),
            uid_validity: Mutex::default(),
            deliveries: Deliveries::default(),
            quota: Ledger::new(config.quota.clone()),
            mbox_locks: config.mbox_locks,
            memory,
        })
    }

    /// A number that this process gives once.
    pub(crate) fn count(&self) -> u64 {
        COUNT.fetch_add(1, Ordering::Relaxed)
    }

    /// A UIDVALIDITY above all the account gave before, so that a mailbox made anew is never taken for one that
    /// had its name.
    pub(crate) fn next_uid_validity(&self, now: SystemTime) -> Result<u32, Error> {
        let _guard = self
            .uid_validity
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_own(UID_VALIDITY, now)?;
        let last: u32 = match self.read_own(UID_VALIDITY, 64) {
            Ok(None) => 0,
            // What nobody can read must not hide the mail: the time alone makes the next one new.
            Ok(Some(content)) => String::from_utf8_lossy(&content)
                .trim_end()
                .parse()
                .unwrap_or(0),
            Err(Error::Corrupt { .. }) => 0,
            Err(error) => return Err(error),
        };
        let seconds = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let next = u32::try_from(seconds)
            .unwrap_or(u32::MAX - 1)
            .max(last.saturating_add(1))
            .max(1);
        self.replace_own(UID_VALIDITY, format!("{next}\n").as_bytes())?;
        Ok(next)
    }

    pub(crate) fn memory(&self) -> &memory::Root {
        &self.memory
    }

    /// A file of the account's own, in its root; `None` when there is none.
    pub(crate) fn read_own(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        if self.format == Format::Memory {
            return Ok(self.memory.read(name));
        }
        let read = self.durable.read_maybe(&self.root.join(name), limit)?;
        Ok(read.map(|(content, _)| content))
    }

    pub(crate) fn replace_own(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        if self.format == Format::Memory {
            self.memory.replace(name, content);
            return Ok(());
        }
        self.durable.replace(&self.root.join(name), content)
    }

    /// The lock of such a file.
    pub(crate) fn lock_own(&self, name: &str, now: SystemTime) -> Result<Option<DotLock>, Error> {
        if self.format == Format::Memory {
            return Ok(None);
        }
        let path = self.root.join(format!("{name}.lock"));
        DotLock::acquire(&self.durable, path, &self.host, now).map(Some)
    }

    /// Where the mailbox of a canonical name is, whether it exists or not.
    pub(crate) fn site(&self, name: &str) -> Result<Site, Error> {
        match self.format {
            Format::Maildir => maildir::directory(&self.root, name).map(Site::Maildir),
            Format::MaildirFs => maildir_fs::directory(&self.root, name).map(Site::Maildir),
            Format::Mbox => mbox::site(&self.root, &self.inbox, name).map(Site::Mbox),
            Format::Memory => name::levels(name).map(|_| Site::Memory(name.to_owned())),
        }
    }

    pub(super) fn site_exists(&self, site: &Site) -> Result<bool, Error> {
        match site {
            Site::Maildir(directory) => {
                Ok(self.durable.stat_maybe(&directory.join("cur"))?.is_some())
            }
            Site::Mbox(site) => Ok(self
                .durable
                .stat_maybe(&site.file)?
                .is_some_and(|stat| stat.kind == Kind::File)),
            Site::Memory(name) => Ok(self.memory.has(name)),
        }
    }

    /// Names of the mailboxes there are, INBOX aside.
    pub(crate) fn existing(&self) -> Result<Vec<String>, Error> {
        match self.format {
            Format::Maildir => maildir::existing(&self.durable, &self.root),
            Format::MaildirFs => maildir_fs::existing(&self.durable, &self.root),
            Format::Mbox => mbox::existing(&self.durable, &self.root, &self.inbox),
            Format::Memory => Ok(self.memory.existing()),
        }
    }

    pub(super) fn make(&self, site: &Site) -> Result<(), Error> {
        match site {
            Site::Maildir(directory) if self.format == Format::MaildirFs => {
                maildir_fs::make(&self.durable, directory)
            }
            Site::Maildir(directory) => maildir::make(&self.durable, &self.root, directory),
            Site::Mbox(site) => mbox::make(&self.durable, site),
            Site::Memory(name) => self.memory.make(name),
        }
    }
}
