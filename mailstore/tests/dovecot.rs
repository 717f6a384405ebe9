//! Dovecot serves the same files before and after. Runs where
//! `POSTHASTE_INTEROP=1` is set; then a missing `doveadm` is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs
)]

mod common;

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use common::{at, read};
use mailstore::{AccountConfig, AppendOptions, FlagChange, Flags, Mailbox, Store};

const MESSAGE: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nthe start\r\nbody\r\n";

const NOBODY: u32 = 65_534;

fn give_away(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// Runs doveadm on the mail; its standard output.
fn doveadm(home: &Path, location: &str, arguments: &[&str]) -> Option<String> {
    // Dovecot refuses mail that is root's.
    if std::fs::metadata(home).unwrap().uid() == 0
        || std::fs::metadata(home).unwrap().uid() == NOBODY
    {
        give_away(home);
    }
    run_doveadm(home, location, arguments)
}

/// As `doveadm`, with the files as they are.
fn run_doveadm(home: &Path, location: &str, arguments: &[&str]) -> Option<String> {
    let config = home.join("dovecot.conf");
    let owner = std::fs::metadata(home).unwrap();
    let text = format!(
        "log_path = /dev/stderr\nssl = no\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {}\nmail_gid = {}\n\
         mail_location = {location}\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n",
        owner.uid(),
        owner.gid(),
    );
    std::fs::write(&config, text).unwrap();
    // What `doveadm save` saves.
    let message = home.join("message");
    std::fs::write(&message, MESSAGE).unwrap();
    let output = Command::new("doveadm")
        .arg("-c")
        .arg(&config)
        .args(arguments)
        .stdin(std::fs::File::open(&message).unwrap())
        .env("HOME", home)
        .env("USER", "somebody")
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "doveadm {arguments:?}: {errors}");
    assert!(
        !errors.contains("Error") && !errors.contains("orrupt"),
        "{errors}"
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

/// UID, flags, keywords, wire size.
type Row = (u32, Flags, Vec<String>, u64);

fn rows(mailbox: &Mailbox) -> Vec<Row> {
    let view = mailbox.refresh(SystemTime::UNIX_EPOCH).unwrap();
    let rows = view.messages().iter().map(|message| {
        assert_eq!(read(mailbox, message.uid), MESSAGE);
        let keywords = view.keywords(message).map(str::to_owned).collect();
        (
            message.uid,
            message.flags,
            keywords,
            mailbox.size(message.uid, at(0)).unwrap(),
        )
    });
    rows.collect()
}

/// UID, flags, wire size of each message as Dovecot has them.
fn theirs(home: &Path, location: &str) -> Option<Vec<Row>> {
    let text = doveadm(
        home,
        location,
        &[
            "-f",
            "tab",
            "fetch",
            "uid flags size.virtual",
            "mailbox",
            "INBOX",
            "all",
        ],
    )?;
    let rows = text.lines().skip(1).map(|line| {
        let mut columns = line.split('\t');
        let uid = columns.next().unwrap().parse().unwrap();
        let (mut flags, mut keywords) = (Flags::NONE, Vec::new());
        for word in columns
            .next()
            .unwrap()
            .split(' ')
            .filter(|word| !word.is_empty() && *word != "\\Recent")
        {
            match Flags::NAMES.iter().find(|(_, name)| *name == word) {
                Some((flag, _)) => flags |= *flag,
                None => keywords.push(word.to_owned()),
            }
        }
        (
            uid,
            flags,
            keywords,
            columns.next().unwrap().parse().unwrap(),
        )
    });
    Some(rows.collect())
}

fn append(mailbox: &Arc<Mailbox>, flags: Flags) {
    let mut append = mailbox.append(at(1)).unwrap();
    append.write(MESSAGE).unwrap();
    append
        .commit(
            AppendOptions {
                flags,
                keywords: Vec::new(),
                internal_date: at(1),
            },
            at(1),
        )
        .unwrap();
}

fn there_and_back(config: &AccountConfig, home: &Path, location: &str) {
    let open = || {
        Store::new()
            .account(config)
            .unwrap()
            .mailbox("INBOX", at(10))
            .unwrap()
    };
    let mailbox = open();
    for flags in [
        Flags::NONE,
        Flags::SEEN,
        Flags::FLAGGED | Flags::ANSWERED,
        Flags::NONE,
    ] {
        append(&mailbox, flags);
    }
    mailbox
        .set_flags(
            &[2, 4],
            &FlagChange::add(Flags::DRAFT).with_keywords(["Work"]),
            None,
            at(10),
        )
        .unwrap();
    mailbox.expunge(&[1], at(10)).unwrap();
    let ours = rows(&mailbox);
    let validity = mailbox.snapshot().uid_validity;
    let seen = theirs(home, location).expect("doveadm must be installed");
    assert_eq!(seen, ours, "what Dovecot takes over");
    let status = doveadm(
        home,
        location,
        &["mailbox", "status", "uidvalidity uidnext", "INBOX"],
    )
    .unwrap();
    assert!(
        status.contains(&format!("uidvalidity={validity}")) && status.contains("uidnext=5"),
        "{status}"
    );

    // Dovecot changes the same mail, beside the open handle.
    doveadm(
        home,
        location,
        &[
            "flags",
            "add",
            "\\Seen Junk",
            "mailbox",
            "INBOX",
            "uid",
            "4",
        ],
    )
    .unwrap();
    doveadm(home, location, &["expunge", "mailbox", "INBOX", "uid", "3"]).unwrap();
    let file = home.join("message");
    std::fs::write(&file, MESSAGE).unwrap();
    doveadm(
        home,
        location,
        &["save", "-m", "INBOX", file.to_str().unwrap()],
    )
    .unwrap();
    let seen = theirs(home, location).unwrap();
    assert_eq!(seen.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(rows(&mailbox), seen, "what is found beside Dovecot");
    drop(mailbox);
    let mailbox = open();
    assert_eq!(rows(&mailbox), seen, "what is taken back");
    assert_eq!(mailbox.snapshot().uid_validity, validity);
    append(&mailbox, Flags::NONE);
    assert_eq!(
        theirs(home, location).unwrap().last().map(|row| row.0),
        Some(6)
    );
}

#[test]
fn maildir() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("Maildir");
    let location = format!("maildir:{}", root.display());
    there_and_back(
        &AccountConfig::maildir(&root, "host"),
        directory.path(),
        &location,
    );
}

#[test]
fn mbox() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let inbox = directory.path().join("inbox");
    let location = format!("mbox:{}:INBOX={}", root.display(), inbox.display());
    there_and_back(
        &AccountConfig::mbox(&root, &inbox, "host"),
        directory.path(),
        &location,
    );
}

fn interop() -> bool {
    std::env::var_os("POSTHASTE_INTEROP").is_some_and(|value| value == "1")
}

#[test]
fn fs_layout() {
    if !interop() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("Maildir");
    let location = format!("maildir:{}:LAYOUT=fs", root.display());
    let config = AccountConfig::maildir_fs(&root, "host");
    there_and_back(&config, directory.path(), &location);
    // The same mailboxes, whoever made them.
    let account = Store::new().account(&config).unwrap();
    for name in ["A/B", "INBOX/C", "x.y", "Entwürfe"] {
        account.create(name).unwrap();
    }
    let run = |arguments: &[&str]| doveadm(directory.path(), &location, arguments).unwrap();
    run(&["mailbox", "create", "A/D", "M"]);
    run(&["mailbox", "subscribe", "A/D"]);
    let mut theirs: Vec<String> = run(&["mailbox", "list"])
        .lines()
        .map(str::to_owned)
        .collect();
    let mut ours: Vec<String> = account
        .list()
        .unwrap()
        .into_iter()
        .map(|listed| listed.name)
        .collect();
    // Dovecot tells no level that is no mailbox here.
    theirs.sort();
    ours.sort();
    ours.retain(|name| theirs.contains(name) || !["A", "INBOX"].contains(&name.as_str()));
    assert_eq!(ours, theirs);
    assert_eq!(account.subscriptions().unwrap(), ["A/D"]);
    account.rename("A", "Z", at(10)).unwrap();
    assert!(run(&["mailbox", "list"]).contains("Z/D\n"));
    run(&["mailbox", "rename", "Z/D", "Z/E"]);
    assert!(account.exists("Z/E").unwrap() && !account.exists("Z/D").unwrap());
}

/// As `doveadm`, with more configuration.
fn doveadm_with(home: &Path, location: &str, more: &str, arguments: &[&str]) -> String {
    // The file is written by each call; what is more stands behind the location.
    doveadm(home, &format!("{location}\n{more}"), arguments).unwrap()
}

#[test]
fn quota() {
    if !interop() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("Maildir");
    let location = format!("maildir:{}", root.display());
    let rules = [
        "*:storage=1M:messages=100",
        "Trash:storage=+100K",
        "Junk:ignore",
    ];
    let mut config = AccountConfig::maildir(&root, "host");
    config.quota = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let more = format!(
        "mail_plugins = quota\nplugin {{\n  quota = maildir:User\n  quota_rule = {}\n  quota_rule2 = {}\n  quota_rule3 = {}\n}}\n",
        rules[0], rules[1], rules[2]
    );
    let run = |arguments: &[&str]| doveadm_with(directory.path(), &location, &more, arguments);
    let account = Store::new().account(&config).unwrap();
    let now = common::now();
    let inbox = account.mailbox("INBOX", now).unwrap();
    append(&inbox, Flags::NONE);
    append(&inbox, Flags::NONE);
    let theirs = || -> (u64, u64) {
        let text = run(&["-f", "tab", "quota", "get"]);
        let value = |name: &str| {
            let line = text.lines().find(|line| line.contains(name)).unwrap();
            line.split('\t').nth(2).unwrap().parse().unwrap()
        };
        (value("STORAGE"), value("MESSAGE"))
    };
    let ours = || {
        let used = account.quota(now).unwrap().unwrap().1;
        (used.storage.div_ceil(1024), used.messages)
    };
    let sums = || {
        let text = std::fs::read_to_string(root.join("maildirsize")).unwrap();
        assert!(text.starts_with("1048576S,100C\n"), "{text}");
        let add = |at: usize| -> i64 {
            let numbers = text
                .lines()
                .skip(1)
                .map(|line| line.split_whitespace().nth(at).unwrap());
            numbers.map(|number| number.parse::<i64>().unwrap()).sum()
        };
        (add(0), add(1))
    };
    let size = i64::try_from(MESSAGE.len()).unwrap() - 5;
    assert_eq!(sums(), (2 * size, 2));
    assert_eq!(theirs(), ours());
    // Each adds to the file of the other, and takes away from it.
    let file = directory.path().join("message");
    std::fs::write(&file, MESSAGE).unwrap();
    run(&["mailbox", "create", "Junk", "Trash"]);
    run(&["save", "-m", "INBOX", file.to_str().unwrap()]);
    run(&["save", "-m", "Junk", file.to_str().unwrap()]);
    run(&["save", "-m", "Trash", file.to_str().unwrap()]);
    run(&["expunge", "mailbox", "INBOX", "uid", "1"]);
    inbox.refresh(now).unwrap();
    inbox.expunge(&[2], now).unwrap();
    assert_eq!((theirs().1, ours().1), (2, 2));
    let counted = sums();
    run(&["quota", "recalc"]);
    assert_eq!(sums().1, counted.1);
    std::fs::remove_file(root.join("maildirsize")).unwrap();
    assert_eq!((ours().1, theirs().1), (2, 2));
    // What one of them finds full, the other does too.
    for _ in 0..98 {
        append(&inbox, Flags::NONE);
    }
    assert_eq!((ours().1, theirs().1), (100, 100));
    let full = inbox.append(now).and_then(|mut append| {
        append.write(MESSAGE)?;
        append.commit(AppendOptions::at(at(1)), now)
    });
    assert!(full.is_err());
}

/// A generator of small numbers, the same on every run.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn acl() {
    if !interop() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("Maildir");
    let location = format!("maildir:{}", root.display());
    let config = AccountConfig::maildir(&root, "host");
    let account = Store::new().account(&config).unwrap();
    account.create("Shared").unwrap();
    let file = root.join(".Shared/dovecot-acl");
    let names = [
        "anyone",
        "authenticated",
        "owner",
        "user=bob",
        "user=somebody",
        "group=g1",
        "group=g2",
        "group-override=g3",
        "group-override=g1",
        "user=carl",
    ];
    let (mut state, mut given) = (1, 0);
    for round in 0..60 {
        let mut text = String::new();
        for _ in 0..next(&mut state) % 7 {
            let minus = if next(&mut state).is_multiple_of(3) {
                "-"
            } else {
                ""
            };
            let name = names[usize::try_from(next(&mut state)).unwrap() % names.len()];
            let letters: String = "lrwstipekxa"
                .chars()
                .filter(|_| next(&mut state).is_multiple_of(2))
                .collect();
            if !text.contains(&format!("\n{minus}{name} "))
                && !text.starts_with(&format!("{minus}{name} "))
            {
                text.push_str(&format!("{minus}{name} {letters}\n"));
            }
        }
        std::fs::write(&file, &text).unwrap();
        let (user, groups) = [
            ("bob", &[][..]),
            ("bob", &["g1"][..]),
            ("bob", &["g1", "g2"][..]),
            ("carl", &["g3"][..]),
            ("somebody", &[][..]),
        ][round % 5];
        let more = format!(
            "mail_plugins = acl\nplugin {{\n  acl = vfile\n  acl_user = {user}\n  acl_groups = {}\n}}\n",
            groups.join(",")
        );
        let said = doveadm_with(
            directory.path(),
            &location,
            &more,
            &["-f", "tab", "acl", "rights", "Shared"],
        );
        let words = said.lines().nth(1).unwrap_or_default();
        let theirs: Vec<&str> = words.split_whitespace().collect();
        let who = mailstore::Principal {
            user: Some(user),
            groups,
            owner: user == "somebody",
        };
        let rights = account.acl("Shared").unwrap().rights_of(&who);
        let ours: Vec<&str> = mailstore::Rights::NAMES
            .iter()
            .filter(|(right, _, _)| rights.contains(*right))
            .map(|(_, _, name)| *name)
            .collect();
        assert_eq!(ours, theirs, "{user} {groups:?} by\n{text}");
        given += theirs.len();
    }
    assert!(given > 100, "{given}");
    // What is written here, Dovecot reads.
    let carl = mailstore::AclIdentifier::User("carl x".to_owned());
    std::fs::write(&file, "").unwrap();
    account
        .set_acl(
            "Shared",
            &carl,
            false,
            Some(mailstore::Rights::READ),
            common::now(),
        )
        .unwrap();
    let more = "mail_plugins = acl\nplugin {\n  acl = vfile\n}\n";
    let said = doveadm_with(directory.path(), &location, more, &["acl", "get", "Shared"]);
    assert!(said.contains("user=carl x"), "{said}");
}

