//! METADATA (RFC 5464): annotations that clients set and read.

use super::Imap;
use super::common::{Server, has_python, python};

#[test]
fn set_and_read() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    imap.ok("SETMETADATA INBOX (/private/comment \"mine\" /Shared/Comment {11+}\r\ntwo\r\nlines.)");
    let both = imap.ok("GETMETADATA INBOX (/shared/comment /PRIVATE/comment)");
    assert_eq!(
        both[..4],
        [
            "* METADATA INBOX (/private/comment \"mine\")",
            "* METADATA INBOX (/shared/comment {11}",
            "two",
            "lines.)",
        ]
    );
    // What is not there has no value.
    let none = imap.ok("GETMETADATA Sent /private/comment");
    assert_eq!(none[0], "* METADATA Sent (/private/comment NIL)");
    // Octets of any kind, and none.
    imap.ok("SETMETADATA Sent (/private/vendor/x/a ~{3+}\r\na\0b /private/vendor/x/b \"\")");
    let octets = imap.ok("GETMETADATA Sent (/private/vendor/x/a /private/vendor/x/b)");
    assert_eq!(octets[0], "* METADATA Sent (/private/vendor/x/a ~{3}");
    assert_eq!(octets[2], "* METADATA Sent (/private/vendor/x/b \"\")");
    // Options, on either side of the name (§4.2, §5).
    imap.ok("SETMETADATA Sent (/private/vendor/x/a/b \"one\" /private/vendor/x/a/b/c \"two\")");
    let names = |lines: Vec<String>| -> Vec<String> {
        let told = lines
            .iter()
            .filter_map(|line| line.strip_prefix("* METADATA Sent ("));
        told.map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let depth = |depth: &str| format!("GETMETADATA Sent (DEPTH {depth}) /private/vendor/x/a");
    let a = "/private/vendor/x/a".to_owned();
    assert_eq!(names(imap.ok(&depth("0"))), std::slice::from_ref(&a));
    assert_eq!(names(imap.ok(&depth("1"))), [a.clone(), format!("{a}/b")]);
    assert_eq!(
        names(imap.ok(&depth("infinity"))),
        [a.clone(), format!("{a}/b"), format!("{a}/b/c")]
    );
    let all = imap.ok("GETMETADATA (DEPTH infinity) Sent (/private /shared)");
    assert_eq!(names(all).len(), 5);
    imap.ok("SETMETADATA Sent (/shared/comment \"0123456789\")");
    let short =
        imap.ok("GETMETADATA Sent (MAXSIZE 9 DEPTH infinity) (/shared /private/vendor/x/a/b)");
    assert_eq!(names(short.clone()), [format!("{a}/b"), format!("{a}/b/c")]);
    assert!(
        short
            .last()
            .unwrap()
            .contains(" OK [METADATA LONGENTRIES 10] "),
        "{short:?}"
    );
    // Taken away, and none of them where one cannot be.
    imap.ok("SETMETADATA INBOX (/private/comment NIL)");
    let gone = imap.ok("GETMETADATA INBOX /private/comment");
    assert_eq!(gone[0], "* METADATA INBOX (/private/comment NIL)");
    // They go with their mailbox, and with it.
    imap.ok("CREATE Plans");
    imap.ok("SETMETADATA Plans (/shared/comment \"secret\")");
    imap.ok("RENAME Plans Old");
    let moved = imap.ok("GETMETADATA Old /shared/comment");
    assert_eq!(moved[0], "* METADATA Old (/shared/comment \"secret\")");
    imap.ok("DELETE Old");
    assert!(imap.say("GETMETADATA Old /shared/comment")[0].contains(" NO [NONEXISTENT] "));
    imap.ok("CREATE Old");
    let anew = imap.ok("GETMETADATA Old /shared/comment");
    assert_eq!(anew[0], "* METADATA Old (/shared/comment NIL)");
    // Of the server: everybody has their own.
    imap.ok("SETMETADATA \"\" (/private/vendor/x/theme \"dark\")");
    let theme = "GETMETADATA \"\" /private/vendor/x/theme";
    assert_eq!(
        imap.ok(theme)[0],
        "* METADATA \"\" (/private/vendor/x/theme \"dark\")"
    );
    let mut bob = Imap::login(&server, "bob");
    assert_eq!(
        bob.ok(theme)[0],
        "* METADATA \"\" (/private/vendor/x/theme NIL)"
    );
    // It outlives the server.
    let mut server = server;
    server.stop();
    server.run();
    let mut imap = Imap::login(&server, "alice");
    assert_eq!(
        imap.ok(theme)[0],
        "* METADATA \"\" (/private/vendor/x/theme \"dark\")"
    );
    // No news of others are sent, so there are none to enable (§4.1).
    assert_eq!(imap.ok("ENABLE METADATA")[0], "* ENABLED");
}

