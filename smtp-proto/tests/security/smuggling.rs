//! One message taken for two, and commands that come before they may.

use super::*;

/// What some server somewhere has taken for the end of data.
const FALSE_ENDS: [&str; 24] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\n.\r",
    "\r.\n",
    "\n\n.\n\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\0\r\n.\r\r\n",
    "\r\n.\r\0\n",
    "\n\r.\r\n",
    "\n\r.\n\r",
    "\r\n\r.\r\n",
    "\r\n .\r\n",
    "\r\n. \r\n",
    "\r\n.\t\r\n",
    "\r\n..\r\n",
    "\u{b}.\u{b}",
    "\r\n.\u{85}",
];

#[test]
fn smuggling_by_a_false_end_of_data() {
    for policy in [
        BareNewline::Reject,
        BareNewline::Pass,
        BareNewline::Normalise,
    ] {
        for end in FALSE_ENDS {
            let mut wire = ENVELOPE.to_vec();
            wire.extend(format!("x{end}MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").bytes());
            wire.extend(b"evil\r\n.\r\nNOOP\r\n");
            for piece in [1, 2, 3, 5, 1000] {
                let mut config = Config::new("foo.com");
                config.bare_newline = policy;
                let mut session = Session::new(config);
                let said = session.feed_cut(&wire, piece);
                let mails = session.count(|event| matches!(event, Event::Mail(_)));
                assert_eq!(mails, 1, "{end:?} {policy:?}");
                let ends = session.count(|event| matches!(event, Event::PayloadEnd));
                let refused = session.count(|event| matches!(event, Event::Rejected(_)));
                assert_eq!(ends + refused, 1, "{end:?} {policy:?}");
                assert!(said.ends_with("250 2.0.0 Ok\r\n"), "{end:?}: {said}");
                let clean = end.replace("\r\n", "");
                let bare = clean.contains(['\r', '\n', '\0']);
                assert_eq!(
                    refused == 1,
                    bare && policy == BareNewline::Reject,
                    "{end:?}"
                );
                if policy == BareNewline::Normalise {
                    let plain = String::from_utf8(session.payload).unwrap();
                    assert!(
                        !plain.replace("\r\n", "").contains(['\r', '\n']),
                        "{plain:?}"
                    );
                }
            }
        }
    }
}

/// What a client relays cannot be read as two messages either.
#[test]
fn nothing_is_smuggled_on() {
    for end in FALSE_ENDS {
        for chunking in [false, true] {
            let mut config = ClientConfig::new("a.example").unwrap();
            config.chunking = chunking;
            let mut client = Client::new(Arc::new(config), Instant::now());
            let mut input = BytesMut::from("220 x\r\n250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n");
            input.extend_from_slice(b"250 ok\r\n250 ok\r\n");
            if !chunking {
                input.extend_from_slice(b"354 go\r\n");
            }
            let message = format!("x{end}MAIL FROM:<evil@b>\r\n");
            let mut parts = message.as_bytes().chunks(if chunking { 1000 } else { 2 });
            loop {
                match client.poll(&mut input, Instant::now()) {
                    Ok(Step::Event(ClientEvent::Ready)) => {
                        let mail = Mail::new("a@b".parse::<smtp_proto::Address>().unwrap());
                        let rcpt = Rcpt::new("c@d".parse::<smtp_proto::Address>().unwrap());
                        client.begin(mail, vec![rcpt]).unwrap();
                    }
                    Ok(Step::Event(ClientEvent::PayloadWanted)) => match parts.next() {
                        Some(part) => client.send_payload(Bytes::copy_from_slice(part)).unwrap(),
                        None => client.end_payload().unwrap(),
                    },
                    Ok(Step::Event(_)) => {}
                    _ => break,
                }
            }
            let len = client.output().len();
            let sent = client.output().copy_to_bytes(len);
            let text = String::from_utf8(sent.to_vec()).unwrap();
            assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
            if !chunking {
                assert!(text.ends_with("\r\n.\r\n"));
                assert_eq!(text.matches("\r\n.\r\n").count(), 1, "{text:?}");
            }
        }
    }
}

#[test]
fn a_chunk_holds_no_commands() {
    let inside = "\r\n.\r\nMAIL FROM:<evil@b>\r\n";
    for (first, last) in [(true, false), (false, true)] {
        let mut session = Session::new(Config::new("foo.com"));
        session.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
        if first {
            session.feed(b"BDAT 3\r\nx\r\n");
        }
        let word = if last { " LAST" } else { "" };
        session.feed(format!("BDAT {}{word}\r\n{inside}", inside.len()).as_bytes());
        // DATA and BDAT do not mix (RFC 3030 §3).
        if first {
            assert!(session.feed(b"DATA\r\n").starts_with("503 "));
        }
        assert_eq!(session.count(|event| matches!(event, Event::Mail(_))), 1);
    }
}

