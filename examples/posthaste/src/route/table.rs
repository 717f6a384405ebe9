//! Alias files, read again when they change.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::grammar::{Grammar, Parsed, parse};

/// A wrong path, such as a device, must not fill the memory.
const MAX_FILE_LENGTH: u64 = 64 << 20;

/// What tells one content of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// What a file said when it was as its stamp tells; none is a missing file.
type Content = (Option<Stamp>, Arc<Parsed>);

/// The files read so far.
#[derive(Debug, Default)]
pub(super) struct Tables {
    read: Mutex<HashMap<PathBuf, Content>>,
}

impl Tables {
    /// What the file at `path` says now. One that is missing says nothing.
    pub(super) fn read(&self, path: &Path, grammar: Grammar) -> io::Result<Arc<Parsed>> {
        let stamp = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                return Err(io::Error::other("this is no file"));
            }
            Ok(metadata) => Some(Stamp {
                inode: metadata.ino(),
                length: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, parsed)) = read.get(path)
            && *known == stamp
        {
            return Ok(Arc::clone(parsed));
        }
        let parsed = match stamp {
            None => Parsed::default(),
            Some(stamp) if stamp.length > MAX_FILE_LENGTH => {
                return Err(io::Error::other("too long for an alias file"));
            }
            Some(_) => parse(&fs::read_to_string(path)?, grammar),
        };
        for bad in &parsed.bad {
            tracing::warn!(
                "{}:{}: {}; the line is left out",
                path.display(),
                bad.line,
                bad.reason
            );
        }
        let parsed = Arc::new(parsed);
        read.insert(path.to_owned(), (stamp, Arc::clone(&parsed)));
        Ok(parsed)
    }
}
