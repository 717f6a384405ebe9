//! A machine on its transport: the host's loop, and what the transport becomes.

mod pump;

use std::io;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use proto_core::{Misuse, Step};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::pump::SMALL_READ;
use crate::deflate::Deflated;
use crate::machine::Machine;
use crate::stream::Stream;

/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(30);

/// What may come of a flush behind the text that it flushes: the header of an
/// empty stored block and its length, perhaps twice.
const FLUSH_END: u8 = 10;

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
    /// Octets at the front of `input` that may be the end of a flush.
    flush_end: u8,
    /// The machine's deadline, if it had passed when the last octets moved.
    overdue: Option<Instant>,
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
            flush_end: 0,
            overdue: None,
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
                Ok(Step::NeedInput) => {
                    self.stream.go_on();
                    self.pump(false).await?;
                }
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

    /// Either side of UNAUTHENTICATE where octets are deflated (RFC 8437 §4.1):
    /// sends what is queued, octets go as they are from there on. For a server
    /// that is its OK; a client calls it when it has heard that.
    ///
    /// A peer may send on at once, if what it deflated ends with a flush whose
    /// last octets are `00 00 FF FF`, as those do that hold nothing back, or
    /// with the end of its stream.
    ///
    /// # Errors
    /// When the transport fails, its octets are not deflated, or something is
    /// deflated behind the command or the OK.
    pub async fn end_deflate(&mut self) -> Result<(), ConnError> {
        const CALL: &str = "end_deflate";
        self.flush().await?;
        let Stream::Deflated(deflated) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(Misuse::NotExpected { call: CALL }.into());
        };
        let (stream, input) = deflated.into_inner()?;
        if !self.input.is_empty() {
            return Err(io::Error::from(io::ErrorKind::InvalidData).into());
        }
        self.stream = stream;
        self.input = input;
        self.flush_end = FLUSH_END;
        self.skip_flush_end();
        Ok(())
    }

    /// No line of text begins with such octets.
    fn skip_flush_end(&mut self) {
        while self.flush_end > 0
            && let Some(first) = self.input.first()
        {
            if !matches!(first, 0 | 0xFF) {
                self.flush_end = 0;
                return;
            }
            self.input.advance(1);
            self.flush_end -= 1;
        }
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
}

#[cfg(test)]
mod tests;
