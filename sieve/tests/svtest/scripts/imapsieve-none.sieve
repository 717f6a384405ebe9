require ["environment", "imapsieve", "relational", "comparator-i;ascii-numeric"];
if allof (
    environment "imap.user" "", environment "imap.email" "", environment "imap.changedflags" "",
    not environment :contains "imap.cause" "", not environment :contains "imap.mailbox" "")
{
    discard;
}
