//! Dovecot appends to an mbox that is changed in place meanwhile, with the locks that Debian gives it. Runs where
//! `POSTHASTE_INTEROP=1` is set; then a missing `doveadm` is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::now;
use mailstore::{
    AccountConfig, AppendOptions, Error, FlagChange, Flags, Mailbox, MboxLocks, Store,
};

const BUSY: &str = "POSTHASTE_TEST_EXPUNGE";
const ORDER: &str = "POSTHASTE_TEST_ORDER";
const NOBODY: u32 = 65_534;
/// Messages that Dovecot appends.
const THEIRS: usize = 16;

fn body(name: &str) -> String {
    format!("Subject: {name}\r\n\r\n{}", "a line of it\r\n".repeat(40))
}

fn account(home: &Path, order: &str) -> AccountConfig {
    let mut config = AccountConfig::mbox(home.join("mail"), home.join("mail/inbox"), "host");
    config.mbox_locks = match order {
        "fcntl" => MboxLocks::FcntlDotlock,
        _ => MboxLocks::DotlockFcntl,
    };
    config
}

/// What was done; nothing when another program held the locks for long.
fn patient<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Err(Error::Locked { .. }) => None,
        other => Some(other.unwrap()),
    }
}

/// The message, unless another program wrote it over while it was read.
fn undisturbed(mailbox: &Mailbox, uid: u32) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut reader = patient(mailbox.reader(uid, now()))?;
    reader.read_to_end(&mut content).ok()?;
    Some(content)
}

/// Subjects by UID.
fn subjects(mailbox: &Mailbox) -> BTreeMap<u32, String> {
    let (view, contents) = loop {
        let Some(view) = patient(mailbox.refresh(now())) else {
            continue;
        };
        let uids = view.messages().iter().map(|message| message.uid);
        let contents: Option<Vec<_>> = uids.map(|uid| undisturbed(mailbox, uid)).collect();
        if let Some(contents) = contents {
            break (view, contents);
        }
    };
    let subjects = view
        .messages()
        .iter()
        .zip(contents)
        .map(|(message, content)| {
            let content = String::from_utf8(content).unwrap();
            let subject = content.lines().next().unwrap().strip_prefix("Subject: ");
            let subject = subject.unwrap_or_else(|| panic!("{content:?}")).to_owned();
            assert_eq!(content, body(&subject), "{subject} is not whole");
            (message.uid, subject)
        });
    subjects.collect()
}

/// Until somebody says that it is enough: a message of its own comes and goes, others get a flag, and each third
/// goes for good. What went is written down. Nothing, unless it was started for that.
#[test]
fn a_process_that_expunges() {
    let Some(home) = std::env::var_os(BUSY) else {
        return;
    };
    let home = Path::new(&home);
    let config = account(home, &std::env::var(ORDER).unwrap());
    let store = Store::new().account(&config).unwrap();
    let mailbox = store.mailbox("INBOX", now()).unwrap();
    let mut gone = std::fs::File::create(home.join("gone")).unwrap();
    let mut rounds = 0;
    while rounds < 4 || !home.join("enough").exists() {
        rounds += 1;
        // Whoever holds a lock all the time is waited for in vain.
        std::thread::sleep(Duration::from_millis(100));
        let mut append = mailbox.append(now()).unwrap();
        append.write(body("own").as_bytes()).unwrap();
        if let Some(own) = patient(append.commit(AppendOptions::at(now()), now())) {
            patient(mailbox.expunge(&[own.uid], now()));
        }
        let flag = FlagChange::add(Flags::FLAGGED);
        for (uid, subject) in subjects(&mailbox) {
            if uid % 3 == 0 || subject == "own" {
                let expunged = patient(mailbox.expunge(&[uid], now())).unwrap_or_default();
                if !expunged.is_empty() && subject != "own" {
                    writeln!(gone, "{subject}").unwrap();
                }
            } else if !mailbox
                .snapshot()
                .message(uid)
                .is_some_and(|known| known.flags == Flags::FLAGGED)
            {
                patient(mailbox.set_flags(&[uid], &flag, None, now()));
            }
        }
    }
}

