use crate::cursor::{Cursor, Parsed};
use crate::types::Mailbox;
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// STATUS (RFC 9051 §6.3.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which mailbox.
    pub mailbox: Mailbox,
    /// What of it; at least one.
    pub items: Vec<StatusItem>,
}

macro_rules! status_items {
    ($($(#[$doc:meta])* $item:ident = $name:literal,)*) => {
        /// `status-att`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum StatusItem {
            $($(#[$doc])* $item,)*
        }

        impl StatusItem {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$item,)*];

            /// The name on the wire.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$item => $name,)*
                }
            }
        }
    };
}

status_items! {
    /// Messages in the mailbox.
    Messages = "MESSAGES",
    /// Recent messages (RFC 3501).
    Recent = "RECENT",
    /// The next UID.
    UidNext = "UIDNEXT",
    /// The UID validity.
    UidValidity = "UIDVALIDITY",
    /// Messages without `\Seen`.
    Unseen = "UNSEEN",
    /// Messages with `\Deleted` (RFC 9051).
    Deleted = "DELETED",
    /// Octets of all messages (RFC 8438).
    Size = "SIZE",
    /// The highest modification sequence (RFC 7162).
    HighestModSeq = "HIGHESTMODSEQ",
    /// The largest message that can be appended (RFC 7889).
    AppendLimit = "APPENDLIMIT",
    /// The mailbox's own identifier (RFC 8474).
    MailboxId = "MAILBOXID",
    /// Octets of messages with `\Deleted` (RFC 9208).
    DeletedStorage = "DELETED-STORAGE",
}

impl StatusItem {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = c.atom_text()?;
        Self::ALL
            .iter()
            .find(|item| item.name().eq_ignore_ascii_case(name))
            .copied()
            .ok_or(Cursor::error_at(ParseErrorKind::Unknown("STATUS item"), at))
    }

    pub(crate) fn requires(self, need: &mut dyn FnMut(Extension)) {
        match self {
            Self::Size => need(Extension::StatusSize),
            Self::Deleted => need(Extension::Imap4Rev2),
            Self::HighestModSeq => need(Extension::CondStore),
            Self::MailboxId => need(Extension::ObjectId),
            Self::DeletedStorage => need(Extension::Quota),
            _ => {}
        }
    }
}

impl Status {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let mailbox = Mailbox::parse(c)?;
        c.space()?;
        let items = c.list1(StatusItem::parse)?;
        Ok(Self { mailbox, items })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"STATUS ");
        self.mailbox.encode(w);
        w.space();
        w.list(&self.items, |w, item| w.str(item.name()));
    }
}
