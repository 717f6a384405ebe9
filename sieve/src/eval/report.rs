//! Reports of abuse in the Messaging Abuse Reporting Format (vnd.dovecot.report, RFC 5965).

use super::{Evaluation, Fault, address};
use crate::action::{Action, Report};
use crate::program;

/// A token (RFC 5965 §3.5): the registry may grow.
pub(crate) fn is_feedback_type(octets: &[u8]) -> bool {
    (1..=64).contains(&octets.len())
        && octets
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
}

impl Evaluation<'_> {
    pub(super) fn report(&mut self, report: &program::Report) -> Result<(), Fault> {
        let feedback_type = self.expand_string(&report.feedback_type);
        if !is_feedback_type(feedback_type.as_bytes()) {
            return Err(Fault::Fail(format!(
                "`{}` is no feedback type",
                feedback_type.escape_debug()
            )));
        }
        let text = self.expand(&report.address);
        let Some(recipient) = address::parse_one(&text) else {
            return Err(Fault::Fail(format!(
                "`{}` is no mail address",
                String::from_utf8_lossy(&text)
            )));
        };
        let body = self.expand_string(&report.message);
        let subject = self.message.first_text("subject").unwrap_or_default();
        let edited = self.message.edited();
        self.push(Action::Report(Report {
            feedback_type,
            body,
            recipient,
            subject: format!("Report: {subject}"),
            sender: self.envelope.from.clone(),
            original_recipient: self
                .envelope
                .original_to
                .clone()
                .or(self.envelope.to.clone()),
            headers_only: report.headers_only,
            edited,
        }))
    }
}

pub(crate) fn compose(
    report: &Report,
    original: &[u8],
    from: &str,
    date: &str,
    message_id: &str,
) -> Vec<u8> {
    use mime::build::{Entity, Fields};
    let message;
    let original = match &report.edited {
        Some(edited) => {
            message = edited.to_bytes(original);
            &message
        }
        None => original,
    };
    let mut about = Fields::new();
    about
        .structured("Feedback-Type", &report.feedback_type)
        .structured(
            "User-Agent",
            concat!("posthaste-sieve/", env!("CARGO_PKG_VERSION")),
        )
        .structured("Version", "1");
    if let Some(sender) = &report.sender {
        about.structured("Original-Mail-From", &format!("<{sender}>"));
    }
    if let Some(recipient) = &report.original_recipient {
        about.structured("Original-Rcpt-To", &format!("<{recipient}>"));
    }
    // RFC 5965 §2: the message, or where that is too much its header.
    let copy = if report.headers_only {
        let fields = mime::Headers::new(original).fields_len();
        Entity::verbatim(
            "text/rfc822-headers",
            original.get(..fields).unwrap_or_default(),
        )
    } else {
        Entity::verbatim("message/rfc822", original)
    };
    let parts = [
        Entity::text(&report.body),
        Entity::verbatim("message/feedback-report", about.as_str().as_bytes()),
        copy,
    ];
    let mut fields = Fields::new();
    fields
        .structured("Date", date)
        .structured("Message-ID", message_id)
        .structured("From", from)
        .structured("To", &format!("<{}>", report.recipient))
        .text("Subject", &report.subject)
        .structured("Auto-Submitted", "auto-generated (report)");
    Entity::multipart("report; report-type=feedback-report", &parts).into_message(fields)
}
