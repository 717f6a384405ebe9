use super::{Annotation, annotation};
use crate::cursor::{Cursor, Parsed};
use crate::types::{DateTime, Flag, IString, Mailbox, SequenceNumber, Tag};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// APPEND (RFC 9051 §6.3.12): where a message goes. The message itself is
/// streamed, never part of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Which mailbox.
    pub mailbox: Mailbox,
    /// Its flags and date.
    pub options: AppendOptions,
}

/// `append-opts`: what comes before each message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppendOptions {
    /// The message's flags.
    pub flags: Vec<Flag>,
    /// The message's INTERNALDATE; `None` for the time of arrival.
    pub date: Option<DateTime>,
    /// Its annotations (RFC 5257 §4.7).
    pub annotations: Vec<Annotation>,
}

/// `append-message`: one message of APPEND, MULTIAPPEND (RFC 3502) or
/// REPLACE (RFC 8508).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendMessage {
    /// Its flags and date.
    pub options: AppendOptions,
    /// What it is made of.
    pub data: AppendData,
}

/// `append-data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendData {
    /// A literal.
    Literal {
        /// Its octets.
        size: u64,
        /// A literal8, which may hold NUL (RFC 3516).
        binary: bool,
    },
    /// `UTF8`: a literal8 whose header may hold UTF-8 (RFC 6855).
    Utf8 {
        /// Its octets.
        size: u64,
    },
    /// `CATENATE`: these, one behind the other (RFC 4469); at least one.
    Catenate(Vec<CatenatePart>),
}

/// `cat-part` (RFC 4469 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatenatePart {
    /// `URL`: what this names, for [`ImapUrl::parse`](crate::ImapUrl::parse)
    /// and [`ImapUrl::resolve`](crate::ImapUrl::resolve).
    Url(IString),
    /// `TEXT`, or `UTF8` (RFC 6855): a literal.
    Text {
        /// Its octets.
        size: u64,
        /// Whether it may hold UTF-8 in a header.
        utf8: bool,
    },
}

/// The message that REPLACE puts another in place of (RFC 8508).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// UID REPLACE: the number is a UID.
    pub uid: bool,
    /// Which message.
    pub message: SequenceNumber,
}

/// `"{" number64 ["+"] "}"` and what may stand before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) size: u64,
    /// `~{n}`: the message may hold NUL (RFC 3516, RFC 6855).
    pub(crate) binary: bool,
    /// `UTF8 (~{n} …)` of RFC 6855: a `)` follows the message.
    pub(crate) utf8: bool,
}

/// What stands before the first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tag: Tag,
    pub(crate) replaces: Option<Replaced>,
    pub(crate) mailbox: Mailbox,
}

/// What an APPEND goes on with, between two literals that are streamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A message begins; `None` where CATENATE puts it together.
    Message(AppendOptions, Option<Announced>),
    Url(IString),
    Text(Announced),
    /// The end of a CATENATE.
    End,
    /// The end of the command.
    Last,
}

/// Where a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the space of a message.
    Message,
    /// Behind a text of CATENATE; whether a `)` is owed.
    Parts { utf8: bool },
}

impl Head {
    /// `tag SP ("APPEND" / ["UID" SP] "REPLACE" SP seq-number) SP mailbox`.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let tag = Tag::parse(c)?;
        c.space()?;
        let uid = c.eat_text("UID ");
        let replaces = if !uid && c.eat_text("APPEND ") {
            None
        } else {
            c.expect_text("REPLACE ")?;
            let message = SequenceNumber::parse(c)?;
            c.space()?;
            Some(Replaced { uid, message })
        };
        let mailbox = Mailbox::parse(c)?;
        Ok(Self {
            tag,
            replaces,
            mailbox,
        })
    }
}

