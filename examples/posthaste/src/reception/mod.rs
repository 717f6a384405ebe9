//! Mail in: SMTP, submission and LMTP sessions over `smtp_proto`'s server.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use net::tls::TlsAcceptor;
use net::{Conn, ConnError, Socket, Stream};
use smtp_proto::{
    AuthStart, Body, Event, ForwardPath, Hello, HelloVerb, Mail, Mode, Rcpt, Reply, Server,
};
use tokio::sync::watch;

use crate::auth::{Authenticator, Exchange, ExchangeStep};
use crate::queue::{Envelope, Incoming, Queue, QueueError, Recipient};
use crate::received::{Received, protocol};
use crate::route::Router;
use crate::server::stopped;

/// What all sessions of one service share.
pub struct Reception {
    /// `smtp`, `submission` …, in logs.
    pub service: &'static str,
    /// The machine's configuration while the connection is in the clear.
    pub plain: Arc<smtp_proto::Config>,
    /// The machine's configuration for implicit TLS.
    pub encrypted: Arc<smtp_proto::Config>,
    /// TLS, if there is a certificate.
    pub acceptor: Option<TlsAcceptor>,
    /// Whether TLS begins with the connection.
    pub implicit_tls: bool,
    /// Where messages go.
    pub queue: Arc<dyn Queue>,
    /// Who gets them.
    pub router: Arc<Router>,
    /// Who may log in.
    pub authenticator: Arc<Authenticator>,
    /// The most `Received` fields of a message; more is a loop
    /// (RFC 5321 §6.3).
    pub hop_limit: usize,
    /// How long an error's reply waits once a client has made
    /// [`PATIENCE`](Self::PATIENCE) of them.
    pub error_sleep_time: Duration,
}

/// Where a connection comes from; nothing, if by a socket in the file system.
#[derive(Debug, Clone, Copy)]
struct Peer(Option<IpAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) if address.is_unspecified() => f.write_str("unknown"),
            Some(address) => address.fmt(f),
            None => f.write_str("local"),
        }
    }
}

/// One connection.
struct Session<'a> {
    reception: &'a Reception,
    peer: Peer,
    hello: Option<Hello>,
    user: Option<String>,
    exchange: Option<Exchange>,
    transaction: Option<Transaction>,
    /// Commands refused so far.
    errors: usize,
    /// The reply at hand waits for this long.
    penalty: Option<Duration>,
}

struct Transaction {
    mail: Mail,
    recipients: Vec<Recipient>,
    known: HashSet<String>,
    incoming: Option<Box<dyn Incoming>>,
    hops: HopCounter,
    size: u64,
    begun: Instant,
    failure: Option<QueueError>,
}

type Machine = Conn<Server>;

impl Reception {
    /// Errors that are answered at once: Postfix's `smtpd_soft_error_limit`.
    pub const PATIENCE: usize = 10;

    /// Serves one connection until it ends or `stop` turns true. `peer` is
    /// absent for a socket in the file system.
    pub async fn serve(
        &self,
        socket: impl Into<Socket>,
        peer: Option<IpAddr>,
        stop: watch::Receiver<bool>,
    ) {
        let ip = Peer(peer.map(|peer| peer.to_canonical()));
        let mut session = Session {
            reception: self,
            peer: ip,
            hello: None,
            user: None,
            exchange: None,
            transaction: None,
            errors: 0,
            penalty: None,
        };
        match session.run(socket.into(), stop).await {
            Ok(()) => tracing::debug!(service = self.service, client = %ip, "disconnected"),
            Err(error) => {
                tracing::info!(service = self.service, client = %ip, %error, "connection lost");
            }
        }
    }
}

