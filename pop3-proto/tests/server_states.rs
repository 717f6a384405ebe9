//! Every command in every state, hosts' mistakes, attacks, and noise.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use common::{maildrop, show};
use pop3_proto::{Config, Event, Maildrop, Opening, Reply, Server, ServerError};
use proptest::prelude::*;
use proto_core::transcript::Machine;
use proto_core::{Misuse, Step};

fn server(tls: bool, now: Instant) -> Server {
    let opening = Opening {
        tls,
        timestamp: Some("<1.2@host>".into()),
    };
    let config = Config {
        apop: true,
        ..Config::default()
    };
    let mut server = Server::open(Arc::new(config), opening, now);
    server.output().clear();
    server
}

/// Polls until the machine rests; the events, and what it rests in.
fn drive(server: &mut Server, text: &[u8], now: Instant) -> (Vec<String>, Step<()>) {
    let mut input = BytesMut::from(text);
    let mut events = Vec::new();
    loop {
        match server.poll(&mut input, now) {
            Ok(Step::Event(event)) => events.push(show(&event)),
            Ok(Step::NeedDrain) => {
                let count = server.output().remaining();
                server.output().advance(count);
            }
            Ok(step) => return (events, step.map(|_| ())),
            Err(error) => {
                events.push(format!("{error:?}"));
                return (events, Step::Closed);
            }
        }
    }
}

fn sent(server: &mut Server) -> String {
    let count = server.output().remaining();
    String::from_utf8(server.output().copy_to_bytes(count).to_vec()).unwrap()
}

/// The command; the first words of the answer in AUTHORIZATION in the clear,
/// in AUTHORIZATION under TLS, and in TRANSACTION; `E` for an event that the
/// host answers.
const TABLE: [(&str, &str, &str, &str); 18] = [
    ("CAPA", "+OK", "+OK", "+OK"),
    ("STLS", "E", "-ERR", "-ERR"),
    ("UTF8", "+OK", "+OK", "-ERR"),
    ("USER a", "-ERR", "+OK", "-ERR"),
    ("PASS a", "-ERR", "-ERR", "-ERR"),
    ("APOP a c4c9334bac560ecc979e58001b3e22fb", "E", "E", "-ERR"),
    ("AUTH", "+OK", "+OK", "-ERR"),
    ("AUTH PLAIN", "-ERR", "E", "-ERR"),
    ("STAT", "-ERR", "-ERR", "+OK"),
    ("LIST", "-ERR", "-ERR", "+OK"),
    ("LIST 1", "-ERR", "-ERR", "+OK"),
    ("UIDL", "-ERR", "-ERR", "+OK"),
    ("RETR 1", "-ERR", "-ERR", "E"),
    ("TOP 1 1", "-ERR", "-ERR", "E"),
    ("DELE 1", "-ERR", "-ERR", "+OK"),
    ("NOOP", "-ERR", "-ERR", "+OK"),
    ("RSET", "-ERR", "-ERR", "+OK"),
    ("QUIT", "+OK", "+OK", "E"),
];

#[test]
fn every_command_in_every_state() {
    let now = Instant::now();
    for (command, clear, tls, transaction) in TABLE {
        for (wanted, state) in [(clear, 0), (tls, 1), (transaction, 2)] {
            let mut server = server(state > 0, now);
            if state == 2 {
                let _ = drive(&mut server, b"USER a\r\nPASS b\r\n", now);
                server.open_maildrop(maildrop()).unwrap();
                server.output().clear();
            }
            let (events, step) = drive(&mut server, format!("{command}\r\n").as_bytes(), now);
            let answer = sent(&mut server);
            let name = format!("{command} in state {state}: {events:?} {answer:?}");
            if wanted == "E" {
                assert_eq!(step, Step::NeedAnswer, "{name}");
                assert_eq!(answer, "", "{name}");
            } else {
                assert!(answer.starts_with(wanted), "{name}");
                let closes = command == "QUIT";
                let rest = if closes {
                    Step::Closed
                } else {
                    Step::NeedInput
                };
                assert_eq!(step, rest, "{name}");
            }
        }
    }
}

#[test]
fn plaintext_behind_stls_is_fatal() {
    let now = Instant::now();
    let mut server = server(false, now);
    let (events, step) = drive(&mut server, b"STLS\r\nUSER a\r\nPASS b\r\n", now);
    assert_eq!(events, ["OctetsBehindStls"]);
    assert_eq!(step, Step::Closed);
    assert_eq!(
        server.tls_started(),
        Err(Misuse::Closed {
            call: "tls_started"
        })
    );
}

