//! mbox files that end in the middle of a line, and damaged files beside them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::over::{Beside, Over};
use common::{at, now, read};
use mailstore::{
    Account, AccountConfig, AppendOptions, DeliveryId, FlagChange, Flags, Mailbox, Store,
};

const FROM: &str = "From ann@example.org Thu Nov 12 13:14:15 2026";

fn config(root: &Path) -> AccountConfig {
    AccountConfig::mbox(root, root.join("INBOX"), "host")
}

fn open(root: &Path) -> (Arc<Account>, Arc<Mailbox>) {
    let account = Store::new().account(&config(root)).unwrap();
    let mailbox = account.mailbox("INBOX", now()).unwrap();
    (account, mailbox)
}

fn contents(mailbox: &Mailbox) -> Vec<String> {
    let view = mailbox.refresh(now()).unwrap();
    let uids = view.messages().iter().map(|message| message.uid);
    uids.map(|uid| String::from_utf8(read(mailbox, uid)).unwrap())
        .collect()
}

fn append(mailbox: &Arc<Mailbox>, name: &str) {
    let mut append = mailbox.append(now()).unwrap();
    append
        .write(format!("Subject: {name}\r\n\r\n{name}\r\n").as_bytes())
        .unwrap();
    append.commit(AppendOptions::at(at(1)), now()).unwrap();
}

fn deliver(account: &Account, name: &str) {
    let id = DeliveryId {
        id: name.to_owned(),
        arrived: at(1),
        maybe_delivered: false,
    };
    let mut delivery = account.deliver("INBOX", id, now()).unwrap();
    delivery
        .write(format!("Subject: {name}\r\n\r\n{name}\r\n").as_bytes())
        .unwrap();
    delivery.commit(AppendOptions::at(at(1)), now()).unwrap();
}

#[test]
fn a_last_line_that_would_begin_a_message_stays_text() {
    let new = "Subject: new\r\n\r\nnew\r\n";
    let one = format!("{FROM}\nSubject: one\n\nthe one\n\n");
    // What the last message's body begins with, and the line that ends it.
    for (start, line) in [
        ("text\n\n", FROM),
        ("", FROM),
        ("text\n\n", "From ann Thu Nov 12 13:14:15 2026\r"),
        ("text\r\n\r\n", FROM),
        // These begin none, and need no quotes.
        ("text\n", FROM),
        ("text\n\n", "From here to there"),
        ("text\n\n", "From ann Thu Nov 12 13:14:15 20"),
    ] {
        let text = format!("{one}{FROM}\nSubject: two\n\n{start}{line}");
        let before = format!("Subject: two\n\n{start}{line}")
            .replace("\r\n", "\n")
            .replace('\n', "\r\n");
        let line_end = if before.ends_with('\r') { "\n" } else { "\r\n" };
        let after = format!("{before}{line_end}");
        for way in ["append", "delivery", "flag", "expunge"] {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            fs::write(root.join("INBOX"), &text).unwrap();
            let (account, mailbox) = open(root);
            assert_eq!(contents(&mailbox)[1..], [before.as_str()], "{text:?}");
            let mut wanted = vec!["Subject: one\r\n\r\nthe one\r\n", after.as_str()];
            match way {
                "append" => append(&mailbox, "new"),
                "delivery" => deliver(&account, "new"),
                "flag" => {
                    let seen = FlagChange::add(Flags::SEEN);
                    mailbox.set_flags(&[2], &seen, None, now()).unwrap();
                }
                _ => {
                    mailbox.expunge(&[1], now()).unwrap();
                    wanted.remove(0);
                }
            }
            if way == "append" || way == "delivery" {
                wanted.push(new);
            }
            assert_eq!(contents(&mailbox), wanted, "{way}: {text:?}");
            let uids: Vec<u32> = mailbox
                .snapshot()
                .messages()
                .iter()
                .map(|m| m.uid)
                .collect();
            drop((account, mailbox));
            let (_account, mailbox) = open(root);
            assert_eq!(contents(&mailbox), wanted, "{way} opened again: {text:?}");
            let again = mailbox.snapshot();
            assert!(again.messages().iter().map(|m| m.uid).eq(uids));
        }
    }
}

