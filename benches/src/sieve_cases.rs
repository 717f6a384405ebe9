//! The scripts and messages that this crate's bench and the one beside the sieve-rs crate run.

use std::fmt::Write as _;

pub(crate) const SIX_RULES: &str = "require [\"fileinto\", \"reject\"];\n\
    if header :contains \"List-Id\" \"rust\" {\n  fileinto \"lists.rust\";\n\
    } elsif address :is \"from\" \"boss@example.com\" {\n  keep;\n\
    } elsif header :matches \"Subject\" [\"*make*money*\", \"*viagra*\"] {\n  discard;\n\
    } elsif allof (size :over 1M, not address :domain \"from\" \"example.com\") {\n  reject \"too big\";\n\
    } elsif exists \"X-Spam-Flag\" {\n  fileinto \"Junk\";\n\
    } elsif header :is [\"To\", \"Cc\"] \"me@example.com\" {\n  keep;\n}\n";

/// Of header tests.
pub(crate) fn header_rules(count: usize) -> String {
    let mut out = String::from("require \"fileinto\";\n");
    for rule in 0..count {
        let test = match rule % 3 {
            0 => format!("header :contains \"subject\" \"word{rule}\""),
            1 => format!("address :is \"from\" \"user{rule}@example.com\""),
            _ => format!("header :matches \"list-id\" \"*<list{rule}.*>\""),
        };
        let _ = writeln!(out, "if {test} {{ fileinto \"f{rule}\"; stop; }}");
    }
    out
}

pub(crate) const SMALL: &[u8] = b"From: ann@example.org\r\nTo: bob@example.com\r\nSubject: lunch today?\r\nList-Id: <x.y>\r\n\r\nWhere?\r\n";

/// A header as it comes through three hops, and `body` octets.
pub(crate) fn message(body: usize) -> Vec<u8> {
    let mut text = String::new();
    for hop in 0..3 {
        let _ = write!(
            text,
            "Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\r\n\tby mail.example.org with \
             ESMTPS id 4Zz{hop}AbCdEf; Fri, 21 Nov 2025 10:0{hop}:00 +0100\r\n"
        );
    }
    text.push_str(
        "From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nList-Id: \
         <users.example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
    );
    while text.len() < body {
        text.push_str("Some text with caf=C3=A9 in it, and more of the same to fill the line.\r\n");
    }
    text.push_str("--b--\r\n");
    text.into_bytes()
}
