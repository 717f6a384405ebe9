//! The server's side (RFC 5804).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto_core::{Deadlines, Misuse, Output, Step};

use super::Error;
use super::command::{Command, Event, sasl};
use super::reply::{Code, Reply, Status};
use super::syntax::{Fault, Read, Reader, Token, put_string};
use crate::Capabilities;

/// What a server says of itself, and its limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `IMPLEMENTATION`.
    pub implementation: String,
    /// `SIEVE`.
    pub capabilities: Capabilities,
    /// `SASL` while the connection is in the clear.
    pub mechanisms: Vec<String>,
    /// `SASL` under TLS.
    pub mechanisms_tls: Vec<String>,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// `MAXREDIRECTS`.
    pub max_redirects: usize,
    /// Largest script in octets: it is held in memory.
    pub max_script: u64,
    /// Longest line without its literals: a line is held in memory.
    pub max_line: usize,
    /// Output that may wait before no more commands are read: a client that sends and never reads.
    pub max_output: usize,
    /// Faulty commands before the connection is ended: guessing and noise.
    pub max_faults: u32,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// How long a server waits for its client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until somebody has logged in.
    pub authentication: Duration,
    /// Between commands after that; RFC 5804 §1.8 asks for no less than 30 minutes.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            implementation: concat!("posthaste ", env!("CARGO_PKG_VERSION")).to_owned(),
            capabilities: Capabilities::default(),
            mechanisms: vec!["PLAIN".to_owned()],
            mechanisms_tls: vec!["PLAIN".to_owned()],
            starttls: false,
            max_redirects: 4,
            max_script: 1 << 20,
            max_line: 16 << 10,
            max_output: 256 << 10,
            max_faults: 10,
            timeouts: Timeouts {
                authentication: Duration::from_secs(180),
                idle: Duration::from_secs(1800),
            },
        }
    }
}

/// The server's side of one connection. See the [module](super) for the loop.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    state: State,
    tls: bool,
    owner: Option<String>,
    reader: Reader,
    deadlines: Deadlines<Timer>,
    output: Output,
    faults: u32,
    eof: bool,
    ending: bool,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Waits for a command.
    Command,
    /// A script command was given to the host.
    Answer(Wanted),
    /// The host steps SASL.
    Auth,
    /// A challenge was sent.
    AuthResponse,
    /// STARTTLS was given to the host.
    StartTls,
    /// Its OK was queued; waits for `tls_started`.
    Handshake,
    Closed(Option<Error>),
}

/// Which answers a command allows besides a plain reply.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    Reply,
    List,
    Script,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Timer {
    Authentication,
    Idle,
}

