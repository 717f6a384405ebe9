//! Messages on their way in, and batches of changes.

use std::path::PathBuf;
use std::sync::Arc;

use super::frame::{BODY_LIMIT, Record};
use super::{Inner, QueueId};
use crate::durable::{Durable, File};
use crate::error::{Error, IoContext};

const BUFFER: usize = 64 << 10;
/// More than the octets of a record that are neither content, envelope nor state.
const RECORD: usize = 128;

/// A message being accepted. Small ones stay in memory until they go into the log; a larger one is written to a
/// file of its own, so that its size costs no memory.
pub struct Incoming {
    inner: Arc<Inner>,
    id: QueueId,
    buffer: Vec<u8>,
    big: Option<Big>,
}

struct Big {
    durable: Durable,
    path: PathBuf,
    file: Box<dyn File>,
    written: u64,
    kept: bool,
}

impl Drop for Big {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is removed when the spool is opened again: no record names it.
            let _ = self.durable.remove(&self.path);
        }
    }
}

impl Incoming {
    pub(super) fn new(inner: Arc<Inner>, id: QueueId) -> Self {
        Self {
            inner,
            id,
            buffer: Vec::new(),
            big: None,
        }
    }

    /// The id it will have.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.big.as_ref().map_or(0, |big| big.written) + self.buffer.len() as u64
    }

    /// Adds content.
    ///
    /// # Errors
    /// The disk fails; the message should be dropped.
    pub fn write(&mut self, content: &[u8]) -> Result<(), Error> {
        let limit = self.inner.config.inline_octets;
        if self.big.is_none() && self.buffer.len() + content.len() > limit {
            let path = self.inner.big_path(self.id);
            let durable = self.inner.durable.clone();
            let file = durable.create(&path)?;
            self.big = Some(Big {
                durable,
                path,
                file,
                written: 0,
                kept: false,
            });
        }
        if self.big.is_none() {
            self.buffer.extend_from_slice(content);
            return Ok(());
        }
        for part in content.chunks(BUFFER) {
            self.buffer.extend_from_slice(part);
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if let Some(big) = &mut self.big {
            big.file
                .write_all_at(&self.buffer, big.written)
                .at("write", &big.path)?;
            big.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Accepts the message: when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for the envelope, or the disk fails; the message is not accepted then.
    pub fn commit(self, envelope: &[u8]) -> Result<QueueId, Error> {
        let (id, inner) = (self.id, Arc::clone(&self.inner));
        let mut batch = Batch::new();
        batch.add(self, envelope, b"");
        inner.commit(batch).map(|()| id)
    }

    /// Accepts the message and calls `done` once it is on the disk, as [`Spool::submit`](super::Spool::submit).
    pub fn commit_with(
        self,
        envelope: &[u8],
        done: impl FnOnce(Result<QueueId, Error>) + Send + 'static,
    ) {
        let (id, inner) = (self.id, Arc::clone(&self.inner));
        let mut batch = Batch::new();
        batch.add(self, envelope, b"");
        inner.submit(batch, Box::new(move |result| done(result.map(|()| id))));
    }
}

/// Changes that are done together or not at all: a message's end with the bounce it leaves, say.
#[derive(Default)]
pub struct Batch {
    changes: Vec<Change>,
}

enum Change {
    Add {
        incoming: Incoming,
        envelope: Vec<u8>,
        state: Vec<u8>,
    },
    Update {
        id: QueueId,
        state: Vec<u8>,
    },
    Remove {
        id: QueueId,
    },
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts a message; it is pending and not claimed.
    pub fn add(&mut self, incoming: Incoming, envelope: &[u8], state: &[u8]) -> QueueId {
        let id = incoming.id;
        self.changes.push(Change::Add {
            incoming,
            envelope: envelope.to_vec(),
            state: state.to_vec(),
        });
        id
    }

    /// Puts the state of a claimed message in place of the one before.
    pub fn update(&mut self, id: QueueId, state: &[u8]) {
        self.changes.push(Change::Update {
            id,
            state: state.to_vec(),
        });
    }

    /// Ends a claimed message.
    pub fn remove(&mut self, id: QueueId) {
        self.changes.push(Change::Remove { id });
    }

    /// Makes contents that have files of their own durable, and the rest one body of a frame.
    pub(super) fn seal(mut self, durable: &Durable) -> Result<Sealed, Error> {
        let mut directory = None;
        for change in &mut self.changes {
            if let Change::Add { incoming, .. } = change {
                incoming.flush()?;
                if let Some(big) = &incoming.big {
                    durable.sync(&*big.file, &big.path)?;
                    directory = big.path.parent().map(ToOwned::to_owned);
                }
            }
        }
        if let Some(directory) = directory {
            durable.sync_dir(&directory)?;
        }
        let (mut body, mut touched, mut added, mut bigs) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for change in self.changes {
            match change {
                Change::Add {
                    mut incoming,
                    envelope,
                    state,
                } => {
                    let size = incoming.size();
                    let content = incoming.big.is_none().then_some(incoming.buffer.as_slice());
                    let id = incoming.id;
                    if envelope.len().saturating_add(state.len()) > BODY_LIMIT {
                        let octets = envelope.len().saturating_add(state.len());
                        return Err(Error::TooLarge {
                            octets,
                            limit: BODY_LIMIT,
                        });
                    }
                    let inline = content.map_or(0, <[u8]>::len);
                    body.reserve(inline + envelope.len() + state.len() + RECORD);
                    Record::Accept {
                        id,
                        size,
                        envelope: &envelope,
                        state: &state,
                        content,
                    }
                    .write(&mut body);
                    added.push(id);
                    bigs.extend(incoming.big.take());
                }
                Change::Update { id, state } => {
                    if state.len() > BODY_LIMIT {
                        return Err(Error::TooLarge {
                            octets: state.len(),
                            limit: BODY_LIMIT,
                        });
                    }
                    Record::State { id, state: &state }.write(&mut body);
                    touched.push(id);
                }
                Change::Remove { id } => {
                    Record::Remove { id }.write(&mut body);
                    touched.push(id);
                }
            }
        }
        if body.len() > BODY_LIMIT {
            return Err(Error::TooLarge {
                octets: body.len(),
                limit: BODY_LIMIT,
            });
        }
        Ok(Sealed {
            body,
            touched,
            added,
            bigs,
        })
    }
}

/// A batch ready for the log.
pub(super) struct Sealed {
    pub(super) body: Vec<u8>,
    /// Messages that must be claimed.
    pub(super) touched: Vec<QueueId>,
    pub(super) added: Vec<QueueId>,
    /// Files that go unless the batch succeeds.
    bigs: Vec<Big>,
}

impl Sealed {
    /// The log names the files now.
    pub(super) fn keep(&mut self) {
        for big in &mut self.bigs {
            big.kept = true;
        }
    }
}

/// A batch that waits for the disk.
pub(super) struct Job {
    pub(super) sealed: Sealed,
    pub(super) done: Box<dyn FnOnce(Result<(), Error>) + Send>,
}
