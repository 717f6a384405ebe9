//! Sends a message to the server of the other example.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]
use bytes::{Buf, Bytes, BytesMut};
use smtp_proto::{Address, Client, ClientConfig, ClientEvent, Mail, Rcpt, Recipient, Step};
use std::{error::Error, io::Read, io::Write, net::TcpStream, sync::Arc, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    send(TcpStream::connect("127.0.0.1:2525")?).map(|recipient| println!("{recipient:?}"))
}

/// One message to one recipient; answers what became of it.
pub fn send(mut stream: TcpStream) -> Result<Option<Recipient>, Box<dyn Error>> {
    let mail = Mail::new("alice@example.org".parse::<Address>()?);
    let to = vec![Rcpt::new("bob@[127.0.0.1]".parse::<Address>()?)];
    let mut message = Some(Bytes::from_static(b"Subject: hello\r\n\r\nworld\r\n"));
    let mut client = Client::new(Arc::new(ClientConfig::new("localhost")?), Instant::now());
    let (mut input, mut buffer, mut fate) = (BytesMut::new(), [0; 4096], None);
    loop {
        match client.poll(&mut input, Instant::now())? {
            Step::Event(ClientEvent::Ready) => client.begin(mail.clone(), to.clone())?,
            Step::Event(ClientEvent::PayloadWanted) => match message.take() {
                Some(octets) => client.send_payload(octets)?,
                None => client.end_payload()?,
            },
            Step::Event(ClientEvent::Recipient(recipient)) => fate = Some(recipient),
            Step::Event(ClientEvent::TransactionEnd) => client.quit()?,
            Step::Event(_) => {}
            Step::Closed => return Ok(fate),
            _ => {
                let len = client.output().len();
                stream.write_all(&client.output().copy_to_bytes(len))?;
                match stream.read(&mut buffer)? {
                    0 => client.handle_eof(),
                    count => input.extend(buffer.iter().take(count)),
                }
            }
        }
    }
}
