//! Input made to cost much more than its size: what is not linear does not come to an end here.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs)]

use mime::{
    AuthenticationResults, ContentType, Date, Headers, Received, Structure, address, encoded_word,
    list, message_id, text,
};

/// Enough that work in the square of the length would take very long.
const OCTETS: usize = 192 << 10;

fn repeated(piece: &str) -> String {
    piece.repeat(OCTETS / piece.len())
}

const PIECES: &[&str] = &[
    "@",
    "a@",
    "<@",
    "<@,",
    "<a@",
    "<@a:",
    "a:",
    "a:;",
    ";",
    ",",
    "\"",
    "\\",
    "\"\\",
    "(",
    ")",
    "((",
    "(\\",
    "[",
    "a.",
    ". ",
    "a <",
    "<a> ",
    "a b@c ",
    "=?",
    "=?utf-8?q?",
    "=?utf-8?q?a?=",
    "=?utf-8?b?w6k=?= ",
    "=?utf-8?q?a?= =?x?q?",
    "=?iso-2022-jp?b?GyRCJCIbKEI=?=",
    "; a=b",
    "; a*0=b",
    "; a*",
    ";",
    "=",
    "; a=\"",
    "; a*1*=%",
    "/",
    "1 ",
    "1(",
    "1:",
    "+1 ",
    "Jan ",
    "; x=y z.w=",
    "; x=y(",
    ", <a>",
    "<a>,",
    "<",
    ">",
    "<>",
    "from a ",
    "by (x) ",
    "from ",
    "for <",
    "\n ",
    "\r",
    "\0",
    "\u{e4}",
];

#[test]
fn values() {
    for piece in PIECES {
        let value = repeated(piece);
        let octets = value.as_bytes();
        let mut longest = 0;
        for mailbox in address::mailboxes(octets) {
            longest = longest.max(mailbox.addr_spec().len());
        }
        assert!(longest <= 3 * OCTETS, "{piece}");
        let _ = address::parse(octets).count();
        let _ = encoded_word::decode(octets).len();
        let _ = (Date::parse(octets), message_id::list(octets).count());
        let _ = (list::urls(octets).count(), list::id(octets));
        let _ = (
            Received::parse(octets),
            AuthenticationResults::parse(octets),
        );
        let with_id = format!("h; {value}");
        let _ = AuthenticationResults::parse(with_id.as_bytes());
        let typed = format!("text/plain{value}");
        if let Some(declared) = ContentType::parse(&typed) {
            let _ = declared.parameters().into_iter().count();
            let _ = (declared.parameter("a"), declared.parameters().joined());
        }
        let _ = text::html_to_text(&value);
        let message = format!("Subject: {value}");
        let _ = Headers::new(message.as_bytes()).map(|field| field.text().len());
    }
}

#[test]
fn messages() {
    let long = "b".repeat(900);
    let levels = |name: &dyn Fn(usize) -> String| {
        let level = |at| {
            format!(
                "Content-Type: multipart/mixed; boundary={0}\n\n--{0}\n",
                name(at)
            )
        };
        (0..100).map(level).collect::<String>()
    };
    let bodies = [
        format!("--{long}x\n"),
        format!("--{long}"),
        "--\n".into(),
        "\n-".into(),
        "--b\n".into(),
        "--b--\n".into(),
        "x\n".into(),
    ];
    let starts = [
        levels(&|at| format!("{long}{at}")),
        levels(&|at| "b".repeat(at + 1)),
        levels(&|_| "b".into()),
        "Content-Type: message/rfc822\n\n".repeat(1000),
    ];
    for start in &starts {
        for body in &bodies {
            let message = start.clone() + &repeated(body);
            let structure = Structure::parse(message.as_bytes());
            assert_eq!(structure.size(), message.len() as u64);
        }
    }
}
