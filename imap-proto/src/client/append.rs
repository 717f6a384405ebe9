//! APPEND and REPLACE: messages streamed to the server.

use bytes::Bytes;
use proto_core::Misuse;

use super::{Client, Mode, Ticket, Timer};
use crate::{Append, AppendData, AppendMessage, Mailbox, Replaced};

impl Client {
    /// Queues APPEND of a message of `size` octets. When the server is ready
    /// for it, [`ClientEvent::PayloadWanted`](super::ClientEvent::PayloadWanted) says so. `binary` sends it as a
    /// literal8, which may hold NUL (RFC 3516).
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn append(&mut self, append: Append, size: u64, binary: bool) -> Result<Ticket, Misuse> {
        let message = AppendMessage {
            options: append.options,
            data: AppendData::Literal { size, binary },
        };
        self.append_messages("append", None, append.mailbox, vec![message])
    }

    /// Queues APPEND of several messages (RFC 3502), or of messages that are
    /// put together (RFC 4469). For each literal in them that is not empty,
    /// in order, [`ClientEvent::PayloadWanted`](super::ClientEvent::PayloadWanted) asks for its octets.
    ///
    /// # Errors
    /// As [`Client::command`]; when there is no message, or none of a
    /// message's parts.
    pub fn append_all(
        &mut self,
        mailbox: Mailbox,
        messages: Vec<AppendMessage>,
    ) -> Result<Ticket, Misuse> {
        self.append_messages("append_all", None, mailbox, messages)
    }

    /// Queues REPLACE (RFC 8508): the message goes to `mailbox`, and the one
    /// that it replaces is expunged. Octets as in [`Client::append_all`].
    ///
    /// # Errors
    /// As [`Client::append_all`].
    pub fn replace(
        &mut self,
        replaced: Replaced,
        mailbox: Mailbox,
        message: AppendMessage,
    ) -> Result<Ticket, Misuse> {
        self.append_messages("replace", Some(replaced), mailbox, vec![message])
    }

    fn append_messages(
        &mut self,
        call: &'static str,
        replaces: Option<Replaced>,
        mailbox: Mailbox,
        messages: Vec<AppendMessage>,
    ) -> Result<Ticket, Misuse> {
        let no_part = |message: &AppendMessage| matches!(&message.data, AppendData::Catenate(parts) if parts.is_empty());
        if messages.is_empty() || messages.iter().any(no_part) {
            return Err(Misuse::Argument {
                call,
                reason: "nothing to append",
            });
        }
        self.may(call)?;
        let ticket = self.in_flight.push_append(replaces, mailbox, messages);
        self.flow();
        Ok(ticket)
    }

    /// Sends the next octets of a message, uncopied.
    ///
    /// # Errors
    /// When none is wanted, or more are given than were announced.
    pub fn send_payload(&mut self, chunk: Bytes) -> Result<(), Misuse> {
        const CALL: &str = "send_payload";
        if matches!(self.mode, Mode::Closed) {
            return Err(Misuse::Closed { call: CALL });
        }
        match self.in_flight.pay(chunk.len() as u64) {
            Some(true) => {
                self.output.push(chunk);
                // The server has nothing to say as long as octets come.
                self.deadlines.clear(Timer::Response);
                self.flow();
                Ok(())
            }
            Some(false) => Err(Misuse::Argument {
                call: CALL,
                reason: "more octets than announced",
            }),
            None => Err(Misuse::NotExpected { call: CALL }),
        }
    }

    /// Octets of a message that the server waits for.
    #[must_use]
    pub fn payload_owed(&self) -> u64 {
        self.in_flight.owed()
    }
}
