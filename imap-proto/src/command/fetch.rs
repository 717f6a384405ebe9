use std::num::NonZeroU32;

use super::AnnotationRequest;
use crate::cursor::{Cursor, KEYWORD, Parsed, words};
use crate::types::section::{encode_binary, parse_binary};
use crate::types::{Chars, PartNumber, Partial, Section, SequenceSet};
use crate::wire::Writer;
use crate::{Extension, ParseError, ParseErrorKind};

/// FETCH and UID FETCH (RFC 9051 §6.4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Whether the set holds UIDs.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// What of them; macros are expanded. At least one.
    pub attributes: Vec<FetchAttribute>,
    /// Only what has a higher modification sequence (RFC 7162 §3.1.4.1).
    pub changed_since: Option<u64>,
    /// Report what vanished since, too (RFC 7162 §3.2.6).
    pub vanished: bool,
    /// Only that slice of the set (RFC 9394 §3.3).
    pub partial: Option<PartialRange>,
}

/// `fetch-att`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchAttribute {
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822`: as `BODY[]` (RFC 3501).
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]` (RFC 3501).
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]` (RFC 3501).
    Rfc822Text,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `UID`
    Uid,
    /// `BODY[section]<partial>`
    Section {
        /// Which section.
        section: Section,
        /// Which octets of it.
        partial: Option<Partial>,
        /// `BODY.PEEK`: `\Seen` is not set.
        peek: bool,
    },
    /// `BINARY[part]<partial>`: decoded (RFC 9051 §6.4.5).
    Binary {
        /// Which part.
        part: PartNumber,
        /// Which octets of it.
        partial: Option<Partial>,
        /// `BINARY.PEEK`: `\Seen` is not set.
        peek: bool,
    },
    /// `BINARY.SIZE[part]`: octets when decoded.
    BinarySize(PartNumber),
    /// `MODSEQ` (RFC 7162).
    ModSeq,
    /// `EMAILID` (RFC 8474).
    EmailId,
    /// `THREADID` (RFC 8474).
    ThreadId,
    /// `SAVEDATE` (RFC 8514).
    SaveDate,
    /// `PREVIEW` (RFC 8970).
    Preview {
        /// Only if it costs nothing.
        lazy: bool,
    },
    /// `ANNOTATION` (RFC 5257).
    Annotation(Box<AnnotationRequest>),
}

/// `partial-range` (RFC 9394): 1-based, from the front or from the back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialRange {
    /// Counted from the last backwards.
    pub from_end: bool,
    /// The smaller end.
    pub first: NonZeroU32,
    /// The larger end, included.
    pub last: NonZeroU32,
}

impl PartialRange {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let from_end = c.eat(b'-');
        let first = c.nz_number()?;
        c.expect(b':', "\":\"")?;
        if from_end {
            c.expect(b'-', "\"-\"")?;
        }
        let second = c.nz_number()?;
        Ok(Self {
            from_end,
            first: first.min(second),
            last: first.max(second),
        })
    }

    pub(crate) fn encode(self, w: &mut Writer<'_>) {
        let sign: &[u8] = if self.from_end { b"-" } else { b"" };
        w.raw(sign);
        w.number(self.first.get());
        w.byte(b':');
        w.raw(sign);
        w.number(self.last.get());
    }
}

impl Fetch {
    /// Whether an attribute sets `\Seen`.
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        self.attributes.iter().any(FetchAttribute::sets_seen)
    }

    /// What each message is answered with: the attributes; UID with UID FETCH
    /// (RFC 9051 §6.4.9); and FLAGS where they change by `\Seen`, which only
    /// a mailbox that is not selected read-only can have set.
    #[must_use]
    pub fn answered(&self, read_only: bool) -> Vec<FetchAttribute> {
        let mut answered = self.attributes.clone();
        let flags = self.sets_seen() && !read_only;
        for (wanted, attribute) in [
            (self.uid, FetchAttribute::Uid),
            (flags, FetchAttribute::Flags),
        ] {
            if wanted && !answered.contains(&attribute) {
                answered.push(attribute);
            }
        }
        answered
    }

    #[inline]
    pub(crate) fn parse(c: &mut Cursor<'_>, uid: bool) -> Parsed<Self> {
        c.space()?;
        let set = SequenceSet::parse(c)?;
        c.space()?;
        let attributes = if c.peek() == Some(b'(') {
            c.list1(FetchAttribute::parse)?
        } else if let Some(attributes) = parse_macro(c) {
            attributes
        } else {
            vec![FetchAttribute::parse(c)?]
        };
        let mut fetch = Self {
            uid,
            set,
            attributes,
            changed_since: None,
            vanished: false,
            partial: None,
        };
        if c.eat(b' ') {
            c.list1(|c| fetch.parse_modifier(c))?;
        }
        if fetch.vanished && (!uid || fetch.changed_since.is_none()) {
            return Err(c.error(ParseErrorKind::Conflict(
                "VANISHED needs UID FETCH and CHANGEDSINCE",
            )));
        }
        Ok(fetch)
    }

    fn parse_modifier(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        if c.eat_text("CHANGEDSINCE ") {
            self.changed_since = Some(c.number64()?);
        } else if c.eat_text("VANISHED") {
            self.vanished = true;
        } else if c.eat_text("PARTIAL ") {
            self.partial = Some(PartialRange::parse(c)?);
        } else {
            return Err(c.error(ParseErrorKind::Unknown("FETCH modifier")));
        }
        Ok(())
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(if self.uid { b"UID FETCH " } else { b"FETCH " });
        self.set.encode(w);
        w.space();
        match &self.attributes[..] {
            [one] => one.encode(w),
            many => w.list(many, |w, one| one.encode(w)),
        }
        if self.changed_since.is_none() && !self.vanished && self.partial.is_none() {
            return;
        }
        w.raw(b" (");
        let mut separator: &[u8] = b"";
        if let Some(since) = self.changed_since {
            w.raw(b"CHANGEDSINCE ");
            w.number(since);
            separator = b" ";
        }
        if self.vanished {
            w.raw(separator);
            w.raw(b"VANISHED");
            separator = b" ";
        }
        if let Some(range) = self.partial {
            w.raw(separator);
            w.raw(b"PARTIAL ");
            range.encode(w);
        }
        w.byte(b')');
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        if self.changed_since.is_some() {
            need(Extension::CondStore);
        }
        if self.vanished {
            need(Extension::QResync);
        }
        if self.partial.is_some() {
            need(Extension::Partial);
        }
        self.attributes.iter().for_each(|one| one.requires(need));
    }
}

fn parse_macro(c: &mut Cursor<'_>) -> Option<Vec<FetchAttribute>> {
    use FetchAttribute::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    if c.eat_text("ALL") {
        Some(vec![Flags, InternalDate, Rfc822Size, Envelope])
    } else if c.eat_text("FAST") {
        Some(vec![Flags, InternalDate, Rfc822Size])
    } else if c.eat_text("FULL") {
        Some(vec![Flags, InternalDate, Rfc822Size, Envelope, Body])
    } else {
        None
    }
}

words! { FLAGS UID ENVELOPE BODY }

#[cold]
fn unknown(at: usize) -> ParseError {
    Cursor::error_at(ParseErrorKind::Unknown("FETCH attribute"), at)
}

impl FetchAttribute {
    /// Whether fetching it sets `\Seen`.
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        match self {
            Self::Rfc822 | Self::Rfc822Text => true,
            Self::Section { peek, .. } | Self::Binary { peek, .. } => !peek,
            _ => false,
        }
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        if c.eat_text("BODY.PEEK") && c.peek() == Some(b'[') {
            return Self::parse_section(b"BODY.PEEK", at, c);
        }
        c.set_at(at);
        let word = c.word(Chars::NAME);
        if c.peek() != Some(b'[') {
            match word {
                FLAGS => return Ok(Self::Flags),
                UID => return Ok(Self::Uid),
                ENVELOPE => return Ok(Self::Envelope),
                BODY => return Ok(Self::Body),
                _ => {}
            }
        }
        c.set_at(at);
        Self::parse_named(at, c)
    }

    fn parse_named(at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut buffer = [0; KEYWORD];
        let name = c.keyword(Chars::NAME, &mut buffer);
        if c.peek() == Some(b'[') {
            return Self::parse_section(name, at, c);
        }
        Ok(match name {
            b"INTERNALDATE" => Self::InternalDate,
            b"RFC822.SIZE" => Self::Rfc822Size,
            b"BODYSTRUCTURE" => Self::BodyStructure,
            b"RFC822" => Self::Rfc822,
            b"RFC822.HEADER" => Self::Rfc822Header,
            b"RFC822.TEXT" => Self::Rfc822Text,
            b"MODSEQ" => Self::ModSeq,
            b"EMAILID" => Self::EmailId,
            b"THREADID" => Self::ThreadId,
            b"SAVEDATE" => Self::SaveDate,
            b"PREVIEW" => Self::Preview {
                lazy: c.eat_text(" (LAZY)"),
            },
            b"ANNOTATION" => {
                c.space()?;
                Self::Annotation(Box::new(AnnotationRequest::parse(c)?))
            }
            _ => return Err(unknown(at)),
        })
    }

    fn parse_section(name: &[u8], at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match name {
            b"BODY" | b"BODY.PEEK" => Self::Section {
                section: Section::parse(c)?,
                partial: Partial::parse(c)?,
                peek: name.len() > 4,
            },
            b"BINARY" | b"BINARY.PEEK" => Self::Binary {
                part: parse_binary(c)?,
                partial: Partial::parse(c)?,
                peek: name.len() > 6,
            },
            b"BINARY.SIZE" => Self::BinarySize(parse_binary(c)?),
            _ => return Err(unknown(at)),
        })
    }

    pub(super) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        match self {
            Self::Binary { .. } | Self::BinarySize(_) => need(Extension::Binary),
            Self::ModSeq => need(Extension::CondStore),
            Self::EmailId | Self::ThreadId => need(Extension::ObjectId),
            Self::SaveDate => need(Extension::SaveDate),
            Self::Preview { .. } => need(Extension::Preview),
            Self::Annotation(_) => need(Extension::Annotate),
            _ => {}
        }
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Annotation(request) => {
                w.raw(b"ANNOTATION ");
                request.encode(w);
            }
            Self::Envelope => w.raw(b"ENVELOPE"),
            Self::Flags => w.raw(b"FLAGS"),
            Self::InternalDate => w.raw(b"INTERNALDATE"),
            Self::Rfc822 => w.raw(b"RFC822"),
            Self::Rfc822Header => w.raw(b"RFC822.HEADER"),
            Self::Rfc822Text => w.raw(b"RFC822.TEXT"),
            Self::Rfc822Size => w.raw(b"RFC822.SIZE"),
            Self::Body => w.raw(b"BODY"),
            Self::BodyStructure => w.raw(b"BODYSTRUCTURE"),
            Self::Uid => w.raw(b"UID"),
            Self::Section {
                section,
                partial,
                peek,
            } => {
                w.raw(if *peek { b"BODY.PEEK" } else { b"BODY" });
                section.encode(w);
                Partial::encode(*partial, w);
            }
            Self::Binary {
                part,
                partial,
                peek,
            } => {
                w.raw(if *peek { b"BINARY.PEEK" } else { b"BINARY" });
                encode_binary(part, w);
                Partial::encode(*partial, w);
            }
            Self::BinarySize(part) => {
                w.raw(b"BINARY.SIZE");
                encode_binary(part, w);
            }
            Self::ModSeq => w.raw(b"MODSEQ"),
            Self::EmailId => w.raw(b"EMAILID"),
            Self::ThreadId => w.raw(b"THREADID"),
            Self::SaveDate => w.raw(b"SAVEDATE"),
            Self::Preview { lazy: false } => w.raw(b"PREVIEW"),
            Self::Preview { lazy: true } => w.raw(b"PREVIEW (LAZY)"),
        }
    }
}
