//! The end of a run: last resorts, log abstract, TRAP, exit code.

use std::sync::Arc;

use super::folder::How;
use super::{Machine, Progress};
use crate::effect::{Effect, End, Outcome, Output, Purpose, Reply};
use crate::error::Error;
use crate::format::{self, Part};
use crate::variable::ExitCode;

/// The mail could not be delivered: it bounces, or is tried again.
const BOUNCED: u8 = 73;
const REQUEUED: u8 = 75;

impl Machine {
    /// Delivers to DEFAULT or ORGMAIL if nothing else did, and winds up.
    pub(super) async fn finish(&mut self) -> Result<Outcome, Error> {
        if self.progress == Progress::Running {
            self.last_resort().await?;
        }
        self.release_local_lock().await?;
        let failed = if self.config.requeue {
            REQUEUED
        } else {
            BOUNCED
        };
        let (end, pending) = match self.progress {
            Progress::Delivered => (End::Delivered, 0),
            Progress::HostMismatch => (End::HostMismatch, 0),
            Progress::Running => (End::Undelivered, failed),
        };
        if end != End::HostMismatch && self.settings.notify {
            self.notify(end).await?;
        }
        self.final_abstract(end)?;
        let pending = if self.detached { 0 } else { pending };
        let exit = self.trap(pending).await?;
        self.release_global_lock().await?;
        self.flush().await?;
        Ok(Outcome {
            exit,
            end,
            last_folder: self.last_folder.clone(),
            environment: Arc::clone(&self.environment),
        })
    }

    async fn last_resort(&mut self) -> Result<(), Error> {
        self.joined = false;
        let default = self.settings.default.clone();
        let mut delivered = false;
        if !default.is_empty() {
            delivered = self.deliver_last(&default, true).await?;
        }
        let orgmail = self.settings.orgmail.clone();
        if !delivered && !orgmail.is_empty() && orgmail != default {
            delivered = self.deliver_last(&orgmail, false).await?;
        }
        if delivered {
            self.progress = Progress::Delivered;
        }
        Ok(())
    }

    async fn deliver_last(&mut self, name: &[u8], lock: bool) -> Result<bool, Error> {
        if name.starts_with(b"|") {
            return self.print(name, Part::Whole, false).await;
        }
        let how = How {
            part: Part::Whole,
            raw: false,
            partial: false,
            lock,
            exact: true,
        };
        let name = name.to_vec();
        self.deliver(std::slice::from_ref(&name), how).await
    }

    /// Locks DEFAULT, unless that is done already.
    pub(super) async fn take_last_lock(&mut self, folder: &[u8]) -> Result<(), Error> {
        match self.folder_lock(folder)? {
            Some(lock)
                if self.global_lock.as_ref() != Some(&lock)
                    && self.local_lock.as_ref() != Some(&lock) =>
            {
                // That of the last recipe.
                self.release_local_lock().await?;
                self.take_local_lock(&lock).await
            }
            _ => Ok(()),
        }
    }

    /// The abstract of a delivery.
    pub(super) fn log_abstract(&mut self) -> Result<(), Error> {
        let folder = self.last_folder.clone();
        self.write_abstract(&folder, self.last_size)
    }

    fn write_abstract(&mut self, folder: &[u8], size: usize) -> Result<(), Error> {
        let message = Arc::clone(&self.message);
        let header = if self.joined {
            message.header_area().text()
        } else {
            message.header()
        };
        self.log_raw(&format::abstract_lines(header, header.len(), folder, size))
    }

    fn final_abstract(&mut self, end: End) -> Result<(), Error> {
        let wanted = match self.settings.log_abstract {
            0 => false,
            value if value > 0 => true,
            _ => self.logging || self.is_verbose(),
        };
        if !wanted {
            return Ok(());
        }
        match end {
            End::Delivered | End::HostMismatch => self.log_abstract(),
            End::Undelivered => self.write_abstract(self.fate(), self.last_size),
        }
    }

    /// What is told as the folder of a message that was not delivered.
    fn fate(&self) -> &'static [u8] {
        match (self.detached, self.config.requeue) {
            (true, _) => b"**Lost**",
            (_, true) => b"**Requeued**",
            _ => b"**Bounced**",
        }
    }

    /// Tells the mail notifier.
    async fn notify(&mut self, end: End) -> Result<(), Error> {
        let file = self.last_file.clone().filter(|_| end == End::Delivered);
        let grown = file.as_ref().map(|_| self.last_size);
        let told = file.unwrap_or_else(|| self.last_folder.clone());
        let folder = if end == End::Undelivered {
            self.fate().to_vec()
        } else if told.starts_with(b"/") {
            told
        } else {
            let maildir = self.value(b"MAILDIR").unwrap_or(&[]);
            [maildir, b"/", &told].concat()
        };
        let notify = Effect::Notify {
            service: self.settings.comsat.clone(),
            folder,
            grown,
        };
        match self.ask(notify).await? {
            Reply::Notified { text } => self.trace_quoted(b"Notified comsat:", &text),
            Reply::Failed => {
                self.trace_line(&[b"Assigning \"COMSAT=no\""])?;
                self.set_value(b"COMSAT", b"no")
            }
            _ => Ok(()),
        }
    }

    /// Runs TRAP and works out the exit code.
    async fn trap(&mut self, pending: u8) -> Result<u8, Error> {
        let trap = self.settings.trap.clone();
        let before = self.settings.exit_code;
        let mut exit = match before {
            ExitCode::Fixed(code) if code >= 0 => low_octet(code),
            _ => pending,
        };
        if trap.is_empty() {
            return Ok(exit);
        }
        if before == ExitCode::Unset {
            let code = pending.to_string().into_bytes();
            self.trace_line(&[b"Assigning \"EXITCODE=", &code, b"\""])?;
            self.set_value(b"EXITCODE", &code)?;
        }
        if let Some(program) = self.command(&trap).await? {
            let mut input = self.message.text().to_vec();
            format::terminate(&mut input);
            let ran = self
                .run_program(&program, Purpose::Trap, input, Output::Log, true)
                .await?;
            let code = super::program::exit_status(ran.status);
            if before == ExitCode::Open && code != 0 {
                exit = low_octet(i64::from(code));
            }
        }
        Ok(exit)
    }
}

/// Exit codes are octets.
fn low_octet(code: i64) -> u8 {
    u8::try_from(code & 0xff).unwrap_or(0)
}
