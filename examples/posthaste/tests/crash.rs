//! kill -9 at random moments under load: each acknowledged message is
//! delivered exactly once, whole, and nothing half-written is seen.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Server, Talk, interop};

const SENDERS: usize = 8;

/// Sends one message; true when the server has acknowledged it.
fn send(stream: &mut BufReader<TcpStream>, token: &str, body: &str) -> Option<()> {
    let mut say = |text: &str, code: &str| -> Option<()> {
        stream.get_mut().write_all(text.as_bytes()).ok()?;
        loop {
            let mut line = String::new();
            stream
                .read_line(&mut line)
                .ok()
                .filter(|count| *count > 0)?;
            if !line.starts_with(code) {
                return None;
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(());
            }
        }
    };
    say("MAIL FROM:<sender@example.com>\r\n", "250")?;
    say("RCPT TO:<alice@example.org>\r\n", "250")?;
    say("DATA\r\n", "354")?;
    say(
        &format!("Subject: {token}\r\n\r\n{body}\r\nend {token}\r\n.\r\n"),
        "250",
    )
}

fn sender(
    port: u16,
    number: usize,
    stop: &AtomicBool,
    counter: &AtomicU64,
    acknowledged: &Mutex<Vec<String>>,
) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        // A connection that the system took while the server was killed may be one that nobody knows of: no end of
        // it comes. One that is only slow is made again.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        let greeted = stream.read_line(&mut line).is_ok() && line.starts_with("220");
        if !greeted || stream.get_mut().write_all(b"HELO sender\r\n").is_err() {
            continue;
        }
        line.clear();
        if stream.read_line(&mut line).is_err() || !line.starts_with("250") {
            continue;
        }
        while !stop.load(Ordering::Relaxed) {
            let count = counter.fetch_add(1, Ordering::Relaxed);
            let token = format!("token-{number}-{count}");
            // Now and then one that the spool keeps in a file of its own.
            let lines = if count.is_multiple_of(97) { 4000 } else { 10 };
            let body =
                vec!["A line of the message, some seventy octets long, to fill it up."; lines];
            if send(&mut stream, &token, &body.join("\r\n")).is_none() {
                break;
            }
            acknowledged.lock().unwrap().push(token);
        }
    }
}

fn survive(kills: u32, more: &str, count_messages: impl Fn(&Server) -> HashMap<String, usize>) {
    let mut server = Server::prepare(more);
    let stop = Arc::new(AtomicBool::new(false));
    let counter = Arc::new(AtomicU64::new(0));
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let (stop, counter, acknowledged) = (
                Arc::clone(&stop),
                Arc::clone(&counter),
                Arc::clone(&acknowledged),
            );
            let port = server.ports.smtp;
            std::thread::spawn(move || sender(port, number, &stop, &counter, &acknowledged))
        })
        .collect();
    let seed = std::env::var("POSTHASTE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(0x5eed_0001);
    let mut state = seed;
    let mut taken = 0;
    for kill in 0..kills {
        server.run();
        // Now and then it gets to work, however slow the machine.
        if kill % 4 == 0 {
            server.wait_until("a message", || acknowledged.lock().unwrap().len() > taken);
            taken = acknowledged.lock().unwrap().len();
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::thread::sleep(Duration::from_micros(state % 120_000));
        server.kill();
    }
    stop.store(true, Ordering::Relaxed);
    server.run();
    for sender in senders {
        sender.join().unwrap();
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    let start = Instant::now();
    let seen = loop {
        let seen = count_messages(&server);
        if acknowledged.iter().all(|token| seen.contains_key(token)) {
            break seen;
        }
        let missing = acknowledged
            .iter()
            .filter(|token| !seen.contains_key(*token))
            .count();
        assert!(
            start.elapsed() < common::PATIENCE,
            "{missing} of {} acknowledged messages are lost (seed {seed})",
            acknowledged.len()
        );
        std::thread::sleep(Duration::from_millis(100));
    };
    for (token, count) in &seen {
        assert_eq!(
            *count, 1,
            "{token} was delivered {count} times (seed {seed})"
        );
    }
    eprintln!(
        "{kills} kills: {} messages acknowledged, {} delivered",
        acknowledged.len(),
        seen.len()
    );
    assert!(acknowledged.len() >= kills as usize / 4, "hardly any load");
}

/// Counts whole messages by their tokens; fails on one that is not whole.
fn count(messages: impl IntoIterator<Item = String>) -> HashMap<String, usize> {
    let mut seen = HashMap::new();
    for message in messages {
        let token = message
            .lines()
            .find_map(|line| line.strip_prefix("Subject: "))
            .unwrap_or_else(|| panic!("no subject: {message:?}"))
            .to_owned();
        assert!(
            message.trim_end().ends_with(&format!("end {token}")),
            "half a message: {message:?}"
        );
        *seen.entry(token).or_insert(0) += 1;
    }
    seen
}

fn kills() -> u32 {
    if interop() { 500 } else { 40 }
}

#[test]
fn maildir_keeps_each_message_once() {
    survive(
        kills(),
        "mail_location = \"maildir:~/Maildir\"\n",
        |server| {
            let folder = server.home("alice").join("Maildir");
            let mut messages = Vec::new();
            for name in ["new", "cur"] {
                for entry in fs::read_dir(folder.join(name))
                    .into_iter()
                    .flatten()
                    .flatten()
                {
                    messages.push(fs::read_to_string(entry.path()).unwrap());
                }
            }
            count(messages)
        },
    );
}

#[test]
fn mbox_keeps_each_message_once() {
    survive(
        kills() / 5,
        "mail_location = \"mbox:~/mail:INBOX=~/inbox\"\n",
        |server| {
            let mut pop3 = Talk::connect(server.ports.pop3);
            pop3.expect("+OK");
            pop3.say("USER alice");
            pop3.expect("+OK");
            pop3.say(&format!("PASS {}", common::PASSWORD));
            let welcome = pop3.line();
            assert!(welcome.starts_with("+OK"), "{welcome}");
            pop3.say("STAT");
            let stat = pop3.line();
            let messages: usize = stat.split(' ').nth(1).unwrap().parse().unwrap();
            let mut all = Vec::new();
            for number in 1..=messages {
                pop3.say(&format!("RETR {number}"));
                assert!(pop3.line().starts_with("+OK"));
                let mut message = String::new();
                loop {
                    let line = pop3.line();
                    if line == "." {
                        break;
                    }
                    message.push_str(&line);
                    message.push('\n');
                }
                all.push(message);
            }
            pop3.say("QUIT");
            pop3.line();
            count(all)
        },
    );
}
