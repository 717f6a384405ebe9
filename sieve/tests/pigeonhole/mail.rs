//! Messages of several kinds.

use std::fmt::Write as _;

use super::dice::Dice;

/// Without anything strange, from a person to the user.
pub(crate) fn plain(dice: &mut Dice) -> String {
    let mut out = String::from("From: Ann Example <ann@example.org>\r\nTo: me@example.com\r\n");
    if dice.roll(3) > 0 {
        write!(
            out,
            "Subject: {}\r\n",
            dice.pick(&[
                "hello world",
                "Re: [list] x",
                "folded\r\n subject",
                "10 bottles"
            ])
        )
        .unwrap();
    }
    out.push_str("Message-ID: <1@example.org>\r\nDate: Tue, 20 Jul 2010 23:30:00 -0400\r\n");
    for number in 0..dice.roll(4) {
        write!(
            out,
            "X-Many: {number} {}\r\n",
            dice.pick(&["hello", "World", "a b c"])
        )
        .unwrap();
    }
    out.push_str("\r\nhello body\r\n");
    out
}

pub(crate) fn dated(dice: &mut Dice) -> String {
    let dates = [
        "Tue, 20 Jul 2010 23:30:00 -0400",
        "Fri, 1 Jan 2021 00:00:00 +0000",
        "Sun, 29 Feb 2004 12:34:56 +0530",
        "1 Mar 2024 23:59:59 +1200",
        "Wed, 31 Dec 1999 23:59 -0800",
        "not a date",
    ];
    let mut out = String::from("From: ann@example.org\r\nTo: me@example.com\r\n");
    for _ in 0..dice.roll(4) {
        write!(out, "Received: from a by b; {}\r\n", dice.pick(&dates)).unwrap();
    }
    for field in ["Date", "Resent-Date", "X-Date"] {
        if dice.roll(4) > 0 {
            write!(out, "{field}: {}\r\n", dice.pick(&dates)).unwrap();
        }
    }
    out.push_str("\r\nhello\r\n");
    out
}

pub(crate) fn scanned(dice: &mut Dice) -> String {
    let mut out = String::from("From: ann@example.org\r\nTo: me@example.com\r\n");
    if dice.roll(5) > 0 {
        write!(
            out,
            "X-Spam-Score: {}\r\n",
            dice.pick(&[
                "0.0",
                "2.5",
                "5.0",
                "7.5",
                "-1.0",
                "4.9",
                "none",
                "1.0 of 5.0"
            ])
        )
        .unwrap();
    }
    if dice.roll(5) > 0 {
        write!(
            out,
            "X-Virus-Scan: {}\r\n",
            dice.pick(&[
                "Found to be clean.",
                "Found to be infected.",
                "Found to be odd.",
                "?"
            ])
        )
        .unwrap();
    }
    out.push_str("\r\nhello\r\n");
    out
}

/// With parts, some of them nested.
pub(crate) fn parts(dice: &mut Dice) -> String {
    let mut out = String::from(
        "From: Ann Example <ann@example.org>\r\nTo: me@example.com\r\nSubject: parts\r\nMIME-Version: 1.0\r\n",
    );
    match dice.roll(5) {
        0 => out.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\nhello World caf\u{e9}\r\n"),
        1 => out.push_str(
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nZW5jb2RlZCB0ZXh0\r\n",
        ),
        _ => {
            out.push_str("Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n");
            for number in 0..=dice.roll(3) {
                out.push_str("--b\r\n");
                out.push_str(&part(dice, number));
            }
            out.push_str("--b--\r\nepilogue\r\n");
        }
    }
    out
}

fn part(dice: &mut Dice, number: usize) -> String {
    match dice.roll(6) {
        0 => format!("Content-Type: text/plain; charset=us-ascii\r\n\r\nhello part {number}\r\n"),
        1 => format!(
            "Content-Type: text/html; charset=utf-8\r\nContent-Disposition: inline\r\n\r\n<p>hello <b>World</b> {number}</p>\r\n"
        ),
        2 => "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 \
              encoded\r\n"
            .to_owned(),
        3 => format!(
            "Content-Type: application/octet-stream; name=\"file{number}.bin\"\r\nContent-Disposition: attachment; \
             filename=\"file{number}.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8gYXR0YWNoZWQ=\r\n"
        ),
        4 => "Content-Type: message/rfc822\r\n\r\nFrom: inner@example.net\r\nTo: x@example.com\r\nSubject: \
              inner\r\nContent-Type: text/plain\r\n\r\nhello inner\r\n"
            .to_owned(),
        _ => format!(
            "Content-Type: multipart/alternative; boundary=\"in{number}\"\r\n\r\n--in{number}\r\nContent-Type: \
             text/plain\r\nX-Part: plain\r\n\r\nhello plain\r\n--in{number}\r\nContent-Type: text/html\r\nX-Part: \
             html\r\n\r\n<p>World</p>\r\n--in{number}--\r\n"
        ),
    }
}
