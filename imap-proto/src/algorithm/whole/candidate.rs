//! A message at hand as SEARCH looks at it.

use mime::Headers;

use super::WholeMessage;
use crate::{Candidate, Date, DateTime, Flag, Message, Needle};

/// Nothing has to be loaded: no verdict is
/// [`Verdict::Needs`](crate::Verdict::Needs).
impl Candidate for WholeMessage<'_> {
    fn message(&self) -> Message {
        self.message
    }

    fn has_flag(&self, flag: &Flag) -> bool {
        self.flags.contains(flag)
    }

    fn internal_date(&self) -> DateTime {
        self.internal_date
    }

    fn size(&self) -> u64 {
        self.octets.len() as u64
    }

    fn mod_seq(&self) -> u64 {
        self.mod_seq.map_or(0, |own| own.get())
    }

    fn sent_date(&self) -> Option<Option<Date>> {
        let field = Headers::new(self.octets).find("Date");
        Some(field.and_then(|field| Date::of_field(field.raw_value())))
    }

    fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool> {
        let name = String::from_utf8_lossy(name);
        let mut fields = Headers::new(self.octets).find_all(&name);
        Some(fields.any(|field| needle.is_in(&field.text())))
    }

    fn header_contains(&self, needle: &Needle) -> Option<bool> {
        let mut fields = Headers::new(self.octets);
        Some(fields.any(|field| {
            needle.is_in(&field.text()) || needle.is_in(&String::from_utf8_lossy(field.octets()))
        }))
    }

    fn body_contains(&self, needle: &Needle) -> Option<bool> {
        let mut parts = self.structure().parts();
        Some(
            needle.is_empty()
                || parts.any(|part| {
                    let text = part.text(self.octets);
                    text.is_some_and(|text| needle.is_in(&text))
                }),
        )
    }
}

impl Date {
    /// The day in a Date field's value, in that field's own zone: what
    /// SENTSINCE and its kin compare. `None` where it has no such day.
    #[must_use]
    pub fn of_field(value: &[u8]) -> Option<Self> {
        let civil = mime::Date::parse(value)?.civil();
        let year = u16::try_from(civil.year()).ok()?;
        let month = u8::try_from(civil.month()).ok()?;
        Self::new(year, month, u8::try_from(civil.day()).ok()?).ok()
    }
}
