//! The telnet session of a textbook, as a person types it, and what comes of
//! it: by file, by POP3 and by IMAP.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;

use common::{PASSWORD, Server, Talk};

#[test]
fn as_typed() {
    let server = Server::start("");
    let mut smtp = Talk::connect(server.ports.smtp);
    assert_eq!(smtp.expect("220"), "220 mx.example.org ESMTP posthaste");
    smtp.say("EHLO client.example.com");
    let offer = smtp.expect("250");
    for keyword in [
        "mx.example.org",
        "PIPELINING",
        "SIZE 52428800",
        "STARTTLS",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
    ] {
        assert!(offer.contains(keyword), "{keyword} is not in {offer}");
    }
    assert!(!offer.contains("AUTH"), "{offer}");
    smtp.say("MAIL FROM:<alice@example.com>");
    assert_eq!(smtp.expect("250"), "250 2.1.0 Ok");
    smtp.say("RCPT TO:<bob@example.org>");
    assert_eq!(smtp.expect("250"), "250 2.1.5 Ok");
    smtp.say("DATA");
    assert_eq!(smtp.expect("354"), "354 End data with <CR><LF>.<CR><LF>");
    smtp.say("From: Alice <alice@example.com>");
    smtp.say("To: Bob <bob@example.org>");
    smtp.say("Subject: The textbook");
    smtp.say("");
    smtp.say("Hello Bob.");
    smtp.say("..a line that began with a dot");
    smtp.say(".");
    let queued = smtp.expect("250");
    let id = queued.strip_prefix("250 2.0.0 Ok: queued as ").unwrap();
    smtp.say("QUIT");
    assert_eq!(smtp.expect("221"), "221 2.0.0 Bye");

    let new = server.home("bob").join("Maildir/new");
    let files = || {
        fs::read_dir(&new)
            .into_iter()
            .flatten()
            .flatten()
            .collect::<Vec<_>>()
    };
    server.wait_until("the delivery", || files().len() == 1);
    let message = fs::read_to_string(files()[0].path()).unwrap();
    assert!(
        message.starts_with("Return-Path: <alice@example.com>\nDelivered-To: bob@example.org\n")
    );
    assert!(
        message.contains(&format!("with ESMTP id {id}\n\tfor <bob@example.org>;")),
        "{message}"
    );
    assert!(
        message.ends_with("\n\nHello Bob.\n.a line that began with a dot\n"),
        "{message}"
    );
    // One grep on the id tells the message's whole life.
    server.wait_until("the end", || server.log().contains("removed"));
    let log = server.log();
    let life: Vec<&str> = log.lines().filter(|line| line.contains(id)).collect();
    for word in ["accepted", "delivery", "removed"] {
        assert!(life.iter().any(|line| line.contains(word)), "{word}: {log}");
    }
    assert!(!log.contains("Hello Bob"));

    let mut pop3 = Talk::connect(server.ports.pop3);
    pop3.expect("+OK");
    for command in ["USER bob", &format!("PASS {PASSWORD}")] {
        pop3.say(command);
        let reply = pop3.line();
        assert!(reply.starts_with("+OK"), "{command}: {reply}");
    }
    pop3.say("RETR 1");
    // Dots at the front are doubled on the wire.
    assert_eq!(
        pop3.until_dot().last().unwrap(),
        "..a line that began with a dot"
    );
    pop3.say("QUIT");
    pop3.line();

    let mut imap = Talk::connect(server.ports.imap);
    assert!(imap.line().starts_with("* OK [CAPABILITY IMAP4rev1 "));
    imap.say(&format!("a LOGIN bob \"{PASSWORD}\""));
    assert!(imap.line().starts_with("a OK"));
    imap.say("b SELECT INBOX");
    let selected = imap.until("b ");
    assert!(selected.contains(&"* 1 EXISTS".to_owned()), "{selected:?}");
    imap.say("c FETCH 1 (FLAGS BODY.PEEK[TEXT])");
    let fetched = imap.until("c ");
    assert_eq!(
        fetched[0],
        "* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {43}"
    );
    assert_eq!(fetched[1], "Hello Bob.");
    imap.say("d LOGOUT");
    assert!(imap.line().starts_with("* BYE"));
    assert!(imap.line().starts_with("d OK"));
    assert!(!server.log().contains(PASSWORD));
}
