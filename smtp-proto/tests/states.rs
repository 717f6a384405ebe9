//! Every command in every state (RFC 5321 §4.1.4).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use common::session::Session;
use smtp_proto::Config;

/// Each state and what leads there.
const STATES: [(&str, &str); 7] = [
    ("fresh", ""),
    ("greeted", "EHLO a\r\n"),
    ("helo", "HELO a\r\n"),
    ("mail", "EHLO a\r\nMAIL FROM:<a@b>\r\n"),
    ("rcpt", "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"),
    (
        "no rcpt",
        "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<nobody@d>\r\n",
    ),
    (
        "chunk",
        "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\nx",
    ),
];

/// The code of the reply in each of the states.
const TABLE: [(&str, [u16; 7]); 21] = [
    ("EHLO a", [250, 250, 250, 250, 250, 250, 250]),
    ("HELO a", [250, 250, 250, 250, 250, 250, 250]),
    ("LHLO a", [502, 502, 502, 502, 502, 502, 502]),
    ("MAIL FROM:<a@b>", [503, 250, 250, 503, 503, 503, 503]),
    ("RCPT TO:<a@b>", [503, 503, 503, 250, 250, 250, 503]),
    ("DATA", [503, 503, 503, 503, 354, 554, 503]),
    ("BDAT 0 LAST", [503, 503, 503, 503, 250, 554, 250]),
    ("BURL imap://a/b LAST", [502, 502, 502, 502, 502, 502, 502]),
    ("RSET", [250, 250, 250, 250, 250, 250, 250]),
    ("VRFY a", [252, 252, 252, 252, 252, 252, 252]),
    ("EXPN a", [502, 502, 502, 502, 502, 502, 502]),
    ("HELP", [214, 214, 214, 214, 214, 214, 214]),
    ("NOOP", [250, 250, 250, 250, 250, 250, 250]),
    ("STARTTLS", [503, 220, 220, 503, 503, 503, 503]),
    ("AUTH PLAIN =", [503, 235, 235, 503, 503, 503, 503]),
    ("ETRN a", [503, 250, 250, 503, 503, 503, 503]),
    ("XCLIENT NAME=a", [502, 502, 502, 502, 502, 502, 502]),
    ("XFORWARD NAME=a", [502, 502, 502, 502, 502, 502, 502]),
    ("QUIT", [221, 221, 221, 221, 221, 221, 221]),
    ("FOO", [502, 502, 502, 502, 502, 502, 502]),
    ("MAIL", [503, 501, 501, 503, 503, 503, 503]),
];

/// States that are come to line by line: STARTTLS and DATA are waited for.
const LATER: [(&str, &[&str]); 5] = [
    ("under TLS", &["EHLO a", "STARTTLS"]),
    ("greeted under TLS", &["EHLO a", "STARTTLS", "EHLO a"]),
    ("logged in", &["EHLO a", "AUTH PLAIN ="]),
    (
        "a message sent",
        &[
            "EHLO a",
            "MAIL FROM:<a@b>",
            "RCPT TO:<c@d>",
            "DATA",
            "x",
            ".",
        ],
    ),
    (
        "a transaction given up",
        &["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RSET"],
    ),
];

/// The code of the reply in each of those.
const LATER_TABLE: [(&str, [u16; 5]); 21] = [
    ("EHLO a", [250; 5]),
    ("HELO a", [250; 5]),
    ("LHLO a", [502; 5]),
    ("MAIL FROM:<a@b>", [503, 250, 250, 250, 250]),
    ("RCPT TO:<a@b>", [503; 5]),
    ("DATA", [503; 5]),
    ("BDAT 0 LAST", [503; 5]),
    ("BURL imap://a/b LAST", [502; 5]),
    ("RSET", [250; 5]),
    ("VRFY a", [252; 5]),
    ("EXPN a", [502; 5]),
    ("HELP", [214; 5]),
    ("NOOP", [250; 5]),
    ("STARTTLS", [503, 503, 220, 220, 220]),
    ("AUTH PLAIN =", [503, 235, 503, 235, 235]),
    ("ETRN a", [503, 250, 250, 250, 250]),
    ("XCLIENT NAME=a", [502; 5]),
    ("XFORWARD NAME=a", [502; 5]),
    ("QUIT", [221; 5]),
    ("FOO", [502; 5]),
    ("MAIL", [503, 501, 501, 501, 501]),
];

/// What is offered on top of that, where all of it is.
const OFFERED: [(&str, [u16; 7]); 7] = [
    ("BURL imap://a/b LAST", [503, 503, 503, 503, 250, 554, 250]),
    ("BURL imap://a/b", [503, 503, 503, 503, 250, 554, 250]),
    ("VRFY a", [250, 250, 250, 250, 250, 250, 250]),
    ("EXPN a", [250, 250, 250, 250, 250, 250, 250]),
    ("HELP", [250, 250, 250, 250, 250, 250, 250]),
    ("XCLIENT NAME=a", [220, 220, 220, 503, 503, 503, 503]),
    ("XFORWARD NAME=a", [250, 250, 250, 250, 250, 250, 250]),
];

