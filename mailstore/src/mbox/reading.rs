//! An mbox as it is, read without changing anything in it.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::{meta, scan};
use crate::durable::{Durable, File, Stat};
use crate::error::{Error, IoContext};
use crate::flags::Flags;
use crate::lock::DotLock;
use crate::wire::Reader;

/// Whether a header line is one that an mbox keeps its state in.
pub(crate) fn is_state_field(line: &[u8]) -> bool {
    meta::field(line).is_some_and(|field| meta::is_hidden(&field))
}

/// A file and its messages as they were under its lock.
pub(crate) struct Lying {
    file: Arc<dyn File>,
    stat: Stat,
    found: Vec<scan::Found>,
}

/// One of its messages.
pub(crate) struct Letter {
    pub(crate) reader: Reader,
    pub(crate) flags: Flags,
    pub(crate) keywords: Vec<String>,
    pub(crate) date: SystemTime,
}

impl Lying {
    /// Reads the file under its lock, where the directory allows one.
    pub(crate) fn read(
        durable: &Durable,
        path: &Path,
        host: &str,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let _lock = match DotLock::acquire(durable, lock.into(), host, now) {
            Ok(lock) => Some(lock),
            Err(Error::Io { source, .. })
                if matches!(
                    source.kind(),
                    std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let file: Arc<dyn File> = durable.open(path)?.into();
        let stat = file.stat().at("stat", path)?;
        let found = scan::scan(&*file, path, 0, stat.len)?;
        Ok(Self { file, stat, found })
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// # Errors
    /// [`Error::Corrupt`] when the file was changed meanwhile.
    pub(crate) fn letter(&self, index: usize, path: &Path) -> Result<Letter, Error> {
        let gone = || Error::Corrupt {
            path: path.to_owned(),
            at: self.found.get(index).map_or(0, |found| found.from),
            what: "the mbox was changed while it was read",
        };
        // What another program writes in place may lie elsewhere by now; an append moves nothing.
        let stat = self.file.stat().at("stat", path)?;
        if stat.len < self.stat.len || (stat.len == self.stat.len && stat != self.stat) {
            return Err(gone());
        }
        let found = self.found.get(index).ok_or_else(gone)?;
        let size =
            crate::wire::measure(Arc::clone(&self.file), found.extents()).at("read", path)?;
        Ok(Letter {
            reader: Reader::new(Arc::clone(&self.file), found.extents(), size),
            flags: found.meta.flags,
            keywords: found.meta.keywords.clone(),
            date: found.date,
        })
    }
}
