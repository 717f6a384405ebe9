//! What is no file where files are looked for, and names that nobody gives: nothing is waited for, nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use common::{BODY, configs, inbox, now, pipe, read};
use mailstore::{AccountConfig, Error, FlagChange, Flags, Mailbox, Store};

fn append(mailbox: &Arc<Mailbox>) -> u32 {
    common::append(mailbox, &[]).unwrap()
}

/// What is put in place of a file, and its name.
type Place = (&'static str, fn(&Path));

fn kinds() -> [Place; 3] {
    [
        ("a pipe", pipe),
        ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
        ("a directory", |path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("in it"), "x").unwrap();
        }),
    ]
}

/// Everything that a session and a delivery do; what comes in and was there is whole.
fn used(config: &AccountConfig, what: &str) {
    let account = Store::new().account(config).unwrap();
    let mailbox = account
        .mailbox("INBOX", now())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let view = mailbox.refresh(now()).unwrap();
    let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
    for &uid in &uids {
        assert_eq!(read(&mailbox, uid), BODY, "{what}");
    }
    let seen = FlagChange::add(Flags::SEEN);
    mailbox.set_flags(&uids, &seen, None, now()).unwrap();
    let uid = append(&mailbox);
    common::deliver(&account, what, true).unwrap();
    mailbox.refresh(now()).unwrap();
    assert_eq!(mailbox.expunge(&[uid], now()).unwrap(), [uid], "{what}");
    let count = mailbox.refresh(now()).unwrap().messages().len();
    assert_eq!(count, uids.len() + 1, "{what}");
    // These may refuse; they do not wait.
    let _ = account.quota(now());
    let _ = account.subscriptions();
    let _ = account.metadata(Some("INBOX"));
    let _ = account.acl("INBOX");
    drop(mailbox.digests(&uids, now()));
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let of_maildir = [
        "dovecot-uidlist",
        "dovecot-keywords",
        "courierimapuiddb",
        "posthaste-index",
        "posthaste-cache",
        "maildirsize",
        "dovecot-acl",
        "posthaste-metadata",
        "subscriptions",
        "tmp/1800000000.M1P1.host",
    ];
    let of_mbox = [
        ".posthaste/INBOX.state",
        ".posthaste/INBOX.index",
        ".posthaste/INBOX.cache",
        ".posthaste/INBOX.rewrite",
        "subscriptions",
        "posthaste-metadata",
    ];
    for (kind, place) in kinds() {
        let directory = tempfile::tempdir().unwrap();
        for config in configs(directory.path()) {
            let account = Store::new().account(&config).unwrap();
            append(&inbox(&account));
            drop(account);
            let files: &[&str] = match config.inbox.as_os_str().is_empty() {
                true => &of_maildir,
                false => &of_mbox,
            };
            for file in files {
                let path = config.root.join(file);
                // A directory in place of a list hides the UIDs, and the quota's sums cannot be put in its place.
                if kind == "a directory" && ["dovecot-uidlist", "maildirsize"].contains(file) {
                    continue;
                }
                let kept = path.with_extension("kept");
                let had = fs::rename(&path, &kept).is_ok();
                place(&path);
                used(&config, &format!("{kind} as {file}"));
                if fs::remove_file(&path).is_err() {
                    let _ = fs::remove_dir_all(&path);
                }
                let _ = fs::remove_file(&kept).is_ok_and(|()| had);
            }
        }
    }
}

