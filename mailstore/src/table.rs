//! What a mailbox looks like to its sessions: UIDs, flags, modification sequences.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Error;
use crate::flags::{Flags, Keywords};

/// One message of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique identifier, ascending and never reused under one UIDVALIDITY (RFC 9051 §2.3.1.1).
    pub uid: u32,
    /// System flags.
    pub flags: Flags,
    /// Keywords, as places in [`Snapshot::keyword_names`].
    pub keywords: Keywords,
    /// Modification sequence of the last change (RFC 7162 §3.1).
    pub modseq: u64,
    /// INTERNALDATE.
    pub internal_date: SystemTime,
    /// When the message came into this mailbox (RFC 8514). A Maildir's file names tell it; an mbox does not, so there
    /// the index alone knows it: of a message that another program put in it is when it was first seen, and of those
    /// that are there when an index is made anew nobody knows.
    pub save_date: Option<SystemTime>,
    /// RFC822.SIZE in octets, where it is known without reading the message; see `Mailbox::size`.
    pub size: Option<u64>,
}

/// A mailbox at one moment. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT: above every UID ever seen.
    pub uid_next: u32,
    /// HIGHESTMODSEQ: at least that of every message and every expunge seen.
    pub highest_modseq: u64,
    messages: Arc<Vec<Message>>,
    keyword_names: Arc<Vec<String>>,
}

impl Snapshot {
    /// The messages in the order of their UIDs; sequence number 1 is the first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The message with this UID.
    pub fn message(&self, uid: u32) -> Option<&Message> {
        let at = self
            .messages
            .binary_search_by_key(&uid, |message| message.uid)
            .ok()?;
        self.messages.get(at)
    }

    /// Every keyword the mailbox knows, set on a message or not.
    pub fn keyword_names(&self) -> &[String] {
        &self.keyword_names
    }

    /// The keywords of a message of this mailbox.
    pub fn keywords(&self, message: &Message) -> impl Iterator<Item = &str> {
        message
            .keywords
            .indices()
            .filter_map(|index| self.keyword_names.get(index))
            .map(String::as_str)
    }
}

/// What differs from an earlier modification sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// UIDs of messages that are new or whose flags changed, ascending.
    pub changed: Vec<u32>,
    /// UIDs that are gone. When the sequence asked for is older than what the store remembers, every UID that
    /// is not there is named, as RFC 7162 §3.2.10.1 allows.
    pub vanished: Vec<RangeInclusive<u32>>,
    /// The modification sequence these changes lead to.
    pub highest_modseq: u64,
}

/// Expunges remembered one by one; older ones are told as "everything that is not there".
const REMEMBERED: usize = 65_536;

/// The state behind a [`Snapshot`], and the only place that gives modification sequences.
pub(crate) struct Table {
    view: Snapshot,
    /// Expunges as (modseq, UID), ascending.
    vanished: VecDeque<(u64, u32)>,
    /// Expunges at or below this are no longer remembered.
    forgotten: u64,
    recent: Vec<u32>,
    news: News,
}

/// What changed since the index was told.
#[derive(Default)]
pub(crate) struct News {
    /// Messages that are new or others than they were; some may be gone since.
    pub(crate) touched: Vec<u32>,
    /// Expunges as (modseq, UID), ascending.
    pub(crate) gone: Vec<(u64, u32)>,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.gone.is_empty()
    }
}

impl Table {
    pub(crate) fn new(uid_validity: u32, uid_next: u32, highest_modseq: u64) -> Self {
        Self {
            view: Snapshot {
                uid_validity,
                uid_next,
                highest_modseq,
                messages: Arc::default(),
                keyword_names: Arc::default(),
            },
            vanished: VecDeque::new(),
            forgotten: highest_modseq,
            recent: Vec::new(),
            news: News::default(),
        }
    }

    /// The keywords of an index whose format has no other list of them.
    pub(crate) fn with_keyword_names(mut self, names: &[String]) -> Self {
        self.set_keyword_names(names);
        self
    }

    /// As an index remembers it: messages ascending by UID, expunges ascending by sequence.
    pub(crate) fn remembering(
        mut self,
        messages: Vec<Message>,
        vanished: Vec<(u64, u32)>,
        forgotten: u64,
    ) -> Self {
        self.view.messages = Arc::new(messages);
        self.forgotten = forgotten;
        self.vanished = vanished.into();
        self.vanished.retain(|(modseq, _)| *modseq > forgotten);
        self.forget_oldest();
        self
    }

