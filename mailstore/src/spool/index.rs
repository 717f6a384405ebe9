//! What is in the spool, and where in the log it stands.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::QueueId;
use super::frame::Record;
use super::id::IdState;
use crate::durable::File;

/// Octets of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) at: u64,
    pub(super) len: u64,
}

/// A pending message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) size: u64,
    pub(super) envelope: Place,
    pub(super) state: Place,
    /// `None`: in a file of its own.
    pub(super) content: Option<Place>,
    pub(super) claimed: bool,
}

pub(super) struct Segment {
    pub(super) file: Arc<dyn File>,
    pub(super) path: PathBuf,
    /// Octets that it takes on the disk.
    pub(super) len: u64,
    /// Pending messages that have their content or state here.
    live: usize,
}

#[derive(Default)]
pub(super) struct Index {
    pub(super) entries: HashMap<QueueId, Entry, IdState>,
    pub(super) segments: BTreeMap<u64, Segment>,
    /// Octets of records that are still needed.
    pub(super) live_octets: u64,
}

impl Entry {
    fn octets(&self) -> u64 {
        self.envelope.len + self.state.len + self.content.map_or(0, |content| content.len)
    }

    fn segments(&self) -> [u64; 2] {
        [self.envelope.segment, self.state.segment]
    }
}

impl Index {
    pub(super) fn add_segment(
        &mut self,
        number: u64,
        file: Arc<dyn File>,
        path: PathBuf,
        len: u64,
    ) {
        self.segments.insert(
            number,
            Segment {
                file,
                path,
                len,
                live: 0,
            },
        );
    }

    fn account(&mut self, entry: &Entry, add: bool) {
        for number in entry.segments() {
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.live = if add {
                    segment.live + 1
                } else {
                    segment.live.saturating_sub(1)
                };
            }
        }
        let octets = entry.octets();
        self.live_octets = if add {
            self.live_octets + octets
        } else {
            self.live_octets.saturating_sub(octets)
        };
    }

    /// Whether a segment is of no more use.
    pub(super) fn is_dead(&self, number: u64) -> bool {
        self.segments
            .get(&number)
            .is_some_and(|segment| segment.live == 0)
    }

    /// Applies a record of a body that begins at `body_at` of a segment. Gives the id of a message that is done
    /// and had a file of its own.
    pub(super) fn apply(
        &mut self,
        segment: u64,
        body_at: u64,
        body: &[u8],
        record: Record<'_>,
    ) -> Option<QueueId> {
        let place = |part: &[u8]| {
            // Both slices are of one allocation, so this is the part's distance from the body's start.
            let at = (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
            Place {
                segment,
                at: body_at + at as u64,
                len: part.len() as u64,
            }
        };
        match record {
            Record::Accept {
                id,
                size,
                envelope,
                state,
                content,
            } => {
                let mut entry = Entry {
                    size,
                    envelope: place(envelope),
                    state: place(state),
                    content: content.map(place),
                    claimed: false,
                };
                if let Some(old) = self.entries.insert(id, entry) {
                    self.account(&old, false);
                    if old.claimed {
                        entry.claimed = true;
                        self.entries.insert(id, entry);
                    }
                }
                self.account(&entry, true);
                None
            }
            Record::State { id, state } => {
                let old = *self.entries.get(&id)?;
                let entry = Entry {
                    state: place(state),
                    ..old
                };
                self.account(&old, false);
                self.account(&entry, true);
                self.entries.insert(id, entry);
                None
            }
            Record::Remove { id } => {
                let old = self.entries.remove(&id)?;
                self.account(&old, false);
                old.content.is_none().then_some(id)
            }
            Record::Void { .. } | Record::End { .. } => None,
        }
    }

    /// Ids that keep a segment alive, oldest first.
    pub(super) fn tenants(&self, number: u64) -> Vec<QueueId> {
        let mut ids: Vec<QueueId> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.segments().contains(&number))
            .map(|(&id, _)| id)
            .collect();
        ids.sort_unstable();
        ids
    }
}
