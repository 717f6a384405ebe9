//! Mail on this host's disk, through `mailstore`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mailstore::{AccountConfig, AppendOptions, Error, Format};
use tokio::sync::Notify;

use super::memory::Memory;
use super::reader::LocalReader;
use super::scripts::{LocalScripts, ScriptPlace};
use super::{
    Account, Appended, Appender, BoxFuture, Changes, Copied, DeliveryId, Digested, Filter,
    FlagChange, MailStore, Mailbox, MailboxInfo, MessageReader, NewMessage, Procmailrc,
    QuotaLimits, QuotaUsed, Scripts, Snapshot, StoreError, StoreResult,
};
use crate::blocking::Blocking;

/// Where one user's mail and scripts are.
#[derive(Debug, Clone)]
pub struct AccountPlace {
    /// The mail.
    pub mail: AccountConfig,
    /// Where the user's other files are.
    pub home: PathBuf,
    /// The user's own filter; the first that is there counts.
    pub filters: Vec<(FilterKind, PathBuf)>,
    /// Sieve scripts, or folders of them, that run before it.
    pub before: Vec<PathBuf>,
    /// Sieve scripts, or folders of them, that run after it.
    pub after: Vec<PathBuf>,
    /// Where the user's own Sieve scripts are.
    pub scripts: Option<ScriptPlace>,
    /// Mailboxes that are made at the first use, with their special uses.
    pub autocreate: Vec<(String, Option<String>)>,
}

/// What a file of [`AccountPlace::filters`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// A Sieve script.
    Sieve,
    /// A procmailrc.
    Procmail,
}

type Places = dyn Fn(&str) -> StoreResult<AccountPlace> + Send + Sync;

/// All accounts of this host.
pub struct LocalStore {
    store: Arc<mailstore::Store>,
    places: Arc<Places>,
    blocking: Blocking,
    accounts: Mutex<HashMap<String, Arc<LocalAccount>>>,
}

impl LocalStore {
    /// A store whose accounts are where `places` says.
    pub fn new(
        blocking: Blocking,
        places: impl Fn(&str) -> StoreResult<AccountPlace> + Send + Sync + 'static,
    ) -> Self {
        Self {
            store: Arc::new(mailstore::Store::new()),
            places: Arc::new(places),
            blocking,
            accounts: Mutex::default(),
        }
    }
}

impl MailStore for LocalStore {
    fn account<'a>(&'a self, user: &'a str) -> BoxFuture<'a, StoreResult<Arc<dyn Account>>> {
        Box::pin(async move {
            let open = || self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(account) = open().get(user) {
                return Ok(Arc::clone(account) as Arc<dyn Account>);
            }
            let (places, name) = (Arc::clone(&self.places), user.to_owned());
            let store = Arc::clone(&self.store);
            // Finding the place may make folders.
            let made = move || prepare(&store, places(&name)?);
            let made = self.blocking.run(made).await;
            let (account, place) = made.ok_or_else(stopping)??;
            let account = Arc::new(LocalAccount {
                memory: Arc::new(Mutex::new(Memory::new(place.home.join(MEMORY)))),
                account,
                scripts: place
                    .scripts
                    .clone()
                    .map(|place| LocalScripts::new(place, self.blocking.clone())),
                place,
                blocking: self.blocking.clone(),
            });
            let mut accounts = open();
            let account = accounts.entry(user.to_owned()).or_insert(account);
            Ok(Arc::clone(account) as Arc<dyn Account>)
        })
    }
}

/// Opens an account and makes the mailboxes that each one has.
fn prepare(
    store: &mailstore::Store,
    place: AccountPlace,
) -> StoreResult<(Arc<mailstore::Account>, AccountPlace)> {
    let account = store.account(&place.mail).map_err(from_mailstore)?;
    let fresh = account.list().map_err(from_mailstore)?.len() <= 1;
    for (name, _) in place.autocreate.iter().filter(|_| fresh) {
        match account.create(name) {
            Ok(()) | Err(Error::MailboxExists(_)) => {}
            Err(error) => return Err(from_mailstore(error)),
        }
        account
            .subscribe(name, true, SystemTime::now())
            .map_err(from_mailstore)?;
    }
    Ok((account, place))
}

/// The file in a user's home that [`Account::remember`] writes.
const MEMORY: &str = ".posthaste.remembered";

struct LocalAccount {
    account: Arc<mailstore::Account>,
    memory: Arc<Mutex<Memory>>,
    place: AccountPlace,
    scripts: Option<LocalScripts>,
    blocking: Blocking,
}

