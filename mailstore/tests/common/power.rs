//! Losing power: everything that may be left of the files behind each operation, and whether it is good.
//!
//! What survives: octets of a file after a sync of it, names of a directory after a sync of it (a rename after that
//! of either of its directories), and of everything else any part.
#![allow(dead_code, unreachable_pub, clippy::indexing_slicing)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::sim::{Line, Op, Part, Random, Sim, World};

/// So many worlds, as twelve pending operations make that matter to each other, are all tried; of more, a sample.
const ALL: usize = 1 << 12;
/// So many ways to come to them are told apart.
const WAYS: usize = 1 << 17;
const SAMPLE: usize = 256;
/// So many operations on lock files, as many as a lock's life has, are pending like others. Nothing ever syncs them,
/// so the older ones are over: they would multiply all worlds for ever. In torn worlds they are not.
const LOCKS: usize = 5;
/// Worlds in which writes are torn, for each moment.
const TORN: usize = 12;
/// Every so many worlds lose power again while they recover.
const AGAIN: usize = 16;

/// A run of changes, and where it began.
pub struct Power {
    pub base: World,
    pub ops: Vec<Op>,
    /// What others do to the files before they are looked at.
    pub then: fn(&mut World),
}

/// What is looked at in a world, and how that is judged knowing how many operations were done. What was seen of one
/// world is not looked at again, whatever led to it.
pub struct Trial<'a, S> {
    look: &'a dyn Fn(&Sim) -> Result<S, String>,
    judge: &'a dyn Fn(&S, usize) -> Result<(), String>,
    seen: RefCell<HashMap<u64, Result<S, String>>>,
    /// Worlds of all moments.
    pub worlds: Cell<usize>,
    /// Those that were recovered, in which no two have the same files.
    pub looked: Cell<usize>,
    /// The most worlds of one moment.
    pub most: Cell<usize>,
    /// Moments of which a sample was tried.
    pub sampled: Cell<usize>,
}

impl<'a, S> Trial<'a, S> {
    pub fn new(
        look: &'a dyn Fn(&Sim) -> Result<S, String>,
        judge: &'a dyn Fn(&S, usize) -> Result<(), String>,
    ) -> Self {
        Self {
            look,
            judge,
            seen: RefCell::default(),
            worlds: Cell::default(),
            looked: Cell::default(),
            most: Cell::default(),
            sampled: Cell::default(),
        }
    }

    fn add(counter: &Cell<usize>) {
        counter.set(counter.get() + 1);
    }

    /// Tries a world that was not seen yet; what was done while it recovered.
    fn fresh(&self, digest: u64, world: World, then: fn(&mut World)) -> Option<(World, Vec<Op>)> {
        if self.seen.borrow().contains_key(&digest) {
            return None;
        }
        Self::add(&self.looked);
        let mut world = world;
        then(&mut world);
        let recovering = Sim::new(world.clone());
        let seen = (self.look)(&recovering);
        self.seen.borrow_mut().insert(digest, seen);
        Some((world, recovering.ops()))
    }

    fn is_good(&self, digest: u64, cut: usize) -> Result<(), String> {
        Self::add(&self.worlds);
        let seen = self.seen.borrow();
        (self.judge)(seen[&digest].as_ref().map_err(String::clone)?, cut)
    }

    /// The worlds of one moment, and some of those that a second loss leaves of them.
    fn moment(
        &self,
        power: &Power,
        cut: usize,
        worlds: impl Iterator<Item = (u64, World)>,
        random: &mut Random,
    ) -> Result<(), String> {
        for (digest, world) in worlds {
            let Some((world, again)) = self.fresh(digest, world, power.then) else {
                self.is_good(digest, cut)?;
                continue;
            };
            self.is_good(digest, cut)?;
            if !self.looked.get().is_multiple_of(AGAIN) {
                continue;
            }
            let second = random.below(again.len() as u64 + 1) as usize;
            for (_, world) in some_worlds(&world, &again[..second], random, 4) {
                let seen = (self.look)(&Sim::new(world));
                seen.and_then(|seen| (self.judge)(&seen, cut))
                    .map_err(|error| format!("then {second}: {error}"))?;
            }
        }
        Ok(())
    }
}

