//! `View` with contexts, NOTIFY and UIDONLY against a naive model: whatever
//! the interleaving, a client that follows the RFCs ends with the store's
//! exact state, and with the exact result of its searches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use bytes::Bytes;
use imap_proto::{
    Change, Command, CommandBody, ContextUpdate, Dialect, ESearch, FetchItem, Flag, Message,
    NumberSet, QResync, Resync, Tag, Untagged, View, ViewOptions,
};
use proptest::prelude::*;

fn nz(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Arrive(u8),
    Expunge(usize),
    Flags(usize, u8),
    /// A command's answer; whether it allows EXPUNGE.
    Tell(usize, bool),
    /// Between commands.
    Idle(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..8).prop_map(Step::Arrive),
        any::<usize>().prop_map(Step::Expunge),
        (any::<usize>(), 0_u8..8).prop_map(|(at, flags)| Step::Flags(at, flags)),
        (0_usize..5, any::<bool>()).prop_map(|(session, expunge)| Step::Tell(session, expunge)),
        (0_usize..5).prop_map(Step::Idle),
    ]
}

fn flags(bits: u8) -> Vec<Flag> {
    [Flag::Seen, Flag::Flagged, Flag::Deleted]
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, flag)| flag)
        .collect()
}

/// What the search looks for: `\Flagged`.
fn matches(bits: u8) -> bool {
    bits & 2 != 0
}

/// What the sort sorts by.
fn key(store: &BTreeMap<u32, u8>, uid: u32) -> (Reverse<u8>, u32) {
    (Reverse(store.get(&uid).copied().unwrap_or(0)), uid)
}

/// How each session wants its news.
struct Kind {
    options: ViewOptions,
    notify: Option<&'static str>,
    /// Whether the contexts name UIDs.
    uid: bool,
}

fn kinds() -> [Kind; 5] {
    let plain = ViewOptions::default();
    let uid_only = ViewOptions {
        uid_only: true,
        ..plain
    };
    let qresync = ViewOptions {
        uid: true,
        vanished: true,
        ..plain
    };
    let new = "(MessageNew (UID FLAGS) MessageExpunge FlagChange)";
    let immediate = Box::leak(format!("(SELECTED {new})").into_boxed_str());
    let delayed = Box::leak(format!("(SELECTED-DELAYED {new})").into_boxed_str());
    let kind = |options, notify, uid| Kind {
        options,
        notify,
        uid,
    };
    [
        kind(plain, None, false),
        kind(qresync, None, true),
        kind(uid_only, None, true),
        kind(plain, Some(&*immediate), true),
        kind(plain, Some(&*delayed), false),
    ]
}

#[derive(Debug, Default)]
struct Client {
    /// By sequence number; under UIDONLY the order of arrival.
    messages: Vec<Option<(u32, Vec<Flag>)>>,
    uid_only: bool,
    searches: [Vec<u32>; 2],
    /// Whether `searches` hold UIDs.
    uid: bool,
}

impl Client {
    fn hear(&mut self, told: &[Untagged], may_expunge: bool) {
        for data in told {
            match data {
                Untagged::Exists(count) => {
                    let count = usize::try_from(*count).unwrap();
                    assert!(count >= self.messages.len());
                    self.messages.resize(count, None);
                }
                Untagged::Expunge(number) => {
                    assert!(may_expunge && !self.uid_only);
                    let number = number.get();
                    self.messages.remove(number as usize - 1);
                    for list in self.searches.iter_mut().filter(|_| !self.uid) {
                        assert!(!list.contains(&number), "REMOVEFROM before EXPUNGE");
                        list.iter_mut()
                            .filter(|one| **one > number)
                            .for_each(|one| *one -= 1);
                    }
                }
                Untagged::Vanished { uids, .. } => {
                    assert!(may_expunge);
                    self.messages.retain(|known| {
                        let gone = |(uid, _): &(u32, _)| uids.contains(nz(*uid));
                        !known.as_ref().is_some_and(gone)
                    });
                }
                Untagged::Fetch { sequence, items } => {
                    assert!(!self.uid_only);
                    let known = self.messages[sequence.get() as usize - 1].as_mut();
                    if let (Some(FetchItem::Flags(flags)), Some(known)) = (items.last(), known) {
                        known.1.clone_from(flags);
                    }
                }
                Untagged::UidFetch { uid, items } => {
                    assert!(self.uid_only);
                    let mut known = self.messages.iter_mut().flatten();
                    let known = known.find(|known| known.0 == uid.get());
                    if let (Some(FetchItem::Flags(flags)), Some(known)) = (items.last(), known) {
                        known.1.clone_from(flags);
                    }
                }
                Untagged::ESearch(result) => self.update(result),
                other => panic!("{other:?}"),
            }
        }
    }

