//! The real file system with something beside it: what a test counts, or does at a moment that it knows.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use mailstore::{File, Fs, Kind, RealFs, Stat, Tell};

/// A call of a file or of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Open,
    Read,
    Write,
    SetLen,
    Sync,
    Link,
    Rename,
    Unlink,
    Mkdir,
    Rmdir,
    Readdir,
    Stat,
}

/// What a test does beside the real file system.
pub trait Beside: Clone + Send + Sync + 'static {
    /// Before a call; a rename is told by its new name, and what is done to an open file by the name it was opened by.
    fn before(&self, _call: Call, _path: &Path) {}

    /// What a sync of an open file comes to before it is begun.
    fn fails(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// After so many octets of a file were read.
    fn has_read(&self, _octets: usize) {}

    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        RealFs.readdir(path, each)
    }
}

#[derive(Clone, Default)]
pub struct Over<B>(pub B);

impl<B: Beside> Over<B> {
    fn opened(
        &self,
        path: &Path,
        open: impl FnOnce(&Path) -> io::Result<Box<dyn File>>,
    ) -> io::Result<Box<dyn File>> {
        self.0.before(Call::Open, path);
        Ok(Box::new(OverFile {
            file: open(path)?,
            path: path.into(),
            beside: self.0.clone(),
        }))
    }
}

impl<B: Beside> Fs for Over<B> {
    fn create_excl(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.opened(path, |path| RealFs.create_excl(path))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.opened(path, |path| RealFs.open(path))
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.opened(path, |path| RealFs.open_write(path))
    }
    fn open_own(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.opened(path, |path| RealFs.open_own(path))
    }
    fn open_own_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.opened(path, |path| RealFs.open_own_write(path))
    }
    fn append(&self, path: &Path, octets: &[u8]) -> io::Result<()> {
        self.0.before(Call::Write, path);
        RealFs.append(path, octets)
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.before(Call::Link, to);
        RealFs.link(from, to)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.before(Call::Rename, to);
        RealFs.rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.0.before(Call::Unlink, path);
        RealFs.unlink(path)
    }
    fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.0.before(Call::Mkdir, path);
        RealFs.mkdir(path)
    }
    fn rmdir(&self, path: &Path) -> io::Result<()> {
        self.0.before(Call::Rmdir, path);
        RealFs.rmdir(path)
    }
    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.before(Call::Sync, path);
        RealFs.fsync_dir(path)
    }
    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        self.0.before(Call::Readdir, path);
        self.0.readdir(path, each)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.0.before(Call::Stat, path);
        RealFs.stat(path)
    }
    fn process_alive(&self, pid: u32) -> bool {
        RealFs.process_alive(pid)
    }
    fn boot(&self) -> u128 {
        RealFs.boot()
    }
    fn watch(&self, directory: &Path, name: Option<&OsStr>, tell: Arc<Tell>) -> io::Result<()> {
        RealFs.watch(directory, name, tell)
    }
}

struct OverFile<B> {
    file: Box<dyn File>,
    path: Box<Path>,
    beside: B,
}

impl<B: Beside> OverFile<B> {
    fn before(&self, call: Call) -> &dyn File {
        self.beside.before(call, &self.path);
        &*self.file
    }
}

impl<B: Beside> File for OverFile<B> {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let read = self.before(Call::Read).read_at(buf, at)?;
        self.beside.has_read(read);
        Ok(read)
    }
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.before(Call::Write).write_all_at(buf, at)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.before(Call::SetLen).set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        let file = self.before(Call::Sync);
        self.beside.fails(&self.path)?;
        file.sync()
    }
    fn sync_data(&self) -> io::Result<()> {
        let file = self.before(Call::Sync);
        self.beside.fails(&self.path)?;
        file.sync_data()
    }
    fn stat(&self) -> io::Result<Stat> {
        self.before(Call::Stat).stat()
    }
    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.file.set_modified(time)
    }
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_mode(mode)
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
    fn try_claim(&self) -> io::Result<bool> {
        self.file.try_claim()
    }
    fn unclaim(&self) -> io::Result<()> {
        self.file.unclaim()
    }
}
