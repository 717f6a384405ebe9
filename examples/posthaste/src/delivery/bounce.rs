//! Reports to senders of what became of their mail (RFC 3464).

use std::fmt::Write;
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::Offset;
use mime::Date;
use mime::build::{Action, DeliveryReport, Original, RecipientStatus};

use super::Failure;
use crate::queue::{Born, BornContent, Envelope, OriginalRecipient, QueueId, Recipient, Ret};

/// A message up to this size goes back whole, of a larger one its header.
const RETURN_WHOLE: u64 = 50 * 1024;

/// What the sender is told of one recipient.
#[derive(Debug, Clone)]
pub(super) struct Tidings {
    /// The recipient's place in the envelope.
    pub(super) index: usize,
    pub(super) action: Action,
    /// Status code, words, and who said them.
    pub(super) said: Failure,
}

/// What one report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Given up.
    Failures,
    /// Still tried, until then.
    Delays(SystemTime),
    /// Delivered, or handed on.
    Successes,
}

impl About {
    fn subject(self) -> &'static str {
        match self {
            Self::Failures => "Undelivered Mail Returned to Sender",
            Self::Delays(_) => "Delayed Mail (still being retried)",
            Self::Successes => "Successful Mail Delivery Report",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Failures => {
                "I'm sorry to have to tell you that your message could not be delivered to one\n\
                 or more recipients. It's attached below.\n"
            }
            Self::Delays(_) => {
                "Your message could not be delivered yet. It is tried again; you need not send it\n\
                 once more.\n"
            }
            Self::Successes => "Your message was delivered, or handed on, as told below.\n",
        }
    }
}

/// Writes the report; it is from nobody, so that nothing answers it. `content`
/// is the message's first octets and its size, if it can still be read.
pub(super) fn report(
    hostname: &str,
    id: &QueueId,
    envelope: &Envelope,
    about: About,
    tidings: &[Tidings],
    content: Option<(Bytes, u64)>,
) -> Born {
    // RFC 3461 §4.3: only a failure returns more than the header; RFC 8689
    // §5: never of what had to stay secret.
    let whole =
        about == About::Failures && envelope.ret != Some(Ret::Hdrs) && !envelope.require_tls;
    let original = match &content {
        Some((all, size)) if whole && *size <= RETURN_WHOLE && all.len() as u64 == *size => {
            Original::Message(all)
        }
        Some((first, _)) => Original::Header(first),
        None => Original::None,
    };
    let now = SystemTime::now();
    let mut text = format!(
        "This is the mail system at host {hostname}.\n\n{}\n",
        about.words()
    );
    let mut recipients = Vec::new();
    for Tidings {
        index,
        action,
        said,
    } in tidings
    {
        let Some(recipient) = envelope.recipients.get(*index) else {
            continue;
        };
        let _ = writeln!(text, "<{}>: {}\n", recipient.original, said.reason);
        let original_recipient = match &recipient.orcpt {
            Some(original) => Some(original.to_string()),
            None if recipient.original != recipient.address => {
                Some(OriginalRecipient::of(&recipient.original).to_string())
            }
            None => None,
        };
        let words = match &said.reply {
            Some(reply) => format!("smtp; {reply}"),
            None => format!("x-posthaste; {}", said.reason),
        };
        recipients.push(RecipientStatus {
            original_recipient,
            final_recipient: recipient.address.trim_start_matches('\\').to_owned(),
            action: *action,
            status: said.code.clone(),
            remote_mta: said.remote.clone(),
            diagnostic_code: (about != About::Successes || said.reply.is_some()).then_some(words),
            last_attempt: Some(date(now)),
            will_retry_until: match about {
                About::Delays(until) => Some(date(until)),
                _ => None,
            },
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
        subject: about.subject(),
        date: date(now),
        message_id: &format!("{id}.{}@{hostname}", unique(now)),
        text: &text,
        reporting_mta: hostname,
        arrival_date: Some(date(envelope.arrived)),
        envelope_id: envelope.envelope_id.as_deref(),
        recipients: &recipients,
        original,
    };
    let message = message.to_message();
    let mut born = Envelope::new("", [Recipient::new(&envelope.sender)], now);
    born.eight_bit = !message.is_ascii();
    born.smtp_utf8 = !envelope.sender.is_ascii();
    born.require_tls = envelope.require_tls;
    Born {
        envelope: born,
        content: BornContent::Whole(Bytes::from(message)),
    }
}

/// An attempt can end in several reports.
fn unique(now: SystemTime) -> u128 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_nanos()
}

fn date(at: SystemTime) -> Date {
    let timestamp = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    Date::new(timestamp, Offset::UTC)
}
