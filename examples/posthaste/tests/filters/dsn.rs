//! Notifications of delivery in scripts (RFC 6009), and copies of what they send (RFC 8580).

use super::common::{Server, Talk};
use super::{arrived, both, send, sieve};

/// Sends a message to alice that asks for notifications.
fn send_asking(server: &Server) {
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.expect("220");
    smtp.say("EHLO test.example");
    smtp.expect("250");
    smtp.say("MAIL FROM:<bob@example.org> RET=HDRS ENVID=QQ314159");
    smtp.expect("250");
    smtp.say("RCPT TO:<alice@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;al+2Bx@example.com");
    smtp.expect("250");
    smtp.say("DATA");
    smtp.expect("354");
    smtp.say("From: bob@example.org\r\nSubject: asking\r\n\r\nHi.\r\n.");
    smtp.expect("250");
    smtp.say("QUIT");
    smtp.expect("221");
}

#[test]
fn scripts_see_and_ask_for_notifications() {
    let test = |server: &Server| {
        sieve(
            server,
            "require [\"envelope\", \"envelope-dsn\", \"redirect-dsn\", \"copy\", \"fileinto\", \"mailbox\", \
             \"enotify\", \"fcc\", \"relational\", \"comparator-i;ascii-numeric\"];\n\
             if allof (envelope \"notify\" \"DELAY\", envelope \"notify\" \"SUCCESS\",\n  \
             envelope :comparator \"i;ascii-numeric\" :count \"eq\" \"notify\" \"2\", envelope \"ret\" \"HDRS\",\n  \
             envelope \"envid\" \"QQ314159\", envelope \"orcpt\" \"rfc822;al+x@example.com\") {\n  \
             fileinto :create \"asked\";\n\
             } elsif envelope :contains [\"notify\", \"orcpt\", \"ret\", \"envid\"] \"\" {\n  \
             fileinto :create \"wrong\";\n\
             } elsif header \"subject\" \"tell\" {\n  \
             redirect :copy :notify \"SUCCESS\" :ret \"HDRS\" \"bob@example.org\";\n\
             } elsif header \"subject\" \"never\" {\n  redirect :notify \"NEVER\" \"nobody@example.org\";\n\
             } elsif header \"subject\" \"plain\" {\n  redirect \"nobody@example.org\";\n\
             } elsif header \"subject\" \"note\" {\n  \
             notify :fcc \"notes\" :create :message \"Look!\" \"mailto:bob@example.org\";\n}\n",
        );
        send_asking(server);
        arrived(server, "alice", "asked", 1);
        // Bob is told, as he wished.
        let found = arrived(server, "bob", "INBOX", 1);
        assert!(found[0].contains("Action: delivered"), "{}", found[0]);

        // The owner of the script is told, not the sender.
        send(server, "bob@example.org", "tell");
        let found = arrived(server, "alice", "INBOX", 2);
        let told = found
            .iter()
            .find(|one| one.contains("Action: delivered"))
            .unwrap_or_else(|| panic!("{found:#?}"));
        assert!(told.contains("rfc822; bob@example.org"), "{told}");
        let found = arrived(server, "bob", "INBOX", 2);
        assert!(found[1].contains("Subject: tell\r\n"), "{}", found[1]);

        // Nobody is told.
        send(server, "bob@example.org", "never");
        server.wait_until("the end of what nobody gets", || {
            server.log().contains("nobody@example.org")
        });
        // The sender is told where the script says nothing.
        send(server, "bob@example.org", "plain");
        let found = arrived(server, "bob", "INBOX", 3);
        assert!(found[2].contains("Action: failed"), "{}", found[2]);
        assert!(found[2].contains("Subject: plain"), "{}", found[2]);

        send(server, "bob@example.org", "note");
        let found = arrived(server, "alice", "notes", 1);
        assert!(found[0].contains("Look!"), "{}", found[0]);
        arrived(server, "bob", "INBOX", 4);
        arrived(server, "alice", "INBOX", 3);
    };
    both(test, "");
}
