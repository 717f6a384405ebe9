//! Commands at run time.

use std::sync::Arc;

use super::spend::FIELD;
use super::{Evaluation, Fault, Flow, Frame, address, expand};
use crate::action::{Action, FileInto, Keep, Mailbox, Pipe, Redirect, Reject};
use crate::program::{self, ByTime, Command, FlagChange, ProgramInput, RunProgram, Target, Text};
use crate::question::{Answer, Program, ProgramKind, Question};

impl Command {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Keep { .. } => "keep",
            Self::Discard => "discard",
            Self::FileInto { .. } => "fileinto",
            Self::Redirect(_) => "redirect",
            Self::Reject {
                extended: false, ..
            } => "reject",
            Self::Reject { extended: true, .. } => "ereject",
            Self::Vacation(_) => "vacation",
            Self::Set { .. } => "set",
            Self::Flags { change, .. } => match change {
                FlagChange::Set => "setflag",
                FlagChange::Add => "addflag",
                FlagChange::Remove => "removeflag",
            },
            Self::Notify(_) => "notify",
            Self::AddHeader { .. } => "addheader",
            Self::DeleteHeader { .. } => "deleteheader",
            Self::Include { .. } => "include",
            Self::ExtractText { .. } => "extracttext",
            Self::Replace { .. } => "replace",
            Self::Enclose { .. } => "enclose",
            Self::Convert(_) => "convert",
            Self::Calendar(_) => "processcalendar",
            Self::Report(_) => "report",
            Self::Error(_) => "error",
            Self::Debug(_) => "debug_log",
            Self::Program(program) => program.kind.name(),
            Self::Suite(_) => "test_*",
        }
    }
}

impl ProgramKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Filter => "filter",
            Self::Execute => "execute",
        }
    }
}

/// Octets of one `debug_log` line, and lines kept.
const DEBUG_OCTETS: usize = 512;
const DEBUG_LINES: usize = 256;

