//! Messages that were accepted and are not yet delivered.
//!
//! | State | What is on the disk | Who moves it on |
//! |---|---|---|
//! | arriving | nothing, or a file in `big` that no record names | [`Incoming::commit`] → pending; drop → gone |
//! | pending | an Accept record, and the newest State record | [`Spool::claim`] → claimed |
//! | claimed | the same | [`Spool::unclaim`], restart → pending; [`Batch::update`] → claimed with new state; [`Batch::remove`] → gone |
//! | gone | a Remove record behind the others, until the segments before it are deleted | nobody |
//!
//! Claims are leases that end with the process. A batch is one frame of the log and so all or nothing. Frames of callers that wait at the same time are
//! written and synced together by one thread.

mod commit;
mod frame;
mod group;
mod id;
mod incoming;
mod index;
mod open;
mod patience;
mod spare;
mod tell;
mod tidy;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

pub use id::{ParseQueueIdError, QueueId};
pub use incoming::{Batch, Incoming};

use crate::durable::{Durable, File, Fs, RealFs, read_full_at};
use crate::error::{Error, IoContext};
use crate::wire::{Extent, Form, Reader};
use incoming::{Body, Done, Job};
use index::{Index, Place};

/// Where a spool is and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The spool's directory; made when it is missing.
    pub root: PathBuf,
    /// Octets of a segment of the log, which has them from its start; a group of more makes it longer. 16 MiB
    /// unless told.
    pub segment_octets: u64,
    /// A message of more octets gets a file of its own and is not held in memory. 128 KiB unless told; at most
    /// 4 MiB.
    pub inline_octets: usize,
}

impl SpoolConfig {
    /// The usual sizes.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            segment_octets: 16 << 20,
            inline_octets: 128 << 10,
        }
    }
}

/// A message of the spool, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its name.
    pub id: QueueId,
    /// What the caller gave with it.
    pub envelope: Vec<u8>,
    /// What the last update said; empty before.
    pub state: Vec<u8>,
    /// Octets of content.
    pub size: u64,
}

/// Octets of a segment of the log that could not be read when the spool was opened, though it goes on behind them.
/// They held mail or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where the first of them stands.
    pub at: u64,
    /// How many there are in all.
    pub octets: u64,
    /// Whoever handed in what stood there was told that it is on the disk: more was written behind it, or the spool was
    /// closed. Where this is false, the octets are of the last group that was written before a crash, or of a segment
    /// of which nothing can be read: somebody may have been told or nobody, and nothing on the disk says which.
    pub was_acknowledged: bool,
}

/// The spool: accepted messages in a log of segments. Cloning shares it; the last clone to go ends its thread,
/// after everything handed in is on the disk.
#[derive(Clone)]
pub struct Spool {
    inner: Arc<Inner>,
    _committer: Arc<Committer>,
}

struct Inner {
    durable: Durable,
    config: SpoolConfig,
    epoch: u32,
    /// Held locked as long as the spool is open.
    _lock: Box<dyn File>,
    index: Mutex<Index>,
    queue: Mutex<Queue>,
    wake: Condvar,
    begun: Mutex<Begun>,
    damage: Vec<Damage>,
}

/// What beginning a message takes.
struct Begun {
    last_micros: u64,
    /// Room for messages, of messages that are in the log now.
    buffers: Vec<Vec<u8>>,
}

/// So many buffers are kept for messages to come, of so many octets each at most: 2 MiB in all.
const KEPT_BUFFERS: usize = 128;
const KEPT_OCTETS: usize = 16 << 10;

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    closed: bool,
    /// The thread that writes sleeps until there are so many jobs; 0: it does not sleep.
    wanted: usize,
}

