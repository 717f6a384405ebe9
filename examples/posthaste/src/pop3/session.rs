use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use net::{Conn, ConnError, Stream};
use pop3_proto::{
    Apop, AuthStart, Event, Login, MessageNumber, Opening, Reply, ResponseCode, Retrieve, Server,
};
use proto_core::sasl::Credentials;
use tokio::sync::watch;

use super::Pop3;
use super::inbox::Inbox;
use crate::auth::{Exchange, ExchangeStep, Seat, Verdict};
use crate::server::stopped;
use crate::store::{MessageReader, StoreError};

/// Octets of a message that wait to be sent before more is read.
const AHEAD: usize = 128 * 1024;

/// One connection.
pub(super) struct Session<'a> {
    service: &'a Pop3,
    client: IpAddr,
    exchange: Option<Exchange>,
    login: Option<LoggedIn>,
}

struct LoggedIn {
    user: String,
    inbox: Inbox,
    /// Held until the connection ends.
    _seat: Seat,
    begun: Instant,
    retrieved: u64,
    octets: u64,
    deleted: usize,
}

impl<'a> Session<'a> {
    pub(super) fn new(service: &'a Pop3, client: IpAddr) -> Self {
        Self {
            service,
            client,
            exchange: None,
            login: None,
        }
    }

