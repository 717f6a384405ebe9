//! Power loss behind every operation of every change, and what is left of the mail after it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use common::power::Power;
use common::sim::{Line, Sim, World};
use common::{at, read};
use mailstore::{
    AccountConfig, AppendOptions, Copied, DeliveryId, Error, FlagChange, Flags, Mailbox, Store,
};

/// What is known of one message, each fact with the operation before which it was not yet true.
#[derive(Clone, Debug, Default)]
struct Known {
    begun: usize,
    acknowledged: Option<usize>,
    /// Mailbox, UID, when it was told.
    uid: Option<(String, u32, usize)>,
    /// Flags, when they were asked for, when they were acknowledged.
    flags: Vec<(Flags, usize, usize)>,
    removal: Option<(usize, usize)>,
}

/// A run of changes, with what it was told.
#[derive(Default)]
struct Run {
    known: BTreeMap<String, Known>,
    /// Mailboxes as they were seen.
    shown: Vec<Shown>,
    /// Names that went, between these operations.
    renamed: Vec<(String, usize, usize)>,
    /// Mailboxes that were made, and when that was acknowledged.
    made: Vec<(String, usize)>,
}

fn body(name: &str) -> Vec<u8> {
    let mut body = format!("Subject: {name}\r\n\r\n").into_bytes();
    // Several blocks, so that it can tear.
    for line in 0..16 {
        body.extend_from_slice(format!("line {line} of {name}, From the start\r\n").as_bytes());
    }
    body
}

struct Shown {
    when: usize,
    mailbox: String,
    uid_next: u32,
    uid_validity: u32,
    highest_modseq: u64,
}

struct Session<'a> {
    sim: &'a Sim,
    run: Run,
    account: Arc<mailstore::Account>,
    /// Held open, as by sessions.
    open: HashMap<String, Arc<Mailbox>>,
}

impl Session<'_> {
    fn ops(&self) -> usize {
        self.sim.op_count()
    }

    /// A clock that runs backwards: what comes later sorts before what came first.
    fn now(&self) -> SystemTime {
        at(5000 - self.ops() as u64)
    }

    fn open(&mut self, name: &str) {
        self.open.insert(
            name.to_owned(),
            self.account.mailbox(name, self.now()).unwrap(),
        );
        self.note(name);
    }

    fn mailbox(&self, name: &str) -> Arc<Mailbox> {
        Arc::clone(&self.open[name])
    }

    fn show(&mut self, name: &str) {
        let view = self.mailbox(name).refresh(self.now()).unwrap();
        let ops = self.ops();
        self.note(name);
        for message in view.messages() {
            let content = read(&self.mailbox(name), message.uid);
            let subject = subject(&content);
            let known = self.run.known.get_mut(&key(name, &subject)).unwrap();
            known
                .uid
                .get_or_insert((canonical(name).to_owned(), message.uid, ops));
        }
    }

    /// What a session is told after a change.
    fn note(&mut self, name: &str) {
        let view = self.mailbox(name).snapshot();
        let shown = Shown {
            when: self.ops(),
            mailbox: canonical(name).to_owned(),
            uid_next: view.uid_next,
            uid_validity: view.uid_validity,
            highest_modseq: view.highest_modseq,
        };
        self.run.shown.push(shown);
    }

    fn append(&mut self, name: &str, content: &str, flags: Flags) {
        let begun = self.ops();
        let mut append = self.mailbox(name).append(self.now()).unwrap();
        append.write(&body(content)).unwrap();
        let options = AppendOptions {
            flags,
            keywords: Vec::new(),
            internal_date: at(3),
        };
        let appended = append.commit(options, self.now()).unwrap();
        let ops = self.ops();
        let known = Known {
            begun,
            acknowledged: Some(ops),
            uid: Some((canonical(name).to_owned(), appended.uid, ops)),
            flags: vec![(flags, begun, ops)],
            removal: None,
        };
        self.run.known.insert(key(name, content), known);
        self.note(name);
    }

    fn deliver(&mut self, content: &str) {
        let begun = self.ops();
        let id = DeliveryId {
            id: content.to_owned(),
            arrived: self.now(),
            maybe_delivered: false,
        };
        let mut delivery = self.account.deliver("INBOX", id, self.now()).unwrap();
        delivery.write(&body(content)).unwrap();
        delivery
            .commit(AppendOptions::at(at(4)), self.now())
            .unwrap();
        let flags = vec![(Flags::NONE, begun, self.ops())];
        let known = Known {
            begun,
            acknowledged: Some(self.ops()),
            flags,
            ..Known::default()
        };
        self.run.known.insert(key("INBOX", content), known);
    }

    fn uid(&self, name: &str, content: &str) -> u32 {
        self.run.known[&key(name, content)].uid.as_ref().unwrap().1
    }

    fn flag(&mut self, name: &str, contents: &[&str], flags: Flags) {
        let begun = self.ops();
        let uids = self.uids(name, contents);
        self.mailbox(name)
            .set_flags(&uids, &FlagChange::replace(flags), None, self.now())
            .unwrap();
        let ops = self.ops();
        for content in contents {
            self.run
                .known
                .get_mut(&key(name, content))
                .unwrap()
                .flags
                .push((flags, begun, ops));
        }
    }

    fn expunge(&mut self, name: &str, contents: &[&str]) {
        let begun = self.ops();
        let uids = self.uids(name, contents);
        self.mailbox(name).expunge(&uids, self.now()).unwrap();
        let ops = self.ops();
        for content in contents {
            self.run.known.get_mut(&key(name, content)).unwrap().removal = Some((begun, ops));
        }
    }

    fn move_to(&mut self, from: &str, contents: &[&str], to: &str) {
        let begun = self.ops();
        let uids = self.uids(from, contents);
        let moved = self
            .mailbox(from)
            .move_to(&uids, &self.mailbox(to), self.now())
            .unwrap();
        let removal = Some((begun, self.ops()));
        self.arrived(from, contents, to, begun, &moved);
        for content in contents {
            self.run.known.get_mut(&key(from, content)).unwrap().removal = removal;
        }
    }

    fn copy(&mut self, from: &str, contents: &[&str], to: &str) {
        let begun = self.ops();
        let uids = self.uids(from, contents);
        let copied = self
            .mailbox(from)
            .copy(&uids, &self.mailbox(to), self.now())
            .unwrap();
        self.arrived(from, contents, to, begun, &copied);
    }

    fn uids(&self, from: &str, contents: &[&str]) -> Vec<u32> {
        contents
            .iter()
            .map(|content| self.uid(from, content))
            .collect()
    }

    fn arrived(&mut self, from: &str, contents: &[&str], to: &str, begun: usize, copied: &Copied) {
        let ops = self.ops();
        for (content, (_, uid)) in contents.iter().zip(&copied.uids) {
            let (flags, _, _) = *self.run.known[&key(from, content)].flags.last().unwrap();
            let known = Known {
                begun,
                acknowledged: Some(ops),
                uid: Some((canonical(to).to_owned(), *uid, ops)),
                flags: vec![(flags, begun, ops)],
                removal: None,
            };
            self.run.known.insert(key(to, content), known);
        }
    }

    fn create(&mut self, name: &str) {
        self.account.create(name).unwrap();
        self.run.made.push((name.to_owned(), self.ops()));
    }

    /// The messages of `from` are those of `to` then: see [`canonical`].
    fn rename(&mut self, from: &str, to: &str) {
        self.open.remove(from);
        let begun = self.ops();
        self.account.rename(from, to, self.now()).unwrap();
        self.run.renamed.push((from.to_owned(), begun, self.ops()));
    }
}

