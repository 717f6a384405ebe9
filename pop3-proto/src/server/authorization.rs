//! Commands of the AUTHORIZATION state (RFC 1939 §4).

use std::fmt::Write as _;

use proto_core::Secret;
use proto_core::sasl::decode_base64;

use super::{Apop, Event, Line, Login, Rejected, Server, State};
use crate::{AuthStart, Command, Expire, Reply};

impl Server {
    /// `more` tells whether octets follow the command's line.
    pub(super) fn authorization(&mut self, command: Command, more: bool) -> Line {
        let keyword = command.keyword();
        let user = self.user.take();
        match command {
            Command::Quit => {
                self.say(&Reply::ok("bye"));
                self.close(None);
                Line::Handled
            }
            Command::Stls => self.stls(more),
            Command::Utf8 if !self.config.utf8 => self.reject(Rejected::NotOffered(keyword)),
            Command::Utf8 => {
                self.utf8 = true;
                self.say(&Reply::ok("UTF-8 mode is on"));
                Line::Handled
            }
            Command::User(_) | Command::Pass(_) if !self.config.user => {
                self.reject(Rejected::NotOffered(keyword))
            }
            Command::User(_) | Command::Pass(_) if !self.plaintext_allowed() => {
                self.reject(Rejected::TlsRequired(keyword))
            }
            Command::User(name) => {
                // The same for every name: who exists is nobody's business.
                self.say(&Reply::ok("send PASS"));
                self.user = Some(name);
                Line::Handled
            }
            Command::Pass(password) => match user {
                Some(name) => self.login(false, Event::Login(Login { name, password })),
                None => self.reject(Rejected::WrongState(keyword)),
            },
            Command::Apop { .. } if !self.has_timestamp => {
                self.reject(Rejected::NotOffered(keyword))
            }
            Command::Apop { name, digest } => self.login(false, Event::Apop(Apop { name, digest })),
            Command::AuthList => {
                self.say(&Reply::ok("mechanisms follow"));
                for mechanism in &self.config.mechanisms {
                    if !mechanism.plaintext || self.plaintext_allowed() {
                        let _ = write!(self.output, "{}\r\n", mechanism.name);
                    }
                }
                self.output.push_slice(b".\r\n");
                Line::Handled
            }
            Command::Auth(start) => self.auth(start),
            _ => self.reject(Rejected::WrongState(keyword)),
        }
    }

    fn stls(&mut self, more: bool) -> Line {
        if self.tls || self.utf8 {
            // RFC 6856 §2.1: not after UTF8.
            return self.reject(Rejected::WrongState("STLS"));
        }
        if !self.config.stls {
            return self.reject(Rejected::NotOffered("STLS"));
        }
        if more {
            self.injected();
            return Line::Handled;
        }
        self.state = State::Stls;
        Line::Event(Event::StartTls)
    }

    fn auth(&mut self, start: AuthStart) -> Line {
        let mechanisms = &self.config.mechanisms;
        let known = mechanisms
            .iter()
            .find(|mechanism| mechanism.name == start.mechanism);
        match known {
            None => {
                self.say(&Reply::err("no such mechanism"));
                Line::Handled
            }
            Some(mechanism) if mechanism.plaintext && !self.plaintext_allowed() => {
                self.reject(Rejected::TlsRequired("AUTH"))
            }
            Some(_) => self.login(true, Event::Auth(start)),
        }
    }

    fn login(&mut self, sasl: bool, event: Event) -> Line {
        self.state = State::Login { sasl };
        Line::Event(event)
    }

    /// A line behind a challenge (RFC 5034 §4).
    pub(super) fn sasl_response(&mut self, line: &[u8]) -> Line {
        self.state = State::Authorization;
        if line == b"*" {
            self.say(&Reply::err("authentication cancelled"));
            return Line::Event(Event::AuthCancelled);
        }
        match decode_base64(line) {
            Ok(response) => self.login(true, Event::AuthData(Secret::new(response))),
            Err(_) => self.reject(Rejected::Base64),
        }
    }

    pub(super) fn plaintext_allowed(&self) -> bool {
        self.tls || self.config.plaintext_without_tls
    }

    /// CAPA (RFC 2449 §5): what AUTHORIZATION offers stays announced after
    /// login, save STLS, which is only for where it is permitted (RFC 2595 §4).
    pub(super) fn capabilities(&mut self) {
        let config = self.config.clone();
        let plaintext = self.plaintext_allowed();
        let output = &mut self.output;
        output.push_slice(
            b"+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n",
        );
        if config.user && plaintext {
            output.push_slice(b"USER\r\n");
        }
        let mut names = config
            .mechanisms
            .iter()
            .filter(|mechanism| plaintext || !mechanism.plaintext)
            .map(|mechanism| mechanism.name.as_str())
            .peekable();
        if names.peek().is_some() {
            output.push_slice(b"SASL");
            for name in names {
                let _ = write!(output, " {name}");
            }
            output.push_slice(b"\r\n");
        }
        if config.stls && !self.tls && !self.utf8 && matches!(self.state, State::Authorization) {
            output.push_slice(b"STLS\r\n");
        }
        if config.utf8 {
            output.push_slice(b"UTF8\r\n");
        }
        match config.expire {
            None => {}
            Some(Expire::Never) => output.push_slice(b"EXPIRE NEVER\r\n"),
            Some(Expire::Days(days)) => drop(write!(output, "EXPIRE {days}\r\n")),
        }
        if let Some(seconds) = config.login_delay {
            let _ = write!(output, "LOGIN-DELAY {seconds}\r\n");
        }
        if let Some(implementation) = &config.implementation {
            let shown = implementation.chars().filter(|c| !c.is_control()).take(200);
            let _ = write!(output, "IMPLEMENTATION {}\r\n", shown.collect::<String>());
        }
        output.push_slice(b".\r\n");
    }
}
