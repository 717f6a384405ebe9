//! Opens and lists a large Maildir with and without its index, changes the flags of 10,000 messages at once, and
//! scans an mbox of 1 GiB: the processor's time and the clock's, in milliseconds.
//!
//! `cargo run --release -p posthaste-benches --bin opening -- FOLDER` with a folder on the disk in question.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mailstore::{AccountConfig, FlagChange, Flags, Mailbox, Store};

const MESSAGES: u32 = 100_000;
const MBOX: usize = 1 << 30;

fn message(n: u32) -> String {
    format!(
        "From: Ann Example <ann{n}@example.org>\nTo: Bob <bob@example.net>, list@example.com\n\
         Subject: Message {n} of many\nDate: Tue, 1 Jul 2025 10:52:37 +0200\n\
         Message-ID: <{n}@example.org>\nMIME-Version: 1.0\n\
         Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n\
         {}--b\nContent-Type: text/html; charset=utf-8\n\n<p>{}</p>\n--b--\n",
        "A line of text as mail has them, seventy-six octets with its line end...\n".repeat(12),
        "A line of text as mail has them, seventy-six octets with its line end...\n".repeat(12),
    )
}

/// Seconds that this process has had the processor.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn measure<T>(what: &str, rounds: u32, mut act: impl FnMut() -> T) -> T {
    let (used, begun) = (processor(), Instant::now());
    for _ in 1..rounds {
        act();
    }
    let last = act();
    let each = |seconds: f64| seconds * 1000.0 / f64::from(rounds);
    println!(
        "{what}: {:.1} ms of processor, {:.1} ms",
        each(processor() - used),
        each(begun.elapsed().as_secs_f64())
    );
    last
}

fn open(config: &AccountConfig, now: SystemTime) -> Arc<Mailbox> {
    let account = Store::new().account(config).unwrap();
    account.mailbox("INBOX", now).unwrap()
}

fn list(mailbox: &Mailbox, now: SystemTime) {
    let uids: Vec<u32> = (1..=MESSAGES).collect();
    for uids in uids.chunks(128) {
        for digest in mailbox.digests(uids, now) {
            assert!(digest.unwrap().digest().structure().is_some());
        }
    }
}

fn maildir(folder: &Path, now: SystemTime) {
    let root = folder.join("Maildir");
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    for n in 0..MESSAGES {
        let name = format!("cur/17{n:08}.M{n}P4711.host.example.org:2,S");
        fs::write(root.join(name), message(n)).unwrap();
    }
    let config = AccountConfig::maildir(&root, "host");
    let mailbox = measure("first open, without index", 1, || open(&config, now));
    assert_eq!(mailbox.snapshot().messages().len(), 100_000);
    drop(mailbox);
    let mailbox = measure("open with index", 10, || open(&config, now));
    measure("first list, from the messages", 1, || list(&mailbox, now));
    measure("list from the index", 3, || list(&mailbox, now));
    drop(mailbox);
    let mailbox = measure("open with index and digests", 10, || open(&config, now));
    let uids: Vec<u32> = (1..=10_000).collect();
    measure("flag 10,000 messages in one change", 1, || {
        let change = FlagChange::add(Flags::FLAGGED);
        mailbox.set_flags(&uids, &change, None, now).unwrap()
    });
}

fn mbox(folder: &Path, now: SystemTime) {
    let path = folder.join("mbox");
    let mut file = BufWriter::new(fs::File::create(&path).unwrap());
    let text = message(7).repeat(4);
    let mut written = 0;
    while written < MBOX {
        let from = "From a@example.org Thu Nov 12 13:14:15 2026\n";
        writeln!(file, "{from}{text}").unwrap();
        written += from.len() + text.len() + 1;
    }
    file.into_inner().unwrap();
    let mut config = AccountConfig::mbox(folder.join("boxes"), &path, "host");
    config.index = false;
    measure("first open of an mbox of 1 GiB", 1, || open(&config, now));
    measure("open of an mbox of 1 GiB, without index", 3, || {
        open(&config, now)
    });
    config.index = true;
    open(&config, now);
    measure("open of an mbox of 1 GiB, with index", 3, || {
        open(&config, now)
    });
}

fn main() {
    let Some(folder) = std::env::args_os().nth(1) else {
        println!("opening FOLDER [mbox]");
        return;
    };
    let folder = tempfile::tempdir_in(folder).unwrap();
    // So far behind what is written that nothing counts as new.
    let now = SystemTime::now() + Duration::from_secs(3600);
    if std::env::args().nth(2).as_deref() != Some("mbox") {
        maildir(folder.path(), now);
    }
    mbox(folder.path(), now);
}
