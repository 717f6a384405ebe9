//! A Thompson automaton over octets.

use super::ast::{ByteSet, Node, Repeat};
use crate::error::{Error, Limit};

#[derive(Clone, Debug)]
pub(super) enum State {
    Set(ByteSet, usize),
    Split(usize, usize),
    Mark(usize),
    /// Consumes the imaginary first newline.
    Start(usize),
    /// Holds just before the imaginary last newline, consuming nothing.
    End(usize),
    Accept,
}

#[derive(Clone, Debug)]
pub(super) struct Nfa {
    states: Vec<State>,
    start: usize,
    marks: bool,
    ends: bool,
    /// A `\/` at the end of an alternative goes on with the next one: no syntax of others says so.
    falls: bool,
    /// Octets a match can begin with; an octet outside it cannot wake a sleeping walk.
    first: ByteSet,
    /// Of each state: is a `\/` reached from it without consuming an octet?
    ahead: Vec<bool>,
    /// The walk cannot skip: the empty text, or an anchor, is accepted at once.
    restless: bool,
}

impl Nfa {
    pub(super) fn new(tree: &Node, limit: usize) -> Result<Self, Error> {
        let mut nfa = Self {
            states: vec![State::Accept],
            start: 0,
            marks: false,
            ends: false,
            falls: false,
            ahead: Vec::new(),
            first: ByteSet::EMPTY,
            restless: false,
        };
        nfa.start = nfa.compile(tree, 0, None, limit)?;
        nfa.survey();
        nfa.look_ahead();
        Ok(nfa)
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn marks(&self) -> bool {
        self.marks
    }

    pub(super) fn ends(&self) -> bool {
        self.ends
    }

    pub(super) fn falls(&self) -> bool {
        self.falls
    }

    /// Is a `\/` reached from a state without consuming an octet?
    pub(super) fn marks_ahead(&self, index: usize) -> bool {
        self.ahead.get(index).copied().unwrap_or(false)
    }

    pub(super) fn first(&self) -> &ByteSet {
        &self.first
    }

    pub(super) fn restless(&self) -> bool {
        self.restless
    }

    pub(super) fn state(&self, index: usize) -> Option<&State> {
        self.states.get(index)
    }

    fn push(&mut self, state: State, limit: usize) -> Result<usize, Error> {
        if self.states.len() >= limit {
            return Err(Error::limit(Limit::RegexStates));
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    /// Compiles a node in front of the state `next`. A `\/` that the node ends in goes on with
    /// the alternatives behind it, `other`, where there are any.
    fn compile(
        &mut self,
        node: &Node,
        next: usize,
        other: Option<usize>,
        limit: usize,
    ) -> Result<usize, Error> {
        match node {
            Node::Set(set) => self.push(State::Set(*set, next), limit),
            Node::Mark => {
                self.marks = true;
                self.falls |= other.is_some();
                self.push(State::Mark(other.unwrap_or(next)), limit)
            }
            Node::Anchor { last: false } => self.push(State::Start(next), limit),
            Node::Anchor { last: true } => {
                self.ends = true;
                let start = self.push(State::Start(next), limit)?;
                let end = self.push(State::End(next), limit)?;
                self.push(State::Split(start, end), limit)
            }
            Node::Repeat(inner, Repeat::Optional) => {
                let inside = self.compile(inner, next, None, limit)?;
                self.push(State::Split(inside, next), limit)
            }
            Node::Repeat(inner, repeat) => {
                let split = self.push(State::Split(next, next), limit)?;
                let inside = self.compile(inner, split, None, limit)?;
                if let Some(State::Split(first, _)) = self.states.get_mut(split) {
                    *first = inside;
                }
                Ok(if *repeat == Repeat::Plus {
                    inside
                } else {
                    split
                })
            }
            Node::Sequence(pieces) => {
                let (mut next, mut other) = (next, other);
                for piece in pieces.iter().rev() {
                    next = self.compile(piece, next, other, limit)?;
                    other = None;
                }
                Ok(next)
            }
            Node::Alternatives(branches) => {
                let mut rest = None;
                for branch in branches.iter().rev() {
                    let this = self.compile(branch, next, rest.or(other), limit)?;
                    let empty = matches!(branch, Node::Sequence(pieces) if pieces.is_empty());
                    rest = Some(match rest {
                        None => this,
                        // What is empty is tried after what follows it.
                        Some(rest) if empty => self.push(State::Split(rest, this), limit)?,
                        Some(rest) => self.push(State::Split(this, rest), limit)?,
                    });
                }
                Ok(rest.unwrap_or(next))
            }
        }
    }

    /// Works out what a match can begin with.
    fn survey(&mut self) {
        let mut seen = vec![false; self.states.len()];
        let mut stack = vec![self.start];
        while let Some(index) = stack.pop() {
            match seen.get_mut(index) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match self.states.get(index) {
                Some(State::Set(set, _)) => self.first = self.first.union(set),
                Some(State::Split(one, two)) => stack.extend([*one, *two]),
                Some(State::Mark(next)) => stack.push(*next),
                Some(State::Start(_)) => self.first.insert(b'\n'),
                Some(State::End(_) | State::Accept) | None => self.restless = true,
            }
        }
    }

    /// Goes back from each `\/` over what consumes nothing.
    fn look_ahead(&mut self) {
        self.ahead = vec![false; self.states.len()];
        if !self.marks {
            return;
        }
        let mut before = vec![Vec::new(); self.states.len()];
        let mut stack = Vec::new();
        for (index, state) in self.states.iter().enumerate() {
            let targets = match state {
                State::Split(one, two) => [Some(*one), Some(*two)],
                State::Mark(next) => {
                    stack.push(index);
                    [Some(*next), None]
                }
                _ => continue,
            };
            for target in targets.into_iter().flatten() {
                if let Some(before) = before.get_mut(target) {
                    before.push(index);
                }
            }
        }
        while let Some(index) = stack.pop() {
            match self.ahead.get_mut(index) {
                Some(ahead) if !*ahead => *ahead = true,
                _ => continue,
            }
            stack.extend(before.get(index).into_iter().flatten());
        }
    }
}
