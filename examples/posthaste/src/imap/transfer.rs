//! COPY and MOVE.

use std::num::NonZeroU32;

use imap_proto::{Code, NumberSet, SequenceSet, Untagged};

use super::mailboxes::{name_of, target_failed};
use super::{Done, Machine, Result, Session};

impl Session<'_> {
    /// COPY and MOVE.
    pub(super) async fn copy(
        &mut self,
        uid: bool,
        set: &SequenceSet,
        to: &imap_proto::Mailbox,
        moving: bool,
        conn: &mut Machine,
    ) -> Result<Done> {
        let Some(selected) = &self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let named = match selected.view.resolve(set, uid) {
            Ok(named) => named,
            Err(error) => return Ok(Done::bad(&error.to_string())),
        };
        if moving && selected.read_only {
            return Ok(Done::no("The mailbox is read-only"));
        }
        let text = if moving {
            "MOVE completed"
        } else {
            "COPY completed"
        };
        let uids: Vec<u32> = named.iter().map(|message| message.uid.get()).collect();
        let target = name_of(to);
        let copied = if moving {
            selected.mailbox.move_to(uids, &target).await
        } else {
            selected.mailbox.copy(uids, &target).await
        };
        let copied = match copied {
            Ok(copied) => copied,
            Err(error) => return Ok(target_failed(&error)),
        };
        let number = |uid: u32| NonZeroU32::new(uid);
        let code = number(copied.uid_validity).filter(|_| !copied.uids.is_empty());
        let code = code.map(|uid_validity| Code::CopyUid {
            uid_validity,
            source: copied
                .uids
                .iter()
                .filter_map(|(from, _)| number(*from))
                .collect::<NumberSet>(),
            destination: copied
                .uids
                .iter()
                .filter_map(|(_, to)| number(*to))
                .collect::<NumberSet>(),
        });
        if !moving {
            let done = Done::ok(text);
            return Ok(match code {
                Some(code) => done.with(code),
                None => done,
            });
        }
        // RFC 6851 §4.3: COPYUID is told before the EXPUNGEs.
        if let Some(code) = code {
            let status = imap_proto::StatusResponse::ok("Moved").with(code);
            conn.machine().untagged(&Untagged::Status(status))?;
        }
        self.sync().await;
        self.tell(conn, true)?;
        Ok(Done::ok(text))
    }
}
