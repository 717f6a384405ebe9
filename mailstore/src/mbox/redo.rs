//! `.posthaste/NAME.rewrite`: what an mbox is to be, whole on the disk before the first octet of it is written over.
//!
//! Other programs do not know this journal, and may have appended behind what a crash left, or written over it.

use std::path::{Path, PathBuf};

use super::draft::{BLOCK, Draft, HEADER, MAGIC, PART, block_count, blocks, cut};
use super::side;
use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};

/// Octets of a run in the table.
const ENTRY: usize = 16;
/// No mbox comes so far.
const GREATEST: u64 = 1 << 62;

/// Octets of the mbox that are to be written over. None crosses the old end of the file.
#[derive(Clone, Copy, Debug)]
struct Run {
    place: u64,
    len: u64,
    /// Where its octets are in the journal.
    data: u64,
    /// Where the sums of the blocks that it replaces are.
    sums: u64,
}

/// What the mbox is, seen beside its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// As it is to be, whatever came behind it.
    Done,
    /// As it was, but for zeros at its end: it is to be as long as this.
    Untouched(u64),
    /// In part as it was and in part as it is to be. What stands from here on is somebody else's.
    Half(u64),
    /// Somebody else has written over it.
    Foreign,
}

/// A whole journal.
pub(super) struct Redo {
    path: PathBuf,
    file: Box<dyn File>,
    inode: u64,
    old_len: u64,
    new_len: u64,
    start: u64,
    rescue: bool,
    runs: Vec<Run>,
}