impl<S> std::fmt::Display for Trial<'_, S> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} worlds, {} of them recovered as no two are the same; {} at one moment; {} moments sampled",
            self.worlds.get(),
            self.looked.get(),
            self.most.get(),
            self.sampled.get()
        )
    }
}

impl Power {
    pub fn new(base: World, ops: Vec<Op>) -> Self {
        Self {
            base,
            ops,
            then: |_| {},
        }
    }

    /// Loses power before the first operation, behind each, and while that is recovered from.
    pub fn loss<S>(&self, trial: &Trial<'_, S>) -> Result<(), String> {
        self.lose(&self.ops, trial, 7)
    }

    fn lose<S>(&self, ops: &[Op], trial: &Trial<'_, S>, seed: u64) -> Result<(), String> {
        let mut random = Random(seed);
        let mut front = Front::new(&self.base, ops);
        for cut in 0..=ops.len() {
            if cut > 0 {
                front.step(cut, &mut random);
            }
            trial.most.set(trial.most.get().max(front.states.len()));
            if front.is_sample {
                Trial::<S>::add(&trial.sampled);
            }
            let torn = some_worlds(&self.base, &ops[..cut], &mut random, TORN);
            let mut second = Random(random.below(u64::MAX));
            let worlds = front.worlds(cut, &trial.seen).chain(torn);
            trial
                .moment(self, cut, worlds, &mut second)
                .map_err(|error| format!("cut {cut} of {}: {error}", ops.len()))?;
        }
        Ok(())
    }

    /// As [`loss`](Self::loss), with so many worlds for each moment: where much is never synced, all of them would
    /// be too many.
    pub fn some_loss<S>(&self, count: usize, trial: &Trial<'_, S>) -> Result<(), String> {
        let mut random = Random(7);
        for cut in 0..=self.ops.len() {
            let left = some_worlds(&self.base, &self.ops[..cut], &mut random, count);
            trial
                .moment(self, cut, left.into_iter(), &mut Random(cut as u64))
                .map_err(|error| format!("cut {cut} of {}: {error}", self.ops.len()))?;
        }
        Ok(())
    }

    /// Leaves out each line that syncs in turn; whether nothing goes wrong without it.
    pub fn syncs<S>(&self, trial: &Trial<'_, S>) -> BTreeMap<Line, bool> {
        self.syncs_of(trial, |_| true)
    }

    /// As [`syncs`](Self::syncs), for these lines alone.
    pub fn syncs_of<S>(
        &self,
        trial: &Trial<'_, S>,
        wanted: impl Fn(&Line) -> bool,
    ) -> BTreeMap<Line, bool> {
        let lines = self.ops.iter().filter_map(sync_line);
        let lines: BTreeSet<&Line> = lines.filter(|line| wanted(line)).collect();
        let is_idle = |line: &Line| {
            let without = |op: &Op| match sync_line(op) {
                Some(of) if of == line => Op::Nothing,
                _ => op.clone(),
            };
            let ops: Vec<Op> = self.ops.iter().map(without).collect();
            self.lose(&ops, trial, 11).is_ok()
        };
        lines
            .into_iter()
            .map(|line| (Line::clone(line), is_idle(line)))
            .collect()
    }
}

fn sync_line(op: &Op) -> Option<&Line> {
    match op {
        Op::Sync { line, .. } | Op::SyncDir { line, .. } => Some(line),
        _ => None,
    }
}

/// Whether the sync makes the operation last.
fn makes_durable(sync: &Op, op: &Op) -> bool {
    match (sync, op) {
        (
            Op::SyncDir { dir: synced, .. },
            Op::Create { dir, .. }
            | Op::Mkdir { dir, .. }
            | Op::Link { dir, .. }
            | Op::Unlink { dir, .. },
        ) => synced == dir,
        (Op::SyncDir { dir: synced, .. }, Op::Rename { from, to, .. }) => {
            *synced == from.0 || *synced == to.0
        }
        (
            Op::Sync { inode: synced, .. },
            Op::Write { inode, .. } | Op::SetLen { inode, .. } | Op::Touch { inode, .. },
        ) => synced == inode,
        _ => false,
    }
}

