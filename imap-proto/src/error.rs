use thiserror::Error;

/// Where and why octets are not IMAP.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} at octet {at}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The octet where it was seen, 0-based in what was parsed.
    pub at: usize,
}

/// What is wrong with octets that are not IMAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A literal is announced whose octets are not there yet.
    #[error("incomplete literal")]
    Incomplete,
    /// Something else was expected here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Not a command, an item or a key that exists or that is offered.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// Octets behind the end.
    #[error("unexpected text behind the end")]
    Trailing,
    /// A number does not fit its range.
    #[error("number out of range")]
    Number,
    /// More nested parentheses than the limit allows.
    #[error("nested too deeply")]
    Depth,
    /// More elements than the limit allows.
    #[error("too many elements")]
    Count,
    /// A mailbox name is neither modified UTF-7 (RFC 3501 §5.1.3) nor UTF-8.
    #[error("invalid mailbox name")]
    MailboxName,
    /// Octets that the term must not hold, say NUL or invalid UTF-8.
    #[error("invalid octets")]
    Octets,
    /// A date that no calendar has.
    #[error("no such date")]
    Date,
    /// Arguments that exclude each other.
    #[error("{0}")]
    Conflict(&'static str),
}

/// Why a value cannot be one of the protocol's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a valid {term}")]
pub struct Invalid {
    /// The RFC's name of the term.
    pub term: &'static str,
}

/// Why a connection is over. A farewell is in the output where one is due.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Octets came behind STARTTLS, or behind its OK, before the handshake:
    /// an injected command or response.
    #[error("octets behind STARTTLS before the handshake")]
    InjectedBehindStartTls,
    /// The server refused STARTTLS while commands were queued behind it: they
    /// were meant for TLS, and are not sent without.
    #[error("STARTTLS refused; what was queued behind it was not sent")]
    StartTlsRefused,
    /// The peer closed while a literal was open.
    #[error("connection closed inside a literal")]
    EofInLiteral,
    /// One mistake after the other.
    #[error("too many invalid commands")]
    TooManyErrors,
    /// A literal too large even to be skipped.
    #[error("literal of {0} octets refused")]
    LiteralTooLarge(u64),
    /// A deadline passed.
    #[error("timed out: {0}")]
    TimedOut(&'static str),
    /// What the server sent is not IMAP, or not what it may send now.
    #[error("server misbehaved: {0}")]
    PeerMisbehaved(&'static str),
    /// A response over a limit.
    #[error("response over the limit: {0}")]
    ResponseTooLarge(&'static str),
}
