require ["environment", "imapsieve"];
if allof (
    environment "location" "MS", environment "phase" "post", environment "imap.cause" "COPY",
    environment "imap.mailbox" "ActionItems", environment "imap.user" "ann",
    environment "imap.email" "ann@example.org", environment "imap.changedflags" "")
{
    discard;
}
