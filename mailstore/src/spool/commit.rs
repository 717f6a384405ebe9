//! The thread that writes the log.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::frame::{self, FRAME_HEADER, Key, Record, SEGMENT_HEADER};
use super::incoming::{Job, Sealed};
use super::index::Index;
use super::spare::Spares;
use super::{Inner, QueueId, lock};
use crate::durable::{Durable, File};
use crate::error::{Error, IoContext};

/// Octets of jobs written by one sync at most, so that a flood does not grow the buffer.
const ROUND: usize = 8 << 20;
/// A buffer of more octets is not kept for the next group.
const KEPT_BUFFER: usize = 1 << 20;
/// Octets copied by one step of compaction.
const COMPACT_STEP: usize = 1 << 20;
/// The log is compacted when it is longer than so many segments and than [`COMPACT_RATIO`] times what is needed
/// of it.
const COMPACT_SEGMENTS: u64 = 4;
const COMPACT_RATIO: u64 = 4;

/// The end of the log.
pub(super) struct Writer {
    directory: PathBuf,
    next_number: u64,
    /// A segment is ended before it would be longer.
    segment_octets: u64,
    current: Option<Current>,
    spares: Spares,
    /// Room for a group's frames: a new one for each group would take longer than to fill it.
    buffer: Vec<u8>,
    /// Places in ended segments from which on nothing was acknowledged, not yet in the log.
    voids: Vec<(u64, u64)>,
    /// Refused batches that the log may still name until the voids are in it; their files go after that.
    doubtful: Vec<Sealed>,
}

struct Current {
    number: u64,
    key: Key,
    path: PathBuf,
    file: Arc<dyn File>,
    end: u64,
}

/// A body and its place in the segment.
struct Framed {
    body_at: u64,
    body: Vec<u8>,
}

impl Writer {
    pub(super) fn new(
        directory: PathBuf,
        next_number: u64,
        segment_octets: u64,
        spares: Spares,
    ) -> Self {
        Self {
            directory,
            next_number,
            segment_octets,
            current: None,
            spares,
            buffer: Vec::new(),
            voids: Vec::new(),
            doubtful: Vec::new(),
        }
    }

    /// Begins a segment if none can be written to. Its number is never used again, whether that succeeds or not.
    pub(super) fn ensure_segment(
        &mut self,
        durable: &Durable,
        index: &mut Index,
    ) -> Result<(), Error> {
        if self.current.is_some() {
            return Ok(());
        }
        let number = self.next_number;
        self.next_number += 1;
        let path = self.directory.join(format!("{number:010}"));
        let begun = (|| {
            let key = Key::new(number).map_err(std::io::Error::from);
            let key = key.at("choose a salt for", &path)?;
            let file = match self.spares.take(durable, &path)? {
                Some(file) => file,
                None => durable.create(&path)?,
            };
            file.write_all_at(&key.header(), 0).at("write", &path)?;
            // The header comes to the disk with the first frames; the name alone keeps the number from being
            // given again.
            durable.sync_dir(&self.directory)?;
            Ok((key, file))
        })();
        match begun {
            Ok((key, file)) => {
                let (file, end): (Arc<dyn File>, _) = (Arc::from(file), SEGMENT_HEADER as u64);
                let len = file.stat().map_or(end, |stat| stat.len);
                index.add_segment(number, Arc::clone(&file), path.clone(), len);
                self.current = Some(Current {
                    number,
                    key,
                    path,
                    file,
                    end,
                });
                Ok(())
            }
            Err(error) => {
                // An empty segment is harmless; this only gives its space back.
                let _ = durable.remove(&path);
                Err(error)
            }
        }
    }

    /// Ends a segment that has no room for so many octets of bodies more; one that is empty takes any.
    fn make_room(&mut self, octets: usize) {
        let full = self.current.as_ref().is_some_and(|current| {
            current.end > SEGMENT_HEADER as u64 && current.end + octets as u64 > self.segment_octets
        });
        if full {
            self.current = None;
        }
    }

    /// Ends the segment; the next one says before anything else that its tail was refused.
    fn end_in_doubt(&mut self) {
        if let Some(current) = self.current.take() {
            self.voids.push((current.number, current.end));
        }
    }

