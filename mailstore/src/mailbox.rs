//! A mailbox: one handle for all sessions of the process.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use crate::account::Shared;
use crate::error::Error;
use crate::flags::{FlagChange, Flags};
use crate::maildir::{self, Item, Source};
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

/// Where an appended message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: u32,
    /// UID of the message.
    pub uid: u32,
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

/// Names one delivery, so that trying it again after a crash does not double it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryId {
    /// Unique for one copy in one mailbox: queue id, recipient and copy, say.
    pub id: String,
    /// When the message was accepted; the same on every try.
    pub arrived: SystemTime,
    /// Whether an earlier try may have succeeded: then the mailbox is searched for it first.
    pub maybe_delivered: bool,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is in the mailbox now.
    Stored,
    /// An earlier try had put it there already.
    Duplicate,
}

/// What is known of a message beside its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendOptions {
    /// System flags it begins with.
    pub flags: Flags,
    /// Keywords it begins with.
    pub keywords: Vec<String>,
    /// INTERNALDATE.
    pub internal_date: SystemTime,
}

impl AppendOptions {
    /// No flags.
    pub fn at(internal_date: SystemTime) -> Self {
        Self {
            flags: Flags::NONE,
            keywords: Vec::new(),
            internal_date,
        }
    }
}

type Listener = dyn Fn() + Send + Sync;

/// One mailbox. Sessions share it through `Arc`; every method may block on the disk.
///
/// Changes of other programs are seen by [`refresh`](Self::refresh) alone; changes made through this handle are
/// in the next [`snapshot`](Self::snapshot) at once. After the mailbox was renamed or deleted every method that
/// reaches the disk gives [`Error::NoSuchMailbox`].
pub struct Mailbox {
    name: String,
    shared: Arc<Shared>,
    path: PathBuf,
    folder: Mutex<Open>,
    generation: AtomicU64,
    listeners: Mutex<Vec<(u64, Arc<Listener>)>>,
    listener_count: AtomicU64,
}

enum Open {
    /// Only delivered to so far; handles that are given out are open.
    NotYet,
    Maildir(Box<maildir::Folder>),
    /// The mailbox was renamed or deleted.
    Retired(Snapshot),
}

impl Open {
    fn view(&self) -> Snapshot {
        match self {
            Self::NotYet => Table::new(1, 1, 1).view().clone(),
            Self::Maildir(folder) => folder.table().view().clone(),
            Self::Retired(snapshot) => snapshot.clone(),
        }
    }
}

