use std::io::{self, Read};

use bytes::Bytes;

use super::{BoxFuture, MessageReader, StoreError, StoreResult};
use crate::blocking::Blocking;

/// Octets read at a time.
const CHUNK: usize = 64 * 1024;

/// A message on this host's disk.
pub(crate) struct LocalReader {
    /// Absent while a read of it was cancelled, and after a failure.
    reader: Option<mailstore::Reader>,
    size: u64,
    /// Read already: opening a message reads its beginning in the same step.
    ahead: Option<Bytes>,
    blocking: Blocking,
}

impl LocalReader {
    /// Reads the beginning as well; for a small message that is all of it.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn open(mut reader: mailstore::Reader, blocking: Blocking) -> io::Result<Self> {
        let first = read_chunk(&mut reader)?;
        Ok(Self {
            size: reader.size(),
            reader: Some(reader),
            ahead: first,
            blocking,
        })
    }

    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut mailstore::Reader) -> io::Result<T> + Send + 'static,
    ) -> StoreResult<T> {
        let broken = || StoreError::Storage("reading a message was broken off".into());
        let mut reader = self.reader.take().ok_or_else(broken)?;
        let ran = self.blocking.run(move || (work(&mut reader), reader)).await;
        let (result, reader) = ran.ok_or_else(broken)?;
        self.reader = Some(reader);
        result.map_err(|error| StoreError::Storage(error.to_string()))
    }
}

fn read_chunk(reader: &mut mailstore::Reader) -> io::Result<Option<Bytes>> {
    let left = reader.size().saturating_sub(reader.position());
    let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
    let mut chunk = vec![0; want];
    let mut filled = 0;
    while let Some(rest) = chunk.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    chunk.truncate(filled);
    Ok((filled > 0).then(|| Bytes::from(chunk)))
}

impl MessageReader for LocalReader {
    fn size(&self) -> u64 {
        self.size
    }

    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Bytes>>> {
        Box::pin(async {
            if let Some(ahead) = self.ahead.take() {
                return Ok(Some(ahead));
            }
            let at_end = |reader: &mailstore::Reader| reader.position() >= reader.size();
            if self.reader.as_ref().is_some_and(at_end) {
                return Ok(None);
            }
            self.run(read_chunk).await
        })
    }

    fn skip(&mut self, mut octets: u64) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            if let Some(mut ahead) = self.ahead.take() {
                let here = usize::try_from(octets)
                    .unwrap_or(usize::MAX)
                    .min(ahead.len());
                let rest = ahead.split_off(here);
                octets -= here as u64;
                if !rest.is_empty() {
                    self.ahead = Some(rest);
                    return Ok(());
                }
            }
            if octets == 0 {
                return Ok(());
            }
            self.run(move |reader| reader.seek(reader.position().saturating_add(octets)))
                .await
        })
    }
}
