//! Programs that rules call; those that only forward are none.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use procmail_rules::{Output, Purpose, Ran, Run, Status};

use super::log::LogTo;
use super::{Plan, program};
use crate::delivery::local::{Content, FILTER_LIMIT};
use crate::delivery::sieve::GENERATIONS;
use crate::procmail::process::{self, Manner};
use crate::queue::{Born, BornContent, Recipient};

impl Plan<'_> {
    pub(super) async fn run_program(&mut self, mut run: Run) -> Ran {
        if run.purpose == Purpose::Forward {
            let domain = match self.job.address().rsplit_once('@') {
                Some((_, domain)) => domain.to_owned(),
                None => self.filter.config.hostname.clone(),
            };
            if let Some(forward) = program::forward(&run.command, &domain) {
                return self.forward(forward, &run.input);
            }
        }
        let config = &self.filter.config.procmail;
        let Some(command) = program::allowed(&run.command, &config.programs) else {
            self.complain("a program is not allowed", &program::show(&run.command));
            return Ran::refused();
        };
        let limit = config.time_limit;
        run.command = command;
        run.timeout = Some(run.timeout.map_or(limit, |own| own.min(limit)));
        let most = usize::try_from(FILTER_LIMIT).unwrap_or(usize::MAX);
        if let Output::Capture(octets) = run.output {
            run.output = Output::Capture(octets.min(most));
        }
        // A server has to see the end of whatever it starts.
        let waited = std::mem::replace(&mut run.wait, true);
        let abandoned = Arc::new(AtomicBool::new(false));
        let _guard = Abandon(Arc::clone(&abandoned));
        let manner = Manner::Server {
            output: most,
            abandoned,
        };
        let log = match &self.place.log {
            LogTo::File(file) => Some(Arc::clone(file)),
            _ => None,
        };
        let place = (self.place.directory.clone(), self.rc.home.clone());
        let ran = move || {
            let (directory, home) = place;
            let directory = if directory.is_dir() { directory } else { home };
            let log = match log {
                Some(log) => log.try_clone(),
                None => File::options().write(true).open("/dev/null"),
            };
            process::run(&run, &directory, log.ok().as_ref(), manner)
        };
        let mut ran = self.filter.programs.run(ran).await.unwrap_or(Ran {
            status: Status::NotStarted,
            output: Vec::new(),
            input_written: false,
        });
        if !waited && matches!(ran.status, Status::Exited(_) | Status::Signalled(_)) {
            ran.status = Status::Exited(0);
        }
        ran
    }

    /// Puts a message into the queue, unless it went this way before.
    fn forward(&mut self, to: program::Forward, input: &[u8]) -> Ran {
        let address = self.job.address();
        let looped = mime::Headers::new(&self.message)
            .find_all("Delivered-To")
            .any(|field| field.text().trim().eq_ignore_ascii_case(address));
        let shown = to.recipients.join(" ");
        if looped || self.job.envelope.generation >= GENERATIONS {
            self.complain("forwarding would loop", &shown);
            return Ran::refused();
        }
        let prefix = Bytes::from(format!("Delivered-To: {address}\r\n"));
        // An empty line was added at the end, if there was none.
        let own = input.strip_suffix(b"\n").filter(|own| *own == self.whole);
        let behind = |octets: &[u8]| BornContent::Whole([&prefix, octets].concat().into());
        let content = match self.content(own.unwrap_or(input)) {
            Content::Original => BornContent::Parent { prefix },
            Content::Edited(edited) => behind(&edited),
            Content::Bare(octets) => BornContent::Whole(octets),
        };
        let mut envelope = self.job.envelope.clone();
        let recipients = to.recipients.into_iter();
        envelope.recipients = match to.sender {
            // RFC 3461 §5.2.7.1: a new sender has asked for nothing.
            Some(sender) => {
                envelope.sender = sender;
                envelope.ret = None;
                envelope.envelope_id = None;
                recipients.map(Recipient::new).collect()
            }
            None => {
                let from = self.job.recipient;
                recipients.map(|to| from.forwarded(to)).collect()
            }
        };
        envelope.attempts = 0;
        envelope.next_attempt = None;
        envelope.maybe_delivered = false;
        envelope.generation += 1;
        self.born.push(Born { envelope, content });
        self.done.push(format!("forward {shown}"));
        Ran::exited(0, Vec::new())
    }
}

/// Tells a program's thread that nobody waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
