//! The seam between sessions and mail: accounts, mailboxes, messages.
//!
//! The traits are runtime-neutral: every future is `Send` and none of them
//! says what it waits for. [`LocalStore`] runs `mailstore` on threads of its
//! own; another implementation may stand beside it.

mod local;
mod memory;
mod reader;
mod scripts;

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use thiserror::Error;

pub(crate) use local::object_id_of;
pub use local::{AccountPlace, FilterKind, LocalStore};
pub use mailstore::{
    Changes, Digest, FlagChange, FlagMode, Flags, Message, QuotaLimits, QuotaUsed, Snapshot,
};
pub(crate) use reader::LocalReader;
pub use scripts::ScriptPlace;

/// The entry that tells what a mailbox is for (RFC 6154 §4).
pub(crate) const SPECIAL_USE: &str = "/private/specialuse";

/// A future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The values of annotations, by the names of their entries.
pub type Annotations = Vec<(String, Vec<u8>)>;

/// The answer of every call of this seam.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such mailbox.
    #[error("no such mailbox: {0}")]
    NoMailbox(String),
    /// There is a mailbox of this name already.
    #[error("mailbox exists: {0}")]
    Exists(String),
    /// No mailbox can have this name.
    #[error("{name}: {reason}")]
    Name {
        /// The name that was asked for.
        name: String,
        /// Why it cannot be.
        reason: String,
    },
    /// The message was expunged meanwhile.
    #[error("message {0} is gone")]
    Gone(u32),
    /// There are as many annotations as there may be.
    #[error("too many annotations")]
    Annotations,
    /// The account's room is used up.
    #[error("quota exceeded")]
    Quota,
    /// More was asked for at once than is given.
    #[error("{0}")]
    Limit(&'static str),
    /// A part's transfer encoding is none that can be taken off.
    #[error("unknown transfer encoding")]
    Encoding,
    /// The storage failed; trying again later may help.
    #[error("{0}")]
    Storage(String),
}

/// All accounts' mail.
pub trait MailStore: Send + Sync + 'static {
    /// The account of a user who is known to exist; made at the first use.
    fn account<'a>(&'a self, user: &'a str) -> BoxFuture<'a, StoreResult<Arc<dyn Account>>>;
}

