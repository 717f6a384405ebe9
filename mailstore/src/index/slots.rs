//! What the process keeps of every message beside the table: where it is, and where its digest is.

use super::cache::Place;

/// One message's slot: 32 octets, and its place's octets in the arena.
#[derive(Clone, Copy)]
struct Slot {
    uid: u32,
    len: u32,
    at: usize,
    digest: Place,
}

/// Slots in the order of their UIDs, their octets in one piece of memory.
///
/// A message takes 32 octets and those of its place; what was replaced is given back when it is as much as what
/// is in use.
#[derive(Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    arena: Vec<u8>,
    unused: usize,
}

impl Slots {
    /// Over an arena that is filled already; slots are added with [`push_at`](Self::push_at).
    pub(super) fn over(arena: Vec<u8>) -> Self {
        Self {
            slots: Vec::new(),
            unused: arena.len(),
            arena,
        }
    }

    /// A slot whose octets are in the arena; UIDs may come again.
    pub(super) fn put_at(&mut self, uid: u32, at: usize, len: u32, digest: Place) {
        self.put_slot(Slot {
            uid,
            len,
            at,
            digest,
        });
    }

    fn put_slot(&mut self, slot: Slot) {
        self.unused = self.unused.saturating_sub(width(slot));
        if self.slots.last().is_none_or(|last| last.uid < slot.uid) {
            return self.slots.push(slot);
        }
        match self.find(slot.uid) {
            Ok(index) => {
                if let Some(known) = self.slots.get_mut(index) {
                    self.unused += width(*known);
                    *known = slot;
                }
            }
            Err(index) => self.slots.insert(index, slot),
        }
    }

    fn find(&self, uid: u32) -> Result<usize, usize> {
        self.slots.binary_search_by_key(&uid, |slot| slot.uid)
    }

    fn slot(&self, uid: u32) -> Option<&Slot> {
        self.slots.get(self.find(uid).ok()?)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The octets put for this UID.
    pub(crate) fn get(&self, uid: u32) -> Option<&[u8]> {
        let slot = self.slot(uid)?;
        self.arena.get(slot.at..slot.at + width(*slot))
    }

    /// Puts octets for a UID; its digest stays.
    pub(crate) fn put(&mut self, uid: u32, octets: &[u8]) {
        let digest = self.digest(uid);
        let at = self.arena.len();
        let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        self.arena.extend_from_slice(octets);
        self.unused += octets.len();
        self.put_slot(Slot {
            uid,
            len,
            at,
            digest,
        });
        if self.unused > 64 << 10 && self.unused > self.arena.len() / 2 {
            self.shrink();
        }
    }

    pub(crate) fn digest(&self, uid: u32) -> Place {
        self.slot(uid).map(|slot| slot.digest).unwrap_or_default()
    }

    pub(super) fn set_digest(&mut self, uid: u32, digest: Place) {
        match self.find(uid) {
            Ok(index) => {
                if let Some(slot) = self.slots.get_mut(index) {
                    slot.digest = digest;
                }
            }
            // A format that keeps its places elsewhere.
            Err(_) => self.put_at(uid, 0, 0, digest),
        }
    }

    /// Gives back the memory of all places; digests stay.
    pub(crate) fn forget_places(&mut self) {
        self.arena = Vec::new();
        self.unused = 0;
        for slot in &mut self.slots {
            (slot.at, slot.len) = (0, 0);
        }
    }

    pub(super) fn forget_digests(&mut self) {
        for slot in &mut self.slots {
            slot.digest = Place::default();
        }
    }

    /// UIDs with their octets, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.slots.iter().map(|slot| {
            let octets = self.arena.get(slot.at..slot.at + width(*slot));
            (slot.uid, octets.unwrap_or_default())
        })
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes out the UIDs that `gone` names, ascending.
    pub(crate) fn remove(&mut self, gone: &[u32]) {
        let unused = &mut self.unused;
        self.slots.retain(|slot| {
            let stays = gone.binary_search(&slot.uid).is_err();
            if !stays {
                *unused += width(*slot);
            }
            stays
        });
    }

    fn shrink(&mut self) {
        let mut arena = Vec::with_capacity(self.arena.len() - self.unused);
        for slot in &mut self.slots {
            let at = arena.len();
            let octets = self.arena.get(slot.at..slot.at + width(*slot));
            arena.extend_from_slice(octets.unwrap_or_default());
            slot.at = at;
        }
        self.arena = arena;
        self.unused = 0;
    }
}

fn width(slot: Slot) -> usize {
    usize::try_from(slot.len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_keep_what_was_put_last() {
        let mut slots = Slots::default();
        for round in 0..100u32 {
            for uid in (1..=200).rev() {
                slots.put(uid, format!("{round}-{uid}").repeat(5).as_bytes());
            }
        }
        assert_eq!(slots.len(), 200);
        assert!(slots.arena.len() < 300 << 10);
        assert_eq!(slots.get(7), Some("99-7".repeat(5).as_bytes()));
        let place = Place { at: 9, len: 3 };
        slots.set_digest(7, place);
        slots.put(7, b"new");
        assert_eq!(slots.digest(7), place);
        slots.remove(&[1, 7, 200]);
        assert_eq!(slots.get(7), None);
        assert_eq!(slots.iter().map(|(uid, _)| uid).next(), Some(2));
        assert_eq!(slots.len(), 197);
    }
}
