//! One order of the changes that all processes make: modification sequences (RFC 7162 §3.1) and who gives them.
//!
//! A process gives sequences of a range that it reserved in `posthaste-modseq`. Whoever finds that another one reserved
//! since looks at what that one did and goes on above its range, so that a sequence is never given twice, and none is
//! given below one that a session of another process may have been told before. What was changed there and back in
//! between cannot be seen any more, so every message then counts as changed. A lock keeps the looking, the change and
//! its sequence together.

use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use super::Folder;
use crate::durable::{Durable, Stat};
use crate::error::Error;
use crate::lock::DotLock;

pub(super) const MODSEQ: &str = "posthaste-modseq";
/// Modification sequences reserved by one write of that file.
const RESERVE: u64 = 4096;
/// No mailbox comes so far; a file that says so was written by somebody else. Sequences have 63 bits.
const GREATEST: u64 = 1 << 62;
/// So often is the lock tried for, with pauses that grow to 50 ms: about 30 seconds.
const TRIES: u64 = 640;

/// What the disk says of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    /// None from there on was given.
    pub(super) ceiling: u64,
    /// The end of the range that was reserved last for changes, and not only for being shown.
    pub(super) changed: u64,
}

/// A file that says no such thing is passed over for numbers that are above all that can have been given.
pub(super) fn read_modseq(
    durable: &Durable,
    folder: &Path,
    now: SystemTime,
) -> Result<(Reserved, Option<Stat>), Error> {
    let path = folder.join(MODSEQ);
    let at = |ceiling| Reserved {
        ceiling,
        changed: ceiling,
    };
    match durable.read_maybe(&path, 64) {
        Ok(None) => Ok((at(1), None)),
        Ok(Some((content, stat))) => {
            let reserved = parse_modseq(&content).unwrap_or_else(|| at(above_all(now)));
            Ok((reserved, Some(stat)))
        }
        Err(error) if error.is_no_file_of_ours() => {
            Ok((at(above_all(now)), durable.stat_maybe(&path)?))
        }
        Err(error) => Err(error),
    }
}

pub(super) fn parse_modseq(content: &[u8]) -> Option<Reserved> {
    let mut words = std::str::from_utf8(content).ok()?.trim_end().split(' ');
    let ceiling: u64 = words.next()?.parse().ok()?;
    let changed = match words.next() {
        Some(word) => word.parse().ok()?,
        None => ceiling,
    };
    let whole = words.next().is_none() && ceiling <= GREATEST && changed <= ceiling;
    whole.then_some(Reserved { ceiling, changed })
}

/// More than a sequence for each microsecond since 1970.
pub(crate) fn above_all(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.unwrap_or(Duration::from_secs(1)).as_secs();
    seconds.max(1).saturating_mul(1 << 20).min(GREATEST)
}

impl Folder {
    /// Does what gives sequences while no other process does.
    pub(super) fn ordered<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.in_order {
            return act(self);
        }
        let claimed = self.claim()?;
        self.in_order = true;
        let done = act(self);
        self.in_order = false;
        if claimed && let Some(order) = &self.order {
            // A lock that cannot be given back goes with its handle.
            if order.unclaim().is_err() {
                self.order = None;
            }
        }
        done
    }

    /// False where there are no such locks: the order is then that of one process.
    fn claim(&mut self) -> Result<bool, Error> {
        if self.order.is_none() {
            self.order = self.durable().open(&self.cur).ok();
        }
        let Some(order) = &self.order else {
            return Ok(false);
        };
        for attempt in 1..=TRIES {
            match order.try_claim() {
                Ok(true) => return Ok(true),
                Ok(false) => thread::sleep(Duration::from_millis(attempt.min(50))),
                Err(_) => return Ok(false),
            }
        }
        Err(Error::Locked {
            path: self.cur.clone(),
        })
    }

    /// Another process reserved sequences since this one looked.
    pub(super) fn is_outrun(&self) -> Result<bool, Error> {
        let stat = self.durable().stat_maybe(&self.path.join(MODSEQ))?;
        Ok(stat != self.modseq_seen)
    }

    /// Before a change: what another process did is seen, so that it has the lower sequence here too.
    pub(super) fn catch_up(&mut self, now: SystemTime) -> Result<(), Error> {
        if self.is_outrun()? {
            self.look(now, true)?;
        }
        self.reserve_modseq()
    }

    /// Before a look: makes what others did since the last one be told with all the rest, if they changed anything.
    pub(super) fn begin_look(&mut self) -> Result<(), Error> {
        if self.is_outrun()? {
            let (reserved, _) = read_modseq(self.durable(), &self.path, self.now)?;
            self.doubts = reserved.changed != self.changed;
            if self.doubts {
                self.reserve(false)?;
            }
        }
        Ok(())
    }

    /// Behind a look.
    pub(super) fn end_look(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.doubts) {
            self.table.doubt_all();
        }
        if self.is_outrun()? {
            // Another process shows sequences, and changed nothing. What it does from now on is above its range, as is
            // what is done here.
            let (reserved, seen) = read_modseq(self.durable(), &self.path, self.now)?;
            self.table
                .raise_modseq(reserved.ceiling.saturating_sub(RESERVE));
            self.modseq_seen = seen;
            self.ceiling = 0;
        }
        Ok(())
    }

    /// Tells the other processes that this one is there, unless the index says that there is none: what it shows from
    /// now on may be above what they reserved.
    pub(super) fn announce(&mut self) {
        if !self.is_alone {
            // A full disk, or one that may not be written to, does not keep anybody from reading.
            if self.reserve(false).is_err() {
                self.ceiling = 0;
            }
        }
    }

    /// Makes sure that the next modification sequence is below what the disk says may have been given, and above what
    /// others have given.
    pub(super) fn reserve_modseq(&mut self) -> Result<(), Error> {
        let next = self.table.view().highest_modseq + 1;
        let own = next < self.ceiling && (self.doubts || self.changed == self.ceiling);
        if own && !self.is_outrun()? {
            return Ok(());
        }
        self.reserve(!self.doubts)
    }

    fn reserve(&mut self, changes: bool) -> Result<(), Error> {
        let lock = self.path.join("posthaste-modseq.lock");
        let _lock = DotLock::acquire(self.durable(), lock, &self.shared.host, self.now)?;
        let (reserved, _) = read_modseq(self.durable(), &self.path, self.now)?;
        self.table.raise_modseq(reserved.ceiling);
        let ceiling = self.table.view().highest_modseq.saturating_add(RESERVE);
        let changed = if changes { ceiling } else { reserved.changed };
        let path = self.path.join(MODSEQ);
        self.durable()
            .replace(&path, format!("{ceiling} {changed}\n").as_bytes())?;
        self.modseq_seen = self.durable().stat_maybe(&path)?;
        self.ceiling = ceiling;
        self.reserved = ceiling;
        self.changed = changed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_nobody_wrote() {
        let read = |content: &[u8]| parse_modseq(content).map(|read| (read.ceiling, read.changed));
        assert_eq!(read(b"4097\n"), Some((4097, 4097)));
        assert_eq!(read(b"8193 4097\n"), Some((8193, 4097)));
        for bad in [
            &b""[..],
            b"x",
            b"-1",
            b"18446744073709551615",
            b"\xff",
            b"1 2",
        ] {
            assert_eq!(read(bad), None);
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert!(above_all(now) > 1_800_000_000_000_000);
        assert!(above_all(SystemTime::UNIX_EPOCH) > 0);
    }
}
