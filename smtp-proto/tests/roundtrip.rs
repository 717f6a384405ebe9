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
    Address, Capabilities, Command, Config, EnhancedCode, Event, Lenient, Reply, ReplyParser,
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
