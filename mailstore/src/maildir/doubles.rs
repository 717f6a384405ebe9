//! Files that have the base of another message.
//!
//! A base is one message's. Two files may have the same all the same: another program copied one, or put mail back that
//! was still there. To the list they are one message, and the next change of its flags would put the one in the other's
//! place. So where they hold different mail, the one that no session was told of gets a base of its own, as Dovecot
//! does it. Where they hold the same, they are one message: a repair takes the second one away.

use std::path::Path;
use std::time::SystemTime;

use super::scan::{Found, stat_message};
use super::{Entry, Folder, name};
use crate::durable::{Durable, read_full_at};
use crate::error::{Error, IoContext};

const PART: usize = 64 << 10;

impl Folder {
    /// Of what was found in `new`, the files in `cur` that have the same bases.
    pub(super) fn known_elsewhere(&self, found: &Found) -> Vec<Entry> {
        let known = found.iter().filter_map(|(base, entry)| {
            let known = self.entry(self.list.uid(base)?)?;
            (known != *entry).then_some(known)
        });
        known.collect()
    }

    /// Gives files among `doubles` that are there, and are not what was found of their base, bases of their own.
    pub(super) fn part(
        &mut self,
        found: &mut Found,
        doubles: Vec<Entry>,
        now: SystemTime,
    ) -> Result<(), Error> {
        let mut lock = None;
        let mut parted = false;
        for double in doubles {
            let base: Box<[u8]> = name::base(&double.name).into();
            let Some(kept) = found.get(&base).filter(|kept| **kept != double) else {
                continue;
            };
            // Most were renamed while they were looked for, so that one of the names is gone.
            let Some(stat) = stat_message(self.durable(), &self.entry_path(&double))? else {
                continue;
            };
            let Some(of_kept) = stat_message(self.durable(), &self.entry_path(kept))? else {
                found.insert(base, double);
                continue;
            };
            if stat.inode == of_kept.inode {
                continue;
            }
            let known = self.list.uid(&base).and_then(|uid| self.entry(uid));
            let (kept, other) = if known.as_ref() == Some(&double) {
                let other = found.insert(base.clone(), double);
                let Some(kept) = found.get(&base) else {
                    continue;
                };
                (kept, other)
            } else {
                (kept, Some(double))
            };
            let Some(other) = other else { continue };
            if stat.len == of_kept.len && self.is_same(kept, &other)? {
                continue;
            }
            if lock.is_none() {
                // Dovecot gives names under it too.
                lock = Some(self.lock_list(now)?);
            }
            if let Some(entry) = self.give_base(&other, now)? {
                found.insert(name::base(&entry.name).into(), entry);
                parted = true;
            }
        }
        drop(lock);
        if parted {
            // Before anybody is told of them by their new names.
            self.durable().sync_dir(&self.cur)?;
        }
        Ok(())
    }

    /// Nothing where it cannot be renamed, or is gone.
    fn give_base(&self, entry: &Entry, now: SystemTime) -> Result<Option<Entry>, Error> {
        let (flags, keywords) = name::flags(&entry.name);
        let base = name::fresh(now, self.shared.count(), &self.shared.host);
        let to = name::with_flags(base.as_bytes(), flags, keywords);
        match self.rename_file(entry, &self.entry_path(entry), &to) {
            Ok(()) => Ok(Some(Entry {
                name: to.into(),
                in_new: false,
            })),
            Err(error) if error.is_not_found() || error.is_not_allowed() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether two files of one length hold the same; also when one is gone meanwhile.
    fn is_same(&self, one: &Entry, other: &Entry) -> Result<bool, Error> {
        match same_content(
            self.durable(),
            &self.entry_path(one),
            &self.entry_path(other),
        ) {
            Err(error) if error.is_not_found() => Ok(true),
            // What cannot be read is no message's copy, and keeps nobody from the others.
            Err(error) if error.is_no_file_of_ours() || error.is_not_allowed() => Ok(true),
            other => other,
        }
    }
}

fn same_content(durable: &Durable, one: &Path, other: &Path) -> Result<bool, Error> {
    let files = [durable.open_own(one)?, durable.open_own(other)?];
    let [mut of_one, mut of_other] = [vec![0; PART], vec![0; PART]];
    let mut at = 0;
    loop {
        let read = read_full_at(&*files[0], &mut of_one, at).at("read", one)?;
        let also = read_full_at(&*files[1], &mut of_other, at).at("read", other)?;
        if read != also || of_one.get(..read) != of_other.get(..read) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        at += read as u64;
    }
}
