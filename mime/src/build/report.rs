use std::borrow::Cow;
use std::fmt::{self, Display};

use super::{Entity, Fields};
use crate::address::Mailbox;
use crate::{Date, Headers};

/// How much of the original message goes with a report, RFC 3461 §4.3 (RET).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Original<'a> {
    /// Nothing.
    #[default]
    None,
    /// Its header; a whole message may be given.
    Header(&'a [u8]),
    /// All of it.
    Message(&'a [u8]),
}

impl Original<'_> {
    fn entity(self, global: bool) -> Option<Entity> {
        match self {
            Self::None => None,
            Self::Header(message) => {
                let fields = message.get(..Headers::new(message).fields_len());
                let fields = fields.unwrap_or_default();
                // RFC 6533 §3: non-ASCII headers are message/global-headers.
                let media_type = if global || !fields.is_ascii() {
                    "message/global-headers"
                } else {
                    "text/rfc822-headers"
                };
                Some(Entity::verbatim(media_type, fields))
            }
            Self::Message(message) => {
                let header = message.get(..Headers::new(message).header_len());
                let media_type = if header.is_some_and(<[u8]>::is_ascii) {
                    "message/rfc822"
                } else {
                    "message/global"
                };
                Some(Entity::verbatim(media_type, message))
            }
        }
    }
}

/// What was done with the message for a recipient, RFC 3464 §2.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Could not be delivered; given up.
    Failed,
    /// Not delivered yet; tried again.
    Delayed,
    /// Delivered.
    Delivered,
    /// Passed on to where no reports can be expected from.
    Relayed,
    /// Delivered and sent on to several addresses.
    Expanded,
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        })
    }
}

/// The fields for one recipient, RFC 3464 §2.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientStatus {
    /// The address as the sender gave it with ORCPT: type and address, `rfc822;jo@example.org`.
    pub original_recipient: Option<String>,
    /// The address that was tried, without type.
    pub final_recipient: String,
    /// What was done.
    pub action: Action,
    /// The status code, RFC 3463: `5.1.1`.
    pub status: String,
    /// The host that answered.
    pub remote_mta: Option<String>,
    /// What it answered, with type: `smtp; 550 5.1.1 No such user`.
    pub diagnostic_code: Option<String>,
    /// When it was tried last.
    pub last_attempt: Option<Date>,
    /// Until when it will be tried, of [`Action::Delayed`].
    pub will_retry_until: Option<Date>,
}

/// A delivery status notification: multipart/report with message/delivery-status, RFC 3464 and,
/// for addresses that are not ASCII, RFC 6533.
///
/// It is to be sent from the null reverse-path (RFC 3464 §2, RFC 5321 §4.5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport<'a> {
    /// `From`: who reports, `Mail Delivery System <mailer-daemon@example.org>`.
    pub from: Mailbox<'a>,
    /// The sender of the original message.
    pub to: &'a str,
    /// `Subject`.
    pub subject: &'a str,
    /// `Date`.
    pub date: Date,
    /// `Message-ID`, without angle brackets.
    pub message_id: &'a str,
    /// What a person reads: the whole first part.
    pub text: &'a str,
    /// The name of the host that reports.
    pub reporting_mta: &'a str,
    /// When that host took the message.
    pub arrival_date: Option<Date>,
    /// ENVID of the original transaction, RFC 3461 §4.4, decoded.
    pub envelope_id: Option<&'a str>,
    /// All recipients that this is about; at least one.
    pub recipients: &'a [RecipientStatus],
    /// What is returned.
    pub original: Original<'a>,
}