#[test]
fn plaintext_that_comes_a_moment_later_is_fatal_too() {
    let now = Instant::now();
    let mut server = server(false, now);
    assert_eq!(drive(&mut server, b"STLS\r\n", now).0, ["StartTls"]);
    let (events, _) = drive(&mut server, b"USER a\r\n", now);
    assert_eq!(events, ["OctetsBehindStls"]);
}

#[test]
fn what_was_said_before_tls_is_forgotten() {
    let now = Instant::now();
    let config = Config {
        plaintext_without_tls: true,
        ..Config::default()
    };
    let mut server = Server::new(Arc::new(config), now);
    let _ = drive(&mut server, b"USER a\r\n", now);
    assert_eq!(drive(&mut server, b"STLS\r\n", now).0, ["StartTls"]);
    server.reply(Reply::ok("go")).unwrap();
    assert!(!server.is_tls());
    server.tls_started().unwrap();
    assert!(server.is_tls());
    let (events, _) = drive(&mut server, b"PASS b\r\n", now);
    assert_eq!(events, ["Rejected PASS in the wrong state"]);
}

#[test]
fn hosts_mistakes_change_nothing() {
    let now = Instant::now();
    let mut server = server(true, now);
    let calls = |server: &mut Server| {
        [
            server.reply(Reply::ok("x")),
            server.reply(Reply::err("x")),
            server.open_maildrop(Maildrop::default()),
            server.challenge(b""),
            server.tls_started(),
            server.accept_payload(),
            server.send_payload(Bytes::new()),
            server.end_payload(),
            server.abort_payload(),
        ]
    };
    for call in calls(&mut server) {
        assert!(matches!(call, Err(Misuse::NotExpected { .. })), "{call:?}");
    }
    let _ = drive(&mut server, b"USER a\r\nPASS b\r\n", now);
    // A login with USER and PASS has no challenge, and no plain +OK.
    assert!(server.challenge(b"").is_err());
    assert!(server.reply(Reply::ok("welcome")).is_err());
    assert!(server.reply(Reply::err("two\r\nlines")).is_err());
    server.open_maildrop(maildrop()).unwrap();
    let _ = drive(&mut server, b"RETR 1\r\n", now);
    assert!(server.reply(Reply::ok("here")).is_err());
    assert!(server.send_payload(Bytes::from_static(b"x")).is_err());
    server.accept_payload().unwrap();
    assert!(server.reply(Reply::err("no, wait")).is_err());
    server.abort_payload().unwrap();
    for call in calls(&mut server) {
        assert!(matches!(call, Err(Misuse::Closed { .. })), "{call:?}");
    }
    let mut input = BytesMut::new();
    assert_eq!(
        server.poll(&mut input, now),
        Err(ServerError::PayloadAborted)
    );
}

#[test]
fn a_line_without_end_costs_no_memory() {
    let now = Instant::now();
    let mut server = server(true, now);
    let mut input = BytesMut::new();
    for _ in 0..1000 {
        input.extend_from_slice(&[b'A'; 1024]);
        assert_eq!(server.poll(&mut input, now), Ok(Step::NeedInput));
        assert!(input.len() <= 12_288);
    }
    input.extend_from_slice(b"\r\n");
    let step = server.poll(&mut input, now).unwrap();
    assert!(matches!(step, Step::Event(Event::Rejected(_))));
}

#[test]
fn long_lines_are_for_auth_only() {
    let now = Instant::now();
    let mut server = server(true, now);
    // 255 octets with CRLF are the limit of RFC 2449 §4.
    for (len, fits) in [(255, true), (256, false)] {
        let line = format!("USER {}\r\n", "x".repeat(len - 7));
        let _ = drive(&mut server, line.as_bytes(), now);
        let answer = sent(&mut server);
        assert_eq!(answer == "+OK send PASS\r\n", fits, "{len}: {answer}");
    }
    let line = format!("AUTH PLAIN {}\r\n", "QUFB".repeat(2000));
    let (events, _) = drive(&mut server, line.as_bytes(), now);
    assert!(events[0].starts_with("Auth PLAIN"), "{events:?}");
}

