//! IMAP word by word: what each command of the base answers on the wire.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "imap/append.rs"]
mod append;
mod common;
#[path = "imap/compress.rs"]
mod compress;
#[path = "imap/metadata.rs"]
mod metadata;
#[path = "imap/object_ids.rs"]
mod object_ids;
#[path = "imap/order.rs"]
mod order;
#[path = "imap/peers.rs"]
mod peers;
#[path = "imap/replace.rs"]
mod replace;
#[path = "imap/resync.rs"]
mod resync;
#[path = "imap/unauthenticate.rs"]
mod unauthenticate;

use common::{PASSWORD, Server, Talk};

/// A logged-in session that counts its tags.
struct Imap {
    talk: Talk,
    tag: u32,
}

impl Imap {
    fn login(server: &Server, user: &str) -> Self {
        let mut imap = Self {
            talk: Talk::connect(server.ports.imap),
            tag: 0,
        };
        assert!(imap.talk.line().starts_with("* OK [CAPABILITY "));
        imap.ok(&format!("LOGIN {user} \"{PASSWORD}\""));
        imap
    }

    /// All lines of the answer, the tagged one last.
    fn say(&mut self, command: &str) -> Vec<String> {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        self.talk.say(&format!("{tag}{command}"));
        self.talk.until(&tag)
    }

    /// The untagged lines of a command that must succeed.
    fn ok(&mut self, command: &str) -> Vec<String> {
        let mut lines = self.say(command);
        let last = lines.pop().unwrap();
        assert!(last.contains(" OK "), "{command}: {last}");
        lines.push(last);
        lines
    }

    fn append(&mut self, mailbox: &str, message: &str) -> String {
        let command = format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len());
        self.ok(&command).pop().unwrap()
    }
}

const NESTED: &str = "From: \"Joe Q. Public\" <john.q.public@example.com>\r\n\
    To: Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>\r\n\
    Cc: A Group:Ed Jones <joe@where.test>;\r\n\
    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Date: Tue, 1 Jul 2003 10:52:37 +0200\r\n\
    Message-ID: <5678.21-Nov-1997@example.com>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=C3=B6n\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: inner\r\nFrom: in@example.com\r\n\r\ninner text\r\n\
    --b\r\nContent-Type: application/octet-stream; name=x.bin\r\n\
    Content-Disposition: attachment; filename=x.bin\r\n\
    Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n";

