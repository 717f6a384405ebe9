//! The queue in `mailstore`'s spool on this host.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use mailstore::{Batch, Spool, SpoolConfig};
use tokio::sync::{Notify, oneshot};

use super::schedule::{Next, Schedule};
use super::{
    Born, BornContent, Claimed, Envelope, Incoming, Listed, Queue, QueueError, QueueId, QueueResult,
};
use crate::blocking::Blocking;
use crate::store::{BoxFuture, LocalReader, MessageReader};

/// A queue of this host alone.
pub struct LocalQueue {
    spool: Spool,
    inline: usize,
    state: Arc<State>,
    blocking: Blocking,
}

struct State {
    schedule: Mutex<Schedule>,
    news: Notify,
}

impl State {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, id: QueueId, envelope: Envelope, size: u64) {
        self.schedule().insert(id, envelope, size);
        self.news.notify_one();
    }
}

impl LocalQueue {
    /// Opens the spool in `folder`; what it holds from earlier is due by its
    /// envelopes.
    ///
    /// # Errors
    /// When another process has it open, or the disk fails.
    pub fn open(folder: &Path, blocking: Blocking) -> QueueResult<Self> {
        let config = SpoolConfig::new(folder);
        let inline = config.inline_octets;
        let (spool, pending) = Spool::open(config).map_err(storage)?;
        for damage in spool.damage() {
            tracing::error!(
                segment = %damage.path.display(),
                at = damage.at,
                octets = damage.octets,
                acknowledged = damage.was_acknowledged,
                "part of the queue's log cannot be read and mail in it is lost; unless acknowledged, a crash may have come while it was written"
            );
        }
        let mut schedule = Schedule::default();
        for message in pending {
            let record = if message.state.is_empty() {
                &message.envelope
            } else {
                &message.state
            };
            match serde_json::from_slice::<Envelope>(record) {
                Ok(mut envelope) => {
                    envelope.maybe_delivered = true;
                    schedule.insert(QueueId(message.id.to_string()), envelope, message.size);
                }
                // It stays in the spool for somebody to look at.
                Err(error) => {
                    tracing::error!(queue_id = %message.id, %error, "unreadable envelope");
                }
            }
        }
        Ok(Self {
            spool,
            inline,
            state: Arc::new(State {
                schedule: Mutex::new(schedule),
                news: Notify::new(),
            }),
            blocking,
        })
    }

    /// Commits a change of one message with what was born of it; `then`
    /// changes the schedule alike.
    async fn commit(
        &self,
        change: impl FnOnce(&mut Batch) + Send + 'static,
        then: impl FnOnce(&mut Schedule) + Send + 'static,
        parent: mailstore::QueueId,
        born: Vec<Born>,
    ) -> QueueResult<Vec<QueueId>> {
        let state = Arc::clone(&self.state);
        if born.is_empty() {
            let mut batch = Batch::new();
            change(&mut batch);
            submit(&self.spool, batch, move || then(&mut state.schedule())).await?;
            return Ok(Vec::new());
        }
        let spool = self.spool.clone();
        self.blocking
            .run(move || {
                let mut batch = Batch::new();
                let mut added = Vec::with_capacity(born.len());
                for born in born {
                    let incoming = write_born(&spool, parent, &born.content)?;
                    let size = incoming.size();
                    let id = batch.add(incoming, &encode(&born.envelope)?, &[]);
                    added.push((QueueId(id.to_string()), born.envelope, size));
                }
                change(&mut batch);
                spool.commit(batch).map_err(storage)?;
                then(&mut state.schedule());
                let ids = added.iter().map(|(id, ..)| id.clone()).collect();
                for (id, envelope, size) in added {
                    state.insert(id, envelope, size);
                }
                Ok(ids)
            })
            .await
            .unwrap_or_else(|| Err(stopping()))
    }
}

