//! APPEND and REPLACE: heard by a server, and said again by a client.

use bytes::{Bytes, BytesMut};
use imap_proto::{AppendData, AppendMessage, CatenatePart, ClientEvent, Event, Mailbox, Replaced};

use super::client::Peer;
use super::{Outcome, same, server};

pub fn is_append(wire: &[u8]) -> bool {
    let mut words = wire.split(|octet| *octet == b' ').skip(1);
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    let second = words.next().unwrap_or_default().to_ascii_uppercase();
    first == b"APPEND" || first == b"REPLACE" || first == b"UID" && second == b"REPLACE"
}

/// What a server heard of a command.
struct Heard {
    mailbox: Mailbox,
    replaces: Option<Replaced>,
    messages: Vec<AppendMessage>,
    literals: Vec<Bytes>,
}

fn heard(wire: &[u8]) -> Result<Heard, String> {
    let (events, _) = server::heard(wire, true)?;
    let (mut messages, mut literals): (Vec<AppendMessage>, Vec<Bytes>) = Default::default();
    let mut to = None;
    for event in events {
        match event {
            Event::PayloadStart(payload) => {
                let size = payload.size;
                let data = match (payload.catenate, payload.utf8) {
                    (true, _) => AppendData::Catenate(Vec::new()),
                    (false, true) => AppendData::Utf8 { size },
                    (false, false) => AppendData::Literal {
                        size,
                        binary: payload.binary,
                    },
                };
                let options = payload.options;
                messages.push(AppendMessage { options, data });
                to = Some((payload.mailbox, payload.replaces));
            }
            Event::PayloadPart(part) => match messages.last_mut().map(|last| &mut last.data) {
                Some(AppendData::Catenate(parts)) => parts.push(part),
                other => return Err(format!("a part of {other:?}")),
            },
            Event::Payload(octets) => literals.push(octets),
            Event::PayloadEnd { .. } => {}
            other => return Err(format!("heard {other:?}")),
        }
    }
    let (mailbox, replaces) = to.ok_or("nothing heard")?;
    Ok(Heard {
        mailbox,
        replaces,
        messages,
        literals,
    })
}

pub fn play(wire: &Bytes, expected: &Bytes) -> Outcome {
    let Heard {
        mailbox,
        replaces,
        messages,
        literals,
    } = heard(wire)?;
    let sizes: Vec<u64> = messages.iter().flat_map(sizes).collect();
    let lengths: Vec<u64> = literals.iter().map(|one| one.len() as u64).collect();
    same("sizes", &lengths, &sizes)?;
    let text = expected.to_ascii_lowercase();
    let plus = text.windows(4).any(|octets| octets == b"+}\r\n");
    let mut peer = Peer::new(plus, 0);
    let ticket = match replaces {
        None => peer.client.append_all(mailbox, messages),
        Some(replaced) => {
            let [message] = &messages[..] else {
                return Err("several messages in place of one".to_owned());
            };
            peer.client.replace(replaced, mailbox, message.clone())
        }
    };
    let ticket = ticket.map_err(|error| error.to_string())?;
    let (mut said, mut literals) = (BytesMut::new(), literals.into_iter());
    loop {
        said.extend_from_slice(&peer.said());
        let go: &[u8] = if plus { b"" } else { b"+ go\r\n" };
        let waits = literals.len() > 0;
        match (waits, peer.feed(if waits { go } else { b"" })) {
            (true, events) => {
                same("events", &events, &[ClientEvent::PayloadWanted(ticket)][..])?;
                let literal = literals.next().unwrap_or_default();
                peer.client.send_payload(literal).unwrap();
            }
            (false, events) if events.is_empty() => break,
            (false, events) => return Err(format!("{events:?}")),
        }
    }
    let tag = expected.split(|octet| *octet == b' ').next();
    let tag = tag.unwrap_or_default();
    let said = [tag, &said[2..]].concat();
    same("said", &Bytes::from(said), expected)
}

fn sizes(message: &AppendMessage) -> Vec<u64> {
    match &message.data {
        AppendData::Literal { size, .. } | AppendData::Utf8 { size } => vec![*size],
        AppendData::Catenate(parts) => parts
            .iter()
            .filter_map(|part| match part {
                CatenatePart::Text { size, .. } => Some(*size),
                CatenatePart::Url(_) => None,
            })
            .collect(),
    }
}
