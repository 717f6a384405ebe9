//! `posthaste mailbox` as a person calls it, beside a server and cut short.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::{PASSWORD, Server, Talk, files};

/// A command that must succeed; what it said.
fn ok(server: &Server, arguments: &[&str]) -> String {
    let output = server
        .command(&[&["mailbox"], arguments].concat())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    assert!(error.is_empty(), "no terminal, no bar: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// One that must fail; what it said of it.
fn fails(server: &Server, arguments: &[&str]) -> String {
    let output = server
        .command(&[&["mailbox"], arguments].concat())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An mbox of so many messages.
fn mbox(path: &Path, messages: usize) {
    let message = |number: usize| {
        let status = ["O", "RO"][number % 2];
        format!(
            "From a@example.org Thu Nov 12 13:{:02}:15 2026\nSubject: {number}\nStatus: {status}\n\nbody {number}\n\n",
            number % 60
        )
    };
    fs::write(path, (0..messages).map(message).collect::<String>()).unwrap();
}

/// Subjects of the messages in files, and how often each is there.
fn subjects(paths: &[PathBuf]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        for line in text
            .lines()
            .filter_map(|line| line.strip_prefix("Subject: "))
        {
            *found.entry(line.to_owned()).or_default() += 1;
        }
    }
    found
}

fn maildir(folder: &Path) -> Vec<PathBuf> {
    ["new", "cur"]
        .iter()
        .flat_map(|directory| files(&folder.join(directory)))
        .collect()
}

#[test]
fn mailboxes_are_listed_made_renamed_and_deleted() {
    let server = Server::prepare("");
    assert_eq!(ok(&server, &["list", "alice"]), "INBOX\n");
    ok(&server, &["create", "alice", "Work/2026"]);
    assert_eq!(
        ok(&server, &["list", "alice"]),
        "INBOX\nWork (only a level)\nWork/2026\n"
    );
    ok(&server, &["rename", "alice", "Work", "Arbeit"]);
    assert!(fails(&server, &["create", "alice", "Arbeit/2026"]).contains("exists"));
    assert!(fails(&server, &["delete", "alice", "INBOX"]).contains("INBOX"));
    assert!(fails(&server, &["delete", "alice", "Work"]).contains("no mailbox"));
    assert!(fails(&server, &["list", "nobody"]).contains("no such user"));
    let source = server.path("source");
    mbox(&source, 3);
    let said = ok(
        &server,
        &["import", "alice", text(&source), "--into", "Arbeit/2026"],
    );
    assert_eq!(said, "3 copied, 0 there already, 0 not read\n");
    let status = ok(&server, &["status", "alice", "Arbeit/2026"]);
    assert!(
        status.starts_with("Arbeit/2026: messages 3 unseen 2 size ")
            && status.contains(" uidnext 4 uidvalidity "),
        "{status}"
    );
    ok(&server, &["delete", "alice", "Arbeit/2026"]);
    assert_eq!(ok(&server, &["list", "alice"]), "INBOX\n");
    assert_eq!(ok(&server, &["list", "alice", "--subscribed"]), "");
}

#[test]
fn what_a_running_server_shows() {
    let server = Server::start("quota_rule = \"*:messages=100\"\n");
    let source = server.path("source");
    mbox(&source, 4);
    let mut imap = Talk::connect(server.ports.imap);
    imap.expect("* OK");
    imap.say(&format!("a login alice \"{PASSWORD}\""));
    imap.until("a ");
    imap.say("b select INBOX");
    imap.until("b ");
    ok(&server, &["import", "alice", text(&source)]);
    imap.say("c noop");
    let told = imap.until("c ").join("\n");
    assert!(told.contains("* 4 EXISTS"), "{told}");
    // Their dates and flags are those of the mbox.
    imap.say("d fetch 1:2 (FLAGS INTERNALDATE)");
    let told = imap.until("d ").join("\n");
    assert!(told.contains("12-Nov-2026 13:01:15 +0000"), "{told}");
    assert!(told.contains("\\Seen"), "{told}");
    ok(&server, &["create", "alice", "Made"]);
    imap.say("e list \"\" Made");
    assert!(imap.until("e ").join("\n").contains("Made"));
    // And the other way round.
    imap.say("f store 1 +flags.silent (\\Deleted)");
    imap.until("f ");
    imap.say("g expunge");
    imap.until("g ");
    let status = ok(&server, &["status", "alice", "INBOX"]);
    assert!(
        status.starts_with("INBOX: messages 3 unseen 1 "),
        "{status}"
    );
    assert!(status.contains("\nquota: storage "), "{status}");
    assert!(status.ends_with(" messages 3/100\n"), "{status}");
    assert_eq!(ok(&server, &["verify", "alice", "INBOX"]), "INBOX: sound\n");
    ok(&server, &["repair", "alice"]);
    imap.say("h fetch 1:* (UID)");
    assert_eq!(imap.until("h ").len(), 4);
    // More than the account may hold.
    mbox(&source, 120);
    assert!(fails(&server, &["import", "alice", text(&source)]).contains("quota of 100"));
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    const MESSAGES: usize = 1500;
    let server = Server::prepare("");
    let source = server.path("source");
    mbox(&source, MESSAGES);
    let inbox = server.home("alice").join("Maildir");
    let import_parts = || {
        for part in [100, 600] {
            let mut child = server
                .command(&["mailbox", "import", "alice", text(&source)])
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            while maildir(&inbox).len() < part && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let there = maildir(&inbox).len();
        assert!(there >= 600, "{there} of them");
        there < MESSAGES
    };
    // While nobody looks, it may get to its end; then it is begun anew.
    let mut tries = 1..100;
    while !import_parts() {
        assert!(tries.next().is_some(), "it is always faster than the test");
        fs::remove_dir_all(&inbox).unwrap();
    }
    let said = ok(&server, &["import", "alice", text(&source)]);
    assert!(said.ends_with(" there already, 0 not read\n"), "{said}");
    let found = subjects(&maildir(&inbox));
    assert_eq!(found.len(), MESSAGES);
    assert!(found.values().all(|count| *count == 1));
    assert_eq!(
        ok(&server, &["import", "alice", text(&source)]),
        format!("0 copied, {MESSAGES} there already, 0 not read\n")
    );
    assert_eq!(ok(&server, &["verify", "alice"]), "INBOX: sound\n");
    let status = ok(&server, &["status", "alice"]);
    assert!(
        status.starts_with(&format!(
            "INBOX: messages {MESSAGES} unseen {} ",
            MESSAGES / 2
        )),
        "{status}"
    );
}

#[test]
fn an_export_that_is_killed_goes_on_where_it_was() {
    const MESSAGES: usize = 200;
    let server = Server::prepare("");
    let source = server.path("source");
    mbox(&source, MESSAGES);
    ok(&server, &["import", "alice", text(&source)]);
    ok(&server, &["create", "alice", "A/B"]);
    ok(
        &server,
        &["import", "alice", text(&source), "--into", "A/B"],
    );
    for format in ["eml", "mh", "mbox", "maildir-fs"] {
        let folder = server.path(format);
        let export = ["export", "alice", text(&folder), "--format", format];
        let octets = || -> u64 {
            let sizes = files(&folder)
                .into_iter()
                .chain(maildir(&folder))
                .map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()));
            sizes.sum()
        };
        let mut child = server
            .command(&[&["mailbox"][..], &export].concat())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while octets() < 6_000 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        ok(&server, &export);
        let messages: Vec<PathBuf> = match format {
            "mbox" => vec![folder.join("INBOX")],
            "maildir-fs" => maildir(&folder),
            _ => files(&folder)
                .into_iter()
                .filter(|path| path.parent() == Some(folder.as_path()))
                .collect(),
        };
        let found = subjects(&messages);
        assert_eq!(found.len(), MESSAGES, "{format}");
        assert!(found.values().all(|count| *count == 1), "{format}");
        assert_eq!(
            ok(&server, &export),
            format!("0 copied, {} there already, 0 not read\n", 2 * MESSAGES),
            "{format}"
        );
        // And back, with the flags.
        assert_eq!(
            ok(&server, &["import", "bob", text(&folder), "--into", format]),
            format!("{} copied, 0 there already, 0 not read\n", 2 * MESSAGES)
        );
        let status = ok(&server, &["status", "bob", &format!("{format}/A/B")]);
        let wanted = format!("messages {MESSAGES} unseen {} ", MESSAGES / 2);
        assert!(status.contains(&wanted), "{status}");
    }
}

#[test]
fn an_account_changes_its_format_and_keeps_its_uids() {
    let mut server = Server::prepare("");
    let source = server.path("source");
    mbox(&source, 20);
    ok(&server, &["create", "alice", "Sent"]);
    ok(
        &server,
        &["import", "alice", text(&source), "--into", "Sent"],
    );
    ok(&server, &["import", "alice", text(&source)]);
    let before = ok(&server, &["status", "alice"]);
    let said = ok(&server, &["convert", "alice", "mbox:~/mail:INBOX=~/inbox"]);
    assert_eq!(said, "40 copied, 0 there already, 0 not read\n");
    let said = ok(&server, &["convert", "alice", "mbox:~/mail:INBOX=~/inbox"]);
    assert_eq!(said, "0 copied, 40 there already, 0 not read\n");
    assert!(fails(&server, &["convert", "alice", "maildir:~/Maildir"]).contains("there already"));
    assert!(fails(&server, &["convert", "alice", "dbox:~/x"]).contains("maildir: or mbox:"));
    let config = server.path("posthaste.toml");
    let more = "mail_location = \"mbox:~/mail:INBOX=~/inbox\"\n";
    fs::write(&config, fs::read_to_string(&config).unwrap() + more).unwrap();
    let after = ok(&server, &["status", "alice"]);
    let uids = |status: &str| -> Vec<String> {
        let lines = status.lines();
        lines
            .map(|line| line.split(" highestmodseq").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(uids(&after), uids(&before));
    assert_eq!(
        ok(&server, &["verify", "alice"]),
        "INBOX: sound\nSent: sound\n"
    );
    server.run();
    let mut imap = Talk::connect(server.ports.imap);
    imap.expect("* OK");
    imap.say(&format!("a login alice \"{PASSWORD}\""));
    imap.until("a ");
    imap.say("b status Sent (MESSAGES)");
    assert!(imap.until("b ").join("\n").contains("MESSAGES 20"));
}

#[test]
fn damage_is_told_and_mended() {
    let server = Server::prepare("");
    let source = server.path("source");
    mbox(&source, 3);
    ok(&server, &["import", "alice", text(&source)]);
    let inbox = server.home("alice").join("Maildir");
    let path = maildir(&inbox).remove(0);
    let mut content = fs::read_to_string(&path).unwrap();
    content.push_str("more\n");
    fs::write(&path, content).unwrap();
    let output = server
        .command(&["mailbox", "verify", "alice"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("INBOX: found: "), "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("1 found; "));
    let said = ok(&server, &["repair", "alice"]);
    assert!(said.starts_with("INBOX: mended: "), "{said}");
    assert_eq!(ok(&server, &["verify", "alice"]), "INBOX: sound\n");
    // What cannot be read is told, and the rest comes.
    let folder = server.path("letters");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.eml"), "A: b\r\n\r\nc\r\n").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("b.eml")).unwrap();
    let error = fails(&server, &["import", "alice", text(&folder)]);
    assert!(error.contains("b.eml: not read: open "), "{error}");
    let status = ok(&server, &["status", "alice", "INBOX"]);
    assert!(status.starts_with("INBOX: messages 4 "), "{status}");
    let error = fails(
        &server,
        &["import", "alice", text(&server.path("homeless"))],
    );
    assert!(error.contains("homeless"), "{error}");
    let empty = server.path("empty");
    fs::create_dir(&empty).unwrap();
    let error = fails(&server, &["import", "alice", text(&empty)]);
    assert!(error.contains("--format"), "{error}");
}
