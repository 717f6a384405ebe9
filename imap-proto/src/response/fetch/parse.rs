//! FETCH items as they are read.

use std::num::{NonZeroU32, NonZeroU64};

use super::{Content, FetchItem};
use crate::cursor::{Cursor, KEYWORD, Parsed, words};
use crate::types::section::parse_binary;
use crate::types::string::{literal_octets, nil, nstring};
use crate::types::{BodyStructure, Chars, DateTime, EntryName, Envelope, Flag, IString, Section};
use crate::{ParseError, ParseErrorKind};

impl Content {
    pub(in crate::response) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        if nil(c) {
            return Ok(Self::Nil);
        }
        if c.eat(b'~') || c.peek() == Some(b'{') {
            return literal_octets(c).map(Self::Octets);
        }
        Ok(Self::Octets(IString::parse(c)?.to_bytes()))
    }
}

words! { FLAGS UID ENVELOPE BODY }

impl FetchItem {
    /// Parses an item, behind those that are there.
    #[inline]
    pub(crate) fn parse_onto(c: &mut Cursor<'_>, items: &mut Vec<Self>) -> Parsed<()> {
        let (start, before) = (c.at(), items.len());
        match Self::parse_known(c, items) {
            Ok(()) if matches!(c.peek(), Some(b' ' | b')')) => Ok(()),
            Err(error) if error.kind == ParseErrorKind::Incomplete => Err(error),
            result => {
                // One odd item must not lose the others.
                items.truncate(before);
                c.set_at(start);
                match (Self::parse_opaque(c), result) {
                    (Ok(item), _) => {
                        items.push(item);
                        Ok(())
                    }
                    (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
                }
            }
        }
    }

    /// An item whose content is announced and not there.
    fn parse_announced(c: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        let at = c.at();
        let name = c.take_text(Chars::ATOM, "a FETCH item")?;
        let name = name.split(['[', '<']).next().unwrap_or(name);
        c.set_at(at + name.len());
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let bracket = c.peek() == Some(b'[');
        let mut item = if bracket && is("BODY") {
            Self::Section {
                section: Section::parse(c)?,
                origin: parse_origin(c)?,
                content: Content::Nil,
            }
        } else if bracket && is("BINARY") {
            Self::Binary {
                part: parse_binary(c)?,
                origin: parse_origin(c)?,
                content: Content::Nil,
            }
        } else if is("RFC822") {
            Self::Rfc822(Content::Nil)
        } else if is("RFC822.HEADER") {
            Self::Rfc822Header(Content::Nil)
        } else if is("RFC822.TEXT") {
            Self::Rfc822Text(Content::Nil)
        } else {
            return Ok(None);
        };
        c.space()?;
        let _ = c.eat(b'~');
        let size = crate::types::string::announcement(c)?;
        if let Some(content) = item.content_mut() {
            *content = Content::Stream(size);
        }
        Ok(Some(item))
    }

    fn parse_opaque(c: &mut Cursor<'_>) -> Parsed<Self> {
        let name = c.atom_text()?.into();
        c.space()?;
        let at = c.at();
        skip_value(c)?;
        Ok(Self::Opaque {
            name,
            value: c.slice(at, c.at()),
        })
    }

    #[inline]
    fn parse_known(c: &mut Cursor<'_>, items: &mut Vec<Self>) -> Parsed<()> {
        let at = c.at();
        let word = c.word(Chars::NAME);
        if c.peek() == Some(b' ') && word != 0 {
            c.space()?;
            match word {
                FLAGS => items.push(Self::Flags(c.list(Flag::parse)?)),
                UID => items.push(Self::Uid(c.nz_number()?)),
                ENVELOPE => items.push(Self::Envelope(Envelope::parse(c)?)),
                BODY => items.push(Self::Body(BodyStructure::parse(c)?)),
                _ => {
                    c.set_at(at);
                    return Self::parse_long(at, c, items);
                }
            }
            return Ok(());
        }
        c.set_at(at);
        if c.eat_name("INTERNALDATE") {
            c.space()?;
            items.push(Self::InternalDate(DateTime::parse(c)?));
        } else if c.eat_name("RFC822.SIZE") {
            c.space()?;
            items.push(Self::Rfc822Size(c.number64()?));
        } else if c.eat_name("BODYSTRUCTURE") {
            c.space()?;
            items.push(Self::BodyStructure(BodyStructure::parse(c)?));
        } else {
            return Self::parse_long(at, c, items);
        }
        Ok(())
    }

    /// Items in any form: of long names, or without the space.
    fn parse_long(at: usize, c: &mut Cursor<'_>, items: &mut Vec<Self>) -> Parsed<()> {
        let mut buffer = [0; KEYWORD];
        let name = c.keyword(Chars::NAME, &mut buffer);
        if c.peek() == Some(b'[') {
            items.push(Self::parse_section(name, c)?);
            return Ok(());
        }
        c.space()?;
        match name {
            b"FLAGS" => items.push(Self::Flags(c.list(Flag::parse)?)),
            b"UID" => items.push(Self::Uid(c.nz_number()?)),
            b"INTERNALDATE" => items.push(Self::InternalDate(DateTime::parse(c)?)),
            b"RFC822.SIZE" => items.push(Self::Rfc822Size(c.number64()?)),
            b"ENVELOPE" => items.push(Self::Envelope(Envelope::parse(c)?)),
            b"BODYSTRUCTURE" => items.push(Self::BodyStructure(BodyStructure::parse(c)?)),
            b"BODY" => items.push(Self::Body(BodyStructure::parse(c)?)),
            name => items.push(Self::parse_other(name, at, c)?),
        }
        Ok(())
    }

    fn parse_other(name: &[u8], at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match name {
            b"RFC822" => Self::Rfc822(Content::parse(c)?),
            b"RFC822.HEADER" => Self::Rfc822Header(Content::parse(c)?),
            b"RFC822.TEXT" => Self::Rfc822Text(Content::parse(c)?),
            b"MODSEQ" => {
                c.open()?;
                let at = c.at();
                let value = NonZeroU64::new(c.number64()?)
                    .ok_or(Cursor::error_at(ParseErrorKind::Number, at))?;
                c.close()?;
                Self::ModSeq(value)
            }
            b"EMAILID" => {
                c.open()?;
                let id = IString::parse_astring(c)?;
                c.close()?;
                Self::EmailId(id)
            }
            b"THREADID" if nil(c) => Self::ThreadId(None),
            b"THREADID" => {
                c.open()?;
                let id = IString::parse_astring(c)?;
                c.close()?;
                Self::ThreadId(Some(id))
            }
            b"SAVEDATE" if nil(c) => Self::SaveDate(None),
            b"SAVEDATE" => Self::SaveDate(Some(DateTime::parse(c)?)),
            b"ANNOTATION" => parse_annotation(c)?,
            b"PREVIEW" => Self::Preview(nstring(c)?),
            _ => return Err(Cursor::error_at(ParseErrorKind::Unknown("FETCH item"), at)),
        })
    }

