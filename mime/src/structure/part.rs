use std::borrow::Cow;

use super::{ContentField, NONE, Node, Structure, stored};
use crate::param::{ContentType, Disposition};
use crate::transfer::Encoding;
use crate::{Span, encoded_word};

/// How a part is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No parts inside.
    Leaf,
    /// A multipart with at least one part.
    Multipart,
    /// message/rfc822 or message/global: [`Part::nested`] is the message inside.
    Message,
}

/// One part of a [`Structure`].
#[derive(Clone, Copy, Debug)]
pub struct Part<'s> {
    structure: &'s Structure,
    index: usize,
}

/// The default of RFC 2045 §5.2.
const TEXT_PLAIN: (&str, &str) = ("text", "plain");
const MESSAGE_RFC822: (&str, &str) = ("message", "rfc822");
const OCTET_STREAM: (&str, &str) = ("application", "octet-stream");

impl PartialEq for Part<'_> {
    /// The same part of the same structure.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.structure, other.structure) && self.index == other.index
    }
}

impl Eq for Part<'_> {}

impl<'s> Part<'s> {
    pub(super) fn new(structure: &'s Structure, index: usize) -> Self {
        Self { structure, index }
    }

    fn node(&self) -> Option<&'s Node> {
        self.structure.nodes.get(self.index)
    }

    fn at(&self, index: u32) -> Option<Self> {
        if index == NONE {
            return None;
        }
        Some(Self::new(self.structure, usize::try_from(index).ok()?))
    }

    /// How the part is made up.
    pub fn kind(&self) -> Kind {
        self.node().map_or(Kind::Leaf, |node| node.kind)
    }

    /// The header with the blank line that ends it.
    pub fn header(&self) -> Span {
        self.node().map(|node| node.header).unwrap_or_default()
    }

    /// The body. Of a multipart everything from preamble to epilogue.
    pub fn body(&self) -> Span {
        self.node().map(|node| node.body).unwrap_or_default()
    }

    /// Header and body.
    pub fn span(&self) -> Span {
        Span::new(self.header().start, self.body().end)
    }

    /// Line ends (LF) in the header.
    pub fn header_lines(&self) -> u64 {
        self.node().map_or(0, |node| node.header_lines)
    }

    /// Line ends (LF) in the body, as BODYSTRUCTURE counts lines.
    pub fn body_lines(&self) -> u64 {
        self.node().map_or(0, |node| node.body_lines)
    }

    /// Of a multipart, what comes before the line end of the first boundary.
    pub fn preamble(&self) -> Span {
        match self.node() {
            Some(node) if node.kind == Kind::Multipart => {
                Span::new(node.body.start, node.preamble_end)
            }
            _ => Span::default(),
        }
    }

    /// Of a multipart, what comes after the last boundary line; empty if that is missing.
    pub fn epilogue(&self) -> Span {
        match self.node() {
            Some(node) if node.kind == Kind::Multipart && node.epilogue_start > 0 => {
                Span::new(node.epilogue_start.min(node.body.end), node.body.end)
            }
            _ => Span::default(),
        }
    }

    /// 1 for the message itself, one more inside each part.
    pub fn depth(&self) -> u32 {
        self.node().map_or(1, |node| node.depth)
    }

    /// The part around this one.
    pub fn parent(&self) -> Option<Part<'s>> {
        self.at(self.node()?.parent)
    }

    /// The parts of a multipart, or the one message in a message part.
    pub fn children(&self) -> impl Iterator<Item = Part<'s>> + use<'s> {
        let first = self.node().and_then(|node| self.at(node.first_child));
        std::iter::successors(first, |part| part.at(part.node()?.next_sibling))
    }

    /// The message inside a message/rfc822 or message/global part.
    pub fn nested(&self) -> Option<Part<'s>> {
        match self.kind() {
            Kind::Message => self.children().next(),
            _ => None,
        }
    }

    /// Whether one of the [`Limits`](crate::Limits) kept this part from being taken apart.
    pub fn is_opaque(&self) -> bool {
        self.node().is_some_and(|node| node.opaque)
    }

    fn value(&self, field: ContentField) -> Option<&'s str> {
        stored(&self.structure.text, self.node()?, field)
    }

    /// The unfolded value of `Content-Type` as written.
    pub fn content_type_value(&self) -> Option<&'s str> {
        self.value(ContentField::Type)
    }

    /// `Content-Type`, if there is one that can be read.
    pub fn content_type(&self) -> Option<ContentType<'s>> {
        ContentType::parse(self.value(ContentField::Type)?)
    }

    /// Type and subtype that this part is to be treated as.
    ///
    /// That is the declared type, or the default (text/plain, in a digest message/rfc822). A leaf
    /// that says it is a multipart but in which no part was found is text/plain; a message or
    /// multipart that was not taken apart is application/octet-stream. So a part whose type is
    /// multipart has parts, and one whose type is message/rfc822 or message/global has a
    /// [`nested`](Self::nested) message.
    pub fn media_type(&self) -> (&'s str, &'s str) {
        let Some(node) = self.node() else {
            return TEXT_PLAIN;
        };
        let declared = self.content_type();
        let is_leaf = node.kind == Kind::Leaf;
        match declared {
            _ if node.opaque => OCTET_STREAM,
            Some(declared) if is_leaf && declared.is("multipart", "*") => TEXT_PLAIN,
            Some(declared)
                if is_leaf
                    && (declared.is("message", "rfc822") || declared.is("message", "global")) =>
            {
                OCTET_STREAM
            }
            Some(declared) => (declared.main(), declared.sub()),
            None if node.kind == Kind::Message => MESSAGE_RFC822,
            None if node.in_digest => OCTET_STREAM,
            None => TEXT_PLAIN,
        }
    }

    /// Whether [`media_type`](Self::media_type) is this, in any case; `*` stands for any subtype.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        let own = self.media_type();
        own.0.eq_ignore_ascii_case(main) && (sub == "*" || own.1.eq_ignore_ascii_case(sub))
    }

    /// The `charset` parameter of a text part; `us-ascii` without one (RFC 2046 §4.1.2).
    pub fn charset(&self) -> Cow<'s, str> {
        self.content_type()
            .and_then(|declared| declared.parameter("charset"))
            .unwrap_or(Cow::Borrowed("us-ascii"))
    }

    /// `Content-Transfer-Encoding`; 7bit without one (RFC 2045 §6.1).
    ///
    /// Around parts the encoding cannot be any that changes octets (§6.4): they were found in the
    /// octets as they are, so whatever is declared there is read as binary.
    pub fn encoding(&self) -> Encoding {
        let declared = self
            .encoding_value()
            .map_or(Encoding::SevenBit, Encoding::parse);
        match declared {
            Encoding::Base64 | Encoding::QuotedPrintable | Encoding::Unknown
                if self.kind() != Kind::Leaf =>
            {
                Encoding::Binary
            }
            declared => declared,
        }
    }

    /// The value of `Content-Transfer-Encoding` as written.
    pub fn encoding_value(&self) -> Option<&'s str> {
        self.value(ContentField::TransferEncoding)
    }

    /// `Content-Disposition`, RFC 2183.
    pub fn disposition(&self) -> Option<Disposition<'s>> {
        Disposition::parse(self.value(ContentField::Disposition)?)
    }

    /// `Content-ID`, RFC 2045 §7, as written (with its angle brackets).
    pub fn id(&self) -> Option<&'s str> {
        self.value(ContentField::Id)
    }

    /// `Content-Description`, RFC 2045 §8, as written; see [`encoded_word::decode`].
    pub fn description(&self) -> Option<&'s str> {
        self.value(ContentField::Description)
    }

    /// The tags of `Content-Language`, RFC 3282.
    pub fn languages(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        let value = self.value(ContentField::Language).unwrap_or_default();
        value
            .split(',')
            .map(str::trim)
            .filter(|language| !language.is_empty())
    }

    /// `Content-Location`, RFC 2557 §4.
    pub fn location(&self) -> Option<&'s str> {
        self.value(ContentField::Location)
    }

    /// `Content-MD5`, RFC 1864.
    pub fn md5(&self) -> Option<&'s str> {
        self.value(ContentField::Md5)
    }

    /// The name to save this part under: `filename` of the disposition, else `name` of the type,
    /// with RFC 2231 and, as many writers use them there, encoded words decoded. What it says is
    /// the sender's: it may hold path separators.
    pub fn file_name(&self) -> Option<Cow<'s, str>> {
        let name = self
            .disposition()
            .and_then(|disposition| disposition.parameter("filename"))
            .or_else(|| self.content_type()?.parameter("name"))?;
        if !name.contains("=?") {
            return Some(name);
        }
        let decoded = encoded_word::decode(name.as_bytes()).into_owned();
        Some(Cow::Owned(decoded))
    }
}
