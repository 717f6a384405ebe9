//! `View`'s contexts, limits and large mailboxes, one by one: the model of all
//! of them together is in `view_updates.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::num::NonZeroU32;

use imap_proto::{
    Change, ContextUpdate, ESearch, FetchItem, Message, NumberSequence, Tag, Untagged, View,
    ViewOptions,
};

fn nz(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

/// RFC 9738 §3.1: from the highest down.
#[test]
fn message_limit() {
    let messages: Vec<_> = (1..=5)
        .map(|number| Message {
            sequence: nz(number),
            uid: nz(number * 10),
        })
        .collect();
    let (kept, code) = View::within_limit(&messages, nz(3));
    assert_eq!(kept, &messages[2..]);
    let expected = imap_proto::Code::MessageLimit {
        limit: nz(3),
        last_uid: Some(nz(30)),
    };
    assert_eq!(code, Some(expected));
    assert_eq!(View::within_limit(&messages, nz(5)), (&messages[..], None));
}

#[test]
fn contexts_are_few() {
    let mut view = View::new([nz(1)], ViewOptions::default());
    for index in 0..View::CONTEXTS {
        view.watch_search(tag(&format!("t{index}")), true, [nz(1)])
            .unwrap();
    }
    let refused = view.watch_search(tag("more"), true, []).unwrap_err();
    let code = refused.status().code;
    assert_eq!(code, Some(imap_proto::Code::NoUpdate(tag("more"))));
    assert!(view.has_context(&tag("t0")) && view.cancel_context(&tag("t0")));
    assert!(!view.cancel_context(&tag("t0")));
    view.watch_sort(tag("more"), true, []).unwrap();
}

/// RFC 5257 §4.4 and RFC 5465 §3.1.
#[test]
fn annotations_and_silence() {
    let entry = imap_proto::EntryName::new("/comment").unwrap();
    let change = Change::Annotation {
        uid: nz(5),
        entry: entry.clone(),
    };
    let mut view = View::new([nz(5)], ViewOptions::default());
    view.apply(change.clone());
    view.apply(change.clone());
    let told = Untagged::Fetch {
        sequence: nz(1),
        items: vec![
            FetchItem::Uid(nz(5)),
            FetchItem::AnnotationChanged(vec![entry]),
        ],
    };
    assert_eq!(view.pending(false), [told]);
    view.set_events(imap_proto::Notify::None.selected());
    view.apply(change);
    view.apply(Change::Arrived {
        uid: nz(6),
        recent: false,
    });
    view.apply(Change::Expunged(nz(5)));
    assert!(!view.has_pending(true));
    assert!(view.pending(true).is_empty() && view.unsolicited().is_empty());
    assert_eq!(view.exists(), 1);
}

/// RFC 5267 §4.3.3: one run, in the preferred form.
#[test]
fn preferred_form() {
    let uids = (2731..=2735).map(nz);
    let mut view = View::new(uids, ViewOptions::default());
    view.watch_sort(tag("C01"), true, [2734, 2735].map(nz))
        .unwrap();
    for uid in [2733, 2732, 2731] {
        view.matches_sort(
            &tag("C01"),
            nz(uid),
            Some(|other: NonZeroU32| other.get().cmp(&uid)),
        );
    }
    let numbers: NumberSequence = (2731..=2733).map(nz).collect();
    let expected = ESearch {
        tag: Some(tag("C01")),
        uid: true,
        updates: vec![ContextUpdate::Add(vec![(1, numbers)])],
        ..ESearch::default()
    };
    assert_eq!(view.pending(false), [Untagged::ESearch(expected)]);
}

/// In a large result each change looks at few others, and an update says what
/// has changed, message by message or many at once.
#[test]
fn changes_in_a_large_sort() {
    let count = 50_000;
    let uids = || (1..=count).map(nz);
    let mut keys: Vec<u32> = (0..=count).map(|uid| uid * 3).collect();
    let mut view = View::new(uids(), ViewOptions::default());
    view.watch_sort(tag("o"), true, uids()).unwrap();
    let mut client: Vec<NonZeroU32> = uids().collect();
    let (mut random, mut looks, mut told) = (1_u32, 0_usize, 0);
    for step in 1..=2_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let uid = random / 5 % count + 1;
        keys[uid as usize] = random / 3 % (3 * count);
        let key = (keys[uid as usize], uid);
        let place = |other: NonZeroU32| {
            looks += 1;
            (keys[other.get() as usize], other.get()).cmp(&key)
        };
        view.matches_sort(&tag("o"), nz(uid), Some(place));
        // At first each is told, then all that is left.
        if step < 500 || step == 2_000 {
            for data in view.pending(false) {
                let Untagged::ESearch(ESearch { updates, .. }) = data else {
                    panic!("{data:?}");
                };
                told += updates.len();
                updates
                    .iter()
                    .for_each(|update| follow(&mut client, update));
            }
        }
    }
    let mut exact: Vec<NonZeroU32> = uids().collect();
    exact.sort_by_key(|uid| (keys[uid.get() as usize], *uid));
    assert!(client == exact);
    assert!(looks < 2_000 * 20, "{looks}");
    assert!(told > 900, "{told}");
}

