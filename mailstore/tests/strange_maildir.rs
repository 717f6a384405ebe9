//! Maildirs as other programs may leave them: nothing in one keeps the mail from being told of, and no mail is lost.
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
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::over::{Beside, Call, Over};
use common::{at, now, read};
use mailstore::{Account, AccountConfig, AppendOptions, FlagChange, Flags, Mailbox, Store};

fn maildir() -> (tempfile::TempDir, AccountConfig) {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path(), "host");
    (directory, config)
}

fn open(config: &AccountConfig) -> (Arc<Account>, Arc<Mailbox>) {
    let account = Store::new().account(config).unwrap();
    let mailbox = account.mailbox("INBOX", now()).unwrap();
    (account, mailbox)
}

/// UIDs, flags and contents.
fn rows(mailbox: &Mailbox) -> Vec<(u32, Flags, String)> {
    let view = mailbox.refresh(now()).unwrap();
    let rows = view.messages().iter().map(|message| {
        let content = read(mailbox, message.uid);
        let content = String::from_utf8(content).unwrap().replace("\r\n", "\n");
        (message.uid, message.flags, content)
    });
    rows.collect()
}

fn age(path: &Path, time: SystemTime) {
    let file = fs::File::options().read(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

fn two_days_ago() -> SystemTime {
    now() - Duration::from_secs(48 * 3600)
}

#[test]
fn what_stands_in_tmp_keeps_nobody_from_the_mail() {
    let (_directory, config) = maildir();
    let (account, mailbox) = open(&config);
    drop((account, mailbox));
    let tmp = config.root.join("tmp");
    fs::create_dir(tmp.join("directory")).unwrap();
    fs::write(tmp.join("directory/file"), "x").unwrap();
    symlink("loop", tmp.join("loop")).unwrap();
    symlink("nowhere", tmp.join("link")).unwrap();
    let abandoned = ["1.M1.host", "of-nobody", "1900000000"];
    let coming = [format!("{}.M1.host", 4_000_000_000u64)];
    for name in abandoned
        .iter()
        .copied()
        .chain(coming.iter().map(|name| &**name))
    {
        fs::write(tmp.join(name), "half").unwrap();
        age(&tmp.join(name), two_days_ago());
    }
    age(&tmp.join("directory"), two_days_ago());
    let (account, _mailbox) = open(&config);
    let mut left: Vec<String> = fs::read_dir(&tmp)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["4000000000.M1.host", "directory", "link", "loop"]);
    assert_eq!(account.verify("INBOX", now()).unwrap(), []);
}

/// Opens the mailbox as another process does, when a message has the time of its INTERNALDATE and no name yet.
#[derive(Clone)]
struct AnotherOpens(AccountConfig, Arc<Mutex<u32>>);

impl Beside for AnotherOpens {
    fn before(&self, call: Call, path: &Path) {
        if call == Call::Sync && path.parent() == Some(&self.0.root.join("tmp")) {
            drop(open(&self.0));
            *self.1.lock().unwrap() += 1;
        }
    }
}

#[test]
fn a_message_of_long_ago_on_its_way_in_is_not_swept_away() {
    let (_directory, config) = maildir();
    drop(open(&config));
    let opened = Arc::new(Mutex::new(0));
    let beside = Over(AnotherOpens(config.clone(), Arc::clone(&opened)));
    let account = Store::with_fs(Arc::new(beside)).account(&config).unwrap();
    let mailbox = account.mailbox("INBOX", now()).unwrap();
    let mut append = mailbox.append(now()).unwrap();
    append.write(b"A: b\r\n\r\nc\r\n").unwrap();
    let options = AppendOptions::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    append.commit(options, now()).unwrap();
    assert_eq!(*opened.lock().unwrap(), 1);
    assert_eq!(rows(&mailbox).len(), 1);
}

#[test]
fn two_messages_of_one_base_are_two() {
    // Where the second one stands, and whether a session knows the first already.
    for (place, known) in [
        ("cur/1800000000.a.host:2,FS", false),
        ("cur/1800000000.a.host:2,FS", true),
        ("cur/1800000000.a.host", true),
        ("new/1800000000.a.host", false),
        ("new/1800000000.a.host", true),
        ("new/1800000000.a.host:2,F", true),
    ] {
        let (_directory, config) = maildir();
        let (account, mailbox) = open(&config);
        let first = config.root.join("cur/1800000000.a.host:2,S");
        fs::write(&first, "A: one\n\n1\n").unwrap();
        if known {
            assert_eq!(rows(&mailbox).len(), 1);
            age(&config.root.join("cur"), two_days_ago());
            mailbox.refresh(now()).unwrap();
        }
        fs::write(config.root.join(place), "A: two\n\n2\n").unwrap();
        let told = rows(&mailbox);
        let mut contents: Vec<&str> = told.iter().map(|row| &*row.2).collect();
        if known {
            assert_eq!(
                told[0],
                (1, Flags::SEEN, "A: one\n\n1\n".to_owned()),
                "{place}"
            );
        }
        contents.sort_unstable();
        assert_eq!(
            contents,
            ["A: one\n\n1\n", "A: two\n\n2\n"],
            "{place} {known}"
        );
        // Neither takes the place of the other.
        for (uid, _, _) in &told {
            for flags in [Flags::SEEN, Flags::FLAGGED, Flags::SEEN | Flags::FLAGGED] {
                let change = FlagChange::replace(flags);
                mailbox.set_flags(&[*uid], &change, None, now()).unwrap();
            }
        }
        let again = rows(&mailbox);
        let kept = |rows: &[(u32, Flags, String)]| {
            let kept = rows.iter().map(|row| (row.0, row.2.clone()));
            kept.collect::<Vec<_>>()
        };
        assert_eq!(kept(&again), kept(&told), "{place} {known}");
        drop((account, mailbox));
        let (account, mailbox) = open(&config);
        assert_eq!(rows(&mailbox), again, "{place} {known}");
        assert_eq!(account.verify("INBOX", now()).unwrap(), []);
    }
}

#[test]
fn a_message_that_stands_there_twice_is_one() {
    for linked in [false, true] {
        let (_directory, config) = maildir();
        let (account, mailbox) = open(&config);
        let first = config.root.join("cur/1800000000.a.host:2,S");
        let second = config.root.join("cur/1800000000.a.host:2,FS");
        fs::write(&first, "A: one\n\n1\n").unwrap();
        assert_eq!(rows(&mailbox).len(), 1);
        if linked {
            fs::hard_link(&first, &second).unwrap();
        } else {
            fs::copy(&first, &second).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(rows(&mailbox).len(), 1, "{linked}");
        }
        let findings = account.repair("INBOX", now()).unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(rows(&mailbox).len(), 1, "{linked}");
        assert_eq!(mailbox.expunge(&[1], now()).unwrap(), [1]);
        assert_eq!(rows(&mailbox), []);
    }
}

#[test]
fn links_that_lead_nowhere_use_up_no_uids() {
    let (_directory, config) = maildir();
    let (account, mailbox) = open(&config);
    fs::write(config.root.join("cur/1.a:2,"), "A: one\n\n1\n").unwrap();
    symlink("2.loop:2,", config.root.join("cur/2.loop:2,")).unwrap();
    symlink("nowhere", config.root.join("cur/3.link:2,")).unwrap();
    symlink("nowhere", config.root.join("new/4.link")).unwrap();
    for nth in 0..5 {
        fs::write(config.root.join(format!("new/5.{nth}")), "A: b\n\nc\n").unwrap();
        assert_eq!(rows(&mailbox).len(), nth + 2);
    }
    assert_eq!(mailbox.snapshot().uid_next, 7);
    drop((account, mailbox));
    let (_account, mailbox) = open(&config);
    assert_eq!((rows(&mailbox).len(), mailbox.snapshot().uid_next), (6, 7));
}

#[test]
fn folders_that_are_links_in_a_circle_hide_no_others() {
    let (_directory, config) = maildir();
    let (account, _mailbox) = open(&config);
    account.create("real").unwrap();
    symlink(".circle", config.root.join(".circle")).unwrap();
    symlink("nowhere", config.root.join(".nowhere")).unwrap();
    symlink(".real", config.root.join(".alias")).unwrap();
    fs::create_dir(config.root.join(".strange")).unwrap();
    symlink("cur", config.root.join(".strange/cur")).unwrap();
    let listed = account.list().unwrap();
    let names: Vec<&str> = listed.iter().map(|listed| &*listed.name).collect();
    assert_eq!(names, ["INBOX", "alias", "real"]);
    // Both names lead to one mailbox.
    let one = account.mailbox("real", now()).unwrap();
    let other = account.mailbox("alias", now()).unwrap();
    for mailbox in [&one, &other, &one] {
        let mut append = mailbox.append(now()).unwrap();
        append.write(b"A: b\r\n\r\nc\r\n").unwrap();
        append.commit(AppendOptions::at(at(7)), now()).unwrap();
    }
    assert_eq!(rows(&one), rows(&other));
    assert_eq!(rows(&one).len(), 3);
}

#[test]
fn flags_of_another_kind_stay() {
    let (_directory, config) = maildir();
    let (_account, mailbox) = open(&config);
    fs::write(config.root.join("cur/1.a,S=9:2,Fb,RSa"), "A: one\n\n1\n").unwrap();
    assert_eq!(rows(&mailbox)[0].1, Flags::FLAGGED);
    let seen = FlagChange::add(Flags::SEEN);
    mailbox.set_flags(&[1], &seen, None, now()).unwrap();
    assert!(config.root.join("cur/1.a,S=9:2,FSb,RSa").exists());
    assert_eq!(rows(&mailbox)[0].1, Flags::FLAGGED | Flags::SEEN);
}

/// Gives the message of a Maildir other flags, as another program does, before it is linked or renamed to `to`.
#[derive(Clone)]
struct Flagging {
    cur: std::path::PathBuf,
    to: std::path::PathBuf,
    left: Arc<Mutex<u32>>,
}

impl Beside for Flagging {
    fn before(&self, call: Call, path: &Path) {
        let is_into = matches!(call, Call::Link | Call::Rename) && path.parent() == Some(&self.to);
        let mut left = self.left.lock().unwrap();
        if is_into && *left > 0 {
            *left -= 1;
            let name = fs::read_dir(&self.cur)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .file_name();
            let name = name.into_string().unwrap();
            let flags = if name.ends_with('S') { "" } else { "S" };
            let base = name.split(':').next().unwrap();
            let other = self.cur.join(format!("{base}:2,{flags}"));
            fs::rename(self.cur.join(&name), other).unwrap();
        }
    }
}

#[test]
fn a_message_whose_flags_another_changes_is_copied_and_moved() {
    for moves in [false, true] {
        let (_directory, config) = maildir();
        let beside = Flagging {
            cur: config.root.join("cur"),
            to: config.root.join(".other/cur"),
            left: Arc::new(Mutex::new(0)),
        };
        let left = Arc::clone(&beside.left);
        let account = Store::with_fs(Arc::new(Over(beside)))
            .account(&config)
            .unwrap();
        account.create("other").unwrap();
        let [from, to] = ["INBOX", "other"].map(|name| account.mailbox(name, now()).unwrap());
        fs::write(config.root.join("cur/1.a:2,"), "A: one\n\n1\n").unwrap();
        assert_eq!(rows(&from).len(), 1);
        *left.lock().unwrap() = 2;
        let copied = match moves {
            false => from.copy(&[1], &to, now()),
            true => from.move_to(&[1], &to, now()),
        };
        assert_eq!(copied.unwrap().uids, [(1, 1)]);
        assert_eq!(*left.lock().unwrap(), 0);
        assert_eq!(rows(&to).len(), 1);
        assert_eq!(rows(&from).len(), usize::from(!moves));
    }
}
