//! POP3 (RFC 1939): sans-IO machines for both sides.
//!
//! A [`Server`] or [`Client`] is a state machine without a socket, a clock or
//! a lock. The host appends what it reads to a buffer and calls `poll`;
//! [`Step`](proto_core::Step) says what is wanted next; what is to be sent
//! stands in `output()`.
//!
//! The server keeps a frozen [`Maildrop`] (numbers, sizes, unique-ids, marks)
//! and answers CAPA, STAT, LIST, UIDL, DELE, RSET and NOOP from it. Only
//! logins, the octets of a message and the removal at QUIT reach the host, as
//! [`Event`]s:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use bytes::{Buf, Bytes, BytesMut};
//! use pop3_proto::{Config, Event, Maildrop, Opening, Reply, ResponseCode, Server};
//! use proto_core::Step;
//!
//! const MAIL: &[u8] = b"Subject: hello\r\n\r\n.dot\r\n";
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let opening = Opening { tls: true, ..Opening::default() };
//! let mut server = Server::open(Arc::new(Config::default()), opening, Instant::now());
//! // What a client would send, all at once (PIPELINING):
//! let mut input = BytesMut::from("USER mrose\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n");
//! let mut sent = Vec::new();
//! loop {
//!     match server.poll(&mut input, Instant::now())? {
//!         Step::Event(Event::Login(login)) if login.password.expose() == b"secret" => {
//!             let mut maildrop = Maildrop::default();
//!             maildrop.push(MAIL.len() as u64, "1700000000.1")?;
//!             server.open_maildrop(maildrop)?;
//!         }
//!         Step::Event(Event::Login(_)) => {
//!             server.reply(Reply::err("wrong name or password").with(ResponseCode::Auth))?;
//!         }
//!         Step::Event(Event::Retrieve(_)) => {
//!             server.accept_payload()?;
//!             server.send_payload(Bytes::from_static(MAIL))?; // in chunks, as it is read
//!             server.end_payload()?;
//!         }
//!         Step::Event(Event::Update(update)) => {
//!             assert_eq!(update.deleted.len(), 1); // now is the time to remove it
//!             server.reply(Reply::ok("bye"))?;
//!         }
//!         Step::Event(_) => {}
//!         Step::NeedInput => break, // read from the socket
//!         Step::NeedDrain | Step::NeedAnswer => {}
//!         Step::Closed => break,
//!     }
//! }
//! let output = server.output();
//! sent.extend_from_slice(&output.copy_to_bytes(output.remaining()));
//! assert_eq!(
//!     String::from_utf8(sent)?,
//!     "+OK POP3 server ready\r\n\
//!      +OK send PASS\r\n\
//!      +OK maildrop has 1 message (24 octets)\r\n\
//!      +OK 24 octets\r\nSubject: hello\r\n\r\n..dot\r\n.\r\n\
//!      +OK message 1 marked\r\n\
//!      +OK bye\r\n"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | item | what it is |
//! |---|---|
//! | [`Server`], [`Event`], [`Opening`], [`Config`] | the server's side |
//! | [`Client`], [`ClientEvent`], [`ClientConfig`] | the client's side |
//! | [`Maildrop`], [`MessageNumber`] | what a session sees of the mail |
//! | [`Command`], [`ParseError`] | a command line, read and written |
//! | [`Reply`], [`ResponseCode`] | a response's first line |
//!
//! # What of the RFCs is here
//!
//! | RFC | what | where |
//! |---|---|---|
//! | 1939 | all commands, APOP included (the host computes the digest) | everywhere |
//! | 2449 | CAPA, response codes, lengths, PIPELINING, EXPIRE, LOGIN-DELAY, IMPLEMENTATION | [`Config`], [`ResponseCode`] |
//! | 2595 §4 | STLS | [`Event::StartTls`] |
//! | 3206 | SYS/TEMP, SYS/PERM, AUTH, and AUTH-RESP-CODE | [`ResponseCode`] |
//! | 5034 | AUTH with initial response and cancellation | [`Event::Auth`] |
//! | 6856 | UTF8; neither its USER argument nor LANG | [`Retrieve::utf8`] |
//! | 8314 §3.3 | TLS from the first octet | [`Opening::tls`] |
//!
//! Lines end in CRLF; a bare LF is refused unless
//! [`Config::allow_bare_lf`]. Passwords are taken under TLS only unless
//! [`Config::plaintext_without_tls`].

mod client;
mod command;
mod config;
mod error;
mod maildrop;
mod reply;
mod server;

pub use client::{Capabilities, Client, ClientConfig, ClientEvent, Ticket};
pub use command::{AuthStart, Command};
pub use config::{Config, Expire, Limits, SaslMechanism, Timeouts};
pub use error::{ClientError, ParseError, ParseErrorKind, ServerError};
pub use maildrop::{Maildrop, MaildropError, MessageNumber};
pub use reply::{Reply, ResponseCode, Status};
pub use server::{Apop, Event, Login, Opening, Rejected, Retrieve, Server, Update};

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
