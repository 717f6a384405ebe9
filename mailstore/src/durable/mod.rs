//! The only module that syncs and renames.
//!
//! Everything else in the crate reaches the disk through [`Durable`], whose verbs keep one rule: a name is
//! published only after the bytes behind it are on the disk, and an operation is acknowledged only after the
//! names it changed are on the disk. [`Fs`] is the small surface below it, so that tests run the crate on a
//! file system that loses power.

mod group;
#[cfg(target_os = "linux")]
mod notice;
mod read_only;
mod real;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, IoContext};
use group::DirectorySyncs;
pub(crate) use read_only::{ReadOnly, Readable, read_from};
pub use real::RealFs;

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, socket or anything else; also what `readdir` says when it does not know.
    Other,
}

/// The part of `stat(2)` that the crate uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What the name stands for.
    pub kind: Kind,
    /// Length in octets.
    pub len: u64,
    /// Modification time.
    pub modified: SystemTime,
    /// Inode number.
    pub inode: u64,
    /// Permission bits.
    pub mode: u32,
}

/// What [`Fs::watch`] calls: with the name that changed, or none when not all was told; false ends it.
pub type Tell = dyn Fn(Option<&OsStr>) -> bool + Send + Sync;

/// The file system as the crate sees it. [`RealFs`] is the one of the operating system.
///
/// Files are created 0600, directories 0700.
pub trait Fs: Send + Sync {
    /// Creates a file that must not exist, for reading and writing.
    fn create_excl(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing file for reading and writing.
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// As [`open`](Self::open), for a file that nobody has reason to make a symbolic link of: such a one is refused.
    fn open_own(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open(path)
    }
    /// As [`open_write`](Self::open_write), the same.
    fn open_own_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open_write(path)
    }
    /// Puts octets behind the end of an existing file, whoever else does so at the same time.
    fn append(&self, path: &Path, octets: &[u8]) -> io::Result<()> {
        let file = self.open_write(path)?;
        let end = file.stat()?.len;
        file.write_all_at(octets, end)
    }
    /// Gives a file a second name, which must not exist.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames, replacing `to` atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes one directory.
    fn mkdir(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn rmdir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn fsync_dir(&self, path: &Path) -> io::Result<()>;
    /// Calls `each` with every name in a directory but `.` and `..`.
    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()>;
    /// What a name stands for, symbolic links followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Whether a process of this host still runs; for locks whose owner died.
    fn process_alive(&self, pid: u32) -> bool;
    /// A number that is the same while the operating system runs and another once it was started anew, so that
    /// nothing written under the same number can have been lost; 0 when there is none.
    fn boot(&self) -> u128 {
        0
    }
    /// Calls `tell`, on a thread of its own, soon after any name in the directory comes or goes, or this name
    /// does or is written to; from now on until it gives false. `tell` gets the name, or none when the system did not tell all.
    ///
    /// # Errors
    /// There is no such service: the caller polls.
    fn watch(&self, _directory: &Path, _name: Option<&OsStr>, _tell: Arc<Tell>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// An open file. Every access is positional, so that readers share one handle.
pub trait File: Send + Sync {
    /// Reads up to `buf.len()` octets at `at`; 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all of `buf` at `at`.
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()>;
    /// Cuts or lengthens the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes content, length and modification time durable (`fsync`).
    fn sync(&self) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// What the file is now.
    fn stat(&self) -> io::Result<Stat>;
    /// Sets the modification time.
    fn set_modified(&self, time: SystemTime) -> io::Result<()>;
    /// Sets the permission bits.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Takes the `fcntl` lock of the whole file; false when another process, or another handle, has it.
    fn try_lock(&self) -> io::Result<bool>;
    /// Gives the `fcntl` lock back.
    fn unlock(&self) -> io::Result<()>;
    /// Takes the lock that belongs to this handle and is given back with it (`flock`); false when another handle
    /// has it, of this process or another.
    fn try_claim(&self) -> io::Result<bool> {
        Ok(true)
    }
    /// Gives that lock back before the handle is closed.
    fn unclaim(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The verbs that keep mail durable, over any [`Fs`].
#[derive(Clone)]
pub(crate) struct Durable {
    fs: Arc<dyn Fs>,
    syncs: Arc<DirectorySyncs>,
}

impl Durable {
    pub(crate) fn new(fs: Arc<dyn Fs>) -> Self {
        Self {
            fs,
            syncs: Arc::default(),
        }
    }

    /// Creates a file for content that is published later.
    pub(crate) fn create(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        self.fs.create_excl(path).at("create", path)
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        self.fs.open(path).at("open", path)
    }

    /// As [`open`](Self::open), but not through a symbolic link: whoever can make one in a mailbox must not read by it
    /// what this process may read.
    ///
    /// # Errors
    /// What is no file is refused as a damaged one is: a pipe is neither waited for nor read as empty.
    pub(crate) fn open_own(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        let file = self.fs.open_own(path).at("open", path)?;
        check_kind(file.stat().at("stat", path)?, path)?;
        Ok(file)
    }

    pub(crate) fn open_own_write(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        self.fs.open_own_write(path).at("open for writing", path)
    }

    pub(crate) fn open_write(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        self.fs.open_write(path).at("open for writing", path)
    }

    /// Adds octets to the end of a file that others add to, too, and that is made anew when it is lost: nothing is
    /// synced.
    pub(crate) fn append(&self, path: &Path, octets: &[u8]) -> Result<(), Error> {
        self.fs.append(path, octets).at("append to", path)
    }

    pub(crate) fn stat(&self, path: &Path) -> Result<Stat, Error> {
        self.fs.stat(path).at("stat", path)
    }

    /// `None` when the name does not exist, or would be below a file.
    pub(crate) fn stat_maybe(&self, path: &Path) -> Result<Option<Stat>, Error> {
        match self.fs.stat(path) {
            Ok(stat) => Ok(Some(stat)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).at("stat", path),
        }
    }

    pub(crate) fn readdir(
        &self,
        path: &Path,
        mut each: impl FnMut(&OsStr, Kind),
    ) -> Result<(), Error> {
        self.fs.readdir(path, &mut each).at("read directory", path)
    }

    pub(crate) fn process_alive(&self, pid: u32) -> bool {
        self.fs.process_alive(pid)
    }

    /// The whole of a small file; `None` when it does not exist.
    ///
    /// # Errors
    /// A file above `limit` octets is refused rather than read, and so is a symbolic link.
    pub(crate) fn read_maybe(
        &self,
        path: &Path,
        limit: u64,
    ) -> Result<Option<(Vec<u8>, Stat)>, Error> {
        let file = match self.fs.open_own(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("open", path),
        };
        let stat = file.stat().at("stat", path)?;
        check_kind(stat, path)?;
        if stat.len > limit {
            return Err(Error::Corrupt {
                path: path.to_owned(),
                at: limit,
                what: "the file is longer than it can be",
            });
        }
        let content = read_all(&*file, stat.len).at("read", path)?;
        Ok(Some((content, stat)))
    }

    /// Renames within one directory or between two; the caller syncs them.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.fs.rename(from, to).at("rename", from)
    }

    /// A second name for a durable file; the caller syncs the directory.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.fs.link(from, to).at("link", from)
    }

    /// Removes a name; true when it was there. The caller syncs the directory where it must not return.
    pub(crate) fn remove(&self, path: &Path) -> Result<bool, Error> {
        match self.fs.unlink(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at("unlink", path),
        }
    }

    pub(crate) fn remove_dir(&self, path: &Path) -> Result<(), Error> {
        self.fs.rmdir(path).at("rmdir", path)
    }

    pub(crate) fn sync(&self, file: &dyn File, path: &Path) -> Result<(), Error> {
        file.sync().at("sync", path)
    }

    pub(crate) fn sync_data(&self, file: &dyn File, path: &Path) -> Result<(), Error> {
        file.sync_data().at("sync", path)
    }

    /// Makes the names of a directory durable. Callers that come while a sync of the same directory runs share
    /// the next one.
    pub(crate) fn sync_dir(&self, path: &Path) -> Result<(), Error> {
        self.syncs
            .sync(path, || self.fs.fsync_dir(path))
            .at("sync directory", path)
    }

    /// Makes a directory and its missing parents, durably. True when `path` itself was made.
    pub(crate) fn make_dir(&self, path: &Path) -> Result<bool, Error> {
        match self.fs.mkdir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(parent) = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty())
                else {
                    return Err(error).at("mkdir", path);
                };
                self.make_dir(parent)?;
                match self.fs.mkdir(path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                    result => result.at("mkdir", path)?,
                }
            }
            Err(error) => return Err(error).at("mkdir", path),
        }
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            self.sync_dir(parent)?;
        }
        Ok(true)
    }

    /// Makes directories in one, durably, with one sync for all that were missing.
    pub(crate) fn make_dirs_in(&self, path: &Path, names: &[&str]) -> Result<(), Error> {
        let mut made = false;
        for name in names {
            let path = path.join(name);
            match self.fs.mkdir(&path) {
                Ok(()) => made = true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).at("mkdir", &path),
            }
        }
        if made { self.sync_dir(path) } else { Ok(()) }
    }

    pub(crate) fn boot(&self) -> u128 {
        self.fs.boot()
    }

    /// See [`Fs::watch`]; false when there is nothing to wait for and the caller polls.
    pub(crate) fn watch(&self, directory: &Path, name: Option<&OsStr>, tell: &Arc<Tell>) -> bool {
        self.fs.watch(directory, name, Arc::clone(tell)).is_ok()
    }

    /// Puts `content` in place of a file that can be made again: nothing is synced, and a crash may leave the old
    /// file, the new one, or a torn one.
    pub(crate) fn publish(&self, path: &Path, content: &[u8]) -> Result<(), Error> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        self.remove(&temporary)?;
        let file = self.create(&temporary)?;
        let written = file
            .write_all_at(content, 0)
            .at("write", &temporary)
            .and_then(|()| self.rename(&temporary, path));
        if written.is_err() {
            // The first error is the one to tell; a leftover is removed by the next writer.
            let _ = self.fs.unlink(&temporary);
        }
        written
    }

    /// Puts `content` in place of a small file: a temporary name beside it, sync, rename, sync of the directory.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> Result<(), Error> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        // Only the holder of the file's lock comes here, so a temporary file is one that a crash left.
        self.remove(&temporary)?;
        let written = (|| {
            let file = self.create(&temporary)?;
            file.write_all_at(content, 0).at("write", &temporary)?;
            file.sync().at("sync", &temporary)?;
            self.rename(&temporary, path)
        })();
        if let Err(error) = written {
            // The first error is the one to tell; a leftover is removed by the next writer.
            let _ = self.fs.unlink(&temporary);
            return Err(error);
        }
        match path.parent() {
            Some(directory) => self.sync_dir(directory),
            None => Ok(()),
        }
    }
}

