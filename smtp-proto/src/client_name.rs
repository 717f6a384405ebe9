//! What a client calls itself, without an allocation where it is short.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use crate::octets;

/// Octets that need no allocation of their own: nearly every host name.
const SHORT_MAX: u8 = 32;
const HALF: usize = 16;

/// The domain, or the address literal with its brackets, that a client names in
/// EHLO, HELO or LHLO: text, as it was written.
///
/// ```
/// use smtp_proto::{Command, Lenient};
///
/// let Command::Hello(hello) = Command::parse(b"EHLO a.example", &Lenient::default())? else {
///     panic!()
/// };
/// assert_eq!(&*hello.domain, "a.example");
/// assert!(hello.domain.ends_with(".example"));
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Clone)]
pub struct ClientName(Text);

#[derive(Clone)]
enum Text {
    /// UTF-8 in the first `len` octets.
    Short {
        len: u8,
        octets: [[u8; HALF]; 2],
    },
    Long(Box<str>),
}

impl ClientName {
    /// UTF-8 that is short enough.
    // In registers: octets that are copied to memory, and moved from there
    // before the processor has written them, take as long as an allocation.
    #[inline]
    pub(crate) fn short(text: &[u8]) -> Option<Self> {
        let len = u8::try_from(text.len()).ok()?;
        let octets = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) if len <= SHORT_MAX => {
                // What is in the first half is shifted out.
                let shift = 8 * u32::from(SHORT_MAX - len);
                let behind = u128::from_le_bytes(*last).checked_shr(shift);
                [*first, behind.unwrap_or(0).to_le_bytes()]
            }
            (None, None) => [octets::fold_sixteen(text).to_le_bytes(), [0; HALF]],
            _ => return None,
        };
        Some(Self(Text::Short { len, octets }))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short { len, octets } => {
                let text = octets.as_flattened().get(..usize::from(*len));
                let text = text.unwrap_or_default();
                std::str::from_utf8(text).unwrap_or_default()
            }
            Text::Long(text) => text,
        }
    }
}

impl From<&str> for ClientName {
    fn from(text: &str) -> Self {
        Self::short(text.as_bytes()).unwrap_or_else(|| Self(Text::Long(text.into())))
    }
}

impl Deref for ClientName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for ClientName {
    fn as_ref(&self) -> &str {
        self
    }
}

impl PartialEq for ClientName {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ClientName {}

impl Hash for ClientName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_length() {
        for len in 0..100 {
            for text in ["a".repeat(len), "\u{fc}".repeat(len)] {
                let name = ClientName::from(text.as_str());
                assert_eq!(name.as_str(), text);
                assert_eq!(name, name.clone());
                assert_eq!(format!("{name} {name:?}"), format!("{text} {text:?}"));
                assert_ne!(name, ClientName::from(format!("{text}b").as_str()));
            }
        }
    }
}
