use bytes::Bytes;
use proto_core::{DotFault, Secret};
use thiserror::Error;

use crate::command::{
    AuthStart, Body, Burl, Etrn, Hello, Lookup, Mail, ProxyAttributes, Rcpt, Verb,
};
use crate::error::ParseError;
use crate::reply::Reply;

/// What a [`Server`](super::Server) tells its host.
///
/// Events that want an answer block the connection until it is given: the
/// host may take its time, look things up, and answer from wherever it likes.
/// [`Event::wants_answer`] tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// HELO, EHLO or LHLO, already answered. No answer.
    Hello(Hello),
    /// A transaction is to begin.
    ///
    /// Answer: `reply`; 2yz begins it.
    Mail(Mail),
    /// One recipient more.
    ///
    /// Answer: `reply`; 2yz accepts the recipient.
    Rcpt(Rcpt),
    /// DATA, or the first BDAT: a message is to come.
    ///
    /// Answer: `accept_payload`, or `reply` with 4yz or 5yz; the transaction
    /// is dropped then and no `Reset` follows.
    PayloadStart(Payload),
    /// The next octets of the message, dots un-stuffed, at most 64 KiB.
    /// No answer; not polling is how the host slows the client down.
    Payload(Bytes),
    /// The message is complete.
    ///
    /// Answer: `reply`; 2yz takes the message over for good. In LMTP one
    /// `reply` for each accepted recipient, in the order of their RCPTs.
    PayloadEnd,
    /// BURL, when it is offered: the next piece of the message is what the
    /// URL names. It may be the first, without a `PayloadStart` before it.
    ///
    /// Answer: `reply`; if it is the last piece, as for `PayloadEnd`. 4yz and
    /// 5yz drop the transaction and no `Reset` follows.
    Burl(Burl),
    /// VRFY, when `Extensions::vrfy` is on. Answer: `reply`.
    Vrfy(Lookup),
    /// EXPN, when `Extensions::expn` is on. Answer: `reply`.
    Expn(Lookup),
    /// HELP, when `Extensions::help` is on. Answer: `reply`.
    Help(Option<Box<str>>),
    /// ETRN, when it is offered. Answer: `reply`.
    Etrn(Etrn),
    /// XCLIENT, when it is offered.
    ///
    /// Answer: `reply`; 220 begins the session anew, as after connecting,
    /// and the greeting is sent in its stead.
    Xclient(ProxyAttributes),
    /// XFORWARD, when it is offered. Answer: `reply`.
    Xforward(ProxyAttributes),
    /// STARTTLS.
    ///
    /// Answer: `reply` with 220, then write the output, do the handshake and
    /// call `tls_started`; or `reply` with 454.
    StartTls,
    /// AUTH with a mechanism that is offered.
    ///
    /// Answer: `challenge`, or `reply`; 235 authenticates the session.
    Auth(AuthStart),
    /// The client's response to a challenge. Answer: as for `Auth`.
    AuthData(Secret),
    /// The client gave the exchange up, or sent what is no base64; already
    /// answered. No answer.
    AuthCancelled,
    /// The transaction is dropped: by RSET, EHLO or QUIT, or because the
    /// machine refuses the message. Throw away what was stored of it.
    /// No answer.
    Reset,
    /// QUIT, already answered; `Closed` follows. No answer.
    Quit,
    /// A command or message that the machine itself refused, already
    /// answered: to log, or to be slow about polling again. No answer.
    Rejected(Rejected),
}

impl Event {
    /// Whether the connection waits for the host's answer.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        match self {
            Self::Mail(_)
            | Self::Rcpt(_)
            | Self::PayloadStart(_)
            | Self::PayloadEnd
            | Self::Burl(_)
            | Self::Vrfy(_)
            | Self::Expn(_)
            | Self::Help(_)
            | Self::Etrn(_)
            | Self::Xclient(_)
            | Self::Xforward(_)
            | Self::StartTls
            | Self::Auth(_)
            | Self::AuthData(_) => true,
            Self::Hello(_)
            | Self::Payload(_)
            | Self::AuthCancelled
            | Self::Reset
            | Self::Quit
            | Self::Rejected(_) => false,
        }
    }
}

/// How a message is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// Octets, as MAIL's SIZE said.
    pub declared_size: Option<u64>,
    /// What MAIL's BODY said.
    pub body: Option<Body>,
    /// By BDAT, where octets need not be lines.
    pub chunked: bool,
    /// How many recipients were accepted.
    pub recipients: u32,
}

/// What the machine refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The command, where it is known.
    pub verb: Option<Verb>,
    /// Why.
    pub fault: Fault,
    /// What the client was told.
    pub reply: Reply,
}

/// Why the machine refused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not of the grammar.
    #[error(transparent)]
    Syntax(#[from] ParseError),
    /// A command line over the limit.
    #[error("line too long")]
    LineTooLong,
    /// A command line that ends in LF alone.
    #[error("command ends in a bare LF")]
    BareLf,
    /// Not in this place (RFC 5321 §4.1.4).
    #[error("bad sequence of commands")]
    Sequence,
    /// A command or parameter of an extension that is not offered.
    #[error("not offered")]
    NotOffered,
    /// TLS must come first.
    #[error("TLS is needed first")]
    TlsRequired,
    /// AUTH must come first.
    #[error("authentication is needed first")]
    AuthRequired,
    /// Non-ASCII in an address without SMTPUTF8 (RFC 6531 §3.5).
    #[error("not ASCII, without SMTPUTF8")]
    NeedsSmtpUtf8,
    /// Over the limit of recipients.
    #[error("too many recipients")]
    TooManyRecipients,
    /// Over the limit of messages in one connection.
    #[error("too many transactions")]
    TooManyTransactions,
    /// Over the limit of the message's size, declared or streamed.
    #[error("message too large")]
    MessageTooLarge,
    /// A bare CR, a bare LF or a NUL in the message.
    #[error("octet {:#04x} at {} of the message", .0.octet, .0.at)]
    Octet(DotFault),
    /// The client talked before the greeting.
    #[error("talked before the greeting")]
    EarlyTalker,
    /// The client sent more than it might, under
    /// [`Config::reject_early_commands`](super::Config::reject_early_commands).
    #[error("sent before it might be")]
    EarlyCommand,
    /// Over the limit of commands between two messages.
    #[error("too many commands without mail")]
    TooManyIdleCommands,
}

/// Why a connection is over. Farewells are in the output: drain, then close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The client took too long.
    #[error("timeout")]
    Timeout,
    /// The client made too many mistakes.
    #[error("too many errors")]
    TooManyErrors,
    /// The client failed to authenticate too often.
    #[error("too many failed authentications")]
    TooManyAuthFailures,
    /// The client talked before the greeting.
    #[error("talked before the greeting")]
    EarlyTalker,
    /// The client sent more than it might.
    #[error("sent before it might be")]
    EarlyCommand,
    /// The client closed within a command, a transaction or a message.
    #[error("closed before the end")]
    UnexpectedEof,
    /// BDAT with a size that cannot be read: what follows could be message or
    /// commands.
    #[error("BDAT without a size")]
    BadChunk,
    /// Octets behind STARTTLS that were not sent under TLS: an injection, or
    /// a client that does not know the protocol (RFC 3207 §4.2).
    #[error("plain text behind STARTTLS")]
    PlainTextAfterStartTls,
}
