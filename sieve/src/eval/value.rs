//! Values against the keys of one test.

use std::borrow::Cow;

use super::spend::{FIELD, LIST};
use super::{Evaluation, Fault};
use crate::matching::{Keys, MatchType, Matching, Pattern, Ranges};
use crate::question::Question;

/// Takes the values of a test one by one and knows when it is decided.
pub(super) struct Values<'k> {
    patterns: Cow<'k, [Pattern]>,
    matching: Matching,
    capture: bool,
    ranges: Ranges,
    captured: Option<Vec<Box<[u8]>>>,
    matched: bool,
    count: usize,
    /// Octets gone through, and how many there may be.
    spent: usize,
    most: usize,
    /// For `:list`: what the host is asked about.
    listed: Vec<String>,
    /// For the trace.
    seen: Option<Vec<String>>,
}

/// How many values, and how many octets of each, a trace entry shows.
const SHOWN: usize = 5;
const SHOWN_OCTETS: usize = 80;

impl<'k> Values<'k> {
    /// Takes the next value; true if no more are needed.
    pub(super) fn feed(&mut self, value: &[u8]) -> bool {
        self.count += 1;
        if let Some(seen) = self.seen.as_mut().filter(|seen| seen.len() < SHOWN) {
            let value = value.get(..SHOWN_OCTETS).unwrap_or(value);
            seen.push(String::from_utf8_lossy(value).into_owned());
        }
        match self.matching.kind {
            MatchType::Count(_) => return false,
            MatchType::List => {
                self.spent = self.spent.saturating_add(value.len() + FIELD);
                if self.spent > self.most.min(LIST) {
                    self.spent = usize::MAX;
                    return true;
                }
                self.listed
                    .push(String::from_utf8_lossy(value).into_owned());
                return false;
            }
            _ => {}
        }
        for pattern in self.patterns.iter() {
            self.spent = self.spent.saturating_add(value.len() + FIELD);
            if self.spent > self.most {
                return true;
            }
            let ranges = if self.capture {
                Some(&mut self.ranges)
            } else {
                None
            };
            if pattern.matches(self.matching, value, ranges) {
                self.matched = true;
                let has_captures = matches!(pattern, Pattern::Glob(_) | Pattern::Regex(_));
                if self.capture && has_captures {
                    let slice = |&(start, end): &(usize, usize)| {
                        value.get(start..end).unwrap_or_default().into()
                    };
                    self.captured = Some(self.ranges.iter().map(slice).collect());
                }
                return true;
            }
        }
        false
    }

    /// Counts values for `:count` without looking at them.
    pub(super) fn is_count(&self) -> bool {
        matches!(self.matching.kind, MatchType::Count(_))
    }
}

impl Evaluation<'_> {
    /// Makes keys ready for their values.
    pub(super) fn values<'k>(
        &self,
        keys: &'k Keys,
        matching: Matching,
    ) -> Result<Values<'k>, Fault> {
        let patterns = match keys {
            Keys::Fixed(patterns) => Cow::Borrowed(&**patterns),
            Keys::Dynamic(texts) => {
                let mut patterns = Vec::with_capacity(texts.len());
                let mut held = 0_usize;
                for text in texts {
                    let key = self.expand(text);
                    let pattern = Pattern::compile(matching, &key, self.config.limits.regex_size)
                        .map_err(|fault| {
                        Fault::Fail(format!("a regular expression is not valid: {fault}"))
                    })?;
                    self.spend(pattern.regex_octets());
                    self.check_spent()?;
                    held = held.saturating_add(key.len() + pattern.regex_octets());
                    if held > LIST {
                        return Err(Fault::Fail(format!(
                            "the keys take more than {LIST} octets"
                        )));
                    }
                    patterns.push(pattern);
                }
                Cow::Owned(patterns)
            }
        };
        Ok(Values {
            patterns,
            matching,
            capture: self.captures_wanted(),
            ranges: Ranges::new(),
            captured: None,
            matched: false,
            count: 0,
            spent: 0,
            most: usize::try_from(self.left_to_spend()).unwrap_or(usize::MAX),
            listed: Vec::new(),
            seen: self.config.trace.then(Vec::new),
        })
    }

    /// The outcome of a test; match variables are set.
    pub(super) fn decide(&mut self, values: Values<'_>) -> Result<bool, Fault> {
        if let Some(seen) = values.seen {
            self.traced_values = seen;
        }
        self.spend(values.spent);
        self.check_spent()?;
        match values.matching.kind {
            MatchType::Count(_) => {
                let mut patterns = values.patterns.iter();
                return Ok(patterns.any(|pattern| pattern.counts(values.matching, values.count)));
            }
            MatchType::List => {
                let lists = values.patterns.iter().filter_map(|pattern| match pattern {
                    Pattern::List(name) => Some(String::from_utf8_lossy(name).into_owned()),
                    _ => None,
                });
                if values.listed.is_empty() {
                    return Ok(false);
                }
                let question = Question::ListContains {
                    lists: lists.collect(),
                    values: values.listed,
                };
                let Some(found) = self.ask_text(question)? else {
                    return Ok(false);
                };
                // RFC 6134 §2.7: ${0} is the value that is on the list.
                if self.captures_wanted() {
                    self.set_captures(vec![found.into_bytes().into()]);
                }
                return Ok(true);
            }
            _ => {}
        }
        if let Some(captured) = values.captured {
            self.set_captures(captured);
        }
        Ok(values.matched)
    }
}