    fn update(&mut self, result: &ESearch) {
        assert_eq!(result.uid, self.uid);
        let sorted = result.tag == Some(tag("sort"));
        let list = &mut self.searches[usize::from(sorted)];
        for update in &result.updates {
            match update {
                ContextUpdate::Add(places) => {
                    for (place, numbers) in places {
                        if *place == 0 {
                            assert!(!sorted);
                            list.extend(numbers.iter().map(NonZeroU32::get));
                            list.sort_unstable();
                            continue;
                        }
                        for (at, number) in (*place as usize - 1..).zip(numbers.iter()) {
                            list.insert(at, number.get());
                        }
                    }
                }
                ContextUpdate::Remove(places) => {
                    for (place, numbers) in places {
                        for number in numbers.iter() {
                            let at = match place {
                                0 => list.iter().position(|one| *one == number.get()).unwrap(),
                                place => *place as usize - 1,
                            };
                            assert_eq!(list.remove(at), number.get());
                        }
                    }
                }
            }
        }
    }

    fn ask(&mut self, view: &View, store: &BTreeMap<u32, u8>) {
        for (uid, known) in view.uids().iter().zip(&mut self.messages) {
            if known.is_none() {
                let bits = store.get(&uid.get()).copied().unwrap_or(0);
                *known = Some((uid.get(), flags(bits)));
            }
        }
    }

    /// The results as UIDs.
    fn results(&self) -> [Vec<u32>; 2] {
        let uid = |number: &u32| match self.uid {
            true => *number,
            false => self.messages[*number as usize - 1].as_ref().unwrap().0,
        };
        [0, 1].map(|which| self.searches[which].iter().map(uid).collect())
    }
}

/// What the host does for each change: both searches are looked at again.
fn evaluate(view: &mut View, store: &BTreeMap<u32, u8>, uid: u32) {
    let bits = store[&uid];
    view.matches_search(&tag("search"), nz(uid), matches(bits));
    let own = key(store, uid);
    let place = matches(bits).then_some(|other: NonZeroU32| key(store, other.get()).cmp(&own));
    view.matches_sort(&tag("sort"), nz(uid), place);
}

