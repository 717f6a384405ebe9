//! Text that would be taken for another command, reply or address.

use super::*;

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

/// Before EHLO is answered nobody may send UTF-8 (RFC 6531 §3.7.1).
#[test]
fn names_go_out_in_ascii() {
    let config = Arc::new(ClientConfig::new("b\u{fc}cher.example").unwrap());
    let mut client = Client::new(config, Instant::now());
    let mut input = BytesMut::from("220 x\r\n");
    let step = client.poll(&mut input, Instant::now());
    assert_eq!(step, Ok(Step::NeedInput));
    let len = client.output().len();
    let sent = client.output().copy_to_bytes(len);
    assert_eq!(sent, "EHLO xn--bcher-kva.example\r\n");
    let mut session = Session::new(Config::new("b\u{fc}cher.example"));
    let said = session.feed(b"EHLO a\r\n");
    assert!(said.starts_with("250-xn--bcher-kva.example\r\n"), "{said}");
}

/// Lines that end in a LF alone are a named form, those of AUTH among them.
#[test]
fn bare_line_feeds_of_a_lenient_session() {
    for lenient in [false, true] {
        let mut config = Config::new("foo.com");
        config.lenient.bare_lf_commands = lenient;
        config.extensions.auth = vec!["LOGIN".into()];
        config.auth_needs_tls = false;
        let mut session = Session::new(config);
        let hello = session.feed(b"EHLO a\n");
        assert_eq!(hello.starts_with("250-"), lenient, "{hello}");
        session.feed(b"EHLO a\r\n");
        session.challenges = 1;
        assert!(session.feed(b"AUTH LOGIN\r\n").starts_with("334 "));
        let said = session.feed(b"AA==\n");
        assert_eq!(said.starts_with("235 "), lenient, "{said}");
        // A message's lines do not, whatever is said of commands.
        session.feed(b"RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
        assert_eq!(session.feed(b"x\n.\n"), "");
        assert!(session.feed(b"\r\n.\r\n").starts_with("550 5.6.11 "));
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
