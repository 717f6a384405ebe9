//! Where the data folder and the configuration are, and whose they are now.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::config::{Config, ConfigError, FILE_NAME};

/// The data folder when nothing else is said.
const DEFAULT_FOLDER: &str = "posthaste-data";

/// What the command line and the environment say of the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The configuration file, which need not exist.
    pub(crate) file: PathBuf,
}

impl Place {
    /// `--config` names the file; else it is in the folder of `--data`,
    /// `$POSTHASTE_DATA`, or `./posthaste-data`.
    pub(crate) fn new(config: Option<PathBuf>, data: Option<PathBuf>) -> Self {
        let file = config.unwrap_or_else(|| {
            data.or_else(|| std::env::var_os("POSTHASTE_DATA").map(PathBuf::from))
                .unwrap_or_else(|| DEFAULT_FOLDER.into())
                .join(FILE_NAME)
        });
        Self {
            file: std::path::absolute(&file).unwrap_or(file),
        }
    }

    /// The configuration: the defaults when there is no file.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        match Config::load(&self.file) {
            Err(ConfigError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                let folder = self.file.parent().unwrap_or(Path::new("."));
                Ok(Config::default_in(folder))
            }
            other => other,
        }
    }
}

/// A folder that only its owner may look into.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Holds the data folder: while it lives, no other process opens the queue.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the folder of `config`; `None` when another process has it.
    ///
    /// # Errors
    /// When the lock's file cannot be opened.
    pub fn take(config: &Config) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(config.data_directory.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_where_it_is_said_to_be() {
        let at = |config: Option<&str>, data: Option<&str>| {
            Place::new(config.map(Into::into), data.map(Into::into)).file
        };
        assert_eq!(at(Some("/a/x.toml"), Some("/b")), Path::new("/a/x.toml"));
        assert_eq!(at(None, Some("/b")), Path::new("/b/posthaste.toml"));
    }

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::default_in(folder.path());
        let lock = DataLock::take(&config).unwrap();
        assert!(lock.is_some());
        assert!(DataLock::take(&config).unwrap().is_none());
        drop(lock);
        assert!(DataLock::take(&config).unwrap().is_some());
    }
}
