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
    pub(super) fn parse(text: &str, at: usize) -> Result<Self, ParseError> {
        let (name, response) = match text.split_once(' ') {
            Some((name, response)) => (name, Some(response)),
            None => (text, None),
        };
        // RFC 4422 §3.1: 1*20(UPPER-ALPHA / DIGIT / "-" / "_")
        let name_ok = (1..=20).contains(&name.len())
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        if !name_ok {
            return Err(ParseError::new(ParseErrorKind::Argument, at));
        }
        let initial_response = match response {
            None => None,
            Some("=") => Some(Secret::default()),
            Some(base64) => Some(
                decode_base64(base64.as_bytes())
                    .map(Secret::new)
                    .map_err(|_| ParseError::new(ParseErrorKind::Base64, at + name.len() + 1))?,
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
