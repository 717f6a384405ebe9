use data_encoding::BASE64;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::super::oauth::encode_saslname;
use super::super::plain::Credentials;
use super::super::{Mechanism, SaslError};
use super::hash::xor;
use super::message::{attribute, is_nonce};
use super::{MAX_ITERATIONS, MIN_ITERATIONS, ScramHash, prepare};
use crate::Secret;

/// SCRAM's client side; hosts use it as a [`SaslClient`].
///
/// The nonce must be new and unguessable for each exchange: 18 random octets
/// or more, in printable ASCII without a comma (base64 will do).
///
/// The server chooses the number of iterations; from 4,096 (RFC 7677 §4) to
/// 1,000,000 are computed, others are refused. Hosts with many connections
/// call [`SaslClient::step`] where a tenth of a second does not matter.
///
/// [`SaslClient`]: super::super::SaslClient
/// [`SaslClient::step`]: super::super::SaslClient::step
#[derive(Debug)]
pub struct ScramClient {
    hash: ScramHash,
    gs2_header: String,
    /// The client-first-message without its GS2 header.
    bare: String,
    nonce: String,
    password: Secret,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    ServerFirst,
    ServerFinal { signature: Vec<u8> },
    Verified,
    Over,
}

impl ScramClient {
    pub(in crate::sasl) fn new(
        hash: ScramHash,
        credentials: &Credentials,
        nonce: &str,
    ) -> Result<Self, SaslError> {
        let bad = |reason| SaslError::Credentials {
            mechanism: hash.mechanism().name(),
            reason,
        };
        if !is_nonce(nonce) {
            return Err(bad("the nonce is not printable ASCII"));
        }
        let user =
            prepare(&credentials.authentication_id).ok_or(bad("SASLprep forbids the name"))?;
        let password = str::from_utf8(credentials.password.expose())
            .ok()
            .and_then(prepare)
            .ok_or(bad("SASLprep forbids the password"))?;
        let gs2_header = match &credentials.authorization_id {
            Some(name) => format!("n,a={},", encode_saslname(name)),
            None => "n,,".to_owned(),
        };
        Ok(Self {
            hash,
            gs2_header,
            bare: format!("n={},r={nonce}", encode_saslname(&user)),
            nonce: nonce.to_owned(),
            password: Secret::new(password),
            state: State::First,
        })
    }

    pub(in crate::sasl) fn speaks_first(&self) -> bool {
        matches!(self.state, State::First)
    }

    pub(in crate::sasl) fn is_verified(&self) -> bool {
        matches!(self.state, State::Verified)
    }

    pub(in crate::sasl) fn step(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        let mechanism = self.hash.mechanism();
        let bad = |reason| SaslError::malformed(mechanism, reason);
        let text = str::from_utf8(challenge).map_err(|_| bad("not UTF-8"))?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => {
                self.state = State::ServerFirst;
                Ok(Secret::new(format!("{}{}", self.gs2_header, self.bare)))
            }
            State::ServerFirst => self.server_first(text, mechanism),
            State::ServerFinal { signature } => {
                if let Some(reason) = text.strip_prefix("e=") {
                    return Err(SaslError::refused(mechanism, reason.as_bytes()));
                }
                let verifier = attribute(&mut text.split(','), "v").map_err(bad)?;
                let verifier = BASE64
                    .decode(verifier.as_bytes())
                    .map_err(|_| bad("the verifier is not base64"))?;
                if !bool::from(verifier.ct_eq(&signature)) {
                    return Err(SaslError::Proof {
                        mechanism: mechanism.name(),
                    });
                }
                self.state = State::Verified;
                Ok(Secret::default())
            }
            State::Verified | State::Over => Err(SaslError::over(mechanism)),
        }
    }

    fn server_first(&mut self, text: &str, mechanism: Mechanism) -> Result<Secret, SaslError> {
        let bad = |reason| SaslError::malformed(mechanism, reason);
        let mut parts = text.split(',');
        let nonce = attribute(&mut parts, "r").map_err(bad)?;
        let fresh = nonce.strip_prefix(self.nonce.as_str());
        if !fresh.is_some_and(is_nonce) {
            return Err(bad("the server's nonce does not extend ours"));
        }
        let salt = attribute(&mut parts, "s").map_err(bad)?;
        let salt = BASE64
            .decode(salt.as_bytes())
            .map_err(|_| bad("the salt is not base64"))?;
        if salt.is_empty() {
            return Err(bad("no salt"));
        }
        let iterations = attribute(&mut parts, "i").map_err(bad)?;
        let iterations: u32 = iterations
            .parse()
            .map_err(|_| bad("the iterations are not a number"))?;
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(bad("too few or too many iterations"));
        }

        let without_proof = format!("c={},r={nonce}", BASE64.encode(self.gs2_header.as_bytes()));
        let auth_message = format!("{},{text},{without_proof}", self.bare);
        let mut salted = self.hash.hi(self.password.expose(), &salt, iterations);
        let mut proof = self.hash.hmac(&salted, b"Client Key");
        let stored_key = self.hash.digest(&proof);
        xor(
            &mut proof,
            &self.hash.hmac(&stored_key, auth_message.as_bytes()),
        );
        let mut server_key = self.hash.hmac(&salted, b"Server Key");
        let signature = self.hash.hmac(&server_key, auth_message.as_bytes());
        salted.zeroize();
        server_key.zeroize();
        self.state = State::ServerFinal { signature };
        Ok(Secret::new(format!(
            "{without_proof},p={}",
            BASE64.encode(&proof)
        )))
    }
}
