use std::fmt;

use crate::error::{ParseError, ParseErrorKind};
use crate::parameter::decimal;

/// BDAT: a counted chunk of the message follows the line (RFC 3030 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bdat {
    /// Octets of the chunk.
    pub size: u64,
    /// Whether the message ends with this chunk.
    pub last: bool,
}

impl Bdat {
    /// `"BDAT" SP chunk-size [ SP "LAST" ]`
    pub(super) fn parse(text: &str, at: usize) -> Result<Self, ParseError> {
        let fault = |offset| ParseError::new(ParseErrorKind::Argument, at + offset);
        let (size, last) = match text.split_once(' ') {
            None => (text, false),
            Some((size, last)) if last.eq_ignore_ascii_case("LAST") => (size, true),
            Some((size, _)) => return Err(fault(size.len() + 1)),
        };
        let size = decimal(size.as_bytes(), 20).ok_or_else(|| fault(0))?;
        Ok(Self { size, last })
    }
}

impl fmt::Display for Bdat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BDAT {}", self.size)?;
        if self.last {
            f.write_str(" LAST")
        } else {
            Ok(())
        }
    }
}
