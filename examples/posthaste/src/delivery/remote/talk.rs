//! One transaction with one host.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::tls::PeerName;
use net::{Conn, ConnError, Stream};
use proto_core::sasl::{Credentials, Mechanism, SaslClient};
use smtp_proto::{
    Address, Body, Client, ClientEvent, ForwardPath, Mail, Rcpt, Reply, ReversePath, Status,
};

use super::{Failure, Outcome, Parcel, Recipients, RemoteAgent, Trouble};
use crate::config::ClientTlsLevel;
use crate::queue::{OriginalRecipient, Recipient};
use crate::store::MessageReader;

/// How long a host may take to answer QUIT: one that does not would collect
/// a socket for every message.
const FAREWELL: Duration = Duration::from_secs(10);

impl RemoteAgent {
    /// One connection, one transaction.
    pub(super) async fn talk(
        &self,
        parcel: &Parcel<'_>,
        host: &str,
        address: SocketAddr,
        recipients: &Recipients,
        level: ClientTlsLevel,
        login: Option<&Credentials>,
    ) -> Result<Vec<(usize, Outcome)>, Trouble> {
        let unreachable = |error: &dyn std::fmt::Display| {
            let reason = format!("connect to {host}[{}]: {error}", address.ip());
            Trouble::Host(Failure::new("4.4.1", reason))
        };
        let connecting = Stream::connect(address, self.config.connect_timeout);
        let stream = connecting.await.map_err(|error| unreachable(&error))?;
        let client = Client::new(Arc::clone(&self.config.client), Instant::now());
        let conn = Conn::new(stream, client);
        let talk = Talk {
            agent: self,
            parcel,
            host,
            address,
            recipients,
            level,
            login,
            exchange: None,
            tells: false,
            outcomes: Vec::with_capacity(recipients.len()),
            sent: Vec::with_capacity(recipients.len()),
            content: None,
            begun: false,
        };
        talk.run(conn).await
    }
}

/// One connection while it lasts.
struct Talk<'a> {
    agent: &'a RemoteAgent,
    parcel: &'a Parcel<'a>,
    host: &'a str,
    address: SocketAddr,
    recipients: &'a Recipients,
    level: ClientTlsLevel,
    login: Option<&'a Credentials>,
    exchange: Option<SaslClient>,
    /// Whether the host tells senders what becomes of their mail (RFC 3461).
    tells: bool,
    outcomes: Vec<(usize, Outcome)>,
    /// The recipients that the host is asked for, by their place in the
    /// envelope.
    sent: Vec<usize>,
    content: Option<Box<dyn MessageReader>>,
    begun: bool,
}

