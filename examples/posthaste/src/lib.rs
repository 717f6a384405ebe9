//! The posthaste mail server, as a library and one thin program.
//!
//! The protocols, the mail formats and the filter languages are the crates
//! below; here they meet sockets, accounts and a queue.

pub mod config;
