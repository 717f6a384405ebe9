//! `Authentication-Results`, RFC 8601 (and RFC 7601 before it).

use std::borrow::Cow;

use crate::charset;
use crate::param::{quoted, skip_cfws};

/// An `Authentication-Results` field: what a host found out about who sent the message.
///
/// Anyone can write such a field. It counts only if [`id`](Self::id) is that of a host that is
/// trusted, and if that host removes those that come from outside (RFC 8601 §5, §7.1).
///
/// ```
/// let value = b"example.com 1; spf=pass (ok) smtp.mailfrom=example.net;\r\n\t\
///     dkim=fail reason=\"bad; signature\" header.d=example.net header.b=\"mIb/==\"";
/// let results = mime::AuthenticationResults::parse(value).unwrap();
/// assert_eq!(results.id, "example.com");
/// let [spf, dkim] = &results.results[..] else { panic!() };
/// assert_eq!((&*spf.method, &*spf.result), ("spf", "pass"));
/// assert_eq!(spf.property("smtp", "mailfrom"), Some("example.net"));
/// assert_eq!(dkim.reason.as_deref(), Some("bad; signature"));
/// assert_eq!(dkim.property("header", "b"), Some("mIb/=="));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationResults<'a> {
    /// `authserv-id`: who says so.
    pub id: Cow<'a, str>,
    /// `authres-version`; 1 if it is left out.
    pub version: u32,
    /// One for each method tried; none for `none`.
    pub results: Vec<MethodResult<'a>>,
}

/// `resinfo`: what one method found, RFC 8601 §2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodResult<'a> {
    /// `dkim`, `spf`, `dmarc` and others, as written.
    pub method: Cow<'a, str>,
    /// `method-version`; 1 if it is left out.
    pub version: u32,
    /// `pass`, `fail` and others, as written.
    pub result: Cow<'a, str>,
    /// Why.
    pub reason: Option<Cow<'a, str>>,
    /// What was looked at.
    pub properties: Vec<Property<'a>>,
}

/// `propspec`: `smtp.mailfrom=example.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property<'a> {
    /// `ptype`: `smtp`, `header`, `body` or `policy`; others must not count (RFC 8601 §2.3).
    pub kind: Cow<'a, str>,
    /// `property`.
    pub name: Cow<'a, str>,
    /// `pvalue`, without quotes.
    pub value: Cow<'a, str>,
}

impl MethodResult<'_> {
    /// The value of the first property with this type and name, in any case.
    pub fn property(&self, kind: &str, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|property| {
            property.kind.eq_ignore_ascii_case(kind) && property.name.eq_ignore_ascii_case(name)
        });
        found.map(|property| &*property.value)
    }
}

impl<'a> AuthenticationResults<'a> {
    /// Reads a field value, folds and all; `None` without an authserv-id. A result that cannot be
    /// read is passed over, up to the next semicolon.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (id, rest) = word(skip_cfws(value));
        if id.is_empty() {
            return None;
        }
        let (number, rest) = digits(skip_cfws(rest));
        let mut results = Vec::new();
        let mut rest = rest;
        while let Some(from) = behind_semicolon(rest) {
            rest = from;
            if let Some((result, tail)) = MethodResult::read(from) {
                results.push(result);
                rest = tail;
            }
        }
        Some(Self {
            id,
            version: number.unwrap_or(1),
            results,
        })
    }
}

impl<'a> MethodResult<'a> {
    fn read(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (method, rest) = keyword(skip_cfws(text));
        let (version, rest) = match skip_cfws(rest) {
            [b'/', tail @ ..] => digits(skip_cfws(tail)),
            rest => (None, rest),
        };
        let rest = skip_cfws(rest).strip_prefix(b"=")?;
        let (result, mut rest) = keyword(skip_cfws(rest));
        if method.is_empty() || result.is_empty() {
            return None;
        }
        let mut read = Self {
            method,
            version: version.unwrap_or(1),
            result,
            reason: None,
            properties: Vec::new(),
        };
        loop {
            let (kind, tail) = keyword(skip_cfws(rest));
            if kind.is_empty() {
                return Some((read, rest));
            }
            match skip_cfws(tail) {
                [b'=', tail @ ..] => {
                    let (value, tail) = word(skip_cfws(tail));
                    if kind.eq_ignore_ascii_case("reason") {
                        read.reason.get_or_insert(value);
                    }
                    rest = tail;
                }
                [b'.', tail @ ..] => {
                    let (name, tail) = keyword(skip_cfws(tail));
                    let Some(tail) = skip_cfws(tail).strip_prefix(b"=") else {
                        rest = tail;
                        continue;
                    };
                    let (value, tail) = word(skip_cfws(tail));
                    rest = tail;
                    if !name.is_empty() {
                        read.properties.push(Property { kind, name, value });
                    }
                }
                tail => rest = tail,
            }
        }
    }
}

