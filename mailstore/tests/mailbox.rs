//! What every format must do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{at, configs, inbox, now, read};
use mailstore::{
    Account, AccountConfig, AppendOptions, Appended, Delivered, DeliveryId, Error, FlagChange,
    Flags, Mailbox, Store,
};

const MESSAGE: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn each_format(test: impl Fn(&AccountConfig)) {
    let directory = tempfile::tempdir().unwrap();
    for config in configs(directory.path()) {
        test(&config);
    }
}

fn open(config: &AccountConfig) -> Arc<Account> {
    Store::new().account(config).unwrap()
}

fn append(mailbox: &Arc<Mailbox>, content: &[u8]) -> Appended {
    append_with(mailbox, content, AppendOptions::at(at(5)))
}

fn append_with(mailbox: &Arc<Mailbox>, content: &[u8], options: AppendOptions) -> Appended {
    let mut append = mailbox.append(now()).unwrap();
    for part in content.chunks(1000) {
        append.write(part).unwrap();
    }
    append.commit(options, now()).unwrap()
}

fn deliver(account: &Account, id: &str, content: &[u8], maybe_delivered: bool) -> Delivered {
    let id = DeliveryId {
        id: id.to_owned(),
        arrived: at(1),
        maybe_delivered,
    };
    let mut delivery = account.deliver("INBOX", id, now()).unwrap();
    delivery.write(content).unwrap();
    delivery.commit(AppendOptions::at(at(7)), now()).unwrap()
}

/// What a client sees of a mailbox.
fn seen(mailbox: &Mailbox) -> Vec<(u32, Flags, Vec<String>, Vec<u8>)> {
    let view = mailbox.refresh(now()).unwrap();
    let rows = view.messages().iter().map(|message| {
        let mut keywords: Vec<String> = view.keywords(message).map(str::to_owned).collect();
        keywords.sort();
        (
            message.uid,
            message.flags,
            keywords,
            read(mailbox, message.uid),
        )
    });
    rows.collect()
}

#[test]
fn messages_come_back_as_they_went_in() {
    let big = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(20_000);
    let long_line = [
        b"Subject: ".as_slice(),
        &b"x".repeat(300_000),
        b"\r\n\r\n",
        &b"y".repeat(300_000),
        b"\r\n",
    ]
    .concat();
    let contents: Vec<Vec<u8>> = vec![
        MESSAGE.to_vec(),
        b"Subject: only a header\r\n".to_vec(),
        b"Subject: no body\r\n\r\n".to_vec(),
        b"\r\nno header\r\n".to_vec(),
        b"S: x\r\n\r\nFrom a line\r\n>From b\r\n\r\nFrom x Thu Nov 12 13:14:15 2026\r\n>>From c\r\n>Fro\r\n>\r\n>>".to_vec(),
        b"S: x\r\n\r\nend\r\n\r\n\r\n".to_vec(),
        b"S: x\r\n\r\na\r\r\nb\rc\r\n\0\xff\r\n".to_vec(),
        b"From x Thu Nov 12 13:14:15 2026\r\nS: x\r\n\r\nb\r\n".to_vec(),
        [b"S: x\r\n\r\n".as_slice(), &big].concat(),
        long_line,
    ];
    each_format(|config| {
        let account = open(config);
        let mailbox = inbox(&account);
        for (index, content) in contents.iter().enumerate() {
            let appended = append(&mailbox, content);
            assert_eq!(appended.uid, index as u32 + 1);
        }
        let check = |mailbox: &Mailbox| {
            for (index, content) in contents.iter().enumerate() {
                let mut wanted = content.clone();
                let mbox = !config.inbox.as_os_str().is_empty();
                if mbox && !wanted.ends_with(b"\r\n") {
                    wanted.extend_from_slice(b"\r\n");
                }
                let got = read(mailbox, index as u32 + 1);
                assert!(
                    got == wanted,
                    "{config:?} {index}: {} octets of {}",
                    got.len(),
                    wanted.len()
                );
            }
        };
        check(&mailbox);
        // A rewrite of an mbox changes none of it.
        let uids: Vec<u32> = (1..=contents.len() as u32).collect();
        let many = FlagChange::add(Flags::SEEN)
            .with_keywords((0..9).map(|n| format!("a-long-keyword-of-its-own-{n}")));
        assert_eq!(
            mailbox
                .set_flags(&uids, &many, None, now())
                .unwrap()
                .changed,
            uids
        );
        check(&mailbox);
        drop((mailbox, account));
        let account = open(config);
        let mailbox = inbox(&account);
        assert!(
            mailbox
                .snapshot()
                .messages()
                .iter()
                .all(|message| message.flags == Flags::SEEN)
        );
        check(&mailbox);
    });
}

