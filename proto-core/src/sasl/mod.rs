//! SASL (RFC 4422): what hosts step while a machine carries opaque octets.
//!
//! The machines frame and base64-decode; they know no mechanism. A host makes
//! a [`SaslServer`] when the machine gives it the start of an exchange, feeds
//! it each response, and sends what [`ServerStep`] says:
//!
//! ```
//! use proto_core::sasl::{Mechanism, SaslServer, ServerStep};
//!
//! let mut exchange = SaslServer::new(Mechanism::Plain);
//! // AUTH PLAIN without an initial response:
//! assert_eq!(exchange.start(None)?, ServerStep::Challenge(vec![]));
//! let ServerStep::Credentials(credentials) = exchange.step(b"\0tim\0tanstaaftanstaaf")? else {
//!     unreachable!()
//! };
//! assert_eq!(credentials.authentication_id, "tim");
//! assert_eq!(credentials.password.expose(), b"tanstaaftanstaaf");
//! # Ok::<_, proto_core::sasl::SaslError>(())
//! ```
//!
//! | mechanism | RFC | module's types |
//! |---|---|---|
//! | PLAIN | RFC 4616 | [`Credentials`] |
//! | LOGIN | none (an expired draft; wide use) | [`Credentials`] |
//! | SCRAM-SHA-1, SCRAM-SHA-256 | RFC 5802, RFC 7677 | `scram` (feature `scram`) |
//! | XOAUTH2 | none (Google's) | [`Token`] |
//! | OAUTHBEARER | RFC 7628 | [`Token`] |
//!
//! Channel binding (the `-PLUS` variants) and security layers are not here.

mod client;
mod oauth;
mod plain;
#[cfg(feature = "scram")]
pub mod scram;
mod server;

use std::fmt;

use data_encoding::BASE64;
use thiserror::Error;

pub use client::SaslClient;
pub use oauth::Token;
pub use plain::Credentials;
pub use server::{SaslServer, ServerStep};

/// A mechanism that this module knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// User name and password, each asked for by a challenge.
    Login,
    /// RFC 5802.
    #[cfg(feature = "scram")]
    ScramSha1,
    /// RFC 7677.
    #[cfg(feature = "scram")]
    ScramSha256,
    /// The bearer token form that came before RFC 7628.
    XOAuth2,
    /// RFC 7628.
    OAuthBearer,
}

impl Mechanism {
    /// Every mechanism, the most trusted first: a client takes the first that
    /// the server offers and that it has credentials for.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "scram")]
        Self::ScramSha256,
        #[cfg(feature = "scram")]
        Self::ScramSha1,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
    ];

    /// The registered name (RFC 4422 §3.1), upper case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            #[cfg(feature = "scram")]
            Self::ScramSha1 => "SCRAM-SHA-1",
            #[cfg(feature = "scram")]
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// Finds a mechanism by its name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Whether who listens on the wire could log in afterwards: such a
    /// mechanism belongs under TLS.
    #[must_use]
    pub fn is_plaintext(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::Login | Self::XOAuth2 | Self::OAuthBearer
        )
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why an exchange ended without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The peer's message is not of the mechanism's form.
    #[error("malformed {mechanism} message: {reason}")]
    Malformed {
        /// The mechanism's name.
        mechanism: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The octets are not base64 (RFC 4648 §4).
    #[error("invalid base64")]
    Base64,
    /// A message came when the mechanism has nothing more to say.
    #[error("{mechanism}: the exchange is over")]
    Over {
        /// The mechanism's name.
        mechanism: &'static str,
    },
    /// The mechanism cannot work with the credentials it was given.
    #[error("{mechanism}: {reason}")]
    Credentials {
        /// The mechanism's name.
        mechanism: &'static str,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The peer did not prove that it knows the secret.
    #[error("{mechanism}: the proof is wrong")]
    Proof {
        /// The mechanism's name.
        mechanism: &'static str,
    },
    /// The server said why it refuses (RFC 5802 §7, RFC 7628 §3.2.2).
    #[error("{mechanism}: refused: {reason}")]
    Refused {
        /// The mechanism's name.
        mechanism: &'static str,
        /// The server's own words, control characters taken out.
        reason: String,
    },
}

impl SaslError {
    pub(crate) fn malformed(mechanism: Mechanism, reason: &'static str) -> Self {
        Self::Malformed {
            mechanism: mechanism.name(),
            reason,
        }
    }

    pub(crate) fn over(mechanism: Mechanism) -> Self {
        Self::Over {
            mechanism: mechanism.name(),
        }
    }

    pub(crate) fn refused(mechanism: Mechanism, octets: &[u8]) -> Self {
        let reason = String::from_utf8_lossy(octets)
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        Self::Refused {
            mechanism: mechanism.name(),
            reason,
        }
    }
}

/// Decodes one base64 line of an exchange.
///
/// # Errors
/// [`SaslError::Base64`] for anything but canonical base64 with padding.
pub fn decode_base64(text: &[u8]) -> Result<Vec<u8>, SaslError> {
    BASE64.decode(text).map_err(|_| SaslError::Base64)
}

/// Encodes a challenge or a response.
#[must_use]
pub fn encode_base64(octets: &[u8]) -> String {
    BASE64.encode(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for mechanism in Mechanism::ALL {
            assert_eq!(
                Mechanism::from_name(&mechanism.name().to_lowercase()),
                Some(*mechanism)
            );
        }
        assert_eq!(Mechanism::from_name("CRAM-MD5"), None);
    }

    #[test]
    fn base64_is_strict() {
        // RFC 5034 §4's own examples of what to refuse.
        for bad in ["=AAA", "AAA=BBB", "dGVz dAB0", "dGVzdA", "dGVzdB==", "*"] {
            assert_eq!(
                decode_base64(bad.as_bytes()),
                Err(SaslError::Base64),
                "{bad}"
            );
        }
        assert_eq!(decode_base64(b""), Ok(vec![]));
        assert_eq!(
            decode_base64(b"dGVzdAB0ZXN0AHRlc3Q="),
            Ok(b"test\0test\0test".to_vec())
        );
    }
}
