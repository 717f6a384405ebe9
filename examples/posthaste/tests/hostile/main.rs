//! Clients, messages, scripts and users that mean ill: the real server answers
//! precisely, holds its memory, goes on, and loses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;
mod delivery;
mod disk;
mod drip;
mod memory;
mod names;
mod scripts;
mod wire;

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use common::{PASSWORD, Server, Talk, files};
use rustix::process::{Resource, getrlimit, setrlimit};

const MIB: usize = 1 << 20;

/// A field of /proc/PID/status in KiB.
fn memory(server: &Server, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Forgets the peak of the server's memory; answers what it holds now, in KiB.
fn forget_peak(server: &Server) -> usize {
    fs::write(format!("/proc/{}/clear_refs", server.id()), "5").unwrap();
    memory(server, "VmRSS:")
}

/// How much the server has held more than `before` at any time since, in MiB.
fn grown(server: &Server, before: usize) -> usize {
    memory(server, "VmHWM:").saturating_sub(before) / 1024
}

/// Whether the octets stand in any file of the server's folder.
fn anywhere(server: &Server, mark: &str) -> bool {
    files(server.folder.path())
        .into_iter()
        .filter(|path| !path.ends_with("stderr.log"))
        .any(|path| {
            let octets = fs::read(path).unwrap_or_default();
            memchr::memmem::find(&octets, mark.as_bytes()).is_some()
        })
}

fn smtp(server: &Server) -> Talk {
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.expect("220");
    smtp.say("EHLO client.example");
    smtp.expect("250");
    smtp
}

fn begin(server: &Server, to: &str) -> Talk {
    let mut smtp = smtp(server);
    smtp.say("MAIL FROM:<alice@example.org>");
    smtp.expect("250");
    smtp.say(&format!("RCPT TO:<{to}>"));
    smtp.expect("250");
    smtp.say("DATA");
    smtp.expect("354");
    smtp
}

fn imap(server: &Server, user: &str) -> Talk {
    let mut imap = Talk::connect(server.ports.imap);
    assert!(imap.line().starts_with("* OK"));
    imap.say(&format!("login LOGIN {user} \"{PASSWORD}\""));
    let reply = imap.until("login ").pop().unwrap();
    assert!(reply.starts_with("login OK"), "{reply}");
    imap
}

fn command(imap: &mut Talk, command: &str) -> Vec<String> {
    imap.say(&format!("c {command}"));
    imap.until("c ")
}

fn append(imap: &mut Talk, message: &[u8]) {
    imap.say(&format!("append APPEND INBOX {{{}}}", message.len()));
    assert!(imap.line().starts_with('+'));
    imap.send(message);
    imap.say("");
    let reply = imap.until("append ").pop().unwrap();
    assert!(reply.starts_with("append OK"), "{reply}");
}

fn pop3(server: &Server, user: &str) -> Talk {
    let mut pop3 = Talk::connect(server.ports.pop3);
    pop3.line();
    for command in [format!("USER {user}"), format!("PASS {PASSWORD}")] {
        pop3.say(&command);
        let reply = pop3.line();
        assert!(reply.starts_with("+OK"), "{reply}");
    }
    pop3
}

/// Sends without ever reading until the server takes no more, has hung up, or
/// has taken `most` octets.
fn send_only(talk: &mut Talk, block: &[u8], most: usize) {
    let stream = talk.reader.get_mut();
    let wait = Some(Duration::from_secs(2));
    stream.set_write_timeout(wait).unwrap();
    let mut sent = 0;
    while sent < most {
        match stream.write(block) {
            Ok(count) => sent += count,
            Err(error) => {
                let expected = [
                    ErrorKind::WouldBlock,
                    ErrorKind::TimedOut,
                    ErrorKind::BrokenPipe,
                    ErrorKind::ConnectionReset,
                ];
                assert!(expected.contains(&error.kind()), "{error}");
                return;
            }
        }
    }
}

/// All that the server has to say until it closes.
fn rest(talk: &mut Talk) -> String {
    let mut octets = Vec::new();
    let mut block = [0; 65_536];
    loop {
        match talk.reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => octets.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&octets)),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// A message goes in and comes out.
fn still_works(server: &Server) {
    let before = server.mail("bob").len();
    server.send("a@example.com", "bob@example.org", "Subject: fine\r\n\r\nx");
    server.wait_until("a delivery", || server.mail("bob").len() == before + 1);
    let mut imap = imap(server, "bob");
    assert!(
        command(&mut imap, "SELECT INBOX")
            .pop()
            .unwrap()
            .starts_with("c OK")
    );
    pop3(server, "bob");
}

fn queue_is_empty(server: &Server) -> bool {
    let list = server.command_with_input(&["queue", "list"], "");
    String::from_utf8_lossy(&list.stdout).contains("empty")
}

fn script(server: &Server, user: &str, text: &str) {
    fs::create_dir_all(server.home(user)).unwrap();
    fs::write(server.home(user).join(".dovecot.sieve"), text).unwrap();
}
