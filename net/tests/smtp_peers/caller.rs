//! Our client: one connection, some messages.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use net::tls::PeerName;
use net::{Conn, Stream};
use proto_core::sasl::{Credentials, Mechanism, SaslClient};
use smtp_proto::{
    Address, Body, Capabilities, Client, ClientConfig, ClientEvent, Mail, Mode, Notify, Orcpt,
    Rcpt, Recipient, Ret, Secret, Status,
};
use tokio::net::TcpStream;

use crate::host::{PASSWORD, USER};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    None,
    Start,
    Implicit,
}

/// How to call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) port: u16,
    pub(crate) mode: Mode,
    pub(crate) tls: Tls,
    pub(crate) login: Option<Mechanism>,
    pub(crate) chunking: bool,
}

impl Call {
    pub(crate) fn new(port: u16) -> Self {
        Self {
            port,
            mode: Mode::Smtp,
            tls: Tls::None,
            login: None,
            chunking: true,
        }
    }
}

/// A message with its envelope.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) mail: Mail,
    pub(crate) recipients: Vec<Rcpt>,
    pub(crate) content: Vec<u8>,
}

impl Parcel {
    /// To `to`, with all the parameters that the servers know.
    pub(crate) fn new(to: &[&str], content: Vec<u8>) -> Self {
        let mut mail = Mail::new(address("sender@near.example"));
        mail.size = Some(content.len() as u64);
        if !content.is_ascii() {
            mail.body = Some(Body::EightBitMime);
        }
        Self {
            mail,
            recipients: to.iter().map(|to| Rcpt::new(address(to))).collect(),
            content,
        }
    }

    /// With what the sender wants to be told of all its recipients.
    pub(crate) fn with_dsn(mut self, notify: Notify) -> Self {
        self.mail.ret = Some(Ret::Hdrs);
        self.mail.envid = Some("QQ+314 159=".into());
        for rcpt in &mut self.recipients {
            rcpt.notify = Some(notify);
            let orcpt = Orcpt::new("rfc822", "first+name@elsewhere.example");
            rcpt.orcpt = Some(orcpt.unwrap());
        }
        self
    }
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Of the last greeting.
    pub(crate) offered: Capabilities,
    /// For each message, for each of its recipients.
    pub(crate) fates: Vec<Vec<Recipient>>,
}

impl Answer {
    pub(crate) fn statuses(&self) -> Vec<Vec<Status>> {
        let of = |fates: &Vec<Recipient>| fates.iter().map(|fate| fate.status).collect();
        self.fates.iter().map(of).collect()
    }

    pub(crate) fn all_delivered(&self) -> bool {
        let mut fates = self.fates.iter().flatten();
        fates.all(|fate| fate.status == Status::Delivered)
    }
}

/// Sends all parcels by one connection.
pub(crate) async fn send(call: Call, parcels: &[Parcel]) -> Answer {
    let mut config = match call.mode {
        Mode::Smtp => ClientConfig::new("caller.example").unwrap(),
        Mode::Lmtp => ClientConfig::lmtp("caller.example").unwrap(),
    };
    config.chunking = call.chunking;
    let mut client = Client::new(Arc::new(config), Instant::now());
    let connector = net::tls::opportunistic_connector().unwrap();
    let name = || PeerName::try_from("localhost").unwrap();
    let socket = TcpStream::connect(("127.0.0.1", call.port)).await.unwrap();
    let stream = if call.tls == Tls::Implicit {
        client.tls_started().unwrap();
        Stream::connect_tls(socket, &connector, name())
            .await
            .unwrap()
    } else {
        Stream::from(socket)
    };
    let mut conn = Conn::new(stream, client);
    let mut left = parcels.iter();
    let mut rest = Bytes::new();
    let mut sasl = None;
    let mut fates: Vec<Vec<Option<Recipient>>> = Vec::new();
    let mut offered = Capabilities::default();
    while let Some(event) = conn.next().await.unwrap() {
        let next = match event {
            ClientEvent::Ready => {
                offered = conn.machine().capabilities().clone();
                if call.tls == Tls::Start && !conn.stream().is_tls() {
                    conn.machine().start_tls().unwrap();
                    false
                } else if let Some(mechanism) = call.login {
                    let mut exchange = login(mechanism);
                    let initial = exchange.initial_response();
                    let initial = initial.as_ref().map(|secret| secret.expose());
                    conn.machine().auth(mechanism.name(), initial).unwrap();
                    sasl = Some(exchange);
                    false
                } else {
                    true
                }
            }
            ClientEvent::StartTls(_) => {
                conn.connect_tls(&connector, name()).await.unwrap();
                false
            }
            ClientEvent::AuthChallenge(challenge) => {
                let response = sasl.as_mut().unwrap().step(challenge.expose()).unwrap();
                conn.machine().respond(response.expose()).unwrap();
                false
            }
            ClientEvent::Authenticated(_) => true,
            ClientEvent::PayloadWanted => {
                let chunk = rest.split_to(rest.len().min(10_000));
                match chunk.is_empty() {
                    true => conn.machine().end_payload().unwrap(),
                    false => conn.machine().send_payload(chunk).unwrap(),
                }
                false
            }
            ClientEvent::Recipient(recipient) => {
                let index = recipient.index;
                let told = fates.last_mut().unwrap()[index].replace(recipient);
                assert!(told.is_none(), "told twice of {index}");
                false
            }
            ClientEvent::TransactionEnd => true,
            other => panic!("{other:?}"),
        };
        if next {
            match left.next() {
                Some(parcel) => {
                    rest = Bytes::from(parcel.content.clone());
                    fates.push(vec![None; parcel.recipients.len()]);
                    let (mail, recipients) = (parcel.mail.clone(), parcel.recipients.clone());
                    conn.machine().begin(mail, recipients).unwrap();
                }
                None => conn.machine().quit().unwrap(),
            }
        }
    }
    let told = |fates: Vec<Option<Recipient>>| fates.into_iter().map(Option::unwrap).collect();
    Answer {
        offered,
        fates: fates.into_iter().map(told).collect(),
    }
}

fn login(mechanism: Mechanism) -> SaslClient {
    let credentials = Credentials {
        authorization_id: None,
        authentication_id: USER.into(),
        password: Secret::new(PASSWORD),
    };
    match mechanism {
        Mechanism::Login => SaslClient::login(&credentials).unwrap(),
        _ => SaslClient::plain(&credentials).unwrap(),
    }
}
