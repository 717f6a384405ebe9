//! Our server: takes what it is given and remembers it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use net::tls::TlsAcceptor;
use net::{Conn, ConnError, Listener, ListenerLimits, Stream};
use proto_core::sasl::{Mechanism, SaslServer, ServerStep};
use smtp_proto::{Config, Event, Mail, Mode, Rcpt, Reply, Server};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::bed::{PATIENCE, certificate};

pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "wonder land";

/// What a host offers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) mode: Mode,
    pub(crate) starttls: bool,
    pub(crate) implicit_tls: bool,
    /// AUTH under TLS, and no mail without it.
    pub(crate) auth: bool,
    pub(crate) chunking: bool,
    pub(crate) pipelining: bool,
}

impl Offer {
    /// Everything, and no need of a login.
    pub(crate) const FULL: Self = Self {
        mode: Mode::Smtp,
        starttls: true,
        implicit_tls: false,
        auth: false,
        chunking: true,
        pipelining: true,
    };

    /// As little as a server may offer.
    pub(crate) const BARE: Self = Self {
        starttls: false,
        chunking: false,
        pipelining: false,
        ..Self::FULL
    };
}

/// A message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) mail: Mail,
    pub(crate) recipients: Vec<Rcpt>,
    pub(crate) content: Vec<u8>,
    pub(crate) chunked: bool,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    /// As which message of its connection it came, 0-based.
    pub(crate) place: usize,
}

impl Taken {
    pub(crate) fn to(&self) -> Vec<String> {
        let paths = self.recipients.iter();
        paths.map(|rcpt| rcpt.forward_path.to_string()).collect()
    }
}

#[derive(Default)]
struct Seen {
    taken: Vec<Taken>,
    faults: Vec<String>,
}

/// A running server; ended when dropped.
pub(crate) struct Host {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Host {
    pub(crate) async fn start(offer: Offer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate(folder.path());
        let acceptor = net::tls::acceptor(&certificate, &key).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(address, ListenerLimits::default())
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = watch::channel(false);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let remembered = Arc::clone(&seen);
        let session = move |socket, _| {
            let (seen, acceptor) = (Arc::clone(&remembered), acceptor.clone());
            async move {
                if let Err(error) = serve(socket, offer, &acceptor, &seen).await {
                    seen.lock().unwrap().faults.push(error.to_string());
                }
            }
        };
        let grace = Duration::ZERO;
        tokio::spawn(listener.serve(stopped, grace, session, |_, _| async {}));
        Self {
            port,
            seen,
            _stop: stop,
            _folder: folder,
        }
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.seen.lock().unwrap().taken.clone()
    }

    /// What its clients did wrong.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.seen.lock().unwrap().faults.clone()
    }

