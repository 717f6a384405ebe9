//! A user's `.procmailrc`, run on a delivery.
//!
//! Nothing is forked for rules that call no program. Folders of the user are
//! mailboxes of the store, so that what is filed is seen by IMAP at once, and
//! a delivery that is repeated after a crash files nothing twice; `!` puts
//! messages into the queue. Locks and the mail notifier have no use here.
//! Whatever goes wrong, the message is kept in INBOX.

mod conclude;
mod deliver;
mod folder;
mod log;
mod program;
mod run;
mod text;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use procmail_rules::{
    Config, Delivery, Effect, Evaluator, FolderKind, Limits, LockTry, RcFile, RegexCache, Reply,
    Step, format,
};
use rustix::fs::OFlags;

use self::folder::{Folder, lexical};
use self::log::LogTo;
use self::text::{ctime, with_lf};
use super::Outcome;
use super::local::{Job, LocalConfig};
use super::sieve::{Before, LONG_WORK};
use crate::blocking::{Blocking, in_place};
use crate::queue::Born;
use crate::store::{Account, Procmailrc};

/// Programs of users at once.
const PROGRAMS: usize = 20;

/// Files of users that are read or written at once.
const FILES: usize = 20;

/// An rcfile of so many octets is evaluated while other threads take over.
const LONG_RC: usize = 8 * 1024;

/// What users' procmailrcs may do.
#[derive(Debug, Clone)]
pub struct ProcmailConfig {
    /// The programs that may be run, by their absolute paths, with the rights
    /// of the server. A shell among them runs whatever it is told to.
    pub programs: Vec<PathBuf>,
    /// How long one may run.
    pub time_limit: Duration,
    /// Whether mail may be filed outside the user's home.
    pub files: bool,
}

/// Runs procmailrcs.
pub(super) struct ProcmailFilter {
    config: LocalConfig,
    regexes: Arc<RegexCache>,
    programs: Blocking,
    files: Blocking,
}

impl ProcmailFilter {
    pub(super) fn new(config: &LocalConfig) -> Self {
        Self {
            config: config.clone(),
            regexes: Arc::new(RegexCache::new()),
            programs: Blocking::new(PROGRAMS),
            files: Blocking::new(FILES),
        }
    }

    /// Runs the procmailrc and carries out what it wants. What cannot be done
    /// now is tried again as a whole.
    pub(super) async fn run(
        &self,
        job: &Job<'_>,
        account: &dyn Account,
        rc: &Procmailrc,
        before: Before,
        born: &mut Vec<Born>,
    ) -> Result<String, Outcome> {
        let trace = with_lf(&job.trace());
        let sender = match job.envelope.sender.as_str() {
            "" => "MAILER-DAEMON",
            sender => sender,
        };
        let mut text = format::from_line(sender.as_bytes(), &ctime(job.envelope.arrived));
        let envelope = text.len();
        text.extend_from_slice(&trace);
        text.extend(with_lf(&before.message));
        let config = self.start(job, rc);
        let long = before.message.len() >= LONG_WORK || rc.text.len() >= LONG_RC;
        let directory = rc.home.clone();
        let mut evaluator = Evaluator::new(config, &text);
        text.drain(..envelope);
        let mut delivery = Plan {
            filter: self,
            job,
            account,
            rc,
            born,
            trace,
            whole: text,
            message: before.message,
            edited: before.edited,
            place: Place {
                directory,
                log: LogTo::Server,
                umask: 0o077,
            },
            saved: Vec::new(),
            copies: HashMap::new(),
            several: false,
            last: Bytes::new(),
            complaints: 0,
            done: before.done,
        };
        let ended = loop {
            let step = if long {
                in_place(|| evaluator.step())
            } else {
                evaluator.step()
            };
            match step {
                Ok(Step::Ask(effect)) => {
                    let reply = delivery.act(effect).await?;
                    // Each reply is one that its effect allows.
                    let _ = evaluator.answer(reply);
                }
                Ok(Step::NeedAnswer) => {
                    let _ = evaluator.answer(Reply::Failed);
                }
                Ok(Step::Done(ended)) => break Ok(ended),
                Err(error) => break Err(error.to_string()),
            }
        };
        delivery.conclude(ended).await?;
        let done = match delivery.done.join(", ") {
            done if done.is_empty() => "nowhere".to_owned(),
            done => done,
        };
        Ok(format!("{}: procmail: {done}", job.user))
    }

    fn start(&self, job: &Job<'_>, rc: &Procmailrc) -> Config {
        let path = |path: &Path| path.as_os_str().as_bytes().to_vec();
        Config {
            logname: job.user.as_bytes().to_vec(),
            home: path(&rc.home),
            host: self.config.hostname.clone().into_bytes(),
            system_mailbox: Some(path(&rc.system_mailbox())),
            arguments: self.detail(job.address()).into_iter().collect(),
            pid: std::process::id(),
            inherited: std::env::var_os("TZ")
                .map(|zone| (b"TZ".to_vec(), zone.as_bytes().to_vec()))
                .into_iter()
                .collect(),
            rcfiles: vec![RcFile::text(path(&rc.home.join(".procmailrc")), &rc.text)],
            maildir: path(&rc.home),
            regexes: Arc::clone(&self.regexes),
            ..Config::default()
        }
    }

