//! A short list that needs no memory of its own.

/// Up to `N` items; what comes beyond is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Few<T, const N: usize> {
    items: [Option<T>; N],
    length: usize,
}

impl<T: Copy, const N: usize> Few<T, N> {
    pub(crate) fn new() -> Self {
        Self {
            items: [None; N],
            length: 0,
        }
    }

    /// False if there is no room.
    pub(crate) fn push(&mut self, item: T) -> bool {
        match self.items.get_mut(self.length) {
            Some(place) => {
                *place = Some(item);
                self.length += 1;
                true
            }
            None => false,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.length == N
    }

    pub(crate) fn last(&self) -> Option<T> {
        self.items
            .get(self.length.checked_sub(1)?)
            .copied()
            .flatten()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.items.iter().map_while(|item| *item)
    }
}

/// Names found by a few of their letters instead of one comparison each.
pub(crate) struct NameIndex {
    /// One more than the place of a name, by its hash; zero is empty.
    slots: [u8; SLOTS],
}

const SLOTS: usize = 256;

/// Without regard to ASCII case.
#[inline]
fn hash(octets: &[u8]) -> usize {
    let at = |place: usize| octets.get(place).map_or(0, |c| usize::from(c | 0x20));
    let length = octets.len();
    length
        .wrapping_mul(31)
        .wrapping_add(at(0).wrapping_mul(7))
        .wrapping_add(at(length.wrapping_sub(1)).wrapping_mul(13))
        .wrapping_add(at(length / 2).wrapping_mul(3))
}

impl NameIndex {
    /// Of no more than a hundred names, so that there is always an empty slot.
    pub(crate) fn new(names: impl Iterator<Item = &'static str>) -> Self {
        let mut slots = [0; SLOTS];
        for (number, name) in (1_u8..=100).zip(names) {
            let free = (0..SLOTS)
                .map(|step| (hash(name.as_bytes()) + step) % SLOTS)
                .find(|&slot| slots.get(slot) == Some(&0));
            if let Some(slot) = free.and_then(|slot| slots.get_mut(slot)) {
                *slot = number;
            }
        }
        Self { slots }
    }

    /// The place of the first name that `is` says it is.
    #[inline]
    pub(crate) fn find(&self, name: &[u8], is: impl Fn(usize) -> bool) -> Option<usize> {
        let mut slot = hash(name) % SLOTS;
        loop {
            match self.slots.get(slot) {
                Some(0) | None => return None,
                Some(number) => {
                    let place = usize::from(*number) - 1;
                    if is(place) {
                        return Some(place);
                    }
                }
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        let names = ["keep", "stop", "Discard", "fileinto", "peek"];
        let index = NameIndex::new(names.iter().copied());
        let find =
            |name: &str| index.find(name.as_bytes(), |at| names[at].eq_ignore_ascii_case(name));
        for (at, name) in names.iter().enumerate() {
            assert_eq!(find(name), Some(at));
            assert_eq!(find(&name.to_ascii_uppercase()), Some(at));
        }
        assert_eq!(find("kelp"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn a_full_list_says_so() {
        let mut few = Few::<u8, 2>::new();
        assert_eq!(few.last(), None);
        assert!(few.push(1) && !few.is_full() && few.push(2) && !few.push(3));
        assert!(few.is_full() && few.last() == Some(2));
        assert!(few.iter().eq([1, 2]));
    }
}
