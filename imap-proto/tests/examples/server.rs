//! The server machine: what it hears, and what it says.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{Command, CommandBody, Config, Event, Extension, Response, Server, Step};

use super::{CUTS, Outcome, pieces, same};

/// A server that offers everything, and how far a client has come with it.
pub struct Host {
    pub server: Server,
    input: BytesMut,
    now: Instant,
    /// Octets of one payload are joined: where they are cut is no promise.
    pub events: Vec<Event>,
}

impl Host {
    /// With a client that has logged in and selected a mailbox, or not.
    pub fn new(selected: bool) -> Self {
        let mut config = Config {
            login_without_tls: true,
            starttls: true,
            ..Config::default()
        };
        config.extensions = Extension::ALL.iter().copied().collect();
        let mechanisms =
            "PLAIN EXTERNAL GSSAPI KERBEROS_V4 DIGEST-MD5 CRAM-MD5 SCRAM-SHA-256 SECURID";
        config.mechanisms_without_tls = mechanisms.split(' ').map(Into::into).collect();
        let now = Instant::now();
        let mut host = Self {
            server: Server::new(Arc::new(config), now),
            input: BytesMut::new(),
            now,
            events: Vec::new(),
        };
        if selected {
            host.feed(b"0 LOGIN u p\r\n1 ENABLE QRESYNC\r\n2 SELECT x\r\n");
        }
        host.events.clear();
        host.said();
        host
    }

    pub fn said(&mut self) -> Vec<u8> {
        let output = self.server.output();
        output.copy_to_bytes(output.remaining()).to_vec()
    }

    /// Takes all that is asked for, and keeps what was heard.
    pub fn feed(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            let event = match self.server.poll(&mut self.input, self.now) {
                Ok(Step::Event(event)) => event,
                Ok(Step::NeedInput | Step::Closed) => return,
                other => panic!("{other:?}"),
            };
            match &event {
                Event::Command(_) | Event::IdleDone => self.server.ok("done").unwrap(),
                Event::Authenticate { .. } => self.server.challenge(b"").unwrap(),
                Event::AuthData(_) | Event::StartTls => self.server.no("not now").unwrap(),
                Event::PayloadStart(_) | Event::PayloadPart(_) => {
                    self.server.accept_payload().unwrap();
                }
                Event::PayloadEnd { last: true } => self.server.ok("stored").unwrap(),
                _ => {}
            }
            match (self.events.last_mut(), event) {
                (Some(Event::Payload(whole)), Event::Payload(more)) => {
                    *whole = [&whole[..], &more[..]].concat().into();
                }
                (_, event) => self.events.push(event),
            }
        }
    }
}

/// What a server hears and says in answer, the same however it is cut.
pub fn heard(wire: &[u8], selected: bool) -> Result<(Vec<Event>, Vec<u8>), String> {
    let mut first = None;
    for cut in CUTS {
        let mut host = Host::new(selected);
        for piece in pieces(wire, cut) {
            host.feed(piece);
        }
        let outcome = (std::mem::take(&mut host.events), host.said());
        match &first {
            None => first = Some(outcome),
            Some(first) => same(&format!("cut {cut}"), &outcome, first)?,
        }
    }
    first.ok_or("never heard".to_owned())
}

pub fn hears(wire: &[u8], command: &Command) -> Outcome {
    let selected = !matches!(
        command.body,
        CommandBody::Login { .. } | CommandBody::Authenticate { .. } | CommandBody::StartTls
    );
    let (events, said) = heard(wire, selected)?;
    match &events[..] {
        [Event::Command(heard)] => same("heard", heard, command),
        [Event::Authenticate { .. } | Event::StartTls | Event::Idle] => Ok(()),
        // The machine answers by itself.
        [] => {
            let said = String::from_utf8(said).unwrap();
            let done = format!("{} OK ", command.tag.as_str());
            match said.lines().any(|line| line.starts_with(&done)) {
                true => Ok(()),
                false => Err(format!("answered {said:?}")),
            }
        }
        other => Err(format!("heard {other:?}")),
    }
}

/// A command that no server takes: it is refused, once, and the next is heard.
pub fn refused(wire: &[u8]) -> Outcome {
    let next = b"next NOOP\r\n";
    let waits = wire.ends_with(b"}\r\n");
    let (events, said) = heard(&[wire, next].concat(), true)?;
    let said = String::from_utf8(said).unwrap();
    match &events[..] {
        // The host refused it, which `feed` never does.
        [Event::PayloadStart(_), ..] if waits => return Ok(()),
        [.., Event::Rejected(_), Event::Command(_)] => {}
        [.., Event::PayloadAborted(_), Event::Command(_)] => {}
        other => return Err(format!("heard {other:?}")),
    }
    let lines = said.lines().filter(|line| !line.starts_with("+ "));
    let kinds: Vec<_> = lines.filter_map(|line| line.split(' ').nth(1)).collect();
    same("answers", &kinds, &["BAD", "OK"][..])
}

pub fn hears_sasl(wire: &[u8]) -> Result<Vec<u8>, String> {
    let wire = [b"a AUTHENTICATE PLAIN\r\n", wire].concat();
    let (events, _) = heard(&wire, false)?;
    match &events[..] {
        [Event::Authenticate { .. }, Event::AuthData(data)] => Ok(data.expose().to_vec()),
        other => Err(format!("heard {other:?}")),
    }
}

/// The machine says it as the encoder does.
pub fn says(response: Response, expected: &Bytes) -> Outcome {
    let now = Instant::now();
    let mut host = Host::new(true);
    let mut input = BytesMut::from("4 NOOP\r\n");
    let said = match response {
        Response::Untagged(data) => {
            host.server
                .untagged(&data)
                .map_err(|error| error.to_string())?;
            host.said()
        }
        Response::Tagged { tag, status } => {
            let step = host.server.poll(&mut input, now);
            assert!(matches!(step, Ok(Step::Event(Event::Command(_)))));
            host.server
                .reply(status)
                .map_err(|error| error.to_string())?;
            let said = host.said();
            [tag.as_str().as_bytes(), &said[1..]].concat()
        }
        Response::Continue(text) => {
            let Ok(data) = proto_core::sasl::decode_base64(&text) else {
                return Ok(());
            };
            let mut host = Host::new(false);
            let mut input = BytesMut::from("a AUTHENTICATE PLAIN\r\n");
            let _ = host.server.poll(&mut input, now).unwrap();
            host.server.challenge(&data).unwrap();
            host.said()
        }
        other => return Err(format!("{other:?}")),
    };
    same("said", &Bytes::from(said), expected)
}
