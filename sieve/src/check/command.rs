//! Commands to instructions.

use super::bind::Bound;
use super::signature::{self, Signature};
use super::{Checker, Loop, literals};
use crate::ast;
use crate::diagnostic::DiagnosticKind;
use crate::position::Span;
use crate::program::{Command, FlagChange, Index, Modifier, Op, Target, Text};

impl Checker<'_, '_> {
    /// True if what follows in its block is never reached.
    pub(super) fn command(&mut self, command: ast::Command<'_>) -> bool {
        let Some(signature) = self.lookup(&signature::COMMANDS, command.name(), "command") else {
            // The tests and the block may hold faults of their own.
            for test in command.tests() {
                self.test(test);
            }
            if let Some(block) = command.block() {
                self.block(block);
            }
            return false;
        };
        if signature.structural {
            self.structure(signature, command);
        } else {
            self.no_block(command);
            let mut bound = Bound::command(signature, command);
            if self.bind(&mut bound)
                && let Some(lowered) = self.lower_command(&bound)
            {
                self.emit_command(command.line(), lowered);
            }
        }
        signature.ends
    }

    /// A command that decides which others run.
    fn structure(&mut self, signature: &'static Signature, command: ast::Command<'_>) {
        let name = command.name();
        match signature.name {
            "require" => {
                self.sink.error_with(
                    DiagnosticKind::Structure,
                    name.span,
                    "`require` may only stand at the top",
                    "move it before all other commands",
                );
                return;
            }
            "elsif" | "else" => {
                self.sink.error(
                    DiagnosticKind::Structure,
                    name.span,
                    format!("`{}` must follow `if` or `elsif` at once", signature.name),
                );
                return;
            }
            _ => {}
        }
        if !signature.block {
            self.no_block(command);
        } else if command.block().is_none() {
            self.sink.error_with(
                DiagnosticKind::Structure,
                name.span,
                format!("`{}` needs a block", signature.name),
                "write the commands between { and }",
            );
        }
        let mut bound = Bound::command(signature, command);
        if !self.bind(&mut bound) {
            return;
        }
        let block = command.block();
        match bound.name {
            "stop" => {
                self.emit(command.line(), Op::Stop);
            }
            "return" => {
                self.emit(command.line(), Op::Return);
            }
            "global" => self.global(&bound),
            "foreverypart" => self.every_part(&bound, block),
            "break" => self.break_loop(&bound),
            _ => self.case(&bound, block),
        }
    }

    fn global(&mut self, bound: &Bound<'_>) {
        self.uses("variables");
        let Some(argument) = bound.at(0) else { return };
        if !self.enabled.contains("variables") {
            self.sink.error_with(
                DiagnosticKind::NotRequired,
                bound.span,
                "`global` needs the capability `variables`",
                "add require \"variables\"; at the top",
            );
        }
        for (name, span) in literals(argument) {
            let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
            if self.locals.contains(&lower) {
                self.sink.error(
                    DiagnosticKind::Structure,
                    span,
                    format!("the variable `{lower}` is already used as a local one"),
                );
            } else if self.variable_from(name, span).is_some() {
                // It was entered as a local name only to be checked.
                self.locals.retain(|local| *local != lower);
                self.globals.push(lower);
            }
        }
    }

    fn loop_name(&mut self, bound: &Bound<'_>) -> Option<Vec<u8>> {
        let argument = bound.tag("name")?;
        self.constant(argument, "a loop's name")
    }

    fn every_part(&mut self, bound: &Bound<'_>, block: Option<ast::Commands<'_>>) {
        let name = self.loop_name(bound);
        if self.loops.len() >= self.limits.part_loops {
            self.sink.error(
                DiagnosticKind::Limit,
                bound.span,
                format!("loops nested deeper than {}", self.limits.part_loops),
            );
            return;
        }
        self.emit(bound.line, Op::EnterParts);
        let top = self.emit(bound.line, Op::NextPart(0));
        self.loops.push(Loop {
            name,
            breaks: Vec::new(),
        });
        block.into_iter().for_each(|block| self.block(block));
        self.emit(bound.line, Op::Jump(top));
        self.patch(top);
        if let Some(ended) = self.loops.pop() {
            for at in ended.breaks {
                self.patch(at);
            }
        }
    }

