//! Reading the log when the spool is opened.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use super::commit::Writer;
use super::frame::{self, Beginning, FIRST_FRAME, FRAME_HEADER, FrameHeader, Key, Record};
use super::index::Index;
use super::segment_name;
use super::spare::Spares;
use super::{Begun, Damage, Inner, Queue, QueueId, SpoolConfig};
use crate::durable::{Durable, File, Kind, read_full_at};
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
    let Replayed {
        highest,
        damage,
        endings,
    } = replay(&durable, &log, &mut index)?;
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
    let mut writer = Writer::new(log, number, config.segment_octets, spares, endings);
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

/// What the log told.
struct Replayed {
    /// The highest number of a segment.
    highest: u64,
    /// What could not be read.
    damage: Vec<Damage>,
    /// Ends that had to be looked for, so that they are not again.
    endings: Vec<Record<'static>>,
}

/// How far a segment is read, as a later one tells.
#[derive(Clone, Copy)]
struct Ending {
    at: u64,
    /// What stands before it was acknowledged, all of it.
    is_acknowledged: bool,
}

/// Applies every frame of every segment in order, but those that a later segment says do not count.
fn replay(durable: &Durable, log: &Path, index: &mut Index) -> Result<Replayed, Error> {
    let mut paths = BTreeMap::new();
    durable.readdir(log, |name, kind| {
        let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
        if let Some(number) = number.filter(|number| name == segment_name(*number).as_str()) {
            paths.insert(number, (log.join(name), kind));
        }
    })?;
    let highest = paths.keys().next_back().copied().unwrap_or(0);
    let mut logs = Vec::with_capacity(paths.len());
    let mut known: BTreeMap<u64, Ending> = BTreeMap::new();
    let mut damage = Vec::new();
    for (number, (path, kind)) in paths {
        // It was made by nobody who writes segments; only its number is taken.
        if kind == Kind::Directory {
            continue;
        }
        let file: Arc<dyn File> = Arc::from(durable.open(&path)?);
        let len = file.stat().at("stat", &path)?.len;
        index.add_segment(number, Arc::clone(&file), path.clone(), len);
        let mut log = Log::open(file);
        let key = match log.beginning(number).at("read", &path)? {
            Beginning::Good(key) => key,
            Beginning::Never => continue,
            Beginning::Old => {
                return Err(Error::Corrupt {
                    path,
                    at: 0,
                    what: "an older version wrote it; once that has delivered all, it can be removed",
                });
            }
            Beginning::Bad => {
                damage.push(Damage {
                    path,
                    at: 0,
                    octets: len,
                    was_acknowledged: false,
                });
                continue;
            }
        };
        // What is told of earlier segments is told before anything else.
        let first = log.first_body(&key).at("read", &path)?;
        let records = first.as_deref().and_then(frame::records);
        for record in records.into_iter().flatten() {
            let (segment, at, is_acknowledged) = match record {
                Record::Void { segment, from } => (segment, from, true),
                Record::End { segment, at } => (segment, at, false),
                _ => continue,
            };
            let ending = Ending {
                at,
                is_acknowledged,
            };
            let first = known.entry(segment).or_insert(ending);
            if at < first.at {
                *first = ending;
            }
        }
        logs.push((number, log, key, path));
    }
    let mut endings = Vec::new();
    for (number, mut log, key, path) in logs {
        let ending = known.get(&number).copied();
        let end = ending.map_or(u64::MAX, |ending| ending.at);
        let mut apply = |at, body: &[u8]| {
            if at < end {
                let body_at = at + FRAME_HEADER as u64;
                for record in frame::records(body).into_iter().flatten() {
                    index.apply(number, body_at, body, record);
                }
            }
        };
        while log.at < end && log.next_frame(&key, &mut apply).at("read", &path)? {}
        if ending.is_none() && !log.is_ended {
            let at = log.at;
            endings.push(Record::End {
                segment: number,
                at,
            });
        }
        // A group is begun when the one before it was acknowledged.
        let acknowledged = match ending {
            Some(ending) if ending.is_acknowledged => ending.at,
            _ => log.group,
        };
        for is_known in [true, false] {
            let lost = log.lost.iter().filter(|lost| lost.at < end);
            let mut lost = lost.filter(|lost| (lost.at < acknowledged) == is_known);
            if let Some(first) = lost.next() {
                damage.push(Damage {
                    path: path.clone(),
                    at: first.at,
                    octets: first.octets + lost.map(|lost| lost.octets).sum::<u64>(),
                    was_acknowledged: is_known,
                });
            }
        }
    }
    Ok(Replayed {
        highest,
        damage,
        endings,
    })
}

