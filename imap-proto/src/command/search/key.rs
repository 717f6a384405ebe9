use std::num::NonZeroU32;

use super::FilterName;
use crate::command::AnnotationMatch;
use crate::cursor::{self, Cursor, Parsed, put, words};
use crate::types::{Atom, Chars, Date, IString, SequenceSet};
use crate::wire::Writer;
use crate::{Extension, ParseError, ParseErrorKind};

/// `search-key`.
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
    Header(IString, IString),
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
    Not(Box<SearchKey>),
    Or(Box<(SearchKey, SearchKey)>),
    /// All of these; at least one.
    And(Vec<SearchKey>),
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
    /// RFC 6203.
    Fuzzy(Box<SearchKey>),
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

words! {
    ALL ANSWERED DELETED DRAFT FLAGGED NEW OLD RECENT SEEN UNDRAFT UNSEEN KEYWORD BCC BODY CC FROM
    SUBJECT TEXT TO HEADER BEFORE ON SINCE SENTON SAVEDON LARGER SMALLER UID NOT FILTER UIDAFTER
    FUZZY OR OLDER YOUNGER MODSEQ EMAILID THREADID
}

#[cold]
fn unknown(at: usize) -> ParseError {
    Cursor::error_at(ParseErrorKind::Unknown("search key"), at)
}

impl SearchKey {
    /// `search-key *(SP search-key)` up to the end.
    pub(in crate::command) fn parse_program(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut key = Self::All;
        Self::parse_into(c, &mut key)?;
        if c.peek() != Some(b' ') {
            return Ok(key);
        }
        let mut keys = Vec::with_capacity(8);
        keys.push(key);
        while c.eat(b' ') {
            keys.push(Self::All);
            if let Some(key) = keys.last_mut() {
                Self::parse_into(c, key)?;
            }
        }
        Ok(Self::And(keys))
    }

    pub(in crate::command) fn encode_program(&self, w: &mut Writer<'_>) {
        match self {
            Self::And(keys) if keys.len() > 1 => w.spaced(keys, |w, key| key.encode(w)),
            key => key.encode(w),
        }
    }

    fn parse_boxed(c: &mut Cursor<'_>) -> Parsed<Box<Self>> {
        let mut key = Box::new(Self::All);
        Self::parse_into(c, &mut key)?;
        Ok(key)
    }

    /// A key, put where it stays, in place of ALL.
    fn parse_into(c: &mut Cursor<'_>, key: &mut Self) -> Parsed<()> {
        c.deeper(|c| Self::parse_here(c, key))
    }

    fn parse_here(c: &mut Cursor<'_>, key: &mut Self) -> Parsed<()> {
        match c.peek() {
            Some(b'(') => {
                put(key, Self::And(c.list1_of(|| Self::All, Self::parse_into)?));
                return Ok(());
            }
            Some(b'0'..=b'9' | b'*' | b'$') => {
                put(key, Self::Sequence(SequenceSet::parse(c)?));
                return Ok(());
            }
            _ => {}
        }
        let at = c.at();
        let word = c.word(Chars::ATOM);
        if word == 0 {
            put(key, Self::parse_long(at, c)?);
            return Ok(());
        }
        let behind = c.rest();
        if !c.eat(b' ') {
            put(key, Self::plain(word).ok_or_else(|| unknown(at))?);
            return Ok(());
        }
        let parsed = match word {
            KEYWORD => Self::Keyword(Atom::parse(c)?),
            BCC => Self::Bcc(IString::parse_astring(c)?),
            BODY => Self::Body(IString::parse_astring(c)?),
            CC => Self::Cc(IString::parse_astring(c)?),
            FROM => Self::From(IString::parse_astring(c)?),
            SUBJECT => Self::Subject(IString::parse_astring(c)?),
            TEXT => Self::Text(IString::parse_astring(c)?),
            TO => Self::To(IString::parse_astring(c)?),
            HEADER => {
                let name = IString::parse_astring(c)?;
                c.space()?;
                Self::Header(name, IString::parse_astring(c)?)
            }
            BEFORE => Self::Before(Date::parse(c)?),
            ON => Self::On(Date::parse(c)?),
            SINCE => Self::Since(Date::parse(c)?),
            SENTON => Self::SentOn(Date::parse(c)?),
            SAVEDON => Self::SavedOn(Date::parse(c)?),
            LARGER => Self::Larger(c.number64()?),
            SMALLER => Self::Smaller(c.number64()?),
            UID => Self::Uid(SequenceSet::parse(c)?),
            NOT => Self::Not(Self::parse_boxed(c)?),
            FILTER => Self::Filter(FilterName::parse(c)?),
            UIDAFTER => Self::UidAfter(c.nz_number()?),
            FUZZY => Self::Fuzzy(Self::parse_boxed(c)?),
            OR => {
                let mut keys = Box::new((Self::All, Self::All));
                Self::parse_into(c, &mut keys.0)?;
                c.space()?;
                Self::parse_into(c, &mut keys.1)?;
                Self::Or(keys)
            }
            OLDER => Self::Older(c.nz_number()?),
            YOUNGER => Self::Younger(c.nz_number()?),
            MODSEQ => {
                // [SP entry-name SP entry-type-req]: flags have no sequence
                // of their own here, so the message's is what is compared.
                if c.peek() == Some(b'"') {
                    IString::parse(c)?;
                    c.space()?;
                    c.atom_text()?;
                    c.space()?;
                }
                Self::ModSeq(c.number64()?)
            }
            EMAILID => Self::EmailId(IString::parse_astring(c)?),
            THREADID => Self::ThreadId(IString::parse_astring(c)?),
            _ => {
                c.leave(behind);
                Self::plain(word).ok_or_else(|| unknown(at))?
            }
        };
        put(key, parsed);
        Ok(())
    }

