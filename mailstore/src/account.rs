//! A user's mailboxes: hierarchy, names on the disk, subscriptions.

mod config;
mod foreign;
mod hierarchy;
mod maildir;
mod maildir_fs;
mod mbox;
mod shared;
mod store;
mod subscriptions;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

pub use config::{AccountConfig, Format, MboxLocks};
pub(crate) use foreign::{foreign_maildirs, foreign_mboxes};
pub use hierarchy::Listed;
pub(crate) use shared::{Shared, Site};
pub use store::Store;

use crate::append::{Delivery, DeliveryId};
use crate::durable::Fs;
use crate::error::Error;
use crate::mailbox::Mailbox;
use crate::quota::{QuotaLimits, QuotaUsed};
use crate::{memory, name};

/// Directories that are looked into for mailboxes at most: links that lead in circles would else be followed without end.
const LEVELS: usize = 1 << 16;

fn count_level(directory: &Path, left: &mut usize) -> Result<(), Error> {
    *left = left.checked_sub(1).ok_or_else(|| Error::Corrupt {
        path: directory.to_owned(),
        at: 0,
        what: "more than 65,536 levels of mailboxes",
    })?;
    Ok(())
}

/// Nothing where the system gave up following links, as for a link that leads nowhere: they lead in a circle, or are
/// more than it follows. Linux counts some of them twice where a file system is mounted in the middle of a look-up, so
/// that of a long way of links it may say so once and not again.
fn reached<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    let given_up = Some(rustix::io::Errno::LOOP.raw_os_error());
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::Io { source, .. }) if source.raw_os_error() == given_up => Ok(None),
        Err(error) => Err(error),
    }
}

/// A user's mailboxes. INBOX is always there; its name is told in capitals and taken in any case.
///
/// A process opens each account once (see [`Store`]): two `Account`s of one root would not see each other's
/// changes until the next refresh.
pub struct Account {
    shared: Arc<Shared>,
    mailboxes: Mutex<HashMap<String, Weak<Mailbox>>>,
}

impl Account {
    fn open(
        fs: Arc<dyn Fs>,
        config: &AccountConfig,
        memory: Arc<memory::Root>,
    ) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared::open(fs, config, memory)?),
            mailboxes: Mutex::default(),
        })
    }

    /// The handle that all sessions of the mailbox share, up to date as of its opening or last refresh.
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], [`Error::InvalidName`], or the disk fails.
    pub fn mailbox(&self, name: &str, now: SystemTime) -> Result<Arc<Mailbox>, Error> {
        let mailbox = self.handle(name)?;
        mailbox.ensure_open(now)?;
        Ok(mailbox)
    }

    /// Begins a delivery without opening the mailbox: its size does not matter.
    ///
    /// # Errors
    /// As [`mailbox`](Self::mailbox).
    pub fn deliver(&self, name: &str, id: DeliveryId, now: SystemTime) -> Result<Delivery, Error> {
        self.handle(name)?.deliver(id, now)
    }

    /// Whether there is a mailbox of this name that can be opened.
    ///
    /// # Errors
    /// The disk fails. A name that cannot be one is no error.
    pub fn exists(&self, name: &str) -> Result<bool, Error> {
        match name::canonical(name).and_then(|name| Ok((self.shared.site(&name)?, name))) {
            Ok((_, name)) if name == "INBOX" => Ok(true),
            Ok((site, _)) => self.shared.site_exists(&site),
            Err(Error::InvalidName { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The files of a mailbox that there is.
    pub(crate) fn existing_site(&self, name: &str) -> Result<Site, Error> {
        let name = name::canonical(name)?;
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            if name != "INBOX" {
                return Err(Error::NoSuchMailbox(name));
            }
            self.shared.make(&site)?;
        }
        Ok(site)
    }

    fn handle(&self, name: &str) -> Result<Arc<Mailbox>, Error> {
        let name = name::canonical(name)?;
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = mailboxes.get(&name).and_then(Weak::upgrade) {
            return Ok(mailbox);
        }
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            if name != "INBOX" {
                return Err(Error::NoSuchMailbox(name));
            }
            self.shared.make(&site)?;
        }
        let mailbox = Arc::new(Mailbox::new(&self.shared, name.clone(), site));
        mailboxes.retain(|_, mailbox| mailbox.strong_count() > 0);
        mailboxes.insert(name, Arc::downgrade(&mailbox));
        Ok(mailbox)
    }

    /// The account's limits and what it holds; `None` where nothing is limited. What other programs put in without
    /// counting it is not told until it is counted anew.
    ///
    /// # Errors
    /// The disk fails.
    pub fn quota(&self, now: SystemTime) -> Result<Option<(QuotaLimits, QuotaUsed)>, Error> {
        self.shared.quota.usage(&self.shared, now)
    }

    /// Names of the subscribed mailboxes, whether they exist or not, in the order of the file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn subscriptions(&self) -> Result<Vec<String>, Error> {
        subscriptions::read(&self.shared)
    }

    /// Subscribes to a name or gives the subscription up; true when that changed something.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::TooLarge`] when the file would have more than 16 MiB, or the disk fails.
    pub fn subscribe(&self, name: &str, subscribed: bool, now: SystemTime) -> Result<bool, Error> {
        let name = name::canonical(name)?;
        subscriptions::change(&self.shared, &name, subscribed, now)
    }
}
