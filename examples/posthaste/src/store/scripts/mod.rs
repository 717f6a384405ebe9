//! A user's Sieve scripts as files: `NAME.sieve` in a folder, and a symbolic
//! link to the active one, as Pigeonhole lays them out.

mod name;
mod place;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mailstore::{Fs as _, RealFs};

use super::{BoxFuture, ScriptError, ScriptInfo, ScriptResult, Scripts};
use crate::blocking::Blocking;

/// How long a change waits for another program to be done with the scripts.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks: nothing tells of a lock that was given back.
const LOOK: Duration = Duration::from_millis(5);

/// Where the scripts are.
#[derive(Debug, Clone)]
pub struct ScriptPlace {
    /// The folder.
    pub folder: PathBuf,
    /// The name that deliveries look at.
    pub active: PathBuf,
}

/// [`Scripts`] on this host's disk.
#[derive(Debug)]
pub(super) struct LocalScripts {
    /// Held while files change, for file systems that have no locks of folders.
    place: Arc<Mutex<ScriptPlace>>,
    blocking: Blocking,
    patience: Duration,
}

/// The folder, which no other program changes while this is held. Nothing where it cannot be locked.
type Claim = Option<Box<dyn mailstore::File>>;

impl LocalScripts {
    pub(super) fn new(place: ScriptPlace, blocking: Blocking) -> Self {
        Self {
            place: Arc::new(Mutex::new(place)),
            blocking,
            patience: PATIENCE,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ScriptPlace) -> ScriptResult<T> + Send + 'static,
    ) -> ScriptResult<T> {
        let place = Arc::clone(&self.place);
        let ran = self.blocking.run(move || {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner);
            work(&place)
        });
        let stopping = || ScriptError::Storage("the server is stopping".into());
        ran.await.ok_or_else(stopping)?
    }

    /// Does what looks at several files, or changes them, while no other
    /// program does: what one removes another may be about to make active.
    fn alone<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&ScriptPlace) -> ScriptResult<T> + Send + 'static,
    ) -> BoxFuture<'a, ScriptResult<T>> {
        Box::pin(async move {
            let waiting = async {
                loop {
                    match self.run(ScriptPlace::claim).await {
                        // No thread waits, only this session does.
                        Ok(None) => tokio::time::sleep(LOOK).await,
                        Ok(Some(claim)) => return Ok(claim),
                        Err(error) => return Err(error),
                    }
                }
            };
            let busy = |_| ScriptError::Storage("another program changes the scripts".into());
            let waited = tokio::time::timeout(self.patience, waiting);
            let claim = waited.await.map_err(busy)??;
            self.run(move |place| {
                let done = work(place);
                drop(claim);
                done
            })
            .await
        })
    }
}

impl ScriptPlace {
    /// Takes the lock of the folder; nothing while another has it. A folder
    /// that is not there holds nothing to be alone with.
    fn claim(&self) -> ScriptResult<Option<Claim>> {
        let folder = match RealFs.open(&self.folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(None)),
            Err(error) => return Err(place::failed(&self.folder, &error)),
        };
        match folder.try_claim() {
            Ok(true) => Ok(Some(Some(folder))),
            Ok(false) => Ok(None),
            Err(error) => {
                tracing::debug!(folder = %self.folder.display(), %error, "cannot be locked");
                Ok(Some(None))
            }
        }
    }
}

impl Scripts for LocalScripts {
    fn list(&self) -> BoxFuture<'_, ScriptResult<Vec<ScriptInfo>>> {
        self.alone(ScriptPlace::list)
    }

    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ScriptResult<Bytes>> {
        let name = name.to_owned();
        // Deliveries read, too: they wait for nobody.
        Box::pin(self.run(move |place| place.read(&name)))
    }

    fn has_room<'a>(&'a self, name: &'a str, octets: u64) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.to_owned();
        Box::pin(self.run(move |place| place.has_room(&name, octets)))
    }

    fn put<'a>(&'a self, name: &'a str, source: Bytes) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.run(ScriptPlace::make_folder).await?;
            self.alone(move |place| place.put(&name, &source)).await
        })
    }

    fn activate<'a>(&'a self, name: Option<&'a str>) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.map(str::to_owned);
        Box::pin(async move {
            self.run(ScriptPlace::make_folder).await?;
            self.alone(move |place| place.activate(name.as_deref()))
                .await
        })
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.to_owned();
        self.alone(move |place| place.remove(&name))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, ScriptResult<()>> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.alone(move |place| place.rename(&from, &to))
    }
}
