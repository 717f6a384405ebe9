//! FETCH, COPY and MOVE.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use imap_proto::{
    Code, Content, DateTime, Extension, Fetch, FetchAttribute, FetchItem, Message as Named,
    NumberSet, Partial, Section, SectionText, SequenceSet, Untagged,
};
use mime::{Encoding, Headers, Located, Scanner, Span, Structure};

use super::envelope::envelope;
use super::mailboxes::{name_of, target_failed};
use super::structure::body_structure;
use super::{Done, Machine, Result, Session};
use crate::store::{FlagChange, Flags, Mailbox, MessageReader, StoreError, StoreResult};

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
const MADE_LIMIT: u64 = 16 << 20;

/// Messages that are opened in one step off the reactor; each has up to
/// 64 KiB of its beginning in memory.
const AHEAD: usize = 16;

/// What is asked of each message.
struct Wanted<'a> {
    attributes: &'a [FetchAttribute],
    need: Need,
    shows_flags: bool,
    rev1: bool,
}

/// What of a message an attribute needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Nothing,
    Size,
    Header,
    Message,
}

/// A message, as far as it was read.
struct Loaded {
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
struct Streamed {
    from: u64,
    octets: u64,
}

impl Session<'_> {
    pub(super) async fn fetch(&mut self, fetch: &Fetch, conn: &mut Machine) -> Result<Done> {
        let rev1 = !conn.machine().is_enabled(Extension::Imap4Rev2);
        let Some(selected) = &self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let named = match selected.view.resolve(&fetch.set, fetch.uid) {
            Ok(named) => named,
            Err(error) => return Ok(Done::bad(&error.to_string())),
        };
        // The same item twice says nothing new.
        let mut told = HashSet::new();
        let mut attributes = fetch.attributes.clone();
        attributes.retain(|attribute| told.insert(attribute.clone()));
        if fetch.uid && !attributes.contains(&FetchAttribute::Uid) {
            attributes.insert(0, FetchAttribute::Uid);
        }
        let sees = !selected.read_only && attributes.iter().any(sets_seen);
        let newly_seen = if sees {
            match self.mark_seen(&named).await {
                Ok(newly_seen) => newly_seen,
                Err(error) => return Ok(Done::failed(&error)),
            }
        } else {
            Vec::new()
        };
        let need = attributes.iter().map(need).max().unwrap_or(Need::Nothing);
        let Some(selected) = &self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let mailbox = Arc::clone(&selected.mailbox);
        let mut gone = false;
        let mut readers = std::collections::VecDeque::new();
        for (index, message) in named.iter().copied().enumerate() {
            if need >= Need::Header && readers.is_empty() {
                let next = named.get(index..).unwrap_or_default();
                let uids = next.iter().take(AHEAD).map(|next| next.uid.get()).collect();
                readers.extend(mailbox.read_many(uids).await);
            }
            let reader = readers.pop_front();
            let shows_flags = newly_seen.binary_search(&message.uid.get()).is_ok();
            let wanted = Wanted {
                attributes: &attributes,
                need,
                shows_flags,
                rev1,
            };
            let sent = self.fetch_one(message, &wanted, reader, conn).await?;
            match sent {
                Ok(()) => {}
                Err(StoreError::Gone(_)) => gone = true,
                Err(error) => return Ok(Done::failed(&error)),
            }
            if conn.machine().wants_drain() {
                conn.flush_above(64 * 1024).await?;
            }
        }
        Ok(if gone && !fetch.uid {
            Done::no("Some of the messages were expunged").with(Code::ExpungeIssued)
        } else {
            Done::ok("FETCH completed")
        })
    }

