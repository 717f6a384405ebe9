//! What is compared with Pigeonhole, extension by extension.
//!
//! Where an area leaves something out, Pigeonhole does otherwise there than the RFC named says.

use std::fmt::Write as _;

use super::dice::Dice;
use super::{base, mail, more};

/// Scripts of one kind.
pub(crate) struct Area {
    pub(crate) name: &'static str,
    /// The capabilities of its scripts.
    pub(crate) requires: &'static str,
    pub(crate) script: fn(&mut Dice) -> String,
    pub(crate) message: fn(&mut Dice) -> String,
    pub(crate) seeds: u64,
    /// The message that is stored is compared, not the list of actions.
    pub(crate) stored: bool,
}

const fn area(
    name: &'static str,
    requires: &'static str,
    script: fn(&mut Dice) -> String,
    message: fn(&mut Dice) -> String,
) -> Area {
    Area {
        name,
        requires,
        script,
        message,
        seeds: 25,
        stored: false,
    }
}

pub(crate) const AREAS: &[Area] = &[
    Area {
        seeds: 150,
        ..area("base", base::REQUIRE, base::script, base::message)
    },
    area(
        "variables",
        "\"variables\", \"enotify\", \"regex\"",
        variables,
        base::message,
    ),
    area("regex", "\"variables\", \"regex\"", regex, base::message),
    area(
        "relational",
        "\"relational\", \"envelope\", \"variables\", \"imap4flags\", \"comparator-i;ascii-numeric\"",
        relational,
        base::message,
    ),
    area(
        "date",
        "\"date\", \"index\", \"relational\", \"variables\", \"comparator-i;ascii-numeric\"",
        date,
        mail::dated,
    ),
    Area {
        stored: true,
        ..area(
            "editheader",
            "\"editheader\", \"index\", \"variables\"",
            more::edit,
            mail::plain,
        )
    },
    area(
        "mime",
        "\"mime\", \"foreverypart\", \"extracttext\", \"variables\", \"relational\", \"comparator-i;ascii-numeric\"",
        more::mime,
        mail::parts,
    ),
    area("body", "\"body\"", body, mail::parts),
    area(
        "include",
        "\"include\", \"variables\"",
        more::include,
        mail::plain,
    ),
    area(
        "environment",
        "\"environment\", \"variables\", \"relational\", \"comparator-i;ascii-numeric\", \"vnd.dovecot.environment\"",
        more::environment,
        mail::plain,
    ),
    area(
        "subaddress",
        "\"subaddress\", \"envelope\", \"variables\"",
        subaddress,
        base::message,
    ),
    area(
        "duplicate",
        "\"duplicate\", \"variables\"",
        more::duplicate,
        mail::plain,
    ),
    area(
        "mailbox",
        "\"mailbox\", \"special-use\", \"mboxmetadata\", \"servermetadata\", \"variables\"",
        more::mailbox,
        mail::plain,
    ),
    area(
        "imap4flags",
        "\"imap4flags\", \"variables\", \"relational\", \"comparator-i;ascii-numeric\"",
        more::flags,
        mail::plain,
    ),
    area(
        "vacation",
        "\"vacation\", \"vacation-seconds\", \"variables\"",
        more::vacation,
        mail::plain,
    ),
    area(
        "enotify",
        "\"enotify\", \"variables\", \"relational\", \"comparator-i;ascii-numeric\"",
        more::notify,
        mail::plain,
    ),
    area(
        "ihave",
        "\"ihave\", \"variables\"",
        more::ihave,
        mail::plain,
    ),
    area(
        "spamtest",
        "\"spamtest\", \"virustest\", \"relational\", \"comparator-i;ascii-numeric\"",
        more::spam,
        mail::scanned,
    ),
    area(
        "spamtestplus",
        "\"spamtestplus\", \"virustest\", \"relational\", \"comparator-i;ascii-numeric\"",
        more::spam_plus,
        mail::scanned,
    ),
    area(
        "refusal",
        "\"reject\", \"vnd.dovecot.debug\", \"vnd.dovecot.report\", \"variables\"",
        more::refusal,
        mail::plain,
    ),
    area(
        "encoded",
        "\"encoded-character\", \"variables\"",
        encoded,
        mail::plain,
    ),
];

/// Rules with numbered folders.
pub(crate) fn rules(
    dice: &mut Dice,
    count: usize,
    folder: &str,
    mut test: impl FnMut(&mut Dice) -> String,
) -> String {
    let mut out = String::new();
    for number in 0..count {
        let test = test(dice);
        writeln!(out, "if {test} {{ fileinto :copy \"t{number}{folder}\"; }}").unwrap();
    }
    out
}

pub(crate) const RELATIONS: &[&str] = &["gt", "ge", "lt", "le", "eq", "ne"];