impl Session<'_> {
    async fn run(
        &mut self,
        socket: Socket,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ConnError> {
        let reception = self.reception;
        let mut conn = if reception.implicit_tls {
            let acceptor = reception
                .acceptor
                .as_ref()
                .ok_or(ConnError::HandshakeTimeout)?;
            let stream = Stream::accept_tls(socket, acceptor).await?;
            let mut machine = Server::new(Arc::clone(&reception.encrypted), Instant::now());
            machine.tls_started()?;
            Conn::new(stream, machine)
        } else {
            let machine = Server::new(Arc::clone(&reception.plain), Instant::now());
            Conn::new(Stream::from(socket), machine)
        };
        tracing::debug!(service = reception.service, client = %self.peer, "connected");
        loop {
            // Between transactions a stop ends the session; within one the
            // client is first told what became of its message.
            let idle = self.transaction.is_none();
            let event = tokio::select! {
                event = conn.next() => event?,
                () = stopped(&mut stop), if idle => {
                    conn.shut_down().await;
                    return Ok(());
                }
            };
            match event {
                Some(event) => self.handle(event, &mut conn).await?,
                None => return Ok(()),
            }
            // Nothing is sent before the machine is asked again.
            if let Some(penalty) = self.penalty.take() {
                tokio::select! {
                    () = tokio::time::sleep(penalty) => {}
                    () = stopped(&mut stop) => {}
                }
            }
        }
    }

    /// Slows down a client that makes many errors.
    fn count_error(&mut self) {
        self.errors += 1;
        if self.errors > Reception::PATIENCE && !self.reception.error_sleep_time.is_zero() {
            self.penalty = Some(self.reception.error_sleep_time);
        }
    }

    async fn handle(&mut self, event: Event, conn: &mut Machine) -> Result<(), ConnError> {
        match event {
            Event::Hello(hello) => self.hello = Some(hello),
            Event::Mail(mail) => {
                let reply = Reply::new(250, [2, 1, 0], "Ok");
                self.transaction = Some(Transaction::new(mail));
                conn.machine().reply(reply)?;
            }
            Event::Rcpt(rcpt) => {
                let reply = self.rcpt(&rcpt);
                conn.machine().reply(reply)?;
            }
            Event::PayloadStart(_) => match self.begin(conn).await {
                Ok(()) => conn.machine().accept_payload()?,
                Err(error) => {
                    tracing::error!(%error, "cannot begin a message");
                    self.transaction = None;
                    conn.machine().reply(not_now())?;
                }
            },
            Event::Payload(chunk) => self.payload(chunk).await,
            Event::PayloadEnd => self.end(conn).await?,
            Event::StartTls => self.start_tls(conn).await?,
            Event::Auth(start) => {
                let step = self.auth_start(start).await;
                self.answer_auth(step, conn)?;
            }
            Event::AuthData(response) => {
                let step = match &mut self.exchange {
                    Some(exchange) => exchange.step(response.expose()).await,
                    None => ExchangeStep::Failed,
                };
                self.answer_auth(step, conn)?;
            }
            Event::AuthCancelled => self.exchange = None,
            Event::Reset | Event::Quit => self.transaction = None,
            Event::Rejected(rejected) => {
                self.count_error();
                tracing::info!(
                    service = self.reception.service,
                    client = %self.peer,
                    fault = %rejected.fault,
                    reply = %rejected.reply,
                    "rejected"
                );
            }
            // Nothing else is offered; what is asked all the same is answered.
            other if other.wants_answer() => {
                let reply = Reply::new(502, [5, 5, 1], "Error: command not implemented");
                conn.machine().reply(reply)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn rcpt(&mut self, rcpt: &Rcpt) -> Reply {
        let address = match &rcpt.forward_path {
            ForwardPath::Address(address) => address.to_string(),
            ForwardPath::Postmaster => "postmaster".to_owned(),
        };
        let router = &self.reception.router;
        // LMTP is for mail that has arrived (RFC 2033 §5).
        let may_relay = self.reception.plain.mode == Mode::Smtp
            && (self.user.is_some() || self.peer.0.is_some_and(|peer| router.is_trusted(peer)));
        if let Err(rejection) = router.accept(&address, may_relay) {
            tracing::info!(
                service = self.reception.service,
                client = %self.peer,
                to = %address,
                %rejection,
                "recipient refused"
            );
            self.count_error();
            return Reply::new(
                rejection.code,
                parse_code(rejection.enhanced),
                rejection.text,
            );
        }
        if let Some(transaction) = &mut self.transaction {
            // In LMTP every RCPT gets its own reply to the message, so a
            // repeated one stays.
            let fresh = transaction.known.insert(address.clone());
            if fresh || self.reception.plain.mode == Mode::Lmtp {
                let mut recipient = Recipient::new(address);
                recipient.notify = rcpt.notify.map(Into::into);
                recipient.orcpt = rcpt.orcpt.as_ref().map(Into::into);
                transaction.recipients.push(recipient);
            }
        }
        Reply::new(250, [2, 1, 5], "Ok")
    }

    /// Opens a place in the queue and writes the trace field.
    async fn begin(&mut self, conn: &Machine) -> Result<(), QueueError> {
        let tls = conn.stream().tls_info();
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        let mut incoming = self.reception.queue.begin().await?;
        let extended = self
            .hello
            .as_ref()
            .is_some_and(|hello| hello.verb != HelloVerb::Helo);
        let received = Received {
            hello: self.hello.as_ref().map(|hello| &*hello.domain),
            client: self.peer.0,
            hostname: &self.reception.plain.hostname,
            protocol: match self.reception.plain.mode {
                Mode::Lmtp => "LMTP",
                _ => protocol(
                    extended,
                    transaction.mail.smtputf8,
                    tls.is_some(),
                    self.user.is_some(),
                ),
            },
            tls: tls.map(|tls| (tls.version, tls.cipher)),
            id: &incoming.id().0.clone(),
            recipient: match &transaction.recipients[..] {
                [only] => Some(&only.address),
                _ => None,
            },
            at: SystemTime::now(),
        };
        incoming.write(Bytes::from(received.field())).await?;
        transaction.incoming = Some(incoming);
        Ok(())
    }

    async fn payload(&mut self, chunk: Bytes) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        transaction.size += chunk.len() as u64;
        transaction.hops.feed(&chunk);
        if let Some(incoming) = &mut transaction.incoming
            && let Err(error) = incoming.write(chunk).await
        {
            // The client hears of it when its data has ended.
            transaction.incoming = None;
            transaction.failure = Some(error);
        }
    }

    async fn end(&mut self, conn: &mut Machine) -> Result<(), ConnError> {
        let Some(transaction) = self.transaction.take() else {
            conn.machine().reply(not_now())?;
            return Ok(());
        };
        let replies = match self.reception.plain.mode {
            Mode::Lmtp => transaction.recipients.len(),
            _ => 1,
        };
        let reply = self.accept(transaction).await;
        for _ in 0..replies {
            conn.machine().reply(reply.clone())?;
        }
        Ok(())
    }

    /// Commits the message; the reply says what became of it.
    async fn accept(&mut self, transaction: Transaction) -> Reply {
        if let Some(error) = transaction.failure {
            tracing::error!(client = %self.peer, %error, "cannot store a message");
            return not_now();
        }
        let Some(incoming) = transaction.incoming else {
            return not_now();
        };
        if transaction.hops.count() > self.reception.hop_limit {
            tracing::info!(client = %self.peer, "too many hops");
            return Reply::new(554, [5, 4, 6], "Too many hops");
        }
        let sender = transaction
            .mail
            .reverse_path
            .address()
            .map(ToString::to_string)
            .unwrap_or_default();
        let recipients = transaction.recipients.len();
        let mut envelope = Envelope::new(sender, transaction.recipients, SystemTime::now());
        envelope.client = self.peer.0;
        envelope.authenticated = self.user.clone();
        envelope.eight_bit = matches!(transaction.mail.body, Some(Body::EightBitMime));
        envelope.smtp_utf8 = transaction.mail.smtputf8;
        envelope.require_tls = transaction.mail.requiretls;
        envelope.ret = transaction.mail.ret.map(Into::into);
        envelope.envelope_id = transaction.mail.envid.as_deref().map(Into::into);
        let from = envelope.sender.clone();
        match incoming.commit(envelope).await {
            Ok(id) => {
                tracing::info!(
                    queue_id = %id,
                    service = self.reception.service,
                    client = %self.peer,
                    helo = self.hello.as_ref().map(|hello| &*hello.domain),
                    user = self.user,
                    from = %from,
                    size = transaction.size,
                    recipients,
                    delay = format_args!("{:.3}", transaction.begun.elapsed().as_secs_f64()),
                    "accepted"
                );
                Reply::new(250, [2, 0, 0], format!("Ok: queued as {id}"))
            }
            Err(error) => {
                tracing::error!(client = %self.peer, %error, "cannot commit a message");
                not_now()
            }
        }
    }

    async fn start_tls(&mut self, conn: &mut Machine) -> Result<(), ConnError> {
        let Some(acceptor) = &self.reception.acceptor else {
            let reply = Reply::new(454, [4, 7, 0], "TLS not available");
            conn.machine().reply(reply)?;
            return Ok(());
        };
        let reply = Reply::new(220, [2, 0, 0], "Ready to start TLS");
        conn.machine().reply(reply)?;
        conn.accept_tls(acceptor).await?;
        // What was said in the clear proves nothing (RFC 3207 §4.2).
        self.hello = None;
        self.user = None;
        self.exchange = None;
        self.transaction = None;
        Ok(())
    }

    async fn auth_start(&mut self, start: AuthStart) -> ExchangeStep {
        let authenticator = Arc::clone(&self.reception.authenticator);
        let peer = self.peer.0.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut exchange = Exchange::new(authenticator, &start.mechanism, peer);
        let initial = start.initial_response.as_ref();
        let step = exchange.start(initial.map(|secret| secret.expose())).await;
        self.exchange = Some(exchange);
        step
    }

    fn answer_auth(&mut self, step: ExchangeStep, conn: &mut Machine) -> Result<(), ConnError> {
        match step {
            ExchangeStep::Challenge(challenge) => conn.machine().challenge(&challenge)?,
            ExchangeStep::Authenticated(user) => {
                tracing::info!(service = self.reception.service, client = %self.peer, %user, "login");
                self.exchange = None;
                self.user = Some(user);
                let reply = Reply::new(235, [2, 7, 0], "Authentication successful");
                conn.machine().reply(reply)?;
            }
            ExchangeStep::Failed => {
                self.exchange = None;
                let reply = Reply::new(535, [5, 7, 8], "Error: authentication failed");
                conn.machine().reply(reply)?;
            }
            ExchangeStep::TryAgain => {
                self.exchange = None;
                let reply = Reply::new(454, [4, 7, 0], "Temporary authentication failure");
                conn.machine().reply(reply)?;
            }
        }
        Ok(())
    }
}

impl Transaction {
    fn new(mail: Mail) -> Self {
        Self {
            mail,
            recipients: Vec::new(),
            known: HashSet::new(),
            incoming: None,
            hops: HopCounter::default(),
            size: 0,
            begun: Instant::now(),
            failure: None,
        }
    }
}

fn not_now() -> Reply {
    Reply::new(451, [4, 3, 0], "Error: queue file write error")
}

fn parse_code(text: &str) -> [u16; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    [next(), next(), next()]
}

/// Counts the `Received` fields of a header that comes by in chunks.
#[derive(Debug, Default)]
struct HopCounter {
    hops: usize,
    /// Octets of `received:` matched at the start of the present line, or
    /// nothing when the line cannot be one.
    matched: Option<usize>,
    begun: bool,
    line_len: usize,
    done: bool,
}

impl HopCounter {
    const NAME: &'static [u8] = b"received:";

    fn feed(&mut self, chunk: &[u8]) {
        if !self.begun {
            self.begun = true;
            self.matched = Some(0);
        }
        for &octet in chunk {
            if self.done {
                return;
            }
            match octet {
                b'\n' => {
                    self.done = self.line_len == 0;
                    self.line_len = 0;
                    self.matched = Some(0);
                }
                b'\r' => {}
                _ => {
                    self.line_len += 1;
                    self.matched = self.matched.and_then(|at| {
                        let fits = Self::NAME.get(at) == Some(&octet.to_ascii_lowercase());
                        fits.then_some(at + 1)
                    });
                    if self.matched == Some(Self::NAME.len()) {
                        self.hops += 1;
                        self.matched = None;
                    }
                }
            }
        }
    }

    fn count(&self) -> usize {
        self.hops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_counted_in_the_header_alone() {
        let message =
            b"Received: a\r\n b\r\nReceived-SPF: x\r\nRECEIVED: c\r\n\r\nReceived: no\r\n";
        for size in [1, 3, 100] {
            let mut hops = HopCounter::default();
            message.chunks(size).for_each(|chunk| hops.feed(chunk));
            assert_eq!(hops.count(), 2);
        }
    }
}
