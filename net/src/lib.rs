//! Drives the sans-IO mail machines over tokio and rustls.
//!
//! This is the only crate of posthaste that knows sockets, TLS and DNS.
//!
//! - [`Conn`]: one connection: a machine, its transport and its input buffer.
//!   [`Conn::next`] pumps octets until the machine has an event.
//! - [`Stream`]: its transport, accepted or connected to, TLS or not, deflated
//!   or not.
//! - [`Listener`], [`LocalListener`]: accept connections, with limits in all
//!   and per address, and behind proxies.
//! - [`tls`]: certificates, acceptors and connectors.
//! - [`Resolver`]: MX, address and reverse look-ups.

mod conn;
mod deflate;
mod listener;
mod machine;
mod proxy;
mod resolver;
mod socket;
mod stream;
pub mod tls;

pub use conn::{Conn, ConnError};
pub use listener::{Listener, ListenerLimits, LocalListener};
pub use proxy::{Proxied, ProxyError, ProxyHeader, read_proxy_header};
pub use resolver::{Exchange, Resolver, ResolverError};
pub use socket::Socket;
pub use stream::Stream;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
