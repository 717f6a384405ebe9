//! Real programs as servers for the SMTP client and as clients of the SMTP
//! server, over real sockets: what they were given is what they must give.
//!
//! They run where `POSTHASTE_INTEROP=1` says that they are installed, and
//! must be; those that cannot be installed beside Postfix are where
//! `fetch-peers` has put them, as `POSTHASTE_PEERS` says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs
)]

mod bed;
mod caller;
mod dovecot;
mod exim;
mod host;
mod libraries;
mod messages;
mod opensmtpd;
mod ours;
mod postfix;
mod relay;
mod small;
