use std::num::NonZeroU32;

use bytes::Bytes;

use super::IString;
use crate::Invalid;
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;

/// `section-part`: the way down to a body part, each step counted from 1;
/// empty for the whole message.
pub type PartNumber = Vec<NonZeroU32>;

/// `section`: what of a message is meant (RFC 9051 §6.4.5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Section {
    part: PartNumber,
    text: SectionText,
}

/// `section-text`: which text of the part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum SectionText {
    /// The whole message, or the part's contents.
    #[default]
    Whole,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (…)`: these only; at least one.
    HeaderFields(Vec<IString>),
    /// `HEADER.FIELDS.NOT (…)`: all but these; at least one.
    HeaderFieldsNot(Vec<IString>),
    /// `TEXT`
    Text,
    /// `MIME`: the part's own header; only with a part number.
    Mime,
}

impl Section {
    /// The section.
    ///
    /// # Errors
    /// For MIME without a part, or a list of no header fields.
    pub fn new(part: impl Into<PartNumber>, text: SectionText) -> Result<Self, Invalid> {
        let part = part.into();
        let valid = match &text {
            SectionText::Mime => !part.is_empty(),
            SectionText::HeaderFields(names) | SectionText::HeaderFieldsNot(names) => {
                !names.is_empty()
            }
            _ => true,
        };
        if valid {
            Ok(Self { part, text })
        } else {
            Err(Invalid { term: "section" })
        }
    }

    /// The way down to the part.
    #[must_use]
    pub fn part(&self) -> &[NonZeroU32] {
        &self.part
    }

    /// Which text of it.
    #[must_use]
    pub fn text(&self) -> &SectionText {
        &self.text
    }

    /// `"[" [section-spec] "]"`.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.expect(b'[', "\"[\"")?;
        let mut part = Vec::new();
        let mut wants_text = !c.eat(b']');
        if !wants_text {
            return Ok(Self::default());
        }
        while c.peek().is_some_and(|next| next.is_ascii_digit()) {
            part.push(c.nz_number()?);
            wants_text = c.eat(b'.');
            if !wants_text {
                break;
            }
        }
        let text = match wants_text {
            true => parse_text(c, !part.is_empty())?,
            false => SectionText::Whole,
        };
        c.expect(b']', "\"]\"")?;
        Ok(Self { part, text })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.byte(b'[');
        encode_part(&self.part, w);
        if !self.part.is_empty() && self.text != SectionText::Whole {
            w.byte(b'.');
        }
        match &self.text {
            SectionText::Whole => {}
            SectionText::Header => w.raw(b"HEADER"),
            SectionText::Text => w.raw(b"TEXT"),
            SectionText::Mime => w.raw(b"MIME"),
            SectionText::HeaderFields(names) => {
                w.raw(b"HEADER.FIELDS ");
                w.list(names, |w, name| name.encode_astring(w));
            }
            SectionText::HeaderFieldsNot(names) => {
                w.raw(b"HEADER.FIELDS.NOT ");
                w.list(names, |w, name| name.encode_astring(w));
            }
        }
        w.byte(b']');
    }
}

fn parse_text(c: &mut Cursor<'_>, in_part: bool) -> Parsed<SectionText> {
    if c.eat_text("HEADER.FIELDS.NOT ") {
        return Ok(SectionText::HeaderFieldsNot(header_list(c)?));
    }
    if c.eat_text("HEADER.FIELDS ") {
        return Ok(SectionText::HeaderFields(header_list(c)?));
    }
    if c.eat_text("HEADER") {
        return Ok(SectionText::Header);
    }
    if c.eat_text("TEXT") {
        return Ok(SectionText::Text);
    }
    if in_part && c.eat_text("MIME") {
        return Ok(SectionText::Mime);
    }
    c.expected("a section")
}

/// `"(" astring *(SP astring) ")"`
fn header_list(c: &mut Cursor<'_>) -> Parsed<Vec<IString>> {
    let mut names = Vec::with_capacity(4);
    c.open()?;
    loop {
        names.push(IString::parse_astring(c)?);
        if c.eat(b')') {
            return Ok(names);
        }
        c.space()?;
    }
}

/// `"[" [section-part] "]"` of BINARY.
pub(crate) fn parse_binary(c: &mut Cursor<'_>) -> Parsed<PartNumber> {
    c.expect(b'[', "\"[\"")?;
    let mut part = Vec::new();
    if c.eat(b']') {
        return Ok(part);
    }
    loop {
        part.push(c.nz_number()?);
        if !c.eat(b'.') {
            c.expect(b']', "\"]\"")?;
            return Ok(part);
        }
    }
}

pub(crate) fn encode_binary(part: &[NonZeroU32], w: &mut Writer<'_>) {
    w.byte(b'[');
    encode_part(part, w);
    w.byte(b']');
}

fn encode_part(part: &[NonZeroU32], w: &mut Writer<'_>) {
    for (index, number) in part.iter().enumerate() {
        if index > 0 {
            w.byte(b'.');
        }
        w.number(number.get());
    }
}

/// `partial`: octets of a section. `first` is 0-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    /// The first octet, 0-based.
    pub first: u64,
    /// At most so many octets; never 0.
    pub length: std::num::NonZeroU64,
}

impl Partial {
    /// Those of a section's octets, shared; none where it begins behind the
    /// end (RFC 9051 §6.4.5).
    #[must_use]
    pub fn of(self, section: &Bytes) -> Bytes {
        let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let first = index(self.first).min(section.len());
        let end = first.saturating_add(index(self.length.get()));
        section.slice(first..end.min(section.len()))
    }

    /// `"<" number64 "." nz-number64 ">"`, if there is one.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        if !c.eat(b'<') {
            return Ok(None);
        }
        let first = c.number64()?;
        c.expect(b'.', "\".\"")?;
        let at = c.at();
        let length = std::num::NonZeroU64::new(c.number64()?)
            .ok_or(Cursor::error_at(crate::ParseErrorKind::Number, at))?;
        c.expect(b'>', "\">\"")?;
        Ok(Some(Self { first, length }))
    }

    pub(crate) fn encode(partial: Option<Self>, w: &mut Writer<'_>) {
        if let Some(Self { first, length }) = partial {
            w.byte(b'<');
            w.number(first);
            w.byte(b'.');
            w.number(length.get());
            w.byte(b'>');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_octets() {
        let section = Bytes::from_static(b"0123456789");
        for (first, length, octets) in [
            (0, 4, "0123"),
            (8, 4, "89"),
            (10, 1, ""),
            (u64::MAX, u64::MAX, ""),
            (3, u64::MAX, "3456789"),
        ] {
            let length = std::num::NonZeroU64::new(length).unwrap();
            assert_eq!(Partial { first, length }.of(&section), octets);
        }
    }
}
