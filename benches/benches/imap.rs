//! IMAP: parsing and encoding beside imap-codec and imap-proto, APPEND through
//! the server machine, the view, threading.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "criterion's macros; a start for time; fixed inputs"
)]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use imap_proto::{
    Change, Command, Config, Dialect, Event, FetchItem, Flag, Message, Response, Server,
    SortCriterion, SortFields, SortKey, Step, ThreadAlgorithm, ThreadInput, Untagged, View,
    ViewOptions, base_subject, sort, thread,
};
use peer_imap_codec::decode::Decoder;
use peer_imap_codec::encode::Encoder;
use peer_imap_codec::{CommandCodec, ResponseCodec};
use posthaste_benches::imap::{FETCH, RESPONSE, SEARCH};

/// As a line comes from the framing: counted references, not static octets.
fn shared(text: &[u8]) -> Bytes {
    let mut input = BytesMut::from(text);
    input.extend_from_slice(b"next");
    input.split_to(text.len()).freeze()
}

fn parse(c: &mut Criterion) {
    for (name, text) in [("uid_fetch", FETCH), ("search", SEARCH)] {
        let mut group = c.benchmark_group(format!("parse/{name}"));
        let octets = shared(text);
        group.bench_function("posthaste", |b| {
            b.iter(|| Command::parse(black_box(&octets), Dialect::SERVER).unwrap());
        });
        group.bench_function("imap-codec", |b| {
            let codec = CommandCodec::default();
            b.iter(|| codec.decode(black_box(text)).unwrap());
        });
        group.finish();
    }
    let mut group = c.benchmark_group("parse/fetch_response");
    let octets = shared(RESPONSE);
    group.bench_function("posthaste", |b| {
        b.iter(|| Response::parse(black_box(&octets), Dialect::SERVER).unwrap());
    });
    group.bench_function("imap-codec", |b| {
        let codec = ResponseCodec::default();
        b.iter(|| codec.decode(black_box(RESPONSE)).unwrap());
    });
    group.bench_function("imap-proto", |b| {
        b.iter(|| peer_imap_proto::Response::parse(black_box(RESPONSE)).unwrap());
    });
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode/fetch_response");
    let response = Response::parse(&Bytes::from_static(RESPONSE), Dialect::SERVER).unwrap();
    group.bench_function("posthaste", |b| {
        b.iter(|| black_box(&response).to_vec(Dialect::SERVER));
    });
    let (_, peer) = ResponseCodec::default().decode(RESPONSE).unwrap();
    group.bench_function("imap-codec", |b| {
        let codec = ResponseCodec::default();
        b.iter(|| codec.encode(black_box(&peer)).dump());
    });
    group.finish();

    let mut server = server();
    let mut input = BytesMut::from("c FETCH 1:* (UID FLAGS)\r\n");
    assert!(matches!(
        server.poll(&mut input, Instant::now()),
        Ok(Step::Event(_))
    ));
    let answers: Vec<_> = (1..=10_000)
        .filter_map(NonZeroU32::new)
        .map(|sequence| Untagged::Fetch {
            sequence,
            items: vec![
                FetchItem::Uid(sequence),
                FetchItem::Flags(vec![Flag::Seen, Flag::Answered]),
            ],
        })
        .collect();
    let mut send = || {
        for answer in &answers {
            server.untagged(answer).unwrap();
        }
        let sent = server.output().remaining();
        server.output().advance(sent);
        sent
    };
    let mut group = c.benchmark_group("encode/10k_uid_flags");
    group.throughput(Throughput::Bytes(send() as u64));
    group.bench_function("posthaste", |b| b.iter(&mut send));
    group.finish();
}

/// A server with a mailbox selected.
fn server() -> Server {
    let now = Instant::now();
    let config = Config {
        login_without_tls: true,
        ..Config::default()
    };
    let mut server = Server::new(Arc::new(config), now);
    let mut input = BytesMut::from("a LOGIN u p\r\nb SELECT INBOX\r\n");
    for _ in 0..2 {
        assert!(matches!(server.poll(&mut input, now), Ok(Step::Event(_))));
        server.ok("done").unwrap();
    }
    let sent = server.output().remaining();
    server.output().advance(sent);
    server
}

