//! What a client that comes back is told (RFC 7162 §3.2.5, §3.2.6).

use std::num::NonZeroU32;

use crate::{NumberSet, QResync, Untagged, View};

/// What a store knows of a mailbox since a modification sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// The next UID: what the client knows is below.
    pub uid_next: NonZeroU32,
    /// The UIDs that are gone since; `None` when the store does not remember
    /// so long: then all that are not there count as gone.
    pub vanished: Option<NumberSet>,
    /// The UIDs whose messages changed since.
    pub changed: NumberSet,
}

/// What is sent in answer to SELECT with QRESYNC, before its OK.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resynced {
    /// `VANISHED (EARLIER)`, where something is gone.
    pub vanished: Option<Untagged>,
    /// Messages that changed: UID, FLAGS and MODSEQ of each are to be sent in
    /// FETCH responses, ascending.
    pub changed: NumberSet,
}

impl View {
    /// What SELECT with QRESYNC answers with. Nothing, when the UID validity
    /// is another (RFC 7162 §3.2.5.1): the client has to begin anew.
    ///
    /// The client's sequence match data cuts short what is told of gone
    /// messages where the store does not remember them (§3.2.5.2).
    #[must_use]
    pub fn resync(&self, known: &QResync, uid_validity: NonZeroU32, since: Resync) -> Resynced {
        if known.uid_validity != uid_validity {
            return Resynced::default();
        }
        let wanted = known.known_uids.as_ref();
        let gone = match since.vanished {
            Some(vanished) => self.gone(&vanished, wanted),
            None => {
                let from = self.agreed(known).and_then(|uid| uid.checked_add(1));
                // What never was is not gone, whatever the client says it knows.
                let below = all_below(since.uid_next);
                let all = wanted.map_or(below.clone(), |wanted| intersection(wanted, &below));
                let first = from.unwrap_or(NonZeroU32::MIN);
                self.gone(&beyond(&all, first), None)
            }
        };
        let changed = since.changed.iter();
        let changed = changed.filter(|uid| wanted.is_none_or(|wanted| wanted.contains(*uid)));
        Resynced {
            vanished: vanished(gone),
            changed: changed
                .filter(|uid| self.sequence(*uid).is_some())
                .collect(),
        }
    }

    /// `VANISHED (EARLIER)` for UID FETCH with VANISHED: which of `wanted`
    /// are gone (RFC 7162 §3.2.6). `since` as in [`Resync::vanished`].
    #[must_use]
    pub fn vanished_earlier(
        &self,
        wanted: &NumberSet,
        since: Option<&NumberSet>,
    ) -> Option<Untagged> {
        vanished(match since {
            Some(since) => self.gone(since, Some(wanted)),
            None => self.gone(wanted, None),
        })
    }

    /// Those of `all`, and of `wanted`, that are not there.
    fn gone(&self, all: &NumberSet, wanted: Option<&NumberSet>) -> NumberSet {
        let mut gone = NumberSet::default();
        for (first, last) in all.ranges() {
            let there = self.uids.iter_from(self.uids.before(*first));
            let there = there.take_while(|uid| uid <= last);
            let mut next = Some(*first);
            let mut add = |from: Option<NonZeroU32>, to: Option<NonZeroU32>| {
                if let (Some(from), Some(to)) = (from, to)
                    && from <= to
                {
                    gone.insert_range(from, to);
                }
            };
            for uid in there {
                add(next, NonZeroU32::new(uid.get() - 1));
                next = uid.checked_add(1);
            }
            add(next, Some(*last));
        }
        match wanted {
            None => gone,
            Some(wanted) => intersection(&gone, wanted),
        }
    }

    /// The last UID up to which the client's sequence match data says that it
    /// knows the mailbox as it is.
    fn agreed(&self, known: &QResync) -> Option<NonZeroU32> {
        let (numbers, uids) = known.sequence_match.as_ref()?;
        let pairs = numbers.iter().zip(uids.iter());
        let same = pairs.take_while(|(number, uid)| self.uid(*number) == Some(*uid));
        same.last().map(|(_, uid)| uid)
    }
}

fn all_below(uid_next: NonZeroU32) -> NumberSet {
    let mut all = NumberSet::default();
    if let Some(last) = NonZeroU32::new(uid_next.get() - 1) {
        all.insert_range(NonZeroU32::MIN, last);
    }
    all
}

fn vanished(uids: NumberSet) -> Option<Untagged> {
    let earlier = true;
    (!uids.is_empty()).then_some(Untagged::Vanished { earlier, uids })
}

fn beyond(set: &NumberSet, from: NonZeroU32) -> NumberSet {
    let mut rest = NumberSet::default();
    for (first, last) in set.ranges() {
        if *last >= from {
            rest.insert_range(from.max(*first), *last);
        }
    }
    rest
}

/// In time linear in the ranges of both.
fn intersection(one: &NumberSet, other: &NumberSet) -> NumberSet {
    let mut both = NumberSet::default();
    let mut others = other.ranges().iter().peekable();
    for (first, last) in one.ranges() {
        while let Some((from, to)) = others.peek() {
            let (start, end) = (first.max(from), last.min(to));
            if start <= end {
                both.insert_range(*start, *end);
            }
            if to > last {
                break;
            }
            others.next();
        }
    }
    both
}
