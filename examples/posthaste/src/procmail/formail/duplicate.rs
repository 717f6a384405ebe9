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
    let mut at = 0;
    let mut mark = None;
    for entry in text.split(|byte| *byte == 0) {
        if entry == key {
            return Ok(true);
        }
        if entry.is_empty() && mark.is_none() {
            mark = Some(at);
        }
        at += entry.len() + 1;
    }
    let mut mark = u64::try_from(mark.unwrap_or(0)).unwrap_or(0);
    if mark >= size {
        mark = 0;
    }
    cache.seek(SeekFrom::Start(mark))?;
    cache.write_all(&[key, b"\0\0"].concat())?;
    Ok(false)
}
