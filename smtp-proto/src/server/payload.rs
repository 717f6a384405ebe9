//! A message as it comes in, by DATA or by BDAT.

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2};
use proto_core::{BareNewline, DotDecoder, DotFault, DotStep, Output, Step};

use super::{Asked, Event, Fault, Mode, Rejected, Server, State, Timeouts, Timer, Transaction};
use crate::command::{Bdat, Body, Verb};
use crate::patience::Patience;
use crate::reply::Reply;

/// The octets of one DATA or one BDAT.
#[derive(Debug)]
pub(super) struct Stream {
    framing: Framing,
    /// Why the message is refused at its end; what comes is thrown away.
    refusal: Option<(Fault, Reply)>,
    patience: Patience,
}

/// For a message that comes in one go.
fn of_data(timeouts: &Timeouts) -> Patience {
    Patience::new(timeouts.data_block)
}

/// For one in chunks, with the commands between: a client that sends small
/// ones, now and then, wins no more time than one that sends octets.
pub(super) fn of_chunks(timeouts: &Timeouts) -> Patience {
    Patience::new(timeouts.data_block.saturating_add(timeouts.command))
}

impl Transaction {
    /// The message comes in chunks from here on.
    pub(super) fn begin_chunks(&mut self, timeouts: &Timeouts) {
        if !self.chunking {
            self.chunking = true;
            self.patience = of_chunks(timeouts);
        }
    }
}

#[derive(Debug)]
enum Framing {
    Dots(DotDecoder),
    Chunk {
        chunk: Bdat,
        left: u64,
    },
    /// A chunk that was already answered.
    Discard {
        left: u64,
    },
}

impl Stream {
    pub(super) fn dots(policy: BareNewline, timeouts: &Timeouts) -> Self {
        let patience = of_data(timeouts);
        Self::new(Framing::Dots(DotDecoder::new(policy)), patience)
    }

    pub(super) fn chunk(chunk: Bdat, patience: Patience) -> Self {
        let left = chunk.size;
        Self::new(Framing::Chunk { chunk, left }, patience)
    }

    /// Throws away `left` octets.
    pub(super) fn discarding(left: u64, timeouts: &Timeouts) -> Self {
        Self::new(Framing::Discard { left }, of_data(timeouts))
    }

    fn new(framing: Framing, patience: Patience) -> Self {
        Self {
            framing,
            refusal: None,
            patience,
        }
    }

    fn verb(&self) -> Verb {
        match self.framing {
            Framing::Dots(_) => Verb::Data,
            Framing::Chunk { .. } | Framing::Discard { .. } => Verb::Bdat,
        }
    }
}

impl Server {
    pub(super) fn payload(&mut self, input: &mut BytesMut, now: Instant) -> Option<Step<Event>> {
        let State::Payload(stream) = &mut self.state else {
            return None;
        };
        let before = input.len();
        let limit = self.config.limits.chunk.clamp(1, 64 << 10);
        let taken = match &mut stream.framing {
            Framing::Dots(decoder) => match decoder.step(input, limit) {
                DotStep::Chunk(chunk) => Some((chunk, decoder.fault())),
                DotStep::NeedInput => None,
                DotStep::End => {
                    self.deadlines.clear(Timer::Payload);
                    // A message behind this one, perhaps: nobody was told that
                    // it may come.
                    if self.config.reject_early_commands
                        && !input.is_empty()
                        && !self.may_pipeline()
                        && !is_quit(input)
                    {
                        return Some(self.early_command(Some(Verb::Data)));
                    }
                    return self.message_end();
                }
            },
            Framing::Chunk { left: 0, chunk } => {
                let chunk = *chunk;
                self.deadlines.clear(Timer::Payload);
                return self.chunk_end(chunk);
            }
            Framing::Discard { left: 0 } => {
                self.deadlines.clear(Timer::Payload);
                self.ready();
                return None;
            }
            Framing::Discard { left } => {
                let take = at_most(*left, input.len());
                *left -= take as u64;
                input.advance(take);
                (take > 0).then(|| (Bytes::new(), None))
            }
            Framing::Chunk { left, .. } => {
                let take = at_most(*left, input.len().min(limit));
                *left -= take as u64;
                let mut octets = input.split_to(take).freeze();
                let lines = self
                    .transaction
                    .as_mut()
                    .filter(|tx| tx.body != Some(Body::BinaryMime));
                let mut fault = None;
                match (self.config.bare_newline, lines) {
                    (BareNewline::Reject, Some(transaction)) => {
                        fault = bare_octet(transaction, &octets);
                    }
                    (BareNewline::Normalise, Some(transaction)) => {
                        let mut mended = Output::default();
                        transaction.newlines.encode(&octets, &mut mended);
                        octets = mended.copy_to_bytes(mended.len());
                    }
                    _ => {}
                }
                (take > 0).then_some((octets, fault))
            }
        };
        let Some((octets, fault)) = taken else {
            if !stream.patience.is_waiting() && !self.eof {
                let wait = stream.patience.wait(now);
                let at = now + wait.min(self.config.timeouts.data_block);
                self.deadlines.set(Timer::Payload, at);
            }
            return self.starve(input, Timer::Payload, now);
        };
        let moved = before - input.len();
        let rate = self.config.timeouts.data_rate;
        stream.patience.earn(moved, now, rate);
        self.deadlines.clear(Timer::Payload);
        if matches!(stream.framing, Framing::Discard { .. }) {
            return None;
        }
        let transaction = self.transaction.as_mut()?;
        transaction.received = transaction.received.saturating_add(octets.len() as u64);
        let refused = stream.refusal.is_some();
        let faulty = matches!(stream.refusal, Some((Fault::Octet(_), _)));
        if let Some(fault) = fault.filter(|_| !faulty) {
            // Whether size or octet is seen first depends on how the octets
            // were cut; the reply must not.
            stream.refusal = Some((Fault::Octet(fault), bad_octet(fault)));
        } else if !refused && transaction.received > self.config.limits.message_size {
            stream.refusal = Some((Fault::MessageTooLarge, too_large()));
        }
        if refused {
            return None;
        }
        if stream.refusal.is_some() {
            return Some(Step::Event(Event::Reset));
        }
        Some(Step::Event(Event::Payload(octets)))
    }

