//! What an mbox cannot hold itself: `.posthaste/NAME.state` and `.posthaste/NAME.append`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};
use crate::object_id::ObjectId;

/// UIDs and modification sequences reserved by one write.
const RESERVE_UIDS: u32 = 1024;
pub(super) const RESERVE_MODSEQ: u64 = 4096;

/// The state file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) uid_validity: u32,
    /// UIDs below this were given, whether a message still has them or not.
    pub(super) uid_next: u32,
    /// `X-UID` fields below this may be ours; a stranger's are not believed.
    pub(super) uid_ceiling: u32,
    pub(super) modseq_ceiling: u64,
    /// The end of the range of sequences that was reserved last for changes, and not only for being shown.
    pub(super) modseq_changed: u64,
    /// What the mailbox is known by; one of an older state may have none yet.
    pub(super) object_id: ObjectId,
    /// UIDs of messages that have no `X-UID`, with a checksum of the header, ascending.
    pub(super) unlabelled: Vec<(u32, u32)>,
}

/// What there is of a state file.
pub(super) enum Known {
    Side(Side),
    Nothing,
    /// It says no such thing, or is no file.
    Damaged,
}

impl Side {
    pub(super) fn look(durable: &Durable, path: &Path) -> Result<Known, Error> {
        match Self::read(durable, path) {
            Ok(Some(side)) => Ok(Known::Side(side)),
            Ok(None) => Ok(Known::Nothing),
            Err(error) if error.is_no_file_of_ours() => Ok(Known::Damaged),
            Err(error) => Err(error),
        }
    }

    pub(super) fn read(durable: &Durable, path: &Path) -> Result<Option<Self>, Error> {
        let Some((content, _)) = durable.read_maybe(path, 1 << 30)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&content);
        let corrupt = || Error::Corrupt {
            path: path.to_owned(),
            at: 0,
            what: "not a state file",
        };
        Self::parse(&text).map(Some).ok_or_else(corrupt)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        (words.next()? == "1").then_some(())?;
        let mut side = Self {
            uid_validity: words.next()?.parse().ok()?,
            uid_next: words.next()?.parse().ok()?,
            uid_ceiling: words.next()?.parse().ok()?,
            modseq_ceiling: words.next()?.parse().ok()?,
            modseq_changed: 0,
            object_id: words.next().and_then(ObjectId::parse).unwrap_or_default(),
            unlabelled: Vec::new(),
        };
        let changed = words.next().and_then(|word| word.parse().ok());
        side.modseq_changed = changed.unwrap_or(side.modseq_ceiling);
        for line in lines {
            let (uid, hash) = line.split_once(' ')?;
            side.unlabelled
                .push((uid.parse().ok()?, hash.parse().ok()?));
        }
        Some(side)
    }

    pub(super) fn reserve_uids(&mut self, uid_next: u32) {
        self.uid_next = self.uid_next.max(uid_next);
        self.uid_ceiling = self
            .uid_ceiling
            .max(self.uid_next.saturating_add(RESERVE_UIDS));
    }

    /// `changes`: not only for being shown.
    pub(super) fn reserve_modseq(&mut self, highest: u64, changes: bool) {
        let ceiling = self.modseq_ceiling.max(highest);
        self.modseq_ceiling = ceiling.saturating_add(RESERVE_MODSEQ);
        if changes {
            self.modseq_changed = self.modseq_ceiling;
        }
    }

    pub(super) fn write(&self, durable: &Durable, path: &Path) -> Result<(), Error> {
        let mut out = format!(
            "1 {} {} {} {}",
            self.uid_validity, self.uid_next, self.uid_ceiling, self.modseq_ceiling
        );
        if !self.object_id.is_none() {
            let _ = write!(out, " {} {}", self.object_id, self.modseq_changed);
        }
        out.push('\n');
        for (uid, hash) in &self.unlabelled {
            let _ = writeln!(out, "{uid} {hash}");
        }
        if let Some(directory) = path.parent() {
            durable.make_dir(directory)?;
        }
        durable.replace(path, out.as_bytes())
    }
}

/// So many damaged files of a name are kept.
const ASIDE: usize = 4;

/// The names under which damaged files are kept.
pub(super) fn aside(path: &Path) -> [PathBuf; ASIDE] {
    std::array::from_fn(|count| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".broken-{}", count + 1));
        PathBuf::from(name)
    })
}

/// Gives a damaged file another name, for whoever can still read something in it; one too many goes.
pub(super) fn put_aside(durable: &Durable, path: &Path) -> Result<(), Error> {
    for name in aside(path) {
        if durable.stat_maybe(&name)?.is_none() {
            durable.rename(path, &name)?;
            return match path.parent() {
                Some(directory) => durable.sync_dir(directory),
                None => Ok(()),
            };
        }
    }
    let removed = durable.remove(path).map(|_| ());
    removed.or_else(|error| durable.remove_dir(path).map_err(|_| error))
}

/// Octets of the journal's first line.
const HEADER: usize = 64;
const BLOCK: usize = 512;

/// An append that has begun: the octets to come, and where. It is whole before the mbox is touched, so that the
/// next one who opens the mbox can tell a half append from anything else.
pub(super) struct Journal {
    durable: Durable,
    path: PathBuf,
    file: Box<dyn File>,
    len: u64,
}

