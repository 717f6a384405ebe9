//! What clients say.

mod acl;
pub(crate) mod append;
mod fetch;
mod list;
mod metadata;
mod search;
mod select;
mod status;
mod store;

pub use acl::{RightsChange, SetAcl};
pub use append::{Append, AppendOptions};
use bytes::Bytes;
pub use fetch::{Fetch, FetchAttribute, PartialRange};
pub use list::{List, ListReturn, ListSelection};
pub use metadata::{GetMetadata, MetadataDepth, MetadataValue, SetMetadata};
use proto_core::Secret;
pub use search::{
    Search, SearchKey, SearchReturn, Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm,
};
pub use select::{QResync, Select};
pub use status::{Status, StatusItem};
pub use store::{Store, StoreAction};

use crate::cursor::{Cursor, Parsed};
use crate::types::string::{encode_nstring, nil, nstring};
use crate::types::{Atom, IString, ListPattern, Mailbox, NString, SequenceSet, Tag};
use crate::wire::{Dialect, Writer};
use crate::{Capability, Extension, ParseError, ParseErrorKind};

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
}

impl Command {
    /// Parses a command, its literals in place, with or without the last CRLF.
    ///
    /// Strings are slices of `octets`, not copies.
    ///
    /// # Errors
    /// What is wrong and where. [`ParseErrorKind::Incomplete`] when a literal
    /// is announced whose octets are missing.
    pub fn parse(octets: &Bytes, dialect: Dialect) -> Result<Self, ParseError> {
        let end = octets
            .strip_suffix(b"\r\n")
            .map_or(octets.len(), <[u8]>::len);
        let octets = octets.slice(..end);
        let mut c = Cursor::shared(&octets);
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

/// Longest command name.
const LONGEST: usize = 16;

/// The command's name in upper case, in `buffer`.
pub(crate) fn upper<'b>(name: &str, buffer: &'b mut [u8; LONGEST]) -> &'b str {
    let Some(upper) = buffer.get_mut(..name.len()) else {
        return "";
    };
    upper.copy_from_slice(name.as_bytes());
    upper.make_ascii_uppercase();
    std::str::from_utf8(upper).unwrap_or_default()
}

