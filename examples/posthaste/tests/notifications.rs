//! What senders are told of their mail (RFC 3461): failures, deliveries,
//! delays, what was handed on, and nothing where they asked for nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use common::{Server, Talk, free_port};

/// Waits for a message in a user's INBOX that says all of this.
fn told(server: &Server, user: &str, says: &[&str]) -> String {
    let found = || {
        let all = server.mail(user);
        all.into_iter()
            .find(|message| says.iter().all(|part| message.contains(part)))
    };
    server.wait_until(&format!("{says:?}"), || found().is_some());
    found().unwrap()
}

fn queue_is_empty(server: &Server) -> bool {
    let list = server.command_with_input(&["queue", "list"], "");
    String::from_utf8_lossy(&list.stdout).contains("empty")
}

/// Sends a message to recipients with parameters of their own.
fn send(server: &Server, mail: &str, recipients: &[&str]) {
    send_text(server, mail, recipients, "the body");
}

fn send_text(server: &Server, mail: &str, recipients: &[&str], text: &str) {
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.expect("220");
    smtp.say("EHLO client.example");
    smtp.expect("250");
    smtp.say(&format!("MAIL FROM:{mail}"));
    smtp.expect("250");
    for rcpt in recipients {
        smtp.say(&format!("RCPT TO:{rcpt}"));
        smtp.expect("250");
    }
    smtp.say("DATA");
    smtp.expect("354");
    smtp.say(&format!(
        "Subject: told\r\nX-Header: kept\r\n\r\n{text}\r\n."
    ));
    smtp.expect("250");
    smtp.say("QUIT");
    smtp.expect("221");
}

/// Another host that takes what it is given; `offers` are its EHLO lines, and
/// recipients that begin with `refused` are refused.
struct Other {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Other {
    fn start(offers: &'static [&'static str]) -> Self {
        Self::with(offers, || ())
    }

    /// One that does something before it takes a message over.
    fn with(offers: &'static [&'static str], at_end: impl Fn() + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let said = Arc::clone(&heard);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let mut write = socket.try_clone().unwrap();
                let mut say = |line: &str| write.write_all(format!("{line}\r\n").as_bytes());
                let _ = say("220 other.example");
                let mut data = false;
                for line in BufReader::new(socket).lines().map_while(Result::ok) {
                    let answered = match line.split([' ', ':']).next() {
                        _ if data && line != "." => continue,
                        Some("EHLO") => {
                            let mut lines = vec!["250-other.example".to_owned()];
                            lines.extend(offers.iter().map(|offer| format!("250-{offer}")));
                            lines.push("250 HELP".into());
                            say(&lines.join("\r\n"))
                        }
                        Some("DATA") => {
                            data = true;
                            say("354 go on")
                        }
                        Some("RCPT") if line.contains("refused") => say("550 5.1.1 nobody"),
                        Some("QUIT") => say("221 bye"),
                        _ => {
                            if std::mem::take(&mut data) {
                                at_end();
                            }
                            say("250 2.0.0 fine")
                        }
                    };
                    said.lock().unwrap().push(line);
                    if answered.is_err() {
                        break;
                    }
                }
            }
        });
        Self { port, heard }
    }

    fn heard(&self, what: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let lines = heard.iter().filter(|line| line.starts_with(what));
        lines.cloned().collect()
    }
}

fn relaying(port: u16, more: &str) -> String {
    format!("relayhost = \"[127.0.0.1]:{port}\"\nminimal_backoff_time = \"1h\"\n{more}")
}

#[test]
fn a_delivery_is_told_to_who_asked() {
    let server = Server::start("");
    send(
        &server,
        "<alice@example.org> RET=FULL ENVID=see+2Bhere",
        &[
            "<bob@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Robert+2Bx@Example.COM",
            "<bob+quiet@example.org> NOTIFY=FAILURE",
            "<bob+none@example.org>",
        ],
    );
    let report = told(&server, "alice", &["Successful Mail Delivery Report"]);
    for says in [
        "Return-Path: <>\n",
        "Original-Envelope-Id: see+here\n",
        "Original-Recipient: rfc822;Robert+x@Example.COM\n",
        "Final-Recipient: rfc822; bob@example.org\n",
        "Action: delivered\n",
        "Status: 2.0.0\n",
        "X-Header: kept",
        "text/rfc822-headers",
    ] {
        assert!(report.contains(says), "{says}: {report}");
    }
    for silent in ["quiet", "none", "the body"] {
        assert!(!report.contains(silent), "{silent}: {report}");
    }
    server.wait_until("an empty queue", || queue_is_empty(&server));
    assert_eq!(server.mail("alice").len(), 1);
    assert_eq!(server.mail("bob").len(), 3);
}

