//! The selected mailbox: what the client knows of it, and its news.

use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use imap_proto::{
    Change, Code, Extension, Flag, NumberSet, Replaced, SequenceNumber, SequenceSet, Server, Store,
    StoreAction, Untagged, View, ViewOptions,
};

use super::shared::MailboxUids;
use super::{Done, Machine, Result, Session};
use crate::store::{FlagChange, FlagMode, Flags, Mailbox, Message, Snapshot};

/// A mailbox as one session sees it.
pub(super) struct Selected {
    pub(super) mailbox: Arc<dyn Mailbox>,
    pub(super) view: View,
    pub(super) snapshot: Snapshot,
    /// The UIDs that all sessions of this mailbox share.
    pub(super) uids: MailboxUids,
    /// News up to here are in the view.
    pub(super) modseq: u64,
    /// While the client is not told of what was expunged: up to where it knows
    /// of everything.
    pub(super) held: Option<u64>,
    /// Whether the client is to be told how far it has come.
    pub(super) owes_modseq: bool,
    pub(super) read_only: bool,
}

/// How a client wants its news now: it may have enabled something since.
pub(super) fn view_options(machine: &Server) -> ViewOptions {
    let condstore = machine.is_enabled(Extension::CondStore);
    ViewOptions {
        // RFC 7162 §3.2.4.
        uid: condstore,
        mod_seq: condstore,
        vanished: machine.is_enabled(Extension::QResync),
        recent: !machine.is_enabled(Extension::Imap4Rev2),
        uid_only: false,
    }
}

impl Selected {
    /// How far the client has come with a command that is over (RFC 7162
    /// §3.2.7): lost connection, it begins there. Not beyond what it is to be
    /// told still (§3.2, §6).
    pub(super) fn progress(&mut self) -> Option<Code> {
        let told = std::mem::take(&mut self.owes_modseq);
        let value = self.held.or_else(|| told.then_some(self.modseq));
        value.map(Code::HighestModSeq)
    }

    /// The message that REPLACE names, if the client can know of one.
    pub(super) fn uid_of(&self, replaced: Replaced) -> Option<u32> {
        let uid = match (replaced.uid, replaced.message) {
            (true, SequenceNumber::Number(uid)) => self.view.sequence(uid).map(|_| uid),
            (false, SequenceNumber::Number(number)) => self.view.uid(number),
            (_, SequenceNumber::Largest) => self.view.uids().last(),
        };
        uid.map(NonZeroU32::get)
    }

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
                    selected.held.get_or_insert(selected.modseq);
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
        let Some(selected) = &mut self.selected else {
            return Ok(());
        };
        selected.view.set_options(view_options(conn.machine()));
        let mut uids_changed = false;
        for news in selected.view.pending(may_expunge) {
            uids_changed |= !matches!(news, Untagged::Fetch { .. });
            conn.machine().untagged(&news)?;
        }
        if may_expunge && selected.held.take().is_some() {
            selected.owes_modseq = true;
        }
        if uids_changed {
            selected.uids.share(&mut selected.view);
        }
        Ok(())
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
        let stored = selected
            .mailbox
            .set_flags(uids, change, store.unchanged_since)
            .await;
        // Ascending, as the UIDs were given.
        let modified = match stored {
            Ok(modified) => modified,
            Err(error) => return Ok(Done::failed(&error)),
        };
        // What others changed before stays news; this change is told here.
        self.sync().await;
        let Some(selected) = &mut self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        selected.view.set_options(view_options(conn.machine()));
        let (mut gone, mut failed) = (false, NumberSet::default());
        for message in named {
            if modified.binary_search(&message.uid.get()).is_ok() {
                failed.insert(match store.uid {
                    true => message.uid,
                    false => message.sequence,
                });
                continue;
            }
            let Some(stored) = selected.snapshot.message(message.uid.get()) else {
                gone = true;
                continue;
            };
            let flags = selected.flags(stored, rev1);
            let mod_seq = NonZeroU64::new(stored.modseq);
            if let Some(told) = selected.view.stored(store, message, flags, mod_seq) {
                conn.machine().untagged(&told)?;
            }
        }
        Ok(if !failed.is_empty() {
            // RFC 7162 §3.1.3.
            Done::ok("Some of the messages were changed meanwhile").with(Code::Modified(failed))
        } else if gone && !store.uid {
            Done::no("Some of the messages were expunged").with(Code::ExpungeIssued)
        } else {
            Done::ok("STORE completed")
        })
    }
}

/// The UIDs of the messages marked `\Deleted` among those that `wanted` names.
pub(super) fn deleted(snapshot: &Snapshot, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    snapshot
        .messages()
        .iter()
        .filter(|message| message.flags.contains(Flags::DELETED) && wanted(message.uid))
        .map(|message| message.uid)
        .collect()
}
