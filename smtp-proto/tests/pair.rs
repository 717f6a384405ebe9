//! Both machines against each other, cut anyhow.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use proptest::prelude::*;
use smtp_proto::{
    Address, BareNewline, Client, ClientConfig, ClientEvent, Config, Event, Mail, Rcpt, Reply,
    Server, Status, Step,
};

/// What a server's host got, and what the client's host was told.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    messages: Vec<Vec<u8>>,
    fates: Vec<(usize, Status)>,
}

/// Sends `messages`, each to three recipients of whom the second is unknown.
fn converse(
    config: Config,
    client_config: ClientConfig,
    messages: &[Vec<u8>],
    cut: usize,
) -> Outcome {
    let now = Instant::now();
    let lmtp = config.mode == smtp_proto::Mode::Lmtp;
    let mut server = Server::new(Arc::new(config), now);
    let mut client = Client::new(Arc::new(client_config), now);
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let mut outcome = Outcome::default();
    let mut message = Vec::new();
    let mut queue = messages.iter();
    let mut parts: Vec<Bytes> = Vec::new();
    loop {
        let server_step = server.poll(&mut to_server, now).unwrap();
        let server_idle = !matches!(server_step, Step::Event(_));
        if let Step::Event(event) = server_step {
            match event {
                Event::PayloadStart(_) => server.accept_payload().unwrap(),
                Event::Payload(octets) => message.extend_from_slice(&octets),
                Event::PayloadEnd => {
                    outcome.messages.push(std::mem::take(&mut message));
                    for _ in 0..if lmtp { server.recipients() } else { 1 } {
                        server.reply(Reply::new(250, [2, 0, 0], "Ok")).unwrap();
                    }
                }
                Event::Rcpt(rcpt) if rcpt.to_string().contains("nobody") => {
                    server.reply(Reply::new(550, [5, 1, 1], "nobody")).unwrap();
                }
                event if event.wants_answer() => {
                    server.reply(Reply::new(250, [2, 0, 0], "Ok")).unwrap();
                }
                Event::Rejected(rejected) => panic!("{rejected:?}"),
                _ => {}
            }
        }
        let client_step = client.poll(&mut to_client, now).unwrap();
        match client_step {
            Step::Event(ClientEvent::Ready | ClientEvent::TransactionEnd) => match queue.next() {
                Some(next) => {
                    parts = next
                        .chunks(cut.max(1))
                        .rev()
                        .map(Bytes::copy_from_slice)
                        .collect();
                    let to = |name: &str| Rcpt::new(name.parse::<Address>().unwrap());
                    let to = vec![to("a@b"), to("nobody@b"), to("\"c d\"@[192.0.2.1]")];
                    client
                        .begin(Mail::new("me@b".parse::<Address>().unwrap()), to)
                        .unwrap();
                }
                None => client.quit().unwrap(),
            },
            Step::Event(ClientEvent::PayloadWanted) => match parts.pop() {
                Some(part) => client.send_payload(part).unwrap(),
                None => client.end_payload().unwrap(),
            },
            Step::Event(ClientEvent::Recipient(recipient)) => {
                outcome.fates.push((recipient.index, recipient.status));
            }
            Step::Event(_) => {}
            Step::Closed => return outcome,
            _ if server_idle => {
                let from_client = client.output().len().min(cut);
                to_server.extend_from_slice(&client.output().copy_to_bytes(from_client));
                let from_server = server.output().len().min(cut);
                to_client.extend_from_slice(&server.output().copy_to_bytes(from_server));
            }
            _ => {}
        }
    }
}

fn crlf(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let text = text
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\n', "\r\n");
    text.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_sent_arrives(
        messages in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec!["\r\n", "\n", "\r", ".", "..", "a", "word word word", "\r\n.\r\n"]),
                0..30,
            ),
            0..4,
        ),
        cut in 1_usize..300,
        pipelining: bool,
        chunking: bool,
        use_chunking: bool,
        lmtp: bool,
    ) {
        let messages: Vec<Vec<u8>> = messages.iter().map(|parts| parts.concat().into_bytes()).collect();
        let (mut config, mut client) = match lmtp {
            true => (Config::lmtp("mx.example"), ClientConfig::lmtp("a.example").unwrap()),
            false => (Config::new("mx.example"), ClientConfig::new("a.example").unwrap()),
        };
        config.extensions.pipelining = pipelining;
        config.extensions.chunking = chunking;
        config.bare_newline = BareNewline::Reject;
        client.chunking = use_chunking;
        let outcome = converse(config, client, &messages, cut);
        let sent: Vec<Vec<u8>> = messages
            .iter()
            .map(|message| {
                let mut message = crlf(message);
                // BDAT may end within a line.
                let complete = message.is_empty() || message.ends_with(b"\r\n");
                if !(complete || chunking && use_chunking) {
                    message.extend_from_slice(b"\r\n");
                }
                message
            })
            .collect();
        prop_assert_eq!(outcome.messages, sent);
        let mut fates = outcome.fates;
        fates.sort_by_key(|fate| fate.0);
        let third = messages.len();
        let mut want = vec![(0, Status::Delivered); third];
        want.extend(vec![(1, Status::Bounced); third]);
        want.extend(vec![(2, Status::Delivered); third]);
        prop_assert_eq!(fates, want);
    }
}
