//! What clients say.

mod acl;
pub(crate) mod annotation;
pub(crate) mod append;
mod encode;
mod extended;
mod fetch;
mod list;
mod metadata;
mod multisearch;
mod notify;
mod parse;
pub(crate) mod push;
mod requires;
mod search;
mod select;
mod status;
mod store;
mod urlauth;

pub use acl::{RightsChange, SetAcl};
pub use annotation::{Annotation, AnnotationMatch, AnnotationRequest, AnnotationScope};
pub use append::{Append, AppendData, AppendMessage, AppendOptions, CatenatePart, Replaced};
use std::num::NonZeroU32;

use bytes::Bytes;
pub(crate) use encode::encode_id;
pub use fetch::{Fetch, FetchAttribute, PartialRange};
pub use list::{List, ListReturn, ListSelection};
pub use metadata::{GetMetadata, MetadataDepth, MetadataValue, SetMetadata};
pub use multisearch::MultiSearch;
pub use notify::{EventGroup, MailboxFilter, Notify, NotifyEvent};
pub(crate) use parse::parse_id;
use proto_core::Secret;
pub use push::XApplePushService;
pub use search::{
    FilterName, Search, SearchKey, SearchKeys, SearchPart, SearchParts, SearchReturn, SearchView,
    Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm, UndefinedFilter,
};
pub use select::{QResync, Select};
pub use status::{Status, StatusItem};
pub use store::{Store, StoreAction};
pub use urlauth::{ResetKey, UrlContent, UrlFetch, UrlFetchItems};

use crate::cursor::{Cursor, Parsed};
use crate::types::{Atom, IString, ListPattern, Mailbox, NString, SequenceSet, Tag};
use crate::wire::{Dialect, Writer};
use crate::{Capability, ParseError};

/// `command`: a tag and what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What the answer will be named with.
    pub tag: Tag,
    /// What is asked.
    pub body: CommandBody,
}

/// What a command asks.
///
/// APPEND is not among them, since its messages are streamed; AUTHENTICATE is
/// only its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandBody {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE
    Authenticate {
        /// The SASL mechanism, in upper case.
        mechanism: Box<str>,
        /// The initial response (RFC 4959), base64 decoded.
        initial_response: Option<Secret>,
    },
    /// LOGIN
    Login {
        /// The user.
        username: IString,
        /// The password.
        password: Secret,
    },
    /// ENABLE
    Enable(Vec<Capability>),
    /// SELECT, EXAMINE
    Select(Select),
    /// CREATE
    Create {
        /// Which mailbox.
        mailbox: Mailbox,
        /// `USE (…)`: special-use attributes, without backslash (RFC 6154).
        special_use: Vec<Atom>,
    },
    /// DELETE
    Delete(Mailbox),
    /// RENAME
    Rename {
        /// The present name.
        from: Mailbox,
        /// The new name.
        to: Mailbox,
    },
    /// SUBSCRIBE
    Subscribe(Mailbox),
    /// UNSUBSCRIBE
    Unsubscribe(Mailbox),
    /// LIST
    List(List),
    /// LSUB (RFC 3501)
    Lsub {
        /// The reference name.
        reference: Mailbox,
        /// The pattern.
        pattern: ListPattern,
    },
    /// NAMESPACE
    Namespace,
    /// STATUS
    Status(Status),
    /// IDLE
    Idle,
    /// CHECK (RFC 3501)
    Check,
    /// CLOSE
    Close,
    /// UNSELECT
    Unselect,
    /// EXPUNGE
    Expunge,
    /// UID EXPUNGE (RFC 4315)
    UidExpunge(SequenceSet),
    /// SEARCH, UID SEARCH
    Search(Search),
    /// SORT, UID SORT
    Sort(Sort),
    /// THREAD, UID THREAD
    Thread(Thread),
    /// FETCH, UID FETCH
    Fetch(Fetch),
    /// STORE, UID STORE
    Store(Store),
    /// COPY, UID COPY
    Copy {
        /// Whether the set holds UIDs.
        uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        mailbox: Mailbox,
    },
    /// MOVE, UID MOVE (RFC 6851)
    Move {
        /// Whether the set holds UIDs.
        uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        mailbox: Mailbox,
    },
    /// ID (RFC 2971); `None` for NIL.
    Id(Option<Vec<(IString, NString)>>),
    /// GETQUOTA (RFC 9208)
    GetQuota(IString),
    /// GETQUOTAROOT (RFC 9208)
    GetQuotaRoot(Mailbox),
    /// SETQUOTA (RFC 9208)
    SetQuota {
        /// The quota root.
        root: IString,
        /// Resources and their new limits.
        limits: Vec<(Atom, u64)>,
    },
    /// SETACL (RFC 4314)
    SetAcl(SetAcl),
    /// DELETEACL (RFC 4314)
    DeleteAcl {
        /// Which mailbox.
        mailbox: Mailbox,
        /// Whose rights.
        identifier: IString,
    },
    /// GETACL (RFC 4314)
    GetAcl(Mailbox),
    /// LISTRIGHTS (RFC 4314)
    ListRights {
        /// Which mailbox.
        mailbox: Mailbox,
        /// Whose rights.
        identifier: IString,
    },
    /// MYRIGHTS (RFC 4314)
    MyRights(Mailbox),
    /// GETMETADATA (RFC 5464)
    GetMetadata(GetMetadata),
    /// SETMETADATA (RFC 5464)
    SetMetadata(SetMetadata),
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// COMPRESS DEFLATE (RFC 4978)
    Compress,
    /// STORE ANNOTATION, UID STORE ANNOTATION (RFC 5257)
    StoreAnnotations {
        /// Whether the set holds UIDs.
        uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// Entries and their new values; NIL takes a value away.
        annotations: Vec<Annotation>,
    },
    /// NOTIFY (RFC 5465)
    Notify(Notify),
    /// ESEARCH (RFC 7377)
    MultiSearch(MultiSearch),
    /// RESETKEY (RFC 4467)
    ResetKey(ResetKey),
    /// GENURLAUTH (RFC 4467): URLs and mechanisms; at least one.
    GenUrlAuth(Vec<(IString, Atom)>),
    /// URLFETCH (RFC 4467); at least one.
    UrlFetch(Vec<UrlFetch>),
    /// CANCELUPDATE (RFC 5267): tags of searches; at least one.
    CancelUpdate(Vec<Tag>),
    /// LANGUAGE (RFC 5255): language ranges, the best first; none asks which
    /// there are.
    Language(Vec<IString>),
    /// COMPARATOR (RFC 5255): collations, the best first; none asks which is
    /// in use.
    Comparator(Vec<IString>),
    /// UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches)
    UidBatches {
        /// Messages in each batch.
        size: NonZeroU32,
        /// Only these batches, 1 being that of the highest UIDs.
        range: Option<(NonZeroU32, NonZeroU32)>,
    },
    /// XAPPLEPUSHSERVICE
    XApplePushService(Box<XApplePushService>),
    /// GETJMAPACCESS (RFC 9698)
    GetJmapAccess,
    /// RLIST (RFC 2193): LIST with mailboxes on other servers.
    Rlist {
        /// The reference name.
        reference: Mailbox,
        /// The pattern.
        pattern: ListPattern,
    },
    /// RLSUB (RFC 2193): LSUB with mailboxes on other servers.
    Rlsub {
        /// The reference name.
        reference: Mailbox,
        /// The pattern.
        pattern: ListPattern,
    },
}

