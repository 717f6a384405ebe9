//! The pausable runtime: instructions, questions, the outcome.

mod action;
pub(crate) mod address;
mod body;
mod calendar;
pub(crate) mod convert;
mod date;
pub(crate) mod edit;
pub(crate) mod envelope;
mod expand;
mod fields;
mod message;
pub(crate) mod notify;
mod part;
pub(crate) mod report;
mod spend;
mod suite;
mod test;
pub(crate) mod vacation;
mod value;
pub(crate) mod xmpp;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::action::{Action, Keep};
use crate::config::{Config, Envelope};
use crate::program::{Op, Program};
use crate::question::{Answer, Question};
use crate::{Misuse, Script};
use message::Message;

/// A script at work on one message.
///
/// Call [`step`](Self::step) until it is [`Progress::Done`]; where it asks, [`answer`](Self::answer) and step on. It
/// may rest between the two for as long as the host needs.
pub struct Evaluation<'m> {
    config: Arc<Config>,
    envelope: Envelope,
    message: Message<'m>,
    frames: Vec<Frame>,
    globals: HashMap<String, Vec<u8>>,
    /// The internal flag variable (RFC 5232 §2).
    flags: Vec<String>,
    implicit_keep: bool,
    actions: Vec<Action>,
    /// Ids asked about, to be remembered at the end (RFC 7352 §3).
    tracked: Vec<Action>,
    included: BTreeSet<String>,
    includes: usize,
    /// What the host answered while the current instruction runs. An instruction that asks is begun anew once the
    /// answer is there; it changes nothing before its last question.
    answers: Vec<Answer>,
    next_answer: usize,
    asked: Option<Question>,
    steps: u64,
    /// See [`Limits::octets`](crate::Limits::octets).
    spent: AtomicU64,
    line: u32,
    outcome: Option<Outcome>,
    trace: Vec<TraceEntry>,
    traced_values: Vec<String>,
    debug: Vec<String>,
    header_changes: usize,
    suite: suite::State,
}

/// One running script.
struct Frame {
    program: Arc<Program>,
    /// Where `include` found it; `None` for the outermost.
    name: Option<String>,
    at: usize,
    result: bool,
    locals: Vec<Vec<u8>>,
    captures: Vec<Box<[u8]>>,
    loops: Vec<part::PartLoop>,
}

impl Frame {
    fn new(program: &Arc<Program>, name: Option<String>) -> Self {
        Self {
            program: Arc::clone(program),
            name,
            at: 0,
            result: false,
            locals: vec![Vec::new(); program.locals],
            captures: Vec::new(),
            loops: Vec::new(),
        }
    }
}

/// What [`Evaluation::step`] came to.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Progress {
    /// The host must answer.
    Ask(Question),
    /// The script is over.
    Done(Outcome),
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What to do, in order. Never empty of consequence: without any action that disposes of the message it holds a
    /// [`Keep`] that is implicit.
    pub actions: Vec<Action>,
    /// Why the script was given up, if it was; then the only action is the implicit keep.
    pub error: Option<RuntimeError>,
    /// Lines of `debug_log`.
    pub debug: Vec<String>,
}

/// A fault met while a script ran.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
#[non_exhaustive]
pub struct RuntimeError {
    /// The 1-based line of the command or test.
    pub line: u32,
    /// What went wrong.
    pub message: String,
}

/// One step of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceEntry {
    /// The included script, or `None` for the script itself.
    pub script: Option<String>,
    /// The 1-based line.
    pub line: u32,
    /// The test or command.
    pub what: String,
    /// Of a test: its result.
    pub result: Option<bool>,
    /// Of a test: the first values that it looked at.
    pub values: Vec<String>,
}

impl std::fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(script) = &self.script {
            write!(f, "{script}:")?;
        }
        write!(f, "{}: {}", self.line, self.what)?;
        if !self.values.is_empty() {
            write!(f, " {:?}", self.values)?;
        }
        match self.result {
            Some(true) => f.write_str(" -> true"),
            Some(false) => f.write_str(" -> false"),
            None => Ok(()),
        }
    }
}

/// Why an instruction did not end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The host must be asked first.
    Ask(Box<Question>),
    /// The script is given up.
    Fail(String),
}

/// Where to go on.
enum Flow {
    Next,
    Goto(usize),
    /// Another frame is on top.
    Enter,
    Leave,
    Stop,
}

impl<'m> Evaluation<'m> {
    /// Begins to evaluate `script` for `message`, which is in CRLF or LF form.
    #[must_use]
    pub fn new(
        script: &Script,
        message: &'m [u8],
        envelope: Envelope,
        config: impl Into<Arc<Config>>,
    ) -> Self {
        Self::begin(
            script,
            Message::new(Cow::Borrowed(message)),
            envelope,
            config.into(),
        )
    }