#[test]
fn a_reader_goes_anywhere() {
    each_format(|config| {
        let account = open(config);
        let mailbox = inbox(&account);
        let content: Vec<u8> = (0..20_000)
            .flat_map(|line| format!("From line {line}\r\n").into_bytes())
            .collect();
        let content = [b"A: b\r\n\r\n".as_slice(), &content].concat();
        let uid = append(&mailbox, &content).uid;
        let mut reader = mailbox.reader(uid, at(0)).unwrap();
        for to in [
            0,
            5,
            100_001,
            7,
            65_536,
            content.len() as u64,
            content.len() as u64 + 9,
            200_000,
        ] {
            reader.seek(to).unwrap();
            let mut part = [0; 50];
            let read = std::io::Read::read(&mut reader, &mut part).unwrap();
            let from = (to as usize).min(content.len());
            assert_eq!(&part[..read], &content[from..(from + read)], "at {to}");
            assert_eq!(read == 0, to >= content.len() as u64);
        }
    });
}

#[test]
fn uids_flags_and_dates_outlive_the_process() {
    each_format(|config| {
        let account = open(config);
        let mailbox = inbox(&account);
        for _ in 0..4 {
            append(&mailbox, MESSAGE);
        }
        let change =
            FlagChange::replace(Flags::ANSWERED | Flags::DRAFT).with_keywords(["$Junk", "Work"]);
        mailbox.set_flags(&[2, 3], &change, None, at(11)).unwrap();
        mailbox
            .set_flags(
                &[3],
                &FlagChange::remove(Flags::DRAFT).with_keywords(["work"]),
                None,
                at(11),
            )
            .unwrap();
        assert_eq!(mailbox.expunge(&[9, 4, 1], at(12)).unwrap(), [1, 4]);
        let before = seen(&mailbox);
        assert_eq!(before[0].1, Flags::ANSWERED | Flags::DRAFT);
        assert_eq!(before[0].2, ["$Junk", "Work"]);
        assert_eq!(
            (before[1].1, before[1].2.as_slice()),
            (Flags::ANSWERED, ["$Junk".to_owned()].as_slice())
        );
        let view = mailbox.snapshot();
        drop((mailbox, account));

        let account = open(config);
        let mailbox = inbox(&account);
        let again = mailbox.snapshot();
        assert_eq!(again.uid_validity, view.uid_validity);
        assert_eq!(again.uid_next, 5);
        assert!(again.highest_modseq >= view.highest_modseq);
        assert!(
            again
                .messages()
                .iter()
                .all(|message| message.internal_date == at(5))
        );
        assert_eq!(seen(&mailbox), before);
        assert_eq!(append(&mailbox, MESSAGE).uid, 5);
        mailbox.expunge(&[2, 3, 5], at(13)).unwrap();
        drop((mailbox, account));

        let account = open(config);
        assert_eq!(inbox(&account).snapshot().uid_next, 6, "{config:?}");
        assert_eq!(inbox(&account).snapshot().uid_validity, view.uid_validity);
    });
}

