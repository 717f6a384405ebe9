//! Statements, and assignments with their effects.

use std::sync::Arc;

use super::expand::Mode;
use super::source::{is_blank, is_name, is_name_start, is_space};
use super::{Machine, Progress};
use crate::effect::{Effect, Reply};
use crate::error::Error;
use crate::note::Fact;
use crate::number;
use crate::variable::Settings;

impl Machine {
    /// The variables a run starts with, and the assignments of the command line.
    pub(super) async fn set_up(&mut self) -> Result<(), Error> {
        let config = Arc::clone(&self.config);
        for (name, value) in &config.inherited {
            self.set_value(name, value)?;
        }
        let path = self.default_path();
        self.set_value(b"LOGNAME", &config.logname)?;
        self.set_value(b"HOME", &config.home)?;
        self.set_value(b"SHELL", &config.shell)?;
        let mailbox = config.system_mailbox.clone().unwrap_or_default();
        if !config.mail_filter {
            if config.system_mailbox.is_some() {
                self.set_value(b"ORGMAIL", &mailbox)?;
            }
            self.settings.orgmail.clone_from(&mailbox);
            self.settings.default.clone_from(&mailbox);
        }
        self.set_value(b"LINEBUF", b"2048")?;
        if !(config.mail_filter && config.preserve) {
            let settings = Settings::new(&config.shell);
            self.set_value(b"PATH", &path)?;
            self.set_value(b"HOST", &config.host)?;
            self.set_value(b"DEFAULT", &mailbox)?;
            self.set_value(b"SHELLFLAGS", &settings.shell_flags)?;
            self.set_value(b"SHELLMETAS", &settings.shell_metas)?;
            self.set_value(b"SENDMAIL", &settings.sendmail)?;
            self.set_value(b"SENDMAILFLAGS", &settings.sendmail_flags)?;
            self.set_value(b"LOCKEXT", &settings.lock_extension)?;
            self.set_value(b"MSGPREFIX", &settings.message_prefix)?;
            self.set_value(b"PROCMAIL_VERSION", b"3.23pre")?;
        }
        if config.quiet {
            self.settings.take(b"COMSAT", Some(b"no"));
            if !config.preserve {
                self.set_value(b"COMSAT", b"no")?;
            }
        }
        for name in [b"IFS".as_slice(), b"ENV", b"PWD", b"MAILDIR"] {
            self.remove_value(name);
        }
        for assignment in &config.assignments {
            self.assign_from_command_line(assignment).await?;
        }
        Ok(())
    }

    pub(super) fn default_path(&self) -> Vec<u8> {
        let directories = b"/bin:/usr/local/bin:/usr/bin:/bin".as_slice();
        [&self.config.home, directories].concat()
    }

    /// `NAME=value` as an argument: expanded like a line, the words put together with one blank.
    async fn assign_from_command_line(&mut self, text: &[u8]) -> Result<(), Error> {
        let Some(equals) = text.iter().position(|byte| *byte == b'=') else {
            return Ok(());
        };
        let (name, value) = text.split_at(equals);
        let mut source = super::Source::line_text(value.get(1..).unwrap_or(&[]));
        let words = self.expand(&mut source, Mode::Line, equals + 1).await?;
        if self.take_overflow() {
            return Ok(());
        }
        let value = words.joined(b' ');
        if !matches!(name, b"INCLUDERC" | b"SWITCHRC") {
            self.assign(name, Some(&value)).await?;
        } else {
            self.set_value(name, &value)?;
        }
        Ok(())
    }

    fn source(&mut self) -> Option<&mut super::Source> {
        self.frames.last_mut().map(|frame| &mut frame.source)
    }

    /// A copy of the position in the current rcfile; [`resume`](Self::resume) moves it on.
    pub(super) fn current(&self) -> Option<super::Source> {
        self.frames.last().map(|frame| frame.source.clone())
    }

    pub(super) fn resume(&mut self, source: &super::Source) {
        if let Some(current) = self.source() {
            current.rewind(source.position());
        }
    }

