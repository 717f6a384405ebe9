use std::num::NonZeroU32;

use super::Untagged;
use super::code::atom_or_quoted;
use super::fetch::skip_value;
use crate::command::PartialRange;
use crate::cursor::{Cursor, Parsed};
use bytes::Bytes;

use crate::types::{Atom, IString, Mailbox, NumberSequence, Tag};
use crate::wire::Writer;

/// `esearch-response` (RFC 9051 §7.3.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ESearch {
    /// The tag of the command that it answers.
    pub tag: Option<Tag>,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// The smallest; `None` where nothing was found or asked, here and below.
    pub min: Option<NonZeroU32>,
    /// The largest.
    pub max: Option<NonZeroU32>,
    /// How many.
    pub count: Option<u32>,
    /// All, ascending, or in the order of a SORT (RFC 5267 §3.2). Left out
    /// when empty.
    pub all: NumberSequence,
    /// That slice of the result (RFC 9394), in order; an empty one is NIL.
    pub partial: Option<(PartialRange, NumberSequence)>,
    /// The highest modification sequence among them (RFC 7162).
    pub mod_seq: Option<u64>,
    /// Which mailbox was searched (RFC 7377).
    pub mailbox: Option<Mailbox>,
    /// Its UID validity (RFC 7377).
    pub uid_validity: Option<NonZeroU32>,
    /// How well each of `all` (or of `partial`) matches, from 1 to 100
    /// (RFC 6203 §4).
    pub relevancy: Vec<u8>,
    /// What the result has gained and lost since, in order (RFC 5267 §4.3).
    pub updates: Vec<ContextUpdate>,
    /// Data that this crate does not know: names, and values as they were
    /// sent.
    pub others: Vec<(Atom, Bytes)>,
}

/// ADDTO and REMOVEFROM (RFC 5267 §4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextUpdate {
    /// These come in at these places, 1-based; 0 for their place in the order
    /// of the mailbox.
    Add(Vec<(u32, NumberSequence)>),
    /// These go, from these places on; 0 for wherever they are.
    Remove(Vec<(u32, NumberSequence)>),
}

