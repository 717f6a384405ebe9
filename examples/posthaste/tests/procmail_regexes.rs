//! Regular expressions made by chance, hundreds of conditions in an rcfile: what Debian's
//! procmail and this one log of each must be the same.
//!
//! Needs procmail; runs where POSTHASTE_INTEROP=1. POSTHASTE_SEED gives
//! another seed, POSTHASTE_PAIRS another number of rcfiles.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;
#[path = "procmail_regexes/expressions.rs"]
mod expressions;
#[allow(dead_code, reason = "rcfiles are of no use here")]
#[path = "../../../procmail-rules/tests/corpus/generator.rs"]
mod generator;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::differential::{assert_same, number};
use expressions::Condition;
use generator::{Chance, Writer};
use posthaste::procmail::{Account, Host, Policy};
use procmail_rules::{Config, Evaluator, RcFile, RegexCache};

const SEED: u64 = 1_000;
const PAIRS: u64 = 40;
/// Conditions in an rcfile.
const CONDITIONS: usize = 100;
const WORKERS: u64 = 4;

const ASSIGNMENTS: [&str; 5] = [
    "LOGFILE=log",
    "VERBOSE=on",
    "DEFAULT=/dev/null",
    "ORGMAIL=/dev/null",
    "SHELL=/bin/sh",
];

/// The lines logged about each condition, by its number.
type Blocks = BTreeMap<usize, Vec<String>>;

/// What is searched besides the message: `$A`, `$B`, `$C`.
struct Texts {
    message: String,
    variables: [String; 3],
}

fn rcfile(texts: &Texts, conditions: &[(usize, &Condition)]) -> String {
    let mut rc = String::new();
    for (name, value) in ["A", "B", "C"].iter().zip(&texts.variables) {
        let _ = writeln!(rc, "{name}=\"{value}\"");
    }
    for (number, condition) in conditions {
        let Condition { flags, line } = condition;
        let _ = writeln!(rc, "LOG=\"#{number}\n\"\n:0 {flags}\n* {line}\n{{ }}");
    }
    rc
}

/// Divides a log by the marks in it.
fn blocks(log: &str) -> Blocks {
    let mut blocks = Blocks::new();
    let mut current = None;
    for line in log.lines() {
        let mark = line.strip_prefix('#').and_then(|rest| rest.parse().ok());
        if let Some(number) = mark {
            current = Some(number);
            blocks.insert(number, Vec::new());
        } else if let Some(number) = current
            // Stamps, and what is about the marks.
            && !line.starts_with("procmail: [")
            && !line.starts_with("procmail: Assigning \"LOG=")
            && line != "\""
        {
            blocks.entry(number).or_default().push(line.to_owned());
        }
    }
    blocks
}

fn prepare(place: &Path, rc: &str) {
    let _ = fs::remove_dir_all(place);
    fs::create_dir_all(place).unwrap();
    fs::write(place.join("rc"), rc).unwrap();
}

fn log(place: &Path) -> Blocks {
    let log = fs::read(place.join("log")).unwrap_or_default();
    blocks(&String::from_utf8_lossy(&log))
}

/// What the real program logs, and whether it came to the end: some expressions have it compile
/// for ever, or crash.
fn theirs(place: &Path, rc: &str, message: &str) -> (Blocks, bool) {
    prepare(place, rc);
    fs::write(place.join("message"), message).unwrap();
    let status = Command::new("/bin/sh")
        // Processor time, which does not pass while other programs run.
        .args([
            "-c",
            "ulimit -t 2; ulimit -v 1000000; exec procmail \"$@\" <message",
        ])
        .arg("sh")
        .args(ASSIGNMENTS)
        .arg("./rc")
        .env_clear()
        .env("TZ", "UTC")
        .env("PATH", "/usr/bin:/bin")
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    (
        log(place),
        status.signal().is_none() && status.code() == Some(0),
    )
}

