//! IMAP sessions over `imap_proto`'s server and the store seam.
//!
//! A file per group of commands; this one is the loop and the states.

mod append;
mod fetch;
mod indexed;
mod loaded;
mod mailboxes;
mod metadata;
mod order;
mod quota;
mod search;
mod select;
mod selected;
mod shared;
mod transfer;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use imap_proto::{
    Code, Command, CommandBody, Config, Event, Extension, IString, Server, StatusKind,
    StatusResponse, Untagged,
};
use net::tls::TlsAcceptor;
use net::{Conn, ConnError, Stream};
use proto_core::sasl::Credentials;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::auth::{Authenticator, Exchange, ExchangeStep, Seat, Seats, Verdict};
use crate::blocking::Room;
use crate::server::stopped;
use crate::store::{Account, MailStore, StoreError};

use append::Appending;
use selected::Selected;
pub use shared::SharedUids;

/// What all sessions of one service share.
pub struct ImapService {
    /// `imap` or `imaps`, in logs.
    pub service: &'static str,
    /// For connections whose passwords others might read.
    pub strict: Arc<Config>,
    /// For connections within this host, or where plaintext is allowed.
    pub trusting: Arc<Config>,
    /// Whether TLS begins with the connection.
    pub implicit_tls: bool,
    /// TLS, if there is a certificate.
    pub acceptor: Option<TlsAcceptor>,
    /// Whose mail.
    pub store: Arc<dyn MailStore>,
    /// Who may log in.
    pub authenticator: Arc<Authenticator>,
    /// How many sessions a user may have from one address.
    pub seats: Seats,
    /// What messages that are searched may take, in all sessions together.
    pub search_room: Room,
    /// The UIDs of the mailboxes that sessions have selected.
    pub shared_uids: SharedUids,
}

impl ImapService {
    /// Room for the searches of a server.
    #[must_use]
    pub fn search_room() -> Room {
        Room::new(search::SEARCH_ROOM)
    }
}

/// One connection.
struct Session<'a> {
    service: &'a ImapService,
    peer: IpAddr,
    login: Option<Login>,
    selected: Option<Selected>,
    exchange: Option<Exchange>,
    appending: Option<Appending>,
    /// Whether the client is known to use CONDSTORE.
    condstore: bool,
}

/// Who is logged in.
struct Login {
    user: String,
    account: Arc<dyn Account>,
    _seat: Seat,
}

type Machine = Conn<Server>;
type Result<T = ()> = std::result::Result<T, ConnError>;

impl ImapService {
    /// Serves one connection until it ends or `stop` turns true.
    pub async fn serve(&self, socket: TcpStream, peer: SocketAddr, stop: watch::Receiver<bool>) {
        let peer = peer.ip().to_canonical();
        let mut session = Session {
            service: self,
            peer,
            login: None,
            selected: None,
            exchange: None,
            appending: None,
            condstore: false,
        };
        let ended = session.run(socket, stop).await;
        let user = session.login.as_ref().map(|login| login.user.as_str());
        match ended {
            Ok(()) => tracing::debug!(service = self.service, client = %peer, user, "disconnected"),
            Err(error) => {
                tracing::info!(service = self.service, client = %peer, user, %error, "connection lost");
            }
        }
    }
}

