use std::fmt;
use std::num::NonZeroU32;

use thiserror::Error;

/// Longest unique-id (RFC 1939 §7, UIDL).
const MAX_UNIQUE_ID: usize = 70;

/// A message's place in the maildrop, from 1; it does not change while the
/// session lasts (RFC 1939 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// `None` for 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number, 1-based.
    #[must_use]
    pub fn value(self) -> u32 {
        self.0.get()
    }

    /// The position in what the host pushed, 0-based.
    #[must_use]
    pub fn index(self) -> usize {
        // At most 2^32 - 2: fits where a maildrop of that length does.
        usize::try_from(self.value() - 1).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a session sees of the mail: numbers, sizes, unique-ids and marks,
/// frozen at login (RFC 1939 §4).
///
/// The host fills it once; the server then answers STAT, LIST, UIDL, DELE
/// and RSET from it. It costs about 24 octets a message and the unique-ids.
///
/// ```
/// use pop3_proto::Maildrop;
///
/// let mut maildrop = Maildrop::default();
/// maildrop.push(120, "1700000000.1")?;
/// maildrop.push(200, "1700000000.2")?;
/// assert_eq!((maildrop.count(), maildrop.octets()), (2, 320));
/// # Ok::<_, pop3_proto::MaildropError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Maildrop {
    entries: Vec<Entry>,
    /// All unique-ids, one behind the other: an allocation for each would
    /// cost more than the ids themselves.
    unique_ids: String,
    deleted: u32,
    octets: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    size: u64,
    unique_id_end: usize,
    deleted: bool,
}

/// Why a message cannot be in a [`Maildrop`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MaildropError {
    /// 1 to 70 octets from 0x21 to 0x7E (RFC 1939 §7).
    #[error("not a unique-id: {0:?}")]
    UniqueId(String),
    /// There is no number left for it.
    #[error("too many messages")]
    Full,
}

impl Maildrop {
    /// Adds the next message: its size in octets with CRLF line ends, and
    /// its unique-id.
    ///
    /// # Errors
    /// [`MaildropError`]; the maildrop is unchanged.
    pub fn push(&mut self, size: u64, unique_id: &str) -> Result<MessageNumber, MaildropError> {
        let whole = (1..=MAX_UNIQUE_ID).contains(&unique_id.len());
        if !whole || !unique_id.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(MaildropError::UniqueId(unique_id.to_owned()));
        }
        let number = u32::try_from(self.entries.len() + 1)
            .ok()
            .and_then(MessageNumber::new)
            .ok_or(MaildropError::Full)?;
        self.unique_ids.push_str(unique_id);
        self.entries.push(Entry {
            size,
            unique_id_end: self.unique_ids.len(),
            deleted: false,
        });
        self.octets = self.octets.saturating_add(size);
        Ok(number)
    }

    /// Messages not marked as deleted.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.highest() - self.deleted
    }

    /// Their octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The highest number, marked or not; 0 for an empty maildrop.
    #[must_use]
    pub fn highest(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// A message's size, unless it is not there or marked as deleted.
    #[must_use]
    pub fn size(&self, number: MessageNumber) -> Option<u64> {
        self.entry(number).map(|entry| entry.size)
    }

    /// A message's unique-id, unless it is not there or marked as deleted.
    #[must_use]
    pub fn unique_id(&self, number: MessageNumber) -> Option<&str> {
        let end = self.entry(number)?.unique_id_end;
        let start = match number.index().checked_sub(1) {
            Some(before) => self.entries.get(before)?.unique_id_end,
            None => 0,
        };
        self.unique_ids.get(start..end)
    }

    /// The numbers marked as deleted, ascending.
    pub fn deleted(&self) -> impl Iterator<Item = MessageNumber> + '_ {
        (1..=self.highest())
            .zip(&self.entries)
            .filter(|(_, entry)| entry.deleted)
            .filter_map(|(number, _)| MessageNumber::new(number))
    }

    /// Whether the number is there but marked as deleted.
    pub(crate) fn is_deleted(&self, number: MessageNumber) -> bool {
        self.entries
            .get(number.index())
            .is_some_and(|entry| entry.deleted)
    }

    /// Marks a message; `false` if it is not there or already marked.
    pub(crate) fn delete(&mut self, number: MessageNumber) -> bool {
        match self.entries.get_mut(number.index()) {
            Some(entry) if !entry.deleted => {
                entry.deleted = true;
                self.deleted += 1;
                self.octets = self.octets.saturating_sub(entry.size);
                true
            }
            _ => false,
        }
    }

    /// Takes all marks away.
    pub(crate) fn reset(&mut self) {
        for entry in &mut self.entries {
            entry.deleted = false;
        }
        self.deleted = 0;
        self.octets = self
            .entries
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.size));
    }

    fn entry(&self, number: MessageNumber) -> Option<&Entry> {
        let entry = self.entries.get(number.index())?;
        (!entry.deleted).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unique_ids_are_checked() {
        let mut maildrop = Maildrop::default();
        for bad in ["", "a b", "a\r\n", "ä", &"x".repeat(71)] {
            assert!(maildrop.push(1, bad).is_err(), "{bad:?}");
        }
        assert_eq!(maildrop.highest(), 0);
        assert!(maildrop.push(1, &"~".repeat(70)).is_ok());
    }

    proptest! {
        /// Against the obvious model.
        #[test]
        fn marks(sizes in proptest::collection::vec(0_u64..1000, 0..20),
                 marks in proptest::collection::vec(0_u32..25, 0..40)) {
            let mut maildrop = Maildrop::default();
            for (index, size) in sizes.iter().enumerate() {
                maildrop.push(*size, &format!("id{index}")).unwrap();
            }
            let mut model: Vec<Option<u64>> = sizes.iter().copied().map(Some).collect();
            for number in marks {
                let taken = (number as usize).checked_sub(1)
                    .and_then(|index| model.get_mut(index))
                    .and_then(Option::take).is_some();
                let number = MessageNumber::new(number);
                prop_assert_eq!(number.is_some_and(|number| maildrop.delete(number)), taken);
            }
            prop_assert_eq!(maildrop.count() as usize, model.iter().flatten().count());
            prop_assert_eq!(maildrop.octets(), model.iter().flatten().sum::<u64>());
            for (index, size) in model.iter().enumerate() {
                let number = MessageNumber::new(u32::try_from(index).unwrap() + 1).unwrap();
                prop_assert_eq!(maildrop.size(number), *size);
                let id = size.map(|_| format!("id{index}"));
                prop_assert_eq!(maildrop.unique_id(number).map(str::to_owned), id);
                prop_assert_eq!(maildrop.is_deleted(number), size.is_none());
            }
            prop_assert_eq!(maildrop.deleted().count(), sizes.len() - maildrop.count() as usize);
            maildrop.reset();
            prop_assert_eq!(maildrop.octets(), sizes.iter().sum::<u64>());
            prop_assert_eq!(maildrop.count() as usize, sizes.len());
        }
    }
}
