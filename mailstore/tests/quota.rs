//! Quota: what fits goes in, what does not is refused whole, and the sums are those of the files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::{at, inbox, now};
use mailstore::{
    Account, AccountConfig, AppendOptions, DeliveryId, Error, Mailbox, QuotaLimits, QuotaResource,
    QuotaUsed, Store,
};

/// 39 octets on the disk.
const MESSAGE: &[u8] = b"Subject: forty octets\r\n\r\n123456789012345\r\n";
const OCTETS: u64 = 39;

fn maildirs(root: &Path, rules: &[&str]) -> [AccountConfig; 2] {
    let mut configs = [
        AccountConfig::maildir(root.join("plus"), "host"),
        AccountConfig::maildir_fs(root.join("fs"), "host"),
    ];
    for config in &mut configs {
        config.quota = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    }
    configs
}

fn open(config: &AccountConfig) -> Arc<Account> {
    Store::new().account(config).unwrap()
}

fn append(mailbox: &Arc<Mailbox>) -> Result<u32, Error> {
    let mut append = mailbox.append(now())?;
    append.write(MESSAGE)?;
    append
        .commit(AppendOptions::at(at(0)), now())
        .map(|appended| appended.uid)
}

fn deliver(account: &Account, mailbox: &str, id: &str) -> Result<(), Error> {
    let id = DeliveryId {
        id: id.to_owned(),
        arrived: at(0),
        maybe_delivered: true,
    };
    let mut delivery = account.deliver(mailbox, id, now())?;
    delivery.write(MESSAGE)?;
    delivery.commit(AppendOptions::at(at(0)), now()).map(|_| ())
}

fn used(account: &Account) -> (u64, u64) {
    let (_, used) = account.quota(now()).unwrap().expect("a quota");
    (used.storage, used.messages)
}

#[test]
fn every_way_in_is_counted_and_refused() {
    let directory = tempfile::tempdir().unwrap();
    let rules = ["*:bytes=200:messages=4", "Trash:messages=+2", "Junk:ignore"];
    for config in maildirs(directory.path(), &rules) {
        let account = open(&config);
        for name in ["Trash", "Junk", "Other"] {
            account.create(name).unwrap();
        }
        let (inbox, other) = (inbox(&account), account.mailbox("Other", now()).unwrap());
        let trash = account.mailbox("Trash", now()).unwrap();
        let junk = account.mailbox("Junk", now()).unwrap();
        append(&inbox).unwrap();
        append(&inbox).unwrap();
        deliver(&account, "INBOX", "one").unwrap();
        // The second try of the same delivery adds nothing.
        deliver(&account, "INBOX", "one").unwrap();
        inbox.refresh(now()).unwrap();
        inbox.copy(&[1], &other, now()).unwrap();
        assert_eq!(used(&account), (4 * OCTETS, 4));

        // Full, whichever way.
        let refused = |error: Error| match error {
            Error::OverQuota {
                resource,
                used,
                wanted,
                limit,
                ..
            } => (resource, used, wanted, limit),
            other => panic!("{other}"),
        };
        let full = (QuotaResource::Message, 4, 1, 4);
        assert_eq!(refused(append(&inbox).unwrap_err()), full);
        assert_eq!(
            refused(deliver(&account, "INBOX", "two").unwrap_err()),
            full
        );
        assert_eq!(
            refused(inbox.copy(&[1, 2], &other, now()).unwrap_err()),
            (QuotaResource::Storage, 4 * OCTETS, 2 * OCTETS, 200)
        );
        assert_eq!(inbox.refresh(now()).unwrap().messages().len(), 3);
        assert_eq!(other.refresh(now()).unwrap().messages().len(), 1);
        for folder in ["", ".Other", "Other"] {
            let tmp = config.root.join(folder).join("tmp");
            if tmp.exists() {
                assert_eq!(std::fs::read_dir(tmp).unwrap().count(), 0);
            }
        }

        // Moving within the account needs no room; what is not counted has none to need.
        inbox.move_to(&[2], &other, now()).unwrap();
        assert_eq!(used(&account), (4 * OCTETS, 4));
        deliver(&account, "Junk", "three").unwrap();
        inbox.copy(&[1], &junk, now()).unwrap();
        assert_eq!(used(&account), (4 * OCTETS, 4));
        // Into the counted from the uncounted it does.
        assert!(junk.move_to(&[1], &inbox, now()).is_err());
        assert_eq!(junk.refresh(now()).unwrap().messages().len(), 2);

        // The trash takes a little more: 5 messages fit into 200 octets, 6 do not.
        inbox.copy(&[1], &trash, now()).unwrap();
        assert_eq!(
            refused(inbox.copy(&[1], &trash, now()).unwrap_err()),
            (QuotaResource::Storage, 5 * OCTETS, OCTETS, 200)
        );
        trash.expunge(&[1], now()).unwrap();
        other.expunge(&[1, 2, 9], now()).unwrap();
        assert_eq!(used(&account), (2 * OCTETS, 2));
        append(&inbox).unwrap();

        // What the file says is what a count finds.
        let text = std::fs::read_to_string(config.root.join("maildirsize")).unwrap();
        assert!(text.starts_with("200S,4C\n"), "{text}");
        let told = used(&account);
        std::fs::remove_file(config.root.join("maildirsize")).unwrap();
        assert_eq!(used(&account), told);
        account.delete("Other").unwrap();
        append(&inbox).unwrap();
        assert_eq!(used(&account), (4 * OCTETS, 4));
    }
}

