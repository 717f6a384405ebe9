//! What an opening of the spool reads, and what it makes of damaged beginnings, torn ends and other people's files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use common::at;
use common::over::{Beside, Over};
use common::sim::{Fail, Sim, World};
use mailstore::{Batch, Error, QueueId, Spool, SpoolConfig};

/// Where the second header of a segment stands, and the first frame.
const SECOND: usize = 4096;
const FIRST: usize = SECOND + 36;

fn config(root: &Path) -> SpoolConfig {
    SpoolConfig {
        segment_octets: 64 << 10,
        ..SpoolConfig::new(root)
    }
}

fn body(nth: usize, octets: usize) -> Vec<u8> {
    let text = format!("message {nth} ");
    text.bytes().cycle().take(octets).collect()
}

fn accept(spool: &Spool, nth: usize, octets: usize) -> QueueId {
    let mut incoming = spool.begin(at(0));
    incoming.write(&body(nth, octets)).unwrap();
    incoming.commit(nth.to_string().as_bytes()).unwrap()
}

fn remove(spool: &Spool, id: QueueId) {
    assert!(spool.claim(id));
    let mut batch = Batch::new();
    batch.remove(id);
    spool.commit(batch).unwrap();
}

/// What is pending, each whole.
fn look(root: &Path, octets: usize) -> (Spool, Vec<usize>) {
    let (spool, pending) = Spool::open(config(root)).unwrap();
    let whole = |one: mailstore::Pending| {
        let nth = String::from_utf8(one.envelope).unwrap().parse().unwrap();
        let mut content = Vec::new();
        let mut reader = spool.reader(one.id).unwrap();
        reader.read_to_end(&mut content).unwrap();
        assert_eq!(content, body(nth, octets));
        nth
    };
    let numbers = pending.into_iter().map(whole).collect();
    (spool, numbers)
}

fn segments(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("log")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.to_string_lossy().contains("spare"));
    paths.sort();
    paths
}

/// The files of a spool as a crash of the process leaves them at this moment.
fn copy(root: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["log", "big"] {
        fs::create_dir(copy.path().join(folder)).unwrap();
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let to = copy.path().join(folder).join(entry.file_name());
            fs::copy(entry.path(), to).unwrap();
        }
    }
    copy
}

fn frames(content: &[u8]) -> Vec<usize> {
    let is_frame = |at: &usize| content[*at..].starts_with(b"PHFR");
    (0..content.len()).filter(is_frame).collect()
}

#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl Beside for Counting {
    fn has_read(&self, octets: usize) {
        self.0.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

/// Octets that an opening reads, and how many messages it gives.
fn reads(config: SpoolConfig) -> (u64, usize) {
    let counting = Counting::default();
    let (spool, pending) = Spool::open_with_fs(config, Arc::new(Over(counting.clone()))).unwrap();
    let read = counting.0.load(Ordering::Relaxed);
    drop(spool);
    (read, pending.len())
}

const WINDOW: u64 = 64 << 10;

#[test]
fn an_opening_reads_what_is_pending_and_little_else() {
    let directory = tempfile::tempdir().unwrap();
    let config = |root: &Path| SpoolConfig {
        segment_octets: 4 << 20,
        ..SpoolConfig::new(root)
    };
    let root = directory.path();
    let (spool, _) = Spool::open(config(root)).unwrap();
    let ids: Vec<QueueId> = (0..100).map(|nth| accept(&spool, nth, 3000)).collect();
    // The segment has 4 MiB, and 0.3 of them are used. Each opening adds a segment, of which nothing is.
    let crashed = copy(root);
    for _ in 0..3 {
        let (read, pending) = reads(config(crashed.path()));
        assert_eq!(pending, 100);
        assert!(read < 100 * 3100 + 8 * WINDOW, "{read} octets were read");
    }
    // All but one are ended, and 40 times as many that come later.
    for &id in &ids[1..] {
        remove(&spool, id);
    }
    for nth in 0..400 {
        let id = accept(&spool, nth, 100_000);
        remove(&spool, id);
    }
    let crashed = copy(root);
    let (read, pending) = reads(config(crashed.path()));
    assert_eq!(pending, 1);
    assert!(read < 3 * (4 << 20) + 8 * WINDOW, "{read} octets were read");
}

/// What was being written when a crash came is looked through once, and then no more.
#[test]
fn a_torn_end_is_looked_for_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = SpoolConfig {
        segment_octets: 4 << 20,
        ..SpoolConfig::new(directory.path())
    };
    let (spool, _) = Spool::open(config.clone()).unwrap();
    accept(&spool, 0, 500);
    let last = segments(directory.path()).remove(0);
    accept(&spool, 1, 500);
    drop(spool);
    let mut content = fs::read(&last).unwrap();
    let torn = frames(&content)[1];
    content[torn..torn + 2000].fill(0);
    fs::write(&last, content).unwrap();
    // The end is looked for, and the next group that is written tells it.
    let counting = Counting::default();
    let (spool, pending) =
        Spool::open_with_fs(config.clone(), Arc::new(Over(counting.clone()))).unwrap();
    assert_eq!(pending.len(), 1);
    assert!(counting.0.load(Ordering::Relaxed) > 4 << 20);
    assert!(spool.damage().is_empty());
    accept(&spool, 2, 500);
    drop(spool);
    let (read, pending) = reads(config);
    assert_eq!(pending, 2);
    assert!(read < 8 * WINDOW, "{read} octets were read");
}

