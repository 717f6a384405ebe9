//! A message that is moved between Maildir mailboxes of an account is in one of them, whatever happens.
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

use common::power::{Power, Trial};
use common::sim::{Fail, Sim, World};
use common::{at, now, read};
use mailstore::{Account, AccountConfig, AppendOptions, FlagChange, Flags, Mailbox, Store};

/// Tests have roots of their own: the locks of a process are known by their paths.
fn configs(root: &str) -> [AccountConfig; 2] {
    let mut configs = [
        AccountConfig::maildir(root, "host"),
        AccountConfig::maildir_fs(root, "host"),
    ];
    for config in &mut configs {
        // What is left of it is never believed unseen; without it there are fewer worlds.
        config.index = false;
    }
    configs
}

/// When every lock that a crash left is old.
fn later() -> std::time::SystemTime {
    at(1_000_000)
}

fn body(nth: u32) -> Vec<u8> {
    format!("Subject: {nth}\r\n\r\nbody of {nth}\r\n").into_bytes()
}

fn append(mailbox: &Arc<Mailbox>, nth: u32) {
    let mut append = mailbox.append(at(0)).unwrap();
    append.write(&body(nth)).unwrap();
    let options = AppendOptions {
        flags: Flags::FLAGGED,
        keywords: vec!["Work".to_owned()],
        internal_date: at(3),
    };
    append.commit(options, at(0)).unwrap();
}

/// An account with messages 1 to 3 in INBOX and 4 in the other mailbox.
fn prepared(config: &AccountConfig) -> World {
    let sim = Sim::new(World::new());
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(config)
        .unwrap();
    account.create("Other").unwrap();
    let inbox = account.mailbox("INBOX", at(0)).unwrap();
    for nth in 1..=3 {
        append(&inbox, nth);
    }
    append(&account.mailbox("Other", at(0)).unwrap(), 4);
    drop((inbox, account));
    sim.world()
}

/// INBOX and the other mailbox.
fn opened(sim: &Sim, config: &AccountConfig) -> (Arc<Account>, [Arc<Mailbox>; 2]) {
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(config)
        .unwrap();
    let mailboxes = ["INBOX", "Other"].map(|name| account.mailbox(name, at(1)).unwrap());
    (account, mailboxes)
}

type Places = BTreeMap<u32, Vec<&'static str>>;

/// Where each message is, with flags and keywords as they were.
fn places(sim: &Sim, config: &AccountConfig) -> Result<Places, String> {
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(config)
        .unwrap();
    let mut places: Places = BTreeMap::new();
    for name in ["INBOX", "Other"] {
        let mailbox = account
            .mailbox(name, later())
            .map_err(|error| error.to_string())?;
        let view = mailbox
            .refresh(later())
            .map_err(|error| error.to_string())?;
        for message in view.messages() {
            let content = read(&mailbox, message.uid);
            let nth = (1..=4).find(|nth| body(*nth) == content);
            let nth = nth.ok_or("a message is not whole")?;
            let keywords: Vec<&str> = view.keywords(message).collect();
            if message.flags != Flags::FLAGGED
                || keywords != ["Work"]
                || message.internal_date != at(3)
            {
                return Err(format!("message {nth} is another: {message:?}"));
            }
            places.entry(nth).or_default().push(name);
        }
    }
    Ok(places)
}

fn each_once(places: &Places) -> Result<(), String> {
    let once = (1..=4).all(|nth| places.get(&nth).is_some_and(|places| places.len() == 1));
    if once {
        Ok(())
    } else {
        Err(format!("{places:?}"))
    }
}

#[test]
fn losing_power_leaves_it_once() {
    for config in configs("/lost") {
        let base = prepared(&config);
        let sim = Sim::new(base.clone());
        let (_account, [inbox, other]) = opened(&sim, &config);
        let moved = inbox.move_to(&[1, 3], &other, at(2)).unwrap();
        assert_eq!(moved.uids, [(1, 2), (3, 3)]);
        let acknowledged = sim.op_count();
        other.move_to(&[1], &inbox, at(2)).unwrap();
        let ops = sim.ops();
        let power = Power {
            base: base.with_other_times(),
            ops,
            then: |_| {},
        };
        let look = |sim: &Sim| places(sim, &config);
        let judge = |places: &Places, cut: usize| {
            each_once(places)?;
            if cut >= acknowledged && (places[&3] != ["Other"]) {
                return Err(format!("it was acknowledged: {places:?}"));
            }
            Ok(())
        };
        power.some_loss(6, &Trial::new(&look, &judge)).unwrap();
    }
}

