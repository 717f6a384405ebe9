use std::num::NonZeroU32;
use std::sync::Arc;

/// Most UIDs in one chunk: what a change copies. Few in tests, so that a small
/// mailbox has many.
const CHUNK: usize = if cfg!(test) { 16 } else { 4096 };

/// The UIDs of a mailbox's messages, ascending.
///
/// Clones share what neither has changed: sessions that have the same mailbox
/// selected hold its UIDs once, four octets a message, as long as each was
/// made from a clone of the same. A change copies no more than the 4,096 UIDs
/// around it.
///
/// ```
/// use std::num::NonZeroU32;
/// use imap_proto::{Uids, View, ViewOptions};
///
/// let uids: Uids = (1..=1_000_000).filter_map(NonZeroU32::new).collect();
/// let session = View::select(uids.clone(), ViewOptions::default());
/// let another = View::select(uids, ViewOptions::default());
/// assert_eq!((session.exists(), another.exists()), (1_000_000, 1_000_000));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Uids {
    chunks: Vec<Chunk>,
}

/// Never empty.
#[derive(Debug, Clone)]
struct Chunk {
    /// How many UIDs are before it.
    start: usize,
    uids: Arc<[NonZeroU32]>,
}

impl Chunk {
    fn last(&self) -> Option<NonZeroU32> {
        self.uids.last().copied()
    }
}

impl Uids {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let last = self.chunks.last();
        last.map_or(0, |chunk| chunk.start + chunk.uids.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The UID of the message with so many before it.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<NonZeroU32> {
        let after = self.chunks.partition_point(|chunk| chunk.start <= index);
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        chunk.uids.get(index - chunk.start).copied()
    }

    /// The largest.
    #[must_use]
    pub fn last(&self) -> Option<NonZeroU32> {
        self.chunks.last()?.last()
    }

    /// How many are before `uid`, if it is there.
    #[must_use]
    pub fn position(&self, uid: NonZeroU32) -> Option<usize> {
        let index = self.before(uid);
        (self.get(index) == Some(uid)).then_some(index)
    }

    /// Whether `uid` is there.
    #[must_use]
    pub fn contains(&self, uid: NonZeroU32) -> bool {
        self.position(uid).is_some()
    }

    /// How many are smaller than `uid`.
    #[must_use]
    pub fn before(&self, uid: NonZeroU32) -> usize {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(|last| last < uid));
        match self.chunks.get(at) {
            Some(chunk) => chunk.start + chunk.uids.partition_point(|one| *one < uid),
            None => self.len(),
        }
    }

    /// All, ascending.
    pub fn iter(&self) -> impl Iterator<Item = NonZeroU32> {
        self.iter_from(0)
    }

    /// All but the first `index`, ascending.
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = NonZeroU32> {
        let after = self.chunks.partition_point(|chunk| chunk.start <= index);
        let first = after.saturating_sub(1);
        let chunks = self.chunks.get(first..).unwrap_or_default();
        let skipped = chunks.first().map_or(0, |chunk| index - chunk.start);
        let uids = chunks.iter().flat_map(|chunk| chunk.uids.iter().copied());
        uids.skip(skipped)
    }

    /// Adds those that are larger than all before them; the others are
    /// ignored.
    pub fn append(&mut self, uids: impl IntoIterator<Item = NonZeroU32>) {
        let mut last = self.last();
        let mut fresh: Vec<NonZeroU32> = Vec::new();
        // The last chunk is made anew as long as it is not full.
        let mut uids = uids.into_iter().peekable();
        let is_short = |chunk: &mut Chunk| chunk.uids.len() < CHUNK && uids.peek().is_some();
        if let Some(chunk) = self.chunks.pop_if(is_short) {
            fresh.extend_from_slice(&chunk.uids);
        }
        for uid in uids {
            if last.is_some_and(|last| last >= uid) {
                continue;
            }
            last = Some(uid);
            fresh.push(uid);
            if fresh.len() == CHUNK {
                self.push(&fresh);
                fresh.clear();
            }
        }
        self.push(&fresh);
    }

