//! Commands that send mail.

use super::Checker;
use super::bind::{Bound, number};
use crate::diagnostic::DiagnosticKind;
use crate::position::Span;
use crate::program::{ByTime, Command, Notify, Redirect, Text, Vacation};

impl Checker<'_, '_> {
    pub(super) fn redirect(&mut self, bound: &Bound<'_>) -> Option<Command> {
        let list = bound.has("list");
        if list {
            self.uses("extlists");
        }
        let argument = bound.at(0)?;
        let address = if list {
            self.text(argument)
        } else {
            self.address(argument)
        };
        for (tag, capability) in [
            ("notify", "redirect-dsn"),
            ("ret", "redirect-dsn"),
            ("bytimerelative", "redirect-deliverby"),
            ("bytimeabsolute", "redirect-deliverby"),
        ] {
            if bound.has(tag) {
                self.uses(capability);
            }
        }
        self.redirect_parameters(bound);
        let absolute = self.tag_text(bound, "bytimeabsolute").map(ByTime::Absolute);
        let relative = bound
            .number("bytimerelative")
            .map(|(seconds, _)| ByTime::Relative(seconds));
        for tag in ["bymode", "bytrace"] {
            if let Some(span) = bound
                .tag_span(tag)
                .filter(|_| absolute.is_none() && relative.is_none())
            {
                self.sink.error(
                    DiagnosticKind::Argument,
                    span,
                    format!("`:{tag}` needs `:bytimerelative` or `:bytimeabsolute`"),
                );
            }
        }
        Some(Command::Redirect(Box::new(Redirect {
            address,
            copy: self.copy(bound),
            list,
            notify: self.tag_text(bound, "notify"),
            ret: self.tag_text(bound, "ret"),
            by_time: absolute.or(relative),
            by_mode: self.tag_text(bound, "bymode"),
            by_trace: bound.has("bytrace"),
        })))
    }

    /// Constant values of what goes into the new envelope (RFC 6009 §6, §7).
    fn redirect_parameters(&mut self, bound: &Bound<'_>) {
        type Valid = fn(&[u8]) -> bool;
        let table: [(&str, Valid, &str); 4] = [
            (
                "notify",
                crate::eval::envelope::is_notify,
                "it is \"NEVER\", or some of \"SUCCESS,FAILURE,DELAY\" with commas between",
            ),
            (
                "ret",
                crate::eval::envelope::is_ret,
                "it is \"FULL\" or \"HDRS\"",
            ),
            (
                "bymode",
                crate::eval::envelope::is_by_mode,
                "it is \"notify\" or \"return\"",
            ),
            (
                "bytimeabsolute",
                crate::eval::envelope::is_by_time,
                "it is a time like \"2026-05-04T20:00:00Z\"",
            ),
        ];
        for (tag, valid, hint) in table {
            let Some(argument) = bound.tag(tag) else {
                continue;
            };
            if let Text::Literal(octets) = self.text(argument)
                && !valid(&octets)
            {
                self.sink.error_with(
                    DiagnosticKind::Value,
                    argument.span,
                    format!(
                        "`{}` is no value for `:{tag}`",
                        String::from_utf8_lossy(&octets)
                    ),
                    hint,
                );
            }
        }
    }

    pub(super) fn vacation(&mut self, bound: &Bound<'_>) -> Option<Command> {
        let days = bound
            .tag("days")
            .and_then(number)
            .map(|(days, _)| days.saturating_mul(86_400));
        let seconds = bound
            .tag("seconds")
            .and_then(number)
            .map(|(seconds, _)| seconds);
        if seconds.is_some() {
            self.uses("vacation-seconds");
        }
        let from = bound.tag("from").map(|argument| {
            let text = self.text(argument);
            if let Text::Literal(octets) = &text
                && !crate::eval::address::is_mailbox_list(octets)
            {
                self.address_fault(octets, argument.span);
            }
            text
        });
        let reason = self.text(bound.at(0)?);
        if let Text::Literal(octets) = &reason
            && bound.has("mime")
            && crate::eval::vacation::has_8bit_header(octets)
        {
            self.sink.error_with(
                DiagnosticKind::Value,
                bound.at(0)?.span,
                "with `:mime` this begins with MIME header fields, which hold no 8-bit text",
                "put an empty line before the text, or encode the words (RFC 2047)",
            );
        }
        // Days below one are lifted to one (RFC 5230 §4.1); seconds may be zero (RFC 6131 §2).
        let seconds = seconds.or(days.map(|seconds| seconds.max(86_400)));
        Some(Command::Vacation(Box::new(Vacation {
            seconds,
            subject: self.tag_text(bound, "subject"),
            from,
            addresses: self.tag_list(bound, "addresses"),
            mime: bound.has("mime"),
            handle: self.tag_text(bound, "handle"),
            reason,
            fcc: self.fcc(bound),
        })))
    }

    pub(super) fn notify(&mut self, bound: &Bound<'_>) -> Option<Command> {
        let argument = bound.at(0)?;
        let method = self.text(argument);
        if let Text::Literal(uri) = &method
            && !crate::eval::notify::is_supported(uri, self.xmpp)
        {
            self.sink.error_with(
                DiagnosticKind::Value,
                argument.span,
                format!(
                    "the notification method `{}` is not supported",
                    String::from_utf8_lossy(uri)
                ),
                if self.xmpp {
                    "supported are mailto: with an address (RFC 5436) and xmpp: with an address (RFC 5437)"
                } else {
                    "supported is mailto: with an address (RFC 5436)"
                },
            );
        }
        let mut importance = 2;
        if let Some(argument) = bound.tag("importance") {
            match self.constant(argument, "the importance").as_deref() {
                Some(b"1") => importance = 1,
                Some(b"3") => importance = 3,
                Some(b"2") | None => {}
                Some(_) => self.importance_fault(argument.span),
            }
        }
        Some(Command::Notify(Box::new(Notify {
            from: self.tag_text(bound, "from"),
            importance,
            options: self.tag_list(bound, "options"),
            message: self.tag_text(bound, "message"),
            method,
            fcc: self.fcc(bound),
        })))
    }

    fn importance_fault(&mut self, span: Span) {
        self.sink.error_with(
            DiagnosticKind::Value,
            span,
            "this is no importance",
            "it is \"1\" (high), \"2\" (normal) or \"3\" (low)",
        );
    }
}
