//! A user's Sieve script, run on a delivery.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sieve::{
    Action, Answer, Capabilities, Compiler, Config, Evaluation, Keep, Outcome as Verdict, Progress,
    Question, Script,
};

use super::local::{Job, from_store};
use super::{Failure, Outcome};
use crate::blocking::in_place;
use crate::queue::{Born, BornContent, Envelope, Recipient};
use crate::received::date;
use crate::store::{Account, Flags, StoreError, StoreResult};

/// Compiled scripts kept; more are compiled again.
const CACHED: usize = 256;

/// How often a message may be sent on by users' filters, one after the other,
/// on this host, and messages that they write may be answered by more of
/// them. With the redirects that one script may do, this stops scripts that
/// multiply a message among themselves.
pub(super) const GENERATIONS: u32 = 5;

/// Messages of this size are evaluated while other threads take over.
pub(super) const LONG_WORK: usize = 128 * 1024;

/// Runs scripts.
pub(super) struct SieveFilter {
    compiler: Compiler,
    hostname: String,
    separator: String,
    compiled: Mutex<HashMap<Bytes, Result<Script, String>>>,
}

/// What scripts want done with a delivery.
struct Plan<'a> {
    filter: &'a SieveFilter,
    job: &'a Job<'a>,
    account: &'a dyn Account,
    /// As the scripts so far have left it.
    message: Bytes,
    /// Whether that is another than the one delivered.
    edited: bool,
    stored: Vec<String>,
    done: Vec<String>,
}

/// What scripts left to the filter behind them.
pub(super) struct Before {
    /// Whether it is to have its say.
    pub(super) kept: bool,
    /// The message as they left it.
    pub(super) message: Bytes,
    /// Whether that is another than the one delivered.
    pub(super) edited: bool,
    /// What they have done.
    pub(super) done: Vec<String>,
}

impl Before {
    /// What no script leaves: the message as it came.
    pub(super) fn of(message: Bytes) -> Self {
        Self {
            kept: true,
            message,
            edited: false,
            done: Vec::new(),
        }
    }
}

/// What scripts may ask for: all but what this host cannot answer.
pub(crate) fn capabilities() -> Capabilities {
    [
        "vnd.dovecot.pipe",
        "vnd.dovecot.filter",
        "vnd.dovecot.execute",
        "vnd.dovecot.testsuite",
        "imapsieve",
        "mboxmetadata",
        "servermetadata",
        "mailboxid",
        "extlists",
        "spamtest",
        "spamtestplus",
        "virustest",
        "include",
        "convert",
        "processcalendar",
        "redirect-dsn",
        "redirect-deliverby",
        "envelope-dsn",
        "envelope-deliverby",
    ]
    .into_iter()
    .fold(Capabilities::all(), Capabilities::without)
}

/// The compiler of users' scripts.
pub(crate) fn compiler() -> Compiler {
    Compiler::new().capabilities(capabilities())
}

impl SieveFilter {
    pub(super) fn new(hostname: &str, separator: &str) -> Self {
        Self {
            compiler: compiler(),
            hostname: hostname.to_owned(),
            separator: separator.to_owned(),
            compiled: Mutex::default(),
        }
    }

    /// The script compiled, or the first of its faults.
    fn compile(&self, source: &Bytes) -> Result<Script, String> {
        let cache = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = cache().get(source) {
            return compiled.clone();
        }
        let compiled = self.compiler.compile(source).map_err(|faults| {
            let fault = faults.first().map(ToString::to_string);
            fault.unwrap_or_else(|| "it does not compile".into())
        });
        let mut cache = cache();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(source.clone(), compiled.clone());
        compiled
    }

    /// Runs the scripts and carries out what they want. The next one has its
    /// say while the message is kept, as in Pigeonhole. Whatever fails, the
    /// message is kept.
    pub(super) async fn run(
        &self,
        job: &Job<'_>,
        account: &dyn Account,
        sources: &[Bytes],
        message: Bytes,
        born: &mut Vec<Born>,
    ) -> Result<String, Outcome> {
        let mut plan = self.plan(job, account, message);
        if let Some(flags) = plan.run(sources, born).await? {
            let to = plan.keep(flags, None).await?;
            plan.done.push(format!("keep {to}"));
        }
        Ok(format!("{}: sieve: {}", job.user, plan.done.join(", ")))
    }

    /// Runs scripts that come before a filter of another kind, which has its
    /// say where they keep the message.
    pub(super) async fn run_before(
        &self,
        job: &Job<'_>,
        account: &dyn Account,
        sources: &[Bytes],
        message: Bytes,
        born: &mut Vec<Born>,
    ) -> Result<Before, Outcome> {
        let mut plan = self.plan(job, account, message);
        let flags = plan.run(sources, born).await?;
        Ok(Before {
            kept: flags.is_some(),
            message: plan.message,
            edited: plan.edited,
            done: plan.done,
        })
    }

