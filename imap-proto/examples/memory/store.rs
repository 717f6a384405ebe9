//! Mailboxes in memory, and what happened in them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use imap_proto::{Change, DateTime, Flag, Mailbox, StatusItem, StatusValue, StoreAction};

#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) uid: NonZeroU32,
    pub(crate) flags: Vec<Flag>,
    pub(crate) date: DateTime,
    pub(crate) octets: Bytes,
}

pub(crate) struct Folder {
    pub(crate) mails: BTreeMap<NonZeroU32, Mail>,
    pub(crate) uid_next: NonZeroU32,
    /// Every change, for sessions to follow: each remembers how far it read.
    pub(crate) log: Vec<Change>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            mails: BTreeMap::new(),
            uid_next: NonZeroU32::MIN,
            log: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, flags: Vec<Flag>, date: DateTime, octets: Bytes) -> NonZeroU32 {
        let uid = self.uid_next;
        self.uid_next = uid.saturating_add(1);
        let mail = Mail {
            uid,
            flags,
            date,
            octets,
        };
        self.mails.insert(uid, mail);
        self.log.push(Change::Arrived { uid, recent: false });
        uid
    }

    pub(crate) fn remove(&mut self, uid: NonZeroU32) {
        if self.mails.remove(&uid).is_some() {
            self.log.push(Change::Expunged(uid));
        }
    }

    fn count(&self, keep: impl Fn(&Mail) -> bool) -> u32 {
        u32::try_from(self.mails.values().filter(|mail| keep(mail)).count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn status(&self, item: StatusItem) -> Option<StatusValue> {
        Some(match item {
            StatusItem::Messages => StatusValue::Messages(self.count(|_| true)),
            StatusItem::Recent => StatusValue::Recent(0),
            StatusItem::UidNext => StatusValue::UidNext(self.uid_next),
            StatusItem::UidValidity => StatusValue::UidValidity(NonZeroU32::MIN),
            StatusItem::Unseen => {
                StatusValue::Unseen(self.count(|mail| !mail.flags.contains(&Flag::Seen)))
            }
            StatusItem::Deleted => {
                StatusValue::Deleted(self.count(|mail| mail.flags.contains(&Flag::Deleted)))
            }
            StatusItem::Size => {
                let sizes = self.mails.values().map(|mail| mail.octets.len() as u64);
                StatusValue::Size(sizes.sum())
            }
            _ => return None,
        })
    }

    /// Whether anything changed.
    pub(crate) fn set_flags(
        &mut self,
        uid: NonZeroU32,
        action: StoreAction,
        flags: &[Flag],
    ) -> bool {
        let Some(mail) = self.mails.get_mut(&uid) else {
            return false;
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
        let (flags, mod_seq) = (mail.flags.clone(), None);
        let changed = flags != before;
        if changed {
            self.log.push(Change::Flags {
                uid,
                flags,
                mod_seq,
            });
        }
        changed
    }

    /// Takes deleted messages away.
    pub(crate) fn expunge(&mut self, named: impl Fn(NonZeroU32) -> bool) {
        let gone = self
            .mails
            .values()
            .filter(|mail| mail.flags.contains(&Flag::Deleted));
        let gone: Vec<_> = gone
            .map(|mail| mail.uid)
            .filter(|uid| named(*uid))
            .collect();
        gone.into_iter().for_each(|uid| self.remove(uid));
    }
}

pub(crate) type Folders = Arc<Mutex<BTreeMap<Mailbox, Folder>>>;
