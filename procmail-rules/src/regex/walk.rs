//! The simultaneous walk over all ways of matching, with marks.
//!
//! 1. Threads start at every position.
//! 2. Of two threads in the same state the one with the smaller mark stays.
//! 3. At the first position where a thread is accepted the smallest mark accepted there wins;
//!    threads without a mark or with a greater one are dropped, none are started any more, and
//!    `\/` changes no more marks.
//! 4. Each later acceptance replaces mark and end by its own.
//!
//! Threads are kept in the order of their marks, so that the first to reach a state is the one
//! to keep: every state is entered once per position, and the walk is linear.

use super::Found;
use super::nfa::{Nfa, State};

/// Positions are stored plus one; zero is "no mark", which is smaller than any.
const UNMARKED: usize = 0;

struct Threads {
    list: Vec<(usize, usize)>,
    seen: Vec<usize>,
    round: usize,
    stack: Vec<usize>,
    deferred: Vec<usize>,
    accepted: Option<usize>,
}

impl Threads {
    fn new(nfa: &Nfa) -> Self {
        Self {
            list: Vec::new(),
            seen: vec![0; nfa.len()],
            round: 0,
            stack: Vec::new(),
            deferred: Vec::new(),
            accepted: None,
        }
    }

    fn begin(&mut self) {
        self.list.clear();
        self.deferred.clear();
        self.accepted = None;
        self.round += 1;
    }

    /// Follows everything reachable from `state` without consuming an octet. Where marks can
    /// still be set, targets of `\/` wait in `deferred`: their mark is the greatest of all.
    fn enter(&mut self, nfa: &Nfa, state: usize, mark: usize, at_end: bool, defer: bool) {
        self.stack.push(state);
        while let Some(index) = self.stack.pop() {
            match self.seen.get_mut(index) {
                Some(seen) if *seen != self.round => *seen = self.round,
                _ => continue,
            }
            match nfa.state(index) {
                Some(State::Set(..) | State::Start(_)) => self.list.push((index, mark)),
                Some(State::Split(one, two)) => self.stack.extend([*two, *one]),
                Some(State::Mark(next)) if defer => self.deferred.push(*next),
                Some(State::Mark(next)) => self.stack.push(*next),
                Some(State::End(next)) if at_end => self.stack.push(*next),
                Some(State::Accept) => {
                    self.accepted.get_or_insert(mark);
                }
                Some(State::End(_)) | None => {}
            }
        }
    }
}

/// Searches `text` (framed) from `begin` on.
pub(super) fn search(nfa: &Nfa, text: &[u8], begin: usize) -> Option<Found> {
    let length = text.len();
    // What begins at the end of the text sees a newline on either side of the end, as in an
    // empty text.
    let empty = begin + 1 == length;
    let limit = length + usize::from(empty);
    let mut threads = Threads::new(nfa);
    let mut seeds: Vec<(usize, usize)> = Vec::new();
    let mut best: Option<(usize, usize)> = None;
    let mut at = begin;
    while at <= limit {
        if best.is_none() && seeds.is_empty() && !nfa.restless() {
            let skip = text
                .get(at..)
                .and_then(|rest| rest.iter().position(|byte| nfa.first().contains(*byte)));
            at += skip?;
        }
        let at_end = at + 1 == limit;
        threads.begin();
        if best.is_none() {
            threads.enter(nfa, nfa.start(), UNMARKED, at_end, true);
        }
        for &(state, mark) in &seeds {
            threads.enter(nfa, state, mark, at_end, best.is_none());
        }
        while let Some(state) = threads.deferred.pop() {
            threads.enter(nfa, state, at + 1, at_end, false);
        }
        if let Some(mark) = threads.accepted {
            if best.is_none() {
                if mark == UNMARKED || mark > length {
                    return Some(Found {
                        end: at,
                        matched: None,
                    });
                }
                threads
                    .list
                    .retain(|(_, other)| *other != UNMARKED && *other <= mark);
            }
            best = Some((mark - 1, at));
        }
        let byte = match text.get(at) {
            Some(&byte) => byte,
            None if at < limit => b'\n',
            None => break,
        };
        seeds.clear();
        for &(state, mark) in &threads.list {
            match nfa.state(state) {
                Some(State::Set(set, next)) if set.contains(byte) => seeds.push((*next, mark)),
                Some(State::Start(next)) if at == 0 => seeds.push((*next, mark)),
                _ => {}
            }
        }
        if best.is_some() && seeds.is_empty() {
            break;
        }
        at += 1;
    }
    let (mark, end) = best?;
    let last = length.saturating_sub(1);
    let start = mark.clamp(1, last.max(1));
    Some(Found {
        end,
        matched: Some(start..end.clamp(start, last.max(start))),
    })
}
