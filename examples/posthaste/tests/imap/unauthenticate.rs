//! UNAUTHENTICATE (RFC 8437): the next user finds nothing of the one before.

use super::Imap;
use super::common::{PASSWORD, Server, has_python, python};

#[test]
fn nothing_is_left_of_who_was_here() {
    let server = Server::start("mail_max_userip_connections = 1\n");
    let mut imap = Imap::login(&server, "alice");
    for number in 1..=3 {
        imap.append("INBOX", &format!("Subject: n{number}\r\n\r\n{number}\r\n"));
    }
    imap.ok("ENABLE QRESYNC IMAP4rev2");
    imap.ok("SELECT INBOX");
    imap.ok("SEARCH RETURN (SAVE) ALL");
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    // Nothing is expunged (§3), and nothing is selected any more.
    let out = imap.say("UNAUTHENTICATE");
    assert_eq!(out.len(), 1, "{out:?}");
    assert!(out[0].contains(" OK "), "{out:?}");
    for command in [
        "FETCH 1 FLAGS",
        "SELECT INBOX",
        "LIST \"\" *",
        "UNAUTHENTICATE",
    ] {
        let refused = imap.say(command);
        assert!(refused[0].contains(" BAD "), "{command}: {refused:?}");
    }
    let stranger = imap.ok("CAPABILITY");
    assert!(stranger[0].contains(" AUTH=PLAIN"), "{stranger:?}");
    // The seat of who left is free.
    let mut other = Imap::login(&server, "alice");
    assert_eq!(
        other.ok("STATUS INBOX (MESSAGES)")[0],
        "* STATUS INBOX (MESSAGES 3)"
    );
    // At once, without waiting for an answer in between.
    imap.talk.send(
        format!(
            "u UNAUTHENTICATE\r\nv LOGIN bob \"{PASSWORD}\"\r\nw UNAUTHENTICATE\r\n\
             x LOGIN bob \"{PASSWORD}\"\r\ny NOOP\r\n"
        )
        .as_bytes(),
    );
    assert!(imap.talk.until("u ").pop().unwrap().starts_with("u BAD"));
    for tag in ["v OK", "w OK", "x OK", "y OK"] {
        let told = imap.talk.until(&tag[..2]);
        assert!(told.last().unwrap().starts_with(tag), "{told:?}");
    }
    assert_eq!(
        imap.ok("STATUS INBOX (MESSAGES)")[0],
        "* STATUS INBOX (MESSAGES 0)"
    );
    assert!(imap.say("FETCH $ FLAGS")[0].contains(" BAD "));
    // What alice enabled, bob did not.
    imap.append("INBOX", "Subject: his\r\n\r\nhis\r\n");
    let selected = imap.ok("SELECT INBOX").join("\n");
    assert!(selected.contains(" RECENT"), "{selected}");
    assert!(imap.say("SELECT INBOX (QRESYNC (1 1))")[0].contains(" BAD "));
    imap.ok("SELECT INBOX");
    assert!(
        imap.ok("SEARCH SUBJECT n")
            .join("\n")
            .starts_with("* SEARCH\n")
    );
    assert_eq!(
        imap.ok("STORE 1 +FLAGS (\\Deleted)")[0],
        "* 1 FETCH (FLAGS (\\Deleted))"
    );
    assert_eq!(imap.ok("EXPUNGE")[0], "* 1 EXPUNGE");
}

#[test]
fn it_can_be_withheld() {
    let server = Server::start("imap_unauthenticate = false\n");
    let mut imap = Imap::login(&server, "alice");
    assert!(!imap.ok("CAPABILITY")[0].contains("UNAUTHENTICATE"));
    assert!(imap.say("UNAUTHENTICATE")[0].contains(" BAD "));
    imap.ok("SELECT INBOX");
}

/// §4.1: neither side deflates behind the command and its OK; the client may
/// go on at once.
#[test]
fn what_was_deflated_is_plain_again() {
    if !has_python() {
        return;
    }
    let server = Server::start("");
    let output = python(
        &server,
        r#"
import os, socket, zlib
sock = socket.create_connection(("127.0.0.1", int(os.environ["IMAP"])))
buffer = b""
unpack = None

def until(tag):
    global buffer, unpack
    while True:
        at = 0 if buffer.startswith(tag) else buffer.find(b"\r\n" + tag)
        if at >= 0:
            end = buffer.find(b"\r\n", at + 2)
            if end > 0:
                said, buffer = buffer[: end + 2], buffer[end + 2 :]
                return said
        octets = sock.recv(65536)
        assert octets, "closed"
        buffer += unpack.decompress(octets) if unpack else octets

LOGIN = b'LOGIN %s "correct horse"\r\n'
until(b"* OK")
sock.sendall(b"a " + LOGIN % b"alice")
until(b"a OK")
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for end in [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH]:
    for cut in [0, 1, 3, 4, 5, 6, 14]:
        sock.sendall(b"b COMPRESS DEFLATE\r\n")
        until(b"b OK")
        unpack = zlib.decompressobj(-15)
        pack = zlib.compressobj(9, zlib.DEFLATED, -15)
        sock.sendall(pack.compress(b"c NOOP\r\n") + pack.flush(zlib.Z_SYNC_FLUSH))
        until(b"c OK")
        octets = pack.compress(b"d FETCH 1 ALL\r\ne UNAUTHENTICATE\r\n") + pack.flush(end)
        octets += b"f " + LOGIN % b"bob" + b"g STATUS INBOX (MESSAGES)\r\n"
        # Cut at its end, or where the octets are plain.
        at = octets.index(b"f LOGIN")
        sock.sendall(octets[: at - 5 + cut])
        sock.sendall(octets[at - 5 + cut :])
        # Inflated up to the end of the flush behind the OK; then plain.
        raw = b""
        while b"\r\ng OK" not in raw:
            more = sock.recv(65536)
            assert more, "closed"
            raw += more
        end_of_flush = raw.index(b"\x00\x00\xff\xff" + b"f OK") + 4
        said = unpack.decompress(raw[:end_of_flush])
        assert b"d BAD" in said and said.endswith(b"\r\n") and b"\r\ne OK" in said, said
        assert b"* STATUS INBOX (MESSAGES 0)" in raw[end_of_flush:], raw
        unpack, buffer = None, b""
sock.sendall(b"h LOGOUT\r\n")
until(b"h OK")
print("done")
"#,
    );
    assert!(output.contains("done"), "{output}");
}
