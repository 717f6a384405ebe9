//! APPEND and REPLACE: messages streamed through, never held (RFC 9051
//! §6.3.12, RFC 3502, RFC 4469, RFC 7888, RFC 8508).

mod receiving;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto_core::Step;

pub(super) use receiving::Receiving;
use receiving::Stage;

use super::event::{Payload, Rejected, Rejection};
use super::{Event, Mode, OnOk, Server, State, Timer};
use crate::command::append::{Announced, Head, Item, Place};
use crate::cursor::{Cursor, Parsed};
use crate::framing::{Announcement, Frame};
use crate::types::Chars;
use crate::{CatenatePart, Code, Error, Extension, ParseErrorKind, StatusResponse};

/// Whether the command at the front is APPEND or REPLACE.
pub(super) fn is_append(prefix: &[u8]) -> bool {
    let mut c = Cursor::new(prefix);
    let tag = c.take_while(Chars::TAG);
    if tag.is_empty() || !c.eat(b' ') {
        return false;
    }
    c.eat_text("APPEND ") || c.eat_text("REPLACE ") || c.eat_text("UID REPLACE ")
}

/// All before the octets of the first literal. The error is at the end when
/// the literal is not streamed but, say, the mailbox's name.
pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<(Head, Vec<Item>)> {
    let head = Head::parse(c)?;
    let items = Item::parse_segment(c, Place::Message)?;
    Ok((head, items))
}

type Advance = Result<Option<Step<Event>>, Error>;

impl Server {
    /// An APPEND up to its first literal.
    pub(super) fn begin_payload(
        &mut self,
        input: &mut BytesMut,
        literal: Announcement,
        (head, items): (Head, Vec<Item>),
    ) -> Advance {
        let rejection = self
            .forbids_append(&head)
            .or_else(|| self.forbids_items(&head, &items, 0, 0));
        let rejection = rejection.or_else(|| self.forbids_literal(literal));
        if let Some(rejection) = rejection {
            return self.refuse(input, literal, rejection);
        }
        self.framer.stream(input, literal);
        self.begin(head, items, literal.synchronizing);
        Ok(None)
    }

    /// An APPEND without a literal that is streamed: all parts are URLs.
    pub(super) fn begin_whole(&mut self, text: &Bytes) -> Advance {
        let mut c = Cursor::line(text);
        self.prepare(&mut c);
        let tag = super::tag_of(text);
        let (head, items) = match parse(&mut c) {
            Ok(parsed) => parsed,
            Err(error) => return self.reject(tag, Rejection::Syntax(error)).map(Some),
        };
        let rejection = self
            .forbids_append(&head)
            .or_else(|| self.forbids_items(&head, &items, 0, 0));
        if let Some(rejection) = rejection {
            return self.reject(tag, rejection).map(Some);
        }
        self.begin(head, items, false);
        Ok(None)
    }

    fn begin(&mut self, head: Head, items: Vec<Item>, synchronizing: bool) {
        self.mode = Mode::Payload(Box::new(Receiving {
            tag: head.tag,
            mailbox: head.mailbox,
            replaces: head.replaces,
            index: 0,
            catenating: false,
            total: 0,
            items: items.into(),
            synchronizing,
            utf8: false,
            left: 0,
            stage: Stage::Items,
        }));
    }

    fn forbids_append(&self, head: &Head) -> Option<Rejection> {
        if self.state == State::NotAuthenticated {
            return Some(Rejection::State("before authentication"));
        }
        let replaces = head.replaces?;
        if !self.offered.has(Extension::Replace) {
            return Some(Rejection::NotOffered("REPLACE"));
        }
        if self.state != State::Selected {
            return Some(Rejection::State("without a selected mailbox"));
        }
        let uid_only = self.enabled.holds(Extension::UidOnly) && !replaces.uid;
        uid_only.then_some(Rejection::UidRequired)
    }