impl Redo {
    /// The journal; `None` when there is none that is whole. One that has its name and is not whole was damaged since
    /// it was written: it is kept, as there may be mail in it.
    pub(super) fn open(durable: &Durable, path: &Path) -> Result<Option<Self>, Error> {
        let file = match durable.open_own(path) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.is_no_file_of_ours() => {
                return side::put_aside(durable, path).map(|()| None);
            }
            Err(error) => return Err(error),
        };
        let read = Self::read(file, path).at("read", path)?;
        if read.is_none() {
            side::put_aside(durable, path)?;
        }
        Ok(read)
    }

    fn read(file: Box<dyn File>, path: &Path) -> std::io::Result<Option<Self>> {
        let mut header = [0; HEADER];
        if read_full_at(&*file, &mut header, 0)? < HEADER || !header.starts_with(MAGIC) {
            return Ok(None);
        }
        let number = |at: usize| {
            let octets = header.get(at..).and_then(<[u8]>::first_chunk);
            octets.map_or(0, |octets| u64::from_le_bytes(*octets))
        };
        let word = |at: usize| {
            let octets = header.get(at..).and_then(<[u8]>::first_chunk);
            octets.map_or(0, |octets| u32::from_le_bytes(*octets))
        };
        if crc32fast::hash(header.get(..64).unwrap_or_default()) != word(64) {
            return Ok(None);
        }
        let mut hasher = crc32fast::Hasher::new();
        let (mut part, mut at) = (vec![0; PART], HEADER as u64);
        loop {
            let read = read_full_at(&*file, &mut part, at)?;
            hasher.update(part.get(..read).unwrap_or_default());
            at += read as u64;
            if read < PART {
                break;
            }
        }
        if hasher.finalize() != word(60) {
            return Ok(None);
        }
        let (old_len, new_len, start) = (number(16), number(24), number(32));
        let (table, count) = (number(40), number(48));
        // The sums keep out what a crash tore, and not what somebody made up: the table must be in the file, and the
        // mbox cannot become longer than by what is there.
        let room = table.checked_sub(HEADER as u64);
        let longest = room.and_then(|room| old_len.checked_add(room));
        let Some(room) = room.filter(|_| longest.is_some_and(|longest| new_len <= longest)) else {
            return Ok(None);
        };
        let behind = at.saturating_sub(table) / ENTRY as u64;
        let Ok(octets) = usize::try_from(count.min(behind + 1) * ENTRY as u64) else {
            return Ok(None);
        };
        if count > behind || start > old_len {
            return Ok(None);
        }
        let mut octets = vec![0; octets];
        read_full_at(&*file, &mut octets, table)?;
        let (mut data, mut sums) = (HEADER as u64, table + octets.len() as u64);
        let mut runs = Vec::new();
        for entry in octets.chunks_exact(ENTRY) {
            let number = |octets: &[u8]| {
                octets
                    .first_chunk()
                    .map_or(0, |octets| u64::from_le_bytes(*octets))
            };
            let (place, len) = entry.split_at(8);
            let (place, len) = (number(place), number(len));
            let in_file = data - HEADER as u64 + len.min(room + 1) <= room;
            if !in_file || place.checked_add(len).is_none_or(|end| end > GREATEST) {
                return Ok(None);
            }
            runs.push(Run {
                place,
                len,
                data,
                sums,
            });
            data += len;
            if place < old_len {
                sums += 4 * block_count(place, len);
            }
        }
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            inode: number(8),
            old_len,
            new_len,
            start,
            rescue: word(56) != 0,
            runs,
        }))
    }

    /// What the mbox is now.
    pub(super) fn look(&self, mbox: &dyn File, path: &Path) -> Result<Left, Error> {
        let stat = mbox.stat().at("stat", path)?;
        let len = stat.len;
        if stat.inode != self.inode {
            // Another file has the name, which is whole without this journal.
            return Ok(Left::Done);
        }
        if len < self.old_len.min(self.new_len) {
            return Ok(Left::Foreign);
        }
        let mut seen = Seen::default();
        let (mut tail, mut mark) = (Seen::default(), Seen::default());
        for run in &self.runs {
            let into = if run.place >= self.old_len {
                &mut tail
            } else if run.place >= self.new_len {
                &mut mark
            } else {
                &mut seen
            };
            self.compare(run, mbox, path, len, into)?;
        }
        if self.new_len > self.old_len {
            return self.look_at_longer(mbox, path, len, seen, tail);
        }
        if !seen.not_new && (len == self.new_len || self.new_len == self.old_len) {
            return Ok(Left::Done);
        }
        if len >= self.old_len && !seen.neither && !mark.neither {
            let begun = seen.begun || mark.begun;
            return Ok(if begun || self.rescue {
                Left::Half(self.old_len)
            } else {
                Left::Untouched(len)
            });
        }
        // It was cut, and somebody appended to it.
        Ok(if seen.not_new {
            Left::Foreign
        } else {
            Left::Done
        })
    }

    /// As [`look`](Self::look), of a file that grows: it gets zeros behind its end first, durably.
    fn look_at_longer(
        &self,
        mbox: &dyn File,
        path: &Path,
        len: u64,
        seen: Seen,
        tail: Seen,
    ) -> Result<Left, Error> {
        if !seen.not_new && !tail.not_new && len >= self.new_len {
            return Ok(Left::Done);
        }
        if seen.neither {
            return Ok(Left::Foreign);
        }
        let begun = seen.begun || tail.begun;
        if !tail.neither {
            let theirs = len.min(self.new_len);
            return Ok(if begun || self.rescue || len > self.new_len {
                Left::Half(theirs)
            } else {
                Left::Untouched(self.old_len)
            });
        }
        // Appended before all the zeros were there, so nothing but zeros was written.
        let theirs = first_not_zero(mbox, path, self.old_len, len)?;
        Ok(match seen.begun {
            true => Left::Foreign,
            false if theirs == self.old_len && !self.rescue => Left::Untouched(len),
            false => Left::Half(theirs),
        })
    }

    /// Tells of each block of a run whether it is as it was or as it is to be.
    fn compare(
        &self,
        run: &Run,
        mbox: &dyn File,
        path: &Path,
        len: u64,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (mut ours, mut theirs) = (vec![0; PART], vec![0; PART]);
        let mut sums = vec![0; PART / 128 + 8];
        let (mut at, end) = (run.place, (run.place + run.len).min(len));
        seen.not_new |= end < run.place + run.len;
        while at < end {
            let stop = (at - at % PART as u64 + PART as u64).min(end);
            let want = usize::try_from(stop - at).unwrap_or(PART);
            let (ours, theirs) = (
                ours.get_mut(..want).unwrap_or_default(),
                theirs.get_mut(..want).unwrap_or_default(),
            );
            read_full_at(&*self.file, ours, run.data + at - run.place).at("read", &self.path)?;
            read_full_at(mbox, theirs, at).at("read", path)?;
            let first = at / BLOCK - run.place / BLOCK;
            read_full_at(&*self.file, &mut sums, run.sums + 4 * first).at("read", &self.path)?;
            let sums = sums.chunks_exact(4).map(|sum| {
                let sum = sum.first_chunk().map(|sum| u32::from_le_bytes(*sum));
                sum.filter(|_| run.place < self.old_len)
            });
            for ((ours, theirs), sum) in blocks(ours, at).zip(blocks(theirs, at)).zip(sums) {
                let is_old = match sum {
                    Some(sum) => crc32fast::hash(theirs) == sum,
                    None => theirs.iter().all(|octet| *octet == 0),
                };
                seen.not_new |= ours != theirs;
                seen.begun |= ours == theirs && !is_old;
                seen.neither |= ours != theirs && !is_old;
            }
            at = stop;
        }
        Ok(())
    }

    /// Writes the mbox over, of which what stands from `theirs` on is somebody else's and where it belongs.
    ///
    /// # Errors
    /// The mbox is as it was when it could not be made longer, and else in part as it was.
    pub(super) fn apply(
        &self,
        durable: &Durable,
        mbox: &dyn File,
        path: &Path,
        theirs: u64,
    ) -> Result<(), Error> {
        let len = mbox.stat().at("stat", path)?.len;
        let has_theirs = len > theirs;
        self.make_room(durable, mbox, path)?;
        let mut part = vec![0; PART];
        // A file that was cut already gets no marks.
        let is_long = len > self.new_len;
        let runs = self.runs.iter();
        for run in runs.filter(|run| is_long || run.place < self.new_len) {
            let mut done = 0;
            while done < run.len {
                let want = usize::try_from(run.len - done).unwrap_or(PART).min(PART);
                let part = part.get_mut(..want).unwrap_or_default();
                if read_full_at(&*self.file, part, run.data + done).at("read", &self.path)? < want {
                    return Err(cut(&self.path, run.data + done));
                }
                mbox.write_all_at(part, run.place + done)
                    .at("write", path)?;
                done += want as u64;
            }
        }
        durable.sync_data(mbox, path)?;
        if is_long && !has_theirs {
            mbox.set_len(self.new_len).at("cut", path)?;
            durable.sync_data(mbox, path)?;
        }
        Ok(())
    }

    /// Gives the file its room with zeros behind its end, so that a full disk is met before anything is written
    /// over, and where it ends is known whatever a crash leaves.
    pub(super) fn make_room(
        &self,
        durable: &Durable,
        mbox: &dyn File,
        path: &Path,
    ) -> Result<(), Error> {
        let mut at = mbox.stat().at("stat", path)?.len;
        if at >= self.new_len {
            return Ok(());
        }
        let zeros = vec![0; PART];
        while at < self.new_len {
            let want = usize::try_from(self.new_len - at).unwrap_or(PART).min(PART);
            mbox.write_all_at(zeros.get(..want).unwrap_or_default(), at)
                .at("write", path)?;
            at += want as u64;
        }
        durable.sync(mbox, path)
    }

    /// A journal that has, besides this one's, what somebody appended from `theirs` on.
    pub(super) fn with_theirs(
        &self,
        durable: &Durable,
        mbox: &dyn File,
        path: &Path,
        mut theirs: u64,
    ) -> Result<Self, Error> {
        let mut draft = Draft::begin(durable, &self.path, mbox, path)?;
        for run in self.runs.iter().filter(|run| run.place < self.start) {
            draft.run(run.place);
            draft.copy(&*self.file, &self.path, run.data, run.data + run.len)?;
        }
        draft.run(self.start);
        let (start, end) = self.messages();
        draft.copy(&*self.file, &self.path, start, end)?;
        // What is here ends in an empty line of its own.
        let mut octet = [0];
        while theirs < draft.old_len()
            && read_full_at(mbox, &mut octet, theirs).at("read", path)? == 1
            && matches!(octet, [b'\n' | b'\r'])
        {
            theirs += 1;
        }
        let end = draft.old_len();
        draft.copy(mbox, path, theirs, end)?;
        draft.publish(true)
    }

    /// Where the messages that the mbox is to end in are in the journal.
    pub(super) fn messages(&self) -> (u64, u64) {
        let tail = self
            .runs
            .iter()
            .filter(|run| (self.start..self.new_len).contains(&run.place));
        let ends = tail.map(|run| (run.data, run.data + run.len));
        ends.reduce(|(start, _), (_, end)| (start, end))
            .unwrap_or_default()
    }

    pub(super) fn file(&self) -> &dyn File {
        &*self.file
    }

    /// The length of the mbox before.
    pub(super) fn old_len(&self) -> u64 {
        self.old_len
    }

    /// The length that the mbox is to have.
    pub(super) fn new_len(&self) -> u64 {
        self.new_len
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The mbox needs the journal no longer. It must not come back when others have changed the mbox since.
    pub(super) fn end(self, durable: &Durable) -> Result<(), Error> {
        durable.remove(&self.path)?;
        match self.path.parent() {
            Some(directory) => durable.sync_dir(directory),
            None => Ok(()),
        }
    }
}

/// What blocks are.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// One is not as it is to be.
    not_new: bool,
    /// One is as it is to be, and was not before.
    begun: bool,
    /// One is neither as it is to be nor as it was.
    neither: bool,
}

fn first_not_zero(mbox: &dyn File, path: &Path, mut at: u64, end: u64) -> Result<u64, Error> {
    let mut part = vec![0; PART];
    while at < end {
        let read = read_full_at(mbox, &mut part, at).at("read", path)?;
        let octets = part.get(..read).unwrap_or_default();
        if let Some(found) = octets.iter().position(|octet| *octet != 0) {
            return Ok(at + found as u64);
        }
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    Ok(end)
}
