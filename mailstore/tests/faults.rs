//! A disk that fails or is full at any call: a precise error, nothing lost, and all works once it is well again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::sim::{Fail, Sim, World};
use common::{at, read};
use mailstore::{
    Account, AccountConfig, AppendOptions, Batch, DeliveryId, Error, FlagChange, Flags, Spool,
    SpoolConfig, Store,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// What NFS says of a file that another host renamed or removed.
const ESTALE: i32 = 116;

fn body(name: &str) -> Vec<u8> {
    format!("Subject: {name}\r\n\r\n{}\r\n", name.repeat(300)).into_bytes()
}

fn subject(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    text.lines()
        .next()
        .unwrap_or_default()
        .strip_prefix("Subject: ")
        .unwrap_or_default()
        .to_owned()
}

/// How often each message must and may be in INBOX and Other together.
#[derive(Default)]
struct Facts {
    /// Acknowledged and not touched by a removal: exactly once.
    must: Vec<String>,
    /// In doubt, because a call failed.
    doubt: Vec<String>,
    gone: Vec<String>,
    errors: Vec<Error>,
}

impl Facts {
    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }
}

fn append(account: &Account, name: &str, content: &str) -> Result<u32, Error> {
    let mut append = account.mailbox(name, at(200))?.append(at(200))?;
    append.write(&body(content))?;
    Ok(append.commit(AppendOptions::at(at(3)), at(200))?.uid)
}

fn deliver(account: &Account, content: &str, maybe_delivered: bool) -> Result<(), Error> {
    let id = DeliveryId {
        id: content.to_owned(),
        arrived: at(1),
        maybe_delivered,
    };
    let mut delivery = account.deliver("INBOX", id, at(200))?;
    delivery.write(&body(content))?;
    delivery.commit(AppendOptions::at(at(4)), at(200)).map(drop)
}

fn run(account: &Account, facts: &mut Facts) {
    if facts.note(deliver(account, "d1", false)).is_none() {
        // As the queue does it: the next try is told.
        match facts.note(deliver(account, "d1", true)) {
            Some(()) => facts.must.push("d1".to_owned()),
            None => facts.doubt.push("d1".to_owned()),
        }
    } else {
        facts.must.push("d1".to_owned());
    }
    let mut uids = HashMap::new();
    for name in ["a1", "a2", "a3"] {
        match facts.note(append(account, "INBOX", name)) {
            Some(uid) => {
                uids.insert(name, uid);
                facts.must.push(name.to_owned());
            }
            None => facts.doubt.push(name.to_owned()),
        }
    }
    let Some(mailbox) = facts.note(account.mailbox("INBOX", at(200))) else {
        return;
    };
    facts.note(mailbox.refresh(at(200)).map(drop));
    if let Some(uid) = uids.get("a1") {
        facts.note(mailbox.set_flags(
            &[*uid],
            &FlagChange::add(Flags::SEEN).with_keywords(["k"]),
            None,
            at(200),
        ));
    }
    // The index's digests are written by it.
    for digest in mailbox.digests(&uids.values().copied().collect::<Vec<_>>(), at(200)) {
        facts.note(digest.map(drop));
    }
    if let Some(uid) = uids.get("a2") {
        facts.must.retain(|name| name != "a2");
        match facts.note(mailbox.expunge(&[*uid], at(200))) {
            Some(_) => facts.gone.push("a2".to_owned()),
            None => facts.doubt.push("a2".to_owned()),
        }
    }
    if let Some(uid) = uids.get("a3")
        && let Some(other) = facts.note(account.mailbox("Other", at(200)))
        && facts
            .note(mailbox.move_to(&[*uid], &other, at(200)))
            .is_none()
    {
        // Copied but not expunged, it is in both; it must not be in none.
        facts.must.retain(|name| name != "a3");
        facts.doubt.push("+a3".to_owned());
    }
}

fn check(account: &Account, facts: &Facts) -> Result<(), String> {
    let mut count: HashMap<String, usize> = HashMap::new();
    for name in ["INBOX", "Other"] {
        let mailbox = account
            .mailbox(name, at(900))
            .map_err(|error| error.to_string())?;
        let view = mailbox
            .refresh(at(900))
            .map_err(|error| error.to_string())?;
        for message in view.messages() {
            let content = read(&mailbox, message.uid);
            let subject = subject(&content);
            if content != body(&subject) {
                return Err(format!("UID {} of {name} is not whole", message.uid));
            }
            *count.entry(subject).or_default() += 1;
        }
    }
    let of = |name: &str| count.get(name).copied().unwrap_or(0);
    for name in &facts.must {
        if of(name) != 1 {
            return Err(format!("{name} is there {} times", of(name)));
        }
    }
    for name in &facts.doubt {
        let (least, most, name) = match name.strip_prefix('+') {
            Some(name) => (1, 2, name),
            None => (0, 1, name.as_str()),
        };
        if !(least..=most).contains(&of(name)) {
            return Err(format!("{name}, in doubt, is there {} times", of(name)));
        }
    }
    match facts.gone.iter().find(|name| of(name) > 0) {
        Some(name) => Err(format!("{name} is back")),
        None => Ok(()),
    }
}

