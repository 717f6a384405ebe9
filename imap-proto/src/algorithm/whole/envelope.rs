//! ENVELOPE from a header (RFC 9051 §7.5.2).

use mime::address::parse;
use mime::{Address as Item, Headers};

use crate::types::NString;
use crate::{Address, Envelope, IString};

impl Envelope {
    /// The envelope of the message with this header; what is behind the
    /// header does not matter. From stands in for Sender and Reply-To where
    /// they are absent or empty.
    #[must_use]
    pub fn of_header(header: &[u8]) -> Self {
        let headers = Headers::new(header);
        let text = |name: &str| -> NString {
            let field = headers.clone().find(name)?;
            Some(IString::lossy(field.unfolded().trim_ascii().to_vec()))
        };
        let list = |name: &str| -> Vec<Address> {
            let fields = headers.clone().find_all(name);
            fields
                .flat_map(|field| addresses(&field.unfolded()))
                .collect()
        };
        let from = list("From");
        // RFC 9051 §7.5.2: From stands in for what is absent or empty.
        let or_from = |list: Vec<Address>| if list.is_empty() { from.clone() } else { list };
        Self {
            date: text("Date"),
            subject: text("Subject"),
            sender: or_from(list("Sender")),
            reply_to: or_from(list("Reply-To")),
            to: list("To"),
            cc: list("Cc"),
            bcc: list("Bcc"),
            in_reply_to: text("In-Reply-To"),
            message_id: text("Message-ID"),
            from,
        }
    }
}

fn addresses(value: &[u8]) -> Vec<Address> {
    let string = |text: &str| Some(IString::lossy(text.as_bytes().to_vec()));
    parse(value)
        .map(|item| match item {
            Item::Mailbox(mailbox) => Address {
                name: mailbox.name.as_deref().and_then(string),
                adl: mailbox.route.as_deref().and_then(string),
                mailbox: string(&mailbox.local_part),
                // A host that is missing is no group: clients want a text.
                host: string(mailbox.domain.as_deref().unwrap_or("")),
            },
            Item::GroupStart(name) => Address {
                mailbox: string(&name),
                ..Address::default()
            },
            Item::GroupEnd => Address::default(),
        })
        .collect()
}