#[test]
fn no_octet_before_the_first_frame_hides_a_segment() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (spool, _) = Spool::open(config(root)).unwrap();
    for nth in 0..12 {
        accept(&spool, nth, 700);
    }
    drop(spool);
    let path = segments(root).remove(0);
    let content = fs::read(&path).unwrap();
    assert_eq!(frames(&content)[0], FIRST);
    let all: Vec<usize> = (0..12).collect();
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut damaged = content.clone();
        change(&mut damaged);
        let copy = copy(root);
        fs::write(
            copy.path().join("log").join(path.file_name().unwrap()),
            damaged,
        )
        .unwrap();
        let (spool, left) = look(copy.path(), 700);
        (left, spool.damage().to_vec())
    };
    for octet in (0..36).chain(SECOND..FIRST) {
        let (left, damage) = damaged(&|octets| octets[octet] ^= 1 << (octet % 8));
        assert_eq!((left, damage.len()), (all.clone(), 0), "octet {octet}");
    }
    // A block of the disk that is lost: the first has nothing but the header.
    for block in [512, 4096] {
        let (left, damage) = damaged(&|octets| octets[..block].fill(0));
        assert_eq!((left, damage.len()), (all.clone(), 0));
    }
    // The second has the beginning of the frames, too.
    let (left, damage) = damaged(&|octets| octets[SECOND..SECOND + 4096].fill(0));
    let behind = frames(&content)
        .iter()
        .filter(|&&at| at >= SECOND + 4096)
        .count();
    assert_eq!(left, all[12 - behind..]);
    assert!(behind > 5 && damage.len() == 1 && damage[0].was_acknowledged);
    // Nothing can be read where both are lost, and that is told.
    let (left, damage) = damaged(&|octets| {
        octets[3] ^= 1;
        octets[SECOND + 9] ^= 1;
    });
    assert!(left.is_empty());
    assert!(damage.len() == 1 && damage[0].at == 0 && !damage[0].was_acknowledged);
}

/// The octets of a segment before a group of messages was written and after it.
fn around_a_group(root: &Path) -> (Vec<u8>, Vec<u8>) {
    let (spool, _) = Spool::open(config(root)).unwrap();
    accept(&spool, 0, 700);
    let path = segments(root).remove(0);
    let before = fs::read(&path).unwrap();
    // While the thread that writes tells the first of them, the others come: they are one group.
    let (go_on, is_to_go_on) = channel::<()>();
    let (reached, is_reached) = channel();
    let waits = spool.begin(at(0));
    waits.commit_with(b"1", move |_| {
        reached.send(()).unwrap();
        let _ = is_to_go_on.recv();
    });
    is_reached.recv().unwrap();
    let before_group = fs::read(&path).unwrap();
    assert_ne!(before, before_group);
    let told = Arc::new(Mutex::new(0));
    for nth in 2..6 {
        let mut incoming = spool.begin(at(0));
        incoming.write(&body(nth, 700)).unwrap();
        let told = Arc::clone(&told);
        incoming.commit_with(nth.to_string().as_bytes(), move |result| {
            result.unwrap();
            *told.lock().unwrap() += 1;
        });
    }
    go_on.send(()).unwrap();
    // As a crash leaves it, so that nothing is written behind the group.
    while *told.lock().unwrap() < 4 {
        std::thread::yield_now();
    }
    (before_group, fs::read(&path).unwrap())
}

