//! Reading the log when the spool is opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use super::commit::Writer;
use super::frame::{self, FRAME_HEADER, Frame, Record, SEGMENT_HEADER};
use super::index::Index;
use super::{Inner, Queue, QueueId, SpoolConfig};
use crate::durable::{Durable, File, read_all};
use crate::error::{Error, IoContext};

/// Takes the spool's lock, replays the log, removes files that no record names and begins a new segment.
pub(super) fn open(config: SpoolConfig, durable: Durable) -> Result<(Inner, Writer), Error> {
    let config = SpoolConfig {
        inline_octets: config.inline_octets.min(4 << 20),
        ..config
    };
    let (log, big) = (config.root.join("log"), config.root.join("big"));
    durable.make_dir(&log)?;
    durable.make_dir(&big)?;
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
    let mut writer = Writer::new(log, number);
    writer.ensure_segment(&durable, &mut index)?;
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
    let mut contents = BTreeMap::new();
    let mut voids: BTreeMap<u64, u64> = BTreeMap::new();
    for (&number, path) in &paths {
        let file = durable.open(path)?;
        let len = file.stat().at("stat", path)?.len;
        let content = read_all(&*file, len).at("read", path)?;
        for_each_frame(number, &content, |_, body| {
            for record in frame::records(body).unwrap_or_default() {
                if let Record::Void { segment, from } = record {
                    let first = voids.entry(segment).or_insert(from);
                    *first = from.min(*first);
                }
            }
        });
        contents.insert(number, len);
        index.add_segment(number, Arc::from(file), path.clone(), len);
    }
    for (&number, &len) in &contents {
        let Some((file, path)) = index
            .segments
            .get(&number)
            .map(|segment| (Arc::clone(&segment.file), segment.path.clone()))
        else {
            continue;
        };
        let content = read_all(&*file, len).at("read", &path)?;
        let end = voids.get(&number).copied().unwrap_or(u64::MAX);
        for_each_frame(number, &content, |at, body| {
            if at < end {
                let body_at = at + FRAME_HEADER as u64;
                for record in frame::records(body).unwrap_or_default() {
                    index.apply(number, body_at, body, record);
                }
            }
        });
    }
    Ok(highest)
}

/// Calls `each` with the place and body of every good frame. A frame whose body is damaged is passed over; where
/// no header stands, the segment ends: that is the tail that a crash tore, and nothing in it was acknowledged.
fn for_each_frame(number: u64, content: &[u8], mut each: impl FnMut(u64, &[u8])) {
    if !content.starts_with(&frame::segment_header(number)) {
        return;
    }
    let mut at = SEGMENT_HEADER;
    while let Some(rest) = usize::try_from(at).ok().and_then(|at| content.get(at..)) {
        let len = match frame::frame(number, at, rest) {
            Frame::Good(body) => {
                each(at, body);
                body.len()
            }
            Frame::Damaged(len) => len,
            Frame::End => break,
        };
        at += (FRAME_HEADER + len) as u64;
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
