//! mime: a 20 kB message taken apart, with and without its bodies, beside mail-parser and
//! mailparse; and how the work grows with depth, parts and header lines.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "criterion's macros; a benchmark that finds unequal results must stop"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mail_parser::MimeHeaders as _;
use mime::{Headers, Kind, Scanner, Structure};

/// A message as it comes from a mailing list: six hops, a signature, a multipart/alternative and an
/// attachment.
fn message() -> Vec<u8> {
    let mut text = String::from("Return-Path: <sender@example.org>\r\n");
    for hop in 0..6 {
        let _ = write!(
            text,
            "Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\r\n\
             \tby mail.example.org (Postfix) with ESMTPS id 4Zz{hop}AbCdEf\r\n\
             \tfor <jo@example.org>; Fri, 21 Nov 2025 10:0{hop}:00 +0100 (CET)\r\n"
        );
    }
    text.push_str(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=k1;\r\n\
         \tt=1700000000; h=from:from:reply-to:subject:subject:date:date:message-id;\r\n\
         \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\
         \tb=abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789\r\n\
         From: =?utf-8?q?J=C3=BCrgen?= Smith <j.smith@example.org>\r\n\
         To: Jo Doe <jo@example.org>, \"List, The\" <list@example.com>\r\n\
         Subject: =?utf-8?b?R3LDvMOfZSBhdXMgS8O2bG4=?= and more\r\n\
         Date: Fri, 21 Nov 2025 10:00:00 +0100\r\n\
         Message-ID: <20251121.abc@example.org>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"----=_Part_1234_5678.90\"\r\n\r\n\
         This is a multi-part message in MIME format.\r\n\
         ------=_Part_1234_5678.90\r\n\
         Content-Type: multipart/alternative; boundary=\"----=_Alt_99\"\r\n\r\n\
         ------=_Alt_99\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n",
    );
    for _ in 0..30 {
        text.push_str("Lorem ipsum dolor sit amet, consectetur =C3=A4dipiscing elit, sed do =\r\n");
    }
    text.push_str(
        "\r\n------=_Alt_99\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n",
    );
    for _ in 0..60 {
        text.push_str(
            "<p style=3D\"margin: 0\">Lorem ipsum dolor <b>sit</b> amet, =C3=A4dipi</p>=\r\n",
        );
    }
    text.push_str(
        "\r\n------=_Alt_99--\r\n\r\n\
         ------=_Part_1234_5678.90\r\n\
         Content-Type: application/pdf; name=\"report.pdf\"\r\n\
         Content-Disposition: attachment; filename=\"report.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
    );
    while text.len() < 20_350 {
        text.push_str(
            "JVBERi0xLjQKJcfsj6IKNSAwIG9iago8PC9MZW5ndGggNiAwIFIvRmlsdGVyIC9GbGF0ZURlY29k\r\n",
        );
    }
    text.push_str("\r\n------=_Part_1234_5678.90--\r\n");
    text.into_bytes()
}

/// Length of each leaf, decoded.
fn decoded(message: &[u8]) -> Vec<usize> {
    let structure = Structure::parse(message);
    let leaves = structure.parts().filter(|part| part.kind() == Kind::Leaf);
    leaves.map(|part| part.decoded(message).len()).collect()
}

fn decoded_by_mailparse(message: &[u8]) -> Vec<usize> {
    let parsed = mailparse::parse_mail(message).unwrap();
    let leaves = parsed.parts().filter(|part| part.subparts.is_empty());
    leaves
        .map(|part| part.get_body_raw().unwrap().len())
        .collect()
}

fn taking_apart(c: &mut Criterion) {
    let message = message();
    let lengths = decoded(&message);
    assert_eq!(lengths, decoded_by_mailparse(&message));
    let parser = mail_parser::MessageParser::default();
    let parsed = parser.parse(&message).unwrap();
    let attachment = parsed.attachments().next().unwrap();
    assert_eq!(Some(&attachment.contents().len()), lengths.get(2));
    assert!(attachment.is_content_type("application", "pdf"));

    let mut group = c.benchmark_group("mime_20_kb");
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("structure", |b| {
        b.iter(|| Structure::parse(black_box(&message)))
    });
    group.bench_function("scanner_in_4_kib", |b| {
        b.iter(|| {
            let mut scanner = Scanner::new();
            message
                .chunks(4096)
                .for_each(|chunk| scanner.feed(black_box(chunk)));
            scanner.finish()
        });
    });
    group.bench_function("structure_and_bodies", |b| {
        b.iter(|| decoded(black_box(&message)))
    });
    group.bench_function("header_fields", |b| {
        b.iter(|| Headers::new(black_box(&message)).count());
    });
    group.bench_function("header_texts", |b| {
        b.iter(|| {
            let fields = Headers::new(black_box(&message));
            fields.map(|field| field.text().len()).sum::<usize>()
        });
    });
    group.bench_function("mail_parser_0_11", |b| {
        b.iter(|| parser.parse(black_box(&message[..])))
    });
    group.bench_function("mailparse_0_16_lazy", |b| {
        b.iter(|| mailparse::parse_mail(black_box(&message)).unwrap());
    });
    group.bench_function("mailparse_0_16_and_bodies", |b| {
        b.iter(|| decoded_by_mailparse(black_box(&message)));
    });
    group.finish();
}

fn growth(c: &mut Criterion) {
    let mut group = c.benchmark_group("mime_growth");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(1));
    for size in [1_000u32, 10_000, 100_000] {
        let mut lines = String::new();
        for line in 0..size {
            let _ = write!(lines, "X-Line-{line}: value\r\n");
        }
        let mut parts = String::from("Content-Type: multipart/mixed; boundary=a\r\n\r\n");
        let mut levels = String::new();
        for level in 0..size {
            parts.push_str("--a\r\n\r\nx\r\n");
            let _ = write!(
                levels,
                "Content-Type: multipart/mixed; boundary=b{level}.\r\n\r\n--b{level}.\r\n"
            );
        }
        for (name, message) in [
            ("header_lines", lines),
            ("parts", parts),
            ("levels", levels),
        ] {
            group.throughput(Throughput::Elements(size.into()));
            group.bench_with_input(
                BenchmarkId::new(name, size),
                message.as_bytes(),
                |b, message| {
                    b.iter(|| Structure::parse(black_box(message)));
                },
            );
        }
    }
    let mut large = message();
    large.resize(25 * 1024 * 1024, b'x');
    group.throughput(Throughput::Elements(1));
    group.bench_function("header_of_25_mib", |b| {
        b.iter(|| Headers::new(black_box(&large)).count());
    });
    group.finish();
}

criterion_group!(benches, taking_apart, growth);
criterion_main!(benches);
