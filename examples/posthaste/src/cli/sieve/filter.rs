//! `posthaste sieve filter`: what a script would do with mail that is stored already, and with `--execute` does.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mailstore::{AccountConfig, AppendOptions, FlagChange, FlagMode, Flags, Store};
use sieve::{Action, Answer, Config, Envelope, Evaluation, Progress, Question, Script};

use super::run::{address, describe};
use super::{Ending, capabilities, read, tell};
use crate::cli::print;
use crate::store::object_id_of;

/// A larger message is left where it is: scripts look at it in memory.
const LARGEST: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The script
    script: PathBuf,
    /// A Maildir, or an mbox file
    store: PathBuf,
    /// The mailbox to go through
    #[arg(long, short, value_name = "NAME", default_value = "INBOX")]
    mailbox: String,
    /// Of an mbox file: the folder of the other mailboxes [default: `mail` beside it]
    #[arg(long, value_name = "FOLDER")]
    folders: Option<PathBuf>,
    /// Folder of the scripts that `include` names [default: the script's]
    #[arg(long, value_name = "FOLDER")]
    include: Option<PathBuf>,
    /// Do it; without this the outcome is only shown
    #[arg(long)]
    execute: bool,
    /// Remove what the script discards; without this it stays
    #[arg(long, requires = "execute")]
    discard: bool,
}

struct Filter<'a> {
    arguments: &'a Arguments,
    script: Script,
    account: Arc<mailstore::Account>,
    mailbox: Arc<mailstore::Mailbox>,
}

pub(super) const ENDINGS: &str = "Exit status:
  0  the script ran on each message
  1  it has errors, or failed on a message, which stays then
  2  the script, the mailbox or a message cannot be read or changed, or the arguments are wrong";

pub(super) fn run(arguments: &Arguments) -> Ending {
    let Some(source) = read(&arguments.script) else {
        return Ending::Trouble;
    };
    let script = match sieve::compile(&source, &capabilities()) {
        Ok(script) => {
            tell(&arguments.script, &source, script.warnings());
            script
        }
        Err(faults) => {
            tell(&arguments.script, &source, &faults);
            return Ending::Faults;
        }
    };
    match filter(arguments, script) {
        Ok(ending) => ending,
        Err(fault) => {
            print::error(format_args!("{}: {fault}", arguments.store.display()));
            Ending::Trouble
        }
    }
}

