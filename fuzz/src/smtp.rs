//! SMTP: both machines against a peer that says anything, and the grammar.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use proto_core::{DotDecoder, DotEncoder, DotFault, DotStep, Output};
use smtp_proto::{
    Address, BareNewline, Capabilities, Client, ClientConfig, ClientEvent, Command, Config, Event,
    Lenient, Mail, Misuse, Rcpt, Reply, ReplyParser, Server, Step,
};

/// A server's session: the first octet says how the rest is cut, the second
/// how the server is configured.
///
/// However it is cut, the client is sent the same.
pub fn server(data: &[u8]) {
    let [cut, switches, wire @ ..] = data else {
        return;
    };
    let whole = server_says(*switches, wire, usize::MAX);
    // STARTTLS tells what comes with it from what comes later, by design.
    if !wire
        .windows(8)
        .any(|eight| eight.eq_ignore_ascii_case(b"STARTTLS"))
    {
        let pieces = server_says(*switches, wire, usize::from(*cut).max(1));
        assert_eq!(whole, pieces);
    }
}

fn server_says(switches: u8, wire: &[u8], cut: usize) -> Vec<u8> {
    let now = Instant::now();
    let mut config = match switches & 1 {
        0 => Config::new("mx.example"),
        _ => Config::lmtp("mx.example"),
    };
    config.bare_newline = match switches >> 1 & 3 {
        0 | 3 => BareNewline::Reject,
        1 => BareNewline::Pass,
        _ => BareNewline::Normalise,
    };
    config.extensions.starttls = true;
    config.extensions.auth = vec!["PLAIN".into(), "LOGIN".into()];
    config.auth_needs_tls = false;
    config.extensions.smtputf8 = true;
    config.extensions.dsn = true;
    config.extensions.etrn = true;
    config.extensions.binary_mime = true;
    config.extensions.xclient = vec!["NAME".into()];
    config.limits.message_size = 4096;
    config.lenient.missing_brackets = switches & 8 != 0;
    config.lenient.bare_lf_commands = switches & 16 != 0;
    let mut server = Server::new(Arc::new(config), now);
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(cut);
    let mut sent = Vec::new();
    loop {
        let step = server.poll(&mut input, now);
        assert!(server.output().len() < 80 * 1024);
        let count = server.output().remaining();
        sent.extend_from_slice(&server.output().copy_to_bytes(count));
        let answered = match step {
            Ok(Step::Event(event)) => answer(event, &mut server),
            Ok(Step::NeedInput) => {
                match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => server.handle_eof(),
                }
                Ok(())
            }
            Ok(Step::NeedDrain) => Ok(()),
            Ok(Step::NeedAnswer | Step::Closed) | Err(_) => return sent,
        };
        assert_eq!(answered, Ok(()));
    }
}

fn answer(event: Event, server: &mut Server) -> Result<(), Misuse> {
    match event {
        Event::PayloadStart(payload) if payload.recipients > 3 => {
            server.reply(Reply::new(452, [4, 3, 1], "full"))
        }
        Event::PayloadStart(_) => server.accept_payload(),
        Event::PayloadEnd => {
            for _ in 0..server.recipients().saturating_sub(1) {
                let reply = Reply::new(250, [2, 0, 0], "Ok");
                if server.reply(reply).is_err() {
                    return Ok(());
                }
            }
            // SMTP has one reply, which the loop may have given.
            let _ = server.reply(Reply::new(250, [2, 0, 0], "Ok"));
            Ok(())
        }
        Event::StartTls => {
            server.reply(Reply::new(220, [2, 0, 0], "go"))?;
            server.tls_started()
        }
        Event::Auth(start) if start.initial_response.is_none() => server.challenge(b"?"),
        Event::Auth(_) | Event::AuthData(_) => server.reply(Reply::new(235, [2, 7, 0], "in")),
        event if event.wants_answer() => server.reply(Reply::new(250, [2, 0, 0], "Ok")),
        _ => Ok(()),
    }
}

/// A client's session: the first octet says what the client does, the second
/// how the server's words are cut.
///
/// Every recipient is heard of once.
pub fn client(data: &[u8]) {
    let [switches, cut, wire @ ..] = data else {
        return;
    };
    let now = Instant::now();
    let config = match switches & 1 {
        0 => ClientConfig::new("a.example"),
        _ => ClientConfig::lmtp("a.example"),
    };
    let (Ok(mut config), Ok(address)) = (config, "a@example.org".parse::<Address>()) else {
        return;
    };
    config.chunking = switches & 2 != 0;
    config.auth_needs_tls = false;
    let mut client = Client::new(Arc::new(config), now);
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(usize::from(*cut).max(1));
    let (mut asked, mut heard, mut parts) = (0, 0, 0);
    loop {
        match client.poll(&mut input, now) {
            Ok(Step::Event(event)) => match event {
                ClientEvent::Ready if switches & 4 != 0 && client.start_tls().is_ok() => {}
                ClientEvent::Ready if switches & 8 != 0 && client.auth("PLAIN", None).is_ok() => {}
                ClientEvent::Ready | ClientEvent::TransactionEnd if asked < 6 => {
                    let recipients = vec![Rcpt::new(address.clone()); 2];
                    if client.begin(Mail::new(address.clone()), recipients).is_ok() {
                        asked += 2;
                    }
                }
                ClientEvent::StartTls(_) => assert_eq!(client.tls_started(), Ok(())),
                ClientEvent::AuthChallenge(_) => assert_eq!(client.respond(b"!"), Ok(())),
                ClientEvent::PayloadWanted if parts < 3 => {
                    parts += 1;
                    let part = Bytes::from_static(b".one\r\n.\n");
                    assert_eq!(client.send_payload(part), Ok(()));
                }
                ClientEvent::PayloadWanted => assert_eq!(client.end_payload(), Ok(())),
                ClientEvent::Recipient(_) => heard += 1,
                _ => {}
            },
            Ok(Step::NeedInput) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => client.handle_eof(),
            },
            Ok(Step::NeedDrain) => client.output().clear(),
            Ok(Step::NeedAnswer | Step::Closed) | Err(_) => break,
        }
        assert!(heard <= asked);
    }
    if matches!(client.poll(&mut input, now), Ok(Step::Closed)) {
        assert_eq!(heard, asked);
    }
}