impl CommandBody {
    /// Whether EXPUNGE may go out ahead of its reply, for
    /// [`View::pending`](crate::View::pending): not with FETCH, STORE, SEARCH,
    /// SORT and THREAD in sequence numbers (RFC 9051 §7.5.1, RFC 5256 §3).
    #[must_use]
    pub fn may_expunge(&self) -> bool {
        match self {
            Self::Fetch(fetch) => fetch.uid,
            Self::Store(store) => store.uid,
            Self::StoreAnnotations { uid, .. } => *uid,
            Self::Search(search) => search.uid,
            Self::Sort(sort) => sort.uid,
            Self::Thread(thread) => thread.uid,
            _ => true,
        }
    }
}

impl Command {
    /// Parses a command, its literals in place, with or without the last CRLF.
    ///
    /// Strings are slices of `octets`, not copies.
    ///
    /// # Errors
    /// What is wrong and where. [`ParseErrorKind::Incomplete`](crate::ParseErrorKind::Incomplete) when a literal
    /// is announced whose octets are missing.
    pub fn parse(octets: &Bytes, dialect: Dialect) -> Result<Self, ParseError> {
        let mut c = Cursor::line(octets);
        c.utf8 = dialect.utf8;
        Self::parse_at(&mut c)
    }

    pub(crate) fn parse_at(c: &mut Cursor<'_>) -> Parsed<Self> {
        let tag = Tag::parse(c)?;
        c.space()?;
        let body = CommandBody::parse(c)?;
        c.end()?;
        Ok(Self { tag, body })
    }

    /// The command as a client sends it, CRLF included.
    ///
    /// Only for looking at: a client that has to wait for `+` uses
    /// [`Client`](crate::Client).
    #[must_use]
    pub fn to_vec(&self, dialect: Dialect) -> Vec<u8> {
        crate::wire::to_vec(dialect, |w| self.encode(w))
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.str(self.tag.as_str());
        w.space();
        self.body.encode(w);
        w.raw(b"\r\n");
    }
}
