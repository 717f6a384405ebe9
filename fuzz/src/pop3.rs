//! POP3: both machines against a peer that says anything.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use pop3_proto::{
    Client, ClientConfig, ClientEvent, Command, Config, Event, Maildrop, MessageNumber, Opening,
    Reply, Server,
};
use proto_core::{Secret, Step};

/// A server's session: the first octet says how the rest is cut.
///
/// However it is cut, the client is sent the same.
pub fn server(data: &[u8]) {
    let Some((cut, wire)) = data.split_first() else {
        return;
    };
    let whole = server_says(wire, usize::MAX);
    // STLS tells what comes with it from what comes later, by design.
    if !wire
        .windows(4)
        .any(|four| four.eq_ignore_ascii_case(b"STLS"))
    {
        assert_eq!(whole, server_says(wire, usize::from(*cut).max(1)));
    }
}

fn server_says(wire: &[u8], cut: usize) -> Vec<u8> {
    let now = Instant::now();
    let opening = Opening {
        tls: wire.first().is_none_or(|octet| octet % 2 == 0),
        timestamp: Some("<1.2@example>".into()),
    };
    let config = Config {
        apop: true,
        ..Config::default()
    };
    let mut server = Server::open(Arc::new(config), opening, now);
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
            Ok(Step::NeedAnswer | Step::Closed) | Err(_) => {
                let count = server.output().remaining();
                sent.extend_from_slice(&server.output().copy_to_bytes(count));
                return sent;
            }
        };
        assert_eq!(answered, Ok(()));
    }
}

fn answer(event: Event, server: &mut Server) -> Result<(), proto_core::Misuse> {
    match event {
        Event::StartTls => {
            server.reply(Reply::ok("go"))?;
            server.tls_started()
        }
        Event::Login(login) if login.name.len() % 2 == 0 => server.reply(Reply::err("no")),
        Event::Auth(_) => server.challenge(b"?"),
        Event::Login(_) | Event::Apop(_) | Event::AuthData(_) => {
            let mut maildrop = Maildrop::default();
            for (size, unique_id) in [(1, "a"), (u64::MAX, "b"), (7, "c")] {
                assert!(maildrop.push(size, unique_id).is_ok());
            }
            server.open_maildrop(maildrop)
        }
        Event::Retrieve(_) => {
            server.accept_payload()?;
            for part in ["A: 1\r", "\n\r\n", ".one\r\n..", "\r\n.\r\nthree"] {
                server.send_payload(Bytes::from_static(part.as_bytes()))?;
            }
            server.end_payload()
        }
        Event::Update(_) => server.reply(Reply::ok("bye")),
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
    let mut client = Client::new(ClientConfig::default(), now);
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(usize::from(*cut).max(1));
    loop {
        match client.poll(&mut input, now) {
            Ok(Step::Event(ClientEvent::Greeting { .. })) => ask(&mut client, *commands),
            Ok(Step::Event(ClientEvent::Challenge { .. })) => {
                assert_eq!(client.auth_response(&Secret::new(*b"!")), Ok(()));
            }
            Ok(Step::Event(ClientEvent::StartTls { .. })) => {
                assert_eq!(client.tls_started(), Ok(()));
            }
            Ok(Step::Event(_)) => {}
            Ok(Step::NeedInput) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => client.handle_eof(),
            },
            _ => return,
        }
    }
}

fn ask(client: &mut Client, commands: u8) {
    let number = MessageNumber::new(1);
    let all = [
        Some(Command::Capa),
        Some(Command::Stat),
        Some(Command::List(None)),
        Some(Command::Uidl(None)),
        number.map(Command::Retr),
        number.map(|number| Command::Top(number, 1)),
        Command::parse(b"AUTH PLAIN").ok(),
        Some(Command::Stls),
    ];
    for (bit, command) in all.into_iter().enumerate() {
        if commands >> bit & 1 == 1
            && let Some(command) = command
        {
            // A barrier may stand before it.
            let _ = client.send(&command);
        }
    }
}
