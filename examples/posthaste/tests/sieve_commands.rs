//! `posthaste sieve`, as people run it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

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

#[test]
fn suites_report_in_the_format_of_junit() {
    let folder = tempfile::tempdir().unwrap();
    let (suite, report) = (
        folder.path().join("x.svtest"),
        folder.path().join("junit.xml"),
    );
    fs::write(
        &suite,
        "require \"vnd.dovecot.testsuite\";\ntest \"good\" { }\ntest \"bad\" { test_fail \"why\"; }\n",
    )
    .unwrap();
    let ran = posthaste(&[
        "test",
        "--junit",
        report.to_str().unwrap(),
        suite.to_str().unwrap(),
    ]);
    assert!(!ran.status.success());
    assert!(text(&ran.stdout).contains("1 suites, 2 tests, 1 failures"));
    let report = fs::read_to_string(&report).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"1\""), "{report}");
    assert!(
        report.contains("<failure message=\"line 3: why\"/>"),
        "{report}"
    );
}
