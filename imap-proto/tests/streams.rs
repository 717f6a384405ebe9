//! Contents pass through both machines and are held by neither.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs
)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    Client, ClientConfig, ClientEvent, Config, Content, Error, FetchItem, FetchedUrl, Section,
    Server, Step, Untagged, UrlContent, UrlData,
};

const SIZE: u64 = 100 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
/// What a machine, its input and its output may hold of it.
const HELD: usize = 4 * CHUNK;

/// Takes `data`, whose content is [`SIZE`] octets, from a server to a client;
/// what the client hears but the octets.
fn pass(data: &Untagged) -> Vec<ClientEvent> {
    let now = Instant::now();
    let mut server = Server::new(Arc::new(Config::default()), now);
    let mut client = Client::new(Arc::new(ClientConfig::default()), now);
    server.untagged(data).unwrap();
    let chunk = Bytes::from((0..=255).cycle().take(CHUNK).collect::<Vec<u8>>());
    let mut wire = BytesMut::new();
    let (mut heard, mut received) = (Vec::new(), 0);
    loop {
        let owed = usize::try_from(server.payload_owed()).unwrap();
        if owed > 0 {
            server.send_payload(chunk.slice(..CHUNK.min(owed))).unwrap();
        }
        let output = server.output();
        assert!(output.remaining() <= HELD, "{}", output.remaining());
        if owed == 0 && !output.has_remaining() {
            break;
        }
        while output.has_remaining() {
            let count = output.chunk().len();
            wire.extend_from_slice(output.chunk());
            output.advance(count);
        }
        loop {
            assert!(wire.capacity() <= HELD, "{}", wire.capacity());
            match client.poll(&mut wire, now).unwrap() {
                Step::Event(ClientEvent::Payload(octets)) => {
                    let from = usize::try_from(received % 256).unwrap();
                    assert_eq!(octets.first(), chunk.get(from));
                    assert!(octets.len() <= CHUNK);
                    received += octets.len() as u64;
                }
                Step::Event(ClientEvent::Greeting(_)) => {}
                Step::Event(event) => heard.push(event),
                Step::NeedInput => break,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(received, SIZE);
    heard
}

#[test]
fn fetch() {
    let sequence = NonZeroU32::MIN;
    let content = Content::Stream(SIZE);
    let section = FetchItem::Section {
        section: Section::default(),
        origin: None,
        content: content.clone(),
    };
    let binary = FetchItem::Binary {
        part: vec![NonZeroU32::MIN],
        origin: None,
        content: content.clone(),
    };
    for item in [section, binary, FetchItem::Rfc822(content)] {
        let items = vec![
            FetchItem::Uid(sequence),
            item.clone(),
            FetchItem::Rfc822Size(7),
        ];
        let heard = pass(&Untagged::Fetch { sequence, items });
        let expected = [
            ClientEvent::PayloadStart {
                sequence,
                items: vec![FetchItem::Uid(sequence)],
                item,
            },
            ClientEvent::PayloadEnd,
            ClientEvent::Untagged(Untagged::Fetch {
                sequence,
                items: vec![FetchItem::Rfc822Size(7)],
            }),
        ];
        assert_eq!(heard, expected);
    }
}

#[test]
fn url_fetch() {
    let url = |name: &str, data| FetchedUrl {
        url: name.try_into().unwrap(),
        data,
    };
    let items = |kind| UrlData::Items {
        structure: None,
        content: Some((kind, Content::Stream(SIZE))),
    };
    for data in [
        UrlData::Plain(Content::Stream(SIZE)),
        items(UrlContent::Body),
        items(UrlContent::Binary),
    ] {
        let first = url("imap://a/1", UrlData::Plain(Content::Nil));
        let large = url("imap://a/2", data);
        let last = url("imap://a/3", UrlData::Plain(Content::Octets("x".into())));
        let urls = vec![first.clone(), large.clone(), last.clone()];
        let heard = pass(&Untagged::UrlFetch(urls));
        let expected = [
            ClientEvent::UrlPayloadStart {
                urls: vec![first],
                url: large,
            },
            ClientEvent::PayloadEnd,
            ClientEvent::Untagged(Untagged::UrlFetch(vec![last])),
        ];
        assert_eq!(heard, expected);
    }
}

/// What is not streamed is bounded by `ClientConfig::response`: the octets are
/// never waited for.
#[test]
fn what_is_not_streamed_is_bounded() {
    let now = Instant::now();
    let config = Arc::new(ClientConfig::default());
    let most = config.response;
    for front in [
        "* METADATA INBOX (/shared/comment ",
        "* 1 FETCH (ANNOTATION (/comment (value.priv ",
        "* 1 FETCH (X-RAW ",
        "* 1 FETCH (PREVIEW ",
        "* 1 FETCH (ENVELOPE (",
        "* LIST () \"/\" ",
        "* STATUS ",
        "* URLFETCH ",
        "* 1 FETCH (FLAGS (",
        "* X-OTHER ",
        "A1 ",
    ] {
        let hear = |size: usize| {
            let mut client = Client::new(config.clone(), now);
            let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1] hi\r\n");
            assert!(client.poll(&mut input, now).is_ok());
            input.extend_from_slice(format!("{front}{{{size}}}\r\n").as_bytes());
            client.poll(&mut input, now)
        };
        let too_large = Err(Error::ResponseTooLarge("literal"));
        assert_eq!(hear(most), too_large, "{front}");
        assert_eq!(hear(usize::MAX), too_large, "{front}");
        assert_eq!(hear(most / 2), Ok(Step::NeedInput), "{front}");
    }
}

/// A response is not looked at anew for each of its literals without end.
#[test]
fn many_large_literals_in_one_response() {
    let now = Instant::now();
    let config = ClientConfig {
        inline: 1,
        ..ClientConfig::default()
    };
    let streams = |before: usize| {
        let mut client = Client::new(Arc::new(config.clone()), now);
        let other = "X-RAW {2}\r\nab ".repeat(before);
        let text =
            format!("* OK [CAPABILITY IMAP4rev1] hi\r\n* 1 FETCH ({other}BODY[] {{3}}\r\nabc)\r\n");
        let mut input = BytesMut::from(&*text);
        assert!(client.poll(&mut input, now).is_ok());
        match client.poll(&mut input, now).unwrap() {
            Step::Event(ClientEvent::PayloadStart { .. }) => true,
            Step::Event(ClientEvent::Untagged(Untagged::Fetch { items, .. })) => {
                assert_eq!(items.len(), before + 1);
                false
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(streams(0) && streams(40));
    assert!(!streams(100) && !streams(10_000));
}
