//! What a message says of itself, short enough to be kept for all messages.

use std::io::{self, Read};

use mime::text::preview;
use mime::{Address, Headers, Scanner, Span, Structure, message_id};
use sha2::{Digest as _, Sha256};

use super::codec::{Cursor, put_maybe, put_number, put_string};
use crate::wire::Reader;

/// The header fields that a [`Digest`] holds: those of ENVELOPE, and what clients ask for when they show a list.
pub const INDEXED_FIELDS: &[&str] = &[
    "Bcc",
    "Cc",
    "Content-Disposition",
    "Content-Transfer-Encoding",
    "Content-Type",
    "Date",
    "Disposition-Notification-To",
    "From",
    "Importance",
    "In-Reply-To",
    "List-Id",
    "List-Post",
    "List-Unsubscribe",
    "Message-ID",
    "MIME-Version",
    "Priority",
    "References",
    "Reply-To",
    "Sender",
    "Subject",
    "To",
    "X-Priority",
];

/// Characters of a preview (RFC 8970 §3.1).
const PREVIEW: usize = 200;
/// A message up to this size is taken apart in memory; of a larger one so much is kept to make its preview of.
const IN_MEMORY: u64 = 4 << 20;
const FRONT: usize = 256 << 10;
/// The most that is read of a header.
const HEADER_LIMIT: u64 = 1 << 20;

/// A message's digest in one piece of memory; [`digest`](Self::digest) reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed(Vec<u8>);

impl Indexed {
    /// Octets of a digest; `None` when they are none.
    pub(crate) fn new(octets: Vec<u8>) -> Option<Self> {
        Digest::read(&octets)?;
        Some(Self(octets))
    }

    /// What they say.
    pub fn digest(&self) -> Digest<'_> {
        Digest::read(&self.0).unwrap_or_default()
    }

    /// The octets, for [`Digest::read`].
    pub fn into_octets(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// What is known of a message without opening it: RFC822.SIZE, ENVELOPE, BODYSTRUCTURE, PREVIEW, object ids and
/// the header fields of [`INDEXED_FIELDS`]. Borrows the octets it was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest<'a> {
    size: u64,
    header_len: u64,
    email_id: [u8; 16],
    thread_id: [u8; 16],
    preview: &'a str,
    fields: &'a [u8],
    envelopes: &'a [u8],
    structure: &'a [u8],
}

impl<'a> Digest<'a> {
    /// Reads what [`Indexed::into_octets`] gave; `None` for anything else.
    pub fn read(octets: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(octets);
        Some(Self {
            size: cursor.number()?,
            header_len: cursor.number()?,
            email_id: cursor.array()?,
            thread_id: cursor.array()?,
            preview: std::str::from_utf8(cursor.string()?).ok()?,
            fields: cursor.string()?,
            envelopes: cursor.string()?,
            structure: cursor.0,
        })
    }

    /// Octets of the message in wire form (RFC822.SIZE).
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Octets of its header, the empty line included.
    pub fn header_len(&self) -> u64 {
        self.header_len
    }

    /// The same for the same octets (RFC 8474 §5.1): the first half of their SHA-256.
    pub fn email_id(&self) -> [u8; 16] {
        self.email_id
    }

    /// The same for the messages of one conversation (RFC 8474 §5.2): a hash of the first identifier in
    /// `References`, else in `In-Reply-To`, else in `Message-ID`, else of the message.
    pub fn thread_id(&self) -> [u8; 16] {
        self.thread_id
    }

