//! Mail to other hosts: through a relay host with TLS, deferred and tried
//! again, bounced, and refused to strangers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

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