impl CommandBody {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = c.atom_text()?;
        let mut buffer = [0; LONGEST];
        Ok(match upper(name, &mut buffer) {
            "CAPABILITY" => Self::Capability,
            "NOOP" => Self::Noop,
            "LOGOUT" => Self::Logout,
            "STARTTLS" => Self::StartTls,
            "NAMESPACE" => Self::Namespace,
            "IDLE" => Self::Idle,
            "CHECK" => Self::Check,
            "CLOSE" => Self::Close,
            "UNSELECT" => Self::Unselect,
            "EXPUNGE" => Self::Expunge,
            "UNAUTHENTICATE" => Self::Unauthenticate,
            "UID" => {
                c.space()?;
                let at = c.at();
                let name = c.atom_text()?;
                match upper(name, &mut buffer) {
                    "EXPUNGE" => {
                        c.space()?;
                        Self::UidExpunge(SequenceSet::parse(c)?)
                    }
                    name => Self::parse_messages(name, c, true)
                        .unwrap_or(Err(unknown("UID command", at)))?,
                }
            }
            name => match Self::parse_messages(name, c, false) {
                Some(body) => body?,
                None => Self::parse_other(name, at, c)?,
            },
        })
    }

    /// The commands that have a UID form.
    fn parse_messages(name: &str, c: &mut Cursor<'_>, uid: bool) -> Option<Parsed<Self>> {
        Some(match name {
            "FETCH" => Fetch::parse(c, uid).map(Self::Fetch),
            "STORE" => Store::parse(c, uid).map(Self::Store),
            "SEARCH" => Search::parse(c, uid).map(Self::Search),
            "SORT" => Sort::parse(c, uid).map(Self::Sort),
            "THREAD" => Thread::parse(c, uid).map(Self::Thread),
            "COPY" => parse_copy(c).map(|(set, mailbox)| Self::Copy { uid, set, mailbox }),
            "MOVE" => parse_copy(c).map(|(set, mailbox)| Self::Move { uid, set, mailbox }),
            _ => return None,
        })
    }

    fn parse_other(name: &str, at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match name {
            "SELECT" => Self::Select(Select::parse(c, false)?),
            "EXAMINE" => Self::Select(Select::parse(c, true)?),
            "LIST" => Self::List(List::parse(c)?),
            "STATUS" => Self::Status(Status::parse(c)?),
            "DELETE" => Self::Delete(sp_mailbox(c)?),
            "SUBSCRIBE" => Self::Subscribe(sp_mailbox(c)?),
            "UNSUBSCRIBE" => Self::Unsubscribe(sp_mailbox(c)?),
            "GETQUOTAROOT" => Self::GetQuotaRoot(sp_mailbox(c)?),
            "GETACL" => Self::GetAcl(sp_mailbox(c)?),
            "MYRIGHTS" => Self::MyRights(sp_mailbox(c)?),
            "SETACL" => Self::SetAcl(SetAcl::parse(c)?),
            "DELETEACL" => Self::DeleteAcl {
                mailbox: sp_mailbox(c)?,
                identifier: sp_astring(c)?,
            },
            "LISTRIGHTS" => Self::ListRights {
                mailbox: sp_mailbox(c)?,
                identifier: sp_astring(c)?,
            },
            "GETMETADATA" => Self::GetMetadata(GetMetadata::parse(c)?),
            "SETMETADATA" => Self::SetMetadata(SetMetadata::parse(c)?),
            "SETQUOTA" => {
                let root = sp_astring(c)?;
                c.space()?;
                let limits = c.list(|c| {
                    let name = Atom::parse(c)?;
                    c.space()?;
                    Ok((name, c.number64()?))
                })?;
                Self::SetQuota { root, limits }
            }
            "CREATE" => Self::Create {
                mailbox: sp_mailbox(c)?,
                special_use: parse_special_use(c)?,
            },
            "RENAME" => Self::Rename {
                from: sp_mailbox(c)?,
                to: sp_mailbox(c)?,
            },
            "LSUB" => {
                let reference = sp_mailbox(c)?;
                c.space()?;
                let pattern = ListPattern::parse(c)?;
                Self::Lsub { reference, pattern }
            }
            "LOGIN" => {
                c.space()?;
                let username = IString::parse_astring(c)?;
                c.space()?;
                let password = IString::parse_astring(c)?;
                Self::Login {
                    username,
                    password: Secret::new(password.as_bytes()),
                }
            }
            "AUTHENTICATE" => parse_authenticate(c)?,
            "ENABLE" => {
                let mut capabilities = Vec::new();
                while c.eat(b' ') {
                    capabilities.push(Capability::parse(c)?);
                }
                if capabilities.is_empty() {
                    return c.expected("a capability");
                }
                Self::Enable(capabilities)
            }
            "ID" => {
                c.space()?;
                Self::Id(parse_id(c)?)
            }
            "GETQUOTA" => {
                c.space()?;
                Self::GetQuota(IString::parse_astring(c)?)
            }
            "COMPRESS" => {
                c.expect_text(" DEFLATE")?;
                Self::Compress
            }
            _ => return Err(unknown("command", at)),
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Capability => w.raw(b"CAPABILITY"),
            Self::Noop => w.raw(b"NOOP"),
            Self::Logout => w.raw(b"LOGOUT"),
            Self::StartTls => w.raw(b"STARTTLS"),
            Self::Namespace => w.raw(b"NAMESPACE"),
            Self::Idle => w.raw(b"IDLE"),
            Self::Check => w.raw(b"CHECK"),
            Self::Close => w.raw(b"CLOSE"),
            Self::Unselect => w.raw(b"UNSELECT"),
            Self::Expunge => w.raw(b"EXPUNGE"),
            Self::Unauthenticate => w.raw(b"UNAUTHENTICATE"),
            Self::Compress => w.raw(b"COMPRESS DEFLATE"),
            Self::Authenticate {
                mechanism,
                initial_response,
            } => {
                w.raw(b"AUTHENTICATE ");
                w.str(mechanism);
                if let Some(initial) = initial_response {
                    w.space();
                    match initial.expose() {
                        [] => w.byte(b'='),
                        octets => w.str(&proto_core::sasl::encode_base64(octets)),
                    }
                }
            }
            Self::Login { username, password } => {
                w.raw(b"LOGIN ");
                username.encode_astring(w);
                w.space();
                // Never as an atom: some servers log those.
                crate::types::string::string(w, &Bytes::copy_from_slice(password.expose()));
            }
            Self::Enable(capabilities) => {
                w.raw(b"ENABLE ");
                w.spaced(capabilities, |w, one| w.str(one.as_str()));
            }
            Self::Select(select) => select.encode(w),
            Self::Create {
                mailbox,
                special_use,
            } => {
                w.raw(b"CREATE ");
                mailbox.encode(w);
                if !special_use.is_empty() {
                    w.raw(b" (USE ");
                    w.list(special_use, |w, one| {
                        w.byte(b'\\');
                        w.str(one.as_str());
                    });
                    w.byte(b')');
                }
            }
            Self::Delete(mailbox) => encode_one(w, b"DELETE ", mailbox),
            Self::Subscribe(mailbox) => encode_one(w, b"SUBSCRIBE ", mailbox),
            Self::Unsubscribe(mailbox) => encode_one(w, b"UNSUBSCRIBE ", mailbox),
            Self::GetQuotaRoot(mailbox) => encode_one(w, b"GETQUOTAROOT ", mailbox),
            Self::Rename { from, to } => {
                encode_one(w, b"RENAME ", from);
                encode_one(w, b" ", to);
            }
            Self::List(list) => list.encode(w),
            Self::Lsub { reference, pattern } => {
                encode_one(w, b"LSUB ", reference);
                w.space();
                pattern.encode(w);
            }
            Self::Status(status) => status.encode(w),
            Self::UidExpunge(set) => {
                w.raw(b"UID EXPUNGE ");
                set.encode(w);
            }
            Self::Search(search) => search.encode(w),
            Self::Sort(sort) => sort.encode(w),
            Self::Thread(thread) => thread.encode(w),
            Self::Fetch(fetch) => fetch.encode(w),
            Self::Store(store) => store.encode(w),
            Self::Copy { uid, set, mailbox } => {
                w.raw(if *uid { b"UID COPY " } else { b"COPY " });
                set.encode(w);
                encode_one(w, b" ", mailbox);
            }
            Self::Move { uid, set, mailbox } => {
                w.raw(if *uid { b"UID MOVE " } else { b"MOVE " });
                set.encode(w);
                encode_one(w, b" ", mailbox);
            }
            Self::Id(parameters) => {
                w.raw(b"ID ");
                encode_id(parameters.as_deref(), w);
            }
            Self::GetQuota(root) => {
                w.raw(b"GETQUOTA ");
                root.encode_astring(w);
            }
            Self::SetQuota { root, limits } => {
                w.raw(b"SETQUOTA ");
                root.encode_astring(w);
                w.space();
                w.list(limits, |w, (name, limit)| {
                    w.str(name.as_str());
                    w.space();
                    w.number(*limit);
                });
            }
            Self::SetAcl(set) => set.encode(w),
            Self::GetAcl(mailbox) => encode_one(w, b"GETACL ", mailbox),
            Self::MyRights(mailbox) => encode_one(w, b"MYRIGHTS ", mailbox),
            Self::DeleteAcl {
                mailbox,
                identifier,
            } => {
                encode_one(w, b"DELETEACL ", mailbox);
                w.space();
                identifier.encode_astring(w);
            }
            Self::ListRights {
                mailbox,
                identifier,
            } => {
                encode_one(w, b"LISTRIGHTS ", mailbox);
                w.space();
                identifier.encode_astring(w);
            }
            Self::GetMetadata(get) => get.encode(w),
            Self::SetMetadata(set) => set.encode(w),
        }
    }

    /// Calls `need` with each extension that the command is part of.
    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        match self {
            Self::Enable(_) => need(Extension::Enable),
            Self::Select(select) => select.requires(need),
            Self::Create { special_use, .. } if !special_use.is_empty() => {
                need(Extension::CreateSpecialUse);
            }
            Self::List(list) => list.requires(need),
            Self::Namespace => need(Extension::Namespace),
            Self::Status(status) => status.items.iter().for_each(|item| item.requires(need)),
            Self::Idle => need(Extension::Idle),
            Self::Unselect => need(Extension::Unselect),
            Self::UidExpunge(set) => {
                need(Extension::UidPlus);
                requires_set(set, need);
            }
            Self::Search(search) => search.requires(need),
            Self::Sort(sort) => sort.requires(need),
            Self::Thread(thread) => thread.requires(need),
            Self::Fetch(fetch) => {
                fetch.requires(need);
                requires_set(&fetch.set, need);
            }
            Self::Store(store) => {
                store.requires(need);
                requires_set(&store.set, need);
            }
            Self::Copy { set, .. } => requires_set(set, need),
            Self::Move { set, .. } => {
                need(Extension::Move);
                requires_set(set, need);
            }
            Self::Id(_) => need(Extension::Id),
            Self::GetQuota(_) | Self::GetQuotaRoot(_) => need(Extension::Quota),
            Self::SetQuota { .. } => need(Extension::QuotaSet),
            Self::SetAcl(_)
            | Self::GetAcl(_)
            | Self::MyRights(_)
            | Self::DeleteAcl { .. }
            | Self::ListRights { .. } => need(Extension::Acl),
            Self::GetMetadata(get) => need(metadata::required(&get.mailbox)),
            Self::SetMetadata(set) => need(metadata::required(&set.mailbox)),
            Self::Unauthenticate => need(Extension::Unauthenticate),
            Self::Compress => need(Extension::CompressDeflate),
            Self::Lsub { .. } | Self::Check => need(Extension::Imap4Rev1),
            Self::Authenticate {
                initial_response: Some(_),
                ..
            } => need(Extension::SaslIr),
            _ => {}
        }
    }
}