impl LocalAccount {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mailstore::Account) -> Result<T, Error> + Send + 'static,
    ) -> StoreResult<T> {
        let account = Arc::clone(&self.account);
        let ran = self.blocking.run(move || work(&account)).await;
        ran.ok_or_else(stopping)?.map_err(from_mailstore)
    }

    async fn recall<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> io::Result<T> + Send + 'static,
    ) -> StoreResult<T> {
        let memory = Arc::clone(&self.memory);
        let work = move || work(&mut memory.lock().unwrap_or_else(PoisonError::into_inner));
        let ran = self.blocking.run(work).await;
        ran.ok_or_else(stopping)?
            .map_err(|error| StoreError::Storage(error.to_string()))
    }

    fn special_use(&self, name: &str) -> Option<String> {
        let (_, special_use) = self.place.autocreate.iter().find(|(own, _)| own == name)?;
        special_use.clone()
    }
}

impl Account for LocalAccount {
    fn mailboxes(&self) -> BoxFuture<'_, StoreResult<Vec<MailboxInfo>>> {
        Box::pin(async {
            let listed = self.run(|account| account.list()).await?;
            let info = |listed: mailstore::Listed| MailboxInfo {
                special_use: listed
                    .special_use
                    .or_else(|| self.special_use(&listed.name)),
                name: listed.name,
                selectable: listed.selectable,
            };
            Ok(listed.into_iter().map(info).collect())
        })
    }

    fn subscriptions(&self) -> BoxFuture<'_, StoreResult<Vec<String>>> {
        Box::pin(self.run(|account| account.subscriptions()))
    }

    fn create<'a>(
        &'a self,
        name: &'a str,
        special_use: Option<&'a str>,
    ) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(async move {
            let special_use = special_use
                .filter(|special_use| self.special_use(name).as_deref() != Some(*special_use))
                .map(str::to_owned);
            let name = name.to_owned();
            self.run(move |account| {
                account.create(&name)?;
                match special_use {
                    // Without its use, what was asked for is not there.
                    Some(special_use) => account
                        .set_special_use(&name, Some(&special_use), SystemTime::now())
                        .inspect_err(|_| drop(account.delete(&name))),
                    None => Ok(()),
                }
            })
            .await
        })
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, StoreResult<()>> {
        let name = name.to_owned();
        Box::pin(self.run(move |account| account.delete(&name)))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, StoreResult<()>> {
        let (from, to) = (from.to_owned(), to.to_owned());
        Box::pin(self.run(move |account| account.rename(&from, &to, SystemTime::now())))
    }

    fn subscribe<'a>(&'a self, name: &'a str, subscribed: bool) -> BoxFuture<'a, StoreResult<()>> {
        let name = name.to_owned();
        Box::pin(async move {
            let now = SystemTime::now();
            self.run(move |account| account.subscribe(&name, subscribed, now))
                .await
                .map(|_| ())
        })
    }

    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, StoreResult<Arc<dyn Mailbox>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let mailbox = self
                .run(move |account| account.mailbox(&name, SystemTime::now()))
                .await?;
            let mailbox: Arc<dyn Mailbox> = Arc::new(LocalMailbox {
                mailbox,
                account: Arc::clone(&self.account),
                blocking: self.blocking.clone(),
            });
            Ok(mailbox)
        })
    }

    fn exists<'a>(&'a self, name: &'a str) -> BoxFuture<'a, StoreResult<bool>> {
        let name = name.to_owned();
        Box::pin(self.run(move |account| account.exists(&name)))
    }

    fn annotation<'a>(
        &'a self,
        mailbox: Option<&'a str>,
        entry: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<Vec<u8>>>> {
        let mailbox = mailbox.map(str::to_owned);
        let entry = entry.to_owned();
        Box::pin(self.run(move |account| {
            let mailbox = mailbox.as_deref();
            if let Some(name) = mailbox
                && !account.exists(name)?
            {
                return Ok(None);
            }
            let mut entries = account.metadata(mailbox)?.into_iter();
            // Entries have no case (RFC 5464 §4.1).
            let found = entries.find(|(known, _)| known.eq_ignore_ascii_case(&entry));
            Ok(found.map(|(_, value)| value))
        }))
    }

    fn deliver<'a>(
        &'a self,
        name: &'a str,
        id: DeliveryId,
    ) -> BoxFuture<'a, StoreResult<Box<dyn Appender>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let id = mailstore::DeliveryId {
                id: id.id,
                arrived: id.arrived,
                maybe_delivered: id.maybe_delivered,
            };
            let appender: Box<dyn Appender> = Box::new(LocalAppender {
                target: Target::Delivery(Arc::clone(&self.account), name, id),
                held: Vec::new(),
                held_octets: 0,
                open: None,
                blocking: self.blocking.clone(),
            });
            Ok(appender)
        })
    }

    fn quota(&self) -> BoxFuture<'_, StoreResult<Option<(QuotaLimits, QuotaUsed)>>> {
        Box::pin(self.run(|account| account.quota(SystemTime::now())))
    }

    fn remembers<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, StoreResult<bool>> {
        let key = key.to_vec();
        Box::pin(self.recall(move |memory| memory.knows(&key, SystemTime::now())))
    }

    fn remember<'a>(&'a self, key: &'a [u8], period: Duration) -> BoxFuture<'a, StoreResult<()>> {
        let key = key.to_vec();
        Box::pin(self.recall(move |memory| memory.remember(&key, SystemTime::now(), period)))
    }

    fn filters(&self) -> BoxFuture<'_, StoreResult<Vec<Filter>>> {
        let place = self.place.clone();
        Box::pin(async move {
            let read = self.blocking.run(move || read_filters(&place));
            read.await.ok_or_else(stopping)
        })
    }

    fn scripts(&self) -> Option<&dyn Scripts> {
        let scripts = self.scripts.as_ref()?;
        Some(scripts)
    }
}

