//! The evaluator.
//!
//! procmail executes an rcfile while it reads it, and a program may have to be run in the middle
//! of a word. The evaluation is therefore written as one straight `async` computation that the
//! compiler turns into a state machine; it awaits nothing but the host's answers ([`port`]), so
//! [`Evaluator::step`] needs no runtime, and it can be dropped at any point.

mod action;
mod condition;
mod ending;
mod expand;
mod folder;
mod lock;
mod log;
mod port;
mod program;
mod recipe;
mod source;
mod statement;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::ast::Span;
use crate::compiled::Compiled;
use crate::config::Config;
use crate::effect::{Effect, Outcome, Reply, Step};
use crate::error::{Error, Limit, Misuse};
use crate::message::Message;
use crate::note::{Fact, Note, Subject, Verdict};
use crate::variable::{Environment, Settings};

pub(crate) use folder::folder_kind;
pub(crate) use recipe::{LocalLock, trim};
pub(crate) use source::{is_blank, is_name, is_name_start, is_space, join_expression, join_lines};

use port::Port;
use source::{Source, until_nul};

/// One run of the rcfiles over one message: see the [crate's page](crate) for the loop.
pub struct Evaluator {
    run: Pin<Box<dyn Future<Output = Result<Outcome, Error>> + Send>>,
    port: Arc<Port>,
    result: Option<Result<Outcome, Error>>,
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator")
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

impl Evaluator {
    /// A run about to begin; `message` is the mail with its line ends as `\n`.
    #[must_use]
    pub fn new(config: Config, message: &[u8]) -> Self {
        let port = Arc::new(Port::new(config.limits.clone()));
        let machine = Machine::new(config, message, Arc::clone(&port));
        Self {
            run: Box::pin(machine.run()),
            port,
            result: None,
        }
    }

    /// Goes on until the host has to do something, or to the end.
    ///
    /// # Errors
    ///
    /// A limit was exceeded: the run is over and will say so again if stepped again.
    pub fn step(&mut self) -> Result<Step, Error> {
        if let Some(result) = &self.result {
            return result.clone().map(Step::Done);
        }
        if self.port.is_waiting() {
            return Ok(Step::NeedAnswer);
        }
        let mut context = Context::from_waker(Waker::noop());
        match self.run.as_mut().poll(&mut context) {
            Poll::Ready(result) => {
                self.result = Some(result.clone());
                result.map(Step::Done)
            }
            Poll::Pending => Ok(self.port.take().map_or(Step::NeedAnswer, Step::Ask)),
        }
    }

    /// Answers the last effect.
    ///
    /// # Errors
    ///
    /// Nothing was asked, or the effect does not allow this answer; the effect still waits.
    pub fn answer(&mut self, reply: Reply) -> Result<(), Misuse> {
        self.port.answer(reply)
    }
}

/// An rcfile being read.
#[derive(Clone, Debug)]
struct Frame {
    /// As `$_` shows it.
    name: Vec<u8>,
    source: Source,
    /// Its recipes, read before.
    compiled: Arc<Compiled>,
    /// Open braces of the files below.
    braces: usize,
}

/// Where a run stands, apart from the rcfiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Statements are read.
    Running,
    /// The message is delivered.
    Delivered,
    /// HOST did not match: the rcfiles of the stack are done.
    HostMismatch,
}

