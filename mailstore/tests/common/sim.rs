//! A file system in memory that records what is done to it and fails on demand.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::backtrace::Backtrace;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use mailstore::{File, Fs, Kind, Stat};

const ROOT: u64 = 1;

/// The line of the crate that asks for a sync, as `file:line`.
pub type Line = Arc<str>;

/// The innermost line of the crate on the stack that is not in the functions that all syncs go through.
fn line() -> Line {
    let trace = Backtrace::force_capture().to_string();
    let mut function = "";
    for line in trace.lines().map(str::trim) {
        let Some(place) = line.strip_prefix("at ") else {
            function = line;
            continue;
        };
        // Their lines are the same for all callers.
        let shared = place.contains("src/durable/group.rs")
            || place.contains("src/durable/mod.rs")
                && ["sync", "sync_data", "sync_dir", "{closure#0}"]
                    .iter()
                    .any(|name| function.ends_with(name));
        if let Some((_, place)) = place.split_once("src/")
            && !place.starts_with("library")
            && Path::new("src")
                .join(place.split(':').next().unwrap())
                .exists()
            && !shared
        {
            return place.rsplit_once(':').unwrap().0.into();
        }
    }
    panic!("a sync from nowhere:\n{trace}");
}

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
struct Inode {
    data: Arc<Vec<u8>>,
    modified: Option<SystemTime>,
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
    files: BTreeMap<u64, Inode>,
    dirs: BTreeMap<u64, BTreeMap<OsString, u64>>,
    dir_times: HashMap<u64, SystemTime>,
    next: u64,
    /// Ticks with every change, and goes on ticking after a loss of power.
    clock: u64,
    shift: Duration,
}

#[derive(Default)]
struct State {
    world: World,
    ops: Vec<Op>,
    fail: Option<Fail>,
    /// Calls that could have failed.
    calls: usize,
}

/// The call that fails, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fail {
    pub call: usize,
    pub errno: i32,
    /// Every later write and create fails too, as on a full disk.
    pub lasting: bool,
}

