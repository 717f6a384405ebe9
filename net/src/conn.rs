use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use proto_core::{Misuse, Step};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::deflate::Deflated;
use crate::machine::Machine;
use crate::stream::Stream;

/// The least that is asked of the transport at a time: an idle connection
/// holds no more than this.
const SMALL_READ: usize = 1024;

/// The most, while a payload streams in.
const LARGE_READ: usize = 64 * 1024;

/// Reading goes on while output waits to be written, up to this much unread
/// input: a peer that sends and never reads cannot grow memory further.
const INPUT_CAP: usize = 256 * 1024;

/// [`Conn::flush_above`] stops waiting when this little is left.
const LOW_WATER: usize = 64 * 1024;

/// A peer that takes nothing at all for so long is gone.
const STALLED: Duration = Duration::from_secs(300);

/// Octets a second that a peer must take of a long answer, over and above
/// [`STALLED`]: one that takes an octet now and then would hold it for years.
const LEAST_RATE: u64 = 256;

/// How long the last octets may take after the machine has closed.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long the peer may take to close its side after ours was closed.
const LINGER: Duration = Duration::from_secs(1);

/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(30);

/// One connection: a machine, its transport, its unread input.
///
/// The host runs the loop and nothing is called back:
///
/// ```text
/// while let Some(event) = conn.next().await? {
///     // act, then answer through conn.machine()
/// }
/// ```
#[derive(Debug)]
pub struct Conn<M> {
    stream: Stream,
    machine: M,
    input: BytesMut,
    read_size: usize,
    /// Whether `input` was given more room than a small read needs.
    grown: bool,
    read_closed: bool,
}

