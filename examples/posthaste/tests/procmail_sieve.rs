//! Rcfiles made by chance, translated to Sieve: each script compiles, and where the translation
//! claims to be exact, both do the same with every message.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "../../../procmail-rules/tests/corpus/generator.rs"]
mod generator;

use std::collections::BTreeSet;
use std::sync::Arc;

use generator::message::MESSAGES;
use generator::{Chance, Writer};
use posthaste::procmail::{by_procmail, by_sieve};
use procmail_rules::{Fidelity, RegexCache, Script};

const NAMES: [&str; 7] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "List-Id",
    "X-Spam",
    "Precedence",
];

/// Writes rcfiles as people do.
struct Sensible(Chance);

impl Sensible {
    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.0.below(choices.len())]
    }

    fn one_in(&mut self, end: usize) -> bool {
        self.0.below(end) == 0
    }

    fn word(&mut self) -> &'static str {
        self.of(&[
            "ann",
            "bob",
            "rust",
            "green",
            "Report",
            "list",
            "spam",
            "yes",
            "money",
            "a",
            "example\\.org",
            "[0-9]+",
            "(ann|bob)",
            "re:",
            "urgent",
            "bulk",
            "x",
            "b.b",
            "[^a-m]s",
            "\\[rust\\]",
            "a*n+",
            "(un)?read",
            "[]a-]x",
            "[-+]1",
            "\\*",
            "e$",
            "\\$5",
        ])
    }

    fn expression(&mut self) -> String {
        let word = self.word();
        let other = self.word();
        match self.0.below(14) {
            0..5 => format!("^{}:.*{word}", self.of(&NAMES)),
            5 => format!("^{}: {word}", self.of(&NAMES)),
            6 => format!("^({}|{}):.*{word}", self.of(&NAMES), self.of(&NAMES)),
            7 => format!("^TO_{word}"),
            8 => format!("^TO{word}"),
            9 => format!("^{}:", self.of(&NAMES)),
            10 => format!("^{}:.*\\<{word}", self.of(&NAMES)),
            11 => format!("^{}:.*{word}.*{other}", self.of(&NAMES)),
            12 => format!("^{}:.*({word}|{other})$", self.of(&NAMES)),
            _ => format!("^(Resent-)?{}:[ ]*{word}.*{other}?", self.of(&NAMES)),
        }
    }

    fn condition(&mut self) -> String {
        let mut text = "* ".to_owned();
        if self.one_in(4) {
            text.push_str("! ");
        }
        match self.0.below(10) {
            0 => {
                let body = self.of(&["hello", "money", "^own", "up\\.$", "n.m", "[a-c]+d"]);
                text + "B ?? " + body
            }
            1 => text + self.of(&["A ?? ^^one^^", "A ?? o", "C ?? x", "A ?? ^t.o$"]),
            _ => text + &self.expression(),
        }
    }

    fn conditions(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(6) {
            // Points for yes and no.
            let weights = ["1^0", "2^0", "-2^0", "5^0", "-1^0"];
            for _ in 0..1 + self.0.below(3) {
                let weight = self.of(&weights);
                let condition = self.expression();
                text += &format!("* {weight} {condition}\n");
            }
            if self.one_in(2) {
                text += self.of(&["* -1^0\n", "* 1^0\n"]);
            }
            return text;
        }
        for _ in 0..self.0.below(3) {
            text += &self.condition();
            text.push('\n');
        }
        text
    }

    fn folder(&mut self) -> String {
        self.of(&[
            "inbox/",
            "lists/rust/",
            "lists/.",
            "box",
            "/dev/null",
            "$MAILDIR/deep/er/",
            "a/ b/",
            "v-$A/",
            "\"with blank\"/",
        ])
        .to_owned()
    }

    fn recipe(&mut self, depth: usize) -> String {
        let mut flags = String::new();
        if self.one_in(3) {
            flags.push('c');
        }
        if self.one_in(4) {
            flags.push_str(self.of(&["A", "E", "E", "AE"]));
        }
        if self.one_in(5) {
            let match_from = self.of(&[
                "^List-Id:.*<\\/[^>.]*",
                "^Subject: \\/[a-z]+",
                "^X-Spam: \\/.*",
                "^Subject: \\[\\/[^]]+",
            ]);
            return format!(
                ":0 {}\n* {match_from}\nm-\"$MATCH\"/\n",
                flags.replace('c', "")
            );
        }
        let conditions = self.conditions();
        match self.0.below(8) {
            0 => {
                let to = self.of(&["ann@example.net", "a@example.net b@example.net", "$ADDRESS"]);
                format!(":0 {flags}\n{conditions}! {to}\n")
            }
            1 | 2 if depth < 3 => {
                let flags = flags.replace('c', "");
                let inner: String = (0..1 + self.0.below(3))
                    .map(|_| self.statement(depth + 1))
                    .collect();
                format!(":0 {flags}\n{conditions}{{\n{inner}}}\n")
            }
            3 => {
                let (one, two) = (self.folder(), self.folder());
                let flags = flags.replace('c', "") + "c";
                format!(":0 {flags}\n{conditions}{{\n:0 c\n{one}\n:0\n{two}\n}}\n")
            }
            _ => {
                let folder = self.folder();
                format!(":0 {flags}\n{conditions}{folder}\n")
            }
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.0.below(10) {
            0 => self
                .of(&["A=one\n", "A=two\n", "C=\"x y\"\n", "A=$C-z\n"])
                .to_owned(),
            1 => "# a comment\n".to_owned(),
            _ => self.recipe(depth),
        }
    }

    fn rcfile(&mut self) -> String {
        let mut rc = "VERBOSE=no\nA=one\nADDRESS=carol@example.org\n".to_owned();
        if self.one_in(5) {
            rc += "DEFAULT=rest/\n";
        }
        for _ in 0..1 + self.0.below(6) {
            rc += &self.statement(0);
        }
        rc
    }

    fn value(&mut self) -> String {
        let words = [
            "ann@example.org",
            "Bob <bob@example.net>",
            "[rust] Re: news",
            "Report 42",
            "green",
            "yes",
            "money",
            "Rust Users <rust.lists.org>",
            "un-read",
            "bulk",
            "x",
            "list",
            "a note",
            "urgent: spam",
            "$5 *",
            "]x +1",
            "not banned",
            "example.org",
        ];
        let count = 1 + self.0.below(3);
        let chosen: Vec<&str> = (0..count).map(|_| self.of(&words)).collect();
        chosen.join(" ")
    }

    fn message(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..2 + self.0.below(5) {
            let name = self.of(&NAMES);
            let name = if self.one_in(8) {
                format!("Resent-{name}")
            } else {
                name.to_owned()
            };
            let value = self.value();
            text += &format!("{name}: {value}\n");
        }
        text.push('\n');
        for _ in 0..self.0.below(4) {
            text += self.of(&[
                "hello Bob\n",
                "money\n",
                "own\n",
                "all is up.\n",
                "name\n",
                "abcd\n",
                "\n",
            ]);
        }
        text
    }
}

