//! From the queue to mailboxes and other hosts.
//!
//! One task a message: local recipients first, then each remote destination,
//! then one atomic record of what came of it. Everything before that record
//! may happen again after a crash, so all of it is repeatable.

mod bounce;
mod command;
mod local;
mod logins;
mod procmail;
mod remote;
mod sieve;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mime::build::Action;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::queue::{
    Born, BornContent, Claimed, Envelope, OriginalRecipient, Owed, Queue, QueueError, QueueId,
    Recipient, Status, Success, backoff,
};
use crate::route::{NextHop, Route, Router};

use bounce::{About, Tidings};
use command::CommandAgent;
use local::Job;
pub use local::{LocalAgent, LocalConfig};
pub use logins::{Logins, LoginsError};
pub use procmail::ProcmailConfig;
pub use remote::{RemoteAgent, RemoteConfig};
pub use sieve::SieveConfig;

/// Octets of messages born of a delivery that wait in memory to be written
/// down: a thousand recipients may each send on an edited copy.
const BORN_LIMIT: usize = 1 << 20;

/// Recipients that are sorted before others have their turn.
const TURN: usize = 64;

/// How the queue is worked off.
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// This host's name, in bounces.
    pub hostname: String,
    /// Messages being delivered at once.
    pub active_messages: usize,
    /// Local deliveries at once.
    pub local_concurrency: usize,
    /// How long a program may run that takes a message.
    pub command_time_limit: Duration,
    /// The first wait after a failure.
    pub minimal_backoff: Duration,
    /// The longest wait between two attempts.
    pub maximal_backoff: Duration,
    /// After this long a deferred message is given up.
    pub maximal_queue_lifetime: Duration,
    /// The same for bounces.
    pub bounce_queue_lifetime: Duration,
    /// After this long the sender is told that a message is late; never, if
    /// zero.
    pub delay_warning: Duration,
}

/// What came of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Delivered; `to` says where.
    Delivered {
        /// The mailbox or the program that has it now.
        to: String,
    },
    /// Handed on to another host.
    Relayed {
        /// What it said.
        said: Failure,
        /// Whether it tells the sender from here on (RFC 3461 §5.2.1).
        tells: bool,
    },
    /// Not now.
    Deferred(Failure),
    /// Never.
    Failed(Failure),
}

/// What is said of a recipient: mostly, why it was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Enhanced status code (RFC 3463).
    pub code: String,
    /// In one line, for people.
    pub reason: String,
    /// The host that said so (RFC 3464 §2.3.5), if any.
    pub remote: Option<String>,
    /// Its reply, as it came.
    pub reply: Option<String>,
}

impl Failure {
    /// A failure that this host itself found.
    pub fn new(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            reason: reason.into(),
            remote: None,
            reply: None,
        }
    }
}

/// Works the queue off.
pub struct DeliveryAgent {
    config: DeliveryConfig,
    queue: Arc<dyn Queue>,
    router: Arc<Router>,
    local: LocalAgent,
    commands: CommandAgent,
    remote: RemoteAgent,
    local_places: Semaphore,
}

/// Where on this host a recipient's mail goes.
enum Place {
    /// An account.
    User(String),
    /// A program's standard input.
    Command(String),
}

/// A message on its way through one attempt.
struct Attempt {
    id: QueueId,
    envelope: Envelope,
    size: u64,
    born: Vec<Born>,
    /// What the sender is still to be told of failures, and of successes.
    failed: Vec<Tidings>,
    succeeded: Vec<Tidings>,
    started: SystemTime,
}

impl DeliveryAgent {
    /// Puts the agent together.
    #[must_use]
    pub fn new(
        config: DeliveryConfig,
        queue: Arc<dyn Queue>,
        router: Arc<Router>,
        local: LocalAgent,
        remote: RemoteAgent,
    ) -> Self {
        Self {
            local_places: Semaphore::new(config.local_concurrency.max(1)),
            commands: CommandAgent::new(config.command_time_limit),
            config,
            queue,
            router,
            local,
            remote,
        }
    }

