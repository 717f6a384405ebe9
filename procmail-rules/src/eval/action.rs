//! Actions: reading the line, and doing it if the recipe matched.

use std::sync::Arc;

use super::expand::Mode;
use super::folder::How;
use super::program::{Program, UNAVAILABLE, WRITE_ERROR, exit_status};
use super::recipe::{LocalLock, Recipe};
use super::source::{Source, is_blank, is_name, is_name_start};
use super::{Machine, Progress};
use crate::effect::{Command, Effect, Output, Purpose, Ran, Reply, Status};
use crate::error::{Error, Limit};
use crate::format::{self, Part};
use crate::message::Message;
use crate::note::Fact;

/// What an action line says.
enum Line {
    Block,
    Forward(Option<Program>),
    Pipe(Vec<u8>),
    Capture(Vec<u8>, Box<Line>),
    Folders(Option<Vec<Vec<u8>>>),
}

/// What the output of a program becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Use {
    Deliver,
    Filter,
    Capture(Vec<u8>),
}

impl Machine {
    /// Reads the action, and carries it out if the recipe matched.
    pub(super) async fn action(&mut self, recipe: Recipe, matched: bool) -> Result<(), Error> {
        let skipping = self.skipping > 0;
        let start = self.position();
        let program = matches!(
            self.current().and_then(|line| line.peek()),
            Some(b'!' | b'|')
        );
        if recipe.flags.filter && !program {
            // Reported even in a block that is not entered.
            self.extraneous(b"filter-flag")?;
        }
        // What is not done is not expanded either.
        if !matched {
            self.skipping += 1;
        }
        let line = self.action_line().await;
        if !matched {
            self.skipping -= 1;
        }
        let line = line?;
        if matched {
            self.joined = false;
        }
        let span = start..self.position();
        self.note(span, Fact::Action { done: matched }).await?;
        if !matched {
            if matches!(line, Line::Block) {
                self.extraneous_on_block(&recipe)?;
                self.open_brace(false)?;
            } else if self.take_overflow() && !skipping {
                self.last_success = false;
            }
            self.overflow = false;
            return Ok(());
        }
        match line {
            Line::Block => self.block(&recipe).await,
            Line::Forward(None) | Line::Folders(None) => {
                self.last_success = false;
                Ok(())
            }
            Line::Forward(Some(program)) => {
                self.extraneous_copy(&recipe, recipe.flags.filter)?;
                let used = if recipe.flags.filter {
                    Use::Filter
                } else {
                    Use::Deliver
                };
                self.program_action(recipe, program, Purpose::Forward, used)
                    .await
            }
            Line::Pipe(text) => self.pipe(recipe, &text).await,
            Line::Capture(name, line) => self.capture(recipe, name, *line).await,
            Line::Folders(Some(names)) => self.folder_action(recipe, names).await,
        }
    }

    async fn action_line(&mut self) -> Result<Line, Error> {
        let Some(mut source) = self.current() else {
            return Ok(Line::Folders(None));
        };
        let start = source.position();
        let line = match source.peek() {
            Some(b'!') => {
                source.next();
                self.forward_line(&mut source).await?
            }
            Some(b'|') => {
                source.next();
                self.pipe_line(&mut source)?
            }
            Some(b'{') if source.peek_second().is_some_and(super::source::is_space) => {
                source.next();
                Line::Block
            }
            Some(byte) if is_name_start(byte) => {
                let name = source.take_while(is_name).to_vec();
                source.take_while(is_blank);
                let assigns = source.accept(b'=');
                source.take_while(is_blank);
                match source.peek() {
                    Some(b'|') if assigns => {
                        source.next();
                        Line::Capture(name, Box::new(Line::Pipe(source.raw_line())))
                    }
                    Some(b'!') if assigns => {
                        source.next();
                        let line = self.forward_line(&mut source).await?;
                        Line::Capture(name, Box::new(line))
                    }
                    _ => {
                        source.rewind(start);
                        self.folder_line(&mut source).await?
                    }
                }
            }
            _ => self.folder_line(&mut source).await?,
        };
        self.resume(&source);
        Ok(line)
    }

    fn pipe_line(&mut self, source: &mut Source) -> Result<Line, Error> {
        let text = source.raw_line();
        if text.len() >= self.settings.linebuf {
            self.exceeded()?;
            return Ok(Line::Folders(None));
        }
        Ok(Line::Pipe(text))
    }