#[test]
fn each_item_of_fetch() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    let appended = imap.append("INBOX", NESTED);
    assert!(appended.contains("[APPENDUID "), "{appended}");
    imap.ok("SELECT INBOX");
    let mut shows = |item: &str, expected: &str| {
        let lines = imap.ok(&format!("FETCH 1 {item}"));
        let all = lines.join("\n");
        assert!(all.contains(expected), "{item}:\n{all}\nwithout {expected}");
    };
    shows("FAST", &format!("RFC822.SIZE {}", NESTED.len()));
    shows(
        "ENVELOPE",
        "ENVELOPE (\"Tue, 1 Jul 2003 10:52:37 +0200\" \"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\" \
         ((\"Joe Q. Public\" NIL \"john.q.public\" \"example.com\")) \
         ((\"Joe Q. Public\" NIL \"john.q.public\" \"example.com\")) \
         ((\"Joe Q. Public\" NIL \"john.q.public\" \"example.com\")) \
         ((\"Mary Smith\" NIL \"mary\" \"x.test\")(NIL NIL \"jdoe\" \"example.org\")\
         (\"Who?\" NIL \"one\" \"y.test\")) \
         ((NIL NIL \"A Group\" NIL)(\"Ed Jones\" NIL \"joe\" \"where.test\")(NIL NIL NIL NIL)) \
         NIL NIL \"<5678.21-Nov-1997@example.com>\")",
    );
    shows(
        "BODY",
        "BODY ((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"QUOTED-PRINTABLE\" 10 0)\
         (\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 50 (NIL \"inner\" ",
    );
    shows("BODYSTRUCTURE", "(\"ATTACHMENT\" (\"FILENAME\" \"x.bin\"))");
    shows("BODY.PEEK[1]", "BODY[1] {10}\nsch=C3=B6n)");
    shows(
        "BODY.PEEK[1.MIME]",
        "BODY[1.MIME] {88}\nContent-Type: text/plain",
    );
    shows("BODY.PEEK[2.HEADER]", "BODY[2.HEADER] {40}\nSubject: inner");
    shows("BODY.PEEK[2.TEXT]", "BODY[2.TEXT] {10}\ninner text)");
    shows("BODY.PEEK[2.1]", "BODY[2.1] {10}\ninner text)");
    shows("BODY.PEEK[9]", "BODY[9] NIL");
    shows("BODY.PEEK[]<0.4>", "BODY[]<0> {4}\nFrom)");
    shows("BODY.PEEK[]<99999.4>", "BODY[]<99999> {0}");
    shows(
        "BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)]",
        "BODY[HEADER.FIELDS (SUBJECT DATE)] {78}\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nDate: ",
    );
    shows(
        "BODY.PEEK[HEADER.FIELDS.NOT (FROM TO CC)]",
        "Subject: =?utf-8",
    );
    shows("BINARY.PEEK[3]", "BINARY[3] ~{5}\nhello)");
    shows("BINARY.SIZE[3]", "BINARY.SIZE[3] 5");
    shows("RFC822.HEADER", "RFC822.HEADER {");
    shows("RFC822.SIZE", &format!("RFC822.SIZE {}", NESTED.len()));
    // Nothing so far was a reading of the message; this is.
    shows("FLAGS", "FLAGS ()");
    shows("BODY[TEXT]", "FLAGS (\\Seen)");
    shows("RFC822", &format!("RFC822 {{{}}}\nFrom: ", NESTED.len()));
    shows("RFC822.TEXT", "RFC822.TEXT {");
}

#[test]
fn what_nobody_can_decode_is_refused() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    imap.append(
        "INBOX",
        "Subject: x\r\nContent-Transfer-Encoding: x-odd\r\n\r\n???\r\n",
    );
    imap.ok("SELECT INBOX");
    for item in ["BINARY.PEEK[1]", "BINARY.SIZE[1]"] {
        let lines = imap.say(&format!("FETCH 1 {item}"));
        assert!(lines[0].contains(" NO [UNKNOWN-CTE] "), "{lines:?}");
    }
    assert!(imap.ok("FETCH 1 BODY.PEEK[1]")[0].contains("BODY[1] {5}"));
}

#[test]
fn a_list_opens_no_message() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    for subject in ["one", "two", "three"] {
        imap.append(
            "INBOX",
            &NESTED.replace("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", subject),
        );
    }
    imap.ok("SELECT INBOX");
    // With the text beside them they are made from the message itself.
    let from_index =
        "ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[HEADER.FIELDS (SUBJECT FROM MESSAGE-ID)]";
    let both = imap.ok(&format!("FETCH 1:* (BODY.PEEK[TEXT]<0.1> {from_index})"));
    let list = format!("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE {from_index})");
    let listed = imap.ok(&list);
    let searched = imap.ok("SEARCH OR SUBJECT two SENTSINCE 1-Jan-2020");
    assert_eq!(searched[0], "* SEARCH 2");
    let items = |lines: &[String]| -> Vec<String> {
        let text = lines.join("\n");
        let items = text.split("ENVELOPE ").skip(1);
        let own = |item: &str| {
            item.split("\n* ")
                .next()?
                .split("\nt")
                .next()
                .map(str::to_owned)
        };
        items.filter_map(own).collect()
    };
    assert_eq!(items(&listed).len(), 3);
    assert_eq!(items(&listed), items(&both));
    // What cannot be read any more is told all the same.
    let mail = common::files(&server.home("alice"));
    let mail: Vec<_> = mail
        .iter()
        .filter(|path| path.parent().unwrap().ends_with("cur"))
        .collect();
    assert_eq!(mail.len(), 3);
    for path in mail {
        std::fs::write(path, "").unwrap();
    }
    let untagged = |mut lines: Vec<String>| {
        lines.pop();
        lines
    };
    assert_eq!(untagged(imap.ok(&list)), untagged(listed.clone()));
    assert_eq!(
        imap.ok("SEARCH OR SUBJECT two SENTSINCE 1-Jan-2020")[0],
        "* SEARCH 2"
    );
    // To another session too.
    let mut other = Imap::login(&server, "alice");
    other.ok("EXAMINE INBOX");
    assert_eq!(untagged(other.ok(&list)), untagged(listed));
}

