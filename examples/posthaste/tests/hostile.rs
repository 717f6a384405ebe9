//! Clients, messages, scripts and users that mean ill: the real server answers
//! precisely, holds its memory, goes on, and loses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use common::{PASSWORD, Server, Talk, files};
use rustix::process::{Resource, getrlimit, setrlimit};

const MIB: usize = 1 << 20;

/// A field of /proc/PID/status in KiB.
fn memory(server: &Server, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Forgets the peak of the server's memory; answers what it holds now, in KiB.
fn forget_peak(server: &Server) -> usize {
    fs::write(format!("/proc/{}/clear_refs", server.id()), "5").unwrap();
    memory(server, "VmRSS:")
}

/// How much the server has held more than `before` at any time since, in MiB.
fn grown(server: &Server, before: usize) -> usize {
    memory(server, "VmHWM:").saturating_sub(before) / 1024
}

fn inbox(server: &Server, user: &str) -> Vec<String> {
    files(&server.home(user).join("Maildir"))
        .into_iter()
        .filter(|path| {
            let folder = path.parent().unwrap().file_name().unwrap();
            folder == "new" || folder == "cur"
        })
        .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
        .collect()
}

/// Whether the octets stand in any file of the server's folder.
fn anywhere(server: &Server, mark: &str) -> bool {
    files(server.folder.path())
        .into_iter()
        .filter(|path| !path.ends_with("stderr.log"))
        .any(|path| {
            let octets = fs::read(path).unwrap_or_default();
            memchr::memmem::find(&octets, mark.as_bytes()).is_some()
        })
}

fn smtp(server: &Server) -> Talk {
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.expect("220");
    smtp.say("EHLO client.example");
    smtp.expect("250");
    smtp
}

fn begin(server: &Server, to: &str) -> Talk {
    let mut smtp = smtp(server);
    smtp.say("MAIL FROM:<alice@example.org>");
    smtp.expect("250");
    smtp.say(&format!("RCPT TO:<{to}>"));
    smtp.expect("250");
    smtp.say("DATA");
    smtp.expect("354");
    smtp
}

fn imap(server: &Server, user: &str) -> Talk {
    let mut imap = Talk::connect(server.ports.imap);
    assert!(imap.line().starts_with("* OK"));
    imap.say(&format!("login LOGIN {user} \"{PASSWORD}\""));
    let reply = imap.until("login ").pop().unwrap();
    assert!(reply.starts_with("login OK"), "{reply}");
    imap
}

fn command(imap: &mut Talk, command: &str) -> Vec<String> {
    imap.say(&format!("c {command}"));
    imap.until("c ")
}

fn append(imap: &mut Talk, message: &[u8]) {
    imap.say(&format!("append APPEND INBOX {{{}}}", message.len()));
    assert!(imap.line().starts_with('+'));
    imap.send(message);
    imap.say("");
    let reply = imap.until("append ").pop().unwrap();
    assert!(reply.starts_with("append OK"), "{reply}");
}

fn pop3(server: &Server, user: &str) -> Talk {
    let mut pop3 = Talk::connect(server.ports.pop3);
    pop3.line();
    for command in [format!("USER {user}"), format!("PASS {PASSWORD}")] {
        pop3.say(&command);
        let reply = pop3.line();
        assert!(reply.starts_with("+OK"), "{reply}");
    }
    pop3
}

/// Sends without ever reading until the server takes no more, has hung up, or
/// has taken `most` octets.
fn send_only(talk: &mut Talk, block: &[u8], most: usize) {
    let stream = talk.reader.get_mut();
    let wait = Some(Duration::from_secs(2));
    stream.set_write_timeout(wait).unwrap();
    let mut sent = 0;
    while sent < most {
        match stream.write(block) {
            Ok(count) => sent += count,
            Err(error) => {
                let expected = [
                    ErrorKind::WouldBlock,
                    ErrorKind::TimedOut,
                    ErrorKind::BrokenPipe,
                    ErrorKind::ConnectionReset,
                ];
                assert!(expected.contains(&error.kind()), "{error}");
                return;
            }
        }
    }
}

/// All that the server has to say until it closes.
fn rest(talk: &mut Talk) -> String {
    let mut octets = Vec::new();
    let mut block = [0; 65_536];
    loop {
        match talk.reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => octets.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&octets)),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// A message goes in and comes out.
fn still_works(server: &Server) {
    let before = inbox(server, "bob").len();
    server.send("a@example.com", "bob@example.org", "Subject: fine\r\n\r\nx");
    server.wait_until("a delivery", || inbox(server, "bob").len() == before + 1);
    let mut imap = imap(server, "bob");
    assert!(
        command(&mut imap, "SELECT INBOX")
            .pop()
            .unwrap()
            .starts_with("c OK")
    );
    pop3(server, "bob");
}

fn queue_is_empty(server: &Server) -> bool {
    let list = server.command_with_input(&["queue", "list"], "");
    String::from_utf8_lossy(&list.stdout).contains("empty")
}

#[test]
fn noise_is_answered_precisely() {
    let server = Server::start("smtpd_error_sleep_time = \"0s\"\nsmtpd_tls_auth_only = false\n");
    let long = vec![b'x'; MIB];

    let mut talk = smtp(&server);
    talk.say("FROBNICATE now");
    talk.expect("502 5.5.2");
    talk.send(b"MAIL FROM:<a\0b@example.com>\r\n");
    talk.expect("501 5.5.2");
    talk.send(b"\0\0\0\r\n");
    talk.expect("50");
    talk.send(&long);
    talk.say("");
    talk.expect("500 5.5.2");
    talk.send(b"MAIL FROM:<a@example.com> SIZE=-1\r\n");
    talk.expect("501 5.5.4");
    talk.send(b"MAIL FROM:<a@example.com> SIZE=99999999999999999999999999\r\n");
    talk.expect("5");
    talk.send(b"NOOP\nNOOP\r\n");
    talk.expect("500 5.5.2");
    talk.expect("250");
    for _ in 0..12 {
        talk.say("HELLO?");
        talk.expect("502");
    }
    talk.say("HELLO?");
    let end = rest(&mut talk);
    assert!(end.contains("421 4.7.0 "), "{end}");

    let mut talk = Talk::connect(server.ports.submission);
    talk.expect("220");
    talk.say("EHLO client.example");
    talk.expect("250");
    talk.send(b"AUTH PLAIN ");
    talk.send(&long);
    talk.say("");
    talk.expect("500 5.5.2");
    talk.say("AUTH LOGIN");
    talk.expect("334");
    talk.send(&long);
    talk.say("");
    talk.expect("5");
    talk.say("AUTH PLAIN !!!!");
    talk.expect("501 5.5.2");
    talk.say("NOOP");
    talk.expect("250");

    let mut talk = Talk::connect(server.ports.imap);
    talk.line();
    for (line, reply) in [
        ("a FROBNICATE", "a BAD"),
        ("b SELECT INBOX", "b BAD"),
        ("c", "c BAD"),
        ("+ NOOP", "* BAD"),
        ("d LOGIN a", "d BAD"),
        ("e LOGIN {-1}", "e BAD"),
        ("f LOGIN {99999999999999999999999}", "f BAD"),
        ("g LOGIN {4294967295}", "g BAD"),
        ("h LOGIN {x}", "h BAD"),
    ] {
        talk.say(line);
        let said = talk.line();
        assert!(said.starts_with(reply), "{line}: {said}");
    }
    talk.send(b"i LOGIN \"a\0b\" c\r\n");
    assert!(talk.line().contains("BAD"));
    talk.send(&long);
    talk.say("");
    let said = talk.line();
    assert!(said.contains("BAD") || said.starts_with("* BYE"), "{said}");
    // What comes behind a non-synchronizing literal over the limit is
    // unknown: it is skipped, or the connection ends.
    let mut talk = Talk::connect(server.ports.imap);
    talk.line();
    talk.send(b"j LOGIN {999999999999+}\r\n");
    let end = rest(&mut talk);
    assert!(end.contains("BYE"), "{end}");
    let mut talk = Talk::connect(server.ports.imap);
    talk.line();
    talk.send(b"k LOGIN {1048576+}\r\n");
    talk.send(&long);
    talk.say(" secret");
    assert!(talk.line().starts_with("k BAD"));
    talk.say("l NOOP");
    assert!(talk.line().starts_with("l OK"));

    let mut talk = Talk::connect(server.ports.pop3);
    talk.line();
    for line in ["FROBNICATE", "RETR 1", "USER", "PASS x", "USER a\0b"] {
        talk.say(line);
        let said = talk.line();
        assert!(said.starts_with("-ERR"), "{line}: {said}");
    }
    talk.send(&long);
    talk.say("");
    let said = talk.line();
    assert!(said.starts_with("-ERR"), "{said}");
    still_works(&server);
}

#[test]
fn who_errs_often_waits() {
    let mut server = Server::start("smtpd_error_sleep_time = \"1h\"\n");
    let mut talk = smtp(&server);
    for _ in 0..5 {
        talk.say("HELLO?");
        talk.expect("502");
        talk.say("MAIL FROM:<a@example.com>");
        talk.expect("250");
        talk.say("RCPT TO:<nobody@example.org>");
        talk.expect("550 5.1.1");
        talk.say("RSET");
        talk.expect("250");
    }
    talk.say("HELLO?");
    let soon = Some(Duration::from_millis(300));
    talk.reader.get_mut().set_read_timeout(soon).unwrap();
    assert!(talk.reader.read(&mut [0]).is_err());
    still_works(&server);
    // It does not hold the server up when that is to stop.
    talk.reader.get_mut().set_read_timeout(None).unwrap();
    server.stop();
    let said = rest(&mut talk);
    assert!(said.contains("502") && said.contains("421"), "{said}");
}

#[test]
fn nothing_is_taken_over_from_before_tls() {
    let server = Server::start("");
    for (port, first, attack, agreed) in [
        (
            server.ports.smtp,
            "EHLO x.example\r\n",
            "STARTTLS\r\nNOOP\r\n",
            "220 2.0.0",
        ),
        (
            server.ports.submission,
            "EHLO x.example\r\n",
            "STARTTLS\r\nNOOP\r\n",
            "220 2.0.0",
        ),
        (
            server.ports.imap,
            "a NOOP\r\n",
            "b STARTTLS\r\nc NOOP\r\n",
            "b OK",
        ),
        (
            server.ports.pop3,
            "CAPA\r\n",
            "STLS\r\nNOOP\r\n",
            "+OK Begin",
        ),
    ] {
        let mut talk = Talk::connect(port);
        let greeting = talk.line();
        talk.send(first.as_bytes());
        talk.send(attack.as_bytes());
        let said = rest(&mut talk);
        // Nothing behind the agreement, and no TLS that would follow it.
        if let Some((_, behind)) = said.split_once(agreed) {
            let lines = behind.lines().count();
            assert!(lines <= 1, "{greeting}: {said}");
        }
        assert!(!said.contains("c OK"), "{said}");
    }
    still_works(&server);
}

#[test]
fn one_message_stays_one() {
    let server = Server::start("smtpd_error_sleep_time = \"0s\"\n");
    let smuggled = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n\
                    Subject: smuggled\r\n\r\nx\r\n.\r\n";
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\r\n\0.\r\n",
        "\n\r\n.\n",
        "\r\n.\r\r\n",
    ] {
        let mut talk = begin(&server, "bob@example.org");
        talk.send(format!("Subject: outer\r\n\r\ntext{end}").as_bytes());
        talk.send(smuggled.as_bytes());
        talk.say("QUIT");
        let said = rest(&mut talk);
        // If this form did end the data, the rest would be a second message.
        let accepted = said.matches("queued as").count();
        assert!(accepted <= 1, "{end:?}: {said}");
    }
    server.send("a@example.com", "bob@example.org", "Subject: last\r\n\r\nx");
    server.wait_until("the last", || {
        let messages = inbox(&server, "bob");
        queue_is_empty(&server) && messages.iter().any(|own| own.contains("Subject: last"))
    });
    for message in inbox(&server, "bob") {
        assert!(!message.starts_with("Return-Path: <evil"), "{message}");
    }
}

