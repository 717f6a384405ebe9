//! The server machine as transcripts drive it.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use imap_proto::{
    Annotation, CatenatePart, Config, Dialect, Event, FetchItem, IString, Misuse, Response,
    SequenceNumber, Server, StatusKind, StatusResponse, Step, Untagged,
};
use proto_core::transcript::{self, Machine, Shown, unescape};

pub struct ServerMachine(pub Server);

impl ServerMachine {
    pub fn new(config: Config, now: Instant) -> Self {
        Self(Server::new(Arc::new(config), now))
    }
}

fn text(octets: &[u8]) -> String {
    let plain = |octet: &u8| match octet {
        b'"' | b'\\' | b'\'' => char::from(*octet).to_string(),
        octet => octet.escape_ascii().to_string(),
    };
    octets.iter().map(plain).collect()
}

fn annotation(one: &Annotation) -> String {
    let value = |(name, value): &(IString, Option<Bytes>)| {
        let value = value.as_deref().map_or("NIL".into(), text);
        format!(" {}={value}", name.to_text())
    };
    let values = one.values.iter().map(value).collect::<String>();
    format!(" {}{values}", one.entry.as_str())
}

pub fn show(event: Event) -> Shown {
    Shown::Event(match event {
        Event::Payload(octets) => return Shown::Payload(octets.to_vec()),
        Event::Command(command) => {
            let line = command.to_vec(Dialect::SERVER);
            format!("Command {}", text(line.strip_suffix(b"\r\n").unwrap()))
        }
        Event::Authenticate {
            mechanism,
            initial_response,
            ..
        } => match initial_response {
            Some(initial) => format!("Authenticate {mechanism} {}", text(initial.expose())),
            None => format!("Authenticate {mechanism}"),
        },
        Event::AuthData(data) => format!("AuthData {}", text(data.expose())),
        Event::PayloadStart(start) => format!(
            "PayloadStart {} {} {:?} {:?} {}{}{}{}{}{}",
            start.tag,
            start.mailbox,
            start.options.flags,
            start.options.date,
            start.size,
            if start.binary { " binary" } else { "" },
            if start.utf8 { " utf8" } else { "" },
            if start.catenate { " catenate" } else { "" },
            start.replaces.map_or(String::new(), |replaced| {
                let number = match replaced.message {
                    SequenceNumber::Number(number) => number.to_string(),
                    SequenceNumber::Largest => "*".into(),
                };
                let uid = if replaced.uid { "UID " } else { "" };
                format!(" replaces {uid}{number}")
            }),
            start
                .options
                .annotations
                .iter()
                .map(annotation)
                .collect::<String>(),
        ),
        Event::PayloadPart(CatenatePart::Url(url)) => format!("Url {}", url.to_text()),
        Event::PayloadPart(CatenatePart::Text { size, .. }) => format!("Text {size}"),
        Event::PayloadEnd { last: true } => "PayloadEnd".into(),
        Event::PayloadEnd { last: false } => "PayloadEnd more".into(),
        Event::PayloadAborted(rejected) => format!("PayloadAborted {}", rejected.rejection),
        Event::Rejected(rejected) => match rejected.tag {
            Some(tag) => format!("Rejected {tag} {}", rejected.rejection),
            None => format!("Rejected {}", rejected.rejection),
        },
        other => format!("{other:?}"),
    })
}

impl Machine for ServerMachine {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        let step = self.0.poll(input, now).map_err(|error| error.to_string())?;
        Ok(step.map(show))
    }

    transcript::forward!(0);

    /// `ok TEXT`, `no TEXT`, `bad TEXT`, `* DATA`, `accept`, `challenge TEXT`,
    /// `tls`, `send OCTETS`. In `* DATA` a literal `{n-}` at the end of a
    /// FETCH stands for a streamed content.
    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "ok" => self.0.reply(status(StatusKind::Ok, rest)),
            "no" => self.0.reply(status(StatusKind::No, rest)),
            "bad" => self.0.reply(status(StatusKind::Bad, rest)),
            "accept" => self.0.accept_payload(),
            "challenge" => self.0.challenge(&unescape(rest)),
            "tls" => self.0.tls_started(),
            "send" => self.0.send_payload(Bytes::from(unescape(rest))),
            "*" => self.0.untagged(&data(text)),
            "stream" => {
                let (size, rest) = rest.split_once(' ').unwrap();
                let mut data = data(rest);
                if let Untagged::Fetch { items, .. } = &mut data {
                    for item in items {
                        if let FetchItem::Section { content, .. } = item {
                            *content = imap_proto::Content::Stream(size.parse().unwrap());
                        }
                    }
                }
                self.0.untagged(&data)
            }
            other => panic!("no such answer: {other}"),
        }
    }
}

fn status(kind: StatusKind, text: &str) -> StatusResponse {
    let line = Bytes::from(format!("x {} {text}", kind.name()));
    match Response::parse(&line, Dialect::SERVER).unwrap() {
        Response::Tagged { status, .. } => status,
        other => panic!("{other:?}"),
    }
}

fn data(text: &str) -> Untagged {
    match Response::parse(&Bytes::from(unescape(text)), Dialect::SERVER).unwrap() {
        Response::Untagged(data) => data,
        other => panic!("{other:?}"),
    }
}
