//! Full accounts: what is told to whom.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;

use common::{PASSWORD, Server, Talk, files};

const MESSAGE: &str = "From: bob@example.org\r\nSubject: hello\r\n\r\nbody\r\n";

#[test]
fn mail_for_a_full_account_goes_back() {
    let server = Server::start("quota_rule = [\"*:messages=1\", \"Trash:messages=+1\"]\n");
    server.send("bob@example.org", "alice@example.org", MESSAGE);
    server.wait_until("the first message", || server.mail("alice").len() == 1);
    server.send("bob@example.org", "alice@example.org", MESSAGE);
    server.wait_until("the bounce", || {
        server
            .mail("bob")
            .iter()
            .any(|mail| mail.contains("5.2.2") && mail.contains("quota exceeded"))
    });
    assert_eq!(server.mail("alice").len(), 1);

    let mut imap = Talk::connect(server.ports.imap);
    imap.expect("* OK");
    imap.say(&format!("a login alice \"{PASSWORD}\""));
    imap.until("a ");
    imap.say(&format!(
        "b append INBOX {{{}+}}\r\n{MESSAGE}",
        MESSAGE.len()
    ));
    let refused = imap.until("b ").join("\n");
    assert!(refused.contains("NO [OVERQUOTA]"), "{refused}");
    imap.say(&format!(
        "c append Trash {{{}+}}\r\n{MESSAGE}",
        MESSAGE.len()
    ));
    let taken = imap.until("c ").join("\n");
    assert!(taken.contains("OK [APPENDUID"), "{taken}");
    imap.say("d GETQUOTAROOT INBOX");
    let told = imap.until("d ");
    assert_eq!(told[0], "* QUOTAROOT INBOX \"User quota\"");
    assert_eq!(told[1], "* QUOTA \"User quota\" (MESSAGE 2 1)");
    imap.say("e GETQUOTA \"User quota\"");
    assert_eq!(imap.until("e ")[0], told[1]);
    imap.say("f GETQUOTA other");
    assert!(imap.until("f ")[0].contains("NO [NONEXISTENT]"));
    imap.say("g GETQUOTAROOT Nowhere");
    assert!(imap.until("g ")[0].contains("NO [NONEXISTENT]"));
    imap.say("h SETQUOTA \"User quota\" (MESSAGE 9)");
    assert!(imap.until("h ")[0].contains("h BAD"));
    imap.say("i SELECT Trash");
    imap.until("i ");
    imap.say("j STORE 1 +FLAGS.SILENT (\\Deleted)");
    imap.until("j ");
    imap.say("k STATUS Trash (DELETED DELETED-STORAGE)");
    let status = format!(
        "* STATUS Trash (DELETED 1 DELETED-STORAGE {})",
        MESSAGE.len()
    );
    assert_eq!(imap.until("k ")[0], status);
    let size = fs::read_to_string(server.home("alice").join("Maildir/maildirsize")).unwrap();
    assert!(size.starts_with("1C\n"), "{size}");
}

#[test]
fn storage_is_told_in_its_units() {
    let server = Server::start("quota_rule = [\"*:storage=10240\"]\n");
    let mut imap = Talk::connect(server.ports.imap);
    imap.expect("* OK");
    imap.say(&format!("a login bob \"{PASSWORD}\""));
    imap.until("a ");
    imap.say("b GETQUOTAROOT INBOX");
    assert_eq!(
        imap.until("b ")[1],
        "* QUOTA \"User quota\" (STORAGE 0 10240)"
    );
    let large = "x".repeat(1500);
    imap.say(&format!("c append INBOX {{{}+}}\r\n{large}", large.len()));
    imap.until("c ");
    imap.say("d GETQUOTAROOT INBOX");
    assert_eq!(
        imap.until("d ")[1],
        "* QUOTA \"User quota\" (STORAGE 2 10240)"
    );
    // Without a limit there is nothing to tell.
    let server = Server::start("");
    let mut imap = Talk::connect(server.ports.imap);
    imap.expect("* OK");
    imap.say(&format!("a login bob \"{PASSWORD}\""));
    imap.until("a ");
    imap.say("b GETQUOTAROOT INBOX");
    let told = imap.until("b ");
    assert_eq!(told[0], "* QUOTAROOT INBOX");
    assert_eq!(told.len(), 2);
}

#[test]
fn mail_for_a_full_account_waits_where_it_is_told_to() {
    let server = Server::start("quota_rule = \"*:messages=1\"\nquota_full_tempfail = true\n");
    server.send("bob@example.org", "alice@example.org", MESSAGE);
    server.wait_until("the first message", || server.mail("alice").len() == 1);
    server.send("bob@example.org", "alice@example.org", MESSAGE);
    let queue = || {
        let output = server
            .command(&["queue", "list", "--json"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    server.wait_until("the second in the queue", || queue().contains("4.2.2"));
    for path in files(&server.home("alice").join("Maildir/new")) {
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(server.home("alice").join("Maildir/maildirsize")).unwrap();
    assert!(
        server
            .command(&["queue", "flush"])
            .status()
            .unwrap()
            .success()
    );
    server.wait_until("the second message", || server.mail("alice").len() == 1);
    assert!(server.mail("bob").is_empty());
}
