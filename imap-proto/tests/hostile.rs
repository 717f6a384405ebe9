//! What peers do that follow no RFC, or follow it to its last corner.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    AppendData, AppendMessage, AppendOptions, Client, ClientConfig, ClientEvent, CommandBody,
    Config, Error, Event, Extension, Mailbox, Server, Step, Untagged,
};
use proto_core::Secret;

/// A client behind this greeting.
struct Peer {
    client: Client,
    input: BytesMut,
    now: Instant,
}

impl Peer {
    fn new(greeting: &str) -> Self {
        let now = Instant::now();
        let config = Arc::new(ClientConfig::default());
        let mut peer = Self {
            client: Client::new(config, now),
            input: BytesMut::new(),
            now,
        };
        let events = peer.hears(greeting);
        assert!(matches!(events[..], [ClientEvent::Greeting(_)]));
        peer
    }

    fn hears(&mut self, text: &str) -> Vec<ClientEvent> {
        self.input.extend_from_slice(text.as_bytes());
        let mut events = Vec::new();
        while let Step::Event(event) = self.client.poll(&mut self.input, self.now).unwrap() {
            events.push(event);
        }
        events
    }

    fn says(&mut self) -> String {
        let output = self.client.output();
        let octets = output.copy_to_bytes(output.remaining());
        String::from_utf8(octets.to_vec()).unwrap()
    }
}

fn message(size: u64) -> AppendMessage {
    AppendMessage {
        options: AppendOptions::default(),
        data: AppendData::Literal {
            size,
            binary: false,
        },
    }
}

/// A server refuses the first message while its octets are on their way: what
/// was announced is sent, the second message is not, and the next command is.
#[test]
fn refused_within_a_message() {
    for (literal, wait) in [("", "{5}\r\n"), ("LITERAL+ ", "{5+}\r\n")] {
        let mut peer = Peer::new(&format!(
            "* OK [CAPABILITY IMAP4rev1 {literal}MULTIAPPEND] hi\r\n"
        ));
        let messages = vec![message(5), message(3)];
        let ticket = peer.client.append_all(Mailbox::inbox(), messages).unwrap();
        assert_eq!(peer.says(), format!("A1 APPEND INBOX {wait}"));
        let go = if literal.is_empty() { "+ go\r\n" } else { "" };
        let events = peer.hears(go);
        assert_eq!(events, [ClientEvent::PayloadWanted(ticket)]);
        peer.client.send_payload(Bytes::from("01")).unwrap();
        let events = peer.hears("A1 NO full\r\n");
        assert!(
            events.iter().any(
                |event| matches!(event, ClientEvent::Reply { ticket: of, .. } if *of == ticket)
            )
        );
        assert_eq!(peer.client.payload_owed(), 3);
        peer.client.send_payload(Bytes::from("234")).unwrap();
        assert_eq!(peer.client.payload_owed(), 0);
        peer.client.command(CommandBody::Noop).unwrap();
        assert_eq!(peer.says(), "01234\r\nA2 NOOP\r\n");
    }
}

/// What was enabled ends with the login, and so does UTF-8 in names.
#[test]
fn unauthenticate_disables() {
    let mut peer = Peer::new("* PREAUTH [CAPABILITY IMAP4rev1 ENABLE UNAUTHENTICATE] hi\r\n");
    peer.hears("* ENABLED UTF8=ACCEPT\r\n");
    let name = || CommandBody::Delete(Mailbox::new("Entwürfe").unwrap());
    peer.client.command(name()).unwrap();
    assert_eq!(peer.says(), "A1 DELETE \"Entwürfe\"\r\n");
    peer.hears("A1 OK gone\r\n");
    peer.client.command(CommandBody::Unauthenticate).unwrap();
    peer.client.command(name()).unwrap();
    assert_eq!(peer.says(), "A2 UNAUTHENTICATE\r\n");
    peer.hears("A2 OK bye\r\n");
    // What the server can do for a stranger is asked first.
    assert_eq!(peer.says(), "A4 CAPABILITY\r\nA3 DELETE Entw&APw-rfe\r\n");
}

