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

fn mail_of(server: &Server, user: &str) -> Vec<String> {
    let maildir = server.home(user).join("Maildir");
    let both = ["new", "cur"].map(|directory| files(&maildir.join(directory)));
    let read = |path: &std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    both.concat().iter().map(read).collect()
}

#[test]
fn mail_for_a_full_account_goes_back() {
    let server = Server::start("quota_rule = [\"*:messages=1\", \"Trash:messages=+1\"]\n");
    server.send("bob@example.org", "alice@example.org", MESSAGE);
    server.wait_until("the first message", || mail_of(&server, "alice").len() == 1);
    server.send("bob@example.org", "alice@example.org", MESSAGE);
    server.wait_until("the bounce", || {
        mail_of(&server, "bob")
            .iter()
            .any(|mail| mail.contains("5.2.2") && mail.contains("quota exceeded"))
    });
    assert_eq!(mail_of(&server, "alice").len(), 1);

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
    let size = fs::read_to_string(server.home("alice").join("Maildir/maildirsize")).unwrap();
    assert!(size.starts_with("1C\n"), "{size}");
}

#[test]
fn mail_for_a_full_account_waits_where_it_is_told_to() {
    let server = Server::start("quota_rule = \"*:messages=1\"\nquota_full_tempfail = true\n");
    server.send("bob@example.org", "alice@example.org", MESSAGE);
    server.wait_until("the first message", || mail_of(&server, "alice").len() == 1);
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
    server.wait_until("the second message", || {
        mail_of(&server, "alice").len() == 1
    });
    assert!(mail_of(&server, "bob").is_empty());
}
