use std::mem;

use super::oauth::{self, KVSEP, Token};
use super::plain::{self, Credentials};
#[cfg(feature = "scram")]
use super::scram::{ScramClient, ScramHash};
use super::{Mechanism, SaslError};
use crate::Secret;

/// The client's side of one exchange.
///
/// ```
/// use proto_core::Secret;
/// use proto_core::sasl::{Credentials, SaslClient};
///
/// let mut exchange = SaslClient::plain(&Credentials {
///     authorization_id: None,
///     authentication_id: "tim".into(),
///     password: Secret::new(*b"tanstaaftanstaaf"),
/// })?;
/// // AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm
/// assert_eq!(exchange.initial_response().unwrap().expose(), b"\0tim\0tanstaaftanstaaf");
/// # Ok::<_, proto_core::sasl::SaslError>(())
/// ```
///
/// Where an initial response cannot be sent, [`initial_response`] is not
/// called, and [`step`] answers the server's empty challenge with it.
///
/// [`initial_response`]: Self::initial_response
/// [`step`]: Self::step
#[derive(Debug)]
pub struct SaslClient {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Speaks first, and has no more to say.
    Once(Secret),
    LoginUser(Credentials),
    LoginPassword(Secret),
    /// Any further challenge says why the token is refused.
    OAuthSent,
    #[cfg(feature = "scram")]
    Scram(Box<ScramClient>),
    Sent,
    /// An error was answered: no success may be believed.
    Failed,
}

impl SaslClient {
    /// PLAIN.
    ///
    /// # Errors
    /// [`SaslError::Malformed`] for credentials that PLAIN cannot carry.
    pub fn plain(credentials: &Credentials) -> Result<Self, SaslError> {
        let message = plain::encode(credentials);
        plain::decode(message.expose())?;
        Ok(Self {
            mechanism: Mechanism::Plain,
            state: State::Once(message),
        })
    }

    /// LOGIN. It cannot carry an authorization identity.
    ///
    /// # Errors
    /// [`SaslError::Credentials`] when there is one;
    /// [`SaslError::Malformed`] for a name that LOGIN cannot carry.
    pub fn login(credentials: &Credentials) -> Result<Self, SaslError> {
        plain::login_user(credentials.authentication_id.as_bytes())?;
        if credentials.authorization_id.is_some() {
            return Err(SaslError::Credentials {
                mechanism: Mechanism::Login.name(),
                reason: "cannot carry an authorization identity",
            });
        }
        Ok(Self {
            mechanism: Mechanism::Login,
            state: State::LoginUser(credentials.clone()),
        })
    }

    /// XOAUTH2.
    ///
    /// # Errors
    /// [`SaslError::Malformed`] for a token that the mechanism cannot carry.
    pub fn xoauth2(token: &Token) -> Result<Self, SaslError> {
        Self::oauth(Mechanism::XOAuth2, token)
    }

    /// OAUTHBEARER.
    ///
    /// # Errors
    /// [`SaslError::Malformed`] for a token that the mechanism cannot carry.
    pub fn oauth_bearer(token: &Token) -> Result<Self, SaslError> {
        Self::oauth(Mechanism::OAuthBearer, token)
    }

    fn oauth(mechanism: Mechanism, token: &Token) -> Result<Self, SaslError> {
        let message = oauth::encode(mechanism, token);
        oauth::decode(mechanism, message.expose())?;
        Ok(Self {
            mechanism,
            state: State::Once(message),
        })
    }

    /// SCRAM; see [`ScramClient`] for what `nonce` must be.
    ///
    /// # Errors
    /// [`SaslError::Credentials`] for a name or a password that SASLprep
    /// (RFC 4013) forbids.
    #[cfg(feature = "scram")]
    pub fn scram(
        hash: ScramHash,
        credentials: &Credentials,
        nonce: &str,
    ) -> Result<Self, SaslError> {
        Ok(Self {
            mechanism: hash.mechanism(),
            state: State::Scram(Box::new(ScramClient::new(hash, credentials, nonce)?)),
        })
    }

