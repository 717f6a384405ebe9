//! Mailboxes (RFC 5321 §4.1.2, RFC 6531 §3.3).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::domain::{AddressLiteral, domain_prefix, parse_literal, to_ascii};
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{self, LOCAL_PART};

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
    #[inline(always)]
    pub(crate) fn parse_prefix(
        text: &[u8],
        at: usize,
        underscores: bool,
    ) -> Result<(Self, usize), ParseError> {
        let local_end = local_part_end(text, at)?;
        if local_end > LOCAL_PART_MAX {
            return Err(ParseError::new(
                ParseErrorKind::TooLong,
                at + LOCAL_PART_MAX,
            ));
        }
        let domain = match text.get(local_end..) {
            Some([b'@', domain @ ..]) => domain,
            _ => return Err(ParseError::new(ParseErrorKind::LocalPart, at + local_end)),
        };
        let domain_at = at + local_end + 1;
        let domain_len = match domain.first() {
            Some(b'[') => literal_prefix(domain, domain_at)?,
            _ => domain_prefix(domain, domain_at, underscores)?,
        };
        let end = local_end + 1 + domain_len;
        // `<`, `>` belong to the path.
        if end + 2 > PATH_MAX {
            return Err(ParseError::new(ParseErrorKind::TooLong, at + PATH_MAX));
        }
        let text = std::str::from_utf8(text.get(..end).unwrap_or_default())
            .map_err(|error| ParseError::new(ParseErrorKind::Octet, at + error.valid_up_to()))?;
        let address = Self {
            text: text.into(),
            at: local_end,
        };
        Ok((address, end))
    }
}

/// Checks the address literal at the front; answers its length.
fn literal_prefix(text: &[u8], at: usize) -> Result<usize, ParseError> {
    let fault = || ParseError::new(ParseErrorKind::AddressLiteral, at);
    let close = memchr::memchr(b']', text).ok_or_else(fault)?;
    let inner = text.get(1..close).unwrap_or_default();
    let inner = std::str::from_utf8(inner).map_err(|_| fault())?;
    parse_literal(inner, at + 1)?;
    Ok(close + 1)
}

/// `Dot-string = Atom *("." Atom)`
pub(crate) fn is_dot_string(text: &str) -> bool {
    octets::run(LOCAL_PART, text.as_bytes()) == (text.len(), true)
}

#[inline(always)]
fn local_part_end(text: &[u8], at: usize) -> Result<usize, ParseError> {
    match octets::run(LOCAL_PART, text) {
        (len, true) => Ok(len),
        _ if text.first() == Some(&b'"') => quoted_string_end(text, at),
        (len, false) => {
            // Empty, or a dot at the beginning, at the end, or doubled.
            let dots = text.windows(2).position(|pair| pair == b"..");
            let offset = match dots.filter(|&dots| dots < len) {
                _ if text.first() == Some(&b'.') => 0,
                Some(dots) => dots + 1,
                None => len,
            };
            Err(ParseError::new(ParseErrorKind::LocalPart, at + offset))
        }
    }
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
        let (address, end) = Self::parse_prefix(text.as_bytes(), 0, false)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
