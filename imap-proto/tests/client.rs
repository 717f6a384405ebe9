//! Transcripts of the client machine, whole, octet by octet, and cut at random.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    Append, AppendData, AppendMessage, AppendOptions, CatenatePart, Client, ClientConfig,
    ClientEvent, Command, Dialect, Error, Mailbox, Misuse, Replaced, Response, Secret,
    SequenceNumber, Step, Ticket, UrlData,
};
use proto_core::transcript::{self, Machine, Shown, Side, run, unescape};

struct ClientMachine {
    client: Client,
    names: HashMap<Ticket, String>,
}

impl ClientMachine {
    fn new(config: &ClientConfig, now: Instant) -> Self {
        Self {
            client: Client::new(Arc::new(config.clone()), now),
            names: HashMap::new(),
        }
    }

    fn show(&self, event: ClientEvent) -> Shown {
        let line = |response: Response| {
            let line = response.to_vec(Dialect::SERVER);
            let line = line.strip_suffix(b"\r\n").unwrap();
            String::from_utf8_lossy(line)
                .escape_debug()
                .to_string()
                .replace("\\\"", "\"")
                .replace("\\\\", "\\")
        };
        let status = |status| {
            let tag = imap_proto::Tag::new("x").unwrap();
            line(Response::Tagged { tag, status })[2..].to_owned()
        };
        Shown::Event(match event {
            ClientEvent::Payload(octets) => return Shown::Payload(octets.to_vec()),
            ClientEvent::Greeting(greeting) => format!("Greeting {}", status(greeting)),
            ClientEvent::Untagged(data) => line(Response::Untagged(data)),
            ClientEvent::Unparsed { error, .. } => format!("Unparsed {error}"),
            ClientEvent::PayloadStart {
                sequence,
                items,
                item,
            } => format!(
                "PayloadStart {sequence} {items:?} {:?}",
                item.content().unwrap()
            ),
            ClientEvent::UrlPayloadStart { urls, url } => {
                let all = urls.iter().chain([&url]).map(|one| {
                    let data = match &one.data {
                        UrlData::Plain(content) => format!("{content:?}"),
                        UrlData::Items { structure, content } => {
                            format!("{}{content:?}", structure.iter().count())
                        }
                    };
                    format!(" {}={data}", one.url.to_text())
                });
                format!("UrlPayloadStart{}", all.collect::<String>())
            }
            ClientEvent::Reply {
                ticket,
                status: reply,
            } => {
                format!("{} {}", self.names[&ticket], status(reply))
            }
            ClientEvent::Challenge(data) => {
                format!("Challenge {}", data.expose().escape_ascii())
            }
            ClientEvent::PayloadWanted(ticket) => format!("PayloadWanted {}", self.names[&ticket]),
            other => format!("{other:?}"),
        })
    }
}

impl Machine for ClientMachine {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        let step = self
            .client
            .poll(input, now)
            .map_err(|error| error.to_string())?;
        Ok(match step {
            Step::Event(event) => Step::Event(self.show(event)),
            other => other.map(|_| unreachable!()),
        })
    }

    transcript::forward!(client);

    /// `NAME = COMMAND`, `NAME append MAILBOX SIZE`, `send OCTETS`,
    /// `NAME all MAILBOX MESSAGE [| MESSAGE …]`, where a message is a size, or
    /// `url:URL` and `text:SIZE`; `NAME replace UID MAILBOX MESSAGE`,
    /// `NAME auth MECHANISM [INITIAL]`, `respond OCTETS`, `cancel`,
    /// `NAME idle`, `done`, `tls`.
    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        let ticket = match words[..] {
            ["send", octets] => {
                return self.client.send_payload(Bytes::from(unescape(octets)));
            }
            ["respond", octets] => return self.client.respond(&unescape(octets)),
            ["respond"] => return self.client.respond(b""),
            ["cancel"] => return self.client.cancel(),
            ["done"] => return self.client.done(),
            ["tls"] => return self.client.tls_started(),
            [_, "idle"] => self.client.idle()?,
            [_, "auth", rest] => {
                let (mechanism, initial) = match rest.split_once(' ') {
                    Some((mechanism, initial)) => (mechanism, Some(Secret::new(unescape(initial)))),
                    None => (rest, None),
                };
                self.client.authenticate(mechanism, initial)?
            }
            [_, "append", rest] => {
                let (mailbox, size) = rest.split_once(' ').unwrap();
                let append = Append {
                    mailbox: Mailbox::new(mailbox).unwrap(),
                    options: AppendOptions::default(),
                };
                self.client.append(append, size.parse().unwrap(), false)?
            }
            [_, "all", rest] => {
                let (mailbox, messages) = rest.split_once(' ').unwrap();
                let messages = messages.split(" | ").map(message).collect();
                self.client
                    .append_all(Mailbox::new(mailbox).unwrap(), messages)?
            }
            [_, "replace", rest] => {
                let [uid, mailbox, size] = rest.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{rest}");
                };
                let replaced = Replaced {
                    uid: true,
                    message: SequenceNumber::Number(uid.parse().unwrap()),
                };
                let mailbox = Mailbox::new(mailbox).unwrap();
                self.client.replace(replaced, mailbox, message(size))?
            }
            [_, "=", command] => {
                let octets = Bytes::from(unescape(&format!("x {command}")));
                self.client
                    .command(Command::parse(&octets, Dialect::CLIENT).unwrap().body)?
            }
            _ => panic!("no such answer: {text}"),
        };
        self.names.insert(ticket, words[0].to_owned());
        Ok(())
    }
}