#[test]
fn a_failure_is_told_as_it_was_asked_for() {
    let other = Other::start(&["PIPELINING"]);
    let server = Server::start(&relaying(other.port, ""));
    for (mail, rcpt, whole) in [
        ("<alice@example.org>", "<refused1@far.example>", true),
        (
            "<alice@example.org> RET=HDRS ENVID=two",
            "<refused2@far.example> NOTIFY=FAILURE ORCPT=rfc822;first@far.example",
            false,
        ),
    ] {
        send(&server, mail, &[rcpt]);
        let name = &rcpt[1..9];
        let report = told(&server, "alice", &["Undelivered Mail", name]);
        assert!(report.contains("Action: failed\n"), "{report}");
        assert!(report.contains("Status: 5.1.1\n"), "{report}");
        assert!(
            report.contains("Diagnostic-Code: smtp; 550 5.1.1 nobody"),
            "{report}"
        );
        assert_eq!(report.contains("the body"), whole, "{report}");
        assert_eq!(report.contains("Original-Envelope-Id: two"), !whole);
        assert_eq!(
            report.contains("Original-Recipient: rfc822;first@far.example"),
            !whole
        );
    }
    // Nobody is told what nobody wanted to know.
    for never in ["NOTIFY=NEVER", "NOTIFY=SUCCESS,DELAY"] {
        let rcpt = format!("<refused3@far.example> {never}");
        send(&server, "<alice@example.org>", &[&rcpt]);
    }
    send(&server, "<>", &["<refused4@far.example> NOTIFY=FAILURE"]);
    server.wait_until("an empty queue", || queue_is_empty(&server));
    assert_eq!(server.mail("alice").len(), 2);
    // The parameters were not for a host that does not know them.
    for line in other.heard("MAIL").iter().chain(&other.heard("RCPT")) {
        for parameter in ["RET", "ENVID", "NOTIFY", "ORCPT"] {
            assert!(!line.contains(parameter), "{line}");
        }
    }
}

#[test]
fn what_is_handed_on_to_where_nobody_tells_is_told_as_that() {
    let other = Other::start(&[]);
    let server = Server::start(&relaying(other.port, ""));
    send(
        &server,
        "<alice@example.org>",
        &[
            "<one@far.example> NOTIFY=SUCCESS",
            "<two@far.example> NOTIFY=FAILURE",
            "<three@far.example>",
        ],
    );
    let report = told(&server, "alice", &["Action: relayed\n"]);
    assert!(
        report.contains("Final-Recipient: rfc822; one@far.example"),
        "{report}"
    );
    assert!(report.contains("Remote-MTA: dns; 127.0.0.1"), "{report}");
    assert!(report.contains("250 2.0.0 fine"), "{report}");
    assert!(
        !report.contains("two@") && !report.contains("three@"),
        "{report}"
    );
    server.wait_until("an empty queue", || queue_is_empty(&server));
    assert_eq!(server.mail("alice").len(), 1);
}

#[test]
fn who_tells_is_left_to_do_so() {
    let other = Other::start(&["DSN"]);
    let server = Server::start(&relaying(other.port, ""));
    send(
        &server,
        "<alice@example.org> RET=HDRS ENVID=a+2Bb",
        &[
            "<one@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Uno@far.example",
            "<two@far.example> NOTIFY=NEVER",
            "<three@far.example>",
        ],
    );
    server.wait_until("an empty queue", || queue_is_empty(&server));
    assert_eq!(
        other.heard("MAIL"),
        ["MAIL FROM:<alice@example.org> RET=HDRS ENVID=a+2Bb"]
    );
    assert_eq!(
        other.heard("RCPT"),
        [
            "RCPT TO:<one@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Uno@far.example",
            "RCPT TO:<two@far.example> NOTIFY=NEVER",
            "RCPT TO:<three@far.example>",
        ]
    );
    assert!(server.mail("alice").is_empty());
}

#[test]
fn aliases_pass_on_what_was_asked_for() {
    let other = Other::start(&["DSN"]);
    let server = Server::prepare(&relaying(other.port, ""));
    fs::write(
        server.path("aliases"),
        "one: far@far.example\nmany: bob, far2@far.example\n",
    )
    .unwrap();
    let mut server = server;
    server.run();
    send(
        &server,
        "<alice@example.org>",
        &[
            "<one@example.org> NOTIFY=SUCCESS",
            "<many@example.org> NOTIFY=SUCCESS,FAILURE",
        ],
    );
    let report = told(&server, "alice", &["Action: expanded\n"]);
    assert!(
        report.contains("Final-Recipient: rfc822; many@example.org"),
        "{report}"
    );
    assert!(!report.contains("one@"), "{report}");
    server.wait_until("an empty queue", || queue_is_empty(&server));
    let mut heard = other.heard("RCPT");
    heard.sort();
    assert_eq!(
        heard,
        [
            "RCPT TO:<far2@far.example> NOTIFY=FAILURE ORCPT=rfc822;many@example.org",
            "RCPT TO:<far@far.example> NOTIFY=SUCCESS ORCPT=rfc822;one@example.org",
        ]
    );
    // The delivery to one of the many is not told of.
    assert_eq!(server.mail("alice").len(), 1);
    assert_eq!(server.mail("bob").len(), 1);
}

