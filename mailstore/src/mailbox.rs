//! A mailbox: one handle for all sessions of the process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use crate::account::{Shared, Site};
use crate::append::{Append, AppendOptions, Delivered, Delivery, DeliveryId, Incoming};
use crate::backend::{Backend, Item, Source};
use crate::error::{Error, IoContext};
use crate::flags::FlagChange;
use crate::index::{self, Indexed, Wanted};
use crate::maildir;
use crate::mbox;
use crate::memory;
use crate::quota::{Admission, QuotaUsed};
use crate::table::{Changes, Snapshot, Table};
use crate::wire::Reader;

/// What a change of flags did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// UIDs whose flags are others now.
    pub changed: Vec<u32>,
    /// UIDs left alone because they changed after the given modification sequence (RFC 7162 §3.1.3, MODIFIED).
    pub modified: Vec<u32>,
    /// The mailbox's modification sequence afterwards.
    pub highest_modseq: u64,
}

/// Where copied messages are (RFC 4315 §3, COPYUID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uid_validity: u32,
    /// Each source UID with the UID of its copy, in the order of the source. Messages that were expunged
    /// meanwhile are left out.
    pub uids: Vec<(u32, u32)>,
}

type Listener = dyn Fn() + Send + Sync;

/// One mailbox. Sessions share it through `Arc`; every method may block on the disk.
///
/// Changes of other programs are seen by [`refresh`](Self::refresh) alone; changes made through this handle are
/// in the next [`snapshot`](Self::snapshot) at once. After the mailbox was renamed or deleted every method that
/// reaches the disk gives [`Error::NoSuchMailbox`].
pub struct Mailbox {
    name: String,
    pub(crate) shared: Arc<Shared>,
    site: Site,
    folder: Mutex<Open>,
    generation: AtomicU64,
    listeners: Mutex<Vec<(u64, Arc<Listener>)>>,
    listener_count: AtomicU64,
    /// Whether the system was asked for other processes' changes, and whether it tells of them.
    asked: AtomicBool,
    hears: AtomicBool,
}

enum Open {
    /// Only delivered to so far; handles that are given out are open.
    NotYet,
    Folder(Box<dyn Backend>),
    /// The mailbox was renamed or deleted.
    Retired(Snapshot),
}

impl Open {
    fn view(&self) -> Snapshot {
        match self {
            Self::NotYet => Table::new(1, 1, 1).view().clone(),
            Self::Folder(folder) => folder.table().view().clone(),
            Self::Retired(snapshot) => snapshot.clone(),
        }
    }
}

impl Mailbox {
    pub(crate) fn new(shared: &Arc<Shared>, name: String, site: Site) -> Self {
        Self {
            name,
            shared: Arc::clone(shared),
            site,
            folder: Mutex::new(Open::NotYet),
            generation: AtomicU64::new(0),
            listeners: Mutex::default(),
            listener_count: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            hears: AtomicBool::new(false),
        }
    }

    pub(crate) fn ensure_open(&self, now: SystemTime) -> Result<(), Error> {
        self.with(now, |_| Ok(()))
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mailbox as this process knows it; touches no disk.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().view()
    }

    /// Looks for what other programs and deliveries did, and gives the mailbox as it is now. Two `stat` calls
    /// when nothing happened.
    ///
    /// # Errors
    /// The disk fails, or another program keeps the UID list locked.
    pub fn refresh(&self, now: SystemTime) -> Result<Snapshot, Error> {
        self.with(now, |folder| {
            folder.refresh(now)?;
            Ok(folder.table().view().clone())
        })
    }

    /// What changed after a modification sequence that an earlier snapshot told. Touches no disk.
    pub fn changes_since(&self, modseq: u64) -> Changes {
        match &*self.lock() {
            Open::Folder(folder) => folder.table().changes_since(modseq),
            other => Changes {
                changed: Vec::new(),
                vanished: Vec::new(),
                highest_modseq: other.view().highest_modseq,
            },
        }
    }

    /// The messages that no session has been told of as `\Recent` yet (RFC 3501 §2.3.2); the caller is that
    /// session now.
    pub fn take_recent(&self) -> Vec<u32> {
        match &mut *self.lock() {
            Open::Folder(folder) => folder.table_mut().take_recent(),
            _ => Vec::new(),
        }
    }

    /// RFC822.SIZE; reads the message the first time where its file name does not tell.
    ///
    /// # Errors
    /// [`Error::NoSuchMessage`], or the disk fails.
    pub fn size(&self, uid: u32, now: SystemTime) -> Result<u64, Error> {
        if let Some(size) = self
            .snapshot()
            .message(uid)
            .and_then(|message| message.size)
        {
            return Ok(size);
        }
        Ok(self.reader(uid, now)?.size())
    }