/// A mailbox that is renamed is the same mailbox.
fn canonical(mailbox: &str) -> &str {
    match mailbox {
        "Renamed" => "Other",
        name => name,
    }
}

fn key(mailbox: &str, content: &str) -> String {
    format!("{}\t{content}", canonical(mailbox))
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

/// Checks a world that a crash before operation `cut` left.
fn check(run: &Run, config: &AccountConfig, sim: &Sim, cut: usize) -> Result<(), String> {
    let later = at(20_000);
    let fail = |error: Error| error.to_string();
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(config)
        .map_err(fail)?;
    let mut present: HashMap<String, (u32, Flags)> = HashMap::new();
    for (path, name) in ["INBOX", "Other", "Renamed"].map(|path| (path, canonical(path))) {
        if path != "INBOX" && !account.exists(path).map_err(fail)? {
            continue;
        }
        let gone = |(old, _, ended): &(String, usize, usize)| old == path && *ended <= cut;
        if run.renamed.iter().any(gone) {
            return Err(format!("{path} is there again"));
        }
        let mailbox = account.mailbox(path, later).map_err(fail)?;
        let view = mailbox.refresh(later).map_err(fail)?;
        for message in view.messages() {
            let mut reader = mailbox.reader(message.uid, later).map_err(fail)?;
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut content)
                .map_err(|error| error.to_string())?;
            let subject = subject(&content);
            if content != body(&subject) {
                return Err(format!(
                    "{name}: UID {} is not whole: {} octets",
                    message.uid,
                    content.len()
                ));
            }
            if present
                .insert(key(name, &subject), (message.uid, message.flags))
                .is_some()
            {
                return Err(format!("{name}: {subject} is there twice"));
            }
        }
        for shown in run
            .shown
            .iter()
            .filter(|shown| shown.when <= cut && shown.mailbox == name)
        {
            if view.uid_next < shown.uid_next {
                return Err(format!(
                    "{name}: UIDNEXT {} is below {}",
                    view.uid_next, shown.uid_next
                ));
            }
            if view.uid_validity != shown.uid_validity {
                return Err(format!("{name}: UIDVALIDITY changed"));
            }
            if view.highest_modseq < shown.highest_modseq {
                return Err(format!(
                    "{name}: HIGHESTMODSEQ {} is below {}",
                    view.highest_modseq, shown.highest_modseq
                ));
            }
        }
        for known in run.known.values() {
            if let Some((mailbox, uid, when)) = &known.uid
                && mailbox == name
                && *when <= cut
                && view.uid_next <= *uid
            {
                return Err(format!(
                    "{name}: UIDNEXT {} is not above UID {uid}",
                    view.uid_next
                ));
            }
        }
    }
    for (name, when) in &run.made {
        if *when <= cut && !account.exists(name).map_err(fail)? {
            return Err(format!("{name} is not there"));
        }
    }
    for (name, known) in &run.known {
        let there = present.remove(name);
        let must = known.acknowledged.is_some_and(|when| when <= cut)
            && known.removal.is_none_or(|(begun, _)| begun >= cut);
        let may = known.begun < cut && known.removal.is_none_or(|(_, ended)| ended > cut);
        match there {
            None if must => return Err(format!("{name:?} is lost")),
            Some(_) if !may && !must => return Err(format!("{name:?} should not be there")),
            Some((uid, flags)) => {
                if let Some((_, known_uid, when)) = &known.uid
                    && *when <= cut
                    && uid != *known_uid
                {
                    return Err(format!("{name:?} had UID {known_uid}, has {uid}"));
                }
                let last = known
                    .flags
                    .iter()
                    .rposition(|(_, _, ended)| *ended <= cut)
                    .unwrap_or(0);
                let allowed = known.flags[last..]
                    .iter()
                    .filter(|(_, begun, _)| *begun <= cut);
                if !allowed.clone().any(|(allowed, _, _)| *allowed == flags) {
                    return Err(format!("{name:?} has flags {flags:?}"));
                }
            }
            None => {}
        }
    }
    match present.keys().next() {
        Some(name) => Err(format!("{name:?} came from nowhere")),
        None => Ok(()),
    }
}

