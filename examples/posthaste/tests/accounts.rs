//! Accounts from the users file, as mail and logins meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs
)]

mod common;

use std::fs;

use common::{DOMAIN, PASSWORD, Server, Talk};

const MESSAGE: &str = "From: bob@example.org\r\nSubject: hello\r\n\r\nbody\r\n";

/// How many messages POP3 shows to `user`.
fn count(server: &Server, user: &str) -> usize {
    let mut pop3 = Talk::connect(server.ports.pop3);
    pop3.expect("+OK");
    pop3.say(&format!("USER {user}"));
    pop3.expect("+OK");
    pop3.say(&format!("PASS {PASSWORD}"));
    pop3.expect("+OK");
    pop3.say("STAT");
    let answer = pop3.expect("+OK");
    pop3.say("QUIT");
    pop3.expect("+OK");
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_home_folder_from_the_users_file() {
    let server = Server::start("");
    let users = server.path("users");
    let text = fs::read_to_string(&users).unwrap();
    let hash = text
        .lines()
        .find_map(|line| line.strip_prefix("bob:"))
        .unwrap();
    // Read while the server runs; a relative home begins at the data folder.
    fs::write(&users, format!("{text}carol:{hash}::::elsewhere/carol:\n")).unwrap();
    server.send("bob@example.org", &format!("carol@{DOMAIN}"), MESSAGE);
    server.wait_until("mail for carol", || count(&server, "carol") == 1);
    assert!(server.path("elsewhere/carol/Maildir").is_dir());
    assert!(!server.home("carol").exists());
}

#[test]
fn names_in_any_case_are_one_account() {
    let server = Server::start("");
    server.send("bob@example.org", &format!("ALICE@{DOMAIN}"), MESSAGE);
    server.send("bob@example.org", &format!("alice@{DOMAIN}"), MESSAGE);
    for login in ["alice", "Alice", &format!("alice@{DOMAIN}")] {
        server.wait_until("mail for alice", || count(&server, login) == 2);
    }
    assert!(!server.home("ALICE").exists() && !server.home("Alice").exists());
}
