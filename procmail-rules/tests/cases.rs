//! Every verified rcfile case and regex vector, through the library.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod host;
mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use host::Host;
use procmail_rules::{Config, Evaluator, RcFile, RegexCache};
use serde::Deserialize;
use support::{Case, Ended};

/// Compiled once for all cases.
static REGEXES: LazyLock<Arc<RegexCache>> = LazyLock::new(Arc::default);

#[derive(Deserialize)]
struct Vector {
    re: String,
    text: String,
    case: String,
    #[serde(rename = "match")]
    matches: bool,
    #[serde(rename = "MATCH")]
    matched: Option<String>,
    count: i64,
}

#[derive(Deserialize)]
struct Vectors {
    vector: Vec<Vector>,
}

fn vectors() -> Vec<Vector> {
    let text = fs::read_to_string(support::path_of("regex-vectors")).unwrap();
    toml::from_str::<Vectors>(&text).unwrap().vector
}

fn config(case: &Case, directory: &str, verbose: bool) -> Config {
    let mail_filter = case.flags.iter().any(|flag| flag == "-m");
    let mut arguments: Vec<Vec<u8>> = case
        .rcargs
        .iter()
        .map(|arg| arg.clone().into_bytes())
        .collect();
    let mut flags = case.flags.iter();
    while let Some(flag) = flags.next() {
        if flag == "-a" {
            arguments.push(flags.next().unwrap().clone().into_bytes());
        }
    }
    let mut assignments: Vec<String> = support::BASE
        .iter()
        .map(|text| (*text).to_owned())
        .collect();
    assignments.push(format!(
        "PATH={directory}/.bin:/usr/local/bin:/usr/bin:/bin"
    ));
    assignments.extend(
        case.assign
            .iter()
            .map(|text| text.replace("@HOST@", &support::host())),
    );
    if verbose {
        assignments.push("VERBOSE=on".to_owned());
    }
    let mut inherited = vec![(b"TZ".to_vec(), b"UTC".to_vec())];
    if case.flags.iter().any(|flag| flag == "-p") {
        inherited.extend(
            case.env
                .iter()
                .map(|(n, v)| (n.clone().into_bytes(), v.clone().into_bytes())),
        );
    }
    Config {
        host: support::host().into_bytes(),
        system_mailbox: (!mail_filter).then(|| b"/var/mail/nobody".to_vec()),
        arguments,
        pid: std::process::id(),
        inherited,
        assignments: assignments.into_iter().map(String::into_bytes).collect(),
        rcfiles: case
            .rcfiles
            .iter()
            .map(|name| RcFile::named(name.as_str()))
            .collect(),
        mail_filter,
        regexes: Arc::clone(&REGEXES),
        requeue: case.flags.iter().any(|flag| flag == "-t"),
        ignore_content_length: case.flags.iter().any(|flag| flag == "-Y"),
        ..Config::default()
    }
}

fn run(case: &Case, directory: &Path, message: &[u8], verbose: bool) -> Result<Ended, String> {
    let mut host = Host::new(directory, &support::host());
    let evaluator = Evaluator::new(config(case, directory.to_str().unwrap(), verbose), message);
    let outcome = host.run(evaluator).map_err(|error| error.to_string())?;
    Ok(Ended {
        pid: std::process::id(),
        exit: outcome.exit,
        stdout: host.stdout,
        stderr: host.stderr,
        variables: outcome
            .environment
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect(),
    })
}

macro_rules! topics {
    ($($topic:ident)*) => {
        $(
            #[test]
            fn $topic() {
                support::check(stringify!($topic), &run);
            }
        )*
    };
}

topics! {
    lexical substitution backquote header conditions regex scoring chaining blocks folders programs
    locks ending include log arguments overflow practical
    words recipes prefixes points destinations settings room
}

#[test]
fn selection() {
    support::check("match", &run);
}

#[test]
fn regex_vectors() {
    let vectors = vectors();
    assert!(vectors.len() >= 300);
    let mut wrong = Vec::new();
    for vector in &vectors {
        let flag = if vector.case == "D" { " D" } else { "" };
        let rc = format!(
            "T='{}'\n:0{flag}\n* T ?? \\{}\n{{ FOUND=1 M=$MATCH }}\nMATCH\n:0{flag}\n* 1^1 T ?? \\{}\n{{ }}\nCOUNT=$=\n",
            vector.text, vector.re, vector.re,
        );
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            rcfiles: vec![RcFile::text("rc", rc)],
            assignments: vec![b"LINEBUF=100000".to_vec(), b"DEFAULT=/dev/null".to_vec()],
            ..Config::default()
        };
        let outcome = Host::new(directory.path(), "localhost")
            .run(Evaluator::new(config, b"To: x\n\nb\n"))
            .unwrap();
        let value = |name: &str| outcome.environment.get(name.as_bytes()).map(<[u8]>::to_vec);
        let found = value("FOUND").is_some();
        let matched = value("M").filter(|_| vector.matched.is_some());
        let count = value("COUNT").unwrap();
        if found != vector.matches
            || matched != vector.matched.clone().map(String::into_bytes)
            || count != vector.count.to_string().into_bytes()
        {
            wrong.push(format!(
                "{:?} {:?} on {:?}: {found} {:?} {:?}, not {} {:?} {}",
                vector.case,
                vector.re,
                vector.text,
                matched.map(|text| String::from_utf8_lossy(&text).into_owned()),
                String::from_utf8_lossy(&count),
                vector.matches,
                vector.matched,
                vector.count
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
