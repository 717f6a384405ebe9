use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::quoting::{LONGEST_QUOTED, is_atom, is_plain, plain_len};
pub(crate) use super::quoting::{astring, quote, string};
use super::{Chars, packed};
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

/// Octets up to which a string is held in place: names, addresses, dates and
/// most subjects, without an allocation and without a hold on the line that
/// they stood in.
const SHORT: usize = 37;

/// Octets that the end of a short string is looked for in: whole words.
const AHEAD: usize = (SHORT + 1).next_multiple_of(8);

/// `string`: octets without NUL, quoted or as a literal on the wire.
///
/// A long one shares the line that it was parsed from.
#[derive(Clone)]
pub struct IString(Repr);

#[derive(Clone)]
enum Repr {
    Short { plain: bool, len: u8, octets: Short },
    Long { plain: bool, octets: Bytes },
}

/// What is behind the string's length means nothing.
#[derive(Clone, Copy)]
struct Short([u8; SHORT]);

/// `nstring`: a string, or NIL.
pub type NString = Option<IString>;

impl IString {
    /// A string of these octets.
    ///
    /// # Errors
    /// When a NUL is among them.
    pub fn new(octets: impl Into<Bytes>) -> Result<Self, Invalid> {
        let octets = octets.into();
        let plain = is_plain(&octets);
        if !plain && memchr::memchr(0, &octets).is_some() {
            return Err(Invalid { term: "string" });
        }
        Ok(Self::of(octets, plain))
    }

    /// A string of these octets, each NUL replaced by `?`: what a server can
    /// say of a message that holds what IMAP cannot carry.
    #[must_use]
    pub fn lossy(octets: impl Into<Bytes>) -> Self {
        let octets = octets.into();
        let plain = is_plain(&octets);
        if plain || memchr::memchr(0, &octets).is_none() {
            return Self::of(octets, plain);
        }
        let octets: Vec<u8> = octets
            .iter()
            .map(|octet| if *octet == 0 { b'?' } else { *octet })
            .collect();
        Self::of(octets.into(), false)
    }

    fn of(octets: Bytes, plain: bool) -> Self {
        match short(&octets, octets.len()) {
            Some((octets, len)) => Self(Repr::Short { plain, len, octets }),
            None => Self(Repr::Long { plain, octets }),
        }
    }

    #[inline]
    fn short(octets: &[u8; SHORT], len: u8) -> Self {
        Self(Repr::Short {
            plain: true,
            len,
            octets: Short(*octets),
        })
    }

    /// As [`IString::parse`], put where it stays.
    #[inline]
    pub(crate) fn parse_into(c: &mut Cursor<'_>, to: &mut Self) -> Parsed<()> {
        let read = |octets| {
            let (short, len, behind) = quick_quoted(octets)?;
            *to = Self::short(short, len);
            Some(behind)
        };
        if c.quickly(read) {
            return Ok(());
        }
        Self::parse_other(c, to)
    }

    #[inline(never)]
    fn parse_other(c: &mut Cursor<'_>, to: &mut Self) -> Parsed<()> {
        *to = Self::parse(c)?;
        Ok(())
    }

    /// The octets from `at`, `len` of them, which are what `plain` says.
    #[inline]
    fn at(c: &Cursor<'_>, at: usize, len: usize, plain: bool) -> Self {
        match short(c.from(at), len) {
            Some((octets, len)) => Self(Repr::Short { plain, len, octets }),
            None => {
                let octets = c.slice(at, at + len);
                Self(Repr::Long { plain, octets })
            }
        }
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, octets, .. } => {
                octets.0.get(..usize::from(*len)).unwrap_or_default()
            }
            Repr::Long { octets, .. } => octets,
        }
    }

    /// The octets, shared where they are many.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Short { .. } => Bytes::copy_from_slice(self.as_bytes()),
            Repr::Long { octets, .. } => octets.clone(),
        }
    }

    /// The text, what is not UTF-8 replaced.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        match &self.0 {
            Repr::Short {
                plain: true,
                len,
                octets,
            } => {
                w.byte(b'"');
                w.short(&octets.0, *len);
                w.byte(b'"');
            }
            Repr::Long {
                plain: true,
                octets,
            } if octets.len() <= LONGEST_QUOTED => {
                w.byte(b'"');
                w.raw(octets);
                w.byte(b'"');
            }
            Repr::Short { .. } => string(w, &self.to_bytes()),
            Repr::Long { octets, .. } => string(w, octets),
        }
    }

    pub(crate) fn encode_astring(&self, w: &mut Writer<'_>) {
        match is_atom(self.as_bytes()) {
            true => w.raw(self.as_bytes()),
            false => self.encode(w),
        }
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
            Some(b'"') => match quick_quoted(c.rest()) {
                Some((short, len, behind)) => {
                    c.leave(behind);
                    Ok(Self::short(short, len))
                }
                None => quoted(c),
            },
            Some(b'{') => literal(c),
            _ => {
                let rest = c.rest();
                let len = c.take_some(Chars::ASTRING, "an astring")?.len();
                let at = c.at() - len;
                let plain = true;
                Ok(Self(match short(rest, len) {
                    Some((octets, len)) => Repr::Short { plain, len, octets },
                    None => {
                        let octets = c.slice(at, at + len);
                        Repr::Long { plain, octets }
                    }
                }))
            }
        }
    }
}

