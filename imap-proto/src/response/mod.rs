//! What servers say.

mod code;
pub(crate) mod fetch;
mod mailbox;
mod search;

use std::num::NonZeroU32;

use bytes::Bytes;
pub use code::Code;
pub use fetch::{Content, FetchItem};
pub use mailbox::{Delimiter, MailboxAttribute, MailboxList, Namespace, Namespaces, StatusValue};
pub use search::{ESearch, QuotaResource, ThreadNode};

use crate::command::MetadataValue;
use crate::cursor::{Cursor, Parsed};
use crate::types::{Chars, EntryName, Flag, IString, Mailbox, NString, NumberSet, Rights, Tag};
use crate::wire::{Dialect, Writer};
use crate::{Capability, ParseError, ParseErrorKind};

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

/// `resp-cond-state` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusResponse {
    /// OK, NO, BAD, PREAUTH, BYE.
    pub kind: StatusKind,
    /// What it means, for programs.
    pub code: Option<Code>,
    /// What it means, for people. Control characters are not sent.
    pub text: String,
}

/// The kind of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusKind {
    /// It worked.
    Ok,
    /// It did not.
    No,
    /// It was no such thing.
    Bad,
    /// A greeting: already authenticated.
    PreAuth,
    /// The connection is about to close.
    Bye,
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
    /// Data that this crate does not know, as it was sent behind `* `.
    Other(Bytes),
}