    fn begin(
        script: &Script,
        message: Message<'m>,
        envelope: Envelope,
        config: Arc<Config>,
    ) -> Self {
        Self {
            config,
            envelope,
            message,
            frames: vec![Frame::new(&script.program, None)],
            globals: HashMap::new(),
            flags: Vec::new(),
            implicit_keep: true,
            actions: Vec::new(),
            tracked: Vec::new(),
            included: BTreeSet::new(),
            includes: 0,
            answers: Vec::new(),
            next_answer: 0,
            asked: None,
            steps: 0,
            spent: AtomicU64::new(0),
            line: 0,
            outcome: None,
            trace: Vec::new(),
            traced_values: Vec::new(),
            debug: Vec::new(),
            header_changes: 0,
            suite: suite::State::default(),
        }
    }

    /// Sets the internal flag variable: what an IMAP server knows of a message that is not new (RFC 6785 §4.5).
    #[must_use]
    pub fn with_flags(mut self, flags: impl IntoIterator<Item = String>) -> Self {
        self.flags = flags.into_iter().collect();
        self
    }

    /// Runs until the script is over or must ask. The same answer comes again until the question is answered.
    pub fn step(&mut self) -> Progress {
        if let Some(question) = &self.asked {
            return Progress::Ask(question.clone());
        }
        if let Some(outcome) = &self.outcome {
            return Progress::Done(outcome.clone());
        }
        loop {
            match self.run() {
                Ok(()) => return Progress::Done(self.finish(None)),
                Err(Fault::Ask(question)) => {
                    self.asked = Some((*question).clone());
                    return Progress::Ask(*question);
                }
                Err(Fault::Fail(message)) => {
                    self.answers.clear();
                    if self.fail_case(&message) {
                        continue;
                    }
                    let line = self.line;
                    return Progress::Done(self.finish(Some(RuntimeError { line, message })));
                }
            }
        }
    }

    /// Answers the question that `step` gave.
    ///
    /// # Errors
    /// No question is open.
    pub fn answer(&mut self, answer: Answer) -> Result<(), Misuse> {
        if self.asked.take().is_none() {
            return Err(Misuse::NotExpected { call: "answer" });
        }
        self.answers.push(answer);
        Ok(())
    }

    /// What was tested and done so far, if [`Config::trace`] is set.
    #[must_use]
    pub fn trace(&self) -> &[TraceEntry] {
        &self.trace
    }

    fn finish(&mut self, error: Option<RuntimeError>) -> Outcome {
        let mut actions = std::mem::take(&mut self.actions);
        if error.is_some() {
            // RFC 5228 §2.10.6: mail is never lost to a faulty script.
            actions = vec![Action::Keep(Keep {
                implicit: true,
                ..Keep::default()
            })];
        } else {
            if self.implicit_keep {
                actions.push(Action::Keep(Keep {
                    implicit: true,
                    flags: self.flags.clone(),
                    edited: self.kept_edit(),
                }));
            }
            actions.append(&mut self.tracked);
        }
        let outcome = Outcome {
            actions,
            error,
            debug: std::mem::take(&mut self.debug),
        };
        self.outcome = Some(outcome.clone());
        outcome
    }