    /// `! args`: `$SENDMAIL`, its flags, and the words of the line.
    async fn forward_line(&mut self, source: &mut Source) -> Result<Line, Error> {
        let sendmail = self.settings.sendmail.clone();
        let mut argv = vec![sendmail];
        let flags = self.settings.sendmail_flags.clone();
        let flags = flags
            .split(|byte| super::source::is_space(*byte))
            .filter(|flag| !flag.is_empty());
        argv.extend(flags.map(<[u8]>::to_vec));
        let used = argv.iter().map(|word| word.len() + 1).sum();
        let words = self.expand(source, Mode::Line, used).await?;
        if self.overflow {
            self.overflow = self.skipping > 0;
            return Ok(Line::Forward(None));
        }
        let fixed = argv.join(&b' ');
        let Program {
            command,
            text,
            lost,
        } = self.direct(words);
        let lost = lost.map(|(at, word)| (argv.len() + at, word));
        if let Command::Direct(words) = command {
            argv.extend(words);
        }
        let text = [&fixed, b" ".as_slice(), &text].concat();
        Ok(Line::Forward(Some(Program {
            command: Command::Direct(argv),
            text,
            lost,
        })))
    }

    async fn folder_line(&mut self, source: &mut Source) -> Result<Line, Error> {
        let mut name = Vec::new();
        if source.peek().is_some_and(is_name_start) {
            name = source.take_while(is_name).to_vec();
            if source.accept(b'=') {
                name.push(b'=');
            }
        }
        // A blank ends the name, and something follows it, if only the end of the line.
        let ended = !name.is_empty() && source.peek().is_some_and(is_blank);
        let first = if ended {
            vec![std::mem::take(&mut name)]
        } else {
            Vec::new()
        };
        let used = first.iter().map(|word| word.len() + 1).sum();
        source.skip_blanks();
        let words = self.expand_after(source, Mode::Line, used, name).await?;
        if self.overflow {
            self.overflow = self.skipping > 0;
            return Ok(Line::Folders(None));
        }
        let mut words = words.into_words();
        if ended && words.is_empty() {
            words.push(Vec::new());
        }
        Ok(Line::Folders(Some([first, words].concat())))
    }

    fn open_brace(&mut self, executed: bool) -> Result<(), Error> {
        if self.braces.len() + self.skipping >= self.config.limits.brace_depth {
            return Err(Error::limit(Limit::BraceDepth));
        }
        if executed {
            self.braces
                .push((self.previous_condition, self.last_condition));
        } else {
            self.skipping += 1;
        }
        Ok(())
    }

    fn extraneous(&mut self, what: &[u8]) -> Result<(), Error> {
        self.log_line(&[b"Extraneous ", what, b" ignored"])
    }

    fn extraneous_copy(&mut self, recipe: &Recipe, used: bool) -> Result<(), Error> {
        if used && recipe.flags.copy {
            self.extraneous(b"copy-flag")
        } else {
            Ok(())
        }
    }

    /// What means nothing on a block is reported whether it is entered or not.
    fn extraneous_on_block(&mut self, recipe: &Recipe) -> Result<(), Error> {
        if recipe.has_lock() && !recipe.flags.copy {
            self.extraneous(b"locallockfile")?;
        }
        if recipe.flags.body {
            self.extraneous(b"deliver-body flag")?;
        }
        if recipe.flags.header {
            self.extraneous(b"deliver-head flag")?;
        }
        if recipe.flags.ignore_errors {
            self.extraneous(b"ignore-write-error flag")?;
        }
        if recipe.flags.raw {
            self.extraneous(b"raw-mode flag")?;
        }
        Ok(())
    }

    async fn block(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.extraneous_on_block(recipe)?;
        let implicit = self.settings.lock_extension.clone();
        self.lock_for(recipe, Some(implicit)).await?;
        if recipe.flags.copy {
            return self.clone_block(recipe).await;
        }
        self.last_success = true;
        self.open_brace(true)
    }

