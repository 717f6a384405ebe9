//! Mailboxes in memory, and what happened in them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use imap_proto::{
    Change, DateTime, Flag, Mailbox, MailboxState, Message, StoreAction, WholeMessage,
};

pub(crate) type Folders = BTreeMap<Mailbox, Folder>;

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) flags: Vec<Flag>,
    pub(crate) date: DateTime,
    pub(crate) octets: Bytes,
}

impl Mail {
    /// All that FETCH and SEARCH want of it.
    pub(crate) fn whole(&self, message: Message) -> WholeMessage<'_> {
        WholeMessage::new(message, &self.flags, self.date, &self.octets)
    }
}

#[derive(Default)]
pub(crate) struct Folder {
    pub(crate) mails: BTreeMap<NonZeroU32, Mail>,
    /// How many there ever were.
    count: u32,
    /// Every change, for sessions to follow: each remembers how far it read.
    pub(crate) log: Vec<Change>,
}

impl Folder {
    fn uid_next(&self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.count)
    }

    pub(crate) fn state(&self) -> MailboxState {
        let count = |counts: fn(&Mail) -> bool| {
            let mails = self.mails.values().filter(|mail| counts(mail));
            u32::try_from(mails.count()).unwrap_or(u32::MAX)
        };
        MailboxState {
            messages: count(|_| true),
            unseen: count(|mail| !mail.flags.contains(&Flag::Seen)),
            uid_next: self.uid_next(),
            ..MailboxState::default()
        }
    }

    /// Adds a message under a new UID.
    pub(crate) fn add(&mut self, mail: Mail) -> NonZeroU32 {
        let uid = self.uid_next();
        self.count += 1;
        self.log.push(Change::Arrived { uid, recent: false });
        self.mails.insert(uid, mail);
        uid
    }

    pub(crate) fn remove(&mut self, uid: NonZeroU32) {
        if self.mails.remove(&uid).is_some() {
            self.log.push(Change::Expunged(uid));
        }
    }

    pub(crate) fn store(&mut self, uid: NonZeroU32, action: StoreAction, given: &[Flag]) {
        let Some(mail) = self.mails.get_mut(&uid) else {
            return;
        };
        if action.apply(&mut mail.flags, given) {
            let (flags, mod_seq) = (mail.flags.clone(), None);
            self.log.push(Change::Flags {
                uid,
                flags,
                mod_seq,
            });
        }
    }
}
