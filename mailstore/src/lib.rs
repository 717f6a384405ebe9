//! Durable mail storage: Maildir++ and mbox as Dovecot, Courier and Postfix keep them, and a spool with group commit.
//!
//! The crate is blocking `std::fs`, knows no protocol and no clock: hosts call it off their reactor and pass the
//! time in. Messages go in and come out in wire form (CRLF line ends) and are kept with LF line ends.
//!
//! # The map
//!
//! | | |
//! |---|---|
//! | [`Store`] | every account of the process, each opened once |
//! | [`Account`] | a user's mailboxes: list, create, delete, rename, subscribe |
//! | [`Mailbox`] | one mailbox, shared by its sessions: [`Snapshot`], flags, append, copy, expunge, changes |
//! | [`Digest`] | what is known of a message without opening it |
//! | [`Delivery`] | a message on its way from the queue, tried again without doubling |
//! | [`QuotaRule`] | how much an account may hold |
//! | [`Acl`], [`Rights`] | who may do what with a mailbox |
//! | [`Transfer`] | mail from any format into any other, resumable |
//! | [`Finding`] | what [`Account::verify`] and [`Account::repair`] tell |
//! | [`Spool`] | accepted messages until they are delivered: [`Incoming`], [`Batch`], leases |
//! | [`Fs`] | the file system below, for tests that cut the power |
//!
//! What is acknowledged is on the disk: a call that returns `Ok` has synced what it changed. What fails leaves the
//! store as usable as before. `docs/format.md` says what every octet on the disk means.
//!
//! # A message's road
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::io::Read;
//! use std::time::{Duration, SystemTime};
//!
//! use mailstore::{
//!     AccountConfig, AppendOptions, Batch, DeliveryId, FlagChange, Flags, Spool, SpoolConfig, Store,
//! };
//!
//! # let directory = tempfile::tempdir()?;
//! # let root = directory.path();
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//!
//! // SMTP: when `commit` returns, the message is on the disk and 250 may be said.
//! let (spool, pending) = Spool::open(SpoolConfig::new(root.join("spool")))?;
//! assert!(pending.is_empty());
//! let mut incoming = spool.begin(now);
//! incoming.write(b"Subject: hello\r\n\r\nworld\r\n")?;
//! let id = incoming.commit(b"from: a@example.org, to: b@example.org")?;
//!
//! // Delivery: the same DeliveryId never makes a second message.
//! assert!(spool.claim(id));
//! let store = Store::new();
//! let account = store.account(&AccountConfig::maildir(root.join("b/Maildir"), "mx.example.org"))?;
//! let name = DeliveryId { id: format!("{id}-0"), arrived: id.arrived(), maybe_delivered: false };
//! let mut delivery = account.deliver("INBOX", name, now)?;
//! let mut content = spool.reader(id)?;
//! let mut chunk = [0; 8192];
//! loop {
//!     let read = content.read(&mut chunk)?;
//!     if read == 0 {
//!         break;
//!     }
//!     delivery.write(&chunk[..read])?;
//! }
//! delivery.commit(AppendOptions::at(now), now)?;
//! let mut done = Batch::new();
//! done.remove(id);
//! spool.commit(done)?;
//!
//! // IMAP: a snapshot does not move while the session looks at it.
//! let inbox = account.mailbox("INBOX", now)?;
//! let before = inbox.refresh(now)?;
//! let message = &before.messages()[0];
//! assert_eq!((message.uid, message.size), (1, Some(25)));
//! inbox.set_flags(&[1], &FlagChange::add(Flags::SEEN), None, now)?;
//! assert_eq!(inbox.changes_since(before.highest_modseq).changed, [1]);
//! let mut text = String::new();
//! inbox.reader(1, now)?.read_to_string(&mut text)?;
//! assert_eq!(text, "Subject: hello\r\n\r\nworld\r\n");
//! # Ok(())
//! # }
//! ```

mod account;
mod acl;
mod append;
mod backend;
mod delivered;
mod durable;
mod error;
mod flags;
mod index;
mod lock;
mod mailbox;
mod maildir;
mod mbox;
mod memory;
mod metadata;
mod mh;
mod name;
mod object_id;
mod quota;
mod spool;
mod table;
mod transfer;
mod verify;
mod wire;

pub use account::{Account, AccountConfig, Format, Listed, MboxLocks, Store};
pub use acl::{Acl, AclEntry, AclIdentifier, ParseRightsError, Principal, Rights};
pub use append::{Append, AppendOptions, Appended, Delivered, Delivery, DeliveryId};
pub use durable::{File, Fs, Kind, RealFs, Stat, Tell};
pub use error::Error;
pub use flags::{FlagChange, FlagMode, Flags, Keywords};
pub use index::{Addresses, Digest, Envelope, EnvelopeAddress, INDEXED_FIELDS, Indexed};
pub use mailbox::{Copied, Mailbox, Stored, Watch};
pub use metadata::{METADATA_ENTRY_LIMIT, METADATA_VALUE_LIMIT};
pub use name::from_utf7;
pub use quota::{
    ParseQuotaRuleError, QuotaAmount, QuotaLimits, QuotaResource, QuotaRule, QuotaUsed,
};
pub use spool::{Batch, Damage, Incoming, ParseQueueIdError, Pending, QueueId, Spool, SpoolConfig};
pub use table::{Changes, Message, Snapshot};
pub use transfer::{Foreign, Progress, Source, Target, Transfer, Transferred, Unread};
pub use verify::Finding;
pub use wire::Reader;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
