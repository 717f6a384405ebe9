//! What the host says.

use bytes::Bytes;
use proto_core::Misuse;

use super::{Mode, OnOk, Piece, Server, State, Timer};
use crate::framing::Framer;
use crate::wire::{Break, Dialect, Hold};
use crate::{Code, Extensions, StatusKind, StatusResponse, Untagged};

impl Server {
    /// Sends untagged data: an answer to the command in flight, or news.
    ///
    /// For each [`Content::Stream`](crate::Content::Stream) in it the octets
    /// follow by [`Server::send_payload`]. EXPUNGE, and when it may be sent,
    /// is [`View`](crate::View)'s part.
    ///
    /// # Errors
    /// When the connection is over or a streamed content is not whole yet.
    pub fn untagged(&mut self, data: &Untagged) -> Result<(), Misuse> {
        self.may("untagged")?;
        if let Untagged::Status(status) = data {
            check(status, "untagged")?;
        }
        self.push(data);
        Ok(())
    }

    /// Ends the command in flight.
    ///
    /// # Errors
    /// When there is none, when a streamed content is not whole yet, or when
    /// the status is PREAUTH or BYE.
    pub fn reply(&mut self, status: StatusResponse) -> Result<(), Misuse> {
        const CALL: &str = "reply";
        self.may(CALL)?;
        check(&status, CALL)?;
        if matches!(status.kind, StatusKind::PreAuth | StatusKind::Bye) {
            return Err(Misuse::Argument {
                call: CALL,
                reason: "a tagged status is OK, NO or BAD",
            });
        }
        match &self.mode {
            Mode::Answering { .. }
            | Mode::Authenticating {
                clients_turn: false,
                ..
            } => {}
            Mode::Payload(receiving) if receiving.may_fail() && status.kind != StatusKind::Ok => {}
            _ => return Err(Misuse::NotExpected { call: CALL }),
        }
        self.errors = 0;
        match std::mem::replace(&mut self.mode, Mode::Ready) {
            Mode::Answering { tag, on_ok } => self.conclude(&tag, on_ok, status),
            Mode::Authenticating { tag, .. } => self.conclude(&tag, OnOk::Authenticate, status),
            Mode::Payload(receiving) => {
                self.deadlines.clear(Timer::Payload);
                self.push_tagged(receiving.tag(), &status);
                if let Some(left) = receiving.left_to_skip() {
                    self.framer = Framer::default();
                    self.framer.discard(&mut bytes::BytesMut::new(), 0, left);
                }
            }
            other => self.mode = other,
        }
        Ok(())
    }

    /// Ends the command in flight with OK.
    ///
    /// # Errors
    /// As [`Server::reply`].
    pub fn ok(&mut self, text: impl Into<String>) -> Result<(), Misuse> {
        self.reply(StatusResponse::ok(text))
    }

    /// Ends the command in flight with NO.
    ///
    /// # Errors
    /// As [`Server::reply`].
    pub fn no(&mut self, text: impl Into<String>) -> Result<(), Misuse> {
        self.reply(StatusResponse::no(text))
    }

    /// Ends the command in flight with BAD.
    ///
    /// # Errors
    /// As [`Server::reply`].
    pub fn bad(&mut self, text: impl Into<String>) -> Result<(), Misuse> {
        self.reply(StatusResponse::bad(text))
    }

    /// Takes the message, or the part of a message, that was announced.
    ///
    /// # Errors
    /// When none was.
    pub fn accept_payload(&mut self) -> Result<(), Misuse> {
        const CALL: &str = "accept_payload";
        self.may(CALL)?;
        let Mode::Payload(receiving) = &mut self.mode else {
            return Err(Misuse::NotExpected { call: CALL });
        };
        match receiving.accept() {
            None => Err(Misuse::NotExpected { call: CALL }),
            Some(waits) => {
                if waits {
                    self.output.push_slice(b"+ OK\r\n");
                }
                Ok(())
            }
        }
    }

    /// Sends the next octets of a streamed content, uncopied.
    ///
    /// # Errors
    /// When none is open, or more octets are given than were announced.
    pub fn send_payload(&mut self, chunk: Bytes) -> Result<(), Misuse> {
        const CALL: &str = "send_payload";
        if matches!(self.mode, Mode::Closed) {
            return Err(Misuse::Closed { call: CALL });
        }
        if self.owed == 0 {
            return Err(Misuse::NotExpected { call: CALL });
        }
        let Some(owed) = self.owed.checked_sub(chunk.len() as u64) else {
            return Err(Misuse::Argument {
                call: CALL,
                reason: "more octets than announced",
            });
        };
        self.owed = owed;
        self.output.push(chunk);
        if owed == 0 {
            self.flow();
        }
        Ok(())
    }

