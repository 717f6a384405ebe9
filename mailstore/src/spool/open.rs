//! Reading the log when the spool is opened.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use super::commit::Writer;
use super::frame::{self, FRAME_HEADER, FrameHeader, Key, Record, SEGMENT_HEADER};
use super::index::Index;
use super::spare::Spares;
use super::{Inner, Queue, QueueId, SpoolConfig};
use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};

/// Takes the spool's lock, replays the log, removes files that no record names and begins a new segment.
pub(super) fn open(config: SpoolConfig, durable: Durable) -> Result<(Inner, Writer), Error> {
    let config = SpoolConfig {
        inline_octets: config.inline_octets.min(4 << 20),
        ..config
    };
    let (log, big) = (config.root.join("log"), config.root.join("big"));
    durable.make_dir(&config.root)?;
    durable.make_dirs_in(&config.root, &["log", "big"])?;
    let lock = take_lock(&durable, &config.root.join("lock"))?;
    let mut index = Index::default();
    let highest = replay(&durable, &log, &mut index)?;
    remove_orphans(&durable, &big, &index)?;
    let last_micros = index.entries.keys().map(|id| id.micros).max().unwrap_or(0);
    let number = highest + 1;
    let epoch = u32::try_from(number).map_err(|_| Error::Corrupt {
        path: log.clone(),
        at: number,
        what: "segment numbers have run out",
    })?;
    let mut spares = Spares::open(&log, config.segment_octets, &durable)?;
    while spares.is_wanted() {
        spares.fill(&durable);
    }
    let mut writer = Writer::new(log, number, config.segment_octets, spares);
    let inner = Inner {
        durable,
        config,
        epoch,
        _lock: lock,
        index: Mutex::new(index),
        queue: Mutex::new(Queue::default()),
        wake: Condvar::new(),
        last_micros: Mutex::new(last_micros),
    };
    writer.ensure_segment(&inner.durable, &inner.index)?;
    Ok((inner, writer))
}

fn take_lock(durable: &Durable, path: &Path) -> Result<Box<dyn File>, Error> {
    if durable.stat_maybe(path)?.is_none() {
        match durable.create(path) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
            }
            other => drop(other?),
        }
    }
    let file = durable.open_write(path)?;
    if file.try_lock().at("lock", path)? {
        Ok(file)
    } else {
        Err(Error::Locked {
            path: path.to_owned(),
        })
    }
}

/// Applies every frame of every segment in order, but those that a later segment declares void. Gives the
/// highest number of a segment.
fn replay(durable: &Durable, log: &Path, index: &mut Index) -> Result<u64, Error> {
    let mut paths = BTreeMap::new();
    durable.readdir(log, |name, _| {
        if let Some(number) = name.to_str().and_then(|name| name.parse::<u64>().ok()) {
            paths.insert(number, log.join(name));
        }
    })?;
    let highest = paths.keys().next_back().copied().unwrap_or(0);
    let mut logs = Vec::with_capacity(paths.len());
    let mut voids: BTreeMap<u64, u64> = BTreeMap::new();
    for (number, path) in paths {
        let file: Arc<dyn File> = Arc::from(durable.open(&path)?);
        let len = file.stat().at("stat", &path)?.len;
        index.add_segment(number, Arc::clone(&file), path.clone(), len);
        let mut log = Log::open(number, file).at("read", &path)?;
        // Whatever follows a refused write waits for the Void of it, which is a segment's first frame.
        log.next_frame(|_, body| {
            for record in frame::records(body).unwrap_or_default() {
                if let Record::Void { segment, from } = record {
                    let first = voids.entry(segment).or_insert(from);
                    *first = from.min(*first);
                }
            }
        })
        .at("read", &path)?;
        log.rewind();
        logs.push((number, log, path));
    }
    for (number, mut log, path) in logs {
        let end = voids.get(&number).copied().unwrap_or(u64::MAX);
        let mut apply = |at, body: &[u8]| {
            if at < end {
                let body_at = at + FRAME_HEADER as u64;
                for record in frame::records(body).unwrap_or_default() {
                    index.apply(number, body_at, body, record);
                }
            }
        };
        while log.next_frame(&mut apply).at("read", &path)? {}
    }
    Ok(highest)
}

/// Octets read at a time.
const WINDOW: usize = 256 << 10;

/// A segment read from its start to where no frame stands. What lies behind that is not looked at.
struct Log {
    file: Arc<dyn File>,
    /// `None`: this is not a segment, or nothing in it was ever acknowledged.
    key: Option<Key>,
    at: u64,
    /// Octets of the file from `start` on.
    window: Vec<u8>,
    start: u64,
}

impl Log {
    fn open(number: u64, file: Arc<dyn File>) -> io::Result<Self> {
        let mut log = Self {
            file,
            key: None,
            at: 0,
            window: Vec::new(),
            start: 0,
        };
        log.key = Key::read(number, log.octets(0, SEGMENT_HEADER)?);
        log.rewind();
        Ok(log)
    }

    /// Back to the first frame, with nothing held in memory.
    fn rewind(&mut self) {
        self.at = SEGMENT_HEADER as u64;
        self.window = Vec::new();
    }

    /// So many octets at a place, or fewer where the file ends.
    fn octets(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let held = at
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| skip.saturating_add(len) <= self.window.len());
        let skip = match held {
            Some(skip) => skip,
            None => {
                self.window.resize(len.max(WINDOW), 0);
                let read = read_full_at(&*self.file, &mut self.window, at)?;
                self.window.truncate(read);
                self.start = at;
                0
            }
        };
        let rest = self.window.get(skip..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest))
    }

    /// Calls `each` with the place and body of the next good frame. A frame whose body is damaged is passed over;
    /// false where no header stands: that is the tail that a crash tore, and nothing in it was acknowledged.
    fn next_frame(&mut self, each: impl FnOnce(u64, &[u8])) -> io::Result<bool> {
        let Some(key) = self.key else {
            return Ok(false);
        };
        let at = self.at;
        let Some(header) = FrameHeader::read(&key, at, self.octets(at, FRAME_HEADER)?) else {
            return Ok(false);
        };
        let body = self.octets(at + FRAME_HEADER as u64, header.len)?;
        if header.is_body(&key, body) {
            each(at, body);
        }
        self.at = at + (FRAME_HEADER + header.len) as u64;
        Ok(true)
    }
}

/// Contents whose message was never accepted, or is done.
fn remove_orphans(durable: &Durable, big: &Path, index: &Index) -> Result<(), Error> {
    let mut orphans = Vec::new();
    durable.readdir(big, |name, _| {
        let id = name.to_str().and_then(|name| name.parse::<QueueId>().ok());
        let wanted = id
            .and_then(|id| index.entries.get(&id))
            .is_some_and(|entry| entry.content.is_none());
        if !wanted {
            orphans.push(big.join(name));
        }
    })?;
    for path in orphans {
        durable.remove(&path)?;
    }
    Ok(())
}
