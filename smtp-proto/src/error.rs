use thiserror::Error;

/// Why octets are not what the grammar wants, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} at octet {at}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The offset of the first octet that does not fit, 0-based, in the line
    /// or the text that was parsed.
    pub at: usize,
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, at: usize) -> Self {
        Self { kind, at }
    }
}

/// What is wrong with a command, an address, a parameter or a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The verb is none that this crate knows.
    #[error("unknown command")]
    UnknownCommand,
    /// A command that takes no argument has one.
    #[error("unexpected argument")]
    UnexpectedArgument,
    /// A command lacks an argument that it needs, or the argument is not of
    /// the command's form.
    #[error("missing or malformed argument")]
    Argument,
    /// A control octet, a NUL, or octets that are not UTF-8.
    #[error("forbidden octet")]
    Octet,
    /// The path does not stand between `<` and `>`.
    #[error("malformed path")]
    Path,
    /// The part of a mailbox before the `@` (RFC 5321 §4.1.2 Local-part).
    #[error("malformed local part")]
    LocalPart,
    /// The domain is no host name by the rules of the DNS and IDNA.
    #[error("malformed domain")]
    Domain,
    /// The address literal is none of RFC 5321 §4.1.3.
    #[error("malformed address literal")]
    AddressLiteral,
    /// Longer than RFC 5321 §4.5.3.1 allows.
    #[error("too long")]
    TooLong,
    /// A parameter's keyword is malformed.
    #[error("malformed parameter")]
    Parameter,
    /// A parameter's value is missing, superfluous or malformed.
    #[error("malformed parameter value")]
    ParameterValue,
    /// A parameter stands there twice, or beside one that excludes it.
    #[error("duplicate or conflicting parameter")]
    DuplicateParameter,
    /// More parameters that are not known than a command has use for.
    #[error("too many parameters")]
    TooManyParameters,
    /// Base64 that is not canonical (RFC 4954 §4).
    #[error("malformed base64")]
    Base64,
    /// A reply line has no code of three digits, or codes that differ.
    #[error("malformed reply code")]
    ReplyCode,
}
