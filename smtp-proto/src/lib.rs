//! SMTP, submission and LMTP: sans-IO server and client machines.
//!
//! No socket, no clock, no thread: the host moves octets and says what time
//! it is, the machine knows the protocol. [`Server`] is the receiving side of
//! SMTP (RFC 5321), submission (RFC 6409) and LMTP (RFC 2033).
//!
//! # The loop
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

mod address;
mod client;
mod command;
mod domain;
mod error;
mod extension;
mod parameter;
mod reply;
mod server;

pub use address::{Address, ForwardPath, Lenient, ReversePath};
pub use client::{
    Client, ClientConfig, ClientError, ClientEvent, ClientTimeouts, Recipient, Status,
};
pub use command::{
    Attribute, AuthStart, Bdat, Body, Burl, ByMode, Command, DeliverBy, Etrn, Hello, HelloVerb,
    Hold, Lookup, Mail, MailAuth, Mtrk, Notify, NotifyOn, Orcpt, ProxyAttributes, Rcpt, Ret, Rrvs,
    Verb,
};
pub use domain::AddressLiteral;
pub use error::{ParseError, ParseErrorKind};
pub use extension::Capabilities;
pub use parameter::Parameter;
pub use proto_core::{BareNewline, Misuse, Output, Secret, Step};
pub use reply::{EnhancedCode, Reply, ReplyParser, Severity};
pub use server::{
    Config, Error, Event, Extensions, Fault, FutureRelease, Limits, Mode, Payload, Rejected,
    Server, Timeouts,
};
