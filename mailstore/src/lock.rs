//! Dotlocks: the lock that Dovecot, procmail and mail readers understand.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::durable::Durable;
use crate::error::{Error, IoContext};

/// A lock that was not touched for so long belongs to nobody, whoever wrote it.
const STALE: Duration = Duration::from_secs(300);
/// Pauses between tries, in milliseconds; together about 30 seconds.
const PAUSES: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const TRIES: usize = 36;

/// Locks this process holds, so that one left by an earlier process with the same number is told apart.
static HELD: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// A held lock file; dropping it removes the file.
pub(crate) struct DotLock {
    durable: Durable,
    path: PathBuf,
}

impl DotLock {
    /// Takes the lock file `path`, waiting for another holder.
    ///
    /// A lock is broken when its owner, written in it as `pid:host`, is of this host and no longer runs, or when
    /// it was not touched for 300 seconds. An owner that runs is waited for all the same, as the clock may have
    /// jumped.
    ///
    /// # Errors
    /// [`Error::Locked`] when the other holder keeps it for about 30 seconds.
    pub(crate) fn acquire(
        durable: &Durable,
        path: PathBuf,
        host: &str,
        now: SystemTime,
    ) -> Result<Self, Error> {
        Self::acquire_in(durable, path, host, now, TRIES)
    }

    /// As [`acquire`](Self::acquire), but waits for two seconds at most.
    pub(crate) fn acquire_soon(
        durable: &Durable,
        path: PathBuf,
        host: &str,
        now: SystemTime,
    ) -> Result<Self, Error> {
        Self::acquire_in(durable, path, host, now, PAUSES.len())
    }

    fn acquire_in(
        durable: &Durable,
        path: PathBuf,
        host: &str,
        now: SystemTime,
        tries: usize,
    ) -> Result<Self, Error> {
        // Written under another name and then linked: a lock file is never seen without its owner, who would
        // else not be missed when it dies in between.
        let written = Written::new(durable, &path, host)?;
        for attempt in 0..=tries {
            // In one step for the threads of this process: none may see a lock of its own that is not held.
            let linked = held(|held| {
                let linked = durable.link(&written.path, &path);
                if linked.is_ok() {
                    held.insert(path.clone());
                }
                linked
            });
            match linked {
                Ok(()) => {
                    return Ok(Self {
                        durable: durable.clone(),
                        path,
                    });
                }
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let patient = attempt + 1 < TRIES;
            if !break_stale(durable, &path, host, [now, written.modified], patient)? {
                let pause = PAUSES
                    .get(attempt)
                    .or(PAUSES.last())
                    .copied()
                    .unwrap_or_default();
                thread::sleep(Duration::from_millis(pause));
            }
        }
        Err(Error::Locked { path })
    }
}

/// The lock file before it has its name; dropping it removes it.
struct Written<'a> {
    durable: &'a Durable,
    path: PathBuf,
    /// When it was written, by the clock that gives files their times.
    modified: SystemTime,
}

impl<'a> Written<'a> {
    fn new(durable: &'a Durable, lock: &Path, host: &str) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let mut name = std::ffi::OsString::from(".");
        name.push(lock.file_name().unwrap_or_default());
        // What ends so is no mailbox to Dovecot.
        name.push(format!(".{process}.{count}.lock"));
        let path = lock.with_file_name(name);
        // One of an earlier process with the same number.
        durable.remove(&path)?;
        let file = durable.create(&path)?;
        let mut written = Self {
            durable,
            path,
            modified: SystemTime::UNIX_EPOCH,
        };
        file.write_all_at(format!("{process}:{host}").as_bytes(), 0)
            .at("write", &written.path)?;
        written.modified = file.stat().at("stat", &written.path)?.modified;
        Ok(written)
    }
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        // Left behind, it is a hidden file of a few octets.
        let _ = self.durable.remove(&self.path);
    }
}

impl Drop for DotLock {
    fn drop(&mut self) {
        held(|held| {
            // Left behind, it names an owner that does not hold it and is broken by the next one.
            let _ = self.durable.remove(&self.path);
            held.remove(&self.path)
        });
    }
}