fn doveadm(home: &Path, input: &str, arguments: &[&str]) -> Result<String, String> {
    let mut child = Command::new("doveadm")
        .arg("-c")
        .arg(home.join("dovecot.conf"))
        .args(arguments)
        .env("HOME", home)
        .env("USER", "somebody")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("doveadm must be installed");
    let mut stdin = child.stdin.take().unwrap();
    // Whoever refuses at once does not read it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

/// Has Dovecot append a message. It may refuse: of an mbox it looks at the size and the second of the last change,
/// and where that does not tell it that messages moved, it fails once and reads the file anew. Whoever delivers by
/// it then tries again.
fn save(home: &Path, name: &str) {
    let mut errors = Vec::new();
    for _ in 0..10 {
        match doveadm(home, &body(name), &["save", "-m", "INBOX"]) {
            Ok(_) => return,
            Err(error) => errors.push(error),
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    panic!("{errors:?}");
}

/// An INBOX with this content in a home of its owner's, for Dovecot too.
fn home_with(inbox: &str) -> (tempfile::TempDir, bool) {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    std::fs::create_dir(home.join("mail")).unwrap();
    std::fs::write(home.join("mail/inbox"), inbox).unwrap();
    let mut owner = std::fs::metadata(home).unwrap().uid();
    let is_root = owner == 0;
    if is_root {
        owner = NOBODY;
        for path in [home.to_owned(), home.join("mail"), home.join("mail/inbox")] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let text = format!(
        "log_path = /dev/stderr\nssl = no\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {owner}\n\
         mail_gid = {owner}\nmail_location = mbox:{}:INBOX={}\nmbox_dirty_syncs = no\nmbox_read_locks = fcntl\n\
         mbox_write_locks = fcntl dotlock\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n",
        home.join("mail").display(),
        home.join("mail/inbox").display(),
    );
    std::fs::write(home.join("dovecot.conf"), text).unwrap();
    (directory, is_root)
}

fn nothing_is_lost(order: &str) {
    let (directory, is_root) = home_with("");
    let home = directory.path();
    // The test may be where only its owner may look.
    let program = home.join("busy");
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(&program);
    command
        .args(["--exact", "a_process_that_expunges", "--test-threads=1"])
        .env(BUSY, home)
        .env(ORDER, order)
        .current_dir(home);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut busy = command.spawn().unwrap();
    for nth in 0..THEIRS {
        save(home, &format!("theirs-{nth}"));
    }
    std::fs::write(home.join("enough"), "").unwrap();
    assert!(busy.wait().unwrap().success());
    let store = Store::new().account(&account(home, order)).unwrap();
    let mailbox = store.mailbox("INBOX", now()).unwrap();
    let left = subjects(&mailbox);
    let gone = std::fs::read_to_string(home.join("gone")).unwrap();
    let mut all: Vec<&str> = left
        .values()
        .map(String::as_str)
        .chain(gone.lines())
        .collect();
    all.retain(|name| *name != "own");
    all.sort_unstable();
    let mut wanted: Vec<String> = (0..THEIRS).map(|nth| format!("theirs-{nth}")).collect();
    wanted.sort_unstable();
    assert_eq!(all, wanted, "{} left, gone: {gone}", left.len());
    // Dovecot finds the same.
    let query = [
        "-f",
        "tab",
        "fetch",
        "uid hdr.subject",
        "mailbox",
        "INBOX",
        "all",
    ];
    let theirs = doveadm(home, "", &query).unwrap();
    let theirs: Vec<&str> = theirs.lines().skip(1).collect();
    let ours: Vec<String> = left
        .iter()
        .map(|(uid, name)| format!("{uid}\t{name}"))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn what_dovecot_appends_meanwhile_is_kept() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    for order in ["dotlock", "fcntl"] {
        nothing_is_lost(order);
    }
}

/// Dovecot, too, takes a last `From ` line without line end for text; what it appends behind it makes a message of it,
/// and breaks the one before.
#[test]
fn a_last_line_stays_text_to_dovecot() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let from = "From ann@example.org Thu Nov 12 13:14:15 2026";
    let (directory, is_root) = home_with(&format!("{from}\nSubject: one\n\ntext\n\n{from}"));
    let home = directory.path();
    let query = ["-f", "tab", "fetch", "uid body", "mailbox", "INBOX", "all"];
    let before = doveadm(home, "", &query).unwrap();
    assert!(before.contains(from), "{before}");
    let store = Store::new().account(&account(home, "fcntl")).unwrap();
    let mailbox = store.mailbox("INBOX", now()).unwrap();
    let mut append = mailbox.append(now()).unwrap();
    append.write(body("two").as_bytes()).unwrap();
    append.commit(AppendOptions::at(now()), now()).unwrap();
    let seen = mailbox.refresh(now()).unwrap();
    let uids: Vec<u32> = seen.messages().iter().map(|message| message.uid).collect();
    let first = undisturbed(&mailbox, uids[0]).unwrap();
    assert_eq!(
        first,
        format!("Subject: one\r\n\r\ntext\r\n\r\n{from}\r\n").as_bytes()
    );
    drop((mailbox, store));
    if is_root {
        // What was made here is to be Dovecot's.
        let given = Command::new("chown")
            .args(["-R", &format!("{NOBODY}:{NOBODY}")])
            .arg(home.join("mail"))
            .status();
        assert!(given.unwrap().success());
    }
    let after = doveadm(home, "", &query).unwrap();
    assert!(after.contains(&format!("\n>{from}")), "{after}");
    let told = ["-f", "tab", "fetch", "uid", "mailbox", "INBOX", "all"];
    let told = doveadm(home, "", &told).unwrap();
    let told: Vec<u32> = told
        .lines()
        .skip(1)
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(told, uids);
}
