//! Programs as actions: what they are given, and what their output becomes.

use std::sync::Arc;

use super::line::Line;
use crate::effect::{Command, Output, Purpose, Ran, Status};
use crate::error::Error;
use crate::eval::Machine;
use crate::eval::program::{Program, UNAVAILABLE, WRITE_ERROR, exit_status};
use crate::eval::recipe::{LocalLock, Recipe};
use crate::eval::source::{is_blank, until_nul};
use crate::format::{self, Part};
use crate::message::Message;

/// What the output of a program becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Deliver,
    Filter,
    Capture(Vec<u8>),
}

impl Machine {
    pub(super) async fn pipe(&mut self, recipe: Recipe, text: &[u8]) -> Result<(), Error> {
        if text.iter().all(|byte| is_blank(*byte)) {
            return self.print_action(&recipe).await;
        }
        let Some(program) = self.command(text).await? else {
            self.last_success = false;
            return Ok(());
        };
        if program.text.is_empty() {
            return self.print_action(&recipe).await;
        }
        self.extraneous_copy(&recipe, recipe.flags.filter)?;
        let (purpose, used) = if recipe.flags.filter {
            (Purpose::Filter, Use::Filter)
        } else {
            (Purpose::Pipe, Use::Deliver)
        };
        self.program_lock_and_run(recipe, text, program, purpose, used)
            .await
    }

    /// Where no program is named, the message goes to standard output, whatever a program's output
    /// would have become.
    async fn print_action(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.lock_for(recipe, None).await?;
        let (part, raw) = (recipe.flags.part(), recipe.flags.raw);
        let delivered = self.print(b"|", part, raw).await?;
        self.delivered(recipe, delivered)
    }

    pub(super) async fn capture(
        &mut self,
        recipe: Recipe,
        name: Vec<u8>,
        line: Line,
    ) -> Result<(), Error> {
        match line {
            Line::Pipe(text) => {
                let Some(program) = self.command(&text).await? else {
                    self.last_success = false;
                    return Ok(());
                };
                if program.text.is_empty() {
                    return self.print_action(&recipe).await;
                }
                self.extraneous_copy(&recipe, true)?;
                let used = Use::Capture(name);
                self.program_lock_and_run(recipe, &text, program, Purpose::Capture, used)
                    .await
            }
            Line::Forward(Some(program)) => {
                self.extraneous_copy(&recipe, true)?;
                self.program_action(recipe, program, Purpose::Forward, Use::Capture(name))
                    .await
            }
            _ => {
                self.last_success = false;
                Ok(())
            }
        }
    }

    async fn program_lock_and_run(
        &mut self,
        recipe: Recipe,
        text: &[u8],
        program: Program,
        purpose: Purpose,
        used: Use,
    ) -> Result<(), Error> {
        if recipe.lock == LocalLock::Implicit {
            let shell = matches!(program.command, Command::Shell { .. });
            let shown = if shell { text } else { &program.text };
            let name = program.name();
            let lock = self.program_lock(shown, &name, shell).await?;
            self.lock_for(&recipe, lock).await?;
        } else {
            self.lock_for(&recipe, None).await?;
        }
        self.run_action(recipe, program, purpose, used).await
    }

    /// A forwarding action: an implicit lock cannot be found for it.
    pub(super) async fn program_action(
        &mut self,
        recipe: Recipe,
        program: Program,
        purpose: Purpose,
        used: Use,
    ) -> Result<(), Error> {
        let implicit = match recipe.lock {
            LocalLock::Implicit => self.program_lock(b"", &program.name(), false).await?,
            _ => None,
        };
        self.lock_for(&recipe, implicit).await?;
        self.run_action(recipe, program, purpose, used).await
    }

