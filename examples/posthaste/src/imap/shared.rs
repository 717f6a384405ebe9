//! UIDs that all sessions of one mailbox hold once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use imap_proto::{Uids, View};

/// A mailbox of a user, as long as its UIDs stay valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) user: String,
    pub(super) mailbox: String,
    pub(super) uid_validity: u32,
}

/// The UIDs of every mailbox that a session has selected.
#[derive(Debug, Clone, Default)]
pub struct SharedUids(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    known: HashMap<Place, Weak<Mutex<Uids>>>,
    /// With so many, those that no session holds any more are forgotten.
    full: usize,
}

/// The UIDs of one mailbox, held by each of its sessions.
#[derive(Debug)]
pub(super) struct MailboxUids(Arc<Mutex<Uids>>);

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedUids {
    /// Those of the mailbox in this place, which has these now.
    pub(super) fn select(
        &self,
        place: Place,
        now: impl IntoIterator<Item = NonZeroU32>,
    ) -> (MailboxUids, Uids) {
        let shared = self.place(place);
        let mut known = lock(&shared);
        *known = known.updated(now);
        let uids = known.clone();
        drop(known);
        (MailboxUids(shared), uids)
    }

    fn place(&self, place: Place) -> Arc<Mutex<Uids>> {
        let mut places = lock(&self.0);
        if let Some(shared) = places.known.get(&place).and_then(Weak::upgrade) {
            return shared;
        }
        if places.known.len() >= places.full {
            places.known.retain(|_, shared| shared.strong_count() > 0);
            places.full = 2 * places.known.len() + 64;
        }
        let shared = Arc::default();
        places.known.insert(place, Arc::downgrade(&shared));
        shared
    }
}

impl MailboxUids {
    /// Has a session hold once again what others hold, too; and others what
    /// it was told of first.
    pub(super) fn share(&self, view: &mut View) {
        let mut known = lock(&self.0);
        view.share_uids(&known);
        if !view.has_pending(true) {
            *known = view.uids().clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use imap_proto::{Change, ViewOptions};

    use super::*;

    fn place(mailbox: &str) -> Place {
        Place {
            user: "u".into(),
            mailbox: mailbox.into(),
            uid_validity: 1,
        }
    }

    fn uids(count: u32) -> impl Iterator<Item = NonZeroU32> {
        (1..=count).filter_map(NonZeroU32::new)
    }

    #[test]
    fn a_place_lasts_as_long_as_its_sessions() {
        let shared = SharedUids::default();
        let (inbox, first) = shared.select(place("INBOX"), uids(10_000));
        let (again, second) = shared.select(place("INBOX"), uids(10_001));
        assert!(Arc::ptr_eq(&inbox.0, &again.0));
        assert_eq!((first.len(), second.len()), (10_000, 10_001));
        let (other, _) = shared.select(place("Sent"), uids(3));
        assert!(!Arc::ptr_eq(&inbox.0, &other.0));
        drop((inbox, again));
        let (anew, third) = shared.select(place("INBOX"), uids(5));
        assert_eq!((lock(&anew.0).len(), third.len()), (5, 5));
        // What nobody holds is forgotten.
        for number in 0..1000 {
            let _ = shared.select(place(&number.to_string()), uids(1));
        }
        assert!(lock(&shared.0).known.len() < 200);
    }

    #[test]
    fn sessions_end_with_the_same() {
        let shared = SharedUids::default();
        let mut sessions: Vec<_> = (0..3)
            .map(|_| {
                let (mailbox, uids) = shared.select(place("INBOX"), uids(10_000));
                (mailbox, View::select(uids, ViewOptions::default()))
            })
            .collect();
        let last = NonZeroU32::new(10_001).unwrap();
        for (mailbox, view) in &mut sessions {
            view.apply(Change::Expunged(NonZeroU32::MIN));
            view.apply(Change::Arrived {
                uid: last,
                recent: false,
            });
            assert_eq!(view.pending(true).len(), 2);
            mailbox.share(view);
        }
        for (mailbox, view) in &sessions {
            assert!(lock(&mailbox.0).iter().eq(view.uids().iter()));
        }
    }
}
