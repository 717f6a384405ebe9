//! Which hosts take a destination's mail.

use std::net::{IpAddr, SocketAddr};

use net::ResolverError;

use super::{Failure, Outcome, RemoteAgent};
use crate::route::NextHop;

impl RemoteAgent {
    /// Where to connect to, best first.
    pub(super) async fn hosts(
        &self,
        destination: &NextHop,
    ) -> Result<Vec<(String, SocketAddr)>, Outcome> {
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
    use std::sync::Arc;
    use std::time::Duration;

    use net::Resolver;
    use smtp_proto::ClientConfig;

    use super::*;
    use crate::config::ClientTlsLevel;
    use crate::delivery::{Logins, RemoteConfig};

    fn agent() -> RemoteAgent {
        let config = RemoteConfig {
            client: Arc::new(ClientConfig::new("mx.example.org").unwrap()),
            tls: ClientTlsLevel::May,
            port: 25,
            connect_timeout: Duration::from_secs(1),
            address_limit: 5,
            destination_concurrency: 1,
            concurrency: 1,
            pause: Duration::from_secs(1),
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
