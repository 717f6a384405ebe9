//! Searches whose result is kept up to date (RFC 5267 §4.3).

use std::cmp::Ordering;
use std::collections::HashSet;
use std::num::NonZeroU32;

use thiserror::Error;

use super::View;
use crate::{Code, ContextUpdate, ESearch, NumberSequence, StatusKind, StatusResponse, Tag};

/// A search with UPDATE.
#[derive(Debug, Clone)]
pub(super) struct Context {
    tag: Tag,
    uid: bool,
    sorted: bool,
    /// What the client has: UIDs in order.
    told: Vec<NonZeroU32>,
    /// What it should have.
    now: Vec<NonZeroU32>,
    /// In both, but at another place of the order than before.
    moved: HashSet<NonZeroU32>,
    /// Expunged, and not taken out of what it should have yet: all at once,
    /// or a mailbox that is emptied costs the square of its messages.
    gone: HashSet<NonZeroU32>,
    changed: bool,
}

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
    /// its result twice. Stops clients that start one after the other.
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
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        self.watch(tag, uid, false, found)
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
        let found = found.into_iter().collect();
        self.watch(tag, uid, true, found)
    }

    fn watch(
        &mut self,
        tag: Tag,
        uid: bool,
        sorted: bool,
        found: Vec<NonZeroU32>,
    ) -> Result<(), NoUpdate> {
        if self.contexts.len() >= Self::CONTEXTS {
            return Err(NoUpdate(tag));
        }
        self.contexts.push(Context {
            tag,
            uid,
            sorted,
            told: found.clone(),
            now: found,
            moved: HashSet::new(),
            gone: HashSet::new(),
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
    /// itself.
    pub fn matches_search(&mut self, tag: &Tag, uid: NonZeroU32, matches: bool) {
        let of_tag = |context: &&mut Context| context.tag == *tag && !context.sorted;
        if let Some(context) = self.contexts.iter_mut().find(of_tag) {
            context.settle();
            match (context.now.binary_search(&uid), matches) {
                (Err(at), true) => context.now.insert(at, uid),
                (Ok(at), false) => drop(context.now.remove(at)),
                _ => return,
            }
            context.changed = true;
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
        let of_tag = |context: &&mut Context| context.tag == *tag && context.sorted;
        let Some(context) = self.contexts.iter_mut().find(of_tag) else {
            return;
        };
        context.settle();
        let before = context.now.iter().position(|known| *known == uid);
        if let Some(at) = before {
            context.now.remove(at);
        }
        let after = place.map(|mut compare| {
            let at = context.now.partition_point(|other| compare(*other).is_lt());
            context.now.insert(at, uid);
            at
        });
        if before != after {
            context.moved.insert(uid);
            context.changed = true;
        }
    }

    pub(super) fn expunge_from_contexts(&mut self, uid: NonZeroU32) {
        for context in &mut self.contexts {
            // Where the order is another, whether it is there shows later.
            if context.sorted || context.now.binary_search(&uid).is_ok() {
                context.gone.insert(uid);
                context.changed = true;
            }
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
    /// Takes out what is gone.
    fn settle(&mut self) {
        if !self.gone.is_empty() {
            let gone = std::mem::take(&mut self.gone);
            self.now.retain(|uid| !gone.contains(uid));
        }
    }

    fn update(&mut self, view: &View) -> Option<ESearch> {
        self.changed = false;
        self.settle();
        // What the client was not told of waits for its EXISTS.
        let known = |uid: &NonZeroU32| view.uids.contains(*uid);
        let now: Vec<_> = self.now.iter().copied().filter(known).collect();
        self.changed = now.len() < self.now.len();
        let kept: HashSet<_> = now.iter().copied().collect();
        let had: HashSet<_> = self.told.iter().copied().collect();
        let goes = |uid: &NonZeroU32| !kept.contains(uid) || self.moved.contains(uid);
        let comes = |uid: &NonZeroU32| !had.contains(uid) || self.moved.contains(uid);
        let number = |uid: NonZeroU32| match self.uid {
            true => Some(uid),
            false => view.sequence(uid),
        };
        let mut removed = runs(&self.told, goes, number);
        // From the last backwards: no place shifts another.
        removed.reverse();
        let added = runs(&now, comes, number);
        let mut result = ESearch {
            tag: Some(self.tag.clone()),
            uid: self.uid,
            ..ESearch::default()
        };
        let place = |runs: Vec<(u32, NumberSequence)>| match self.sorted {
            true => runs,
            false => {
                // Place 0: in the order of the mailbox.
                let mut numbers: Vec<_> = runs
                    .iter()
                    .flat_map(|(_, numbers)| numbers.iter())
                    .collect();
                numbers.sort_unstable();
                vec![(0, numbers.into_iter().collect())]
            }
        };
        if !removed.is_empty() {
            result.updates.push(ContextUpdate::Remove(place(removed)));
        }
        if !added.is_empty() {
            result.updates.push(ContextUpdate::Add(place(added)));
        }
        self.told = now;
        self.moved.clear();
        (!result.updates.is_empty()).then_some(result)
    }
}

/// Those of a list that are chosen, in runs, each with its place, from 1 on.
fn runs(
    list: &[NonZeroU32],
    chosen: impl Fn(&NonZeroU32) -> bool,
    number: impl Fn(NonZeroU32) -> Option<NonZeroU32>,
) -> Vec<(u32, NumberSequence)> {
    let mut runs: Vec<(u32, NumberSequence)> = Vec::new();
    let mut open = false;
    for (place, uid) in (1_u32..).zip(list) {
        let Some(number) = number(*uid).filter(|_| chosen(uid)) else {
            open = false;
            continue;
        };
        if !std::mem::replace(&mut open, true) {
            runs.push((place, NumberSequence::default()));
        }
        if let Some((_, numbers)) = runs.last_mut() {
            numbers.push(number);
        }
    }
    runs
}
