//! SMTP, submission and LMTP: sans-IO server and client machines.
//!
//! No socket, no clock, no thread: the host moves octets and says what time
//! it is, the machine knows the protocol. Strict by default; a message is
//! streamed, never held; memory per connection is bounded by [`Limits`].
//!
//! | item | what it is |
//! |---|---|
//! | [`Server`], [`Config`], [`Event`] | the receiving side |
//! | [`Client`], [`ClientConfig`], [`ClientEvent`] | the sending side |
//! | [`Command`] and [`Mail`], [`Rcpt`], … | a type per command: parse and show |
//! | [`Address`], [`ReversePath`], [`ForwardPath`] | who a message is from and for |
//! | [`Reply`], [`EnhancedCode`], [`ReplyParser`] | what a server says |
//! | [`Capabilities`] | what a server offers |
//!
//! # Serving
//!
//! Poll, act, answer, write. [`Event`] says of each event which answers it
//! wants; [`Step`] says what `poll` wants.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use bytes::{Buf, BytesMut};
//! use smtp_proto::{Config, Error, Event, Reply, Server, Step};
//!
//! /// Answers events until the machine wants octets; gives what to send.
//! fn turn(server: &mut Server, input: &mut BytesMut) -> Result<Vec<u8>, Error> {
//!     loop {
//!         match server.poll(input, Instant::now())? {
//!             Step::Event(event) => match event {
//!                 Event::Mail(_) => server.reply(Reply::new(250, [2, 1, 0], "Ok")),
//!                 Event::Rcpt(_) => server.reply(Reply::new(250, [2, 1, 5], "Ok")),
//!                 Event::PayloadStart(_) => server.accept_payload(),
//!                 Event::Payload(_chunk) => Ok(()), // store it
//!                 Event::PayloadEnd => {
//!                     server.reply(Reply::new(250, [2, 0, 0], "Ok: queued as 4bXyZ1"))
//!                 }
//!                 event if event.wants_answer() => {
//!                     server.reply(Reply::new(502, [5, 5, 1], "Error: not implemented"))
//!                 }
//!                 _ => Ok(()),
//!             }
//!             .expect("each event got an answer that it asks for"),
//!             _ => break, // read more, or write, or close: see `Step`
//!         }
//!     }
//!     let output = server.output();
//!     Ok(output.copy_to_bytes(output.len()).to_vec())
//! }
//!
//! let config = Arc::new(Config::new("mx.example.org"));
//! let mut server = Server::new(config, Instant::now());
//! let mut input = BytesMut::new();
//! assert_eq!(turn(&mut server, &mut input)?, b"220 mx.example.org ESMTP\r\n");
//! input.extend_from_slice(b"HELO client.example\r\nMAIL FROM:<a@example.org>\r\n");
//! assert_eq!(
//!     turn(&mut server, &mut input)?,
//!     b"250 mx.example.org\r\n250 2.1.0 Ok\r\n",
//! );
//! # Ok::<(), Error>(())
//! ```
//!
//! # Sending
//!
//! The client exchanges greetings by itself, then does what it is told. A
//! transaction goes out in as few flights as the server allows, and ends with
//! one [`Recipient`] for each recipient: delivered, deferred or bounced, and
//! in whose words. Here it talks to the server above, in memory:
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Instant;
//! # use bytes::{Buf, Bytes, BytesMut};
//! # use smtp_proto::*;
//! # fn turn(server: &mut Server, input: &mut BytesMut) -> Vec<u8> {
//! #     while let Ok(Step::Event(event)) = server.poll(input, Instant::now()) {
//! #         match event {
//! #             Event::PayloadStart(_) => server.accept_payload().unwrap(),
//! #             event if event.wants_answer() => server.reply(Reply::new(250, [2, 0, 0], "Ok")).unwrap(),
//! #             _ => {}
//! #         }
//! #     }
//! #     let len = server.output().len();
//! #     server.output().copy_to_bytes(len).to_vec()
//! # }
//! # let mut server = Server::new(Arc::new(Config::new("mx.example.org")), Instant::now());
//! # let mut to_server = BytesMut::new();
//! let config = Arc::new(ClientConfig::new("client.example")?);
//! let mut client = Client::new(config, Instant::now());
//! let mut input = BytesMut::new();
//! let mut message = Some(Bytes::from_static(b"Subject: hello\r\n\r\nworld\r\n"));
//! let mut delivered = false;
//! loop {
//!     match client.poll(&mut input, Instant::now())? {
//!         Step::Event(ClientEvent::Ready) => {
//!             let from: Address = "a@example.org".parse()?;
//!             let to: Address = "b@example.org".parse()?;
//!             client.begin(Mail::new(from), vec![Rcpt::new(to)])?;
//!         }
//!         Step::Event(ClientEvent::PayloadWanted) => match message.take() {
//!             Some(chunk) => client.send_payload(chunk)?,
//!             None => client.end_payload()?,
//!         },
//!         Step::Event(ClientEvent::Recipient(recipient)) => {
//!             delivered = recipient.status == Status::Delivered;
//!         }
//!         Step::Event(ClientEvent::TransactionEnd) => client.quit()?,
//!         Step::Event(other) => println!("{other:?}"),
//!         Step::Closed => break,
//!         _ => {
//!             // Write `client.output()` to the socket, read into `input`.
//! #           let len = client.output().len();
//! #           to_server.extend_from_slice(&client.output().copy_to_bytes(len));
//! #           input.extend_from_slice(&turn(&mut server, &mut to_server));
//!         }
//!     }
//! }
//! assert!(delivered);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Whole programs
//!
//! Over blocking sockets: `cargo run --example server`, and `client`. What
//! talks to them here, and asserts what they say, is not shown.
//!
//! ```
//! # mod example {
#![doc = include_str!("../examples/server.rs")]
//! # }
//! # use std::io::{Read, Write};
//! # use std::net::{TcpListener, TcpStream};
//! # use std::sync::Mutex;
//! # static STORED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
//! # fn main() -> std::io::Result<()> {
//! #     let listener = TcpListener::bind("127.0.0.1:0")?;
//! #     let mut stream = TcpStream::connect(listener.local_addr()?)?;
//! #     std::thread::spawn(move || {
//! #         example::serve(&listener, |octets| STORED.lock().unwrap().extend(octets))
//! #     });
//! #     let mut said = String::new();
//! #     for (line, until) in [
//! #         ("", "220 localhost ESMTP\r\n"),
//! #         ("EHLO client.example\r\n", "250 SIZE 52428800\r\n"),
//! #         ("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n", "354 End"),
//! #         ("Subject: hello\r\n\r\n..\r\n.\r\n", "\r\n250 2.0.0 Ok\r\n"),
//! #         ("MAIL FROM:<>\r\nRCPT TO:a\r\nQUIT\r\n", "221 2.0.0 Bye\r\n"),
//! #     ] {
//! #         stream.write_all(line.as_bytes())?;
//! #         said.clear();
//! #         while !said.contains(until) {
//! #             let mut octet = [0];
//! #             stream.read_exact(&mut octet)?;
//! #             said.push(char::from(octet[0]));
//! #         }
//! #     }
//! #     assert!(said.starts_with("250 2.0.0 Ok\r\n501 5.1.3 "), "{said}");
//! #     assert_eq!(stream.read(&mut [0])?, 0, "closed");
//! #     assert_eq!(*STORED.lock().unwrap(), b"Subject: hello\r\n\r\n.\r\n");
//! #     Ok(())
//! # }
//! ```
//!
//! ```
//! # mod example {
#![doc = include_str!("../examples/client.rs")]
//! # }
//! # use std::io::{Read, Write};
//! # use std::net::{TcpListener, TcpStream};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let listener = TcpListener::bind("127.0.0.1:0")?;
//! #     let address = listener.local_addr()?;
//! #     let server = std::thread::spawn(move || {
//! #         let mut stream = listener.accept().unwrap().0;
//! #         for (reply, wanted) in [
//! #             ("220 mx.example ESMTP\r\n", "EHLO localhost\r\n"),
//! #             (
//! #                 "250-mx.example\r\n250 PIPELINING\r\n",
//! #                 "MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@[127.0.0.1]>\r\nDATA\r\n",
//! #             ),
//! #             (
//! #                 "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go ahead\r\n",
//! #                 "Subject: hello\r\n\r\nworld\r\n.\r\n",
//! #             ),
//! #             ("250 2.0.0 Taken\r\n", "QUIT\r\n"),
//! #         ] {
//! #             stream.write_all(reply.as_bytes()).unwrap();
//! #             let mut said = vec![0; wanted.len()];
//! #             stream.read_exact(&mut said).unwrap();
//! #             assert_eq!(String::from_utf8_lossy(&said), wanted);
//! #         }
//! #         stream.write_all(b"221 2.0.0 Bye\r\n").unwrap();
//! #         assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed");
//! #     });
//! #     let recipient = example::send(TcpStream::connect(address)?)?.unwrap();
//! #     assert_eq!(recipient.status, smtp_proto::Status::Delivered);
//! #     assert_eq!(recipient.reply.to_string(), "250 2.0.0 Taken");
//! #     server.join().unwrap();
//! #     Ok(())
//! # }
//! ```
//!
//! # TLS
//!
//! The machines know when TLS begins, not how. For STARTTLS (RFC 3207): on
//! the server answer [`Event::StartTls`] with 220, on the client call
//! [`Client::start_tls`] and wait for [`ClientEvent::StartTls`]; write all
//! output, do the handshake on the socket, call `tls_started`. Octets that
//! came in plain text behind the command or its reply are never read as if
//! they had come under TLS: the connection ends. For implicit TLS (RFC 8314)
//! call `tls_started` before the first `poll`.
//!
//! # AUTH
//!
//! The machines frame a SASL exchange (RFC 4954) and take the base64 off; the
//! host steps the mechanism, with `proto_core::sasl` or whatever it likes.
//!
//! # RFCs
//!
//! | RFC | what of it |
//! |---|---|
//! | 5321 | both sides; source routes are ignored, VRFY and EXPN are the host's |
//! | 1870 | SIZE, checked at MAIL and while streaming |
//! | 1985 | ETRN, the host's |
//! | 2033 | LMTP, both sides |
//! | 2034, 3463, 5248 | enhanced status codes |
//! | 2852 | DELIVERBY: parameter, offer and its least time |
//! | 2920 | PIPELINING, both sides |
//! | 3030 | CHUNKING and BINARYMIME, both sides |
//! | 3207 | STARTTLS, both sides |
//! | 3461 | DSN: parameters and offer |
//! | 3865 | NO-SOLICITING: parameter and offer |
//! | 3885 | MTRK: parameter and offer |
//! | 4468 | BURL, the host's; refused unless offered |
//! | 4865 | FUTURERELEASE: parameters, offer and its longest time |
//! | 4954 | AUTH, both sides |
//! | 6152 | 8BITMIME, both sides |
//! | 6531 | SMTPUTF8, both sides |
//! | 6710 | MT-PRIORITY: parameter and offer |
//! | 7293 | RRVS: parameter and offer |
//! | 8689 | REQUIRETLS: parameter and offer, under TLS only |
//! | 9422 | LIMITS, both sides |
//!
//! XCLIENT and XFORWARD are Postfix's.