fn filter(arguments: &Arguments, script: Script) -> Result<Ending, mailstore::Error> {
    let config = if arguments.store.is_dir() {
        AccountConfig::maildir(&arguments.store, "localhost")
    } else {
        let beside = arguments.store.parent().unwrap_or(Path::new("."));
        let folders = arguments.folders.clone();
        AccountConfig::mbox(
            folders.unwrap_or_else(|| beside.join("mail")),
            &arguments.store,
            "localhost",
        )
    };
    let account = Store::new().account(&config)?;
    let mailbox = account.mailbox(&arguments.mailbox, SystemTime::now())?;
    let messages = mailbox.refresh(SystemTime::now())?;
    let filter = Filter {
        arguments,
        script,
        account,
        mailbox,
    };
    // Drawn on the standard error output, and only where that is a terminal.
    let bar = ProgressBar::new(u64::try_from(messages.messages().len()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let mut ending = Ending::Good;
    let mut changed = 0_usize;
    for message in messages.messages() {
        bar.inc(1);
        match filter.one(message.uid, &bar) {
            Ok(true) => changed += 1,
            Ok(false) => {}
            Err((worse, fault)) => {
                bar.suspend(|| print::error(format_args!("{}: {fault}", message.uid)));
                ending = ending.max(worse);
            }
        }
    }
    bar.finish_and_clear();
    let verb = if arguments.execute {
        "changed"
    } else {
        "would be changed (nothing was done: --execute does it)"
    };
    print::line(format_args!(
        "{} messages, {changed} {verb}",
        messages.messages().len()
    ));
    Ok(ending)
}

impl Filter<'_> {
    /// Whether the script wants anything but that the message stays.
    fn one(&self, uid: u32, bar: &ProgressBar) -> Result<bool, (Ending, String)> {
        let told = |fault: mailstore::Error| (Ending::Trouble, fault.to_string());
        let mut reader = self.mailbox.reader(uid, SystemTime::now()).map_err(told)?;
        if reader.size() > LARGEST {
            return Err((Ending::Trouble, "too large to be filtered".to_owned()));
        }
        let mut message = Vec::new();
        reader
            .read_to_end(&mut message)
            .map_err(|fault| (Ending::Trouble, fault.to_string()))?;
        let outcome = self.evaluate(&message);
        if let Some(error) = &outcome.error {
            let told = format!("{}:{error}", self.arguments.script.display());
            return Err((Ending::Faults, told));
        }
        let stays = |action: &Action| matches!(action, Action::Keep(keep) if keep.flags.is_empty() && keep.edited.is_none());
        if outcome.actions.iter().all(stays) {
            return Ok(false);
        }
        bar.suspend(|| {
            for action in &outcome.actions {
                print::line(format_args!("{uid}: {}", describe(action)));
            }
        });
        if self.arguments.execute {
            self.execute(uid, &message, outcome.actions).map_err(told)?;
        }
        Ok(true)
    }

    fn evaluate(&self, message: &[u8]) -> sieve::Outcome {
        let from = address(message, &["Return-Path", "From"]);
        let to = address(message, &["Delivered-To", "X-Original-To", "To"]);
        let envelope = Envelope {
            from: Some(from.unwrap_or_default()),
            to: Some(to.unwrap_or_default()),
            ..Envelope::default()
        };
        let config = Config::new(jiff::Zoned::now());
        let mut evaluation = Evaluation::new(&self.script, message, envelope, config);
        loop {
            match evaluation.step() {
                Progress::Done(outcome) => return outcome,
                Progress::Ask(question) => {
                    let answer = self.answer(&question);
                    // A question is open: that is what was just said.
                    let _ = evaluation.answer(answer);
                }
            }
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::MailboxExists(names) => Answer::Bool(
                names
                    .iter()
                    .all(|name| self.account.exists(name).unwrap_or(false)),
            ),
            Question::MailboxIdExists(ids) => {
                Answer::Bool(ids.iter().all(|id| self.with_id(id).is_some()))
            }
            // Nobody is answered and nothing remembered here.
            Question::Duplicate { .. } => Answer::Bool(false),
            Question::VacationAnswered { .. } => Answer::Bool(true),
            Question::Script { name, .. } => super::run::include(
                &self.arguments.script,
                self.arguments.include.as_deref(),
                name,
            ),
            other => Answer::Failed(format!("not known here: {other:?}")),
        }
    }

    /// The name of the mailbox with this id.
    fn with_id(&self, id: &str) -> Option<String> {
        let listed = self.account.list().ok()?.into_iter();
        let mut names = listed.filter(|own| own.selectable).map(|own| own.name);
        names.find(|name| object_id_of(&self.account, name).is_ok_and(|own| own == id))
    }

    /// First what adds copies, then what takes the message away: whatever fails, it is still there.
    fn execute(
        &self,
        uid: u32,
        message: &[u8],
        actions: Vec<Action>,
    ) -> Result<(), mailstore::Error> {
        let now = SystemTime::now();
        let mut stays = false;
        let mut moved = false;
        let mut discarded = false;
        for action in actions {
            match action {
                Action::Keep(keep) => {
                    if let Some(edited) = keep.edited {
                        self.append(&self.mailbox, &edited.to_bytes(message), &keep.flags)?;
                        moved = true;
                        continue;
                    }
                    stays = true;
                    if !keep.flags.is_empty() {
                        let (flags, keywords) = flags(&keep.flags);
                        let change = FlagChange {
                            mode: FlagMode::Add,
                            flags,
                            keywords,
                        };
                        self.mailbox.set_flags(&[uid], &change, None, now)?;
                    }
                }
                Action::FileInto(fileinto) => {
                    let meant = &fileinto.mailbox;
                    let found = meant.mailbox_id.as_deref().and_then(|id| self.with_id(id));
                    // One that is not there is meant by its name (RFC 9042 §4).
                    let name = found.as_ref().unwrap_or(&meant.name);
                    if fileinto.mailbox.create && !self.account.exists(name)? {
                        self.account.create(name)?;
                    }
                    let target = self.account.mailbox(name, now)?;
                    match &fileinto.edited {
                        Some(edited) => self.append(
                            &target,
                            &edited.to_bytes(message),
                            &fileinto.mailbox.flags,
                        )?,
                        None if fileinto.mailbox.flags.is_empty() => {
                            self.mailbox.copy(&[uid], &target, now)?;
                        }
                        None => self.append(&target, message, &fileinto.mailbox.flags)?,
                    }
                    moved = true;
                }
                Action::Discard => discarded = true,
                Action::TrackDuplicate(_) => {}
                // Mail that lies here was answered and sent on when it came.
                _ => stays = true,
            }
        }
        if !stays && (moved || (discarded && self.arguments.discard)) {
            self.mailbox.expunge(&[uid], now)?;
        }
        Ok(())
    }

    fn append(
        &self,
        target: &Arc<mailstore::Mailbox>,
        message: &[u8],
        names: &[String],
    ) -> Result<(), mailstore::Error> {
        let now = SystemTime::now();
        let (flags, keywords) = flags(names);
        let mut options = AppendOptions::at(now);
        options.flags = flags;
        options.keywords = keywords;
        let mut append = target.append(now)?;
        append.write(message)?;
        append.commit(options, now)?;
        Ok(())
    }
}

/// System flags and keywords.
fn flags(names: &[String]) -> (Flags, Vec<String>) {
    let mut system = Flags::NONE;
    let mut keywords = Vec::new();
    for name in names {
        match Flags::NAMES
            .iter()
            .find(|(_, own)| own.eq_ignore_ascii_case(name))
        {
            Some((flag, _)) => system |= *flag,
            None if name.starts_with('\\') => {}
            None => keywords.push(name.clone()),
        }
    }
    (system, keywords)
}
