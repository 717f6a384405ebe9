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
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::over::{Beside, Call, Over};
use common::{inbox, now};
use mailstore::{AccountConfig, FlagChange, FlagMode, Flags, Mailbox, Store};

/// The calls, counted by their kinds; whether they are to a message's name.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<BTreeMap<(Call, bool), usize>>>);

impl Beside for Counting {
    fn before(&self, call: Call, path: &Path) {
        let in_cur = path.parent().is_some_and(|parent| parent.ends_with("cur"));
        let renames = call == Call::Rename && in_cur;
        *self.0.lock().unwrap().entry((call, renames)).or_default() += 1;
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
    let account = Store::with_fs(Arc::new(Over(counting.clone())))
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
        let mut take = |kind: (Call, bool)| calls.remove(&kind).unwrap_or_default();
        let [reads, writes, syncs] =
            [Call::Read, Call::Write, Call::Sync].map(|call| take((call, false)));
        let renames = take((Call::Rename, true));
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
