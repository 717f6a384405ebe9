//! Into a user's mailboxes, by way of the user's filter.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::procmail::{ProcmailConfig, ProcmailFilter};
use super::sieve::{Before, SieveConfig, SieveFilter};
use super::{Failure, Outcome};
use crate::blocking::Room;
use crate::queue::{Born, Envelope, Queue, QueueError, QueueId, Recipient};
use crate::store::{
    Account, DeliveryId, Filter, Flags, MailStore, MessageReader, NewMessage, Procmailrc,
    StoreError, StoreResult, read_whole,
};

/// A larger message is delivered unfiltered: filters look at it in memory.
pub(super) const FILTER_LIMIT: u64 = 64 << 20;

/// What all messages that are being filtered may take together; a message
/// counts twice, since its filter may make another one of it.
const FILTER_ROOM: u64 = 256 << 20;

/// How users' mail is filtered.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// This host's name.
    pub hostname: String,
    /// What stands between user and detail in an address.
    pub recipient_delimiter: String,
    /// What users' procmailrcs may do.
    pub procmail: ProcmailConfig,
    /// What users' Sieve scripts may do.
    pub sieve: SieveConfig,
    /// Whether mail for a full account waits instead of going back.
    pub quota_full_tempfail: bool,
}

/// Delivers to the users of this host.
pub struct LocalAgent {
    store: Arc<dyn MailStore>,
    sieve: SieveFilter,
    procmail: ProcmailFilter,
    room: Room,
    quota_full_tempfail: bool,
}

/// What came of a local delivery, and the messages that were born of it.
pub(super) struct Delivered {
    pub(super) outcome: Outcome,
    pub(super) born: Vec<Born>,
}

/// What a message goes through: scripts, then the procmailrc. That one always
/// delivers to the end, so nothing can come behind it.
#[derive(Default)]
struct Filters {
    scripts: Vec<Bytes>,
    procmail: Option<Procmailrc>,
}

/// What is stored of a message.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// All of it, as it came, behind the trace fields.
    Original,
    /// Another one, behind the trace fields.
    Edited(Bytes),
    /// This, and nothing before it.
    Bare(Bytes),
}

/// One recipient's copy of a message on its way in.
pub(super) struct Job<'a> {
    pub(super) queue: &'a dyn Queue,
    pub(super) id: &'a QueueId,
    pub(super) envelope: &'a Envelope,
    pub(super) size: u64,
    pub(super) recipient: &'a Recipient,
    pub(super) user: &'a str,
}

impl LocalAgent {
    /// An agent that delivers into `store`.
    #[must_use]
    pub fn new(config: &LocalConfig, store: Arc<dyn MailStore>) -> Self {
        Self {
            store,
            sieve: SieveFilter::new(&config.hostname, &config.recipient_delimiter, &config.sieve),
            procmail: ProcmailFilter::new(config),
            room: Room::new(FILTER_ROOM),
            quota_full_tempfail: config.quota_full_tempfail,
        }
    }

    pub(super) async fn deliver(&self, job: &Job<'_>) -> Delivered {
        let mut born = Vec::new();
        let outcome = match self.run(job, &mut born).await {
            Ok(to) => Outcome::Delivered { to },
            Err(Outcome::Failed(failure)) if failure.code == FULL && self.quota_full_tempfail => {
                born.clear();
                Outcome::Deferred(Failure {
                    code: "4.2.2".into(),
                    ..failure
                })
            }
            Err(failure) => {
                born.clear();
                failure
            }
        };
        Delivered { outcome, born }
    }

    async fn run(&self, job: &Job<'_>, born: &mut Vec<Born>) -> Result<String, Outcome> {
        let account = self.store.account(job.user).await.map_err(from_store)?;
        let account = &*account;
        let filters = self.filters(job, account).await;
        if let Some(rc) = &filters.procmail {
            let _taken = self.room.take(4 * job.size).await;
            let message = job.whole().await?;
            let mut before = if filters.scripts.is_empty() {
                Before::of(message)
            } else {
                let scripts = &filters.scripts;
                self.sieve
                    .run_before(job, account, scripts, message, born)
                    .await?
            };
            let later = std::mem::take(&mut before.later);
            let done = if before.kept {
                self.procmail.run(job, account, rc, before, born).await?
            } else {
                format!("{}: sieve: {}", job.user, before.done.join(", "))
            };
            self.sieve.conclude(job, account, later, born).await;
            return Ok(done);
        }
        if !filters.scripts.is_empty() {
            let _taken = self.room.take(2 * job.size).await;
            let message = job.whole().await?;
            let scripts = &filters.scripts;
            return self.sieve.run(job, account, scripts, message, born).await;
        }
        job.store(account, "INBOX", Flags::NONE, Vec::new(), None)
            .await?;
        Ok(format!("{}: INBOX", job.user))
    }

