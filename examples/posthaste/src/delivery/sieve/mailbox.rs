//! The mailbox that a script means: by its use, by its id or by its name.

use std::collections::HashSet;

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
        for info in self.account.mailboxes().await? {
            if info.selectable && self.id_of(&info.name).await.as_ref() == Some(wanted) {
                return Ok(info.name);
            }
        }
        Ok(name)
    }

    /// Whether there is a mailbox for each of these ids (`mailboxidexists`, RFC 9042).
    pub(super) async fn has_mailboxes(&self, ids: &[String]) -> StoreResult<bool> {
        let mut missing: HashSet<&str> = ids.iter().map(String::as_str).collect();
        for info in self.account.mailboxes().await? {
            if missing.is_empty() {
                break;
            }
            if info.selectable
                && let Some(id) = self.id_of(&info.name).await
            {
                missing.remove(id.as_str());
            }
        }
        Ok(missing.is_empty())
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
