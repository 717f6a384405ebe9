//! The mail notifier, biff(1): a datagram for each message.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};

/// The mail notifier's port.
const COMSAT: u16 = 512;

/// Sends the text to COMSAT's `service@host`, where nobody may be listening; false if there is
/// no such service or host. Without a host it only tells that the notifier is wanted at all.
pub(super) fn send(service: &[u8], text: &[u8]) -> bool {
    let service = String::from_utf8_lossy(service);
    let (port, host) = service.split_once('@').unwrap_or_default();
    let port = match port {
        "" | "biff" | "comsat" => Some(COMSAT),
        service => port_of(service),
    };
    let host = if host.is_empty() { "localhost" } else { host };
    let (Some(port), Ok(socket)) = (port, UdpSocket::bind("0.0.0.0:0")) else {
        return false;
    };
    let Ok(mut addresses) = (host, port).to_socket_addrs() else {
        return false;
    };
    if let Some(address) = addresses.find(SocketAddr::is_ipv4) {
        let _ = socket.send_to(text, address);
    }
    true
}

/// The port of a service of datagrams, by its number or its name.
fn port_of(service: &str) -> Option<u16> {
    if service.starts_with(|first: char| first.is_ascii_digit()) {
        return service.parse().ok();
    }
    let known = fs::read_to_string("/etc/services").ok()?;
    known.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let name = words.next()?;
        let port = words.next()?.strip_suffix("/udp")?;
        let named = name == service || words.any(|alias| alias == service);
        named.then(|| port.parse().ok()).flatten()
    })
}
