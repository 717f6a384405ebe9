//! An SMTP client on a socket, before servers that are never done.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use net::{Conn, ConnError, Stream};
use smtp_proto::{Address, Client, ClientConfig, ClientError, ClientEvent, Mail, Rcpt, Status};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const RECIPIENTS: usize = 50;

/// A message without end to fifty recipients; what became of them, and of the
/// connection.
async fn send(config: ClientConfig, socket: TcpStream) -> (Vec<Status>, Option<ClientError>) {
    let client = Client::new(Arc::new(config), Instant::now());
    let mut conn = Conn::new(Stream::from(socket), client);
    let mut fates = Vec::new();
    loop {
        match conn.next().await {
            Ok(Some(ClientEvent::Ready)) => {
                let address: Address = "a@example.org".parse().unwrap();
                let recipients = vec![Rcpt::new(address.clone()); RECIPIENTS];
                let mail = Mail::new(address);
                conn.machine().begin(mail, recipients).unwrap();
            }
            Ok(Some(ClientEvent::PayloadWanted)) => {
                let block = Bytes::from_static(&[b'x'; 65_536]);
                conn.machine().send_payload(block).unwrap();
            }
            Ok(Some(ClientEvent::Recipient(recipient))) => fates.push(recipient.status),
            Ok(Some(_)) => {}
            Ok(None) => return (fates, None),
            Err(ConnError::Protocol(error)) => {
                return (fates, error.downcast_ref::<ClientError>().copied());
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (accepted.unwrap().0, client.unwrap())
}

fn config() -> ClientConfig {
    let mut config = ClientConfig::new("client.example").unwrap();
    config.chunking = false;
    config
}

const SHORT: Duration = Duration::from_millis(10);

#[tokio::test]
async fn a_greeting_octet_by_octet_wins_no_time() {
    let (mut server, client) = pair().await;
    let drip = tokio::spawn(async move {
        while server.write_all(b"2").await.is_ok() {
            tokio::time::sleep(SHORT).await;
        }
    });
    let mut config = config();
    config.timeouts.greeting = 10 * SHORT;
    config.reply_line = usize::MAX - 1;
    let outcome = send(config, client).await;
    assert_eq!(outcome, (vec![], Some(ClientError::Timeout)));
    drip.await.unwrap();
}

/// Each reply comes in good time; all of them together do not.
#[tokio::test]
async fn replies_to_many_recipients_have_a_time_together() {
    let (server, client) = pair().await;
    let talk = tokio::spawn(async move {
        let mut server = BufReader::new(server);
        let _ = server.write_all(b"220 x\r\n").await;
        let mut line = String::new();
        while server.read_line(&mut line).await.is_ok_and(|len| len > 0) {
            if line.starts_with("RCPT") {
                tokio::time::sleep(4 * SHORT).await;
            }
            line.clear();
            if server.write_all(b"250 ok\r\n").await.is_err() {
                break;
            }
        }
    });
    let mut config = config();
    // For one that is not slow: more than the test will ever take.
    config.timeouts.greeting = Duration::from_secs(600);
    config.timeouts.command = 20 * SHORT;
    config.timeouts.recipient = SHORT;
    let (fates, error) = send(config, client).await;
    assert_eq!(error, Some(ClientError::Timeout));
    // By a machine that stalls, before the first of them was sent.
    assert!(fates.is_empty() || fates == vec![Status::Deferred; RECIPIENTS]);
    talk.await.unwrap();
}

/// The system's buffers take much of a message, and then no more.
#[tokio::test]
async fn a_message_taken_octet_by_octet_wins_no_time() {
    let (mut server, client) = pair().await;
    let taker = tokio::spawn(async move {
        let _ = server.write_all(b"220 x\r\n250 x\r\n").await;
        let yes = "250 ok\r\n".repeat(RECIPIENTS + 1);
        let _ = server.write_all(yes.as_bytes()).await;
        let _ = server.write_all(b"354 go\r\n").await;
        while server.read_u8().await.is_ok() {
            tokio::time::sleep(SHORT).await;
        }
    });
    let mut config = config();
    config.timeouts.data_block = 20 * SHORT;
    config.timeouts.data_rate = u32::MAX;
    let (fates, error) = send(config, client).await;
    assert_eq!(error, Some(ClientError::Timeout));
    assert_eq!(fates, vec![Status::Deferred; RECIPIENTS]);
    taker.abort();
}
