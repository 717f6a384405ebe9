//! Successive matches for weighted conditions.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Anchored, Input, Span};

use super::ast::{ByteSet, Node};
use super::{Found, Haystack, Regex, walk};

/// Finds the first position where a match ends.
#[derive(Debug)]
pub(super) struct Counter {
    dfa: DFA,
    word: Option<Word>,
}

/// An expression of octets alone: all that it matches is of one length, so that the first match
/// to begin is the first to end, and no automaton need run between matches that are close.
#[derive(Debug)]
struct Word {
    sets: Vec<ByteSet>,
    prefilter: Prefilter,
}

impl Word {
    fn new(tree: &Node, prefilter: Option<Prefilter>) -> Option<Self> {
        let Node::Sequence(nodes) = tree else {
            return None;
        };
        let set = |node: &Node| match node {
            Node::Set(set) => Some(*set),
            _ => None,
        };
        let sets: Vec<ByteSet> = nodes.iter().map(set).collect::<Option<_>>()?;
        Some(Self {
            sets,
            prefilter: prefilter?,
        })
    }

    fn end(&self, text: &[u8], mut begin: usize) -> Option<usize> {
        loop {
            let span = Span {
                start: begin,
                end: text.len(),
            };
            let start = self.prefilter.find(text, span)?.start;
            let end = start + self.sets.len();
            let found = text.get(start..end)?;
            if found
                .iter()
                .zip(&self.sets)
                .all(|(byte, set)| set.contains(*byte))
            {
                return Some(end);
            }
            begin = start + 1;
        }
    }
}

impl Counter {
    pub(super) fn new(dfa: DFA, tree: &Node, prefilter: Option<Prefilter>) -> Self {
        let word = Word::new(tree, prefilter);
        Self { dfa, word }
    }

    fn end(&self, cache: &mut Cache, text: &[u8], begin: usize) -> Result<Option<usize>, ()> {
        if let Some(word) = &self.word {
            return Ok(word.end(text, begin));
        }
        let input = Input::new(text)
            .span(begin..text.len())
            .anchored(Anchored::No)
            .earliest(true);
        match self.dfa.try_search_fwd(cache, &input) {
            Ok(found) => Ok(found.map(|half| half.offset())),
            Err(_) => Err(()),
        }
    }
}

/// A position in a text, moved from match to match.
///
/// Positions count octets of the text without its frame. A newline just before the position can
/// be matched again by `^`, because the search begins with it.
#[derive(Debug)]
pub(crate) struct Cursor<'r> {
    regex: &'r Regex,
    haystack: Haystack<'r>,
    cache: Option<Cache>,
    position: usize,
}

impl<'r> Cursor<'r> {
    pub(super) fn new(regex: &'r Regex, haystack: Haystack<'r>) -> Self {
        let cache = regex.counter().map(|counter| counter.dfa.create_cache());
        Self {
            regex,
            haystack,
            cache,
            position: 0,
        }
    }

    /// The next match, and whether it was empty (its end is not after the current position).
    pub(crate) fn advance(&mut self) -> Option<(Found, bool)> {
        let text = self.haystack.bytes();
        if self.position + 2 > text.len() {
            return None;
        }
        let begin = if text.get(self.position) == Some(&b'\n') {
            self.position
        } else {
            self.position + 1
        };
        let found = self.search(text, begin)?;
        let end = found.end.saturating_sub(1);
        let empty = end <= self.position;
        self.position = end.max(self.position);
        Some((found, empty))
    }

    fn search(&mut self, text: &[u8], begin: usize) -> Option<Found> {
        // The walk alone knows what is at the end of a text.
        if begin + 1 < text.len()
            && let (Some(counter), Some(cache)) = (self.regex.counter(), self.cache.as_mut())
            && let Ok(end) = counter.end(cache, text, begin)
        {
            return end.map(|end| Found { end, matched: None });
        }
        walk::search(&self.regex.nfa, text, begin)
    }
}
