//! Peers that would use up memory, time or patience.

use super::*;

#[test]
fn endless_lines_cost_nothing() {
    let mut session = Session::new(Config::new("foo.com"));
    for _ in 0..1000 {
        session.feed(&[b'a'; 4096]);
        assert!(session.input.len() <= 4096);
    }
    assert!(
        session
            .feed(b"\r\nNOOP\r\n")
            .starts_with("500 5.5.2 Error: line too long\r\n250 ")
    );

    let config = Arc::new(ClientConfig::new("a.example").unwrap());
    let mut client = Client::new(config, Instant::now());
    let mut input = BytesMut::from(&[b'2'; 5000][..]);
    let step = client.poll(&mut input, Instant::now());
    assert_eq!(step, Err(ClientError::ReplyTooLong));
}

#[test]
fn endless_replies_are_cut_off() {
    let config = Arc::new(ClientConfig::new("a.example").unwrap());
    let mut client = Client::new(config, Instant::now());
    let mut input = BytesMut::new();
    for _ in 0..100_000 {
        input.extend_from_slice(b"220-a\r\n");
        match client.poll(&mut input, Instant::now()) {
            Ok(Step::NeedInput) => {}
            Err(ClientError::ReplyTooLong) => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("never cut off");
}

#[test]
fn numbers_do_not_overflow() {
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(b"EHLO a\r\n");
    for size in [
        "18446744073709551616",
        "99999999999999999999999",
        "-1",
        "1e9",
    ] {
        let said = session.feed(format!("MAIL FROM:<a@b> SIZE={size}\r\n").as_bytes());
        assert!(said.starts_with("501 "), "{said}");
    }
    let said = session.feed(b"MAIL FROM:<a@b> SIZE=18446744073709551615\r\n");
    assert!(said.starts_with("552 "), "{said}");
    session.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\nx");
    session.feed(b"BDAT 18446744073709551615\r\n");
    for _ in 0..20_000 {
        session.feed(&[b'x'; 4096]);
    }
    assert!(session.payload.len() <= 50 << 20);
    assert_eq!(session.count(|event| matches!(event, Event::Reset)), 1);
}

/// An octet a minute buys no more than the patience for one block.
#[test]
fn slow_drips_run_dry() {
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(ENVELOPE);
    let mut minutes = 0;
    while !session.is_over() {
        session.now += Duration::from_secs(60);
        session.server.handle_timeout(session.now);
        session.feed(b"x");
        minutes += 1;
        assert!(minutes < 10);
    }
    assert_eq!(session.error, Some(Error::Timeout));

    let mut session = Session::new(Config::new("foo.com"));
    let mut minutes = 0;
    while !session.is_over() {
        session.now += Duration::from_secs(60);
        session.server.handle_timeout(session.now);
        session.feed(b"N");
        minutes += 1;
        assert!(minutes < 10);
    }
}

/// Nor does an octet a minute in a chunk of its own, nor a chunk of none.
#[test]
fn slow_drips_in_chunks_run_dry() {
    let envelope = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    for drip in ["BDAT 1\r\nx", "BDAT 0\r\n", "BDAT 1\r\n"] {
        let mut session = Session::new(Config::new("foo.com"));
        session.feed(envelope);
        let mut minutes = 0;
        while !session.is_over() {
            session.feed(drip.as_bytes());
            session.now += Duration::from_secs(60);
            session.server.handle_timeout(session.now);
            minutes += 1;
            assert!(minutes < 15, "{drip:?}");
        }
        assert_eq!(session.error, Some(Error::Timeout));
    }
    // A client may take its five minutes before a chunk (RFC 5321 §4.5.3.2.7),
    // and once more when it has sent much.
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(envelope);
    session.feed(b"BDAT 1\r\nx");
    for _ in 0..3 {
        session.now += Duration::from_secs(299);
        session.server.handle_timeout(session.now);
        assert!(!session.is_over());
        session.feed(b"BDAT 200000\r\n");
        session.feed(&[b'x'; 200_000]);
    }
    assert!(session.feed(b"BDAT 0 LAST\r\n").starts_with("250 "));
    // The next message has its own time.
    session.now += Duration::from_secs(299);
    session.server.handle_timeout(session.now);
    session.feed(&envelope["EHLO a\r\n".len()..]);
    session.now += Duration::from_secs(299);
    session.server.handle_timeout(session.now);
    assert!(session.feed(b"BDAT 0 LAST\r\n").starts_with("250 "));
}

/// Chunks at the least rate are never cut off.
#[test]
fn steady_chunks_are_not_cut_off() {
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
    let chunk = format!("BDAT 1100\r\n{}", "x".repeat(1100));
    for _ in 0..600 {
        session.now += Duration::from_secs(2);
        session.server.handle_timeout(session.now);
        assert!(session.feed(chunk.as_bytes()).starts_with("250 "));
    }
    assert!(session.feed(b"BDAT 0 LAST\r\n").starts_with("250 "));
}

/// A line of parameters that nobody knows is refused before each of them has
/// been compared with each.
#[test]
fn unknown_parameters_are_few() {
    let mut config = Config::new("foo.com");
    config.unknown_parameters = true;
    let mut session = Session::new(config);
    session.feed(b"EHLO a\r\n");
    for (count, code) in [(64, "250 "), (65, "501 "), (300, "501 ")] {
        let parameters: String = (0..count).map(|n| format!(" X{n}")).collect();
        for path in ["MAIL FROM:<a@b>", "RCPT TO:<c@d>"] {
            let said = session.feed(format!("{path}{parameters}\r\n").as_bytes());
            assert!(said.starts_with(code), "{count}: {said}");
            if count > 64 {
                session.feed(b"MAIL FROM:<a@b>\r\n");
            }
        }
        session.feed(b"RSET\r\n");
    }
}

/// A sender at the least rate is never cut off.
#[test]
fn steady_senders_are_not_cut_off() {
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(ENVELOPE);
    for _ in 0..600 {
        session.now += Duration::from_secs(2);
        session.server.handle_timeout(session.now);
        session.feed(&[b'x'; 1100]);
    }
    assert!(!session.is_over());
}

#[test]
fn guessing_ends_the_connection() {
    let mut config = Config::new("foo.com");
    config.limits.errors = 5;
    let mut session = Session::new(config);
    let said = session.feed(&b"GET / HTTP/1.0\r\n".repeat(10));
    assert_eq!(said.matches("502 ").count(), 5);
    assert!(
        said.ends_with("421 4.7.0 foo.com Error: too many errors\r\n"),
        "{said}"
    );
    assert_eq!(session.error, Some(Error::TooManyErrors));
}

#[test]
fn harvesting_of_recipients_ends_the_connection() {
    let envelope = "EHLO a\r\nMAIL FROM:<a@b>\r\n";
    let guess = "RCPT TO:<nobody@d>\r\n";
    let mut config = Config::new("foo.com");
    config.limits.errors = 5;
    let mut session = Session::new(config.clone());
    session.feed(envelope.as_bytes());
    let said = session.feed(guess.repeat(10).as_bytes());
    assert_eq!(said.matches("550 ").count(), 5);
    assert!(
        said.ends_with("421 4.7.0 foo.com Error: too many errors\r\n"),
        "{said}"
    );
    assert_eq!(session.error, Some(Error::TooManyErrors));
    // Who sends mail may err now and then.
    let mut session = Session::new(config.clone());
    session.feed(b"EHLO a\r\n");
    for _ in 0..10 {
        let mail = format!(
            "MAIL FROM:<a@b>\r\n{}RCPT TO:<c@d>\r\nDATA\r\n",
            guess.repeat(4)
        );
        session.feed(mail.as_bytes());
        assert!(session.feed(b"x\r\n.\r\n").starts_with("250 "));
    }
    // A host that hands over many messages, for whoever it knew of.
    config.mode = smtp_proto::Mode::Lmtp;
    let mut session = Session::new(config);
    session.feed(envelope.replace("EHLO", "LHLO").as_bytes());
    let said = session.feed(guess.repeat(100).as_bytes());
    assert_eq!(said.matches("550 ").count(), 100);
    assert!(!session.is_over());
}

/// A client that does not end its list, whatever it was told of each.
#[test]
fn endless_recipients_end_the_connection() {
    let mut config = Config::new("foo.com");
    config.limits.recipients = 3;
    config.limits.refusals = 7;
    config.limits.errors = 5;
    let (envelope, rcpt) = ("EHLO a\r\nMAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n");
    let farewell = "421 4.7.0 foo.com Error: too many errors\r\n";
    let mut session = Session::new(config.clone());
    session.feed(envelope.as_bytes());
    let said = session.feed(rcpt.repeat(100).as_bytes());
    assert_eq!(said.matches("250 ").count(), 3);
    assert_eq!(said.matches("452 4.5.3 ").count(), 7 + 5);
    assert!(said.ends_with(farewell), "{said}");
    assert_eq!(session.error, Some(Error::TooManyErrors));

    // One that does keeps those before the limit, and is forgiven the rest.
    let mut session = Session::new(config.clone());
    session.feed(b"EHLO a\r\n");
    for _ in 0..5 {
        session.feed(b"MAIL FROM:<a@b>\r\n");
        let said = session.feed(rcpt.repeat(3 + 7 + 4).as_bytes());
        assert_eq!(said.matches("452 4.5.3 ").count(), 7 + 4);
        assert_eq!(session.server.recipients(), 3);
        session.feed(b"DATA\r\n");
        assert!(session.feed(b"x\r\n.\r\n").starts_with("250 "));
    }

    // Nor does one transaction after another, nor who is told to come back,
    // nor LMTP, nor a host that wants no message.
    for (lines, lmtp) in [
        ("RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<later@d>\r\n", false),
        ("RCPT TO:<later@d>\r\n", false),
        ("RCPT TO:<nobody@d>\r\n", true),
        ("RCPT TO:<c@d>\r\n", true),
        (
            "RSET\r\n\
          MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nspam\r\n.\r\n",
            false,
        ),
        (
            "RSET\r\n\
          MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\na\nb\r\n.\r\n",
            true,
        ),
        (
            "RSET\r\n\
          MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\n\n",
            false,
        ),
        ("RSET\r\nSTARTTLS\r\n", false),
        ("RCPT TO:<no-data@d>\r\nDATA\r\nMAIL FROM:<a@b>\r\n", false),
    ] {
        let mut config = config.clone();
        let mut envelope = envelope.to_owned();
        if lmtp {
            config.mode = smtp_proto::Mode::Lmtp;
            envelope = envelope.replace("EHLO", "LHLO");
        }
        config.extensions.starttls = true;
        let mut session = Session::new(config);
        session.no_tls = true;
        session.feed(envelope.as_bytes());
        let said: String = (0..50).map(|_| session.feed(lines.as_bytes())).collect();
        assert!(said.ends_with(farewell), "{lines}: {said}");
    }
}

/// What LMTP says of one recipient ends nothing for the others.
#[test]
fn messages_that_lmtp_refuses_are_answered_for_everybody() {
    let mut config = Config::lmtp("foo.com");
    config.limits.refusals = 3;
    config.limits.errors = 1;
    let mut session = Session::new(config);
    session.feed(b"LHLO a\r\nMAIL FROM:<a@b>\r\n");
    session.feed(&b"RCPT TO:<c@d>\r\n".repeat(10));
    let said = session.feed(b"DATA\r\nspam\r\n.\r\n");
    assert_eq!(said.matches("554 5.7.1 ").count(), 10, "{said}");
    assert!(!session.is_over());
}

/// Commands that lead to no message do not hold a connection for ever.
#[test]
fn idle_talk_ends_the_connection() {
    for idle in [
        "NOOP\r\n",
        "EHLO a\r\n",
        "HELO a\r\n",
        "VRFY a\r\n",
        "HELP\r\n",
        "MAIL FROM:<a@b>\r\nRSET\r\n",
        "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nEHLO a\r\n",
    ] {
        let mut session = Session::new(Config::new("foo.com"));
        session.feed(b"EHLO a\r\n");
        let said = session.feed(idle.repeat(98).as_bytes());
        assert!(!said.contains("421 "), "{idle:?}");
        let message = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
        session.feed(message);
        assert!(session.feed(b"x\r\n.\r\n").starts_with("250 "));
        let said = session.feed(idle.repeat(100).as_bytes());
        assert!(!said.contains("421 "), "{idle:?}");
        let said = session.feed(idle.as_bytes());
        assert!(
            said.ends_with("421 4.7.0 foo.com Error: too many commands\r\n"),
            "{said}"
        );
        assert!(session.is_over());
    }
}

/// A peer that sends and never reads stops being read.
#[test]
fn unread_output_stops_the_input() {
    let mut config = Config::new("foo.com");
    config.limits.idle_commands = u32::MAX;
    let mut session = Session::new(config);
    session
        .input
        .extend_from_slice(&b"NOOP\r\n".repeat(100_000));
    session.pump();
    assert!(session.server.output().len() <= (64 << 10) + 512);
    let step = session.server.poll(&mut session.input, session.now);
    assert_eq!(step, Ok(Step::NeedDrain));
    // Nor does it win time by reading a little.
    let mut minutes = 0;
    while !session.is_over() {
        session.now += Duration::from_secs(60);
        session.server.handle_timeout(session.now);
        session.server.output().advance(1);
        session.pump();
        minutes += 1;
        assert!(minutes <= 5);
    }
    assert_eq!(session.error, Some(Error::Timeout));
}

/// One that reads in the end goes on.
#[test]
fn output_that_is_read_lets_the_input_go_on() {
    let mut config = Config::new("foo.com");
    config.limits.idle_commands = u32::MAX;
    let mut session = Session::new(config);
    let mut answered = 0;
    session.input.extend_from_slice(&b"NOOP\r\n".repeat(50_000));
    while !session.input.is_empty() {
        session.pump();
        session.now += Duration::from_secs(299);
        session.server.handle_timeout(session.now);
        answered += session.said().matches("250 ").count();
    }
    assert!(!session.is_over());
    // The last of them was followed by silence.
    assert_eq!(answered, 50_000);
}

/// Every recipient of a broken connection is heard of once.
#[test]
fn nobody_is_forgotten() {
    let script = "220 x\r\n250-x\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n";
    for len in 30..=script.len() {
        let mut config = ClientConfig::new("a.example").unwrap();
        config.chunking = false;
        let mut client = Client::new(Arc::new(config), Instant::now());
        let mut input = BytesMut::from(&script.as_bytes()[..len]);
        let mut fates = Vec::new();
        client.handle_eof();
        loop {
            match client.poll(&mut input, Instant::now()) {
                Ok(Step::Event(ClientEvent::Ready)) => {
                    let address: smtp_proto::Address = "a@b".parse().unwrap();
                    let rcpt = Rcpt::new(address.clone());
                    client
                        .begin(Mail::new(address), vec![rcpt.clone(), rcpt])
                        .unwrap();
                }
                Ok(Step::Event(ClientEvent::PayloadWanted)) => client.end_payload().unwrap(),
                Ok(Step::Event(ClientEvent::Recipient(recipient))) => {
                    fates.push((recipient.index, recipient.status));
                }
                Ok(Step::Event(_)) => {}
                Ok(Step::Closed) | Err(_) => break,
                Ok(other) => panic!("{other:?}"),
            }
        }
        fates.sort_by_key(|fate| fate.0);
        let refused = len >= script.len() - 8;
        let second = if refused {
            Status::Bounced
        } else {
            Status::Deferred
        };
        assert_eq!(fates, [(0, Status::Deferred), (1, second)], "after {len}");
    }
}

/// Lines of an AUTH exchange may have 12,288 octets (RFC 4954 §4), both ways.
#[test]
fn long_lines_of_auth() {
    let strict = || {
        let mut config = Config::new("foo.com");
        config.extensions.auth = vec!["PLAIN".into()];
        config.auth_needs_tls = false;
        let mut session = Session::new(config);
        session.feed(b"EHLO a\r\n");
        session
    };
    // "AUTH PLAIN " and CRLF besides.
    for (len, code) in [(12_276, "235"), (12_280, "500")] {
        let line = format!("AUTH PLAIN {}\r\n", "A".repeat(len));
        for piece in [1, 100, 20_000] {
            let said = strict().feed_cut(line.as_bytes(), piece);
            assert!(said.starts_with(code), "{len}: {said}");
        }
    }
    // Another command of that length is none.
    let line = format!("NOOP {}\r\n", "A".repeat(3000));
    assert!(strict().feed(line.as_bytes()).starts_with("500 5.5.2 "));
    // At the limit of command lines, and one octet above it.
    let line = |len: usize| format!("NOOP {}\r\n", "A".repeat(len - 5));
    assert!(strict().feed(line(2048).as_bytes()).starts_with("250 "));
    assert!(strict().feed(line(2049).as_bytes()).starts_with("500 "));

    let config = Arc::new({
        let mut config = ClientConfig::new("a.example").unwrap();
        config.auth_needs_tls = false;
        config
    });
    let mut client = Client::new(config, Instant::now());
    let mut input = BytesMut::from("220 x\r\n250-x\r\n250 AUTH PLAIN\r\n");
    let step = client.poll(&mut input, Instant::now());
    assert_eq!(step, Ok(Step::Event(ClientEvent::Ready)));
    assert!(client.auth("PLAIN", Some(&[0; 9300])).is_err());
    assert!(client.auth("PLAIN", Some(&[0; 9200])).is_ok());
}
