//! Losing power: everything that may be left of the files behind each operation, and whether it is good.
//!
//! What survives: octets of a file after a sync of it, names of a directory after a sync of it (a rename after that
//! of either of its directories), and of everything else any part.
#![allow(dead_code, unreachable_pub, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::sim::{Line, Op, Part, Random, Sim, World};

/// So many worlds, as nine pending operations make that matter to each other, are all tried; of more, a sample.
const ALL: usize = 1 << 9;
const SAMPLE: usize = 256;
/// Worlds in which writes are torn, for each moment.
const TORN: usize = 12;
/// Every so many worlds lose power again while they recover.
const AGAIN: usize = 16;

/// A run of changes, and where it began.
pub struct Power {
    pub base: World,
    pub ops: Vec<Op>,
}

/// Digests of the worlds that were good, by moment.
pub struct Good(Vec<HashSet<u64>>);

impl Power {
    /// Loses power before the first operation, behind each, and while that is recovered from. `check` gets the
    /// files and the number of operations that were done.
    pub fn loss(&self, check: impl Fn(&Sim, usize) -> Result<(), String>) -> Result<Good, String> {
        let mut random = Random(7);
        let mut good = Vec::new();
        for cut in 0..=self.ops.len() {
            let worlds = worlds(&self.base, &self.ops[..cut], &mut random, TORN);
            good.push(worlds.iter().map(|(digest, _)| *digest).collect());
            for (nth, (_, world)) in worlds.into_iter().enumerate() {
                let recovering = Sim::new(world.clone());
                check(&recovering, cut).map_err(|error| {
                    format!("cut {cut} of {}, world {nth}: {error}", self.ops.len())
                })?;
                if nth % AGAIN != 0 {
                    continue;
                }
                let again = recovering.ops();
                let second = random.below(again.len() as u64 + 1) as usize;
                let left = some_worlds(&world, &again[..second], &mut random, 4);
                for (_, world) in left {
                    check(&Sim::new(world), cut).map_err(|error| {
                        format!("cut {cut}, world {nth}, then {second}: {error}")
                    })?;
                }
            }
        }
        Ok(Good(good))
    }

    /// As [`loss`](Self::loss), with so many worlds for each moment: where much is never synced, all of them would
    /// be too many.
    pub fn some_loss(
        &self,
        count: usize,
        check: impl Fn(&Sim, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut random = Random(7);
        for cut in 0..=self.ops.len() {
            let left = some_worlds(&self.base, &self.ops[..cut], &mut random, count);
            for (nth, (_, world)) in left.into_iter().enumerate() {
                check(&Sim::new(world), cut).map_err(|error| {
                    format!("cut {cut} of {}, world {nth}: {error}", self.ops.len())
                })?;
            }
        }
        Ok(())
    }

    /// Leaves out each line that syncs in turn; whether nothing goes wrong without it.
    pub fn syncs(
        &self,
        good: &Good,
        check: impl Fn(&Sim, usize) -> Result<(), String>,
    ) -> BTreeMap<Line, bool> {
        let lines: BTreeSet<&Line> = self.ops.iter().filter_map(sync_line).collect();
        lines
            .into_iter()
            .map(|line| (Line::clone(line), self.is_idle(line, good, &check)))
            .collect()
    }

    fn is_idle(
        &self,
        line: &Line,
        good: &Good,
        check: impl Fn(&Sim, usize) -> Result<(), String>,
    ) -> bool {
        let without = |op: &Op| match sync_line(op) {
            Some(of) if of == line => Op::Nothing,
            _ => op.clone(),
        };
        let ops: Vec<Op> = self.ops.iter().map(without).collect();
        let mut random = Random(11);
        (0..=ops.len()).all(|cut| {
            worlds(&self.base, &ops[..cut], &mut random, TORN)
                .into_iter()
                .filter(|(digest, _)| !good.0[cut].contains(digest))
                .all(|(_, world)| check(&Sim::new(world), cut).is_ok())
        })
    }
}

fn sync_line(op: &Op) -> Option<&Line> {
    match op {
        Op::Sync { line, .. } | Op::SyncDir { line, .. } => Some(line),
        _ => None,
    }
}

/// For each operation, whether a later sync made it last.
fn durable(ops: &[Op]) -> Vec<bool> {
    let mut synced_files: HashMap<u64, usize> = HashMap::new();
    let mut synced_dirs: HashMap<u64, usize> = HashMap::new();
    for (index, op) in ops.iter().enumerate() {
        match op {
            Op::Sync { inode, .. } => drop(synced_files.insert(*inode, index)),
            Op::SyncDir { dir, .. } => drop(synced_dirs.insert(*dir, index)),
            _ => {}
        }
    }
    let file = |inode: &u64, index| synced_files.get(inode).is_some_and(|at| *at > index);
    let dir = |dir: &u64, index| synced_dirs.get(dir).is_some_and(|at| *at > index);
    ops.iter()
        .enumerate()
        .map(|(index, op)| match op {
            Op::Create { dir: at, .. }
            | Op::Mkdir { dir: at, .. }
            | Op::Link { dir: at, .. }
            | Op::Unlink { dir: at, .. } => dir(at, index),
            Op::Rename { from, to, .. } => dir(&from.0, index) || dir(&to.0, index),
            Op::Write { inode, .. } | Op::SetLen { inode, .. } | Op::Touch { inode, .. } => {
                file(inode, index)
            }
            Op::Sync { .. } | Op::SyncDir { .. } | Op::Nothing => true,
        })
        .collect()
}

/// Worlds of which no two are the same.
struct Worlds {
    seen: HashSet<u64>,
    all: Vec<(u64, World)>,
}

impl Worlds {
    fn new() -> Self {
        Self {
            seen: HashSet::new(),
            all: Vec::new(),
        }
    }