impl DeliveryReport<'_> {
    /// The message, ready to be queued.
    pub fn to_message(&self) -> Vec<u8> {
        let ascii = |recipient: &RecipientStatus| {
            recipient.final_recipient.is_ascii()
                && recipient
                    .original_recipient
                    .as_ref()
                    .is_none_or(|address| address.is_ascii())
        };
        let global = !self.recipients.iter().all(ascii);
        let mut blocks = Fields::new();
        if let Some(id) = self.envelope_id {
            blocks.structured("Original-Envelope-Id", &printable(id, global));
        }
        blocks.structured("Reporting-MTA", &format!("dns; {}", self.reporting_mta));
        if let Some(date) = &self.arrival_date {
            blocks.date("Arrival-Date", date);
        }
        let mut status = blocks.as_str().to_owned();
        for recipient in self.recipients {
            status.push_str("\r\n");
            status.push_str(recipient.fields(global).as_str());
        }
        let media_type = if global {
            "message/global-delivery-status"
        } else {
            "message/delivery-status"
        };
        let mut parts = vec![Entity::text(self.text)];
        parts.push(Entity::verbatim(media_type, status.as_bytes()));
        parts.extend(self.original.entity(global));
        let mut fields = Fields::new();
        fields
            .mailboxes("From", std::slice::from_ref(&self.from))
            .structured("To", self.to)
            .text("Subject", self.subject)
            .date("Date", &self.date)
            .message_ids("Message-ID", &[self.message_id])
            .structured("Auto-Submitted", "auto-replied");
        Entity::multipart("report; report-type=delivery-status", &parts).into_message(fields)
    }
}

/// Text for a status field. Only the forms of RFC 6533 §3 may hold what is not ASCII; a reply of a
/// remote host may hold anything, and must not turn a report into one that cannot be relayed.
fn printable(text: &str, global: bool) -> Cow<'_, str> {
    // Line ends are the field's business.
    let kept = |character: char| {
        matches!(character, ' '..='~' | '\r' | '\n' | '\t') || global && !character.is_control()
    };
    if text.chars().all(kept) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|character| match character {
        character if kept(character) => character,
        _ => '?',
    });
    Cow::Owned(shown.collect())
}

impl RecipientStatus {
    fn fields(&self, global: bool) -> Fields {
        let mut fields = Fields::new();
        if let Some(original) = &self.original_recipient {
            fields.structured("Original-Recipient", original);
        }
        let kind = if global { "utf-8" } else { "rfc822" };
        fields
            .structured(
                "Final-Recipient",
                &format!("{kind}; {}", self.final_recipient),
            )
            .structured("Action", &self.action.to_string())
            .structured("Status", &self.status);
        if let Some(mta) = &self.remote_mta {
            fields.structured("Remote-MTA", &printable(&format!("dns; {mta}"), global));
        }
        if let Some(code) = &self.diagnostic_code {
            fields.structured("Diagnostic-Code", &printable(code, global));
        }
        if let Some(date) = &self.last_attempt {
            fields.date("Last-Attempt-Date", date);
        }
        if let Some(date) = &self.will_retry_until {
            fields.date("Will-Retry-Until", date);
        }
        fields
    }
}

/// What became of a message, RFC 3798 §3.2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// `displayed`
    Displayed,
    /// `deleted`: also what a filter refused, RFC 5429 §2.1.
    Deleted,
    /// `dispatched`: sent on, printed, filed.
    Dispatched,
    /// `processed`: by a program, without being shown.
    Processed,
}

impl Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Displayed => "displayed",
            Self::Deleted => "deleted",
            Self::Dispatched => "dispatched",
            Self::Processed => "processed",
        })
    }
}

/// A message disposition notification: multipart/report with message/disposition-notification,
/// RFC 3798.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispositionReport<'a> {
    /// `From`: the recipient on whose behalf this is sent.
    pub from: Mailbox<'a>,
    /// Who asked for it, or the sender.
    pub to: &'a str,
    /// `Subject`.
    pub subject: &'a str,
    /// `Date`.
    pub date: Date,
    /// `Message-ID`, without angle brackets.
    pub message_id: &'a str,
    /// What a person reads: the whole first part.
    pub text: &'a str,
    /// `Reporting-UA`: host name and product, `example.org; posthaste`.
    pub reporting_ua: Option<&'a str>,
    /// The address as the sender gave it, with type.
    pub original_recipient: Option<&'a str>,
    /// The address the message came to, without type.
    pub final_recipient: &'a str,
    /// `Message-ID` of the original message, without angle brackets.
    pub original_message_id: Option<&'a str>,
    /// The user asked for this one by hand; else it is automatic.
    pub manual: bool,
    /// What became of the message.
    pub disposition: Disposition,
    /// What is returned.
    pub original: Original<'a>,
}