impl Journal {
    /// Writes the journal: `fill` passes the octets on.
    pub(super) fn begin(
        durable: &Durable,
        path: &Path,
        inode: u64,
        old_len: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let directory = path.parent().unwrap_or(path);
        durable.make_dir(directory)?;
        let temporary = path.with_extension("append-tmp");
        durable.remove(&temporary)?;
        let file = durable.create(&temporary)?;
        let mut len = 0;
        let mut buffer: Vec<u8> = Vec::new();
        let written = (|| {
            fill(&mut |part| {
                buffer.extend_from_slice(part);
                if buffer.len() >= 64 << 10 {
                    file.write_all_at(&buffer, HEADER as u64 + len)
                        .at("write", &temporary)?;
                    len += buffer.len() as u64;
                    buffer.clear();
                }
                Ok(())
            })?;
            file.write_all_at(&buffer, HEADER as u64 + len)
                .at("write", &temporary)?;
            len += buffer.len() as u64;
            let header = format!("PHAPPEND {inode:020} {old_len:020}");
            file.write_all_at(
                format!("{header:<width$}\n", width = HEADER - 1).as_bytes(),
                0,
            )
            .at("write", &temporary)?;
            durable.sync(&*file, &temporary)?;
            durable.rename(&temporary, path)?;
            durable.sync_dir(directory)
        })();
        match written {
            Ok(()) => Ok(Self {
                durable: durable.clone(),
                path: path.to_owned(),
                file,
                len,
            }),
            Err(error) => {
                // Nothing was appended: either name is rubbish.
                let _ = durable.remove(&temporary);
                let _ = durable.remove(path);
                Err(error)
            }
        }
    }

    /// Copies the octets to the end of the mbox; the caller syncs it.
    pub(super) fn pour(&self, mbox: &dyn File, path: &Path, old_len: u64) -> Result<(), Error> {
        let mut part = vec![0; 64 << 10];
        let mut at = 0;
        while at < self.len {
            let read =
                read_full_at(&*self.file, &mut part, HEADER as u64 + at).at("read", &self.path)?;
            let part = part
                .get(..read)
                .filter(|part| !part.is_empty())
                .ok_or_else(|| Error::Corrupt {
                    path: self.path.clone(),
                    at,
                    what: "the journal was cut",
                })?;
            mbox.write_all_at(part, old_len + at).at("write", path)?;
            at += read as u64;
        }
        Ok(())
    }

    /// The append is over, done or undone.
    pub(super) fn end(self) {
        // What stays says of a whole append that it is whole, and is removed by the next one who looks.
        let _ = self.durable.remove(&self.path);
    }
}

/// Undoes an append that a crash cut short.
///
/// The mbox is cut back only when it ends in what the journal holds, in part: every block of it is either as in
/// the journal or never came to the disk (all zeros). Whatever else is there was written by somebody later, and
/// stays.
pub(super) fn recover(
    durable: &Durable,
    journal: &Path,
    mbox: &dyn File,
    path: &Path,
) -> Result<(), Error> {
    let file = match durable.open(journal) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER];
    let read = read_full_at(&*file, &mut header, 0).at("read", journal)?;
    let stat = mbox.stat().at("stat", path)?;
    if let Some((inode, old_len)) = parse_header(header.get(..read).unwrap_or_default())
        && inode == stat.inode
        && stat.len > old_len
        && is_half(&*file, journal, mbox, path, old_len, stat.len)?
    {
        mbox.set_len(old_len).at("cut", path)?;
        durable.sync(mbox, path)?;
    }
    durable.remove(journal)?;
    Ok(())
}

fn parse_header(header: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(header).ok()?;
    let mut words = text.strip_prefix("PHAPPEND ")?.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn is_half(
    journal: &dyn File,
    journal_path: &Path,
    mbox: &dyn File,
    path: &Path,
    old_len: u64,
    len: u64,
) -> Result<bool, Error> {
    let full = journal
        .stat()
        .at("stat", journal_path)?
        .len
        .saturating_sub(HEADER as u64);
    if len > old_len + full {
        return Ok(false);
    }
    let mut whole = len == old_len + full;
    let (mut ours, mut theirs) = ([0; BLOCK], [0; BLOCK]);
    let mut at = old_len;
    while at < len {
        // Blocks as the disk has them: the first one is what is left of the block that the old end is in.
        let room = BLOCK as u64 - at % BLOCK as u64;
        let want = usize::try_from(room.min(len - at)).unwrap_or(BLOCK);
        let (ours, theirs) = (
            ours.get_mut(..want).unwrap_or_default(),
            theirs.get_mut(..want).unwrap_or_default(),
        );
        read_full_at(journal, ours, HEADER as u64 + at - old_len).at("read", journal_path)?;
        read_full_at(mbox, theirs, at).at("read", path)?;
        if ours != theirs {
            if theirs.iter().any(|&octet| octet != 0) {
                return Ok(false);
            }
            whole = false;
        }
        at += want as u64;
    }
    Ok(!whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_read_back() {
        let text = "1 17 20 30 4096\n18 77\n19 78\n";
        let side = Side::parse(text).unwrap();
        assert_eq!(
            (side.uid_validity, side.uid_next, side.unlabelled.len()),
            (17, 20, 2)
        );
        assert!(side.object_id.is_none());
        let id = "0123456789abcdef0123456789abcdef";
        let side = Side::parse(&format!("1 17 20 30 4096 {id}\n18 77\n")).unwrap();
        assert_eq!(
            (side.object_id.to_string().as_str(), side.unlabelled.len()),
            (id, 1)
        );
        assert!(Side::parse("2 1 1 1 1\n").is_none());
        assert!(Side::parse("").is_none());
    }
}
