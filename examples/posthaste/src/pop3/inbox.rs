use std::sync::Arc;

use pop3_proto::{Maildrop, MessageNumber};

use crate::store::{FlagChange, FlagMode, Flags, MailStore, Mailbox, StoreError, StoreResult};

/// How often a listing begins anew when messages vanish under it.
const TRIES: usize = 5;

/// An INBOX as it was at login.
pub(super) struct Inbox {
    mailbox: Arc<dyn Mailbox>,
    /// In the order of message-numbers.
    uids: Vec<u32>,
    /// Which of them were retrieved, by index.
    retrieved: Vec<bool>,
}

impl Inbox {
    pub(super) async fn open(store: &dyn MailStore, user: &str) -> StoreResult<(Self, Maildrop)> {
        let account = store.account(user).await?;
        let mailbox = account.open("INBOX").await?;
        let mut tries = 1;
        loop {
            match list(&*mailbox).await {
                Ok((uids, maildrop)) => {
                    let inbox = Self {
                        retrieved: vec![false; uids.len()],
                        mailbox,
                        uids,
                    };
                    return Ok((inbox, maildrop));
                }
                // Somebody else removes messages just now.
                Err(StoreError::Gone(_)) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn mailbox(&self) -> &dyn Mailbox {
        &*self.mailbox
    }

    pub(super) fn uid(&self, number: MessageNumber) -> Option<u32> {
        self.uids.get(number.index()).copied()
    }

    pub(super) fn mark_retrieved(&mut self, number: MessageNumber) {
        if let Some(retrieved) = self.retrieved.get_mut(number.index()) {
            *retrieved = true;
        }
    }

    /// Removes the messages; of the others, those that were retrieved become
    /// `\Seen`.
    pub(super) async fn update(&self, deleted: &[MessageNumber]) -> StoreResult<()> {
        let gone: Vec<u32> = deleted
            .iter()
            .filter_map(|number| self.uid(*number))
            .collect();
        let seen = self.uids.iter().zip(&self.retrieved);
        let seen: Vec<u32> = seen
            .filter(|(uid, retrieved)| **retrieved && gone.binary_search(uid).is_err())
            .map(|(uid, _)| *uid)
            .collect();
        if !gone.is_empty() {
            self.mailbox.expunge(gone).await?;
        }
        if !seen.is_empty() {
            let change = FlagChange {
                mode: FlagMode::Add,
                flags: Flags::SEEN,
                keywords: Vec::new(),
            };
            self.mailbox.set_flags(seen, change, None).await?;
        }
        Ok(())
    }
}

/// The UIDs, ascending, and the maildrop made of them.
async fn list(mailbox: &dyn Mailbox) -> StoreResult<(Vec<u32>, Maildrop)> {
    let snapshot = mailbox.snapshot().await?;
    let messages = snapshot.messages();
    let unknown = messages.iter().filter(|message| message.size.is_none());
    let unknown: Vec<u32> = unknown.map(|message| message.uid).collect();
    let mut read = match unknown.is_empty() {
        true => Vec::new(),
        false => mailbox.sizes(unknown).await?,
    }
    .into_iter();
    let mut maildrop = Maildrop::default();
    let mut uids = Vec::with_capacity(messages.len());
    for message in messages {
        let size = match message.size {
            Some(size) => size,
            None => read.next().unwrap_or_default(),
        };
        let unique_id = format!("{:08x}{:08x}", message.uid, snapshot.uid_validity);
        maildrop
            .push(size, &unique_id)
            .map_err(|error| StoreError::Storage(error.to_string()))?;
        uids.push(message.uid);
    }
    Ok((uids, maildrop))
}
