//! Attacks on record, each as a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use common::session::Session;
use smtp_proto::{
    BareNewline, Client, ClientConfig, ClientError, ClientEvent, Command, Config, Error, Event,
    Lenient, Lookup, Mail, Misuse, Rcpt, Reply, Status, Step,
};

const ENVELOPE: &[u8] = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";

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

#[test]
fn commands_behind_starttls_are_an_injection() {
    let mut config = Config::new("foo.com");
    config.extensions.starttls = true;
    let mut session = Session::new(config);
    session.feed(b"EHLO a\r\nSTARTTLS\r\nMAIL FROM:<evil@b>\r\n");
    assert_eq!(session.error, Some(Error::PlainTextAfterStartTls));
    assert_eq!(session.count(|event| matches!(event, Event::StartTls)), 0);
    assert_eq!(session.count(|event| matches!(event, Event::Mail(_))), 0);
}

#[test]
fn starttls_forgets_everything() {
    let mut config = Config::new("foo.com");
    config.extensions.starttls = true;
    config.extensions.auth = vec!["PLAIN".into()];
    config.auth_needs_tls = false;
    config.auth_required = true;
    let mut session = Session::new(config);
    session.feed(b"EHLO a\r\n");
    assert!(session.feed(b"AUTH PLAIN =\r\n").starts_with("235 "));
    session.feed(b"STARTTLS\r\n");
    assert!(session.server.is_tls() && !session.server.is_authenticated());
    session.feed(b"EHLO a\r\n");
    assert!(session.feed(b"MAIL FROM:<a@b>\r\n").starts_with("530 "));
}

