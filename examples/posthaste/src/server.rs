//! The whole server: what the configuration names, opened, bound and run.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mailstore::AccountConfig;
use net::tls::{TlsAcceptor, TlsError};
use net::{Listener, ListenerLimits, LocalListener, Resolver, ResolverError};
use smtp_proto::ClientConfig;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::auth::{Authenticator, HashError, MECHANISMS, Seats, Users, UsersError};
use crate::blocking::Blocking;
use crate::config::{
    Account, Config, LmtpListener, Location, MailboxCommand, Named, Network, Ssl, TlsLevel,
    UserPath,
};
use crate::delivery::{
    DeliveryAgent, DeliveryConfig, LocalAgent, LocalConfig, Logins, LoginsError, ProcmailConfig,
    RemoteAgent, RemoteConfig, SieveConfig,
};
use crate::imap::ImapService;
use crate::managesieve::ManageSieve;
use crate::pop3::Pop3;
use crate::queue::{LocalQueue, Queue, QueueError};
use crate::reception::Reception;
use crate::route::Router;
use crate::store::{AccountPlace, FilterKind, LocalStore, MailStore, ScriptPlace, StoreError};

/// How long sessions and deliveries may go on once the server is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Threads beside the reactor for the disk.
const DISK_THREADS: usize = 64;

/// `Received` fields that a message may have (RFC 5321 §6.3: at least 100).
const HOP_LIMIT: usize = 100;

/// Who may write to LMTP's sockets: the server's own user and group.
const LMTP_MODE: u32 = 0o660;

/// What a connection over a limit is told, by SMTP and LMTP.
const TOO_MANY: &[u8] = b"421 4.7.0 Error: too many connections\r\n";

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

/// Who serves a listener's connections.
#[derive(Clone)]
enum Sessions {
    Reception(Arc<Reception>),
    Imap(Arc<ImapService>),
    Pop3(Arc<Pop3>),
    ManageSieve(Arc<ManageSieve>),
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

    async fn bind_managesieve(
        &mut self,
        config: &Config,
        authenticator: &Arc<Authenticator>,
        limits: ListenerLimits,
    ) -> Result<(), StartError> {
        let acceptor = access_tls(config)?;
        let in_clear = security(acceptor.is_some());
        let service = ManageSieve::new(
            config,
            acceptor,
            Arc::clone(&self.store),
            Arc::clone(authenticator),
            Seats::new(config.mail_max_userip_connections),
        );
        let addresses = &config.listen_managesieve;
        let sessions = Sessions::ManageSieve(Arc::new(service));
        self.bind("managesieve", addresses, in_clear, limits, &sessions)
            .await
    }

