//! Lines of the RFCs' examples that no whole session has; what is said of
//! them, and which are not here, is in `transcripts/examples/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use smtp_proto::{
    Client, ClientConfig, ClientEvent, Command, Config, Event, FutureRelease, Lenient, Reply,
    ReplyParser, Server, Step, Verb,
};

#[test]
fn read_written_and_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().peekable();
        let mut reply = String::new();
        while let Some(line) = lines.next() {
            let place = || format!("{}: {line}", path.display());
            if let Some(command) = line.strip_prefix("C: ") {
                let other = lines.next_if(|next| next.starts_with("=: "));
                let expected = other.map_or(command, |other| other.trim_start_matches("=: "));
                hear_command(command, expected, &place());
                count += 1;
            } else if let Some(said) = line.strip_prefix("S: ") {
                reply.push_str(said);
                reply.push_str("\r\n");
                if said.as_bytes().get(3) != Some(&b'-') {
                    hear_reply(&std::mem::take(&mut reply), &place());
                    count += 1;
                }
            } else {
                panic!("{}", place());
            }
        }
        assert_eq!(reply, "", "{}", path.display());
    }
    assert!(count > 50, "{count} examples");
}

/// Everything is offered.
fn config() -> Config {
    let mut config = Config::new("foo.com");
    let offered = &mut config.extensions;
    offered.dsn = true;
    offered.etrn = true;
    offered.burl = Some("imap".into());
    offered.deliver_by = Some(0);
    offered.mt_priority = Some(None);
    offered.rrvs = true;
    offered.auth = vec!["SCRAM-SHA-1".into()];
    offered.future_release = Some(FutureRelease {
        max_interval: 1,
        max_date_time: "2030-01-01T00:00:00Z".into(),
    });
    config.auth_needs_tls = false;
    config
}

fn hear_command(line: &str, expected: &str, place: &str) {
    let command = Command::parse(line.as_bytes(), &Lenient::default()).unwrap();
    assert_eq!(command.to_string(), expected, "{place}");
    let before = match command.verb() {
        Verb::Ehlo | Verb::Helo => "",
        Verb::Rcpt => "EHLO a\r\nMAIL FROM:<a@b>\r\n",
        Verb::Burl => "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
        _ => "EHLO a\r\n",
    };
    let wire = format!("{line}\r\n");
    for piece in 1..=wire.len() {
        let now = Instant::now();
        let mut server = Server::new(Arc::new(config()), now);
        let mut input = BytesMut::from(before);
        serve(&mut server, &mut input, now);
        let mut heard = Vec::new();
        for part in wire.as_bytes().chunks(piece) {
            input.extend_from_slice(part);
            heard.extend(serve(&mut server, &mut input, now));
        }
        assert_eq!(heard, [expected], "{place}, in pieces of {piece}");
    }
}

/// Says yes to everything; answers the commands that were heard.
fn serve(server: &mut Server, input: &mut BytesMut, now: Instant) -> Vec<String> {
    let mut heard = Vec::new();
    while let Ok(Step::Event(event)) = server.poll(input, now) {
        heard.push(match &event {
            Event::Hello(hello) => hello.to_string(),
            Event::Mail(mail) => mail.to_string(),
            Event::Rcpt(rcpt) => rcpt.to_string(),
            Event::Etrn(etrn) => etrn.to_string(),
            Event::Burl(burl) => burl.to_string(),
            Event::Auth(start) => start.to_string(),
            other => panic!("{other:?}"),
        });
        if let Event::Auth(_) = event {
            server.reply(Reply::new(235, [2, 7, 0], "in")).unwrap();
        } else if event.wants_answer() {
            server.reply(Reply::new(250, [2, 0, 0], "Ok")).unwrap();
        }
    }
    let output = server.output();
    output.advance(output.remaining());
    heard
}

fn hear_reply(wire: &str, place: &str) {
    let mut parser = ReplyParser::default();
    let mut lines = wire.split_terminator("\r\n");
    let reply = lines.find_map(|line| parser.line(line.as_bytes()).unwrap());
    let reply = reply.unwrap();
    let mut written = BytesMut::new();
    reply.encode(&mut written);
    assert_eq!(written, wire, "{place}");
    for piece in 1..=wire.len() {
        let now = Instant::now();
        let config = Arc::new(ClientConfig::new("client.example").unwrap());
        let mut client = Client::new(config, now);
        let mut input = BytesMut::from("220 x\r\n250 x\r\n");
        let ready = client.poll(&mut input, now);
        assert_eq!(ready, Ok(Step::Event(ClientEvent::Ready)));
        client.command(&Command::Noop).unwrap();
        let mut heard = Vec::new();
        for part in wire.as_bytes().chunks(piece) {
            input.extend_from_slice(part);
            while let Ok(Step::Event(event)) = client.poll(&mut input, now) {
                heard.push(event);
            }
        }
        let expected = [ClientEvent::Reply(Verb::Noop, reply.clone())];
        assert_eq!(heard, expected, "{place}, in pieces of {piece}");
    }
}
