//! What the host answers.

use proto_core::{Misuse, sasl};

use super::payload::{Stream, of_chunks};
use super::{Asked, Mode, Server, State};
use crate::reply::Reply;

impl Server {
    /// Answers the event that waits.
    ///
    /// A reply of 421 ends the connection after any command.
    ///
    /// # Errors
    /// [`Misuse`] when no event waits for a reply, or the reply's code is not
    /// one that the event's documentation allows.
    pub fn reply(&mut self, reply: Reply) -> Result<(), Misuse> {
        let State::Answer(asked) = &mut self.state else {
            return Err(self.misuse("reply"));
        };
        let wrong = |reason| {
            Err(Misuse::Argument {
                call: "reply",
                reason,
            })
        };
        let positive = reply.is_positive();
        match reply.severity() {
            None => return wrong("the code is not within 200 and 599"),
            Some(crate::Severity::Intermediate) => {
                return wrong("a 3yz code is the machine's to send");
            }
            Some(_) => {}
        }
        match asked {
            Asked::PayloadStart(_) if positive => {
                return wrong("a message is accepted with accept_payload");
            }
            Asked::StartTls if positive && reply.code() != 220 => {
                return wrong("STARTTLS is accepted with 220");
            }
            Asked::Auth if positive && reply.code() != 235 => {
                return wrong("AUTH succeeds with 235");
            }
            _ => {}
        }
        let asked = std::mem::replace(asked, Asked::Other);
        // XCLIENT is accepted with the greeting of the session that begins.
        if !(matches!(asked, Asked::Xclient) && positive) {
            self.send(&reply);
        }
        if reply.code() == 421 {
            self.close(None);
            return Ok(());
        }
        // Where recipients are guessed. What comes by LMTP is another host's
        // mail for many, which must not be sent again and again.
        let guessed = reply.is_permanent()
            && self.config.mode == Mode::Smtp
            && matches!(asked, Asked::Mail | Asked::Rcpt | Asked::Other);
        let refused = !positive
            && !guessed
            && match asked {
                // Has a limit of its own.
                Asked::Auth => false,
                // The other recipients' replies must not be lost.
                Asked::PayloadEnd(_) => self.config.mode == Mode::Smtp,
                _ => true,
            };
        self.answered(asked, positive);
        if guessed {
            self.count_error();
        }
        if refused {
            self.count_refusal();
        }
        Ok(())
    }

    fn answered(&mut self, asked: Asked, positive: bool) {
        match asked {
            Asked::Mail if positive => self.transactions = self.transactions.saturating_add(1),
            Asked::Mail => self.transaction = None,
            Asked::Rcpt => {
                if let Some(transaction) = &mut self.transaction {
                    match positive {
                        true => transaction.recipients += 1,
                        false => transaction.refused = transaction.refused.saturating_add(1),
                    }
                }
            }
            Asked::PayloadStart(chunk) => {
                self.transaction = None;
                // The chunk is on its way all the same (RFC 3030 §2).
                if let Some(chunk) = chunk {
                    let timeouts = &self.config.timeouts;
                    self.state = State::Payload(Stream::discarding(chunk.size, timeouts));
                    return;
                }
            }
            Asked::PayloadEnd(left) => {
                if positive {
                    self.errors = 0;
                    self.idle_commands = 0;
                    self.refusals = 0;
                }
                if left > 1 {
                    self.state = State::Answer(Asked::PayloadEnd(left - 1));
                    return;
                }
                self.transaction = None;
            }
            Asked::Piece => match &mut self.transaction {
                Some(transaction) if positive => {
                    transaction.begin_chunks(&self.config.timeouts);
                }
                _ => self.transaction = None,
            },
            Asked::StartTls if positive => {
                self.state = State::Handshake;
                return;
            }
            Asked::Auth if positive => self.authenticated = true,
            Asked::Auth => {
                self.ready();
                return self.auth_failed();
            }
            Asked::Xclient if positive => {
                self.hello = None;
                self.authenticated = false;
                self.greet();
            }
            Asked::StartTls | Asked::Xclient | Asked::Other => {}
        }
        self.ready();
    }

    /// Takes the message that `PayloadStart` announced: 354 to DATA.
    ///
    /// # Errors
    /// [`Misuse`] when no `PayloadStart` waits.
    pub fn accept_payload(&mut self) -> Result<(), Misuse> {
        let State::Answer(Asked::PayloadStart(chunk)) = self.state else {
            return Err(self.misuse("accept_payload"));
        };
        let timeouts = &self.config.timeouts;
        self.state = State::Payload(match chunk {
            Some(chunk) => {
                let mut patience = of_chunks(timeouts);
                if let Some(transaction) = &mut self.transaction {
                    transaction.begin_chunks(timeouts);
                    patience = transaction.patience;
                }
                Stream::chunk(chunk, patience)
            }
            None => {
                self.output
                    .push_slice(b"354 End data with <CR><LF>.<CR><LF>\r\n");
                Stream::dots(self.config.bare_newline, timeouts)
            }
        });
        Ok(())
    }

    /// Sends a SASL challenge: 334 with `data` in base64.
    ///
    /// # Errors
    /// [`Misuse`] when neither `Auth` nor `AuthData` waits, or the line would
    /// be longer than RFC 4954 §4 allows.
    pub fn challenge(&mut self, data: &[u8]) -> Result<(), Misuse> {
        if !matches!(self.state, State::Answer(Asked::Auth)) {
            return Err(self.misuse("challenge"));
        }
        let text = sasl::encode_base64(data);
        if text.len() > 12_288 - 6 {
            return Err(Misuse::Argument {
                call: "challenge",
                reason: "longer than 12,288 octets in base64",
            });
        }
        self.output.push_slice(b"334 ");
        self.output.push_slice(text.as_bytes());
        self.output.push_slice(b"\r\n");
        self.state = State::AuthResponse;
        Ok(())
    }

    /// The handshake is done: all that was known of the client is forgotten
    /// (RFC 3207 §4.2). Before the first `poll`, for implicit TLS.
    ///
    /// # Errors
    /// [`Misuse`] when 220 to STARTTLS was not just given.
    pub fn tls_started(&mut self) -> Result<(), Misuse> {
        match self.state {
            State::Handshake => self.ready(),
            State::Greeting | State::Command if self.is_fresh() => {}
            _ => return Err(self.misuse("tls_started")),
        }
        self.tls = true;
        self.hello = None;
        self.authenticated = false;
        self.transaction = None;
        self.scanner.reset();
        Ok(())
    }

    /// Nothing has been heard of the client yet.
    fn is_fresh(&self) -> bool {
        !self.tls
            && self.hello.is_none()
            && self.errors == 0
            && self.idle_commands == 0
            && !self.scanner.is_skipping()
    }
}
