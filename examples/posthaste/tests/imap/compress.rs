//! COMPRESS (RFC 4978), by Python's own zlib.

use std::io::Read;

use super::Imap;
use super::common::{Server, has_python, python};

#[test]
fn deflated_both_ways() {
    if !has_python() {
        return;
    }
    let server = Server::start("");
    let output = python(
        &server,
        r#"
import os, socket, ssl, zlib
raw = socket.create_connection(("127.0.0.1", int(os.environ["IMAP"])))
context = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
context.check_hostname = False

class Talk:
    def __init__(self, sock):
        self.sock, self.buffer, self.pack, self.unpack = sock, b"", None, None
    def say(self, octets):
        if self.pack:
            octets = self.pack.compress(octets) + self.pack.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(octets)
    def more(self):
        octets = self.sock.recv(65536)
        assert octets, "closed"
        self.buffer += self.unpack.decompress(octets) if self.unpack else octets
    def until(self, tag):
        while True:
            at = 0 if self.buffer.startswith(tag) else self.buffer.find(b"\r\n" + tag)
            if at >= 0:
                end = self.buffer.find(b"\r\n", at + 2)
                if end > 0:
                    said, self.buffer = self.buffer[: end + 2], self.buffer[end + 2 :]
                    return said
            self.more()

talk = Talk(raw)
talk.until(b"* OK")
talk.say(b"a COMPRESS DEFLATE\r\n")
assert b"a NO" in talk.until(b"a ")
talk.say(b"b STARTTLS\r\n")
talk.until(b"b OK")
talk.sock = context.wrap_socket(raw, server_hostname="mx.example.org")
talk.say(b'c LOGIN alice "correct horse"\r\n')
talk.until(b"c OK")
talk.say(b"d COMPRESS DEFLATE\r\n")
talk.until(b"d OK")
talk.pack = zlib.compressobj(9, zlib.DEFLATED, -15)
talk.unpack = zlib.decompressobj(-15)
talk.say(b"e COMPRESS DEFLATE\r\n")
assert b"e NO [COMPRESSIONACTIVE]" in talk.until(b"e ")
body = b"".join(b"line %d of a message\r\n" % n for n in range(100000))
message = b"Subject: large\r\n\r\n" + body
talk.say(b"f APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\ng SELECT INBOX\r\n")
talk.until(b"f OK")
talk.until(b"g OK")
talk.say(b"h FETCH 1 BODY.PEEK[]\r\ni NOOP\r\n")
fetched = talk.until(b"h OK")
assert message in fetched, len(fetched)
talk.until(b"i OK")
talk.say(b"j IDLE\r\n")
talk.until(b"+ ")
talk.say(b"DONE\r\n")
talk.until(b"j OK")
talk.say(b"k LOGOUT\r\n")
talk.until(b"* BYE")
talk.until(b"k OK")
print("done")
"#,
    );
    assert!(output.contains("done"), "{output}");
}

#[test]
fn who_goes_on_in_the_clear_is_cut_off() {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    imap.ok("COMPRESS DEFLATE");
    imap.talk.say("x NOOP");
    let mut rest = Vec::new();
    // Closed, or reset since it read no further.
    let _ = imap.talk.reader.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("NOOP completed"));
}
