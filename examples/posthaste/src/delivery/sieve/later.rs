//! What is done once the message is where it belongs.
//!
//! A delivery that fails is tried again, by the same scripts. What they had
//! remembered at the first try, the second would take for done: the message
//! for a duplicate of itself (RFC 7352 §3), its sender for answered.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sieve::Mailbox;

use super::Plan;
use super::plan::split_flags;
use crate::queue::Born;
use crate::store::NewMessage;

/// What scripts left for the end of a delivery.
#[derive(Default)]
pub(in super::super) struct Later {
    duplicates: Vec<(Vec<u8>, Duration)>,
    answers: Vec<Reply>,
    copies: Vec<(Mailbox, Bytes)>,
}

/// An answer to the sender, and what it is remembered by.
struct Reply {
    key: Vec<u8>,
    period: Duration,
    mail: Born,
    copy: Option<(Mailbox, Bytes)>,
}

impl Later {
    /// Remembers what duplicates of the message are known by.
    pub(super) fn duplicate(&mut self, key: Vec<u8>, period: Duration) {
        self.duplicates.push((key, period));
    }

    /// Sends an answer, and stores a copy of it.
    pub(super) fn answer(
        &mut self,
        key: Vec<u8>,
        period: Duration,
        mail: Born,
        copy: Option<(Mailbox, Bytes)>,
    ) {
        self.answers.push(Reply {
            key,
            period,
            mail,
            copy,
        });
    }

    /// Stores a copy of what is sent (RFC 8580).
    pub(super) fn copy(&mut self, mailbox: Mailbox, message: Bytes) {
        self.copies.push((mailbox, message));
    }

    /// Whether this answer is already given.
    pub(super) fn answers(&self, key: &[u8]) -> bool {
        self.answers.iter().any(|reply| reply.key == key)
    }
}

impl Plan<'_> {
    /// Does what was left. No failure is a reason to deliver the message
    /// again; an answer that cannot be remembered would be given to each of
    /// the sender's messages, and is not given.
    pub(super) async fn conclude(&self, later: Later, born: &mut Vec<Born>) {
        let (id, user) = (self.job.id, self.job.user);
        for (key, period) in later.duplicates {
            if let Err(error) = self.account.remember(&key, period).await {
                tracing::warn!(queue_id = %id, user, %error, "duplicates will not be known");
            }
        }
        let mut copies = later.copies;
        for reply in later.answers {
            match self.account.remember(&reply.key, reply.period).await {
                Ok(()) => {
                    born.push(reply.mail);
                    copies.extend(reply.copy);
                }
                Err(error) => {
                    tracing::warn!(queue_id = %id, user, %error, "the sender is not answered");
                }
            }
        }
        for (mailbox, message) in copies {
            self.store_copy(mailbox, message).await;
        }
    }

    async fn store_copy(&self, mailbox: Mailbox, message: Bytes) {
        let (flags, keywords) = split_flags(mailbox.flags.clone());
        let stored = async {
            let name = self.target(&mailbox).await?;
            if mailbox.create && !self.account.exists(&name).await? {
                self.make(&name).await?;
            }
            let target = self.account.open(&name).await?;
            let mut appender = target.append().await?;
            appender.write(message).await?;
            appender
                .commit(NewMessage {
                    flags,
                    keywords,
                    internal_date: SystemTime::now(),
                })
                .await
        };
        if let Err(error) = stored.await {
            tracing::warn!(queue_id = %self.job.id, user = self.job.user, %error, "no copy stored");
        }
    }
}
