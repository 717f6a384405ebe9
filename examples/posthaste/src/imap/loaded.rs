//! A message as far as FETCH needs it, and the items made of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::num::NonZeroU32;

use bytes::Bytes;
use imap_proto::{
    BodyStructure, Content, Envelope, FetchAttribute, FetchItem, Partial, Section, SectionText,
};
use mime::{Encoding, Headers, Located, Scanner, Span, Structure};

use crate::store::{Mailbox, MessageReader, StoreError, StoreResult};

/// A message up to this size is looked at in memory; a larger one is scanned
/// and streamed.
const IN_MEMORY: u64 = 4 << 20;

/// The most of a header that is read where only the header is wanted.
const HEADER_LIMIT: u64 = 1 << 20;

/// The most of a part that is decoded for BINARY.
const BINARY_LIMIT: u64 = 64 << 20;

/// Octets of one answer that are made for it alone, decoded or picked out,
/// rather than shared with the message: a line has room for thousands of
/// items, each as large as the message.
pub(super) const MADE_LIMIT: u64 = 16 << 20;

/// What of a message an attribute needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    Nothing,
    Size,
    Header,
    Message,
}

/// A message, as far as it was read.
pub(super) struct Loaded {
    size: u64,
    octets: Octets,
    structure: Option<Structure>,
    /// Headers of a message that is not in memory, by where they start.
    headers: HashMap<u64, Bytes>,
    /// Octets that were made for the answer.
    made: Cell<u64>,
}

enum Octets {
    None,
    /// The header only.
    Header(Bytes),
    Whole(Bytes),
    /// Too large: each section is read again when it is sent.
    Streamed,
}

/// A section that streams after its FETCH response was begun.
pub(super) struct Streamed {
    /// Its first octet in the message.
    pub(super) from: u64,
    pub(super) octets: u64,
}

/// What an attribute needs.
pub(super) fn need(attribute: &FetchAttribute) -> Need {
    match attribute {
        FetchAttribute::Flags
        | FetchAttribute::Uid
        | FetchAttribute::InternalDate
        | FetchAttribute::ModSeq
        | FetchAttribute::SaveDate => Need::Nothing,
        FetchAttribute::Rfc822Size => Need::Size,
        FetchAttribute::Envelope | FetchAttribute::Rfc822Header => Need::Header,
        FetchAttribute::Section { section, .. } => match section.text() {
            SectionText::Header
            | SectionText::HeaderFields(_)
            | SectionText::HeaderFieldsNot(_)
                if section.part().is_empty() =>
            {
                Need::Header
            }
            _ => Need::Message,
        },
        _ => Need::Message,
    }
}

pub(super) async fn load(
    mailbox: &dyn Mailbox,
    uid: u32,
    need: Need,
    known_size: Option<u64>,
    attributes: &[FetchAttribute],
    reader: Option<StoreResult<Box<dyn MessageReader>>>,
) -> StoreResult<Loaded> {
    let mut loaded = Loaded {
        size: known_size.unwrap_or(0),
        octets: Octets::None,
        structure: None,
        headers: HashMap::new(),
        made: Cell::new(0),
    };
    match need {
        Need::Nothing => return Ok(loaded),
        Need::Size => {
            if known_size.is_none() {
                let sizes = mailbox.sizes(vec![uid]).await?;
                loaded.size = sizes.first().copied().unwrap_or(0);
            }
            return Ok(loaded);
        }
        Need::Header | Need::Message => {}
    }
    let mut reader = match reader {
        Some(opened) => opened?,
        None => mailbox.read(uid).await?,
    };
    loaded.size = reader.size();
    if need == Need::Header {
        loaded.octets = Octets::Header(read_header(&mut *reader).await?);
        return Ok(loaded);
    }
    if loaded.size <= IN_MEMORY {
        let whole = crate::store::read_whole(&mut *reader, IN_MEMORY).await?;
        if attributes.iter().any(needs_structure) {
            loaded.structure = Some(Structure::parse(&whole));
        }
        loaded.octets = Octets::Whole(whole);
        return Ok(loaded);
    }
    loaded.octets = Octets::Streamed;
    if !attributes.iter().any(needs_structure) {
        return Ok(loaded);
    }
    let mut scanner = Scanner::new();
    while let Some(chunk) = reader.next().await? {
        scanner.feed(&chunk);
    }
    let structure = scanner.finish();
    // The headers of all messages inside, and those that sections name.
    let mut wanted: Vec<Span> = vec![structure.root().header()];
    wanted.extend(
        structure
            .parts()
            .filter_map(|part| Some(part.nested()?.header())),
    );
    for span in wanted {
        let octets = read_span(mailbox, uid, span, HEADER_LIMIT).await?;
        loaded.headers.insert(span.start, octets);
    }
    loaded.structure = Some(structure);
    Ok(loaded)
}

