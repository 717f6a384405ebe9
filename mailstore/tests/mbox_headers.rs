//! Headers of mbox messages as they are seldom written: folded state, state told twice, and headers without measure.
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
use std::path::Path;
use std::sync::Arc;

use common::{at, now, read};
use mailstore::{AccountConfig, AppendOptions, DeliveryId, FlagChange, Flags, Mailbox, Store};

const FROM: &str = "From ann@example.org Thu Nov 12 13:14:15 2026\n";

fn open(root: &Path) -> Arc<Mailbox> {
    let config = AccountConfig::mbox(root, root.join("INBOX"), "host");
    let account = Store::new().account(&config).unwrap();
    account.mailbox("INBOX", now()).unwrap()
}

/// UIDs, flags and keywords.
fn states(mailbox: &Mailbox) -> Vec<(u32, Flags, Vec<String>)> {
    let view = mailbox.refresh(now()).unwrap();
    let states = view.messages().iter().map(|message| {
        let mut keywords: Vec<String> = view.keywords(message).map(str::to_owned).collect();
        keywords.sort();
        (message.uid, message.flags, keywords)
    });
    states.collect()
}

/// With what the file alone says, without the index.
fn again(root: &Path) -> Vec<(u32, Flags, Vec<String>)> {
    let _ = fs::remove_file(root.join(".posthaste/INBOX.index"));
    states(&open(root))
}

#[test]
fn state_that_is_folded_or_told_twice_is_all_of_it() {
    let root = tempfile::tempdir().unwrap();
    let folded =
        "X-IMAPbase: 77 9 Work\n\tHome Junk\nX-UID: 5\nX-Keywords: Work\n  Home\nSubject: one\n";
    // In the form that is written over in place.
    let slot =
        |uid| format!("X-UID: {uid:010}\nStatus: O \nX-Status:     \nX-Keywords: Work          \n");
    let messages = [
        format!("{folded}\n1\n"),
        // As Dovecot folds it when there are many.
        format!("{}\tHome\nSubject: two\n\n2\n", slot(6)),
        format!(
            "Status: RO\n{}X-Keywords: Home\nSubject: three\n\n3\n",
            slot(7)
        ),
    ];
    let file: String = messages
        .iter()
        .map(|text| format!("{FROM}{text}\n"))
        .collect();
    fs::write(root.path().join("INBOX"), file).unwrap();
    let mailbox = open(root.path());
    let both = ["Home".to_owned(), "Work".to_owned()].to_vec();
    let mut told = vec![
        (5, Flags::NONE, both.clone()),
        (6, Flags::NONE, both.clone()),
        (7, Flags::SEEN, both.clone()),
    ];
    // Whoever gave the last one its keywords twice meant both; the later list is the one.
    told[2].2 = vec!["Home".to_owned()];
    assert_eq!(states(&mailbox), told);
    assert_eq!(mailbox.snapshot().uid_validity, 77);
    let home = FlagChange::remove(Flags::SEEN).with_keywords(["Home"]);
    mailbox.set_flags(&[5, 6, 7], &home, None, now()).unwrap();
    for state in &mut told {
        state.1 = Flags::NONE;
        state.2.retain(|keyword| keyword != "Home");
    }
    assert_eq!(states(&mailbox), told);
    drop(mailbox);
    assert_eq!(again(root.path()), told);
    let mailbox = open(root.path());
    for (nth, uid) in [5, 6, 7].into_iter().enumerate() {
        let subject = ["one", "two", "three"][nth];
        let content = format!("Subject: {subject}\r\n\r\n{}\r\n", nth + 1);
        assert_eq!(read(&mailbox, uid), content.as_bytes());
    }
}

