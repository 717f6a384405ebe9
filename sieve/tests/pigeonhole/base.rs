//! The same scripts and messages through Pigeonhole's `sieve-test`: the actions must be the same.
//!
//! Runs where `POSTHASTE_INTEROP=1` is set; then a missing program is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sieve::{Action, Answer, Capabilities, Config, Envelope, Evaluation, Progress};

/// A fixed sequence, so that a difference is found again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

const REQUIRE: &str = "require [\"fileinto\", \"copy\", \"envelope\", \"variables\", \"imap4flags\", \"relational\", \
    \"comparator-i;ascii-numeric\", \"subaddress\", \"body\", \"date\", \"index\", \"regex\", \"mime\", \
    \"foreverypart\", \"extracttext\", \"encoded-character\", \"environment\"];\n";

fn message(dice: &mut Dice) -> String {
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
            // Pigeonhole counts an empty group as an address, against RFC 5231 §4.2.
            let fields = if how.contains(":count") {
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

fn script(dice: &mut Dice) -> String {
    let mut out = REQUIRE.to_owned();
    for number in 0..16 {
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

/// What is done, one line each.
fn ours(source: &str, message: &str) -> Vec<String> {
    let script = sieve::compile(source, &Capabilities::all())
        .unwrap_or_else(|faults| panic!("{faults:?}\n{source}"));
    let envelope = Envelope::new("ann+list@example.org", "me+detail@example.com");
    let config = Config::new("2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap());
    let mut evaluation = Evaluation::new(&script, message.as_bytes(), envelope, config);
    let outcome = loop {
        match evaluation.step() {
            Progress::Done(outcome) => break outcome,
            Progress::Ask(_) => evaluation.answer(Answer::Bool(false)).unwrap(),
        }
    };
    assert!(outcome.error.is_none(), "{:?}\n{source}", outcome.error);
    let mut lines = Vec::new();
    for action in &outcome.actions {
        let (line, flags) = match action {
            Action::Keep(keep) => ("store INBOX".to_owned(), &keep.flags[..]),
            Action::FileInto(fileinto) => (
                format!("store {}", fileinto.mailbox.name),
                &fileinto.mailbox.flags[..],
            ),
            Action::Redirect(redirect) => (format!("redirect {}", redirect.address), &[][..]),
            Action::Discard => ("discard".to_owned(), &[][..]),
            other => panic!("{other:?}"),
        };
        let mut flags: Vec<String> = flags.iter().map(|flag| flag.to_lowercase()).collect();
        flags.sort();
        lines.push(format!("{line} {}", flags.join(" ")).trim_end().to_owned());
    }
    lines.sort();
    lines
}

fn theirs(printed: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in printed.lines() {
        let line = line.trim_start();
        if let Some(folder) = line.strip_prefix("* store message in folder: ") {
            lines.push(format!("store {folder}"));
        } else if let Some(address) = line.strip_prefix("* redirect message to: ") {
            lines.push(format!("redirect {}", address.trim_matches(['<', '>'])));
        } else if line.starts_with("* discard") {
            lines.push("discard".to_owned());
        } else if let Some(flags) = line.strip_prefix("+ add IMAP flags: ") {
            let mut flags: Vec<String> = flags.split(' ').map(str::to_lowercase).collect();
            flags.sort();
            let last = lines.last_mut().unwrap();
            *last = format!("{last} {}", flags.join(" "));
        }
    }
    for line in &mut lines {
        *line = line.trim_end().to_owned();
    }
    lines.sort();
    lines
}

fn set_up(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let id = |flag: &str| {
        let output = Command::new("id").arg(flag).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    // The program refuses to work for root.
    let (user, group) = match id("-un").as_str() {
        "root" => ("nobody".to_owned(), "nogroup".to_owned()),
        user => (user.to_owned(), id("-gn")),
    };
    std::fs::create_dir_all(folder.join("home")).unwrap();
    for path in [folder.to_owned(), folder.join("home")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let path = folder.join("dovecot.conf");
    let home = folder.join("home");
    let home = home.display();
    std::fs::write(
        &path,
        format!(
            "ssl = no\nmail_uid = {user}\nmail_gid = {group}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_home = \
             {home}\nmail_location = maildir:{home}/Maildir\nlog_path = /dev/stderr\n"
        ),
    )
    .unwrap();
    path
}

#[test]
fn actions_are_the_same() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("posthaste-sieve-{}", std::process::id()));
    let config = set_up(&folder);
    let mut differences = Vec::new();
    for seed in 1..=150_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let source = script(&mut dice);
        let message = message(&mut dice);
        let (script, mail) = (
            folder.join(format!("{seed}.sieve")),
            folder.join("mail.eml"),
        );
        std::fs::write(&script, &source).unwrap();
        std::fs::write(&mail, &message).unwrap();
        let output = Command::new("sieve-test")
            .args([
                "-C",
                "-f",
                "ann+list@example.org",
                "-r",
                "me+detail@example.com",
                "-c",
            ])
            .args([&config, &script, &mail])
            .output()
            .unwrap_or_else(|fault| panic!("sieve-test (Debian package dovecot-sieve): {fault}"));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            printed.contains("Implicit keep:"),
            "seed {seed}: {}\n{source}",
            String::from_utf8_lossy(&output.stderr)
        );
        let (ours, theirs) = (ours(&source, &message), theirs(&printed));
        if ours != theirs {
            let extra = |a: &[String], b: &[String]| {
                let list: Vec<String> =
                    a.iter().filter(|line| !b.contains(line)).cloned().collect();
                list.join(" | ")
            };
            differences.push(format!(
                "seed {seed}: only ours: {}; only theirs: {}\n{source}\n{message}",
                extra(&ours, &theirs),
                extra(&theirs, &ours)
            ));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        differences.is_empty(),
        "{} differ\n{}",
        differences.len(),
        differences.join("\n\n")
    );
}