/// The scripts of a delivery. One that cannot be read is told of and left out:
/// the others still have their say.
fn read_filters(place: &AccountPlace) -> Vec<Filter> {
    let of_all = |paths: &[PathBuf]| -> Vec<Filter> {
        let scripts = paths.iter().flat_map(|path| scripts_of(path));
        scripts
            .filter_map(|path| told(read_script(&path)))
            .map(Filter::Sieve)
            .collect()
    };
    let mut filters = of_all(&place.before);
    for (kind, path) in &place.filters {
        let text = match read_script(path) {
            Ok(None) => continue,
            text => told(text),
        };
        filters.extend(text.map(|text| match kind {
            FilterKind::Sieve => Filter::Sieve(text),
            FilterKind::Procmail => Filter::Procmail(Procmailrc {
                text,
                home: place.home.clone(),
                mail: place.mail.root.clone(),
                inbox: (place.mail.format == Format::Mbox).then(|| place.mail.inbox.clone()),
            }),
        }));
        break;
    }
    filters.extend(of_all(&place.after));
    filters
}

fn told(read: io::Result<Option<Bytes>>) -> Option<Bytes> {
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, "a filter is left out");
        None
    })
}

/// A script, or those of a folder in the order of their names.
fn scripts_of(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return vec![path.to_owned()];
    };
    let mut scripts: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "sieve")
        })
        .collect();
    scripts.sort();
    scripts
}

/// A script longer than this is not read: no person wrote it.
pub(super) const SCRIPT_LIMIT: u64 = 1 << 20;

pub(super) fn read_script(path: &Path) -> io::Result<Option<Bytes>> {
    let named = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
    match std::fs::metadata(path) {
        // A pipe would be waited for, a device never end.
        Ok(metadata) if !metadata.is_file() => Err(named(io::Error::other("not a file"))),
        Ok(metadata) if metadata.len() > SCRIPT_LIMIT => {
            Err(named(io::Error::other("too long for a script")))
        }
        Ok(_) => std::fs::read(path)
            .map(|text| Some(Bytes::from(text)))
            .map_err(named),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(error)),
    }
}

struct LocalMailbox {
    mailbox: Arc<mailstore::Mailbox>,
    account: Arc<mailstore::Account>,
    blocking: Blocking,
}

/// How often a watched mailbox is looked at for what other processes did.
const POLL: std::time::Duration = std::time::Duration::from_secs(15);

impl LocalMailbox {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<mailstore::Mailbox>) -> Result<T, Error> + Send + 'static,
    ) -> StoreResult<T> {
        let mailbox = Arc::clone(&self.mailbox);
        let ran = self.blocking.run(move || work(&mailbox)).await;
        ran.ok_or_else(stopping)?.map_err(from_mailstore)
    }

    async fn transfer(&self, uids: Vec<u32>, to: &str, moving: bool) -> StoreResult<Copied> {
        let (account, to) = (Arc::clone(&self.account), to.to_owned());
        let copied = self
            .run(move |mailbox| {
                let now = SystemTime::now();
                let target = account.mailbox(&to, now)?;
                if moving {
                    mailbox.move_to(&uids, &target, now)
                } else {
                    mailbox.copy(&uids, &target, now)
                }
            })
            .await?;
        Ok(Copied {
            uid_validity: copied.uid_validity,
            uids: copied.uids,
        })
    }
}

