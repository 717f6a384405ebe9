//! Damage is found where it is, and mended without losing mail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::{at, configs, now, read};
use mailstore::{Account, AccountConfig, AppendOptions, FlagChange, Flags, Store};

fn open(config: &AccountConfig) -> Arc<Account> {
    Store::new().account(config).unwrap()
}

fn filled(config: &AccountConfig) -> Arc<Account> {
    let account = open(config);
    let inbox = account.mailbox("INBOX", now()).unwrap();
    for number in 0..4 {
        let mut append = inbox.append(now()).unwrap();
        append
            .write(format!("Subject: {number}\r\n\r\nbody\r\n").as_bytes())
            .unwrap();
        append.commit(AppendOptions::at(at(number)), now()).unwrap();
    }
    let change = FlagChange::add(Flags::SEEN).with_keywords(["Work"]);
    inbox.set_flags(&[2], &change, None, now()).unwrap();
    inbox.expunge(&[3], now()).unwrap();
    account
}

/// UIDs and contents.
fn rows(config: &AccountConfig) -> Vec<(u32, Vec<u8>)> {
    let account = open(config);
    let inbox = account.mailbox("INBOX", now()).unwrap();
    let view = inbox.refresh(now()).unwrap();
    let uids = view.messages().iter().map(|message| message.uid);
    uids.map(|uid| (uid, read(&inbox, uid))).collect()
}

/// What is found, what is mended, and that nothing is found after it.
fn finds(config: &AccountConfig, wanted: &str, mendable: bool) {
    let before = files(&config.root);
    let found = open(config).verify("INBOX", now()).unwrap();
    assert!(
        found
            .iter()
            .any(|finding| finding.problem.contains(wanted) && !finding.mended),
        "{wanted}: {found:?}"
    );
    assert_eq!(
        files(&config.root),
        before,
        "{wanted}: verify changed something"
    );
    let mended = open(config).repair("INBOX", now()).unwrap();
    assert!(
        mended
            .iter()
            .any(|finding| finding.problem.contains(wanted) && finding.mended == mendable),
        "{wanted}: {mended:?}"
    );
    if mendable {
        assert_eq!(open(config).verify("INBOX", now()).unwrap(), [], "{wanted}");
    }
}

fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The files of the indexes.
fn indexes(root: &Path) -> Vec<PathBuf> {
    let paths = files(root).into_iter().map(|(path, _)| path);
    paths
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            [
                "posthaste-index",
                "posthaste-cache",
                "INBOX.index",
                "INBOX.cache",
            ]
            .contains(&name)
        })
        .collect()
}

/// The files, in the order in which they came.
fn in_cur(config: &AccountConfig) -> Vec<PathBuf> {
    let listed = fs::read_dir(config.root.join("cur")).unwrap();
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    // `Q4.` in a name: the fourth of its process. The microseconds before it sort as numbers only.
    let place = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (_, rest) = name.split_once('Q').unwrap();
        rest.split_once('.').unwrap().0.parse::<u64>().unwrap()
    };
    paths.sort_by_key(|path| (place(path), path.clone()));
    paths
}

#[test]
fn sound_mailboxes_have_no_findings() {
    let directory = tempfile::tempdir().unwrap();
    for config in configs(directory.path()) {
        let account = filled(&config);
        assert_eq!(account.verify("INBOX", now()).unwrap(), []);
        drop(account);
        let before = rows(&config);
        assert_eq!(open(&config).verify("INBOX", now()).unwrap(), []);
        assert_eq!(open(&config).repair("INBOX", now()).unwrap(), []);
        assert_eq!(rows(&config), before);
        assert!(open(&config).verify("Nowhere", now()).is_err());
    }
}

#[test]
fn maildirs() {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut fresh = || {
        number += 1;
        let config = AccountConfig::maildir(directory.path().join(number.to_string()), "host");
        drop(filled(&config));
        let before = rows(&config);
        assert_eq!(before.len(), 3);
        (config, before)
    };

    let (config, before) = fresh();
    let list = config.root.join("dovecot-uidlist");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{text}rubbish\n2 :again\n9 :cut")).unwrap();
    finds(&config, "not in the form", true);
    assert_eq!(rows(&config), before);

    // Two UIDs of one message: the later one counts.
    let (config, before) = fresh();
    let list = config.root.join("dovecot-uidlist");
    let text = fs::read_to_string(&list).unwrap();
    let line = text.lines().find(|line| line.starts_with("1 ")).unwrap();
    fs::write(&list, format!("{text}{}\n", line.replacen('1', "77", 1))).unwrap();
    finds(&config, "another UID already", true);
    assert_eq!(rows(&config)[2], (77, before[0].1.clone()));

    // A message that was gone and is back is another one, and no damage.
    let (config, _) = fresh();
    {
        let account = open(&config);
        let inbox = account.mailbox("INBOX", now()).unwrap();
        let path = in_cur(&config)[0].clone();
        let away = directory.path().join("away");
        fs::rename(&path, &away).unwrap();
        assert_eq!(inbox.refresh(now()).unwrap().messages().len(), 2);
        fs::rename(&away, &path).unwrap();
        assert_eq!(inbox.refresh(now()).unwrap().messages().len(), 3);
    }
    assert_eq!(open(&config).verify("INBOX", now()).unwrap(), []);

    let (config, before) = fresh();
    fs::write(config.root.join("dovecot-uidlist"), "no list\n").unwrap();
    finds(&config, "it is no UID list", true);
    let contents =
        |rows: &[(u32, Vec<u8>)]| rows.iter().map(|row| row.1.clone()).collect::<Vec<_>>();
    assert_eq!(contents(&rows(&config)), contents(&before));

    // A message that another program wrote to.
    let (config, before) = fresh();
    let path = in_cur(&config)[1].clone();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}more\n")).unwrap();
    finds(&config, "its name says otherwise", true);
    let after = rows(&config);
    assert_eq!(after.len(), 3);
    assert_eq!(after[1].0, before[1].0, "the UID stays");
    assert_eq!(after[1].1, [&before[1].1[..], b"more\r\n"].concat());

    // The same message twice, and two that claim to be one.
    let (config, before) = fresh();
    let paths = in_cur(&config);
    let flagged = format!("{}F", paths[0].display());
    fs::copy(&paths[0], flagged).unwrap();
    finds(&config, "the same base", true);
    assert_eq!(rows(&config).len(), 3);
    let (config, _) = (config, before);
    let paths = in_cur(&config);
    fs::write(format!("{}T", paths[2].display()), "A: other\n\nmail\n").unwrap();
    finds(&config, "the same base", true);
    let after = rows(&config);
    assert_eq!(after.len(), 4);
    assert!(after.iter().any(|row| row.1 == b"A: other\r\n\r\nmail\r\n"));

    let (config, before) = fresh();
    fs::write(config.root.join("posthaste-modseq"), "x").unwrap();
    finds(&config, "no number", true);
    assert_eq!(rows(&config), before);

    let (config, before) = fresh();
    let left = config.root.join("tmp/1.M1.host");
    fs::write(&left, "half").unwrap();
    let file = fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(now() - Duration::from_secs(40 * 3600))
        .unwrap();
    finds(&config, "never arrived whole", true);
    assert!(!left.exists());
    assert_eq!(rows(&config), before);

    let (config, before) = fresh();
    let path = in_cur(&config)[0].clone();
    fs::rename(&path, format!("{}q", path.display())).unwrap();
    finds(&config, "keyword letter", false);
    assert_eq!(rows(&config), before);
}

