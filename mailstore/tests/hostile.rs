//! Files that somebody else put where the store keeps its own: the mail is served, and nothing else is read or changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::over::{Beside, Over};
use common::{BODY, configs, inbox, now, read};
use mailstore::{
    Account, AccountConfig, AclIdentifier, Error, FlagChange, Flags, Foreign, Mailbox, Principal,
    QuotaRule, Source, Store, Target, Transfer,
};

fn append(mailbox: &Arc<Mailbox>) -> Result<u32, Error> {
    common::append(mailbox, &["Work"])
}

fn deliver(account: &Account, id: &str) -> Result<(), Error> {
    common::deliver(account, id, false).map(drop)
}

/// What may stand in place of a file.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let line = |text: &str| text.as_bytes().to_vec();
    vec![
        ("nothing", Vec::new()),
        (
            "octets",
            (0..4096u32)
                .map(|n| ((n * 7919) >> 3).to_le_bytes()[0])
                .collect(),
        ),
        ("zeros", vec![0; 5000]),
        ("line ends", vec![b'\n'; 100_000]),
        ("no line end", vec![b'1'; 100_000]),
        ("great number", line("18446744073709551615\n")),
        (
            "greatest modseq",
            line("9223372036854775807 9223372036854775807\n"),
        ),
        ("negative", line("-1\n")),
        (
            "UIDs used up",
            line("3 V7 N4294967295 G0\n4294967295 :x\n4294967294 :y\n"),
        ),
        ("UIDVALIDITY too great", line("3 V4294967296 N1\n")),
        (
            "keyword",
            line("0 Work\n99999999999999999999 x\n0 \u{fffd}\n"),
        ),
        (
            "limits",
            line("18446744073709551615S,99999999999999999999C\n-9223372036854775808 -1\n"),
        ),
        ("rights", line("\"\\\n-\nuser= l\nanyone :\n\"x\" \"\n")),
        (
            "metadata",
            line("posthaste-metadata 1\nINBOX\t/private/x\t18446744073709551615\n"),
        ),
        ("index", [b"PHINDEX1".as_slice(), &[0xff; 100]].concat()),
        ("subscriptions", line("V\t2\n\n&&&\n\t\t\n../../x\n")),
    ]
}

const OF_MAILDIR: [&str; 10] = [
    "dovecot-uidlist",
    "dovecot-keywords",
    "courierimapuiddb",
    "posthaste-modseq",
    "posthaste-index",
    "posthaste-cache",
    "maildirsize",
    "dovecot-acl",
    "posthaste-metadata",
    "subscriptions",
];
const OF_MBOX: [&str; 4] = [
    ".posthaste/INBOX.index",
    ".posthaste/INBOX.cache",
    "subscriptions",
    "posthaste-metadata",
];

