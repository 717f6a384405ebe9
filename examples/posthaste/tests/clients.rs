//! Clients that nobody here wrote: Python's, curl, swaks, mbsync, mutt, mailx.
//!
//! Python's run wherever `python3` does; the others where
//! `POSTHASTE_INTEROP=1` says that they are installed, and must be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use common::{PASSWORD, Server, files, has_python, interop, python, run};

/// A message with a token in its subject.
fn message(token: &str) -> String {
    format!(
        "From: Alice <alice@example.org>\r\nTo: Bob <bob@example.org>\r\n\
         Subject: {token}\r\nMessage-ID: <{token}@example.org>\r\n\r\nHello.\r\n"
    )
}

fn arrives(server: &Server, user: &str, token: &str) {
    server.wait_until(token, || {
        server
            .mail(user)
            .iter()
            .any(|message| message.contains(token))
    });
}

#[test]
fn python_sends_and_reads() {
    if !has_python() {
        return;
    }
    let server = Server::start("");
    let output = python(
        &server,
        r#"
import imaplib, os, poplib, smtplib, ssl, time
context = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
context.check_hostname = False
port = lambda name: int(os.environ[name])
text = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: %s\r\n\r\n%s\r\n.\r\n..dots\r\nend\r\n"

smtp = smtplib.SMTP("127.0.0.1", port("SUBMISSION"))
smtp.starttls(context=context)
smtp.login("alice", "correct horse")
assert smtp.sendmail("alice@example.org", ["bob@example.org"], text % ("one", "x")) == {}
assert smtp.sendmail("alice@example.org", ["bob@example.org"], text % ("two", "y" * 100000)) == {}
smtp.quit()
smtp = smtplib.SMTP_SSL("127.0.0.1", port("SUBMISSIONS"), context=context)
smtp.login("alice", "correct horse")
try:
    smtp.sendmail("alice@example.org", ["nobody@example.org"], text % ("no", ""))
    raise SystemExit("an unknown user was accepted")
except smtplib.SMTPRecipientsRefused as refused:
    assert refused.recipients["nobody@example.org"][0] == 550, refused
smtp.quit()

imap = imaplib.IMAP4("127.0.0.1", port("IMAP"))
imap.starttls(ssl_context=context)
imap.login("bob", "correct horse")
for _ in range(10000):
    typ, data = imap.select("INBOX")
    assert typ == "OK"
    if data == [b"2"]:
        break
    time.sleep(0.02)
assert data == [b"2"], data
typ, data = imap.search(None, "SUBJECT", "two")
assert typ == "OK" and data in ([b"1"], [b"2"]), data
two = data[0].decode()
typ, data = imap.fetch(two, "(FLAGS RFC822.SIZE BODY.PEEK[])")
body = data[0][1]
assert body.endswith(b"\r\n.\r\n..dots\r\nend\r\n"), body[-80:]
assert b"RFC822.SIZE %d" % len(body) in data[0][0], data[0][0]
typ, data = imap.store("1:2", "+FLAGS", r"(\Flagged custom)")
assert typ == "OK" and b"custom" in data[0], data
assert imap.create("Archive/2026")[0] == "OK"
assert imap.copy("1", "Archive/2026")[0] == "OK"
assert imap.copy("1", "Missing")[0] == "NO"
typ, data = imap.append("Archive/2026", r"(\Seen)", imaplib.Time2Internaldate(0), b"Subject: old\r\n\r\nz\r\n")
assert typ == "OK" and b"APPENDUID" in data[0], data
typ, data = imap.list()
names = b"\n".join(data)
for name in (b"INBOX", b"Archive/2026", b"\\Sent"):
    assert name in names, (name, names)
assert imap.status("Archive/2026", "(MESSAGES UNSEEN UIDNEXT)")[1] == [b"Archive/2026 (MESSAGES 2 UNSEEN 1 UIDNEXT 3)"]
imap.store(two, "+FLAGS", r"(\Deleted)")
typ, data = imap.expunge()
assert data == [two.encode()], data
assert imap.rename("Archive/2026", "Archive/old")[0] == "OK"
assert imap.delete("Archive/old")[0] == "OK"
assert imap.subscribe("Sent")[0] == "OK"
typ, data = imap.uid("FETCH", "1:*", "(ENVELOPE BODYSTRUCTURE INTERNALDATE)")
assert b'"one"' in data[0] and b"BODYSTRUCTURE" in data[0], data
assert imap.close()[0] == "OK"
imap.logout()

imap = imaplib.IMAP4_SSL("127.0.0.1", port("IMAPS"), ssl_context=context)
imap.login("bob", "correct horse")
assert imap.select("INBOX", readonly=True)[1] == [b"1"]
assert imap.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"
try:
    imap.fetch("7", "(FLAGS)")
    raise SystemExit("a number that does not exist was taken")
except imaplib.IMAP4.error:
    pass
imap.logout()

pop = poplib.POP3("127.0.0.1", port("POP3"))
pop.stls(context=context)
pop.user("bob")
pop.pass_("correct horse")
count, octets = pop.stat()
assert count == 1
assert b"".join(line + b"\r\n" for line in pop.retr(1)[1]).endswith(b"\r\n.\r\n..dots\r\nend\r\n")
pop.dele(1)
pop.quit()
print("fine")
"#,
    );
    assert_eq!(output, "fine\n");
}