fn write_born(
    spool: &Spool,
    parent: mailstore::QueueId,
    content: &BornContent,
) -> QueueResult<mailstore::Incoming> {
    let mut incoming = spool.begin(SystemTime::now());
    match content {
        BornContent::Whole(octets) => incoming.write(octets).map_err(storage)?,
        BornContent::Parent { prefix } => {
            incoming.write(prefix).map_err(storage)?;
            let mut reader = spool.reader(parent).map_err(storage)?;
            let mut block = vec![0; 64 * 1024];
            loop {
                let count = std::io::Read::read(&mut reader, &mut block)
                    .map_err(|error| QueueError::Storage(error.to_string()))?;
                let Some(octets) = block.get(..count).filter(|octets| !octets.is_empty()) else {
                    break;
                };
                incoming.write(octets).map_err(storage)?;
            }
        }
    }
    Ok(incoming)
}

/// Hands a batch to the spool's thread; waits until it is on the disk, together
/// with whatever else was handed in meanwhile.
///
/// `then` runs as soon as it is, whether or not anybody still waits: what is
/// on the disk is in the schedule, too.
async fn submit(
    spool: &Spool,
    batch: Batch,
    then: impl FnOnce() + Send + 'static,
) -> QueueResult<()> {
    let (done, committed) = oneshot::channel();
    spool.submit(batch, move |result| {
        if result.is_ok() {
            then();
        }
        let _ = done.send(result);
    });
    match committed.await {
        Ok(result) => result.map_err(storage),
        Err(_) => Err(stopping()),
    }
}

fn encode(envelope: &Envelope) -> QueueResult<Vec<u8>> {
    serde_json::to_vec(envelope).map_err(|error| QueueError::Storage(error.to_string()))
}

fn storage(error: mailstore::Error) -> QueueError {
    QueueError::Storage(error.to_string())
}

fn stopping() -> QueueError {
    QueueError::Storage("the server is stopping".into())
}

fn parse(id: &QueueId) -> QueueResult<mailstore::QueueId> {
    id.0.parse().map_err(|_| QueueError::Unknown(id.clone()))
}