    fn parse_section(name: &[u8], c: &mut Cursor<'_>) -> Parsed<Self> {
        match name {
            b"BODY" => {
                let section = Section::parse(c)?;
                let origin = parse_origin(c)?;
                c.space()?;
                let content = Content::parse(c)?;
                Ok(Self::Section {
                    section,
                    origin,
                    content,
                })
            }
            b"BINARY" => {
                let part = parse_binary(c)?;
                let origin = parse_origin(c)?;
                c.space()?;
                let content = Content::parse(c)?;
                Ok(Self::Binary {
                    part,
                    origin,
                    content,
                })
            }
            b"BINARY.SIZE" => {
                let part = parse_binary(c)?;
                c.space()?;
                let size = c.number64()?;
                Ok(Self::BinarySize { part, size })
            }
            _ => c.expected("BODY or BINARY before \"[\""),
        }
    }
}

/// `"(" entry-att *(SP entry-att) ")"` or `"(" entry *(SP entry) ")"`.
fn parse_annotation(c: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let at = c.at();
    match crate::command::annotation::parse_list(c) {
        Ok(annotations) => Ok(FetchItem::Annotation(annotations)),
        Err(error) if error.kind == ParseErrorKind::Incomplete => Err(error),
        Err(_) => {
            c.set_at(at);
            c.list1(EntryName::parse).map(FetchItem::AnnotationChanged)
        }
    }
}