mod address;
mod client;
mod client_name;
mod command;
mod domain;
mod error;
mod extension;
mod octets;
mod parameter;
mod path;
mod patience;
mod reply;
mod server;

pub use address::Address;
pub use client::{
    Client, ClientConfig, ClientError, ClientEvent, ClientTimeouts, Recipient, Status,
};
pub use client_name::ClientName;
pub use command::{
    Attribute, AuthStart, Bdat, Body, Burl, ByMode, Command, DeliverBy, Etrn, Hello, HelloVerb,
    Hold, Lookup, Mail, MailAuth, MailExtras, Mtrk, Notify, NotifyOn, Orcpt, ProxyAttributes, Rcpt,
    RcptExtras, Ret, Rrvs, Verb,
};
pub use domain::AddressLiteral;
pub use error::{ParseError, ParseErrorKind};
pub use extension::Capabilities;
pub use parameter::Parameter;
pub use path::{ForwardPath, Lenient, ReversePath};
pub use proto_core::{BareNewline, Misuse, Output, Secret, Step};
pub use reply::{EnhancedCode, Reply, ReplyParser, Severity};
pub use server::{
    Config, Error, Event, Extensions, Fault, FutureRelease, Limits, Mode, Payload, Rejected,
    Server, Timeouts,
};

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