    /// What of a segment is not offered or too large. `messages` came before,
    /// and `total` octets of an open CATENATE.
    fn forbids_items(
        &self,
        head: &Head,
        items: &[Item],
        mut messages: u32,
        mut total: u64,
    ) -> Option<Rejection> {
        let offered = self.offered;
        for item in items {
            match item {
                Item::Message(options, announced) => {
                    if messages > 0 && head.replaces.is_some() {
                        let at = ParseErrorKind::Expected("the end of the command");
                        return Some(Rejection::Syntax(Cursor::error_at(at, 0)));
                    }
                    if messages > 0 && !offered.has(Extension::MultiAppend) {
                        return Some(Rejection::NotOffered("MULTIAPPEND"));
                    }
                    let mut missing = None;
                    options.requires(&mut |extension| {
                        if !offered.has(extension) {
                            missing = Some(Rejection::NotOffered(extension.name()));
                        }
                    });
                    if missing.is_some() {
                        return missing;
                    }
                    match announced {
                        None if !offered.has(Extension::Catenate) => {
                            return Some(Rejection::NotOffered("CATENATE"));
                        }
                        None => {}
                        // RFC 3502 §6.3.11: an empty literal cancels.
                        Some(announced) if announced.size == 0 && messages > 0 => {
                            return Some(Rejection::Cancelled);
                        }
                        Some(announced) => {
                            if let Some(rejection) = self.forbids_announced(*announced, 0) {
                                return Some(rejection);
                            }
                        }
                    }
                    messages = messages.saturating_add(1);
                    total = 0;
                }
                Item::Text(announced) => {
                    if let Some(rejection) = self.forbids_announced(*announced, total) {
                        return Some(rejection);
                    }
                    total = total.saturating_add(announced.size);
                }
                Item::Url(_) | Item::End | Item::Last => {}
            }
        }
        None
    }

    fn forbids_announced(&self, announced: Announced, total: u64) -> Option<Rejection> {
        let offered = self.offered;
        if announced.utf8 && !offered.holds(Extension::Utf8Accept) {
            return Some(Rejection::NotOffered("UTF8=ACCEPT"));
        }
        if announced.binary && !announced.utf8 && !offered.has(Extension::Binary) {
            return Some(Rejection::NotOffered("BINARY"));
        }
        if total.saturating_add(announced.size) > self.config.limits.message {
            return Some(Rejection::LiteralTooLarge(announced.size));
        }
        None
    }

    fn forbids_literal(&self, literal: Announcement) -> Option<Rejection> {
        match literal.synchronizing {
            true => None,
            false => self.forbids_unsynchronized(literal.size),
        }
    }

    pub(super) fn advance_payload(&mut self, input: &mut BytesMut, now: Instant) -> Advance {
        let Mode::Payload(receiving) = &mut self.mode else {
            return Ok(None);
        };
        match receiving.stage {
            Stage::Items => self.next_item(),
            Stage::Asked | Stage::Announced => Ok(Some(Step::NeedAnswer)),
            Stage::Octets if receiving.left == 0 => {
                receiving.stage = match receiving.catenating {
                    true => Stage::Segment(Place::Parts {
                        utf8: receiving.utf8,
                    }),
                    false => Stage::Behind,
                };
                Ok(None)
            }
            Stage::Octets => {
                let limits = &self.config.limits;
                let deadline = self.deadlines.when(Timer::Payload);
                let mut deadline = deadline.unwrap_or(now + limits.payload_time);
                if input.is_empty() {
                    self.deadlines.set(Timer::Payload, deadline);
                    return Ok(Some(Step::NeedInput));
                }
                let left = usize::try_from(receiving.left).unwrap_or(usize::MAX);
                let chunk = input.split_to(left.min(limits.chunk.max(1)).min(input.len()));
                receiving.left -= chunk.len() as u64;
                let earned = 1_000_000 * chunk.len() as u64 / limits.payload_rate.max(1);
                deadline += Duration::from_micros(earned);
                self.deadlines.set(Timer::Payload, deadline);
                Ok(Some(Step::Event(Event::Payload(chunk.freeze()))))
            }
            Stage::Behind => self.behind_payload(input),
            Stage::Segment(place) => self.next_segment(input, place),
        }
    }

