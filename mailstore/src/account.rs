//! A user's mailboxes: hierarchy, names on the disk, subscriptions.

mod subscriptions;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use crate::durable::{Durable, Fs, Kind, RealFs};
use crate::error::Error;
use crate::mailbox::{Delivery, DeliveryId, Mailbox};
use crate::name;

/// How an account keeps its mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A file for each message, a directory `.A.B` for each mailbox.
    Maildir,
}

/// Where and how an account keeps its mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountConfig {
    /// The directory of INBOX and of every other mailbox; made when it is missing.
    pub root: PathBuf,
    /// How mail is kept in it.
    pub format: Format,
    /// Keep CRLF line ends on the disk, as Dovecot's `mail_save_crlf`; LF is what Postfix and Dovecot write.
    pub save_crlf: bool,
    /// This host's name: in file names, and in locks to tell whether their owner can be asked after.
    pub host: String,
}

impl AccountConfig {
    /// A Maildir++ in `root` as Postfix and Dovecot make it.
    pub fn maildir(root: impl Into<PathBuf>, host: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            format: Format::Maildir,
            save_crlf: false,
            host: host.into(),
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
}

/// What the mailboxes of an account share.
pub(crate) struct Shared {
    pub(crate) durable: Durable,
    pub(crate) root: PathBuf,
    pub(crate) host: String,
    pub(crate) save_crlf: bool,
    uid_validity: Mutex<()>,
}

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
        let path = self.root.join("posthaste-uidvalidity");
        let last = match self.durable.read_maybe(&path, 64)? {
            None => 0,
            Some((content, _)) => {
                let text = String::from_utf8_lossy(&content);
                let last: Result<u32, _> = text.trim_end().parse();
                last.map_err(|_| Error::Corrupt {
                    path: path.clone(),
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
        self.durable
            .replace(&path, format!("{next}\n").as_bytes())?;
        Ok(next)
    }

    /// The directory of a mailbox.
    pub(crate) fn maildir_path(&self, name: &str) -> Result<PathBuf, Error> {
        if name == "INBOX" {
            return Ok(self.root.clone());
        }
        let levels = name::levels(name)?;
        if levels.iter().any(|level| level.contains('.')) {
            let reason = "a dot separates levels in Maildir++ and cannot be in a name";
            return Err(Error::InvalidName {
                name: name.to_owned(),
                reason,
            });
        }
        Ok(self
            .root
            .join(format!(".{}", name::to_utf7(&levels.join(".")))))
    }
}

/// All accounts of a process, so that every session of a user shares one [`Account`].
pub struct Store {
    fs: Arc<dyn Fs>,
    accounts: Mutex<HashMap<PathBuf, Weak<Account>>>,
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
        let account = Arc::new(Account::open(Arc::clone(&self.fs), config)?);
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
    fn open(fs: Arc<dyn Fs>, config: &AccountConfig) -> Result<Self, Error> {
        let durable = Durable::new(fs);
        durable.make_dir(&config.root)?;
        Ok(Self {
            shared: Arc::new(Shared {
                durable,
                root: config.root.clone(),
                host: config.host.clone(),
                save_crlf: config.save_crlf,
                uid_validity: Mutex::default(),
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
        match name::canonical(name).and_then(|name| Ok((self.shared.maildir_path(&name)?, name))) {
            Ok((_, name)) if name == "INBOX" => Ok(true),
            Ok((path, _)) => Ok(self.shared.durable.stat_maybe(&path.join("cur"))?.is_some()),
            Err(Error::InvalidName { .. }) => Ok(false),
            Err(error) => Err(error),
        }
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
        let path = self.shared.maildir_path(&name)?;
        if self.shared.durable.stat_maybe(&path.join("cur"))?.is_none() {
            if name != "INBOX" {
                return Err(Error::NoSuchMailbox(name));
            }
            make_folder(&self.shared.durable, &path)?;
        }
        let mailbox = Arc::new(Mailbox::new(&self.shared, name.clone(), path));
        mailboxes.retain(|_, mailbox| mailbox.strong_count() > 0);
        mailboxes.insert(name, Arc::downgrade(&mailbox));
        Ok(mailbox)
    }

    /// Every mailbox and every level above one, in the order of their names, INBOX first. A directory whose name
    /// is no modified UTF-7 is not told.
    ///
    /// # Errors
    /// The disk fails.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut names: BTreeMap<Vec<String>, bool> = BTreeMap::new();
        for name in self.existing()? {
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
        let mut iter = names.into_iter().peekable();
        while let Some((levels, selectable)) = iter.next() {
            // Children follow their parent in this order.
            let has_children = iter
                .peek()
                .is_some_and(|(next, _)| next.starts_with(&levels));
            listed.push(Listed {
                name: levels.join("/"),
                selectable,
                has_children,
            });
        }
        listed.sort_by_key(|listed| listed.name != "INBOX");
        Ok(listed)
    }

    /// Names of the mailboxes that have a directory, INBOX aside.
    fn existing(&self) -> Result<Vec<String>, Error> {
        let mut found: Vec<OsString> = Vec::new();
        self.shared
            .durable
            .readdir(&self.shared.root, |name, kind| {
                if kind != Kind::File {
                    found.push(name.to_owned());
                }
            })?;
        let mut names = Vec::new();
        for file_name in found {
            let Some(levels) = file_name.to_str().and_then(|name| name.strip_prefix('.')) else {
                continue;
            };
            let Some(name) = name::from_utf7(levels).filter(|name| !name.contains('/')) else {
                continue;
            };
            let name = name.replace('.', "/");
            if name::canonical(&name).is_ok_and(|canonical| canonical == name && name != "INBOX")
                && self
                    .shared
                    .durable
                    .stat_maybe(&self.shared.root.join(&file_name).join("cur"))?
                    .is_some()
            {
                names.push(name);
            }
        }
        Ok(names)
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
        let path = self.shared.maildir_path(&name)?;
        if name == "INBOX" || self.shared.durable.stat_maybe(&path.join("cur"))?.is_some() {
            return Err(Error::MailboxExists(name));
        }
        make_folder(&self.shared.durable, &path)
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
        let path = self.shared.maildir_path(&name)?;
        if durable.stat_maybe(&path.join("cur"))?.is_none() {
            return Err(Error::NoSuchMailbox(name));
        }
        if let Some(mailbox) = mailboxes
            .remove(&name)
            .and_then(|mailbox| mailbox.upgrade())
        {
            mailbox.retire();
        }
        // One rename takes it away whole; what a crash leaves of it is removed by the next delete.
        let trash = self.shared.root.join(TRASH);
        remove_tree(durable, &trash)?;
        durable.rename(&path, &trash)?;
        durable.sync_dir(&self.shared.root)?;
        remove_tree(durable, &trash)
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
        for name in self.existing()? {
            let Some(rest) = name
                .strip_prefix(&from)
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            else {
                continue;
            };
            let target = format!("{to}{rest}");
            let path = self.shared.maildir_path(&target)?;
            name::levels(&target)?;
            if self.shared.durable.stat_maybe(&path)?.is_some() {
                return Err(Error::MailboxExists(target));
            }
            moves.push((name.clone(), self.shared.maildir_path(&name)?, path));
        }
        if moves.is_empty() {
            return Err(Error::NoSuchMailbox(from));
        }
        for (name, path, target) in moves {
            if let Some(mailbox) = mailboxes
                .remove(&name)
                .and_then(|mailbox| mailbox.upgrade())
            {
                mailbox.retire();
            }
            self.shared.durable.rename(&path, &target)?;
        }
        self.shared.durable.sync_dir(&self.shared.root)
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

/// A deleted mailbox on its way out. Two dots: no mailbox has such a name.
const TRASH: &str = "..posthaste-deleted";

/// `cur` comes last: a folder without it is one that was never finished.
fn make_folder(durable: &Durable, path: &Path) -> Result<(), Error> {
    durable.make_dir(path)?;
    durable.make_dir(&path.join("tmp"))?;
    durable.make_dir(&path.join("new"))?;
    let marker = path.join("maildirfolder");
    if path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
        && durable.stat_maybe(&marker)?.is_none()
    {
        // Tells delivery agents that the quota is kept in the directory above.
        durable.create(&marker)?;
    }
    durable.make_dir(&path.join("cur"))?;
    Ok(())
}

/// Removes a directory and all in it; nothing when it is not there.
fn remove_tree(durable: &Durable, path: &Path) -> Result<(), Error> {
    let mut names: Vec<(PathBuf, Kind)> = Vec::new();
    match durable.readdir(path, |name, kind| names.push((path.join(name), kind))) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    }
    for (path, kind) in names {
        if kind == Kind::Directory {
            remove_tree(durable, &path)?;
        } else {
            durable.remove(&path)?;
        }
    }
    durable.remove_dir(path)
}
