//! A client machine as transcripts drive it.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proto_core::transcript::{self, Machine, Shown, Side, run, unescape};
use smtp_proto::{Client, ClientConfig, ClientEvent, Command, Lenient, Misuse, Step};

struct Host {
    client: Client,
}

impl Machine for Host {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        match self.client.poll(input, now) {
            Ok(step) => Ok(step.map(show)),
            Err(error) => Err(error.to_string()),
        }
    }
    transcript::forward!(client);
    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "begin" => {
                let mut lines = rest.split(" | ").map(command);
                let Some(Command::Mail(mail)) = lines.next() else {
                    panic!("no MAIL in {text:?}")
                };
                let recipients = lines
                    .map(|line| match line {
                        Command::Rcpt(rcpt) => rcpt,
                        other => panic!("no RCPT: {other:?}"),
                    })
                    .collect();
                self.client.begin(mail, recipients)
            }
            "send" => self.client.send_payload(Bytes::from(unescape(rest))),
            "end" => self.client.end_payload(),
            "burl" => match command(rest) {
                Command::Burl(burl) => self.client.send_burl(burl),
                other => panic!("no BURL: {other:?}"),
            },
            "starttls" => self.client.start_tls(),
            "tls" => self.client.tls_started(),
            "auth" => match rest.split_once(' ') {
                Some((mechanism, initial)) => self.client.auth(mechanism, Some(&unescape(initial))),
                None => self.client.auth(rest, None),
            },
            "respond" => self.client.respond(&unescape(rest)),
            "cancel" => self.client.cancel_auth(),
            "command" => self.client.command(&command(rest)),
            "quit" => self.client.quit(),
            other => panic!("unknown answer {other:?}"),
        }
    }
}

fn command(line: &str) -> Command {
    Command::parse(line.as_bytes(), &Lenient::default()).unwrap()
}

fn show(event: ClientEvent) -> Shown {
    Shown::Event(match event {
        ClientEvent::Refused(reply) => format!("Refused {reply}"),
        ClientEvent::StartTls(_) => "StartTls".into(),
        ClientEvent::StartTlsRefused(reply) => format!("StartTlsRefused {reply}"),
        ClientEvent::AuthChallenge(secret) => {
            format!(
                "AuthChallenge {:?}",
                String::from_utf8_lossy(secret.expose())
            )
        }
        ClientEvent::Authenticated(reply) => format!("Authenticated {reply}"),
        ClientEvent::AuthFailed(reply) => format!("AuthFailed {reply}"),
        ClientEvent::Reply(verb, reply) => format!("{verb}: {reply}"),
        ClientEvent::ServiceClosing(reply) => format!("ServiceClosing {reply}"),
        ClientEvent::Recipient(recipient) => {
            let command = recipient
                .command
                .map_or_else(|| "-".into(), |verb| verb.to_string());
            format!(
                "{} {:?} {command} {}",
                recipient.index, recipient.status, recipient.reply
            )
        }
        other => format!("{other:?}"),
    })
}

pub(crate) fn play(script: &str) {
    let mut config = match script.contains("#! lmtp") {
        true => ClientConfig::lmtp("client.example").unwrap(),
        false => ClientConfig::new("client.example").unwrap(),
    };
    let mut tls = false;
    for line in script.lines().filter_map(|line| line.strip_prefix("#! ")) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "lmtp" => {}
            "tls" => tls = true,
            "data" => config.chunking = false,
            "eight_bit" => config.eight_bit_anyway = true,
            "auth_plain_text" => config.auth_needs_tls = false,
            "line" => config.reply_line = value.parse().unwrap(),
            "reply" => config.reply = value.parse().unwrap(),
            "output" => config.output = value.parse().unwrap(),
            other => panic!("unknown configuration {other:?}"),
        }
    }
    let config = Arc::new(config);
    run(script, Side::Client, |now| {
        let mut client = Client::new(Arc::clone(&config), now);
        if tls {
            client.tls_started().unwrap();
        }
        Host { client }
    });
}
