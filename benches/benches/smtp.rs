//! SMTP: commands, replies, message data and whole sessions, beside the
//! crates `smtp-proto` and `mailin`.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    reason = "criterion's macros; a start for time"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use proto_core::{BareNewline, DotDecoder, DotEncoder, DotStep, Output};
use smtp_proto::{Capabilities, Command, Config, Event, Lenient, Reply, Server, Step};

const MAIL: &[u8] = b"MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME";
const RCPT: &[u8] = b"RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.org";
const EHLO: &[u8] = b"EHLO client.example.org";
const OFFER: &[u8] = b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n\
250-ETRN\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n\
250-8BITMIME\r\n250-DSN\r\n250 CHUNKING\r\n";

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("smtp/command");
    for (name, line) in [("mail", MAIL), ("rcpt-dsn", RCPT), ("ehlo", EHLO)] {
        let lenient = Lenient::default();
        group.bench_function(name, |b| {
            b.iter(|| Command::parse(black_box(line), &lenient));
        });
        let mut whole = line.to_vec();
        whole.extend_from_slice(b"\r\n");
        group.bench_function(format!("{name}/peer"), |b| {
            b.iter(|| peer_smtp_proto::Request::parse(&mut black_box(&whole).iter()).is_ok());
        });
    }
    // As the client's machine does it.
    group.bench_function("offer", |b| {
        b.iter(|| Capabilities::parse(black_box(OFFER)))
    });
    group.bench_function("offer/peer", |b| {
        b.iter(|| peer_smtp_proto::EhloResponse::parse(&mut black_box(OFFER).iter()).is_ok());
    });
    group.finish();
}

/// A megabyte as it comes over the wire.
fn wire(line: &str) -> Vec<u8> {
    let mut wire = line.repeat((1 << 20) / line.len()).into_bytes();
    wire.extend_from_slice(b".\r\n");
    wire
}

fn data(c: &mut Criterion) {
    let mut group = c.benchmark_group("smtp/data");
    let plain = wire(&format!("{}\r\n", "0123456789abcdef".repeat(4)));
    let dotted = wire(&format!("..{}\r\n", "0123456789abcdef".repeat(4)));
    let short = wire("..a\r\n");
    for (name, wire) in [
        ("plain", &plain),
        ("dotted", &dotted),
        ("short-dotted", &short),
    ] {
        group.throughput(Throughput::Bytes(wire.len() as u64));
        for size in [4096, 65_536] {
            group.bench_function(format!("decode/{name}/{size}"), |b| {
                b.iter_batched(
                    || BytesMut::from(&wire[..]),
                    |mut input| {
                        let mut decoder = DotDecoder::new(BareNewline::Reject);
                        let mut taken = 0;
                        while let DotStep::Chunk(chunk) = decoder.step(&mut input, size) {
                            taken += chunk.len();
                        }
                        (taken, input)
                    },
                    BatchSize::LargeInput,
                );
            });
        }
        group.bench_function(format!("decode/{name}/4096/peer"), |b| {
            let mut buffer = Vec::with_capacity(8192);
            b.iter(|| {
                let mut receiver = peer_smtp_proto::request::receiver::DataReceiver::new();
                for chunk in wire.chunks(4096) {
                    receiver.ingest(&mut chunk.iter(), &mut buffer);
                    black_box(&buffer);
                    buffer.clear();
                }
            });
        });
        let message = Bytes::from(wire.clone());
        for (kind, encoder) in [
            ("encode", DotEncoder::default()),
            ("encode-normalising", DotEncoder::normalising()),
        ] {
            group.bench_function(format!("{kind}/{name}"), |b| {
                b.iter(|| {
                    let mut output = Output::default();
                    let mut encoder = encoder.clone();
                    encoder.encode(&message, &mut output);
                    encoder.finish(&mut output);
                    output.len()
                });
            });
        }
    }
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("memchr", |b| {
        b.iter(|| memchr::memchr(b'\0', black_box(&plain)));
    });
    group.bench_function("memchr2-line-by-line", |b| {
        b.iter(|| memchr::memchr2_iter(b'\r', b'\n', black_box(&plain)).count());
    });
    group.finish();
}

/// Says yes to everything.
fn serve(server: &mut Server, input: &mut BytesMut, now: Instant) -> usize {
    let mut messages = 0;
    loop {
        match server.poll(input, now) {
            Ok(Step::Event(Event::PayloadStart(_))) => {
                let _ = server.accept_payload();
            }
            Ok(Step::Event(Event::PayloadEnd)) => {
                messages += 1;
                let _ = server.reply(Reply::new(250, [2, 0, 0], "Ok: queued"));
            }
            Ok(Step::Event(event)) if event.wants_answer() => {
                let _ = server.reply(Reply::new(250, [2, 1, 0], "Ok"));
            }
            Ok(Step::Event(_)) => {}
            _ => break,
        }
    }
    let output = server.output();
    let sent = output.remaining();
    output.advance(sent);
    messages
}

const TRANSACTION: &str = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n\
Subject: hello\r\n.\r\n";

struct Yes;

impl mailin::Handler for Yes {}

fn sessions(c: &mut Criterion) {
    let mut group = c.benchmark_group("smtp/session");
    let now = Instant::now();
    let config = Arc::new(Config::new("mx.example.org"));
    group.bench_function("transaction", |b| {
        let mut server = Server::new(Arc::clone(&config), now);
        let mut input = BytesMut::from("HELO a\r\n");
        serve(&mut server, &mut input, now);
        b.iter(|| {
            input.extend_from_slice(TRANSACTION.as_bytes());
            serve(&mut server, &mut input, now)
        });
    });
    group.bench_function("transaction/peer", |b| {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut session = mailin::SessionBuilder::new("mx.example.org").build(address, Yes);
        session.process(b"HELO a\r\n");
        let mut reply = Vec::with_capacity(256);
        b.iter(|| {
            for line in TRANSACTION.split_inclusive('\n') {
                reply.clear();
                let _ = session.process(line.as_bytes()).write_to(&mut reply);
            }
        });
    });
    let body = format!("{}\r\n", "0123456789abcdef".repeat(4)).repeat(64);
    let ten = format!(
        "EHLO a\r\n{}QUIT\r\n",
        TRANSACTION.replace("Subject: hello\r\n", &body).repeat(10)
    );
    group.throughput(Throughput::Elements(10));
    group.bench_function("ten-messages-of-4-KiB", |b| {
        b.iter(|| {
            let mut server = Server::new(Arc::clone(&config), now);
            let mut input = BytesMut::from(ten.as_bytes());
            serve(&mut server, &mut input, now)
        });
    });
    group.finish();
}

criterion_group!(benches, commands, data, sessions);
criterion_main!(benches);
