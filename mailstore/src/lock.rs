//! Dotlocks: the lock that Dovecot, procmail and mail readers understand.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::durable::Durable;
use crate::error::Error;

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
        for attempt in 0..TRIES {
            match durable.create(&path) {
                Ok(file) => {
                    held(|held| held.insert(path.clone()));
                    let lock = Self {
                        durable: durable.clone(),
                        path,
                    };
                    // The content only helps others to see that the owner died; the name is the lock.
                    let _ =
                        file.write_all_at(format!("{}:{host}", std::process::id()).as_bytes(), 0);
                    return Ok(lock);
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
