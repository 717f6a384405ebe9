//! Where a recipient's mail goes.
//!
//! [`Router::accept`] is asked at RCPT, so that a sender learns at once of an
//! unknown user (RFC 5321 §3.3) and nobody relays who may not.
//! [`Router::route`] is asked when a message is delivered: it takes an envelope
//! recipient through virtual aliases, local domains, aliases and accounts.
//!
//! ```
//! use std::sync::Arc;
//! use posthaste::config::Config;
//! use posthaste::route::{Route, Router};
//!
//! let config = Config::parse("mydestination = \"example.org\"", "/nowhere/x".as_ref())?;
//! let router = Router::new(Arc::new(config), |user: &str| Ok(user == "ann"));
//!
//! assert_eq!(router.accept("ann+lists@example.org", false), Ok(()));
//! assert_eq!(
//!     router.route("ann+lists@example.org"),
//!     Route::Local { user: "ann".into(), extension: Some("lists".into()) }
//! );
//! let refused = router.accept("bob@elsewhere.example", false).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "554 5.7.1 <bob@elsewhere.example>: Relay access denied"
//! );
//! # Ok::<(), posthaste::config::ConfigError>(())
//! ```

mod address;
mod grammar;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use address::{Parts, fold_domain};
use grammar::Grammar;
use table::Tables;

use crate::config::{Config, RelayHost};

/// Says which accounts there are.
pub trait Accounts: Send + Sync {
    /// Whether there is an account of exactly this name.
    ///
    /// # Errors
    /// When that cannot be told now; the sender is asked to try again.
    fn exists(&self, user: &str) -> io::Result<bool>;
}

impl<F: Fn(&str) -> io::Result<bool> + Send + Sync> Accounts for F {
    fn exists(&self, user: &str) -> io::Result<bool> {
        self(user)
    }
}

/// The next step of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// An account of this server.
    Local {
        /// The account.
        user: String,
        /// What stood behind `recipient_delimiter`.
        extension: Option<String>,
    },
    /// Another server.
    Relay {
        /// Where to hand it over.
        destination: NextHop,
    },
    /// The address stands for these, already expanded to the end. Given to
    /// [`Router::route`] again, none of them is an alias: one that would be
    /// begins with a backslash, which nothing from outside does.
    Alias {
        /// At least one.
        targets: Vec<String>,
    },
    /// A program's standard input; the configuration allows it.
    Command {
        /// The command line.
        command: String,
    },
    /// A file to append to; the configuration allows it.
    File {
        /// The file, or a Maildir when the path ends with a slash.
        path: PathBuf,
    },
    /// Nobody gets it.
    Reject(Rejection),
    /// It cannot be told now.
    TryAgain {
        /// What failed.
        reason: String,
    },
}

/// A place that mail ends at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Destination {
    /// An account of this server.
    Local {
        /// The account.
        user: String,
        /// What stood behind `recipient_delimiter`.
        extension: Option<String>,
    },
    /// Another server.
    Remote {
        /// The envelope address.
        address: String,
        /// Where to hand it over.
        next_hop: NextHop,
    },
    /// A program's standard input; the configuration allows it.
    Command {
        /// The command line.
        command: String,
    },
    /// A file to append to; the configuration allows it.
    File {
        /// The file, or a Maildir when the path ends with a slash.
        path: PathBuf,
    },
}

/// The next server on the way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NextHop {
    /// The mail exchangers of this domain (RFC 5321 §5.1), or the host of an
    /// address literal in brackets.
    Domain(String),
    /// The configured relay.
    RelayHost {
        /// A domain, or a host.
        host: String,
        /// The TCP port.
        port: u16,
        /// Whether the host's mail exchangers are to be looked up.
        mx: bool,
    },
}

impl NextHop {
    /// Whether the configuration names the very host, and no DNS.
    #[must_use]
    pub fn is_named_here(&self) -> bool {
        matches!(self, Self::RelayHost { mx: false, .. })
    }
}

