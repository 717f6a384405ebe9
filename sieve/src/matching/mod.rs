//! How a value is compared with keys: match types (RFC 5228 §2.7.1) and comparators (§2.7.3).

mod comparator;
mod glob;
mod regex;

use std::cmp::Ordering;
use std::io::Write as _;

pub(crate) use comparator::Comparator;
use comparator::{Folded, Needle};
use glob::Glob;
pub(crate) use regex::Regex;

use crate::binary::{choice, record};
use crate::items::Items;
use crate::octets::Octets;
use crate::program::List;

/// `gt`, `ge`, `lt`, `le`, `eq`, `ne` (RFC 5231 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

impl Relation {
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"gt" => Self::Gt,
            b"ge" => Self::Ge,
            b"lt" => Self::Lt,
            b"le" => Self::Le,
            b"eq" => Self::Eq,
            b"ne" => Self::Ne,
            _ => return None,
        })
    }

    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchType {
    Is,
    Contains,
    Matches,
    Value(Relation),
    Count(Relation),
    Regex,
    /// `:list` (RFC 6134 §2.7): the host knows.
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matching {
    pub(crate) kind: MatchType,
    pub(crate) comparator: Comparator,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            kind: MatchType::Is,
            comparator: Comparator::AsciiCasemap,
        }
    }
}

/// The keys of one test: made ready when the script is compiled, unless they hold variables.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    Fixed(Items<Pattern>),
    Dynamic(List),
}

/// A key made ready for its match type and comparator.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Is(Octets),
    Contains(Needle),
    Glob(Glob),
    Regex(Box<Regex>),
    Relation(Octets),
    List(Octets),
}

/// Octet ranges of the value: the whole match, then one per wildcard or group.
pub(crate) type Ranges = Vec<(usize, usize)>;

/// Highest match variable, `${99}`.
pub(crate) const CAPTURES: usize = 99;

impl Pattern {
    /// Makes a key ready.
    ///
    /// # Errors
    /// What is wrong with a regular expression.
    pub(crate) fn compile(
        matching: Matching,
        key: &[u8],
        regex_size: usize,
    ) -> Result<Self, String> {
        let comparator = matching.comparator;
        Ok(match matching.kind {
            MatchType::Is => Self::Is(comparator.fold_key(key)),
            MatchType::Contains => Self::Contains(Needle::new(comparator, key)),
            MatchType::Matches => Self::Glob(Glob::new(comparator, key)),
            MatchType::Regex => Self::Regex(Box::new(Regex::new(comparator, key, regex_size)?)),
            MatchType::Value(_) | MatchType::Count(_) => Self::Relation(key.into()),
            MatchType::List => Self::List(key.into()),
        })
    }

    /// Octets that a regular expression takes; other patterns are no larger than their text.
    pub(crate) fn regex_octets(&self) -> usize {
        match self {
            Self::Regex(regex) => regex.octets(),
            _ => 0,
        }
    }

    /// Whether `value` matches; where it does and the match type has them, `ranges` are filled.
    pub(crate) fn matches(
        &self,
        matching: Matching,
        value: &[u8],
        ranges: Option<&mut Ranges>,
    ) -> bool {
        let comparator = matching.comparator;
        match self {
            Self::Is(key) => comparator.equals_folded(value, key),
            Self::Contains(needle) => match comparator {
                Comparator::UnicodeCasemap => needle.find(Folded::new(value).text(), 0).is_some(),
                _ => needle.find(value, 0).is_some(),
            },
            Self::Glob(glob) => match comparator {
                Comparator::UnicodeCasemap => glob.matches_folded(&Folded::new(value), ranges),
                _ => glob.matches(value, ranges),
            },
            Self::Regex(regex) => regex.matches(value, ranges),
            Self::Relation(key) => match matching.kind {
                MatchType::Value(relation) => relation.holds(comparator.compare(value, key)),
                _ => false,
            },
            Self::List(_) => false,
        }
    }

    /// Whether `count` stands in the relation of `:count` to this key, as numbers (RFC 5231 §4.2).
    pub(crate) fn counts(&self, matching: Matching, count: usize) -> bool {
        match (self, matching.kind) {
            (Self::Relation(key), MatchType::Count(relation)) => {
                let mut text = [0_u8; 20];
                let mut rest = text.as_mut_slice();
                // Twenty digits are enough for any count.
                let written = write!(rest, "{count}").map(|()| 20 - rest.len());
                let count = text.get(..written.unwrap_or(0)).unwrap_or_default();
                relation.holds(matching.comparator.compare(count, key))
            }
            _ => false,
        }
    }
}

choice!(Relation { 0 => Gt, 1 => Ge, 2 => Lt, 3 => Le, 4 => Eq, 5 => Ne });
choice!(MatchType {
    0 => Is, 1 => Contains, 2 => Matches, 3 => Value(relation), 4 => Count(relation), 5 => Regex, 6 => List,
});
choice!(Comparator { 0 => Octet, 1 => AsciiCasemap, 2 => AsciiNumeric, 3 => UnicodeCasemap });
record!(Matching { kind, comparator });
choice!(Keys { 0 => Fixed(patterns), 1 => Dynamic(texts) });
choice!(Pattern {
    0 => Is(key), 1 => Contains(needle), 2 => Glob(glob), 3 => Regex(regex), 4 => Relation(key), 5 => List(name),
});

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn hit(kind: MatchType, comparator: Comparator, value: &str, key: &str) -> bool {
        let matching = Matching { kind, comparator };
        let pattern = Pattern::compile(matching, key.as_bytes(), 1 << 20).unwrap();
        pattern.matches(matching, value.as_bytes(), None)
    }

    #[test]
    fn is_and_contains() {
        use Comparator::{AsciiCasemap, Octet, UnicodeCasemap};
        assert!(hit(MatchType::Contains, AsciiCasemap, "frobnitzm", "NIT"));
        assert!(!hit(MatchType::Contains, Octet, "frobnitzm", "NIT"));
        assert!(!hit(MatchType::Contains, AsciiCasemap, "frobnitzm", "fbm"));
        assert!(hit(MatchType::Contains, AsciiCasemap, "frobnitzm", ""));
        assert!(!hit(MatchType::Is, AsciiCasemap, "frobnitzm", ""));
        assert!(hit(MatchType::Is, AsciiCasemap, "", ""));
        assert!(!hit(MatchType::Is, AsciiCasemap, "\u{c9}", "\u{e9}"));
        assert!(hit(MatchType::Is, UnicodeCasemap, "\u{c9}", "e\u{301}"));
        assert!(hit(
            MatchType::Contains,
            UnicodeCasemap,
            "caf\u{c9}!",
            "\u{e9}"
        ));
    }

    #[test]
    fn relations_are_numeric_with_the_numeric_comparator() {
        let numeric = Comparator::AsciiNumeric;
        assert!(hit(MatchType::Value(Relation::Gt), numeric, "10", "9"));
        assert!(!hit(
            MatchType::Value(Relation::Gt),
            Comparator::AsciiCasemap,
            "10",
            "9"
        ));
        assert!(hit(
            MatchType::Value(Relation::Gt),
            numeric,
            "ten",
            "99999999999999999999999"
        ));
        assert!(hit(MatchType::Is, numeric, "007 bonds", "7"));
    }
}
