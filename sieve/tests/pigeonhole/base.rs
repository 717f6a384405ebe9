//! The base language and the extensions that go with any of its tests.

use std::fmt::Write as _;

use super::dice::Dice;

pub(crate) const REQUIRE: &str = "\"fileinto\", \"copy\", \"envelope\", \"variables\", \"imap4flags\", \"relational\", \
    \"comparator-i;ascii-numeric\", \"subaddress\", \"body\", \"date\", \"index\", \"regex\", \"mime\", \
    \"foreverypart\", \"extracttext\", \"encoded-character\", \"environment\"";

pub(crate) fn message(dice: &mut Dice) -> String {
    let mut out = String::new();
    let from = [
        "ann@example.org",
        "Ann Example <ann+list@example.org>",
        "\"Quoted, Name\" <ann@Example.ORG>",
        "=?utf-8?q?J=C3=BCrgen?= <j@example.net>",
        "broken",
        "<bob@example.com>, carl@example.net",
    ];
    let to = [
        "me@example.com",
        "me+detail@example.com, you@example.net",
        "Group: a@example.org, b@example.org;",
        "undisclosed-recipients:;",
        "me+a+b@example.com",
    ];
    let subject = [
        "hello world",
        "[list] Re: hello",
        "=?iso-8859-1?Q?gr=FC=DFe?= an alle",
        "=?utf-8?B?Z3LDvMOfZQ==?= =?utf-8?q?_zwei?=",
        "money money money",
        "  spaces  around  ",
        "folded\r\n\tsubject\r\n line",
        "",
        "10 green bottles",
        "a*b?c",
    ];
    write!(
        out,
        "From: {}\r\nTo: {}\r\n",
        dice.pick(&from),
        dice.pick(&to)
    )
    .unwrap();
    if dice.roll(4) > 0 {
        write!(out, "Subject: {}\r\n", dice.pick(&subject)).unwrap();
    }
    let dates = [
        "Tue, 20 Jul 2010 23:30:00 -0400",
        "Fri, 1 Jan 2021 00:00:00 +0000",
        "Sun, 29 Feb 2004 12:34:56 +0530",
        "not a date",
    ];
    write!(out, "Date: {}\r\n", dice.pick(&dates)).unwrap();
    for _ in 0..dice.roll(4) {
        write!(
            out,
            "Received: from a by b; {}\r\nX-Score: {}\r\n",
            dice.pick(&dates),
            dice.pick(&["0", "3", "12", "007", "-1", "x5", "5x"])
        )
        .unwrap();
    }
    let bodies = [
        "\r\nplain hello text\r\nsecond line\r\n",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8gZW5jb2RlZA==\r\n",
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble hello\r\n--b\r\nContent-Type: \
         text/html\r\n\r\n<p>hello</p>\r\n--b\r\nContent-Type: image/png; name=cat.png\r\nContent-Transfer-Encoding: \
         base64\r\n\r\naGVsbG8=\r\n--b--\r\n",
        "\r\n",
    ];
    out.push_str(dice.pick(&bodies));
    out
}

fn matching(dice: &mut Dice) -> (String, Vec<&'static str>) {
    let words = vec![
        "hello",
        "HELLO",
        "",
        "a",
        "world",
        "example.org",
        "me",
        "12",
        "money",
        "gr\u{fc}\u{df}e",
        "5",
        "ann@example.org",
        "3",
    ];
    match dice.roll(7) {
        0 => (":is".into(), words),
        1 => (":contains".into(), words),
        2 => (":is :comparator \"i;octet\"".into(), words),
        3 => (
            ":matches".into(),
            vec![
                "*",
                "*hello*",
                "?*",
                "*e*l*o*",
                "[*] *",
                "*@*.*",
                "*money*money",
                "??*?",
                "*\\\\**",
                "he?lo*",
                "",
                "*+*@*",
            ],
        ),
        4 => (
            ":regex".into(),
            vec![
                "^h(el+)o", // What alternatives leave to the groups behind them differs: the C library does not follow POSIX there.
                "([a-z]+)@([a-z.]+)",
                "m(on)ey",
                "^$",
                "[0-9]+",
                "(.*) (.*)",
                "x*",
                "(hello|hell)(.*)o",
            ],
        ),
        5 => {
            let relation = dice.pick(&["gt", "ge", "lt", "le", "eq", "ne"]);
            (
                format!(":value \"{relation}\" :comparator \"i;ascii-numeric\""),
                vec!["0", "3", "10", "x"],
            )
        }
        _ => {
            let relation = dice.pick(&["gt", "ge", "lt", "le", "eq", "ne"]);
            (
                format!(":count \"{relation}\" :comparator \"i;ascii-numeric\""),
                vec!["0", "1", "2", "3"],
            )
        }
    }
}