impl ContextUpdate {
    /// `"(" context-position SP sequence-set *(SP …) ")"`.
    fn parse(c: &mut Cursor<'_>) -> Parsed<Vec<(u32, NumberSequence)>> {
        c.list1(|c| {
            let position = c.number()?;
            c.space()?;
            Ok((position, NumberSequence::parse(c)?))
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let (name, places): (&[u8], _) = match self {
            Self::Add(places) => (b" ADDTO ", places),
            Self::Remove(places) => (b" REMOVEFROM ", places),
        };
        w.raw(name);
        w.list(places, |w, (position, numbers)| {
            w.number(*position);
            w.space();
            numbers.encode(w);
        });
    }
}

/// `"TAG" SP tag-string`.
pub(super) fn parse_correlator_tag(c: &mut Cursor<'_>) -> Parsed<Tag> {
    c.expect_text("TAG ")?;
    let at = c.at();
    let tag = Tag::new(&IString::parse_astring(c)?.to_text());
    tag.map_err(|_| Cursor::error_at(crate::ParseErrorKind::Octets, at))
}

/// `score`: 1 to 100.
fn parse_score(c: &mut Cursor<'_>) -> Parsed<u8> {
    let at = c.at();
    let score = u8::try_from(c.number()?).ok();
    score
        .filter(|score| (1..=100).contains(score))
        .ok_or(Cursor::error_at(crate::ParseErrorKind::Number, at))
}

impl ESearch {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut result = Self::default();
        if c.peek() == Some(b' ') && c.peek_at(1) == Some(b'(') {
            c.set_at(c.at() + 1);
            c.list1(|c| {
                if c.eat_text("MAILBOX ") {
                    result.mailbox = Some(Mailbox::parse(c)?);
                } else if c.eat_text("UIDVALIDITY ") {
                    result.uid_validity = Some(c.nz_number()?);
                } else {
                    result.tag = Some(parse_correlator_tag(c)?);
                }
                Ok(())
            })?;
        }
        let at = c.at();
        result.uid = c.eat_text(" UID");
        if result.uid && c.peek().is_some_and(|next| next != b' ') {
            c.set_at(at);
            result.uid = false;
        }
        while c.eat(b' ') {
            c.element()?;
            if c.eat_text("MIN ") {
                result.min = Some(c.nz_number()?);
            } else if c.eat_text("MAX ") {
                result.max = Some(c.nz_number()?);
            } else if c.eat_text("COUNT ") {
                result.count = Some(c.number()?);
            } else if c.eat_text("ALL ") {
                result.all = NumberSequence::parse(c)?;
            } else if c.eat_text("MODSEQ ") {
                result.mod_seq = Some(c.number64()?);
            } else if c.eat_text("PARTIAL (") {
                let range = PartialRange::parse(c)?;
                c.space()?;
                let set = match crate::types::string::nil(c) {
                    true => NumberSequence::default(),
                    false => NumberSequence::parse(c)?,
                };
                c.close()?;
                result.partial = Some((range, set));
            } else if c.eat_text("RELEVANCY ") {
                result.relevancy = c.list1(parse_score)?;
            } else if c.eat_text("ADDTO ") {
                result
                    .updates
                    .push(ContextUpdate::Add(ContextUpdate::parse(c)?));
            } else if c.eat_text("REMOVEFROM ") {
                result
                    .updates
                    .push(ContextUpdate::Remove(ContextUpdate::parse(c)?));
            } else {
                let name = Atom::parse(c)?;
                c.space()?;
                let at = c.at();
                skip_value(c)?;
                result.others.push((name, c.slice(at, c.at())));
            }
        }
        Ok(result)
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"ESEARCH");
        self.encode_correlators(w);
        if self.uid {
            w.raw(b" UID");
        }
        let mut number = |name: &str, number: Option<u64>| {
            if let Some(number) = number {
                w.str(name);
                w.number(number);
            }
        };
        number(" MIN ", self.min.map(|min| min.get().into()));
        number(" MAX ", self.max.map(|max| max.get().into()));
        number(" COUNT ", self.count.map(u64::from));
        if !self.all.is_empty() {
            w.raw(b" ALL ");
            self.all.encode(w);
        }
        if let Some((range, set)) = &self.partial {
            w.raw(b" PARTIAL (");
            range.encode(w);
            w.space();
            match set.is_empty() {
                true => w.raw(b"NIL"),
                false => set.encode(w),
            }
            w.byte(b')');
        }
        if let Some(value) = self.mod_seq {
            w.raw(b" MODSEQ ");
            w.number(value);
        }
        if !self.relevancy.is_empty() {
            w.raw(b" RELEVANCY ");
            w.list(&self.relevancy, |w, score| w.number(*score));
        }
        self.updates.iter().for_each(|update| update.encode(w));
        for (name, value) in &self.others {
            w.space();
            w.str(name.as_str());
            w.space();
            w.raw(value);
        }
    }

    fn encode_correlators(&self, w: &mut Writer<'_>) {
        let mut separator: &[u8] = b" (";
        if let Some(tag) = &self.tag {
            w.raw(separator);
            w.raw(b"TAG ");
            crate::types::string::quote(w, tag.as_str().as_bytes());
            separator = b" ";
        }
        if let Some(mailbox) = &self.mailbox {
            w.raw(separator);
            w.raw(b"MAILBOX ");
            mailbox.encode(w);
            separator = b" ";
        }
        if let Some(validity) = self.uid_validity {
            w.raw(separator);
            w.raw(b"UIDVALIDITY ");
            w.number(validity.get());
            separator = b" ";
        }
        if separator == b" " {
            w.byte(b')');
        }
    }
}

/// `*(SP nz-number) [SP "(" "MODSEQ" SP mod-sequence-value ")"]`.
pub(super) fn parse_search(c: &mut Cursor<'_>) -> Parsed<Untagged> {
    let (mut numbers, mut mod_seq) = (Vec::new(), None);
    while c.eat(b' ') {
        // Some servers end the line with a space.
        if c.is_end() {
            break;
        }
        if c.eat_text("(MODSEQ ") {
            mod_seq = Some(c.number64()?);
            c.close()?;
            break;
        }
        numbers.push(c.nz_number()?);
    }
    Ok(Untagged::Search { numbers, mod_seq })
}

pub(super) fn encode_search(w: &mut Writer<'_>, numbers: &[NonZeroU32], mod_seq: Option<u64>) {
    w.raw(b"SEARCH");
    encode_numbers(w, numbers);
    if let Some(value) = mod_seq {
        w.raw(b" (MODSEQ ");
        w.number(value);
        w.byte(b')');
    }
}

pub(super) fn parse_numbers(c: &mut Cursor<'_>) -> Parsed<Vec<NonZeroU32>> {
    let mut numbers = Vec::new();
    while c.eat(b' ') && !c.is_end() {
        numbers.push(c.nz_number()?);
    }
    Ok(numbers)
}

