//! What FETCH tells of a message by its octets alone.

use bytes::Bytes;

use crate::{Content, FetchAttribute, FetchItem, IString, Section, SectionText};

/// The fields of a message's header, in order: of each its name, and all of
/// it, folded as it is, with the end of its line.
///
/// ```
/// let message = b"To: a@b\r\nSubject: one\r\n two\r\n\r\nText: no\r\n";
/// let fields: Vec<_> = imap_proto::header_fields(message).collect();
/// assert_eq!(fields[1], (&b"Subject"[..], &b"Subject: one\r\n two\r\n"[..]));
/// assert_eq!(fields.len(), 2);
/// ```
pub fn header_fields(message: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = message.get(..text_start(message)).unwrap_or_default();
    std::iter::from_fn(move || {
        let mut lines = rest.split_inclusive(|octet| *octet == b'\n');
        let first = lines.next().filter(|line| !is_empty(line))?;
        let folded = lines.take_while(|line| matches!(line, [b' ' | b'\t', ..]) && !is_empty(line));
        let end = first.len() + folded.map(<[u8]>::len).sum::<usize>();
        let (field, behind) = rest.split_at_checked(end)?;
        rest = behind;
        let name = field.split(|octet| *octet == b':').next()?;
        Some((name.trim_ascii_end(), field))
    })
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

/// Where the text begins: behind the empty line.
fn text_start(message: &[u8]) -> usize {
    let mut start = 0;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        start += line.len();
        if is_empty(line) {
            break;
        }
    }
    start
}

impl SectionText {
    /// This section of a whole message, shared where it is in one piece;
    /// `None` for [`SectionText::Mime`], which only a part has.
    ///
    /// HEADER holds the empty line behind it, and so do the selected fields
    /// (RFC 9051 §6.4.5.1).
    #[must_use]
    pub fn of(&self, message: &Bytes) -> Option<Bytes> {
        let fields = |names: &[IString], among: bool| {
            let named = |field: &[u8]| {
                let mut names = names.iter();
                names.any(|name| name.as_bytes().eq_ignore_ascii_case(field)) == among
            };
            let fields = header_fields(message).filter(|(name, _)| named(name));
            let mut octets: Vec<u8> = fields.flat_map(|(_, field)| field).copied().collect();
            octets.extend_from_slice(b"\r\n");
            Bytes::from(octets)
        };
        Some(match self {
            Self::Whole => message.clone(),
            Self::Header => message.slice(..text_start(message)),
            Self::Text => message.slice(text_start(message)..),
            Self::HeaderFields(names) => fields(names, true),
            Self::HeaderFieldsNot(names) => fields(names, false),
            Self::Mime => return None,
        })
    }
}

impl FetchItem {
    /// What FETCH answers of a message by its octets: its size, RFC822, and
    /// BODY with a section. Of a section within a part the host is asked, NIL
    /// is sent for one that is not there. `None` for any other attribute.
    #[must_use]
    pub fn of_message(
        attribute: &FetchAttribute,
        message: &Bytes,
        part: impl FnOnce(&Section) -> Option<Bytes>,
    ) -> Option<Self> {
        let content = |text: SectionText| text.of(message).map(Content::Octets);
        Some(match attribute {
            FetchAttribute::Rfc822Size => Self::Rfc822Size(message.len() as u64),
            FetchAttribute::Rfc822 => Self::Rfc822(content(SectionText::Whole)?),
            FetchAttribute::Rfc822Header => Self::Rfc822Header(content(SectionText::Header)?),
            FetchAttribute::Rfc822Text => Self::Rfc822Text(content(SectionText::Text)?),
            FetchAttribute::Section {
                section, partial, ..
            } => {
                let whole = match section.part() {
                    [] => section.text().of(message),
                    _ => part(section),
                };
                let octets = whole.map(|whole| match partial {
                    Some(partial) => partial.of(&whole),
                    None => whole,
                });
                Self::Section {
                    section: section.clone(),
                    origin: partial.map(|partial| partial.first),
                    content: octets.map_or(Content::Nil, Content::Octets),
                }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"To: a@b\r\nSubject: x\r\n\ty\r\nto : c@d\r\n\r\nText\r\n\r\nmore";

    #[test]
    fn sections() {
        let message = Bytes::from_static(MESSAGE);
        let of = |text: SectionText| text.of(&message).unwrap();
        let (header, text) = (of(SectionText::Header), of(SectionText::Text));
        assert_eq!(text, &b"Text\r\n\r\nmore"[..]);
        assert_eq!([header, text].concat(), MESSAGE);
        let to = || vec![IString::lossy("TO")];
        let fields = of(SectionText::HeaderFields(to()));
        assert_eq!(fields, &b"To: a@b\r\nto : c@d\r\n\r\n"[..]);
        let others = of(SectionText::HeaderFieldsNot(to()));
        assert_eq!(others, &b"Subject: x\r\n\ty\r\n\r\n"[..]);
    }

    #[test]
    fn odd_messages() {
        for (message, header, fields) in [
            (&b""[..], 0, 0),
            (b"\r\nbody", 2, 0),
            (b"A: 1", 4, 1),
            (b"A: 1\n\nB: 2\n", 6, 1),
            (b" folded at once\r\nno colon\r\n\r\n", 29, 2),
        ] {
            assert_eq!(text_start(message), header, "{message:?}");
            assert_eq!(header_fields(message).count(), fields, "{message:?}");
        }
    }

    #[test]
    fn a_part_of_a_section() {
        let message = Bytes::from_static(MESSAGE);
        let item = |text: &str| {
            let line = Bytes::from(format!("a FETCH 1 {text}\r\n"));
            let command = crate::Command::parse(&line, crate::Dialect::SERVER).unwrap();
            let crate::CommandBody::Fetch(fetch) = command.body else {
                panic!()
            };
            let part = |_: &Section| Some(Bytes::from_static(b"part"));
            FetchItem::of_message(&fetch.attributes[0], &message, part)
        };
        let content = |text: &str| match item(text) {
            Some(FetchItem::Section { content, .. }) => content,
            other => panic!("{other:?}"),
        };
        let octets = |octets: &'static [u8]| Content::Octets(Bytes::from_static(octets));
        assert_eq!(content("BODY[TEXT]<2.3>"), octets(b"xt\r"));
        assert_eq!(content("BODY[1]<1.9>"), octets(b"art"));
        assert_eq!(
            item("RFC822.SIZE"),
            Some(FetchItem::Rfc822Size(MESSAGE.len() as u64))
        );
        assert_eq!(item("FLAGS"), None);
    }
}
