//! What the sans-IO mail protocol machines share.
//!
//! The protocol crates (`smtp_proto`, `pop3_proto`, `imap_proto`, and
//! `sieve`'s ManageSieve) contain no socket, no clock and no lock. Each
//! `Server` and `Client` has the same six methods, word for word:
//!
//! ```
//! # use std::time::Instant;
//! # use bytes::BytesMut;
//! # use proto_core::{Output, Step};
//! # struct Error;
//! # enum Event {}
//! # trait Shape {
//! fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Event>, Error>;
//! fn output(&mut self) -> &mut Output; // implements `bytes::Buf`
//! fn poll_timeout(&self) -> Option<Instant>;
//! fn handle_timeout(&mut self, now: Instant);
//! fn handle_eof(&mut self);
//! fn shutdown(&mut self);
//! # }
//! ```
//!
//! The host owns `input` and only appends to it; [`Step`] says what `poll`
//! wants next. What the machines are made of is here:
//!
//! | item | what it is |
//! |---|---|
//! | [`Step`], [`Misuse`] | the answer of `poll`; a mistake of the host |
//! | [`Output`] | a queue of octets to send, payloads uncopied |
//! | [`LineScanner`] | bounded lines, each octet looked at once |
//! | [`DotDecoder`], [`DotEncoder`] | dot-stuffing (RFC 5321 §4.5.2) |
//! | [`NewlineEncoder`] | CRLF for every line end, without dot-stuffing |
//! | [`Deadlines`] | named timers folded to one instant |
//! | [`Secret`] | octets that are never printed, wiped when dropped |
//! | [`sasl`] | base64 and the mechanisms that hosts step |
//! | [`transcript`] | runs `C:`/`S:` scripts against a machine (feature `transcript`) |

mod deadline;
mod dot;
mod line;
mod output;
pub mod sasl;
mod secret;
mod step;
#[cfg(feature = "transcript")]
pub mod transcript;

pub use deadline::Deadlines;
pub use dot::{BareNewline, DotDecoder, DotEncoder, DotFault, DotStep, NewlineEncoder};
pub use line::{LineScanner, Scan};
pub use output::Output;
pub use secret::Secret;
pub use step::{Misuse, Step};

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
