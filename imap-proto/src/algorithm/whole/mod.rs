//! What FETCH, SEARCH, SORT and THREAD want of a message whose octets are at
//! hand, by the crate `mime`.

mod candidate;
mod envelope;
mod fields;
mod structure;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::num::NonZeroU64;

use bytes::Bytes;
use mime::{Encoding, Part, Structure};

use crate::types::PartNumber;
use crate::{
    BodyStructure, Content, DateTime, Envelope, FetchAttribute, FetchItem, Flag, IString, Message,
    Partial, Section, SectionText,
};

/// Characters of a preview (RFC 8970 §3.1).
const PREVIEW: usize = 200;

/// A message whose octets are at hand, with what a store keeps beside them:
/// all that FETCH answers, and a [`Candidate`](crate::Candidate) for SEARCH.
///
/// Its parts are looked for once, when they are first needed, within the
/// bounds of [`mime::Limits`]. A part that is decoded is copied; everything
/// else shares the octets.
///
/// ```
/// use std::num::NonZeroU32;
/// use bytes::Bytes;
/// use imap_proto::{DateTime, FetchAttribute, FetchItem, Message, WholeMessage};
///
/// let message = Message { sequence: NonZeroU32::MIN, uid: NonZeroU32::MIN };
/// let octets = Bytes::from_static(b"Subject: Hello\r\n\r\nHow are you?\r\n");
/// let whole = WholeMessage::new(message, &[], DateTime::EPOCH, &octets);
/// let Some(FetchItem::Envelope(envelope)) = whole.item(&FetchAttribute::Envelope) else {
///     unreachable!()
/// };
/// assert_eq!(envelope.subject.unwrap().as_bytes(), b"Hello");
/// ```
#[derive(Debug, Clone)]
pub struct WholeMessage<'a> {
    message: Message,
    flags: &'a [Flag],
    internal_date: DateTime,
    octets: &'a Bytes,
    mod_seq: Option<NonZeroU64>,
    structure: OnceCell<Structure>,
}

impl<'a> WholeMessage<'a> {
    /// A message with its flags, its INTERNALDATE and all its octets, their
    /// lines ended by CRLF.
    #[must_use]
    pub fn new(
        message: Message,
        flags: &'a [Flag],
        internal_date: DateTime,
        octets: &'a Bytes,
    ) -> Self {
        Self {
            message,
            flags,
            internal_date,
            octets,
            mod_seq: None,
            structure: OnceCell::new(),
        }
    }

    /// Its modification sequence (RFC 7162).
    #[must_use]
    pub fn with_mod_seq(mut self, mod_seq: NonZeroU64) -> Self {
        self.mod_seq = Some(mod_seq);
        self
    }

    /// What FETCH answers of it. `None` for what is not known: MODSEQ without
    /// [`WholeMessage::with_mod_seq`], object ids, SAVEDATE, annotations; and
    /// BINARY of a part whose encoding nobody can take off, which is NO
    /// [UNKNOWN-CTE] (RFC 9051 §6.4.5).
    #[must_use]
    pub fn item(&self, attribute: &FetchAttribute) -> Option<FetchItem> {
        Some(match attribute {
            FetchAttribute::Uid => FetchItem::Uid(self.message.uid),
            FetchAttribute::Flags => FetchItem::Flags(self.flags.to_vec()),
            FetchAttribute::InternalDate => FetchItem::InternalDate(self.internal_date),
            FetchAttribute::ModSeq => FetchItem::ModSeq(self.mod_seq?),
            FetchAttribute::Envelope => {
                FetchItem::Envelope(Box::new(Envelope::of_header(self.octets)))
            }
            FetchAttribute::Body => FetchItem::Body(self.body_structure()),
            FetchAttribute::BodyStructure => FetchItem::BodyStructure(self.body_structure()),
            FetchAttribute::Preview { .. } => {
                let text = mime::text::preview(self.structure(), self.octets, PREVIEW);
                FetchItem::Preview(Some(IString::lossy(text)))
            }
            FetchAttribute::Binary { part, partial, .. } => FetchItem::Binary {
                part: part.clone(),
                origin: partial.map(|partial| partial.first),
                content: self.binary(part, *partial)?,
            },
            FetchAttribute::BinarySize(part) => {
                let size = match self.binary(part, None)? {
                    Content::Octets(octets) => octets.len() as u64,
                    _ => 0,
                };
                let part = part.clone();
                FetchItem::BinarySize { part, size }
            }
            other => {
                let section = |section: &Section| self.section(section);
                return FetchItem::of_message(other, self.octets, section);
            }
        })
    }

    fn structure(&self) -> &Structure {
        self.structure.get_or_init(|| Structure::parse(self.octets))
    }

    fn body_structure(&self) -> BodyStructure {
        let envelope = |header: mime::Span| Envelope::of_header(header.of(self.octets));
        BodyStructure::of_part(self.structure().root(), &envelope)
    }

    fn section(&self, section: &Section) -> Option<Bytes> {
        let section = mime::Section::from(section);
        let octets = section.octets(self.structure(), self.octets)?;
        Some(self.share(octets))
    }

    /// Shared where nothing had to be made.
    fn share(&self, octets: Cow<'_, [u8]>) -> Bytes {
        match octets {
            Cow::Borrowed(octets) => self.octets.slice_ref(octets),
            Cow::Owned(octets) => octets.into(),
        }
    }

    fn binary(&self, number: &PartNumber, partial: Option<Partial>) -> Option<Content> {
        let numbers: Vec<u32> = number.iter().map(|step| step.get()).collect();
        let octets = match self.structure().find(&numbers) {
            None => return Some(Content::Nil),
            Some(_) if numbers.is_empty() => self.octets.clone(),
            Some(part) => self.decoded(part)?,
        };
        Some(Content::Octets(match partial {
            Some(partial) => partial.of(&octets),
            None => octets,
        }))
    }

    fn decoded(&self, part: Part<'_>) -> Option<Bytes> {
        let encoding = Some(part.encoding()).filter(|own| *own != Encoding::Unknown)?;
        Some(self.share(encoding.decode(part.body().of(self.octets))))
    }
}

/// The same section in the words of `mime`.
impl From<&Section> for mime::Section {
    fn from(section: &Section) -> Self {
        let names = |names: &[IString]| -> Vec<String> {
            let names = names.iter().map(IString::to_text);
            names.map(Cow::into_owned).collect()
        };
        let part = section.part().iter().map(|step| step.get()).collect();
        let text = match section.text() {
            SectionText::Whole => mime::SectionText::All,
            SectionText::Header => mime::SectionText::Header,
            SectionText::HeaderFields(own) => mime::SectionText::HeaderFields(names(own)),
            SectionText::HeaderFieldsNot(own) => mime::SectionText::HeaderFieldsNot(names(own)),
            SectionText::Text => mime::SectionText::Text,
            SectionText::Mime => mime::SectionText::Mime,
        };
        Self::new(part, text)
    }
}