struct Committer {
    inner: Arc<Inner>,
    /// The one that writes, and the one that tells callers, which ends after it.
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Committer {
    fn drop(&mut self) {
        lock(&self.inner.queue).closed = true;
        self.inner.wake.notify_all();
        // The last clone may go in a caller's function, which one of them runs: that cannot wait for itself, nor
        // for the other, which waits for it.
        let current = thread::current().id();
        let is_own = |thread: &JoinHandle<()>| thread.thread().id() == current;
        if !self.threads.iter().any(is_own) {
            for thread in self.threads.drain(..) {
                // A panic of the thread has been told by its hook; there is nothing to add.
                let _ = thread.join();
            }
        }
    }
}

/// The file's name of a segment.
fn segment_name(number: u64) -> String {
    format!("{number:010}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spool {
    /// Opens the spool and gives every message that is pending, oldest first.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process has it open; the disk fails.
    pub fn open(config: SpoolConfig) -> Result<(Self, Vec<Pending>), Error> {
        Self::open_with_fs(config, Arc::new(RealFs))
    }

    /// Opens the spool over another file system.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_fs(
        config: SpoolConfig,
        fs: Arc<dyn Fs>,
    ) -> Result<(Self, Vec<Pending>), Error> {
        let (inner, writer) = open::open(config, Durable::new(fs))?;
        let inner = Arc::new(inner);
        let (teller, groups) = tell::teller();
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
            thread.at("start a thread of", &inner.config.root)
        };
        // When the second cannot be started, the first ends with `teller`.
        let telling = start("spool-tell", {
            let inner = Arc::clone(&inner);
            Box::new(move || groups.run(&inner))
        })?;
        let writing = start("spool", {
            let inner = Arc::clone(&inner);
            Box::new(move || group::run(&inner, writer, &teller))
        })?;
        let committer = Committer {
            inner: Arc::clone(&inner),
            threads: vec![writing, telling],
        };
        let spool = Self {
            inner,
            _committer: Arc::new(committer),
        };
        let pending = spool
            .pending()
            .into_iter()
            .map(|id| spool.load(id))
            .collect::<Result<_, _>>()?;
        Ok((spool, pending))
    }

    /// What could not be read when the spool was opened; the rest of the log was.
    pub fn damage(&self) -> &[Damage] {
        &self.inner.damage
    }

    /// Begins a message. Dropping it leaves nothing behind.
    pub fn begin(&self, now: SystemTime) -> Incoming {
        let micros = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_micros();
        let (micros, buffer) = {
            let mut begun = lock(&self.inner.begun);
            begun.last_micros = u64::try_from(micros)
                .unwrap_or(0)
                .max(begun.last_micros + 1);
            (begun.last_micros, begun.buffers.pop())
        };
        let id = QueueId {
            micros,
            epoch: self.inner.epoch,
        };
        Incoming::new(Arc::clone(&self.inner), id, buffer.unwrap_or_default())
    }

    /// Does all of a batch or nothing, and calls `done` once that is on the disk: for one caller after the other, in
    /// the order in which they came. `done` runs on a thread of the spool and must not block: it should only wake
    /// somebody.
    pub fn submit(&self, batch: Batch, done: impl FnOnce(Result<(), Error>) + Send + 'static) {
        self.inner.submit(batch, Box::new(done));
    }

    /// Does all of a batch or nothing, and waits for the disk.
    ///
    /// # Errors
    /// [`Error::NoSuchQueueId`] or [`Error::NotClaimed`] for a message that the batch must not change,
    /// [`Error::TooLarge`], or the disk fails; nothing of the batch is done then.
    pub fn commit(&self, batch: Batch) -> Result<(), Error> {
        self.inner.commit(batch)
    }