    /// The mechanism, whose name goes into the AUTH command.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The initial response, for a mechanism in which the client speaks first.
    ///
    /// Having called it, the host must have sent it.
    pub fn initial_response(&mut self) -> Option<Secret> {
        match &self.state {
            State::Once(_) => self.step(b"").ok(),
            #[cfg(feature = "scram")]
            State::Scram(scram) if scram.speaks_first() => self.step(b"").ok(),
            _ => None,
        }
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// The host cancels (`*`): the server does not keep to the mechanism, has
    /// refused, or has not proven who it is.
    pub fn step(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Once(message) => {
                self.state = match self.mechanism {
                    Mechanism::XOAuth2 | Mechanism::OAuthBearer => State::OAuthSent,
                    _ => State::Sent,
                };
                Ok(message)
            }
            State::LoginUser(credentials) => {
                // Servers ask in various words; the order is all there is.
                self.state = State::LoginPassword(credentials.password);
                Ok(Secret::new(credentials.authentication_id))
            }
            State::LoginPassword(password) => {
                self.state = State::Sent;
                Ok(password)
            }
            State::OAuthSent => {
                // XOAUTH2 wants an empty answer, RFC 7628 a lone kvsep.
                if self.mechanism == Mechanism::OAuthBearer {
                    Ok(Secret::new([KVSEP]))
                } else {
                    Ok(Secret::default())
                }
            }
            #[cfg(feature = "scram")]
            State::Scram(mut scram) => {
                let response = scram.step(challenge)?;
                self.state = State::Scram(scram);
                Ok(response)
            }
            State::Sent => Err(SaslError::refused(self.mechanism, challenge)),
            State::Failed => Err(SaslError::over(self.mechanism)),
        }
    }

    /// Whether the server's success may be believed: SCRAM's server must have
    /// proven itself, other mechanisms prove nothing of it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match &self.state {
            State::Sent | State::OAuthSent => true,
            #[cfg(feature = "scram")]
            State::Scram(scram) => scram.is_verified(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SaslServer, ServerStep};
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            authorization_id: None,
            authentication_id: "tim".into(),
            password: Secret::new(*b"pw"),
        }
    }

    #[test]
    fn both_sides_meet() {
        for initial in [true, false] {
            for mut client in [
                SaslClient::plain(&credentials()).unwrap(),
                SaslClient::login(&credentials()).unwrap(),
            ] {
                let mut server = SaslServer::new(client.mechanism());
                let first = if initial {
                    client.initial_response()
                } else {
                    None
                };
                let mut step = server.start(first.as_ref().map(Secret::expose)).unwrap();
                loop {
                    match step {
                        ServerStep::Challenge(challenge) => {
                            let response = client.step(&challenge).unwrap();
                            step = server.step(response.expose()).unwrap();
                        }
                        ServerStep::Credentials(got) => {
                            assert_eq!(got, credentials());
                            break;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                assert!(client.is_complete());
                assert!(client.step(b"more?").is_err());
            }
        }
    }

    #[test]
    fn what_a_mechanism_cannot_carry() {
        let mut nul = credentials();
        nul.authentication_id = "a\0b".into();
        assert!(SaslClient::plain(&nul).is_err());
        assert!(SaslClient::login(&nul).is_err());
        let mut other = credentials();
        other.authorization_id = Some("boss".into());
        assert!(SaslClient::plain(&other).is_ok());
        assert!(SaslClient::login(&other).is_err());
        let token = Token::new("u", Secret::new(*b"a\x01b"));
        assert!(SaslClient::oauth_bearer(&token).is_err());
    }

    #[test]
    fn a_refused_token_is_answered() {
        let token = Token::new("u", Secret::new(*b"abc"));
        let mut client = SaslClient::oauth_bearer(&token).unwrap();
        assert!(client.initial_response().is_some());
        let dummy = client.step(br#"{"status":"invalid_token"}"#).unwrap();
        assert_eq!(dummy.expose(), b"\x01");
        let mut client = SaslClient::xoauth2(&token).unwrap();
        assert!(client.initial_response().is_some());
        assert_eq!(client.step(b"{}").unwrap().expose(), b"");
        assert!(client.step(b"{}").is_err());
    }
}
