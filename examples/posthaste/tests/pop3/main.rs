//! POP3 over real sockets: a client of our own words, and clients that
//! others wrote.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod clients;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mailstore::AccountConfig;
use net::{Listener, ListenerLimits};
use posthaste::auth::{Authenticator, Seats, Settings, Users, edit};
use posthaste::blocking::Blocking;
use posthaste::config::Config;
use posthaste::pop3::Pop3;
use posthaste::store::{AccountPlace, LocalStore, MailStore, Mailbox, NewMessage};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const PASSWORD: &str = "correct horse";

/// POP3 with and without TLS from the start, on ports of its own.
struct Fixture {
    runtime: Runtime,
    folder: tempfile::TempDir,
    store: Arc<dyn MailStore>,
    clear: SocketAddr,
    encrypted: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Fixture {
    fn new(config: &str) -> Self {
        Self::storing(config, |home| {
            AccountConfig::maildir(home.join("Maildir"), "mx.example.org")
        })
    }

    fn storing(config: &str, mail: fn(&Path) -> AccountConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let runtime = Runtime::new().unwrap();
        let config = Config::parse(
            &format!("myhostname = \"mx.example.org\"\nauth_failure_delay = \"0s\"\n{config}"),
            &path.join("posthaste.toml"),
        )
        .unwrap();
        let users = path.join("users");
        for user in ["ann", "bob"] {
            edit::add(&users, user, PASSWORD.as_bytes()).unwrap();
        }
        let users = Arc::new(Users::open(&users).unwrap());
        let authenticator = Arc::new(Authenticator::new(users, Settings::from(&config)).unwrap());
        let (certificate, key) = (path.join("certificate.pem"), path.join("key.pem"));
        net::tls::make_self_signed(&["localhost".into()], &certificate, &key).unwrap();
        let acceptor = net::tls::acceptor(&certificate, &key).unwrap();
        let homes = path.join("home");
        let store: Arc<dyn MailStore> = Arc::new(LocalStore::new(Blocking::new(8), move |user| {
            let home = homes.join(user);
            fs::create_dir_all(&home).unwrap();
            Ok(AccountPlace {
                mail: mail(&home),
                home,
                filters: Vec::new(),
                autocreate: Vec::new(),
                before: Vec::new(),
                after: Vec::new(),
                scripts: None,
            })
        }));
        let seats = Seats::new(config.mail_max_userip_connections);
        let (stop, stopped) = watch::channel(false);
        let serve = |service: Pop3| {
            let (service, stop) = (Arc::new(service), stopped.clone());
            let address = "127.0.0.1:0".parse().unwrap();
            let listener = Listener::bind(address, ListenerLimits::default());
            let listener = runtime.block_on(listener).unwrap();
            let address = listener.local_addr().unwrap();
            let session_stop = stop.clone();
            runtime.spawn(listener.serve(
                stop,
                Duration::from_secs(5),
                move |socket, peer| Arc::clone(&service).serve(socket, peer, session_stop.clone()),
                |_, _| async {},
            ));
            address
        };
        let clear = serve(Pop3::new(
            &config,
            Some(acceptor.clone()),
            Arc::clone(&store),
            Arc::clone(&authenticator),
            seats.clone(),
        ));
        let encrypted = serve(Pop3::encrypted(
            &config,
            acceptor,
            Arc::clone(&store),
            authenticator,
            seats,
        ));
        Self {
            runtime,
            folder,
            store,
            clear,
            encrypted,
            _stop: stop,
        }
    }

    fn inbox(&self, user: &str) -> Arc<dyn Mailbox> {
        self.runtime.block_on(async {
            let account = self.store.account(user).await.unwrap();
            account.open("INBOX").await.unwrap()
        })
    }

    fn append(&self, user: &str, message: &[u8]) {
        let inbox = self.inbox(user);
        self.runtime.block_on(async {
            let mut appender = inbox.append().await.unwrap();
            for chunk in message.chunks(1 << 16) {
                appender.write(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            let message = NewMessage::at(SystemTime::now());
            appender.commit(message).await.unwrap();
        });
    }

    fn uids(&self, user: &str) -> Vec<u32> {
        let inbox = self.inbox(user);
        let snapshot = self.runtime.block_on(inbox.snapshot()).unwrap();
        snapshot
            .messages()
            .iter()
            .map(|message| message.uid)
            .collect()
    }

    fn connect(&self) -> Client {
        let mut client = Client::new(TcpStream::connect(self.clear).unwrap());
        assert_eq!(client.line(), "+OK mx.example.org POP3 server ready");
        client
    }

    fn log_in(&self, user: &str) -> Client {
        let mut client = self.connect();
        assert_eq!(client.ask(&format!("USER {user}")), "+OK send PASS");
        let answer = client.ask(&format!("PASS {PASSWORD}"));
        assert!(answer.starts_with("+OK maildrop has"), "{answer}");
        client
    }
}

struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn new(socket: TcpStream) -> Self {
        let patience = Some(Duration::from_secs(300));
        socket.set_read_timeout(patience).unwrap();
        Self {
            reader: BufReader::new(socket),
        }
    }

    fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").unwrap_or(&line).to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n"));
        self.line()
    }

    /// The lines behind a `+OK`, up to the dot.
    fn lines(&mut self, command: &str) -> Vec<String> {
        let first = self.ask(command);
        assert!(first.starts_with("+OK"), "{command}: {first}");
        let mut lines = Vec::new();
        loop {
            match self.line() {
                line if line == "." => return lines,
                line => lines.push(line),
            }
        }
    }

    /// Nothing comes any more.
    fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).is_ok() && rest.is_empty()
    }
}

