//! The commands that a client sends (RFC 5804 §2).

use proto_core::{Misuse, Secret};

use super::{Client, Kind, State, Ticket};
use crate::managesieve::syntax::{Reader, is_script_name, put_string};

impl Client {
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
