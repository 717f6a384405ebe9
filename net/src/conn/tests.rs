use std::convert::Infallible;

use bytes::{Buf, Bytes};
use proto_core::Output;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::pump::{INPUT_CAP, STALLED, patience};
use super::*;

/// Sends every octet back, in pieces of `least` octets at the least;
/// wants to be drained above 64 KiB.
#[derive(Default)]
struct Echo {
    output: Output,
    least: usize,
    eof: bool,
    over: bool,
    /// Throws everything away instead.
    deaf: bool,
    deadline: Option<Instant>,
}

impl Machine for Echo {
    type Event = Bytes;
    type Error = Infallible;

    fn poll(&mut self, input: &mut BytesMut, _: Instant) -> Result<Step<Bytes>, Infallible> {
        if self.over || (self.eof && input.is_empty()) {
            return Ok(Step::Closed);
        }
        if self.deaf {
            input.clear();
            return Ok(Step::NeedInput);
        }
        if self.output.len() > 65_536 {
            return Ok(Step::NeedDrain);
        }
        if input.is_empty() || (input.len() < self.least && !self.eof) {
            return Ok(Step::NeedInput);
        }
        Ok(Step::Event(input.split().freeze()))
    }
    fn output(&mut self) -> &mut Output {
        &mut self.output
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.over |= self.deadline.is_some_and(|at| at <= now);
    }
    fn handle_eof(&mut self) {
        self.eof = true;
    }
    fn shutdown(&mut self) {
        self.over = true;
    }
    fn tls_started(&mut self) -> Result<(), Misuse> {
        Ok(())
    }
}

async fn pair(machine: Echo) -> (Conn<Echo>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, peer) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (
        Conn::new(Stream::from(accepted.unwrap().0), machine),
        peer.unwrap(),
    )
}

async fn echo(mut conn: Conn<Echo>) -> u64 {
    let mut total = 0;
    while let Some(chunk) = conn.next().await.unwrap() {
        total += chunk.len() as u64;
        conn.machine().output.push(chunk);
    }
    total
}

#[tokio::test]
async fn a_peer_that_only_sends_is_held_back_and_loses_nothing() {
    const SIZE: usize = 8 << 20;
    let (conn, peer) = pair(Echo::default()).await;
    let server = tokio::spawn(echo(conn));
    let (mut read, mut write) = peer.into_split();
    let writer = tokio::spawn(async move {
        let block: Vec<u8> = (0..251).cycle().take(SIZE).collect();
        write.write_all(&block).await.unwrap();
        write.shutdown().await.unwrap();
    });
    // Both pipes are full long before the first octet is read back.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.unwrap();
    writer.await.unwrap();
    assert_eq!(server.await.unwrap(), SIZE as u64);
    assert!(back.into_iter().eq((0..251).cycle().take(SIZE)));
}

#[tokio::test]
async fn a_machine_gets_as_much_as_it_asks_for() {
    const SIZE: usize = 2 * INPUT_CAP;
    let machine = Echo {
        least: SIZE,
        ..Echo::default()
    };
    let (mut conn, mut peer) = pair(machine).await;
    let writer = tokio::spawn(async move {
        peer.write_all(&vec![1; SIZE]).await.unwrap();
        peer
    });
    assert!(conn.next().await.unwrap().unwrap().len() >= SIZE);
    let _peer = writer.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_gives_its_memory_back() {
    let (mut conn, mut peer) = pair(Echo::default()).await;
    peer.write_all(&vec![1; 100_000]).await.unwrap();
    let mut got = 0;
    while got < 100_000 {
        got += conn.next().await.unwrap().unwrap().len();
    }
    assert!(conn.grown);
    peer.write_all(b"x").await.unwrap();
    conn.next().await.unwrap().unwrap();
    let idle = conn.next();
    assert!(
        tokio::time::timeout(Duration::from_millis(50), idle)
            .await
            .is_err()
    );
    assert!(!conn.grown);
    assert!(conn.input.capacity() <= 2 * SMALL_READ);
}

#[test]
fn patience_has_an_end() {
    assert_eq!(patience(0), STALLED);
    assert_eq!(patience(256 * 1024), STALLED + Duration::from_secs(1024));
}

#[tokio::test]
async fn a_deadline_closes() {
    let machine = Echo {
        deadline: Some(Instant::now() + Duration::from_millis(20)),
        ..Echo::default()
    };
    let (mut conn, _peer) = pair(machine).await;
    assert!(conn.next().await.unwrap().is_none());
}

/// Nor does it help a peer that there always is more of it to be read.
#[tokio::test]
async fn a_flood_does_not_outlive_its_deadline() {
    use std::io::Write;

    let machine = Echo {
        deaf: true,
        deadline: Some(Instant::now() + Duration::from_millis(20)),
        ..Echo::default()
    };
    let (mut conn, peer) = pair(machine).await;
    let mut peer = peer.into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    let flood = std::thread::spawn(move || while peer.write_all(&[1; 65_536]).is_ok() {});
    assert!(conn.next().await.unwrap().is_none());
    drop(conn);
    flood.join().unwrap();
}

#[tokio::test]
async fn flushing_reads_meanwhile() {
    let (mut conn, peer) = pair(Echo::default()).await;
    let (mut read, mut write) = peer.into_split();
    let talker = tokio::spawn(async move {
        write.write_all(&[1; 100_000]).await.unwrap();
        let mut all = vec![0; 4 << 20];
        read.read_exact(&mut all).await.unwrap();
        all.len()
    });
    conn.machine().output.push(Bytes::from(vec![7; 4 << 20]));
    conn.flush().await.unwrap();
    assert!(!conn.machine().output.has_remaining());
    assert_eq!(talker.await.unwrap(), 4 << 20);
}
