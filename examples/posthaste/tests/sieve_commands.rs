//! `posthaste sieve`, as people run it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn interop() -> bool {
    std::env::var_os("POSTHASTE_INTEROP").is_some_and(|value| value == "1")
}

fn posthaste(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_posthaste"))
        .arg("sieve")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn count(folder: &Path) -> usize {
    ["new", "cur"]
        .iter()
        .filter_map(|part| fs::read_dir(folder.join(part)).ok())
        .map(Iterator::count)
        .sum()
}

const SCRIPT: &str = "require [\"fileinto\", \"mailbox\", \"imap4flags\", \"editheader\"];\n\
    if header :is \"subject\" \"list\" { fileinto :create :flags \"$list\" \"lists\"; }\n\
    elsif header :is \"subject\" \"flag\" { keep :flags \"\\\\Flagged\"; }\n\
    elsif header :is \"subject\" \"gone\" { discard; }\n\
    elsif header :is \"subject\" \"away\" { redirect \"a@example.org\"; }\n\
    elsif header :is \"subject\" \"edit\" { addheader \"X-Added\" \"yes\"; }\n";

#[test]
fn stored_mail_is_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = folder.path().join("Maildir");
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(maildir.join(part)).unwrap();
    }
    for (at, subject) in ["list", "flag", "gone", "away", "edit", "stay"]
        .iter()
        .enumerate()
    {
        fs::write(
            maildir.join(format!("new/170000000{at}.M1P1.host")),
            format!("From: a@example.org\nSubject: {subject}\n\nText.\n"),
        )
        .unwrap();
    }
    let script = folder.path().join("x.sieve");
    fs::write(&script, SCRIPT).unwrap();
    let (script, store) = (script.to_str().unwrap(), maildir.to_str().unwrap());

    let dry = posthaste(&["filter", script, store]);
    let told = text(&dry.stdout);
    assert!(dry.status.success(), "{}", text(&dry.stderr));
    assert!(
        told.contains("fileinto \"lists\", flags $list, created if missing"),
        "{told}"
    );
    assert!(told.contains("6 messages, 5 would be changed"), "{told}");
    assert_eq!(count(&maildir), 6);
    assert!(!maildir.join(".lists").exists());

    let done = posthaste(&["filter", "--execute", script, store]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("6 messages, 5 changed"));
    assert_eq!(count(&maildir.join(".lists")), 1);
    // What is discarded stays unless that is asked for; mail is not sent again.
    assert_eq!(count(&maildir), 5);
    let inbox: Vec<String> = ["new", "cur"]
        .iter()
        .flat_map(|part| fs::read_dir(maildir.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|path| format!("{}\n{}", path.display(), fs::read_to_string(&path).unwrap()))
        .collect();
    assert_eq!(
        inbox
            .iter()
            .filter(|mail| mail.contains("X-Added: yes"))
            .count(),
        1
    );
    let flagged = inbox
        .iter()
        .find(|mail| mail.contains("Subject: flag"))
        .unwrap();
    assert!(
        flagged.lines().next().unwrap().contains(":2,F"),
        "{flagged}"
    );

    let done = posthaste(&["filter", "--execute", "--discard", script, store]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(count(&maildir), 4);

    // By the id that Dovecot knows the mailbox by, whatever its name.
    let known = fs::read_to_string(maildir.join(".lists/dovecot-uidlist")).unwrap();
    let (_, id) = known.lines().next().unwrap().split_once(" G").unwrap();
    let id = format!("F{}", id.split(' ').next().unwrap());
    let source = format!(
        "require [\"fileinto\", \"mailboxid\"];\n\
         if not mailboxidexists \"{id}\" {{ discard; }} elsif mailboxidexists [\"{id}\", \"F0\"] {{ discard; }}\n\
         elsif header :is \"subject\" \"stay\" {{ fileinto :mailboxid \"{id}\" \"elsewhere\"; }}\n"
    );
    fs::write(script, source).unwrap();
    let done = posthaste(&["filter", "--execute", script, store]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!((count(&maildir), count(&maildir.join(".lists"))), (3, 2));
}

#[test]
fn an_mbox_is_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    fs::write(
        &inbox,
        "From a@example.org Mon May  4 12:00:00 2026\nFrom: a@example.org\nSubject: list\n\nText.\n\n\
         From a@example.org Mon May  4 12:00:01 2026\nFrom: a@example.org\nSubject: stay\n\nText.\n\n",
    )
    .unwrap();
    let script = folder.path().join("x.sieve");
    fs::write(&script, SCRIPT).unwrap();
    let done = posthaste(&[
        "filter",
        "--execute",
        script.to_str().unwrap(),
        inbox.to_str().unwrap(),
    ]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let left = fs::read_to_string(&inbox).unwrap();
    assert!(
        left.contains("Subject: stay") && !left.contains("Subject: list"),
        "{left}"
    );
    let moved = fs::read_to_string(folder.path().join("mail/lists")).unwrap();
    assert!(moved.contains("Subject: list"), "{moved}");
}

#[test]
fn runs_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (script, mail) = (folder.path().join("x.sieve"), folder.path().join("mail"));
    fs::write(&script, SCRIPT).unwrap();
    fs::write(&mail, "From: a@example.org\r\nSubject: flag\r\n\r\n").unwrap();
    let ran = posthaste(&[
        "run",
        "--trace",
        script.to_str().unwrap(),
        mail.to_str().unwrap(),
    ]);
    let told = text(&ran.stdout);
    assert!(told.contains("2: header [\"flag\"] -> false"), "{told}");
    assert!(told.contains("3: header [\"flag\"] -> true"), "{told}");
    assert!(told.contains("keep in INBOX, flags \\Flagged"), "{told}");
    // Not to a terminal: no colours.
    assert!(!told.contains('\u{1b}'), "{told}");
    fs::write(&script, "fileinto \"x\";\nkep;\n").unwrap();
    let ran = posthaste(&["check", script.to_str().unwrap()]);
    assert!(!ran.status.success());
    let told = text(&ran.stderr);
    assert!(told.contains("1 | fileinto \"x\";\n  | ^^^^^^^^"), "{told}");
    assert!(told.contains("= help: did you mean `keep`?"), "{told}");
    assert!(told.contains("2 errors, 0 warnings"), "{told}");
}

/// What `script` (Debian's bsdutils) shows of a command at a terminal.
fn at_a_terminal(arguments: &[&str], no_color: &str) -> String {
    let words = [&[env!("CARGO_BIN_EXE_posthaste")], arguments].concat();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let shown = Command::new("script")
        .args(["-q", "-e", "-c", &quoted.join(" "), "/dev/null"])
        .env("NO_COLOR", no_color)
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|fault| panic!("script (Debian package bsdutils): {fault}"));
    text(&shown.stdout)
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let folder = tempfile::tempdir().unwrap();
    let (script, mail) = (folder.path().join("x.sieve"), folder.path().join("mail"));
    fs::write(&script, "kep;\n").unwrap();
    fs::write(&mail, "Subject: x\r\n\r\n").unwrap();
    let bad = ["sieve", "check", script.to_str().unwrap()];
    let told = posthaste(&bad[1..]);
    assert!(text(&told.stderr).contains("error"), "{told:?}");
    assert!(!told.stderr.contains(&0x1b), "{told:?}");
    if !interop() {
        return;
    }
    let good = folder.path().join("y.sieve");
    fs::write(&good, "keep;\n").unwrap();
    let run = [
        "sieve",
        "run",
        good.to_str().unwrap(),
        mail.to_str().unwrap(),
    ];
    let rc = folder.path().join("rc");
    fs::write(&rc, ":0\n{\n").unwrap();
    let rules = ["procmail", "check", rc.to_str().unwrap()];
    for (arguments, word) in [
        (&bad[..], "error"),
        (&run[..], "keep in INBOX"),
        (&rules[..], "error"),
    ] {
        // Present and empty is as if it were not there.
        let coloured = at_a_terminal(arguments, "");
        assert!(
            coloured.contains(word) && coloured.contains('\u{1b}'),
            "{coloured}"
        );
        let plain = at_a_terminal(arguments, "1");
        assert!(plain.contains(word) && !plain.contains('\u{1b}'), "{plain}");
    }
}

