//! Every listener of the configuration, bound to who serves it.

use std::net::SocketAddr;
use std::sync::Arc;

use net::tls::{TlsAcceptor, TlsError};
use net::{Listener, ListenerLimits, LocalListener};

use super::machines::imap_config;
use super::sessions::Sessions;
use super::{Endpoint, Security, Server, Service, StartError};
use crate::auth::{Authenticator, Seats};
use crate::config::{Config, LmtpListener, Ssl};
use crate::imap::{ImapService, SharedUids};
use crate::managesieve::ManageSieve;
use crate::pop3::Pop3;
use crate::reception::Reception;

/// Who may write to LMTP's sockets: the server's own user and group.
const LMTP_MODE: u32 = 0o660;

impl Server {
    pub(super) async fn bind_managesieve(
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

    pub(super) async fn bind_imap(
        &mut self,
        config: &Config,
        authenticator: &Arc<Authenticator>,
        limits: ListenerLimits,
    ) -> Result<(), StartError> {
        let acceptor = access_tls(config)?;
        let seats = Seats::new(config.mail_max_userip_connections);
        let search_room = ImapService::search_room();
        let shared_uids = SharedUids::default();
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
                shared_uids: shared_uids.clone(),
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

    pub(super) async fn bind_pop3(
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

    pub(super) async fn bind(
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

    pub(super) async fn bind_lmtp(
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
pub(super) fn security(tls: bool) -> Security {
    if tls {
        Security::StartTls
    } else {
        Security::None
    }
}
