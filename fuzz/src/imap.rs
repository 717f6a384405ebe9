//! IMAP: the grammar both ways, both machines against a peer that says
//! anything, and the algorithms that crafted mail could stall.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    Append, AppendOptions, CatenatePart, Client, ClientConfig, ClientEvent, Command, CommandBody,
    Config, Content, Delimiter, Dialect, Event, Extension, FetchItem, ImapUrl, ListPattern,
    Mailbox, Misuse, Response, Section, Server, Step, ThreadAlgorithm, ThreadInput, Untagged,
    base_subject, thread,
};

/// A command that parses is the same when it is encoded and parsed again.
pub fn command(data: &[u8]) {
    let text = Bytes::copy_from_slice(data);
    for utf8 in [false, true] {
        let dialect = Dialect {
            utf8,
            ..Dialect::SERVER
        };
        if let Ok(command) = Command::parse(&text, dialect) {
            let again = Bytes::from(command.to_vec(dialect));
            assert_eq!(Command::parse(&again, dialect), Ok(command));
        }
    }
}

/// A response that parses does so again when it is encoded.
pub fn response(data: &[u8]) {
    let text = Bytes::copy_from_slice(data);
    for utf8 in [false, true] {
        let dialect = Dialect {
            utf8,
            ..Dialect::SERVER
        };
        if let Ok(response) = Response::parse(&text, dialect) {
            let again = Bytes::from(response.to_vec(dialect));
            assert!(Response::parse(&again, dialect).is_ok());
        }
    }
}

/// A mailbox name, and a pattern that is matched against it.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (name, pattern) = text.split_once('\n').unwrap_or((&text, "%*"));
    let (Ok(mailbox), Ok(pattern)) = (Mailbox::new(name), ListPattern::new(pattern)) else {
        return;
    };
    let command = Command {
        tag: match imap_proto::Tag::new("a") {
            Ok(tag) => tag,
            Err(_) => return,
        },
        body: CommandBody::Delete(mailbox),
    };
    let octets = Bytes::from(command.to_vec(Dialect::SERVER));
    assert_eq!(
        Command::parse(&octets, Dialect::SERVER).as_ref(),
        Ok(&command)
    );
    let _ = pattern.matches(name, Delimiter::new('/').ok());
}

/// A message to a line: subject, TAB, Message-ID, TAB, References.
pub fn threads(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let numbers = (1..).filter_map(NonZeroU32::new);
    let inputs: Vec<_> = numbers
        .zip(text.lines())
        .map(|(number, line)| {
            let mut parts = line.split('\t');
            let mut part = || parts.next().unwrap_or_default();
            let (subject, id, references) = (part(), part(), part());
            let _ = base_subject(subject);
            ThreadInput::new(number, i64::from(number.get() % 7))
                .with_subject(subject)
                .with_ids(id, references, references)
        })
        .collect();
    for algorithm in [
        ThreadAlgorithm::References,
        ThreadAlgorithm::OrderedSubject,
        ThreadAlgorithm::Refs,
    ] {
        let nodes = thread(&inputs, algorithm);
        let mut numbers: Vec<_> = nodes.iter().filter_map(|node| node.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), inputs.len());
        let octets = Response::Untagged(Untagged::Thread(nodes)).to_vec(Dialect::SERVER);
        assert!(Response::parse(&octets.into(), Dialect::SERVER).is_ok());
    }
}

/// A BODYSTRUCTURE: what is understood is the same when it is encoded and
/// parsed again.
pub fn body_structure(data: &[u8]) {
    let mut text = b"* 1 FETCH (BODYSTRUCTURE ".to_vec();
    text.extend_from_slice(data);
    text.extend_from_slice(b")");
    let parsed = Response::parse(&Bytes::from(text), Dialect::SERVER);
    let Ok(Response::Untagged(Untagged::Fetch { items, .. })) = &parsed else {
        return;
    };
    let [FetchItem::BodyStructure(_)] = &items[..] else {
        return;
    };
    let again = parsed.as_ref().map(|one| one.to_vec(Dialect::SERVER));
    let again = Bytes::from(again.unwrap_or_default());
    assert_eq!(Response::parse(&again, Dialect::SERVER), parsed);
}

/// A URL, and one beside it on the next line.
pub fn urls(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (url, base) = text.split_once('\n').unwrap_or((&text, ""));
    let (Ok(url), Ok(base)) = (ImapUrl::parse(url), ImapUrl::parse(base)) else {
        return;
    };
    assert!(url.as_str().starts_with(url.rump()));
    if let Ok(resolved) = url.resolve(&base) {
        assert_eq!(ImapUrl::parse(resolved.as_str()).as_ref(), Ok(&resolved));
    }
}

/// Lines and literals: a server that knows nothing else answers each command
/// once, however it is cut. The first octet says how.
pub fn framing(data: &[u8]) {
    let Some((cut, wire)) = data.split_first() else {
        return;
    };
    let answers = |cut: usize| {
        let now = Instant::now();
        let mut config = Config {
            login_without_tls: true,
            ..Config::default()
        };
        config.limits.line = 40;
        config.limits.command = 80;
        config.limits.literals = 3;
        config.limits.errors = u32::MAX;
        let mut server = Server::new(Arc::new(config), now);
        let mut input = BytesMut::new();
        let mut pieces = wire.chunks(cut);
        loop {
            match server.poll(&mut input, now) {
                Ok(Step::Event(Event::Command(_))) => assert_eq!(server.bad("never"), Ok(())),
                Ok(Step::Event(_)) => {}
                Ok(Step::NeedInput) => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => server.handle_eof(),
                },
                _ => break,
            }
            assert!(cut > 40 || input.len() <= 80 + 40 + cut);
        }
        let count = server.output().remaining();
        server.output().copy_to_bytes(count)
    };
    assert_eq!(answers(usize::MAX), answers(usize::from(*cut).max(1)));
}

