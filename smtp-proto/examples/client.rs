//! Sends a message to the server of the other example.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]
use bytes::{Buf, Bytes, BytesMut};
use smtp_proto::{Address, Client, ClientConfig, ClientEvent, Mail, Rcpt, Step};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let from: Address = "alice@example.org".parse()?;
    let to: Address = "bob@example.org".parse()?;
    let mut stream = std::net::TcpStream::connect("127.0.0.1:2525")?;
    let mut client = Client::new(Arc::new(ClientConfig::new("localhost")?), Instant::now());
    let mut input = BytesMut::new();
    let mut message = Some(Bytes::from_static(b"Subject: hello\r\n\r\nworld\r\n"));
    loop {
        match client.poll(&mut input, Instant::now())? {
            Step::Event(ClientEvent::Ready) => {
                client.begin(Mail::new(from.clone()), vec![Rcpt::new(to.clone())])?;
            }
            Step::Event(ClientEvent::PayloadWanted) => match message.take() {
                Some(chunk) => client.send_payload(chunk)?,
                None => client.end_payload()?,
            },
            Step::Event(ClientEvent::TransactionEnd) => client.quit()?,
            Step::Event(event) => println!("{event:?}"),
            Step::Closed => return Ok(()),
            _ => {
                let len = client.output().len();
                stream.write_all(&client.output().copy_to_bytes(len))?;
                let mut buffer = [0; 4096];
                match stream.read(&mut buffer)? {
                    0 => client.handle_eof(),
                    count => input.extend(buffer.iter().take(count)),
                }
            }
        }
    }
}
