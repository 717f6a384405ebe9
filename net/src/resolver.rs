use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use thiserror::Error;

/// Where a domain's mail goes: RFC 5321 §5.1 up to the choice of an address.
///
/// ```
/// # async fn example() -> Result<(), net::ResolverError> {
/// let resolver = net::Resolver::table([("example.org", vec!["127.0.0.1".parse().unwrap()])]);
/// let exchanges = resolver.exchanges("example.org").await?;
/// assert_eq!(exchanges[0].host, "example.org");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Resolver(Source);

#[derive(Debug, Clone)]
enum Source {
    System(Box<TokioResolver>),
    Table(HashMap<String, Vec<IpAddr>>),
}

/// A host that takes mail for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Lower is tried first.
    pub preference: u16,
    /// The host's name, without the final dot.
    pub host: String,
}

/// Why a look-up gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// The name does not exist, or has no address: mail for it is undeliverable.
    #[error("{name}: no such host")]
    NotFound {
        /// The name that was looked up.
        name: String,
    },
    /// The domain says that it takes no mail (RFC 7505).
    #[error("{name}: the domain takes no mail (null MX)")]
    NullMx {
        /// The domain.
        name: String,
    },
    /// The name servers did not answer: try again later.
    #[error("{name}: {reason}")]
    Temporary {
        /// The name that was looked up.
        name: String,
        /// What the resolver says.
        reason: String,
    },
}

impl Resolver {
    /// A resolver with the system's configuration.
    ///
    /// # Errors
    /// When the system's configuration cannot be read.
    pub fn system() -> Result<Self, ResolverError> {
        TokioResolver::builder_tokio()
            .and_then(|builder| builder.build())
            .map(|resolver| Self(Source::System(Box::new(resolver))))
            .map_err(|error| ResolverError::Temporary {
                name: "resolver configuration".into(),
                reason: error.to_string(),
            })
    }

    /// A resolver that asks these name servers, by UDP and, where an answer
    /// is too long for that, by TCP.
    ///
    /// # Errors
    /// When the resolver cannot be set up.
    pub fn with_name_servers(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        let servers = servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            config
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .build()
            .map(|resolver| Self(Source::System(Box::new(resolver))))
            .map_err(|error| temporary("resolver configuration", &error))
    }

    /// A resolver that knows a fixed table and asks nobody.
    pub fn table<N: Into<String>>(hosts: impl IntoIterator<Item = (N, Vec<IpAddr>)>) -> Self {
        Self(Source::Table(
            hosts
                .into_iter()
                .map(|(name, addresses)| (name.into().to_ascii_lowercase(), addresses))
                .collect(),
        ))
    }

    /// The hosts that take mail for `domain`, best first; the domain itself
    /// where it has no MX record but may have an address.
    ///
    /// # Errors
    /// [`ResolverError`]; only `Temporary` is worth another try.
    pub async fn exchanges(&self, domain: &str) -> Result<Vec<Exchange>, ResolverError> {
        let itself = || Exchange {
            preference: 0,
            host: domain.to_owned(),
        };
        let resolver = match &self.0 {
            Source::System(resolver) => resolver,
            Source::Table(_) => return Ok(vec![itself()]),
        };
        let lookup = match resolver.mx_lookup(absolute(domain)).await {
            Ok(lookup) => lookup,
            Err(error) if is_final(&error) => {
                return if error.is_nx_domain() {
                    Err(not_found(domain))
                } else {
                    Ok(vec![itself()])
                };
            }
            Err(error) => return Err(temporary(domain, &error)),
        };
        let mut exchanges: Vec<Exchange> = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(Exchange {
                    preference: mx.preference,
                    host: mx.exchange.to_ascii().trim_end_matches('.').to_owned(),
                }),
                _ => None,
            })
            .collect();
        if exchanges.iter().any(|exchange| exchange.host.is_empty()) {
            return Err(ResolverError::NullMx {
                name: domain.to_owned(),
            });
        }
        if exchanges.is_empty() {
            exchanges.push(itself());
        }
        exchanges.sort_by_key(|exchange| exchange.preference);
        Ok(exchanges)
    }

    /// The addresses of a host; an address literal is its own answer.
    ///
    /// # Errors
    /// [`ResolverError`]; only `Temporary` is worth another try.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolverError> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        match &self.0 {
            Source::Table(hosts) => hosts
                .get(&host.to_ascii_lowercase())
                .cloned()
                .ok_or_else(|| not_found(host)),
            Source::System(resolver) => match resolver.lookup_ip(absolute(host)).await {
                Ok(lookup) => Ok(lookup.iter().collect()),
                Err(error) if is_final(&error) => Err(not_found(host)),
                Err(error) => Err(temporary(host, &error)),
            },
        }
    }
}

/// A name is looked up as it is, never below the machine's search domains;
/// `localhost` and one-label names are left to the hosts file.
fn absolute(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') {
        format!("{name}.")
    } else {
        name.to_owned()
    }
}

fn is_final(error: &NetError) -> bool {
    error.is_no_records_found() || error.is_nx_domain()
}

fn not_found(name: &str) -> ResolverError {
    ResolverError::NotFound {
        name: name.to_owned(),
    }
}

fn temporary(name: &str, error: &NetError) -> ResolverError {
    ResolverError::Temporary {
        name: name.to_owned(),
        reason: error.to_string(),
    }
}
