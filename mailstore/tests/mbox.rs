//! mbox files as other programs wrote them: their quoting, lengths, line ends, dates and state.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::{at, now, read};
use mailstore::{AccountConfig, AppendOptions, FlagChange, Flags, Mailbox, Store};

const FROM: &str = "From ann@example.org Thu Nov 12 13:14:15 2026\n";

/// INBOX with this content.
fn opened(root: &std::path::Path, content: &str) -> Arc<Mailbox> {
    let file = root.join("INBOX");
    fs::write(&file, content).unwrap();
    let config = AccountConfig::mbox(root, file, "host");
    let account = Store::new().account(&config).unwrap();
    account.mailbox("INBOX", now()).unwrap()
}

fn contents(mailbox: &Mailbox) -> Vec<String> {
    let view = mailbox.refresh(now()).unwrap();
    let uids = view.messages().iter().map(|message| message.uid);
    uids.map(|uid| String::from_utf8(read(mailbox, uid)).unwrap())
        .collect()
}

#[test]
fn every_kind_of_quoting_is_read_and_kept() {
    let second = format!("{FROM}Subject: two\n\nend\n");
    // What the file has, and what a reader is told.
    let unquoted = "Hi\n\nFrom ann@example.org Thu Nov 12 13:14:15 2026\nbye\n";
    let kinds = [
        // mboxo and mboxrd
        ("", "a\n>From b\nFrom c\n", "a\nFrom b\nFrom c\n"),
        ("", "a\n>>From b\n>>>From c\n", "a\n>From b\n>>From c\n"),
        ("", "a\n\nFrom here to there\n", "a\n\nFrom here to there\n"),
        (
            "",
            " >From b\n>from c\n> From d\n",
            " >From b\n>from c\n> From d\n",
        ),
        // mboxcl2, and mboxcl, whose quotes cannot be told from the sender's
        ("Content-Length: 54\n", unquoted, unquoted),
        ("Content-Length: 10\n", "a\n>From b\n", "a\n>From b\n"),
        // A length that is not so.
        ("Content-Length: 3\n", "a\n>From b\n", "a\nFrom b\n"),
        ("Content-Length: 999999999999999999999\n", "a\n", "a\n"),
        ("Content-Length: 18446744073709551615\n", "a\n", "a\n"),
    ];
    for (field, stored, told) in kinds {
        let directory = tempfile::tempdir().unwrap();
        let file = format!("{FROM}Subject: one\n{field}\n{stored}\n{second}");
        let mailbox = opened(directory.path(), &file);
        let one = format!("Subject: one\n\n{told}").replace('\n', "\r\n");
        let two = "Subject: two\r\n\r\nend\r\n".to_owned();
        assert_eq!(contents(&mailbox), [one.clone(), two.clone()], "{file}");
        // The file is written anew, and the bodies are as they were.
        mailbox
            .set_flags(&[1], &FlagChange::add(Flags::SEEN), None, now())
            .unwrap();
        assert_eq!(contents(&mailbox), [one.clone(), two], "{file}");
        let written = fs::read_to_string(directory.path().join("INBOX")).unwrap();
        assert!(
            written.contains(&format!("\n\n{stored}\n{FROM}")),
            "{written}"
        );
        mailbox.expunge(&[2], now()).unwrap();
        assert_eq!(contents(&mailbox), [one], "{file}");
    }
}

#[test]
fn what_comes_in_is_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let mailbox = opened(directory.path(), "");
    let content = "Subject: x\r\n\r\nFrom a\r\n>From b\r\n>>From c\r\n From d\r\nfrom e\r\n\r\n\
                   From ann@example.org Thu Nov 12 13:14:15 2026\r\n";
    for _ in 0..2 {
        let mut append = mailbox.append(now()).unwrap();
        append.write(content.as_bytes()).unwrap();
        append.commit(AppendOptions::at(at(1)), now()).unwrap();
    }
    assert_eq!(contents(&mailbox), [content, content]);
    let written = fs::read_to_string(directory.path().join("INBOX")).unwrap();
    let quoted = "\n\n>From a\n>>From b\n>>>From c\n From d\nfrom e\n\n>From ann@";
    assert_eq!(written.matches(quoted).count(), 2, "{written}");
}

