use std::num::NonZeroU32;

use bytes::Bytes;

use crate::cursor::{Cursor, KEYWORD, Parsed};
use crate::types::string::{nil, quote};
use crate::types::{Atom, IString, ListPattern, Mailbox};
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

/// `mailbox-list`: the data of LIST and LSUB (RFC 9051 §7.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxList {
    /// `\HasChildren`, `\Noselect`, `\Drafts` …
    pub attributes: Vec<MailboxAttribute>,
    /// The hierarchy delimiter; `None` where names are flat.
    pub delimiter: Option<Delimiter>,
    /// The name.
    pub mailbox: Mailbox,
    /// `CHILDINFO`: selection options that hold for children.
    pub child_info: Vec<IString>,
    /// `OLDNAME` (RFC 9051 §6.3.9.7).
    pub old_name: Option<Mailbox>,
    /// Other extended data items: their names, and all behind the name's
    /// space as it was sent.
    pub extended: Vec<(IString, Bytes)>,
}

/// The character between two levels of the hierarchy: any of ASCII that a
/// quoted string can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiter(u8);

impl Delimiter {
    /// This character.
    ///
    /// # Errors
    /// When it is a control character or not ASCII.
    pub fn new(delimiter: char) -> Result<Self, Invalid> {
        match u8::try_from(delimiter) {
            Ok(octet @ 0x20..=0x7e) => Ok(Self(octet)),
            _ => Err(Invalid {
                term: "hierarchy delimiter",
            }),
        }
    }

    /// The character.
    #[must_use]
    pub fn as_char(self) -> char {
        char::from(self.0)
    }
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// `mbx-list-flags`.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MailboxAttribute {
            $($(#[$doc])* $name,)*
            /// Any other: the atom behind the backslash.
            Other(Atom),
        }

        impl MailboxAttribute {
            /// The name without backslash.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(name) => name.as_str(),
                }
            }

            /// The attribute of this name, without backslash.
            #[must_use]
            pub fn from_name(name: &Atom) -> Self {
                $(if name.as_str().eq_ignore_ascii_case($text) {
                    return Self::$name;
                })*
                Self::Other(name.clone())
            }
        }
    };
}

attributes! {
    /// No child, and none can be made.
    NoInferiors = "Noinferiors",
    /// Cannot be selected.
    NoSelect = "Noselect",
    /// Does not exist; implies `NoSelect`.
    NonExistent = "NonExistent",
    /// Has children.
    HasChildren = "HasChildren",
    /// Has no children.
    HasNoChildren = "HasNoChildren",
    /// Has new messages.
    Marked = "Marked",
    /// Has no new messages.
    Unmarked = "Unmarked",
    /// Is subscribed.
    Subscribed = "Subscribed",
    /// Lives elsewhere.
    Remote = "Remote",
    /// RFC 6154.
    All = "All",
    /// RFC 6154.
    Archive = "Archive",
    /// RFC 6154.
    Drafts = "Drafts",
    /// RFC 6154.
    Flagged = "Flagged",
    /// RFC 6154.
    Junk = "Junk",
    /// RFC 6154.
    Sent = "Sent",
    /// RFC 6154.
    Trash = "Trash",
    /// RFC 8457.
    Important = "Important",
    /// RFC 5465: may be listed, but not watched.
    NoAccess = "NoAccess",
}

