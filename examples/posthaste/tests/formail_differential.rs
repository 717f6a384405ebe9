//! Messages and options made by chance, given to Debian's formail and to this
//! one: the same must come of them.
//!
//! Needs formail; runs where POSTHASTE_INTEROP=1. POSTHASTE_SEED gives
//! another seed, POSTHASTE_PAIRS another number of pairs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;
#[allow(dead_code, reason = "rcfiles are of no use here")]
#[path = "../../../procmail-rules/tests/corpus/generator.rs"]
mod generator;

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use common::differential::{assert_same, number};
use generator::{Chance, Writer};
use regex_automata::meta::Regex;

const PAIRS: u64 = 800;

/// Values for the options that take a field.
const FIELDS: [&str; 16] = [
    "Subject:",
    "Subject: new",
    "X-New: v",
    "X-N:",
    "From:",
    "Subj",
    "To:",
    "From: f@g",
    "X-Empty:",
    "Reply-To:",
    "Message-ID:",
    "X-Loop: me",
    "X-Loop:",
    "subject:",
    "Old-Subject:",
    "X-Y:z",
];

/// What stands in front of a message besides what the generator makes.
const MORE: [&str; 12] = [
    "From a@b Mon Jan  1 00:00:00 2024\n>From c\n",
    "Reply-To: r@x\n",
    "Return-Path: <rp@x.org>\n",
    "Sender: s@x\n",
    "Message-ID: <1@x>\n",
    "References: <0@x>\n",
    "X-Loop: me\n",
    "X-Empty:  \n",
    "From: (c) <x@y> (z)\n",
    "From: \"q, r\" <s@t>\n",
    "Errors-To: e@x\n",
    "Resent-From: rf@x\n",
];

struct Pair {
    options: Vec<String>,
    message: String,
}

fn pair(seed: u64) -> Pair {
    let mut writer = Writer(Chance::new(seed));
    let mut message = String::new();
    for _ in 0..writer.0.below(4) {
        message.push_str(writer.of(&MORE));
    }
    message.push_str(&writer.message());
    let mut options = Vec::new();
    let reply = writer.0.below(3) == 0;
    if reply {
        options.push("-r".to_owned());
        for also in ["-t", "-k"] {
            if writer.0.below(2) == 0 {
                options.push(also.to_owned());
            }
        }
    }
    for _ in 0..writer.0.below(4) {
        let letters: &[&str] = if reply {
            &[
                "-a", "-A", "-i", "-I", "-z", "-c", "-f", "-b", "-p", "-Y", "-R",
            ]
        } else {
            &[
                "-x", "-X", "-a", "-A", "-i", "-I", "-u", "-U", "-R", "-z", "-c", "-f", "-b", "-p",
                "-Y",
            ]
        };
        let letter = writer.of(letters);
        options.push(letter.to_owned());
        match letter {
            "-a" | "-A" | "-u" | "-U" => {
                let field = writer.of(&FIELDS);
                let field = if field.contains(':') { field } else { "X-Q: 1" };
                options.push(field.to_owned());
            }
            "-x" | "-X" | "-i" | "-I" => options.push(writer.of(&FIELDS).to_owned()),
            "-R" => {
                options.push(writer.of(&["Subject:", "To:", "X-N:", "From:"]).to_owned());
                options.push(writer.of(&["X-Was:", "Subject:", "Q:"]).to_owned());
            }
            "-p" => options.push(writer.of(&["> ", "|"]).to_owned()),
            _ => {}
        }
    }
    Pair { options, message }
}

/// Its exit code and what it wrote; nothing if it crashed or hung.
fn run(program: &str, name: &str, pair: &Pair, unique: &Regex) -> Option<(i32, String)> {
    let mut child = Command::new(program)
        .arg0(name)
        .args(&pair.options)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(pair.message.as_bytes());
    let output = child.wait_with_output().unwrap();
    if output.status.signal().is_some() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut plain = String::new();
    let mut at = 0;
    for found in unique.find_iter(text.as_bytes()) {
        plain.push_str(&text[at..found.start()]);
        plain.push_str("UNIQUE");
        at = found.end();
    }
    Some((output.status.code().unwrap(), plain + &text[at..]))
}

#[test]
fn the_same_comes_of_any_options() {
    if !common::interop() {
        return;
    }
    // Dates, and names of messages that are made up.
    let unique =
        Regex::new("[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} 20[0-9]{2}|<[-A-Za-z0-9_]+\\.[A-Z]+\\.[-A-Za-z0-9_.]+@[^>]+>")
            .unwrap();
    let first = number("POSTHASTE_SEED", 1);
    let pairs = number("POSTHASTE_PAIRS", PAIRS);
    let mut differing = Vec::new();
    let mut compared = 0;
    for seed in first..first + pairs {
        let pair = pair(seed);
        let Some(theirs) = run("/usr/bin/formail", "formail", &pair, &unique) else {
            continue;
        };
        compared += 1;
        let ours = run(env!("CARGO_BIN_EXE_posthaste"), "formail", &pair, &unique);
        if ours.as_ref() != Some(&theirs) {
            let Pair { options, message } = &pair;
            differing.push(format!(
                "seed {seed}: {options:?}\n{message:?}\n-- theirs {theirs:?}\n-- ours   {ours:?}"
            ));
        }
    }
    assert_same(&differing, compared);
    assert!(compared > pairs / 2, "only {compared} were compared");
}
