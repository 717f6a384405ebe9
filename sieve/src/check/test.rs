//! Tests to instructions.

use super::bind::{Bound, number};
use super::signature::{self, Group};
use super::{Checker, Ends, Known, literals};
use crate::ProgramKind;
use crate::ast;
use crate::capability::Capabilities;
use crate::diagnostic::DiagnosticKind;
use crate::position::Span;
use crate::program::{Op, ProgramInput, RunProgram, Test, Text, Transform, UniqueId};

const UNKNOWN: Known = Known {
    value: None,
    by_ihave: false,
};

impl Checker<'_, '_> {
    /// Emits instructions that set the result.
    pub(super) fn test(&mut self, test: ast::Test<'_>) -> Known {
        let Some(signature) = self.lookup(&signature::TESTS, test.name(), "test") else {
            // The arguments may hold faults of their own.
            for inner in test.tests() {
                self.test(inner);
            }
            return UNKNOWN;
        };
        let mut bound = Bound::test(signature, test);
        if !self.bind(&mut bound) {
            return UNKNOWN;
        }
        if !signature.structural {
            if let Some(lowered) = self.lower_test(&bound) {
                self.emit_test(test.line(), lowered);
            }
            return UNKNOWN;
        }
        match bound.name {
            "true" | "false" => {
                let value = bound.name == "true";
                self.emit(test.line(), Op::Constant(value));
                Known {
                    value: Some(value),
                    by_ihave: false,
                }
            }
            "not" => {
                let mut known = bound.tests.next().map_or(UNKNOWN, |inner| self.test(inner));
                self.emit(test.line(), Op::Not);
                known.value = known.value.map(|value| !value);
                known
            }
            "allof" => self.junction(bound.tests, false),
            "anyof" => self.junction(bound.tests, true),
            _ => self.ihave(&bound),
        }
    }

    /// `allof` and `anyof`, left to right, ending at the first `stop` value.
    fn junction(&mut self, mut tests: ast::Tests<'_>, stop: bool) -> Known {
        let mut ends = Ends::default();
        let mut known = Known {
            value: Some(!stop),
            by_ihave: false,
        };
        let mut next = tests.next();
        while let Some(test) = next {
            next = tests.next();
            let one = self.test(test);
            known.by_ihave |= one.by_ihave;
            match one.value {
                Some(value) if value == stop => {
                    known.value = Some(stop);
                    if one.by_ihave {
                        // What follows may use what is not there.
                        break;
                    }
                }
                Some(_) => {}
                None if known.value == Some(!stop) => known.value = None,
                None => {}
            }
            if next.is_some() {
                let jump = if stop {
                    Op::JumpIfTrue
                } else {
                    Op::JumpIfFalse
                };
                self.emit_end(test.line(), jump, &mut ends);
            }
        }
        self.patch_ends(ends);
        known
    }

    fn ihave(&mut self, bound: &Bound<'_>) -> Known {
        let Some(argument) = bound.at(0) else {
            return UNKNOWN;
        };
        let list = self.list(argument);
        let mut all = true;
        for text in &list {
            let Text::Literal(name) = text else {
                self.emit_test(bound.line, Test::IHave(list.clone()));
                return UNKNOWN;
            };
            all &= self.offered.meets(Capabilities::named(name));
        }
        if all {
            for (name, _) in literals(argument) {
                self.enabled = self.enabled.or(Capabilities::named(name).with_implied());
            }
        }
        self.emit(bound.line, Op::Constant(all));
        Known {
            value: Some(all),
            by_ihave: true,
        }
    }

