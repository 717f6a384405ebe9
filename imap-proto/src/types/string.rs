use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::Chars;
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

/// `string`: octets without NUL, quoted or as a literal on the wire.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct IString(Bytes);

/// `nstring`: a string, or NIL.
pub type NString = Option<IString>;

impl IString {
    /// A string of these octets.
    ///
    /// # Errors
    /// When a NUL is among them.
    pub fn new(octets: impl Into<Bytes>) -> Result<Self, Invalid> {
        let octets = octets.into();
        if memchr::memchr(0, &octets).is_some() {
            return Err(Invalid { term: "string" });
        }
        Ok(Self(octets))
    }

    /// A string of these octets, each NUL replaced by `?`: what a server can
    /// say of a message that holds what IMAP cannot carry.
    #[must_use]
    pub fn lossy(octets: impl Into<Bytes>) -> Self {
        let octets = octets.into();
        if memchr::memchr(0, &octets).is_none() {
            return Self(octets);
        }
        let octets: Vec<u8> = octets
            .iter()
            .map(|octet| if *octet == 0 { b'?' } else { *octet })
            .collect();
        Self(octets.into())
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The octets, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The text, what is not UTF-8 replaced.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    pub(crate) fn from_checked(octets: Bytes) -> Self {
        Self(octets)
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        string(w, &self.0);
    }

    pub(crate) fn encode_astring(&self, w: &mut Writer<'_>) {
        astring(w, &self.0);
    }

    /// `quoted / literal`.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        match c.peek() {
            Some(b'"') => quoted(c),
            Some(b'{') => literal(c),
            _ => c.expected("a string"),
        }
    }

    /// `1*ASTRING-CHAR / string`.
    pub(crate) fn parse_astring(c: &mut Cursor<'_>) -> Parsed<Self> {
        match c.peek() {
            Some(b'"' | b'{') => Self::parse(c),
            _ => {
                let at = c.at();
                c.take_some(Chars::ASTRING, "an astring")?;
                Ok(Self(c.slice(at, c.at())))
            }
        }
    }
}

impl fmt::Debug for IString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl TryFrom<&str> for IString {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        Self::new(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl PartialEq<str> for IString {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

/// `string / nil`.
pub(crate) fn nstring(c: &mut Cursor<'_>) -> Parsed<NString> {
    if nil(c) {
        return Ok(None);
    }
    IString::parse(c).map(Some)
}

/// Takes NIL if it is next and no longer atom.
pub(crate) fn nil(c: &mut Cursor<'_>) -> bool {
    let at = c.at();
    if c.eat_text("NIL") && !c.peek().is_some_and(|next| Chars::ASTRING.holds(next)) {
        return true;
    }
    c.set_at(at);
    false
}

pub(crate) fn encode_nstring(w: &mut Writer<'_>, string: &NString) {
    match string {
        Some(string) => string.encode(w),
        None => w.raw(b"NIL"),
    }
}

fn quoted(c: &mut Cursor<'_>) -> Parsed<IString> {
    c.expect(b'"', "a quoted string")?;
    let at = c.at();
    let plain = c.take_while(Chars::QUOTED);
    if c.eat(b'"') {
        check_utf8(plain, at)?;
        return Ok(IString(c.slice(at, at + plain.len())));
    }
    // quoted-specials: unescaped into octets of their own.
    let mut octets = plain.to_vec();
    loop {
        if c.eat(b'\\') {
            match c.peek() {
                Some(octet @ (b'"' | b'\\')) => octets.push(octet),
                _ => return c.expected("\" or \\ behind a backslash"),
            }
            c.set_at(c.at() + 1);
        } else if c.eat(b'"') {
            check_utf8(&octets, at)?;
            return Ok(IString(octets.into()));
        } else if c.peek().is_none_or(|octet| !Chars::QUOTED.holds(octet)) {
            return c.expected("a closing quote");
        }
        octets.extend_from_slice(c.take_while(Chars::QUOTED));
    }
}

fn check_utf8(octets: &[u8], at: usize) -> Parsed<()> {
    if octets.is_ascii() || std::str::from_utf8(octets).is_ok() {
        Ok(())
    } else {
        Err(Cursor::error_at(ParseErrorKind::Octets, at))
    }
}

fn literal(c: &mut Cursor<'_>) -> Parsed<IString> {
    let octets = literal_octets(c)?;
    let at = c.at();
    IString::new(octets).map_err(|_| Cursor::error_at(ParseErrorKind::Octets, at))
}

/// `"{" number64 ["+" / "-"] "}" CRLF *OCTET`.
pub(crate) fn literal_octets(c: &mut Cursor<'_>) -> Parsed<Bytes> {
    let size = announcement(c)?;
    let at = c.at();
    let end = usize::try_from(size)
        .ok()
        .and_then(|size| at.checked_add(size));
    match end {
        Some(end) if c.rest().len() as u64 >= size => {
            c.set_at(end);
            Ok(c.slice(at, end))
        }
        _ => Err(c.error(ParseErrorKind::Incomplete)),
    }
}

/// `"{" number64 ["+" / "-"] "}" CRLF`.
pub(crate) fn announcement(c: &mut Cursor<'_>) -> Parsed<u64> {
    c.expect(b'{', "a literal")?;
    let size = c.number64()?;
    let _ = c.eat(b'+') || c.eat(b'-');
    c.expect(b'}', "\"}\"")?;
    // Whether a LF without CR ends a line is the framing's to decide.
    let _ = c.eat(b'\r');
    c.expect(b'\n', "a line end")?;
    Ok(size)
}

pub(crate) fn string(w: &mut Writer<'_>, octets: &Bytes) {
    // A quoted string over some length breaks old peers' line buffers.
    if octets.len() <= 1000 && quotable(octets, w.dialect.utf8) {
        quote(w, octets);
    } else {
        w.literal(octets, false);
    }
}

pub(crate) fn astring(w: &mut Writer<'_>, octets: &Bytes) {
    let is_atom = !octets.is_empty()
        && octets.iter().all(|octet| Chars::ASTRING.holds(*octet))
        && !octets.eq_ignore_ascii_case(b"NIL");
    if is_atom {
        w.raw(octets);
    } else {
        string(w, octets);
    }
}

fn quotable(octets: &[u8], utf8: bool) -> bool {
    octets
        .iter()
        .all(|octet| !matches!(octet, 0 | b'\r' | b'\n'))
        && (octets.is_ascii() || utf8 && std::str::from_utf8(octets).is_ok())
}

pub(crate) fn quote(w: &mut Writer<'_>, octets: &[u8]) {
    w.byte(b'"');
    let mut rest = octets;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let (plain, special) = rest.split_at(at);
        w.raw(plain);
        w.byte(b'\\');
        let (special, behind) = special.split_at(1);
        w.raw(special);
        rest = behind;
    }
    w.raw(rest);
    w.byte(b'"');
}
