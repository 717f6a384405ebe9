use thiserror::Error;

/// What is wrong with a command line, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} at octet {at}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The octet in the line, 0-based.
    pub at: usize,
}

/// See [`ParseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// No command has this keyword.
    #[error("unknown command")]
    UnknownCommand,
    /// The command needs an argument more.
    #[error("missing argument")]
    MissingArgument,
    /// The command takes no argument here.
    #[error("unexpected argument")]
    UnexpectedArgument,
    /// A message-number is 1 or more, a line count 0 or more, at most
    /// 4,294,967,295.
    #[error("not a number")]
    NotANumber,
    /// An octet that cannot stand here: a control character, or one outside
    /// of UTF-8.
    #[error("invalid octet")]
    InvalidOctet,
    /// APOP's digest is 32 hexadecimal digits.
    #[error("not a digest")]
    NotADigest,
    /// Not base64 as RFC 5034 §4 wants it.
    #[error("invalid base64")]
    Base64,
}

/// Why a server connection is over; what is to be said to the client stands
/// in the output.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No command came for [`Timeouts::autologout`], or the client took no
    /// octet of an answer for as long.
    ///
    /// [`Timeouts::autologout`]: crate::Timeouts::autologout
    #[error("autologout")]
    Autologout,
    /// Nobody logged in within [`Timeouts::authorization`].
    ///
    /// [`Timeouts::authorization`]: crate::Timeouts::authorization
    #[error("no login in time")]
    AuthorizationTimeout,
    /// [`Limits::bad_commands`] was reached.
    ///
    /// [`Limits::bad_commands`]: crate::Limits::bad_commands
    #[error("too many bad commands")]
    TooManyBadCommands,
    /// [`Limits::failed_logins`] was reached.
    ///
    /// [`Limits::failed_logins`]: crate::Limits::failed_logins
    #[error("too many failed logins")]
    TooManyFailedLogins,
    /// The client sent plaintext behind STLS, which an attacker may have put
    /// there to have it run inside of TLS.
    #[error("plaintext behind STLS")]
    OctetsBehindStls,
    /// The host could not go on with a message that it had begun to send.
    #[error("the payload was aborted")]
    PayloadAborted,
}

/// Why a client connection is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server refused the connection in its greeting.
    #[error("refused: {0}")]
    Refused(crate::Reply),
    /// A line that is no answer to the command it comes for.
    #[error("unexpected answer to {command}: {line:?}")]
    Unexpected {
        /// The command's keyword, or `greeting`.
        command: &'static str,
        /// The beginning of the line.
        line: String,
    },
    /// A line longer than [`ClientConfig::max_line`].
    ///
    /// [`ClientConfig::max_line`]: crate::ClientConfig::max_line
    #[error("line too long")]
    LineTooLong,
    /// A line that ends in a bare LF.
    #[error("line ends in a bare LF")]
    BareLf,
    /// The server said something when nothing was asked.
    #[error("an answer to no command")]
    Unasked,
    /// The server sent plaintext behind its answer to STLS, which an attacker
    /// may have put there to have it read inside of TLS.
    #[error("plaintext behind the answer to STLS")]
    OctetsBehindStls,
    /// The server was silent for [`ClientConfig::timeout`].
    ///
    /// [`ClientConfig::timeout`]: crate::ClientConfig::timeout
    #[error("the server does not answer")]
    Timeout,
    /// The server closed the connection while an answer was due.
    #[error("the server closed the connection")]
    Eof,
}
