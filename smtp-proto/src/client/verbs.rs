//! What the host asks for, apart from transactions.

use std::fmt::Write;

use proto_core::{Misuse, Secret, sasl};

use super::{Client, Expect, State};
use crate::command::{AuthStart, Command, HelloVerb, Verb};
use crate::extension::Capabilities;
use crate::path::Lenient;
use crate::server::Mode;

/// Octets of a line in an AUTH exchange (RFC 4954 §4).
const AUTH_LINE: usize = 12_288;

impl Client {
    /// Asks for TLS; `StartTls` or `StartTlsRefused` follows.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way, the connection is under
    /// TLS, or STARTTLS is not offered.
    pub fn start_tls(&mut self) -> Result<(), Misuse> {
        let call = "start_tls";
        self.idle(call)?;
        if self.tls || !self.capabilities.starttls {
            return Err(argument(call, "STARTTLS is not offered"));
        }
        self.output.push_slice(b"STARTTLS\r\n");
        self.expected.push_back(Expect::StartTls);
        self.state = State::StartTls;
        Ok(())
    }

    /// The handshake is done: what was known of the server is forgotten
    /// (RFC 3207 §4.2), and EHLO is sent again. Before the first `poll`, for
    /// implicit TLS.
    ///
    /// # Errors
    /// [`Misuse`] when `StartTls` was not just given.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        let call = "tls_started";
        match self.state {
            State::Handshake => {
                self.capabilities = Capabilities::default();
                self.authenticated = false;
                self.scanner.reset();
                self.send_hello(match self.config.mode {
                    Mode::Smtp => HelloVerb::Ehlo,
                    Mode::Lmtp => HelloVerb::Lhlo,
                });
            }
            State::Greeting if !self.tls && self.expected.front() == Some(&Expect::Greeting) => {}
            State::Over => return Err(Misuse::Closed { call }),
            _ => return Err(Misuse::NotExpected { call }),
        }
        self.tls = true;
        Ok(())
    }

    /// Begins a SASL exchange; `AuthChallenge`, `Authenticated` or
    /// `AuthFailed` follows.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way, the session is
    /// authenticated, the connection lacks the TLS that the configuration
    /// wants for it, or the mechanism is not offered.
    pub fn auth(&mut self, mechanism: &str, initial: Option<&[u8]>) -> Result<(), Misuse> {
        let call = "auth";
        self.idle(call)?;
        if self.authenticated {
            return Err(argument(call, "already authenticated"));
        }
        if self.config.auth_needs_tls && !self.tls {
            return Err(argument(call, "no TLS"));
        }
        if !self.capabilities.has_auth(mechanism) {
            return Err(argument(call, "the mechanism is not offered"));
        }
        let auth = Command::Auth(AuthStart {
            mechanism: mechanism.to_ascii_uppercase().into(),
            initial_response: initial.map(Secret::from),
        });
        let line = checked(call, &auth)?;
        if line.len() + 2 > AUTH_LINE {
            return Err(argument(call, "longer than 12,288 octets in base64"));
        }
        self.send_line(&line);
        self.expected.push_back(Expect::Auth);
        self.state = State::Auth { challenged: false };
        Ok(())
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// [`Misuse`] when no challenge waits, or the line would be too long.
    pub fn respond(&mut self, data: &[u8]) -> Result<(), Misuse> {
        let call = "respond";
        self.challenged(call)?;
        let line = sasl::encode_base64(data);
        if line.len() + 2 > AUTH_LINE {
            return Err(argument(call, "longer than 12,288 octets in base64"));
        }
        self.send_line(&line);
        self.expected.push_back(Expect::Auth);
        self.state = State::Auth { challenged: false };
        Ok(())
    }

    /// Gives the exchange up; `AuthFailed` follows.
    ///
    /// # Errors
    /// [`Misuse`] when no challenge waits.
    pub fn cancel_auth(&mut self) -> Result<(), Misuse> {
        self.challenged("cancel_auth")?;
        self.send_cancel();
        Ok(())
    }

    pub(super) fn send_cancel(&mut self) {
        self.output.push_slice(b"*\r\n");
        self.expected.push_back(Expect::Auth);
        self.state = State::CancelledAuth;
    }

    /// Sends a command that has one reply and no effect on a transaction:
    /// VRFY, EXPN, HELP, NOOP, RSET, ETRN, XCLIENT, XFORWARD.
    /// [`ClientEvent::Reply`](super::ClientEvent::Reply) follows.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way, it is another command, or
    /// an argument cannot be sent as it is.
    pub fn command(&mut self, command: &Command) -> Result<(), Misuse> {
        let call = "command";
        self.idle(call)?;
        let verb = command.verb();
        if !matches!(
            verb,
            Verb::Vrfy
                | Verb::Expn
                | Verb::Help
                | Verb::Noop
                | Verb::Rset
                | Verb::Etrn
                | Verb::Xclient
                | Verb::Xforward
        ) {
            return Err(argument(call, "this command has a method of its own"));
        }
        let line = checked(call, command)?;
        self.send_line(&line);
        if verb == Verb::Rset {
            self.needs_reset = false;
        }
        self.expected.push_back(Expect::Other(verb));
        Ok(())
    }

    /// Ends the session; `Closed` follows the server's reply, or its silence.
    /// Nothing happens if it is over already.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way.
    pub fn quit(&mut self) -> Result<(), Misuse> {
        if matches!(self.state, State::Quit | State::Over) {
            return Ok(());
        }
        self.idle("quit")?;
        self.send_quit();
        Ok(())
    }

    /// Whether a verb of the host may come now.
    pub(super) fn idle(&self, call: &'static str) -> Result<(), Misuse> {
        match self.state {
            State::Ready if self.transaction.is_none() && self.expected.is_empty() => Ok(()),
            State::Over => Err(Misuse::Closed { call }),
            _ => Err(Misuse::NotExpected { call }),
        }
    }

    fn challenged(&self, call: &'static str) -> Result<(), Misuse> {
        match self.state {
            State::Auth { challenged: true } => Ok(()),
            State::Over => Err(Misuse::Closed { call }),
            _ => Err(Misuse::NotExpected { call }),
        }
    }

    pub(super) fn send_line(&mut self, line: &str) {
        self.output.push_slice(line.as_bytes());
        self.output.push_slice(b"\r\n");
    }
}

pub(super) fn argument(call: &'static str, reason: &'static str) -> Misuse {
    Misuse::Argument { call, reason }
}

/// The command's line, if a server will read from it what was meant: no line
/// break, no space or bracket can turn one argument into two.
pub(super) fn checked(call: &'static str, command: &Command) -> Result<String, Misuse> {
    let lenient = Lenient {
        underscores: true,
        ..Lenient::default()
    };
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = write!(line, "{command}");
    match Command::parse(line.as_bytes(), &lenient) {
        Ok(read) if read == *command => Ok(line),
        _ => Err(argument(call, "an argument cannot be sent as it is")),
    }
}
