//! Filing what the evaluator delivers.

use std::time::SystemTime;

use bytes::Bytes;
use procmail_rules::{Delivery, Effect, Reply};

use super::folder::Folder;
use super::text::with_crlf;
use super::{Place, Plan};
use crate::delivery::Outcome;
use crate::delivery::local::{Content, from_store};
use crate::procmail::{Host, Policy};
use crate::store::{NewMessage, StoreError, StoreResult};

impl Plan<'_> {
    pub(super) async fn deliver(&mut self, delivery: Delivery) -> Result<Reply, Outcome> {
        let name = String::from_utf8_lossy(&delivery.folder).into_owned();
        match self.folder(&delivery.folder) {
            Folder::Mailbox(mailbox) => {
                let content = Bytes::from(delivery.content);
                let stored = self.store(&mailbox, self.content(&content)).await?;
                self.last = content;
                if let Err(error) = stored {
                    self.complain(&error.to_string(), &name);
                    return Ok(Reply::Failed);
                }
                Ok(Reply::Delivered {
                    file: delivery.folder,
                })
            }
            Folder::Elsewhere(path) if self.files() => {
                self.last = Bytes::copy_from_slice(&delivery.content);
                let reply = self.elsewhere(Effect::Deliver(delivery)).await;
                if matches!(reply, Reply::Delivered { .. }) {
                    self.done.push(path.display().to_string());
                }
                Ok(reply)
            }
            Folder::Elsewhere(_) => {
                self.complain("mail outside the home is not allowed", &name);
                Ok(Reply::Failed)
            }
            Folder::Nowhere => {
                self.complain("not a folder", &name);
                Ok(Reply::Failed)
            }
        }
    }

    /// What has to be written to store these octets.
    pub(super) fn content(&self, octets: &[u8]) -> Content {
        if octets == self.whole {
            return if self.edited {
                Content::Edited(self.message.clone())
            } else {
                Content::Original
            };
        }
        match octets.strip_prefix(self.trace.as_slice()) {
            Some(rest) => Content::Edited(with_crlf(rest)),
            None => Content::Bare(with_crlf(octets)),
        }
    }

    /// Stores one more copy. A mailbox that cannot be is the inner error;
    /// what another try may mend is the outer one.
    pub(super) async fn store(
        &mut self,
        mailbox: &str,
        content: Content,
    ) -> Result<StoreResult<()>, Outcome> {
        if let Err(error) = self.make(mailbox).await {
            return refused(error);
        }
        let copies = self.copies.entry(mailbox.to_owned()).or_default();
        let mut id = self.job.delivery_id();
        if *copies > 0 {
            id.id.push_str(&format!("-{copies}"));
        }
        let message = NewMessage::at(SystemTime::now());
        let stored = self.job.append(self.account, mailbox, id, message, content);
        if let Err(error) = stored.await? {
            return refused(error);
        }
        *copies += 1;
        self.done.push(mailbox.to_owned());
        Ok(Ok(()))
    }

    async fn make(&self, mailbox: &str) -> StoreResult<()> {
        if self.account.exists(mailbox).await? {
            return Ok(());
        }
        match self.account.create(mailbox, None).await {
            // Another delivery was faster.
            Ok(()) | Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        self.account.subscribe(mailbox, true).await
    }

    /// Files outside the home, as procmail itself would write them.
    pub(super) async fn elsewhere(&self, effect: Effect) -> Reply {
        let policy = Policy {
            programs: false,
            own_process: false,
        };
        let name = &self.filter.config.hostname;
        let Place {
            directory, umask, ..
        } = &self.place;
        let mut host = Host::new(policy, name, self.job.user, directory, *umask);
        let acted = self.filter.files.run(move || host.act(effect)).await;
        acted.unwrap_or(Reply::Failed)
    }
}

/// Whether another folder may be tried, or all of it later.
fn refused(error: StoreError) -> Result<StoreResult<()>, Outcome> {
    match error {
        StoreError::Name { .. } | StoreError::NoMailbox(_) | StoreError::Limit(_) => Ok(Err(error)),
        error => Err(from_store(error)),
    }
}
