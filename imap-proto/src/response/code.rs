use std::num::NonZeroU32;

use bytes::Bytes;

use super::{AnnotationSupport, Progress};
use crate::Capability;
use crate::command::FilterName;
use crate::cursor::{Cursor, Parsed};
use crate::types::string::quote;
use crate::types::{Atom, Chars, IString, ImapUrl, NumberSet, PermanentFlag, Tag};
use crate::wire::Writer;

/// `resp-text-code`: what a status means, for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the RFC's word")]
#[non_exhaustive]
pub enum Code {
    Alert,
    /// Charsets that SEARCH can do; may be empty.
    BadCharset(Vec<IString>),
    Capability(Vec<Capability>),
    Parse,
    PermanentFlags(Vec<PermanentFlag>),
    ReadOnly,
    ReadWrite,
    TryCreate,
    UidNext(NonZeroU32),
    UidValidity(NonZeroU32),
    /// The sequence number of the first unseen message (RFC 3501).
    Unseen(NonZeroU32),
    /// RFC 4315.
    AppendUid {
        uid_validity: NonZeroU32,
        uids: NumberSet,
    },
    /// RFC 4315: the n-th of the one became the n-th of the other.
    CopyUid {
        uid_validity: NonZeroU32,
        source: NumberSet,
        destination: NumberSet,
    },
    UidNotSticky,
    UnknownCte,
    Closed,
    NotSaved,
    HasChildren,
    // RFC 5530
    Unavailable,
    AuthenticationFailed,
    AuthorizationFailed,
    Expired,
    PrivacyRequired,
    ContactAdmin,
    NoPerm,
    InUse,
    ExpungeIssued,
    Corruption,
    ServerBug,
    ClientBug,
    Cannot,
    Limit,
    OverQuota,
    AlreadyExists,
    NonExistent,
    // RFC 7162
    HighestModSeq(u64),
    NoModSeq,
    Modified(NumberSet),
    // RFC 4469, 6154, 8474, 5182, 9586, 4978, 5464
    TooBig,
    UseAttr,
    /// RFC 8474.
    MailboxId(IString),
    UidRequired,
    CompressionActive,
    /// RFC 4469: the first URL that cannot be had.
    BadUrl(Bytes),
    /// RFC 4467: mechanisms and what belongs to them; INTERNAL first.
    UrlMech(Vec<(Atom, Option<Bytes>)>),
    /// RFC 5465.
    NotificationOverflow,
    /// RFC 5465: the events that there are; at least one.
    BadEvent(Vec<Atom>),
    /// RFC 5267: what this search finds will not be kept up to date.
    NoUpdate(Tag),
    /// RFC 5257.
    AnnotateTooBig,
    /// RFC 5257.
    AnnotateTooMany,
    /// RFC 5257.
    Annotations(AnnotationSupport),
    /// RFC 5466.
    UndefinedFilter(FilterName),
    /// RFC 5255.
    BadComparator,
    /// RFC 9738.
    MessageLimit {
        /// The most messages that a command works on.
        limit: NonZeroU32,
        /// The lowest UID that was worked on.
        last_uid: Option<NonZeroU32>,
    },
    /// RFC 9585.
    InProgress(Progress),
    /// RFC 2221, RFC 2193: where to ask instead; at least one.
    Referral(Vec<ImapUrl>),
    /// RFC 5464: octets of the longest value that was left out.
    MetadataLongEntries(u64),
    /// RFC 5464: octets of the largest value.
    MetadataMaxSize(u64),
    /// RFC 5464.
    MetadataTooMany,
    /// RFC 5464.
    MetadataNoPrivate,
    /// A code that this crate does not know, with its argument.
    Other {
        name: Box<str>,
        argument: Option<Bytes>,
    },
}

macro_rules! plain_codes {
    ($($name:literal => $code:ident,)*) => {
        fn plain(name: &str) -> Option<Code> {
            $(if name.eq_ignore_ascii_case($name) {
                return Some(Code::$code);
            })*
            None
        }

        fn plain_name(code: &Code) -> Option<&'static str> {
            match code {
                $(Code::$code => Some($name),)*
                _ => None,
            }
        }
    };
}

