//! Scripts at work on one delivery, and what they want done.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sieve::{Action, Answer, Evaluation, Keep, Outcome as Verdict, ProgramKind, Progress, Script};

use super::super::local::from_store;
use super::super::{Failure, Outcome};
use super::{GENERATIONS, LIST_MEMBERS, LONG_WORK, Plan};
use super::{dsn, duplicate_key, vacation_key};
use crate::blocking::in_place;
use crate::queue::{Born, BornContent, Envelope, Notify, Recipient};
use crate::received::date;
use crate::store::{Flags, StoreError, StoreResult};

impl Plan<'_> {
    /// Runs the scripts up to one that does not keep the message; answers the
    /// flags to keep it with.
    pub(super) async fn run(
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
        envelope.other = dsn::envelope_parts(job.envelope, job.recipient);
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
                Action::Redirect(mut redirect) => {
                    if self.is_loop() || self.is_last_generation() {
                        let id = self.job.id;
                        tracing::warn!(queue_id = %id, to = redirect.address, "redirect would loop");
                        self.keep(Vec::new(), None).await?
                    } else {
                        let edited = redirect.edited.take();
                        let edited = edited.map(|edited| edited.to_bytes(&self.message));
                        let to = if redirect.list {
                            self.list_members(&redirect.address)
                        } else {
                            vec![redirect.address.clone()]
                        };
                        for address in &to {
                            born.push(self.redirect(&redirect, address, edited.clone()));
                        }
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
                    let message =
                        vacation.to_message(&date(SystemTime::now()), &self.message_id("vacation"));
                    let copy = vacation.fcc.map(|fcc| (fcc, Bytes::from(message.clone())));
                    let answer = self.mail(&vacation.recipient, message);
                    self.later.answer(key, period, answer, copy);
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
                    if let Some(fcc) = notify.fcc {
                        self.later.copy(fcc, Bytes::from(message));
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
                    self.later.duplicate(key, period);
                    continue;
                }
                Action::Pipe(pipe) => {
                    let edited = pipe.edited.map(|edited| edited.to_bytes(&self.message));
                    let input = self.instead(edited).unwrap_or_else(|| self.message.clone());
                    let ran = self
                        .run_program(ProgramKind::Pipe, &pipe.program, pipe.arguments, input)
                        .await;
                    match ran {
                        Ok((true, _)) => pipe.program,
                        _ if pipe.optional => continue,
                        Ok((false, _)) => {
                            let id = self.job.id;
                            tracing::warn!(queue_id = %id, program = pipe.program, "the program failed");
                            self.keep(Vec::new(), None).await?
                        }
                        Err(error) => {
                            tracing::warn!(queue_id = %self.job.id, error, "the program failed");
                            self.keep(Vec::new(), None).await?
                        }
                    }
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

    pub(super) async fn keep(
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
        let mut name = self.target(&mailbox).await.map_err(from_store)?;
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

    pub(super) async fn make(&self, name: &str) -> StoreResult<()> {
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

    /// What takes the place of the message delivered, if it was changed now or
    /// by an earlier script.
    fn instead(&self, edited: Option<Vec<u8>>) -> Option<Bytes> {
        let before = || self.edited.then(|| self.message.clone());
        edited.map(Bytes::from).or_else(before)
    }

    fn redirect(&self, redirect: &sieve::Redirect, address: &str, edited: Option<Vec<u8>>) -> Born {
        let prefix = format!("X-Sieve-Redirected-From: {}\r\n", self.job.address());
        let mut envelope = self.job.envelope.clone();
        envelope.recipients = vec![self.job.recipient.forwarded(address)];
        dsn::ask(&mut envelope, redirect, self.job.address());
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

    /// The addresses on a list (RFC 6134 §2.4).
    fn list_members(&self, list: &str) -> Vec<String> {
        let mut members = self.members(list).unwrap_or_default();
        members.retain(|member| member.parse::<smtp_proto::Address>().is_ok());
        if members.len() > LIST_MEMBERS {
            tracing::warn!(queue_id = %self.job.id, list, "only some members of the list get it");
            members.truncate(LIST_MEMBERS);
        }
        members
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

    /// A message of the script's own, of which nobody is told (RFC 5230 §5.1).
    fn mail(&self, recipient: &str, message: Vec<u8>) -> Born {
        let mut recipient = Recipient::new(recipient);
        recipient.notify = Some(Notify::default());
        let mut envelope = Envelope::new("", [recipient], SystemTime::now());
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

/// System flags and keywords of a script's flag list (RFC 5232).
pub(super) fn split_flags(names: Vec<String>) -> (Flags, Vec<String>) {
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
