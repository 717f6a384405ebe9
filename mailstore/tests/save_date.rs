//! When a message came into its mailbox (RFC 8514).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::sync::Arc;
use std::time::SystemTime;

use common::{at, configs};
use mailstore::{AccountConfig, AppendOptions, Format, Mailbox, Store};

fn append(mailbox: &Arc<Mailbox>, when: SystemTime) {
    let mut append = mailbox.append(when).unwrap();
    append.write(b"A: b\r\n\r\nc\r\n").unwrap();
    append.commit(AppendOptions::at(at(3)), when).unwrap();
}

fn dates(mailbox: &Mailbox) -> Vec<Option<SystemTime>> {
    let view = mailbox.refresh(at(900)).unwrap();
    view.messages()
        .iter()
        .map(|message| message.save_date)
        .collect()
}

#[test]
fn every_format_tells_it() {
    let directory = tempfile::tempdir().unwrap();
    let memory = AccountConfig::memory(directory.path().join("memory"));
    for config in configs(directory.path()).into_iter().chain([memory]) {
        let store = Store::new();
        let account = store.account(&config).unwrap();
        account.create("Other").unwrap();
        let inbox = account.mailbox("INBOX", at(10)).unwrap();
        let other = account.mailbox("Other", at(10)).unwrap();
        append(&inbox, at(50));
        append(&inbox, at(60));
        assert_eq!(dates(&inbox), [Some(at(50)), Some(at(60))], "{config:?}");
        // A copy and a message that was moved came when that was done.
        inbox.copy(&[1], &other, at(70)).unwrap();
        inbox.move_to(&[2], &other, at(80)).unwrap();
        assert_eq!(dates(&other), [Some(at(70)), Some(at(80))], "{config:?}");
        if config.format == Format::Memory {
            continue;
        }
        drop((inbox, other, account, store));
        let account = Store::new().account(&config).unwrap();
        let other = account.mailbox("Other", at(90)).unwrap();
        assert_eq!(dates(&other), [Some(at(70)), Some(at(80))], "{config:?}");
    }
}

#[test]
fn an_mbox_without_its_index_does_not_know_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::mbox(directory.path(), directory.path().join("INBOX"), "host");
    let open = || {
        let account = Store::new().account(&config).unwrap();
        account.mailbox("INBOX", at(90)).unwrap()
    };
    append(&open(), at(50));
    assert_eq!(dates(&open()), [Some(at(50))]);
    std::fs::remove_file(directory.path().join(".posthaste/INBOX.index")).unwrap();
    let mailbox = open();
    append(&mailbox, at(95));
    assert_eq!(dates(&mailbox), [None, Some(at(95))]);
}
