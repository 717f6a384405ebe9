//! Directory syncs shared by concurrent callers.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// One queue of syncs for each directory that is being synced right now.
#[derive(Default)]
pub(super) struct DirectorySyncs {
    directories: Mutex<HashMap<PathBuf, Arc<Rounds>>>,
}

#[derive(Default)]
struct Rounds {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// Syncs begun so far.
    begun: u64,
    /// Syncs ended so far; at most one runs, so `begun - ended` is 0 or 1.
    ended: u64,
    /// Rounds that failed and still have waiters, as raw errors are not `Clone`.
    failed: HashMap<u64, (io::ErrorKind, Option<i32>)>,
    waiters: usize,
}

impl DirectorySyncs {
    /// Returns after a sync that began after this call began. The names the caller changed before are in it.
    pub(super) fn sync(&self, path: &Path, run: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let rounds = {
            let mut directories = self
                .directories
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(directories.entry(path.to_owned()).or_default())
        };
        let result = rounds.wait_or_run(run);
        let mut directories = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // This caller and the map hold the last two: nobody else waits.
        if Arc::strong_count(&rounds) == 2 {
            directories.remove(path);
        }
        result
    }
}

impl Rounds {
    fn wait_or_run(&self, run: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A round that is already running may have passed the caller's change; the next one has not.
        let wanted = state.begun + 1;
        state.waiters += 1;
        let result = loop {
            if state.ended >= wanted {
                break match state.failed.get(&wanted) {
                    None => Ok(()),
                    Some((_, Some(code))) => Err(io::Error::from_raw_os_error(*code)),
                    Some((kind, None)) => Err(io::Error::from(*kind)),
                };
            }
            if state.begun == state.ended {
                state.begun += 1;
                let round = state.begun;
                drop(state);
                let result = run();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.ended = round;
                if let Err(error) = &result {
                    state
                        .failed
                        .insert(round, (error.kind(), error.raw_os_error()));
                }
                self.done.notify_all();
            } else {
                state = self
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        };
        state.waiters -= 1;
        if state.waiters == 0 {
            state.failed.clear();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_caller_gets_a_sync_that_began_after_it() {
        let syncs = DirectorySyncs::default();
        let runs = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let before = runs.load(Ordering::SeqCst);
                        syncs
                            .sync(Path::new("/a"), || {
                                runs.fetch_add(1, Ordering::SeqCst);
                                Ok(())
                            })
                            .unwrap();
                        assert!(runs.load(Ordering::SeqCst) > before);
                    }
                });
            }
        });
        assert!(syncs.directories.lock().unwrap().is_empty());
    }

    #[test]
    fn an_error_reaches_its_callers_and_not_the_next() {
        let syncs = DirectorySyncs::default();
        let error = syncs
            .sync(Path::new("/a"), || Err(io::Error::from_raw_os_error(28)))
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(28));
        syncs.sync(Path::new("/a"), || Ok(())).unwrap();
    }
}
