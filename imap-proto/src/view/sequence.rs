//! A list that knows the place of each of its members.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;

/// Most members of a chunk, which is cut in two when it has more. Few in
/// tests, so that a short list has many.
const CHUNK: usize = if cfg!(test) { 8 } else { 1024 };

/// UIDs in an order that is none of numbers, each once.
///
/// To find a place, to insert and to remove costs a look at one chunk and at
/// how many there are: about the root of the length. Some forty octets a
/// member.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    /// By their names; one without members is free.
    chunks: Vec<Chunk>,
    /// The names of those with members, in order.
    order: Vec<usize>,
    free: Vec<usize>,
    /// The name of the chunk that a member is in.
    home: HashMap<NonZeroU32, usize>,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    /// Where it is in the order.
    at: usize,
    uids: Vec<NonZeroU32>,
}

impl Sequence {
    pub(super) fn len(&self) -> usize {
        self.home.len()
    }

    pub(super) fn contains(&self, uid: NonZeroU32) -> bool {
        self.home.contains_key(&uid)
    }

    /// Of these, the ones that are there, each behind how many are before it;
    /// in order.
    pub(super) fn places<'u>(
        &self,
        uids: impl IntoIterator<Item = &'u NonZeroU32>,
    ) -> Vec<(usize, NonZeroU32)> {
        let mut start = 0;
        let next = |name: &usize| {
            let before = start;
            start += self.size(*name);
            before
        };
        let starts: Vec<usize> = self.order.iter().map(next).collect();
        let place = |uid: &NonZeroU32| {
            let chunk = self.chunks.get(*self.home.get(uid)?)?;
            let within = chunk.uids.iter().position(|one| one == uid)?;
            Some((starts.get(chunk.at)? + within, *uid))
        };
        let mut places: Vec<_> = uids.into_iter().filter_map(place).collect();
        places.sort_unstable();
        places
    }

    /// Takes these out.
    pub(super) fn remove(&mut self, gone: &BTreeSet<NonZeroU32>) {
        let homes = gone.iter().filter_map(|uid| self.home.remove(uid));
        let homes: BTreeSet<usize> = homes.collect();
        let mut first = None;
        for name in homes {
            let Some(chunk) = self.chunks.get_mut(name) else {
                continue;
            };
            chunk.uids.retain(|uid| !gone.contains(uid));
            if chunk.uids.is_empty() {
                self.free.push(name);
                first = Some(first.map_or(chunk.at, |first: usize| first.min(chunk.at)));
            }
        }
        if let Some(first) = first {
            let chunks = &self.chunks;
            let is_full = |name: &usize| chunks.get(*name).is_some_and(|one| !one.uids.is_empty());
            self.order.retain(is_full);
            self.number_from(first);
        }
    }

    /// Puts `uid`, which is not there, behind the first `position`.
    pub(super) fn insert(&mut self, position: usize, uid: NonZeroU32) {
        let mut left = position;
        let last = self.order.len().saturating_sub(1);
        let mut chosen = None;
        for (at, name) in self.order.iter().enumerate() {
            let size = self.size(*name);
            if left <= size || at == last {
                chosen = Some(*name);
                break;
            }
            left -= size;
        }
        let name = chosen.unwrap_or_else(|| self.add_chunk(0, Vec::new()));
        self.home.insert(uid, name);
        let Some(chunk) = self.chunks.get_mut(name) else {
            return;
        };
        chunk.uids.insert(left.min(chunk.uids.len()), uid);
        if chunk.uids.len() > CHUNK {
            let (at, rest) = (chunk.at, chunk.uids.split_off(CHUNK / 2));
            self.add_chunk(at + 1, rest);
        }
    }

    /// How many at the front are as `is_before` says; it says so of no other.
    pub(super) fn partition_point(&self, mut is_before: impl FnMut(NonZeroU32) -> bool) -> usize {
        let uids = |name: usize| self.chunks.get(name).map_or(&[][..], |chunk| &chunk.uids);
        let after = self
            .order
            .partition_point(|name| uids(*name).first().is_some_and(|uid| is_before(*uid)));
        // The last that begins before it; it may end before it, too.
        let Some(last) = after.checked_sub(1) else {
            return 0;
        };
        let before = self.order.iter().take(last);
        let before: usize = before.map(|name| self.size(*name)).sum();
        let name = self.order.get(last).copied().unwrap_or_default();
        before + uids(name).partition_point(|uid| is_before(*uid))
    }

    fn size(&self, name: usize) -> usize {
        self.chunks.get(name).map_or(0, |chunk| chunk.uids.len())
    }

    /// Its name.
    fn add_chunk(&mut self, at: usize, uids: Vec<NonZeroU32>) -> usize {
        let name = self.free.pop().unwrap_or(self.chunks.len());
        for uid in &uids {
            self.home.insert(*uid, name);
        }
        let chunk = Chunk { at, uids };
        match self.chunks.get_mut(name) {
            Some(free) => *free = chunk,
            None => self.chunks.push(chunk),
        }
        self.order.insert(at.min(self.order.len()), name);
        self.number_from(at);
        name
    }

    /// Tells the chunks from there on where they are.
    fn number_from(&mut self, at: usize) {
        for (at, name) in self.order.iter().enumerate().skip(at) {
            if let Some(chunk) = self.chunks.get_mut(*name) {
                chunk.at = at;
            }
        }
    }
}

