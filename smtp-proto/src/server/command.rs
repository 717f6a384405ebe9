//! What each command means, and when it may come (RFC 5321 §4.1.4).

use proto_core::Step;

use super::payload::Stream;
use super::refuse::syntax_reply;
use super::{Asked, Error, Event, Fault, Mode, Payload, Rejected, Server, State, Transaction};
use crate::command::{AuthStart, Bdat, Body, Command, Hello, HelloVerb, Mail, Rcpt, Verb};
use crate::error::{ParseError, ParseErrorKind};
use crate::reply::Reply;

type Refusal = (Fault, Reply);

fn sequence(text: &'static str) -> Option<Refusal> {
    Some((Fault::Sequence, Reply::new(503, [5, 5, 1], text)))
}

fn unknown() -> Option<Refusal> {
    let reply = Reply::new(502, [5, 5, 1], "Error: command not implemented");
    Some((Fault::NotOffered, reply))
}

impl Server {
    /// Acts on one line; `more` says whether octets follow it already.
    pub(super) fn command(
        &mut self,
        verb: Option<(Verb, usize)>,
        line: &[u8],
        more: bool,
    ) -> Option<Step<Event>> {
        if more && self.is_early(verb.map(|(verb, _)| verb)) {
            return Some(self.early_command(verb.map(|(verb, _)| verb)));
        }
        let Some((verb, at)) = verb else {
            let error = ParseError::new(ParseErrorKind::UnknownCommand, 0);
            return Some(self.reject(None, Fault::Syntax(error), syntax_reply(None, error)));
        };
        // The chunk follows its BDAT whatever the reply (RFC 3030 §2), so its
        // size must be known before anything else.
        let chunk_follows = verb == Verb::Bdat && self.config.extensions.chunking;
        let refusal = match self.inadmissible(verb) {
            Some((fault, reply)) if !chunk_follows => {
                return Some(self.reject(Some(verb), fault, reply));
            }
            refusal => refusal,
        };
        match Command::parse_arguments(verb, line, at, &self.config.lenient) {
            Ok(Command::Bdat(bdat)) => self.bdat(bdat, refusal),
            Ok(command) => self.act(command, more),
            Err(error) => {
                let step = self.reject(
                    Some(verb),
                    Fault::Syntax(error),
                    syntax_reply(Some(verb), error),
                );
                if verb == Verb::Bdat {
                    self.close(Some(Error::BadChunk));
                }
                Some(step)
            }
        }
    }

    /// Whether nothing may have come behind this command yet (RFC 2920 §3.1).
    /// QUIT may have, as nobody reads it.
    fn is_early(&self, verb: Option<Verb>) -> bool {
        self.config.reject_early_commands
            && match verb {
                // The chunk follows it.
                Some(Verb::Bdat) => !self.config.extensions.chunking,
                Some(Verb::Quit) => false,
                Some(
                    Verb::Ehlo
                    | Verb::Helo
                    | Verb::Lhlo
                    | Verb::Data
                    | Verb::Vrfy
                    | Verb::Expn
                    | Verb::Noop,
                ) => true,
                _ => !self.may_pipeline(),
            }
    }

    /// Whether this client was told that it may send commands in groups.
    pub(super) fn may_pipeline(&self) -> bool {
        let greeted = matches!(self.hello, Some(HelloVerb::Ehlo | HelloVerb::Lhlo));
        self.config.extensions.pipelining && greeted
    }

    /// 554, and over.
    pub(super) fn early_command(&mut self, verb: Option<Verb>) -> Step<Event> {
        let reply = Reply::new(554, [5, 5, 0], "Error: SMTP protocol synchronization");
        let step = self.refuse(verb, Fault::EarlyCommand, reply);
        let open = self.transaction.is_some();
        self.close(Some(Error::EarlyCommand));
        match step {
            Step::Event(event) if open => {
                self.pending = Some(event);
                Step::Event(Event::Reset)
            }
            step => step,
        }
    }

