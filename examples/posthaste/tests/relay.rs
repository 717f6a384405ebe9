//! Mail to other hosts: through a relay host with TLS, deferred and tried
//! again, bounced, and refused to strangers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{PASSWORD, Server, Talk};

/// Logs in without TLS, which this server allows for the test's sake.
fn submit(server: &Server, to: &[&str], message: &str) {
    let mut smtp = Talk::connect(server.ports.submission);
    smtp.expect("220");
    smtp.say("EHLO client.example");
    smtp.expect("250");
    let login = data_encoding::BASE64.encode(format!("\0alice\0{PASSWORD}").as_bytes());
    smtp.say(&format!("AUTH PLAIN {login}"));
    smtp.expect("235");
    smtp.say("MAIL FROM:<alice@example.org>");
    smtp.expect("250");
    for to in to {
        smtp.say(&format!("RCPT TO:<{to}>"));
        smtp.expect("250");
    }
    smtp.say("DATA");
    smtp.expect("354");
    smtp.say(&format!("{message}\r\n."));
    smtp.expect("250");
    smtp.say("QUIT");
    smtp.expect("221");
}

fn pair() -> (Server, Server) {
    let far = Server::prepare("relay_domains = []\n").with_domain("far.example");
    let near = Server::start(&format!(
        "relayhost = \"[127.0.0.1]:{}\"\nsmtpd_tls_auth_only = false\n\
         minimal_backoff_time = \"1h\"\n",
        far.ports.smtp
    ));
    (near, far)
}

#[test]
fn a_relay_host_takes_it_over_tls_and_bounces_come_back() {
    let (near, mut far) = pair();
    far.run();
    submit(
        &near,
        &["alice@far.example", "nobody@far.example"],
        "Subject: out\r\n\r\n.dots\r\n..and more",
    );
    far.wait_until("the message", || !far.mail("alice").is_empty());
    let message = &far.mail("alice")[0];
    assert!(message.contains("\ndots\n.and more\n"), "{message}");
    assert!(message.contains("with ESMTPS id"), "{message}");
    near.wait_until("the bounce", || !near.mail("alice").is_empty());
    let bounce = &near.mail("alice")[0];
    assert!(bounce.starts_with("Return-Path: <>\n"), "{bounce}");
    assert!(bounce.contains("multipart/report"), "{bounce}");
    assert!(
        bounce.contains("Final-Recipient: rfc822; nobody@far.example"),
        "{bounce}"
    );
    assert!(bounce.contains("Status: 5.1.1"), "{bounce}");
    assert!(bounce.contains("Subject: out"), "{bounce}");
    near.wait_until("an empty queue", || {
        let list = near.command_with_input(&["queue", "list"], "");
        String::from_utf8_lossy(&list.stdout).contains("empty")
    });
}

#[test]
fn a_host_that_is_down_gets_it_later() {
    let (mut near, mut far) = pair();
    submit(&near, &["bob@far.example"], "Subject: later\r\n\r\nx");
    let list = || {
        let list = near.command_with_input(&["queue", "list"], "");
        assert!(list.status.success(), "{list:?}");
        String::from_utf8_lossy(&list.stdout).into_owned()
    };
    near.wait_until("a deferred message", || {
        list().contains("Connection refused")
    });
    // It is still there after a restart, and its time has not come.
    near.stop();
    far.run();
    near.run();
    let list = near.command_with_input(&["queue", "list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("bob@far.example"));
    let flush = near.command_with_input(&["queue", "flush"], "");
    assert!(flush.status.success(), "{flush:?}");
    far.wait_until("the message", || !far.mail("bob").is_empty());
}

/// A server that sends all on to a relay host, with the least of everything.
fn behind(host: &TcpListener) -> Server {
    Server::start(&format!(
        "relayhost = \"[127.0.0.1]:{}\"\nsmtpd_tls_auth_only = false\nminimal_backoff_time = \"1h\"\n\
         default_process_limit = 1\ndefault_destination_concurrency_limit = 1\n",
        host.local_addr().unwrap().port()
    ))
}

/// The host answers nothing for as long as the test takes.
#[test]
fn mail_for_a_slow_host_is_in_nobodys_way() {
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = behind(&slow);
    for n in 0..12 {
        let to = format!("bob{n}@far.example");
        submit(&server, &[&to], "Subject: there\r\n\r\nx");
    }
    submit(
        &server,
        &["alice@far.example", "bob@example.org"],
        "Subject: both\r\n\r\nx",
    );
    submit(&server, &["alice@example.org"], "Subject: here\r\n\r\nx");
    server.wait_until("the mail for this host", || {
        server.mail("alice").len() == 1 && server.mail("bob").len() == 1
    });
}

#[test]
fn a_host_that_is_down_is_asked_once() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = behind(&host);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut socket in host.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = socket.write_all(b"421 4.3.2 not now\r\n");
        }
    });
    for n in 0..5 {
        let to = format!("bob{n}@far.example");
        submit(&server, &[&to], "Subject: there\r\n\r\nx");
    }
    let waiting = |attempts: usize| {
        let list = server.command_with_input(&["queue", "list", "--json"], "");
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let tried = format!("\"attempts\":{attempts},");
        let waits = |line: &&str| line.contains(&tried) && line.contains("\"active\":false");
        list.lines().filter(waits).count() == 5 && list.contains("not now")
    };
    server.wait_until("five deferred messages", || waiting(1));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(
        server.log().contains("delivery temporarily suspended: "),
        "{}",
        server.log()
    );
    // Whoever wants it tried has it tried.
    let flush = server.command_with_input(&["queue", "flush"], "");
    assert!(flush.status.success(), "{flush:?}");
    server.wait_until("five messages deferred again", || waiting(2));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn strangers_do_not_relay() {
    let server = Server::start("mynetworks = []\n");
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.expect("220");
    smtp.say("EHLO stranger.example");
    smtp.expect("250");
    smtp.say("MAIL FROM:<a@elsewhere.example>");
    smtp.expect("250");
    for address in [
        "b@elsewhere.example",
        "b%elsewhere.example@mx.elsewhere.example",
        "@example.org:b@elsewhere.example",
    ] {
        smtp.say(&format!("RCPT TO:<{address}>"));
        smtp.expect("554 5.7.1");
    }
    smtp.say("RCPT TO:<nobody@example.org>");
    smtp.expect("550 5.1.1");
    smtp.say("RCPT TO:<alice@example.org>");
    smtp.expect("250");
    // Submission is for users alone.
    let mut smtp = Talk::connect(server.ports.submission);
    smtp.expect("220");
    smtp.say("EHLO stranger.example");
    smtp.expect("250");
    smtp.say("MAIL FROM:<alice@example.org>");
    smtp.expect("530 5.7.0");
}
