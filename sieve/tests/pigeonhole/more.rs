//! Scripts of the extensions that do more than test.

use std::fmt::Write as _;

use super::areas::{RELATIONS, rules};
use super::dice::Dice;

/// White space around an added value is no part of it (RFC 5228 §5.7), but for Pigeonhole it is: no value has any here.
pub(crate) fn edit(dice: &mut Dice) -> String {
    let mut out = String::new();
    for _ in 0..6 {
        let field = dice.pick(&["Subject", "X-Many", "X-New", "To", "X-None"]);
        let index = dice.pick(&["", "", ":index 1", ":index 2", ":index 1 :last"]);
        match dice.roll(4) {
            0 => writeln!(out, "deleteheader {index} \"{field}\";"),
            1 => writeln!(
                out,
                "deleteheader {index} {} \"{field}\" [\"{}\", \"{}\"];",
                dice.pick(&[":is", ":contains", ":matches", ":contains :comparator \"i;octet\""]),
                dice.pick(&["hello", "*o*", "1 World", ""]),
                dice.pick(&["me@example.com", "b", "0 hello"])
            ),
            _ => writeln!(
                out,
                "addheader {} \"{}\" \"{}\";",
                dice.pick(&["", ":last"]),
                dice.pick(&["X-New", "X-Many", "Subject", "X-Other"]),
                dice.pick(&[
                    "new value",
                    "${1}",
                    "spaces  within",
                    "a long value of many words that goes on and on until a line of it must be folded, and then a bit more"
                ])
            ),
        }
        .unwrap();
        let test = dice.pick(&[
            "header :matches \"subject\" \"*hello*\"",
            "header :matches \"x-many\" \"* *\"",
            "not exists \"x-new\"",
            "header :contains \"x-new\" \"value\"",
        ]);
        writeln!(out, "if {test} {{ addheader \"X-Seen\" \"${{1}}.\"; }}").unwrap();
    }
    out
}

/// A parameter that is not there has no value to match (RFC 5703 §4.1), for Pigeonhole the empty one. HTML is stored as
/// it is by `extracttext` (§7), by Pigeonhole without its tags: only plain text is taken out here.
pub(crate) fn mime(dice: &mut Dice) -> String {
    let mut out = rules(dice, 6, "-${1}", |dice| {
        let child = dice.pick(&["", ":anychild", ":anychild"]);
        let option = dice.pick(&[
            "",
            ":type",
            ":subtype",
            ":contenttype",
            ":param \"name\"",
            ":param [\"filename\", \"charset\"]",
        ]);
        let field = if option.is_empty() {
            dice.pick(&[
                "content-type",
                "content-transfer-encoding",
                "x-part",
                "subject",
            ])
        } else {
            dice.pick(&["content-type", "content-disposition"])
        };
        match dice.roll(4) {
            0 => format!("exists :mime {child} [\"{field}\", \"content-type\"]"),
            1 => format!(
                "address :mime {child} :{} \"from\" [\"example.net\", \"inner@example.net\"]",
                dice.pick(&["domain", "all"])
            ),
            _ => format!(
                "header :mime {child} {option} {} [\"{field}\"] [\"{}\", \"{}\"]",
                dice.pick(&[":is", ":contains", ":matches"]),
                dice.pick(&["text", "plain", "multipart/mixed", "*html*", "attachment"]),
                dice.pick(&[
                    "utf-8",
                    "file*",
                    "text/plain",
                    "octet-stream",
                    "inline",
                    "base64"
                ])
            ),
        }
    });
    let inner = dice.pick(&[
        "",
        "foreverypart { if header :mime :contenttype :is \"content-type\" \"text/html\" { fileinto :copy \"inner\"; \
         break; } }",
        "foreverypart :name \"in\" { if header :mime :type :is \"content-type\" \"text\" { break :name \"out\"; } }",
    ]);
    let test = dice.pick(&[
        "header :mime :contenttype :is \"content-type\" \"text/plain\"",
        "header :mime :subtype :matches \"content-type\" \"p*\"",
        "allof (header :mime :type :is \"content-type\" \"text\", not header :mime :subtype :is \"content-type\" \
         \"html\")",
    ]);
    let modifier = dice.pick(&["", ":upper", ":first 5", ":first 100 :lower", ":length"]);
    let ending = dice.pick(&["", "", "break;", "stop;"]);
    writeln!(
        out,
        "foreverypart :name \"out\" {{ if {test} {{ set \"n\" \"${{n}}i\"; extracttext {modifier} \"x\"; if string \
         :comparator \"i;ascii-casemap\" :matches \"${{x}}\" [\"*hello*\", \"*World*\", \"*\"] {{ fileinto :copy \"part-${{n}}-${{1}}\"; }} {ending} }} \
         {inner} }}\nfileinto :copy \"after-${{n}}\";"
    )
    .unwrap();
    out
}