/// The mail can be read and added to, and the mailboxes be listed.
fn served(config: &AccountConfig, what: &str, count: usize) {
    let account = Store::new().account(config).unwrap();
    let mailbox = account
        .mailbox("INBOX", now())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let view = mailbox
        .refresh(now())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(view.messages().len(), count, "{what}");
    assert!(
        view.uid_validity > 0 && view.highest_modseq < 1 << 63,
        "{what}"
    );
    for message in view.messages() {
        assert_eq!(read(&mailbox, message.uid), BODY, "{what}");
    }
    let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
    for digest in mailbox.digests(&uids, now()) {
        digest.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    let seen = FlagChange::add(Flags::SEEN);
    let stored = mailbox.set_flags(&uids, &seen, None, now());
    assert!(stored.unwrap().modified.is_empty(), "{what}");
    assert_eq!(account.list().unwrap().len(), 1, "{what}");
    // These have an error to tell, at most.
    let _ = account.subscriptions();
    let _ = account.quota(now());
    let _ = account.metadata(Some("INBOX"));
    if let Ok(acl) = account.acl("INBOX") {
        let nobody = Principal::default();
        assert!(!acl.rights_of(&nobody).to_string().contains('a'), "{what}");
    }
}

#[test]
fn whatever_stands_in_a_file_the_mail_is_served() {
    for (name, content) in contents() {
        let directory = tempfile::tempdir().unwrap();
        for config in configs(directory.path()) {
            let files: &[&str] = if config.inbox.as_os_str().is_empty() {
                &OF_MAILDIR
            } else {
                &OF_MBOX
            };
            let account = Store::new().account(&config).unwrap();
            for _ in 0..2 {
                append(&inbox(&account)).unwrap();
            }
            drop(account);
            let mut count = 2;
            for file in files {
                let what = format!("{name} in {file}");
                let path = config.root.join(file);
                let before = std::fs::read(&path).ok();
                std::fs::write(&path, &content).unwrap();
                served(&config, &what, count);
                let account = Store::new().account(&config).unwrap();
                deliver(&account, &format!("q{count}"))
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                count += 1;
                drop(account);
                served(&config, &what, count);
                // A list that was made anew stays; it would tell the old UIDs else.
                if *file != "dovecot-uidlist" {
                    drop(std::fs::remove_file(&path));
                    before
                        .into_iter()
                        .for_each(|before| std::fs::write(&path, before).unwrap());
                }
            }
        }
    }
}

#[test]
fn a_file_of_enormous_length_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path().join("maildir"), "host");
    let account = Store::new().account(&config).unwrap();
    append(&inbox(&account)).unwrap();
    drop(account);
    for file in OF_MAILDIR {
        let path = config.root.join(file);
        let before = std::fs::read(&path).ok();
        let sparse = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path);
        sparse.unwrap().set_len(1 << 40).unwrap();
        served(&config, file, 1);
        if file != "dovecot-uidlist" {
            drop(std::fs::remove_file(&path));
            before
                .into_iter()
                .for_each(|before| std::fs::write(&path, before).unwrap());
        }
    }
    // An index whose header promises what is not there.
    let path = config.root.join("posthaste-index");
    let index = std::fs::File::options().write(true).open(&path).unwrap();
    index.set_len(50).unwrap();
    served(&config, "a short index", 1);
}

/// How many octets were read.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl Beside for Counting {
    fn has_read(&self, octets: usize) {
        self.0.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

/// Below the length from which on a file is not read at all, one with nothing in it is read no further than that.
#[test]
fn a_hole_is_not_read_into_memory() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path().join("maildir"), "host");
    let account = Store::new().account(&config).unwrap();
    append(&inbox(&account)).unwrap();
    let uid_validity = inbox(&account).snapshot().uid_validity;
    drop(account);
    for file in ["dovecot-uidlist", "dovecot-keywords", "posthaste-index"] {
        let path = config.root.join(file);
        let before = std::fs::read(&path).unwrap();
        let sparse = std::fs::File::options().append(true).open(&path).unwrap();
        sparse.set_len((4 << 30) - 1).unwrap();
        if file == "dovecot-uidlist" {
            // So that no index knows what is in it.
            drop(std::fs::remove_file(config.root.join("posthaste-index")));
        }
        let counting = Counting::default();
        let store = Store::with_fs(Arc::new(Over(counting.clone())));
        let account = store.account(&config).unwrap();
        let snapshot = inbox(&account).snapshot();
        assert_eq!(snapshot.messages().len(), 1, "{file}");
        assert_eq!(snapshot.uid_validity, uid_validity, "{file}");
        let octets = counting.0.load(Ordering::Relaxed);
        assert!(octets < 16 << 20, "{file}: {octets} octets were read");
        deliver(&account, file).unwrap();
        drop((snapshot, account));
        drop(std::fs::remove_file(&path));
        std::fs::write(&path, before).unwrap();
        let account = Store::new().account(&config).unwrap();
        let mailbox = inbox(&account);
        mailbox.refresh(now()).unwrap();
        let uids: Vec<u32> = mailbox.snapshot().messages()[1..]
            .iter()
            .map(|m| m.uid)
            .collect();
        mailbox.expunge(&uids, now()).unwrap();
    }
}

/// An index whose header is whole and says that the log ends there.
fn promising(index: &[u8], end: u64) -> Vec<u8> {
    let crc = |parts: &[&[u8]]| {
        let mut hasher = crc32fast::Hasher::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().to_le_bytes()
    };
    let (salt, end, last) = (&index[8..16], end.to_le_bytes(), &index[32..36]);
    let check = crc(&[last, salt, &end, b"posthaste"]);
    [&index[..24], &end, last, &check, &index[40..]].concat()
}

