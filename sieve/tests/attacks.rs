//! Scripts and messages that mean to take memory or time. One test alone, since all of the process is measured.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::alloc::System;
use std::sync::Arc;

use sieve::{
    Action, Answer, Capabilities, Config, Envelope, Evaluation, Outcome, Progress, Question,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs a script; it includes itself where it includes.
fn run(source: &str, message: &[u8], octets: u64) -> Outcome {
    let script =
        sieve::compile(source, &Capabilities::all()).unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut config = Config::new("2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap());
    config.limits.octets = octets;
    let envelope = Envelope::new("ann@example.org", "bob@example.com");
    let mut evaluation = Evaluation::new(&script, message, envelope, Arc::new(config));
    loop {
        match evaluation.step() {
            Progress::Ask(Question::Script { .. }) => {
                evaluation
                    .answer(Answer::Script(Some(script.clone())))
                    .unwrap();
            }
            Progress::Ask(Question::Metadata { .. }) => {
                evaluation
                    .answer(Answer::Text(Some(String::new())))
                    .unwrap();
            }
            Progress::Ask(Question::ListContains { .. }) => {
                evaluation.answer(Answer::Text(None)).unwrap()
            }
            Progress::Ask(_) => evaluation.answer(Answer::Bool(true)).unwrap(),
            Progress::Done(outcome) => return outcome,
        }
    }
}

/// A variable at its limit, of `word` again and again.
fn full(word: &str) -> String {
    format!(
        "require [\"variables\", \"imap4flags\", \"mailbox\", \"regex\", \"body\", \"mboxmetadata\", \"extlists\", \
         \"foreverypart\", \"mime\", \"extracttext\", \"vacation\", \"editheader\", \"include\", \"date\", \"index\"];\n\
         set \"a\" \"{word}\";\n{}",
        "set \"a\" \"${a}${a}\";\n".repeat(16)
    )
}

fn list(item: &str, times: usize) -> String {
    format!("[{}]", vec![format!("\"{item}\""); times].join(","))
}

#[test]
fn none_takes_more_than_it_may() {
    let small = b"From: ann@example.org\r\nTo: bob@example.com\r\n\r\nHi.\r\n".as_slice();
    let body = [small, &b"a line of text\r\n".repeat(1 << 14)].concat();
    let fields = [&b"a:\n".repeat(1 << 19), small].concat();
    let address = [
        b"To: ".as_slice(),
        &b"x@example.org, ".repeat(1 << 16),
        b"\r\n\r\n",
    ]
    .concat();
    let parts = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
        format!(
            "--b\r\nContent-Type: text/plain\r\n\r\n{}\r\n",
            "x".repeat(200)
        )
        .repeat(1000)
    )
    .into_bytes();
    let flags: String = (0..12_000).map(|n| format!("f{n:x} ")).collect();
    let head = full("ab");
    let cases: Vec<(&str, String, &[u8])> = vec![
        ("strings set", format!("{head}{}", "set \"b\" \"${a}\";\n".repeat(2000)), small),
        ("a list of strings", format!("{head}if mailboxexists {} {{ stop; }}", list("${a}", 2000)), small),
        ("a list of keys", format!("{head}if header \"from\" {} {{ stop; }}", list("${a}", 2000)), small),
        ("expressions of variables", format!("{head}set \"r\" \"(ab|c[d-g])*\";\n{}if header :regex \"from\" {} {{ stop; }}", "set \"r\" \"${r}${r}\";\n".repeat(8), list("${r}", 300)), small),
        ("values for a list", format!("{head}if string :list {} \"x\" {{ stop; }}", list("${a}", 2000)), small),
        ("answers", format!("{head}if metadataexists \"INBOX\" {} {{ stop; }}", list("/private/x", 2000)), small),
        ("flags", format!("{head}set \"f\" \"{flags}\";\n{}", "addflag \"g\" \"${f}\";\n".repeat(200)), small),
        ("flags removed", format!("{head}setflag \"{flags}\";\n{}", "removeflag \"x y z\";\n".repeat(1000)), small),
        ("bodies", format!("{head}{}", "if body :raw :contains \"no\" { stop; }\n".repeat(2000)), &body),
        ("bodies, regex", format!("{head}{}", "if body :regex \"n(o|x)+\" { stop; }\n".repeat(500)), &body),
        ("many keys", format!("{head}if body :raw :contains {} {{ stop; }}", list("no", 2000)), &body),
        ("short fields", format!("{head}{}", "if exists \"x\" { stop; }\n".repeat(2000)), &fields),
        ("short fields, many names", format!("{head}if header {} \"b\" {{ stop; }}", list("x", 2000)), &fields),
        ("fields by index", format!("{head}if header :index 1 {} \"b\" {{ stop; }}", list("x", 2000)), &fields),
        ("answers to nobody", format!("{head}{}", "vacation :addresses \"x@y.z\" \"Away.\";\n".repeat(2000)), &fields),
        ("addresses", format!("{head}{}", "if address \"to\" \"y@z\" { stop; }\n".repeat(2000)), &address),
        (
            "headers of parts",
            format!(
                "{head}{}",
                "if header :mime :anychild :param [\"p\", \"q\"] \"content-type\" \"x\" { stop; }\n".repeat(2000)
            ),
            &parts,
        ),
        (
            "texts of parts",
            format!("{head}foreverypart {{ {} }}", "extracttext \"b\";\n".repeat(90)),
            &parts,
        ),
        ("inclusions", format!("{head}{}include \"me\";\n", "set \"b\" \"${a}${a}\";\n".repeat(500)), small),
    ];
    for (what, script, message) in cases {
        let region = Region::new(ALLOCATOR);
        let outcome = run(&script, message, 8 << 20);
        let change = region.change();
        let error = outcome
            .error
            .map(|error| error.to_string())
            .unwrap_or_default();
        let told = [
            "more than 8388608 octets",
            "more than 16777216 octets",
            "too many steps",
            "included",
        ];
        assert!(
            told.iter().any(|told| error.contains(told)),
            "{what}: {error:?}"
        );
        assert!(matches!(outcome.actions[..], [Action::Keep(_)]), "{what}");
        // Copies that were made and given back again count too.
        let most = 1 << 29;
        assert!(
            change.bytes_allocated < most,
            "{what}: {}",
            change.bytes_allocated
        );
    }
}
