//! Searches whose result is kept up to date (RFC 5267 §4.3).

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

use thiserror::Error;

use super::View;
use super::sequence::Sequence;
use crate::{Code, ContextUpdate, ESearch, NumberSequence, StatusKind, StatusResponse, Tag};

/// A search with UPDATE.
#[derive(Debug, Clone)]
pub(super) struct Context {
    tag: Tag,
    uid: bool,
    result: Kept,
    changed: bool,
}

#[derive(Debug, Clone)]
enum Kept {
    Found(Found),
    Sorted(Box<Sorted>),
}

/// The result of a SEARCH. A change costs what it is, not what the result is.
#[derive(Debug, Clone)]
struct Found {
    /// What the client should have.
    now: BTreeSet<NonZeroU32>,
    /// Of these what it has not.
    added: BTreeSet<NonZeroU32>,
    /// What it has, and should not.
    removed: BTreeSet<NonZeroU32>,
}

/// The result of a SORT: each place depends on those before it. A change
/// costs about the root of the result, an update that for each change.
#[derive(Debug, Clone)]
struct Sorted {
    /// What the client has: UIDs in order.
    told: Sequence,
    /// What it should have.
    now: Sequence,
    /// In only one of them, or at another place of the order than before.
    changed: BTreeSet<NonZeroU32>,
    /// Of `now`, those that the client was not told of.
    unknown: BTreeSet<NonZeroU32>,
    /// Expunged, and not taken out of `now` yet: all at once, or a mailbox
    /// that is emptied costs more than its messages.
    gone: BTreeSet<NonZeroU32>,
}

/// What an update says: numbers in runs, each with its place.
type Runs = Vec<(u32, NumberSequence)>;

/// No more searches are kept up to date. The search goes on without; the
/// client is to be sent this status untagged (RFC 5267 §4.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("too many contexts")]
pub struct NoUpdate(pub Tag);

impl NoUpdate {
    /// What is sent.
    #[must_use]
    pub fn status(&self) -> StatusResponse {
        let status = StatusResponse::new(StatusKind::No, "Too many contexts");
        status.with(Code::NoUpdate(self.0.clone()))
    }
}

impl View {
    /// How many searches are kept up to date at most: each holds the UIDs of
    /// its result, a SORT with their places, some eighty octets each. Stops
    /// clients that start one after the other.
    pub const CONTEXTS: usize = 8;

    /// Keeps the result of a SEARCH with UPDATE up to date: `found` are its
    /// UIDs. `uid` says whether the client hears UIDs. A tag that is in use
    /// already is BAD (RFC 5267 §4.3): see [`View::has_context`].
    ///
    /// # Errors
    /// When there are [`View::CONTEXTS`] already.
    pub fn watch_search(
        &mut self,
        tag: Tag,
        uid: bool,
        found: impl IntoIterator<Item = NonZeroU32>,
    ) -> Result<(), NoUpdate> {
        let found = Found {
            now: found.into_iter().collect(),
            added: BTreeSet::new(),
            removed: BTreeSet::new(),
        };
        self.watch(tag, uid, Kept::Found(found))
    }

    /// Keeps the result of a SORT with UPDATE up to date: `found` are its
    /// UIDs in that order.
    ///
    /// # Errors
    /// As [`View::watch_search`].
    pub fn watch_sort(
        &mut self,
        tag: Tag,
        uid: bool,
        found: impl IntoIterator<Item = NonZeroU32>,
    ) -> Result<(), NoUpdate> {
        let now: Sequence = found.into_iter().collect();
        let sorted = Sorted {
            told: now.clone(),
            now,
            changed: BTreeSet::new(),
            unknown: BTreeSet::new(),
            gone: BTreeSet::new(),
        };
        self.watch(tag, uid, Kept::Sorted(Box::new(sorted)))
    }

    fn watch(&mut self, tag: Tag, uid: bool, result: Kept) -> Result<(), NoUpdate> {
        if self.contexts.len() >= Self::CONTEXTS {
            return Err(NoUpdate(tag));
        }
        self.contexts.push(Context {
            tag,
            uid,
            result,
            changed: false,
        });
        Ok(())
    }

