use std::time::Instant;

/// Named timers, folded to the one instant that `poll_timeout` answers.
///
/// `K` is a small enum of the machine's timers. A machine has a handful, so a
/// linear search is the fastest table.
///
/// ```
/// use std::time::{Duration, Instant};
/// use proto_core::Deadlines;
///
/// #[derive(Clone, Copy, PartialEq, Debug)]
/// enum Timer { Command, Session }
///
/// let now = Instant::now();
/// let mut deadlines = Deadlines::default();
/// deadlines.set(Timer::Session, now + Duration::from_secs(3600));
/// deadlines.set(Timer::Command, now + Duration::from_secs(300));
/// assert_eq!(deadlines.next(), Some(now + Duration::from_secs(300)));
/// assert_eq!(deadlines.expired(now), None);
/// assert_eq!(deadlines.expired(now + Duration::from_secs(300)), Some(Timer::Command));
/// assert_eq!(deadlines.next(), Some(now + Duration::from_secs(3600)));
/// ```
#[derive(Debug, Clone)]
pub struct Deadlines<K> {
    timers: Vec<(K, Instant)>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { timers: Vec::new() }
    }
}

impl<K: Copy + PartialEq> Deadlines<K> {
    /// Starts a timer, or moves it.
    pub fn set(&mut self, timer: K, at: Instant) {
        match self.timers.iter_mut().find(|(name, _)| *name == timer) {
            Some((_, when)) => *when = at,
            None => self.timers.push((timer, at)),
        }
    }

    /// Stops a timer; no harm if it was not running.
    pub fn clear(&mut self, timer: K) {
        self.timers.retain(|(name, _)| *name != timer);
    }

    /// Stops every timer.
    pub fn clear_all(&mut self) {
        self.timers.clear();
    }

    /// When a timer runs out, if it is running.
    #[must_use]
    pub fn when(&self, timer: K) -> Option<Instant> {
        self.timers
            .iter()
            .find(|(name, _)| *name == timer)
            .map(|(_, at)| *at)
    }

    /// The earliest of them all.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.timers.iter().map(|(_, at)| *at).min()
    }

    /// Stops and names the earliest timer that has run out at `now`.
    ///
    /// A spurious `handle_timeout` therefore does nothing.
    pub fn expired(&mut self, now: Instant) -> Option<K> {
        let (index, _) = self
            .timers
            .iter()
            .enumerate()
            .filter(|(_, (_, at))| *at <= now)
            .min_by_key(|(_, (_, at))| *at)?;
        Some(self.timers.swap_remove(index).0)
    }
}
