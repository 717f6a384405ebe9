//! The mailbox that a script means: by its use, by its id or by its name.

use super::{Plan, inbox};
use crate::store::{StoreError, StoreResult};

impl Plan<'_> {
    /// The name of the mailbox that a script files into. One that is not
    /// found by its use (RFC 8579 §4) or its id (RFC 9042 §4) is meant by name.
    pub(super) async fn target(&self, mailbox: &sieve::Mailbox) -> StoreResult<String> {
        let name = inbox(&mailbox.name);
        if let Some(wanted) = &mailbox.special_use {
            let mailboxes = self.account.mailboxes().await?;
            let found = mailboxes.into_iter().find(|info| {
                let special_use = info.special_use.as_ref();
                special_use.is_some_and(|own| own.eq_ignore_ascii_case(wanted))
            });
            return Ok(found.map_or(name, |found| found.name));
        }
        let Some(wanted) = &mailbox.mailbox_id else {
            return Ok(name);
        };
        // Most mailboxes keep the name that they had when the script was written.
        if self.id_of(&name).await.as_ref() == Some(wanted) {
            return Ok(name);
        }
        let wanted = std::slice::from_ref(wanted);
        let found = self.account.with_ids(wanted).await?;
        Ok(found.into_values().next().unwrap_or(name))
    }

    /// Whether there is a mailbox for each of these ids (`mailboxidexists`, RFC 9042).
    pub(super) async fn has_mailboxes(&self, ids: &[String]) -> StoreResult<bool> {
        let names = self.account.with_ids(ids).await?;
        Ok(ids.iter().all(|id| names.contains_key(id)))
    }

    /// The id of a mailbox, if there is one of this name. One that cannot be
    /// opened must not keep mail from the others.
    async fn id_of(&self, name: &str) -> Option<String> {
        let id = async { self.account.open(name).await?.object_id().await };
        match id.await {
            Ok(id) => Some(id),
            Err(StoreError::NoMailbox(_) | StoreError::Name { .. }) => None,
            Err(error) => {
                let (queue_id, user) = (self.job.id, self.job.user);
                tracing::warn!(%queue_id, user, mailbox = name, %error, "its id is not known");
                None
            }
        }
    }
}
