use std::net::IpAddr;
use std::sync::Arc;

use proto_core::sasl::{Mechanism, SaslError, SaslServer, ServerStep};

use super::{Authenticator, Verdict};

/// What the services offer.
pub const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// One SASL exchange of a session.
#[derive(Debug)]
pub struct Exchange {
    authenticator: Arc<Authenticator>,
    sasl: Option<SaslServer>,
    peer: IpAddr,
}

/// What the session is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeStep {
    /// Send this challenge, which may be empty.
    Challenge(Vec<u8>),
    /// The login is right: this is the account.
    Authenticated(String),
    /// The login is wrong or the client does not keep to the mechanism.
    Failed,
    /// It could not be found out.
    TryAgain,
}

impl Exchange {
    /// An exchange of the mechanism that a client at `peer` named; one that is
    /// not among [`MECHANISMS`] fails at its start.
    #[must_use]
    pub fn new(authenticator: Arc<Authenticator>, mechanism: &str, peer: IpAddr) -> Self {
        let mechanism =
            Mechanism::from_name(mechanism).filter(|mechanism| MECHANISMS.contains(mechanism));
        Self {
            authenticator,
            sasl: mechanism.map(SaslServer::new),
            peer,
        }
    }

    /// Begins, with the initial response if the client sent one.
    pub async fn start(&mut self, initial_response: Option<&[u8]>) -> ExchangeStep {
        match &mut self.sasl {
            Some(sasl) => {
                let step = sasl.start(initial_response);
                self.go_on(step).await
            }
            None => ExchangeStep::Failed,
        }
    }

    /// Takes the client's next response.
    pub async fn step(&mut self, response: &[u8]) -> ExchangeStep {
        match &mut self.sasl {
            Some(sasl) => {
                let step = sasl.step(response);
                self.go_on(step).await
            }
            None => ExchangeStep::Failed,
        }
    }

    async fn go_on(&mut self, step: Result<ServerStep, SaslError>) -> ExchangeStep {
        match step {
            Ok(ServerStep::Challenge(challenge)) => ExchangeStep::Challenge(challenge),
            Ok(ServerStep::Credentials(credentials)) => {
                match self.authenticator.log_in(credentials, self.peer).await {
                    Verdict::Accepted(user) => ExchangeStep::Authenticated(user),
                    Verdict::Refused => ExchangeStep::Failed,
                    Verdict::TryAgain => ExchangeStep::TryAgain,
                }
            }
            Ok(_) => ExchangeStep::Failed,
            Err(error) => {
                tracing::info!(client = %self.peer, %error, "login failed");
                ExchangeStep::Failed
            }
        }
    }
}