impl MailboxList {
    /// A mailbox without attributes.
    #[must_use]
    pub fn new(mailbox: Mailbox, delimiter: Option<Delimiter>) -> Self {
        Self {
            attributes: Vec::new(),
            delimiter,
            mailbox,
            child_info: Vec::new(),
            old_name: None,
            extended: Vec::new(),
        }
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let attributes = c.list(|c| {
            c.expect(b'\\', "\"\\\"")?;
            Ok(MailboxAttribute::from_name(&Atom::parse(c)?))
        })?;
        c.space()?;
        let delimiter = parse_delimiter(c)?;
        c.space()?;
        let mailbox = Mailbox::parse(c)?;
        let (mut child_info, mut old_name) = (Vec::new(), None);
        let mut extended = Vec::new();
        if c.eat(b' ') {
            c.list(|c| {
                let name = IString::parse_astring(c)?;
                c.space()?;
                if name.as_bytes().eq_ignore_ascii_case(b"CHILDINFO") {
                    child_info = c.list(IString::parse_astring)?;
                    return Ok(());
                }
                if name.as_bytes().eq_ignore_ascii_case(b"OLDNAME") {
                    c.open()?;
                    old_name = Some(Mailbox::parse(c)?);
                    return c.close();
                }
                let at = c.at();
                super::fetch::skip_value(c)?;
                extended.push((name, c.slice(at, c.at())));
                Ok(())
            })?;
        }
        Ok(Self {
            attributes,
            delimiter,
            mailbox,
            child_info,
            old_name,
            extended,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.list(&self.attributes, |w, attribute| {
            w.byte(b'\\');
            w.str(attribute.name());
        });
        w.space();
        encode_delimiter(self.delimiter, w);
        w.space();
        self.mailbox.encode(w);
        let mut separator: &[u8] = b" (";
        if !self.child_info.is_empty() {
            w.raw(separator);
            w.raw(b"\"CHILDINFO\" ");
            w.list(&self.child_info, |w, one| one.encode(w));
            separator = b" ";
        }
        if let Some(old) = &self.old_name {
            w.raw(separator);
            w.raw(b"\"OLDNAME\" (");
            old.encode(w);
            w.byte(b')');
            separator = b" ";
        }
        for (name, value) in &self.extended {
            w.raw(separator);
            name.encode_astring(w);
            w.space();
            w.raw(value);
            separator = b" ";
        }
        if separator == b" " {
            w.byte(b')');
        }
    }
}

/// `DQUOTE QUOTED-CHAR DQUOTE / nil`.
fn parse_delimiter(c: &mut Cursor<'_>) -> Parsed<Option<Delimiter>> {
    if nil(c) {
        return Ok(None);
    }
    let at = c.at();
    let text = IString::parse(c)?;
    match text.as_bytes() {
        [] => Ok(None),
        [octet] => Delimiter::new(char::from(*octet))
            .map(Some)
            .map_err(|_| Cursor::error_at(ParseErrorKind::Octets, at)),
        _ => Err(Cursor::error_at(ParseErrorKind::Octets, at)),
    }
}

fn encode_delimiter(delimiter: Option<Delimiter>, w: &mut Writer<'_>) {
    match delimiter {
        Some(Delimiter(octet)) => quote(w, &[octet]),
        None => w.raw(b"NIL"),
    }
}

/// `namespace-response` (RFC 2342): each kind may be empty (NIL).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// The user's own.
    pub personal: Vec<Namespace>,
    /// Other users'.
    pub other_users: Vec<Namespace>,
    /// Shared.
    pub shared: Vec<Namespace>,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What its names begin with, in UTF-8.
    pub prefix: ListPattern,
    /// The hierarchy delimiter.
    pub delimiter: Option<Delimiter>,
    /// `Namespace-Response-Extension` (RFC 4466 §2.7): names and values, at
    /// least one value each.
    pub extensions: Vec<(IString, Vec<IString>)>,
}

impl Namespace {
    /// A namespace without extensions.
    #[must_use]
    pub fn new(prefix: ListPattern, delimiter: Option<Delimiter>) -> Self {
        Self {
            prefix,
            delimiter,
            extensions: Vec::new(),
        }
    }

