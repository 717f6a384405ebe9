//! What the documents say is so: the files that they name exist, the RFC
//! ledger lists what the server advertises, and what is advertised works.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{PASSWORD, Server, Talk};

const LEDGER: &str = "docs/rfc-ledger.md";

/// Documents for people, seen from the root.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    LEDGER,
    "docs/format.md",
    "benches/README.md",
    "examples/posthaste/README.md",
    "fuzz/README.md",
    "imap-proto/README.md",
    "mailstore/README.md",
    "mime/README.md",
    "net/README.md",
    "pop3-proto/README.md",
    "procmail-rules/README.md",
    "proto-core/README.md",
    "sieve/README.md",
    "smtp-proto/README.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// What stands between two of `open` and `close` on one line.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    let pieces = text.lines().flat_map(move |line| line.split(open).skip(1));
    pieces.filter_map(move |piece| piece.split_once(close).map(|(inner, _)| inner))
}

#[test]
fn files_that_are_linked_exist() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root().join(document);
        let folder = folder.parent().unwrap();
        for link in between(&text, "](", ")") {
            let (path, _) = link.split_once('#').unwrap_or((link, ""));
            if !path.is_empty() && !path.contains("://") {
                assert!(folder.join(path).exists(), "{document} links {link}");
            }
        }
    }
}

#[test]
fn files_that_are_named_exist() {
    let members: Vec<String> = read("Cargo.toml")
        .lines()
        .map(|line| line.trim_matches([' ', '"', ',']))
        .filter(|name| root().join(name).join("Cargo.toml").is_file())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(members.len() > 10, "{members:?}");
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", LEDGER] {
        let text = read(document);
        let mut named = 0;
        for span in text
            .lines()
            .flat_map(|line| line.split('`').skip(1).step_by(2))
        {
            let is_path = members
                .iter()
                .any(|member| span.starts_with(&format!("{member}/")));
            if is_path || span.starts_with("docs/") {
                assert!(root().join(span).exists(), "{document} names {span}");
                named += 1;
            }
        }
        assert!(named > 0, "{document} names no file");
    }
}

/// The tests that the ledger names beside their files are in them.
#[test]
fn tests_that_are_named_exist() {
    let ledger = read(LEDGER);
    for row in ledger.lines().filter(|line| line.starts_with("| ")) {
        for (at, _) in row.match_indices("` (") {
            let Some((name, _)) = row[at + 3..].split_once(')') else {
                continue;
            };
            if !name
                .bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet == b'_' || octet.is_ascii_digit())
            {
                continue;
            }
            let file = row[..at].rsplit('`').next().unwrap();
            let source = read(file);
            assert!(source.contains(&format!("fn {name}")), "{file}: no {name}");
        }
    }
}

/// The keywords of one service in the ledger's last section.
fn in_ledger(service: &str) -> BTreeSet<String> {
    let ledger = read(LEDGER);
    let (_, section) = ledger.split_once("## What the server advertises").unwrap();
    let start = format!("| {service} | `");
    let rows = section.lines().filter_map(|line| line.strip_prefix(&start));
    rows.filter_map(|row| row.split_once('`'))
        .map(|(keyword, _)| keyword.to_owned())
        .collect()
}

fn first_words<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let words = lines.into_iter().filter_map(|line| line.split(' ').next());
    words.map(str::to_owned).collect()
}

fn ehlo(port: u16) -> BTreeSet<String> {
    let mut smtp = Talk::connect(port);
    smtp.expect("220");
    smtp.say("EHLO client.example");
    let offer = smtp.expect("250");
    first_words(offer.lines().skip(1).map(|line| &line[4..]))
}

fn imap_capabilities(port: u16) -> BTreeSet<String> {
    let mut imap = Talk::connect(port);
    imap.line();
    imap.say("a CAPABILITY");
    let lines = imap.until("a ");
    let names = lines[0].strip_prefix("* CAPABILITY ").unwrap().split(' ');
    let limitless = names.map(|name| match name.split_once('=') {
        Some(("APPENDLIMIT", _)) => "APPENDLIMIT",
        _ => name,
    });
    limitless.map(str::to_owned).collect()
}

fn capa(port: u16) -> BTreeSet<String> {
    let mut pop3 = Talk::connect(port);
    pop3.line();
    pop3.say("CAPA");
    assert!(pop3.line().starts_with("+OK"));
    let lines = pop3.until_dot();
    first_words(lines.iter().map(String::as_str))
}