    /// These messages, ascending, in the memory of what is here as far as they
    /// are the same: what a mailbox has now, by what it had.
    #[must_use]
    pub fn updated(&self, now: impl IntoIterator<Item = NonZeroU32>) -> Self {
        let now: Vec<_> = now.into_iter().collect();
        let mut left = now.iter().copied().peekable();
        let is_gone = |uid: &NonZeroU32| {
            while left.next_if(|one| one < uid).is_some() {}
            left.peek() != Some(uid)
        };
        let gone: Vec<_> = self.iter().filter(is_gone).collect();
        let mut updated = self.clone();
        updated.remove(&gone);
        let known = updated.len();
        updated.append(now.iter().copied().skip(known));
        // Where one came between the others, nothing is as it was.
        match updated.iter().eq(now.iter().copied()) {
            true => updated,
            false => now.into_iter().collect(),
        }
    }

    /// Holds what is the same in `other` in one memory with it.
    pub fn share(&mut self, other: &Self) {
        for chunk in &mut self.chunks {
            let last = chunk.last();
            let at = other.chunks.partition_point(|one| one.last() < last);
            let twin = other.chunks.get(at).map(|one| &one.uids);
            let twin = twin.filter(|twin| !Arc::ptr_eq(twin, &chunk.uids) && **twin == chunk.uids);
            if let Some(twin) = twin {
                chunk.uids = Arc::clone(twin);
            }
        }
    }

    fn push(&mut self, uids: &[NonZeroU32]) {
        if !uids.is_empty() {
            let (start, uids) = (self.len(), uids.into());
            self.chunks.push(Chunk { start, uids });
        }
    }

    /// Removes these, given ascending.
    pub fn remove(&mut self, gone: &[NonZeroU32]) {
        let (mut gone, mut start) = (gone, 0);
        self.chunks.retain_mut(|chunk| {
            let here = gone.partition_point(|uid| chunk.last().is_some_and(|last| *uid <= last));
            let (of_chunk, rest) = gone.split_at(here);
            gone = rest;
            if !of_chunk.is_empty() {
                let left = |uid: &&NonZeroU32| of_chunk.binary_search(uid).is_err();
                chunk.uids = chunk.uids.iter().filter(left).copied().collect();
            }
            chunk.start = start;
            start += chunk.uids.len();
            !chunk.uids.is_empty()
        });
    }
}

/// Of UIDs in any order; each counts once.
impl FromIterator<NonZeroU32> for Uids {
    fn from_iter<I: IntoIterator<Item = NonZeroU32>>(uids: I) -> Self {
        let mut sorted: Vec<_> = uids.into_iter().collect();
        if !sorted.is_sorted() {
            sorted.sort_unstable();
        }
        let mut all = Self::default();
        all.append(sorted);
        all
    }
}

