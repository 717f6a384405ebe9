//! A mailbox: one handle for all sessions of the process.

mod replace;
mod transfer;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::account::{Shared, Site};
use crate::append::{Append, AppendOptions, Delivered, Delivery, DeliveryId, Incoming};
use crate::backend::{Backend, Item};
use crate::error::{Error, IoContext};
use crate::flags::FlagChange;
use crate::index::{self, Indexed, Wanted};
use crate::maildir;
use crate::mbox;
use crate::memory;
use crate::quota::{Admission, QuotaUsed};
use crate::table::{Changes, Snapshot, Table};
use crate::wire::Reader;
pub use transfer::Copied;
use watch::Listeners;
pub(crate) use watch::OwnChanges;
pub use watch::Watch;

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
    listeners: Listeners,
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
            listeners: Listeners::default(),
        }
    }

    pub(crate) fn ensure_open(&self, now: SystemTime) -> Result<(), Error> {
        self.with(now, |_| Ok(()))
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the mailbox is known by, its MAILBOXID (RFC 8474 §4): another one for each mailbox of an account, the
    /// same whatever name it gets and however often it is opened, and never given again. In a Maildir it is what
    /// Dovecot calls the mailbox's GUID.
    ///
    /// # Errors
    /// The disk fails; a mailbox that has no identifier yet gets one.
    pub fn object_id(&self, now: SystemTime) -> Result<[u8; 16], Error> {
        self.with(now, |folder| Ok(folder.object_id(now)?.octets()))
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
                let own = &self.listeners.own;
                maildir::deliver(
                    &self.shared,
                    (path, &self.name),
                    incoming,
                    id,
                    &options,
                    own,
                    now,
                )?
            }
            (Incoming::Mbox(incoming), Site::Mbox(site)) => {
                // The sessions' own changes of the file are made under the same guard.
                let mut open = self.lock();
                let (delivered, growth) =
                    mbox::deliver(&self.shared, site, &self.name, incoming, id, options, now)?;
                if let (Open::Folder(folder), Some(growth)) = (&mut *open, growth) {
                    folder.take_growth(growth);
                    self.see_file(&mut **folder);
                }
                drop(open);
                self.look_at_missed();
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

    /// Whether messages may come in. `freed`: the mailbox that so much leaves at the same time.
    pub(crate) fn admit(
        &self,
        items: &[Item],
        freed: Option<(&Self, QuotaUsed)>,
        now: SystemTime,
    ) -> Result<Admission, Error> {
        let shared = &self.shared;
        let more = self.need(items)?;
        let freed = freed.filter(|(freed, _)| Arc::ptr_eq(&freed.shared, shared));
        let freed = freed.map(|(mailbox, less)| (mailbox.name.as_str(), less));
        shared.quota.admit(shared, &self.name, more, freed, now)
    }

    /// What messages take of the quota, if that is of interest.
    fn need(&self, items: &[Item]) -> Result<QuotaUsed, Error> {
        let shared = &self.shared;
        let mut need = QuotaUsed::default();
        if shared.quota.is_kept(shared)? {
            for item in items {
                let octets = item.source.octets(&shared.durable)?;
                need.storage = need.storage.saturating_add(octets);
                need.messages += 1;
            }
        }
        Ok(need)
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
                Site::Maildir(path) => {
                    let own = &self.listeners.own;
                    Box::new(maildir::Folder::open(&self.shared, path, own, now)?)
                }
                Site::Mbox(site) => Box::new(mbox::Folder::open(&self.shared, site, now)?),
                Site::Memory(name) => Box::new(memory::Folder::open(&self.shared, name, now)?),
            });
        }
        let Open::Folder(folder) = &mut *open else {
            return Err(Error::NoSuchMailbox(self.name.clone()));
        };
        let result = act(&mut **folder);
        folder.save();
        self.see_file(&mut **folder);
        drop(open);
        self.look_at_missed();
        result
    }

    /// What this process made of an mbox is no news to its listeners.
    fn see_file(&self, folder: &mut dyn Backend) {
        if let Some((stat, false)) = folder.file() {
            self.file_is_known(stat);
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

    /// The mailbox is no more, or has another name.
    pub(crate) fn retire(&self) {
        let mut open = self.lock();
        *open = Open::Retired(open.view());
        drop(open);
        self.notify();
    }
}
