use std::fmt;

use proto_core::Secret;

use crate::{AuthStart, MessageNumber, ParseError};

/// What the host is to act on.
///
/// | event | legal answers |
/// |---|---|
/// | [`StartTls`](Self::StartTls) | [`reply`] `+OK`, then the handshake and [`tls_started`]; `reply` `-ERR` |
/// | [`Login`](Self::Login), [`Apop`](Self::Apop) | [`open_maildrop`]; `reply` `-ERR` |
/// | [`Auth`](Self::Auth), [`AuthData`](Self::AuthData) | [`challenge`]; `open_maildrop`; `reply` `-ERR` |
/// | [`AuthCancelled`](Self::AuthCancelled) | none |
/// | [`Retrieve`](Self::Retrieve) | [`accept_payload`], [`send_payload`]…, [`end_payload`]; `reply` `-ERR` |
/// | [`Update`](Self::Update) | `reply` |
/// | [`Rejected`](Self::Rejected) | none |
///
/// [`reply`]: crate::Server::reply
/// [`tls_started`]: crate::Server::tls_started
/// [`open_maildrop`]: crate::Server::open_maildrop
/// [`challenge`]: crate::Server::challenge
/// [`accept_payload`]: crate::Server::accept_payload
/// [`send_payload`]: crate::Server::send_payload
/// [`end_payload`]: crate::Server::end_payload
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// STLS (RFC 2595 §4).
    StartTls,
    /// USER and PASS: check them, lock and list the maildrop.
    Login(Login),
    /// APOP: check the digest, lock and list the maildrop.
    Apop(Apop),
    /// AUTH (RFC 5034 §4): start the mechanism.
    Auth(AuthStart),
    /// The client's next SASL response, decoded: step the mechanism.
    AuthData(Secret),
    /// The client gave the exchange up; it was answered. Drop the mechanism.
    AuthCancelled,
    /// RETR or TOP of a message that is there.
    Retrieve(Retrieve),
    /// QUIT after login (RFC 1939 §6): remove the marked messages, release
    /// the maildrop, say how it went. The connection closes after it.
    ///
    /// Whatever else ends a connection removes nothing.
    Update(Update),
    /// A command was refused and is answered: for a log, or to wait a little.
    Rejected(Rejected),
}

/// See [`Event::Login`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// USER's argument.
    pub name: String,
    /// PASS's argument.
    pub password: Secret,
}

/// See [`Event::Apop`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apop {
    /// The maildrop's name.
    pub name: String,
    /// What MD5 of the timestamp, angle brackets and all, followed by the
    /// shared secret should be.
    pub digest: [u8; 16],
}

/// See [`Event::Retrieve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retrieve {
    /// The message.
    pub number: MessageNumber,
    /// TOP: lines of the body. The server cuts: the host may send the whole
    /// message, and stops when [`wants_payload`] says so.
    ///
    /// [`wants_payload`]: crate::Server::wants_payload
    pub lines: Option<u32>,
    /// Whether UTF-8 mode is on. If it is not and the message needs it,
    /// refuse with [`ResponseCode::Utf8`] or send a surrogate (RFC 6856 §2.1).
    ///
    /// [`ResponseCode::Utf8`]: crate::ResponseCode::Utf8
    pub utf8: bool,
}

/// See [`Event::Update`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The messages marked as deleted, ascending; often none.
    pub deleted: Vec<MessageNumber>,
}

/// See [`Event::Rejected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejected {
    /// The line is no command.
    Malformed(ParseError),
    /// The line is over the limit.
    LineTooLong,
    /// The line ends in a bare LF.
    BareLf,
    /// The command, named, is not allowed in this state.
    WrongState(&'static str),
    /// The command, named, is not offered here.
    NotOffered(&'static str),
    /// The command, named, would show a password: TLS must come first.
    TlsRequired(&'static str),
    /// A SASL response is not base64.
    Base64,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(fault) => fault.fmt(f),
            Self::LineTooLong => f.write_str("line too long"),
            Self::BareLf => f.write_str("line ends in a bare LF"),
            Self::WrongState(command) => write!(f, "{command} in the wrong state"),
            Self::NotOffered(command) => write!(f, "{command} is not offered"),
            Self::TlsRequired(command) => write!(f, "{command} without TLS"),
            Self::Base64 => f.write_str("response is not base64"),
        }
    }
}
