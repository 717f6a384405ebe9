//! The index: opening and listing without reading the mail, and never a wrong answer whatever is left of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use common::over::{Beside, Call, Over};
use common::sim::{Sim, World};
use common::{at, configs, inbox, read};
use mailstore::{
    Account, AccountConfig, AppendOptions, DeliveryId, File, FlagChange, Flags, Fs, Indexed,
    Mailbox, Store,
};
use proptest::prelude::*;

/// The real file system, counting what listing a mailbox should not need.
#[derive(Clone, Default)]
struct Counting {
    opened: Arc<Mutex<Vec<PathBuf>>>,
    listed: Arc<AtomicUsize>,
}

impl Counting {
    /// Files of messages that were opened since the last call, and directories of them read.
    fn take(&self) -> (usize, usize) {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        let is_message = |path: &&PathBuf| {
            let parent = path.parent().and_then(Path::file_name);
            parent.is_some_and(|parent| parent == "cur" || parent == "new")
        };
        let opened = opened.iter().filter(is_message).count();
        (opened, self.listed.swap(0, Ordering::Relaxed))
    }
}

impl Beside for Counting {
    fn before(&self, call: Call, path: &Path) {
        match call {
            Call::Open => self.opened.lock().unwrap().push(path.to_owned()),
            Call::Readdir if !path.ends_with("tmp") => {
                self.listed.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

fn open(config: &AccountConfig) -> Arc<Account> {
    Store::new().account(config).unwrap()
}

fn message(name: &str) -> Vec<u8> {
    format!(
        "From: Ann <ann@example.org>\r\nTo: b@example.org, Team: c@example.org;\r\n\
         Subject: {name}\r\nMessage-ID: <{name}@example.org>\r\nReferences: <first@example.org>\r\n\
         X-Other: kept out\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello {name}\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner {name}\r\n\r\nbody\r\n--b--\r\n"
    )
    .into_bytes()
}

fn append(mailbox: &Arc<Mailbox>, name: &str, flags: Flags) -> u32 {
    let mut append = mailbox.append(at(0)).unwrap();
    append.write(&message(name)).unwrap();
    let options = AppendOptions {
        flags,
        keywords: vec!["$Forwarded".to_owned()],
        internal_date: at(7),
    };
    append.commit(options, at(0)).unwrap().uid
}

fn digests(mailbox: &Mailbox) -> Vec<Indexed> {
    let view = mailbox.snapshot();
    let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
    let digests = mailbox.digests(&uids, at(9000));
    digests.into_iter().map(Result::unwrap).collect()
}

/// UID, flags, keywords, internal date, save date.
type Row = (u32, Flags, Vec<String>, SystemTime, Option<SystemTime>);

/// What a mailbox says that the mail itself tells.
#[derive(Debug, PartialEq)]
struct Said {
    uid_validity: u32,
    uid_next: u32,
    messages: Vec<Row>,
    digests: Vec<Indexed>,
}

fn said(mailbox: &Mailbox) -> Said {
    let view = mailbox.snapshot();
    let messages = view.messages().iter().map(|message| {
        let mut keywords: Vec<String> = view.keywords(message).map(str::to_owned).collect();
        keywords.sort();
        (
            message.uid,
            message.flags,
            keywords,
            message.internal_date,
            message.save_date,
        )
    });
    Said {
        uid_validity: view.uid_validity,
        uid_next: view.uid_next,
        messages: messages.collect(),
        digests: digests(mailbox),
    }
}

/// The index and cache files of INBOX.
fn files(config: &AccountConfig) -> [PathBuf; 2] {
    ["index", "cache"].map(|name| {
        let side = config.root.join(".posthaste/INBOX").with_extension(name);
        if side.parent().unwrap().exists() {
            side
        } else {
            config.root.join(format!("posthaste-{name}"))
        }
    })
}

#[test]
fn a_digest_says_what_the_message_does() {
    let root = tempfile::tempdir().unwrap();
    for config in configs(root.path()) {
        let account = open(&config);
        let mailbox = inbox(&account);
        append(&mailbox, "one", Flags::NONE);
        // From the message, then from the cache.
        for _ in 0..2 {
            let digests = digests(&mailbox);
            let digest = digests[0].digest();
            let text = message("one");
            assert_eq!(digest.size(), text.len() as u64);
            assert_eq!(digest.structure().unwrap(), mime::Structure::parse(&text));
            let envelope = digest.envelope();
            assert_eq!(envelope.subject, Some(&b"one"[..]));
            assert_eq!(envelope.message_id, Some(&b"<one@example.org>"[..]));
            let to: Vec<_> = envelope.to.map(|to| (to.mailbox, to.host)).collect();
            assert_eq!(
                to,
                [
                    (Some(&b"b"[..]), Some(&b"example.org"[..])),
                    (Some(b"Team"), None),
                    (Some(b"c"), Some(b"example.org")),
                    (None, None),
                ]
            );
            let inner = digest.envelopes().nth(1).unwrap();
            assert_eq!(inner.1.subject, Some(&b"inner one"[..]));
            assert_eq!(digest.preview(), "Hello one");
            let fields = String::from_utf8(digest.fields().to_vec()).unwrap();
            assert!(fields.starts_with("From: Ann <ann@example.org>\r\nTo: b@"));
            assert!(fields.ends_with("boundary=b\r\n\r\n") && !fields.contains("X-Other"));
        }
        append(&mailbox, "two", Flags::NONE);
        append(&mailbox, "one", Flags::NONE);
        let digests = digests(&mailbox);
        let ids: Vec<_> = digests.iter().map(|one| one.digest().email_id()).collect();
        assert!(ids[0] == ids[2] && ids[0] != ids[1]);
        assert_eq!(
            digests[0].digest().thread_id(),
            digests[1].digest().thread_id()
        );
    }
}

#[test]
fn listing_opens_no_message_and_reads_no_directory() {
    let root = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(root.path(), "host");
    let fs = Over(Counting::default());
    let account = || {
        let store = Store::with_fs(Arc::new(fs.clone()));
        store.account(&config).unwrap()
    };
    let expected = {
        let account = account();
        let mailbox = inbox(&account);
        for name in ["one", "two", "three"] {
            append(&mailbox, name, Flags::FLAGGED);
        }
        // A look after the clock has moved on, so that nothing can have changed unseen.
        mailbox.refresh(at(100)).unwrap();
        said(&mailbox)
    };
    fs.0.take();
    let account = account();
    let mailbox = account.mailbox("INBOX", at(200)).unwrap();
    assert_eq!(said(&mailbox), expected);
    assert_eq!(fs.0.take(), (0, 0));
    // A directory that changed is read, its messages are not.
    fs::rename(
        fs::read_dir(root.path().join("cur"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
        root.path().join("cur/1700000000.M1P1.other:2,S"),
    )
    .unwrap();
    let view = mailbox.refresh(at(300)).unwrap();
    assert_eq!(view.messages().len(), 3);
    assert_eq!(fs.0.take().0, 0);
}

#[test]
fn every_flipped_bit_and_every_cut_is_found_out() {
    for config in [
        AccountConfig::maildir("/mail", "host"),
        AccountConfig::mbox("/mail", "/mail/INBOX", "host"),
    ] {
        let sim = Sim::new(World::new());
        let open = |sim: &Sim| {
            let store = Store::with_fs(Arc::new(sim.clone()));
            store.account(&config).unwrap()
        };
        let expected = {
            let account = open(&sim);
            let mailbox = inbox(&account);
            append(&mailbox, "one", Flags::SEEN);
            append(&mailbox, "two", Flags::NONE);
            append(&mailbox, "three", Flags::DRAFT);
            mailbox.expunge(&[2], at(1)).unwrap();
            let change = FlagChange::add(Flags::FLAGGED);
            mailbox.set_flags(&[1], &change, None, at(2)).unwrap();
            mailbox.refresh(at(200)).unwrap();
            said(&mailbox)
        };
        let world = sim.world();
        let side = match config.format {
            mailstore::Format::Mbox => "/mail/.posthaste/INBOX.",
            _ => "/mail/posthaste-",
        };
        for name in ["index", "cache"] {
            let path = PathBuf::from(format!("{side}{name}"));
            let len = sim.stat(&path).unwrap().len;
            let check = |what: String, damage: &dyn Fn(&dyn File)| {
                let sim = Sim::new(world.clone());
                damage(&*sim.open_write(&path).unwrap());
                let account = open(&sim);
                let mailbox = account.mailbox("INBOX", at(300)).unwrap();
                let mut told = said(&mailbox);
                if config.format == mailstore::Format::Mbox && name == "index" && what != "whole" {
                    // An mbox itself does not say when its messages came.
                    assert!(told.messages.iter().all(|message| message.4.is_none()));
                    for (told, expected) in told.messages.iter_mut().zip(&expected.messages) {
                        told.4 = expected.4;
                    }
                }
                assert_eq!(told, expected, "{name} {what}");
            };
            check("whole".to_owned(), &|_| {});
            for cut in 0..len {
                check(format!("cut at {cut}"), &|file| file.set_len(cut).unwrap());
                // A sum that finds one bit of an octet finds the others; those of the header are tried all.
                let bits = if cut < 64 { 0..8 } else { cut % 8..cut % 8 + 1 };
                for bit in bits {
                    check(format!("octet {cut}, bit {bit}"), &|file| {
                        let mut octet = [0];
                        file.read_at(&mut octet, cut).unwrap();
                        file.write_all_at(&[octet[0] ^ 1 << bit], cut).unwrap();
                    });
                }
            }
        }
    }
}

/// What another program does to a Maildir while nobody looks.
fn rename_somebody(root: &Path) {
    let cur = root.join("cur");
    let mut names: Vec<PathBuf> = fs::read_dir(&cur)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    if let Some(path) = names.first() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let base = name.split(':').next().unwrap();
        let flags = if name.ends_with('S') { "" } else { "S" };
        fs::rename(path, cur.join(format!("{base}:2,{flags}"))).unwrap();
    }
}

#[derive(Clone, Debug)]
enum Act {
    Append(u8),
    Deliver,
    Flag(u32, u8),
    Keyword(u32),
    Expunge(u32),
    Digests,
    Other,
    Reopen,
    Refresh,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0u8..32).prop_map(Act::Append),
        Just(Act::Deliver),
        (1u32..12, 0u8..32).prop_map(|(uid, flags)| Act::Flag(uid, flags)),
        (1u32..12).prop_map(Act::Keyword),
        (1u32..12).prop_map(Act::Expunge),
        Just(Act::Digests),
        Just(Act::Other),
        Just(Act::Reopen),
        Just(Act::Refresh),
    ];
    prop::collection::vec(act, 1..24)
}

fn flags(bits: u8) -> Flags {
    let all = [
        Flags::SEEN,
        Flags::ANSWERED,
        Flags::FLAGGED,
        Flags::DELETED,
        Flags::DRAFT,
    ];
    let set = all
        .into_iter()
        .enumerate()
        .filter(|(place, _)| bits >> place & 1 == 1);
    set.fold(Flags::NONE, |flags, (_, flag)| flags | flag)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(common::cases(24)))]

    /// After any changes, the index that was kept and one that is made from the mail alone say the same; and
    /// across restarts no modification sequence goes back and no change goes untold.
    #[test]
    fn kept_and_rebuilt_are_equal(acts in acts(), which in 0usize..3) {
        let root = tempfile::tempdir().unwrap();
        let config = configs(root.path())[which].clone();
        let mut account = open(&config);
        let mut mailbox = inbox(&account);
        let mut clock = 100;
        for (nth, act) in acts.into_iter().enumerate() {
            clock += 10;
            let now = at(clock);
            let before = mailbox.snapshot();
            match act {
                Act::Append(bits) => drop(append(&mailbox, &format!("a{nth}"), flags(bits))),
                Act::Deliver => {
                    let id = DeliveryId { id: nth.to_string(), arrived: now, maybe_delivered: false };
                    let mut delivery = mailbox.deliver(id, now).unwrap();
                    delivery.write(&message(&format!("d{nth}"))).unwrap();
                    delivery.commit(AppendOptions::at(now), now).unwrap();
                }
                Act::Flag(uid, bits) => drop(
                    mailbox.set_flags(&[uid], &FlagChange::replace(flags(bits)), None, now).unwrap(),
                ),
                Act::Keyword(uid) => {
                    let change = FlagChange::add(Flags::NONE).with_keywords([format!("k{}", uid % 3)]);
                    mailbox.set_flags(&[uid], &change, None, now).unwrap();
                }
                Act::Expunge(uid) => drop(mailbox.expunge(&[uid], now).unwrap()),
                Act::Digests => drop(digests(&mailbox)),
                Act::Other if which < 2 => rename_somebody(&config.root),
                Act::Other => {}
                Act::Reopen => {
                    drop(mailbox);
                    drop(account);
                    account = open(&config);
                    mailbox = account.mailbox("INBOX", now).unwrap();
                }
                Act::Refresh => drop(mailbox.refresh(now).unwrap()),
            }
            let after = mailbox.snapshot();
            prop_assert!(after.highest_modseq >= before.highest_modseq);
            let changes = mailbox.changes_since(before.highest_modseq);
            for message in after.messages() {
                let known = before.message(message.uid);
                let same = known.is_some_and(|known| {
                    known.flags == message.flags && known.keywords == message.keywords
                });
                prop_assert!(same || changes.changed.contains(&message.uid), "{message:?}");
            }
            for message in before.messages() {
                let gone = after.message(message.uid).is_none();
                let told = changes.vanished.iter().any(|range| range.contains(&message.uid));
                prop_assert_eq!(gone, told, "UID {}", message.uid);
            }
        }
        mailbox.refresh(at(clock + 10)).unwrap();
        let kept = said(&mailbox);
        let texts: Vec<Vec<u8>> =
            kept.messages.iter().map(|message| read(&mailbox, message.0)).collect();
        drop((mailbox, account));
        let reopened = said(&open(&config).mailbox("INBOX", at(clock + 20)).unwrap());
        prop_assert_eq!(&kept, &reopened);
        for file in files(&config) {
            let _ = fs::remove_file(file);
        }
        let account = open(&config);
        let mailbox = account.mailbox("INBOX", at(clock + 30)).unwrap();
        prop_assert_eq!(&kept, &said(&mailbox));
        let again: Vec<Vec<u8>> =
            kept.messages.iter().map(|message| read(&mailbox, message.0)).collect();
        prop_assert_eq!(texts, again);
    }
}

#[test]
fn changes_are_remembered_across_restarts() {
    let root = tempfile::tempdir().unwrap();
    for config in configs(root.path()) {
        let seen = {
            let account = open(&config);
            let mailbox = inbox(&account);
            for name in ["one", "two", "three", "four"] {
                append(&mailbox, name, Flags::NONE);
            }
            let seen = mailbox.refresh(at(100)).unwrap().highest_modseq;
            mailbox
                .set_flags(&[3], &FlagChange::add(Flags::SEEN), None, at(101))
                .unwrap();
            mailbox.expunge(&[1], at(102)).unwrap();
            seen
        };
        let account = open(&config);
        let mailbox = account.mailbox("INBOX", at(200)).unwrap();
        let changes = mailbox.changes_since(seen);
        assert_eq!(
            (changes.changed, changes.vanished),
            (vec![3], vec![1..=1]),
            "{config:?}"
        );
        let stored = mailbox
            .set_flags(
                &[2, 3],
                &FlagChange::add(Flags::FLAGGED),
                Some(seen),
                at(201),
            )
            .unwrap();
        assert_eq!((stored.changed, stored.modified), (vec![2], vec![3]));
        assert!(stored.highest_modseq > changes.highest_modseq);
    }
}

#[test]
fn a_second_keeper_does_not_write() {
    let root = tempfile::tempdir().unwrap();
    for config in configs(root.path()) {
        let (first, second) = (open(&config), open(&config));
        let mailbox = inbox(&first);
        append(&mailbox, "one", Flags::NONE);
        let other = inbox(&second);
        other
            .set_flags(&[1], &FlagChange::add(Flags::SEEN), None, at(50))
            .unwrap();
        append(&other, "two", Flags::NONE);
        let view = mailbox.refresh(at(100)).unwrap();
        assert_eq!(view.messages().len(), 2);
        assert!(view.messages()[0].flags.contains(Flags::SEEN));
        assert_eq!(digests(&other), digests(&mailbox));
        drop((first, second, mailbox, other));
        let third = open(&config);
        let again = third.mailbox("INBOX", at(200)).unwrap();
        assert_eq!(again.snapshot().messages().len(), 2);
        assert!(again.snapshot().highest_modseq >= view.highest_modseq);
    }
}

#[test]
fn another_processes_changes_are_heard() {
    let root = tempfile::tempdir().unwrap();
    for config in configs(root.path()) {
        // Two stores know as little of each other as two processes.
        let (here, there) = (open(&config), open(&config));
        let mailbox = inbox(&here);
        let (heard, hear) = std::sync::mpsc::channel();
        let _watch = mailbox.watch(move || {
            let _ = heard.send(());
        });
        if !mailbox.hears_others() {
            // All that this system has of the service is taken: hosts look from time to time.
            continue;
        }
        append(&inbox(&there), "one", Flags::NONE);
        // Waits as long as the system needs; a failure is no news at all.
        while mailbox.refresh(at(50)).unwrap().messages().is_empty() {
            hear.recv_timeout(std::time::Duration::from_secs(60))
                .unwrap();
        }
    }
}