    /// Ids of all pending and claimed messages, oldest first.
    pub fn pending(&self) -> Vec<QueueId> {
        let mut ids: Vec<QueueId> = lock(&self.inner.index).entries.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// A message's envelope and state.
    ///
    /// # Errors
    /// [`Error::NoSuchQueueId`], or the disk fails.
    pub fn load(&self, id: QueueId) -> Result<Pending, Error> {
        // Both under one lock: the log's thread may move the message, and end the segment that it was in.
        let (entry, envelope, state) = {
            let index = lock(&self.inner.index);
            let entry = *index.entries.get(&id).ok_or(Error::NoSuchQueueId(id))?;
            let place = |place| Octets::of(&index, place).ok_or(Error::NoSuchQueueId(id));
            (entry, place(entry.envelope)?, place(entry.state)?)
        };
        Ok(Pending {
            id,
            envelope: envelope.read()?,
            state: state.read()?,
            size: entry.size,
        })
    }

    /// A message's content. It stays readable when the message is removed meanwhile.
    ///
    /// # Errors
    /// [`Error::NoSuchQueueId`], or the disk fails.
    pub fn reader(&self, id: QueueId) -> Result<Reader, Error> {
        let index = lock(&self.inner.index);
        let entry = *index.entries.get(&id).ok_or(Error::NoSuchQueueId(id))?;
        let (file, start) = match entry.content {
            Some(place) => {
                let segment = index
                    .segments
                    .get(&place.segment)
                    .ok_or(Error::NoSuchQueueId(id))?;
                (Arc::clone(&segment.file), place.at)
            }
            None => (
                Arc::from(self.inner.durable.open(&self.inner.big_path(id))?),
                0,
            ),
        };
        let extent = Extent {
            start,
            end: start + entry.size,
            form: Form::Wire,
        };
        Ok(Reader::new(file, vec![extent], entry.size))
    }

    /// Takes a pending message for the caller alone; false when it is claimed already or gone. Claims end with
    /// the process.
    pub fn claim(&self, id: QueueId) -> bool {
        match lock(&self.inner.index).entries.get_mut(&id) {
            Some(entry) if !entry.claimed => {
                entry.claimed = true;
                true
            }
            _ => false,
        }
    }

    /// Gives a claimed message back.
    pub fn unclaim(&self, id: QueueId) {
        if let Some(entry) = lock(&self.inner.index).entries.get_mut(&id) {
            entry.claimed = false;
        }
    }
}

impl Inner {
    fn big_path(&self, id: QueueId) -> PathBuf {
        self.config.root.join("big").join(id.to_string())
    }

    /// Keeps room for messages to come.
    fn keep_buffers(&self, bodies: Vec<Body>) {
        let mut begun = lock(&self.begun);
        for mut buffer in bodies.into_iter().flat_map(Body::into_parts) {
            let is_of_use = (1024..=KEPT_OCTETS).contains(&buffer.capacity());
            if is_of_use && begun.buffers.len() < KEPT_BUFFERS {
                buffer.clear();
                begun.buffers.push(buffer);
            }
        }
    }

    fn submit(&self, batch: Batch, done: Done) {
        let job = match batch.seal(&self.durable) {
            Ok(sealed) => Job { sealed, done },
            Err(error) => return done(Err(error)),
        };
        let mut queue = lock(&self.queue);
        if queue.closed {
            drop(queue);
            return (job.done)(Err(Error::Closed));
        }
        queue.jobs.push(job);
        let is_awaited = queue.wanted > 0 && queue.jobs.len() >= queue.wanted;
        if is_awaited {
            queue.wanted = 0;
        }
        drop(queue);
        if is_awaited {
            self.wake.notify_one();
        }
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(
            batch,
            Box::new(move |result| {
                // The receiver waits below, for as long as this can run.
                let _ = sender.send(result);
            }),
        );
        receiver.recv().unwrap_or(Err(Error::Closed))
    }

    fn read(&self, place: Place) -> Result<Vec<u8>, Error> {
        let octets = Octets::of(&lock(&self.index), place);
        octets.ok_or(Error::Closed)?.read()
    }
}

/// Octets of a segment that can be read whatever becomes of it: a file that somebody has is not used again.
struct Octets {
    file: Arc<dyn File>,
    path: PathBuf,
    place: Place,
}

impl Octets {
    fn of(index: &Index, place: Place) -> Option<Self> {
        let segment = index.segments.get(&place.segment)?;
        Some(Self {
            file: Arc::clone(&segment.file),
            path: segment.path.clone(),
            place,
        })
    }

    fn read(&self) -> Result<Vec<u8>, Error> {
        let (at, path) = (self.place.at, &self.path);
        let len = usize::try_from(self.place.len).unwrap_or_default();
        let mut content = vec![0; len];
        if read_full_at(&*self.file, &mut content, at).at("read", path)? < len {
            return Err(Error::Corrupt {
                path: path.clone(),
                at,
                what: "the segment has been cut",
            });
        }
        Ok(content)
    }
}
