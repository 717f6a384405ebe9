//! Programs: how a text is run, and with what.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::expand::Mode;
use super::source::{Source, is_blank, is_space};
use crate::effect::{Command, Effect, Output, Purpose, Ran, Reply, Run, Status};
use crate::error::Error;

/// There is no exit code of the program's own.
pub(super) const UNAVAILABLE: i32 = 69;

/// The input of a program whose output is wanted could not be written.
pub(super) const WRITE_ERROR: i32 = 74;

/// A program to run, and how the log calls it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) command: Command,
    /// The words joined by blanks, or the shell text: LASTFOLDER and condition lines.
    pub(super) text: Vec<u8>,
    /// What the first of the arguments put in place of `"$@"` takes the place of.
    pub(super) lost: Option<(usize, Vec<u8>)>,
}

impl Program {
    /// What messages about the program call it.
    pub(super) fn name(&self) -> Vec<u8> {
        match &self.command {
            Command::Direct(words) => words.first().cloned().unwrap_or_default(),
            Command::Shell { text, .. } => text.clone(),
        }
    }
}

impl Machine {
    /// Makes a command of a text; none if LINEBUF did not suffice.
    pub(super) async fn command(&mut self, text: &[u8]) -> Result<Option<Program>, Error> {
        if self.needs_shell(text) {
            let command = Command::Shell {
                shell: self.settings.shell.clone(),
                flags: self.settings.shell_flags.clone(),
                text: text.to_vec(),
            };
            return Ok(Some(Program {
                command,
                text: text.to_vec(),
                lost: None,
            }));
        }
        let mut source = Source::line_text(text);
        let words = Box::pin(self.expand(&mut source, Mode::Arguments, 0)).await?;
        if self.take_overflow() {
            return Ok(None);
        }
        Ok(Some(self.direct(words)))
    }

    /// Words as a direct command, with the arguments put in place of `"$@"`.
    pub(super) fn direct(&self, words: super::expand::Words) -> Program {
        let text = words.joined(b' ');
        // What stands between backquotes has no arguments put in.
        let at = words.arguments_at().filter(|_| self.nested == 0);
        let mut argv = words.into_words();
        if argv.is_empty() {
            argv.push(Vec::new());
        }
        let mut lost = None;
        if let Some(at) = at.filter(|at| *at < argv.len() && !self.arguments.is_empty()) {
            let replaced = argv.splice(at..=at, self.arguments.iter().cloned());
            lost = replaced.into_iter().next().map(|word| (at, word));
        }
        Program {
            command: Command::Direct(argv),
            text,
            lost,
        }
    }

    fn needs_shell(&self, text: &[u8]) -> bool {
        let metas = &self.settings.shell_metas;
        if text.iter().any(|byte| metas.contains(byte)) {
            return true;
        }
        let start = text
            .iter()
            .position(|byte| !is_blank(*byte))
            .unwrap_or(text.len());
        let rest = text.get(start..).unwrap_or(&[]);
        rest.strip_prefix(b"test")
            .is_some_and(|rest| rest.first().is_none_or(|byte| is_space(*byte)))
            && !metas.is_empty()
    }

    pub(super) fn expansion_depth(&self) -> usize {
        self.nested
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        u64::try_from(self.settings.timeout)
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs)
    }

    /// Runs a program, with the trace, and notes `$?` where it was waited for.
    pub(super) async fn run_program(
        &mut self,
        program: &Program,
        purpose: Purpose,
        input: Vec<u8>,
        output: Output,
        wait: bool,
    ) -> Result<Ran, Error> {
        match &program.command {
            Command::Direct(words) => {
                let mut words = words.clone();
                if let Some((at, word)) = &program.lost
                    && let Some(shown) = words.get_mut(*at)
                {
                    shown.splice(..0, word.iter().copied());
                }
                self.trace_quoted(b"Executing", &words.join(&b','))?;
            }
            Command::Shell { text, .. } => self.trace_quoted(b"Executing", text)?,
        }
        let run = Run {
            command: program.command.clone(),
            purpose,
            input,
            output,
            wait,
            environment: Arc::clone(&self.environment),
            timeout: self.timeout(),
        };
        let Reply::Ran(ran) = self.ask(Effect::Run(run)).await? else {
            return Ok(Ran::refused());
        };
        match ran.status {
            Status::NotStarted => self.log_quoted(b"Failed to execute", &program.name())?,
            Status::Refused => self.log_quoted(b"Denied to execute", &program.name())?,
            Status::TimedOut => self.log_quoted(b"Timeout, terminating", &program.name())?,
            Status::Exited(_) | Status::Signalled(_) => {}
        }
        if wait {
            self.status = match output {
                Output::Capture(_) => captured_status(ran.status),
                _ => exit_status(ran.status),
            };
        }
        Ok(ran)
    }
}

/// How the process ends that feeds a program and takes its output in: the exit code is the
/// program's, as an octet. If it is stopped itself, it has none to pass on.
pub(super) fn captured_status(status: Status) -> i32 {
    match status {
        Status::TimedOut => UNAVAILABLE,
        status => exit_status(status) & 0xff,
    }
}

/// A program's end as `$?` shows it: the exit code, or the signal as a negative number.
pub(super) fn exit_status(status: Status) -> i32 {
    match status {
        Status::Exited(code) => code,
        Status::Signalled(signal) => -signal,
        Status::TimedOut => -15,
        Status::NotStarted | Status::Refused => UNAVAILABLE,
    }
}
