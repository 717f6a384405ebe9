//! The receiving side. All transitions of its `State` are in this file; what
//! a command means is in `command`, what the host answers in `answer`.

mod answer;
mod command;
mod config;
mod event;
mod offer;
mod payload;
mod refuse;

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use proto_core::{
    Deadlines, LineScanner, Misuse, NewlineEncoder, Output, Scan, Secret, Step, sasl,
};

pub use self::config::{Config, Extensions, FutureRelease, Limits, Mode, Timeouts};
pub use self::event::{Error, Event, Fault, Payload, Rejected};
use self::payload::Stream;
use crate::command::{Body, HelloVerb, Verb};
use crate::patience::Patience;
use crate::reply::Reply;

/// One connection of an SMTP or LMTP server.
///
/// The host appends what it reads to `input`, calls [`poll`](Self::poll),
/// acts on the [`Event`]s, answers those that ask for it, and writes
/// [`output`](Self::output). See the crate's page for the loop.
///
/// Commands are taken one by one: a pipelined group waits in `input` while
/// the host makes up its mind, and replies keep the commands' order
/// (RFC 2920).
///
/// For implicit TLS (RFC 8314) call [`tls_started`](Self::tls_started) before
/// the first `poll`.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    state: State,
    scanner: LineScanner,
    output: Output,
    deadlines: Deadlines<Timer>,
    /// Given by the next `poll`, before anything else.
    pending: Option<Event>,
    error: Option<Error>,
    eof: bool,
    stopping: bool,
    tls: bool,
    authenticated: bool,
    hello: Option<HelloVerb>,
    transaction: Option<Transaction>,
    transactions: u32,
    errors: u32,
    auth_failures: u32,
    idle_commands: u32,
    refusals: u32,
    /// `Timer::Drain` is set.
    draining: bool,
}

#[derive(Debug)]
enum State {
    /// The greeting is held back.
    Greeting,
    /// Between commands, or within a line.
    Command,
    /// An event waits for the host.
    Answer(Asked),
    /// A message, or one chunk of it, is coming in.
    Payload(Stream),
    /// The client's response to a challenge is to come.
    AuthResponse,
    /// 220 to STARTTLS was given; the handshake is the host's.
    Handshake,
    /// Drain and close.
    Over,
}

/// What the host was asked.
#[derive(Debug)]
enum Asked {
    /// The transaction is in its place already, for a refusal to take away:
    /// moving it there and back would take longer than to fill it.
    Mail,
    Rcpt,
    /// Whether to take the message; by BDAT, its first chunk.
    PayloadStart(Option<crate::command::Bdat>),
    /// As many replies are still to come.
    PayloadEnd(u32),
    /// A BURL that is not the last piece.
    Piece,
    StartTls,
    Auth,
    Xclient,
    Other,
}

/// From an accepted MAIL to the end of its message.
#[derive(Debug, Default)]
struct Transaction {
    declared_size: Option<u64>,
    body: Option<Body>,
    smtputf8: bool,
    recipients: u32,
    /// RCPTs that the host or the machine refused.
    refused: u32,
    /// The first BDAT was accepted.
    chunking: bool,
    /// For the next octets, BDAT or chunk.
    patience: Patience,
    /// Octets of the message so far.
    received: u64,
    /// The last chunk ended in a CR that its LF may still follow.
    open_cr: bool,
    /// Mends the lines of chunks, under `BareNewline::Normalise`.
    newlines: NewlineEncoder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Greeting,
    Command,
    Payload,
    /// The client is to read.
    Drain,
    Session,
}

