//! Durable deliveries and spool accepts beside the bare system calls they need, and opening of large mailboxes.
//!
//! The disk decides: compare figures of one run on one disk only.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mailstore::{
    AccountConfig, AppendOptions, DeliveryId, FlagChange, Flags, Spool, SpoolConfig, Store,
};

const SENDERS: u64 = 16;
const ACCEPTING: u64 = 64;

fn message() -> Vec<u8> {
    let mut message =
        b"From: a@example.org\r\nTo: b@example.org\r\nSubject: bench\r\n\r\n".to_vec();
    while message.len() < 4096 {
        message.extend_from_slice(
            b"A line of text as mail has them, seventy-six octets with its line end...\r\n",
        );
    }
    message
}

/// Runs `total` calls on `threads` threads; the time of all.
fn together(threads: u64, total: u64, act: impl Fn(u64) + Sync) -> Duration {
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= total {
                        break;
                    }
                    act(n);
                }
            });
        }
    });
    begun.elapsed()
}

fn bare_delivery(directory: &Path, n: u64, content: &[u8]) {
    let (tmp, new) = (
        directory.join("tmp").join(n.to_string()),
        directory.join("new").join(n.to_string()),
    );
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&tmp)
        .unwrap();
    file.write_all(content).unwrap();
    file.sync_all().unwrap();
    fs::rename(&tmp, &new).unwrap();
    File::open(directory.join("new"))
        .unwrap()
        .sync_all()
        .unwrap();
}

fn deliveries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliver 4 KiB to 100 Maildirs, 16 senders");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    let directory = tempfile::tempdir().unwrap();
    let content = message();
    let unique = AtomicU64::new(0);
    group.bench_function("mailstore", |bencher| {
        let store = Store::new();
        let accounts: Vec<_> = (0..100)
            .map(|n| {
                store
                    .account(&AccountConfig::maildir(
                        directory.path().join(format!("m{n}")),
                        "host",
                    ))
                    .unwrap()
            })
            .collect();
        bencher.iter_custom(|total| {
            together(SENDERS, total, |n| {
                let now = SystemTime::now();
                let id = unique.fetch_add(1, Ordering::Relaxed).to_string();
                let id = DeliveryId {
                    id,
                    arrived: now,
                    maybe_delivered: false,
                };
                let account = &accounts[usize::try_from(n % 100).unwrap()];
                let mut delivery = account.deliver("INBOX", id, now).unwrap();
                delivery.write(&content).unwrap();
                delivery.commit(AppendOptions::at(now), now).unwrap();
            })
        });
    });
    group.bench_function("bare create, write, fsync, rename, fsync", |bencher| {
        for n in 0..100 {
            for part in ["tmp", "new"] {
                fs::create_dir_all(directory.path().join(format!("b{n}")).join(part)).unwrap();
            }
        }
        bencher.iter_custom(|total| {
            together(SENDERS, total, |n| {
                let unique = unique.fetch_add(1, Ordering::Relaxed);
                bare_delivery(
                    &directory.path().join(format!("b{}", n % 100)),
                    unique,
                    &content,
                );
            })
        });
    });
    group.finish();
}

fn accepts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("accept 4 KiB, 64 at once");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    let directory = tempfile::tempdir().unwrap();
    let content = message();
    group.bench_function("spool", |bencher| {
        let (spool, _) = Spool::open(SpoolConfig::new(directory.path().join("spool"))).unwrap();
        bencher.iter_custom(|total| {
            together(ACCEPTING, total, |_| {
                let mut incoming = spool.begin(SystemTime::now());
                incoming.write(&content).unwrap();
                incoming.commit(b"envelope").unwrap();
            })
        });
    });
    group.bench_function("bare group commit: append of 64, fdatasync", |bencher| {
        let mut file = File::create(directory.path().join("bare")).unwrap();
        let all = content.repeat(usize::try_from(ACCEPTING).unwrap());
        bencher.iter_custom(|total| {
            let begun = Instant::now();
            for _ in 0..total.div_ceil(ACCEPTING) {
                file.write_all(&all).unwrap();
                file.sync_data().unwrap();
            }
            begun.elapsed()
        });
    });
    group.finish();
}

fn opening(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10,000 messages");
    group
        .throughput(Throughput::Elements(10_000))
        .sample_size(10);
    let directory = tempfile::tempdir().unwrap();
    let now = SystemTime::now() + Duration::from_secs(60);
    let root = directory.path().join("Maildir");
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    for n in 0..10_000 {
        fs::write(
            root.join(format!("cur/{n}.M0P1.host,S=40,W=42:2,")),
            "Subject: x\n\nbody of forty octets, all told.",
        )
        .unwrap();
    }
    let config = AccountConfig::maildir(&root, "host");
    group.bench_function("open a Maildir", |bencher| {
        bencher.iter(|| {
            let account = Store::new().account(&config).unwrap();
            let mailbox = account.mailbox("INBOX", now).unwrap();
            assert_eq!(mailbox.snapshot().messages().len(), 10_000);
        });
    });
    let account = Store::new().account(&config).unwrap();
    let mailbox: Arc<_> = account.mailbox("INBOX", now).unwrap();
    mailbox.refresh(now).unwrap();
    group.bench_function("refresh with nothing new", |bencher| {
        bencher.iter(|| mailbox.refresh(now).unwrap())
    });
    let uids: Vec<u32> = (1..=10_000).collect();
    group.bench_function("set and clear a flag of all", |bencher| {
        bencher.iter(|| {
            mailbox
                .set_flags(&uids, &FlagChange::add(Flags::SEEN), None, now)
                .unwrap();
            mailbox
                .set_flags(&uids, &FlagChange::remove(Flags::SEEN), None, now)
                .unwrap();
        });
    });
    let mut file = File::create(directory.path().join("mbox")).unwrap();
    let content = String::from_utf8(message()).unwrap().replace('\r', "");
    for _ in 0..10_000 {
        writeln!(
            file,
            "From a@example.org Thu Nov 12 13:14:15 2026\n{content}"
        )
        .unwrap();
    }
    let config = AccountConfig::mbox(directory.path(), directory.path().join("mbox"), "host");
    group.bench_function("open an mbox of 41 MB", |bencher| {
        bencher.iter(|| {
            let account = Store::new().account(&config).unwrap();
            let mailbox = account.mailbox("INBOX", now).unwrap();
            assert_eq!(mailbox.snapshot().messages().len(), 10_000);
        });
    });
    group.finish();
}

criterion_group!(benches, deliveries, accepts, opening);
criterion_main!(benches);