    /// How many replies a message has.
    pub(super) fn replies(&self) -> u32 {
        match self.config.mode {
            Mode::Smtp => 1,
            Mode::Lmtp => self.recipients().max(1),
        }
    }

    /// End of data, or of the last chunk.
    fn message_end(&mut self) -> Option<Step<Event>> {
        let replies = self.replies();
        let State::Payload(stream) = &mut self.state else {
            return None;
        };
        let verb = stream.verb();
        let Some((fault, reply)) = stream.refusal.take() else {
            self.state = State::Answer(Asked::PayloadEnd(replies));
            return Some(Step::Event(Event::PayloadEnd));
        };
        for _ in 0..replies {
            self.send(&reply);
        }
        self.transaction = None;
        self.ready();
        self.count_refusal();
        Some(Step::Event(Event::Rejected(Rejected {
            verb: Some(verb),
            fault,
            reply,
        })))
    }

    fn chunk_end(&mut self, chunk: Bdat) -> Option<Step<Event>> {
        let State::Payload(stream) = &mut self.state else {
            return None;
        };
        if chunk.last {
            let cut = self.transaction.as_mut().and_then(cut_line);
            let Some(cut) = cut.filter(|_| stream.refusal.is_none()) else {
                return self.message_end();
            };
            // The message ends within a CRLF.
            let event = match cut {
                Ok(mended) => Event::Payload(mended),
                Err(fault) => {
                    stream.refusal = Some((Fault::Octet(fault), bad_octet(fault)));
                    Event::Reset
                }
            };
            self.pending = match self.message_end() {
                Some(Step::Event(event)) => Some(event),
                _ => None,
            };
            return Some(Step::Event(event));
        }
        let patience = stream.patience;
        match stream.refusal.take() {
            None => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.patience = patience;
                }
                let reply = format!("{} octets received", chunk.size);
                self.send(&Reply::new(250, [2, 0, 0], reply));
                self.ready();
                None
            }
            Some((fault, reply)) => {
                self.send(&reply);
                self.transaction = None;
                self.ready();
                self.count_refusal();
                Some(Step::Event(Event::Rejected(Rejected {
                    verb: Some(Verb::Bdat),
                    fault,
                    reply,
                })))
            }
        }
    }
}

/// Whether nothing but the session's end comes.
fn is_quit(input: &[u8]) -> bool {
    input.eq_ignore_ascii_case(b"QUIT\r\n")
}

fn too_large() -> Reply {
    Reply::new(552, [5, 3, 4], "Error: message file too big")
}

fn bad_octet(fault: DotFault) -> Reply {
    let text = match fault.octet {
        b'\r' => "Error: bare <CR> in the message",
        b'\n' => "Error: bare <LF> in the message",
        _ => "Error: NUL in the message",
    };
    Reply::new(550, [5, 6, 11], text)
}

fn nul(chunk: &[u8], at: u64) -> Option<DotFault> {
    let found = memchr(0, chunk)?;
    Some(DotFault {
        octet: 0,
        at: at + found as u64,
    })
}

/// What is to be done about a last chunk that ends in a CR.
fn cut_line(transaction: &mut Transaction) -> Option<Result<Bytes, DotFault>> {
    if transaction.open_cr {
        let at = transaction.received.saturating_sub(1);
        return Some(Err(DotFault { octet: b'\r', at }));
    }
    let mut rest = Output::default();
    transaction.newlines.finish(&mut rest);
    (!rest.is_empty()).then(|| Ok(rest.copy_to_bytes(rest.len())))
}

fn at_most(left: u64, ready: usize) -> usize {
    usize::try_from(left).map_or(ready, |left| left.min(ready))
}

/// A chunk need not end where a line does; within, only CRLF ends lines.
fn bare_octet(transaction: &mut Transaction, chunk: &[u8]) -> Option<DotFault> {
    let received = transaction.received;
    if transaction.open_cr && chunk.first().is_some_and(|&first| first != b'\n') {
        let at = received.saturating_sub(1);
        return Some(DotFault { octet: b'\r', at });
    }
    let mut at = usize::from(transaction.open_cr);
    let mut bare = None;
    transaction.open_cr &= chunk.is_empty();
    while let Some(found) = memchr2(b'\r', b'\n', chunk.get(at..).unwrap_or_default()) {
        at += found;
        match chunk.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => at += 2,
            [b'\r'] => {
                transaction.open_cr = true;
                break;
            }
            [octet, ..] => {
                let at = received + at as u64;
                bare = Some(DotFault { octet: *octet, at });
                break;
            }
            [] => break,
        }
    }
    let nul = nul(chunk, received);
    match (bare, nul) {
        (Some(bare), Some(nul)) if nul.at < bare.at => Some(nul),
        _ => bare.or(nul),
    }
}
