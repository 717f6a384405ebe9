//! `:matches` (RFC 5228 §2.7.1) without backtracking.
//!
//! The pattern is cut at its stars. Each piece is looked for once, from where the last one ended: the first place is
//! the only one that must be tried, since a later one would only leave less for the rest. So `*a*a*a*b` costs one
//! walk through the value, and each star takes as little as possible, as RFC 5229 §3.2 wants.

use super::comparator::{Comparator, Folded, Needle};
use super::{CAPTURES, Ranges};

#[derive(Clone, Debug)]
pub(crate) struct Glob {
    atoms: Vec<Atom>,
}

#[derive(Clone, Debug)]
enum Atom {
    Text(Needle),
    /// `?`.
    Any,
    /// `*`.
    Star,
}

/// What stands between two stars.
#[derive(Clone, Copy)]
struct Piece<'g> {
    atoms: &'g [Atom],
}

/// What one character is: an octet, or all that a Unicode character was folded to.
struct Subject<'a> {
    text: &'a [u8],
    folded: Option<&'a Folded>,
}

impl Subject<'_> {
    fn unit(&self, at: usize) -> Option<usize> {
        if at >= self.text.len() {
            return None;
        }
        Some(self.folded.map_or(1, |folded| folded.unit(at).max(1)))
    }
}

impl Glob {
    pub(crate) fn new(comparator: Comparator, pattern: &[u8]) -> Self {
        let wildcards = pattern.iter().filter(|c| matches!(c, b'*' | b'?')).count();
        let mut atoms = Vec::with_capacity(2 * wildcards + 1);
        // What stood before a backslash.
        let mut escaped = Vec::new();
        let text = |escaped: &mut Vec<u8>, plain: &[u8], atoms: &mut Vec<Atom>| {
            if !escaped.is_empty() {
                escaped.extend_from_slice(plain);
                atoms.push(Atom::Text(Needle::new(comparator, escaped)));
                escaped.clear();
            } else if !plain.is_empty() {
                atoms.push(Atom::Text(Needle::new(comparator, plain)));
            }
        };
        let mut rest = pattern;
        while let Some(at) = rest.iter().position(|c| matches!(c, b'*' | b'?' | b'\\')) {
            let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            rest = tail.get(1..).unwrap_or_default();
            match tail.first() {
                Some(b'\\') => {
                    escaped.extend_from_slice(plain);
                    escaped.push(rest.first().copied().unwrap_or(b'\\'));
                    rest = rest.get(1..).unwrap_or_default();
                }
                mark => {
                    text(&mut escaped, plain, &mut atoms);
                    atoms.push(if mark == Some(&b'*') {
                        Atom::Star
                    } else {
                        Atom::Any
                    });
                }
            }
        }
        text(&mut escaped, rest, &mut atoms);
        Self { atoms }
    }

    pub(crate) fn matches(&self, value: &[u8], ranges: Option<&mut Ranges>) -> bool {
        let subject = Subject {
            text: value,
            folded: None,
        };
        let mut found = Marks::new(ranges.is_some());
        if self.run(&subject, &mut found).is_none() {
            return false;
        }
        if let Some(ranges) = ranges {
            ranges.clear();
            ranges.push((0, value.len()));
            ranges.extend(found.list);
        }
        true
    }

    pub(crate) fn matches_folded(&self, value: &Folded, ranges: Option<&mut Ranges>) -> bool {
        let subject = Subject {
            text: value.text(),
            folded: Some(value),
        };
        let mut found = Marks::new(ranges.is_some());
        if self.run(&subject, &mut found).is_none() {
            return false;
        }
        if let Some(ranges) = ranges {
            ranges.clear();
            let back = |(start, end)| (value.origin(start), value.origin(end));
            ranges.push(back((0, value.text().len())));
            ranges.extend(found.list.into_iter().map(back));
        }
        true
    }

    /// Whether all of the value matches; the range of each wildcard.
    fn run(&self, subject: &Subject<'_>, marks: &mut Marks) -> Option<()> {
        let end = subject.text.len();
        let mut pieces = self
            .atoms
            .split(|atom| matches!(atom, Atom::Star))
            .map(|atoms| Piece { atoms });
        let mut at = pieces.next()?.at(subject, 0, marks)?;
        let Some(mut piece) = pieces.next() else {
            return (at == end).then_some(());
        };
        for next in pieces {
            at = piece.find(subject, at, marks)?;
            piece = next;
        }
        piece.find_end(subject, at, marks)
    }
}

/// The ranges of wildcards, where somebody wants them: else they take no memory.
struct Marks {
    list: Ranges,
    wanted: bool,
}

impl Marks {
    fn new(wanted: bool) -> Self {
        Self {
            list: Ranges::new(),
            wanted,
        }
    }

    fn push(&mut self, range: (usize, usize)) {
        if self.wanted && self.list.len() < CAPTURES {
            self.list.push(range);
        }
    }
}

