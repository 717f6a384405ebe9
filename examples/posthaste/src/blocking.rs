//! Threads beside the reactor, for what waits on a disk or burns a CPU, and
//! the memory that messages may take while they are looked at.

use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Runs blocking work, so much of it at once.
#[derive(Debug, Clone)]
pub struct Blocking {
    places: Arc<Semaphore>,
}

impl Blocking {
    /// At most `places` pieces of work at once; the others wait in order.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.max(1))),
        }
    }

    /// Runs `work` on a thread of its own; `None` if it panicked or the
    /// runtime is shutting down.
    ///
    /// Dropping the future does not stop work that has begun.
    pub async fn run<T, F>(&self, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        work.await.ok()
    }
}

/// Runs work that burns a CPU for long, here, while the other threads take
/// over what this one had to do.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
    match runtime {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Octets of memory that whole messages may take in all: without it, every
/// session and every delivery that holds one would add to the others.
#[derive(Debug, Clone)]
pub struct Room {
    pages: Arc<Semaphore>,
    all: u32,
}

/// Some of a [`Room`], given back when dropped.
#[derive(Debug)]
pub struct Taken {
    _pages: OwnedSemaphorePermit,
}

impl Room {
    const PAGE: u64 = 4096;

    /// Room for so many octets.
    #[must_use]
    pub fn new(octets: u64) -> Self {
        let all = u32::try_from(octets / Self::PAGE)
            .unwrap_or(u32::MAX)
            .max(1);
        let pages = usize::try_from(all).unwrap_or(usize::MAX);
        Self {
            pages: Arc::new(Semaphore::new(pages.min(Semaphore::MAX_PERMITS))),
            all,
        }
    }

    /// Waits for room for so many octets; those who came first get theirs
    /// first. More than there is in all is all there is, alone.
    ///
    /// Whoever holds some must not ask for more: two of those would wait for
    /// each other.
    pub async fn take(&self, octets: u64) -> Option<Taken> {
        let pages = u32::try_from(octets.div_ceil(Self::PAGE)).unwrap_or(u32::MAX);
        let pages = Arc::clone(&self.pages).acquire_many_owned(pages.min(self.all));
        Some(Taken {
            _pages: pages.await.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_given_in_order_and_given_back() {
        let room = Room::new(100 * Room::PAGE);
        let most = room.take(60 * Room::PAGE).await.unwrap();
        let all = tokio::spawn({
            let room = room.clone();
            async move { room.take(u64::MAX).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!all.is_finished());
        drop(most);
        assert!(all.await.unwrap());
        assert_eq!(room.pages.available_permits(), 100);
        assert!(room.take(0).await.is_some());
    }
}