    /// `$1`: what stands behind the delimiter in the address, as with
    /// `procmail -a "$EXTENSION"`.
    fn detail(&self, address: &str) -> Option<Vec<u8>> {
        let delimiter = self.config.recipient_delimiter.chars().next()?;
        let (local_part, _) = address.rsplit_once('@').unwrap_or((address, ""));
        let (_, detail) = local_part.split_once(delimiter)?;
        Some(detail.as_bytes().to_vec())
    }
}

/// What a clone changes without its parent noticing.
#[derive(Debug, Clone)]
struct Place {
    directory: PathBuf,
    log: LogTo,
    umask: u32,
}

/// A delivery under way.
struct Plan<'a> {
    filter: &'a ProcmailFilter,
    job: &'a Job<'a>,
    account: &'a dyn Account,
    rc: &'a Procmailrc,
    born: &'a mut Vec<Born>,
    /// The trace fields as the evaluator sees them.
    trace: Vec<u8>,
    /// The message behind its `From ` line, as the evaluator sees it.
    whole: Vec<u8>,
    message: Bytes,
    /// Whether that is another than the one in the queue.
    edited: bool,
    place: Place,
    saved: Vec<Place>,
    /// How many copies each mailbox has got.
    copies: HashMap<String, u32>,
    /// Whether the folder asked for last may be followed by others.
    several: bool,
    /// What was delivered last.
    last: Bytes,
    complaints: usize,
    done: Vec<String>,
}

impl Plan<'_> {
    async fn act(&mut self, effect: Effect) -> Result<Reply, Outcome> {
        Ok(match effect {
            Effect::Log(log) => {
                self.write_log(&log);
                Reply::Done
            }
            Effect::OpenLog { path } => match self.open_log(&path) {
                Some(log) => {
                    self.place.log = log;
                    Reply::Done
                }
                None => Reply::Failed,
            },
            Effect::ReadRc { path } => Reply::Rc(self.read_rc(&path).await),
            Effect::ChangeDirectory { path } => {
                let path = lexical(&self.at(&path));
                if self.rc.is_own(&path) {
                    self.place.directory = path;
                    Reply::Done
                } else {
                    Reply::Failed
                }
            }
            Effect::Folder { ref path, wanted } => match self.folder(path) {
                Folder::Mailbox(_) => {
                    self.several = wanted.is_some();
                    // The store quotes for itself where its format needs it.
                    Reply::Folder(FolderKind::Maildir)
                }
                Folder::Elsewhere(_) if self.files() => self.elsewhere(effect).await,
                _ => Reply::Failed,
            },
            Effect::Deliver(delivery) => self.deliver(delivery).await?,
            Effect::Link {
                folder,
                kind,
                prefix,
                ..
            } => {
                if !self.several {
                    return Ok(Reply::Failed);
                }
                let delivery = Delivery {
                    folder,
                    kind,
                    content: self.last.to_vec(),
                    prefix,
                    timeout: None,
                    partial: false,
                };
                self.deliver(delivery).await?
            }
            Effect::Run(run) => Reply::Ran(self.run_program(run).await),
            Effect::Lock { .. } => Reply::Lock(LockTry::Taken),
            Effect::CloneBegin => {
                self.saved.push(self.place.clone());
                Reply::Done
            }
            Effect::CloneEnd { .. } => {
                if let Some(place) = self.saved.pop() {
                    self.place = place;
                }
                Reply::Done
            }
            Effect::Umask(mask) => {
                self.place.umask = mask;
                Reply::Done
            }
            // Nobody reads what is printed: the message would be gone.
            Effect::Print { .. } => Reply::Failed,
            Effect::Unlock { .. }
            | Effect::ForceLock { .. }
            | Effect::Sleep(_)
            | Effect::Notify { .. }
            | Effect::Detach
            | Effect::DropPrivileges => Reply::Done,
            _ => Reply::Failed,
        })
    }

    fn at(&self, name: &[u8]) -> PathBuf {
        self.place.directory.join(OsStr::from_bytes(name))
    }

    fn folder(&self, name: &[u8]) -> Folder {
        let name = Path::new(OsStr::from_bytes(name));
        self.rc.folder(&self.place.directory, self.job.user, name)
    }

    fn files(&self) -> bool {
        self.filter.config.procmail.files
    }

    async fn read_rc(&self, name: &[u8]) -> Option<Vec<u8>> {
        let (rc, path) = (self.rc.clone(), self.at(name));
        let most = u64::try_from(Limits::default().rc_size).ok()? + 1;
        let read = move || {
            let mut text = Vec::new();
            let file = rc.open(&path, OFlags::RDONLY).ok()?;
            file.take(most).read_to_end(&mut text).ok()?;
            Some(text)
        };
        self.filter.files.run(read).await?
    }
}