/// Who sits between does not choose how names are written under TLS.
#[test]
fn enabled_before_tls_is_forgotten() {
    let mut peer = Peer::new("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    peer.client.command(CommandBody::StartTls).unwrap();
    peer.hears("* ENABLED UTF8=ACCEPT\r\nA1 OK go\r\n");
    peer.client.tls_started().unwrap();
    peer.hears("* CAPABILITY IMAP4rev1\r\nA2 OK done\r\n");
    peer.says();
    let name = Mailbox::new("Entwürfe").unwrap();
    peer.client.command(CommandBody::Delete(name)).unwrap();
    assert_eq!(peer.says(), "A3 DELETE Entw&APw-rfe\r\n");
}

/// Who sits between refuses TLS: a password that waits for it stays here.
#[test]
fn what_waits_for_tls_is_not_sent_without() {
    const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] hi\r\n";
    for refusal in ["A1 NO no\r\n", "A1 BAD unknown\r\n"] {
        let mut peer = Peer::new(GREETING);
        peer.client.command(CommandBody::StartTls).unwrap();
        let password = Some(Secret::new(b"\0u\0p"));
        peer.client.authenticate("PLAIN", password).unwrap();
        assert_eq!(peer.says(), "A1 STARTTLS\r\n");
        let mut input = BytesMut::from(refusal);
        let over = peer.client.poll(&mut input, peer.now);
        assert_eq!(over, Err(Error::StartTlsRefused));
        assert_eq!(peer.says(), "");
        // With nothing behind it the host hears what was said, and decides.
        let mut peer = Peer::new(GREETING);
        peer.client.command(CommandBody::StartTls).unwrap();
        assert_eq!(peer.hears(refusal).len(), 1);
        peer.client.command(CommandBody::Noop).unwrap();
        assert!(peer.says().ends_with("A2 NOOP\r\n"));
        // Nor does a farewell wait for TLS.
        let mut peer = Peer::new(GREETING);
        peer.client.command(CommandBody::StartTls).unwrap();
        peer.client.shutdown();
        assert_eq!(peer.hears(refusal).len(), 1);
        assert!(peer.says().ends_with("A2 LOGOUT\r\n"));
    }
}

/// The line end of a literal that ends a response is the literal's.
#[test]
fn a_literal_at_the_end_keeps_its_line_end() {
    let mut peer = Peer::new("* OK [CAPABILITY IMAP4rev1 URLAUTH] hi\r\n");
    let events = peer.hears("* URLFETCH imap://x/y {6}\r\nabcd\r\n\r\n");
    let [ClientEvent::Untagged(Untagged::UrlFetch(_))] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(format!("{events:?}").contains("abcd\\r\\n"), "{events:?}");
}

fn server(extensions: &[Extension]) -> (Server, Instant) {
    let now = Instant::now();
    let mut config = Config {
        login_without_tls: true,
        ..Config::default()
    };
    extensions
        .iter()
        .for_each(|one| config.extensions.insert(*one));
    let mut server = Server::new(Arc::new(config), now);
    let mut input = BytesMut::from("a LOGIN joe secret\r\n");
    let step = server.poll(&mut input, now).unwrap();
    assert!(matches!(step, Step::Event(Event::Command(_))));
    server.ok("in").unwrap();
    let output = server.output();
    output.advance(output.remaining());
    (server, now)
}

fn said(server: &mut Server) -> String {
    let output = server.output();
    let octets = output.copy_to_bytes(output.remaining());
    String::from_utf8(octets.to_vec()).unwrap()
}

/// Behind an empty message too, silence ends the connection.
#[test]
fn silence_behind_an_empty_message() {
    let (mut server, now) = server(&[]);
    let mut input = BytesMut::from("b APPEND INBOX {0+}\r\n");
    let step = server.poll(&mut input, now).unwrap();
    assert!(matches!(step, Step::Event(Event::PayloadStart(_))));
    server.accept_payload().unwrap();
    assert_eq!(server.poll(&mut input, now).unwrap(), Step::NeedInput);
    let limit = server.poll_timeout().unwrap();
    server.handle_timeout(limit + Duration::from_secs(1));
    assert!(server.poll(&mut input, limit).is_err());
}

