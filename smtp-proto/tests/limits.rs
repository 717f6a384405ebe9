//! What one client may use up.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use smtp_proto::{Config, Event, Fault, Reply, Server, Step};

fn output(server: &mut Server) -> String {
    let output = server.output();
    let octets = output.copy_to_bytes(output.len());
    String::from_utf8(octets.to_vec()).unwrap()
}

/// Says yes to everything; gives the faults and the octets taken.
fn converse(server: &mut Server, wire: &[u8], piece: usize) -> (Vec<Fault>, usize) {
    let mut faults = Vec::new();
    let mut taken = 0;
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(piece);
    loop {
        match server.poll(&mut input, Instant::now()).unwrap() {
            Step::Event(Event::PayloadStart(_)) => server.accept_payload().unwrap(),
            Step::Event(Event::Payload(octets)) => taken += octets.len(),
            Step::Event(Event::Rejected(rejected)) => faults.push(rejected.fault),
            Step::Event(event) if event.wants_answer() => {
                server.reply(Reply::new(250, [2, 0, 0], "Ok")).unwrap();
            }
            Step::Event(_) => {}
            Step::NeedInput => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => return (faults, taken),
            },
            other => panic!("{other:?}"),
        }
    }
}

/// An endless message costs the host no more than the limit, and gets its
/// refusal at its end; the connection goes on.
#[test]
fn message_size() {
    let mut config = Config::new("foo.com");
    config.limits.message_size = 1000;
    let config = Arc::new(config);
    let body = "0123456789abcde\r\n".repeat(100);
    for piece in [1, 7, 1000, 100_000] {
        for by_bdat in [false, true] {
            let mut server = Server::new(Arc::clone(&config), Instant::now());
            let mut wire = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n".to_vec();
            match by_bdat {
                false => wire.extend(format!("DATA\r\n{body}.\r\n").bytes()),
                true => wire.extend(format!("BDAT {} LAST\r\n{body}", body.len()).bytes()),
            }
            wire.extend(b"NOOP\r\n");
            let (faults, taken) = converse(&mut server, &wire, piece);
            assert_eq!(faults, [Fault::MessageTooLarge]);
            assert!(taken <= 1000);
            let all = output(&mut server);
            assert!(
                all.ends_with("552 5.3.4 Error: message file too big\r\n250 2.0.0 Ok\r\n"),
                "{all}"
            );
        }
    }
}

/// An idle connection's own memory: the machine, a deadline, a buffer that
/// held a reply.
#[test]
fn idle_connections_are_small() {
    assert!(size_of::<Server>() <= 512);
    assert!(size_of::<Event>() <= 96);
}

/// A client that sends more recipients than are taken is told so, and no more.
#[test]
fn recipients() {
    let mut config = Config::new("foo.com");
    config.limits.recipients = 10;
    let mut server = Server::new(Arc::new(config), Instant::now());
    let mut wire = b"EHLO a\r\nMAIL FROM:<>\r\n".to_vec();
    wire.extend(b"RCPT TO:<a@b>\r\n".repeat(100));
    wire.extend(b"DATA\r\nx\r\n.\r\n");
    let (faults, taken) = converse(&mut server, &wire, 1000);
    assert_eq!(faults, [Fault::TooManyRecipients; 90]);
    assert_eq!(taken, 3);
    assert!(output(&mut server).ends_with("\r\n250 2.0.0 Ok\r\n"));
}
