mod answer;
mod event;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use proto_core::sasl::encode_base64;
use proto_core::{
    BareNewline, Deadlines, DotDecoder, DotStep, LineScanner, Misuse, Output, Scan, Secret, Step,
};

pub use event::{Capabilities, ClientEvent, Ticket};

use crate::{ClientError, Command};

/// Most octets of one [`ClientEvent::Payload`].
const CHUNK: usize = 64 * 1024;

/// Longest command, with its CRLF (RFC 2449 §4).
const MAX_COMMAND: usize = 255;

/// What a client puts up with.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// How long the server may be silent while an answer is due.
    pub timeout: Duration,
    /// Octets of a line with its CRLF. The RFCs' 512 are for first lines and
    /// capabilities; a SASL challenge has no limit of its own. Stops a server
    /// that sends a line without end.
    pub max_line: usize,
    /// Lines of an answer to CAPA. Stops a server that announces without end.
    pub max_capabilities: usize,
    /// Take a line that ends in a bare LF. Off: RFC 1939 §3 ends lines with
    /// CRLF.
    pub allow_bare_lf: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
            max_line: 12_288,
            max_capabilities: 200,
            allow_bare_lf: false,
        }
    }
}

/// The client's side of one connection.
///
/// Every command is sent with [`send`](Self::send), as many at a time as the
/// host likes where the server announces PIPELINING, else one. Answers come
/// as [`ClientEvent`]s in the commands' order, each with the [`Ticket`] that
/// `send` gave.
///
/// ```
/// use std::time::Instant;
///
/// use bytes::BytesMut;
/// use pop3_proto::{Client, ClientConfig, ClientEvent, Command};
/// use proto_core::Step;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut client = Client::new(ClientConfig::default(), Instant::now());
/// // What the server sends:
/// let mut input = BytesMut::from("+OK ready\r\n+OK 2 320\r\n");
/// while let Step::Event(event) = client.poll(&mut input, Instant::now())? {
///     match event {
///         ClientEvent::Greeting { .. } => drop(client.send(&Command::Stat)?),
///         ClientEvent::Stat { count, octets, .. } => assert_eq!((count, octets), (2, 320)),
///         other => unreachable!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    state: State,
    pending: VecDeque<Pending>,
    next_ticket: u64,
    /// STLS, AUTH and QUIT: nothing may follow until they are answered.
    barrier: bool,
    scanner: LineScanner,
    deadlines: Deadlines<()>,
    output: Output,
    /// What `input` held when `poll` last looked: more of it later means that
    /// the server is alive.
    unread: usize,
    eof: bool,
    /// QUIT is to be sent once there is no command outstanding.
    quitting: bool,
}

#[derive(Debug)]
enum State {
    Greeting,
    /// Waits for a first line, if any command is pending.
    Ready,
    /// Within a multi-line answer of lines.
    Lines(Lines),
    /// Within a message.
    Payload(DotDecoder),
    /// A challenge was given to the host.
    Challenged,
    /// STLS is agreed; waits for `tls_started`.
    Handshake,
    Closed(Option<ClientError>),
}

#[derive(Debug)]
enum Lines {
    Capabilities(Capabilities),
    Sizes,
    UniqueIds,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    ticket: Ticket,
    keyword: &'static str,
    answer: Answer,
}

/// How a command's `+OK` goes on.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Line,
    Stat,
    Size,
    UniqueId,
    Capabilities,
    Sizes,
    UniqueIds,
    Payload,
    Auth,
    Stls,
    Quit,
}

