//! A file system in memory that records what is done to it and fails on demand.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::backtrace::Backtrace;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use mailstore::{File, Fs, Kind, Stat};

use super::world::ROOT;
pub use super::world::{Line, Op, Part, Random, World};

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

#[derive(Default)]
struct State {
    world: World,
    ops: Vec<Op>,
    fail: Option<Fail>,
    /// Calls that could have failed.
    calls: usize,
    /// Syncs are told by the lines that ask for them, which takes its time.
    traced: bool,
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

impl Sim {
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(State {
            world,
            ..State::default()
        })))
    }

    /// As [`new`](Self::new); its syncs tell their lines.
    pub fn traced(world: World) -> Self {
        let sim = Self::new(world);
        sim.state().traced = true;
        sim
    }

    fn line(&self) -> Line {
        if self.state().traced {
            line()
        } else {
            Line::from("")
        }
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
        let line = self.line();
        let mut state = self.state();
        let dir = state.lookup(path)?;
        state.sync(Op::SyncDir { dir, line })
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
            // A disk that fills up takes a part first; of what is written over, whole blocks.
            let len = state
                .world
                .files
                .get(&self.inode)
                .map_or(0, |file| file.data.len());
            let (at, mut end) = (at as usize, at as usize + buf.len() / 2);
            if at + buf.len() <= len {
                end = (end / 512 * 512).max(at);
            }
            let part = &buf[..end - at];
            if !part.is_empty() {
                state.record(Op::Write {
                    inode: self.inode,
                    at,
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
            line: self.sim.line(),
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
