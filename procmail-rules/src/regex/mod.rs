//! Procmail's regular expressions: their own syntax and newline rules, searched in linear time.
//!
//! The searched text always carries one imaginary newline before its first octet and one after
//! its last ([`Haystack`]); `^` and `$` consume a newline, real or imaginary. Searches for mere
//! presence run on `regex-automata`; searches that need MATCH, and counts with an end anchor, on
//! a walk over the same automaton with marks ([`walk`]), because "least on the left of `\/`, most
//! on the right" is neither leftmost-first nor leftmost-longest.

pub(crate) mod ast;
mod count;
pub(crate) mod macros;
mod nfa;
mod translate;
mod walk;
mod word;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex_automata::{Anchored, Input, meta};

use crate::compiled::Compiled;
use crate::error::{Error, Limit};
use crate::limits::Limits;

pub(crate) use count::Cursor;

/// A text with an imaginary newline on either side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Haystack<'a> {
    bytes: &'a [u8],
    /// Where its lines begin, if that is known.
    lines: Option<&'a [Line]>,
}

/// A line of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// The newline before it, in octets of the framed text.
    at: usize,
    /// The first eight octets, in small letters.
    key: u64,
}

/// Where the lines of a framed text begin.
pub(crate) fn lines(framed: &[u8]) -> Vec<Line> {
    memchr::memchr_iter(b'\n', framed)
        .map(|at| Line {
            at,
            key: key(framed.get(at + 1..).unwrap_or(&[])),
        })
        .collect()
}

fn key(text: &[u8]) -> u64 {
    let mut octets = [0; 8];
    for (octet, byte) in octets.iter_mut().zip(text) {
        *octet = byte.to_ascii_lowercase();
    }
    u64::from_le_bytes(octets)
}

/// The field's name that every match begins with, and its colon: other lines need not be searched.
#[derive(Debug)]
struct Name {
    text: Vec<u8>,
    key: u64,
    mask: u64,
    /// What else must be in the line.
    word: Option<word::Lines>,
}

impl Name {
    fn of(tree: &ast::Node) -> Option<Self> {
        let ast::Node::Sequence(nodes) = tree else {
            return None;
        };
        let mut sets = nodes.iter().map_while(|node| match node {
            ast::Node::Set(set) => Some(set),
            _ => None,
        });
        if sets.next() != Some(&ast::ByteSet::single(b'\n')) {
            return None;
        }
        let mut text = Vec::new();
        while text.last() != Some(&b':') {
            let set = sets.next()?;
            // A letter in either case, or one octet alone.
            let byte = (0..=u8::MAX).find(|byte| set.contains(*byte))?;
            let both =
                ast::ByteSet::single(byte).union(&ast::ByteSet::single(byte.to_ascii_lowercase()));
            if *set != both && *set != ast::ByteSet::single(byte) {
                return None;
            }
            text.push(byte.to_ascii_lowercase());
        }
        let mask = key(&vec![0xff; text.len()]);
        Some(Self {
            key: key(&text),
            mask,
            word: word::Lines::of(tree, text.len()),
            text,
        })
    }

    /// Does the line begin with the name?
    fn fits(&self, line: Line, bytes: &[u8]) -> bool {
        line.key & self.mask == self.key
            && bytes
                .get(line.at + 1..)
                .and_then(|rest| rest.get(..self.text.len()))
                .is_some_and(|name| name.eq_ignore_ascii_case(&self.text))
    }
}

impl<'a> Haystack<'a> {
    /// `bytes` must begin and end with the two imaginary newlines.
    pub(crate) fn framed(bytes: &'a [u8]) -> Self {
        Self { bytes, lines: None }
    }

    /// The same, with the beginnings of its lines.
    pub(crate) fn with_lines(bytes: &'a [u8], lines: &'a [Line]) -> Self {
        Self {
            bytes,
            lines: Some(lines),
        }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The text without its frame.
    pub(crate) fn text(self) -> &'a [u8] {
        self.bytes
            .get(1..self.bytes.len().saturating_sub(1))
            .unwrap_or(&[])
    }
}

