//! An index that somebody made up, with sums that are right: numbers near the greatest there are do no harm.
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
use std::sync::Arc;

use common::sim::Random;
use common::{at, configs, inbox, now, read};
use mailstore::{AccountConfig, AppendOptions, FlagChange, Flags, Mailbox, Store};

const HEADER: usize = 40;

fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// The bodies of an index's frames.
fn bodies(index: &[u8]) -> Vec<Vec<u8>> {
    let end = u64::from_le_bytes(index[24..32].try_into().unwrap()) as usize;
    let (mut at, mut bodies) = (HEADER, Vec::new());
    while at < end {
        let len = u32::from_le_bytes(index[at..at + 4].try_into().unwrap()) as usize;
        bodies.push(index[at + 8..at + 8 + len].to_vec());
        at += 8 + len;
    }
    bodies
}

/// An index of these frames, as docs/format.md tells its form.
fn index(start: &[u8], bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut out = start[..20].to_vec();
    out.extend_from_slice(&crc(&[&start[..20]]).to_le_bytes());
    let salt = &start[8..16];
    let (mut frames, mut last) = (Vec::new(), crc(&[salt]));
    for body in bodies {
        let len = (body.len() as u32).to_le_bytes();
        last = crc(&[&last.to_le_bytes(), &len, body]);
        frames.extend_from_slice(&len);
        frames.extend_from_slice(&last.to_le_bytes());
        frames.extend_from_slice(body);
    }
    let end = ((HEADER + frames.len()) as u64).to_le_bytes();
    out.extend_from_slice(&end);
    out.extend_from_slice(&last.to_le_bytes());
    out.extend_from_slice(&crc(&[&last.to_le_bytes(), salt, &end, b"posthaste"]).to_le_bytes());
    out.extend_from_slice(&frames);
    out
}

fn path(config: &AccountConfig) -> PathBuf {
    match config.inbox.as_os_str().is_empty() {
        true => config.root.join("posthaste-index"),
        false => config.root.join(".posthaste/INBOX.index"),
    }
}

fn body(nth: usize) -> Vec<u8> {
    format!("Subject: {nth}\r\n\r\nbody of {nth}\r\n").into_bytes()
}

fn append(mailbox: &Arc<Mailbox>, nth: usize) {
    let mut append = mailbox.append(now()).unwrap();
    append.write(&body(nth)).unwrap();
    append.commit(AppendOptions::at(at(1)), now()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What was made up may be believed; whatever it says, nothing breaks, and what comes in is there.
fn used(config: &AccountConfig, what: &str) {
    let account = Store::new().account(config).unwrap();
    let mailbox = account
        .mailbox("INBOX", now())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let view = mailbox
        .refresh(now())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        view.uid_validity > 0 && view.highest_modseq < 1 << 63,
        "{what}"
    );
    let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
    assert!(uids.is_sorted_by(|one, next| one < next), "{what}");
    assert!(
        uids.last().is_none_or(|last| *last < view.uid_next),
        "{what}"
    );
    // Where the messages are may be made up too: these have an error to tell, at most.
    for &uid in &uids {
        if let Ok(mut reader) = mailbox.reader(uid, now()) {
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
        }
    }
    drop(mailbox.digests(&uids, now()));
    let _ = mailbox.changes_since(view.highest_modseq / 2);
    let _ = mailbox.set_flags(&uids, &FlagChange::add(Flags::SEEN), None, now());
    let _ = mailbox.expunge(&uids[..uids.len().min(1)], now());
    let mut append = mailbox.append(now()).unwrap();
    append.write(&body(99)).unwrap();
    if let Ok(appended) = append.commit(AppendOptions::at(at(1)), now()) {
        assert_eq!(read(&mailbox, appended.uid), body(99), "{what}");
    }
}

#[test]
fn numbers_that_nobody_counted_to_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    for config in configs(&directory.path().join("first")) {
        let account = Store::new().account(&config).unwrap();
        let mailbox = inbox(&account);
        for nth in 0..4 {
            append(&mailbox, nth);
        }
        let uids = [1, 2, 3, 4];
        mailbox
            .digests(&uids, now())
            .into_iter()
            .for_each(|digest| drop(digest.unwrap()));
        mailbox.expunge(&[2], now()).unwrap();
        drop((account, mailbox));
        let whole = fs::read(path(&config)).unwrap();
        let frames = bodies(&whole);
        assert_eq!(index(&whole, &frames), whole, "the form is another by now");
        let again = directory.path().join("again");
        let mut there = config.clone();
        there.root = again.clone();
        if !config.inbox.as_os_str().is_empty() {
            there.inbox = again.join("INBOX");
        }
        for round in 0..100 {
            let mut forged = frames.clone();
            let frame = random.below(forged.len() as u64) as usize;
            let at = random.below(forged[frame].len() as u64) as usize;
            let octets = [1, 4, 8, 12][random.below(4) as usize];
            let end = (at + octets).min(forged[frame].len());
            let value = [0, 0xff, 0x7f, 0x80, random.below(256) as u8][random.below(5) as usize];
            forged[frame][at..end].fill(value);
            let mut start = whole.clone();
            if round % 20 == 0 {
                // No UIDVALIDITY at all.
                start[16..20].fill(0);
            }
            copy(&config.root, &again);
            fs::write(path(&there), index(&start, &forged)).unwrap();
            let what = format!(
                "{:?} round {round}: {at}..{end} of frame {frame} {value:#x}",
                config.format
            );
            used(&there, &what);
            fs::remove_dir_all(&again).unwrap();
        }
    }
}

