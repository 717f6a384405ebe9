//! How long a machine waits for a peer that is never quite silent.

use std::time::{Duration, Instant};

/// How long the machine still waits for octets to move: spent by waiting,
/// earned by octets at the least rate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    left: Duration,
    most: Duration,
    since: Option<Instant>,
}

impl Patience {
    /// Patience for this long; never more is earned.
    pub(crate) fn new(most: Duration) -> Self {
        Self {
            left: most,
            most,
            since: None,
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// Begins to wait; answers how long at the most.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        self.since = Some(now);
        self.left
    }

    /// Waits no longer.
    pub(crate) fn spend(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.left = self
                .left
                .saturating_sub(now.saturating_duration_since(since));
        }
    }

    /// Octets have moved: the time waited is spent, that of `rate` octets a
    /// second is earned.
    pub(crate) fn earn(&mut self, octets: usize, now: Instant, rate: u32) {
        self.spend(now);
        if self.left < self.most {
            let earned = Duration::from_secs_f64(octets as f64 / f64::from(rate.max(1)));
            self.left = self.left.saturating_add(earned).min(self.most);
        }
    }
}