impl Queue for LocalQueue {
    fn begin(&self) -> BoxFuture<'_, QueueResult<Box<dyn Incoming>>> {
        Box::pin(async {
            let incoming = self.spool.begin(SystemTime::now());
            let begun: Box<dyn Incoming> = Box::new(LocalIncoming {
                id: QueueId(incoming.id().to_string()),
                incoming: Some(incoming),
                spool: self.spool.clone(),
                inline: self.inline as u64,
                state: Arc::clone(&self.state),
                blocking: self.blocking.clone(),
            });
            Ok(begun)
        })
    }

    fn claim(&self) -> BoxFuture<'_, QueueResult<Claimed>> {
        Box::pin(async {
            loop {
                let news = self.state.news.notified();
                let now = SystemTime::now();
                let next = self.state.schedule().claim(now);
                match next {
                    Next::Due(claimed) => {
                        if self.spool.claim(parse(&claimed.id)?) {
                            return Ok(*claimed);
                        }
                        self.state.schedule().remove(&claimed.id);
                    }
                    Next::At(due) => {
                        let wait = due.duration_since(now).unwrap_or_default();
                        let _ = tokio::time::timeout(wait, news).await;
                    }
                    Next::Empty => news.await,
                }
            }
        })
    }

    fn content<'a>(
        &'a self,
        id: &'a QueueId,
    ) -> BoxFuture<'a, QueueResult<Box<dyn MessageReader>>> {
        Box::pin(async move {
            let (spool, name) = (self.spool.clone(), parse(id)?);
            let blocking = self.blocking.clone();
            let opened = self.blocking.run(move || {
                let reader = spool.reader(name).map_err(storage)?;
                LocalReader::open(reader, blocking)
                    .map_err(|error| QueueError::Storage(error.to_string()))
            });
            let reader: Box<dyn MessageReader> =
                Box::new(opened.await.unwrap_or_else(|| Err(stopping()))?);
            Ok(reader)
        })
    }

    fn record<'a>(
        &'a self,
        id: &'a QueueId,
        envelope: Envelope,
        born: Vec<Born>,
    ) -> BoxFuture<'a, QueueResult<Vec<QueueId>>> {
        Box::pin(async move {
            let (name, state, id) = (parse(id)?, encode(&envelope)?, id.clone());
            let change = move |batch: &mut Batch| batch.update(name, &state);
            let then = move |schedule: &mut Schedule| schedule.update(&id, envelope);
            self.commit(change, then, name, born).await
        })
    }

    fn defer<'a>(
        &'a self,
        id: &'a QueueId,
        envelope: Envelope,
        born: Vec<Born>,
    ) -> BoxFuture<'a, QueueResult<Vec<QueueId>>> {
        Box::pin(async move {
            let ids = self.record(id, envelope, born).await?;
            self.spool.unclaim(parse(id)?);
            self.state.schedule().release(id);
            self.state.news.notify_one();
            Ok(ids)
        })
    }

    fn finish<'a>(
        &'a self,
        id: &'a QueueId,
        born: Vec<Born>,
    ) -> BoxFuture<'a, QueueResult<Vec<QueueId>>> {
        Box::pin(async move {
            let (name, id) = (parse(id)?, id.clone());
            let change = move |batch: &mut Batch| batch.remove(name);
            let then = move |schedule: &mut Schedule| schedule.remove(&id);
            self.commit(change, then, name, born).await
        })
    }

    fn list(&self) -> BoxFuture<'_, QueueResult<Vec<Listed>>> {
        Box::pin(async { Ok(self.state.schedule().list()) })
    }

    fn flush<'a>(&'a self, id: Option<&'a QueueId>) -> BoxFuture<'a, QueueResult<usize>> {
        Box::pin(async move {
            let flushed = self.state.schedule().flush(id, SystemTime::now())?;
            self.state.news.notify_one();
            Ok(flushed)
        })
    }

    fn remove<'a>(&'a self, id: &'a QueueId) -> BoxFuture<'a, QueueResult<()>> {
        Box::pin(async move {
            let name = parse(id)?;
            self.state.schedule().lease(id)?;
            self.spool.claim(name);
            let mut batch = Batch::new();
            batch.remove(name);
            let (state, gone) = (Arc::clone(&self.state), id.clone());
            let then = move || state.schedule().remove(&gone);
            match submit(&self.spool, batch, then).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.spool.unclaim(name);
                    self.state.schedule().release(id);
                    Err(error)
                }
            }
        })
    }
}

struct LocalIncoming {
    id: QueueId,
    /// Absent after a failure, or when a write of it was cancelled.
    incoming: Option<mailstore::Incoming>,
    spool: Spool,
    inline: u64,
    state: Arc<State>,
    blocking: Blocking,
}

impl Incoming for LocalIncoming {
    fn id(&self) -> &QueueId {
        &self.id
    }

    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, QueueResult<()>> {
        Box::pin(async move {
            let broken = || QueueError::Storage("writing a message was broken off".into());
            let mut incoming = self.incoming.take().ok_or_else(broken)?;
            let written = if incoming.size() + chunk.len() as u64 <= self.inline {
                // It stays in memory: no disk is waited for.
                incoming.write(&chunk).map(|()| incoming)
            } else {
                let work = move || incoming.write(&chunk).map(|()| incoming);
                self.blocking.run(work).await.ok_or_else(broken)?
            };
            self.incoming = Some(written.map_err(storage)?);
            Ok(())
        })
    }

