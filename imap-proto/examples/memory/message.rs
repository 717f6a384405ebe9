//! What of a message FETCH and SEARCH want. The crate `mime` of this workspace
//! does it properly: here every message is taken for plain text.

use bytes::Bytes;
use imap_proto::{
    Address, BodyStructure, Candidate, Content, Date, DateTime, Envelope, FetchAttribute,
    FetchItem, Flag, IString, Media, Message, Needle, Section, SectionText, SinglePart,
};

use super::ONE;
use super::store::Mail;

/// A message as SEARCH sees it; everything is in memory, so nothing is asked.
pub(crate) struct Found<'a>(pub(crate) Message, pub(crate) &'a Mail);

impl Candidate for Found<'_> {
    fn message(&self) -> Message {
        self.0
    }
    fn has_flag(&self, flag: &Flag) -> bool {
        self.1.flags.contains(flag)
    }
    fn internal_date(&self) -> DateTime {
        self.1.date
    }
    fn size(&self) -> u64 {
        self.1.octets.len() as u64
    }
    fn sent_date(&self) -> Option<Option<Date>> {
        Some(Some(self.1.date.date()))
    }
    fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool> {
        let fields = self.1.fields(|field| is(field, name));
        Some(fields.iter().any(|(_, value)| needle.is_in(value)))
    }
    fn header_contains(&self, needle: &Needle) -> Option<bool> {
        Some(needle.is_in(&String::from_utf8_lossy(self.1.split().0)))
    }
    fn body_contains(&self, needle: &Needle) -> Option<bool> {
        Some(needle.is_in(&String::from_utf8_lossy(self.1.split().1)))
    }
}

fn is(field: &str, name: &[u8]) -> bool {
    field.as_bytes().eq_ignore_ascii_case(name)
}

impl Mail {
    /// Header, with the empty line behind it, and body.
    fn split(&self) -> (&[u8], &[u8]) {
        let end = self.octets.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.map_or(self.octets.len(), |end| end + 4);
        self.octets.split_at(end)
    }

    /// The fields of such names, unfolded.
    fn fields(&self, named: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let header = String::from_utf8_lossy(self.split().0).replace("\r\n ", " ");
        let fields = header.lines().filter_map(|line| line.split_once(':'));
        let fields = fields.filter(|(name, _)| named(name));
        let owned = |(name, value): (&str, &str)| (name.into(), value.trim().into());
        fields.map(owned).collect()
    }

    fn section(&self, section: &Section) -> Option<Bytes> {
        let fields = |names: &[IString], among: bool| {
            let named = |field: &str| names.iter().any(|name| is(field, name.as_bytes())) == among;
            let fields = self.fields(named).into_iter();
            let lines = fields.map(|(name, value)| format!("{name}: {value}\r\n"));
            Bytes::from(lines.collect::<String>() + "\r\n")
        };
        let (header, body) = self.split();
        Some(match (section.part(), section.text()) {
            ([], SectionText::Whole) => self.octets.clone(),
            ([], SectionText::Header) => self.octets.slice_ref(header),
            ([], SectionText::Text) | ([ONE], SectionText::Whole) => self.octets.slice_ref(body),
            ([], SectionText::HeaderFields(names)) => fields(names, true),
            ([], SectionText::HeaderFieldsNot(names)) => fields(names, false),
            _ => return None,
        })
    }

    pub(crate) fn item(&self, attribute: &FetchAttribute) -> Option<FetchItem> {
        let (header, body) = self.split();
        let octets = |part: &[u8]| Content::Octets(self.octets.slice_ref(part));
        Some(match attribute {
            FetchAttribute::Uid => FetchItem::Uid(self.uid),
            FetchAttribute::Flags => FetchItem::Flags(self.flags.clone()),
            FetchAttribute::InternalDate => FetchItem::InternalDate(self.date),
            FetchAttribute::Rfc822Size => FetchItem::Rfc822Size(self.octets.len() as u64),
            FetchAttribute::Rfc822 => FetchItem::Rfc822(octets(&self.octets)),
            FetchAttribute::Rfc822Header => FetchItem::Rfc822Header(octets(header)),
            FetchAttribute::Rfc822Text => FetchItem::Rfc822Text(octets(body)),
            FetchAttribute::Envelope => FetchItem::Envelope(Box::new(self.envelope())),
            FetchAttribute::Body => FetchItem::Body(structure(body)),
            FetchAttribute::BodyStructure => FetchItem::BodyStructure(structure(body)),
            FetchAttribute::Section {
                section, partial, ..
            } => {
                let whole = self.section(section);
                let part = whole.map(|whole| partial.map_or(whole.clone(), |one| one.of(&whole)));
                FetchItem::Section {
                    section: section.clone(),
                    origin: partial.map(|partial| partial.first),
                    content: part.map_or(Content::Nil, Content::Octets),
                }
            }
            _ => return None,
        })
    }

    fn envelope(&self) -> Envelope {
        let text = |wanted: &str| {
            let found = self.fields(|field| is(field, wanted.as_bytes()));
            found
                .first()
                .map(|(_, value)| IString::lossy(value.clone()))
        };
        let address = |one: &str| {
            let (mailbox, host) = one.rsplit(['<', ' ']).next()?.split_once('@')?;
            Some(Address {
                mailbox: IString::try_from(mailbox).ok(),
                host: IString::try_from(host.trim_end_matches('>')).ok(),
                ..Address::default()
            })
        };
        let addresses = |wanted: &str| -> Vec<Address> {
            let value = text(wanted).unwrap_or_default();
            value.to_text().split(',').filter_map(address).collect()
        };
        Envelope {
            date: text("Date"),
            subject: text("Subject"),
            from: addresses("From"),
            sender: addresses("From"),
            reply_to: addresses("From"),
            to: addresses("To"),
            in_reply_to: text("In-Reply-To"),
            message_id: text("Message-ID"),
            ..Envelope::default()
        }
    }
}

fn structure(body: &[u8]) -> BodyStructure {
    let subtype = IString::lossy("PLAIN");
    let lines = body.iter().filter(|octet| **octet == b'\n').count() as u64;
    BodyStructure::Single(Box::new(SinglePart {
        media: Media::Text { subtype, lines },
        encoding: IString::lossy("8BIT"),
        size: body.len() as u64,
        ..SinglePart::default()
    }))
}
