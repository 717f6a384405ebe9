use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::packed;

/// Octets up to which a text is held in place.
const SHORT: usize = 16;

/// Text of ASCII, without an allocation where it is short.
#[derive(Clone)]
pub(crate) struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Short { len: u8, octets: Short },
    Long(Box<str>),
}

/// Zeros behind the text. Aligned, so that moves read the words that were
/// written.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Short([u8; SHORT]);

impl Text {
    /// The text of octets that are ASCII, as the grammar's words are.
    #[inline]
    pub(crate) fn new(ascii: &[u8]) -> Self {
        match (packed(ascii), u8::try_from(ascii.len())) {
            (Some(octets), Ok(len)) => {
                let octets = Short(octets);
                Self(Repr::Short { len, octets })
            }
            _ => Self::long(ascii),
        }
    }

    #[cold]
    fn long(ascii: &[u8]) -> Self {
        Self(Repr::Long(String::from_utf8_lossy(ascii).into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, octets } => octets.0.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Long(text) => text.as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Long(text) => text,
        }
    }

    /// The order of the texts in lower case.
    pub(crate) fn cmp_ignoring_case(&self, other: &Self) -> Ordering {
        let (own, others) = (self.as_bytes().iter(), other.as_bytes().iter());
        own.map(u8::to_ascii_lowercase)
            .cmp(others.map(u8::to_ascii_lowercase))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
