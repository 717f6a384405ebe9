"""IMAPClient against the server of the example."""
import datetime
import sys

from imapclient import DELETED, SEEN, IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

PORT = int(sys.argv[1])
TEXT = "From: Alice <alice@example.org>\r\nTo: bob@example.org, <carol@example.net>\r\n" \
    "Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\n\r\n" \
    "Line\r\n"


def connect():
    client = IMAPClient("127.0.0.1", port=PORT, ssl=False, timeout=60)
    client.login("alice", "demo")
    return client


client = IMAPClient("127.0.0.1", port=PORT, ssl=False, timeout=60)
try:
    client.login("alice", "wrong")
    raise SystemExit("a wrong password was accepted")
except LoginError:
    pass
client.login("alice", "demo")
assert client.has_capability("IDLE") and client.has_capability("UIDPLUS")
assert client.folder_exists("INBOX") and not client.folder_exists("nowhere")
client.create_folder("Übersicht/日本語")
assert [name for _, _, name in client.list_folders()] == ["INBOX", "Übersicht/日本語"]
assert client.list_folders("Übersicht", "*")[0][1] == b"/"

selected = client.select_folder("INBOX")
assert selected[b"EXISTS"] == 0 and selected[b"UIDVALIDITY"] == 1 and selected[b"UIDNEXT"] == 1
when = datetime.datetime(1996, 7, 17, 2, 44, 25, tzinfo=datetime.timezone.utc)
for name in ("one", "two", "three"):
    client.append("INBOX", TEXT % (name, name), flags=["work"], msg_time=when)
assert client.search(["SUBJECT", "three"]) == [3]
assert client.search(["KEYWORD", "work", "NOT", "SEEN"]) == [1, 2, 3]
assert client.search("BEFORE 18-Jul-1996 LARGER 10") == [1, 2, 3]

data = client.fetch([1, 2, 3], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "INTERNALDATE", "BODY.PEEK[]"])
envelope = data[2][b"ENVELOPE"]
assert envelope.subject == b"two" and envelope.message_id == b"<two@example.org>", envelope
assert str(envelope.to[1]) == "carol@example.net", envelope
assert data[1][b"BODY[]"] == (TEXT % ("one", "one")).encode()
assert data[3][b"FLAGS"] == (b"work",) and data[3][b"SEQ"] == 3
# IMAPClient gives times in the zone of its host.
assert data[1][b"INTERNALDATE"].timestamp() == when.timestamp()
body = data[1][b"BODYSTRUCTURE"]
assert (body[0], body[1], body[6], body[7]) == (b"TEXT", b"PLAIN", 6, 1), body
assert client.fetch(2, "BODY[TEXT]")[2][b"BODY[TEXT]"] == b"Line\r\n"
assert client.get_flags(2)[2] == (b"work", SEEN)
assert client.add_flags([1, 3], [DELETED]) == {1: (b"work", DELETED), 3: (b"work", DELETED)}
assert client.remove_flags(1, [DELETED]) == {1: (b"work",)}

client.copy([1, 2], "Übersicht/日本語")
assert client.folder_status("Übersicht/日本語")[b"MESSAGES"] == 2
client.uid_expunge([1, 3])
assert client.search() == [1, 2]
client.move([1], "Übersicht/日本語")
assert client.search() == [2]
try:
    client.copy([2], "nowhere")
    raise SystemExit("copied to a mailbox that is not there")
except IMAPClientError as error:
    assert "TRYCREATE" in str(error) or "No such mailbox" in str(error), error

# Another session's news reach IDLE.
client.idle()
other = connect()
other.append("INBOX", TEXT % ("news", "news"))
news = client.idle_check(timeout=30)
assert (2, b"EXISTS") in news, news
other.select_folder("INBOX")
other.delete_messages([2])
other.expunge()
seen = []
while (1, b"EXPUNGE") not in seen:
    more = client.idle_check(timeout=30)
    assert more, seen
    seen += more
client.idle_done()
assert client.search() == [4]
client.unselect_folder()
client.delete_folder("Übersicht/日本語")
client.logout()
other.logout()
print("done")