/// A client that pipelines and never reads stops being read.
#[test]
fn output_is_bounded() {
    let now = Instant::now();
    let mut server = server(true, now);
    let _ = drive(&mut server, b"USER a\r\nPASS b\r\n", now);
    let mut large = Maildrop::default();
    for number in 0..100_000 {
        large.push(1, &format!("id{number}")).unwrap();
    }
    server.open_maildrop(large).unwrap();
    let mut input = BytesMut::from(&b"UIDL\r\nLIST\r\nSTAT\r\n"[..]);
    let (mut octets, mut most) = (0, 0);
    loop {
        match server.poll(&mut input, now).unwrap() {
            Step::NeedDrain => {
                most = most.max(server.output().len());
                octets += server.output().len();
                // Nothing is parsed before it is drained.
                assert_eq!(server.poll(&mut input, now), Ok(Step::NeedDrain));
                server.output().clear();
            }
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(octets > 2_000_000);
    assert!(most < 65 * 1024 + 512, "{most}");
    assert!(sent(&mut server).ends_with(".\r\n+OK 100000 100000\r\n"));
}

/// While a client takes octets of a long answer it is not idle.
#[test]
fn reading_slowly_is_not_idling() {
    let start = Instant::now();
    let mut server = server(true, start);
    let _ = drive(&mut server, b"USER a\r\nPASS b\r\n", start);
    server.open_maildrop(maildrop()).unwrap();
    let _ = drive(&mut server, b"RETR 1\r\n", start);
    server.accept_payload().unwrap();
    server
        .send_payload(Bytes::from(vec![b'x'; 100_000]))
        .unwrap();
    let mut input = BytesMut::new();
    let mut now = start;
    for _ in 0..10 {
        assert_eq!(server.poll(&mut input, now), Ok(Step::NeedDrain));
        now += Duration::from_secs(500);
        server.output().advance(1000);
        assert_eq!(server.poll(&mut input, now), Ok(Step::NeedDrain));
        server.handle_timeout(now);
    }
    now += Duration::from_secs(600);
    server.handle_timeout(now);
    assert_eq!(server.poll(&mut input, now), Err(ServerError::Autologout));
}

/// The host's own slowness is not the client's.
#[test]
fn no_deadline_while_the_host_works() {
    let now = Instant::now();
    let mut server = server(true, now);
    let _ = drive(&mut server, b"USER a\r\nPASS b\r\n", now);
    server.open_maildrop(maildrop()).unwrap();
    let (_, step) = drive(&mut server, b"RETR 1\r\n", now);
    assert_eq!((step, server.poll_timeout()), (Step::NeedAnswer, None));
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let command = prop_oneof![
        (0..TABLE.len()).prop_map(|index| TABLE[index].0.to_owned()),
        Just("PASS secret".to_owned()),
        Just("*".to_owned()),
        Just("AAAA".to_owned()),
        "[A-Z]{3,4} [0-9 ]{0,5}",
    ];
    prop_oneof![
        4 => command.prop_map(|text| format!("{text}\r\n").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    /// Whatever comes in, however it is cut: the same events and output, no
    /// panic, and never a second answer to one line.
    #[test]
    fn noise(lines in proptest::collection::vec(line(), 0..30), cut in 1_usize..20) {
        let wire = lines.concat();
        // STLS tells what follows it from what does not, by design.
        if wire.windows(4).any(|four| four.eq_ignore_ascii_case(b"STLS")) {
            return Ok(());
        }
        let play = |cut: usize| {
            let now = Instant::now();
            let mut host = common::Host(server(true, now));
            let mut input = BytesMut::new();
            let (mut events, mut output) = (Vec::new(), Vec::new());
            let mut pieces = wire.chunks(cut);
            loop {
                match Machine::poll(&mut host, &mut input, now) {
                    Ok(Step::Event(proto_core::transcript::Shown::Event(event))) => events.push(event),
                    Ok(Step::Event(_)) => unreachable!(),
                    Ok(Step::NeedInput) => match pieces.next() {
                        Some(piece) => input.extend_from_slice(piece),
                        None => host.handle_eof(),
                    },
                    Ok(Step::NeedAnswer) => {
                        let last = events.last().unwrap();
                        let answer = match last.split(' ').next().unwrap() {
                            "Login" | "AuthData" | "Apop" => "open",
                            "Auth" => "challenge x",
                            "Retrieve" => "message .x",
                            _ => "+OK",
                        };
                        host.answer(answer).unwrap();
                    }
                    Ok(Step::NeedDrain) => {}
                    Ok(Step::Closed) => break,
                    Err(error) => { events.push(error); break }
                }
                let count = host.output().remaining();
                output.extend_from_slice(&host.output().copy_to_bytes(count));
            }
            let count = host.output().remaining();
            output.extend_from_slice(&host.output().copy_to_bytes(count));
            (events, output)
        };
        prop_assert_eq!(play(usize::MAX), play(cut));
    }
}
