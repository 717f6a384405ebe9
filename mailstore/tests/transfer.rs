//! Messages from any format into any other: all of them, once, with what is known of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use common::{at, now, read};
use mailstore::{
    Account, AccountConfig, AppendOptions, Flags, Foreign, Source, Store, Target, Transfer,
    Transferred,
};

type Row = (Vec<u8>, Flags, Vec<String>, SystemTime);

fn open(config: &AccountConfig) -> Arc<Account> {
    Store::new().account(config).unwrap()
}

fn add(account: &Account, mailbox: &str, row: &Row) {
    let mailbox = account.mailbox(mailbox, now()).unwrap();
    let mut append = mailbox.append(now()).unwrap();
    append.write(&row.0).unwrap();
    let options = AppendOptions {
        flags: row.1,
        keywords: row.2.clone(),
        internal_date: row.3,
    };
    append.commit(options, now()).unwrap();
}

fn rows(account: &Account, mailbox: &str) -> Vec<Row> {
    let mailbox = account.mailbox(mailbox, now()).unwrap();
    let view = mailbox.refresh(now()).unwrap();
    let rows = view.messages().iter().map(|message| {
        let mut keywords: Vec<String> = view.keywords(message).map(str::to_owned).collect();
        keywords.sort();
        let content = read(&mailbox, message.uid);
        (content, message.flags, keywords, message.internal_date)
    });
    rows.collect()
}

fn row(number: u64, flags: Flags, keywords: &[&str]) -> Row {
    let body = "From here\r\n>From there\r\nline\r\n".repeat(if number == 3 { 36_000 } else { 1 });
    let content = format!("Subject: {number}\r\nX-Number: {number}\r\n\r\n{body}");
    let keywords = keywords.iter().map(|keyword| (*keyword).to_owned());
    (
        content.into_bytes(),
        flags,
        keywords.collect(),
        at(number * 100),
    )
}

/// What every format can hold; two of them are the same message.
fn sample() -> Vec<Row> {
    vec![
        row(1, Flags::NONE, &[]),
        row(2, Flags::SEEN | Flags::ANSWERED, &["Junk", "Work"]),
        row(3, Flags::SEEN | Flags::FLAGGED, &[]),
        row(1, Flags::SEEN, &[]),
        row(4, Flags::DRAFT | Flags::DELETED, &["Work"]),
    ]
}

fn run(source: Source, target: Target) -> Transferred {
    let transfer = Transfer {
        source,
        target,
        only: None,
        into: None,
        host: "host".to_owned(),
    };
    transfer.run(&mut now, &mut |_| {}).unwrap()
}

fn counts(done: &Transferred) -> (u64, u64, usize) {
    (done.copied, done.present, done.unread.len())
}

fn account(root: &Path, format: &str) -> AccountConfig {
    match format {
        "maildir" => AccountConfig::maildir(root, "host"),
        "fs" => AccountConfig::maildir_fs(root, "host"),
        _ => AccountConfig::mbox(root, root.join("INBOX"), "host"),
    }
}

