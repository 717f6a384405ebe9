use std::fmt;
use std::num::NonZeroU32;

use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

/// `sequence-set`: sequence numbers or UIDs as a client names them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SequenceSet {
    /// Ranges, in the order they were written; at least one.
    Ranges(Ranges),
    /// `$`: the saved result of the last search (RFC 5182).
    SavedResult,
}

/// One or more ranges.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ranges(Few);

/// Most sets are one range, or two: held without an allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Few {
    One(SequenceRange),
    Two([SequenceRange; 2]),
    /// More than two.
    Many(Vec<SequenceRange>),
}

impl Few {
    /// These ranges; `None` where there is none.
    fn new(ranges: Vec<SequenceRange>) -> Option<Self> {
        match ranges[..] {
            [] => None,
            [one] => Some(Self::One(one)),
            [one, two] => Some(Self::Two([one, two])),
            _ => Some(Self::Many(ranges)),
        }
    }
}

/// `seq-number / seq-range`. The ends are in the order they were written:
/// `4:2` means what `2:4` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceRange {
    /// The first end.
    pub first: SequenceNumber,
    /// The second end; equal to the first for a single number.
    pub second: SequenceNumber,
}

/// `seq-number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SequenceNumber {
    /// A number.
    Number(NonZeroU32),
    /// `*`: the largest in use.
    Largest,
}

impl SequenceNumber {
    /// The number when `largest` is the largest in use.
    #[must_use]
    pub fn resolve(self, largest: NonZeroU32) -> NonZeroU32 {
        match self {
            Self::Number(number) => number,
            Self::Largest => largest,
        }
    }
}

impl SequenceNumber {
    /// `nz-number / "*"`.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        match c.eat(b'*') {
            true => Ok(Self::Largest),
            false => c.nz_number().map(Self::Number),
        }
    }

    pub(crate) fn encode(self, w: &mut Writer<'_>) {
        encode_number(self, w);
    }
}

impl SequenceRange {
    /// The range from the smaller to the larger end, both included, when
    /// `largest` is the largest in use.
    #[must_use]
    pub fn resolve(self, largest: NonZeroU32) -> (NonZeroU32, NonZeroU32) {
        let (first, second) = (self.first.resolve(largest), self.second.resolve(largest));
        (first.min(second), first.max(second))
    }
}

impl SequenceSet {
    /// A set of ranges.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(ranges: impl Into<Vec<SequenceRange>>) -> Result<Self, Invalid> {
        match Few::new(ranges.into()) {
            Some(ranges) => Ok(Self::Ranges(Ranges(ranges))),
            None => Err(Invalid {
                term: "sequence-set",
            }),
        }
    }

    /// One number.
    #[must_use]
    pub fn one(number: NonZeroU32) -> Self {
        let number = SequenceNumber::Number(number);
        Self::Ranges(Ranges(Few::One(SequenceRange {
            first: number,
            second: number,
        })))
    }

    /// `1:*`.
    #[must_use]
    pub fn all() -> Self {
        Self::Ranges(Ranges(Few::One(SequenceRange {
            first: SequenceNumber::Number(NonZeroU32::MIN),
            second: SequenceNumber::Largest,
        })))
    }

    /// A set as it is written.
    ///
    /// # Errors
    /// When it is not one.
    pub fn from_text(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid {
            term: "sequence-set",
        };
        let mut c = Cursor::new(text.as_bytes());
        let set = Self::parse(&mut c).map_err(|_| invalid)?;
        c.end().map_err(|_| invalid)?;
        Ok(set)
    }

    /// The ranges; none for `$`.
    #[must_use]
    pub fn ranges(&self) -> &[SequenceRange] {
        match self {
            Self::Ranges(Ranges(Few::One(range))) => std::slice::from_ref(range),
            Self::Ranges(Ranges(Few::Two(ranges))) => ranges,
            Self::Ranges(Ranges(Few::Many(ranges))) => ranges,
            Self::SavedResult => &[],
        }
    }

    /// The ranges from smaller to larger end, sorted and merged, when
    /// `largest` is the largest in use.
    #[must_use]
    pub fn resolve(&self, largest: NonZeroU32) -> Vec<(NonZeroU32, NonZeroU32)> {
        let mut ranges: Vec<_> = self
            .ranges()
            .iter()
            .map(|range| range.resolve(largest))
            .collect();
        merge(&mut ranges);
        ranges
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        if c.eat(b'$') {
            return Ok(Self::SavedResult);
        }
        let one = range(c)?;
        if c.max_ranges == 0 {
            return Err(c.error(ParseErrorKind::Count));
        }
        if !c.eat(b',') {
            return Ok(Self::Ranges(Ranges(Few::One(one))));
        }
        let two = range(c)?;
        if c.max_ranges == 1 {
            return Err(c.error(ParseErrorKind::Count));
        }
        if !c.eat(b',') {
            return Ok(Self::Ranges(Ranges(Few::Two([one, two]))));
        }
        let mut ranges = vec![one, two];
        loop {
            let next = range(c)?;
            if ranges.len() >= c.max_ranges {
                return Err(c.error(ParseErrorKind::Count));
            }
            ranges.push(next);
            if !c.eat(b',') {
                return Ok(Self::Ranges(Ranges(Few::Many(ranges))));
            }
        }
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        if let Self::SavedResult = self {
            return w.byte(b'$');
        }
        for (index, range) in self.ranges().iter().enumerate() {
            if index > 0 {
                w.byte(b',');
            }
            encode_number(range.first, w);
            if range.first != range.second {
                w.byte(b':');
                encode_number(range.second, w);
            }
        }
    }
}

