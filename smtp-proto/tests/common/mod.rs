//! What the tests of this folder share.
#![allow(dead_code, clippy::disallowed_methods)] // each test file uses some of it

pub(crate) mod client;
pub(crate) mod server;
pub(crate) mod session;
