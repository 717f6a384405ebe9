//! The same scripts and messages here and in Pigeonhole's `sieve-test`: the actions must be the same.
//!
//! What Pigeonhole did is kept in `corpus/`, a file for each area, so that it is compared with wherever the tests run.
//! Where `POSTHASTE_INTEROP=1` is set, Pigeonhole itself is asked again; then a missing program is a failure. Where
//! `POSTHASTE_RECORD=1` is set as well, its answers are written to the corpus, and which release gave them. Another
//! release may say it in other words: what differs then is told, and is no failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs
)]

mod areas;
mod base;
mod dice;
mod evaluate;
mod mail;
mod more;
mod peer;

use std::fmt::Write as _;
use std::path::PathBuf;

use areas::{AREAS, Area};
use dice::Dice;

/// A script, a message and what came of them.
struct Pair {
    seed: u64,
    script: String,
    message: String,
    actions: Vec<String>,
}

fn generate(area: &Area, seed: u64) -> Pair {
    let mut dice = Dice::new(seed);
    let body = (area.script)(&mut dice);
    let mut requires = area.requires.to_owned();
    for always in ["fileinto", "copy"] {
        if !area.stored && !requires.contains(&format!("\"{always}\"")) {
            requires.push_str(&format!(", \"{always}\""));
        }
    }
    Pair {
        seed,
        script: format!("require [{requires}];\n{body}"),
        message: (area.message)(&mut dice),
        actions: Vec::new(),
    }
}

fn path(area: &Area) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pigeonhole/corpus")
        .join(format!("{}.txt", area.name))
}

/// Where the release stands that gave the recorded answers.
fn release_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pigeonhole/corpus/release")
}

fn write(pairs: &[Pair]) -> String {
    let mut out = String::new();
    for pair in pairs {
        let message = pair.message.replace("\r\n", "\n");
        write!(
            out,
            "==== seed {}\n{}\n---- message\n{}\n---- actions\n",
            pair.seed, pair.script, message
        )
        .unwrap();
        pair.actions
            .iter()
            .for_each(|line| writeln!(out, "{line}").unwrap());
    }
    out
}

fn read(text: &str) -> Vec<Pair> {
    let pairs = text.split("==== seed ").skip(1);
    pairs
        .map(|text| {
            let (seed, text) = text.split_once('\n').unwrap();
            let (script, text) = text.split_once("\n---- message\n").unwrap();
            let (message, actions) = text.split_once("\n---- actions\n").unwrap();
            Pair {
                seed: seed.parse().unwrap(),
                script: script.to_owned(),
                message: message.replace('\n', "\r\n"),
                actions: actions.lines().map(str::to_owned).collect(),
            }
        })
        .collect()
}

fn difference(area: &Area, pair: &Pair, theirs: &[String]) -> Option<String> {
    let ours = evaluate::actions(area, &pair.script, &pair.message);
    if ours == theirs {
        return None;
    }
    let extra = |a: &[String], b: &[String]| {
        let list: Vec<String> = a.iter().filter(|line| !b.contains(line)).cloned().collect();
        list.join("\n    ")
    };
    Some(format!(
        "{} seed {}\n  only ours:\n    {}\n  only theirs:\n    {}\n{}\n{}",
        area.name,
        pair.seed,
        extra(&ours, theirs),
        extra(theirs, &ours),
        pair.script,
        pair.message
    ))
}

fn none(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} differ\n{}",
        differences.len(),
        differences.join("\n\n")
    );
}

fn set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

#[test]
fn recorded_actions_are_the_same() {
    let mut differences = Vec::new();
    let mut count = 0;
    for area in AREAS {
        let pairs = read(&std::fs::read_to_string(path(area)).unwrap());
        count += pairs.len();
        differences.extend(
            pairs
                .iter()
                .filter_map(|pair| difference(area, pair, &pair.actions)),
        );
    }
    none(&differences);
    assert!(count >= 600, "only {count} pairs are recorded");
}

#[test]
fn actions_are_the_same() {
    if !set("POSTHASTE_INTEROP") {
        return;
    }
    let peer = peer::Peer::new();
    let only = std::env::var("POSTHASTE_AREA").ok();
    let mut differences = Vec::new();
    let release = peer::release();
    if set("POSTHASTE_RECORD") {
        std::fs::write(release_path(), &release).unwrap();
    }
    let is_recorded = std::fs::read_to_string(release_path()).unwrap() == release;
    for area in AREAS {
        if only.as_deref().is_some_and(|only| only != area.name) {
            continue;
        }
        let mut pairs = Vec::new();
        for seed in 1..=area.seeds {
            let mut pair = generate(area, seed);
            pair.actions = peer.actions(area, &pair.script, &pair.message);
            differences.extend(difference(area, &pair, &pair.actions));
            pairs.push(pair);
        }
        if set("POSTHASTE_RECORD") {
            std::fs::write(path(area), write(&pairs)).unwrap();
        } else if is_recorded {
            let kept = std::fs::read_to_string(path(area)).unwrap();
            assert_eq!(kept, write(&pairs), "{} is recorded otherwise", area.name);
        }
    }
    if is_recorded {
        none(&differences);
    } else {
        eprintln!("{release}: {} differ", differences.len());
        eprintln!("{}", differences.join("\n\n"));
    }
}
