//! Commands on their way, and what of them may be sent already.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use proto_core::{Output, Secret};

use super::Ticket;
use crate::wire::{Break, Dialect, Hold, Writer};
use crate::{AppendMessage, CommandBody, Mailbox, Replaced, Tag};

/// What is special about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Login,
    Logout,
    Unauthenticate,
    /// Nothing goes behind it before it is over.
    Barrier,
    StartTls,
    Authenticate,
    Idle,
    /// CAPABILITY by the machine's own wish.
    Refresh,
}

impl Kind {
    fn is_barrier(self) -> bool {
        matches!(
            self,
            Self::Barrier
                | Self::StartTls
                | Self::Authenticate
                | Self::Unauthenticate
                | Self::Idle
                | Self::Logout
        )
    }
}

#[derive(Debug)]
enum Ask {
    Command(CommandBody),
    Append {
        replaces: Option<Replaced>,
        mailbox: Mailbox,
        messages: Vec<AppendMessage>,
    },
}

#[derive(Debug)]
struct Queued {
    ticket: Ticket,
    kind: Kind,
    ask: Ask,
}

#[derive(Debug)]
struct Sent {
    ticket: Ticket,
    kind: Kind,
    tag: Tag,
}

/// A part of a command that could not be sent at once.
#[derive(Debug)]
enum Piece {
    Octets(Bytes),
    Continue,
    Stream(u64),
}

#[derive(Debug, Default)]
pub(super) struct InFlight {
    next: u64,
    queued: VecDeque<Queued>,
    sent: VecDeque<Sent>,
    /// The rest of the last command that was sent.
    rest: VecDeque<Piece>,
    owed: u64,
    wanted: bool,
    /// The initial response, where the server cannot take it along.
    initial: Option<Secret>,
    idling: bool,
    done: bool,
}

/// What a `+` is for.
#[derive(Debug)]
pub(super) enum Continued {
    /// The next part of a command: `flow`.
    Flow,
    /// This answers it.
    Initial(Secret),
    /// A SASL challenge.
    Challenge,
    /// IDLE.
    Idling,
    /// Nothing.
    Unexpected,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.queued.len() + self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether commands wait to be sent, a farewell not counted.
    pub(super) fn has_queued(&self) -> bool {
        let mut queued = self.queued.iter();
        queued.any(|queued| queued.kind != Kind::Logout)
    }

    pub(super) fn owed(&self) -> u64 {
        self.owed
    }

    pub(super) fn is_idling(&self) -> bool {
        self.idling && !self.done
    }

