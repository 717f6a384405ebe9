//! What the machine refuses by itself, in Postfix's words.

use proto_core::Step;

use super::{Error, Event, Fault, Rejected, Server};
use crate::command::Verb;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::reply::Reply;

impl Server {
    /// Sends `reply`; ends the connection when there were too many of them.
    pub(super) fn reject(&mut self, verb: Option<Verb>, fault: Fault, reply: Reply) -> Step<Event> {
        let step = self.refuse(verb, fault, reply);
        self.count_error();
        step
    }

    /// Sends `reply` to what is no mistake of the client's.
    pub(super) fn refuse(&mut self, verb: Option<Verb>, fault: Fault, reply: Reply) -> Step<Event> {
        self.send(&reply);
        Step::Event(Event::Rejected(Rejected { verb, fault, reply }))
    }

    pub(super) fn count_error(&mut self) {
        self.errors += 1;
        if self.errors >= self.config.limits.errors {
            self.farewell(
                [4, 7, 0],
                "Error: too many errors",
                Some(Error::TooManyErrors),
            );
        }
    }

    /// Of what may be tried again: no error, until there were too many.
    pub(super) fn count_refusal(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals > self.config.limits.refusals {
            self.count_error();
        }
    }

    pub(super) fn line_too_long(&mut self, verb: Option<Verb>) -> Step<Event> {
        let reply = Reply::new(500, [5, 5, 2], "Error: line too long");
        self.reject(verb, Fault::LineTooLong, reply)
    }
}

/// The reply to a command that does not parse.
pub(super) fn syntax_reply(verb: Option<Verb>, error: ParseError) -> Reply {
    let Some(verb) = verb else {
        return Reply::new(502, [5, 5, 2], "Error: command not recognized");
    };
    match (error.kind, verb) {
        (
            Kind::Path | Kind::LocalPart | Kind::Domain | Kind::AddressLiteral | Kind::TooLong,
            Verb::Mail,
        ) => Reply::new(501, [5, 1, 7], "Bad sender address syntax"),
        (
            Kind::Path | Kind::LocalPart | Kind::Domain | Kind::AddressLiteral | Kind::TooLong,
            Verb::Rcpt,
        ) => Reply::new(501, [5, 1, 3], "Bad recipient address syntax"),
        (Kind::Octet, _) => Reply::new(501, [5, 5, 2], "Error: forbidden octet in command"),
        (Kind::DuplicateParameter, _) => {
            Reply::new(501, [5, 5, 4], "Error: duplicate or conflicting parameter")
        }
        (Kind::ParameterValue, _) => Reply::new(501, [5, 5, 4], "Error: bad parameter value"),
        (Kind::TooManyParameters, _) => Reply::new(501, [5, 5, 4], "Error: too many parameters"),
        (Kind::Parameter, _) => Reply::new(501, [5, 5, 4], "Error: bad parameter"),
        (Kind::Base64, _) => Reply::new(501, [5, 5, 2], "Error: invalid base64"),
        _ => Reply::new(501, [5, 5, 4], syntax_of(verb)),
    }
}

fn syntax_of(verb: Verb) -> &'static str {
    match verb {
        Verb::Helo => "Syntax: HELO hostname",
        Verb::Ehlo => "Syntax: EHLO hostname",
        Verb::Lhlo => "Syntax: LHLO hostname",
        Verb::Mail => "Syntax: MAIL FROM:<address>",
        Verb::Rcpt => "Syntax: RCPT TO:<address>",
        Verb::Data => "Syntax: DATA",
        Verb::Bdat => "Syntax: BDAT size [LAST]",
        Verb::Burl => "Syntax: BURL url [LAST]",
        Verb::Rset => "Syntax: RSET",
        Verb::Vrfy => "Syntax: VRFY address",
        Verb::Expn => "Syntax: EXPN list",
        Verb::Help => "Syntax: HELP [topic]",
        Verb::Noop => "Syntax: NOOP [text]",
        Verb::Quit => "Syntax: QUIT",
        Verb::StartTls => "Syntax: STARTTLS",
        Verb::Auth => "Syntax: AUTH mechanism [initial-response]",
        Verb::Etrn => "Syntax: ETRN domain",
        Verb::Xclient => "Syntax: XCLIENT attribute=value...",
        Verb::Xforward => "Syntax: XFORWARD attribute=value...",
    }
}