    /// The first 200 characters of its text (RFC 8970). The text of a message above 4 MiB is looked for in its
    /// first 256 KiB.
    pub fn preview(&self) -> &'a str {
        self.preview
    }

    /// The fields of [`INDEXED_FIELDS`] that its header has, as they stand there and in that order, with the
    /// empty line behind them if the header has one.
    pub fn fields(&self) -> &'a [u8] {
        self.fields
    }

    /// Whether [`fields`](Self::fields) has all fields of this name that the header has.
    pub fn has_fields_of(name: &str) -> bool {
        INDEXED_FIELDS
            .binary_search_by(|field| compare(field, name))
            .is_ok()
    }

    /// The envelope of the message itself.
    pub fn envelope(&self) -> Envelope<'a> {
        self.envelopes()
            .next()
            .map(|(_, envelope)| envelope)
            .unwrap_or_default()
    }

    /// The envelopes of the message and of every message in it, with the octet at which the header of each
    /// begins, ascending.
    pub fn envelopes(&self) -> impl Iterator<Item = (u64, Envelope<'a>)> + use<'a> {
        let mut cursor = Cursor(self.envelopes);
        std::iter::from_fn(move || Some((cursor.number()?, Envelope::read(&mut cursor)?)))
    }

    /// The part tree with its octet ranges; `None` only for octets that nobody wrote.
    pub fn structure(&self) -> Option<Structure> {
        let mut octets = self.structure;
        Structure::read_from(&mut octets)
    }
}

/// Names of fields, without regard to ASCII case.
fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let lower = |octet: u8| octet.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

/// The parsed header of a message, as IMAP's ENVELOPE shows it (RFC 9051 §7.5.2); texts are as they stand in the
/// header, unfolded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `Date`.
    pub date: Option<&'a [u8]>,
    /// `Subject`.
    pub subject: Option<&'a [u8]>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<&'a [u8]>,
    /// `Message-ID`.
    pub message_id: Option<&'a [u8]>,
    /// `From`.
    pub from: Addresses<'a>,
    /// `Sender`, empty where there is none.
    pub sender: Addresses<'a>,
    /// `Reply-To`, empty where there is none.
    pub reply_to: Addresses<'a>,
    /// `To`.
    pub to: Addresses<'a>,
    /// `Cc`.
    pub cc: Addresses<'a>,
    /// `Bcc`.
    pub bcc: Addresses<'a>,
}

impl<'a> Envelope<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        Some(Self {
            date: cursor.maybe_string()?,
            subject: cursor.maybe_string()?,
            in_reply_to: cursor.maybe_string()?,
            message_id: cursor.maybe_string()?,
            from: Addresses::read(cursor)?,
            sender: Addresses::read(cursor)?,
            reply_to: Addresses::read(cursor)?,
            to: Addresses::read(cursor)?,
            cc: Addresses::read(cursor)?,
            bcc: Addresses::read(cursor)?,
        })
    }
}

/// A list of addresses of an [`Envelope`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses<'a> {
    count: usize,
    octets: &'a [u8],
}

impl<'a> Addresses<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let count = usize::try_from(cursor.number()?).ok()?;
        let octets = if count == 0 { &[] } else { cursor.string()? };
        Some(Self { count, octets })
    }
}

impl<'a> Iterator for Addresses<'a> {
    type Item = EnvelopeAddress<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut cursor = Cursor(self.octets);
        let mut part = || cursor.maybe_string();
        let address = EnvelopeAddress {
            name: part()?,
            route: part()?,
            mailbox: part()?,
            host: part()?,
        };
        self.octets = cursor.0;
        self.count = self.count.saturating_sub(1);
        Some(address)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Addresses<'_> {}

/// An address as ENVELOPE has it: the start of a group has no host, its end no mailbox either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnvelopeAddress<'a> {
    /// The display name.
    pub name: Option<&'a [u8]>,
    /// The source route (obsolete).
    pub route: Option<&'a [u8]>,
    /// The local part, or the group's name.
    pub mailbox: Option<&'a [u8]>,
    /// The domain.
    pub host: Option<&'a [u8]>,
}

