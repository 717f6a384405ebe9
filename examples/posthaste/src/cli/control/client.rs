//! A command's side: what asks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::UnixStream;

use super::serve::attend;
use super::socket::{socket_path, with_short_path};
use super::wire::{MAX_FRAME, read_frame, read_line, write_frame, write_line};
use super::{Answer, Request};
use crate::blocking::Blocking;
use crate::cli::DataLock;
use crate::config::Config;
use crate::queue::LocalQueue;

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// A command's connection to the queue.
pub(crate) struct Control {
    stream: BufReader<Box<dyn Both>>,
    /// Whether a server is at the other end.
    pub(crate) served: bool,
}

impl Control {
    /// The running server's queue, or that in the data folder.
    pub(crate) async fn open(config: Arc<Config>) -> io::Result<Self> {
        // A server that is just starting holds the lock before it listens.
        let mut last = None;
        for _ in 0..20 {
            let path = socket_path(&config);
            match with_short_path(&path, |path| std::os::unix::net::UnixStream::connect(path)) {
                Ok(stream) => {
                    stream.set_nonblocking(true)?;
                    return Ok(Self::over(UnixStream::from_std(stream)?, true));
                }
                Err(error) => last = Some(error),
            }
            if let Some(lock) = DataLock::take(&config)? {
                return Self::direct(config, lock);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::TimedOut.into()))
    }

    fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, served: bool) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
            served,
        }
    }

    fn direct(config: Arc<Config>, lock: DataLock) -> io::Result<Self> {
        let queue = LocalQueue::open(&config.queue_directory, Blocking::new(4))
            .map_err(io::Error::other)?;
        let (ours, theirs) = tokio::io::duplex(2 * MAX_FRAME);
        let uid = rustix::process::getuid().as_raw();
        tokio::spawn(async move {
            let _ = attend(theirs, &config, &queue, Some(uid)).await;
            drop(queue);
            drop(lock);
        });
        Ok(Self::over(ours, false))
    }

    pub(crate) async fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        write_line(&mut self.stream, request).await?;
        self.next().await
    }

    pub(crate) async fn next(&mut self) -> io::Result<Answer> {
        read_line(&mut self.stream)
            .await?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    pub(crate) async fn content(&mut self) -> io::Result<Option<Bytes>> {
        read_frame(&mut self.stream).await
    }

    pub(crate) async fn send(&mut self, content: &[u8]) -> io::Result<()> {
        for frame in content.chunks(MAX_FRAME) {
            write_frame(&mut self.stream, frame).await?;
        }
        Ok(())
    }

    pub(crate) async fn end(&mut self) -> io::Result<Answer> {
        write_frame(&mut self.stream, &[]).await?;
        self.next().await
    }
}
