use std::fmt;

use bytes::Bytes;

use super::string::{astring, string};
use super::{Chars, IString, utf7};
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

/// `mailbox`: the name of a folder, in UTF-8.
///
/// INBOX in any case is `INBOX`. On the wire it is modified UTF-7, or UTF-8
/// where that is enabled (RFC 9051 §5.1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox(Box<str>);

impl Mailbox {
    /// A mailbox of this name.
    ///
    /// # Errors
    /// When the name holds control characters.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        if name.chars().any(char::is_control) {
            return Err(Invalid { term: "mailbox" });
        }
        Ok(Self::normal(name))
    }

    /// INBOX.
    #[must_use]
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// The name in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is INBOX.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    fn normal(name: &str) -> Self {
        if name.eq_ignore_ascii_case("INBOX") {
            return Self::inbox();
        }
        Self(name.into())
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = IString::parse_astring(c)?;
        decode(name.as_bytes(), c.utf8)
            .and_then(|name| Self::new(&name).ok())
            .ok_or(Cursor::error_at(ParseErrorKind::MailboxName, at))
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let name = on_wire(&self.0, w.dialect.utf8);
        astring(w, &name);
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `list-mailbox`: a mailbox name with `*` and `%`, in UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ListPattern(Box<str>);

impl ListPattern {
    /// A pattern of this text.
    ///
    /// # Errors
    /// When it holds control characters.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.chars().any(char::is_control) {
            return Err(Invalid {
                term: "list-mailbox",
            });
        }
        Ok(Self(text.into()))
    }

    /// The pattern in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern, or prefix, that is meant by octets of the wire.
    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        decode(octets, false).and_then(|text| Self::new(&text).ok())
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let text = match c.peek() {
            Some(b'"' | b'{') => decode(IString::parse(c)?.as_bytes(), c.utf8),
            _ => decode(c.take_some(Chars::LIST, "a mailbox pattern")?, c.utf8),
        };
        text.and_then(|text| Self::new(&text).ok())
            .ok_or(Cursor::error_at(ParseErrorKind::MailboxName, at))
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let text = on_wire(&self.0, w.dialect.utf8);
        if !text.is_empty() && text.iter().all(|octet| Chars::LIST.holds(*octet)) {
            w.raw(&text);
        } else {
            string(w, &text);
        }
    }
}

impl fmt::Debug for ListPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A name from the wire: what is not ASCII can only be meant as UTF-8, since
/// modified UTF-7 is ASCII.
fn decode(name: &[u8], utf8: bool) -> Option<String> {
    if utf8 || !name.is_ascii() {
        return String::from_utf8(name.to_vec()).ok();
    }
    utf7::decode(name)
}

fn on_wire(name: &str, utf8: bool) -> Bytes {
    if utf8 {
        Bytes::copy_from_slice(name.as_bytes())
    } else {
        utf7::encode(name).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_in_any_case() {
        assert!(Mailbox::new("iNbOx").unwrap().is_inbox());
        assert!(!Mailbox::new("inbox/x").unwrap().is_inbox());
        assert!(Mailbox::new("a\nb").is_err());
    }

    #[test]
    fn utf7_and_utf8() {
        let parse = |text: &str, utf8| {
            let mut c = Cursor::new(text.as_bytes());
            c.utf8 = utf8;
            Mailbox::parse(&mut c).map(|name| name.as_str().to_owned())
        };
        assert_eq!(parse("Entw&APw-rfe", false).unwrap(), "Entwürfe");
        assert_eq!(parse("Entw&APw-rfe", true).unwrap(), "Entw&APw-rfe");
        assert_eq!(parse("\"Entwürfe\"", false).unwrap(), "Entwürfe");
        assert!(parse("a&b", false).is_err());
    }
}
