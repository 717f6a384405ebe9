//! Procmail's regular expressions: their own syntax and newline rules, searched in linear time.
//!
//! The searched text always carries one imaginary newline before its first octet and one after
//! its last ([`Haystack`]); `^` and `$` consume a newline, real or imaginary. Searches for mere
//! presence run on `regex-automata`; searches that need MATCH, and counts with an end anchor, on
//! a walk over the same automaton with marks ([`walk`]), because "least on the left of `\/`, most
//! on the right" is neither leftmost-first nor leftmost-longest.

mod ast;
mod count;
mod macros;
mod nfa;
mod translate;
mod walk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex_automata::{Input, meta};

use crate::error::{Error, Limit};
use crate::limits::Limits;

pub(crate) use count::Cursor;

/// A text with an imaginary newline on either side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Haystack<'a>(&'a [u8]);

impl<'a> Haystack<'a> {
    /// `bytes` must begin and end with the two imaginary newlines.
    pub(crate) fn framed(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text without its frame.
    pub(crate) fn text(self) -> &'a [u8] {
        self.0.get(1..self.0.len().saturating_sub(1)).unwrap_or(&[])
    }
}

/// Puts the two newlines around a text.
pub(crate) fn frame(text: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(text.len() + 2);
    framed.push(b'\n');
    framed.extend_from_slice(text);
    framed.push(b'\n');
    framed
}

/// What a successful search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where the match ends, in octets of the framed text.
    pub(crate) end: usize,
    /// What `\/` selects, without the imaginary newlines; none if no `\/` was passed.
    pub(crate) matched: Option<std::ops::Range<usize>>,
}

/// One compiled regular expression.
#[derive(Debug)]
pub(crate) struct Regex {
    /// The text after macro expansion, as the log shows it.
    text: Vec<u8>,
    /// Parentheses did not balance; the expression is used nevertheless.
    unbalanced: bool,
    tree: ast::Node,
    nfa: nfa::Nfa,
    presence: OnceLock<Option<meta::Regex>>,
    counter: OnceLock<Option<count::Counter>>,
}

impl Regex {
    /// Expands macros and compiles. `text` may begin with the backslash that quotes its start.
    pub(crate) fn new(text: &[u8], fold: bool, limits: &Limits) -> Result<Self, Error> {
        let (expanded, fold) = macros::expand(text, fold);
        if expanded.len() > limits.regex_length {
            return Err(Error::limit(Limit::RegexLength));
        }
        let pattern = expanded.strip_prefix(b"\\").unwrap_or(&expanded);
        let (tree, unbalanced) = ast::parse(pattern, fold, limits.regex_depth)?;
        let nfa = nfa::Nfa::new(&tree, limits.regex_states)?;
        Ok(Self {
            unbalanced,
            tree,
            nfa,
            presence: OnceLock::new(),
            counter: OnceLock::new(),
            text: expanded,
        })
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn unbalanced(&self) -> bool {
        self.unbalanced
    }

    /// The number of automaton states: what one octet of text costs at most.
    pub(crate) fn states(&self) -> usize {
        self.nfa.len()
    }

    /// Does the expression contain `\/`?
    pub(crate) fn marks(&self) -> bool {
        self.nfa.marks()
    }

    fn presence(&self) -> Option<&meta::Regex> {
        self.presence
            .get_or_init(|| translate::presence(&self.tree))
            .as_ref()
    }

    pub(crate) fn is_match(&self, haystack: Haystack<'_>) -> bool {
        match self.presence() {
            Some(regex) => regex.is_match(Input::new(haystack.bytes()).earliest(true)),
            None => walk::search(&self.nfa, haystack.bytes(), 0).is_some(),
        }
    }

    /// Searches the whole text; MATCH is worked out only where the expression has a `\/`.
    pub(crate) fn find(&self, haystack: Haystack<'_>) -> Option<Found> {
        if !self.is_match(haystack) {
            return None;
        }
        if self.marks() {
            walk::search(&self.nfa, haystack.bytes(), 0)
        } else {
            Some(Found::default())
        }
    }

    /// Successive matches, for weighted conditions.
    pub(crate) fn matches<'r>(&'r self, haystack: Haystack<'r>) -> Cursor<'r> {
        Cursor::new(self, haystack)
    }

    fn counter(&self) -> Option<&count::Counter> {
        if self.marks() || self.nfa.ends() {
            return None;
        }
        self.counter
            .get_or_init(|| translate::counter(&self.tree))
            .as_ref()
    }
}

/// Compiled expressions by content, shared between runs.
///
/// The number kept is bounded: an rcfile that builds expressions out of message text would
/// otherwise fill memory.
#[derive(Debug, Default)]
pub struct RegexCache {
    entries: Mutex<Entries>,
}

/// By text and case folding.
type Entries = HashMap<(Vec<u8>, bool), Arc<Regex>>;

/// How many expressions a cache keeps before it starts afresh.
const CACHED: usize = 4096;

impl RegexCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn get(
        &self,
        text: &[u8],
        fold: bool,
        limits: &Limits,
    ) -> Result<Arc<Regex>, Error> {
        let key = (text.to_vec(), fold);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = entries.get(&key) {
            return Ok(Arc::clone(found));
        }
        let regex = Arc::new(Regex::new(text, fold, limits)?);
        if entries.len() >= CACHED {
            entries.clear();
        }
        entries.insert(key, Arc::clone(&regex));
        Ok(regex)
    }
}