    /// Works until `stop` turns true, then lets the running attempts end.
    ///
    /// What has not ended after `grace` is dropped: the spool still has it.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>, grace: Duration) {
        let places = Arc::new(Semaphore::new(self.config.active_messages.max(1)));
        let mut attempts = JoinSet::new();
        loop {
            while attempts.try_join_next().is_some() {}
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((place, self.queue.claim().await))
            };
            let claimed = tokio::select! {
                next = next => next,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match claimed {
                Some((place, Ok(claimed))) => {
                    let agent = Arc::clone(&self);
                    attempts.spawn(async move {
                        agent.attempt(claimed).await;
                        drop(place);
                    });
                }
                Some((_, Err(error))) => {
                    tracing::error!(%error, "the queue gives no messages");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                None => break,
            }
        }
        let all_ended = async { while attempts.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            attempts.shutdown().await;
        }
    }

    async fn attempt(&self, claimed: Claimed) {
        let mut attempt = Attempt {
            id: claimed.id,
            envelope: claimed.envelope,
            size: claimed.size,
            born: Vec::new(),
            failed: Vec::new(),
            succeeded: Vec::new(),
            started: SystemTime::now(),
        };
        // A recipient that was deferred may have its copy in one of several
        // mailboxes already.
        attempt.envelope.maybe_delivered |= attempt.envelope.attempts > 0;
        attempt.envelope.attempts += 1;
        attempt.recall();
        let (local, remote) = self.sort(&mut attempt).await;
        let had_local = !local.is_empty();
        for (index, place) in local {
            let outcome = self.deliver_here(&mut attempt, index, &place).await;
            attempt.settle(index, outcome);
            if attempt.born_octets() > BORN_LIMIT {
                self.write_down(&mut attempt).await;
            }
        }
        if had_local && !remote.is_empty() {
            // Other hosts can take hours.
            self.write_down(&mut attempt).await;
        }
        let sent = remote.into_iter().map(|(destination, indices)| {
            let recipients: Vec<(usize, Recipient)> = indices
                .iter()
                .filter_map(|index| {
                    let recipient = attempt.envelope.recipients.get(*index)?;
                    Some((*index, recipient.clone()))
                })
                .collect();
            let (id, envelope, size) = (&attempt.id, &attempt.envelope, attempt.size);
            async move {
                let queue = &*self.queue;
                self.remote
                    .send(queue, id, envelope, size, &destination, recipients)
                    .await
            }
        });
        let outcomes = join_all(sent).await;
        for (index, outcome) in outcomes.into_iter().flatten() {
            attempt.settle(index, outcome);
        }
        self.conclude(attempt).await;
    }

    /// Records what was done so far. Recipients that are given up are told
    /// of in the same step: after a crash nobody would know of them.
    async fn write_down(&self, attempt: &mut Attempt) {
        if !self.tell_sender(attempt).await {
            return;
        }
        let born = std::mem::take(&mut attempt.born);
        let recorded = self
            .queue
            .record(&attempt.id, attempt.envelope.clone(), born.clone())
            .await;
        match recorded {
            Ok(ids) => log_born(&attempt.id, &ids),
            Err(error) => {
                tracing::error!(queue_id = %attempt.id, %error, "cannot record deliveries");
                attempt.born = born;
            }
        }
    }

