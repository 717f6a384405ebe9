//! To other hosts, by SMTP.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use net::tls::{PeerName, TlsConnector, TlsError};
use net::{Conn, ConnError, Resolver, ResolverError, Stream};
use proto_core::sasl::{Credentials, Mechanism, SaslClient};
use smtp_proto::{
    Address, Body, Client, ClientConfig, ClientEvent, ForwardPath, Mail, Rcpt, Reply, ReversePath,
    Status,
};
use tokio::sync::Semaphore;

use super::logins::Logins;
use super::{Failure, Outcome};
use crate::config::ClientTlsLevel;
use crate::queue::{Envelope, OriginalRecipient, Queue, QueueId, Recipient};
use crate::route::NextHop;
use crate::store::MessageReader;

/// How long a host may take to answer QUIT: one that does not would collect
/// a socket for every message.
const FAREWELL: Duration = Duration::from_secs(10);

/// How mail is sent out.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// What the client machine is told.
    pub client: Arc<ClientConfig>,
    /// How far TLS is asked for.
    pub tls: ClientTlsLevel,
    /// The port of mail exchangers: 25.
    pub port: u16,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Addresses of one destination that are tried in one attempt.
    pub address_limit: usize,
    /// Connections to one destination at once.
    pub destination_concurrency: usize,
    /// Who to log in as, and where.
    pub logins: Logins,
}

/// Sends to other hosts.
pub struct RemoteAgent {
    config: RemoteConfig,
    resolver: Resolver,
    any_certificate: TlsConnector,
    verified: TlsConnector,
    destinations: Mutex<HashMap<NextHop, Arc<Semaphore>>>,
}

/// What is sent in one attempt.
struct Parcel<'a> {
    queue: &'a dyn Queue,
    id: &'a QueueId,
    envelope: &'a Envelope,
    size: u64,
}

/// Recipients still to be reached, by their place in the envelope.
type Recipients = Vec<(usize, Recipient)>;

/// Why one host took nothing.
enum Trouble {
    /// TLS could not be begun; in the clear it may work.
    Tls(String),
    /// Another host, or a later time, may do better.
    Other(Failure),
}

