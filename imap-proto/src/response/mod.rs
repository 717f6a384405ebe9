//! What servers say.

mod code;
mod code_extended;
mod encode;
mod extended;
pub(crate) mod fetch;
mod mailbox;
mod parse;
mod search;
mod status;
pub(crate) mod url_front;

use std::num::NonZeroU32;

use bytes::Bytes;
pub use code::Code;
pub use code_extended::{AnnotationSupport, Progress};
pub use extended::{FetchedUrl, UrlData};
pub use fetch::{Content, FetchItem};
pub use mailbox::{Delimiter, MailboxAttribute, MailboxList, Namespace, Namespaces, StatusValue};
pub use search::{ContextUpdate, ESearch, QuotaResource, ThreadNode};
pub use status::{StatusKind, StatusResponse};

use crate::command::MetadataValue;
use crate::cursor::Cursor;
use crate::types::{EntryName, Flag, IString, Mailbox, NString, NumberSet, Rights, Tag};
use crate::wire::{Dialect, Writer};
use crate::{Capability, ParseError};

/// One line of a server, literals and all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// `*` and data.
    Untagged(Untagged),
    /// The end of a command.
    Tagged {
        /// The command's tag.
        tag: Tag,
        /// How it ended.
        status: StatusResponse,
    },
    /// `+`: go on. The text, raw: a challenge in base64, or words.
    Continue(Bytes),
}
/// What follows `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untagged {
    /// OK, NO, BAD, PREAUTH, BYE.
    Status(StatusResponse),
    /// CAPABILITY
    Capability(Vec<Capability>),
    /// ENABLED (RFC 5161)
    Enabled(Vec<Capability>),
    /// LIST
    List(MailboxList),
    /// LSUB (RFC 3501)
    Lsub(MailboxList),
    /// NAMESPACE
    Namespace(Namespaces),
    /// STATUS
    MailboxStatus {
        /// Which mailbox.
        mailbox: Mailbox,
        /// What of it.
        values: Vec<StatusValue>,
    },
    /// FLAGS
    Flags(Vec<Flag>),
    /// SEARCH (RFC 3501)
    Search {
        /// Sequence numbers or UIDs.
        numbers: Vec<NonZeroU32>,
        /// The highest modification sequence among them (RFC 7162).
        mod_seq: Option<u64>,
    },
    /// ESEARCH (RFC 9051 §7.3.4)
    ESearch(ESearch),
    /// SORT (RFC 5256): in that order.
    Sort(Vec<NonZeroU32>),
    /// THREAD (RFC 5256)
    Thread(Vec<ThreadNode>),
    /// EXISTS
    Exists(u32),
    /// RECENT (RFC 3501)
    Recent(u32),
    /// EXPUNGE
    Expunge(NonZeroU32),
    /// VANISHED (RFC 7162)
    Vanished {
        /// In answer to SELECT or FETCH, not news.
        earlier: bool,
        /// The UIDs.
        uids: NumberSet,
    },
    /// FETCH
    Fetch {
        /// The message's sequence number.
        sequence: NonZeroU32,
        /// What of it.
        items: Vec<FetchItem>,
    },
    /// UIDFETCH (RFC 9586)
    UidFetch {
        /// The message's UID.
        uid: NonZeroU32,
        /// What of it.
        items: Vec<FetchItem>,
    },
    /// ID (RFC 2971)
    Id(Option<Vec<(IString, NString)>>),
    /// QUOTA (RFC 9208)
    Quota {
        /// The quota root.
        root: IString,
        /// What it limits.
        resources: Vec<QuotaResource>,
    },
    /// QUOTAROOT (RFC 9208)
    QuotaRoot {
        /// Which mailbox.
        mailbox: Mailbox,
        /// Its quota roots.
        roots: Vec<IString>,
    },
    /// ACL (RFC 4314)
    Acl {
        /// Which mailbox.
        mailbox: Mailbox,
        /// Who has which rights.
        entries: Vec<(IString, Rights)>,
    },
    /// LISTRIGHTS (RFC 4314)
    ListRights {
        /// Which mailbox.
        mailbox: Mailbox,
        /// Whose rights.
        identifier: IString,
        /// What is always granted.
        required: Rights,
        /// What can be granted; tied rights stand together.
        optional: Vec<Rights>,
    },
    /// MYRIGHTS (RFC 4314)
    MyRights {
        /// Which mailbox.
        mailbox: Mailbox,
        /// The user's rights.
        rights: Rights,
    },
    /// METADATA with values, in answer to GETMETADATA (RFC 5464)
    Metadata {
        /// Which mailbox; the empty name for the server itself.
        mailbox: Mailbox,
        /// Entries and values; at least one.
        values: Vec<MetadataValue>,
    },
    /// METADATA without values: these changed (RFC 5464)
    MetadataChanged {
        /// Which mailbox; the empty name for the server itself.
        mailbox: Mailbox,
        /// Which entries; at least one.
        entries: Vec<EntryName>,
    },
    /// GENURLAUTH (RFC 4467): the URLs with their tokens; at least one.
    GenUrlAuth(Vec<IString>),
    /// URLFETCH (RFC 4467); at least one.
    UrlFetch(Vec<FetchedUrl>),
    /// LANGUAGE (RFC 5255): the language in use, or all that there are.
    Language(Vec<IString>),
    /// COMPARATOR (RFC 5255)
    Comparator {
        /// The collation in use.
        active: IString,
        /// All that match what was asked for.
        matching: Vec<IString>,
    },
    /// UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches)
    UidBatches {
        /// The tag of the command that it answers.
        tag: Tag,
        /// Higher and lower end of each batch, in UIDs, the highest first.
        batches: Vec<(NonZeroU32, NonZeroU32)>,
    },
    /// XAPPLEPUSHSERVICE
    XApplePushService {
        /// `aps-version`
        version: u32,
        /// `aps-topic`: what the device has to listen to.
        topic: IString,
    },
    /// JMAPACCESS (RFC 9698): the URL of the JMAP session.
    JmapAccess(IString),
    /// Data that this crate does not know, as it was sent behind `* `.
    Other(Bytes),
}

