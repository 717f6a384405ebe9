//! Dovecot serves the same files before and after. Runs where
//! `POSTHASTE_INTEROP=1` is set; then a missing `doveadm` is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs
)]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use common::{at, read};
use mailstore::{AccountConfig, AppendOptions, FlagChange, Flags, Mailbox, Store};

const MESSAGE: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nthe start\r\nbody\r\n";

const NOBODY: u32 = 65_534;

fn give_away(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// Runs doveadm on the mail; its standard output.
fn doveadm(home: &Path, location: &str, arguments: &[&str]) -> Option<String> {
    let config = home.join("dovecot.conf");
    // Dovecot refuses mail that is root's.
    if std::fs::metadata(home).unwrap().uid() == 0
        || std::fs::metadata(home).unwrap().uid() == NOBODY
    {
        give_away(home);
    }
    let owner = std::fs::metadata(home).unwrap();
    let text = format!(
        "log_path = /dev/stderr\nssl = no\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {}\nmail_gid = {}\n\
         mail_location = {location}\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n",
        owner.uid(),
        owner.gid(),
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new("doveadm")
        .arg("-c")
        .arg(&config)
        .args(arguments)
        .env("HOME", home)
        .env("USER", "somebody")
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "doveadm {arguments:?}: {errors}");
    assert!(
        !errors.contains("Error") && !errors.contains("orrupt"),
        "{errors}"
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

/// UID, flags, keywords, wire size.
type Row = (u32, Flags, Vec<String>, u64);

fn rows(mailbox: &Mailbox) -> Vec<Row> {
    let view = mailbox.refresh(SystemTime::UNIX_EPOCH).unwrap();
    let rows = view.messages().iter().map(|message| {
        assert_eq!(read(mailbox, message.uid), MESSAGE);
        let keywords = view.keywords(message).map(str::to_owned).collect();
        (
            message.uid,
            message.flags,
            keywords,
            mailbox.size(message.uid, at(0)).unwrap(),
        )
    });
    rows.collect()
}

/// UID, flags, wire size of each message as Dovecot has them.
fn theirs(home: &Path, location: &str) -> Option<Vec<Row>> {
    let text = doveadm(
        home,
        location,
        &[
            "-f",
            "tab",
            "fetch",
            "uid flags size.virtual",
            "mailbox",
            "INBOX",
            "all",
        ],
    )?;
    let rows = text.lines().skip(1).map(|line| {
        let mut columns = line.split('\t');
        let uid = columns.next().unwrap().parse().unwrap();
        let (mut flags, mut keywords) = (Flags::NONE, Vec::new());
        for word in columns
            .next()
            .unwrap()
            .split(' ')
            .filter(|word| !word.is_empty() && *word != "\\Recent")
        {
            match Flags::NAMES.iter().find(|(_, name)| *name == word) {
                Some((flag, _)) => flags |= *flag,
                None => keywords.push(word.to_owned()),
            }
        }
        (
            uid,
            flags,
            keywords,
            columns.next().unwrap().parse().unwrap(),
        )
    });
    Some(rows.collect())
}

fn append(mailbox: &Arc<Mailbox>, flags: Flags) {
    let mut append = mailbox.append(at(1)).unwrap();
    append.write(MESSAGE).unwrap();
    append
        .commit(
            AppendOptions {
                flags,
                keywords: Vec::new(),
                internal_date: at(1),
            },
            at(1),
        )
        .unwrap();
}

fn there_and_back(config: &AccountConfig, home: &Path, location: &str) {
    let open = || {
        Store::new()
            .account(config)
            .unwrap()
            .mailbox("INBOX", at(10))
            .unwrap()
    };
    let mailbox = open();
    for flags in [
        Flags::NONE,
        Flags::SEEN,
        Flags::FLAGGED | Flags::ANSWERED,
        Flags::NONE,
    ] {
        append(&mailbox, flags);
    }
    mailbox
        .set_flags(
            &[2, 4],
            &FlagChange::add(Flags::DRAFT).with_keywords(["Work"]),
            None,
            at(10),
        )
        .unwrap();
    mailbox.expunge(&[1], at(10)).unwrap();
    let ours = rows(&mailbox);
    let validity = mailbox.snapshot().uid_validity;
    let seen = theirs(home, location).expect("doveadm must be installed");
    assert_eq!(seen, ours, "what Dovecot takes over");
    let status = doveadm(
        home,
        location,
        &["mailbox", "status", "uidvalidity uidnext", "INBOX"],
    )
    .unwrap();
    assert!(
        status.contains(&format!("uidvalidity={validity}")) && status.contains("uidnext=5"),
        "{status}"
    );

    // Dovecot changes the same mail, beside the open handle.
    doveadm(
        home,
        location,
        &[
            "flags",
            "add",
            "\\Seen Junk",
            "mailbox",
            "INBOX",
            "uid",
            "4",
        ],
    )
    .unwrap();
    doveadm(home, location, &["expunge", "mailbox", "INBOX", "uid", "3"]).unwrap();
    let file = home.join("message");
    std::fs::write(&file, MESSAGE).unwrap();
    doveadm(
        home,
        location,
        &["save", "-m", "INBOX", file.to_str().unwrap()],
    )
    .unwrap();
    let seen = theirs(home, location).unwrap();
    assert_eq!(seen.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(rows(&mailbox), seen, "what is found beside Dovecot");
    drop(mailbox);
    let mailbox = open();
    assert_eq!(rows(&mailbox), seen, "what is taken back");
    assert_eq!(mailbox.snapshot().uid_validity, validity);
    append(&mailbox, Flags::NONE);
    assert_eq!(
        theirs(home, location).unwrap().last().map(|row| row.0),
        Some(6)
    );
}

#[test]
fn maildir() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("Maildir");
    let location = format!("maildir:{}", root.display());
    there_and_back(
        &AccountConfig::maildir(&root, "host"),
        directory.path(),
        &location,
    );
}

#[test]
fn mbox() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let inbox = directory.path().join("inbox");
    let location = format!("mbox:{}:INBOX={}", root.display(), inbox.display());
    there_and_back(
        &AccountConfig::mbox(&root, &inbox, "host"),
        directory.path(),
        &location,
    );
}
