//! OBJECTID (RFC 8474): what a mailbox and a message are known by.

use std::collections::HashSet;
use std::fs;

use super::Imap;
use super::common::{Server, files};

const STORES: [&str; 2] = ["", "mail_location = \"mbox:~/mail:INBOX=~/inbox\"\n"];

/// The ids behind a word, in the order of the lines.
fn ids(lines: &[String], word: &str) -> Vec<String> {
    let word = format!("{word} (");
    let found = lines
        .iter()
        .filter_map(|line| line.split_once(&word)?.1.split_once(')'));
    let found: Vec<String> = found.map(|(id, _)| id.to_owned()).collect();
    // RFC 8474 §7, §8.1.
    for id in &found {
        assert!(id.len() <= 255 && id.starts_with(|first: char| first.is_ascii_uppercase()));
        assert!(
            id.chars()
                .all(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '-')),
            "{id}"
        );
    }
    found
}

fn of_mailbox(imap: &mut Imap, name: &str) -> String {
    let lines = imap.ok(&format!("STATUS {name} (MAILBOXID)"));
    assert!(
        lines[0].starts_with(&format!("* STATUS {name} (MAILBOXID (")),
        "{lines:?}"
    );
    ids(&lines, "MAILBOXID").remove(0)
}

#[test]
fn mailboxes_are_known_by_their_ids() {
    for store in STORES {
        let mut server = Server::start(store);
        let mut imap = Imap::login(&server, "alice");
        assert!(imap.ok("CAPABILITY")[0].contains(" OBJECTID"));
        let created = imap.ok("CREATE box");
        assert!(
            created[0].contains(" OK [MAILBOXID (") && created.len() == 1,
            "{created:?}"
        );
        let id = ids(&created, "MAILBOXID").remove(0);
        assert_eq!(of_mailbox(&mut imap, "box"), id);
        for command in ["SELECT box", "EXAMINE box"] {
            let lines = imap.ok(command);
            let told = format!("* OK [MAILBOXID ({id})]");
            assert!(
                lines.iter().any(|line| line.starts_with(&told)),
                "{lines:?}"
            );
        }
        imap.ok("UNSELECT");
        assert!(!imap.say("CREATE box")[0].contains("MAILBOXID"));

        // The id goes where the messages go.
        imap.ok("RENAME box renamed");
        assert_eq!(of_mailbox(&mut imap, "renamed"), id);
        let again = ids(&imap.ok("CREATE box"), "MAILBOXID").remove(0);
        assert_ne!(again, id);
        // INBOX stays, its messages go to a new one.
        let inbox = of_mailbox(&mut imap, "INBOX");
        imap.append("INBOX", "Subject: x\r\n\r\nHi.\r\n");
        imap.ok("RENAME INBOX old");
        assert_eq!(of_mailbox(&mut imap, "INBOX"), inbox);
        assert_ne!(of_mailbox(&mut imap, "old"), inbox);
        imap.ok("DELETE box");
        assert_ne!(
            ids(&imap.ok("CREATE box"), "MAILBOXID"),
            [again],
            "another mailbox"
        );

        let list = "LIST \"\" * RETURN (STATUS (MAILBOXID))";
        let all = ids(&imap.ok(list), "MAILBOXID");
        let different: HashSet<&String> = all.iter().collect();
        assert!(all.contains(&id) && all.contains(&inbox), "{all:?}");
        assert_eq!(different.len(), all.len(), "{all:?}");
        server.stop();
        server.run();
        let mut imap = Imap::login(&server, "alice");
        assert_eq!(ids(&imap.ok(list), "MAILBOXID"), all);
        assert_eq!(of_mailbox(&mut imap, "renamed"), id);
    }
}

/// Two messages of a conversation, and one of none. What mbox writes in
/// another way, and a last line without its end, are in them.
fn conversation(store: &str) -> (Server, Imap) {
    let server = Server::start(store);
    let mut imap = Imap::login(&server, "alice");
    imap.append(
        "INBOX",
        "Subject: Plans\r\nMessage-ID: <1@x>\r\n\r\nFrom here on.\r\n>From there.\r\n",
    );
    imap.append(
        "INBOX",
        "Subject: Re: plans\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n\r\nYes.",
    );
    imap.append(
        "INBOX",
        "Subject: Other\r\nMessage-ID: <3@x>\r\n\r\nNo.\r\n",
    );
    imap.ok("CREATE box");
    imap.ok("SELECT INBOX");
    (server, imap)
}

