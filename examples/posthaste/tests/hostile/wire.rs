//! Lines, literals and octets that no client sends, and clients that stop midway.

use super::*;

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
        let messages = server.mail("bob");
        queue_is_empty(&server) && messages.iter().any(|own| own.contains("Subject: last"))
    });
    for message in server.mail("bob") {
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
    server.wait_until("an empty queue", || queue_is_empty(&server));
    assert_eq!(server.mail("bob").len(), 1);
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
    server.wait_until("the delivery", || server.mail("bob").len() == 3);
    still_works(&server);
}

#[test]
fn connections_over_the_limit_are_told() {
    let server = Server::start("smtpd_client_connection_count_limit = 3\n");
    // The connection that found it listening may be there still.
    let mut held = Vec::new();
    while held.len() < 3 {
        let mut talk = Talk::connect(server.ports.smtp);
        if talk.line().starts_with("220") {
            held.push(talk);
        }
    }
    let mut talk = Talk::connect(server.ports.smtp);
    talk.expect("421 4.7.0");
    drop(held);
    server.wait_until("a place", || {
        let mut talk = Talk::connect(server.ports.smtp);
        talk.line().starts_with("220")
    });
}
