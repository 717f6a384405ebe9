//! What is read as a file is, and cannot be written to.

use std::io;
use std::time::SystemTime;

use super::{File, Stat};

/// Octets that [`Reader`](crate::Reader)s share.
pub(crate) trait Readable: Send + Sync {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;
    fn stat(&self) -> io::Result<Stat>;
}

/// A [`File`] of such octets, which refuses all else.
pub(crate) struct ReadOnly<T>(pub(crate) T);

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl<T: Readable> File for ReadOnly<T> {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buf, at)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.0.stat()
    }

    fn write_all_at(&self, _buf: &[u8], _at: u64) -> io::Result<()> {
        refused()
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        refused()
    }

    fn sync_data(&self) -> io::Result<()> {
        refused()
    }

    fn set_modified(&self, _time: SystemTime) -> io::Result<()> {
        refused()
    }

    fn set_mode(&self, _mode: u32) -> io::Result<()> {
        refused()
    }

    fn try_lock(&self) -> io::Result<bool> {
        refused()
    }

    fn unlock(&self) -> io::Result<()> {
        refused()
    }
}

/// Copies what of `octets` stands from `at` on, as much as fits.
pub(crate) fn read_from(octets: &[u8], buf: &mut [u8], at: u64) -> usize {
    let rest = usize::try_from(at).ok().and_then(|at| octets.get(at..));
    let rest = rest.unwrap_or_default();
    let read = rest.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..read), rest.get(..read)) {
        to.copy_from_slice(from);
    }
    read
}
