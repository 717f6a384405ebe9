//! Calendar attachments, handed to the host's calendar (RFC 9671).

use super::{Evaluation, Fault};
use crate::program;
use crate::question::{Answer, Calendar, CalendarPart, Question};

/// Media types of calendar data (RFC 5545 §8.1, RFC 6321 §6, RFC 7265 §7).
const CALENDAR: [(&str, &str); 3] = [
    ("text", "calendar"),
    ("application", "calendar+xml"),
    ("application", "calendar+json"),
];

impl Evaluation<'_> {
    pub(super) fn calendar(&mut self, calendar: &program::Calendar) -> Result<(), Fault> {
        let structure = self.message.structure();
        let octets = self.message.octets();
        let mut left = self.config.limits.body_text;
        let mut parts = Vec::new();
        for part in structure.parts() {
            if !CALENDAR.iter().any(|(main, sub)| part.is(main, sub)) {
                continue;
            }
            let body = part.body().of(octets);
            if body.len() > left {
                break;
            }
            let text = super::body::part_text(octets, part, left);
            left = left.saturating_sub(text.len());
            let (main, sub) = part.media_type();
            let method = part.content_type().and_then(|content| {
                content
                    .parameter("method")
                    .map(|method| method.into_owned())
            });
            parts.push(CalendarPart {
                media_type: format!("{main}/{sub}").to_ascii_lowercase(),
                method,
                text,
            });
        }
        let (outcome, reason) = if parts.is_empty() {
            ("no_action", "the message holds no calendar data".to_owned())
        } else {
            let question = Question::Calendar(Calendar {
                allow_public: calendar.allow_public,
                addresses: self.expand_list(&calendar.addresses),
                updates_only: calendar.updates_only,
                calendar_id: calendar
                    .calendar_id
                    .as_ref()
                    .map(|text| self.expand_string(text)),
                delete_cancelled: calendar.delete_cancelled,
                organizers: calendar
                    .organizers
                    .as_ref()
                    .map(|text| self.expand_string(text)),
                parts,
            });
            match self.ask(question)? {
                Answer::Calendar { outcome, reason } => (outcome.name(), reason),
                _ => return Err(super::wrong_answer()),
            }
        };
        if let Some(variable) = &calendar.outcome {
            self.set_variable(variable, outcome.as_bytes().to_vec())?;
        }
        if let Some(variable) = &calendar.reason {
            self.set_variable(variable, reason.into_bytes())?;
        }
        Ok(())
    }
}
