//! `formail`, `lockfile` and the options of `procmail`, beside the real ones: the same comes of
//! the same command lines.
//!
//! Needs procmail; runs where POSTHASTE_INTEROP=1.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use regex_automata::meta::Regex;

const MESSAGES: [&str; 7] = [
    "From a@b.org Mon Jan  1 00:00:00 2024\nFrom: Ann <a@b.org>\nTo: bob@example.net\nSubject: Weekly report\nMessage-ID: <1@b.org>\nX-N: 12\nX-N: 13\n\nHello,\nFrom here\n\n",
    "Received: from x\n\tby y; date\nFrom: dave@example.com (Dave)\nReply-To: list@example.com\nSubject: [l] a\n folded\n\tsubject\nMessage-Id: <2@x>\nReferences: <0@x>\nX-Empty:\n\nbody\n>From quoted\nend",
    "from:z@example.org\nSUBJECT:   spaces   \nx-loop: me\n\n\n\nlate\n",
    "Subject: no sender\n\nbody\n",
    "From m1@x Mon Jan  1 00:00:00 2024\nFrom: m1@x\nSubject: one\n\nfirst\n\nFrom m2@x Mon Jan  1 00:00:01 2024\nFrom: m2@x\nSubject: two\n\nsecond\n\nFrom m3@x Mon Jan  1 00:00:02 2024\nFrom: m3@x\nSubject: three\n\nthird\n",
    "",
    "Content-Length: 4\nFrom: q@x\nReturn-Path: <env@x>\nSender: s@x\n\nFrom\nFrom a\n",
];

/// Command lines of formail. `CAT` prints what each message is given.
const FORMAIL: [&[&str]; 66] = [
    &[],
    &["-x", "Subject:"],
    &["-x", "X-N:"],
    &["-x", "X-N"],
    &["-x", "subject"],
    &["-xSubject:", "-x", "From:"],
    &["-zx", "Subject:"],
    &["-zxFrom:"],
    &["-czx", "Subject:"],
    &["-cx", "Received:"],
    &["-X", "Subject:"],
    &["-X", "From"],
    &["-X", ""],
    &["-kX", "Subject:"],
    &["-z"],
    &["-c"],
    &["-cz"],
    &["-f"],
    &["-b"],
    &["-bf"],
    &["-Y"],
    &["-i", "Subject: new"],
    &["-i", "Subject"],
    &["-i", "X-New: 1"],
    &["-I", "Subject: new"],
    &["-I", "Subject:"],
    &["-I", "X-N"],
    &["-I", ""],
    &["-a", "Subject: new"],
    &["-a", "X-New: 1"],
    &["-A", "Subject: new"],
    &["-A", "X-New: 1", "-A", "X-New: 2"],
    &["-u", "X-N:"],
    &["-U", "X-N:"],
    &["-R", "X-N:", "X-M:"],
    &["-R", "Subject", "Object"],
    &["-r"],
    &["-rt"],
    &["-rk"],
    &["-rtk", "-A", "X-Loop: me"],
    &["-rkb"],
    &["-r", "-i", "From: me@x"],
    &["-rk", "-p", "| "],
    &["-rI", "Subject: mine"],
    &["-r", "-i", "Subject: mine"],
    &["-r", "-i", "Subject"],
    &["-r", "-i", "To: me@x"],
    &["-r", "-i", "X-N:"],
    &["-s"],
    &["+1", "-s"],
    &["-1", "-s"],
    &["-s", "cat"],
    &["+1", "-1", "-s", "sh", "-c", "echo $FILENO; cat"],
    &["-ds", "cat"],
    &["-es", "cat"],
    &["-m", "1", "-s", "cat"],
    &["-Bs", "cat"],
    &["-qs", "cat"],
    &["-n", "-s", "cat"],
    &["-l", "box", "-s", "cat"],
    &["-n", "2", "-s", "cat"],
    &["-D", "200", "cache"],
    &["-rD", "200", "cache"],
    &["-D", "20", "cache", "-s", "cat"],
    &["-tzx", "From:"],
    &["-y"],
];

fn ours(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command.arg0(name);
    command
}

fn theirs(name: &str) -> Command {
    Command::new(format!("/usr/bin/{name}"))
}