/// A header can be made by anybody who may write to the file, and a hole costs them nothing.
#[test]
fn an_index_that_promises_a_hole_is_not_read_into_memory() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path().join("maildir"), "host");
    let account = Store::new().account(&config).unwrap();
    for _ in 0..2 {
        append(&inbox(&account)).unwrap();
    }
    let shown = |account: &Account| {
        let view = inbox(account).snapshot();
        let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
        (view.uid_validity, view.uid_next, uids)
    };
    let told = shown(&account);
    drop(account);
    let path = config.root.join("posthaste-index");
    let index = std::fs::read(&path).unwrap();
    let opened = || {
        let counting = Counting::default();
        let store = Store::with_fs(Arc::new(Over(counting.clone())));
        let account = store.account(&config).unwrap();
        assert_eq!(shown(&account), told);
        counting.0.load(Ordering::Relaxed)
    };
    // What is made here is an index to whoever reads it: its own end is believed.
    let own = u64::from_le_bytes(index[24..32].try_into().unwrap());
    assert_eq!(promising(&index, own), index);
    let usual = opened();
    // One frame that is all hole, and a hole behind the frames.
    let mut frame = index[..48].to_vec();
    let longest = (4u64 << 30) - 1;
    frame[40..44].copy_from_slice(&u32::try_from(longest - 48).unwrap().to_le_bytes());
    for start in [&frame, &index] {
        for (end, limit) in [
            (longest, 4 << 20),
            (u64::MAX, 0),
            (1 << 40, 0),
            // The most that is read in one piece.
            (64 << 20, 64 << 20),
            ((64 << 20) + 1, 4 << 20),
        ] {
            std::fs::write(&path, promising(start, end)).unwrap();
            let sparse = std::fs::File::options().append(true).open(&path).unwrap();
            sparse.set_len(end.min(1 << 40)).unwrap();
            let octets = opened();
            assert!(
                octets < usual + limit + (1 << 20),
                "{end}: {octets} octets were read"
            );
        }
    }
}

#[test]
fn links_in_place_of_files_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    // Each of them would be read, and some of them written to.
    let contents: [&[u8]; 4] = [
        b"3 V77 N5 G3085f01b7f11094c501100008c4a11c1\n1 :a\n",
        b"1000000S,100C\n5 1\n",
        b"anyone lrwstipekxa\n",
        b"V\t2\n\nsecret\n",
    ];
    for content in contents {
        let config = AccountConfig::maildir(directory.path().join("maildir"), "host");
        let account = Store::new().account(&config).unwrap();
        append(&inbox(&account)).unwrap();
        drop(account);
        for file in OF_MAILDIR {
            let path = config.root.join(file);
            drop(std::fs::remove_file(&path));
            std::fs::write(&secret, content).unwrap();
            symlink(&secret, &path).unwrap();
            served(&config, file, 1);
            let account = Store::new().account(&config).unwrap();
            assert_ne!(inbox(&account).snapshot().uid_validity, 77);
            let names = account.subscriptions().unwrap_or_default();
            assert!(!names.iter().any(|name| name == "secret"));
            if let Ok(acl) = account.acl("INBOX") {
                assert!(
                    !acl.entries()
                        .iter()
                        .any(|entry| entry.identifier == AclIdentifier::Anyone)
                );
            }
            deliver(&account, file).unwrap();
            let mailbox = inbox(&account);
            mailbox.refresh(now()).unwrap();
            append(&mailbox).map(drop).unwrap_or_else(|error| {
                // A keyword cannot be added to a list that is none.
                assert_eq!(file, "dovecot-keywords", "{error}");
            });
            let uids: Vec<u32> = mailbox.snapshot().messages()[1..]
                .iter()
                .map(|m| m.uid)
                .collect();
            mailbox.expunge(&uids, now()).unwrap();
            drop((mailbox, account));
            assert_eq!(std::fs::read(&secret).unwrap(), content, "{file}");
            drop(std::fs::remove_file(&path));
        }
        // Nor is a message that is a link: it would be somebody else's.
        symlink(&secret, config.root.join("cur/1800000000.link.host:2,")).unwrap();
        let account = Store::new().account(&config).unwrap();
        let mailbox = inbox(&account);
        let view = mailbox.refresh(now()).unwrap();
        let link = view.messages().last().unwrap().uid;
        assert!(mailbox.reader(link, now()).is_err());
        assert_eq!(read(&mailbox, view.messages()[0].uid), BODY);
        drop((mailbox, account));
        std::fs::remove_dir_all(&config.root).unwrap();
    }
}

