mod batch;
mod context;
mod notify;
mod pending;
mod resync;
mod sequence;
mod store;
mod uids;

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};

use context::Context;
pub use context::NoUpdate;
pub use notify::SelectedEvents;
pub use resync::{Resync, Resynced};
use thiserror::Error;
pub use uids::Uids;

use crate::{EntryName, Flag, NumberSet, SequenceSet, StatusResponse};

/// What one client knows of its selected mailbox: sequence numbers frozen
/// until it is told otherwise (RFC 9051 §2.3.1.2).
///
/// The store changes at any time, under several sessions; a client's sequence
/// numbers may change only where it was sent EXPUNGE, and that only where the
/// RFC allows it. So news is [applied](View::apply) when it happens, and
/// [taken out](View::pending) when it may be said.
///
/// Four octets a message, which views of the same [`Uids`] share, and what is
/// pending.
///
/// ```
/// use std::num::NonZeroU32;
/// use imap_proto::{Change, SequenceSet, Untagged, View, ViewOptions};
///
/// let uid = |uid| NonZeroU32::new(uid).unwrap();
/// let mut view = View::new([3, 5, 8].map(uid), ViewOptions::default());
/// view.apply(Change::Expunged(uid(5)));
/// view.apply(Change::Arrived { uid: uid(9), recent: false });
///
/// // In answer to FETCH: the message is gone, but its number is not.
/// assert_eq!(view.pending(false), [Untagged::Exists(4)]);
/// assert_eq!(view.uid(uid(2)), Some(uid(5)));
/// // In answer to NOOP.
/// assert_eq!(view.pending(true), [Untagged::Expunge(uid(2))]);
/// assert_eq!(view.uid(uid(2)), Some(uid(8)));
///
/// let last = view.resolve(&SequenceSet::from_text("*").unwrap(), false).unwrap();
/// assert_eq!((last[0].sequence, last[0].uid), (uid(3), uid(9)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct View {
    options: ViewOptions,
    /// Ascending; the n-th is the UID of sequence number n + 1.
    uids: Uids,
    /// Gone from the store, but the client was not told.
    expunged: BTreeSet<NonZeroU32>,
    /// In the store, but the client was not told.
    arrived: BTreeSet<NonZeroU32>,
    /// The last UID that there was, whether or not it is still there.
    highest: Option<NonZeroU32>,
    /// Messages that are `\Recent` in this session.
    recent: BTreeSet<NonZeroU32>,
    tell_recent: bool,
    flags: BTreeMap<NonZeroU32, (Vec<Flag>, Option<NonZeroU64>)>,
    annotations: BTreeMap<NonZeroU32, Vec<EntryName>>,
    saved: NumberSet,
    /// What NOTIFY wants of this mailbox; `None` before it was used.
    events: Option<SelectedEvents>,
    /// Messages that came, for the attributes that NOTIFY wants of them.
    new: Vec<NonZeroU32>,
    contexts: Vec<Context>,
}

/// How a client wants its news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViewOptions {
    /// UID in unsolicited FETCH (RFC 9051 §7.5.2 allows it, QRESYNC demands
    /// it).
    pub uid: bool,
    /// VANISHED in place of EXPUNGE (RFC 7162 §3.2.10).
    pub vanished: bool,
    /// MODSEQ in unsolicited FETCH (RFC 7162 §3.2.4).
    pub mod_seq: bool,
    /// RECENT along with EXISTS (RFC 3501).
    pub recent: bool,
    /// No sequence numbers at all: UIDFETCH and VANISHED (RFC 9586).
    pub uid_only: bool,
}

