//! A client's side of one connection.

mod append;
mod config;
mod event;
mod in_flight;
mod receive;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
pub use config::ClientConfig;
pub use event::{ClientEvent, Ticket};
use in_flight::{InFlight, Kind};
use proto_core::{Deadlines, Misuse, Output, Secret, Step};

use crate::framing::Framer;
use crate::wire::{Dialect, Literals};
use crate::{Capability, CommandBody, Error, Extension, Extensions, StatusKind, StatusResponse};

#[derive(Debug)]
enum Mode {
    /// The greeting comes first.
    Greeting,
    /// Responses come.
    Ready,
    /// A large content of a FETCH or URLFETCH response comes.
    Content { rest: receive::Rest, left: u64 },
    /// The rest of such a response behind a large content.
    Behind(receive::Rest),
    /// STARTTLS was answered OK; the handshake is the host's.
    Handshake,
    /// Over; output may be left.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Response,
    Idle,
    Drain,
}

/// A client's side of one connection: no socket, no clock.
///
/// Commands are pipelined: each answers with a [`Ticket`], and its reply comes
/// as [`ClientEvent::Reply`]. Literals wait for `+` where the server's
/// capabilities say so, and what was queued behind them waits too. STARTTLS,
/// AUTHENTICATE, UNAUTHENTICATE, COMPRESS and IDLE hold everything behind them
/// back until they are over; where STARTTLS is refused, the connection is over
/// instead of what is behind it going out in the clear. RFC 9051 §5.5 says
/// which other commands are ambiguous in a pipeline.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
///
/// use bytes::{Buf, BytesMut};
/// use imap_proto::{Client, ClientConfig, ClientEvent, CommandBody, Step};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = Instant::now();
/// let mut client = Client::new(Arc::new(ClientConfig::default()), now);
/// let noop = client.command(CommandBody::Noop)?;
/// let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1 LITERAL+] hello\r\n");
/// assert!(matches!(client.poll(&mut input, now)?, Step::Event(ClientEvent::Greeting(_))));
/// assert_eq!(client.output().copy_to_bytes(9), "A1 NOOP\r\n");
///
/// input.extend_from_slice(b"* 23 EXISTS\r\nA1 OK done\r\n");
/// assert!(matches!(client.poll(&mut input, now)?, Step::Event(ClientEvent::Untagged(_))));
/// let Step::Event(ClientEvent::Reply { ticket, .. }) = client.poll(&mut input, now)? else {
///     return Err("no reply".into());
/// };
/// assert_eq!(ticket, noop);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    mode: Mode,
    framer: Framer,
    /// How often the present response was looked at for a content.
    fronts: u8,
    in_flight: InFlight,
    output: Output,
    /// What of it was left when the server was last found reading too slowly.
    undrained: usize,
    capabilities: Vec<Capability>,
    offered: Extensions,
    knows_capabilities: bool,
    dialect: Dialect,
    deadlines: Deadlines<Timer>,
    challenged: bool,
    eof: bool,
    bye: bool,
    fatal: Option<Error>,
}