fn is_sync(op: &Op) -> bool {
    matches!(op, Op::Sync { .. } | Op::SyncDir { .. } | Op::Nothing)
}

/// For each operation, whether a later sync made it last.
fn durable(ops: &[Op]) -> Vec<bool> {
    let mut durable = vec![false; ops.len()];
    let mut pending: Vec<usize> = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        if is_sync(op) {
            pending.retain(|&earlier| {
                durable[earlier] = makes_durable(op, &ops[earlier]);
                !durable[earlier]
            });
        } else {
            pending.push(index);
        }
    }
    durable
}

/// Files as a loss of power may leave them, and the sets of pending operations whose coming to the disk leads to
/// them.
struct State {
    world: World,
    /// Of the files that have names.
    digest: u64,
    ways: Vec<u128>,
}

/// All that a loss of power may leave at one moment: each pending operation done or not.
struct Front<'a> {
    base: &'a World,
    ops: &'a [Op],
    /// Those that are done to lock files.
    of_locks: Vec<bool>,
    /// The last operation that gives each file a name.
    named_last: HashMap<u64, usize>,
    /// The operations that the bits of a way stand for.
    pending: Vec<usize>,
    states: Vec<State>,
    is_sample: bool,
}

impl<'a> Front<'a> {
    fn new(base: &'a World, ops: &'a [Op]) -> Self {
        let mut named_last = HashMap::new();
        for (index, op) in ops.iter().enumerate() {
            if let Op::Create { inode, .. } | Op::Link { inode, .. } | Op::Rename { inode, .. } = op
            {
                named_last.insert(*inode, index);
            }
        }
        let mut front = Self {
            base,
            ops,
            of_locks: of_locks(ops),
            named_last,
            pending: Vec::new(),
            states: Vec::new(),
            is_sample: false,
        };
        front.begin();
        front
    }

    fn begin(&mut self) {
        let world = self.base.clone();
        self.pending.clear();
        self.is_sample = false;
        self.states = vec![State {
            digest: world.digest(|_| false),
            world,
            ways: vec![0],
        }];
    }

    /// One more operation was done, and with it so many.
    fn step(&mut self, done: usize, random: &mut Random) {
        let index = done - 1;
        if self.is_sample && is_sync(&self.ops[index]) {
            // What the sample left out may be what is left now.
            self.begin();
            let durable = durable(&self.ops[..done]);
            for (index, durable) in durable.into_iter().enumerate() {
                if !is_sync(&self.ops[index]) {
                    self.branch(index, durable, random);
                }
            }
        } else if is_sync(&self.ops[index]) {
            self.sync(index);
        } else {
            self.branch(index, false, random);
        }
    }

    fn sync(&mut self, index: usize) {
        let sync = &self.ops[index];
        self.last(|_, op| makes_durable(sync, op));
    }

    /// From now on these of the pending operations are done in all worlds.
    fn last(&mut self, lasts: impl Fn(usize, &Op) -> bool) {
        let mut needed = 0;
        let mut left = Vec::new();
        for (bit, &pending) in self.pending.iter().enumerate() {
            if lasts(pending, &self.ops[pending]) {
                needed |= 1 << bit;
            } else {
                left.push((bit, pending));
            }
        }
        for state in &mut self.states {
            state.ways.retain(|way| way & needed == needed);
            for way in &mut state.ways {
                let bits = left.iter().enumerate();
                *way = bits.fold(0, |new, (to, (from, _))| new | (*way >> from & 1) << to);
            }
            state.ways.sort_unstable();
            state.ways.dedup();
        }
        self.states.retain(|state| !state.ways.is_empty());
        self.pending = left.into_iter().map(|(_, pending)| pending).collect();
    }