    async fn bind_imap(
        &mut self,
        config: &Config,
        authenticator: &Arc<Authenticator>,
        limits: ListenerLimits,
    ) -> Result<(), StartError> {
        let acceptor = access_tls(config)?;
        let seats = Seats::new(config.mail_max_userip_connections);
        let search_room = ImapService::search_room();
        let service = |service: &'static str, implicit_tls: bool| {
            let machine = |within_host| {
                let starttls = acceptor.is_some() && !implicit_tls;
                Arc::new(imap_config(config, starttls, implicit_tls, within_host))
            };
            Sessions::Imap(Arc::new(ImapService {
                service,
                strict: machine(false),
                trusting: machine(true),
                implicit_tls,
                acceptor: acceptor.clone(),
                store: Arc::clone(&self.store),
                authenticator: Arc::clone(authenticator),
                seats: seats.clone(),
                search_room: search_room.clone(),
            }))
        };
        let (plain, encrypted) = (service("imap", false), service("imaps", true));
        let in_clear = security(acceptor.is_some());
        let addresses = &config.listen_imap;
        self.bind("imap", addresses, in_clear, limits, &plain)
            .await?;
        if acceptor.is_some() {
            let addresses = &config.listen_imaps;
            self.bind("imaps", addresses, Security::Tls, limits, &encrypted)
                .await?;
        }
        Ok(())
    }

    async fn bind_pop3(
        &mut self,
        config: &Config,
        authenticator: &Arc<Authenticator>,
        limits: ListenerLimits,
    ) -> Result<(), StartError> {
        let acceptor = access_tls(config)?;
        let seats = Seats::new(config.mail_max_userip_connections);
        let shared = || {
            (
                Arc::clone(&self.store),
                Arc::clone(authenticator),
                seats.clone(),
            )
        };
        let (store, checker, places) = shared();
        let plain = Pop3::new(config, acceptor.clone(), store, checker, places);
        let (store, checker, places) = shared();
        let encrypted = acceptor
            .clone()
            .map(|acceptor| Pop3::encrypted(config, acceptor, store, checker, places));
        let in_clear = security(acceptor.is_some());
        let sessions = Sessions::Pop3(Arc::new(plain));
        self.bind("pop3", &config.listen_pop3, in_clear, limits, &sessions)
            .await?;
        if let Some(encrypted) = encrypted {
            let addresses = &config.listen_pop3s;
            let sessions = Sessions::Pop3(Arc::new(encrypted));
            self.bind("pop3s", addresses, Security::Tls, limits, &sessions)
                .await?;
        }
        Ok(())
    }

    async fn bind(
        &mut self,
        service: &'static str,
        addresses: &[SocketAddr],
        security: Security,
        limits: ListenerLimits,
        sessions: &Sessions,
    ) -> Result<(), StartError> {
        for address in addresses {
            let bound = async {
                let listener = Listener::bind(*address, limits).await?;
                let address = listener.local_addr()?;
                Ok((listener, address))
            };
            let (listener, address) = bound.await.map_err(|error| StartError::Bind {
                service,
                address: address.to_string(),
                error,
            })?;
            let listener = match self.proxies.clone() {
                none if none.is_empty() => listener,
                proxies => {
                    let trusted =
                        move |address| proxies.iter().any(|known| known.contains(address));
                    listener.behind_proxies(trusted, self.proxy_timeout)
                }
            };
            self.services.push(Service {
                name: service,
                address: Endpoint::Tcp(address),
                security,
            });
            self.sessions.push((listener, sessions.clone()));
        }
        Ok(())
    }

    async fn bind_lmtp(
        &mut self,
        config: &Config,
        security: Security,
        limits: ListenerLimits,
        reception: Arc<Reception>,
    ) -> Result<(), StartError> {
        for place in &config.listen_lmtp {
            match place {
                LmtpListener::Tcp(address) => {
                    let sessions = Sessions::Reception(Arc::clone(&reception));
                    self.bind("lmtp", &[*address], security, limits, &sessions)
                        .await?;
                }
                LmtpListener::Local(path) => {
                    let bound = LocalListener::bind(path, LMTP_MODE, limits.total);
                    let listener = bound.map_err(|error| StartError::Bind {
                        service: "lmtp",
                        address: path.display().to_string(),
                        error,
                    })?;
                    self.services.push(Service {
                        name: "lmtp",
                        address: Endpoint::Local(path.clone()),
                        security,
                    });
                    self.local.push((listener, Arc::clone(&reception)));
                }
            }
        }
        Ok(())
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

impl Sessions {
    async fn serve(self, listener: Listener, stop: watch::Receiver<bool>) {
        let farewell: &'static [u8] = match &self {
            Self::Reception(_) => TOO_MANY,
            Self::Imap(_) => b"* BYE Too many connections\r\n",
            Self::Pop3(_) => Pop3::FAREWELL,
            Self::ManageSieve(_) => ManageSieve::FAREWELL,
        };
        let session_stop = stop.clone();
        let session = move |socket, peer: SocketAddr| {
            let (sessions, stop) = (self.clone(), session_stop.clone());
            async move {
                match &sessions {
                    Self::Reception(reception) => {
                        reception.serve(socket, Some(peer.ip()), stop).await;
                    }
                    Self::Imap(imap) => imap.serve(socket, peer, stop).await,
                    Self::Pop3(pop3) => Arc::clone(pop3).serve(socket, peer, stop).await,
                    Self::ManageSieve(service) => service.serve(socket, peer, stop).await,
                }
            }
        };
        let refuse = move |mut socket: tokio::net::TcpStream, peer: SocketAddr| async move {
            tracing::warn!(client = %peer.ip(), "too many connections");
            let _ = socket.write_all(farewell).await;
        };
        listener.serve(stop, GRACE, session, refuse).await;
    }
}

async fn serve_local(
    listener: LocalListener,
    reception: Arc<Reception>,
    stop: watch::Receiver<bool>,
) {
    let session_stop = stop.clone();
    let session = move |socket| {
        let (reception, stop) = (Arc::clone(&reception), session_stop.clone());
        async move { reception.serve(socket, None, stop).await }
    };
    let refuse = |mut socket: tokio::net::UnixStream| async move {
        tracing::warn!("too many connections");
        let _ = socket.write_all(TOO_MANY).await;
    };
    listener.serve(stop, GRACE, session, refuse).await;
}

/// Completes when the server is to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone will never say so, and is as good as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// TLS for IMAP and POP3, if the configuration wants it.
fn access_tls(config: &Config) -> Result<Option<TlsAcceptor>, TlsError> {
    match config.ssl {
        Ssl::No => Ok(None),
        _ => {
            let (certificate, key) = config.ssl_files();
            net::tls::acceptor(certificate, key).map(Some)
        }
    }
}

