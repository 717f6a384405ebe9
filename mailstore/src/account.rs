//! A user's mailboxes: hierarchy, names on the disk, subscriptions.

mod foreign;
mod maildir;
mod maildir_fs;
mod mbox;
mod subscriptions;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

pub(crate) use foreign::{foreign_maildirs, foreign_mboxes};

use crate::append::{Delivery, DeliveryId};
use crate::delivered::Deliveries;
use crate::durable::{Durable, Fs, Kind, RealFs};
use crate::error::Error;
use crate::lock::DotLock;
use crate::mailbox::Mailbox;
use crate::quota::{Ledger, QuotaLimits, QuotaRule, QuotaUsed};
use crate::{acl, memory, metadata, name};

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
    /// No files at all: the mail is gone with its [`Store`]. For tests.
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

    /// Mail in memory; `root` is only what tells this account from others of its [`Store`].
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

/// One mailbox of [`Account::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, `/` between levels.
    pub name: String,
    /// Whether it can be opened; a level that only has children cannot.
    pub selectable: bool,
    /// Whether there are mailboxes below it.
    pub has_children: bool,
    /// What it is for (RFC 6154 §2), as [`Account::set_special_use`] said.
    pub special_use: Option<String>,
}

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

/// Directories that are looked into for mailboxes at most: links that lead in circles would else be followed without end.
const LEVELS: usize = 1 << 16;

fn count_level(directory: &Path, left: &mut usize) -> Result<(), Error> {
    *left = left.checked_sub(1).ok_or_else(|| Error::Corrupt {
        path: directory.to_owned(),
        at: 0,
        what: "more than 65,536 levels of mailboxes",
    })?;
    Ok(())
}

/// Where no time is told: only locks of dead processes are broken, not old ones.
const NO_CLOCK: SystemTime = SystemTime::UNIX_EPOCH;

