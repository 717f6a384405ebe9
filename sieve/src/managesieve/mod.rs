//! ManageSieve (RFC 5804): both sides as machines without I/O.
//!
//! The server frames commands, keeps the order of the protocol and answers what needs no store (CAPABILITY, NOOP,
//! LOGOUT, faults of syntax); the host stores scripts, checks passwords and starts TLS. The loop is that of all
//! machines of this workspace:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//! use bytes::{Buf, BytesMut};
//! use proto_core::Step;
//! use sieve::managesieve::{Config, Event, Reply, Server};
//!
//! let now = Instant::now();
//! let mut server = Server::new(Arc::new(Config::default()), now);
//! let mut input = BytesMut::from("AUTHENTICATE \"PLAIN\" \"AGJvYgBzZWNyZXQ=\"\r\nLISTSCRIPTS\r\n");
//! server.output().clear(); // the greeting
//!
//! let Ok(Step::Event(Event::Authenticate(auth))) = server.poll(&mut input, now) else { panic!() };
//! assert_eq!(auth.initial.unwrap().expose(), b"\0bob\0secret");
//! server.authenticated("bob", None).unwrap();
//!
//! let Ok(Step::Event(Event::ListScripts)) = server.poll(&mut input, now) else { panic!() };
//! server.output().clear();
//! server.send_list([("holidays", true)]).unwrap();
//! assert_eq!(server.output().chunk(), b"\"holidays\" ACTIVE\r\nOK\r\n");
//! ```

mod client;
mod command;
mod reply;
mod server;
mod syntax;

pub use client::{Client, ClientConfig, ClientEvent, Listed, Ticket};
pub use command::{AuthStart, Event};
pub use reply::{Code, Reply, Status};
pub use server::{Config, Server, Timeouts};

/// The connection is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Octets stood behind STARTTLS or its answer: they could be taken for encrypted ones.
    #[error("octets in the clear behind STARTTLS")]
    InjectedPlaintext,
    /// The peer sent what no reading can go on after.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The peer was silent for too long.
    #[error("the peer was silent for too long")]
    Timeout,
    /// Too many commands that are none.
    #[error("too many commands that are none")]
    TooManyFaults,
}
