//! A log of the spool that somebody cut, lengthened or wrote into: what is given back is whole, and it goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use common::at;
use common::sim::Random;
use mailstore::{Batch, QueueId, Spool, SpoolConfig};

fn config(root: &Path) -> SpoolConfig {
    SpoolConfig {
        segment_octets: 10_000,
        inline_octets: 1500,
        ..SpoolConfig::new(root)
    }
}

fn body(nth: usize) -> Vec<u8> {
    let octets = if nth % 7 == 3 { 3000 } else { 400 + nth };
    format!("message {nth} ")
        .bytes()
        .cycle()
        .take(octets)
        .collect()
}

fn accept(spool: &Spool, nth: usize) -> QueueId {
    let mut incoming = spool.begin(at(nth as u64));
    incoming.write(&body(nth)).unwrap();
    incoming.commit(nth.to_string().as_bytes()).unwrap()
}

/// The segments, oldest first.
fn segments(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("log")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.to_string_lossy().contains("spare"));
    paths.sort();
    paths
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files(root: &Path) -> Files {
    let mut files = Files::new();
    for folder in ["log", "big"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

fn put_back(root: &Path, before: &Files) {
    for folder in ["log", "big"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    for (path, content) in before {
        fs::write(path, content).unwrap();
    }
}

/// What is pending: each whole, with the state that it was given last or before.
fn pending(root: &Path, what: &str) -> (Spool, Vec<usize>) {
    let (spool, pending) =
        Spool::open(config(root)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut numbers = Vec::new();
    for one in pending {
        let nth: usize = String::from_utf8(one.envelope).unwrap().parse().unwrap();
        let mut content = Vec::new();
        let read = spool.reader(one.id).unwrap().read_to_end(&mut content);
        read.unwrap_or_else(|error| panic!("{what}: {nth}: {error}"));
        assert!(content == body(nth), "{what}: {nth} is another");
        assert!(one.state.is_empty() || one.state == b"tried", "{what}");
        numbers.push(nth);
    }
    (spool, numbers)
}

#[test]
fn what_is_damaged_is_passed_over_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (spool, _) = Spool::open(config(root)).unwrap();
    let ids: Vec<QueueId> = (0..40).map(|nth| accept(&spool, nth)).collect();
    for (nth, id) in ids.iter().enumerate().filter(|(nth, _)| nth % 5 == 0) {
        assert!(spool.claim(*id));
        let mut batch = Batch::new();
        if nth % 2 == 1 {
            batch.remove(*id);
        } else {
            batch.update(*id, b"tried");
        }
        spool.commit(batch).unwrap();
    }
    drop(spool);
    let before = files(root);
    let (spool, whole) = pending(root, "whole");
    drop(spool);
    assert_eq!(whole.len(), 36);
    put_back(root, &before);
    let mut random = Random(5);
    for round in 0..96 {
        let segments = segments(root);
        let path = &segments[random.below(segments.len() as u64) as usize];
        let mut content = before[path].clone();
        let place = random.below(content.len() as u64) as usize;
        let what = match round % 6 {
            0 => {
                content.truncate(place);
                "cut"
            }
            1 => {
                content.extend((0..1 + place).map(|_| random.below(256) as u8));
                "longer"
            }
            2 => {
                let end = (place + 1 + random.below(600) as usize).min(content.len());
                content[place..end].fill(0);
                "zeros"
            }
            3 => {
                // A frame of another place, or of another segment.
                let other = &before[&segments[random.below(segments.len() as u64) as usize]];
                let from = random.below(other.len() as u64) as usize;
                let octets = (other.len() - from).min(content.len() - place).min(700);
                content[place..place + octets].copy_from_slice(&other[from..from + octets]);
                "copied"
            }
            4 => {
                // Lengths near the greatest there are.
                let octets = content.len().min(place + 8) - place;
                content[place..place + octets].fill(0xff);
                "great numbers"
            }
            _ => {
                content[place] ^= 1 << random.below(8);
                "a bit"
            }
        };
        fs::write(path, &content).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let what = format!("round {round}: {what} at {place} of {name}");
        let (spool, left) = pending(root, &what);
        // What the other segments hold is there, but for what a lost record ended; and it takes mail.
        let others = 36 - 36 / segments.len() - 16;
        assert!(left.len() > others, "{what}: {left:?}");
        let id = accept(&spool, 1000 + round);
        drop(spool);
        let (spool, again) = pending(root, &what);
        assert!(spool.pending().contains(&id), "{what}");
        assert_eq!(again[..left.len()], left, "{what}");
        drop(spool);
        put_back(root, &before);
    }
    // One in which nothing is a segment.
    for path in segments(root) {
        fs::write(path, vec![b'x'; 9000]).unwrap();
    }
    let (spool, left) = pending(root, "none");
    assert!(left.is_empty());
    accept(&spool, 1);
    drop(spool);
    assert_eq!(pending(root, "none").1, [1]);
}

/// Where frames stand in a segment.
fn frames(content: &[u8]) -> Vec<usize> {
    let is_frame = |at: &usize| content[*at..].starts_with(b"PHFR");
    (0..content.len()).filter(is_frame).collect()
}

/// Whichever octet of a frame's header is another, that frame alone is lost, and told.
#[test]
fn a_damaged_header_hides_no_other_frame() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (spool, _) = Spool::open(config(root)).unwrap();
    assert!(spool.damage().is_empty());
    for nth in 10..16 {
        accept(&spool, nth);
    }
    drop(spool);
    let before = files(root);
    let path = segments(root).remove(0);
    let content = &before[&path];
    let frames = frames(content);
    assert_eq!(frames.len(), 6);
    let mut random = Random(9);
    for place in 0..24 {
        let lost = place % 5;
        let mut damaged = content.clone();
        damaged[frames[lost] + place] ^= 1 << random.below(8);
        fs::write(&path, damaged).unwrap();
        let what = format!("octet {place} of header {lost}");
        let (spool, left) = pending(root, &what);
        let mut wanted: Vec<usize> = (10..16).collect();
        wanted.remove(lost);
        assert_eq!(left, wanted, "{what}");
        let [damage] = spool.damage() else {
            panic!("{what}: {:?}", spool.damage());
        };
        assert!(damage.was_acknowledged, "{what}");
        assert_eq!(
            (&damage.path, damage.at, damage.octets),
            (
                &path,
                frames[lost] as u64,
                (frames[lost + 1] - frames[lost]) as u64
            ),
            "{what}"
        );
        drop(spool);
        put_back(root, &before);
    }
    // The last one has an end mark behind it, which says that it was acknowledged, since the spool was closed.
    let mut damaged = content.clone();
    damaged[frames[5]] ^= 1;
    fs::write(&path, damaged).unwrap();
    let (spool, left) = pending(root, "the last");
    assert_eq!(left, [10, 11, 12, 13, 14]);
    assert!(matches!(spool.damage(), [damage] if damage.was_acknowledged));
}

/// What a message carries is not taken for a frame where frames are looked for, be it a copy of a true one.
#[test]
fn no_frame_is_found_in_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let config = SpoolConfig {
        segment_octets: 8 << 20,
        inline_octets: 1 << 20,
        ..SpoolConfig::new(root)
    };
    let (spool, _) = Spool::open(config.clone()).unwrap();
    let first = accept(&spool, 10);
    let path = segments(root).remove(0);
    let at = frames(&fs::read(&path).unwrap())[0];
    let frame = fs::read(&path).unwrap()[at..at + 24 + body(10).len()].to_vec();
    // Many beginnings of frames, so that each is looked at, and a whole one behind them.
    let mut content = b"PHFR".repeat(200_000);
    content.extend_from_slice(&frame);
    let mut incoming = spool.begin(common::at(11));
    incoming.write(&content).unwrap();
    incoming.commit(b"11").unwrap();
    let last = accept(&spool, 12);
    drop(spool);
    let mut damaged = fs::read(&path).unwrap();
    let carrier = frames(&damaged)[1];
    damaged[carrier + 5] ^= 0x10;
    fs::write(&path, damaged).unwrap();
    let (spool, pending) = Spool::open(config).unwrap();
    let ids: Vec<QueueId> = pending.iter().map(|one| one.id).collect();
    assert_eq!(ids, [first, last]);
    assert_eq!(spool.damage().len(), 1);
    assert_eq!(spool.damage()[0].at, carrier as u64);
}
