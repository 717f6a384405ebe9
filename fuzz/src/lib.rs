//! Fuzz targets of the posthaste crates; the committed corpus is replayed by the tests.

pub mod imap;
pub mod mime;
pub mod pop3;
pub mod procmail;
pub mod sieve;
pub mod smtp;