/// The index is never synced, so that with it all worlds would be too many: it has a test of its own.
fn configs() -> [AccountConfig; 2] {
    indexed_configs().map(|mut config| {
        config.index = false;
        config
    })
}

fn indexed_configs() -> [AccountConfig; 2] {
    [
        AccountConfig::maildir("/mail", "host"),
        AccountConfig::mbox("/mail", "/mail/INBOX", "host"),
    ]
}

/// The changes under test, on an account that has some mail.
fn scenario(config: &AccountConfig) -> (Power, Run) {
    let start = Sim::new(World::new());
    let account = Store::with_fs(Arc::new(start.clone()))
        .account(config)
        .unwrap();
    account.create("Other").unwrap();
    drop(account);
    let base = start.world();
    let sim = Sim::new(base.clone());
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(config)
        .unwrap();
    let mut session = Session {
        sim: &sim,
        run: Run::default(),
        account,
        open: HashMap::new(),
    };
    session.deliver("d1");
    session.open("INBOX");
    session.open("Other");
    session.show("INBOX");
    session.append("INBOX", "a1", Flags::SEEN);
    session.deliver("d2");
    session.append("INBOX", "a2", Flags::NONE);
    session.show("INBOX");
    session.flag("INBOX", &["d1", "a2"], Flags::ANSWERED | Flags::FLAGGED);
    session.expunge("INBOX", &["a1"]);
    session.move_to("INBOX", &["d2", "a2"], "Other");
    session.append("Other", "a3", Flags::DRAFT);
    session.show("Other");
    session.expunge("Other", &["a3"]);
    session.copy("INBOX", &["d1"], "Other");
    session.show("Other");
    session.deliver("d3");
    session.show("INBOX");
    session.create("Made");
    session.rename("Other", "Renamed");
    session.open("Renamed");
    session.append("Renamed", "a4", Flags::NONE);
    session.show("Renamed");
    let run = session.run;
    let ops = sim.ops();
    let base = base.with_other_times();
    (Power { base, ops }, run)
}

/// Loses power everywhere; the lines that sync, and whether that is in vain.
fn lose_power(config: &AccountConfig) -> BTreeMap<Line, bool> {
    let (power, run) = scenario(config);
    let check = |sim: &Sim, cut: usize| check(&run, config, sim, cut);
    let good = power.loss(check).unwrap();
    power.syncs(&good, check)
}

#[test]
fn whatever_is_left_of_an_index_does_no_harm() {
    for config in indexed_configs() {
        let (power, run) = scenario(&config);
        power
            .some_loss(3, |sim, cut| check(&run, &config, sim, cut))
            .unwrap();
    }
}

#[test]
fn mail_survives() {
    let [maildir, mbox] = std::thread::scope(|scope| {
        configs()
            .map(|config| scope.spawn(move || lose_power(&config)))
            .map(|thread| thread.join().unwrap())
    });
    // Every line that syncs is there for a reason: without it, some loss of power loses or tears something in one
    // of the formats at least.
    let is_idle = |syncs: &BTreeMap<Line, bool>, line| syncs.get(line).is_none_or(|idle| *idle);
    for line in maildir.keys().chain(mbox.keys()) {
        assert!(
            !is_idle(&maildir, line) || !is_idle(&mbox, line),
            "nothing depends on {line}"
        );
    }
}
