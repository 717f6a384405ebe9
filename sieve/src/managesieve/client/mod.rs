//! The client's side (RFC 5804).

mod verb;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto_core::{Deadlines, Output, Secret, Step};

use super::Error;
use super::command::sasl;
use super::reply::{Reply, Status};
use super::syntax::{Read, Reader, Token};

/// A client's limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Largest script accepted, in octets: it is held in memory.
    pub max_script: u64,
    /// Longest line accepted: it is held in memory.
    pub max_line: usize,
    /// Scripts in one list, capabilities in one greeting: an endless list.
    pub max_lines: usize,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_script: 16 << 20,
            max_line: 64 << 10,
            max_lines: 10_000,
            timeout: Duration::from_secs(300),
        }
    }
}

/// Names a command, so that its answer can be told among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// A script of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it is the one in force.
    pub active: bool,
}

/// What a server said.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The capabilities: at the beginning (`ticket` is `None`), after STARTTLS, or asked for. Names are upper case.
    Capabilities {
        /// The command asked.
        ticket: Option<Ticket>,
        /// Name and value of each.
        list: Vec<(String, Option<String>)>,
    },
    /// The answer to a command.
    Reply {
        /// Which command.
        ticket: Ticket,
        /// The answer.
        reply: Reply,
    },
    /// The answer to LISTSCRIPTS, where it succeeded.
    List {
        /// Which command.
        ticket: Ticket,
        /// The scripts.
        scripts: Vec<Listed>,
    },
    /// The answer to GETSCRIPT, where it succeeded.
    Script {
        /// Which command.
        ticket: Ticket,
        /// The source.
        script: Bytes,
    },
    /// A SASL challenge. Answer: `auth_response` or `auth_cancel`.
    Challenge(Secret),
    /// STARTTLS was granted: shake hands, then `tls_started`.
    StartTls,
    /// The server says BYE; the connection is over.
    Bye(Reply),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The greeting, or the capabilities after TLS began.
    Greeting,
    Capability,
    StartTls,
    Auth,
    List,
    Get,
    Logout,
    Plain,
}

#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    kind: Kind,
    lines: Vec<Vec<Token>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    /// A challenge waits for the host.
    Challenge,
    Handshake,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer;

/// The client's side of one connection. Commands may be sent without waiting, except behind STARTTLS and AUTHENTICATE.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    state: State,
    reader: Reader,
    pending: VecDeque<Pending>,
    next: u64,
    deadlines: Deadlines<Answer>,
    /// The next poll starts the clock.
    fresh: bool,
    output: Output,
    failed: Option<Error>,
    eof: bool,
}