    /// The keys of short names that stand alone.
    fn plain(word: u64) -> Option<Self> {
        Some(match word {
            ALL => Self::All,
            ANSWERED => Self::Answered,
            DELETED => Self::Deleted,
            DRAFT => Self::Draft,
            FLAGGED => Self::Flagged,
            NEW => Self::New,
            OLD => Self::Old,
            RECENT => Self::Recent,
            SEEN => Self::Seen,
            UNDRAFT => Self::Undraft,
            UNSEEN => Self::Unseen,
            _ => return None,
        })
    }

    /// The keys whose names are long.
    fn parse_long(at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut buffer = [0; cursor::KEYWORD];
        let word = c.keyword(Chars::ATOM, &mut buffer);
        match word {
            b"UNANSWERED" => return Ok(Self::Unanswered),
            b"UNDELETED" => return Ok(Self::Undeleted),
            b"UNFLAGGED" => return Ok(Self::Unflagged),
            b"SAVEDATESUPPORTED" => return Ok(Self::SaveDateSupported),
            _ => {}
        }
        if c.at() == at {
            return c.expected("a search key");
        }
        if !c.eat(b' ') {
            return Err(unknown(at));
        }
        Ok(match word {
            b"UNKEYWORD" => Self::Unkeyword(Atom::parse(c)?),
            b"SENTBEFORE" => Self::SentBefore(Date::parse(c)?),
            b"SENTSINCE" => Self::SentSince(Date::parse(c)?),
            b"SAVEDBEFORE" => Self::SavedBefore(Date::parse(c)?),
            b"SAVEDSINCE" => Self::SavedSince(Date::parse(c)?),
            b"ANNOTATION" => Self::Annotation(Box::new(AnnotationMatch::parse(c)?)),
            b"UIDBEFORE" => Self::UidBefore(c.nz_number()?),
            _ => return Err(unknown(at)),
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
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
            Self::Header(name, value) => {
                string("HEADER", name);
                w.space();
                return value.encode_astring(w);
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
            Self::Not(key) => {
                w.raw(b"NOT ");
                key.encode(w);
            }
            Self::Fuzzy(key) => {
                w.raw(b"FUZZY ");
                key.encode(w);
            }
            Self::Filter(name) => {
                w.raw(b"FILTER ");
                w.str(name.as_str());
            }
            Self::Annotation(wanted) => {
                w.raw(b"ANNOTATION ");
                wanted.encode(w);
            }
            Self::Or(keys) => {
                w.raw(b"OR ");
                keys.0.encode(w);
                w.space();
                keys.1.encode(w);
            }
            Self::And(keys) => w.list(keys, |w, key| key.encode(w)),
            plain => w.raw(plain_name(plain).unwrap_or(b"ALL")),
        }
    }

    pub(in crate::command) fn names_sequence_numbers(&self) -> bool {
        match self {
            Self::Sequence(set) => *set != SequenceSet::SavedResult,
            Self::Not(key) | Self::Fuzzy(key) => key.names_sequence_numbers(),
            Self::Or(keys) => keys.0.names_sequence_numbers() || keys.1.names_sequence_numbers(),
            Self::And(keys) => keys.iter().any(Self::names_sequence_numbers),
            _ => false,
        }
    }

    /// Whether MODSEQ is in it: then the answer says the highest modification
    /// sequence among what was found (RFC 7162 §3.1.5).
    #[must_use]
    pub fn names_mod_seq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::Not(key) | Self::Fuzzy(key) => key.names_mod_seq(),
            Self::Or(keys) => keys.0.names_mod_seq() || keys.1.names_mod_seq(),
            Self::And(keys) => keys.iter().any(Self::names_mod_seq),
            _ => false,
        }
    }

    /// Whether a part of it is fuzzy, or a filter that may be.
    pub(in crate::command) fn may_be_fuzzy(&self) -> bool {
        match self {
            Self::Fuzzy(_) | Self::Filter(_) => true,
            Self::Not(key) => key.may_be_fuzzy(),
            Self::Or(keys) => keys.0.may_be_fuzzy() || keys.1.may_be_fuzzy(),
            Self::And(keys) => keys.iter().any(Self::may_be_fuzzy),
            _ => false,
        }
    }

    pub(in crate::command) fn requires(&self, need: &mut dyn FnMut(Extension)) {
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
            Self::Fuzzy(key) => {
                need(Extension::SearchFuzzy);
                key.requires(need);
            }
            Self::Filter(_) => need(Extension::Filters),
            Self::Annotation(_) => need(Extension::Annotate),
            Self::UidAfter(_) | Self::UidBefore(_) => need(Extension::MessageLimit),
            Self::Not(key) => key.requires(need),
            Self::Or(keys) => {
                keys.0.requires(need);
                keys.1.requires(need);
            }
            Self::And(keys) => keys.iter().for_each(|key| key.requires(need)),
            _ => {}
        }
    }
}