impl Response {
    /// Parses a response, its literals in place, with or without the last
    /// CRLF. Strings are slices of `octets`, not copies.
    ///
    /// Data of unknown kind is [`Untagged::Other`], an unknown FETCH item is
    /// [`FetchItem::Opaque`], an unknown code is [`Code::Other`].
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(octets: &Bytes, dialect: Dialect) -> Result<Self, ParseError> {
        let mut c = Cursor::line(octets);
        c.utf8 = dialect.utf8;
        Self::parse_at(c)
    }

    pub(crate) fn parse_at(mut c: Cursor<'_>) -> Result<Self, ParseError> {
        c.spare_spaces = true;
        match Self::parse_line(&mut c) {
            Err(error) if c.again_without_spare_end() => {
                Self::parse_line(&mut c).map_err(|_| error)
            }
            response => response,
        }
    }

    fn parse_line(c: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let response = if c.eat(b'+') {
            let _ = c.eat(b' ');
            let at = c.at();
            c.set_at(at + c.rest().len());
            Self::Continue(c.slice(at, c.at()))
        } else if c.eat(b'*') {
            c.space()?;
            Self::Untagged(Untagged::parse(c)?)
        } else {
            let tag = Tag::parse(c)?;
            c.space()?;
            let status = StatusResponse::parse(c)?;
            Self::Tagged { tag, status }
        };
        c.end()?;
        Ok(response)
    }

    /// The response as a server sends it, CRLF included; streamed contents
    /// are left out.
    #[must_use]
    pub fn to_vec(&self, dialect: Dialect) -> Vec<u8> {
        crate::wire::to_vec(dialect, |w| self.encode(w))
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Untagged(data) => return data.encode_line(w),
            Self::Tagged { tag, status } => {
                w.str(tag.as_str());
                w.space();
                status.encode(w);
            }
            Self::Continue(text) => {
                w.raw(b"+ ");
                w.raw(text);
            }
        }
        w.raw(b"\r\n");
    }
}