fn check_kind(stat: Stat, path: &Path) -> Result<(), Error> {
    match stat.kind {
        Kind::File => Ok(()),
        _ => Err(Error::Corrupt {
            path: path.to_owned(),
            at: 0,
            what: "it is no file",
        }),
    }
}

/// A file of so many octets is read in one piece, whatever it holds.
const PIECE: usize = 64 << 20;
/// So many zeros in a row are in none of the files that are read whole.
const HOLE: usize = 1 << 20;

/// Reads the first `len` octets of a file, or fewer when it is shorter. Of a long one, nothing is read behind a hole:
/// whoever may write to a file may make it as long as they like at no cost, and it is not to fill the memory.
pub(crate) fn read_all(file: &dyn File, len: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let step = if len > PIECE { HOLE } else { len };
    let (mut content, mut start) = (vec![0; step], 0);
    while start < len {
        let end = len.min(start + step);
        content.resize(end, 0);
        let part = content.get_mut(start..).unwrap_or_default();
        let read = read_full_at(file, part, start as u64)?;
        let is_hole = len > PIECE && read == HOLE && part.iter().all(|&octet| octet == 0);
        content.truncate(start + read);
        if is_hole || content.len() < end {
            break;
        }
        start = end;
    }
    Ok(content)
}

/// Fills `buf` unless the file ends before; tells how much was read.
pub(crate) fn read_full_at(file: &dyn File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