#[test]
fn a_large_message_streams() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n";
    let body = line.repeat(96 * 1024);
    let message = format!(
        "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\n{body}--b\r\nContent-Type: text/plain\r\n\r\nlast\r\n--b--\r\n"
    );
    imap.append("INBOX", &message);
    imap.ok("SELECT INBOX");
    let whole = imap.ok("FETCH 1 (BODY.PEEK[] UID)");
    assert_eq!(whole[0], format!("* 1 FETCH (BODY[] {{{}}}", message.len()));
    let got: usize = whole[1..whole.len() - 2]
        .iter()
        .map(|line| line.len() + 2)
        .sum();
    assert_eq!(got, message.len());
    assert_eq!(whole[whole.len() - 2], " UID 1)");
    let second = imap.ok("FETCH 1 BODY.PEEK[2]");
    assert_eq!(second[..2], ["* 1 FETCH (BODY[2] {4}", "last)"]);
    let lines = body.len() / line.len();
    let structure = imap.ok("FETCH 1 BODYSTRUCTURE");
    assert!(
        structure[0].contains(&format!(" {} {}", body.len() - 2, lines - 1)),
        "{}",
        structure[0]
    );
    let middle = imap.ok("FETCH 1 BODY.PEEK[1]<3200000.10>");
    assert_eq!(middle[0], "* 1 FETCH (BODY[1]<3200000> {10}");
    assert_eq!(middle[1], "0123456789)");
}

