//! The transcripts of `tests/transcripts/server`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::sync::Arc;

use common::Host;
use pop3_proto::{Config, Expire, Opening, SaslMechanism, Server};
use proto_core::transcript::{Side, run};

fn config() -> Config {
    Config {
        mechanisms: vec![
            SaslMechanism {
                name: "PLAIN".into(),
                plaintext: true,
            },
            SaslMechanism {
                name: "SCRAM-SHA-256".into(),
                plaintext: false,
            },
        ],
        ..Config::default()
    }
}

fn tls() -> Opening {
    Opening {
        tls: true,
        timestamp: None,
    }
}

fn play(script: &str, config: Config, opening: Opening) {
    let config = Arc::new(config);
    run(script, Side::Server, |now| {
        Host(Server::open(config.clone(), opening.clone(), now))
    });
}

#[test]
fn rfc_1939() {
    let mut config = config();
    config.apop = true;
    let opening = Opening {
        tls: false,
        timestamp: Some("<1896.697170952@dbc.mtview.ca.us>".into()),
    };
    play(
        include_str!("transcripts/server/rfc1939.txt"),
        config,
        opening,
    );
}

#[test]
fn stls() {
    let mut config = config();
    config.expire = Some(Expire::Never);
    config.login_delay = Some(60);
    config.implementation = Some("Posthaste".into());
    let script = include_str!("transcripts/server/stls.txt");
    play(script, config, Opening::default());
}

#[test]
fn auth() {
    play(include_str!("transcripts/server/auth.txt"), config(), tls());
}

#[test]
fn pipelining() {
    let script = include_str!("transcripts/server/pipelining.txt");
    play(script, config(), tls());
    // The same when the output must be drained after each answer.
    let mut tight = config();
    tight.limits.output = 1;
    play(script, tight, tls());
}

#[test]
fn utf8() {
    play(include_str!("transcripts/server/utf8.txt"), config(), tls());
}

#[test]
fn faults() {
    play(
        include_str!("transcripts/server/faults.txt"),
        config(),
        tls(),
    );
}

#[test]
fn autologout() {
    play(
        include_str!("transcripts/server/autologout.txt"),
        config(),
        tls(),
    );
}

#[test]
fn authorization_timeout() {
    let script = include_str!("transcripts/server/authorization_timeout.txt");
    play(script, config(), tls());
}

#[test]
fn failed_logins() {
    play(
        include_str!("transcripts/server/failed_logins.txt"),
        config(),
        tls(),
    );
}

#[test]
fn eof() {
    play(include_str!("transcripts/server/eof.txt"), config(), tls());
}

#[test]
fn shutdown() {
    play(
        include_str!("transcripts/server/shutdown.txt"),
        config(),
        tls(),
    );
}