fn unknown(what: &'static str, at: usize) -> ParseError {
    Cursor::error_at(ParseErrorKind::Unknown(what), at)
}

fn requires_set(set: &SequenceSet, need: &mut dyn FnMut(Extension)) {
    if *set == SequenceSet::SavedResult {
        need(Extension::SearchRes);
    }
}

fn sp_mailbox(c: &mut Cursor<'_>) -> Parsed<Mailbox> {
    c.space()?;
    Mailbox::parse(c)
}

fn sp_astring(c: &mut Cursor<'_>) -> Parsed<IString> {
    c.space()?;
    IString::parse_astring(c)
}

fn encode_one(w: &mut Writer<'_>, name: &[u8], mailbox: &Mailbox) {
    w.raw(name);
    mailbox.encode(w);
}

fn parse_copy(c: &mut Cursor<'_>) -> Parsed<(SequenceSet, Mailbox)> {
    c.space()?;
    let set = SequenceSet::parse(c)?;
    Ok((set, sp_mailbox(c)?))
}

/// `[SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]`.
fn parse_special_use(c: &mut Cursor<'_>) -> Parsed<Vec<Atom>> {
    if !c.eat_text(" (USE ") {
        return Ok(Vec::new());
    }
    let attributes = c.list(|c| {
        c.expect(b'\\', "\"\\\"")?;
        Atom::parse(c)
    })?;
    c.close()?;
    Ok(attributes)
}

