//! Automatic replies (RFC 5230, RFC 6131), with the precautions of RFC 3834.

use super::{Evaluation, Fault};
use crate::action::{Action, Vacation};
use crate::program::{self, Piece, Text};
use crate::question::Question;

/// Octets of a reason that a reply holds.
const SUBJECT_OCTETS: usize = 256;

/// Whether mail from this sender comes from a program (RFC 5230 §4.6, RFC 3834 §2).
fn is_robot(sender: &str) -> bool {
    let local = sender
        .rsplit_once('@')
        .map_or(sender, |(local, _)| local)
        .to_ascii_lowercase();
    let local = local.trim_matches('"');
    const NAMES: [&str; 6] = [
        "mailer-daemon",
        "listserv",
        "majordomo",
        "noreply",
        "no-reply",
        "postmaster",
    ];
    NAMES.contains(&local) || local.starts_with("owner-") || local.ends_with("-request")
}

/// Whether there is 8-bit text before the first empty line (RFC 5230 §5).
pub(crate) fn has_8bit_header(reason: &[u8]) -> bool {
    let header = reason
        .split(|octet| *octet == b'\n')
        .take_while(|line| !matches!(line, [] | [b'\r']));
    header.flatten().any(|octet| !octet.is_ascii())
}

/// What makes two answers without a handle differ (RFC 5230 §4.2): their arguments as they stand in the script, since
/// a variable may hold something else each time.
fn synthetic_handle(vacation: &program::Vacation) -> String {
    let mut handle = format!("{}", u8::from(vacation.mime));
    for text in [
        vacation.subject.as_ref(),
        vacation.from.as_ref(),
        Some(&vacation.reason),
    ] {
        let written = text.map_or_else(String::new, unexpanded);
        // Counted, so that no string is taken for two others.
        handle.push_str(&format!("\n{}:{written}", written.len()));
    }
    handle
}

/// A string with its references in place.
fn unexpanded(text: &Text) -> String {
    let pieces = match text {
        Text::Literal(octets) => return String::from_utf8_lossy(octets).into_owned(),
        Text::Expand(pieces) => pieces,
    };
    let written = pieces.iter().map(|piece| match piece {
        Piece::Literal(octets) => String::from_utf8_lossy(octets).into_owned(),
        Piece::Match(number) => format!("${{{number}}}"),
        Piece::Local(slot) => format!("${{local.{slot}}}"),
        Piece::Global(name) => format!("${{global.{name}}}"),
        Piece::Environment(name) => format!("${{env.{name}}}"),
    });
    written.collect()
}

impl Evaluation<'_> {
    pub(super) fn vacation(&mut self, vacation: &program::Vacation) -> Result<(), Fault> {
        for known in &self.actions {
            match known {
                Action::Vacation(_) => {
                    return Err(Fault::Fail("vacation is used twice".to_owned()));
                }
                Action::Reject(_) => {
                    return Err(Fault::Fail(
                        "vacation is not compatible with a reject before it".to_owned(),
                    ));
                }
                _ => {}
            }
        }
        let sender = self.envelope.from.clone().unwrap_or_default();
        let sender = sender
            .trim_start_matches('<')
            .trim_end_matches('>')
            .to_owned();
        if sender.is_empty() || is_robot(&sender) || self.is_automatic() {
            return Ok(());
        }
        let mut own: Vec<String> = [&self.envelope.to, &self.envelope.original_to]
            .into_iter()
            .flatten()
            .cloned()
            .chain(self.config.addresses.iter().cloned())
            .filter(|address| !address.is_empty())
            .collect();
        own.extend(self.expand_list(&vacation.addresses));
        if own
            .iter()
            .any(|address| address.eq_ignore_ascii_case(&sender))
        {
            return Ok(());
        }
        let Some(addressed) = self.addressed_to(&own) else {
            return Ok(());
        };
        let reason = self.expand_string(&vacation.reason);
        if vacation.mime && has_8bit_header(reason.as_bytes()) {
            return Err(Fault::Fail(
                "the reason with `:mime` has 8-bit text in its header".to_owned(),
            ));
        }
        let given_subject = vacation
            .subject
            .as_ref()
            .map(|text| self.expand_string(text));
        let given_from = match &vacation.from {
            Some(text) => {
                let text = self.expand(text);
                let valid = super::address::is_mailbox_list(&text);
                // RFC 5230 §4.3: an address that is none is not used.
                valid.then(|| String::from_utf8_lossy(&text).into_owned())
            }
            None => None,
        };
        let handle = match &vacation.handle {
            Some(text) => self.expand_string(text),
            // RFC 5230 §4.2: what makes two vacations differ.
            None => synthetic_handle(vacation),
        };
        let fcc = self.fcc(vacation.fcc.as_ref())?;
        let answered = self.ask_bool(Question::VacationAnswered {
            handle: handle.clone(),
            recipient: sender.clone(),
        })?;
        if answered {
            return Ok(());
        }
        let seconds = vacation
            .seconds
            .unwrap_or(self.config.vacation_default)
            .max(self.config.vacation_minimum)
            .min(self.config.vacation_maximum);
        let subject = given_subject.unwrap_or_else(|| match self.message.first_text("subject") {
            Some(subject) if !subject.is_empty() => format!("Auto: {subject}"),
            _ => "Automated reply".to_owned(),
        });
        let mut subject = subject.into_bytes();
        super::expand::cut(&mut subject, SUBJECT_OCTETS);
        let message_id = self.message.first_text("message-id").and_then(|value| {
            mime::message_id::first(value.as_bytes()).map(|id| format!("<{id}>"))
        });
        let earlier = self
            .message
            .first_text("references")
            .or_else(|| self.message.first_text("in-reply-to"))
            .unwrap_or_default();
        let mut references: Vec<String> = mime::message_id::list(earlier.as_bytes())
            .map(|id| format!("<{id}>"))
            .collect();
        references.extend(message_id.clone());
        self.push(Action::Vacation(Vacation {
            recipient: sender,
            from: given_from.unwrap_or(addressed),
            subject: String::from_utf8_lossy(&subject).into_owned(),
            body: reason,
            mime: vacation.mime,
            in_reply_to: message_id,
            references: (!references.is_empty()).then(|| references.join(" ")),
            handle,
            seconds,
            fcc,
        }))
    }

    /// Mail of programs and lists, which must not be answered (RFC 3834 §2, RFC 5230 §4.6).
    fn is_automatic(&mut self) -> bool {
        self.message.prepare();
        let octets = self.message.octets();
        let list = self.message.entries().iter().any(|entry| {
            let name = entry.name(octets);
            name.get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"list-"))
        });
        if list {
            return true;
        }
        let mut value = |name: &str| {
            self.message
                .first_text(name)
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        };
        let submitted = value("auto-submitted");
        if !submitted.is_empty() && submitted.split([';', ' ']).next() != Some("no") {
            return true;
        }
        if ["bulk", "list", "junk"].contains(&value("precedence").as_str()) {
            return true;
        }
        let suppress = value("x-auto-response-suppress");
        suppress
            .split(',')
            .any(|word| ["all", "oof"].contains(&word.trim()))
    }

    /// The user's address that stands in a recipient field (RFC 5230 §4.5).
    fn addressed_to(&mut self, own: &[String]) -> Option<String> {
        self.message.prepare();
        for name in ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"] {
            for raw in self.message.named(name.as_bytes()) {
                for mailbox in mime::address::mailboxes(raw) {
                    let address = mailbox.addr_spec();
                    if let Some(found) = own.iter().find(|own| own.eq_ignore_ascii_case(&address)) {
                        return Some(found.clone());
                    }
                }
            }
        }
        None
    }
}

