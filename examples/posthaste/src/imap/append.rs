//! APPEND and REPLACE: messages stream from the client into the store.

use std::num::NonZeroU32;
use std::time::SystemTime;

use bytes::Bytes;
use imap_proto::{Code, DateTime, NumberSet, Payload, StatusResponse, Untagged};

use super::mailboxes::{name_of, target_failed};
use super::selected::split;
use super::{Done, Machine, Result, Session};
use crate::store::{Appended, Appender, NewMessage, StoreError, StoreResult};

/// Messages of one command (RFC 3502): until its last one has come, each may
/// hold a file open.
const MESSAGES: u32 = 64;

/// Messages on their way in.
pub(super) struct Appending {
    appender: Box<dyn Appender>,
    /// What is said of the one that comes.
    message: NewMessage,
    /// Octets that were announced so far.
    octets: u64,
    /// REPLACE: another message goes.
    replaces: bool,
}

impl Session<'_> {
    pub(super) async fn append_start(&mut self, payload: Payload, conn: &mut Machine) -> Result {
        let before = self.appending.take().filter(|_| payload.index > 0);
        let begun = match self.accepts(&payload, before.as_ref()) {
            Ok(()) => self.begin(&payload, before).await,
            Err(refused) => return Ok(conn.machine().reply(refused.0)?),
        };
        match begun {
            Ok(appending) => {
                self.appending = Some(appending);
                Ok(conn.machine().accept_payload()?)
            }
            Err(error) => Ok(conn.machine().reply(target_failed(&error).0)?),
        }
    }

    fn accepts(
        &self,
        payload: &Payload,
        before: Option<&Appending>,
    ) -> std::result::Result<(), Done> {
        // RFC 3502 §6.3.11.
        if payload.size == 0 {
            return Err(Done::no("An empty message is none"));
        }
        if payload.index > 0 && before.is_none() {
            return Err(Done::no("A message before this one was refused"));
        }
        if payload.index >= MESSAGES {
            let text = format!("A command has {MESSAGES} messages at most");
            return Err(Done::no(text).with(Code::Limit));
        }
        if let (Some(replaced), Some(selected)) = (payload.replaces, &self.selected) {
            if selected.read_only {
                return Err(Done::no("The mailbox is read-only"));
            }
            if selected.uid_of(replaced).is_none() {
                let none = "There is no such message";
                return Err(match replaced.uid {
                    true => Done::no(none).with(Code::NonExistent),
                    false => Done::bad(none),
                });
            }
        }
        // What is kept aside for one command is no more than for one message.
        let octets = before.map_or(0, |before| before.octets);
        if octets.saturating_add(payload.size) > self.service.strict.limits.message {
            let text = "The messages of a command together are as large as one may be";
            return Err(Done::no(text).with(Code::TooBig));
        }
        Ok(())
    }

    async fn begin(&self, payload: &Payload, before: Option<Appending>) -> StoreResult<Appending> {
        let (appender, octets) = match before {
            Some(mut before) => {
                before.appender.next(before.message)?;
                (before.appender, before.octets)
            }
            None => (self.appender(payload).await?, 0),
        };
        let (flags, keywords) = split(&payload.options.flags);
        let date = payload.options.date.and_then(DateTime::to_system_time);
        Ok(Appending {
            appender,
            message: NewMessage {
                flags,
                keywords,
                internal_date: date.unwrap_or_else(SystemTime::now),
            },
            octets: octets.saturating_add(payload.size),
            replaces: payload.replaces.is_some(),
        })
    }

    async fn appender(&self, payload: &Payload) -> StoreResult<Box<dyn Appender>> {
        let name = name_of(&payload.mailbox);
        match (payload.replaces, &self.selected) {
            (None, _) => self.account()?.open(&name).await?.append().await,
            (Some(replaced), Some(selected)) => {
                let uid = selected.uid_of(replaced).unwrap_or_default();
                selected.mailbox.replace(uid, &name).await
            }
            (Some(_), None) => Err(StoreError::Limit("No mailbox is selected")),
        }
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
        // Nothing is stored before all are there (RFC 3502).
        let Some(appending) = self.appending.take_if(|_| last) else {
            return Ok(());
        };
        let replaces = appending.replaces;
        let done = match appending.appender.commit(appending.message).await {
            Ok(appended) if replaces => {
                // RFC 8508 §4.3: before the EXPUNGE.
                if let Some(code) = append_uid(&appended) {
                    let status = StatusResponse::ok("Replacement is stored").with(code);
                    conn.machine().untagged(&Untagged::Status(status))?;
                }
                Done::ok("REPLACE completed")
            }
            Ok(appended) => {
                let done = Done::ok("APPEND completed");
                match append_uid(&appended) {
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
        let done = self.with_progress(done, conn);
        Ok(conn.machine().reply(done.0)?)
    }
}

/// Where they are, in their order.
fn append_uid(appended: &[Appended]) -> Option<Code> {
    let uid_validity = NonZeroU32::new(appended.first()?.uid_validity)?;
    let uids = appended.iter().filter_map(|at| NonZeroU32::new(at.uid));
    let uids: NumberSet = uids.collect();
    Some(Code::AppendUid { uid_validity, uids })
}
