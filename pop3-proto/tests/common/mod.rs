//! A server as the transcripts drive it.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use pop3_proto::{Event, Maildrop, Rejected, Reply, ResponseCode, Retrieve, Server};
use proto_core::transcript::{self, Machine, Shown, unescape};
use proto_core::{Misuse, Step};

/// The maildrop of RFC 1939's examples: 120 and 200 octets.
pub(crate) fn maildrop() -> Maildrop {
    let mut maildrop = Maildrop::default();
    maildrop.push(120, "whqtswO00WBw418f9t5JxYwZ").unwrap();
    maildrop.push(200, "QhdPYR:00WBw1Ph7x7").unwrap();
    maildrop
}

pub(crate) struct Host(pub(crate) Server);

/// What a transcript's `E:` line says.
pub(crate) fn show(event: &Event) -> String {
    let octets = |octets: &[u8]| octets.escape_ascii().to_string();
    match event {
        Event::StartTls => "StartTls".into(),
        Event::Login(login) => {
            let password = octets(login.password.expose());
            format!("Login {:?} \"{password}\"", login.name)
        }
        Event::Apop(apop) => format!("Apop {:?} {:02x}", apop.name, apop.digest[0]),
        Event::Auth(start) => match &start.initial_response {
            None => format!("Auth {}", start.mechanism),
            Some(response) => format!("Auth {} \"{}\"", start.mechanism, octets(response.expose())),
        },
        Event::AuthData(data) => format!("AuthData \"{}\"", octets(data.expose())),
        Event::AuthCancelled => "AuthCancelled".into(),
        Event::Retrieve(Retrieve {
            number,
            lines,
            utf8,
        }) => {
            let lines = lines.map(|lines| format!(" lines {lines}"));
            let utf8 = if *utf8 { " utf8" } else { "" };
            format!("Retrieve {number}{}{utf8}", lines.unwrap_or_default())
        }
        Event::Update(update) => {
            let deleted: Vec<u32> = update.deleted.iter().map(|number| number.value()).collect();
            format!("Update {deleted:?}")
        }
        Event::Rejected(Rejected::Malformed(fault)) => format!("Rejected {fault}"),
        Event::Rejected(rejected) => format!("Rejected {rejected}"),
        other => format!("{other:?}"),
    }
}

impl Machine for Host {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        match self.0.poll(input, now) {
            Ok(step) => Ok(step.map(|event| Shown::Event(show(&event)))),
            Err(error) => Err(error.to_string()),
        }
    }
    transcript::forward!(0);
    /// `open`, `+OK text`, `-ERR text`, `challenge text`, `tls`, `accept`,
    /// `payload text`, `end`, `message text` (accept, all of it, end), `abort`.
    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let server = &mut self.0;
        match word {
            "open" => server.open_maildrop(maildrop()),
            "+OK" => server.reply(Reply::ok(rest.to_owned())),
            "-ERR" => server.reply(Reply::err(rest.to_owned())),
            "auth-failed" => server.reply(Reply::err("no").with(ResponseCode::Auth)),
            "in-use" => server.reply(
                Reply::err("Do you have another POP session running?").with(ResponseCode::InUse),
            ),
            "challenge" => server.challenge(&unescape(rest)),
            "tls" => server.tls_started(),
            "accept" => server.accept_payload(),
            "payload" => server.send_payload(Bytes::from(unescape(rest))),
            "end" => server.end_payload(),
            "message" => {
                server.accept_payload()?;
                server.send_payload(Bytes::from(unescape(rest)))?;
                server.end_payload()
            }
            "abort" => server.abort_payload(),
            other => panic!("unknown answer {other:?}"),
        }
    }
}
