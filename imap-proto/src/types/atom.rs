use std::fmt;

use super::{Chars, Text};
use crate::Invalid;
use crate::cursor::{Cursor, Parsed};

/// `atom`: one or more ATOM-CHAR. Compared without regard to case.
#[derive(Clone, Eq)]
pub struct Atom(Text);

impl Atom {
    /// An atom of this text.
    ///
    /// # Errors
    /// When it is empty or holds an octet that is no ATOM-CHAR.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || !text.bytes().all(|octet| Chars::ATOM.holds(octet)) {
            return Err(Invalid { term: "atom" });
        }
        Ok(Self(Text::new(text.as_bytes())))
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let text = c.take_some(Chars::ATOM, "an atom")?;
        Ok(Self(Text::new(text)))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().eq_ignore_ascii_case(other.as_bytes())
    }
}

impl std::hash::Hash for Atom {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for octet in self.as_bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp_ignoring_case(&other.0)
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `tag`: what a client names a command with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Text);

impl Tag {
    /// The longest tag that is taken: it is echoed, and stored until then.
    pub const MAX: usize = 255;

    /// A tag of this text.
    ///
    /// # Errors
    /// When it is empty, over [`Tag::MAX`] octets, or holds what no tag holds.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let fits = (1..=Self::MAX).contains(&text.len());
        if !fits || !text.bytes().all(|octet| Chars::TAG.holds(octet)) {
            return Err(Invalid { term: "tag" });
        }
        Ok(Self(Text::new(text.as_bytes())))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let text = c.take_some(Chars::TAG, "a tag")?;
        if text.len() > Self::MAX {
            return Err(Cursor::error_at(crate::ParseErrorKind::Count, at));
        }
        Ok(Self(Text::new(text)))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
