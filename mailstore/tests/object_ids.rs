//! MAILBOXID (RFC 8474 §4): the same under every name and in every process, another for every mailbox.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use common::{at, configs};
use mailstore::{Account, AccountConfig, Store};

fn id(account: &Account, name: &str) -> [u8; 16] {
    let mailbox = account.mailbox(name, at(0)).unwrap();
    mailbox.object_id(at(0)).unwrap()
}

fn each_format(test: impl Fn(&AccountConfig, &dyn Fn() -> Arc<Account>)) {
    let directory = tempfile::tempdir().unwrap();
    let memory = AccountConfig::memory(directory.path().join("memory"));
    let of_memory = Store::new();
    for config in configs(directory.path()).iter().chain([&memory]) {
        if *config == memory {
            test(config, &|| of_memory.account(config).unwrap());
        } else {
            test(config, &|| Store::new().account(config).unwrap());
        }
    }
}

#[test]
fn an_id_outlives_names_and_processes() {
    each_format(|config, open| {
        let account = open();
        for name in ["A", "A/B", "C"] {
            if account.create(name).is_err() {
                // A mbox has none below it.
                account.create(&format!("Z/{name}")).unwrap();
            }
        }
        let names: Vec<String> = account
            .list()
            .unwrap()
            .into_iter()
            .filter(|listed| listed.selectable)
            .map(|listed| listed.name)
            .collect();
        assert_eq!(names.len(), 4, "{names:?}");
        let ids: Vec<[u8; 16]> = names.iter().map(|name| id(&account, name)).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4);
        assert!(ids.iter().all(|id| *id != [0; 16]));
        let again = open();
        let ids_again: Vec<_> = names.iter().map(|name| id(&again, name)).collect();
        assert_eq!(ids, ids_again, "{config:?}");
        drop((account, again));

        let account = open();
        let (a, c) = (id(&account, "A"), id(&account, "C"));
        account.rename("A", "New/A", at(1)).unwrap();
        assert_eq!(id(&account, "New/A"), a);
        account.rename("C", "A", at(1)).unwrap();
        assert_eq!(id(&account, "A"), c);
        drop(account);
        let account = open();
        assert_eq!((id(&account, "New/A"), id(&account, "A")), (a, c));

        // Deleted, it is never met again.
        account.delete("A").unwrap();
        account.create("A").unwrap();
        assert_ne!(id(&account, "A"), c);
        // INBOX stays; its messages go to another mailbox (RFC 9051 §6.3.6).
        let inbox = id(&account, "INBOX");
        account.rename("INBOX", "Old", at(1)).unwrap();
        assert_eq!(id(&account, "INBOX"), inbox);
        assert_ne!(id(&account, "Old"), inbox);
    });
}

#[test]
fn what_another_program_left_of_a_mailbox_gives_no_id_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::mbox(directory.path(), directory.path().join("INBOX"), "host");
    let account = Store::new().account(&config).unwrap();
    account.create("A").unwrap();
    let before = id(&account, "A");
    drop(account);
    std::fs::remove_file(directory.path().join("A")).unwrap();
    let account = Store::new().account(&config).unwrap();
    account.create("A").unwrap();
    assert_ne!(id(&account, "A"), before);
}

#[test]
fn dovecots_id_is_kept_and_a_list_without_one_gets_one() {
    let directory = tempfile::tempdir().unwrap();
    let config = AccountConfig::maildir(directory.path(), "host");
    let list = directory.path().join("dovecot-uidlist");
    let account = Store::new().account(&config).unwrap();
    account.mailbox("INBOX", at(0)).unwrap();
    drop(account);
    std::fs::write(&list, "3 V7 N3 G3085f01b7f11094c501100008c4a11c1\n").unwrap();
    let account = Store::new().account(&config).unwrap();
    let known = id(&account, "INBOX");
    assert_eq!(known[..3], [0x30, 0x85, 0xf0]);
    drop(account);
    // Courier's form, and Dovecot's before there were ids.
    for text in ["1 7 3\n", "3 V7 N3\n", "3 V7 N3 Gxyz\n"] {
        std::fs::write(&list, text).unwrap();
        let account = Store::new().account(&config).unwrap();
        let given = id(&account, "INBOX");
        assert_ne!(given, known);
        let mailbox = account.mailbox("INBOX", at(0)).unwrap();
        assert_eq!(mailbox.snapshot().uid_validity, 7);
        assert_eq!(mailbox.snapshot().uid_next, 3);
        drop((account, mailbox));
        let account = Store::new().account(&config).unwrap();
        assert_eq!(id(&account, "INBOX"), given);
        let written = std::fs::read_to_string(&list).unwrap();
        assert_eq!(written.lines().next().unwrap().matches(" G").count(), 1);
    }
}
