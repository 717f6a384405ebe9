//! The thread that writes the log, a group of batches at a time.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::commit::{Framed, Writer};
use super::frame::{self, FRAME_HEADER};
use super::incoming::{Body, Job};
use super::index::Index;
use super::tell::{Teller, Verdict};
use super::tidy::tidy;
use super::{Inner, QueueId, lock};
use crate::error::Error;

/// Octets of jobs written by one sync at most, so that a flood does not grow the buffer.
const ROUND: usize = 8 << 20;

/// Runs until the spool is closed and its queue is empty.
pub(super) fn run(inner: &Inner, mut writer: Writer, teller: &Teller) {
    // Each opening begins a segment; a process that starts again and again must not fill the disk with them.
    while let Ok(true) = tidy(inner, &mut writer) {}
    while let Some(jobs) = next_group(inner) {
        let (verdicts, done) = round(inner, &mut writer, jobs);
        // With nothing to write meanwhile, no other thread need be woken to tell.
        let is_last = lock(&inner.queue).jobs.is_empty();
        teller.tell(verdicts, is_last);
        for id in done {
            // What stays is removed when the spool is opened again.
            let _ = inner.durable.remove(&inner.big_path(id));
        }
        // What fails here is tried again in the next round; no caller waits for it.
        let _ = tidy(inner, &mut writer);
    }
}

/// Waits for jobs; `None` when there will be none.
fn next_group(inner: &Inner) -> Option<Vec<Job>> {
    let mut queue = lock(&inner.queue);
    while queue.jobs.is_empty() && !queue.closed {
        queue.idle = true;
        queue = inner
            .wake
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner);
    }
    queue.idle = false;
    if queue.jobs.is_empty() {
        return None;
    }
    let mut octets = 0;
    let fits = |job: &&Job| {
        let before = octets;
        octets += job.sealed.body.len();
        before < ROUND
    };
    let count = queue.jobs.iter().take_while(fits).count();
    let rest = queue.jobs.split_off(count);
    Some(std::mem::replace(&mut queue.jobs, rest))
}

/// Writes one group of batches. Gives what each caller is to be told, and the ids of messages whose own file is to
/// go.
fn round(inner: &Inner, writer: &mut Writer, mut jobs: Vec<Job>) -> (Vec<Verdict>, Vec<QueueId>) {
    let (mut bodies, mut refusals) = (Vec::with_capacity(jobs.len()), Vec::new());
    {
        let index = lock(&inner.index);
        // Messages that an earlier batch of this group ends.
        let mut ended = HashSet::new();
        for job in &mut jobs {
            let refusal = allowed(&index, &ended, job).err();
            if refusal.is_none() {
                ended.extend(job.sealed.removed.iter().copied());
                bodies.push(std::mem::take(&mut job.sealed.body));
            }
            refusals.push(refusal);
        }
    }
    let written = commit(inner, writer, &bodies);
    let in_doubt = written.is_err() && writer.is_in_doubt();
    let judged = jobs.into_iter().zip(refusals);
    let verdicts = judged
        .map(|(Job { mut sealed, done }, refusal)| {
            let result = match (refusal, &written) {
                (Some(refusal), _) => Err(refusal),
                (None, Ok(_)) => {
                    sealed.keep();
                    Ok(())
                }
                (None, Err(error)) => {
                    if in_doubt {
                        writer.keep_in_doubt(std::mem::take(&mut sealed));
                    }
                    Err(error.duplicate())
                }
            };
            Verdict { done, result }
        })
        .collect();
    (verdicts, written.unwrap_or_default())
}

/// Puts bodies on the disk, and what they say into the index.
fn commit(inner: &Inner, writer: &mut Writer, bodies: &[Body]) -> Result<Vec<QueueId>, Error> {
    if bodies.is_empty() {
        return Ok(Vec::new());
    }
    writer.make_room(bodies.iter().map(|body| body.len() + FRAME_HEADER).sum());
    writer.ensure_segment(&inner.durable, &inner.index)?;
    let (segment, framed) = writer.write(&inner.durable, bodies)?;
    Ok(apply(inner, writer, segment, &framed))
}

/// Puts what was written into the index; gives ids of messages whose own file is to go.
pub(super) fn apply(
    inner: &Inner,
    writer: &Writer,
    segment: u64,
    framed: &[Framed],
) -> Vec<QueueId> {
    let mut index = lock(&inner.index);
    let mut done = Vec::new();
    for framed in framed {
        let body = writer.body(framed);
        for record in frame::records(body).unwrap_or_default() {
            done.extend(index.apply(segment, framed.body_at, body, record));
        }
    }
    if let (Some(segment), Some((_, end))) = (index.segments.get_mut(&segment), writer.end()) {
        segment.len = segment.len.max(end);
    }
    done
}

fn allowed(index: &Index, ended: &HashSet<QueueId>, job: &Job) -> Result<(), Error> {
    let sealed = &job.sealed;
    for &id in sealed.updated.iter().chain(&sealed.removed) {
        if sealed.added.contains(&id) {
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