fn append(c: &mut Criterion) {
    const SIZE: usize = 1024 * 1024;
    let mut wire = BytesMut::from(format!("c APPEND INBOX {{{SIZE}+}}\r\n").as_bytes());
    wire.resize(wire.len() + SIZE, b'x');
    wire.extend_from_slice(b"\r\n");
    let mut group = c.benchmark_group("append/1_mib");
    group.throughput(Throughput::Bytes(SIZE as u64));
    group.bench_function("posthaste", |b| {
        let mut server = server();
        let now = Instant::now();
        b.iter_batched(
            || wire.clone(),
            |mut input| {
                let mut octets = 0;
                loop {
                    match server.poll(&mut input, now).unwrap() {
                        Step::Event(Event::PayloadStart(_)) => server.accept_payload().unwrap(),
                        Step::Event(Event::Payload(chunk)) => octets += chunk.len(),
                        Step::Event(Event::PayloadEnd { .. }) => break,
                        other => unreachable!("{other:?}"),
                    }
                }
                server.ok("stored").unwrap();
                server.output().clear();
                octets
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn view(c: &mut Criterion) {
    let uids: Vec<NonZeroU32> = (1..=1_000_000)
        .filter_map(|uid| NonZeroU32::new(uid * 3))
        .collect();
    let mut group = c.benchmark_group("view/1m_messages");
    group.bench_function("select", |b| {
        b.iter(|| View::new(black_box(&uids).iter().copied(), ViewOptions::default()));
    });
    group.bench_function("expunge_1000", |b| {
        b.iter_batched(
            || View::new(uids.iter().copied(), ViewOptions::default()),
            |mut view| {
                for uid in uids.iter().step_by(1000) {
                    view.apply(Change::Expunged(*uid));
                }
                view.pending(true)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn order(c: &mut Criterion) {
    let mut group = c.benchmark_group("order");
    group.sample_size(10);
    for count in [10_000_u32, 30_000, 100_000, 300_000] {
        let inputs: Vec<_> = (1..=count)
            .filter_map(NonZeroU32::new)
            .map(|number| {
                let at = number.get();
                let (id, up) = (
                    format!("<{at}@x>"),
                    format!("<{}@x> <{}@x>", at / 8, at / 4),
                );
                ThreadInput::new(number, i64::from(at.wrapping_mul(2_654_435_761)))
                    .with_subject(&format!("Re: subject {}", at % 1000))
                    .with_ids(&id, &up, "")
            })
            .collect();
        group.bench_function(format!("thread_references/{count}"), |b| {
            b.iter(|| thread(black_box(&inputs), ThreadAlgorithm::References));
        });
        let fields: Vec<_> = (1..=count)
            .filter_map(NonZeroU32::new)
            .map(|number| {
                let message = Message {
                    sequence: number,
                    uid: number,
                };
                let at = number.get().wrapping_mul(2_654_435_761);
                SortFields::new(message, i64::from(at), u64::from(at % 99))
                    .with_subject(&format!("Re: subject {}", at % 1000))
            })
            .collect();
        let criteria = [SortKey::Subject, SortKey::Date].map(|key| SortCriterion {
            reverse: false,
            key,
        });
        group.bench_function(format!("sort_subject_date/{count}"), |b| {
            b.iter_batched(
                || fields.clone(),
                |mut fields| sort(&mut fields, &criteria),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// Message-ID and References of the n-th of so many messages.
type Crafted = fn(u32, u32) -> (u32, u32);

/// What nobody's mail looks like: 100,000 messages whose References are one
/// chain, begin at the wrong end, all name one, or run in circles; and
/// subjects of 1 MiB.
fn crafted(c: &mut Criterion) {
    let mut group = c.benchmark_group("crafted");
    group.sample_size(10);
    let count = 100_000_u32;
    let shapes: [(&str, Crafted); 5] = [
        ("chain", |at, _| (at, at - 1)),
        ("chain_backwards", |at, _| (at, at + 1)),
        ("star", |at, _| (at, 1)),
        ("circle", |at, count| (at, at % count + 1)),
        ("one_identifier", |_, _| (1, 1)),
    ];
    for (name, shape) in shapes {
        let inputs: Vec<_> = (1..=count)
            .filter_map(NonZeroU32::new)
            .map(|number| {
                let (own, up) = shape(number.get(), count);
                ThreadInput::new(number, i64::from(number.get()))
                    .with_subject("Re: the same")
                    .with_ids(&format!("<{own}@x>"), &format!("<{up}@x>"), "")
            })
            .collect();
        for (algorithm, kind) in [
            ("references", ThreadAlgorithm::References),
            ("refs", ThreadAlgorithm::Refs),
        ] {
            group.bench_function(format!("{algorithm}/{name}"), |b| {
                b.iter(|| thread(black_box(&inputs), kind));
            });
        }
    }
    for part in ["Re: Re: [x] ", "[x]", "[fwd: ", "(fwd)", "re[re["] {
        let subject = part.repeat((1 << 20) / part.len());
        group.bench_function(format!("subject/{}", part.trim()), |b| {
            b.iter(|| base_subject(black_box(&subject)));
        });
    }
    group.finish();
}

criterion_group!(benches, parse, encode, append, view, order, crafted);
criterion_main!(benches);