#[test]
fn there_and_back_through_every_format() {
    let sample = sample();
    for (number, format) in ["maildir", "fs", "mbox", "mh", "eml"]
        .into_iter()
        .enumerate()
    {
        let directory = tempfile::tempdir().unwrap();
        let first = open(&account(&directory.path().join("first"), "maildir"));
        first.create("A/B").unwrap();
        for row in &sample {
            add(&first, "INBOX", row);
            add(&first, "A/B", row);
        }
        // A gap in the UIDs.
        add(&first, "A/B", &row(9, Flags::NONE, &[]));
        let below = first.mailbox("A/B", now()).unwrap();
        below.expunge(&[2, 6], now()).unwrap();
        let wanted = rows(&first, "A/B");
        let middle = directory.path().join("middle");
        let foreign = match format {
            "mbox" => Foreign::Mbox,
            "mh" => Foreign::Mh,
            "eml" => Foreign::Eml,
            _ => Foreign::Maildir,
        };
        let of_account = || match format {
            "mh" | "eml" => None,
            _ => Some(open(&account(&middle, format))),
        };
        let target = || match of_account() {
            Some(account) => Target::Account(account),
            None => Target::Files {
                format: foreign,
                path: middle.clone(),
            },
        };
        let out = run(Source::Account(Arc::clone(&first)), target());
        assert_eq!(counts(&out), (9, 0, 0), "{format}");
        let again = run(Source::Account(Arc::clone(&first)), target());
        assert_eq!(counts(&again), (0, 9, 0), "{format}");
        if let Some(middle) = of_account() {
            // Between accounts the UIDs stay.
            for name in ["INBOX", "A/B"] {
                let (from, to) = (
                    first.mailbox(name, now()).unwrap().snapshot(),
                    middle.mailbox(name, now()).unwrap().snapshot(),
                );
                let uids = |view: &mailstore::Snapshot| {
                    let uids = view.messages().iter().map(|message| message.uid);
                    uids.collect::<Vec<u32>>()
                };
                assert_eq!(to.uid_validity, from.uid_validity, "{format}");
                assert_eq!(uids(&to), uids(&from), "{format}");
            }
            assert_eq!(rows(&middle, "A/B"), wanted, "{format}");
        }

        // And into another account, from the files as they lie there.
        assert_eq!(Foreign::detect(&middle).unwrap(), Some(foreign), "{format}");
        let before = listing(&middle);
        let into = ["mbox", "maildir"][number % 2];
        let last = open(&account(&directory.path().join("last"), into));
        let source = || Source::Files {
            format: foreign,
            path: middle.clone(),
        };
        let back = run(source(), Target::Account(Arc::clone(&last)));
        assert_eq!(counts(&back), (9, 0, 0), "{format}: {:?}", back.unread);
        assert_eq!(rows(&last, "INBOX"), sample, "{format}");
        assert_eq!(rows(&last, "A/B"), wanted, "{format}");
        let again = run(source(), Target::Account(Arc::clone(&last)));
        assert_eq!(counts(&again), (0, 9, 0), "{format}");
        assert_eq!(rows(&last, "INBOX"), sample, "{format}");
        assert_eq!(listing(&middle), before, "{format}: the source was changed");
        // One message more at the source is one message more.
        let inbox = last.mailbox("INBOX", now()).unwrap();
        inbox.expunge(&[2], now()).unwrap();
        let again = run(source(), Target::Account(Arc::clone(&last)));
        assert_eq!(counts(&again), (1, 8, 0), "{format}");
    }
}

/// Every file below a directory with its time and content.
fn listing(root: &Path) -> Vec<(std::path::PathBuf, SystemTime, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else {
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            found.push((path.clone(), modified, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_cannot_be_read_is_told_and_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("eml");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("a.eml"), "A: b\r\n\r\nc\r\n").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("b.EML")).unwrap();
    std::fs::write(folder.join("sub/c.eml"), "A: c\n\nno line end").unwrap();
    std::fs::write(folder.join("notes.txt"), "no message").unwrap();
    // Nobody will ever write to it, and nobody waits for that.
    let pipe = std::process::Command::new("mkfifo")
        .arg(folder.join("d.eml"))
        .status();
    assert!(pipe.unwrap().success());
    let last = open(&account(&directory.path().join("last"), "maildir"));
    let done = run(
        Source::Files {
            format: Foreign::Eml,
            path: folder.clone(),
        },
        Target::Account(Arc::clone(&last)),
    );
    assert_eq!(counts(&done), (2, 0, 2));
    let mut unread: Vec<&str> = done.unread.iter().map(|one| one.what.as_str()).collect();
    unread.sort_unstable();
    assert!(unread[0].ends_with("b.EML") && unread[1].ends_with("d.eml"));
    assert_eq!(rows(&last, "sub")[0].0, b"A: c\r\n\r\nno line end");

    // A broken mbox among good ones.
    let folder = directory.path().join("mboxes");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("bad"), "no mbox\n").unwrap();
    std::fs::write(
        folder.join("good"),
        "From a Thu Nov 12 13:14:15 2026\nA: b\n\nc\n",
    )
    .unwrap();
    let done = run(
        Source::Files {
            format: Foreign::Mbox,
            path: folder,
        },
        Target::Account(Arc::clone(&last)),
    );
    assert_eq!(counts(&done), (1, 0, 1));
    assert_eq!(done.unread[0].what, "bad");
    assert_eq!(rows(&last, "good").len(), 1);
}

