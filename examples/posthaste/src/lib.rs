//! The posthaste mail server, as a library and one thin program.
//!
//! The protocols, the mail formats and the filter languages are the crates
//! below; here they meet sockets, accounts and a queue.
//!
//! Sessions and deliveries reach mail through two seams alone, [`store`] and
//! [`queue`]. What implements them knows paths and files; nothing above does.

pub mod auth;
pub mod blocking;
pub mod cli;
pub mod config;
pub mod delivery;
mod files;
pub mod imap;
pub mod logging;
pub mod managesieve;
pub mod pop3;
pub mod procmail;
pub mod queue;
pub mod received;
pub mod reception;
pub mod route;
pub mod server;
pub mod store;
