//! Users' Sieve scripts: ManageSieve sessions (RFC 5804) over
//! `sieve::managesieve`'s server and the store seam.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use net::tls::TlsAcceptor;
use net::{Conn, ConnError, Stream};
use sieve::managesieve::{Code, Config, Event, Reply, Server};
use sieve::{Compiler, Severity};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::auth::{Authenticator, Exchange, ExchangeStep, MECHANISMS, Seat, Seats};
use crate::blocking::in_place;
use crate::config::Ssl;
use crate::server::stopped;
use crate::store::{Account, MailStore, ScriptError, ScriptInfo, Scripts};

/// What all sessions share.
pub struct ManageSieve {
    /// For connections whose passwords others might read.
    strict: Arc<Config>,
    /// For connections within this host, or where plaintext is allowed.
    trusting: Arc<Config>,
    acceptor: Option<TlsAcceptor>,
    store: Arc<dyn MailStore>,
    authenticator: Arc<Authenticator>,
    seats: Seats,
    /// As deliveries compile: what is taken here runs there.
    compiler: Compiler,
}

/// One connection.
struct Session<'a> {
    service: &'a ManageSieve,
    peer: IpAddr,
    login: Option<Login>,
    exchange: Option<Exchange>,
}

struct Login {
    user: String,
    account: Arc<dyn Account>,
    _seat: Seat,
}

type Machine = Conn<Server>;

impl ManageSieve {
    /// What a connection over a limit is told.
    pub const FAREWELL: &'static [u8] = b"BYE (TRYLATER) \"Too many connections\"\r\n";

    /// The service, with STARTTLS where there is an acceptor.
    #[must_use]
    pub fn new(
        config: &crate::config::Config,
        acceptor: Option<TlsAcceptor>,
        store: Arc<dyn MailStore>,
        authenticator: Arc<Authenticator>,
        seats: Seats,
    ) -> Self {
        // What is wrong with it stopped the start of the server already.
        let scripts = crate::server::sieve(config).unwrap_or_default();
        let machine = |plaintext: bool| {
            let mechanisms: Vec<String> = MECHANISMS.iter().map(|own| own.name().into()).collect();
            let mut machine = Config::default();
            machine.capabilities = scripts.capabilities();
            machine.starttls = acceptor.is_some();
            if plaintext {
                machine.mechanisms.clone_from(&mechanisms);
            } else {
                machine.mechanisms.clear();
            }
            machine.mechanisms_tls = mechanisms;
            Arc::new(machine)
        };
        let within_host = config.ssl != Ssl::Required;
        Self {
            strict: machine(within_host && !config.disable_plaintext_auth),
            trusting: machine(within_host),
            acceptor,
            store,
            authenticator,
            seats,
            compiler: scripts.compiler(),
        }
    }

    /// Serves one connection until it ends or `stop` turns true.
    pub async fn serve(&self, socket: TcpStream, peer: SocketAddr, stop: watch::Receiver<bool>) {
        let client = peer.ip().to_canonical();
        let own = socket.local_addr().map(|own| own.ip().to_canonical());
        let within_host = client.is_loopback() || own.is_ok_and(|own| own == client);
        let mut session = Session {
            service: self,
            peer: client,
            login: None,
            exchange: None,
        };
        let config = if within_host {
            &self.trusting
        } else {
            &self.strict
        };
        let machine = Server::new(Arc::clone(config), Instant::now());
        let conn = Conn::new(Stream::from(socket), machine);
        let ended = session.run(conn, stop).await;
        let service = "managesieve";
        let user = session.login.as_ref().map(|login| login.user.as_str());
        match ended {
            Ok(()) => tracing::debug!(service, %client, user, "disconnected"),
            Err(error) => tracing::info!(service, %client, user, %error, "connection lost"),
        }
    }
}

