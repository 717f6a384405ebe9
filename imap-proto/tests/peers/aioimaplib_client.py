"""aioimaplib against the server of the example."""
import asyncio
import sys

from aioimaplib import aioimaplib

PORT = int(sys.argv[1])
TEXT = b"From: alice@example.org\r\nSubject: %s\r\n\r\n%s\r\n"


async def connect():
    client = aioimaplib.IMAP4(host="127.0.0.1", port=PORT, timeout=30)
    await client.wait_hello_from_server()
    assert (await client.login("alice", "demo")).result == "OK"
    return client


async def main():
    client = await connect()
    assert client.has_capability("IDLE") and client.has_capability("UIDPLUS")
    assert (await client.select("INBOX")).result == "OK"
    for name in (b"one", b"two"):
        answer = await client.append(TEXT % (name, b"x" * 100_000), mailbox="INBOX", flags="Work")
        assert answer.result == "OK", answer
    answer = await client.search("SUBJECT two")
    assert answer.result == "OK" and answer.lines[0] == b"2", answer
    answer = await client.fetch("1:2", "(FLAGS BODY.PEEK[])")
    assert answer.lines[1] == TEXT % (b"one", b"x" * 100_000)
    assert b"FETCH (FLAGS (Work) BODY[] {" in answer.lines[3], answer.lines[3]
    answer = await client.uid("store", "1", "+FLAGS", r"(\Deleted)")
    assert answer.lines[0] == rb"1 FETCH (UID 1 FLAGS (Work \Deleted))", answer
    assert (await client.uid("copy", "2", "nowhere")).result == "NO"
    assert (await client.create("Archive")).result == "OK"
    assert (await client.move("2", "Archive")).result == "OK"
    answer = await client.status("Archive", "(MESSAGES UIDNEXT)")
    assert answer.lines[0] == b"Archive (MESSAGES 1 UIDNEXT 2)", answer

    # Another session's news reach IDLE.
    idle = await client.idle_start(timeout=60)
    other = await connect()
    assert (await other.append(TEXT % (b"news", b"y"), mailbox="INBOX")).result == "OK"
    news = []
    while b"2 EXISTS" not in news:
        news += await client.wait_server_push(timeout=30)
    client.idle_done()
    await asyncio.wait_for(idle, 30)
    assert (await client.expunge()).lines[0] == b"1 EXPUNGE"
    assert (await client.close()).result == "OK"
    assert (await client.delete("Archive")).result == "OK"
    for one in (client, other):
        assert (await one.logout()).result == "OK"
    print("done")


asyncio.run(asyncio.wait_for(main(), 100))