/// An mbox cannot give a message another name: it is copied, and then taken away.
#[test]
fn losing_power_leaves_a_message_of_an_mbox_once_or_twice() {
    let mut config = AccountConfig::mbox("/mboxes", "/mboxes/INBOX", "host");
    config.index = false;
    let base = prepared(&config);
    let sim = Sim::new(base.clone());
    let (_account, [inbox, other]) = opened(&sim, &config);
    let begun = sim.op_count();
    let moved = inbox.move_to(&[1, 3], &other, at(2)).unwrap();
    assert_eq!(moved.uids, [(1, 2), (3, 3)]);
    let acknowledged = sim.op_count();
    assert!(acknowledged > begun);
    let power = Power::new(base.with_other_times(), sim.ops());
    let look = |sim: &Sim| places(sim, &config);
    let twice = std::cell::Cell::new(0);
    let judge = |places: &Places, cut: usize| {
        for nth in 1..=4 {
            let places = places.get(&nth).map_or(&[][..], Vec::as_slice);
            let wanted: &[&[&str]] = match nth {
                1 | 3 => &[&["INBOX"], &["INBOX", "Other"], &["Other"]],
                2 => &[&["INBOX"]],
                _ => &[&["Other"]],
            };
            if !wanted.contains(&places) {
                return Err(format!("message {nth} is in {places:?}"));
            }
            twice.set(twice.get() + usize::from(places.len() == 2));
            if cut >= acknowledged && matches!(nth, 1 | 3) && places != ["Other"] {
                return Err(format!("it was acknowledged: {nth} in {places:?}"));
            }
        }
        // Both or none came.
        if places[&1].contains(&"Other") != places[&3].contains(&"Other") {
            return Err(format!("one came alone: {places:?}"));
        }
        Ok(())
    };
    power.some_loss(12, &Trial::new(&look, &judge)).unwrap();
    // It does happen, so whoever asks again after a crash looks first.
    assert!(twice.get() > 0);
}

#[test]
fn a_failing_disk_leaves_it_once() {
    for config in configs("/failing") {
        let base = prepared(&config);
        for lasting in [false, true] {
            for call in 0.. {
                let sim = Sim::new(base.clone());
                let (_account, [inbox, other]) = opened(&sim, &config);
                let errno = if lasting { 28 } else { 5 };
                sim.fail(Some(Fail {
                    call,
                    errno,
                    lasting,
                }));
                let moved = inbox.move_to(&[1, 3], &other, at(2));
                let calls = sim.calls();
                sim.fail(None);
                if let Ok(moved) = moved {
                    assert_eq!(moved.uids.len(), 2);
                }
                let places = places(&sim, &config).unwrap();
                each_once(&places).unwrap_or_else(|error| panic!("call {call}: {error}"));
                // The handles go on where they are.
                let [left, there] = [&inbox, &other].map(|mailbox| {
                    let view = mailbox.refresh(at(100)).unwrap();
                    view.messages().len()
                });
                assert_eq!(left + there, 4, "call {call}");
                if calls <= call {
                    break;
                }
            }
        }
    }
}

#[test]
fn both_ways_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for config in common::configs(directory.path()) {
        let account = Store::new().account(&config).unwrap();
        account.create("Other").unwrap();
        let mailboxes = ["INBOX", "Other"].map(|name| account.mailbox(name, now()).unwrap());
        for nth in 1..=4 {
            append(&mailboxes[nth as usize % 2], nth);
        }
        std::thread::scope(|scope| {
            for which in 0..2 {
                let mailboxes = &mailboxes;
                scope.spawn(move || {
                    let (from, to) = (&mailboxes[which], &mailboxes[1 - which]);
                    for _ in 0..8 {
                        let view = from.refresh(now()).unwrap();
                        let Some(message) = view.messages().first() else {
                            continue;
                        };
                        let moved = from
                            .move_to(&[message.uid, message.uid], to, now())
                            .unwrap();
                        assert!(moved.uids.len() <= 1);
                        let flagged = FlagChange::add(Flags::FLAGGED);
                        from.set_flags(&[message.uid], &flagged, None, now())
                            .unwrap();
                    }
                });
            }
        });
        let mut contents = Vec::new();
        for mailbox in &mailboxes {
            let view = mailbox.refresh(now()).unwrap();
            contents.extend(
                view.messages()
                    .iter()
                    .map(|message| read(mailbox, message.uid)),
            );
        }
        contents.sort();
        assert_eq!(
            contents,
            (1..=4).map(body).collect::<Vec<_>>(),
            "{:?}",
            config.format
        );
    }
}
