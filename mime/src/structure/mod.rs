//! The part tree of a message, RFC 2045 and RFC 2046.

mod boundary;
mod part;
mod scanner;
mod store;

pub use part::{Kind, Part};
pub use scanner::Scanner;

use crate::Span;

/// Bounds on what one message may make the scanner keep. Behind a limit the rest of the message is
/// not taken apart any more: it becomes one leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of parts inside each other, counting the message as 1. Stops messages that are made
    /// to exhaust whoever walks the tree recursively, and bounds the boundaries that each line is
    /// compared with.
    pub depth: u32,
    /// Parts in all, the message counted. Stops a small message that asks for millions of parts.
    pub parts: usize,
    /// Octets of `Content-*` values kept in all. Stops parts that consist of header only.
    pub stored: usize,
}

impl Default for Limits {
    /// 100 levels, 10,000 parts, 1 MiB of values.
    fn default() -> Self {
        Self {
            depth: 100,
            parts: 10_000,
            stored: 1024 * 1024,
        }
    }
}

/// Octets kept of one `Content-*` value; the rest of a longer one is ignored.
pub(crate) const VALUE_OCTETS: usize = 8 * 1024;

/// The part tree of one message.
///
/// Holds ranges and the `Content-*` values, not the message. [`Structure::parse`] reads a message in
/// memory; a [`Scanner`] reads one in pieces and gives the same tree.
///
/// How a message is cut:
/// - Lines end in CRLF or LF; the line end before a boundary belongs to the boundary (RFC 2046
///   §5.1.1).
/// - A line of `--`, the boundary of any open multipart, and then `--`, white space or nothing, is a
///   boundary line; if several multiparts share the boundary, of the innermost.
/// - A multipart in which no boundary was found, and one that does not name a boundary, is a text
///   leaf ([`Part::media_type`] says `text/plain`).
/// - `message/rfc822` and `message/global` contain one part, the nested message, unless they are
///   base64 encoded, which RFC 2046 §5.2.1 does not allow.
/// - Each octet of the message lies in exactly one of: a header, a leaf's body, a multipart's
///   boundary lines, preamble or epilogue.
///
/// ```
/// use mime::{Kind, Structure};
///
/// let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\
///     --b\r\n\r\nHello\r\n--b\r\nContent-Type: image/png; name=a.png\r\n\r\n...\r\n--b--\r\n";
/// let structure = Structure::parse(message);
/// let root = structure.root();
/// assert_eq!(root.kind(), Kind::Multipart);
/// let text = structure.find(&[1]).unwrap();
/// assert_eq!(text.body().of(message), b"Hello");
/// let image = structure.find(&[2]).unwrap();
/// assert_eq!(image.media_type(), ("image", "png"));
/// assert_eq!(image.content_type().unwrap().parameter("name").unwrap(), "a.png");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    nodes: Vec<Node>,
    text: String,
    size: u64,
    truncated: bool,
}

impl Structure {
    /// Takes a whole message apart, with the default [`Limits`].
    pub fn parse(message: &[u8]) -> Self {
        Self::parse_with(message, Limits::default())
    }

    /// Takes a whole message apart.
    pub fn parse_with(message: &[u8], limits: Limits) -> Self {
        let mut scanner = Scanner::with_limits(limits);
        scanner.whole(message);
        scanner.finish()
    }

    /// The message itself.
    pub fn root(&self) -> Part<'_> {
        Part::new(self, 0)
    }

    /// All parts, each before its children (the order in which they begin).
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        (0..self.nodes.len()).map(|index| Part::new(self, index))
    }

    /// Octets of the message.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether one of the [`Limits`] was met, so that some leaf hides further parts.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The part with this IMAP part number (RFC 9051 §6.4.5.1); the message itself for an empty
    /// number. A message that is no multipart has itself as part 1.
    pub fn find(&self, number: &[u32]) -> Option<Part<'_>> {
        let mut part = self.root();
        let mut is_message = true;
        for &number in number {
            let message = if is_message {
                part
            } else {
                part.nested().unwrap_or(part)
            };
            part = match message.kind() {
                Kind::Multipart => {
                    let index = usize::try_from(number.checked_sub(1)?).ok()?;
                    message.children().nth(index)?
                }
                _ if number == 1 && (is_message || part.kind() == Kind::Message) => message,
                _ => return None,
            };
            is_message = false;
        }
        Some(part)
    }
}

/// The `Content-*` fields that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentField {
    Type,
    TransferEncoding,
    Disposition,
    Id,
    Description,
    Language,
    Location,
    Md5,
}

pub(crate) const CONTENT_FIELDS: usize = 8;

impl ContentField {
    /// The field with this name, given without `Content-`.
    fn from_suffix(suffix: &[u8]) -> Option<Self> {
        let (field, name): (Self, &[u8]) = match suffix.len() {
            2 => (Self::Id, b"id"),
            3 => (Self::Md5, b"md5"),
            4 => (Self::Type, b"type"),
            8 if suffix.first().is_some_and(|byte| byte | 0x20 == b'l') => match suffix.get(1) {
                Some(b'a' | b'A') => (Self::Language, b"language"),
                _ => (Self::Location, b"location"),
            },
            11 if suffix.get(2).is_some_and(|byte| byte | 0x20 == b's') => match suffix.get(1) {
                Some(b'i' | b'I') => (Self::Disposition, b"disposition"),
                _ => (Self::Description, b"description"),
            },
            17 => (Self::TransferEncoding, b"transfer-encoding"),
            _ => return None,
        };
        suffix.eq_ignore_ascii_case(name).then_some(field)
    }
}

/// A value in [`Structure::text`]; absent if `start` is [`ABSENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    start: u32,
    end: u32,
}

const ABSENT: Stored = Stored {
    start: u32::MAX,
    end: u32::MAX,
};

const NONE: u32 = u32::MAX;

fn stored<'s>(text: &'s str, node: &Node, field: ContentField) -> Option<&'s str> {
    let Stored { start, end } = *node.fields.get(field as usize)?;
    text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    header: Span,
    body: Span,
    /// Where the first boundary's line end begins and the epilogue begins, for a multipart.
    preamble_end: u64,
    epilogue_start: u64,
    header_lines: u64,
    body_lines: u64,
    parent: u32,
    first_child: u32,
    last_child: u32,
    next_sibling: u32,
    depth: u32,
    kind: Kind,
    /// The default type is message/rfc822: the parent is a multipart/digest, RFC 2046 §5.1.5.
    in_digest: bool,
    /// This is a multipart/digest.
    digest: bool,
    /// A limit kept this part from being taken apart.
    opaque: bool,
    fields: [Stored; CONTENT_FIELDS],
}
