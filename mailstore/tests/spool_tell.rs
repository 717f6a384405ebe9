//! Callers of the spool are told after their sync, in order, and whatever becomes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::at;
use common::over::{Beside, Over};
use mailstore::{Error, QueueId, Spool, SpoolConfig};
use tempfile::TempDir;

/// How long a test waits for what must come. It only bounds how long a failure takes.
const LONG: Duration = Duration::from_secs(60);

/// The real files, where each sync of a segment waits to hear what becomes of it.
#[derive(Clone)]
struct Gate {
    reached: Sender<()>,
    outcomes: Arc<Mutex<Receiver<io::Result<()>>>>,
}

impl Beside for Gate {
    fn fails(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap().to_string_lossy();
        if name.parse::<u64>().is_err() {
            return Ok(());
        }
        // A test that ends by a panic waits for nothing.
        let _ = self.reached.send(());
        self.outcomes.lock().unwrap().recv().unwrap_or(Ok(()))
    }
}

/// The test's side of a gate.
struct Keeper {
    reached: Receiver<()>,
    outcomes: Sender<io::Result<()>>,
}

impl Keeper {
    fn wait(&self) {
        self.reached.recv_timeout(LONG).expect("no sync was begun");
    }

    fn let_through(&self) {
        self.outcomes.send(Ok(())).unwrap();
    }

    fn let_fail(&self) {
        let error = io::Error::from_raw_os_error(5);
        self.outcomes.send(Err(error)).unwrap();
    }
}

fn open(root: &Path) -> (Spool, Keeper) {
    let (reached, is_reached) = channel();
    let (outcomes, outcome) = channel();
    let gate = Gate {
        reached,
        outcomes: Arc::new(Mutex::new(outcome)),
    };
    let keeper = Keeper {
        reached: is_reached,
        outcomes,
    };
    let (spool, _) = Spool::open_with_fs(SpoolConfig::new(root), Arc::new(Over(gate))).unwrap();
    (spool, keeper)
}

/// What was told, in the order in which it was.
type Told = Arc<Mutex<Vec<(usize, Result<QueueId, Error>)>>>;

/// Hands in a message; `first` runs when it is told.
fn submit(spool: &Spool, nth: usize, told: &Told, first: impl FnOnce() + Send + 'static) {
    let mut incoming = spool.begin(at(0));
    incoming.write(b"content").unwrap();
    let told = Arc::clone(told);
    incoming.commit_with(nth.to_string().as_bytes(), move |result| {
        first();
        told.lock().unwrap().push((nth, result));
    });
}

fn numbers(told: &Told) -> Vec<usize> {
    told.lock().unwrap().iter().map(|(nth, _)| *nth).collect()
}

/// What is pending after all, by the names that it was handed in under.
fn pending(root: &Path) -> Vec<usize> {
    let (_spool, pending) = Spool::open(SpoolConfig::new(root)).unwrap();
    let name = |envelope: Vec<u8>| String::from_utf8(envelope).unwrap().parse().unwrap();
    pending.into_iter().map(|one| name(one.envelope)).collect()
}

/// A spool whose first message is being synced, and will not have been told before `go_on` says so.
struct Held {
    directory: TempDir,
    spool: Spool,
    keeper: Keeper,
    told: Told,
    go_on: Sender<()>,
}

fn held() -> Held {
    let directory = tempfile::tempdir().unwrap();
    let (spool, keeper) = open(directory.path());
    let told = Told::default();
    let (go_on, is_to_go_on) = channel::<()>();
    submit(&spool, 0, &told, move || {
        let _ = is_to_go_on.recv();
    });
    keeper.wait();
    Held {
        directory,
        spool,
        keeper,
        told,
        go_on,
    }
}

#[test]
fn a_group_is_told_while_the_next_is_written_and_before_it() {
    let Held {
        directory,
        spool,
        keeper,
        told,
        go_on,
    } = held();
    assert!(numbers(&told).is_empty(), "told before the sync");
    submit(&spool, 1, &told, || ());
    submit(&spool, 2, &told, || ());
    keeper.let_through();
    // The first is being told, and will not be before this test lets it: the second group is written all the same.
    keeper.wait();
    submit(&spool, 3, &told, || ());
    keeper.let_through();
    keeper.wait();
    assert!(numbers(&told).is_empty(), "a later one was told before");
    go_on.send(()).unwrap();
    keeper.let_through();
    drop(spool);
    assert_eq!(numbers(&told), [0, 1, 2, 3]);
    assert!(told.lock().unwrap().iter().all(|(_, told)| told.is_ok()));
    assert_eq!(pending(directory.path()), [0, 1, 2, 3]);
}

#[test]
fn a_failed_sync_is_told_to_all_of_its_group_though_the_spool_is_closed() {
    let Held {
        directory,
        spool,
        keeper,
        told,
        go_on,
    } = held();
    for nth in 1..6 {
        submit(&spool, nth, &told, || ());
    }
    let closing = std::thread::spawn(move || drop(spool));
    keeper.let_through();
    keeper.wait();
    keeper.let_fail();
    go_on.send(()).unwrap();
    closing.join().unwrap();
    assert_eq!(numbers(&told), [0, 1, 2, 3, 4, 5]);
    for (nth, told) in told.lock().unwrap().iter() {
        let is_as_wanted = match told {
            Ok(_) => *nth == 0,
            Err(Error::Io { source, .. }) => *nth > 0 && source.raw_os_error() == Some(5),
            Err(_) => false,
        };
        assert!(is_as_wanted, "{nth} was told {told:?}");
    }
    // Nobody was told after the failure that anything was accepted, so its group may be there or not; the first must.
    assert_eq!(pending(directory.path())[0], 0);
}

/// Between two groups a failure is told in its turn, and the next segment takes mail.
#[test]
fn a_failure_is_told_between_what_came_before_and_what_came_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, keeper) = open(directory.path());
    let told = Told::default();
    for nth in 0..3 {
        submit(&spool, nth, &told, || ());
        if nth > 0 {
            // The one before is let through or fails only now, so that each is a group of its own.
            match nth {
                1 => keeper.let_through(),
                _ => keeper.let_fail(),
            }
        }
        keeper.wait();
    }
    keeper.let_through();
    drop(spool);
    let results: Vec<(usize, bool)> = told
        .lock()
        .unwrap()
        .iter()
        .map(|(nth, told)| (*nth, told.is_ok()))
        .collect();
    assert_eq!(results, [(0, true), (1, false), (2, true)]);
    assert_eq!(
        pending(directory.path()),
        [0, 2],
        "what was refused is not there"
    );
}

/// The last clone goes in a caller's function, on the thread that writes and on the one that tells.
#[test]
fn the_last_clone_goes_while_callers_are_told() {
    for others in [0, 1] {
        let directory = tempfile::tempdir().unwrap();
        let (spool, keeper) = open(directory.path());
        let told = Told::default();
        let (ended, is_ended) = channel();
        let (last, first_ended) = (spool.clone(), ended.clone());
        submit(&spool, 0, &told, move || {
            drop(last);
            first_ended.send(()).unwrap();
        });
        keeper.wait();
        // With another one behind it, the first is told by the thread that tells.
        for nth in 0..others {
            let ended = ended.clone();
            submit(&spool, 1 + nth, &told, move || ended.send(()).unwrap());
        }
        drop(spool);
        for _ in 0..others {
            keeper.let_through();
            keeper.wait();
        }
        keeper.let_through();
        for _ in 0..=others {
            is_ended.recv_timeout(LONG).expect("a caller is not told");
        }
    }
}