impl Client {
    /// A connection that waits for the greeting.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, now: Instant) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set(Answer, now + config.timeout);
        let mut client = Self {
            reader: Reader::new(config.max_line, config.max_script),
            state: State::Open,
            pending: VecDeque::new(),
            next: 0,
            deadlines,
            fresh: false,
            output: Output::default(),
            failed: None,
            eof: false,
            config,
        };
        client.push(Kind::Greeting);
        client
    }

    fn push(&mut self, kind: Kind) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.pending.push_back(Pending {
            ticket,
            kind,
            lines: Vec::new(),
        });
        self.fresh = true;
        ticket
    }

    /// Takes one response off the front of `input`.
    ///
    /// # Errors
    /// The connection is over.
    pub fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<ClientEvent>, Error> {
        self.handle_timeout(now);
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if std::mem::take(&mut self.fresh) {
            self.deadlines.set(Answer, now + self.config.timeout);
        }
        loop {
            match self.state {
                State::Closed => return Ok(Step::Closed),
                State::Challenge | State::Handshake => return Ok(Step::NeedAnswer),
                State::Open => {}
            }
            let before = input.len();
            let read = self.reader.read(input);
            if input.len() != before {
                self.deadlines.set(Answer, now + self.config.timeout);
            }
            let tokens = match read {
                Read::Partial if self.eof => {
                    self.state = State::Closed;
                    continue;
                }
                Read::Partial => {
                    if self.pending.is_empty() {
                        self.deadlines.clear_all();
                    }
                    return Ok(Step::NeedInput);
                }
                Read::Fault(_) => return self.fail(Error::Protocol("a line that cannot be read")),
                Read::Tokens(tokens) => tokens,
            };
            if let Some(event) = self.line(tokens, input)? {
                return Ok(Step::Event(event));
            }
        }
    }

    fn fail<T>(&mut self, error: Error) -> Result<T, Error> {
        self.failed = Some(error.clone());
        self.state = State::Closed;
        Err(error)
    }

    fn line(&mut self, tokens: Vec<Token>, input: &BytesMut) -> Result<Option<ClientEvent>, Error> {
        // A literal is followed by the line end of its response.
        let reply = Reply::parse(&tokens);
        if let Some(bye) = reply.as_ref().filter(|reply| reply.status == Status::Bye) {
            self.state = State::Closed;
            return Ok(Some(ClientEvent::Bye(bye.clone())));
        }
        let Some(pending) = self.pending.front_mut() else {
            return self.fail(Error::Protocol("an answer to nothing"));
        };
        let Some(reply) = reply else {
            if let (Kind::Auth, [Token::Text(data)]) = (pending.kind, tokens.as_slice()) {
                let Ok(secret) = sasl(data) else {
                    return self.fail(Error::Protocol("a challenge that is no base64"));
                };
                self.state = State::Challenge;
                return Ok(Some(ClientEvent::Challenge(secret)));
            }
            let takes_lines = matches!(
                pending.kind,
                Kind::Greeting | Kind::Capability | Kind::List | Kind::Get
            );
            if !takes_lines || pending.lines.len() >= self.config.max_lines {
                return self.fail(Error::Protocol("data that nobody asked for"));
            }
            pending.lines.push(tokens);
            return Ok(None);
        };
        let Some(Pending {
            ticket,
            kind,
            lines,
        }) = self.pending.pop_front()
        else {
            return Ok(None);
        };
        if reply.status == Status::No {
            if kind == Kind::Greeting {
                return self.fail(Error::Protocol("the greeting is a refusal"));
            }
            return Ok(Some(ClientEvent::Reply { ticket, reply }));
        }
        Ok(Some(match kind {
            Kind::Greeting | Kind::Capability => ClientEvent::Capabilities {
                ticket: (kind == Kind::Capability).then_some(ticket),
                list: lines.iter().filter_map(|line| capability(line)).collect(),
            },
            Kind::List => ClientEvent::List {
                ticket,
                scripts: lines.iter().filter_map(|line| listed(line)).collect(),
            },
            Kind::Get => match lines.first().map(Vec::as_slice) {
                Some([Token::Text(script)]) => ClientEvent::Script {
                    ticket,
                    script: script.clone(),
                },
                _ => return self.fail(Error::Protocol("a script was expected")),
            },
            Kind::StartTls => {
                // What follows in the clear was not sent by whom TLS will name.
                if !input.is_empty() {
                    return self.fail(Error::InjectedPlaintext);
                }
                self.state = State::Handshake;
                ClientEvent::StartTls
            }
            Kind::Logout => {
                self.state = State::Closed;
                ClientEvent::Reply { ticket, reply }
            }
            Kind::Auth | Kind::Plain => ClientEvent::Reply { ticket, reply },
        }))
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Closed {
            None
        } else {
            self.deadlines.next()
        }
    }

    /// Gives up if the server was silent for too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state != State::Closed && self.deadlines.expired(now).is_some() {
            self.failed = Some(Error::Timeout);
            self.state = State::Closed;
        }
    }

    /// The server sends no more.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// Sends LOGOUT, unless it was sent.
    pub fn shutdown(&mut self) {
        if self.state == State::Open
            && !self
                .pending
                .iter()
                .any(|pending| pending.kind == Kind::Logout)
        {
            self.output.push_slice(b"LOGOUT\r\n");
            self.push(Kind::Logout);
        }
    }
}

fn capability(line: &[Token]) -> Option<(String, Option<String>)> {
    let text = |octets: &Bytes| String::from_utf8_lossy(octets).into_owned();
    match line {
        [Token::Text(name)] => Some((text(name).to_ascii_uppercase(), None)),
        [Token::Text(name), Token::Text(value)] => {
            Some((text(name).to_ascii_uppercase(), Some(text(value))))
        }
        _ => None,
    }
}

fn listed(line: &[Token]) -> Option<Listed> {
    let (Token::Text(name), rest) = line.split_first()? else {
        return None;
    };
    Some(Listed {
        name: String::from_utf8_lossy(name).into_owned(),
        active: matches!(rest, [Token::Atom(word)] if word.eq_ignore_ascii_case("ACTIVE")),
    })
}