#[test]
fn what_is_no_file_among_the_messages_can_be_expunged_or_is_passed_over() {
    for (kind, place) in kinds() {
        let directory = tempfile::tempdir().unwrap();
        let config = AccountConfig::maildir(directory.path(), "host");
        let account = Store::new().account(&config).unwrap();
        append(&inbox(&account));
        drop(account);
        for (nth, part) in ["cur", "new"].iter().enumerate() {
            let path = directory
                .path()
                .join(part)
                .join(format!("180000000{nth}.M1P1.host"));
            place(&path);
        }
        let account = Store::new().account(&config).unwrap();
        let mailbox = inbox(&account);
        let view = mailbox.refresh(now()).unwrap();
        let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
        let whole = uids.iter().filter(|uid| {
            let mut content = Vec::new();
            let reader = mailbox.reader(**uid, now());
            reader.is_ok_and(|mut reader| {
                std::io::Read::read_to_end(&mut reader, &mut content).is_ok() && content == BODY
            })
        });
        assert_eq!(whole.count(), 1, "{kind}");
        drop(mailbox.digests(&uids, now()));
        let seen = FlagChange::add(Flags::SEEN);
        mailbox.set_flags(&uids, &seen, None, now()).unwrap();
        assert_eq!(mailbox.expunge(&uids, now()).unwrap(), uids, "{kind}");
        assert!(mailbox.refresh(now()).unwrap().messages().is_empty());
        let left = fs::read_dir(directory.path().join("cur")).unwrap().count();
        assert_eq!(left, usize::from(kind == "a directory"), "{kind}");
    }
}

#[test]
fn a_pipe_that_takes_the_place_of_the_sums_is_not_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = AccountConfig::maildir(directory.path(), "host");
    config.quota = vec!["*:messages=9".parse().unwrap()];
    let account = Store::new().account(&config).unwrap();
    account.create("Other").unwrap();
    let mailbox = inbox(&account);
    for _ in 0..3 {
        append(&mailbox);
    }
    let sums = directory.path().join("maildirsize");
    let again = || {
        let _ = fs::remove_file(&sums);
        pipe(&sums);
    };
    again();
    mailbox.expunge(&[1], now()).unwrap();
    again();
    common::deliver(&account, "q", true).unwrap();
    again();
    let other = account.mailbox("Other", now()).unwrap();
    mailbox.move_to(&[2], &other, now()).unwrap();
    again();
    drop(other);
    account.delete("Other").unwrap();
    assert_eq!(account.quota(now()).unwrap().unwrap().1.messages, 2);
}