    /// Whether a search of this tag is kept up to date.
    #[must_use]
    pub fn has_context(&self, tag: &Tag) -> bool {
        self.contexts.iter().any(|context| context.tag == *tag)
    }

    /// CANCELUPDATE; whether there was such a search.
    pub fn cancel_context(&mut self, tag: &Tag) -> bool {
        let before = self.contexts.len();
        self.contexts.retain(|context| context.tag != *tag);
        self.contexts.len() < before
    }

    /// Whether a message matches the SEARCH of this tag now: to be called for
    /// each message that came or changed. An expunged one is taken out by
    /// itself, and does not come back by what was found out of it before.
    pub fn matches_search(&mut self, tag: &Tag, uid: NonZeroU32, matches: bool) {
        let matches = matches && !self.is_gone(uid);
        let of_tag = |context: &&mut Context| context.tag == *tag;
        if let Some(context) = self.contexts.iter_mut().find(of_tag)
            && let Kept::Found(found) = &mut context.result
        {
            context.changed |= found.set(uid, matches);
        }
    }

    /// The place of a message in the SORT of this tag now: how each of the
    /// others compares with it. `None` when it does not match any more. To be
    /// called for each message that came or changed.
    pub fn matches_sort<F: FnMut(NonZeroU32) -> Ordering>(
        &mut self,
        tag: &Tag,
        uid: NonZeroU32,
        place: Option<F>,
    ) {
        let place = place.filter(|_| !self.is_gone(uid));
        let of_tag = |context: &&mut Context| context.tag == *tag;
        if let Some(context) = self.contexts.iter_mut().find(of_tag)
            && let Kept::Sorted(sorted) = &mut context.result
        {
            let is_known = self.uids.last().is_some_and(|last| uid <= last);
            context.changed |= sorted.set(uid, place, is_known);
        }
    }

    /// Whether the message was there and is not any more.
    fn is_gone(&self, uid: NonZeroU32) -> bool {
        let came = self.highest >= Some(uid);
        let is_there = self.uids.contains(uid) || self.arrived.contains(&uid);
        self.is_expunged(uid) || came && !is_there
    }

    pub(super) fn expunge_from_contexts(&mut self, uid: NonZeroU32) {
        for context in &mut self.contexts {
            context.changed |= match &mut context.result {
                Kept::Found(found) => found.set(uid, false),
                Kept::Sorted(sorted) => sorted.now.contains(uid) && sorted.gone.insert(uid),
            };
        }
    }

    pub(super) fn contexts_changed(&self) -> bool {
        self.contexts.iter().any(|context| context.changed)
    }

    /// What the contexts have gained and lost: in numbers that are valid
    /// before any EXPUNGE that follows.
    pub(super) fn context_updates(&mut self) -> Vec<ESearch> {
        let mut contexts = std::mem::take(&mut self.contexts);
        let updates = contexts.iter_mut().filter(|context| context.changed);
        let updates = updates.filter_map(|context| context.update(self)).collect();
        self.contexts = contexts;
        updates
    }
}

impl Context {
    fn update(&mut self, view: &View) -> Option<ESearch> {
        let number = |uid: NonZeroU32| match self.uid {
            true => Some(uid),
            false => view.sequence(uid),
        };
        let (removed, added, waits) = match &mut self.result {
            Kept::Found(found) => found.update(view, number),
            Kept::Sorted(sorted) => sorted.update(view, number),
        };
        self.changed = waits;
        let mut result = ESearch {
            tag: Some(self.tag.clone()),
            uid: self.uid,
            ..ESearch::default()
        };
        if !removed.is_empty() {
            result.updates.push(ContextUpdate::Remove(removed));
        }
        if !added.is_empty() {
            result.updates.push(ContextUpdate::Add(added));
        }
        (!result.updates.is_empty()).then_some(result)
    }
}

impl Found {
    /// Whether a message is in the result now; whether that is new.
    fn set(&mut self, uid: NonZeroU32, matches: bool) -> bool {
        let Self {
            now,
            added,
            removed,
        } = self;
        let (new, other) = match matches {
            true => (now.insert(uid).then_some(added), removed),
            false => (now.remove(&uid).then_some(removed), added),
        };
        // There and back again is no news.
        new.is_some_and(|new| other.remove(&uid) || new.insert(uid))
    }