#[test]
fn what_breaks_off_leaves_nothing() {
    let server = Server::start("");
    still_works(&server);
    let mark = "half-a-message-";
    let body = format!(
        "Subject: x\r\n\r\n{}",
        format!("{mark}\r\n").repeat(100_000)
    );
    // The client goes, or only closes its side.
    for close in [Shutdown::Both, Shutdown::Write] {
        let mut talk = begin(&server, "bob@example.org");
        talk.send(body.as_bytes());
        talk.reader.get_mut().shutdown(close).unwrap();
        assert!(!rest(&mut talk).contains("queued"));
        let mut talk = imap(&server, "bob");
        talk.say(&format!("a APPEND INBOX {{{}}}", body.len() + 1));
        talk.line();
        talk.send(body.as_bytes());
        talk.reader.get_mut().shutdown(close).unwrap();
        assert!(!rest(&mut talk).contains("a OK"));
    }
    // An octet of the last line end is missing.
    let mut talk = begin(&server, "bob@example.org");
    talk.send(format!("{mark}\r\n.\r").as_bytes());
    talk.reader.get_mut().shutdown(Shutdown::Write).unwrap();
    assert!(!rest(&mut talk).contains("queued"));
    server.wait_until("nothing left", || !anywhere(&server, mark));
    assert!(queue_is_empty(&server));
    assert_eq!(inbox(&server, "bob").len(), 1);
    still_works(&server);
}

