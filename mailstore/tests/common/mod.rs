//! What the tests share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

pub mod power;
pub mod sim;
pub mod world;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mailstore::{Account, AccountConfig, Mailbox};

pub fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// The clock of the files: what is "unchanged since" must not be older than a file's time says.
#[allow(clippy::disallowed_methods)]
pub fn now() -> SystemTime {
    SystemTime::now()
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