fn needs_structure(attribute: &FetchAttribute) -> bool {
    match attribute {
        // The whole message needs no looking into.
        FetchAttribute::Section { section, .. } => *section != Section::default(),
        FetchAttribute::Rfc822 => false,
        other => need(other) == Need::Message,
    }
}

/// Reads up to the end of the header.
pub(super) async fn read_header(reader: &mut dyn MessageReader) -> StoreResult<Bytes> {
    let mut header = Bytes::new();
    while let Some(chunk) = reader.next().await? {
        header = if header.is_empty() {
            chunk
        } else {
            Bytes::from([&header[..], &chunk[..]].concat())
        };
        let end = Headers::new(&header).header_len();
        if end < header.len() || header.len() as u64 >= HEADER_LIMIT {
            header.truncate(end);
            break;
        }
    }
    Ok(header)
}

async fn read_span(mailbox: &dyn Mailbox, uid: u32, span: Span, limit: u64) -> StoreResult<Bytes> {
    let mut reader = mailbox.read(uid).await?;
    reader.skip(span.start).await?;
    let mut left = usize::try_from(span.len().min(limit)).unwrap_or(0);
    let mut octets = Vec::with_capacity(left);
    while left > 0 {
        let Some(chunk) = reader.next().await? else {
            break;
        };
        let here = left.min(chunk.len());
        octets.extend_from_slice(chunk.get(..here).unwrap_or_default());
        left -= here;
    }
    Ok(Bytes::from(octets))
}

impl Loaded {
    /// The header of the message itself.
    fn header(&self) -> &[u8] {
        match &self.octets {
            Octets::Header(header) => header,
            Octets::Whole(whole) => {
                let end = Headers::new(whole).header_len();
                whole.get(..end).unwrap_or_default()
            }
            _ => self.headers.get(&0).map_or(&[], |header| &header[..]),
        }
    }

    fn structure(&self) -> StoreResult<&Structure> {
        self.structure
            .as_ref()
            .ok_or_else(|| StoreError::Storage("the message was not taken apart".into()))
    }

    pub(super) fn item(
        &self,
        attribute: &FetchAttribute,
        streamed: &mut Vec<Streamed>,
    ) -> StoreResult<FetchItem> {
        Ok(match attribute {
            FetchAttribute::Envelope => {
                FetchItem::Envelope(Box::new(Envelope::of_header(self.header())))
            }
            FetchAttribute::Rfc822Size => FetchItem::Rfc822Size(self.size),
            FetchAttribute::Body => FetchItem::Body(self.body_structure()?),
            FetchAttribute::BodyStructure => FetchItem::BodyStructure(self.body_structure()?),
            FetchAttribute::Rfc822 => {
                FetchItem::Rfc822(self.section(&Section::default(), None, streamed)?)
            }
            FetchAttribute::Rfc822Header => {
                FetchItem::Rfc822Header(Content::Octets(self.shared(self.header())))
            }
            FetchAttribute::Rfc822Text => {
                let text = Section::new(Vec::new(), SectionText::Text).unwrap_or_default();
                FetchItem::Rfc822Text(self.section(&text, None, streamed)?)
            }
            FetchAttribute::Section {
                section, partial, ..
            } => FetchItem::Section {
                content: self.section(section, *partial, streamed)?,
                section: section.clone(),
                origin: partial.map(|partial| partial.first),
            },
            FetchAttribute::Binary { part, partial, .. } => {
                let decoded = self.decoded(part)?;
                FetchItem::Binary {
                    part: part.clone(),
                    origin: partial.map(|partial| partial.first),
                    content: match decoded {
                        Some(decoded) => Content::Octets(cut(decoded, *partial)),
                        None => Content::Nil,
                    },
                }
            }
            FetchAttribute::BinarySize(part) => FetchItem::BinarySize {
                part: part.clone(),
                size: self
                    .decoded(part)?
                    .map_or(0, |decoded| decoded.len() as u64),
            },
            other => {
                return Err(StoreError::Storage(format!("{other:?} is not known")));
            }
        })
    }

