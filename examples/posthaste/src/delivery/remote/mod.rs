//! To other hosts, by SMTP.

mod destinations;
mod hosts;
mod talk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use net::Resolver;
use net::tls::{TlsConnector, TlsError};
use proto_core::sasl::Credentials;
use smtp_proto::ClientConfig;
use tokio::sync::Semaphore;

use self::destinations::Destinations;
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
    /// Connections at once.
    pub concurrency: usize,
    /// How long a destination is left alone of which no host can be talked to.
    pub pause: Duration,
    /// Who to log in as, and where.
    pub logins: Logins,
}

/// Sends to other hosts.
pub struct RemoteAgent {
    config: RemoteConfig,
    resolver: Resolver,
    any_certificate: TlsConnector,
    verified: TlsConnector,
    destinations: Destinations,
    places: Semaphore,
}

/// What is sent in one attempt.
pub(super) struct Parcel<'a> {
    pub(super) queue: &'a dyn Queue,
    pub(super) id: &'a QueueId,
    pub(super) envelope: &'a Envelope,
    pub(super) size: u64,
}

/// Recipients still to be reached, by their place in the envelope.
type Recipients = Vec<(usize, Recipient)>;

/// Why one host took nothing.
enum Trouble {
    /// TLS could not be begun; in the clear it may work.
    Tls(String),
    /// It takes nothing from here now, whatever it is.
    Host(Failure),
    /// Another host, or a later time, may do better.
    Other(Failure),
}

/// Why a host took nothing in the end, and whether it would take anything.
struct Refusal {
    failure: Failure,
    is_down: bool,
}

impl RemoteAgent {
    /// An agent that finds hosts through `resolver`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: RemoteConfig, resolver: Resolver) -> Result<Self, TlsError> {
        Ok(Self {
            resolver,
            any_certificate: net::tls::opportunistic_connector()?,
            verified: net::tls::verifying_connector()?,
            destinations: Destinations::new(config.destination_concurrency, config.pause),
            places: Semaphore::new(config.concurrency.max(1)),
            config,
        })
    }

    /// Sends to one destination when there is a place: little memory is taken
    /// until then. One that is down is left alone, unless somebody wants it
    /// tried since, at `wanted`.
    pub(super) async fn send(
        &self,
        parcel: &Parcel<'_>,
        destination: &NextHop,
        recipients: Recipients,
        wanted: Option<SystemTime>,
    ) -> Vec<(usize, Outcome)> {
        let places = self.destinations.places(destination);
        let own_place = places.acquire().await.ok();
        let place = self.places.acquire().await.ok();
        let now = SystemTime::now();
        let outcomes = match self.destinations.down(destination, wanted, now) {
            Some(failure) => all(recipients, &Outcome::Deferred(failure)),
            None => Box::pin(self.reach(parcel, destination, recipients)).await,
        };
        drop((place, own_place));
        self.destinations.leave(destination, &places);
        outcomes
    }

    async fn reach(
        &self,
        parcel: &Parcel<'_>,
        destination: &NextHop,
        recipients: Recipients,
    ) -> Vec<(usize, Outcome)> {
        if parcel.needs_tls() && !destination.is_named_here() {
            // RFC 8689 §4.2.1: the exchangers' names must have come by a way
            // that nobody can meddle with, and plain DNS is none.
            let reason = format!("{destination}: REQUIRETLS: its hosts cannot be told for sure");
            return all(recipients, &Outcome::Failed(Failure::new("5.7.10", reason)));
        }
        let hosts = match self.hosts(destination).await {
            Ok(hosts) => hosts,
            Err(outcome) => {
                if let Outcome::Deferred(failure) = &outcome {
                    let now = SystemTime::now();
                    self.destinations
                        .went_down(destination, failure.clone(), now);
                }
                return all(recipients, &outcome);
            }
        };
        let mut last = Failure::new("4.4.1", format!("{destination}: no host could be reached"));
        let mut are_down = true;
        for (host, address) in hosts {
            let login = self.config.logins.of(destination);
            let tried = self.try_host(parcel, &host, address, &recipients, login);
            match tried.await {
                Ok(answered) => {
                    self.destinations.is_up(destination);
                    return answered;
                }
                Err(Refusal { failure, is_down }) => {
                    last = failure;
                    are_down &= is_down;
                }
            }
        }
        if are_down {
            let now = SystemTime::now();
            self.destinations.went_down(destination, last.clone(), now);
        }
        all(recipients, &Outcome::Deferred(last))
    }

    async fn try_host(
        &self,
        parcel: &Parcel<'_>,
        host: &str,
        address: SocketAddr,
        recipients: &Recipients,
        login: Option<&Credentials>,
    ) -> Result<Vec<(usize, Outcome)>, Refusal> {
        let level = match parcel.needs_tls() {
            true => ClientTlsLevel::Verify,
            false => self.config.tls,
        };
        let talk = |level| self.talk(parcel, host, address, recipients, level, login);
        let mut talked = talk(level).await;
        if let (Err(Trouble::Tls(reason)), ClientTlsLevel::May) = (&talked, level) {
            tracing::info!(queue_id = %parcel.id, host, reason, "TLS failed, going on in the clear");
            talked = talk(ClientTlsLevel::None).await;
        }
        talked.map_err(|trouble| match trouble {
            Trouble::Tls(reason) => Refusal {
                failure: Failure::new("4.7.5", reason),
                is_down: level == self.config.tls,
            },
            Trouble::Host(failure) => Refusal {
                failure,
                is_down: true,
            },
            Trouble::Other(failure) => Refusal {
                failure,
                is_down: false,
            },
        })
    }
}

/// The same for every recipient.
fn all(recipients: Recipients, outcome: &Outcome) -> Vec<(usize, Outcome)> {
    let recipients = recipients.into_iter();
    recipients
        .map(|(index, _)| (index, outcome.clone()))
        .collect()
}

impl Parcel<'_> {
    /// Whether it must not go on in the clear, or to somebody else (RFC 8689).
    /// A report may (§5).
    fn needs_tls(&self) -> bool {
        self.envelope.require_tls && !self.envelope.sender.is_empty()
    }
}
