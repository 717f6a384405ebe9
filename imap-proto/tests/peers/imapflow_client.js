// Node's imapflow against the server of the example.
"use strict";
const assert = require("node:assert");
const { ImapFlow } = require("imapflow");

const port = Number(process.argv[2]);
const prepare = (pass) => new ImapFlow({
  host: "127.0.0.1", port, secure: false, logger: false, disableAutoIdle: true,
  auth: { user: "alice", pass },
});
const connect = async () => {
  const client = prepare("demo");
  await client.connect();
  return client;
};
const text = (name) =>
  `From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: ${name}\r\n` +
  `Message-ID: <${name}@example.org>\r\n\r\nHello.\r\n`;

(async () => {
  const wrong = prepare("wrong");
  await assert.rejects(wrong.connect(), (error) => error.authenticationFailed === true);
  wrong.close();
  const client = await connect();
  assert.strictEqual((await client.mailboxCreate("Päckchen")).created, true);
  const names = (await client.list()).map((one) => one.path);
  assert.deepStrictEqual(names.sort(), ["INBOX", "Päckchen"]);

  const lock = await client.getMailboxLock("INBOX");
  for (const name of ["one", "two", "three"]) {
    const appended = await client.append("INBOX", text(name), ["\\Flagged"], new Date(837596665000));
    assert.strictEqual(appended.uidValidity, 1n);
  }
  const big = text("big") + "z".repeat(70).concat("\r\n").repeat(30000);
  await client.append("INBOX", big);
  assert.strictEqual(client.mailbox.exists, 4);

  const one = await client.fetchOne("2", {
    uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, source: true,
  });
  assert.strictEqual(one.uid, 2);
  assert.strictEqual(one.envelope.subject, "two");
  assert.strictEqual(one.envelope.from[0].address, "alice@example.org");
  assert.strictEqual(one.bodyStructure.type, "text/plain");
  assert.strictEqual(one.size, text("two").length);
  assert.strictEqual(one.source.toString(), text("two"));
  assert.strictEqual(new Date(one.internalDate).getTime(), 837596665000);
  assert.ok(one.flags.has("\\Flagged"));
  const { content } = await client.download("4");
  let octets = 0;
  for await (const chunk of content) octets += chunk.length;
  assert.strictEqual(octets, big.length);

  assert.deepStrictEqual(await client.search({ subject: "three" }), [3]);
  assert.deepStrictEqual(await client.search({ flagged: true, not: { seen: true } }, { uid: true }), [1, 2, 3]);
  assert.strictEqual(await client.messageFlagsAdd("1", ["\\Seen", "work"]), true);
  assert.ok((await client.fetchOne("1", { flags: true })).flags.has("work"));
  const copied = await client.messageCopy("1:2", "Päckchen");
  assert.strictEqual(copied.destination, "Päckchen");
  const moved = await client.messageMove("3", "Päckchen");
  assert.strictEqual(moved.destination, "Päckchen");
  assert.strictEqual(client.mailbox.exists, 3);
  assert.strictEqual(await client.messageDelete("1"), true);
  const rest = [];
  for await (const message of client.fetch("1:*", { uid: true })) rest.push(message.uid);
  assert.deepStrictEqual(rest, [2, 4]);
  const status = await client.status("Päckchen", { messages: true, uidNext: true });
  assert.deepStrictEqual([status.messages, status.uidNext], [3, 4]);

  // Another session's news reach IDLE.
  const exists = new Promise((resolve) => client.once("exists", resolve));
  const idle = client.idle();
  const other = await connect();
  await other.append("INBOX", text("news"));
  assert.strictEqual((await exists).count, 3);
  await client.noop();
  await idle;
  lock.release();
  assert.strictEqual((await client.mailboxDelete("Päckchen")).path, "Päckchen");
  await other.logout();
  await client.logout();
  console.log("done");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
