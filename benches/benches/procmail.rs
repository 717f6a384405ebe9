//! procmail-rules: fifty recipes beside Debian's procmail, a large body, and conditions made to be
//! slow.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use procmail_rules::{Config, Effect, Evaluator, FolderKind, RcFile, RegexCache, Reply, Step};

fn run(rc: &Arc<[u8]>, regexes: &Arc<RegexCache>, message: &[u8]) -> u8 {
    let config = Config {
        rcfiles: vec![RcFile {
            name: b"rc".to_vec(),
            text: Some(Arc::clone(rc)),
        }],
        regexes: Arc::clone(regexes),
        ..Config::default()
    };
    let mut run = Evaluator::new(config, message);
    loop {
        let reply = match run.step().unwrap() {
            Step::Ask(Effect::Folder { wanted, .. }) => {
                Reply::Folder(wanted.unwrap_or(FolderKind::Mbox))
            }
            Step::Ask(Effect::Deliver(delivery)) => Reply::Delivered {
                file: delivery.folder,
            },
            Step::Done(outcome) => return outcome.exit,
            _ => Reply::Done,
        };
        run.answer(reply).unwrap();
    }
}

fn message(body: usize) -> Vec<u8> {
    let mut text = b"From a@example.org Mon Jan  1 00:00:00 2024\nReceived: from mx.example.org by mail.example.net;\n\
        \tMon, 1 Jan 2024 00:00:00 +0000\nFrom: Ann <a@example.org>\nTo: bob@example.net\nSubject: report 49\n\
        Message-ID: <1@example.org>\n\n"
        .to_vec();
    while text.len() < body {
        text.extend_from_slice(b"The quick brown fox jumps over the lazy dog, again and again.\n");
    }
    text
}

fn recipes(criterion: &mut Criterion) {
    let rc: String = (0..50)
        // Neither writes a folder: what the rcfile takes is measured.
        .map(|n| format!(":0\n* ^Subject:.*report {n}$\n/dev/null\n"))
        .collect();
    let text = message(4096);
    let folder = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "/tmp"
    })
    .unwrap();
    std::fs::write(folder.path().join("rc"), &rc).unwrap();
    let rc: Arc<[u8]> = Arc::from(rc.as_bytes());
    let regexes = Arc::default();
    let mut group = criterion.benchmark_group("procmail/fifty recipes, 4 KiB");
    group.bench_function("in process", |bench| {
        bench.iter(|| run(&rc, &regexes, black_box(&text)));
    });
    // Each message a process of the real program, where there is one.
    if Path::new(PROCMAIL).exists() {
        group.bench_function("procmail, spawned", |bench| {
            bench.iter(|| spawn(folder.path(), black_box(&text)));
        });
    }
    group.finish();
}

const PROCMAIL: &str = "/usr/bin/procmail";

fn spawn(folder: &Path, message: &[u8]) {
    let mut child = Command::new(PROCMAIL)
        .args(["DEFAULT=/dev/null", "ORGMAIL=/dev/null", "./rc"])
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    assert!(child.wait().unwrap().success());
}

fn bodies(criterion: &mut Criterion) {
    let text = message(10 << 20);
    let mut group = criterion.benchmark_group("procmail/body");
    group
        .throughput(Throughput::Bytes(text.len() as u64))
        .sample_size(10);
    for condition in [
        "B ?? unsubscribe",
        "B ?? ^remove me",
        "B ?? (viagra|casino)",
        "1^1 B ?? zebra",
        "1^1 B ?? fox",
        "1^1 B ?? ^The.*dog",
        "1^1 B ?? (fox|dog)",
        "B ?? ^The.*cat",
    ] {
        let rc: Arc<[u8]> =
            Arc::from(format!("DEFAULT=/dev/null\n:0\n* {condition}\nbox\n").as_bytes());
        let regexes = Arc::default();
        group.bench_function(condition, |bench| {
            bench.iter(|| run(&rc, &regexes, black_box(&text)))
        });
    }
    group.finish();
}

fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("procmail/hostile");
    group.sample_size(10);
    for size in [1 << 12, 1 << 14, 1 << 16] {
        let mut text = b"A: b\n\n".to_vec();
        text.resize(size, b'a');
        for condition in [
            "B ?? .*.*.*x",
            "B ?? (a*)*b",
            "B ?? (a|aa)+\\/a*x",
            "B ?? ((a?\\/a)*(a|aa\\/)?)*x",
            "1^1 B ?? .*.*.*x",
        ] {
            let rc: Arc<[u8]> =
                Arc::from(format!("DEFAULT=/dev/null\n:0\n* {condition}\nbox\n").as_bytes());
            let regexes = Arc::default();
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(condition, size), |bench| {
                bench.iter(|| run(&rc, &regexes, black_box(&text)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, recipes, bodies, hostile);
criterion_main!(benches);
