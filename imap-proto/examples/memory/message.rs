//! What of a message FETCH and SEARCH want. The crate `mime` of this workspace
//! does it properly: here every message is taken for plain text.

use bytes::Bytes;
use imap_proto::{
    Address, BodyStructure, Candidate, Date, DateTime, Envelope, FetchAttribute, FetchItem, Flag,
    IString, Media, Message, Needle, Section, SectionText, SinglePart, header_fields,
};

use super::ONE;
use super::store::Mail;

/// A message as SEARCH sees it; everything is in memory, so nothing is asked.
pub(crate) struct Found<'a>(pub(crate) Message, pub(crate) &'a Mail);

impl Found<'_> {
    fn contains(&self, text: &SectionText, needle: &Needle) -> Option<bool> {
        let octets = text.of(&self.1.octets)?;
        Some(needle.is_in(&String::from_utf8_lossy(&octets)))
    }
}

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
        Some(self.1.fields(name).any(|value| needle.is_in(&value)))
    }
    fn header_contains(&self, needle: &Needle) -> Option<bool> {
        self.contains(&SectionText::Header, needle)
    }
    fn body_contains(&self, needle: &Needle) -> Option<bool> {
        self.contains(&SectionText::Text, needle)
    }
}

impl Mail {
    /// The values of the fields of a name, unfolded.
    fn fields(&self, name: &[u8]) -> impl Iterator<Item = String> {
        let fields = header_fields(&self.octets);
        let named = fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        named.filter_map(|(_, field)| {
            let text = String::from_utf8_lossy(field).replace("\r\n", "");
            Some(text.split_once(':')?.1.trim().to_owned())
        })
    }

    pub(crate) fn item(&self, message: Message, attribute: &FetchAttribute) -> Option<FetchItem> {
        let text = || SectionText::Text.of(&self.octets).unwrap_or_default();
        Some(match attribute {
            FetchAttribute::Uid => FetchItem::Uid(message.uid),
            FetchAttribute::Flags => FetchItem::Flags(self.flags.clone()),
            FetchAttribute::InternalDate => FetchItem::InternalDate(self.date),
            FetchAttribute::Envelope => FetchItem::Envelope(Box::new(self.envelope())),
            FetchAttribute::Body => FetchItem::Body(structure(&text())),
            FetchAttribute::BodyStructure => FetchItem::BodyStructure(structure(&text())),
            other => {
                let is_text =
                    |part: &Section| part.part() == [ONE] && *part.text() == SectionText::Whole;
                let part = |part: &Section| is_text(part).then(text);
                return FetchItem::of_message(other, &self.octets, part);
            }
        })
    }

    fn envelope(&self) -> Envelope {
        let text = |name: &str| self.fields(name.as_bytes()).next().map(IString::lossy);
        let address = |one: &str| {
            let (mailbox, host) = one.rsplit(['<', ' ']).next()?.split_once('@')?;
            Some(Address {
                mailbox: IString::try_from(mailbox).ok(),
                host: IString::try_from(host.trim_end_matches('>')).ok(),
                ..Address::default()
            })
        };
        let addresses = |name: &str| -> Vec<Address> {
            let value = self.fields(name.as_bytes()).next().unwrap_or_default();
            value.split(',').filter_map(address).collect()
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

fn structure(text: &Bytes) -> BodyStructure {
    let subtype = IString::lossy("PLAIN");
    let lines = text.iter().filter(|octet| **octet == b'\n').count() as u64;
    BodyStructure::Single(Box::new(SinglePart {
        media: Media::Text { subtype, lines },
        encoding: IString::lossy("8BIT"),
        size: text.len() as u64,
        ..SinglePart::default()
    }))
}