#[test]
fn deliveries_wake_and_are_made_once() {
    each_format(|config| {
        let account = open(config);
        assert_eq!(deliver(&account, "q1-0", MESSAGE, false), Delivered::Stored);
        let mailbox = inbox(&account);
        let woken = Arc::new(AtomicU32::new(0));
        let watch = mailbox.watch({
            let woken = Arc::clone(&woken);
            move || {
                woken.fetch_add(1, Ordering::SeqCst);
            }
        });
        assert_eq!(mailbox.take_recent(), [1]);
        assert_eq!(deliver(&account, "q2-0", MESSAGE, false), Delivered::Stored);
        assert_eq!(woken.load(Ordering::SeqCst), 1, "{:?}", config.format);
        assert_eq!(mailbox.refresh(now()).unwrap().messages().len(), 2);
        assert_eq!(mailbox.take_recent(), [2]);
        assert!(mailbox.take_recent().is_empty());
        mailbox
            .set_flags(&[1, 2], &FlagChange::add(Flags::SEEN), None, now())
            .unwrap();
        assert_eq!(
            deliver(&account, "q2-0", MESSAGE, true),
            Delivered::Duplicate
        );
        assert_eq!(
            deliver(&account, "q1-0", MESSAGE, true),
            Delivered::Duplicate
        );
        assert_eq!(deliver(&account, "q1-1", MESSAGE, true), Delivered::Stored);
        assert_eq!(mailbox.refresh(now()).unwrap().messages().len(), 3);
        drop(watch);
        let count = woken.load(Ordering::SeqCst);
        assert_eq!(deliver(&account, "q3", MESSAGE, false), Delivered::Stored);
        assert_eq!(woken.load(Ordering::SeqCst), count);
        assert_eq!(
            seen(&mailbox).iter().map(|row| row.0).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
    });
}

#[test]
fn changes_are_told_by_modseq() {
    each_format(|config| {
        let account = open(config);
        let mailbox = inbox(&account);
        for _ in 0..5 {
            append(&mailbox, MESSAGE);
        }
        let start = mailbox.snapshot().highest_modseq;
        let stored = mailbox
            .set_flags(&[2, 4], &FlagChange::add(Flags::SEEN), None, at(11))
            .unwrap();
        assert_eq!(stored.changed, [2, 4]);
        mailbox.expunge(&[1, 3], at(11)).unwrap();
        let changes = mailbox.changes_since(start);
        assert_eq!(changes.changed, [2, 4]);
        assert_eq!(changes.vanished, [1..=1, 3..=3]);
        let stored = mailbox
            .set_flags(
                &[2, 5],
                &FlagChange::add(Flags::DELETED),
                Some(start),
                at(11),
            )
            .unwrap();
        assert_eq!(
            (stored.changed.as_slice(), stored.modified.as_slice()),
            ([5].as_slice(), [2].as_slice())
        );
        assert!(
            mailbox
                .changes_since(stored.highest_modseq)
                .changed
                .is_empty()
        );
    });
}

#[test]
fn copies_and_moves_keep_what_is_known() {
    each_format(|config| {
        let account = open(config);
        account.create("Archive/2026").unwrap();
        let (mailbox, archive) = (
            inbox(&account),
            account.mailbox("Archive/2026", at(0)).unwrap(),
        );
        let options = AppendOptions {
            flags: Flags::FLAGGED,
            keywords: vec!["Work".to_owned()],
            internal_date: at(3),
        };
        append_with(&mailbox, MESSAGE, options);
        append(&mailbox, MESSAGE);
        append(&archive, MESSAGE);
        let copied = mailbox.copy(&[1, 7, 2], &archive, now()).unwrap();
        assert_eq!(copied.uids, [(1, 2), (2, 3)]);
        assert_eq!(copied.uid_validity, archive.snapshot().uid_validity);
        let rows = seen(&archive);
        assert_eq!(
            rows[1],
            (2, Flags::FLAGGED, vec!["Work".to_owned()], MESSAGE.to_vec())
        );
        assert_eq!(archive.snapshot().message(2).unwrap().internal_date, at(3));
        mailbox.move_to(&[2], &archive, now()).unwrap();
        assert_eq!(seen(&mailbox).len(), 1);
        assert_eq!(seen(&archive).len(), 4);
        mailbox.copy(&[1], &mailbox, now()).unwrap();
        assert_eq!(seen(&mailbox)[1].0, 3);
    });
}

#[test]
fn mailboxes_come_and_go() {
    each_format(|config| {
        let account = open(config);
        account.create("A/B c/été").unwrap();
        account.create("Sent").unwrap();
        assert!(matches!(
            account.create("Sent"),
            Err(Error::MailboxExists(_))
        ));
        assert!(matches!(
            account.create("inbox"),
            Err(Error::MailboxExists(_))
        ));
        assert!(matches!(
            account.mailbox("A", at(0)),
            Err(Error::NoSuchMailbox(_))
        ));
        let names = |account: &Account| -> Vec<(String, bool, bool)> {
            account
                .list()
                .unwrap()
                .into_iter()
                .map(|l| (l.name, l.selectable, l.has_children))
                .collect()
        };
        let row = |name: &str, selectable, children| (name.to_owned(), selectable, children);
        assert_eq!(
            names(&account),
            [
                row("INBOX", true, false),
                row("A", false, true),
                row("A/B c", false, true),
                row("A/B c/été", true, false),
                row("Sent", true, false),
            ]
        );
        let mailbox = account.mailbox("A/B c/été", at(0)).unwrap();
        append(&mailbox, MESSAGE);
        account.rename("A", "Z", at(1)).unwrap();
        assert!(matches!(
            mailbox.refresh(at(1)),
            Err(Error::NoSuchMailbox(_))
        ));
        let renamed = account.mailbox("Z/B c/été", at(1)).unwrap();
        assert_eq!(
            renamed.snapshot().uid_validity,
            mailbox.snapshot().uid_validity
        );
        assert_eq!(seen(&renamed).len(), 1);
        account.delete("Z/B c/été").unwrap();
        account.create("A/B c/été").unwrap();
        let anew = account.mailbox("A/B c/été", at(0)).unwrap();
        assert!(anew.snapshot().uid_validity > mailbox.snapshot().uid_validity);
        assert!(anew.snapshot().messages().is_empty());
        assert!(matches!(account.delete("INBOX"), Err(Error::Inbox)));
        assert!(matches!(
            account.rename("Nowhere", "B", at(1)),
            Err(Error::NoSuchMailbox(_))
        ));
        assert!(matches!(
            account.rename("Sent", "A/B c/été", at(1)),
            Err(Error::MailboxExists(_))
        ));

        append(&inbox(&account), MESSAGE);
        account.rename("INBOX", "Old", at(1)).unwrap();
        assert!(seen(&inbox(&account)).is_empty());
        assert_eq!(seen(&account.mailbox("Old", at(1)).unwrap()).len(), 1);

        assert!(account.subscribe("Old", true, at(1)).unwrap());
        assert!(!account.subscribe("Old", true, at(1)).unwrap());
        assert!(account.subscribe("A/B c/été", true, at(1)).unwrap());
        assert_eq!(account.subscriptions().unwrap(), ["Old", "A/B c/été"]);
        assert!(account.subscribe("Old", false, at(1)).unwrap());
        assert_eq!(account.subscriptions().unwrap(), ["A/B c/été"]);
    });
}

#[test]
fn only_folders_are_marked_as_folders() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join(".maildir");
    let account = open(&AccountConfig::maildir(&root, "host"));
    account.mailbox("INBOX", now()).unwrap();
    account.create("A").unwrap();
    assert!(!root.join("maildirfolder").exists());
    assert!(root.join(".A/maildirfolder").exists());
}