    /// Writes bodies as frames behind the end and syncs them.
    fn write(
        &mut self,
        durable: &Durable,
        bodies: Vec<Vec<u8>>,
    ) -> Result<(u64, Vec<Framed>), Error> {
        let Some(current) = &mut self.current else {
            return Err(Error::Closed);
        };
        let mut framed = Vec::with_capacity(bodies.len() + 1);
        let out = &mut self.buffer;
        out.clear();
        out.shrink_to(KEPT_BUFFER);
        let mut void_body = Vec::new();
        for &(segment, from) in &self.voids {
            Record::Void { segment, from }.write(&mut void_body);
        }
        let voids = (!void_body.is_empty()).then_some(void_body);
        let has_voids = usize::from(voids.is_some());
        for body in voids.into_iter().chain(bodies) {
            let at = current.end + out.len() as u64;
            frame::write_frame(&current.key, at, &body, out);
            framed.push(Framed {
                body_at: at + FRAME_HEADER as u64,
                body,
            });
        }
        framed.drain(..has_voids);
        if let Err(error) = current
            .file
            .write_all_at(out, current.end)
            .at("write", &current.path)
        {
            // As on a full disk: when the part that was written can be cut off durably, nothing has happened.
            let cut = current.file.set_len(current.end).at("cut", &current.path);
            if cut
                .and_then(|()| durable.sync(&*current.file, &current.path))
                .is_err()
            {
                self.end_in_doubt();
            }
            return Err(error);
        }
        if let Err(error) = durable.sync_data(&*current.file, &current.path) {
            // What is on the disk is not known, and another sync would not tell either.
            self.end_in_doubt();
            return Err(error);
        }
        self.voids.clear();
        self.doubtful.clear();
        current.end += out.len() as u64;
        Ok((current.number, framed))
    }
}

