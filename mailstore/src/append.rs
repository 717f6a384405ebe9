//! Messages on their way into a mailbox.

use std::io::Read;
use std::sync::Arc;
use std::time::SystemTime;

use crate::account::{Shared, Site};
use crate::backend::{Item, Source};
use crate::error::{Error, IoContext};
use crate::flags::Flags;
use crate::mailbox::Mailbox;
use crate::wire::Reader;
use crate::{maildir, mbox, memory};

/// Where an appended message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: u32,
    /// UID of the message.
    pub uid: u32,
}

/// Names one delivery, so that trying it again after a crash does not double it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryId {
    /// Unique for one copy in one mailbox: queue id, recipient and copy, say.
    pub id: String,
    /// When the message was accepted; the same on every try.
    pub arrived: SystemTime,
    /// Whether an earlier try may have succeeded: then the mailbox is searched for it first.
    pub maybe_delivered: bool,
}

impl DeliveryId {
    /// The base of its file name in a Maildir.
    pub(crate) fn base(&self, host: &str) -> String {
        maildir::name::delivery(&self.id, self.arrived, host)
    }

    /// The value of its header field in an mbox.
    pub(crate) fn field(&self) -> String {
        self.base("")
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is in the mailbox now.
    Stored,
    /// An earlier try had put it there already.
    Duplicate,
}

/// What is known of a message beside its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendOptions {
    /// System flags it begins with.
    pub flags: Flags,
    /// Keywords it begins with.
    pub keywords: Vec<String>,
    /// INTERNALDATE.
    pub internal_date: SystemTime,
}

impl AppendOptions {
    /// No flags.
    pub fn at(internal_date: SystemTime) -> Self {
        Self {
            flags: Flags::NONE,
            keywords: Vec::new(),
            internal_date,
        }
    }
}

/// A message on its way in, in its mailbox's format.
pub(crate) enum Incoming {
    Maildir(maildir::Incoming),
    Mbox(mbox::Incoming),
    Memory(memory::Incoming),
}

impl Incoming {
    pub(crate) fn begin(
        shared: &Shared,
        site: &Site,
        base: String,
        temporary: &str,
    ) -> Result<Self, Error> {
        match site {
            Site::Maildir(path) => {
                maildir::Incoming::begin(&shared.durable, path, base, temporary, shared.save_crlf)
                    .map(Self::Maildir)
            }
            Site::Mbox(site) => Ok(Self::Mbox(mbox::Incoming::begin(
                &shared.durable,
                site.waiting(shared.count()),
            ))),
            Site::Memory(_) => Ok(Self::Memory(memory::Incoming::begin())),
        }
    }

    fn write(&mut self, wire: &[u8]) -> Result<(), Error> {
        match self {
            Self::Maildir(incoming) => incoming.write(wire),
            Self::Mbox(incoming) => incoming.write(wire),
            Self::Memory(incoming) => {
                incoming.write(wire);
                Ok(())
            }
        }
    }

    pub(crate) fn write_all_from(&mut self, reader: &mut Reader) -> Result<(), Error> {
        let mut part = vec![0; 64 << 10];
        loop {
            let read = reader.read(&mut part).at("read", "a message".as_ref())?;
            match part.get(..read) {
                Some(part) if !part.is_empty() => self.write(part)?,
                _ => return Ok(()),
            }
        }
    }

    /// Ends the content; gives what is to be placed, and its wire size.
    pub(crate) fn seal(self, internal_date: SystemTime) -> Result<(Source, u64), Error> {
        match self {
            Self::Maildir(mut incoming) => {
                let (base, size) = incoming.seal(internal_date)?;
                Ok((Source::Maildir(incoming, base), size))
            }
            Self::Mbox(mut incoming) => {
                let size = incoming.seal()?;
                Ok((Source::Mbox(incoming), size))
            }
            Self::Memory(incoming) => {
                let content = incoming.seal();
                let size = content.len() as u64;
                Ok((Source::Memory(content), size))
            }
        }
    }
}

