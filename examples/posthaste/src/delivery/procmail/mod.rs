//! A user's `.procmailrc`, run on a delivery.
//!
//! Nothing is forked for rules that call no program. Folders of the user are
//! mailboxes of the store, so that what is filed is seen by IMAP at once, and
//! a delivery that is repeated after a crash files nothing twice; `!` puts
//! messages into the queue. Locks and the mail notifier have no use here.
//! Whatever goes wrong, the message is kept in INBOX.

mod folder;
mod program;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use procmail_rules::{
    Config, Delivery, Effect, End, Evaluator, FolderKind, Limits, LockTry, Log, Outcome as Ended,
    Output, Purpose, Ran, RcFile, RegexCache, Reply, Run, Status, Step, format,
};
use rustix::fs::OFlags;

use self::folder::{Folder, lexical};
use super::local::{Content, FILTER_LIMIT, Job, LocalConfig, from_store};
use super::sieve::{Before, GENERATIONS, LONG_WORK};
use super::{Failure, Outcome};
use crate::blocking::{Blocking, in_place};
use crate::procmail::process::{self, Manner};
use crate::procmail::{Host, Policy};
use crate::queue::{Born, BornContent, Recipient};
use crate::store::{Account, NewMessage, Procmailrc, StoreError, StoreResult};

/// Programs of users at once.
const PROGRAMS: usize = 20;

/// Files of users that are read or written at once.
const FILES: usize = 20;

/// An rcfile of so many octets is evaluated while other threads take over.
const LONG_RC: usize = 8 * 1024;

/// Complaints about one rcfile that are logged.
const COMPLAINTS: usize = 20;

/// `EX_NOUSER`, `EX_NOPERM` and `EX_TEMPFAIL` of sysexits.h, and the range of
/// its codes.
const NO_USER: u8 = 67;
const NO_PERMISSION: u8 = 77;
const TRY_LATER: u8 = 75;
const FAILURES: std::ops::RangeInclusive<u8> = 64..=78;

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

/// Where a run's log goes.
#[derive(Debug, Clone)]
enum LogTo {
    /// To the server's own, where it complains or where that is wanted.
    Server,
    Nowhere,
    File(Arc<File>),
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

