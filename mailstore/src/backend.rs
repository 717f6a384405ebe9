//! What a format does for its mailboxes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::durable::{Durable, Stat};
use crate::error::Error;
use crate::flags::{FlagChange, Flags};
use crate::index::Index;
use crate::mailbox::{OwnChanges, Stored};
use crate::object_id::ObjectId;
use crate::table::Table;
use crate::wire::Reader;
use crate::{maildir, mbox};

/// A mailbox's state and files; its mailbox's lock guards it.
pub(crate) trait Backend: Send {
    fn table(&self) -> &Table;
    fn table_mut(&mut self) -> &mut Table;
    /// Brings the table up to what is on the disk.
    fn refresh(&mut self, now: SystemTime) -> Result<(), Error>;
    fn reader(&mut self, uid: u32, now: SystemTime) -> Result<Reader, Error>;
    fn set_flags(
        &mut self,
        uids: &[u32],
        change: &FlagChange,
        unchanged_since: Option<u64>,
        now: SystemTime,
    ) -> Result<Stored, Error>;
    /// Removes messages; `uids` ascending. Gives those that were there.
    fn expunge(&mut self, uids: &[u32], now: SystemTime) -> Result<Vec<u32>, Error>;
    /// A file of the message's own that can be linked to, where the format has such.
    fn link(&mut self, uid: u32, now: SystemTime) -> Result<Option<Link>, Error>;
    /// Puts messages in, all or none, with UIDs in this order.
    fn place(&mut self, items: Vec<Item>, now: SystemTime) -> Result<Vec<u32>, Error>;
    /// What the mailbox is known by whatever its name; made if it has none.
    fn object_id(&mut self, now: SystemTime) -> Result<ObjectId, Error>;
    /// The next message gets this UID, if it is not above it already.
    fn skip_uids(&mut self, next: u32);
    /// The index, with the table that it follows.
    fn index(&mut self) -> (&mut Index, &mut Table);
    /// Tells this message from another that may be given its UID by mistake.
    fn tag(&self, uid: u32) -> u64;
    /// Tells the index what changed; after every other call.
    fn save(&mut self);
    /// An mbox as it was read or written last, and whether other programs changed it since this was asked before.
    fn file(&mut self) -> Option<(Stat, bool)> {
        None
    }
    /// Whether nobody else changed the mailbox since it was looked at, for [`moved_away`](Self::moved_away).
    fn is_seen(&self) -> bool {
        false
    }
    /// The files of these messages, ascending, went into another mailbox; `seen` as it was before.
    fn moved_away(&mut self, _uids: &[u32], _seen: bool, _now: SystemTime) -> Result<(), Error> {
        Ok(())
    }
    /// This process appended to the mbox behind the sessions' back.
    fn take_growth(&mut self, _growth: mbox::Growth) {}
}

/// A message's file.
pub(crate) struct Link {
    pub(crate) path: PathBuf,
    /// Size on the disk, when the name tells it and it is true.
    pub(crate) disk_size: Option<u64>,
    /// Whether it is in `new`, and who is to know when its name goes.
    pub(crate) in_new: bool,
    pub(crate) own: Arc<OwnChanges>,
}

/// A message that is to be put into a mailbox.
pub(crate) struct Item {
    pub(crate) source: Source,
    pub(crate) flags: Flags,
    pub(crate) keywords: Vec<String>,
    pub(crate) internal_date: SystemTime,
    pub(crate) size: Option<u64>,
}

/// Where its octets are.
pub(crate) enum Source {
    /// Sealed in `tmp`, with the base it gets.
    Maildir(maildir::Incoming, String),
    /// In another Maildir folder.
    Link(Link),
    /// The same, and it is to leave there.
    Move(Link),
    Mbox(mbox::Incoming),
    /// In wire form.
    Memory(Vec<u8>),
}

impl Source {
    /// Octets that it takes on the disk.
    pub(crate) fn octets(&self, durable: &Durable) -> Result<u64, Error> {
        match self {
            Self::Maildir(_, base) => {
                Ok(maildir::name::size(base.as_bytes(), b'S').unwrap_or_default())
            }
            Self::Link(link) | Self::Move(link) => link.octets(durable),
            Self::Mbox(incoming) => Ok(incoming.octets()),
            Self::Memory(content) => Ok(content.len() as u64),
        }
    }
}

impl Link {
    pub(crate) fn octets(&self, durable: &Durable) -> Result<u64, Error> {
        match self.disk_size {
            Some(size) => Ok(size),
            None => Ok(durable.stat_maybe(&self.path)?.map_or(0, |stat| stat.len)),
        }
    }
}
