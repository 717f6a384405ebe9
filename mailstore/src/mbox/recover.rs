//! What is left of a change that a crash cut short.

use std::collections::HashMap;
use std::path::Path;

use super::draft::Draft;
use super::redo::{Left, Redo};
use super::scan::{self, Found};
use super::{Site, side};
use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};

/// Ends or undoes what a crash cut short, in a file whose locks are held. Mail that others added since stays.
pub(super) fn recover(durable: &Durable, site: &Site, mbox: &dyn File) -> Result<(), Error> {
    if let Some(redo) = Redo::open(durable, &site.rewriting())? {
        let path = &site.file;
        let redo = match redo.look(mbox, path)? {
            Left::Done => redo,
            Left::Untouched(len) => {
                if mbox.stat().at("stat", path)?.len > len {
                    mbox.set_len(len).at("cut", path)?;
                    durable.sync(mbox, path)?;
                }
                redo
            }
            Left::Half(theirs) => {
                let len = mbox.stat().at("stat", path)?.len;
                // What follows the new end directly stands where it belongs.
                let redo = if len > theirs && theirs != redo.new_len() {
                    redo.with_theirs(durable, mbox, path, theirs)?
                } else {
                    redo
                };
                let theirs = theirs.max(redo.old_len()).min(len);
                redo.apply(durable, mbox, path, theirs)?;
                redo
            }
            Left::Foreign => rescue(durable, redo, mbox, path)?,
        };
        redo.end(durable)?;
    }
    side::recover(durable, &site.journal(), mbox, &site.file)
}

/// Adds to the mbox what somebody who wrote it over meanwhile, not knowing what it was to be, left out.
fn rescue(durable: &Durable, redo: Redo, mbox: &dyn File, path: &Path) -> Result<Redo, Error> {
    let len = mbox.stat().at("stat", path)?.len;
    let mut there: HashMap<Identity, u32> = HashMap::new();
    for found in scan::scan(mbox, path, 0, len)? {
        *there.entry(identity(mbox, path, &found)?).or_default() += 1;
    }
    let (start, end) = redo.messages();
    let mut missing = Vec::new();
    for found in scan::scan(redo.file(), redo.path(), start, end)? {
        match there.get_mut(&identity(redo.file(), redo.path(), &found)?) {
            Some(count) if *count > 0 => *count -= 1,
            _ => missing.push(found),
        }
    }
    if missing.is_empty() {
        return Ok(redo);
    }
    let mut draft = Draft::begin(durable, redo.path(), mbox, path)?;
    draft.run(len);
    draft.put(parting(mbox, path, len)?)?;
    for found in missing {
        draft.copy(redo.file(), redo.path(), found.from, found.end)?;
        if draft.last() != b'\n' {
            draft.put(b"\n")?;
        }
        draft.put(b"\n")?;
    }
    let rescued = draft.publish(true)?;
    rescued.apply(durable, mbox, path, len)?;
    Ok(rescued)
}

/// Sums of what does not change in a message: its `From ` line and visible header, and its body with its length.
type Identity = (u32, u32, u64);

fn identity(file: &dyn File, path: &Path, found: &Found) -> Result<Identity, Error> {
    let mut hasher = crc32fast::Hasher::new();
    let mut part = vec![0; 64 << 10];
    let mut at = found.body;
    while at < found.end {
        let want = usize::try_from(found.end - at)
            .unwrap_or(part.len())
            .min(part.len());
        let read =
            read_full_at(file, part.get_mut(..want).unwrap_or_default(), at).at("read", path)?;
        if read == 0 {
            break;
        }
        hasher.update(part.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok((found.hash, hasher.finalize(), found.end - found.body))
}

/// What [`parting`] is where the last line has no end.
pub(super) const NO_LINE_END: &[u8] = b"\n\n";

/// What must stand behind the end of the file before a message can.
pub(super) fn parting(file: &dyn File, path: &Path, len: u64) -> Result<&'static [u8], Error> {
    // As if empty lines stood before the file.
    let mut tail = [b'\n'; 3];
    if len > 0 {
        let from = len.saturating_sub(3);
        let missing = usize::try_from(3u64.saturating_sub(len)).unwrap_or_default();
        let room = tail.get_mut(missing..).unwrap_or_default();
        read_full_at(file, room, from).at("read", path)?;
    }
    Ok(match tail {
        [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n'] => b"",
        [_, _, b'\n'] => b"\n",
        _ => NO_LINE_END,
    })
}
