//! Literals that are kept, refused or skipped.

use bytes::BytesMut;
use proto_core::Step;

use super::{Event, Rejected, Rejection, Server, append, tag_of};
use crate::cursor::Cursor;
use crate::framing::Announcement;
use crate::{Code, Command, Error, Extension, ParseErrorKind, StatusKind, StatusResponse};

impl Server {
    /// A literal is announced: a message to stream, a string to keep, or
    /// something to refuse before it is sent.
    pub(super) fn literal(
        &mut self,
        input: &mut BytesMut,
        literal: Announcement,
    ) -> Result<Option<Step<Event>>, Error> {
        let prefix = input.get(..literal.start).unwrap_or_default();
        let mut c = Cursor::new(prefix);
        self.prepare(&mut c);
        let parsed = if append::is_append(prefix) {
            // What is streamed has to be told from what is kept.
            if !self.framer.may_judge(literal) {
                return self.refuse(input, literal, Rejection::TooManyLiterals);
            }
            match append::parse(&mut c) {
                Ok(payload) => return self.begin_payload(input, literal, payload),
                Err(error) => Err(error),
            }
        } else if literal.synchronizing && self.framer.may_judge(literal) {
            // Else it is judged when it is whole.
            Command::parse_at(&mut c).map(|_| ())
        } else {
            Ok(())
        };
        // Where only the literal is missing, nothing is wrong yet.
        let wrong = |at: usize| at < literal.start;
        if let Err(error) = parsed
            && error.kind != ParseErrorKind::Incomplete
            && wrong(error.at)
        {
            return self.refuse(input, literal, Rejection::Syntax(error));
        }
        if let Some(rejection) = self.forbids_kept(literal) {
            return self.refuse(input, literal, rejection);
        }
        self.keep(literal);
        Ok(None)
    }

    /// Why a literal cannot be kept until its command is whole.
    pub(super) fn forbids_kept(&self, literal: Announcement) -> Option<Rejection> {
        let limits = &self.config.limits;
        if !literal.synchronizing
            && let Some(rejection) = self.forbids_unsynchronized(literal.size)
        {
            return Some(rejection);
        }
        if self.framer.literals() >= limits.literals {
            return Some(Rejection::TooManyLiterals);
        }
        let room = limits.command.saturating_sub(literal.start) as u64;
        (literal.size > room).then_some(Rejection::LiteralTooLarge(literal.size))
    }

    pub(super) fn keep(&mut self, literal: Announcement) {
        if literal.synchronizing {
            self.output.push_slice(b"+ OK\r\n");
        }
        self.framer.keep(literal);
    }

    /// Why a non-synchronizing literal is not allowed: without LITERAL+ or
    /// LITERAL-, or too large for LITERAL- (RFC 7888 §5).
    pub(super) fn forbids_unsynchronized(&self, size: u64) -> Option<Rejection> {
        let extensions = self.config.extensions;
        if extensions.holds(Extension::LiteralPlus) {
            None
        } else if !extensions.has(Extension::LiteralMinus) {
            Some(Rejection::NotOffered("LITERAL+"))
        } else if size > 4096 {
            Some(Rejection::LiteralTooLarge(size))
        } else {
            None
        }
    }

    /// Refuses a literal and its command.
    pub(super) fn refuse(
        &mut self,
        input: &mut BytesMut,
        literal: Announcement,
        rejection: Rejection,
    ) -> Result<Option<Step<Event>>, Error> {
        if literal.synchronizing {
            // The client waits, and hears BAD instead of `+`.
            let prefix = self.framer.stream(input, literal);
            return self.reject(tag_of(&prefix), rejection).map(Some);
        }
        if literal.size > self.config.limits.skip {
            return self.too_large_to_skip(literal.size);
        }
        self.skip(input, literal.start, literal.size, rejection);
        Ok(None)
    }

    pub(super) fn too_large_to_skip(&mut self, size: u64) -> Result<Option<Step<Event>>, Error> {
        let bye = StatusResponse::new(StatusKind::Bye, "Literal too large");
        self.bye(bye.with(Code::TooBig));
        Err(Error::LiteralTooLarge(size))
    }

    /// Skips the rest of a command; it is answered behind it.
    fn skip(&mut self, input: &mut BytesMut, before: usize, literal: u64, rejection: Rejection) {
        let tag = tag_of(input);
        self.rejecting = Some(Rejected { tag, rejection });
        self.framer.discard(input, before, literal);
    }

    pub(super) fn skip_line(&mut self, input: &mut BytesMut, rejection: Rejection) {
        // However much of an endless line is here already.
        let front = input.len().min(self.config.limits.line);
        let tag = tag_of(input.get(..front).unwrap_or_default());
        self.rejecting = Some(Rejected { tag, rejection });
        self.framer.discard_line(input);
    }
}