#[test]
fn idle_is_woken() {
    let server = Server::start("");
    server.send("a@example.com", "bob@example.org", &message("first"));
    arrives(&server, "bob", "first");
    let mut imap = common::Talk::connect(server.ports.imap);
    imap.line();
    imap.say(&format!("a LOGIN bob \"{PASSWORD}\""));
    imap.until("a ");
    imap.say("b SELECT INBOX");
    imap.until("b ");
    imap.say("c IDLE");
    assert!(imap.line().starts_with('+'));
    server.send("a@example.com", "bob@example.org", &message("second"));
    assert_eq!(imap.line(), "* 2 EXISTS");
    assert_eq!(imap.line(), "* 2 RECENT");
    // Another session's doing is news as well.
    let mut other = common::Talk::connect(server.ports.imap);
    other.line();
    other.say(&format!("a LOGIN bob \"{PASSWORD}\""));
    other.until("a ");
    other.say("b SELECT INBOX");
    other.until("b ");
    other.say("c STORE 1 +FLAGS (\\Deleted)");
    other.until("c ");
    assert_eq!(imap.line(), "* 1 FETCH (FLAGS (\\Deleted \\Recent))");
    other.say("d EXPUNGE");
    other.until("d ");
    assert_eq!(imap.line(), "* 1 EXPUNGE");
    imap.say("DONE");
    assert!(imap.line().starts_with("c OK"));
}

#[test]
fn curl_sends_and_reads() {
    if !interop() {
        return;
    }
    let server = Server::start("");
    let ports = server.ports;
    let file = server.path("message.eml");
    fs::write(&file, message("by-curl")).unwrap();
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--insecure",
            "--max-time",
            "300",
        ]);
        run(command.args(arguments))
    };
    let login = format!("alice:{PASSWORD}");
    for (url, tls) in [
        (
            format!("smtp://127.0.0.1:{}", ports.submission),
            "--ssl-reqd",
        ),
        (
            format!("smtps://127.0.0.1:{}", ports.submissions),
            "--ssl-reqd",
        ),
    ] {
        let file = file.to_str().unwrap();
        curl(&[
            &url,
            tls,
            "--user",
            &login,
            "--mail-from",
            "alice@example.org",
            "--mail-rcpt",
            "bob@example.org",
            "--upload-file",
            file,
        ]);
    }
    server.wait_until("both", || server.mail("bob").len() == 2);
    let login = format!("bob:{PASSWORD}");
    for url in [
        format!("imap://127.0.0.1:{}/INBOX;MAILINDEX=1", ports.imap),
        format!("imaps://127.0.0.1:{}/INBOX;MAILINDEX=2", ports.imaps),
        format!("pop3://127.0.0.1:{}/1", ports.pop3),
        format!("pop3s://127.0.0.1:{}/2", ports.pop3s),
    ] {
        let got = curl(&[&url, "--ssl-reqd", "--user", &login]);
        assert!(
            got.contains("Subject: by-curl") && got.contains("Hello."),
            "{url}: {got}"
        );
    }
    let got = curl(&[
        &format!("imap://127.0.0.1:{}/INBOX", ports.imap),
        "--ssl-reqd",
        "--user",
        &login,
        "--request",
        "SEARCH SUBJECT by-curl",
    ]);
    assert_eq!(got.trim(), "* SEARCH 1 2");
}

