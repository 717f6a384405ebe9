//! Reading the log when the spool is opened.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use super::commit::Writer;
use super::frame::{self, FRAME_HEADER, FrameHeader, Key, Record, SEGMENT_HEADER};
use super::index::Index;
use super::spare::Spares;
use super::{Begun, Damage, Inner, Queue, QueueId, SpoolConfig};
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
    let (highest, damage) = replay(&durable, &log, &mut index)?;
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
        begun: Mutex::new(Begun {
            last_micros,
            buffers: Vec::new(),
        }),
        damage,
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
/// highest number of a segment, and what could not be read.
fn replay(durable: &Durable, log: &Path, index: &mut Index) -> Result<(u64, Vec<Damage>), Error> {
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
        let first = log.first_body().at("read", &path)?;
        for record in first
            .as_deref()
            .and_then(frame::records)
            .into_iter()
            .flatten()
        {
            if let Record::Void { segment, from } = record {
                let first = voids.entry(segment).or_insert(from);
                *first = from.min(*first);
            }
        }
        logs.push((number, log, path));
    }
    let mut damage = Vec::new();
    for (number, mut log, path) in logs {
        let end = voids.get(&number).copied().unwrap_or(u64::MAX);
        let mut apply = |at, body: &[u8]| {
            if at < end {
                let body_at = at + FRAME_HEADER as u64;
                for record in frame::records(body).into_iter().flatten() {
                    index.apply(number, body_at, body, record);
                }
            }
        };
        while log.at < end && log.next_frame(&mut apply).at("read", &path)? {}
        let lost = log.lost.filter(|lost| lost.at < end);
        damage.extend(lost.map(|Lost { at, octets }| Damage { path, at, octets }));
    }
    Ok((highest, damage))
}

/// Octets read at a time.
const WINDOW: usize = 256 << 10;

/// A segment read from its start to behind its last frame.
struct Log {
    file: Arc<dyn File>,
    /// `None`: this is not a segment, or nothing in it was ever acknowledged.
    key: Option<Key>,
    at: u64,
    /// Octets of the file from `start` on.
    window: Vec<u8>,
    start: u64,
    /// What could not be read and has a good frame behind it.
    lost: Option<Lost>,
    /// What could not be read since the last good frame.
    doubtful: Option<Lost>,
}

#[derive(Clone, Copy)]
struct Lost {
    /// The first place.
    at: u64,
    /// In all.
    octets: u64,
}

impl Lost {
    fn add(lost: &mut Option<Self>, more: Self) {
        match lost {
            Some(lost) => lost.octets += more.octets,
            None => *lost = Some(more),
        }
    }
}

impl Log {
    fn open(number: u64, file: Arc<dyn File>) -> io::Result<Self> {
        let mut log = Self {
            file,
            key: None,
            at: SEGMENT_HEADER as u64,
            window: Vec::new(),
            start: 0,
            lost: None,
            doubtful: None,
        };
        log.key = Key::read(number, log.octets(0, SEGMENT_HEADER)?);
        Ok(log)
    }

    /// The body of a good frame at the segment's start. Nothing is held in memory afterwards.
    fn first_body(&mut self) -> io::Result<Option<Vec<u8>>> {
        let at = self.at;
        let Some(key) = self.key else {
            return Ok(None);
        };
        let header = FrameHeader::read(&key, at, self.octets(at, FRAME_HEADER)?);
        let Some(header) = header else {
            return Ok(None);
        };
        let body = self.octets(at + FRAME_HEADER as u64, header.len)?;
        let body = header.is_body(&key, body).then(|| body.to_vec());
        self.window = Vec::new();
        Ok(body)
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

    /// Calls `each` with the place and body of the next good frame; false when there is none. What is not a frame is
    /// passed over: with no frame behind it, it is the tail that a crash tore, in which nothing was acknowledged, or
    /// what the file held before.
    fn next_frame(&mut self, each: impl FnOnce(u64, &[u8])) -> io::Result<bool> {
        let Some(key) = self.key else {
            return Ok(false);
        };
        loop {
            let Some((at, header)) = self.next_header(&key)? else {
                return Ok(false);
            };
            let between = Lost {
                at: self.at,
                octets: at - self.at,
            };
            if between.octets > 0 {
                Lost::add(&mut self.doubtful, between);
            }
            let octets = (FRAME_HEADER + header.len) as u64;
            self.at = at + octets;
            let body = self.octets(at + FRAME_HEADER as u64, header.len)?;
            if header.is_body(&key, body) {
                each(at, body);
                if let Some(lost) = self.doubtful.take() {
                    Lost::add(&mut self.lost, lost);
                }
                return Ok(true);
            }
            Lost::add(&mut self.doubtful, Lost { at, octets });
        }
    }

    /// The next good header, from where the last frame ended on. Its salt keeps a message from bringing one along,
    /// and each octet is looked at once.
    fn next_header(&mut self, key: &Key) -> io::Result<Option<(u64, FrameHeader)>> {
        let mut at = self.at;
        if let Some(header) = FrameHeader::read(key, at, self.octets(at, FRAME_HEADER)?) {
            return Ok(Some((at, header)));
        }
        loop {
            let window = self.octets(at, WINDOW)?;
            for found in frame::candidates(window) {
                let place = at + found as u64;
                let octets = window.get(found..).unwrap_or_default();
                if let Some(header) = FrameHeader::read(key, place, octets) {
                    return Ok(Some((place, header)));
                }
            }
            if window.len() < WINDOW {
                return Ok(None);
            }
            // A header may begin in this window and end in the next.
            at += (window.len() - FRAME_HEADER + 1) as u64;
        }
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
