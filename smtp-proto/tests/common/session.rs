//! A server that says yes, fed by hand.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use smtp_proto::{Config, Error, Event, Reply, Server, Step};

pub(crate) struct Session {
    pub(crate) server: Server,
    pub(crate) input: BytesMut,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) error: Option<Error>,
    /// Octets of messages given to the host.
    pub(crate) payload: Vec<u8>,
    /// Challenges to be given before AUTH succeeds.
    pub(crate) challenges: usize,
    /// Whether STARTTLS gets 454.
    pub(crate) no_tls: bool,
    closed: bool,
}

impl Session {
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::now();
        let mut session = Self {
            server: Server::new(Arc::new(config), now),
            input: BytesMut::new(),
            now,
            events: Vec::new(),
            error: None,
            payload: Vec::new(),
            challenges: 0,
            no_tls: false,
            closed: false,
        };
        session.said();
        session
    }

    /// Feeds octets, says yes to everything (no to `nobody@…`); answers what
    /// was said.
    pub(crate) fn feed(&mut self, octets: &[u8]) -> String {
        self.input.extend_from_slice(octets);
        self.pump();
        self.said()
    }

    /// As `feed`, in pieces.
    pub(crate) fn feed_cut(&mut self, octets: &[u8], piece: usize) -> String {
        octets.chunks(piece).map(|part| self.feed(part)).collect()
    }

    pub(crate) fn said(&mut self) -> String {
        let output = self.server.output();
        let octets = output.copy_to_bytes(output.len());
        String::from_utf8(octets.to_vec()).unwrap()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.closed || self.error.is_some()
    }

    pub(crate) fn pump(&mut self) {
        while !self.is_over() {
            match self.server.poll(&mut self.input, self.now) {
                Ok(Step::Event(event)) => self.answer(event),
                Ok(Step::Closed) => self.closed = true,
                Ok(_) => return,
                Err(error) => self.error = Some(error),
            }
        }
    }

    fn answer(&mut self, event: Event) {
        let yes = |code, text: &'static str| Reply::new(code, [2, 0, 0], text);
        match &event {
            Event::PayloadStart(_) if self.named("no-data") => {
                let no = Reply::new(451, [4, 3, 0], "no room");
                self.server.reply(no).unwrap();
            }
            Event::PayloadStart(_) => self.server.accept_payload().unwrap(),
            Event::Payload(octets) => {
                self.payload.extend_from_slice(octets);
                return;
            }
            Event::Auth(_) | Event::AuthData(_) if self.challenges > 0 => {
                self.challenges -= 1;
                self.server.challenge(b"who?").unwrap();
            }
            Event::Auth(_) | Event::AuthData(_) => self.server.reply(yes(235, "in")).unwrap(),
            Event::StartTls if self.no_tls => {
                let no = Reply::new(454, [4, 7, 0], "no certificate");
                self.server.reply(no).unwrap();
            }
            Event::PayloadEnd if self.payload.ends_with(b"spam\r\n") => {
                let no = Reply::new(554, [5, 7, 1], "spam");
                for _ in 0..self.server.recipients() {
                    self.server.reply(no.clone()).unwrap();
                }
            }
            Event::StartTls => {
                self.server.reply(yes(220, "go")).unwrap();
                self.server.tls_started().unwrap();
            }
            Event::Rcpt(rcpt) if rcpt.to_string().contains("nobody") => {
                let no = Reply::new(550, [5, 1, 1], "nobody");
                self.server.reply(no).unwrap();
            }
            Event::Rcpt(rcpt) if rcpt.to_string().contains("later") => {
                let later = Reply::new(450, [4, 2, 0], "later");
                self.server.reply(later).unwrap();
            }
            other if other.wants_answer() => self.server.reply(yes(250, "Ok")).unwrap(),
            _ => {}
        }
        self.events.push(event);
    }

    /// Whether the last recipient's address has this word in it.
    fn named(&self, word: &str) -> bool {
        matches!(self.events.last(), Some(Event::Rcpt(rcpt)) if rcpt.to_string().contains(word))
    }

    pub(crate) fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| which(event)).count()
    }
}