impl Mailbox for LocalMailbox {
    fn name(&self) -> &str {
        self.mailbox.name()
    }

    fn object_id(&self) -> BoxFuture<'_, StoreResult<String>> {
        Box::pin(self.run(|mailbox| {
            let id = mailbox.object_id(SystemTime::now())?;
            // RFC 8474 §8.1: a letter before what may begin with a digit.
            Ok(format!("F{}", data_encoding::HEXLOWER.encode(&id)))
        }))
    }

    fn snapshot(&self) -> BoxFuture<'_, StoreResult<Snapshot>> {
        Box::pin(self.run(|mailbox| mailbox.refresh(SystemTime::now())))
    }

    fn changes_since(&self, modseq: u64) -> BoxFuture<'_, StoreResult<Changes>> {
        Box::pin(async move { Ok(self.mailbox.changes_since(modseq)) })
    }

    fn watch(&self, modseq: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let news = Arc::new(Notify::new());
            let waker = Arc::clone(&news);
            let _watch = self.mailbox.watch(move || waker.notify_one());
            loop {
                match self.snapshot().await {
                    Ok(snapshot) if snapshot.highest_modseq <= modseq => {}
                    // A failing mailbox is news as well: the session finds out.
                    _ => return,
                }
                let _ = tokio::time::timeout(POLL, news.notified()).await;
            }
        })
    }

    fn take_recent(&self) -> BoxFuture<'_, StoreResult<Vec<u32>>> {
        Box::pin(async { Ok(self.mailbox.take_recent()) })
    }

    fn sizes(&self, uids: Vec<u32>) -> BoxFuture<'_, StoreResult<Vec<u64>>> {
        Box::pin(self.run(move |mailbox| {
            let now = SystemTime::now();
            uids.iter().map(|uid| mailbox.size(*uid, now)).collect()
        }))
    }

    fn read(&self, uid: u32) -> BoxFuture<'_, StoreResult<Box<dyn MessageReader>>> {
        Box::pin(async move {
            let mut opened = self.read_many(vec![uid]).await;
            opened.pop().unwrap_or_else(|| Err(stopping()))
        })
    }

    fn read_many(&self, uids: Vec<u32>) -> BoxFuture<'_, Vec<StoreResult<Box<dyn MessageReader>>>> {
        Box::pin(async move {
            let mailbox = Arc::clone(&self.mailbox);
            let blocking = self.blocking.clone();
            let count = uids.len();
            let work = move || {
                let now = SystemTime::now();
                let open = |uid| {
                    let reader = mailbox.reader(uid, now).map_err(from_mailstore)?;
                    LocalReader::open(reader, blocking.clone())
                        .map(|reader| Box::new(reader) as Box<dyn MessageReader>)
                        .map_err(|error| StoreError::Storage(error.to_string()))
                };
                uids.into_iter().map(open).collect()
            };
            let opened: Option<Vec<_>> = self.blocking.run(work).await;
            opened.unwrap_or_else(|| (0..count).map(|_| Err(stopping())).collect())
        })
    }

    fn digests(&self, uids: Vec<u32>) -> BoxFuture<'_, Vec<StoreResult<Digested>>> {
        Box::pin(async move {
            let mailbox = Arc::clone(&self.mailbox);
            let count = uids.len();
            let work = move || {
                let digests = mailbox.digests(&uids, SystemTime::now());
                let digests = digests.into_iter();
                digests
                    .map(|digest| digest.map(Digested::from).map_err(from_mailstore))
                    .collect()
            };
            let digests: Option<Vec<_>> = self.blocking.run(work).await;
            digests.unwrap_or_else(|| (0..count).map(|_| Err(stopping())).collect())
        })
    }

    fn append(&self) -> BoxFuture<'_, StoreResult<Box<dyn Appender>>> {
        Box::pin(async {
            let appender: Box<dyn Appender> = Box::new(LocalAppender {
                target: Target::Append(Arc::clone(&self.mailbox)),
                held: Vec::new(),
                held_octets: 0,
                open: None,
                blocking: self.blocking.clone(),
            });
            Ok(appender)
        })
    }

    fn set_flags(
        &self,
        uids: Vec<u32>,
        change: FlagChange,
        unchanged_since: Option<u64>,
    ) -> BoxFuture<'_, StoreResult<Vec<u32>>> {
        Box::pin(self.run(move |mailbox| {
            let now = SystemTime::now();
            let stored = mailbox.set_flags(&uids, &change, unchanged_since, now)?;
            Ok(stored.modified)
        }))
    }

    fn expunge(&self, uids: Vec<u32>) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.run(move |mailbox| mailbox.expunge(&uids, SystemTime::now()).map(|_| ())))
    }

    fn copy<'a>(&'a self, uids: Vec<u32>, to: &'a str) -> BoxFuture<'a, StoreResult<Copied>> {
        Box::pin(self.transfer(uids, to, false))
    }

    fn move_to<'a>(&'a self, uids: Vec<u32>, to: &'a str) -> BoxFuture<'a, StoreResult<Copied>> {
        Box::pin(self.transfer(uids, to, true))
    }
}

