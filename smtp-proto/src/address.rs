//! Mailboxes and paths (RFC 5321 §4.1.2, RFC 6531 §3.3).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::domain::{AddressLiteral, check_domain, domain_prefix, parse_literal, to_ascii};
use crate::error::{ParseError, ParseErrorKind};

/// Octets of a local part (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;
/// Octets of a path with its punctuation (RFC 5321 §4.5.3.1.3).
const PATH_MAX: usize = 256;

/// A mailbox as an envelope names it: `local-part@domain`.
///
/// Held as it was written, case and quotes kept; one allocation.
///
/// ```
/// use smtp_proto::Address;
///
/// let address: Address = "\"John Doe\"@Example.org".parse()?;
/// assert_eq!(address.local_part(), "\"John Doe\"");
/// assert_eq!(address.unquoted_local_part(), "John Doe");
/// assert_eq!(address.domain(), "Example.org");
/// assert_eq!(address.to_string(), "\"John Doe\"@Example.org");
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: Box<str>,
    /// Where the `@` stands.
    at: usize,
}

impl Address {
    /// Puts an address together, quoting the local part where it needs that.
    ///
    /// # Errors
    /// When the local part holds control characters or is too long, or the
    /// domain is no domain.
    pub fn new(local_part: &str, domain: &str) -> Result<Self, ParseError> {
        let mut text = String::with_capacity(local_part.len() + domain.len() + 3);
        if is_dot_string(local_part) {
            text.push_str(local_part);
        } else {
            text.push('"');
            for c in local_part.chars() {
                if matches!(c, '"' | '\\') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push('"');
        }
        text.push('@');
        text.push_str(domain);
        text.parse()
    }

    /// The whole, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@` as it was written, quotes and all.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The local part without quotes and backslashes: what it means.
    #[must_use]
    pub fn unquoted_local_part(&self) -> Cow<'_, str> {
        let local = self.local_part();
        let Some(inner) = local
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return Cow::Borrowed(local);
        };
        if !inner.contains('\\') {
            return Cow::Borrowed(inner);
        }
        let mut plain = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => plain.extend(chars.next()),
                _ => plain.push(c),
            }
        }
        Cow::Owned(plain)
    }

    /// The part behind the `@` as it was written; an address literal has its
    /// brackets.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// The domain in lower case, U-labels as A-labels: for look-ups and
    /// comparison. An address literal stays as it is.
    #[must_use]
    pub fn ascii_domain(&self) -> Cow<'_, str> {
        let domain = self.domain();
        if domain.starts_with('[') {
            return Cow::Borrowed(domain);
        }
        match to_ascii(domain.as_bytes()) {
            Some(ascii) => ascii,
            // Only a domain with the tolerated underscore comes here.
            None => Cow::Owned(domain.to_ascii_lowercase()),
        }
    }

    /// The address literal, where the domain is one.
    #[must_use]
    pub fn literal(&self) -> Option<AddressLiteral<'_>> {
        let inner = self.domain().strip_prefix('[')?.strip_suffix(']')?;
        parse_literal(inner, 0).ok()
    }

    /// Whether it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// Reads the mailbox at the front of `text`; answers what follows it too.
    ///
    /// Stops at the first octet that can be part of neither local part nor
    /// domain. `at` is the offset of `text` for errors.
    #[inline]
    pub(crate) fn parse_prefix(
        text: &str,
        at: usize,
        underscores: bool,
    ) -> Result<(Self, usize), ParseError> {
        let local_end = local_part_end(text.as_bytes(), at)?;
        if local_end > LOCAL_PART_MAX {
            return Err(ParseError::new(
                ParseErrorKind::TooLong,
                at + LOCAL_PART_MAX,
            ));
        }
        let after = text.get(local_end..).unwrap_or_default();
        let Some(domain) = after.strip_prefix('@') else {
            return Err(ParseError::new(ParseErrorKind::LocalPart, at + local_end));
        };
        let domain_at = at + local_end + 1;
        let domain_len = if domain.starts_with('[') {
            let close = memchr::memchr(b']', domain.as_bytes())
                .ok_or_else(|| ParseError::new(ParseErrorKind::AddressLiteral, domain_at))?;
            let inner = domain.get(1..close).unwrap_or_default();
            parse_literal(inner, domain_at + 1)?;
            close + 1
        } else {
            domain_prefix(domain, domain_at, underscores)?
        };
        let end = local_end + 1 + domain_len;
        // `<`, `>` belong to the path.
        if end + 2 > PATH_MAX {
            return Err(ParseError::new(ParseErrorKind::TooLong, at + PATH_MAX));
        }
        let address = Self {
            text: text.get(..end).unwrap_or_default().into(),
            at: local_end,
        };
        Ok((address, end))
    }
}

/// `atext` of RFC 5322 §3.2.3 with the UTF-8 of RFC 6531 §3.3.
fn is_atext(octet: u8) -> bool {
    octet > b' '
        && !matches!(
            octet,
            b'"' | b'('
                | b')'
                | b','
                | b'.'
                | b':'
                | b';'
                | b'<'
                | b'>'
                | b'@'
                | b'['
                | b'\\'
                | b']'
                | 127
        )
}

