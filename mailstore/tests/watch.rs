//! Who is woken by a change, and how often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use common::{at, configs, inbox, now};
use mailstore::{Account, AppendOptions, DeliveryId, FlagChange, Flags, Mailbox, Store, Watch};

fn watched(mailbox: &Arc<Mailbox>) -> (Receiver<()>, Watch) {
    let (tell, told) = channel();
    let watch = mailbox.watch(move || {
        // Nobody waits for it any more.
        let _ = tell.send(());
    });
    (told, watch)
}

/// How often it was woken, counted until the file system has nothing more to tell.
fn wakes(told: &Receiver<()>) -> usize {
    let mut count = 0;
    while told.recv_timeout(Duration::from_millis(150)).is_ok() {
        count += 1;
    }
    count
}

fn deliver(account: &Account, id: &str) {
    let id = DeliveryId {
        id: id.to_owned(),
        arrived: at(1),
        maybe_delivered: false,
    };
    let mut delivery = account.deliver("INBOX", id, now()).unwrap();
    delivery.write(b"A: b\r\n\r\nc\r\n").unwrap();
    delivery.commit(AppendOptions::at(at(7)), now()).unwrap();
}

fn append(mailbox: &Arc<Mailbox>) -> u32 {
    let mut append = mailbox.append(now()).unwrap();
    append.write(b"A: b\r\n\r\nc\r\n").unwrap();
    append.commit(AppendOptions::at(at(7)), now()).unwrap().uid
}

#[test]
fn an_own_change_wakes_once() {
    let directory = tempfile::tempdir().unwrap();
    for config in configs(directory.path()) {
        let account = Store::new().account(&config).unwrap();
        account.create("Other").unwrap();
        let mailbox = inbox(&account);
        let other = account.mailbox("Other", now()).unwrap();
        append(&mailbox);
        let (told, _watch) = watched(&mailbox);
        let (told_other, _watch_other) = watched(&other);
        assert_eq!((wakes(&told), wakes(&told_other)), (0, 0));
        let expect = |what: &str, here: usize, there: usize| {
            let woken = (wakes(&told), wakes(&told_other));
            assert!(
                woken == (here, there),
                "{what}: {woken:?}, {:?}",
                config.format
            );
        };
        append(&mailbox);
        expect("append", 1, 0);
        deliver(&account, "q1");
        expect("delivery", 1, 0);
        assert_eq!(mailbox.refresh(now()).unwrap().messages().len(), 3);
        expect("the look at it", 0, 0);
        let seen = FlagChange::add(Flags::SEEN).with_keywords(["Work"]);
        mailbox.set_flags(&[1, 2], &seen, None, now()).unwrap();
        expect("flags", 1, 0);
        mailbox.set_flags(&[1, 2], &seen, None, now()).unwrap();
        expect("the same flags", 0, 0);
        mailbox.copy(&[1], &other, now()).unwrap();
        expect("copy", 0, 1);
        mailbox.move_to(&[2], &other, now()).unwrap();
        expect("move", 1, 1);
        mailbox.expunge(&[1], now()).unwrap();
        expect("expunge", 1, 0);
        mailbox.refresh(now()).unwrap();
        other.refresh(now()).unwrap();
        expect("a look", 0, 0);
    }
}

#[test]
fn another_ones_change_wakes_even_between_own_ones() {
    let directory = tempfile::tempdir().unwrap();
    for config in configs(directory.path()) {
        let account = Store::new().account(&config).unwrap();
        let mailbox = inbox(&account);
        append(&mailbox);
        let (told, _watch) = watched(&mailbox);
        if !mailbox.hears_others() {
            // This system has no such service: hosts look from time to time.
            continue;
        }
        let elsewhere = Store::new().account(&config).unwrap();
        let theirs = inbox(&elsewhere);
        let woken = |what: &str| match told.recv_timeout(Duration::from_secs(30)) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => panic!("nobody told of {what}: {:?}", config.format),
            Err(error) => panic!("{error}"),
        };
        wakes(&told);
        deliver(&elsewhere, "q1");
        woken("a delivery");
        wakes(&told);
        theirs.refresh(now()).unwrap();
        wakes(&told);
        for round in 0..3 {
            // An own change, then theirs at once: one wake is for the one, one at least for the other.
            let flag = [Flags::SEEN, Flags::FLAGGED, Flags::ANSWERED][round];
            mailbox
                .set_flags(&[1], &FlagChange::add(flag), None, now())
                .unwrap();
            woken("an own change");
            append(&theirs);
            woken("their append");
            wakes(&told);
            theirs
                .expunge(&[3 + u32::try_from(round).unwrap()], now())
                .unwrap();
            woken("their expunge");
            wakes(&told);
        }
    }
}