/// One user's mailboxes. Names are UTF-8 with `/` between levels; `INBOX` is
/// always there.
pub trait Account: Send + Sync + 'static {
    /// Every mailbox, in the order of names.
    fn mailboxes(&self) -> BoxFuture<'_, StoreResult<Vec<MailboxInfo>>>;

    /// The names that the user has subscribed to, existing or not.
    fn subscriptions(&self) -> BoxFuture<'_, StoreResult<Vec<String>>>;

    /// Makes a mailbox, and what is missing above it.
    fn create<'a>(
        &'a self,
        name: &'a str,
        special_use: Option<&'a str>,
    ) -> BoxFuture<'a, StoreResult<()>>;

    /// Deletes a mailbox with its messages; those below it stay.
    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, StoreResult<()>>;

    /// Renames a mailbox and those below it; renaming INBOX moves its
    /// messages to a new mailbox (RFC 9051 §6.3.6).
    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, StoreResult<()>>;

    /// Subscribes or unsubscribes; unsubscribing what is not subscribed is
    /// no error.
    fn subscribe<'a>(&'a self, name: &'a str, subscribed: bool) -> BoxFuture<'a, StoreResult<()>>;

    /// Opens a mailbox; all sessions share it.
    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, StoreResult<Arc<dyn Mailbox>>>;

    /// The names of the mailboxes with these ids ([`Mailbox::object_id`]), by their ids. What cannot be opened has none.
    fn with_ids<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, StoreResult<HashMap<String, String>>>;

    /// Whether there is a mailbox of this name that can be opened.
    fn exists<'a>(&'a self, name: &'a str) -> BoxFuture<'a, StoreResult<bool>>;

    /// The value of an annotation (RFC 5464) of a mailbox, or of the account
    /// itself; nothing where the mailbox or the annotation is not there.
    fn annotation<'a>(
        &'a self,
        mailbox: Option<&'a str>,
        entry: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<Vec<u8>>>>;

    /// All annotations of a mailbox, or of the account itself, by the names of
    /// their entries, in small letters.
    fn annotations<'a>(
        &'a self,
        mailbox: Option<&'a str>,
    ) -> BoxFuture<'a, StoreResult<Annotations>>;

    /// Sets annotations, or takes them away where there is no value: all of
    /// them or none. The values were looked at for their size.
    fn annotate<'a>(
        &'a self,
        mailbox: Option<&'a str>,
        changes: Vec<(String, Option<Vec<u8>>)>,
    ) -> BoxFuture<'a, StoreResult<()>>;

    /// Begins a delivery into a mailbox: a message that arrives once, however
    /// often it is delivered under the same id.
    fn deliver<'a>(
        &'a self,
        name: &'a str,
        id: DeliveryId,
    ) -> BoxFuture<'a, StoreResult<Box<dyn Appender>>>;

    /// What the account may hold and what it holds; nothing where there is no
    /// limit.
    fn quota(&self) -> BoxFuture<'_, StoreResult<Option<(QuotaLimits, QuotaUsed)>>>;

    /// Whether `key` is remembered: that a sender was answered, say, or a
    /// message seen.
    fn remembers<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, StoreResult<bool>>;

    /// Remembers `key` for a while.
    fn remember<'a>(&'a self, key: &'a [u8], period: Duration) -> BoxFuture<'a, StoreResult<()>>;

    /// The filters that the user's deliveries go through, in their order.
    fn filters(&self) -> BoxFuture<'_, StoreResult<Vec<Filter>>>;

    /// The user's Sieve scripts; nothing where users have none of their own.
    fn scripts(&self) -> Option<&dyn Scripts>;
}

/// The answer of every call on scripts.
pub type ScriptResult<T> = Result<T, ScriptError>;

/// Why nothing came of a call on scripts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// There is no such script.
    #[error("There is no script {0:?}")]
    Unknown(String),
    /// There is a script of this name already.
    #[error("There is a script {0:?} already")]
    Exists(String),
    /// The active script stays.
    #[error("The script {0:?} is active")]
    Active(String),
    /// No script can have this name.
    #[error("No script can have the name {0:?}")]
    Name(String),
    /// It is larger than this, in octets.
    #[error("A script has {0} octets at most")]
    TooLarge(u64),
    /// There are as many as there may be.
    #[error("There may be {0} scripts at most")]
    TooMany(usize),
    /// The storage failed; trying again later may help.
    #[error("{0}")]
    Storage(String),
}

/// A line of [`Scripts::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptInfo {
    /// Its name.
    pub name: String,
    /// Whether deliveries go through it.
    pub active: bool,
}

/// One user's Sieve scripts, of which one may be active.
pub trait Scripts: Send + Sync {
    /// Every script, in the order of names.
    fn list(&self) -> BoxFuture<'_, ScriptResult<Vec<ScriptInfo>>>;

    /// A script's source.
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ScriptResult<Bytes>>;

    /// Whether [`Scripts::put`] would take a script of so many octets.
    fn has_room<'a>(&'a self, name: &'a str, octets: u64) -> BoxFuture<'a, ScriptResult<()>>;

    /// Stores a script, or another source in its place; there is never a
    /// moment with neither.
    fn put<'a>(&'a self, name: &'a str, source: Bytes) -> BoxFuture<'a, ScriptResult<()>>;

    /// Makes one the active script, instead of the one that was; or none.
    fn activate<'a>(&'a self, name: Option<&'a str>) -> BoxFuture<'a, ScriptResult<()>>;

    /// Removes a script that is not active.
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ScriptResult<()>>;

