use proto_core::Secret;
use thiserror::Error;

use crate::command::Verb;
use crate::error::ParseError;
use crate::reply::Reply;

/// What a [`Client`](super::Client) tells its host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Greetings are exchanged; `capabilities` tells what is offered. Given
    /// again after `tls_started`.
    ///
    /// Next: `start_tls`, `auth`, `begin`, `command` or `quit`.
    Ready,
    /// The server wants none of us: its greeting, or its reply to HELO. QUIT
    /// is on its way and `Closed` follows.
    Refused(Reply),
    /// 220 to STARTTLS: do the handshake, then call `tls_started`.
    StartTls(Reply),
    /// No TLS. Next: as after `Ready`, or `quit`.
    StartTlsRefused(Reply),
    /// A SASL challenge, base64 taken off. Next: `respond` or `cancel_auth`.
    AuthChallenge(Secret),
    /// 235. Next: as after `Ready`.
    Authenticated(Reply),
    /// The exchange failed. Next: as after `Ready`.
    AuthFailed(Reply),
    /// Hand over more of the message: one `send_payload`, or `end_payload`.
    /// Given whenever the output has room.
    PayloadWanted,
    /// What became of one recipient. Each gets exactly one of these, whatever
    /// happens to the connection.
    Recipient(Recipient),
    /// Every recipient has its `Recipient`. Next: as after `Ready`, unless the
    /// connection was lost ([`Client::is_over`](super::Client::is_over)).
    TransactionEnd,
    /// The reply to a `command`.
    Reply(Verb, Reply),
    /// 421, at any time: the connection is of no more use, `Closed` follows.
    /// The recipients of an open transaction are deferred.
    ServiceClosing(Reply),
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// Its place among those that `begin` was given, 0-based.
    pub index: usize,
    /// What a queue does next.
    pub status: Status,
    /// To which command the reply was; `DATA` stands for the message itself,
    /// by BDAT too. Nothing: the connection was lost, or the server does not
    /// offer what the message needs.
    pub command: Option<Verb>,
    /// The server's words, or the machine's where `command` is nothing.
    pub reply: Reply,
}

/// What a queue does about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 2yz to the message: the server has taken it over.
    Delivered,
    /// Try again later.
    Deferred,
    /// Never; the sender is to be told.
    Bounced,
}

/// Why a client's connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server took too long.
    #[error("timeout")]
    Timeout,
    /// The server closed without saying so.
    #[error("closed before the end")]
    UnexpectedEof,
    /// What the server sends is no reply.
    #[error(transparent)]
    Reply(#[from] ParseError),
    /// A reply over the limits.
    #[error("reply too long")]
    ReplyTooLong,
    /// A reply that answers nothing, or in no way that the command has.
    #[error("unexpected reply {0}")]
    Unexpected(u16),
    /// Octets behind 220 to STARTTLS that were not sent under TLS: an
    /// injection (RFC 3207 §4.2).
    #[error("plain text behind STARTTLS")]
    PlainTextAfterStartTls,
}
