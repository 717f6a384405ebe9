//! Section addressing, RFC 9051 §6.4.5.1 (and RFC 3501 §6.4.5): `BODY[1.2.HEADER]`.

use std::borrow::Cow;
use std::fmt;

use crate::{Headers, Span, Structure};

/// What is addressed of a message or part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// All of it: the whole message for `[]`, a part's body for `[1.2]`.
    #[default]
    All,
    /// `HEADER`: the header of the message, or of the message inside a message part.
    Header,
    /// `HEADER.FIELDS`: only the fields with these names.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT`: all fields but those with these names.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`: the body of the message, or of the message inside a message part.
    Text,
    /// `MIME`: the part's own header.
    Mime,
}

/// A section: part number and what of it.
///
/// ```
/// use mime::{Section, Structure};
///
/// let message = b"Subject: a\r\nFrom: b@example.org\r\n\r\nText";
/// let structure = Structure::parse(message);
/// let section = Section::parse("HEADER.FIELDS (Subject)").unwrap();
/// assert_eq!(*section.octets(&structure, message).unwrap(), *b"Subject: a\r\n\r\n");
/// assert_eq!(*Section::parse("1").unwrap().octets(&structure, message).unwrap(), *b"Text");
/// assert!(Section::parse("2").unwrap().octets(&structure, message).is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Section {
    /// The part number; empty for the message itself.
    pub part: Vec<u32>,
    /// What of the part.
    pub text: SectionText,
}

/// Where a section lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    /// These octets are it.
    Octets(Span),
    /// It is made from this header by [`select_fields`].
    Fields(Span),
}

impl Section {
    /// A section with this part number and text.
    pub fn new(part: Vec<u32>, text: SectionText) -> Self {
        Self { part, text }
    }

    /// Reads what stands between the brackets of `BODY[…]`; field names may be quoted. `None` if it
    /// is no section.
    pub fn parse(text: &str) -> Option<Self> {
        let mut part = Vec::new();
        let mut rest = text.trim();
        while rest.starts_with(|first: char| first.is_ascii_digit()) {
            let (number, tail) = rest.split_once('.').unwrap_or((rest, ""));
            part.push(number.parse().ok().filter(|&number| number > 0)?);
            if tail.is_empty() && rest.ends_with('.') {
                return None;
            }
            rest = tail;
        }
        let (keyword, names) = match rest.split_once([' ', '(']) {
            Some((keyword, _)) => (keyword, rest.get(keyword.len()..)?.trim()),
            None => (rest, ""),
        };
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        let text = if is("HEADER.FIELDS") {
            SectionText::HeaderFields(field_names(names)?)
        } else if is("HEADER.FIELDS.NOT") {
            SectionText::HeaderFieldsNot(field_names(names)?)
        } else if !names.is_empty() {
            return None;
        } else if keyword.is_empty() {
            SectionText::All
        } else if is("HEADER") {
            SectionText::Header
        } else if is("TEXT") {
            SectionText::Text
        } else if is("MIME") && !part.is_empty() {
            SectionText::Mime
        } else {
            return None;
        };
        Some(Self { part, text })
    }

    /// Where this section lies in the message; `None` if there is no such part, or `HEADER` or
    /// `TEXT` of a part that contains no message.
    pub fn locate(&self, structure: &Structure) -> Option<Located> {
        let part = structure.find(&self.part)?;
        let message = if self.part.is_empty() {
            Some(part)
        } else {
            part.nested()
        };
        Some(match self.text {
            SectionText::All if self.part.is_empty() => Located::Octets(part.span()),
            SectionText::All => Located::Octets(part.body()),
            SectionText::Mime => Located::Octets(part.header()),
            SectionText::Header => Located::Octets(message?.header()),
            SectionText::Text => Located::Octets(message?.body()),
            SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
                Located::Fields(message?.header())
            }
        })
    }

    /// The octets of this section from the message in memory; `None` as in [`locate`](Self::locate).
    pub fn octets<'m>(&self, structure: &Structure, message: &'m [u8]) -> Option<Cow<'m, [u8]>> {
        Some(match self.locate(structure)? {
            Located::Octets(span) => Cow::Borrowed(span.of(message)),
            Located::Fields(span) => {
                let header = span.of(message);
                let mut fields = self.fields(header);
                // The blank line is left out only of a message that has neither it nor a body.
                let has_body = message.len() as u64 > span.end;
                if Headers::new(header).fields_len() == header.len() && has_body {
                    fields.extend_from_slice(b"\r\n");
                }
                Cow::Owned(fields)
            }
        })
    }

    /// For a section that is [`Located::Fields`]: the chosen fields of that header. Of other
    /// sections the header as it is.
    pub fn fields(&self, header: &[u8]) -> Vec<u8> {
        match &self.text {
            SectionText::HeaderFields(names) => select_fields(header, names, true),
            SectionText::HeaderFieldsNot(names) => select_fields(header, names, false),
            _ => header.to_vec(),
        }
    }
}

