use std::cmp::Ordering;

use super::{base_subject, fold};
use crate::{EntryName, Message, SortCriterion, SortKey};

/// What of a message SORT compares (RFC 5256 §3, RFC 5957).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortFields {
    message: Message,
    arrival: i64,
    date: i64,
    size: u64,
    texts: [String; 6],
    relevancy: u8,
    annotations: Vec<(EntryName, bool, String)>,
}

const CC: usize = 0;
const FROM: usize = 1;
const TO: usize = 2;
const SUBJECT: usize = 3;
const DISPLAY_FROM: usize = 4;
const DISPLAY_TO: usize = 5;

impl SortFields {
    /// A message that arrived at that Unix time, with a size in octets.
    #[must_use]
    pub fn new(message: Message, arrival: i64, size: u64) -> Self {
        Self {
            message,
            arrival,
            date: arrival,
            size,
            texts: Default::default(),
            relevancy: 0,
            annotations: Vec::new(),
        }
    }

    /// The Unix time in its Date field; without, that of its arrival counts
    /// (RFC 5256 §2.2).
    #[must_use]
    pub fn with_date(mut self, date: i64) -> Self {
        self.date = date;
        self
    }

    /// Its subject, RFC 2047 words decoded: the base subject counts.
    #[must_use]
    pub fn with_subject(self, subject: &str) -> Self {
        let base = base_subject(subject).base;
        self.with_text(SUBJECT, &base)
    }

    /// The local part of its first From address, and the name to show: the
    /// display name, or the whole address.
    #[must_use]
    pub fn with_from(self, mailbox: &str, display: &str) -> Self {
        self.with_text(FROM, mailbox)
            .with_text(DISPLAY_FROM, display)
    }

    /// The same of To.
    #[must_use]
    pub fn with_to(self, mailbox: &str, display: &str) -> Self {
        self.with_text(TO, mailbox).with_text(DISPLAY_TO, display)
    }

    /// The local part of its first Cc address.
    #[must_use]
    pub fn with_cc(self, mailbox: &str) -> Self {
        self.with_text(CC, mailbox)
    }

    /// How well it matches a fuzzy search, from 1 to 100 (RFC 6203).
    #[must_use]
    pub fn with_relevancy(mut self, score: u8) -> Self {
        self.relevancy = score;
        self
    }

    /// The value of an annotation, shared or private (RFC 5257 §4.6).
    #[must_use]
    pub fn with_annotation(mut self, entry: EntryName, shared: bool, value: &str) -> Self {
        self.annotations.push((entry, shared, fold(value)));
        self
    }

    fn annotation(&self, entry: &EntryName, shared: bool) -> &str {
        let mut all = self.annotations.iter();
        let found = all.find(|(known, of, _)| known == entry && *of == shared);
        found.map_or("", |(_, _, value)| value)
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> Message {
        self.message
    }

    fn with_text(mut self, which: usize, text: &str) -> Self {
        if let Some(slot) = self.texts.get_mut(which) {
            *slot = fold(text);
        }
        self
    }

    fn text(&self, which: usize) -> &str {
        self.texts.get(which).map_or("", String::as_str)
    }

    fn compare(&self, other: &Self, key: &SortKey) -> Ordering {
        let by = |which| self.text(which).cmp(other.text(which));
        match key {
            SortKey::Arrival => self.arrival.cmp(&other.arrival),
            SortKey::Date => self.date.cmp(&other.date),
            SortKey::Size => self.size.cmp(&other.size),
            SortKey::Cc => by(CC),
            SortKey::From => by(FROM),
            SortKey::To => by(TO),
            SortKey::Subject => by(SUBJECT),
            SortKey::DisplayFrom => by(DISPLAY_FROM),
            SortKey::DisplayTo => by(DISPLAY_TO),
            SortKey::Relevancy => other.relevancy.cmp(&self.relevancy),
            SortKey::Annotation { entry, shared } => {
                let own = self.annotation(entry, *shared);
                own.cmp(other.annotation(entry, *shared))
            }
        }
    }
}

/// Sorts messages by the criteria, the first counting most; where all are
/// equal, by sequence number.
pub fn sort(messages: &mut [SortFields], criteria: &[SortCriterion]) {
    messages.sort_unstable_by(|one, other| {
        let order = criteria.iter().map(|criterion| {
            let order = one.compare(other, &criterion.key);
            if criterion.reverse {
                order.reverse()
            } else {
                order
            }
        });
        let decided = order.into_iter().find(|order| order.is_ne());
        decided.unwrap_or_else(|| one.message.sequence.cmp(&other.message.sequence))
    });
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn first_criterion_counts_most() {
        let message = |number: u32| {
            let number = NonZeroU32::new(number).unwrap();
            Message {
                sequence: number,
                uid: number,
            }
        };
        let mut messages = [
            SortFields::new(message(1), 30, 9).with_subject("Re: b"),
            SortFields::new(message(2), 20, 9)
                .with_subject("A")
                .with_date(40),
            SortFields::new(message(3), 10, 9).with_subject("B"),
        ];
        let mut order = |criteria: &[(bool, SortKey)]| {
            let criteria: Vec<_> = criteria
                .iter()
                .map(|(reverse, key)| SortCriterion {
                    reverse: *reverse,
                    key: key.clone(),
                })
                .collect();
            sort(&mut messages, &criteria);
            messages
                .iter()
                .map(|one| one.message().sequence.get())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(&[(false, SortKey::Arrival)]), [3, 2, 1]);
        assert_eq!(order(&[(false, SortKey::Date)]), [3, 1, 2]);
        assert_eq!(order(&[(true, SortKey::Date)]), [2, 1, 3]);
        assert_eq!(order(&[(false, SortKey::Subject)]), [2, 1, 3]);
        assert_eq!(
            order(&[(false, SortKey::Subject), (false, SortKey::Arrival)]),
            [2, 3, 1]
        );
        assert_eq!(order(&[(true, SortKey::Size)]), [1, 2, 3]);
    }

    /// RFC 6203 §6 and RFC 5257 §4.6.
    #[test]
    fn relevancy_and_annotations() {
        let number = |number: u32| NonZeroU32::new(number).unwrap();
        let entry = EntryName::new("/altsubject").unwrap();
        let fields = |one: u32, score: u8, shared: &str, private: &str| {
            let message = Message {
                sequence: number(one),
                uid: number(one),
            };
            SortFields::new(message, 0, 0)
                .with_relevancy(score)
                .with_annotation(entry.clone(), true, shared)
                .with_annotation(entry.clone(), false, private)
        };
        let mut messages = [
            fields(1, 4, "b", "z"),
            fields(5, 99, "C", "x"),
            fields(10, 42, "A", "y"),
        ];
        let mut order = |key: SortKey| {
            let reverse = false;
            sort(&mut messages, &[SortCriterion { reverse, key }]);
            messages.each_ref().map(|one| one.message().uid.get())
        };
        assert_eq!(order(SortKey::Relevancy), [5, 10, 1]);
        let by = |shared| SortKey::Annotation {
            entry: entry.clone(),
            shared,
        };
        assert_eq!(order(by(true)), [10, 1, 5]);
        assert_eq!(order(by(false)), [5, 10, 1]);
    }
}
