//! The thread that writes the log, a group of batches at a time.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::commit::{Framed, Writer};
use super::frame::{self, FRAME_HEADER};
use super::id::IdState;
use super::incoming::{Body, Job};
use super::index::Index;
use super::patience::{Patience, Wait};
use super::tell::{Group, Spent, Teller, Verdict};
use super::tidy::tidy;
use super::{Inner, Queue, QueueId, lock};
use crate::error::Error;

/// Octets of jobs written by one sync at most, so that a flood does not grow the buffer.
const ROUND: usize = 8 << 20;

/// Runs until the spool is closed and its queue is empty.
pub(super) fn run(inner: &Inner, mut writer: Writer, teller: &Teller) {
    // Each opening begins a segment; a process that starts again and again must not fill the disk with them.
    // Each old one is gone through once: where segments are too small for compaction to be of use, that ends, too.
    let first_new = writer.end().map(|(number, _)| number);
    while lock(&inner.index).segments.keys().next().copied() < first_new {
        if !matches!(tidy(inner, &mut writer), Ok(true)) {
            break;
        }
    }
    let (mut patience, mut wait) = (Patience::default(), None);
    while let Some(jobs) = next_group(inner, &mut patience, wait.take()) {
        let (group, done) = round(inner, &mut writer, jobs);
        let waiting = lock(&inner.queue).jobs.len();
        wait = Some(patience.next(writer.last_sync(), group.verdicts.len(), waiting));
        // With nothing to write meanwhile, no other thread need be woken to tell.
        teller.tell(inner, group, waiting == 0);
        for id in done {
            // What stays is removed when the spool is opened again.
            let _ = inner.durable.remove(&inner.big_path(id));
        }
        // What fails here is tried again in the next round; no caller waits for it.
        let _ = tidy(inner, &mut writer);
    }
    writer.close();
}

/// Waits for jobs; `None` when there will be none.
fn next_group(inner: &Inner, patience: &mut Patience, wait: Option<Wait>) -> Option<Vec<Job>> {
    let mut queue = lock(&inner.queue);
    if let Some(wait) = wait.filter(|wait| queue.jobs.len() < wait.wanted) {
        queue.wanted = wait.wanted;
        let is_short = |queue: &mut Queue| queue.jobs.len() < wait.wanted && !queue.closed;
        let waited = inner.wake.wait_timeout_while(queue, wait.longest, is_short);
        (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        patience.learn(wait, queue.jobs.len());
    } else if let Some(wait) = wait {
        patience.learn(wait, wait.wanted);
    }
    while queue.jobs.is_empty() && !queue.closed {
        queue.wanted = 1;
        queue = inner
            .wake
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner);
    }
    queue.wanted = 0;
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

/// Writes one group of batches. Gives what its callers are to be told, and the ids of messages whose own file is to
/// go.
fn round(inner: &Inner, writer: &mut Writer, mut jobs: Vec<Job>) -> (Group, Vec<QueueId>) {
    let (mut bodies, mut refusals) = (Vec::with_capacity(jobs.len()), Vec::new());
    {
        let index = lock(&inner.index);
        // Messages that an earlier batch of this group ends.
        let mut ended = HashSet::<_, IdState>::default();
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
    let mut verdicts = Vec::with_capacity(jobs.len());
    let mut spent = Vec::with_capacity(bodies.len());
    for (Job { mut sealed, done }, refusal) in jobs.into_iter().zip(refusals) {
        let result = match (refusal, &written) {
            (Some(refusal), _) => Err(refusal),
            (None, Ok(_)) => {
                sealed.keep();
                spent.push(sealed);
                Ok(())
            }
            (None, Err(error)) => {
                if in_doubt {
                    writer.keep_in_doubt(sealed);
                }
                Err(error.duplicate())
            }
        };
        verdicts.push(Verdict { done, result });
    }
    let spent = Spent {
        bodies,
        sealed: spent,
    };
    (Group { verdicts, spent }, written.unwrap_or_default())
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
        for record in frame::records(body).into_iter().flatten() {
            done.extend(index.apply(segment, framed.body_at, body, record));
        }
    }
    if let (Some(segment), Some((_, end))) = (index.segments.get_mut(&segment), writer.end()) {
        segment.len = segment.len.max(end);
    }
    done
}

fn allowed(index: &Index, ended: &HashSet<QueueId, IdState>, job: &Job) -> Result<(), Error> {
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
