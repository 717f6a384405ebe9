//! One attempt at a message: what came of each recipient, and what is born of it.

use std::collections::HashSet;
use std::time::SystemTime;

use mime::build::Action;

use super::bounce::Tidings;
use super::{Failure, Outcome};
use crate::queue::{
    Born, BornContent, Envelope, OriginalRecipient, Owed, QueueId, Recipient, Status, Success,
};

/// A message on its way through one attempt.
pub(super) struct Attempt {
    pub(super) id: QueueId,
    pub(super) envelope: Envelope,
    pub(super) size: u64,
    pub(super) born: Vec<Born>,
    /// What the sender is still to be told of failures, and of successes.
    pub(super) failed: Vec<Tidings>,
    pub(super) succeeded: Vec<Tidings>,
    pub(super) started: SystemTime,
}

impl Attempt {
    /// Replaces an alias by what it stands for.
    ///
    /// What the sender wants to be told goes along. Of an alias for several
    /// it is told that it was expanded, and of no delivery to any of them
    /// (RFC 3461 §5.2.7.3).
    pub(super) fn expand(
        &mut self,
        index: usize,
        targets: Vec<String>,
        known: &mut HashSet<String>,
    ) {
        let Some(alias) = self.envelope.recipients.get(index).cloned() else {
            return;
        };
        self.set(index, Status::Delivered);
        let mut notify = alias.notify;
        if let (Some(notify), true) = (&mut notify, targets.len() > 1) {
            if notify.success {
                let reason = format!("sent on to {} addresses", targets.len());
                self.succeeded.push(Tidings {
                    index,
                    action: Action::Expanded,
                    said: Failure::new("2.0.0", reason),
                });
            }
            notify.success = false;
        }
        let orcpt = alias
            .orcpt
            .unwrap_or_else(|| OriginalRecipient::of(&alias.original));
        for target in targets {
            if known.insert(target.clone()) {
                let mut recipient = Recipient::new(target);
                recipient.original.clone_from(&alias.original);
                recipient.notify = notify;
                recipient.orcpt = Some(orcpt.clone());
                self.envelope.recipients.push(recipient);
            }
        }
    }

    /// Remembers what the sender was to be told and could not be.
    pub(super) fn owe(&mut self) {
        for Tidings {
            index,
            action,
            said,
        } in std::mem::take(&mut self.succeeded)
        {
            if let Some(recipient) = self.envelope.recipients.get_mut(index) {
                recipient.owed = Some(Owed {
                    success: match action {
                        Action::Expanded => Success::Expanded,
                        Action::Relayed => Success::Relayed,
                        _ => Success::Delivered,
                    },
                    code: said.code,
                    reason: said.reason,
                    remote: said.remote,
                    reply: said.reply,
                });
            }
        }
    }

    /// Takes up what [`owe`](Self::owe) remembered.
    pub(super) fn recall(&mut self) {
        for (index, recipient) in self.envelope.recipients.iter_mut().enumerate() {
            if let Some(owed) = recipient.owed.take() {
                self.succeeded.push(Tidings {
                    index,
                    action: match owed.success {
                        Success::Delivered => Action::Delivered,
                        Success::Relayed => Action::Relayed,
                        Success::Expanded => Action::Expanded,
                    },
                    said: Failure {
                        code: owed.code,
                        reason: owed.reason,
                        remote: owed.remote,
                        reply: owed.reply,
                    },
                });
            }
        }
    }

    pub(super) fn born_octets(&self) -> usize {
        let octets = |born: &Born| match &born.content {
            BornContent::Whole(octets) => octets.len(),
            BornContent::Parent { prefix } => prefix.len(),
        };
        self.born.iter().map(octets).sum()
    }

    pub(super) fn settle(&mut self, index: usize, outcome: Outcome) {
        let Some(recipient) = self.envelope.recipients.get(index) else {
            return;
        };
        let delay = SystemTime::now()
            .duration_since(self.envelope.arrived)
            .unwrap_or_default()
            .as_secs_f64();
        let active = self.started.elapsed().unwrap_or_default().as_secs_f64();
        let (status, code, detail) = match &outcome {
            Outcome::Delivered { to } => ("sent", "2.0.0", to),
            Outcome::Relayed { said, .. } => ("sent", said.code.as_str(), &said.reason),
            Outcome::Deferred(failure) => ("deferred", failure.code.as_str(), &failure.reason),
            Outcome::Failed(failure) => ("bounced", failure.code.as_str(), &failure.reason),
        };
        tracing::info!(
            queue_id = %self.id,
            from = %self.envelope.sender,
            to = %recipient.address,
            orig_to = %recipient.original,
            size = self.size,
            delay = format_args!("{delay:.3}"),
            active = format_args!("{active:.3}"),
            dsn = code,
            status,
            detail = %detail,
            "delivery"
        );
        let (tells_failure, tells_success) = (recipient.tells_failure(), recipient.tells_success());
        let tidings = |action, said| Tidings {
            index,
            action,
            said,
        };
        match outcome {
            Outcome::Delivered { to } => {
                self.set(index, Status::Delivered);
                if tells_success {
                    let said = Failure::new("2.0.0", format!("delivered to {to}"));
                    self.succeeded.push(tidings(Action::Delivered, said));
                }
            }
            Outcome::Relayed { said, tells } => {
                self.set(index, Status::Delivered);
                if tells_success && !tells {
                    self.succeeded.push(tidings(Action::Relayed, said));
                }
            }
            Outcome::Deferred(failure) => self.set(index, deferred(failure)),
            Outcome::Failed(failure) => {
                self.set(index, Status::Bounced);
                if tells_failure {
                    self.failed.push(tidings(Action::Failed, failure));
                }
            }
        }
    }

    /// Gives up what is still deferred: its time is over.
    pub(super) fn expire(&mut self) {
        let expired: Vec<(usize, Failure)> = self
            .envelope
            .recipients
            .iter()
            .enumerate()
            .filter_map(|(index, recipient)| match &recipient.status {
                Status::Deferred { reason, .. } => Some((
                    index,
                    Failure::new("5.4.7", format!("delivery time expired: {reason}")),
                )),
                _ => None,
            })
            .collect();
        for (index, failure) in expired {
            self.settle(index, Outcome::Failed(failure));
        }
    }

    pub(super) fn set(&mut self, index: usize, status: Status) {
        if let Some(recipient) = self.envelope.recipients.get_mut(index) {
            recipient.status = status;
        }
    }
}

pub(super) fn deferred(failure: Failure) -> Status {
    Status::Deferred {
        code: failure.code,
        reason: failure.reason,
    }
}