/// Translates, compiles, and compares if the translation says it is exact.
fn compare(rc: &str, messages: &[String], regexes: &Arc<RegexCache>) -> Option<usize> {
    let translation = Script::parse(rc.as_bytes()).to_sieve();
    let script = sieve::compile(
        translation.script.as_bytes(),
        &sieve::Capabilities::default(),
    )
    .unwrap_or_else(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{}\n{rc}\n-- is\n{}", faults.join("\n"), translation.script)
    });
    if !translation.is_exact() {
        return None;
    }
    for message in messages {
        let procmail = by_procmail(rc.as_bytes(), regexes, message.as_bytes()).unwrap();
        let sieve =
            by_sieve(&script, message.as_bytes()).unwrap_or_else(|error| BTreeSet::from([error]));
        assert_eq!(
            procmail, sieve,
            "(procmail, sieve)\n{rc}\n-- is\n{}\n-- on\n{message}",
            translation.script
        );
    }
    Some(messages.len())
}

#[test]
fn what_is_exact_does_the_same() {
    let regexes = Arc::default();
    let (mut exact, mut compared) = (0, 0);
    for seed in 0..700 {
        let mut writer = Sensible(Chance::new(seed));
        let rc = writer.rcfile();
        let messages: Vec<String> = (0..4).map(|_| writer.message()).collect();
        if let Some(count) = compare(&rc, &messages, &regexes) {
            exact += 1;
            compared += count;
        }
    }
    assert!(exact > 400, "{exact} of 700 are exact");
    assert!(compared > 1_600);
}

#[test]
fn anything_translates_to_a_script_that_compiles() {
    let regexes = Arc::default();
    let messages: Vec<String> = MESSAGES
        .iter()
        // Folded fields and such without a blank are what the translation does not vouch for.
        .filter(|message| !message.contains("\n ") && !message.contains("Subject:\n"))
        .map(|message| (*message).to_owned())
        .collect();
    for seed in 0..700 {
        let mut writer = Writer(Chance::new(seed));
        writer.message();
        let rc = writer.rcfile();
        let _ = compare(&rc, &messages, &regexes);
    }
}

/// What a line becomes, and how well it is translated.
fn translated(rc: &str) -> (String, Option<Fidelity>) {
    let translation = Script::parse(rc.as_bytes()).to_sieve();
    sieve::compile(
        translation.script.as_bytes(),
        &sieve::Capabilities::default(),
    )
    .unwrap();
    let worst = translation
        .remarks
        .iter()
        .map(|remark| remark.outcome)
        .max();
    let script = match translation.script.split_once("\n\n") {
        Some((require, rest)) if require.starts_with("require") => rest.to_owned(),
        _ => translation.script,
    };
    (script, worst)
}