    /// Why a command may not come now.
    fn inadmissible(&self, verb: Verb) -> Option<Refusal> {
        let extensions = &self.config.extensions;
        let offered = match verb {
            Verb::Helo | Verb::Ehlo => self.config.mode == Mode::Smtp,
            Verb::Lhlo => self.config.mode == Mode::Lmtp,
            Verb::Bdat => extensions.chunking,
            Verb::StartTls => extensions.starttls,
            Verb::Auth if extensions.auth.is_empty() => {
                return sequence("Error: authentication not enabled");
            }
            Verb::Etrn => extensions.etrn,
            Verb::Expn => extensions.expn,
            Verb::Xclient => !extensions.xclient.is_empty(),
            Verb::Xforward => !extensions.xforward.is_empty(),
            Verb::Burl => extensions.burl.is_some() && extensions.chunking,
            _ => true,
        };
        if !offered {
            return unknown();
        }
        let guarded = matches!(
            verb,
            Verb::Mail
                | Verb::Rcpt
                | Verb::Data
                | Verb::Bdat
                | Verb::Burl
                | Verb::Vrfy
                | Verb::Expn
                | Verb::Etrn
        );
        if self.config.tls_required && !self.tls && (guarded || verb == Verb::Auth) {
            let reply = Reply::new(530, [5, 7, 0], "Must issue a STARTTLS command first");
            return Some((Fault::TlsRequired, reply));
        }
        if self.config.auth_required && !self.authenticated && guarded {
            let reply = Reply::new(530, [5, 7, 0], "Authentication required");
            return Some((Fault::AuthRequired, reply));
        }
        self.out_of_sequence(verb)
    }

    fn out_of_sequence(&self, verb: Verb) -> Option<Refusal> {
        let greeted = self.hello.is_some();
        let transaction = self.transaction.as_ref();
        match verb {
            Verb::Mail | Verb::StartTls | Verb::Auth | Verb::Etrn if !greeted => {
                sequence(match self.config.mode {
                    Mode::Smtp => "Error: send HELO/EHLO first",
                    Mode::Lmtp => "Error: send LHLO first",
                })
            }
            Verb::Mail if transaction.is_some() => sequence("Error: nested MAIL command"),
            Verb::StartTls if self.tls => sequence("Error: TLS already active"),
            Verb::Auth if self.authenticated => sequence("Error: already authenticated"),
            Verb::StartTls | Verb::Auth | Verb::Etrn | Verb::Xclient if transaction.is_some() => {
                sequence("Error: MAIL transaction in progress")
            }
            Verb::Auth if self.config.auth_needs_tls && !self.tls => {
                let text = "Encryption required for requested authentication mechanism";
                Some((Fault::TlsRequired, Reply::new(538, [5, 7, 11], text)))
            }
            Verb::Rcpt | Verb::Data | Verb::Bdat | Verb::Burl => match transaction {
                None if verb == Verb::Rcpt => sequence("Error: need MAIL command"),
                None => sequence("Error: need RCPT command"),
                Some(transaction) => self.within(verb, transaction),
            },
            _ => None,
        }
    }

    fn within(&self, verb: Verb, transaction: &Transaction) -> Option<Refusal> {
        match verb {
            Verb::Rcpt | Verb::Data if transaction.chunking => sequence("Error: BDAT in progress"),
            Verb::Data if transaction.body == Some(Body::BinaryMime) => {
                sequence("Error: BINARYMIME needs BDAT")
            }
            Verb::Data | Verb::Bdat | Verb::Burl if transaction.recipients == 0 => {
                // RFC 2033 §4.2 wants 503 of LMTP, RFC 2920 §3.1 554 of a
                // pipelined DATA whose recipients were all refused.
                if transaction.refused == 0 || self.config.mode == Mode::Lmtp {
                    return sequence("Error: need RCPT command");
                }
                let reply = Reply::new(554, [5, 5, 1], "Error: no valid recipients");
                Some((Fault::Sequence, reply))
            }
            _ => None,
        }
    }