/// Headers that are longer than any that is read whole, and as long as that but for some octets.
fn long_headers() -> Vec<String> {
    let line = "X-Line: 0123456789 0123456789 0123456789\r\n";
    let folded = " folded 0123456789 0123456789\r\n";
    let lines = |octets: usize| line.repeat(octets / (line.len() - 1) + 1);
    let mut headers = vec![
        lines(5 << 18),
        format!("X-Long: {}\r\n{}", "x".repeat(100 << 10), lines(500)),
        format!("{}X-Long: {}\r\n", lines(500), "x".repeat(5 << 18)),
        format!("X-Folded: a\r\n{}", folded.repeat((5 << 18) / folded.len())),
        // Each would begin a message, were it not quoted.
        format!(
            "{}From a Thu Nov 12 13:14:15 2026{}\r\n",
            lines(500),
            " ".repeat(70 << 10)
        ),
        format!(
            "{}{}",
            lines(1 << 20),
            ">From a Thu Nov 12 13:14:15 2026\r\n".repeat(3)
        ),
    ];
    for octets in (0..400).step_by(80) {
        let rest = (1 << 20) - 200 + octets;
        let mut header = line.repeat(rest / (line.len() - 1));
        let left = rest % (line.len() - 1);
        header.push_str(&format!("X: {}\r\n", "y".repeat(left)));
        headers.push(header);
    }
    for octets in [-2i32, -1, 0, 1] {
        let fill = (64 << 10) + octets - "X: \n".len() as i32;
        headers.push(format!(
            "X: {}\r\nSubject: line\r\n",
            "z".repeat(fill as usize)
        ));
    }
    headers
}

#[test]
fn a_message_with_a_long_header_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let mailbox = open(root.path());
    let account = Store::new()
        .account(&AccountConfig::mbox(
            root.path(),
            root.path().join("INBOX"),
            "host",
        ))
        .unwrap();
    let mut contents = vec!["Subject: first\r\n\r\nfirst\r\n".to_owned()];
    let bodies = [
        "body\r\n",
        "From here Thu Nov 12 13:14:15 2026\r\n\r\n>From x\r\n",
    ];
    contents.extend(
        long_headers()
            .into_iter()
            .enumerate()
            .map(|(nth, header)| format!("Subject: {nth}\r\n{header}\r\n{}", bodies[nth % 2])),
    );
    contents.push("Subject: last\r\n\r\nlast\r\n".to_owned());
    for (nth, content) in contents.iter().enumerate() {
        if nth % 3 == 1 {
            let id = DeliveryId {
                id: format!("d{nth}"),
                arrived: at(1),
                maybe_delivered: false,
            };
            let mut delivery = account.deliver("INBOX", id, now()).unwrap();
            delivery.write(content.as_bytes()).unwrap();
            delivery.commit(AppendOptions::at(at(1)), now()).unwrap();
        } else {
            let mut append = mailbox.append(now()).unwrap();
            append.write(content.as_bytes()).unwrap();
            append.commit(AppendOptions::at(at(1)), now()).unwrap();
        }
    }
    let check = |mailbox: &Mailbox, from: usize, flags: Flags| {
        let states = states(mailbox);
        let uids: Vec<u32> = states.iter().map(|state| state.0).collect();
        let wanted: Vec<u32> = (1..=contents.len() as u32).skip(from).collect();
        assert_eq!(uids, wanted);
        for (state, content) in states.iter().zip(&contents[from..]) {
            assert_eq!(state.1, flags);
            let is = read(mailbox, state.0);
            let differs = is.iter().zip(content.as_bytes()).position(|(a, b)| a != b);
            assert!(
                is == content.as_bytes(),
                "UID {}: {} octets, not {}; from {differs:?} on",
                state.0,
                is.len(),
                content.len()
            );
        }
        uids
    };
    let uids = check(&mailbox, 0, Flags::NONE);
    // Some are written over in place, the others make the file be written anew.
    let flagged = FlagChange::add(Flags::FLAGGED).with_keywords(["Work", "Home"]);
    mailbox.set_flags(&uids, &flagged, None, now()).unwrap();
    check(&mailbox, 0, Flags::FLAGGED);
    mailbox.expunge(&[1], now()).unwrap();
    check(&mailbox, 1, Flags::FLAGGED);
    drop((mailbox, account));
    let states = again(root.path());
    assert!(states.iter().all(|state| state.2 == ["Home", "Work"]));
    let mailbox = open(root.path());
    check(&mailbox, 1, Flags::FLAGGED);
    let file = fs::read(root.path().join("INBOX")).unwrap();
    let labels = memchr::memmem::find_iter(&file, b"\nX-UID: ").count();
    assert_eq!(labels, contents.len() - 1);
}