pub(super) fn encode_numbers(w: &mut Writer<'_>, numbers: &[NonZeroU32]) {
    for number in numbers {
        w.space();
        w.number(number.get());
    }
}

/// A message of a thread, in a forest laid out flat: a node's descendants
/// follow it, each one deeper.
///
/// Flat, because a hostile References header makes threads as deep as there
/// are messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadNode {
    /// 0 for the root of a thread.
    pub depth: u32,
    /// Sequence number or UID; `None` for a message that is not there.
    pub number: Option<NonZeroU32>,
}

/// `"THREAD" [SP 1*thread-list]` (RFC 5256 §4).
///
/// ```abnf
/// thread-list    = "(" (thread-members / thread-nested) ")"
/// thread-members = nz-number *(SP nz-number) [SP thread-nested]
/// thread-nested  = 2*thread-list
/// ```
pub(super) fn parse_threads(c: &mut Cursor<'_>) -> Parsed<Vec<ThreadNode>> {
    let mut nodes = Vec::new();
    if !c.eat(b' ') {
        return Ok(nodes);
    }
    // The depth that the next node has, for each open parenthesis.
    let mut open: Vec<u32> = Vec::new();
    while !c.is_end() {
        match c.peek() {
            Some(b'(') => {
                let mut depth = open.last().copied().unwrap_or(0);
                // "((" at a thread's root: its first message is missing.
                if c.peek_at(1) == Some(b'(') {
                    nodes.push(ThreadNode {
                        depth,
                        number: None,
                    });
                    depth += 1;
                }
                open.push(depth);
                c.set_at(c.at() + 1);
            }
            Some(b')') if open.pop().is_some() => c.set_at(c.at() + 1),
            Some(b' ') if !open.is_empty() => c.set_at(c.at() + 1),
            _ => {
                let number = Some(c.nz_number()?);
                let Some(depth) = open.last_mut() else {
                    return c.expected("\"(\"");
                };
                let node = ThreadNode {
                    depth: *depth,
                    number,
                };
                *depth += 1;
                nodes.push(node);
            }
        }
    }
    if open.is_empty() {
        Ok(nodes)
    } else {
        c.expected("\")\"")
    }
}

pub(super) fn encode_threads(w: &mut Writer<'_>, nodes: &[ThreadNode]) {
    w.raw(b"THREAD");
    if nodes.is_empty() {
        return;
    }
    w.space();
    let children = count_children(nodes);
    // The way down: each node, and whether a parenthesis was opened for it.
    let mut open: Vec<(usize, bool)> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let depth = usize::try_from(node.depth).unwrap_or(usize::MAX);
        while open.len() > depth {
            close_one(&mut open, w);
        }
        let of = |index: usize| children.get(index).copied().unwrap_or(0);
        let parenthesized = open.last().is_none_or(|(parent, _)| {
            of(*parent) > 1
                || nodes
                    .get(*parent)
                    .is_some_and(|parent| parent.number.is_none())
        });
        w.byte(if parenthesized { b'(' } else { b' ' });
        if let Some(number) = node.number {
            w.number(number.get());
            // thread-members = nz-number … [SP thread-nested]
            if of(index) > 1 {
                w.space();
            }
        }
        open.push((index, parenthesized));
    }
    while !open.is_empty() {
        close_one(&mut open, w);
    }
}

fn close_one(open: &mut Vec<(usize, bool)>, w: &mut Writer<'_>) {
    if open.pop().is_some_and(|(_, parenthesized)| parenthesized) {
        w.byte(b')');
    }
}

fn count_children(nodes: &[ThreadNode]) -> Vec<u32> {
    let mut children = vec![0; nodes.len()];
    let mut path: Vec<usize> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        path.truncate(usize::try_from(node.depth).unwrap_or(usize::MAX));
        if let Some(count) = path.last().and_then(|parent| children.get_mut(*parent)) {
            *count += 1;
        }
        path.push(index);
    }
    children
}

/// `resource SP usage SP limit` (RFC 9208).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaResource {
    /// `STORAGE` (units of 1,024 octets), `MESSAGE`, `MAILBOX` …
    pub name: Atom,
    /// How much is used.
    pub usage: u64,
    /// How much may be used.
    pub limit: u64,
}

impl QuotaResource {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let name = Atom::parse(c)?;
        c.space()?;
        let usage = c.number64()?;
        c.space()?;
        let limit = c.number64()?;
        Ok(Self { name, usage, limit })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        atom_or_quoted(self.name.as_str(), w);
        w.space();
        w.number(self.usage);
        w.space();
        w.number(self.limit);
    }
}
