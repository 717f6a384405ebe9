use std::fmt;
use std::num::NonZeroU32;

use super::NumberSet;
use crate::ParseErrorKind;
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;

/// Numbers in an order of their own: what SORT answers with (RFC 5267 §3.2).
///
/// Kept as runs of ascending numbers, so that a crafted `1:4294967295` costs
/// nothing.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct NumberSequence(Vec<(NonZeroU32, NonZeroU32)>);

impl NumberSequence {
    /// The runs in order, each ascending, both ends included.
    #[must_use]
    pub fn runs(&self) -> &[(NonZeroU32, NonZeroU32)] {
        &self.0
    }

    /// How many numbers it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        let size = |(first, last): &(NonZeroU32, NonZeroU32)| u64::from(last.get() - first.get());
        self.0.iter().map(|run| size(run) + 1).sum()
    }

    /// Whether it holds none. An empty sequence cannot be put on the wire.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers one by one, in order.
    pub fn iter(&self) -> impl Iterator<Item = NonZeroU32> + '_ {
        self.0
            .iter()
            .flat_map(|(first, last)| (first.get()..=last.get()).filter_map(NonZeroU32::new))
    }

    /// Adds a number at the end.
    pub fn push(&mut self, number: NonZeroU32) {
        self.push_run(number, number);
    }

    /// Whether the numbers ascend.
    #[must_use]
    pub fn is_ascending(&self) -> bool {
        self.0.is_sorted_by(|one, next| one.1 < next.0)
    }

    /// The same numbers without their order.
    #[must_use]
    pub fn to_set(&self) -> NumberSet {
        let mut set = NumberSet::default();
        let mut runs = self.0.clone();
        runs.sort_unstable();
        for (first, last) in runs {
            set.insert_range(first, last);
        }
        set
    }

    fn push_run(&mut self, first: NonZeroU32, last: NonZeroU32) {
        match self.0.last_mut() {
            Some(end) if end.1.checked_add(1) == Some(first) => end.1 = last,
            _ => self.0.push((first, last)),
        }
    }

    /// `sequence-set` without `*`; a range 12:10 is 10:12 (RFC 5267 §3.2).
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut sequence = Self::default();
        loop {
            let first = c.nz_number()?;
            let last = if c.eat(b':') { c.nz_number()? } else { first };
            if sequence.0.len() >= c.max_ranges {
                return Err(c.error(ParseErrorKind::Count));
            }
            sequence.push_run(first.min(last), first.max(last));
            if !c.eat(b',') {
                return Ok(sequence);
            }
        }
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                w.byte(b',');
            }
            w.number(first.get());
            if first != last {
                w.byte(b':');
                w.number(last.get());
            }
        }
    }
}

impl FromIterator<NonZeroU32> for NumberSequence {
    fn from_iter<I: IntoIterator<Item = NonZeroU32>>(numbers: I) -> Self {
        let mut sequence = Self::default();
        numbers.into_iter().for_each(|number| sequence.push(number));
        sequence
    }
}

impl From<NumberSet> for NumberSequence {
    fn from(set: NumberSet) -> Self {
        Self(set.ranges().to_vec())
    }
}

impl fmt::Debug for NumberSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crate::wire::to_vec(crate::Dialect::SERVER, |w| self.encode(w));
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept() {
        let parse = |text: &str| NumberSequence::parse(&mut Cursor::new(text.as_bytes())).unwrap();
        for (text, again) in [
            ("5", "5"),
            ("5,4,3", "5,4,3"),
            ("3,4,5", "3:5"),
            ("12:10", "10:12"),
            ("7:9,10,3", "7:10,3"),
        ] {
            assert_eq!(format!("{:?}", parse(text)), again);
        }
        let sequence = parse("9,3:5");
        let numbers: Vec<u32> = sequence.iter().map(NonZeroU32::get).collect();
        assert_eq!(numbers, [9, 3, 4, 5]);
        assert_eq!(sequence.len(), 4);
        assert!(!sequence.is_ascending());
        assert_eq!(format!("{:?}", sequence.to_set()), "3:5,9");
        assert_eq!(parse("1:4294967295").len(), 4_294_967_295);
    }
}