impl Piece<'_> {
    /// Matches at exactly `at`; gives the end.
    fn at(&self, subject: &Subject<'_>, mut at: usize, marks: &mut Marks) -> Option<usize> {
        for atom in self.atoms {
            match atom {
                Atom::Text(needle) => {
                    if !needle.is_at(subject.text, at) {
                        return None;
                    }
                    at += needle.text().len();
                }
                Atom::Any | Atom::Star => {
                    let unit = subject.unit(at)?;
                    marks.push((at, at + unit));
                    at += unit;
                }
            }
        }
        Some(at)
    }

    /// The first place at or after `from`; the star before it takes what lies between.
    fn find(&self, subject: &Subject<'_>, from: usize, marks: &mut Marks) -> Option<usize> {
        let mark = marks.list.len();
        let mut start = from;
        loop {
            if let Some(Atom::Text(needle)) = self.atoms.first() {
                start = needle.find(subject.text, start)?;
            }
            marks.push((from, start));
            if let Some(end) = self.at(subject, start, marks) {
                return Some(end);
            }
            marks.list.truncate(mark);
            start += subject.unit(start)?;
        }
    }

    /// A place at or after `from` from which the piece reaches the very end.
    fn find_end(&self, subject: &Subject<'_>, from: usize, marks: &mut Marks) -> Option<()> {
        let end = subject.text.len();
        let mark = marks.list.len();
        let fixed: usize = self
            .atoms
            .iter()
            .map(|atom| match atom {
                Atom::Text(needle) => needle.text().len(),
                Atom::Any | Atom::Star => 1,
            })
            .sum();
        let mut start = match subject.folded {
            None => end.checked_sub(fixed).filter(|&start| start >= from)?,
            // A folded character is one octet or more: only the earliest place is known.
            Some(_) => from,
        };
        loop {
            marks.push((from, start));
            if self.at(subject, start, marks) == Some(end) {
                return Some(());
            }
            marks.list.truncate(mark);
            start += subject.unit(start)?;
        }
    }
}

crate::binary::record!(Glob { atoms });
crate::binary::choice!(Atom { 0 => Text(needle), 1 => Any, 2 => Star });

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pattern: &str, value: &str) -> Option<Vec<String>> {
        let glob = Glob::new(Comparator::AsciiCasemap, pattern.as_bytes());
        let mut ranges = Vec::new();
        glob.matches(value.as_bytes(), Some(&mut ranges)).then(|| {
            ranges
                .iter()
                .map(|&(a, b)| value[a..b].to_owned())
                .collect()
        })
    }

    #[test]
    fn wildcards_take_as_little_as_possible() {
        assert_eq!(
            run("[*] *", "[acme-users] [fwd] version 1.0 is out").unwrap()[1..],
            ["acme-users", "[fwd] version 1.0 is out"]
        );
        assert_eq!(
            run("coyote@**.com", "coyote@ACME.Example.COM").unwrap()[1..],
            ["", "ACME.Example"]
        );
        assert_eq!(run("?*?", "abc").unwrap()[1..], ["a", "b", "c"]);
        assert_eq!(run("*a?c*", "xxabcabc").unwrap()[1..], ["xx", "b", "abc"]);
    }

    #[test]
    fn anchors_and_escapes() {
        assert!(run("abc", "ABC").is_some());
        assert!(run("abc", "abcd").is_none());
        assert!(run("*c", "abcd").is_none());
        assert!(run("a\\*b", "a*b").is_some());
        assert!(run("a\\*b", "axb").is_none());
        assert!(run("", "").is_some());
        assert!(run("", "x").is_none());
        assert!(run("*", "").is_some());
        assert!(run("?", "").is_none());
        assert!(run("*a*a", "a").is_none());
        assert!(run("*make*money*fast*", "How to MAKE some Money really Fast!").is_some());
    }

    #[test]
    fn agrees_with_a_naive_matcher() {
        fn naive(pattern: &[u8], value: &[u8]) -> bool {
            match pattern.split_first() {
                None => value.is_empty(),
                Some((b'*', rest)) => (0..=value.len()).any(|n| naive(rest, &value[n..])),
                Some((b'?', rest)) => !value.is_empty() && naive(rest, &value[1..]),
                Some((c, rest)) => value.first() == Some(c) && naive(rest, &value[1..]),
            }
        }
        let letters = *b"ab*?";
        for n in 0..4_usize.pow(5) {
            let pattern: Vec<u8> = (0..5).map(|i| letters[n >> (2 * i) & 3]).collect();
            for m in 0..2_usize.pow(6) {
                let value: Vec<u8> = (0..6).map(|i| letters[m >> i & 1]).collect();
                let glob = Glob::new(Comparator::Octet, &pattern);
                assert_eq!(
                    glob.matches(&value, None),
                    naive(&pattern, &value),
                    "{pattern:?} {value:?}"
                );
            }
        }
    }

    #[test]
    fn unicode_characters_are_one() {
        let glob = Glob::new(Comparator::UnicodeCasemap, "caf? *".as_bytes());
        let value = "CAF\u{c9} noir";
        let mut ranges = Vec::new();
        assert!(glob.matches_folded(&Folded::new(value.as_bytes()), Some(&mut ranges)));
        let texts: Vec<_> = ranges.iter().map(|&(a, b)| &value[a..b]).collect();
        assert_eq!(texts[1..], ["\u{c9}", "noir"]);
    }
}