impl Talk<'_> {
    async fn run(mut self, mut conn: Conn<Client>) -> Result<Vec<(usize, Outcome)>, Trouble> {
        loop {
            let event = match conn.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return self.ended("closed"),
                Err(error) => return self.ended(&error.to_string()),
            };
            match event {
                ClientEvent::Ready => {
                    let offered = conn.machine().capabilities().starttls;
                    let tls = conn.stream().is_tls();
                    match self.level {
                        ClientTlsLevel::None => self.log_in(&mut conn)?,
                        _ if tls => self.log_in(&mut conn)?,
                        _ if offered => conn
                            .machine()
                            .start_tls()
                            .map_err(|e| self.host_fault(&e))?,
                        ClientTlsLevel::May => self.log_in(&mut conn)?,
                        _ => return Err(Trouble::Tls(format!("{} offers no TLS", self.host))),
                    }
                }
                ClientEvent::StartTls(_) => self.start_tls(&mut conn).await?,
                ClientEvent::StartTlsRefused(reply) => match self.level {
                    ClientTlsLevel::May => self.log_in(&mut conn)?,
                    _ => return Err(Trouble::Tls(format!("{} refused TLS: {reply}", self.host))),
                },
                ClientEvent::AuthChallenge(challenge) => {
                    let exchange = self.exchange.as_mut();
                    let response = exchange.and_then(|sasl| sasl.step(challenge.expose()).ok());
                    let answered = match response {
                        Some(response) => conn.machine().respond(response.expose()),
                        None => conn.machine().cancel_auth(),
                    };
                    answered.map_err(|error| self.host_fault(&error))?;
                }
                ClientEvent::Authenticated(_) => self.begin(&mut conn)?,
                // A password that is changed must not cost mail.
                ClientEvent::AuthFailed(reply) => {
                    let mut failure = self.failure(&reply, false);
                    failure.code = "4.7.8".into();
                    return Err(Trouble::Host(failure));
                }
                ClientEvent::Refused(reply) => return Err(Trouble::Host(self.refused(&reply))),
                // In a transaction each recipient is told so.
                ClientEvent::ServiceClosing(reply) if !self.begun => {
                    return Err(Trouble::Host(self.refused(&reply)));
                }
                ClientEvent::PayloadWanted => self.payload(&mut conn).await?,
                ClientEvent::Recipient(recipient) => self.settle(recipient),
                ClientEvent::TransactionEnd => {
                    // What came of it is known; the farewell is nobody's wait.
                    tokio::spawn(tokio::time::timeout(FAREWELL, async move {
                        if conn.machine().quit().is_ok() {
                            while let Ok(Some(_)) = conn.next().await {}
                        }
                    }));
                    return Ok(self.outcomes);
                }
                _ => {}
            }
        }
    }

    fn ended(self, how: &str) -> Result<Vec<(usize, Outcome)>, Trouble> {
        if self.outcomes.len() == self.recipients.len() {
            return Ok(self.outcomes);
        }
        let reason = format!(
            "lost connection with {}[{}]: {how}",
            self.host,
            self.address.ip()
        );
        let failure = Failure::new("4.4.2", reason);
        // In a transaction it may be this message that it cannot take.
        Err(match self.begun {
            true => Trouble::Other(failure),
            false => Trouble::Host(failure),
        })
    }

    /// Logs in where that is wanted, and begins.
    fn log_in(&mut self, conn: &mut Conn<Client>) -> Result<(), Trouble> {
        let Some(login) = self.login else {
            return self.begin(conn);
        };
        let refuse = |reason: &str| {
            let reason = format!("{}: {reason}", self.host);
            Trouble::Host(Failure::new("4.7.0", reason))
        };
        if !conn.stream().is_tls() {
            // A password in the clear is everybody's.
            return Err(refuse("no login without TLS"));
        }
        let offered = conn.machine().capabilities();
        let exchange = if offered.has_auth(Mechanism::Plain.name()) {
            SaslClient::plain(login)
        } else if offered.has_auth(Mechanism::Login.name()) {
            SaslClient::login(login)
        } else {
            return Err(refuse("it offers neither AUTH PLAIN nor AUTH LOGIN"));
        };
        let mut exchange = exchange.map_err(|error| self.host_fault(&error))?;
        let initial = exchange.initial_response();
        let initial = initial.as_ref().map(|secret| secret.expose());
        let begun = conn.machine().auth(exchange.mechanism().name(), initial);
        self.exchange = Some(exchange);
        begun.map_err(|error| self.host_fault(&error))
    }

    fn begin(&mut self, conn: &mut Conn<Client>) -> Result<(), Trouble> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let envelope = self.parcel.envelope;
        let unfit = |address: &str| {
            let reason = format!("<{address}>: bad address syntax");
            Trouble::Other(Failure::new("5.1.3", reason))
        };
        let reverse_path = if envelope.sender.is_empty() {
            ReversePath::Null
        } else {
            let sender: Result<Address, _> = envelope.sender.parse();
            ReversePath::Address(sender.map_err(|_| unfit(&envelope.sender))?)
        };
        let mut mail = Mail::new(reverse_path);
        mail.size = Some(self.parcel.size);
        mail.body = envelope.eight_bit.then_some(Body::EightBitMime);
        mail.smtputf8 = envelope.smtp_utf8;
        mail.ret = envelope.ret.map(Into::into);
        mail.envid = envelope.envelope_id.as_deref().map(Into::into);
        let offered = conn.machine().capabilities();
        self.tells = offered.dsn;
        // RFC 8689 §5: a report goes its way even where it is not offered.
        mail.requiretls = envelope.require_tls && (self.parcel.needs_tls() || offered.requiretls);
        let mut recipients = Vec::with_capacity(self.recipients.len());
        // Aliases and filters bring in addresses that the sender knows nothing
        // of; one that cannot go must not keep the others here.
        let plain = |recipient: &Recipient| {
            let address = &recipient.address;
            address.strip_prefix('\\').unwrap_or(address).to_owned()
        };
        let ascii = |recipient: &Recipient| plain(recipient).is_ascii();
        let all_ascii = self.recipients.iter().all(|(_, to)| ascii(to));
        mail.smtputf8 |= !all_ascii && offered.smtputf8;
        for (index, recipient) in self.recipients {
            let address = plain(recipient);
            let parsed = match address.parse::<Address>() {
                Ok(parsed) if mail.smtputf8 || address.is_ascii() => parsed,
                Ok(_) => {
                    let reason = format!("{} does not offer SMTPUTF8", self.host);
                    let failure = Failure::new("5.6.7", reason);
                    self.outcomes.push((*index, Outcome::Failed(failure)));
                    continue;
                }
                Err(_) => {
                    let failure = Failure::new("5.1.3", format!("<{address}>: bad address syntax"));
                    self.outcomes.push((*index, Outcome::Failed(failure)));
                    continue;
                }
            };
            self.sent.push(*index);
            let mut rcpt = Rcpt::new(ForwardPath::Address(parsed));
            rcpt.notify = recipient.notify.map(Into::into);
            let original = recipient.orcpt.as_ref();
            rcpt.orcpt = original.and_then(OriginalRecipient::parameter);
            recipients.push(rcpt);
        }
        let begun = match recipients.is_empty() {
            true => conn.machine().quit(),
            false => conn.machine().begin(mail, recipients),
        };
        begun.map_err(|error| self.host_fault(&error))
    }

    async fn start_tls(&mut self, conn: &mut Conn<Client>) -> Result<(), Trouble> {
        let connector = match self.level {
            ClientTlsLevel::Verify => &self.agent.verified,
            _ => &self.agent.any_certificate,
        };
        let name = self.host.trim_matches(['[', ']']).to_owned();
        let name = PeerName::try_from(name).map_err(|error| Trouble::Tls(error.to_string()))?;
        match conn.connect_tls(connector, name).await {
            Ok(()) => Ok(()),
            Err(ConnError::Misuse(misuse)) => Err(self.host_fault(&misuse)),
            Err(error) => Err(Trouble::Tls(format!("{}: {error}", self.host))),
        }
    }

    async fn payload(&mut self, conn: &mut Conn<Client>) -> Result<(), Trouble> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Trouble::Other(Failure::new("4.3.0", error.to_string()))
        };
        if self.content.is_none() {
            let opened = self.parcel.queue.content(self.parcel.id).await;
            self.content = Some(opened.map_err(|error| unreadable(&error))?);
        }
        let chunk = match &mut self.content {
            Some(content) => content.next().await.map_err(|error| unreadable(&error))?,
            None => None,
        };
        let machine = conn.machine();
        let handed = match chunk {
            Some(chunk) => machine.send_payload(chunk),
            None => machine.end_payload(),
        };
        handed.map_err(|error| self.host_fault(&error))
    }

    fn settle(&mut self, recipient: smtp_proto::Recipient) {
        let Some(index) = self.sent.get(recipient.index) else {
            return;
        };
        let said = || self.failure(&recipient.reply, recipient.status == Status::Bounced);
        let outcome = match recipient.status {
            Status::Delivered => {
                let mut said = self.failure(&recipient.reply, false);
                if !said.code.starts_with('2') {
                    said.code = "2.0.0".into();
                }
                Outcome::Relayed {
                    said,
                    tells: self.tells,
                }
            }
            Status::Deferred => Outcome::Deferred(said()),
            Status::Bounced => Outcome::Failed(said()),
        };
        self.outcomes.push((*index, outcome));
    }

    fn failure(&self, reply: &Reply, permanent: bool) -> Failure {
        let default = if permanent { "5.0.0" } else { "4.0.0" };
        Failure {
            code: reply
                .enhanced()
                .map_or_else(|| default.to_owned(), |code| code.to_string()),
            reason: format!("host {}[{}] said: {reply}", self.host, self.address.ip()),
            remote: Some(self.host.to_owned()),
            reply: Some(reply.to_string()),
        }
    }

    /// A host that wants no mail at all: another one may, whatever the code
    /// of its greeting (RFC 5321 §5.1).
    fn refused(&self, reply: &Reply) -> Failure {
        let mut failure = self.failure(reply, false);
        failure.code = "4.3.2".into();
        failure
    }

    fn host_fault(&self, error: &dyn std::fmt::Display) -> Trouble {
        Trouble::Other(Failure::new("4.3.5", format!("{}: {error}", self.host)))
    }
}