    fn break_loop(&mut self, bound: &Bound<'_>) {
        let name = self.loop_name(bound);
        let depth = self
            .loops
            .iter()
            .rev()
            .position(|open| name.is_none() || open.name == name);
        let Some(depth) = depth else {
            let message = if self.loops.is_empty() {
                "`break` stands outside of any foreverypart"
            } else {
                "no loop around this has that name"
            };
            self.sink
                .error(DiagnosticKind::Structure, bound.span, message);
            return;
        };
        let at = self.emit(bound.line, Op::Break(depth + 1, 0));
        let place = self.loops.len() - 1 - depth;
        if let Some(open) = self.loops.get_mut(place) {
            open.breaks.push(at);
        }
    }

    fn case(&mut self, bound: &Bound<'_>, block: Option<ast::Commands<'_>>) {
        if self.in_case {
            self.sink.error(
                DiagnosticKind::Structure,
                bound.span,
                "`test` may not stand within another",
            );
            return;
        }
        let Some(name) = bound.at(0).map(|argument| self.text(argument)) else {
            return;
        };
        self.in_case = true;
        let begin = self.emit(bound.line, Op::BeginCase(Box::new(name), 0));
        block.into_iter().for_each(|block| self.block(block));
        self.patch(begin);
        self.emit(bound.line, Op::EndCase);
        self.in_case = false;
    }

    fn target(&mut self, bound: &Bound<'_>, mailbox: Text) -> Target {
        for (tag, capability) in [
            ("flags", "imap4flags"),
            ("create", "mailbox"),
            ("mailboxid", "mailboxid"),
            ("specialuse", "special-use"),
        ] {
            if bound.has(tag) {
                self.uses(capability);
            }
        }
        Target {
            mailbox,
            flags: bound.tag("flags").map(|argument| self.list(argument)),
            create: bound.has("create"),
            mailbox_id: self.tag_text(bound, "mailboxid"),
            special_use: self.tag_text(bound, "specialuse"),
        }
    }

    /// `:fcc` (RFC 8580) and the options that only mean something with it.
    pub(super) fn fcc(&mut self, bound: &Bound<'_>) -> Option<Target> {
        if let Some(argument) = bound.tag("fcc") {
            self.uses("fcc");
            let mailbox = self.text(argument);
            return Some(self.target(bound, mailbox));
        }
        for tag in ["flags", "create", "mailboxid", "specialuse"] {
            if let Some(span) = bound.tag_span(tag) {
                self.sink.error(
                    DiagnosticKind::Argument,
                    span,
                    format!("`:{tag}` is only used together with `:fcc` here"),
                );
            }
        }
        None
    }

    fn modifiers(&mut self, bound: &Bound<'_>) -> Vec<Modifier> {
        let mut list: Vec<Modifier> = bound
            .all_tags()
            .filter_map(|name| {
                Some(match name {
                    "lower" => Modifier::Lower,
                    "upper" => Modifier::Upper,
                    "lowerfirst" => Modifier::LowerFirst,
                    "upperfirst" => Modifier::UpperFirst,
                    "quotewildcard" => Modifier::QuoteWildcard,
                    "quoteregex" => Modifier::QuoteRegex,
                    "encodeurl" => Modifier::EncodeUrl,
                    "length" => Modifier::Length,
                    _ => return None,
                })
            })
            .collect();
        if list.contains(&Modifier::QuoteRegex) {
            self.uses("regex");
        }
        // RFC 5229 §4.1: the largest precedence first.
        list.sort_by_key(|modifier| match modifier {
            Modifier::Lower | Modifier::Upper => 0,
            Modifier::LowerFirst | Modifier::UpperFirst => 1,
            Modifier::QuoteWildcard | Modifier::QuoteRegex => 2,
            Modifier::EncodeUrl => 3,
            Modifier::Length => 4,
        });
        list
    }

    /// A constant address must look like one.
    pub(super) fn address(&mut self, argument: &ast::Argument) -> Text {
        let text = self.text(argument);
        if let Text::Literal(octets) = &text
            && crate::eval::address::parse_one(octets).is_none()
        {
            self.address_fault(octets, argument.span);
        }
        text
    }

    pub(super) fn address_fault(&mut self, octets: &[u8], span: Span) {
        self.sink.error_with(
            DiagnosticKind::Value,
            span,
            format!("`{}` is no mail address", String::from_utf8_lossy(octets)),
            "an address is written like user@example.org",
        );
    }

    pub(super) fn copy(&mut self, bound: &Bound<'_>) -> bool {
        if bound.has("copy") {
            self.uses("copy");
        }
        bound.has("copy")
    }

