//! Clients that nobody here wrote, with what the server offers beyond the
//! base: IMAPClient and imapflow, where `POSTHASTE_INTEROP=1` says that
//! `$POSTHASTE_PEERS` (or `target/peers`) has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::{Server, interop, run};

fn peers() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
    std::env::var_os("POSTHASTE_PEERS").map_or(here, PathBuf::from)
}

fn script(server: &Server, program: &str, name: &str, text: &str) {
    let path = server.path(name);
    std::fs::write(&path, text).unwrap();
    let said = run(Command::new("timeout")
        .args(["300", program])
        .arg(path)
        .arg(server.ports.imap.to_string())
        .env("PYTHONPATH", peers().join("imap/python"))
        .env("NODE_PATH", peers().join("imap/node_modules")));
    assert!(said.ends_with("done\n"), "{said}");
}

#[test]
fn imapclient() {
    if !interop() {
        return;
    }
    let server = Server::start("quota_rule = [\"*:messages=100\"]\n");
    script(
        &server,
        "python3",
        "imapclient_peer.py",
        r#"
import sys
from imapclient import IMAPClient

def connect():
    client = IMAPClient("127.0.0.1", port=int(sys.argv[1]), ssl=False, timeout=300)
    client.login("alice", "correct horse")
    return client

client = connect()
for name in (b"CONDSTORE", b"QRESYNC", b"SORT", b"THREAD=REFERENCES", b"QUOTA", b"COMPRESS=DEFLATE"):
    assert client.has_capability(name), name
assert client.enable("CONDSTORE") == [b"CONDSTORE"]
text = "From: %s <x@example.org>\r\nSubject: %s\r\nMessage-ID: <%d@x>\r\nReferences: %s\r\n\r\nx\r\n"
client.append("INBOX", text % ("Zoe", "apples", 1, ""))
client.append("INBOX", text % ("Adam", "Re: apples", 2, "<1@x>"))
client.append("INBOX", (text % ("Max", "Äpfel", 3, "")).encode())
highest = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
assert client.sort(["SUBJECT", "REVERSE ARRIVAL"]) [:2] in ([1, 2], [2, 1])
assert client.sort("FROM") == [1, 2, 3] and client.sort("REVERSE DISPLAYFROM") == [1, 3, 2]
assert client.sort("ARRIVAL", ["SUBJECT", "Äpfel"], charset="UTF-8") == [3]
assert client.thread() == ((1, 2), (3,)), client.thread()
assert client.thread(algorithm="ORDEREDSUBJECT") == ((1, 2), (3,))

other = connect()
other.select_folder("INBOX")
other.add_flags([2], [b"\\Flagged"], silent=True)
changed = client.fetch("1:*", ["FLAGS"], modifiers=["CHANGEDSINCE %d" % highest])
assert list(changed) == [2] and changed[2][b"FLAGS"] == (b"\\Flagged",), changed
assert changed[2][b"MODSEQ"][0] > highest
found = client.search(["MODSEQ", str(highest + 1)])
assert found == [2] and found.modseq == changed[2][b"MODSEQ"][0], (found, found.modseq)
root, quotas = client.get_quota_root("INBOX")
assert list(root.quota_roots) == ["User quota"] and quotas[0].usage == 3 and quotas[0].limit == 100
client.logout()
other.logout()
print("done")
"#,
    );
}

#[test]
fn imapflow() {
    if !interop() {
        return;
    }
    let server = Server::start("");
    script(
        &server,
        "node",
        "imapflow_peer.js",
        r#"
"use strict";
const assert = require("node:assert");
const { ImapFlow } = require("imapflow");
const connect = async () => {
  const client = new ImapFlow({
    host: "127.0.0.1", port: Number(process.argv[2]), secure: false, doSTARTTLS: false,
    logger: false, disableAutoIdle: true, qresync: true,
    auth: { user: "alice", pass: "correct horse" },
  });
  await client.connect();
  return client;
};
(async () => {
  const client = await connect();
  assert(client.enabled.has("QRESYNC") && client.enabled.has("CONDSTORE"), [...client.enabled]);
  for (const name of ["one", "two", "three", "four"]) {
    await client.append("INBOX", `Subject: ${name}\r\n\r\n${"x".repeat(50000)}\r\n`);
  }
  const opened = await client.mailboxOpen("INBOX");
  assert.strictEqual(opened.exists, 4);
  // The object goes with the mailbox: this is how it is now.
  const highest = opened.highestModseq;
  assert(highest > 0n);
  const gone = [];
  client.on("expunge", (data) => gone.push(data));
  const other = await connect();
  await other.mailboxOpen("INBOX");
  await other.messageFlagsAdd("3", ["\\Seen"], { uid: true });
  await other.messageDelete("2", { uid: true });
  await client.noop();
  assert.deepStrictEqual(gone.map((data) => [data.uid, data.vanished]), [[2, true]]);
  const changed = [];
  for await (const one of client.fetch("1:*", { flags: true }, { uid: true, changedSince: highest })) {
    changed.push([one.uid, [...one.flags], one.modseq > highest]);
  }
  assert.deepStrictEqual(changed, [[3, ["\\Seen"], true]]);
  const whole = await client.fetchOne("4", { source: true, uid: true }, { uid: true });
  assert(whole.source.length > 50000);
  await client.logout();
  await other.logout();
  console.log("done");
})().catch((error) => { console.error(error); process.exit(1); });
"#,
    );
}
