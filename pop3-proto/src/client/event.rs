use bytes::Bytes;

use crate::{MessageNumber, Reply};

/// Which command an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// What the server said.
///
/// Only [`Challenge`](Self::Challenge) and [`StartTls`](Self::StartTls) want
/// an answer of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The connection is open (RFC 1939 §4).
    Greeting {
        /// The whole line.
        reply: Reply,
        /// APOP's timestamp with its angle brackets (RFC 1939 §7).
        timestamp: Option<String>,
    },
    /// The whole answer: `-ERR` to any command, or `+OK` to one whose answer
    /// is one line and has no event of its own.
    Reply {
        /// The command.
        ticket: Ticket,
        /// The line.
        reply: Reply,
    },
    /// The answer to CAPA.
    Capabilities {
        /// The command.
        ticket: Ticket,
        /// What the server can.
        capabilities: Capabilities,
    },
    /// The answer to STAT.
    Stat {
        /// The command.
        ticket: Ticket,
        /// Messages in the maildrop.
        count: u32,
        /// Their octets.
        octets: u64,
    },
    /// A scan listing of LIST: the whole answer where a number was given.
    Size {
        /// The command.
        ticket: Ticket,
        /// The message.
        number: MessageNumber,
        /// Its octets.
        size: u64,
    },
    /// A unique-id listing of UIDL: the whole answer where a number was given.
    UniqueId {
        /// The command.
        ticket: Ticket,
        /// The message.
        number: MessageNumber,
        /// 1 to 70 octets from 0x21 to 0x7E.
        unique_id: String,
    },
    /// LIST or UIDL without a number has listed all.
    ListingEnd {
        /// The command.
        ticket: Ticket,
    },
    /// RETR or TOP: the message follows.
    PayloadStart {
        /// The command.
        ticket: Ticket,
        /// The first line.
        reply: Reply,
    },
    /// The message's next octets, no longer dot-stuffed; at most 64 KiB.
    Payload(Bytes),
    /// The message is whole.
    PayloadEnd {
        /// The command.
        ticket: Ticket,
    },
    /// AUTH: answer with [`auth_response`] or [`auth_cancel`].
    ///
    /// [`auth_response`]: crate::Client::auth_response
    /// [`auth_cancel`]: crate::Client::auth_cancel
    Challenge {
        /// The command.
        ticket: Ticket,
        /// The challenge, decoded.
        data: Vec<u8>,
    },
    /// STLS is agreed: shake hands, then [`tls_started`]; ask for CAPA again.
    ///
    /// [`tls_started`]: crate::Client::tls_started
    StartTls {
        /// The command.
        ticket: Ticket,
    },
}

/// What CAPA answered (RFC 2449 §5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    lines: Vec<String>,
}

impl Capabilities {
    pub(super) fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether a capability was announced; its tag in any case.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        self.parameters(tag).is_some()
    }

    /// A capability's parameters; `None` if it was not announced.
    #[must_use]
    pub fn parameters(&self, tag: &str) -> Option<impl Iterator<Item = &str>> {
        self.lines.iter().find_map(|line| {
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            words
                .next()
                .is_some_and(|first| first.eq_ignore_ascii_case(tag))
                .then_some(words)
        })
    }

    /// The SASL mechanisms, as announced.
    pub fn sasl(&self) -> impl Iterator<Item = &str> {
        self.parameters("SASL").into_iter().flatten()
    }

    /// The lines, as announced.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
