//! What a client appends is what the server hears, however it is cut, and
//! whether literals wait or not.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    Annotation, AppendData, AppendMessage, AppendOptions, CatenatePart, Client, ClientConfig,
    ClientEvent, Config, DateTime, EntryName, Event, Extension, Flag, IString, Mailbox, Replaced,
    SequenceNumber, Server, Step,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn message() -> impl Strategy<Value = AppendMessage> {
    let size = || 1_u64..200;
    let part = prop_oneof![
        "[a-z/;=\" ]{0,9}".prop_map(|url| CatenatePart::Url(IString::try_from(&*url).unwrap())),
        vec(1_u8..=255, 1..9).prop_map(|url| CatenatePart::Url(IString::new(url).unwrap())),
        (size(), any::<bool>()).prop_map(|(size, utf8)| CatenatePart::Text { size, utf8 }),
    ];
    let data = prop_oneof![
        (size(), any::<bool>()).prop_map(|(size, binary)| AppendData::Literal { size, binary }),
        size().prop_map(|size| AppendData::Utf8 { size }),
        vec(part, 1..5).prop_map(AppendData::Catenate),
    ];
    let flags = prop_oneof![Just(vec![]), Just(vec![Flag::Seen, Flag::Draft])];
    let value = prop_oneof![
        Just(None),
        vec(any::<u8>(), 0..9).prop_map(|value| Some(value.into()))
    ];
    let annotation = value.prop_map(|value| Annotation {
        entry: EntryName::new("/comment").unwrap(),
        values: vec![("value.priv".try_into().unwrap(), value)],
    });
    let date = prop_oneof![
        Just(None),
        (0_i64..4_000_000_000).prop_map(|seconds| DateTime::from_timestamp(seconds, 60))
    ];
    (flags, date, vec(annotation, 0..2), data).prop_map(|(flags, date, annotations, data)| {
        AppendMessage {
            options: AppendOptions {
                flags,
                date,
                annotations,
            },
            data,
        }
    })
}

/// The octets of the n-th literal: what could be taken for something else.
fn octets(index: usize, size: u64) -> Vec<u8> {
    let text = format!("{index}) URL \"x\" {{3+}}\r\n");
    text.bytes()
        .cycle()
        .take(usize::try_from(size).unwrap())
        .collect()
}

fn sizes(messages: &[AppendMessage]) -> Vec<u64> {
    let mut sizes = Vec::new();
    for message in messages {
        match &message.data {
            AppendData::Literal { size, .. } | AppendData::Utf8 { size } => sizes.push(*size),
            AppendData::Catenate(parts) => {
                sizes.extend(parts.iter().filter_map(|part| match part {
                    CatenatePart::Text { size, .. } => Some(*size),
                    CatenatePart::Url(_) => None,
                }))
            }
        }
    }
    sizes
}