impl RemoteAgent {
    /// An agent that finds hosts through `resolver`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: RemoteConfig, resolver: Resolver) -> Result<Self, TlsError> {
        Ok(Self {
            config,
            resolver,
            any_certificate: net::tls::opportunistic_connector()?,
            verified: net::tls::verifying_connector()?,
            destinations: Mutex::default(),
        })
    }

    pub(super) async fn send(
        &self,
        queue: &dyn Queue,
        id: &QueueId,
        envelope: &Envelope,
        size: u64,
        destination: &NextHop,
        recipients: Recipients,
    ) -> Vec<(usize, Outcome)> {
        let places = self.places(destination);
        let place = places.acquire().await.ok();
        let parcel = Parcel {
            queue,
            id,
            envelope,
            size,
        };
        let mut outcomes = Vec::new();
        let mut left = recipients;
        let mut last = Failure::new("4.4.1", format!("{destination}: no host could be reached"));
        if parcel.needs_tls() && !destination.is_named_here() {
            // RFC 8689 §4.2.1: the exchangers' names must have come by a way
            // that nobody can meddle with, and plain DNS is none.
            let reason = format!("{destination}: REQUIRETLS: its hosts cannot be told for sure");
            let failure = Failure::new("5.7.10", reason);
            let all = left.into_iter();
            return all
                .map(|(index, _)| (index, Outcome::Failed(failure.clone())))
                .collect();
        }
        let hosts = match self.hosts(destination).await {
            Ok(hosts) => hosts,
            Err(outcome) => {
                let all = left.into_iter();
                return all.map(|(index, _)| (index, outcome.clone())).collect();
            }
        };
        for (host, address) in hosts {
            let login = self.config.logins.of(destination);
            match self.try_host(&parcel, &host, address, &left, login).await {
                Ok(answered) => {
                    outcomes.extend(answered);
                    left.clear();
                    break;
                }
                Err(failure) => last = failure,
            }
        }
        outcomes.extend(
            left.into_iter()
                .map(|(index, _)| (index, Outcome::Deferred(last.clone()))),
        );
        drop(place);
        self.forget(destination, &places);
        outcomes
    }

    /// The places of one destination; made when first used.
    fn places(&self, destination: &NextHop) -> Arc<Semaphore> {
        let mut destinations = self
            .destinations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let limit = self.config.destination_concurrency.max(1);
        let places = destinations
            .entry(destination.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(limit)));
        Arc::clone(places)
    }

    /// Drops a destination that nobody uses: the table holds only what is
    /// being sent.
    fn forget(&self, destination: &NextHop, places: &Arc<Semaphore>) {
        let mut destinations = self
            .destinations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if Arc::strong_count(places) <= 2 {
            destinations.remove(destination);
        }
    }

    /// Where to connect to, best first.
    async fn hosts(&self, destination: &NextHop) -> Result<Vec<(String, SocketAddr)>, Outcome> {
        let (names, port) = match destination {
            NextHop::Domain(domain) if domain.starts_with('[') => {
                (vec![domain.clone()], self.config.port)
            }
            NextHop::RelayHost {
                host,
                port,
                mx: false,
            } => (vec![host.clone()], *port),
            NextHop::Domain(domain) => (self.exchanges(domain).await?, self.config.port),
            NextHop::RelayHost { host, port, .. } => (self.exchanges(host).await?, *port),
        };
        // A domain's owner says where its mail goes, and may say: to you. What
        // comes from here is trusted and would be sent again.
        let by_dns = !matches!(destination, NextHop::RelayHost { mx: false, .. });
        let mut itself = false;
        let mut hosts = Vec::new();
        let mut trouble = None;
        for name in names {
            let literal = name.trim_matches(['[', ']']);
            let literal = literal.strip_prefix("IPv6:").unwrap_or(literal);
            match self.resolver.addresses(literal).await {
                Ok(addresses) => {
                    for address in addresses {
                        if by_dns && is_this_host(address) {
                            itself = true;
                        } else {
                            hosts.push((name.clone(), SocketAddr::new(address, port)));
                        }
                    }
                }
                // One host that answers is enough; a temporary failure weighs
                // more than one for good.
                Err(error @ ResolverError::Temporary { .. }) => trouble = Some(error),
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
            if hosts.len() >= self.config.address_limit {
                break;
            }
        }
        hosts.truncate(self.config.address_limit.max(1));
        match trouble {
            Some(error) if hosts.is_empty() => Err(unresolved(&error)),
            None if hosts.is_empty() && itself => {
                let reason = format!("mail for {destination} loops back to myself");
                Err(Outcome::Failed(Failure::new("5.4.6", reason)))
            }
            _ => Ok(hosts),
        }
    }

    async fn exchanges(&self, domain: &str) -> Result<Vec<String>, Outcome> {
        let found = self.resolver.exchanges(domain).await;
        let exchanges = found.map_err(|error| unresolved(&error))?;
        let own = self.config.client.hostname();
        let mut names = Vec::new();
        for exchange in exchanges {
            // What is less preferred than this host would send it back here
            // (RFC 5321 §5.1).
            if exchange.host.eq_ignore_ascii_case(own) {
                break;
            }
            names.push(exchange.host);
        }
        if names.is_empty() {
            let reason = format!("mail for {domain} loops back to myself");
            return Err(Outcome::Failed(Failure::new("5.4.6", reason)));
        }
        Ok(names)
    }

    async fn try_host(
        &self,
        parcel: &Parcel<'_>,
        host: &str,
        address: SocketAddr,
        recipients: &Recipients,
        login: Option<&Credentials>,
    ) -> Result<Vec<(usize, Outcome)>, Failure> {
        let level = match parcel.needs_tls() {
            true => ClientTlsLevel::Verify,
            false => self.config.tls,
        };
        let talk = |level| self.talk(parcel, host, address, recipients, level, login);
        match talk(level).await {
            Ok(answered) => Ok(answered),
            Err(Trouble::Other(failure)) => Err(failure),
            Err(Trouble::Tls(reason)) if level == ClientTlsLevel::May => {
                tracing::info!(queue_id = %parcel.id, host, reason, "TLS failed, going on in the clear");
                match talk(ClientTlsLevel::None).await {
                    Ok(answered) => Ok(answered),
                    Err(Trouble::Other(failure)) => Err(failure),
                    Err(Trouble::Tls(reason)) => Err(Failure::new("4.7.5", reason)),
                }
            }
            Err(Trouble::Tls(reason)) => Err(Failure::new("4.7.5", reason)),
        }
    }

    /// One connection, one transaction.
    async fn talk(
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
            Trouble::Other(Failure::new("4.4.1", reason))
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

impl Parcel<'_> {
    /// Whether it must not go on in the clear, or to somebody else (RFC 8689).
    /// A report may (§5).
    fn needs_tls(&self) -> bool {
        self.envelope.require_tls && !self.envelope.sender.is_empty()
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
                    return Err(Trouble::Other(failure));
                }
                ClientEvent::Refused(reply) => return Err(Trouble::Other(self.refused(&reply))),
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
        Err(Trouble::Other(Failure::new("4.4.2", reason)))
    }

    /// Logs in where that is wanted, and begins.
    fn log_in(&mut self, conn: &mut Conn<Client>) -> Result<(), Trouble> {
        let Some(login) = self.login else {
            return self.begin(conn);
        };
        let refuse = |reason: &str| {
            let reason = format!("{}: {reason}", self.host);
            Trouble::Other(Failure::new("4.7.0", reason))
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

/// Whether an address leads back to this host from within.
fn is_this_host(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

fn unresolved(error: &ResolverError) -> Outcome {
    let failure = |code| Failure::new(code, error.to_string());
    match error {
        ResolverError::NotFound { .. } => Outcome::Failed(failure("5.1.2")),
        ResolverError::NullMx { .. } => Outcome::Failed(failure("5.1.10")),
        _ => Outcome::Deferred(failure("4.4.3")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> RemoteAgent {
        let config = RemoteConfig {
            client: Arc::new(ClientConfig::new("mx.example.org").unwrap()),
            tls: ClientTlsLevel::May,
            port: 25,
            connect_timeout: Duration::from_secs(1),
            address_limit: 5,
            destination_concurrency: 1,
            logins: Logins::default(),
        };
        RemoteAgent::new(config, Resolver::system().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_domain_does_not_send_mail_back_here() {
        let agent = agent();
        for literal in [
            "[127.0.0.1]",
            "[127.1.2.3]",
            "[0.0.0.0]",
            "[IPv6:::1]",
            "[IPv6:::ffff:127.0.0.1]",
        ] {
            let hosts = agent.hosts(&NextHop::Domain(literal.into())).await;
            let refused =
                matches!(&hosts, Err(Outcome::Failed(failure)) if failure.code == "5.4.6");
            assert!(refused, "{literal}: {hosts:?}");
        }
        let hosts = agent.hosts(&NextHop::Domain("[192.0.2.1]".into())).await;
        assert_eq!(hosts.unwrap().len(), 1);
        let relay = NextHop::RelayHost {
            host: "127.0.0.1".into(),
            port: 2525,
            mx: false,
        };
        assert_eq!(agent.hosts(&relay).await.unwrap().len(), 1);
    }
}
