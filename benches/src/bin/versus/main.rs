//! Whole servers side by side, over sockets: posthaste, Postfix, Dovecot.
//!
//! Run as root on a machine with the Debian packages `postfix` and
//! `dovecot-imapd` and `dovecot-lmtpd`:
//!
//! ```text
//! cargo build --release && cargo run --release -p posthaste-benches --bin versus
//! ```
//!
//! With `store` behind it, the store alone beside Dovecot's LMTP and beside the bare system calls: a minute.
//!
//! Each figure is the median of several rounds in which the servers take
//! turns. What the servers started is ended again.

mod imap;
mod lmtp;
mod peers;
mod store;

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use peers::{Dovecot, Postfix, Posthaste};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 5;
const MESSAGES: usize = 2000;
const CONNECTIONS: usize = 20;
const OCTETS: usize = 4096;
const FETCHED: usize = 1000;
const IDLE: usize = 1000;

fn main() -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("versus")
        .tempdir_in("/var/tmp")?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), readable)?;
    if std::env::args().nth(1).as_deref() == Some("store") {
        return store::run(folder.path());
    }
    let posthaste = Posthaste::start(&folder.path().join("posthaste"))?;
    let postfix = Postfix::start(&folder.path().join("postfix"))?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(deliver(posthaste.smtp, &posthaste.new_mail())?);
        theirs.push(deliver(postfix.smtp, &postfix.new_mail())?);
    }
    report(
        &format!("accepted and delivered, {OCTETS} octets, {CONNECTIONS} connections, messages/s"),
        &[("posthaste", &mut ours), ("Postfix", &mut theirs)],
    );
    drop(postfix);

    let dovecot = Dovecot::start(&folder.path().join("dovecot"))?;
    let mut alone = Vec::new();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for round in 0..ROUNDS {
        alone.push(lmtp::deliver(
            &folder.path().join("alone"),
            round,
            MESSAGES,
        )?);
        ours.push(lmtp::send(posthaste.lmtp, MESSAGES)?);
        theirs.push(lmtp::send(dovecot.lmtp, MESSAGES)?);
    }
    let what = format!(
        "delivered to {} Maildirs, {OCTETS} octets, {} senders, messages/s",
        lmtp::USERS,
        lmtp::SENDERS
    );
    report(
        &format!("{what}: mailstore by itself, and Dovecot by LMTP"),
        &[("mailstore", &mut alone), ("Dovecot", &mut theirs)],
    );
    report(
        &format!("{what}, by LMTP; posthaste answers when it is in the queue"),
        &[("posthaste", &mut ours), ("Dovecot", &mut theirs)],
    );

    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    imap::fill(posthaste.imap, "bench", FETCHED)?;
    imap::fill(dovecot.imap, "bench", FETCHED)?;
    for what in [
        "(UID FLAGS)",
        "(UID FLAGS ENVELOPE BODYSTRUCTURE)",
        "(UID FLAGS BODY.PEEK[])",
    ] {
        for _ in 0..ROUNDS {
            ours.push(imap::fetch(posthaste.imap, "bench", FETCHED, what)?);
            theirs.push(imap::fetch(dovecot.imap, "bench", FETCHED, what)?);
        }
        report(
            &format!("IMAP UID FETCH 1:* {what} of {FETCHED} messages, messages/s"),
            &[("posthaste", &mut ours), ("Dovecot", &mut theirs)],
        );
        ours.clear();
        theirs.clear();
    }

    let ours = idle_memory(posthaste.imap, &|| posthaste.memory())?;
    let theirs = idle_memory(dovecot.imap, &|| dovecot.memory())?;
    report(
        &format!("memory of one of {IDLE} idle IMAP connections (logged in, IDLE), KiB"),
        &[
            ("posthaste", &mut vec![ours]),
            ("Dovecot", &mut vec![theirs]),
        ],
    );
    Ok(())
}

/// Sends `MESSAGES` and waits until they are all in `new_mail`; messages/s.
fn deliver(port: u16, new_mail: &Path) -> Result<f64> {
    let count = || std::fs::read_dir(new_mail).map_or(0, Iterator::count);
    let before = count();
    let start = Instant::now();
    let status = Command::new("smtp-source")
        .args(["-s", &CONNECTIONS.to_string(), "-m", &MESSAGES.to_string()])
        .args(["-l", &OCTETS.to_string(), "-f", "sender@example.com"])
        .args(["-t", "bench@example.org", &format!("127.0.0.1:{port}")])
        .status()?;
    if !status.success() {
        return Err("smtp-source failed".into());
    }
    while count() < before + MESSAGES {
        if start.elapsed() > Duration::from_secs(120) {
            return Err(format!("{} of {MESSAGES} delivered", count() - before).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(MESSAGES as f64 / start.elapsed().as_secs_f64())
}

fn idle_memory(port: u16, memory: &dyn Fn() -> Result<u64>) -> Result<f64> {
    let before = memory()?;
    let mut connections = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut connection = imap::Connection::login(port, "bench")?;
        connection.idle()?;
        connections.push(connection);
    }
    std::thread::sleep(Duration::from_secs(1));
    let after = memory()?;
    Ok(after.saturating_sub(before) as f64 / IDLE as f64)
}

fn report(what: &str, rows: &[(&str, &mut Vec<f64>)]) {
    let mut lines = vec![format!("\n{what}")];
    let mut medians = Vec::new();
    for (name, figures) in rows {
        let mut sorted = (*figures).clone();
        sorted.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
            continue;
        };
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        medians.push(median);
        lines.push(format!(
            "  {name:<10} {median:>10.1}   ({least:.1} to {most:.1})"
        ));
    }
    if let [ours, theirs] = medians[..] {
        lines.push(format!("  ratio      {:>10.2}", ours / theirs));
    }
    let text = lines.join("\n") + "\n";
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}