#[test]
fn limits_of_a_file_alone_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    for config in maildirs(directory.path(), &[]) {
        let account = open(&config);
        let inbox = inbox(&account);
        append(&inbox).unwrap();
        assert_eq!(account.quota(now()).unwrap(), None);
        let path = config.root.join("maildirsize");
        std::fs::write(&path, "1000S,2C\n").unwrap();
        // No line says what is there, so it is counted.
        assert_eq!(used(&account), (OCTETS, 1));
        std::fs::write(&path, "1000S,2C\nrubbish\n").unwrap();
        assert_eq!(used(&account), (OCTETS, 1));
        append(&inbox).unwrap();
        assert!(matches!(append(&inbox), Err(Error::OverQuota { .. })));
        // "Full" is not believed of sums that were added up.
        std::fs::write(&path, "1000S,2C\n5000 50\n1 1\n").unwrap();
        inbox.expunge(&[1], now()).unwrap();
        append(&inbox).unwrap();
        assert_eq!(used(&account), (2 * OCTETS, 2));
        // Nor of an old file.
        let old = now() - Duration::from_secs(16 * 60);
        std::fs::write(&path, "1000S,9C\n5000 50\n").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        append(&inbox).unwrap();
        assert_eq!(used(&account), (3 * OCTETS, 3));
        account.create("Gone").unwrap();
        account.delete("Gone").unwrap();
        let limits = QuotaLimits {
            storage: Some(1000),
            messages: Some(9),
        };
        let used = QuotaUsed {
            storage: 3 * OCTETS,
            messages: 3,
        };
        assert_eq!(account.quota(now()).unwrap(), Some((limits, used)));
    }
}

#[test]
fn the_file_does_not_grow() {
    let directory = tempfile::tempdir().unwrap();
    for config in maildirs(directory.path(), &["*:messages=1000"]) {
        let account = open(&config);
        let inbox = inbox(&account);
        let path = config.root.join("maildirsize");
        std::fs::write(&path, format!("1000C\n{}", "1 1\n-1 -1\n".repeat(500))).unwrap();
        for _ in 0..60 {
            append(&inbox).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= 5120);
        assert_eq!(used(&account), (60 * OCTETS, 60));
    }
}

#[test]
fn an_mbox_account_has_limits_too() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let mut config = AccountConfig::mbox(&root, root.join("INBOX"), "host");
    config.quota = ["*:messages=3:bytes=2000", "Junk:ignore"]
        .map(|rule| rule.parse().unwrap())
        .to_vec();
    let account = open(&config);
    account.create("Junk").unwrap();
    let inbox = inbox(&account);
    append(&inbox).unwrap();
    append(&inbox).unwrap();
    deliver(&account, "INBOX", "a").unwrap();
    assert!(matches!(
        deliver(&account, "INBOX", "b"),
        Err(Error::OverQuota {
            resource: QuotaResource::Message,
            used: 3,
            ..
        })
    ));
    assert!(matches!(append(&inbox), Err(Error::OverQuota { .. })));
    deliver(&account, "Junk", "b").unwrap();
    let len = std::fs::metadata(root.join("INBOX")).unwrap().len();
    assert_eq!(used(&account), (len, 3));
    inbox.refresh(now()).unwrap();
    inbox.expunge(&[1, 2], now()).unwrap();
    assert_eq!(used(&account).1, 1);
    let mut large = inbox.append(now()).unwrap();
    large.write(MESSAGE).unwrap();
    large.write(&[b'x'; 3000]).unwrap();
    let error = large.commit(AppendOptions::at(at(0)), now()).unwrap_err();
    assert!(error.is_no_space() && !error.is_temporary(), "{error}");
}

#[test]
fn a_delivery_without_quota_asks_for_no_clock() {
    // The times of files and the caller's own need not agree.
    let directory = tempfile::tempdir().unwrap();
    let [config, _] = maildirs(directory.path(), &["*:messages=1"]);
    let account = open(&config);
    let inbox = inbox(&account);
    append(&inbox).unwrap();
    inbox.expunge(&[1], SystemTime::UNIX_EPOCH).unwrap();
    append(&inbox).unwrap();
    assert_eq!(used(&account), (OCTETS, 1));
}