/// A FETCH response up to a literal.
#[derive(Debug)]
pub(crate) struct FetchFront {
    /// The sequence number, or the UID.
    pub(crate) number: NonZeroU32,
    /// UIDFETCH.
    pub(crate) is_uid: bool,
    /// The items before.
    pub(crate) items: Vec<FetchItem>,
    /// The item whose content the literal is.
    pub(crate) item: FetchItem,
}

/// `"* " nz-number " FETCH (" …` up to a literal at the end; `None` when the
/// literal is not a content.
pub(crate) fn parse_front(c: &mut Cursor<'_>) -> Parsed<Option<FetchFront>> {
    c.expect_text("* ")?;
    let number = c.nz_number()?;
    let is_uid = c.eat_text(" UIDFETCH ");
    if !is_uid {
        c.expect_text(" FETCH ")?;
    }
    c.opens()?;
    let found = parse_items_front(c)?;
    Ok(found.map(|(items, item)| FetchFront {
        number,
        is_uid,
        items,
        item,
    }))
}

/// `"(" [item *(SP item)] ")"`
pub(crate) fn parse_items(c: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    // As many as clients ask of each message of a list.
    let mut items = Vec::with_capacity(6);
    c.opens()?;
    if c.closes() {
        return Ok(items);
    }
    loop {
        c.element()?;
        FetchItem::parse_onto(c, &mut items)?;
        if c.closes() {
            return Ok(items);
        }
        c.space()?;
    }
}

/// `item *(SP item)` up to a literal at the end.
pub(crate) fn parse_items_front(c: &mut Cursor<'_>) -> Parsed<Option<(Vec<FetchItem>, FetchItem)>> {
    let mut items = Vec::new();
    loop {
        c.element()?;
        let start = c.at();
        match FetchItem::parse_onto(c, &mut items) {
            Ok(()) => c.space()?,
            Err(error) if error.kind == ParseErrorKind::Incomplete => {
                c.set_at(start);
                let item = FetchItem::parse_announced(c)?;
                return Ok(item.filter(|_| c.is_end()).map(|item| (items, item)));
            }
            Err(error) => return Err(error),
        }
    }
}

/// `["<" number64 ">"]`.
fn parse_origin(c: &mut Cursor<'_>) -> Parsed<Option<u64>> {
    if !c.eat(b'<') {
        return Ok(None);
    }
    let origin = c.number64()?;
    c.expect(b'>', "\">\"")?;
    Ok(Some(origin))
}

/// Skips one value of any form: a list, a string, or a word.
pub(crate) fn skip_value(c: &mut Cursor<'_>) -> Result<(), ParseError> {
    let mut depth = 0_u32;
    loop {
        match c.peek() {
            Some(b'(') => {
                depth += 1;
                c.set_at(c.at() + 1);
            }
            Some(b')') if depth > 0 => {
                depth -= 1;
                c.set_at(c.at() + 1);
            }
            Some(b'"') => {
                IString::parse(c)?;
            }
            Some(b'~') if c.peek_at(1) == Some(b'{') => {
                c.set_at(c.at() + 1);
                literal_octets(c)?;
            }
            Some(b'{') => {
                literal_octets(c)?;
            }
            Some(b' ') if depth > 0 => c.set_at(c.at() + 1),
            Some(b' ' | b')') => return c.expected("a value"),
            Some(_) => skip_word(c),
            None => return c.expected("a value"),
        }
        if depth == 0 {
            return Ok(());
        }
    }
}

fn skip_word(c: &mut Cursor<'_>) {
    let is_end = |octet: u8| matches!(octet, b' ' | b'(' | b')' | b'"' | b'{');
    let at = c.at();
    while c.peek().is_some_and(|octet| !is_end(octet)) {
        c.set_at(c.at() + 1);
    }
    debug_assert!(c.at() > at, "a word has an octet");
}
