//! Our client and our server with each other, in every way that they know;
//! and the server with peers that close half of a connection, or all of it.

use proto_core::sasl::Mechanism;
use smtp_proto::{Body, Mode, ReversePath, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::{Call, Parcel, Tls, address, send};
use crate::host::{Host, Offer, USER};
use crate::messages;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_gives_the_same_octets() {
    let ways = [
        (Tls::None, None),
        (Tls::Start, None),
        (Tls::Start, Some(Mechanism::Plain)),
        (Tls::Implicit, Some(Mechanism::Login)),
    ];
    for mode in [Mode::Smtp, Mode::Lmtp] {
        for (tls, login) in ways {
            for chunking in [false, true] {
                for pipelining in [false, true] {
                    let host = Host::start(Offer {
                        mode,
                        starttls: tls == Tls::Start,
                        implicit_tls: tls == Tls::Implicit,
                        auth: login.is_some(),
                        chunking,
                        pipelining,
                    })
                    .await;
                    let call = Call {
                        port: host.port,
                        mode,
                        tls,
                        login,
                        chunking,
                    };
                    through(call, &host).await;
                }
            }
        }
    }
}

async fn through(call: Call, host: &Host) {
    let to = ["one@far.example", "refused@far.example", "full@far.example"];
    let mut parcels: Vec<Parcel> = messages::all()
        .into_iter()
        .map(|content| Parcel::new(&to, content))
        .collect();
    if call.chunking {
        // Octets that are no lines at all.
        let mut binary = Parcel::new(&to, messages::dots());
        binary.content.extend((0..=255).cycle().take(100_000));
        binary.content.extend_from_slice(b"\r\n.\r\n\n.\r.\0");
        binary.mail.body = Some(Body::BinaryMime);
        parcels.push(binary);
    }
    let answer = send(call, &parcels).await;
    let last = match call.mode {
        Mode::Smtp => Status::Delivered,
        Mode::Lmtp => Status::Deferred,
    };
    for statuses in answer.statuses() {
        assert_eq!(statuses, [Status::Delivered, Status::Bounced, last]);
    }
    let taken = host.taken();
    assert_eq!(taken.len(), parcels.len());
    for (place, (taken, parcel)) in taken.iter().zip(&parcels).enumerate() {
        assert!(taken.content == parcel.content, "{place} {call:?}");
        assert_eq!(taken.mail, parcel.mail);
        assert_eq!(taken.to(), ["<one@far.example>", "<full@far.example>"]);
        assert_eq!(taken.place, place);
        assert_eq!(taken.tls, call.tls != Tls::None);
        assert_eq!(taken.chunked, call.chunking);
        assert_eq!(taken.user.as_deref(), call.login.map(|_| USER));
    }
    assert_eq!(host.faults(), <[&str; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_in_other_alphabets() {
    let host = Host::start(Offer::FULL).await;
    let mut parcel = Parcel::new(&["пример@почта.example"], messages::eight_bit());
    parcel.mail.reverse_path = ReversePath::Address(address("grüße@bücher.example"));
    parcel.mail.smtputf8 = true;
    let answer = send(Call::new(host.port), std::slice::from_ref(&parcel)).await;
    assert!(answer.all_delivered(), "{answer:?}");
    let taken = host.taken().remove(0);
    assert_eq!(taken.to(), ["<пример@почта.example>"]);
    assert_eq!(taken.mail, parcel.mail);
}

const SESSION: &str = "EHLO half.example\r\nMAIL FROM:<a@near.example>\r\n\
                       RCPT TO:<b@far.example>\r\nDATA\r\nSubject: half\r\n\r\nx\r\n.\r\n";

/// A client may close its side when it has said all, and still hears the
/// answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_closed_connection_is_answered_to_its_end() {
    let host = Host::start(Offer::FULL).await;
    for (end, last) in [("QUIT\r\n", "221 "), ("", "250 ")] {
        let before = host.taken().len();
        let mut socket = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        let all = format!("{SESSION}{end}");
        socket.write_all(all.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut replies = String::new();
        socket.read_to_string(&mut replies).await.unwrap();
        assert!(replies.contains("354 "), "{replies}");
        let line = replies.lines().last().unwrap();
        assert!(line.starts_with(last), "{replies}");
        assert_eq!(host.taken().len(), before + 1);
    }
}

/// A message whose end never came is no message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_cut_off_is_not_taken() {
    let host = Host::start(Offer::FULL).await;
    let chunk = "EHLO half.example\r\nMAIL FROM:<a@near.example>\r\n\
                 RCPT TO:<b@far.example>\r\nBDAT 100 LAST\r\nSubject: half\r\n\r\n";
    for cut in [SESSION.strip_suffix(".\r\n").unwrap(), chunk] {
        let mut socket = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        socket.write_all(cut.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut replies = String::new();
        socket.read_to_string(&mut replies).await.unwrap();
        // MAIL and RCPT.
        assert_eq!(replies.matches("250 2.0.0").count(), 2, "{replies}");
    }
    host.wait_for_faults(2).await;
    assert!(host.taken().is_empty());
}

/// Plain text behind STARTTLS is never read as if it had come under TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_starttls_in_the_clear_ends_the_connection() {
    let host = Host::start(Offer::FULL).await;
    let mut socket = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    let injected = "EHLO half.example\r\nSTARTTLS\r\nMAIL FROM:<a@near.example>\r\n";
    socket.write_all(injected.as_bytes()).await.unwrap();
    let mut replies = Vec::new();
    let _ = socket.read_to_end(&mut replies).await;
    assert!(!String::from_utf8_lossy(&replies).contains("220 2.0.0"));
    host.wait_for_faults(1).await;
}
