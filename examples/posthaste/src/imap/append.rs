//! APPEND: a message streams from the client into the store.

use std::num::NonZeroU32;
use std::time::SystemTime;

use bytes::Bytes;
use imap_proto::{Code, DateTime, NumberSet, Payload};

use super::mailboxes::{name_of, target_failed};
use super::selected::split;
use super::{Done, Machine, Result, Session};
use crate::store::{Appender, NewMessage, StoreResult};

/// A message on its way in.
pub(super) struct Appending {
    appender: Box<dyn Appender>,
    message: NewMessage,
}

impl Session<'_> {
    pub(super) async fn append_start(&mut self, payload: Payload, conn: &mut Machine) -> Result {
        let begun: StoreResult<_> = async {
            let mailbox = self.account()?.open(&name_of(&payload.mailbox)).await?;
            mailbox.append().await
        }
        .await;
        let appender = match begun {
            Ok(appender) => appender,
            Err(error) => return Ok(conn.machine().reply(target_failed(&error).0)?),
        };
        let (flags, keywords) = split(&payload.options.flags);
        let internal_date = payload
            .options
            .date
            .and_then(DateTime::to_system_time)
            .unwrap_or_else(SystemTime::now);
        self.appending = Some(Appending {
            appender,
            message: NewMessage {
                flags,
                keywords,
                internal_date,
            },
        });
        Ok(conn.machine().accept_payload()?)
    }

    pub(super) async fn append_chunk(&mut self, chunk: Bytes, conn: &mut Machine) -> Result {
        let Some(appending) = &mut self.appending else {
            return Ok(());
        };
        if let Err(error) = appending.appender.write(chunk).await {
            self.appending = None;
            conn.machine().reply(Done::failed(&error).0)?;
        }
        Ok(())
    }

    pub(super) async fn append_end(&mut self, last: bool, conn: &mut Machine) -> Result {
        let Some(appending) = self.appending.take() else {
            return Ok(());
        };
        // Several messages in one command are not offered.
        if !last {
            return Ok(conn.machine().reply(Done::bad("One message at a time").0)?);
        }
        let done = match appending.appender.commit(appending.message).await {
            Ok(appended) => {
                let done = Done::ok("APPEND completed");
                match appended.and_then(|at| {
                    let uid_validity = NonZeroU32::new(at.uid_validity)?;
                    let uids: NumberSet = [NonZeroU32::new(at.uid)?].into_iter().collect();
                    Some(Code::AppendUid { uid_validity, uids })
                }) {
                    Some(code) => done.with(code),
                    None => done,
                }
            }
            Err(error) => Done::failed(&error),
        };
        // A client that has the mailbox selected hears of the message before
        // the command ends (RFC 9051 §6.3.12).
        self.sync().await;
        self.tell(conn, true)?;
        Ok(conn.machine().reply(done.0)?)
    }
}
