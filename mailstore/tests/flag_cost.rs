//! What a change of flags asks of the file system: as much as it changes, however large the mailbox is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use common::{inbox, now};
use mailstore::{
    AccountConfig, File, FlagChange, FlagMode, Flags, Fs, Kind, Mailbox, RealFs, Stat, Store,
};

type Calls = Arc<Mutex<BTreeMap<&'static str, usize>>>;

/// The real file system, counting the calls by their kinds.
#[derive(Clone, Default)]
struct Counting(Calls);

fn count(calls: &Calls, kind: &'static str) {
    *calls.lock().unwrap().entry(kind).or_default() += 1;
}

impl Counting {
    fn file(&self, file: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        count(&self.0, "open");
        let calls = Arc::clone(&self.0);
        Ok(Box::new(CountingFile { file: file?, calls }))
    }
}

impl Fs for Counting {
    fn create_excl(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(RealFs.create_excl(path))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(RealFs.open(path))
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(RealFs.open_write(path))
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        count(&self.0, "link");
        RealFs.link(from, to)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let in_cur = to.parent().is_some_and(|parent| parent.ends_with("cur"));
        count(&self.0, if in_cur { "message" } else { "rename" });
        RealFs.rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        count(&self.0, "unlink");
        RealFs.unlink(path)
    }
    fn mkdir(&self, path: &Path) -> io::Result<()> {
        count(&self.0, "mkdir");
        RealFs.mkdir(path)
    }
    fn rmdir(&self, path: &Path) -> io::Result<()> {
        count(&self.0, "rmdir");
        RealFs.rmdir(path)
    }
    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        count(&self.0, "sync");
        RealFs.fsync_dir(path)
    }
    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        count(&self.0, "readdir");
        RealFs.readdir(path, each)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        count(&self.0, "stat");
        RealFs.stat(path)
    }
    fn process_alive(&self, pid: u32) -> bool {
        RealFs.process_alive(pid)
    }
    fn boot(&self) -> u128 {
        RealFs.boot()
    }
}

struct CountingFile {
    file: Box<dyn File>,
    calls: Calls,
}

impl File for CountingFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        count(&self.calls, "read");
        self.file.read_at(buf, at)
    }
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        count(&self.calls, "write");
        self.file.write_all_at(buf, at)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        count(&self.calls, "set_len");
        self.file.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        count(&self.calls, "sync");
        self.file.sync()
    }
    fn sync_data(&self) -> io::Result<()> {
        count(&self.calls, "sync");
        self.file.sync_data()
    }
    fn stat(&self) -> io::Result<Stat> {
        count(&self.calls, "stat");
        self.file.stat()
    }
    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.file.set_modified(time)
    }
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_mode(mode)
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
    fn try_claim(&self) -> io::Result<bool> {
        self.file.try_claim()
    }
    fn unclaim(&self) -> io::Result<()> {
        self.file.unclaim()
    }
}

/// An INBOX as another program left it.
fn fill(config: &AccountConfig, messages: usize) {
    if config.inbox.as_os_str().is_empty() {
        for directory in ["cur", "new", "tmp"] {
            fs::create_dir_all(config.root.join(directory)).unwrap();
        }
        for message in 0..messages {
            let name = format!("1700000000.M{message}P1.host,S=14:2,");
            fs::write(config.root.join("cur").join(name), "Subject: a\n\nb\n").unwrap();
        }
        return;
    }
    fs::create_dir_all(&config.root).unwrap();
    let mut mbox = String::new();
    for message in 0..messages {
        let _ = write!(
            mbox,
            "From a@example.org Mon Nov 14 22:13:20 2023\nSubject: {message}\n\nb\n\n"
        );
    }
    fs::write(&config.inbox, mbox).unwrap();
}

fn change(mailbox: &Mailbox, uids: &[u32], flags: Flags, mode: FlagMode) -> usize {
    let change = FlagChange {
        flags,
        mode,
        keywords: Vec::new(),
    };
    let stored = mailbox.set_flags(uids, &change, None, now()).unwrap();
    stored.changed.len()
}

/// The calls of one change of `changed` messages among so many.
fn cost(config: &AccountConfig, messages: usize, changed: &[usize]) -> Vec<[usize; 5]> {
    fill(config, messages);
    let counting = Counting::default();
    let account = Store::with_fs(Arc::new(counting.clone()))
        .account(config)
        .unwrap();
    let mailbox = inbox(&account);
    let view = mailbox.refresh(now()).unwrap();
    let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
    assert_eq!(uids.len(), messages);
    // An mbox of another program gets the room for flags with the first change.
    change(&mailbox, &uids, Flags::SEEN, FlagMode::Add);
    let mut costs = Vec::new();
    for &changed in changed {
        let step = messages / changed;
        let uids: Vec<u32> = uids.iter().copied().step_by(step).take(changed).collect();
        counting.0.lock().unwrap().clear();
        assert_eq!(
            change(&mailbox, &uids, Flags::FLAGGED, FlagMode::Add),
            changed
        );
        let mut calls = std::mem::take(&mut *counting.0.lock().unwrap());
        let mut take = |kind| calls.remove(kind).unwrap_or_default();
        let [renames, reads, writes, syncs] = ["message", "read", "write", "sync"].map(&mut take);
        costs.push([renames, reads, writes, syncs, calls.values().sum()]);
        change(&mailbox, &uids, Flags::FLAGGED, FlagMode::Remove);
    }
    costs
}

#[test]
fn a_change_of_many_flags_costs_what_it_changes() {
    const CHANGED: [usize; 3] = [1, 100, 10_000];
    let root = tempfile::tempdir().unwrap();
    for config in common::configs(root.path()) {
        let is_mbox = config.inbox.as_os_str() != "";
        let large = cost(&config, 10_000, &CHANGED);
        for (changed, [renames, reads, writes, syncs, others]) in CHANGED.into_iter().zip(&large) {
            let told = format!("{:?}: {changed} changed, {large:?}", config.format);
            // Beside the messages: a sequence reserved now and then, the locks, the index.
            if is_mbox {
                assert_eq!(*renames, 0, "{told}");
                assert!((changed..changed + 10).contains(writes), "{told}");
                // The old flags, where a write over them might be torn.
                assert!(*reads < changed + 20, "{told}");
            } else {
                assert_eq!(*renames, changed, "{told}");
                assert!(*writes < 10, "{told}");
                assert!(*reads < 20, "{told}");
            }
            assert!(*syncs <= 4, "{told}");
            assert!(*others < 40, "{told}");
        }
        fs::remove_dir_all(&config.root).unwrap();
        // A mailbox of a tenth the size asks for the same.
        for (small, large) in cost(&config, 1_000, &[1, 100]).iter().zip(&large) {
            for (small, large) in small.iter().zip(large) {
                assert!(small.abs_diff(*large) <= 30, "{small:?} {large:?}");
            }
        }
    }
}