/// Whether what cannot be read was ever acknowledged is told where something on the disk says it.
#[test]
fn a_torn_group_is_told_from_a_damaged_one() {
    let directory = tempfile::tempdir().unwrap();
    let (before, whole) = around_a_group(directory.path());
    let frames = frames(&whole);
    assert_eq!(frames.len(), 6);
    // What came back of it: pending messages of 700 octets, and damage.
    let come_back = |content: &[u8]| {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("log")).unwrap();
        let path = copy.path().join("log/0000000001");
        fs::write(&path, content).unwrap();
        let (spool, pending) = Spool::open(config(copy.path())).unwrap();
        let damage: Vec<(u64, u64, bool)> = spool
            .damage()
            .iter()
            .map(|damage| (damage.at, damage.octets, damage.was_acknowledged))
            .collect();
        let name = |one: mailstore::Pending| String::from_utf8(one.envelope).unwrap();
        let names: Vec<String> = pending.into_iter().map(name).collect();
        (names.join(" "), damage)
    };
    assert_eq!(come_back(&whole), ("0 1 2 3 4 5".to_owned(), vec![]));
    // Of a group whose beginning did not come to the disk nothing counts, and nothing is told.
    let mut torn = whole.clone();
    let sector = frames[2] / 512 * 512 + 512;
    torn[frames[2]..sector].copy_from_slice(&before[frames[2]..sector]);
    assert_eq!(come_back(&torn), ("0 1".to_owned(), vec![]));
    // Within the last group nothing says which it was.
    let lost = (frames[3] as u64, (frames[4] - frames[3]) as u64);
    let mut torn = whole.clone();
    torn[frames[3]..frames[4]].fill(0);
    let wanted = vec![(lost.0, lost.1, false)];
    assert_eq!(come_back(&torn), ("0 1 2 4 5".to_owned(), wanted));
    // In an earlier one it was acknowledged.
    let mut damaged = whole.clone();
    damaged[frames[1] + 30] ^= 1;
    let wanted = vec![(frames[1] as u64, (frames[2] - frames[1]) as u64, true)];
    assert_eq!(come_back(&damaged), ("0 2 3 4 5".to_owned(), wanted));
    // With the end mark torn, too, there is no telling the tail from what the file held before.
    let mut torn = whole.clone();
    let (last, end) = (frames[5], torn.len());
    torn[last..end].fill(0);
    assert_eq!(come_back(&torn), ("0 1 2 3 4".to_owned(), vec![]));
}

#[test]
fn foreign_files_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (spool, _) = Spool::open(config(root)).unwrap();
    accept(&spool, 0, 700);
    let big = accept(&spool, 1, 200_000);
    drop(spool);
    let log = root.join("log");
    let foreign = [
        log.join("README"),
        log.join("7"),
        log.join("+3"),
        log.join("spare-x"),
        root.join("big/README"),
        root.join("core"),
    ];
    for path in &foreign {
        fs::write(path, b"not ours").unwrap();
    }
    let folders = [
        log.join("0000000040"),
        log.join("spare-9"),
        root.join("big").join("0123456789z1"),
    ];
    for path in &folders {
        fs::create_dir(path).unwrap();
    }
    for _ in 0..3 {
        let (spool, pending) = Spool::open(config(root)).unwrap();
        assert_eq!(pending.len(), 2);
        assert!(spool.damage().is_empty());
        assert_eq!(spool.reader(big).unwrap().size(), 200_000);
        let id = accept(&spool, 2, 30_000);
        remove(&spool, id);
    }
    for path in foreign.iter().chain(&folders) {
        assert!(path.exists(), "{} is gone", path.display());
    }
}