impl Session<'_> {
    async fn run(&mut self, socket: TcpStream, mut stop: watch::Receiver<bool>) -> Result {
        let service = self.service;
        let own = socket.local_addr().map(|own| own.ip().to_canonical());
        let within_host = self.peer.is_loopback() || own.is_ok_and(|own| own == self.peer);
        let stream = match &service.acceptor {
            Some(acceptor) if service.implicit_tls => Stream::accept_tls(socket, acceptor).await?,
            _ => Stream::from(socket),
        };
        let config = if within_host {
            &service.trusting
        } else {
            &service.strict
        };
        let machine = Server::new(Arc::clone(config), Instant::now());
        let mut conn = Conn::new(stream, machine);
        tracing::debug!(service = service.service, client = %self.peer, "connected");
        loop {
            let idling = conn.machine().is_idling();
            let watched = self.selected.as_ref().filter(|_| idling);
            let watched = watched.map(|selected| (Arc::clone(&selected.mailbox), selected.modseq));
            let news = async {
                match watched {
                    Some((mailbox, modseq)) => mailbox.watch(modseq).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = conn.next() => event?,
                () = news => {
                    self.sync().await;
                    self.tell(&mut conn, true)?;
                    continue;
                }
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

    async fn handle(&mut self, event: Event, conn: &mut Machine) -> Result {
        match event {
            Event::Command(command) => self.command(command, conn).await,
            Event::Authenticate {
                mechanism,
                initial_response,
                ..
            } => {
                let authenticator = Arc::clone(&self.service.authenticator);
                let mut exchange = Exchange::new(authenticator, &mechanism, self.peer);
                let initial = initial_response.as_ref().map(|secret| secret.expose());
                let step = exchange.start(initial).await;
                self.exchange = Some(exchange);
                self.authenticate(step, conn).await
            }
            Event::AuthData(response) => {
                let step = match &mut self.exchange {
                    Some(exchange) => exchange.step(response.expose()).await,
                    None => ExchangeStep::Failed,
                };
                self.authenticate(step, conn).await
            }
            Event::AuthCancelled => {
                self.exchange = None;
                Ok(())
            }
            Event::StartTls => match &self.service.acceptor {
                Some(acceptor) => {
                    conn.machine().ok("Begin TLS negotiation now")?;
                    conn.accept_tls(acceptor).await
                }
                None => Ok(conn.machine().no("TLS is not available")?),
            },
            Event::Idle => {
                self.sync().await;
                self.tell(conn, true)
            }
            Event::IdleDone => {
                self.sync().await;
                self.tell(conn, true)?;
                Ok(conn.machine().ok("IDLE completed")?)
            }
            Event::PayloadStart(payload) => self.append_start(payload, conn).await,
            Event::Payload(chunk) => self.append_chunk(chunk, conn).await,
            Event::PayloadEnd { last } => self.append_end(last, conn).await,
            Event::PayloadAborted(_) => {
                self.appending = None;
                Ok(())
            }
            Event::Rejected(rejected) => {
                tracing::info!(
                    service = self.service.service,
                    client = %self.peer,
                    rejection = %rejected.rejection,
                    "rejected"
                );
                Ok(())
            }
            _ => Ok(conn.machine().bad("Not done here")?),
        }
    }

    async fn command(&mut self, command: Command, conn: &mut Machine) -> Result {
        let numbers_stand = !command.body.may_expunge();
        self.meet_condstore(&command.body, conn)?;
        let done = match command.body {
            CommandBody::Login { username, password } => {
                let credentials = Credentials {
                    authorization_id: None,
                    authentication_id: username.to_text().into_owned(),
                    password,
                };
                let authenticator = &self.service.authenticator;
                let step = match authenticator.log_in(credentials, self.peer).await {
                    Verdict::Accepted(user) => ExchangeStep::Authenticated(user),
                    Verdict::Refused => ExchangeStep::Failed,
                    Verdict::TryAgain => ExchangeStep::TryAgain,
                };
                return self.authenticate(step, conn).await;
            }
            CommandBody::Compress => return self.compress(conn).await,
            CommandBody::Unauthenticate => return self.unauthenticate(conn).await,
            CommandBody::Noop => Done::ok("NOOP completed"),
            CommandBody::Check => Done::ok("CHECK completed"),
            CommandBody::Id(_) => {
                let text = |text: &'static str| IString::lossy(text);
                let fields = vec![
                    (text("name"), Some(text("posthaste"))),
                    (text("version"), Some(text(env!("CARGO_PKG_VERSION")))),
                ];
                conn.machine().untagged(&Untagged::Id(Some(fields)))?;
                Done::ok("ID completed")
            }
            CommandBody::Select(select) => return self.select(select, conn).await,
            CommandBody::Close => self.close(true).await,
            CommandBody::Unselect => self.close(false).await,
            CommandBody::Create {
                mailbox,
                special_use,
            } => self.create(&mailbox, &special_use).await,
            CommandBody::Delete(mailbox) => self.delete(&mailbox).await,
            CommandBody::Rename { from, to } => self.rename(&from, &to).await,
            CommandBody::Subscribe(mailbox) => self.subscribe(&mailbox, true).await,
            CommandBody::Unsubscribe(mailbox) => self.subscribe(&mailbox, false).await,
            CommandBody::List(list) => self.list(&list, conn).await?,
            CommandBody::Lsub { reference, pattern } => {
                self.lsub(&reference, &pattern, conn).await?
            }
            CommandBody::GetQuota(root) => self.quota_of(&root, conn).await?,
            CommandBody::GetQuotaRoot(mailbox) => self.quota_root(&mailbox, conn).await?,
            CommandBody::GetMetadata(get) => self.get_metadata(&get, conn).await?,
            CommandBody::SetMetadata(set) => self.set_metadata(&set).await,
            CommandBody::Namespace => self.namespace(conn)?,
            CommandBody::Status(status) => self.status(&status, conn).await?,
            CommandBody::Expunge => self.expunge(None, conn).await?,
            CommandBody::UidExpunge(set) => self.expunge(Some(&set), conn).await?,
            CommandBody::Search(search) => self.search(search, &command.tag, conn).await?,
            CommandBody::Sort(sort) => self.sort(&sort, &command.tag, conn).await?,
            CommandBody::Thread(thread) => self.thread(&thread, conn).await?,
            CommandBody::Fetch(fetch) => self.fetch(&fetch, conn).await?,
            CommandBody::Store(store) => self.store(&store, conn).await?,
            CommandBody::Copy { uid, set, mailbox } => {
                self.copy(uid, &set, &mailbox, false, conn).await?
            }
            CommandBody::Move { uid, set, mailbox } => {
                self.copy(uid, &set, &mailbox, true, conn).await?
            }
            _ => Done::bad("Not done here"),
        };
        if self.selected.is_some() {
            self.sync().await;
            self.tell(conn, !numbers_stand)?;
        }
        let done = self.with_progress(done, conn);
        Ok(conn.machine().reply(done.0)?)
    }

    /// COMPRESS (RFC 4978): what comes behind its OK is deflated both ways.
    async fn compress(&mut self, conn: &mut Machine) -> Result {
        if conn.stream().is_deflated() {
            let active = StatusResponse::no("DEFLATE is active").with(Code::CompressionActive);
            return Ok(conn.machine().reply(active)?);
        }
        // It takes memory that not everybody may have.
        if self.login.is_none() {
            return Ok(conn.machine().no("Log in first")?);
        }
        conn.machine().ok("DEFLATE active")?;
        conn.deflate().await
    }

    /// UNAUTHENTICATE (RFC 8437): nothing is left of who was here.
    async fn unauthenticate(&mut self, conn: &mut Machine) -> Result {
        self.selected = None;
        self.exchange = None;
        self.appending = None;
        self.condstore = false;
        if let Some(login) = self.login.take() {
            let (service, user) = (self.service.service, login.user.as_str());
            tracing::info!(service, client = %self.peer, user, "logout");
        }
        conn.machine().ok("Nobody is logged in")?;
        if conn.stream().is_deflated() {
            // §4.1: what comes behind this OK is as it is.
            conn.end_deflate().await?;
        }
        Ok(())
    }

    /// The first command that makes the client one that uses CONDSTORE is
    /// answered with how far the selected mailbox has come (RFC 7162 §3.1).
    fn meet_condstore(&mut self, command: &CommandBody, conn: &mut Machine) -> Result {
        if self.condstore || !conn.machine().is_enabled(Extension::CondStore) {
            return Ok(());
        }
        self.condstore = true;
        // SELECT says it of the mailbox that it opens.
        if let (Some(selected), false) = (&self.selected, matches!(command, CommandBody::Select(_)))
        {
            let value = selected.held.unwrap_or(selected.modseq);
            let status = StatusResponse::ok("Highest").with(Code::HighestModSeq(value));
            conn.machine().untagged(&Untagged::Status(status))?;
        }
        Ok(())
    }

    /// The end of a command with how far the client has come, where it wants
    /// to know.
    fn with_progress(&mut self, mut done: Done, conn: &mut Machine) -> Done {
        if let Some(selected) = &mut self.selected
            && done.0.kind == StatusKind::Ok
            && done.0.code.is_none()
            && conn.machine().is_enabled(Extension::CondStore)
        {
            done.0.code = selected.progress();
        }
        done
    }

    async fn authenticate(&mut self, step: ExchangeStep, conn: &mut Machine) -> Result {
        let refused = |code, text: &str| StatusResponse::no(text).with(code);
        let reply = match step {
            ExchangeStep::Challenge(challenge) => {
                return Ok(conn.machine().challenge(&challenge)?);
            }
            ExchangeStep::Authenticated(user) => match self.admit(user).await {
                Ok(()) => StatusResponse::ok("Logged in"),
                Err(status) => status,
            },
            ExchangeStep::Failed => refused(Code::AuthenticationFailed, "Authentication failed"),
            ExchangeStep::TryAgain => {
                refused(Code::Unavailable, "Temporary authentication failure")
            }
        };
        self.exchange = None;
        Ok(conn.machine().reply(reply)?)
    }

    async fn admit(&mut self, user: String) -> std::result::Result<(), StatusResponse> {
        let Some(seat) = self.service.seats.take(&user, self.peer) else {
            let text = "Too many connections of this user from this address";
            return Err(StatusResponse::no(text).with(Code::Limit));
        };
        let account = self.service.store.account(&user).await.map_err(|error| {
            tracing::error!(user, %error, "cannot open the account");
            StatusResponse::no("The account cannot be opened").with(Code::Unavailable)
        })?;
        tracing::info!(service = self.service.service, client = %self.peer, user, "login");
        self.login = Some(Login {
            user,
            account,
            _seat: seat,
        });
        Ok(())
    }

    /// Who is logged in.
    fn user(&self) -> &str {
        self.login.as_ref().map_or("", |login| &login.user)
    }

    /// The account; every command that asks for it comes after a login.
    fn account(&self) -> std::result::Result<Arc<dyn Account>, StoreError> {
        match &self.login {
            Some(login) => Ok(Arc::clone(&login.account)),
            None => Err(StoreError::Storage("nobody is logged in".into())),
        }
    }
}

/// The end of a command.
struct Done(StatusResponse);

impl Done {
    fn ok(text: &str) -> Self {
        Self(StatusResponse::ok(text))
    }

    fn no(text: impl Into<String>) -> Self {
        Self(StatusResponse::no(text))
    }

    fn bad(text: &str) -> Self {
        Self(StatusResponse::bad(text))
    }

    fn with(self, code: Code) -> Self {
        Self(self.0.with(code))
    }

    /// What a failure of the store means to a client (RFC 5530).
    fn failed(error: &StoreError) -> Self {
        let code = match error {
            StoreError::NoMailbox(_) => Code::NonExistent,
            StoreError::Exists(_) => Code::AlreadyExists,
            StoreError::Name { .. } => Code::Cannot,
            StoreError::Gone(_) => Code::ExpungeIssued,
            StoreError::Annotations => Code::MetadataTooMany,
            StoreError::Quota => Code::OverQuota,
            StoreError::Limit(_) => Code::Limit,
            StoreError::Encoding => Code::UnknownCte,
            _ => {
                tracing::error!(%error, "the store failed");
                return Self::no("The store failed; try again later").with(Code::Unavailable);
            }
        };
        Self::no(error.to_string()).with(code)
    }
}
