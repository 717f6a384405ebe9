//! Responses (RFC 5804 §1.2, §1.3).

use bytes::BytesMut;

use super::syntax::{Token, put_string};

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It succeeded.
    Ok,
    /// It failed.
    No,
    /// The server closes the connection.
    Bye,
}

/// What a program can tell from a reply (RFC 5804 §1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The mechanism is too weak for this user.
    AuthTooWeak,
    /// The mechanism needs TLS.
    EncryptNeeded,
    /// Over quota.
    Quota,
    /// Too many scripts.
    QuotaMaxScripts,
    /// Too large a script.
    QuotaMaxSize,
    /// Go to this server.
    Referral(String),
    /// Last data of the SASL exchange, decoded.
    Sasl(Vec<u8>),
    /// Log in with PLAIN under TLS once.
    TransitionNeeded,
    /// A passing fault.
    TryLater,
    /// Not allowed for the active script.
    Active,
    /// No such script.
    Nonexistent,
    /// There is such a script already.
    AlreadyExists,
    /// The argument of NOOP.
    Tag(String),
    /// The script is sound, but the text holds doubts.
    Warnings,
    /// Another one.
    Other(String),
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How it went.
    pub status: Status,
    /// For programs.
    pub code: Option<Code>,
    /// For people; may have several lines.
    pub text: Option<String>,
}

impl Reply {
    /// `OK`.
    #[must_use]
    pub fn ok() -> Self {
        Self {
            status: Status::Ok,
            code: None,
            text: None,
        }
    }

    /// `NO` with a text.
    pub fn no(text: impl Into<String>) -> Self {
        Self {
            status: Status::No,
            code: None,
            text: Some(text.into()),
        }
    }

    /// `BYE` with a text.
    pub fn bye(text: impl Into<String>) -> Self {
        Self {
            status: Status::Bye,
            code: None,
            text: Some(text.into()),
        }
    }

    /// The reply with a code.
    #[must_use]
    pub fn with_code(self, code: Code) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The reply with a text.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..self
        }
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        out.extend_from_slice(match self.status {
            Status::Ok => b"OK",
            Status::No => b"NO",
            Status::Bye => b"BYE",
        });
        if let Some(code) = &self.code {
            out.extend_from_slice(b" (");
            out.extend_from_slice(code.name().as_bytes());
            let parameter = match code {
                Code::Referral(text) | Code::Tag(text) => Some(text.clone().into_bytes()),
                Code::Sasl(octets) => Some(proto_core::sasl::encode_base64(octets).into_bytes()),
                _ => None,
            };
            if let Some(parameter) = parameter {
                out.extend_from_slice(b" ");
                put_string(out, &parameter, false);
            }
            out.extend_from_slice(b")");
        }
        if let Some(text) = &self.text {
            out.extend_from_slice(b" ");
            put_string(out, text.as_bytes(), false);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Reads a response line; `None` if it is data.
    pub(super) fn parse(tokens: &[Token]) -> Option<Self> {
        let (Token::Atom(status), rest) = tokens.split_first()? else {
            return None;
        };
        let status = match status.to_ascii_uppercase().as_str() {
            "OK" => Status::Ok,
            "NO" => Status::No,
            "BYE" => Status::Bye,
            _ => return None,
        };
        let mut code = None;
        let mut rest = rest;
        if let Some((Token::Open, tail)) = rest.split_first() {
            let end = tail.iter().position(|token| *token == Token::Close)?;
            let (inner, tail) = tail.split_at_checked(end)?;
            code = Code::parse(inner);
            rest = tail.get(1..)?;
        }
        let text = match rest {
            [] => None,
            [Token::Text(text)] => Some(String::from_utf8_lossy(text).into_owned()),
            _ => return None,
        };
        Some(Self { status, code, text })
    }
}

impl Code {
    fn name(&self) -> &str {
        match self {
            Self::AuthTooWeak => "AUTH-TOO-WEAK",
            Self::EncryptNeeded => "ENCRYPT-NEEDED",
            Self::Quota => "QUOTA",
            Self::QuotaMaxScripts => "QUOTA/MAXSCRIPTS",
            Self::QuotaMaxSize => "QUOTA/MAXSIZE",
            Self::Referral(_) => "REFERRAL",
            Self::Sasl(_) => "SASL",
            Self::TransitionNeeded => "TRANSITION-NEEDED",
            Self::TryLater => "TRYLATER",
            Self::Active => "ACTIVE",
            Self::Nonexistent => "NONEXISTENT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::Tag(_) => "TAG",
            Self::Warnings => "WARNINGS",
            Self::Other(name) => name,
        }
    }

    /// What cannot be sent as an atom.
    pub(super) fn is_sound(&self) -> bool {
        let name = self.name();
        !name.is_empty()
            && name
                .bytes()
                .all(|c| c.is_ascii_graphic() && !b"(){\"".contains(&c))
    }

    fn parse(tokens: &[Token]) -> Option<Self> {
        let (Token::Atom(name), rest) = tokens.split_first()? else {
            return None;
        };
        let text = match rest {
            [Token::Text(text)] => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        Some(match name.to_ascii_uppercase().as_str() {
            "AUTH-TOO-WEAK" => Self::AuthTooWeak,
            "ENCRYPT-NEEDED" => Self::EncryptNeeded,
            "QUOTA/MAXSCRIPTS" => Self::QuotaMaxScripts,
            "QUOTA/MAXSIZE" => Self::QuotaMaxSize,
            // RFC 5804 §1.3: detail that is not known is left away.
            upper if upper == "QUOTA" || upper.starts_with("QUOTA/") => Self::Quota,
            "REFERRAL" => Self::Referral(text),
            "SASL" => Self::Sasl(proto_core::sasl::decode_base64(text.as_bytes()).ok()?),
            "TRANSITION-NEEDED" => Self::TransitionNeeded,
            "TRYLATER" => Self::TryLater,
            "ACTIVE" => Self::Active,
            "NONEXISTENT" => Self::Nonexistent,
            "ALREADYEXISTS" => Self::AlreadyExists,
            "TAG" => Self::Tag(text),
            "WARNINGS" => Self::Warnings,
            _ => Self::Other(name.clone()),
        })
    }
}
