//! Lines that are no commands: what a client says in a SASL exchange, and
//! DONE.

use bytes::BytesMut;
use proto_core::{Secret, Step};

use super::{Event, Mode, OnOk, Rejection, Server};
use crate::framing::{Frame, announcement};
use crate::{Error, StatusResponse};

impl Server {
    pub(super) fn advance_authentication(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<Step<Event>>, Error> {
        let line = match self.framer.poll_line(input, self.config.limits.line) {
            Frame::NeedInput => return Ok(Some(Step::NeedInput)),
            Frame::Whole(line) => Some(line),
            _ => None,
        };
        let data = line
            .as_ref()
            .and_then(|line| proto_core::sasl::decode_base64(line).ok());
        let Mode::Authenticating { tag, clients_turn } = &mut self.mode else {
            return Ok(None);
        };
        if let Some(data) = data {
            *clients_turn = false;
            return Ok(Some(Step::Event(Event::AuthData(Secret::new(data)))));
        }
        let tag = tag.clone();
        self.mode = Mode::Ready;
        let text = match line.as_deref() {
            Some(b"*") => "Authentication cancelled",
            Some(_) => "Invalid base64",
            None => {
                // Too long a line, or one without CR: its rest is no command.
                self.framer.discard_line(input);
                "Invalid line"
            }
        };
        self.push_tagged(&tag, &StatusResponse::bad(text));
        self.skip_literal_of(line.as_deref(), input)?;
        Ok(Some(Step::Event(Event::AuthCancelled)))
    }

    pub(super) fn advance_idle(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<Step<Event>>, Error> {
        let line = match self.framer.poll_line(input, self.config.limits.line) {
            Frame::NeedInput => return Ok(Some(Step::NeedInput)),
            Frame::Whole(line) => Some(line),
            _ => {
                self.framer.discard_line(input);
                None
            }
        };
        let Mode::Idling { tag } = std::mem::replace(&mut self.mode, Mode::Ready) else {
            return Ok(None);
        };
        let line = line.as_deref();
        if !line.is_some_and(|line| line.eq_ignore_ascii_case(b"DONE")) {
            let step = self.reject(Some(tag), Rejection::NotDone)?;
            self.skip_literal_of(line, input)?;
            return Ok(Some(step));
        }
        self.mode = Mode::Answering {
            tag,
            on_ok: OnOk::Nothing,
        };
        Ok(Some(Step::Event(Event::IdleDone)))
    }

    /// A line that should have been no command may be one: the literal that
    /// it announces, and the rest behind that, are no commands either.
    fn skip_literal_of(&mut self, line: Option<&[u8]>, input: &mut BytesMut) -> Result<(), Error> {
        let Some((size, false)) = line.and_then(announcement) else {
            return Ok(());
        };
        if size > self.config.limits.skip {
            return self.too_large_to_skip(size).map(|_| ());
        }
        self.framer.discard(input, 0, size);
        Ok(())
    }
}
