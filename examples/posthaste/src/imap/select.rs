//! SELECT, EXAMINE, CLOSE and UNSELECT.

use std::num::{NonZeroU32, NonZeroU64};

use imap_proto::{
    Code, Extension, FetchItem, Flag, IString, MailboxList, NumberSet, PermanentFlag, QResync,
    Resync, Select, StatusResponse, Untagged, View,
};

use super::mailboxes::{delimiter, name_of};
use super::selected::{Selected, deleted, flags_of, view_options};
use super::shared::Place;
use super::{Done, Machine, Result, Session};
use crate::store::{Changes, Flags, StoreResult};

fn uid(uid: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(uid)
}

/// UIDs that are gone, as IMAP names them.
pub(super) fn vanished(changes: &Changes) -> NumberSet {
    let mut set = NumberSet::default();
    for range in &changes.vanished {
        if let (Some(first), Some(last)) = (uid(*range.start()), uid(*range.end())) {
            set.insert_range(first, last);
        }
    }
    set
}

impl Session<'_> {
    pub(super) async fn select(&mut self, select: Select, conn: &mut Machine) -> Result {
        // Whether or not it succeeds, what was selected is no more
        // (RFC 9051 §6.3.2); the machine has said so.
        self.selected = None;
        let rev2 = conn.machine().is_enabled(Extension::Imap4Rev2);
        let (opened, id) = match self.open(&select, conn).await {
            Ok(opened) => opened,
            Err(error) => return Ok(conn.machine().reply(Done::failed(&error).0)?),
        };
        let machine = conn.machine();
        let snapshot = &opened.snapshot;
        let known: Vec<Flag> = [
            Flag::Answered,
            Flag::Flagged,
            Flag::Deleted,
            Flag::Seen,
            Flag::Draft,
        ]
        .into_iter()
        .chain(
            snapshot
                .keyword_names()
                .iter()
                .filter_map(|name| Flag::keyword(name).ok()),
        )
        .collect();
        machine.untagged(&Untagged::Flags(known.clone()))?;
        let mut permanent: Vec<PermanentFlag> = Vec::new();
        if !select.read_only {
            permanent.extend(known.into_iter().map(PermanentFlag::Flag));
            permanent.push(PermanentFlag::Any);
        }
        let mut told = |code: Code, text: &str| {
            machine.untagged(&Untagged::Status(StatusResponse::ok(text).with(code)))
        };
        told(Code::PermanentFlags(permanent), "Flags permitted")?;
        if let Some(validity) = uid(snapshot.uid_validity) {
            told(Code::UidValidity(validity), "UIDs valid")?;
        }
        if let Some(next) = uid(snapshot.uid_next) {
            told(Code::UidNext(next), "Predicted next UID")?;
        }
        told(Code::HighestModSeq(opened.modseq), "Highest")?;
        // RFC 8474 §4.2.
        told(Code::MailboxId(IString::lossy(id)), "Mailbox")?;
        if !rev2 {
            let unseen = snapshot
                .messages()
                .iter()
                .position(|message| !message.flags.contains(Flags::SEEN))
                .and_then(|index| u32::try_from(index + 1).ok())
                .and_then(NonZeroU32::new);
            if let Some(first) = unseen {
                told(Code::Unseen(first), "First unseen")?;
            }
        }
        machine.untagged(&Untagged::Exists(opened.view.exists()))?;
        if rev2 {
            let name = select.mailbox.clone();
            let list = MailboxList::new(name, delimiter());
            machine.untagged(&Untagged::List(list))?;
        } else {
            machine.untagged(&Untagged::Recent(opened.view.recent()))?;
        }
        if let Some(known) = &select.qresync {
            match resync(&opened, known, conn).await? {
                Ok(()) => {}
                Err(error) => return Ok(conn.machine().reply(Done::failed(&error).0)?),
            }
        }
        let (code, text) = if select.read_only {
            (Code::ReadOnly, "EXAMINE completed")
        } else {
            (Code::ReadWrite, "SELECT completed")
        };
        self.selected = Some(opened);
        Ok(conn.machine().reply(StatusResponse::ok(text).with(code))?)
    }

    /// The mailbox opened, and its id.
    async fn open(&self, select: &Select, conn: &mut Machine) -> StoreResult<(Selected, String)> {
        let name = name_of(&select.mailbox);
        let mailbox = self.account()?.open(&name).await?;
        let snapshot = mailbox.snapshot().await?;
        let id = mailbox.object_id().await?;
        let recent = if select.read_only {
            Vec::new()
        } else {
            mailbox.take_recent().await?
        };
        let place = Place {
            user: self.user().to_owned(),
            mailbox: name,
            uid_validity: snapshot.uid_validity,
        };
        let now = snapshot.messages().iter();
        let now = now.filter_map(|message| uid(message.uid));
        let (uids, own) = self.service.shared_uids.select(place, now);
        let mut view = View::select(own, view_options(conn.machine()));
        view.set_recent(recent.into_iter().filter_map(uid));
        let selected = Selected {
            mailbox,
            view,
            uids,
            modseq: snapshot.highest_modseq,
            snapshot,
            held: None,
            owes_modseq: false,
            read_only: select.read_only,
        };
        Ok((selected, id))
    }

    /// CLOSE and UNSELECT.
    pub(super) async fn close(&mut self, expunge: bool) -> Done {
        let Some(selected) = self.selected.take() else {
            return Done::bad("No mailbox is selected");
        };
        if expunge && !selected.read_only {
            let deleted = deleted(&selected.snapshot, |_| true);
            if let Err(error) = selected.mailbox.expunge(deleted).await {
                return Done::failed(&error);
            }
        }
        Done::ok(if expunge {
            "CLOSE completed"
        } else {
            "UNSELECT completed"
        })
    }
}

/// What a client that comes back has missed (RFC 7162 §3.2.5).
async fn resync(
    selected: &Selected,
    known: &QResync,
    conn: &mut Machine,
) -> Result<StoreResult<()>> {
    let snapshot = &selected.snapshot;
    let (Some(uid_validity), Some(uid_next)) = (uid(snapshot.uid_validity), uid(snapshot.uid_next))
    else {
        return Ok(Ok(()));
    };
    // A sequence that was never reached here tells nothing.
    let since = match known.mod_seq > snapshot.highest_modseq {
        true => 0,
        false => known.mod_seq,
    };
    let changes = match selected.mailbox.changes_since(since).await {
        Ok(changes) => changes,
        Err(error) => return Ok(Err(error)),
    };
    let since = Resync {
        uid_next,
        vanished: Some(vanished(&changes)),
        changed: changes.changed.into_iter().filter_map(uid).collect(),
    };
    let missed = selected.view.resync(known, uid_validity, since);
    if let Some(vanished) = missed.vanished {
        conn.machine().untagged(&vanished)?;
    }
    let messages = missed.changed.iter().filter_map(|uid| {
        let message = snapshot.message(uid.get())?;
        let mod_seq = NonZeroU64::new(message.modseq)?;
        let items = vec![
            FetchItem::Uid(uid),
            FetchItem::Flags(flags_of(snapshot, message)),
            FetchItem::ModSeq(mod_seq),
        ];
        let sequence = selected.view.sequence(uid)?;
        Some(Untagged::Fetch { sequence, items })
    });
    for message in messages {
        conn.machine().untagged(&message)?;
        if conn.machine().wants_drain() {
            conn.flush_above(64 * 1024).await?;
        }
    }
    Ok(Ok(()))
}
