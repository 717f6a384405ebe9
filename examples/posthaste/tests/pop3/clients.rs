//! Clients that others wrote.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::{Fixture, PASSWORD, message};

fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok()
}

/// Whether a test that needs `program` runs: always where the checks run,
/// which install it.
fn wants(program: &str) -> bool {
    match std::env::var_os("POSTHASTE_INTEROP") {
        Some(_) => {
            assert!(has(program), "{program} is not installed");
            true
        }
        None => false,
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

const POPLIB: &str = r#"
import poplib, ssl, sys
clear, encrypted, password, certificate = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
message = [b"From: ann@example.org", b"Subject: message 1", b"", b".dot", b"body 1"]

box = poplib.POP3("localhost", int(clear), timeout=300)
assert "STLS" in box.capa(), box.capa()
box.stls(context=context)
assert "STLS" not in box.capa()
box.user("ann"); box.pass_(password)
assert box.stat()[0] == 3, box.stat()
assert len(box.list()[1]) == 3 and len(box.uidl()[1]) == 3
answer, lines, octets = box.retr(1)
assert lines == message and octets == sum(len(l) + 2 for l in lines), lines
assert box.top(1, 1)[1] == message[:4]
box.dele(1); box.noop(); box.rset(); box.dele(2)
try:
    box.retr(2)
    raise SystemExit("a marked message was sent")
except poplib.error_proto:
    pass
box.quit()

box = poplib.POP3_SSL("localhost", int(encrypted), context=context, timeout=300)
try:
    box.user("ann"); box.pass_("wrong")
    raise SystemExit("a wrong password was taken")
except poplib.error_proto as error:
    assert b"[AUTH]" in error.args[0], error
box.user("ann"); box.pass_(password)
assert box.stat()[0] == 2
try:
    box.utf8()
    raise SystemExit("UTF8 is not offered")
except poplib.error_proto:
    pass
box.quit()
"#;

#[test]
fn pythons_poplib() {
    if !has("python3") {
        assert!(!wants("python3"));
        return;
    }
    let fixture = Fixture::new("");
    for number in 1..=3 {
        fixture.append("ann", message(number).as_bytes());
    }
    let certificate = fixture.folder.path().join("certificate.pem");
    run(Command::new("python3")
        .args(["-c", POPLIB])
        .arg(fixture.clear.port().to_string())
        .arg(fixture.encrypted.port().to_string())
        .arg(PASSWORD)
        .arg(certificate));
    assert_eq!(fixture.uids("ann"), [1, 3]);
}

#[test]
fn curl() {
    if !wants("curl") {
        return;
    }
    let fixture = Fixture::new("ssl = \"required\"\n");
    fixture.append("ann", message(1).as_bytes());
    fixture.append("ann", message(2).as_bytes());
    let certificate = fixture.folder.path().join("certificate.pem");
    let get = |url: String, more: &[&str]| {
        let output = run(Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "300", "--cacert"])
            .arg(&certificate)
            .args(["--user", &format!("ann:{PASSWORD}")])
            .args(more)
            .arg(url));
        String::from_utf8(output.stdout).unwrap()
    };
    let clear = format!("pop3://localhost:{}", fixture.clear.port());
    let encrypted = format!("pop3s://localhost:{}", fixture.encrypted.port());
    assert_eq!(get(format!("{clear}/2"), &["--ssl-reqd"]), message(2));
    assert_eq!(get(format!("{encrypted}/1"), &[]), message(1));
    assert_eq!(
        get(format!("{encrypted}/1"), &["--login-options", "AUTH=LOGIN"]),
        message(1)
    );
    assert_eq!(get(encrypted.clone(), &[]).lines().count(), 2);
    get(
        format!("{encrypted}/1"),
        &["--request", "DELE", "--list-only"],
    );
    assert_eq!(fixture.uids("ann"), [2]);
}

fn fetchmail(folder: &Path, poll: &str) {
    let rc = folder.join("fetchmailrc");
    fs::write(&rc, poll).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&rc, mode).unwrap();
    run(Command::new("fetchmail")
        .env("HOME", folder)
        .env("FETCHMAILHOME", folder)
        .args(["--nodetach", "--nosyslog", "-f"])
        .arg(&rc));
}

#[test]
fn fetchmail_takes_all() {
    if !wants("fetchmail") {
        return;
    }
    let fixture = Fixture::new("");
    for number in 1..=30 {
        fixture.append("ann", message(number).as_bytes());
    }
    let folder = fixture.folder.path();
    let certificate = folder.join("certificate.pem");
    let mailbox = folder.join("fetched");
    let poll = |port: u16, options: &str, more: &str| {
        format!(
            "poll localhost protocol POP3 port {port} {more}\n\
             user \"ann\" password \"{PASSWORD}\" {options} sslcertck sslcertfile \"{}\"\n\
             mda \"cat >> {}\"\n",
            certificate.display(),
            mailbox.display()
        )
    };
    // With STLS, and mail is left on the server.
    let keep = poll(fixture.clear.port(), "keep sslproto TLS1.2+", "uidl");
    fetchmail(folder, &keep);
    let count = || {
        let text = fs::read_to_string(&mailbox).unwrap();
        text.matches("Subject: message").count()
    };
    assert_eq!(count(), 30);
    assert_eq!(fixture.uids("ann").len(), 30);
    // The second time there is nothing new, which fetchmail tells by status 1.
    let status = Command::new("fetchmail")
        .env("HOME", folder)
        .env("FETCHMAILHOME", folder)
        .args(["--nodetach", "--nosyslog", "-f"])
        .arg(folder.join("fetchmailrc"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!((status.code(), count()), (Some(1), 30));
    // With TLS from the start, and all is taken away.
    fetchmail(folder, &poll(fixture.encrypted.port(), "fetchall ssl", ""));
    assert_eq!(count(), 60);
    assert!(fixture.uids("ann").is_empty());
}