/// Each once: where it comes first.
impl FromIterator<NonZeroU32> for Sequence {
    fn from_iter<I: IntoIterator<Item = NonZeroU32>>(uids: I) -> Self {
        let uids = uids.into_iter();
        let mut all = Self::default();
        all.home.reserve(uids.size_hint().0);
        let mut open = Vec::new();
        for uid in uids {
            // Its chunk is the next.
            let next = all.chunks.len();
            match all.home.entry(uid) {
                Entry::Occupied(_) => continue,
                Entry::Vacant(home) => home.insert(next),
            };
            open.push(uid);
            // Half full: it may grow before it is cut.
            if open.len() == CHUNK / 2 {
                all.add_chunk(all.order.len(), std::mem::take(&mut open));
            }
        }
        if !open.is_empty() {
            all.add_chunk(all.order.len(), open);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nz(uid: u32) -> NonZeroU32 {
        NonZeroU32::new(uid).unwrap()
    }

    proptest! {
        #[test]
        fn as_a_list_does(
            first in prop::collection::vec(1_u32..200, 0..100),
            steps in prop::collection::vec((any::<bool>(), 1_u32..200, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut model: Vec<NonZeroU32> = Vec::new();
            for uid in &first {
                if !model.contains(&nz(*uid)) {
                    model.push(nz(*uid));
                }
            }
            let mut sequence: Sequence = first.into_iter().map(nz).collect();
            for (insert, uid, at) in steps {
                let uid = nz(uid);
                let known = model.iter().position(|one| *one == uid);
                prop_assert_eq!(sequence.contains(uid), known.is_some());
                let place: Vec<_> = known.map(|at| (at, uid)).into_iter().collect();
                prop_assert_eq!(sequence.places(&[uid]), place);
                if !insert {
                    let gone = [uid, nz(uid.get() % 7 + 1), nz(uid.get() / 2 + 1)].into();
                    sequence.remove(&gone);
                    model.retain(|one| !gone.contains(one));
                } else if known.is_none() {
                    let at = at.index(model.len() + 1);
                    // The place is found again by those before it.
                    let before: Vec<_> = model.iter().take(at).copied().collect();
                    prop_assert_eq!(sequence.partition_point(|one| before.contains(&one)), at);
                    sequence.insert(at, uid);
                    model.insert(at, uid);
                }
                prop_assert_eq!(sequence.len(), model.len());
            }
            let all: Vec<_> = model.iter().copied().enumerate().collect();
            prop_assert_eq!(sequence.places(&model), all);
        }
    }

    /// What comes at one end and goes at the other leaves nothing behind.
    #[test]
    fn chunks_are_used_again() {
        let mut sequence: Sequence = (1..=20).map(nz).collect();
        for uid in 21..2_000 {
            sequence.insert(sequence.len(), nz(uid));
            sequence.remove(&[nz(uid - 20)].into());
        }
        assert_eq!(sequence.len(), 20);
        assert!(sequence.chunks.len() < 12, "{}", sequence.chunks.len());
        assert_eq!(
            sequence.order.len() + sequence.free.len(),
            sequence.chunks.len()
        );
    }
}