/// ManageSieve's keywords, and the extensions of the language.
fn sieve_capabilities(port: u16) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut sieve = Talk::connect(port);
    let lines = sieve.until("OK");
    let mut keywords = BTreeSet::new();
    let mut extensions = BTreeSet::new();
    for line in lines.iter().filter(|line| line.starts_with('"')) {
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        if quoted[0] == "SIEVE" {
            extensions.extend(quoted[1].split(' ').map(str::to_owned));
        }
        keywords.insert(quoted[0].to_owned());
    }
    (keywords, extensions)
}

#[test]
fn advertised() {
    let server = Server::start("smtpd_tls_auth_only = false\n");
    let ports = server.ports;
    assert_eq!(ehlo(ports.smtp), in_ledger("smtp"));
    assert_eq!(ehlo(ports.submission), in_ledger("submission"));
    assert_eq!(imap_capabilities(ports.imap), in_ledger("imap"));
    assert_eq!(capa(ports.pop3), in_ledger("pop3"));
    let (keywords, extensions) = sieve_capabilities(ports.managesieve);
    assert_eq!(keywords, in_ledger("managesieve"));
    assert_eq!(extensions, in_ledger("sieve"));
}

/// One command for each IMAP extension that is offered.
#[test]
fn what_is_offered_is_done() {
    let server = Server::start("");
    server.send(
        "a@example.com",
        "bob@example.org",
        "Subject: one\r\n\r\nfirst\r\n",
    );
    let new = server.home("bob").join("Maildir/new");
    server.wait_until("the delivery", || {
        fs::read_dir(&new).is_ok_and(|mut files| files.next().is_some())
    });
    let mut imap = Talk::connect(server.ports.imap);
    imap.line();
    // SASL-IR, PLAIN.
    let login = data_encoding::BASE64.encode(format!("\0bob\0{PASSWORD}").as_bytes());
    imap.say(&format!("a AUTHENTICATE PLAIN {login}"));
    assert!(imap.until("a ")[0].starts_with("a OK"));
    for (command, answer) in [
        ("ENABLE IMAP4rev2", "* ENABLED IMAP4rev2"),
        ("NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL NIL"),
        ("ID NIL", "* ID (\"name\" \"posthaste\""),
        (
            "LIST \"\" INBOX RETURN (CHILDREN)",
            "* LIST (\\HasNoChildren) \"/\" INBOX",
        ),
        (
            "LIST \"\" Sent RETURN (SUBSCRIBED SPECIAL-USE)",
            "* LIST (\\HasNoChildren \\Subscribed \\Sent) \"/\" Sent",
        ),
        ("LIST (SPECIAL-USE) \"\" *", "\\Trash) \"/\" Trash"),
        (
            "LIST \"\" INBOX RETURN (STATUS (MESSAGES))",
            "* STATUS INBOX (MESSAGES 1)",
        ),
        (
            "STATUS INBOX (MESSAGES SIZE)",
            "* STATUS INBOX (MESSAGES 1 SIZE ",
        ),
        ("SELECT INBOX", "* LIST () \"/\" INBOX"),
        ("SEARCH RETURN (MIN COUNT SAVE) ALL", "MIN 1 COUNT 1"),
        (
            "FETCH $ (UID BINARY.SIZE[1])",
            "* 1 FETCH (UID 1 BINARY.SIZE[1] 9)",
        ),
        ("SEARCH YOUNGER 3600", "ALL 1"),
        ("APPEND Sent {14+}\r\nSubject: x\r\n\r\n", "[APPENDUID "),
        ("APPEND Sent ~{14+}\r\nSubject: y\r\n\r\n", "[APPENDUID "),
        ("MOVE 1 Archive", "* OK [COPYUID "),
        ("UID EXPUNGE 1", "OK"),
        ("UNSELECT", "OK"),
    ] {
        imap.say(&format!("b {command}"));
        let lines = imap.until("b ");
        let done = lines.last().unwrap().starts_with("b OK");
        assert!(done, "{command}: {lines:?}");
        let told = lines.iter().any(|line| line.contains(answer));
        assert!(told, "{command}: {lines:?}");
    }
}

/// The session in the README shows every listener where it is by default.
#[test]
fn the_readme_shows_the_listeners() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    let shown = Command::new(env!("CARGO_BIN_EXE_posthaste"))
        .arg("--data")
        .arg(folder.path())
        .args(["config", "show"])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let mut listeners = 0;
    for line in shown.lines() {
        let Some((service, address)) = line
            .strip_prefix("listen_")
            .and_then(|line| line.split_once(" = "))
        else {
            continue;
        };
        let address = address.trim_matches(['[', ']', '"']);
        if address.is_empty() {
            continue;
        }
        let row = format!("  {service:<12} {address:<22} ");
        assert!(readme.contains(&row), "{row:?} is not in the README");
        listeners += 1;
    }
    assert_eq!(listeners, 8);
}