#[test]
fn mailboxes() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    let namespace = imap.ok("NAMESPACE");
    assert_eq!(namespace[0], "* NAMESPACE ((\"\" \"/\")) NIL NIL");
    assert!(imap.ok("ID NIL")[0].starts_with("* ID (\"name\" \"posthaste\""));
    assert_eq!(
        imap.ok("LIST \"\" \"\"")[0],
        "* LIST (\\Noselect) \"/\" \"\""
    );
    let all = imap.ok("LIST \"\" *").join("\n");
    assert!(
        all.contains("\\Sent) \"/\" Sent") && all.contains("\"/\" INBOX"),
        "{all}"
    );
    imap.ok("CREATE Projects/2026/spring");
    imap.ok("CREATE \"Entw&APw-rfe\"");
    let again = imap.say("CREATE projects/../x");
    assert!(again[0].contains(" NO "), "{again:?}");
    assert!(imap.say("CREATE Projects/2026/spring")[0].contains("NO [ALREADYEXISTS]"));
    let percent = imap.ok("LIST \"\" Projects/%").join("\n");
    assert!(
        percent.contains("Projects/2026") && !percent.contains("spring"),
        "{percent}"
    );
    assert!(imap.say("CREATE Nowhere (USE (\\Sent \\Junk))")[0].contains(" NO [USEATTR]"));
    assert!(imap.say("CREATE Nowhere (USE (\\Odd))")[0].contains(" NO [USEATTR]"));
    imap.ok("CREATE Important (USE (\\Flagged))");
    let flagged = imap.ok("LIST \"\" Important RETURN (SPECIAL-USE)");
    assert!(
        flagged[0].contains("\\Flagged) \"/\" Important"),
        "{flagged:?}"
    );
    imap.ok("DELETE Important");
    let special = imap.ok("LIST (SPECIAL-USE) \"\" *");
    assert_eq!(special.len(), 6, "{special:?}");
    let status = imap.ok("LIST \"\" Projects/2026/spring RETURN (STATUS (MESSAGES UIDNEXT))");
    assert!(
        status[1].starts_with("* STATUS Projects/2026/spring (MESSAGES 0 UIDNEXT 1"),
        "{status:?}"
    );
    let limit = imap.ok("STATUS INBOX (APPENDLIMIT)");
    assert_eq!(limit[0], "* STATUS INBOX (APPENDLIMIT 52428800)");
    imap.ok("SUBSCRIBE Projects/2026/spring");
    let subscribed = imap.ok("LSUB \"\" Projects*");
    assert_eq!(subscribed[0], "* LSUB () \"/\" Projects/2026/spring");
    imap.ok("RENAME Projects Archived");
    let renamed = imap.ok("LIST \"\" Archived*").join("\n");
    assert!(renamed.contains("Archived/2026/spring"), "{renamed}");
    imap.ok("DELETE Archived/2026/spring");
    assert!(imap.say("DELETE INBOX")[0].contains(" NO "));
    assert!(imap.say("SELECT Archived/2026/spring")[0].contains("NO [NONEXISTENT]"));
    // Renaming INBOX moves its messages and leaves it there.
    imap.append("INBOX", "Subject: x\r\n\r\nx\r\n");
    imap.ok("RENAME INBOX Old");
    let old = imap.ok("STATUS Old (MESSAGES)");
    assert_eq!(old[0], "* STATUS Old (MESSAGES 1)");
    let inbox = imap.ok("STATUS INBOX (MESSAGES)");
    assert_eq!(inbox[0], "* STATUS INBOX (MESSAGES 0)");
    // Everything is there after a restart, UIDs too.
    let before = imap.ok("STATUS Old (UIDNEXT UIDVALIDITY)");
    let mut server = server;
    server.stop();
    server.run();
    let mut imap = Imap::login(&server, "alice");
    assert_eq!(imap.ok("STATUS Old (UIDNEXT UIDVALIDITY)")[0], before[0]);
}