    fn act(&mut self, command: Command, more: bool) -> Option<Step<Event>> {
        if self.is_idle_command(&command) {
            self.idle_commands += 1;
            if self.idle_commands > self.config.limits.idle_commands {
                return Some(self.too_many_idle(command.verb()));
            }
        }
        let event = match command {
            Command::Hello(hello) => return Some(self.hello(hello)),
            Command::Mail(mail) => return Some(self.mail(mail)),
            Command::Rcpt(rcpt) => return Some(self.rcpt(rcpt)),
            Command::Data => return Some(self.data(None)),
            Command::Bdat(bdat) => return self.bdat(bdat, None),
            Command::Rset => {
                self.send(&Reply::new(250, [2, 0, 0], "Ok"));
                return self.transaction.take().map(|_| Step::Event(Event::Reset));
            }
            Command::Noop => {
                self.send(&Reply::new(250, [2, 0, 0], "Ok"));
                return None;
            }
            Command::Quit => {
                self.send(&Reply::new(221, [2, 0, 0], "Bye"));
                let open = self.transaction.is_some();
                self.close(None);
                if !open {
                    return Some(Step::Event(Event::Quit));
                }
                self.pending = Some(Event::Quit);
                return Some(Step::Event(Event::Reset));
            }
            Command::Vrfy(lookup) if self.config.extensions.vrfy => Event::Vrfy(lookup),
            Command::Vrfy(_) => {
                let text = "Cannot verify, but will accept the message and try";
                self.send(&Reply::new(252, [2, 5, 0], text));
                return None;
            }
            Command::Help(about) if self.config.extensions.help => Event::Help(about),
            Command::Help(_) => {
                self.send(&Reply::new(214, [2, 0, 0], "See RFC 5321"));
                return None;
            }
            Command::StartTls => {
                if more {
                    self.close(Some(Error::PlainTextAfterStartTls));
                    return None;
                }
                self.state = State::Answer(Asked::StartTls);
                return Some(Step::Event(Event::StartTls));
            }
            Command::Auth(start) => return Some(self.auth(start)),
            Command::Xclient(attributes) => {
                self.state = State::Answer(Asked::Xclient);
                return Some(Step::Event(Event::Xclient(attributes)));
            }
            Command::Expn(lookup) => Event::Expn(lookup),
            Command::Etrn(etrn) => Event::Etrn(etrn),
            Command::Xforward(attributes) => Event::Xforward(attributes),
            Command::Burl(burl) => {
                self.state = State::Answer(match burl.last {
                    true => Asked::PayloadEnd(self.replies()),
                    false => Asked::Piece,
                });
                return Some(Step::Event(Event::Burl(burl)));
            }
        };
        self.state = State::Answer(Asked::Other);
        Some(Step::Event(event))
    }

    fn is_idle_command(&self, command: &Command) -> bool {
        matches!(
            command.verb(),
            Verb::Ehlo
                | Verb::Helo
                | Verb::Lhlo
                | Verb::Noop
                | Verb::Rset
                | Verb::Vrfy
                | Verb::Expn
                | Verb::Help
                | Verb::Etrn
                | Verb::Xclient
                | Verb::Xforward
        )
    }

    fn too_many_idle(&mut self, verb: Verb) -> Step<Event> {
        let text = format!("{} Error: too many commands", self.config.hostname);
        let reply = Reply::new(421, [4, 7, 0], text);
        self.send(&reply);
        self.close(Some(Error::TooManyErrors));
        Step::Event(Event::Rejected(Rejected {
            verb: Some(verb),
            fault: Fault::TooManyIdleCommands,
            reply,
        }))
    }