#[test]
fn a_client_that_closes_its_side_gets_all_replies() {
    let server = Server::start("");
    let big = format!(
        "Subject: big\r\n\r\n{}",
        "0123456789abcdef\r\n".repeat(400_000)
    );
    let mut talk = imap(&server, "bob");
    append(&mut talk, big.as_bytes());
    append(&mut talk, b"Subject: small\r\n\r\nx\r\n");

    let mut talk = Talk::connect(server.ports.smtp);
    talk.expect("220");
    let message = "Subject: at once\r\n\r\nx\r\n";
    talk.send(
        format!(
            "EHLO x.example\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@example.org>\r\n\
             BDAT {} LAST\r\n{message}QUIT\r\n",
            message.len()
        )
        .as_bytes(),
    );
    talk.reader.get_mut().shutdown(Shutdown::Write).unwrap();
    let said = rest(&mut talk);
    assert!(
        said.contains("queued as") && said.contains("221 2.0.0"),
        "{said}"
    );

    for farewell in ["d LOGOUT\r\n", ""] {
        let mut talk = Talk::connect(server.ports.imap);
        talk.line();
        talk.send(
            format!(
                "a LOGIN bob \"{PASSWORD}\"\r\nb SELECT INBOX\r\n\
                 c FETCH 1:2 BODY.PEEK[]\r\n{farewell}"
            )
            .as_bytes(),
        );
        talk.reader.get_mut().shutdown(Shutdown::Write).unwrap();
        let said = rest(&mut talk);
        let tail = &said[said.len().saturating_sub(300)..];
        assert!(said.len() > big.len(), "{} {tail}", said.len());
        assert!(said.contains("c OK"), "{tail}");
        assert_eq!(said.contains("d OK"), !farewell.is_empty(), "{tail}");
    }

    for farewell in ["QUIT\r\n", ""] {
        let mut talk = Talk::connect(server.ports.pop3);
        talk.line();
        talk.send(
            format!("USER bob\r\nPASS {PASSWORD}\r\nRETR 1\r\nRETR 2\r\n{farewell}").as_bytes(),
        );
        talk.reader.get_mut().shutdown(Shutdown::Write).unwrap();
        let said = rest(&mut talk);
        assert!(said.len() > big.len(), "{}", said.len());
        assert!(said.contains("Subject: small\r\n\r\nx\r\n.\r\n"));
    }
    server.wait_until("the delivery", || inbox(&server, "bob").len() == 3);
    still_works(&server);
}

#[test]
fn who_never_reads_costs_little() {
    let server = Server::start("smtpd_error_sleep_time = \"0s\"\n");
    let mut talk = imap(&server, "bob");
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n";
    append(
        &mut talk,
        format!("Subject: big\r\n\r\n{}", line.repeat(16 * 16_384)).as_bytes(),
    );
    append(
        &mut talk,
        format!("Subject: less\r\n\r\n{}", line.repeat(3 * 16_384)).as_bytes(),
    );
    drop(talk);
    let before = forget_peak(&server);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut talk = smtp(&server);
        send_only(&mut talk, &b"EHLO x.example\r\n".repeat(1000), 16 * MIB);
        held.push(talk);
        let mut talk = imap(&server, "bob");
        command(&mut talk, "SELECT INBOX");
        let block = b"a FETCH 1:2 BODY.PEEK[]\r\nb FETCH 1:2 RFC822\r\n".repeat(500);
        send_only(&mut talk, &block, 16 * MIB);
        held.push(talk);
        let mut talk = pop3(&server, "bob");
        send_only(&mut talk, &b"RETR 1\r\nRETR 2\r\n".repeat(1000), 16 * MIB);
        held.push(talk);
    }
    assert!(
        grown(&server, before) < 48,
        "{} MiB",
        grown(&server, before)
    );
    drop(held);
    still_works(&server);
}

#[test]
fn a_thousand_idle_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let server = Server::start("smtpd_client_connection_count_limit = 2000\n");
    still_works(&server);
    let before = memory(&server, "VmRSS:");
    let mut held = Vec::new();
    for _ in 0..334 {
        for port in [server.ports.smtp, server.ports.imap, server.ports.pop3] {
            let mut talk = Talk::connect(port);
            talk.line();
            held.push(talk);
        }
    }
    let each = memory(&server, "VmRSS:").saturating_sub(before) / held.len();
    assert!(each < 64, "{each} KiB for each connection");
    still_works(&server);
    drop(held);
    still_works(&server);
}

#[test]
fn connections_over_the_limit_are_told() {
    let server = Server::start("smtpd_client_connection_count_limit = 3\n");
    let held: Vec<Talk> = (0..3)
        .map(|_| {
            let mut talk = Talk::connect(server.ports.smtp);
            talk.expect("220");
            talk
        })
        .collect();
    let mut talk = Talk::connect(server.ports.smtp);
    talk.expect("421 4.7.0");
    drop(held);
    server.wait_until("a place", || {
        let mut talk = Talk::connect(server.ports.smtp);
        talk.line().starts_with("220")
    });
}