fn follow(list: &mut Vec<NonZeroU32>, update: &ContextUpdate) {
    let (ContextUpdate::Add(runs) | ContextUpdate::Remove(runs)) = update;
    for (place, numbers) in runs {
        let from = *place as usize - 1;
        let uids: Vec<_> = numbers.iter().collect();
        match update {
            ContextUpdate::Add(_) => drop(list.splice(from..from, uids)),
            _ => {
                let gone: Vec<_> = list.drain(from..from + uids.len()).collect();
                assert_eq!(gone, uids);
            }
        }
    }
}

/// What NOTIFY does not want to be told of has no place in a result, either.
#[test]
fn unknown_messages_have_no_place() {
    let mut view = View::new((1..=4).map(nz), ViewOptions::default());
    view.watch_sort(tag("o"), true, (1..=4).map(nz)).unwrap();
    view.set_events(imap_proto::SelectedEvents {
        messages: false,
        attributes: Vec::new(),
        flags: true,
        annotations: false,
        immediate: false,
    });
    // Each new one comes first.
    let first = |_: NonZeroU32| std::cmp::Ordering::Greater;
    for uid in 5..=9 {
        view.apply(Change::Arrived {
            uid: nz(uid),
            recent: false,
        });
        view.matches_sort(&tag("o"), nz(uid), Some(first));
    }
    assert_eq!(view.pending(true), []);
    view.matches_sort(&tag("o"), nz(3), Some(first));
    let update = |updates| {
        Untagged::ESearch(ESearch {
            tag: Some(tag("o")),
            uid: true,
            updates,
            ..ESearch::default()
        })
    };
    let run = |place, uids: &[u32]| vec![(place, uids.iter().map(|uid| nz(*uid)).collect())];
    let moved = vec![
        ContextUpdate::Remove(run(3, &[3])),
        ContextUpdate::Add(run(1, &[3])),
    ];
    assert_eq!(view.pending(true), [update(moved)]);
    view.apply(Change::Expunged(nz(7)));
    view.set_events(imap_proto::SelectedEvents {
        messages: true,
        attributes: Vec::new(),
        flags: true,
        annotations: false,
        immediate: false,
    });
    let mut added = run(1, &[9, 8, 6, 5]);
    added[0].0 = 2;
    let told = view.pending(true);
    assert_eq!(
        told,
        [Untagged::Exists(8), update(vec![ContextUpdate::Add(added)])]
    );
}

/// In whatever order a store says what is gone, it costs what is gone, and not
/// the square of it: known messages, recent ones, and such as were never told.
#[test]
fn expunged_in_any_order() {
    let count = 300_000;
    for backwards in [true, false] {
        let mut view = View::new((1..=count).map(nz), ViewOptions::default());
        view.set_recent((1..=count).map(nz));
        for uid in count + 1..=2 * count {
            let uid = nz(uid);
            view.apply(Change::Arrived { uid, recent: true });
        }
        for uid in 1..=2 * count {
            let uid = if backwards { 2 * count + 1 - uid } else { uid };
            view.apply(Change::Expunged(nz(uid)));
        }
        assert_eq!((view.exists(), view.recent()), (count, 0));
        let told = view.pending(true);
        assert_eq!(told.len(), count as usize);
        assert_eq!(told.first(), Some(&Untagged::Expunge(nz(count))));
        assert_eq!(view.exists(), 0);
    }
}

/// A mailbox is emptied under a session that keeps results up to date: told at
/// once, and worked out in time that grows with the messages, not their square.
#[test]
fn emptied_with_contexts() {
    let count = 100_000;
    let uids = || (1..=count).map(nz);
    let mut view = View::new(uids(), ViewOptions::default());
    view.watch_search(tag("s"), true, uids()).unwrap();
    view.watch_sort(tag("o"), true, uids()).unwrap();
    view.watch_search(tag("none"), true, []).unwrap();
    uids().for_each(|uid| view.apply(Change::Expunged(uid)));
    let told = view.pending(false);
    let gone: NumberSequence = uids().collect();
    let update = |name: &str, place| {
        Untagged::ESearch(ESearch {
            tag: Some(tag(name)),
            uid: true,
            updates: vec![ContextUpdate::Remove(vec![(place, gone.clone())])],
            ..ESearch::default()
        })
    };
    assert_eq!(told, [update("s", 0), update("o", 1)]);
    assert!(!view.has_pending(false));
    assert_eq!(view.pending(true).len(), count as usize);
}