    fn forget_oldest(&mut self) {
        while self.vanished.len() > REMEMBERED {
            if let Some((modseq, _)) = self.vanished.pop_front() {
                self.forgotten = modseq;
            }
        }
    }

    /// Expunges at or below this sequence are no longer remembered one by one.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Remembered expunges as (modseq, UID), ascending.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (u64, u32)> {
        self.vanished.iter().copied()
    }

    /// What changed since this was called last.
    pub(crate) fn take_news(&mut self) -> News {
        let mut news = std::mem::take(&mut self.news);
        news.touched.sort_unstable();
        news.touched.dedup();
        news
    }

    /// Whether the next [`take_news`](Self::take_news) gives any.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What the index says of the message, beside what is in the table, is to be written again.
    pub(crate) fn touch(&mut self, uid: u32) {
        self.news.touched.push(uid);
    }

    pub(crate) fn view(&self) -> &Snapshot {
        &self.view
    }

    pub(crate) fn raise_uid_next(&mut self, uid_next: u32) {
        self.view.uid_next = self.view.uid_next.max(uid_next);
    }

    /// Another program began the UIDs anew: every message is another one now.
    pub(crate) fn reset(&mut self, uid_validity: u32, uid_next: u32) {
        let uids: Vec<u32> = self
            .view
            .messages
            .iter()
            .map(|message| message.uid)
            .collect();
        self.remove(&uids);
        self.view.uid_validity = uid_validity;
        self.view.uid_next = uid_next;
        self.recent.clear();
    }

    /// Others gave sequences up to this.
    pub(crate) fn raise_modseq(&mut self, modseq: u64) {
        self.view.highest_modseq = self.view.highest_modseq.max(modseq);
    }

    /// Others made changes that may have been there and back before they were looked at: every message counts as
    /// changed, and everything that is not there as expunged.
    pub(crate) fn doubt_all(&mut self) {
        let modseq = self.next_modseq();
        for message in Arc::make_mut(&mut self.view.messages) {
            message.modseq = modseq;
            self.news.touched.push(message.uid);
        }
        self.forgotten = modseq;
        self.vanished.clear();
    }

    /// Sequence for one change; every message it touches gets the same.
    pub(crate) fn next_modseq(&mut self) -> u64 {
        self.view.highest_modseq += 1;
        self.view.highest_modseq
    }

    pub(crate) fn message(&self, uid: u32) -> Option<&Message> {
        self.view.message(uid)
    }

    pub(crate) fn update(&mut self, uid: u32, change: impl FnOnce(&mut Message)) {
        if let Ok(at) = self
            .view
            .messages
            .binary_search_by_key(&uid, |message| message.uid)
            && let Some(message) = Arc::make_mut(&mut self.view.messages).get_mut(at)
        {
            change(message);
            self.news.touched.push(uid);
        }
    }

    /// Adds messages; their UIDs may be anywhere, as after a first scan.
    pub(crate) fn insert(&mut self, mut new: Vec<Message>) {
        if new.is_empty() {
            return;
        }
        new.sort_unstable_by_key(|message| message.uid);
        let highest = new.last().map_or(0, |message| message.uid);
        self.raise_uid_next(highest.saturating_add(1));
        let uids = new.iter().map(|message| message.uid);
        self.news.touched.extend(uids);
        let messages = Arc::make_mut(&mut self.view.messages);
        let ordered = match (messages.last(), new.first()) {
            (Some(last), Some(first)) => last.uid < first.uid,
            _ => true,
        };
        messages.append(&mut new);
        if !ordered {
            messages.sort_unstable_by_key(|message| message.uid);
        }
    }

    /// Removes messages that are gone; `uids` ascending. Those that were there are returned.
    pub(crate) fn remove(&mut self, uids: &[u32]) -> Vec<u32> {
        let gone: Vec<u32> = uids
            .iter()
            .copied()
            .filter(|&uid| self.message(uid).is_some())
            .collect();
        if gone.is_empty() {
            return gone;
        }
        let modseq = self.next_modseq();
        Arc::make_mut(&mut self.view.messages)
            .retain(|message| gone.binary_search(&message.uid).is_err());
        self.recent.retain(|uid| gone.binary_search(uid).is_err());
        self.vanished.extend(gone.iter().map(|&uid| (modseq, uid)));
        self.news.gone.extend(gone.iter().map(|&uid| (modseq, uid)));
        self.forget_oldest();
        gone
    }

    pub(crate) fn changes_since(&self, modseq: u64) -> Changes {
        let changed = self
            .view
            .messages
            .iter()
            .filter(|message| message.modseq > modseq)
            .map(|m| m.uid)
            .collect();
        let vanished = if modseq < self.forgotten {
            self.absent()
        } else {
            let mut uids: Vec<u32> = self
                .vanished
                .iter()
                .filter(|(at, _)| *at > modseq)
                .map(|&(_, uid)| uid)
                .collect();
            uids.sort_unstable();
            ranges(&uids)
        };
        Changes {
            changed,
            vanished,
            highest_modseq: self.view.highest_modseq,
        }
    }

    fn absent(&self) -> Vec<RangeInclusive<u32>> {
        let mut absent = Vec::new();
        let mut from = 1;
        for message in self.view.messages.iter() {
            if message.uid > from {
                absent.push(from..=message.uid - 1);
            }
            from = message.uid.saturating_add(1);
        }
        if self.view.uid_next > from {
            absent.push(from..=self.view.uid_next - 1);
        }
        absent
    }

    pub(crate) fn add_recent(&mut self, uid: u32) {
        self.recent.push(uid);
    }

    pub(crate) fn take_recent(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.recent)
    }

    pub(crate) fn set_keyword_names(&mut self, names: &[String]) {
        if *self.view.keyword_names != names {
            self.view.keyword_names = Arc::new(names.to_vec());
        }
    }

    /// The place of a keyword, made if need be while there are fewer than `limit`.
    pub(crate) fn keyword(&mut self, name: &str, limit: usize) -> Result<usize, Error> {
        if let Some(at) = self
            .view
            .keyword_names
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
        {
            return Ok(at);
        }
        if self.view.keyword_names.len() >= limit {
            return Err(Error::TooManyKeywords(name.to_owned()));
        }
        Arc::make_mut(&mut self.view.keyword_names).push(name.to_owned());
        Ok(self.view.keyword_names.len() - 1)
    }
}

