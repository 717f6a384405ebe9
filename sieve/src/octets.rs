//! Strings of a compiled script, most of which are short.

use std::fmt;
use std::ops::Deref;

use crate::LoadError;
use crate::binary::{Code, Reader};

/// Octets that take no memory of their own while they are few: names of fields and mailboxes, most keys.
#[derive(Clone)]
pub(crate) enum Octets {
    Short { length: u8, text: [u8; SHORT] },
    Long(Box<[u8]>),
}

/// What fits beside the length and the tag in the place of a pointer, a length and a capacity.
const SHORT: usize = 22;

const _: () = assert!(size_of::<Octets>() == 24, "a list of them is compact");

impl Octets {
    /// With ASCII letters in lower case.
    pub(crate) fn lowercase(octets: &[u8]) -> Self {
        let mut text = [0; SHORT];
        match u8::try_from(octets.len()) {
            Ok(length) if octets.len() <= SHORT => {
                for (to, from) in text.iter_mut().zip(octets) {
                    *to = from.to_ascii_lowercase();
                }
                Self::Short { length, text }
            }
            _ => Self::Long(octets.to_ascii_lowercase().into()),
        }
    }

    fn short(octets: &[u8]) -> Option<Self> {
        let mut text = [0; SHORT];
        text.get_mut(..octets.len())?.copy_from_slice(octets);
        let length = u8::try_from(octets.len()).ok()?;
        Some(Self::Short { length, text })
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { length, text } => text.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(octets) => octets,
        }
    }
}

impl Default for Octets {
    fn default() -> Self {
        Self::Short {
            length: 0,
            text: [0; SHORT],
        }
    }
}

impl From<&[u8]> for Octets {
    fn from(octets: &[u8]) -> Self {
        Self::short(octets).unwrap_or_else(|| Self::Long(octets.into()))
    }
}

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Self {
        Self::short(&octets).unwrap_or_else(|| Self::Long(octets.into()))
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Code for Octets {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let length = usize::get(from)?;
        Ok(from.slice(length)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_ones_are_kept() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 300] {
            let source: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect();
            let octets = Octets::from(source.as_slice());
            assert_eq!(*octets, *source);
            assert_eq!(matches!(octets, Octets::Long(_)), length > SHORT);
            assert_eq!(*Octets::from(source.clone()), *source);
            assert_eq!(*Octets::lowercase(&source), *source.to_ascii_lowercase());
        }
    }
}
