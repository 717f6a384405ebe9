//! The selected mailbox: what the client knows of it, and its news.

use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use imap_proto::{
    Change, Code, Extension, Flag, PermanentFlag, Select, SequenceSet, StatusResponse, Store,
    StoreAction, Untagged, View, ViewOptions,
};

use super::mailboxes::name_of;
use super::{Done, Machine, Result, Session};
use crate::store::{FlagChange, FlagMode, Flags, Mailbox, Message, Snapshot, StoreError};

/// A mailbox as one session sees it.
pub(super) struct Selected {
    pub(super) mailbox: Arc<dyn Mailbox>,
    pub(super) view: View,
    pub(super) snapshot: Snapshot,
    /// News up to here are in the view.
    pub(super) modseq: u64,
    pub(super) read_only: bool,
}

impl Selected {
    /// A message's flags as FETCH shows them.
    pub(super) fn flags(&self, message: &Message, rev1: bool) -> Vec<Flag> {
        let mut flags = flags_of(&self.snapshot, message);
        let recent = NonZeroU32::new(message.uid).is_some_and(|uid| self.view.is_recent(uid));
        if rev1 && recent {
            flags.push(Flag::Recent);
        }
        flags
    }
}

pub(super) fn flags_of(snapshot: &Snapshot, message: &Message) -> Vec<Flag> {
    let system = [
        (Flags::ANSWERED, Flag::Answered),
        (Flags::FLAGGED, Flag::Flagged),
        (Flags::DELETED, Flag::Deleted),
        (Flags::SEEN, Flag::Seen),
        (Flags::DRAFT, Flag::Draft),
    ];
    let system = system
        .into_iter()
        .filter(|(flag, _)| message.flags.contains(*flag))
        .map(|(_, flag)| flag);
    let keywords = snapshot
        .keywords(message)
        .filter_map(|name| Flag::keyword(name).ok());
    system.chain(keywords).collect()
}

/// System flags and keywords that a client named.
pub(super) fn split(flags: &[Flag]) -> (Flags, Vec<String>) {
    let mut system = Flags::NONE;
    let mut keywords = Vec::new();
    for flag in flags {
        match flag {
            Flag::Answered => system |= Flags::ANSWERED,
            Flag::Flagged => system |= Flags::FLAGGED,
            Flag::Deleted => system |= Flags::DELETED,
            Flag::Seen => system |= Flags::SEEN,
            Flag::Draft => system |= Flags::DRAFT,
            Flag::Keyword(name) => keywords.push(name.as_str().to_owned()),
            _ => {}
        }
    }
    (system, keywords)
}

fn uid(uid: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(uid)
}