#[test]
fn a_mailbox_that_is_a_link_is_deleted_and_not_what_it_leads_to() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = AccountConfig::maildir(directory.path().join("elsewhere"), "host");
    let account = Store::new().account(&elsewhere).unwrap();
    append(&inbox(&account)).unwrap();
    drop(account);
    let own = directory.path().join("own");
    for (config, name) in [
        (AccountConfig::maildir(own.join("a"), "host"), ".Shared"),
        (AccountConfig::maildir_fs(own.join("b"), "host"), "Shared"),
    ] {
        let account = Store::new().account(&config).unwrap();
        account.mailbox("INBOX", now()).unwrap();
        symlink(&elsewhere.root, config.root.join(name)).unwrap();
        assert!(account.exists("Shared").unwrap());
        account.delete("Shared").unwrap();
        assert!(!account.exists("Shared").unwrap());
        served(&elsewhere, name, 1);
    }
}

#[test]
fn links_in_a_circle_are_not_followed_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let fs = AccountConfig::maildir_fs(directory.path().join("fs"), "host");
    let mbox = directory.path().join("mbox");
    let mbox = AccountConfig::mbox(&mbox, directory.path().join("INBOX"), "host");
    for config in [fs, mbox] {
        let account = Store::new().account(&config).unwrap();
        append(&inbox(&account)).unwrap();
        account.create("mail").unwrap();
        symlink("itself", config.root.join("itself")).unwrap();
        let listed = account.list().unwrap().into_iter();
        let listed: Vec<String> = listed.map(|listed| listed.name).collect();
        assert_eq!(listed, ["INBOX", "mail"]);
        for name in ["a", "b", "c"] {
            symlink(".", config.root.join(name)).unwrap();
        }
        assert!(matches!(account.list(), Err(Error::Corrupt { .. })));
        assert_eq!(read(&inbox(&account), 1), BODY);
    }
}

#[test]
fn rights_of_very_many_are_read_in_time_of_their_number() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path(), "host");
    let account = Store::new().account(&config).unwrap();
    inbox(&account);
    // In an order in which each would be put before all others.
    let lines: String = (0..60_000)
        .rev()
        .map(|n| format!("user={n:06} l\n"))
        .collect();
    std::fs::write(directory.path().join("dovecot-acl"), &lines).unwrap();
    let acl = account.acl("INBOX").unwrap();
    assert_eq!(acl.entries().len(), 60_000);
    std::fs::write(directory.path().join("dovecot-acl"), lines.repeat(2)).unwrap();
    assert!(matches!(account.acl("INBOX"), Err(Error::Corrupt { .. })));
}