    fn lower_command(&mut self, bound: &Bound<'_>) -> Option<Command> {
        let at = |index: usize| bound.at(index);
        Some(match bound.name {
            "keep" => {
                if bound.has("flags") {
                    self.uses("imap4flags");
                }
                Command::Keep {
                    flags: bound.tag("flags").map(|argument| self.list(argument)),
                }
            }
            "discard" => Command::Discard,
            "fileinto" => {
                let mailbox = self.text(at(0)?);
                if matches!(&mailbox, Text::Literal(name) if name.is_empty()) {
                    self.sink.error(
                        DiagnosticKind::Value,
                        at(0)?.span,
                        "a mailbox must have a name",
                    );
                }
                Command::FileInto {
                    copy: self.copy(bound),
                    target: self.target(bound, mailbox),
                }
            }
            "redirect" => self.redirect(bound)?,
            "reject" | "ereject" => Command::Reject {
                reason: self.text(at(0)?),
                extended: bound.name == "ereject",
            },
            "vacation" => self.vacation(bound)?,
            "set" => Command::Set {
                variable: self.variable(at(0)?)?,
                value: self.text(at(1)?),
                modifiers: self.modifiers(bound),
            },
            "setflag" | "addflag" | "removeflag" => {
                if let Some(argument) = at(0) {
                    self.flag_variables(argument.span);
                }
                Command::Flags {
                    change: match bound.name {
                        "setflag" => FlagChange::Set,
                        "addflag" => FlagChange::Add,
                        _ => FlagChange::Remove,
                    },
                    variable: match at(0) {
                        Some(argument) => Some(self.variable(argument)?),
                        None => None,
                    },
                    flags: self.list(at(1)?),
                }
            }
            "notify" => self.notify(bound)?,
            "addheader" => {
                let name = self.text(at(0)?);
                if let Text::Literal(octets) = &name
                    && !crate::eval::edit::is_field_name(octets)
                {
                    self.sink.error(
                        DiagnosticKind::Value,
                        at(0)?.span,
                        format!(
                            "`{}` can be no header field's name",
                            String::from_utf8_lossy(octets)
                        ),
                    );
                }
                Command::AddHeader {
                    name,
                    value: self.text(at(1)?),
                    last: bound.has("last"),
                }
            }
            "deleteheader" => {
                let matching = self.matching(bound);
                let index = bound.number("index").map(|(value, span)| {
                    if value == 0 {
                        self.sink
                            .error(DiagnosticKind::Value, span, "`:index` counts from one");
                    }
                    Index {
                        number: usize::try_from(value).unwrap_or(usize::MAX),
                        last: bound.has("last"),
                    }
                });
                Command::DeleteHeader {
                    name: self.text(at(0)?),
                    keys: at(1).map(|argument| self.keys(argument, matching)),
                    matching,
                    index,
                }
            }
            "include" => Command::Include {
                name: self.text(at(0)?),
                global: bound.has("global"),
                once: bound.has("once"),
                optional: bound.has("optional"),
            },
            "extracttext" => {
                if self.loops.is_empty() {
                    self.sink.error_with(
                        DiagnosticKind::Structure,
                        bound.span,
                        "`extracttext` stands outside of any foreverypart",
                        "put it into a foreverypart block (RFC 5703 section 7)",
                    );
                }
                self.uses("variables");
                Command::ExtractText {
                    variable: self.variable(at(0)?)?,
                    modifiers: self.modifiers(bound),
                    first: bound
                        .number("first")
                        .map(|(number, _)| usize::try_from(number).unwrap_or(usize::MAX)),
                }
            }
            "replace" => Command::Replace {
                mime: bound.has("mime"),
                subject: self.tag_text(bound, "subject"),
                from: self.tag_text(bound, "from"),
                body: self.text(at(0)?),
            },
            "enclose" => Command::Enclose {
                subject: self.tag_text(bound, "subject"),
                headers: self.tag_list(bound, "headers"),
                body: self.text(at(0)?),
            },
            "convert" => Command::Convert(self.convert(bound)?),
            "processcalendar" => self.calendar(bound)?,
            "report" => self.report(bound)?,
            "error" => Command::Error(self.text(at(0)?)),
            "debug_log" => Command::Debug(self.text(at(0)?)),
            "pipe" | "filter" | "execute" => Command::Program(self.program(bound)?),
            _ => Command::Suite(self.suite_command(bound)?),
        })
    }
}
