//! The spool: what it keeps, and what a loss of power leaves of it.
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
use std::io::Read;
use std::sync::{Arc, mpsc};

use common::at;
use common::power::{Power, Trial};
use common::sim::{Sim, World};
use mailstore::{Batch, Error, QueueId, Spool, SpoolConfig};

fn body(name: &str, octets: usize) -> Vec<u8> {
    name.bytes().cycle().take(octets).collect()
}

fn content(spool: &Spool, id: QueueId) -> Vec<u8> {
    let mut reader = spool.reader(id).unwrap();
    let mut content = Vec::new();
    reader.read_to_end(&mut content).unwrap();
    assert_eq!(reader.size(), content.len() as u64);
    content
}

fn accept(spool: &Spool, name: &str, octets: usize) -> QueueId {
    let mut incoming = spool.begin(at(0));
    for part in body(name, octets).chunks(100_000) {
        incoming.write(part).unwrap();
    }
    incoming.commit(name.as_bytes()).unwrap()
}

#[test]
fn messages_and_states_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let config = SpoolConfig::new(directory.path().join("spool"));
    let (spool, pending) = Spool::open(config.clone()).unwrap();
    assert!(pending.is_empty());
    let sizes = [0, 1, 5000, 131_072, 131_073, 3_000_000];
    let ids: Vec<QueueId> = sizes
        .iter()
        .map(|&size| accept(&spool, "abc", size))
        .collect();
    assert!(ids.is_sorted());
    assert!(spool.claim(ids[1]) && !spool.claim(ids[1]));
    let mut batch = Batch::new();
    batch.update(ids[1], b"first done");
    spool.commit(batch).unwrap();
    assert!(spool.claim(ids[2]));
    let mut batch = Batch::new();
    batch.remove(ids[2]);
    let mut bounce = spool.begin(at(1));
    bounce.write(b"sorry").unwrap();
    let bounce = batch.add(bounce, b"to the sender", b"new");
    spool.commit(batch).unwrap();
    drop(spool);

    let (spool, pending) = Spool::open(config.clone()).unwrap();
    let wanted: Vec<QueueId> = [ids[0], ids[1], ids[3], ids[4], ids[5], bounce].to_vec();
    assert_eq!(
        pending.iter().map(|pending| pending.id).collect::<Vec<_>>(),
        wanted
    );
    assert_eq!(pending[1].state, b"first done");
    assert_eq!(
        (pending[5].envelope.as_slice(), pending[5].state.as_slice()),
        (&b"to the sender"[..], &b"new"[..])
    );
    for (&id, &size) in ids.iter().zip(&sizes).filter(|(id, _)| **id != ids[2]) {
        assert_eq!(content(&spool, id), body("abc", size));
    }
    assert!(accept(&spool, "later", 5) > bounce);
    assert_eq!(
        std::fs::read_dir(directory.path().join("spool/big"))
            .unwrap()
            .count(),
        2
    );
    for id in spool.pending() {
        assert!(spool.claim(id));
        let mut batch = Batch::new();
        batch.remove(id);
        spool.commit(batch).unwrap();
    }
    drop(spool);
    let (_spool, pending) = Spool::open(config).unwrap();
    assert!(pending.is_empty());
    assert_eq!(
        std::fs::read_dir(directory.path().join("spool/big"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn illegal_transitions_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(SpoolConfig::new(directory.path())).unwrap();
    let id = accept(&spool, "x", 10);
    let mut batch = Batch::new();
    batch.remove(id);
    batch.add(spool.begin(at(0)), b"bounce", b"");
    assert!(matches!(spool.commit(batch), Err(Error::NotClaimed(refused)) if refused == id));
    assert_eq!(spool.pending(), [id]);
    assert!(spool.claim(id));
    let mut batch = Batch::new();
    batch.remove(id);
    spool.commit(batch).unwrap();
    let mut batch = Batch::new();
    batch.update(id, b"");
    assert!(matches!(spool.commit(batch), Err(Error::NoSuchQueueId(_))));
    assert!(matches!(spool.reader(id), Err(Error::NoSuchQueueId(_))));
    assert!(!spool.claim(id));
    assert!(matches!(
        spool.begin(at(0)).commit(&vec![0; 17 << 20]),
        Err(Error::TooLarge { .. })
    ));
    drop(spool.begin(at(0)));
    assert!(spool.pending().is_empty());
}

#[test]
fn callers_share_and_each_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let config = SpoolConfig {
        segment_octets: 50_000,
        ..SpoolConfig::new(directory.path())
    };
    let (spool, _) = Spool::open(config.clone()).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (spool, sender) = (spool.clone(), sender.clone());
            scope.spawn(move || {
                for n in 0..50 {
                    let name = format!("{thread}-{n}");
                    let mut incoming = spool.begin(at(n));
                    incoming.write(&body(&name, 700)).unwrap();
                    let (sender, told) = (sender.clone(), name.clone());
                    incoming.commit_with(name.as_bytes(), move |id| {
                        sender.send((told, id.unwrap())).unwrap()
                    });
                }
            });
        }
    });
    drop(sender);
    let accepted: HashMap<String, QueueId> = receiver.iter().collect();
    assert_eq!(accepted.len(), 400);
    // All but a few go, over many segments: the rest is copied forward and the log gets short.
    for (name, id) in accepted.iter().filter(|(name, _)| !name.ends_with("-7")) {
        assert_eq!(content(&spool, *id), body(name, 700));
        assert!(spool.claim(*id));
        let mut batch = Batch::new();
        batch.remove(*id);
        spool.commit(batch).unwrap();
    }
    for n in 0..200 {
        let id = accept(&spool, "filler", 5000);
        assert!(spool.claim(id), "{n}");
        let mut batch = Batch::new();
        batch.remove(id);
        spool.commit(batch).unwrap();
    }
    drop(spool);
    let octets: u64 = std::fs::read_dir(directory.path().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(octets < 400_000, "the log has {octets} octets");
    let (spool, pending) = Spool::open(config).unwrap();
    assert_eq!(pending.len(), 8);
    for pending in pending {
        let name = String::from_utf8(pending.envelope).unwrap();
        assert_eq!(accepted[&name], pending.id);
        assert_eq!(content(&spool, pending.id), body(&name, 700));
    }
}

