//! APPEND: messages streamed through, never held (RFC 9051 §6.3.12,
//! RFC 3502, RFC 7888).

use std::time::{Duration, Instant};

use bytes::BytesMut;
use proto_core::Step;

use super::event::{Payload, Rejected, Rejection};
use super::{Event, Mode, OnOk, Server, State, Timer};
use crate::command::append::Announced;
use crate::cursor::{Cursor, Parsed};
use crate::framing::{Announcement, Frame};
use crate::types::Chars;
use crate::{Append, AppendOptions, Code, Error, Extension, Mailbox, StatusResponse, Tag};

/// Where an APPEND stands.
#[derive(Debug)]
pub(super) struct Receiving {
    tag: Tag,
    mailbox: Mailbox,
    index: u32,
    utf8: bool,
    /// Octets of the present message that did not come yet.
    left: u64,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The host decides whether it takes the message.
    Announced { synchronizing: bool },
    /// The message comes.
    Octets,
    /// What is behind the message?
    Behind,
    /// Another message is announced, or should be.
    Next,
}

impl Receiving {
    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Whether the host may refuse here.
    pub(super) fn may_fail(&self) -> bool {
        !matches!(self.stage, Stage::Next)
    }

    /// Octets to skip when the host refuses; `None` when the client waits and
    /// will send none.
    pub(super) fn left_to_skip(&self) -> Option<u64> {
        match self.stage {
            Stage::Announced {
                synchronizing: true,
            } => None,
            _ => Some(self.left),
        }
    }
}

/// Whether the command at the front is APPEND.
pub(super) fn is_append(prefix: &[u8]) -> bool {
    let mut c = Cursor::new(prefix);
    let tag = c.take_while(Chars::TAG);
    !tag.is_empty() && c.eat_text(" APPEND ")
}

/// All before the octets of the first message. The error is at the end when
/// the literal is not the message but the mailbox's name.
pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<(Tag, Append, Announced)> {
    let tag = Tag::parse(c)?;
    c.space()?;
    c.expect_text("APPEND")?;
    let (append, announced) = Append::parse_prefix(c)?;
    c.end()?;
    Ok((tag, append, announced))
}

impl Server {
    pub(super) fn begin_payload(
        &mut self,
        input: &mut BytesMut,
        literal: Announcement,
        (tag, append, announced): (Tag, Append, Announced),
    ) -> Result<Option<Step<Event>>, Error> {
        if self.state == State::NotAuthenticated {
            return self.refuse(input, literal, Rejection::State("before authentication"));
        }
        if let Some(rejection) = self.forbids_message(literal, announced) {
            return self.refuse(input, literal, rejection);
        }
        self.framer.stream(input, literal);
        let receiving = Receiving {
            tag,
            mailbox: append.mailbox,
            index: 0,
            utf8: announced.utf8,
            left: literal.size,
            stage: Stage::Announced {
                synchronizing: literal.synchronizing,
            },
        };
        Ok(Some(self.announce(receiving, append.options, announced)))
    }

    fn forbids_message(&self, literal: Announcement, announced: Announced) -> Option<Rejection> {
        let offered = self.config.extensions;
        if announced.utf8 && !offered.holds(Extension::Utf8Accept) {
            return Some(Rejection::NotOffered("UTF8=ACCEPT"));
        }
        if announced.binary && !announced.utf8 && !offered.has(Extension::Binary) {
            return Some(Rejection::NotOffered("BINARY"));
        }
        if literal.size > self.config.limits.message {
            return Some(Rejection::LiteralTooLarge(literal.size));
        }
        if literal.synchronizing {
            return None;
        }
        self.forbids_unsynchronized(literal.size)
    }

    fn announce(
        &mut self,
        receiving: Receiving,
        options: AppendOptions,
        announced: Announced,
    ) -> Step<Event> {
        let payload = Payload {
            tag: receiving.tag.clone(),
            mailbox: receiving.mailbox.clone(),
            options,
            size: receiving.left,
            binary: announced.binary,
            utf8: announced.utf8,
            index: receiving.index,
        };
        self.mode = Mode::Payload(receiving);
        Step::Event(Event::PayloadStart(payload))
    }

