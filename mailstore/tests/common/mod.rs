//! What the tests share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

pub mod over;
pub mod power;
pub mod sim;
pub mod world;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mailstore::{Account, AccountConfig, AppendOptions, Delivered, DeliveryId, Error, Mailbox};

pub fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// The clock of the files: what is "unchanged since" must not be older than a file's time says.
#[allow(clippy::disallowed_methods)]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// So many cases, or times as many as `POSTHASTE_CASES` says.
pub fn cases(usual: u32) -> u32 {
    let times = std::env::var("POSTHASTE_CASES").ok();
    usual * times.and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// The same account in each format, below `root`.
pub fn configs(root: &std::path::Path) -> [AccountConfig; 4] {
    let mut crlf = AccountConfig::maildir(root.join("crlf"), "host");
    crlf.save_crlf = true;
    [
        AccountConfig::maildir(root.join("maildir"), "host"),
        crlf,
        AccountConfig::maildir_fs(root.join("fs"), "host"),
        AccountConfig::mbox(root.join("mbox"), root.join("mbox/INBOX"), "host"),
    ]
}

/// Makes a pipe, which nobody reads from or writes to.
pub fn pipe(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

pub fn read(mailbox: &Mailbox, uid: u32) -> Vec<u8> {
    let mut reader = mailbox.reader(uid, at(0)).unwrap();
    let mut content = Vec::new();
    reader.read_to_end(&mut content).unwrap();
    assert_eq!(reader.size(), content.len() as u64, "size of UID {uid}");
    content
}

pub fn inbox(account: &Account) -> Arc<Mailbox> {
    account.mailbox("INBOX", at(0)).unwrap()
}

/// What is in a mailbox where it matters only that it is whole.
pub const BODY: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

/// Appends it with keywords; gives its UID.
pub fn append(mailbox: &Arc<Mailbox>, keywords: &[&str]) -> Result<u32, Error> {
    let mut append = mailbox.append(now())?;
    append.write(BODY)?;
    let options = AppendOptions {
        keywords: keywords.iter().map(|&name| name.to_owned()).collect(),
        ..AppendOptions::at(at(3))
    };
    Ok(append.commit(options, now())?.uid)
}

/// Delivers it into INBOX.
pub fn deliver(account: &Account, id: &str, maybe_delivered: bool) -> Result<Delivered, Error> {
    let id = DeliveryId {
        id: id.to_owned(),
        arrived: at(1),
        maybe_delivered,
    };
    let mut delivery = account.deliver("INBOX", id, now())?;
    delivery.write(BODY)?;
    delivery.commit(AppendOptions::at(at(7)), now())
}
