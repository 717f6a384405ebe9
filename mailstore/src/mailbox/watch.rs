//! Who is told of a mailbox's changes: those of this process at once, those of others as the system tells of them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use super::{Mailbox, Open};
use crate::account::Site;
use crate::durable::{Stat, Tell};

type Listener = dyn Fn() + Send + Sync;

/// The listeners of a mailbox, and what they were told of already.
#[derive(Default)]
pub(super) struct Listeners {
    generation: AtomicU64,
    listeners: Mutex<Vec<(u64, Arc<Listener>)>>,
    count: AtomicU64,
    /// Whether the system was asked for other processes' changes, and whether it tells of them.
    asked: AtomicBool,
    hears: AtomicBool,
    /// An mbox as it was when it was told of last.
    file: Mutex<Option<Stat>>,
    /// The system told of the file while somebody was at it: it is to be compared when that is over.
    missed: AtomicBool,
    /// What a Maildir's directories will tell of this process' own changes.
    pub(super) own: Arc<OwnChanges>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names in a Maildir that this process makes, takes away or renames. The system tells of them as of those of other
/// processes, but they are no news: the listeners are told by whoever made the change.
#[derive(Default)]
pub(crate) struct OwnChanges {
    wanted: AtomicBool,
    /// How often each name, by its hash, will be told of.
    names: Mutex<HashMap<u64, u32>>,
}

/// So many names are remembered at most; of others the listeners are told twice.
const OWN_CHANGES: usize = 1 << 16;

impl OwnChanges {
    fn hash(in_new: bool, name: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (in_new, name).hash(&mut hasher);
        hasher.finish()
    }

    /// The name is about to change.
    pub(crate) fn expect(&self, in_new: bool, name: &[u8]) {
        if !self.wanted.load(Ordering::Acquire) {
            return;
        }
        let mut names = lock(&self.names);
        if names.len() < OWN_CHANGES {
            *names.entry(Self::hash(in_new, name)).or_default() += 1;
        }
    }

    /// The change was told of, or did not come about. False when none was expected.
    pub(crate) fn take(&self, in_new: bool, name: &[u8]) -> bool {
        if !self.wanted.load(Ordering::Acquire) {
            return false;
        }
        let mut names = lock(&self.names);
        let hash = Self::hash(in_new, name);
        let Some(count) = names.get_mut(&hash) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            names.remove(&hash);
        }
        true
    }
}

impl Mailbox {
    /// Counts the changes and deliveries made through this process; another number means [`refresh`] may tell
    /// something new.
    ///
    /// [`refresh`]: Self::refresh
    pub fn generation(&self) -> u64 {
        self.listeners.generation.load(Ordering::Acquire)
    }

    /// Calls `listener` after each change or delivery, with no lock held, until the [`Watch`] is dropped: of this
    /// process on the thread that made it, once; of other processes where the system tells of them (inotify), perhaps
    /// more than once. It should only wake somebody, who also looks from time to time where
    /// [`hears_others`](Self::hears_others) is false.
    pub fn watch(self: &Arc<Self>, listener: impl Fn() + Send + Sync + 'static) -> Watch {
        let number = self.listeners.count.fetch_add(1, Ordering::Relaxed);
        lock(&self.listeners.listeners).push((number, Arc::new(listener)));
        self.listen();
        Watch {
            mailbox: Arc::downgrade(self),
            number,
        }
    }

    /// Whether listeners are told of other processes' changes too.
    pub fn hears_others(&self) -> bool {
        self.listeners.hears.load(Ordering::Acquire)
    }

    /// Asks the system once to tell of other processes' changes, as long as this handle lives.
    fn listen(self: &Arc<Self>) {
        if self.listeners.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        // No change of a session's own comes between what is expected and what is told.
        let _open = self.lock();
        let durable = &self.shared.durable;
        let hears = match &self.site {
            Site::Maildir(path) => {
                self.listeners.own.wanted.store(true, Ordering::Release);
                [(true, "new"), (false, "cur")]
                    .iter()
                    .all(|&(in_new, part)| {
                        let tell = self.telling(move |mailbox, name| {
                            let own = &mailbox.listeners.own;
                            match name {
                                Some(name) => !own.take(in_new, name.as_bytes()),
                                None => {
                                    // Some was not told of: what is expected may be among it.
                                    lock(&own.names).clear();
                                    true
                                }
                            }
                        });
                        durable.watch(&path.join(part), None, &tell)
                    })
            }
            Site::Mbox(site) => {
                let tell = self.telling(|mailbox, _| mailbox.file_is_news());
                let place = site.file.parent().zip(site.file.file_name());
                place.is_some_and(|(folder, name)| durable.watch(folder, Some(name), &tell))
            }
            Site::Memory(_) => false,
        };
        self.listeners.hears.store(hears, Ordering::Release);
    }

    fn telling(
        self: &Arc<Self>,
        is_news: impl Fn(&Self, Option<&OsStr>) -> bool + Send + Sync + 'static,
    ) -> Arc<Tell> {
        let mailbox = Arc::downgrade(self);
        Arc::new(move |name| {
            let Some(mailbox) = mailbox.upgrade() else {
                return false;
            };
            if is_news(&mailbox, name) {
                mailbox.notify();
            }
            true
        })
    }

    /// Whether an mbox is another than it was when the listeners were told last.
    fn file_is_news(&self) -> bool {
        // Waiting here would keep the news of all other mailboxes.
        match self.folder.try_lock() {
            Ok(open) => self.compare_file(&open),
            Err(TryLockError::Poisoned(open)) => self.compare_file(&open.into_inner()),
            Err(TryLockError::WouldBlock) => {
                self.listeners.missed.store(true, Ordering::Release);
                self.look_at_missed();
                false
            }
        }
    }

    /// `_open` keeps this process from changing the file meanwhile.
    fn compare_file(&self, _open: &Open) -> bool {
        let Site::Mbox(site) = &self.site else {
            return true;
        };
        let stat = self.shared.durable.stat_maybe(&site.file).ok().flatten();
        let mut told = lock(&self.listeners.file);
        let is_news = *told != stat || stat.is_none();
        *told = stat;
        is_news
    }

    /// The file is as this process left it.
    pub(super) fn file_is_known(&self, stat: Stat) {
        *lock(&self.listeners.file) = Some(stat);
    }

    /// Whoever was at the mailbox is done.
    pub(super) fn look_at_missed(&self) {
        while self.listeners.missed.load(Ordering::Acquire) {
            let is_news = match self.folder.try_lock() {
                Ok(open) => {
                    self.listeners.missed.store(false, Ordering::Release);
                    self.compare_file(&open)
                }
                // The next one who is done looks.
                Err(_) => return,
            };
            if is_news {
                self.notify();
            }
        }
    }

    pub(super) fn notify(&self) {
        self.listeners.generation.fetch_add(1, Ordering::AcqRel);
        let listeners: Vec<Arc<Listener>> = lock(&self.listeners.listeners)
            .iter()
            .map(|(_, listener)| Arc::clone(listener))
            .collect();
        for listener in listeners {
            listener();
        }
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
            lock(&mailbox.listeners.listeners).retain(|(number, _)| *number != self.number);
        }
    }
}