impl Mailbox {
    pub(crate) fn new(shared: &Arc<Shared>, name: String, path: PathBuf) -> Self {
        Self {
            name,
            shared: Arc::clone(shared),
            path,
            folder: Mutex::new(Open::NotYet),
            generation: AtomicU64::new(0),
            listeners: Mutex::default(),
            listener_count: AtomicU64::new(0),
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
            folder.refresh(now, false)?;
            Ok(folder.table().view().clone())
        })
    }

    /// What changed after a modification sequence that an earlier snapshot told. Touches no disk.
    pub fn changes_since(&self, modseq: u64) -> Changes {
        match &*self.lock() {
            Open::Maildir(folder) => folder.table().changes_since(modseq),
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
            Open::Maildir(folder) => folder.table_mut().take_recent(),
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

    /// Begins a message that gets its UID when it is committed. Dropping it leaves nothing behind.
    ///
    /// # Errors
    /// The disk fails.
    pub fn append(self: &Arc<Self>, now: SystemTime) -> Result<Append, Error> {
        let base = maildir::name::fresh(now, self.shared.count(), &self.shared.host);
        let incoming = self.begin(base.clone(), &base)?;
        Ok(Append {
            mailbox: Arc::clone(self),
            incoming,
        })
    }

    /// Begins a delivery: as [`append`](Self::append), but it does not wait for other sessions of the mailbox,
    /// gets its UID with the next refresh, and may be tried again.
    ///
    /// # Errors
    /// The disk fails.
    pub fn deliver(self: &Arc<Self>, id: DeliveryId, now: SystemTime) -> Result<Delivery, Error> {
        let base = maildir::name::delivery(&id.id, id.arrived, &self.shared.host);
        let temporary = maildir::name::fresh(now, self.shared.count(), &self.shared.host);
        let incoming = self.begin(base, &temporary)?;
        Ok(Delivery {
            mailbox: Arc::clone(self),
            incoming,
            id,
        })
    }

    fn begin(&self, base: String, temporary: &str) -> Result<maildir::Incoming, Error> {
        maildir::Incoming::begin(
            &self.shared.durable,
            &self.path,
            base,
            temporary,
            self.shared.save_crlf,
        )
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
        self.changing(now, |folder| folder.expunge(&uids, now))
    }

    /// Copies messages with their flags, keywords and internal dates, all or none (RFC 9051 §6.4.7).
    ///
    /// # Errors
    /// The disk fails, or the target has no room for a keyword.
    pub fn copy(&self, uids: &[u32], target: &Self, now: SystemTime) -> Result<Copied, Error> {
        let (originals, names) = self.with(now, |folder| {
            let originals = folder.originals(uids, now)?;
            Ok((originals, folder.table().view().keyword_names().to_vec()))
        })?;
        let sources: Vec<u32> = originals
            .iter()
            .map(|original| original.message.uid)
            .collect();
        target.changing(now, |folder| {
            let mut items = Vec::with_capacity(originals.len());
            for original in &originals {
                let keywords: Vec<String> = original
                    .message
                    .keywords
                    .indices()
                    .filter_map(|index| names.get(index))
                    .filter(|name| !name.is_empty())
                    .cloned()
                    .collect();
                let mut base =
                    maildir::name::fresh(now, target.shared.count(), &target.shared.host);
                for (field, size) in [('S', original.disk_size), ('W', original.message.size)] {
                    if let Some(size) = size {
                        base.push_str(&format!(",{field}={size}"));
                    }
                }
                items.push(Item {
                    source: Source::Link(original.path.clone()),
                    base,
                    flags: original.message.flags,
                    keywords: folder.keywords(&keywords, false, now)?,
                    internal_date: original.message.internal_date,
                    size: original.message.size,
                });
            }
            let uids = folder.place(items, now)?;
            let uid_validity = folder.table().view().uid_validity;
            Ok(Copied {
                uid_validity,
                uids: sources.into_iter().zip(uids).collect(),
            })
        })
    }

    /// Copies messages and expunges the originals (RFC 6851 §3.3). A crash in between leaves both.
    ///
    /// # Errors
    /// As [`copy`](Self::copy) and [`expunge`](Self::expunge).
    pub fn move_to(&self, uids: &[u32], target: &Self, now: SystemTime) -> Result<Copied, Error> {
        let copied = self.copy(uids, target, now)?;
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

    /// Calls `listener` after each change or delivery made through this process, on the thread that made it and
    /// with no lock held, until the [`Watch`] is dropped. It should only wake somebody.
    pub fn watch(self: &Arc<Self>, listener: impl Fn() + Send + Sync + 'static) -> Watch {
        let number = self.listener_count.fetch_add(1, Ordering::Relaxed);
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((number, Arc::new(listener)));
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
        act: impl FnOnce(&mut maildir::Folder) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut open = self.lock();
        if matches!(*open, Open::NotYet) {
            *open = Open::Maildir(Box::new(maildir::Folder::open(
                &self.shared,
                &self.path,
                now,
            )?));
        }
        match &mut *open {
            Open::Maildir(folder) => act(folder),
            _ => Err(Error::NoSuchMailbox(self.name.clone())),
        }
    }

    /// As `with`, and tells the listeners, after an error too: part of the change may be done.
    fn changing<T>(
        &self,
        now: SystemTime,
        act: impl FnOnce(&mut maildir::Folder) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = self.snapshot().highest_modseq;
        let result = self.with(now, act);
        if self.snapshot().highest_modseq != before {
            self.notify();
        }
        result
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

/// A message being appended, in wire form. Uses at most 128 KiB of memory whatever its size.
pub struct Append {
    mailbox: Arc<Mailbox>,
    incoming: maildir::Incoming,
}

impl Append {
    /// Adds octets.
    ///
    /// # Errors
    /// The disk fails; the message should be dropped.
    pub fn write(&mut self, wire: &[u8]) -> Result<(), Error> {
        self.incoming.write(wire)
    }

    /// Puts the message into the mailbox: when this returns, it is on the disk with its UID.
    ///
    /// # Errors
    /// The disk fails or a keyword has no room; then the message is not in the mailbox.
    pub fn commit(self, options: AppendOptions, now: SystemTime) -> Result<Appended, Error> {
        let Self {
            mailbox,
            mut incoming,
        } = self;
        let (base, size) = incoming.seal(options.internal_date)?;
        mailbox.changing(now, |folder| {
            let item = Item {
                source: Source::Incoming(incoming),
                base,
                flags: options.flags,
                keywords: folder.keywords(&options.keywords, false, now)?,
                internal_date: options.internal_date,
                size: Some(size),
            };
            let uids = folder.place(vec![item], now)?;
            let uid_validity = folder.table().view().uid_validity;
            uids.first()
                .map(|&uid| Appended { uid_validity, uid })
                .ok_or(Error::NoUidsLeft)
        })
    }
}

/// A message being delivered, in wire form. Uses at most 128 KiB of memory whatever its size.
pub struct Delivery {
    mailbox: Arc<Mailbox>,
    incoming: maildir::Incoming,
    id: DeliveryId,
}

impl Delivery {
    /// Adds octets.
    ///
    /// # Errors
    /// The disk fails; the delivery should be dropped and tried again later.
    pub fn write(&mut self, wire: &[u8]) -> Result<(), Error> {
        self.incoming.write(wire)
    }

    /// Puts the message into the mailbox: when this returns, it is on the disk once.
    ///
    /// # Errors
    /// The disk fails. The next try must say `maybe_delivered`.
    pub fn commit(mut self, options: AppendOptions, now: SystemTime) -> Result<Delivered, Error> {
        let (base, _) = self.incoming.seal(options.internal_date)?;
        if self.id.maybe_delivered {
            let unique =
                maildir::name::delivery(&self.id.id, self.id.arrived, &self.mailbox.shared.host);
            if maildir::has_delivery(&self.mailbox.shared.durable, &self.mailbox.path, &unique)? {
                return Ok(Delivered::Duplicate);
            }
        }
        let keywords = if options.keywords.is_empty() {
            crate::flags::Keywords::default()
        } else {
            self.mailbox
                .with(now, |folder| folder.keywords(&options.keywords, false, now))?
        };
        self.incoming.deliver(&base, options.flags, keywords)?;
        self.mailbox.notify();
        Ok(Delivered::Stored)
    }
}