const WORDS: &[&str] = &[
    "hello",
    "Hello World",
    "",
    "a*b?c\\\\d",
    "\u{e4}\u{d6}x",
    "MiXeD cAsE",
    "http://example.org/?a=b c",
    "(x|y)+[z]$",
    "5",
    "${0}",
    "${none}",
    "${b}${a}",
    "tail ${a}",
    "$ {a} ${a",
    "${A}",
];

fn variables(dice: &mut Dice) -> String {
    let mut out = String::new();
    for _ in 0..8 {
        let case = dice.pick(&["", "", ":lower", ":upper", ":LOWER"]);
        let first = dice.pick(&["", "", ":lowerfirst", ":upperfirst"]);
        let quote = dice.pick(&["", "", "", ":quotewildcard"]);
        let url = dice.pick(&["", "", "", ":encodeurl"]);
        let length = dice.pick(&["", "", "", "", ":length"]);
        let name = dice.pick(&["a", "b", "c", "D_1"]);
        let value = dice.pick(WORDS);
        writeln!(
            out,
            "set {length} {url} {quote} {first} {case} \"{name}\" \"{value}\";"
        )
        .unwrap();
    }
    out.push_str("if header :matches \"subject\" \"* *\" { set \"a\" \"${1}<${2}\"; }\n");
    out.push_str(&rules(dice, 4, "-${a}-${b}-${c}-${d_1}", |dice| {
        format!(
            "string {} :comparator \"i;ascii-casemap\" [\"${{{}}}\", \"x\"] [\"{}\", \"{}\"]",
            dice.pick(&[":is", ":contains", ":matches"]),
            dice.pick(&["a", "b", "c", "d_1"]),
            dice.pick(WORDS),
            dice.pick(&["*e*", "?", "h*", "5"])
        )
    }));
    out.push_str("fileinto :copy \"end-${a}-${b}-${c}-${d_1}-${1}\";\n");
    out
}

fn regex(dice: &mut Dice) -> String {
    rules(dice, 8, "-${0}-${1}-${2}", |dice| {
        let pattern = dice.pick(&[
            "^(.*)$",
            "([a-z]+) ([a-z]+)",
            "(o+)",
            "^[[:space:]]*(.*[^ ])[[:space:]]*$",
            "([[:alnum:]]+)@([[:alnum:].]+)",
            "\\\\[(.*)\\\\](.*)",
            "^(re|fwd)?:? ?(.*)$",
            "h.llo",
            "l{2}",
            "l{3,}",
            "m(.)n(.)y",
            "[0-9]{1,2} (green|blue)",
            "^$",
            "gr..?e",
            "a\\\\*b\\\\?c",
            "^[^@]+@[^@]+$",
            "(hello|world) ?",
            "WORLD$",
        ]);
        let comparator = dice.pick(&["", "", ":comparator \"i;octet\""]);
        match dice.roll(4) {
            0 => format!(
                "address {comparator} :regex {} \"{}\" \"{pattern}\"",
                dice.pick(&[":all", ":localpart", ":domain"]),
                dice.pick(&["from", "to"])
            ),
            _ => format!(
                "header :regex {comparator} [\"{}\", \"subject\"] [\"{pattern}\", \"{}\"]",
                dice.pick(&["x-score", "from", "date", "to"]),
                dice.pick(&["^x", "bob", "^[0-9]+$"])
            ),
        }
    })
}

fn relational(dice: &mut Dice) -> String {
    rules(dice, 8, "", |dice| {
        let relation = dice.pick(RELATIONS);
        let comparator = dice.pick(&["i;ascii-numeric", "i;ascii-casemap", "i;octet"]);
        let key = dice.pick(&[
            "0",
            "1",
            "2",
            "3",
            "12",
            "a",
            "hello",
            "M",
            "me@example.com",
        ]);
        let count = dice.pick(&["0", "1", "2", "3"]);
        match dice.roll(7) {
            0 => format!(
                "header :count \"{relation}\" :comparator \"i;ascii-numeric\" [\"x-score\", \"{}\"] \"{count}\"",
                dice.pick(&["received", "subject", "x-none"])
            ),
            // An empty group is no address (RFC 5231 §4.2), which Pigeonhole counts: `from` holds none.
            1 => format!(
                "address :count \"{relation}\" :comparator \"i;ascii-numeric\" \"from\" \"{count}\""
            ),
            2 => format!(
                "envelope :count \"{relation}\" :comparator \"i;ascii-numeric\" [\"from\", \"to\"] \"{count}\""
            ),
            3 => format!(
                "address :value \"{relation}\" :comparator \"{comparator}\" {} \"from\" [\"{key}\", \"{}\"]",
                dice.pick(&[":all", ":localpart", ":domain"]),
                dice.pick(&["ann", "z", "example.org"])
            ),
            4 => format!(
                "string :value \"{relation}\" :comparator \"{comparator}\" [\"{key}\", \"5\"] \"{}\"",
                dice.pick(&["4", "5", "05", "6", "abc", "-1"])
            ),
            _ => format!(
                "header :value \"{relation}\" :comparator \"{comparator}\" [\"{}\", \"x-none\"] \"{key}\"",
                dice.pick(&["x-score", "subject", "from"])
            ),
        }
    })
}

