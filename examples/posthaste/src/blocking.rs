//! Threads beside the reactor, for what waits on a disk or burns a CPU.

use std::sync::Arc;

use tokio::sync::Semaphore;

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
