//! Which command is allowed when, and which the machine answers itself.

use bytes::BytesMut;
use proto_core::Step;

use super::event::Rejection;
use super::{Event, Mode, OnOk, Server, State};
use crate::{
    Code, Command, CommandBody, Error, Extension, Select, StatusKind, StatusResponse, Tag, Untagged,
};

/// The states in which a command is allowed (RFC 9051 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Always,
    NotAuthenticated,
    Authenticated,
    Selected,
}

impl Server {
    pub(super) fn dispatch(
        &mut self,
        command: Command,
        input: &BytesMut,
    ) -> Result<Option<Step<Event>>, Error> {
        if let Some(rejection) = self.forbids(&command.body) {
            return self.reject(Some(command.tag), rejection).map(Some);
        }
        let Command { tag, body } = command;
        let event = match body {
            CommandBody::Capability => {
                let all = self.capabilities();
                self.push(&Untagged::Capability(all));
                return self.done(&tag, "CAPABILITY completed");
            }
            CommandBody::Enable(wanted) => {
                let enabled = self.enable(&wanted);
                self.push(&Untagged::Enabled(enabled));
                return self.done(&tag, "ENABLE completed");
            }
            CommandBody::Logout => {
                let bye = StatusResponse::new(StatusKind::Bye, "Logging out");
                self.push(&Untagged::Status(bye));
                self.push_tagged(&tag, &StatusResponse::ok("LOGOUT completed"));
                self.close();
                return Ok(Some(Step::Closed));
            }
            CommandBody::StartTls => {
                if !input.is_empty() {
                    return Err(self.injected());
                }
                self.answering(tag, OnOk::StartTls);
                Event::StartTls
            }
            CommandBody::Authenticate {
                mechanism,
                initial_response,
            } => {
                self.mode = Mode::Authenticating {
                    tag: tag.clone(),
                    clients_turn: false,
                };
                Event::Authenticate {
                    tag,
                    mechanism,
                    initial_response,
                }
            }
            CommandBody::Idle => {
                self.errors = 0;
                self.output.push_slice(b"+ idling\r\n");
                self.mode = Mode::Idling { tag };
                Event::Idle
            }
            body => {
                self.answering(tag.clone(), on_ok(&body));
                if let CommandBody::Select(_) = body {
                    self.leave_mailbox();
                }
                Event::Command(Command { tag, body })
            }
        };
        Ok(Some(Step::Event(event)))
    }

    fn answering(&mut self, tag: Tag, on_ok: OnOk) {
        self.mode = Mode::Answering { tag, on_ok };
    }

    fn done(&mut self, tag: &Tag, text: &str) -> Result<Option<Step<Event>>, Error> {
        self.errors = 0;
        self.push_tagged(tag, &StatusResponse::ok(text));
        // A client that asks again and again but reads nothing.
        Ok(self.wants_drain().then_some(Step::NeedDrain))
    }

    /// SELECT closes the present mailbox, even if it fails (RFC 9051 §6.3.2).
    fn leave_mailbox(&mut self) {
        if self.state == State::Selected {
            self.state = State::Authenticated;
            let closed = StatusResponse::ok("Previous mailbox closed").with(Code::Closed);
            self.push(&Untagged::Status(closed));
        }
    }

    fn forbids(&mut self, body: &CommandBody) -> Option<Rejection> {
        let state = match (allowed(body), self.state) {
            (Allowed::NotAuthenticated, State::Authenticated | State::Selected) => {
                Some("after authentication")
            }
            (Allowed::Authenticated | Allowed::Selected, State::NotAuthenticated) => {
                Some("before authentication")
            }
            (Allowed::Selected, State::Authenticated) => Some("without a selected mailbox"),
            _ => None,
        };
        if let Some(when) = state {
            return Some(Rejection::State(when));
        }
        match body {
            CommandBody::StartTls if !self.config.starttls => {
                return Some(Rejection::NotOffered("STARTTLS"));
            }
            CommandBody::StartTls if self.tls => return Some(Rejection::State("under TLS")),
            CommandBody::Login { .. } if !self.allows_login() => {
                return Some(Rejection::PrivacyRequired);
            }
            CommandBody::Authenticate { mechanism, .. } => {
                let has = |known: &[Box<str>]| {
                    let mut known = known.iter();
                    known.any(|name| name.eq_ignore_ascii_case(mechanism))
                };
                if !has(self.mechanisms()) {
                    return Some(match has(&self.config.mechanisms) {
                        true => Rejection::PrivacyRequired,
                        false => Rejection::Mechanism,
                    });
                }
            }
            CommandBody::Select(Select {
                qresync: Some(_), ..
            }) if !self.enabled.holds(Extension::QResync) => {
                return Some(Rejection::State("before ENABLE QRESYNC"));
            }
            CommandBody::CancelUpdate(_)
                if !self.offered.has(Extension::ContextSearch)
                    && !self.offered.has(Extension::ContextSort) =>
            {
                return Some(Rejection::NotOffered("CONTEXT=SEARCH"));
            }
            body if self.enabled.holds(Extension::UidOnly) && body.names_sequence_numbers() => {
                return Some(Rejection::UidRequired);
            }
            _ => {}
        }
        let (offered, mut missing, mut condstore) = (self.offered, None, false);
        body.requires(&mut |extension| {
            condstore |= extension == Extension::CondStore;
            if !offered.has(extension) {
                missing = missing.or(Some(extension));
            }
        });
        if missing.is_none() && condstore {
            // RFC 7162 §3.1: whoever uses it is aware of it.
            self.enabled.insert(Extension::CondStore);
        }
        missing.map(|extension| Rejection::NotOffered(extension.name()))
    }
}

fn allowed(body: &CommandBody) -> Allowed {
    match body {
        CommandBody::Capability
        | CommandBody::Noop
        | CommandBody::Logout
        | CommandBody::Id(_)
        | CommandBody::Language(_)
        | CommandBody::Compress => Allowed::Always,
        CommandBody::StartTls | CommandBody::Authenticate { .. } | CommandBody::Login { .. } => {
            Allowed::NotAuthenticated
        }
        CommandBody::Check
        | CommandBody::Close
        | CommandBody::Unselect
        | CommandBody::Expunge
        | CommandBody::UidExpunge(_)
        | CommandBody::Search(_)
        | CommandBody::Sort(_)
        | CommandBody::Thread(_)
        | CommandBody::Fetch(_)
        | CommandBody::Store(_)
        | CommandBody::StoreAnnotations { .. }
        | CommandBody::CancelUpdate(_)
        | CommandBody::UidBatches { .. }
        | CommandBody::Copy { .. }
        | CommandBody::Move { .. } => Allowed::Selected,
        CommandBody::MultiSearch(search) if search.needs_selected() => Allowed::Selected,
        _ => Allowed::Authenticated,
    }
}

fn on_ok(body: &CommandBody) -> OnOk {
    match body {
        CommandBody::Login { .. } => OnOk::Authenticate,
        CommandBody::Select(_) => OnOk::Select,
        CommandBody::Close | CommandBody::Unselect => OnOk::Deselect,
        CommandBody::Unauthenticate => OnOk::Unauthenticate,
        CommandBody::Language(ranges) if !ranges.is_empty() => OnOk::Language,
        _ => OnOk::Nothing,
    }
}
