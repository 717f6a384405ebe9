//! A message that comes in the place of another one.

use std::sync::Arc;
use std::time::SystemTime;

use super::Mailbox;
use crate::append::{Append, AppendOptions, Appended};
use crate::backend::{Backend, Item};
use crate::error::Error;
use crate::quota::QuotaUsed;

impl Append {
    /// Puts the message into its mailbox in place of message `uid` of `other`, which may be the same mailbox and which
    /// is expunged then (RFC 8508). The new one is on the disk before the other one goes: a crash in between leaves
    /// both. Other sessions of the same mailbox in this process never see both. Of the quota only what it needs beyond
    /// the other one is asked for.
    ///
    /// # Errors
    /// [`Error::NoSuchMessage`] when the other one is gone; else as [`commit`](Self::commit) and
    /// [`Mailbox::expunge`]. Then the other one is where it was, and the message is not in its mailbox; a disk that
    /// goes on failing may leave both, or the new one alone, and one that fails once may leave both in an mbox.
    pub fn replace(
        self,
        options: AppendOptions,
        other: &Mailbox,
        uid: u32,
        now: SystemTime,
    ) -> Result<Appended, Error> {
        let mailbox = Arc::clone(&self.mailbox);
        let items = vec![self.seal(options)?];
        let less = other.takes(uid, now)?;
        let admission = mailbox.admit(&items, Some((other, less)), now)?;
        let replaced = if std::ptr::eq(&raw const *mailbox, other) {
            mailbox.changing(now, |folder| {
                folder.refresh(now)?;
                if folder.table().view().message(uid).is_none() {
                    return Err(Error::NoSuchMessage(uid));
                }
                let placed = place(folder, items, now)?;
                let gone = folder.expunge(&[uid], now);
                let stays = |folder: &mut dyn Backend| {
                    folder.refresh(now)?;
                    Ok(folder.table().view().message(uid).is_some())
                };
                went(gone, uid, || stays(folder)).map_err(|failed| {
                    if failed.undo {
                        let _ = folder.expunge(&[placed.uid], now);
                    }
                    failed.error
                })?;
                Ok(placed)
            })
        } else {
            let placed = mailbox.changing(now, |folder| place(folder, items, now))?;
            let gone = other.changing(now, |folder| folder.expunge(&[uid], now));
            let stays = || Ok(other.refresh(now)?.message(uid).is_some());
            went(gone, uid, stays)
                .map_err(|failed| {
                    if failed.undo {
                        let _ = mailbox.changing(now, |folder| folder.expunge(&[placed.uid], now));
                    }
                    failed.error
                })
                .map(|()| placed)
        };
        let shared = &other.shared;
        match replaced {
            Ok(placed) => {
                admission.done(&mailbox.shared);
                shared.quota.release(shared, &other.name, less);
                Ok(placed)
            }
            Err(error) => {
                // The first error is the one to tell.
                if shared.quota.is_kept(shared).unwrap_or(true) {
                    let _ = shared.quota.doubt(shared);
                }
                Err(error)
            }
        }
    }
}

impl Mailbox {
    /// What one message takes of the quota, as far as that is known.
    fn takes(&self, uid: u32, now: SystemTime) -> Result<QuotaUsed, Error> {
        if self.refresh(now)?.message(uid).is_none() {
            return Err(Error::NoSuchMessage(uid));
        }
        let mut takes = QuotaUsed {
            storage: 0,
            messages: 1,
        };
        if self.shared.quota.is_kept(&self.shared)?
            && let Some(link) = self.with(now, |folder| folder.link(uid, now))?
        {
            takes.storage = link.octets(&self.shared.durable)?;
        }
        Ok(takes)
    }
}

fn place(folder: &mut dyn Backend, items: Vec<Item>, now: SystemTime) -> Result<Appended, Error> {
    let placed = folder.place(items, now)?;
    Ok(Appended {
        uid_validity: folder.table().view().uid_validity,
        uid: placed.into_iter().next().ok_or(Error::NoUidsLeft)?,
    })
}

/// Why the other one did not go.
struct Failed {
    error: Error,
    /// Whether the new one is to go again: not where nobody knows what is left.
    undo: bool,
}

/// What came of the expunge of the other one; `stays` looks for it.
fn went(
    gone: Result<Vec<u32>, Error>,
    uid: u32,
    stays: impl FnOnce() -> Result<bool, Error>,
) -> Result<(), Failed> {
    let error = match gone {
        Ok(gone) if !gone.is_empty() => return Ok(()),
        Ok(_) => {
            let error = Error::NoSuchMessage(uid);
            return Err(Failed { error, undo: true });
        }
        Err(error) => error,
    };
    match stays() {
        Ok(false) => Ok(()),
        Ok(true) => Err(Failed { error, undo: true }),
        Err(_) => Err(Failed { error, undo: false }),
    }
}