/// The fields of a header whose names are (`wanted`) or are not (`!wanted`) among `names`, as they
/// are and in their order, and the blank line if the header has one.
pub fn select_fields<N: AsRef<str>>(header: &[u8], names: &[N], wanted: bool) -> Vec<u8> {
    let headers = Headers::new(header);
    let fields = headers.fields_len();
    let mut out = Vec::new();
    for field in headers {
        if names.iter().any(|name| field.is(name.as_ref())) == wanted {
            out.extend_from_slice(field.octets());
        }
    }
    let blank = header.get(fields..).unwrap_or_default();
    if blank.starts_with(b"\r\n") || blank.starts_with(b"\n") {
        out.extend_from_slice(blank);
    }
    out
}

/// `"(" field-name *(SP field-name) ")"`
fn field_names(list: &str) -> Option<Vec<String>> {
    let list = list.strip_prefix('(')?.strip_suffix(')')?;
    let names: Vec<String> = list
        .split_ascii_whitespace()
        .map(|name| name.trim_matches('"').to_owned())
        .collect();
    let valid = |name: &String| {
        let mut octets = name.bytes();
        !name.is_empty() && octets.all(|byte| matches!(byte, 33..=57 | 59..=126))
    };
    (!names.is_empty() && names.iter().all(valid)).then_some(names)
}

impl fmt::Display for Section {
    /// As between the brackets of `BODY[…]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut dot = "";
        for number in &self.part {
            write!(f, "{dot}{number}")?;
            dot = ".";
        }
        let (keyword, names) = match &self.text {
            SectionText::All => return Ok(()),
            SectionText::Header => ("HEADER", None),
            SectionText::HeaderFields(names) => ("HEADER.FIELDS", Some(names)),
            SectionText::HeaderFieldsNot(names) => ("HEADER.FIELDS.NOT", Some(names)),
            SectionText::Text => ("TEXT", None),
            SectionText::Mime => ("MIME", None),
        };
        write!(f, "{dot}{keyword}")?;
        match names {
            Some(names) => write!(f, " ({})", names.join(" ")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn chosen_fields_end_in_a_blank_line() {
        let fields = |message: &[u8]| {
            let section = Section::parse("HEADER.FIELDS (A)").unwrap();
            let structure = Structure::parse(message);
            section.octets(&structure, message).unwrap().into_owned()
        };
        assert_eq!(fields(b"A: 1\r\nB: 2\r\n\r\nbody"), b"A: 1\r\n\r\n");
        assert_eq!(fields(b"A: 1\r\nB: 2\r\nno field"), b"A: 1\r\n\r\n");
        assert_eq!(fields(b"A: 1\r\nB: 2\r\n"), b"A: 1\r\n");
        assert_eq!(fields(b"B: 2\r\n\r\n"), b"\r\n");
    }

    #[test]
    fn sections_read_and_write() {
        for text in [
            "",
            "1",
            "1.2.3",
            "HEADER",
            "TEXT",
            "1.MIME",
            "4.1.HEADER",
            "4.2.TEXT",
            "HEADER.FIELDS (From To)",
            "3.HEADER.FIELDS.NOT (X-Y)",
        ] {
            let section = Section::parse(text).unwrap();
            assert_eq!(section.to_string(), text);
        }
        assert_eq!(
            Section::parse("header.fields(\"From\")").unwrap().text,
            SectionText::HeaderFields(vec!["From".into()])
        );
        for bad in [
            "0",
            "1.",
            "1..2",
            "MIME",
            "x",
            "1.x",
            "HEADER (a)",
            "HEADER.FIELDS",
            "HEADER.FIELDS ()",
            "HEADER.FIELDS (a:)",
        ] {
            assert!(Section::parse(bad).is_none(), "{bad}");
        }
    }
}
