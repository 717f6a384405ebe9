use super::{Mechanism, SaslError};
use crate::Secret;

/// What XOAUTH2 and OAUTHBEARER carry: the host asks the token's issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who to act as; `None` where the token alone says it.
    pub authorization_id: Option<String>,
    /// The bearer token (RFC 6750 §2.1), without its `Bearer` word.
    pub token: Secret,
    /// The host that the client believes to talk to (OAUTHBEARER only).
    pub host: Option<String>,
    /// The port that the client believes to talk to (OAUTHBEARER only).
    pub port: Option<u16>,
}

impl Token {
    /// A token for a user, with neither host nor port.
    #[must_use]
    pub fn new(user: &str, token: Secret) -> Self {
        Self {
            authorization_id: (!user.is_empty()).then(|| user.to_owned()),
            token,
            host: None,
            port: None,
        }
    }
}

/// What separates the key/value pairs, and the client's answer to a refusal.
pub(super) const KVSEP: u8 = 0x01;

/// RFC 7628 §3.1 (and XOAUTH2, which is the same without a GS2 header):
/// ```text
/// client-resp    = (gs2-header kvsep *kvpair kvsep) / kvsep
/// kvpair         = key "=" value kvsep
/// ```
pub(super) fn decode(mechanism: Mechanism, message: &[u8]) -> Result<Token, SaslError> {
    let bad = |reason| SaslError::malformed(mechanism, reason);
    let text = str::from_utf8(message).map_err(|_| bad("not UTF-8"))?;
    let Some(body) = text.strip_suffix("\u{1}\u{1}") else {
        return Err(bad("not ended by two ^A"));
    };
    let mut pairs = body.split('\u{1}');
    let mut user = None;
    if mechanism == Mechanism::OAuthBearer {
        user = gs2_header(pairs.next().unwrap_or_default()).map_err(bad)?;
    }
    let (mut token, mut host, mut port) = (None, None, None);
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(bad("a pair without ="));
        };
        match key {
            "auth" => {
                let Some((scheme, value)) = value.split_once(' ') else {
                    return Err(bad("no authentication scheme"));
                };
                if !scheme.eq_ignore_ascii_case("Bearer") {
                    return Err(bad("the scheme is not Bearer"));
                }
                if value.is_empty() || !value.bytes().all(is_b64token) {
                    return Err(bad("not a bearer token"));
                }
                if token.replace(Secret::new(value)).is_some() {
                    return Err(bad("two tokens"));
                }
            }
            "user" if mechanism == Mechanism::XOAuth2 => {
                if value.is_empty() {
                    return Err(bad("empty user name"));
                }
                user = Some(value.to_owned());
            }
            "host" => host = Some(value.to_owned()),
            "port" => port = Some(value.parse().map_err(|_| bad("not a port"))?),
            _ => {} // unknown keys are to be ignored (RFC 7628 §3.1)
        }
    }
    Ok(Token {
        authorization_id: user,
        token: token.ok_or(bad("no token"))?,
        host,
        port,
    })
}

/// `n,a=user,`: no channel binding is possible here (RFC 5801 §4).
pub(super) fn gs2_header(text: &str) -> Result<Option<String>, &'static str> {
    let mut parts = text.split(',');
    match parts.next() {
        Some("n" | "y") => {}
        Some(flag) if flag.starts_with("p=") => return Err("channel binding is not offered"),
        _ => return Err("no GS2 header"),
    }
    let authzid = parts.next().ok_or("no GS2 header")?;
    if parts.next() != Some("") || parts.next().is_some() {
        return Err("no GS2 header");
    }
    if authzid.is_empty() {
        return Ok(None);
    }
    let name = authzid.strip_prefix("a=").ok_or("no GS2 header")?;
    decode_saslname(name).map(Some)
}

/// `=2C` and `=3D` stand for `,` and `=` (RFC 5801 §4, RFC 5802 §5.1).
pub(super) fn decode_saslname(text: &str) -> Result<String, &'static str> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        if let Some(after) = after.strip_prefix("2C") {
            name.push(',');
            rest = after;
        } else if let Some(after) = after.strip_prefix("3D") {
            name.push('=');
            rest = after;
        } else {
            return Err("a bare = in a name");
        }
    }
    name.push_str(rest);
    if name.is_empty() || name.contains('\0') {
        return Err("not a name");
    }
    Ok(name)
}

pub(super) fn encode_saslname(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn is_b64token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet)
}

pub(super) fn encode(mechanism: Mechanism, token: &Token) -> Secret {
    let user = token.authorization_id.as_deref().unwrap_or_default();
    let mut head = if mechanism == Mechanism::XOAuth2 {
        format!("user={user}\u{1}")
    } else if user.is_empty() {
        "n,,\u{1}".to_owned()
    } else {
        format!("n,a={},\u{1}", encode_saslname(user))
    };
    if mechanism == Mechanism::OAuthBearer {
        if let Some(host) = &token.host {
            head.push_str(&format!("host={host}\u{1}"));
        }
        if let Some(port) = token.port {
            head.push_str(&format!("port={port}\u{1}"));
        }
    }
    head.push_str("auth=Bearer ");
    let secret = token.token.expose();
    // Sized once: a buffer that grows would leave copies behind unwiped.
    let mut message = Vec::with_capacity(head.len() + secret.len() + 2);
    message.extend_from_slice(head.as_bytes());
    message.extend_from_slice(secret);
    message.extend_from_slice(&[KVSEP, KVSEP]);
    Secret::new(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_7628_example() {
        let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let token = decode(Mechanism::OAuthBearer, message).unwrap();
        assert_eq!(token.authorization_id.as_deref(), Some("user@example.com"));
        assert_eq!(token.host.as_deref(), Some("server.example.com"));
        assert_eq!(token.port, Some(143));
        assert_eq!(
            token.token.expose(),
            b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
        );
        assert_eq!(encode(Mechanism::OAuthBearer, &token).expose(), message);
    }

    #[test]
    fn xoauth2() {
        let message = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2\x01\x01";
        let token = decode(Mechanism::XOAuth2, message).unwrap();
        assert_eq!(
            token,
            Token::new("someuser@example.com", Secret::new(*b"ya29.vF9dft4qmTc2"))
        );
        assert_eq!(encode(Mechanism::XOAuth2, &token).expose(), message);
    }

    #[test]
    fn what_is_not_a_token() {
        for bad in [
            &b""[..],
            b"\x01",
            b"n,,\x01\x01",
            b"n,,\x01auth=Bearer \x01\x01",
            b"n,,\x01auth=Bearer a b\x01\x01",
            b"n,,\x01auth=Basic abc\x01\x01",
            b"n,,\x01auth=Bearer abc\x01",
            b"n,,\x01auth=Bearer abc\x01auth=Bearer abc\x01\x01",
            b"p=tls-unique,,\x01auth=Bearer abc\x01\x01",
            b"n,a=x=y,\x01auth=Bearer abc\x01\x01",
            b"n,,\x01port=99999\x01auth=Bearer abc\x01\x01",
            b"n,,,\x01auth=Bearer abc\x01\x01",
            b"user=x\x01auth=Bearer abc\x01\x01",
        ] {
            assert!(decode(Mechanism::OAuthBearer, bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip(name in "[^\0]{1,40}") {
            prop_assert_eq!(decode_saslname(&encode_saslname(&name)), Ok(name));
        }
    }
}
