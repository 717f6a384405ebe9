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
    pub(super) fn new(inner: Arc<Inner>, id: QueueId, buffer: Vec<u8>) -> Self {
        Self {
            inner,
            id,
            buffer,
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
        let mut sealed = Sealed::default();
        let body = &mut sealed.body;
        for change in self.changes {
            match change {
                Change::Add {
                    mut incoming,
                    envelope,
                    state,
                } => {
                    let (id, size) = (incoming.id, incoming.size());
                    limited(envelope.len().saturating_add(state.len()))?;
                    let content = incoming.big.is_none().then_some(incoming.buffer);
                    let mut head = Vec::with_capacity(envelope.len() + state.len() + RECORD);
                    Record::Accept {
                        id,
                        size,
                        envelope: &envelope,
                        state: &state,
                        content: content.as_deref(),
                    }
                    .write_head(&mut head);
                    body.push(head);
                    body.push(content.unwrap_or_default());
                    sealed.added.push(id);
                    sealed.bigs.extend(incoming.big.take());
                }
                Change::Update { id, state } => {
                    limited(state.len())?;
                    let mut record = Vec::with_capacity(state.len() + RECORD);
                    Record::State { id, state: &state }.write(&mut record);
                    body.push(record);
                    sealed.updated.push(id);
                }
                Change::Remove { id } => {
                    let mut record = Vec::new();
                    Record::Remove { id }.write(&mut record);
                    body.push(record);
                    sealed.removed.push(id);
                }
            }
        }
        limited(sealed.body.len())?;
        Ok(sealed)
    }
}

fn limited(octets: usize) -> Result<(), Error> {
    if octets > BODY_LIMIT {
        return Err(Error::TooLarge {
            octets,
            limit: BODY_LIMIT,
        });
    }
    Ok(())
}

/// A frame's body in parts, so that a content is not copied before it is written.
#[derive(Default)]
pub(super) struct Body(Vec<Vec<u8>>);

impl From<Vec<u8>> for Body {
    fn from(body: Vec<u8>) -> Self {
        Self(vec![body])
    }
}

impl Body {
    pub(super) fn into_parts(self) -> impl Iterator<Item = Vec<u8>> {
        self.0.into_iter()
    }

    pub(super) fn parts(&self) -> &[Vec<u8>] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    fn push(&mut self, part: Vec<u8>) {
        self.0.push(part);
    }
}

/// A batch ready for the log.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) body: Body,
    /// Messages that must be claimed.
    pub(super) updated: Vec<QueueId>,
    pub(super) removed: Vec<QueueId>,
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

/// What a caller is told by. It is called once.
pub(super) type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A batch that waits for the disk.
pub(super) struct Job {
    pub(super) sealed: Sealed,
    pub(super) done: Done,
}
