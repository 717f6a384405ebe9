//! A server on 127.0.0.1:2525 that shows the mail that it is sent.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use smtp_proto::{Config, Event, Reply, Server, Step};

/// Of a session, or of all of them.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:2525")?;
    serve(&listener, |octets| {
        print!("{}", String::from_utf8_lossy(octets))
    })
}

/// A thread for each client; whatever they send is stored as it comes.
pub fn serve(listener: &TcpListener, store: fn(&[u8])) -> Outcome {
    let config = Arc::new(Config::new("localhost"));
    for stream in listener.incoming() {
        let (stream, server) = (stream?, Server::new(config.clone(), Instant::now()));
        std::thread::spawn(move || session(stream, server, store));
    }
    Ok(())
}

fn session(mut stream: TcpStream, mut server: Server, store: fn(&[u8])) -> Outcome {
    let (mut input, mut buffer) = (BytesMut::new(), [0; 16_384]);
    loop {
        let step = server.poll(&mut input, Instant::now());
        if let Ok(Step::Event(event)) = step {
            match event {
                Event::PayloadStart(_) => server.accept_payload()?,
                Event::Payload(octets) => store(&octets),
                event if event.wants_answer() => server.reply(Reply::new(250, [2, 0, 0], "Ok"))?,
                _ => {}
            }
            continue;
        }
        let len = server.output().len();
        stream.write_all(&server.output().copy_to_bytes(len))?;
        if matches!(step, Ok(Step::Closed) | Err(_)) {
            return Ok(());
        }
        let left = |at: Instant| at.duration_since(Instant::now()) + Duration::from_millis(1);
        stream.set_read_timeout(server.poll_timeout().map(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => server.handle_eof(),
            Ok(count) => input.extend(buffer.iter().take(count)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => server.handle_timeout(Instant::now()),
            Err(error) => return Err(error.into()),
        }
    }
}