#[test]
fn sizes() {
    let server = Server::start("message_size_limit = \"300M\"\n");
    let mut talk = smtp(&server);
    talk.say(&format!("MAIL FROM:<a@example.com> SIZE={}", 301 * MIB));
    talk.expect("552 5.3.4");
    // It says little and sends much: what counts is what comes.
    talk.say("MAIL FROM:<a@example.com> SIZE=1");
    talk.expect("250");
    talk.say("RCPT TO:<bob@example.org>");
    talk.expect("250");
    talk.say("DATA");
    talk.expect("354");
    let before = forget_peak(&server);
    talk.send(b"Subject: big\r\n\r\n");
    let block =
        b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(16_384);
    for _ in 0..200 {
        talk.send(&block);
    }
    talk.say(".");
    talk.expect("250 2.0.0");
    let new = server.home("bob").join("Maildir/new");
    let size = || {
        let mut entries = fs::read_dir(&new).into_iter().flatten().flatten();
        entries
            .next()
            .map_or(0, |entry| entry.metadata().unwrap().len())
    };
    server.wait_until("the message", || size() > 190 * MIB as u64);
    assert!(
        grown(&server, before) < 64,
        "{} MiB",
        grown(&server, before)
    );
    let mut talk = imap(&server, "bob");
    command(&mut talk, "SELECT INBOX");
    let part = command(&mut talk, "FETCH 1 BODY.PEEK[TEXT]<100000000.20>");
    assert!(part[0].contains("BODY[TEXT]<100000000> {20}"), "{part:?}");
    let structure = command(&mut talk, "FETCH 1 (RFC822.SIZE BODYSTRUCTURE ENVELOPE)");
    assert!(structure[0].contains("\"TEXT\" \"PLAIN\""), "{structure:?}");
    assert!(
        grown(&server, before) < 64,
        "{} MiB",
        grown(&server, before)
    );
    drop(talk);
    drop(server);

    let server = Server::start("message_size_limit = \"100K\"\n");
    let mut talk = begin(&server, "bob@example.org");
    talk.send(&b"over-the-limit\r\n".repeat(10_000));
    talk.say(".");
    talk.expect("552 5.3.4");
    talk.say("MAIL FROM:<a@example.com> SIZE=102401");
    talk.expect("552 5.3.4");
    let mut talk = imap(&server, "bob");
    talk.say("a APPEND INBOX {102401}");
    let said = talk.line();
    assert!(said.starts_with("a BAD [TOOBIG]"), "{said}");
    server.wait_until("nothing left", || !anywhere(&server, "over-the-limit"));
    still_works(&server);
}

#[test]
fn loops_end() {
    let server = Server::start("virtual_alias_maps = [\"virtual\"]\n");
    fs::write(
        server.path("aliases"),
        "a: b\nb: a\nself: self\nbob: bob, alice\ndeep: :include:deep.list\nout: \"|/bin/true\", /etc/x\n",
    )
    .unwrap();
    fs::write(server.path("deep.list"), ":include:deep.list\n").unwrap();
    fs::write(
        server.path("virtual"),
        "x@example.org y@example.org\ny@example.org x@example.org\n",
    )
    .unwrap();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<alice@example.org>");
    talk.expect("250");
    for name in ["a", "self", "deep", "x"] {
        talk.say(&format!("RCPT TO:<{name}@example.org>"));
        talk.expect("550 5.");
    }
    talk.say("RCPT TO:<out@example.org>");
    talk.expect("550 5.7.1");
    drop(talk);
    server.send("a@example.com", "bob@example.org", "Subject: both\r\n\r\nx");
    server.wait_until("both", || {
        queue_is_empty(&server) && inbox(&server, "bob").len() + inbox(&server, "alice").len() == 2
    });

    let mut talk = begin(&server, "alice@example.org");
    for n in 0..101 {
        talk.say(&format!(
            "Received: from a by b id {n}; Mon, 1 Jan 2024 00:00:00 +0000"
        ));
    }
    talk.say("\r\nx\r\n.");
    talk.expect("554 5.4.6");
    // As many in the body are none.
    let body = "Received: x\r\n".repeat(200);
    server.send(
        "a@example.com",
        "alice@example.org",
        &format!("Subject: y\r\n\r\n{body}"),
    );
    server.wait_until("the body", || inbox(&server, "alice").len() == 2);
}

#[test]
fn many_recipients() {
    let server = Server::start("smtpd_error_sleep_time = \"0s\"\nsmtpd_hard_error_limit = 10000\n");
    fs::write(
        server.path("aliases"),
        (0..3000).fold("many:".to_owned(), |mut all, n| {
            let _ = write!(all, "{} bob+{n}", if n == 0 { "" } else { "," });
            all
        }) + "\n",
    )
    .unwrap();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<a@example.com>");
    talk.expect("250");
    let mut taken = 0;
    for hundred in 0..50 {
        let lines: String = (0..100)
            .map(|n| format!("RCPT TO:<alice+{hundred}.{n}@example.org>\r\n"))
            .collect();
        talk.send(lines.as_bytes());
        for _ in 0..100 {
            let reply = talk.line();
            match &reply[..4] {
                "250 " => taken += 1,
                _ => assert!(reply.starts_with("452 4.5.3"), "{reply}"),
            }
        }
    }
    assert_eq!(taken, 1000);
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    let count = |user: &str| {
        fs::read_dir(server.home(user).join("Maildir/new"))
            .into_iter()
            .flatten()
            .count()
    };
    server.wait_until("a thousand", || count("alice") == 1000);
    let mut talk = begin(&server, "many@example.org");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    server.wait_until("an alias of three thousand", || count("bob") == 3000);
    still_works(&server);
}