    async fn run_action(
        &mut self,
        recipe: Recipe,
        program: Program,
        purpose: Purpose,
        used: Use,
    ) -> Result<(), Error> {
        let part = recipe.flags.part();
        let mut input = self.part(part).to_vec();
        if purpose == Purpose::Forward && part != Part::Body {
            input.drain(..format::envelope_length(&input));
        }
        if !recipe.flags.raw {
            format::terminate(&mut input);
        }
        let (wait, loud) = recipe.waits();
        if let Use::Capture(name) = &used {
            self.trace_line(&[b"Assigning \"", name, b"=\""])?;
        }
        let size = input.len();
        let output = match used {
            Use::Deliver => Output::Discard,
            Use::Filter => Output::Capture(usize::MAX),
            // One more than a value may have, which is then told.
            Use::Capture(_) => Output::Capture(self.config.limits.value_size.saturating_add(1)),
        };
        let ran = self
            .run_program(&program, purpose, input, output, wait)
            .await?;
        if used == Use::Deliver {
            // The newline added at the end is written last, if at all.
            self.last_size = if ran.input_written {
                size
            } else {
                self.part(part).len()
            };
        }
        let success = match used {
            Use::Deliver => self.judge(&recipe, &program, &ran, wait, loud)?,
            _ => self.judge_capture(&recipe, &program, &ran, wait, loud)?,
        };
        match used {
            Use::Deliver => {
                self.last_file = None;
                self.set_last_folder(&program.text)?;
                self.delivered(&recipe, success)
            }
            Use::Filter => {
                // Where nothing was given to the program, nothing can be rescued.
                if success || self.part(part).is_empty() {
                    self.replace(part, &ran.output);
                }
                if !success {
                    self.rescued(&recipe)?;
                }
                self.last_success = success;
                Ok(())
            }
            Use::Capture(name) => {
                self.last_success = success;
                if success {
                    return self.take_capture(&name, ran.output).await;
                }
                let Some(old) = self.value(&name) else {
                    return Ok(());
                };
                let was_empty = old.is_empty();
                self.rescued(&recipe)?;
                // Where the old value is empty, nothing can be rescued: what the program wrote is
                // there instead.
                if was_empty {
                    self.set_value(&name, &ran.output)?;
                }
                Ok(())
            }
        }
    }

    /// Has the program done its work?
    fn judge(
        &mut self,
        recipe: &Recipe,
        program: &Program,
        ran: &Ran,
        wait: bool,
        loud: bool,
    ) -> Result<bool, Error> {
        let code = exit_status(ran.status);
        let mut success = true;
        if !ran.input_written && !recipe.flags.ignore_errors {
            self.log_quoted(b"Error while writing to", &program.name())?;
            success = false;
        }
        if wait && code != 0 {
            self.report_failure(code, loud, &program.name())?;
            success = false;
        }
        Ok(success)
    }

    /// The same where the output is wanted: the first fault is the only one told, and a program
    /// that was stopped is a fault only if it was waited for.
    fn judge_capture(
        &mut self,
        recipe: &Recipe,
        program: &Program,
        ran: &Ran,
        wait: bool,
        loud: bool,
    ) -> Result<bool, Error> {
        if !ran.input_written && !recipe.flags.ignore_errors {
            self.status = if ran.status == Status::TimedOut {
                UNAVAILABLE
            } else {
                self.log_quoted(b"Error while writing to", &program.name())?;
                WRITE_ERROR
            };
            return Ok(false);
        }
        let code = exit_status(ran.status);
        if !wait || code == 0 {
            return Ok(true);
        }
        if ran.status != Status::TimedOut {
            self.report_failure(code, loud, &program.name())?;
        }
        Ok(false)
    }

    /// A filter's output takes the place of what it was given.
    fn replace(&mut self, part: Part, output: &[u8]) {
        let honour_length = !self.config.ignore_content_length;
        let message = match part {
            Part::Whole => Message::new(output, honour_length),
            Part::Header => {
                let text = [output, self.message.body()].concat();
                Message::new(&text, honour_length)
            }
            Part::Body => {
                let header = self.message.header();
                let text = [header, output].concat();
                Message::divided(&text, header.len(), honour_length)
            }
        };
        self.message = Arc::new(message);
    }

    /// What a failed program was to replace stays.
    fn rescued(&mut self, recipe: &Recipe) -> Result<(), Error> {
        if recipe.flags.wait_quietly && !self.is_verbose() {
            return Ok(());
        }
        self.log_line(&[b"Rescue of unfiltered data succeeded"])
    }

    async fn take_capture(&mut self, name: &[u8], output: Vec<u8>) -> Result<(), Error> {
        let output = until_nul(without_newline(&output));
        self.set_value(name, output)?;
        self.take_effect(name, Some(output)).await
    }

    /// `Program failure` or, quietly, `Non-zero exitcode`.
    pub(super) fn report_failure(
        &mut self,
        code: i32,
        loud: bool,
        name: &[u8],
    ) -> Result<(), Error> {
        if code == 0 {
            return Ok(());
        }
        if !loud {
            return self.report_quietly(code, name);
        }
        let code = code.to_string();
        self.log_line(&[
            b"Program failure (",
            code.as_bytes(),
            b") of \"",
            name,
            b"\"",
        ])
    }
}

/// Less exactly one newline at the end.
fn without_newline(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\n").unwrap_or(text)
}