    fn run(&mut self) -> Result<(), Fault> {
        self.check_event()?;
        while let Some(frame) = self.frames.last() {
            let program = Arc::clone(&frame.program);
            let mut at = frame.at;
            loop {
                let Some(instruction) = program.instructions.get(at) else {
                    self.frames.pop();
                    break;
                };
                self.line = instruction.line;
                self.next_answer = 0;
                if let Some(frame) = self.frames.last_mut() {
                    frame.at = at;
                }
                self.steps += 1;
                if self.steps > self.config.limits.steps {
                    return Err(Fault::Fail("the script takes too many steps".to_owned()));
                }
                let flow = self.execute(&program, &instruction.op, at)?;
                self.check_spent()?;
                if !self.answers.is_empty() {
                    self.answers.clear();
                }
                match flow {
                    Flow::Next => at += 1,
                    Flow::Goto(target) => at = target,
                    Flow::Enter => break,
                    Flow::Leave => {
                        self.frames.pop();
                        break;
                    }
                    Flow::Stop => {
                        self.frames.clear();
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn result(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.result)
    }

    fn set_result(&mut self, result: bool) {
        if let Some(frame) = self.frames.last_mut() {
            frame.result = result;
        }
    }

    fn execute(&mut self, program: &Program, op: &Op, at: usize) -> Result<Flow, Fault> {
        Ok(match op {
            Op::Jump(target) => Flow::Goto(*target),
            Op::JumpIfTrue(target) if self.result() => Flow::Goto(*target),
            Op::JumpIfFalse(target) if !self.result() => Flow::Goto(*target),
            Op::JumpIfTrue(_) | Op::JumpIfFalse(_) => Flow::Next,
            Op::Not => {
                let result = self.result();
                self.set_result(!result);
                Flow::Next
            }
            Op::Constant(value) => {
                self.set_result(*value);
                Flow::Next
            }
            Op::Test(number) => {
                // A program names only what it holds.
                let Some(test) = program.tests.get(*number) else {
                    return Ok(Flow::Next);
                };
                self.spend_look();
                let result = self.test(test)?;
                self.set_result(result);
                if self.config.trace {
                    self.record(test.name(), Some(result));
                }
                Flow::Next
            }
            Op::Run(number) => {
                let Some(command) = program.commands.get(*number) else {
                    return Ok(Flow::Next);
                };
                self.spend_look();
                let flow = self.command(command, at)?;
                if self.config.trace {
                    self.record(command.name(), None);
                }
                flow
            }
            Op::Stop => Flow::Stop,
            Op::Return => Flow::Leave,
            Op::EnterParts => {
                self.enter_parts();
                Flow::Next
            }
            Op::NextPart(end) => {
                if self.next_part() {
                    Flow::Next
                } else {
                    Flow::Goto(*end)
                }
            }
            Op::Break(loops, end) => {
                self.leave_parts(*loops);
                Flow::Goto(*end)
            }
            Op::BeginCase(name, end) => {
                let name = self.expand_string(name);
                self.begin_case(name, *end);
                Flow::Next
            }
            Op::EndCase => {
                self.end_case();
                Flow::Next
            }
        })
    }

    fn record(&mut self, what: &str, result: Option<bool>) {
        if self.trace.len() >= self.config.limits.trace {
            return;
        }
        self.trace.push(TraceEntry {
            script: self.frames.last().and_then(|frame| frame.name.clone()),
            line: self.line,
            what: what.to_owned(),
            result,
            values: std::mem::take(&mut self.traced_values),
        });
    }

    /// The host's answer, once it is there.
    fn ask(&mut self, question: Question) -> Result<Answer, Fault> {
        match self.answers.get(self.next_answer) {
            None => {
                self.check_spent()?;
                Err(Fault::Ask(Box::new(question)))
            }
            Some(Answer::Failed(reason)) => Err(Fault::Fail(reason.clone())),
            Some(answer) => {
                self.next_answer += 1;
                Ok(answer.clone())
            }
        }
    }

    fn ask_bool(&mut self, question: Question) -> Result<bool, Fault> {
        match self.ask(question)? {
            Answer::Bool(answer) => Ok(answer),
            _ => Err(wrong_answer()),
        }
    }

    fn ask_text(&mut self, question: Question) -> Result<Option<String>, Fault> {
        match self.ask(question)? {
            Answer::Text(answer) => Ok(answer),
            _ => Err(wrong_answer()),
        }
    }

    /// What only a delivery can do is an error where an IMAP event runs the script (RFC 6785 §3.11).
    fn check_event(&self) -> Result<(), Fault> {
        const OF_DELIVERY: [&str; 3] = ["reject", "ereject", "vacation"];
        if self.config.imap_event.is_none() {
            return Ok(());
        }
        let required = self.frames.last().map(|frame| frame.program.required);
        match OF_DELIVERY
            .iter()
            .find(|name| required.is_some_and(|required| required.contains(name)))
        {
            Some(name) => Err(Fault::Fail(format!("`{name}` is not for IMAP events"))),
            None => Ok(()),
        }
    }

    /// The changed message for a keep. In a mailbox messages do not change (RFC 6785 §3.1).
    fn kept_edit(&mut self) -> Option<crate::Edited> {
        match self.config.imap_event {
            None => self.message.edited(),
            Some(_) => None,
        }
    }

    /// An item of `environment` (RFC 5183 §4.1).
    fn environment(&self, name: &str) -> Option<Cow<'_, str>> {
        let given = self
            .config
            .environment
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        let event = self.config.imap_event.as_ref();
        if let Some((_, value)) = given
            && (event.is_none()
                || !["location", "phase"]
                    .iter()
                    .any(|set| name.eq_ignore_ascii_case(set)))
        {
            return Some(Cow::Borrowed(value));
        }
        match name.to_ascii_lowercase().as_str() {
            "location" if event.is_some() => Some(Cow::Borrowed("MS")),
            "phase" if event.is_some() => Some(Cow::Borrowed("post")),
            "imap.cause" => event.map(|event| Cow::Borrowed(event.cause.name())),
            "imap.mailbox" => event.map(|event| Cow::Borrowed(&*event.mailbox)),
            // RFC 6785 §4.2, §4.5: empty where no event is the cause.
            "imap.user" => Some(event.map_or("".into(), |event| Cow::Borrowed(&*event.user))),
            "imap.email" => Some(event.map_or("".into(), |event| Cow::Borrowed(&*event.email))),
            "imap.changedflags" => {
                Some(event.map_or("".into(), |event| Cow::Owned(event.changed_flags.join(" "))))
            }
            "name" => Some(Cow::Borrowed("posthaste sieve")),
            "version" => Some(Cow::Borrowed(env!("CARGO_PKG_VERSION"))),
            _ => None,
        }
    }
}

fn wrong_answer() -> Fault {
    Fault::Fail("the host gave an answer of the wrong kind".to_owned())
}
