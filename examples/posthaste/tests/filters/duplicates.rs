//! What scripts know messages and their senders again by (RFC 7352, RFC 5230).

use std::fs;

use super::common::{Server, files};
use super::{filter, sieve};

const SCRIPT: &str = "require \"duplicate\";\nif duplicate { discard; stop; }\n";

fn post(server: &Server, to: &str, id: &str, subject: &str) {
    let message = format!("Message-ID: <{id}@example.org>\r\nSubject: {subject}\r\n\r\nx");
    server.send("a@example.com", to, &message);
}

fn ended(server: &Server, count: usize) {
    server.wait_until("the end of the deliveries", || {
        server.log().matches("removed").count() >= count
    });
}

/// A server whose mailboxes have room for one message, and two scripts for
/// each delivery to alice.
fn narrow(script: &str) -> Server {
    let server = Server::start(
        "quota_rule = \"*:messages=1\"\nquota_full_tempfail = true\nsieve_before = [\"before.sieve\"]\n",
    );
    fs::write(server.path("before.sieve"), script).unwrap();
    sieve(&server, script);
    server
}

/// Waits until a message waits for room, makes some for alice, and has it tried again.
fn make_room(server: &Server) {
    let queue = || {
        let listed = server.command(&["queue", "list", "--json"]).output();
        String::from_utf8(listed.unwrap().stdout).unwrap()
    };
    server.wait_until("a message that waits", || queue().contains("4.2.2"));
    for path in files(&server.home("alice").join("Maildir/new")) {
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(server.home("alice").join("Maildir/maildirsize")).unwrap();
    let flushed = server.command(&["queue", "flush"]).status().unwrap();
    assert!(flushed.success());
}

#[test]
fn no_delivery_is_a_duplicate_of_itself() {
    let server = narrow(SCRIPT);
    // Both scripts of one delivery ask.
    post(&server, "alice@example.org", "1", "first");
    ended(&server, 1);
    let mail = server.mail("alice");
    assert_eq!(mail.len(), 1);
    assert!(mail[0].contains("Subject: first"), "{mail:?}");
    // The second is tried twice.
    post(&server, "alice@example.org", "2", "second");
    make_room(&server);
    ended(&server, 2);
    let mail = server.mail("alice");
    assert_eq!(mail.len(), 1);
    assert!(mail[0].contains("Subject: second"), "{mail:?}");
    // It is known now.
    post(&server, "alice@example.org", "2", "third");
    ended(&server, 3);
    assert_eq!(server.mail("alice"), mail);
}

#[test]
fn the_sender_is_answered_when_the_second_try_delivers() {
    let server = narrow(
        "require \"vacation\";\nvacation :handle \"away\" :addresses \"alice@example.org\" \"Away.\";\n",
    );
    let to = "From: bob@example.org\r\nTo: alice@example.org\r\n";
    // Nobody is there to be answered.
    server.send(
        "",
        "alice@example.org",
        &format!("{to}Subject: first\r\n\r\nx"),
    );
    ended(&server, 1);
    let second = format!("{to}Subject: second\r\n\r\nx");
    server.send("bob@example.org", "alice@example.org", &second);
    make_room(&server);
    // The message and its answer: one, of two scripts that give it.
    ended(&server, 3);
    let mail = server.mail("alice");
    assert!(
        mail.len() == 1 && mail[0].contains("Subject: second"),
        "{mail:?}"
    );
    let answers = server.mail("bob");
    assert!(
        answers.len() == 1 && answers[0].contains("Away."),
        "{answers:?}"
    );
}

#[test]
fn duplicates_are_known_before_procmail() {
    let server = Server::start("sieve_before = [\"before.sieve\"]\n");
    fs::write(server.path("before.sieve"), SCRIPT).unwrap();
    filter(&server, "bob", ".procmailrc", ":0\n$DEFAULT\n");
    for (at, (id, subject)) in [("1", "first"), ("1", "again"), ("2", "other")]
        .iter()
        .enumerate()
    {
        post(&server, "bob@example.org", id, subject);
        ended(&server, at + 1);
    }
    let mail = server.mail("bob");
    assert_eq!(mail.len(), 2, "{mail:?}");
    assert!(!mail.iter().any(|one| one.contains("again")), "{mail:?}");
}