impl<const N: usize> From<[NonZeroU32; N]> for Uids {
    fn from(uids: [NonZeroU32; N]) -> Self {
        uids.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{Change, View, ViewOptions};

    fn uid(uid: u32) -> NonZeroU32 {
        NonZeroU32::new(uid).unwrap()
    }

    proptest! {
        #[test]
        fn as_a_set_does(
            first in prop::collection::btree_set(1_u32..1_000, 0..400),
            steps in prop::collection::vec(
                (any::<bool>(), prop::collection::btree_set(1_u32..2_000, 0..60)),
                0..6,
            ),
        ) {
            let mut model: BTreeSet<NonZeroU32> = first.iter().map(|one| uid(*one)).collect();
            let mut uids: Uids = model.iter().rev().copied().collect();
            for (add, change) in steps {
                let before = (uids.clone(), model.clone());
                let change: Vec<_> = change.into_iter().map(uid).collect();
                prop_assert!(uids.updated(change.iter().copied()).iter().eq(change.iter().copied()));
                if add {
                    let last = model.last().copied();
                    uids.append(change.iter().copied());
                    model.extend(change.iter().filter(|one| last.is_none_or(|last| **one > last)));
                } else {
                    uids.remove(&change);
                    model.retain(|one| change.binary_search(one).is_err());
                }
                prop_assert!(before.0.iter().eq(before.1.iter().copied()), "a clone stays");
                prop_assert!(uids.iter().eq(model.iter().copied()));
                prop_assert_eq!((uids.len(), uids.last()), (model.len(), model.last().copied()));
                for (index, one) in model.iter().enumerate().step_by(7) {
                    prop_assert_eq!(uids.get(index), Some(*one));
                    prop_assert_eq!(uids.position(*one), Some(index));
                    prop_assert!(uids.iter_from(index).eq(model.range(one..).copied()));
                }
                for probe in (1..2_000).step_by(31).map(uid) {
                    prop_assert_eq!(uids.contains(probe), model.contains(&probe));
                    prop_assert_eq!(uids.before(probe), model.range(..probe).count());
                }
                prop_assert_eq!(uids.get(model.len()), None);
            }
        }
    }

    #[test]
    fn clones_share() {
        let mut mailbox: Uids = (1..=1000).map(uid).collect();
        let session = mailbox.clone();
        mailbox.remove(&[uid(500)]);
        mailbox.append([uid(1001)]);
        let pairs = mailbox.chunks.iter().zip(&session.chunks);
        let own = pairs.filter(|(one, other)| !Arc::ptr_eq(&one.uids, &other.uids));
        assert_eq!(own.count(), 2, "the chunk of the one, and the last");
    }

    fn not_shared(one: &Uids, other: &Uids) -> usize {
        let pairs = one.chunks.iter().zip(&other.chunks);
        let own = pairs.filter(|(one, other)| !Arc::ptr_eq(&one.uids, &other.uids));
        own.count()
    }

    #[test]
    fn what_is_the_same_again_is_shared_again() {
        let mailbox: Uids = (1..=1000).map(uid).collect();
        let mut sessions = [(); 2].map(|()| View::select(mailbox.clone(), ViewOptions::default()));
        for session in &mut sessions {
            session.apply(Change::Expunged(uid(500)));
            session.apply(Change::Arrived {
                uid: uid(1001),
                recent: false,
            });
            assert_eq!(session.pending(true).len(), 2);
        }
        let [one, other] = &mut sessions;
        assert_eq!(not_shared(one.uids(), other.uids()), 2);
        other.share_uids(one.uids());
        assert_eq!(not_shared(one.uids(), other.uids()), 0);
        assert!(one.uids().iter().eq(other.uids().iter()));
        // Another session finds the mailbox so.
        let now = mailbox.updated((1..=1001).filter(|one| *one != 500).map(uid));
        assert_eq!(not_shared(&now, &mailbox), 2);
        let mut now = one.uids().updated(now.iter());
        assert_eq!(not_shared(&now, one.uids()), 0);
        now.share(&mailbox);
        assert_eq!(
            not_shared(&now, one.uids()),
            0,
            "others hold something else"
        );
        // UIDs that began anew.
        let anew: Uids = now.updated([2, 500, 501].map(uid));
        assert_eq!(anew.iter().collect::<Vec<_>>(), [2, 500, 501].map(uid));
        assert!(now.updated([]).is_empty());
    }

    #[test]
    fn views_share() {
        let mailbox: Uids = (1..=1000).map(uid).collect();
        let mut sessions = [(); 2].map(|()| View::select(mailbox.clone(), ViewOptions::default()));
        let own = |view: &View| {
            let pairs = view.uids().chunks.iter().zip(&mailbox.chunks);
            let own = pairs.filter(|(one, other)| !Arc::ptr_eq(&one.uids, &other.uids));
            own.count()
        };
        assert_eq!(sessions.each_ref().map(own), [0, 0]);
        let [session, other] = &mut sessions;
        session.apply(Change::Expunged(uid(500)));
        session.apply(Change::Flags {
            uid: uid(7),
            flags: Vec::new(),
            mod_seq: None,
        });
        assert_eq!(session.pending(false).len(), 1);
        assert_eq!(own(session), 0, "as long as it is not told");
        assert_eq!(session.pending(true).len(), 1);
        assert_eq!((own(session), own(other)), (1, 0));
        assert_eq!((session.exists(), other.exists()), (999, 1000));
    }
}
