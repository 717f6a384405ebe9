//! `.mh_sequences`: `name: 1-3 7` to a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// More numbers than a folder has are not taken from a file: a range is short, and what it stands for is not.
const LIMIT: u64 = 1 << 22;

/// Sets of message numbers by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sequences(BTreeMap<String, BTreeSet<u64>>);

impl Sequences {
    /// Lines and words that are not in the form are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut sequences = BTreeMap::new();
        let mut room = LIMIT;
        for line in text.lines() {
            let Some((name, numbers)) = line.split_once(':') else {
                continue;
            };
            let set: &mut BTreeSet<u64> = sequences.entry(name.trim().to_owned()).or_default();
            for word in numbers.split_ascii_whitespace() {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                if let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>())
                    && first <= last
                    && let Some(left) = room.checked_sub((last - first).saturating_add(1))
                {
                    room = left;
                    set.extend(first..=last);
                }
            }
        }
        Self(sequences)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn has(&self, name: &str, number: u64) -> bool {
        self.0.get(name).is_some_and(|set| set.contains(&number))
    }

    /// A name that cannot stand in the file is passed over.
    pub(super) fn add(&mut self, name: &str, number: u64) {
        if !name.is_empty() && !name.contains([':', '\n', '\r', ' ', '\t']) {
            self.0.entry(name.to_owned()).or_default().insert(number);
        }
    }

    pub(super) fn forget_from(&mut self, number: u64) {
        for set in self.0.values_mut() {
            set.split_off(&number);
        }
    }

    pub(super) fn write(&self) -> String {
        let mut out = String::new();
        for (name, set) in &self.0 {
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for &number in set {
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == number => *last = number,
                    _ => ranges.push((number, number)),
                }
            }
            if ranges.is_empty() {
                continue;
            }
            let _ = write!(out, "{name}:");
            for (first, last) in ranges {
                let _ = if first == last {
                    write!(out, " {first}")
                } else {
                    write!(out, " {first}-{last}")
                };
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_nmh_writes_them() {
        let mut sequences =
            Sequences::parse("cur: 4\nunseen: 1-3 7 9-8 x\nrubbish\nlast: 1-99999999999\n");
        assert!(sequences.has("unseen", 2) && sequences.has("cur", 4));
        assert!(!sequences.has("unseen", 8) && !sequences.has("last", 1));
        sequences.add("unseen", 8);
        sequences.add("a b", 8);
        assert_eq!(sequences.write(), "cur: 4\nunseen: 1-3 7-8\n");
        sequences.forget_from(4);
        assert_eq!(sequences.write(), "unseen: 1-3\n");
    }

    #[test]
    fn no_more_numbers_are_kept_than_a_folder_has() {
        let mut text = String::from("whole: 0-18446744073709551615\nsingle:");
        for number in 0..LIMIT + 1000 {
            let _ = write!(text, " {number}");
        }
        let sequences = Sequences::parse(&text);
        assert!(!sequences.has("whole", 7));
        assert!(sequences.has("single", LIMIT - 1) && !sequences.has("single", LIMIT));
    }
}