    fn hello(&mut self, hello: Hello) -> Step<Event> {
        let reply = match hello.verb {
            HelloVerb::Helo => Reply::bare(250, self.config.hostname.clone()),
            HelloVerb::Ehlo | HelloVerb::Lhlo => {
                let offer = self.config.offer(self.tls, self.authenticated);
                Reply::bare(250, offer)
            }
        };
        self.send(&reply);
        self.hello = Some(hello.verb);
        let event = Event::Hello(hello);
        match self.transaction.take() {
            None => Step::Event(event),
            Some(_) => {
                self.pending = Some(event);
                Step::Event(Event::Reset)
            }
        }
    }

    fn mail(&mut self, mail: Mail) -> Step<Event> {
        if let Some((fault, reply)) = self.config.refuse_mail(&mail, self.tls) {
            return self.reject(Some(Verb::Mail), fault, reply);
        }
        let limit = self.config.limits.transactions;
        if limit.is_some_and(|limit| self.transactions >= limit) {
            let text = format!("{} Error: too many messages", self.config.hostname);
            let reply = Reply::new(421, [4, 7, 0], text);
            let step = self.refuse(Some(Verb::Mail), Fault::TooManyTransactions, reply);
            self.close(None);
            return step;
        }
        self.transaction = Some(Transaction {
            declared_size: mail.size,
            body: mail.body,
            smtputf8: mail.smtputf8,
            ..Transaction::default()
        });
        self.state = State::Answer(Asked::Mail);
        Step::Event(Event::Mail(mail))
    }

    fn rcpt(&mut self, rcpt: Rcpt) -> Step<Event> {
        let smtputf8 = self.transaction.as_ref().is_some_and(|tx| tx.smtputf8);
        if self.recipients() >= self.config.limits.recipients {
            // No error: the rest is sent in another transaction (RFC 5321
            // §4.5.3.1.10).
            let reply = Reply::new(452, [4, 5, 3], "Error: too many recipients");
            let step = self.refuse(Some(Verb::Rcpt), Fault::TooManyRecipients, reply);
            self.count_refusal();
            return step;
        }
        if let Some((fault, reply)) = self.config.refuse_rcpt(&rcpt, smtputf8) {
            if let Some(transaction) = &mut self.transaction {
                transaction.refused = transaction.refused.saturating_add(1);
            }
            return self.reject(Some(Verb::Rcpt), fault, reply);
        }
        self.state = State::Answer(Asked::Rcpt);
        Step::Event(Event::Rcpt(rcpt))
    }

    fn data(&mut self, chunk: Option<Bdat>) -> Step<Event> {
        let transaction = self.transaction.as_ref();
        let payload = Payload {
            declared_size: transaction.and_then(|tx| tx.declared_size),
            body: transaction.and_then(|tx| tx.body),
            chunked: chunk.is_some(),
            recipients: self.recipients(),
        };
        self.state = State::Answer(Asked::PayloadStart(chunk));
        Step::Event(Event::PayloadStart(payload))
    }

    fn bdat(&mut self, bdat: Bdat, refusal: Option<Refusal>) -> Option<Step<Event>> {
        if let Some((fault, reply)) = refusal {
            let step = self.reject(Some(Verb::Bdat), fault, reply);
            if !matches!(self.state, State::Over) {
                let timeouts = &self.config.timeouts;
                self.state = State::Payload(Stream::discarding(bdat.size, timeouts));
            }
            return Some(step);
        }
        if let Some(transaction) = self.transaction.as_ref().filter(|tx| tx.chunking) {
            self.state = State::Payload(Stream::chunk(bdat, transaction.patience));
            return None;
        }
        Some(self.data(Some(bdat)))
    }

    fn auth(&mut self, start: AuthStart) -> Step<Event> {
        let offered = self
            .config
            .extensions
            .auth
            .iter()
            .any(|mechanism| mechanism.eq_ignore_ascii_case(&start.mechanism));
        if !offered {
            let reply = Reply::new(
                504,
                [5, 5, 4],
                "Error: authentication mechanism not offered",
            );
            return self.reject(Some(Verb::Auth), Fault::NotOffered, reply);
        }
        self.state = State::Answer(Asked::Auth);
        Step::Event(Event::Auth(start))
    }
}
