use super::{Mechanism, SaslError};
use crate::Secret;

/// What PLAIN and LOGIN carry: the host checks the password, then whether
/// `authentication_id` may act as `authorization_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who to act as; `None` where the client left it to the server to derive
    /// it from `authentication_id` (RFC 4616 §2).
    pub authorization_id: Option<String>,
    /// Whose password it is; never empty.
    pub authentication_id: String,
    /// The password; never empty for PLAIN.
    pub password: Secret,
}

/// RFC 4616 §2:
/// ```text
/// message   = [authzid] UTF8NUL authcid UTF8NUL passwd
/// authcid   = 1*SAFE ; MUST accept up to 255 octets
/// authzid   = 1*SAFE
/// passwd    = 1*SAFE
/// SAFE      = any UTF-8 encoded character except NUL
/// ```
pub(super) fn decode(message: &[u8]) -> Result<Credentials, SaslError> {
    let bad = |reason| SaslError::malformed(Mechanism::Plain, reason);
    let text = str::from_utf8(message).map_err(|_| bad("not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(authcid), Some(passwd), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("not two NULs"));
    };
    if authcid.is_empty() {
        return Err(bad("empty authentication identity"));
    }
    if passwd.is_empty() {
        return Err(bad("empty password"));
    }
    Ok(Credentials {
        authorization_id: (!authzid.is_empty()).then(|| authzid.to_owned()),
        authentication_id: authcid.to_owned(),
        password: Secret::new(passwd),
    })
}

pub(super) fn encode(credentials: &Credentials) -> Secret {
    let authzid = credentials.authorization_id.as_deref().unwrap_or_default();
    let authcid = credentials.authentication_id.as_bytes();
    let passwd = credentials.password.expose();
    // Sized once: a buffer that grows would leave copies behind unwiped.
    let mut message = Vec::with_capacity(authzid.len() + authcid.len() + passwd.len() + 2);
    message.extend_from_slice(authzid.as_bytes());
    message.push(0);
    message.extend_from_slice(authcid);
    message.push(0);
    message.extend_from_slice(passwd);
    Secret::new(message)
}

/// A LOGIN user name: like PLAIN's authcid.
pub(super) fn login_user(response: &[u8]) -> Result<String, SaslError> {
    let bad = |reason| SaslError::malformed(Mechanism::Login, reason);
    match str::from_utf8(response) {
        Err(_) => Err(bad("the user name is not UTF-8")),
        Ok("") => Err(bad("empty user name")),
        Ok(name) if name.contains('\0') => Err(bad("NUL in the user name")),
        Ok(name) => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_4616_examples() {
        let tim = decode(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!(tim.authorization_id, None);
        assert_eq!(tim.authentication_id, "tim");
        assert_eq!(tim.password.expose(), b"tanstaaftanstaaf");
        let kurt = decode(b"Ursel\0Kurt\0xipj3plmq").unwrap();
        assert_eq!(kurt.authorization_id.as_deref(), Some("Ursel"));
        assert_eq!(kurt.authentication_id, "Kurt");
    }

    #[test]
    fn what_is_not_plain() {
        for bad in [
            &b""[..],
            b"tim",
            b"\0tim",
            b"\0\0secret",
            b"\0tim\0",
            b"\0tim\0secret\0",
            b"\0tim\0sec\0ret",
            b"\0\0\0",
            b"\0t\xFFm\0secret",
            b"\0tim\0\xC0\x80",
            b"\0tim\0\xED\xA0\x80",
        ] {
            assert!(
                matches!(decode(bad), Err(SaslError::Malformed { .. })),
                "{bad:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn round_trip(authzid in "[^\0]{0,40}", authcid in "[^\0]{1,40}", passwd in "[^\0]{1,40}") {
            let credentials = Credentials {
                authorization_id: (!authzid.is_empty()).then_some(authzid),
                authentication_id: authcid,
                password: Secret::new(passwd),
            };
            prop_assert_eq!(decode(encode(&credentials).expose()), Ok(credentials));
        }

        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&octets);
            let _ = login_user(&octets);
        }
    }
}