#[test]
fn replies_behind_starttls_are_an_injection() {
    let config = Arc::new(ClientConfig::new("a.example").unwrap());
    let mut client = Client::new(config, Instant::now());
    let mut input = BytesMut::from("220 x\r\n250-x\r\n250 STARTTLS\r\n");
    let now = Instant::now();
    assert_eq!(
        client.poll(&mut input, now),
        Ok(Step::Event(ClientEvent::Ready))
    );
    client.start_tls().unwrap();
    input.extend_from_slice(b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n");
    let step = client.poll(&mut input, now);
    assert_eq!(step, Err(ClientError::PlainTextAfterStartTls));
}

#[test]
fn no_password_in_clear() {
    let mut config = Config::new("foo.com");
    config.extensions.auth = vec!["PLAIN".into()];
    let mut session = Session::new(config);
    assert!(!session.feed(b"EHLO a\r\n").contains("AUTH"));
    assert!(session.feed(b"AUTH PLAIN =\r\n").starts_with("538 5.7.11 "));

    let config = Arc::new(ClientConfig::new("a.example").unwrap());
    let mut client = Client::new(config, Instant::now());
    let mut input = BytesMut::from("220 x\r\n250-x\r\n250 AUTH PLAIN\r\n");
    let step = client.poll(&mut input, Instant::now());
    assert_eq!(step, Ok(Step::Event(ClientEvent::Ready)));
    assert!(client.auth("PLAIN", Some(b"secret")).is_err());
}

/// No argument of the host becomes a second command or parameter.
#[test]
fn nothing_is_injected_by_a_client() {
    let config = Arc::new(ClientConfig::new("a.example").unwrap());
    let mut client = Client::new(config, Instant::now());
    let mut input = BytesMut::from("220 x\r\n250-x\r\n250-DSN\r\n250 NO-SOLICITING\r\n");
    while let Ok(Step::Event(_)) = client.poll(&mut input, Instant::now()) {}
    client.output().clear();
    let address: smtp_proto::Address = "a@b".parse().unwrap();
    let mut bad = Mail::new(address.clone());
    for text in [
        "a\r\nRCPT TO:<x@y>",
        "a BODY=8BITMIME",
        "a\nb",
        "\u{7f}",
        "",
    ] {
        bad.solicit = Some(text.into());
        let misuse = client.begin(bad.clone(), vec![Rcpt::new(address.clone())]);
        assert!(matches!(misuse, Err(Misuse::Argument { .. })), "{text:?}");
        for command in [
            Command::Vrfy(Lookup {
                name: text.into(),
                smtputf8: false,
            }),
            Command::Help(Some(text.into())),
        ] {
            let misuse = client.command(&command);
            assert!(misuse.is_err() || text == "a BODY=8BITMIME", "{text:?}");
            if misuse.is_ok() {
                input.extend_from_slice(b"250 ok\r\n");
                while let Ok(Step::Event(_)) = client.poll(&mut input, Instant::now()) {}
                client.output().clear();
            }
        }
    }
    assert!(client.output().is_empty());
    let mut mail = Mail::new(address.clone());
    mail.envid = Some("a\r\nb".into());
    assert!(client.begin(mail, vec![Rcpt::new(address)]).is_err());
    assert!(client.output().is_empty());
    assert!(ClientConfig::new("a\r\nMAIL").is_err());
    assert!(ClientConfig::new("a b").is_err());
    for bad in ["a@b>\r\nDATA", "a\r\n@b", "<a@b>", "a@b ", "a@b>SIZE=1"] {
        assert!(bad.parse::<smtp_proto::Address>().is_err(), "{bad:?}");
    }
}

/// A reply of the host is one reply, whatever its text holds.
#[test]
fn nothing_is_injected_by_a_reply() {
    let mut out = BytesMut::new();
    for text in ["a\r\n250 b", "a\n250 b", "a\r250 b", "\0\u{7f}\u{1b}[2J"] {
        out.clear();
        Reply::new(550, [5, 1, 1], text).encode(&mut out);
        let wire = String::from_utf8(out.to_vec()).unwrap();
        for line in wire.split_terminator("\r\n") {
            assert!(line.starts_with("550"), "{wire:?}");
            assert!(!line.contains(|c: char| c.is_ascii_control()), "{wire:?}");
        }
    }
}

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
fn early_talkers_are_found_out() {
    let mut config = Config::new("foo.com");
    config.timeouts.greeting_delay = Duration::from_secs(5);
    let mut session = Session::new(config);
    let said = session.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\n");
    assert!(said.starts_with("554 5.5.0 "), "{said}");
    assert_eq!(session.error, Some(Error::EarlyTalker));
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
}

#[test]
fn eight_bit_envelopes_need_smtputf8() {
    let mut config = Config::new("foo.com");
    config.extensions.smtputf8 = true;
    let mut session = Session::new(config);
    session.feed(b"EHLO a\r\n");
    let said = session.feed("MAIL FROM:<ü@b>\r\n".as_bytes());
    assert!(said.starts_with("553 5.6.7 "), "{said}");
    let said = session.feed(b"MAIL FROM:<\xff@b> SMTPUTF8\r\n");
    assert!(said.starts_with("501 "), "{said}");
    let said = session.feed("MAIL FROM:<ü@bücher.example> SMTPUTF8\r\n".as_bytes());
    assert!(said.starts_with("250 "), "{said}");
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

#[test]
fn lenient_forms_are_refused_unless_named() {
    let strict = Lenient::default();
    let mut lenient = Lenient::default();
    lenient.space_after_colon = true;
    lenient.missing_brackets = true;
    lenient.underscores = true;
    lenient.any_hello_domain = true;
    for line in [
        "MAIL FROM: <a@b>",
        "MAIL FROM:a@b SIZE=1",
        "RCPT TO: a@b",
        "RCPT TO:<a@b_c>",
        "EHLO my pc",
        "EHLO a_b",
    ] {
        assert!(Command::parse(line.as_bytes(), &strict).is_err(), "{line}");
        assert!(Command::parse(line.as_bytes(), &lenient).is_ok(), "{line}");
    }
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
