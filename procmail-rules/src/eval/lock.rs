//! Lockfiles: when they are taken, and how often that is tried.

use std::time::Duration;

use super::Machine;
use super::expand::Mode;
use super::source::Source;
use crate::effect::{Effect, LockTry, Reply};
use crate::error::Error;

/// How often a lockfile that cannot be made is tried.
const TRIES: usize = 8;

/// A lock this small may be removed when it is stale; anything larger is somebody's file.
const STALE_SIZE: u64 = 16;

impl Machine {
    /// Takes a lock, waiting as long as it is busy; false if it cannot be had.
    async fn acquire(&mut self, path: &[u8]) -> Result<bool, Error> {
        let mut tries = 0;
        loop {
            self.trace_quoted(b"Locking", path)?;
            let Reply::Lock(tried) = self
                .ask(Effect::Lock {
                    path: path.to_vec(),
                })
                .await?
            else {
                return Ok(false);
            };
            match tried {
                LockTry::Taken => return Ok(true),
                LockTry::Busy { age, size } => {
                    let timeout = u64::try_from(self.settings.lock_timeout).unwrap_or(0);
                    if timeout > 0 && age > timeout && size <= STALE_SIZE {
                        self.log_quoted(b"Forcing lock on", path)?;
                        if self
                            .ask(Effect::ForceLock {
                                path: path.to_vec(),
                            })
                            .await?
                            == Reply::Failed
                        {
                            self.log_quoted(b"Forced unlock denied on", path)?;
                        }
                        self.pause(self.settings.suspend).await?;
                    } else {
                        self.pause(self.settings.lock_sleep).await?;
                    }
                }
                LockTry::Impossible { attempted } => {
                    self.trace_quoted(b"Error while writing to", &attempted)?;
                    tries += 1;
                    if tries >= TRIES {
                        self.log_quoted(b"Lock failure on", path)?;
                        return Ok(false);
                    }
                    self.pause(self.settings.lock_sleep).await?;
                }
            }
        }
    }

    async fn pause(&mut self, seconds: i64) -> Result<(), Error> {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        if seconds > 0 {
            self.ask(Effect::Sleep(Duration::from_secs(seconds)))
                .await?;
        }
        Ok(())
    }

    async fn release(&mut self, path: Vec<u8>) -> Result<(), Error> {
        self.trace_quoted(b"Unlocking", &path)?;
        if self.ask(Effect::Unlock { path: path.clone() }).await? == Reply::Failed {
            self.log_quoted(b"Couldn't unlock", &path)?;
        }
        Ok(())
    }

    /// Takes the lock of a recipe. Delivery goes on without it if it cannot be had.
    pub(super) async fn take_local_lock(&mut self, path: &[u8]) -> Result<(), Error> {
        if path.is_empty() {
            return Ok(());
        }
        if self.global_lock.as_deref() == Some(path) {
            return self.log_quoted(b"Deadlock attempted on", path);
        }
        if self.acquire(path).await? {
            self.local_lock = Some(path.to_vec());
        }
        Ok(())
    }

    pub(super) async fn release_local_lock(&mut self) -> Result<(), Error> {
        match self.local_lock.take() {
            Some(path) => self.release(path).await,
            None => Ok(()),
        }
    }

    /// LOCKFILE
    pub(super) async fn global_lock(&mut self, path: &[u8]) -> Result<(), Error> {
        self.release_global_lock().await?;
        if path.is_empty() {
            return Ok(());
        }
        if self.acquire(path).await? {
            self.global_lock = Some(path.to_vec());
        } else {
            self.trace_quoted(b"Assigning", b"LOCKFILE")?;
            self.remove_value(b"LOCKFILE");
        }
        Ok(())
    }

    pub(super) async fn release_global_lock(&mut self) -> Result<(), Error> {
        match self.global_lock.take() {
            Some(path) => self.release(path).await,
            None => Ok(()),
        }
    }

    /// The implicit lock of a folder: none for `/dev/null` and standard output.
    ///
    /// An empty LOCKEXT would make the lock the folder itself, and releasing it would delete the
    /// mail: such a lock is refused.
    pub(super) fn folder_lock(&mut self, folder: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if folder == b"/dev/null" || folder == b"|" {
            return Ok(None);
        }
        if self.settings.lock_extension.is_empty() {
            self.log_quoted(b"Lock failure on", folder)?;
            return Ok(None);
        }
        Ok(Some([folder, &self.settings.lock_extension].concat()))
    }

    /// The implicit lock of a program: what follows its first `>>`.
    pub(super) async fn program_lock(
        &mut self,
        text: &[u8],
        shown: &[u8],
        shell: bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let target = memchr::memmem::find(text, b">>")
            .and_then(|at| text.get(at + 2..))
            .map(|rest| {
                let start = rest
                    .iter()
                    .position(|byte| !matches!(byte, b' ' | b'\t'))
                    .unwrap_or(rest.len());
                let rest = rest.get(start..).unwrap_or(&[]);
                let end = rest
                    .iter()
                    .position(|byte| b" \t\n#`'\");".contains(byte))
                    .unwrap_or(rest.len());
                rest.get(..end).unwrap_or(&[]).to_vec()
            });
        let mut name = target.unwrap_or_default();
        if shell && !name.is_empty() {
            if name.last() == Some(&b'\\') {
                name.pop();
                self.log_line(&[b"Unexpected EOL"])?;
            }
            let mut source = Source::line_text(&name);
            let words = self.expand(&mut source, Mode::Arguments, 0).await?;
            self.take_overflow();
            name = words.into_words().into_iter().next().unwrap_or_default();
        }
        if name.is_empty() {
            self.log_quoted(b"Couldn't determine implicit lockfile from", shown)?;
            let extension = self.settings.lock_extension.clone();
            return Ok(Some(extension));
        }
        self.folder_lock(&name)
    }
}
