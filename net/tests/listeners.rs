//! Listeners: their limits, how they end, whose word they take; deadlines of
//! handshakes and connections.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net::{ConnError, Listener, ListenerLimits, LocalListener, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(60);

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Says the client's address, then echoes what it is sent, until it ends.
async fn echo(mut socket: TcpStream, peer: SocketAddr) {
    let hello = format!("{peer}\n");
    let _ = socket.write_all(hello.as_bytes()).await;
    let (mut read, mut write) = socket.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

async fn full(mut socket: TcpStream, _: SocketAddr) {
    let _ = socket.write_all(b"full\n").await;
}

async fn start(
    limits: ListenerLimits,
    grace: Duration,
    change: impl FnOnce(Listener) -> Listener,
) -> Running {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits);
    let listener = change(listener.await.unwrap());
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(listener.serve(stopped, grace, echo, full));
    Running {
        address,
        stop,
        task,
    }
}

/// Connects from an address of the loopback network.
async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(from).unwrap();
    socket.connect(to).await.unwrap()
}

async fn line(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut line = Vec::new();
    loop {
        match socket.read_u8().await {
            Ok(b'\n') => break,
            Ok(octet) => line.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn one_address_does_not_take_all_places() {
    let limits = ListenerLimits {
        total: 3,
        per_address: 2,
    };
    let running = start(limits, LONG, |listener| listener).await;
    let mut held = Vec::new();
    for (from, taken) in [
        ("127.0.0.1", true),
        ("127.0.0.1", true),
        ("127.0.0.1", false),
        ("127.0.0.2", true),
        // All places are taken now.
        ("127.0.0.3", false),
    ] {
        let mut socket = connect(from, running.address).await;
        let hello = line(&mut socket).await;
        assert_eq!(hello.starts_with(from), taken, "{from}: {hello}");
        assert_eq!(hello == "full", !taken);
        held.push(socket);
    }
    // A place that is given back can be taken again.
    drop(held.remove(0));
    loop {
        let mut socket = connect("127.0.0.1", running.address).await;
        if line(&mut socket).await.starts_with("127.0.0.1") {
            break;
        }
    }
}

/// Farewells that take their time are few at once: the rest is closed.
#[tokio::test]
async fn a_flood_beyond_the_limits_is_not_told_of_it() {
    let limits = ListenerLimits {
        total: 0,
        per_address: 1,
    };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits);
    let listener = listener.await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let seen = Arc::clone(&counts);
    let slow = move |socket: TcpStream, _| {
        let seen = Arc::clone(&seen);
        async move {
            let now = seen.0.fetch_add(1, Ordering::SeqCst) + 1;
            seen.1.fetch_max(now, Ordering::SeqCst);
            let _ended = Ended(Arc::clone(&seen));
            let _socket = socket;
            std::future::pending::<()>().await;
        }
    };
    tokio::spawn(listener.serve(stopped, LONG, echo, slow));
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.push(connect("127.0.0.1", address).await);
    }
    for mut socket in flood {
        assert_eq!(line(&mut socket).await, "");
    }
    assert!((1..=64).contains(&counts.1.load(Ordering::SeqCst)));
}

struct Ended(Arc<(AtomicUsize, AtomicUsize)>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_has_begun_may_end_when_the_listener_stops() {
    let running = start(ListenerLimits::default(), LONG, |listener| listener).await;
    let mut socket = connect("127.0.0.1", running.address).await;
    line(&mut socket).await;
    running.stop.send(true).unwrap();
    // Nobody new is let in; that shows when the listening socket is closed.
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.task.is_finished());
    socket.write_all(b"still here\n").await.unwrap();
    assert_eq!(line(&mut socket).await, "still here");
    drop(socket);
    running.task.await.unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_is_broken_off() {
    let grace = Duration::from_millis(50);
    let running = start(ListenerLimits::default(), grace, |listener| listener).await;
    let mut socket = connect("127.0.0.1", running.address).await;
    line(&mut socket).await;
    running.stop.send(true).unwrap();
    running.task.await.unwrap();
    assert_eq!(socket.read(&mut [0; 10]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_proxy_is_believed_if_it_is_trusted() {
    let limits = ListenerLimits {
        total: 100,
        per_address: 2,
    };
    let trusted: std::net::IpAddr = "127.0.0.9".parse().unwrap();
    let running = start(limits, LONG, |listener| {
        listener.behind_proxies(move |address| address == trusted, LONG)
    })
    .await;
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n";
    // The limit counts the client, not the proxy.
    let mut held = Vec::new();
    for expected in ["192.0.2.7:54321", "192.0.2.7:54321", "full"] {
        let mut socket = connect("127.0.0.9", running.address).await;
        socket.write_all(header).await.unwrap();
        assert_eq!(line(&mut socket).await, expected);
        held.push(socket);
    }
    let mut socket = connect("127.0.0.9", running.address).await;
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\0\x63\0\x19rest\n";
    socket.write_all(v2).await.unwrap();
    assert_eq!(line(&mut socket).await, "192.0.2.8:99");
    assert_eq!(line(&mut socket).await, "rest");
    // The proxy's own business.
    let mut socket = connect("127.0.0.9", running.address).await;
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    socket.write_all(local).await.unwrap();
    assert!(line(&mut socket).await.starts_with("127.0.0.9:"));
    // Whom it does not know is nobody, and all such are one.
    for expected in ["0.0.0.0:0", "0.0.0.0:0", "full"] {
        let mut socket = connect("127.0.0.9", running.address).await;
        socket.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
        assert_eq!(line(&mut socket).await, expected);
        held.push(socket);
    }
    // A stranger's header is not read as one.
    let mut socket = connect("127.0.0.1", running.address).await;
    socket.write_all(header).await.unwrap();
    assert!(line(&mut socket).await.starts_with("127.0.0.1:"));
    assert!(line(&mut socket).await.starts_with("PROXY "));
    // What is no header ends the connection without a word.
    let mut socket = connect("127.0.0.9", running.address).await;
    socket.write_all(b"EHLO client.example\r\n").await.unwrap();
    assert_eq!(line(&mut socket).await, "");
}

#[tokio::test]
async fn a_proxy_that_is_slow_is_dropped() {
    let running = start(ListenerLimits::default(), LONG, |listener| {
        listener.behind_proxies(|_| true, Duration::from_millis(20))
    })
    .await;
    let mut socket = connect("127.0.0.1", running.address).await;
    socket.write_all(b"PROXY TCP4 192.0.2.7").await.unwrap();
    assert_eq!(line(&mut socket).await, "");
}

#[tokio::test]
async fn a_socket_in_the_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lmtp");
    let bound = LocalListener::bind(&path, 0o660, 1).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    // It is in use.
    let error = LocalListener::bind(&path, 0o660, 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let (stop, stopped) = watch::channel(false);
    let session = |mut socket: UnixStream| async move {
        let _ = socket.write_all(b"hello\n").await;
        let _ = socket.read(&mut [0; 10]).await;
    };
    let refuse = |mut socket: UnixStream| async move {
        let _ = socket.write_all(b"full\n").await;
    };
    let task = tokio::spawn(bound.serve(stopped, LONG, session, refuse));
    // Whether it is in use was tried by connecting.
    let first = loop {
        let mut first = Stream::connect_local(&path).await.unwrap();
        if line(&mut first).await == "hello" {
            break first;
        }
    };
    assert!(first.peer_addr().is_err());
    let mut second = Stream::connect_local(&path).await.unwrap();
    assert_eq!(line(&mut second).await, "full");
    drop(first);
    stop.send(true).unwrap();
    task.await.unwrap();
    assert!(!path.exists());
    // What a process that was killed has left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(LocalListener::bind(&path, 0o600, 1).unwrap());
    // Another file is not.
    std::fs::write(&path, "x").unwrap();
    assert!(LocalListener::bind(&path, 0o600, 1).is_err());
    assert!(Path::new(&path).exists());
}

/// A peer that never shakes hands is given up.
#[tokio::test(start_paused = true)]
async fn a_handshake_has_a_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c"), folder.path().join("k"));
    net::tls::make_self_signed(&["localhost".into()], &certificate, &key).unwrap();
    let acceptor = net::tls::acceptor(&certificate, &key).unwrap();
    let connector = net::tls::opportunistic_connector().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = Stream::connect(address, LONG).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let accepted = Stream::accept_tls(socket, &acceptor).await;
    assert!(matches!(accepted, Err(ConnError::HandshakeTimeout)));
    drop(silent);
    let socket = TcpStream::connect(address).await.unwrap();
    let name = net::tls::PeerName::try_from("localhost").unwrap();
    let connected = Stream::connect_tls(socket, &connector, name).await;
    assert!(matches!(connected, Err(ConnError::HandshakeTimeout)));
}

/// An address that takes no connection: its queue is full.
#[tokio::test(start_paused = true)]
async fn connecting_has_a_deadline() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    let error = loop {
        match Stream::connect(address, LONG).await {
            Ok(stream) => held.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

/// A verifying client does not take whatever certificate it is shown, an
/// opportunistic one does.
#[tokio::test]
async fn certificates_are_checked_where_they_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c"), folder.path().join("k"));
    net::tls::make_self_signed(&["localhost".into()], &certificate, &key).unwrap();
    let acceptor = net::tls::acceptor(&certificate, &key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shaken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&shaken);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(mut stream) = Stream::accept_tls(socket, &acceptor).await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"in\n").await;
            }
        }
    });
    let name = || net::tls::PeerName::try_from("localhost").unwrap();
    for (connector, trusts) in [
        (net::tls::opportunistic_connector().unwrap(), true),
        (net::tls::verifying_connector().unwrap(), false),
    ] {
        let socket = TcpStream::connect(address).await.unwrap();
        let connected = Stream::connect_tls(socket, &connector, name()).await;
        assert_eq!(connected.is_ok(), trusts);
        if let Ok(mut stream) = connected {
            assert!(stream.is_tls() && stream.tls_info().is_some());
            assert_eq!(line(&mut stream).await, "in");
        }
    }
    assert_eq!(shaken.load(Ordering::SeqCst), 1);
}
