//! Mail that another server hands over by LMTP (RFC 2033), by TCP and by a
//! socket in the file system.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;

use common::{Server, free_port, interop, run};

/// Says lines and hears all that is said, to the end of the connection.
fn talk<S: Read + Write>(stream: S, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let all = lines.join("\r\n") + "\r\n";
    stream.get_mut().write_all(all.as_bytes()).unwrap();
    stream.lines().map(Result::unwrap).collect()
}

const SESSION: [&str; 10] = [
    "LHLO front.example",
    "MAIL FROM:<>",
    "RCPT TO:<alice@example.org>",
    "RCPT TO:<nobody@example.org>",
    "RCPT TO:<somebody@elsewhere.example>",
    "RCPT TO:<bob@example.org>",
    "DATA",
    "Subject: by lmtp",
    "",
    "..\r\n.\r\nQUIT",
];

#[test]
fn each_recipient_has_a_reply() {
    let port = free_port();
    let server = Server::start(&format!("listen_lmtp = [\"127.0.0.1:{port}\", \"lmtp\"]\n"));
    let tcp = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let path = server.path("lmtp");
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    for replies in [
        talk(tcp(), &SESSION),
        talk(UnixStream::connect(&path).unwrap(), &SESSION),
    ] {
        let codes: Vec<&str> = replies
            .iter()
            .filter(|line| line.as_bytes().get(3) == Some(&b' '))
            .map(|line| &line[..9])
            .collect();
        let refused = ["550 5.1.1", "554 5.7.1"];
        assert!(codes[0].starts_with("220 "), "{replies:?}");
        assert_eq!(codes[2], "250 2.1.0", "{replies:?}");
        assert_eq!(codes[3], "250 2.1.5");
        assert_eq!(codes[4..6], refused);
        assert_eq!(codes[6], "250 2.1.5");
        assert!(codes[7].starts_with("354 "));
        assert_eq!(codes[8..], ["250 2.0.0", "250 2.0.0", "221 2.0.0"]);
    }
    for user in ["alice", "bob"] {
        server.wait_until("both messages", || server.mail(user).len() == 2);
    }
    let all = server.mail("alice");
    assert!(
        all.iter()
            .all(|one| one.contains("with LMTP id") && one.ends_with("\n\n.\n"))
    );
    assert!(
        all.iter()
            .any(|one| one.contains("from front.example ([127.0.0.1])"))
    );
    // HELO and EHLO are SMTP's.
    let replies = talk(tcp(), &["EHLO front.example", "QUIT"]);
    assert!(replies[1].starts_with("5"), "{replies:?}");
    let mut server = server;
    server.stop();
    assert!(!path.exists());
}

/// Others' clients, which speak LMTP with several recipients.
#[test]
fn swaks_and_smtp_source_hand_over() {
    if !interop() {
        return;
    }
    let port = free_port();
    let server = Server::start(&format!("listen_lmtp = [\"127.0.0.1:{port}\", \"lmtp\"]\n"));
    let mut swaks = std::process::Command::new("timeout");
    swaks.args([
        "300",
        "swaks",
        "--timeout",
        "300",
        "--protocol",
        "LMTP",
        "--socket",
    ]);
    swaks.arg(server.path("lmtp"));
    swaks.args([
        "--from",
        "a@near.example",
        "--to",
        "alice@example.org,bob@example.org",
    ]);
    run(&mut swaks);
    let mut source = std::process::Command::new("timeout");
    source.args(["300", "smtp-source", "-L", "-d", "-s", "4", "-m", "40"]);
    source.args(["-f", "a@near.example", "-t", "alice@example.org"]);
    run(source.arg(format!("127.0.0.1:{port}")));
    server.wait_until("all of them", || server.mail("alice").len() == 41);
    server.wait_until("the other's", || server.mail("bob").len() == 1);
}