fn ours(place: &Path, rc: &str, message: &str, regexes: &Arc<RegexCache>) -> Blocks {
    prepare(place, rc);
    let account = Account::own().unwrap();
    let config = Config {
        logname: account.name,
        home: account.home,
        shell: account.shell,
        assignments: ASSIGNMENTS.map(|text| text.as_bytes().to_vec()).to_vec(),
        rcfiles: vec![RcFile::named(b"./rc".as_slice())],
        regexes: Arc::clone(regexes),
        ..Config::default()
    };
    let policy = Policy {
        programs: false,
        own_process: false,
    };
    let mut host = Host::new(policy, "localhost", "user", place, 0o077);
    let outcome = host.run(Evaluator::new(config, message.as_bytes()));
    assert_eq!(outcome.unwrap().exit, 0);
    log(place)
}

/// The differences in one rcfile, and how many conditions were compared.
fn compare(seed: u64, place: &Path, regexes: &Arc<RegexCache>) -> (usize, Vec<String>) {
    let mut writer = Writer(Chance::new(seed));
    let texts = Texts {
        message: expressions::message(&mut writer),
        variables: [(); 3].map(|()| expressions::text(&mut writer)),
    };
    let conditions: Vec<Condition> = (0..CONDITIONS)
        .map(|_| expressions::condition(&mut writer))
        .collect();
    let numbered: Vec<(usize, &Condition)> = conditions.iter().enumerate().collect();
    // What breaks the real program is left out, and the rest runs anew: an rcfile goes on with
    // the MATCH it had.
    let mut left = numbered;
    let (rc, their) = loop {
        let rc = rcfile(&texts, &left);
        let (blocks, whole) = theirs(place, &rc, &texts.message);
        if whole {
            break (rc, blocks);
        }
        let breaker = blocks.keys().last().copied();
        left.retain(|(number, _)| Some(*number) != breaker);
        if breaker.is_none() || left.is_empty() {
            return (0, Vec::new());
        }
    };
    let our = ours(place, &rc, &texts.message, regexes);
    let mut differing = Vec::new();
    for (number, condition) in &left {
        if their.get(number) == our.get(number) {
            continue;
        }
        // What broke the real program's memory before must not matter.
        let rc = rcfile(&texts, &[(*number, condition)]);
        let (their, whole) = theirs(place, &rc, &texts.message);
        let our = ours(place, &rc, &texts.message, regexes);
        // What comes after the condition is not about it.
        let told = |blocks: &Blocks| {
            let lines = blocks.get(number).into_iter().flatten();
            let about = |line: &&String| !line.contains("\"LASTFOLDER=");
            lines.take_while(about).cloned().collect::<Vec<_>>()
        };
        let (their, our) = (told(&their), told(&our));
        if whole && their != our {
            let Condition { flags, line } = condition;
            let Texts { message, variables } = &texts;
            differing.push(format!(
                "seed {seed}: :0 {flags} * {line:?}\n{message:?}\n{variables:?}\n-- theirs {their:?}\n-- ours   {our:?}"
            ));
        }
    }
    (left.len(), differing)
}

#[test]
fn the_same_is_found_by_any_expression() {
    if !common::interop() {
        return;
    }
    let first = number("POSTHASTE_SEED", SEED);
    let pairs = number("POSTHASTE_PAIRS", PAIRS);
    let folder = tempfile::tempdir().unwrap();
    let begun = AtomicU64::new(0);
    let regexes = Arc::new(RegexCache::new());
    let work = |worker: u64| {
        let place = folder.path().join(worker.to_string());
        let (mut compared, mut differing) = (0, Vec::new());
        loop {
            let pair = begun.fetch_add(1, Ordering::Relaxed);
            if pair >= pairs {
                return (compared, differing);
            }
            let (count, told) = compare(first + pair, &place, &regexes);
            compared += count;
            differing.extend(told);
        }
    };
    let work = &work;
    let results: Vec<(usize, Vec<String>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|n| scope.spawn(move || work(n))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let compared: usize = results.iter().map(|(compared, _)| compared).sum();
    let differing: Vec<String> = results.into_iter().flat_map(|(_, told)| told).collect();
    assert_same(&differing, u64::try_from(compared).unwrap());
    let wanted = usize::try_from(pairs).unwrap() * CONDITIONS;
    assert!(compared * 10 > wanted * 9, "only {compared} were compared");
}
