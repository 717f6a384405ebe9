//! Telling callers what became of their batches, while the next group is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::incoming::Done;
use crate::error::Error;

/// What one caller is to be told.
pub(super) struct Verdict {
    pub(super) done: Done,
    pub(super) result: Result<(), Error>,
}

/// Tells callers in the order in which they came, group by group.
///
/// Waking callers takes as long as a sync of a fast disk: done by the thread that writes, the disk would stand still
/// meanwhile. At most one group waits behind the one that is being told.
pub(super) struct Teller {
    groups: SyncSender<Vec<Verdict>>,
    /// Groups handed over and not yet told.
    untold: Arc<AtomicUsize>,
}

/// The side of the thread that tells.
pub(super) struct Groups {
    groups: Receiver<Vec<Verdict>>,
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
    pub(super) fn tell(&self, group: Vec<Verdict>, here: bool) {
        if here && self.untold.load(Ordering::Acquire) == 0 {
            return tell(group);
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        if let Err(left) = self.groups.send(group) {
            // The thread is gone: a caller's function panicked.
            self.untold.store(0, Ordering::Relaxed);
            tell(left.0);
        }
    }
}

impl Groups {
    /// Tells until the other side is gone.
    pub(super) fn run(&self) {
        while let Ok(group) = self.groups.recv() {
            tell(group);
            self.untold.fetch_sub(1, Ordering::Release);
        }
    }
}

fn tell(group: Vec<Verdict>) {
    for Verdict { done, result } in group {
        done(result);
    }
}