    /// Gives a script another name; the active one stays active.
    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, ScriptResult<()>>;
}

/// A filter, as its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// A Sieve script.
    Sieve(Bytes),
    /// A procmailrc.
    Procmail(Procmailrc),
}

/// A procmailrc, and what the paths in it mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procmailrc {
    /// Its text.
    pub text: Bytes,
    /// The user's home.
    pub home: PathBuf,
    /// Where the mailboxes are: a Maildir, or the folder of the mbox files.
    pub mail: PathBuf,
    /// INBOX, where that is a file of its own.
    pub inbox: Option<PathBuf>,
}

/// What LIST says of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxInfo {
    /// The name.
    pub name: String,
    /// Whether it can be opened: a level that only holds others cannot.
    pub selectable: bool,
    /// `\Sent`, `\Trash` … (RFC 6154), if it has such a use.
    pub special_use: Option<String>,
}

/// One mailbox, shared by every session of the process.
pub trait Mailbox: Send + Sync + 'static {
    /// The mailbox's name.
    fn name(&self) -> &str;

    /// What the mailbox is known by whatever its name (MAILBOXID, RFC 8474
    /// §4), as clients and scripts write it: letters, digits, `_` and `-`.
    fn object_id(&self) -> BoxFuture<'_, StoreResult<String>>;

    /// What is there now, news from other processes included.
    fn snapshot(&self) -> BoxFuture<'_, StoreResult<Snapshot>>;

    /// What changed after `modseq`.
    fn changes_since(&self, modseq: u64) -> BoxFuture<'_, StoreResult<Changes>>;

    /// Completes when something has changed after `modseq`. Cancelling it
    /// loses nothing.
    fn watch(&self, modseq: u64) -> BoxFuture<'_, ()>;

    /// Takes the `\Recent` marks: the UIDs that no session was told of yet.
    fn take_recent(&self) -> BoxFuture<'_, StoreResult<Vec<u32>>>;

    /// The wire sizes (RFC822.SIZE) of these messages, in the same order;
    /// those that are gone are left out of neither side: they give
    /// [`StoreError::Gone`].
    fn sizes(&self, uids: Vec<u32>) -> BoxFuture<'_, StoreResult<Vec<u64>>>;

    /// Opens a message for reading in wire form (CRLF).
    fn read(&self, uid: u32) -> BoxFuture<'_, StoreResult<Box<dyn MessageReader>>>;

    /// Opens several messages at once, each with its beginning read; the
    /// answers are in the order of the UIDs.
    fn read_many(&self, uids: Vec<u32>) -> BoxFuture<'_, Vec<StoreResult<Box<dyn MessageReader>>>>;

    /// What the index keeps of these messages, in their order. A message that was never asked for is read once.
    fn digests(&self, uids: Vec<u32>) -> BoxFuture<'_, Vec<StoreResult<Digested>>>;

    /// Begins a message; nothing is seen of it before its commit.
    fn append(&self) -> BoxFuture<'_, StoreResult<Box<dyn Appender>>>;

    /// Begins a message that goes into another mailbox of the same account, or
    /// this one, in the place of message `uid`: at its commit both happens or
    /// neither (RFC 8508).
    fn replace<'a>(
        &'a self,
        uid: u32,
        to: &'a str,
    ) -> BoxFuture<'a, StoreResult<Box<dyn Appender>>>;

    /// Changes flags; answers the UIDs that were changed by others after
    /// `unchanged_since` and were therefore left alone (RFC 7162 §3.1.3).
    fn set_flags(
        &self,
        uids: Vec<u32>,
        change: FlagChange,
        unchanged_since: Option<u64>,
    ) -> BoxFuture<'_, StoreResult<Vec<u32>>>;

    /// Removes messages for good; those already gone are no error.
    fn expunge(&self, uids: Vec<u32>) -> BoxFuture<'_, StoreResult<()>>;

    /// Copies messages into another mailbox of the same account, all or none.
    fn copy<'a>(&'a self, uids: Vec<u32>, to: &'a str) -> BoxFuture<'a, StoreResult<Copied>>;

    /// Moves messages into another mailbox of the same account.
    fn move_to<'a>(&'a self, uids: Vec<u32>, to: &'a str) -> BoxFuture<'a, StoreResult<Copied>>;
}