    /// What goes, what comes, and whether something waits for its EXISTS.
    fn update(
        &mut self,
        view: &View,
        number: impl Fn(NonZeroU32) -> Option<NonZeroU32>,
    ) -> (Runs, Runs, bool) {
        // Place 0: in the order of the mailbox.
        let runs = |uids: BTreeSet<NonZeroU32>| {
            let numbers: Vec<_> = uids.into_iter().filter_map(&number).collect();
            match numbers.is_empty() {
                true => Vec::new(),
                false => vec![(0, numbers.into_iter().collect())],
            }
        };
        let mut added = std::mem::take(&mut self.added);
        // What the client was not told of waits: it is behind all others.
        if let Some(behind) = view.uids.last().and_then(|last| last.checked_add(1)) {
            self.added = added.split_off(&behind);
        } else if view.uids.is_empty() {
            std::mem::swap(&mut self.added, &mut added);
        }
        let removed = std::mem::take(&mut self.removed);
        (runs(removed), runs(added), !self.added.is_empty())
    }
}

impl Sorted {
    /// Takes out what is gone.
    fn settle(&mut self) {
        if !self.gone.is_empty() {
            self.now.remove(&self.gone);
            self.unknown.retain(|uid| !self.gone.contains(uid));
            self.changed.append(&mut self.gone);
        }
    }

    /// Puts a message where it belongs now; whether that is another place.
    fn set<F: FnMut(NonZeroU32) -> Ordering>(
        &mut self,
        uid: NonZeroU32,
        place: Option<F>,
        is_known: bool,
    ) -> bool {
        self.settle();
        let before = self.now.places(&[uid]).first().map(|(at, _)| *at);
        if before.is_some() {
            self.now.remove(&[uid].into());
        }
        self.unknown.remove(&uid);
        let after = place.map(|mut compare| {
            let at = self.now.partition_point(|other| compare(other).is_lt());
            self.now.insert(at, uid);
            at
        });
        if after.is_some() && !is_known {
            self.unknown.insert(uid);
        }
        before != after && {
            self.changed.insert(uid);
            true
        }
    }

    fn update(
        &mut self,
        view: &View,
        number: impl Fn(NonZeroU32) -> Option<NonZeroU32>,
    ) -> (Runs, Runs, bool) {
        self.settle();
        // What the client was not told of waits for its EXISTS: it is behind
        // all others.
        match view.uids.last().map(|last| last.checked_add(1)) {
            Some(Some(behind)) => self.unknown = self.unknown.split_off(&behind),
            Some(None) => self.unknown.clear(),
            None => {}
        }
        let changed = std::mem::take(&mut self.changed).into_iter();
        let (waiting, changed): (BTreeSet<_>, BTreeSet<_>) =
            changed.partition(|uid| self.unknown.contains(uid));
        self.changed = waiting;
        let removed = self.told.places(&changed);
        let mut added = self.now.places(&changed);
        // Places among those that the client knows.
        let hidden = self.now.places(&self.unknown);
        for (at, _) in &mut added {
            *at -= hidden.partition_point(|(one, _)| one < at);
        }
        self.told.remove(&changed);
        if added.len() > self.told.len() {
            self.told = self.now.clone();
            self.told.remove(&self.unknown);
        } else {
            for (at, uid) in &added {
                self.told.insert(*at, *uid);
            }
        }
        let mut removed = runs(&removed, &number);
        // From the last backwards: no place shifts another.
        removed.reverse();
        (removed, runs(&added, &number), !self.changed.is_empty())
    }
}

/// Those at neighbouring places in one run, each run with its place, from 1 on.
fn runs(places: &[(usize, NonZeroU32)], number: impl Fn(NonZeroU32) -> Option<NonZeroU32>) -> Runs {
    let mut runs = Runs::new();
    let mut next = None;
    for (at, uid) in places {
        let Some(number) = number(*uid) else {
            continue;
        };
        if next != Some(*at) {
            let place = u32::try_from(at + 1).unwrap_or(u32::MAX);
            runs.push((place, NumberSequence::default()));
        }
        next = Some(at + 1);
        if let Some((_, numbers)) = runs.last_mut() {
            numbers.push(number);
        }
    }
    runs
}
