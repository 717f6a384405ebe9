//! SASL (RFC 4422): what hosts step while a machine carries opaque octets.
//!
//! The machines frame and base64-decode; they know no mechanism.

use data_encoding::BASE64;
use thiserror::Error;

/// Why an exchange ended without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The client's message is not of the mechanism's form.
    #[error("malformed {mechanism} message")]
    Malformed {
        /// The mechanism's name.
        mechanism: &'static str,
    },
    /// The octets are not base64 (RFC 4648 §4).
    #[error("invalid base64")]
    Base64,
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