#[test]
fn bad_names_are_refused() {
    each_format(|config| {
        let account = open(config);
        for name in [
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            "../x",
            "a/../../x",
            "x\0y",
            "a\nb",
        ] {
            assert!(
                matches!(account.create(name), Err(Error::InvalidName { .. })),
                "{config:?} {name:?}"
            );
            assert!(!account.exists(name).unwrap());
        }
    });
}

#[test]
fn sessions_in_threads_agree() {
    each_format(|config| {
        let store = Store::new();
        let account = store.account(config).unwrap();
        let mailbox = inbox(&account);
        let uids = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let account = store.account(config).unwrap();
                    scope.spawn(move || {
                        let mailbox = inbox(&account);
                        let mut uids = Vec::new();
                        for n in 0..8 {
                            if n % 2 == 0 {
                                let id = format!("t{thread}-{n}");
                                assert_eq!(
                                    deliver(&account, &id, MESSAGE, false),
                                    Delivered::Stored
                                );
                                mailbox.refresh(now()).unwrap();
                            } else {
                                let uid = append(&mailbox, MESSAGE).uid;
                                mailbox
                                    .set_flags(&[uid], &FlagChange::add(Flags::SEEN), None, now())
                                    .unwrap();
                                uids.push(uid);
                            }
                        }
                        uids
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        let rows = seen(&mailbox);
        assert_eq!(rows.len(), 32);
        for (uid, flags, _, _) in rows {
            assert_eq!(flags == Flags::SEEN, uids.contains(&uid), "UID {uid}");
        }
    });
}
