//! mailstore: files of a store that say anything.
#![allow(clippy::panic, reason = "that is how a target tells what it found")]

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mailstore::{AccountConfig, AppendOptions, FlagChange, Flags, Mailbox, QuotaRule, Store};

use crate::files::Files;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const NEW: &[u8] = b"Subject: new\r\n\r\nFrom here\r\n";

fn now() -> SystemTime {
    NOW + Duration::from_secs(1_800_000_000)
}

fn inbox(files: &Arc<Files>, config: &AccountConfig) -> Option<Arc<Mailbox>> {
    let store = Store::with_fs(Arc::clone(files) as Arc<_>);
    let account = store.account(config).ok()?;
    account.mailbox("INBOX", now()).ok()
}

fn content(mailbox: &Mailbox, uid: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    match mailbox.reader(uid, now()) {
        Ok(mut reader) => {
            let size = reader.size();
            assert!(
                reader.read_to_end(&mut octets).is_ok(),
                "UID {uid} breaks off"
            );
            assert_eq!(u64::try_from(octets.len()), Ok(size), "size of UID {uid}");
        }
        Err(error) => panic!("UID {uid} is listed and cannot be read: {error}"),
    }
    octets
}

fn contents(mailbox: &Mailbox) -> Vec<(u32, Vec<u8>)> {
    let view = mailbox.snapshot();
    let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
    assert!(uids.is_sorted_by(|one, next| one < next), "UIDs {uids:?}");
    assert!(uids.last().is_none_or(|last| *last < view.uid_next));
    uids.into_iter()
        .map(|uid| (uid, content(mailbox, uid)))
        .collect()
}

fn append(mailbox: &Arc<Mailbox>) -> u32 {
    let appended = mailbox.append(now()).and_then(|mut append| {
        append.write(NEW)?;
        append.commit(AppendOptions::at(now()), now())
    });
    match appended {
        Ok(appended) => appended.uid,
        Err(error) => panic!("nothing can be appended: {error}"),
    }
}

/// Flags, an append and an expunge; then what a process that knows nothing yet sees.
fn use_and_reopen(files: &Arc<Files>, config: &AccountConfig, mailbox: &Arc<Mailbox>) {
    let mut expected = contents(mailbox);
    if let Some((first, _)) = expected.first() {
        let flagged = mailbox.set_flags(&[*first], &FlagChange::add(Flags::FLAGGED), None, now());
        assert!(flagged.is_ok(), "flags: {flagged:?}");
    }
    if expected.len() > 1
        && let Some((last, _)) = expected.pop()
    {
        let gone = mailbox.expunge(&[last], now());
        assert!(matches!(&gone, Ok(gone) if *gone == [last]), "{gone:?}");
    }
    let uid = append(mailbox);
    expected.push((uid, NEW.to_vec()));
    assert_eq!(contents(mailbox), expected);
    let validity = mailbox.snapshot().uid_validity;
    let Some(again) = inbox(files, config) else {
        panic!("it does not open again")
    };
    assert_eq!(again.snapshot().uid_validity, validity);
    assert_eq!(contents(&again), expected);
    if let Some(first) = again.snapshot().messages().first()
        && expected.len() > 1
    {
        assert!(first.flags.contains(Flags::FLAGGED));
    }
}

/// An mbox file: refused and left as it is, or one in which everything works.
pub fn mbox(data: &[u8]) {
    // What a cut file ends with is only complete with the next message.
    if !data.ends_with(b"\n") {
        return;
    }
    let files = Arc::new(Files::default());
    let path = Path::new("/mail/inbox");
    files.place(path, data);
    let config = AccountConfig::mbox("/mail/folders", path, "host");
    match inbox(&files, &config) {
        Some(mailbox) => use_and_reopen(&files, &config, &mailbox),
        None => assert_eq!(files.octets(path).as_deref(), Some(data)),
    }
}

/// A file that a store keeps beside the mail of a Maildir; the first octet says which. The mail stays there,
/// whatever it says.
pub fn state(data: &[u8]) {
    const NAMES: &[&str] = &[
        "dovecot-uidlist",
        "dovecot-keywords",
        "posthaste-index",
        "posthaste-cache",
        "maildirsize",
        "courierimapuiddb",
        "subscriptions",
        "dovecot-acl",
        "posthaste-metadata",
        "posthaste-modseq",
        "posthaste-uidvalidity",
        "posthaste-flags",
    ];
    let Some((which, data)) = data.split_first() else {
        return;
    };
    let Some(name) = NAMES.get(usize::from(*which) % NAMES.len()) else {
        return;
    };
    let files = Arc::new(Files::default());
    let root = Path::new("/mail");
    files.place(&root.join("tmp/x"), b"");
    files.place(
        &root.join("new/1700000001.M1P1.host"),
        b"Subject: one\n\none\n",
    );
    files.place(
        &root.join("cur/1700000002.M2P2.host,S=18,W=21:2,Sab"),
        b"Subject: two\n\ntwo\n",
    );
    files.place(&root.join(name), data);
    let mut config = AccountConfig::maildir(root, "host");
    if let Ok(rule) = "*:storage=10G".parse::<QuotaRule>() {
        config.quota = vec![rule];
    }
    let Some(mailbox) = inbox(&files, &config) else {
        panic!("{name} hides the mail")
    };
    let mut subjects: Vec<Vec<u8>> = contents(&mailbox)
        .into_iter()
        .map(|(_, octets)| octets)
        .collect();
    subjects.sort();
    assert_eq!(
        subjects,
        [
            &b"Subject: one\r\n\r\none\r\n"[..],
            b"Subject: two\r\n\r\ntwo\r\n"
        ]
    );
    let uids: Vec<u32> = mailbox
        .snapshot()
        .messages()
        .iter()
        .map(|message| message.uid)
        .collect();
    for digest in mailbox.digests(&uids, now()) {
        assert!(digest.is_ok());
    }
    use_and_reopen(&files, &config, &mailbox);
}