#[test]
fn names_that_are_the_greatest_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let source = open(&account(&directory.path().join("source"), "maildir"));
    for row in sample() {
        add(&source, "INBOX", &row);
    }
    let most = u64::MAX.to_string();
    for (format, name) in [
        (Foreign::Mh, most.clone()),
        (Foreign::Eml, format!("{most}.eml")),
    ] {
        let path = directory.path().join(format!("{format:?}"));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(&name), "A: theirs\r\n\r\nb\r\n").unwrap();
        let transfer = Transfer {
            source: Source::Account(Arc::clone(&source)),
            target: Target::Files {
                format,
                path: path.clone(),
            },
            only: None,
            into: None,
            host: "host".to_owned(),
        };
        let done = transfer.run(&mut now, &mut |_| {});
        let names = listing(&path).into_iter().filter(|(path, _, content)| {
            !path.ends_with("posthaste-flags")
                && !path.ends_with(".mh_sequences")
                && !content.is_empty()
        });
        match format {
            // No number is left behind it.
            Foreign::Mh => {
                let put = done.map_or(0, |done| done.copied);
                assert_eq!((put, names.count()), (0, 1));
            }
            _ => assert_eq!((done.unwrap().copied, names.count()), (5, 6)),
        }
        let theirs = std::fs::read_to_string(path.join(&name)).unwrap();
        assert_eq!(theirs, "A: theirs\r\n\r\nb\r\n");
    }
}

#[test]
fn one_mailbox_into_another() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(&account(&directory.path().join("first"), "mbox"));
    first.create("Work").unwrap();
    add(&first, "Work", &row(1, Flags::SEEN, &[]));
    add(&first, "INBOX", &row(2, Flags::SEEN, &[]));
    let last = open(&account(&directory.path().join("last"), "maildir"));
    let mut transfer = Transfer {
        source: Source::Account(Arc::clone(&first)),
        target: Target::Account(Arc::clone(&last)),
        only: Some("Work".to_owned()),
        into: Some("Old/Work".to_owned()),
        host: "host".to_owned(),
    };
    transfer.run(&mut now, &mut |_| {}).unwrap();
    assert_eq!(rows(&last, "Old/Work").len(), 1);
    transfer.only = None;
    transfer.into = Some("Old".to_owned());
    transfer.run(&mut now, &mut |_| {}).unwrap();
    assert_eq!(rows(&last, "Old").len(), 1);
    assert_eq!(rows(&last, "Old/Work").len(), 1);
    transfer.only = Some("Nowhere".to_owned());
    assert!(transfer.run(&mut now, &mut |_| {}).is_err());
}

#[test]
fn courier_keeps_its_uids() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("Maildir");
    for name in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    // Out of the order of their times.
    for (name, body) in [
        ("3.M1.host:2,S", "one"),
        ("1.M1.host:2,", "two"),
        ("2.M1.host:2,F", "new"),
    ] {
        std::fs::write(root.join("cur").join(name), format!("A: b\n\n{body}\n")).unwrap();
    }
    std::fs::write(
        root.join("courierimapuiddb"),
        "1 777 12\n4 3.M1.host\n11 1.M1.host\n",
    )
    .unwrap();
    let last = open(&account(&directory.path().join("last"), "mbox"));
    let done = run(
        Source::Files {
            format: Foreign::Maildir,
            path: root.clone(),
        },
        Target::Account(Arc::clone(&last)),
    );
    assert_eq!(counts(&done), (3, 0, 0));
    let bodies: Vec<bool> = rows(&last, "INBOX")
        .iter()
        .map(|row| row.1 == Flags::SEEN)
        .collect();
    assert_eq!(bodies, [true, false, false]);
    // Taken over in place.
    let taken = open(&account(&root, "maildir"));
    let view = taken.mailbox("INBOX", now()).unwrap().snapshot();
    assert_eq!((view.uid_validity, view.uid_next), (777, 13));
    let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
    assert_eq!(uids, [4, 11, 12]);
}
