//! Transcripts of both sides of ManageSieve.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proto_core::transcript::{self, Machine, Shown, Side};
use proto_core::{Misuse, Output, Secret, Step};
use sieve::Capabilities;
use sieve::managesieve::{Client, ClientConfig, ClientEvent, Code, Config, Event, Reply, Server};

struct ServerSide(Server);

fn show(event: &Event) -> String {
    let secret = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
    match event {
        Event::Authenticate(auth) => {
            let initial = auth.initial.as_ref().map(secret);
            format!("Authenticate {} {:?}", auth.mechanism, initial)
        }
        Event::AuthResponse(data) => format!("AuthResponse {:?}", secret(data)),
        other => format!("{other:?}"),
    }
}

impl Machine for ServerSide {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        let step = self.0.poll(input, now).map_err(|error| error.to_string())?;
        Ok(step.map(|event| Shown::Event(show(&event))))
    }

    transcript::forward!(0);

    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        let server = &mut self.0;
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "ok" => server.reply(Reply::ok()),
            "no" => server.reply(Reply::no(rest)),
            "nonexistent" => server.reply(Reply::no(rest).with_code(Code::Nonexistent)),
            "active" => server.reply(Reply::no(rest).with_code(Code::Active)),
            "quota" => server.reply(Reply::no(rest).with_code(Code::QuotaMaxSize)),
            "warnings" => server.reply(
                Reply::ok()
                    .with_code(Code::Warnings)
                    .with_text(rest.replace("\\n", "\r\n")),
            ),
            "authenticated" => server.authenticated(rest, None),
            "authenticated-with" => server.authenticated("bob", Some(rest.as_bytes())),
            "challenge" => server.challenge(rest.as_bytes()),
            "list" => {
                server.send_list(
                    rest.split_whitespace()
                        .map(|name| match name.strip_prefix('*') {
                            Some(name) => (name, true),
                            None => (name, false),
                        }),
                )
            }
            "script" => server.send_script(Bytes::from(rest.replace("\\n", "\r\n"))),
            "tls" => server.tls_started(),
            other => panic!("no answer {other}"),
        }
    }
}

struct ClientSide(Client);

impl Machine for ClientSide {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        let step = self.0.poll(input, now).map_err(|error| error.to_string())?;
        Ok(step.map(|event| {
            Shown::Event(match event {
                ClientEvent::Capabilities { list, .. } => {
                    let names: Vec<String> = list
                        .iter()
                        .map(|(name, value)| match value {
                            Some(value) => format!("{name}={value}"),
                            None => name.clone(),
                        })
                        .collect();
                    format!("Capabilities {}", names.join(", "))
                }
                ClientEvent::Reply { reply, .. } => {
                    format!("Reply {:?} {:?} {:?}", reply.status, reply.code, reply.text)
                }
                ClientEvent::List { scripts, .. } => {
                    let names: Vec<String> = scripts
                        .iter()
                        .map(|script| {
                            format!("{}{}", if script.active { "*" } else { "" }, script.name)
                        })
                        .collect();
                    format!("List {}", names.join(" "))
                }
                ClientEvent::Script { script, .. } => format!("Script {script:?}"),
                ClientEvent::Challenge(data) => {
                    format!("Challenge {:?}", Bytes::copy_from_slice(data.expose()))
                }
                ClientEvent::StartTls => "StartTls".to_owned(),
                ClientEvent::Bye(reply) => format!("Bye {:?}", reply.text),
                other => format!("{other:?}"),
            })
        }))
    }

    transcript::forward!(0);

    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        let client = &mut self.0;
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["auth", mechanism] => client.authenticate(mechanism, None).map(drop),
            ["auth", mechanism, initial] => client
                .authenticate(mechanism, Some(&Secret::new(*initial)))
                .map(drop),
            ["response", data] => client.auth_response(&Secret::new(*data)),
            ["cancel"] => client.auth_cancel(),
            ["starttls"] => client.starttls().map(drop),
            ["tls"] => client.tls_started(),
            ["capability"] => client.capability().map(drop),
            ["space", name, size] => client.have_space(name, size.parse().unwrap()).map(drop),
            ["put", name, script] => client.put_script(name, script.as_bytes()).map(drop),
            ["check", script] => client.check_script(script.as_bytes()).map(drop),
            ["list"] => client.list_scripts().map(drop),
            ["activate", name] => client.set_active(Some(name)).map(drop),
            ["deactivate"] => client.set_active(None).map(drop),
            ["get", name] => client.get_script(name).map(drop),
            ["delete", name] => client.delete_script(name).map(drop),
            ["rename", from, to] => client.rename_script(from, to).map(drop),
            ["noop"] => client.noop().map(drop),
            ["unauthenticate"] => client.unauthenticate().map(drop),
            other => panic!("no command {other:?}"),
        }
    }
}

