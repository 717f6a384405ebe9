//! DEFLATE over a stream, both ways (RFC 4978, RFC 1951).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// Deflated octets that are read from the transport at a time.
const READ: usize = 4 * 1024;

/// Deflated octets that wait for the transport; with so many, no more are
/// taken.
const WAITING: usize = 32 * 1024;

/// Octets that one call of the compressor may give.
const STEP: usize = 4 * 1024;

/// A transport whose octets are deflated.
///
/// What is inflated goes straight into the reader's buffer: a few octets that
/// would become a million come out as slowly as they are read, and take no
/// memory. The two windows and their tables are about 300 KiB a connection;
/// a host gives them only to those who have logged in.
pub struct Deflated {
    inner: Stream,
    inflate: Decompress,
    deflate: Compress,
    /// Read, but not inflated.
    raw: BytesMut,
    /// The inflater may have more to say without more octets.
    full: bool,
    /// Deflated, but not written.
    waiting: BytesMut,
    /// The compressor holds octets that no flush has asked for.
    dirty: bool,
}

impl fmt::Debug for Deflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflated")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not DEFLATE")
}

impl Deflated {
    /// `raw`: what was read of the transport already.
    pub(crate) fn new(inner: Stream, raw: BytesMut) -> Self {
        Self {
            inner,
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::fast(), false),
            raw,
            full: false,
            waiting: BytesMut::new(),
            dirty: false,
        }
    }

    pub(crate) fn inner(&self) -> &Stream {
        &self.inner
    }

    /// Runs the compressor; how many octets of `input` it took.
    fn step(&mut self, input: &[u8], flush: FlushCompress) -> io::Result<(usize, bool)> {
        let (taken, given) = (self.deflate.total_in(), self.deflate.total_out());
        let before = self.waiting.len();
        self.waiting.resize(before + STEP, 0);
        let room = self.waiting.get_mut(before..).unwrap_or_default();
        let room_len = room.len() as u64;
        let done = self.deflate.compress(input, room, flush);
        let given = self.deflate.total_out() - given;
        let given = usize::try_from(given).unwrap_or(STEP);
        self.waiting.truncate(before + given);
        done.map_err(|_| broken())?;
        let taken = usize::try_from(self.deflate.total_in() - taken).unwrap_or(input.len());
        Ok((taken, given as u64 == room_len))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, down_to: usize) -> Poll<io::Result<()>> {
        while self.waiting.len() > down_to {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        if down_to == 0 {
            // An idle connection holds nothing.
            self.waiting = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Inflates into `buf`; whether anything came of it.
    fn inflate(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let room = buf.initialize_unfilled();
        let len = room.len();
        let status = self
            .inflate
            .decompress(&self.raw, room, FlushDecompress::None);
        let taken = usize::try_from(self.inflate.total_in() - taken).unwrap_or(0);
        let given = usize::try_from(self.inflate.total_out() - given).unwrap_or(0);
        buf.advance(given.min(len));
        self.raw.advance(taken.min(self.raw.len()));
        self.full = given == len;
        match status {
            // RFC 4978 §3: a peer does not end the stream but closes.
            Ok(Status::StreamEnd) if given == 0 => Err(broken()),
            Ok(_) => Ok(given > 0),
            Err(_) => Err(broken()),
        }
    }
}

impl AsyncRead for Deflated {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if (this.full || !this.raw.is_empty()) && this.inflate(buf)? {
                return Poll::Ready(Ok(()));
            }
            if !this.raw.is_empty() {
                continue;
            }
            let mut chunk = [0; READ];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.raw = BytesMut::from(chunk.filled());
        }
    }
}

impl AsyncWrite for Deflated {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut taken = 0;
        while let Some(rest) = buf.get(taken..).filter(|rest| !rest.is_empty()) {
            match this.poll_drain(cx, WAITING)? {
                Poll::Ready(()) => {}
                Poll::Pending if taken > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
            // It may give of what it has before it takes any.
            let (more, _) = this.step(rest, FlushCompress::None)?;
            this.dirty = true;
            taken += more;
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.dirty {
            // As long as it fills what it is given, it has more.
            let (_, more) = this.step(&[], FlushCompress::Sync)?;
            this.dirty = more;
        }
        ready!(this.poll_drain(cx, 0))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut *this).poll_flush(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Deflated, Deflated) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap());
        let (one, other) = tokio::join!(one, listener.accept());
        let deflated = |socket: TcpStream| Deflated::new(socket.into(), BytesMut::new());
        (deflated(one.unwrap()), deflated(other.unwrap().0))
    }

    /// Octets that do not deflate well.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[tokio::test]
    async fn there_and_back() {
        let (mut one, mut other) = pair().await;
        for octets in [
            b"* OK\r\n".to_vec(),
            vec![b'x'; 3_000_000],
            noise(1_000_000),
            noise(4096),
            noise(1),
        ] {
            let sent = octets.clone();
            let writing = async {
                for chunk in sent.chunks(70_000) {
                    one.write_all(chunk).await.unwrap();
                }
                one.flush().await.unwrap();
            };
            let mut got = vec![0; octets.len()];
            let (_, read) = tokio::join!(writing, other.read_exact(&mut got));
            read.unwrap();
            assert!(got == octets);
            assert!(one.waiting.is_empty() && one.waiting.capacity() == 0);
        }
        // The end of the transport is the end of the stream.
        one.shutdown().await.unwrap();
        assert_eq!(other.read(&mut [0; 9]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_bomb_takes_no_memory() {
        let (mut one, mut other) = pair().await;
        let writing = async {
            let zeros = vec![0; 1 << 20];
            for _ in 0..64 {
                one.write_all(&zeros).await.unwrap();
            }
            one.flush().await.unwrap();
        };
        let reading = async {
            let (mut buffer, mut left) = ([0; 1000], 64 << 20_usize);
            while left > 0 {
                left -= other.read(&mut buffer).await.unwrap();
                assert!(other.raw.capacity() <= READ);
            }
        };
        tokio::join!(writing, reading);
    }

    #[tokio::test]
    async fn what_is_not_deflated_ends_the_connection() {
        let (one, mut other) = pair().await;
        let mut plain = one.inner;
        plain.write_all(b"a LOGIN joe secret\r\n").await.unwrap();
        let mut buffer = [0; 100];
        let ended = async {
            while other.read(&mut buffer).await? > 0 {}
            io::Result::Ok(())
        };
        let error = ended.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