fn date(dice: &mut Dice) -> String {
    // A field that an index does not find fails the test (RFC 5260 §6), and so does one that is no date where the index
    // names it: Pigeonhole looks at another one. So only single fields have an index here.
    rules(dice, 10, "-${1}", |dice| {
        let part = dice.pick(&[
            "year", "month", "day", "date", "julian", "hour", "minute", "second", "time",
            "iso8601", "std11", "zone", "weekday", "WEEKDAY",
        ]);
        let zone = dice.pick(&[
            ":originalzone",
            ":zone \"+0000\"",
            ":zone \"-0330\"",
            ":zone \"+1345\"",
            ":zone \"+0100\"",
        ]);
        let index = dice.pick(&["", "", ":index 1", ":last :index 1"]);
        match dice.roll(5) {
            0 => format!(
                "date {index} {zone} :value \"{}\" :comparator \"i;ascii-numeric\" \"date\" \"{part}\" \"{}\"",
                dice.pick(RELATIONS),
                dice.pick(&["3", "12", "2010", "53064", "0"])
            ),
            1 => format!(
                "currentdate {} :matches \"{}\" \"*\"",
                dice.pick(&[":zone \"+0000\"", ":zone \"-1100\""]),
                dice.pick(&["zone"])
            ),
            2 => "currentdate :value \"ge\" \"date\" \"2020-01-01\"".to_owned(),
            _ => {
                let field = dice.pick(&["date", "received", "resent-date", "x-date"]);
                let index = if field == "received" { "" } else { index };
                format!("date {index} {zone} :matches \"{field}\" \"{part}\" \"*\"")
            }
        }
    })
}

fn body(dice: &mut Dice) -> String {
    rules(dice, 8, "", |dice| {
        let how = dice.pick(&[
            ":contains",
            ":contains",
            ":matches",
            ":is",
            ":contains :comparator \"i;octet\"",
        ]);
        let key = match how {
            ":matches" => dice.pick(&["*hello*", "*W?rld*", "hello", "*", "*--b*", "?*encoded*"]),
            ":is" => dice.pick(&["hello", "", "encoded text", "hello World"]),
            _ => dice.pick(&[
                "hello",
                "World",
                "encoded",
                "<p>",
                "--in",
                "Content-Type",
                "preamble",
                "caf\u{e9}",
                "aGVs",
                "attached",
            ]),
        };
        // A multipart's own content is its prologue and epilogue (RFC 5173 §5.2), which Pigeonhole does not give; and
        // :text is left to the implementation (§5.3).
        let transform = dice.pick(&[
            ":raw",
            ":content \"text\"",
            ":content \"text/plain\"",
            ":content [\"text/html\", \"image\"]",
            ":content \"application/octet-stream\"",
            ":content \"none\"",
        ]);
        format!("body {transform} {how} [\"{key}\", \"not there\"]")
    })
}

fn subaddress(dice: &mut Dice) -> String {
    rules(dice, 8, "-${1}", |dice| {
        let part = dice.pick(&[":user", ":detail", ":localpart", ":domain", ":all"]);
        let how = dice.pick(&[":matches", ":matches", ":is", ":contains"]);
        let key = dice.pick(&["*", "detail", "me", "list", "?*", "*+*", "a+b"]);
        if dice.roll(3) == 0 {
            format!(
                "envelope {how} {part} [\"{}\"] \"{key}\"",
                dice.pick(&["from", "to"])
            )
        } else {
            format!(
                "address {how} {part} [\"{}\"] \"{key}\"",
                dice.pick(&["from", "to", "cc"])
            )
        }
    })
}

fn encoded(dice: &mut Dice) -> String {
    let mut out = String::from("set \"a\" \"40\";\n");
    for number in 0..8 {
        let one = dice.pick(&[
            "${hex:40}",
            "${hex: 40 41}",
            "${HEX:2e2e}",
            "${hex:400}",
            "${hex:}",
            "${hex:zz}",
            "$${hex:40}",
            "${hex:24}{hex:40}",
            "${hex:${a}}",
        ]);
        let two = dice.pick(&[
            "${unicode:263a}",
            "${unicode:0041 0042}",
            "${Unicode:e4}",
            "${unicode:}",
            "${unicode:00}x",
            "${unicode:0000000040}",
            "${unicode:10FFFF}",
            "${unicode",
        ]);
        let two = if two.contains(":00}") { "" } else { two };
        writeln!(out, "fileinto :copy \"t{number}-{one}-{two}-${{a}}\";").unwrap();
    }
    out
}