impl Session<'_> {
    async fn run(
        &mut self,
        mut conn: Machine,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ConnError> {
        loop {
            let event = tokio::select! {
                event = conn.next() => event?,
                () = stopped(&mut stop) => {
                    conn.shut_down().await;
                    return Ok(());
                }
            };
            match event {
                Some(event) => self.handle(event, &mut conn).await?,
                None => return Ok(()),
            }
        }
    }

    async fn handle(&mut self, event: Event, conn: &mut Machine) -> Result<(), ConnError> {
        let reply = match event {
            Event::Authenticate(start) => {
                let authenticator = Arc::clone(&self.service.authenticator);
                let mut exchange = Exchange::new(authenticator, &start.mechanism, self.peer);
                let initial = start.initial.as_ref().map(|secret| secret.expose());
                let step = exchange.start(initial).await;
                self.exchange = Some(exchange);
                return self.authenticate(step, conn).await;
            }
            Event::AuthResponse(response) => {
                let step = match &mut self.exchange {
                    Some(exchange) => exchange.step(response.expose()).await,
                    None => ExchangeStep::Failed,
                };
                return self.authenticate(step, conn).await;
            }
            Event::AuthCancelled => {
                self.exchange = None;
                return Ok(());
            }
            Event::Unauthenticated => {
                self.login = None;
                return Ok(());
            }
            Event::Rejected(fault) => {
                tracing::info!(service = "managesieve", client = %self.peer, fault, "rejected");
                return Ok(());
            }
            Event::StartTls => match &self.service.acceptor {
                Some(acceptor) => {
                    conn.machine().reply(Reply::ok())?;
                    return conn.accept_tls(acceptor).await;
                }
                None => Reply::no("TLS is not available"),
            },
            Event::ListScripts => match self.list().await {
                Ok(scripts) => {
                    let scripts = scripts.iter().map(|own| (own.name.as_str(), own.active));
                    return Ok(conn.machine().send_list(scripts)?);
                }
                Err(error) => refused(&error),
            },
            Event::GetScript(name) => match self.read(&name).await {
                Ok(source) => return Ok(conn.machine().send_script(source)?),
                Err(error) => refused(&error),
            },
            other => self.change(other).await,
        };
        Ok(conn.machine().reply(reply)?)
    }

    async fn list(&self) -> Result<Vec<ScriptInfo>, ScriptError> {
        self.scripts()?.list().await
    }

    async fn read(&self, name: &str) -> Result<Bytes, ScriptError> {
        self.scripts()?.read(name).await
    }

    /// Commands that are answered with a plain reply.
    async fn change(&self, event: Event) -> Reply {
        let scripts = match self.scripts() {
            Ok(scripts) => scripts,
            Err(error) => return refused(&error),
        };
        let mut answer = Reply::ok();
        let changed = match event {
            Event::HaveSpace { name, size } => scripts.has_room(&name, size).await,
            Event::CheckScript(source) => return self.check(&source),
            Event::PutScript { name, script } => {
                answer = self.check(&script);
                if answer.status != sieve::managesieve::Status::Ok {
                    return answer;
                }
                scripts.put(&name, script).await
            }
            Event::SetActive(name) => scripts.activate(name.as_deref()).await,
            Event::DeleteScript(name) => scripts.remove(&name).await,
            Event::RenameScript { from, to } => scripts.rename(&from, &to).await,
            _ => return Reply::no("Not done here"),
        };
        match changed {
            Ok(()) => answer,
            Err(error) => refused(&error),
        }
    }

    /// What the compiler says of a script: its errors, or else its warnings.
    fn check(&self, source: &Bytes) -> Reply {
        let told = |found: &[sieve::Diagnostic], severity: Severity| {
            let found = found.iter().filter(|own| own.severity == severity);
            let lines: Vec<String> = found.map(ToString::to_string).collect();
            lines.join("\r\n")
        };
        match in_place(|| self.service.compiler.compile(source)) {
            Err(faults) => Reply::no(told(&faults, Severity::Error)),
            Ok(script) => match told(script.warnings(), Severity::Warning) {
                warnings if warnings.is_empty() => Reply::ok(),
                warnings => Reply::ok().with_code(Code::Warnings).with_text(warnings),
            },
        }
    }

    async fn authenticate(
        &mut self,
        step: ExchangeStep,
        conn: &mut Machine,
    ) -> Result<(), ConnError> {
        let reply = match step {
            ExchangeStep::Challenge(challenge) => {
                return Ok(conn.machine().challenge(&challenge)?);
            }
            ExchangeStep::Authenticated(user) => match self.admit(user.clone()).await {
                Ok(()) => {
                    self.exchange = None;
                    return Ok(conn.machine().authenticated(user, None)?);
                }
                Err(reply) => reply,
            },
            ExchangeStep::Failed => Reply::no("Authentication failed"),
            ExchangeStep::TryAgain => {
                Reply::no("Temporary authentication failure").with_code(Code::TryLater)
            }
        };
        self.exchange = None;
        Ok(conn.machine().reply(reply)?)
    }

    async fn admit(&mut self, user: String) -> Result<(), Reply> {
        let later = |text: &str| Reply::no(text).with_code(Code::TryLater);
        let seat = self.service.seats.take(&user, self.peer);
        let seat = seat.ok_or_else(|| later("Too many connections of this user"))?;
        let account = self.service.store.account(&user).await.map_err(|error| {
            tracing::error!(user, %error, "cannot open the account");
            later("The account cannot be opened")
        })?;
        tracing::info!(service = "managesieve", client = %self.peer, user, "login");
        self.login = Some(Login {
            user,
            account,
            _seat: seat,
        });
        Ok(())
    }

    fn scripts(&self) -> Result<&dyn Scripts, ScriptError> {
        let login = self.login.as_ref();
        login
            .and_then(|login| login.account.scripts())
            .ok_or_else(|| ScriptError::Storage("there are no scripts of users' own".into()))
    }
}

/// What a failure means to a client (RFC 5804 §1.3).
fn refused(error: &ScriptError) -> Reply {
    let code = match error {
        ScriptError::Unknown(_) => Code::Nonexistent,
        ScriptError::Exists(_) => Code::AlreadyExists,
        ScriptError::Active(_) => Code::Active,
        ScriptError::Name(_) => return Reply::no(error.to_string()),
        ScriptError::TooLarge(_) => Code::QuotaMaxSize,
        ScriptError::TooMany(_) => Code::QuotaMaxScripts,
        ScriptError::Storage(_) => {
            tracing::error!(%error, "scripts cannot be reached");
            return Reply::no("The store failed; try again later").with_code(Code::TryLater);
        }
    };
    Reply::no(error.to_string()).with_code(code)
}