fn message(number: usize) -> String {
    format!("From: ann@example.org\r\nSubject: message {number}\r\n\r\n.dot\r\nbody {number}\r\n")
}

#[test]
fn a_session_over_maildir() {
    a_session(&Fixture::new(""));
}

#[test]
fn a_session_over_mbox() {
    a_session(&Fixture::storing("", |home| {
        AccountConfig::mbox(home.join("mail"), home.join("inbox"), "mx.example.org")
    }));
}

fn a_session(fixture: &Fixture) {
    for number in 1..=3 {
        fixture.append("ann", message(number).as_bytes());
    }
    let size = message(1).len();
    let mut client = fixture.log_in("ann");
    assert_eq!(client.ask("STAT"), format!("+OK 3 {}", 3 * size));
    assert_eq!(
        client.lines("LIST"),
        [
            format!("1 {size}"),
            format!("2 {size}"),
            format!("3 {size}")
        ]
    );
    let unique_ids = client.lines("UIDL");
    assert_eq!(unique_ids.len(), 3);
    assert_eq!(
        client.lines("RETR 2"),
        [
            "From: ann@example.org",
            "Subject: message 2",
            "",
            "..dot",
            "body 2"
        ]
    );
    assert_eq!(
        client.lines("TOP 3 1"),
        ["From: ann@example.org", "Subject: message 3", "", "..dot"]
    );
    // New mail is not seen, and moves nothing.
    fixture.append("ann", message(4).as_bytes());
    assert_eq!(client.ask("DELE 2"), "+OK message 2 marked");
    assert!(client.ask("RETR 2").starts_with("-ERR"));
    assert!(client.ask("RETR 4").starts_with("-ERR no such message"));
    assert_eq!(fixture.uids("ann"), [1, 2, 3, 4]);
    assert_eq!(client.ask("QUIT"), "+OK bye");
    assert!(client.is_over());
    assert_eq!(fixture.uids("ann"), [1, 3, 4]);

    let mut client = fixture.log_in("ann");
    let later = client.lines("UIDL");
    let id = |line: &String| line.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(id(&later[0]), id(&unique_ids[0]));
    assert_eq!(id(&later[1]), id(&unique_ids[2]));
    assert_eq!(later.len(), 3);
    assert_eq!(client.ask("QUIT"), "+OK bye");
}

#[test]
fn without_quit_nothing_is_removed() {
    let fixture = Fixture::new("");
    fixture.append("ann", message(1).as_bytes());
    let mut client = fixture.log_in("ann");
    assert_eq!(client.ask("DELE 1"), "+OK message 1 marked");
    client.reader.get_ref().shutdown(Shutdown::Both).unwrap();
    drop(client);
    let mut client = fixture.log_in("ann");
    assert_eq!(client.ask("DELE 1"), "+OK message 1 marked");
    assert!(client.ask("RSET").starts_with("+OK maildrop has 1 message"));
    assert_eq!(client.ask("QUIT"), "+OK bye");
    assert_eq!(fixture.uids("ann"), [1]);
}

#[test]
fn a_message_that_another_session_removed() {
    let fixture = Fixture::new("");
    for number in 1..=2 {
        fixture.append("ann", message(number).as_bytes());
    }
    let mut first = fixture.log_in("ann");
    let mut second = fixture.log_in("ann");
    assert_eq!(second.ask("DELE 1"), "+OK message 1 marked");
    assert_eq!(second.ask("QUIT"), "+OK bye");
    assert!(second.is_over());
    assert_eq!(
        first.ask("RETR 1"),
        "-ERR the message was removed by another session"
    );
    assert_eq!(first.lines("RETR 2").len(), 5);
    assert_eq!(first.ask("DELE 1"), "+OK message 1 marked");
    assert_eq!(first.ask("QUIT"), "+OK bye");
    assert!(first.is_over());
    assert_eq!(fixture.uids("ann"), [2]);
}

