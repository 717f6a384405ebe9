//! Telling callers what became of their batches, while the next group is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Inner;
use super::incoming::{Body, Done, Sealed};
use crate::error::Error;

/// What one caller is to be told.
pub(super) struct Verdict {
    pub(super) done: Done,
    pub(super) result: Result<(), Error>,
}

/// A group that is through.
pub(super) struct Group {
    pub(super) verdicts: Vec<Verdict>,
    /// What is of no more use.
    pub(super) spent: Spent,
}

/// What was written, kept until callers are told: to give memory back takes time.
#[derive(Default)]
pub(super) struct Spent {
    pub(super) bodies: Vec<Body>,
    pub(super) sealed: Vec<Sealed>,
}

/// Tells callers in the order in which they came, group by group.
///
/// Waking callers takes as long as a sync of a fast disk: done by the thread that writes, the disk would stand still
/// meanwhile. At most one group waits behind the one that is being told.
pub(super) struct Teller {
    groups: SyncSender<Group>,
    /// Groups handed over and not yet told.
    untold: Arc<AtomicUsize>,
}

/// The side of the thread that tells.
pub(super) struct Groups {
    groups: Receiver<Group>,
    untold: Arc<AtomicUsize>,
}

/// A new pair.
pub(super) fn teller() -> (Teller, Groups) {
    let (sender, receiver) = sync_channel(1);
    let untold = Arc::new(AtomicUsize::new(0));
    let teller = Teller {
        groups: sender,
        untold: Arc::clone(&untold),
    };
    let groups = Groups {
        groups: receiver,
        untold,
    };
    (teller, groups)
}

impl Teller {
    /// Has a group told: here, when that is asked for and all before it have been told.
    pub(super) fn tell(&self, inner: &Inner, group: Group, here: bool) {
        if here && self.untold.load(Ordering::Acquire) == 0 {
            return tell(inner, group);
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        if let Err(left) = self.groups.send(group) {
            // The thread is gone: a caller's function panicked.
            self.untold.store(0, Ordering::Relaxed);
            tell(inner, left.0);
        }
    }
}

impl Groups {
    /// Tells until the other side is gone.
    pub(super) fn run(&self, inner: &Inner) {
        while let Ok(group) = self.groups.recv() {
            tell(inner, group);
            self.untold.fetch_sub(1, Ordering::Release);
        }
    }
}

fn tell(inner: &Inner, group: Group) {
    for Verdict { done, result } in group.verdicts {
        done(result);
    }
    let Spent { bodies, sealed } = group.spent;
    inner.keep_buffers(bodies);
    drop(sealed);
}
