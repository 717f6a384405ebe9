//! The client: transcripts, servers that lie, and both machines together.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use pop3_proto::{
    Client, ClientConfig, ClientError, ClientEvent, Command, Config, Event, Maildrop,
    MessageNumber, Opening, Reply, Server,
};
use proptest::prelude::*;
use proto_core::transcript::{self, Machine, Shown, Side, run, unescape};
use proto_core::{Misuse, Secret, Step};

struct Host(Client);

/// Tickets are numbered as the transcript's answers are.
fn show(event: ClientEvent) -> Shown {
    let number = |ticket| {
        let digits = format!("{ticket:?}");
        digits
            .trim_matches(|c: char| !c.is_ascii_digit())
            .to_owned()
    };
    Shown::Event(match event {
        ClientEvent::Greeting { timestamp, .. } => match timestamp {
            Some(timestamp) => format!("Greeting {timestamp}"),
            None => "Greeting".into(),
        },
        ClientEvent::Reply { ticket, reply } => format!("{} Reply {reply}", number(ticket)),
        ClientEvent::Capabilities {
            ticket,
            capabilities,
        } => {
            let lines: Vec<&str> = capabilities.lines().collect();
            format!("{} Capabilities {}", number(ticket), lines.join(", "))
        }
        ClientEvent::Stat {
            ticket,
            count,
            octets,
        } => format!("{} Stat {count} {octets}", number(ticket)),
        ClientEvent::Size {
            ticket,
            number: message,
            size,
        } => format!("{} Size {message} {size}", number(ticket)),
        ClientEvent::UniqueId {
            ticket,
            number: message,
            unique_id,
        } => format!("{} UniqueId {message} {unique_id}", number(ticket)),
        ClientEvent::ListingEnd { ticket } => format!("{} ListingEnd", number(ticket)),
        ClientEvent::PayloadStart { ticket, reply } => {
            format!("{} PayloadStart {reply}", number(ticket))
        }
        ClientEvent::Payload(octets) => return Shown::Payload(octets.to_vec()),
        ClientEvent::PayloadEnd { ticket } => format!("{} PayloadEnd", number(ticket)),
        ClientEvent::Challenge { ticket, data } => {
            format!("{} Challenge \"{}\"", number(ticket), data.escape_ascii())
        }
        ClientEvent::StartTls { ticket } => format!("{} StartTls", number(ticket)),
        other => format!("{other:?}"),
    })
}

impl Machine for Host {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        match self.0.poll(input, now) {
            Ok(step) => Ok(step.map(show)),
            Err(error) => Err(error.to_string()),
        }
    }
    transcript::forward!(0);
    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("tls", _) => self.0.tls_started(),
            ("cancel", _) => self.0.auth_cancel(),
            ("response", data) => self.0.auth_response(&Secret::new(unescape(data))),
            _ => self
                .0
                .send(&Command::parse(text.as_bytes()).unwrap())
                .map(drop),
        }
    }
}

fn play(script: &str) {
    run(script, Side::Client, |now| {
        Host(Client::new(ClientConfig::default(), now))
    });
}

#[test]
fn session() {
    play(include_str!("transcripts/client/session.txt"));
}

#[test]
fn shutdown() {
    play(include_str!("transcripts/client/shutdown.txt"));
}

#[test]
fn timeout() {
    play(include_str!("transcripts/client/timeout.txt"));
}

/// What a client that has sent `command` makes of the server's words.
fn after(command: Option<&str>, wire: &str) -> Result<Step<ClientEvent>, ClientError> {
    let now = Instant::now();
    let mut client = Client::new(ClientConfig::default(), now);
    let mut input = BytesMut::from("+OK\r\n");
    let _ = client.poll(&mut input, now);
    if let Some(command) = command {
        client
            .send(&Command::parse(command.as_bytes()).unwrap())
            .unwrap();
    }
    input.extend_from_slice(wire.as_bytes());
    loop {
        match client.poll(&mut input, now) {
            Ok(Step::Event(_)) => {}
            other => return other,
        }
    }
}