/// A command that parses is shown as one that parses to the same.
pub fn grammar(data: &[u8]) {
    if let Ok(command) = Command::parse(data, &Lenient::default()) {
        let shown = command.to_string();
        assert_eq!(
            Command::parse(shown.as_bytes(), &Lenient::default()),
            Ok(command)
        );
    }
}

/// An address that parses is shown as it was written, and can be put together
/// again from what it means.
pub fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(address) = text.parse::<Address>() else {
        return;
    };
    assert_eq!(address.as_str(), text);
    assert!(!address.ascii_domain().is_empty());
    match Address::new(&address.unquoted_local_part(), address.domain()) {
        Ok(again) => assert_eq!(again.unquoted_local_part(), address.unquoted_local_part()),
        // Quotes may make it longer than it may be.
        Err(_) => assert!(address.local_part().len() > 32),
    }
}

/// A reply's lines, and the offer in them; what is sent on is one reply of
/// sound lines.
pub fn reply(data: &[u8]) {
    offer(data);
    let mut parser = ReplyParser::default();
    for line in data.split(|&octet| octet == b'\n') {
        let reply = match parser.line(line) {
            Ok(Some(reply)) => reply,
            Ok(None) => continue,
            Err(_) => return,
        };
        let mut wire = BytesMut::new();
        reply.encode(&mut wire);
        assert!(wire.ends_with(b"\r\n"));
        let mut again = ReplyParser::default();
        let mut rest = wire
            .strip_suffix(b"\r\n")
            .unwrap_or_default()
            .split(|&o| o == b'\n');
        let last = rest.next_back().unwrap_or_default();
        for line in rest {
            let line = line.strip_suffix(b"\r").unwrap_or_default();
            assert!(line.len() <= 510 && !line.contains(&b'\r'));
            assert_eq!(again.line(line), Ok(None));
        }
        let read = again.line(last).ok().flatten();
        assert_eq!(read.map(|read| read.code()), Some(reply.code()));
        let capabilities = Capabilities::from(reply);
        assert!(capabilities.auth().all(|word| !word.is_empty()));
        let _ = capabilities.others().count();
    }
}

/// An offer read in one go is what it is line by line.
fn offer(data: &[u8]) {
    let Ok(Some((whole, taken))) = Capabilities::parse(data) else {
        return;
    };
    let lines = data.get(..taken).unwrap_or_default();
    let lines = lines.strip_suffix(b"\n").unwrap_or_default();
    let mut parser = ReplyParser::default();
    let mut last = None;
    for line in lines.split(|&octet| octet == b'\n') {
        assert!(last.is_none());
        last = parser
            .line(line.strip_suffix(b"\r").unwrap_or(line))
            .ok()
            .flatten();
    }
    let offer = last.map(Capabilities::from).unwrap_or_default();
    assert!(whole.others().eq(offer.others()));
    assert!(whole.auth().eq(offer.auth()));
    let told = |offer: &Capabilities| (offer.size, offer.pipelining, offer.recipients_max);
    assert_eq!(told(&whole), told(&offer));
}

/// Message data: the first octet says how they are cut. However they are cut,
/// a server takes the same message from them; and what a client sends of any
/// octets is one message, with nothing behind it.
pub fn data(data: &[u8]) {
    let [cut, octets @ ..] = data else {
        return;
    };
    let cut = usize::from(*cut).max(1);
    for policy in [
        BareNewline::Reject,
        BareNewline::Pass,
        BareNewline::Normalise,
    ] {
        assert_eq!(
            decoded(octets, octets.len().max(1), policy),
            decoded(octets, cut, policy)
        );
    }
    let mut output = Output::default();
    let mut encoder = DotEncoder::normalising();
    for piece in octets.chunks(cut) {
        encoder.encode(&Bytes::copy_from_slice(piece), &mut output);
    }
    encoder.finish(&mut output);
    let wire = output.copy_to_bytes(output.len());
    let (message, rest, fault) = decoded(&wire, cut, BareNewline::Reject);
    assert_eq!(rest, Some(Vec::new()));
    // A NUL is passed on, as the octets were.
    assert!(fault.is_none_or(|fault| fault.octet == 0));
    assert!(message.is_empty() || message.ends_with(b"\r\n"));
}

/// The message, what stands behind its end where it ends, and its fault.
type Decoded = (Vec<u8>, Option<Vec<u8>>, Option<DotFault>);

fn decoded(wire: &[u8], cut: usize, policy: BareNewline) -> Decoded {
    let mut decoder = DotDecoder::new(policy);
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(cut);
    let mut message = Vec::new();
    loop {
        match decoder.step(&mut input, cut.max(4)) {
            DotStep::Chunk(chunk) => message.extend_from_slice(&chunk),
            DotStep::End => {
                let mut rest = input.to_vec();
                rest.extend(pieces.flatten());
                return (message, Some(rest), decoder.fault());
            }
            DotStep::NeedInput => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => return (message, None, decoder.fault()),
            },
        }
    }
}
