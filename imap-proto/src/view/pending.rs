//! What a client is told of its mailbox, and when.

use super::{Message, View};
use crate::{FetchItem, Flag, Untagged};

/// Which news may be told now.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    messages: bool,
    expunged: bool,
    flags: bool,
    annotations: bool,
}

impl View {
    /// Whether [`View::pending`] would say anything; of a SORT that is kept up
    /// to date it may not, after all.
    #[must_use]
    pub fn has_pending(&self, may_expunge: bool) -> bool {
        let wanted = self.wanted(may_expunge);
        wanted.messages && !self.arrived.is_empty()
            || wanted.flags && !self.flags.is_empty()
            || wanted.annotations && !self.annotations.is_empty()
            || wanted.expunged && !self.expunged.is_empty()
            || self.contexts_changed()
    }

    /// What may be told while no command is in progress: with NOTIFY what it
    /// wants, expunged messages only where it said SELECTED; without, nothing
    /// (RFC 9051 §7).
    pub fn unsolicited(&mut self) -> Vec<Untagged> {
        match &self.events {
            None => Vec::new(),
            Some(events) => {
                let immediate = events.immediate;
                self.pending(immediate)
            }
        }
    }

    /// The messages that came since it was last asked, those gone again left
    /// out: NOTIFY's attributes of them are to be sent.
    pub fn take_new(&mut self) -> Vec<Message> {
        let new = std::mem::take(&mut self.new).into_iter();
        let message = |uid| {
            let sequence = self.sequence(uid)?;
            (!self.is_expunged(uid)).then_some(Message { sequence, uid })
        };
        new.filter_map(message).collect()
    }

    fn wanted(&self, may_expunge: bool) -> Wanted {
        let all = Wanted {
            messages: true,
            expunged: may_expunge,
            flags: true,
            annotations: true,
        };
        self.events.as_ref().map_or(all, |events| Wanted {
            messages: events.messages,
            expunged: events.messages && may_expunge,
            flags: events.flags,
            annotations: events.annotations,
        })
    }

    /// Takes out what the client is to be told now, in order.
    ///
    /// `may_expunge` is false in answer to FETCH, STORE and SEARCH (and SORT,
    /// THREAD), since those speak of sequence numbers; the UID forms may
    /// (RFC 9051 §7.5.1), as may any other command, and IDLE. Nothing of it
    /// may be sent while no command is in progress: that is
    /// [`View::unsolicited`].
    pub fn pending(&mut self, may_expunge: bool) -> Vec<Untagged> {
        let mut told = Vec::new();
        let wanted = self.wanted(may_expunge);
        // RFC 5267 §4.3: contexts are told of a message behind its EXISTS and
        // before its EXPUNGE.
        let expunged_first = !self.contexts_changed();
        if expunged_first && wanted.expunged && !self.expunged.is_empty() {
            self.tell_expunged(&mut told);
        }
        if wanted.messages && !self.arrived.is_empty() {
            if self
                .events
                .as_ref()
                .is_some_and(|events| !events.attributes.is_empty())
            {
                self.new.extend(&self.arrived);
            }
            self.uids.append(std::mem::take(&mut self.arrived));
            told.push(Untagged::Exists(self.exists()));
            if self.options.recent && self.tell_recent {
                told.push(Untagged::Recent(self.recent()));
            }
            self.tell_recent = false;
        }
        if wanted.flags {
            self.tell_flags(&mut told);
        }
        if wanted.annotations {
            self.tell_annotations(&mut told);
        }
        let updates = self.context_updates().into_iter();
        told.extend(updates.map(Untagged::ESearch));
        if !expunged_first && wanted.expunged && !self.expunged.is_empty() {
            self.tell_expunged(&mut told);
        }
        told
    }

    fn tell_annotations(&mut self, told: &mut Vec<Untagged>) {
        for (uid, entries) in std::mem::take(&mut self.annotations) {
            let Some(sequence) = self.sequence(uid) else {
                continue;
            };
            let changed = FetchItem::AnnotationChanged(entries);
            told.push(match self.options.uid_only {
                true => Untagged::UidFetch {
                    uid,
                    items: vec![changed],
                },
                false => Untagged::Fetch {
                    sequence,
                    items: vec![FetchItem::Uid(uid), changed],
                },
            });
        }
    }

    fn tell_flags(&mut self, told: &mut Vec<Untagged>) {
        for (uid, (mut flags, mod_seq)) in std::mem::take(&mut self.flags) {
            let Some(sequence) = self.sequence(uid) else {
                continue;
            };
            if self.is_recent(uid) {
                flags.push(Flag::Recent);
            }
            let mut items = Vec::with_capacity(3);
            // NOTIFY demands it (RFC 5465 §5.1).
            let names_uid = self.options.uid || self.events.is_some();
            if names_uid && !self.options.uid_only {
                items.push(FetchItem::Uid(uid));
            }
            if let (true, Some(mod_seq)) = (self.options.mod_seq, mod_seq) {
                items.push(FetchItem::ModSeq(mod_seq));
            }
            items.push(FetchItem::Flags(flags));
            told.push(match self.options.uid_only {
                true => Untagged::UidFetch { uid, items },
                false => Untagged::Fetch { sequence, items },
            });
        }
    }

    fn tell_expunged(&mut self, told: &mut Vec<Untagged>) {
        let expunged = std::mem::take(&mut self.expunged);
        let expunged: Vec<_> = expunged.into_iter().collect();
        if self.options.vanished || self.options.uid_only {
            told.push(Untagged::Vanished {
                earlier: false,
                uids: expunged.iter().copied().collect(),
            });
        } else {
            // From the last backwards: no number shifts another.
            let gone = expunged.iter().rev();
            told.extend(
                gone.filter_map(|uid| self.sequence(*uid))
                    .map(Untagged::Expunge),
            );
        }
        self.uids.remove(&expunged);
    }
}