    pub(super) async fn run(
        &mut self,
        stream: Stream,
        machine: Arc<pop3_proto::Config>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ConnError> {
        let opening = Opening {
            tls: stream.is_tls(),
            timestamp: None,
        };
        let server = Server::open(machine, opening, Instant::now());
        let mut conn = Conn::new(stream, server);
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

    /// One line for the whole session, if somebody logged in.
    pub(super) fn log(&self) {
        if let Some(login) = &self.login {
            tracing::info!(
                service = self.service.service,
                user = %login.user,
                client = %self.client,
                retrieved = login.retrieved,
                octets = login.octets,
                deleted = login.deleted,
                seconds = login.begun.elapsed().as_secs(),
                "logged out"
            );
        }
    }

    async fn handle(&mut self, event: Event, conn: &mut Conn<Server>) -> Result<(), ConnError> {
        match event {
            Event::StartTls => self.start_tls(conn).await?,
            Event::Login(Login { name, password }) => {
                let credentials = Credentials {
                    authorization_id: None,
                    authentication_id: name,
                    password,
                };
                let verdict = self.service.authenticator.log_in(credentials, self.client);
                let step = match verdict.await {
                    Verdict::Accepted(user) => ExchangeStep::Authenticated(user),
                    Verdict::Refused => ExchangeStep::Failed,
                    Verdict::TryAgain => ExchangeStep::TryAgain,
                };
                self.answer_login(step, conn).await?;
            }
            Event::Auth(AuthStart {
                mechanism,
                initial_response,
            }) => {
                let authenticator = Arc::clone(&self.service.authenticator);
                let mut exchange = Exchange::new(authenticator, &mechanism, self.client);
                let initial = initial_response.as_ref().map(|secret| secret.expose());
                let step = exchange.start(initial).await;
                self.exchange = Some(exchange);
                self.answer_login(step, conn).await?;
            }
            Event::AuthData(response) => {
                let step = match &mut self.exchange {
                    Some(exchange) => exchange.step(response.expose()).await,
                    None => ExchangeStep::Failed,
                };
                self.answer_login(step, conn).await?;
            }
            Event::AuthCancelled => self.exchange = None,
            // Never offered: the users file has no shared secrets.
            Event::Apop(Apop { .. }) => conn.machine().reply(Reply::err("APOP is not offered"))?,
            Event::Retrieve(retrieve) => self.retrieve(retrieve, conn).await?,
            Event::Update(update) => self.update(&update.deleted, conn).await?,
            Event::Rejected(rejected) => {
                let service = self.service.service;
                tracing::debug!(service, client = %self.client, %rejected, "rejected");
            }
            _ => {}
        }
        Ok(())
    }

    async fn start_tls(&mut self, conn: &mut Conn<Server>) -> Result<(), ConnError> {
        let Some(acceptor) = &self.service.acceptor else {
            conn.machine().reply(Reply::err("TLS is not available"))?;
            return Ok(());
        };
        conn.machine().reply(Reply::ok("begin TLS"))?;
        // What was said in the clear proves nothing (RFC 2595 §4).
        self.exchange = None;
        conn.accept_tls(acceptor).await
    }

    async fn answer_login(
        &mut self,
        step: ExchangeStep,
        conn: &mut Conn<Server>,
    ) -> Result<(), ConnError> {
        let user = match step {
            ExchangeStep::Challenge(challenge) => {
                conn.machine().challenge(&challenge)?;
                return Ok(());
            }
            ExchangeStep::Authenticated(user) => user,
            ExchangeStep::Failed => {
                self.exchange = None;
                let reply = Reply::err("wrong name or password").with(ResponseCode::Auth);
                conn.machine().reply(reply)?;
                return Ok(());
            }
            ExchangeStep::TryAgain => {
                self.exchange = None;
                let reply = Reply::err("logins cannot be checked now").with(ResponseCode::SysTemp);
                conn.machine().reply(reply)?;
                return Ok(());
            }
        };
        self.exchange = None;
        let (service, client) = (self.service.service, self.client);
        let Some(seat) = self.service.seat(&user, client) else {
            tracing::info!(service, %user, %client, "too many connections of this user");
            let reply = Reply::err("too many connections of yours").with(ResponseCode::InUse);
            conn.machine().reply(reply)?;
            return Ok(());
        };
        match Inbox::open(&*self.service.store, &user).await {
            Ok((inbox, maildrop)) => {
                let tls = conn.stream().is_tls();
                let messages = maildrop.count();
                tracing::info!(service, %user, %client, tls, messages, "login");
                conn.machine().open_maildrop(maildrop)?;
                self.login = Some(LoggedIn {
                    user,
                    inbox,
                    _seat: seat,
                    begun: Instant::now(),
                    retrieved: 0,
                    octets: 0,
                    deleted: 0,
                });
            }
            Err(error) => {
                tracing::error!(service, %user, %client, %error, "cannot open the maildrop");
                let reply = Reply::err("the maildrop cannot be opened").with(ResponseCode::SysTemp);
                conn.machine().reply(reply)?;
            }
        }
        Ok(())
    }

    async fn retrieve(
        &mut self,
        retrieve: Retrieve,
        conn: &mut Conn<Server>,
    ) -> Result<(), ConnError> {
        let Some(login) = &mut self.login else {
            conn.machine().reply(Reply::err("no maildrop is open"))?;
            return Ok(());
        };
        let opened = match login.inbox.uid(retrieve.number) {
            Some(uid) => login.inbox.mailbox().read(uid).await,
            None => Err(StoreError::Gone(0)),
        };
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(StoreError::Gone(_)) => {
                let reply = Reply::err("the message was removed by another session");
                conn.machine().reply(reply)?;
                return Ok(());
            }
            Err(error) => {
                let (user, number) = (&login.user, retrieve.number);
                tracing::error!(%user, %number, %error, "cannot open a message");
                let reply = Reply::err("the message cannot be read").with(ResponseCode::SysTemp);
                conn.machine().reply(reply)?;
                return Ok(());
            }
        };
        conn.machine().accept_payload()?;
        match send(&mut *reader, conn).await? {
            Ok(octets) => {
                conn.machine().end_payload()?;
                login.retrieved += 1;
                login.octets += octets;
                if retrieve.lines.is_none() {
                    login.inbox.mark_retrieved(retrieve.number);
                }
            }
            Err(error) => {
                // Too late for an -ERR: without its last line the client
                // knows that the message is not whole.
                let (user, number) = (&login.user, retrieve.number);
                tracing::error!(%user, %number, %error, "cannot read a message to its end");
                conn.machine().abort_payload()?;
            }
        }
        Ok(())
    }

    async fn update(
        &mut self,
        deleted: &[MessageNumber],
        conn: &mut Conn<Server>,
    ) -> Result<(), ConnError> {
        let reply = match &mut self.login {
            None => Reply::ok("bye"),
            Some(login) => match login.inbox.update(deleted).await {
                Ok(()) => {
                    login.deleted = deleted.len();
                    Reply::ok("bye")
                }
                Err(error) => {
                    tracing::error!(user = %login.user, %error, "cannot remove messages");
                    let reply = Reply::err("some messages marked as deleted may not be removed");
                    reply.with(ResponseCode::SysTemp)
                }
            },
        };
        conn.machine().reply(reply)?;
        Ok(())
    }
}

/// Sends what the client wants of a message; the octets that were read.
async fn send(
    reader: &mut dyn MessageReader,
    conn: &mut Conn<Server>,
) -> Result<Result<u64, StoreError>, ConnError> {
    let mut octets = 0;
    while conn.machine().wants_payload() {
        match reader.next().await {
            Ok(Some(chunk)) => {
                octets += chunk.len() as u64;
                conn.machine().send_payload(chunk)?;
                conn.flush_above(AHEAD).await?;
            }
            Ok(None) => break,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(octets))
}