impl Client {
    /// A connection that was just made.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, now: Instant) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set(Timer::Response, now + config.response_time);
        let framer = Framer::tolerant(config.tolerate_bare_lf);
        Self {
            config,
            mode: Mode::Greeting,
            framer,
            fronts: 0,
            in_flight: InFlight::default(),
            output: Output::default(),
            undrained: 0,
            capabilities: Vec::new(),
            offered: Extensions::default(),
            knows_capabilities: false,
            dialect: Dialect::CLIENT,
            deadlines,
            challenged: false,
            eof: false,
            bye: false,
            fatal: None,
        }
    }

    /// What the server said that it can do; empty before it said it, and
    /// again behind STARTTLS and authentication.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// Whether the server said that it can do `extension`.
    #[must_use]
    pub fn offers(&self, extension: Extension) -> bool {
        self.offered.has(extension)
    }

    /// Whether output waits for the server beyond the limit.
    #[must_use]
    pub fn wants_drain(&self) -> bool {
        self.output.len() > self.config.output
    }

    /// Takes one event off the front of `input`.
    ///
    /// # Errors
    /// When the connection is over by the server's fault.
    pub fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<ClientEvent>, Error> {
        if let Some(error) = self.fatal.take() {
            return Err(error);
        }
        if self.wants_drain() && !matches!(self.mode, Mode::Closed) {
            let left = self.output.len();
            // As long as the server takes something, it may take its time.
            if self.deadlines.when(Timer::Drain).is_none() || left < self.undrained {
                let limit = self.config.response_time;
                self.deadlines.set(Timer::Drain, now + limit);
            }
            self.undrained = left;
            // It has nothing to answer before it has all.
            self.deadlines.clear(Timer::Response);
            return Ok(Step::NeedDrain);
        }
        self.deadlines.clear(Timer::Drain);
        loop {
            if let Some(ticket) = self.in_flight.take_wanted() {
                let wanted = ClientEvent::PayloadWanted(ticket);
                return self.settle(Step::Event(wanted), now);
            }
            let step = match self.receive(input) {
                Ok(Some(step)) => step,
                Ok(None) => continue,
                Err(error) => {
                    self.close();
                    return Err(error);
                }
            };
            return self.settle(step, now);
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

    /// Ends an IDLE that is long enough, or the connection when the server
    /// is silent.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.deadlines.expired(now) {
            Some(Timer::Idle) if self.done().is_ok() => {
                let limit = self.config.response_time;
                self.deadlines.set(Timer::Response, now + limit);
            }
            Some(Timer::Response) => {
                self.close();
                self.fatal = Some(Error::TimedOut("response"));
            }
            Some(Timer::Drain) => {
                self.close();
                self.output.clear();
                self.fatal = Some(Error::TimedOut("output"));
            }
            None | Some(Timer::Idle) => {}
        }
    }

    /// The server closed its side.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// Sends LOGOUT behind what is queued; the connection is over when the
    /// server has answered.
    pub fn shutdown(&mut self) {
        if self.is_idling() {
            let _ = self.done();
        }
        let _ = self.command(CommandBody::Logout);
    }

    /// Queues a command.
    ///
    /// # Errors
    /// When the connection is over, too many commands wait for their reply,
    /// the command is one that has a method of its own, or LOGIN where the
    /// server is known to refuse it (RFC 9051 §6.2.3).
    pub fn command(&mut self, body: CommandBody) -> Result<Ticket, Misuse> {
        const CALL: &str = "command";
        let kind = match &body {
            CommandBody::Authenticate { .. } | CommandBody::Idle => {
                return Err(Misuse::Argument {
                    call: CALL,
                    reason: "this command has a method of its own",
                });
            }
            CommandBody::Login { .. } if self.disables_login() => {
                return Err(Misuse::Argument {
                    call: CALL,
                    reason: "the server says LOGINDISABLED",
                });
            }
            CommandBody::StartTls => Kind::StartTls,
            CommandBody::Login { .. } => Kind::Login,
            CommandBody::Logout => Kind::Logout,
            CommandBody::Unauthenticate => Kind::Unauthenticate,
            CommandBody::Compress => Kind::Barrier,
            _ => Kind::Plain,
        };
        self.may(CALL)?;
        let ticket = self.in_flight.push(kind, body);
        self.flow();
        Ok(ticket)
    }

    /// Queues AUTHENTICATE. The initial response goes along where the server
    /// has SASL-IR, else in answer to its first, empty challenge.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn authenticate(
        &mut self,
        mechanism: &str,
        initial_response: Option<Secret>,
    ) -> Result<Ticket, Misuse> {
        const CALL: &str = "authenticate";
        self.may(CALL)?;
        if crate::Atom::new(mechanism).is_err() {
            return Err(Misuse::Argument {
                call: CALL,
                reason: "a mechanism is an atom",
            });
        }
        let body = CommandBody::Authenticate {
            mechanism: mechanism.to_ascii_uppercase().into(),
            initial_response,
        };
        let ticket = self.in_flight.push(Kind::Authenticate, body);
        self.flow();
        Ok(ticket)
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// When there is none.
    pub fn respond(&mut self, data: &[u8]) -> Result<(), Misuse> {
        self.answer_challenge("respond", &proto_core::sasl::encode_base64(data))
    }

    /// Cancels a SASL exchange; the reply will be BAD.
    ///
    /// # Errors
    /// When no challenge waits.
    pub fn cancel(&mut self) -> Result<(), Misuse> {
        self.answer_challenge("cancel", "*")
    }

    /// Queues IDLE.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn idle(&mut self) -> Result<Ticket, Misuse> {
        self.may("idle")?;
        let ticket = self.in_flight.push(Kind::Idle, CommandBody::Idle);
        self.flow();
        Ok(ticket)
    }

    /// Whether IDLE is going on.
    #[must_use]
    pub fn is_idling(&self) -> bool {
        self.in_flight.is_idling()
    }

    /// Ends IDLE.
    ///
    /// # Errors
    /// When it is not going on.
    pub fn done(&mut self) -> Result<(), Misuse> {
        if !self.in_flight.end_idle() {
            return Err(Misuse::NotExpected { call: "done" });
        }
        self.deadlines.clear(Timer::Idle);
        self.output.push_slice(b"DONE\r\n");
        Ok(())
    }

    /// The TLS handshake is done: what the server said before is forgotten.
    ///
    /// # Errors
    /// When STARTTLS was not answered OK.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        if !matches!(self.mode, Mode::Handshake) {
            return Err(Misuse::NotExpected {
                call: "tls_started",
            });
        }
        self.mode = Mode::Ready;
        self.deadlines.clear(Timer::Response);
        self.dialect = Dialect::CLIENT;
        self.forget_capabilities();
        self.refresh();
        Ok(())
    }

    fn disables_login(&self) -> bool {
        let mut all = self.capabilities.iter();
        all.any(|one| one.as_str().eq_ignore_ascii_case("LOGINDISABLED"))
    }

    fn may(&self, call: &'static str) -> Result<(), Misuse> {
        if matches!(self.mode, Mode::Closed) || self.bye {
            return Err(Misuse::Closed { call });
        }
        if self.in_flight.len() >= self.config.in_flight {
            return Err(Misuse::Argument {
                call,
                reason: "too many commands in flight",
            });
        }
        Ok(())
    }

    fn answer_challenge(&mut self, call: &'static str, text: &str) -> Result<(), Misuse> {
        if !std::mem::take(&mut self.challenged) {
            return Err(Misuse::NotExpected { call });
        }
        self.output.push_slice(text.as_bytes());
        self.output.push_slice(b"\r\n");
        Ok(())
    }

    /// Sends what may be sent.
    fn flow(&mut self) {
        if matches!(self.mode, Mode::Greeting | Mode::Handshake | Mode::Closed) {
            return;
        }
        let sasl_ir = self.offered.has(Extension::SaslIr);
        self.in_flight.flow(&mut self.output, self.dialect, sasl_ir);
    }

    fn settle(
        &mut self,
        step: Step<ClientEvent>,
        now: Instant,
    ) -> Result<Step<ClientEvent>, Error> {
        if step == Step::NeedAnswer {
            // The handshake: a server may be silent there, too.
            if self.deadlines.when(Timer::Response).is_none() {
                let limit = self.config.response_time;
                self.deadlines.set(Timer::Response, now + limit);
            }
            return Ok(step);
        }
        if step != Step::NeedInput {
            self.deadlines.clear(Timer::Response);
            return Ok(step);
        }
        if self.eof {
            let over = self.bye || self.in_flight.is_logging_out();
            let in_content = matches!(self.mode, Mode::Content { .. });
            self.close();
            return match (over, in_content) {
                (_, true) => Err(Error::EofInLiteral),
                (true, _) => Ok(Step::Closed),
                (false, _) => Err(Error::PeerMisbehaved("closed without BYE")),
            };
        }
        let (timer, limit) = if self.is_idling() {
            self.deadlines.clear(Timer::Response);
            (Timer::Idle, self.config.idle_time)
        } else {
            (Timer::Response, self.config.response_time)
        };
        // Behind BYE the server has to close; contents may come unasked.
        let waits = !self.in_flight.is_empty() || self.bye || !matches!(self.mode, Mode::Ready);
        if waits && self.deadlines.when(timer).is_none() {
            self.deadlines.set(timer, now + limit);
        }
        Ok(step)
    }

    fn close(&mut self) {
        self.mode = Mode::Closed;
        self.deadlines.clear_all();
        self.in_flight = InFlight::default();
    }

    fn forget_capabilities(&mut self) {
        self.capabilities.clear();
        self.offered = Extensions::default();
        self.knows_capabilities = false;
        self.dialect.literals = Literals::Synchronizing;
    }

    fn learn_capabilities(&mut self, all: &[Capability]) {
        self.capabilities = all.to_vec();
        self.offered = all.iter().filter_map(Capability::extension).collect();
        self.knows_capabilities = true;
        self.dialect.literals = if self.offered.holds(Extension::LiteralPlus) {
            Literals::Plus
        } else if self.offered.has(Extension::LiteralMinus) {
            Literals::Minus
        } else {
            Literals::Synchronizing
        };
    }

    /// Asks for CAPABILITY ahead of what is queued, if it is not known.
    fn refresh(&mut self) {
        if !self.knows_capabilities && self.config.refresh_capabilities && !self.bye {
            self.in_flight
                .push_front(Kind::Refresh, CommandBody::Capability);
        }
        self.flow();
    }

    /// What a reply changes.
    fn conclude(&mut self, kind: Kind, status: &StatusResponse) {
        if status.kind != StatusKind::Ok {
            return;
        }
        match kind {
            Kind::Login | Kind::Authenticate | Kind::Unauthenticate => {
                if kind == Kind::Unauthenticate {
                    // RFC 8437 §3: nothing is enabled any more.
                    self.dialect.utf8 = false;
                }
                // Told along with the reply, or it has to be asked for.
                if !matches!(status.code, Some(crate::Code::Capability(_))) {
                    self.forget_capabilities();
                }
                self.refresh();
            }
            Kind::StartTls => self.mode = Mode::Handshake,
            Kind::Logout => self.close(),
            _ => {}
        }
    }
}
