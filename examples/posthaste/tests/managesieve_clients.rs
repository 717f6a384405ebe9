//! ManageSieve clients that nobody here wrote: sieve-connect of Debian and the `managesieve` package of PyPI.
//!
//! Run where `POSTHASTE_INTEROP=1` says that they are there, and must be: the package lies in
//! `$POSTHASTE_PEERS/python`, or `target/peers/python`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{PASSWORD, Server, interop};

const SCRIPT: &str = "require [\"fileinto\"];\r\nif size :over 1M { fileinto \"Big\"; }\r\n";

/// One action of sieve-connect; the password comes by its standard input.
fn sieve_connect(server: &Server, arguments: &[&str]) -> (bool, String) {
    let port = server.ports.managesieve.to_string();
    let mut child = Command::new("sieve-connect")
        .args([
            "--server",
            "127.0.0.1",
            "--port",
            &port,
            "--nosrv",
            "--notlsverify",
        ])
        .args([
            "--user",
            "alice",
            "--passwordfd",
            "0",
            "--authmech",
            "PLAIN",
        ])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|fault| panic!("sieve-connect (Debian package sieve-connect): {fault}"));
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

#[test]
fn sieve_connect_manages_scripts() {
    if !interop() {
        return;
    }
    let server = Server::start("");
    let local = server.path("one.sieve");
    fs::write(&local, SCRIPT).unwrap();
    let local = local.to_str().unwrap();
    let good = |arguments: &[&str]| {
        let (good, told) = sieve_connect(&server, arguments);
        assert!(good, "{arguments:?}: {told}");
        told
    };
    good(&["--upload", "--localsieve", local, "--remotesieve", "one"]);
    good(&["--checkscript", "--localsieve", local]);
    good(&["--activate", "--remotesieve", "one"]);
    let listed = good(&["--list"]);
    assert!(
        listed.contains("one") && listed.to_uppercase().contains("ACTIVE"),
        "{listed}"
    );
    assert!(server.home("alice").join(".dovecot.sieve").exists());
    let back = server.path("back.sieve");
    let back = back.to_str().unwrap();
    good(&["--download", "--remotesieve", "one", "--localsieve", back]);
    let text = fs::read_to_string(back).unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), SCRIPT.replace("\r\n", "\n").trim_end());
    // A script with faults is refused with them.
    fs::write(server.path("bad.sieve"), "fileinto;\r\n").unwrap();
    let bad = server.path("bad.sieve");
    let (accepted, told) = sieve_connect(
        &server,
        &[
            "--upload",
            "--localsieve",
            bad.to_str().unwrap(),
            "--remotesieve",
            "bad",
        ],
    );
    assert!(!accepted || told.contains("fileinto"), "{told}");
    good(&["--deactivate"]);
    good(&["--delete", "--remotesieve", "one"]);
    let listed = good(&["--list"]);
    assert!(
        !listed.contains("one") && !listed.contains("bad"),
        "{listed}"
    );
}

#[test]
fn the_python_package_manages_scripts() {
    if !interop() {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
    let peers = std::env::var_os("POSTHASTE_PEERS").map_or(here, PathBuf::from);
    let packages = peers.join("python");
    assert!(
        packages.join("managesieve.py").exists(),
        "managesieve is not in {}",
        packages.display()
    );
    let server = Server::start("");
    let script = r#"
import os, managesieve
script = 'require ["fileinto"];\r\nif size :over 1M { fileinto "Big"; }\r\n'
for tls in (False, True):
    m = managesieve.MANAGESIEVE("127.0.0.1", int(os.environ["PORT"]))
    if tls:
        m.starttls(verify=False)
    assert m.login("", "alice", os.environ["PASSWORD"]) == "OK", m.response_text
    assert "fileinto" in m.capabilities, m.capabilities
    assert m.havespace("one", len(script)) == "OK"
    assert m.putscript("one", script) == "OK", m.response_text
    assert m.putscript("bad", "fileinto;") == "NO"
    assert "fileinto" in str(m.response_text), m.response_text
    assert m.putscript("two", "keep;\r\n") == "OK"
    assert m.setactive("two") == "OK"
    assert m.setactive("three") == "NO"
    result, scripts = m.listscripts()
    assert result == "OK" and sorted(scripts) == [("one", False), ("two", True)], scripts
    result, text = m.getscript("one")
    assert result == "OK" and text.split() == script.split(), text
    assert m.deletescript("two") == "NO"
    assert m.setactive("") == "OK"
    assert m.deletescript("two") == "OK"
    assert m.deletescript("one") == "OK"
    assert m.listscripts() == ("OK", []), m.listscripts()
    assert m.logout() == "OK"
wrong = managesieve.MANAGESIEVE("127.0.0.1", int(os.environ["PORT"]))
assert wrong.login("", "alice", "no") == "NO"
print("done")
"#;
    let output = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONPATH", &packages)
        .env("PORT", server.ports.managesieve.to_string())
        .env("PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stdout.ends_with(b"done\n"),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
