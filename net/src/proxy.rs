//! The header that a proxy puts before a connection to tell whose it is: the
//! PROXY protocol of HAProxy, versions 1 and 2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Octets of a header of version 1 with its CRLF, as the protocol says.
const V1_MAX: usize = 107;

/// Octets of a header of version 2 behind its first 16. The protocol allows
/// 65,535: nobody sends as much, and memory is held before anybody is known.
const V2_MAX: usize = 4096;

const V1_START: &[u8] = b"PROXY ";
const V2_START: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Between whom a proxied connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxied {
    /// The client, as the proxy saw it.
    pub source: SocketAddr,
    /// Where the client connected to.
    pub destination: SocketAddr,
}

/// Whose connection a proxy hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// A client's.
    Proxied(Proxied),
    /// The proxy's own, as for a health check: `LOCAL` of version 2.
    Local,
    /// Somebody's whose address the proxy does not know or tell: `UNKNOWN` of
    /// version 1, and of version 2 unspecified addresses or sockets in a file
    /// system. It must not be taken for the proxy, which may be trusted.
    Unknown,
}

/// Why a proxy's connection is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// What came is no header.
    #[error("no PROXY header: {0}")]
    Malformed(&'static str),
    /// The header did not come in time.
    #[error("the PROXY header did not come in time")]
    Timeout,
    /// The transport failed or ended.
    #[error("PROXY header: {0}")]
    Io(#[from] io::Error),
}

/// Reads the header off a connection, and nothing behind it.
///
/// Only for connections from a proxy that is trusted: whoever writes the
/// header can claim to be anyone. `limit` stops one that sends no whole
/// header from holding the connection.
///
/// # Errors
/// [`ProxyError`]; the connection is to be closed without a word.
pub async fn read_proxy_header(
    socket: &mut TcpStream,
    limit: Duration,
) -> Result<ProxyHeader, ProxyError> {
    tokio::time::timeout(limit, read(socket))
        .await
        .map_err(|_| ProxyError::Timeout)?
}

async fn read(socket: &mut TcpStream) -> Result<ProxyHeader, ProxyError> {
    // Shorter than any header of either version.
    let mut start = [0; 12];
    socket.read_exact(&mut start).await?;
    if start == V2_START {
        let mut fixed = [0; 4];
        socket.read_exact(&mut fixed).await?;
        let [version, family, high, low] = fixed;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > V2_MAX {
            return Err(ProxyError::Malformed("too long"));
        }
        let mut rest = vec![0; len];
        socket.read_exact(&mut rest).await?;
        return parse_v2(version, family, &rest);
    }
    if !start.starts_with(V1_START) {
        return Err(ProxyError::Malformed("neither version's first octets"));
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\n") {
        // Only what belongs to the line is taken: what follows may be for
        // the TLS handshake, which reads the socket itself.
        let mut ahead = [0; V1_MAX];
        let room = V1_MAX - line.len();
        let room = ahead.get_mut(..room).unwrap_or_default();
        if room.is_empty() {
            return Err(ProxyError::Malformed("too long"));
        }
        let count = socket.peek(room).await?;
        let seen = room.get(..count).unwrap_or_default();
        let take = match seen.iter().position(|octet| *octet == b'\n') {
            Some(at) => at + 1,
            None if seen.is_empty() => {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            None => count,
        };
        let taken = room.get_mut(..take).unwrap_or_default();
        socket.read_exact(taken).await?;
        line.extend_from_slice(taken);
    }
    parse_v1(&line)
}

/// `PROXY TCP4 192.0.2.7 198.51.100.1 54321 25` and its CRLF, each word
/// written in the one way that the protocol knows.
fn parse_v1(line: &[u8]) -> Result<ProxyHeader, ProxyError> {
    let malformed = || ProxyError::Malformed("not as version 1 has it");
    let text = line.strip_suffix(b"\r\n").ok_or_else(malformed)?;
    let text = str::from_utf8(text).map_err(|_| malformed())?;
    let text = text.strip_prefix("PROXY ").ok_or_else(malformed)?;
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Ok(ProxyHeader::Unknown);
    }
    let mut words = text.split(' ');
    let mut next = || words.next().ok_or_else(malformed);
    let (family, source, destination) = (next()?, next()?, next()?);
    let ports = (port(next()?), port(next()?));
    let (Some(from), Some(to)) = ports else {
        return Err(malformed());
    };
    let address = |word: &str| match family {
        "TCP4" => word.parse().map(IpAddr::V4).map_err(|_| malformed()),
        "TCP6" => word.parse().map(IpAddr::V6).map_err(|_| malformed()),
        _ => Err(malformed()),
    };
    let proxied = Proxied {
        source: SocketAddr::new(address(source)?, from),
        destination: SocketAddr::new(address(destination)?, to),
    };
    match words.next() {
        None => Ok(ProxyHeader::Proxied(proxied)),
        Some(_) => Err(malformed()),
    }
}

/// Digits without a sign or zeros in front of them.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|octet| octet.is_ascii_digit());
    let short = word == "0" || !word.starts_with('0');
    (plain && short).then(|| word.parse().ok()).flatten()
}

