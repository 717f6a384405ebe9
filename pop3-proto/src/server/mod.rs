mod authorization;
mod event;
mod listing;
mod top;
mod transaction;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proto_core::{Deadlines, DotEncoder, LineScanner, Misuse, Output, Scan, Step};

pub use event::{Apop, Event, Login, Rejected, Retrieve, Update};

use crate::{Command, Config, Maildrop, ParseErrorKind, Reply, ResponseCode, ServerError};
use listing::Listing;
use top::TopCut;

/// The server's side of one connection.
///
/// See the crate's page for the loop, and [`Event`] for which answers are
/// legal when.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    state: State,
    tls: bool,
    has_timestamp: bool,
    utf8: bool,
    /// USER's argument, until PASS or anything else but CAPA comes.
    user: Option<String>,
    maildrop: Maildrop,
    scanner: LineScanner,
    deadlines: Deadlines<Timer>,
    output: Output,
    /// What `output` held when `poll` last looked: less of it later means
    /// that the client is alive.
    unsent: usize,
    bad_commands: u32,
    failed_logins: u32,
    eof: bool,
    ending: bool,
}

#[derive(Debug)]
enum State {
    /// Waits for a command (RFC 1939 §4).
    Authorization,
    /// A login was given to the host.
    Login {
        sasl: bool,
    },
    /// A challenge was sent; waits for the response.
    SaslResponse,
    /// STLS was given to the host.
    Stls,
    /// Its `+OK` was queued; waits for `tls_started`.
    Handshake,
    /// Waits for a command (RFC 1939 §5).
    Transaction,
    /// A multi-line answer is being written.
    Listing(Listing),
    /// RETR or TOP was given to the host.
    Retrieve(Retrieve),
    /// The host streams a message.
    Payload(DotEncoder, Option<TopCut>),
    /// QUIT was given to the host (RFC 1939 §6).
    Update,
    Closed(Option<ServerError>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Timer {
    Autologout,
    Authorization,
}

/// How a connection begins.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// Under TLS from the first octet (RFC 8314 §3.3, port 995).
    pub tls: bool,
    /// APOP's timestamp with its angle brackets, never used before (RFC 1939
    /// §7); only with [`Config::apop`].
    pub timestamp: Option<String>,
}

impl Server {
    /// A connection in the clear; the greeting is queued.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        Self::open(config, Opening::default(), now)
    }

    /// A connection that begins in another way; the greeting is queued.
    #[must_use]
    pub fn open(config: Arc<Config>, opening: Opening, now: Instant) -> Self {
        let mut output = Output::default();
        let timestamp = opening.timestamp.filter(|text| {
            config.apop
                && text.starts_with('<')
                && text.ends_with('>')
                && text.bytes().all(|octet| octet.is_ascii_graphic())
        });
        let greeting = match &timestamp {
            Some(timestamp) => format!("{} {timestamp}", config.greeting),
            None => config.greeting.clone(),
        };
        let reply = Reply::ok(greeting);
        let _ = if reply.fault().is_none() {
            write!(output, "{reply}\r\n")
        } else {
            // A greeting that cannot be sent is the host's mistake; the
            // client should not suffer for it.
            write!(output, "+OK\r\n")
        };
        let mut deadlines = Deadlines::default();
        deadlines.set(Timer::Authorization, now + config.timeouts.authorization);
        Self {
            state: State::Authorization,
            tls: opening.tls,
            has_timestamp: timestamp.is_some(),
            utf8: false,
            user: None,
            maildrop: Maildrop::default(),
            scanner: LineScanner::default(),
            deadlines,
            output,
            unsent: 0,
            bad_commands: 0,
            failed_logins: 0,
            eof: false,
            ending: false,
            config,
        }
    }

    /// Whether the connection is under TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The maildrop of the session; empty before login.
    #[must_use]
    pub fn maildrop(&self) -> &Maildrop {
        &self.maildrop
    }

    /// Whether the message that is being sent still wants octets: TOP may
    /// have enough before the message ends.
    #[must_use]
    pub fn wants_payload(&self) -> bool {
        match &self.state {
            State::Payload(_, Some(top)) => !top.is_done(),
            State::Payload(_, None) => true,
            _ => false,
        }
    }

