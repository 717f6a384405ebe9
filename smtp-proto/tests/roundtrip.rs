//! What is encoded parses to the same, and nothing that is parsed panics.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use bytes::BytesMut;
use common::session::Session;
use proptest::prelude::*;
use smtp_proto::{
    Address, Attribute, AuthStart, Bdat, Burl, Capabilities, Command, Config, EnhancedCode, Etrn,
    Event, Hello, HelloVerb, Lenient, Lookup, Orcpt, ProxyAttributes, Reply, ReplyParser, Secret,
};

fn domain() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec("[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?", 1..4)
            .prop_map(|labels| labels.join("."))
            .prop_filter("no A-labels by chance", |domain| !domain.contains("--")),
        Just("bücher.example".to_owned()),
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("[{a}.{b}.{c}.{d}]")),
        any::<u128>().prop_map(|bits| format!("[IPv6:{}]", std::net::Ipv6Addr::from_bits(bits))),
        "\\[x-[a-z]{1,5}:[!-Z^-~]{1,9}\\]",
    ]
}

fn address() -> impl Strategy<Value = String> {
    let local = prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,9}(\\.[a-z0-9]{1,9}){0,2}",
        "\"([ !#-\\[\\]-~]|\\\\[ -~]){0,9}\"",
        "[a-zäß漢]{1,5}",
    ];
    (local, domain()).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

fn mail() -> impl Strategy<Value = String> {
    let path = prop_oneof![
        Just("<>".to_owned()),
        address().prop_map(|a| format!("<{a}>"))
    ];
    let parameter = |choices: &'static [&'static str]| {
        prop::option::of(prop::sample::select(choices))
            .prop_map(|choice| choice.map_or(String::new(), |choice| format!(" {choice}")))
    };
    (
        path,
        prop::option::of(any::<u64>()),
        parameter(&["BODY=7BIT", "BODY=8BITMIME", "BODY=BINARYMIME"]),
        parameter(&["SMTPUTF8"]),
        parameter(&["RET=FULL ENVID=a+2Bb", "RET=HDRS"]),
        parameter(&["AUTH=<>", "AUTH=a+2Bb@example.org"]),
        parameter(&["HOLDFOR=1", "HOLDUNTIL=2026-01-01T00:00:00.5+01:00"]),
        parameter(&["BY=1;R", "BY=-999999999;NT"]),
        parameter(&["MT-PRIORITY=9", "MT-PRIORITY=-9"]),
        parameter(&["MTRK=YQ==", "MTRK=YQ==:1"]),
        parameter(&["REQUIRETLS SOLICIT=a:b,c X-A=1 X-B"]),
    )
        .prop_map(|(path, size, a, b, c, d, e, f, g, h, i)| {
            let size = size.map_or(String::new(), |size| format!(" SIZE={size}"));
            format!("MAIL FROM:{path}{size}{a}{b}{c}{d}{e}{f}{g}{h}{i}")
        })
}