/// Name and text of the scripts that others include.
pub(crate) const INCLUDED: &[(&str, &str)] = &[
    (
        "one",
        "require [\"include\", \"variables\", \"fileinto\", \"copy\"]; global \"a\"; set \"a\" \"${a}1\"; set \"b\" \
         \"local\"; fileinto :copy \"one-${a}-${b}\";",
    ),
    (
        "two",
        "require [\"include\", \"variables\", \"fileinto\", \"copy\"]; global [\"a\", \"b\"]; set \"b\" \"${a}-two\"; \
         include :global \"one\"; if header :contains \"subject\" \"hello\" { return; } fileinto :copy \"two-${b}\";",
    ),
    (
        "halt",
        "require [\"fileinto\", \"copy\"]; if header :contains \"subject\" \"hello\" { stop; }",
    ),
    ("throw", "discard;"),
    (
        "named",
        "require [\"include\", \"variables\"]; set \"global.b\" \"${global.a}x\";",
    ),
];

pub(crate) fn include(dice: &mut Dice) -> String {
    let mut out = String::from("global \"a\"; global \"b\";\nset \"a\" \"0\";\n");
    let mut absent = false;
    for _ in 0..5 {
        let once = dice.pick(&["", "", ":once"]);
        let name = dice.pick(&["one", "two", "halt", "throw", "named", "one"]);
        match dice.roll(5) {
            // With more than one in a script, Pigeonhole 0.5.19 crashes at times.
            0 if !absent => {
                absent = true;
                writeln!(out, "include :global :optional \"absent\";")
            }
            0 | 1 => writeln!(out, "set \"a\" \"${{a}}${{b}}\";"),
            _ => writeln!(out, "include :global {once} \"{name}\";"),
        }
        .unwrap();
        out.push_str("fileinto :copy \"main-${a}-${b}\";\n");
    }
    out
}

pub(crate) fn environment(dice: &mut Dice) -> String {
    // RFC 5183 leaves open whether the case of an item's name matters.
    rules(dice, 6, "-${1}", |dice| {
        let item = dice.pick(&["phase", "location", "x-none", "remote-host"]);
        match dice.roll(4) {
            0 => format!(
                "environment :count \"{}\" :comparator \"i;ascii-numeric\" \"{item}\" \"{}\"",
                dice.pick(RELATIONS),
                dice.pick(&["0", "1"])
            ),
            1 => "string :is \"${env.x_none}\" \"\"".to_owned(),
            _ => format!(
                "environment {} \"{item}\" [\"{}\", \"MS\"]",
                dice.pick(&[":is", ":contains", ":matches"]),
                dice.pick(&["*", "", "post", "p*t", "during"])
            ),
        }
    })
}

pub(crate) fn duplicate(dice: &mut Dice) -> String {
    let mut number = 0;
    // Two tests of one id are sound (RFC 7352 §3): Pigeonhole fails, so each has its own handle here.
    rules(dice, 4, "", |dice| {
        number += 1;
        let id = dice.pick(&[
            "",
            ":header \"message-id\"",
            ":header \"x-none\"",
            ":uniqueid \"own\"",
            ":uniqueid \"${x}y\"",
        ]);
        let handle = format!(":handle \"h{number}\"");
        let seconds = dice.pick(&["", ":seconds 100", ":last", ":last :seconds 5"]);
        let not = dice.pick(&["", "not "]);
        format!("{not}duplicate {handle} {id} {seconds}")
    })
}