/// The file of the last UIDVALIDITY that was given.
const UID_VALIDITY: &str = "posthaste-uidvalidity";

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Shared {
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
        let last = match self.read_own(UID_VALIDITY, 64)? {
            None => 0,
            Some(content) => {
                let text = String::from_utf8_lossy(&content);
                let last: Result<u32, _> = text.trim_end().parse();
                last.map_err(|_| Error::Corrupt {
                    path: self.root.join(UID_VALIDITY),
                    at: 0,
                    what: "no number",
                })?
            }
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

    fn site_exists(&self, site: &Site) -> Result<bool, Error> {
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

    fn make(&self, site: &Site) -> Result<(), Error> {
        match site {
            Site::Maildir(directory) if self.format == Format::MaildirFs => {
                maildir_fs::make(&self.durable, directory)
            }
            Site::Maildir(directory) => maildir::make(&self.durable, directory),
            Site::Mbox(site) => mbox::make(&self.durable, site),
            Site::Memory(name) => self.memory.make(name),
        }
    }
}

/// All accounts of a process, so that every session of a user shares one [`Account`].
pub struct Store {
    fs: Arc<dyn Fs>,
    accounts: Mutex<HashMap<PathBuf, Weak<Account>>>,
    memory: Mutex<HashMap<PathBuf, Arc<memory::Root>>>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// Over the operating system's files.
    pub fn new() -> Self {
        Self::with_fs(Arc::new(RealFs))
    }

    /// Over another file system.
    pub fn with_fs(fs: Arc<dyn Fs>) -> Self {
        Self {
            fs,
            accounts: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// The account of this root: the one that is open, or else a new one. It stays open while somebody holds it.
    ///
    /// # Errors
    /// The root cannot be made.
    pub fn account(&self, config: &AccountConfig) -> Result<Arc<Account>, Error> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&config.root).and_then(Weak::upgrade) {
            return Ok(account);
        }
        let mut memory = Arc::default();
        if config.format == Format::Memory {
            let mut roots = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory = Arc::clone(roots.entry(config.root.clone()).or_default());
        }
        let account = Arc::new(Account::open(Arc::clone(&self.fs), config, memory)?);
        accounts.retain(|_, account| account.strong_count() > 0);
        accounts.insert(config.root.clone(), Arc::downgrade(&account));
        Ok(account)
    }
}

/// A user's mailboxes. INBOX is always there; its name is told in capitals and taken in any case.
///
/// A process opens each account once (see [`Store`]): two `Account`s of one root would not see each other's
/// changes until the next refresh.
pub struct Account {
    shared: Arc<Shared>,
    mailboxes: Mutex<HashMap<String, Weak<Mailbox>>>,
}

impl Account {
    fn open(
        fs: Arc<dyn Fs>,
        config: &AccountConfig,
        memory: Arc<memory::Root>,
    ) -> Result<Self, Error> {
        let durable = Durable::new(fs);
        if config.format != Format::Memory {
            durable.make_dir(&config.root)?;
        }
        Ok(Self {
            shared: Arc::new(Shared {
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
            }),
            mailboxes: Mutex::default(),
        })
    }

    /// The handle that all sessions of the mailbox share, up to date as of its opening or last refresh.
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], [`Error::InvalidName`], or the disk fails.
    pub fn mailbox(&self, name: &str, now: SystemTime) -> Result<Arc<Mailbox>, Error> {
        let mailbox = self.handle(name)?;
        mailbox.ensure_open(now)?;
        Ok(mailbox)
    }

    /// Begins a delivery without opening the mailbox: its size does not matter.
    ///
    /// # Errors
    /// As [`mailbox`](Self::mailbox).
    pub fn deliver(&self, name: &str, id: DeliveryId, now: SystemTime) -> Result<Delivery, Error> {
        self.handle(name)?.deliver(id, now)
    }

    /// Whether there is a mailbox of this name that can be opened.
    ///
    /// # Errors
    /// The disk fails. A name that cannot be one is no error.
    pub fn exists(&self, name: &str) -> Result<bool, Error> {
        match name::canonical(name).and_then(|name| Ok((self.shared.site(&name)?, name))) {
            Ok((_, name)) if name == "INBOX" => Ok(true),
            Ok((site, _)) => self.shared.site_exists(&site),
            Err(Error::InvalidName { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The files of a mailbox that there is.
    pub(crate) fn existing_site(&self, name: &str) -> Result<Site, Error> {
        let name = name::canonical(name)?;
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            if name != "INBOX" {
                return Err(Error::NoSuchMailbox(name));
            }
            self.shared.make(&site)?;
        }
        Ok(site)
    }

    fn handle(&self, name: &str) -> Result<Arc<Mailbox>, Error> {
        let name = name::canonical(name)?;
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = mailboxes.get(&name).and_then(Weak::upgrade) {
            return Ok(mailbox);
        }
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            if name != "INBOX" {
                return Err(Error::NoSuchMailbox(name));
            }
            self.shared.make(&site)?;
        }
        let mailbox = Arc::new(Mailbox::new(&self.shared, name.clone(), site));
        mailboxes.retain(|_, mailbox| mailbox.strong_count() > 0);
        mailboxes.insert(name, Arc::downgrade(&mailbox));
        Ok(mailbox)
    }

    /// Every mailbox and every level above one, in the order of their names, INBOX first. A name on the disk that is
    /// no modified UTF-7 is told with `\u{FFFD}` and two hexadecimal digits for each octet that is to blame, and
    /// can be opened by that.
    ///
    /// # Errors
    /// The disk fails.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut names: BTreeMap<Vec<String>, bool> = BTreeMap::new();
        for name in self.shared.existing()? {
            let levels: Vec<String> = name.split('/').map(str::to_owned).collect();
            for above in 1..levels.len() {
                names
                    .entry(levels.get(..above).unwrap_or_default().to_vec())
                    .or_insert(false);
            }
            names.insert(levels, true);
        }
        names.insert(vec!["INBOX".to_owned()], true);
        let mut listed: Vec<Listed> = Vec::with_capacity(names.len());
        let mut uses = metadata::special_uses(&self.shared)?;
        let mut iter = names.into_iter().peekable();
        while let Some((levels, selectable)) = iter.next() {
            // Children follow their parent in this order.
            let has_children = iter
                .peek()
                .is_some_and(|(next, _)| next.starts_with(&levels));
            let name = levels.join("/");
            listed.push(Listed {
                special_use: uses.remove(&name),
                name,
                selectable,
                has_children,
            });
        }
        listed.sort_by_key(|listed| listed.name != "INBOX");
        Ok(listed)
    }

    /// Makes a mailbox. Levels above it need not exist.
    ///
    /// # Errors
    /// [`Error::MailboxExists`], [`Error::InvalidName`], or the disk fails.
    pub fn create(&self, name: &str) -> Result<(), Error> {
        let name = name::canonical(name)?;
        let _mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let site = self.shared.site(&name)?;
        if name == "INBOX" || self.shared.site_exists(&site)? {
            return Err(Error::MailboxExists(name));
        }
        if let Site::Mbox(site) = &site {
            mbox::check_levels(&self.shared.durable, &self.shared.root, site, &name)?;
            mbox::forget(&self.shared.durable, site)?;
        }
        // What was said of an earlier mailbox of the name, and could not be taken back in time.
        metadata::forget(&self.shared, &name, NO_CLOCK)?;
        self.shared.make(&site)?;
        if let Some((above, _)) = name.rsplit_once('/') {
            acl::inherit(&self.shared, &self.shared.site(above)?, &site)?;
        }
        Ok(())
    }

    /// Makes a mailbox that is to take over the UIDs of another one, unless it has messages or UIDs of its own.
    pub(crate) fn create_as(
        &self,
        name: &str,
        uid_validity: u32,
        now: SystemTime,
    ) -> Result<(), Error> {
        let name = name::canonical(name)?;
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if mailboxes
            .get(&name)
            .is_some_and(|known| known.strong_count() > 0)
        {
            return Ok(());
        }
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            self.shared.make(&site)?;
        }
        match &site {
            Site::Maildir(folder) => {
                crate::maildir::begin_as(&self.shared, folder, uid_validity, now)
            }
            Site::Mbox(site) => crate::mbox::begin_as(&self.shared, site, uid_validity, now),
            Site::Memory(name) => self.shared.memory.begin_as(name, uid_validity),
        }
    }

    /// Removes a mailbox and its messages; those below it stay.
    ///
    /// # Errors
    /// [`Error::Inbox`], [`Error::NoSuchMailbox`], or the disk fails.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        let name = name::canonical(name)?;
        if name == "INBOX" {
            return Err(Error::Inbox);
        }
        let durable = &self.shared.durable;
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            return Err(Error::NoSuchMailbox(name));
        }
        if let Some(mailbox) = mailboxes
            .remove(&name)
            .and_then(|mailbox| mailbox.upgrade())
        {
            mailbox.retire();
        }
        acl::forget(&self.shared, &site)?;
        match site {
            Site::Maildir(directory) if self.shared.format == Format::MaildirFs => {
                maildir_fs::delete(durable, &self.shared.root, &directory)
            }
            Site::Maildir(directory) => maildir::delete(durable, &self.shared.root, &directory),
            Site::Mbox(site) => {
                crate::mbox::settle(&self.shared, &site, NO_CLOCK)?;
                mbox::delete(durable, &self.shared.root, &site)
            }
            Site::Memory(name) => {
                self.shared.memory.delete(&name);
                Ok(())
            }
        }?;
        metadata::forget(&self.shared, &name, NO_CLOCK)?;
        self.shared.quota.doubt(&self.shared)
    }

    /// Gives a mailbox, and those below it, another name. INBOX itself stays: its messages move to the new
    /// mailbox (RFC 9051 §6.3.6).
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], [`Error::MailboxExists`], [`Error::InvalidName`], or the disk fails.
    pub fn rename(&self, from: &str, to: &str, now: SystemTime) -> Result<(), Error> {
        let (from, to) = (name::canonical(from)?, name::canonical(to)?);
        if self.exists(&to)? {
            return Err(Error::MailboxExists(to));
        }
        if from == "INBOX" {
            self.create(&to)?;
            let inbox = self.mailbox("INBOX", now)?;
            let uids: Vec<u32> = inbox
                .refresh(now)?
                .messages()
                .iter()
                .map(|message| message.uid)
                .collect();
            inbox.move_to(&uids, &*self.mailbox(&to, now)?, now)?;
            return Ok(());
        }
        let below = format!("{from}/");
        if to.starts_with(&below) {
            return Err(Error::InvalidName {
                name: to,
                reason: "a mailbox cannot go below itself",
            });
        }
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut moves = Vec::new();
        for name in self.shared.existing()? {
            let Some(rest) = name
                .strip_prefix(&from)
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            else {
                continue;
            };
            let target = format!("{to}{rest}");
            let site = self.shared.site(&name::canonical(&target)?)?;
            if self.shared.site_exists(&site)? {
                return Err(Error::MailboxExists(target));
            }
            if let Site::Mbox(site) = &site {
                mbox::check_levels(&self.shared.durable, &self.shared.root, site, &target)?;
            }
            moves.push((name.clone(), self.shared.site(&name)?, site));
        }
        if moves.is_empty() {
            return Err(Error::NoSuchMailbox(from));
        }
        for (name, _, _) in &moves {
            if let Some(mailbox) = mailboxes.remove(name).and_then(|mailbox| mailbox.upgrade()) {
                mailbox.retire();
            }
        }
        metadata::copy(&self.shared, &from, &to, now)?;
        if self.shared.format == Format::MaildirFs {
            // The directory takes those below it along.
            let root = &self.shared.root;
            maildir_fs::rename(&self.shared.durable, root, &from, &to)?;
            moves.clear();
        }
        for (_, site, target) in moves {
            acl::renamed(&self.shared, &site, &target)?;
            match (site, target) {
                (Site::Maildir(from), Site::Maildir(to)) => {
                    self.shared.durable.rename(&from, &to)?
                }
                (Site::Mbox(from), Site::Mbox(to)) => {
                    crate::mbox::settle(&self.shared, &from, now)?;
                    mbox::rename(&self.shared.durable, &self.shared.root, &from, &to)?
                }
                (Site::Memory(from), Site::Memory(to)) => self.shared.memory.rename(&from, &to),
                _ => {}
            }
        }
        if self.shared.format != Format::Memory {
            self.shared.durable.sync_dir(&self.shared.root)?;
        }
        metadata::forget_below(&self.shared, &from, now)?;
        if self.shared.quota.knows_names() {
            self.shared.quota.doubt(&self.shared)?;
        }
        Ok(())
    }

    /// The account's limits and what it holds; `None` where nothing is limited. What other programs put in without
    /// counting it is not told until it is counted anew.
    ///
    /// # Errors
    /// The disk fails.
    pub fn quota(&self, now: SystemTime) -> Result<Option<(QuotaLimits, QuotaUsed)>, Error> {
        self.shared.quota.usage(&self.shared, now)
    }

    /// Names of the subscribed mailboxes, whether they exist or not, in the order of the file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn subscriptions(&self) -> Result<Vec<String>, Error> {
        subscriptions::read(&self.shared)
    }

    /// Subscribes to a name or gives the subscription up; true when that changed something.
    ///
    /// # Errors
    /// [`Error::InvalidName`], or the disk fails.
    pub fn subscribe(&self, name: &str, subscribed: bool, now: SystemTime) -> Result<bool, Error> {
        let name = name::canonical(name)?;
        subscriptions::change(&self.shared, &name, subscribed, now)
    }
}
