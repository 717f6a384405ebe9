//! Clients that nobody here wrote, against the server of the example: Python's
//! imaplib, IMAPClient, aioimaplib, and Node's imapflow.
//!
//! They run where `POSTHASTE_INTEROP=1` says that they are there, and must
//! be: `fetch-clients` has put them where `POSTHASTE_PEERS` says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "../../examples/memory/main.rs"]
#[allow(dead_code, reason = "the example's `main` is not run here")]
mod memory;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a script against a fresh server; it must succeed and say `done` last.
fn run(program: &str, script: &str) {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || memory::serve(&listener).unwrap());
    let peers = std::env::var("POSTHASTE_PEERS").unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let output = Command::new("timeout")
        .args(["300", program])
        .arg(here.join(script))
        .arg(port.to_string())
        .env("PYTHONPATH", Path::new(&peers).join("imap/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_PATH", Path::new(&peers).join("imap/node_modules"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.ends_with("done\n"), "{said}\n{errors}");
}

/// What README shows embedders is not to become a server of its own.
#[test]
fn the_example_is_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/memory");
    let files = std::fs::read_dir(folder).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let lines: usize = texts.map(|text| text.lines().count()).sum();
    assert!((100..500).contains(&lines), "{lines} lines");
}

#[test]
fn imaplib() {
    run("python3", "imaplib_client.py");
}

#[test]
fn imapclient() {
    run("python3", "imapclient_client.py");
}

#[test]
fn aioimaplib() {
    run("python3", "aioimaplib_client.py");
}

#[test]
fn imapflow() {
    run("node", "imapflow_client.js");
}