fn message(text: &str) -> AppendMessage {
    let data = match text.parse() {
        Ok(size) => AppendData::Literal {
            size,
            binary: false,
        },
        Err(_) => AppendData::Catenate(
            text.split(' ')
                .map(|part| match part.split_once(':').unwrap() {
                    ("url", url) => CatenatePart::Url(url.try_into().unwrap()),
                    (_, size) => CatenatePart::Text {
                        size: size.parse().unwrap(),
                        utf8: false,
                    },
                })
                .collect(),
        ),
    };
    AppendMessage {
        options: AppendOptions::default(),
        data,
    }
}

#[test]
fn append_all() {
    play(include_str!("transcripts/client/append_all.txt"), &config());
}

fn play(script: &str, config: &ClientConfig) {
    run(script, Side::Client, |now| ClientMachine::new(config, now));
}

fn config() -> ClientConfig {
    ClientConfig {
        inline: 10,
        response: 2000,
        ..ClientConfig::default()
    }
}

#[test]
fn session() {
    play(include_str!("transcripts/client/session.txt"), &config());
}

#[test]
fn literals() {
    play(include_str!("transcripts/client/literals.txt"), &config());
}

#[test]
fn authenticate() {
    play(
        include_str!("transcripts/client/authenticate.txt"),
        &config(),
    );
}

#[test]
fn fetch_streams() {
    play(
        include_str!("transcripts/client/fetch_stream.txt"),
        &config(),
    );
}

#[test]
fn url_fetch_streams() {
    play(include_str!("transcripts/client/url_stream.txt"), &config());
}

#[test]
fn idle() {
    play(include_str!("transcripts/client/idle.txt"), &config());
}

#[test]
fn odd_servers() {
    play(include_str!("transcripts/client/odd.txt"), &config());
    let tolerant = ClientConfig {
        tolerate_bare_lf: true,
        ..config()
    };
    play(include_str!("transcripts/client/bare_lf.txt"), &tolerant);
    let tolerant = ClientConfig {
        tolerate_missing_space: true,
        ..config()
    };
    play(
        include_str!("transcripts/client/missing_space.txt"),
        &tolerant,
    );
}

#[test]
fn timeout() {
    play(include_str!("transcripts/client/timeout.txt"), &config());
}

/// Whatever is waited for, silence ends it.
#[test]
fn every_wait_has_an_end() {
    const OPEN: &str = "S: * OK [CAPABILITY IMAP4rev1 IDLE] hi\n\
        E: Greeting OK [CAPABILITY IMAP4rev1 IDLE] hi\n";
    let wait = |script: &str| play(&format!("{script}T: +299s\nT: +1s\nCLOSED:\n"), &config());
    wait("T: +0s\n");
    let after = |script: &str| wait(&format!("{OPEN}{script}"));
    after("A: a = NOOP\nC: A1 NOOP\n");
    after("A: a auth PLAIN\nC: A1 AUTHENTICATE PLAIN\n");
    after("A: a append INBOX 3\nC: A1 APPEND INBOX {3}\n");
    after("A: a idle\nC: A1 IDLE\n");
    after("A: a = LOGOUT\nC: A1 LOGOUT\n");
    after("A: a = STARTTLS\nC: A1 STARTTLS\nS: A1 OK go\nE: a OK go\n");
    after("S: * BYE going down\nE: * BYE going down\n");
    after("S: * 3 FETCH (BODY[] {12}\nE: PayloadStart 3 [] Stream(12)\nS+ 0123\nE+ 0123\n");
    // An IDLE is ended first.
    play(
        &format!(
            "{OPEN}A: a idle\nC: A1 IDLE\nS: + go\nE: Idling\nT: +1740s\nC: DONE\n\
             T: +299s\nT: +1s\nCLOSED:\n"
        ),
        &config(),
    );
}

/// A server that does not read.
#[test]
fn output_waits_not_for_ever() {
    let now = Instant::now();
    let mut client = Client::new(
        Arc::new(ClientConfig {
            output: 10,
            ..config()
        }),
        now,
    );
    let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1] hi\r\n");
    assert!(matches!(client.poll(&mut input, now), Ok(Step::Event(_))));
    client.command(imap_proto::CommandBody::Namespace).unwrap();
    assert_eq!(client.poll(&mut input, now), Ok(Step::NeedDrain));
    let end = client.poll_timeout().unwrap();
    assert_eq!(client.poll(&mut input, end), Ok(Step::NeedDrain));
    client.handle_timeout(end);
    assert_eq!(client.poll(&mut input, end), Err(Error::TimedOut("output")));
    assert_eq!(client.poll(&mut input, end), Ok(Step::Closed));
}

