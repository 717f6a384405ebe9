//! What SELECT, STATUS and LIST tell of mailboxes.

use std::num::{NonZeroU32, NonZeroU64};

use crate::{
    Code, Delimiter, Flag, ListPattern, Mailbox, MailboxList, PermanentFlag, Status, StatusItem,
    StatusResponse, StatusValue, Untagged,
};

/// A mailbox in figures: what SELECT, EXAMINE and STATUS are answered with.
///
/// ```
/// use imap_proto::{MailboxState, Untagged};
///
/// let mailbox = MailboxState { messages: 3, ..MailboxState::default() };
/// let told = mailbox.selected(None);
/// assert!(told.contains(&Untagged::Exists(3)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxState {
    /// The flags that are in use, or can be.
    pub flags: Vec<Flag>,
    /// Those that a client can change for good; when empty, it is not told,
    /// and takes it that it can change all (RFC 9051 §7.1).
    pub permanent: Vec<PermanentFlag>,
    /// Messages.
    pub messages: u32,
    /// Messages that are `\Recent` in this session (RFC 3501).
    pub recent: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub size: u64,
    /// The UID validity.
    pub uid_validity: NonZeroU32,
    /// The next UID.
    pub uid_next: NonZeroU32,
    /// The highest modification sequence, where the store keeps such
    /// (RFC 7162).
    pub highest_mod_seq: Option<NonZeroU64>,
}

/// Empty, with the system flags, first UID and UID validity 1.
impl Default for MailboxState {
    fn default() -> Self {
        use Flag::{Answered, Deleted, Draft, Flagged, Seen};
        Self {
            flags: vec![Answered, Flagged, Deleted, Seen, Draft],
            permanent: Vec::new(),
            messages: 0,
            recent: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            uid_validity: NonZeroU32::MIN,
            uid_next: NonZeroU32::MIN,
            highest_mod_seq: None,
        }
    }
}

impl MailboxState {
    /// What goes ahead of the OK of SELECT and EXAMINE. A client of IMAP4rev2
    /// hears the mailbox's LIST data and nothing of `\Recent` (RFC 9051
    /// §6.3.2): `rev2` is that data, `None` for a client of IMAP4rev1.
    #[must_use]
    pub fn selected(&self, rev2: Option<MailboxList>) -> Vec<Untagged> {
        let of = |code| Untagged::Status(StatusResponse::ok("Selected").with(code));
        let mut told = vec![
            Untagged::Flags(self.flags.clone()),
            Untagged::Exists(self.messages),
            of(Code::UidValidity(self.uid_validity)),
            of(Code::UidNext(self.uid_next)),
        ];
        if !self.permanent.is_empty() {
            told.push(of(Code::PermanentFlags(self.permanent.clone())));
        }
        if let Some(value) = self.highest_mod_seq {
            told.push(of(Code::HighestModSeq(value.get())));
        }
        told.push(rev2.map_or(Untagged::Recent(self.recent), Untagged::List));
        told
    }

    /// The answer to STATUS. What the mailbox does not know, and a host did
    /// not offer, is left out.
    #[must_use]
    pub fn status(&self, asked: &Status) -> Untagged {
        let value = |item: &StatusItem| {
            Some(match item {
                StatusItem::Messages => StatusValue::Messages(self.messages),
                StatusItem::Recent => StatusValue::Recent(self.recent),
                StatusItem::UidNext => StatusValue::UidNext(self.uid_next),
                StatusItem::UidValidity => StatusValue::UidValidity(self.uid_validity),
                StatusItem::Unseen => StatusValue::Unseen(self.unseen),
                StatusItem::Deleted => StatusValue::Deleted(self.deleted),
                StatusItem::Size => StatusValue::Size(self.size),
                StatusItem::HighestModSeq => {
                    StatusValue::HighestModSeq(self.highest_mod_seq?.get())
                }
                StatusItem::AppendLimit | StatusItem::MailboxId | StatusItem::DeletedStorage => {
                    return None;
                }
            })
        };
        Untagged::MailboxStatus {
            mailbox: asked.mailbox.clone(),
            values: asked.items.iter().filter_map(value).collect(),
        }
    }
}

impl MailboxList {
    /// The answer to LIST and LSUB: those of `names` that a pattern behind
    /// the reference matches, each once. The empty pattern asks for the
    /// delimiter alone (RFC 9051 §6.3.9).
    #[must_use]
    pub fn matching<'a>(
        reference: &Mailbox,
        patterns: &[ListPattern],
        delimiter: Option<Delimiter>,
        names: impl IntoIterator<Item = &'a Mailbox>,
    ) -> Vec<Self> {
        let is_root = |pattern: &&ListPattern| pattern.as_str().is_empty();
        let root = patterns.iter().find(is_root);
        let root = root.and_then(|_| Mailbox::new("").ok());
        let wanted = patterns.iter().filter(|pattern| !is_root(pattern));
        let wanted = wanted.map(|pattern| pattern.behind(reference.as_str(), delimiter));
        let wanted: Vec<_> = wanted.collect();
        let is_wanted = |name: &&Mailbox| {
            let mut patterns = wanted.iter();
            patterns.any(|pattern| pattern.matches(name.as_str(), delimiter))
        };
        let found = names.into_iter().filter(is_wanted).cloned();
        let list = |name| Self::new(name, delimiter);
        root.into_iter().chain(found).map(list).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status() {
        let state = MailboxState {
            messages: 7,
            unseen: 2,
            ..MailboxState::default()
        };
        let asked = Status {
            mailbox: Mailbox::inbox(),
            items: vec![
                StatusItem::Unseen,
                StatusItem::HighestModSeq,
                StatusItem::Messages,
            ],
        };
        let values = vec![StatusValue::Unseen(2), StatusValue::Messages(7)];
        let mailbox = Mailbox::inbox();
        let expected = Untagged::MailboxStatus { mailbox, values };
        assert_eq!(state.status(&asked), expected);
    }

    #[test]
    fn selected() {
        let state = MailboxState {
            highest_mod_seq: NonZeroU64::new(9),
            permanent: vec![PermanentFlag::Any],
            ..MailboxState::default()
        };
        let list = MailboxList::new(Mailbox::inbox(), None);
        let (one, two) = (state.selected(None), state.selected(Some(list.clone())));
        assert_eq!((one.len(), two.len()), (7, 7));
        assert_eq!(one.last(), Some(&Untagged::Recent(0)));
        assert_eq!(two.last(), Some(&Untagged::List(list)));
    }

    #[test]
    fn matching() {
        let names = ["INBOX", "a", "a/b", "b"].map(|name| Mailbox::new(name).unwrap());
        let found = |reference: &str, patterns: &[&str]| -> Vec<String> {
            let patterns: Vec<_> = patterns
                .iter()
                .map(|one| ListPattern::new(one).unwrap())
                .collect();
            let slash = Delimiter::new('/').ok();
            let reference = Mailbox::new(reference).unwrap();
            MailboxList::matching(&reference, &patterns, slash, &names)
                .iter()
                .map(|list| list.mailbox.as_str().to_owned())
                .collect()
        };
        assert_eq!(found("", &["*"]), ["INBOX", "a", "a/b", "b"]);
        assert_eq!(found("", &["b", "a%", "a*"]), ["a", "a/b", "b"]);
        assert_eq!(found("a/", &["%"]), ["a/b"]);
        assert_eq!(found("a", &[""]), [""]);
    }
}