#[test]
fn an_import_stays_in_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside");
    let other = AccountConfig::maildir(outside.join("Maildir"), "host");
    let account = Store::new().account(&other).unwrap();
    append(&inbox(&account)).unwrap();
    drop(account);
    std::fs::write(
        outside.join("mbox"),
        b"From a Thu Nov 12 13:14:15 2026\nA: secret\n\nx\n",
    )
    .unwrap();
    std::fs::write(outside.join("1.eml"), b"A: secret\n\nx\n").unwrap();
    std::fs::create_dir(outside.join("mh")).unwrap();
    std::fs::write(outside.join("mh/1"), b"A: secret\n\nx\n").unwrap();

    let source = directory.path().join("source");
    let own = b"A: own\n\nx\n";
    let place = |path: &str, content: &[u8]| {
        let path = source.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    place("maildir/cur/1800000000.own.host:2,", own);
    place("maildir/new/none", own);
    std::fs::remove_file(source.join("maildir/new/none")).unwrap();
    let message = std::fs::read_dir(other.root.join("cur"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    symlink(
        message.path(),
        source.join("maildir/cur/1800000001.link.host:2,"),
    )
    .unwrap();
    symlink(&other.root, source.join("maildir/.Linked")).unwrap();
    std::fs::create_dir(source.join("maildir/.Half")).unwrap();
    symlink(other.root.join("cur"), source.join("maildir/.Half/cur")).unwrap();
    place(
        "mboxes/own",
        b"From a Thu Nov 12 13:14:15 2026\nA: own\n\nx\n",
    );
    symlink(outside.join("mbox"), source.join("mboxes/linked")).unwrap();
    symlink("own", source.join("mboxes/inside")).unwrap();
    place("eml/1.eml", own);
    symlink(outside.join("1.eml"), source.join("eml/2.eml")).unwrap();
    symlink(&outside, source.join("eml/linked")).unwrap();
    place("mh/1", own);
    symlink(outside.join("mh/1"), source.join("mh/2")).unwrap();
    symlink(outside.join("mh"), source.join("mh/linked")).unwrap();

    for (name, format, copied, unread) in [
        ("maildir", Foreign::Maildir, 1, 3),
        ("mboxes", Foreign::Mbox, 2, 1),
        ("eml", Foreign::Eml, 1, 1),
        ("mh", Foreign::Mh, 1, 1),
    ] {
        let target = Store::new().account(&AccountConfig::memory(name)).unwrap();
        let transfer = Transfer {
            source: Source::Files {
                format,
                path: source.join(name),
            },
            target: Target::Account(Arc::clone(&target)),
            only: None,
            into: None,
            host: "host".to_owned(),
        };
        let done = transfer.run(&mut now, &mut |_| {}).unwrap();
        assert_eq!(
            (done.copied, done.unread.len()),
            (copied, unread),
            "{name}: {done:?}"
        );
        for listed in target
            .list()
            .unwrap()
            .iter()
            .filter(|listed| listed.selectable)
        {
            let mailbox = target.mailbox(&listed.name, now()).unwrap();
            for message in mailbox.snapshot().messages() {
                let content = read(&mailbox, message.uid);
                assert!(
                    !String::from_utf8_lossy(&content).contains("secret"),
                    "{name}"
                );
            }
        }
    }
}

/// Messages in `new` and `cur`.
fn on_disk(root: &Path) -> usize {
    let count = |part: &str| std::fs::read_dir(root.join(part)).unwrap().count();
    count("new") + count("cur")
}

#[test]
fn deliveries_that_race_at_the_limit_leave_no_wrong_sum() {
    const LIMIT: usize = 12;
    const RACERS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let mut config = AccountConfig::maildir(directory.path(), "host");
    let rule: QuotaRule = format!("*:messages={LIMIT}").parse().unwrap();
    config.quota = vec![rule];
    for round in 0..4 {
        std::thread::scope(|scope| {
            for racer in 0..RACERS {
                let config = &config;
                scope.spawn(move || {
                    // As a process of its own: nothing is shared but the files.
                    let account = Store::new().account(config).unwrap();
                    for n in 0.. {
                        match deliver(&account, &format!("r{round}-{racer}-{n}")) {
                            Ok(()) => {}
                            Err(Error::OverQuota { .. }) => break,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        // Refused only when it was full. It is overrun by those who looked at the same time, and by what was added
        // to a file while that was counted anew, which may be all that somebody else had room for.
        let there = on_disk(directory.path());
        assert!(
            (LIMIT..=LIMIT * RACERS + RACERS).contains(&there),
            "round {round}: {there}"
        );
        // A sum that came to be too low is found out when it says that the account is full.
        let account = Store::new().account(&config).unwrap();
        let more = (0..=LIMIT).find(|n| deliver(&account, &format!("m{round}-{n}")).is_err());
        assert!(more.is_some(), "round {round}");
        let there = on_disk(directory.path());
        let (_, used) = account.quota(now()).unwrap().unwrap();
        assert_eq!(
            usize::try_from(used.messages).unwrap(),
            there,
            "round {round}"
        );
        let mailbox = inbox(&account);
        let uids: Vec<u32> = mailbox
            .snapshot()
            .messages()
            .iter()
            .map(|m| m.uid)
            .collect();
        mailbox.expunge(&uids, now()).unwrap();
        let (_, used) = account.quota(now()).unwrap().unwrap();
        assert_eq!(used.messages, 0, "round {round}");
    }
}
