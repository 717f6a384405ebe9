//! The sending side. All transitions are in `mod` (greetings, TLS, AUTH) and
//! `transaction` (MAIL to the end of the message).

mod config;
mod event;
mod fit;
mod transaction;
mod verbs;
mod wait;

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use proto_core::{Deadlines, LineScanner, Output, Scan, Secret, Step, sasl};

pub use self::config::{ClientConfig, ClientTimeouts};
pub use self::event::{ClientError, ClientEvent, Recipient, Status};
use self::transaction::Transaction;
use crate::command::{HelloVerb, Verb};
use crate::extension::Capabilities;
use crate::reply::{Reply, ReplyParser};
use crate::server::Mode;

/// One connection of an SMTP or LMTP client.
///
/// Say what is to be done with the verbs ([`begin`](Self::begin) a
/// transaction, [`start_tls`](Self::start_tls), [`auth`](Self::auth),
/// [`quit`](Self::quit)), poll, act on the [`ClientEvent`]s, write
/// [`output`](Self::output). The greeting, EHLO with its fallback to HELO,
/// pipelining and the choice of DATA or BDAT are the machine's.
///
/// For implicit TLS (RFC 8314) call [`tls_started`](Self::tls_started) before
/// the first `poll`.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    state: State,
    scanner: LineScanner,
    parser: ReplyParser,
    output: Output,
    deadlines: Deadlines<Timer>,
    events: VecDeque<ClientEvent>,
    /// The replies that are to come, in order.
    expected: VecDeque<Expect>,
    error: Option<ClientError>,
    eof: bool,
    stopping: bool,
    tls: bool,
    authenticated: bool,
    capabilities: Capabilities,
    transaction: Option<Transaction>,
    /// MAILs sent in this session.
    transactions: u32,
    /// The server still holds a transaction that has failed: RSET first.
    needs_reset: bool,
    /// Output at the last look, to see whether the server takes any.
    undrained: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Greetings are being exchanged.
    Greeting,
    /// The host's verbs are welcome.
    Ready,
    /// STARTTLS is out, or its handshake is the host's.
    StartTls,
    Handshake,
    /// A SASL exchange; whether a response is the host's to give.
    Auth {
        challenged: bool,
    },
    /// `*` is out.
    CancelledAuth,
    /// QUIT is out.
    Quit,
    Over,
}

/// Which reply comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Greeting,
    Hello(HelloVerb),
    StartTls,
    Auth,
    Mail,
    Rcpt(usize),
    Data,
    /// A chunk that is not the last.
    Chunk,
    /// The message; in LMTP for the recipient with this index.
    End(Option<usize>),
    /// The end of a message that nobody gets.
    Ignored,
    Other(Verb),
    Quit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Reply,
    Drain,
    /// All replies before the message.
    Envelope,
    /// All replies after it, in LMTP.
    Ends,
}

