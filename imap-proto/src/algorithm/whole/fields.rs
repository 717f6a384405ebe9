//! What SORT and THREAD compare, from a header.

use std::borrow::Cow;
use std::num::NonZeroU32;

use mime::{Headers, Mailbox};

use crate::{Message, SortFields, ThreadInput};

/// A header's fields by their names; absent ones are empty.
struct Header<'a>(Headers<'a>);

impl<'a> Header<'a> {
    fn text(&self, name: &str) -> Cow<'a, str> {
        let field = self.0.clone().find(name);
        field.map_or(Cow::Borrowed(""), |field| field.text())
    }

    /// Message identifiers: RFC 2047 words are none of theirs.
    fn octets(&self, name: &str) -> String {
        let field = self.0.clone().find(name);
        field.map_or(String::new(), |field| {
            String::from_utf8_lossy(&field.unfolded()).into_owned()
        })
    }

    fn date(&self) -> Option<i64> {
        let date = self.0.clone().find("Date")?.date()?;
        Some(date.timestamp().as_second())
    }

    fn first_address(&self, name: &str) -> Option<Mailbox<'a>> {
        self.0.clone().addresses(name).find_map(|item| match item {
            mime::Address::Mailbox(mailbox) => Some(mailbox),
            _ => None,
        })
    }
}

/// What is shown of an address (RFC 5957 §1): its name, else all of it.
fn display(mailbox: &Mailbox<'_>) -> String {
    let name = mailbox.display_name().filter(|name| !name.is_empty());
    let whole = || match &mailbox.domain {
        Some(domain) => format!("{}@{domain}", mailbox.local_part),
        None => mailbox.local_part.to_string(),
    };
    name.map_or_else(whole, Cow::into_owned)
}

impl SortFields {
    /// Those of a message with this header, which arrived at that Unix time
    /// and has so many octets.
    #[must_use]
    pub fn of_header(message: Message, arrival: i64, size: u64, header: &[u8]) -> Self {
        let header = Header(Headers::new(header));
        let mut fields = Self::new(message, arrival, size).with_subject(&header.text("Subject"));
        if let Some(date) = header.date() {
            fields = fields.with_date(date);
        }
        if let Some(from) = header.first_address("From") {
            fields = fields.with_from(&from.local_part, &display(&from));
        }
        if let Some(to) = header.first_address("To") {
            fields = fields.with_to(&to.local_part, &display(&to));
        }
        match header.first_address("Cc") {
            Some(cc) => fields.with_cc(&cc.local_part),
            None => fields,
        }
    }
}

impl ThreadInput {
    /// That of a message with this header, which arrived at that Unix time;
    /// `number` as the answer will name it.
    #[must_use]
    pub fn of_header(number: NonZeroU32, arrival: i64, header: &[u8]) -> Self {
        let header = Header(Headers::new(header));
        let (id, references) = (header.octets("Message-ID"), header.octets("References"));
        Self::new(number, header.date().unwrap_or(arrival))
            .with_arrival(arrival)
            .with_subject(&header.text("Subject"))
            .with_ids(&id, &references, &header.octets("In-Reply-To"))
    }
}