/// What happened to the mailbox, in any session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A message came. UIDs only rise: one that is not above all others is
    /// known already, and ignored.
    Arrived {
        /// Its UID.
        uid: NonZeroU32,
        /// Whether it is `\Recent` in this session.
        recent: bool,
    },
    /// A message is gone.
    Expunged(NonZeroU32),
    /// A message has these flags now, by another session's doing. What this
    /// client changed itself is told by its own STORE.
    Flags {
        /// Its UID.
        uid: NonZeroU32,
        /// All its flags, without `\Recent`.
        flags: Vec<Flag>,
        /// Its modification sequence.
        mod_seq: Option<NonZeroU64>,
    },
    /// An annotation of a message has changed, by another session's doing
    /// (RFC 5257 §4.4). Only where SELECT named ANNOTATE, or NOTIFY
    /// AnnotationChange.
    Annotation {
        /// Its UID.
        uid: NonZeroU32,
        /// Which entry.
        entry: EntryName,
    },
}

/// A message that a client named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message {
    /// Its number for this client.
    pub sequence: NonZeroU32,
    /// Its UID.
    pub uid: NonZeroU32,
}

/// A sequence number beyond the last message: BAD (RFC 9051 §9, `seq-number`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no message with that sequence number")]
pub struct NoSuchMessage;

/// What a server replies.
impl From<NoSuchMessage> for StatusResponse {
    fn from(error: NoSuchMessage) -> Self {
        Self::bad(error.to_string())
    }
}

impl View {
    /// The view of a mailbox that has these messages now.
    #[must_use]
    pub fn new(uids: impl IntoIterator<Item = NonZeroU32>, options: ViewOptions) -> Self {
        Self::select(uids.into_iter().collect(), options)
    }

    /// The same, sharing the memory of the UIDs with all that hold a clone of
    /// them: a host keeps one [`Uids`] for each mailbox, up to date, and makes
    /// each session's view of a clone.
    #[must_use]
    pub fn select(uids: Uids, options: ViewOptions) -> Self {
        Self {
            options,
            highest: uids.last(),
            uids,
            ..Self::default()
        }
    }

    /// Holds the UIDs that are the same in `mailbox` in one memory with it: a
    /// change that several sessions were told of is kept once again.
    pub fn share_uids(&mut self, mailbox: &Uids) {
        self.uids.share(mailbox);
    }

    /// How the client wants its news now; say, after ENABLE.
    pub fn set_options(&mut self, options: ViewOptions) {
        self.options = options;
    }

    /// What NOTIFY wants of this mailbox, by
    /// [`Notify::selected`](crate::Notify::selected); each SELECT needs it
    /// anew. News that is not wanted any more is kept back, not forgotten.
    pub fn set_events(&mut self, events: SelectedEvents) {
        self.events = Some(events);
    }

    /// Makes messages `\Recent` in this session, as SELECT found them.
    pub fn set_recent(&mut self, uids: impl IntoIterator<Item = NonZeroU32>) {
        self.recent = uids.into_iter().collect();
    }

    /// Whether a message is `\Recent` in this session.
    #[must_use]
    pub fn is_recent(&self, uid: NonZeroU32) -> bool {
        self.recent.contains(&uid)
    }

    /// How many messages are `\Recent` in this session.
    #[must_use]
    pub fn recent(&self) -> u32 {
        u32::try_from(self.recent.len()).unwrap_or(u32::MAX)
    }

    /// How many messages the client knows of.
    #[must_use]
    pub fn exists(&self) -> u32 {
        u32::try_from(self.uids.len()).unwrap_or(u32::MAX)
    }

    /// The UIDs of the messages that the client knows of, ascending: the n-th
    /// belongs to sequence number n + 1.
    #[must_use]
    pub fn uids(&self) -> &Uids {
        &self.uids
    }

    /// The UID of a sequence number.
    #[must_use]
    pub fn uid(&self, sequence: NonZeroU32) -> Option<NonZeroU32> {
        let index = usize::try_from(sequence.get() - 1).ok()?;
        self.uids.get(index)
    }

    /// The sequence number of a UID.
    #[must_use]
    pub fn sequence(&self, uid: NonZeroU32) -> Option<NonZeroU32> {
        number(self.uids.position(uid)?)
    }