    /// Sends a SASL challenge.
    ///
    /// # Errors
    /// When no exchange waits for one.
    pub fn challenge(&mut self, data: &[u8]) -> Result<(), Misuse> {
        const CALL: &str = "challenge";
        self.may(CALL)?;
        let Mode::Authenticating { clients_turn, .. } = &mut self.mode else {
            return Err(Misuse::NotExpected { call: CALL });
        };
        if *clients_turn {
            return Err(Misuse::NotExpected { call: CALL });
        }
        *clients_turn = true;
        self.output.push_slice(b"+ ");
        let text = proto_core::sasl::encode_base64(data);
        self.output.push_slice(text.as_bytes());
        self.output.push_slice(b"\r\n");
        Ok(())
    }

    /// The TLS handshake is done: the connection begins anew, without a
    /// greeting (RFC 9051 §6.2.1).
    ///
    /// # Errors
    /// When STARTTLS was not answered OK.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        self.may("tls_started")?;
        if !matches!(self.mode, Mode::Handshake) {
            return Err(Misuse::NotExpected {
                call: "tls_started",
            });
        }
        self.mode = Mode::Ready;
        self.tls = true;
        self.enabled = Extensions::default();
        self.dialect = Dialect::SERVER;
        self.utf8_texts = false;
        self.framer = Framer::default();
        Ok(())
    }

    fn may(&self, call: &'static str) -> Result<(), Misuse> {
        if matches!(self.mode, Mode::Closed) {
            return Err(Misuse::Closed { call });
        }
        if self.owed > 0 {
            return Err(Misuse::NotExpected { call });
        }
        Ok(())
    }

    fn conclude(&mut self, tag: &crate::Tag, on_ok: OnOk, mut status: StatusResponse) {
        if status.kind == StatusKind::Ok {
            match on_ok {
                OnOk::Nothing => {}
                OnOk::Authenticate => {
                    self.state = State::Authenticated;
                    self.deadlines.clear(Timer::Authentication);
                    if status.code.is_none() {
                        status.code = Some(Code::Capability(self.capabilities()));
                    }
                }
                OnOk::Select => self.state = State::Selected,
                OnOk::Deselect => self.state = State::Authenticated,
                OnOk::StartTls => self.mode = Mode::Handshake,
                OnOk::Language => self.utf8_texts = true,
                OnOk::Unauthenticate => {
                    self.state = State::NotAuthenticated;
                    self.enabled = Extensions::default();
                    self.dialect = Dialect::SERVER;
                    self.utf8_texts = false;
                }
            }
        }
        self.push_tagged(tag, &status);
    }

    /// Takes the text from the first break on back out of the output: what
    /// comes behind a streamed content waits for it.
    pub(super) fn cut(&mut self, first: usize, breaks: Vec<Break>) {
        let text = self.output.text();
        let mut tail = text.split_off(first.min(text.len())).freeze();
        let mut done = first;
        for one in breaks {
            let before = tail.split_to((one.at - done).min(tail.len()));
            done = one.at;
            if !before.is_empty() {
                self.behind.push_back(Piece::Octets(before));
            }
            match one.what {
                Hold::Octets(octets) => self.behind.push_back(Piece::Octets(octets)),
                Hold::Stream(size) => self.behind.push_back(Piece::Stream(size)),
                // A server's literals wait for nobody.
                Hold::Continue => {}
            }
        }
        self.behind.push_back(Piece::Octets(tail));
        self.flow();
    }

    /// Queues what waits, up to the next streamed content.
    fn flow(&mut self) {
        while let Some(piece) = self.behind.pop_front() {
            match piece {
                Piece::Octets(octets) => self.output.push(octets),
                Piece::Stream(size) => {
                    self.owed = size;
                    return;
                }
            }
        }
    }
}

fn check(status: &StatusResponse, call: &'static str) -> Result<(), Misuse> {
    if status.code.as_ref().is_none_or(Code::is_sendable) {
        return Ok(());
    }
    Err(Misuse::Argument {
        call,
        reason: "a response code that cannot be sent",
    })
}
