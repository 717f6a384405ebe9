//! One mailbox, by calls of `mailstore` off the reactor.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mailstore::Error;
use tokio::sync::Notify;

use super::appender::{LocalAppender, Target};
use super::{from_mailstore, stopping};
use crate::blocking::Blocking;
use crate::store::reader::LocalReader;
use crate::store::{
    Appender, BoxFuture, Changes, Copied, Digested, FlagChange, Mailbox, MessageReader, Snapshot,
    StoreError, StoreResult,
};

pub(super) struct LocalMailbox {
    pub(super) mailbox: Arc<mailstore::Mailbox>,
    pub(super) account: Arc<mailstore::Account>,
    pub(super) blocking: Blocking,
}

/// How often a watched mailbox is looked at for what other processes did.
const POLL: Duration = Duration::from_secs(15);

impl LocalMailbox {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<mailstore::Mailbox>) -> Result<T, Error> + Send + 'static,
    ) -> StoreResult<T> {
        let mailbox = Arc::clone(&self.mailbox);
        let ran = self.blocking.run(move || work(&mailbox)).await;
        ran.ok_or_else(stopping)?.map_err(from_mailstore)
    }

    async fn transfer(&self, uids: Vec<u32>, to: &str, moving: bool) -> StoreResult<Copied> {
        let (account, to) = (Arc::clone(&self.account), to.to_owned());
        let copied = self
            .run(move |mailbox| {
                let now = SystemTime::now();
                let target = account.mailbox(&to, now)?;
                if moving {
                    mailbox.move_to(&uids, &target, now)
                } else {
                    mailbox.copy(&uids, &target, now)
                }
            })
            .await?;
        Ok(Copied {
            uid_validity: copied.uid_validity,
            uids: copied.uids,
        })
    }
}

impl Mailbox for LocalMailbox {
    fn name(&self) -> &str {
        self.mailbox.name()
    }

    fn object_id(&self) -> BoxFuture<'_, StoreResult<String>> {
        Box::pin(self.run(|mailbox| {
            let id = mailbox.object_id(SystemTime::now())?;
            Ok(super::object_id_text(id))
        }))
    }

    fn snapshot(&self) -> BoxFuture<'_, StoreResult<Snapshot>> {
        Box::pin(self.run(|mailbox| mailbox.refresh(SystemTime::now())))
    }

    fn changes_since(&self, modseq: u64) -> BoxFuture<'_, StoreResult<Changes>> {
        Box::pin(async move { Ok(self.mailbox.changes_since(modseq)) })
    }

    fn watch(&self, modseq: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let news = Arc::new(Notify::new());
            let waker = Arc::clone(&news);
            let _watch = self.mailbox.watch(move || waker.notify_one());
            loop {
                match self.snapshot().await {
                    Ok(snapshot) if snapshot.highest_modseq <= modseq => {}
                    // A failing mailbox is news as well: the session finds out.
                    _ => return,
                }
                let _ = tokio::time::timeout(POLL, news.notified()).await;
            }
        })
    }

    fn take_recent(&self) -> BoxFuture<'_, StoreResult<Vec<u32>>> {
        Box::pin(async { Ok(self.mailbox.take_recent()) })
    }

    fn sizes(&self, uids: Vec<u32>) -> BoxFuture<'_, StoreResult<Vec<u64>>> {
        Box::pin(self.run(move |mailbox| {
            let now = SystemTime::now();
            uids.iter().map(|uid| mailbox.size(*uid, now)).collect()
        }))
    }

    fn read(&self, uid: u32) -> BoxFuture<'_, StoreResult<Box<dyn MessageReader>>> {
        Box::pin(async move {
            let mut opened = self.read_many(vec![uid]).await;
            opened.pop().unwrap_or_else(|| Err(stopping()))
        })
    }

    fn read_many(&self, uids: Vec<u32>) -> BoxFuture<'_, Vec<StoreResult<Box<dyn MessageReader>>>> {
        Box::pin(async move {
            let mailbox = Arc::clone(&self.mailbox);
            let blocking = self.blocking.clone();
            let count = uids.len();
            let work = move || {
                let now = SystemTime::now();
                let open = |uid| {
                    let reader = mailbox.reader(uid, now).map_err(from_mailstore)?;
                    LocalReader::open(reader, blocking.clone())
                        .map(|reader| Box::new(reader) as Box<dyn MessageReader>)
                        .map_err(|error| StoreError::Storage(error.to_string()))
                };
                uids.into_iter().map(open).collect()
            };
            let opened: Option<Vec<_>> = self.blocking.run(work).await;
            opened.unwrap_or_else(|| (0..count).map(|_| Err(stopping())).collect())
        })
    }

    fn digests(&self, uids: Vec<u32>) -> BoxFuture<'_, Vec<StoreResult<Digested>>> {
        Box::pin(async move {
            let mailbox = Arc::clone(&self.mailbox);
            let count = uids.len();
            let work = move || {
                let digests = mailbox.digests(&uids, SystemTime::now());
                let digests = digests.into_iter();
                digests
                    .map(|digest| digest.map(Digested::from).map_err(from_mailstore))
                    .collect()
            };
            let digests: Option<Vec<_>> = self.blocking.run(work).await;
            digests.unwrap_or_else(|| (0..count).map(|_| Err(stopping())).collect())
        })
    }

    fn append(&self) -> BoxFuture<'_, StoreResult<Box<dyn Appender>>> {
        Box::pin(async {
            let target = Target::Append(Arc::clone(&self.mailbox));
            let appender = LocalAppender::new(target, self.blocking.clone());
            Ok(Box::new(appender) as Box<dyn Appender>)
        })
    }

    fn replace<'a>(
        &'a self,
        uid: u32,
        to: &'a str,
    ) -> BoxFuture<'a, StoreResult<Box<dyn Appender>>> {
        Box::pin(async move {
            let (account, to) = (Arc::clone(&self.account), to.to_owned());
            let open = move |_: &Arc<_>| account.mailbox(&to, SystemTime::now());
            let target = Target::Replace {
                mailbox: self.run(open).await?,
                other: Arc::clone(&self.mailbox),
                uid,
            };
            let appender = LocalAppender::new(target, self.blocking.clone());
            Ok(Box::new(appender) as Box<dyn Appender>)
        })
    }

    fn set_flags(
        &self,
        uids: Vec<u32>,
        change: FlagChange,
        unchanged_since: Option<u64>,
    ) -> BoxFuture<'_, StoreResult<Vec<u32>>> {
        Box::pin(self.run(move |mailbox| {
            let now = SystemTime::now();
            let stored = mailbox.set_flags(&uids, &change, unchanged_since, now)?;
            Ok(stored.modified)
        }))
    }

    fn expunge(&self, uids: Vec<u32>) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.run(move |mailbox| mailbox.expunge(&uids, SystemTime::now()).map(|_| ())))
    }

    fn copy<'a>(&'a self, uids: Vec<u32>, to: &'a str) -> BoxFuture<'a, StoreResult<Copied>> {
        Box::pin(self.transfer(uids, to, false))
    }

    fn move_to<'a>(&'a self, uids: Vec<u32>, to: &'a str) -> BoxFuture<'a, StoreResult<Copied>> {
        Box::pin(self.transfer(uids, to, true))
    }
}