impl StatusResponse {
    /// A status without code.
    #[must_use]
    pub fn new(kind: StatusKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            text: text.into(),
        }
    }

    /// An OK.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(StatusKind::Ok, text)
    }

    /// A NO.
    #[must_use]
    pub fn no(text: impl Into<String>) -> Self {
        Self::new(StatusKind::No, text)
    }

    /// A BAD.
    #[must_use]
    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusKind::Bad, text)
    }

    /// The same with a code.
    #[must_use]
    pub fn with(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = c.atom_text()?;
        let kind = StatusKind::ALL
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
            .ok_or(Cursor::error_at(ParseErrorKind::Expected("a status"), at))?;
        // Some servers send no text, and not even the space before it.
        let _ = c.eat(b' ');
        let mut code = None;
        let at = c.at();
        if c.peek() == Some(b'[') {
            match Code::parse(c) {
                Ok(parsed) => {
                    code = Some(parsed);
                    let _ = c.eat(b' ');
                }
                Err(_) => c.set_at(at),
            }
        }
        let text = c.take_while(Chars::TEXT);
        Ok(Self {
            kind,
            code,
            text: String::from_utf8_lossy(text).into_owned(),
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.str(self.kind.name());
        w.space();
        if let Some(code) = &self.code {
            code.encode(w);
            w.space();
        }
        encode_text(&self.text, w);
    }
}

/// Text as it may stand in a line: no control characters, ASCII unless UTF-8
/// is enabled, never empty, and no `[` in front that would read as a code.
fn encode_text(text: &str, w: &mut Writer<'_>) {
    let start = w.text.len();
    for one in text.chars() {
        match one {
            '[' if w.text.len() == start => w.byte(b'('),
            ' '..='~' => w.byte(u8::try_from(one).unwrap_or(b'?')),
            _ if one.is_control() => w.space(),
            _ if w.dialect.utf8 => w.str(one.encode_utf8(&mut [0; 4])),
            _ => w.byte(b'?'),
        }
    }
    if w.text.len() == start {
        w.byte(b'.');
    }
}

impl StatusKind {
    const ALL: [(&'static str, Self); 5] = [
        ("OK", Self::Ok),
        ("NO", Self::No),
        ("BAD", Self::Bad),
        ("PREAUTH", Self::PreAuth),
        ("BYE", Self::Bye),
    ];

    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::PreAuth => "PREAUTH",
            Self::Bye => "BYE",
        }
    }

    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
    }
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
        let end = octets
            .strip_suffix(b"\r\n")
            .map_or(octets.len(), <[u8]>::len);
        let octets = octets.slice(..end);
        let mut c = Cursor::shared(&octets);
        c.utf8 = dialect.utf8;
        let response = if c.eat(b'+') {
            let _ = c.eat(b' ');
            let at = c.at();
            c.set_at(octets.len());
            Self::Continue(octets.slice(at..))
        } else if c.eat(b'*') {
            c.space()?;
            Self::Untagged(Untagged::parse(&mut c)?)
        } else {
            let tag = Tag::parse(&mut c)?;
            c.space()?;
            let status = StatusResponse::parse(&mut c)?;
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

impl Untagged {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let start = c.at();
        match Self::parse_known(c) {
            Ok(Some(data)) => Ok(data),
            Err(error) => Err(error),
            Ok(None) => {
                c.set_at(start);
                c.set_at(start + c.rest().len());
                Ok(Self::Other(c.slice(start, c.at())))
            }
        }
    }

    fn parse_known(c: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        if c.peek().is_some_and(|next| next.is_ascii_digit()) {
            return Self::parse_numbered(c);
        }
        let start = c.at();
        let name = c.atom_text()?;
        if StatusKind::from_name(name.as_bytes()).is_some() {
            c.set_at(start);
            return StatusResponse::parse(c).map(Self::Status).map(Some);
        }
        let mut buffer = [0; 16];
        let data = match crate::command::upper(name, &mut buffer) {
            "CAPABILITY" => Self::Capability(parse_capabilities(c)?),
            "ENABLED" => Self::Enabled(parse_capabilities(c)?),
            "LIST" => Self::List(MailboxList::parse(c)?),
            "LSUB" => Self::Lsub(MailboxList::parse(c)?),
            "NAMESPACE" => Self::Namespace(Namespaces::parse(c)?),
            "FLAGS" => {
                c.space()?;
                Self::Flags(c.list(Flag::parse)?)
            }
            "STATUS" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                let values = c.list(StatusValue::parse)?;
                let _ = c.eat(b' ');
                Self::MailboxStatus { mailbox, values }
            }
            "SEARCH" => search::parse_search(c)?,
            "SORT" => Self::Sort(search::parse_numbers(c)?),
            "THREAD" => Self::Thread(search::parse_threads(c)?),
            "ESEARCH" => Self::ESearch(ESearch::parse(c)?),
            "ID" => {
                c.space()?;
                Self::Id(crate::command::parse_id(c)?)
            }
            "VANISHED" => {
                c.space()?;
                let earlier = c.eat_text("(EARLIER) ");
                let uids = NumberSet::parse(c)?;
                Self::Vanished { earlier, uids }
            }
            "QUOTA" => {
                c.space()?;
                let root = IString::parse_astring(c)?;
                c.space()?;
                let resources = c.list(QuotaResource::parse)?;
                Self::Quota { root, resources }
            }
            "ACL" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                let mut entries = Vec::new();
                while c.eat(b' ') {
                    let identifier = IString::parse_astring(c)?;
                    c.space()?;
                    entries.push((identifier, Rights::parse(c)?));
                }
                Self::Acl { mailbox, entries }
            }
            "LISTRIGHTS" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                let identifier = IString::parse_astring(c)?;
                c.space()?;
                let required = Rights::parse(c)?;
                let mut optional = Vec::new();
                while c.eat(b' ') {
                    optional.push(Rights::parse(c)?);
                }
                Self::ListRights {
                    mailbox,
                    identifier,
                    required,
                    optional,
                }
            }
            "MYRIGHTS" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                let rights = Rights::parse(c)?;
                Self::MyRights { mailbox, rights }
            }
            "METADATA" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                if c.peek() == Some(b'(') {
                    let values = c.list1(MetadataValue::parse)?;
                    return Ok(Some(Self::Metadata { mailbox, values }));
                }
                let mut entries = vec![EntryName::parse(c)?];
                while c.eat(b' ') {
                    entries.push(EntryName::parse(c)?);
                }
                Self::MetadataChanged { mailbox, entries }
            }
            "QUOTAROOT" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                let mut roots = Vec::new();
                while c.eat(b' ') {
                    roots.push(IString::parse_astring(c)?);
                }
                Self::QuotaRoot { mailbox, roots }
            }
            _ => return Ok(None),
        };
        Ok(Some(data))
    }

    fn parse_numbered(c: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        let at = c.at();
        let number = c.number()?;
        c.space()?;
        let name = c.atom_text()?;
        let nz = NonZeroU32::new(number).ok_or(Cursor::error_at(ParseErrorKind::Number, at));
        let mut buffer = [0; 16];
        Ok(Some(match crate::command::upper(name, &mut buffer) {
            "EXISTS" => Self::Exists(number),
            "RECENT" => Self::Recent(number),
            "EXPUNGE" => Self::Expunge(nz?),
            "FETCH" => {
                c.space()?;
                Self::Fetch {
                    sequence: nz?,
                    items: c.list(FetchItem::parse)?,
                }
            }
            "UIDFETCH" => {
                c.space()?;
                Self::UidFetch {
                    uid: nz?,
                    items: c.list(FetchItem::parse)?,
                }
            }
            _ => return Ok(None),
        }))
    }

    /// `* ` data CRLF.
    pub(crate) fn encode_line(&self, w: &mut Writer<'_>) {
        w.raw(b"* ");
        self.encode(w);
        w.raw(b"\r\n");
    }

    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Status(status) => status.encode(w),
            Self::Capability(all) => encode_capabilities(w, b"CAPABILITY", all),
            Self::Enabled(all) => encode_capabilities(w, b"ENABLED", all),
            Self::List(list) => {
                w.raw(b"LIST ");
                list.encode(w);
            }
            Self::Lsub(list) => {
                w.raw(b"LSUB ");
                list.encode(w);
            }
            Self::Namespace(namespaces) => {
                w.raw(b"NAMESPACE ");
                namespaces.encode(w);
            }
            Self::MailboxStatus { mailbox, values } => {
                w.raw(b"STATUS ");
                mailbox.encode(w);
                w.space();
                w.list(values, |w, value| value.encode(w));
            }
            Self::Flags(flags) => {
                w.raw(b"FLAGS ");
                w.list(flags, |w, flag| flag.encode(w));
            }
            Self::Search { numbers, mod_seq } => search::encode_search(w, numbers, *mod_seq),
            Self::Sort(numbers) => {
                w.raw(b"SORT");
                search::encode_numbers(w, numbers);
            }
            Self::Thread(threads) => search::encode_threads(w, threads),
            Self::ESearch(result) => result.encode(w),
            Self::Exists(number) => encode_numbered(w, *number, b" EXISTS"),
            Self::Recent(number) => encode_numbered(w, *number, b" RECENT"),
            Self::Expunge(number) => encode_numbered(w, number.get(), b" EXPUNGE"),
            Self::Vanished { earlier, uids } => {
                w.raw(if *earlier {
                    b"VANISHED (EARLIER) "
                } else {
                    b"VANISHED "
                });
                uids.encode(w);
            }
            Self::Fetch { sequence, items } => {
                encode_numbered(w, sequence.get(), b" FETCH ");
                w.list(items, |w, item| item.encode(w));
            }
            Self::UidFetch { uid, items } => {
                encode_numbered(w, uid.get(), b" UIDFETCH ");
                w.list(items, |w, item| item.encode(w));
            }
            Self::Id(parameters) => {
                w.raw(b"ID ");
                crate::command::encode_id(parameters.as_deref(), w);
            }
            Self::Quota { root, resources } => {
                w.raw(b"QUOTA ");
                root.encode_astring(w);
                w.space();
                w.list(resources, |w, resource| resource.encode(w));
            }
            Self::QuotaRoot { mailbox, roots } => {
                w.raw(b"QUOTAROOT ");
                mailbox.encode(w);
                for root in roots {
                    w.space();
                    root.encode_astring(w);
                }
            }
            Self::Acl { mailbox, entries } => {
                w.raw(b"ACL ");
                mailbox.encode(w);
                for (identifier, rights) in entries {
                    w.space();
                    identifier.encode_astring(w);
                    w.space();
                    rights.encode(w);
                }
            }
            Self::ListRights {
                mailbox,
                identifier,
                required,
                optional,
            } => {
                w.raw(b"LISTRIGHTS ");
                mailbox.encode(w);
                w.space();
                identifier.encode_astring(w);
                w.space();
                required.encode(w);
                for rights in optional {
                    w.space();
                    rights.encode(w);
                }
            }
            Self::MyRights { mailbox, rights } => {
                w.raw(b"MYRIGHTS ");
                mailbox.encode(w);
                w.space();
                rights.encode(w);
            }
            Self::Metadata { mailbox, values } => {
                w.raw(b"METADATA ");
                mailbox.encode(w);
                w.space();
                w.list(values, |w, value| value.encode(w));
            }
            Self::MetadataChanged { mailbox, entries } => {
                w.raw(b"METADATA ");
                mailbox.encode(w);
                w.space();
                w.spaced(entries, |w, entry| entry.encode(w));
            }
            Self::Other(raw) => w.raw(raw),
        }
    }
}

fn encode_numbered(w: &mut Writer<'_>, number: u32, name: &[u8]) {
    w.number(number);
    w.raw(name);
}

fn parse_capabilities(c: &mut Cursor<'_>) -> Parsed<Vec<Capability>> {
    let mut all = Vec::new();
    // Some servers end the line with a space.
    while c.eat(b' ') && !c.is_end() {
        all.push(Capability::parse(c)?);
    }
    Ok(all)
}

fn encode_capabilities(w: &mut Writer<'_>, name: &[u8], all: &[Capability]) {
    w.raw(name);
    for one in all {
        w.space();
        w.str(one.as_str());
    }
}