fn parse_authenticate(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let mechanism = c.atom_text()?.to_ascii_uppercase().into();
    let mut initial_response = None;
    if c.eat(b' ') {
        let at = c.at();
        let text = c.rest();
        c.set_at(at + text.len());
        let octets = match text {
            b"=" => Ok(Vec::new()),
            b"" => return c.expected("an initial response"),
            text => proto_core::sasl::decode_base64(text),
        };
        let octets =
            octets.map_err(|_| Cursor::error_at(ParseErrorKind::Expected("base64"), at))?;
        initial_response = Some(Secret::new(octets));
    }
    Ok(CommandBody::Authenticate {
        mechanism,
        initial_response,
    })
}

/// `"(" *(string SP nstring) ")" / nil`; at most 30 pairs (RFC 2971 §3.3).
pub(crate) fn parse_id(c: &mut Cursor<'_>) -> Parsed<Option<Vec<(IString, NString)>>> {
    if nil(c) {
        return Ok(None);
    }
    let at = c.at();
    let pairs = c.list(|c| {
        let name = IString::parse(c)?;
        c.space()?;
        Ok((name, nstring(c)?))
    })?;
    if pairs.len() > 30 {
        return Err(Cursor::error_at(ParseErrorKind::Count, at));
    }
    Ok(Some(pairs))
}

pub(crate) fn encode_id(parameters: Option<&[(IString, NString)]>, w: &mut Writer<'_>) {
    match parameters {
        None | Some([]) => w.raw(b"NIL"),
        Some(pairs) => w.list(pairs, |w, (name, value)| {
            name.encode(w);
            w.space();
            encode_nstring(w, value);
        }),
    }
}
