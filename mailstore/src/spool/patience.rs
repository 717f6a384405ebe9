//! How long the log waits for callers who are about to come back.

use std::time::Duration;

/// Nobody is waited for longer, however slow the disk is.
const LONGEST: Duration = Duration::from_millis(1);
/// After so many vain waits in a row and more, the next one is tried after so many groups to the power of two.
const MISSES: u32 = 6;

/// Decides for how many batches the next group waits.
///
/// A sync costs nearly the same for many batches as for one. Where callers come again as soon as they are told, those
/// who are told last find the next sync begun without them. On a slow disk it is worth waiting until all are there:
/// else half of them wait for each of two syncs in turn. Where a sync takes no longer than the callers do, the halves
/// are better, as each prepares what it says next during the other's sync; but then of half of them, not of a few.
///
/// So all are waited for, for at most half of what the last sync took; where they do not come, half of them; where
/// these do not come either, nobody. What was in vain is tried again after 2, 4, … 64 groups. Nobody waits for a
/// caller that is alone.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Callers of the last round: those who were told, and those who waited already when they were.
    callers: usize,
    /// Waits for all, and for half of them.
    ways: [Way; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// Vain waits in a row.
    misses: u32,
    /// Groups until this is tried again.
    rest: u32,
}

/// What the next group waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// So many batches end it; 1 is no wait.
    pub(super) wanted: usize,
    /// So does this.
    pub(super) longest: Duration,
    way: Option<usize>,
}

impl Patience {
    /// After a sync that took so long: so many callers are told, and so many wait already.
    pub(super) fn next(&mut self, sync: Duration, told: usize, waiting: usize) -> Wait {
        let callers = told + waiting;
        // What deliveries end now and then comes beside what is accepted: not each round has as many.
        let all = callers.min(std::mem::replace(&mut self.callers, callers));
        let mut wait = Wait {
            wanted: 1,
            longest: (sync / 2).min(LONGEST),
            way: None,
        };
        for (nth, way) in self.ways.iter_mut().enumerate() {
            if way.rest == 0 {
                wait.way = Some(nth);
                wait.wanted = (all >> nth).max(1);
                break;
            }
            way.rest -= 1;
        }
        wait
    }

    /// So many were there when the wait ended.
    pub(super) fn learn(&mut self, wait: Wait, came: usize) {
        if let Some(way) = wait.way.and_then(|way| self.ways.get_mut(way)) {
            if came < wait.wanted {
                way.misses = (way.misses + 1).min(MISSES);
                way.rest = 1 << way.misses;
            } else {
                way.misses = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(300);

    /// Groups after each of which all but so many come back in time: what was wanted of each.
    fn groups(patience: &mut Patience, callers: usize, late: usize, count: usize) -> Vec<usize> {
        let mut waiting = 0;
        let mut wanted = Vec::new();
        for _ in 0..count {
            let wait = patience.next(SYNC, callers - waiting, waiting);
            let came = (callers - late).max(waiting).min(callers).max(1);
            patience.learn(wait, came.min(wait.wanted));
            wanted.push(wait.wanted);
            waiting = callers - came;
        }
        wanted
    }

    #[test]
    fn nobody_waits_for_one_caller() {
        let mut patience = Patience::default();
        assert!(
            groups(&mut patience, 1, 0, 20)
                .iter()
                .all(|&wanted| wanted == 1)
        );
    }

    #[test]
    fn all_are_waited_for_where_they_come() {
        let mut patience = Patience::default();
        let wanted = groups(&mut patience, 64, 0, 20);
        assert_eq!(wanted[1..], [64; 19]);
    }

    #[test]
    fn half_are_waited_for_where_some_are_late_and_all_ever_more_rarely() {
        let mut patience = Patience::default();
        let wanted = groups(&mut patience, 64, 20, 400);
        let all = wanted.iter().filter(|&&wanted| wanted == 64).count();
        assert!((8..12).contains(&all), "{wanted:?}");
        assert!(wanted[1..].iter().all(|wanted| [32, 64].contains(wanted)));
        // As soon as they come, they are waited for again.
        assert_eq!(groups(&mut patience, 64, 0, 100)[70..], [64; 30]);
    }

    #[test]
    fn nobody_is_waited_for_where_nobody_comes() {
        let mut patience = Patience::default();
        let wanted = groups(&mut patience, 64, 63, 600);
        let waits = wanted.iter().filter(|&&wanted| wanted > 1).count();
        assert!(waits < 40, "{waits} waits in vain");
    }

    #[test]
    fn a_wait_is_short() {
        let mut patience = Patience::default();
        assert_eq!(patience.next(SYNC, 9, 0).longest, SYNC / 2);
        assert_eq!(patience.next(Duration::MAX, 9, 0).longest, LONGEST);
    }

    /// A round in which deliveries end messages has more batches than the next.
    #[test]
    fn a_fuller_round_is_not_waited_for_again() {
        let mut patience = Patience::default();
        groups(&mut patience, 64, 0, 5);
        assert_eq!(patience.next(SYNC, 128, 0).wanted, 64);
        assert_eq!(patience.next(SYNC, 64, 0).wanted, 64);
    }
}
