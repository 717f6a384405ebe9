//! How octets move: reading while writing, with an end to every wait.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Conn, ConnError};
use crate::machine::Machine;

/// The least that is asked of the transport at a time: an idle connection
/// holds no more than this.
pub(super) const SMALL_READ: usize = 1024;

/// The most, while a payload streams in.
const LARGE_READ: usize = 64 * 1024;

/// Reading goes on while output waits to be written, up to this much unread
/// input: a peer that sends and never reads cannot grow memory further.
pub(super) const INPUT_CAP: usize = 256 * 1024;

/// [`Conn::flush_above`] stops waiting when this little is left.
const LOW_WATER: usize = 64 * 1024;

/// A peer that takes nothing at all for so long is gone.
pub(super) const STALLED: Duration = Duration::from_secs(300);

/// Octets a second that a peer must take of a long answer, over and above
/// [`STALLED`]: one that takes an octet now and then would hold it for years.
const LEAST_RATE: u64 = 256;

/// How long the last octets may take after the machine has closed.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long the peer may take to close its side after ours was closed.
const LINGER: Duration = Duration::from_secs(1);

impl<M: Machine> Conn<M> {
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

    /// Writes what there is; ends when input came or a deadline passed, or,
    /// for a machine that wants to be drained, when anything was written.
    pub(super) async fn pump(&mut self, drain: bool) -> Result<(), ConnError> {
        let deadline = self.machine.poll_timeout();
        // What has come in time is taken first, however late it is looked at.
        // A peer of which there always is more must not outlive its time.
        if deadline.is_some() && deadline == self.overdue.take() {
            self.machine.handle_timeout(Instant::now());
            return Ok(());
        }
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
        self.overdue = deadline.filter(|at| *at <= Instant::now());
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
        self.skip_flush_end();
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
        self.skip_flush_end();
        if self.read_closed && !closed_before {
            self.machine.handle_eof();
        }
        Ok(())
    }

    /// Sends the last octets and closes; nothing can be done about failures.
    pub(super) async fn farewell(&mut self) {
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
                self.stream.go_on();
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
pub(super) fn patience(octets: usize) -> Duration {
    let octets = u64::try_from(octets).unwrap_or(u64::MAX);
    STALLED + Duration::from_secs(octets / LEAST_RATE)
}
