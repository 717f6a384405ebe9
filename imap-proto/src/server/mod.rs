//! A server's side of one connection.

mod answer;
mod append;
mod capability;
mod config;
mod dispatch;
mod event;
mod literal;
mod reply_line;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
pub use config::{Config, Limits};
pub use event::{Event, Payload, Rejected, Rejection};
use proto_core::{Deadlines, Output, Step};

use crate::cursor::Cursor;
use crate::framing::{Frame, Framer};
use crate::wire::{Dialect, Writer};
use crate::{
    Code, Command, Error, Extension, Extensions, StatusKind, StatusResponse, Tag, Untagged,
};

/// `state`: where a connection stands (RFC 9051 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody is logged in.
    NotAuthenticated,
    /// Somebody is, no mailbox is selected.
    Authenticated,
    /// A mailbox is selected.
    Selected,
    /// The connection is over.
    Logout,
}

/// What the machine is in the middle of.
#[derive(Debug)]
enum Mode {
    /// A command may come.
    Ready,
    /// The host owes a tagged reply.
    Answering { tag: Tag, on_ok: OnOk },
    /// A SASL exchange; whose turn it is.
    Authenticating { tag: Tag, clients_turn: bool },
    /// IDLE, until DONE.
    Idling { tag: Tag },
    /// STARTTLS was answered OK; the handshake is the host's.
    Handshake,
    /// APPEND.
    Payload(Box<append::Receiving>),
    /// Over; output may be left.
    Closed,
}

/// What an OK changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnOk {
    Nothing,
    Authenticate,
    Select,
    Deselect,
    StartTls,
    Unauthenticate,
    Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Authentication,
    Idle,
    Payload,
    Drain,
    Pace,
}

/// What comes behind a streamed content.
#[derive(Debug)]
enum Piece {
    Octets(Bytes),
    Stream(u64),
}

/// A server's side of one connection: no socket, no clock, no mail.
///
/// See the [crate's page](crate) for the loop. Each [`Event`] names its
/// answers.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    state: State,
    mode: Mode,
    tls: bool,
    enabled: Extensions,
    /// What the configuration offers, with and without values.
    offered: Extensions,
    dialect: Dialect,
    /// LANGUAGE was used: texts may be UTF-8 (RFC 5255 §3.5).
    utf8_texts: bool,
    framer: Framer,
    /// What is being skipped, and will be answered behind it.
    rejecting: Option<Rejected>,
    output: Output,
    /// Octets of a streamed content that the host owes.
    owed: u64,
    behind: VecDeque<Piece>,
    deadlines: Deadlines<Timer>,
    errors: u32,
    /// When the commands so far would be over at their rate.
    paced: Option<Instant>,
    eof: bool,
    fatal: Option<Error>,
}

