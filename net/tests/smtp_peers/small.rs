//! Clients that are no servers: swaks and msmtp.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use smtp_proto::Mode;

use crate::bed::{interop, run};
use crate::host::{Host, Offer, PASSWORD, USER};
use crate::messages;

pub(crate) fn timed(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["300", program]);
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

/// The same, and LMTP.
pub(crate) fn all_ways() -> impl Iterator<Item = Offer> {
    let lmtp = Offer {
        mode: Mode::Lmtp,
        starttls: false,
        ..Offer::FULL
    };
    ways().into_iter().chain([lmtp])
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
    for offer in all_ways() {
        let host = Host::start(offer).await;
        for (before, mut sent) in messages::all().into_iter().enumerate() {
            // swaks itself takes a dot on the last line for the end, and
            // ends the last line.
            sent.extend_from_slice(b"end\r\n");
            let folder = tempfile::tempdir().unwrap();
            let path = file(&folder, sent.strip_suffix(b"\r\n").unwrap(), b"\n");
            let mut command = timed("swaks");
            command.args(["--timeout", "300"]);
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
        command.args(["--timeout", "300"]);
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