    /// Expands aliases and sorts the open recipients by where they live.
    async fn sort(
        &self,
        attempt: &mut Attempt,
    ) -> (Vec<(usize, Place)>, Vec<(NextHop, Vec<usize>)>) {
        let mut local = Vec::new();
        let mut remote: Vec<(NextHop, Vec<usize>)> = Vec::new();
        let mut places: HashMap<NextHop, usize> = HashMap::new();
        let recipients = attempt.envelope.recipients.iter();
        let mut known: HashSet<String> = recipients.map(|own| own.address.clone()).collect();
        let mut index = 0;
        // Grows while aliases add recipients; each address is added once, so
        // a loop of aliases ends.
        while let Some(recipient) = attempt.envelope.recipients.get(index) {
            if recipient.status.is_open() {
                match self.router.route(&recipient.address) {
                    Route::Local { user, .. } => local.push((index, Place::User(user))),
                    Route::Command { command } => {
                        local.push((index, Place::Command(command)));
                    }
                    Route::Relay { destination } => {
                        let place = *places.entry(destination.clone()).or_insert(remote.len());
                        match remote.get_mut(place) {
                            Some((_, indices)) => indices.push(index),
                            None => remote.push((destination, vec![index])),
                        }
                    }
                    Route::Alias { targets } => attempt.expand(index, targets, &mut known),
                    Route::Reject(refusal) => {
                        let failure = Failure::new(refusal.enhanced, refusal.text);
                        attempt.settle(index, Outcome::Failed(failure));
                    }
                    Route::File { .. } => {
                        let reason = "delivery to files is not available";
                        let failure = Failure::new("5.3.3", reason);
                        attempt.settle(index, Outcome::Failed(failure));
                    }
                    Route::TryAgain { reason } => {
                        let failure = Failure::new("4.3.0", reason);
                        attempt.settle(index, Outcome::Deferred(failure));
                    }
                }
            }
            index += 1;
            if index % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        (local, remote)
    }

    async fn deliver_here(&self, attempt: &mut Attempt, index: usize, to: &Place) -> Outcome {
        let Ok(_place) = self.local_places.acquire().await else {
            return Outcome::Deferred(Failure::new("4.3.2", "the server is stopping"));
        };
        let Some(recipient) = attempt.envelope.recipients.get(index) else {
            return Outcome::Deferred(Failure::new("4.3.0", "no such recipient"));
        };
        let job = Job {
            queue: &*self.queue,
            id: &attempt.id,
            envelope: &attempt.envelope,
            size: attempt.size,
            recipient,
            user: match to {
                Place::User(user) => user,
                Place::Command(_) => "",
            },
        };
        let delivered = match to {
            Place::User(_) => self.local.deliver(&job).await,
            Place::Command(command) => return self.commands.deliver(&job, command).await,
        };
        attempt.born.extend(delivered.born);
        delivered.outcome
    }

    async fn conclude(&self, mut attempt: Attempt) {
        let now = SystemTime::now();
        let age = age(&attempt.envelope);
        let lifetime = self.lifetime(&attempt.envelope);
        if age >= lifetime {
            attempt.expire();
        }
        if !self.tell_sender(&mut attempt).await {
            // The sender must hear of it: of failures by failing again, of
            // what cannot be done again by remembering it.
            for failed in std::mem::take(&mut attempt.failed) {
                attempt.set(failed.index, deferred(failed.said));
            }
            attempt.owe();
        }
        self.tell_of_delay(&mut attempt, age, lifetime).await;
        let id = attempt.id.clone();
        let still_open = attempt
            .envelope
            .recipients
            .iter()
            .any(|recipient| recipient.status.is_open() || recipient.owed.is_some());
        let born = std::mem::take(&mut attempt.born);
        let recorded = if still_open {
            let wait = backoff(
                attempt.envelope.attempts,
                self.config.minimal_backoff,
                self.config.maximal_backoff,
            );
            attempt.envelope.next_attempt = Some(now + wait);
            self.queue.defer(&id, attempt.envelope, born).await
        } else {
            self.queue.finish(&id, born).await
        };
        match recorded {
            Ok(ids) => {
                log_born(&id, &ids);
                if !still_open {
                    tracing::info!(queue_id = %id, "removed");
                }
            }
            // The lease is kept until a restart rather than delivering twice.
            Err(error) => tracing::error!(queue_id = %id, %error, "cannot record the attempt"),
        }
    }

    fn lifetime(&self, envelope: &Envelope) -> Duration {
        if envelope.sender.is_empty() {
            self.config.bounce_queue_lifetime
        } else {
            self.config.maximal_queue_lifetime
        }
    }

    /// Puts reports of what has failed and succeeded to what is born; false
    /// when that cannot be done now.
    async fn tell_sender(&self, attempt: &mut Attempt) -> bool {
        let reports = [
            (About::Failures, attempt.failed.clone()),
            (About::Successes, attempt.succeeded.clone()),
        ];
        let mut born = Vec::new();
        for (about, tidings) in reports {
            match self.report(attempt, about, &tidings).await {
                Ok(report) => born.extend(report),
                Err(reason) => {
                    tracing::error!(queue_id = %attempt.id, reason, "cannot write a report");
                    return false;
                }
            }
        }
        attempt.born.extend(born);
        attempt.failed.clear();
        attempt.succeeded.clear();
        true
    }

    /// Tells the sender, once, of recipients that are not reached for long
    /// (RFC 3461 §5.2.5).
    async fn tell_of_delay(&self, attempt: &mut Attempt, age: Duration, lifetime: Duration) {
        let warning = self.config.delay_warning;
        if warning.is_zero() || age < warning {
            return;
        }
        let late: Vec<Tidings> = attempt
            .envelope
            .recipients
            .iter()
            .enumerate()
            .filter_map(|(index, recipient)| match &recipient.status {
                Status::Deferred { code, reason }
                    if recipient.tells_delay() && !recipient.delay_told =>
                {
                    let said = Failure::new(code.clone(), reason.clone());
                    Some(Tidings {
                        index,
                        action: Action::Delayed,
                        said,
                    })
                }
                _ => None,
            })
            .collect();
        let about = About::Delays(attempt.envelope.arrived + lifetime);
        match self.report(attempt, about, &late).await {
            Ok(report) => {
                attempt.born.extend(report);
                for Tidings { index, .. } in late {
                    if let Some(recipient) = attempt.envelope.recipients.get_mut(index) {
                        recipient.delay_told = true;
                    }
                }
            }
            // Not owed; the next attempt tries again.
            Err(reason) => {
                tracing::error!(queue_id = %attempt.id, reason, "cannot write a report");
            }
        }
    }

    /// A report, if there is anything to tell and anybody to be told.
    async fn report(
        &self,
        attempt: &Attempt,
        about: About,
        tidings: &[Tidings],
    ) -> Result<Option<Born>, String> {
        if tidings.is_empty() || attempt.envelope.sender.is_empty() {
            return Ok(None);
        }
        let read = async {
            let mut content = self.queue.content(&attempt.id).await?;
            let size = content.size();
            let first = content.next().await;
            let first = first.map_err(|error| QueueError::Storage(error.to_string()))?;
            Ok::<_, QueueError>((first.unwrap_or_default(), size))
        };
        let (id, envelope) = (&attempt.id, &attempt.envelope);
        let content = match read.await {
            Ok(content) => Some(content),
            // There is no more time to wait until it can be read.
            Err(error) if age(envelope) >= self.lifetime(envelope) => {
                tracing::error!(queue_id = %id, %error, "a report goes without the message");
                None
            }
            Err(error) => return Err(error.to_string()),
        };
        let hostname = &self.config.hostname;
        let report = bounce::report(hostname, id, envelope, about, tidings, content);
        Ok(Some(report))
    }
}

impl Attempt {
    /// Replaces an alias by what it stands for.
    ///
    /// What the sender wants to be told goes along. Of an alias for several
    /// it is told that it was expanded, and of no delivery to any of them
    /// (RFC 3461 §5.2.7.3).
    fn expand(&mut self, index: usize, targets: Vec<String>, known: &mut HashSet<String>) {
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
    fn owe(&mut self) {
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
    fn recall(&mut self) {
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

    fn born_octets(&self) -> usize {
        let octets = |born: &Born| match &born.content {
            BornContent::Whole(octets) => octets.len(),
            BornContent::Parent { prefix } => prefix.len(),
        };
        self.born.iter().map(octets).sum()
    }

    fn settle(&mut self, index: usize, outcome: Outcome) {
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
    fn expire(&mut self) {
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

    fn set(&mut self, index: usize, status: Status) {
        if let Some(recipient) = self.envelope.recipients.get_mut(index) {
            recipient.status = status;
        }
    }
}

/// How long a message has been in the queue.
fn age(envelope: &Envelope) -> Duration {
    SystemTime::now()
        .duration_since(envelope.arrived)
        .unwrap_or_default()
}

fn log_born(parent: &QueueId, ids: &[QueueId]) {
    for id in ids {
        tracing::info!(queue_id = %id, parent = %parent, "queued");
    }
}

fn deferred(failure: Failure) -> Status {
    Status::Deferred {
        code: failure.code,
        reason: failure.reason,
    }
}

/// Runs futures side by side in this task; answers in their order.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut all = true;
        for (future, output) in &mut waiting {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}
