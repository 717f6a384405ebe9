//! What every mail server is put through: it gets messages from our client
//! and sends them on to our server.
//!
//! It is to send mail for `bare.example` and `full.example` to the two hosts,
//! in the clear and without a login to the one, by TLS and with a login to
//! the other; to refuse `refused@` both; and to know the user of `host.rs`.

use proto_core::sasl::Mechanism;
use smtp_proto::{Notify, NotifyOn, ReversePath, Status, Verb};

use crate::caller::{Call, Parcel, Tls, address, send};
use crate::host::{Host, Offer, Taken, USER};
use crate::messages;

/// What is known of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) auth: &'static [Mechanism],
    pub(crate) pipelining: bool,
    pub(crate) chunking: bool,
    pub(crate) smtputf8: bool,
    /// Whether it sends by BDAT where that is offered.
    pub(crate) sends_chunks: bool,
}

/// Where servers send mail on to.
pub(crate) struct Hosts {
    pub(crate) bare: Host,
    pub(crate) full: Host,
}

impl Hosts {
    pub(crate) async fn start() -> Self {
        let full = Offer {
            auth: true,
            ..Offer::FULL
        };
        Self {
            bare: Host::start(Offer::BARE).await,
            full: Host::start(full).await,
        }
    }

    async fn wait_for(&self, domain: &str, what: &str, is: impl Fn(&Taken) -> bool) -> Taken {
        match domain {
            "bare.example" => self.bare.wait_for(what, is).await,
            _ => self.full.wait_for(what, is).await,
        }
    }
}

const DOMAINS: [&str; 2] = ["bare.example", "full.example"];

/// Puts a server through everything.
pub(crate) async fn through(peer: Peer, hosts: &Hosts) {
    let ways = [Tls::None, Tls::Start].into_iter();
    for tls in ways.filter(|tls| peer.tls || *tls == Tls::None) {
        for chunking in [false, true] {
            messages_arrive(peer, hosts, tls, chunking).await;
        }
    }
    notifications_are_asked_for(peer, hosts).await;
    logins(peer, hosts).await;
    other_alphabets(peer, hosts).await;
    a_bounce_comes_back(peer, hosts).await;
    assert_eq!(hosts.bare.faults(), <[&str; 0]>::default());
    assert_eq!(hosts.full.faults(), <[&str; 0]>::default());
}

/// Several transactions on a connection, several recipients of which one is
/// refused.
async fn messages_arrive(peer: Peer, hosts: &Hosts, tls: Tls, chunking: bool) {
    let call = Call {
        tls,
        chunking,
        ..Call::new(peer.port)
    };
    for domain in DOMAINS {
        let to = |local: &str| format!("{local}@{domain}");
        let (one, none, two) = (to("one"), to("refused"), to("two"));
        let parcels: Vec<Parcel> = messages::all()
            .into_iter()
            .map(|content| Parcel::new(&[&one, &none, &two], content))
            .collect();
        let answer = send(call, &parcels).await;
        assert_eq!(answer.offered.pipelining, peer.pipelining);
        assert_eq!(answer.offered.chunking, peer.chunking);
        assert_eq!(answer.offered.smtputf8, peer.smtputf8);
        assert!(answer.offered.dsn && answer.offered.eight_bit_mime);
        for fates in &answer.fates {
            assert_eq!(
                [fates[0].status, fates[1].status, fates[2].status],
                [Status::Delivered, Status::Bounced, Status::Delivered],
                "{fates:?}"
            );
            assert_eq!(fates[1].command, Some(Verb::Rcpt));
        }
        for parcel in &parcels {
            let id = messages::id(&parcel.content);
            for to in [&one, &two] {
                let path = format!("<{to}>");
                let came = |taken: &Taken| {
                    taken.to().contains(&path) && messages::id(&taken.content) == id
                };
                let what = format!("{id} to {to} with {call:?}");
                let taken = hosts.wait_for(domain, &what, came).await;
                messages::assert_same(&taken.content, &parcel.content);
                assert_eq!(taken.mail.reverse_path, parcel.mail.reverse_path);
                let full = domain == "full.example";
                assert_eq!(taken.tls, full);
                assert_eq!(taken.user.is_some(), full);
                assert_eq!(taken.chunked, full && peer.sends_chunks, "{what}");
            }
        }
    }
}

