//! Lines and frames.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt,
};

/// The longest line: stops a peer from filling the memory. A submission with
/// ten thousand recipients fits.
const MAX_LINE: u64 = 4 << 20;

/// The longest frame.
pub(super) const MAX_FRAME: usize = 64 << 10;

/// A peer that says nothing for so long has gone.
const IDLE: Duration = Duration::from_secs(300);

pub(super) async fn read_line<T: DeserializeOwned>(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    let mut limited = stream.take(MAX_LINE);
    tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(super) async fn write_line<T: Serialize>(
    stream: &mut (impl AsyncWrite + Unpin),
    value: &T,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}

pub(super) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Bytes>> {
    let length = tokio::time::timeout(IDLE, stream.read_u32()).await??;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is too long",
        ));
    }
    if length == 0 {
        return Ok(None);
    }
    let mut frame = vec![0; length];
    tokio::time::timeout(IDLE, stream.read_exact(&mut frame)).await??;
    Ok(Some(frame.into()))
}

pub(super) async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    stream.write_u32(length).await?;
    stream.write_all(frame).await?;
    stream.flush().await
}