    /// Reads and executes one statement.
    pub(super) async fn statement(&mut self) -> Result<(), Error> {
        self.port.count_statement()?;
        if self.source().is_some_and(|source| source.peek().is_none()) {
            return self.end_of_file();
        }
        // That of the recipe before.
        self.release_local_lock().await?;
        let Some(source) = self.source() else {
            return Ok(());
        };
        source.take_while(is_space);
        match source.peek() {
            None => self.end_of_file(),
            Some(b'#') => {
                source.rest_of_line();
                Ok(())
            }
            Some(b':') => {
                source.next();
                self.recipe().await
            }
            Some(b'}') => {
                source.next();
                let end = source.position();
                self.note(end - 1..end, Fact::BlockEnd).await?;
                self.close_brace()
            }
            Some(byte) if is_name_start(byte) => self.assignment().await,
            Some(_) => {
                let rest = source.rest_of_line();
                self.skipped(&rest)
            }
        }
    }

    fn end_of_file(&mut self) -> Result<(), Error> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        self.skipping = 0;
        if self.braces.len() > frame.braces {
            self.braces.truncate(frame.braces);
            self.log_line(&[b"Missing closing brace"])?;
        }
        Ok(())
    }

    fn close_brace(&mut self) -> Result<(), Error> {
        if self.skipping > 0 {
            self.skipping -= 1;
            return Ok(());
        }
        let base = self.frames.last().map_or(0, |frame| frame.braces);
        if self.braces.len() <= base {
            return self.log_line(&[b"Closing brace unexpected"]);
        }
        if let Some((previous, last)) = self.braces.pop() {
            self.previous_condition = previous;
            self.last_condition = last;
        }
        Ok(())
    }

    /// `NAME`, `NAME = value`
    async fn assignment(&mut self) -> Result<(), Error> {
        let Some(mut source) = self.current() else {
            return Ok(());
        };
        let start = source.position();
        let name = source.take_while(is_name).to_vec();
        let named = start..source.position();
        if name.len() + 2 > self.settings.linebuf {
            self.exceeded()?;
            self.overflow = false;
            self.abandon_file();
            return Ok(());
        }
        let follows = source.peek();
        if !follows.is_some_and(|byte| byte == b'=' || is_space(byte)) {
            self.resume(&source);
            return self.skipped(&name);
        }
        source.take_while(is_blank);
        if !source.accept(b'=') {
            self.resume(&source);
            if self.skipping > 0 {
                return self.note(named, Fact::NotAssigned).await;
            }
            let fact = Fact::Assigned {
                name: name.clone(),
                value: None,
            };
            self.note(named, fact).await?;
            return self.assign(&name, None).await;
        }
        source.skip_blanks();
        let words = self
            .expand(&mut source, Mode::Single, name.len() + 1)
            .await?;
        self.resume(&source);
        let span = start..source.position();
        if self.take_overflow() || self.skipping > 0 {
            return self.note(span, Fact::NotAssigned).await;
        }
        let value = words.joined(b' ');
        let fact = Fact::Assigned {
            name: name.clone(),
            value: Some(value.clone()),
        };
        self.note(span, fact).await?;
        self.assign(&name, Some(&value)).await
    }

    /// Assigns or removes, with the trace.
    pub(super) async fn assign(&mut self, name: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
        match value {
            Some(value) => {
                self.trace_line(&[b"Assigning \"", name, b"=", value, b"\""])?;
                self.set_value(name, value)?;
            }
            None => {
                self.trace_quoted(b"Assigning", name)?;
                self.remove_value(name);
            }
        }
        self.take_effect(name, value).await
    }

    /// What the special variables do when they are assigned.
    pub(super) async fn take_effect(
        &mut self,
        name: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Error> {
        let text = value.unwrap_or(&[]);
        self.settings.take(name, value);
        match name {
            b"MAILDIR" => self.change_directory(text).await,
            b"LOGFILE" => self.open_log(text).await,
            b"LOG" => self.log_raw(text),
            b"LOCKFILE" => self.global_lock(text).await,
            b"INCLUDERC" => self.include(text).await,
            b"SWITCHRC" => self.switch(text).await,
            b"LASTFOLDER" => {
                text.clone_into(&mut self.last_folder);
                Ok(())
            }
            b"HOST" => self.check_host(text),
            b"SHIFT" => {
                let count = usize::try_from(number::setting(text, 0)).unwrap_or(0);
                self.arguments.drain(..count.min(self.arguments.len()));
                Ok(())
            }
            b"COMSAT" if !text.contains(&b'@') && number::setting(text, -1) == 0 => {
                self.trace_line(&[b"Assigning \"COMSAT=no\""])?;
                self.set_value(b"COMSAT", b"no")
            }
            b"UMASK" if !text.is_empty() => {
                // An empty UMASK would be 000: every mailbox open to everybody. The old one stays.
                let (mask, used) = number::integer(text, 8);
                if used > 0 {
                    let mask = u32::try_from(mask & 0o777).unwrap_or(0o077);
                    self.ask(Effect::Umask(mask)).await?;
                }
                Ok(())
            }
            b"DELIVERED" => {
                if number::setting(text, 0) != 0 && !self.detached {
                    self.detached = true;
                    self.ask(Effect::Detach).await?;
                }
                Ok(())
            }
            b"DROPPRIVS" => {
                if number::setting(text, 0) != 0 {
                    self.trace_line(&[b"Assuming identity of the recipient, VERBOSE=off"])?;
                    self.settings.verbose = 0;
                    self.privileges_dropped = true;
                    self.ask(Effect::DropPrivileges).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn change_directory(&mut self, path: &[u8]) -> Result<(), Error> {
        let effect = Effect::ChangeDirectory {
            path: path.to_vec(),
        };
        if !path.is_empty() && self.ask(effect).await? == Reply::Done {
            return Ok(());
        }
        self.log_quoted(b"Couldn't chdir to", path)?;
        self.trace_line(&[b"Assigning \"MAILDIR=.\""])?;
        self.set_value(b"MAILDIR", b".")
    }

    async fn open_log(&mut self, path: &[u8]) -> Result<(), Error> {
        let target = if path.is_empty() {
            b"/dev/null".as_slice()
        } else {
            path
        };
        self.trace_quoted(b"Opening", target)?;
        let path = target.to_vec();
        if self.ask(Effect::OpenLog { path }).await? == Reply::Failed {
            return self.log_quoted(b"Error while writing to", target);
        }
        self.logging = true;
        Ok(())
    }

    fn check_host(&mut self, name: &[u8]) -> Result<(), Error> {
        let host = self.config.host.clone();
        if name == host {
            return Ok(());
        }
        self.trace_quoted(b"HOST mismatched", &host)?;
        self.progress = Progress::HostMismatch;
        Ok(())
    }

    /// Reads the named file; the flag tells that it could not be read, which is logged.
    async fn fetch(&mut self, path: &[u8]) -> Result<(Option<Arc<[u8]>>, bool), Error> {
        if path.is_empty() || path == b"/dev/null" {
            return Ok((None, false));
        }
        match self.read_rc(path).await? {
            Some(text) if text.is_empty() => Ok((None, false)),
            Some(text) => Ok((Some(text), false)),
            None => {
                self.log_quoted(b"Couldn't read", path)?;
                Ok((None, true))
            }
        }
    }

    async fn include(&mut self, path: &[u8]) -> Result<(), Error> {
        if let (Some(text), _) = self.fetch(path).await? {
            self.push_frame(path.to_vec(), text)?;
        }
        Ok(())
    }

    async fn switch(&mut self, path: &[u8]) -> Result<(), Error> {
        let (text, failed) = self.fetch(path).await?;
        if failed {
            return Ok(());
        }
        if let Some(frame) = self.frames.pop() {
            self.braces.truncate(frame.braces);
        }
        if let Some(text) = text {
            self.push_frame(path.to_vec(), text)?;
        }
        Ok(())
    }
}