    /// Sets `\Seen` where it is not set; answers the UIDs that were changed.
    async fn mark_seen(&mut self, named: &[Named]) -> StoreResult<Vec<u32>> {
        let Some(selected) = &self.selected else {
            return Ok(Vec::new());
        };
        let unseen: Vec<u32> = named
            .iter()
            .map(|message| message.uid.get())
            .filter(|uid| {
                let message = selected.snapshot.message(*uid);
                message.is_some_and(|message| !message.flags.contains(Flags::SEEN))
            })
            .collect();
        if !unseen.is_empty() {
            let change = FlagChange::add(Flags::SEEN);
            selected
                .mailbox
                .set_flags(unseen.clone(), change, None)
                .await?;
            self.sync().await;
            if let Some(selected) = &mut self.selected {
                for uid in unseen.iter().filter_map(|uid| NonZeroU32::new(*uid)) {
                    selected.view.flags_told(uid);
                }
            }
        }
        Ok(unseen)
    }

    async fn fetch_one(
        &mut self,
        named: Named,
        wanted: &Wanted<'_>,
        reader: Option<StoreResult<Box<dyn MessageReader>>>,
        conn: &mut Machine,
    ) -> Result<StoreResult<()>> {
        let Wanted {
            attributes,
            need,
            shows_flags,
            rev1,
        } = *wanted;
        let Some(selected) = &self.selected else {
            return Ok(Ok(()));
        };
        let uid = named.uid.get();
        let Some(message) = selected.snapshot.message(uid) else {
            return Ok(Err(StoreError::Gone(uid)));
        };
        let mailbox = &*selected.mailbox;
        let known_size = message.size;
        let loaded = match load(mailbox, uid, need, known_size, attributes, reader).await {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Err(error)),
        };
        let mut items = Vec::with_capacity(attributes.len() + 1);
        let mut streamed = Vec::new();
        for attribute in attributes {
            let item = match attribute {
                FetchAttribute::Flags => FetchItem::Flags(selected.flags(message, rev1)),
                FetchAttribute::Uid => FetchItem::Uid(named.uid),
                FetchAttribute::InternalDate => match date_time(message.internal_date) {
                    Some(date) => FetchItem::InternalDate(date),
                    None => continue,
                },
                other => match loaded.item(other, &mut streamed) {
                    Ok(item) => item,
                    Err(error) => return Ok(Err(error)),
                },
            };
            items.push(item);
        }
        if shows_flags && !attributes.contains(&FetchAttribute::Flags) {
            items.push(FetchItem::Flags(selected.flags(message, rev1)));
        }
        // Opened before anything is said: a message that cannot be read is
        // not announced.
        let mut readers = Vec::with_capacity(streamed.len());
        for section in streamed {
            let opened = async {
                let mut reader = mailbox.read(uid).await?;
                reader.skip(section.from).await?;
                Ok(reader)
            };
            match opened.await {
                Ok(reader) => readers.push((section, reader)),
                Err(error) => return Ok(Err(error)),
            }
        }
        let sequence = named.sequence;
        conn.machine()
            .untagged(&Untagged::Fetch { sequence, items })?;
        for (section, reader) in readers {
            stream(section, reader, conn).await?;
        }
        Ok(Ok(()))
    }

    /// COPY and MOVE.
    pub(super) async fn copy(
        &mut self,
        uid: bool,
        set: &SequenceSet,
        to: &imap_proto::Mailbox,
        moving: bool,
        conn: &mut Machine,
    ) -> Result<Done> {
        let Some(selected) = &self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let named = match selected.view.resolve(set, uid) {
            Ok(named) => named,
            Err(error) => return Ok(Done::bad(&error.to_string())),
        };
        if moving && selected.read_only {
            return Ok(Done::no("The mailbox is read-only"));
        }
        let text = if moving {
            "MOVE completed"
        } else {
            "COPY completed"
        };
        let uids: Vec<u32> = named.iter().map(|message| message.uid.get()).collect();
        let target = name_of(to);
        let copied = if moving {
            selected.mailbox.move_to(uids, &target).await
        } else {
            selected.mailbox.copy(uids, &target).await
        };
        let copied = match copied {
            Ok(copied) => copied,
            Err(error) => return Ok(target_failed(&error)),
        };
        let number = |uid: u32| NonZeroU32::new(uid);
        let code = number(copied.uid_validity).filter(|_| !copied.uids.is_empty());
        let code = code.map(|uid_validity| Code::CopyUid {
            uid_validity,
            source: copied
                .uids
                .iter()
                .filter_map(|(from, _)| number(*from))
                .collect::<NumberSet>(),
            destination: copied
                .uids
                .iter()
                .filter_map(|(_, to)| number(*to))
                .collect::<NumberSet>(),
        });
        if !moving {
            let done = Done::ok(text);
            return Ok(match code {
                Some(code) => done.with(code),
                None => done,
            });
        }
        // RFC 6851 §4.3: COPYUID is told before the EXPUNGEs.
        if let Some(code) = code {
            let status = imap_proto::StatusResponse::ok("Moved").with(code);
            conn.machine().untagged(&Untagged::Status(status))?;
        }
        self.sync().await;
        self.tell(conn, true)?;
        Ok(Done::ok(text))
    }
}

