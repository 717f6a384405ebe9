//! `View` against a naive model: whatever the interleaving, a client that
//! follows the RFC ends with the store's exact state.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use imap_proto::{Change, FetchItem, Flag, SequenceSet, Untagged, View, ViewOptions};
use proptest::prelude::*;

fn nz(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Arrive(bool),
    Expunge(usize),
    Flags(usize, u8),
    Tell(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::Arrive),
        any::<usize>().prop_map(Step::Expunge),
        (any::<usize>(), 0_u8..8).prop_map(|(at, flags)| Step::Flags(at, flags)),
        (0_usize..3, any::<bool>()).prop_map(|(session, expunge)| Step::Tell(session, expunge)),
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

/// What a client knows of each message, by sequence number: UID and flags, as
/// far as it was told or asked.
#[derive(Debug, Default)]
struct Client {
    messages: Vec<Option<(u32, Vec<Flag>)>>,
    vanished: bool,
}

impl Client {
    fn hear(&mut self, told: &[Untagged], may_expunge: bool) {
        for data in told {
            match data {
                Untagged::Exists(count) => {
                    let count = usize::try_from(*count).unwrap();
                    assert!(count >= self.messages.len(), "EXISTS shrinks nothing");
                    self.messages.resize(count, None);
                }
                Untagged::Expunge(number) => {
                    assert!(may_expunge && !self.vanished);
                    self.messages.remove(number.get() as usize - 1);
                }
                Untagged::Vanished { uids, .. } => {
                    assert!(may_expunge && self.vanished);
                    self.messages.retain(|known| {
                        known
                            .as_ref()
                            .is_none_or(|(uid, _)| !uids.contains(nz(*uid)))
                    });
                }
                Untagged::Fetch { sequence, items } => {
                    let known = self.messages[sequence.get() as usize - 1].as_mut();
                    for item in items {
                        match (item, &known) {
                            (FetchItem::Uid(uid), Some((known, _))) => {
                                assert_eq!(uid.get(), *known);
                            }
                            (FetchItem::Flags(_), _) => {}
                            other => panic!("{other:?}"),
                        }
                    }
                    if let (Some(FetchItem::Flags(flags)), Some(known)) = (items.last(), known) {
                        known.1.clone_from(flags);
                    }
                }
                Untagged::Recent(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Asks for what it does not know: UID FETCH of all that is new.
    fn ask(&mut self, view: &View, store: &BTreeMap<u32, u8>) {
        for (index, known) in self.messages.iter_mut().enumerate() {
            if known.is_none() {
                let uid = view
                    .uid(nz(u32::try_from(index).unwrap() + 1))
                    .unwrap()
                    .get();
                let bits = store.get(&uid).copied().unwrap_or(0);
                *known = Some((uid, flags(bits)));
            }
        }
    }
}

proptest! {
    #[test]
    fn clients_end_with_the_store(
        start in 0_u32..6,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut store: BTreeMap<u32, u8> = (1..=start).map(|uid| (uid * 2, 0)).collect();
        let mut next = start * 2 + 1;
        let mut sessions: Vec<(View, Client)> = (0..3)
            .map(|index| {
                let options = ViewOptions {
                    uid: index > 0,
                    vanished: index == 2,
                    recent: index == 0,
                    ..ViewOptions::default()
                };
                let view = View::new(store.keys().map(|uid| nz(*uid)), options);
                let mut client = Client { vanished: index == 2, ..Client::default() };
                client.hear(&[Untagged::Exists(view.exists())], true);
                client.ask(&view, &store);
                (view, client)
            })
            .collect();
        let end = (0..3).map(|session| Step::Tell(session, true));
        for step in steps.into_iter().chain(end) {
            let change = match step {
                Step::Arrive(recent) => {
                    next += 1;
                    store.insert(next, 0);
                    Change::Arrived { uid: nz(next), recent }
                }
                Step::Expunge(at) => {
                    let Some(uid) = store.keys().nth(at % store.len().max(1)).copied() else { continue };
                    store.remove(&uid);
                    Change::Expunged(nz(uid))
                }
                Step::Flags(at, bits) => {
                    let Some(uid) = store.keys().nth(at % store.len().max(1)).copied() else { continue };
                    store.insert(uid, bits);
                    Change::Flags { uid: nz(uid), flags: flags(bits), mod_seq: None }
                }
                Step::Tell(index, may_expunge) => {
                    let (view, client) = &mut sessions[index];
                    let had = view.has_pending(may_expunge);
                    let told = view.pending(may_expunge);
                    prop_assert_eq!(had, !told.is_empty());
                    client.hear(&told, may_expunge);
                    client.ask(view, &store);
                    // Both count alike at any time.
                    prop_assert_eq!(view.exists() as usize, client.messages.len());
                    for (index, known) in client.messages.iter().enumerate() {
                        let sequence = nz(u32::try_from(index).unwrap() + 1);
                        let uid = nz(known.as_ref().unwrap().0);
                        prop_assert_eq!(view.uid(sequence), Some(uid));
                        prop_assert_eq!(view.sequence(uid), Some(sequence));
                        prop_assert_eq!(view.is_expunged(uid), !store.contains_key(&uid.get()));
                    }
                    continue;
                }
            };
            for (view, _) in &mut sessions {
                view.apply(change.clone());
            }
        }
        for (_, client) in &sessions {
            let known: Vec<_> = client.messages.iter().map(|known| known.clone().unwrap()).collect();
            let mut exact: Vec<_> = store.iter().map(|(uid, bits)| (*uid, flags(*bits))).collect();
            for (_, known) in &mut exact { known.retain(|flag| *flag != Flag::Recent); }
            let mut known = known;
            for (_, flags) in &mut known { flags.retain(|flag| *flag != Flag::Recent); }
            prop_assert_eq!(&known, &exact);
        }
    }

    #[test]
    fn resolve_is_a_filter(
        uids in prop::collection::btree_set(1_u32..40, 0..20),
        ranges in prop::collection::vec((0_u32..45, 0_u32..45), 1..5),
        uid_mode in any::<bool>(),
    ) {
        let view = View::new(uids.iter().map(|uid| nz(*uid)), ViewOptions::default());
        let number = |number: u32| if number == 0 { "*".to_owned() } else { number.to_string() };
        let text: Vec<_> = ranges.iter().map(|(a, b)| format!("{}:{}", number(*a), number(*b))).collect();
        let set = SequenceSet::from_text(&text.join(",")).unwrap();
        let all: Vec<_> = uids.iter().copied().collect();
        let largest = if uid_mode { all.last().copied() } else { u32::try_from(all.len()).ok() };
        let largest = largest.unwrap_or(0);
        let ends = |(a, b): (u32, u32)| {
            let (a, b) = (if a == 0 { largest } else { a }, if b == 0 { largest } else { b });
            (a.min(b), a.max(b))
        };
        let mut expected = Vec::new();
        let mut beyond = largest == 0;
        for (index, uid) in all.iter().enumerate() {
            let sequence = u32::try_from(index).unwrap() + 1;
            let value = if uid_mode { *uid } else { sequence };
            if ranges.iter().any(|range| (ends(*range).0..=ends(*range).1).contains(&value)) {
                expected.push((sequence, *uid));
            }
        }
        beyond |= ranges.iter().any(|range| ends(*range).1 > largest);
        match view.resolve(&set, uid_mode) {
            Ok(found) => {
                let found: Vec<_> = found.iter().map(|one| (one.sequence.get(), one.uid.get())).collect();
                prop_assert_eq!(found, expected);
                prop_assert!(uid_mode || !beyond);
            }
            Err(_) => prop_assert!(!uid_mode && beyond),
        }
    }
}

#[test]
fn saved_result_loses_what_is_expunged() {
    let mut view = View::new([1, 2, 3, 4].map(nz), ViewOptions::default());
    view.save([2, 4].map(nz).into_iter().collect());
    let resolve = |view: &View, uid| -> Vec<(u32, u32)> {
        let found = view.resolve(&SequenceSet::SavedResult, uid).unwrap();
        found
            .iter()
            .map(|one| (one.sequence.get(), one.uid.get()))
            .collect()
    };
    assert_eq!(resolve(&view, false), [(2, 2), (4, 4)]);
    view.apply(Change::Expunged(nz(2)));
    view.pending(true);
    assert_eq!(resolve(&view, false), [(3, 4)]);
    assert_eq!(resolve(&view, true), [(3, 4)]);
}

/// News that comes twice, or late, of a message that came and went before the
/// client heard of it: it stays gone.
#[test]
fn what_went_unheard_does_not_come_back() {
    let came = |uid| Change::Arrived {
        uid: nz(uid),
        recent: true,
    };
    for known in [vec![], vec![nz(3)]] {
        let mut view = View::new(known.clone(), ViewOptions::default());
        view.apply(came(7));
        view.apply(came(8));
        view.apply(Change::Expunged(nz(8)));
        view.apply(Change::Expunged(nz(7)));
        view.apply(came(7));
        view.apply(came(8));
        assert_eq!(view.pending(true), []);
        assert_eq!((view.exists() as usize, view.recent()), (known.len(), 0));
        view.apply(came(9));
        let exists = u32::try_from(known.len()).unwrap() + 1;
        assert_eq!(view.pending(true), [Untagged::Exists(exists)]);
    }
}