fn flush_until(server: &Server, what: &str, done: impl Fn() -> bool) {
    server.wait_until(what, || {
        let flush = server.command_with_input(&["queue", "flush"], "");
        assert!(flush.status.success(), "{flush:?}");
        done()
    });
}

#[test]
fn a_late_message_is_told_of_once() {
    let more = "delay_warning_time = \"1s\"\n";
    let server = Server::start(&relaying(free_port(), more));
    send(
        &server,
        "<alice@example.org> ENVID=late",
        &[
            "<one@far.example>",
            "<two@far.example> NOTIFY=DELAY",
            "<three@far.example> NOTIFY=FAILURE,SUCCESS",
            "<four@far.example> NOTIFY=NEVER",
        ],
    );
    flush_until(&server, "a report of the delay", || {
        !server.mail("alice").is_empty()
    });
    let report = told(&server, "alice", &["Delayed Mail"]);
    for says in [
        "Action: delayed\n",
        "Status: 4.4.1\n",
        "Will-Retry-Until: ",
        "Original-Envelope-Id: late\n",
        "; one@far.example\n",
        "; two@far.example\n",
    ] {
        assert!(report.contains(says), "{says}: {report}");
    }
    for silent in ["three@", "four@", "the body"] {
        assert!(!report.contains(silent), "{silent}: {report}");
    }
    // Further attempts, and a restart, tell nothing more.
    let mut server = server;
    server.stop();
    server.run();
    let attempts = server.log().matches("status=deferred").count();
    flush_until(&server, "more attempts", || {
        server.log().matches("status=deferred").count() >= attempts + 8
    });
    assert_eq!(server.mail("alice").len(), 1);
}

#[test]
fn what_cannot_be_delivered_in_its_time_goes_back() {
    let more = "maximal_queue_lifetime = \"1s\"\n";
    let server = Server::start(&relaying(free_port(), more));
    send(
        &server,
        "<alice@example.org>",
        &["<one@far.example>", "<two@far.example> NOTIFY=NEVER"],
    );
    flush_until(&server, "the bounce", || !server.mail("alice").is_empty());
    let report = told(
        &server,
        "alice",
        &["Undelivered Mail", "delivery time expired"],
    );
    assert!(report.contains("Status: 5.4.7\n"), "{report}");
    assert!(report.contains("Action: failed\n"), "{report}");
    assert!(!report.contains("two@"), "{report}");
    server.wait_until("an empty queue", || queue_is_empty(&server));
    assert_eq!(server.mail("alice").len(), 1);
}

/// Nothing is forgotten when a report cannot be written: not over a crash,
/// and without delivering twice.
#[test]
fn a_report_that_cannot_be_written_waits() {
    let queue = Arc::new(Mutex::new(None::<(PathBuf, PathBuf)>));
    let folders = Arc::clone(&queue);
    let other = Other::with(&[], move || {
        if let Some((place, aside)) = &*folders.lock().unwrap() {
            let _ = fs::rename(place, aside);
        }
    });
    let mut server = Server::start(&relaying(other.port, ""));
    let (place, aside) = (server.path("queue/big"), server.path("aside"));
    assert!(place.is_dir(), "the queue keeps large messages elsewhere");
    *queue.lock().unwrap() = Some((place.clone(), aside.clone()));
    // Too large to lie in the log of the queue.
    let text = "a line of the body\r\n".repeat(10_000);
    let to = ["<one@far.example> NOTIFY=SUCCESS"];
    send_text(&server, "<alice@example.org>", &to, text.trim_end());
    server.wait_until("a failed report", || {
        server.log().contains("cannot write a report")
    });
    assert!(!queue_is_empty(&server));
    fs::rename(&aside, &place).unwrap();
    server.kill();
    server.run();
    flush_until(&server, "the report", || !server.mail("alice").is_empty());
    let report = told(
        &server,
        "alice",
        &["Action: relayed\n", "; one@far.example\n"],
    );
    assert!(report.contains("X-Header: kept"), "{report}");
    server.wait_until("an empty queue", || queue_is_empty(&server));
    assert_eq!(other.heard("DATA").len(), 1);
    assert_eq!(server.mail("alice").len(), 1);
}

