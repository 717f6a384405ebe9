//! What an evaluation costs: memory asked for, pages of the message touched.
//!
//! One test alone, since all of the process is measured.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::alloc::System;
use std::sync::Arc;

use sieve::{Answer, Capabilities, Config, Envelope, Evaluation, Progress, Script};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MESSAGE: &[u8] =
    b"From: Ann Example <ann@example.org>\r\nTo: bob@example.com\r\nSubject: lunch today?\r\n\
    List-Id: <users.example.org>\r\n\r\nWhere?\r\n";

fn config() -> Arc<Config> {
    Arc::new(Config::new(
        "2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap(),
    ))
}

fn run(script: &Script, message: &[u8], config: &Arc<Config>) -> usize {
    let envelope = Envelope::new("ann@example.org", "bob@example.com");
    let mut evaluation = Evaluation::new(script, message, envelope, Arc::clone(config));
    loop {
        match evaluation.step() {
            Progress::Ask(_) => evaluation.answer(Answer::Bool(false)).unwrap(),
            Progress::Done(outcome) => return outcome.actions.len(),
        }
    }
}

/// Calls of the allocator in one evaluation of a script with this test so many times.
fn allocations(test: &str, times: usize) -> usize {
    let rules = format!("if {test} {{ discard; }}\n").repeat(times);
    let source = format!(
        "require [\"envelope\", \"subaddress\", \"relational\", \"comparator-i;ascii-numeric\", \"environment\"];\n{rules}"
    );
    let script = sieve::compile(&source, &Capabilities::all()).unwrap();
    let config = config();
    assert_eq!(run(&script, MESSAGE, &config), 1, "{test} matches");
    let region = Region::new(ALLOCATOR);
    run(&script, MESSAGE, &config);
    let change = region.change();
    change.allocations + change.reallocations
}

/// Pages that this process touched first, so far.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn costs() {
    for test in [
        "header :is \"subject\" \"dinner\"",
        "header :contains [\"subject\", \"from\"] [\"dinner\", \"carol\"]",
        "header :matches \"subject\" \"*lunch*tomorrow*\"",
        "header :matches \"subject\" \"?unch\"",
        "header :contains \"x-none\" \"\"",
        "address :is \"from\" \"carol@example.org\"",
        "address :domain :matches [\"from\", \"to\"] \"*.example.net\"",
        "address :user :is \"to\" \"carol\"",
        "exists [\"subject\", \"x-none\"]",
        "size :over 1M",
        "envelope :is \"from\" \"carol@example.org\"",
        "envelope :domain :contains \"to\" \"example.net\"",
        "not anyof (header :contains \"subject\" \"lunch\", exists \"x-none\")",
        "allof (true, header :count \"gt\" :comparator \"i;ascii-numeric\" \"x-none\" \"3\")",
    ] {
        let (one, many) = (allocations(test, 1), allocations(test, 21));
        assert_eq!(many, one, "{test}");
    }

    // A large message, of pages that are not there until somebody looks at them.
    let mut large = vec![0_u8; 128 << 20];
    large[..MESSAGE.len()].copy_from_slice(MESSAGE);
    let header = sieve::compile(
        "require \"fileinto\"; if anyof (header :contains \"subject\" \"x\", size :over 1G, \
         address \"from\" \"x@example.org\", exists \"x-none\") { fileinto \"x\"; }",
        &Capabilities::all(),
    )
    .unwrap();
    let body = sieve::compile(
        "require \"body\"; if body :raw :contains \"not in there\" { discard; }",
        &Capabilities::all(),
    )
    .unwrap();
    let config = config();
    run(&header, MESSAGE, &config);
    run(&body, MESSAGE, &config);
    let before = faults();
    run(&header, &large, &config);
    let by_header = faults() - before;
    let before = faults();
    run(&body, &large, &config);
    let by_body = faults() - before;
    assert!(by_header < 16, "{by_header} pages were touched");
    // Even where pages are of 2 MiB each.
    assert!(by_body >= 48, "only {by_body} pages were touched");
}
