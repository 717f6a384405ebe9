//! Messages that somebody reads while the mbox is written over.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Site;
use super::scan::Found;
use crate::durable::{Durable, File, Readable, Stat, read_from, read_full_at};
use crate::error::{Error, IoContext};

/// A message of more octets is kept in a file.
const IN_MEMORY: u64 = 64 << 10;
const PART: usize = 64 << 10;
/// Octets of the `From ` line that are looked at again.
const LINE: u64 = 256;

/// A message's part of the mbox, which stays what it was when the mbox is written over: this process keeps a copy
/// before it does so. When another program does, reading fails.
pub(super) struct Lent {
    mbox: Arc<dyn File>,
    from: u64,
    end: u64,
    /// What stood at its beginning.
    line: Vec<u8>,
    kept: RwLock<Option<Kept>>,
}

enum Kept {
    Octets(Vec<u8>),
    File(Box<dyn File>),
}

impl Lent {
    pub(super) fn new(mbox: &Arc<dyn File>, found: &Found, path: &Path) -> Result<Self, Error> {
        let len = (found.header - found.from).min(LINE);
        let mut line = vec![0; usize::try_from(len).unwrap_or_default()];
        let read = read_full_at(&**mbox, &mut line, found.from).at("read", path)?;
        line.truncate(read);
        Ok(Self {
            mbox: Arc::clone(mbox),
            from: found.from,
            end: found.end,
            line,
            kept: RwLock::new(None),
        })
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Copies the message, so that the mbox can be written over.
    pub(super) fn keep(&self, durable: &Durable, site: &Site) -> Result<(), Error> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            return Ok(());
        }
        let octets = self.end - self.from;
        if octets <= IN_MEMORY {
            let mut copy = vec![0; usize::try_from(octets).unwrap_or_default()];
            let read = read_full_at(&*self.mbox, &mut copy, self.from).at("read", &site.file)?;
            copy.truncate(read);
            *kept = Some(Kept::Octets(copy));
            return Ok(());
        }
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = site.lent(COUNT.fetch_add(1, Ordering::Relaxed));
        if let Some(directory) = path.parent() {
            durable.make_dir(directory)?;
        }
        durable.remove(&path)?;
        let file = durable.create(&path)?;
        // It lasts as long as its reader; what a crash leaves is swept with what was on its way in.
        durable.remove(&path)?;
        let mut part = vec![0; PART];
        let mut at = self.from;
        while at < self.end {
            let want = usize::try_from(self.end - at).unwrap_or(PART).min(PART);
            let room = part.get_mut(..want).unwrap_or_default();
            let read = read_full_at(&*self.mbox, room, at).at("read", &site.file)?;
            if read == 0 {
                break;
            }
            file.write_all_at(part.get(..read).unwrap_or_default(), at - self.from)
                .at("write", &path)?;
            at += read as u64;
        }
        *kept = Some(Kept::File(file));
        Ok(())
    }

    /// Whether the message still stands where it did.
    fn is_there(&self) -> io::Result<bool> {
        let mut line = vec![0; self.line.len()];
        let read = read_full_at(&*self.mbox, &mut line, self.from)?;
        Ok(line.get(..read) == Some(&self.line))
    }
}

impl Readable for Arc<Lent> {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = &*kept else {
            let read = self.mbox.read_at(buf, at)?;
            if !self.is_there()? {
                return Err(io::Error::other(
                    "another program changed the mbox while it was read",
                ));
            }
            return Ok(read);
        };
        let at = at.saturating_sub(self.from);
        match kept {
            Kept::Octets(octets) => Ok(read_from(octets, buf, at)),
            Kept::File(file) => file.read_at(buf, at),
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        self.mbox.stat()
    }
}
