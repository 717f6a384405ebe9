//! Mail out: POP3 sessions over `pop3_proto`'s server.
//!
//! A session sees the INBOX as it is at login: numbers, sizes and unique-ids
//! stay, whatever others do meanwhile. The maildrop is not locked against
//! them: a lock would let one client that lost its connection shut its user
//! out until the autologout, and nothing is lost without it, since messages
//! are named by UIDs that are never used again. A message that was removed
//! elsewhere is an `-ERR` to RETR.
//!
//! A unique-id is the UID and the UIDVALIDITY, eight hexadecimal digits each,
//! as Dovecot makes them: clients that leave mail on the server do not fetch
//! it all again after a move from there.

mod inbox;
mod session;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use net::Stream;
use net::tls::TlsAcceptor;
use pop3_proto::{Expire, Limits};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::auth::{Authenticator, MECHANISMS, Seats};
use crate::config::{Config, Ssl};
use crate::store::MailStore;
use session::Session;

/// What all sessions of one POP3 service share.
pub struct Pop3 {
    /// `pop3` or `pop3s`, in logs.
    service: &'static str,
    /// For connections whose passwords others might read.
    strict: Arc<pop3_proto::Config>,
    /// For connections within this host, or where plaintext is allowed.
    trusting: Arc<pop3_proto::Config>,
    acceptor: Option<TlsAcceptor>,
    implicit_tls: bool,
    store: Arc<dyn MailStore>,
    authenticator: Arc<Authenticator>,
    seats: Seats,
}

impl Pop3 {
    /// POP3, with STLS where there is an acceptor.
    ///
    /// `seats` is shared with [`Pop3::encrypted`]'s service: a user's
    /// connections count together.
    #[must_use]
    pub fn new(
        config: &Config,
        acceptor: Option<TlsAcceptor>,
        store: Arc<dyn MailStore>,
        authenticator: Arc<Authenticator>,
        seats: Seats,
    ) -> Self {
        let stls = acceptor.is_some();
        let plaintext = !config.disable_plaintext_auth && config.ssl != Ssl::Required;
        let within_host = plaintext || config.ssl != Ssl::Required;
        Self {
            service: "pop3",
            strict: Arc::new(machine(config, stls, plaintext)),
            trusting: Arc::new(machine(config, stls, within_host)),
            acceptor,
            implicit_tls: false,
            store,
            authenticator,
            seats,
        }
    }

    /// POP3 with TLS from the first octet (RFC 8314 §3.3).
    #[must_use]
    pub fn encrypted(
        config: &Config,
        acceptor: TlsAcceptor,
        store: Arc<dyn MailStore>,
        authenticator: Arc<Authenticator>,
        seats: Seats,
    ) -> Self {
        let mut service = Self::new(config, Some(acceptor), store, authenticator, seats);
        service.service = "pop3s";
        service.implicit_tls = true;
        service
    }

    /// What a connection over a limit is told.
    pub const FAREWELL: &'static [u8] = b"-ERR [SYS/TEMP] too many connections\r\n";

    /// Serves one connection until it ends or `stop` turns true.
    pub async fn serve(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
    ) {
        let client = peer.ip().to_canonical();
        let own = socket.local_addr().map(|own| own.ip().to_canonical());
        let within_host = client.is_loopback() || own.is_ok_and(|own| own == client);
        let service = self.service;
        let stream = match self.acceptor.as_ref().filter(|_| self.implicit_tls) {
            None => Ok(Stream::from(socket)),
            Some(acceptor) => Stream::accept_tls(socket, acceptor).await,
        };
        let ended = match stream {
            Ok(stream) => {
                let machine = if within_host {
                    &self.trusting
                } else {
                    &self.strict
                };
                let mut session = Session::new(&self, client);
                let ended = session.run(stream, Arc::clone(machine), stop).await;
                session.log();
                ended
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => tracing::debug!(service, %client, "disconnected"),
            Err(error) => tracing::info!(service, %client, %error, "connection lost"),
        }
    }

    fn seat(&self, user: &str, client: IpAddr) -> Option<crate::auth::Seat> {
        self.seats.take(user, client)
    }
}

/// What the machine is told; `plaintext` allows passwords without TLS.
fn machine(config: &Config, stls: bool, plaintext: bool) -> pop3_proto::Config {
    let defaults = pop3_proto::Config::default();
    let failed_logins = u32::try_from(config.auth_failure_limit).unwrap_or(u32::MAX);
    pop3_proto::Config {
        greeting: format!("{} POP3 server ready", config.myhostname),
        implementation: Some("posthaste".into()),
        stls,
        mechanisms: MECHANISMS.into_iter().map(Into::into).collect(),
        plaintext_without_tls: plaintext,
        // UTF8 would oblige the server to send surrogates to clients that do
        // not ask for it (RFC 6856 §2.1); messages go out as they are.
        utf8: false,
        expire: Some(Expire::Never),
        limits: Limits {
            failed_logins: failed_logins.max(1),
            ..defaults.limits
        },
        ..defaults
    }
}
