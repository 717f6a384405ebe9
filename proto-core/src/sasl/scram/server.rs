use data_encoding::BASE64;
use subtle::ConstantTimeEq;

use super::super::oauth::{decode_saslname, gs2_header};
use super::super::{SaslError, ServerStep};
use super::hash::xor;
use super::message::{attribute, is_nonce};
use super::{ScramHash, StoredKeys, prepare};

/// SCRAM's server side; hosts use it as a [`SaslServer`].
///
/// The nonce must be new and unguessable for each exchange: 18 random octets
/// or more, in printable ASCII without a comma (base64 will do).
///
/// [`SaslServer`]: super::super::SaslServer
#[derive(Debug)]
pub struct ScramServer {
    hash: ScramHash,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    Keys(ClientFirst),
    Final {
        first: ClientFirst,
        server_first: String,
        keys: StoredKeys,
    },
    /// `v=` was sent; the client owes an empty message.
    Proven(ClientFirst),
    Over,
}

#[derive(Debug)]
struct ClientFirst {
    gs2_header: String,
    bare: String,
    authorization_id: Option<String>,
    authentication_id: String,
    client_nonce: String,
}

impl ScramServer {
    pub(in crate::sasl) fn new(hash: ScramHash, nonce: &str) -> Self {
        Self {
            hash,
            nonce: nonce.to_owned(),
            state: State::First,
        }
    }

    pub(in crate::sasl) fn step(&mut self, response: &[u8]) -> Result<ServerStep, SaslError> {
        let bad = |reason| SaslError::malformed(self.hash.mechanism(), reason);
        let text = str::from_utf8(response).map_err(|_| bad("not UTF-8"))?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => {
                if !is_nonce(&self.nonce) {
                    return Err(SaslError::Credentials {
                        mechanism: self.hash.mechanism().name(),
                        reason: "the server's nonce is not printable ASCII",
                    });
                }
                let first = client_first(text).map_err(bad)?;
                let authentication_id = first.authentication_id.clone();
                self.state = State::Keys(first);
                Ok(ServerStep::NeedKeys { authentication_id })
            }
            State::Final {
                first,
                server_first,
                keys,
            } => {
                let signature = self.client_final(text, &first, &server_first, &keys)?;
                self.state = State::Proven(first);
                let verifier = format!("v={}", BASE64.encode(&signature));
                Ok(ServerStep::Challenge(verifier.into_bytes()))
            }
            State::Proven(first) if text.is_empty() => Ok(ServerStep::Proven {
                authorization_id: first.authorization_id,
                authentication_id: first.authentication_id,
            }),
            State::Proven(_) => Err(bad("not empty after the server's proof")),
            State::Keys(_) | State::Over => Err(SaslError::over(self.hash.mechanism())),
        }
    }

    pub(in crate::sasl) fn stored_keys(
        &mut self,
        keys: StoredKeys,
    ) -> Result<ServerStep, SaslError> {
        let mechanism = self.hash.mechanism();
        if keys.hash != self.hash {
            return Err(SaslError::Credentials {
                mechanism: mechanism.name(),
                reason: "the stored keys are for another hash",
            });
        }
        let State::Keys(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(SaslError::over(mechanism));
        };
        let server_first = format!(
            "r={}{},s={},i={}",
            first.client_nonce,
            self.nonce,
            BASE64.encode(&keys.salt),
            keys.iterations
        );
        let challenge = server_first.clone().into_bytes();
        self.state = State::Final {
            first,
            server_first,
            keys,
        };
        Ok(ServerStep::Challenge(challenge))
    }

    /// Checks the proof and answers the server's signature.
    fn client_final(
        &self,
        text: &str,
        first: &ClientFirst,
        server_first: &str,
        keys: &StoredKeys,
    ) -> Result<Vec<u8>, SaslError> {
        let mechanism = self.hash.mechanism();
        let bad = |reason| SaslError::malformed(mechanism, reason);
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(bad("no proof"))?;
        let mut parts = without_proof.split(',');
        let binding = attribute(&mut parts, "c").map_err(bad)?;
        if binding != BASE64.encode(first.gs2_header.as_bytes()) {
            return Err(bad("the GS2 header was changed on the way"));
        }
        let nonce = attribute(&mut parts, "r").map_err(bad)?;
        if nonce.strip_prefix(first.client_nonce.as_str()) != Some(&self.nonce) {
            return Err(bad("not the nonce of this exchange"));
        }
        let mut client_key = BASE64
            .decode(proof.as_bytes())
            .map_err(|_| bad("the proof is not base64"))?;
        let auth_message = format!("{},{server_first},{without_proof}", first.bare);
        let signature = self.hash.hmac(&keys.stored_key, auth_message.as_bytes());
        let whole = client_key.len() == signature.len();
        xor(&mut client_key, &signature);
        let stored_key = self.hash.digest(&client_key);
        if !whole || !bool::from(stored_key.ct_eq(&keys.stored_key)) {
            return Err(SaslError::Proof {
                mechanism: mechanism.name(),
            });
        }
        Ok(self.hash.hmac(&keys.server_key, auth_message.as_bytes()))
    }
}

/// `client-first-message = gs2-header client-first-message-bare`
fn client_first(text: &str) -> Result<ClientFirst, &'static str> {
    let header_len = text
        .match_indices(',')
        .nth(1)
        .map(|(at, _)| at + 1)
        .ok_or("no GS2 header")?;
    let (header, bare) = text.split_at(header_len);
    let authorization_id = gs2_header(header)?;
    let mut parts = bare.split(',');
    let name = decode_saslname(attribute(&mut parts, "n")?)?;
    let nonce = attribute(&mut parts, "r")?;
    if !is_nonce(nonce) {
        return Err("not a nonce");
    }
    Ok(ClientFirst {
        gs2_header: header.to_owned(),
        bare: bare.to_owned(),
        authorization_id,
        authentication_id: prepare(&name).ok_or("SASLprep forbids the name")?,
        client_nonce: nonce.to_owned(),
    })
}