#[test]
fn refused() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    let mut refused = |command: &str, code: &str| {
        let told = imap.say(command);
        let last = told.last().unwrap();
        assert!(last.contains(code), "{command}: {last}, not {code}");
    };
    refused(
        "SETMETADATA Nowhere (/private/comment \"x\")",
        " NO [NONEXISTENT] ",
    );
    refused("GETMETADATA Nowhere /private/comment", " NO [NONEXISTENT] ");
    refused("SETMETADATA \"\" (/shared/comment \"x\")", " NO [NOPERM] ");
    for entry in [
        "/comment",
        "/private",
        "/private//x",
        "/private/x/",
        "/private/a*",
        "/private/vendor/x",
    ] {
        refused(&format!("SETMETADATA INBOX ({entry} \"x\")"), " BAD ");
    }
    refused("GETMETADATA INBOX /other/x", " BAD ");
    refused("GETMETADATA INBOX (DEPTH 2) /private/x", " BAD ");
    // The other one of the command stays as it is, too.
    let large = "x".repeat(65_537);
    let large = format!("SETMETADATA INBOX (/private/a \"y\" /private/b {{65537+}}\r\n{large})");
    refused(&large, " NO [METADATA MAXSIZE 65536] ");
    refused(
        "SETMETADATA INBOX (/private/a \"y\" /private/specialuse \"\\\\Odd\")",
        " NO [USEATTR] ",
    );
    let none = imap.ok("GETMETADATA INBOX /private/a");
    assert_eq!(none[0], "* METADATA INBOX (/private/a NIL)");
    // As many as there may be, and as much.
    let entries = |from: usize, to: usize| {
        let entries = (from..to).map(|number| format!("/private/n{number} \"x\""));
        format!(
            "SETMETADATA INBOX ({})",
            entries.collect::<Vec<_>>().join(" ")
        )
    };
    imap.ok(&entries(0, 1000));
    let told = imap.say(&entries(1000, 1001));
    assert!(told[0].contains(" NO [METADATA TOOMANY] "), "{told:?}");
    imap.ok(&entries(0, 1000).replace("\"x\"", "NIL"));
    let value = format!("{{65536+}}\r\n{}", "y".repeat(65_536));
    let last = (0..17).find(|number| {
        let told = imap.say(&format!("SETMETADATA INBOX (/private/n{number} {value})"));
        told[0].contains(" NO [METADATA TOOMANY] ")
    });
    assert_eq!(last, Some(15));
    // All that there is comes, though it is much.
    let all = imap.ok("GETMETADATA INBOX (DEPTH infinity) /private");
    let octets: usize = all.iter().map(String::len).sum();
    assert!(octets > 15 * 65_536, "{octets}");
}

/// RFC 6154 §4, §5.4.
#[test]
fn special_uses() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    let sent = imap.ok("GETMETADATA Sent /private/specialuse");
    assert_eq!(
        sent[0],
        "* METADATA Sent (/private/specialuse \"\\\\Sent\")"
    );
    imap.ok("CREATE Important");
    imap.ok("SETMETADATA Important (/private/specialuse \"\\\\Flagged\")");
    let listed = imap.ok("LIST \"\" Important RETURN (SPECIAL-USE)");
    assert!(
        listed[0].contains("\\Flagged) \"/\" Important"),
        "{listed:?}"
    );
    imap.ok("SETMETADATA Important (/private/specialuse NIL)");
    let listed = imap.ok("LIST \"\" Important RETURN (SPECIAL-USE)");
    assert!(!listed[0].contains("\\Flagged"), "{listed:?}");
    let kept = imap.say("SETMETADATA Sent (/private/specialuse NIL)");
    assert!(kept[0].contains(" NO [CANNOT] "), "{kept:?}");
}

/// As a script may ask for it with Python's imaplib.
#[test]
fn by_imaplib() {
    if !has_python() {
        return;
    }
    let server = Server::start("");
    let output = python(
        &server,
        r#"
import imaplib, os
for name in ("GETMETADATA", "SETMETADATA"):
    imaplib.Commands[name] = ("AUTH", "SELECTED")
imap = imaplib.IMAP4("127.0.0.1", int(os.environ["IMAP"]))
imap.login("alice", "correct horse")
typ, data = imap.capability()
assert b" METADATA" in data[0], data
typ, data = imap.xatom("SETMETADATA", "INBOX", '(/private/comment "a comment")')
assert typ == "OK", data
typ, data = imap.xatom("GETMETADATA", "INBOX", "/private/comment")
assert typ == "OK", data
typ, data = imap.response("METADATA")
assert data == [b'INBOX (/private/comment "a comment")'], data
imap.logout()
print("done")
"#,
    );
    assert!(output.contains("done"), "{output}");
}
