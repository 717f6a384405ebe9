//! The libraries that programs send mail with: Python's smtplib, nodemailer.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use smtp_proto::Mode;

use crate::bed::{interop, run};
use crate::host::{Host, Offer, Taken};
use crate::messages;
use crate::small::{all_ways, timed};

/// Has a script send all messages, and then one with addresses in UTF-8, in
/// every way there is: it is told the port, the way, the login and the files.
/// `check` looks at what came of each way.
async fn send(command: impl Fn() -> Command, script: &str, check: fn(Offer, &[Taken])) {
    for offer in all_ways() {
        let host = Host::start(offer).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        fs::write(&path, script).unwrap();
        let all = messages::all();
        let files: Vec<PathBuf> = (0..all.len())
            .map(|number| {
                let path = folder.path().join(number.to_string());
                fs::write(&path, &all[number]).unwrap();
                path
            })
            .collect();
        let way = match (offer.mode, offer.implicit_tls, offer.starttls) {
            (Mode::Lmtp, ..) => "lmtp",
            (_, true, _) => "implicit",
            (_, _, true) => "starttls",
            _ => "plain",
        };
        let logins = if offer.auth {
            &["plain", "login"][..]
        } else {
            &[""]
        };
        for login in logins {
            let before = host.taken().len();
            let mut command = command();
            command.arg(&path).arg(host.port.to_string());
            run(command.args([way, login]).args(&files));
            let taken = host.taken().split_off(before);
            assert_eq!(taken.len(), all.len() + 1, "{:?}", host.faults());
            let (last, others) = taken.split_last().unwrap();
            for (taken, sent) in others.iter().zip(&all) {
                messages::assert_same(&taken.content, sent);
            }
            for taken in &taken {
                assert_eq!(taken.tls, offer.starttls || offer.implicit_tls);
                assert_eq!(taken.user.is_some(), offer.auth);
            }
            assert_eq!(last.to(), ["<пример@far.example>"]);
            assert!(last.mail.smtputf8);
            check(offer, others);
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
    send(
        || timed("python3"),
        SMTPLIB,
        |offer, taken| {
            for (place, taken) in taken.iter().enumerate() {
                let to = ["<one@far.example>", "<two@far.example>"];
                let count = if offer.mode == Mode::Lmtp { 1 } else { 2 };
                assert_eq!(taken.to(), to[..count]);
                assert_eq!(taken.mail.envid.as_deref(), Some("abc+def"));
                assert_eq!(taken.place, place);
            }
        },
    )
    .await;
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
    let node = || {
        let mut command = timed("node");
        command.env("NODE_PATH", &modules);
        command
    };
    send(node, NODEMAILER, |_, taken| {
        for taken in taken {
            assert_eq!(taken.to(), ["<one@far.example>", "<two@far.example>"]);
            assert_eq!(taken.mail.envid.as_deref(), Some("some id"));
        }
    })
    .await;
}