/// Under LMTP, whose states are greeted with LHLO.
const LMTP: [(&str, [u16; 7]); 6] = [
    ("EHLO a", [502, 502, 502, 502, 502, 502, 502]),
    ("HELO a", [502, 502, 502, 502, 502, 502, 502]),
    ("LHLO a", [250, 250, 250, 250, 250, 250, 250]),
    ("MAIL FROM:<a@b>", [503, 250, 250, 503, 503, 503, 503]),
    ("DATA", [503, 503, 503, 503, 354, 503, 503]),
    ("BDAT 0 LAST", [503, 503, 503, 503, 250, 503, 250]),
];

/// Where TLS, or AUTH, must come first.
const GUARDED: [(&str, u16, u16); 12] = [
    ("EHLO a", 250, 250),
    ("MAIL FROM:<a@b>", 530, 530),
    ("RCPT TO:<a@b>", 530, 530),
    ("DATA", 530, 530),
    ("BDAT 0 LAST", 530, 530),
    ("VRFY a", 530, 530),
    ("ETRN a", 530, 530),
    ("AUTH PLAIN =", 530, 235),
    ("STARTTLS", 220, 220),
    ("NOOP", 250, 250),
    ("RSET", 250, 250),
    ("QUIT", 221, 221),
];

/// What most of the tables are of.
fn config(lmtp: bool) -> Config {
    let mut config = match lmtp {
        true => Config::lmtp("foo.com"),
        false => Config::new("foo.com"),
    };
    config.extensions.starttls = true;
    config.extensions.etrn = true;
    config.extensions.auth = vec!["PLAIN".into()];
    config.auth_needs_tls = false;
    config
}

/// One reply, whole and with that code.
fn expect(config: &Config, before: &str, command: &str, code: u16) {
    let mut session = Session::new(config.clone());
    session.feed(before.as_bytes());
    expect_of(session, before, command, code);
}

fn expect_of(mut session: Session, before: &str, command: &str, code: u16) {
    let said = session.feed(format!("{command}\r\n").as_bytes());
    let got = said.get(..3).unwrap_or_default();
    assert_eq!(
        got,
        code.to_string(),
        "{command} after {before:?}: {said:?}"
    );
    let lines: Vec<&str> = said.split_inclusive("\r\n").collect();
    for (index, line) in lines.iter().enumerate() {
        let mark = if index + 1 == lines.len() { ' ' } else { '-' };
        assert!(line.starts_with(&format!("{code}{mark}")), "{said:?}");
    }
}

#[test]
fn every_command_in_every_state() {
    for (command, codes) in TABLE {
        for ((_, before), code) in STATES.into_iter().zip(codes) {
            expect(&config(false), before, command, code);
        }
    }
}

#[test]
fn every_command_in_every_later_state() {
    for (command, codes) in LATER_TABLE {
        for ((state, lines), code) in LATER.into_iter().zip(codes) {
            let mut session = Session::new(config(false));
            for line in lines {
                session.feed(format!("{line}\r\n").as_bytes());
            }
            expect_of(session, state, command, code);
        }
    }
}

#[test]
fn every_command_that_may_be_offered() {
    let mut config = config(false);
    let extensions = &mut config.extensions;
    extensions.burl = Some("imap".into());
    extensions.vrfy = true;
    extensions.expn = true;
    extensions.help = true;
    extensions.xclient = vec!["NAME".into()];
    extensions.xforward = vec!["NAME".into()];
    for (command, codes) in OFFERED {
        for ((_, before), code) in STATES.into_iter().zip(codes) {
            expect(&config, before, command, code);
        }
    }
}

#[test]
fn lmtp_has_its_own_greeting() {
    for (command, codes) in LMTP {
        for ((_, before), code) in STATES.into_iter().zip(codes) {
            let before = before.replace("EHLO", "LHLO").replace("HELO", "LHLO");
            expect(&config(true), &before, command, code);
        }
    }
}

#[test]
fn tls_or_auth_first() {
    let mut tls = config(false);
    tls.tls_required = true;
    let mut auth = config(false);
    auth.auth_required = true;
    for (command, without_tls, without_auth) in GUARDED {
        expect(&tls, "EHLO a\r\n", command, without_tls);
        expect(&auth, "EHLO a\r\n", command, without_auth);
    }
}

/// A refused command changes nothing: the transaction goes on.
#[test]
fn refusals_leave_the_transaction_alone() {
    for (command, codes) in TABLE {
        let code = codes[4];
        if code < 500 || command == "BURL imap://a/b LAST" {
            continue;
        }
        let mut session = Session::new(Config::new("foo.com"));
        session.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
        session.feed(format!("{command}\r\n").as_bytes());
        let said = session.feed(b"DATA\r\nx\r\n.\r\n");
        assert!(
            said.starts_with("354 ") && said.contains("\r\n250 "),
            "{command}: {said:?}"
        );
        assert_eq!(session.payload, b"x\r\n");
    }
}
