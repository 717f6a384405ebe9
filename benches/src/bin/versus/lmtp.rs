//! Deliveries from several senders into many Maildirs: through a server's LMTP socket, and by `mailstore` alone.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use mailstore::{AccountConfig, AppendOptions, DeliveryId, Store};

use crate::{OCTETS, Result};

pub(crate) const SENDERS: usize = 16;
pub(crate) const USERS: usize = 100;

/// The names of the accounts.
pub(crate) fn user(nth: usize) -> String {
    format!("u{}", nth % USERS)
}

pub(crate) fn message() -> Vec<u8> {
    let mut message = b"From: a@example.org\r\nSubject: bench\r\n\r\n".to_vec();
    while message.len() < OCTETS {
        message.extend_from_slice(
            b"A line of text as mail has them, with sixty-six octets all told.\r\n",
        );
    }
    message
}

/// Runs `each` for every number below `total` on as many threads as there are senders; messages/s.
pub(crate) fn together(
    total: usize,
    begin: impl Fn() -> Result<Box<dyn FnMut(usize) -> Result<()>>> + Sync,
) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let run = || -> std::result::Result<(), String> {
        let mut each = begin().map_err(|error| error.to_string())?;
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= total {
                return Ok(());
            }
            each(nth).map_err(|error| error.to_string())?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SENDERS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a sender panicked".to_owned()))
        })
    })?;
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

/// One message for each transaction, the next when the last was answered; messages/s.
pub(crate) fn send(port: u16, total: usize) -> Result<f64> {
    together(total, || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut replies = BufReader::new(stream.try_clone()?);
        let mut exchange = move |octets: &[u8], wanted: &str| -> Result<()> {
            stream.write_all(octets)?;
            let mut line = String::new();
            loop {
                line.clear();
                replies.read_line(&mut line)?;
                if line.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
            if line.starts_with(wanted) {
                Ok(())
            } else {
                Err(format!("expected {wanted}, got {line:?}").into())
            }
        };
        exchange(b"", "220")?;
        exchange(b"LHLO bench.example\r\n", "250")?;
        let mut content = message();
        content.extend_from_slice(b".\r\n");
        Ok(Box::new(move |nth| {
            exchange(b"MAIL FROM:<sender@example.com>\r\n", "250")?;
            exchange(
                format!("RCPT TO:<{}@example.org>\r\n", user(nth)).as_bytes(),
                "250",
            )?;
            exchange(b"DATA\r\n", "354")?;
            exchange(&content, "250")
        }))
    })
}

/// The same messages, handed to the crate; messages/s.
pub(crate) fn deliver(folder: &Path, round: usize, total: usize) -> Result<f64> {
    let store = Store::new();
    let place = |nth| AccountConfig::maildir(folder.join(user(nth)), "bench");
    let accounts = (0..USERS)
        .map(|nth| store.account(&place(nth)))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let accounts = std::sync::Arc::new(accounts);
    together(total, || {
        let (accounts, content) = (std::sync::Arc::clone(&accounts), message());
        Ok(Box::new(move |nth| {
            let now = SystemTime::now();
            let id = DeliveryId {
                id: format!("{round}-{nth}"),
                arrived: now,
                maybe_delivered: false,
            };
            let account = accounts.get(nth % USERS).ok_or("no such account")?;
            let mut delivery = account.deliver("INBOX", id, now)?;
            delivery.write(&content)?;
            delivery.commit(AppendOptions::at(now), now)?;
            Ok(())
        }))
    })
}
