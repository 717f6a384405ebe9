//! Command lines made by chance, given to Debian's lockfile and to this one
//! where some locks are held and some are stale: the same must come of them.
//!
//! Needs lockfile; runs where POSTHASTE_INTEROP=1. POSTHASTE_SEED gives
//! another seed, POSTHASTE_PAIRS another number of pairs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;
#[allow(dead_code, reason = "rcfiles are of no use here")]
#[path = "../../../procmail-rules/tests/corpus/generator.rs"]
mod generator;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use common::differential::{assert_same, command, number};
use generator::{Chance, Writer};

const REAL: &str = "/usr/bin/lockfile";
const PAIRS: u64 = 300;
const WORKERS: u64 = 8;

/// So often a pair differs until it does.
const TRIES: usize = 5;

/// Words that take no longer than a second or two of waiting.
const OPTIONS: [&str; 24] = [
    "-0", "-00", "-1", "-r0", "-r 0", "-r1", "-r 2", "-!", "-!", "-l1000", "-l 50", "-l 0", "-l 1",
    "-s0", "-s 0", "-s 1", "-!r0", "-r", "-l x", "-q", "-0r0", "--", "-r 1x", "-s -1",
];

const FILES: [&str; 14] = [
    "free", "free2", "free3", "held", "held", "stale", "stale2", "large", "folder", "no/such",
    "dangling", "linked", "", "-",
];

/// Locks as they are before, and how long ago they were made.
const LOCKS: [(&str, &str, u64); 4] = [
    ("held", "0", 0),
    ("stale", "0", 100),
    ("stale2", "", 100),
    ("large", "a file of somebody's, and no lock", 100),
];

fn arguments(seed: u64) -> Vec<String> {
    let mut writer = Writer(Chance::new(seed));
    // Nobody gives these locks back.
    let mut arguments: Vec<String> = ["-0", "-s", "0", "-r"].map(str::to_owned).to_vec();
    arguments.push(writer.of(&["0", "1", "2"]).to_owned());
    for _ in 0..1 + writer.0.below(5) {
        if writer.0.below(2) == 0 {
            let option = writer.of(&OPTIONS);
            arguments.extend(option.split(' ').map(str::to_owned));
        } else {
            arguments.push(writer.of(&FILES).to_owned());
        }
    }
    arguments
}

/// What is compared.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    exit: Option<i32>,
    told: Vec<String>,
    files: BTreeMap<String, String>,
}

fn prepare(place: &Path) {
    let _ = fs::remove_dir_all(place);
    fs::create_dir_all(place.join("folder")).unwrap();
    for (name, text, age) in LOCKS {
        fs::write(place.join(name), text).unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        let file = File::options().write(true).open(place.join(name)).unwrap();
        file.set_modified(time).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", place.join("dangling")).unwrap();
    std::os::unix::fs::symlink("stale", place.join("linked")).unwrap();
}

fn spawn(program: &Path, place: &Path, arguments: &[String]) -> Child {
    Command::new("timeout")
        .args(["-k", "1", "300"])
        .arg(program)
        .args(arguments)
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn seen(child: Child, place: &Path) -> Seen {
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().filter(|line| line.starts_with("lockfile:"));
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(place).unwrap().flatten() {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        let kind = if metadata.is_file() {
            fs::read_to_string(entry.path()).unwrap()
        } else {
            format!("{:?}", metadata.file_type())
        };
        let name = entry.file_name().into_string().unwrap();
        files.insert(
            name,
            format!("{:o} {kind}", {
                use std::os::unix::fs::PermissionsExt;
                metadata.permissions().mode()
            }),
        );
    }
    Seen {
        exit: output.status.code(),
        told: told.map(str::to_owned).collect(),
        files,
    }
}

#[test]
fn any_command_line_does_the_same() {
    if !common::interop() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = command(folder.path(), "lockfile");
    let first = number("POSTHASTE_SEED", 1);
    let pairs = number("POSTHASTE_PAIRS", PAIRS);
    let begun = AtomicU64::new(0);
    let work = |worker: u64| {
        let place = folder.path().join(format!("worker{worker}"));
        let mut differing = Vec::new();
        loop {
            let pair = begun.fetch_add(1, Ordering::Relaxed);
            if pair >= pairs {
                return differing;
            }
            let arguments = arguments(first + pair);
            let by = |program: &Path| {
                prepare(&place);
                seen(spawn(program, &place, &arguments), &place)
            };
            let mut both = (by(Path::new(REAL)), by(&ours));
            // Whether a lock is older than it may be depends on the second in which each looks.
            for _ in 1..TRIES {
                if both.0 != both.1 {
                    both = (by(Path::new(REAL)), by(&ours));
                }
            }
            let (theirs, ours) = both;
            if theirs != ours {
                differing.push(format!(
                    "seed {}: {arguments:?}\n-- theirs {theirs:#?}\n-- ours   {ours:#?}",
                    first + pair
                ));
            }
        }
    };
    let work = &work;
    let differing: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|n| scope.spawn(move || work(n))).collect();
        let told = workers.into_iter().map(|worker| worker.join().unwrap());
        told.flatten().collect()
    });
    assert_same(&differing, pairs);
}

/// Whoever waits for a lock has it once it is given back, and only one of several does.
#[test]
fn who_waits_for_a_lock_gets_it() {
    if !common::interop() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = command(folder.path(), "lockfile");
    for program in [Path::new(REAL), &ours] {
        let place = folder.path().join("place");
        prepare(&place);
        let wanted = ["-1", "held", "free"].map(str::to_owned);
        let mut waiting = spawn(program, &place, &wanted);
        // It cannot end before the lock is given back.
        thread::sleep(Duration::from_millis(1_500));
        assert_eq!(waiting.try_wait().unwrap(), None);
        assert!(!place.join("free").exists());
        fs::remove_file(place.join("held")).unwrap();
        let seen = seen(waiting, &place);
        assert_eq!((seen.exit, seen.told), (Some(0), Vec::new()));
        assert_eq!(seen.files["free"], "100444 0");
        assert_eq!(seen.files["held"], "100444 0");
    }
}

/// Locks made by either are respected by the other.
#[test]
fn locks_keep_each_other_out() {
    if !common::interop() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = command(folder.path(), "lockfile");
    let place = folder.path().join("place");
    for (one, other) in [(Path::new(REAL), ours.as_path()), (&ours, Path::new(REAL))] {
        prepare(&place);
        let wanted = ["-0", "-r0", "free"].map(str::to_owned);
        assert_eq!(seen(spawn(one, &place, &wanted), &place).exit, Some(0));
        assert_eq!(seen(spawn(other, &place, &wanted), &place).exit, Some(73));
    }
}