#[test]
fn names_that_nobody_gives() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path(), "host");
    let account = Store::new().account(&config).unwrap();
    inbox(&account);
    drop(account);
    let long = |octet: u8, count: usize| vec![octet; count];
    // A list cannot hold these: there is nothing to know them by but their flags, or they would be read as lines of it.
    let unlistable = [":2,", ":2,SSSSSFFFFFZZ9", "f\n4294967294 :g:2,S", "\r\n"];
    for name in unlistable {
        let path = directory.path().join("cur").join(name);
        fs::write(path, "Subject: x\n\nbody\n").unwrap();
    }
    let names: Vec<Vec<u8>> = vec![
        b"0:2,SSSSSFFFFFabcxyzZZ9".to_vec(),
        b"a:1,garbage".to_vec(),
        b"b:2,S:2,F".to_vec(),
        b"c,S=99999999999999999999999,W=-1:2,".to_vec(),
        b"d,S=18446744073709551615,W=18446744073709551615:2,".to_vec(),
        b"e,,,,==:2,".to_vec(),
        b"99999999999999999999999.M99999999999999P1.host:2,".to_vec(),
        b"-1.M-1.host:2,".to_vec(),
        b" :h".to_vec(),
        b"\xff\xfe\x80:2,S".to_vec(),
        b"&AOk-:2,".to_vec(),
        b"\x01\x02\x7f:2,".to_vec(),
        [long(b'i', 252), b":2,".to_vec()].concat(),
        long(b'j', 255),
        [b"k:2,".to_vec(), long(b'S', 251)].concat(),
    ];
    for (nth, name) in names.iter().enumerate() {
        let part = if nth % 3 == 2 { "new" } else { "cur" };
        let name = OsString::from_vec(name.clone());
        fs::write(
            directory.path().join(part).join(name),
            "Subject: x\n\nbody\n",
        )
        .unwrap();
    }
    let uids = |mailbox: &Mailbox| -> Vec<u32> {
        let view = mailbox.refresh(now()).unwrap();
        view.messages().iter().map(|message| message.uid).collect()
    };
    let mut told = Vec::new();
    for keeps_index in [true, false, false, true] {
        let account = Store::new().account(&config).unwrap();
        let mailbox = inbox(&account);
        let here = uids(&mailbox);
        for &uid in &here {
            assert_eq!(read(&mailbox, uid), BODY, "UID {uid}");
        }
        mailbox
            .digests(&here, now())
            .into_iter()
            .for_each(|digest| assert_eq!(digest.unwrap().digest().size(), 20));
        assert!(told.is_empty() || told == here, "{told:?} {here:?}");
        told = here;
        drop((mailbox, account));
        if !keeps_index {
            fs::remove_file(directory.path().join("posthaste-index")).unwrap();
        }
    }
    assert_eq!(told.len(), names.len());
    let account = Store::new().account(&config).unwrap();
    let mailbox = inbox(&account);
    // A name that has no room for flags keeps the ones it has, and the error says so.
    for uid in told.clone() {
        let flagged = FlagChange::add(Flags::FLAGGED);
        match mailbox.set_flags(&[uid], &flagged, None, now()) {
            Ok(stored) => assert!(stored.modified.is_empty()),
            Err(error) => assert!(error.to_string().contains("rename"), "{error}"),
        }
    }
    assert_eq!(uids(&mailbox), told);
    assert_eq!(mailbox.expunge(&told, now()).unwrap(), told);
    drop((mailbox, account));
    assert_eq!(
        fs::read_dir(directory.path().join("new")).unwrap().count(),
        0
    );
    let left = fs::read_dir(directory.path().join("cur")).unwrap();
    let mut left: Vec<OsString> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    let mut wanted = unlistable.map(OsString::from);
    wanted.sort();
    assert_eq!(left, wanted);
    // A repair gives them names, and keeps their flags.
    let account = Store::new().account(&config).unwrap();
    let findings = account.repair("INBOX", now()).unwrap();
    assert_eq!(findings.len(), 4, "{findings:?}");
    let view = inbox(&account).refresh(now()).unwrap();
    let seen = view
        .messages()
        .iter()
        .filter(|message| message.flags.contains(Flags::SEEN));
    assert_eq!((view.messages().len(), seen.count()), (4, 1));
    assert_eq!(account.verify("INBOX", now()).unwrap(), []);
}

#[test]
fn a_list_that_says_anything_hides_no_message() {
    let line = "9".repeat(1 << 20);
    let duplicates: String = (0..2000)
        .map(|nth| format!("{} :a\n", nth / 2 + 1))
        .collect();
    let bases: String = (1..3000)
        .map(|nth| format!("{nth} :b{}\n", nth % 3))
        .collect();
    for list in [
        format!("3 V7 N9\n{line} :a\n"),
        format!("3 V7 N9 {line}\n1 :a\n"),
        format!("3 V7 N9\n1 {line} :a\n2 :{line}\n"),
        format!("3 V7 N9\n{duplicates}"),
        format!("3 V7 N9\n{bases}"),
        "3 V7 N1\n4294967295 :a\n".to_owned(),
        "3 V7 N4294967295\n".to_owned(),
        "3 V4294967295 N4294967294\n1 :a\n4294967293 :c\n".to_owned(),
        "3 V7 N0\n0 :a\n".to_owned(),
        "3 V7 N-1 Vx V\n".to_owned(),
        "3  V7   N9   \n1  :a\n1 : b\n".to_owned(),
        "1 7 9\n1 a\n1 b\n".to_owned(),
        "3 V7 N9\n1 :a\n2 :../../a\n3 :/etc/passwd\n4 :\n5 :c:2,:2,\n".to_owned(),
        "3 V7 N9 G0000\n1 :a\u{0}b\n\u{0}\u{0}\n".to_owned(),
    ] {
        let what: String = list.chars().take(60).collect();
        let directory = tempfile::tempdir().unwrap();
        let config = AccountConfig::maildir(directory.path(), "host");
        drop(inbox(&Store::new().account(&config).unwrap()));
        for name in ["a", "b", "c"] {
            let path = directory.path().join("cur").join(format!("{name}:2,"));
            fs::write(path, "Subject: x\n\nbody\n").unwrap();
        }
        fs::write(directory.path().join("dovecot-uidlist"), &list).unwrap();
        used(&config, &what);
        let account = Store::new().account(&config).unwrap();
        let view = inbox(&account).refresh(now()).unwrap();
        assert_eq!(view.messages().len(), 4, "{what}");
        let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
        assert!(
            uids.is_sorted_by(|one, next| one < next),
            "{what}: {uids:?}"
        );
        assert!(view.uid_next > uids[3] && uids[0] > 0, "{what}: {uids:?}");
        let content = fs::read(directory.path().join("dovecot-uidlist")).unwrap();
        assert!(content.len() < 3 << 20, "{what}");
    }
}

