//! Transcripts of the server machine, whole, octet by octet, and cut at random.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    unreachable_pub
)]

mod common;

use common::ServerMachine;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use imap_proto::{Capability, Config, Error, Event, Extension, Server, Step};
use proto_core::transcript::{Side, run};

fn config() -> Config {
    let mut config = Config {
        login_without_tls: true,
        mechanisms: vec!["PLAIN".into()],
        mechanisms_without_tls: vec!["PLAIN".into()],
        starttls: true,
        ..Config::default()
    };
    // A short list keeps the scripts readable; IMAP4rev2 has the rest.
    config.extensions = [
        Extension::Imap4Rev1,
        Extension::Imap4Rev2,
        Extension::LiteralPlus,
        Extension::Id,
        Extension::MultiAppend,
        Extension::CondStore,
    ]
    .into_iter()
    .collect();
    config.limits.message = 1000;
    config.limits.line = 200;
    config.limits.command = 400;
    config
}

fn play(script: &str, config: &Config) {
    run(script, Side::Server, |now| {
        ServerMachine::new(config.clone(), now)
    });
}

#[test]
fn append() {
    play(include_str!("transcripts/server/append.txt"), &config());
}

#[test]
fn append_literal_minus() {
    let mut config = config();
    config.limits.message = 100_000;
    config.extensions.remove(Extension::LiteralPlus);
    config.extensions.insert(Extension::LiteralMinus);
    play(
        include_str!("transcripts/server/literal_minus.txt"),
        &config,
    );
}

#[test]
fn framing() {
    play(include_str!("transcripts/server/framing.txt"), &config());
}

#[test]
fn states() {
    play(include_str!("transcripts/server/states.txt"), &config());
}

#[test]
fn authenticate() {
    play(
        include_str!("transcripts/server/authenticate.txt"),
        &config(),
    );
}

#[test]
fn starttls() {
    let mut config = config();
    config.login_without_tls = false;
    config.mechanisms_without_tls.clear();
    play(include_str!("transcripts/server/starttls.txt"), &config);
}

#[test]
fn starttls_injection() {
    let now = std::time::Instant::now();
    let config = Arc::new(config());
    // Behind STARTTLS in the same packet.
    let mut server = Server::new(config.clone(), now);
    let mut input = BytesMut::from("a STARTTLS\r\nb NOOP\r\n");
    let injected = Err(Error::InjectedBehindStartTls);
    assert_eq!(server.poll(&mut input, now), injected);
    assert_eq!(server.poll(&mut input, now), Ok(Step::Closed));
    // Behind its OK, before the handshake.
    let mut server = Server::new(config, now);
    let mut input = BytesMut::from("a STARTTLS\r\n");
    assert_eq!(
        server.poll(&mut input, now),
        Ok(Step::Event(Event::StartTls))
    );
    server.ok("go").unwrap();
    input.extend_from_slice(b"b NOOP\r\n");
    assert_eq!(server.poll(&mut input, now), injected);
}

#[test]
fn idle() {
    play(include_str!("transcripts/server/idle.txt"), &config());
}

#[test]
fn fetch_streams() {
    play(
        include_str!("transcripts/server/fetch_stream.txt"),
        &config(),
    );
}

#[test]
fn timeouts() {
    play(
        include_str!("transcripts/server/timeout_login.txt"),
        &config(),
    );
    play(
        include_str!("transcripts/server/timeout_payload.txt"),
        &config(),
    );
}

fn appending() -> Config {
    let mut config = config();
    config.starttls = false;
    config.mechanisms_without_tls.clear();
    config.extensions = [
        Extension::Imap4Rev1,
        Extension::Imap4Rev2,
        Extension::LiteralPlus,
        Extension::MultiAppend,
        Extension::Catenate,
        Extension::Replace,
    ]
    .into_iter()
    .collect();
    config
}

#[test]
fn catenate() {
    play(
        include_str!("transcripts/server/catenate.txt"),
        &appending(),
    );
}

/// RFC 5257 §4.7.
#[test]
fn annotate() {
    let mut config = appending();
    config.extensions.remove(Extension::Catenate);
    config.extensions.remove(Extension::Replace);
    config.extensions.insert(Extension::Annotate);
    play(include_str!("transcripts/server/annotate.txt"), &config);
}

#[test]
fn replace() {
    play(include_str!("transcripts/server/replace.txt"), &appending());
}

#[test]
fn extended() {
    let mut config = config();
    config.starttls = false;
    config.mechanisms_without_tls.clear();
    config.extensions = [
        Extension::Imap4Rev1,
        Extension::Imap4Rev2,
        Extension::UidOnly,
        Extension::UrlAuth,
        Extension::Notify,
        Extension::MultiSearch,
        Extension::Language,
    ]
    .into_iter()
    .collect();
    let valued = [
        (Extension::MessageLimit, "500"),
        (Extension::Rights, "texk"),
    ];
    let valued = valued.map(|(extension, value)| Capability::with_value(extension, value).unwrap());
    config.capabilities = valued.to_vec();
    play(include_str!("transcripts/server/extended.txt"), &config);
}

