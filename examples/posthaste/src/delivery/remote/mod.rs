//! To other hosts, by SMTP.

mod hosts;
mod talk;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use net::Resolver;
use net::tls::{TlsConnector, TlsError};
use proto_core::sasl::Credentials;
use smtp_proto::ClientConfig;
use tokio::sync::Semaphore;

use super::logins::Logins;
use super::{Failure, Outcome};
use crate::config::ClientTlsLevel;
use crate::queue::{Envelope, Queue, QueueId, Recipient};
use crate::route::NextHop;

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
}

impl Parcel<'_> {
    /// Whether it must not go on in the clear, or to somebody else (RFC 8689).
    /// A report may (§5).
    fn needs_tls(&self) -> bool {
        self.envelope.require_tls && !self.envelope.sender.is_empty()
    }
}
