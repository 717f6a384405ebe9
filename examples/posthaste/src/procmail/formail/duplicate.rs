//! The cache of message identifiers: strings ended by NUL, an empty one where the next goes.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Is the key in the cache? If not it is put there; beyond `size` the cache begins anew.
pub(super) fn seen(file: &OsStr, size: u64, key: Option<&[u8]>) -> io::Result<bool> {
    let mut cache = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(file)?;
    // A message that cannot be recognised is always new.
    let Some(key) = key else { return Ok(false) };
    let mut text = Vec::new();
    cache.read_to_end(&mut text)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut at = 0;
    let mut mark = None;
    loop {
        let rest = text.get(at..).unwrap_or(&[]);
        let Some(end) = memchr::memchr(0, rest) else {
            break;
        };
        let entry = rest.get(..end).unwrap_or(&[]);
        if entry == key {
            return Ok(true);
        }
        at += end + 1;
        if entry.is_empty() && mark.is_none() {
            mark = Some(at - 1);
            // Behind the mark is what is left of an older entry.
            let rest = text.get(at..).unwrap_or(&[]);
            let Some(end) = memchr::memchr(0, rest) else {
                break;
            };
            at += end + 1;
        }
        if at >= size {
            break;
        }
    }
    let mark = mark.filter(|mark| *mark < size).unwrap_or(0);
    cache.seek(SeekFrom::Start(u64::try_from(mark).unwrap_or(0)))?;
    cache.write_all(&[key, b"\0\0"].concat())?;
    Ok(false)
}