pub(crate) fn mailbox(dice: &mut Dice) -> String {
    let mut out = rules(dice, 6, "", |dice| {
        let name = dice.pick(&["Trash", "Spam", "INBOX", "None", "inbox"]);
        match dice.roll(5) {
            0 => format!(
                "metadataexists \"INBOX\" \"/private/{}\"",
                dice.pick(&["none", "x"])
            ),
            1 => format!(
                "specialuse_exists [\"{}\", \"\\\\Trash\"]",
                dice.pick(&["\\\\Trash", "\\\\Junk", "\\\\Sent"])
            ),
            2 => format!(
                "specialuse_exists \"{}\" \"{}\"",
                dice.pick(&["Trash", "Spam"]),
                dice.pick(&["\\\\Trash", "\\\\Junk", "\\\\trash"])
            ),
            3 => "servermetadataexists \"/private/none\"".to_owned(),
            _ => format!("mailboxexists [\"{name}\", \"Trash\"]"),
        }
    });
    out.push_str(dice.pick(&[
        "",
        "fileinto :create \"New.One\";\n",
        "fileinto :create :copy \"New\";\n",
        "keep;\n",
    ]));
    out
}

pub(crate) fn flags(dice: &mut Dice) -> String {
    let mut out = String::new();
    for number in 0..6 {
        let flag = |dice: &mut Dice| {
            dice.pick(&[
                "\\\\Seen",
                "\\\\Flagged",
                "a",
                "B",
                "a B",
                "\\\\deleted",
                "$x",
                "",
            ])
        };
        let list = format!("[\"{}\", \"{}\"]", flag(dice), flag(dice));
        let variable = dice.pick(&["", "", "\"v\"", "\"w\""]);
        let action = dice.pick(&["setflag", "addflag", "addflag", "removeflag"]);
        writeln!(out, "{action} {variable} {list};").unwrap();
        let variable = dice.pick(&["", "", "\"v\"", "[\"v\", \"w\"]"]);
        let test = match dice.roll(3) {
            0 => format!(
                "hasflag :count \"{}\" :comparator \"i;ascii-numeric\" {variable} \"{}\"",
                dice.pick(RELATIONS),
                dice.pick(&["0", "1", "2", "3"])
            ),
            1 => format!(
                "hasflag :contains {variable} \"{}\"",
                dice.pick(&["e", "A", "S"])
            ),
            _ => format!("hasflag {variable} {list}"),
        };
        let action = match dice.roll(3) {
            0 => format!("fileinto :copy :flags \"${{v}}\" \"t{number}\";"),
            1 => format!(
                "fileinto :copy :flags [\"{}\", \"z\"] \"t{number}\";",
                flag(dice)
            ),
            _ => format!("fileinto :copy \"t{number}\";"),
        };
        writeln!(out, "if {test} {{ {action} }}").unwrap();
    }
    out.push_str(dice.pick(&["", "keep;\n", "keep :flags \"\\\\Answered\";\n"]));
    out
}

pub(crate) fn vacation(dice: &mut Dice) -> String {
    let time = dice.pick(&[
        "",
        ":days 1",
        ":days 14",
        ":seconds 100000",
        ":seconds 5",
        ":days 0",
    ]);
    let handle = dice.pick(&["", ":handle \"h\""]);
    let addresses = dice.pick(&["", ":addresses [\"other@example.com\", \"me@example.com\"]"]);
    let from = dice.pick(&["", ":from \"me@example.com\""]);
    let subject = dice.pick(&["Away", "Re: ${1}", "Caf\u{e9}"]);
    let (mime, reason) = if dice.roll(4) == 0 {
        (
            ":mime",
            "text:\nContent-Type: text/html\n\n<p>away</p>\n.\n",
        )
    } else {
        (
            "",
            dice.pick(&[
                "\"I am away\"",
                "\"Until ${1}\"",
                "text:\nGone.\n..\nSee you.\n.\n",
            ]),
        )
    };
    let before = dice.pick(&["", "discard;", "keep;", "fileinto \"x\";"]);
    format!(
        "if header :matches \"subject\" \"*\" {{ set \"x\" \"y\"; }}\n{before}\nvacation {time} {handle} {addresses} {from} \
         {mime} :subject \"{subject}\" {reason};\n"
    )
}

