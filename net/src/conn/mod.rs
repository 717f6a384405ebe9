//! A machine on its transport: the host's loop, and what the transport becomes.

mod pump;

use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use proto_core::{Misuse, Step};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::pump::SMALL_READ;
use crate::deflate::Deflated;
use crate::machine::Machine;
use crate::stream::Stream;

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
}

#[cfg(test)]
mod tests;
