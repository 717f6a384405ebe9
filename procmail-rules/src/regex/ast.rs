//! The syntax tree, and the parser that makes it.
//!
//! ```text
//! regex  = branch *( "|" branch )
//! branch = *piece
//! piece  = atom [ "*" | "+" | "?" ]
//! atom   = "(" regex ")" | class | "." | "^^" | "^" | "$" | "\" octet | octet
//! ```
//!
//! There are no invalid expressions: a repeat operator where an atom is expected is literal, a
//! missing `)` is supplied and a stray one ends the expression (the last two are reported).

use crate::error::{Error, Limit};

/// A set of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(crate) const EMPTY: Self = Self([0; 4]);

    pub(crate) fn single(byte: u8) -> Self {
        let mut set = Self::EMPTY;
        set.insert(byte);
        set
    }

    pub(crate) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    pub(crate) fn contains(&self, byte: u8) -> bool {
        self.0
            .get(usize::from(byte >> 6))
            .is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut words = self.0;
        for (word, more) in words.iter_mut().zip(other.0) {
            *word |= more;
        }
        Self(words)
    }

    pub(crate) fn negated(&self) -> Self {
        Self(self.0.map(|word| !word))
    }

    pub(crate) fn without(mut self, byte: u8) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word &= !(1 << (byte & 63));
        }
        self
    }

    /// Adds the other case of every letter.
    fn folded(mut self) -> Self {
        for lower in b'a'..=b'z' {
            let upper = lower.to_ascii_uppercase();
            if self.contains(lower) || self.contains(upper) {
                self.insert(lower);
                self.insert(upper);
            }
        }
        self
    }
}

/// How often a piece may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Star,
    Plus,
    Optional,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Set(ByteSet),
    /// `^^`; `last` if nothing but acceptance can follow, so that it also anchors at the end.
    Anchor {
        last: bool,
    },
    /// `\/`
    Mark,
    Repeat(Box<Node>, Repeat),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
}

/// Parses an expression; the flag tells that parentheses did not balance.
pub(crate) fn parse(text: &[u8], fold: bool, depth: usize) -> Result<(Node, bool), Error> {
    let mut parser = Parser {
        text,
        at: 0,
        fold,
        depth,
        unbalanced: false,
    };
    let mut node = parser.regex()?;
    if parser.at < text.len() {
        parser.unbalanced = true;
    }
    settle_anchors(&mut node, true);
    Ok((node, parser.unbalanced))
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    fold: bool,
    depth: usize,
    unbalanced: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn looking_at(&self, what: &[u8]) -> bool {
        self.text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(what))
    }

    fn regex(&mut self) -> Result<Node, Error> {
        let mut branches = vec![self.branch()?];
        while self.peek() == Some(b'|') {
            self.at += 1;
            branches.push(self.branch()?);
        }
        if branches.len() == 1 {
            return Ok(branches.pop().unwrap_or(Node::Sequence(Vec::new())));
        }
        Ok(Node::Alternatives(branches))
    }

    fn branch(&mut self) -> Result<Node, Error> {
        let mut pieces = Vec::new();
        while let Some(byte) = self.peek() {
            if matches!(byte, b'|' | b')') {
                break;
            }
            let atom = self.atom(byte)?;
            let repeat = match self.peek() {
                Some(b'*') => Repeat::Star,
                Some(b'+') => Repeat::Plus,
                Some(b'?') => Repeat::Optional,
                _ => {
                    pieces.push(atom);
                    continue;
                }
            };
            self.at += 1;
            pieces.push(Node::Repeat(Box::new(atom), repeat));
        }
        Ok(Node::Sequence(pieces))
    }

    fn atom(&mut self, byte: u8) -> Result<Node, Error> {
        self.at += 1;
        Ok(match byte {
            b'(' => return self.group(),
            b'[' => Node::Set(self.class()),
            b'.' => Node::Set(ByteSet::single(b'\n').negated()),
            b'^' if self.peek() == Some(b'^') => {
                self.at += 1;
                Node::Anchor { last: false }
            }
            b'^' | b'$' => Node::Set(ByteSet::single(b'\n')),
            b'\\' => match self.peek() {
                None => self.literal(b'\\'),
                Some(next) => {
                    self.at += 1;
                    match next {
                        b'/' => Node::Mark,
                        b'<' | b'>' => Node::Set(word_octets().negated()),
                        other => self.literal(other),
                    }
                }
            },
            other => self.literal(other),
        })
    }

    fn literal(&self, byte: u8) -> Node {
        let set = ByteSet::single(byte);
        Node::Set(if self.fold { set.folded() } else { set })
    }

    fn group(&mut self) -> Result<Node, Error> {
        // A rcfile of nothing but opening parentheses would otherwise exhaust the stack.
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(Error::limit(Limit::RegexDepth));
        };
        self.depth = depth;
        let inside = self.regex()?;
        self.depth += 1;
        if self.peek() == Some(b')') {
            self.at += 1;
        } else {
            self.unbalanced = true;
        }
        Ok(inside)
    }

    /// The part of a class after its `[`.
    fn class(&mut self) -> ByteSet {
        let negated = self.peek() == Some(b'^');
        if negated {
            self.at += 1;
        }
        let mut set = ByteSet::EMPTY;
        let mut first = true;
        while let Some(byte) = self.peek() {
            if byte == b']' && !first {
                self.at += 1;
                break;
            }
            self.at += 1;
            first = false;
            let mut low = byte;
            set.insert(low);
            // The end of a range may be the start of another.
            while self.looking_at(b"-")
                && let Some(&end) = self.text.get(self.at + 1)
                && end != b']'
            {
                self.at += 2;
                let high = end;
                set.insert(high);
                (low..high).for_each(|byte| set.insert(byte));
                low = high;
            }
        }
        if self.fold {
            set = set.folded();
        }
        if negated {
            set.negated().without(b'\n')
        } else {
            set
        }
    }
}

fn word_octets() -> ByteSet {
    let mut set = ByteSet::single(b'_');
    (b'0'..=b'9')
        .chain(b'a'..=b'z')
        .chain(b'A'..=b'Z')
        .for_each(|byte| set.insert(byte));
    set
}

/// Marks each `^^` after which nothing stands, not even `\/` or an empty group; `last` tells
/// whether nothing stands after the node.
fn settle_anchors(node: &mut Node, last: bool) {
    match node {
        Node::Set(_) | Node::Mark => {}
        Node::Anchor { last: flag } => *flag = last,
        Node::Repeat(inner, Repeat::Optional) => settle_anchors(inner, last),
        Node::Repeat(inner, _) => settle_anchors(inner, false),
        Node::Sequence(pieces) => {
            let mut last = last;
            for piece in pieces.iter_mut().rev() {
                settle_anchors(piece, last);
                last = false;
            }
        }
        Node::Alternatives(branches) => {
            for branch in branches {
                settle_anchors(branch, last);
            }
        }
    }
}
