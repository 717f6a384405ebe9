//! What is known of destinations while mail goes to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;

use super::Failure;
use crate::route::NextHop;

/// Destinations that are remembered as down; of more, each message finds out.
const DOWN_LIMIT: usize = 10_000;

/// Who may go where now.
pub(super) struct Destinations {
    /// Connections to one destination at once.
    limit: usize,
    /// How long one that is down is left alone.
    pause: Duration,
    /// Those that mail is going to.
    places: Mutex<HashMap<NextHop, Arc<Semaphore>>>,
    down: Mutex<HashMap<NextHop, Down>>,
}

/// A destination none of whose hosts could be talked to.
struct Down {
    since: SystemTime,
    failure: Failure,
}

impl Destinations {
    pub(super) fn new(limit: usize, pause: Duration) -> Self {
        Self {
            limit: limit.max(1),
            pause,
            places: Mutex::default(),
            down: Mutex::default(),
        }
    }

    /// The places of one destination; made when first used.
    pub(super) fn places(&self, destination: &NextHop) -> Arc<Semaphore> {
        let mut places = lock(&self.places);
        let places = places
            .entry(destination.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.limit)));
        Arc::clone(places)
    }

    /// Drops a destination that nobody uses: the table holds only what is
    /// being sent.
    pub(super) fn leave(&self, destination: &NextHop, own: &Arc<Semaphore>) {
        let mut places = lock(&self.places);
        if Arc::strong_count(own) <= 2 {
            places.remove(destination);
        }
    }

    /// Why a destination is left alone for now, if it is. One that somebody
    /// wants tried since it went down, at `wanted`, is not.
    pub(super) fn down(
        &self,
        destination: &NextHop,
        wanted: Option<SystemTime>,
        now: SystemTime,
    ) -> Option<Failure> {
        let down = lock(&self.down);
        let Down { since, failure } = down.get(destination)?;
        let left_alone = now.duration_since(*since).ok()? < self.pause;
        let wanted = wanted.is_some_and(|wanted| wanted >= *since);
        (left_alone && !wanted).then(|| Failure {
            reason: format!("delivery temporarily suspended: {}", failure.reason),
            ..failure.clone()
        })
    }

    /// Remembers that a destination is down.
    pub(super) fn went_down(&self, destination: &NextHop, failure: Failure, now: SystemTime) {
        let mut down = lock(&self.down);
        if down.len() >= DOWN_LIMIT {
            let pause = self.pause;
            down.retain(|_, down| now.duration_since(down.since).is_ok_and(|age| age < pause));
        }
        if down.len() < DOWN_LIMIT {
            let since = now;
            down.insert(destination.clone(), Down { since, failure });
        }
    }

    /// Forgets that a destination was down.
    pub(super) fn is_up(&self, destination: &NextHop) {
        lock(&self.down).remove(destination);
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_down_is_left_alone_for_a_while() {
        let destinations = Destinations::new(1, Duration::from_secs(300));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let to = NextHop::Domain("example.org".into());
        let why = Failure::new("4.4.1", "connect to mx: refused");
        assert_eq!(destinations.down(&to, None, at(1000)), None);
        destinations.went_down(&to, why, at(1000));
        let said = destinations.down(&to, None, at(1299)).unwrap();
        assert_eq!(said.code, "4.4.1");
        assert!(
            said.reason.ends_with(": connect to mx: refused"),
            "{said:?}"
        );
        let other = NextHop::Domain("example.com".into());
        assert_eq!(destinations.down(&other, None, at(1299)), None);
        assert_eq!(destinations.down(&to, None, at(1300)), None);
        // The clock was set back.
        assert_eq!(destinations.down(&to, None, at(999)), None);
        // Somebody wants it tried: once.
        assert!(destinations.down(&to, Some(at(999)), at(1010)).is_some());
        assert_eq!(destinations.down(&to, Some(at(1005)), at(1010)), None);
        destinations.went_down(&to, Failure::new("4.4.1", "again"), at(1010));
        assert!(destinations.down(&to, Some(at(1005)), at(1011)).is_some());
        destinations.is_up(&to);
        assert_eq!(destinations.down(&to, None, at(1011)), None);
    }

    #[test]
    fn the_table_of_those_that_are_down_is_bounded() {
        let destinations = Destinations::new(1, Duration::from_secs(300));
        let now = SystemTime::now();
        let to = |n: usize| NextHop::Domain(format!("{n}.example"));
        for n in 0..=DOWN_LIMIT {
            destinations.went_down(&to(n), Failure::new("4.4.1", "down"), now);
        }
        assert!(destinations.down(&to(0), None, now).is_some());
        assert!(destinations.down(&to(DOWN_LIMIT), None, now).is_none());
        let later = now + Duration::from_secs(300);
        destinations.went_down(&to(DOWN_LIMIT), Failure::new("4.4.1", "down"), later);
        assert!(destinations.down(&to(DOWN_LIMIT), None, later).is_some());
        assert_eq!(lock(&destinations.down).len(), 1);
    }
}