/// A field line of a composed message.
fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A body in CRLF form.
fn push_body(out: &mut Vec<u8>, body: &str) {
    for line in body.split_inclusive('\n') {
        let text = line.trim_end_matches('\n').trim_end_matches('\r');
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// `From` with its display name kept.
fn address_value(address: &str) -> Vec<u8> {
    let list: Vec<String> = mime::address::mailboxes(address.as_bytes())
        .map(|m| m.to_string())
        .collect();
    format!(" {}", list.join(", ")).into_bytes()
}

pub(crate) fn compose(vacation: &Vacation, date: &str, message_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(vacation.body.len() + 512);
    let text = |value: &str| super::edit::field_value("References", value);
    push_field(&mut out, "Date", &text(date));
    push_field(&mut out, "Message-ID", &text(message_id));
    push_field(&mut out, "From", &address_value(&vacation.from));
    push_field(&mut out, "To", &address_value(&vacation.recipient));
    push_field(
        &mut out,
        "Subject",
        &super::edit::field_value("Subject", &vacation.subject),
    );
    if let Some(id) = &vacation.in_reply_to {
        push_field(&mut out, "In-Reply-To", &text(id));
    }
    if let Some(ids) = &vacation.references {
        push_field(&mut out, "References", &text(ids));
    }
    push_field(&mut out, "Auto-Submitted", b" auto-replied (vacation)");
    push_field(&mut out, "Precedence", b" bulk");
    push_field(&mut out, "MIME-Version", b" 1.0");
    if vacation.mime {
        push_body(&mut out, &vacation.body);
    } else {
        push_text(&mut out, &vacation.body);
    }
    out
}

/// MIME fields for a plain text and the text.
pub(super) fn push_text(out: &mut Vec<u8>, body: &str) {
    push_field(out, "Content-Type", b" text/plain; charset=utf-8");
    let long = body.lines().any(|line| line.len() > 998);
    if body.is_ascii() && !long {
        push_field(out, "Content-Transfer-Encoding", b" 7bit");
        out.extend_from_slice(b"\r\n");
        push_body(out, body);
    } else {
        push_field(out, "Content-Transfer-Encoding", b" quoted-printable");
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(mime::transfer::encode_quoted_printable(body.as_bytes()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

pub(crate) fn compose_notification(
    notify: &crate::Notify,
    from: &str,
    date: &str,
    message_id: &str,
    owner: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(notify.body.len() + 512);
    let text = |value: &str| super::edit::field_value("References", value);
    push_field(&mut out, "Date", &text(date));
    push_field(&mut out, "Message-ID", &text(message_id));
    push_field(&mut out, "From", &address_value(from));
    push_field(
        &mut out,
        "To",
        &address_value(&notify.recipients.join(", ")),
    );
    push_field(
        &mut out,
        "Subject",
        &super::edit::field_value("Subject", &notify.subject),
    );
    // RFC 5436 §2.7.1: names the owner, so that loops are found.
    let submitted = format!(
        "auto-notified; owner-email=\"{}\"",
        owner.replace(['"', '\\'], "")
    );
    push_field(&mut out, "Auto-Submitted", &text(&submitted));
    let importance = match notify.importance {
        1 => "high",
        3 => "low",
        _ => "normal",
    };
    push_field(&mut out, "Importance", &text(importance));
    push_field(&mut out, "MIME-Version", b" 1.0");
    push_text(&mut out, &notify.body);
    out
}