#[test]
fn a_segment_of_an_older_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("log")).unwrap();
    let mut old = b"PHSPOOL1".to_vec();
    old.extend_from_slice(&1u64.to_le_bytes());
    old.resize(9000, 7);
    let path = root.join("log/0000000001");
    fs::write(&path, &old).unwrap();
    let refused = Spool::open(config(root)).map(drop);
    assert!(matches!(refused, Err(Error::Corrupt { path: named, .. }) if named == path));
    assert_eq!(fs::read(&path).unwrap(), old);
}

/// One spool is open in one place: in this process, too.
#[test]
fn a_second_opening_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(config(directory.path())).unwrap();
    accept(&spool, 0, 700);
    let before = segments(directory.path());
    let second = Spool::open(config(directory.path())).map(drop);
    assert!(matches!(second, Err(Error::Locked { .. })));
    assert_eq!(segments(directory.path()), before);
    accept(&spool, 1, 700);
    drop(spool);
    assert_eq!(look(directory.path(), 700).1, [0, 1]);
}

/// A message whose envelope and state do not fit into one frame is moved all the same.
#[test]
fn a_message_of_two_great_frames_is_moved() {
    let directory = tempfile::tempdir().unwrap();
    let config = SpoolConfig {
        segment_octets: 1 << 20,
        inline_octets: 4 << 20,
        ..SpoolConfig::new(directory.path())
    };
    let (envelope, state) = (vec![b'e'; 9 << 20], vec![b's'; 9 << 20]);
    let (spool, _) = Spool::open(config.clone()).unwrap();
    let id = spool.begin(at(0)).commit(&envelope).unwrap();
    let first = segments(directory.path()).remove(0);
    assert!(spool.claim(id));
    let mut batch = Batch::new();
    batch.update(id, &state);
    spool.commit(batch).unwrap();
    for nth in 0..40 {
        if !first.exists() {
            break;
        }
        let filler = accept(&spool, nth, 4_000_000);
        remove(&spool, filler);
    }
    assert!(!first.exists(), "the log was not made shorter");
    drop(spool);
    let (spool, pending) = Spool::open(config).unwrap();
    assert!(spool.damage().is_empty());
    let [pending] = &pending[..] else {
        panic!("{} are pending", pending.len());
    };
    assert!(pending.id == id && pending.envelope == envelope && pending.state == state);
}

/// Whatever fails once while the spool is opened or closed, or for want of room for good: the next opening finds all.
#[test]
fn a_failing_opening_loses_nothing() {
    let config = SpoolConfig {
        segment_octets: 5200,
        inline_octets: 900,
        ..SpoolConfig::new("/spool")
    };
    let sim = Sim::new(World::new());
    let open = |sim: &Sim| Spool::open_with_fs(config.clone(), Arc::new(sim.clone()));
    let (spool, _) = open(&sim).unwrap();
    let ids: Vec<QueueId> = (0..6)
        .map(|nth| accept(&spool, nth, 300 + 300 * nth))
        .collect();
    drop(spool);
    let world = sim.world();
    sim.fail(None);
    drop(open(&sim).unwrap());
    let calls = sim.calls();
    assert!(calls > 20);
    for call in 0..calls {
        for (errno, lasting) in [(5, false), (28, false), (28, true)] {
            let sim = Sim::new(world.clone());
            let fail = Fail {
                call,
                errno,
                lasting,
            };
            sim.fail(Some(fail));
            if let Ok((_, pending)) = open(&sim) {
                let found: Vec<QueueId> = pending.iter().map(|one| one.id).collect();
                assert_eq!(found, ids, "{fail:?}");
            }
            sim.fail(None);
            let (spool, pending) = open(&sim).unwrap_or_else(|error| panic!("{fail:?}: {error}"));
            assert!(spool.damage().is_empty(), "{fail:?}");
            for (nth, one) in pending.iter().enumerate() {
                assert_eq!(one.id, ids[nth], "{fail:?}");
                let mut content = Vec::new();
                let mut reader = spool.reader(one.id).unwrap();
                reader.read_to_end(&mut content).unwrap();
                assert_eq!(content, body(nth, 300 + 300 * nth));
            }
            assert_eq!(pending.len(), ids.len(), "{fail:?}");
        }
    }
}