/// Octets of a message that are held before a thread writes them: most
/// messages then need one hop off the reactor, at their commit.
const HOLD: usize = 256 * 1024;

enum Target {
    Append(Arc<mailstore::Mailbox>),
    Delivery(Arc<mailstore::Account>, String, mailstore::DeliveryId),
}

enum Open {
    Append(mailstore::Append),
    Delivery(mailstore::Delivery),
}

impl Target {
    fn open(&self) -> Result<Open, Error> {
        let now = SystemTime::now();
        match self {
            Self::Append(mailbox) => mailbox.append(now).map(Open::Append),
            Self::Delivery(account, name, id) => {
                account.deliver(name, id.clone(), now).map(Open::Delivery)
            }
        }
    }
}

impl Open {
    fn write(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        for chunk in chunks {
            match self {
                Self::Append(append) => append.write(chunk)?,
                Self::Delivery(delivery) => delivery.write(chunk)?,
            }
        }
        Ok(())
    }

    fn commit(self, options: AppendOptions) -> Result<Option<Appended>, Error> {
        let now = SystemTime::now();
        match self {
            Self::Append(append) => append.commit(options, now).map(|appended| {
                Some(Appended {
                    uid_validity: appended.uid_validity,
                    uid: appended.uid,
                })
            }),
            Self::Delivery(delivery) => delivery.commit(options, now).map(|_| None),
        }
    }
}

struct LocalAppender {
    target: Target,
    held: Vec<Bytes>,
    held_octets: usize,
    open: Option<Open>,
    blocking: Blocking,
}

impl Appender for LocalAppender {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            self.held_octets += chunk.len();
            self.held.push(chunk);
            if self.held_octets <= HOLD {
                return Ok(());
            }
            let held = std::mem::take(&mut self.held);
            self.held_octets = 0;
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.target.open().map_err(from_mailstore)?,
            };
            let work = move || open.write(&held).map(|()| open);
            let written = self.blocking.run(work).await.ok_or_else(stopping)?;
            self.open = Some(written.map_err(from_mailstore)?);
            Ok(())
        })
    }

    fn commit<'a>(
        self: Box<Self>,
        message: NewMessage,
    ) -> BoxFuture<'a, StoreResult<Option<Appended>>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let Self {
                target,
                held,
                open,
                blocking,
                ..
            } = *self;
            let options = AppendOptions {
                flags: message.flags,
                keywords: message.keywords,
                internal_date: message.internal_date,
            };
            let work = move || {
                let mut open = match open {
                    Some(open) => open,
                    None => target.open()?,
                };
                open.write(&held)?;
                open.commit(options)
            };
            let committed = blocking.run(work).await;
            committed.ok_or_else(stopping)?.map_err(from_mailstore)
        })
    }
}

fn from_mailstore(error: Error) -> StoreError {
    match error {
        Error::NoSuchMailbox(name) => StoreError::NoMailbox(name),
        Error::MailboxExists(name) => StoreError::Exists(name),
        Error::InvalidName { name, reason } => StoreError::Name {
            name,
            reason: reason.into(),
        },
        Error::Inbox => StoreError::Name {
            name: "INBOX".into(),
            reason: error.to_string(),
        },
        Error::NoSuchMessage(uid) => StoreError::Gone(uid),
        Error::OverQuota { .. } => StoreError::Quota,
        other => StoreError::Storage(other.to_string()),
    }
}

fn stopping() -> StoreError {
    StoreError::Storage("the server is stopping".into())
}