impl Session<'_> {
    pub(super) async fn select(&mut self, select: Select, conn: &mut Machine) -> Result {
        // Whether or not it succeeds, what was selected is no more
        // (RFC 9051 §6.3.2).
        if self.selected.take().is_some() {
            let closed = StatusResponse::ok("Previous mailbox is closed").with(Code::Closed);
            conn.machine().untagged(&Untagged::Status(closed))?;
        }
        let rev2 = conn.machine().is_enabled(Extension::Imap4Rev2);
        let opened = match self.open(&select, rev2).await {
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
            let list = imap_proto::MailboxList::new(name, super::mailboxes::delimiter());
            machine.untagged(&Untagged::List(list))?;
        } else {
            machine.untagged(&Untagged::Recent(opened.view.recent()))?;
        }
        let (code, text) = if select.read_only {
            (Code::ReadOnly, "EXAMINE completed")
        } else {
            (Code::ReadWrite, "SELECT completed")
        };
        self.selected = Some(opened);
        Ok(machine.reply(StatusResponse::ok(text).with(code))?)
    }

    async fn open(&self, select: &Select, rev2: bool) -> std::result::Result<Selected, StoreError> {
        let mailbox = self.account()?.open(&name_of(&select.mailbox)).await?;
        let snapshot = mailbox.snapshot().await?;
        let recent = if select.read_only {
            Vec::new()
        } else {
            mailbox.take_recent().await?
        };
        let options = ViewOptions {
            recent: !rev2,
            ..ViewOptions::default()
        };
        let uids = snapshot
            .messages()
            .iter()
            .filter_map(|message| uid(message.uid));
        let mut view = View::new(uids, options);
        view.set_recent(recent.into_iter().filter_map(uid));
        Ok(Selected {
            mailbox,
            view,
            modseq: snapshot.highest_modseq,
            snapshot,
            read_only: select.read_only,
        })
    }

    /// Takes what happened in the store into the view.
    pub(super) async fn sync(&mut self) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        let Ok(snapshot) = selected.mailbox.snapshot().await else {
            // The next command that needs the store says why.
            return;
        };
        if snapshot.highest_modseq == selected.modseq {
            return;
        }
        let Ok(changes) = selected.mailbox.changes_since(selected.modseq).await else {
            return;
        };
        let recent: HashSet<u32> = if selected.read_only {
            HashSet::new()
        } else {
            let recent = selected.mailbox.take_recent().await;
            recent.unwrap_or_default().into_iter().collect()
        };
        let last_known = selected
            .snapshot
            .messages()
            .last()
            .map_or(0, |last| last.uid);
        for range in &changes.vanished {
            // The range may be wider than what was ever there.
            let messages = selected.snapshot.messages();
            let first = messages.partition_point(|message| message.uid < *range.start());
            let here = messages.get(first..).unwrap_or_default();
            for message in here
                .iter()
                .take_while(|message| message.uid <= *range.end())
            {
                if snapshot.message(message.uid).is_none()
                    && let Some(uid) = uid(message.uid)
                {
                    selected.view.apply(Change::Expunged(uid));
                }
            }
        }
        for number in changes.changed {
            let (Some(uid), Some(message)) = (uid(number), snapshot.message(number)) else {
                continue;
            };
            selected.view.apply(if number > last_known {
                Change::Arrived {
                    uid,
                    recent: recent.contains(&number),
                }
            } else {
                Change::Flags {
                    uid,
                    flags: flags_of(&snapshot, message),
                    mod_seq: NonZeroU64::new(message.modseq),
                }
            });
        }
        selected.modseq = changes.highest_modseq.max(selected.modseq);
        selected.snapshot = snapshot;
    }

    /// Tells the client its news.
    pub(super) fn tell(&mut self, conn: &mut Machine, may_expunge: bool) -> Result {
        if let Some(selected) = &mut self.selected {
            for news in selected.view.pending(may_expunge) {
                conn.machine().untagged(&news)?;
            }
        }
        Ok(())
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

    /// EXPUNGE and UID EXPUNGE.
    pub(super) async fn expunge(
        &mut self,
        only: Option<&SequenceSet>,
        conn: &mut Machine,
    ) -> Result<Done> {
        self.sync().await;
        let Some(selected) = &mut self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        if selected.read_only {
            return Ok(Done::no("The mailbox is read-only"));
        }
        let uids = match only {
            None => deleted(&selected.snapshot, |_| true),
            Some(set) => match selected.view.resolve(set, true) {
                Ok(named) => deleted(&selected.snapshot, |uid| {
                    named
                        .binary_search_by_key(&uid, |message| message.uid.get())
                        .is_ok()
                }),
                Err(error) => return Ok(Done::bad(&error.to_string())),
            },
        };
        if let Err(error) = selected.mailbox.expunge(uids).await {
            return Ok(Done::failed(&error));
        }
        self.sync().await;
        self.tell(conn, true)?;
        Ok(Done::ok("EXPUNGE completed"))
    }

    /// STORE and UID STORE.
    pub(super) async fn store(&mut self, store: &Store, conn: &mut Machine) -> Result<Done> {
        let rev1 = !conn.machine().is_enabled(Extension::Imap4Rev2);
        let Some(selected) = &mut self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let named = match selected.view.resolve(&store.set, store.uid) {
            Ok(named) => named,
            Err(error) => return Ok(Done::bad(&error.to_string())),
        };
        if selected.read_only {
            return Ok(Done::no("The mailbox is read-only"));
        }
        let (flags, keywords) = split(&store.flags);
        let change = FlagChange {
            mode: match store.action {
                StoreAction::Replace => FlagMode::Replace,
                StoreAction::Add => FlagMode::Add,
                StoreAction::Remove => FlagMode::Remove,
            },
            flags,
            keywords,
        };
        let uids = named.iter().map(|message| message.uid.get()).collect();
        let stored = selected.mailbox.set_flags(uids, change, None).await;
        if let Err(error) = stored {
            return Ok(Done::failed(&error));
        }
        // What others changed before stays news; this change is told here.
        self.sync().await;
        let Some(selected) = &mut self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let mut gone = false;
        for message in named {
            let Some(stored) = selected.snapshot.message(message.uid.get()) else {
                gone = true;
                continue;
            };
            if !store.silent {
                let mut items = vec![imap_proto::FetchItem::Flags(selected.flags(stored, rev1))];
                if store.uid {
                    items.insert(0, imap_proto::FetchItem::Uid(message.uid));
                }
                conn.machine().untagged(&Untagged::Fetch {
                    sequence: message.sequence,
                    items,
                })?;
            }
            selected.view.flags_told(message.uid);
        }
        Ok(if gone && !store.uid {
            Done::no("Some of the messages were expunged").with(Code::ExpungeIssued)
        } else {
            Done::ok("STORE completed")
        })
    }
}

/// The UIDs of the messages marked `\Deleted` among those that `wanted` names.
fn deleted(snapshot: &Snapshot, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    snapshot
        .messages()
        .iter()
        .filter(|message| message.flags.contains(Flags::DELETED) && wanted(message.uid))
        .map(|message| message.uid)
        .collect()
}
