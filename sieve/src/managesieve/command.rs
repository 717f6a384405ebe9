//! Commands that the host decides (RFC 5804 §2).

use bytes::Bytes;
use proto_core::{Secret, sasl::decode_base64};

use super::syntax::{Token, is_script_name};

/// What a client wants. Each must be answered with [`Server::reply`](super::Server::reply), where nothing else is said.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// AUTHENTICATE. Answers: `challenge`, `authenticated`, or `reply` with NO.
    Authenticate(AuthStart),
    /// The response to a challenge. Answers as for [`Authenticate`](Self::Authenticate).
    AuthResponse(Secret),
    /// The client gave the exchange up; it was told NO. There is nothing to answer.
    AuthCancelled,
    /// STARTTLS. `reply(Reply::ok())`, drain the output, shake hands, `tls_started`; or `reply` with NO.
    StartTls,
    /// HAVESPACE.
    HaveSpace {
        /// The script's name.
        name: String,
        /// Its size in octets.
        size: u64,
    },
    /// PUTSCRIPT: check, then store without a moment where neither old nor new is there.
    PutScript {
        /// The script's name.
        name: String,
        /// Its source.
        script: Bytes,
    },
    /// CHECKSCRIPT: check without storing.
    CheckScript(Bytes),
    /// LISTSCRIPTS. Answers: `send_list`, or `reply` with NO.
    ListScripts,
    /// SETACTIVE; `None` makes none active.
    SetActive(Option<String>),
    /// GETSCRIPT. Answers: `send_script`, or `reply` with NO.
    GetScript(String),
    /// DELETESCRIPT; not the active one.
    DeleteScript(String),
    /// RENAMESCRIPT.
    RenameScript {
        /// The present name.
        from: String,
        /// The name to be.
        to: String,
    },
    /// UNAUTHENTICATE succeeded (RFC 5804 §2.14.1): forget the user. There is nothing to answer.
    Unauthenticated,
    /// A command was refused by the machine, with this text. There is nothing to answer: log, slow down.
    Rejected(String),
}

/// The beginning of a SASL exchange.
#[derive(Debug)]
pub struct AuthStart {
    /// Upper case.
    pub mechanism: String,
    /// The initial response, decoded.
    pub initial: Option<Secret>,
}

pub(super) enum Command {
    Authenticate(AuthStart),
    StartTls,
    Logout,
    Capability,
    Noop(Option<String>),
    Unauthenticate,
    /// For the host, once authenticated.
    Script(Event),
}

fn name(token: &Token) -> Result<String, &'static str> {
    let Token::Text(octets) = token else {
        return Err("A script's name must be a string");
    };
    let name = std::str::from_utf8(octets).map_err(|_| "A script's name must be UTF-8")?;
    if is_script_name(name) {
        Ok(name.to_owned())
    } else {
        Err("A script cannot have this name")
    }
}

/// Decoded SASL data.
pub(super) fn sasl(octets: &[u8]) -> Result<Secret, &'static str> {
    decode_base64(octets)
        .map(Secret::new)
        .map_err(|_| "SASL data must be base64")
}

impl Command {
    pub(super) fn parse(tokens: &[Token]) -> Result<Self, &'static str> {
        let Some((Token::Atom(verb), arguments)) = tokens.split_first() else {
            return Err("Not a command");
        };
        Ok(match (verb.to_ascii_uppercase().as_str(), arguments) {
            ("AUTHENTICATE", [Token::Text(mechanism), rest @ ..]) => {
                let mechanism = String::from_utf8_lossy(mechanism).to_ascii_uppercase();
                let initial = match rest {
                    [] => None,
                    [Token::Text(data)] => Some(sasl(data)?),
                    _ => return Err("AUTHENTICATE takes a mechanism and initial data"),
                };
                Self::Authenticate(AuthStart { mechanism, initial })
            }
            ("STARTTLS", []) => Self::StartTls,
            ("LOGOUT", []) => Self::Logout,
            ("CAPABILITY", []) => Self::Capability,
            ("NOOP", []) => Self::Noop(None),
            ("NOOP", [Token::Text(tag)]) => {
                Self::Noop(Some(String::from_utf8_lossy(tag).into_owned()))
            }
            ("UNAUTHENTICATE", []) => Self::Unauthenticate,
            ("HAVESPACE", [script, Token::Number(size)]) => Self::Script(Event::HaveSpace {
                name: name(script)?,
                size: *size,
            }),
            ("PUTSCRIPT", [script, Token::Text(source)]) => Self::Script(Event::PutScript {
                name: name(script)?,
                script: source.clone(),
            }),
            ("CHECKSCRIPT", [Token::Text(source)]) => {
                Self::Script(Event::CheckScript(source.clone()))
            }
            ("LISTSCRIPTS", []) => Self::Script(Event::ListScripts),
            ("SETACTIVE", [Token::Text(empty)]) if empty.is_empty() => {
                Self::Script(Event::SetActive(None))
            }
            ("SETACTIVE", [script]) => Self::Script(Event::SetActive(Some(name(script)?))),
            ("GETSCRIPT", [script]) => Self::Script(Event::GetScript(name(script)?)),
            ("DELETESCRIPT", [script]) => Self::Script(Event::DeleteScript(name(script)?)),
            ("RENAMESCRIPT", [from, to]) => Self::Script(Event::RenameScript {
                from: name(from)?,
                to: name(to)?,
            }),
            (
                "AUTHENTICATE" | "STARTTLS" | "LOGOUT" | "CAPABILITY" | "NOOP" | "UNAUTHENTICATE"
                | "HAVESPACE" | "PUTSCRIPT" | "CHECKSCRIPT" | "LISTSCRIPTS" | "SETACTIVE"
                | "GETSCRIPT" | "DELETESCRIPT" | "RENAMESCRIPT",
                _,
            ) => return Err("Wrong arguments for this command"),
            _ => return Err("There is no such command"),
        })
    }
}