plain_codes! {
    "ALERT" => Alert,
    "PARSE" => Parse,
    "READ-ONLY" => ReadOnly,
    "READ-WRITE" => ReadWrite,
    "TRYCREATE" => TryCreate,
    "UIDNOTSTICKY" => UidNotSticky,
    "UNKNOWN-CTE" => UnknownCte,
    "CLOSED" => Closed,
    "NOTSAVED" => NotSaved,
    "HASCHILDREN" => HasChildren,
    "UNAVAILABLE" => Unavailable,
    "AUTHENTICATIONFAILED" => AuthenticationFailed,
    "AUTHORIZATIONFAILED" => AuthorizationFailed,
    "EXPIRED" => Expired,
    "PRIVACYREQUIRED" => PrivacyRequired,
    "CONTACTADMIN" => ContactAdmin,
    "NOPERM" => NoPerm,
    "INUSE" => InUse,
    "EXPUNGEISSUED" => ExpungeIssued,
    "CORRUPTION" => Corruption,
    "SERVERBUG" => ServerBug,
    "CLIENTBUG" => ClientBug,
    "CANNOT" => Cannot,
    "LIMIT" => Limit,
    "OVERQUOTA" => OverQuota,
    "ALREADYEXISTS" => AlreadyExists,
    "NONEXISTENT" => NonExistent,
    "NOMODSEQ" => NoModSeq,
    "TOOBIG" => TooBig,
    "USEATTR" => UseAttr,
    "UIDREQUIRED" => UidRequired,
    "COMPRESSIONACTIVE" => CompressionActive,
    "NOTIFICATIONOVERFLOW" => NotificationOverflow,
    "BADCOMPARATOR" => BadComparator,
}

impl Code {
    /// COPYUID of these messages: of each its UID there and here, in the order
    /// in which they were copied (RFC 4315 §3). `None` where none was.
    #[must_use]
    pub fn copied(
        uid_validity: NonZeroU32,
        uids: impl IntoIterator<Item = (NonZeroU32, NonZeroU32)>,
    ) -> Option<Self> {
        let mut uids: Vec<_> = uids.into_iter().collect();
        // Sets ascend: the n-th of the one must be the n-th of the other.
        uids.sort_unstable();
        let source: NumberSet = uids.iter().map(|(from, _)| *from).collect();
        let destination = uids.iter().map(|(_, to)| *to).collect();
        (!source.is_empty()).then_some(Self::CopyUid {
            uid_validity,
            source,
            destination,
        })
    }

