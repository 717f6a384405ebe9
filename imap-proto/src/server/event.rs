use bytes::Bytes;
use proto_core::Secret;

use crate::{AppendOptions, CatenatePart, Command, Mailbox, ParseError, Replaced, Tag};

/// What a server asks of its host.
///
/// "Answers" are methods of [`Server`](crate::Server); `reply` stands for
/// `reply`, `ok`, `no` and `bad`. Until an event that asks for an answer has
/// it, `poll` says `NeedAnswer`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A command that the host decides, legal in the present state.
    ///
    /// Answers: any number of `untagged` (with `send_payload` for streamed
    /// contents), then one `reply`. On OK the machine changes its state:
    /// LOGIN, SELECT and EXAMINE, CLOSE, UNSELECT, UNAUTHENTICATE.
    Command(Command),
    /// AUTHENTICATE. The mechanism is one that is offered.
    ///
    /// Answers: `challenge` (an empty one asks for the first response), or
    /// `reply`.
    Authenticate {
        /// The command's tag.
        tag: Tag,
        /// The mechanism, in upper case.
        mechanism: Box<str>,
        /// The client's first message, if it came along (RFC 4959).
        initial_response: Option<Secret>,
    },
    /// The client's answer to a challenge, base64 decoded.
    ///
    /// Answers: `challenge` or `reply`.
    AuthData(Secret),
    /// The client cancelled, or sent no base64. Already answered BAD.
    AuthCancelled,
    /// STARTTLS. Answers: `ok`, then write all output, handshake, and call
    /// `tls_started`; or `no`.
    StartTls,
    /// IDLE began; `+` is sent. News may be sent with `untagged` at any time
    /// until `IdleDone`; poll on.
    Idle,
    /// IDLE ended. Answers: `untagged`, then `reply`.
    IdleDone,
    /// APPEND or REPLACE announces a message.
    ///
    /// Answers: `accept_payload`, or `reply` with NO or BAD: then the message
    /// is not sent, or skipped.
    PayloadStart(Payload),
    /// CATENATE: the next part of the message (RFC 4469). A text's octets
    /// follow; those that a URL names are the host's to find.
    ///
    /// Answers: `accept_payload`, or `reply` with NO, say
    /// [`Code::BadUrl`](crate::Code::BadUrl).
    PayloadPart(CatenatePart),
    /// Octets of the message, at most [`Limits::chunk`](crate::Limits::chunk).
    ///
    /// No answer needed; `reply` with NO or BAD ends the command at once, and
    /// the rest is skipped.
    Payload(Bytes),
    /// The message is whole.
    PayloadEnd {
        /// Whether the command is whole too. Answers: `reply`; none if not,
        /// since another message follows (RFC 3502) and none may be stored
        /// before all are there.
        last: bool,
    },
    /// The command turned out invalid behind a message, or was cancelled:
    /// nothing of it may be stored. Already answered.
    PayloadAborted(Rejected),
    /// Something was refused and is already answered: for logs, and for
    /// slowing down. Ends an IDLE.
    Rejected(Rejected),
}

/// A message that APPEND or REPLACE announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The command's tag.
    pub tag: Tag,
    /// Where it goes.
    pub mailbox: Mailbox,
    /// REPLACE: which message it comes in place of (RFC 8508). The host
    /// resolves the number, stores the one, expunges the other, and tells.
    pub replaces: Option<Replaced>,
    /// Its flags and date.
    pub options: AppendOptions,
    /// Its size in octets; 0 with CATENATE.
    pub size: u64,
    /// CATENATE: it is put together of parts, each a
    /// [`Event::PayloadPart`] (RFC 4469).
    pub catenate: bool,
    /// Whether it may hold NUL octets (RFC 3516).
    pub binary: bool,
    /// Whether its header may hold UTF-8 (RFC 6855).
    pub utf8: bool,
    /// How many messages of the same command came before (RFC 3502).
    pub index: u32,
}

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The command's tag, if it had one.
    pub tag: Option<Tag>,
    /// Why.
    pub rejection: Rejection,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is not IMAP, or not of what is offered.
    #[error("{0}")]
    Syntax(#[from] ParseError),
    /// It is part of an extension that is not offered.
    #[error("{0} is not offered")]
    NotOffered(&'static str),
    /// It is not allowed in the present state.
    #[error("not allowed {0}")]
    State(&'static str),
    /// A line over the limit.
    #[error("line too long")]
    LineTooLong,
    /// A line that ends in LF without CR.
    #[error("line ends without CR")]
    BareLf,
    /// A literal over the limit.
    #[error("literal of {0} octets is too large")]
    LiteralTooLarge(u64),
    /// More literals than the limit.
    #[error("too many literals")]
    TooManyLiterals,
    /// Credentials without TLS.
    #[error("credentials without TLS")]
    PrivacyRequired,
    /// A SASL mechanism that is not offered.
    #[error("mechanism not offered")]
    Mechanism,
    /// IDLE was ended by something other than DONE.
    #[error("expected DONE")]
    NotDone,
    /// A sequence number after `ENABLE UIDONLY` (RFC 9586 §3).
    #[error("UIDs are required")]
    UidRequired,
    /// The client cancelled a MULTIAPPEND with an empty literal.
    #[error("cancelled")]
    Cancelled,
}