impl Item {
    /// What stands up to a literal that is streamed, or up to the end of the
    /// command. [`ParseErrorKind::Incomplete`] at a literal that is part of
    /// something else.
    pub(crate) fn parse_segment(c: &mut Cursor<'_>, place: Place) -> Parsed<Vec<Self>> {
        let mut items = Vec::new();
        if let Place::Parts { utf8 } = place {
            if utf8 {
                c.close()?;
            }
            if Self::parse_parts(c, false, &mut items)? {
                return Ok(items);
            }
            if c.is_end() {
                items.push(Self::Last);
                return Ok(items);
            }
        }
        loop {
            c.space()?;
            let options = AppendOptions::parse(c)?;
            if !c.eat_text("CATENATE (") {
                let announced = Announced::parse(c)?;
                c.end()?;
                items.push(Self::Message(options, Some(announced)));
                return Ok(items);
            }
            items.push(Self::Message(options, None));
            if Self::parse_parts(c, true, &mut items)? {
                return Ok(items);
            }
            if c.is_end() {
                items.push(Self::Last);
                return Ok(items);
            }
        }
    }

    /// `cat-part *(SP cat-part) ")"`; true at the literal of a text.
    fn parse_parts(c: &mut Cursor<'_>, mut first: bool, items: &mut Vec<Self>) -> Parsed<bool> {
        loop {
            if !first && c.eat(b')') {
                items.push(Self::End);
                return Ok(false);
            }
            if !std::mem::take(&mut first) {
                c.space()?;
            }
            if c.eat_text("URL ") {
                items.push(Self::Url(IString::parse_astring(c)?));
                continue;
            }
            let text = c.eat_text("TEXT ");
            if !text && c.peek() != Some(b'U') && c.peek() != Some(b'u') {
                return Err(c.error(ParseErrorKind::Expected("URL or TEXT")));
            }
            let announced = Announced::parse(c)?;
            c.end()?;
            items.push(Self::Text(announced));
            return Ok(true);
        }
    }
}

impl Announced {
    /// `literal / literal8 / "UTF8" SP "(" literal8`, up to the octets.
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let utf8 = c.eat_text("UTF8 (");
        let binary = c.eat(b'~');
        if utf8 && !binary {
            return c.expected("a literal8");
        }
        let size = crate::types::string::announcement(c)?;
        Ok(Self { size, binary, utf8 })
    }
}

impl AppendOptions {
    /// `[flag-list SP] [date-time SP] [append-ext SP]`.
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut options = Self::default();
        if c.peek() == Some(b'(') {
            options.flags = c.list(Flag::parse_settable)?;
            c.space()?;
        }
        if c.peek() == Some(b'"') {
            options.date = Some(DateTime::parse(c)?);
            c.space()?;
        }
        if c.eat_text("ANNOTATION ") {
            options.annotations = annotation::parse_list(c)?;
            c.space()?;
        }
        Ok(options)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.space();
        if !self.flags.is_empty() {
            Flag::encode_list(&self.flags, w);
            w.space();
        }
        if let Some(date) = self.date {
            date.encode(w);
            w.space();
        }
        if !self.annotations.is_empty() {
            annotation::encode_list(&self.annotations, w);
            w.space();
        }
    }

    /// Calls `need` with each extension that they are part of.
    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        if !self.annotations.is_empty() {
            need(Extension::Annotate);
        }
    }
}

/// The command without its tag, the literals streamed.
pub(crate) fn encode(
    replaces: Option<Replaced>,
    mailbox: &Mailbox,
    messages: &[AppendMessage],
    w: &mut Writer<'_>,
) {
    match replaces {
        None => w.raw(b"APPEND "),
        Some(Replaced { uid, message }) => {
            w.raw(if uid { b"UID REPLACE " } else { b"REPLACE " });
            message.encode(w);
            w.space();
        }
    }
    mailbox.encode(w);
    for message in messages {
        message.options.encode(w);
        message.data.encode(w);
    }
}

impl AppendData {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Literal { size, binary } => w.stream(*size, *binary),
            Self::Utf8 { size } => encode_utf8(*size, w),
            Self::Catenate(parts) => {
                w.raw(b"CATENATE ");
                w.list(parts, |w, part| match part {
                    CatenatePart::Url(url) => {
                        w.raw(b"URL ");
                        url.encode_astring(w);
                    }
                    CatenatePart::Text { size, utf8: true } => encode_utf8(*size, w),
                    CatenatePart::Text { size, utf8: false } => {
                        w.raw(b"TEXT ");
                        w.stream(*size, false);
                    }
                });
            }
        }
    }
}

fn encode_utf8(size: u64, w: &mut Writer<'_>) {
    w.raw(b"UTF8 (");
    w.stream(size, true);
    w.byte(b')');
}
