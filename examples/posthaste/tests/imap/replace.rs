//! REPLACE (RFC 8508): one message comes, another goes, or neither.

use super::Imap;
use super::common::Server;

fn fill(imap: &mut Imap, mailbox: &str) {
    for number in 1..=4 {
        let message = format!("Subject: n{number}\r\n\r\n{number}\r\n");
        imap.append(mailbox, &message);
    }
}

#[test]
fn one_comes_and_one_goes() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    fill(&mut imap, "Drafts");
    // It is a command of the selected state alone (§3.5).
    assert!(
        imap.say("REPLACE 1 Drafts {9}")
            .last()
            .unwrap()
            .contains(" BAD ")
    );
    imap.ok("ENABLE IMAP4rev2");
    imap.ok("SELECT Drafts");
    imap.ok("STORE 2:3 +FLAGS.SILENT (\\Flagged)");
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    let mut other = Imap::login(&server, "alice");
    other.ok("ENABLE IMAP4rev2");
    other.ok("SELECT Drafts");
    // As in §3.2: the client is asked for the message.
    imap.talk.say("r REPLACE 3 Drafts (\\Seen \\Draft) {16}");
    assert!(imap.talk.line().starts_with("+ "));
    imap.talk.send(b"Subject: new\r\n\r\n\r\n");
    let told = imap.talk.until("r ");
    assert!(
        told[0].starts_with("* OK [APPENDUID ") && told[0].contains(" 5] "),
        "{told:?}"
    );
    assert_eq!(told[1..3], ["* 3 EXPUNGE", "* 4 EXISTS"]);
    assert!(told[3].starts_with("r OK ") && told.len() == 4, "{told:?}");
    // Nothing of the other one is inherited (§1); who is marked \\Deleted stays.
    assert_eq!(
        imap.ok("FETCH 1:* (UID FLAGS)")[..4],
        [
            "* 1 FETCH (UID 1 FLAGS (\\Deleted))",
            "* 2 FETCH (UID 2 FLAGS (\\Flagged))",
            "* 3 FETCH (UID 4 FLAGS ())",
            "* 4 FETCH (UID 5 FLAGS (\\Seen \\Draft))",
        ]
    );
    let news = other.ok("NOOP");
    assert_eq!(news[..2], ["* 3 EXPUNGE", "* 4 EXISTS"]);
    // By its UID, into another mailbox.
    let told = imap.ok("UID REPLACE 5 Sent (\\Seen) {14+}\r\nSubject: s\r\n\r\n");
    assert!(
        told[0].starts_with("* OK [APPENDUID ") && told[0].contains(" 1] "),
        "{told:?}"
    );
    assert_eq!(told[1], "* 4 EXPUNGE");
    let sent = imap.ok("STATUS Sent (MESSAGES)");
    assert_eq!(sent[0], "* STATUS Sent (MESSAGES 1)");
    // As UID EXPUNGE does, it tells how far the client has come (§4.5).
    imap.ok("ENABLE QRESYNC");
    let told = imap.ok("UID REPLACE 4 Drafts {14+}\r\nSubject: s\r\n\r\n");
    assert_eq!(told[1..3], ["* VANISHED 4", "* 3 EXISTS"]);
    let last = told.last().unwrap();
    assert!(last.contains(" OK [HIGHESTMODSEQ "), "{last}");
}

#[test]
fn or_neither() {
    let server = Server::start("quota_rule = [\"*:storage=100K:messages=5\"]\n");
    let mut imap = Imap::login(&server, "alice");
    fill(&mut imap, "Drafts");
    imap.append("Sent", "Subject: x\r\n\r\n");
    imap.ok("SELECT Drafts");
    let mut other = Imap::login(&server, "alice");
    other.ok("SELECT Drafts");
    let mut refused = |command: &str, code: &str| {
        let told = imap.say(command);
        let last = told.last().unwrap();
        assert!(last.contains(code), "{command}: {last}, not {code}");
        assert!(
            !told.iter().any(|line| line.contains("EXPUNGE")),
            "{told:?}"
        );
        let status = imap.ok("STATUS Drafts (MESSAGES UIDNEXT)");
        assert_eq!(
            status[0], "* STATUS Drafts (MESSAGES 4 UIDNEXT 5)",
            "{command}"
        );
    };
    refused("REPLACE 5 Drafts {3+}\r\nabc", " BAD ");
    refused("UID REPLACE 9 Drafts {3+}\r\nabc", " NO [NONEXISTENT] ");
    refused("REPLACE 1 Nowhere {3+}\r\nabc", " NO [TRYCREATE] ");
    refused("REPLACE 1 Drafts {0+}\r\n", " NO ");
    refused("REPLACE 1 Drafts {3+}\r\nabc {3+}\r\nabc", " BAD ");
    refused("REPLACE 1:2 Drafts {3+}\r\nabc", " BAD ");
    let large = "x".repeat(102_400);
    let large = format!("REPLACE 1 Drafts {{{}+}}\r\n{large}", large.len());
    refused(&large, " NO [OVERQUOTA] ");
    imap.ok("EXAMINE Drafts");
    assert!(imap.say("REPLACE 1 Drafts {3+}\r\nabc")[0].contains(" NO "));
    // The account is full; a message for a message fits (§3.4).
    imap.ok("SELECT Drafts");
    let full = imap.say("APPEND Drafts {3+}\r\nabc");
    assert!(full[0].contains(" NO [OVERQUOTA] "), "{full:?}");
    imap.ok("REPLACE 1 Drafts {3+}\r\nabc");
    // Who has not heard of it names what is gone.
    let told = other.say("REPLACE 1 Drafts {3+}\r\nabc");
    assert!(
        told.last().unwrap().contains(" NO [EXPUNGEISSUED] "),
        "{told:?}"
    );
    let status = imap.ok("STATUS Drafts (MESSAGES UIDNEXT)");
    assert_eq!(status[0], "* STATUS Drafts (MESSAGES 4 UIDNEXT 6)");
}
