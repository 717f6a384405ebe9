//! What a client is told of flags that it changed itself.

use std::num::NonZeroU64;

use super::{Message, View};
use crate::{FetchItem, Flag, Store, Untagged};

impl View {
    /// The answer of STORE for one message: its flags now, unless the client
    /// said `.SILENT`. One that uses CONDSTORE hears the modification
    /// sequence all the same (RFC 7162 §3.1.3). That they changed is no news
    /// any more.
    pub fn stored(
        &mut self,
        store: &Store,
        message: Message,
        flags: Vec<Flag>,
        mod_seq: Option<NonZeroU64>,
    ) -> Option<Untagged> {
        self.flags_told(message.uid);
        let mod_seq = mod_seq.filter(|_| self.options.mod_seq);
        if store.silent && mod_seq.is_none() {
            return None;
        }
        let mut items = Vec::with_capacity(3);
        let names_uid = store.uid || self.options.uid || self.events.is_some();
        if names_uid && !self.options.uid_only {
            items.push(FetchItem::Uid(message.uid));
        }
        items.extend(mod_seq.map(FetchItem::ModSeq));
        if !store.silent {
            items.push(FetchItem::Flags(flags));
        }
        let Message { sequence, uid } = message;
        Some(match self.options.uid_only {
            true => Untagged::UidFetch { uid, items },
            false => Untagged::Fetch { sequence, items },
        })
    }
}
