//! Courier's imapd, on a socket that it is given, as its user is who runs it.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use imap_proto::{Extension, StatusKind, Untagged};

use crate::bed::interop;
use crate::talk::{Talk, common};

#[tokio::test]
async fn courier() {
    if !interop() {
        return;
    }
    let peers = std::env::var("POSTHASTE_PEERS").expect("POSTHASTE_PEERS is set");
    let root = PathBuf::from(peers).join("imap/courier");
    let home = tempfile::tempdir().unwrap();
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(home.path().join("Maildir").join(name)).unwrap();
    }
    let libraries = format!(
        "{at}/usr/lib:{at}/usr/lib/x86_64-linux-gnu",
        at = root.display()
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut command = Command::new(root.join("usr/bin/imapd"));
    command
        .arg("Maildir")
        .current_dir(home.path())
        .env("LD_LIBRARY_PATH", libraries)
        .env("HOME", home.path())
        .env("AUTHENTICATED", "1")
        .env(
            "IMAP_CAPABILITY",
            "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT",
        )
        .stderr(Stdio::null());
    let server = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let other: OwnedFd = socket.try_clone().unwrap().into();
        command.stdin(OwnedFd::from(socket)).stdout(other);
        command.status().unwrap()
    });

    let mut talk = Talk::connect(port).await;
    let capability = talk.ok("CAPABILITY").await;
    // It may begin with a warning; then PREAUTH comes behind.
    let pre_authenticated = |data: &Untagged| matches!(data, Untagged::Status(status) if status.kind == StatusKind::PreAuth);
    assert!(
        talk.greeting.kind == StatusKind::PreAuth || capability.data.iter().any(pre_authenticated),
        "{:?}",
        capability.lines()
    );
    assert!(talk.conn.machine().offers(Extension::UidPlus));
    common(&mut talk, "INBOX.").await;
    assert!(
        talk.ok("SORT (REVERSE SUBJECT) US-ASCII ALL")
            .await
            .has("* SORT 1")
    );
    assert!(
        talk.ok("THREAD REFERENCES US-ASCII ALL")
            .await
            .has("* THREAD (1)")
    );
    talk.ok("NAMESPACE").await;
    talk.logout().await;
    assert!(server.join().unwrap().success());
}