    /// Whether a message that the client still knows of is gone from the
    /// store.
    #[must_use]
    pub fn is_expunged(&self, uid: NonZeroU32) -> bool {
        self.expunged.contains(&uid)
    }

    /// Takes news in, to be told when it may be.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Arrived { uid, recent } => {
                // One that went, heard of or not, is not new again.
                if self.highest >= Some(uid) {
                    return;
                }
                self.highest = Some(uid);
                self.arrived.insert(uid);
                if recent {
                    self.recent.insert(uid);
                    self.tell_recent = true;
                }
            }
            Change::Expunged(uid) => {
                if self.uids.contains(uid) {
                    self.expunged.insert(uid);
                    self.flags.remove(&uid);
                    self.annotations.remove(&uid);
                    self.expunge_from_contexts(uid);
                } else if self.arrived.remove(&uid) {
                    self.expunge_from_contexts(uid);
                } else {
                    return;
                }
                self.recent.remove(&uid);
            }
            Change::Flags {
                uid,
                flags,
                mod_seq,
            } => {
                if self.uids.contains(uid) && !self.is_expunged(uid) {
                    self.flags.insert(uid, (flags, mod_seq));
                }
            }
            Change::Annotation { uid, entry } => {
                if self.uids.contains(uid) && !self.is_expunged(uid) {
                    let entries = self.annotations.entry(uid).or_default();
                    if !entries.contains(&entry) {
                        entries.push(entry);
                    }
                }
            }
        }
    }

    /// Forgets pending flags of a message: the client was just sent its
    /// present ones.
    pub fn flags_told(&mut self, uid: NonZeroU32) {
        self.flags.remove(&uid);
    }

    /// The messages that a client named, ascending, each once.
    ///
    /// `uid` says whether the set holds UIDs; those that do not exist are
    /// passed over in silence (RFC 9051 §6.4.9).
    ///
    /// # Errors
    /// For a sequence number beyond the last message.
    pub fn resolve(&self, set: &SequenceSet, uid: bool) -> Result<Vec<Message>, NoSuchMessage> {
        if *set == SequenceSet::SavedResult {
            return Ok(self.messages_with(self.saved.ranges()));
        }
        if uid {
            let Some(largest) = self.uids.last() else {
                return Ok(Vec::new());
            };
            return Ok(self.messages_with(&set.resolve(largest)));
        }
        let largest = NonZeroU32::new(self.exists()).ok_or(NoSuchMessage)?;
        let ranges = set.resolve(largest);
        if ranges.last().is_some_and(|(_, last)| *last > largest) {
            return Err(NoSuchMessage);
        }
        let sequences = ranges
            .iter()
            .flat_map(|(first, last)| first.get()..=last.get());
        let message = |sequence| {
            let sequence = NonZeroU32::new(sequence)?;
            let uid = self.uid(sequence)?;
            Some(Message { sequence, uid })
        };
        Ok(sequences.filter_map(message).collect())
    }

    /// Keeps the result of `SEARCH RETURN (SAVE)`, as UIDs; an empty one when
    /// the search failed (RFC 5182 §2.1).
    pub fn save(&mut self, result: NumberSet) {
        self.saved = result;
    }

    /// The saved result, `$`.
    #[must_use]
    pub fn saved(&self) -> &NumberSet {
        &self.saved
    }

    fn messages_with(&self, ranges: &[(NonZeroU32, NonZeroU32)]) -> Vec<Message> {
        let mut messages = Vec::new();
        for (first, last) in ranges {
            let start = self.uids.before(*first);
            let found = (start..).zip(self.uids.iter_from(start));
            for (index, uid) in found.take_while(|(_, uid)| uid <= last) {
                messages.extend(number(index).map(|sequence| Message { sequence, uid }));
            }
        }
        messages
    }
}

/// The sequence number of an index.
fn number(index: usize) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(index).ok()?.checked_add(1)?)
}
