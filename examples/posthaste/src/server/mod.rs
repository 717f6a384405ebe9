//! The whole server: what the configuration names, opened, bound and run.

mod delivery;
mod listeners;
mod machines;
mod place;
mod sessions;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use net::tls::TlsError;
use net::{Listener, ListenerLimits, LocalListener, ResolverError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::delivery::delivery;
pub(crate) use self::delivery::sieve;
use self::listeners::security;
use self::machines::smtp_config;
pub(crate) use self::place::{account_config, place};
use self::sessions::{Sessions, serve_local};
use crate::auth::{Authenticator, HashError, Users, UsersError};
use crate::blocking::Blocking;
use crate::config::{Config, Network, TlsLevel};
use crate::delivery::{DeliveryAgent, LoginsError};
use crate::queue::{LocalQueue, Queue, QueueError};
use crate::reception::Reception;
use crate::route::Router;
use crate::store::{LocalStore, MailStore};

/// How long sessions and deliveries may go on once the server is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Threads beside the reactor for the disk.
const DISK_THREADS: usize = 64;

/// `Received` fields that a message may have (RFC 5321 §6.3: at least 100).
const HOP_LIMIT: usize = 100;

/// A way in for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MailService {
    Smtp,
    Submission,
    Lmtp,
}

impl MailService {
    fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Lmtp => "lmtp",
        }
    }
}

/// Why the server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The queue's folder is in use or unreadable.
    #[error("the queue: {0}")]
    Queue(#[from] QueueError),
    /// The users file is unreadable.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The system gives no random octets.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The certificate or key is unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file of logins at other hosts is unreadable.
    #[error("smtp_sasl_password_maps: {0}")]
    Logins(#[from] LoginsError),
    /// The system's resolver configuration is unreadable.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// A listener's address is taken, or not permitted.
    #[error("{service}: {address}: {error}")]
    Bind {
        /// The service.
        service: &'static str,
        /// The address, or the socket's path.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The settings of a scanner for Sieve make no sense.
    #[error("{0}")]
    Scanner(String),
    /// A key's value cannot be used.
    #[error("{key}: {reason}")]
    Key {
        /// The key.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

/// A server that has opened and bound everything and serves nobody yet.
pub struct Server {
    services: Vec<Service>,
    sessions: Vec<(Listener, Sessions)>,
    local: Vec<(LocalListener, Arc<Reception>)>,
    proxies: Vec<Network>,
    proxy_timeout: Duration,
    delivery: Arc<DeliveryAgent>,
    queue: Arc<dyn Queue>,
    store: Arc<dyn MailStore>,
}

/// Where a service is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// By TCP.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Local(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Local(path) => path.display().fmt(f),
        }
    }
}

/// What a listener offers, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `smtp`, `submission` …
    pub name: &'static str,
    /// Where it listens.
    pub address: Endpoint,
    /// How the connection is protected.
    pub security: Security,
}

/// How a service's connections are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// TLS after STARTTLS or STLS.
    StartTls,
    /// TLS from the first octet.
    Tls,
}

impl Server {
    /// Opens what `config` names, and binds every listener.
    ///
    /// # Errors
    /// [`StartError`]; nothing was changed but folders made.
    pub async fn start(config: Arc<Config>) -> Result<Self, StartError> {
        let disk = Blocking::new(DISK_THREADS);
        let users = Arc::new(Users::open(&config.users_file)?);
        let authenticator = Arc::new(Authenticator::new(Arc::clone(&users), (&*config).into())?);
        let router = Arc::new(Router::new(Arc::clone(&config), Arc::clone(&users)));
        let queue: Arc<dyn Queue> =
            { Arc::new(LocalQueue::open(&config.queue_directory, disk.clone())?) };
        let store: Arc<dyn MailStore> = {
            let config = Arc::clone(&config);
            let places = move |user: &str| place(&config, &users, user);
            Arc::new(LocalStore::new(disk, places))
        };
        let delivery = delivery(&config, &queue, &router, &store)?;
        let smtp_tls = match config.smtpd_tls_security_level {
            TlsLevel::None => None,
            _ => Some(net::tls::acceptor(
                &config.smtpd_tls_cert_file,
                &config.smtpd_tls_key_file,
            )?),
        };
        let mut server = Self {
            services: Vec::new(),
            sessions: Vec::new(),
            local: Vec::new(),
            proxies: config.haproxy_trusted_networks.clone(),
            proxy_timeout: config.haproxy_timeout,
            delivery,
            queue: Arc::clone(&queue),
            store,
        };
        let reception = |service, implicit_tls| {
            let machine =
                |tls: bool| Arc::new(smtp_config(&config, service, smtp_tls.is_some() && !tls));
            Arc::new(Reception {
                service: match implicit_tls {
                    true => "submissions",
                    false => service.name(),
                },
                plain: machine(false),
                encrypted: machine(true),
                acceptor: smtp_tls.clone(),
                implicit_tls,
                queue: Arc::clone(&queue),
                router: Arc::clone(&router),
                authenticator: Arc::clone(&authenticator),
                hop_limit: HOP_LIMIT,
                error_sleep_time: config.smtpd_error_sleep_time,
            })
        };
        let in_clear = security(smtp_tls.is_some());
        let limit = config.smtpd_client_connection_count_limit;
        let limits = ListenerLimits {
            total: config.client_limit,
            per_address: if limit == 0 { usize::MAX } else { limit },
        };
        for (service, addresses) in [
            (MailService::Smtp, &config.listen_smtp),
            (MailService::Submission, &config.listen_submission),
        ] {
            let sessions = Sessions::Reception(reception(service, false));
            server
                .bind(service.name(), addresses, in_clear, limits, &sessions)
                .await?;
        }
        if smtp_tls.is_some() {
            let sessions = Sessions::Reception(reception(MailService::Submission, true));
            let addresses = &config.listen_submissions;
            let tls = Security::Tls;
            server
                .bind("submissions", addresses, tls, limits, &sessions)
                .await?;
        }
        let lmtp = reception(MailService::Lmtp, false);
        server.bind_lmtp(&config, in_clear, limits, lmtp).await?;
        server.bind_imap(&config, &authenticator, limits).await?;
        server.bind_pop3(&config, &authenticator, limits).await?;
        server
            .bind_managesieve(&config, &authenticator, limits)
            .await?;
        Ok(server)
    }

    /// What was bound.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue)
    }

    /// The mail.
    #[must_use]
    pub fn store(&self) -> Arc<dyn MailStore> {
        Arc::clone(&self.store)
    }

    /// Serves until `stop` turns true, then lets what has begun end.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for (listener, sessions) in self.sessions {
            tasks.spawn(sessions.serve(listener, stop.clone()));
        }
        for (listener, reception) in self.local {
            tasks.spawn(serve_local(listener, reception, stop.clone()));
        }
        tasks.spawn(self.delivery.run(stop, GRACE));
        while tasks.join_next().await.is_some() {}
    }
}

/// Completes when the server is to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone will never say so, and is as good as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
}
