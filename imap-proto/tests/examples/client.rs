//! The client machine: what it says, and what it hears.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    Client, ClientConfig, ClientEvent, Command, CommandBody, Content, Dialect, FetchItem,
    FetchedUrl, Literals, Response, Step, Tag, Untagged, UrlData,
};

use super::{CUTS, Outcome, pieces, same};

/// A client behind the greeting of a server with LITERAL+, or without.
pub struct Peer {
    pub client: Client,
    input: BytesMut,
    now: Instant,
}

impl Peer {
    pub fn new(plus: bool, inline: usize) -> Self {
        let now = Instant::now();
        let config = ClientConfig {
            inline,
            ..ClientConfig::default()
        };
        let mut peer = Self {
            client: Client::new(Arc::new(config), now),
            input: BytesMut::new(),
            now,
        };
        let literals = if plus { " LITERAL+" } else { "" };
        peer.feed(format!("* OK [CAPABILITY IMAP4rev1 SASL-IR{literals}] hi\r\n").as_bytes());
        peer
    }

    pub fn feed(&mut self, octets: &[u8]) -> Vec<ClientEvent> {
        self.input.extend_from_slice(octets);
        let mut events = Vec::new();
        loop {
            match self.client.poll(&mut self.input, self.now) {
                Ok(Step::Event(event)) => events.push(event),
                Ok(Step::NeedInput | Step::Closed | Step::NeedAnswer) => return events,
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn said(&mut self) -> Vec<u8> {
        let output = self.client.output();
        output.copy_to_bytes(output.remaining()).to_vec()
    }
}

/// The client says what the encoder does, in every dialect, and waits at each
/// literal where the dialect wants it.
pub fn says(command: Command) -> Outcome {
    for (plus, literals) in [(true, Literals::Plus), (false, Literals::Synchronizing)] {
        let mut peer = Peer::new(plus, 1_000_000);
        match command.body.clone() {
            CommandBody::Idle => peer.client.idle(),
            CommandBody::Authenticate {
                mechanism,
                initial_response,
            } => peer.client.authenticate(&mechanism, initial_response),
            body => peer.client.command(body),
        }
        .map_err(|error| error.to_string())?;
        let expected = Command {
            tag: Tag::new("A1").unwrap(),
            body: command.body.clone(),
        };
        let expected = expected.to_vec(Dialect {
            utf8: false,
            literals,
        });
        let mut said = peer.said();
        while said.len() < expected.len() {
            assert!(!plus && said.ends_with(b"}\r\n"), "{}", said.escape_ascii());
            peer.feed(b"+ go\r\n");
            said.extend(peer.said());
        }
        same("said", &Bytes::from(said), &Bytes::from(expected))?;
    }
    Ok(())
}

/// Of neighbours that are payloads one is made: where they are cut is no
/// promise.
fn joined(events: Vec<ClientEvent>) -> Vec<ClientEvent> {
    let mut all: Vec<ClientEvent> = Vec::new();
    for event in events {
        match (all.last_mut(), event) {
            (Some(ClientEvent::Payload(whole)), ClientEvent::Payload(more)) => {
                *whole = [&whole[..], &more[..]].concat().into();
            }
            (_, event) => all.push(event),
        }
    }
    all
}

/// A client hears it as the parser does, however it is cut, and with what can
/// be streamed streamed.
pub fn hears(wire: &[u8], response: &Response) -> Outcome {
    for inline in [1_000_000, 0] {
        for cut in CUTS {
            let mut peer = Peer::new(true, inline);
            let wire = match response {
                Response::Tagged { tag, .. } => {
                    peer.client.command(CommandBody::Noop).unwrap();
                    [b"A1", &wire[tag.as_str().len()..]].concat()
                }
                Response::Continue(text) => {
                    if proto_core::sasl::decode_base64(text).is_ok() {
                        peer.client.authenticate("PLAIN", None).unwrap();
                    } else {
                        peer.client.idle().unwrap();
                    }
                    wire.to_vec()
                }
                _ => wire.to_vec(),
            };
            let mut events = Vec::new();
            for piece in pieces(&wire, cut) {
                events.extend(peer.feed(piece));
            }
            let heard = whole(joined(events)).map_err(|error| format!("cut {cut}: {error}"))?;
            match (heard, response) {
                (ClientEvent::Untagged(heard), Response::Untagged(data)) => {
                    same("heard", &heard, data)?;
                }
                (ClientEvent::Reply { status: heard, .. }, Response::Tagged { status, .. }) => {
                    same("heard", &heard, status)?;
                }
                (ClientEvent::Challenge(heard), Response::Continue(text)) => {
                    let data = proto_core::sasl::decode_base64(text).unwrap();
                    same("heard", heard.expose(), &data[..])?;
                }
                (ClientEvent::Idling, Response::Continue(_)) => {}
                other => return Err(format!("cut {cut}: heard {other:?}")),
            }
        }
    }
    Ok(())
}

/// One event of one response: what was streamed is put where it belongs.
fn whole(events: Vec<ClientEvent>) -> Result<ClientEvent, String> {
    let (mut all, mut number) = (Vec::new(), None);
    let mut fetched: Option<Vec<FetchedUrl>> = None;
    let mut events = events.into_iter();
    while let Some(event) = events.next() {
        match event {
            ClientEvent::PayloadStart {
                sequence,
                items,
                mut item,
            } => {
                number = Some(sequence);
                all.extend(items);
                let octets = payload(&mut events)?;
                match &mut item {
                    FetchItem::Section { content, .. }
                    | FetchItem::Binary { content, .. }
                    | FetchItem::Rfc822(content)
                    | FetchItem::Rfc822Header(content)
                    | FetchItem::Rfc822Text(content) => {
                        *content = Content::Octets(octets);
                    }
                    other => return Err(format!("{other:?}")),
                }
                all.push(item);
            }
            ClientEvent::Untagged(Untagged::Fetch { sequence, items }) if number.is_some() => {
                same("sequence", &Some(sequence), &number)?;
                all.extend(items);
            }
            ClientEvent::UrlPayloadStart { urls, mut url } => {
                let octets = payload(&mut events)?;
                match &mut url.data {
                    UrlData::Plain(content) => *content = Content::Octets(octets),
                    UrlData::Items { content, .. } => {
                        content.as_mut().unwrap().1 = Content::Octets(octets);
                    }
                }
                let all = fetched.get_or_insert_default();
                all.extend(urls);
                all.push(url);
            }
            ClientEvent::Untagged(Untagged::UrlFetch(urls)) if fetched.is_some() => {
                fetched.get_or_insert_default().extend(urls);
            }
            event => return Ok(event),
        }
    }
    if let Some(urls) = fetched {
        return Ok(ClientEvent::Untagged(Untagged::UrlFetch(urls)));
    }
    match number {
        Some(sequence) => Ok(ClientEvent::Untagged(Untagged::Fetch {
            sequence,
            items: all,
        })),
        None => Err("nothing heard".to_owned()),
    }
}

fn payload(events: &mut impl Iterator<Item = ClientEvent>) -> Result<Bytes, String> {
    let octets = match events.next() {
        Some(ClientEvent::Payload(octets)) => octets,
        other => return Err(format!("{other:?}")),
    };
    match events.next() {
        Some(ClientEvent::PayloadEnd) => Ok(octets),
        other => Err(format!("{other:?}")),
    }
}

/// What a client answers a challenge with.
pub fn says_sasl(data: &[u8]) -> Vec<u8> {
    let mut peer = Peer::new(true, 0);
    peer.client.authenticate("PLAIN", None).unwrap();
    peer.feed(b"+ \r\n");
    peer.said();
    peer.client.respond(data).unwrap();
    peer.said()
}