    /// The message's octets.
    ///
    /// # Errors
    /// [`Error::NoSuchMessage`], or the disk fails.
    pub fn reader(&self, uid: u32, now: SystemTime) -> Result<Reader, Error> {
        self.with(now, |folder| folder.reader(uid, now))
    }

    /// What is known of messages without opening them; a message is opened the first time it is asked for.
    /// Answers are in the order of `uids`.
    ///
    /// # Errors
    /// For each message on its own: [`Error::NoSuchMessage`], or the disk fails.
    pub fn digests(&self, uids: &[u32], now: SystemTime) -> Vec<Result<Indexed, Error>> {
        let durable = &self.shared.durable;
        let asked = self.with(now, |folder| {
            let wanted: Vec<Wanted> = uids
                .iter()
                .map(|&uid| Wanted {
                    uid,
                    tag: folder.tag(uid),
                    place: folder.index().0.digest(uid),
                })
                .collect();
            Ok((wanted, folder.index().0.cache(durable)))
        });
        let (wanted, cache) = match asked {
            Ok(asked) => asked,
            Err(error) => return uids.iter().map(|_| Err(error.duplicate())).collect(),
        };
        let kept = match cache {
            Some(cache) => cache.read(&wanted),
            None => wanted.iter().map(|_| None).collect(),
        };
        let view = self.snapshot();
        let mut made = Vec::new();
        let mut digests = Vec::with_capacity(wanted.len());
        for (one, kept) in wanted.into_iter().zip(kept) {
            digests.push(match kept.and_then(Indexed::new) {
                Some(_) if view.message(one.uid).is_none() => Err(Error::NoSuchMessage(one.uid)),
                Some(known) => Ok(known),
                None => self.make_digest(one.uid, now).inspect(|digest| {
                    made.push((one, digest.clone()));
                }),
            });
        }
        if !made.is_empty() {
            let keep = |folder: &mut dyn Backend| {
                let made: Vec<(Wanted, &[u8])> = made
                    .iter()
                    // What the message became meanwhile is made again.
                    .filter(|(one, _)| folder.tag(one.uid) == one.tag)
                    .map(|(one, digest)| (*one, digest.octets()))
                    .collect();
                let (index, table) = folder.index();
                index.keep_digests(durable, table, &made);
                Ok(())
            };
            // Retired meanwhile: there is nothing to keep them in.
            let _ = self.with(now, keep);
        }
        digests
    }

    fn make_digest(&self, uid: u32, now: SystemTime) -> Result<Indexed, Error> {
        let mut reader = self.reader(uid, now)?;
        index::build(&mut reader).at("read", "a message".as_ref())
    }

    /// Begins a message that gets its UID when it is committed. Dropping it leaves nothing behind.
    ///
    /// # Errors
    /// The disk fails.
    pub fn append(self: &Arc<Self>, now: SystemTime) -> Result<Append, Error> {
        Ok(Append {
            incoming: self.incoming(now)?,
            mailbox: Arc::clone(self),
        })
    }

    fn incoming(&self, now: SystemTime) -> Result<Incoming, Error> {
        let base = maildir::name::fresh(now, self.shared.count(), &self.shared.host);
        Incoming::begin(&self.shared, &self.site, base.clone(), &base)
    }

    /// Begins a delivery: as [`append`](Self::append), but it does not wait for other sessions of the mailbox,
    /// gets its UID with the next refresh, and may be tried again.
    ///
    /// # Errors
    /// The disk fails.
    pub fn deliver(self: &Arc<Self>, id: DeliveryId, now: SystemTime) -> Result<Delivery, Error> {
        let temporary = maildir::name::fresh(now, self.shared.count(), &self.shared.host);
        let incoming = Incoming::begin(
            &self.shared,
            &self.site,
            id.base(&self.shared.host),
            &temporary,
        )?;
        Ok(Delivery {
            mailbox: Arc::clone(self),
            incoming,
            id,
        })
    }

    /// Puts a sealed delivery in, unless it was there before.
    pub(crate) fn take_delivery(
        &self,
        incoming: Incoming,
        id: &DeliveryId,
        options: AppendOptions,
        now: SystemTime,
    ) -> Result<Delivered, Error> {
        let delivered = match (incoming, &self.site) {
            (Incoming::Maildir(incoming), Site::Maildir(path)) => {
                maildir::deliver(&self.shared, path, &self.name, incoming, id, &options, now)?
            }
            (Incoming::Mbox(incoming), Site::Mbox(site)) => {
                // The sessions' own changes of the file are made under the same guard.
                let mut open = self.lock();
                let (delivered, growth) =
                    mbox::deliver(&self.shared, site, &self.name, incoming, id, options, now)?;
                if let (Open::Folder(folder), Some(growth)) = (&mut *open, growth) {
                    folder.take_growth(growth);
                }
                delivered
            }
            (Incoming::Memory(incoming), Site::Memory(name)) => {
                memory::deliver(&self.shared, name, incoming, id, options, now)?
            }
            _ => return Err(Error::NoSuchMailbox(self.name.clone())),
        };
        self.notify();
        Ok(delivered)
    }