    fn commit<'a>(mut self: Box<Self>, envelope: Envelope) -> BoxFuture<'a, QueueResult<QueueId>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let broken = || QueueError::Storage("writing a message was broken off".into());
            let incoming = self.incoming.take().ok_or_else(broken)?;
            let size = incoming.size();
            let encoded = encode(&envelope)?;
            let mut batch = Batch::new();
            batch.add(incoming, &encoded, &[]);
            let (state, id) = (Arc::clone(&self.state), self.id.clone());
            let then = move || state.insert(id, envelope, size);
            if size <= self.inline {
                submit(&self.spool, batch, then).await?;
            } else {
                // Sealing syncs the message's own file.
                let spool = self.spool.clone();
                let work = move || spool.commit(batch).map(|()| then());
                let committed = self.blocking.run(work).await;
                committed.ok_or_else(stopping)?.map_err(storage)?;
            }
            Ok(self.id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Recipient;
    use crate::store::read_whole;

    fn envelope(to: &str) -> Envelope {
        Envelope::new("a@example.com", [Recipient::new(to)], SystemTime::now())
    }

    fn open(folder: &Path) -> LocalQueue {
        LocalQueue::open(folder, Blocking::new(4)).unwrap()
    }

    async fn put(queue: &LocalQueue, content: &[u8], to: &str) -> QueueId {
        let mut incoming = queue.begin().await.unwrap();
        for chunk in content.chunks(10_000) {
            let chunk = Bytes::copy_from_slice(chunk);
            incoming.write(chunk).await.unwrap();
        }
        incoming.commit(envelope(to)).await.unwrap()
    }

    async fn content(queue: &LocalQueue, id: &QueueId) -> Bytes {
        let mut reader = queue.content(id).await.unwrap();
        read_whole(&mut *reader, 1 << 30).await.unwrap()
    }

    #[tokio::test]
    async fn a_message_is_there_until_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![b'x'; 300_000];
        let (small_id, large_id) = {
            let queue = open(folder.path());
            let small_id = put(&queue, b"small", "b@example.org").await;
            let large_id = put(&queue, &large, "c@example.org").await;
            (small_id, large_id)
        };
        let queue = open(folder.path());
        let first = queue.claim().await.unwrap();
        assert_eq!(first.id, small_id);
        assert!(first.envelope.maybe_delivered);
        assert_eq!(content(&queue, &small_id).await, "small");
        assert_eq!(content(&queue, &large_id).await, large);
        let born = Born {
            envelope: envelope("d@example.org"),
            content: BornContent::Parent {
                prefix: Bytes::from_static(b"very "),
            },
        };
        let ids = queue.finish(&small_id, vec![born]).await.unwrap();
        drop(queue);
        let queue = open(folder.path());
        let listed: Vec<QueueId> = queue
            .list()
            .await
            .unwrap()
            .into_iter()
            .map(|m| m.id)
            .collect();
        assert_eq!(listed, [large_id, ids[0].clone()]);
        assert_eq!(content(&queue, &ids[0]).await, "very small");
        assert!(matches!(
            queue.content(&small_id).await,
            Err(QueueError::Storage(_))
        ));
    }

    #[tokio::test]
    async fn a_deferred_message_waits_and_can_be_flushed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(folder.path());
        let id = put(&queue, b"x", "b@example.org").await;
        let mut claimed = queue.claim().await.unwrap();
        assert!(matches!(queue.remove(&id).await, Err(QueueError::Busy(_))));
        claimed.envelope.next_attempt =
            Some(SystemTime::now() + std::time::Duration::from_secs(3600));
        queue
            .defer(&id, claimed.envelope, Vec::new())
            .await
            .unwrap();
        let wait = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(wait, queue.claim()).await.is_err());
        assert_eq!(queue.flush(None).await.unwrap(), 1);
        let claimed = queue.claim().await.unwrap();
        queue
            .defer(&id, claimed.envelope, Vec::new())
            .await
            .unwrap();
        queue.remove(&id).await.unwrap();
        assert!(queue.list().await.unwrap().is_empty());
        assert!(matches!(
            queue.remove(&id).await,
            Err(QueueError::Unknown(_))
        ));
    }
}
