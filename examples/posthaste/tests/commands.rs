//! The program as a person calls it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

fn run_as(program: &Path, data: &Path, arguments: &[&str], input: &str) -> Outcome {
    let mut child = Command::new(program)
        .args(arguments)
        .env("POSTHASTE_DATA", data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that needs no input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(data: &Path, arguments: &[&str], input: &str) -> Outcome {
    let program = Path::new(env!("CARGO_BIN_EXE_posthaste"));
    run_as(program, data, arguments, input)
}

#[test]
fn config_show() {
    let folder = tempfile::tempdir().unwrap();
    let all = run(folder.path(), &["config", "show"], "");
    assert_eq!(all.code, 0);
    assert!(all.out.contains("\nmessage_size_limit = \"50M\"\n"));

    std::fs::write(
        folder.path().join("posthaste.toml"),
        "message_size_limit = 10240000\n",
    )
    .unwrap();
    let changed = run(folder.path(), &["config", "show", "--non-default"], "");
    assert_eq!(changed.out, "message_size_limit = 10240000\n");
    let one = run(folder.path(), &["config", "show", "users_file"], "");
    let users = folder.path().join("users");
    assert_eq!(one.out, format!("users_file = \"{}\"\n", users.display()));
    let unknown = run(folder.path(), &["config", "show", "user_file"], "");
    assert_eq!(unknown.code, 1);
    assert_eq!(
        unknown.err,
        "unknown key user_file; did you mean users_file?\n"
    );
}

#[test]
fn a_wrong_configuration_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("posthaste.toml");
    std::fs::write(&file, "\nrelayhost = \"[x\"\n").unwrap();
    for arguments in [
        ["config", "show"].as_slice(),
        &["check"],
        &["queue", "list"],
    ] {
        let outcome = run(folder.path(), arguments, "");
        assert_eq!(outcome.code, 1, "{arguments:?}");
        let place = format!("{}:2:13: relayhost: expected a host", file.display());
        assert!(outcome.err.starts_with(&place), "{}", outcome.err);
    }
}

#[test]
fn check_says_what_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("posthaste.toml"),
        "mynetworks = \"0.0.0.0/0\"\nlisten_smtp = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let outcome = run(folder.path(), &["check"], "");
    assert_eq!(outcome.code, 1);
    assert!(outcome.out.contains("BAD   mynetworks"), "{}", outcome.out);
    assert!(outcome.out.ends_with("to be mended.\n"));
}

/// The id of the only message in the queue, and its listing.
fn only_message(data: &Path) -> (String, String) {
    let listed = run(data, &["queue", "list"], "");
    assert_eq!(listed.code, 0, "{}", listed.err);
    let line = listed.out.lines().nth(1).expect("a message").to_owned();
    (
        line.split_whitespace().next().unwrap().to_owned(),
        listed.out,
    )
}

#[test]
fn mail_is_submitted_listed_shown_and_removed_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    std::fs::write(data.join("posthaste.toml"), "myorigin = \"example.org\"\n").unwrap();
    let empty = run(data, &["queue", "list"], "");
    assert_eq!(empty.out, "Mail queue is empty\n");

    let link = data.join("sendmail");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_posthaste"), &link).unwrap();
    let message =
        "To: bob@far.example, carol\nBcc: dave@far.example\nSubject: hello\n\nline\n.\n..x\n";
    let sent = run_as(
        &link,
        data,
        &["-t", "-oi", "-f", "ann", "-F", "Ann E."],
        message,
    );
    assert_eq!((sent.code, sent.err.as_str()), (0, ""));

    let (id, listing) = only_message(data);
    for address in [
        "ann@example.org",
        "bob@far.example",
        "carol@example.org",
        "dave@far.example",
    ] {
        assert!(listing.contains(address), "{listing}");
    }
    assert!(listing.ends_with(" in 1 Request.\n"));
    let mailq = data.join("mailq");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_posthaste"), &mailq).unwrap();
    assert_eq!(run_as(&mailq, data, &[], "").out, listing);

    let shown = run(data, &["queue", "show", &id], "").out;
    assert!(shown.contains("sender: <ann@example.org>\n"), "{shown}");
    assert!(
        shown.contains("From: \"Ann E.\" <ann@example.org>\r\n"),
        "{shown}"
    );
    assert!(shown.contains("\r\n\r\nline\r\n.\r\n..x\r\n"), "{shown}");
    assert!(!shown.contains("Bcc"));

    let json = run(data, &["queue", "list", "--json"], "").out;
    let entry: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(entry["id"], id.as_str());

    let flushed = run(data, &["queue", "flush"], "");
    assert_eq!(flushed.code, 1);
    assert!(flushed.err.contains("no server runs"));

    let removed = run(data, &["queue", "remove", &id], "");
    assert_eq!(removed.out, format!("{id}: removed\n"));
    assert_eq!(run(data, &["queue", "remove", &id], "").code, 1);
    assert_eq!(
        run(data, &["queue", "list"], "").out,
        "Mail queue is empty\n"
    );
}