/// DATA and BDAT do not mix within a message (RFC 3030 §3), in any order.
#[test]
fn data_and_chunks_do_not_mix() {
    let envelope = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(envelope);
    session.feed(b"BDAT 3\r\nx\r\n");
    assert!(session.feed(b"DATA\r\n").starts_with("503 "));
    assert!(session.feed(b"RCPT TO:<e@f>\r\n").starts_with("503 "));
    assert!(session.feed(b"BDAT 0 LAST\r\n").starts_with("250 "));
    assert_eq!(session.payload, b"x\r\n");
    // In a message by DATA, BDAT is text.
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(envelope);
    session.feed(b"DATA\r\nBDAT 5 LAST\r\n.\r\nNOOP\r\n");
    assert_eq!(session.payload, b"BDAT 5 LAST\r\n");
    // BINARYMIME goes by BDAT alone.
    let mut config = Config::new("foo.com");
    config.extensions.binary_mime = true;
    let mut session = Session::new(config);
    session.feed(b"EHLO a\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n");
    assert!(session.feed(b"DATA\r\n").starts_with("503 "));
}

/// Two messages in one go are two messages, where pipelining is offered; a
/// client that was not told so is sent off, when the configuration says that.
#[test]
fn pipelined_after_the_end_of_data() {
    let second = "MAIL FROM:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\n";
    let wire = format!("x\r\n.\r\n{second}y\r\n.\r\n");
    for (hello, strict) in [("EHLO", false), ("HELO", false), ("HELO", true)] {
        let mut config = Config::new("foo.com");
        config.reject_early_commands = strict;
        let mut session = Session::new(config);
        for line in [hello, "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"] {
            let line = match line {
                "EHLO" | "HELO" => format!("{line} a\r\n"),
                line => format!("{line}\r\n"),
            };
            session.feed(line.as_bytes());
        }
        let said = session.feed(wire.as_bytes());
        let ends = session.count(|event| matches!(event, Event::PayloadEnd));
        if strict {
            assert_eq!(ends, 0);
            assert!(said.starts_with("554 5.5.0 "), "{said}");
            assert_eq!(session.error, Some(Error::EarlyCommand));
            assert_eq!(session.count(|event| matches!(event, Event::Reset)), 1);
        } else {
            assert_eq!(ends, 2);
            assert_eq!(session.payload, b"x\r\ny\r\n");
        }
    }
}

/// What may not be followed by anything yet (RFC 2920 §3.1), and what may.
#[test]
fn commands_that_come_too_early() {
    let strict = || {
        let mut config = Config::new("foo.com");
        config.reject_early_commands = true;
        Session::new(config)
    };
    let hello = "EHLO a\r\n";
    let envelope = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    for (before, together, refused) in [
        ("", "EHLO a\r\nMAIL FROM:<a@b>\r\n", true),
        ("HELO a\r\n", envelope, true),
        ("HELO a\r\n", "RSET\r\nQUIT\r\n", true),
        ("HELO a\r\n", "FOO\r\nBAR\r\n", true),
        (hello, "NOOP\r\nNOOP\r\n", true),
        (hello, "VRFY a\r\nNOOP\r\n", true),
        (
            hello,
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n",
            true,
        ),
        (hello, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", false),
        (
            hello,
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3 LAST\r\nx\r\nQUIT\r\n",
            false,
        ),
        (hello, "RSET\r\nQUIT\r\n\r\n", false),
    ] {
        let mut session = strict();
        session.feed(before.as_bytes());
        let said = session.feed(together.as_bytes());
        let ended = session.error == Some(Error::EarlyCommand);
        assert_eq!(ended, refused, "{together:?}: {said}");
        assert_eq!(said.contains("554 5.5.0 "), refused, "{together:?}: {said}");
        // One by one, nothing of it is too early.
        let mut session = strict();
        session.feed(before.as_bytes());
        for line in together.split_inclusive("\r\n") {
            session.feed(line.as_bytes());
        }
        assert_eq!(session.error, None, "{together:?}");
    }
}

#[test]
fn early_talkers_are_found_out() {
    let mut config = Config::new("foo.com");
    config.timeouts.greeting_delay = Duration::from_secs(5);
    let mut session = Session::new(config);
    let said = session.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\n");
    assert!(said.starts_with("554 5.5.0 "), "{said}");
    assert_eq!(session.error, Some(Error::EarlyTalker));
}
