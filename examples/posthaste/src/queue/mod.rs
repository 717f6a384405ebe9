//! The seam between reception and delivery: the queue.
//!
//! A message is in the queue from the moment it is acknowledged until every
//! recipient is delivered, bounced or expanded. [`LocalQueue`] keeps it in
//! `mailstore`'s spool.

mod local;
mod notify;
mod schedule;

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::{BoxFuture, MessageReader};

pub use local::LocalQueue;
pub use notify::{Notify, OriginalRecipient, Owed, Ret, Success};
pub use schedule::backoff;

/// The answer of every call of this seam.
pub type QueueResult<T> = Result<T, QueueError>;

/// Why the queue did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no such message: it is finished, or never was.
    #[error("no message {0} in the queue")]
    Unknown(QueueId),
    /// Another worker holds the message.
    #[error("message {0} is being delivered")]
    Busy(QueueId),
    /// The storage failed; nothing was accepted or lost.
    #[error("{0}")]
    Storage(String),
}

/// Names a message in the queue; short, printable, never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueId(pub String);

impl std::fmt::Display for QueueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who sent a message to whom, and how far its delivery has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The reverse-path; empty for the null path `<>`.
    pub sender: String,
    /// Every recipient, done or not.
    pub recipients: Vec<Recipient>,
    /// When the message was accepted.
    pub arrived: SystemTime,
    /// Where it came from, if by SMTP.
    #[serde(default)]
    pub client: Option<IpAddr>,
    /// The user who submitted it, if any.
    #[serde(default)]
    pub authenticated: Option<String>,
    /// Whether the body is 8-bit (RFC 6152).
    #[serde(default)]
    pub eight_bit: bool,
    /// Whether the message needs SMTPUTF8 (RFC 6531).
    #[serde(default)]
    pub smtp_utf8: bool,
    /// Whether it may go on under TLS alone (RFC 8689).
    #[serde(default)]
    pub require_tls: bool,
    /// What of it goes back with a report of failure, if the sender said so.
    #[serde(default)]
    pub ret: Option<Ret>,
    /// The sender's own name for this sending (RFC 3461 §4.4), if any.
    #[serde(default)]
    pub envelope_id: Option<String>,
    /// How often delivery was tried.
    #[serde(default)]
    pub attempts: u32,
    /// When it is to be tried again; at once if absent.
    #[serde(default)]
    pub next_attempt: Option<SystemTime>,
    /// Whether a delivery was ever begun: after a crash an attempt may have
    /// succeeded unrecorded.
    #[serde(default)]
    pub maybe_delivered: bool,
    /// How many users' filters sent it on or wrote it, one after the other.
    #[serde(default)]
    pub generation: u32,
}

impl Envelope {
    /// The envelope of a message that was never tried.
    pub fn new(
        sender: impl Into<String>,
        recipients: impl IntoIterator<Item = Recipient>,
        arrived: SystemTime,
    ) -> Self {
        Self {
            sender: sender.into(),
            recipients: recipients.into_iter().collect(),
            arrived,
            client: None,
            authenticated: None,
            eight_bit: false,
            smtp_utf8: false,
            require_tls: false,
            ret: None,
            envelope_id: None,
            attempts: 0,
            next_attempt: None,
            maybe_delivered: false,
            generation: 0,
        }
    }
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The forward-path, aliases expanded.
    pub address: String,
    /// The address as the client gave it.
    pub original: String,
    /// How far it has come.
    pub status: Status,
    /// What the sender wants to be told of it; failures and delays, if the
    /// sender did not say.
    #[serde(default)]
    pub notify: Option<Notify>,
    /// Who it was to the sender, if the sender said so.
    #[serde(default)]
    pub orcpt: Option<OriginalRecipient>,
    /// Whether the sender was told that it takes long.
    #[serde(default)]
    pub delay_told: bool,
    /// What the sender is still to be told of its delivery: a report could
    /// not be written. The message stays in the queue for it.
    #[serde(default)]
    pub owed: Option<Owed>,
}

