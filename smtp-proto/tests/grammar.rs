//! Mistakes that other SMTP crates make, each as a test: this one must not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use common::session::Session;
use smtp_proto::{
    Address, AddressLiteral, Capabilities, Command, Config, Event, ForwardPath, Lenient,
    ParseErrorKind, Reply, ReversePath,
};

const ENVELOPE: &str = "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";

fn parse(line: &str) -> Result<Command, ParseErrorKind> {
    Command::parse(line.as_bytes(), &Lenient::default()).map_err(|error| error.kind)
}

fn reverse_path(line: &str) -> ReversePath {
    match parse(line) {
        Ok(Command::Mail(mail)) => mail.reverse_path,
        other => panic!("{line}: {other:?}"),
    }
}

fn forward_path(line: &str) -> ForwardPath {
    match parse(line) {
        Ok(Command::Rcpt(rcpt)) => rcpt.forward_path,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_dot_as_the_first_line_ends_the_message() {
    for piece in [1, 2, 3, 1000] {
        let mut session = Session::new(Config::new("foo.com"));
        session.feed(ENVELOPE.as_bytes());
        assert_eq!(session.feed_cut(b".\r\n", piece), "250 2.0.0 Ok\r\n");
        assert_eq!(session.payload, b"");
        assert_eq!(session.count(|event| matches!(event, Event::PayloadEnd)), 1);
    }
}

#[test]
fn a_dot_with_two_crs_ends_nothing() {
    for piece in [1, 2, 3, 1000] {
        let mut session = Session::new(Config::new("foo.com"));
        session.feed(ENVELOPE.as_bytes());
        assert_eq!(session.feed_cut(b"x\r\n.\r\r\n", piece), "");
        let said = session.feed_cut(b".\r\n", piece);
        assert!(said.starts_with("550 5.6.11 "), "{said}");
    }
}

#[test]
fn address_literals_are_addresses() {
    for (line, ip) in [
        ("MAIL FROM:<a@[192.0.2.1]>", "192.0.2.1"),
        ("MAIL FROM:<a@[IPv6:2001:db8::1]>", "2001:db8::1"),
    ] {
        let path = reverse_path(line);
        let literal = path.address().and_then(Address::literal);
        assert_eq!(literal, Some(AddressLiteral::Ip(ip.parse().unwrap())));
    }
    assert!(parse("EHLO [192.0.2.1]").is_ok());
    assert!(parse("EHLO [IPv6:2001:db8::1]").is_ok());
}

#[test]
fn the_postmaster_is_somebody() {
    assert_eq!(
        forward_path("RCPT TO:<Postmaster>"),
        ForwardPath::Postmaster
    );
    assert_eq!(
        forward_path("RCPT TO:<POSTMASTER>"),
        ForwardPath::Postmaster
    );
    assert_eq!(parse("RCPT TO:<>"), Err(ParseErrorKind::LocalPart));
    // Only as a recipient: a sender has a domain.
    assert_eq!(
        parse("MAIL FROM:<Postmaster>"),
        Err(ParseErrorKind::LocalPart)
    );
}

#[test]
fn quoted_local_parts_keep_their_quotes() {
    for address in ["\"a b\"@c.d", "\"a@b\"@c.d", "\"a\\\"b\"@c.d", "\"\"@c.d"] {
        let path = reverse_path(&format!("MAIL FROM:<{address}>"));
        assert_eq!(path.to_string(), format!("<{address}>"));
    }
}

#[test]
fn nothing_is_said_twice_or_besides() {
    use ParseErrorKind as K;
    for (line, kind) in [
        ("MAIL FROM:<a@b> SIZE=1 SIZE=2", K::DuplicateParameter),
        (
            "MAIL FROM:<a@b> BODY=7BIT body=8BITMIME",
            K::DuplicateParameter,
        ),
        ("MAIL FROM:<a@b> SMTPUTF8 SMTPUTF8", K::DuplicateParameter),
        ("MAIL FROM:<a@b> RET=FULL RET=FULL", K::DuplicateParameter),
        ("MAIL FROM:<a@b> ENVID=a ENVID=b", K::DuplicateParameter),
        ("MAIL FROM:<a@b> AUTH=<> AUTH=<>", K::DuplicateParameter),
        ("MAIL FROM:<a@b> X-A=1 x-a=2", K::DuplicateParameter),
        (
            "RCPT TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER",
            K::DuplicateParameter,
        ),
        (
            "RCPT TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;a",
            K::DuplicateParameter,
        ),
        ("MAIL FROM:<a@b><c@d>", K::Parameter),
        ("MAIL FROM:<a@b> <c@d>", K::Parameter),
        ("DATA foo", K::UnexpectedArgument),
        ("RSET foo", K::UnexpectedArgument),
        ("QUIT foo", K::UnexpectedArgument),
        ("STARTTLS foo", K::UnexpectedArgument),
        ("BDAT 1 LAST foo", K::Argument),
    ] {
        assert_eq!(parse(line), Err(kind), "{line}");
    }
}

#[test]
fn what_is_unknown_is_not_dropped() {
    let Ok(Command::Mail(mail)) = parse("MAIL FROM:<a@b> X-ONE X-TWO=2 SIZE=1") else {
        panic!()
    };
    let others: Vec<String> = mail.others.iter().map(ToString::to_string).collect();
    assert_eq!(others, ["X-ONE", "X-TWO=2"]);
    let Ok(Command::Rcpt(rcpt)) = parse("RCPT TO:<a@b> X-ONE=a=b") else {
        panic!()
    };
    assert_eq!(rcpt.others.len(), 1);
    let offer = Reply::bare(250, "mx.example\nX-EXPS GSSAPI\nDSN\nX-LINK2STATE");
    let capabilities = Capabilities::from(offer);
    let others: Vec<&str> = capabilities.others().collect();
    assert_eq!(others, ["X-EXPS GSSAPI", "X-LINK2STATE"]);
    // A server refuses what it does not know, unless it is told to pass it on.
    let mut session = Session::new(Config::new("foo.com"));
    session.feed(b"EHLO a\r\n");
    let said = session.feed(b"MAIL FROM:<a@b> X-ONE\r\n");
    assert!(said.starts_with("555 5.5.4 "), "{said}");
}
