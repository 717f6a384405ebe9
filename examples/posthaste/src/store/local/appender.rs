//! Messages on their way into a mailbox.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mailstore::{Append, AppendOptions, Error};

use super::{from_mailstore, stopping};
use crate::blocking::Blocking;
use crate::store::{Appended, Appender, BoxFuture, NewMessage, StoreError, StoreResult};

/// Octets that are held before a thread writes them: most messages then need
/// one hop off the reactor, at their commit.
const HOLD: usize = 256 * 1024;

/// What a chunk takes beside its octets: a sender of single ones would
/// otherwise have many times as much held.
const PER_CHUNK: usize = 64;

pub(super) enum Target {
    Append(Arc<mailstore::Mailbox>),
    Delivery(Arc<mailstore::Account>, String, mailstore::DeliveryId),
    /// In the place of a message of another mailbox, or the same.
    Replace {
        mailbox: Arc<mailstore::Mailbox>,
        other: Arc<mailstore::Mailbox>,
        uid: u32,
    },
}

enum Open {
    Append(Append),
    Delivery(mailstore::Delivery),
}

impl Target {
    fn open(&self) -> Result<Open, Error> {
        let now = SystemTime::now();
        match self {
            Self::Append(mailbox) | Self::Replace { mailbox, .. } => {
                mailbox.append(now).map(Open::Append)
            }
            Self::Delivery(account, name, id) => {
                account.deliver(name, id.clone(), now).map(Open::Delivery)
            }
        }
    }
}

/// One message: what is held of it, behind what is written.
#[derive(Default)]
struct Part {
    held: Vec<Bytes>,
    open: Option<Open>,
}

impl Part {
    fn write(&mut self, target: &Target) -> Result<(), Error> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(target.open()?),
        };
        for chunk in std::mem::take(&mut self.held) {
            match open {
                Open::Append(append) => append.write(&chunk)?,
                Open::Delivery(delivery) => delivery.write(&chunk)?,
            }
        }
        Ok(())
    }
}

pub(super) struct LocalAppender {
    target: Arc<Target>,
    /// The messages that are whole.
    whole: Vec<(Part, AppendOptions)>,
    part: Part,
    held: usize,
    blocking: Blocking,
}

impl LocalAppender {
    pub(super) fn new(target: Target, blocking: Blocking) -> Self {
        Self {
            target: Arc::new(target),
            whole: Vec::new(),
            part: Part::default(),
            held: 0,
            blocking,
        }
    }

    fn end(&mut self, message: NewMessage) {
        let options = AppendOptions {
            flags: message.flags,
            keywords: message.keywords,
            internal_date: message.internal_date,
        };
        let part = std::mem::take(&mut self.part);
        self.whole.push((part, options));
    }
}

/// Puts them where they go, all or none.
fn commit(target: &Target, whole: Vec<(Part, AppendOptions)>) -> Result<Vec<Appended>, Error> {
    let now = SystemTime::now();
    let mut appends = Vec::with_capacity(whole.len());
    let mut appended = Vec::with_capacity(whole.len());
    for (mut part, options) in whole {
        part.write(target)?;
        match (part.open, target) {
            (Some(Open::Append(append)), Target::Replace { other, uid, .. }) => {
                appended.push(append.replace(options, other, *uid, now)?);
            }
            (Some(Open::Append(append)), _) => appends.push((append, options)),
            (Some(Open::Delivery(delivery)), _) => drop(delivery.commit(options, now)?),
            (None, _) => {}
        }
    }
    appended.extend(Append::commit_all(appends, now)?);
    Ok(appended
        .into_iter()
        .map(|appended| Appended {
            uid_validity: appended.uid_validity,
            uid: appended.uid,
        })
        .collect())
}

impl Appender for LocalAppender {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            self.held += chunk.len() + PER_CHUNK;
            self.part.held.push(chunk);
            if self.held <= HOLD {
                return Ok(());
            }
            self.held = 0;
            let target = Arc::clone(&self.target);
            let mut whole = std::mem::take(&mut self.whole);
            let mut part = std::mem::take(&mut self.part);
            let work = move || {
                let parts = whole.iter_mut().map(|(part, _)| part);
                for part in parts.chain([&mut part]) {
                    part.write(&target)?;
                }
                Ok((whole, part))
            };
            let written = self.blocking.run(work).await.ok_or_else(stopping)?;
            (self.whole, self.part) = written.map_err(from_mailstore)?;
            Ok(())
        })
    }

    fn next(&mut self, message: NewMessage) -> StoreResult<()> {
        match &*self.target {
            Target::Append(_) => {
                self.end(message);
                Ok(())
            }
            Target::Delivery(..) | Target::Replace { .. } => {
                Err(StoreError::Limit("One message at a time"))
            }
        }
    }

    fn commit<'a>(
        mut self: Box<Self>,
        message: NewMessage,
    ) -> BoxFuture<'a, StoreResult<Vec<Appended>>>
    where
        Self: 'a,
    {
        self.end(message);
        Box::pin(async move {
            let Self {
                target,
                whole,
                blocking,
                ..
            } = *self;
            let committed = blocking.run(move || commit(&target, whole)).await;
            committed.ok_or_else(stopping)?.map_err(from_mailstore)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(folder: &std::path::Path) -> Arc<mailstore::Mailbox> {
        let config = mailstore::AccountConfig::maildir(folder.join("mail"), "host");
        let account = mailstore::Store::new().account(&config).unwrap();
        account.mailbox("INBOX", SystemTime::now()).unwrap()
    }

    #[tokio::test]
    async fn single_octets_are_not_held_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = inbox(folder.path());
        let target = Target::Append(Arc::clone(&mailbox));
        let mut appender = LocalAppender::new(target, Blocking::new(1));
        let message = || NewMessage::at(SystemTime::now());
        for number in 0..3 * HOLD / PER_CHUNK {
            if number == HOLD / PER_CHUNK {
                appender.next(message()).unwrap();
            }
            appender.write(Bytes::from_static(b"x")).await.unwrap();
            let whole = appender.whole.iter().map(|(part, _)| part);
            let held: usize = whole
                .chain([&appender.part])
                .map(|part| part.held.len())
                .sum();
            assert!(held <= HOLD / PER_CHUNK, "{held}");
        }
        let appended = Box::new(appender).commit(message()).await.unwrap();
        assert_eq!(appended.len(), 2);
        let view = mailbox.refresh(SystemTime::now()).unwrap();
        let sizes: Vec<_> = view.messages().iter().map(|message| message.size).collect();
        let octets = u64::try_from(HOLD / PER_CHUNK).unwrap();
        assert_eq!(sizes, [Some(octets), Some(2 * octets)]);
    }

    #[tokio::test]
    async fn a_delivery_is_of_one_message() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = inbox(folder.path());
        let target = Target::Replace {
            mailbox: Arc::clone(&mailbox),
            other: mailbox,
            uid: 1,
        };
        let mut appender = LocalAppender::new(target, Blocking::new(1));
        let message = NewMessage::at(SystemTime::now());
        assert!(appender.next(message.clone()).is_err());
        // Nor does it come where there is nothing to replace.
        let error = Box::new(appender).commit(message).await.unwrap_err();
        assert!(matches!(error, StoreError::Gone(1)), "{error}");
    }
}
