//! All accounts of a process.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Account, AccountConfig, Format};
use crate::durable::{Fs, RealFs};
use crate::error::Error;
use crate::memory;

/// All accounts of a process, so that every session of a user shares one [`Account`].
pub struct Store {
    fs: Arc<dyn Fs>,
    accounts: Mutex<HashMap<PathBuf, Weak<Account>>>,
    memory: Mutex<HashMap<PathBuf, Arc<memory::Root>>>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// Over the operating system's files.
    pub fn new() -> Self {
        Self::with_fs(Arc::new(RealFs))
    }

    /// Over another file system.
    pub fn with_fs(fs: Arc<dyn Fs>) -> Self {
        Self {
            fs,
            accounts: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// The account of this root: the one that is open, or else a new one. It stays open while somebody holds it.
    ///
    /// # Errors
    /// The root cannot be made.
    pub fn account(&self, config: &AccountConfig) -> Result<Arc<Account>, Error> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&config.root).and_then(Weak::upgrade) {
            return Ok(account);
        }
        let mut memory = Arc::default();
        if config.format == Format::Memory {
            let mut roots = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory = Arc::clone(roots.entry(config.root.clone()).or_default());
        }
        let account = Arc::new(Account::open(Arc::clone(&self.fs), config, memory)?);
        accounts.retain(|_, account| account.strong_count() > 0);
        accounts.insert(config.root.clone(), Arc::downgrade(&account));
        Ok(account)
    }
}