fn start(mut command: Command, folder: &Path) -> Child {
    command
        .current_dir(folder)
        .env_clear()
        .env("TZ", "UTC")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LOGNAME", "root")
        .env("HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn feed(command: Command, folder: &Path, input: &str) -> Output {
    let mut child = start(command, folder);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // What is not read is no fault.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// What a run leaves: exit code, output, and files. Dates of now are masked.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    exit: Option<i32>,
    out: String,
    files: BTreeMap<String, String>,
}

fn left(command: Command, input: &str) -> Left {
    let folder = tempfile::tempdir().unwrap();
    left_in(folder.path(), command, input)
}

fn left_in(folder: &Path, command: Command, input: &str) -> Left {
    let output = feed(command, folder, input);
    let dates = Regex::new("[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} 20(2[5-9]|[3-9][0-9])")
        .unwrap();
    let plain = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets).into_owned();
        let mut out = String::new();
        let mut at = 0;
        for found in dates.find_iter(text.as_bytes()) {
            out.push_str(&text[at..found.start()]);
            out.push_str("NOW");
            at = found.end();
        }
        out + &text[at..]
    };
    let files = common::files(folder)
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(folder).unwrap();
            (
                name.to_string_lossy().into_owned(),
                plain(&fs::read(&file).unwrap()),
            )
        })
        .collect();
    Left {
        exit: output.status.code(),
        out: plain(&output.stdout),
        files,
    }
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.sort_unstable();
    lines.concat()
}

#[test]
fn formail() {
    if !common::interop() {
        return;
    }
    let mut differing = Vec::new();
    for arguments in FORMAIL {
        for message in MESSAGES {
            let run = |mut command: Command| {
                command.args(arguments);
                left(command, message)
            };
            // The real one never ends with some messages under -B.
            let mut real = Command::new("timeout");
            let seconds = if arguments.contains(&"-Bs") {
                "5"
            } else {
                "300"
            };
            real.args(["-k", "1", seconds, "/usr/bin/formail"]);
            let (mut real, mut own) = (run(real), run(ours("formail")));
            if arguments.contains(&"-n") {
                // Its programs run side by side, and end in any order.
                for left in [&mut real, &mut own] {
                    left.out = sorted(&left.out);
                }
            }
            if real.exit == Some(124) && arguments.contains(&"-Bs") {
                assert_eq!(own.exit, Some(0));
            } else if real != own {
                differing.push(format!(
                    "{arguments:?} on {message:?}\n real {real:?}\n ours {own:?}"
                ));
            }
        }
    }
    assert!(
        differing.is_empty(),
        "{} differ\n{}",
        differing.len(),
        differing.join("\n")
    );
}

/// The second run meets the cache of the first.
#[test]
fn formail_finds_duplicates_in_the_cache_of_the_other() {
    if !common::interop() {
        return;
    }
    for (first, second) in [
        (theirs as fn(&str) -> Command, ours as fn(&str) -> Command),
        (ours, theirs),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = |make: fn(&str) -> Command, message: &str| {
            let mut command = make("formail");
            command.args(["-D", "60", "cache"]);
            feed(command, folder.path(), message).status.code()
        };
        assert_eq!(run(first, MESSAGES[0]), Some(1));
        assert_eq!(run(second, MESSAGES[0]), Some(0));
        assert_eq!(run(second, MESSAGES[1]), Some(1));
        assert_eq!(run(first, MESSAGES[1]), Some(0));
    }
}

#[test]
fn lockfile() {
    if !common::interop() {
        return;
    }
    for arguments in [
        &["a"][..],
        &["a", "b"],
        &["-1", "-r", "1", "busy"],
        &["-0", "-r2", "free", "busy"],
        &["-!", "-r", "0", "busy"],
        &["-!", "a"],
        &["-r", "0", "no/such/lock"],
        &["-1", "-l", "1", "-s", "0", "busy"],
        &["-z"],
        &[],
    ] {
        let run = |make: fn(&str) -> Command| {
            let folder = tempfile::tempdir().unwrap();
            let busy = folder.path().join("busy");
            fs::write(&busy, "0").unwrap();
            let old = std::time::SystemTime::now() - Duration::from_secs(60);
            fs::File::options()
                .write(true)
                .open(&busy)
                .unwrap()
                .set_modified(old)
                .unwrap();
            let mut command = make("lockfile");
            command.args(arguments);
            left_in(folder.path(), command, "")
        };
        assert_eq!(run(theirs), run(ours), "{arguments:?}");
    }
}