/// How a service that begins in the clear is protected.
fn security(tls: bool) -> Security {
    if tls {
        Security::StartTls
    } else {
        Security::None
    }
}

fn delivery(
    config: &Arc<Config>,
    queue: &Arc<dyn Queue>,
    router: &Arc<Router>,
    store: &Arc<dyn MailStore>,
) -> Result<Arc<DeliveryAgent>, StartError> {
    let mut client = ClientConfig::new(&config.myhostname).map_err(|error| StartError::Key {
        key: "myhostname",
        reason: error.to_string(),
    })?;
    // Nearly every server takes 8-bit mail, offered or not.
    client.eight_bit_anyway = true;
    let resolver = Resolver::system()?;
    let remote = RemoteAgent::new(
        RemoteConfig {
            client: Arc::new(client),
            tls: config.smtp_tls_security_level,
            port: 25,
            connect_timeout: Duration::from_secs(30),
            address_limit: 5,
            destination_concurrency: config.default_destination_concurrency_limit,
            logins: Logins::read(config.smtp_sasl_password_maps.iter().map(|file| &*file.0))?,
        },
        resolver,
    )?;
    let local = LocalAgent::new(
        &LocalConfig {
            hostname: config.myhostname.clone(),
            recipient_delimiter: config.recipient_delimiter.clone(),
            procmail: procmail(config),
            sieve: sieve(config).map_err(StartError::Scanner)?,
            quota_full_tempfail: config.quota_full_tempfail,
        },
        Arc::clone(store),
    );
    Ok(Arc::new(DeliveryAgent::new(
        DeliveryConfig {
            hostname: config.myhostname.clone(),
            active_messages: config.default_process_limit * 10,
            local_concurrency: config.default_process_limit,
            command_time_limit: config.command_time_limit,
            minimal_backoff: config.minimal_backoff_time,
            maximal_backoff: config.maximal_backoff_time,
            maximal_queue_lifetime: config.maximal_queue_lifetime,
            bounce_queue_lifetime: config.bounce_queue_lifetime,
            delay_warning: config.delay_warning_time,
        },
        Arc::clone(queue),
        Arc::clone(router),
        local,
        remote,
    )))
}

/// What users' Sieve scripts may do on this host.
pub(crate) fn sieve(config: &Config) -> Result<SieveConfig, String> {
    let text = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
    let spam = |name: &str| match name {
        "status_type" => text(&config.sieve_spamtest_status_type),
        "status_header" => text(&config.sieve_spamtest_status_header),
        "max_value" => text(&config.sieve_spamtest_max_value),
        "max_header" => text(&config.sieve_spamtest_max_header),
        other => word(&config.sieve_spamtest_text_values, other),
    };
    let virus = |name: &str| match name {
        "status_type" => text(&config.sieve_virustest_status_type),
        "status_header" => text(&config.sieve_virustest_status_header),
        "max_value" => text(&config.sieve_virustest_max_value),
        "max_header" => text(&config.sieve_virustest_max_header),
        other => word(&config.sieve_virustest_text_values, other),
    };
    Ok(SieveConfig {
        global: config.sieve_global.clone(),
        lists: config.sieve_extlists.clone(),
        pipe: config.sieve_pipe_bin_dir.clone(),
        filter: config.sieve_filter_bin_dir.clone(),
        execute: config.sieve_execute_bin_dir.clone(),
        time_limit: config.sieve_exec_timeout,
        spam: sieve::Scanner::from_settings(false, spam)
            .map_err(|fault| format!("sieve_spamtest_{fault}"))?,
        virus: sieve::Scanner::from_settings(true, virus)
            .map_err(|fault| format!("sieve_virustest_{fault}"))?,
    })
}

/// The word for a value, counted from zero; an empty one stands for none.
fn word(words: &[String], name: &str) -> Option<String> {
    let number: usize = name.strip_prefix("text_value")?.parse().ok()?;
    words.get(number).filter(|word| !word.is_empty()).cloned()
}

/// What users' procmailrcs may do on this host.
fn procmail(config: &Config) -> ProcmailConfig {
    let may_run = config.allow_mail_to_commands.contains(&Named::Procmail);
    ProcmailConfig {
        programs: if may_run {
            config.program_allow.clone()
        } else {
            Vec::new()
        },
        time_limit: config.command_time_limit,
        files: config.allow_mail_to_files.contains(&Named::Procmail),
    }
}

