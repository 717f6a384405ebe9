//! Paths: what MAIL and RCPT name (RFC 5321 §4.1.2).

use std::fmt;

use crate::address::Address;
use crate::domain::check_domain;
use crate::error::{ParseError, ParseErrorKind};

/// Who gets the bounces: MAIL's path (RFC 5321 §4.1.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ReversePath {
    /// `<>`: a notification, to which nothing is ever answered.
    #[default]
    Null,
    /// A mailbox.
    Address(Address),
}

impl ReversePath {
    /// The mailbox; nothing for `<>`.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Whether it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.address().is_none_or(Address::is_ascii)
    }

    /// Reads `<>` or `<[source route]mailbox>` at the front of `text`.
    #[inline(always)]
    pub(crate) fn parse_prefix(
        text: &[u8],
        at: usize,
        lenient: &Lenient,
    ) -> Result<(Self, usize), ParseError> {
        if text.starts_with(b"<>") {
            return Ok((Self::Null, 2));
        }
        let (address, end) = parse_path(text, at, lenient)?;
        Ok((Self::Address(address), end))
    }
}

impl From<Address> for ReversePath {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

/// With its angle brackets.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

/// Who gets the message: RCPT's path (RFC 5321 §4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, in any case of letters: the
    /// postmaster of this host.
    Postmaster,
    /// A mailbox.
    Address(Address),
}

impl ForwardPath {
    /// The mailbox; nothing for `<Postmaster>`.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Postmaster => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Whether it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.address().is_none_or(Address::is_ascii)
    }

    /// Reads `<Postmaster>` or `<[source route]mailbox>` at the front of `text`.
    #[inline(always)]
    pub(crate) fn parse_prefix(
        text: &[u8],
        at: usize,
        lenient: &Lenient,
    ) -> Result<(Self, usize), ParseError> {
        const POSTMASTER: &[u8; 12] = b"<postmaster>";
        if let Some(start) = text.first_chunk::<12>()
            && start.ends_with(b">")
            && start.eq_ignore_ascii_case(POSTMASTER)
        {
            return Ok((Self::Postmaster, POSTMASTER.len()));
        }
        let (address, end) = parse_path(text, at, lenient)?;
        Ok((Self::Address(address), end))
    }
}

impl From<Address> for ForwardPath {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

/// With its angle brackets.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

/// Forms outside the standard that real senders use; all refused by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lenient {
    /// `MAIL FROM: <a@b>`, a space behind the colon.
    pub space_after_colon: bool,
    /// `MAIL FROM:a@b`, no angle brackets.
    pub missing_brackets: bool,
    /// `_` in domains.
    pub underscores: bool,
    /// EHLO and HELO with any printable text for a domain.
    pub any_hello_domain: bool,
    /// Command lines that end in LF alone. Message data never do: there a
    /// bare LF is a matter of `bare_newline`, and never ends a line.
    pub bare_lf_commands: bool,
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`; the source route is checked and
/// thrown away, as RFC 5321 §4.1.1.3 asks.
#[inline(always)]
fn parse_path(text: &[u8], at: usize, lenient: &Lenient) -> Result<(Address, usize), ParseError> {
    let Some((b'<', inner)) = text.split_first() else {
        if lenient.missing_brackets && !text.is_empty() {
            return Address::parse_prefix(text, at, lenient.underscores);
        }
        return Err(ParseError::new(ParseErrorKind::Path, at));
    };
    let route = match inner.first() {
        Some(b'@') => source_route(inner, at + 1, lenient.underscores)?,
        _ => 0,
    };
    let mailbox = inner.get(route..).unwrap_or_default();
    let (address, len) = Address::parse_prefix(mailbox, at + 1 + route, lenient.underscores)?;
    let end = 1 + route + len;
    if text.get(end) != Some(&b'>') {
        return Err(ParseError::new(ParseErrorKind::Path, at + end));
    }
    Ok((address, end + 1))
}

/// `A-d-l = "@" Domain *( "," "@" Domain )`; answers its length with the colon.
fn source_route(text: &[u8], at: usize, underscores: bool) -> Result<usize, ParseError> {
    let len = memchr::memchr(b':', text).ok_or(ParseError::new(ParseErrorKind::Path, at))?;
    let route = text.get(..len).unwrap_or_default();
    let mut offset = 0;
    for hop in route.split(|&octet| octet == b',') {
        match hop.split_first() {
            Some((b'@', domain)) => check_domain(domain, at + offset + 1, underscores)?,
            _ => return Err(ParseError::new(ParseErrorKind::Path, at + offset)),
        }
        offset += hop.len() + 1;
    }
    Ok(len + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverse(text: &str) -> Result<String, ParseErrorKind> {
        match ReversePath::parse_prefix(text.as_bytes(), 0, &Lenient::default()) {
            Ok((path, end)) if end == text.len() => Ok(path.to_string()),
            Ok(_) => Err(ParseErrorKind::Argument),
            Err(error) => Err(error.kind),
        }
    }

    #[test]
    fn paths() {
        for same in [
            "<>",
            "<a@example.org>",
            "<a.b+c@example.org>",
            "<\"a b\"@example.org>",
            "<\"a\\\"@b\"@example.org>",
            "<\"\"@example.org>",
            "<a@[192.0.2.1]>",
            "<a@[IPv6:2001:db8::1]>",
            "<a@[x-tag:stuff]>",
            "<jürgen@bücher.example>",
            "<\"ü\"@example.org>",
        ] {
            assert_eq!(reverse(same), Ok(same.to_owned()));
        }
        assert_eq!(
            reverse("<@a.example,@b.example:u@c.example>"),
            Ok("<u@c.example>".to_owned())
        );
    }

    #[test]
    fn not_paths() {
        use ParseErrorKind as K;
        for (text, kind) in [
            ("", K::Path),
            ("a@b", K::Path),
            ("<a@b", K::Path),
            ("<a>", K::LocalPart),
            ("<@b>", K::Path),
            ("<a@>", K::Domain),
            ("<a@b@c>", K::Domain),
            ("<.a@b>", K::LocalPart),
            ("<a.@b>", K::LocalPart),
            ("<a..b@c>", K::LocalPart),
            ("<a b@c>", K::LocalPart),
            ("<\"a@b>", K::LocalPart),
            ("<\"a\"b@c>", K::LocalPart),
            ("<\"a\tb\"@c>", K::LocalPart),
            ("<a@[1.2.3]>", K::AddressLiteral),
            ("<a@[1.2.3.4>", K::AddressLiteral),
            ("<a@b.>", K::Domain),
            ("<a@b>x", K::Argument),
            ("<@a,b:c@d>", K::Path),
            ("<@a@b>", K::Path),
        ] {
            assert_eq!(reverse(text), Err(kind), "{text}");
        }
        let long = format!("<{}@b>", "a".repeat(65));
        assert_eq!(reverse(&long), Err(K::TooLong));
    }

    #[test]
    fn postmaster() {
        let (path, _) = ForwardPath::parse_prefix(b"<PostMaster>", 0, &Lenient::default()).unwrap();
        assert_eq!(path, ForwardPath::Postmaster);
        assert!(ForwardPath::parse_prefix(b"<>", 0, &Lenient::default()).is_err());
    }
}