impl Client {
    /// A connection that has just been opened, in the clear or under TLS.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set((), now + config.timeout);
        Self {
            config,
            state: State::Greeting,
            pending: VecDeque::new(),
            next_ticket: 1,
            barrier: false,
            scanner: LineScanner::default(),
            deadlines,
            output: Output::default(),
            unread: 0,
            eof: false,
            quitting: false,
        }
    }

    /// Commands that wait for their answer.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.pending.len()
    }

    /// Queues a command.
    ///
    /// # Errors
    /// [`Misuse`] before the greeting, behind an unanswered STLS, AUTH or
    /// QUIT, and for a command that cannot be written as one line of 255
    /// octets: a line break in a name, or an initial response that is too
    /// long, which RFC 5034 §4 wants to be sent after the empty challenge.
    pub fn send(&mut self, command: &Command) -> Result<Ticket, Misuse> {
        const CALL: &str = "send";
        let awake = !matches!(
            self.state,
            State::Greeting | State::Handshake | State::Closed(_)
        );
        if !awake || self.barrier {
            return Err(self.misuse(CALL));
        }
        let answer = match command {
            Command::Capa => Answer::Capabilities,
            Command::Stat => Answer::Stat,
            Command::List(None) => Answer::Sizes,
            Command::List(Some(_)) => Answer::Size,
            Command::Uidl(None) => Answer::UniqueIds,
            Command::Uidl(Some(_)) => Answer::UniqueId,
            Command::Retr(_) | Command::Top(..) => Answer::Payload,
            Command::Auth(_) => Answer::Auth,
            Command::Stls => Answer::Stls,
            Command::Quit => Answer::Quit,
            Command::AuthList => {
                return Err(Misuse::Argument {
                    call: CALL,
                    reason: "CAPA is what lists the mechanisms",
                });
            }
            _ => Answer::Line,
        };
        let mut line = Output::default();
        command.encode(&mut line);
        let line = line.copy_to_bytes(line.len());
        // What would not be read as what it is must not be sent: above all a
        // line break, behind which another command would stand.
        let text = line.strip_suffix(b"\r\n").unwrap_or_default();
        if Command::parse(text).as_ref() != Ok(command) {
            return Err(Misuse::Argument {
                call: CALL,
                reason: "an argument cannot be sent",
            });
        }
        if line.len() > MAX_COMMAND {
            return Err(Misuse::Argument {
                call: CALL,
                reason: "over 255 octets",
            });
        }
        self.output.push_slice(&line);
        self.barrier = matches!(answer, Answer::Auth | Answer::Stls | Answer::Quit);
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.push_back(Pending {
            ticket,
            keyword: command.keyword(),
            answer,
        });
        Ok(ticket)
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// [`Misuse`] where no [`ClientEvent::Challenge`] waits.
    pub fn auth_response(&mut self, response: &Secret) -> Result<(), Misuse> {
        if !matches!(self.state, State::Challenged) {
            return Err(self.misuse("auth_response"));
        }
        let text = encode_base64(response.expose());
        self.output.push_slice(text.as_bytes());
        self.output.push_slice(b"\r\n");
        self.state = State::Ready;
        Ok(())
    }

    /// Gives an exchange up; the server answers `-ERR`.
    ///
    /// # Errors
    /// [`Misuse`] where no [`ClientEvent::Challenge`] waits.
    pub fn auth_cancel(&mut self) -> Result<(), Misuse> {
        if !matches!(self.state, State::Challenged) {
            return Err(self.misuse("auth_cancel"));
        }
        self.output.push_slice(b"*\r\n");
        self.state = State::Ready;
        Ok(())
    }

    /// The handshake is done. What CAPA answered before must be forgotten.
    ///
    /// # Errors
    /// [`Misuse`] where no [`ClientEvent::StartTls`] waits.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        if !matches!(self.state, State::Handshake) {
            return Err(self.misuse("tls_started"));
        }
        self.state = State::Ready;
        self.scanner.reset();
        self.unread = 0;
        Ok(())
    }

    /// Takes the next of what the server said off the front of `input`.
    ///
    /// # Errors
    /// The connection is over.
    pub fn poll(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Step<ClientEvent>, ClientError> {
        if input.len() > self.unread {
            self.deadlines.clear(());
        }
        let step = self.advance(input);
        self.unread = input.len();
        match &step {
            Err(error) => self.close(Some(error.clone())),
            Ok(Step::NeedInput) if self.due() => {
                if self.deadlines.when(()).is_none() {
                    self.deadlines.set((), now + self.config.timeout);
                }
            }
            Ok(_) => self.deadlines.clear(()),
        }
        step
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Step<ClientEvent>, ClientError> {
        loop {
            match &mut self.state {
                State::Closed(None) => return Ok(Step::Closed),
                State::Closed(Some(error)) => return Err(error.clone()),
                State::Challenged | State::Handshake => return Ok(Step::NeedAnswer),
                State::Payload(decoder) => match decoder.step(input, CHUNK) {
                    DotStep::Chunk(chunk) => return Ok(Step::Event(ClientEvent::Payload(chunk))),
                    DotStep::End => {
                        self.state = State::Ready;
                        if let Some(pending) = self.pending.pop_front() {
                            let ticket = pending.ticket;
                            return Ok(Step::Event(ClientEvent::PayloadEnd { ticket }));
                        }
                    }
                    DotStep::NeedInput if self.eof => return Err(ClientError::Eof),
                    DotStep::NeedInput => return Ok(Step::NeedInput),
                },
                State::Ready if self.quitting && self.pending.is_empty() => {
                    self.quitting = false;
                    if self.send(&Command::Quit).is_err() {
                        self.close(None);
                    }
                }
                State::Greeting | State::Ready | State::Lines(_) => {
                    if !self.due() && !input.is_empty() {
                        return Err(ClientError::Unasked);
                    }
                    let Some(line) = self.line(input)? else {
                        return match (self.eof, self.due()) {
                            (false, _) => Ok(Step::NeedInput),
                            (true, true) => Err(ClientError::Eof),
                            (true, false) => {
                                self.close(None);
                                Ok(Step::Closed)
                            }
                        };
                    };
                    if let Some(event) = self.answer(&line, !input.is_empty())? {
                        return Ok(Step::Event(event));
                    }
                }
            }
        }
    }

    /// Takes a whole line, without its end.
    fn line(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, ClientError> {
        let max = self.config.max_line.saturating_sub(2);
        let (len, consumed) = match self.scanner.scan(input, max) {
            Scan::Partial => return Ok(None),
            Scan::Skip { .. } | Scan::TooLong { .. } => return Err(ClientError::LineTooLong),
            Scan::BareLf { .. } if !self.config.allow_bare_lf => return Err(ClientError::BareLf),
            Scan::Line { len, consumed } | Scan::BareLf { len, consumed } => (len, consumed),
        };
        let mut line = input.split_to(consumed);
        line.truncate(len);
        Ok(Some(line))
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

    /// Ends the connection if the deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadlines.expired(now).is_some() {
            self.close(Some(ClientError::Timeout));
        }
    }

    /// The server has closed its side.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// Sends QUIT when the commands under way are answered.
    pub fn shutdown(&mut self) {
        match self.state {
            State::Greeting | State::Handshake => self.close(None),
            _ => self.quitting = !matches!(self.pending.back(), Some(p) if p.keyword == "QUIT"),
        }
    }

    /// Whether the server owes something.
    fn due(&self) -> bool {
        matches!(self.state, State::Greeting) || !self.pending.is_empty()
    }

    fn close(&mut self, error: Option<ClientError>) {
        self.state = State::Closed(error);
        self.deadlines.clear_all();
    }

    fn misuse(&self, call: &'static str) -> Misuse {
        match self.state {
            State::Closed(_) => Misuse::Closed { call },
            _ => Misuse::NotExpected { call },
        }
    }

    fn payload() -> State {
        // Whether bare newlines may stand in a message is not for the client
        // that fetches it to say.
        State::Payload(DotDecoder::new(BareNewline::Pass))
    }
}
