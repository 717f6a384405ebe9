//! What of a mailbox's state its files keep: UIDs and modification sequences, given so that no process gives one twice.

use std::sync::Arc;
use std::time::SystemTime;

use super::Folder;
use super::locks::{Locked, lock};
use super::scan::Found;
use super::side::{self, Known, Side};
use crate::error::Error;
use crate::maildir::above_all;
use crate::object_id::ObjectId;

impl Folder {
    /// The state file, or what the mbox says when it was another program's so far or the file is damaged: true for
    /// that.
    pub(super) fn open_side(&mut self, found: &[Found], now: SystemTime) -> Result<bool, Error> {
        let path = self.site.state();
        let mut base = found.first().and_then(|first| first.meta.base);
        let mut modseq = 0;
        let is_damaged = match Side::look(self.durable(), &path)? {
            Known::Side(side) => {
                self.side = side;
                return Ok(false);
            }
            Known::Nothing => false,
            Known::Damaged => {
                side::put_aside(self.durable(), &path)?;
                // UIDs are what they were only when every message bears its own; what had none in the file, and
                // which were given behind the last one told there, is lost.
                base = base.filter(|(_, last)| are_labelled(found, *last));
                modseq = above_all(now);
                true
            }
        };
        let (uid_validity, last) = match base {
            Some(base) => base,
            None => (self.shared.next_uid_validity(now)?, 0),
        };
        self.side = Side {
            uid_validity,
            uid_next: last.saturating_add(1),
            modseq_ceiling: modseq,
            modseq_changed: modseq,
            object_id: ObjectId::fresh(&path)?,
            ..Side::default()
        };
        self.side.uid_ceiling = self.side.uid_next;
        let side = self.side.clone();
        self.write_side(&side)?;
        Ok(is_damaged)
    }

    pub(super) fn lock(&mut self, now: SystemTime) -> Result<Locked, Error> {
        self.locked_at = now;
        let locked = lock(&self.shared, &self.site, self.file.as_ref(), now)?;
        self.file = Some(Arc::clone(&locked.file));
        let path = self.site.state();
        let known = Side::look(self.durable(), &path)?;
        if matches!(known, Known::Damaged) {
            // What this process knows is what was told.
            side::put_aside(self.durable(), &path)?;
            let side = self.side.clone();
            self.write_side(&side)?;
        }
        // Another process may have given UIDs and sequences since; it wrote them under this lock.
        if let Known::Side(side) = known {
            self.side_seen = self.durable().stat_maybe(&self.site.state())?;
            let outrun = side.modseq_ceiling != self.side.modseq_ceiling;
            if outrun && side.modseq_changed == self.side.modseq_changed {
                // Another process shows sequences, and changed nothing. What it does from now on is above its range,
                // as is what is done here.
                let below = side.modseq_ceiling.saturating_sub(side::RESERVE_MODSEQ);
                self.table.raise_modseq(below);
                self.must_reserve = true;
            } else if outrun {
                // What was changed there and back cannot be seen any more.
                self.must_reserve = true;
                self.doubts = true;
                self.read_anew();
            }
            self.side = side;
        }
        Ok(locked)
    }

    pub(super) fn write_side(&mut self, side: &Side) -> Result<(), Error> {
        let path = self.site.state();
        side.write(self.durable(), &path)?;
        self.side_seen = self.durable().stat_maybe(&path)?;
        Ok(())
    }

    /// One modification sequence for all of a change.
    pub(super) fn modseq(&mut self, modseq: &mut Option<u64>) -> Result<u64, Error> {
        match modseq {
            Some(modseq) => Ok(*modseq),
            None => {
                self.reserve_modseq()?;
                Ok(*modseq.insert(self.table.next_modseq()))
            }
        }
    }

    /// Tells the other processes that this one is there, unless the index says that there is none: what it shows from
    /// now on may be above what they reserved.
    pub(super) fn announce(&mut self) {
        if !self.is_alone {
            // A full disk, or one that may not be written to, does not keep anybody from reading.
            self.must_reserve = self.reserve(false).is_err();
        }
    }

    pub(super) fn reserve_modseq(&mut self) -> Result<(), Error> {
        let next = self.table.view().highest_modseq + 1;
        let own = self.doubts || self.side.modseq_changed == self.side.modseq_ceiling;
        if next < self.side.modseq_ceiling && own && !self.must_reserve {
            return Ok(());
        }
        self.reserve(!self.doubts)
    }

    pub(super) fn reserve(&mut self, changes: bool) -> Result<(), Error> {
        let mut side = self.side.clone();
        self.table.raise_modseq(side.modseq_ceiling);
        side.reserve_modseq(self.table.view().highest_modseq, changes);
        self.write_side(&side)?;
        self.side = side;
        self.must_reserve = false;
        Ok(())
    }

    pub(super) fn object_id_now(&mut self, now: SystemTime) -> Result<ObjectId, Error> {
        if self.side.object_id.is_none() {
            let _locked = self.lock(now)?;
            if self.side.object_id.is_none() {
                let mut side = self.side.clone();
                side.object_id = ObjectId::fresh(&self.site.state())?;
                self.write_side(&side)?;
                self.side = side;
            }
        }
        Ok(self.side.object_id)
    }
}

/// Whether each message bears a UID, ascending and up to `last`.
fn are_labelled(found: &[Found], last: u32) -> bool {
    let uids = || found.iter().map(|found| found.meta.uid);
    uids().all(|uid| (1..=last).contains(&uid)) && uids().is_sorted_by(|one, next| one < next)
}
