//! Writing the journal of a change: see [`Redo`].

use std::path::{Path, PathBuf};

use super::redo::Redo;
use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};

/// What a journal begins with.
pub(super) const MAGIC: &[u8; 8] = b"PHREWRT1";
/// Octets before the first that is written over the mbox.
pub(super) const HEADER: usize = 80;
/// What comes to the disk whole or not at all.
pub(super) const BLOCK: u64 = 512;
pub(super) const PART: usize = 64 << 10;
/// Zeros behind the new end, which tell a file that is still to be cut from one that was cut and appended to.
const MARK: u64 = 8;

/// A journal being written.
pub(super) struct Draft<'a> {
    durable: &'a Durable,
    path: &'a Path,
    temporary: PathBuf,
    file: Box<dyn File>,
    mbox: &'a dyn File,
    mbox_path: &'a Path,
    inode: u64,
    old_len: u64,
    runs: Vec<(u64, u64)>,
    /// Where the last run begins.
    start: u64,
    buffer: Vec<u8>,
    written: u64,
    hasher: crc32fast::Hasher,
    last: u8,
    published: bool,
}

impl<'a> Draft<'a> {
    /// A journal for the mbox as it is now.
    pub(super) fn begin(
        durable: &'a Durable,
        path: &'a Path,
        mbox: &'a dyn File,
        mbox_path: &'a Path,
    ) -> Result<Self, Error> {
        let stat = mbox.stat().at("stat", mbox_path)?;
        if let Some(directory) = path.parent() {
            durable.make_dir(directory)?;
        }
        let temporary = path.with_extension("rewrite-tmp");
        durable.remove(&temporary)?;
        Ok(Self {
            file: durable.create(&temporary)?,
            durable,
            path,
            temporary,
            mbox,
            mbox_path,
            inode: stat.inode,
            old_len: stat.len,
            runs: Vec::new(),
            start: stat.len,
            buffer: Vec::new(),
            written: HEADER as u64,
            hasher: crc32fast::Hasher::new(),
            last: b'\n',
            published: false,
        })
    }

    /// The length of the mbox before.
    pub(super) fn old_len(&self) -> u64 {
        self.old_len
    }

    /// What is put from now on belongs to this place. The last run begins with a message, or where the mbox ends,
    /// and ends where the mbox is to end.
    pub(super) fn run(&mut self, place: u64) {
        self.runs.push((place, 0));
        self.start = place;
        self.last = b'\n';
    }

    /// The octet put last in this run; a line end at its beginning.
    pub(super) fn last(&self) -> u8 {
        self.last
    }

    pub(super) fn put(&mut self, octets: &[u8]) -> Result<(), Error> {
        let Some(&last) = octets.last() else {
            return Ok(());
        };
        self.last = last;
        if let Some((place, len)) = self.runs.last_mut() {
            let place = *place;
            *len += octets.len() as u64;
            let end = place + *len;
            if place < self.old_len && end > self.old_len {
                *len = self.old_len - place;
                self.runs.push((self.old_len, end - self.old_len));
            }
        }
        self.raw(octets)
    }

    fn raw(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(octets);
        if self.buffer.len() >= PART {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.hasher.update(&self.buffer);
        self.file
            .write_all_at(&self.buffer, self.written)
            .at("write", &self.temporary)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Puts octets of a file.
    pub(super) fn copy(
        &mut self,
        from: &dyn File,
        path: &Path,
        mut start: u64,
        end: u64,
    ) -> Result<(), Error> {
        let mut part = vec![0; PART];
        while start < end {
            let want = usize::try_from(end - start).unwrap_or(PART).min(PART);
            let room = part.get_mut(..want).unwrap_or_default();
            if read_full_at(from, room, start).at("read", path)? < want {
                return Err(cut(path, start));
            }
            self.put(part.get(..want).unwrap_or_default())?;
            start += want as u64;
        }
        Ok(())
    }

    /// Ends the journal and gives it its name, durably. `rescue`: the mbox is not whole without it.
    ///
    /// # Errors
    /// There may be a journal of the name all the same, when its directory cannot be synced.
    pub(super) fn publish(mut self, rescue: bool) -> Result<Redo, Error> {
        let new_len = self
            .runs
            .last()
            .map_or(self.old_len, |(place, len)| place + len);
        if new_len < self.old_len {
            let mark = MARK.min(self.old_len - new_len);
            self.runs.push((new_len, 0));
            self.put(
                [0; 8]
                    .get(..usize::try_from(mark).unwrap_or(8))
                    .unwrap_or_default(),
            )?;
        }
        self.runs.retain(|(_, len)| *len > 0);
        let runs = self.runs.clone();
        let table = self.written + self.buffer.len() as u64;
        for (place, len) in &runs {
            self.raw(&place.to_le_bytes())?;
            self.raw(&len.to_le_bytes())?;
        }
        for (place, len) in &runs {
            if *place < self.old_len {
                self.sums(*place, *len)?;
            }
        }
        self.flush()?;
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        for number in [
            self.inode,
            self.old_len,
            new_len,
            self.start,
            table,
            runs.len() as u64,
        ] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        header.extend_from_slice(&u32::from(rescue).to_le_bytes());
        header.extend_from_slice(&self.hasher.clone().finalize().to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        header.resize(HEADER, 0);
        self.file
            .write_all_at(&header, 0)
            .at("write", &self.temporary)?;
        self.durable.sync(&*self.file, &self.temporary)?;
        self.durable.rename(&self.temporary, self.path)?;
        self.published = true;
        if let Some(directory) = self.path.parent() {
            self.durable.sync_dir(directory)?;
        }
        Redo::open(self.durable, self.path)?.ok_or_else(|| cut(self.path, 0))
    }

    /// A sum of each block that a run replaces.
    fn sums(&mut self, place: u64, len: u64) -> Result<(), Error> {
        let mut part = vec![0; PART];
        let (mut at, end) = (place, place + len);
        while at < end {
            // Parts end where blocks do.
            let stop = (at - at % PART as u64 + PART as u64).min(end);
            let want = usize::try_from(stop - at).unwrap_or(PART);
            let room = part.get_mut(..want).unwrap_or_default();
            if read_full_at(self.mbox, room, at).at("read", self.mbox_path)? < want {
                return Err(cut(self.mbox_path, at));
            }
            for block in blocks(part.get(..want).unwrap_or_default(), at) {
                let sum = crc32fast::hash(block);
                self.raw(&sum.to_le_bytes())?;
            }
            at = stop;
        }
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.published {
            // The next draft would remove it too.
            let _ = self.durable.remove(&self.temporary);
        }
    }
}

pub(super) fn cut(path: &Path, at: u64) -> Error {
    Error::Corrupt {
        path: path.to_owned(),
        at,
        what: "the file was cut while it was read",
    }
}

/// Octets that stand at a place, cut where blocks of the disk end.
pub(super) fn blocks(mut octets: &[u8], mut at: u64) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let room = usize::try_from(BLOCK - at % BLOCK).unwrap_or(octets.len());
        let (block, rest) = octets.split_at(room.min(octets.len()));
        octets = rest;
        at += block.len() as u64;
        (!block.is_empty()).then_some(block)
    })
}

/// Blocks that a run of so many octets touches.
pub(super) fn block_count(place: u64, len: u64) -> u64 {
    (place + len).div_ceil(BLOCK) - place / BLOCK
}
