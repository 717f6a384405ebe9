//! Which deliveries a mailbox has had, so that trying many again after a crash reads the mailbox once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::error::Error;

/// What nobody has asked for so long is forgotten.
const KEPT: Duration = Duration::from_secs(60);

/// Names of deliveries by mailbox.
///
/// A name is only ever delivered by the process that has its message, so what a mailbox had when it was read,
/// and what this process delivered since, is all there can be.
#[derive(Default)]
pub(crate) struct Deliveries(Mutex<HashMap<PathBuf, Had>>);

struct Had {
    names: HashSet<Vec<u8>>,
    asked: SystemTime,
}

impl Deliveries {
    /// Whether the mailbox at `path` had the delivery; `read` gives all that it had.
    pub(crate) fn had(
        &self,
        path: &Path,
        name: &[u8],
        now: SystemTime,
        read: impl FnOnce() -> Result<HashSet<Vec<u8>>, Error>,
    ) -> Result<bool, Error> {
        let mut mailboxes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mailboxes.retain(|own, had| {
            let age = now.duration_since(had.asked);
            own == path || age.is_ok_and(|age| age < KEPT)
        });
        if let Some(had) = mailboxes.get_mut(path) {
            had.asked = now;
            return Ok(had.names.contains(name));
        }
        // Locked, so that no delivery made meanwhile is missed.
        let names = read()?;
        let there = names.contains(name);
        mailboxes.insert(path.to_owned(), Had { names, asked: now });
        Ok(there)
    }

    /// A delivery was made, or whether it was is not known: then the mailbox is read again.
    pub(crate) fn made(&self, path: &Path, name: &[u8], known: bool) {
        let mut mailboxes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known {
            mailboxes.remove(path);
        } else if let Some(had) = mailboxes.get_mut(path) {
            had.names.insert(name.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_read_once_and_again_after_doubt() {
        let deliveries = Deliveries::default();
        let path = Path::new("/mail");
        let now = SystemTime::UNIX_EPOCH;
        let read = || Ok(HashSet::from([b"one".to_vec()]));
        let never = || -> Result<HashSet<Vec<u8>>, Error> { Err(Error::Closed) };
        assert!(deliveries.had(path, b"one", now, read).unwrap());
        assert!(!deliveries.had(path, b"two", now, never).unwrap());
        deliveries.made(path, b"two", true);
        assert!(deliveries.had(path, b"two", now, never).unwrap());
        deliveries.made(path, b"three", false);
        assert!(deliveries.had(path, b"three", now, never).is_err());
        assert!(deliveries.had(path, b"one", now, read).unwrap());
        // Another mailbox makes room for nobody, time does.
        let later = now + KEPT;
        assert!(
            deliveries
                .had(Path::new("/other"), b"one", later, read)
                .unwrap()
        );
        assert!(deliveries.had(path, b"one", later, never).is_err());
    }
}
