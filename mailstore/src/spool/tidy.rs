//! Housekeeping of the log, between two groups.

use std::sync::Arc;

use super::commit::Writer;
use super::frame::{BODY_LIMIT, FRAME_HEADER, Record};
use super::group::apply;
use super::incoming::Body;
use super::{Inner, lock};
use crate::error::Error;

/// Octets copied by one step of compaction.
const COMPACT_STEP: usize = 1 << 20;
/// The log is compacted when it is longer than so many segments and than [`COMPACT_RATIO`] times what is needed
/// of it.
const COMPACT_SEGMENTS: u64 = 2;
const COMPACT_RATIO: u64 = 4;

/// One step of housekeeping; true when there may be more. Makes a spare segment when the current one is half
/// full, deletes segments from the oldest on while nothing in them is needed, and copies some of what keeps the
/// oldest alive when the log has grown far beyond its use.
pub(super) fn tidy(inner: &Inner, writer: &mut Writer) -> Result<bool, Error> {
    let (current, end) = writer.end().unzip();
    if end.is_some_and(|end| end > writer.segment_octets / 2) && writer.spares.is_wanted() {
        writer.spares.fill(&inner.durable);
    }
    let (oldest, is_dead, total, live) = {
        let index = lock(&inner.index);
        let Some(&oldest) = index.segments.keys().next() else {
            return Ok(false);
        };
        let total: u64 = index.segments.values().map(|segment| segment.len).sum();
        (oldest, index.is_dead(oldest), total, index.live_octets)
    };
    if current == Some(oldest) {
        return Ok(false);
    }
    if is_dead {
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
    let (mut bodies, mut octets) = (Vec::new(), 0);
    for id in tenants {
        if octets >= COMPACT_STEP {
            break;
        }
        let Some(entry) = lock(&inner.index).entries.get(&id).copied() else {
            continue;
        };
        let (envelope, state) = (inner.read(entry.envelope)?, inner.read(entry.state)?);
        let content = entry.content.map(|place| inner.read(place)).transpose()?;
        let accept = |state: &[u8]| {
            let mut body = Vec::new();
            Record::Accept {
                id,
                size: entry.size,
                envelope: &envelope,
                state,
                content: content.as_deref(),
            }
            .write(&mut body);
            body
        };
        let mut body = accept(&state);
        if body.len() > BODY_LIMIT {
            // They came in two frames; the segment that has them is there until both of these are on the disk.
            body = accept(&[]);
            octets += body.len();
            bodies.push(Body::from(body));
            body = Vec::new();
            Record::State { id, state: &state }.write(&mut body);
        }
        octets += body.len();
        bodies.push(Body::from(body));
    }
    if bodies.is_empty() {
        return Ok(());
    }
    writer.make_room(octets + bodies.len() * FRAME_HEADER);
    writer.ensure_segment(&inner.durable, &inner.index)?;
    let (segment, framed) = writer.write(&inner.durable, &bodies)?;
    apply(inner, writer, segment, &framed);
    Ok(())
}
