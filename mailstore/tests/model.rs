//! Random changes by two processes' worth of handles: every format shows what a list in memory shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{at, configs, now, read};
use mailstore::{
    Account, AccountConfig, AppendOptions, DeliveryId, FlagChange, FlagMode, Flags, Format,
    Mailbox, Store,
};
use proptest::prelude::*;

const NAMES: [&str; 2] = ["INBOX", "Other"];
const KEYWORDS: [&str; 3] = ["Work", "$Junk", "later"];

#[derive(Clone, Debug)]
enum Change {
    Append {
        mailbox: usize,
        body: String,
        flags: u8,
        keywords: u8,
    },
    Deliver {
        body: String,
    },
    Flag {
        mailbox: usize,
        which: u16,
        mode: u8,
        flags: u8,
        keywords: u8,
    },
    Expunge {
        mailbox: usize,
        which: u16,
    },
    Copy {
        from: usize,
        which: u16,
    },
    Move {
        from: usize,
        which: u16,
    },
    Reopen,
}

fn change() -> impl Strategy<Value = Change> {
    let body = "(From |>|a|\n|\t|: |é){0,12}";
    prop_oneof![
        3 => (0..2usize, body, any::<u8>(), any::<u8>())
            .prop_map(|(mailbox, body, flags, keywords)| Change::Append { mailbox, body, flags, keywords }),
        2 => body.prop_map(|body| Change::Deliver { body }),
        3 => (0..2usize, any::<u16>(), any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(mailbox, which, mode, flags, keywords)| Change::Flag { mailbox, which, mode, flags, keywords }),
        1 => (0..2usize, any::<u16>()).prop_map(|(mailbox, which)| Change::Expunge { mailbox, which }),
        1 => (0..2usize, any::<u16>()).prop_map(|(from, which)| Change::Copy { from, which }),
        1 => (0..2usize, any::<u16>()).prop_map(|(from, which)| Change::Move { from, which }),
        1 => Just(Change::Reopen),
    ]
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    uid: u32,
    flags: Flags,
    keywords: BTreeSet<String>,
    content: Vec<u8>,
}

#[derive(Default)]
struct Model {
    rows: [Vec<Row>; 2],
    last: [u32; 2],
}

impl Model {
    fn add(&mut self, mailbox: usize, mut row: Row) {
        self.last[mailbox] += 1;
        row.uid = self.last[mailbox];
        self.rows[mailbox].push(row);
    }

    /// Some of the UIDs, by the bits of a number.
    fn some(&self, mailbox: usize, which: u16) -> Vec<u32> {
        let rows = self.rows[mailbox].iter().enumerate();
        rows.filter(|(index, _)| which >> (index % 16) & 1 == 1)
            .map(|(_, row)| row.uid)
            .collect()
    }
}

fn flags_of(bits: u8) -> Flags {
    Flags::NAMES
        .iter()
        .enumerate()
        .fold(Flags::NONE, |flags, (index, (flag, _))| {
            if bits >> index & 1 == 1 {
                flags | *flag
            } else {
                flags
            }
        })
}

fn keywords_of(bits: u8) -> Vec<String> {
    let names = KEYWORDS
        .iter()
        .enumerate()
        .filter(|(index, _)| bits >> index & 1 == 1);
    names.map(|(_, name)| (*name).to_owned()).collect()
}

fn content_of(body: &str) -> Vec<u8> {
    format!("Subject: x\n\n{body}\n")
        .replace('\n', "\r\n")
        .into_bytes()
}