impl Server {
    /// A connection that was just accepted; the greeting is queued.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        let mut server = Self {
            state: State::NotAuthenticated,
            mode: Mode::Ready,
            tls: config.implicit_tls,
            enabled: Extensions::default(),
            offered: capability::offered(&config),
            dialect: Dialect::SERVER,
            utf8_texts: false,
            framer: Framer::default(),
            rejecting: None,
            output: Output::default(),
            owed: 0,
            behind: VecDeque::new(),
            deadlines: Deadlines::default(),
            errors: 0,
            paced: None,
            eof: false,
            fatal: None,
            config,
        };
        let limit = server.config.limits.authentication_time;
        server.deadlines.set(Timer::Authentication, now + limit);
        let greeting = StatusResponse::ok(server.config.greeting.clone())
            .with(Code::Capability(server.capabilities()));
        server.push(&Untagged::Status(greeting));
        server
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.mode {
            Mode::Closed => State::Logout,
            _ => self.state,
        }
    }

    /// Whether the connection is under TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether the client enabled `extension` (RFC 5161), or used what
    /// enables CONDSTORE (RFC 7162 §3.1).
    #[must_use]
    pub fn is_enabled(&self, extension: Extension) -> bool {
        self.enabled.holds(extension)
            || extension == Extension::CondStore && self.enabled.holds(Extension::QResync)
    }

    /// Whether IDLE is going on.
    #[must_use]
    pub fn is_idling(&self) -> bool {
        matches!(self.mode, Mode::Idling { .. })
    }

    /// Octets of a streamed content that the host still owes.
    #[must_use]
    pub fn payload_owed(&self) -> u64 {
        self.owed
    }

    /// Whether output waits for the client beyond the limit: a host that
    /// sends much writes it out before it goes on.
    #[must_use]
    pub fn wants_drain(&self) -> bool {
        self.output.len() > self.config.limits.output
    }

    /// Takes one event off the front of `input`.
    ///
    /// # Errors
    /// When the connection is over by the client's fault; a farewell is in
    /// the output where one is due.
    pub fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Event>, Error> {
        if let Some(error) = self.fatal.take() {
            return Err(error);
        }
        if self.wants_drain() && !matches!(self.mode, Mode::Closed) {
            if self.deadlines.when(Timer::Drain).is_none() {
                let limit = self.config.limits.idle_time;
                self.deadlines.set(Timer::Drain, now + limit);
            }
            return Ok(Step::NeedDrain);
        }
        self.deadlines.clear(Timer::Drain);
        loop {
            if let Some(step) = self.advance(input, now)? {
                return self.settle(step, now);
            }
        }
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// When `handle_timeout` wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Ends the connection if a deadline has passed at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let (error, text) = match self.deadlines.expired(now) {
            None => return,
            Some(Timer::Authentication) => ("authentication", "Nobody logged in"),
            Some(Timer::Idle) => ("idle", "Autologout; idle for too long"),
            Some(Timer::Payload) => ("payload", "Message arrives too slowly"),
            // The next poll goes on.
            Some(Timer::Pace) => return self.deadlines.clear(Timer::Pace),
            Some(Timer::Drain) => {
                // Nobody reads: no farewell either.
                self.close();
                self.output.clear();
                self.fatal = Some(Error::TimedOut("output"));
                return;
            }
        };
        self.bye(StatusResponse::new(StatusKind::Bye, text));
        self.fatal = Some(Error::TimedOut(error));
    }

    /// The client closed its side.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// The host goes down: BYE, and nothing more is read.
    pub fn shutdown(&mut self) {
        if !matches!(self.mode, Mode::Closed) {
            let bye = StatusResponse::new(StatusKind::Bye, "Server shutting down");
            self.bye(bye.with(Code::Unavailable));
        }
    }

    /// One step; `None` to go on.
    fn advance(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<Step<Event>>, Error> {
        match &self.mode {
            Mode::Closed => Ok(Some(Step::Closed)),
            Mode::Answering { on_ok, .. } => {
                if *on_ok == OnOk::StartTls && !input.is_empty() {
                    return Err(self.injected());
                }
                Ok(Some(Step::NeedAnswer))
            }
            Mode::Handshake if input.is_empty() => Ok(Some(Step::NeedAnswer)),
            Mode::Handshake => Err(self.injected()),
            Mode::Authenticating {
                clients_turn: false,
                ..
            } => Ok(Some(Step::NeedAnswer)),
            Mode::Authenticating { .. } => self.advance_authentication(input),
            Mode::Idling { .. } => self.advance_idle(input),
            Mode::Payload(_) => self.advance_payload(input, now),
            Mode::Ready => {
                if let Some(until) = self.too_fast(now) {
                    self.deadlines.set(Timer::Pace, until);
                    // What is not taken must not grow without end.
                    let is_full = input.len() > self.config.limits.command;
                    return Ok(Some(match is_full {
                        true => Step::NeedDrain,
                        false => Step::NeedInput,
                    }));
                }
                self.advance_command(input, now)
            }
        }
    }

    /// Keeps the idle timer and sees the end of input.
    fn settle(&mut self, step: Step<Event>, now: Instant) -> Result<Step<Event>, Error> {
        if step != Step::NeedInput {
            self.deadlines.clear(Timer::Idle);
            return Ok(step);
        }
        if self.eof {
            let in_payload = matches!(self.mode, Mode::Payload(_));
            self.close();
            return match in_payload {
                true => Err(Error::EofInLiteral),
                false => Ok(Step::Closed),
            };
        }
        let unauthenticated = self.state == State::NotAuthenticated;
        if unauthenticated && self.deadlines.when(Timer::Authentication).is_none() {
            // Again, behind UNAUTHENTICATE.
            let limit = self.config.limits.authentication_time;
            self.deadlines.set(Timer::Authentication, now + limit);
        }
        let idle = self.deadlines.when(Timer::Idle).is_some();
        let in_payload = matches!(self.mode, Mode::Payload(_));
        if in_payload && self.deadlines.when(Timer::Payload).is_none() {
            // Who dribbles around a message is no better than who dribbles it.
            let limit = self.config.limits.payload_time;
            self.deadlines.set(Timer::Payload, now + limit);
        }
        if !unauthenticated && !in_payload && !idle {
            let limit = self.config.limits.idle_time;
            self.deadlines.set(Timer::Idle, now + limit);
        }
        Ok(step)
    }

    /// Until when the next command has to wait. At the end of input nothing
    /// does: there is no more than the host has.
    fn too_fast(&self, now: Instant) -> Option<Instant> {
        let limits = &self.config.limits;
        let burst = self
            .interval()?
            .checked_mul(limits.command_burst.saturating_sub(1))?;
        let allowed = self.paced?.checked_sub(burst)?;
        (allowed > now && !self.eof).then_some(allowed)
    }

    fn interval(&self) -> Option<Duration> {
        Duration::from_secs(1).checked_div(self.config.limits.command_rate)
    }

    fn count_command(&mut self, now: Instant) {
        if let Some(interval) = self.interval() {
            let from = self.paced.map_or(now, |paced| paced.max(now));
            self.paced = Some(from + interval);
        }
    }

    fn advance_command(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<Step<Event>>, Error> {
        match self.framer.poll(input, self.config.limits.line) {
            Frame::NeedInput => Ok(Some(Step::NeedInput)),
            Frame::Whole(text) => {
                self.count_command(now);
                self.deadlines.clear(Timer::Idle);
                let mut c = Cursor::line(&text);
                self.prepare(&mut c);
                let parsed = Command::parse_at(&mut c);
                match parsed {
                    Ok(command) => self.dispatch(command, input),
                    Err(_) if append::is_append(&text) => self.begin_whole(&text),
                    Err(error) => {
                        let tag = tag_of(&text);
                        self.reject(tag, Rejection::Syntax(error)).map(Some)
                    }
                }
            }
            Frame::Literal(literal) => self.literal(input, literal),
            Frame::TooLong => {
                self.skip_line(input, Rejection::LineTooLong);
                Ok(None)
            }
            Frame::BareLf => {
                self.skip_line(input, Rejection::BareLf);
                Ok(None)
            }
            Frame::Discarded => self.discarded(),
        }
    }

    fn prepare(&self, c: &mut Cursor<'_>) {
        c.utf8 = self.dialect.utf8;
        c.max_ranges = self.config.limits.ranges;
    }

    /// The end of what was skipped.
    fn discarded(&mut self) -> Result<Option<Step<Event>>, Error> {
        match self.rejecting.take() {
            Some(Rejected { tag, rejection }) => self.reject(tag, rejection).map(Some),
            // A message that the host refused is answered already.
            None => Ok(None),
        }
    }

    /// Answers BAD (or NO) and tells the host.
    fn reject(&mut self, tag: Option<Tag>, rejection: Rejection) -> Result<Step<Event>, Error> {
        let text = rejection.to_string();
        let status = match &rejection {
            Rejection::PrivacyRequired => StatusResponse::no(text).with(Code::PrivacyRequired),
            Rejection::Mechanism => StatusResponse::no(text).with(Code::Cannot),
            Rejection::LiteralTooLarge(_) => StatusResponse::bad(text).with(Code::TooBig),
            Rejection::State(_) => StatusResponse::bad(text).with(Code::ClientBug),
            Rejection::UidRequired => StatusResponse::bad(text).with(Code::UidRequired),
            _ => StatusResponse::bad(text),
        };
        match &tag {
            Some(tag) => self.push_tagged(tag, &status),
            None => self.push(&Untagged::Status(status)),
        }
        self.errors += 1;
        if self.errors >= self.config.limits.errors {
            self.bye(StatusResponse::new(StatusKind::Bye, "Too many errors"));
            return Err(Error::TooManyErrors);
        }
        Ok(Step::Event(Event::Rejected(Rejected { tag, rejection })))
    }

    fn injected(&mut self) -> Error {
        self.close();
        Error::InjectedBehindStartTls
    }

    /// Says BYE, unless a streamed content is open: it would be read as part
    /// of it.
    fn bye(&mut self, status: StatusResponse) {
        if self.owed == 0 {
            self.push(&Untagged::Status(status));
        }
        self.close();
    }

    fn close(&mut self) {
        self.mode = Mode::Closed;
        self.owed = 0;
        self.behind.clear();
        self.deadlines.clear_all();
    }

    fn push(&mut self, data: &Untagged) {
        let mut breaks = Vec::new();
        let dialect = match data {
            Untagged::Status(_) => self.text_dialect(),
            _ => self.dialect,
        };
        data.encode_line(&mut Writer {
            text: self.output.text(),
            breaks: &mut breaks,
            dialect,
        });
        if let Some(first) = breaks.first().map(|one| one.at) {
            self.cut(first, breaks);
        }
    }

    /// How texts for people are written.
    fn text_dialect(&self) -> Dialect {
        Dialect {
            utf8: self.dialect.utf8 || self.utf8_texts,
            ..self.dialect
        }
    }

    fn push_tagged(&mut self, tag: &Tag, status: &StatusResponse) {
        let mut breaks = Vec::new();
        let dialect = self.text_dialect();
        let mut w = Writer {
            text: self.output.text(),
            breaks: &mut breaks,
            dialect,
        };
        w.str(tag.as_str());
        w.space();
        status.encode(&mut w);
        w.raw(b"\r\n");
    }
}

/// The tag at the front of what may be no command at all.
///
/// One that nothing follows may be the front of a longer one.
fn tag_of(text: &[u8]) -> Option<Tag> {
    let mut c = Cursor::new(text);
    let tag = Tag::parse(&mut c).ok()?;
    (!c.is_end()).then_some(tag)
}
