use std::fmt;

use crate::error::{ParseError, ParseErrorKind};

/// BURL: a piece of the message is to be fetched from a URL (RFC 4468 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Burl {
    /// The URL, as written.
    pub url: Box<str>,
    /// Whether the message ends with this piece.
    pub last: bool,
}

impl Burl {
    /// `"BURL" SP absolute-URI [SP end-marker]`
    pub(super) fn parse(text: &str, at: usize) -> Result<Self, ParseError> {
        let (url, last) = match text.split_once(' ') {
            None => (text, false),
            Some((url, last)) if last.eq_ignore_ascii_case("LAST") => (url, true),
            Some((url, _)) => {
                let at = at + url.len() + 1;
                return Err(ParseError::new(ParseErrorKind::Argument, at));
            }
        };
        if !url.contains(':') {
            return Err(ParseError::new(ParseErrorKind::Argument, at));
        }
        Ok(Self {
            url: url.into(),
            last,
        })
    }
}

impl fmt::Display for Burl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BURL {}", self.url)?;
        if self.last {
            f.write_str(" LAST")
        } else {
            Ok(())
        }
    }
}
