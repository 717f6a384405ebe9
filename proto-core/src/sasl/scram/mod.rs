//! SCRAM (RFC 5802, RFC 7677): the password never crosses the wire, the
//! server need not store it, and the server proves itself too.

mod client;
mod hash;
mod keys;
mod message;
mod server;

pub use client::ScramClient;
pub use hash::ScramHash;
pub use keys::{KeysError, StoredKeys};
pub use server::ScramServer;

use stringprep::saslprep;

/// Most iterations that a client will compute: a server that asks for more
/// would only burn the client's time.
const MAX_ITERATIONS: u32 = 1_000_000;

/// Fewest iterations that a client accepts (RFC 7677 §4): fewer let a false
/// server guess the password from the proof more cheaply.
const MIN_ITERATIONS: u32 = 4096;

/// SASLprep (RFC 4013); `None` where it forbids the text.
fn prepare(text: &str) -> Option<String> {
    let prepared = saslprep(text).ok()?;
    (!prepared.is_empty()).then(|| prepared.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use crate::sasl::{Credentials, SaslClient, SaslError, SaslServer, ServerStep};

    fn credentials(password: &str) -> Credentials {
        Credentials {
            authorization_id: None,
            authentication_id: "user".into(),
            password: Secret::new(password),
        }
    }

    struct Vector {
        hash: ScramHash,
        client_nonce: &'static str,
        server_nonce: &'static str,
        salt: &'static [u8],
        messages: [&'static str; 4],
    }

    // RFC 5802 §5 and RFC 7677 §3.
    const VECTORS: [Vector; 2] = [
        Vector {
            hash: ScramHash::Sha1,
            client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
            server_nonce: "3rfcNHYJY1ZVvWVs7j",
            salt: &[
                0x41, 0x25, 0xc2, 0x47, 0xe4, 0x3a, 0xb1, 0xe9, 0x3c, 0x6d, 0xff, 0x76,
            ],
            messages: [
                "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ],
        },
        Vector {
            hash: ScramHash::Sha256,
            client_nonce: "rOprNGfwEbeRWgbNEkqO",
            server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            salt: &[
                0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36,
                0xfa, 0x81,
            ],
            messages: [
                "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ],
        },
    ];

    #[test]
    fn the_rfcs_exchanges() {
        for vector in VECTORS {
            let pencil = credentials("pencil");
            let mut client = SaslClient::scram(vector.hash, &pencil, vector.client_nonce).unwrap();
            let mut server = SaslServer::scram(vector.hash, vector.server_nonce);
            let first = client.initial_response().unwrap();
            assert_eq!(first.expose(), vector.messages[0].as_bytes());
            let step = server.start(Some(first.expose())).unwrap();
            assert_eq!(
                step,
                ServerStep::NeedKeys {
                    authentication_id: "user".into()
                }
            );
            let keys = StoredKeys::derive(vector.hash, "pencil", vector.salt, 4096).unwrap();
            let step = server.stored_keys(keys).unwrap();
            assert_eq!(step, ServerStep::Challenge(vector.messages[1].into()));
            let last = client.step(vector.messages[1].as_bytes()).unwrap();
            assert_eq!(last.expose(), vector.messages[2].as_bytes());
            let step = server.step(last.expose()).unwrap();
            assert_eq!(step, ServerStep::Challenge(vector.messages[3].into()));
            assert!(!client.is_complete());
            let empty = client.step(vector.messages[3].as_bytes()).unwrap();
            assert_eq!(empty.expose(), b"");
            assert!(client.is_complete());
            assert_eq!(
                server.step(empty.expose()).unwrap(),
                ServerStep::Proven {
                    authorization_id: None,
                    authentication_id: "user".into()
                }
            );
        }
    }

    #[test]
    fn wrong_passwords_and_decoys_fail_at_the_same_place() {
        for keys in [
            StoredKeys::derive(ScramHash::Sha256, "pencil", b"salt", 4096).unwrap(),
            StoredKeys::decoy(ScramHash::Sha256, "user", b"server's secret", 4096),
        ] {
            let mut client =
                SaslClient::scram(ScramHash::Sha256, &credentials("pen"), "abc").unwrap();
            let mut server = SaslServer::scram(ScramHash::Sha256, "def");
            let first = client.initial_response().unwrap();
            server.start(Some(first.expose())).unwrap();
            let ServerStep::Challenge(challenge) = server.stored_keys(keys).unwrap() else {
                panic!()
            };
            let last = client.step(&challenge).unwrap();
            assert_eq!(
                server.step(last.expose()),
                Err(SaslError::Proof {
                    mechanism: "SCRAM-SHA-256"
                })
            );
        }
    }

    #[test]
    fn decoys_are_stable_and_differ() {
        let decoy = |user| StoredKeys::decoy(ScramHash::Sha1, user, b"secret", 4096);
        assert_eq!(decoy("a"), decoy("a"));
        assert_ne!(decoy("a"), decoy("b"));
    }

    #[test]
    fn false_servers() {
        let client = || {
            let mut client =
                SaslClient::scram(ScramHash::Sha256, &credentials("pencil"), "abc").unwrap();
            client.initial_response().unwrap();
            client
        };
        for bad in [
            "",
            "r=xyz,s=c2FsdA==,i=4096",
            "r=abc,s=c2FsdA==,i=4096",
            "r=abcdef,s=c2FsdA==,i=1",
            "r=abcdef,s=c2FsdA==,i=99999999",
            "r=abcdef,s=,i=4096",
            "r=abcdef,s=%,i=4096",
            "m=x,r=abcdef,s=c2FsdA==,i=4096",
        ] {
            assert!(client().step(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["v=AAAA", "", "v=", "e=other-error", "x=y"] {
            let mut client = client();
            client.step(b"r=abcdef,s=c2FsdA==,i=4096").unwrap();
            assert!(client.step(bad.as_bytes()).is_err(), "{bad}");
            assert!(!client.is_complete());
        }
    }

    #[test]
    fn false_clients() {
        for bad in [
            "",
            "n,,",
            "n,,n=,r=abc",
            "n,,n=user",
            "n,,n=us=er,r=abc",
            "n,,n=user,r=",
            "n,,m=ext,n=user,r=abc",
            "p=tls-unique,,n=user,r=abc",
            "n=user,r=abc",
            "n,,r=abc,n=user",
        ] {
            let mut server = SaslServer::scram(ScramHash::Sha256, "def");
            assert!(server.start(Some(bad.as_bytes())).is_err(), "{bad}");
        }
        for bad in [
            "c=biws,r=abcdef",
            "c=eSws,r=abcdef,p=AAAA",
            "c=biws,r=abc,p=AAAA",
            "c=biws,r=abcdef,p=%",
            "r=abcdef,p=AAAA",
        ] {
            let mut server = SaslServer::scram(ScramHash::Sha256, "def");
            server.start(Some(b"n,,n=user,r=abc")).unwrap();
            let keys = StoredKeys::derive(ScramHash::Sha256, "pencil", b"salt", 4096).unwrap();
            server.stored_keys(keys).unwrap();
            assert!(server.step(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_channel_binding_flag_y_is_carried_through() {
        let mut server = SaslServer::scram(ScramHash::Sha1, "def");
        server.start(Some(b"y,a=bo=2Css,n=user,r=abc")).unwrap();
        let keys = StoredKeys::derive(ScramHash::Sha1, "pencil", b"salt", 4096).unwrap();
        assert!(server.stored_keys(keys).is_ok());
        assert!(matches!(
            server.step(b"c=biws,r=abcdef,p=AAAA"),
            Err(SaslError::Malformed { .. })
        ));
    }
}
