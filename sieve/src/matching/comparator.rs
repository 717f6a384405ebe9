//! Comparators (RFC 4790 §9, RFC 5051).

use std::cmp::Ordering;

use unicode_normalization::UnicodeNormalization;

use crate::octets::Octets;

/// A collation; how characters compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparator {
    Octet,
    AsciiCasemap,
    AsciiNumeric,
    UnicodeCasemap,
}

impl Comparator {
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"i;octet" => Self::Octet,
            b"i;ascii-casemap" => Self::AsciiCasemap,
            b"i;ascii-numeric" => Self::AsciiNumeric,
            b"i;unicode-casemap" => Self::UnicodeCasemap,
            _ => return None,
        })
    }

    /// Whether `:contains` and `:matches` may use it.
    pub(crate) fn has_substrings(self) -> bool {
        self != Self::AsciiNumeric
    }

    /// The key in the form that [`equals_folded`](Self::equals_folded) wants.
    pub(crate) fn fold_key(self, key: &[u8]) -> Octets {
        match self {
            Self::Octet | Self::AsciiNumeric => key.into(),
            Self::AsciiCasemap => Octets::lowercase(key),
            Self::UnicodeCasemap => Folded::new(key).text.into(),
        }
    }

    pub(crate) fn equals_folded(self, value: &[u8], key: &[u8]) -> bool {
        match self {
            Self::Octet => value == key,
            Self::AsciiCasemap => value.eq_ignore_ascii_case(key),
            Self::AsciiNumeric => self.compare(value, key).is_eq(),
            Self::UnicodeCasemap => {
                if value.is_ascii() {
                    value.eq_ignore_ascii_case(key)
                } else {
                    Folded::new(value).text == key
                }
            }
        }
    }

    pub(crate) fn compare(self, left: &[u8], right: &[u8]) -> Ordering {
        match self {
            Self::Octet => left.cmp(right),
            Self::AsciiCasemap => left
                .iter()
                .map(u8::to_ascii_lowercase)
                .cmp(right.iter().map(u8::to_ascii_lowercase)),
            // Digits of any length, without a number type: more digits are more. No digits are infinite.
            Self::AsciiNumeric => match (digits(left), digits(right)) {
                (Some(left), Some(right)) => {
                    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            },
            Self::UnicodeCasemap => Folded::new(left).text.cmp(&Folded::new(right).text),
        }
    }
}

/// The leading digits without leading zeros.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let end = text
        .iter()
        .position(|c| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let digits = text.get(..end).filter(|digits| !digits.is_empty())?;
    let zeros = digits.iter().take_while(|&&c| c == b'0').count();
    digits.get(zeros..)
}

/// A value under `i;unicode-casemap` with the way back to the octets it came from.
pub(crate) struct Folded {
    text: Vec<u8>,
    /// For each octet of `text` the start of the character it came from; then the length of the source.
    origin: Vec<usize>,
}

impl Folded {
    /// Upper-cases and decomposes (RFC 5051 §2); octets that are no UTF-8 stand for themselves.
    pub(crate) fn new(source: &[u8]) -> Self {
        let mut text = Vec::with_capacity(source.len());
        let mut origin = Vec::with_capacity(source.len() + 1);
        let mut at = 0;
        for chunk in source.utf8_chunks() {
            for character in chunk.valid().chars() {
                let mut buffer = [0; 4];
                if character.is_ascii() {
                    let lower = character.to_ascii_lowercase();
                    text.extend_from_slice(lower.encode_utf8(&mut buffer).as_bytes());
                } else {
                    for part in fold(character) {
                        text.extend_from_slice(part.encode_utf8(&mut buffer).as_bytes());
                    }
                }
                origin.resize(text.len(), at);
                at += character.len_utf8();
            }
            for &octet in chunk.invalid() {
                text.push(octet);
                origin.push(at);
                at += 1;
            }
        }
        origin.push(at);
        Self { text, origin }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where the octet at `index` came from.
    pub(crate) fn origin(&self, index: usize) -> usize {
        self.origin
            .get(index)
            .or(self.origin.last())
            .copied()
            .unwrap_or(0)
    }

    /// Octets of the character that begins at `index`.
    pub(crate) fn unit(&self, index: usize) -> usize {
        let from = self.origin(index);
        let rest = self.origin.get(index..self.text.len()).unwrap_or_default();
        rest.iter().take_while(|&&origin| origin == from).count()
    }
}

/// One character's title case, decomposed; ASCII letters then go to lower case as everywhere in this crate.
fn fold(character: char) -> impl Iterator<Item = char> {
    let mut upper = character.to_uppercase();
    // The collation uses the simple mapping: one character to one.
    let mapped = match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => character,
    };
    std::iter::once(mapped)
        .nfkd()
        .map(|part| part.to_ascii_lowercase())
}

/// A string to look for within values.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    text: Octets,
    /// Whether ASCII letters match in either case; `text` is then lower case.
    casemap: bool,
}

impl Needle {
    pub(crate) fn new(comparator: Comparator, key: &[u8]) -> Self {
        Self {
            text: comparator.fold_key(key),
            casemap: comparator == Comparator::AsciiCasemap,
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The first occurrence at or after `from`.
    ///
    /// Linear in the value: long needles, where trying each place would cost their length each time, go to a
    /// two-way search over a folded copy.
    pub(crate) fn find(&self, value: &[u8], from: usize) -> Option<usize> {
        let rest = value.get(from..)?;
        if !self.casemap {
            return memchr::memmem::find(rest, &self.text).map(|at| from + at);
        }
        let Some((&first, tail)) = self.text.split_first() else {
            return Some(from);
        };
        if self.text.len() > 32 && rest.len() > 1024 {
            let folded = rest.to_ascii_lowercase();
            return memchr::memmem::find(&folded, &self.text).map(|at| from + at);
        }
        let last = rest.len().checked_sub(self.text.len())?;
        let heads = rest.get(..=last)?;
        memchr::memchr2_iter(first, first.to_ascii_uppercase(), heads)
            .find(|&at| {
                rest.get(at + 1..=at + tail.len())
                    .is_some_and(|window| window.eq_ignore_ascii_case(tail))
            })
            .map(|at| from + at)
    }

    pub(crate) fn is_at(&self, value: &[u8], at: usize) -> bool {
        value.get(at..at + self.text.len()).is_some_and(|window| {
            if self.casemap {
                window.eq_ignore_ascii_case(&self.text)
            } else {
                window == &*self.text
            }
        })
    }
}

crate::binary::record!(Needle { text, casemap });