#[test]
fn line_ends_of_other_systems() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("{FROM}Subject: one\n\na\n\n{FROM}Subject: two\n\nb\n\n{FROM}A: three\n\n");
    let mailbox = opened(directory.path(), &file.replace('\n', "\r\n"));
    let told = contents(&mailbox);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "Subject: one\r\n\r\na\r\n");
    assert_eq!(told[1], "Subject: two\r\n\r\nb\r\n");
    mailbox
        .set_flags(&[1, 2], &FlagChange::add(Flags::FLAGGED), None, now())
        .unwrap();
    assert_eq!(contents(&mailbox), told);
    mailbox.expunge(&[2], now()).unwrap();
    assert_eq!(contents(&mailbox), [told[0].clone(), told[2].clone()]);
}

#[test]
fn state_of_other_programs_is_taken_over() {
    for field in ["X-IMAPbase", "X-IMAP", "x-imapBASE"] {
        let directory = tempfile::tempdir().unwrap();
        let file = format!(
            "{FROM}{field}: 1234567890 0000000042 Work Later\nStatus: RO\nX-Status: AF\n\
             X-Keywords: Work\nX-UID: 17\nSubject: one\n\na\n\n\
             {FROM}Status: O\nX-Keywords: Later Other   \nX-UID: 41\nSubject: two\n\nb\n\n\
             {FROM}X-UID: 43\nSubject: a UID that was never given\n\nc\n"
        );
        let mailbox = opened(directory.path(), &file);
        let view = mailbox.refresh(now()).unwrap();
        assert_eq!(view.uid_validity, 1_234_567_890, "{field}");
        let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
        assert_eq!(uids, [17, 41, 43]);
        assert!(view.uid_next > 43);
        let messages = view.messages();
        assert_eq!(
            messages[0].flags,
            Flags::SEEN | Flags::ANSWERED | Flags::FLAGGED
        );
        assert_eq!(messages[1].flags, Flags::NONE);
        assert_eq!(view.keywords(&messages[0]).collect::<Vec<_>>(), ["Work"]);
        let mut names: Vec<&str> = view.keywords(&messages[1]).collect();
        names.sort_unstable();
        assert_eq!(names, ["Later", "Other"]);
        // None of it is part of a message.
        assert!(contents(&mailbox)[0].starts_with("Subject: one\r\n\r\n"));
    }
}

#[test]
fn a_last_line_without_an_end_gets_one_with_the_next_message() {
    let root = tempfile::tempdir().unwrap();
    let mailbox = opened(root.path(), &format!("{FROM}Subject: one\n\ncut off"));
    assert_eq!(contents(&mailbox), ["Subject: one\r\n\r\ncut off"]);
    let uid = mailbox.snapshot().messages()[0].uid;
    assert_eq!(mailbox.size(uid, now()).unwrap(), 23);
    let mut append = mailbox.append(now()).unwrap();
    append.write(b"Subject: two\r\n\r\n").unwrap();
    append.commit(AppendOptions::at(at(1)), now()).unwrap();
    let whole = "Subject: one\r\n\r\ncut off\r\n";
    assert_eq!(contents(&mailbox), [whole, "Subject: two\r\n\r\n"]);
    assert_eq!(mailbox.snapshot().messages()[0].uid, uid);
    assert_eq!(mailbox.size(uid, now()).unwrap(), 25);
}

#[test]
fn a_last_line_without_an_end_gets_one_with_its_flags() {
    let root = tempfile::tempdir().unwrap();
    let mailbox = opened(root.path(), &format!("{FROM}Subject: one\n\ncut off"));
    let uid = mailbox.snapshot().messages()[0].uid;
    assert_eq!(mailbox.size(uid, now()).unwrap(), 23);
    let seen = FlagChange::add(Flags::SEEN);
    mailbox.set_flags(&[uid], &seen, None, now()).unwrap();
    let content = contents(&mailbox);
    assert_eq!(content, ["Subject: one\r\n\r\ncut off\r\n"]);
    assert_eq!(mailbox.size(uid, now()).unwrap(), 25);
}

