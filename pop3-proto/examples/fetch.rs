//! Prints every message of a maildrop, and leaves it there. Without TLS.
//!
//! ```text
//! cargo run -p posthaste-pop3-proto --example fetch 127.0.0.1:1110 anybody secret
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example owns its clock and its terminal"
)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use pop3_proto::{Client, ClientConfig, ClientEvent, Command, MessageNumber};
use proto_core::{Secret, Step};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what| arguments.next().ok_or(what);
    let mut socket = TcpStream::connect(argument("an address is missing")?)?;
    let user = argument("a user is missing")?;
    let password = Secret::new(argument("a password is missing")?);
    // What is sent when the command before it has its answer.
    let mut next = Some(Command::Pass(password));
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;

    let mut client = Client::new(ClientConfig::default(), Instant::now());
    let mut input = BytesMut::new();
    loop {
        match client.poll(&mut input, Instant::now())? {
            Step::Event(ClientEvent::Greeting { .. }) => {
                client.send(&Command::User(user.clone()))?;
            }
            Step::Event(ClientEvent::Reply { reply, .. }) => {
                println!("{reply}");
                match next.take() {
                    _ if !reply.is_ok() => client.shutdown(),
                    Some(Command::Pass(password)) => {
                        client.send(&Command::Pass(password))?;
                        next = Some(Command::Stat);
                    }
                    Some(command) => drop(client.send(&command)?),
                    None => {}
                }
            }
            Step::Event(ClientEvent::Stat { count, .. }) => {
                for number in (1..=count).filter_map(MessageNumber::new) {
                    client.send(&Command::Retr(number))?;
                }
                client.send(&Command::Quit)?;
            }
            Step::Event(ClientEvent::Payload(octets)) => std::io::stdout().write_all(&octets)?,
            Step::Event(_) => {}
            Step::NeedInput | Step::NeedDrain | Step::NeedAnswer => {
                let output = client.output();
                while output.has_remaining() {
                    let count = socket.write(output.chunk())?;
                    output.advance(count);
                }
                let mut buffer = [0; 4096];
                match socket.read(&mut buffer)? {
                    0 => client.handle_eof(),
                    count => input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                }
            }
            Step::Closed => return Ok(()),
        }
    }
}
