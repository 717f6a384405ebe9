//! What of a message FETCH and SEARCH want. The crate `mime` of this workspace
//! does it properly: here every message is taken for plain text.

use std::num::NonZeroU32;

use bytes::Bytes;
use imap_proto::{
    Address, BodyStructure, Candidate, Content, Date, DateTime, Envelope, FetchAttribute,
    FetchItem, Flag, IString, Media, Message, Needle, Section, SectionText, SinglePart,
};

use crate::store::Mail;

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// A message as SEARCH sees it; everything is in memory, so nothing is asked.
pub(crate) struct Found<'a> {
    pub(crate) message: Message,
    pub(crate) mail: &'a Mail,
}

impl Candidate for Found<'_> {
    fn message(&self) -> Message {
        self.message
    }
    fn has_flag(&self, flag: &Flag) -> bool {
        self.mail.flags.contains(flag)
    }
    fn internal_date(&self) -> DateTime {
        self.mail.date
    }
    fn size(&self) -> u64 {
        self.mail.octets.len() as u64
    }
    fn sent_date(&self) -> Option<Option<Date>> {
        Some(Some(self.mail.date.date()))
    }
    fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool> {
        let is = |(field, _): &(String, String)| field.as_bytes().eq_ignore_ascii_case(name);
        Some(
            fields(self.mail)
                .iter()
                .filter(|one| is(one))
                .any(|(_, value)| needle.is_in(value)),
        )
    }
    fn header_contains(&self, needle: &Needle) -> Option<bool> {
        Some(needle.is_in(&String::from_utf8_lossy(split(&self.mail.octets).0)))
    }
    fn body_contains(&self, needle: &Needle) -> Option<bool> {
        Some(needle.is_in(&String::from_utf8_lossy(split(&self.mail.octets).1)))
    }
}

/// Header, with the empty line behind it, and body.
fn split(octets: &[u8]) -> (&[u8], &[u8]) {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
    octets.split_at(end.map_or(octets.len(), |end| end + 4))
}

/// Fields, unfolded.
fn fields(mail: &Mail) -> Vec<(String, String)> {
    let header = String::from_utf8_lossy(split(&mail.octets).0).replace("\r\n ", " ");
    let fields = header.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.into(), value.trim().into()))
        .collect()
}

pub(crate) fn item(mail: &Mail, attribute: &FetchAttribute) -> Option<FetchItem> {
    let (header, body) = split(&mail.octets);
    let octets = |part: &[u8]| Content::Octets(mail.octets.slice_ref(part));
    Some(match attribute {
        FetchAttribute::Uid => FetchItem::Uid(mail.uid),
        FetchAttribute::Flags => FetchItem::Flags(mail.flags.clone()),
        FetchAttribute::InternalDate => FetchItem::InternalDate(mail.date),
        FetchAttribute::Rfc822Size => FetchItem::Rfc822Size(mail.octets.len() as u64),
        FetchAttribute::Rfc822 => FetchItem::Rfc822(octets(&mail.octets)),
        FetchAttribute::Rfc822Header => FetchItem::Rfc822Header(octets(header)),
        FetchAttribute::Rfc822Text => FetchItem::Rfc822Text(octets(body)),
        FetchAttribute::Envelope => FetchItem::Envelope(Box::new(envelope(mail))),
        FetchAttribute::Body => FetchItem::Body(structure(body)),
        FetchAttribute::BodyStructure => FetchItem::BodyStructure(structure(body)),
        FetchAttribute::Section {
            section, partial, ..
        } => {
            let whole = section_octets(mail, section);
            let content = match (whole, partial) {
                (None, _) => Content::Nil,
                (Some(whole), None) => Content::Octets(whole),
                (Some(whole), Some(partial)) => {
                    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
                    let first = index(partial.first).min(whole.len());
                    let end = first
                        .saturating_add(index(partial.length.get()))
                        .min(whole.len());
                    Content::Octets(whole.slice(first..end))
                }
            };
            FetchItem::Section {
                section: section.clone(),
                origin: partial.map(|partial| partial.first),
                content,
            }
        }
        _ => return None,
    })
}

fn section_octets(mail: &Mail, section: &Section) -> Option<Bytes> {
    let (header, body) = split(&mail.octets);
    let selected = |wanted: &dyn Fn(&str) -> bool| {
        let fields = fields(mail);
        let lines = fields.iter().filter(|(name, _)| wanted(name));
        let lines: String = lines
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        Bytes::from(lines + "\r\n")
    };
    let among = |names: &[IString], name: &str| {
        names
            .iter()
            .any(|one| one.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
    };
    match (section.part(), section.text()) {
        ([], SectionText::Whole) => Some(mail.octets.clone()),
        ([], SectionText::Header) => Some(mail.octets.slice_ref(header)),
        ([], SectionText::Text) | ([ONE], SectionText::Whole) => Some(mail.octets.slice_ref(body)),
        ([], SectionText::HeaderFields(names)) => Some(selected(&|name| among(names, name))),
        ([], SectionText::HeaderFieldsNot(names)) => Some(selected(&|name| !among(names, name))),
        _ => None,
    }
}

fn envelope(mail: &Mail) -> Envelope {
    let fields = fields(mail);
    let text = |wanted: &str| {
        let found = fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| IString::lossy(value.clone()))
    };
    let addresses = |wanted: &str| -> Vec<Address> {
        let value = text(wanted)
            .map(|value| value.to_text().into_owned())
            .unwrap_or_default();
        let bare = |one: &str| one.trim().trim_matches(['<', '>']).to_owned();
        let found = value.split(',').filter_map(|one| {
            let (mailbox, host) = one.rsplit(' ').next()?.split_once('@')?;
            Some(Address {
                mailbox: Some(IString::lossy(bare(mailbox))),
                host: Some(IString::lossy(bare(host))),
                ..Address::default()
            })
        });
        found.collect()
    };
    Envelope {
        date: text("Date"),
        subject: text("Subject"),
        from: addresses("From"),
        sender: addresses("From"),
        reply_to: addresses("From"),
        to: addresses("To"),
        cc: addresses("Cc"),
        bcc: Vec::new(),
        in_reply_to: text("In-Reply-To"),
        message_id: text("Message-ID"),
    }
}

fn structure(body: &[u8]) -> BodyStructure {
    BodyStructure::Single(Box::new(SinglePart {
        media: Media::Text {
            subtype: IString::lossy("PLAIN"),
            lines: body.iter().filter(|octet| **octet == b'\n').count() as u64,
        },
        parameters: Vec::new(),
        id: None,
        description: None,
        encoding: IString::lossy("8BIT"),
        size: body.len() as u64,
        extension: None,
    }))
}