#[test]
fn servers_that_do_not_speak_pop3() {
    let unexpected = [
        ("STAT", "+OK\r\n"),
        ("STAT", "+OK x y\r\n"),
        ("STAT", "250 OK\r\n"),
        ("STAT", "+ AAAA\r\n"),
        ("LIST", "+OK\r\n0 12\r\n"),
        ("LIST", "+OK\r\n1\r\n"),
        ("UIDL", "+OK\r\n1 \r\n"),
        ("UIDL", "+OK\r\n1 a b\r\n"),
        ("AUTH PLAIN", "+ =AAA\r\n"),
    ];
    for (command, wire) in unexpected {
        let got = after(Some(command), wire);
        assert!(
            matches!(got, Err(ClientError::Unexpected { .. })),
            "{command} {wire:?} {got:?}"
        );
    }
    let long = format!("+OK {}\r\n", "x".repeat(20_000));
    let endless = format!("+OK\r\n{}", "X\r\n".repeat(1000));
    assert_eq!(after(Some("NOOP"), &long), Err(ClientError::LineTooLong));
    assert!(after(Some("CAPA"), &endless).is_err());
    assert_eq!(after(Some("NOOP"), "+OK\n"), Err(ClientError::BareLf));
    assert_eq!(after(None, "+OK\r\n"), Err(ClientError::Unasked));
    assert_eq!(
        after(Some("STLS"), "+OK\r\n+OK injected\r\n"),
        Err(ClientError::OctetsBehindStls)
    );
    let now = Instant::now();
    let mut client = Client::new(ClientConfig::default(), now);
    let got = client.poll(&mut BytesMut::from("-ERR [SYS/TEMP] no\r\n"), now);
    assert!(matches!(got, Err(ClientError::Refused(_))));
}

#[test]
fn eof_while_an_answer_is_due() {
    let now = Instant::now();
    for (command, wire) in [
        ("QUIT", ""),
        ("RETR 1", "+OK\r\nhalf"),
        ("LIST", "+OK\r\n1 2\r\n"),
    ] {
        let mut client = Client::new(ClientConfig::default(), now);
        let mut input = BytesMut::from("+OK\r\n");
        let _ = client.poll(&mut input, now);
        client
            .send(&Command::parse(command.as_bytes()).unwrap())
            .unwrap();
        input.extend_from_slice(wire.as_bytes());
        client.handle_eof();
        let end = loop {
            match client.poll(&mut input, now) {
                Ok(Step::Event(_)) => {}
                other => break other,
            }
        };
        assert_eq!(end, Err(ClientError::Eof), "{command}");
    }
}

#[test]
fn what_cannot_be_sent() {
    let now = Instant::now();
    let mut client = Client::new(ClientConfig::default(), now);
    assert!(client.send(&Command::Noop).is_err(), "before the greeting");
    let _ = client.poll(&mut BytesMut::from("+OK\r\n"), now);
    for bad in [
        Command::User("a\r\nDELE 1".into()),
        Command::User(String::new()),
        Command::Pass(Secret::new(*b"a\r\nDELE 1")),
        Command::Pass(Secret::new([b'x'; 250])),
        Command::Apop {
            name: "a b".into(),
            digest: [0; 16],
        },
    ] {
        assert!(
            matches!(client.send(&bad), Err(Misuse::Argument { .. })),
            "{bad:?}"
        );
    }
    assert!(client.output().is_empty());
    client.send(&Command::Stls).unwrap();
    assert!(client.send(&Command::Capa).is_err(), "behind STLS");
}