/// A client that asks too fast is read slower.
#[test]
fn command_rate() {
    let mut config = config();
    config.limits.command_rate = 2;
    config.limits.command_burst = 3;
    let mut now = std::time::Instant::now();
    let mut server = Server::new(Arc::new(config), now);
    let mut input = BytesMut::from("a NOOP\r\n".repeat(8).as_str());
    let mut answered = |server: &mut Server, now| {
        let mut count = 0;
        while let Ok(Step::Event(Event::Command(_))) = server.poll(&mut input, now) {
            server.ok("done").unwrap();
            count += 1;
        }
        count
    };
    assert_eq!(answered(&mut server, now), 3);
    for _ in 0..2 {
        let next = server.poll_timeout().unwrap();
        assert_eq!(next, now + std::time::Duration::from_millis(500));
        now = next;
        server.handle_timeout(now);
        assert_eq!(answered(&mut server, now), 1);
    }
    server.handle_eof();
    assert_eq!(answered(&mut server, now), 3);
}

/// Whatever is waited for, silence ends it.
#[test]
fn every_wait_has_an_end() {
    let mut config = config();
    config.starttls = false;
    config.mechanisms = vec!["PLAIN".into()];
    let config = Arc::new(config);
    let login = "a LOGIN u p\r\n";
    for (said, error) in [
        (String::new(), "authentication"),
        ("a NOOP\r\n".into(), "authentication"),
        ("a LOGIN {3}\r\nu".into(), "authentication"),
        ("a AUTHENTICATE PLAIN\r\n".into(), "authentication"),
        (login.into(), "idle"),
        (format!("{login}b NOO"), "idle"),
        (format!("{login}b SELECT {{3}}\r\nx"), "idle"),
        (format!("{login}b IDLE\r\n"), "idle"),
        (format!("{login}b APPEND x {{3}}\r\na"), "payload"),
        (format!("{login}b APPEND x {{1+}}\r\na {{3"), "payload"),
    ] {
        let now = std::time::Instant::now();
        let mut server = Server::new(config.clone(), now);
        let mut input = BytesMut::from(said.as_bytes());
        loop {
            match server.poll(&mut input, now) {
                Ok(Step::Event(Event::Command(_))) => server.ok("done").unwrap(),
                Ok(Step::Event(Event::Authenticate { .. })) => server.challenge(b"").unwrap(),
                Ok(Step::Event(Event::PayloadStart(_))) => server.accept_payload().unwrap(),
                Ok(Step::Event(_)) => {}
                Ok(Step::NeedInput) => break,
                other => panic!("{other:?}"),
            }
        }
        let end = server.poll_timeout().expect("a deadline");
        server.handle_timeout(end);
        let timed_out = Err(Error::TimedOut(error));
        assert_eq!(server.poll(&mut input, end), timed_out, "{said:?}");
        let count = server.output().remaining();
        let output = server.output().copy_to_bytes(count);
        let farewell = output.split(|octet| *octet == b'\n').rev().nth(1).unwrap();
        assert!(
            farewell.starts_with(b"* BYE "),
            "{}",
            farewell.escape_ascii()
        );
    }
    // A client that does not read.
    let now = std::time::Instant::now();
    let mut small = (*config).clone();
    small.limits.output = 10;
    let mut server = Server::new(Arc::new(small), now);
    let mut input = BytesMut::new();
    assert_eq!(server.poll(&mut input, now), Ok(Step::NeedDrain));
    let end = now + config.limits.idle_time;
    server.handle_timeout(end);
    server.handle_timeout(end);
    assert!(server.poll(&mut input, end).is_err());
}

#[test]
fn too_many_errors() {
    let mut config = config();
    config.limits.errors = 3;
    play(include_str!("transcripts/server/errors.txt"), &config);
}

/// However it is cut, an endless word is no tag.
#[test]
fn endless_tags() {
    let config = Arc::new(config());
    let now = std::time::Instant::now();
    let says = |cut: usize| {
        let mut server = Server::new(config.clone(), now);
        let mut input = BytesMut::new();
        let wire = [b"x".repeat(500), b" NOOP\r\na NOOP\nb\r\n".to_vec()].concat();
        for piece in wire.chunks(cut) {
            input.extend_from_slice(piece);
            while let Ok(Step::Event(event)) = server.poll(&mut input, now) {
                assert!(matches!(event, Event::Rejected(_)), "{event:?}");
            }
        }
        let count = server.output().remaining();
        String::from_utf8(server.output().copy_to_bytes(count).to_vec()).unwrap()
    };
    let whole = says(1000);
    assert!(
        whole.contains("\r\n* BAD line too long\r\na BAD line ends without CR\r\nb BAD"),
        "{whole}"
    );
    for cut in 1..300 {
        assert_eq!(says(cut), whole, "in pieces of {cut}");
    }
}