/// A server's session: the first octet says how the rest is cut.
///
/// However it is cut, the client is sent the same.
pub fn server(data: &[u8]) {
    let Some((cut, wire)) = data.split_first() else {
        return;
    };
    let whole = server_says(wire, usize::MAX);
    // STARTTLS tells what comes with it from what comes later, by design.
    let starttls = |eight: &[u8]| eight.eq_ignore_ascii_case(b"STARTTLS");
    if !wire.windows(8).any(starttls) {
        assert_eq!(whole, server_says(wire, usize::from(*cut).max(1)));
    }
}

fn server_says(wire: &[u8], cut: usize) -> Vec<u8> {
    let now = Instant::now();
    let mut config = Config {
        login_without_tls: true,
        starttls: true,
        mechanisms_without_tls: vec!["PLAIN".into()],
        ..Config::default()
    };
    config.extensions = Extension::ALL.iter().copied().collect();
    config.limits.line = 300;
    config.limits.command = 600;
    config.limits.message = 1000;
    let mut server = Server::new(Arc::new(config), now);
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(cut);
    let mut sent = Vec::new();
    loop {
        let step = server.poll(&mut input, now);
        let count = server.output().remaining();
        sent.extend_from_slice(&server.output().copy_to_bytes(count));
        assert!(cut > 300 || input.len() <= 600 + 300 + cut);
        let answered = match step {
            Ok(Step::Event(event)) => serve(event, &mut server),
            Ok(Step::NeedInput) => {
                match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => server.handle_eof(),
                }
                Ok(())
            }
            Ok(Step::NeedDrain) => Ok(()),
            Ok(Step::NeedAnswer | Step::Closed) | Err(_) => {
                let count = server.output().remaining();
                sent.extend_from_slice(&server.output().copy_to_bytes(count));
                return sent;
            }
        };
        assert_eq!(answered, Ok(()));
    }
}

fn serve(event: Event, server: &mut Server) -> Result<(), Misuse> {
    match event {
        Event::StartTls => {
            server.ok("go")?;
            server.tls_started()
        }
        Event::Authenticate {
            initial_response: None,
            ..
        } => server.challenge(b"?"),
        Event::Authenticate { .. } | Event::AuthData(_) | Event::IdleDone => server.ok("done"),
        Event::PayloadStart(payload) if payload.size % 5 == 4 => server.no("not that one"),
        Event::PayloadPart(CatenatePart::Url(url)) if url.as_bytes().len() % 3 == 2 => {
            server.no("no such part")
        }
        Event::PayloadStart(_) | Event::PayloadPart(_) => server.accept_payload(),
        Event::PayloadEnd { last: true } => server.ok("stored"),
        Event::Command(Command {
            body: CommandBody::Fetch(_),
            ..
        }) => {
            let item = FetchItem::Section {
                section: Section::default(),
                origin: None,
                content: Content::Stream(3),
            };
            server.untagged(&Untagged::Fetch {
                sequence: NonZeroU32::MIN,
                items: vec![item],
            })?;
            server.send_payload(Bytes::from_static(b"ab"))?;
            server.send_payload(Bytes::from_static(b"c"))?;
            server.ok("fetched")
        }
        Event::Command(command) if command.tag.as_str().len() % 4 == 3 => server.no("no"),
        Event::Command(_) => server.ok("done"),
        _ => Ok(()),
    }
}

/// A client's session: the first octet says which commands it sends, the
/// second how the server's words are cut.
pub fn client(data: &[u8]) {
    let [commands, cut, wire @ ..] = data else {
        return;
    };
    let now = Instant::now();
    let config = ClientConfig {
        inline: 8,
        response: 500,
        tolerate_bare_lf: commands % 2 == 1,
        ..ClientConfig::default()
    };
    let mut client = Client::new(Arc::new(config), now);
    ask(&mut client, *commands);
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(usize::from(*cut).max(1));
    loop {
        match client.poll(&mut input, now) {
            Ok(Step::Event(ClientEvent::Challenge(_))) => {
                assert_eq!(client.respond(b"!"), Ok(()));
            }
            Ok(Step::Event(ClientEvent::PayloadWanted(_))) => {
                assert_eq!(client.send_payload(Bytes::from_static(b"abc")), Ok(()));
            }
            Ok(Step::Event(ClientEvent::Idling)) => assert_eq!(client.done(), Ok(())),
            Ok(Step::Event(_)) => {}
            Ok(Step::NeedInput) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => client.handle_eof(),
            },
            Ok(Step::NeedAnswer) => {
                assert_eq!(client.tls_started(), Ok(()));
            }
            Ok(Step::NeedDrain) => client.output().clear(),
            Ok(Step::Closed) | Err(_) => return,
        }
        assert!(input.len() <= 1100);
    }
}

fn ask(client: &mut Client, commands: u8) {
    let append = Append {
        mailbox: Mailbox::inbox(),
        options: AppendOptions::default(),
    };
    let asked = [
        commands & 2 != 0 && client.command(CommandBody::Noop).is_ok(),
        commands & 4 != 0 && client.append(append, 3, false).is_ok(),
        commands & 8 != 0 && client.authenticate("PLAIN", None).is_ok(),
        commands & 16 != 0 && client.idle().is_ok(),
        commands & 32 != 0 && client.command(CommandBody::StartTls).is_ok(),
    ];
    assert_eq!(
        asked.iter().filter(|asked| **asked).count(),
        usize::try_from((commands & 62).count_ones()).unwrap_or(0)
    );
}
