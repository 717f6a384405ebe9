use std::fmt;

use super::IString;
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

/// Rights of an access control list: lower case letters and digits, each once
/// (RFC 4314 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u64);

const ALPHABET: &[u8; 36] = b"lrswipkxtecdabfghjmnoquvyz0123456789";

impl Rights {
    /// The rights that these letters stand for.
    ///
    /// # Errors
    /// For anything but lower case letters and digits: an upper case letter
    /// must be refused, not read as its lower case.
    pub fn new(letters: &str) -> Result<Self, Invalid> {
        Self::from_octets(letters.as_bytes()).ok_or(Invalid { term: "rights" })
    }

    fn from_octets(letters: &[u8]) -> Option<Self> {
        let mut bits = 0;
        for letter in letters {
            bits |= 1 << ALPHABET.iter().position(|known| known == letter)?;
        }
        Some(Self(bits))
    }

    /// Whether `right` is among them.
    #[must_use]
    pub fn has(self, right: char) -> bool {
        let at = ALPHABET
            .iter()
            .position(|known| char::from(*known) == right);
        at.is_some_and(|at| self.0 >> at & 1 == 1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and the others.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These without the others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let letters = IString::parse_astring(c)?;
        Self::from_octets(letters.as_bytes())
            .ok_or(Cursor::error_at(ParseErrorKind::Expected("rights"), at))
    }

    pub(crate) fn encode(self, w: &mut Writer<'_>) {
        match self.is_empty() {
            true => w.raw(b"\"\""),
            false => w.str(&self.to_string()),
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = ALPHABET.iter().map(|letter| char::from(*letter));
        held.filter(|letter| self.has(*letter))
            .try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `entry-name`: the name of an annotation (RFC 5464 §4.1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// The entry of this name, say `/private/comment`. It is compared without
    /// regard to case, and kept in lower case.
    ///
    /// # Errors
    /// When it does not begin with a slash, has an empty level, or holds `*`,
    /// `%`, control characters or what is not ASCII.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        let fits = |octet: u8| (b' '..0x7f).contains(&octet) && !matches!(octet, b'*' | b'%');
        let valid = name.starts_with('/')
            && !name.ends_with('/')
            && !name.contains("//")
            && name.bytes().all(fits);
        if !valid {
            return Err(Invalid { term: "entry-name" });
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = IString::parse_astring(c)?;
        Self::new(&name.to_text())
            .map_err(|_| Cursor::error_at(ParseErrorKind::Expected("an entry name"), at))
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        IString::lossy(self.0.as_bytes().to_vec()).encode_astring(w);
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