    /// Takes the next command off the front of `input`.
    ///
    /// # Errors
    /// The connection is over; what is to be said stands in the output.
    pub fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Event>, ServerError> {
        if self.output.len() < self.unsent {
            self.deadlines.clear(Timer::Autologout);
        }
        let step = self.advance(input, now);
        self.unsent = self.output.len();
        match step {
            // The client's turn.
            Ok(Step::NeedInput | Step::NeedDrain) => {
                if self.deadlines.when(Timer::Autologout).is_none() {
                    let at = now + self.config.timeouts.autologout;
                    self.deadlines.set(Timer::Autologout, at);
                }
            }
            // The host's turn, or nobody's.
            _ => self.deadlines.clear(Timer::Autologout),
        }
        if matches!(self.state, State::Closed(_)) {
            self.deadlines.clear_all();
        }
        step
    }

    fn advance(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Event>, ServerError> {
        loop {
            let full = self.output.len() >= self.config.limits.output;
            match &mut self.state {
                State::Closed(None) => return Ok(Step::Closed),
                State::Closed(Some(error)) => return Err(error.clone()),
                State::Stls if !input.is_empty() => self.injected(),
                State::Stls
                | State::Handshake
                | State::Login { .. }
                | State::Retrieve(_)
                | State::Payload(..)
                | State::Update => {
                    return Ok(if full {
                        Step::NeedDrain
                    } else {
                        Step::NeedAnswer
                    });
                }
                _ if full => return Ok(Step::NeedDrain),
                State::Listing(listing) => {
                    let limit = self.config.limits.output;
                    if listing.write(&self.maildrop, &mut self.output, limit) {
                        self.state = State::Transaction;
                    }
                }
                State::Authorization | State::SaslResponse | State::Transaction => {
                    if self.ending {
                        self.end("server is shutting down");
                        continue;
                    }
                    match self.line(input, now) {
                        Line::Nothing if self.eof => self.state = State::Closed(None),
                        Line::Nothing => return Ok(Step::NeedInput),
                        Line::Handled => {}
                        Line::Event(event) => return Ok(Step::Event(event)),
                    }
                }
            }
        }
    }

    /// The octets to send.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Ends the connection if a deadline has passed.
    ///
    /// Nothing is said to the client and nothing removed (RFC 1939 §3).
    pub fn handle_timeout(&mut self, now: Instant) {
        let error = match self.deadlines.expired(now) {
            None => return,
            Some(Timer::Autologout) => ServerError::Autologout,
            Some(Timer::Authorization) => ServerError::AuthorizationTimeout,
        };
        self.close(Some(error));
    }

    /// The client has closed its side: commands that are whole are still
    /// answered, then the connection closes, and nothing is removed unless
    /// the last one is QUIT.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// Ends the connection when the command in hand is answered.
    pub fn shutdown(&mut self) {
        self.ending = true;
    }

    /// Answers an event with one line.
    ///
    /// # Errors
    /// [`Misuse`] where [`Event`] does not allow it, or the reply cannot be
    /// sent as one line.
    pub fn reply(&mut self, reply: Reply) -> Result<(), Misuse> {
        const CALL: &str = "reply";
        if let Some(reason) = reply.fault() {
            return Err(Misuse::Argument { call: CALL, reason });
        }
        let next = match (&self.state, reply.is_ok()) {
            (State::Stls, true) => State::Handshake,
            (State::Stls, false) => State::Authorization,
            (State::Login { .. }, false) => {
                self.failed_logins += 1;
                State::Authorization
            }
            (State::Retrieve(_), false) => State::Transaction,
            (State::Update, _) => State::Closed(None),
            (State::Login { .. } | State::Retrieve(_), true) => {
                return Err(Misuse::Argument {
                    call: CALL,
                    reason: "+OK comes from open_maildrop and accept_payload",
                });
            }
            _ => return Err(self.misuse(CALL)),
        };
        self.state = next;
        self.say(&reply);
        if self.failed_logins >= self.config.limits.failed_logins
            && matches!(self.state, State::Authorization)
        {
            self.close(Some(ServerError::TooManyFailedLogins));
        }
        Ok(())
    }

    /// The login is right and the maildrop locked: enters TRANSACTION.
    ///
    /// # Errors
    /// [`Misuse`] where no login waits.
    pub fn open_maildrop(&mut self, maildrop: Maildrop) -> Result<(), Misuse> {
        if !matches!(self.state, State::Login { .. }) {
            return Err(self.misuse("open_maildrop"));
        }
        self.maildrop = maildrop;
        self.user = None;
        self.state = State::Transaction;
        self.deadlines.clear(Timer::Authorization);
        let text = self.summary();
        self.say(&Reply::ok(text));
        Ok(())
    }

    /// Sends a SASL challenge, which may be empty, and waits for the response.
    ///
    /// # Errors
    /// [`Misuse`] where no [`Event::Auth`] or [`Event::AuthData`] waits.
    pub fn challenge(&mut self, data: &[u8]) -> Result<(), Misuse> {
        if !matches!(self.state, State::Login { sasl: true }) {
            return Err(self.misuse("challenge"));
        }
        self.state = State::SaslResponse;
        let _ = write!(
            self.output,
            "+ {}\r\n",
            proto_core::sasl::encode_base64(data)
        );
        Ok(())
    }

    /// The handshake is done: forgets what the client said before.
    ///
    /// # Errors
    /// [`Misuse`] where STLS was not accepted.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        if !matches!(self.state, State::Handshake) {
            return Err(self.misuse("tls_started"));
        }
        self.tls = true;
        self.user = None;
        self.utf8 = false;
        self.scanner.reset();
        self.state = State::Authorization;
        Ok(())
    }

    /// Says `+OK` to RETR or TOP.
    ///
    /// # Errors
    /// [`Misuse`] where no [`Event::Retrieve`] waits.
    pub fn accept_payload(&mut self) -> Result<(), Misuse> {
        let State::Retrieve(retrieve) = &self.state else {
            return Err(self.misuse("accept_payload"));
        };
        let retrieve = *retrieve;
        let size = self.maildrop.size(retrieve.number).unwrap_or_default();
        let reply = match retrieve.lines {
            None => Reply::ok(format!("{size} octets")),
            Some(_) => Reply::ok("top of message follows"),
        };
        self.say(&reply);
        self.state = State::Payload(DotEncoder::default(), retrieve.lines.map(TopCut::new));
        Ok(())
    }

    /// Sends the message's next octets, which end lines with CRLF; they are
    /// dot-stuffed and, for TOP, cut.
    ///
    /// Between two calls the host writes the output away, and waits when it
    /// grows: `poll` says [`Step::NeedDrain`] meanwhile.
    ///
    /// # Errors
    /// [`Misuse`] where no payload was accepted.
    pub fn send_payload(&mut self, chunk: Bytes) -> Result<(), Misuse> {
        match &mut self.state {
            State::Payload(encoder, None) => encoder.encode(&chunk, &mut self.output),
            State::Payload(encoder, Some(top)) => {
                if !top.is_done() {
                    encoder.encode(&top.take(&chunk), &mut self.output);
                }
            }
            _ => return Err(self.misuse("send_payload")),
        }
        Ok(())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`Misuse`] where no payload was accepted.
    pub fn end_payload(&mut self) -> Result<(), Misuse> {
        let State::Payload(encoder, _) = &mut self.state else {
            return Err(self.misuse("end_payload"));
        };
        encoder.finish(&mut self.output);
        self.state = State::Transaction;
        Ok(())
    }

    /// Gives a message up that cannot be read to its end: the connection
    /// closes without the last dot, so that the client keeps nothing of it.
    ///
    /// # Errors
    /// [`Misuse`] where no payload was accepted.
    pub fn abort_payload(&mut self) -> Result<(), Misuse> {
        if !matches!(self.state, State::Payload(..)) {
            return Err(self.misuse("abort_payload"));
        }
        self.close(Some(ServerError::PayloadAborted));
        Ok(())
    }

    /// Takes one line off `input` and acts on it.
    fn line(&mut self, input: &mut BytesMut, now: Instant) -> Line {
        let sasl = matches!(self.state, State::SaslResponse);
        let limits = &self.config.limits;
        let is_auth = input
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "));
        // RFC 5034 §4 holds clients to 255 octets for an initial response
        // too; clients with long tokens do not keep to it.
        let limit = if sasl || is_auth {
            limits.auth_line
        } else {
            limits.line
        };
        let (len, consumed, bare_lf) = match self.scanner.scan(input, limit.saturating_sub(2)) {
            Scan::Partial => return Line::Nothing,
            Scan::Skip { consumed } => {
                let _ = input.split_to(consumed);
                return Line::Nothing;
            }
            Scan::TooLong { consumed } => {
                let _ = input.split_to(consumed);
                self.heard(now);
                if sasl {
                    self.state = State::Authorization;
                }
                return self.reject(Rejected::LineTooLong);
            }
            Scan::Line { len, consumed } => (len, consumed, false),
            Scan::BareLf { len, consumed } => (len, consumed, !self.config.allow_bare_lf),
        };
        self.heard(now);
        let mut line = input.split_to(consumed);
        line.truncate(len);
        if bare_lf {
            if sasl {
                self.state = State::Authorization;
            }
            return self.reject(Rejected::BareLf);
        }
        if sasl {
            return self.sasl_response(&line);
        }
        let command = match Command::parse(&line) {
            Ok(command) => command,
            Err(fault) => return self.reject(Rejected::Malformed(fault)),
        };
        match command {
            Command::Capa => {
                self.capabilities();
                Line::Handled
            }
            command if matches!(self.state, State::Authorization) => {
                self.authorization(command, !input.is_empty())
            }
            command => self.transaction(command),
        }
    }

    /// The client lives: the autologout timer starts again.
    fn heard(&mut self, now: Instant) {
        let at = now + self.config.timeouts.autologout;
        self.deadlines.set(Timer::Autologout, at);
    }

    fn say(&mut self, reply: &Reply) {
        let _ = write!(self.output, "{reply}\r\n");
    }

    fn summary(&self) -> String {
        let (count, octets) = (self.maildrop.count(), self.maildrop.octets());
        let messages = if count == 1 { "message" } else { "messages" };
        format!("maildrop has {count} {messages} ({octets} octets)")
    }

    /// Answers a command that is refused for what it is, and counts it.
    fn reject(&mut self, rejected: Rejected) -> Line {
        let reply = match rejected {
            Rejected::Malformed(fault) => match fault.kind {
                ParseErrorKind::UnknownCommand => Reply::err("unknown command"),
                ParseErrorKind::MissingArgument => Reply::err("missing argument"),
                ParseErrorKind::UnexpectedArgument => {
                    Reply::err(format!("unexpected argument at octet {}", fault.at))
                }
                ParseErrorKind::NotANumber => {
                    Reply::err(format!("not a number at octet {}", fault.at))
                }
                ParseErrorKind::InvalidOctet => {
                    Reply::err(format!("invalid octet at octet {}", fault.at))
                }
                ParseErrorKind::NotADigest => Reply::err("the digest is 32 hexadecimal digits"),
                ParseErrorKind::Base64 => Reply::err("invalid base64"),
            },
            Rejected::LineTooLong => Reply::err("line too long"),
            Rejected::BareLf => Reply::err("lines end in CRLF"),
            Rejected::WrongState(command) => {
                Reply::err(format!("{command} is not allowed in this state"))
            }
            Rejected::NotOffered(command) => Reply::err(format!("{command} is not offered")),
            Rejected::TlsRequired(_) => {
                Reply::err("passwords are taken under TLS only: STLS first")
            }
            Rejected::Base64 => Reply::err("invalid base64"),
        };
        self.say(&reply);
        self.bad_commands += 1;
        if self.bad_commands >= self.config.limits.bad_commands {
            self.say(&Reply::err("too many bad commands"));
            self.close(Some(ServerError::TooManyBadCommands));
        }
        Line::Event(Event::Rejected(rejected))
    }

    fn injected(&mut self) {
        self.say(&Reply::err("no octet may follow STLS"));
        self.close(Some(ServerError::OctetsBehindStls));
    }

    fn end(&mut self, text: &'static str) {
        self.say(&Reply::err(text).with(ResponseCode::SysTemp));
        self.close(None);
    }

    fn close(&mut self, error: Option<ServerError>) {
        self.state = State::Closed(error);
        self.deadlines.clear_all();
    }

    fn misuse(&self, call: &'static str) -> Misuse {
        match self.state {
            State::Closed(_) => Misuse::Closed { call },
            _ => Misuse::NotExpected { call },
        }
    }
}

/// What became of a line.
enum Line {
    /// There was none.
    Nothing,
    /// It is answered.
    Handled,
    Event(Event),
}
