//! Annotations of mailboxes and of the account (RFC 5464), and the special uses among them (RFC 6154).

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::account::{Account, Shared};
use crate::error::Error;
use crate::name;

/// The account's file.
const NAME: &str = "posthaste-metadata";
const HEADER: &str = "posthaste-metadata 1\n";
/// The entry that tells a mailbox's special uses (RFC 6154 §4).
const SPECIAL_USE: &str = "/private/specialuse";

/// Octets of a value at most: `METADATA MAXSIZE` (RFC 5464 §4.3).
pub const METADATA_VALUE_LIMIT: usize = 64 << 10;
/// Entries of an account at most: `METADATA TOOMANY`.
pub const METADATA_ENTRY_LIMIT: usize = 1000;
/// Octets of an entry's name at most.
const ENTRY_LIMIT: usize = 1024;
/// Octets of the account's whole file at most: it is read whenever mailboxes are listed.
const FILE_LIMIT: usize = 1 << 20;

/// Values by mailbox (empty: the account) and entry.
type Entries = BTreeMap<(String, String), Vec<u8>>;

/// The entry's name in small letters, if it is one (RFC 5464 §3.2).
fn canonical(entry: &str) -> Result<String, Error> {
    let invalid = |reason| {
        Err(Error::InvalidEntry {
            entry: entry.to_owned(),
            reason,
        })
    };
    let small = entry.to_ascii_lowercase();
    if !small.starts_with("/private/") && !small.starts_with("/shared/") {
        return invalid("it begins neither with /private/ nor with /shared/");
    }
    if small.ends_with('/') || small.contains("//") {
        return invalid("a component is empty");
    }
    if small.len() > ENTRY_LIMIT {
        return invalid("it is too long");
    }
    if !small.bytes().all(|octet| matches!(octet, b' '..=b'~')) || small.contains(['*', '%']) {
        return invalid("it has a character that no entry has");
    }
    Ok(small)
}

fn read(shared: &Shared) -> Result<Entries, Error> {
    let Some(content) = shared.read_own(NAME, FILE_LIMIT as u64)? else {
        return Ok(Entries::new());
    };
    parse(&content).map_err(|at| Error::Corrupt {
        path: shared.root.join(NAME),
        at: at as u64,
        what: "no metadata",
    })
}

/// A header, then for each entry `MAILBOX<TAB>ENTRY<TAB>OCTETS`, a line end, the octets, a line end.
fn parse(content: &[u8]) -> Result<Entries, usize> {
    let mut entries = Entries::new();
    let mut rest = content.strip_prefix(HEADER.as_bytes()).ok_or(0usize)?;
    while !rest.is_empty() {
        let at = content.len() - rest.len();
        let one = || {
            let end = memchr::memchr(b'\n', rest)?;
            let (line, behind) = rest.split_at_checked(end)?;
            let mut words = std::str::from_utf8(line).ok()?.split('\t');
            let (mailbox, entry) = (words.next()?, words.next()?);
            let octets: usize = words.next()?.parse().ok()?;
            let behind = behind.get(1..)?;
            let (value, behind) = behind.split_at_checked(octets)?;
            let mailbox = name::from_disk(mailbox.as_bytes())?;
            Some((
                (mailbox, entry.to_owned()),
                value.to_vec(),
                behind.strip_prefix(b"\n")?,
            ))
        };
        let (key, value, behind) = one().ok_or(at)?;
        entries.insert(key, value);
        rest = behind;
    }
    Ok(entries)
}