impl fmt::Display for NextHop {
    /// As Postfix writes it: `example.org`, `[smtp.example.org]:587`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => f.write_str(domain),
            Self::RelayHost {
                host,
                port,
                mx: true,
            } => write!(f, "{host}:{port}"),
            Self::RelayHost {
                host,
                port,
                mx: false,
            } => write!(f, "[{host}]:{port}"),
        }
    }
}

/// Why a recipient is refused, as an SMTP reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The reply code: 4xx when it is worth trying again.
    pub code: u16,
    /// The enhanced status code (RFC 3463).
    pub enhanced: &'static str,
    /// What follows the codes.
    pub text: String,
}

impl Rejection {
    fn new(code: u16, enhanced: &'static str, text: String) -> Self {
        Self {
            code,
            enhanced,
            text,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.enhanced, self.text)
    }
}

impl std::error::Error for Rejection {}

/// What the tables say of a recipient.
#[derive(Debug)]
struct Found {
    /// Each once, at least one.
    destinations: Vec<Destination>,
    /// Whether an alias led to them.
    aliased: bool,
}

/// What a domain is to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Local,
    VirtualAlias,
    VirtualMailbox,
    Relay,
    Elsewhere,
}

/// Finds the way of recipients. Alias files are read again when they change.
pub struct Router {
    config: Arc<Config>,
    accounts: Box<dyn Accounts>,
    tables: Tables,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl Router {
    /// A router for the domains and tables of `config`.
    pub fn new(config: Arc<Config>, accounts: impl Accounts + 'static) -> Self {
        Self {
            config,
            accounts: Box::new(accounts),
            tables: Tables::default(),
        }
    }

    /// Whether mail from `client` is relayed without a login.
    #[must_use]
    pub fn is_trusted(&self, client: IpAddr) -> bool {
        self.config.trusts(client)
    }

    /// Whether the addresses of `domain` are accounts or aliases of this
    /// server.
    #[must_use]
    pub fn is_ours(&self, domain: &str) -> bool {
        !matches!(
            self.class(&fold_domain(domain)),
            Class::Relay | Class::Elsewhere
        )
    }

    /// Whether mail for `recipient` (an address without angle brackets, or a
    /// local name) is taken; `may_relay` tells whether the sender has logged in
    /// or is [trusted](Self::is_trusted).
    ///
    /// # Errors
    /// The reply to RCPT.
    pub fn accept(&self, recipient: &str, may_relay: bool) -> Result<(), Rejection> {
        let parts = Parts::of(recipient);
        // What this server itself writes for addresses that are expanded.
        if recipient.starts_with('\\') {
            return Err(Rejection::new(
                553,
                "5.1.3",
                format!("<{recipient}>: Bad recipient address syntax"),
            ));
        }
        if self.class(&parts.domain) == Class::Elsewhere && !may_relay {
            return Err(Rejection::new(
                554,
                "5.7.1",
                format!("<{recipient}>: Relay access denied"),
            ));
        }
        walk::destinations(self, recipient, &parts, true).map(|_| ())
    }

    /// The next step of `recipient`, which was accepted once, or stood in
    /// [`Route::Alias`].
    ///
    /// It reads alias files, and those only when they changed.
    #[must_use]
    pub fn route(&self, recipient: &str) -> Route {
        let found = match recipient.strip_prefix('\\') {
            Some(rest) => walk::expanded(self, recipient, rest),
            None => walk::destinations(self, recipient, &Parts::of(recipient), true),
        };
        match found {
            Err(rejection) if rejection.code < 500 => Route::TryAgain {
                reason: rejection.text,
            },
            Err(rejection) => Route::Reject(rejection),
            Ok(Found {
                mut destinations,
                aliased: false,
            }) if destinations.len() == 1 => match destinations.remove(0) {
                Destination::Local { user, extension } => Route::Local { user, extension },
                Destination::Remote { next_hop, .. } => Route::Relay {
                    destination: next_hop,
                },
                Destination::Command { command } => Route::Command { command },
                Destination::File { path } => Route::File { path },
            },
            Ok(found) => Route::Alias {
                targets: found
                    .destinations
                    .iter()
                    .map(|destination| self.address_of(destination))
                    .collect(),
            },
        }
    }

    /// An address that [`Router::route`] leads to `destination` and nowhere
    /// else.
    fn address_of(&self, destination: &Destination) -> String {
        let delimiter = &self.config.recipient_delimiter;
        let address = match destination {
            Destination::Command { command } => return format!("\\|{command}"),
            Destination::File { path } => return format!("\\{}", path.display()),
            Destination::Remote { address, .. } => address.clone(),
            Destination::Local { user, extension } => {
                let own_domain = || {
                    [&self.config.myorigin]
                        .into_iter()
                        .chain(&self.config.mydestination)
                        .map(|domain| fold_domain(domain))
                        .find(|domain| self.class(domain) == Class::Local)
                        .unwrap_or_default()
                };
                let (name, domain) = match user.rsplit_once('@') {
                    Some((name, domain)) => (name, domain.to_owned()),
                    None => (user.as_str(), own_domain()),
                };
                let local = match extension {
                    Some(extension) => format!("{name}{delimiter}{extension}"),
                    None => name.to_owned(),
                };
                Parts { local, domain }.address()
            }
        };
        let plain = walk::destinations(self, &address, &Parts::of(&address), true);
        match plain {
            Ok(found) if !found.aliased => address,
            _ => format!("\\{address}"),
        }
    }

    fn class(&self, domain: &str) -> Class {
        let config = &self.config;
        let among = |domains: &[String]| domains.iter().any(|name| fold_domain(name) == domain);
        if domain.is_empty() || among(&config.mydestination) || self.is_own_literal(domain) {
            Class::Local
        } else if among(&config.virtual_alias_domains) {
            Class::VirtualAlias
        } else if among(&config.virtual_mailbox_domains) {
            Class::VirtualMailbox
        } else if config.relay_domains.iter().any(|name| {
            let name = fold_domain(name);
            domain
                .strip_suffix(&name)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }) {
            Class::Relay
        } else {
            Class::Elsewhere
        }
    }

    /// `user@[192.0.2.1]` with an address that this server listens on
    /// (RFC 5321 §4.1.3).
    fn is_own_literal(&self, domain: &str) -> bool {
        let address: Option<IpAddr> = domain
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|inner| inner.strip_prefix("ipv6:").unwrap_or(inner).parse().ok());
        let listeners = self.config.listen_smtp.iter();
        address.is_some_and(|address| {
            address.is_loopback() || listeners.into_iter().any(|own| own.ip() == address)
        })
    }

    fn next_hop(&self, domain: &str) -> NextHop {
        match &self.config.relayhost {
            Some(RelayHost { host, port, mx }) => NextHop::RelayHost {
                host: host.clone(),
                port: *port,
                mx: *mx,
            },
            None => NextHop::Domain(domain.to_owned()),
        }
    }
}

/// The lines of an aliases(5) file that say nothing that could be used, as
/// `LINE: REASON`.
///
/// # Errors
/// When it cannot be read.
pub fn check_aliases(path: &Path) -> io::Result<Vec<String>> {
    check_table(path, Grammar::Aliases)
}

/// The same of a virtual(5) file.
///
/// # Errors
/// When it cannot be read.
pub fn check_virtual_aliases(path: &Path) -> io::Result<Vec<String>> {
    check_table(path, Grammar::Virtual)
}

fn check_table(path: &Path, grammar: Grammar) -> io::Result<Vec<String>> {
    std::fs::metadata(path)?;
    let parsed = Tables::default().read(path, grammar)?;
    Ok(parsed
        .bad
        .iter()
        .map(|bad| format!("{}: {}", bad.line, bad.reason))
        .collect())
}