/// Sends a section that was announced.
async fn stream(
    section: Streamed,
    mut reader: Box<dyn MessageReader>,
    conn: &mut Machine,
) -> Result {
    let mut left = section.octets;
    while left > 0 {
        let chunk = match reader.next().await {
            Ok(Some(chunk)) => chunk,
            // The literal was announced: what cannot be read any more can
            // only be made up, or the connection given up.
            Ok(None) | Err(_) => {
                let error = std::io::Error::other("a message could not be read to its end");
                return Err(error.into());
            }
        };
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        left -= here as u64;
        conn.machine().send_payload(chunk.slice(..here))?;
        conn.flush_above(256 * 1024).await?;
    }
    Ok(())
}

fn sets_seen(attribute: &FetchAttribute) -> bool {
    match attribute {
        FetchAttribute::Rfc822 | FetchAttribute::Rfc822Text => true,
        FetchAttribute::Section { peek, .. } | FetchAttribute::Binary { peek, .. } => !peek,
        _ => false,
    }
}

fn need(attribute: &FetchAttribute) -> Need {
    match attribute {
        FetchAttribute::Flags | FetchAttribute::Uid | FetchAttribute::InternalDate => Need::Nothing,
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

async fn load(
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

    fn item(
        &self,
        attribute: &FetchAttribute,
        streamed: &mut Vec<Streamed>,
    ) -> StoreResult<FetchItem> {
        Ok(match attribute {
            FetchAttribute::Envelope => FetchItem::Envelope(Box::new(envelope(self.header()))),
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

    fn body_structure(&self) -> StoreResult<imap_proto::BodyStructure> {
        let structure = self.structure()?;
        let header = |span: Span| -> Cow<'_, [u8]> {
            match &self.octets {
                Octets::Whole(whole) => Cow::Borrowed(span.of(whole)),
                _ => Cow::Borrowed(self.headers.get(&span.start).map_or(&[], |own| &own[..])),
            }
        };
        Ok(body_structure(structure.root(), &header))
    }

    fn section(
        &self,
        section: &Section,
        partial: Option<Partial>,
        streamed: &mut Vec<Streamed>,
    ) -> StoreResult<Content> {
        let wanted = mime_section(section);
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
            Encoding::Unknown => {
                return Err(StoreError::Storage("unknown transfer encoding".into()));
            }
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

fn mime_section(section: &Section) -> mime::Section {
    let names = |names: &[imap_proto::IString]| -> Vec<String> {
        names
            .iter()
            .map(|name| name.to_text().into_owned())
            .collect()
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
    mime::Section::new(part, text)
}

/// What a partial fetch leaves of a text; behind its end that is nothing.
fn cut(octets: Bytes, partial: Option<Partial>) -> Bytes {
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

/// An INTERNALDATE, shown in UTC; nothing for years that IMAP cannot show.
pub(super) fn date_time(at: SystemTime) -> Option<DateTime> {
    let seconds = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    DateTime::from_timestamp(seconds, 0)
}
