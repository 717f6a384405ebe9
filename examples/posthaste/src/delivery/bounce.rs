//! Reports to senders whose mail was not delivered (RFC 3464).

use std::fmt::Write;
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::Offset;
use mime::Date;
use mime::build::{Action, DeliveryReport, Original, RecipientStatus};

use super::Failure;
use crate::queue::{Born, BornContent, Envelope, QueueId, Recipient};
use crate::store::MessageReader;

/// A message up to this size goes back whole, of a larger one its header.
const RETURN_WHOLE: u64 = 50 * 1024;

/// Writes the report; it is from nobody, so that nothing answers it.
pub(super) async fn report(
    hostname: &str,
    id: &QueueId,
    envelope: &Envelope,
    failed: &[(usize, Failure)],
    mut content: Box<dyn MessageReader>,
) -> Result<Born, String> {
    let whole = content.size() <= RETURN_WHOLE;
    let first = content.next().await.map_err(|error| error.to_string())?;
    let first = first.unwrap_or_default();
    let original = if whole && first.len() as u64 == content.size() {
        Original::Message(&first)
    } else {
        Original::Header(&first)
    };
    let now = SystemTime::now();
    let mut text = format!(
        "This is the mail system at host {hostname}.\n\n\
         I'm sorry to have to tell you that your message could not be delivered to one\n\
         or more recipients. It's attached below.\n\n"
    );
    let mut recipients = Vec::new();
    for (index, failure) in failed {
        let Some(recipient) = envelope.recipients.get(*index) else {
            continue;
        };
        let _ = writeln!(text, "<{}>: {}\n", recipient.original, failure.reason);
        recipients.push(RecipientStatus {
            original_recipient: (recipient.original != recipient.address)
                .then(|| format!("rfc822;{}", recipient.original)),
            final_recipient: recipient.address.trim_start_matches('\\').to_owned(),
            action: Action::Failed,
            status: failure.code.clone(),
            remote_mta: failure.remote.clone(),
            diagnostic_code: Some(match &failure.reply {
                Some(reply) => format!("smtp; {reply}"),
                None => format!("x-posthaste; {}", failure.reason),
            }),
            last_attempt: Some(date(now)),
            will_retry_until: None,
        });
    }
    let message = DeliveryReport {
        from: mime::Mailbox {
            name: Some("Mail Delivery System".into()),
            route: None,
            local_part: "MAILER-DAEMON".into(),
            domain: Some(hostname.into()),
        },
        to: &envelope.sender,
        subject: "Undelivered Mail Returned to Sender",
        date: date(now),
        message_id: &format!("{id}.bounce@{hostname}"),
        text: &text,
        reporting_mta: hostname,
        arrival_date: Some(date(envelope.arrived)),
        envelope_id: None,
        recipients: &recipients,
        original,
    };
    Ok(Born {
        envelope: Envelope::new("", [Recipient::new(&envelope.sender)], now),
        content: BornContent::Whole(Bytes::from(message.to_message())),
    })
}

fn date(at: SystemTime) -> Date {
    let timestamp = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    Date::new(timestamp, Offset::UTC)
}