    fn complain(&mut self, what: &str, of: &str) {
        if self.complaints < COMPLAINTS {
            self.complaints += 1;
            let (id, user) = (self.job.id, self.job.user);
            tracing::warn!(queue_id = %id, user, what = of, "procmailrc: {what}");
        }
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<Reply, Outcome> {
        let name = String::from_utf8_lossy(&delivery.folder).into_owned();
        match self.folder(&delivery.folder) {
            Folder::Mailbox(mailbox) => {
                let content = Bytes::from(delivery.content);
                let stored = self.store(&mailbox, self.content(&content)).await?;
                self.last = content;
                if let Err(error) = stored {
                    self.complain(&error.to_string(), &name);
                    return Ok(Reply::Failed);
                }
                Ok(Reply::Delivered {
                    file: delivery.folder,
                })
            }
            Folder::Elsewhere(path) if self.files() => {
                self.last = Bytes::copy_from_slice(&delivery.content);
                let reply = self.elsewhere(Effect::Deliver(delivery)).await;
                if matches!(reply, Reply::Delivered { .. }) {
                    self.done.push(path.display().to_string());
                }
                Ok(reply)
            }
            Folder::Elsewhere(_) => {
                self.complain("mail outside the home is not allowed", &name);
                Ok(Reply::Failed)
            }
            Folder::Nowhere => {
                self.complain("not a folder", &name);
                Ok(Reply::Failed)
            }
        }
    }

    /// What has to be written to store these octets.
    fn content(&self, octets: &[u8]) -> Content {
        if octets == self.whole {
            return if self.edited {
                Content::Edited(self.message.clone())
            } else {
                Content::Original
            };
        }
        match octets.strip_prefix(self.trace.as_slice()) {
            Some(rest) => Content::Edited(with_crlf(rest)),
            None => Content::Bare(with_crlf(octets)),
        }
    }

    /// Stores one more copy. A mailbox that cannot be is the inner error;
    /// what another try may mend is the outer one.
    async fn store(&mut self, mailbox: &str, content: Content) -> Result<StoreResult<()>, Outcome> {
        if let Err(error) = self.make(mailbox).await {
            return refused(error);
        }
        let copies = self.copies.entry(mailbox.to_owned()).or_default();
        let mut id = self.job.delivery_id();
        if *copies > 0 {
            id.id.push_str(&format!("-{copies}"));
        }
        let message = NewMessage::at(SystemTime::now());
        let stored = self.job.append(self.account, mailbox, id, message, content);
        if let Err(error) = stored.await? {
            return refused(error);
        }
        *copies += 1;
        self.done.push(mailbox.to_owned());
        Ok(Ok(()))
    }

    async fn make(&self, mailbox: &str) -> StoreResult<()> {
        if self.account.exists(mailbox).await? {
            return Ok(());
        }
        match self.account.create(mailbox, None).await {
            // Another delivery was faster.
            Ok(()) | Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        self.account.subscribe(mailbox, true).await
    }

    /// Files outside the home, as procmail itself would write them.
    async fn elsewhere(&self, effect: Effect) -> Reply {
        let policy = Policy {
            programs: false,
            own_process: false,
        };
        let name = &self.filter.config.hostname;
        let Place {
            directory, umask, ..
        } = &self.place;
        let mut host = Host::new(policy, name, self.job.user, directory, *umask);
        let acted = self.filter.files.run(move || host.act(effect)).await;
        acted.unwrap_or(Reply::Failed)
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

    fn open_log(&self, name: &[u8]) -> Option<LogTo> {
        if name == b"/dev/null" {
            return Some(LogTo::Nowhere);
        }
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        let path = self.at(name);
        let file = in_place(|| self.rc.open(&path, flags)).ok()?;
        Some(LogTo::File(Arc::new(file)))
    }

    /// A log that cannot be written to must not stop the delivery.
    fn write_log(&mut self, log: &Log) {
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

    async fn run_program(&mut self, mut run: Run) -> Ran {
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

    /// Sees to it that the message is somewhere, or that its sender hears.
    async fn conclude(&mut self, ended: Result<Ended, String>) -> Result<(), Outcome> {
        let reason = match ended {
            Ok(ended) => {
                let exit = ended.exit;
                let fixed = ended.environment.get(b"EXITCODE");
                let meant = fixed == Some(exit.to_string().as_bytes()) && FAILURES.contains(&exit);
                match ended.end {
                    End::Delivered if meant && exit != TRY_LATER => return Err(failed(exit)),
                    End::Delivered => return Ok(()),
                    End::HostMismatch if meant => return Err(failed(exit)),
                    End::HostMismatch => "HOST is another".to_owned(),
                    _ => "it delivers nowhere".to_owned(),
                }
            }
            Err(reason) => reason,
        };
        self.complain(&reason, "kept in INBOX");
        let content = if self.edited {
            Content::Edited(self.message.clone())
        } else {
            Content::Original
        };
        self.store("INBOX", content).await?.map_err(from_store)
    }
}

/// Tells a program's thread that nobody waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether another folder may be tried, or all of it later.
fn refused(error: StoreError) -> Result<StoreResult<()>, Outcome> {
    match error {
        StoreError::Name { .. } | StoreError::NoMailbox(_) | StoreError::Limit(_) => Ok(Err(error)),
        error => Err(from_store(error)),
    }
}

/// What EXITCODE tells the mail system.
fn failed(exit: u8) -> Outcome {
    let failure = |code: &str| {
        let reason = format!("the recipient's filter gave exit code {exit}");
        Failure::new(code, reason)
    };
    match exit {
        TRY_LATER => Outcome::Deferred(failure("4.3.0")),
        NO_USER => Outcome::Failed(failure("5.1.1")),
        NO_PERMISSION => Outcome::Failed(failure("5.7.1")),
        _ => Outcome::Failed(failure("5.3.0")),
    }
}

fn ctime(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%a %b %e %H:%M:%S %Y")
            .to_string(),
        Err(_) => crate::procmail::date(),
    }
}

fn with_lf(octets: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            None => text.extend_from_slice(line),
        }
    }
    text
}

fn with_crlf(text: &[u8]) -> Bytes {
    let mut octets = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                octets.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                octets.extend_from_slice(b"\r\n");
            }
            None => octets.extend_from_slice(line),
        }
    }
    octets.into()
}
