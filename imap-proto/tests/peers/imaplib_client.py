"""Python's imaplib against the server of the example."""
import imaplib
import sys

MESSAGE = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: %s\r\n" \
    b"Message-ID: <%s@example.org>\r\n\r\nHello %s.\r\n.\r\nend\r\n"


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
assert "IMAP4REV1" in imap.capabilities and "UIDPLUS" in imap.capabilities, imap.capabilities
try:
    imap.login("alice", "wrong")
    raise SystemExit("a wrong password was accepted")
except imaplib.IMAP4.error as error:
    assert "AUTHENTICATIONFAILED" in str(error), error
ok(imap.login("alice", "demo"))
assert ok(imap.select()) == [b"0"]
assert imap.response("UIDVALIDITY")[1] == [b"1"]
for name in (b"one", b"two", b"three"):
    message = MESSAGE % (name, name, name)
    said = ok(imap.append("INBOX", r"(\Flagged)", '"17-Jul-1996 02:44:25 -0700"', message))
    assert b"APPENDUID 1 " in said[0], said
# A literal that is larger than any buffer on the way.
big = MESSAGE % (b"big", b"big", b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 50_000)
ok(imap.append("INBOX", "()", None, big))
ok(imap.noop())
assert imap.response("EXISTS")[1][-1] == b"4"
assert imap.append("nowhere", None, None, b"x\r\n")[0] == "NO"

data = ok(imap.fetch("1:2", "(UID FLAGS INTERNALDATE RFC822.SIZE)"))
assert data == [
    rb'1 (UID 1 FLAGS (\Flagged) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE %d)'
    % len(MESSAGE % (b"one", b"one", b"one")),
    rb'2 (UID 2 FLAGS (\Flagged) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE %d)'
    % len(MESSAGE % (b"two", b"two", b"two")),
], data
assert ok(imap.fetch("4", "(BODY.PEEK[])"))[0][1] == big
assert ok(imap.fetch("1", "(RFC822)"))[0][1] == MESSAGE % (b"one", b"one", b"one")
assert ok(imap.fetch("2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1] == b"Subject: two\r\n\r\n"
assert ok(imap.fetch("2", "(BODY.PEEK[TEXT]<6.3>)"))[0][1] == b"two"
assert rb"\Seen" in ok(imap.fetch("1", "(FLAGS)"))[0]
assert b'"bob" "example.org"' in ok(imap.fetch("1", "(ENVELOPE)"))[0]
assert b'"TEXT" "PLAIN"' in ok(imap.fetch("1", "(BODYSTRUCTURE)"))[0]
try:
    imap.fetch("9", "(FLAGS)")
    raise SystemExit("a message that is not there was fetched")
except imaplib.IMAP4.error:
    pass

assert ok(imap.search(None, "SUBJECT", "two")) == [b"2"]
assert ok(imap.search(None, "UNSEEN", "NOT", "SUBJECT", '"big"')) == [b"2 3"]
assert ok(imap.uid("SEARCH", "FLAGGED")) == [b"1 2 3"]
assert ok(imap.store("2", "+FLAGS", r"(\Answered work)")) == [rb"2 (FLAGS (\Flagged \Answered work))"]
assert ok(imap.uid("STORE", "3", "FLAGS", r"(\Deleted)")) == [rb"3 (UID 3 FLAGS (\Deleted))"]

ok(imap.create("Entw&APw-rfe"))
assert imap.create("Entw&APw-rfe")[0] == "NO"
assert ok(imap.list()) == [rb'() "/" Entw&APw-rfe', rb'() "/" INBOX']
assert ok(imap.list('""', "E*")) == [rb'() "/" Entw&APw-rfe']
assert b"COPYUID 1 1:2 1:2" in ok(imap.copy("1:2", "Entw&APw-rfe"))[0] or imap.response("COPYUID")[1]
assert ok(imap.status("Entw&APw-rfe", "(MESSAGES UNSEEN UIDNEXT)")) == [
    b"Entw&APw-rfe (MESSAGES 2 UNSEEN 1 UIDNEXT 3)"]
assert ok(imap.expunge()) == [b"3"]
assert ok(imap.fetch("3", "(UID)")) == [b"3 (UID 4)"]

# Another session's news.
other = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
ok(other.login("bob", "demo"))
assert ok(other.select("INBOX")) == [b"3"]
ok(imap.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
assert ok(imap.expunge()) == [b"1"]
ok(other.noop())
assert other.response("EXPUNGE")[1] == [b"1"]
assert ok(other.fetch("1", "(UID)")) == [b"1 (UID 2)"]
ok(other.select("INBOX", readonly=True))
ok(other.close())
ok(imap.unselect())
ok(imap.select("Entw&APw-rfe"))
ok(imap.close())
ok(imap.delete("Entw&APw-rfe"))
for one in (imap, other):
    assert one.logout()[0] == "BYE"
print("done")
