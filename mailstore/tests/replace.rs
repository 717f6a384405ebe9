//! A message that comes in the place of another: never neither, and of the quota what it needs beyond the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::sync::Arc;

use common::power::{Power, Trial};
use common::sim::{Fail, Sim, World};
use common::{at, configs, now, read};
use mailstore::{
    Account, AccountConfig, AppendOptions, Appended, Error, Flags, Mailbox, QuotaResource, Store,
};

fn append(mailbox: &Arc<Mailbox>, content: &[u8]) -> Result<Appended, Error> {
    let mut append = mailbox.append(now())?;
    append.write(content)?;
    append.commit(AppendOptions::at(at(0)), now())
}

fn replace(
    mailbox: &Arc<Mailbox>,
    content: &[u8],
    other: &Mailbox,
    uid: u32,
) -> Result<Appended, Error> {
    let mut append = mailbox.append(now())?;
    append.write(content)?;
    let mut options = AppendOptions::at(at(0));
    options.flags = Flags::SEEN;
    append.replace(options, other, uid, now())
}

fn uids(mailbox: &Mailbox) -> Vec<u32> {
    let view = mailbox.refresh(now()).unwrap();
    view.messages().iter().map(|message| message.uid).collect()
}

fn drafts(config: &AccountConfig) -> (Arc<Account>, Arc<Mailbox>, Arc<Mailbox>) {
    let account = Store::new().account(config).unwrap();
    account.create("Drafts").unwrap();
    account.create("Sent").unwrap();
    let open = |name| account.mailbox(name, now()).unwrap();
    let (drafts, sent) = (open("Drafts"), open("Sent"));
    (account, drafts, sent)
}

#[test]
fn in_the_same_mailbox_and_in_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut all = configs(directory.path()).to_vec();
    all.push(AccountConfig::memory(directory.path().join("memory")));
    for config in &all {
        let (_account, drafts, sent) = drafts(config);
        for content in ["one", "two", "three"] {
            append(&drafts, format!("Subject: {content}\r\n\r\n").as_bytes()).unwrap();
        }
        let before = drafts.snapshot().highest_modseq;
        let content = b"Subject: new\r\n\r\ntext\r\n";
        let placed = replace(&drafts, content, &drafts, 2).unwrap();
        assert_eq!(placed.uid, 4, "{config:?}");
        assert_eq!(uids(&drafts), [1, 3, 4]);
        assert_eq!(read(&drafts, 4), content);
        let view = drafts.snapshot();
        assert_eq!(view.message(4).unwrap().flags, Flags::SEEN);
        let changes = drafts.changes_since(before);
        assert_eq!(changes.vanished, [2..=2]);
        assert_eq!(changes.changed, [4]);
        // What is gone is not replaced, and nothing comes.
        for (target, left) in [(&drafts, vec![1, 3, 4]), (&sent, vec![])] {
            for uid in [2, 9] {
                let error = replace(target, content, &drafts, uid).unwrap_err();
                assert!(matches!(error, Error::NoSuchMessage(gone) if gone == uid));
            }
            assert_eq!(uids(target), left);
        }
        let placed = replace(&sent, content, &drafts, 4).unwrap();
        assert_eq!((placed.uid, uids(&drafts)), (1, vec![1, 3]));
        assert_eq!(uids(&sent), [1]);
        // Another session had it away meanwhile: it looks as if it was there.
        let other = Store::new().account(config).unwrap();
        if let Ok(other) = other.mailbox("Drafts", now()) {
            other.refresh(now()).unwrap();
            other.expunge(&[1], now()).unwrap();
            let error = replace(&sent, content, &drafts, 1).unwrap_err();
            assert!(matches!(error, Error::NoSuchMessage(1)));
            assert_eq!((uids(&drafts), uids(&sent)), (vec![3], vec![1]));
        }
    }
}

#[test]
fn what_it_needs_beyond_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for mut config in [
        AccountConfig::maildir(root.join("plus"), "host"),
        AccountConfig::maildir_fs(root.join("fs"), "host"),
    ] {
        let rules = ["*:bytes=1000:messages=2", "Sent:messages=+1"];
        config.quota = rules.map(|rule| rule.parse().unwrap()).to_vec();
        let (account, drafts, sent) = drafts(&config);
        append(&drafts, &[b'a'; 400]).unwrap();
        append(&drafts, &[b'b'; 400]).unwrap();
        assert!(append(&drafts, b"c").is_err());
        let used = || {
            let (_, used) = account.quota(now()).unwrap().unwrap();
            (used.storage, used.messages)
        };
        replace(&drafts, &[b'c'; 600], &drafts, 1).unwrap();
        assert_eq!((used(), uids(&drafts)), ((1000, 2), vec![2, 3]));
        let error = replace(&drafts, &[b'd'; 601], &drafts, 3).unwrap_err();
        let Error::OverQuota {
            resource,
            used: sum,
            wanted,
            limit,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (resource, sum, wanted, limit),
            (QuotaResource::Storage, 1000, 1, 1000)
        );
        assert_eq!((used(), uids(&drafts)), ((1000, 2), vec![2, 3]));
        replace(&sent, &[b'e'; 100], &drafts, 3).unwrap();
        assert_eq!((used(), uids(&drafts)), ((500, 2), vec![2]));
        assert_eq!(uids(&sent), [1]);
        // The sums are those of the files.
        std::fs::remove_file(config.root.join("maildirsize")).unwrap();
        assert_eq!(used(), (500, 2));
    }
}

