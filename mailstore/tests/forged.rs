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