    fn branch(&mut self, index: usize, durable: bool, random: &mut Random) {
        if self.of_locks[index] {
            let mut of_locks = self.pending.iter().filter(|&&at| self.of_locks[at]);
            if of_locks.clone().count() >= LOCKS
                && let Some(&oldest) = of_locks.next()
            {
                self.last(|at, _| at == oldest);
            }
        }
        let op = &self.ops[index];
        let named_last = &self.named_last;
        let later = |inode| named_last.get(&inode).is_some_and(|at| *at > index);
        let bit = self.pending.len();
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut next: Vec<State> = Vec::new();
        let mut add = |mut world: World, ways: Vec<u128>| {
            world.forget(later);
            match places.entry(world.digest(later)) {
                std::collections::hash_map::Entry::Occupied(place) => {
                    next[*place.get()].ways.extend(ways);
                }
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(next.len());
                    let digest = world.digest(|_| false);
                    next.push(State {
                        world,
                        digest,
                        ways,
                    });
                }
            }
        };
        for state in self.states.drain(..) {
            let mut world = state.world.clone();
            world.apply(op, Part::All);
            if durable {
                add(world, state.ways);
                continue;
            }
            let with = state.ways.iter().map(|way| way | 1 << bit).collect();
            add(state.world, state.ways);
            add(world, with);
        }
        if !durable {
            self.pending.push(index);
        }
        let ways: usize = next.iter().map(|state| state.ways.len()).sum();
        if next.len() > ALL || ways > WAYS || self.pending.len() >= 128 {
            self.is_sample = true;
            // The last is the one in which everything was done.
            let newest = next.pop();
            let mut kept = BTreeSet::new();
            while kept.len() < SAMPLE.min(next.len()) {
                kept.insert(random.below(next.len() as u64) as usize);
            }
            let mut at = 0;
            next.retain(|_| {
                at += 1;
                kept.contains(&(at - 1))
            });
            for state in &mut next {
                state.ways.truncate(1);
            }
            next.extend(newest);
        }
        self.states = next;
    }

    /// The worlds after so many operations; those that were seen without their files.
    fn worlds<'b, S>(
        &'b self,
        done: usize,
        seen: &'b RefCell<HashMap<u64, S>>,
    ) -> impl Iterator<Item = (u64, World)> + 'b {
        self.states.iter().map(move |state| {
            if seen.borrow().contains_key(&state.digest) {
                return (state.digest, World::default());
            }
            let mut world = state.world.clone();
            world.skip_numbers(done);
            (state.digest, world)
        })
    }
}

/// For each operation, whether it is done to a lock file.
fn of_locks(ops: &[Op]) -> Vec<bool> {
    let mut inodes = HashSet::new();
    let is_lock = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".lock");
    let mut of_lock = |op: &Op| match op {
        Op::Create { name, inode, .. } if is_lock(name) => {
            inodes.insert(*inode);
            true
        }
        Op::Link { name, .. } | Op::Unlink { name, .. } => is_lock(name),
        Op::Write { inode, .. } => inodes.contains(inode),
        _ => false,
    };
    ops.iter().map(&mut of_lock).collect()
}

/// Some of the worlds that a loss of power may leave, with torn writes.
fn some_worlds(base: &World, ops: &[Op], random: &mut Random, count: usize) -> Vec<(u64, World)> {
    let durable = durable(ops);
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for _ in 0..count {
        let mut world = base.clone();
        for (op, durable) in ops.iter().zip(&durable) {
            let part = match op {
                _ if *durable => Some(Part::All),
                Op::Write { at, data, .. } => {
                    let (first, last) = (at / 512, (at + data.len()) / 512);
                    let cut = first + random.below((last - first + 1) as u64) as usize;
                    match random.below(5) {
                        0 => None,
                        1 => Some(Part::Zeros),
                        2 => Some(Part::Before(cut)),
                        3 => Some(Part::From(cut)),
                        _ => Some(Part::All),
                    }
                }
                _ => (random.below(2) == 0).then_some(Part::All),
            };
            if let Some(part) = part {
                world.apply(op, part);
            }
        }
        world.skip_numbers(ops.len());
        world.forget(|_| false);
        let digest = world.digest(|_| false);
        if seen.insert(digest) {
            all.push((digest, world));
        }
    }
    all
}