#[test]
fn swaks_sends() {
    if !interop() {
        return;
    }
    let server = Server::start("");
    let ports = server.ports;
    let swaks = |port: u16, arguments: &[&str]| {
        let mut command = Command::new("timeout");
        command.args(["300", "swaks", "--timeout", "300"]);
        command.args(["--server", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--from", "alice@example.org", "--to", "bob@example.org"]);
        run(command.args(arguments))
    };
    swaks(ports.smtp, &["--header", "Subject: plainly"]);
    swaks(ports.smtp, &["-tls", "--header", "Subject: by-starttls"]);
    let login = ["--auth-user", "alice", "--auth-password", PASSWORD];
    for (port, tls, mechanism) in [
        (ports.submission, "-tls", "PLAIN"),
        (ports.submission, "-tls", "LOGIN"),
        (ports.submissions, "-tlsc", "PLAIN"),
    ] {
        let subject = format!("Subject: auth-{mechanism}{tls}");
        let mut arguments = vec![tls, "--auth", mechanism, "--header", &subject];
        arguments.extend(login);
        swaks(port, &arguments);
    }
    server.wait_until("all five", || server.mail("bob").len() == 5);
    let all = server.mail("bob").concat();
    assert!(
        all.contains("with ESMTPSA id") && all.contains("with ESMTPS id"),
        "{all}"
    );
}

#[test]
fn mbsync_syncs_both_ways_and_then_has_nothing_to_do() {
    if !interop() {
        return;
    }
    let server = Server::start("");
    let local = server.path("local");
    for name in ["cur", "new", "tmp"] {
        fs::create_dir_all(local.join("INBOX").join(name)).unwrap();
    }
    // Half begins here, half there.
    for number in 0..500 {
        let path = local.join(format!("INBOX/cur/{number}.local.host:2,S"));
        fs::write(
            path,
            message(&format!("local-{number}")).replace("\r\n", "\n"),
        )
        .unwrap();
    }
    python(
        &server,
        r#"
import imaplib, os
imap = imaplib.IMAP4("127.0.0.1", int(os.environ["IMAP"]))
imap.login("bob", "correct horse")
for number in range(500):
    text = b"From: a@example.org\r\nSubject: far-%d\r\nMessage-ID: <far-%d@x>\r\n\r\nHello.\r\n" % (number, number)
    assert imap.append("INBOX", r"(\Flagged)", None, text)[0] == "OK"
imap.logout()
"#,
    );
    let config = server.path("mbsyncrc");
    fs::write(
        &config,
        format!(
            "IMAPAccount far\nHost 127.0.0.1\nPort {}\nUser bob\nPass \"{PASSWORD}\"\n\
             SSLType STARTTLS\nCertificateFile {}\n\n\
             IMAPStore far\nAccount far\n\n\
             MaildirStore near\nPath {near}/\nInbox {near}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
            server.ports.imap,
            server.path("certificate.pem").display(),
            near = local.display(),
        ),
    )
    .unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let sync = || {
        let mut command = Command::new("timeout");
        command.args(["300", "mbsync"]);
        command
            .arg("--config")
            .arg(&config)
            .args(["--all", "--verbose"]);
        command.env("HOME", server.folder.path());
        run(&mut command)
    };
    // The certificate is the server's own, for its own name.
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("Host 127.0.0.1", "Host localhost");
    fs::write(&config, text).unwrap();
    sync();
    let names = |folder: &str| {
        let mut names: Vec<_> = files(&local.join("INBOX").join(folder));
        names.sort();
        names
    };
    assert_eq!(names("cur").len() + names("new").len(), 1000);
    let before = (names("cur"), names("new"));
    let far = server.mail("bob").len();
    assert_eq!(far, 1000);
    let state = |server: &Server| {
        let mut found = files(&server.home("bob").join("Maildir"));
        found.sort();
        found
    };
    let far_before = state(&server);
    sync();
    assert_eq!((names("cur"), names("new")), before);
    assert_eq!(state(&server), far_before);
}

#[test]
fn mutt_sends_in_batch() {
    if !interop() {
        return;
    }
    let server = Server::start("");
    let config = server.path("muttrc");
    fs::write(
        &config,
        format!(
            "set smtp_url=\"smtp://alice@localhost:{}\"\nset smtp_pass=\"{PASSWORD}\"\n\
             set ssl_starttls=yes\nset ssl_force_tls=yes\nset ssl_verify_host=no\n\
             set certificate_file={}\nset from=alice@example.org\nset copy=no\n",
            server.ports.submission,
            server.path("certificate.pem").display()
        ),
    )
    .unwrap();
    let mut command = Command::new("timeout");
    command.args(["300", "mutt", "-F"]).arg(&config);
    command.args(["-s", "by-mutt", "bob@example.org"]);
    command
        .env("TERM", "dumb")
        .env("HOME", server.folder.path());
    run(&mut command);
    arrives(&server, "bob", "by-mutt");
}

#[test]
fn mailx_sends_by_submission() {
    if !interop() {
        return;
    }
    let server = Server::start("");
    let config = server.path("mailrc");
    fs::write(
        &config,
        format!(
            "set v15-compat=yes\nset smtp-auth=login\nset tls-verify=ignore\n\
             set ssl-verify=ignore\nset smtp-use-starttls\n\
             set from=alice@example.org\nset sendwait\n\
             set mta=smtp://alice:correct%20horse@127.0.0.1:{}\n",
            server.ports.submission
        ),
    )
    .unwrap();
    let mut command = Command::new("timeout");
    command
        .args(["300", "s-nail"])
        .args(["-:u", "-s", "by-mailx", "bob@example.org"]);
    command
        .env("MAILRC", &config)
        .env("HOME", server.folder.path());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"Hello from mailx.\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    arrives(&server, "bob", "by-mailx");
}