/// What follows the next semicolon outside comments and quoted strings.
fn behind_semicolon(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        rest = match skip_cfws(rest) {
            [] => return None,
            [b';', tail @ ..] => return Some(tail),
            [b'"', tail @ ..] => quoted(tail).1,
            [_, tail @ ..] => tail,
        };
    }
}

/// `Keyword`, RFC 5321 §4.1.2; underscores are written too.
fn keyword(text: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let end = text.iter().position(|byte| !is_part(byte));
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (charset::guess(word), rest)
}

/// A number at the front, saturating.
fn digits(text: &[u8]) -> (Option<u32>, &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    let add = |sum: u32, byte: &u8| {
        sum.saturating_mul(10)
            .saturating_add(u32::from(byte - b'0'))
    };
    let value = number.iter().fold(0, add);
    ((!number.is_empty()).then_some(value), rest)
}

/// A value: quoted strings and other octets up to white space, a comment or a semicolon.
fn word(text: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b';' | b'(' | b'"');
    let end = text.iter().position(is_end).unwrap_or(text.len());
    let (plain, mut rest) = text.split_at(end);
    if !rest.starts_with(b"\"") {
        return (charset::guess(plain), rest);
    }
    let mut out = plain.to_vec();
    loop {
        if let [b'"', tail @ ..] = rest {
            let (text, tail) = quoted(tail);
            out.extend(
                text.iter()
                    .filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\0')),
            );
            rest = tail;
            continue;
        }
        let end = rest.iter().position(is_end).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(end);
        out.extend_from_slice(plain);
        rest = tail;
        if !rest.starts_with(b"\"") {
            return (Cow::Owned(charset::guess(&out).into_owned()), rest);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn show(value: &str) -> String {
        let Some(read) = AuthenticationResults::parse(value.as_bytes()) else {
            return "-".into();
        };
        let mut out = format!("{}/{}", read.id, read.version);
        for result in &read.results {
            out += &format!("; {}/{}={}", result.method, result.version, result.result);
            if let Some(reason) = &result.reason {
                out += &format!(" reason={reason}");
            }
            for property in &result.properties {
                out += &format!(" {}.{}={}", property.kind, property.name, property.value);
            }
        }
        out
    }

    #[test]
    fn examples_of_rfc_8601_appendix_b() {
        for (value, shown) in [
            ("example.org 1; none", "example.org/1"),
            ("example.org 1; none;", "example.org/1"),
            (
                "example.com;\r\n spf=pass smtp.mailfrom=example.net",
                "example.com/1; spf/1=pass smtp.mailfrom=example.net",
            ),
            (
                "example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
                "example.com/1; auth/1=pass smtp.auth=sender@example.net; spf/1=pass smtp.mailfrom=example.net",
            ),
            (
                "example.com; dkim=pass (good signature) header.d=mail-router.example.net; dkim=fail (bad signature) header.d=newyork.example.com",
                "example.com/1; dkim/1=pass header.d=mail-router.example.net; dkim/1=fail header.d=newyork.example.com",
            ),
            (
                "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462",
                "foo.example.net/1; dkim/1=fail policy.expired=1362471462",
            ),
        ] {
            assert_eq!(show(value), shown, "{value}");
        }
    }

    #[test]
    fn nothing_hides_in_comments_and_quotes() {
        for (value, shown) in [
            ("", "-"),
            ("; spf=pass", "-"),
            ("(x; spf=pass) h", "h/1"),
            ("h; x=fail (; spf=pass", "h/1; x/1=fail"),
            (
                "h; x=fail reason=\"; spf=pass",
                "h/1; x/1=fail reason=; spf=pass",
            ),
            ("h junk; spf; =; a=; dkim=pass", "h/1; dkim/1=pass"),
            ("\"h x\"@y; a=b c.d=\"e f\"@g", "h x@y/1; a/1=b c.d=e f@g"),
            ("h; a=b action=none c.d e.f=g", "h/1; a/1=b e.f=g"),
            ("h 99999999999; a/2=b", "h/4294967295; a/2=b"),
        ] {
            assert_eq!(show(value), shown, "{value}");
        }
    }
}
