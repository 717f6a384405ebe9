//! MAIL, RCPT and the message: as much in one flight as the server allows.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use bytes::{Buf, Bytes};
use proto_core::{DotEncoder, Misuse, NewlineEncoder, Output, Step};

use super::verbs::{argument, checked};
use super::{Client, ClientError, ClientEvent, Expect, Recipient, Status, Timer};
use crate::address::Address;
use crate::command::{Body, Burl, Command, Mail, Rcpt, Verb};
use crate::patience::Patience;
use crate::reply::Reply;
use crate::server::Mode;

#[derive(Debug)]
pub(super) struct Transaction {
    /// MAIL and RCPTs that are still to be sent, in order; a recipient that
    /// is decided without the server has none.
    unsent: VecDeque<(Expect, String)>,
    pub(super) recipients: Vec<Fate>,
    pub(super) phase: Phase,
    /// The server has accepted MAIL.
    open: bool,
    encoder: Encoder,
    /// The chunk that may be the last: BDAT says so before the chunk.
    held: Output,
    /// The host was asked for more.
    asked: bool,
    /// For the server to take the message, and to answer its chunks.
    pub(super) patience: Patience,
    /// Octets that the server has taken since that was seen last.
    pub(super) taken: usize,
    /// Recipients that the server has accepted and that are not settled.
    accepted: usize,
}

/// How the message goes.
#[derive(Debug)]
pub(super) enum Encoder {
    /// By DATA.
    Dots(DotEncoder),
    /// By BDAT, line ends mended.
    Lines(NewlineEncoder),
    /// By BDAT, as it is.
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    /// The server has accepted it, the message is still to be.
    Accepted,
    /// The host was told.
    Settled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// MAIL and RCPT.
    Envelope,
    /// DATA is out.
    Data,
    /// The host hands the message over.
    Payload,
    /// Replies are still to come, then it is over.
    End,
}

impl Client {
    /// Begins a transaction. `PayloadWanted` asks for the message once a
    /// recipient is accepted; every recipient gets a `Recipient`, then
    /// `TransactionEnd` follows.
    ///
    /// Parameters of extensions that the server does not offer are left out
    /// where the message can do without them (SIZE, BODY=7BIT, DSN's, AUTH,
    /// MT-PRIORITY, MTRK, SOLICIT, BY with mode N); see
    /// [`capabilities`](Self::capabilities) for who then owes what to the
    /// sender. Where it cannot, the recipients bounce. Recipients beyond the
    /// server's LIMITS (RFC 9422) are deferred: for another transaction, or
    /// another connection.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way, there is no recipient, a
    /// non-ASCII address stands without SMTPUTF8, or an argument cannot be
    /// sent as it is.
    pub fn begin(&mut self, mail: Mail, recipients: Vec<Rcpt>) -> Result<(), Misuse> {
        let call = "begin";
        self.idle(call)?;
        if recipients.is_empty() {
            return Err(argument(call, "no recipient"));
        }
        let ascii = mail.is_ascii() && recipients.iter().all(Rcpt::is_ascii);
        if !ascii && !mail.smtputf8 {
            return Err(argument(call, "a non-ASCII address without SMTPUTF8"));
        }
        let binary = mail.body == Some(Body::BinaryMime);
        let refusal = self.unfit(&mail);
        let mail = self.fit_mail(mail);
        let mut unsent = VecDeque::with_capacity(recipients.len() + 1);
        unsent.push_back((Expect::Mail, checked(call, &Command::Mail(mail))?));
        // Recipients that are decided without the server.
        let mut decided = Vec::new();
        let mut domains = BTreeSet::new();
        let count = recipients.len();
        let mut sent = 0;
        for (index, rcpt) in recipients.into_iter().enumerate() {
            if self.needs_rrvs(&rcpt) {
                let reply = Reply::new(550, [5, 7, 17], "the server does not offer RRVS");
                decided.push((index, Status::Bounced, reply));
                continue;
            }
            let domain = rcpt.forward_path.address().map(Address::ascii_domain);
            let domain = domain.map(|domain| domain.to_ascii_lowercase());
            let known = domains.len() - usize::from(domains.contains(&domain));
            if let Some(reply) = self.beyond_limits(sent, known) {
                decided.push((index, Status::Deferred, reply));
                continue;
            }
            domains.insert(domain);
            sent += 1;
            let rcpt = Command::Rcpt(self.fit_rcpt(rcpt));
            unsent.push_back((Expect::Rcpt(index), checked(call, &rcpt)?));
        }
        let encoder = self.encoder(binary);
        self.transaction = Some(Transaction {
            unsent,
            recipients: vec![Fate::Open; count],
            phase: Phase::Envelope,
            open: false,
            patience: self.config.timeouts.of_message(&encoder),
            encoder,
            held: Output::default(),
            asked: false,
            taken: 0,
            accepted: 0,
        });
        if let Some(reply) = refusal {
            self.settle_all(Status::Bounced, None, &reply);
        }
        for (index, status, reply) in decided {
            self.settle(index, status, None, &reply);
        }
        self.end_if_settled();
        if self.transaction.is_some() {
            self.transactions += 1;
        }
        if self.transaction.is_some() && self.needs_reset {
            self.needs_reset = false;
            self.output.push_slice(b"RSET\r\n");
            self.expected.push_back(Expect::Ignored);
        }
        self.advance();
        Ok(())
    }

