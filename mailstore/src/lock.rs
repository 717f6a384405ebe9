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
    /// it was not touched for 300 seconds.
    ///
    /// # Errors
    /// [`Error::Locked`] when the other holder keeps it for about 30 seconds.
    pub(crate) fn acquire(
        durable: &Durable,
        path: PathBuf,
        host: &str,
        now: SystemTime,
    ) -> Result<Self, Error> {
        // Written under another name and then linked: a lock file is never seen without its owner, who would
        // else not be missed when it dies in between.
        let written = Written::new(durable, &path, host)?;
        for attempt in 0..TRIES {
            match durable.link(&written.path, &path) {
                Ok(()) => {
                    held(|held| held.insert(path.clone()));
                    return Ok(Self {
                        durable: durable.clone(),
                        path,
                    });
                }
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            if !break_stale(durable, &path, host, now)? {
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
}

impl<'a> Written<'a> {
    fn new(durable: &'a Durable, lock: &Path, host: &str) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let mut name = std::ffi::OsString::from(".");
        name.push(lock.file_name().unwrap_or_default());
        name.push(format!(".{process}.{count}"));
        let path = lock.with_file_name(name);
        // One of an earlier process with the same number.
        durable.remove(&path)?;
        let file = durable.create(&path)?;
        let written = Self { durable, path };
        file.write_all_at(format!("{process}:{host}").as_bytes(), 0)
            .at("write", &written.path)?;
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
        // Left behind, it names an owner that does not hold it and is broken by the next one.
        let _ = self.durable.remove(&self.path);
        held(|held| held.remove(&self.path));
    }
}

fn held(act: impl FnOnce(&mut HashSet<PathBuf>) -> bool) -> bool {
    act(HELD
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_default())
}

/// Removes the lock when nobody can hold it any more.
fn break_stale(durable: &Durable, path: &Path, host: &str, now: SystemTime) -> Result<bool, Error> {
    let Some((content, stat)) = durable.read_maybe(path, 4096)? else {
        return Ok(true);
    };
    let owner = std::str::from_utf8(&content)
        .ok()
        .and_then(|text| text.trim().split_once(':'));
    let dead =
        match owner.and_then(|(pid, owner_host)| Some((pid.parse::<u32>().ok()?, owner_host))) {
            Some((pid, owner_host)) if owner_host == host && pid == std::process::id() => {
                !held(|held| held.contains(path))
            }
            Some((pid, owner_host)) if owner_host == host => !durable.process_alive(pid),
            _ => false,
        };
    let old = now
        .duration_since(stat.modified)
        .is_ok_and(|age| age > STALE);
    if !dead && !old {
        return Ok(false);
    }
    // Somebody else may have broken it meanwhile and hold it anew.
    match durable.stat_maybe(path)? {
        Some(again) if again.inode == stat.inode && again.modified == stat.modified => {
            durable.remove(path)?;
        }
        _ => {}
    }
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
}