    /// Changes flags of messages, in one sync. UIDs that are gone are passed over. With `unchanged_since`,
    /// messages that changed after that modification sequence are left alone and told.
    ///
    /// # Errors
    /// The disk fails; changes made before that are in the snapshot.
    pub fn set_flags(
        &self,
        uids: &[u32],
        change: &FlagChange,
        unchanged_since: Option<u64>,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        self.changing(now, |folder| {
            folder.set_flags(uids, change, unchanged_since, now)
        })
    }

    /// Removes messages for good, in one sync; gives those that were there, ascending.
    ///
    /// # Errors
    /// The disk fails; what was removed before that is gone from the snapshot.
    pub fn expunge(&self, uids: &[u32], now: SystemTime) -> Result<Vec<u32>, Error> {
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        uids.dedup();
        let shared = &self.shared;
        if !shared.quota.is_kept(shared)? {
            return self.changing(now, |folder| folder.expunge(&uids, now));
        }
        let mut sizes = HashMap::new();
        for &uid in &uids {
            match self.with(now, |folder| folder.link(uid, now)) {
                Ok(Some(link)) => {
                    sizes.insert(uid, link.octets(&shared.durable)?);
                }
                Ok(None) | Err(Error::NoSuchMessage(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match self.changing(now, |folder| folder.expunge(&uids, now)) {
            Ok(gone) => {
                let less = QuotaUsed {
                    storage: gone.iter().filter_map(|uid| sizes.get(uid)).sum(),
                    messages: gone.len() as u64,
                };
                shared.quota.release(shared, &self.name, less);
                Ok(gone)
            }
            Err(error) => {
                // The first error is the one to tell.
                let _ = shared.quota.doubt(shared);
                Err(error)
            }
        }
    }

    /// Whether messages may come in. `freed`: the mailbox that they leave at the same time.
    pub(crate) fn admit(
        &self,
        items: &[Item],
        freed: Option<&Self>,
        now: SystemTime,
    ) -> Result<Admission, Error> {
        let shared = &self.shared;
        let mut more = QuotaUsed::default();
        if shared.quota.is_kept(shared)? {
            for item in items {
                more.storage = more
                    .storage
                    .saturating_add(item.source.octets(&shared.durable)?);
                more.messages += 1;
            }
        }
        let freed = freed.filter(|freed| Arc::ptr_eq(&freed.shared, shared));
        let freed = freed.map(|mailbox| mailbox.name.as_str());
        shared.quota.admit(shared, &self.name, more, freed, now)
    }

    /// Copies messages with their flags, keywords and internal dates, all or none (RFC 9051 §6.4.7).
    ///
    /// # Errors
    /// The disk fails, or the target has no room for a keyword.
    pub fn copy(&self, uids: &[u32], target: &Self, now: SystemTime) -> Result<Copied, Error> {
        self.transfer(uids, target, None, now)
    }

    fn transfer(
        &self,
        uids: &[u32],
        target: &Self,
        freed: Option<&Self>,
        now: SystemTime,
    ) -> Result<Copied, Error> {
        let links = matches!(
            (&self.site, &target.site),
            (Site::Maildir(_), Site::Maildir(_))
        );
        let (mut items, mut sources) = (
            Vec::with_capacity(uids.len()),
            Vec::with_capacity(uids.len()),
        );
        for &uid in uids {
            match self.original(uid, target, links, now) {
                Ok(Some(item)) => {
                    sources.push(uid);
                    items.push(item);
                }
                Ok(None) | Err(Error::NoSuchMessage(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let admission = target.admit(&items, freed, now)?;
        let copied = target.changing(now, |folder| {
            let uids = folder.place(items, now)?;
            let uid_validity = folder.table().view().uid_validity;
            Ok(Copied {
                uid_validity,
                uids: sources.into_iter().zip(uids).collect(),
            })
        })?;
        admission.done(&target.shared);
        Ok(copied)
    }

    /// A message of this mailbox as it goes into another; `None` when it is gone.
    fn original(
        &self,
        uid: u32,
        target: &Self,
        links: bool,
        now: SystemTime,
    ) -> Result<Option<Item>, Error> {
        let view = self.snapshot();
        let Some(message) = view.message(uid) else {
            return Ok(None);
        };
        let link = if links {
            self.with(now, |folder| folder.link(uid, now))?
        } else {
            None
        };
        let (source, size) = match link {
            Some(link) => (Source::Link(link), message.size),
            None => {
                let mut incoming = target.incoming(now)?;
                let mut reader = self.reader(uid, now)?;
                incoming.write_all_from(&mut reader)?;
                let (source, size) = incoming.seal(message.internal_date)?;
                (source, Some(size))
            }
        };
        Ok(Some(Item {
            source,
            flags: message.flags,
            keywords: view
                .keywords(message)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            internal_date: message.internal_date,
            size,
        }))
    }

    /// Copies messages and expunges the originals (RFC 6851 §3.3). A crash in between leaves both: no message is lost
    /// by it, and a client that moves again what is still there ends with the copy twice.
    ///
    /// # Errors
    /// As [`copy`](Self::copy) and [`expunge`](Self::expunge).
    pub fn move_to(&self, uids: &[u32], target: &Self, now: SystemTime) -> Result<Copied, Error> {
        let copied = self.transfer(uids, target, Some(self), now)?;
        let sources: Vec<u32> = copied.uids.iter().map(|&(source, _)| source).collect();
        self.expunge(&sources, now)?;
        Ok(copied)
    }

    /// Counts the changes and deliveries made through this process; another number means [`refresh`] may tell
    /// something new.
    ///
    /// [`refresh`]: Self::refresh
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Calls `listener` after each change or delivery, with no lock held, until the [`Watch`] is dropped: of this
    /// process on the thread that made it; of other processes where the system tells of them (inotify), perhaps
    /// more than once. It should only wake somebody, who also looks from time to time where
    /// [`hears_others`](Self::hears_others) is false.
    pub fn watch(self: &Arc<Self>, listener: impl Fn() + Send + Sync + 'static) -> Watch {
        let number = self.listener_count.fetch_add(1, Ordering::Relaxed);
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((number, Arc::new(listener)));
        self.listen();
        Watch {
            mailbox: Arc::downgrade(self),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // A panic cannot leave the state torn: it is rebuilt from the disk by the next refresh.
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        now: SystemTime,
        act: impl FnOnce(&mut dyn Backend) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut open = self.lock();
        if matches!(*open, Open::NotYet) {
            *open = Open::Folder(match &self.site {
                Site::Maildir(path) => Box::new(maildir::Folder::open(&self.shared, path, now)?),
                Site::Mbox(site) => Box::new(mbox::Folder::open(&self.shared, site, now)?),
                Site::Memory(name) => Box::new(memory::Folder::open(&self.shared, name, now)?),
            });
        }
        match &mut *open {
            Open::Folder(folder) => {
                let result = act(&mut **folder);
                folder.save();
                result
            }
            _ => Err(Error::NoSuchMailbox(self.name.clone())),
        }
    }

    /// As `with`, and tells the listeners, after an error too: part of the change may be done.
    pub(crate) fn changing<T>(
        &self,
        now: SystemTime,
        act: impl FnOnce(&mut dyn Backend) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = self.snapshot().highest_modseq;
        let result = self.with(now, act);
        if self.snapshot().highest_modseq != before {
            self.notify();
        }
        result
    }

    /// Whether listeners are told of other processes' changes too.
    pub fn hears_others(&self) -> bool {
        self.hears.load(Ordering::Acquire)
    }

    /// Asks the system once to tell of other processes' changes, as long as this handle lives.
    fn listen(self: &Arc<Self>) {
        if self.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let mailbox = Arc::downgrade(self);
        let tell: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(move || {
            let mailbox = mailbox.upgrade();
            mailbox.is_some_and(|mailbox| {
                mailbox.notify();
                true
            })
        });
        let durable = &self.shared.durable;
        let hears = match &self.site {
            Site::Maildir(path) => ["new", "cur"]
                .iter()
                .all(|part| durable.watch(&path.join(part), None, &tell)),
            Site::Mbox(site) => {
                let place = site.file.parent().zip(site.file.file_name());
                place.is_some_and(|(folder, name)| durable.watch(folder, Some(name), &tell))
            }
            Site::Memory(_) => false,
        };
        self.hears.store(hears, Ordering::Release);
    }

    fn notify(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let listeners: Vec<Arc<Listener>> = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(_, listener)| Arc::clone(listener))
            .collect();
        for listener in listeners {
            listener();
        }
    }

    /// The mailbox is no more, or has another name.
    pub(crate) fn retire(&self) {
        let mut open = self.lock();
        *open = Open::Retired(open.view());
        drop(open);
        self.notify();
    }
}

/// Keeps a listener of a mailbox; dropping it ends the calls.
pub struct Watch {
    mailbox: Weak<Mailbox>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            let mut listeners = mailbox
                .listeners
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            listeners.retain(|(number, _)| *number != self.number);
        }
    }
}