    fn body_structure(&self) -> StoreResult<BodyStructure> {
        let structure = self.structure()?;
        let inner = |span: Span| match &self.octets {
            Octets::Whole(whole) => Envelope::of_header(span.of(whole)),
            _ => Envelope::of_header(self.headers.get(&span.start).map_or(&[], |own| &own[..])),
        };
        Ok(BodyStructure::of_part(structure.root(), &inner))
    }

    fn section(
        &self,
        section: &Section,
        partial: Option<Partial>,
        streamed: &mut Vec<Streamed>,
    ) -> StoreResult<Content> {
        let wanted = mime::Section::from(section);
        if let Octets::Header(header) = &self.octets {
            return Ok(Content::Octets(cut(
                match section.text() {
                    SectionText::Header => header.clone(),
                    _ => self.made(wanted.fields(header))?,
                },
                partial,
            )));
        }
        let located = if *section == Section::default() {
            Some(Located::Octets(Span::new(0, self.size)))
        } else {
            wanted.locate(self.structure()?)
        };
        let Some(located) = located else {
            return Ok(Content::Nil);
        };
        let octets = match (located, &self.octets) {
            (Located::Octets(span), Octets::Whole(whole)) => {
                let part = span.of(whole);
                whole.slice_ref(part)
            }
            (Located::Fields(span), Octets::Whole(whole)) => {
                self.made(wanted.fields(span.of(whole)))?
            }
            (Located::Fields(span), _) => {
                let header = self.headers.get(&span.start).cloned().unwrap_or_default();
                self.made(wanted.fields(&header))?
            }
            (Located::Octets(span), _) => {
                let (from, octets) = cut_span(span, partial);
                streamed.push(Streamed { from, octets });
                return Ok(Content::Stream(octets));
            }
        };
        Ok(Content::Octets(cut(octets, partial)))
    }

    /// A part, its transfer encoding taken off; nothing if there is none.
    fn decoded(&self, part: &[NonZeroU32]) -> StoreResult<Option<Bytes>> {
        let structure = self.structure()?;
        let number: Vec<u32> = part.iter().map(|step| step.get()).collect();
        let Some(found) = structure.find(&number) else {
            return Ok(None);
        };
        let Octets::Whole(whole) = &self.octets else {
            let limit = BINARY_LIMIT.min(IN_MEMORY);
            return Err(StoreError::Storage(format!(
                "a message over {limit} octets is not decoded"
            )));
        };
        if number.is_empty() {
            return Ok(Some(whole.clone()));
        }
        let decoded = match found.encoding() {
            // RFC 9051 §6.4.5.
            Encoding::Unknown => return Err(StoreError::Encoding),
            encoding => encoding.decode(found.body().of(whole)),
        };
        Ok(Some(match decoded {
            Cow::Borrowed(octets) => self.shared(octets),
            Cow::Owned(octets) => self.made(octets)?,
        }))
    }

    /// Octets of what was read, without copying them.
    fn shared(&self, octets: &[u8]) -> Bytes {
        match &self.octets {
            Octets::Header(own) | Octets::Whole(own) => own.slice_ref(octets),
            _ => Bytes::copy_from_slice(octets),
        }
    }

    /// Octets that nothing else holds: so many of them and no more.
    fn made(&self, octets: Vec<u8>) -> StoreResult<Bytes> {
        self.made.set(self.made.get() + octets.len() as u64);
        if self.made.get() > MADE_LIMIT {
            return Err(StoreError::Limit("Too much is asked for at once"));
        }
        Ok(Bytes::from(octets))
    }
}

/// What a partial fetch leaves of a text; behind its end that is nothing.
pub(super) fn cut(octets: Bytes, partial: Option<Partial>) -> Bytes {
    let (from, count) = cut_span(Span::new(0, octets.len() as u64), partial);
    let from = usize::try_from(from)
        .unwrap_or(usize::MAX)
        .min(octets.len());
    let count = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .min(octets.len() - from);
    octets.slice(from..from + count)
}

/// Where a partial fetch of a span begins, and how many octets it has.
fn cut_span(span: Span, partial: Option<Partial>) -> (u64, u64) {
    match partial {
        None => (span.start, span.len()),
        Some(partial) => {
            let start = partial.first.min(span.len());
            let count = partial.length.get().min(span.len() - start);
            (span.start + start, count)
        }
    }
}