/// Runs until the spool is closed and its queue is empty.
pub(super) fn run(inner: &Inner, mut writer: Writer) {
    // Each opening begins a segment; a process that starts again and again must not fill the disk with them.
    while let Ok(true) = tidy(inner, &mut writer) {}
    loop {
        let jobs = {
            let mut queue = lock(&inner.queue);
            while queue.jobs.is_empty() && !queue.closed {
                queue = inner
                    .wake
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.jobs.is_empty() {
                return;
            }
            let mut octets = 0;
            let count = queue
                .jobs
                .iter()
                .take_while(|job| {
                    let before = octets;
                    octets += job.sealed.body.len();
                    before < ROUND
                })
                .count();
            queue.jobs.drain(..count).collect::<Vec<Job>>()
        };
        round(inner, &mut writer, jobs);
        // What fails here is tried again in the next round; no caller waits for it.
        let _ = tidy(inner, &mut writer);
    }
}

/// Writes one group of batches, and tells each caller.
fn round(inner: &Inner, writer: &mut Writer, jobs: Vec<Job>) {
    let (mut accepted, mut refused) = (Vec::with_capacity(jobs.len()), Vec::new());
    {
        let index = lock(&inner.index);
        // Messages that an earlier batch of this group ends.
        let mut ended = HashSet::new();
        for job in jobs {
            match allowed(&index, &ended, &job) {
                Ok(()) => {
                    for record in frame::records(&job.sealed.body).unwrap_or_default() {
                        if let Record::Remove { id } = record {
                            ended.insert(id);
                        }
                    }
                    accepted.push(job);
                }
                Err(error) => refused.push((job, error)),
            }
        }
    }
    for (job, error) in refused {
        finish(job, Err(error));
    }
    if accepted.is_empty() {
        return;
    }
    let bodies: Vec<Vec<u8>> = accepted
        .iter_mut()
        .map(|job| std::mem::take(&mut job.sealed.body))
        .collect();
    let octets = bodies.iter().map(|body| body.len() + FRAME_HEADER).sum();
    writer.make_room(octets);
    let begun = writer.ensure_segment(&inner.durable, &mut lock(&inner.index));
    let written = begun.and_then(|()| writer.write(&inner.durable, bodies));
    match written {
        Ok((segment, framed)) => {
            let done = apply(inner, writer, segment, &framed);
            for job in accepted {
                finish(job, Ok(()));
            }
            for id in done {
                // What stays is removed when the spool is opened again.
                let _ = inner.durable.remove(&inner.big_path(id));
            }
        }
        Err(error) => {
            for job in accepted {
                if !writer.voids.is_empty() {
                    writer.doubtful.push(job.sealed);
                    (job.done)(Err(error.duplicate()));
                } else {
                    finish(job, Err(error.duplicate()));
                }
            }
        }
    }
}

/// Puts what was written into the index; gives ids of messages whose own file is to go.
fn apply(inner: &Inner, writer: &Writer, segment: u64, framed: &[Framed]) -> Vec<QueueId> {
    let mut index = lock(&inner.index);
    let mut done = Vec::new();
    for framed in framed {
        for record in frame::records(&framed.body).unwrap_or_default() {
            done.extend(index.apply(segment, framed.body_at, &framed.body, record));
        }
    }
    if let (Some(segment), Some(current)) = (index.segments.get_mut(&segment), &writer.current) {
        segment.len = segment.len.max(current.end);
    }
    done
}

fn finish(mut job: Job, result: Result<(), Error>) {
    if result.is_ok() {
        job.sealed.keep();
    }
    drop(job.sealed);
    (job.done)(result);
}

fn allowed(index: &Index, ended: &HashSet<QueueId>, job: &Job) -> Result<(), Error> {
    for &id in &job.sealed.touched {
        if job.sealed.added.contains(&id) {
            continue;
        }
        match index.entries.get(&id) {
            Some(_) if ended.contains(&id) => return Err(Error::NoSuchQueueId(id)),
            None => return Err(Error::NoSuchQueueId(id)),
            Some(entry) if !entry.claimed => return Err(Error::NotClaimed(id)),
            Some(_) => {}
        }
    }
    Ok(())
}

/// One step of housekeeping; true when there may be more. Makes a spare segment when the current one is half
/// full, deletes segments from the oldest on while nothing in them is needed, and copies some of what keeps the
/// oldest alive when the log has grown far beyond its use.
fn tidy(inner: &Inner, writer: &mut Writer) -> Result<bool, Error> {
    let half_full = |current: &Current| current.end > writer.segment_octets / 2;
    if writer.current.as_ref().is_some_and(half_full) && writer.spares.is_wanted() {
        writer.spares.fill(&inner.durable);
    }
    let (oldest, total, live) = {
        let index = lock(&inner.index);
        let total: u64 = index.segments.values().map(|segment| segment.len).sum();
        (
            index.segments.keys().next().copied(),
            total,
            index.live_octets,
        )
    };
    let Some(oldest) = oldest else {
        return Ok(false);
    };
    if writer
        .current
        .as_ref()
        .is_some_and(|current| current.number == oldest)
    {
        return Ok(false);
    }
    if lock(&inner.index).is_dead(oldest) {
        return delete_segment(inner, writer, oldest);
    }
    let limit = writer.segment_octets.saturating_mul(COMPACT_SEGMENTS);
    if total <= limit.max(live.saturating_mul(COMPACT_RATIO)) {
        return Ok(false);
    }
    compact(inner, writer, oldest)?;
    if lock(&inner.index).is_dead(oldest) {
        return delete_segment(inner, writer, oldest);
    }
    Ok(true)
}

/// Removes a segment durably before a later one may go: a later one may hold the record that ends a message of
/// this one.
fn delete_segment(inner: &Inner, writer: &mut Writer, number: u64) -> Result<bool, Error> {
    // Out of the index first, so that nobody begins to read what will be written over.
    let Some(mut segment) = lock(&inner.index).segments.remove(&number) else {
        return Ok(false);
    };
    // Somebody may still read a message that is gone; then the file is not used again.
    let is_read = Arc::strong_count(&segment.file) > 1;
    let spare = if is_read {
        None
    } else {
        writer.spares.name_for(segment.len)
    };
    let gone = (|| {
        match &spare {
            Some(spare) => {
                inner.durable.rename(&segment.path, spare)?;
                segment.path.clone_from(spare);
            }
            None => drop(inner.durable.remove(&segment.path)?),
        }
        inner.durable.sync_dir(&writer.directory)
    })();
    match gone {
        Ok(()) => writer.spares.keep(spare),
        Err(error) => {
            lock(&inner.index).segments.insert(number, segment);
            return Err(error);
        }
    }
    Ok(true)
}

/// Writes some messages of a segment again at the end of the log.
fn compact(inner: &Inner, writer: &mut Writer, number: u64) -> Result<(), Error> {
    let tenants = lock(&inner.index).tenants(number);
    let mut body = Vec::new();
    for id in tenants {
        if body.len() >= COMPACT_STEP {
            break;
        }
        let Some(entry) = lock(&inner.index).entries.get(&id).copied() else {
            continue;
        };
        let (envelope, state) = (inner.read(entry.envelope)?, inner.read(entry.state)?);
        let content = entry.content.map(|place| inner.read(place)).transpose()?;
        Record::Accept {
            id,
            size: entry.size,
            envelope: &envelope,
            state: &state,
            content: content.as_deref(),
        }
        .write(&mut body);
    }
    if body.is_empty() {
        return Ok(());
    }
    writer.make_room(body.len() + FRAME_HEADER);
    writer.ensure_segment(&inner.durable, &mut lock(&inner.index))?;
    let (segment, framed) = writer.write(&inner.durable, vec![body])?;
    apply(inner, writer, segment, &framed);
    Ok(())
}