fn each_fault(config: &AccountConfig) {
    let start = Sim::new(World::new());
    let account = Store::with_fs(Arc::new(start.clone()))
        .account(config)
        .unwrap();
    account.create("Other").unwrap();
    drop(account);
    let base = start.world();
    let calls = {
        let sim = Sim::new(base.clone());
        let account = Store::with_fs(Arc::new(sim.clone()))
            .account(config)
            .unwrap();
        sim.fail(None);
        let mut facts = Facts::default();
        run(&account, &mut facts);
        assert!(facts.errors.is_empty(), "{:?}", facts.errors);
        check(&account, &facts).unwrap();
        sim.calls()
    };
    for call in 0..calls {
        for (errno, lasting) in [
            (EIO, false),
            (ESTALE, false),
            (ENOSPC, false),
            (ENOSPC, true),
        ] {
            let fail = Fail {
                call,
                errno,
                lasting,
            };
            let sim = Sim::new(base.clone());
            let store = Store::with_fs(Arc::new(sim.clone()));
            let account = store.account(config).unwrap();
            sim.fail(Some(fail));
            let mut facts = Facts::default();
            run(&account, &mut facts);
            for error in &facts.errors {
                assert!(
                    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(errno)),
                    "{config:?} {fail:?}: {error}"
                );
                assert_eq!(error.is_no_space(), errno == ENOSPC);
            }
            sim.fail(None);
            check(&account, &facts).unwrap_or_else(|error| panic!("{config:?} {fail:?}: {error}"));
            for name in ["INBOX", "Other"] {
                append(&account, name, "later")
                    .unwrap_or_else(|error| panic!("{config:?} {fail:?}: {error}"));
            }
            let inbox = account.mailbox("INBOX", at(900)).unwrap();
            let uids: Vec<u32> = inbox
                .snapshot()
                .messages()
                .iter()
                .map(|message| message.uid)
                .collect();
            drop((inbox, account));
            let account = store.account(config).unwrap();
            check(&account, &facts)
                .unwrap_or_else(|error| panic!("{config:?} {fail:?} reopened: {error}"));
            let again = account.mailbox("INBOX", at(900)).unwrap().snapshot();
            let again: Vec<u32> = again.messages().iter().map(|message| message.uid).collect();
            assert_eq!(again, uids, "{config:?} {fail:?}");
            // What is left of the index is right, or given up.
            let found = account.verify("INBOX", at(900)).unwrap();
            assert_eq!(found, [], "{config:?} {fail:?}");
        }
    }
}

#[test]
fn maildir() {
    each_fault(&AccountConfig::maildir("/mail", "host"));
}

#[test]
fn mbox() {
    each_fault(&AccountConfig::mbox("/mail", "/mail/INBOX", "host"));
}

fn spool_run(spool: &Spool) -> Vec<(String, bool)> {
    let mut told = Vec::new();
    for n in 0..6 {
        let name = format!("m{n}");
        let mut incoming = spool.begin(at(0));
        let accepted = incoming.write(&name.as_bytes().repeat(if n % 2 == 0 { 100 } else { 900 }));
        told.push((
            name.clone(),
            accepted
                .and_then(|()| incoming.commit(name.as_bytes()))
                .is_ok(),
        ));
    }
    told
}

#[test]
fn spool() {
    let config = SpoolConfig {
        segment_octets: 4900,
        inline_octets: 900,
        ..SpoolConfig::new("/spool")
    };
    let open = |sim: &Sim| Spool::open_with_fs(config.clone(), Arc::new(sim.clone())).unwrap();
    let names = |pending: Vec<mailstore::Pending>| -> Vec<String> {
        pending
            .into_iter()
            .map(|pending| String::from_utf8(pending.envelope).unwrap())
            .collect()
    };
    let calls = {
        let sim = Sim::new(World::new());
        let (spool, _) = open(&sim);
        sim.fail(None);
        assert!(spool_run(&spool).iter().all(|(_, accepted)| *accepted));
        drop(spool);
        sim.calls()
    };
    for call in 0..calls {
        for (errno, lasting) in [(EIO, false), (ENOSPC, true)] {
            let sim = Sim::new(World::new());
            let (spool, _) = open(&sim);
            sim.fail(Some(Fail {
                call,
                errno,
                lasting,
            }));
            let told = spool_run(&spool);
            sim.fail(None);
            let mut wanted: Vec<String> = told
                .into_iter()
                .filter(|(_, accepted)| *accepted)
                .map(|(name, _)| name)
                .collect();
            spool.begin(at(1)).commit(b"later").unwrap();
            wanted.push("later".to_owned());
            let now: Vec<String> = names(
                spool
                    .pending()
                    .into_iter()
                    .map(|id| spool.load(id).unwrap())
                    .collect(),
            );
            assert_eq!(now, wanted, "call {call} errno {errno}");
            // What was refused stays refused when the log is read again.
            drop(spool);
            let (spool, pending) = open(&sim);
            for pending in &pending {
                let mut content = Vec::new();
                std::io::Read::read_to_end(&mut spool.reader(pending.id).unwrap(), &mut content)
                    .unwrap();
                assert_eq!(content.len() as u64, pending.size);
            }
            let ids: Vec<_> = pending.iter().map(|pending| pending.id).collect();
            assert_eq!(names(pending), wanted, "call {call} errno {errno}");
            for id in ids {
                assert!(spool.claim(id));
                let mut batch = Batch::new();
                batch.remove(id);
                spool.commit(batch).unwrap();
            }
        }
    }
}