    fn add(&mut self, mut world: World, later: impl Fn(u64) -> bool) {
        let digest = world.settle(later);
        if self.seen.insert(digest) {
            self.all.push((digest, world));
        }
    }
}

/// The last operation that gives each file a name.
fn named_last(ops: &[Op]) -> HashMap<u64, usize> {
    let mut last = HashMap::new();
    for (index, op) in ops.iter().enumerate() {
        if let Op::Create { inode, .. } | Op::Link { inode, .. } | Op::Rename { inode, .. } = op {
            last.insert(*inode, index);
        }
    }
    last
}

/// What a loss of power behind these operations may leave: each pending operation done or not, and `torn` worlds
/// in which some writes are done in part.
fn worlds(base: &World, ops: &[Op], random: &mut Random, torn: usize) -> Vec<(u64, World)> {
    let (durable, last) = (durable(ops), named_last(ops));
    let mut worlds = vec![base.clone()];
    for (index, (op, durable)) in ops.iter().zip(&durable).enumerate() {
        if matches!(op, Op::Sync { .. } | Op::SyncDir { .. } | Op::Nothing) {
            continue;
        }
        let later = |inode| last.get(&inode).is_some_and(|at| *at > index);
        let mut next = Worlds::new();
        for mut world in worlds {
            if !durable {
                next.add(world.clone(), later);
            }
            world.apply(op, Part::All);
            next.add(world, later);
        }
        while next.all.len() > ALL {
            // The last is the one in which everything was done.
            let all = next.all.len();
            let newest = next.all.pop();
            next.all = (1..SAMPLE)
                .map(|_| next.all[random.below(all as u64 - 1) as usize].clone())
                .chain(newest)
                .collect();
        }
        worlds = next.all.into_iter().map(|(_, world)| world).collect();
    }
    let mut all = Worlds::new();
    for mut world in worlds {
        world.skip_numbers(ops.len());
        all.add(world, |_| false);
    }
    for (_, world) in some_worlds(base, ops, random, torn) {
        all.add(world, |_| false);
    }
    all.all
}

/// Some of the worlds that a loss of power may leave, with torn writes.
fn some_worlds(base: &World, ops: &[Op], random: &mut Random, count: usize) -> Vec<(u64, World)> {
    let durable = durable(ops);
    let mut all = Worlds::new();
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
        all.add(world, |_| false);
    }
    all.all
}