/// RFC 9051 §6.2.3: no password goes to a server that says so.
#[test]
fn login_disabled() {
    let now = Instant::now();
    let mut client = Client::new(Arc::new(config()), now);
    let greeting = "* OK [CAPABILITY IMAP4rev1 STARTTLS logindisabled] hi\r\n";
    let mut input = BytesMut::from(greeting);
    assert!(matches!(client.poll(&mut input, now), Ok(Step::Event(_))));
    let login = || imap_proto::CommandBody::Login {
        username: "u".try_into().unwrap(),
        password: Secret::new("p"),
    };
    assert!(matches!(
        client.command(login()),
        Err(Misuse::Argument { .. })
    ));
    assert_eq!(client.output().remaining(), 0);
    input.extend_from_slice(b"* CAPABILITY IMAP4rev1\r\n");
    assert!(matches!(client.poll(&mut input, now), Ok(Step::Event(_))));
    assert!(client.command(login()).is_ok());
}

/// A message takes as long as it takes: only who takes nothing is too slow.
#[test]
fn uploads_take_their_time() {
    let mut now = Instant::now();
    let mut client = Client::new(Arc::new(config()), now);
    let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1] hi\r\n");
    assert!(matches!(client.poll(&mut input, now), Ok(Step::Event(_))));
    let append = Append {
        mailbox: Mailbox::inbox(),
        options: AppendOptions::default(),
    };
    let ticket = client.append(append, 2_000_000, false).unwrap();
    let step = Duration::from_secs(200);
    assert_eq!(client.poll(&mut input, now), Ok(Step::NeedInput));
    now += step;
    client.handle_timeout(now);
    input.extend_from_slice(b"+ go\r\n");
    let wanted = Step::Event(ClientEvent::PayloadWanted(ticket));
    assert_eq!(client.poll(&mut input, now), Ok(wanted));
    let count = client.output().remaining();
    client.output().advance(count);
    // In small pieces, each of which is sent at once.
    for _ in 0..5 {
        assert_eq!(client.poll(&mut input, now), Ok(Step::NeedInput));
        now += step;
        client.handle_timeout(now);
        client.send_payload(vec![b'x'; 200_000].into()).unwrap();
        client.output().advance(200_000);
    }
    // And the rest at once, of which the server takes a little at a time.
    client.send_payload(vec![b'x'; 1_000_000].into()).unwrap();
    while client.wants_drain() {
        assert_eq!(client.poll(&mut input, now), Ok(Step::NeedDrain));
        client.output().advance(100_000);
        now += step;
        client.handle_timeout(now);
    }
    assert_eq!(client.poll(&mut input, now), Ok(Step::NeedInput));
    now += Duration::from_secs(300);
    client.handle_timeout(now);
    let silent = Error::TimedOut("response");
    assert_eq!(client.poll(&mut input, now), Err(silent));
}

/// What hostile servers send, and that it ends the connection.
#[test]
fn hostile_servers() {
    let now = Instant::now();
    let hear = |greeting: &str, rest: &[u8]| {
        let mut client = Client::new(Arc::new(config()), now);
        client.command(imap_proto::CommandBody::StartTls).unwrap();
        let mut input = BytesMut::from(greeting);
        input.extend_from_slice(rest);
        for _ in 0..100 {
            match client.poll(&mut input, now) {
                Ok(Step::Event(_)) => {}
                Ok(other) => return Ok(other.map(|_| ())),
                Err(error) => {
                    assert_eq!(client.poll(&mut input, now), Ok(Step::Closed));
                    return Err(error);
                }
            }
        }
        panic!("no end");
    };
    let greeting = "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n";
    for (rest, error) in [
        (
            &b"A1 OK go\r\n* CAPABILITY IMAP4rev1\r\n"[..],
            Error::InjectedBehindStartTls,
        ),
        (
            b"A9 OK what\r\n",
            Error::PeerMisbehaved("a tag that was not sent"),
        ),
        (b"+ go\r\n", Error::PeerMisbehaved("an unexpected \"+\"")),
        (b"\r\n", Error::PeerMisbehaved("no response")),
        (
            b"* LIST () \"/\" {3000}\r\n",
            Error::ResponseTooLarge("literal"),
        ),
        (&[b'*'; 3000], Error::ResponseTooLarge("line")),
    ] {
        assert_eq!(hear(greeting, rest), Err(error), "{}", rest.escape_ascii());
    }
    let no_greeting = Error::PeerMisbehaved("no greeting");
    assert_eq!(hear("220 mail ESMTP\r\n", b""), Err(no_greeting.clone()));
    assert_eq!(hear("* 3 EXISTS\r\n", b""), Err(no_greeting));
    assert_eq!(hear(greeting, b"A1 OK go\r\n"), Ok(Step::NeedAnswer));
}
