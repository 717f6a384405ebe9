//! The two locks of an mbox.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use super::{Site, recover};
use crate::account::{MboxLocks, Shared};
use crate::durable::{Durable, File};
use crate::error::{Error, IoContext};
use crate::lock::DotLock;

/// The file, with both locks.
pub(super) struct Locked {
    pub(super) file: Arc<dyn File>,
    _dot: Option<DotLock>,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // It fails only where there is no such lock, and closing the file would give it back too.
        let _ = self.file.unlock();
    }
}

/// Times that both locks are tried for, about 30 seconds.
const LOCK_TRIES: u64 = 24;
/// Tries for the `fcntl` lock while the other one is held, with pauses of 50 ms: a second.
const FCNTL_TRIES: usize = 20;

/// Takes the locks in the configured order and ends what a crash cut short. `known` is the handle to go on with while
/// it is still the file that has the name: where locks belong to processes, closing another handle of the same file
/// would give the lock back.
///
/// Whoever holds the second lock may wait for the first, as Dovecot does when it reads and then wants to write; so
/// the first one is given back when the second does not come soon.
pub(super) fn lock(
    shared: &Shared,
    site: &Site,
    known: Option<&Arc<dyn File>>,
    now: SystemTime,
) -> Result<Locked, Error> {
    let durable = &shared.durable;
    for attempt in 0..LOCK_TRIES {
        if let Some(locked) = try_lock(shared, site, known, now)? {
            recover::recover(durable, site, &*locked.file)?;
            return Ok(locked);
        }
        // Two that wait for each other do so for different times.
        let pause = 50 + (u64::from(std::process::id()) + 7 * attempt) % 11 * 30;
        thread::sleep(Duration::from_millis(pause));
    }
    Err(Error::Locked {
        path: site.file.clone(),
    })
}

/// Both locks; `None` when somebody has the second one.
fn try_lock(
    shared: &Shared,
    site: &Site,
    known: Option<&Arc<dyn File>>,
    now: SystemTime,
) -> Result<Option<Locked>, Error> {
    let durable = &shared.durable;
    if shared.mbox_locks == MboxLocks::FcntlDotlock {
        let file = current(durable, site, known)?;
        let mut locked = Locked { file, _dot: None };
        if !try_fcntl(&*locked.file, site)? {
            return Ok(None);
        }
        locked._dot = match DotLock::acquire_soon(durable, site.lock(), &shared.host, now) {
            Err(Error::Locked { .. }) => return Ok(None),
            other => allowed(other)?,
        };
        // Another file may have got the name before the dotlock was there.
        let stat = durable.stat_maybe(&site.file)?;
        let inode = locked.file.stat().at("stat", &site.file)?.inode;
        return Ok(stat.filter(|stat| stat.inode == inode).map(|_| locked));
    }
    let dot = allowed(DotLock::acquire(durable, site.lock(), &shared.host, now))?;
    let file = current(durable, site, known)?;
    if !try_fcntl(&*file, site)? {
        return Ok(None);
    }
    Ok(Some(Locked { file, _dot: dot }))
}

/// Where the directory is not ours to write to, as a spool of others', only the other lock is left.
fn allowed(lock: Result<DotLock, Error>) -> Result<Option<DotLock>, Error> {
    match lock {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn try_fcntl(file: &dyn File, site: &Site) -> Result<bool, Error> {
    for attempt in 0..FCNTL_TRIES {
        if attempt > 0 {
            thread::sleep(Duration::from_millis(50));
        }
        if file.try_lock().at("lock", &site.file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The file that has the name now; made when there is none.
fn current(
    durable: &Durable,
    site: &Site,
    known: Option<&Arc<dyn File>>,
) -> Result<Arc<dyn File>, Error> {
    let stat = match durable.stat_maybe(&site.file)? {
        Some(stat) => stat,
        None => {
            let file = durable.create(&site.file)?;
            durable.sync(&*file, &site.file)?;
            if let Some(directory) = site.file.parent() {
                durable.sync_dir(directory)?;
            }
            file.stat().at("stat", &site.file)?
        }
    };
    let same = match known {
        Some(file) => file.stat().at("stat", &site.file)?.inode == stat.inode,
        None => false,
    };
    Ok(match known {
        Some(file) if same => Arc::clone(file),
        _ => Arc::from(durable.open_write(&site.file)?),
    })
}
