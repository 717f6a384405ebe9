use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::conn::{ConnError, HANDSHAKE};
use crate::deflate::Deflated;
use crate::socket::Socket;

/// A transport: a socket, or TLS over it.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Plain(Socket),
    /// Encrypted.
    Tls(Box<TlsStream<Socket>>),
    /// One of these, its octets deflated (RFC 4978).
    Deflated(Box<Deflated>),
    /// Between two steps of an upgrade; reading it is the end of the stream.
    Gone,
}

impl Stream {
    /// Connects to an address, within `limit`.
    ///
    /// # Errors
    /// As the system says, or `TimedOut`.
    pub async fn connect(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        let socket = tokio::time::timeout(limit, TcpStream::connect(address)).await??;
        socket.set_nodelay(true)?;
        Ok(socket.into())
    }

    /// Connects to a socket in the file system.
    ///
    /// # Errors
    /// As the system says.
    pub async fn connect_local(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Into::into)
    }

    /// Shakes hands as a server, for services with implicit TLS (RFC 8314).
    ///
    /// # Errors
    /// When the handshake fails or takes longer than 30 s.
    pub async fn accept_tls(
        socket: impl Into<Socket>,
        acceptor: &TlsAcceptor,
    ) -> Result<Self, ConnError> {
        let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket.into()))
            .await
            .map_err(|_| ConnError::HandshakeTimeout)??;
        Ok(Self::Tls(Box::new(TlsStream::Server(stream))))
    }

    /// Shakes hands as a client, for services with implicit TLS.
    ///
    /// # Errors
    /// As [`Stream::accept_tls`], and when the server's certificate is refused.
    pub async fn connect_tls(
        socket: impl Into<Socket>,
        connector: &TlsConnector,
        name: ServerName<'static>,
    ) -> Result<Self, ConnError> {
        let stream = tokio::time::timeout(HANDSHAKE, connector.connect(name, socket.into()))
            .await
            .map_err(|_| ConnError::HandshakeTimeout)??;
        Ok(Self::Tls(Box::new(TlsStream::Client(stream))))
    }

    /// Whether octets are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Deflated(stream) => stream.inner().is_tls(),
            Self::Plain(_) | Self::Gone => false,
        }
    }

    /// Whether octets are deflated.
    #[must_use]
    pub fn is_deflated(&self) -> bool {
        matches!(self, Self::Deflated(_))
    }

    /// All that was read is done with.
    pub(crate) fn go_on(&mut self) {
        if let Self::Deflated(deflated) = self {
            deflated.go_on();
        }
    }

    /// The TLS version and cipher suite, as a `Received` line shows them.
    #[must_use]
    pub fn tls_info(&self) -> Option<TlsInfo> {
        let stream = match self {
            Self::Tls(stream) => stream,
            Self::Deflated(stream) => return stream.inner().tls_info(),
            Self::Plain(_) | Self::Gone => return None,
        };
        let (_, session) = stream.get_ref();
        Some(TlsInfo {
            version: match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLS",
            },
            cipher: session
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown"),
        })
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// When the socket is no longer connected, or is not TCP.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// When the socket is no longer connected, or is not TCP.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.local_addr()
    }

    fn socket(&self) -> io::Result<&Socket> {
        match self {
            Self::Plain(stream) => Ok(stream),
            Self::Tls(stream) => Ok(stream.get_ref().0),
            Self::Deflated(stream) => stream.inner().socket(),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// What was negotiated; see [`Stream::tls_info`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: &'static str,
}

impl<S: Into<Socket>> From<S> for Stream {
    fn from(socket: S) -> Self {
        Self::Plain(socket.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Deflated(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Deflated(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Deflated(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Deflated(_) | Self::Gone => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Deflated(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Deflated(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}