#[test]
fn idioms() {
    for (rc, script, worst) in [
        (
            ":0\n* ^From.*toto\namigos/toto\n",
            "# Line 1 differs: without the colon procmail finds the envelope and fields with longer names, too.\nif header :contains \"From\" \"toto\" {\n    fileinto :create \"amigos/toto\";\n    stop;\n}\n",
            Some(Fidelity::Close),
        ),
        (
            ":0:\n* ^Subject:.*money\n* !^From:.*boss@example\\.org\nspam\n",
            "if allof(header :contains \"Subject\" \"money\", not header :contains \"From\" \"boss@example.org\") {\n    fileinto :create \"spam\";\n    stop;\n}\n",
            None,
        ),
        (
            ":0 Wh: msgid.lock\n| formail -D 8192 msgid.cache\n",
            "# Line 2 differs: the server remembers for how long a message was seen.\nif duplicate {\n    discard;\n    stop;\n}\n",
            Some(Fidelity::Close),
        ),
        (
            ":0 fhw\n* ^Subject: x\n| formail -I \"X-Folder: x\" -A'X-Loop: me'\n",
            "if header :matches \"Subject\" \"x*\" {\n    # Line 3 differs: the server decides which fields a script may change.\n    deleteheader \"X-Folder\";\n    addheader :last \"X-Folder\" \"x\";\n    addheader :last \"X-Loop\" \"me\";\n}\n",
            Some(Fidelity::Close),
        ),
        (
            ":0 Whc: vacation.lock\n* !^X-Loop: me\n| (formail -rA\"X-Loop: me\"; echo \"I am away\") | $SENDMAIL -t\n",
            "if not header :matches \"X-Loop\" \"me*\" {\n    # Line 3 differs: the server decides whom it answers, and how often.\n    vacation \"I am away\";\n}\n",
            Some(Fidelity::Close),
        ),
        (
            ":0\n* ^Subject: x\n| program\n",
            "if header :matches \"Subject\" \"x*\" {\n    # Not translated (line 3): it runs a program.\n    #   | program\n    keep;\n    stop;\n}\n",
            Some(Fidelity::Refused),
        ),
        (
            ":0\n* toto\nbox/\n",
            "# Not translated (line 1): it looks at the whole header, and Sieve at one field.\n#   :0\n#   * toto\n#   box/\n",
            Some(Fidelity::Refused),
        ),
        (
            ":0\n* > 10000\nbig/\n",
            "# Line 1 differs: sizes count the ends of lines as two octets, and no From line.\nif size :over 10000 {\n    fileinto :create \"big\";\n    stop;\n}\n",
            Some(Fidelity::Close),
        ),
        (
            ":0 c\n* ^List-Id:.*<\\/[^>]*\nlists/\"$MATCH\"/\n",
            "if header :regex \"List-Id\" \"^[^<]*<([^>]*)\" {\n    set \"MATCH\" \"${1}\";\n    fileinto :copy :create \"lists/${MATCH}\";\n}\n",
            None,
        ),
        (
            ":0\n* -1^0\n* 2^0 ^Subject:.*a\n* -1^0 ^Subject:.*b\nbox/\n",
            "if allof(header :contains \"Subject\" \"a\", not header :contains \"Subject\" \"b\") {\n    fileinto :create \"box\";\n    stop;\n}\n",
            None,
        ),
        (
            ":0\n* ^Subject:.*money\r\nspam\n",
            "if header :regex \"Subject\" \"money${hex:0d}\" {\n    fileinto :create \"spam\";\n    stop;\n}\n",
            None,
        ),
        (
            ":0\n* B ?? money\r\nspam\n",
            "# Not translated (line 1): it looks for a carriage return, and in Sieve every line of a body ends in one.\n#   :0\n#   * B ?? money\n#   spam\n",
            Some(Fidelity::Refused),
        ),
        (
            ":0\nspam\r\n",
            "# Not translated (line 2): it has a carriage return, as where the lines of an rcfile end in CRLF.\n#   spam\nkeep;\nstop;\n",
            Some(Fidelity::Refused),
        ),
        (
            ":0\n* ^Subject:.*\\${hex:41}\nspam\n",
            "if header :regex \"Subject\" \"\\\\$[{]hex:41[}]\" {\n    fileinto :create \"spam\";\n    stop;\n}\n",
            None,
        ),
    ] {
        let (found, fidelity) = translated(rc);
        assert_eq!(found, script, "{rc}");
        assert_eq!(fidelity, worst, "{rc}");
    }
}