    fn encoder(&self, binary: bool) -> Encoder {
        let normalise = self.config.normalise_newlines && !binary;
        if self.capabilities.chunking && (binary || self.config.chunking) {
            match normalise {
                true => Encoder::Lines(NewlineEncoder::default()),
                false => Encoder::Binary,
            }
        } else {
            Encoder::Dots(match normalise {
                true => DotEncoder::normalising(),
                false => DotEncoder::default(),
            })
        }
    }

    /// Hands over the next octets of the message: lines that end in CRLF,
    /// not dot-stuffed.
    ///
    /// # Errors
    /// [`Misuse`] when no `PayloadWanted` waits.
    pub fn send_payload(&mut self, chunk: Bytes) -> Result<(), Misuse> {
        self.asked("send_payload")?;
        self.note_taken();
        if !chunk.is_empty() {
            self.send_held();
        }
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        transaction.asked = false;
        match &mut transaction.encoder {
            Encoder::Dots(encoder) => encoder.encode(&chunk, &mut self.output),
            Encoder::Lines(encoder) => encoder.encode(&chunk, &mut transaction.held),
            Encoder::Binary => transaction.held.push(chunk),
        }
        self.undrained = self.output.len();
        Ok(())
    }

    /// A chunk that another follows.
    fn send_held(&mut self) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let held = &mut transaction.held;
        if !held.is_empty() {
            let chunk = held.copy_to_bytes(held.len());
            self.send_line(&format!("BDAT {}", chunk.len()));
            self.output.push(chunk);
            self.expected.push_back(Expect::Chunk);
        }
    }

    /// The message is complete. By DATA, a last line without its CRLF gets
    /// one.
    ///
    /// # Errors
    /// [`Misuse`] when no `PayloadWanted` waits.
    pub fn end_payload(&mut self) -> Result<(), Misuse> {
        self.asked("end_payload")?;
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        transaction.asked = false;
        let held = &mut transaction.held;
        match &mut transaction.encoder {
            Encoder::Dots(encoder) => encoder.finish(&mut self.output),
            Encoder::Lines(encoder) => encoder.finish(held),
            Encoder::Binary => {}
        }
        if transaction.is_chunked() {
            let last = transaction.held.copy_to_bytes(transaction.held.len());
            self.send_line(&format!("BDAT {} LAST", last.len()));
            self.output.push(last);
        }
        self.expect_end();
        Ok(())
    }

    /// Has the server fetch the next piece of the message by itself (RFC 4468),
    /// in the place of one `send_payload`; with the last piece, in that of
    /// `end_payload`.
    ///
    /// # Errors
    /// [`Misuse`] when no `PayloadWanted` waits, the server does not offer
    /// BURL, the message does not go in chunks
    /// ([`ClientConfig::chunking`](super::ClientConfig::chunking)), or the URL
    /// cannot be sent as it is.
    pub fn send_burl(&mut self, burl: Burl) -> Result<(), Misuse> {
        let call = "send_burl";
        self.asked(call)?;
        let chunked = self
            .transaction
            .as_ref()
            .is_some_and(Transaction::is_chunked);
        if !chunked || !self.capabilities.burl {
            return Err(argument(call, "the server does not offer BURL"));
        }
        let last = burl.last;
        let line = checked(call, &Command::Burl(burl))?;
        self.note_taken();
        self.send_held();
        self.send_line(&line);
        self.undrained = self.output.len();
        let timeouts = &self.config.timeouts;
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        transaction.asked = false;
        // What the server has to fetch is not the host's to send.
        transaction.patience = timeouts.of_message(&transaction.encoder);
        if last {
            self.expect_end();
        } else {
            self.expected.push_back(Expect::Chunk);
        }
        Ok(())
    }

    /// The message is out; its replies are to come.
    fn expect_end(&mut self) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        transaction.phase = Phase::End;
        match self.config.mode {
            Mode::Smtp => self.expected.push_back(Expect::End(None)),
            Mode::Lmtp => {
                let each = transaction.accepted().map(|index| Expect::End(Some(index)));
                self.expected.extend(each);
            }
        }
        self.deadlines.clear(Timer::Drain);
    }

    /// Whether a `PayloadWanted` waits.
    fn asked(&self, call: &'static str) -> Result<(), Misuse> {
        match &self.transaction {
            _ if self.state == super::State::Over => Err(Misuse::Closed { call }),
            Some(transaction) if transaction.asked => Ok(()),
            _ => Err(Misuse::NotExpected { call }),
        }
    }

    /// Sends what may be sent now.
    pub(super) fn advance(&mut self) {
        let pipelining = self.capabilities.pipelining;
        while let Some(transaction) = &mut self.transaction {
            if !pipelining && !self.expected.is_empty() {
                return;
            }
            match transaction.phase {
                Phase::Envelope => {
                    if let Some((expect, line)) = transaction.unsent.pop_front() {
                        self.send_line(&line);
                        self.expected.push_back(expect);
                        continue;
                    }
                    if !transaction.is_chunked() && (pipelining || transaction.accepted > 0) {
                        transaction.phase = Phase::Data;
                        self.send_line("DATA");
                        self.expected.push_back(Expect::Data);
                        return;
                    }
                    if !self.expected.is_empty() {
                        return;
                    }
                    let any = transaction.accepted > 0;
                    transaction.phase = if any { Phase::Payload } else { Phase::End };
                }
                Phase::Data | Phase::Payload => return,
                Phase::End => {
                    if self.expected.is_empty() {
                        self.finish();
                    }
                    return;
                }
            }
        }
    }

    /// Asks the host for more of the message, when there is room for it.
    pub(super) fn want_payload(&mut self, now: Instant) -> Option<Step<ClientEvent>> {
        let transaction = self
            .transaction
            .as_mut()
            .filter(|transaction| transaction.phase == Phase::Payload)?;
        if transaction.asked {
            return Some(Step::NeedAnswer);
        }
        // A chunk at a time where BDAT cannot be pipelined.
        if transaction.is_chunked() && !self.capabilities.pipelining && !self.expected.is_empty() {
            return None;
        }
        let left = self.output.len();
        if left >= self.config.output {
            if !transaction.patience.is_waiting() {
                let wait = transaction.patience.wait(now);
                let at = now + wait.min(self.config.timeouts.data_block);
                self.deadlines.set(Timer::Drain, at);
            }
            return Some(Step::NeedDrain);
        }
        transaction.patience.spend(now);
        self.deadlines.clear(Timer::Drain);
        transaction.asked = true;
        Some(Step::Event(ClientEvent::PayloadWanted))
    }

    pub(super) fn transaction_reply(&mut self, expect: Expect, reply: Reply) {
        let Some(transaction) = &mut self.transaction else {
            return self.fail(ClientError::Unexpected(reply.code()));
        };
        let positive = reply.is_positive();
        match expect {
            Expect::Mail if positive => transaction.open = true,
            Expect::Mail => self.give_up(Verb::Mail, &reply),
            Expect::Rcpt(index) if positive => {
                if let Some(fate @ Fate::Open) = transaction.recipients.get_mut(index) {
                    *fate = Fate::Accepted;
                    transaction.accepted += 1;
                }
            }
            Expect::Rcpt(index) => {
                // RFC 5321 §4.5.3.1.10: 552 was once the code for too many.
                let status = match reply.code() {
                    552 => Status::Deferred,
                    _ => status(&reply),
                };
                self.settle(index, status, Some(Verb::Rcpt), &reply);
            }
            Expect::Data if reply.code() == 354 => {
                if transaction.accepted > 0 {
                    transaction.phase = Phase::Payload;
                } else {
                    // RFC 2920 §3.1: an empty message that nobody gets.
                    transaction.phase = Phase::End;
                    transaction.open = false;
                    self.output.push_slice(b".\r\n");
                    self.expected.push_back(Expect::Ignored);
                }
            }
            Expect::Data if positive || reply.code() < 400 => {
                return self.fail(ClientError::Unexpected(reply.code()));
            }
            Expect::Data => self.give_up(Verb::Data, &reply),
            Expect::Chunk if positive => {}
            Expect::Chunk => self.give_up(Verb::Data, &reply),
            Expect::End(which) => {
                // After a refused chunk the reply to the last one ends nothing.
                if transaction.accepted > 0 {
                    transaction.open = false;
                }
                match which {
                    Some(index) => {
                        self.settle(index, status(&reply), Some(Verb::Data), &reply);
                    }
                    None => self.settle_all(status(&reply), Some(Verb::Data), &reply),
                }
            }
            _ => return self.fail(ClientError::Unexpected(reply.code())),
        }
        self.advance();
    }

    /// A reply that comes while the message is still being sent: it answers
    /// the message, and what is left of it can only be misread.
    pub(super) fn premature(&mut self, reply: &Reply) {
        let payload = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.phase == Phase::Payload);
        if payload && (reply.is_transient() || reply.is_permanent()) {
            self.settle_all(status(reply), Some(Verb::Data), reply);
        }
        self.fail(ClientError::Unexpected(reply.code()));
    }

    /// The transaction has failed: nothing more of it is sent.
    fn give_up(&mut self, command: Verb, reply: &Reply) {
        self.settle_all(status(reply), Some(command), reply);
        if let Some(transaction) = &mut self.transaction {
            transaction.unsent.clear();
            transaction.held.clear();
            transaction.asked = false;
            // A pipelined DATA may still be answered with 354.
            if transaction.phase != Phase::Data {
                transaction.phase = Phase::End;
            }
            if command == Verb::Data {
                transaction.phase = Phase::End;
            }
        }
    }

    /// The connection is lost: whoever is not settled is deferred.
    pub(super) fn settle_lost(&mut self, reply: &Reply) {
        if self.transaction.is_some() {
            self.settle_all(Status::Deferred, None, reply);
            self.transaction = None;
            self.events.push_back(ClientEvent::TransactionEnd);
        }
    }

    fn settle_all(&mut self, status: Status, command: Option<Verb>, reply: &Reply) {
        let count = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.recipients.len());
        for index in 0..count {
            self.settle(index, status, command, reply);
        }
    }

    /// Tells the host, once for each recipient.
    fn settle(&mut self, index: usize, status: Status, command: Option<Verb>, reply: &Reply) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        match transaction.recipients.get_mut(index) {
            None | Some(Fate::Settled) => {}
            Some(fate) => {
                transaction.accepted -= usize::from(*fate == Fate::Accepted);
                *fate = Fate::Settled;
                self.events.push_back(ClientEvent::Recipient(Recipient {
                    index,
                    status,
                    command,
                    reply: reply.clone(),
                }));
            }
        }
    }

    /// Nothing need be sent where no recipient is left before MAIL.
    fn end_if_settled(&mut self) {
        let settled = self.transaction.as_ref().is_some_and(|transaction| {
            transaction
                .recipients
                .iter()
                .all(|fate| *fate == Fate::Settled)
        });
        if settled {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.needs_reset = transaction.open;
            self.events.push_back(ClientEvent::TransactionEnd);
            if self.stopping {
                self.send_quit();
            }
        }
    }
}

impl Transaction {
    fn is_chunked(&self) -> bool {
        self.encoder.is_chunked()
    }

    fn accepted(&self) -> impl Iterator<Item = usize> {
        self.recipients
            .iter()
            .enumerate()
            .filter(|(_, fate)| **fate == Fate::Accepted)
            .map(|(index, _)| index)
    }
}

impl Encoder {
    fn is_chunked(&self) -> bool {
        !matches!(self, Self::Dots(_))
    }
}

/// What a queue makes of a reply (RFC 5321 §4.2.1).
fn status(reply: &Reply) -> Status {
    if reply.is_positive() {
        Status::Delivered
    } else if reply.is_permanent() {
        Status::Bounced
    } else {
        Status::Deferred
    }
}