    /// What the message goes through. Filters that cannot be read lose no
    /// mail.
    async fn filters(&self, job: &Job<'_>, account: &dyn Account) -> Filters {
        let mut found = Filters::default();
        let filters = match account.filters().await {
            Ok(filters) => filters,
            Err(error) => {
                tracing::warn!(queue_id = %job.id, user = job.user, %error, "no filter");
                return found;
            }
        };
        if job.size > FILTER_LIMIT && !filters.is_empty() {
            tracing::warn!(queue_id = %job.id, user = job.user, "too large to be filtered");
            return found;
        }
        for filter in filters {
            match filter {
                Filter::Sieve(script) => found.scripts.push(script),
                Filter::Procmail(rc) => {
                    found.procmail = Some(rc);
                    break;
                }
            }
        }
        found
    }
}

impl Job<'_> {
    /// The recipient's address.
    pub(super) fn address(&self) -> &str {
        // The router marks addresses that are expanded to the end.
        self.recipient.address.trim_start_matches('\\')
    }

    /// The whole message, which was found to be no larger than filters take.
    pub(super) async fn whole(&self) -> Result<Bytes, Outcome> {
        let mut content = self.content().await?;
        read_whole(&mut *content, FILTER_LIMIT)
            .await
            .map_err(from_store)
    }

    /// The trace fields that final delivery puts on top (RFC 5321 §4.4).
    pub(super) fn trace(&self) -> Bytes {
        let sender = &self.envelope.sender;
        let address = self.address();
        let mut text = format!("Return-Path: <{sender}>\r\nDelivered-To: {address}\r\n");
        if self.recipient.original != address {
            text.push_str(&format!("X-Original-To: {}\r\n", self.recipient.original));
        }
        Bytes::from(text)
    }

    /// The id under which this recipient's copy arrives once in a mailbox.
    pub(super) fn delivery_id(&self) -> DeliveryId {
        DeliveryId {
            id: format!(
                "{}-{:016x}",
                self.id,
                fnv1a(self.recipient.address.as_bytes())
            ),
            arrived: self.envelope.arrived,
            maybe_delivered: self.envelope.maybe_delivered,
        }
    }

    pub(super) async fn content(&self) -> Result<Box<dyn MessageReader>, Outcome> {
        self.queue.content(self.id).await.map_err(from_queue)
    }

    /// Appends the message, or `instead` of it an edited one, to a mailbox.
    pub(super) async fn store(
        &self,
        account: &dyn Account,
        mailbox: &str,
        flags: Flags,
        keywords: Vec<String>,
        instead: Option<Bytes>,
    ) -> Result<(), Outcome> {
        let message = NewMessage {
            flags,
            keywords,
            internal_date: SystemTime::now(),
        };
        let content = instead.map_or(Content::Original, Content::Edited);
        self.append(account, mailbox, self.delivery_id(), message, content)
            .await?
            .map_err(from_store)
    }

    /// Appends to a mailbox under this id. What the store says is the inner
    /// answer; the outer one is that of the queue.
    pub(super) async fn append(
        &self,
        account: &dyn Account,
        mailbox: &str,
        id: DeliveryId,
        message: NewMessage,
        content: Content,
    ) -> Result<StoreResult<()>, Outcome> {
        let mut original = match content {
            Content::Original => Some(self.content().await?),
            _ => None,
        };
        let stored = async {
            let mut appender = account.deliver(mailbox, id).await?;
            if !matches!(content, Content::Bare(_)) {
                appender.write(self.trace()).await?;
            }
            if let Content::Edited(octets) | Content::Bare(octets) = content {
                appender.write(octets).await?;
            }
            if let Some(original) = &mut original {
                while let Some(chunk) = original.next().await? {
                    appender.write(chunk).await?;
                }
            }
            appender.commit(message).await
        };
        Ok(stored.await.map(|_| ()))
    }
}

/// The mailbox is full (RFC 3463 §3.3).
const FULL: &str = "5.2.2";

/// What a failing store means for the message: later, unless it says no.
pub(super) fn from_store(error: StoreError) -> Outcome {
    let reason = error.to_string();
    match error {
        StoreError::Quota => Outcome::Failed(Failure::new(FULL, reason)),
        _ => Outcome::Deferred(Failure::new("4.3.0", reason)),
    }
}

pub(super) fn from_queue(error: QueueError) -> Outcome {
    Outcome::Deferred(Failure::new("4.3.0", error.to_string()))
}

/// A stable hash, the same after every restart: FNV-1a, 64 bits.
fn fnv1a(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
