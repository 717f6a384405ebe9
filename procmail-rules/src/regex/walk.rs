//! The simultaneous walk over all ways of matching, with marks.
//!
//! 1. A thread starts at every position. At each it goes, depth first, to all states that it
//!    reaches without consuming an octet: to the alternatives in their order, the empty ones last.
//! 2. A `\/` that it passes on the way gives it a mark, which it has in all states that it comes
//!    to from then on, also in those of later alternatives.
//! 3. Of two threads in the same state one stays: the one with a mark, or with the smaller one.
//! 4. Those that came last go on first, and those that start at a position after all others.
//! 5. The first to be accepted decides: without a mark the search is over, and MATCH stays as it
//!    is. With a mark, threads without one or with a greater one are dropped, none are started
//!    any more, and `\/` changes no more marks.
//! 6. Each later acceptance with no greater mark replaces mark and end by its own.
//!
//! A state is entered again at the same position only by a thread that would stay instead of the
//! one before, so that the walk is linear in the text.

use super::Found;
use super::nfa::{Nfa, State};

/// Greater than any mark: a thread with a mark stays instead of one without.
const UNMARKED: usize = usize::MAX;

/// Who came to a state.
#[derive(Clone, Copy, Default)]
struct Visit {
    /// At which position; zero is none.
    round: usize,
    /// The smallest mark.
    mark: usize,
    /// Which thread had it.
    thread: usize,
}

/// What has been accepted.
#[derive(Clone, Copy)]
struct Accepted {
    mark: usize,
    end: usize,
}

struct Threads<'n> {
    nfa: &'n Nfa,
    visits: Vec<Visit>,
    /// The states that wait for an octet; the last goes on first.
    list: Vec<usize>,
    stack: Vec<usize>,
    round: usize,
    thread: usize,
    best: Option<Accepted>,
}

impl<'n> Threads<'n> {
    fn new(nfa: &'n Nfa) -> Self {
        Self {
            nfa,
            visits: vec![Visit::default(); nfa.len()],
            list: Vec::new(),
            stack: Vec::new(),
            round: 0,
            thread: 0,
            best: None,
        }
    }

    fn mark(&self, state: usize) -> usize {
        self.visits.get(state).map_or(UNMARKED, |visit| visit.mark)
    }

    /// Is the search over, without a mark?
    fn is_decided(&self) -> bool {
        self.best.is_some_and(|best| best.mark == UNMARKED)
    }

    /// Goes to all states that are reached from `state` without consuming an octet.
    fn enter(&mut self, state: usize, mut mark: usize, at: usize, at_end: bool) {
        let nfa = self.nfa;
        self.thread += 1;
        self.stack.push(state);
        while let Some(index) = self.stack.pop() {
            let marks = self.best.is_none();
            let Some(visit) = self.visits.get_mut(index) else {
                continue;
            };
            let again = visit.round == self.round;
            if again && visit.mark <= mark {
                // What this thread would come to has better ones. Yet it may pass a mark there.
                if visit.thread != self.thread && marks && nfa.marks_ahead(index) {
                    mark = at;
                }
                continue;
            }
            *visit = Visit {
                round: self.round,
                mark,
                thread: self.thread,
            };
            match nfa.state(index) {
                Some(State::Set(..) | State::Start(_)) if !again => self.list.push(index),
                Some(State::Split(one, two)) => self.stack.extend([*two, *one]),
                Some(State::Mark(next)) => {
                    if marks {
                        mark = at;
                    }
                    self.stack.push(*next);
                }
                Some(State::End(next)) if at_end => self.stack.push(*next),
                Some(State::Accept) => {
                    if self.best.is_none_or(|best| mark <= best.mark) {
                        self.best = Some(Accepted { mark, end: at });
                    }
                    if self.is_decided() {
                        self.stack.clear();
                    }
                }
                _ => {}
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
    let mut at = begin;
    while at <= limit {
        if threads.best.is_none() && seeds.is_empty() && !nfa.restless() {
            let skip = text
                .get(at..)
                .and_then(|rest| rest.iter().position(|byte| nfa.first().contains(*byte)));
            at += skip?;
        }
        let at_end = at + 1 == limit;
        let searching = threads.best.is_none();
        threads.round += 1;
        threads.list.clear();
        if searching {
            threads.enter(nfa.start(), UNMARKED, at, at_end);
        }
        for &(state, mark) in &seeds {
            if threads.is_decided() {
                break;
            }
            threads.enter(state, mark, at, at_end);
        }
        // A mark behind the end is none.
        let behind = |best: Accepted| searching && best.mark >= length;
        if threads.is_decided() || threads.best.is_some_and(behind) {
            return Some(Found {
                end: at,
                ahead: 0,
                matched: None,
            });
        }
        let byte = match text.get(at) {
            Some(&byte) => byte,
            None if at < limit => b'\n',
            None => break,
        };
        let most = threads.best.map_or(UNMARKED, |best| best.mark);
        seeds.clear();
        for &state in threads.list.iter().rev() {
            let mark = threads.mark(state);
            if mark > most {
                continue;
            }
            match nfa.state(state) {
                Some(State::Set(set, next)) if set.contains(byte) => seeds.push((*next, mark)),
                Some(State::Start(next)) if at == 0 => seeds.push((*next, mark)),
                _ => {}
            }
        }
        if threads.best.is_some() && seeds.is_empty() {
            break;
        }
        at += 1;
    }
    let Accepted { mark, end } = threads.best?;
    let last = length.saturating_sub(1);
    let start = mark.clamp(1, last.max(1));
    Some(Found {
        end,
        ahead: at.saturating_sub(end),
        matched: Some(start..end.clamp(start, last.max(start))),
    })
}