/// An alias may stand for addresses that a host cannot take.
#[test]
fn an_address_that_cannot_go_keeps_no_other_here() {
    for offers in [&[][..], &["SMTPUTF8"][..]] {
        let other = Other::start(offers);
        let server = Server::prepare(&relaying(other.port, ""));
        let all = "all: gr\u{fc}\u{df}e@far.example, bob@far.example\n";
        fs::write(server.path("aliases"), all).unwrap();
        let mut server = server;
        server.run();
        send(&server, "<alice@example.org>", &["<all@example.org>"]);
        if offers.is_empty() {
            let says = ["Undelivered Mail", "Status: 5.6.7\n"];
            let report = told(&server, "alice", &says);
            assert!(!report.contains("bob@"), "{report}");
        }
        server.wait_until("an empty queue", || queue_is_empty(&server));
        let heard = other.heard("RCPT");
        assert_eq!(heard.len(), 1 + offers.len(), "{heard:?}");
        assert!(heard.iter().any(|line| line.contains("<bob@far.example>")));
        let extended = other
            .heard("MAIL")
            .iter()
            .any(|line| line.contains("SMTPUTF8"));
        assert_eq!(extended, !offers.is_empty());
    }
}

/// What a filter sends on goes with what the sender asked for.
#[test]
fn who_wants_to_hear_nothing_hears_nothing_of_a_redirect() {
    let other = Other::start(&["DSN"]);
    let server = Server::start(&relaying(other.port, ""));
    let home = server.home("bob");
    fs::create_dir_all(&home).unwrap();
    fs::write(
        home.join(".dovecot.sieve"),
        "redirect \"refused@far.example\";",
    )
    .unwrap();
    send(
        &server,
        "<alice@example.org>",
        &["<bob@example.org> NOTIFY=NEVER"],
    );
    server.wait_until("the redirect", || !other.heard("RCPT").is_empty());
    server.wait_until("an empty queue", || queue_is_empty(&server));
    let heard = other.heard("RCPT");
    assert!(heard[0].ends_with("> NOTIFY=NEVER"), "{heard:?}");
    assert!(server.mail("alice").is_empty());
}

/// Under the sender's name with what the sender asked for, under another's
/// without.
#[test]
fn a_forward_under_another_name_tells_nothing_of_the_first_sender() {
    let other = Other::start(&["DSN"]);
    let server = Server::start(&relaying(other.port, ""));
    let home = server.home("bob");
    fs::create_dir_all(&home).unwrap();
    fs::write(
        home.join(".procmailrc"),
        ":0 c\n! one@far.example\n\n:0\n! -f alice@example.org two@far.example\n",
    )
    .unwrap();
    let to = ["<bob@example.org> NOTIFY=NEVER ORCPT=rfc822;rob@example.org"];
    send(&server, "<bob@example.org> RET=HDRS ENVID=first", &to);
    server.wait_until("both", || other.heard("RCPT").len() == 2);
    server.wait_until("an empty queue", || queue_is_empty(&server));
    let sorted = |what| {
        let mut heard = other.heard(what);
        heard.sort();
        heard
    };
    assert_eq!(
        sorted("RCPT"),
        [
            "RCPT TO:<one@far.example> NOTIFY=NEVER ORCPT=rfc822;rob@example.org",
            "RCPT TO:<two@far.example>",
        ]
    );
    let mail = sorted("MAIL");
    assert!(
        mail[0].starts_with("MAIL FROM:<alice@example.org>"),
        "{mail:?}"
    );
    assert!(
        !mail[0].contains("ENVID") && !mail[0].contains("RET"),
        "{mail:?}"
    );
    assert!(mail[1].ends_with("RET=HDRS ENVID=first"), "{mail:?}");
}

/// The parameters go all the way to the host that delivers, and its report
/// comes all the way back.
#[test]
fn the_last_host_tells_the_first_sender() {
    let mut far = Server::prepare("").with_domain("far.example");
    let near = Server::start(&relaying(far.ports.smtp, ""));
    let path = far.path("posthaste.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config + &relaying(near.ports.smtp, "")).unwrap();
    far.run();
    send(
        &near,
        "<alice@example.org> ENVID=all-the-way",
        &["<bob@far.example> NOTIFY=SUCCESS ORCPT=rfc822;bob@far.example"],
    );
    let report = told(&near, "alice", &["Action: delivered\n"]);
    assert!(
        report.contains("Reporting-MTA: dns; mx.far.example\n"),
        "{report}"
    );
    assert!(
        report.contains("Original-Envelope-Id: all-the-way\n"),
        "{report}"
    );
    assert_eq!(far.mail("bob").len(), 1);
    assert_eq!(near.mail("alice").len(), 1);
}
