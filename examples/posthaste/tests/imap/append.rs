//! Several messages in one APPEND (RFC 3502): all of them or none.

use super::Imap;
use super::common::{Server, files, has_python, python};

/// What is not whole may wait in `tmp` alone, and not for long.
fn stored(server: &Server, user: &str) -> usize {
    let files = files(&server.home(user)).into_iter();
    let mail = files.filter(|path| {
        let folder = path.parent().unwrap();
        ["tmp", "new", "cur"]
            .iter()
            .any(|name| folder.ends_with(name))
    });
    mail.count()
}

fn message(number: usize) -> String {
    format!("Subject: n{number}\r\n\r\n{}\r\n", "x".repeat(number))
}

/// The messages of a command; the whole of it but its tag.
fn command(mailbox: &str, messages: &[String]) -> String {
    let mut command = format!("APPEND {mailbox}");
    for message in messages {
        command += &format!(" (\\Flagged) {{{}+}}\r\n{message}", message.len());
    }
    command
}

#[test]
fn several_in_their_order() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    imap.ok("ENABLE IMAP4rev2");
    imap.ok("SELECT INBOX");
    // Small ones, large ones, and one that is larger than what is held.
    let sizes = [10, 300_000, 20, 70_000, 70_000, 70_000, 70_000, 30];
    let messages: Vec<String> = sizes.into_iter().map(message).collect();
    let done = imap.ok(&command("INBOX", &messages));
    assert_eq!(done[0], "* 8 EXISTS");
    assert!(done.last().unwrap().contains("[APPENDUID "), "{done:?}");
    assert!(done.last().unwrap().contains(" 1:8] "), "{done:?}");
    let subjects = imap.ok("FETCH 1:* (UID FLAGS BODY.PEEK[])").join("\n");
    for (at, message) in messages.iter().enumerate() {
        let shown = format!(
            "* {0} FETCH (UID {0} FLAGS (\\Flagged) BODY[] {{{1}}}\n{2})",
            at + 1,
            message.len(),
            message.replace("\r\n", "\n")
        );
        assert!(subjects.contains(&shown), "{at}");
    }
    // Each with its own flags and date; waiting for the server to go on.
    imap.talk
        .say("w APPEND INBOX (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {16}");
    assert!(imap.talk.line().starts_with("+ "));
    imap.talk.send(b"Subject: one\r\n\r\n (kept) {16}\r\n");
    assert!(imap.talk.line().starts_with("+ "));
    imap.talk.send(b"Subject: two\r\n\r\n\r\n");
    let told = imap.talk.until("w ");
    assert!(told.last().unwrap().contains(" 9:10] "), "{told:?}");
    assert_eq!(
        imap.ok("FETCH 9:10 (FLAGS)")[..2],
        ["* 9 FETCH (FLAGS (\\Seen))", "* 10 FETCH (FLAGS (kept))"]
    );
    let first = imap.ok("FETCH 9 INTERNALDATE");
    assert!(first[0].contains("8-Feb-1994 06:43:04 +0000"), "{first:?}");
}

#[test]
fn all_or_none() {
    let server = Server::start("quota_rule = [\"*:storage=200K\"]\n");
    let mut imap = Imap::login(&server, "alice");
    let many: Vec<String> = (0..65).map(message).collect();
    let huge = 50 << 20;
    let mut refused = |command: &str, code: &str| {
        let told = imap.say(command);
        let last = told.last().unwrap();
        assert!(last.contains(code), "{last}, not {code}");
        let status = imap.ok("STATUS INBOX (MESSAGES UIDNEXT)");
        assert_eq!(status[0], "* STATUS INBOX (MESSAGES 0 UIDNEXT 1)", "{code}");
        assert_eq!(stored(&server, "alice"), 0, "{code}");
    };
    // The last one is over the account's room.
    let messages = [message(90_000), message(90_000), message(90_000)];
    refused(&command("INBOX", &messages), " NO [OVERQUOTA] ");
    // An empty message cancels, first or last.
    refused("APPEND INBOX {0+}\r\n", " NO ");
    let cancelled = command("INBOX", &[message(1), message(70_000)]) + " {0+}\r\n";
    refused(&cancelled, " NO ");
    // What comes behind is no message, or wrong.
    let odd = command("INBOX", &messages[..1]) + " nonsense";
    refused(&odd, " BAD ");
    let odd = command("INBOX", &messages[..1]) + " (\\Seen {3+}\r\nabc)";
    refused(&odd, " BAD ");
    // Bounds.
    refused(&command("INBOX", &many), " NO [LIMIT] ");
    let large = command("INBOX", &many[..2]) + &format!(" {{{huge}}}");
    refused(&large, " NO [TOOBIG] ");
    let none = command("Nowhere", &many[..3]);
    refused(&none, " NO [TRYCREATE] ");
    // A client that goes away in between.
    let mut other = Imap::login(&server, "alice");
    let begun = command("INBOX", &[message(150_000), message(150_000)]);
    other
        .talk
        .send(format!("x {begun} {{90000+}}\r\nabc").as_bytes());
    server.wait_until("it is on its way", || stored(&server, "alice") > 1);
    drop(other);
    server.wait_until("nothing is left of it", || stored(&server, "alice") == 0);
    refused("NOOP", " OK ");
    // As many as there may be.
    let done = imap.ok(&command("INBOX", &many[..64]));
    assert!(done.last().unwrap().contains(" 1:64] "), "{done:?}");
    assert_eq!(stored(&server, "alice"), 64);
}

/// By Python's imaplib, which sends each message when it is asked to.
#[test]
fn synchronized_by_imaplib() {
    if !has_python() {
        return;
    }
    let server = Server::start("");
    let output = python(
        &server,
        r#"
import imaplib, os
imap = imaplib.IMAP4("127.0.0.1", int(os.environ["IMAP"]))
assert "MULTIAPPEND" in imap.capabilities, imap.capabilities
imap.login("alice", "correct horse")
messages = [b"Subject: %d\r\n\r\n%d\r\n" % (n, n) for n in range(20)]
rest = iter(messages[1:])

class Literals:
    """What imaplib asks at each `+`: this literal, and the announcement of the next."""
    def __call__(self, _):
        message = self.next
        self.next = next(rest, None)
        return message + (b" {%d}" % len(self.next) if self.next else b"")

literals = Literals()
literals.next = messages[0]
# imaplib announces what it is given; the first is announced by hand.
tag = imap._new_tag()
imap.send(tag + b" APPEND INBOX {%d}\r\n" % len(messages[0]))
while literals.next:
    assert imap.readline().startswith(b"+"), "no go-ahead"
    imap.send(literals(None) + b"\r\n")
line = imap.readline()
assert line.startswith(tag + b" OK [APPENDUID "), line
assert b" 1:20]" in line, line
imap.select("INBOX")
typ, data = imap.fetch("1:*", "(RFC822)")
assert [part[1] for part in data if isinstance(part, tuple)] == messages
imap.logout()
print("done")
"#,
    );
    assert!(output.contains("done"), "{output}");
}