impl DispositionReport<'_> {
    /// The message, ready to be queued.
    pub fn to_message(&self) -> Vec<u8> {
        let global = !self.final_recipient.is_ascii();
        let mut status = Fields::new();
        if let Some(agent) = self.reporting_ua {
            status.structured("Reporting-UA", agent);
        }
        if let Some(original) = self.original_recipient {
            status.structured("Original-Recipient", original);
        }
        let kind = if global { "utf-8" } else { "rfc822" };
        status.structured(
            "Final-Recipient",
            &format!("{kind}; {}", self.final_recipient),
        );
        if let Some(id) = self.original_message_id {
            status.message_ids("Original-Message-ID", &[id]);
        }
        let mode = if self.manual {
            "manual-action/MDN-sent-manually"
        } else {
            "automatic-action/MDN-sent-automatically"
        };
        status.structured("Disposition", &format!("{mode}; {}", self.disposition));
        let media_type = if global {
            "message/global-disposition-notification"
        } else {
            "message/disposition-notification"
        };
        let mut parts = vec![Entity::text(self.text)];
        parts.push(Entity::verbatim(media_type, status.as_str().as_bytes()));
        parts.extend(self.original.entity(global));
        let mut fields = Fields::new();
        fields
            .mailboxes("From", std::slice::from_ref(&self.from))
            .structured("To", self.to)
            .text("Subject", self.subject)
            .date("Date", &self.date)
            .message_ids("Message-ID", &[self.message_id]);
        if !self.manual {
            fields.structured("Auto-Submitted", "auto-replied");
        }
        if let Some(id) = self.original_message_id {
            fields.message_ids("In-Reply-To", &[id]);
        }
        Entity::multipart("report; report-type=disposition-notification", &parts)
            .into_message(fields)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Structure;

    fn recipient(address: &str) -> RecipientStatus {
        RecipientStatus {
            original_recipient: Some(format!("rfc822;{address}")),
            final_recipient: address.into(),
            action: Action::Failed,
            status: "5.1.1".into(),
            remote_mta: Some("mx.example.net".into()),
            diagnostic_code: Some("smtp; 550 5.1.1 No such\r\nuser".into()),
            last_attempt: Date::parse(b"1 Jan 2020 00:00:00 +0100"),
            will_retry_until: None,
        }
    }

    fn report(recipients: &[RecipientStatus], original: Original<'_>) -> Vec<u8> {
        DeliveryReport {
            from: crate::address::mailboxes(b"Mail Delivery System <mailer-daemon@a.example>")
                .next()
                .unwrap(),
            to: "sender@example.com",
            subject: "Undelivered Mail Returned to Sender",
            date: Date::parse(b"1 Jan 2020 00:00:00 +0000").unwrap(),
            message_id: "1@a.example",
            text: "Your message could not be delivered.\n",
            reporting_mta: "a.example",
            arrival_date: Date::parse(b"31 Dec 2019 00:00:00 +0000"),
            envelope_id: Some("E1"),
            recipients,
            original,
        }
        .to_message()
    }

    #[test]
    fn a_delivery_report_reads_back() {
        let original = b"Subject: x\r\n\r\nbody\r\n";
        let message = report(
            &[recipient("b@example.net"), recipient("c@example.net")],
            Original::Message(original),
        );
        let structure = Structure::parse(&message);
        assert!(structure.root().is("multipart", "report"));
        assert_eq!(
            structure
                .root()
                .content_type()
                .unwrap()
                .parameter("report-type")
                .unwrap(),
            "delivery-status"
        );
        let status = structure.find(&[2]).unwrap();
        assert!(status.is("message", "delivery-status"));
        let text = std::str::from_utf8(status.body().of(&message)).unwrap();
        assert_eq!(
            text.split("\r\n\r\n").take(2).collect::<Vec<_>>(),
            [
                "Original-Envelope-Id: E1\r\nReporting-MTA: dns; a.example\r\nArrival-Date: Tue, 31 Dec 2019 00:00:00 +0000",
                "Original-Recipient: rfc822;b@example.net\r\nFinal-Recipient: rfc822; b@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\nLast-Attempt-Date: Wed, 1 Jan 2020 00:00:00 +0100",
            ]
        );
        assert_eq!(structure.find(&[3]).unwrap().body().of(&message), original);
        assert!(message.is_ascii());
    }

    #[test]
    fn what_a_remote_host_says_stays_in_its_field() {
        let mut bad = recipient("b@example.net\r\nAction: delivered\r\n\r\nFinal-Recipient: x");
        bad.remote_mta = Some("mx\r\n\r\n--=_".into());
        bad.diagnostic_code = Some(format!("smtp; 550 caf\u{e9}\0\n\n{}", "x".repeat(5000)));
        bad.status = "5.0.0\r\nAction: relayed".into();
        let message = report(&[bad], Original::None);
        let structure = Structure::parse(&message);
        let status = structure.find(&[2]).unwrap().body().of(&message);
        let blocks = std::str::from_utf8(status).unwrap().split("\r\n\r\n");
        assert_eq!(blocks.clone().count(), 2);
        let fields = Headers::new(blocks.last().unwrap().as_bytes());
        assert_eq!(fields.clone().find_all("Action").count(), 1);
        let code = fields
            .clone()
            .find("Diagnostic-Code")
            .unwrap()
            .text()
            .into_owned();
        assert!(code.starts_with("smtp; 550 caf?? xxx"), "{code}");
        assert!(message.is_ascii());
        assert!(
            message
                .split(|&byte| byte == b'\n')
                .all(|line| line.len() <= 999)
        );
    }

    #[test]
    fn addresses_that_are_not_ascii_need_rfc_6533() {
        let message = report(
            &[recipient("b\u{fc}@example.net")],
            Original::Header(b"Subject: x\n\nbody"),
        );
        let structure = Structure::parse(&message);
        let types: Vec<_> = structure
            .root()
            .children()
            .map(|part| part.media_type().1)
            .collect();
        assert_eq!(types, ["plain", "global-delivery-status", "global-headers"]);
        let headers = structure.find(&[3]).unwrap();
        assert_eq!(headers.body().of(&message), b"Subject: x\r\n");
    }

    #[test]
    fn a_disposition_report_reads_back() {
        let message = DispositionReport {
            from: Mailbox {
                local_part: "me".into(),
                domain: Some("a.example".into()),
                ..Mailbox::default()
            },
            to: "sender@example.com",
            subject: "Refused",
            date: Date::parse(b"1 Jan 2020 00:00:00 +0000").unwrap(),
            message_id: "2@a.example",
            text: "No.\n",
            reporting_ua: Some("a.example; posthaste"),
            original_recipient: None,
            final_recipient: "me@a.example",
            original_message_id: Some("1@b"),
            manual: false,
            disposition: Disposition::Deleted,
            original: Original::None,
        }
        .to_message();
        let structure = Structure::parse(&message);
        let status = structure.find(&[2]).unwrap();
        assert!(status.is("message", "disposition-notification"));
        assert_eq!(
            status.body().of(&message),
            b"Reporting-UA: a.example; posthaste\r\nFinal-Recipient: rfc822; me@a.example\r\n\
              Original-Message-ID: <1@b>\r\n\
              Disposition: automatic-action/MDN-sent-automatically; deleted\r\n"
        );
        assert!(structure.find(&[3]).is_none());
    }
}
