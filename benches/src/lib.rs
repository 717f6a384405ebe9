//! Benchmarks of the posthaste crates beside their peers.

pub mod imap;
