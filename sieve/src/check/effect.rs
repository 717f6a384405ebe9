//! Commands that change or hand on more than where a message goes: `convert`, `processcalendar`, `report`.

use super::Checker;
use super::bind::Bound;
use crate::diagnostic::DiagnosticKind;
use crate::position::Span;
use crate::program::{Calendar, Command, Convert, Report, Text};

impl Checker<'_, '_> {
    /// RFC 6558 §2.
    pub(super) fn convert(&mut self, bound: &Bound<'_>) -> Option<Convert> {
        let (from, to, parameters) = (bound.at(0)?, bound.at(1)?, bound.at(2)?);
        let convert = Convert {
            from: self.text(from),
            to: self.text(to),
            parameters: self.list(parameters),
        };
        self.media_type(&convert.from, from.span);
        self.media_type(&convert.to, to.span);
        for (text, (_, span)) in convert.parameters.iter().zip(super::literals(parameters)) {
            let named = |octets: &[u8]| matches!(memchr::memchr(b'=', octets), Some(1..));
            if matches!(text, Text::Literal(octets) if !named(octets)) {
                self.sink.error_with(
                    DiagnosticKind::Value,
                    span,
                    "this is no conversion parameter",
                    "it is written like \"pix-x=320\"",
                );
            }
        }
        Some(convert)
    }

    fn media_type(&mut self, text: &Text, span: Span) {
        if let Text::Literal(octets) = text
            && !crate::eval::convert::is_media_type(octets)
        {
            self.sink.error_with(
                DiagnosticKind::Value,
                span,
                format!("`{}` is no media type", String::from_utf8_lossy(octets)),
                "a media type is written like image/jpeg",
            );
        }
    }

    /// RFC 9671 §3.
    pub(super) fn calendar(&mut self, bound: &Bound<'_>) -> Option<Command> {
        for (tag, capability) in [
            ("organizers", "extlists"),
            ("outcome", "variables"),
            ("reason", "variables"),
        ] {
            if bound.has(tag) {
                self.uses(capability);
            }
        }
        let outcome = match bound.tag("outcome") {
            Some(argument) => Some(self.variable(argument)?),
            None => None,
        };
        let reason = match bound.tag("reason") {
            Some(argument) => Some(self.variable(argument)?),
            None => None,
        };
        Some(Command::Calendar(Box::new(Calendar {
            allow_public: bound.has("allowpublic"),
            addresses: self.tag_list(bound, "addresses"),
            updates_only: bound.has("updatesonly"),
            calendar_id: self.tag_text(bound, "calendarid"),
            delete_cancelled: bound.has("deletecancelled"),
            organizers: self.tag_text(bound, "organizers"),
            outcome,
            reason,
        })))
    }

    pub(super) fn report(&mut self, bound: &Bound<'_>) -> Option<Command> {
        let kind = bound.at(0)?;
        let feedback_type = self.text(kind);
        if let Text::Literal(octets) = &feedback_type
            && !crate::eval::report::is_feedback_type(octets)
        {
            self.sink.error_with(
                DiagnosticKind::Value,
                kind.span,
                format!("`{}` is no feedback type", String::from_utf8_lossy(octets)),
                "feedback types are words like abuse, fraud, virus, not-spam and other (RFC 5965 section 3.1)",
            );
        }
        Some(Command::Report(Box::new(Report {
            headers_only: bound.has("headers_only"),
            feedback_type,
            message: self.text(bound.at(1)?),
            address: self.address(bound.at(2)?),
        })))
    }
}
