//! Sieve: compiling and running common scripts, and the worst that hostile ones can do, with growing input.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "criterion's macros; a benchmark that does not run what it measures must stop"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sieve::{Answer, Capabilities, Compiler, Config, Envelope, Evaluation, Progress, Script};

const SIX_RULES: &str = "require [\"fileinto\", \"reject\"];\n\
    if header :contains \"List-Id\" \"rust\" {\n  fileinto \"lists.rust\";\n\
    } elsif address :is \"from\" \"boss@example.com\" {\n  keep;\n\
    } elsif header :matches \"Subject\" [\"*make*money*\", \"*viagra*\"] {\n  discard;\n\
    } elsif allof (size :over 1M, not address :domain \"from\" \"example.com\") {\n  reject \"too big\";\n\
    } elsif exists \"X-Spam-Flag\" {\n  fileinto \"Junk\";\n\
    } elsif header :is [\"To\", \"Cc\"] \"me@example.com\" {\n  keep;\n}\n";

fn fifty_rules() -> String {
    let mut out = String::from("require \"fileinto\";\n");
    for rule in 0..50 {
        let test = match rule % 3 {
            0 => format!("header :contains \"subject\" \"word{rule}\""),
            1 => format!("address :is \"from\" \"user{rule}@example.com\""),
            _ => format!("header :matches \"list-id\" \"*<list{rule}.*>\""),
        };
        let _ = writeln!(out, "if {test} {{ fileinto \"f{rule}\"; stop; }}");
    }
    out
}

const SMALL: &[u8] = b"From: ann@example.org\r\nTo: bob@example.com\r\nSubject: lunch today?\r\nList-Id: <x.y>\r\n\r\nWhere?\r\n";

/// A header as it comes through three hops, and `body` octets.
fn message(body: usize) -> Vec<u8> {
    let mut text = String::new();
    for hop in 0..3 {
        let _ = write!(
            text,
            "Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\r\n\tby mail.example.org with \
             ESMTPS id 4Zz{hop}AbCdEf; Fri, 21 Nov 2025 10:0{hop}:00 +0100\r\n"
        );
    }
    text.push_str(
        "From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nList-Id: \
         <users.example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
    );
    while text.len() < body {
        text.push_str("Some text with caf=C3=A9 in it, and more of the same to fill the line.\r\n");
    }
    text.push_str("--b--\r\n");
    text.into_bytes()
}

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
    let fifty = compile(&fifty_rules());
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
    for size in [16_usize << 10, 64 << 10, 256 << 10] {
        let text = format!("Subject: x\r\n\r\n{}", "a".repeat(size)).into_bytes();
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        for (name, script) in [("stars", &stars), ("needle", &needle), ("regex", &regex)] {
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