proptest! {
    /// A client and a server, the octets between them cut at random: the
    /// client fetches what the server holds and deletes what it fetched.
    #[test]
    fn both_machines(
        mails in proptest::collection::vec("([A-Z.]{0,3}[ -~]{0,20}\r\n){0,6}", 0..8),
        cuts in proptest::collection::vec(1_usize..200, 1..20),
    ) {
        let now = Instant::now();
        let opening = Opening { tls: true, timestamp: None };
        let mut config = Config::default();
        config.limits.output = 100;
        let mut server = Server::open(Arc::new(config), opening, now);
        let mut client = Client::new(ClientConfig::default(), now);
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let mut cuts = cuts.iter().copied().cycle();
        let mut got: Vec<Vec<u8>> = Vec::new();
        let mut removed = None;
        let mut turns = 0;
        loop {
            turns += 1;
            prop_assert!(turns < 1_000_000);
            match server.poll(&mut to_server, now).unwrap() {
                Step::Event(Event::Login(_)) => {
                    let mut maildrop = Maildrop::default();
                    for (index, mail) in mails.iter().enumerate() {
                        maildrop.push(mail.len() as u64, &format!("id.{index}")).unwrap();
                    }
                    server.open_maildrop(maildrop).unwrap();
                }
                Step::Event(Event::Retrieve(retrieve)) => {
                    server.accept_payload().unwrap();
                    for piece in mails[retrieve.number.index()].as_bytes().chunks(7) {
                        server.send_payload(Bytes::copy_from_slice(piece)).unwrap();
                    }
                    server.end_payload().unwrap();
                }
                Step::Event(Event::Update(update)) => {
                    removed = Some(update.deleted.len());
                    server.reply(Reply::ok("bye")).unwrap();
                }
                Step::Event(other) => panic!("{other:?}"),
                Step::NeedInput | Step::NeedDrain | Step::NeedAnswer | Step::Closed => {}
            }
            let count = server.output().remaining().min(cuts.next().unwrap());
            to_client.extend_from_slice(&server.output().copy_to_bytes(count));
            match client.poll(&mut to_client, now).unwrap() {
                Step::Event(ClientEvent::Greeting { .. }) => {
                    client.send(&Command::User("a".into())).unwrap();
                    client.send(&Command::Pass(Secret::new(*b"b"))).unwrap();
                    client.send(&Command::Uidl(None)).unwrap();
                    client.send(&Command::Stat).unwrap();
                }
                Step::Event(ClientEvent::UniqueId { number, unique_id, .. }) => {
                    prop_assert_eq!(unique_id, format!("id.{}", number.index()));
                }
                Step::Event(ClientEvent::Stat { count, .. }) => {
                    for number in (1..=count).map(|number| MessageNumber::new(number).unwrap()) {
                        client.send(&Command::Retr(number)).unwrap();
                        client.send(&Command::Dele(number)).unwrap();
                    }
                    client.send(&Command::Quit).unwrap();
                }
                Step::Event(ClientEvent::PayloadStart { .. }) => got.push(Vec::new()),
                Step::Event(ClientEvent::Payload(octets)) => {
                    got.last_mut().unwrap().extend_from_slice(&octets);
                }
                Step::Event(ClientEvent::Reply { reply, .. }) => prop_assert!(reply.is_ok()),
                Step::Event(_) | Step::NeedInput => {}
                Step::Closed => break,
                other => panic!("{other:?}"),
            }
            let count = client.output().remaining().min(cuts.next().unwrap());
            to_server.extend_from_slice(&client.output().copy_to_bytes(count));
        }
        let wanted: Vec<Vec<u8>> = mails.iter().map(|mail| mail.clone().into_bytes()).collect();
        prop_assert_eq!(got, wanted);
        prop_assert_eq!(removed, Some(mails.len()));
    }

    #[test]
    fn noise_from_a_server(octets in proptest::collection::vec(any::<u8>(), 0..200), command in 0_usize..8) {
        let commands = ["CAPA", "STAT", "LIST", "UIDL 1", "RETR 1", "AUTH PLAIN", "STLS", "QUIT"];
        let _ = after(Some(commands[command]), &String::from_utf8_lossy(&octets));
    }
}
