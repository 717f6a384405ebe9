//! Sieve: compiling and running common scripts, and the worst that hostile ones can do, with growing input.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "criterion's macros; a benchmark that does not run what it measures must stop"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sieve::{Answer, Capabilities, Compiler, Config, Envelope, Evaluation, Progress, Script};

#[path = "../src/sieve_cases.rs"]
mod cases;

use cases::{SIX_RULES, SMALL, header_rules, message};

fn config() -> Arc<Config> {
    Arc::new(Config::new(
        "2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap(),
    ))
}

fn compile(source: &str) -> Script {
    sieve::compile(source, &Capabilities::all()).unwrap_or_else(|faults| panic!("{faults:?}"))
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

fn common(c: &mut Criterion) {
    let config = config();
    let mut group = c.benchmark_group("sieve");
    let compiler = Compiler::new();
    group.bench_function("compile 6 rules", |b| {
        b.iter(|| compiler.compile(black_box(SIX_RULES)).unwrap())
    });
    let six = compile(SIX_RULES);
    let fifty = compile(&header_rules(50));
    group.bench_function("run 6 rules, 100 octets", |b| {
        b.iter(|| run(&six, black_box(SMALL), &config))
    });
    let twenty = message(20 << 10);
    group.bench_function("run 6 rules, 20 kB multipart", |b| {
        b.iter(|| run(&six, black_box(&twenty), &config))
    });
    let four = message(4 << 10);
    group.bench_function("run 50 rules, 4 KiB", |b| {
        b.iter(|| run(&fifty, black_box(&four), &config))
    });
    let large = message(25 << 20);
    group.bench_function("run 6 rules, 25 MiB", |b| {
        b.iter(|| run(&six, black_box(&large), &config))
    });
    let body = compile("require \"body\"; if body :contains \"not in there\" { discard; }");
    group.throughput(Throughput::Bytes(20 << 10));
    group.bench_function("body test, 20 kB", |b| {
        b.iter(|| run(&body, black_box(&twenty), &config))
    });
    group.finish();
}

fn hostile(c: &mut Criterion) {
    let config = config();
    let mut group = c.benchmark_group("sieve worst cases");
    let stars = compile("require \"body\"; if body :raw :matches \"*a*a*a*a*b\" { discard; }");
    let needle = format!("{}b", "a".repeat(60));
    let needle = compile(&format!(
        "require \"body\"; if body :raw :contains \"{needle}\" {{ discard; }}"
    ));
    let regex = compile(
        "require [\"body\", \"regex\", \"variables\"]; if body :raw :regex \"(a*)*(a|aa)*c$\" { discard; }",
    );
    let open = compile("require \"body\"; if body :raw :matches \"*?a?a?a?b?c*\" { discard; }");
    let bomb = compile(
        "require [\"body\", \"regex\"]; if body :raw :regex \"(a?){30}a{30}d\" { discard; }",
    );
    for size in [16_usize << 10, 64 << 10, 256 << 10] {
        let text = format!("Subject: x\r\n\r\n{}", "a".repeat(size)).into_bytes();
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        for (name, script) in [
            ("stars", &stars),
            ("stars and marks", &open),
            ("needle", &needle),
            ("regex", &regex),
            ("regex bomb", &bomb),
        ] {
            group.bench_with_input(BenchmarkId::new(name, size), &text, |b, text| {
                b.iter(|| run(script, black_box(text), &config));
            });
        }
    }
    for parts in [25_usize, 50, 100] {
        let part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(parts);
        let text = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}--b--\r\n")
            .into_bytes();
        let nested = compile(
            "require [\"foreverypart\", \"mime\"]; foreverypart { foreverypart { if header :mime :type \
             \"content-type\" \"image\" { stop; } } }",
        );
        group.throughput(Throughput::Elements(u64::try_from(parts).unwrap()));
        group.bench_with_input(
            BenchmarkId::new("nested foreverypart", parts),
            &text,
            |b, text| {
                b.iter(|| run(&nested, black_box(text), &config));
            },
        );
    }
    for times in [100_usize, 200, 400] {
        let doubling = compile(&format!(
            "require \"variables\"; set \"a\" \"xy\"; {}",
            "set \"a\" \"${a}${a}\";".repeat(times)
        ));
        group.throughput(Throughput::Elements(u64::try_from(times).unwrap()));
        group.bench_with_input(
            BenchmarkId::new("doubling", times),
            &doubling,
            |b, script| {
                b.iter(|| run(script, black_box(SMALL), &config));
            },
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    targets = common, hostile
}
criterion_main!(benches);
