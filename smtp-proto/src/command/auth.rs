use std::fmt;

use proto_core::Secret;
use proto_core::sasl::{decode_base64, encode_base64};

use crate::error::{ParseError, ParseErrorKind};

/// AUTH: a SASL exchange begins (RFC 4954 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthStart {
    /// The mechanism's name in upper case.
    pub mechanism: Box<str>,
    /// What the client said without being asked, base64 taken off; empty for
    /// `=`.
    pub initial_response: Option<Secret>,
}

impl AuthStart {
    /// `"AUTH" SP sasl-mech [SP initial-response]`
    pub(super) fn parse(text: &[u8], at: usize) -> Result<Self, ParseError> {
        let len = memchr::memchr(b' ', text).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(len).unwrap_or((text, b""));
        // RFC 4422 §3.1: 1*20(UPPER-ALPHA / DIGIT / "-" / "_")
        let name_ok = (1..=20).contains(&name.len())
            && name
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|_| name_ok)
            .ok_or_else(|| ParseError::new(ParseErrorKind::Argument, at))?;
        let initial_response = match rest.split_first() {
            None => None,
            Some((_, b"=")) => Some(Secret::default()),
            Some((_, base64)) => Some(
                decode_base64(base64)
                    .map(Secret::new)
                    .map_err(|_| ParseError::new(ParseErrorKind::Base64, at + len + 1))?,
            ),
        };
        Ok(Self {
            mechanism: name.to_ascii_uppercase().into(),
            initial_response,
        })
    }
}

/// Shows the initial response: for the wire, never for a log.
impl fmt::Display for AuthStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AUTH {}", self.mechanism)?;
        match &self.initial_response {
            None => Ok(()),
            Some(secret) if secret.expose().is_empty() => f.write_str(" ="),
            Some(secret) => write!(f, " {}", encode_base64(secret.expose())),
        }
    }
}
