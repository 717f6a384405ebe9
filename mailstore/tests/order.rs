//! Two processes with one mailbox: whoever asks the one and then the other for what changed misses nothing.
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
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use common::sim::Random;
use common::{at, configs, inbox, now};
use mailstore::{AccountConfig, AppendOptions, FlagChange, FlagMode, Flags, Mailbox, Store};

/// A client that goes from one process to the other with what it was told (RFC 7162 §3.1.4, §3.2.5).
#[derive(Default)]
struct Client {
    modseq: u64,
    flags: BTreeMap<u32, Flags>,
    /// The sequence of each change that it was told of.
    told: BTreeMap<u32, u64>,
}

impl Client {
    fn ask(&mut self, mailbox: &Mailbox, at: SystemTime) {
        mailbox.refresh(at).unwrap();
        let changes = mailbox.changes_since(self.modseq);
        // Taken last: what others change meanwhile is in it, and told once more the next time. In an older one it
        // would be missing, and never told.
        let view = mailbox.snapshot();
        for range in changes.vanished {
            self.flags.retain(|uid, _| !range.contains(uid));
        }
        for uid in changes.changed {
            let Some(message) = view.message(uid) else {
                continue;
            };
            let known = self.flags.insert(uid, message.flags);
            let told = self.told.insert(uid, message.modseq);
            if known.is_some_and(|known| known != message.flags) {
                assert!(told.is_none_or(|told| told < message.modseq), "UID {uid}");
            }
        }
        // A process that has seen nothing new may tell less than the other one did.
        self.modseq = self.modseq.max(changes.highest_modseq);
    }

    fn check(&self, mailbox: &Mailbox, what: &str) {
        let view = mailbox.snapshot();
        let there: BTreeMap<u32, Flags> = view
            .messages()
            .iter()
            .map(|message| (message.uid, message.flags))
            .collect();
        assert_eq!(self.flags, there, "{what}");
    }
}

/// When a directory tells of every change: not of one in the same instant as another.
fn later() -> SystemTime {
    now() + Duration::from_secs(60)
}

fn append(mailbox: &Arc<Mailbox>) {
    let mut append = mailbox.append(now()).unwrap();
    append.write(b"A: b\r\n\r\nc\r\n").unwrap();
    append.commit(AppendOptions::at(at(7)), now()).unwrap();
}

fn change(mailbox: &Arc<Mailbox>, random: &mut Random) {
    let uids: Vec<u32> = mailbox
        .snapshot()
        .messages()
        .iter()
        .map(|message| message.uid)
        .collect();
    let some = uids.get(random.below(uids.len().max(1) as u64) as usize);
    match (random.below(8), some) {
        (0, Some(uid)) if uids.len() > 4 => drop(mailbox.expunge(&[*uid], now()).unwrap()),
        (1..=5, Some(uid)) => {
            let flags = [Flags::SEEN, Flags::FLAGGED, Flags::ANSWERED];
            let change = FlagChange {
                mode: [FlagMode::Add, FlagMode::Remove][random.below(2) as usize],
                flags: flags[random.below(3) as usize],
                keywords: Vec::new(),
            };
            drop(mailbox.set_flags(&[*uid], &change, None, now()).unwrap());
        }
        (6, _) => drop(mailbox.refresh(now()).unwrap()),
        _ => append(mailbox),
    }
}

#[test]
fn a_client_that_changes_processes_misses_nothing() {
    for seed in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        for mut config in configs(directory.path()) {
            config.index = seed % 3 != 2;
            let mut random = Random(seed);
            let open = || inbox(&Store::new().account(&config).unwrap());
            let mut processes = [open(), open()];
            let mut clients = [Client::default(), Client::default()];
            for step in 0..50 {
                let which = random.below(2) as usize;
                if random.below(12) == 0 {
                    processes[which] = open();
                }
                change(&processes[which], &mut random);
                let asked = random.below(2) as usize;
                let client = random.below(2) as usize;
                clients[client].ask(&processes[asked], now());
                if step % 5 == 4 {
                    for (nth, client) in clients.iter_mut().enumerate() {
                        let asked = random.below(2) as usize;
                        client.ask(&processes[asked], later());
                        let what =
                            format!("{:?} seed {seed} step {step} client {nth}", config.format);
                        client.check(&processes[asked], &what);
                    }
                }
            }
        }
    }
}

/// What both processes showed at last, and what clients that went back and forth know.
fn race(config: &AccountConfig) {
    const STEPS: usize = 40;
    let processes = [(); 2].map(|()| inbox(&Store::new().account(config).unwrap()));
    let running = AtomicUsize::new(processes.len());
    let mut clients: Vec<Client> = Vec::new();
    std::thread::scope(|scope| {
        for (nth, process) in processes.iter().enumerate() {
            let running = &running;
            scope.spawn(move || {
                let mut random = Random(nth as u64 + 77);
                for _ in 0..STEPS {
                    change(process, &mut random);
                }
                running.fetch_sub(1, Ordering::Release);
            });
        }
        let asking: Vec<_> = (0..2)
            .map(|nth| {
                let (processes, running) = (&processes, &running);
                scope.spawn(move || {
                    let mut client = Client::default();
                    let mut random = Random(nth);
                    while running.load(Ordering::Acquire) > 0 {
                        client.ask(&processes[random.below(2) as usize], now());
                        std::thread::yield_now();
                    }
                    client
                })
            })
            .collect();
        clients = asking
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect();
    });
    for client in &mut clients {
        for process in &processes {
            client.ask(process, later());
            client.check(process, &format!("{:?}", config.format));
        }
    }
}

#[test]
fn so_it_is_while_both_write() {
    let directory = tempfile::tempdir().unwrap();
    for config in configs(directory.path()) {
        race(&config);
    }
}

#[test]
fn no_sequence_is_given_twice_by_two_processes() {
    let directory = tempfile::tempdir().unwrap();
    for config in configs(directory.path()) {
        let processes = [(); 2].map(|()| inbox(&Store::new().account(&config).unwrap()));
        append(&processes[0]);
        let mut last = 0;
        for step in 0..40 {
            let process = &processes[step / 3 % 2];
            let mode = if step % 2 == 0 {
                FlagMode::Add
            } else {
                FlagMode::Remove
            };
            let change = FlagChange {
                mode,
                flags: Flags::SEEN,
                keywords: Vec::new(),
            };
            process.refresh(now()).unwrap();
            let stored = process.set_flags(&[1], &change, None, now()).unwrap();
            assert_eq!(stored.changed, [1], "{:?} step {step}", config.format);
            assert!(
                stored.highest_modseq > last,
                "{:?} step {step}",
                config.format
            );
            last = stored.highest_modseq;
        }
    }
}