impl Server {
    /// A connection that was just accepted. The greeting is already queued,
    /// unless the configuration delays it.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        let mut server = Self {
            config,
            state: State::Greeting,
            scanner: LineScanner::default(),
            output: Output::default(),
            deadlines: Deadlines::default(),
            pending: None,
            error: None,
            eof: false,
            stopping: false,
            tls: false,
            authenticated: false,
            hello: None,
            transaction: None,
            transactions: 0,
            errors: 0,
            auth_failures: 0,
            idle_commands: 0,
            refusals: 0,
            draining: false,
        };
        let timeouts = &server.config.timeouts;
        if let Some(session) = timeouts.session {
            server.deadlines.set(Timer::Session, now + session);
        }
        if timeouts.greeting_delay.is_zero() {
            server.greet();
        } else {
            let at = now + timeouts.greeting_delay;
            server.deadlines.set(Timer::Greeting, at);
        }
        server
    }

    /// A connection that is refused: `reply` (554 or 421) is its greeting,
    /// and the connection ends (RFC 5321 §3.1).
    #[must_use]
    pub fn refusing(config: Arc<Config>, now: Instant, reply: &Reply) -> Self {
        let mut server = Self::new(config, now);
        server.output.clear();
        server.send(reply);
        server.close(None);
        server
    }

    /// Takes one event off the front of `input`.
    ///
    /// # Errors
    /// When the connection is over by someone's fault: write what is in the
    /// output, then close. Every later call gives [`Step::Closed`].
    pub fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Event>, Error> {
        loop {
            if let Some(event) = self.pending.take() {
                return Ok(Step::Event(event));
            }
            match self.state {
                State::Over => return self.error.take().map_or(Ok(Step::Closed), Err),
                State::Answer(_) => return Ok(Step::NeedAnswer),
                State::Handshake if input.is_empty() => return Ok(Step::NeedAnswer),
                State::Handshake => {
                    self.close(Some(Error::PlainTextAfterStartTls));
                    continue;
                }
                _ => {}
            }
            if self.must_drain(now) {
                return Ok(Step::NeedDrain);
            }
            let step = match self.state {
                State::Greeting => self.early(input),
                State::Command => self.command_line(input, now),
                State::AuthResponse => self.auth_response(input, now),
                State::Payload(_) => self.payload(input, now),
                // Left above.
                State::Over | State::Answer(_) | State::Handshake => None,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if
    /// nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Time has passed. Nothing happens if no deadline has.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.deadlines.expired(now) {
            match timer {
                Timer::Greeting => self.greet(),
                Timer::Command | Timer::Payload | Timer::Drain | Timer::Session => {
                    self.farewell([4, 4, 2], "Error: timeout exceeded", Some(Error::Timeout));
                }
            }
        }
    }

    /// The client has closed its side; what is in `input` is still taken.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// Ends the connection with 421 at the next place between commands: a
    /// message that is coming in is still taken to its end.
    pub fn shutdown(&mut self) {
        self.stopping = true;
        if matches!(
            self.state,
            State::Greeting | State::Command | State::AuthResponse
        ) {
            self.stop();
        }
    }

    /// Whether the connection is under TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether AUTH succeeded.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Recipients accepted in the present transaction; after `PayloadEnd` in
    /// LMTP, the replies that are due.
    #[must_use]
    pub fn recipients(&self) -> u32 {
        match &self.state {
            State::Answer(Asked::PayloadEnd(left)) => *left,
            _ => self.transaction.as_ref().map_or(0, |tx| tx.recipients),
        }
    }

    /// Whether the client is to read before anything else is taken from it.
    /// Its time is set once: who reads an octet now and then wins none.
    fn must_drain(&mut self, now: Instant) -> bool {
        let must = self.output.len() >= self.config.limits.output;
        if must != self.draining {
            self.draining = must;
            match must {
                true => {
                    let wait = self.config.timeouts.command;
                    self.deadlines.set(Timer::Drain, now + wait);
                }
                false => self.deadlines.clear(Timer::Drain),
            }
        }
        must
    }

    fn greet(&mut self) {
        let text = format!("{} {}", self.config.hostname, self.config.banner);
        self.send(&Reply::bare(220, text));
        self.state = State::Command;
    }

    /// Nothing may come before the greeting (RFC 5321 §3.1).
    fn early(&mut self, input: &mut BytesMut) -> Option<Step<Event>> {
        if input.is_empty() {
            if self.eof {
                self.close(None);
                return None;
            }
            return Some(Step::NeedInput);
        }
        let reply = Reply::new(554, [5, 5, 0], "Error: talked before the greeting");
        if self.config.reject_early_talkers {
            self.send(&reply);
            self.close(Some(Error::EarlyTalker));
        } else {
            self.deadlines.clear(Timer::Greeting);
            self.greet();
        }
        Some(Step::Event(Event::Rejected(Rejected {
            verb: None,
            fault: Fault::EarlyTalker,
            reply,
        })))
    }

    fn command_line(&mut self, input: &mut BytesMut, now: Instant) -> Option<Step<Event>> {
        let limits = &self.config.limits;
        let limit = limits.command_line;
        // AUTH's initial response may be as long as a later one (RFC 4954 §4).
        let max = match self.config.extensions.auth.is_empty() {
            true => limit,
            false => limit.max(limits.auth_line),
        };
        let (len, consumed) = match self.scanner.scan(input, max) {
            Scan::Line { len, consumed } => (len, consumed),
            Scan::BareLf { len, consumed } if self.config.lenient.bare_lf_commands => {
                (len, consumed)
            }
            Scan::BareLf { consumed, .. } => {
                input.advance(consumed);
                self.heard(now);
                let reply = Reply::new(500, [5, 5, 2], "Error: command ends in a bare LF");
                return Some(self.reject(None, Fault::BareLf, reply));
            }
            Scan::Partial => return self.starve(input, Timer::Command, now),
            Scan::Skip { consumed } => {
                input.advance(consumed);
                return self.starve(input, Timer::Command, now);
            }
            Scan::TooLong { consumed } => {
                input.advance(consumed);
                self.heard(now);
                return Some(self.line_too_long(None));
            }
        };
        self.heard(now);
        let line = input.get(..len).unwrap_or_default();
        let verb = Verb::parse_prefix(line);
        let step = match verb {
            Some((verb, _)) if len > limit && verb != Verb::Auth => {
                Some(self.line_too_long(Some(verb)))
            }
            None if len > limit => Some(self.line_too_long(None)),
            _ => self.command(verb, line, input.len() > consumed),
        };
        input.advance(consumed);
        step
    }

    /// One line of an AUTH exchange (RFC 4954 §4).
    fn auth_response(&mut self, input: &mut BytesMut, now: Instant) -> Option<Step<Event>> {
        let (len, consumed) = match self.scanner.scan(input, self.config.limits.auth_line) {
            Scan::Line { len, consumed } => (len, consumed),
            Scan::BareLf { len, consumed } if self.config.lenient.bare_lf_commands => {
                (len, consumed)
            }
            Scan::Partial => return self.starve(input, Timer::Command, now),
            Scan::Skip { consumed } => {
                input.advance(consumed);
                return self.starve(input, Timer::Command, now);
            }
            Scan::TooLong { consumed } | Scan::BareLf { consumed, .. } => (usize::MAX, consumed),
        };
        self.heard(now);
        let response = match input.get(..len) {
            Some(b"*") => Err(Reply::new(501, [5, 7, 0], "Authentication aborted")),
            Some(line) => sasl::decode_base64(line)
                .map_err(|_| Reply::new(501, [5, 5, 2], "Error: invalid base64")),
            None => Err(Reply::new(
                500,
                [5, 5, 6],
                "Error: authentication line too long",
            )),
        };
        input.advance(consumed);
        Some(Step::Event(match response {
            Ok(octets) => {
                self.state = State::Answer(Asked::Auth);
                Event::AuthData(Secret::new(octets))
            }
            Err(reply) => {
                self.send(&reply);
                self.ready();
                self.auth_failed();
                Event::AuthCancelled
            }
        }))
    }

    /// Nothing more can be decided: waits for octets, or ends at their end.
    fn starve(&mut self, input: &BytesMut, timer: Timer, now: Instant) -> Option<Step<Event>> {
        if self.eof {
            let idle = input.is_empty() && self.transaction.is_none();
            let between = matches!(self.state, State::Command) && idle;
            self.close((!between).then_some(Error::UnexpectedEof));
            return None;
        }
        // Set once for a whole line: an octet now and then wins no time.
        if timer == Timer::Command && self.deadlines.when(timer).is_none() {
            let wait = self.config.timeouts.command;
            let chunked = self.transaction.as_mut().filter(|tx| tx.chunking);
            let wait = chunked.map_or(wait, |tx| tx.patience.wait(now).min(wait));
            self.deadlines.set(timer, now + wait);
        }
        Some(Step::NeedInput)
    }

    /// A line has come.
    fn heard(&mut self, now: Instant) {
        self.deadlines.clear(Timer::Command);
        if let Some(transaction) = &mut self.transaction {
            transaction.patience.spend(now);
        }
    }

    /// Takes the next command, or stops where a stop is wanted.
    fn ready(&mut self) {
        self.state = State::Command;
        if self.stopping {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.farewell([4, 3, 2], "Service shutting down", None);
    }

    fn auth_failed(&mut self) {
        self.auth_failures += 1;
        if self.auth_failures >= self.config.limits.auth_failures {
            self.farewell(
                [4, 7, 0],
                "Error: too many failed authentications",
                Some(Error::TooManyAuthFailures),
            );
        }
    }

    /// 421, and over.
    fn farewell(&mut self, enhanced: [u16; 3], text: &str, error: Option<Error>) {
        if matches!(self.state, State::Over) {
            return;
        }
        // Within a handshake plain text would be taken for TLS.
        if !matches!(self.state, State::Handshake) {
            let text = format!("{} {text}", self.config.hostname);
            self.send(&Reply::new(421, enhanced, text));
        }
        self.close(error);
    }

    fn close(&mut self, error: Option<Error>) {
        self.state = State::Over;
        self.error = error;
        self.transaction = None;
        self.deadlines.clear_all();
    }

    fn send(&mut self, reply: &Reply) {
        let enhanced = reply
            .enhanced()
            .filter(|_| self.config.extensions.enhanced_status_codes);
        reply.encode_with(enhanced, self.output.text());
    }

    fn misuse(&self, call: &'static str) -> Misuse {
        match self.state {
            State::Over => Misuse::Closed { call },
            _ => Misuse::NotExpected { call },
        }
    }
}