/// What follows the first twelve octets: version and command, family and
/// transport, then addresses, ports and more that is not looked at.
fn parse_v2(version: u8, family: u8, rest: &[u8]) -> Result<ProxyHeader, ProxyError> {
    match version {
        // LOCAL: whatever the rest is, it does not count.
        0x20 => return Ok(ProxyHeader::Local),
        0x21 => {}
        _ => return Err(ProxyError::Malformed("not version 2, or no command of it")),
    }
    let short = || ProxyError::Malformed("too short for its addresses");
    match family {
        0x11 => {
            let (ends, _) = rest.split_first_chunk::<12>().ok_or_else(short)?;
            let [a, b, c, d, e, f, g, h, from @ .., i, j] = *ends;
            Ok(ProxyHeader::Proxied(Proxied {
                source: (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes(from)).into(),
                destination: (Ipv4Addr::new(e, f, g, h), u16::from_be_bytes([i, j])).into(),
            }))
        }
        0x21 => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let (ports, _) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            let [a, b, c, d] = *ports;
            Ok(ProxyHeader::Proxied(Proxied {
                source: (Ipv6Addr::from(*source), u16::from_be_bytes([a, b])).into(),
                destination: (Ipv6Addr::from(*destination), u16::from_be_bytes([c, d])).into(),
            }))
        }
        // Unspecified, and sockets in a file system.
        0x00 | 0x31 => Ok(ProxyHeader::Unknown),
        _ => Err(ProxyError::Malformed("not a stream")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn proxied(source: &str, destination: &str) -> ProxyHeader {
        ProxyHeader::Proxied(Proxied {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    fn v2(version: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = V2_START.to_vec();
        header.extend([version, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    /// What is read of `octets`, sent in pieces, and what is left behind.
    async fn read(
        octets: &[u8],
        size: usize,
        limit: Duration,
    ) -> (Result<ProxyHeader, ProxyError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let octets = octets.to_vec();
        let writer = tokio::spawn(async move {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            for piece in octets.chunks(size) {
                socket.write_all(piece).await.unwrap();
                if size < 10 {
                    tokio::task::yield_now().await;
                }
            }
            socket.shutdown().await.unwrap();
            socket
        });
        let (mut socket, _) = listener.accept().await.unwrap();
        let header = read_proxy_header(&mut socket, limit).await;
        let _peer = writer.await.unwrap();
        let mut rest = Vec::new();
        if header.is_ok() {
            socket.read_to_end(&mut rest).await.unwrap();
        }
        (header, rest)
    }

    #[tokio::test]
    async fn both_versions_are_read_and_nothing_behind_them() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0xD4, 0x31, 0, 25];
        let mut six = [0; 36];
        six[0] = 0x20;
        six[15] = 7;
        six[31] = 1;
        six[33] = 9;
        six[35] = 25;
        let with_more = [&four[..], &[3, 0, 1, 0xFF]].concat();
        for (header, expected) in [
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n".to_vec(),
                proxied("192.0.2.7:54321", "198.51.100.1:25"),
            ),
            (
                b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n".to_vec(),
                proxied("[2001:db8::7]:1", "[::1]:65535"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), ProxyHeader::Unknown),
            (
                b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(),
                ProxyHeader::Unknown,
            ),
            (
                v2(0x21, 0x11, &four),
                proxied("192.0.2.7:54321", "198.51.100.1:25"),
            ),
            (
                v2(0x21, 0x11, &with_more),
                proxied("192.0.2.7:54321", "198.51.100.1:25"),
            ),
            (v2(0x21, 0x21, &six), proxied("[2000::7]:9", "[::1]:25")),
            (v2(0x20, 0x00, b""), ProxyHeader::Local),
            (v2(0x20, 0x11, &four), ProxyHeader::Local),
            (v2(0x21, 0x00, b""), ProxyHeader::Unknown),
            (v2(0x21, 0x31, &[b'/'; 216]), ProxyHeader::Unknown),
        ] {
            for size in [1, 5, 1000] {
                let sent = [&header[..], b"EHLO \n\r\n"].concat();
                let (read, rest) = read(&sent, size, LONG).await;
                assert_eq!(read.unwrap(), expected, "{header:?}");
                assert_eq!(rest, b"EHLO \n\r\n");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0xD4, 0x31, 0, 25];
        let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
        for octets in [
            &b"EHLO client.example\r\n"[..],
            b"PROXYxTCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
            b"PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
            b"PROXY TCP4 \xFF 1.2.3.4 1 2\r\n",
            &endless,
            &v2(0x11, 0x11, &four),
            &v2(0x22, 0x11, &four),
            &v2(0x21, 0x12, &four),
            &v2(0x21, 0x11, &four[..11]),
            &v2(0x21, 0x21, &four),
            &v2(0x21, 0x11, &[0; V2_MAX + 1]),
        ] {
            let (read, _) = read(octets, 1000, LONG).await;
            assert!(
                matches!(read, Err(ProxyError::Malformed(_))),
                "{octets:?}: {read:?}"
            );
        }
        for cut in [
            &b"PROXY TCP4 1.2.3.4 1.2"[..],
            b"PROX",
            &v2(0x21, 0x11, &four)[..20],
        ] {
            let (read, _) = read(cut, 1000, LONG).await;
            assert!(matches!(read, Err(ProxyError::Io(_))), "{read:?}");
        }
    }

    #[tokio::test]
    async fn a_slow_one_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut peer = TcpStream::connect(address).await.unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        peer.write_all(b"PROXY TCP4 1.2.3.4").await.unwrap();
        let read = read_proxy_header(&mut socket, Duration::from_millis(30)).await;
        assert!(matches!(read, Err(ProxyError::Timeout)), "{read:?}");
    }
}