    fn lower_test(&mut self, bound: &Bound<'_>) -> Option<Test> {
        let at = |index: usize| bound.at(index);
        Some(match bound.name {
            "header" => {
                let matching = self.matching(bound);
                Test::Header {
                    names: self.names(at(0)?, false),
                    keys: self.keys(at(1)?, matching),
                    matching,
                    index: self.index(bound),
                    mime: self.mime(bound),
                }
            }
            "address" => {
                let matching = self.matching(bound);
                Test::Address {
                    // Any field of a part may hold addresses (RFC 5703 §4.2).
                    names: self.names(at(0)?, !bound.has("mime")),
                    keys: self.keys(at(1)?, matching),
                    matching,
                    part: self.address_part(bound),
                    index: self.index(bound),
                    mime: self.mime(bound),
                }
            }
            "envelope" => {
                let matching = self.matching(bound);
                Test::Envelope {
                    parts: self.envelope_parts(at(0)?, bound),
                    keys: self.keys(at(1)?, matching),
                    matching,
                    part: self.address_part(bound),
                    zone: self.zone(bound),
                }
            }
            "exists" => Test::Exists {
                names: self.names(at(0)?, false),
                mime: self.mime(bound),
            },
            "size" => {
                if bound.of_group(Group::SizeRelation).is_none() {
                    self.sink.error(
                        DiagnosticKind::Argument,
                        bound.span,
                        "`size` needs `:over` or `:under`",
                    );
                }
                Test::Size {
                    over: bound.has("over"),
                    limit: number(at(0)?)?.0,
                }
            }
            "body" => {
                let matching = self.matching(bound);
                let transform = match bound.of_group(Group::BodyTransform).map(|(name, _)| name) {
                    Some("raw") => Transform::Raw,
                    Some("content") => Transform::Content(self.tag_list(bound, "content")),
                    _ => Transform::Text,
                };
                Test::Body {
                    transform,
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            "date" => {
                let matching = self.matching(bound);
                let header = self.text(at(0)?);
                self.header_name(&header, at(0)?.span);
                Test::Date {
                    header,
                    zone: self.zone(bound),
                    part: self.date_part(at(1)?),
                    keys: self.keys(at(2)?, matching),
                    matching,
                    index: self.index(bound),
                }
            }
            "currentdate" => {
                let matching = self.matching(bound);
                Test::CurrentDate {
                    zone: self.zone(bound),
                    part: self.date_part(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "environment" => {
                let matching = self.matching(bound);
                Test::Environment {
                    name: self.text(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "string" => {
                let matching = self.matching(bound);
                Test::Text {
                    sources: self.list(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "hasflag" => {
                let matching = self.matching(bound);
                let mut variables = None;
                if let Some(argument) = at(0) {
                    self.flag_variables(argument.span);
                    let names: Vec<(Vec<u8>, Span)> = literals(argument)
                        .map(|(name, span)| (name.to_vec(), span))
                        .collect();
                    let found = names
                        .iter()
                        .filter_map(|(name, span)| self.variable_from(name, *span));
                    variables = Some(found.collect());
                }
                Test::HasFlag {
                    variables,
                    keys: self.flag_keys(at(1)?, matching),
                    matching,
                }
            }
            "mailboxexists" => Test::MailboxExists(self.list(at(0)?)),
            "mailboxidexists" => Test::MailboxIdExists(self.list(at(0)?)),
            "specialuse_exists" => Test::SpecialUseExists {
                mailbox: at(0).map(|argument| self.text(argument)),
                attributes: self.list(at(1)?),
            },
            "metadata" => {
                let matching = self.matching(bound);
                Test::Metadata {
                    mailbox: Some(self.text(at(0)?)),
                    annotation: self.text(at(1)?),
                    keys: self.keys(at(2)?, matching),
                    matching,
                }
            }
            "servermetadata" => {
                let matching = self.matching(bound);
                Test::Metadata {
                    mailbox: None,
                    annotation: self.text(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "metadataexists" => Test::MetadataExists {
                mailbox: Some(self.text(at(0)?)),
                annotations: self.list(at(1)?),
            },
            "servermetadataexists" => Test::MetadataExists {
                mailbox: None,
                annotations: self.list(at(0)?),
            },
            "valid_notify_method" => Test::ValidNotifyMethod(self.list(at(0)?)),
            "notify_method_capability" => {
                let matching = self.matching(bound);
                Test::NotifyMethodCapability {
                    uri: self.text(at(0)?),
                    capability: self.text(at(1)?),
                    keys: self.keys(at(2)?, matching),
                    matching,
                }
            }
            "duplicate" => {
                let id = match bound.of_group(Group::UniqueId).map(|(name, _)| name) {
                    Some("header") => UniqueId::Header(self.tag_text(bound, "header")?),
                    Some(_) => UniqueId::Value(self.tag_text(bound, "uniqueid")?),
                    None => UniqueId::MessageId,
                };
                Test::Duplicate {
                    handle: self.tag_text(bound, "handle"),
                    id,
                    seconds: bound.number("seconds").map(|(seconds, _)| seconds),
                    last: bound.has("last"),
                }
            }
            "valid_ext_list" => Test::ValidExtList(self.list(at(0)?)),
            "spamtest" | "virustest" => {
                let matching = self.matching(bound);
                if bound.has("percent") {
                    self.uses("spamtestplus");
                }
                Test::Scanner {
                    virus: bound.name == "virustest",
                    percent: bound.has("percent"),
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            "execute" | "filter" => Test::Program(self.program(bound)?),
            "convert" => Test::Convert(self.convert(bound)?),
            _ => Test::Suite(self.suite_test(bound)?),
        })
    }

    /// A program of the host's choice (vnd.dovecot.pipe, filter, execute).
    pub(super) fn program(&mut self, bound: &Bound<'_>) -> Option<RunProgram> {
        let kind = match bound.name {
            "pipe" => ProgramKind::Pipe,
            "filter" => ProgramKind::Filter,
            _ => ProgramKind::Execute,
        };
        let output = bound
            .tag("output")
            .and_then(|argument| self.variable(argument));
        Some(RunProgram {
            kind,
            name: self.text(bound.at(0)?),
            arguments: bound
                .at(1)
                .map(|argument| self.list(argument))
                .unwrap_or_default(),
            input: match bound.of_group(Group::ProgramInput).map(|(name, _)| name) {
                Some("input") => ProgramInput::Text(self.tag_text(bound, "input")?),
                Some(_) => ProgramInput::Message,
                None if kind == ProgramKind::Execute => ProgramInput::None,
                None => ProgramInput::Message,
            },
            output,
            copy: bound.has("copy"),
            try_: bound.has("try"),
        })
    }

    /// Flags in a named variable need both extensions (RFC 5232 §2).
    pub(super) fn flag_variables(&mut self, span: Span) {
        self.uses("variables");
        if !self.enabled.contains("variables") {
            self.sink.error_with(
                DiagnosticKind::NotRequired,
                span,
                "flags in a named variable need the capability `variables`",
                "add require \"variables\"; at the top",
            );
        }
    }
}
