//! Look-ups against a name server: exchangers in their order, none, the null
//! one, answers that are too long, and servers that fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::net::{IpAddr, SocketAddr};

use net::{Exchange, Resolver, ResolverError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

const A: u16 = 1;
const CNAME: u16 = 5;
const MX: u16 = 15;
const AAAA: u16 = 28;

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut wire = name(owner);
    wire.extend(kind.to_be_bytes());
    wire.extend([0, 1, 0, 0, 0, 60]);
    wire.extend((data.len() as u16).to_be_bytes());
    wire.extend(data);
    wire
}

fn mx(owner: &str, preference: u16, host: &str) -> Vec<u8> {
    let data = [&preference.to_be_bytes()[..], &name(host)].concat();
    record(owner, MX, &data)
}

/// What the name server says of a name: a code, and records.
fn answer(asked: &str, kind: u16) -> (u8, Vec<Vec<u8>>) {
    let records = match (asked, kind) {
        ("two.example", MX) => vec![
            mx(asked, 20, "later.example"),
            mx(asked, 5, "Sooner.example"),
        ],
        ("null.example", MX) => vec![mx(asked, 0, ".")],
        ("alias.example", MX) => vec![
            record(asked, CNAME, &name("two.example")),
            mx("two.example", 7, "sooner.example"),
        ],
        ("many.example", MX) => (0..200)
            .map(|number| mx(asked, number, &format!("mx{number}.many.example")))
            .collect(),
        ("sooner.example", A) => vec![record(asked, A, &[192, 0, 2, 1])],
        ("sooner.example", AAAA) => {
            let address: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
            vec![record(asked, AAAA, &address.octets())]
        }
        ("bare.example", A) => vec![record(asked, A, &[192, 0, 2, 9])],
        ("bare.example" | "later.example", _) => Vec::new(),
        ("failing.example", _) => return (SERVFAIL, Vec::new()),
        ("refused.example", _) => return (REFUSED, Vec::new()),
        _ => return (NXDOMAIN, Vec::new()),
    };
    (0, records)
}

/// The reply to a query; by UDP, what is too long is cut off and says so.
fn reply(query: &[u8], udp: bool) -> Vec<u8> {
    let mut at = 12;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let len = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + len]).to_lowercase());
        at += len + 1;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[12..at + 5];
    let (code, records) = answer(&labels.join("."), kind);
    let long = udp && records.iter().map(Vec::len).sum::<usize>() > 500;
    let records = if long { Vec::new() } else { records };
    let mut wire = query[..2].to_vec();
    wire.extend([0x85 | (u8::from(long) << 1), 0x80 | code, 0, 1]);
    wire.extend((records.len() as u16).to_be_bytes());
    wire.extend([0, 0, 0, 0]);
    wire.extend(question);
    wire.extend(records.concat());
    wire
}

/// A name server on a port of its own, by UDP and TCP.
async fn name_server() -> SocketAddr {
    let (udp, tcp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 2048];
        while let Ok((len, from)) = udp.recv_from(&mut query).await {
            let _ = udp.send_to(&reply(&query[..len], true), from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = tcp.accept().await {
            tokio::spawn(async move {
                while let Ok(len) = socket.read_u16().await {
                    let mut query = vec![0; usize::from(len)];
                    socket.read_exact(&mut query).await.unwrap();
                    let reply = reply(&query, false);
                    socket.write_u16(reply.len() as u16).await.unwrap();
                    socket.write_all(&reply).await.unwrap();
                }
            });
        }
    });
    address
}

fn hosts(exchanges: &[Exchange]) -> Vec<(u16, String)> {
    let pair = |exchange: &Exchange| (exchange.preference, exchange.host.to_lowercase());
    exchanges.iter().map(pair).collect()
}

#[tokio::test]
async fn where_mail_goes() {
    let resolver = Resolver::with_name_servers(&[name_server().await]).unwrap();
    let exchanges = |domain: &'static str| {
        let resolver = resolver.clone();
        async move { resolver.exchanges(domain).await }
    };
    // Best first, whatever the order of the answer.
    assert_eq!(
        hosts(&exchanges("two.example").await.unwrap()),
        [(5, "sooner.example".into()), (20, "later.example".into())]
    );
    assert_eq!(
        hosts(&exchanges("alias.example").await.unwrap()),
        [(7, "sooner.example".into())]
    );
    // No MX: the domain itself (RFC 5321 §5.1).
    assert_eq!(
        hosts(&exchanges("bare.example").await.unwrap()),
        [(0, "bare.example".into())]
    );
    // A null MX: nobody, for good (RFC 7505).
    assert_eq!(
        exchanges("null.example").await,
        Err(ResolverError::NullMx {
            name: "null.example".into()
        })
    );
    assert!(matches!(
        exchanges("missing.example").await,
        Err(ResolverError::NotFound { .. })
    ));
    for failing in ["failing.example", "refused.example"] {
        let failed = exchanges(failing).await;
        assert!(
            matches!(failed, Err(ResolverError::Temporary { .. })),
            "{failed:?}"
        );
    }
    // Too long for UDP.
    let many = exchanges("many.example").await.unwrap();
    assert_eq!(many.len(), 200);
    assert_eq!(many[3].host, "mx3.many.example");
}

#[tokio::test]
async fn what_addresses_a_host_has() {
    let resolver = Resolver::with_name_servers(&[name_server().await]).unwrap();
    let mut addresses = resolver.addresses("sooner.example").await.unwrap();
    addresses.sort();
    let expected: [IpAddr; 2] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
    assert_eq!(addresses, expected);
    for none in ["later.example", "missing.example"] {
        let found = resolver.addresses(none).await;
        assert!(
            matches!(found, Err(ResolverError::NotFound { .. })),
            "{found:?}"
        );
    }
    let failed = resolver.addresses("failing.example").await;
    assert!(
        matches!(failed, Err(ResolverError::Temporary { .. })),
        "{failed:?}"
    );
}
