//! Mail on this host's disk, through `mailstore`.

mod appender;
mod filters;
mod mailbox;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mailstore::{AccountConfig, Error};

use self::appender::{LocalAppender, Target};
use self::filters::read_filters;
pub(super) use self::filters::{SCRIPT_LIMIT, read_script};
use self::mailbox::LocalMailbox;
use super::memory::Memory;
use super::scripts::{LocalScripts, ScriptPlace};
use super::{
    Account, Annotations, Appender, BoxFuture, DeliveryId, Filter, MailStore, Mailbox, MailboxInfo,
    QuotaLimits, QuotaUsed, SPECIAL_USE, Scripts, StoreError, StoreResult,
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

    fn with_ids<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, StoreResult<HashMap<String, String>>> {
        let mut wanted: HashSet<String> = ids.iter().cloned().collect();
        Box::pin(self.run(move |account| {
            let mut names = HashMap::new();
            for listed in account.list()?.into_iter().filter(|own| own.selectable) {
                if wanted.is_empty() {
                    break;
                }
                match object_id_of(account, &listed.name) {
                    Ok(id) if wanted.remove(&id) => {
                        names.insert(id, listed.name);
                    }
                    Ok(_) | Err(Error::NoSuchMailbox(_) | Error::InvalidName { .. }) => {}
                    // One that cannot be opened does not hide the others.
                    Err(error) => {
                        tracing::warn!(mailbox = listed.name, %error, "its id is not known");
                    }
                }
            }
            Ok(names)
        }))
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

    fn annotations<'a>(
        &'a self,
        mailbox: Option<&'a str>,
    ) -> BoxFuture<'a, StoreResult<Annotations>> {
        let configured = mailbox.and_then(|name| self.special_use(name));
        let mailbox = mailbox.map(str::to_owned);
        Box::pin(async move {
            let read = move |account: &mailstore::Account| account.metadata(mailbox.as_deref());
            let mut entries = self.run(read).await?;
            // What the configuration says counts where nothing else does.
            if let Some(special_use) = configured
                && !entries.iter().any(|(entry, _)| entry == SPECIAL_USE)
            {
                entries.push((SPECIAL_USE.to_owned(), special_use.into_bytes()));
            }
            Ok(entries)
        })
    }

    fn annotate<'a>(
        &'a self,
        mailbox: Option<&'a str>,
        changes: Vec<(String, Option<Vec<u8>>)>,
    ) -> BoxFuture<'a, StoreResult<()>> {
        let configured = mailbox.and_then(|name| self.special_use(name)).is_some();
        let mailbox = mailbox.map(str::to_owned);
        Box::pin(async move {
            let taken = (SPECIAL_USE.to_owned(), None);
            if configured && changes.contains(&taken) {
                return Err(StoreError::Name {
                    name: mailbox.unwrap_or_default(),
                    reason: "the configuration says what it is for".into(),
                });
            }
            self.run(move |account| {
                match account.set_metadata(mailbox.as_deref(), &changes, SystemTime::now()) {
                    Err(Error::TooLarge { .. } | Error::TooManyEntries(_)) => Ok(false),
                    other => other.map(|()| true),
                }
            })
            .await?
            .then_some(())
            .ok_or(StoreError::Annotations)
        })
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
            let target = Target::Delivery(Arc::clone(&self.account), name, id);
            let appender = LocalAppender::new(target, self.blocking.clone());
            Ok(Box::new(appender) as Box<dyn Appender>)
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

/// The id of a mailbox as clients and scripts know it.
pub(crate) fn object_id_of(account: &mailstore::Account, name: &str) -> Result<String, Error> {
    let now = SystemTime::now();
    let id = account.mailbox(name, now)?.object_id(now)?;
    Ok(object_id_text(id))
}

/// RFC 8474 §8.1: a letter before what may begin with a digit.
fn object_id_text(id: [u8; 16]) -> String {
    format!("F{}", data_encoding::HEXLOWER.encode(&id))
}

fn from_mailstore(error: Error) -> StoreError {
    match error {
        Error::NoSuchMailbox(name) => StoreError::NoMailbox(name),
        Error::MailboxExists(name) => StoreError::Exists(name),
        Error::InvalidName { name, reason } => StoreError::Name {
            name,
            reason: reason.into(),
        },
        Error::InvalidEntry { entry, reason } => StoreError::Name {
            name: entry,
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