    /// Waits until so many things were done wrong, and no more.
    pub(crate) async fn wait_for_faults(&self, count: usize) {
        let start = Instant::now();
        while self.faults().len() < count {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.faults());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.faults().len(), count, "{:?}", self.faults());
    }

    /// Waits for a message that is as asked.
    pub(crate) async fn wait_for(&self, what: &str, is: impl Fn(&Taken) -> bool) -> Taken {
        let start = Instant::now();
        loop {
            if let Some(taken) = self.taken().into_iter().find(&is) {
                return taken;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain: {what}\nfaults: {:?}",
                self.faults()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn config(offer: Offer) -> Arc<Config> {
    let mut config = match offer.mode {
        Mode::Smtp => Config::new("host.example"),
        Mode::Lmtp => Config::lmtp("host.example"),
    };
    let extensions = &mut config.extensions;
    extensions.starttls = offer.starttls;
    extensions.chunking = offer.chunking;
    extensions.binary_mime = offer.chunking;
    extensions.pipelining = offer.pipelining;
    extensions.smtputf8 = true;
    extensions.dsn = true;
    if offer.auth {
        extensions.auth = vec!["PLAIN".into(), "LOGIN".into()];
        config.auth_required = true;
    }
    Arc::new(config)
}

async fn serve(
    socket: TcpStream,
    offer: Offer,
    acceptor: &TlsAcceptor,
    seen: &Mutex<Seen>,
) -> Result<(), ConnError> {
    let mut machine = Server::new(config(offer), Instant::now());
    let stream = if offer.implicit_tls {
        machine.tls_started()?;
        Stream::accept_tls(socket, acceptor).await?
    } else {
        Stream::from(socket)
    };
    let mut conn = Conn::new(stream, machine);
    let ok = || Reply::new(250, [2, 0, 0], "Ok");
    let mut sasl: Option<SaslServer> = None;
    let mut user: Option<String> = None;
    let mut open: Option<Taken> = None;
    let mut place = 0;
    while let Some(event) = conn.next().await? {
        match event {
            Event::Mail(mail) => {
                open = Some(Taken {
                    mail,
                    recipients: Vec::new(),
                    content: Vec::new(),
                    chunked: false,
                    tls: conn.stream().is_tls(),
                    user: user.clone(),
                    place,
                });
                conn.machine().reply(ok())?;
            }
            Event::Rcpt(rcpt) => {
                if starts(&rcpt, "refused") {
                    let reply = Reply::new(550, [5, 1, 1], "no such user");
                    conn.machine().reply(reply)?;
                } else {
                    open.as_mut().unwrap().recipients.push(rcpt);
                    conn.machine().reply(ok())?;
                }
            }
            Event::PayloadStart(payload) => {
                open.as_mut().unwrap().chunked = payload.chunked;
                conn.machine().accept_payload()?;
            }
            Event::Payload(chunk) => open.as_mut().unwrap().content.extend_from_slice(&chunk),
            Event::PayloadEnd => {
                let taken = open.take().unwrap();
                let full = |rcpt: &Rcpt| match starts(rcpt, "full") {
                    true => Reply::new(452, [4, 2, 2], "mailbox full"),
                    false => ok(),
                };
                let replies: Vec<Reply> = match offer.mode {
                    Mode::Smtp => vec![ok()],
                    Mode::Lmtp => taken.recipients.iter().map(full).collect(),
                };
                place += 1;
                seen.lock().unwrap().taken.push(taken);
                for reply in replies {
                    conn.machine().reply(reply)?;
                }
            }
            Event::StartTls => {
                conn.machine().reply(Reply::new(220, [2, 0, 0], "Go"))?;
                conn.accept_tls(acceptor).await?;
            }
            Event::Auth(start) => {
                let mechanism = Mechanism::from_name(&start.mechanism).unwrap();
                let mut server = SaslServer::new(mechanism);
                let initial = start.initial_response.as_ref();
                let step = server.start(initial.map(|secret| secret.expose()));
                sasl = Some(server);
                user = answer(&mut conn, step.ok())?;
            }
            Event::AuthData(response) => {
                let step = sasl.as_mut().unwrap().step(response.expose());
                user = answer(&mut conn, step.ok())?;
            }
            Event::Rejected(rejected) => {
                // Where all recipients are refused, a DATA that was sent with
                // them is no fault (RFC 2920 §3.1).
                let none_left = open.as_ref().is_some_and(|open| open.recipients.is_empty());
                if !none_left {
                    let fault = format!("{:?}: {}", rejected.verb, rejected.reply);
                    seen.lock().unwrap().faults.push(fault);
                }
            }
            Event::Reset | Event::Quit => open = None,
            event if event.wants_answer() => {
                let reply = Reply::new(502, [5, 5, 1], "not here");
                conn.machine().reply(reply)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn starts(rcpt: &Rcpt, with: &str) -> bool {
    rcpt.forward_path
        .address()
        .is_some_and(|address| address.local_part().starts_with(with))
}

/// Goes on with a login; the user, when it is right.
fn answer(conn: &mut Conn<Server>, step: Option<ServerStep>) -> Result<Option<String>, ConnError> {
    match step {
        Some(ServerStep::Challenge(challenge)) => {
            conn.machine().challenge(&challenge)?;
            Ok(None)
        }
        Some(ServerStep::Credentials(login))
            if login.authentication_id == USER
                && login.password.expose() == PASSWORD.as_bytes() =>
        {
            conn.machine()
                .reply(Reply::new(235, [2, 7, 0], "Welcome"))?;
            Ok(Some(login.authentication_id))
        }
        _ => {
            conn.machine().reply(Reply::new(535, [5, 7, 8], "No"))?;
            Ok(None)
        }
    }
}
