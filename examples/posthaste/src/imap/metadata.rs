//! GETMETADATA and SETMETADATA (RFC 5464): annotations of mailboxes, and of the account as the server's.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use imap_proto::{
    Code, EntryName, GetMetadata, Mailbox, MetadataDepth, MetadataValue, SetMetadata, Untagged,
};
use mailstore::METADATA_VALUE_LIMIT;

use super::mailboxes::{is_special_use, name_of};
use super::{Done, Machine, Result, Session};
use crate::store::{SPECIAL_USE, StoreError, StoreResult};

/// The mailbox whose annotations are meant; none are the server's own.
fn place(mailbox: &Mailbox) -> Option<String> {
    Some(name_of(mailbox)).filter(|_| !mailbox.as_str().is_empty())
}

/// §3.2: every entry is private or shared.
fn has_scope(entry: &EntryName) -> bool {
    let name = entry.as_str();
    ["/private/", "/shared/"]
        .iter()
        .any(|scope| name.starts_with(scope))
}

/// Whether there are entries of this name, or below it.
fn may_be_asked(entry: &EntryName) -> bool {
    has_scope(entry) || matches!(entry.as_str(), "/private" | "/shared")
}

/// §3.2: those of vendors have their names, and one of their own.
fn is_whole(entry: &EntryName) -> bool {
    let components: Vec<&str> = entry.as_str().split('/').skip(1).collect();
    components.get(1) != Some(&"vendor") || components.len() >= 4
}

/// Whether one of these, or one that lies so far above, is asked for.
fn is_asked(asked: &HashSet<&str>, entry: &str, depth: MetadataDepth) -> bool {
    let mut above = entry.rmatch_indices('/').map(|(at, _)| entry.get(..at));
    let mut is_below = |of: usize| {
        let mut above = above.by_ref().take(of).flatten();
        above.any(|name| asked.contains(name))
    };
    asked.contains(entry)
        || match depth {
            MetadataDepth::Zero => false,
            MetadataDepth::One => is_below(1),
            MetadataDepth::Infinity => is_below(usize::MAX),
        }
}

impl Session<'_> {
    pub(super) async fn get_metadata(&self, get: &GetMetadata, conn: &mut Machine) -> Result<Done> {
        if !get.entries.iter().all(may_be_asked) {
            return Ok(Done::bad("An entry is below /private or /shared"));
        }
        let found = async {
            let account = self.account()?;
            account.annotations(place(&get.mailbox).as_deref()).await
        };
        let found = match found.await {
            Ok(found) => found,
            Err(error) => return Ok(Done::failed(&error)),
        };
        let asked: HashSet<&str> = get.entries.iter().map(EntryName::as_str).collect();
        let mut values: BTreeMap<EntryName, Option<Bytes>> = BTreeMap::new();
        if get.depth == MetadataDepth::Zero {
            values.extend(get.entries.iter().map(|entry| (entry.clone(), None)));
        }
        let most = get.max_size.map_or(u64::MAX, u64::from);
        let mut longest = None;
        for (entry, value) in found {
            let Ok(name) = EntryName::new(&entry) else {
                continue;
            };
            if !is_asked(&asked, &entry, get.depth) {
                continue;
            }
            let size = value.len() as u64;
            if size > most {
                longest = longest.max(Some(size));
                values.remove(&name);
            } else {
                values.insert(name, Some(value.into()));
            }
        }
        for (entry, value) in values {
            let mailbox = get.mailbox.clone();
            let values = vec![MetadataValue { entry, value }];
            conn.machine()
                .untagged(&Untagged::Metadata { mailbox, values })?;
            if conn.machine().wants_drain() {
                conn.flush().await?;
            }
        }
        let done = Done::ok("GETMETADATA completed");
        Ok(match longest {
            Some(size) => done.with(Code::MetadataLongEntries(size)),
            None => done,
        })
    }

    /// All of them or none (§4.3).
    pub(super) async fn set_metadata(&self, set: &SetMetadata) -> Done {
        let mut changes = Vec::with_capacity(set.values.len());
        for MetadataValue { entry, value } in &set.values {
            if !has_scope(entry) || !is_whole(entry) {
                return Done::bad("No entry has this name");
            }
            let size = value.as_ref().map_or(0, Bytes::len);
            if size > METADATA_VALUE_LIMIT {
                return Done::no("A value is too large")
                    .with(Code::MetadataMaxSize(METADATA_VALUE_LIMIT as u64));
            }
            // What is the server's is shared with its other users (§3.3).
            if set.mailbox.as_str().is_empty() && entry.as_str().starts_with("/shared/") {
                return Done::no("Clients set no shared annotations of the server")
                    .with(Code::NoPerm);
            }
            let is_use = |value: &Bytes| std::str::from_utf8(value).is_ok_and(is_special_use);
            if entry.as_str() == SPECIAL_USE && !value.as_ref().is_none_or(is_use) {
                // RFC 6154 §5.4.
                return Done::no("A mailbox has one of the uses of RFC 6154").with(Code::UseAttr);
            }
            let value = value.as_ref().map(|value| value.to_vec());
            changes.push((entry.as_str().to_owned(), value));
        }
        let set: StoreResult<()> = async {
            let account = self.account()?;
            account
                .annotate(place(&set.mailbox).as_deref(), changes)
                .await
        }
        .await;
        match set {
            Ok(()) => Done::ok("SETMETADATA completed"),
            Err(StoreError::Annotations) => {
                Done::no("There is no room for more").with(Code::MetadataTooMany)
            }
            Err(error) => Done::failed(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_below_others() {
        let asked: HashSet<&str> = ["/private/a", "/shared/x/y"].into();
        let is = |entry, depth| is_asked(&asked, entry, depth);
        let (zero, one) = (MetadataDepth::Zero, MetadataDepth::One);
        assert!(is("/private/a", zero) && !is("/private/a/b", zero));
        assert!(is("/private/a/b", one) && !is("/private/a/b/c", one));
        assert!(!is("/private/ab", one) && !is("/shared/x", one));
        let all = MetadataDepth::Infinity;
        assert!(is("/private/a/b/c", all) && is("/shared/x/y", all));
        assert!(!is("/private/ab/c", all) && !is("/shared/x/z/y", all));
    }
}