/// The exit status of each command, and that its help tells of it.
#[test]
fn exit_statuses() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        path(name)
    };
    let good = file("good.sieve", "require \"fileinto\";\n\nfileinto \"x\";\n");
    let bad = file("bad.sieve", "kep;\n");
    let odd = file("odd.sieve", "require \"fileinto\"; keep;\n");
    // It may have errors of its own only when it runs.
    let fails = file("fails.sieve", "require \"ihave\";\n\nerror \"no\";\n");
    let mail = file("mail", "From: a@example.org\r\nSubject: x\r\n\r\n");
    let suite = |name: &str, test: &str| {
        let text = format!("require \"vnd.dovecot.testsuite\";\ntest \"t\" {{ {test} }}\n");
        file(name, &text)
    };
    let passes = suite("passes.svtest", "");
    let fails_suite = suite("fails.svtest", "test_fail \"no\";");
    let broken = suite("broken.svtest", "kep;");
    let maildir = path("Maildir");
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(folder.path().join("Maildir").join(part)).unwrap();
    }
    fs::copy(
        &mail,
        folder.path().join("Maildir/new/1700000000.M1P1.host"),
    )
    .unwrap();
    let (none, nowhere) = (path("none"), path("none/x.xml"));
    let cases: &[(i32, &[&str])] = &[
        (0, &["check", &good]),
        (0, &["check", &odd]),
        (1, &["check", "--strict", &odd]),
        (1, &["check", &good, &bad]),
        (2, &["check", &none]),
        (2, &["check", &none, &bad]),
        (2, &["check"]),
        (0, &["run", &good, &mail]),
        (1, &["run", &bad, &mail]),
        (1, &["run", &fails, &mail]),
        (2, &["run", &none, &mail]),
        (2, &["run", &good, &none]),
        (2, &["run", &good]),
        (0, &["filter", &good, &maildir]),
        (1, &["filter", &bad, &maildir]),
        (1, &["filter", &fails, &maildir]),
        (2, &["filter", &none, &maildir]),
        (2, &["filter", "--mailbox", "none", &good, &maildir]),
        (2, &["filter", &good]),
        (0, &["fmt", "--check", &good]),
        (0, &["fmt", &odd]),
        (1, &["fmt", "--check", &odd]),
        (1, &["fmt", "--check", &odd, &good]),
        (1, &["fmt", &file("torn.sieve", "keep")]),
        (2, &["fmt", &none]),
        (2, &["fmt", "--check", "--write", &good]),
        (0, &["test", &passes]),
        (1, &["test", &fails_suite]),
        (1, &["test", &broken]),
        (2, &["test", &none]),
        (2, &["test", &fails_suite, &none]),
        (2, &["test", "--junit", &nowhere, &passes]),
        (2, &["test"]),
    ];
    for (status, arguments) in cases {
        let ended = posthaste(arguments);
        assert_eq!(
            ended.status.code(),
            Some(*status),
            "{arguments:?}: {ended:?}"
        );
        let help = posthaste(&[arguments[0], "--help"]);
        assert_eq!(help.status.code(), Some(0));
        let help = text(&help.stdout);
        let told = help.split_once("Exit status:").unwrap().1;
        assert!(told.contains(&format!("\n  {status}  ")), "{help}");
    }
}

