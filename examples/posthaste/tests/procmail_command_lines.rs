//! Command lines written by hand, given to Debian's formail, lockfile and procmail and to these:
//! the same must come of them. `command_lines` has the lines, and the messages they are tried on.
//!
//! Needs the real programs; runs where POSTHASTE_INTEROP=1.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::differential::assert_same;
use regex_automata::meta::Regex;

const WORKERS: usize = 4;

/// What is of the moment: dates, names of messages that are made up, temporary files.
const UNIQUE: [(&str, &str); 3] = [
    (
        "[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} 20(2[5-9]|[3-9][0-9])",
        "DATE",
    ),
    (
        "<[-A-Za-z0-9_]+\\.[A-Z]+\\.[-A-Za-z0-9_.]+@[^>]+>",
        "<UNIQUE>",
    ),
    ("_[A-Za-z0-9_-]+\\.[A-Za-z0-9]+\\.[a-z]+", "_TEMPORARY"),
];

/// What a line leaves: its exit code, what it printed, and the files with their modes.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    exit: Option<i32>,
    printed: String,
    told: String,
    files: Vec<(String, u32, String)>,
}

struct Lines {
    folder: tempfile::TempDir,
    unique: Vec<(Regex, &'static str)>,
}

impl Lines {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (messages, programs) = (folder.path().join("messages"), folder.path().join("ours"));
        fs::create_dir(&messages).unwrap();
        fs::create_dir(&programs).unwrap();
        let made = Command::new("sh")
            .arg(place("messages.sh"))
            .current_dir(&messages)
            .status();
        assert!(made.unwrap().success());
        for name in ["formail", "lockfile", "procmail"] {
            symlink(env!("CARGO_BIN_EXE_posthaste"), programs.join(name)).unwrap();
        }
        let unique = UNIQUE.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name));
        Self {
            folder,
            unique: unique.into(),
        }
    }

    fn plain(&self, octets: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(octets).into_owned();
        for (regex, name) in &self.unique {
            let found: Vec<_> = regex.find_iter(text.as_bytes()).collect();
            for found in found.into_iter().rev() {
                text.replace_range(found.range(), name);
            }
        }
        text
    }

    fn run(&self, line: &str, worker: usize, ours: bool) -> Left {
        let place = self.folder.path().join(format!("place{worker}"));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).unwrap();
        let programs = self.folder.path().join("ours");
        let path = "/usr/bin:/bin";
        let output = Command::new("timeout")
            .args(["-k", "1", "120", "sh", "-c", line])
            .env_clear()
            .env(
                "PATH",
                if ours {
                    format!("{}:{path}", programs.display())
                } else {
                    path.to_owned()
                },
            )
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .env("HOME", &place)
            .env("M", self.folder.path().join("messages"))
            .current_dir(&place)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut files = Vec::new();
        self.collect(&place, &place, &mut files);
        files.sort();
        Left {
            exit: output.status.code(),
            printed: self.plain(&output.stdout),
            told: self.plain(&output.stderr),
            files,
        }
    }

    fn collect(&self, root: &Path, folder: &Path, files: &mut Vec<(String, u32, String)>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_file() {
                self.plain(&fs::read(&path).unwrap())
            } else {
                String::new()
            };
            if metadata.is_dir() {
                self.collect(root, &path, files);
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.push((self.plain(name.as_bytes()), metadata.mode(), content));
        }
    }
}

fn place(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command_lines");
    tests.join(name)
}

/// Where the texts part, with a little of what stands before and behind that.
fn parting(theirs: &Left, ours: &Left) -> String {
    let (theirs, ours) = (format!("{theirs:?}"), format!("{ours:?}"));
    let same = theirs.chars().zip(ours.chars());
    let same = same.take_while(|(one, other)| one == other).count();
    let part = |text: &str| -> String {
        let start = same.saturating_sub(100);
        text.chars().skip(start).take(400).collect()
    };
    format!("-- theirs …{}\n-- ours   …{}", part(&theirs), part(&ours))
}

fn the_same_comes_of(name: &str) {
    if !common::interop() {
        return;
    }
    let text = fs::read_to_string(place(name)).unwrap();
    let wanted: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let lines = Lines::new();
    let next = AtomicUsize::new(0);
    let differing = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (lines, wanted, next, differing) = (&lines, &wanted, &next, &differing);
            scope.spawn(move || {
                while let Some(line) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let theirs = lines.run(line, worker, false);
                    let ours = lines.run(line, worker, true);
                    if theirs != ours {
                        let parting = parting(&theirs, &ours);
                        differing.lock().unwrap().push(format!("{line}\n{parting}"));
                    }
                }
            });
        }
    });
    let compared = u64::try_from(wanted.len()).unwrap();
    assert_same(&differing.into_inner().unwrap(), compared);
}

#[test]
fn formail() {
    the_same_comes_of("formail.txt");
}

#[test]
fn lockfile() {
    the_same_comes_of("lockfile.txt");
}

#[test]
fn procmail() {
    the_same_comes_of("procmail.txt");
}
