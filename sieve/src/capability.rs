//! Capability strings and the set a host offers.

use std::sync::LazyLock;

use crate::few::NameIndex;

/// Every capability this crate carries out, in the order it is advertised.
///
/// A name missing here is refused by `require` (RFC 5228 §2.10.5).
const NAMES: &[&str] = &[
    "fileinto",
    "reject",
    "ereject",
    "envelope",
    "encoded-character",
    "comparator-i;octet",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;unicode-casemap",
    "copy",
    "vacation",
    "vacation-seconds",
    "variables",
    "imap4flags",
    "subaddress",
    "relational",
    "body",
    "date",
    "index",
    "environment",
    "ihave",
    "mailbox",
    "mboxmetadata",
    "servermetadata",
    "regex",
    "editheader",
    "duplicate",
    "include",
    "enotify",
    "special-use",
    "fcc",
    "mailboxid",
    "extlists",
    "mime",
    "foreverypart",
    "extracttext",
    "replace",
    "enclose",
    "convert",
    "processcalendar",
    "spamtest",
    "spamtestplus",
    "virustest",
    "imapsieve",
    "envelope-dsn",
    "redirect-dsn",
    "envelope-deliverby",
    "redirect-deliverby",
    "vnd.dovecot.environment",
    "vnd.dovecot.debug",
    "vnd.dovecot.report",
    "vnd.dovecot.pipe",
    "vnd.dovecot.filter",
    "vnd.dovecot.execute",
    "vnd.dovecot.testsuite",
];

/// Those that let a script start programs or drive a test run: never offered unless the host asks.
const RESTRICTED: &[&str] = &[
    "vnd.dovecot.pipe",
    "vnd.dovecot.filter",
    "vnd.dovecot.execute",
    "vnd.dovecot.testsuite",
];

/// Those that mean something only where the host answers for a store, a list, a scanner, a converter, a calendar or
/// sends more than mail of its own.
const HOSTED: &[&str] = &[
    "mboxmetadata",
    "servermetadata",
    "special-use",
    "mailboxid",
    "extlists",
    "convert",
    "processcalendar",
    "vnd.dovecot.report",
    "spamtest",
    "spamtestplus",
    "virustest",
    "imapsieve",
    "envelope-dsn",
    "redirect-dsn",
    "envelope-deliverby",
    "redirect-deliverby",
];

/// A set of capabilities: what a host offers to scripts.
///
/// ```
/// use sieve::Capabilities;
/// let offered = Capabilities::default().without("reject");
/// assert!(offered.contains("fileinto"));
/// assert!(!offered.contains("reject"));
/// assert!(!offered.contains("vnd.dovecot.pipe"), "programs must be asked for");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u64);

const _: () = assert!(NAMES.len() <= 64, "the set is a 64-bit word");

impl Capabilities {
    /// The empty set: the base language alone.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Everything this crate carries out, programs and the test suite included.
    #[must_use]
    pub fn all() -> Self {
        NAMES.iter().fold(Self::none(), |set, name| set.with(name))
    }

    /// The set with `name` added; unknown names change nothing.
    #[must_use]
    pub fn with(self, name: &str) -> Self {
        self.or(Self::named(name.as_bytes()))
    }

    /// The set with `name` removed.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        Self(self.0 & !Self::named(name.as_bytes()).0)
    }

    /// Whether `name`, which is case-sensitive, is in the set.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        self.meets(Self::named(name.as_bytes()))
    }

    /// Whether `other` has all that is in this set.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The names in the set, in a fixed order: what ManageSieve advertises as `SIEVE`.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .iter()
            .copied()
            .filter(move |name| self.contains(name))
    }

    /// Whether this crate knows `name` at all.
    #[must_use]
    pub fn is_known(name: &str) -> bool {
        Self::named(name.as_bytes()) != Self::none()
    }

    /// The one of this name; none if it is unknown.
    pub(crate) fn named(name: &[u8]) -> Self {
        static INDEX: LazyLock<NameIndex> = LazyLock::new(|| NameIndex::new(NAMES.iter().copied()));
        INDEX
            .find(name, |at| {
                NAMES.get(at).is_some_and(|known| known.as_bytes() == name)
            })
            .map_or(Self::none(), |bit| Self(1 << bit))
    }

    /// Those named, all of which are known.
    pub(crate) const fn of(mut names: &[&str]) -> Self {
        let mut set = 0_u64;
        while let Some((name, rest)) = names.split_first() {
            let mut bit = 1_u64;
            let mut known = NAMES;
            while let Some((candidate, others)) = known.split_first() {
                if same(candidate.as_bytes(), name.as_bytes()) {
                    set |= bit;
                }
                bit = bit.wrapping_shl(1);
                known = others;
            }
            names = rest;
        }
        Self(set)
    }

    /// What is in either set.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have something in common.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The set with what those in it bring along.
    pub(crate) const fn with_implied(self) -> Self {
        const IMPLIED: [(Capabilities, Capabilities); 2] = [
            (
                Capabilities::of(&["vacation-seconds"]),
                Capabilities::of(&["vacation"]),
            ),
            (
                Capabilities::of(&["spamtestplus"]),
                Capabilities::of(&["spamtest"]),
            ),
        ];
        let [(seconds, vacation), (plus, spamtest)] = IMPLIED;
        let mut set = self;
        if set.meets(seconds) {
            set = set.or(vacation);
        }
        if set.meets(plus) {
            set = set.or(spamtest);
        }
        set
    }
}

/// All that needs neither programs nor services beyond a plain mail store.
impl Default for Capabilities {
    fn default() -> Self {
        static DEFAULT: LazyLock<Capabilities> = LazyLock::new(|| {
            NAMES
                .iter()
                .filter(|name| !RESTRICTED.contains(name) && !HOSTED.contains(name))
                .fold(Capabilities::none(), |set, name| set.with(name))
        });
        *DEFAULT
    }
}

impl std::fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl std::fmt::Display for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, name) in self.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{name}")?;
        }
        Ok(())
    }
}

const fn same(mut left: &[u8], mut right: &[u8]) -> bool {
    loop {
        match (left.split_first(), right.split_first()) {
            (None, None) => return true,
            (Some((a, rest)), Some((b, other))) if *a == *b => {
                left = rest;
                right = other;
            }
            _ => return false,
        }
    }
}

/// The known name nearest to a mistyped one.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    crate::check::nearest(name, NAMES.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_sensitive_and_unique() {
        assert!(!Capabilities::all().contains("FileInto"));
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
        assert_eq!(Capabilities::of(NAMES), Capabilities::all());
    }
}
