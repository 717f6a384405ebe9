use std::num::NonZeroU32;

use super::FilterName;
use crate::Extension;
use crate::command::AnnotationMatch;
use crate::types::{Atom, Date, IString, SequenceSet};
use crate::wire::Writer;

/// `search-key` that is made of no others: these are in [`SearchKeys`](super::SearchKeys).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the RFC's word")]
#[non_exhaustive]
pub enum SearchKey {
    All,
    Answered,
    Deleted,
    Draft,
    Flagged,
    New,
    Old,
    Recent,
    Seen,
    Unanswered,
    Undeleted,
    Undraft,
    Unflagged,
    Unseen,
    Keyword(Atom),
    Unkeyword(Atom),
    Bcc(IString),
    Body(IString),
    Cc(IString),
    From(IString),
    Subject(IString),
    Text(IString),
    To(IString),
    /// Field name, substring of its value (empty: the field exists).
    Header(Box<(IString, IString)>),
    Before(Date),
    On(Date),
    Since(Date),
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    Larger(u64),
    Smaller(u64),
    Uid(SequenceSet),
    Sequence(SequenceSet),
    /// Arrived more than so many seconds ago (RFC 5032).
    Older(NonZeroU32),
    /// Arrived at most so many seconds ago (RFC 5032).
    Younger(NonZeroU32),
    /// Modification sequence of at least that (RFC 7162).
    ModSeq(u64),
    /// RFC 8474.
    EmailId(IString),
    /// RFC 8474.
    ThreadId(IString),
    /// RFC 8514.
    SavedBefore(Date),
    /// RFC 8514.
    SavedOn(Date),
    /// RFC 8514.
    SavedSince(Date),
    /// RFC 8514.
    SaveDateSupported,
    /// A search that is stored under this name (RFC 5466).
    Filter(FilterName),
    /// RFC 5257.
    Annotation(Box<AnnotationMatch>),
    /// UID above that (RFC 9738 §3.2).
    UidAfter(NonZeroU32),
    /// UID below that (RFC 9738 §3.2).
    UidBefore(NonZeroU32),
}

macro_rules! plain_keys {
    ($($name:literal => $key:ident,)*) => {
        fn plain_name(key: &SearchKey) -> Option<&'static [u8]> {
            match key {
                $(SearchKey::$key => Some($name),)*
                _ => None,
            }
        }
    };
}

plain_keys! {
    b"ALL" => All,
    b"ANSWERED" => Answered,
    b"DELETED" => Deleted,
    b"DRAFT" => Draft,
    b"FLAGGED" => Flagged,
    b"NEW" => New,
    b"OLD" => Old,
    b"RECENT" => Recent,
    b"SEEN" => Seen,
    b"UNANSWERED" => Unanswered,
    b"UNDELETED" => Undeleted,
    b"UNDRAFT" => Undraft,
    b"UNFLAGGED" => Unflagged,
    b"UNSEEN" => Unseen,
    b"SAVEDATESUPPORTED" => SaveDateSupported,
}

impl SearchKey {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        let mut string = |name: &str, value: &IString| {
            w.str(name);
            w.space();
            value.encode_astring(w);
        };
        match self {
            Self::Bcc(value) => return string("BCC", value),
            Self::Body(value) => return string("BODY", value),
            Self::Cc(value) => return string("CC", value),
            Self::From(value) => return string("FROM", value),
            Self::Subject(value) => return string("SUBJECT", value),
            Self::Text(value) => return string("TEXT", value),
            Self::To(value) => return string("TO", value),
            Self::EmailId(value) => return string("EMAILID", value),
            Self::ThreadId(value) => return string("THREADID", value),
            Self::Header(field) => {
                string("HEADER", &field.0);
                w.space();
                return field.1.encode_astring(w);
            }
            _ => {}
        }
        let mut date = |name: &str, value: &Date| {
            w.str(name);
            w.space();
            value.encode(w);
        };
        match self {
            Self::Before(day) => return date("BEFORE", day),
            Self::On(day) => return date("ON", day),
            Self::Since(day) => return date("SINCE", day),
            Self::SentBefore(day) => return date("SENTBEFORE", day),
            Self::SentOn(day) => return date("SENTON", day),
            Self::SentSince(day) => return date("SENTSINCE", day),
            Self::SavedBefore(day) => return date("SAVEDBEFORE", day),
            Self::SavedOn(day) => return date("SAVEDON", day),
            Self::SavedSince(day) => return date("SAVEDSINCE", day),
            _ => {}
        }
        let mut number = |name: &str, value: u64| {
            w.str(name);
            w.space();
            w.number(value);
        };
        match self {
            Self::Larger(size) => return number("LARGER", *size),
            Self::Smaller(size) => return number("SMALLER", *size),
            Self::Older(age) => return number("OLDER", age.get().into()),
            Self::Younger(age) => return number("YOUNGER", age.get().into()),
            Self::UidAfter(uid) => return number("UIDAFTER", uid.get().into()),
            Self::UidBefore(uid) => return number("UIDBEFORE", uid.get().into()),
            Self::ModSeq(value) => return number("MODSEQ", *value),
            _ => {}
        }
        match self {
            Self::Keyword(flag) => {
                w.raw(b"KEYWORD ");
                w.str(flag.as_str());
            }
            Self::Unkeyword(flag) => {
                w.raw(b"UNKEYWORD ");
                w.str(flag.as_str());
            }
            Self::Uid(set) => {
                w.raw(b"UID ");
                set.encode(w);
            }
            Self::Sequence(set) => set.encode(w),
            Self::Filter(name) => {
                w.raw(b"FILTER ");
                w.str(name.as_str());
            }
            Self::Annotation(wanted) => {
                w.raw(b"ANNOTATION ");
                wanted.encode(w);
            }
            plain => w.raw(plain_name(plain).unwrap_or(b"ALL")),
        }
    }

    pub(super) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        match self {
            Self::Older(_) | Self::Younger(_) => need(Extension::Within),
            Self::ModSeq(_) => need(Extension::CondStore),
            Self::EmailId(_) | Self::ThreadId(_) => need(Extension::ObjectId),
            Self::SavedBefore(_)
            | Self::SavedOn(_)
            | Self::SavedSince(_)
            | Self::SaveDateSupported => need(Extension::SaveDate),
            Self::Sequence(SequenceSet::SavedResult) | Self::Uid(SequenceSet::SavedResult) => {
                need(Extension::SearchRes);
            }
            Self::Filter(_) => need(Extension::Filters),
            Self::Annotation(_) => need(Extension::Annotate),
            Self::UidAfter(_) | Self::UidBefore(_) => need(Extension::MessageLimit),
            _ => {}
        }
    }
}