/// Octets read at a time.
const WINDOW: usize = 64 << 10;

/// A segment read from its start to behind its last frame.
struct Log {
    file: Arc<dyn File>,
    at: u64,
    /// Octets of the file from `start` on.
    window: Vec<u8>,
    start: u64,
    /// What could not be read and has something good behind it.
    lost: Vec<Lost>,
    /// What could not be read since.
    doubtful: Vec<Lost>,
    /// Where the last group begins of which something was read.
    group: u64,
    /// An end mark stands at `at`.
    is_ended: bool,
}

#[derive(Clone, Copy)]
struct Lost {
    /// The first place.
    at: u64,
    octets: u64,
}

impl Log {
    fn open(file: Arc<dyn File>) -> Self {
        Self {
            file,
            at: FIRST_FRAME,
            window: Vec::new(),
            start: 0,
            lost: Vec::new(),
            doubtful: Vec::new(),
            group: 0,
            is_ended: false,
        }
    }

    /// What stands before the first frame.
    fn beginning(&mut self, number: u64) -> io::Result<Beginning> {
        let octets = usize::try_from(FIRST_FRAME).unwrap_or_default();
        Ok(Beginning::read(number, self.octets(0, octets)?))
    }

    /// The body of a good frame at the segment's start. Nothing is held in memory afterwards.
    fn first_body(&mut self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        let at = self.at;
        let header = FrameHeader::read(key, at, self.octets(at, FRAME_HEADER)?);
        let Some(header) = header.filter(|header| !header.is_end) else {
            return Ok(None);
        };
        let body = self.octets(at + FRAME_HEADER as u64, header.len)?;
        let body = header.is_body(key, body).then(|| body.to_vec());
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
    /// passed over: with nothing good behind it, it is the tail that a crash tore, in which nothing was acknowledged,
    /// or what the file held before.
    fn next_frame(&mut self, key: &Key, each: impl FnOnce(u64, &[u8])) -> io::Result<bool> {
        loop {
            let Some((at, header)) = self.next_header(key)? else {
                return Ok(false);
            };
            self.pass_over(at);
            self.group = self.group.max(header.group);
            if header.is_end {
                self.lost.append(&mut self.doubtful);
                self.at = at;
                self.is_ended = true;
                return Ok(false);
            }
            let end = at + (FRAME_HEADER + header.len) as u64;
            let body = self.octets(at + FRAME_HEADER as u64, header.len)?;
            if header.is_body(key, body) {
                each(at, body);
                self.lost.append(&mut self.doubtful);
                self.at = end;
                return Ok(true);
            }
            self.at = at;
            self.pass_over(end);
        }
    }

    /// Goes on to a place; what stands before it is no frame.
    fn pass_over(&mut self, at: u64) {
        let octets = at.saturating_sub(self.at);
        if octets > 0 {
            self.doubtful.push(Lost {
                at: self.at,
                octets,
            });
        }
        self.at = at;
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
    durable.readdir(big, |name, kind| {
        let id = name.to_str().and_then(|name| name.parse::<QueueId>().ok());
        let is_wanted = |id| {
            let entry = index.entries.get(&id);
            entry.is_some_and(|entry| entry.content.is_none())
        };
        // What has another name, somebody else put there.
        if id.is_some_and(|id| !is_wanted(id)) && kind != Kind::Directory {
            orphans.push(big.join(name));
        }
    })?;
    for path in orphans {
        durable.remove(&path)?;
    }
    Ok(())
}