    /// `TRANSLATION`: the prefix in the language of the session (RFC 5255
    /// §3.4).
    #[must_use]
    pub fn translation(&self) -> Option<ListPattern> {
        let is = |name: &IString| name.as_bytes().eq_ignore_ascii_case(b"TRANSLATION");
        let (_, values) = self.extensions.iter().find(|(name, _)| is(name))?;
        ListPattern::decode(values.first()?.as_bytes())
    }
}

impl Namespaces {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let personal = parse_kind(c)?;
        c.space()?;
        let other_users = parse_kind(c)?;
        c.space()?;
        Ok(Self {
            personal,
            other_users,
            shared: parse_kind(c)?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let kinds = [&self.personal, &self.other_users, &self.shared];
        w.spaced(kinds, |w, kind| {
            if kind.is_empty() {
                return w.raw(b"NIL");
            }
            w.byte(b'(');
            for one in kind {
                w.byte(b'(');
                // Always quoted: that is the grammar.
                let prefix = crate::wire::to_vec(w.dialect, |w| one.prefix.encode(w));
                match prefix.first() {
                    Some(b'"' | b'{') => w.raw(&prefix),
                    _ => quote(w, &prefix),
                }
                w.space();
                encode_delimiter(one.delimiter, w);
                for (name, values) in &one.extensions {
                    w.space();
                    name.encode(w);
                    w.space();
                    w.list(values, |w, value| value.encode(w));
                }
                w.byte(b')');
            }
            w.byte(b')');
        });
    }
}

fn parse_kind(c: &mut Cursor<'_>) -> Parsed<Vec<Namespace>> {
    if nil(c) {
        return Ok(Vec::new());
    }
    c.open()?;
    let mut all = Vec::new();
    while !c.eat(b')') {
        c.element()?;
        c.open()?;
        let prefix = ListPattern::parse(c)?;
        c.space()?;
        let delimiter = parse_delimiter(c)?;
        // Namespace_Response_Extension: `SP string SP "(" … ")"`.
        let mut extensions = Vec::new();
        while c.eat(b' ') {
            let name = IString::parse(c)?;
            c.space()?;
            extensions.push((name, c.list1(IString::parse)?));
        }
        c.close()?;
        all.push(Namespace {
            prefix,
            delimiter,
            extensions,
        });
        let _ = c.eat(b' ');
    }
    Ok(all)
}

/// `status-att-val`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "as the variants of StatusItem")]
#[non_exhaustive]
pub enum StatusValue {
    Messages(u32),
    Recent(u32),
    UidNext(NonZeroU32),
    UidValidity(NonZeroU32),
    Unseen(u32),
    Deleted(u32),
    Size(u64),
    HighestModSeq(u64),
    /// `None` for NIL: no limit.
    AppendLimit(Option<u32>),
    MailboxId(IString),
    DeletedStorage(u64),
    /// One that this crate does not know: its name, and its value as it was
    /// sent.
    Other(Atom, Bytes),
}

impl StatusValue {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let mut buffer = [0; KEYWORD];
        let name = c.verb(&mut buffer)?;
        c.space()?;
        Ok(match name {
            b"MESSAGES" => Self::Messages(c.number()?),
            b"RECENT" => Self::Recent(c.number()?),
            b"UIDNEXT" => Self::UidNext(c.nz_number()?),
            b"UIDVALIDITY" => Self::UidValidity(c.nz_number()?),
            b"UNSEEN" => Self::Unseen(c.number()?),
            b"DELETED" => Self::Deleted(c.number()?),
            b"SIZE" => Self::Size(c.number64()?),
            b"HIGHESTMODSEQ" => Self::HighestModSeq(c.number64()?),
            b"DELETED-STORAGE" => Self::DeletedStorage(c.number64()?),
            b"APPENDLIMIT" if nil(c) => Self::AppendLimit(None),
            b"APPENDLIMIT" => Self::AppendLimit(Some(c.number()?)),
            b"MAILBOXID" => {
                c.open()?;
                let id = IString::parse_astring(c)?;
                c.close()?;
                Self::MailboxId(id)
            }
            _ => {
                c.set_at(at);
                let name = Atom::parse(c)?;
                c.space()?;
                let start = c.at();
                super::fetch::skip_value(c)?;
                Self::Other(name, c.slice(start, c.at()))
            }
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let (name, number): (&str, u64) = match self {
            Self::Messages(number) => ("MESSAGES ", (*number).into()),
            Self::Recent(number) => ("RECENT ", (*number).into()),
            Self::UidNext(number) => ("UIDNEXT ", number.get().into()),
            Self::UidValidity(number) => ("UIDVALIDITY ", number.get().into()),
            Self::Unseen(number) => ("UNSEEN ", (*number).into()),
            Self::Deleted(number) => ("DELETED ", (*number).into()),
            Self::Size(number) => ("SIZE ", *number),
            Self::HighestModSeq(number) => ("HIGHESTMODSEQ ", *number),
            Self::DeletedStorage(number) => ("DELETED-STORAGE ", *number),
            Self::AppendLimit(Some(number)) => ("APPENDLIMIT ", (*number).into()),
            Self::AppendLimit(None) => return w.raw(b"APPENDLIMIT NIL"),
            Self::Other(name, value) => {
                w.str(name.as_str());
                w.space();
                return w.raw(value);
            }
            Self::MailboxId(id) => {
                w.raw(b"MAILBOXID (");
                id.encode_astring(w);
                return w.byte(b')');
            }
        };
        w.str(name);
        w.number(number);
    }
}
