//! Serves two messages by POP3, without TLS, to anybody who says "secret".
//!
//! ```text
//! cargo run -p posthaste-pop3-proto --example serve
//! curl pop3://127.0.0.1:1110/1 -u anybody:secret
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example owns its clock and its terminal"
)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use pop3_proto::{Config, Event, Maildrop, Reply, ResponseCode, Server};
use proto_core::Step;
use proto_core::sasl::{Credentials, Mechanism, SaslServer, ServerStep};

const MAILS: [&str; 2] = [
    "From: a@example.org\r\nSubject: one\r\n\r\nHello.\r\n",
    "From: b@example.org\r\nSubject: two\r\n\r\n.dots\r\n..dots\r\n",
];

fn main() -> Result<(), Box<dyn Error>> {
    let config = Arc::new(Config {
        stls: false,
        plaintext_without_tls: true,
        ..Config::default()
    });
    let listener = TcpListener::bind("127.0.0.1:1110")?;
    println!("listening on {}", listener.local_addr()?);
    for socket in listener.incoming() {
        let config = config.clone();
        std::thread::spawn(move || match socket {
            Ok(socket) => serve(socket, config).unwrap_or_else(|error| println!("{error}")),
            Err(error) => println!("{error}"),
        });
    }
    Ok(())
}

fn serve(mut socket: TcpStream, config: Arc<Config>) -> Result<(), Box<dyn Error>> {
    let mut server = Server::new(config, Instant::now());
    let mut input = BytesMut::new();
    loop {
        let step = server.poll(&mut input, Instant::now());
        match step {
            Ok(Step::Event(event)) => answer(event, &mut server)?,
            Ok(Step::NeedAnswer) => {}
            Ok(Step::NeedDrain) => flush(&mut socket, &mut server)?,
            Ok(Step::NeedInput) => {
                flush(&mut socket, &mut server)?;
                let now = Instant::now();
                let wait = server.poll_timeout().map(|at| at.duration_since(now));
                socket.set_read_timeout(wait.filter(|wait| !wait.is_zero()))?;
                let mut buffer = [0; 4096];
                match socket.read(&mut buffer) {
                    Ok(0) => server.handle_eof(),
                    Ok(count) => input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                    Err(_) => server.handle_timeout(Instant::now()),
                }
            }
            Ok(Step::Closed) | Err(_) => return flush(&mut socket, &mut server),
        }
    }
}

fn flush(socket: &mut TcpStream, server: &mut Server) -> Result<(), Box<dyn Error>> {
    let output = server.output();
    while output.has_remaining() {
        let count = socket.write(output.chunk())?;
        output.advance(count);
    }
    Ok(())
}

fn answer(event: Event, server: &mut Server) -> Result<(), Box<dyn Error>> {
    match event {
        Event::Login(login) => log_in(login.password.expose(), server)?,
        Event::Auth(start) if start.mechanism == "PLAIN" => {
            let mut exchange = SaslServer::new(Mechanism::Plain);
            let response = start.initial_response.as_ref();
            match exchange.start(response.map(proto_core::Secret::expose)) {
                Ok(ServerStep::Credentials(Credentials { password, .. })) => {
                    log_in(password.expose(), server)?;
                }
                Ok(ServerStep::Challenge(challenge)) => server.challenge(&challenge)?,
                _ => server.reply(Reply::err("malformed").with(ResponseCode::Auth))?,
            }
        }
        Event::AuthData(data) => match SaslServer::new(Mechanism::Plain).step(data.expose()) {
            Ok(ServerStep::Credentials(Credentials { password, .. })) => {
                log_in(password.expose(), server)?;
            }
            _ => server.reply(Reply::err("malformed").with(ResponseCode::Auth))?,
        },
        Event::Retrieve(retrieve) => {
            let mail = MAILS.get(retrieve.number.index()).copied();
            server.accept_payload()?;
            server.send_payload(Bytes::from_static(mail.unwrap_or_default().as_bytes()))?;
            server.end_payload()?;
        }
        Event::Update(update) => {
            println!("to be removed: {:?}", update.deleted);
            server.reply(Reply::ok("bye"))?;
        }
        other => println!("{other:?}"),
    }
    Ok(())
}

fn log_in(password: &[u8], server: &mut Server) -> Result<(), Box<dyn Error>> {
    if password != b"secret" {
        server.reply(Reply::err("wrong name or password").with(ResponseCode::Auth))?;
        return Ok(());
    }
    let mut maildrop = Maildrop::default();
    for (index, mail) in MAILS.iter().enumerate() {
        maildrop.push(mail.len() as u64, &format!("1700000000.{index}"))?;
    }
    server.open_maildrop(maildrop)?;
    Ok(())
}