fn keys(dice: &mut Dice, words: &[&str]) -> String {
    let one = format!("\"{}\"", dice.pick(words));
    if dice.roll(3) > 0 {
        return one;
    }
    format!("[{one}, \"{}\"]", dice.pick(words))
}

fn test(dice: &mut Dice, depth: usize) -> String {
    let (how, words) = matching(dice);
    let keys = keys(dice, &words);
    let fields = [
        "subject", "from", "to", "x-score", "received", "date", "x-none",
    ];
    let addresses = ["from", "to", "cc"];
    let parts = [":all", ":localpart", ":domain", ":user", ":detail", ""];
    match dice.roll(if depth > 0 { 16 } else { 13 }) {
        0..=3 => {
            let index = dice.pick(&["", "", "", ":index 1", ":index 2", ":index 1 :last"]);
            // Pigeonhole counts no field at all where an index is given.
            let index = if how.contains(":count") { "" } else { index };
            format!("header {how} {index} \"{}\" {keys}", dice.pick(&fields))
        }
        4 => format!(
            "header {how} [\"{}\", \"{}\"] {keys}",
            dice.pick(&fields),
            dice.pick(&fields)
        ),
        5 | 6 => {
            // Pigeonhole counts an empty group as an address, against RFC 5231 §4.2, and compares it, against RFC 5228
            // §5.1.
            let fields = if how.contains(":count") || how.contains(":value") {
                &addresses[..1]
            } else {
                &addresses[..]
            };
            format!(
                "address {how} {} \"{}\" {keys}",
                dice.pick(&parts),
                dice.pick(fields)
            )
        }
        7 => format!(
            "envelope {how} {} \"{}\" {keys}",
            dice.pick(&parts),
            dice.pick(&["from", "to"])
        ),
        8 => format!(
            "exists [\"{}\", \"{}\"]",
            dice.pick(&fields),
            dice.pick(&fields)
        ),
        9 => format!(
            "size {} {}",
            dice.pick(&[":over", ":under"]),
            dice.pick(&["100", "1K", "250", "10"])
        ),
        10 => {
            let transform = dice.pick(&[
                ":raw",
                ":text",
                ":content \"text\"",
                ":content \"image/png\"",
            ]);
            format!(
                "body {transform} :contains \"{}\"",
                dice.pick(&["hello", "HELLO", "second", "<p>", "none"])
            )
        }
        11 => {
            let zone = dice.pick(&[":originalzone", ":zone \"+0000\"", ":zone \"-0330\""]);
            let part = dice.pick(&[
                "year", "month", "day", "date", "hour", "minute", "time", "weekday", "julian",
                "zone", "iso8601",
            ]);
            let field = dice.pick(&["date", "received"]);
            let keys = "[\"2010\", \"07\", \"20\", \"2010-07-20\", \"23\", \"30\", \"0\", \"2\", \"5\", \"-0400\", \
                        \"2021-01-01T00:00:00Z\", \"00:00:00\", \"53064\", \"12\"]";
            format!("date {zone} \"{field}\" \"{part}\" {keys}")
        }
        12 => {
            // Pigeonhole compares octets here if nothing is said, against RFC 5228 §2.7.3.
            let comparator = if how.contains(":comparator") {
                ""
            } else {
                ":comparator \"i;ascii-casemap\""
            };
            format!("string {how} {comparator} \"{}\" {keys}", dice.pick(&words))
        }
        13 => format!("not {}", test(dice, depth - 1)),
        14 => format!(
            "allof ({}, {})",
            test(dice, depth - 1),
            test(dice, depth - 1)
        ),
        _ => format!(
            "anyof ({}, {})",
            test(dice, depth - 1),
            test(dice, depth - 1)
        ),
    }
}

pub(crate) fn script(dice: &mut Dice) -> String {
    let mut out = String::new();
    for number in 0..8 {
        let test = test(dice, 2);
        let action = match dice.roll(8) {
            0 => format!("fileinto :copy \"t{number}-${{1}}-${{2}}\";"),
            1 => format!("addflag \"\\\\Seen $f{number}\"; fileinto :copy \"t{number}\";"),
            2 => format!("set :upper \"v\" \"${{v}}x\"; fileinto :copy \"t{number}${{v}}\";"),
            _ => format!("fileinto :copy \"t{number}\";"),
        };
        writeln!(out, "if {test} {{ {action} }}").unwrap();
    }
    out.push_str(dice.pick(&[
        "",
        "",
        "discard;\n",
        "redirect \"other@example.org\";\n",
        "redirect :copy \"other@example.org\";\n",
        "keep;\n",
        "if header :contains \"subject\" \"hello\" { stop; } discard;\n",
    ]));
    out
}