impl Client {
    /// A connection that was just made; the server talks first.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, now: Instant) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set(Timer::Reply, now + config.timeouts.greeting);
        Self {
            config,
            state: State::Greeting,
            scanner: LineScanner::default(),
            parser: ReplyParser::default(),
            output: Output::default(),
            deadlines,
            events: VecDeque::new(),
            expected: VecDeque::from([Expect::Greeting]),
            error: None,
            eof: false,
            stopping: false,
            tls: false,
            authenticated: false,
            capabilities: Capabilities::default(),
            transaction: None,
            transactions: 0,
            needs_reset: false,
            undrained: 0,
        }
    }

    /// Takes one event off the front of `input`.
    ///
    /// # Errors
    /// When the connection is over by someone's fault: close it. The
    /// recipients of an open transaction had their events before. Every later
    /// call gives [`Step::Closed`].
    pub fn poll(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Step<ClientEvent>, ClientError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            match self.state {
                State::Over => return self.error.take().map_or(Ok(Step::Closed), Err),
                State::Handshake if input.is_empty() => return Ok(Step::NeedAnswer),
                State::Handshake => {
                    self.fail(ClientError::PlainTextAfterStartTls);
                    continue;
                }
                _ => {}
            }
            if let Some(reply) = self.read_reply(input) {
                self.deadlines.clear(Timer::Reply);
                if let Some(transaction) = &mut self.transaction {
                    transaction.heard(now);
                }
                self.received(reply, input);
                self.clear_past();
                continue;
            }
            if !self.events.is_empty() || self.state == State::Over {
                continue;
            }
            self.advance();
            if let Some(step) = self.rest(now) {
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
        while self.deadlines.expired(now).is_some() {
            match self.state {
                State::Quit => self.close(None),
                _ => self.fail(ClientError::Timeout),
            }
        }
    }

    /// The server has closed its side; what is in `input` is still taken.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// QUIT, as soon as nothing else is under way.
    pub fn shutdown(&mut self) {
        self.stopping = true;
        if self.state == State::Ready && self.transaction.is_none() {
            self.send_quit();
        }
    }

    /// What the server offers; empty before `Ready` and after HELO.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the connection is lost or ended: only events that are left, the
    /// error and `Closed` are still to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
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

    /// A whole reply off the front of `input`.
    fn read_reply(&mut self, input: &mut BytesMut) -> Option<Reply> {
        loop {
            let (len, consumed) = match self.scanner.scan(input, self.config.reply_line) {
                // A LF alone cannot be taken for more than the end of this
                // line: there is nothing that a server could smuggle.
                Scan::Line { len, consumed } | Scan::BareLf { len, consumed } => (len, consumed),
                Scan::Partial => break,
                Scan::Skip { .. } | Scan::TooLong { .. } => {
                    self.fail(ClientError::ReplyTooLong);
                    return None;
                }
            };
            if self.parser.is_empty() && self.offered(input) {
                return None;
            }
            let parsed = self.parser.line(input.get(..len).unwrap_or_default());
            input.advance(consumed);
            match parsed {
                Ok(Some(reply)) => return Some(reply),
                Ok(None) if self.parser.len() <= self.config.reply => {}
                Ok(None) => {
                    self.fail(ClientError::ReplyTooLong);
                    return None;
                }
                Err(error) => {
                    self.fail(error.into());
                    return None;
                }
            }
        }
        if self.eof {
            match self.state {
                // Servers that close without 221, or idle ones that do so
                // without 421, harm nobody.
                State::Quit => self.close(None),
                State::Ready if self.expected.is_empty() && self.transaction.is_none() => {
                    self.close(None);
                }
                _ => self.fail(ClientError::UnexpectedEof),
            }
        }
        None
    }

    /// Takes the whole of an offer, which has mostly come in one piece. Tried
    /// once, when its first line is there: what comes in pieces is not read
    /// again and again.
    fn offered(&mut self, input: &mut BytesMut) -> bool {
        let greeted = matches!(
            self.expected.front(),
            Some(Expect::Hello(HelloVerb::Ehlo | HelloVerb::Lhlo))
        );
        if !greeted || !input.starts_with(b"250") {
            return false;
        }
        let most = self.config.reply.min(self.config.reply_line);
        match Capabilities::parse(input) {
            Ok(Some((capabilities, taken))) if taken <= most => {
                input.advance(taken);
                self.deadlines.clear(Timer::Reply);
                self.expected.pop_front();
                self.welcomed(capabilities);
                true
            }
            _ => false,
        }
    }

    fn welcomed(&mut self, capabilities: Capabilities) {
        self.capabilities = capabilities;
        self.ready();
        self.events.push_back(ClientEvent::Ready);
    }

    fn received(&mut self, reply: Reply, input: &BytesMut) {
        if reply.code() == 421 {
            self.settle_lost(&reply);
            self.events.push_back(ClientEvent::ServiceClosing(reply));
            return self.close(None);
        }
        let Some(expect) = self.expected.pop_front() else {
            return self.premature(&reply);
        };
        match expect {
            Expect::Greeting if reply.is_positive() => self.send_hello(match self.config.mode {
                Mode::Smtp => HelloVerb::Ehlo,
                Mode::Lmtp => HelloVerb::Lhlo,
            }),
            Expect::Greeting => self.refused(reply),
            Expect::Hello(verb) => self.hello_reply(verb, reply),
            Expect::StartTls if reply.code() == 220 => {
                if input.is_empty() {
                    self.state = State::Handshake;
                    self.events.push_back(ClientEvent::StartTls(reply));
                } else {
                    self.fail(ClientError::PlainTextAfterStartTls);
                }
            }
            Expect::StartTls => {
                self.ready();
                self.events.push_back(ClientEvent::StartTlsRefused(reply));
            }
            Expect::Auth => self.auth_reply(reply),
            Expect::Other(verb) => {
                if verb == Verb::Xclient && reply.is_positive() {
                    // The session begins anew, with a greeting that was just
                    // given as this reply.
                    self.capabilities = Capabilities::default();
                    self.authenticated = false;
                    self.send_hello(HelloVerb::Ehlo);
                }
                self.events.push_back(ClientEvent::Reply(verb, reply));
            }
            Expect::Ignored => {}
            Expect::Quit => self.close(None),
            Expect::Mail | Expect::Rcpt(_) | Expect::Data | Expect::Chunk | Expect::End(_) => {
                self.transaction_reply(expect, reply)
            }
        }
    }

    fn hello_reply(&mut self, verb: HelloVerb, reply: Reply) {
        if reply.is_positive() {
            self.welcomed(match verb {
                HelloVerb::Helo => Capabilities::default(),
                _ => Capabilities::from(reply),
            });
        } else if verb == HelloVerb::Ehlo && reply.is_permanent() {
            // RFC 5321 §3.2
            self.send_hello(HelloVerb::Helo);
        } else {
            self.refused(reply);
        }
    }

    fn auth_reply(&mut self, reply: Reply) {
        match reply.code() {
            // It would go on for ever.
            334 if self.state == State::CancelledAuth => {
                self.fail(ClientError::Unexpected(334));
            }
            334 => match sasl::decode_base64(reply.text().trim().as_bytes()) {
                Ok(octets) => {
                    self.state = State::Auth { challenged: true };
                    let challenge = Secret::new(octets);
                    self.events.push_back(ClientEvent::AuthChallenge(challenge));
                }
                // Nothing sensible can be answered: given up (RFC 4954 §4).
                Err(_) => self.send_cancel(),
            },
            235 => {
                self.authenticated = true;
                self.ready();
                self.events.push_back(ClientEvent::Authenticated(reply));
            }
            code if reply.is_positive() || code < 400 => {
                self.fail(ClientError::Unexpected(code));
            }
            _ => {
                self.ready();
                self.events.push_back(ClientEvent::AuthFailed(reply));
            }
        }
    }

    /// Nothing is left to do but to wait.
    fn rest(&mut self, now: Instant) -> Option<Step<ClientEvent>> {
        if !self.events.is_empty() || self.state == State::Over {
            return None;
        }
        self.see_taken(now);
        if let Some(step) = self.want_payload(now) {
            return Some(step);
        }
        if self.state == (State::Auth { challenged: true }) {
            return Some(Step::NeedAnswer);
        }
        self.wait_for_reply(now);
        Some(Step::NeedInput)
    }

    fn send_hello(&mut self, verb: HelloVerb) {
        let hello = self.config.hello(verb);
        // Writing to the output cannot fail.
        let _ = write!(self.output, "{hello}\r\n");
        self.state = State::Greeting;
        self.expected.push_back(Expect::Hello(verb));
    }

    fn send_quit(&mut self) {
        self.output.push_slice(b"QUIT\r\n");
        self.expected.push_back(Expect::Quit);
        self.state = State::Quit;
    }

    fn ready(&mut self) {
        self.state = State::Ready;
        if self.stopping {
            self.send_quit();
        }
    }

    fn refused(&mut self, reply: Reply) {
        self.events.push_back(ClientEvent::Refused(reply));
        self.send_quit();
    }

    fn fail(&mut self, error: ClientError) {
        let text = match error {
            ClientError::Timeout => "conversation timed out",
            ClientError::UnexpectedEof => "lost connection",
            _ => "protocol error",
        };
        self.settle_lost(&Reply::new(451, [4, 4, 2], text));
        self.close(Some(error));
    }

    fn close(&mut self, error: Option<ClientError>) {
        self.state = State::Over;
        self.error = error;
        self.transaction = None;
        self.expected.clear();
        self.deadlines.clear_all();
    }
}