impl Evaluation<'_> {
    pub(super) fn command(&mut self, command: &Command, at: usize) -> Result<Flow, Fault> {
        match command {
            Command::Keep { flags } => {
                let flags = self.flags_for(flags.as_ref());
                let edited = self.kept_edit();
                self.implicit_keep = false;
                self.dispose(Action::Keep(Keep {
                    implicit: false,
                    flags,
                    edited,
                }))?;
            }
            Command::Discard => {
                self.implicit_keep = false;
                if !self.actions.contains(&Action::Discard) {
                    self.push(Action::Discard)?;
                }
            }
            Command::FileInto { target, copy } => {
                let mailbox = self.mailbox(target)?;
                let edited = self.message.edited();
                self.implicit_keep &= *copy;
                self.dispose(Action::FileInto(FileInto {
                    mailbox,
                    copy: *copy,
                    edited,
                }))?;
            }
            Command::Redirect(redirect) => self.redirect(redirect)?,
            Command::Reject { reason, extended } => {
                let reason = self.expand_string(reason);
                self.reject(reason, *extended)?;
            }
            Command::Vacation(vacation) => self.vacation(vacation)?,
            Command::Set {
                variable,
                value,
                modifiers,
            } => {
                let value = expand::modify(self.expand(value).into_owned(), modifiers);
                self.set_variable(variable, value)?;
            }
            Command::Flags {
                change,
                variable,
                flags,
            } => {
                let given = self.flag_list(flags);
                let held = variable.as_ref().map(std::slice::from_ref);
                let mut now = match change {
                    FlagChange::Set => Vec::new(),
                    _ => self.flags_of(held),
                };
                match change {
                    FlagChange::Remove => {
                        let compared = now.len().saturating_mul(given.len());
                        self.spend(compared.saturating_mul(FIELD));
                        self.check_spent()?;
                        now.retain(|flag| !given.iter().any(|out| out.eq_ignore_ascii_case(flag)))
                    }
                    _ => given.iter().for_each(|flag| self.add_flags(&mut now, flag)),
                }
                match variable {
                    Some(variable) => self.set_variable(variable, now.join(" ").into_bytes())?,
                    None => self.flags = now,
                }
            }
            Command::Notify(notify) => self.notify(notify)?,
            Command::AddHeader { name, value, last } => self.add_header(name, value, *last)?,
            Command::DeleteHeader {
                name,
                keys,
                matching,
                index,
            } => {
                self.delete_header(name, keys.as_ref(), *matching, *index)?;
            }
            Command::Include {
                name,
                global,
                once,
                optional,
            } => {
                return self.include(name, *global, *once, *optional, at);
            }
            Command::ExtractText { .. } => self.extract_text(command)?,
            Command::Replace {
                mime,
                subject,
                from,
                body,
            } => {
                self.replace(*mime, subject.as_ref(), from.as_ref(), body)?;
            }
            Command::Enclose {
                subject,
                headers,
                body,
            } => self.enclose(subject.as_ref(), headers, body)?,
            Command::Convert(convert) => {
                self.convert(convert)?;
            }
            Command::Calendar(calendar) => self.calendar(calendar)?,
            Command::Report(report) => self.report(report)?,
            Command::Error(text) => {
                let text = self.expand_string(text);
                return Err(Fault::Fail(text));
            }
            Command::Debug(text) => {
                if self.debug.len() < DEBUG_LINES {
                    let mut text = self.expand(text).into_owned();
                    expand::cut(&mut text, DEBUG_OCTETS);
                    self.debug.push(String::from_utf8_lossy(&text).into_owned());
                }
            }
            Command::Program(program) => {
                self.run_program(program)?;
            }
            Command::Suite(command) => self.suite_command(command)?,
        }
        Ok(Flow::Next)
    }

    pub(super) fn push(&mut self, action: Action) -> Result<(), Fault> {
        if self.actions.len() >= self.config.limits.actions {
            return Err(Fault::Fail(format!(
                "more than {} actions",
                self.config.limits.actions
            )));
        }
        self.actions.push(action);
        Ok(())
    }

    /// Stores or sends, once for each place (RFC 5228 §2.10.3); never together with a refusal (RFC 5429 §2.4).
    fn dispose(&mut self, action: Action) -> Result<(), Fault> {
        if self
            .actions
            .iter()
            .any(|known| matches!(known, Action::Reject(_)))
        {
            return Err(Fault::Fail(format!(
                "{} is not compatible with a reject before it",
                action.name()
            )));
        }
        let known = self
            .actions
            .iter_mut()
            .find(|known| match (&action, known) {
                (Action::Keep(_), Action::Keep(_)) => true,
                (Action::FileInto(new), Action::FileInto(old)) => {
                    same_mailbox(&new.mailbox, &old.mailbox)
                }
                (Action::Redirect(new), Action::Redirect(old)) => {
                    new.list == old.list && same_address(&new.address, &old.address)
                }
                _ => false,
            });
        match known {
            // The flags of the last one count (RFC 5232 §5 leaves it open).
            Some(known) => {
                match (action, known) {
                    (Action::FileInto(mut new), Action::FileInto(old)) => {
                        new.copy &= old.copy;
                        *old = new;
                    }
                    (Action::Redirect(mut new), Action::Redirect(old)) => {
                        new.copy &= old.copy;
                        *old = new;
                    }
                    (action, known) => *known = action,
                }
                Ok(())
            }
            None => self.push(action),
        }
    }

    /// Where a reply or notification is also stored; the flags of the message at hand are not its own.
    pub(super) fn fcc(&mut self, target: Option<&Target>) -> Result<Option<Mailbox>, Fault> {
        let Some(target) = target else {
            return Ok(None);
        };
        let mut mailbox = self.mailbox(target)?;
        if target.flags.is_none() {
            mailbox.flags.clear();
        }
        Ok(Some(mailbox))
    }

    pub(super) fn mailbox(&mut self, target: &Target) -> Result<Mailbox, Fault> {
        let name = self.expand(&target.mailbox).into_owned();
        let name = String::from_utf8(name)
            .map_err(|_| Fault::Fail("a mailbox name is not valid UTF-8".to_owned()))?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Fault::Fail(format!(
                "`{}` can be no mailbox name",
                name.escape_debug()
            )));
        }
        let special_use = target
            .special_use
            .as_ref()
            .map(|text| self.expand_string(text));
        if let Some(attribute) = special_use
            .as_ref()
            .filter(|attribute| !attribute.starts_with('\\'))
        {
            return Err(Fault::Fail(format!(
                "`{attribute}` is no special-use attribute"
            )));
        }
        Ok(Mailbox {
            name,
            flags: self.flags_for(target.flags.as_ref()),
            create: target.create,
            mailbox_id: target
                .mailbox_id
                .as_ref()
                .map(|text| self.expand_string(text)),
            special_use,
        })
    }

    fn redirect(&mut self, redirect: &program::Redirect) -> Result<(), Fault> {
        let address = self.expand(&redirect.address);
        let address = if redirect.list {
            String::from_utf8_lossy(&address).into_owned()
        } else {
            address::parse_one(&address).ok_or_else(|| {
                Fault::Fail(format!(
                    "`{}` is no mail address",
                    String::from_utf8_lossy(&address)
                ))
            })?
        };
        let text = |text: &Option<Text>| text.as_ref().map(|text| self.expand_string(text));
        let action = Redirect {
            address,
            copy: redirect.copy,
            list: redirect.list,
            notify: text(&redirect.notify),
            ret: text(&redirect.ret),
            by_relative: match redirect.by_time {
                Some(ByTime::Relative(seconds)) => Some(seconds),
                _ => None,
            },
            by_absolute: match &redirect.by_time {
                Some(ByTime::Absolute(time)) => Some(self.expand_string(time)),
                _ => None,
            },
            by_mode: text(&redirect.by_mode),
            by_trace: redirect.by_trace,
            edited: None,
        };
        let mut action = Redirect {
            edited: self.message.edited(),
            ..action
        };
        super::envelope::normalize(&mut action)?;
        self.implicit_keep &= redirect.copy;
        self.dispose(Action::Redirect(action))?;
        let count = self
            .actions
            .iter()
            .filter(|a| matches!(a, Action::Redirect(_)))
            .count();
        if count > self.config.limits.redirects {
            return Err(Fault::Fail(format!(
                "more than {} redirects",
                self.config.limits.redirects
            )));
        }
        Ok(())
    }

    fn reject(&mut self, reason: String, extended: bool) -> Result<(), Fault> {
        for known in &self.actions {
            let other = match known {
                Action::Keep(_)
                | Action::FileInto(_)
                | Action::Redirect(_)
                | Action::Vacation(_)
                | Action::Pipe(_) => known.name(),
                Action::Reject(_) => "another reject",
                _ => continue,
            };
            return Err(Fault::Fail(format!(
                "reject is not compatible with {other} before it"
            )));
        }
        self.implicit_keep = false;
        self.push(Action::Reject(Reject { reason, extended }))
    }

    fn include(
        &mut self,
        name: &Text,
        global: bool,
        once: bool,
        optional: bool,
        at: usize,
    ) -> Result<Flow, Fault> {
        let name = self.expand_string(name);
        let key = format!("{}:{name}", if global { "global" } else { "personal" });
        if once && self.included.contains(&key) {
            return Ok(Flow::Next);
        }
        // RFC 6609 §3.1: a name is no path.
        if name.is_empty() || name.chars().any(|c| c == '/' || c.is_control()) {
            return Err(Fault::Fail(format!(
                "`{}` can be no script name",
                name.escape_debug()
            )));
        }
        if self.frames.len() > self.config.limits.include_depth {
            return Err(Fault::Fail(
                "scripts include each other too deeply".to_owned(),
            ));
        }
        if self
            .frames
            .iter()
            .any(|frame| frame.name.as_deref() == Some(&key))
        {
            return Err(Fault::Fail(format!("the script `{name}` includes itself")));
        }
        if self.includes >= self.config.limits.includes {
            return Err(Fault::Fail("too many scripts are included".to_owned()));
        }
        let question = Question::Script {
            name: name.clone(),
            global,
        };
        let script = match self.ask(question)? {
            Answer::Script(script) => script,
            _ => return Err(super::wrong_answer()),
        };
        let Some(script) = script else {
            if optional {
                return Ok(Flow::Next);
            }
            return Err(Fault::Fail(format!(
                "there is no script `{name}` to include"
            )));
        };
        self.includes += 1;
        self.included.insert(key.clone());
        if let Some(frame) = self.frames.last_mut() {
            frame.at = at + 1;
        }
        self.frames
            .push(Frame::new(&Arc::clone(&script.program), Some(key)));
        self.check_event()?;
        Ok(Flow::Enter)
    }

    /// Pipes are done at the end, the others at once.
    pub(super) fn run_program(&mut self, program: &RunProgram) -> Result<bool, Fault> {
        let name = self.expand_string(&program.name);
        if name.is_empty()
            || name.chars().any(|c| c == '/' || c.is_control())
            || name.starts_with('.')
        {
            return Err(Fault::Fail(format!(
                "`{}` can be no program name",
                name.escape_debug()
            )));
        }
        let arguments = self.expand_list(&program.arguments);
        if program.kind == ProgramKind::Pipe {
            let edited = self.message.edited();
            self.implicit_keep &= program.copy;
            self.dispose(Action::Pipe(Pipe {
                program: name,
                arguments,
                copy: program.copy,
                optional: program.try_,
                edited,
            }))?;
            return Ok(true);
        }
        let input = match &program.input {
            ProgramInput::None => Vec::new(),
            ProgramInput::Message => self.message.current().into_owned(),
            ProgramInput::Text(text) => self.expand(text).into_owned(),
        };
        let question = Question::Program(Program {
            kind: program.kind,
            name,
            arguments,
            input,
        });
        let (success, output) = match self.ask(question)? {
            Answer::Program { success, output } => (success, output),
            _ => return Err(super::wrong_answer()),
        };
        if success {
            if let Some(variable) = &program.output {
                let end = output.len()
                    - output
                        .iter()
                        .rev()
                        .take_while(|c| matches!(c, b'\r' | b'\n'))
                        .count();
                self.set_variable(variable, output.get(..end).unwrap_or_default().to_vec())?;
            }
            if program.kind == ProgramKind::Filter {
                self.replace_message(output);
            }
        }
        Ok(success)
    }
}

fn same_mailbox(new: &Mailbox, old: &Mailbox) -> bool {
    let inbox = |name: &str| name.eq_ignore_ascii_case("INBOX");
    (new.name == old.name || (inbox(&new.name) && inbox(&old.name)))
        && new.mailbox_id == old.mailbox_id
        && new.special_use == old.special_use
}

/// Domains have no case; local parts may.
fn same_address(a: &str, b: &str) -> bool {
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((a_local, a_domain)), Some((b_local, b_domain))) => {
            a_local == b_local && a_domain.eq_ignore_ascii_case(b_domain)
        }
        _ => a == b,
    }
}