    /// Handles what was read before the next literal.
    fn next_item(&mut self) -> Advance {
        let Mode::Payload(receiving) = &mut self.mode else {
            return Ok(None);
        };
        let event = match receiving.items.pop_front() {
            Some(Item::Message(options, announced)) => {
                receiving.catenating = announced.is_none();
                receiving.total = 0;
                receiving.stage = match announced {
                    Some(_) => Stage::Announced,
                    None => Stage::Asked,
                };
                receiving.left = announced.map_or(0, |announced| announced.size);
                receiving.utf8 = announced.is_some_and(|announced| announced.utf8);
                let payload = Payload {
                    tag: receiving.tag.clone(),
                    mailbox: receiving.mailbox.clone(),
                    replaces: receiving.replaces,
                    options,
                    size: receiving.left,
                    catenate: receiving.catenating,
                    binary: announced.is_some_and(|announced| announced.binary),
                    utf8: receiving.utf8,
                    index: receiving.index,
                };
                receiving.index = receiving.index.saturating_add(1);
                Event::PayloadStart(payload)
            }
            Some(Item::Url(url)) => {
                receiving.stage = Stage::Asked;
                Event::PayloadPart(CatenatePart::Url(url))
            }
            Some(Item::Text(Announced { size, utf8, .. })) => {
                receiving.stage = Stage::Announced;
                receiving.left = size;
                receiving.utf8 = utf8;
                receiving.total = receiving.total.saturating_add(size);
                Event::PayloadPart(CatenatePart::Text { size, utf8 })
            }
            Some(Item::End) => {
                receiving.catenating = false;
                let last = receiving.items.front() == Some(&Item::Last);
                Event::PayloadEnd { last }
            }
            Some(Item::Last) | None => {
                self.finish_payload();
                return Ok(None);
            }
        };
        if event == (Event::PayloadEnd { last: true }) {
            self.finish_payload();
        }
        Ok(Some(Step::Event(event)))
    }

    fn finish_payload(&mut self) {
        self.deadlines.clear(Timer::Payload);
        if let Mode::Payload(receiving) = &self.mode {
            self.mode = Mode::Answering {
                tag: receiving.tag.clone(),
                on_ok: OnOk::Nothing,
            };
        }
    }

    /// CRLF, or a space and another message.
    fn behind_payload(&mut self, input: &mut BytesMut) -> Advance {
        let Mode::Payload(receiving) = &mut self.mode else {
            return Ok(None);
        };
        let close: &[u8] = if receiving.utf8 { b")" } else { b"" };
        let available = input.len();
        let rest = input.get(close.len()..).unwrap_or_default();
        let is_prefix = |text: &[u8]| text.starts_with(input) && available < text.len();
        if is_prefix(b")\r\n") && receiving.utf8 || is_prefix(b"\r\n") || input.is_empty() {
            return Ok(Some(Step::NeedInput));
        }
        let closed = input.starts_with(close);
        if closed && rest.starts_with(b"\r\n") {
            let _ = input.split_to(close.len() + 2);
            self.finish_payload();
            return Ok(Some(Step::Event(Event::PayloadEnd { last: true })));
        }
        let another = receiving.replaces.is_none();
        if closed && rest.first() == Some(&b' ') && another {
            let _ = input.split_to(close.len());
            receiving.stage = Stage::Segment(Place::Message);
            if self.offered.has(Extension::MultiAppend) {
                return Ok(Some(Step::Event(Event::PayloadEnd { last: false })));
            }
            return self.abort_payload(input, Rejection::NotOffered("MULTIAPPEND"));
        }
        let error = Cursor::error_at(ParseErrorKind::Expected("the end of the command"), 0);
        self.abort_payload(input, Rejection::Syntax(error))
    }

