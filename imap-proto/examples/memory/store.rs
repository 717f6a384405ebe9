//! Mailboxes in memory, and what happened in them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use imap_proto::{Change, DateTime, Flag, Mailbox, StoreAction};

/// All sessions share the mailboxes.
pub(crate) type Folders = Arc<Mutex<BTreeMap<Mailbox, Folder>>>;

#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) uid: NonZeroU32,
    pub(crate) flags: Vec<Flag>,
    pub(crate) date: DateTime,
    pub(crate) octets: Bytes,
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
    pub(crate) fn uid_next(&self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.count)
    }

    /// Adds a message under a new UID.
    pub(crate) fn add(&mut self, mail: Mail) -> NonZeroU32 {
        let uid = self.uid_next();
        self.count += 1;
        self.log.push(Change::Arrived { uid, recent: false });
        self.mails.insert(uid, Mail { uid, ..mail });
        uid
    }

    pub(crate) fn remove(&mut self, uid: NonZeroU32) {
        if self.mails.remove(&uid).is_some() {
            self.log.push(Change::Expunged(uid));
        }
    }

    pub(crate) fn store(&mut self, uid: NonZeroU32, action: StoreAction, flags: &[Flag]) {
        let Some(mail) = self.mails.get_mut(&uid) else {
            return;
        };
        let before = mail.flags.clone();
        match action {
            StoreAction::Replace => mail.flags = flags.to_vec(),
            StoreAction::Remove => mail.flags.retain(|flag| !flags.contains(flag)),
            StoreAction::Add => {
                let new = flags.iter().filter(|flag| !before.contains(flag));
                mail.flags.extend(new.cloned());
            }
        }
        if mail.flags != before {
            let (flags, mod_seq) = (mail.flags.clone(), None);
            self.log.push(Change::Flags {
                uid,
                flags,
                mod_seq,
            });
        }
    }
}
