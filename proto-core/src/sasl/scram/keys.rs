use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use thiserror::Error;
use zeroize::Zeroize;

use super::{MAX_ITERATIONS, ScramHash, prepare};

/// What a server stores instead of the password (RFC 5802 §2.2).
///
/// Its text form is that of RFC 5803 §2:
///
/// ```
/// use proto_core::sasl::scram::{ScramHash, StoredKeys};
///
/// let keys = StoredKeys::derive(ScramHash::Sha256, "pencil", b"0123456789abcdef", 4096).unwrap();
/// assert!(keys.to_string().starts_with("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"));
/// assert_eq!(keys.to_string().parse(), Ok(keys));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKeys {
    pub(super) hash: ScramHash,
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Vec<u8>,
    pub(super) server_key: Vec<u8>,
}

/// Why a text is not [`StoredKeys`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not SCRAM keys: {reason}")]
pub struct KeysError {
    reason: &'static str,
}

impl StoredKeys {
    /// Computes the keys of a password; `None` where SASLprep (RFC 4013)
    /// forbids the password, or there is no salt or no iteration.
    ///
    /// `salt` must be random and new for each password.
    #[must_use]
    pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Option<Self> {
        if salt.is_empty() || !(1..=MAX_ITERATIONS).contains(&iterations) {
            return None;
        }
        let mut prepared = prepare(password)?;
        let mut salted = hash.hi(prepared.as_bytes(), salt, iterations);
        prepared.zeroize();
        let mut client_key = hash.hmac(&salted, b"Client Key");
        let keys = Self {
            hash,
            iterations,
            salt: salt.to_vec(),
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(&salted, b"Server Key"),
        };
        salted.zeroize();
        client_key.zeroize();
        Some(keys)
    }

    /// Keys for a user who is not there: the same for the same name each time,
    /// and no password fits, so that the exchange tells nobody who exists.
    ///
    /// `secret` is the server's own; `iterations` should be what real users have.
    #[must_use]
    pub fn decoy(hash: ScramHash, user: &str, secret: &[u8], iterations: u32) -> Self {
        let derive = |purpose: &str| {
            let mut key = hash.hmac(secret, purpose.as_bytes());
            let octets = hash.hmac(&key, user.as_bytes());
            key.zeroize();
            octets
        };
        let mut salt = derive("salt");
        salt.truncate(16);
        Self {
            hash,
            iterations,
            salt,
            stored_key: derive("stored key"),
            server_key: derive("server key"),
        }
    }

    /// The hash that the keys are for.
    #[must_use]
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// Whether the keys are those of `password`. Costs all the iterations.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        use subtle::ConstantTimeEq;

        Self::derive(self.hash, password, &self.salt, self.iterations)
            .is_some_and(|other| other.stored_key.ct_eq(&self.stored_key).into())
    }
}

impl fmt::Display for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}${}:{}${}:{}",
            self.hash.mechanism(),
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(&self.stored_key),
            BASE64.encode(&self.server_key)
        )
    }
}

impl FromStr for StoredKeys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let bad = |reason| KeysError { reason };
        let decode = |text: &str| {
            let octets = BASE64.decode(text.as_bytes());
            octets.map_err(|_| bad("invalid base64"))
        };
        let mut parts = text.split('$');
        let (Some(name), Some(info), Some(keys), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("not three parts"));
        };
        let hash = match name {
            "SCRAM-SHA-1" => ScramHash::Sha1,
            "SCRAM-SHA-256" => ScramHash::Sha256,
            _ => return Err(bad("unknown mechanism")),
        };
        let (iterations, salt) = info.split_once(':').ok_or(bad("no salt"))?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(bad("no server key"))?;
        let keys = Self {
            hash,
            iterations: iterations.parse().map_err(|_| bad("not a number"))?,
            salt: decode(salt)?,
            stored_key: decode(stored_key)?,
            server_key: decode(server_key)?,
        };
        if keys.stored_key.len() != hash.len() || keys.server_key.len() != hash.len() {
            return Err(bad("a key of the wrong length"));
        }
        if !(1..=MAX_ITERATIONS).contains(&keys.iterations) || keys.salt.is_empty() {
            return Err(bad("no salt or no iterations"));
        }
        Ok(keys)
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the keys: they would let a guess be tested offline, and the
        // server key lets its holder play the server.
        f.debug_struct("StoredKeys")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Drop for StoredKeys {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let keys = StoredKeys::derive(ScramHash::Sha1, "pencil", b"salt", 4096).unwrap();
        assert!(keys.verify("pencil"));
        assert!(!keys.verify("pencils"));
        for bad in [
            "",
            "SCRAM-SHA-1$4096:c2FsdA==",
            "SCRAM-MD5$4096:c2FsdA==$AAAA:AAAA",
            "SCRAM-SHA-1$4096:c2FsdA==$AAAA:AAAA",
            "SCRAM-SHA-1$x:c2FsdA==$AAAA:AAAA",
        ] {
            assert!(bad.parse::<StoredKeys>().is_err(), "{bad}");
        }
    }

    #[test]
    fn saslprep_is_applied() {
        // RFC 4013 §3: I <SOFT HYPHEN> X is IX; a control character is an error.
        let keys = StoredKeys::derive(ScramHash::Sha1, "I\u{AD}X", b"salt", 1).unwrap();
        assert!(keys.verify("IX"));
        assert_eq!(
            StoredKeys::derive(ScramHash::Sha1, "\u{7}", b"salt", 1),
            None
        );
    }
}