    /// What stands between two literals.
    fn next_segment(&mut self, input: &mut BytesMut, place: Place) -> Advance {
        let (text, literal) = match self.framer.poll(input, self.config.limits.line) {
            Frame::NeedInput => return Ok(Some(Step::NeedInput)),
            Frame::Literal(literal) if !self.framer.may_judge(literal) => {
                return self.abort_at(input, literal, Rejection::TooManyLiterals);
            }
            Frame::Literal(literal) => {
                let text = input.get(..literal.start).unwrap_or_default();
                (Bytes::copy_from_slice(text), Some(literal))
            }
            Frame::Whole(text) => (text, None),
            Frame::Discarded => return self.aborted(),
            Frame::TooLong => return self.abort_payload(input, Rejection::LineTooLong),
            Frame::BareLf => return self.abort_payload(input, Rejection::BareLf),
        };
        let mut c = match literal {
            Some(_) => Cursor::new(&text),
            None => Cursor::line(&text),
        };
        self.prepare(&mut c);
        let parsed = Item::parse_segment(&mut c, place);
        let Mode::Payload(receiving) = &self.mode else {
            return Ok(None);
        };
        let head = Head {
            tag: receiving.tag.clone(),
            replaces: receiving.replaces,
            mailbox: receiving.mailbox.clone(),
        };
        let (messages, total) = (receiving.index, receiving.total);
        let rejection = match (&parsed, literal) {
            (Err(error), Some(literal))
                if error.kind == ParseErrorKind::Incomplete && error.at >= literal.start =>
            {
                // A URL's own.
                match self.forbids_kept(literal) {
                    None => {
                        self.keep(literal);
                        return Ok(None);
                    }
                    some => some,
                }
            }
            (Err(error), _) => Some(Rejection::Syntax(error.clone())),
            (Ok(items), literal) => self
                .forbids_items(&head, items, messages, total)
                .or_else(|| literal.and_then(|literal| self.forbids_literal(literal))),
        };
        match (rejection, literal) {
            (Some(rejection), Some(literal)) => return self.abort_at(input, literal, rejection),
            (Some(rejection), None) => {
                self.abort_now(rejection);
                return self.aborted();
            }
            (None, Some(literal)) => drop(self.framer.stream(input, literal)),
            (None, None) => {}
        }
        if let (Ok(items), Mode::Payload(receiving)) = (parsed, &mut self.mode) {
            receiving.items = items.into();
            receiving.synchronizing = literal.is_some_and(|literal| literal.synchronizing);
            receiving.stage = Stage::Items;
        }
        Ok(None)
    }

    /// Refuses the rest of the command at a literal.
    fn abort_at(
        &mut self,
        input: &mut BytesMut,
        literal: Announcement,
        rejection: Rejection,
    ) -> Advance {
        if literal.synchronizing {
            // The client waits, and hears BAD instead of `+`.
            self.framer.stream(input, literal);
            self.abort_now(rejection);
            return self.aborted();
        }
        if literal.size > self.config.limits.skip {
            return self.too_large_to_skip(literal.size);
        }
        self.abort_now(rejection);
        self.framer.discard(input, literal.start, literal.size);
        Ok(None)
    }

    /// Skips the rest of the command, then answers.
    fn abort_payload(&mut self, input: &mut BytesMut, rejection: Rejection) -> Advance {
        self.abort_now(rejection);
        self.framer.discard_line(input);
        Ok(None)
    }

    fn abort_now(&mut self, rejection: Rejection) {
        if let Mode::Payload(receiving) = &mut self.mode {
            receiving.stage = Stage::Segment(Place::Message);
            self.rejecting = Some(Rejected {
                tag: Some(receiving.tag.clone()),
                rejection,
            });
        }
    }

    fn aborted(&mut self) -> Advance {
        self.deadlines.clear(Timer::Payload);
        self.mode = Mode::Ready;
        let Some(rejected) = self.rejecting.take() else {
            return Ok(None);
        };
        let text = rejected.rejection.to_string();
        let status = match &rejected.rejection {
            Rejection::Cancelled => StatusResponse::no(text),
            Rejection::LiteralTooLarge(_) => StatusResponse::bad(text).with(Code::TooBig),
            _ => StatusResponse::bad(text),
        };
        if let Some(tag) = &rejected.tag {
            self.push_tagged(tag, &status);
        }
        Ok(Some(Step::Event(Event::PayloadAborted(rejected))))
    }
}
