//! Where a run's log goes, and what the server itself complains of.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use procmail_rules::Log;
use rustix::fs::OFlags;

use super::Plan;
use crate::blocking::in_place;

/// Complaints about one rcfile that are logged.
const COMPLAINTS: usize = 20;

/// Where a run's log goes.
#[derive(Debug, Clone)]
pub(super) enum LogTo {
    /// To the server's own, where it complains or where that is wanted.
    Server,
    Nowhere,
    File(Arc<File>),
}

impl Plan<'_> {
    pub(super) fn complain(&mut self, what: &str, of: &str) {
        if self.complaints < COMPLAINTS {
            self.complaints += 1;
            let (id, user) = (self.job.id, self.job.user);
            tracing::warn!(queue_id = %id, user, what = of, "procmailrc: {what}");
        }
    }

    pub(super) fn open_log(&self, name: &[u8]) -> Option<LogTo> {
        if name == b"/dev/null" {
            return Some(LogTo::Nowhere);
        }
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        let path = self.at(name);
        let file = in_place(|| self.rc.open(&path, flags)).ok()?;
        Some(LogTo::File(Arc::new(file)))
    }

    /// A log that cannot be written to must not stop the delivery.
    pub(super) fn write_log(&mut self, log: &Log) {
        match &self.place.log {
            LogTo::Nowhere => {}
            LogTo::File(file) => {
                let mut file = file.as_ref();
                let _ = in_place(|| file.write_all(&log.text));
            }
            LogTo::Server => {
                for line in String::from_utf8_lossy(&log.text).lines() {
                    match line.strip_prefix("procmail: ") {
                        // Without a trace, only what went wrong is said.
                        Some(fault) if !log.stamped => self.complain(fault, ".procmailrc"),
                        _ => tracing::debug!(queue_id = %self.job.id, user = self.job.user, line),
                    }
                }
            }
        }
    }
}
