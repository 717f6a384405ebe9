//! What a server's line means for the command that it answers.

use proto_core::sasl::decode_base64;

use super::{Answer, Capabilities, Client, ClientEvent, Lines, Pending, State};
use crate::{ClientError, MessageNumber, Reply};

impl Client {
    /// `more` tells whether octets follow the line.
    pub(super) fn answer(
        &mut self,
        line: &[u8],
        more: bool,
    ) -> Result<Option<ClientEvent>, ClientError> {
        match &mut self.state {
            State::Greeting => self.greeting(line).map(Some),
            State::Lines(_) => self.listed(line),
            _ => match self.pending.front().copied() {
                Some(pending) => self.first_line(pending, line, more),
                None => Err(ClientError::Unasked),
            },
        }
    }

    fn greeting(&mut self, line: &[u8]) -> Result<ClientEvent, ClientError> {
        let reply = Reply::parse(line).ok_or_else(|| unexpected("greeting", line))?;
        if !reply.is_ok() {
            return Err(ClientError::Refused(reply));
        }
        self.state = State::Ready;
        let timestamp = timestamp(&reply.text);
        Ok(ClientEvent::Greeting { reply, timestamp })
    }

    fn first_line(
        &mut self,
        pending: Pending,
        line: &[u8],
        more: bool,
    ) -> Result<Option<ClientEvent>, ClientError> {
        let Pending {
            ticket,
            keyword,
            answer,
        } = pending;
        let bad = || unexpected(keyword, line);
        if let (Answer::Auth, Some(challenge)) = (answer, challenge(line)) {
            let data = decode_base64(challenge).map_err(|_| bad())?;
            self.state = State::Challenged;
            return Ok(Some(ClientEvent::Challenge { ticket, data }));
        }
        let reply = Reply::parse(line).ok_or_else(bad)?;
        if !reply.is_ok() {
            self.answered();
            if matches!(answer, Answer::Quit) {
                self.close(None);
            }
            return Ok(Some(ClientEvent::Reply { ticket, reply }));
        }
        let event = match answer {
            Answer::Capabilities => {
                self.state = State::Lines(Lines::Capabilities(Capabilities::default()));
                return Ok(None);
            }
            Answer::Sizes => {
                self.state = State::Lines(Lines::Sizes);
                return Ok(None);
            }
            Answer::UniqueIds => {
                self.state = State::Lines(Lines::UniqueIds);
                return Ok(None);
            }
            Answer::Payload => {
                self.state = Self::payload();
                return Ok(Some(ClientEvent::PayloadStart { ticket, reply }));
            }
            Answer::Stat => {
                let (count, octets) = numbers(&reply.text).ok_or_else(bad)?;
                let count = u32::try_from(count).map_err(|_| bad())?;
                ClientEvent::Stat {
                    ticket,
                    count,
                    octets,
                }
            }
            Answer::Size => {
                let (number, size) = scan_listing(&reply.text).ok_or_else(bad)?;
                ClientEvent::Size {
                    ticket,
                    number,
                    size,
                }
            }
            Answer::UniqueId => {
                let (number, unique_id) = unique_id_listing(&reply.text).ok_or_else(bad)?;
                ClientEvent::UniqueId {
                    ticket,
                    number,
                    unique_id,
                }
            }
            Answer::Stls => {
                if more {
                    return Err(ClientError::OctetsBehindStls);
                }
                self.answered();
                self.state = State::Handshake;
                return Ok(Some(ClientEvent::StartTls { ticket }));
            }
            Answer::Line | Answer::Auth | Answer::Quit => ClientEvent::Reply { ticket, reply },
        };
        self.answered();
        if matches!(answer, Answer::Quit) {
            self.close(None);
        }
        Ok(Some(event))
    }

    /// A line of a multi-line answer, or its end.
    fn listed(&mut self, line: &[u8]) -> Result<Option<ClientEvent>, ClientError> {
        let (State::Lines(lines), Some(pending)) = (&mut self.state, self.pending.front()) else {
            return Err(ClientError::Unasked);
        };
        let (ticket, keyword) = (pending.ticket, pending.keyword);
        if line == b"." {
            let event = match std::mem::replace(&mut self.state, State::Ready) {
                State::Lines(Lines::Capabilities(capabilities)) => ClientEvent::Capabilities {
                    ticket,
                    capabilities,
                },
                _ => ClientEvent::ListingEnd { ticket },
            };
            self.answered();
            return Ok(Some(event));
        }
        let bad = || unexpected(keyword, line);
        let unstuffed = line.strip_prefix(b".").unwrap_or(line);
        let text = String::from_utf8_lossy(unstuffed);
        match lines {
            Lines::Capabilities(capabilities) => {
                if capabilities.len() >= self.config.max_capabilities {
                    return Err(bad());
                }
                capabilities.push(text.into_owned());
                Ok(None)
            }
            Lines::Sizes => {
                let (number, size) = scan_listing(&text).ok_or_else(bad)?;
                Ok(Some(ClientEvent::Size {
                    ticket,
                    number,
                    size,
                }))
            }
            Lines::UniqueIds => {
                let (number, unique_id) = unique_id_listing(&text).ok_or_else(bad)?;
                Ok(Some(ClientEvent::UniqueId {
                    ticket,
                    number,
                    unique_id,
                }))
            }
        }
    }

    /// The first command has its whole answer.
    fn answered(&mut self) {
        self.pending.pop_front();
        if self.pending.is_empty() {
            self.barrier = false;
        }
    }
}

fn unexpected(command: &'static str, line: &[u8]) -> ClientError {
    let shown = String::from_utf8_lossy(line);
    ClientError::Unexpected {
        command,
        line: shown.chars().take(80).collect(),
    }
}

/// `continue-req = "+" SP [base64] CRLF`; some servers leave the SP out of
/// an empty one.
fn challenge(line: &[u8]) -> Option<&[u8]> {
    if line == b"+" {
        return Some(b"");
    }
    line.strip_prefix(b"+ ")
}

/// `timestamp = "<" *VCHAR ">"`, a msg-id (RFC 1939 §7, RFC 2449 §3).
fn timestamp(text: &str) -> Option<String> {
    let start = text.find('<')?;
    let (_, rest) = text.split_at(start);
    let (inside, _) = rest.split_at(rest.find('>')? + 1);
    let whole = inside.contains('@') && inside.bytes().all(|octet| octet.is_ascii_graphic());
    whole.then(|| inside.to_owned())
}

/// Two numbers, and whatever may follow them (RFC 1939 §5).
fn numbers(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn scan_listing(text: &str) -> Option<(MessageNumber, u64)> {
    let (number, size) = numbers(text)?;
    Some((MessageNumber::new(u32::try_from(number).ok()?)?, size))
}

fn unique_id_listing(text: &str) -> Option<(MessageNumber, String)> {
    let (number, unique_id) = text.trim_end().split_once(' ')?;
    let unique_id = unique_id.trim_start();
    let whole = (1..=70).contains(&unique_id.len())
        && unique_id.bytes().all(|octet| octet.is_ascii_graphic());
    let number = MessageNumber::new(number.parse().ok()?)?;
    whole.then(|| (number, unique_id.to_owned()))
}