/// A tree of `levels` multiparts, each in the one before.
fn nested(levels: usize) -> Vec<u8> {
    let mut message = String::from("Subject: deep\r\n");
    for level in 0..levels {
        let _ = write!(
            message,
            "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        );
    }
    message.push_str("Content-Type: text/plain\r\n\r\nneedle\r\n");
    message.into_bytes()
}

#[test]
fn mime_bombs_are_only_messages() {
    let server = Server::start("");
    let mut talk = imap(&server, "bob");
    let mut wide =
        String::from("Subject: wide\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
    for n in 0..10_000 {
        let _ = write!(
            wide,
            "--b\r\nContent-Type: text/plain; name=\"{n}\"\r\n\r\nx\r\n"
        );
    }
    wide.push_str("--b--\r\n");
    let rfc822 =
        "Content-Type: message/rfc822\r\n\r\n".repeat(1000) + "Subject: in\r\n\r\nneedle\r\n";
    let fields = "X-Filler: y\r\n".repeat(50_000) + "\r\nneedle\r\n";
    let addresses = format!(
        "To: {}\r\n\r\nneedle\r\n",
        "a@b.example,\r\n ".repeat(20_000)
    );
    let groups = format!("Cc: {}\r\n\r\nx\r\n", "g:".repeat(50_000));
    let comments = format!("From: {}\r\n\r\nx\r\n", "(".repeat(100_000));
    let words = format!(
        "Subject: {}\r\n\r\nx\r\n",
        "=?utf-8?B?w6Q=?= ".repeat(10_000)
    );
    for message in [
        wide.as_bytes(),
        &nested(1000),
        rfc822.as_bytes(),
        fields.as_bytes(),
        addresses.as_bytes(),
        groups.as_bytes(),
        comments.as_bytes(),
        words.as_bytes(),
    ] {
        append(&mut talk, message);
    }
    let before = forget_peak(&server);
    assert!(
        command(&mut talk, "SELECT INBOX")
            .pop()
            .unwrap()
            .contains("OK")
    );
    let deep = vec!["1"; 1000].join(".");
    for ask in [
        "FETCH 1:* BODYSTRUCTURE",
        "FETCH 1:* (BODY ENVELOPE RFC822.SIZE)",
        "FETCH 1:* BODY.PEEK[9999]",
        &format!("FETCH 1:* BODY.PEEK[{deep}]"),
        &format!("FETCH 1:* BODY.PEEK[{deep}.HEADER]"),
        "FETCH 1:* BODY.PEEK[4294967295.MIME]",
        "FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject To Cc)]",
        "FETCH 1:* BODY.PEEK[HEADER.FIELDS.NOT (X-Filler)]",
        "SEARCH BODY needle",
        "SEARCH TEXT needle",
        "SEARCH SUBJECT needle TO b.example FROM x",
        "SEARCH OR HEADER X-Filler y NOT BODY x",
    ] {
        let said = command(&mut talk, ask);
        let end = said.last().unwrap();
        assert!(
            end.starts_with("c OK"),
            "{}: {end}",
            &ask[..ask.len().min(60)]
        );
    }
    let found = command(&mut talk, "SEARCH BODY needle");
    for number in [" 4", " 5"] {
        assert!(found[0].contains(number), "{found:?}");
    }
    assert!(
        grown(&server, before) < 96,
        "{} MiB",
        grown(&server, before)
    );
    still_works(&server);
}

#[test]
fn a_fetch_of_the_same_again_and_again() {
    let server = Server::start("");
    let mut talk = imap(&server, "bob");
    let header = "X-Filler: 0123456789abcdef0123456789abcdef\r\n".repeat(20_000);
    let body =
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\r\n".repeat(40_000);
    let message = format!("Subject: x\r\n{header}Content-Transfer-Encoding: base64\r\n\r\n{body}");
    append(&mut talk, message.as_bytes());
    command(&mut talk, "SELECT INBOX");
    let before = forget_peak(&server);
    for item in [
        "BINARY.PEEK[1]",
        "RFC822.HEADER",
        "BODY.PEEK[HEADER.FIELDS (X-Filler)]",
        "BODY.PEEK[]",
    ] {
        let items: Vec<String> = (0..1000)
            .map(|n| match item {
                "BINARY.PEEK[1]" => format!("{item}<{n}.1000000>"),
                _ => item.to_owned(),
            })
            .collect();
        talk.say(&format!("c FETCH 1 ({})", items.join(" ")));
        // One answer may be refused; it is never held whole many times over.
        let stream = talk.reader.get_mut();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut last = Vec::new();
        let mut block = vec![0; MIB];
        loop {
            let count = talk.reader.read(&mut block).unwrap();
            assert!(count > 0);
            last.extend_from_slice(&block[..count]);
            let keep = last.len().saturating_sub(200);
            last.drain(..keep);
            let text = String::from_utf8_lossy(&last);
            if text.ends_with("\r\n")
                && text
                    .lines()
                    .last()
                    .is_some_and(|line| line.starts_with("c "))
            {
                break;
            }
        }
    }
    assert!(
        grown(&server, before) < 128,
        "{} MiB",
        grown(&server, before)
    );
    still_works(&server);
}

#[test]
fn names_stay_inside() {
    let server = Server::start("");
    let mut talk = imap(&server, "bob");
    let long = "n".repeat(5000);
    let deep = vec!["d"; 2000].join("/");
    // Twenty BADs in a row would end the session.
    let command = |talk: &mut Talk, text: &str| {
        let said = command(talk, text);
        assert!(command(talk, "NOOP")[0].starts_with("c OK"));
        said
    };
    for name in [
        "../../etc",
        "..",
        ".",
        "/",
        "/etc/passwd",
        "a/../b",
        "a//b",
        "./a",
        "../alice/Maildir",
        "~root",
        "%00",
        "&AAA-",
        "&",
        "&ZZ",
        "&Jjo!",
        "&2AA-",
        "a.b/../../c",
        ".hidden",
        "INBOX/..",
        "INBOX/cur",
        "cur",
        "new/../../x",
        "a\\b",
        &long,
        &deep,
    ] {
        for verb in [
            "SELECT",
            "EXAMINE",
            "CREATE",
            "SUBSCRIBE",
            "DELETE",
            "STATUS",
            "UNSUBSCRIBE",
        ] {
            let quoted = name.replace('\\', "\\\\");
            let more = if verb == "STATUS" { " (MESSAGES)" } else { "" };
            let said = command(&mut talk, &format!("{verb} \"{quoted}\"{more}"));
            let end = said.last().unwrap();
            assert!(
                ["c OK", "c NO", "c BAD"]
                    .iter()
                    .any(|word| end.starts_with(word)),
                "{verb} {quoted}: {end}"
            );
            // Refused for what it is, not for a failure of the disk.
            assert!(!end.contains("UNAVAILABLE"), "{verb} {quoted}: {end}");
        }
        command(
            &mut talk,
            &format!("RENAME INBOX \"{}\"", name.replace('\\', "\\\\")),
        );
        command(
            &mut talk,
            &format!("DELETE \"{}\"", name.replace('\\', "\\\\")),
        );
    }
    talk.send(b"c CREATE {3+}\r\na\0b\r\n");
    assert!(talk.until("c ")[0].starts_with("c BAD"));
    // Everything that was made lies in the account's own folder.
    let outside: Vec<_> = files(server.folder.path())
        .into_iter()
        .filter(|path| !path.starts_with(server.home("bob").join("Maildir")))
        .filter(|path| {
            path.to_string_lossy().contains("dovecot") || path.to_string_lossy().contains("subscri")
        })
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    let homes: Vec<_> = fs::read_dir(server.path("home"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(homes.len(), 1, "{homes:?}");

    for n in 0..200 {
        let name = format!("{}{n}", "a".repeat(200));
        command(&mut talk, &format!("CREATE {name}"));
    }
    for pattern in [
        "*a".repeat(100),
        "%*".repeat(500),
        "*%a*".repeat(100) + "b",
        "*".repeat(10_000),
    ] {
        let said = command(&mut talk, &format!("LIST \"\" \"{pattern}\""));
        assert!(
            said.last().unwrap().starts_with("c OK"),
            "{:?}",
            said.last()
        );
        let said = command(&mut talk, &format!("LSUB \"\" \"{pattern}\""));
        assert!(
            said.last().unwrap().starts_with("c OK"),
            "{:?}",
            said.last()
        );
    }
    still_works(&server);
}

#[test]
fn users_of_strange_names() {
    let server = Server::start("maximal_queue_lifetime = \"1h\"\n");
    for name in ["..", ".", "a/b", "../alice", "", "a\nb", "a:b"] {
        let added =
            server.command_with_input(&["user", "add", "--", name], format!("{PASSWORD}\n"));
        assert!(!added.status.success(), "{name:?}");
    }
    // Nor when the file is written by hand.
    let users = fs::read_to_string(server.path("users")).unwrap();
    let hash = users
        .lines()
        .next()
        .unwrap()
        .split_once(':')
        .unwrap()
        .1
        .to_owned();
    fs::write(
        server.path("users"),
        format!("{users}..:{hash}\n../x:{hash}\ncarol:{}\n", {
            let home = server.path("elsewhere/carol");
            let fields: Vec<&str> = hash.split(':').collect();
            format!("{}::::{}:", fields[0], home.display())
        }),
    )
    .unwrap();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<a@example.com>");
    talk.expect("250");
    for name in [
        "..",
        "../alice",
        "../../tmp/x",
        "alice/../bob",
        "/etc/passwd",
        "|/bin/sh",
        "\\bob",
    ] {
        talk.say(&format!(
            "RCPT TO:<\"{}\"@example.org>",
            name.replace('\\', "\\\\")
        ));
        let reply = talk.line();
        assert!(
            reply.starts_with('5') || reply.starts_with("250"),
            "{name}: {reply}"
        );
    }
    talk.say("RCPT TO:<carol@example.org>");
    talk.expect("250");
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    // The users file says where carol lives.
    let mail = server.path("elsewhere/carol/Maildir/new");
    server.wait_until("carol's mail", || {
        fs::read_dir(&mail).is_ok_and(|mut new| new.next().is_some())
    });
    assert!(!server.path("home/carol").exists());
    assert!(!server.path("Maildir").exists());
    assert!(!server.path("x").exists());
    still_works(&server);
}

fn script(server: &Server, user: &str, text: &str) {
    fs::create_dir_all(server.home(user)).unwrap();
    fs::write(server.home(user).join(".dovecot.sieve"), text).unwrap();
}

#[test]
fn scripts_that_mean_ill() {
    let server = Server::start("");
    let deliver = |subject: &str| {
        let message = format!("Subject: {subject}\r\n\r\nx");
        server.send("a@example.com", "bob@example.org", &message);
        server.wait_until(subject, || queue_is_empty(&server));
    };
    let has = |user: &str, subject: &str| {
        let line = format!("Subject: {subject}\n");
        inbox(&server, user)
            .iter()
            .filter(|own| own.contains(&line))
            .count()
    };
    script(&server, "bob", "this is no script {{{");
    deliver("broken");
    assert_eq!(has("bob", "broken"), 1);
    script(&server, "bob", &"if not true { ".repeat(10_000));
    deliver("nested");
    assert_eq!(has("bob", "nested"), 1);
    script(&server, "bob", &"#".repeat(2 * MIB));
    deliver("long");
    assert_eq!(has("bob", "long"), 1);
    script(&server, "bob", "redirect \"bob@example.org\";");
    deliver("itself");
    assert_eq!(has("bob", "itself"), 1);
    script(
        &server,
        "bob",
        "require \"regex\"; if header :regex \"subject\" \"(a{1000}){1000}\" { discard; }",
    );
    deliver("regex");
    assert_eq!(has("bob", "regex"), 1);
    script(
        &server,
        "bob",
        "require \"fileinto\"; fileinto \"../../../etc/x\";",
    );
    deliver("path");
    assert_eq!(has("bob", "path"), 1);
    // Two who send it to each other, each hiding that.
    for (user, other) in [("alice", "bob"), ("bob", "alice")] {
        let text = format!(
            "require \"editheader\"; deleteheader \"X-Sieve-Redirected-From\"; redirect \"{other}@example.org\";"
        );
        script(&server, user, &text);
    }
    deliver("ping-pong");
    assert_eq!(has("bob", "ping-pong") + has("alice", "ping-pong"), 1);
    // One that makes many of one, to ever new addresses.
    script(
        &server,
        "bob",
        "require [\"variables\", \"envelope\", \"copy\"];\n\
         if envelope :localpart :matches \"to\" \"*\" { set \"to\" \"${1}\"; }\n\
         redirect :copy \"bob+a${to}@example.org\"; redirect \"bob+b${to}@example.org\";",
    );
    deliver("many");
    assert!(
        (1..=64).contains(&has("bob", "many")),
        "{}",
        has("bob", "many")
    );
    // An address that would be two lines.
    script(
        &server,
        "bob",
        "redirect \"\\\"a\r\nX-Forged: yes\\\"@example.org\"; redirect \"alice+x\r\nX-Forged: yes@example.org\";",
    );
    deliver("lines");
    for user in ["alice", "bob"] {
        assert!(
            !inbox(&server, user)
                .iter()
                .any(|own| own.contains("\nX-Forged:"))
        );
    }
    assert_eq!(has("bob", "lines") + has("alice", "lines"), 1);
    // A pipe that nobody writes to, and a folder.
    let path = server.home("bob").join(".dovecot.sieve");
    fs::remove_file(&path).unwrap();
    common::run(Command::new("mkfifo").arg(&path));
    deliver("pipe");
    assert_eq!(has("bob", "pipe"), 1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    deliver("folder");
    assert_eq!(has("bob", "folder"), 1);
}

#[test]
fn scripts_before_and_after() {
    let server = Server::start(
        "sieve_before = [\"before\", \"gone.sieve\"]\nsieve_after = [\"after.sieve\"]\n",
    );
    fs::create_dir(server.path("before")).unwrap();
    fs::write(
        server.path("before/1.sieve"),
        "if header \"subject\" \"drop\" { discard; }",
    )
    .unwrap();
    fs::write(
        server.path("before/2.sieve"),
        "require \"editheader\"; addheader \"X-Before\" \"yes\";",
    )
    .unwrap();
    fs::write(server.path("before/README"), "not a script").unwrap();
    script(
        &server,
        "bob",
        "require [\"fileinto\", \"mailbox\"];\n\
         if header \"subject\" \"filed\" { fileinto :create \"Filed\"; }\n\
         if header \"subject\" \"kept\" { keep; }",
    );
    fs::write(
        server.path("after.sieve"),
        "require [\"fileinto\", \"mailbox\"]; fileinto :create \"After\";",
    )
    .unwrap();
    for subject in ["drop", "filed", "kept", "plain"] {
        let message = format!("Subject: {subject}\r\n\r\nx");
        server.send("a@example.com", "bob@example.org", &message);
    }
    server.send(
        "a@example.com",
        "alice@example.org",
        "Subject: hers\r\n\r\nx",
    );
    server.wait_until("an empty queue", || queue_is_empty(&server));
    let of = |user: &str, folder: &str| {
        let mut subjects: Vec<String> =
            files(&server.home(user).join("Maildir").join(folder).join("new"))
                .iter()
                .map(|path| {
                    let text = fs::read_to_string(path).unwrap();
                    assert!(text.contains("\nX-Before: yes\n"), "{text}");
                    let line = text.lines().find(|line| line.starts_with("Subject: "));
                    line.unwrap().replace("Subject: ", "")
                })
                .collect();
        subjects.sort();
        subjects
    };
    assert_eq!(of("bob", ".Filed"), ["filed"]);
    assert_eq!(of("bob", ".After"), ["kept", "plain"]);
    assert_eq!(of("alice", ".After"), ["hers"]);
    assert!(of("bob", "").is_empty());
}

#[test]
fn a_bounce_outlives_a_crash_while_others_wait() {
    // A host that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut server = Server::start(&format!("relayhost = \"[127.0.0.1]:{port}\"\n"));
    script(&server, "bob", "require \"reject\"; reject \"go away\";");
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<alice@example.org>");
    talk.expect("250");
    for to in ["bob@example.org", "x@far.example"] {
        talk.say(&format!("RCPT TO:<{to}>"));
        talk.expect("250");
    }
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    let _held: (TcpStream, _) = silent.accept().unwrap();
    server.kill();
    server.run();
    server.wait_until("the bounce", || !inbox(&server, "alice").is_empty());
    let bounces = inbox(&server, "alice");
    assert_eq!(bounces.len(), 1);
    assert!(bounces[0].contains("go away"), "{}", bounces[0]);
    let list = server.command_with_input(&["queue", "list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("x@far.example"));
}

/// Quotes a text as a synchronizing client would not: at once.
fn literal(text: &str) -> String {
    format!("{{{}+}}\r\n{text}", text.len())
}

#[test]
fn scripts_by_managesieve() {
    let server = Server::start("");
    let connect = || {
        let mut talk = Talk::connect(server.ports.managesieve);
        let greeting = talk.until("OK");
        (talk, greeting.join("\n"))
    };
    let (mut talk, greeting) = connect();
    for word in [
        "\"SIEVE\" \"",
        "fileinto",
        "\"STARTTLS\"",
        "\"VERSION\" \"1.0\"",
        "\"SASL\" \"PLAIN",
    ] {
        assert!(greeting.contains(word), "{word}: {greeting}");
    }
    assert!(!greeting.contains("vnd.dovecot.pipe"));
    talk.say("LISTSCRIPTS");
    assert!(talk.line().starts_with("NO"));
    let login =
        |password: &str| data_encoding::BASE64.encode(format!("\0bob\0{password}").as_bytes());
    talk.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", login("wrong")));
    assert!(talk.line().starts_with("NO"));
    talk.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", login(PASSWORD)));
    assert_eq!(talk.line(), "OK");
    let mut ask = |command: &str| {
        talk.say(command);
        let mut said = talk.line();
        while !["OK", "NO", "BYE"]
            .iter()
            .any(|word| said.starts_with(word) || said.contains(&format!("\n{word}")))
        {
            said = format!("{said}\n{}", talk.line());
        }
        said
    };
    let good = "require \"fileinto\";\r\nfileinto \"Archive\";\r\n";
    assert!(ask("HAVESPACE \"own\" 2000000").starts_with("NO (QUOTA/MAXSIZE)"));
    assert_eq!(ask("HAVESPACE \"own\" 2000"), "OK");
    assert!(ask(&format!("CHECKSCRIPT {}", literal("fileinto \"x\";"))).starts_with("NO"));
    assert!(ask(&format!("PUTSCRIPT \"own\" {}", literal("nonsense"))).starts_with("NO"));
    assert_eq!(ask(&format!("CHECKSCRIPT {}", literal(good))), "OK");
    assert_eq!(ask(&format!("PUTSCRIPT \"own\" {}", literal(good))), "OK");
    for name in ["../../x", "..", ".x", "a/b"] {
        let put = format!("PUTSCRIPT \"{name}\" {}", literal(good));
        assert!(ask(&put).starts_with("NO"), "{name}");
        assert!(
            ask(&format!("GETSCRIPT \"{name}\"")).starts_with("NO"),
            "{name}"
        );
    }
    assert!(ask("SETACTIVE \"none\"").starts_with("NO (NONEXISTENT)"));
    assert_eq!(ask("SETACTIVE \"own\""), "OK");
    assert_eq!(ask("LISTSCRIPTS"), "\"own\" ACTIVE\nOK");
    assert!(ask("DELETESCRIPT \"own\"").starts_with("NO (ACTIVE)"));
    assert_eq!(ask("RENAMESCRIPT \"own\" \"other\""), "OK");
    assert_eq!(ask("LISTSCRIPTS"), "\"other\" ACTIVE\nOK");
    assert!(ask("GETSCRIPT \"other\"").contains("fileinto \"Archive\";"));
    assert!(ask("GETSCRIPT \"own\"").starts_with("NO (NONEXISTENT)"));
    // What was stored here runs there.
    server.send("a@example.com", "bob@example.org", "Subject: x\r\n\r\nx");
    let archive = server.home("bob").join("Maildir/.Archive/new");
    server.wait_until("the script", || files(&archive).len() == 1);
    assert_eq!(ask("SETACTIVE \"\""), "OK");
    assert_eq!(ask("LISTSCRIPTS"), "\"other\"\nOK");
    assert_eq!(ask("DELETESCRIPT \"other\""), "OK");
    assert!(ask("DELETESCRIPT \"other\"").starts_with("NO (NONEXISTENT)"));
    still_works(&server);

    // Noise, and too much of it.
    let (mut talk, _) = connect();
    talk.send(&vec![b'x'; MIB]);
    talk.say("");
    assert!(talk.line().starts_with("NO"));
    talk.say("PUTSCRIPT \"x\" {-1}");
    assert!(talk.line().starts_with("NO"));
    talk.say("PUTSCRIPT \"x\" {2000000+}");
    talk.send(&vec![b'#'; 2_000_000]);
    talk.say("");
    assert!(talk.line().starts_with("NO"));
    let (mut talk, _) = connect();
    talk.send(b"STARTTLS\r\nLISTSCRIPTS\r\n");
    let said = rest(&mut talk);
    assert!(said.lines().count() <= 1, "{said}");
    let (mut talk, _) = connect();
    talk.send(b"NOOP\r\nCAPABILITY\r\nLOGOUT\r\n");
    talk.reader.get_mut().shutdown(Shutdown::Write).unwrap();
    let said = rest(&mut talk);
    assert!(said.matches("OK").count() >= 3, "{said}");
}

#[test]
fn programs_end_in_time() {
    let server = Server::prepare(
        "allow_mail_to_commands = [\"alias\"]\ncommand_time_limit = \"1s\"\n\
         program_allow = [\"/usr/bin/tee\", \"/bin/sleep\", \"/bin/false\", \"/bin/true\"]\n",
    );
    let out = server.path("out");
    fs::write(
        server.path("aliases"),
        format!(
            "tee: \"|/usr/bin/tee {}\"\nslow: \"|/bin/sleep 1000\"\nno: \"|/bin/false\"\n\
             deaf: \"|/bin/true\"\nshell: \"|/bin/sh -c true\"\n",
            out.display()
        ),
    )
    .unwrap();
    let mut server = server;
    server.run();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<alice@example.org>");
    talk.expect("250");
    talk.say("RCPT TO:<shell@example.org>");
    talk.expect("550 5.7.1");
    for name in ["tee", "slow", "no", "deaf"] {
        talk.say(&format!("RCPT TO:<{name}@example.org>"));
        talk.expect("250");
    }
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: $(touch x); x\r\n");
    talk.send(&b"0123456789\r\n".repeat(100_000));
    talk.say(".");
    talk.expect("250");
    server.wait_until("the bounce", || inbox(&server, "alice").len() == 1);
    let bounce = &inbox(&server, "alice")[0];
    assert!(bounce.contains("/bin/false: exit status 1"), "{bounce}");
    assert!(!bounce.contains("/bin/sleep"), "{bounce}");
    let list = server.command_with_input(&["queue", "list"], "");
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("command time limit exceeded"), "{list}");
    let text = fs::read_to_string(out).unwrap();
    assert!(text.starts_with("Return-Path: <alice@example.org>\n"));
    assert!(text.ends_with("0123456789\n") && !text.contains('\r'));
    assert_eq!(text.matches("0123456789\n").count(), 100_000);
}

#[test]
fn a_program_does_not_hold_the_server_up() {
    let mut server =
        Server::prepare("allow_mail_to_commands = [\"alias\"]\nprogram_allow = [\"/bin/sleep\"]\n");
    fs::write(server.path("aliases"), "slow: \"|/bin/sleep 1000\"\n").unwrap();
    server.run();
    server.send("a@example.com", "slow@example.org", "Subject: x\r\n\r\nx");
    server.wait_until("the program", || {
        let threads = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
        threads.flatten().any(|thread| {
            let children = fs::read_to_string(thread.path().join("children"));
            children.is_ok_and(|children| !children.is_empty())
        })
    });
    server.stop();
    server.run();
    let list = server.command_with_input(&["queue", "list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("slow@example.org"));
}

/// Reads up to the line that ends an answer.
async fn answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    use tokio::io::AsyncReadExt;
    let mut text = String::new();
    loop {
        let mut block = [0; 4096];
        let count = stream.read(&mut block).await.unwrap();
        assert!(count > 0, "the server hung up: {text}");
        text.push_str(&String::from_utf8_lossy(&block[..count]));
        let last = text.lines().last().unwrap_or_default();
        if text.ends_with("\r\n") && (last.starts_with("OK") || last.starts_with("NO")) {
            return text;
        }
    }
}

#[test]
fn managesieve_under_tls() {
    use tokio::io::AsyncWriteExt;
    let server = Server::start("ssl = \"required\"\n");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let login = data_encoding::BASE64.encode(format!("\0bob\0{PASSWORD}").as_bytes());
    let login = format!("AUTHENTICATE \"PLAIN\" \"{login}\"\r\n");
    runtime.block_on(async {
        let address = ("127.0.0.1", server.ports.managesieve);
        let mut clear = tokio::net::TcpStream::connect(address).await.unwrap();
        let greeting = answer(&mut clear).await;
        assert!(greeting.contains("\"SASL\" \"\""), "{greeting}");
        clear.write_all(login.as_bytes()).await.unwrap();
        let refused = answer(&mut clear).await;
        assert!(refused.starts_with("NO (ENCRYPT-NEEDED)"), "{refused}");
        clear.write_all(b"STARTTLS\r\n").await.unwrap();
        assert_eq!(answer(&mut clear).await, "OK\r\n");
        let connector = net::tls::opportunistic_connector().unwrap();
        let name = net::tls::PeerName::try_from("mx.example.org").unwrap();
        let mut tls = connector.connect(name, clear).await.unwrap();
        let capabilities = answer(&mut tls).await;
        assert!(capabilities.contains("PLAIN"), "{capabilities}");
        assert!(!capabilities.contains("STARTTLS"), "{capabilities}");
        tls.write_all(login.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut tls).await, "OK\r\n");
        tls.write_all(b"LISTSCRIPTS\r\n").await.unwrap();
        assert_eq!(answer(&mut tls).await, "OK\r\n");
    });
}