#[test]
fn mailbox_names_that_lead_elsewhere_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside");
    fs::create_dir_all(outside.join("cur")).unwrap();
    fs::write(directory.path().join("file"), "x").unwrap();
    for config in configs(&directory.path().join("accounts")) {
        let account = Store::new().account(&config).unwrap();
        inbox(&account);
        let deep = vec!["x"; 5000].join("/");
        for name in [
            "..",
            "../outside",
            "../../outside",
            "a/../../../outside",
            "/outside",
            "//",
            "a//b",
            ".",
            "./a",
            "a/.",
            "a/..",
            "a\u{0}b",
            "a\nb",
            "a\u{7f}b",
            "\u{202e}\u{0}",
            &"n".repeat(300),
            &"é".repeat(200),
            &deep,
            "\u{fffd}2F..\u{fffd}2Foutside",
            "&AC4ALg-/outside",
        ] {
            assert!(
                !account.exists(name).unwrap(),
                "{name:?} {:?}",
                config.format
            );
            let made = account.create(name);
            if let Err(error) = &made {
                assert!(
                    matches!(error, Error::InvalidName { .. }),
                    "{name:?}: {error}"
                );
            } else {
                account.delete(name).unwrap();
            }
            assert!(account.mailbox(name, now()).is_err(), "{name:?}");
            assert!(
                account.rename("INBOX", name, now()).is_err() || made.is_ok(),
                "{name:?}"
            );
        }
        // As deep as a name may be.
        let deep = vec!["d"; 90].join("/");
        if account.create(&deep).is_ok() {
            append(&account.mailbox(&deep, now()).unwrap());
            assert!(account.list().unwrap().len() < 200);
            account.delete(&deep).unwrap();
        }
    }
    let mut left: Vec<OsString> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["accounts", "file", "outside"]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    let names = fs::read_dir(directory.path().join("accounts")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name.as_bytes() != b"outside"));
}

#[test]
fn subscriptions_of_very_many_can_be_read_and_not_be_too_many_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path(), "host");
    let account = Store::new().account(&config).unwrap();
    let file = directory.path().join("subscriptions");
    let mut names = "V\t2\n\n".to_owned();
    for nth in 0..1_000_000 {
        names.push_str(&format!("n{nth}\n"));
    }
    fs::write(&file, &names).unwrap();
    assert_eq!(account.subscriptions().unwrap().len(), 1_000_000);
    assert!(account.subscribe("one more", true, now()).unwrap());
    assert!(!account.subscribe("n7", true, now()).unwrap());
    assert!(account.subscribe("n7", false, now()).unwrap());
    assert_eq!(account.subscriptions().unwrap().len(), 1_000_000);
    // One that is as long as it may be is not made longer.
    let room = (16 << 20) - "V\t2\n\n".len();
    let line = "m".repeat(199) + "\n";
    let full = format!("V\t2\n\n{}", line.repeat(room / line.len()));
    fs::write(&file, full).unwrap();
    let refused = account.subscribe(&"k".repeat(190), true, now());
    assert!(
        matches!(refused, Err(Error::TooLarge { .. })),
        "{refused:?}"
    );
    assert!(!account.subscriptions().unwrap().is_empty());
    assert!(account.subscribe(&"m".repeat(199), false, now()).unwrap());
    assert!(account.subscribe(&"k".repeat(190), true, now()).unwrap());
}