    /// The clone does the block and everything after it; then the parent jumps over the block.
    async fn clone_block(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.port.count_clone()?;
        self.trace_line(&[b"Forking \"procmail\""])?;
        if self.ask(Effect::CloneBegin).await? == Reply::Failed {
            self.log_line(&[b"Failed forking \"procmail\""])?;
            self.last_success = false;
            return self.open_brace(false);
        }
        let mut clone = self.clone();
        clone.local_lock = None;
        clone.global_lock = None;
        clone.last_success = true;
        clone.open_brace(true)?;
        let exit = Box::pin(clone.run_clone())
            .await
            .map_err(|error| clone.locate(error))?;
        self.ask(Effect::CloneEnd { exit }).await?;
        let (wait, loud) = recipe.waits();
        self.last_success = !wait || exit == 0;
        if wait {
            self.status = i32::from(exit);
            self.report_failure(i32::from(exit), loud, b"procmail")?;
        }
        self.open_brace(false)
    }

    async fn run_clone(&mut self) -> Result<u8, Error> {
        self.drive().await?;
        Ok(self.finish().await?.exit)
    }

    /// `Program failure` or, quietly, `Non-zero exitcode`.
    fn report_failure(&mut self, code: i32, loud: bool, name: &[u8]) -> Result<(), Error> {
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

    /// Takes the recipe's lock; `implicit` is the name it has if none is given.
    async fn lock_for(&mut self, recipe: &Recipe, implicit: Option<Vec<u8>>) -> Result<(), Error> {
        match &recipe.lock {
            LocalLock::None => Ok(()),
            LocalLock::Named(name) => self.take_local_lock(name).await,
            LocalLock::Implicit => match implicit {
                Some(name) => self.take_local_lock(&name).await,
                None => Ok(()),
            },
        }
    }

    async fn folder_action(&mut self, recipe: Recipe, names: Vec<Vec<u8>>) -> Result<(), Error> {
        let first = names.first().cloned().unwrap_or_default();
        let implicit = match recipe.lock {
            LocalLock::Implicit => self.folder_lock(&first)?,
            _ => None,
        };
        self.lock_for(&recipe, implicit).await?;
        let part = if recipe.flags.filter {
            Part::Whole
        } else {
            recipe.flags.part()
        };
        let raw = recipe.flags.raw;
        let delivered = if names.len() == 1 && first.starts_with(b"|") {
            self.print(&first, part, raw).await?
        } else {
            let how = How {
                part,
                raw,
                partial: recipe.flags.ignore_errors,
                lock: false,
            };
            self.deliver(&names, how).await?
        };
        self.delivered(&recipe, delivered)
    }

    /// The end of a delivering action.
    fn delivered(&mut self, recipe: &Recipe, delivered: bool) -> Result<(), Error> {
        self.last_success = delivered;
        if !delivered {
            return Ok(());
        }
        if recipe.flags.copy {
            if self.settings.log_abstract > 1 {
                self.log_abstract()?;
            }
            return Ok(());
        }
        self.progress = Progress::Delivered;
        Ok(())
    }

    async fn pipe(&mut self, recipe: Recipe, text: &[u8]) -> Result<(), Error> {
        if text.iter().all(|byte| is_blank(*byte)) {
            self.lock_for(&recipe, None).await?;
            let delivered = self
                .print(b"|", recipe.flags.part(), recipe.flags.raw)
                .await?;
            return self.delivered(&recipe, delivered);
        }
        self.extraneous_copy(&recipe, recipe.flags.filter)?;
        let Some(program) = self.command(text).await? else {
            self.last_success = false;
            return Ok(());
        };
        let (purpose, used) = if recipe.flags.filter {
            (Purpose::Filter, Use::Filter)
        } else {
            (Purpose::Pipe, Use::Deliver)
        };
        self.program_lock_and_run(recipe, text, program, purpose, used)
            .await
    }

    async fn capture(&mut self, recipe: Recipe, name: Vec<u8>, line: Line) -> Result<(), Error> {
        self.extraneous_copy(&recipe, true)?;
        match line {
            Line::Pipe(text) => {
                let Some(program) = self.command(&text).await? else {
                    self.last_success = false;
                    return Ok(());
                };
                let used = Use::Capture(name);
                self.program_lock_and_run(recipe, &text, program, Purpose::Capture, used)
                    .await
            }
            Line::Forward(Some(program)) => {
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
    async fn program_action(
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
            Use::Capture(_) => Output::Capture(self.config.limits.value_size),
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
        let output = without_newline(&output);
        self.set_value(name, output)?;
        self.take_effect(name, Some(output)).await
    }
}

/// Less exactly one newline at the end.
fn without_newline(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\n").unwrap_or(text)
}