impl<'a> Haystack<'a> {
    /// The line in which a match ends, of which `end` is the first octet behind it.
    pub(crate) fn line_at(self, end: usize) -> &'a [u8] {
        let last = end
            .saturating_sub(1)
            .clamp(1, self.bytes.len().saturating_sub(1).max(1));
        let before = self.bytes.get(..last).unwrap_or(self.bytes);
        let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let rest = self.bytes.get(start..).unwrap_or(&[]);
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        rest.get(..length).unwrap_or(&[])
    }
}

/// Do the parentheses of an expression not match?
pub(crate) fn is_unbalanced(text: &[u8]) -> bool {
    let pattern = text.strip_prefix(b"\\").unwrap_or(text);
    ast::parse(pattern, true, DEPTH).is_ok_and(|(_, unbalanced)| unbalanced)
}

/// Groups nested deeper are not looked into.
const DEPTH: usize = 250;

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
    /// Octets looked at behind its end: whether a longer one has a smaller mark.
    pub(crate) ahead: usize,
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
    name: Option<Name>,
    lines: Option<word::Lines>,
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
            name: Name::of(&tree),
            lines: word::Lines::of(&tree, 0),
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

    /// What is compiled: the text without the backslash that quotes its start.
    pub(crate) fn pattern(&self) -> &[u8] {
        self.text.strip_prefix(b"\\").unwrap_or(&self.text)
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
            .get_or_init(|| {
                let said = !self.nfa.falls();
                said.then(|| translate::presence(&self.tree)).flatten()
            })
            .as_ref()
    }

    pub(crate) fn is_match(&self, haystack: Haystack<'_>) -> bool {
        if let (Some(name), Some(lines), Some(regex)) =
            (&self.name, haystack.lines, self.presence())
        {
            let bytes = haystack.bytes();
            return lines
                .iter()
                .enumerate()
                .filter(|(_, line)| name.fits(**line, bytes))
                .filter(|(index, line)| {
                    let end = lines.get(index + 1).map_or(bytes.len(), |next| next.at);
                    let line = bytes.get(line.at..end).unwrap_or(&[]);
                    name.word.as_ref().is_none_or(|word| word.fits(line))
                })
                .any(|(_, line)| {
                    let input = Input::new(bytes)
                        .span(line.at..bytes.len())
                        .anchored(Anchored::Yes);
                    regex.is_match(input.earliest(true))
                });
        }
        let bytes = haystack.bytes();
        match (self.presence(), &self.lines) {
            (Some(regex), Some(lines)) => {
                let mut from = 0;
                while let Some(line) = lines.next(bytes, from) {
                    // The newline at its end may begin the next one.
                    from = line.end - 1;
                    if regex.is_match(Input::new(bytes).span(line).earliest(true)) {
                        return true;
                    }
                }
                false
            }
            (Some(regex), None) => regex.is_match(Input::new(bytes).earliest(true)),
            (None, _) => walk::search(&self.nfa, bytes, 0).is_some(),
        }
    }

    /// Where the first match ends, in octets of the framed text.
    pub(crate) fn first_end(&self, haystack: Haystack<'_>) -> Option<usize> {
        walk::search(&self.nfa, haystack.bytes(), 0).map(|found| found.end)
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

/// Compiled expressions and rcfiles by content, shared between runs.
///
/// The number kept is bounded: an rcfile that builds expressions out of message text would
/// otherwise fill memory.
#[derive(Debug, Default)]
pub struct RegexCache {
    entries: Mutex<Entries>,
    rcfiles: Mutex<HashMap<Arc<[u8]>, Arc<Compiled>>>,
}

/// By text and case folding.
type Entries = HashMap<(Vec<u8>, bool), Arc<Regex>>;

/// How many expressions a cache keeps before it starts afresh.
const CACHED: usize = 4096;

/// How many rcfiles a cache keeps before it starts afresh.
const RCFILES: usize = 256;

impl RegexCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The recipes of an rcfile, read once.
    pub(crate) fn compiled(&self, text: &Arc<[u8]>) -> Arc<Compiled> {
        let mut rcfiles = self.rcfiles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = rcfiles.get(text) {
            return Arc::clone(found);
        }
        let compiled = Arc::new(Compiled::new(text));
        if rcfiles.len() >= RCFILES {
            rcfiles.clear();
        }
        rcfiles.insert(Arc::clone(text), Arc::clone(&compiled));
        compiled
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