#[test]
fn sendmail_refuses_with_its_own_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let sendmail = |arguments: &[&str], input: &str| {
        let mut all = vec!["sendmail"];
        all.extend_from_slice(arguments);
        run(folder.path(), &all, input)
    };
    assert_eq!(sendmail(&["-bs"], "").code, 64);
    assert_eq!(sendmail(&[], "Subject: x\n\n").code, 64);
    assert_eq!(sendmail(&["a b@example.org"], "").code, 64);
    assert!(sendmail(&["-bs"], "").err.contains("submission port"));
}

#[test]
fn help_names_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), &["--help"], "");
    assert_eq!(help.code, 0);
    for command in [
        "serve", "check", "config", "queue", "user", "mailbox", "auth", "deliver", "sendmail",
    ] {
        assert!(help.out.contains(command), "{}", help.out);
    }
    assert_eq!(run(folder.path(), &["frobnicate"], "").code, 2);
}

const ANY_PORTS: &str = "myorigin = \"localhost\"\n\
    listen_smtp = \"127.0.0.1:0\"\nlisten_submission = \"127.0.0.1:0\"\n\
    listen_submissions = \"127.0.0.1:0\"\nlisten_imap = \"127.0.0.1:0\"\n\
    listen_imaps = \"127.0.0.1:0\"\nlisten_pop3 = \"127.0.0.1:0\"\n\
    listen_pop3s = \"127.0.0.1:0\"\nlisten_managesieve = \"127.0.0.1:0\"\n";

/// A running server and what it said.
struct Server {
    child: std::process::Child,
    greeting: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_posthaste"))
            .env("POSTHASTE_DATA", data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("Ctrl-C stops it") {
            let read = std::io::BufRead::read_line(&mut out, &mut greeting).unwrap();
            assert_ne!(read, 0, "{greeting}");
        }
        Self { child, greeting }
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn a_server_starts_is_used_stops_and_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    std::fs::write(data.join("posthaste.toml"), ANY_PORTS).unwrap();
    let server = Server::start(data);
    assert!(
        server.greeting.contains("first start"),
        "{}",
        server.greeting
    );
    let password = server
        .greeting
        .lines()
        .map(str::trim)
        .find(|line| line.len() == 19 && line.matches('-').count() == 3)
        .expect("a password");
    let tested = run(data, &["auth", "test", "demo"], password);
    assert_eq!(tested.code, 0, "{}", tested.err);

    let second = run(data, &["serve"], "");
    assert_eq!(second.code, 1);
    assert!(second.err.contains("another posthaste is at work"));

    let sent = run(data, &["sendmail", "-oi", "demo"], "Subject: x\n\nhello\n");
    assert_eq!(sent.code, 0, "{}", sent.err);
    let new = data.join("home/demo/Maildir/new");
    let wait_for = |count: usize| {
        let delivered = || std::fs::read_dir(&new).is_ok_and(|entries| entries.count() == count);
        let came = (0..15_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            delivered()
        });
        assert!(came, "message {count} never came");
    };
    wait_for(1);
    // An account's own alias does not take what is delivered to the account.
    std::fs::write(data.join("aliases"), "demo: postmaster\n").unwrap();
    let message = "From ann@far.example Sat Nov 21 20:00:00 2026\nSubject: y\n\nhi\n";
    let handed = run(data, &["deliver", "demo+lists"], message);
    assert_eq!(handed.code, 0, "{}", handed.err);
    assert_eq!(run(data, &["deliver", "nobody"], message).code, 67);
    wait_for(2);
    server.stop();
    assert!(!data.join("control").exists());

    let server = Server::start(data);
    assert!(!server.greeting.contains("first start"));
    wait_for(2);
    server.stop();
}

#[test]
fn accounts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let ok = |arguments: &[&str], input: &str| {
        let outcome = run(data, arguments, input);
        assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.err);
        outcome.out
    };
    let fails = |arguments: &[&str], input: &str| {
        let outcome = run(data, arguments, input);
        assert_eq!(outcome.code, 1, "{arguments:?}: {}", outcome.out);
    };
    ok(&["user", "add", "ann"], "one\n");
    ok(&["user", "add", "bob"], "two");
    fails(&["user", "add", "ann"], "three\n");
    fails(&["user", "add", "carol"], "\n");
    fails(&["user", "add", "../x"], "four\n");
    assert_eq!(ok(&["user", "list"], ""), "ann\nbob\n");
    ok(&["auth", "test", "ann"], "one\n");
    fails(&["auth", "test", "ann"], "two\n");
    ok(&["user", "passwd", "ann"], "five\n");
    ok(&["auth", "test", "ann"], "five\n");
    fails(&["user", "passwd", "nobody"], "x\n");
    ok(&["user", "del", "bob"], "");
    fails(&["auth", "test", "bob"], "two\n");
    let made = ok(&["user", "passwd", "ann", "--generate"], "");
    let password = made
        .lines()
        .next()
        .unwrap()
        .trim_start_matches("Password: ");
    ok(&["auth", "test", "ann"], password);
    let users = std::fs::read_to_string(data.join("users")).unwrap();
    assert!(!users.contains("five") && !users.contains(password));
}