fn smtp_config(config: &Config, service: MailService, starttls: bool) -> smtp_proto::Config {
    let mut machine = match service {
        MailService::Lmtp => smtp_proto::Config::lmtp(&config.myhostname),
        _ => smtp_proto::Config::new(&config.myhostname),
    };
    let banner = config.smtpd_banner.strip_prefix(&config.myhostname);
    if service != MailService::Lmtp {
        machine.banner = banner.unwrap_or(&config.smtpd_banner).trim().to_owned();
    }
    machine.extensions.starttls = starttls;
    machine.extensions.dsn = true;
    machine.extensions.smtputf8 = true;
    machine.extensions.requiretls = true;
    machine.extensions.limits = true;
    if service == MailService::Submission {
        machine.extensions.auth = MECHANISMS.iter().map(|known| known.name().into()).collect();
        machine.auth_required = true;
        machine.auth_needs_tls = config.smtpd_tls_auth_only;
    }
    machine.tls_required = config.smtpd_tls_security_level == TlsLevel::Encrypt;
    machine.limits.message_size = match config.message_size_limit {
        0 => u64::MAX,
        limit => limit,
    };
    let most = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    machine.limits.recipients = most(config.smtpd_recipient_limit);
    machine.limits.errors = most(config.smtpd_hard_error_limit);
    machine.limits.auth_failures = most(config.auth_failure_limit);
    machine
}

fn imap_config(
    config: &Config,
    starttls: bool,
    implicit_tls: bool,
    within_host: bool,
) -> imap_proto::Config {
    let mechanisms: Vec<Box<str>> = MECHANISMS.iter().map(|known| known.name().into()).collect();
    let in_clear = config.ssl != Ssl::Required && (within_host || !config.disable_plaintext_auth);
    let mut machine = imap_proto::Config {
        greeting: format!("{} posthaste ready", config.myhostname),
        starttls,
        implicit_tls,
        mechanisms_without_tls: if in_clear {
            mechanisms.clone()
        } else {
            Vec::new()
        },
        mechanisms,
        login_without_tls: in_clear,
        ..imap_proto::Config::default()
    };
    if config.message_size_limit > 0 {
        machine.limits.message = config.message_size_limit;
    }
    machine
}

/// How mail in a place is kept.
pub(crate) fn account_config(config: &Config, location: Location) -> AccountConfig {
    let mut mail = match location {
        Location::Maildir { root, fs: false } => AccountConfig::maildir(root, &config.myhostname),
        Location::Maildir { root, fs: true } => AccountConfig::maildir_fs(root, &config.myhostname),
        Location::Mbox { root, inbox } => AccountConfig::mbox(root, inbox, &config.myhostname),
    };
    mail.quota = config
        .quota_rule
        .iter()
        .map(|rule| rule.0.clone())
        .collect();
    mail
}

/// Where one account's mail lies.
pub(crate) fn place(
    config: &Config,
    users: &Users,
    user: &str,
) -> Result<AccountPlace, StoreError> {
    let named = |reason: String| StoreError::Name {
        name: user.to_owned(),
        reason,
    };
    let named_home = users.find(user).and_then(|user| user.home.clone());
    let home = match named_home {
        Some(home) => config.data_directory.join(home),
        None => config
            .home_of(user)
            .map_err(|error| named(error.to_string()))?,
    };
    let account = Account { user, home: &home };
    let location = config
        .location_of(account)
        .map_err(|error| named(error.to_string()))?;
    let mail = account_config(config, location);
    std::fs::create_dir_all(&home)
        .map_err(|error| StoreError::Storage(format!("{}: {error}", home.display())))?;
    let expand = |path: &UserPath| {
        path.expand(account)
            .map_err(|error| named(error.to_string()))
    };
    let sieve = expand(&config.sieve.active)?;
    let scripts = ScriptPlace {
        folder: expand(&config.sieve.scripts)?,
        active: sieve.clone(),
    };
    let sieve =
        (config.mailbox_command != MailboxCommand::Procmail).then_some((FilterKind::Sieve, sieve));
    let procmail = (config.procmail && config.mailbox_command != MailboxCommand::Sieve)
        .then(|| (FilterKind::Procmail, home.join(".procmailrc")));
    let default = config.sieve_default.clone();
    let default = default.map(|path| (FilterKind::Sieve, path));
    let autocreate = config.mailbox_autocreate.iter();
    Ok(AccountPlace {
        mail,
        filters: sieve.into_iter().chain(procmail).chain(default).collect(),
        before: config.sieve_before.clone(),
        after: config.sieve_after.clone(),
        scripts: Some(scripts),
        autocreate: autocreate
            .map(|mailbox| (mailbox.name.clone(), mailbox.special_use.clone()))
            .collect(),
        home,
    })
}
