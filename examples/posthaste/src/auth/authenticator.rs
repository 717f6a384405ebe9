use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_core::sasl::Credentials;

use super::cache::Cache;
use super::hash::{HashError, PasswordHash};
use super::throttle::Throttle;
use super::users::Users;
use crate::blocking::Blocking;
use crate::config::Config;

/// Checks logins, for every service.
///
/// - Hashes are computed on threads beside the reactor, no more at once than
///   the host has processors: each takes some 19 MiB for some tens of
///   milliseconds.
/// - A name that does not exist costs the time of one that does.
/// - An address that guesses waits longer and longer.
/// - A login that was right is remembered for five minutes, so that clients
///   that come every few seconds cost nothing.
#[derive(Debug)]
pub struct Authenticator {
    users: Arc<Users>,
    settings: Settings,
    blocking: Blocking,
    cache: Cache,
    throttle: Throttle,
    /// What is computed for an unknown name while the file has no users.
    decoy: PasswordHash,
}

/// What the configuration says of logins.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long the answer to a wrong login waits.
    pub failure_delay: Duration,
    /// The domains of whose addresses the local part alone is a user's name.
    pub domains: Vec<String>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            failure_delay: config.auth_failure_delay,
            domains: config.mydestination.clone(),
        }
    }
}

/// What a login came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is right: this is the account.
    Accepted(String),
    /// It is wrong.
    Refused,
    /// It could not be found out.
    TryAgain,
}

impl Authenticator {
    /// Checks logins against `users`.
    ///
    /// # Errors
    /// When the system gives no random octets.
    pub fn new(users: Arc<Users>, settings: Settings) -> Result<Self, HashError> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            users,
            settings,
            blocking: Blocking::new(processors),
            cache: Cache::new().map_err(|error| HashError::Making(error.to_string()))?,
            throttle: Throttle::default(),
            decoy: PasswordHash::new(b"nobody's")?,
        })
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Checks a name and a password that came from `peer`.
    ///
    /// A wrong one is answered late; the failure is logged here.
    pub async fn log_in(&self, credentials: Credentials, peer: IpAddr) -> Verdict {
        let Credentials {
            authorization_id,
            authentication_id: name,
            password,
        } = credentials;
        let table = self.users.table();
        let user = table.find(&name, &self.settings.domains);
        let hash = user.as_ref().and_then(|user| user.hash.as_ref().ok());
        let stored = hash.map_or("", PasswordHash::text);
        let tag = self.cache.tag(&name, stored, password.expose());
        // Nobody acts for another; a client may say its own name twice.
        let own = authorization_id.is_none_or(|other| {
            other == name || user.as_ref().is_some_and(|user| other == user.name)
        });
        let accepted = |user: &super::User| Verdict::Accepted(user.name.clone());
        if let Some(user) = user.as_deref()
            && own
            && self.cache.knows(&tag, Instant::now())
        {
            return accepted(user);
        }

        tokio::time::sleep(self.throttle.wait(peer, Instant::now())).await;
        let checked = match hash.filter(|hash| !hash.is_locked()) {
            Some(hash) => hash.clone(),
            None => {
                // By name alone, so that one name always takes the same time.
                let by_name = first_octets(&self.cache.tag(&name, "", b""));
                table.decoy(by_name).unwrap_or(&self.decoy).clone()
            }
        };
        let known = hash.is_some_and(|hash| !hash.is_locked());
        let checking = self.blocking.run(move || checked.verify(password.expose()));
        let Some(right) = checking.await else {
            return Verdict::TryAgain;
        };
        match user.as_deref() {
            Some(user) if right && known && own => {
                self.cache.remember(tag, Instant::now());
                accepted(user)
            }
            user => {
                let reason = match user {
                    None => "unknown user",
                    Some(_) if !known => "the account cannot log in",
                    Some(_) if right => "it would act for another",
                    Some(_) => "wrong password",
                };
                tracing::info!(user = ?name, client = %peer, reason, "login failed");
                self.throttle
                    .failed(peer, first_octets(&tag), Instant::now());
                tokio::time::sleep(self.settings.failure_delay).await;
                Verdict::Refused
            }
        }
    }
}

fn first_octets(tag: &[u8; 32]) -> u64 {
    let first = tag.iter().take(8);
    first.fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use proto_core::Secret;

    use super::super::edit;
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn login(name: &str, password: &str) -> Credentials {
        Credentials {
            authorization_id: None,
            authentication_id: name.into(),
            password: Secret::new(password),
        }
    }

    fn authenticator(folder: &std::path::Path) -> Authenticator {
        let path = folder.join("users");
        edit::add(&path, "ann", b"one").unwrap();
        let settings = Settings {
            failure_delay: Duration::ZERO,
            domains: vec!["example.org".into()],
        };
        Authenticator::new(Arc::new(Users::open(&path).unwrap()), settings).unwrap()
    }

    #[tokio::test]
    async fn right_and_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let authenticator = authenticator(folder.path());
        let ann = Verdict::Accepted("ann".into());
        for name in ["ann", "Ann", "ann@example.org"] {
            assert_eq!(authenticator.log_in(login(name, "one"), PEER).await, ann);
            // Remembered now.
            assert_eq!(authenticator.log_in(login(name, "one"), PEER).await, ann);
        }
        for (name, password) in [("ann", "two"), ("bob", "one"), ("ann@example.com", "one")] {
            let verdict = authenticator.log_in(login(name, password), PEER).await;
            assert_eq!(verdict, Verdict::Refused, "{name} {password}");
        }
    }

    #[tokio::test]
    async fn a_changed_password_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let authenticator = authenticator(folder.path());
        let ann = Verdict::Accepted("ann".into());
        assert_eq!(authenticator.log_in(login("ann", "one"), PEER).await, ann);
        edit::set_password(authenticator.users().path(), "ann", b"two").unwrap();
        let old = authenticator.log_in(login("ann", "one"), PEER).await;
        assert_eq!(old, Verdict::Refused);
        assert_eq!(authenticator.log_in(login("ann", "two"), PEER).await, ann);
        edit::delete(authenticator.users().path(), "ann").unwrap();
        let gone = authenticator.log_in(login("ann", "two"), PEER).await;
        assert_eq!(gone, Verdict::Refused);
    }

    #[tokio::test]
    async fn nobody_acts_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let authenticator = authenticator(folder.path());
        for (authorization_id, wanted) in [
            ("ann", Verdict::Accepted("ann".into())),
            ("bob", Verdict::Refused),
        ] {
            let mut credentials = login("ann", "one");
            credentials.authorization_id = Some(authorization_id.into());
            assert_eq!(authenticator.log_in(credentials, PEER).await, wanted);
        }
    }
}
