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

/// Octets behind a flush that wait until the reader goes on; with so many, no
/// more are taken.
const AHEAD: usize = 64 * 1024;

/// How a flush ends: the length of an empty stored block, twice (RFC 1951
/// §3.2.4).
const FLUSH_END: u32 = 0x0000_FFFF;

/// A transport whose octets are deflated.
///
/// What is inflated goes straight into the reader's buffer: a few octets that
/// would become a million come out as slowly as they are read, and take no
/// memory. The two windows and their tables are about 300 KiB a connection;
/// a host gives them only to those who have logged in.
///
/// Behind a flush the octets may not be deflated any more (RFC 8437 §4.1), so
/// a reader gets none of them before it says [`Deflated::go_on`].
pub struct Deflated {
    inner: Stream,
    inflate: Decompress,
    deflate: Compress,
    /// Read, but not inflated.
    raw: BytesMut,
    /// Octets of `raw` up to where a flush may end, or all.
    upto: usize,
    /// Whether a flush may end there.
    flush: bool,
    /// The last four octets that were looked at.
    last: u32,
    /// Something was read since the reader went on.
    given: bool,
    /// What was read may be all that is deflated: nothing more is inflated
    /// until the reader has looked at it and goes on.
    held: bool,
    /// The peer ended its stream.
    ended: bool,
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
            upto: 0,
            flush: false,
            last: u32::MAX,
            given: false,
            held: false,
            ended: false,
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

    /// The reader has done all that it can with what it was given.
    pub(crate) fn go_on(&mut self) {
        self.held = false;
        self.given = false;
    }

    /// The transport again, and what came of it that is not deflated.
    pub(crate) fn into_inner(mut self) -> io::Result<(Stream, BytesMut)> {
        while !self.held && (self.full || !self.raw.is_empty()) {
            // What is left of the flush says nothing.
            if self.inflate(&mut ReadBuf::new(&mut [0; 64]))? {
                return Err(broken());
            }
        }
        Ok((self.inner, self.raw))
    }

    /// Looks for the end of a flush. What looks like one may be none; then a
    /// reader is only given less at a time.
    fn look(&mut self) {
        self.upto = self.raw.len();
        self.flush = false;
        for (at, octet) in self.raw.iter().enumerate() {
            self.last = self.last << 8 | u32::from(*octet);
            if self.last == FLUSH_END {
                self.upto = at + 1;
                self.flush = true;
                return;
            }
        }
    }

    /// Inflates into `buf`; whether anything came of it.
    fn inflate(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        if self.upto == 0 && !self.full {
            self.look();
        }
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let room = buf.initialize_unfilled();
        let len = room.len();
        let segment = self.raw.get(..self.upto).unwrap_or_default();
        let status = self
            .inflate
            .decompress(segment, room, FlushDecompress::None)
            .map_err(|_| broken())?;
        let taken = usize::try_from(self.inflate.total_in() - taken).unwrap_or(0);
        let given = usize::try_from(self.inflate.total_out() - given).unwrap_or(0);
        buf.advance(given.min(len));
        let taken = taken.min(self.upto);
        self.raw.advance(taken);
        self.upto -= taken;
        self.full = given == len;
        self.given |= given > 0;
        if status == Status::StreamEnd {
            self.ended = true;
            self.upto = 0;
            self.full = false;
        } else if taken == 0 && given == 0 && self.upto > 0 {
            return Err(broken());
        }
        self.held = self.given && !self.full && self.upto == 0 && (self.flush || self.ended);
        if self.ended && !self.held {
            return Err(broken());
        }
        Ok(given > 0)
    }

    /// Takes what comes behind a flush, so that the peer can go on writing;
    /// nothing is read of it.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.raw.len() < AHEAD {
            let mut chunk = [0; READ];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                break;
            }
            self.raw.extend_from_slice(chunk.filled());
        }
        Poll::Pending
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
            if this.held {
                return this.poll_ahead(cx);
            }
            if this.ended {
                // RFC 4978 §3: a peer does not end the stream but closes.
                return Poll::Ready(Err(broken()));
            }
            if this.full || !this.raw.is_empty() {
                if this.inflate(buf)? {
                    return Poll::Ready(Ok(()));
                }
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

    /// Reads on and on.
    async fn read_exact(from: &mut Deflated, into: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < into.len() {
            from.go_on();
            match from.read(&mut into[done..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => done += more,
            }
        }
        Ok(())
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
            let (_, read) = tokio::join!(writing, read_exact(&mut other, &mut got));
            read.unwrap();
            assert!(got == octets);
            assert!(one.waiting.is_empty() && one.waiting.capacity() == 0);
        }
        // The end of the transport is the end of the stream.
        one.shutdown().await.unwrap();
        other.go_on();
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
                other.go_on();
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

    /// Deflated in one piece, ended so.
    fn deflated(octets: &[u8], end: FlushCompress) -> Vec<u8> {
        let mut deflate = Compress::new(Compression::best(), false);
        let mut out = Vec::with_capacity(octets.len() + 1000);
        deflate.compress_vec(octets, &mut out, end).unwrap();
        out
    }

    #[tokio::test]
    async fn behind_a_flush_octets_may_be_plain() {
        for end in [
            FlushCompress::Sync,
            FlushCompress::Full,
            FlushCompress::Finish,
        ] {
            let mut sent = deflated(b"a UNAUTHENTICATE\r\n", end);
            sent.extend_from_slice(b"b NOOP\r\n");
            for cut in 0..sent.len() {
                let (one, other) = pair().await;
                let (mut peer, socket) = (one.inner, other.inner);
                peer.write_all(&sent[cut..]).await.unwrap();
                peer.shutdown().await.unwrap();
                let mut other = Deflated::new(socket, BytesMut::from(&sent[..cut]));
                let mut got = [0; 18];
                read_exact(&mut other, &mut got).await.unwrap();
                assert_eq!(&got, b"a UNAUTHENTICATE\r\n");
                if cut % 2 == 0 {
                    // Nothing of what there is is taken for deflated.
                    let more = std::future::poll_fn(|cx| {
                        let mut room = [0; 9];
                        let read = Pin::new(&mut other).poll_read(cx, &mut ReadBuf::new(&mut room));
                        Poll::Ready(read)
                    });
                    assert!(more.await.is_pending());
                }
                let (mut inner, mut rest) = other.into_inner().unwrap();
                while inner.read_buf(&mut rest).await.unwrap() > 0 {}
                // A flush may end behind what was read.
                let plain = rest.iter().position(|octet| !matches!(octet, 0 | 0xFF));
                assert_eq!(&rest[plain.unwrap()..], b"b NOOP\r\n", "{end:?} {cut}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_deflated_behind_the_end_is_refused() {
        let sent = deflated(b"a UNAUTHENTICATE\r\nb NOOP\r\n", FlushCompress::Sync);
        let (_one, other) = pair().await;
        let mut other = Deflated::new(other.inner, BytesMut::from(&sent[..]));
        let mut got = [0; 18];
        read_exact(&mut other, &mut got).await.unwrap();
        assert!(other.into_inner().is_err());
    }
}