/// Makes the digest of a message.
pub(crate) fn build(reader: &mut Reader) -> io::Result<Indexed> {
    let size = reader.size();
    let mut front = Vec::with_capacity(usize::try_from(size.min(IN_MEMORY)).unwrap_or(0));
    let mut hasher = Sha256::new();
    let structure = if size <= IN_MEMORY {
        reader.read_to_end(&mut front)?;
        hasher.update(&front);
        Structure::parse(&front)
    } else {
        let mut scanner = Scanner::new();
        let mut part = vec![0; 64 << 10];
        loop {
            let read = reader.read(&mut part)?;
            let part = part.get(..read).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            hasher.update(part);
            scanner.feed(part);
            let room = FRONT.saturating_sub(front.len()).min(part.len());
            front.extend_from_slice(part.get(..room).unwrap_or_default());
        }
        scanner.finish()
    };
    let mut headers = vec![header(reader, &front, size, structure.root().header())?];
    for part in structure.parts() {
        if let Some(nested) = part.nested() {
            headers.push(header(reader, &front, size, nested.header())?);
        }
    }
    let mut out = Vec::with_capacity(1024);
    let top = headers.first().map_or(&[][..], |(_, octets)| octets);
    let email_id = half(hasher);
    let thread_id = thread(top).map_or(email_id, |root| half(Sha256::new().chain_update(root)));
    put_number(&mut out, size);
    put_number(&mut out, structure.root().header().len());
    out.extend_from_slice(&email_id);
    out.extend_from_slice(&thread_id);
    put_string(&mut out, preview(&structure, &front, PREVIEW).as_bytes());
    put_string(&mut out, &chosen(top));
    let mut envelopes = Vec::new();
    for (start, octets) in &headers {
        put_number(&mut envelopes, *start);
        put_envelope(&mut envelopes, octets);
    }
    put_string(&mut out, &envelopes);
    structure.write_to(&mut out);
    Ok(Indexed(out))
}

/// A header's start and octets, from memory or read again.
fn header(reader: &mut Reader, front: &[u8], size: u64, span: Span) -> io::Result<(u64, Vec<u8>)> {
    if span.end <= front.len() as u64 || size <= IN_MEMORY {
        return Ok((span.start, span.of(front).to_vec()));
    }
    reader.seek(span.start)?;
    let mut octets = Vec::new();
    let limit = span.len().min(HEADER_LIMIT);
    reader.by_ref().take(limit).read_to_end(&mut octets)?;
    Ok((span.start, octets))
}

fn half(hasher: Sha256) -> [u8; 16] {
    let hash = hasher.finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// The identifier that the messages of a conversation share.
fn thread(header: &[u8]) -> Option<Vec<u8>> {
    ["References", "In-Reply-To", "Message-ID"]
        .into_iter()
        .find_map(|name| {
            let field = Headers::new(header).find(name)?;
            let first = message_id::first(field.raw_value())?;
            Some(first.as_bytes().to_vec())
        })
}

fn chosen(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in Headers::new(header) {
        if Digest::has_fields_of(field.name()) {
            out.extend_from_slice(field.octets());
        }
    }
    let headers = Headers::new(header);
    if headers.fields_len() < headers.header_len() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn put_envelope(out: &mut Vec<u8>, header: &[u8]) {
    let headers = Headers::new(header);
    for name in ["Date", "Subject", "In-Reply-To", "Message-ID"] {
        let field = headers.clone().find(name).map(|field| field.unfolded());
        put_maybe(out, field.as_ref().map(|value| value.trim_ascii()));
    }
    for name in ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"] {
        let mut list = Vec::new();
        let mut count = 0;
        for field in headers.clone().find_all(name) {
            for item in mime::address::parse(&field.unfolded()) {
                count += 1;
                put_address(&mut list, &item);
            }
        }
        put_number(out, count);
        if count > 0 {
            put_string(out, &list);
        }
    }
}

fn put_address(out: &mut Vec<u8>, item: &Address<'_>) {
    let mut put = |text: Option<&str>| put_maybe(out, text.map(str::as_bytes));
    match item {
        Address::Mailbox(mailbox) => {
            put(mailbox.name.as_deref());
            put(mailbox.route.as_deref());
            put(Some(&mailbox.local_part));
            // A host that is missing is no group: clients want a text.
            put(Some(mailbox.domain.as_deref().unwrap_or("")));
        }
        Address::GroupStart(name) => {
            put(None);
            put(None);
            put(Some(name));
            put(None);
        }
        Address::GroupEnd => (0..4).for_each(|_| put(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_in_order() {
        assert!(
            INDEXED_FIELDS
                .windows(2)
                .all(|pair| compare(pair[0], pair[1]).is_lt())
        );
        assert!(Digest::has_fields_of("message-id"));
        assert!(!Digest::has_fields_of("Received"));
    }
}