/// The active script is a link, which must stay one.
#[test]
fn what_a_link_leads_to_is_laid_out() {
    let folder = tempfile::tempdir().unwrap();
    let (script, link) = (folder.path().join("x.sieve"), folder.path().join("active"));
    fs::write(&script, "keep  ;").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("x.sieve", &link).unwrap();
    let done = posthaste(&["fmt", "--write", link.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(fs::read_to_string(&script).unwrap(), "keep;\n");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("x.sieve"));
    let mode = fs::metadata(&script).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn mailboxes_are_known_by_id() {
    let folder = tempfile::tempdir().unwrap();
    let (script, mail) = (folder.path().join("x.sieve"), folder.path().join("mail"));
    fs::write(
        &script,
        "require [\"mailboxid\", \"fileinto\"];\n\
         if mailboxidexists [\"F1\", \"F2\"] { fileinto :mailboxid \"F1\" \"there\"; }",
    )
    .unwrap();
    fs::write(&mail, "Subject: x\r\n\r\n").unwrap();
    let run = |more: &[&str]| {
        let paths = [script.to_str().unwrap(), mail.to_str().unwrap()];
        let ran = posthaste(&[&["run"], more, &paths].concat());
        assert!(ran.status.success(), "{ran:?}");
        text(&ran.stdout)
    };
    let both = run(&["--mailbox-id", "F1", "--mailbox-id", "F2"]);
    assert!(
        both.contains("fileinto \"there\", or the one with id F1"),
        "{both}"
    );
    for more in [
        &[][..],
        &["--mailbox-id", "F1"],
        &["--mailbox", "F1", "--mailbox", "F2"],
    ] {
        let told = run(more);
        assert!(told.contains("keep in INBOX (implicit)"), "{told}");
    }
}

#[test]
fn suites_report_in_the_format_of_junit() {
    let folder = tempfile::tempdir().unwrap();
    let (suite, report) = (
        folder.path().join("x.svtest"),
        folder.path().join("junit.xml"),
    );
    let odd = "<&\"'>\t\u{1}\u{1b}\u{7f}\u{85}\u{fffe}\u{ffff}\u{1f600}]]>";
    let quoted = odd.replace('"', "\\\"");
    fs::write(
        &suite,
        format!(
            "require \"vnd.dovecot.testsuite\";\ntest \"good\" {{ }}\ntest \"bad {quoted}\" {{ test_fail \"why {quoted}\"; }}\n\
             test \"fault\" {{ test_message :smtp 9; }}\ntest_message :smtp 8;\n"
        ),
    )
    .unwrap();
    let missing = folder.path().join("missing.svtest");
    let ran = posthaste(&[
        "test",
        "--junit",
        report.to_str().unwrap(),
        suite.to_str().unwrap(),
        missing.to_str().unwrap(),
    ]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(
        text(&ran.stdout).contains("1 suites, 3 tests, 3 failures"),
        "{ran:?}"
    );
    let written = fs::read_to_string(&report).unwrap();
    assert!(
        written.contains("tests=\"4\" failures=\"1\" errors=\"2\""),
        "{written}"
    );
    if !interop() {
        return;
    }
    // What a parser of XML reads out of it.
    let script = r#"
import sys, xml.etree.ElementTree as tree
for suite in tree.parse(sys.argv[1]).getroot():
    print(suite.get("tests"), suite.get("failures"), suite.get("errors"))
    for case in suite:
        for child in case:
            print(case.get("name"), child.tag, ascii(child.get("message")))
"#;
    let read = Command::new("python3")
        .args(["-X", "utf8", "-c", script, report.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}\n{written}");
    let fffd = |text: &str| {
        let forbidden = ['\u{1}', '\u{1b}', '\u{fffe}', '\u{ffff}'];
        text.replace(forbidden, "\u{fffd}")
    };
    let reason = r#"'line 3: why <&"\'>\t\ufffd\ufffd\x7f\x85\ufffd\ufffd\U0001f600]]>'"#;
    let expected = [
        "1 0 1".to_owned(),
        "the suite itself error".to_owned(),
        "4 1 2".to_owned(),
        format!("bad {} failure {reason}", fffd(odd)),
        "fault error 'line 4: there is no message 9'".to_owned(),
        "the suite itself error 'line 5: there is no message 8'".to_owned(),
    ];
    let read = text(&read.stdout);
    let mut at = 0;
    for line in expected {
        let found = read.get(at..).unwrap().find(&line);
        at += found.unwrap_or_else(|| panic!("{line:?} is not in\n{read}")) + line.len();
    }
}