/// Why a connection ended other than by its machine's `Closed`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnError {
    /// The transport failed.
    #[error("transport: {0}")]
    Io(#[from] io::Error),
    /// The machine gave the peer up; its farewell was sent.
    #[error("protocol: {0}")]
    Protocol(Box<dyn std::error::Error + Send + Sync>),
    /// The host called the machine wrongly, or left an event unanswered.
    #[error("host: {0}")]
    Misuse(#[from] Misuse),
    /// Plaintext came behind the agreement to start TLS.
    #[error("plaintext behind STARTTLS")]
    Injection,
    /// The TLS handshake took too long.
    #[error("TLS handshake timed out")]
    HandshakeTimeout,
}

impl<M: Machine> Conn<M> {
    /// Puts a machine onto a transport.
    pub fn new(stream: Stream, machine: M) -> Self {
        Self {
            stream,
            machine,
            input: BytesMut::new(),
            read_size: SMALL_READ,
            grown: false,
            read_closed: false,
        }
    }

    /// The machine, for answers and verbs.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The transport.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Pumps octets until the machine has an event; `None` when it has closed
    /// and everything was sent.
    ///
    /// Cancelling it loses nothing: it can stand in a `select!` beside news
    /// from elsewhere.
    ///
    /// # Errors
    /// [`ConnError`]; the connection is over.
    pub async fn next(&mut self) -> Result<Option<M::Event>, ConnError> {
        loop {
            match self.machine.poll(&mut self.input, Instant::now()) {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::NeedInput) => self.pump(false).await?,
                Ok(Step::NeedDrain) => self.pump(true).await?,
                Ok(Step::NeedAnswer) => {
                    return Err(Misuse::NotExpected { call: "next" }.into());
                }
                Ok(Step::Closed) => {
                    self.farewell().await;
                    return Ok(None);
                }
                Err(error) => {
                    self.farewell().await;
                    return Err(ConnError::Protocol(Box::new(error)));
                }
            }
        }
    }

    /// Sends what is queued, if it is more than `limit` octets: what a host
    /// calls between the chunks of a long answer.
    ///
    /// A peer that reads nothing for five minutes, or less than 256 octets a
    /// second over and above those, is given up.
    ///
    /// # Errors
    /// When the transport fails or the peer reads too slowly.
    pub async fn flush_above(&mut self, limit: usize) -> Result<(), ConnError> {
        if self.machine.output().len() <= limit {
            return Ok(());
        }
        let target = limit.min(LOW_WATER);
        let mut last_progress = Instant::now();
        let mut left = self.machine.output().len();
        let over = last_progress + patience(left);
        while left > target {
            let deadline = over.min(last_progress + STALLED);
            self.pump_write(deadline).await?;
            let now_left = self.machine.output().len();
            if now_left < left {
                last_progress = Instant::now();
            }
            left = now_left;
        }
        Ok(())
    }

    /// Sends all that is queued.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn flush(&mut self) -> Result<(), ConnError> {
        self.flush_above(0).await
    }

    /// The server's side of STARTTLS: sends what is queued (the go-ahead),
    /// shakes hands, tells the machine.
    ///
    /// # Errors
    /// When the handshake fails or takes longer than 30 s, or the machine
    /// did not expect it.
    pub async fn accept_tls(&mut self, acceptor: &TlsAcceptor) -> Result<(), ConnError> {
        self.flush().await?;
        self.no_plaintext_left()?;
        let Stream::Plain(socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(Misuse::NotExpected { call: "accept_tls" }.into());
        };
        self.stream = Stream::accept_tls(socket, acceptor).await?;
        self.machine.tls_started()?;
        Ok(())
    }

    /// The client's side of STARTTLS.
    ///
    /// # Errors
    /// As [`Conn::accept_tls`], and when the server's certificate is refused.
    pub async fn connect_tls(
        &mut self,
        connector: &TlsConnector,
        name: rustls_pki_types::ServerName<'static>,
    ) -> Result<(), ConnError> {
        self.flush().await?;
        self.no_plaintext_left()?;
        let Stream::Plain(socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(Misuse::NotExpected {
                call: "connect_tls",
            }
            .into());
        };
        self.stream = Stream::connect_tls(socket, connector, name).await?;
        self.machine.tls_started()?;
        Ok(())
    }

    /// Either side of COMPRESS (RFC 4978): sends what is queued (the
    /// go-ahead), deflated octets go both ways from there on.
    ///
    /// # Errors
    /// When the transport fails, or its octets are deflated already.
    pub async fn deflate(&mut self) -> Result<(), ConnError> {
        self.flush().await?;
        if self.stream.is_deflated() {
            return Err(Misuse::NotExpected { call: "deflate" }.into());
        }
        let inner = std::mem::replace(&mut self.stream, Stream::Gone);
        // What came behind the go-ahead is deflated; what was put in front of
        // it is not, and so ends the connection.
        let raw = self.input.split();
        self.stream = Stream::Deflated(Box::new(Deflated::new(inner, raw)));
        Ok(())
    }

    /// Asks the machine to end, sends its farewell, closes.
    pub async fn shut_down(&mut self) {
        self.machine.shutdown();
        self.farewell().await;
    }

    /// Octets that came in the clear while the go-ahead was being sent would
    /// be taken for encrypted ones (the STARTTLS injection).
    fn no_plaintext_left(&self) -> Result<(), ConnError> {
        if self.input.is_empty() {
            Ok(())
        } else {
            Err(ConnError::Injection)
        }
    }

    /// Writes what there is; ends when input came or a deadline passed, or,
    /// for a machine that wants to be drained, when anything was written.
    async fn pump(&mut self, drain: bool) -> Result<(), ConnError> {
        let deadline = self.machine.poll_timeout();
        let had = self.input.len();
        // A payload's large buffer is given back when things calm down. Its
        // capacity does not tell: that is only what is left of it.
        if self.grown && self.input.is_empty() && self.read_size == SMALL_READ {
            self.input = BytesMut::new();
            self.grown = false;
        }
        self.make_room();
        // A machine that asks for input has taken what it could and bounds
        // the rest by its own limits; the cap is for one that takes nothing.
        let cap = if drain { INPUT_CAP } else { usize::MAX };
        let Self {
            stream,
            machine,
            input,
            read_closed,
            ..
        } = self;
        let mut sleep = pin!(async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        });
        enum Woke {
            Wrote,
            Read(usize),
            Deadline,
        }
        let woke = poll_fn(|cx| -> Poll<io::Result<Woke>> {
            let mut wrote = false;
            while !machine.output().is_empty() {
                match pin!(stream.write_buf(machine.output())).poll(cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(_)) => wrote = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            if machine.output().is_empty()
                && let Poll::Ready(Err(error)) = pin!(stream.flush()).poll(cx)
            {
                return Poll::Ready(Err(error));
            }
            if !*read_closed && input.len() < cap {
                match pin!(stream.read_buf(input)).poll(cx) {
                    Poll::Ready(Ok(count)) => return Poll::Ready(Ok(Woke::Read(count))),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            if wrote && drain {
                return Poll::Ready(Ok(Woke::Wrote));
            }
            sleep.as_mut().poll(cx).map(|()| Ok(Woke::Deadline))
        })
        .await?;
        match woke {
            Woke::Wrote => {}
            Woke::Read(0) => {
                self.read_closed = true;
                self.machine.handle_eof();
            }
            Woke::Read(count) => {
                self.read_size = if had + count >= self.input.capacity() {
                    (self.read_size * 2).min(LARGE_READ)
                } else if count < SMALL_READ {
                    SMALL_READ
                } else {
                    self.read_size
                };
            }
            Woke::Deadline => self.machine.handle_timeout(Instant::now()),
        }
        Ok(())
    }

    fn make_room(&mut self) {
        if self.input.capacity() - self.input.len() < SMALL_READ {
            self.input.reserve(self.read_size);
            self.grown |= self.read_size > SMALL_READ;
        }
    }

    /// Writes once; reads up to the cap meanwhile, so that two full pipes
    /// never wait for each other.
    async fn pump_write(&mut self, deadline: Instant) -> Result<(), ConnError> {
        let closed_before = self.read_closed;
        self.make_room();
        self.grown = true;
        let Self {
            stream,
            machine,
            input,
            read_closed,
            ..
        } = self;
        let write = poll_fn(|cx| -> Poll<io::Result<()>> {
            match pin!(stream.write_buf(machine.output())).poll(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(_)) => {
                    if machine.output().is_empty()
                        && let Poll::Ready(Err(error)) = pin!(stream.flush()).poll(cx)
                    {
                        return Poll::Ready(Err(error));
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
            while !*read_closed && input.len() < INPUT_CAP {
                match pin!(stream.read_buf(input)).poll(cx) {
                    // Told to the machine by the next `next()`.
                    Poll::Ready(Ok(0)) => *read_closed = true,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            Poll::Pending
        });
        tokio::time::timeout_at(deadline.into(), write)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if self.read_closed && !closed_before {
            self.machine.handle_eof();
        }
        Ok(())
    }

    /// Sends the last octets and closes; nothing can be done about failures.
    async fn farewell(&mut self) {
        let goodbye = async {
            while !self.machine.output().is_empty() {
                self.stream.write_buf(self.machine.output()).await?;
            }
            self.stream.flush().await?;
            self.stream.shutdown().await?;
            io::Result::Ok(())
        };
        if tokio::time::timeout(FAREWELL, goodbye).await.is_err() {
            return;
        }
        // Closing a socket with unread input resets it, and the peer may lose
        // the farewell: read away a bounded rest first.
        let linger = async {
            let mut sink = [0; 4096];
            for _ in 0..64 {
                if self.read_closed || self.stream.read(&mut sink).await? == 0 {
                    break;
                }
            }
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(LINGER, linger).await;
    }
}

/// How long a peer may take for so many octets.
fn patience(octets: usize) -> Duration {
    let octets = u64::try_from(octets).unwrap_or(u64::MAX);
    STALLED + Duration::from_secs(octets / LEAST_RATE)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::{Buf, Bytes};
    use proto_core::Output;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Sends every octet back, in pieces of `least` octets at the least;
    /// wants to be drained above 64 KiB.
    #[derive(Default)]
    struct Echo {
        output: Output,
        least: usize,
        eof: bool,
        over: bool,
        deadline: Option<Instant>,
    }

    impl Machine for Echo {
        type Event = Bytes;
        type Error = Infallible;

        fn poll(&mut self, input: &mut BytesMut, _: Instant) -> Result<Step<Bytes>, Infallible> {
            if self.over || (self.eof && input.is_empty()) {
                return Ok(Step::Closed);
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
}