    pub(super) fn advance_payload(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<Step<Event>>, Error> {
        let Mode::Payload(receiving) = &mut self.mode else {
            return Ok(None);
        };
        match receiving.stage {
            Stage::Announced { .. } => Ok(Some(Step::NeedAnswer)),
            Stage::Octets if receiving.left == 0 => {
                receiving.stage = Stage::Behind;
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
            Stage::Next => self.next_payload(input),
        }
    }

    /// CRLF, or a space and another message.
    fn behind_payload(&mut self, input: &mut BytesMut) -> Result<Option<Step<Event>>, Error> {
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
            self.deadlines.clear(Timer::Payload);
            self.mode = Mode::Answering {
                tag: receiving.tag.clone(),
                on_ok: OnOk::Nothing,
            };
            return Ok(Some(Step::Event(Event::PayloadEnd { last: true })));
        }
        if closed && rest.first() == Some(&b' ') {
            let _ = input.split_to(close.len());
            receiving.stage = Stage::Next;
            if self.config.extensions.holds(Extension::MultiAppend) {
                return Ok(Some(Step::Event(Event::PayloadEnd { last: false })));
            }
            return self.abort_payload(input, Rejection::NotOffered("MULTIAPPEND"));
        }
        let error = Cursor::error_at(crate::ParseErrorKind::Expected("the end of the command"), 0);
        self.abort_payload(input, Rejection::Syntax(error))
    }

    fn next_payload(&mut self, input: &mut BytesMut) -> Result<Option<Step<Event>>, Error> {
        let literal = match self.framer.poll(input, self.config.limits.line) {
            Frame::NeedInput => return Ok(Some(Step::NeedInput)),
            Frame::Literal(literal) => literal,
            Frame::Discarded => return self.aborted(),
            Frame::Whole(_) => {
                let expected = crate::ParseErrorKind::Expected("a message");
                let error = Cursor::error_at(expected, 0);
                self.abort_now(Rejection::Syntax(error));
                return self.aborted();
            }
            Frame::TooLong => return self.abort_payload(input, Rejection::LineTooLong),
            Frame::BareLf => return self.abort_payload(input, Rejection::BareLf),
        };
        let prefix = input.get(..literal.start).unwrap_or_default();
        let mut c = Cursor::new(prefix);
        self.prepare(&mut c);
        let parsed = AppendOptions::parse_prefix(&mut c);
        let rejection = match &parsed {
            Err(error) => Some(Rejection::Syntax(error.clone())),
            Ok((_, announced)) => self.forbids_message(literal, *announced),
        };
        // RFC 3502 §6.3.11: an empty literal cancels.
        let rejection = rejection.or((literal.size == 0).then_some(Rejection::Cancelled));
        if let Some(rejection) = rejection {
            if !literal.synchronizing {
                self.abort_now(rejection);
                self.framer.discard(input, literal.start, literal.size);
                return Ok(None);
            }
            self.framer.stream(input, literal);
            self.abort_now(rejection);
            return self.aborted();
        }
        self.framer.stream(input, literal);
        let Mode::Payload(receiving) = std::mem::replace(&mut self.mode, Mode::Ready) else {
            return Ok(None);
        };
        let Ok((options, announced)) = parsed else {
            return Ok(None);
        };
        let receiving = Receiving {
            index: receiving.index.saturating_add(1),
            utf8: announced.utf8,
            left: literal.size,
            stage: Stage::Announced {
                synchronizing: literal.synchronizing,
            },
            ..receiving
        };
        Ok(Some(self.announce(receiving, options, announced)))
    }

    /// Skips the rest of the command, then answers.
    fn abort_payload(
        &mut self,
        input: &mut BytesMut,
        rejection: Rejection,
    ) -> Result<Option<Step<Event>>, Error> {
        self.abort_now(rejection);
        self.framer.discard_line(input);
        Ok(None)
    }

    fn abort_now(&mut self, rejection: Rejection) {
        if let Mode::Payload(receiving) = &mut self.mode {
            receiving.stage = Stage::Next;
            self.rejecting = Some(Rejected {
                tag: Some(receiving.tag.clone()),
                rejection,
            });
        }
    }

    fn aborted(&mut self) -> Result<Option<Step<Event>>, Error> {
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