fn server(script: &str) {
    transcript::run(script, Side::Server, |now| {
        let mut config = Config::default();
        config.implementation = "test".to_owned();
        config.capabilities = Capabilities::none().with("fileinto").with("vacation");
        config.starttls = true;
        config.mechanisms = vec!["SCRAM-SHA-256".to_owned()];
        config.mechanisms_tls = vec!["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()];
        config.max_script = 64;
        config.max_line = 256;
        config.max_faults = 3;
        ServerSide(Server::new(Arc::new(config), now))
    });
}

fn client(script: &str) {
    transcript::run(script, Side::Client, |now| {
        ClientSide(Client::new(Arc::new(ClientConfig::default()), now))
    });
}

#[test]
fn server_login() {
    server(include_str!("transcripts/server-login.txt"));
}

#[test]
fn server_scripts() {
    server(include_str!("transcripts/server-scripts.txt"));
}

#[test]
fn server_faults() {
    server(include_str!("transcripts/server-faults.txt"));
}

#[test]
fn server_ends() {
    server(include_str!("transcripts/server-timeout.txt"));
    server(include_str!("transcripts/server-idle.txt"));
    server(include_str!("transcripts/server-unauthenticated.txt"));
    server(include_str!("transcripts/server-shutdown.txt"));
    server(include_str!("transcripts/server-guesses.txt"));
}

#[test]
fn client_session() {
    client(include_str!("transcripts/client-session.txt"));
}

#[test]
fn client_faults() {
    client(include_str!("transcripts/client-bye.txt"));
    client(include_str!("transcripts/client-unasked.txt"));
    client(include_str!("transcripts/client-timeout.txt"));
}

#[test]
fn octets_behind_starttls_are_fatal() {
    let now = Instant::now();
    let mut config = Config::default();
    config.starttls = true;
    let mut server = Server::new(Arc::new(config), now);
    let mut input = BytesMut::from("STARTTLS\r\nNOOP\r\n");
    assert!(server.poll(&mut input, now).is_err());
    let mut client = Client::new(Arc::new(ClientConfig::default()), now);
    let mut input = BytesMut::from("OK\r\n");
    assert!(matches!(client.poll(&mut input, now), Ok(Step::Event(_))));
    client.starttls().unwrap();
    let mut input = BytesMut::from("OK\r\n\"SIEVE\" \"evil\"\r\nOK\r\n");
    assert!(client.poll(&mut input, now).is_err());
}

#[test]
fn both_sides_together() {
    let now = Instant::now();
    let mut server = Server::new(Arc::new(Config::default()), now);
    let mut client = Client::new(Arc::new(ClientConfig::default()), now);
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let source = b"keep; # \xC3\xA4 \"quoted\"\r\n";
    let mut got = None;
    let mut asked = false;
    for _ in 0..100 {
        move_octets(server.output(), &mut to_client);
        move_octets(client.output(), &mut to_server);
        if let Ok(Step::Event(event)) = client.poll(&mut to_client, now) {
            match event {
                ClientEvent::Capabilities { .. } => {
                    client
                        .authenticate("PLAIN", Some(&Secret::new(b"\0u\0p".to_vec())))
                        .unwrap();
                }
                ClientEvent::Reply { .. } if !asked => {
                    asked = true;
                    // Pipelined.
                    client.put_script("a \"b\"", source).unwrap();
                    client.get_script("a \"b\"").unwrap();
                }
                ClientEvent::Script { script, .. } => got = Some(script),
                _ => {}
            }
        }
        if let Ok(Step::Event(event)) = server.poll(&mut to_server, now) {
            match event {
                Event::Authenticate(_) => server.authenticated("u", None).unwrap(),
                Event::PutScript { name, script } => {
                    assert_eq!((name.as_str(), &script[..]), ("a \"b\"", &source[..]));
                    server.reply(Reply::ok()).unwrap();
                }
                Event::GetScript(_) => server.send_script(Bytes::from_static(source)).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(got.as_deref(), Some(&source[..]));
}

fn move_octets(from: &mut Output, to: &mut BytesMut) {
    use bytes::Buf;
    while from.has_remaining() {
        let chunk = from.chunk().to_vec();
        to.extend_from_slice(&chunk);
        from.advance(chunk.len());
    }
}
