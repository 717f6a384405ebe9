use proptest::prelude::*;

use super::*;
use crate::reply::ReplyParser;

#[test]
fn a_real_one() {
    let reply = Reply::bare(
        250,
        "mx.example.org Hello\nPIPELINING\nSIZE 10240000\nVRFY\nETRN\nSTARTTLS\n\
         AUTH PLAIN LOGIN\nAUTH=PLAIN LOGIN\nENHANCEDSTATUSCODES\n8bitmime\nDSN\n\
         SMTPUTF8\nCHUNKING\nLIMITS RCPTMAX=20 FOO=1\nX-EXPS GSSAPI\nSIZE=1\nSIZE x",
    );
    let capabilities = Capabilities::from(reply);
    assert_eq!(capabilities.domain(), "mx.example.org");
    assert_eq!(capabilities.size, Some(Some(10_240_000)));
    let auth: Vec<_> = capabilities.auth().collect();
    assert_eq!(auth, ["PLAIN", "LOGIN", "PLAIN", "LOGIN"]);
    assert_eq!(capabilities.recipients_max, Some(20));
    assert!(capabilities.eight_bit_mime && capabilities.chunking);
    let others: Vec<_> = capabilities.others().collect();
    assert_eq!(others, ["X-EXPS GSSAPI", "SIZE=1", "SIZE x"]);
}

/// Every keyword, and what becomes of it with other words around it.
#[test]
fn every_keyword() {
    type Told = fn(&Capabilities) -> bool;
    let cases: [(&str, Told); 26] = [
        ("PIPELINING", |c| c.pipelining),
        ("8BITMIME", |c| c.eight_bit_mime),
        ("ENHANCEDSTATUSCODES", |c| c.enhanced_status_codes),
        ("CHUNKING", |c| c.chunking),
        ("BINARYMIME", |c| c.binary_mime),
        ("STARTTLS", |c| c.starttls),
        ("SMTPUTF8", |c| c.smtputf8),
        ("DSN", |c| c.dsn),
        ("ETRN", |c| c.etrn),
        ("VRFY", |c| c.vrfy),
        ("EXPN", |c| c.expn),
        ("HELP", |c| c.help),
        ("MTRK", |c| c.mtrk),
        ("REQUIRETLS", |c| c.requiretls),
        ("RRVS", |c| c.rrvs),
        ("SIZE", |c| c.size == Some(None)),
        ("SIZE 18446744073709551615", |c| {
            c.size == Some(Some(u64::MAX))
        }),
        ("DELIVERBY 240", |c| c.deliver_by == Some(Some(240))),
        ("FUTURERELEASE 86400 2027-01-01T00:00:00Z", |c| {
            let until = c.future_release_until();
            c.future_release == Some(86_400) && until == Some("2027-01-01T00:00:00Z")
        }),
        ("AUTH CRAM-MD5", |c| c.auth && c.has_auth("Cram-MD5")),
        ("MT-PRIORITY MIXER", |c| {
            c.mt_priority && c.mt_priority_profile() == Some("MIXER")
        }),
        ("NO-SOLICITING net.example:ADV", |c| {
            c.no_soliciting && c.solicitations() == Some("net.example:ADV")
        }),
        ("BURL imap", |c| c.burl && c.burl_words().eq(["imap"])),
        ("LIMITS RCPTMAX=1 MAILMAX=2 RCPTDOMAINMAX=3", |c| {
            let limits = (c.recipients_max, c.mails_max, c.recipient_domains_max);
            limits == (Some(1), Some(2), Some(3))
        }),
        ("XCLIENT NAME ADDR", |c| {
            c.xclient && c.xclient_attributes().eq(["NAME", "ADDR"])
        }),
        ("XFORWARD NAME ADDR", |c| {
            c.xforward && c.xforward_attributes().eq(["NAME", "ADDR"])
        }),
    ];
    for (line, told) in cases {
        let offer = |text: String| Capabilities::from(Reply::bare(250, text));
        assert!(told(&offer(format!("x\n{line}"))), "{line}");
        assert!(
            told(&offer(format!("x hello\nDSN\n{line}\nHELP"))),
            "{line}"
        );
        assert!(told(&offer(format!("x\n {line} \nHELP"))), "{line}");
        let mixed = line.replace("SIZE", "Size").replace("DSN", "dsn");
        assert_eq!(offer(format!("x\n{mixed}")).others().count(), 0, "{line}");
        // Neither a part of it nor more than it is it.
        assert!(!told(&offer(format!("x\nX{line}"))), "{line}");
        let (keyword, _) = line.split_once(' ').unwrap_or((line, ""));
        for other in [
            line.replacen(keyword, &format!("{keyword}X"), 1),
            line.replacen(keyword, &format!("{keyword}-"), 1),
            line.replacen(keyword, &format!("{keyword}_"), 1),
            line.replacen(keyword, keyword.get(1..).unwrap(), 1),
        ] {
            let offer = offer(format!("x\n{other}"));
            assert!(!told(&offer), "{other}");
            assert_eq!(offer.others().collect::<Vec<_>>(), [other]);
        }
        // A name is no offer.
        assert!(!told(&offer(line.to_owned())), "{line}");
    }
}

proptest! {
    /// In one piece, line by line, and from the reply.
    #[test]
    fn however_it_is_read(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "mx", "2.0.0 mx hello", "SIZE 1000", "size", " DSN", "AUTH PLAIN", "auth=LOGIN",
                "X", "", "CHUNKING", "LIMITS MAILMAX=3", "NO-SOLICITING a:b", "Starttls ", "ü",
                "2.0.0 2.1.1 SIZE", "2.0.0", "a\rb", "PIPELINING x",
            ]),
            1..12,
        ),
        crlf in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let last = lines.len() - 1;
        let wire: String = lines.iter().enumerate()
            .map(|(at, line)| format!("250{}{line}{end}", if at < last { '-' } else { ' ' }))
            .collect();
        let behind = format!("{wire}354 go{end}");
        let (whole, taken) = Capabilities::parse(behind.as_bytes()).unwrap().unwrap();
        prop_assert_eq!(taken, wire.len());
        let part = &wire.as_bytes()[..cut.index(wire.len())];
        prop_assert_eq!(Capabilities::parse(part), Ok(None));
        let mut parser = ReplyParser::default();
        let mut reply = None;
        for line in wire.split_terminator('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            reply = parser.line(line.as_bytes()).unwrap();
        }
        let mut read = Capabilities::from(reply.unwrap());
        prop_assert!(whole.others().eq(read.others()));
        prop_assert!(whole.auth().eq(read.auth()));
        prop_assert_eq!(whole.domain(), read.domain());
        read.text.clone_from(&whole.text);
        prop_assert_eq!(whole, read);
    }
}

#[test]
fn no_offer() {
    for (wire, at) in [
        ("250-a\r\n251 b\r\n", 7),
        ("550 a\r\n", 0),
        ("250-a\r\n250+b\r\n", 10),
        ("250-a\r\n\r\n", 7),
    ] {
        let error = ParseError::new(ParseErrorKind::ReplyCode, at);
        assert_eq!(Capabilities::parse(wire.as_bytes()), Err(error), "{wire:?}");
    }
}