#[test]
fn options_of_procmail() {
    if !common::interop() {
        return;
    }
    let rc = "LOGFILE=log\nDEFAULT=default\nORGMAIL=orgmail\nLOG=\"$0: $# $1 $2 $FOO $HOME_IS\n\"\n:0\n* ^Subject: Weekly\nbox\n";
    let mut differing = Vec::new();
    for arguments in [
        &["./rc"][..],
        &["-a", "one", "-a", "two", "./rc"],
        &["-aone", "./rc"],
        &["-f", "sender@x", "./rc"],
        &["-f-", "./rc"],
        &["-o", "-f", "sender@x", "./rc"],
        &["-t", "./bounce"],
        &["./bounce"],
        &["-Y", "./rc"],
        &["-p", "./rc"],
        &["-m", "./rc", "one", "two"],
        &["-m", "FOO=bar", "rc", "one"],
        &["FOO=bar baz", "./rc"],
        &["./missing", "./rc"],
        &["-m", "./missing"],
        &["-m"],
        &["-m", "FOO=bar"],
        &["-d", "nobody-of-that-name"],
        &["-v"],
        &["-t", "-a"],
        &["./rc", "-a"],
        &["-f"],
        &["-d"],
        &["-x", "./rc"],
        &["-tx", "./rc"],
        &["-", "./rc"],
        &["--", "./rc"],
        &["-t", "-d", "nobody-of-that-name", "no-other"],
    ] {
        for message in [MESSAGES[0], MESSAGES[1], MESSAGES[6]] {
            let run = |make: fn(&str) -> Command| {
                let folder = tempfile::tempdir().unwrap();
                fs::write(folder.path().join("rc"), rc).unwrap();
                let bounce =
                    "LOCKSLEEP=0\nLOGFILE=log\nDEFAULT=no/such\nORGMAIL=no/such\nLOGABSTRACT=no\n";
                fs::write(folder.path().join("bounce"), bounce).unwrap();
                let mut command = make("procmail");
                command.args(arguments);
                let mut left = left_in(folder.path(), command, message);
                let shown = folder.path().to_str().unwrap();
                for text in left.files.values_mut() {
                    *text = text
                        .replace(shown, "HERE")
                        .replace("/usr/bin/procmail", "procmail");
                }
                left
            };
            let (real, own) = (run(theirs), run(ours));
            if real != own {
                differing.push(format!(
                    "{arguments:?} on {message:?}\n real {real:?}\n ours {own:?}"
                ));
            }
        }
    }
    assert!(
        differing.is_empty(),
        "{} differ\n{}",
        differing.len(),
        differing.join("\n")
    );
}

/// A signal ends it at once: no lockfile stays, the log tells, and the exit code is the one that
/// has the mail tried again, bounced or forgotten. One that it was told to ignore is ignored.
#[test]
fn signals() {
    let ended = "procmail: Terminating prematurely\n";
    for (name, disposition, seconds, exit) in [
        ("TERM", "--default-signal", 9, 75),
        ("HUP", "--default-signal", 9, 73),
        ("INT", "--default-signal", 9, 73),
        ("QUIT", "--default-signal", 9, 0),
        ("HUP", "--ignore-signal", 2, 0),
    ] {
        let rc = format!(
            "LOGFILE=log\nDEFAULT=/dev/null\nLOCKFILE=all.lock\n:0 w:one.lock\n\
             | cat >>box; echo >read; sleep {seconds}\n"
        );
        let run = |program: &str, pause: u64| {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            fs::write(at("rc"), &rc).unwrap();
            let own = env!("CARGO_BIN_EXE_posthaste");
            std::os::unix::fs::symlink(own, at("procmail")).unwrap();
            let mut command = Command::new("env");
            command.args([&format!("{disposition}={name}"), program, "./rc"]);
            let mut child = start(command, folder.path());
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(MESSAGES[0].as_bytes()).unwrap();
            drop(stdin);
            let begun = Instant::now();
            while !(at("one.lock").exists() && at("read").exists()) {
                assert!(begun.elapsed() < common::PATIENCE, "it does not begin");
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(Duration::from_millis(pause));
            let id = child.id().to_string();
            let signal = format!("-{name}");
            assert!(
                Command::new("kill")
                    .args([&signal, &id])
                    .status()
                    .unwrap()
                    .success()
            );
            let ended = child.wait().unwrap();
            let locks = (at("one.lock").exists(), at("all.lock").exists());
            (ended.code(), locks, fs::read_to_string(at("log")).unwrap())
        };
        let own = run("./procmail", 300);
        assert_eq!((own.0, own.1), (Some(exit), (false, false)), "{name}");
        let ignored = disposition == "--ignore-signal";
        assert_eq!(own.2.contains(ended), !ignored, "{}", own.2);
        if common::interop() {
            // The real one forgets a signal that comes before it waits for the program's end.
            let mut real = run("/usr/bin/procmail", 300);
            for pause in [1_000, 2_000, 4_000] {
                if real != own {
                    real = run("/usr/bin/procmail", pause);
                }
            }
            assert_eq!(real, own, "{name} {disposition}");
        }
    }
}
