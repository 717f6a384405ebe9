use std::fmt;

use crate::domain::check_domain;
use crate::error::{ParseError, ParseErrorKind};

/// ETRN: send what waits for these hosts (RFC 1985 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Etrn {
    /// One host.
    Host(Box<str>),
    /// `@domain`: a domain and all below it.
    Subdomains(Box<str>),
    /// `#name`: a queue that the two sides have agreed upon.
    Queue(Box<str>),
}

impl Etrn {
    pub(super) fn parse(text: &str, at: usize) -> Result<Self, ParseError> {
        let domain = |name: &str, at| check_domain(name.as_bytes(), at, false);
        if let Some(name) = text.strip_prefix('@') {
            domain(name, at + 1)?;
            Ok(Self::Subdomains(name.into()))
        } else if let Some(name) = text.strip_prefix('#') {
            if name.is_empty() || name.contains(' ') {
                return Err(ParseError::new(ParseErrorKind::Argument, at));
            }
            Ok(Self::Queue(name.into()))
        } else if text.is_empty() {
            Err(ParseError::new(ParseErrorKind::Argument, at))
        } else {
            domain(text, at)?;
            Ok(Self::Host(text.into()))
        }
    }
}

impl fmt::Display for Etrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "ETRN {name}"),
            Self::Subdomains(name) => write!(f, "ETRN @{name}"),
            Self::Queue(name) => write!(f, "ETRN #{name}"),
        }
    }
}
