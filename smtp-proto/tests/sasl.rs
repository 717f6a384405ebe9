//! AUTH through both machines, each host stepping its side of the mechanism.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use proto_core::Secret;
use proto_core::sasl::scram::{ScramHash, StoredKeys};
use proto_core::sasl::{Credentials, Mechanism, SaslClient, SaslError, SaslServer, ServerStep};
use smtp_proto::{Client, ClientConfig, ClientEvent, Config, Event, Misuse, Reply, Server, Step};

const PASSWORD: &str = "pencil";

fn credentials(password: &str) -> Credentials {
    Credentials {
        authorization_id: None,
        authentication_id: "user".into(),
        password: Secret::new(password),
    }
}

fn client_side(mechanism: Mechanism, password: &str) -> SaslClient {
    let credentials = credentials(password);
    match mechanism {
        Mechanism::ScramSha256 => {
            SaslClient::scram(ScramHash::Sha256, &credentials, "rOprNGfwEbeRWgbNEkqO").unwrap()
        }
        _ => SaslClient::plain(&credentials).unwrap(),
    }
}

fn server_side(mechanism: Mechanism) -> SaslServer {
    match mechanism {
        Mechanism::ScramSha256 => SaslServer::scram(ScramHash::Sha256, "hvYDpWUa2RaTCAfuxFIlj"),
        other => SaslServer::new(other),
    }
}

/// Does what the server's side of the mechanism says; gives the user who is
/// now logged in.
fn answer(
    machine: &mut Server,
    sasl: &mut SaslServer,
    step: Result<ServerStep, SaslError>,
) -> Result<Option<String>, Misuse> {
    let success = Reply::new(235, [2, 7, 0], "Authentication successful");
    let failure = Reply::new(535, [5, 7, 8], "Error: authentication failed");
    match step {
        Ok(ServerStep::Challenge(challenge)) => machine.challenge(&challenge).map(|()| None),
        Ok(ServerStep::Credentials(given)) => {
            let right = given == credentials(PASSWORD);
            machine.reply(if right { success } else { failure })?;
            Ok(right.then_some(given.authentication_id))
        }
        Ok(ServerStep::NeedKeys { .. }) => {
            let keys = StoredKeys::derive(ScramHash::Sha256, PASSWORD, b"salt", 4096).unwrap();
            let step = sasl.stored_keys(keys);
            answer(machine, sasl, step)
        }
        Ok(ServerStep::Proven {
            authentication_id, ..
        }) => machine.reply(success).map(|()| Some(authentication_id)),
        _ => machine.reply(failure).map(|()| None),
    }
}

/// What came of an exchange: what the client was told, whether its side of
/// the mechanism may believe it, and whom the server let in.
#[derive(Debug, PartialEq)]
struct Outcome {
    code: u16,
    believed: bool,
    user: Option<String>,
}

/// Logs in with `password`, octets moving `cut` at a time; `forged` replaces
/// what the server proves of itself.
fn log_in(mechanism: Mechanism, password: &str, cut: usize, forged: bool) -> Outcome {
    let now = Instant::now();
    let mut config = Config::new("mx.example");
    config.extensions.auth = vec![mechanism.name().into()];
    let mut server = Server::new(Arc::new(config), now);
    server.tls_started().unwrap();
    let config = ClientConfig::new("client.example").unwrap();
    let mut client = Client::new(Arc::new(config), now);
    client.tls_started().unwrap();
    let (mut server_sasl, mut client_sasl) =
        (server_side(mechanism), client_side(mechanism, password));
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let (mut user, mut code) = (None, 0);
    loop {
        let step = server.poll(&mut to_server, now).unwrap();
        let idle = !matches!(step, Step::Event(_));
        if let Step::Event(event) = step {
            let step = match event {
                Event::Auth(start) => {
                    assert_eq!(start.mechanism.as_ref(), mechanism.name());
                    let initial = start.initial_response.as_ref();
                    Some(server_sasl.start(initial.map(Secret::expose)))
                }
                Event::AuthData(response) => Some(server_sasl.step(response.expose())),
                Event::Rejected(rejected) => panic!("{rejected:?}"),
                _ => None,
            };
            if let Some(step) = step {
                let step = step.map(|step| match step {
                    ServerStep::Challenge(proof) if forged && proof.starts_with(b"v=") => {
                        ServerStep::Challenge(
                            b"v=Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2VkIGZvcmc=".into(),
                        )
                    }
                    step => step,
                });
                user = answer(&mut server, &mut server_sasl, step)
                    .unwrap()
                    .or(user);
            }
        }
        match client.poll(&mut to_client, now).unwrap() {
            Step::Event(ClientEvent::Ready) => {
                assert!(client.capabilities().has_auth(mechanism.name()));
                let initial = client_sasl.initial_response();
                client
                    .auth(mechanism.name(), initial.as_ref().map(Secret::expose))
                    .unwrap();
            }
            Step::Event(ClientEvent::AuthChallenge(challenge)) => {
                match client_sasl.step(challenge.expose()) {
                    Ok(response) => client.respond(response.expose()).unwrap(),
                    Err(_) => client.cancel_auth().unwrap(),
                }
            }
            Step::Event(ClientEvent::Authenticated(reply) | ClientEvent::AuthFailed(reply)) => {
                code = reply.code();
                client.quit().unwrap();
            }
            Step::Event(_) => {}
            Step::Closed => {
                let believed = client_sasl.is_complete();
                return Outcome {
                    code,
                    believed,
                    user,
                };
            }
            _ if idle => {
                let count = client.output().len().min(cut);
                to_server.extend_from_slice(&client.output().copy_to_bytes(count));
                let count = server.output().len().min(cut);
                to_client.extend_from_slice(&server.output().copy_to_bytes(count));
            }
            _ => {}
        }
    }
}

#[test]
fn the_right_password_is_let_in() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        for cut in [1, 7, usize::MAX] {
            let outcome = log_in(mechanism, PASSWORD, cut, false);
            let expected = Outcome {
                code: 235,
                believed: true,
                user: Some("user".into()),
            };
            assert_eq!(outcome, expected, "{mechanism}");
        }
    }
}

#[test]
fn a_wrong_password_is_not() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        let outcome = log_in(mechanism, "pencils", usize::MAX, false);
        assert_eq!((outcome.code, outcome.user), (535, None), "{mechanism}");
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_left() {
    let outcome = log_in(Mechanism::ScramSha256, PASSWORD, usize::MAX, true);
    let expected = Outcome {
        code: 501,
        believed: false,
        user: None,
    };
    assert_eq!(outcome, expected);
}
