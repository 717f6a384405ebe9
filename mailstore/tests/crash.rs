//! Power loss behind every operation of every change, and what is left of the mail after it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use common::power::{Power, Trial};
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

/// A mailbox as it is found.
struct Found {
    /// The name that it has now.
    path: &'static str,
    uid_next: u32,
    uid_validity: u32,
    highest_modseq: u64,
    /// By content: UID and flags.
    messages: HashMap<String, (u32, Flags)>,
}

/// What is found in a world.
struct Account {
    mailboxes: Vec<Found>,
    /// Whether each of the mailboxes that were made is there.
    made: Vec<bool>,
}

/// Opens everything that a crash left.
fn look(run: &Run, config: &AccountConfig, sim: &Sim) -> Result<Account, String> {
    let later = at(20_000);
    let fail = |error: Error| error.to_string();
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(config)
        .map_err(fail)?;
    let mut mailboxes = Vec::new();
    for path in ["INBOX", "Other", "Renamed"] {
        if path != "INBOX" && !account.exists(path).map_err(fail)? {
            continue;
        }
        let mailbox = account.mailbox(path, later).map_err(fail)?;
        let view = mailbox.refresh(later).map_err(fail)?;
        let mut messages = HashMap::new();
        for message in view.messages() {
            let mut reader = mailbox.reader(message.uid, later).map_err(fail)?;
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut content)
                .map_err(|error| error.to_string())?;
            let subject = subject(&content);
            if content != body(&subject) {
                return Err(format!(
                    "{path}: UID {} is not whole: {} octets",
                    message.uid,
                    content.len()
                ));
            }
            let found = (message.uid, message.flags);
            if messages.insert(key(path, &subject), found).is_some() {
                return Err(format!("{path}: {subject} is there twice"));
            }
        }
        mailboxes.push(Found {
            path,
            uid_next: view.uid_next,
            uid_validity: view.uid_validity,
            highest_modseq: view.highest_modseq,
            messages,
        });
    }
    let mut made = Vec::new();
    for (name, _) in &run.made {
        made.push(account.exists(name).map_err(fail)?);
    }
    Ok(Account { mailboxes, made })
}

/// Judges what a crash before operation `cut` left.
fn judge(run: &Run, found: &Account, cut: usize) -> Result<(), String> {
    let mut present: HashMap<&String, (u32, Flags)> = HashMap::new();
    for mailbox in &found.mailboxes {
        judge_mailbox(run, mailbox, cut)?;
        for (name, message) in &mailbox.messages {
            if present.insert(name, *message).is_some() {
                return Err(format!("{name:?} is there twice"));
            }
        }
    }
    for ((name, when), there) in run.made.iter().zip(&found.made) {
        if *when <= cut && !there {
            return Err(format!("{name} is not there"));
        }
    }
    for (name, known) in &run.known {
        judge_message(name, known, present.remove(name), cut)?;
    }
    match present.keys().next() {
        Some(name) => Err(format!("{name:?} came from nowhere")),
        None => Ok(()),
    }
}

fn judge_mailbox(run: &Run, found: &Found, cut: usize) -> Result<(), String> {
    let name = canonical(found.path);
    let gone = |(old, _, ended): &(String, usize, usize)| old == found.path && *ended <= cut;
    if run.renamed.iter().any(gone) {
        return Err(format!("{name} is there again"));
    }
    let shown = run.shown.iter();
    for shown in shown.filter(|shown| shown.when <= cut && shown.mailbox == name) {
        if found.uid_next < shown.uid_next {
            let (now, then) = (found.uid_next, shown.uid_next);
            return Err(format!("{name}: UIDNEXT {now} is below {then}"));
        }
        if found.uid_validity != shown.uid_validity {
            return Err(format!("{name}: UIDVALIDITY changed"));
        }
        if found.highest_modseq < shown.highest_modseq {
            let (now, then) = (found.highest_modseq, shown.highest_modseq);
            return Err(format!("{name}: HIGHESTMODSEQ {now} is below {then}"));
        }
    }
    for known in run.known.values() {
        if let Some((mailbox, uid, when)) = &known.uid
            && mailbox == name
            && *when <= cut
            && found.uid_next <= *uid
        {
            let next = found.uid_next;
            return Err(format!("{name}: UIDNEXT {next} is not above UID {uid}"));
        }
    }
    Ok(())
}

fn judge_message(
    name: &str,
    known: &Known,
    there: Option<(u32, Flags)>,
    cut: usize,
) -> Result<(), String> {
    let must = known.acknowledged.is_some_and(|when| when <= cut)
        && known.removal.is_none_or(|(begun, _)| begun >= cut);
    let may = known.begun < cut && known.removal.is_none_or(|(_, ended)| ended > cut);
    let Some((uid, flags)) = there else {
        return if must {
            Err(format!("{name:?} is lost"))
        } else {
            Ok(())
        };
    };
    if !may && !must {
        return Err(format!("{name:?} should not be there"));
    }
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
    let mut allowed = known.flags[last..]
        .iter()
        .filter(|(_, begun, _)| *begun <= cut);
    if !allowed.any(|(allowed, _, _)| *allowed == flags) {
        return Err(format!("{name:?} has flags {flags:?}"));
    }
    Ok(())
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
    let sim = Sim::traced(base.clone());
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
    (Power::new(base, ops), run)
}

/// Loses power everywhere; the lines that sync, and whether that is in vain.
fn lose_power(config: &AccountConfig) -> BTreeMap<Line, bool> {
    let (power, run) = scenario(config);
    let look = |sim: &Sim| look(&run, config, sim);
    let judge = |found: &Account, cut: usize| judge(&run, found, cut);
    let trial = Trial::new(&look, &judge);
    power.loss(&trial).unwrap();
    println!("{config:?}: {trial}");
    assert_eq!(
        trial.sampled.get(),
        0,
        "not all worlds of each moment were tried: {trial}"
    );
    power.syncs(&trial)
}

#[test]
fn whatever_is_left_of_an_index_does_no_harm() {
    for config in indexed_configs() {
        let (power, run) = scenario(&config);
        let look = |sim: &Sim| look(&run, &config, sim);
        let judge = |found: &Account, cut: usize| judge(&run, found, cut);
        power.some_loss(3, &Trial::new(&look, &judge)).unwrap();
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
    // That of the end of an mbox's journal matters beside other programs: see `rewrite.rs`.
    let of_journal = |line: &&Line| line.starts_with("mbox/redo.rs");
    let lines = maildir.keys().chain(mbox.keys());
    for line in lines.filter(|line| !of_journal(line)) {
        assert!(
            !is_idle(&maildir, line) || !is_idle(&mbox, line),
            "nothing depends on {line}"
        );
    }
}