/// Applies a change to both; `session` is whose handles are used.
fn apply(account: &Arc<Account>, model: &mut Model, change: &Change, count: usize) {
    let open = |mailbox: usize| -> Arc<Mailbox> {
        let mailbox = account.mailbox(NAMES[mailbox], now()).unwrap();
        mailbox.refresh(now()).unwrap();
        mailbox
    };
    match change {
        Change::Append {
            mailbox,
            body,
            flags,
            keywords,
        } => {
            let (flags, names, content) =
                (flags_of(*flags), keywords_of(*keywords), content_of(body));
            let mut append = open(*mailbox).append(now()).unwrap();
            append.write(&content).unwrap();
            let options = AppendOptions {
                flags,
                keywords: names.clone(),
                internal_date: at(1),
            };
            let uid = append.commit(options, now()).unwrap().uid;
            model.add(
                *mailbox,
                Row {
                    uid: 0,
                    flags,
                    keywords: names.into_iter().collect(),
                    content,
                },
            );
            assert_eq!(uid, model.last[*mailbox]);
        }
        Change::Deliver { body } => {
            let content = content_of(body);
            let id = DeliveryId {
                id: count.to_string(),
                arrived: at(count as u64),
                maybe_delivered: count.is_multiple_of(2),
            };
            let mut delivery = account.deliver("INBOX", id, now()).unwrap();
            delivery.write(&content).unwrap();
            delivery.commit(AppendOptions::at(at(1)), now()).unwrap();
            open(0);
            model.add(
                0,
                Row {
                    uid: 0,
                    flags: Flags::NONE,
                    keywords: BTreeSet::new(),
                    content,
                },
            );
        }
        Change::Flag {
            mailbox,
            which,
            mode,
            flags,
            keywords,
        } => {
            let (flags, names) = (flags_of(*flags), keywords_of(*keywords));
            let mode = [FlagMode::Add, FlagMode::Remove, FlagMode::Replace][usize::from(*mode % 3)];
            let uids = model.some(*mailbox, *which);
            let change = FlagChange {
                mode,
                flags,
                keywords: names.clone(),
            };
            open(*mailbox)
                .set_flags(&uids, &change, None, now())
                .unwrap();
            for row in model.rows[*mailbox]
                .iter_mut()
                .filter(|row| uids.contains(&row.uid))
            {
                let names: BTreeSet<String> = names.iter().cloned().collect();
                match mode {
                    FlagMode::Add => {
                        row.flags |= flags;
                        row.keywords.extend(names);
                    }
                    FlagMode::Remove => {
                        row.flags = row.flags & !flags;
                        row.keywords.retain(|name| !names.contains(name));
                    }
                    FlagMode::Replace => {
                        row.flags = flags;
                        row.keywords = names;
                    }
                }
            }
        }
        Change::Expunge { mailbox, which } => {
            let uids = model.some(*mailbox, *which);
            assert_eq!(open(*mailbox).expunge(&uids, now()).unwrap(), uids);
            model.rows[*mailbox].retain(|row| !uids.contains(&row.uid));
        }
        Change::Copy { from, which } | Change::Move { from, which } => {
            let (uids, to) = (model.some(*from, *which), 1 - *from);
            let moved = matches!(change, Change::Move { .. });
            let (source, target) = (open(*from), open(to));
            let copied = if moved {
                source.move_to(&uids, &target, now())
            } else {
                source.copy(&uids, &target, now())
            };
            let copied = copied.unwrap();
            let rows: Vec<Row> = model.rows[*from]
                .iter()
                .filter(|row| uids.contains(&row.uid))
                .cloned()
                .collect();
            for (row, (source, target)) in rows.into_iter().zip(copied.uids) {
                assert_eq!(row.uid, source);
                model.add(to, row);
                assert_eq!(target, model.last[to]);
            }
            if moved {
                model.rows[*from].retain(|row| !uids.contains(&row.uid));
            }
        }
        Change::Reopen => {}
    }
}

fn shown(account: &Arc<Account>, mailbox: usize) -> (Vec<Row>, u32) {
    let mailbox = account.mailbox(NAMES[mailbox], now()).unwrap();
    let view = mailbox.refresh(now()).unwrap();
    let rows = view.messages().iter().map(|message| Row {
        uid: message.uid,
        flags: message.flags,
        keywords: view.keywords(message).map(str::to_owned).collect(),
        content: read(&mailbox, message.uid),
    });
    (rows.collect(), view.uid_next)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: common::cases(12), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_format_is_the_list(changes in prop::collection::vec((change(), 0..2usize), 1..25)) {
        let directory = tempfile::tempdir().unwrap();
        let in_memory = AccountConfig::memory("memory");
        for config in configs(directory.path()).into_iter().chain([in_memory]) {
            let mut model = Model::default();
            // Files are shared with other processes, memory with the sessions of one.
            let memory = (config.format == Format::Memory).then(Store::new);
            let open = || match &memory {
                Some(store) => store.account(&config).unwrap(),
                None => Store::new().account(&config).unwrap(),
            };
            let mut sessions = [open(), open()];
            sessions[0].create("Other").unwrap();
            let mut held: Vec<Vec<Arc<Mailbox>>> = Vec::new();
            for session in &sessions {
                held.push(NAMES.iter().map(|name| session.mailbox(name, now()).unwrap()).collect());
            }
            let mut modseq = [[0; 2]; 2];
            for (count, (change, session)) in changes.iter().enumerate() {
                if matches!(change, Change::Reopen) {
                    held[*session].clear();
                    sessions[*session] = open();
                    held[*session] = NAMES.iter().map(|name| sessions[*session].mailbox(name, now()).unwrap()).collect();
                }
                // Times of directories are as coarse as the kernel's tick, and another program's change in the same
                // one may be seen later.
                std::thread::sleep(std::time::Duration::from_millis(10));
                apply(&sessions[*session], &mut model, change, count);
                std::thread::sleep(std::time::Duration::from_millis(10));
                for (which, session) in sessions.iter().enumerate() {
                    for mailbox in 0..2 {
                        let (rows, uid_next) = shown(session, mailbox);
                        prop_assert_eq!(&rows, &model.rows[mailbox], "{:?} session {} after {:?}", config.format, which, change);
                        prop_assert_eq!(uid_next, model.last[mailbox] + 1);
                        let highest = session.mailbox(NAMES[mailbox], now()).unwrap().snapshot().highest_modseq;
                        prop_assert!(highest >= modseq[which][mailbox]);
                        modseq[which][mailbox] = highest;
                    }
                }
            }
        }
    }
}