#[test]
fn a_header_that_is_cut_off_keeps_its_fields() {
    for (cut, expected) in [
        ("Subject: one", "Subject: one\r\n"),
        ("Subject: one\n\r", "Subject: one\r\n\r\n"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let mailbox = opened(root.path(), &format!("{FROM}\none\n\n{FROM}{cut}"));
        let uids: Vec<u32> = mailbox
            .snapshot()
            .messages()
            .iter()
            .map(|m| m.uid)
            .collect();
        let seen = FlagChange::add(Flags::SEEN);
        mailbox.set_flags(&uids, &seen, None, now()).unwrap();
        assert_eq!(contents(&mailbox), ["\r\none\r\n", expected], "{cut:?}");
        assert_eq!(mailbox.expunge(&uids[1..], now()).unwrap(), uids[1..]);
        assert_eq!(contents(&mailbox), ["\r\none\r\n"], "{cut:?}");
    }
}

#[test]
fn dates_of_real_files() {
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_794_489_255);
    for line in [
        "ann@example.org Thu Nov 12 13:14:15 2026",
        "ann@example.org  Thu Nov 12 13:14:15 2026",
        "ann@example.org Thu Nov 12 13:14:15 2026 +0000",
        "ann@example.org Thu Nov 12 13:14:15 UTC 2026",
        "- Thu Nov 12 13:14:15 2026",
        "\"a Mon b\"@example.org Thu Nov 12 13:14:15 2026",
        "ann@example.org Thu, 12 Nov 2026 13:14:15 +0000",
        "ann@example.org Thu Nov 12 13:14:15 2026 remote from relay",
        "Thu Nov 12 13:14:15 2026",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = format!("From {line}\nA: b\n\nc\n\nFrom {line}\nA: d\n\ne\n");
        let mailbox = opened(directory.path(), &file);
        let view = mailbox.refresh(now()).unwrap();
        let dates = view.messages().iter().map(|message| message.internal_date);
        assert_eq!(dates.collect::<Vec<_>>(), [date, date], "{line}");
    }
}

#[test]
fn a_message_can_be_read_while_the_file_is_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let mailbox = opened(directory.path(), "");
    let content = |name: &str, lines| {
        let line = format!("a line of {name}\r\n");
        format!("Subject: {name}\r\n\r\n{}", line.repeat(lines))
    };
    // One is kept in memory and one in a file.
    let messages = [
        content("first", 10),
        content("small", 1500),
        content("large", 20_000),
    ];
    for message in &messages {
        let mut append = mailbox.append(now()).unwrap();
        append.write(message.as_bytes()).unwrap();
        append.commit(AppendOptions::at(at(1)), now()).unwrap();
    }
    let begin = |uid| {
        let mut reader = mailbox.reader(uid, now()).unwrap();
        let mut start = vec![0; 20];
        reader.read_exact(&mut start).unwrap();
        (reader, start)
    };
    let mut readers = [begin(2), begin(3)];
    mailbox.expunge(&[1], now()).unwrap();
    mailbox.expunge(&[2, 3], now()).unwrap();
    for ((reader, read), message) in readers.iter_mut().zip(&messages[1..]) {
        reader.read_to_end(read).unwrap();
        assert_eq!(String::from_utf8_lossy(read), *message);
    }
    assert_eq!(fs::read(directory.path().join("INBOX")).unwrap(), b"");
    // What a crash would leave of them is nothing.
    let left = fs::read_dir(directory.path().join(".posthaste")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    let waiting = |name: &std::ffi::OsString| name.to_string_lossy().ends_with("incoming");
    assert!(!left.iter().any(waiting), "{left:?}");
    // Where another program moves it, reading fails.
    let mut append = mailbox.append(now()).unwrap();
    append.write(messages[2].as_bytes()).unwrap();
    let uid = append.commit(AppendOptions::at(at(1)), now()).unwrap().uid;
    let (mut reader, _) = begin(uid);
    let file = directory.path().join("INBOX");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{FROM}A: b\n\nc\n\n{text}")).unwrap();
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
}

#[test]
fn only_what_changes_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mailbox = opened(directory.path(), "");
    for name in ["one", "two", "three"] {
        let mut append = mailbox.append(now()).unwrap();
        let message = format!("Subject: {name}\r\n\r\n{name}\r\n");
        append.write(message.as_bytes()).unwrap();
        append.commit(AppendOptions::at(at(1)), now()).unwrap();
    }
    let file = directory.path().join("INBOX");
    let before = fs::read_to_string(&file).unwrap();
    // The same file, of the same length: a program that waits for its lock gets the right one.
    let inode =
        |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let was = inode(&file);
    let change = FlagChange::add(Flags::SEEN).with_keywords(["Work"]);
    mailbox.set_flags(&[2], &change, None, now()).unwrap();
    let after = fs::read_to_string(&file).unwrap();
    assert_eq!(after.len(), before.len());
    assert!(after.lines().next() == before.lines().next());
    mailbox.expunge(&[3], now()).unwrap();
    let shorter = fs::read_to_string(&file).unwrap();
    assert!(after.starts_with(&shorter), "{after}\n---\n{shorter}");
    mailbox.expunge(&[1], now()).unwrap();
    assert_eq!(inode(&file), was);
    assert_eq!(contents(&mailbox), ["Subject: two\r\n\r\ntwo\r\n"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("X-IMAPbase: ") && text.contains(" 0000000003 Work"),
        "{text}"
    );
}
