use std::fmt;

use super::Verb;
use crate::domain::{AddressLiteral, check_domain, parse_literal};
use crate::error::{ParseError, ParseErrorKind};
use crate::path::Lenient;

/// EHLO, HELO or LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hello {
    /// Which of the three.
    pub verb: HelloVerb,
    /// The client's name for itself: a domain or an address literal with its
    /// brackets. Proves nothing.
    pub domain: Box<str>,
}

/// Which greeting a client chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HelloVerb {
    /// SMTP without extensions.
    Helo,
    /// SMTP with extensions.
    Ehlo,
    /// LMTP.
    Lhlo,
}

impl From<HelloVerb> for Verb {
    fn from(verb: HelloVerb) -> Self {
        match verb {
            HelloVerb::Helo => Self::Helo,
            HelloVerb::Ehlo => Self::Ehlo,
            HelloVerb::Lhlo => Self::Lhlo,
        }
    }
}

impl Hello {
    /// The address literal, where the client has no name.
    #[must_use]
    pub fn literal(&self) -> Option<AddressLiteral<'_>> {
        let inner = self.domain.strip_prefix('[')?.strip_suffix(']')?;
        parse_literal(inner, 0).ok()
    }

    /// `"EHLO" SP ( Domain / address-literal )`
    pub(super) fn parse(
        verb: HelloVerb,
        text: &str,
        at: usize,
        lenient: &Lenient,
    ) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new(ParseErrorKind::Argument, at));
        }
        if !lenient.any_hello_domain {
            match text.strip_prefix('[') {
                Some(rest) => {
                    let inner = rest
                        .strip_suffix(']')
                        .ok_or_else(|| ParseError::new(ParseErrorKind::AddressLiteral, at))?;
                    parse_literal(inner, at + 1)?;
                }
                None => check_domain(text, at, lenient.underscores)?,
            }
        }
        Ok(Self {
            verb,
            domain: text.into(),
        })
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Verb::from(self.verb), self.domain)
    }
}