#[test]
fn flags_copies_moves_and_expunges() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    for number in 1..=5 {
        imap.append("INBOX", &format!("Subject: n{number}\r\n\r\n{number}\r\n"));
    }
    let selected = imap.ok("SELECT INBOX");
    assert!(selected.last().unwrap().contains("OK [READ-WRITE]"));
    assert!(
        selected
            .iter()
            .any(|line| line.contains("[PERMANENTFLAGS (") && line.contains("\\*)"))
    );
    assert_eq!(
        imap.ok("STORE 2:3 +FLAGS (\\Flagged $Junk)")[..2],
        [
            "* 2 FETCH (FLAGS (\\Flagged $Junk))",
            "* 3 FETCH (FLAGS (\\Flagged $Junk))"
        ]
    );
    assert_eq!(imap.ok("STORE 2 -FLAGS.SILENT ($Junk)").len(), 1);
    assert_eq!(
        imap.ok("UID STORE 4 FLAGS (\\Draft)")[0],
        "* 4 FETCH (UID 4 FLAGS (\\Draft))"
    );
    let copied = imap.ok("COPY 2:4 Archive").pop().unwrap();
    assert!(
        copied.contains("[COPYUID ") && copied.contains(" 2:4 1:3]"),
        "{copied}"
    );
    assert!(imap.say("COPY 1 Nowhere")[0].contains("NO [TRYCREATE]"));
    let moved = imap.ok("MOVE 1 Trash");
    assert!(
        moved[0].contains("OK [COPYUID ") && moved[0].contains(" 1 1]"),
        "{moved:?}"
    );
    assert_eq!(moved[1], "* 1 EXPUNGE");
    // UIDs are now 2, 3, 4, 5 under the numbers 1 to 4.
    imap.ok("STORE 1,4 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(imap.ok("UID EXPUNGE 5")[0], "* 4 EXPUNGE");
    assert_eq!(imap.ok("SEARCH DELETED")[0], "* SEARCH 1");
    assert_eq!(imap.ok("UID SEARCH NOT DELETED")[0], "* SEARCH 3 4");
    // A session that was not told keeps its numbers until it is.
    let mut other = Imap::login(&server, "alice");
    other.ok("SELECT INBOX");
    assert_eq!(imap.ok("EXPUNGE")[0], "* 1 EXPUNGE");
    let fetched = other.ok("FETCH 2 UID");
    assert_eq!(fetched[0], "* 2 FETCH (UID 3)");
    assert!(
        !fetched.iter().any(|line| line.contains("EXPUNGE")),
        "{fetched:?}"
    );
    assert_eq!(other.ok("NOOP")[0], "* 1 EXPUNGE");
    assert!(imap.ok("UNSELECT")[0].contains("OK"));
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1:* +FLAGS (\\Deleted)");
    imap.ok("CLOSE");
    assert_eq!(
        imap.ok("STATUS INBOX (MESSAGES UIDNEXT)")[0],
        "* STATUS INBOX (MESSAGES 0 UIDNEXT 6)"
    );
}

#[test]
fn searches() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    imap.append("INBOX", NESTED);
    imap.append("INBOX", "From: b@example.com\r\nSubject: plain\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\nneedle here\r\n");
    imap.append(
        "INBOX",
        &format!("Subject: big\r\n\r\n{}\r\n", "x".repeat(5000)),
    );
    imap.ok("SELECT INBOX");
    imap.ok("STORE 2 +FLAGS (\\Answered project)");
    let mut finds = |key: &str, numbers: &str| {
        let lines = imap.ok(&format!("SEARCH {key}"));
        assert_eq!(lines[0], format!("* SEARCH{numbers}"), "{key}");
    };
    finds("ALL", " 1 2 3");
    finds("CHARSET UTF-8 SUBJECT {6+}\r\nGRÜß", " 1");
    finds("CHARSET UTF-8 SUBJECT {6+}\r\nGRÜSS", "");
    finds("CHARSET UTF-8 BODY {6+}\r\nschön", " 1");
    finds("BODY NEEDLE", " 2");
    finds("TEXT inner", " 1");
    finds("FROM b@example.com", " 2");
    finds("CC jones", " 1");
    finds("HEADER Message-ID 5678", " 1");
    finds("ANSWERED KEYWORD project", " 2");
    finds("OR SUBJECT big SUBJECT plain", " 2 3");
    finds("NOT (OR SUBJECT big SUBJECT plain)", " 1");
    finds("LARGER 4000", " 3");
    finds("SENTON 2-Nov-2026", " 2");
    finds("SENTBEFORE 1-Jan-2004", " 1");
    finds("SINCE 1-Jan-2020", " 1 2 3");
    finds("2:* UID 1:2", " 2");
    let returned = imap.ok("SEARCH RETURN (MIN MAX COUNT) SUBJECT i");
    assert_eq!(returned[0], "* ESEARCH (TAG \"t24\") MIN 2 MAX 3 COUNT 2");
    imap.ok("SEARCH RETURN (SAVE) SUBJECT big");
    assert_eq!(imap.ok("FETCH $ UID")[0], "* 3 FETCH (UID 3)");
    assert!(imap.say("SEARCH CHARSET KOI8-R ALL")[0].contains("NO [BADCHARSET (US-ASCII UTF-8)]"));
    assert!(imap.say("SEARCH 9")[0].contains(" BAD "));
}