impl Recipient {
    /// A recipient still to be delivered to.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            original: address.clone(),
            address,
            status: Status::Pending,
            notify: None,
            orcpt: None,
            delay_told: false,
            owed: None,
        }
    }

    /// Who gets the message from this recipient, who has it and has told so:
    /// what else the sender wants to be told goes along (RFC 3461 §5.2.7).
    #[must_use]
    pub fn forwarded(&self, address: impl Into<String>) -> Self {
        let mut to = Self::new(address);
        to.notify = self.notify.map(|notify| Notify {
            success: false,
            ..notify
        });
        to.orcpt.clone_from(&self.orcpt);
        to
    }

    /// Whether the sender is to hear of a failure (RFC 3461 §5.2.6).
    #[must_use]
    pub fn tells_failure(&self) -> bool {
        self.notify.is_none_or(|notify| notify.failure)
    }

    /// Whether the sender may hear of a delay (RFC 3461 §5.2.5).
    #[must_use]
    pub fn tells_delay(&self) -> bool {
        self.notify.is_none_or(|notify| notify.delay)
    }

    /// Whether the sender is to hear of a delivery (RFC 3461 §5.2.3).
    #[must_use]
    pub fn tells_success(&self) -> bool {
        self.notify.is_some_and(|notify| notify.success)
    }
}

/// How far one recipient has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Not tried yet.
    Pending,
    /// Tried, and to be tried again.
    Deferred {
        /// Enhanced status code (RFC 3463), `4.x.x`.
        code: String,
        /// What happened, in one line.
        reason: String,
    },
    /// Delivered, or handed on.
    Delivered,
    /// Given up; the sender was told, unless there is none.
    Bounced,
}

impl Status {
    /// Whether delivery still has to be tried.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Pending | Self::Deferred { .. })
    }
}

/// Accepted messages, until they are delivered.
pub trait Queue: Send + Sync + 'static {
    /// Begins a message. Dropped before its commit, it never was.
    fn begin(&self) -> BoxFuture<'_, QueueResult<Box<dyn Incoming>>>;

    /// Waits for a message that is due and leases it: no other worker gets
    /// it before it is finished, deferred or released.
    fn claim(&self) -> BoxFuture<'_, QueueResult<Claimed>>;

    /// The content of a message, in wire form.
    fn content<'a>(&'a self, id: &'a QueueId)
    -> BoxFuture<'a, QueueResult<Box<dyn MessageReader>>>;

    /// Records how far a claimed message has come, together with the messages
    /// that were born of it (bounces, redirects): all or nothing survives a
    /// crash. The lease goes on.
    fn record<'a>(
        &'a self,
        id: &'a QueueId,
        envelope: Envelope,
        born: Vec<Born>,
    ) -> BoxFuture<'a, QueueResult<Vec<QueueId>>>;

    /// Like [`Queue::record`], then ends the lease; `next_attempt` in the
    /// envelope says when the message is due again.
    fn defer<'a>(
        &'a self,
        id: &'a QueueId,
        envelope: Envelope,
        born: Vec<Born>,
    ) -> BoxFuture<'a, QueueResult<Vec<QueueId>>>;

    /// Takes a claimed message out of the queue, together with the messages
    /// that were born of it.
    fn finish<'a>(
        &'a self,
        id: &'a QueueId,
        born: Vec<Born>,
    ) -> BoxFuture<'a, QueueResult<Vec<QueueId>>>;

    /// Every message in the queue.
    fn list(&self) -> BoxFuture<'_, QueueResult<Vec<Listed>>>;

    /// Makes messages due at once; all of them where `id` is absent.
    fn flush<'a>(&'a self, id: Option<&'a QueueId>) -> BoxFuture<'a, QueueResult<usize>>;

    /// Throws a message away.
    fn remove<'a>(&'a self, id: &'a QueueId) -> BoxFuture<'a, QueueResult<()>>;
}

/// A message being accepted.
pub trait Incoming: Send {
    /// The name that it will have.
    fn id(&self) -> &QueueId;

    /// The next octets, in wire form.
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, QueueResult<()>>;

    /// Answers when the message is durable: only then may it be acknowledged.
    fn commit<'a>(self: Box<Self>, envelope: Envelope) -> BoxFuture<'a, QueueResult<QueueId>>
    where
        Self: 'a;
}

/// A leased message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its name.
    pub id: QueueId,
    /// Its envelope as it was recorded last.
    pub envelope: Envelope,
    /// Octets of its content.
    pub size: u64,
    /// When somebody wanted it to be tried at once, if that is why it is due.
    pub flushed: Option<SystemTime>,
}

/// A message that is born of another one's delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Born {
    /// Who it is from and for.
    pub envelope: Envelope,
    /// What it says.
    pub content: BornContent,
}

/// The content of a [`Born`] message, in wire form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BornContent {
    /// All of it.
    Whole(Bytes),
    /// These octets, then the content of the message that it is born of.
    Parent {
        /// Header fields to put first.
        prefix: Bytes,
    },
}

/// A line of the queue's listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: QueueId,
    /// Its envelope as it was recorded last.
    pub envelope: Envelope,
    /// Octets of its content.
    pub size: u64,
    /// Whether a worker holds it.
    pub active: bool,
}
