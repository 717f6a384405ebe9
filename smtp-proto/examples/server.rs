//! A server on 127.0.0.1:2525 that shows the mail that it is sent.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use smtp_proto::{Config, Event, Misuse, Reply, Server, Step};

fn main() -> io::Result<()> {
    let config = Arc::new(Config::new("localhost"));
    for stream in TcpListener::bind("127.0.0.1:2525")?.incoming() {
        let (stream, server) = (stream?, Server::new(config.clone(), Instant::now()));
        std::thread::spawn(move || session(stream, server));
    }
    Ok(())
}

fn session(mut stream: TcpStream, mut server: Server) -> io::Result<()> {
    let mut input = BytesMut::new();
    let mut buffer = [0; 16_384];
    loop {
        let step = server.poll(&mut input, Instant::now());
        if let Ok(Step::Event(event)) = step {
            answer(event, &mut server).map_err(io::Error::other)?;
            continue;
        }
        while server.output().has_remaining() {
            let count = stream.write(server.output().chunk())?;
            server.output().advance(count);
        }
        if matches!(step, Ok(Step::Closed) | Err(_)) {
            return Ok(());
        }
        let left = |at: Instant| at.duration_since(Instant::now()) + Duration::from_millis(1);
        stream.set_read_timeout(server.poll_timeout().map(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => server.handle_eof(),
            Ok(count) => input.extend(buffer.iter().take(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                server.handle_timeout(Instant::now());
            }
            Err(error) => return Err(error),
        }
    }
}

fn answer(event: Event, server: &mut Server) -> Result<(), Misuse> {
    match event {
        Event::PayloadStart(_) => return server.accept_payload(),
        Event::Payload(chunk) => print!("{}", String::from_utf8_lossy(&chunk)),
        event if event.wants_answer() => return server.reply(Reply::new(250, [2, 0, 0], "Ok")),
        event => println!("# {event:?}"),
    }
    Ok(())
}