#[test]
fn an_index_that_tells_of_another_message() {
    let directory = tempfile::tempdir().unwrap();
    for config in configs(directory.path()) {
        {
            let account = filled(&config);
            let inbox = account.mailbox("INBOX", now()).unwrap();
            // An mbox is known by its end too.
            let mut append = inbox.append(now()).unwrap();
            append.write(&b"A: long\r\n\r\n".repeat(400)).unwrap();
            append.commit(AppendOptions::at(at(9)), now()).unwrap();
        }
        // Of the same length and time: nothing but the content tells. The time is one that an index trusts.
        let path = match config.format {
            mailstore::Format::Mbox => config.root.join("INBOX"),
            _ => in_cur(&config)[1].clone(),
        };
        let modified = now() - Duration::from_secs(3600);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        drop(file);
        for path in indexes(&config.root) {
            fs::remove_file(path).unwrap();
        }
        {
            let account = open(&config);
            let inbox = account.mailbox("INBOX", now()).unwrap();
            assert!(inbox.digests(&[1, 2, 4], now()).iter().all(Result::is_ok));
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("Subject: 1"));
        fs::write(&path, text.replace("Subject: 1", "Subject: X")).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        drop(file);
        let told = |found: &[mailstore::Finding], mended: bool| {
            assert_eq!(found.len(), 1, "{config:?} {found:?}");
            assert!(
                found[0].problem.contains("UID 2") && found[0].mended == mended,
                "{found:?}"
            );
        };
        told(&open(&config).verify("INBOX", now()).unwrap(), false);
        told(&open(&config).repair("INBOX", now()).unwrap(), true);
        assert_eq!(open(&config).verify("INBOX", now()).unwrap(), []);
        let account = open(&config);
        let inbox = account.mailbox("INBOX", now()).unwrap();
        let digest = inbox.digests(&[2], now()).remove(0).unwrap();
        assert_eq!(digest.digest().envelope().subject, Some(&b"X"[..]));
    }
}

#[test]
fn mboxes() {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut fresh = || {
        number += 1;
        let root = directory.path().join(number.to_string());
        let config = AccountConfig::mbox(&root, root.join("INBOX"), "host");
        drop(filled(&config));
        let before = rows(&config);
        assert_eq!(before.len(), 3);
        (config, before)
    };
    let edit = |config: &AccountConfig, from: &str, to: &str| {
        let path = config.root.join("INBOX");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    };

    let (config, before) = fresh();
    edit(&config, "X-UID: 0000000002", "X-UID: 0000000001");
    finds(&config, "is not above", true);
    let contents =
        |rows: &[(u32, Vec<u8>)]| rows.iter().map(|row| row.1.clone()).collect::<Vec<_>>();
    assert_eq!(contents(&rows(&config)), contents(&before));

    let (config, before) = fresh();
    edit(&config, "Subject: 1\n", "Subject: 1\nContent-Length: 99\n");
    finds(&config, "Content-Length", true);
    assert_eq!(rows(&config), before);

    let (config, before) = fresh();
    edit(&config, "X-UID: 0000000004", "X-UID: 0000009999");
    finds(&config, "was never given", true);
    assert_eq!(contents(&rows(&config)), contents(&before));

    let (config, before) = fresh();
    fs::write(config.root.join(".posthaste/INBOX.state"), "x\n").unwrap();
    finds(&config, "not a state file", true);
    assert_eq!(rows(&config), before);

    let (config, before) = fresh();
    fs::write(
        config.root.join(".posthaste/INBOX.append"),
        "PHAPPEND 1 2\n",
    )
    .unwrap();
    finds(&config, "a crash may have cut", true);
    assert_eq!(rows(&config), before);

    let (config, _) = fresh();
    fs::write(config.root.join("INBOX"), "no mbox at all\n").unwrap();
    let found = open(&config).verify("INBOX", now()).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        fs::read_to_string(config.root.join("INBOX")).unwrap(),
        "no mbox at all\n"
    );
}
