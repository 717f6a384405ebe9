//! What the tests of this folder share.
#![allow(dead_code)] // each test file uses some of it

pub(crate) mod client;
pub(crate) mod server;