fn of_messages(imap: &mut Imap, set: &str) -> Vec<(String, String)> {
    let lines = imap.ok(&format!("FETCH {set} (EMAILID THREADID)"));
    let emails = ids(&lines, "EMAILID");
    let threads = ids(&lines, "THREADID");
    assert_eq!(emails.len(), threads.len(), "{lines:?}");
    emails.into_iter().zip(threads).collect()
}

#[test]
fn messages_keep_their_ids() {
    for store in STORES {
        let (mut server, mut imap) = conversation(store);
        let all = of_messages(&mut imap, "1:*");
        let different: HashSet<&String> = all.iter().map(|(email, _)| email).collect();
        assert_eq!((all.len(), different.len()), (3, 3), "{all:?}");
        assert_eq!(all[0].1, all[1].1, "one conversation");
        assert_ne!(all[0].1, all[2].1, "another conversation");
        assert!(all.iter().all(|(_, thread)| !different.contains(thread)));
        // Beside what is read from the message, too.
        let lines = imap.ok("UID FETCH 2 (EMAILID BODY.PEEK[TEXT] THREADID)");
        let both = (ids(&lines, "EMAILID"), ids(&lines, "THREADID"));
        assert_eq!(both, (vec![all[1].0.clone()], vec![all[1].1.clone()]));

        // Whatever is said of a message.
        imap.ok("STORE 1:* +FLAGS.SILENT (\\Seen $Label)");
        assert_eq!(of_messages(&mut imap, "1:*"), all);
        imap.ok("COPY 1 box");
        imap.ok("MOVE 2 box");
        assert_eq!(
            of_messages(&mut imap, "1:*"),
            [all[0].clone(), all[2].clone()]
        );
        imap.ok("SELECT box");
        assert_eq!(of_messages(&mut imap, "1:*"), all[..2]);

        // Without the server that told of them, and without its index.
        server.stop();
        for file in files(&server.home("alice")) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("posthaste-index") || name.ends_with(".index") {
                fs::remove_file(file).unwrap();
            }
        }
        server.run();
        let mut imap = Imap::login(&server, "alice");
        imap.ok("SELECT box");
        assert_eq!(of_messages(&mut imap, "1:*"), all[..2]);
        imap.ok("SELECT INBOX");
        assert_eq!(of_messages(&mut imap, "2"), all[2..]);
    }
}

#[test]
fn messages_are_found_by_their_ids() {
    for store in STORES {
        let (server, mut imap) = conversation(store);
        let all = of_messages(&mut imap, "1:*");
        let (first, thread) = &all[0];
        // By a session that has looked at none of them.
        let mut imap = Imap::login(&server, "alice");
        imap.ok("SELECT INBOX");
        let mut finds = |keys: &str, found: &str| {
            let lines = imap.ok(&format!("SEARCH {keys}"));
            assert_eq!(lines[0], format!("* SEARCH{found}"), "{keys}");
        };
        finds(&format!("EMAILID {first}"), " 1");
        finds(&format!("EMAILID {}", first.to_lowercase()), "");
        finds(&format!("EMAILID {thread}"), "");
        finds(&format!("EMAILID {}", &first[..20]), "");
        finds(&format!("NOT EMAILID {first}"), " 2 3");
        finds(&format!("OR EMAILID {first} EMAILID {}", all[2].0), " 1 3");
        finds(&format!("THREADID {thread}"), " 1 2");
        finds(&format!("THREADID {thread} BODY yes"), " 2");
        finds(&format!("THREADID {first}"), "");
        let sorted = imap.ok(&format!(
            "SORT (REVERSE SUBJECT) UTF-8 OR UID 3 THREADID {thread}"
        ));
        assert_eq!(sorted[0], "* SORT 1 2 3");
        let counted = imap.ok(&format!("UID SEARCH RETURN (COUNT) THREADID {thread}"));
        assert!(counted[0].ends_with(" COUNT 2"), "{counted:?}");
    }
}
