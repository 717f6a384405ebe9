use std::fmt;

use crate::error::{ParseError, ParseErrorKind};

/// What VRFY or EXPN asks about (RFC 5321 §4.1.1.6, §4.1.1.7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// A user name, a mailbox or a list's name, as written.
    pub name: Box<str>,
    /// Whether the reply may hold UTF-8 (RFC 6531 §3.7.4.2).
    pub smtputf8: bool,
}

impl Lookup {
    /// `String [ SP "SMTPUTF8" ]`
    pub(super) fn parse(text: &str, at: usize) -> Result<Self, ParseError> {
        let (name, smtputf8) = match text.rsplit_once(' ') {
            Some((name, word)) if word.eq_ignore_ascii_case("SMTPUTF8") => (name.trim_end(), true),
            _ => (text, false),
        };
        if name.is_empty() {
            return Err(ParseError::new(ParseErrorKind::Argument, at));
        }
        Ok(Self {
            name: name.into(),
            smtputf8,
        })
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")
        } else {
            Ok(())
        }
    }
}
