//! Compiling and running the same scripts here and in the sieve-rs crate, in one run.
//!
//! `cargo run --release` in this folder; `compile` or `pigeonhole` behind it measures that alone. Each figure is the median of many runs
//! by turns, in nanoseconds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

#[path = "../../src/sieve_cases.rs"]
mod cases;
mod pigeonhole;

use cases::{SIX_RULES, SMALL, header_rules, message};

/// How many calls take a few milliseconds.
fn batch_of(call: &mut impl FnMut()) -> u32 {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed().as_millis() < 50 {
        call();
        calls += 1;
    }
    (calls / 20).max(1)
}

/// The time of one call, of so many.
fn time_of(call: &mut impl FnMut(), calls: u32) -> u128 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed().as_nanos() / u128::from(calls)
}

/// The median times of one call of each. Their batches take turns: what else runs on the machine, and how fast its
/// processor runs, is then the same for both.
fn medians(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (u128, u128) {
    let (own, other) = (batch_of(&mut ours), batch_of(&mut theirs));
    let (mut mine, mut yours): (Vec<u128>, Vec<u128>) = (0..101)
        .map(|_| (time_of(&mut ours, own), time_of(&mut theirs, other)))
        .unzip();
    mine.sort_unstable();
    yours.sort_unstable();
    (mine[50], yours[50])
}

fn run_ours(script: &ours::Script, message: &[u8], config: &Arc<ours::Config>) -> usize {
    let envelope = ours::Envelope::new("ann@example.org", "bob@example.com");
    let mut evaluation = ours::Evaluation::new(script, message, envelope, Arc::clone(config));
    loop {
        match evaluation.step() {
            ours::Progress::Ask(_) => evaluation.answer(ours::Answer::Bool(false)).unwrap(),
            ours::Progress::Done(outcome) => return outcome.actions.len(),
        }
    }
}

fn run_theirs(runtime: &sieve::Runtime, script: &Arc<sieve::Sieve>, message: &[u8]) -> usize {
    let mut instance = runtime.filter(message);
    let mut input = sieve::Input::script("script", Arc::clone(script));
    let mut events = 0;
    while let Some(event) = instance.run(input) {
        events += usize::from(event.is_ok());
        input = true.into();
    }
    events
}

fn main() {
    let config = Arc::new(ours::Config::new(
        "2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap(),
    ));
    let compiler = ours::Compiler::new();
    let theirs = sieve::Compiler::new();
    let runtime = sieve::Runtime::new();
    let row =
        |what: &str, (ours, theirs): (u128, u128)| println!("{what:<32} {ours:>10} {theirs:>10}");
    println!("{:<32} {:>10} {:>10}", "", "ours", "sieve-rs");
    let only = std::env::args().nth(1);
    if only.as_deref() == Some("pigeonhole") {
        return pigeonhole::compare(&compiler, &config);
    }
    row(
        "compile 6 rules",
        medians(
            || drop(black_box(compiler.compile(black_box(SIX_RULES)).unwrap())),
            || {
                drop(black_box(
                    theirs.compile(black_box(SIX_RULES.as_bytes())).unwrap(),
                ))
            },
        ),
    );
    if only.as_deref() == Some("compile") {
        return;
    }
    let fifty = header_rules(50);
    let six_ours = compiler.compile(SIX_RULES).unwrap();
    let six_theirs = Arc::new(theirs.compile(SIX_RULES.as_bytes()).unwrap());
    let fifty_ours = compiler.compile(&fifty).unwrap();
    let fifty_theirs = Arc::new(theirs.compile(fifty.as_bytes()).unwrap());
    for (what, ours, theirs, message) in [
        (
            "run 6 rules, 100 octets",
            &six_ours,
            &six_theirs,
            SMALL.to_vec(),
        ),
        (
            "run 6 rules, 20 kB",
            &six_ours,
            &six_theirs,
            message(20 << 10),
        ),
        (
            "run 50 rules, 4 KiB",
            &fifty_ours,
            &fifty_theirs,
            message(4 << 10),
        ),
        (
            "run 6 rules, 25 MiB",
            &six_ours,
            &six_theirs,
            message(25 << 20),
        ),
    ] {
        let times = medians(
            || {
                black_box(run_ours(ours, black_box(&message), &config));
            },
            || {
                black_box(run_theirs(&runtime, theirs, black_box(&message)));
            },
        );
        row(what, times);
    }
    pigeonhole::compare(&compiler, &config);
}
