//! The log, in procmail's layout.

use super::Machine;
use crate::effect::{Effect, Log};
use crate::error::Error;

const PREFIX: &[u8] = b"procmail: ";

impl Machine {
    pub(super) fn is_verbose(&self) -> bool {
        self.settings.verbose != 0
    }

    /// Appends text as it is.
    pub(super) fn log_raw(&mut self, text: &[u8]) -> Result<(), Error> {
        self.port.count_log(text.len())?;
        self.log.extend_from_slice(text);
        Ok(())
    }

    /// Appends a line with procmail's name before it.
    pub(super) fn log_line(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        if self.log.is_empty() {
            self.log_stamped = self.is_verbose();
        }
        self.port
            .count_log(PREFIX.len() + 1 + parts.iter().map(|part| part.len()).sum::<usize>())?;
        self.log.extend_from_slice(PREFIX);
        for part in parts {
            self.log.extend_from_slice(part);
        }
        self.log.push(b'\n');
        Ok(())
    }

    /// `procmail: WHAT "value"`
    pub(super) fn log_quoted(&mut self, what: &[u8], value: &[u8]) -> Result<(), Error> {
        self.log_line(&[what, b" \"", value, b"\""])
    }

    /// The same, only in VERBOSE.
    pub(super) fn trace_quoted(&mut self, what: &[u8], value: &[u8]) -> Result<(), Error> {
        if self.is_verbose() {
            self.log_quoted(what, value)
        } else {
            Ok(())
        }
    }

    pub(super) fn trace_line(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        if self.is_verbose() {
            self.log_line(parts)
        } else {
            Ok(())
        }
    }

    /// Text that could not be understood.
    pub(super) fn skipped(&mut self, text: &[u8]) -> Result<(), Error> {
        if text.is_empty() {
            Ok(())
        } else {
            self.log_quoted(b"Skipped", text)
        }
    }

    /// Hands the log to the host.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        if self.log.is_empty() {
            return Ok(());
        }
        let log = Log {
            text: std::mem::take(&mut self.log),
            stamped: std::mem::take(&mut self.log_stamped),
        };
        self.port.ask(Effect::Log(log))?.await?;
        Ok(())
    }
}