proptest! {
    #[test]
    fn addresses(text in address()) {
        let address: Address = text.parse().unwrap();
        prop_assert_eq!(address.as_str(), &text);
        let again = Address::new(&address.unquoted_local_part(), address.domain()).unwrap();
        prop_assert_eq!(again.unquoted_local_part(), address.unquoted_local_part());
        prop_assert!(!address.ascii_domain().is_empty());
    }

    #[test]
    fn mails(line in mail()) {
        let command = Command::parse(line.as_bytes(), &Lenient::default()).unwrap();
        prop_assert_eq!(command.to_string(), line);
    }

    #[test]
    fn rcpts(address in address(), notify in 0_u8..8, orcpt in "[ -~]{1,20}") {
        let line = format!("RCPT TO:<{address}>");
        let command = Command::parse(line.as_bytes(), &Lenient::default()).unwrap();
        let Command::Rcpt(mut rcpt) = command else { panic!() };
        rcpt.notify = Some(match notify {
            0 => smtp_proto::Notify::Never,
            bits => smtp_proto::Notify::On(smtp_proto::NotifyOn {
                success: bits & 1 != 0,
                failure: bits & 2 != 0,
                delay: bits & 4 != 0,
            }),
        });
        rcpt.orcpt = Some(smtp_proto::Orcpt::new("rfc822", &orcpt).unwrap());
        let shown = rcpt.to_string();
        let again = Command::parse(shown.as_bytes(), &Lenient::default()).unwrap();
        prop_assert_eq!(again, Command::Rcpt(rcpt));
    }

    /// Every command, put together by hand, is read as what it was.
    #[test]
    fn commands(
        domain in domain(),
        word in "[!-~]{1,12}",
        text in "[a-zA-Z][ -~]{0,20}[!-~]",
        octets in prop::collection::vec(any::<u8>(), 0..60),
        size: u64,
        flag: bool,
        which in 0_u8..12,
    ) {
        let upper = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "").to_ascii_uppercase();
        let plain = domain.trim_matches(['[', ']']).to_owned();
        let name: String = upper(&text).chars().take(20).collect();
        let command = match which {
            0 => Command::Hello(Hello { verb: HelloVerb::Ehlo, domain: domain.as_str().into() }),
            1 => Command::Hello(Hello { verb: HelloVerb::Lhlo, domain: domain.as_str().into() }),
            2 => Command::Bdat(Bdat { size, last: flag }),
            3 => Command::Burl(Burl { url: format!("imap:{word}").into(), last: flag }),
            4 => Command::Vrfy(Lookup { name: text.clone().into(), smtputf8: flag }),
            5 => Command::Expn(Lookup { name: text.clone().into(), smtputf8: flag }),
            6 if !domain.starts_with('[') => Command::Etrn(match flag {
                true => Etrn::Subdomains(plain.into()),
                false => Etrn::Host(plain.into()),
            }),
            7 => Command::Etrn(Etrn::Queue(word.clone().into())),
            8 => Command::Help(flag.then(|| text.clone().into())),
            9 => Command::Auth(AuthStart {
                mechanism: name.clone().into(),
                initial_response: flag.then(|| Secret::new(octets.clone())),
            }),
            10 => Command::Xclient(ProxyAttributes {
                attributes: vec![Attribute {
                    name: name.clone().into(),
                    value: flag.then(|| text.clone().into()),
                }],
            }),
            _ => Command::Xforward(ProxyAttributes {
                attributes: vec![
                    Attribute { name: "ADDR".into(), value: Some(domain.clone().into()) },
                    Attribute { name: "IDENT".into(), value: Some(word.clone().into()) },
                ],
            }),
        };
        let shown = command.to_string();
        let again = Command::parse(shown.as_bytes(), &Lenient::default());
        prop_assert_eq!(again.map_err(|error| (error, shown)), Ok(command));
    }

    /// The parameters of an original recipient.
    #[test]
    fn original_recipients(address_type in "[a-zA-Z0-9-]{1,9}", address in "[ -~ü]{1,30}") {
        let orcpt = Orcpt::new(&address_type, &address).unwrap();
        prop_assert_eq!(orcpt.address_type(), &address_type);
        prop_assert_eq!(orcpt.address(), &address);
        let line = format!("RCPT TO:<a@b> ORCPT={orcpt}");
        match Command::parse(line.as_bytes(), &Lenient::default()) {
            Ok(Command::Rcpt(rcpt)) => prop_assert_eq!(rcpt.orcpt.as_ref(), Some(&orcpt)),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn enhanced_codes(class in prop::sample::select(vec![2_u8, 4, 5]), subject in 0_u16..1000, detail in 0_u16..1000, rest in "[ -~]{0,9}") {
        let code = EnhancedCode::new(class, subject, detail);
        let text = format!("{code} {rest}");
        prop_assert_eq!(EnhancedCode::parse_prefix(&text), Some((code, &rest[..])));
        let shown = code.to_string();
        prop_assert_eq!(EnhancedCode::parse_prefix(&shown), Some((code, "")));
    }

    /// What a server offers is what a client understands.
    #[test]
    fn offers(
        bits: u32,
        size in 1_u64..u64::MAX,
        seconds in 1_u32..999_999_999,
        recipients in 1_u32..999_999,
    ) {
        let bit = |at: u32| bits >> at & 1 == 1;
        let mut config = Config::new("foo.com");
        config.limits.message_size = size;
        config.limits.recipients = recipients;
        config.limits.transactions = bit(0).then_some(7);
        config.auth_needs_tls = false;
        let offered = &mut config.extensions;
        for (at, flag) in [
            &mut offered.pipelining,
            &mut offered.size,
            &mut offered.eight_bit_mime,
            &mut offered.enhanced_status_codes,
            &mut offered.help,
            &mut offered.chunking,
            &mut offered.binary_mime,
            &mut offered.starttls,
            &mut offered.smtputf8,
            &mut offered.dsn,
            &mut offered.etrn,
            &mut offered.mtrk,
            &mut offered.rrvs,
            &mut offered.limits,
            &mut offered.vrfy,
            &mut offered.expn,
        ].into_iter().enumerate() {
            *flag = bit(u32::try_from(at).unwrap() + 1);
        }
        offered.burl = bit(17).then(|| "imap".into());
        offered.auth = if bit(18) { vec!["PLAIN".into(), "LOGIN".into()] } else { Vec::new() };
        offered.deliver_by = bit(19).then_some(seconds);
        offered.future_release = bit(20).then(|| smtp_proto::FutureRelease {
            max_interval: seconds,
            max_date_time: "2027-01-01T00:00:00Z".into(),
        });
        offered.mt_priority = bit(21).then(|| bit(22).then(|| "MIXER".into()));
        offered.no_soliciting = bit(23).then(|| bit(24).then(|| "net.example:ADV".into()));
        offered.xclient = if bit(25) { vec!["NAME".into()] } else { Vec::new() };
        offered.xforward = if bit(26) { vec!["ADDR".into()] } else { Vec::new() };
        offered.others = vec!["X-OWN a".into()];
        let offered = config.extensions.clone();
        let said = Session::new(config).feed(b"EHLO a\r\n");
        let mut parser = ReplyParser::default();
        let lines = said.split_terminator("\r\n");
        let reply = lines.filter_map(|line| parser.line(line.as_bytes()).unwrap()).next().unwrap();
        let seen = Capabilities::from(reply);
        prop_assert_eq!(seen.domain(), "foo.com");
        prop_assert_eq!(seen.pipelining, offered.pipelining);
        prop_assert_eq!(seen.size, offered.size.then_some(Some(size)));
        prop_assert_eq!(seen.eight_bit_mime, offered.eight_bit_mime);
        prop_assert_eq!(seen.enhanced_status_codes, offered.enhanced_status_codes);
        prop_assert_eq!(seen.help, offered.help);
        prop_assert_eq!(seen.chunking, offered.chunking);
        prop_assert_eq!(seen.binary_mime, offered.binary_mime && offered.chunking);
        prop_assert_eq!(seen.burl, offered.burl.is_some() && offered.chunking);
        prop_assert_eq!(seen.starttls, offered.starttls);
        prop_assert_eq!(seen.auth, !offered.auth.is_empty());
        prop_assert!(seen.auth().eq(offered.auth.iter()));
        prop_assert_eq!(seen.smtputf8, offered.smtputf8);
        prop_assert_eq!(seen.dsn, offered.dsn);
        prop_assert_eq!(seen.etrn, offered.etrn);
        prop_assert_eq!(seen.mtrk, offered.mtrk);
        prop_assert_eq!(seen.rrvs, offered.rrvs);
        prop_assert!(!seen.requiretls);
        prop_assert_eq!(seen.vrfy, offered.vrfy);
        prop_assert_eq!(seen.expn, offered.expn);
        prop_assert_eq!(seen.deliver_by, offered.deliver_by.map(Some));
        prop_assert_eq!(seen.future_release, offered.future_release.as_ref().map(|_| seconds));
        prop_assert_eq!(seen.mt_priority, offered.mt_priority.is_some());
        prop_assert_eq!(seen.mt_priority_profile().map(Into::into), offered.mt_priority.flatten());
        prop_assert_eq!(seen.no_soliciting, offered.no_soliciting.is_some());
        prop_assert_eq!(seen.solicitations().map(Into::into), offered.no_soliciting.flatten());
        prop_assert!(seen.xclient_attributes().eq(offered.xclient.iter()));
        prop_assert!(seen.xforward_attributes().eq(offered.xforward.iter()));
        prop_assert_eq!(seen.recipients_max, offered.limits.then_some(recipients));
        prop_assert_eq!(seen.mails_max, offered.limits.then_some(7).filter(|_| bit(0)));
        prop_assert!(seen.others().eq(["X-OWN a"]));
    }

    #[test]
    fn replies(
        code in 200_u16..600,
        enhanced in prop::option::of((0_u16..1000, 0_u16..1000)),
        lines in prop::collection::vec("[!-~][ -~ü]{0,600}", 1..5),
    ) {
        let enhanced = enhanced
            .filter(|_| matches!(code / 100, 2 | 4 | 5))
            .map(|(subject, detail)| EnhancedCode::from([code / 100, subject, detail]));
        let text = lines.join("\n");
        let reply = match enhanced {
            Some(enhanced) => Reply::new(code, enhanced, text.clone()),
            None => Reply::bare(code, text.clone()),
        };
        let mut wire = BytesMut::new();
        reply.encode(&mut wire);
        let wire = String::from_utf8(wire.to_vec()).unwrap();
        let mut parser = ReplyParser::default();
        let mut read = None;
        for line in wire.split_terminator("\r\n") {
            prop_assert!(read.is_none() && line.len() <= 510);
            read = parser.line(line.as_bytes()).unwrap();
        }
        let read = read.unwrap();
        prop_assert_eq!(read.code(), code);
        if enhanced.is_some() {
            prop_assert_eq!(read.enhanced(), enhanced);
            // Long lines are folded, mostly at a space.
            let plain = |text: &str| text.replace([' ', '\n'], "");
            prop_assert_eq!(plain(read.text()), plain(&text));
        }
        let _ = Capabilities::from(read).others().count();
    }

    #[test]
    fn any_line(line in prop::collection::vec(any::<u8>(), 0..80)) {
        let strict = Command::parse(&line, &Lenient::default());
        if let Ok(command) = strict {
            let shown = command.to_string();
            prop_assert_eq!(Command::parse(shown.as_bytes(), &Lenient::default()), Ok(command));
        }
        let _ = ReplyParser::default().line(&line);
    }

    /// Cut anyhow, a session is the same.
    #[test]
    fn cuts_do_not_matter(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "EHLO a\r\n", "HELO a\r\n", "MAIL FROM:<a@b>\r\n", "MAIL FROM:<> SIZE=9\r\n",
                "RCPT TO:<c@d>\r\n", "RCPT TO:<nobody@d>\r\n", "DATA\r\n", "text\r\n", "..\r\n",
                ".\r\n", "BDAT 4\r\nab\r\n", "BDAT 3 LAST\r\n\r\nx", "BDAT 0 LAST\r\n", "RSET\r\n",
                "NOOP\r\n", "AUTH PLAIN AA==\r\n", "AUTH LOGIN\r\n", "VRFY a\r\n", "\r\n", "\n",
                "\r", "\0", "QUIT\r\n", "BDAT 99999999999999999999\r\n",
            ]),
            0..30,
        ),
        piece in 1_usize..20,
    ) {
        let wire = parts.concat();
        let play = |piece: usize| {
            let mut config = Config::new("foo.com");
            config.extensions.auth = vec!["PLAIN".into()];
            config.auth_needs_tls = false;
            config.limits.message_size = 20;
            let mut session = Session::new(config);
            let said = session.feed_cut(wire.as_bytes(), piece);
            // How much of a message came before its refusal is no promise.
            let refused = session.count(|event| matches!(event, Event::Rejected(_)));
            let payload = if refused == 0 { session.payload } else { Vec::new() };
            (said, session.events, session.error, payload)
        };
        prop_assert_eq!(play(100_000), play(piece));
    }
}
