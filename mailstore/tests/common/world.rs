//! Files in memory, and what can be done to them one by one.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(super) const ROOT: u64 = 1;

/// The line of the crate that asks for a sync, as `file:line`.
pub type Line = Arc<str>;

#[derive(Clone, Debug)]
pub enum Op {
    Create {
        dir: u64,
        name: OsString,
        inode: u64,
    },
    Mkdir {
        dir: u64,
        name: OsString,
        inode: u64,
    },
    Write {
        inode: u64,
        at: usize,
        data: Vec<u8>,
    },
    SetLen {
        inode: u64,
        len: usize,
    },
    Touch {
        inode: u64,
        time: SystemTime,
    },
    Link {
        dir: u64,
        name: OsString,
        inode: u64,
    },
    Rename {
        from: (u64, OsString),
        to: (u64, OsString),
        inode: u64,
    },
    Unlink {
        dir: u64,
        name: OsString,
        inode: u64,
    },
    Sync {
        inode: u64,
        line: Line,
    },
    SyncDir {
        dir: u64,
        line: Line,
    },
    /// A sync that was left out.
    Nothing,
}

impl Op {
    /// The directories whose names it changes.
    fn directories(&self) -> Vec<u64> {
        match self {
            Self::Create { dir, .. }
            | Self::Mkdir { dir, .. }
            | Self::Link { dir, .. }
            | Self::Unlink { dir, .. } => vec![*dir],
            Self::Rename { from, to, .. } => vec![from.0, to.0],
            _ => Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) data: Arc<Vec<u8>>,
    pub(super) modified: Option<SystemTime>,
    /// Of the octets.
    digest: u64,
}

impl Inode {
    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let data = Arc::make_mut(&mut self.data);
        change(data);
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        self.digest = hasher.finish();
    }
}

/// Files and names at one moment.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub(super) files: BTreeMap<u64, Inode>,
    pub(super) dirs: BTreeMap<u64, BTreeMap<OsString, u64>>,
    pub(super) dir_times: HashMap<u64, SystemTime>,
    pub(super) next: u64,
    /// Ticks with every change, and goes on ticking after a loss of power.
    clock: u64,
    shift: Duration,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            next: ROOT + 1,
            ..Self::default()
        };
        world.dirs.insert(ROOT, BTreeMap::new());
        world
    }

    /// Forgets the files that no name leads to and none of `later` will.
    pub fn forget(&mut self, later: impl Fn(u64) -> bool) {
        let names = self.dirs.values().flat_map(BTreeMap::values);
        let named: HashSet<u64> = names.copied().collect();
        self.files
            .retain(|inode, _| later(*inode) || named.contains(inode));
    }

    /// Tells worlds apart by the files that have names, or will by `later`.
    pub fn digest(&self, later: impl Fn(u64) -> bool) -> u64 {
        let names = self.dirs.values().flat_map(BTreeMap::values);
        let named: HashSet<u64> = names.copied().collect();
        let mut hasher = DefaultHasher::new();
        self.dirs.hash(&mut hasher);
        for (inode, file) in &self.files {
            if named.contains(inode) || later(*inode) {
                (inode, file.digest, file.modified).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// What another program makes of a file, if it is there.
    pub fn edit(&mut self, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let found = path.split('/').filter(|name| !name.is_empty());
        let inode = found.into_iter().try_fold(ROOT, |dir, name| {
            self.dirs.get(&dir)?.get(OsStr::new(name)).copied()
        });
        if let Some(file) = inode.and_then(|inode| self.files.get_mut(&inode)) {
            file.change(edit);
        }
    }

    /// New files get numbers that none of so many operations gave.
    pub fn skip_numbers(&mut self, ops: usize) {
        self.next += ops as u64;
        self.clock += 2 * ops as u64;
    }

    /// The same with a clock that never shows what this one showed, so that no directory has by chance the time of
    /// another state.
    pub fn with_other_times(mut self) -> Self {
        self.shift = Duration::from_micros(500);
        self
    }

    pub(super) fn now(&mut self) -> SystemTime {
        self.clock += 1;
        super::at(100) + Duration::from_millis(self.clock) + self.shift
    }

    pub fn apply(&mut self, op: &Op, part: Part) {
        // A name and the time of its directory come to the disk together.
        let now = self.now();
        for dir in op.directories() {
            self.dir_times.insert(dir, now);
        }
        match op {
            Op::Create { dir, name, inode } => {
                self.files.entry(*inode).or_default();
                self.dirs
                    .entry(*dir)
                    .or_default()
                    .insert(name.clone(), *inode);
            }
            Op::Mkdir { dir, name, inode } => {
                self.dirs.entry(*inode).or_default();
                self.dirs
                    .entry(*dir)
                    .or_default()
                    .insert(name.clone(), *inode);
            }
            Op::Write { inode, at, data } => {
                let file = self.files.entry(*inode).or_default();
                file.change(|file| {
                    let end = at + data.len();
                    if file.len() < end {
                        file.resize(end, 0);
                    }
                    let mut done = 0;
                    while done < data.len() {
                        let block = (at + done) / 512;
                        let stop = ((block + 1) * 512 - at).min(data.len());
                        if part.keeps(block) {
                            file[at + done..at + stop].copy_from_slice(&data[done..stop]);
                        }
                        done = stop;
                    }
                });
            }
            Op::SetLen { inode, len } => {
                let file = self.files.entry(*inode).or_default();
                file.change(|file| file.resize(*len, 0));
            }
            Op::Touch { inode, time } => {
                self.files.entry(*inode).or_default().modified = Some(*time)
            }
            Op::Link { dir, name, inode } => {
                // A name leads to a file, though none of its octets may have come to the disk.
                if !self.dirs.contains_key(inode) {
                    self.files.entry(*inode).or_default();
                }
                self.dirs
                    .entry(*dir)
                    .or_default()
                    .insert(name.clone(), *inode);
            }
            Op::Rename { from, to, inode } => {
                if let Some(dir) = self.dirs.get_mut(&from.0)
                    && dir.get(&from.1) == Some(inode)
                {
                    dir.remove(&from.1);
                }
                if !self.dirs.contains_key(inode) {
                    self.files.entry(*inode).or_default();
                }
                self.dirs
                    .entry(to.0)
                    .or_default()
                    .insert(to.1.clone(), *inode);
            }
            Op::Unlink { dir, name, inode } => {
                if let Some(dir) = self.dirs.get_mut(dir)
                    && dir.get(name) == Some(inode)
                {
                    dir.remove(name);
                }
            }
            Op::Sync { .. } | Op::SyncDir { .. } | Op::Nothing => {}
        }
    }
}

/// How much of a write came to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    /// The length alone.
    Zeros,
    /// Blocks below this, or from this on.
    Before(usize),
    From(usize),
}

impl Part {
    fn keeps(self, block: usize) -> bool {
        match self {
            Self::All => true,
            Self::Zeros => false,
            Self::Before(limit) => block < limit,
            Self::From(limit) => block >= limit,
        }
    }
}

/// A small generator, seeded so that every run is the same.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