/// The whole state of a run; a clone copies it.
#[derive(Clone, Debug)]
struct Machine {
    config: Arc<Config>,
    port: Arc<Port>,
    environment: Arc<Environment>,
    settings: Settings,
    message: Arc<Message>,
    arguments: Vec<Vec<u8>>,
    frames: Vec<Frame>,
    /// The next of the configured rcfiles.
    next_rc: usize,
    /// `prevcond` and `lastcond` saved at each brace that is open and executed.
    braces: Vec<(bool, bool)>,
    /// Open braces of blocks that are not executed.
    skipping: usize,
    last_condition: bool,
    previous_condition: bool,
    last_success: bool,
    /// `$=`
    score: i64,
    /// `$?`
    status: i32,
    /// LASTFOLDER as the log abstract and `$-` show it.
    last_folder: Vec<u8>,
    /// Octets written last.
    last_size: usize,
    /// The file that was delivered to last, unless that was a program.
    last_file: Option<Vec<u8>>,
    /// The header's folded fields are joined, as the last search wanted them: a log abstract
    /// written now shows them so.
    joined: bool,
    local_lock: Option<Vec<u8>>,
    global_lock: Option<Vec<u8>>,
    /// `DELIVERED=yes`
    detached: bool,
    /// `DROPPRIVS=yes`
    privileges_dropped: bool,
    /// LOGFILE was set.
    logging: bool,
    /// Backquotes being expanded inside one another.
    nested: usize,
    /// LINEBUF did not suffice since this was last cleared.
    overflow: bool,
    log: Vec<u8>,
    log_stamped: bool,
    progress: Progress,
    /// What came of the last condition, for notes.
    verdict: Verdict,
    /// What the condition under way looks at.
    subject: Option<Subject>,
}

impl Machine {
    fn new(config: Config, message: &[u8], port: Arc<Port>) -> Self {
        Self {
            settings: Settings::new(&config.shell),
            arguments: config.arguments.clone(),
            port,
            environment: Arc::new(Environment::default()),
            message: Arc::new(Message::new(message, !config.ignore_content_length)),
            frames: Vec::new(),
            next_rc: 0,
            braces: Vec::new(),
            skipping: 0,
            last_condition: false,
            previous_condition: false,
            last_success: false,
            score: 0,
            status: 0,
            last_folder: Vec::new(),
            last_size: 0,
            last_file: None,
            joined: false,
            local_lock: None,
            global_lock: None,
            detached: false,
            privileges_dropped: false,
            logging: false,
            nested: 0,
            overflow: false,
            log: Vec::new(),
            log_stamped: false,
            progress: Progress::Running,
            verdict: Verdict::NotTried,
            subject: None,
            config: Arc::new(config),
        }
    }

