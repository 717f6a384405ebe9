//! Names on the disk: those of other programs, and levels with and without mail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::{at, now};
use mailstore::{Account, AccountConfig, AppendOptions, Error, Store};

fn names(account: &Account) -> Vec<String> {
    let listed = account.list().unwrap().into_iter();
    listed
        .filter(|listed| listed.selectable)
        .map(|listed| listed.name)
        .collect()
}

fn fill(account: &Account, name: &str) {
    let mailbox = account.mailbox(name, now()).unwrap();
    let mut append = mailbox.append(now()).unwrap();
    append.write(b"A: b\r\n\r\nc\r\n").unwrap();
    append.commit(AppendOptions::at(at(0)), now()).unwrap();
}

fn count(account: &Account, name: &str) -> usize {
    let mailbox = account.mailbox(name, now()).unwrap();
    mailbox.snapshot().messages().len()
}

#[test]
fn names_that_are_no_utf7_can_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let raw = |root: &Path, name: &[u8]| root.join(OsStr::from_bytes(name));
    for config in common::configs(directory.path()) {
        let account = Store::new().account(&config).unwrap();
        // What other programs made.
        let (plus, mbox) = (
            config.format == mailstore::Format::Maildir,
            config.format == mailstore::Format::Mbox,
        );
        for name in [&b"Sch\xf6n"[..], b"a&b", b"Entw&APw-rfe"] {
            let name = if plus {
                [b".", name].concat()
            } else {
                name.to_vec()
            };
            let path = raw(&config.root, &name);
            if mbox {
                std::fs::write(path, "").unwrap();
            } else {
                for directory in ["tmp", "new", "cur"] {
                    std::fs::create_dir_all(path.join(directory)).unwrap();
                }
            }
        }
        let wanted = ["INBOX", "Entwürfe", "Sch\u{fffd}F6n", "a\u{fffd}26b"];
        assert_eq!(names(&account), wanted);
        for name in wanted {
            fill(&account, name);
        }
        account.rename("Sch\u{fffd}F6n", "Schön", now()).unwrap();
        assert_eq!(count(&account, "Schön"), 1);
        account.delete("a\u{fffd}26b").unwrap();
        assert_eq!(names(&account), ["INBOX", "Entwürfe", "Schön"]);
        assert!(matches!(
            account.create("x\u{fffd}41"),
            Err(Error::InvalidName { .. })
        ));
    }
}

#[test]
fn levels_of_the_fs_layout() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir_fs(directory.path(), "host");
    let account = Store::new().account(&config).unwrap();
    for name in ["A", "A/B", "A/B/C", "INBOX/D", "x.y", "Z/B/E"] {
        account.create(name).unwrap();
        fill(&account, name);
    }
    assert!(directory.path().join("A/B/C/cur").is_dir());
    assert!(directory.path().join("INBOX/D/cur").is_dir());
    for bad in [
        "cur",
        "A/new",
        ".hidden",
        "A/dovecot-uidlist",
        "maildirsize",
    ] {
        assert!(matches!(
            account.create(bad),
            Err(Error::InvalidName { .. })
        ));
    }
    // Those below a deleted mailbox stay, and it comes back empty.
    account.delete("A/B").unwrap();
    assert_eq!(
        names(&account),
        ["INBOX", "A", "A/B/C", "INBOX/D", "Z/B/E", "x.y"]
    );
    account.create("A/B").unwrap();
    assert_eq!(count(&account, "A/B"), 0);
    assert_eq!(count(&account, "A/B/C"), 1);
    // Into levels that are there already, all of it or nothing.
    assert!(matches!(
        account.rename("A", "Z/B/E", now()),
        Err(Error::MailboxExists(_))
    ));
    account.create("Y/B").unwrap();
    account.create("Y/C").unwrap();
    assert!(matches!(
        account.rename("A", "Y", now()),
        Err(Error::MailboxExists(_))
    ));
    account.rename("A", "Z", now()).unwrap();
    assert_eq!(
        names(&account),
        [
            "INBOX", "INBOX/D", "Y/B", "Y/C", "Z", "Z/B", "Z/B/C", "Z/B/E", "x.y"
        ]
    );
    assert_eq!((count(&account, "Z"), count(&account, "Z/B/C")), (1, 1));
    account.rename("Z/B", "New", now()).unwrap();
    assert_eq!((count(&account, "New/E"), count(&account, "New/C")), (1, 1));
    for name in ["New/E", "New/C", "New", "Z"] {
        account.delete(name).unwrap();
    }
    assert_eq!(names(&account), ["INBOX", "INBOX/D", "Y/B", "Y/C", "x.y"]);
    assert!(!directory.path().join("New").exists());
    assert!(!directory.path().join("..posthaste-deleted").exists());
}

#[test]
fn an_mbox_is_a_mailbox_or_a_level() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let config = AccountConfig::mbox(root, root.join("INBOX"), "host");
    let account = Store::new().account(&config).unwrap();
    account.create("A").unwrap();
    account.create("L/B").unwrap();
    let invalid = |refused: Result<(), Error>| {
        assert!(
            matches!(refused, Err(Error::InvalidName { .. })),
            "{refused:?}"
        );
    };
    invalid(account.create("A/B"));
    invalid(account.create("A/B/C"));
    invalid(account.create("L"));
    invalid(account.rename("L/B", "A/B", now()));
    invalid(account.rename("A", "L", now()));
    assert!(!account.exists("A/B").unwrap());
    assert_eq!(names(&account), ["INBOX", "A", "L/B"]);
}