/// A message being appended, in wire form. Uses at most 256 KiB of memory whatever its size.
pub struct Append {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) incoming: Incoming,
}

impl Append {
    /// Adds octets.
    ///
    /// # Errors
    /// The disk fails; the message should be dropped.
    pub fn write(&mut self, wire: &[u8]) -> Result<(), Error> {
        self.incoming.write(wire)
    }

    /// Puts the message into the mailbox: when this returns, it is on the disk with its UID.
    ///
    /// # Errors
    /// The disk fails or a keyword has no room; then the message is not in the mailbox.
    pub fn commit(self, options: AppendOptions, now: SystemTime) -> Result<Appended, Error> {
        let mailbox = Arc::clone(&self.mailbox);
        let appended = mailbox.commit_all(vec![(self, options)], None, now)?;
        appended.into_iter().next().ok_or(Error::NoUidsLeft)
    }

    /// Puts several messages into their mailbox, all or none, with UIDs in this order (RFC 3502).
    ///
    /// # Errors
    /// As [`commit`](Self::commit); [`Error::NoSuchMailbox`] when they are not of one mailbox.
    pub fn commit_all(
        appends: Vec<(Self, AppendOptions)>,
        now: SystemTime,
    ) -> Result<Vec<Appended>, Error> {
        let Some((first, _)) = appends.first() else {
            return Ok(Vec::new());
        };
        let mailbox = Arc::clone(&first.mailbox);
        if let Some((other, _)) = appends
            .iter()
            .find(|(append, _)| !Arc::ptr_eq(&append.mailbox, &mailbox))
        {
            return Err(Error::NoSuchMailbox(other.mailbox.name().to_owned()));
        }
        mailbox.commit_all(appends, None, now)
    }

    pub(crate) fn seal(self, options: AppendOptions) -> Result<Item, Error> {
        let (source, size) = self.incoming.seal(options.internal_date)?;
        let AppendOptions {
            flags,
            keywords,
            internal_date,
        } = options;
        Ok(Item {
            source,
            flags,
            keywords,
            internal_date,
            size: Some(size),
        })
    }
}

impl Mailbox {
    /// Puts messages in, all or none. The first one gets the UID `from` where that was not given yet.
    pub(crate) fn commit_all(
        &self,
        appends: Vec<(Append, AppendOptions)>,
        from: Option<u32>,
        now: SystemTime,
    ) -> Result<Vec<Appended>, Error> {
        let mut items = Vec::with_capacity(appends.len());
        for (append, options) in appends {
            items.push(append.seal(options)?);
        }
        let admission = self.admit(&items, None, now)?;
        let appended = self.changing(now, |folder| {
            if let Some(from) = from {
                folder.skip_uids(from);
            }
            let uids = folder.place(items, now)?;
            let uid_validity = folder.table().view().uid_validity;
            let appended = |uid| Appended { uid_validity, uid };
            Ok(uids.into_iter().map(appended).collect())
        })?;
        admission.done(&self.shared);
        Ok(appended)
    }
}

/// A message being delivered, in wire form. Uses at most 256 KiB of memory whatever its size.
pub struct Delivery {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) incoming: Incoming,
    pub(crate) id: DeliveryId,
}

impl Delivery {
    /// Adds octets.
    ///
    /// # Errors
    /// The disk fails; the delivery should be dropped and tried again later.
    pub fn write(&mut self, wire: &[u8]) -> Result<(), Error> {
        self.incoming.write(wire)
    }

    /// Puts the message into the mailbox: when this returns, it is on the disk once.
    ///
    /// # Errors
    /// The disk fails. The next try must say `maybe_delivered`.
    pub fn commit(self, options: AppendOptions, now: SystemTime) -> Result<Delivered, Error> {
        self.mailbox
            .take_delivery(self.incoming, &self.id, options, now)
    }
}
