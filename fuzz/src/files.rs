//! Files in memory, for targets that read a whole store.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mailstore::{File, Fs, Kind, Stat};

/// A file system that starts empty; what is written is durable at once.
#[derive(Default)]
pub(crate) struct Files {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None: a directory.
    names: BTreeMap<PathBuf, Option<Handle>>,
    /// Inodes given, and changes made: the time, in seconds.
    count: u64,
}

#[derive(Clone)]
struct Handle(Arc<Mutex<Content>>);

struct Content {
    octets: Vec<u8>,
    modified: SystemTime,
    inode: u64,
    mode: u32,
}

/// No target writes more.
const LARGEST: u64 = 16 << 20;

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn time(count: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + count)
}

impl State {
    fn file(&self, path: &Path) -> io::Result<Handle> {
        match self.names.get(path) {
            Some(Some(handle)) => Ok(handle.clone()),
            Some(None) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// A name that is free, in a directory that is there.
    fn put(&mut self, path: &Path, node: Option<Handle>) -> io::Result<()> {
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match path.parent().map(|parent| self.names.get(parent)) {
            Some(Some(None)) => {}
            Some(Some(Some(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            Some(None) => return Err(io::ErrorKind::NotFound.into()),
            None => {}
        }
        self.names.insert(path.to_owned(), node);
        self.count += 1;
        Ok(())
    }
}

impl Files {
    /// Puts a file there, and the directories above it.
    pub(crate) fn place(&self, path: &Path, octets: &[u8]) {
        let mut state = held(&self.state);
        for above in path.ancestors().skip(1) {
            state.names.entry(above.to_owned()).or_insert(None);
        }
        state.count += 1;
        let content = Content {
            octets: octets.to_vec(),
            modified: time(state.count),
            inode: state.count,
            mode: 0o600,
        };
        let handle = Handle(Arc::new(Mutex::new(content)));
        state.names.insert(path.to_owned(), Some(handle));
    }

    /// What a file holds.
    #[must_use]
    pub(crate) fn octets(&self, path: &Path) -> Option<Vec<u8>> {
        let handle = held(&self.state).file(path).ok()?;
        Some(held(&handle.0).octets.clone())
    }
}

impl Fs for Files {
    fn create_excl(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = held(&self.state);
        let content = Content {
            octets: Vec::new(),
            modified: time(state.count),
            inode: state.count + 1,
            mode: 0o600,
        };
        let handle = Handle(Arc::new(Mutex::new(content)));
        state.put(path, Some(handle.clone()))?;
        Ok(Box::new(handle))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(held(&self.state).file(path)?))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = held(&self.state);
        let handle = state.file(from)?;
        state.put(to, Some(handle))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = held(&self.state);
        let Some(node) = state.names.get(from).cloned() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let replaced = state.names.remove(to);
        if let Err(error) = state.put(to, node) {
            if let Some(replaced) = replaced {
                state.names.insert(to.to_owned(), replaced);
            }
            return Err(error);
        }
        let below: Vec<PathBuf> = state
            .names
            .keys()
            .filter(|path| path.starts_with(from) && *path != from)
            .cloned()
            .collect();
        for path in below {
            if let (Some(node), Ok(rest)) = (state.names.remove(&path), path.strip_prefix(from)) {
                state.names.insert(to.join(rest), node);
            }
        }
        state.names.remove(from);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = held(&self.state);
        state.file(path)?;
        state.names.remove(path);
        state.count += 1;
        Ok(())
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        held(&self.state).put(path, None)
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        let mut state = held(&self.state);
        if state.names.get(path).is_none_or(Option::is_some) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.names.remove(path);
        Ok(())
    }

    fn fsync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        let entries: Vec<(PathBuf, Kind)> = {
            let state = held(&self.state);
            match state.names.get(path) {
                Some(None) => {}
                Some(Some(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            }
            let kind = |node: &Option<Handle>| match node {
                Some(_) => Kind::File,
                None => Kind::Directory,
            };
            let names = state.names.iter();
            names
                .filter(|(name, _)| name.parent() == Some(path))
                .map(|(name, node)| (name.clone(), kind(node)))
                .collect()
        };
        for (name, kind) in &entries {
            if let Some(name) = name.file_name() {
                each(name, *kind);
            }
        }
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = held(&self.state);
        match state.names.get(path) {
            Some(Some(handle)) => handle.stat(),
            Some(None) => Ok(Stat {
                kind: Kind::Directory,
                len: 0,
                modified: time(state.count),
                inode: 0,
                mode: 0o700,
            }),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn process_alive(&self, _: u32) -> bool {
        false
    }
}

impl File for Handle {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let content = held(&self.0);
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let rest = content.octets.get(start..).unwrap_or_default();
        let mut read = 0;
        for (to, from) in buf.iter_mut().zip(rest) {
            *to = *from;
            read += 1;
        }
        Ok(read)
    }

    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        let end = at.saturating_add(u64::try_from(buf.len()).unwrap_or(u64::MAX));
        if held(&self.0).octets.len() < usize::try_from(end).unwrap_or(usize::MAX) {
            self.set_len(end)?;
        }
        let mut content = held(&self.0);
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        for (to, from) in content.octets.iter_mut().skip(start).zip(buf) {
            *to = *from;
        }
        content.modified += Duration::from_secs(1);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > LARGEST {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::StorageFull)?;
        held(&self.0).octets.resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        let content = held(&self.0);
        Ok(Stat {
            kind: Kind::File,
            len: u64::try_from(content.octets.len()).unwrap_or(u64::MAX),
            modified: content.modified,
            inode: content.inode,
            mode: content.mode,
        })
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        held(&self.0).modified = time;
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        held(&self.0).mode = mode;
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        Ok(())
    }
}