proptest! {
    #[test]
    fn results_end_with_the_store(
        start in prop::collection::vec(0_u8..8, 0..6),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut store: BTreeMap<u32, u8> = (1..).map(|one| one * 2).zip(start).collect();
        let mut next = store.keys().max().copied().unwrap_or(0) + 1;
        let mut sessions: Vec<(View, Client)> = kinds().into_iter().map(|kind| {
            let mut view = View::new(store.keys().map(|uid| nz(*uid)), kind.options);
            if let Some(groups) = kind.notify {
                let line = Bytes::from(format!("a NOTIFY SET {groups}"));
                let command = Command::parse(&line, Dialect::SERVER).unwrap();
                let CommandBody::Notify(notify) = command.body else { panic!() };
                view.set_events(notify.selected());
            }
            let mut client = Client {
                uid_only: kind.options.uid_only,
                uid: kind.uid,
                ..Client::default()
            };
            client.hear(&[Untagged::Exists(view.exists())], true);
            client.ask(&view, &store);
            let mut found: Vec<u32> =
                store.iter().filter(|(_, bits)| matches(**bits)).map(|(uid, _)| *uid).collect();
            let number = |view: &View, uid: u32| match kind.uid {
                true => uid,
                false => view.sequence(nz(uid)).unwrap().get(),
            };
            client.searches[0] = found.iter().map(|uid| number(&view, *uid)).collect();
            view.watch_search(tag("search"), kind.uid, found.iter().map(|uid| nz(*uid))).unwrap();
            found.sort_by_key(|uid| key(&store, *uid));
            client.searches[1] = found.iter().map(|uid| number(&view, *uid)).collect();
            view.watch_sort(tag("sort"), kind.uid, found.iter().map(|uid| nz(*uid))).unwrap();
            (view, client)
        }).collect();
        let end = (0..5).map(|session| Step::Tell(session, true));
        for step in steps.into_iter().chain(end) {
            let (change, evaluated) = match step {
                Step::Arrive(bits) => {
                    next += 1;
                    store.insert(next, bits);
                    (Change::Arrived { uid: nz(next), recent: false }, Some(next))
                }
                Step::Expunge(at) => {
                    let Some(uid) = store.keys().nth(at % store.len().max(1)).copied() else { continue };
                    store.remove(&uid);
                    (Change::Expunged(nz(uid)), None)
                }
                Step::Flags(at, bits) => {
                    let Some(uid) = store.keys().nth(at % store.len().max(1)).copied() else { continue };
                    store.insert(uid, bits);
                    (Change::Flags { uid: nz(uid), flags: flags(bits), mod_seq: None }, Some(uid))
                }
                Step::Tell(index, may_expunge) => {
                    let (view, client) = &mut sessions[index];
                    let told = view.pending(may_expunge);
                    client.hear(&told, may_expunge);
                    client.ask(view, &store);
                    prop_assert_eq!(view.exists() as usize, client.messages.len());
                    continue;
                }
                Step::Idle(index) => {
                    let (view, client) = &mut sessions[index];
                    let told = view.unsolicited();
                    prop_assert!(index >= 3 || told.is_empty());
                    client.hear(&told, index == 3);
                    for Message { sequence, uid } in view.take_new() {
                        prop_assert_eq!(view.uid(sequence), Some(uid));
                        prop_assert!(store.contains_key(&uid.get()));
                    }
                    client.ask(view, &store);
                    continue;
                }
            };
            for (view, _) in &mut sessions {
                view.apply(change.clone());
                if let Some(uid) = evaluated {
                    evaluate(view, &store, uid);
                } else if let Change::Expunged(uid) = change {
                    // What the host found out just before.
                    view.matches_search(&tag("search"), uid, true);
                    view.matches_sort(&tag("sort"), uid, Some(|_| Ordering::Less));
                    // And what a store that is late says again.
                    view.apply(Change::Arrived { uid, recent: true });
                }
            }
        }
        let exact: Vec<_> = store.iter().map(|(uid, bits)| (*uid, flags(*bits))).collect();
        let found: Vec<u32> =
            store.iter().filter(|(_, bits)| matches(**bits)).map(|(uid, _)| *uid).collect();
        let mut sorted = found.clone();
        sorted.sort_by_key(|uid| key(&store, *uid));
        for (_, client) in &sessions {
            let known: Vec<_> = client.messages.iter().map(|known| known.clone().unwrap()).collect();
            prop_assert_eq!(&known, &exact);
            let [search, sort] = client.results();
            prop_assert_eq!(&search, &found);
            prop_assert_eq!(&sort, &sorted);
        }
    }

    /// A client that comes back ends with the messages that there are.
    #[test]
    fn resynced(
        before in prop::collection::btree_set(1_u32..30, 0..15),
        expunged in prop::collection::vec(any::<bool>(), 15),
        arrived in prop::collection::btree_set(30_u32..40, 0..4),
        remembers in any::<bool>(),
        names_known in any::<bool>(),
        matched in 0_usize..15,
    ) {
        let known: Vec<u32> = before.iter().copied().collect();
        let gone: Vec<u32> = known.iter().zip(&expunged).filter(|(_, gone)| **gone).map(|(uid, _)| *uid).collect();
        let mut now: Vec<u32> = known.iter().copied().filter(|uid| !gone.contains(uid)).collect();
        now.extend(&arrived);
        let view = View::new(now.iter().map(|uid| nz(*uid)), ViewOptions::default());
        let set = |uids: &[u32]| -> NumberSet { uids.iter().map(|uid| nz(*uid)).collect() };
        let pairs: Vec<(u32, u32)> = (1..).zip(known.iter().copied()).skip(matched).step_by(3).collect();
        let (numbers, uids): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let mut query = QResync {
            uid_validity: nz(7),
            mod_seq: 5,
            known_uids: (names_known && !known.is_empty()).then(|| set(&known)),
            sequence_match: (!numbers.is_empty()).then(|| (set(&numbers), set(&uids))),
        };
        let since = Resync {
            uid_next: nz(40),
            vanished: remembers.then(|| set(&gone)),
            changed: set(&now),
        };
        let answer = view.resync(&query, nz(7), since.clone());
        let mut client = known.clone();
        if let Some(Untagged::Vanished { earlier, uids }) = &answer.vanished {
            prop_assert!(*earlier);
            client.retain(|uid| !uids.contains(nz(*uid)));
            prop_assert!(now.iter().all(|uid| !uids.contains(nz(*uid))));
        }
        let there: Vec<u32> = known.iter().copied().filter(|uid| now.contains(uid)).collect();
        prop_assert_eq!(client, there);
        let told: Vec<u32> = answer.changed.iter().map(NonZeroU32::get).collect();
        if query.known_uids.is_none() {
            prop_assert_eq!(&told, &now);
        }
        // A client that says that it knows more than there ever was.
        let mut all = NumberSet::default();
        all.insert_range(nz(1), NonZeroU32::MAX);
        query.known_uids = Some(all);
        let answer = view.resync(&query, nz(7), since.clone());
        if let Some(Untagged::Vanished { uids, .. }) = &answer.vanished {
            prop_assert!(uids.ranges().iter().all(|(_, last)| *last < since.uid_next));
            prop_assert!(now.iter().all(|uid| !uids.contains(nz(*uid))));
        }
        query.uid_validity = nz(8);
        prop_assert_eq!(view.resync(&query, nz(7), since), imap_proto::Resynced::default());
        // UID FETCH with VANISHED.
        let fetched = view.vanished_earlier(&set(&known), remembers.then(|| set(&gone)).as_ref());
        let heard = match fetched {
            Some(Untagged::Vanished { uids, .. }) => uids,
            _ => NumberSet::default(),
        };
        prop_assert_eq!(heard, set(&gone));
    }
}

proptest! {
    /// Batches lie side by side, from the largest UID down to 1, and hold
    /// `size` messages each but the last.
    #[test]
    fn batches_cover_all(
        uids in prop::collection::btree_set(1_u32..200, 0..40),
        size in 1_u32..12,
        picked in (1_u32..6, 1_u32..6),
    ) {
        let view = View::new(uids.iter().map(|uid| nz(*uid)), ViewOptions::default());
        let all = view.batches(nz(size), None);
        let mut next = uids.last().copied().unwrap_or(0);
        for (index, (high, low)) in all.iter().enumerate() {
            prop_assert_eq!(high.get(), next);
            next = low.get() - 1;
            let count = uids.range(low.get()..=high.get()).count();
            prop_assert!(count == size as usize || index + 1 == all.len() && count > 0);
        }
        prop_assert_eq!(next, 0);
        let (first, last) = (picked.0.min(picked.1), picked.0.max(picked.1));
        let some = view.batches(nz(size), Some((nz(first), nz(last))));
        let expected: Vec<_> =
            all.into_iter().skip(first as usize - 1).take((last - first) as usize + 1).collect();
        prop_assert_eq!(some, expected);
    }
}