fn write(shared: &Shared, entries: &Entries) -> Result<(), Error> {
    let mut out = HEADER.as_bytes().to_vec();
    for ((mailbox, entry), value) in entries {
        out.extend(name::to_disk(mailbox)?);
        out.extend_from_slice(format!("\t{entry}\t{}\n", value.len()).as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    if out.len() > FILE_LIMIT {
        return Err(Error::TooLarge {
            octets: out.len(),
            limit: FILE_LIMIT,
        });
    }
    shared.replace_own(NAME, &out)
}

fn change(
    shared: &Shared,
    now: SystemTime,
    act: impl FnOnce(&mut Entries) -> Result<(), Error>,
) -> Result<(), Error> {
    let _lock = shared.lock_own(NAME, now)?;
    let before = read(shared)?;
    let mut entries = before.clone();
    act(&mut entries)?;
    if entries == before {
        return Ok(());
    }
    write(shared, &entries)
}

fn is_at_or_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether there is any, so that most accounts take no lock.
fn is_there(shared: &Shared) -> Result<bool, Error> {
    match read(shared) {
        // Nothing that could be taken over or away; the mailbox itself comes, goes and is renamed all the same.
        Err(error) if error.is_no_file_of_ours() => Ok(false),
        other => Ok(!other?.is_empty()),
    }
}

/// A mailbox is about to be made, or was deleted: what was said of one of its name is of no use.
pub(crate) fn forget(shared: &Shared, mailbox: &str, now: SystemTime) -> Result<(), Error> {
    if !is_there(shared)? {
        return Ok(());
    }
    change(shared, now, |entries| {
        entries.retain(|(name, _), _| name != mailbox);
        Ok(())
    })
}

/// A mailbox, and those below it, are about to get another name: what is said of them is said of both.
pub(crate) fn copy(shared: &Shared, from: &str, to: &str, now: SystemTime) -> Result<(), Error> {
    if !is_there(shared)? {
        return Ok(());
    }
    change(shared, now, |entries| {
        let copied: Vec<_> = entries
            .iter()
            .filter(|((name, _), _)| is_at_or_below(name, from))
            .map(|((name, entry), value)| {
                let rest = name.get(from.len()..).unwrap_or_default();
                ((format!("{to}{rest}"), entry.clone()), value.clone())
            })
            .collect();
        entries.extend(copied);
        Ok(())
    })
}

/// They have it.
pub(crate) fn forget_below(shared: &Shared, from: &str, now: SystemTime) -> Result<(), Error> {
    if !is_there(shared)? {
        return Ok(());
    }
    change(shared, now, |entries| {
        entries.retain(|(name, _), _| !is_at_or_below(name, from));
        Ok(())
    })
}

/// Special uses by mailbox, as they stand in the entries.
pub(crate) fn special_uses(shared: &Shared) -> Result<BTreeMap<String, String>, Error> {
    let entries = match read(shared) {
        // The mailboxes are listed without their uses.
        Err(error) if error.is_no_file_of_ours() => return Ok(BTreeMap::new()),
        other => other?.into_iter(),
    };
    let uses = entries.filter(|((_, entry), _)| entry == SPECIAL_USE);
    Ok(uses
        .filter_map(|((mailbox, _), value)| Some((mailbox, String::from_utf8(value).ok()?)))
        .collect())
}

impl Account {
    fn metadata_key(&self, mailbox: Option<&str>) -> Result<String, Error> {
        match mailbox {
            None => Ok(String::new()),
            Some(name) => {
                let name = name::canonical(name)?;
                if name != "INBOX" {
                    self.existing_site(&name)?;
                }
                Ok(name)
            }
        }
    }

    /// What is said of a mailbox, or of the account itself, by the names of the entries. Those that begin with
    /// `/private/` are for the account's owner, those with `/shared/` for all who may look at it.
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], or the disk fails.
    pub fn metadata(&self, mailbox: Option<&str>) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let key = self.metadata_key(mailbox)?;
        let entries = read(self.shared())?.into_iter();
        Ok(entries
            .filter(|((name, _), _)| *name == key)
            .map(|((_, entry), value)| (entry, value))
            .collect())
    }

    /// Sets entries, or takes them away where there is no value: all of them or none.
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], [`Error::InvalidEntry`], [`Error::TooLarge`] above [`METADATA_VALUE_LIMIT`] or 1 MiB
    /// in all,     /// [`Error::TooManyEntries`] above [`METADATA_ENTRY_LIMIT`], or the disk fails.
    pub fn set_metadata(
        &self,
        mailbox: Option<&str>,
        changes: &[(String, Option<Vec<u8>>)],
        now: SystemTime,
    ) -> Result<(), Error> {
        let key = self.metadata_key(mailbox)?;
        change(self.shared(), now, |entries| {
            for (entry, value) in changes {
                let at = (key.clone(), canonical(entry)?);
                match value {
                    Some(value) if value.len() > METADATA_VALUE_LIMIT => {
                        return Err(Error::TooLarge {
                            octets: value.len(),
                            limit: METADATA_VALUE_LIMIT,
                        });
                    }
                    Some(value) => drop(entries.insert(at, value.clone())),
                    None => drop(entries.remove(&at)),
                }
            }
            if entries.len() > METADATA_ENTRY_LIMIT {
                return Err(Error::TooManyEntries(METADATA_ENTRY_LIMIT));
            }
            Ok(())
        })
    }

    /// Says what a mailbox is for: `\Sent`, `\Trash` … with blanks between several (RFC 6154 §2); `None` takes it
    /// back. It goes with the mailbox when that is renamed.
    ///
    /// # Errors
    /// As [`set_metadata`](Self::set_metadata).
    pub fn set_special_use(
        &self,
        mailbox: &str,
        special_use: Option<&str>,
        now: SystemTime,
    ) -> Result<(), Error> {
        let value = special_use.map(|special_use| special_use.as_bytes().to_vec());
        self.set_metadata(Some(mailbox), &[(SPECIAL_USE.to_owned(), value)], now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_names() {
        assert_eq!(canonical("/Shared/Comment").unwrap(), "/shared/comment");
        assert_eq!(
            canonical("/private/vendor/x y/a").unwrap(),
            "/private/vendor/x y/a"
        );
        for bad in [
            "",
            "/shared",
            "/shared/",
            "/other/x",
            "/shared//x",
            "/shared/a*",
            "/shared/é",
            "/shared/a\tb",
        ] {
            assert!(canonical(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_told_with_its_place() {
        assert_eq!(parse(b"x"), Err(0));
        let good = b"posthaste-metadata 1\nA\t/shared/x\t3\na\nb\n\t/private/y\t0\n\n";
        let entries = parse(good).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[&("A".to_owned(), "/shared/x".to_owned())], b"a\nb");
        assert_eq!(parse(&good[..good.len() - 1]), Err(39));
    }
}