/// Ascending UIDs as ranges.
pub(crate) fn ranges(uids: &[u32]) -> Vec<RangeInclusive<u32>> {
    let mut out: Vec<RangeInclusive<u32>> = Vec::new();
    for &uid in uids {
        match out.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(uid) => *last = *last.start()..=uid,
            _ => out.push(uid..=uid),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(uids: &[u32]) -> Table {
        let mut table = Table::new(1, 1, 10);
        let new = uids.iter().map(|&uid| Message {
            uid,
            flags: Flags::NONE,
            keywords: Keywords::default(),
            modseq: 10,
            internal_date: SystemTime::UNIX_EPOCH,
            save_date: None,
            size: None,
        });
        table.insert(new.collect());
        table
    }

    #[test]
    fn vanished_are_told_from_memory_or_by_absence() {
        let mut table = table(&[2, 3, 5, 9]);
        assert_eq!(table.view().uid_next, 10);
        assert_eq!(table.remove(&[3, 4, 5]), [3, 5]);
        let changes = table.changes_since(10);
        assert_eq!(changes.vanished, [3..=3, 5..=5]);
        assert!(changes.changed.is_empty());
        assert_eq!(table.changes_since(11).vanished, []);
        assert_eq!(table.changes_since(9).vanished, [1..=1, 3..=8]);
        assert_eq!(table.changes_since(9).changed, [2, 9]);
    }

    #[test]
    fn a_snapshot_does_not_move() {
        let mut table = table(&[1, 2]);
        let before = table.view().clone();
        table.remove(&[1]);
        table.update(2, |message| message.flags = Flags::SEEN);
        assert_eq!(before.messages().len(), 2);
        assert_eq!(
            before.message(2).map(|message| message.flags),
            Some(Flags::NONE)
        );
        assert_eq!(table.view().messages().len(), 1);
    }

    #[test]
    fn ranges_join() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), [1..=3, 7..=7, 9..=10]);
        assert_eq!(ranges(&[u32::MAX]), [u32::MAX..=u32::MAX]);
    }
}
