use std::mem;

use super::oauth::{self, Token};
use super::plain::{self, Credentials};
#[cfg(feature = "scram")]
use super::scram::{ScramServer, StoredKeys};
use super::{Mechanism, SaslError};

/// The server's side of one exchange.
///
/// [`start`](Self::start), then [`step`](Self::step) with each response, until
/// it gives something else than a challenge, or an error. Either way one
/// exchange is for one attempt. Where the protocol's client may cancel (`*`),
/// the host simply drops the exchange.
#[derive(Debug)]
pub struct SaslServer {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    LoginUser,
    LoginPassword(String),
    OAuth,
    /// The token was refused; the client owes an empty message.
    OAuthRefused,
    #[cfg(feature = "scram")]
    Scram(Box<ScramServer>),
    Over,
}

/// What the host is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerStep {
    /// Send this challenge (it may be empty) and wait for the response.
    Challenge(Vec<u8>),
    /// Check the password; the exchange is over.
    Credentials(Credentials),
    /// Ask the token's issuer; the exchange is over, unless the host answers
    /// with [`SaslServer::refuse_token`].
    Token(Token),
    /// SCRAM: look the user's keys up and answer with
    /// [`SaslServer::stored_keys`].
    #[cfg(feature = "scram")]
    NeedKeys {
        /// Whose keys.
        authentication_id: String,
    },
    /// SCRAM: the client has proven that it knows the password; the exchange
    /// is over.
    #[cfg(feature = "scram")]
    Proven {
        /// Who to act as, if not `authentication_id`.
        authorization_id: Option<String>,
        /// Who it is.
        authentication_id: String,
    },
}

impl SaslServer {
    /// An exchange that has not begun.
    ///
    /// SCRAM needs a nonce: its exchanges are made by `SaslServer::scram`, and
    /// one made here refuses every message.
    #[must_use]
    pub fn new(mechanism: Mechanism) -> Self {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
            Mechanism::XOAuth2 | Mechanism::OAuthBearer => State::OAuth,
            #[cfg(feature = "scram")]
            Mechanism::ScramSha1 | Mechanism::ScramSha256 => State::Over,
        };
        Self { mechanism, state }
    }

    /// A SCRAM exchange; see [`ScramServer`] for what `nonce` must be.
    #[cfg(feature = "scram")]
    #[must_use]
    pub fn scram(hash: super::scram::ScramHash, nonce: &str) -> Self {
        Self {
            mechanism: hash.mechanism(),
            state: State::Scram(Box::new(ScramServer::new(hash, nonce))),
        }
    }

    /// The mechanism.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Begins, with the initial response if the client sent one.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn start(&mut self, initial_response: Option<&[u8]>) -> Result<ServerStep, SaslError> {
        match (initial_response, &self.state) {
            (Some(response), _) => self.step(response),
            (None, State::LoginUser) => Ok(ServerStep::Challenge(b"Username:".to_vec())),
            (None, State::Over) => Err(SaslError::over(self.mechanism)),
            // A mechanism in which the client speaks first (RFC 4422 §3).
            (None, _) => Ok(ServerStep::Challenge(Vec::new())),
        }
    }

    /// Takes the client's next response.
    ///
    /// # Errors
    /// The exchange has failed and is over: answer as for a wrong password.
    pub fn step(&mut self, response: &[u8]) -> Result<ServerStep, SaslError> {
        match mem::replace(&mut self.state, State::Over) {
            State::Plain => plain::decode(response).map(ServerStep::Credentials),
            State::LoginUser => {
                self.state = State::LoginPassword(plain::login_user(response)?);
                Ok(ServerStep::Challenge(b"Password:".to_vec()))
            }
            State::LoginPassword(user) => Ok(ServerStep::Credentials(Credentials {
                authorization_id: None,
                authentication_id: user,
                password: response.into(),
            })),
            State::OAuth => oauth::decode(self.mechanism, response).map(ServerStep::Token),
            State::OAuthRefused => Err(SaslError::refused(self.mechanism, b"invalid token")),
            #[cfg(feature = "scram")]
            State::Scram(mut scram) => {
                let step = scram.step(response)?;
                self.state = State::Scram(scram);
                Ok(step)
            }
            State::Over => Err(SaslError::over(self.mechanism)),
        }
    }

    /// Refuses the token that was given: the challenge tells the client why,
    /// and the step after it fails, as RFC 7628 §3.2.2 wants it.
    ///
    /// `status` is an error code of RFC 6750 §3.1, such as `invalid_token`.
    pub fn refuse_token(&mut self, status: &str) -> ServerStep {
        self.state = State::OAuthRefused;
        let status: String = status
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        ServerStep::Challenge(format!("{{\"status\":\"{status}\"}}").into_bytes())
    }

    /// Answers [`ServerStep::NeedKeys`].
    ///
    /// For a user who is unknown give [`StoredKeys::decoy`]: the exchange then
    /// goes on, and fails where a wrong password would.
    ///
    /// # Errors
    /// When no keys were asked for, or they are for another hash.
    #[cfg(feature = "scram")]
    pub fn stored_keys(&mut self, keys: StoredKeys) -> Result<ServerStep, SaslError> {
        match &mut self.state {
            State::Scram(scram) => scram.stored_keys(keys),
            _ => Err(SaslError::over(self.mechanism)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn plain_with_and_without_initial_response() {
        let wanted = ServerStep::Credentials(Credentials {
            authorization_id: None,
            authentication_id: "test".into(),
            password: Secret::new(*b"pw"),
        });
        let mut server = SaslServer::new(Mechanism::Plain);
        assert_eq!(server.start(Some(b"\0test\0pw")).unwrap(), wanted);
        assert!(matches!(server.step(b""), Err(SaslError::Over { .. })));
        let mut server = SaslServer::new(Mechanism::Plain);
        assert_eq!(server.start(None).unwrap(), ServerStep::Challenge(vec![]));
        assert_eq!(server.step(b"\0test\0pw").unwrap(), wanted);
    }

    #[test]
    fn login_with_and_without_initial_response() {
        for initial in [None, Some(&b"test"[..])] {
            let mut server = SaslServer::new(Mechanism::Login);
            let mut step = server.start(initial).unwrap();
            if initial.is_none() {
                assert_eq!(step, ServerStep::Challenge(b"Username:".to_vec()));
                step = server.step(b"test").unwrap();
            }
            assert_eq!(step, ServerStep::Challenge(b"Password:".to_vec()));
            let ServerStep::Credentials(credentials) = server.step(b"pw").unwrap() else {
                panic!()
            };
            assert_eq!(credentials.authentication_id, "test");
            assert_eq!(credentials.password.expose(), b"pw");
        }
        let mut server = SaslServer::new(Mechanism::Login);
        assert!(server.start(Some(b"a\0b")).is_err());
    }

    #[test]
    fn a_refused_token_fails_after_the_dummy_response() {
        let mut server = SaslServer::new(Mechanism::OAuthBearer);
        let step = server.start(Some(b"n,,\x01auth=Bearer abc\x01\x01"));
        assert!(matches!(step, Ok(ServerStep::Token(_))));
        assert_eq!(
            server.refuse_token("invalid_token"),
            ServerStep::Challenge(br#"{"status":"invalid_token"}"#.to_vec())
        );
        assert!(matches!(
            server.step(b"\x01"),
            Err(SaslError::Refused { .. })
        ));
    }
}
