use std::fmt;

use super::Verb;
use crate::client_name::ClientName;
use crate::domain::{AddressLiteral, check_domain, is_plain_domain, parse_literal};
use crate::error::{ParseError, ParseErrorKind};
use crate::path::Lenient;

/// EHLO, HELO or LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hello {
    /// Which of the three.
    pub verb: HelloVerb,
    /// The client's name for itself: a domain or an address literal with its
    /// brackets. Proves nothing.
    pub domain: ClientName,
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

    /// A plain domain and nothing else behind the verb, which ends at `at`:
    /// its own octets are all that need be looked at.
    #[inline(always)]
    pub(crate) fn parse_plain(verb: HelloVerb, line: &[u8], at: usize) -> Option<Self> {
        let (b' ', text) = line.get(at..)?.split_first()? else {
            return None;
        };
        is_plain_domain(text).then_some(())?;
        let domain = ClientName::short(text)?;
        Some(Self { verb, domain })
    }

    /// `"EHLO" SP ( Domain / address-literal )`
    pub(crate) fn parse(
        verb: HelloVerb,
        text: &[u8],
        at: usize,
        lenient: &Lenient,
    ) -> Result<Self, ParseError> {
        let literal = || ParseError::new(ParseErrorKind::AddressLiteral, at);
        match text {
            [] => return Err(ParseError::new(ParseErrorKind::Argument, at)),
            _ if lenient.any_hello_domain => {}
            [b'[', inner @ .., b']'] => {
                let inner = std::str::from_utf8(inner).map_err(|_| literal())?;
                parse_literal(inner, at + 1)?;
            }
            [b'[', ..] => return Err(literal()),
            _ => check_domain(text, at, lenient.underscores)?,
        }
        let domain = std::str::from_utf8(text)
            .map_err(|error| ParseError::new(ParseErrorKind::Octet, at + error.valid_up_to()))?;
        Ok(Self {
            verb,
            domain: domain.into(),
        })
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Verb::from(self.verb), self.domain)
    }
}