/// A journal of a change in this form, with sums that are right.
fn journal(numbers: [u64; 6], rescue: u32, data: &[u8]) -> Vec<u8> {
    let mut out = b"PHREWRT1".to_vec();
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&rescue.to_le_bytes());
    out.extend_from_slice(&crc(&[data]).to_le_bytes());
    out.extend_from_slice(&crc(&[&out]).to_le_bytes());
    out.resize(80, 0);
    out.extend_from_slice(data);
    out
}

#[test]
fn a_journal_that_somebody_made_up_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let [_, _, _, config] = configs(directory.path());
    let path = config.root.join(".posthaste/INBOX.rewrite");
    let account = Store::new().account(&config).unwrap();
    for nth in 0..3 {
        append(&inbox(&account), nth);
    }
    drop(account);
    let mbox = fs::read(&config.inbox).unwrap();
    let metadata = fs::metadata(&config.inbox).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    let len = mbox.len() as u64;
    let text = b"From a Thu Nov 12 13:14:15 2026\nSubject: x\n\ny\n\n";
    let tables = [
        vec![(len, text.len() as u64)],
        vec![(0, u64::MAX), (u64::MAX, u64::MAX)],
        vec![(u64::MAX, 1), (1, u64::MAX - 1)],
        vec![(1 << 62, 8), (0, 0)],
        vec![],
    ];
    let strange = [
        0,
        1,
        79,
        80,
        len,
        len + 50,
        1 << 40,
        1 << 62,
        1 << 63,
        u64::MAX,
    ];
    let mut random = Random(7);
    for round in 0..200 {
        let table = &tables[random.below(tables.len() as u64) as usize];
        let mut data = text.to_vec();
        for (place, len) in table {
            data.extend_from_slice(&place.to_le_bytes());
            data.extend_from_slice(&len.to_le_bytes());
        }
        let mut numbers = [
            inode,
            len,
            len + text.len() as u64,
            len,
            80 + text.len() as u64,
            table.len() as u64,
        ];
        // The first is a journal as it is written.
        for _ in 0..if round == 0 { 0 } else { 1 + random.below(3) } {
            let which = 1 + random.below(5) as usize;
            numbers[which] = strange[random.below(strange.len() as u64) as usize];
        }
        let what = format!("{numbers:?} {table:?}");
        fs::write(&config.inbox, &mbox).unwrap();
        fs::write(&path, journal(numbers, random.below(2) as u32, &data)).unwrap();
        let account = Store::new().account(&config).unwrap();
        // Whoever can write a journal can make no mbox of the file, too.
        let opened = account
            .mailbox("INBOX", now())
            .map(|mailbox| drop(mailbox.refresh(now()).unwrap()));
        drop(account);
        let now = fs::read(&config.inbox).unwrap();
        assert!(now.len() < 2 * mbox.len(), "{what}");
        if round == 0 {
            opened.unwrap();
            assert!(now.starts_with(&mbox) && !path.exists(), "{what}");
        }
        // What is put aside is of this test alone.
        for entry in fs::read_dir(config.root.join(".posthaste")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().contains("rewrite") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}
