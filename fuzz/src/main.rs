//! Runs a fuzz target on changed inputs of its corpus, with no engine but a random one.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use posthaste_fuzz::{Accidents, TARGETS, corpus, target};

const USAGE: &str = "usage: posthaste-fuzz TARGET [SECONDS [SEED]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| match arguments.get(at) {
        Some(text) => text.parse().ok(),
        None => Some(default),
    };
    let name = arguments.first().map_or("", String::as_str);
    let (Some(target), Some(seconds), Some(seed)) = (target(name), number(1, 60), number(2, 1))
    else {
        eprintln!("{USAGE}\ntargets:");
        for (name, _) in TARGETS {
            eprintln!("  {name}");
        }
        return ExitCode::from(2);
    };
    let corpus = match corpus(name) {
        Ok(corpus) => corpus,
        Err(error) => {
            eprintln!("corpus of {name}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut accidents = Accidents::new(seed);
    let start = Instant::now();
    let mut tried = 0_u64;
    while start.elapsed() < Duration::from_secs(seconds) {
        let chosen = accidents.below(corpus.len());
        let Some(mut input) = corpus.get(chosen).cloned() else {
            break;
        };
        for _ in 0..=accidents.below(6) {
            input = accidents.change(&input, &corpus);
        }
        tried += 1;
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            let path = format!("{name}-{seed}-{tried}");
            match std::fs::write(&path, &input) {
                Ok(()) => eprintln!("{name}: input {tried} fails; kept in {path}"),
                Err(error) => eprintln!("{name}: input {tried} fails; {path}: {error}"),
            }
            return ExitCode::FAILURE;
        }
    }
    println!("{name}: {tried} inputs in {seconds} s, seed {seed}, none fails");
    ExitCode::SUCCESS
}