/// Each opening begins a segment, and what the log has too many of is copied together while the opening still reads.
#[test]
fn opened_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let config = SpoolConfig {
        segment_octets: 8000,
        ..SpoolConfig::new(directory.path())
    };
    let (spool, _) = Spool::open(config.clone()).unwrap();
    let names: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    for name in &names {
        accept(&spool, name, 300);
    }
    drop(spool);
    for _ in 0..60 {
        let (spool, pending) = Spool::open(config.clone()).unwrap();
        for (pending, name) in pending.iter().zip(&names) {
            assert_eq!(pending.envelope, name.as_bytes());
            assert_eq!(content(&spool, pending.id), body(name, 300));
        }
        assert_eq!(pending.len(), names.len());
    }
    let segments = std::fs::read_dir(directory.path().join("log")).unwrap();
    assert!(segments.count() < 40);
}

/// A message of the crash runs, each fact with the operations it lay between.
#[derive(Clone, Debug, Default)]
struct Known {
    id: Option<QueueId>,
    octets: usize,
    accepted: (usize, usize),
    states: Vec<(String, usize, usize)>,
    removed: Option<(usize, usize)>,
}

const NEVER: usize = usize::MAX;

struct Session {
    sim: Sim,
    spool: Option<Spool>,
    known: BTreeMap<String, Known>,
    /// The second is there from the moment that the first is not.
    replaced: Vec<(String, String)>,
}

fn config() -> SpoolConfig {
    SpoolConfig {
        segment_octets: 6600,
        inline_octets: 900,
        ..SpoolConfig::new("/spool")
    }
}

impl Session {
    fn open(&mut self) {
        self.spool = None;
        self.spool = Some(
            Spool::open_with_fs(config(), Arc::new(self.sim.clone()))
                .unwrap()
                .0,
        );
    }

    fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    /// True when it succeeded.
    fn accept(&mut self, name: &str, octets: usize) -> bool {
        let begun = self.sim.op_count();
        let mut incoming = self.spool().begin(at(0));
        let id = incoming.id();
        let known = Known {
            id: Some(id),
            octets,
            accepted: (begun, NEVER),
            ..Known::default()
        };
        self.known.insert(name.to_owned(), known);
        let done = incoming
            .write(&body(name, octets))
            .and_then(|()| incoming.commit(name.as_bytes()))
            .is_ok();
        if done {
            self.known.get_mut(name).unwrap().accepted.1 = self.sim.op_count();
        }
        done
    }

    fn state(&mut self, name: &str, state: &str) -> bool {
        let begun = self.sim.op_count();
        let id = self.known[name].id.unwrap();
        self.spool().claim(id);
        let mut batch = Batch::new();
        batch.update(id, state.as_bytes());
        let done = self.spool().commit(batch).is_ok();
        let ended = if done { self.sim.op_count() } else { NEVER };
        self.known
            .get_mut(name)
            .unwrap()
            .states
            .push((state.to_owned(), begun, ended));
        done
    }

