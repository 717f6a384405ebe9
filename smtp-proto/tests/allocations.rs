//! What a command and an idle connection cost the heap.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use bytes::{Buf, BytesMut};
use smtp_proto::{
    Address, Client, ClientConfig, ClientEvent, Command, Config, Event, Lenient, Mail, Rcpt, Reply,
    Server, Step,
};

/// Allocations that a line's command takes.
fn allocations(line: &str) -> u64 {
    let mut command = None;
    let info = measure(|| {
        command = Some(Command::parse(line.as_bytes(), &Lenient::default()).unwrap());
    });
    assert!(command.is_some());
    info.count_total
}

/// Nothing but the addresses that the host gets to keep.
#[test]
fn commands_allocate_their_addresses_only() {
    for (line, count) in [
        ("EHLO client.example.org", 0),
        ("EHLO a-client-of-some-length.example.org", 1),
        ("MAIL FROM:<>", 0),
        ("MAIL FROM:<> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS", 0),
        ("MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME", 1),
        ("MAIL FROM:<@a.example:\"a b\"@[192.0.2.1]> REQUIRETLS", 1),
        ("RCPT TO:<Postmaster>", 0),
        ("RCPT TO:<b@example.org>", 1),
        ("RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE,DELAY", 1),
        // The original recipient is an address of its own.
        (
            "RCPT TO:<b@example.org> NOTIFY=NEVER ORCPT=rfc822;b@example.org",
            2,
        ),
        ("DATA", 0),
        ("BDAT 1000 LAST", 0),
        ("RSET", 0),
        ("NOOP", 0),
        ("QUIT", 0),
    ] {
        assert_eq!(allocations(line), count, "{line}");
    }
}

/// Says yes to everything, and reads all replies.
fn serve(server: &mut Server, input: &mut BytesMut, now: Instant) {
    loop {
        match server.poll(input, now).unwrap() {
            Step::Event(Event::PayloadStart(_)) => server.accept_payload().unwrap(),
            Step::Event(event) if event.wants_answer() => {
                server.reply(Reply::new(250, [2, 0, 0], "Ok")).unwrap();
            }
            Step::Event(_) => {}
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    let output = server.output();
    output.advance(output.remaining());
}

/// A connection that has greeted, has sent a message, and waits: less than
/// 1 KiB in the machine, heap and all.
#[test]
fn an_idle_server_is_small() {
    let config = Arc::new(Config::new("mx.example.org"));
    let now = Instant::now();
    for wire in [
        "EHLO client.example.org\r\n",
        "EHLO client.example.org\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n",
    ] {
        let mut input = BytesMut::from(wire);
        let mut server = None;
        let info = measure(|| {
            let mut fresh = Server::new(Arc::clone(&config), now);
            serve(&mut fresh, &mut input, now);
            server = Some(fresh);
        });
        let heap = usize::try_from(info.bytes_current).unwrap();
        let all = size_of::<Server>() + heap;
        assert!(all < 1024, "{} + {heap} octets", size_of::<Server>());
        assert!(server.unwrap().poll_timeout().is_some());
    }
}

/// What a server says to one message for thousands is held once.
#[test]
fn a_long_reply_to_many_recipients_is_held_once() {
    const COUNT: usize = 2000;
    let config = Arc::new(ClientConfig::new("client.example").unwrap());
    let now = Instant::now();
    let address: Address = "a@example.org".parse().unwrap();
    let long = "x".repeat(4000);
    for (accepted, mark) in [("250 ok\r\n", "550"), ("250 ok\r\n", "421")] {
        let mut input = BytesMut::from("220 x\r\n250-x\r\n250 PIPELINING\r\n");
        input.extend_from_slice(accepted.repeat(COUNT + 1).as_bytes());
        input.extend_from_slice(b"354 go\r\n");
        for _ in 0..15 {
            input.extend_from_slice(format!("{mark}-{long}\r\n").as_bytes());
        }
        let end = format!("{mark} {long}\r\n");
        let mut fates = Vec::new();
        let info = measure(|| {
            let mut client = Client::new(Arc::clone(&config), now);
            loop {
                match client.poll(&mut input, now) {
                    Ok(Step::Event(ClientEvent::Ready)) => {
                        let recipients = vec![Rcpt::new(address.clone()); COUNT];
                        client
                            .begin(Mail::new(address.clone()), recipients)
                            .unwrap();
                    }
                    Ok(Step::Event(ClientEvent::PayloadWanted)) => {
                        client.end_payload().unwrap();
                        input.extend_from_slice(end.as_bytes());
                    }
                    Ok(Step::Event(ClientEvent::Recipient(recipient))) => fates.push(recipient),
                    Ok(Step::Event(_)) => {}
                    _ => break,
                }
            }
        });
        assert_eq!(fates.len(), COUNT, "{mark}");
        assert!(fates.iter().all(|fate| fate.reply.text().len() > 60_000));
        // 120 MB, if each had its own.
        assert!(info.bytes_max < 4 << 20, "{} octets", info.bytes_max);
    }
}

/// A client that knows what the server offers, and waits.
#[test]
fn an_idle_client_is_small() {
    let config = Arc::new(ClientConfig::new("client.example").unwrap());
    let now = Instant::now();
    let offer = "220 mx.example ESMTP\r\n250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n\
                 250-ETRN\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n\
                 250-8BITMIME\r\n250-DSN\r\n250 CHUNKING\r\n";
    let mut input = BytesMut::from(offer);
    let mut client = None;
    let info = measure(|| {
        let mut fresh = Client::new(Arc::clone(&config), now);
        while let Ok(Step::Event(_)) = fresh.poll(&mut input, now) {}
        let output = fresh.output();
        output.advance(output.remaining());
        client = Some(fresh);
    });
    let heap = usize::try_from(info.bytes_current).unwrap();
    let all = size_of::<Client>() + heap;
    assert!(all < 1536, "{} + {heap} octets", size_of::<Client>());
    assert!(client.unwrap().capabilities().chunking);
}
