//! Identifiers of mailboxes (RFC 8474 §4).

use std::io;
use std::path::Path;

use crate::error::{Error, IoContext};

/// What a mailbox is known by whatever its name; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectId(u128);

impl ObjectId {
    /// One that no other mailbox has. `path` is of the file that keeps it.
    pub(crate) fn fresh(path: &Path) -> Result<Self, Error> {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets)
            .map_err(io::Error::from)
            .at("make an identifier for", path)?;
        Ok(Self(u128::from_be_bytes(octets).max(1)))
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// 32 hexadecimal digits, as Dovecot writes them.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        let hexadecimal =
            digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16)
            .ok()
            .filter(|_| hexadecimal);
        number.filter(|number| *number != 0).map(Self)
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back() {
        let id = ObjectId::fresh(Path::new("x")).unwrap();
        assert_eq!(ObjectId::parse(&id.to_string()), Some(id));
        assert_ne!(id, ObjectId::fresh(Path::new("x")).unwrap());
        for bad in [
            "",
            "0",
            "+123456789012345678901234567890ab",
            &"0".repeat(32),
            &"g".repeat(32),
        ] {
            assert_eq!(ObjectId::parse(bad), None, "{bad:?}");
        }
    }
}