impl Server {
    /// A connection in the clear; the greeting is queued.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        Self::open(config, false, now)
    }

    /// A connection that is under TLS from its first octet, or not; the greeting is queued.
    #[must_use]
    pub fn open(config: Arc<Config>, tls: bool, now: Instant) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set(Timer::Authentication, now + config.timeouts.authentication);
        let mut server = Self {
            state: State::Command,
            tls,
            owner: None,
            reader: Reader::new(config.max_line, config.max_script),
            deadlines,
            output: Output::default(),
            faults: 0,
            eof: false,
            ending: false,
            config,
        };
        server.put_capabilities(&Reply::ok().with_text("ManageSieve ready"));
        server
    }

    /// Whether the connection is under TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The authenticated user.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Takes one command off the front of `input`.
    ///
    /// # Errors
    /// The connection is over; the farewell is in [`output`](Self::output).
    pub fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Event>, Error> {
        if self.deadlines.expired(now).is_some() {
            self.end(Reply::bye("Idle for too long"), Some(Error::Timeout));
        }
        loop {
            match &self.state {
                State::Closed(Some(error)) => return Err(error.clone()),
                State::Closed(None) => return Ok(Step::Closed),
                State::Answer(_) | State::Auth | State::StartTls | State::Handshake => {
                    return Ok(Step::NeedAnswer);
                }
                State::Command if self.ending => {
                    self.end(Reply::bye("The server goes down"), None);
                    continue;
                }
                State::Command | State::AuthResponse => {}
            }
            if self.output.len() > self.config.max_output {
                return Ok(Step::NeedDrain);
            }
            let before = input.len();
            let read = self.reader.read(input);
            self.wait(input.len() != before, now);
            let tokens = match read {
                Read::Partial if self.eof => {
                    self.state = State::Closed(None);
                    continue;
                }
                Read::Partial => return Ok(Step::NeedInput),
                Read::Fault(fault) => return self.reject_fault(fault),
                Read::Tokens(tokens) => tokens,
            };
            if self.state == State::AuthResponse {
                return self.auth_response(&tokens);
            }
            if tokens.is_empty() {
                return self.reject("Not a command", None);
            }
            match Command::parse(&tokens) {
                Err(text) => return self.reject(text, None),
                Ok(command) => {
                    if let Some(step) = self.command(command, input)? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// Waits for the client from now on, unless it is waited for already. Whoever has logged in gets new time with all
    /// that is said.
    fn wait(&mut self, spoke: bool, now: Instant) {
        let timeouts = &self.config.timeouts;
        let (timer, wait) = match self.owner {
            Some(_) => (Timer::Idle, timeouts.idle),
            None => (Timer::Authentication, timeouts.authentication),
        };
        if self.deadlines.when(timer).is_none() || (spoke && timer == Timer::Idle) {
            self.deadlines.set(timer, now + wait);
        }
    }

    fn command(
        &mut self,
        command: Command,
        input: &BytesMut,
    ) -> Result<Option<Step<Event>>, Error> {
        Ok(match command {
            Command::Capability => {
                self.put_capabilities(&Reply::ok());
                None
            }
            Command::Noop(tag) => {
                let reply = match tag {
                    Some(tag) => Reply::ok().with_code(Code::Tag(tag)).with_text("Done"),
                    None => Reply::ok(),
                };
                self.put(&reply);
                None
            }
            Command::Logout => {
                self.put(&Reply::ok().with_text("Logout"));
                self.state = State::Closed(None);
                None
            }
            Command::Unauthenticate => {
                if self.owner.take().is_none() {
                    return self.reject("Nobody is logged in", None).map(Some);
                }
                self.put(&Reply::ok());
                self.deadlines.clear(Timer::Idle);
                Some(Step::Event(Event::Unauthenticated))
            }
            Command::StartTls => {
                if self.tls || !self.config.starttls || self.owner.is_some() {
                    return self.reject("STARTTLS is not possible now", None).map(Some);
                }
                // What stands behind it in the clear would be read as if it had come under TLS.
                if !input.is_empty() {
                    self.end(
                        Reply::bye("Octets behind STARTTLS"),
                        Some(Error::InjectedPlaintext),
                    );
                    return Err(Error::InjectedPlaintext);
                }
                self.state = State::StartTls;
                Some(Step::Event(Event::StartTls))
            }
            Command::Authenticate(auth) => {
                if self.owner.is_some() {
                    return self.reject("Somebody is logged in already", None).map(Some);
                }
                if !self.mechanisms().contains(&auth.mechanism) {
                    let known = self.config.mechanisms_tls.contains(&auth.mechanism);
                    return if known {
                        self.reject("This mechanism needs TLS", Some(Code::EncryptNeeded))
                            .map(Some)
                    } else {
                        self.reject("There is no such mechanism", None).map(Some)
                    };
                }
                self.state = State::Auth;
                Some(Step::Event(Event::Authenticate(auth)))
            }
            Command::Script(event) => {
                if self.owner.is_none() {
                    return self.reject("Authenticate first", None).map(Some);
                }
                self.state = State::Answer(match event {
                    Event::ListScripts => Wanted::List,
                    Event::GetScript(_) => Wanted::Script,
                    _ => Wanted::Reply,
                });
                Some(Step::Event(event))
            }
        })
    }

    fn auth_response(&mut self, tokens: &[Token]) -> Result<Step<Event>, Error> {
        let [Token::Text(data)] = tokens else {
            self.state = State::Command;
            return self.reject("A SASL response must be a string", None);
        };
        if &data[..] == b"*" {
            self.state = State::Command;
            self.put(&Reply::no("Authentication cancelled"));
            return Ok(Step::Event(Event::AuthCancelled));
        }
        match sasl(data) {
            Ok(secret) => {
                self.state = State::Auth;
                Ok(Step::Event(Event::AuthResponse(secret)))
            }
            Err(text) => {
                self.state = State::Command;
                self.reject(text, None)
            }
        }
    }

    fn reject_fault(&mut self, fault: Fault) -> Result<Step<Event>, Error> {
        self.state = State::Command;
        match fault {
            Fault::LineTooLong => self.reject("The line is too long", None),
            Fault::LiteralTooLarge => {
                self.reject("The script is too large", Some(Code::QuotaMaxSize))
            }
            Fault::BareLf => self.reject("Lines end with CR LF", None),
            Fault::Syntax(text) => self.reject(text, None),
        }
    }

    fn reject(&mut self, text: &'static str, code: Option<Code>) -> Result<Step<Event>, Error> {
        self.faults += 1;
        if self.faults > self.config.max_faults {
            self.end(Reply::bye("Too many faults"), Some(Error::TooManyFaults));
            return Err(Error::TooManyFaults);
        }
        self.put(&Reply {
            code,
            ..Reply::no(text)
        });
        Ok(Step::Event(Event::Rejected(text.to_owned())))
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Closed(_) => None,
            _ => self.deadlines.next(),
        }
    }

    /// Ends the connection if its time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadlines.expired(now).is_some() {
            self.end(Reply::bye("Idle for too long"), Some(Error::Timeout));
        }
    }

    /// The client sends no more.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// Says BYE after the command at hand.
    pub fn shutdown(&mut self) {
        self.ending = true;
        if matches!(self.state, State::Command | State::AuthResponse) {
            self.end(Reply::bye("The server goes down"), None);
        }
    }

    /// Answers a command, except one that gives data or a user.
    ///
    /// # Errors
    /// Nothing waits for it, or it is OK where data are wanted, or its code cannot be sent.
    pub fn reply(&mut self, reply: Reply) -> Result<(), Misuse> {
        const CALL: &str = "reply";
        if reply.code.as_ref().is_some_and(|code| !code.is_sound()) {
            return Err(Misuse::Argument {
                call: CALL,
                reason: "the code is no atom",
            });
        }
        let next = match (&self.state, reply.status) {
            (State::Answer(Wanted::List | Wanted::Script) | State::Auth, Status::Ok) => {
                return Err(Misuse::NotExpected { call: CALL });
            }
            (State::Answer(_) | State::Auth | State::StartTls, Status::Bye) => State::Closed(None),
            (State::StartTls, Status::Ok) => State::Handshake,
            (State::Answer(_) | State::Auth | State::StartTls, _) => State::Command,
            _ => return Err(Misuse::NotExpected { call: CALL }),
        };
        let guessed = self.state == State::Auth;
        self.put(&reply);
        self.state = next;
        if guessed {
            // Guesses are faults too.
            self.faults += 1;
            if self.faults > self.config.max_faults {
                self.end(Reply::bye("Too many faults"), Some(Error::TooManyFaults));
            }
        }
        Ok(())
    }

    /// Sends a SASL challenge.
    ///
    /// # Errors
    /// No exchange waits for one.
    pub fn challenge(&mut self, data: &[u8]) -> Result<(), Misuse> {
        if self.state != State::Auth {
            return Err(Misuse::NotExpected { call: "challenge" });
        }
        let encoded = proto_core::sasl::encode_base64(data);
        put_string(self.output.text(), encoded.as_bytes(), false);
        self.output.push_slice(b"\r\n");
        self.state = State::AuthResponse;
        Ok(())
    }

    /// Ends the SASL exchange with success, with the mechanism's last data if it has some.
    ///
    /// # Errors
    /// No exchange is open.
    pub fn authenticated(
        &mut self,
        owner: impl Into<String>,
        data: Option<&[u8]>,
    ) -> Result<(), Misuse> {
        if self.state != State::Auth {
            return Err(Misuse::NotExpected {
                call: "authenticated",
            });
        }
        let reply = match data {
            Some(data) => Reply::ok().with_code(Code::Sasl(data.to_vec())),
            None => Reply::ok(),
        };
        self.owner = Some(owner.into());
        self.faults = 0;
        self.deadlines.clear(Timer::Authentication);
        self.put(&reply);
        self.state = State::Command;
        Ok(())
    }

    /// Answers LISTSCRIPTS: names and whether they are active.
    ///
    /// # Errors
    /// That command does not wait.
    pub fn send_list<'n>(
        &mut self,
        scripts: impl IntoIterator<Item = (&'n str, bool)>,
    ) -> Result<(), Misuse> {
        if self.state != State::Answer(Wanted::List) {
            return Err(Misuse::NotExpected { call: "send_list" });
        }
        for (name, active) in scripts {
            put_string(self.output.text(), name.as_bytes(), false);
            self.output
                .push_slice(if active { b" ACTIVE\r\n" } else { b"\r\n" });
        }
        self.put(&Reply::ok());
        self.state = State::Command;
        Ok(())
    }

    /// Answers GETSCRIPT.
    ///
    /// # Errors
    /// That command does not wait.
    pub fn send_script(&mut self, script: Bytes) -> Result<(), Misuse> {
        if self.state != State::Answer(Wanted::Script) {
            return Err(Misuse::NotExpected {
                call: "send_script",
            });
        }
        self.output
            .push_slice(format!("{{{}}}\r\n", script.len()).as_bytes());
        self.output.push(script);
        self.output.push_slice(b"\r\n");
        self.put(&Reply::ok());
        self.state = State::Command;
        Ok(())
    }

    /// TLS is up: all that was said before is forgotten, capabilities are sent anew (RFC 5804 §2.2).
    ///
    /// # Errors
    /// No STARTTLS was agreed.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        if self.state != State::Handshake {
            return Err(Misuse::NotExpected {
                call: "tls_started",
            });
        }
        self.tls = true;
        self.reader = Reader::new(self.config.max_line, self.config.max_script);
        self.put_capabilities(&Reply::ok());
        self.state = State::Command;
        Ok(())
    }

    fn mechanisms(&self) -> &[String] {
        if self.tls {
            &self.config.mechanisms_tls
        } else {
            &self.config.mechanisms
        }
    }

    fn put(&mut self, reply: &Reply) {
        reply.put(self.output.text());
    }

    fn put_capabilities(&mut self, reply: &Reply) {
        let mechanisms = self.mechanisms().join(" ");
        let mut list = vec![
            ("IMPLEMENTATION", Some(self.config.implementation.clone())),
            ("SASL", Some(mechanisms)),
            ("SIEVE", Some(self.config.capabilities.to_string())),
        ];
        if self.config.capabilities.contains("enotify") {
            list.push(("NOTIFY", Some("mailto".to_owned())));
        }
        if self.config.starttls && !self.tls && self.owner.is_none() {
            list.push(("STARTTLS", None));
        }
        list.push(("MAXREDIRECTS", Some(self.config.max_redirects.to_string())));
        if let Some(owner) = &self.owner {
            list.push(("OWNER", Some(owner.clone())));
        }
        list.push(("UNAUTHENTICATE", None));
        list.push(("VERSION", Some("1.0".to_owned())));
        for (name, value) in list {
            put_string(self.output.text(), name.as_bytes(), false);
            if let Some(value) = value {
                self.output.push_slice(b" ");
                put_string(self.output.text(), value.as_bytes(), false);
            }
            self.output.push_slice(b"\r\n");
        }
        self.put(reply);
    }

    fn end(&mut self, reply: Reply, error: Option<Error>) {
        if !matches!(self.state, State::Closed(_)) {
            // In a handshake nothing in the clear may be sent any more.
            if self.state != State::Handshake {
                self.put(&reply);
            }
            self.state = State::Closed(error);
        }
    }
}
