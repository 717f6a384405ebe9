//! The operating system's files.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, OFlags};

use super::{File, Fs, Kind, Stat, Tell};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl Fs for RealFs {
    fn create_excl(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        // A pipe under a message's name must not be waited for: the caller sees that it is no file.
        open(OpenOptions::new().read(true), OFlags::NONBLOCK, path)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RealFile(
            OpenOptions::new().read(true).write(true).open(path)?,
        )))
    }

    fn open_own(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        open(OpenOptions::new().read(true), flags, path)
    }

    fn open_own_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        open(
            OpenOptions::new().read(true).write(true),
            OFlags::NOFOLLOW,
            path,
        )
    }

    fn append(&self, path: &Path, octets: &[u8]) -> io::Result<()> {
        // Nor is a pipe waited for that nobody reads from.
        OpenOptions::new()
            .append(true)
            .custom_flags(bits(OFlags::NOFOLLOW | OFlags::NONBLOCK))
            .open(path)?
            .write_all(octets)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(bits(OFlags::DIRECTORY));
        options.open(path)?.sync_all()
    }

    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_file() => Kind::File,
                Ok(kind) if kind.is_dir() => Kind::Directory,
                _ => Kind::Other,
            };
            each(&entry.file_name(), kind);
        }
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        stat_of(&fs::metadata(path)?)
    }

    fn process_alive(&self, pid: u32) -> bool {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        // EPERM: it runs, as somebody else.
        pid.is_some_and(|pid| {
            rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
        })
    }

    #[cfg(target_os = "linux")]
    fn watch(&self, directory: &Path, name: Option<&OsStr>, tell: Arc<Tell>) -> io::Result<()> {
        super::notice::watch(directory, name, tell)
    }

    fn boot(&self) -> u128 {
        static BOOT: OnceLock<u128> = OnceLock::new();
        *BOOT.get_or_init(|| {
            let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            u128::from_str_radix(&id.trim().replace('-', ""), 16).unwrap_or(0)
        })
    }
}

fn bits(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

fn open(options: &mut OpenOptions, flags: OFlags, path: &Path) -> io::Result<Box<dyn File>> {
    let file = options.custom_flags(bits(flags)).open(path)?;
    Ok(Box::new(RealFile(file)))
}

fn stat_of(metadata: &fs::Metadata) -> io::Result<Stat> {
    let kind = if metadata.is_file() {
        Kind::File
    } else if metadata.is_dir() {
        Kind::Directory
    } else {
        Kind::Other
    };
    Ok(Stat {
        kind,
        len: metadata.len(),
        modified: metadata.modified()?,
        inode: metadata.ino(),
        mode: metadata.mode() & 0o7777,
    })
}

struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buf, at)
    }

    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(buf, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn stat(&self) -> io::Result<Stat> {
        stat_of(&self.0.metadata()?)
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.0.set_modified(time)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.0.set_permissions(fs::Permissions::from_mode(mode))
    }

    #[cfg(target_os = "linux")]
    fn try_lock(&self) -> io::Result<bool> {
        match fcntl(&self.0, nix::libc::F_WRLCK) {
            Ok(()) => Ok(true),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(target_os = "linux")]
    fn unlock(&self) -> io::Result<()> {
        Ok(fcntl(&self.0, nix::libc::F_UNLCK)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn try_lock(&self) -> io::Result<bool> {
        match rustix::fs::fcntl_lock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn unlock(&self) -> io::Result<()> {
        Ok(rustix::fs::fcntl_lock(&self.0, FlockOperation::Unlock)?)
    }

    fn unclaim(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(&self.0, FlockOperation::Unlock)?)
    }

    fn try_claim(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Locks or unlocks the whole file for this handle alone. What `F_SETLK` locks belongs to the process: its threads do
/// not shut each other out, and closing any handle of the file gives it back. To other processes both are the same.
#[cfg(target_os = "linux")]
fn fcntl(file: &fs::File, kind: i32) -> nix::Result<()> {
    let lock = nix::libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(nix::libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}