#[derive(Clone, Default)]
pub struct Sim(Arc<Mutex<State>>);

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            next: ROOT + 1,
            ..Self::default()
        };
        world.dirs.insert(ROOT, BTreeMap::new());
        world
    }

    /// Forgets the files that no name leads to and none of `later` will, and tells worlds apart.
    pub fn settle(&mut self, later: impl Fn(u64) -> bool) -> u64 {
        // What a lock is before it has its name matters to nobody.
        let passing = |name: &OsString| {
            let name = name.to_string_lossy();
            name.starts_with('.') && name.ends_with(".lock") && !name.ends_with(".posthaste.lock")
        };
        for names in self.dirs.values_mut() {
            names.retain(|name, _| !passing(name));
        }
        let named: HashSet<u64> = self
            .dirs
            .values()
            .flat_map(BTreeMap::values)
            .copied()
            .collect();
        self.files
            .retain(|inode, _| named.contains(inode) || later(*inode));
        let mut hasher = DefaultHasher::new();
        self.dirs.hash(&mut hasher);
        for (inode, file) in &self.files {
            (inode, file.digest, file.modified).hash(&mut hasher);
        }
        hasher.finish()
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

    fn now(&mut self) -> SystemTime {
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

impl Sim {
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(State {
            world,
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn world(&self) -> World {
        self.state().world.clone()
    }

    pub fn ops(&self) -> Vec<Op> {
        self.state().ops.clone()
    }

    pub fn op_count(&self) -> usize {
        self.state().ops.len()
    }

    pub fn fail(&self, fail: Option<Fail>) {
        let mut state = self.state();
        state.calls = 0;
        state.fail = fail;
    }

    pub fn calls(&self) -> usize {
        self.state().calls
    }
}

impl State {
    fn may_fail(&mut self, takes_space: bool) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        match self.fail {
            Some(fail)
                if call == fail.call || (fail.lasting && takes_space && call > fail.call) =>
            {
                Err(io::Error::from_raw_os_error(fail.errno))
            }
            _ => Ok(()),
        }
    }

    fn lookup(&self, path: &Path) -> io::Result<u64> {
        let mut inode = ROOT;
        for part in path.components() {
            let std::path::Component::Normal(name) = part else {
                continue;
            };
            let dir = self
                .world
                .dirs
                .get(&inode)
                .ok_or(io::ErrorKind::NotADirectory)?;
            inode = *dir.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    fn parent(&self, path: &Path) -> io::Result<(u64, OsString)> {
        let name = path
            .file_name()
            .ok_or(io::ErrorKind::InvalidInput)?
            .to_owned();
        let dir = self.lookup(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        if !self.world.dirs.contains_key(&dir) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok((dir, name))
    }

    fn has(&self, dir: u64, name: &OsStr) -> bool {
        self.world
            .dirs
            .get(&dir)
            .is_some_and(|dir| dir.contains_key(name))
    }

    fn record(&mut self, op: Op) {
        let now = self.world.now();
        self.world.apply(&op, Part::All);
        if let Op::Write { inode, .. } | Op::SetLen { inode, .. } | Op::Create { inode, .. } = &op {
            self.world.files.entry(*inode).or_default().modified = Some(now);
        }
        self.ops.push(op);
    }

    fn sync(&mut self, op: Op) -> io::Result<()> {
        self.may_fail(false)?;
        self.ops.push(op);
        Ok(())
    }

    fn stat(&self, inode: u64) -> io::Result<Stat> {
        if self.world.dirs.contains_key(&inode) {
            let modified = self
                .world
                .dir_times
                .get(&inode)
                .copied()
                .unwrap_or_else(|| super::at(100));
            return Ok(Stat {
                kind: Kind::Directory,
                len: 0,
                modified,
                inode,
                mode: 0o700,
            });
        }
        let file = self
            .world
            .files
            .get(&inode)
            .ok_or(io::ErrorKind::NotFound)?;
        let modified = file.modified.unwrap_or_else(|| super::at(100));
        Ok(Stat {
            kind: Kind::File,
            len: file.data.len() as u64,
            modified,
            inode,
            mode: 0o600,
        })
    }
}

impl Fs for Sim {
    fn create_excl(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        state.may_fail(true)?;
        let (dir, name) = state.parent(path)?;
        if state.has(dir, &name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.world.next += 1;
        let inode = state.world.next;
        state.record(Op::Create { dir, name, inode });
        Ok(Box::new(SimFile {
            sim: self.clone(),
            inode,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        state.may_fail(false)?;
        let inode = state.lookup(path)?;
        if !state.world.files.contains_key(&inode) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(SimFile {
            sim: self.clone(),
            inode,
        }))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_fail(true)?;
        let inode = state.lookup(from)?;
        let (dir, name) = state.parent(to)?;
        if state.has(dir, &name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.record(Op::Link { dir, name, inode });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_fail(true)?;
        let inode = state.lookup(from)?;
        let (from, to) = (state.parent(from)?, state.parent(to)?);
        state.record(Op::Rename { from, to, inode });
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_fail(false)?;
        let inode = state.lookup(path)?;
        let (dir, name) = state.parent(path)?;
        state.record(Op::Unlink { dir, name, inode });
        Ok(())
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_fail(true)?;
        let (dir, name) = state.parent(path)?;
        if state.has(dir, &name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.world.next += 1;
        let inode = state.world.next;
        state.record(Op::Mkdir { dir, name, inode });
        Ok(())
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_fail(false)?;
        let inode = state.lookup(path)?;
        if state
            .world
            .dirs
            .get(&inode)
            .is_none_or(|dir| !dir.is_empty())
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = state.parent(path)?;
        state.record(Op::Unlink { dir, name, inode });
        Ok(())
    }

    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let dir = state.lookup(path)?;
        state.sync(Op::SyncDir { dir, line: line() })
    }

    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        let entries: Vec<(OsString, Kind)> = {
            let mut state = self.state();
            state.may_fail(false)?;
            let inode = state.lookup(path)?;
            let dir = state
                .world
                .dirs
                .get(&inode)
                .ok_or(io::ErrorKind::NotADirectory)?;
            let kind = |inode| {
                if state.world.dirs.contains_key(inode) {
                    Kind::Directory
                } else {
                    Kind::File
                }
            };
            dir.iter()
                .map(|(name, inode)| (name.clone(), kind(inode)))
                .collect()
        };
        for (name, kind) in entries {
            each(&name, kind);
        }
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let mut state = self.state();
        state.may_fail(false)?;
        let inode = state.lookup(path)?;
        state.stat(inode)
    }

    fn process_alive(&self, _pid: u32) -> bool {
        false
    }
}

struct SimFile {
    sim: Sim,
    inode: u64,
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.sim.state();
        state.may_fail(false)?;
        let data = &state
            .world
            .files
            .get(&self.inode)
            .ok_or(io::ErrorKind::NotFound)?
            .data;
        let rest = data.get(at as usize..).unwrap_or_default();
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.sim.state();
        if let Err(error) = state.may_fail(true) {
            // A disk that fills up takes a part first.
            let part = &buf[..buf.len() / 2];
            if !part.is_empty() {
                state.record(Op::Write {
                    inode: self.inode,
                    at: at as usize,
                    data: part.to_vec(),
                });
            }
            return Err(error);
        }
        if !buf.is_empty() {
            state.record(Op::Write {
                inode: self.inode,
                at: at as usize,
                data: buf.to_vec(),
            });
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.sim.state();
        state.may_fail(false)?;
        state.record(Op::SetLen {
            inode: self.inode,
            len: len as usize,
        });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let op = Op::Sync {
            inode: self.inode,
            line: line(),
        };
        self.sim.state().sync(op)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn stat(&self) -> io::Result<Stat> {
        self.sim.state().stat(self.inode)
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        let mut state = self.sim.state();
        state.may_fail(false)?;
        state.record(Op::Touch {
            inode: self.inode,
            time,
        });
        Ok(())
    }

    fn set_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        Ok(())
    }
}