/// Both machines, joined by pipes that carry `piece` octets at a time.
fn hear(
    messages: &[AppendMessage],
    replaced: Option<Replaced>,
    plus: bool,
    piece: usize,
) -> (Vec<AppendMessage>, Vec<Vec<u8>>, Option<Replaced>) {
    let now = Instant::now();
    let mut config = Config {
        login_without_tls: true,
        ..Config::default()
    };
    config.extensions = Extension::ALL.iter().copied().collect();
    for literals in [
        Extension::LiteralPlus,
        Extension::LiteralMinus,
        Extension::Imap4Rev2,
    ] {
        if !plus {
            config.extensions.remove(literals);
        }
    }
    let mut server = Server::new(Arc::new(config), now);
    let mut client = Client::new(Arc::new(ClientConfig::default()), now);
    let login = imap_proto::CommandBody::Login {
        username: "u".try_into().unwrap(),
        password: imap_proto::Secret::new("p"),
    };
    client.command(login).unwrap();
    let select = imap_proto::Select {
        mailbox: Mailbox::inbox(),
        read_only: false,
        condstore: false,
        annotate: false,
        qresync: None,
    };
    client
        .command(imap_proto::CommandBody::Select(select))
        .unwrap();
    let inbox = Mailbox::inbox();
    let ticket = match replaced {
        None => client.append_all(inbox, messages.to_vec()).unwrap(),
        Some(replaced) => client
            .replace(replaced, inbox, messages[0].clone())
            .unwrap(),
    };
    let sizes = sizes(messages);
    let mut sent = 0;
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let (mut heard, mut literals, mut replaces) = (Vec::new(), Vec::new(), None);
    for _ in 0..100_000 {
        match server.poll(&mut to_server, now).unwrap() {
            Step::Event(Event::Command(_)) => server.ok("done").unwrap(),
            Step::Event(Event::PayloadStart(payload)) => {
                replaces = payload.replaces;
                let data = match (payload.catenate, payload.utf8) {
                    (true, _) => AppendData::Catenate(Vec::new()),
                    (false, true) => AppendData::Utf8 { size: payload.size },
                    (false, false) => AppendData::Literal {
                        size: payload.size,
                        binary: payload.binary,
                    },
                };
                if !payload.catenate {
                    literals.push(Vec::new());
                }
                let options = payload.options;
                heard.push(AppendMessage { options, data });
                server.accept_payload().unwrap();
            }
            Step::Event(Event::PayloadPart(part)) => {
                if let CatenatePart::Text { .. } = part {
                    literals.push(Vec::new());
                }
                match &mut heard.last_mut().unwrap().data {
                    AppendData::Catenate(parts) => parts.push(part),
                    other => panic!("{other:?}"),
                }
                server.accept_payload().unwrap();
            }
            Step::Event(Event::Payload(chunk)) => {
                literals.last_mut().unwrap().extend_from_slice(&chunk);
            }
            Step::Event(Event::PayloadEnd { last: true }) => server.ok("stored").unwrap(),
            Step::Event(Event::PayloadEnd { last: false }) => {}
            Step::NeedInput => {}
            other => panic!("{other:?}"),
        }
        match client.poll(&mut to_client, now).unwrap() {
            Step::Event(ClientEvent::PayloadWanted(_)) => {
                let all = Bytes::from(octets(sent, sizes[sent]));
                sent += 1;
                let half = all.len() / 2;
                client.send_payload(all.slice(..half)).unwrap();
                client.send_payload(all.slice(half..)).unwrap();
            }
            Step::Event(ClientEvent::Reply { ticket: of, status }) if of == ticket => {
                assert_eq!(status.kind, imap_proto::StatusKind::Ok, "{status:?}");
                return (heard, literals, replaces);
            }
            Step::Event(_) | Step::NeedInput => {}
            other => panic!("{other:?}"),
        }
        let count = client.output().remaining().min(piece);
        to_server.extend_from_slice(&client.output().copy_to_bytes(count));
        let count = server.output().remaining().min(piece);
        to_client.extend_from_slice(&server.output().copy_to_bytes(count));
    }
    panic!("no end");
}

proptest! {
    #[test]
    fn what_is_sent_is_heard(
        messages in vec(message(), 1..4),
        replace in any::<bool>(),
        plus in any::<bool>(),
        piece in 1_usize..300,
    ) {
        let replaced = (replace && messages.len() == 1).then_some(Replaced {
            uid: true,
            message: SequenceNumber::Largest,
        });
        let (heard, literals, replaces) = hear(&messages, replaced, plus, piece);
        prop_assert_eq!(&heard, &messages);
        prop_assert_eq!(replaces, replaced);
        let sizes = sizes(&messages);
        prop_assert_eq!(literals.len(), sizes.len());
        for (index, (literal, size)) in literals.iter().zip(sizes).enumerate() {
            prop_assert_eq!(literal, &octets(index, size));
        }
    }
}
