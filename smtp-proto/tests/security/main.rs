//! Attacks on record, each as a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;
mod exhaustion;
mod injection;
mod slow_servers;
mod smuggling;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use common::session::Session;
use smtp_proto::{
    BareNewline, Client, ClientConfig, ClientError, ClientEvent, Command, Config, Error, Event,
    Lenient, Lookup, Mail, Misuse, Rcpt, Reply, Status, Step,
};

const ENVELOPE: &[u8] = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
