//! How often IMAP's parsers and encoders allocate, beside their peers': what
//! the figures in `RESULTS.md` say of it.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::num::NonZeroU32;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use imap_proto::{
    Change, Command, Dialect, Message, Response, SortCriterion, SortFields, SortKey,
    ThreadAlgorithm, ThreadInput, Uids, View, ViewOptions, sort, thread,
};
use peer_imap_codec::decode::Decoder;
use peer_imap_codec::encode::Encoder;
use peer_imap_codec::{CommandCodec, ResponseCodec};
use posthaste_benches::imap::{FETCH, RESPONSE, SEARCH};

/// Allocations of a second run, when all tables that are made once are there.
fn count<T>(name: &str, mut run: impl FnMut() -> T) -> u64 {
    drop(run());
    let info = measure(|| drop(run()));
    println!(
        "{name}: {} allocations, {} octets",
        info.count_total, info.bytes_total
    );
    info.count_total
}

fn shared(text: &[u8]) -> bytes::Bytes {
    let mut input = BytesMut::from(text);
    input.extend_from_slice(b"next");
    input.split_to(text.len()).freeze()
}

#[test]
fn fewer_than_peers() {
    for (name, text, most) in [("fetch", FETCH, 2), ("search", SEARCH, 2)] {
        let octets = shared(text);
        let ours = count(name, || Command::parse(&octets, Dialect::SERVER).unwrap());
        let theirs = count("imap-codec", || {
            CommandCodec::default().decode(text).unwrap()
        });
        assert!(ours <= most && ours < theirs, "{name}: {ours}");
    }
    let octets = shared(RESPONSE);
    let ours = count("response", || {
        Response::parse(&octets, Dialect::SERVER).unwrap()
    });
    let codec = ResponseCodec::default();
    let theirs = count("imap-codec", || codec.decode(RESPONSE).unwrap());
    let _ = count("imap-proto", || {
        peer_imap_proto::Response::parse(RESPONSE).unwrap()
    });
    assert!(ours <= 11 && ours < theirs, "{ours}");

    let response = Response::parse(&octets, Dialect::SERVER).unwrap();
    assert_eq!(response.to_vec(Dialect::SERVER), RESPONSE);
    let ours = count("encode", || response.to_vec(Dialect::SERVER));
    let (_, peer) = codec.decode(RESPONSE).unwrap();
    let theirs = count("imap-codec", || codec.encode(&peer).dump());
    assert!(ours <= 2 && ours < theirs, "{ours}");
}

/// A response as large as a client takes, of elements as small as they come.
#[test]
fn a_hostile_response_takes_what_is_stated() {
    const OCTETS: usize = 16 << 20;
    let full = |front: &str, element: &str, end: &str| {
        let count = (OCTETS - front.len() - end.len()) / element.len();
        let text = [front, &element.repeat(count), end].concat();
        Bytes::from(text)
    };
    let part = "(\"\" \"\" NIL NIL NIL \"\" 0)";
    for (name, octets) in [
        ("flags", full("* 1 FETCH (FLAGS (a", " a", "))\r\n")),
        ("capabilities", full("* CAPABILITY", " A", "\r\n")),
        ("items", full("* 1 FETCH (UID 1", " UID 1", ")\r\n")),
        ("unknown items", full("* 1 FETCH (UID 1", " X 1", ")\r\n")),
        (
            "addresses",
            full(
                "* 1 FETCH (ENVELOPE (NIL NIL (",
                "(NIL NIL NIL NIL)",
                ") NIL NIL NIL NIL NIL NIL NIL))\r\n",
            ),
        ),
        ("parts", full("* 1 FETCH (BODY (", part, " \"MIXED\"))\r\n")),
        (
            "parameters",
            full(
                "* 1 FETCH (BODY (\"A\" \"B\" (\"\" \"\"",
                " \"\" \"\"",
                ") NIL NIL \"\" 0))\r\n",
            ),
        ),
        ("languages", full("* LANGUAGE (A", " A", ")\r\n")),
        ("roots", full("* QUOTAROOT INBOX", " A", "\r\n")),
        (
            "namespaces",
            full("* NAMESPACE (", "(\"\" NIL)", ") NIL NIL\r\n"),
        ),
        ("numbers", full("* SEARCH", " 1", "\r\n")),
        ("vanished", full("* VANISHED 1", ",1", "\r\n")),
        ("threads", full("* THREAD ", "(1)", "\r\n")),
    ] {
        let held = measure(|| drop(Response::parse(&octets, Dialect::SERVER))).bytes_max;
        println!("{name}: {held} octets for {}", octets.len());
        assert!(held <= 8 * OCTETS as u64, "{name}: {held}");
    }
}

/// The most octets held at once, for so many messages.
fn most(name: &str, count: u32, run: impl FnOnce()) -> u64 {
    let held = measure(run).bytes_max;
    println!(
        "{name}, {count}: {held} octets, {} each",
        held / u64::from(count)
    );
    held
}

fn numbers(count: u32) -> impl Iterator<Item = NonZeroU32> {
    (1..=count).filter_map(NonZeroU32::new)
}

#[test]
fn memory_grows_with_the_messages() {
    let measured = [10_000, 100_000].map(|count| {
        let inputs: Vec<_> = numbers(count)
            .map(|number| {
                let at = number.get();
                let (id, up) = (
                    format!("<{at}@x>"),
                    format!("<{}@x> <{}@x>", at / 8, at / 4),
                );
                ThreadInput::new(number, i64::from(at))
                    .with_subject(&format!("Re: subject {}", at % 1000))
                    .with_ids(&id, &up, "")
            })
            .collect();
        let threading = most("thread", count, || {
            drop(thread(&inputs, ThreadAlgorithm::References));
        });
        let fields = numbers(count).map(|number| {
            let message = Message {
                sequence: number,
                uid: number,
            };
            let at = number.get().wrapping_mul(2_654_435_761);
            SortFields::new(message, i64::from(at), 0).with_subject(&format!("{}", at % 1000))
        });
        let mut fields: Vec<_> = fields.collect();
        let criteria = [SortKey::Subject, SortKey::Date].map(|key| SortCriterion {
            reverse: false,
            key,
        });
        let sorting = most("sort", count, || sort(&mut fields, &criteria));
        [threading, sorting]
    });
    let [few, many] = measured;
    for (few, many) in few.iter().zip(many) {
        assert!(many <= 12 * few, "{few} {many}");
    }
    let mut uids = Uids::default();
    let mut views = Vec::with_capacity(2);
    let held = measure(|| {
        uids = numbers(1_000_000).collect();
        views.push(View::select(uids.clone(), ViewOptions::default()));
    });
    println!("view: {} octets kept", held.bytes_current);
    assert!(held.bytes_current <= 8_000_000, "{held:?}");
    // The second session of the same mailbox.
    let held = measure(|| views.push(View::select(uids.clone(), ViewOptions::default())));
    println!("another: {} octets kept", held.bytes_current);
    assert!(held.bytes_current <= 20_000, "{held:?}");
    // It was told of one that is gone, and of one that came.
    let held = measure(|| {
        for view in views.iter_mut().skip(1) {
            let (gone, uid) = (NonZeroU32::MIN, NonZeroU32::MAX);
            view.apply(Change::Expunged(gone));
            view.apply(Change::Arrived { uid, recent: false });
            assert_eq!(view.pending(true).len(), 2);
        }
    });
    println!("changed: {} octets kept", held.bytes_current);
    assert!(held.bytes_current <= 40_000, "{held:?}");
}