const BUSY: &str = "POSTHASTE_TEST_BUSY";
const EACH: u32 = 12;

fn account(format: &str, home: &Path) -> (AccountConfig, String) {
    let (root, inbox) = (home.join("mail"), home.join("mail/inbox"));
    match format {
        "mbox" => {
            let location = format!("mbox:{}:INBOX={}", root.display(), inbox.display());
            (AccountConfig::mbox(&root, &inbox, "host"), location)
        }
        _ => {
            let location = format!("maildir:{}", root.display());
            (AccountConfig::maildir(&root, "host"), location)
        }
    }
}

/// What the process of `both_write_at_the_same_time` does; nothing unless it was started for that.
#[test]
fn a_busy_process() {
    let Some(home) = std::env::var_os(BUSY) else {
        return;
    };
    let format = std::env::var("POSTHASTE_TEST_FORMAT").unwrap();
    let (config, _) = account(&format, Path::new(&home));
    let store = Store::new().account(&config).unwrap();
    let mailbox = store.mailbox("INBOX", common::now()).unwrap();
    for _ in 0..EACH {
        let now = common::now();
        let mut append = mailbox.append(now).unwrap();
        append.write(MESSAGE).unwrap();
        let uid = append.commit(AppendOptions::at(now), now).unwrap().uid;
        let seen = FlagChange::add(Flags::SEEN);
        mailbox.set_flags(&[uid], &seen, None, now).unwrap();
        mailbox.refresh(now).unwrap();
    }
}