pub(crate) fn notify(dice: &mut Dice) -> String {
    let mut out = rules(dice, 3, "-${1}", |dice| match dice.roll(3) {
        0 => format!(
            "valid_notify_method [\"{}\"]",
            dice.pick(&[
                "mailto:a@example.org",
                "nonsense:a",
                "mailto:a%40example.org",
                "a@example.org"
            ])
        ),
        1 => format!(
            "notify_method_capability :{} \"mailto:a@example.org\" \"{}\" [\"maybe\", \"yes\"]",
            dice.pick(&["is", "contains"]),
            dice.pick(&["online", "ONLINE", "none"])
        ),
        _ => {
            "notify_method_capability :matches \"mailto:a@example.org\" \"online\" \"*\"".to_owned()
        }
    });
    let importance = dice.pick(&["", ":importance \"1\"", ":importance \"3\""]);
    let from = dice.pick(&["", ":from \"me@example.com\""]);
    let uri = dice.pick(&[
        "mailto:a@example.org",
        "mailto:a@example.org?cc=b@example.org",
        "mailto:a@example.org?to=c@example.org&body=some%20text",
        "mailto:a@example.org?subject=ignored",
        "mailto:a%2Bx@example.org?Body=two%20words",
    ]);
    let message = dice.pick(&["news", "from ${1}", "caf\u{e9}"]);
    writeln!(
        out,
        "if header :matches \"subject\" \"* *\" {{ notify {importance} {from} :message \"{message}\" \"{uri}\"; }} else \
         {{ notify {from} :message \"plain\" \"mailto:z@example.org\"; }}"
    )
    .unwrap();
    out
}

pub(crate) fn ihave(dice: &mut Dice) -> String {
    let mut out = String::new();
    for number in 0..6 {
        let one = dice.pick(&["fileinto", "envelope", "nonsense", "vnd.none.x", "date"]);
        let two = dice.pick(&["copy", "envelope", "regex", "nonsense"]);
        let test = dice.pick(&["ihave", "not ihave"]);
        let inside = match (test, one) {
            ("ihave", "date") => "if currentdate :matches \"year\" \"*\" { set \"a\" \"d\"; }",
            ("ihave", "nonsense") => "nonsense :tag \"x\" { }",
            _ => "",
        };
        writeln!(
            out,
            "if {test} [\"{one}\", \"{two}\"] {{ {inside} fileinto :copy \"t{number}${{a}}\"; }} else {{ set \"a\" \
             \"${{a}}e\"; fileinto :copy \"e{number}${{a}}\"; }}"
        )
        .unwrap();
    }
    out
}

pub(crate) fn spam(dice: &mut Dice) -> String {
    // What was not tested counts as zero (RFC 5235 §3.1), for Pigeonhole as one: there is no `:count` here.
    rules(dice, 6, "", |dice| {
        let test = dice.pick(&["spamtest", "spamtest", "virustest"]);
        let key = dice.pick(&["0", "1", "2", "3", "5", "6", "10"]);
        let relation = dice.pick(RELATIONS);
        format!("{test} :value \"{relation}\" :comparator \"i;ascii-numeric\" \"{key}\"")
    })
}

pub(crate) fn spam_plus(dice: &mut Dice) -> String {
    rules(dice, 6, "", |dice| {
        let percent = dice.pick(&[":percent", ":percent", ""]);
        let key = if percent.is_empty() {
            dice.pick(&["0", "1", "3", "10"])
        } else {
            dice.pick(&["0", "1", "50", "51", "100"])
        };
        format!(
            "spamtest {percent} :value \"{}\" :comparator \"i;ascii-numeric\" \"{key}\"",
            dice.pick(RELATIONS)
        )
    })
}

pub(crate) fn refusal(dice: &mut Dice) -> String {
    let mut out = String::from("set \"a\" \"word\";\n");
    writeln!(
        out,
        "report \"{}\" \"text\" \"abuse@example.org\";",
        dice.pick(&["abuse", "fraud", "virus", "other"])
    )
    .unwrap();
    writeln!(out, "debug_log \"${{a}}\";").unwrap();
    writeln!(
        out,
        "if {} {{ reject \"{}\"; }}",
        dice.pick(&[
            "true",
            "header :contains \"subject\" \"hello\"",
            "exists \"subject\""
        ]),
        dice.pick(&["no", "not ${a}", "No thank you"])
    )
    .unwrap();
    out.push_str(dice.pick(&["", "", "discard;\n", "stop;\n"]));
    out
}
