//! From the queue to mailboxes and other hosts.
//!
//! One task a message: local recipients first, then each remote destination,
//! then one atomic record of what came of it. Everything before that record
//! may happen again after a crash, so all of it is repeatable.

mod attempt;
mod bounce;
mod command;
mod local;
mod logins;
mod procmail;
mod remote;
mod sieve;
mod tell;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::queue::{Claimed, Envelope, Queue, QueueId, Recipient, backoff};
use crate::route::{NextHop, Route, Router};

use attempt::{Attempt, deferred};
use command::CommandAgent;
use local::Job;
pub use local::{LocalAgent, LocalConfig};
pub use logins::{Logins, LoginsError};
pub use procmail::ProcmailConfig;
use remote::Parcel;
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
        let flushed = claimed.flushed;
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
            // Boxed, so that those that wait for a place elsewhere are small.
            let outcome = Box::pin(self.deliver_here(&mut attempt, index, &place)).await;
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
            let parcel = Parcel {
                queue: &*self.queue,
                id: &attempt.id,
                envelope: &attempt.envelope,
                size: attempt.size,
            };
            async move {
                let sent = self.remote.send(&parcel, &destination, recipients, flushed);
                sent.await
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