    fn finish(&mut self, name: &str, bounce: Option<&str>) -> bool {
        let begun = self.sim.op_count();
        let id = self.known[name].id.unwrap();
        self.spool().claim(id);
        let mut batch = Batch::new();
        batch.remove(id);
        if let Some(bounce) = bounce {
            let mut incoming = self.spool().begin(at(0));
            incoming.write(&body(bounce, 300)).unwrap();
            let known = Known {
                id: Some(incoming.id()),
                octets: 300,
                accepted: (begun, NEVER),
                ..Known::default()
            };
            self.known.insert(bounce.to_owned(), known);
            self.replaced.push((name.to_owned(), bounce.to_owned()));
            batch.add(incoming, bounce.as_bytes(), b"");
        }
        let done = self.spool().commit(batch).is_ok();
        let ended = if done { self.sim.op_count() } else { NEVER };
        self.known.get_mut(name).unwrap().removed = Some((begun, ended));
        if let Some(bounce) = bounce {
            self.known.get_mut(bounce).unwrap().accepted.1 = ended;
        }
        done
    }
}

fn scenario() -> (Power, Session) {
    let base = World::new();
    let mut session = Session {
        sim: Sim::traced(base.clone()),
        spool: None,
        known: BTreeMap::new(),
        replaced: Vec::new(),
    };
    run(&mut session);
    let ops = session.sim.ops();
    (Power::new(base, ops), session)
}

fn run(session: &mut Session) {
    session.open();
    session.accept("small", 400);
    session.accept("large", 1500);
    session.state("small", "first done");
    session.accept("stays", 800);
    session.finish("small", Some("bounce"));
    session.open();
    session.finish("large", None);
    for n in 0..12 {
        let name = format!("filler-{n}");
        session.accept(&name, 850);
        session.finish(&name, None);
    }
    session.state("stays", "tried");
    session.open();
    session.accept("last", 100);
    session.spool = None;
}

/// States by name.
type Found = HashMap<String, String>;

fn look(session: &Session, sim: &Sim) -> Result<Found, String> {
    let (spool, pending) =
        Spool::open_with_fs(config(), Arc::new(sim.clone())).map_err(|error| error.to_string())?;
    let mut there = HashMap::new();
    for pending in pending {
        let name = String::from_utf8(pending.envelope.clone()).unwrap();
        let known = session
            .known
            .get(&name)
            .ok_or_else(|| format!("{name:?} came from nowhere"))?;
        if known.id != Some(pending.id) {
            return Err(format!("{name} has another id"));
        }
        let mut content = Vec::new();
        let read = spool
            .reader(pending.id)
            .map_err(|error| error.to_string())?
            .read_to_end(&mut content);
        if read.is_err() || content != body(&name, known.octets) {
            return Err(format!("{name} is not whole"));
        }
        there.insert(name, String::from_utf8(pending.state).unwrap());
    }
    Ok(there)
}

fn judge(session: &Session, there: &Found, cut: usize) -> Result<(), String> {
    for (name, known) in &session.known {
        let must = known.accepted.1 <= cut && known.removed.is_none_or(|(begun, _)| begun >= cut);
        let may = known.accepted.0 < cut && known.removed.is_none_or(|(_, ended)| ended > cut);
        match there.get(name) {
            None if must => return Err(format!("{name} is lost")),
            Some(_) if !may && !must => return Err(format!("{name} should be gone")),
            Some(state) => {
                let last = known.states.iter().rposition(|(_, _, ended)| *ended <= cut);
                let allowed = known
                    .states
                    .iter()
                    .skip(last.unwrap_or(0))
                    .any(|(allowed, begun, _)| *begun <= cut && allowed == state);
                if !(allowed || last.is_none() && state.is_empty()) {
                    return Err(format!("{name} has state {state:?}"));
                }
            }
            None => {}
        }
    }
    for (old, new) in &session.replaced {
        let accepted = session.known[old].accepted.1 <= cut;
        if accepted && there.contains_key(old) == there.contains_key(new) {
            return Err(format!("of {old} and {new}, both or none is there"));
        }
    }
    Ok(())
}

#[test]
fn power_is_lost_anywhere() {
    let (power, session) = scenario();
    let look = |sim: &Sim| look(&session, sim);
    let judge = |there: &Found, cut: usize| judge(&session, there, cut);
    let trial = Trial::new(&look, &judge);
    power.loss(&trial).unwrap();
    println!("{trial}");
    // Each line that syncs is there for a reason: without it, some loss of power loses or tears something. Only
    // that of a spare is there for speed: octets that are on the disk already need not be put there with the mail.
    for (line, idle) in power.syncs(&trial) {
        assert!(
            !idle || line.starts_with("spool/spare.rs"),
            "nothing depends on {line}"
        );
    }
}