#[test]
fn a_body_of_told_length_without_a_line_end_stays_as_long_as_it_is() {
    let body = format!("text\n\n{FROM}\nmore");
    let text = format!(
        "{FROM}\nSubject: one\nContent-Length: {}\n\n{body}",
        body.len()
    );
    let told = format!("Subject: one\n\n{body}").replace('\n', "\r\n");
    for by_delivery in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("INBOX"), &text).unwrap();
        let (account, mailbox) = open(directory.path());
        assert_eq!(contents(&mailbox), [told.as_str()]);
        if by_delivery {
            deliver(&account, "new");
        } else {
            append(&mailbox, "new");
        }
        let wanted = [told.as_str(), "Subject: new\r\n\r\nnew\r\n"];
        assert_eq!(contents(&mailbox), wanted);
        let file = fs::read_to_string(directory.path().join("INBOX")).unwrap();
        assert!(file.contains(&format!("\n\n{body}\nFrom ")), "{file}");
    }
}

#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Beside for Counting {
    fn has_read(&self, octets: usize) {
        self.0.fetch_add(octets, Ordering::Relaxed);
    }
}

#[test]
fn lengths_that_lie_are_not_read_to() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Each message says that it ends far behind itself, in the middle of another one.
    let message = |length: usize| {
        let body = "x".repeat(600);
        format!("{FROM}\nSubject: x\nContent-Length: {length:09}\n\n{body}\n\n")
    };
    let text = message(1000 * message(0).len() + 300).repeat(3000);
    fs::write(root.join("INBOX"), &text).unwrap();
    let counting = Counting::default();
    let store = Store::with_fs(Arc::new(Over(counting.clone())));
    let account = store.account(&config(root)).unwrap();
    let mailbox = account.mailbox("INBOX", now()).unwrap();
    assert_eq!(mailbox.snapshot().messages().len(), 3000);
    let read = counting.0.load(Ordering::Relaxed);
    assert!(read < 6 * text.len(), "{read} of {}", text.len());
}

/// What is put in place of a file, and its name.
type Damage = (&'static str, fn(&Path));

/// Files of all kinds that say nothing.
fn damages() -> Vec<Damage> {
    fn write(path: &Path, content: &[u8]) {
        fs::write(path, content).unwrap();
    }
    vec![
        ("nothing", |path| write(path, b"")),
        ("octets", |path| write(path, &[0xff; 300])),
        ("another version", |path| write(path, b"2 1 1 1 1\n")),
        ("a number too great", |path| {
            write(path, b"1 99999999999999999999 1 1 1\n");
        }),
        ("a link", |path| {
            let _ = fs::remove_file(path);
            symlink("/nowhere/at/all", path).unwrap();
        }),
        ("a directory", |path| {
            let _ = fs::remove_file(path);
            fs::create_dir(path).unwrap();
        }),
        ("a pipe", |path| {
            let _ = fs::remove_file(path);
            common::pipe(path);
        }),
    ]
}

type Row = (u32, Flags, Vec<String>, String);

fn rows(mailbox: &Mailbox) -> Vec<Row> {
    let view = mailbox.refresh(now()).unwrap();
    let row = |message: &mailstore::Message| {
        let keywords = view.keywords(message).map(str::to_owned).collect();
        let content = String::from_utf8(read(mailbox, message.uid)).unwrap();
        (message.uid, message.flags, keywords, content)
    };
    view.messages().iter().map(row).collect()
}

/// Five messages, of which two went; the file itself says all UIDs.
fn filled(root: &Path) -> (u32, u64, Vec<Row>) {
    let (_account, mailbox) = open(root);
    for nth in 1..=5 {
        append(&mailbox, &format!("m{nth}"));
    }
    let change = FlagChange::add(Flags::FLAGGED).with_keywords(["Work"]);
    mailbox.set_flags(&[3], &change, None, now()).unwrap();
    mailbox.expunge(&[1, 4], now()).unwrap();
    let view = mailbox.refresh(now()).unwrap();
    (view.uid_validity, view.highest_modseq, rows(&mailbox))
}

#[test]
fn a_damaged_state_is_made_again_from_the_mail() {
    for (what, damage) in damages() {
        for keeps_index in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            let (validity, modseq, expected) = filled(root);
            let side = root.join(".posthaste");
            damage(&side.join("INBOX.state"));
            if !keeps_index {
                let _ = fs::remove_file(side.join("INBOX.index"));
            }
            let (account, mailbox) = open(root);
            let view = mailbox.refresh(now()).unwrap();
            assert_eq!(rows(&mailbox), expected, "{what}");
            assert_eq!(view.uid_validity, validity, "{what}");
            assert!(view.uid_next > 5 && view.highest_modseq >= modseq, "{what}");
            append(&mailbox, "new");
            let last = mailbox.snapshot().messages().last().unwrap().uid;
            assert!(last > 5, "{what}: {last}");
            let all = rows(&mailbox);
            drop((account, mailbox));
            let (_account, mailbox) = open(root);
            assert_eq!(rows(&mailbox), all, "{what}");
            assert_eq!(mailbox.snapshot().uid_validity, validity, "{what}");
            // What was there is kept.
            let kept = side.join("INBOX.state.broken-1");
            assert!(fs::symlink_metadata(kept).is_ok(), "{what}");
        }
    }
}