/// What COPYUID says (RFC 9051 §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uid_validity: u32,
    /// Source and target UID of each message, in the order of copying.
    pub uids: Vec<(u32, u32)>,
}

/// What the index keeps of one message: parts of it share its octets.
#[derive(Debug, Clone)]
pub struct Digested(Bytes);

impl Digested {
    /// What is known of the message.
    #[must_use]
    pub fn digest(&self) -> Digest<'_> {
        // They came from the index, which has looked at them.
        Digest::read(&self.0).unwrap_or_default()
    }

    /// A part of these octets, not copied.
    #[must_use]
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.0.slice_ref(part)
    }
}

impl From<mailstore::Indexed> for Digested {
    fn from(indexed: mailstore::Indexed) -> Self {
        Self(indexed.into_octets().into())
    }
}

/// A message being read, in wire form.
pub trait MessageReader: Send {
    /// Octets in all.
    fn size(&self) -> u64;

    /// The next octets, 64 KiB at most at a time; `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Bytes>>>;

    /// Passes over this many octets.
    fn skip(&mut self, octets: u64) -> BoxFuture<'_, StoreResult<()>>;
}

/// Reads a message whole; for those known to be small.
///
/// # Errors
/// When the store fails, or the message is longer than `limit` octets.
pub async fn read_whole(reader: &mut dyn MessageReader, limit: u64) -> StoreResult<Bytes> {
    if reader.size() > limit {
        return Err(StoreError::Storage(format!(
            "message of {} octets is over the limit of {limit}",
            reader.size()
        )));
    }
    let Some(first) = reader.next().await? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 >= reader.size() {
        return Ok(first);
    }
    let mut whole = bytes::BytesMut::with_capacity(usize::try_from(reader.size()).unwrap_or(0));
    whole.extend_from_slice(&first);
    while let Some(chunk) = reader.next().await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// A message being appended, or several; dropped before their commit, they
/// never were.
pub trait Appender: Send + Sync {
    /// The next octets, in wire form. After an error there is nothing left to
    /// commit.
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, StoreResult<()>>;

    /// Ends a message: the next octets are another's, which goes to the same
    /// place (RFC 3502). How many come is bounded by who calls this: each may
    /// take 64 KiB and an open file. A delivery is of one message,
    /// and so is what replaces one.
    fn next(&mut self, message: NewMessage) -> StoreResult<()>;

    /// Ends the last message and makes all of them durable, then visible; or
    /// none. Their places are in their order; those of deliveries are not
    /// known yet.
    fn commit<'a>(
        self: Box<Self>,
        message: NewMessage,
    ) -> BoxFuture<'a, StoreResult<Vec<Appended>>>
    where
        Self: 'a;
}

/// What is said of a message when it is committed.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Vec<String>,
    /// INTERNALDATE.
    pub internal_date: SystemTime,
}

impl NewMessage {
    /// A message without flags.
    #[must_use]
    pub fn at(internal_date: SystemTime) -> Self {
        Self {
            flags: Flags::NONE,
            keywords: Vec::new(),
            internal_date,
        }
    }
}

/// The id of one delivery into one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryId {
    /// Letters, digits and `-` only; unique for message and recipient.
    pub id: String,
    /// When the message was accepted; the same on every try.
    pub arrived: SystemTime,
    /// Whether an earlier try may have succeeded without being recorded.
    pub maybe_delivered: bool,
}

/// What APPENDUID says (RFC 9051 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: u32,
    /// The message's UID.
    pub uid: u32,
}
