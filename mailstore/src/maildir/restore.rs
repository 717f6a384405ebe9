//! Taking up where an index left off.

use std::time::{Duration, SystemTime};

use super::scan::{Age, Stamp};
use super::uidlist::UidList;
use super::{Folder, name};
use crate::durable::{Kind, Stat};
use crate::error::Error;
use crate::index::{Facts, Loaded};
use crate::table::Table;

/// What the index says of the folder as a whole: the list's file and the directories' times.
#[derive(Debug, PartialEq, Eq)]
struct Site {
    list: Stat,
    new: Stamp,
    cur: Stamp,
}

impl Site {
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(66);
        out.extend_from_slice(&self.list.len.to_le_bytes());
        out.extend_from_slice(&self.list.inode.to_le_bytes());
        put_time(&mut out, self.list.modified);
        for stamp in [self.new, self.cur] {
            put_time(&mut out, stamp.modified);
            out.push(match stamp.age {
                Age::Settled => 0,
                Age::Recent => 1,
                Age::Own => 2,
            });
        }
        out
    }

    fn read(mut octets: &[u8]) -> Option<Self> {
        let octets = &mut octets;
        let len = u64::from_le_bytes(take(octets)?);
        let inode = u64::from_le_bytes(take(octets)?);
        let modified = take_time(octets)?;
        let mut stamp = || {
            let modified = take_time(octets)?;
            let age = match take(octets)? {
                [0] => Age::Settled,
                [1] => Age::Recent,
                _ => Age::Own,
            };
            Some(Stamp { modified, age })
        };
        Some(Self {
            list: Stat {
                kind: Kind::File,
                len,
                modified,
                inode,
                mode: 0,
            },
            new: stamp()?,
            cur: stamp()?,
        })
    }
}

fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*first)
}

/// Seconds and nanoseconds since 1970; a directory of before is taken for one of 1970, and so read again.
fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    out.extend_from_slice(&since.as_secs().to_le_bytes());
    out.extend_from_slice(&since.subsec_nanos().to_le_bytes());
}

fn take_time(octets: &mut &[u8]) -> Option<SystemTime> {
    let seconds = u64::from_le_bytes(take(octets)?);
    let nanos = u32::from_le_bytes(take(octets)?);
    let since = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into()))?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Whether the list is the one that was seen.
fn same_list(a: &Stat, b: &Stat) -> bool {
    (a.len, a.inode, a.modified) == (b.len, b.inode, b.modified)
}

impl Folder {
    /// Takes the table from the index; nothing when there is none, or it is of another mailbox, else whether the list
    /// is the one that the index knows.
    pub(super) fn restore(&mut self) -> Result<Option<bool>, Error> {
        let durable = self.shared.durable.clone();
        let Some(loaded) = self.index.load(&durable, self.reserved) else {
            return Ok(None);
        };
        let Some(site) = Site::read(&loaded.state.site) else {
            self.index.discard();
            return Ok(None);
        };
        let path = self.list_path();
        let list = self.durable().stat_maybe(&path)?;
        let same_list = list.is_some_and(|list| same_list(&list, &site.list));
        if same_list {
            // The list is read when a UID is to be given.
            self.list = UidList::new(loaded.uid_validity, loaded.state.uid_next);
            self.list_loaded = false;
            self.list_seen = list;
        } else if !self.read_list(&path)? || self.list.uid_validity != loaded.uid_validity {
            self.index.discard();
            return Ok(None);
        }
        self.take(loaded, &site, same_list)?;
        Ok(Some(same_list))
    }

    fn take(&mut self, loaded: Loaded, site: &Site, same_list: bool) -> Result<(), Error> {
        let new = self.durable().stat(&self.new)?.modified;
        let cur = self.durable().stat(&self.cur)?.modified;
        let is_settled =
            |stamp: Stamp, modified| stamp.age == Age::Settled && stamp.modified == modified;
        let Loaded {
            state,
            mut messages,
            vanished,
            is_latest,
            ..
        } = loaded;
        let (mut highest, mut forgotten) = (state.highest_modseq, state.forgotten);
        self.is_alone = is_latest;
        if is_latest {
            // What a closed index does not tell is reserved anew, so that it is not taken for the latest again.
            self.ceiling = if state.closed { 0 } else { self.reserved };
        } else {
            highest = highest.max(self.reserved);
            if !same_list || !is_settled(site.new, new) || !is_settled(site.cur, cur) {
                // Sequences may have been given that the index lost: every message may have changed behind those
                // that were told.
                for message in &mut messages {
                    message.modseq = highest;
                }
                forgotten = highest;
            }
        }
        let mut dropped = Vec::new();
        if !same_list {
            let slots = &self.index.slots;
            let listed = |uid: u32| {
                let base = slots.get(uid).map(super::name_of).map(name::base);
                base.is_some_and(|base| self.list.uid(base) == Some(uid))
            };
            let uids = messages.iter().map(|message| message.uid);
            dropped = uids.filter(|uid| !listed(*uid)).collect();
        }
        // What the list gave since was not shown yet, so the next look takes it from there.
        let uid_next = state.uid_next;
        self.list.uid_next = self.list.uid_next.max(uid_next);
        self.table = Table::new(loaded.uid_validity, uid_next, highest)
            .remembering(messages, vanished, forgotten);
        self.new_stamp = Some(site.new);
        self.cur_stamp = Some(site.cur);
        if !dropped.is_empty() {
            // Another program gave their files other UIDs, or removed them. Both directories are read again; without
            // any time it would be a first look, which takes over UIDs below those that were told.
            for stamp in [&mut self.cur_stamp, &mut self.new_stamp] {
                *stamp = stamp.map(Stamp::doubted);
            }
            self.reserve_modseq()?;
            self.index.remove(&dropped);
            self.table.remove(&dropped);
        }
        Ok(())
    }

    /// Tells the index what changed.
    pub(super) fn save_index(&mut self, closed: bool) {
        let (Some(list), Some(new), Some(cur)) = (self.list_seen, self.new_stamp, self.cur_stamp)
        else {
            // Not read through; what changed stays to be told.
            return;
        };
        if self.list_suspect {
            return;
        }
        let facts = Facts {
            ceiling: self.reserved,
            site: Site { list, new, cur }.write(),
        };
        let durable = self.shared.durable.clone();
        let saved = self.index.save(
            &durable,
            &mut self.table,
            facts,
            closed,
            &mut |uid, slots, out| out.extend_from_slice(slots.get(uid).unwrap_or_default()),
        );
        if !saved {
            // The next sequence is reserved anew: the index that is left behind is then known to be old.
            self.ceiling = 0;
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.index.is_open() {
            self.save_index(true);
        }
    }
}
