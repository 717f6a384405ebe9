//! Clients that are no servers: swaks, msmtp, Python's smtplib, nodemailer.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use smtp_proto::Mode;

use crate::bed::{interop, run};
use crate::host::{Host, Offer, PASSWORD, USER};
use crate::messages;

fn timed(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", program]);
    command
}

/// The ways in which a client comes: what the server offers, whether TLS
/// begins at once, whether there is a login.
fn ways() -> [Offer; 4] {
    let auth = Offer {
        auth: true,
        ..Offer::FULL
    };
    [
        Offer::BARE,
        Offer::FULL,
        auth,
        Offer {
            implicit_tls: true,
            starttls: false,
            ..auth
        },
    ]
}

/// A message in a file, as text programs read it.
fn file(folder: &tempfile::TempDir, message: &[u8], line_end: &[u8]) -> PathBuf {
    let path = folder.path().join("message.eml");
    let mut text = Vec::new();
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                text.extend_from_slice(line);
                text.extend_from_slice(line_end);
            }
            None => text.extend_from_slice(line),
        }
    }
    fs::write(&path, text).unwrap();
    path
}

/// What came by the only connection since `before` messages, must be `sent`.
fn assert_taken(host: &Host, offer: Offer, before: usize, sent: &[u8], to: &[&str]) {
    let all = host.taken();
    assert_eq!(all.len(), before + 1, "{:?}", host.faults());
    let taken = &all[before];
    messages::assert_same(&taken.content, sent);
    assert_eq!(taken.to(), to);
    assert_eq!(taken.tls, offer.starttls || offer.implicit_tls);
    assert_eq!(taken.user.is_some(), offer.auth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn swaks_sends() {
    if !interop() {
        return;
    }
    let lmtp = Offer {
        mode: Mode::Lmtp,
        starttls: false,
        ..Offer::FULL
    };
    for offer in ways().into_iter().chain([lmtp]) {
        let host = Host::start(offer).await;
        for (before, mut sent) in messages::all().into_iter().enumerate() {
            // swaks itself takes a dot on the last line for the end, and
            // ends the last line.
            sent.extend_from_slice(b"end\r\n");
            let folder = tempfile::tempdir().unwrap();
            let path = file(&folder, sent.strip_suffix(b"\r\n").unwrap(), b"\n");
            let mut command = timed("swaks");
            command.args(["--server", "127.0.0.1", "--port", &host.port.to_string()]);
            command.args(["--helo", "swaks.example", "--from", "sender@near.example"]);
            command.args(["--to", "one@far.example,two@far.example"]);
            command.arg("--data").arg(format!("@{}", path.display()));
            match (offer.mode, offer.implicit_tls, offer.starttls) {
                (Mode::Lmtp, ..) => command.args(["--protocol", "LMTP"]),
                (_, true, _) => command.arg("-tlsc"),
                (_, _, true) => command.arg("-tls"),
                _ => &mut command,
            };
            if offer.pipelining {
                command.arg("--pipeline");
            }
            if offer.auth {
                let mechanism = if before % 2 == 0 { "PLAIN" } else { "LOGIN" };
                command.args(["--auth", mechanism]);
                command.args(["--auth-user", USER, "--auth-password", PASSWORD]);
            }
            run(&mut command);
            let to = ["<one@far.example>", "<two@far.example>"];
            assert_taken(&host, offer, before, &sent, &to);
        }
        // A refused recipient does not keep the message from the other.
        let mut command = timed("swaks");
        command.args(["--server", "127.0.0.1", "--port", &host.port.to_string()]);
        command.args([
            "--from",
            "<>",
            "--to",
            "refused@far.example,one@far.example",
        ]);
        if offer.mode == Mode::Smtp && !offer.starttls && !offer.implicit_tls {
            run(&mut command);
            assert_eq!(host.taken().last().unwrap().to(), ["<one@far.example>"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn msmtp_sends() {
    if !interop() {
        return;
    }
    for offer in ways() {
        let host = Host::start(offer).await;
        for (before, sent) in messages::all().into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = file(&folder, &sent, b"\n");
            let mut command = timed("msmtp");
            command.args(["--host=127.0.0.1", "--from=sender@near.example"]);
            command.arg(format!("--port={}", host.port));
            let on = |on: bool| if on { "on" } else { "off" };
            let tls = offer.starttls || offer.implicit_tls;
            command.arg(format!("--tls={}", on(tls)));
            command.arg(format!("--tls-starttls={}", on(offer.starttls)));
            command.args(["--tls-certcheck=off", "--undisclosed-recipients=off"]);
            command.args(["--add-missing-from-header=off"]);
            command.args(["--add-missing-date-header=off"]);
            // Parameters of DSN.
            command.args(["--dsn-notify=failure,delay", "--dsn-return=headers"]);
            if offer.auth {
                let mechanism = if before % 2 == 0 { "plain" } else { "login" };
                command.arg(format!("--auth={mechanism}"));
                command.arg(format!("--user={USER}"));
                command.arg(format!("--passwordeval=echo {PASSWORD}"));
            } else {
                command.arg("--auth=off");
            }
            command.args(["--", "one@far.example", "two@far.example"]);
            command.stdin(fs::File::open(path).unwrap());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let to = ["<one@far.example>", "<two@far.example>"];
            assert_taken(&host, offer, before, &sent, &to);
            let taken = host.taken().pop().unwrap();
            assert_eq!(taken.mail.ret, Some(smtp_proto::Ret::Hdrs));
            assert!(taken.recipients.iter().all(|rcpt| rcpt.notify.is_some()));
        }
    }
}

const SMTPLIB: &str = r#"
import os, smtplib, ssl, sys
context = ssl._create_unverified_context()
port, mode, login = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if mode == "implicit":
    smtp = smtplib.SMTP_SSL("127.0.0.1", port, context=context)
else:
    smtp = (smtplib.LMTP if mode == "lmtp" else smtplib.SMTP)("127.0.0.1", port)
if mode == "starttls":
    smtp.starttls(context=context)
if login:
    smtp.user, smtp.password = "alice", "wonder land"
    smtp.ehlo()
    try:
        smtp.auth("PLAIN", lambda challenge=None: "\0alice\0wrong")
        raise SystemExit("a wrong password was taken")
    except smtplib.SMTPAuthenticationError:
        pass
    getattr(smtp, "ehlo_or_helo_if_needed")()
    method = getattr(smtp, "auth_" + login)
    smtp.auth(login.upper(), method)
to = ["one@far.example", "refused@far.example", "two@far.example"]
if mode == "lmtp":
    # It waits for one reply to the message, whatever the recipients.
    to.pop()
for name in sys.argv[4:]:
    with open(name, "rb") as file:
        data = file.read()
    options = ["BODY=8BITMIME", "RET=HDRS", "ENVID=abc+2Bdef"]
    refused = smtp.sendmail("sender@near.example", to, data, options, ["NOTIFY=NEVER"])
    assert list(refused) == ["refused@far.example"] and refused["refused@far.example"][0] == 550, refused
smtp.ehlo()
smtp.sendmail("grüße@near.example", ["пример@far.example"], data, ["SMTPUTF8", "BODY=8BITMIME"])
assert smtp.noop()[0] == 250
assert smtp.vrfy("one@far.example")[0] == 252
smtp.quit()
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn smtplib_sends() {
    if !interop() {
        return;
    }
    let lmtp = Offer {
        mode: Mode::Lmtp,
        starttls: false,
        ..Offer::FULL
    };
    for offer in ways().into_iter().chain([lmtp]) {
        let host = Host::start(offer).await;
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("send.py");
        fs::write(&script, SMTPLIB).unwrap();
        let all = messages::all();
        let files: Vec<PathBuf> = (0..all.len())
            .map(|number| {
                let path = folder.path().join(number.to_string());
                fs::write(&path, &all[number]).unwrap();
                path
            })
            .collect();
        let mode = match (offer.mode, offer.implicit_tls, offer.starttls) {
            (Mode::Lmtp, ..) => "lmtp",
            (_, true, _) => "implicit",
            (_, _, true) => "starttls",
            _ => "plain",
        };
        for login in if offer.auth {
            &["plain", "login"][..]
        } else {
            &[""]
        } {
            let before = host.taken().len();
            let mut command = timed("python3");
            command
                .arg(&script)
                .arg(host.port.to_string())
                .args([mode, login]);
            run(command.args(&files));
            let taken = host.taken().split_off(before);
            assert_eq!(taken.len(), all.len() + 1, "{:?}", host.faults());
            for (place, (taken, sent)) in taken.iter().zip(&all).enumerate() {
                messages::assert_same(&taken.content, sent);
                let to = ["<one@far.example>", "<two@far.example>"];
                let count = if mode == "lmtp" { 1 } else { 2 };
                assert_eq!(taken.to(), to[..count]);
                assert_eq!(taken.mail.envid.as_deref(), Some("abc+def"));
                assert_eq!(taken.user.is_some(), offer.auth);
                assert_eq!(taken.place, place);
            }
            let last = taken.last().unwrap();
            assert_eq!(last.to(), ["<пример@far.example>"]);
            assert!(last.mail.smtputf8);
        }
    }
}

const NODEMAILER: &str = r#"
const nodemailer = require("nodemailer");
const fs = require("fs");
const [port, mode, login, ...files] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host: "127.0.0.1", port: Number(port), name: "node.example", pool: true, maxConnections: 1,
  secure: mode === "implicit", ignoreTLS: mode === "plain", requireTLS: mode === "starttls",
  lmtp: mode === "lmtp",
  tls: { rejectUnauthorized: false },
  authMethod: login ? login.toUpperCase() : undefined,
  auth: login ? { user: "alice", pass: "wonder land" } : undefined,
});
(async () => {
  for (const file of files) {
    const info = await transport.sendMail({
      raw: fs.readFileSync(file),
      envelope: { from: "sender@near.example", to: ["one@far.example", "refused@far.example", "two@far.example"] },
      dsn: { id: "some id", return: "headers", notify: ["failure", "delay"], recipient: "one@far.example" },
    });
    if (info.rejected.join() !== "refused@far.example") throw new Error(JSON.stringify(info));
  }
  await transport.sendMail({
    raw: fs.readFileSync(files[0]),
    envelope: { from: "grüße@near.example", to: ["пример@far.example"] },
  });
  transport.close();
})().catch((error) => { console.error(error); process.exit(1); });
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodemailer_sends() {
    if !interop() {
        return;
    }
    let peers = std::env::var_os("POSTHASTE_PEERS").expect("POSTHASTE_PEERS is set");
    let modules = PathBuf::from(peers).join("node_modules");
    let lmtp = Offer {
        mode: Mode::Lmtp,
        starttls: false,
        ..Offer::FULL
    };
    for offer in ways().into_iter().chain([lmtp]) {
        let host = Host::start(offer).await;
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("send.js");
        fs::write(&script, NODEMAILER).unwrap();
        let all = messages::all();
        let files: Vec<PathBuf> = (0..all.len())
            .map(|number| {
                let path = folder.path().join(number.to_string());
                fs::write(&path, &all[number]).unwrap();
                path
            })
            .collect();
        let mode = match (offer.mode, offer.implicit_tls, offer.starttls) {
            (Mode::Lmtp, ..) => "lmtp",
            (_, true, _) => "implicit",
            (_, _, true) => "starttls",
            _ => "plain",
        };
        for login in if offer.auth {
            &["plain", "login"][..]
        } else {
            &[""]
        } {
            let before = host.taken().len();
            let mut command = timed("node");
            command.env("NODE_PATH", &modules);
            command
                .arg(&script)
                .arg(host.port.to_string())
                .args([mode, login]);
            run(command.args(&files));
            let taken = host.taken().split_off(before);
            assert_eq!(taken.len(), all.len() + 1, "{:?}", host.faults());
            for (taken, sent) in taken.iter().zip(&all) {
                messages::assert_same(&taken.content, sent);
                assert_eq!(taken.to(), ["<one@far.example>", "<two@far.example>"]);
                assert_eq!(taken.mail.envid.as_deref(), Some("some id"));
                assert_eq!(taken.tls, offer.starttls || offer.implicit_tls);
                assert_eq!(taken.user.is_some(), offer.auth);
            }
            assert_eq!(taken.last().unwrap().to(), ["<пример@far.example>"]);
        }
    }
}