/// RFC 6203 §4, §5: without FUZZY there is no relevancy.
#[test]
fn relevancy_needs_fuzzy() {
    let (mut server, now) = server(&[Extension::SearchFuzzy, Extension::Sort, Extension::ESort]);
    let mut input = BytesMut::from("s SELECT INBOX\r\n");
    let _ = server.poll(&mut input, now).unwrap();
    server.ok("selected").unwrap();
    for (command, right) in [
        ("SEARCH RETURN (RELEVANCY ALL) SUBJECT x", false),
        (
            "SEARCH RETURN (RELEVANCY ALL) OR SEEN FUZZY SUBJECT x",
            true,
        ),
        ("SORT (RELEVANCY) UTF-8 (SUBJECT x NOT SEEN)", false),
        ("SORT (RELEVANCY) UTF-8 (SUBJECT x NOT FUZZY BODY y)", true),
        ("SORT RETURN (RELEVANCY) (DATE) UTF-8 SUBJECT x", false),
    ] {
        said(&mut server);
        let mut input = BytesMut::from(format!("c {command}\r\n").as_bytes());
        let step = server.poll(&mut input, now).unwrap();
        let taken = matches!(step, Step::Event(Event::Command(_)));
        assert_eq!(taken, right, "{command}");
        if taken {
            server.ok("done").unwrap();
        } else {
            assert!(said(&mut server).starts_with("c BAD "), "{command}");
        }
    }
}

/// RFC 5464 §4.1: who wants to hear of changed metadata enables it.
#[test]
fn enable_metadata() {
    for (offered, wanted, enabled) in [
        (Extension::Metadata, "METADATA", "* ENABLED METADATA\r\n"),
        (
            Extension::MetadataServer,
            "METADATA METADATA-SERVER",
            "* ENABLED METADATA-SERVER\r\n",
        ),
        (Extension::Idle, "METADATA", "* ENABLED\r\n"),
    ] {
        let (mut server, now) = server(&[offered]);
        let mut input = BytesMut::from(format!("b ENABLE {wanted}\r\n").as_bytes());
        assert_eq!(server.poll(&mut input, now).unwrap(), Step::NeedInput);
        assert_eq!(
            said(&mut server),
            format!("{enabled}b OK ENABLE completed\r\n")
        );
        assert_eq!(server.is_enabled(offered), offered != Extension::Idle);
    }
}

/// Commands that come too fast wait with the peer, not in memory: a host that
/// reads only where input is wanted holds no more than a command.
#[test]
fn pace_bounds_what_waits() {
    let now = Instant::now();
    let mut config = Config {
        login_without_tls: true,
        ..Config::default()
    };
    config.limits.command_rate = 1;
    config.limits.command_burst = 1;
    let most = config.limits.command;
    let mut server = Server::new(Arc::new(config), now);
    let mut input = BytesMut::new();
    let noops = "a NOOP\r\n".repeat(500);
    for _ in 0..1000 {
        match server.poll(&mut input, now).unwrap() {
            Step::Event(_) => server.ok("done").unwrap(),
            Step::NeedInput => input.extend_from_slice(noops.as_bytes()),
            Step::NeedDrain => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(input.len() <= most + noops.len(), "{}", input.len());
    let next = server.poll_timeout().unwrap();
    server.handle_timeout(next);
    assert!(matches!(
        server.poll(&mut input, next).unwrap(),
        Step::Event(Event::Command(_))
    ));
}

/// A message of several that the host refuses: the rest of the command is no
/// command, whatever it looks like.
#[test]
fn refused_among_several() {
    let (mut server, now) = server(&[Extension::MultiAppend, Extension::Catenate]);
    let mut input = BytesMut::from(
        "b APPEND INBOX {3+}\r\nabc CATENATE (TEXT {11+}\r\nx NOOP\r\n{9} URL \"/\" TEXT {5+}\r\n\
         y {9} (\\Seen) {4+}\r\n\r\n\r\n\r\nz NOOP\r\n",
    );
    let (mut started, mut commands) = (0, Vec::new());
    loop {
        match server.poll(&mut input, now).unwrap() {
            Step::Event(Event::PayloadStart(_)) if started == 1 => server.no("full").unwrap(),
            Step::Event(Event::PayloadStart(_)) => {
                started += 1;
                server.accept_payload().unwrap();
            }
            Step::Event(Event::Command(command)) => {
                commands.push(command.tag.as_str().to_owned());
                server.ok("done").unwrap();
            }
            Step::Event(Event::Payload(_) | Event::PayloadEnd { last: false }) => {}
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(commands, ["z"]);
    assert_eq!(said(&mut server), "b NO full\r\nz OK done\r\n");
    assert!(input.is_empty());
}