/// `seq-number / seq-range`.
#[inline]
fn range(c: &mut Cursor<'_>) -> Parsed<SequenceRange> {
    if let Some((range, behind)) = quick_range(c.rest()) {
        c.leave(behind);
        return Ok(range);
    }
    other_range(c)
}

/// As [`range`], of numbers of few digits.
#[inline]
fn quick_range(octets: &[u8]) -> Option<(SequenceRange, &[u8])> {
    let (first, behind) = quick_number(octets)?;
    let (second, behind) = match behind.split_first() {
        Some((b':', behind)) => quick_number(behind)?,
        _ => (first, behind),
    };
    Some((SequenceRange { first, second }, behind))
}

#[inline]
fn quick_number(octets: &[u8]) -> Option<(SequenceNumber, &[u8])> {
    if let Some((b'*', behind)) = octets.split_first() {
        return Some((SequenceNumber::Largest, behind));
    }
    let (mut value, mut rest) = (0_u32, octets);
    while let Some((octet, behind)) = rest.split_first() {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        rest = behind;
    }
    // Nine digits fit; no digits are 0.
    let few = octets.len() - rest.len() <= 9;
    let number = NonZeroU32::new(value).filter(|_| few)?;
    Some((SequenceNumber::Number(number), rest))
}

fn other_range(c: &mut Cursor<'_>) -> Parsed<SequenceRange> {
    let first = number(c)?;
    let second = if c.eat(b':') { number(c)? } else { first };
    Ok(SequenceRange { first, second })
}

fn number(c: &mut Cursor<'_>) -> Parsed<SequenceNumber> {
    if c.eat(b'*') {
        return Ok(SequenceNumber::Largest);
    }
    c.nz_number().map(SequenceNumber::Number)
}

fn encode_number(number: SequenceNumber, w: &mut Writer<'_>) {
    match number {
        SequenceNumber::Number(number) => w.number(number.get()),
        SequenceNumber::Largest => w.byte(b'*'),
    }
}

fn merge(ranges: &mut Vec<(NonZeroU32, NonZeroU32)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = next.0.get() <= kept.1.get().saturating_add(1);
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
}

impl fmt::Debug for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crate::wire::to_vec(crate::Dialect::SERVER, |w| self.encode(w));
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// `uid-set`: concrete numbers, sorted and merged; what servers answer with.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct NumberSet(Vec<(NonZeroU32, NonZeroU32)>);

impl NumberSet {
    /// The ranges, ascending, with gaps between, both ends included.
    #[must_use]
    pub fn ranges(&self) -> &[(NonZeroU32, NonZeroU32)] {
        &self.0
    }