    fn plan<'a>(&'a self, job: &'a Job<'a>, account: &'a dyn Account, message: Bytes) -> Plan<'a> {
        Plan {
            filter: self,
            job,
            account,
            message,
            edited: false,
            stored: Vec::new(),
            done: Vec::new(),
        }
    }

    fn config(&self, job: &Job<'_>) -> Config {
        let mut config = Config::new(jiff::Zoned::now());
        config.separator.clone_from(&self.separator);
        config.addresses = vec![job.address().to_owned(), job.recipient.original.clone()];
        if let Some((_, domain)) = job.address().rsplit_once('@') {
            config.addresses.push(format!("{}@{domain}", job.user));
        }
        config.environment = vec![
            ("domain".into(), self.domain().into()),
            ("host".into(), self.hostname.clone()),
            ("location".into(), "MDA".into()),
            ("name".into(), "posthaste".into()),
            ("phase".into(), "during".into()),
            ("version".into(), env!("CARGO_PKG_VERSION").into()),
        ];
        config
    }

    fn domain(&self) -> &str {
        let (_, domain) = self.hostname.split_once('.').unwrap_or_default();
        domain
    }
}

impl Plan<'_> {
    /// Runs the scripts up to one that does not keep the message; answers the
    /// flags to keep it with.
    async fn run(
        &mut self,
        sources: &[Bytes],
        born: &mut Vec<Born>,
    ) -> Result<Option<Vec<String>>, Outcome> {
        let job = self.job;
        let mut flags = Some(Vec::new());
        for source in sources {
            let script = match self.filter.compile(source) {
                Ok(script) => script,
                Err(fault) => {
                    tracing::warn!(queue_id = %job.id, user = job.user, fault, "sieve script is faulty");
                    continue;
                }
            };
            let verdict = self.evaluate(&script).await;
            if let Some(error) = &verdict.error {
                tracing::warn!(queue_id = %job.id, user = job.user, %error, "sieve script gave up");
            }
            flags = self.carry_out(verdict, born).await?;
            if flags.is_none() {
                break;
            }
        }
        Ok(flags)
    }

    async fn evaluate(&self, script: &Script) -> Verdict {
        let job = self.job;
        let mut envelope = sieve::Envelope::new(job.envelope.sender.clone(), job.address());
        envelope.original_to = Some(job.recipient.original.clone());
        envelope.auth.clone_from(&job.envelope.authenticated);
        let config = self.filter.config(job);
        let mut evaluation = Evaluation::new(script, &self.message, envelope, config);
        loop {
            let progress = if self.message.len() < LONG_WORK {
                evaluation.step()
            } else {
                in_place(|| evaluation.step())
            };
            match progress {
                Progress::Done(verdict) => return verdict,
                Progress::Ask(question) => {
                    let answer = match self.answer(question).await {
                        Ok(answer) => answer,
                        Err(error) => Answer::Failed(error.to_string()),
                    };
                    // A question is open: that is what was just said.
                    let _ = evaluation.answer(answer);
                }
            }
        }
    }

    async fn answer(&self, question: Question) -> StoreResult<Answer> {
        Ok(match question {
            Question::MailboxExists(names) => {
                let mut all = true;
                for name in names {
                    all = all && self.account.exists(&inbox(&name)).await?;
                }
                Answer::Bool(all)
            }
            Question::SpecialUseExists {
                mailbox,
                attributes,
            } => {
                let mailboxes = self.account.mailboxes().await?;
                let wanted = mailbox.as_deref().map(inbox);
                let has = |attribute: &String| {
                    mailboxes.iter().any(|info| {
                        wanted.as_ref().is_none_or(|wanted| *wanted == info.name)
                            && info
                                .special_use
                                .as_ref()
                                .is_some_and(|own| own.eq_ignore_ascii_case(attribute))
                    })
                };
                Answer::Bool(attributes.iter().all(has))
            }
            Question::Duplicate { handle, id } => {
                Answer::Bool(self.account.remembers(&duplicate_key(&handle, &id)).await?)
            }
            Question::VacationAnswered { handle, recipient } => {
                let key = vacation_key(&handle, &recipient);
                Answer::Bool(self.account.remembers(&key).await?)
            }
            other => Answer::Failed(format!("not known on this host: {other:?}")),
        })
    }

    /// Answers the flags to keep the message with, or nothing if it is not
    /// kept.
    async fn carry_out(
        &mut self,
        verdict: Verdict,
        born: &mut Vec<Born>,
    ) -> Result<Option<Vec<String>>, Outcome> {
        let mut kept: Option<Keep> = None;
        for action in verdict.actions {
            let name = action.name();
            let to = match action {
                Action::Keep(keep) => {
                    kept = Some(keep);
                    continue;
                }
                Action::FileInto(file) => {
                    let edited = file.edited.map(|edited| edited.to_bytes(&self.message));
                    self.file_into(file.mailbox, edited).await?
                }
                Action::Redirect(redirect) => {
                    if self.is_loop() || self.is_last_generation() {
                        let id = self.job.id;
                        tracing::warn!(queue_id = %id, to = redirect.address, "redirect would loop");
                        self.keep(Vec::new(), None).await?
                    } else {
                        let edited = redirect.edited.map(|edited| edited.to_bytes(&self.message));
                        born.push(self.redirect(&redirect.address, edited));
                        redirect.address
                    }
                }
                Action::Discard => "nowhere".into(),
                Action::Reject(reject) => {
                    let reason = reject.reason.replace("\r\n", "\n");
                    return Err(Outcome::Failed(Failure::new("5.7.1", reason.trim_end())));
                }
                Action::Vacation(_) | Action::Notify(_) | Action::Report(_)
                    if self.is_last_generation() =>
                {
                    tracing::warn!(queue_id = %self.job.id, action = name, "it would loop");
                    continue;
                }
                Action::Vacation(vacation) => {
                    let key = vacation_key(&vacation.handle, &vacation.recipient);
                    let period = Duration::from_secs(vacation.seconds);
                    self.account
                        .remember(&key, period)
                        .await
                        .map_err(from_store)?;
                    let message =
                        vacation.to_message(&date(SystemTime::now()), &self.message_id("vacation"));
                    if let Some(fcc) = vacation.fcc {
                        let copy = Bytes::from(message.clone());
                        self.store_copy(fcc, copy).await;
                    }
                    born.push(self.mail(&vacation.recipient, message));
                    vacation.recipient
                }
                Action::Notify(notify) => {
                    let from = format!("postmaster@{}", self.filter.hostname);
                    let message = notify.to_message(
                        &from,
                        &date(SystemTime::now()),
                        &self.message_id("notify"),
                        self.job.address(),
                    );
                    for recipient in &notify.recipients {
                        born.push(self.mail(recipient, message.clone()));
                    }
                    notify.recipients.join(" ")
                }
                Action::Report(report) => {
                    let from = format!("postmaster@{}", self.filter.hostname);
                    let message = report.to_message(
                        &self.message,
                        &from,
                        &date(SystemTime::now()),
                        &self.message_id("report"),
                    );
                    born.push(self.mail(&report.recipient, message));
                    report.recipient
                }
                Action::TrackDuplicate(track) => {
                    let key = duplicate_key(&track.handle, &track.id);
                    let period = Duration::from_secs(track.seconds);
                    self.account
                        .remember(&key, period)
                        .await
                        .map_err(from_store)?;
                    continue;
                }
                other => {
                    tracing::warn!(queue_id = %self.job.id, action = other.name(), "not done here");
                    self.keep(Vec::new(), None).await?
                }
            };
            self.done.push(format!("{name} {to}"));
        }
        Ok(kept.map(|keep| {
            if let Some(edited) = keep.edited {
                self.message = Bytes::from(edited.to_bytes(&self.message));
                self.edited = true;
            }
            keep.flags
        }))
    }

    async fn keep(
        &mut self,
        flags: Vec<String>,
        edited: Option<Vec<u8>>,
    ) -> Result<String, Outcome> {
        self.store("INBOX".into(), flags, edited).await
    }

    async fn file_into(
        &mut self,
        mailbox: sieve::Mailbox,
        edited: Option<Vec<u8>>,
    ) -> Result<String, Outcome> {
        let mut name = inbox(&mailbox.name);
        if let Some(wanted) = &mailbox.special_use {
            let mailboxes = self.account.mailboxes().await.map_err(from_store)?;
            let found = mailboxes.into_iter().find(|info| {
                let special_use = info.special_use.as_ref();
                special_use.is_some_and(|own| own.eq_ignore_ascii_case(wanted))
            });
            if let Some(found) = found {
                name = found.name;
            }
        }
        if !self.account.exists(&name).await.map_err(from_store)? {
            let made = if mailbox.create {
                self.make(&name).await
            } else {
                Err(StoreError::NoMailbox(name.clone()))
            };
            if let Err(error) = made {
                // RFC 5228 §4.1: an error of fileinto is the implicit keep.
                tracing::warn!(queue_id = %self.job.id, user = self.job.user, %error, "kept in INBOX");
                name = "INBOX".into();
            }
        }
        self.store(name, mailbox.flags, edited).await
    }

    async fn make(&self, name: &str) -> StoreResult<()> {
        match self.account.create(name, None).await {
            // Another delivery was faster.
            Ok(()) | Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        self.account.subscribe(name, true).await
    }

    /// Stores the message, once in each mailbox.
    async fn store(
        &mut self,
        mailbox: String,
        flags: Vec<String>,
        edited: Option<Vec<u8>>,
    ) -> Result<String, Outcome> {
        if self.stored.contains(&mailbox) {
            return Ok(mailbox);
        }
        let (flags, keywords) = split_flags(flags);
        let instead = self.instead(edited);
        self.job
            .store(self.account, &mailbox, flags, keywords, instead)
            .await?;
        self.stored.push(mailbox.clone());
        Ok(mailbox)
    }

    /// A copy of what was sent (RFC 8580): its failure is no reason to answer
    /// a second time.
    async fn store_copy(&self, mailbox: sieve::Mailbox, message: Bytes) {
        let name = inbox(&mailbox.name);
        let (flags, keywords) = split_flags(mailbox.flags);
        let stored = async {
            if mailbox.create && !self.account.exists(&name).await? {
                self.make(&name).await?;
            }
            let target = self.account.open(&name).await?;
            let mut appender = target.append().await?;
            appender.write(message).await?;
            appender
                .commit(crate::store::NewMessage {
                    flags,
                    keywords,
                    internal_date: SystemTime::now(),
                })
                .await
        };
        if let Err(error) = stored.await {
            tracing::warn!(queue_id = %self.job.id, user = self.job.user, %error, "no copy stored");
        }
    }

    /// What takes the place of the message delivered, if it was changed now or
    /// by an earlier script.
    fn instead(&self, edited: Option<Vec<u8>>) -> Option<Bytes> {
        let before = || self.edited.then(|| self.message.clone());
        edited.map(Bytes::from).or_else(before)
    }

    fn redirect(&self, address: &str, edited: Option<Vec<u8>>) -> Born {
        let prefix = format!("X-Sieve-Redirected-From: {}\r\n", self.job.address());
        let mut envelope = self.job.envelope.clone();
        envelope.recipients = vec![Recipient::new(address)];
        envelope.attempts = 0;
        envelope.next_attempt = None;
        envelope.maybe_delivered = false;
        envelope.generation += 1;
        Born {
            envelope,
            content: match self.instead(edited) {
                Some(edited) => {
                    BornContent::Whole(Bytes::from([prefix.as_bytes(), &edited].concat()))
                }
                None => BornContent::Parent {
                    prefix: Bytes::from(prefix),
                },
            },
        }
    }

    /// Whether this recipient has redirected the message before.
    fn is_loop(&self) -> bool {
        mime::Headers::new(&self.message)
            .find_all("X-Sieve-Redirected-From")
            .any(|field| field.text().trim().eq_ignore_ascii_case(self.job.address()))
    }

    fn is_last_generation(&self) -> bool {
        self.job.envelope.generation >= GENERATIONS
    }

    /// A message of the script's own.
    fn mail(&self, recipient: &str, message: Vec<u8>) -> Born {
        let mut envelope = Envelope::new("", [Recipient::new(recipient)], SystemTime::now());
        envelope.generation = self.job.envelope.generation + 1;
        Born {
            envelope,
            content: BornContent::Whole(Bytes::from(message)),
        }
    }

    fn message_id(&self, what: &str) -> String {
        let id = self.job.delivery_id().id;
        format!("<{id}.{what}@{}>", self.filter.hostname)
    }
}

/// `INBOX` in any case of letters is one mailbox (RFC 9051 §5.1).
fn inbox(name: &str) -> String {
    if name.eq_ignore_ascii_case("INBOX") {
        "INBOX".into()
    } else {
        name.to_owned()
    }
}

fn vacation_key(handle: &str, recipient: &str) -> Vec<u8> {
    let recipient = recipient.to_lowercase();
    format!("vacation\0{recipient}\0{handle}").into_bytes()
}

fn duplicate_key(handle: &str, id: &[u8]) -> Vec<u8> {
    [b"duplicate\0", handle.as_bytes(), b"\0", id].concat()
}

/// System flags and keywords of a script's flag list (RFC 5232).
fn split_flags(names: Vec<String>) -> (Flags, Vec<String>) {
    let mut flags = Flags::NONE;
    let mut keywords = Vec::new();
    for name in names {
        let system = Flags::NAMES
            .iter()
            .find(|(_, own)| own.eq_ignore_ascii_case(&name));
        match system {
            Some((flag, _)) => flags |= *flag,
            None if name.starts_with('\\') => {}
            None => keywords.push(name),
        }
    }
    (flags, keywords)
}
