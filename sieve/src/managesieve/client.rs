//! The client's side (RFC 5804).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto_core::{Deadlines, Misuse, Output, Secret, Step};

use super::Error;
use super::command::sasl;
use super::reply::{Reply, Status};
use super::syntax::{Read, Reader, Token, is_script_name, put_string};

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

    fn may_send(&self, call: &'static str) -> Result<(), Misuse> {
        if self.state == State::Closed {
            return Err(Misuse::Closed { call });
        }
        // RFC 5804 §2: nothing may follow these before their answer.
        let blocked = self
            .pending
            .iter()
            .any(|pending| matches!(pending.kind, Kind::StartTls | Kind::Auth | Kind::Logout));
        if self.state != State::Open || blocked {
            return Err(Misuse::NotExpected { call });
        }
        Ok(())
    }

    fn send(
        &mut self,
        call: &'static str,
        kind: Kind,
        verb: &str,
        names: &[&str],
        script: Option<&[u8]>,
        size: Option<u64>,
    ) -> Result<Ticket, Misuse> {
        self.may_send(call)?;
        if names
            .iter()
            .any(|name| !(is_script_name(name) || (name.is_empty() && verb == "SETACTIVE")))
        {
            return Err(Misuse::Argument {
                call,
                reason: "a script cannot have this name",
            });
        }
        let out = self.output.text();
        out.extend_from_slice(verb.as_bytes());
        for name in names {
            out.extend_from_slice(b" ");
            put_string(out, name.as_bytes(), true);
        }
        if let Some(script) = script {
            out.extend_from_slice(format!(" {{{}+}}\r\n", script.len()).as_bytes());
            out.extend_from_slice(script);
        }
        if let Some(size) = size {
            out.extend_from_slice(format!(" {size}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(self.push(kind))
    }

    /// AUTHENTICATE, with an initial response if the mechanism has one. Answers come as challenges and a reply.
    ///
    /// # Errors
    /// Not now, or the mechanism's name is none.
    pub fn authenticate(
        &mut self,
        mechanism: &str,
        initial: Option<&Secret>,
    ) -> Result<Ticket, Misuse> {
        self.may_send("authenticate")?;
        if mechanism.is_empty()
            || !mechanism
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        {
            return Err(Misuse::Argument {
                call: "authenticate",
                reason: "a mechanism cannot have this name",
            });
        }
        let out = self.output.text();
        out.extend_from_slice(b"AUTHENTICATE ");
        put_string(out, mechanism.as_bytes(), true);
        if let Some(initial) = initial {
            out.extend_from_slice(b" ");
            put_string(
                out,
                proto_core::sasl::encode_base64(initial.expose()).as_bytes(),
                true,
            );
        }
        out.extend_from_slice(b"\r\n");
        Ok(self.push(Kind::Auth))
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// No challenge waits.
    pub fn auth_response(&mut self, data: &Secret) -> Result<(), Misuse> {
        self.auth_line(
            "auth_response",
            proto_core::sasl::encode_base64(data.expose()).as_bytes(),
        )
    }

    /// Gives the exchange up.
    ///
    /// # Errors
    /// No challenge waits.
    pub fn auth_cancel(&mut self) -> Result<(), Misuse> {
        self.auth_line("auth_cancel", b"*")
    }

    fn auth_line(&mut self, call: &'static str, line: &[u8]) -> Result<(), Misuse> {
        if self.state != State::Challenge {
            return Err(Misuse::NotExpected { call });
        }
        put_string(self.output.text(), line, true);
        self.output.push_slice(b"\r\n");
        self.state = State::Open;
        self.fresh = true;
        Ok(())
    }

    /// STARTTLS.
    ///
    /// # Errors
    /// Not now.
    pub fn starttls(&mut self) -> Result<Ticket, Misuse> {
        self.send("starttls", Kind::StartTls, "STARTTLS", &[], None, None)
    }

    /// TLS is up; the server sends its capabilities anew.
    ///
    /// # Errors
    /// No STARTTLS was granted.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        if self.state != State::Handshake {
            return Err(Misuse::NotExpected {
                call: "tls_started",
            });
        }
        self.state = State::Open;
        self.reader = Reader::new(self.config.max_line, self.config.max_script);
        self.push(Kind::Greeting);
        Ok(())
    }

    /// CAPABILITY.
    ///
    /// # Errors
    /// Not now.
    pub fn capability(&mut self) -> Result<Ticket, Misuse> {
        self.send(
            "capability",
            Kind::Capability,
            "CAPABILITY",
            &[],
            None,
            None,
        )
    }

    /// HAVESPACE.
    ///
    /// # Errors
    /// Not now, or an impossible name.
    pub fn have_space(&mut self, name: &str, size: u64) -> Result<Ticket, Misuse> {
        self.send(
            "have_space",
            Kind::Plain,
            "HAVESPACE",
            &[name],
            None,
            Some(size),
        )
    }

    /// PUTSCRIPT.
    ///
    /// # Errors
    /// Not now, or an impossible name.
    pub fn put_script(&mut self, name: &str, script: &[u8]) -> Result<Ticket, Misuse> {
        self.send(
            "put_script",
            Kind::Plain,
            "PUTSCRIPT",
            &[name],
            Some(script),
            None,
        )
    }

    /// CHECKSCRIPT.
    ///
    /// # Errors
    /// Not now.
    pub fn check_script(&mut self, script: &[u8]) -> Result<Ticket, Misuse> {
        self.send(
            "check_script",
            Kind::Plain,
            "CHECKSCRIPT",
            &[],
            Some(script),
            None,
        )
    }

    /// LISTSCRIPTS.
    ///
    /// # Errors
    /// Not now.
    pub fn list_scripts(&mut self) -> Result<Ticket, Misuse> {
        self.send("list_scripts", Kind::List, "LISTSCRIPTS", &[], None, None)
    }

    /// SETACTIVE; `None` makes none active.
    ///
    /// # Errors
    /// Not now, or an impossible name.
    pub fn set_active(&mut self, name: Option<&str>) -> Result<Ticket, Misuse> {
        self.send(
            "set_active",
            Kind::Plain,
            "SETACTIVE",
            &[name.unwrap_or_default()],
            None,
            None,
        )
    }

    /// GETSCRIPT.
    ///
    /// # Errors
    /// Not now, or an impossible name.
    pub fn get_script(&mut self, name: &str) -> Result<Ticket, Misuse> {
        self.send("get_script", Kind::Get, "GETSCRIPT", &[name], None, None)
    }

    /// DELETESCRIPT.
    ///
    /// # Errors
    /// Not now, or an impossible name.
    pub fn delete_script(&mut self, name: &str) -> Result<Ticket, Misuse> {
        self.send(
            "delete_script",
            Kind::Plain,
            "DELETESCRIPT",
            &[name],
            None,
            None,
        )
    }

    /// RENAMESCRIPT.
    ///
    /// # Errors
    /// Not now, or an impossible name.
    pub fn rename_script(&mut self, from: &str, to: &str) -> Result<Ticket, Misuse> {
        self.send(
            "rename_script",
            Kind::Plain,
            "RENAMESCRIPT",
            &[from, to],
            None,
            None,
        )
    }

    /// NOOP.
    ///
    /// # Errors
    /// Not now.
    pub fn noop(&mut self) -> Result<Ticket, Misuse> {
        self.send("noop", Kind::Plain, "NOOP", &[], None, None)
    }

    /// UNAUTHENTICATE.
    ///
    /// # Errors
    /// Not now.
    pub fn unauthenticate(&mut self) -> Result<Ticket, Misuse> {
        self.send(
            "unauthenticate",
            Kind::Plain,
            "UNAUTHENTICATE",
            &[],
            None,
            None,
        )
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