/// DSN's parameters come to the next server as they were given. A recipient
/// for each message: OpenSMTPD 6.8 refuses NEVER behind another's DELAY.
async fn notifications_are_asked_for(peer: Peer, hosts: &Hosts) {
    let late = Notify::On(NotifyOn {
        failure: true,
        delay: true,
        ..NotifyOn::default()
    });
    for domain in DOMAINS {
        let to = format!("one@{domain}");
        let parcels =
            [late, Notify::Never].map(|on| Parcel::new(&[&to], messages::dots()).with_dsn(on));
        let answer = send(Call::new(peer.port), &parcels).await;
        assert!(answer.all_delivered(), "{answer:?}");
        for parcel in &parcels {
            let id = messages::id(&parcel.content);
            let came = |taken: &Taken| messages::id(&taken.content) == id;
            let taken = hosts.wait_for(domain, &id, came).await;
            assert_eq!(taken.mail.ret, parcel.mail.ret);
            assert_eq!(taken.mail.envid, parcel.mail.envid);
            assert_eq!(taken.recipients.len(), 1);
            assert_eq!(taken.recipients[0].notify, parcel.recipients[0].notify);
            assert_eq!(taken.recipients[0].orcpt, parcel.recipients[0].orcpt);
        }
    }
}

async fn logins(peer: Peer, hosts: &Hosts) {
    for mechanism in peer.auth {
        let call = Call {
            tls: Tls::Start,
            login: Some(*mechanism),
            ..Call::new(peer.port)
        };
        let parcel = Parcel::new(&["one@full.example"], messages::dots());
        let answer = send(call, std::slice::from_ref(&parcel)).await;
        assert!(answer.all_delivered(), "{answer:?}");
        let id = messages::id(&parcel.content);
        let came = |taken: &Taken| messages::id(&taken.content) == id;
        let taken = hosts.full.wait_for(&id, came).await;
        assert_eq!(taken.user.as_deref(), Some(USER));
    }
}

/// SMTPUTF8 where it is offered; where not, nobody is asked to take it.
async fn other_alphabets(peer: Peer, hosts: &Hosts) {
    let mut parcel = Parcel::new(&["пример@full.example"], messages::eight_bit());
    parcel.mail.reverse_path = ReversePath::Address(address("grüße@near.example"));
    parcel.mail.smtputf8 = true;
    let answer = send(Call::new(peer.port), std::slice::from_ref(&parcel)).await;
    if !peer.smtputf8 {
        let fate = &answer.fates[0][0];
        assert_eq!((fate.status, fate.command), (Status::Bounced, None));
        return;
    }
    assert!(answer.all_delivered(), "{answer:?}");
    let came = |taken: &Taken| taken.mail.smtputf8;
    let taken = hosts.full.wait_for("mail in other alphabets", came).await;
    messages::assert_same(&taken.content, &parcel.content);
    assert_eq!(taken.to(), ["<пример@full.example>"]);
    assert_eq!(taken.mail.reverse_path, parcel.mail.reverse_path);
}

/// What our server refuses, the peer reports to the sender.
async fn a_bounce_comes_back(peer: Peer, hosts: &Hosts) {
    let mut parcel = Parcel::new(&["refused-later@full.example"], messages::dots());
    parcel.mail.reverse_path = ReversePath::Address(address("back@bare.example"));
    let answer = send(Call::new(peer.port), std::slice::from_ref(&parcel)).await;
    assert!(answer.all_delivered(), "{answer:?}");
    let bounce = |taken: &Taken| taken.mail.reverse_path == ReversePath::Null;
    let taken = hosts.bare.wait_for("a bounce", bounce).await;
    assert_eq!(taken.to(), ["<back@bare.example>"]);
    let text = String::from_utf8_lossy(&taken.content);
    assert!(text.contains("refused-later@full.example"), "{text}");
    assert!(text.contains("no such user"), "{text}");
}