/// The first `len` octets, if they are few; and whatever is behind them, since
/// copying a fixed number is cheaper.
#[inline]
fn short(octets: &[u8], len: usize) -> Option<(Short, u8)> {
    if len > SHORT {
        return None;
    }
    let few = u8::try_from(len).ok()?;
    if let Some(octets) = octets.first_chunk() {
        return Some((Short(*octets), few));
    }
    let octets = octets.get(..len)?;
    let mut copy = [0; SHORT];
    match packed(octets) {
        Some(packed) => *copy.first_chunk_mut()? = packed,
        None => copy.get_mut(..len)?.copy_from_slice(octets),
    }
    Some((Short(copy), few))
}

impl Default for IString {
    fn default() -> Self {
        Self::of(Bytes::new(), true)
    }
}

impl PartialEq for IString {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for IString {}

impl Hash for IString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for IString {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IString {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for IString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
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
        self.as_bytes() == other.as_bytes()
    }
}

/// `string / nil`.
pub(crate) fn nstring(c: &mut Cursor<'_>) -> Parsed<NString> {
    let mut string = None;
    nstring_into(c, &mut string)?;
    Ok(string)
}

/// `string / nil`, put where it stays: what is moved is written twice, and
/// moved right behind the writing it has to wait for it.
#[inline]
pub(crate) fn nstring_into(c: &mut Cursor<'_>, to: &mut NString) -> Parsed<()> {
    if c.quickly(|octets| quick_nstring(octets, to)) {
        return Ok(());
    }
    nstring_other(c, to)
}

#[inline(never)]
fn nstring_other(c: &mut Cursor<'_>, to: &mut NString) -> Parsed<()> {
    *to = match nil(c) {
        true => None,
        false => Some(IString::parse(c)?),
    };
    Ok(())
}

/// A string in front that is quoted, short, plain, and not at the end of the
/// line, or NIL, put where it stays; what is behind it.
#[inline]
pub(crate) fn quick_nstring<'a>(octets: &'a [u8], to: &mut NString) -> Option<&'a [u8]> {
    if let [b'N', b'I', b'L', b' ' | b')', ..] = octets {
        *to = None;
        return octets.get(3..);
    }
    let (short, len, behind) = quick_quoted(octets)?;
    *to = Some(IString::short(short, len));
    Some(behind)
}

/// A string in front that is quoted, short, plain, and not at the end of the
/// line: its octets, how many, and what is behind it.
#[inline]
fn quick_quoted(octets: &[u8]) -> Option<(&[u8; SHORT], u8, &[u8])> {
    let (b'"', text) = octets.split_first()? else {
        return None;
    };
    let ahead: &[u8; AHEAD] = text.first_chunk()?;
    let len = plain_len(ahead);
    if len > SHORT || ahead.get(len) != Some(&b'"') {
        return None;
    }
    let short = ahead.first_chunk()?;
    Some((short, u8::try_from(len).ok()?, text.get(len + 1..)?))
}

/// Takes NIL if it is next and no longer atom.
#[inline]
pub(crate) fn nil(c: &mut Cursor<'_>) -> bool {
    c.quickly(|octets| {
        let (word, behind) = octets.split_first_chunk::<3>()?;
        let more = behind
            .first()
            .is_some_and(|next| Chars::ASTRING.holds(*next));
        (word.eq_ignore_ascii_case(b"NIL") && !more).then_some(behind)
    })
}

pub(crate) fn encode_nstring(w: &mut Writer<'_>, string: &NString) {
    match string {
        Some(string) => string.encode(w),
        None => w.raw(b"NIL"),
    }
}

/// DQUOTE *QUOTED-CHAR DQUOTE
fn quoted(c: &mut Cursor<'_>) -> Parsed<IString> {
    c.expect(b'"', "a quoted string")?;
    let at = c.at();
    let rest = c.rest();
    let len = plain_len(rest);
    if rest.get(len) == Some(&b'"') {
        c.set_at(at + len + 1);
        return Ok(IString::at(c, at, len, true));
    }
    quoted_special(c)
}

/// As [`quoted`], behind the quote, with octets that are not plain.
#[cold]
fn quoted_special(c: &mut Cursor<'_>) -> Parsed<IString> {
    let at = c.at();
    let text = c.take_while(Chars::QUOTED);
    if c.eat(b'"') {
        check_utf8(text, at)?;
        return Ok(IString::at(c, at, text.len(), false));
    }
    // quoted-specials: unescaped into octets of their own.
    let mut octets = text.to_vec();
    loop {
        if c.eat(b'\\') {
            match c.peek() {
                Some(octet @ (b'"' | b'\\')) => octets.push(octet),
                _ => return c.expected("\" or \\ behind a backslash"),
            }
            c.set_at(c.at() + 1);
        } else if c.eat(b'"') {
            check_utf8(&octets, at)?;
            return Ok(IString::of(octets.into(), false));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_are_alike() {
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 2000] {
            for filling in ["x", "ä", "\\", "\"", "\n"] {
                let text = filling.repeat(len / filling.len());
                let string = IString::new(text.clone()).unwrap();
                assert_eq!(string.as_bytes(), text.as_bytes());
                assert_eq!(string.to_bytes(), text);
                let wire = Bytes::from(crate::wire::to_vec(crate::Dialect::SERVER, |w| {
                    string.encode(w);
                }));
                // With and without octets behind, and shared or not.
                let longer = Bytes::from([&wire[..], &[b'y'; 50]].concat());
                for octets in [&wire, &longer] {
                    let mut c = Cursor::line(octets);
                    assert_eq!(IString::parse(&mut c).unwrap(), string);
                    assert_eq!(c.at(), wire.len());
                    assert_eq!(IString::parse(&mut Cursor::new(octets)).unwrap(), string);
                }
            }
        }
    }
}
