//! Successive matches for weighted conditions.

use std::sync::OnceLock;

use regex_automata::dfa::{Automaton, dense};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input};

use super::ast::Node;
use super::word::Word;
use super::{Found, Haystack, Regex, translate, walk};

/// Finds the first position where a match ends.
#[derive(Debug)]
pub(super) struct Counter {
    lazy: DFA,
    /// The whole automaton, worked out before a text is long enough to be worth it. What takes more room than it may
    /// have none.
    dense: OnceLock<Option<dense::DFA<Vec<u32>>>>,
    /// The expression, where it is octets alone: no automaton need run between its matches.
    word: Option<Word>,
}

/// Octets of a text for which all states of an automaton are worked out.
const LONG: usize = 64 << 10;

impl Counter {
    pub(super) fn new(lazy: DFA, tree: &Node) -> Self {
        Self {
            lazy,
            dense: OnceLock::new(),
            word: Word::whole(tree),
        }
    }

    /// The automaton with all its states, where the text is long.
    fn dense(&self, tree: &Node, text: &[u8]) -> Option<&dense::DFA<Vec<u32>>> {
        if text.len() < LONG {
            return None;
        }
        self.dense.get_or_init(|| translate::dense(tree)).as_ref()
    }

    fn end(
        &self,
        tree: &Node,
        cache: &mut Cache,
        text: &[u8],
        begin: usize,
    ) -> Result<Option<usize>, ()> {
        if let Some(word) = &self.word {
            return Ok(word.end(text, begin));
        }
        let input = Input::new(text)
            .span(begin..text.len())
            .anchored(Anchored::No)
            .earliest(true);
        let found = match self.dense(tree, text) {
            Some(dense) => dense.try_search_fwd(&input),
            None => self.lazy.try_search_fwd(cache, &input),
        };
        match found {
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
        let cache = regex.counter().map(|counter| counter.lazy.create_cache());
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
        // The newline behind the text is no part of what MATCH was set from, and is looked at again.
        let end = found.matched.as_ref().map_or(found.end, |own| own.end);
        let end = end.saturating_sub(1);
        let empty = end <= self.position;
        self.position = end.max(self.position);
        Some((found, empty))
    }

    fn search(&mut self, text: &[u8], begin: usize) -> Option<Found> {
        // The walk alone knows what is at the end of a text.
        if begin + 1 < text.len()
            && let (Some(counter), Some(cache)) = (self.regex.counter(), self.cache.as_mut())
            && let Ok(end) = counter.end(&self.regex.tree, cache, text, begin)
        {
            return end.map(|end| Found {
                end,
                ..Found::default()
            });
        }
        walk::search(&self.regex.nfa, text, begin)
    }
}