fn held<T>(act: impl FnOnce(&mut HashSet<PathBuf>) -> T) -> T {
    act(HELD
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_default())
}

/// Removes the lock when nobody can hold it any more. The clocks are the caller's and that of the file system: one
/// that was put forward does not break the lock of an owner who cannot be asked after. `patient`: nor when an owner that runs has not touched it for
/// long.
fn break_stale(
    durable: &Durable,
    path: &Path,
    host: &str,
    [now, of_files]: [SystemTime; 2],
    patient: bool,
) -> Result<bool, Error> {
    let read = match durable.read_maybe(path, 4096) {
        // Nobody's who takes locks.
        Err(error) if error.is_no_file_of_ours() => {
            durable.stat_maybe(path)?.map(|stat| (Vec::new(), stat))
        }
        other => other?,
    };
    let Some((content, stat)) = read else {
        return Ok(true);
    };
    let owner = std::str::from_utf8(&content)
        .ok()
        .and_then(|text| text.trim().split_once(':'));
    let runs =
        match owner.and_then(|(pid, owner_host)| Some((pid.parse::<u32>().ok()?, owner_host))) {
            Some((pid, owner_host)) if owner_host == host && pid == std::process::id() => {
                Some(held(|held| held.contains(path)))
            }
            Some((pid, owner_host)) if owner_host == host => Some(durable.process_alive(pid)),
            _ => None,
        };
    let old = |now: SystemTime| {
        let age = now.duration_since(stat.modified);
        age.is_ok_and(|age| age > STALE)
    };
    let stale = match runs {
        Some(false) => true,
        Some(true) => old(now) && !patient,
        None if owner.is_some() => old(now) && old(of_files),
        // A crash left it empty.
        None => old(now),
    };
    if !stale {
        return Ok(false);
    }
    // Somebody else may have broken it meanwhile and hold it anew. Of those who would break it here, one does at a time,
    // so that none removes the next one's.
    let broken = match durable.open_own(path) {
        Ok(file) if !file.try_claim().unwrap_or(true) => return Ok(false),
        Ok(file) => Some(file),
        // No file, or gone.
        Err(_) => None,
    };
    match durable.stat_maybe(path)? {
        Some(again) if again.inode == stat.inode && again.modified == stat.modified => {
            durable.remove(path)?;
        }
        _ => {}
    }
    drop(broken);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::durable::RealFs;

    #[test]
    fn a_lock_names_its_owner_from_its_first_moment() {
        let folder = tempfile::tempdir().unwrap();
        let durable = Durable::new(Arc::new(RealFs));
        let path = folder.path().join("inbox.lock");
        let now = SystemTime::UNIX_EPOCH;
        // Whoever looks at the name at any time finds the owner in it, or no file.
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(text) = std::fs::read_to_string(&path) {
                        assert!(text.ends_with(":mx.example.org"), "{text:?}");
                    }
                }
            });
            for _ in 0..200 {
                drop(DotLock::acquire(&durable, path.clone(), "mx.example.org", now).unwrap());
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_of_another_host_is_old_by_both_clocks_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let durable = Durable::new(Arc::new(RealFs));
        let path = folder.path().join("inbox.lock");
        std::fs::write(&path, "1:another.example.org").unwrap();
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        let later = written + STALE + Duration::from_secs(3600);
        let take = |now| DotLock::acquire_soon(&durable, path.clone(), "mx.example.org", now);
        // The clock was put forward.
        assert!(matches!(take(later), Err(Error::Locked { .. })));
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(written - STALE - Duration::from_secs(60))
            .unwrap();
        // The clock was put back.
        assert!(matches!(take(written - STALE), Err(Error::Locked { .. })));
        drop(take(written).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn the_lock_of_a_dead_process_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let durable = Durable::new(Arc::new(RealFs));
        let path = folder.path().join("inbox.lock");
        // Above every process number that the system gives.
        std::fs::write(&path, "4194305:mx.example.org").unwrap();
        let now = SystemTime::UNIX_EPOCH;
        let lock = DotLock::acquire(&durable, path.clone(), "mx.example.org", now).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}:mx.example.org", std::process::id()));
        drop(lock);
    }

    #[test]
    fn the_lock_of_one_who_runs_is_waited_for_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let durable = Durable::new(Arc::new(RealFs));
        let path = folder.path().join("inbox.lock");
        // The first process of every system.
        std::fs::write(&path, "1:mx.example.org").unwrap();
        let day = Duration::from_secs(86400);
        let tomorrow = std::fs::metadata(&path).unwrap().modified().unwrap() + day;
        let broken =
            |host, patient| break_stale(&durable, &path, host, [tomorrow; 2], patient).unwrap();
        assert!(!broken("mx.example.org", true));
        assert!(path.exists());
        assert!(broken("mx.example.org", false));
        assert!(!path.exists());
        // Of another host nothing but the age is known.
        std::fs::write(&path, "1:other.example.org").unwrap();
        assert!(broken("mx.example.org", true));
        assert!(!path.exists());
    }

    /// Lets somebody else come when the stale lock is about to be removed.
    struct Meanwhile<F: Fn() + Send + Sync>(RealFs, F, std::sync::atomic::AtomicBool);

    impl<F: Fn() + Send + Sync> crate::durable::Fs for Meanwhile<F> {
        fn unlink(&self, path: &Path) -> std::io::Result<()> {
            if path.ends_with("inbox.lock") && !self.2.swap(true, Ordering::Relaxed) {
                (self.1)();
            }
            self.0.unlink(path)
        }
        fn create_excl(&self, path: &Path) -> std::io::Result<Box<dyn crate::durable::File>> {
            self.0.create_excl(path)
        }
        fn open(&self, path: &Path) -> std::io::Result<Box<dyn crate::durable::File>> {
            self.0.open(path)
        }
        fn open_write(&self, path: &Path) -> std::io::Result<Box<dyn crate::durable::File>> {
            self.0.open_write(path)
        }
        fn link(&self, from: &Path, to: &Path) -> std::io::Result<()> {
            self.0.link(from, to)
        }
        fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
            self.0.rename(from, to)
        }
        fn mkdir(&self, path: &Path) -> std::io::Result<()> {
            self.0.mkdir(path)
        }
        fn rmdir(&self, path: &Path) -> std::io::Result<()> {
            self.0.rmdir(path)
        }
        fn fsync_dir(&self, path: &Path) -> std::io::Result<()> {
            self.0.fsync_dir(path)
        }
        fn readdir(
            &self,
            path: &Path,
            each: &mut dyn FnMut(&std::ffi::OsStr, crate::durable::Kind),
        ) -> std::io::Result<()> {
            self.0.readdir(path, each)
        }
        fn stat(&self, path: &Path) -> std::io::Result<crate::durable::Stat> {
            self.0.stat(path)
        }
        fn process_alive(&self, pid: u32) -> bool {
            self.0.process_alive(pid)
        }
    }

    #[test]
    fn a_stale_lock_is_broken_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.lock");
        std::fs::write(&path, "4194305:mx.example.org").unwrap();
        let now = SystemTime::UNIX_EPOCH;
        let other = Arc::new(Mutex::new(None));
        let meanwhile = {
            let (path, other) = (path.clone(), Arc::clone(&other));
            move || {
                let durable = Durable::new(Arc::new(RealFs));
                let tried = DotLock::acquire_in(&durable, path.clone(), "mx.example.org", now, 3);
                *other.lock().unwrap() = Some(tried);
            }
        };
        let fs = Meanwhile(RealFs, meanwhile, std::sync::atomic::AtomicBool::new(false));
        let durable = Durable::new(Arc::new(fs));
        let lock = DotLock::acquire_soon(&durable, path.clone(), "mx.example.org", now);
        let other = other.lock().unwrap().take().unwrap();
        assert!(lock.is_ok());
        assert!(matches!(other, Err(Error::Locked { .. })));
    }
}
