//! Mailboxes that scripts know by their ids (RFC 9042).

use super::common::{PASSWORD, Server, Talk};
use super::{arrived, both, messages, send, sieve};

/// Says a command; answers the id in what it is answered with.
fn id(imap: &mut Talk, command: &str) -> String {
    imap.say(&format!("a {command}"));
    let lines = imap.until("a ").join("\n");
    let (_, id) = lines
        .split_once("MAILBOXID (")
        .unwrap_or_else(|| panic!("{command}: {lines}"));
    id.split_once(')').unwrap().0.to_owned()
}

#[test]
fn renamed_mailboxes_are_found() {
    let test = |server: &Server| {
        let mut imap = Talk::connect(server.ports.imap);
        imap.line();
        imap.say(&format!("a LOGIN alice \"{PASSWORD}\""));
        imap.until("a OK");
        let work = id(&mut imap, "CREATE work");
        let inbox = id(&mut imap, "STATUS INBOX (MAILBOXID)");
        sieve(
            server,
            &format!(
                "require [\"mailboxid\", \"mailbox\", \"fileinto\", \"fcc\", \"vacation\", \"copy\"];\n\
                 if mailboxidexists [\"{work}\", \"F0\"] {{ fileinto :copy :create \"wrong\"; }}\n\
                 if mailboxidexists [\"{work}\", \"{inbox}\"] {{ fileinto :copy :create \"both\"; }}\n\
                 if header \"subject\" \"away\" {{\n  \
                 vacation :fcc \"work\" :mailboxid \"{work}\" :addresses \"alice@example.org\" \"Away.\";\n}}\n\
                 if header \"subject\" \"nowhere\" {{ fileinto :mailboxid \"F0\" :create \"named\"; stop; }}\n\
                 fileinto :mailboxid \"{work}\" \"work\";\n"
            ),
        );
        send(server, "bob@example.org", "before");
        arrived(server, "alice", "work", 1);
        arrived(server, "alice", "both", 1);
        imap.say("b RENAME work job");
        imap.until("b OK");
        // Another mailbox has the name now.
        let other = id(&mut imap, "CREATE work");
        assert_ne!(other, work);
        send(server, "bob@example.org", "renamed");
        arrived(server, "alice", "job", 2);
        send(server, "bob@example.org", "away");
        let found = arrived(server, "alice", "job", 4);
        let copies = found.iter().filter(|one| one.contains("Away."));
        assert_eq!(copies.count(), 1, "{found:#?}");
        assert_eq!(messages(server, "alice", "work").len(), 0);
        // No mailbox has the id: the name counts.
        send(server, "bob@example.org", "nowhere");
        arrived(server, "alice", "named", 1);
        arrived(server, "alice", "both", 4);
        imap.say("c DELETE job");
        imap.until("c OK");
        send(server, "bob@example.org", "deleted");
        arrived(server, "alice", "work", 1);
        arrived(server, "alice", "both", 4);
        assert_eq!(messages(server, "alice", "wrong").len(), 0);
        assert_eq!(messages(server, "alice", "INBOX").len(), 0);
    };
    both(test, "");
}