#[test]
fn pipelined_commands() {
    let fixture = Fixture::new("");
    for number in 1..=20 {
        fixture.append("ann", message(number).as_bytes());
    }
    let mut client = fixture.connect();
    let mut wire = format!("USER ann\r\nPASS {PASSWORD}\r\n");
    for number in 1..=20 {
        wire.push_str(&format!("RETR {number}\r\nDELE {number}\r\n"));
    }
    wire.push_str("QUIT\r\n");
    client.send(&wire);
    let mut all = String::new();
    client.reader.read_to_string(&mut all).unwrap();
    assert_eq!(all.matches("+OK ").count(), 43);
    assert!(all.ends_with("+OK message 20 marked\r\n+OK bye\r\n"));
    assert!(fixture.uids("ann").is_empty());
}

#[test]
fn logins_that_fail() {
    let fixture = Fixture::new("auth_failure_limit = 2\n");
    let mut client = fixture.connect();
    for (user, closed) in [("ann", false), ("nobody", true)] {
        assert_eq!(client.ask(&format!("USER {user}")), "+OK send PASS");
        // The same for who exists and who does not.
        let answer = client.ask("PASS wrong");
        assert_eq!(answer, "-ERR [AUTH] wrong name or password");
        if closed {
            assert!(client.is_over());
        }
    }
}

#[test]
fn passwords_in_the_clear() {
    let fixture = Fixture::new("ssl = \"required\"\n");
    let mut client = fixture.connect();
    let capabilities = client.lines("CAPA");
    assert!(capabilities.contains(&"STLS".to_owned()));
    assert!(!capabilities.iter().any(|line| line.starts_with("SASL")));
    assert!(client.ask("USER ann").starts_with("-ERR"));
    assert!(client.ask("AUTH PLAIN AGFubgB4").starts_with("-ERR"));
}

#[test]
fn a_user_has_so_many_seats() {
    let fixture = Fixture::new("mail_max_userip_connections = 2\n");
    let first = fixture.log_in("ann");
    let _second = fixture.log_in("ann");
    let mut third = fixture.connect();
    assert_eq!(third.ask("USER ann"), "+OK send PASS");
    let answer = third.ask(&format!("PASS {PASSWORD}"));
    assert!(answer.starts_with("-ERR [IN-USE]"), "{answer}");
    let _bob = fixture.log_in("bob");
    drop(first);
    // The server notices the closed connection in its own time.
    loop {
        assert_eq!(third.ask("USER ann"), "+OK send PASS");
        let answer = third.ask(&format!("PASS {PASSWORD}"));
        if answer.starts_with("+OK") {
            break;
        }
        // Who fails often is sent off.
        third = fixture.connect();
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn noise_is_answered_and_ended() {
    let fixture = Fixture::new("");
    let mut client = fixture.connect();
    client.send(&"x".repeat(1 << 20));
    client.send("\r\n");
    assert_eq!(client.line(), "-ERR line too long");
    client.send("\0\0\0\r\n");
    assert_eq!(client.line(), "-ERR unknown command");
    for _ in 0..8 {
        client.send("GET / HTTP/1.1\r\n");
    }
    let mut rest = String::new();
    client.reader.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("-ERR too many bad commands\r\n"), "{rest}");
}

#[test]
fn a_large_message_to_a_slow_client() {
    let fixture = Fixture::new("");
    let line = ".All work and no play makes Jack a dull boy.\r\n";
    let body = line.repeat((16 << 20) / line.len());
    fixture.append("ann", format!("Subject: large\r\n\r\n{body}").as_bytes());
    let mut client = fixture.log_in("ann");
    client.send("RETR 1\r\nNOOP\r\n");
    std::thread::sleep(Duration::from_millis(200));
    assert!(client.line().starts_with("+OK"));
    let (mut lines, mut octets) = (0, 0);
    loop {
        let line = client.line();
        if line == "." {
            break;
        }
        lines += 1;
        octets += line.len() + 2 - usize::from(line.starts_with('.'));
    }
    assert_eq!(octets, 18 + body.len());
    assert_eq!(lines, 2 + body.lines().count());
    assert_eq!(client.line(), "+OK");
}