#[test]
fn where_the_mail_does_not_say_all_uids_they_begin_anew() {
    let strangers = format!("{FROM}\nSubject: x\n\nx\n\n");
    // A message without UID; one that says a UID behind the last one told.
    for more in [&*strangers, ""] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let (validity, _, mut expected) = filled(root);
        if more.is_empty() {
            let (_account, mailbox) = open(root);
            append(&mailbox, "x");
            expected = rows(&mailbox);
        } else {
            let text = fs::read_to_string(root.join("INBOX")).unwrap();
            fs::write(root.join("INBOX"), text + more).unwrap();
            let (_account, mailbox) = open(root);
            expected.push(rows(&mailbox).pop().unwrap());
        }
        fs::write(root.join(".posthaste/INBOX.state"), "rubbish").unwrap();
        let (account, mailbox) = open(root);
        let now_told = rows(&mailbox);
        assert_ne!(mailbox.snapshot().uid_validity, validity);
        let without_uid = |rows: &[Row]| -> Vec<(Flags, Vec<String>, String)> {
            let rows = rows.iter().cloned();
            rows.map(|(_, flags, keywords, text)| (flags, keywords, text))
                .collect()
        };
        assert_eq!(without_uid(&now_told), without_uid(&expected));
        drop((account, mailbox));
        // The file says the new ones, to whoever knows no more than the file.
        fs::remove_dir_all(root.join(".posthaste")).unwrap();
        let validity = fs::read_to_string(root.join("posthaste-uidvalidity")).unwrap();
        let (_account, mailbox) = open(root);
        assert_eq!(rows(&mailbox), now_told);
        let told = mailbox.snapshot().uid_validity;
        assert_eq!(told.to_string(), validity.trim_end());
    }
}

#[test]
fn a_state_that_is_damaged_under_an_open_mailbox_does_no_harm() {
    for (what, damage) in damages() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let (validity, _, mut expected) = filled(root);
        let (account, mailbox) = open(root);
        damage(&root.join(".posthaste/INBOX.state"));
        let seen = FlagChange::add(Flags::SEEN);
        mailbox.set_flags(&[2], &seen, None, now()).unwrap();
        expected[0].1 = Flags::SEEN;
        assert_eq!(rows(&mailbox), expected, "{what}");
        append(&mailbox, "new");
        let last = mailbox.snapshot().messages().last().unwrap().uid;
        assert_eq!(last, 6, "{what}");
        let all = rows(&mailbox);
        drop((account, mailbox));
        let (_account, mailbox) = open(root);
        assert_eq!(rows(&mailbox), all, "{what}");
        assert_eq!(mailbox.snapshot().uid_validity, validity, "{what}");
    }
}

#[test]
fn a_damaged_journal_is_kept_aside() {
    for (what, damage) in damages() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let (_, _, expected) = filled(root);
        let side = root.join(".posthaste");
        damage(&side.join("INBOX.rewrite"));
        let (account, mailbox) = open(root);
        assert_eq!(rows(&mailbox), expected, "{what}");
        assert!(fs::symlink_metadata(side.join("INBOX.rewrite")).is_err());
        let kept = fs::symlink_metadata(side.join("INBOX.rewrite.broken-1"));
        assert!(kept.is_ok(), "{what}");
        mailbox.expunge(&[2], now()).unwrap();
        assert_eq!(rows(&mailbox), expected[1..], "{what}");
        drop(mailbox);
        drop(account);
        // So many are kept, and no more.
        for _ in 0..6 {
            damage(&side.join("INBOX.rewrite"));
            let (_account, mailbox) = open(root);
            assert_eq!(rows(&mailbox), expected[1..], "{what}");
            let _ = fs::remove_dir(side.join("INBOX.rewrite"));
        }
        let names = fs::read_dir(&side).unwrap();
        let broken = names.filter(|name| {
            let name = name.as_ref().unwrap().file_name();
            name.to_string_lossy().contains(".broken-")
        });
        // A link that leads nowhere takes the place of the one before.
        let count = broken.count();
        assert!(
            count == 4 || count == 1 && what == "a link",
            "{what}: {count}"
        );
    }
}