    /// How many numbers it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        let size =
            |(first, last): &(NonZeroU32, NonZeroU32)| u64::from(last.get() - first.get()) + 1;
        self.0.iter().map(size).sum()
    }

    /// Whether it holds none. An empty set cannot be put on the wire.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds `number`.
    #[must_use]
    pub fn contains(&self, number: NonZeroU32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    /// The numbers one by one, ascending.
    pub fn iter(&self) -> impl Iterator<Item = NonZeroU32> + '_ {
        self.0
            .iter()
            .flat_map(|(first, last)| (first.get()..=last.get()).filter_map(NonZeroU32::new))
    }

    /// Adds one number: at no cost at the end, else by search. Numbers that
    /// descend cost no more than a move of what is behind them.
    pub fn insert(&mut self, number: NonZeroU32) {
        self.insert_range(number, number);
    }

    /// Adds a range, both ends included, in any order.
    pub fn insert_range(&mut self, first: NonZeroU32, last: NonZeroU32) {
        let (first, last) = (first.min(last), first.max(last));
        match self.0.last_mut() {
            Some(end) if first >= end.0 && first.get() <= end.1.get().saturating_add(1) => {
                end.1 = end.1.max(last);
            }
            Some(end) if first < end.0 => self.join(first, last),
            _ => self.0.push((first, last)),
        }
    }

    /// Puts a range among the others; those that it touches become one.
    fn join(&mut self, first: NonZeroU32, last: NonZeroU32) {
        let is_before = |range: &(NonZeroU32, NonZeroU32)| range.1.saturating_add(1) < first;
        let start = self.0.partition_point(is_before);
        let behind = last.saturating_add(1);
        let rest = self.0.get(start..).unwrap_or_default();
        let touched = rest.partition_point(|range| range.0 <= behind);
        let touched = rest.get(..touched).unwrap_or_default();
        let joined = match touched {
            [] => (first, last),
            [one] => (one.0.min(first), one.1.max(last)),
            [one, .., other] => (one.0.min(first), other.1.max(last)),
        };
        let end = start + touched.len();
        self.0.splice(start..end, [joined]);
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut ranges = Vec::with_capacity(1);
        loop {
            let first = c.nz_number()?;
            let last = if c.eat(b':') { c.nz_number()? } else { first };
            if ranges.len() >= c.max_ranges {
                return Err(c.error(ParseErrorKind::Count));
            }
            ranges.push((first.min(last), first.max(last)));
            if !c.eat(b',') {
                merge(&mut ranges);
                return Ok(Self(ranges));
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

impl FromIterator<NonZeroU32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = NonZeroU32>>(numbers: I) -> Self {
        let mut ranges: Vec<(NonZeroU32, NonZeroU32)> = Vec::new();
        let mut sorted = true;
        for number in numbers {
            match ranges.last_mut() {
                Some(end) if end.1.checked_add(1) == Some(number) => end.1 = number,
                last => {
                    sorted &= last.is_none_or(|end| end.1 < number);
                    ranges.push((number, number));
                }
            }
        }
        if !sorted {
            merge(&mut ranges);
        }
        Self(ranges)
    }
}

impl fmt::Debug for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crate::wire::to_vec(crate::Dialect::SERVER, |w| self.encode(w));
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nz(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn resolves_as_the_rfc_says() {
        let resolve = |text: &str, largest| {
            let ranges = SequenceSet::from_text(text).unwrap().resolve(nz(largest));
            let ranges: Vec<_> = ranges.iter().map(|(a, b)| (a.get(), b.get())).collect();
            ranges
        };
        // The examples in the ABNF of RFC 9051 §9.
        assert_eq!(
            resolve("2,4:7,9,12:*", 15),
            [(2, 2), (4, 7), (9, 9), (12, 15)]
        );
        assert_eq!(resolve("*:4,5:7", 10), [(4, 10)]);
        assert_eq!(resolve("3291:*", 100), [(100, 3291)]);
        assert_eq!(resolve("4:2", 9), [(2, 4)]);
    }

    #[test]
    fn invalid_sets() {
        for text in [
            "",
            "0",
            "1,",
            ",1",
            "1:",
            ":1",
            "a",
            "4294967296",
            "1:2:3",
            "$,1",
            "+1",
        ] {
            assert!(SequenceSet::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn number_sets_merge() {
        let set: NumberSet = [5, 1, 2, 3, 9, 4].map(nz).into_iter().collect();
        assert_eq!(format!("{set:?}"), "1:5,9");
        assert_eq!(set.len(), 6);
        assert!(set.contains(nz(5)) && !set.contains(nz(6)) && set.contains(nz(9)));
        let mut set = NumberSet::default();
        for number in [7, 8, 3, 9, 20, 8] {
            set.insert(nz(number));
        }
        assert_eq!(format!("{set:?}"), "3,7:9,20");
    }

    #[test]
    fn ranges_in_any_order() {
        // Against one number after the other, ends of the numbers included.
        let max = u32::MAX;
        let ranges = [
            (20, 30),
            (5, 5),
            (7, 9),
            (6, 6),
            (1, 2),
            (12, 18),
            (3, 40),
            (60, 50),
            (41, 49),
            (max - 1, max),
            (max - 3, max - 2),
            (100, 100),
            (99, 99),
            (1, max),
        ];
        let mut set = NumberSet::default();
        let mut all: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            set.insert_range(nz(first), nz(last));
            all.push((first.min(last), first.max(last)));
            let mut merged: Vec<_> = all.iter().map(|(a, b)| (nz(*a), nz(*b))).collect();
            merge(&mut merged);
            assert_eq!(set.ranges(), merged);
        }
        // Descending, with gaps.
        let mut set = NumberSet::default();
        (1..=200_000)
            .rev()
            .for_each(|number| set.insert(nz(2 * number)));
        assert_eq!(set.ranges().len(), 200_000);
    }
}