    /// The code between `[` and `]`; both are taken.
    ///
    /// What is not understood is kept as [`Code::Other`].
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.expect(b'[', "\"[\"")?;
        let start = c.at();
        if let Ok(code) = Self::parse_known(c)
            && c.eat(b']')
        {
            return Ok(code);
        }
        c.set_at(start);
        let name = c.atom_text()?.into();
        let argument = if c.eat(b' ') {
            let at = c.at();
            skip_argument(c);
            Some(c.slice(at, c.at()))
        } else {
            None
        };
        c.expect(b']', "\"]\"")?;
        Ok(Self::Other { name, argument })
    }

    fn parse_known(c: &mut Cursor<'_>) -> Parsed<Self> {
        let name = c.atom_text()?;
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if let Some(code) = plain(name) {
            return Ok(code);
        }
        if is("BADCHARSET") {
            let charsets = match c.eat(b' ') {
                true => c.list(IString::parse_astring)?,
                false => Vec::new(),
            };
            return Ok(Self::BadCharset(charsets));
        }
        if is("INPROGRESS") && c.peek() == Some(b']') {
            return Ok(Self::InProgress(Progress::default()));
        }
        c.space()?;
        if is("CAPABILITY") {
            let mut all = vec![Capability::parse(c)?];
            while c.eat(b' ') {
                c.element()?;
                all.push(Capability::parse(c)?);
            }
            Ok(Self::Capability(all))
        } else if is("PERMANENTFLAGS") {
            c.list(PermanentFlag::parse).map(Self::PermanentFlags)
        } else if is("UIDNEXT") {
            c.nz_number().map(Self::UidNext)
        } else if is("UIDVALIDITY") {
            c.nz_number().map(Self::UidValidity)
        } else if is("UNSEEN") {
            c.nz_number().map(Self::Unseen)
        } else if is("APPENDUID") {
            let uid_validity = c.nz_number()?;
            c.space()?;
            let uids = NumberSet::parse(c)?;
            Ok(Self::AppendUid { uid_validity, uids })
        } else if is("COPYUID") {
            let uid_validity = c.nz_number()?;
            c.space()?;
            let source = NumberSet::parse(c)?;
            c.space()?;
            Ok(Self::CopyUid {
                uid_validity,
                source,
                destination: NumberSet::parse(c)?,
            })
        } else if is("HIGHESTMODSEQ") {
            c.number64().map(Self::HighestModSeq)
        } else if is("MODIFIED") {
            NumberSet::parse(c).map(Self::Modified)
        } else if is("MAILBOXID") {
            c.open()?;
            let id = IString::parse_astring(c)?;
            c.close()?;
            Ok(Self::MailboxId(id))
        } else {
            Self::parse_extended(name, c)
        }
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.byte(b'[');
        self.encode_inside(w);
        w.byte(b']');
    }

    fn encode_inside(&self, w: &mut Writer<'_>) {
        let mut number = |name: &str, number: u64| {
            w.str(name);
            w.space();
            w.number(number);
        };
        match self {
            Self::UidNext(uid) => return number("UIDNEXT", uid.get().into()),
            Self::UidValidity(value) => return number("UIDVALIDITY", value.get().into()),
            Self::Unseen(seq) => return number("UNSEEN", seq.get().into()),
            Self::HighestModSeq(value) => return number("HIGHESTMODSEQ", *value),
            _ => {}
        }
        match self {
            Self::BadCharset(charsets) => {
                w.raw(b"BADCHARSET");
                if !charsets.is_empty() {
                    w.space();
                    w.list(charsets, |w, one| one.encode_astring(w));
                }
            }
            Self::Capability(all) => {
                w.raw(b"CAPABILITY ");
                w.spaced(all, |w, one| w.str(one.as_str()));
            }
            Self::PermanentFlags(flags) => {
                w.raw(b"PERMANENTFLAGS ");
                w.list(flags, |w, flag| flag.encode(w));
            }
            Self::AppendUid { uid_validity, uids } => {
                w.raw(b"APPENDUID ");
                w.number(uid_validity.get());
                w.space();
                uids.encode(w);
            }
            Self::CopyUid {
                uid_validity,
                source,
                destination,
            } => {
                w.raw(b"COPYUID ");
                w.number(uid_validity.get());
                w.space();
                source.encode(w);
                w.space();
                destination.encode(w);
            }
            Self::Modified(set) => {
                w.raw(b"MODIFIED ");
                set.encode(w);
            }
            Self::MailboxId(id) => {
                w.raw(b"MAILBOXID (");
                id.encode_astring(w);
                w.byte(b')');
            }
            Self::Other { name, argument } => {
                w.str(name);
                if let Some(argument) = argument {
                    w.space();
                    w.raw(argument);
                }
            }
            other => match plain_name(other) {
                Some(name) => w.str(name),
                None => other.encode_extended(w),
            },
        }
    }

    /// Whether it can stand in one line between brackets.
    pub(crate) fn is_sendable(&self) -> bool {
        match self {
            Self::Other { name, argument } => {
                !name.is_empty()
                    && name.bytes().all(|octet| Chars::ATOM.holds(octet))
                    && argument.as_ref().is_none_or(|argument| {
                        argument
                            .iter()
                            .all(|octet| Chars::TEXT.holds(*octet) && *octet != b']')
                    })
            }
            Self::AppendUid { uids, .. } => !uids.is_empty(),
            Self::CopyUid {
                source,
                destination,
                ..
            } => !source.is_empty() && !destination.is_empty(),
            Self::Modified(set) => !set.is_empty(),
            Self::Capability(all) => !all.is_empty(),
            Self::BadUrl(url) => {
                let fits = |octet: &u8| Chars::TEXT.holds(*octet) && *octet != b']';
                !url.is_empty() && !url.starts_with(b"\"") && url.iter().all(fits)
            }
            Self::UrlMech(mechanisms) => !mechanisms.is_empty(),
            Self::BadEvent(names) => !names.is_empty(),
            Self::Referral(urls) => {
                let fits = |url: &ImapUrl| !url.as_str().is_empty() && !url.as_str().contains(']');
                !urls.is_empty() && urls.iter().all(fits)
            }
            _ => true,
        }
    }
}

/// Up to the `]` that ends the code: not one inside a quoted string.
fn skip_argument(c: &mut Cursor<'_>) {
    let mut quoted = false;
    while let Some(octet) = c.peek() {
        match octet {
            b'"' => quoted = !quoted,
            b'\\' if quoted => c.set_at(c.at() + 1),
            b']' if !quoted => return,
            _ => {}
        }
        c.set_at(c.at() + 1);
    }
}

/// A word that is an atom, or else a quoted string.
pub(crate) fn atom_or_quoted(word: &str, w: &mut Writer<'_>) {
    if !word.is_empty() && word.bytes().all(|octet| Chars::ATOM.holds(octet)) {
        w.str(word);
    } else {
        quote(w, word.as_bytes());
    }
}
