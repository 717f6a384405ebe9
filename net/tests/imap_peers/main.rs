//! The IMAP client against servers that nobody here wrote, over real sockets:
//! what they were given is what they must give.
//!
//! They run where `POSTHASTE_INTEROP=1` says that they are there, and must
//! be: Dovecot is installed; Courier, which conflicts with it as a package,
//! is where `fetch-clients` has put it, as `POSTHASTE_PEERS` says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "../smtp_peers/bed.rs"]
#[allow(dead_code, reason = "of the bed, each test uses its part")]
mod bed;
mod courier;
mod dovecot;
mod talk;