const OLD: &[u8] = b"Subject: old\r\n\r\nold text\r\n";
const NEW: &[u8] = b"Subject: new\r\n\r\nnew text, which is longer\r\n";

fn formats() -> [AccountConfig; 2] {
    [
        AccountConfig::maildir("/mail", "host"),
        AccountConfig::mbox("/mail", "/mail/INBOX", "host"),
    ]
}

/// An account with the old message in INBOX.
fn base(config: &AccountConfig) -> World {
    let sim = Sim::new(World::new());
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(config)
        .unwrap();
    account.create("Other").unwrap();
    let inbox = account.mailbox("INBOX", at(100)).unwrap();
    let mut append = inbox.append(at(100)).unwrap();
    append.write(OLD).unwrap();
    append.commit(AppendOptions::at(at(0)), at(100)).unwrap();
    inbox.refresh(at(101)).unwrap();
    account
        .mailbox("Other", at(101))
        .unwrap()
        .refresh(at(101))
        .unwrap();
    drop((inbox, account));
    sim.world()
}

/// So much later that a lock that was left is old.
fn open(sim: &Sim, config: &AccountConfig, name: &str) -> Result<Arc<Mailbox>, Error> {
    let account = Store::with_fs(Arc::new(sim.clone())).account(config)?;
    account.mailbox(name, at(20_000))
}

fn act(sim: &Sim, config: &AccountConfig, target: &str) -> Result<(), Error> {
    let account = Store::with_fs(Arc::new(sim.clone())).account(config)?;
    let inbox = account.mailbox("INBOX", at(200))?;
    let target = account.mailbox(target, at(200))?;
    let mut append = target.append(at(200))?;
    append.write(NEW)?;
    append
        .replace(AppendOptions::at(at(0)), &inbox, 1, at(200))
        .map(|_| ())
}

/// How often the old one is there, and the new one.
fn look(sim: &Sim, config: &AccountConfig) -> Result<(usize, usize), String> {
    let (mut old, mut new) = (0, 0);
    for name in ["INBOX", "Other"] {
        let fail = |error: Error| error.to_string();
        let mailbox = open(sim, config, name).map_err(fail)?;
        for message in mailbox.refresh(at(20_000)).map_err(fail)?.messages() {
            match &*read(&mailbox, message.uid) {
                OLD => old += 1,
                NEW => new += 1,
                other => return Err(format!("{:?}", String::from_utf8_lossy(other))),
            }
        }
    }
    Ok((old, new))
}

#[test]
fn a_loss_of_power_loses_neither() {
    for config in formats() {
        for target in ["INBOX", "Other"] {
            let base = base(&config);
            let sim = Sim::new(base.clone());
            act(&sim, &config, target).unwrap();
            let ops = sim.ops();
            let all = ops.len();
            let seen = |sim: &Sim| look(sim, &config);
            let judge = |found: &(usize, usize), cut: usize| match found {
                (0, 1) => Ok(()),
                (1, 0 | 1) if cut < all => Ok(()),
                other => Err(format!("(old, new): {other:?}")),
            };
            let trial = Trial::new(&seen, &judge);
            Power::new(base.with_other_times(), ops)
                .some_loss(12, &trial)
                .unwrap_or_else(|error| panic!("{config:?} {target}: {error}"));
        }
    }
}

#[test]
fn a_failing_disk_loses_neither() {
    for (is_mbox, config) in [false, true].into_iter().zip(formats()) {
        for target in ["INBOX", "Other"] {
            let base = base(&config);
            let calls = {
                let sim = Sim::new(base.clone());
                sim.fail(None);
                act(&sim, &config, target).unwrap();
                assert_eq!(look(&sim, &config), Ok((0, 1)));
                sim.calls()
            };
            for call in 0..calls {
                for (errno, lasting) in [(5, false), (28, false), (28, true)] {
                    let fail = Fail {
                        call,
                        errno,
                        lasting,
                    };
                    let sim = Sim::new(base.clone());
                    sim.fail(Some(fail));
                    let done = act(&sim, &config, target);
                    sim.fail(None);
                    let found = look(&sim, &config).unwrap();
                    let good = match done {
                        Ok(()) => found == (0, 1),
                        // One failure alone is undone, but for one behind the octets of an mbox.
                        Err(_) => {
                            found == (1, 0)
                                || lasting && found.0 + found.1 > 0
                                || is_mbox && found == (1, 1)
                        }
                    };
                    assert!(good, "{config:?} {target} {fail:?}: {done:?} {found:?}");
                }
            }
        }
    }
}