    async fn run(mut self) -> Result<Outcome, Error> {
        match self.go().await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                // What was logged so far tells the reader how it came to this.
                let _ = self.flush().await;
                Err(self.locate(error))
            }
        }
    }

    async fn go(&mut self) -> Result<Outcome, Error> {
        self.set_up().await?;
        self.run_system_rcfile().await?;
        if self.progress == Progress::Running {
            self.open_next_rc().await?;
            self.drive().await?;
        }
        self.finish().await
    }

    /// Runs what comes before the user's own rcfiles. A HOST mismatch ends it alone.
    async fn run_system_rcfile(&mut self) -> Result<(), Error> {
        let Some(rcfile) = self.config.system_rcfile.clone() else {
            return Ok(());
        };
        let text = match rcfile.text {
            Some(text) => Some(text),
            None => self.read_rc(&rcfile.name).await?,
        };
        let Some(text) = text else {
            return Ok(());
        };
        self.push_frame(rcfile.name, text)?;
        while !self.frames.is_empty() && self.progress == Progress::Running {
            self.statement().await?;
        }
        if self.progress == Progress::HostMismatch {
            self.leave_rcfiles();
        }
        if self.progress == Progress::Running {
            self.last_condition = false;
            self.previous_condition = false;
            self.last_success = false;
            if !self.privileges_dropped {
                let path = self.default_path();
                self.assign(b"PATH", Some(&path)).await?;
                self.settings.verbose = 0;
            }
        }
        Ok(())
    }

    /// Ends all rcfiles of the stack after a HOST mismatch.
    fn leave_rcfiles(&mut self) {
        self.frames.clear();
        self.braces.clear();
        self.skipping = 0;
        self.progress = Progress::Running;
    }

    fn locate(&self, error: Error) -> Error {
        match self.frames.last() {
            Some(frame) => error.at(&frame.name, frame.source.line()),
            None => error,
        }
    }

    /// Reads statements until the mail is delivered or the rcfiles are at an end.
    async fn drive(&mut self) -> Result<(), Error> {
        loop {
            while !self.frames.is_empty() && self.progress == Progress::Running {
                self.statement().await?;
            }
            if self.progress != Progress::HostMismatch {
                return Ok(());
            }
            self.leave_rcfiles();
            if !self.open_next_rc().await? {
                self.progress = Progress::HostMismatch;
                return Ok(());
            }
        }
    }

    /// Opens the next configured rcfile that can be read.
    async fn open_next_rc(&mut self) -> Result<bool, Error> {
        while let Some(rcfile) = self.config.rcfiles.get(self.next_rc).cloned() {
            let first = self.value(b"MAILDIR").is_none();
            self.next_rc += 1;
            let text = match rcfile.text {
                Some(text) => Some(text),
                None => self.read_rc(&rcfile.name).await?,
            };
            let Some(text) = text else {
                // Those behind it are tried without a word.
                if self.next_rc == 1 {
                    self.log_quoted(b"Couldn't read", &rcfile.name)?;
                }
                continue;
            };
            if first {
                let maildir = self.config.maildir.clone();
                self.assign(b"MAILDIR", Some(&maildir)).await?;
            }
            self.trace_quoted(b"Rcfile:", &rcfile.name)?;
            self.push_frame(rcfile.name, text)?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn read_rc(&mut self, path: &[u8]) -> Result<Option<Arc<[u8]>>, Error> {
        self.port.count_rc()?;
        match self
            .ask(Effect::ReadRc {
                path: path.to_vec(),
            })
            .await?
        {
            Reply::Rc(Some(text)) if text.len() > self.config.limits.rc_size => {
                Err(Error::limit(Limit::RcSize))
            }
            Reply::Rc(Some(text)) => Ok(Some(Arc::from(text))),
            _ => Ok(None),
        }
    }

    fn push_frame(&mut self, name: Vec<u8>, text: Arc<[u8]>) -> Result<(), Error> {
        if self.frames.len() >= self.config.limits.include_depth {
            return Err(Error::limit(Limit::IncludeDepth));
        }
        let shown = match self.value(b"MAILDIR") {
            Some(maildir) if maildir.starts_with(b"/") && !name.starts_with(b"/") => {
                [maildir, b"/", &name].concat()
            }
            _ => name,
        };
        let braces = self.braces.len();
        let compiled = self.config.regexes.compiled(&text);
        self.frames.push(Frame {
            compiled,
            name: shown,
            source: Source::file(text),
            braces,
        });
        Ok(())
    }

    /// Tells the host about a step, if it wants to know.
    async fn note(&mut self, span: Span, fact: Fact) -> Result<(), Error> {
        if !self.config.notes {
            return Ok(());
        }
        let Some(frame) = self.frames.last() else {
            return Ok(());
        };
        let note = Note {
            rcfile: frame.name.clone(),
            line: frame.source.line_of(span.start),
            text: frame.source.slice(&span).trim_ascii().to_vec(),
            span,
            fact,
        };
        self.ask(Effect::Note(note)).await?;
        Ok(())
    }

    /// Where the current rcfile is read.
    fn position(&self) -> usize {
        self.frames
            .last()
            .map_or(0, |frame| frame.source.position())
    }

    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.environment.get(name)
    }

    fn set_value(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let value = until_nul(value);
        Arc::make_mut(&mut self.environment).set(name, value, &self.config.limits)
    }

    fn remove_value(&mut self, name: &[u8]) {
        Arc::make_mut(&mut self.environment).remove(name);
    }

    /// Hands over the log, then the effect, and waits for the answer.
    async fn ask(&mut self, effect: Effect) -> Result<Reply, Error> {
        self.flush().await?;
        self.port.ask(effect)?.await
    }
}
