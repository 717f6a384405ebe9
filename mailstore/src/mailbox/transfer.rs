//! Messages on their way from one mailbox into another.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::Mailbox;
use crate::account::Site;
use crate::backend::{Backend, Item, Source};
use crate::error::Error;
use crate::quota::QuotaUsed;
use crate::table::{Message, Snapshot};

/// So often are messages copied or moved that another program renames at the same time.
const TRIES: usize = 4;

/// Where copied messages are (RFC 4315 §3, COPYUID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uid_validity: u32,
    /// Each source UID with the UID of its copy, in the order of the source. Messages that were expunged
    /// meanwhile are left out.
    pub uids: Vec<(u32, u32)>,
}

impl Mailbox {
    /// Copies messages with their flags, keywords and internal dates, all or none (RFC 9051 §6.4.7).
    ///
    /// # Errors
    /// The disk fails, or the target has no room for a keyword.
    pub fn copy(&self, uids: &[u32], target: &Self, now: SystemTime) -> Result<Copied, Error> {
        again_where_renamed(|| self.copy_into(uids, target, None, now))
    }

    fn copy_into(
        &self,
        uids: &[u32],
        target: &Self,
        freed: Option<&Self>,
        now: SystemTime,
    ) -> Result<Copied, Error> {
        let links = matches!(
            (&self.site, &target.site),
            (Site::Maildir(_), Site::Maildir(_))
        );
        let (mut items, mut sources) = (
            Vec::with_capacity(uids.len()),
            Vec::with_capacity(uids.len()),
        );
        let mut taken = HashSet::new();
        for &uid in uids.iter().filter(|uid| taken.insert(**uid)) {
            match self.original(uid, target, links, now) {
                Ok(Some(item)) => {
                    sources.push(uid);
                    items.push(item);
                }
                Ok(None) | Err(Error::NoSuchMessage(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let freed = match freed {
            Some(mailbox) => Some((mailbox, target.need(&items)?)),
            None => None,
        };
        let admission = target.admit(&items, freed, now)?;
        let copied = target.changing(now, |folder| {
            let uids = folder.place(items, now)?;
            let uid_validity = folder.table().view().uid_validity;
            Ok(Copied {
                uid_validity,
                uids: sources.into_iter().zip(uids).collect(),
            })
        })?;
        admission.done(&target.shared);
        Ok(copied)
    }

    /// A message of this mailbox as it goes into another; `None` when it is gone.
    fn original(
        &self,
        uid: u32,
        target: &Self,
        links: bool,
        now: SystemTime,
    ) -> Result<Option<Item>, Error> {
        let view = self.snapshot();
        let Some(message) = view.message(uid) else {
            return Ok(None);
        };
        let link = if links {
            self.with(now, |folder| folder.link(uid, now))?
        } else {
            None
        };
        let (source, size) = match link {
            Some(link) => (Source::Link(link), message.size),
            None => {
                let mut incoming = target.incoming(now)?;
                let mut reader = self.reader(uid, now)?;
                incoming.write_all_from(&mut reader)?;
                let (source, size) = incoming.seal(message.internal_date)?;
                (source, Some(size))
            }
        };
        Ok(Some(item(&view, message, source, size)))
    }

    /// Moves messages with their flags, keywords and internal dates (RFC 6851 §3.3). Between Maildir mailboxes of one
    /// account each file gets its new name in one step: a message is in the one mailbox or in the other, whatever
    /// comes between. Otherwise the messages are copied and then expunged, all or none, and a crash in between leaves
    /// both: no message is lost by it, and a client that moves again what is still there ends with the copy twice.
    ///
    /// # Errors
    /// As [`copy`](Self::copy) and [`expunge`](Self::expunge).
    pub fn move_to(&self, uids: &[u32], target: &Self, now: SystemTime) -> Result<Copied, Error> {
        if let Some(moved) = again_where_renamed(|| self.move_files(uids, target, now))? {
            return Ok(moved);
        }
        let copied = again_where_renamed(|| self.copy_into(uids, target, Some(self), now))?;
        let sources: Vec<u32> = copied.uids.iter().map(|&(source, _)| source).collect();
        self.expunge(&sources, now)?;
        Ok(copied)
    }

    /// `None` where files cannot get another name: in other formats, and from one file system to another.
    fn move_files(
        &self,
        uids: &[u32],
        target: &Self,
        now: SystemTime,
    ) -> Result<Option<Copied>, Error> {
        let both = (&self.site, &target.site);
        let (Site::Maildir(from), Site::Maildir(to)) = both else {
            return Ok(None);
        };
        if from == to || !Arc::ptr_eq(&self.shared, &target.shared) {
            return Ok(None);
        }
        let result = if from < to {
            self.with(now, |source| {
                target.with(now, |folder| {
                    self.rename_into(uids, source, target, folder, now)
                })
            })
        } else {
            target.with(now, |folder| {
                self.with(now, |source| {
                    self.rename_into(uids, source, target, folder, now)
                })
            })
        };
        if matches!(&result, Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::CrossesDevices)
        {
            return Ok(None);
        }
        // After an error too: part of the change may be done.
        for mailbox in [target, self] {
            mailbox.notify();
        }
        result.map(Some)
    }

    fn rename_into(
        &self,
        uids: &[u32],
        source: &mut dyn Backend,
        target: &Self,
        folder: &mut dyn Backend,
        now: SystemTime,
    ) -> Result<Copied, Error> {
        let seen = source.is_seen();
        let (mut items, mut sources) = (Vec::new(), Vec::new());
        let mut taken = HashSet::new();
        for &uid in uids.iter().filter(|uid| taken.insert(**uid)) {
            let link = match source.link(uid, now) {
                Ok(Some(link)) => link,
                Ok(None) | Err(Error::NoSuchMessage(_)) => continue,
                Err(error) => return Err(error),
            };
            let view = source.table().view();
            let Some(message) = view.message(uid) else {
                continue;
            };
            items.push(item(view, message, Source::Move(link), message.size));
            sources.push(uid);
        }
        let mut octets = 0u64;
        for item in &items {
            octets = octets.saturating_add(item.source.octets(&self.shared.durable)?);
        }
        let freed = (self, target.need(&items)?);
        let admission = target.admit(&items, Some(freed), now)?;
        let placed = folder.place(items, now)?;
        let less = QuotaUsed {
            storage: octets,
            messages: placed.len() as u64,
        };
        admission.done(&target.shared);
        self.shared.quota.release(&self.shared, &self.name, less);
        let uid_validity = folder.table().view().uid_validity;
        let mut gone = sources.clone();
        gone.sort_unstable();
        source.moved_away(&gone, seen, now)?;
        Ok(Copied {
            uid_validity,
            uids: sources.into_iter().zip(placed).collect(),
        })
    }
}

/// Messages come in all or none, so when another program gave one another name meanwhile, it is looked for and all are
/// tried again.
fn again_where_renamed<T>(mut act: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..TRIES {
        match act() {
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
    }
    act()
}

/// A message as it goes into another mailbox.
fn item(view: &Snapshot, message: &Message, source: Source, size: Option<u64>) -> Item {
    Item {
        source,
        flags: message.flags,
        keywords: view
            .keywords(message)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        internal_date: message.internal_date,
        size,
    }
}
