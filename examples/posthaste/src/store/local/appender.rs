//! A message on its way into a mailbox.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mailstore::{AppendOptions, Error};

use super::{from_mailstore, stopping};
use crate::blocking::Blocking;
use crate::store::{Appended, Appender, BoxFuture, NewMessage, StoreResult};

/// Octets of a message that are held before a thread writes them: most
/// messages then need one hop off the reactor, at their commit.
const HOLD: usize = 256 * 1024;

pub(super) enum Target {
    Append(Arc<mailstore::Mailbox>),
    Delivery(Arc<mailstore::Account>, String, mailstore::DeliveryId),
}

enum Open {
    Append(mailstore::Append),
    Delivery(mailstore::Delivery),
}

impl Target {
    fn open(&self) -> Result<Open, Error> {
        let now = SystemTime::now();
        match self {
            Self::Append(mailbox) => mailbox.append(now).map(Open::Append),
            Self::Delivery(account, name, id) => {
                account.deliver(name, id.clone(), now).map(Open::Delivery)
            }
        }
    }
}

impl Open {
    fn write(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        for chunk in chunks {
            match self {
                Self::Append(append) => append.write(chunk)?,
                Self::Delivery(delivery) => delivery.write(chunk)?,
            }
        }
        Ok(())
    }

    fn commit(self, options: AppendOptions) -> Result<Option<Appended>, Error> {
        let now = SystemTime::now();
        match self {
            Self::Append(append) => append.commit(options, now).map(|appended| {
                Some(Appended {
                    uid_validity: appended.uid_validity,
                    uid: appended.uid,
                })
            }),
            Self::Delivery(delivery) => delivery.commit(options, now).map(|_| None),
        }
    }
}

pub(super) struct LocalAppender {
    target: Target,
    held: Vec<Bytes>,
    held_octets: usize,
    open: Option<Open>,
    blocking: Blocking,
}

impl LocalAppender {
    pub(super) fn new(target: Target, blocking: Blocking) -> Self {
        Self {
            target,
            held: Vec::new(),
            held_octets: 0,
            open: None,
            blocking,
        }
    }
}

impl Appender for LocalAppender {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            self.held_octets += chunk.len();
            self.held.push(chunk);
            if self.held_octets <= HOLD {
                return Ok(());
            }
            let held = std::mem::take(&mut self.held);
            self.held_octets = 0;
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.target.open().map_err(from_mailstore)?,
            };
            let work = move || open.write(&held).map(|()| open);
            let written = self.blocking.run(work).await.ok_or_else(stopping)?;
            self.open = Some(written.map_err(from_mailstore)?);
            Ok(())
        })
    }

    fn commit<'a>(
        self: Box<Self>,
        message: NewMessage,
    ) -> BoxFuture<'a, StoreResult<Option<Appended>>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let Self {
                target,
                held,
                open,
                blocking,
                ..
            } = *self;
            let options = AppendOptions {
                flags: message.flags,
                keywords: message.keywords,
                internal_date: message.internal_date,
            };
            let work = move || {
                let mut open = match open {
                    Some(open) => open,
                    None => target.open()?,
                };
                open.write(&held)?;
                open.commit(options)
            };
            let committed = blocking.run(work).await;
            committed.ok_or_else(stopping)?.map_err(from_mailstore)
        })
    }
}