fn at_the_same_time(format: &str) {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let (config, location) = account(format, home);
    std::fs::create_dir(home.join("mail")).unwrap();
    if format == "mbox" {
        std::fs::write(home.join("mail/inbox"), "").unwrap();
    }
    // The test may be where only its owner may look.
    let program = home.join("busy");
    // Copied by another process: while this one had it open to write, a child of another test could have it too, and
    // what is open to be written cannot be run.
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let is_root = std::fs::metadata(home).unwrap().uid() == 0;
    if is_root {
        give_away(home);
    }
    let mut command = Command::new(&program);
    command
        .args(["--exact", "a_busy_process", "--test-threads=1"])
        .env(BUSY, home)
        .env("POSTHASTE_TEST_FORMAT", format)
        .current_dir(home);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut busy = command.spawn().unwrap();
    // All that is here belongs to whom Dovecot expects already, and comes and goes while it saves.
    for _ in 0..EACH {
        run_doveadm(home, &location, &["save"]).unwrap();
    }
    assert!(busy.wait().unwrap().success());
    let theirs = theirs(home, &location).unwrap();
    let store = Store::new().account(&config).unwrap();
    let mailbox = store.mailbox("INBOX", common::now()).unwrap();
    let ours = rows(&mailbox);
    if format == "maildir" {
        assert_eq!(ours, theirs);
    }
    // Of an mbox Dovecot looks at the size and the second of the last change: of flags that change in the second in
    // which it looked, it hears at the next change only.
    let uids = |rows: &[Row]| rows.iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(uids(&ours), uids(&theirs));
    let count = |flags| ours.iter().filter(|row| row.1 == flags).count();
    assert_eq!(
        (count(Flags::SEEN), count(Flags::NONE)),
        (EACH as usize, EACH as usize)
    );
}

#[test]
fn both_write_at_the_same_time() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    for format in ["maildir", "mbox"] {
        at_the_same_time(format);
    }
}