/// `Dot-string = Atom *("." Atom)`
pub(crate) fn is_dot_string(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

#[inline]
fn local_part_end(text: &[u8], at: usize) -> Result<usize, ParseError> {
    if text.first() == Some(&b'"') {
        return quoted_string_end(text, at);
    }
    let mut before = b'.';
    for (offset, &octet) in text.iter().enumerate() {
        if is_atext(octet) || (octet == b'.' && before != b'.') {
            before = octet;
        } else if before == b'.' {
            // Empty, or a dot at the beginning, at the end, or doubled.
            return Err(ParseError::new(ParseErrorKind::LocalPart, at + offset));
        } else {
            return Ok(offset);
        }
    }
    if before == b'.' {
        return Err(ParseError::new(ParseErrorKind::LocalPart, at + text.len()));
    }
    Ok(text.len())
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`
fn quoted_string_end(text: &[u8], at: usize) -> Result<usize, ParseError> {
    let mut octets = text.iter().enumerate().skip(1);
    while let Some((offset, &octet)) = octets.next() {
        match octet {
            b'"' => return Ok(offset + 1),
            b'\\' => match octets.next() {
                Some((_, 32..=126)) => {}
                _ => return Err(ParseError::new(ParseErrorKind::LocalPart, at + offset)),
            },
            32..=126 | 0x80.. => {}
            _ => return Err(ParseError::new(ParseErrorKind::LocalPart, at + offset)),
        }
    }
    Err(ParseError::new(ParseErrorKind::LocalPart, at + text.len()))
}

impl FromStr for Address {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (address, end) = Self::parse_prefix(text, 0, false)?;
        if end == text.len() {
            Ok(address)
        } else {
            Err(ParseError::new(ParseErrorKind::Domain, end))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

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
    #[inline]
    pub(crate) fn parse_prefix(
        text: &str,
        at: usize,
        lenient: &Lenient,
    ) -> Result<(Self, usize), ParseError> {
        if text.starts_with("<>") {
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
    #[inline]
    pub(crate) fn parse_prefix(
        text: &str,
        at: usize,
        lenient: &Lenient,
    ) -> Result<(Self, usize), ParseError> {
        const POSTMASTER: &str = "<postmaster>";
        if text
            .get(..POSTMASTER.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(POSTMASTER))
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
#[inline]
fn parse_path(text: &str, at: usize, lenient: &Lenient) -> Result<(Address, usize), ParseError> {
    let Some(inner) = text.strip_prefix('<') else {
        if lenient.missing_brackets && !text.is_empty() {
            return Address::parse_prefix(text, at, lenient.underscores);
        }
        return Err(ParseError::new(ParseErrorKind::Path, at));
    };
    let route = source_route(inner, at + 1, lenient.underscores)?;
    let mailbox = inner.get(route..).unwrap_or_default();
    let (address, len) = Address::parse_prefix(mailbox, at + 1 + route, lenient.underscores)?;
    let end = 1 + route + len;
    if text.as_bytes().get(end) != Some(&b'>') {
        return Err(ParseError::new(ParseErrorKind::Path, at + end));
    }
    Ok((address, end + 1))
}

/// `A-d-l = "@" Domain *( "," "@" Domain )`; answers its length with the colon.
#[inline]
fn source_route(text: &str, at: usize, underscores: bool) -> Result<usize, ParseError> {
    if !text.starts_with('@') {
        return Ok(0);
    }
    let (route, _) = text
        .split_once(':')
        .ok_or_else(|| ParseError::new(ParseErrorKind::Path, at))?;
    let mut offset = 0;
    for hop in route.split(',') {
        match hop.strip_prefix('@') {
            Some(domain) => check_domain(domain, at + offset + 1, underscores)?,
            None => return Err(ParseError::new(ParseErrorKind::Path, at + offset)),
        }
        offset += hop.len() + 1;
    }
    Ok(route.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverse(text: &str) -> Result<String, ParseErrorKind> {
        match ReversePath::parse_prefix(text, 0, &Lenient::default()) {
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
        let (path, _) = ForwardPath::parse_prefix("<PostMaster>", 0, &Lenient::default()).unwrap();
        assert_eq!(path, ForwardPath::Postmaster);
        assert!(ForwardPath::parse_prefix("<>", 0, &Lenient::default()).is_err());
    }

    #[test]
    fn made_addresses() {
        for (local, made) in [
            ("a", "a@x.org"),
            ("a b", "\"a b\"@x.org"),
            ("a\"b\\c", "\"a\\\"b\\\\c\"@x.org"),
            ("", "\"\"@x.org"),
            ("a..b", "\"a..b\"@x.org"),
        ] {
            let address = Address::new(local, "x.org").unwrap();
            assert_eq!(address.as_str(), made);
            assert_eq!(address.unquoted_local_part(), local);
        }
        assert!(Address::new("a\r\nb", "x.org").is_err());
        assert!(Address::new("a", "x.org>\r\n").is_err());
    }

    #[test]
    fn ascii_domains() {
        let address: Address = "a@B\u{fc}cher.Example".parse().unwrap();
        assert_eq!(address.ascii_domain(), "xn--bcher-kva.example");
        assert!(!address.is_ascii());
        let address: Address = "a@Example.ORG".parse().unwrap();
        assert_eq!(address.ascii_domain(), "example.org");
    }
}
