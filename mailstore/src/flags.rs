//! System flags and keywords.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// A set of IMAP's system flags (RFC 9051 §2.3.2). `\Recent` is no flag: see `Mailbox::take_recent`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Seen`
    pub const SEEN: Self = Self(1);
    /// `\Answered`
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`
    pub const DELETED: Self = Self(8);
    /// `\Draft`
    pub const DRAFT: Self = Self(16);

    /// Each flag with its IMAP name.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// Whether every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits & 31)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0 & 31)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(
                Self::NAMES
                    .iter()
                    .filter(|(flag, _)| self.contains(*flag))
                    .map(|(_, name)| name),
            )
            .finish()
    }
}

/// A set of keywords of one mailbox: bit *n* is the *n*th name of [`Snapshot::keyword_names`].
///
/// [`Snapshot::keyword_names`]: crate::Snapshot::keyword_names
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keywords(pub(crate) u64);

impl Keywords {
    /// Whether no keyword is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the keyword at this place of the mailbox's table is set.
    pub fn contains(self, index: usize) -> bool {
        index < 64 && self.0 >> index & 1 == 1
    }

    pub(crate) fn set(&mut self, index: usize) {
        if index < 64 {
            self.0 |= 1 << index;
        }
    }

    /// The places that are set, ascending.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |&index| self.contains(index))
    }
}

/// How a STORE changes flags (RFC 9051 §6.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagMode {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// One change of flags and keywords, for any number of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagChange {
    /// Add, remove or replace.
    pub mode: FlagMode,
    /// The system flags.
    pub flags: Flags,
    /// The keywords; names compare without regard to ASCII case.
    pub keywords: Vec<String>,
}

impl FlagChange {
    /// Sets these flags beside those that are set.
    pub fn add(flags: Flags) -> Self {
        Self {
            mode: FlagMode::Add,
            flags,
            keywords: Vec::new(),
        }
    }

    /// Clears these flags.
    pub fn remove(flags: Flags) -> Self {
        Self {
            mode: FlagMode::Remove,
            flags,
            keywords: Vec::new(),
        }
    }

    /// Sets these flags and clears the others.
    pub fn replace(flags: Flags) -> Self {
        Self {
            mode: FlagMode::Replace,
            flags,
            keywords: Vec::new(),
        }
    }

    /// The same change with keywords.
    pub fn with_keywords(mut self, keywords: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keywords = keywords.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn apply(
        &self,
        flags: Flags,
        keywords: Keywords,
        named: Keywords,
    ) -> (Flags, Keywords) {
        match self.mode {
            FlagMode::Add => (flags | self.flags, Keywords(keywords.0 | named.0)),
            FlagMode::Remove => (flags & !self.flags, Keywords(keywords.0 & !named.0)),
            FlagMode::Replace => (self.flags, named),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_apply() {
        let had = Flags::SEEN | Flags::DRAFT;
        let change = FlagChange::remove(Flags::SEEN);
        assert_eq!(
            change.apply(had, Keywords(5), Keywords(4)),
            (Flags::DRAFT, Keywords(1))
        );
        assert_eq!(
            FlagChange::add(Flags::DELETED)
                .apply(had, Keywords(1), Keywords(2))
                .1,
            Keywords(3)
        );
        assert_eq!(
            FlagChange::replace(Flags::NONE).apply(had, Keywords(1), Keywords(2)),
            (Flags::NONE, Keywords(2))
        );
        assert_eq!(format!("{had:?}"), r#"{"\\Seen", "\\Draft"}"#);
    }
}