    pub(super) fn is_logging_out(&self) -> bool {
        self.sent.iter().any(|sent| sent.kind == Kind::Logout)
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    pub(super) fn push(&mut self, kind: Kind, body: CommandBody) -> Ticket {
        let ticket = self.ticket();
        let ask = Ask::Command(body);
        self.queued.push_back(Queued { ticket, kind, ask });
        ticket
    }

    pub(super) fn push_front(&mut self, kind: Kind, body: CommandBody) {
        let ticket = self.ticket();
        let ask = Ask::Command(body);
        self.queued.push_front(Queued { ticket, kind, ask });
    }

    pub(super) fn push_append(
        &mut self,
        replaces: Option<Replaced>,
        mailbox: Mailbox,
        messages: Vec<AppendMessage>,
    ) -> Ticket {
        let ticket = self.ticket();
        let ask = Ask::Append {
            replaces,
            mailbox,
            messages,
        };
        let kind = Kind::Plain;
        self.queued.push_back(Queued { ticket, kind, ask });
        ticket
    }

    /// Whether a message is wanted that the host was not told of; once.
    pub(super) fn take_wanted(&mut self) -> Option<Ticket> {
        if !std::mem::take(&mut self.wanted) {
            return None;
        }
        self.sent.back().map(|sent| sent.ticket)
    }

    /// Counts octets of the message; `None` when none is wanted, false when
    /// there are too many.
    pub(super) fn pay(&mut self, octets: u64) -> Option<bool> {
        if self.owed == 0 {
            return None;
        }
        match self.owed.checked_sub(octets) {
            Some(owed) => {
                self.owed = owed;
                self.wanted &= owed > 0;
                Some(true)
            }
            None => Some(false),
        }
    }

    pub(super) fn end_idle(&mut self) -> bool {
        let is_idling = self.is_idling();
        self.done |= is_idling;
        is_idling
    }

    /// Sends what may be sent now.
    pub(super) fn flow(&mut self, output: &mut Output, dialect: Dialect, sasl_ir: bool) {
        loop {
            while self.owed == 0
                && let Some(piece) = self.rest.pop_front()
            {
                match piece {
                    Piece::Octets(octets) => output.push(octets),
                    Piece::Stream(size) => {
                        self.owed = size;
                        self.wanted = size > 0;
                    }
                    Piece::Continue => {
                        self.rest.push_front(Piece::Continue);
                        return;
                    }
                }
            }
            let held = self.sent.iter().any(|sent| sent.kind.is_barrier());
            if self.owed > 0 || held {
                return;
            }
            // A barrier also waits for what was sent before it.
            let waits = self
                .queued
                .front()
                .is_some_and(|next| next.kind.is_barrier() && !self.sent.is_empty());
            let Some(next) = self.queued.pop_front_if(|_| !waits) else {
                return;
            };
            self.send(next, output, dialect, sasl_ir);
        }
    }

    fn send(&mut self, next: Queued, output: &mut Output, dialect: Dialect, sasl_ir: bool) {
        let Ok(tag) = Tag::new(&format!("A{}", next.ticket.0)) else {
            return;
        };
        let start = output.text().len();
        let mut breaks = Vec::new();
        let mut w = Writer {
            text: output.text(),
            breaks: &mut breaks,
            dialect,
        };
        w.str(tag.as_str());
        w.space();
        match next.ask {
            Ask::Command(CommandBody::Authenticate {
                mechanism,
                initial_response: Some(initial),
            }) if !sasl_ir => {
                self.initial = Some(initial);
                let body = CommandBody::Authenticate {
                    mechanism,
                    initial_response: None,
                };
                body.encode(&mut w);
            }
            Ask::Command(body) => body.encode(&mut w),
            Ask::Append {
                replaces,
                mailbox,
                messages,
            } => crate::command::append::encode(replaces, &mailbox, &messages, &mut w),
        }
        w.raw(b"\r\n");
        if let Some(first) = breaks.first().map(|one| one.at.max(start)) {
            let text = output.text();
            let tail = text.split_off(first.min(text.len()));
            self.keep(tail, first, breaks);
        }
        self.sent.push_back(Sent {
            ticket: next.ticket,
            kind: next.kind,
            tag,
        });
    }

    fn keep(&mut self, tail: BytesMut, first: usize, breaks: Vec<Break>) {
        let mut tail = tail.freeze();
        let mut done = first;
        for one in breaks {
            let before = tail.split_to((one.at - done).min(tail.len()));
            done = one.at;
            if !before.is_empty() {
                self.rest.push_back(Piece::Octets(before));
            }
            self.rest.push_back(match one.what {
                Hold::Continue => Piece::Continue,
                Hold::Octets(octets) => Piece::Octets(octets),
                Hold::Stream(size) => Piece::Stream(size),
            });
        }
        self.rest.push_back(Piece::Octets(tail));
    }

    /// A `+` came.
    pub(super) fn continued(&mut self) -> Continued {
        if let Some(Piece::Continue) = self.rest.front() {
            self.rest.pop_front();
            return Continued::Flow;
        }
        match self.sent.back().map(|sent| sent.kind) {
            Some(Kind::Authenticate) => match self.initial.take() {
                Some(initial) => Continued::Initial(initial),
                None => Continued::Challenge,
            },
            Some(Kind::Idle) if !self.idling => {
                self.idling = true;
                self.done = false;
                Continued::Idling
            }
            _ => Continued::Unexpected,
        }
    }

    /// A reply came: which command it ends.
    pub(super) fn replied(&mut self, tag: &Tag) -> Option<(Ticket, Kind)> {
        let at = self.sent.iter().position(|sent| sent.tag == *tag)?;
        if at + 1 == self.sent.len() {
            // Refused before the server wanted the rest of it. A literal that
            // has begun must be sent to its end, and then the line ends: what
            // else the command had would wait for a `+` that does not come.
            self.rest.clear();
            if self.owed > 0 {
                let end = Bytes::from_static(b"\r\n");
                self.rest.push_back(Piece::Octets(end));
            }
            self.idling = false;
            self.initial = None;
        }
        let sent = self.sent.remove(at)?;
        Some((sent.ticket, sent.kind))
    }
}
