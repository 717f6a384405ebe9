//! When which message is due, and who holds it: the queue's memory.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use super::{Claimed, Envelope, Listed, QueueError, QueueId, QueueResult};

/// The time until the next attempt after `attempts` have failed: doubling
/// from `minimal` up to `maximal`.
#[must_use]
pub fn backoff(attempts: u32, minimal: Duration, maximal: Duration) -> Duration {
    let doubled = minimal.saturating_mul(
        1_u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    doubled.clamp(minimal, maximal.max(minimal))
}

/// Every message of the queue, in memory; content stays in the spool.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    entries: HashMap<QueueId, Entry>,
    /// Those that nobody holds, by the time when they are due.
    waiting: BTreeSet<(SystemTime, QueueId)>,
}

#[derive(Debug)]
struct Entry {
    envelope: Envelope,
    size: u64,
    due: SystemTime,
    leased: bool,
    flushed: Option<SystemTime>,
}

/// What [`Schedule::claim`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A message that is due, leased from now on.
    Due(Box<Claimed>),
    /// Nothing is due before this time.
    At(SystemTime),
    /// Nothing waits at all.
    Empty,
}

impl Schedule {
    pub(super) fn insert(&mut self, id: QueueId, envelope: Envelope, size: u64) {
        let due = envelope.next_attempt.unwrap_or(envelope.arrived);
        self.waiting.insert((due, id.clone()));
        self.entries.insert(
            id,
            Entry {
                envelope,
                size,
                due,
                leased: false,
                flushed: None,
            },
        );
    }

    pub(super) fn claim(&mut self, now: SystemTime) -> Next {
        let Some((due, _)) = self.waiting.first() else {
            return Next::Empty;
        };
        if *due > now {
            return Next::At(*due);
        }
        let Some((_, id)) = self.waiting.pop_first() else {
            return Next::Empty;
        };
        match self.entries.get_mut(&id) {
            Some(entry) => {
                entry.leased = true;
                Next::Due(Box::new(Claimed {
                    id,
                    envelope: entry.envelope.clone(),
                    size: entry.size,
                    flushed: entry.flushed.take(),
                }))
            }
            None => Next::At(now),
        }
    }

    /// Keeps what was recorded of a leased message.
    pub(super) fn update(&mut self, id: &QueueId, envelope: Envelope) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.envelope = envelope;
        }
    }

    /// Ends a lease: the message waits until it is due again.
    pub(super) fn release(&mut self, id: &QueueId) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.leased
        {
            entry.leased = false;
            entry.due = entry
                .envelope
                .next_attempt
                .unwrap_or(entry.envelope.arrived);
            self.waiting.insert((entry.due, id.clone()));
        }
    }

    pub(super) fn remove(&mut self, id: &QueueId) {
        if let Some(entry) = self.entries.remove(id) {
            self.waiting.remove(&(entry.due, id.clone()));
        }
    }

    /// Leases one message by its name, due or not.
    pub(super) fn lease(&mut self, id: &QueueId) -> QueueResult<()> {
        let entry = self
            .entries
            .get_mut(id)
            .ok_or_else(|| QueueError::Unknown(id.clone()))?;
        if entry.leased {
            return Err(QueueError::Busy(id.clone()));
        }
        entry.leased = true;
        self.waiting.remove(&(entry.due, id.clone()));
        Ok(())
    }

    /// Makes what waits due at once; answers how many messages.
    pub(super) fn flush(&mut self, only: Option<&QueueId>, now: SystemTime) -> QueueResult<usize> {
        if let Some(id) = only
            && !self.entries.contains_key(id)
        {
            return Err(QueueError::Unknown(id.clone()));
        }
        let mut flushed = 0;
        for (id, entry) in &mut self.entries {
            if entry.leased || only.is_some_and(|only| only != id) {
                continue;
            }
            entry.flushed = Some(now);
            if entry.due <= now {
                continue;
            }
            self.waiting.remove(&(entry.due, id.clone()));
            entry.due = now;
            self.waiting.insert((now, id.clone()));
            flushed += 1;
        }
        Ok(flushed)
    }

    pub(super) fn list(&self) -> Vec<Listed> {
        let mut listed: Vec<Listed> = self
            .entries
            .iter()
            .map(|(id, entry)| Listed {
                id: id.clone(),
                envelope: entry.envelope.clone(),
                size: entry.size,
                active: entry.leased,
            })
            .collect();
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Recipient;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn envelope(arrived: u64) -> Envelope {
        Envelope::new(
            "a@example.org",
            [Recipient::new("b@example.org")],
            at(arrived),
        )
    }

    fn id(name: &str) -> QueueId {
        QueueId(name.into())
    }

    #[test]
    fn claims_in_the_order_of_time_and_once() {
        let mut schedule = Schedule::default();
        schedule.insert(id("2"), envelope(20), 1);
        schedule.insert(id("1"), envelope(10), 1);
        assert_eq!(schedule.claim(at(5)), Next::At(at(10)));
        assert!(matches!(schedule.claim(at(10)), Next::Due(claimed) if claimed.id == id("1")));
        assert_eq!(schedule.claim(at(10)), Next::At(at(20)));
        let mut later = envelope(10);
        later.next_attempt = Some(at(300));
        schedule.update(&id("1"), later);
        schedule.release(&id("1"));
        schedule.remove(&id("2"));
        assert_eq!(schedule.claim(at(100)), Next::At(at(300)));
        assert_eq!(schedule.flush(None, at(100)).unwrap(), 1);
        let Next::Due(claimed) = schedule.claim(at(100)) else {
            panic!("it is due");
        };
        assert_eq!(claimed.flushed, Some(at(100)));
        assert_eq!(schedule.claim(at(100)), Next::Empty);
        assert!(matches!(schedule.lease(&id("1")), Err(QueueError::Busy(_))));
        assert!(matches!(
            schedule.lease(&id("9")),
            Err(QueueError::Unknown(_))
        ));
    }

    #[test]
    fn backoff_doubles_between_its_bounds() {
        let [minimal, maximal] = [Duration::from_secs(300), Duration::from_secs(4000)];
        let waits: Vec<u64> = (0..7)
            .map(|n| backoff(n, minimal, maximal).as_secs())
            .collect();
        assert_eq!(waits, [300, 300, 600, 1200, 2400, 4000, 4000]);
        assert_eq!(backoff(u32::MAX, minimal, maximal), maximal);
    }
}
