//! Users' filters, from SMTP into the mailbox and out by IMAP.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;
#[path = "filters/dsn.rs"]
mod dsn;
#[path = "filters/duplicates.rs"]
mod duplicates;
#[path = "filters/mailbox_ids.rs"]
mod mailbox_ids;

use std::fs;
use std::io::Read;
use std::time::{Duration, Instant};

use common::{PASSWORD, Server, Talk};

const MBOX: &str = "mail_location = \"mbox:~/mail:INBOX=~/inbox\"\n";

/// Runs a test for both kinds of store.
fn both(test: impl Fn(&Server), more: &str) {
    for location in ["", MBOX] {
        let server = Server::start(&format!("{location}{more}"));
        test(&server);
    }
}

fn filter(server: &Server, user: &str, file: &str, text: &str) {
    let home = server.home(user);
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join(file), text).unwrap();
}

fn procmailrc(server: &Server, text: &str) {
    filter(server, "alice", ".procmailrc", text);
}

fn sieve(server: &Server, text: &str) {
    filter(server, "alice", ".dovecot.sieve", text);
}

/// Sends a message to alice and waits until the queue is done with it.
fn send(server: &Server, from: &str, subject: &str) {
    let message = format!("From: {from}\r\nTo: alice@example.org\r\nSubject: {subject}\r\n\r\nHi.");
    let id = server.send(from, "alice@example.org", &message);
    server.wait_until("the end of the delivery", || {
        let log = server.log();
        let mut lines = log.lines().filter(|line| line.contains("removed"));
        lines.any(|line| line.contains(&id))
    });
}

/// The messages of a mailbox, as IMAP gives them, with their flags before.
fn messages(server: &Server, user: &str, mailbox: &str) -> Vec<String> {
    let mut imap = Talk::connect(server.ports.imap);
    imap.line();
    imap.say(&format!("a LOGIN {user} \"{PASSWORD}\""));
    imap.until("a OK");
    imap.say(&format!("b EXAMINE \"{mailbox}\""));
    if !imap.until("b ").last().unwrap().starts_with("b OK") {
        return Vec::new();
    }
    let mut found = Vec::new();
    imap.say("c UID FETCH 1:* (FLAGS BODY.PEEK[])");
    loop {
        let line = imap.line();
        if line.starts_with("c ") {
            assert!(line.starts_with("c OK"), "{line}");
            return found;
        }
        let Some((head, size)) = line.strip_suffix('}').and_then(|line| line.split_once('{'))
        else {
            continue;
        };
        let mut octets = vec![0; size.parse().unwrap()];
        imap.reader.read_exact(&mut octets).unwrap();
        found.push(format!("{head}\n{}", String::from_utf8(octets).unwrap()));
    }
}

/// The messages of a mailbox once there are so many.
fn arrived(server: &Server, user: &str, mailbox: &str, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let found = messages(server, user, mailbox);
        if found.len() >= count || start.elapsed() > common::PATIENCE {
            assert_eq!(found.len(), count, "{mailbox}: {found:#?}");
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_textbook_recipe() {
    let test = |server: &Server| {
        procmailrc(server, ":0\n* ^From.*toto\namigos/toto\n");
        send(server, "toto@example.com", "hello");
        send(server, "tata@example.com", "hello");
        let found = arrived(server, "alice", "amigos/toto", 1);
        assert!(found[0].contains(
            "\nReturn-Path: <toto@example.com>\r\nDelivered-To: alice@example.org\r\nReceived: "
        ));
        assert!(found[0].ends_with("\r\nSubject: hello\r\n\r\nHi.\r\n"));
        let found = arrived(server, "alice", "INBOX", 1);
        assert!(found[0].contains("From: tata@example.com"));
        let mut imap = Talk::connect(server.ports.imap);
        imap.line();
        imap.say(&format!("a LOGIN alice \"{PASSWORD}\""));
        imap.until("a OK");
        imap.say("b LSUB \"\" *");
        let listed = imap.until("b ");
        assert!(
            listed.iter().any(|line| line.contains("amigos/toto")),
            "{listed:?}"
        );
    };
    both(test, "");
}

#[test]
fn procmail_blocks_copies_and_forwards() {
    let test = |server: &Server| {
        procmailrc(
            server,
            "MAILDIR=$HOME/Mail\n\
             LOGFILE=$HOME/log\n\
             :0\n* ^Subject: nested\n{\n  :0\n  * ^From: x@\n  no\n\n  :0\n  * ^From: y@\n  {\n    \
             INCLUDERC=$HOME/more.rc\n    :0 c\n    copies\n    :0 c\n    copies\n    :0\n    \
             $MAILDIR/lists/$WHO/\n  }\n}\n\
             :0\n* ^Subject: away\n! bob\n\
             :0 c\n* ^Subject: both\n! bob@example.org\n\
             :0\n* ^Subject: gone\n/dev/null\n\
             :0\n* ^Subject: nobody\n{\n  EXITCODE=67\n  :0\n  /dev/null\n}\n\
             :0\n* ^Subject: out\n/etc/posthaste-test\n\
             :0 fhw\n* ^Subject: run\n| /bin/sed s/run/ran/\n",
        );
        filter(server, "alice", "more.rc", "WHO=rust\n");
        send(server, "y@example.com", "nested");
        arrived(server, "alice", "copies", 2);
        arrived(server, "alice", "lists/rust", 1);
        assert_eq!(messages(server, "alice", "INBOX").len(), 0);

        send(server, "y@example.com", "away");
        let found = arrived(server, "bob", "INBOX", 1);
        assert!(found[0].contains(
            "Return-Path: <y@example.com>\r\nDelivered-To: bob@example.org\r\n\
             Delivered-To: alice@example.org\r\n"
        ));
        send(server, "y@example.com", "both");
        arrived(server, "bob", "INBOX", 2);
        arrived(server, "alice", "INBOX", 1);
        // Forwarded mail that comes back goes no further.
        filter(server, "bob", ".procmailrc", ":0\n! alice@example.org\n");
        send(server, "y@example.com", "away");
        arrived(server, "alice", "INBOX", 2);

        send(server, "y@example.com", "gone");
        send(server, "bob@example.net", "nobody");
        server.wait_until("the bounce", || server.log().contains("5.1.1"));
        send(server, "y@example.com", "out");
        let found = arrived(server, "alice", "INBOX", 3);
        assert!(found[2].contains("Subject: out"));
        assert!(!std::path::Path::new("/etc/posthaste-test").exists());
        send(server, "y@example.com", "run");
        let found = arrived(server, "alice", "INBOX", 4);
        assert!(found[3].contains("Subject: run"), "{found:?}");
        let log = fs::read_to_string(server.home("alice").join("log")).unwrap();
        assert!(log.contains("Denied to execute \"/bin/sed\""), "{log}");
    };
    both(test, "");
}

#[test]
fn programs_that_are_allowed() {
    let server = Server::start(
        "allow_mail_to_commands = [\"procmail\"]\n\
         program_allow = [\"/bin/sed\", \"/bin/sh\"]\ncommand_time_limit = \"15s\"\n",
    );
    procmailrc(
        &server,
        ":0 fhw\n* ^Subject: run\n| sed s/run/ran/\n\
         :0\n* ? /bin/true\ntrue\n\
         :0 w\n* ^Subject: slow\n| sleep 600; cat >/dev/null\n\
         :0 w\n* ^Subject: pipe\n| cat > $HOME/piped\n",
    );
    send(&server, "y@example.com", "run");
    let found = arrived(&server, "alice", "INBOX", 1);
    assert!(found[0].contains("Subject: ran\r\n"), "{found:?}");
    send(&server, "y@example.com", "slow");
    arrived(&server, "alice", "INBOX", 2);
    send(&server, "y@example.com", "pipe");
    let piped = fs::read_to_string(server.home("alice").join("piped")).unwrap();
    assert!(piped.starts_with("From y@example.com "), "{piped}");
    assert!(piped.contains("\nSubject: pipe\n"), "{piped}");
    assert_eq!(messages(&server, "alice", "INBOX").len(), 2);
    assert_eq!(messages(&server, "alice", "true").len(), 0);
}

/// Page faults of children that a process has waited for: none, if it never had a child.
fn faults_of_children(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(8).unwrap().parse().unwrap()
}

#[test]
fn rules_without_programs_start_none() {
    let server =
        Server::start("allow_mail_to_commands = [\"procmail\"]\nprogram_allow = [\"/bin/true\"]\n");
    procmailrc(
        &server,
        "A=one\n:0 c\n* ^Subject: (rules|run)\n* $ !^Subject:.*$A\ncopies\n\n\
         :0\n* 1^1 ^From\n{\n:0 c\n! bob@example.org\n:0:\n* ^Subject: \\/rules\n$MATCH/\n}\n\
         :0 w\n* ^Subject: run\n| true\n",
    );
    send(&server, "y@example.com", "rules");
    arrived(&server, "alice", "rules", 1);
    arrived(&server, "alice", "copies", 1);
    arrived(&server, "bob", "INBOX", 1);
    assert_eq!(faults_of_children(server.id()), 0);
    send(&server, "y@example.com", "run");
    server.wait_until("the end of the program", || {
        faults_of_children(server.id()) > 0
    });
}

#[test]
fn programs_get_little_and_messages_are_no_code() {
    let server =
        Server::start("allow_mail_to_commands = [\"procmail\"]\nprogram_allow = [\"/bin/sh\"]\n");
    procmailrc(
        &server,
        "LD_PRELOAD=/no/such.so\nFOO=bar\nPATH=/no/such\n\
         :0 wc\n* ^Subject: \\/.*\n| env >$HOME/env; echo \"$MATCH\" >$HOME/said\n",
    );
    let subject = "$(touch pwned); `touch pwned`; ../../etc|touch pwned";
    send(&server, "y@example.com", subject);
    let home = server.home("alice");
    let environment = fs::read_to_string(home.join("env")).unwrap();
    for line in environment.lines() {
        let (name, value) = line.split_once('=').unwrap();
        assert!(!["LD_PRELOAD", "FOO"].contains(&name), "{line}");
        assert!(name != "PATH" || !value.contains("/no/such"), "{line}");
    }
    assert!(environment.contains("LOGNAME=alice\n"), "{environment}");
    let said = fs::read_to_string(home.join("said")).unwrap();
    assert_eq!(said, format!("{subject}\n"));
    for file in common::files(server.folder.path()) {
        assert!(!file.ends_with("pwned"), "{}", file.display());
    }
    arrived(&server, "alice", "INBOX", 1);
}

#[test]
fn faulty_procmailrcs_lose_nothing() {
    let test = |server: &Server| {
        for (index, rc) in [
            "{ nonsense (((\n",
            ":0\n* ((((\n{\n",
            ":0\n* ^Subject\n| /no/such/program\n",
            "HOST=elsewhere\n:0\n/dev/null\n",
            "DEFAULT=/no/such/place\nORGMAIL=/nor/this\n",
            "INCLUDERC=$HOME/.procmailrc\n",
            ":0 w\n|\n",
        ]
        .into_iter()
        .enumerate()
        {
            procmailrc(server, rc);
            send(server, "y@example.com", "faults");
            arrived(server, "alice", "INBOX", index + 1);
        }
        assert!(server.log().contains("kept in INBOX"));
    };
    both(test, "");
}

#[test]
fn sieve_actions() {
    let test = |server: &Server| {
        sieve(
            server,
            "require [\"fileinto\", \"mailbox\", \"imap4flags\", \"editheader\", \"vacation\", \
             \"reject\", \"copy\", \"variables\"];\n\
             if header :is \"subject\" \"file\" { fileinto :create \"lists/rust\"; }\n\
             elsif header :is \"subject\" \"send\" { redirect :copy \"bob@example.org\"; }\n\
             elsif header :is \"subject\" \"flag\" { addflag [\"\\\\Flagged\", \"urgent\"]; keep; }\n\
             elsif header :is \"subject\" \"edit\" {\n  deleteheader \"Subject\";\n  \
             addheader \"Subject\" \"edited\"; }\n\
             elsif header :is \"subject\" \"reject\" { reject \"Not here.\"; }\n\
             elsif header :is \"subject\" \"vacation\" {\n  \
             vacation :addresses \"alice@example.org\" \"Away.\"; discard; }\n",
        );
        send(server, "y@example.com", "file");
        arrived(server, "alice", "lists/rust", 1);
        send(server, "y@example.com", "send");
        let found = arrived(server, "bob", "INBOX", 1);
        assert!(found[0].contains("X-Sieve-Redirected-From: alice@example.org\r\n"));
        send(server, "y@example.com", "flag");
        send(server, "y@example.com", "edit");
        let found = arrived(server, "alice", "INBOX", 3);
        let (flags, _) = found[1].split_once('\n').unwrap();
        assert!(
            flags.contains("\\Flagged") && flags.contains("urgent"),
            "{flags}"
        );
        assert!(found[2].contains("Subject: edited\r\n"), "{}", found[2]);
        assert!(!found[2].contains("Subject: edit\r\n"));

        send(server, "bob@example.org", "reject");
        let found = arrived(server, "bob", "INBOX", 2);
        assert!(found[1].contains("Not here."), "{}", found[1]);
        assert!(found[1].contains("multipart/report"), "{}", found[1]);
        send(server, "bob@example.org", "vacation");
        let found = arrived(server, "bob", "INBOX", 3);
        assert!(found[2].contains("Away."), "{}", found[2]);
        // A second answer would have come before the next forwarded message.
        send(server, "bob@example.org", "vacation");
        send(server, "y@example.com", "send");
        let found = arrived(server, "bob", "INBOX", 4);
        assert!(found[3].contains("Subject: send"), "{}", found[3]);
        let before = messages(server, "alice", "INBOX").len();
        sieve(server, "require \"nonsense\"; if {");
        send(server, "y@example.com", "broken");
        arrived(server, "alice", "INBOX", before + 1);
    };
    both(test, "");
}

#[test]
fn sieve_before_procmail() {
    let server = Server::prepare("sieve_before = [\"before.sieve\"]\n");
    fs::write(
        server.path("before.sieve"),
        "require [\"fileinto\", \"mailbox\", \"editheader\"];\n\
         if header :is \"subject\" \"spam\" { fileinto :create \"Spam\"; }\n\
         else { addheader \"X-Seen\" \"yes\"; }\n",
    )
    .unwrap();
    let mut server = server;
    server.run();
    procmailrc(&server, ":0\n* ^X-Seen: yes\nseen\n");
    send(&server, "y@example.com", "spam");
    send(&server, "y@example.com", "ham");
    arrived(&server, "alice", "Spam", 1);
    let found = arrived(&server, "alice", "seen", 1);
    assert!(found[0].contains("X-Seen: yes"));
    assert_eq!(messages(&server, "alice", "INBOX").len(), 0);
}

/// What a server offers to scripts beyond the language: included scripts,
/// lists, scores, programs, what it remembers.
#[test]
fn sieve_services() {
    use std::os::unix::fs::PermissionsExt;
    let mut server = Server::prepare(
        "sieve_global = \"global\"\nsieve_extlists = \"lists\"\n\
         sieve_pipe_bin_dir = \"bin\"\nsieve_filter_bin_dir = \"bin\"\n\
         sieve_execute_bin_dir = \"bin\"\nsieve_default = \"default.sieve\"\n\
         sieve_after = [\"after.sieve\"]\n\
         sieve_spamtest_status_header = \"Subject: score ([0-9]+)\"\n\
         sieve_spamtest_max_value = \"10\"\n\
         sieve_virustest_status_header = \"Subject\"\n\
         sieve_virustest_text_values = [\"\", \"clean\", \"\", \"\", \"\", \"eicar\"]\n",
    );
    for folder in ["global", "lists", "bin"] {
        fs::create_dir_all(server.path(folder)).unwrap();
    }
    fs::write(
        server.path("global/global.sieve"),
        "require [\"fileinto\", \"mailbox\"];\n\
         if header :is \"subject\" \"global\" { fileinto :create \"global\"; }\n",
    )
    .unwrap();
    fs::write(
        server.path("lists/friends"),
        "# Known.\nbob@example.org\ncarl@example.net\n",
    )
    .unwrap();
    fs::write(
        server.path("after.sieve"),
        "require [\"fileinto\", \"mailbox\", \"environment\", \"variables\", \"vnd.dovecot.environment\"];\n\
         if header :is \"subject\" \"after\" { fileinto :create \"after-${env.vnd.dovecot.username}\"; }\n"
            .replace("${env.vnd.dovecot.username}", "all"),
    )
    .unwrap();
    fs::write(
        server.path("default.sieve"),
        "require [\"fileinto\", \"mailbox\"]; fileinto :create \"default\";\n",
    )
    .unwrap();
    let program = |name: &str, text: &str| {
        let path = server.path(&format!("bin/{name}"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let piped = server.path("piped");
    program(
        "sink",
        &format!(
            "#!/bin/sh\n{{ echo \"$1 $USER $RECIPIENT\"; cat; }} >{}\n",
            piped.display()
        ),
    );
    program("fail", "#!/bin/sh\nexit 1\n");
    program("upper", "#!/bin/sh\necho 'X-Filtered: yes'\ncat\n");
    program("ask", "#!/bin/sh\necho \"folder-$1\"\n");
    server.run();
    fs::create_dir_all(server.home("alice").join("sieve")).unwrap();
    filter(
        &server,
        "alice",
        "sieve/mine.sieve",
        "require [\"fileinto\", \"mailbox\"];\n\
         if header :is \"subject\" \"personal\" { fileinto :create \"personal\"; }\n",
    );
    sieve(
        &server,
        "require [\"include\", \"fileinto\", \"mailbox\", \"extlists\", \"envelope\", \"spamtest\", \
         \"virustest\", \"relational\", \"comparator-i;ascii-numeric\", \"duplicate\", \"variables\", \
         \"vnd.dovecot.pipe\", \"vnd.dovecot.filter\", \"vnd.dovecot.execute\", \"copy\", \"environment\", \
         \"vnd.dovecot.report\"];\n\
         include :personal \"mine\";\n\
         include :global \"global\";\n\
         include :optional :personal \"missing\";\n\
         if header :is \"subject\" \"list\" {\n  \
         if envelope :list \"from\" \"friends\" { fileinto :create \"friends\"; }\n}\n\
         if spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"9\" { fileinto :create \"spam\"; }\n\
         if virustest :value \"eq\" :comparator \"i;ascii-numeric\" \"5\" { fileinto :create \"virus\"; }\n\
         if header :is \"subject\" \"once\" {\n  \
         if duplicate :uniqueid \"once\" { fileinto :create \"seen\"; }\n}\n\
         if header :is \"subject\" \"pipe\" { pipe :copy \"sink\" \"first\"; pipe \"fail\"; }\n\
         if header :is \"subject\" \"filter\" { filter \"upper\"; }\n\
         if header :is \"subject\" \"ask\" {\n  \
         if execute :output \"to\" \"ask\" \"a\" { fileinto :create \"${to}\"; }\n}\n\
         if header :is \"subject\" \"path\" { pipe \"nowhere\"; }\n\
         if allof (header :is \"subject\" \"where\", environment \"location\" \"MDA\",\n  \
         environment \"remote-ip\" \"127.0.0.1\") { fileinto :create \"here\"; }\n\
         if header :is \"subject\" \"abuse\" { report \"abuse\" \"Look.\" \"bob@example.org\"; }\n\
         if header :is \"subject\" \"members\" { redirect :list \"members\"; }\n",
    );
    fs::write(server.path("lists/members"), "bob@example.org\nnobody\n").unwrap();
    for (subject, mailbox) in [
        ("personal", "personal"),
        ("global", "global"),
        ("list", "friends"),
        ("score 9", "spam"),
        ("eicar", "virus"),
        ("ask", "folder-a"),
        ("where", "here"),
        ("after", "after-all"),
    ] {
        send(&server, "bob@example.org", subject);
        arrived(&server, "alice", mailbox, 1);
    }
    assert_eq!(messages(&server, "alice", "INBOX").len(), 0);
    // Strangers, ham, first sightings.
    send(&server, "stranger@example.net", "list");
    send(&server, "y@example.com", "score 7");
    send(&server, "y@example.com", "once");
    arrived(&server, "alice", "INBOX", 3);
    send(&server, "y@example.com", "once");
    arrived(&server, "alice", "seen", 1);
    // A program that fails loses no mail; nor does one that is not there.
    send(&server, "y@example.com", "pipe");
    arrived(&server, "alice", "INBOX", 4);
    let text = fs::read_to_string(&piped).unwrap();
    assert!(
        text.starts_with("first alice alice@example.org\n"),
        "{text}"
    );
    assert!(text.contains("Subject: pipe\r\n"), "{text}");
    send(&server, "y@example.com", "path");
    arrived(&server, "alice", "INBOX", 5);
    send(&server, "y@example.com", "filter");
    let found = arrived(&server, "alice", "INBOX", 6);
    assert!(
        found[5].contains("X-Filtered: yes\r\n") || found[5].contains("X-Filtered: yes\n"),
        "{}",
        found[5]
    );
    // The script of those who have none.
    let message = "From: y@example.com\r\nTo: bob@example.org\r\nSubject: hi\r\n\r\nHi.";
    server.send("y@example.com", "bob@example.org", message);
    arrived(&server, "bob", "default", 1);
    send(&server, "y@example.com", "abuse");
    let found = arrived(&server, "bob", "default", 2);
    assert!(
        found[1].contains("report-type=feedback-report"),
        "{}",
        found[1]
    );
    send(&server, "y@example.com", "members");
    arrived(&server, "bob", "default", 3);
}

/// What is said of mailboxes and of the account (RFC 5490 §3.3, §4.1).
#[test]
fn sieve_annotations() {
    let mut server = Server::prepare("");
    let maildir = server.home("alice").join("Maildir");
    fs::create_dir_all(&maildir).unwrap();
    {
        let store = mailstore::Store::new();
        let config = mailstore::AccountConfig::maildir(maildir, "mx.example.org");
        let account = store.account(&config).unwrap();
        let now = std::time::SystemTime::now();
        for (mailbox, entry, value) in [
            (Some("INBOX"), "/private/comment", "Work"),
            (None, "/shared/comment", "all hands"),
        ] {
            let change = [(entry.to_owned(), Some(value.as_bytes().to_vec()))];
            account.set_metadata(mailbox, &change, now).unwrap();
        }
    }
    server.run();
    sieve(
        &server,
        "require [\"mboxmetadata\", \"servermetadata\", \"fileinto\", \"mailbox\"];\n\
         if metadata \"missing\" \"/private/comment\" \"work\" { fileinto :create \"wrong\"; }\n\
         if metadataexists \"inbox\" [\"/private/comment\", \"/private/none\"] { fileinto :create \"wrong\"; }\n\
         if metadata :is \"inbox\" \"/private/Comment\" \"work\" { fileinto :create \"mailbox\"; }\n\
         if allof (servermetadata :contains \"/shared/comment\" \"hands\",\n  \
         servermetadataexists \"/shared/comment\") { fileinto :create \"account\"; }\n",
    );
    send(&server, "bob@example.org", "annotated");
    arrived(&server, "alice", "mailbox", 1);
    arrived(&server, "alice", "account", 1);
    assert_eq!(messages(&server, "alice", "wrong").len(), 0);
}

/// What answers once forgets with its time.
#[test]
fn sieve_forgets() {
    let server = Server::start("");
    sieve(
        &server,
        "require [\"vacation-seconds\", \"duplicate\", \"fileinto\", \"mailbox\"];\n\
         if duplicate :uniqueid \"x\" :seconds 1 { fileinto :create \"seen\"; }\n\
         vacation :seconds 1 :addresses \"alice@example.org\" \"Away.\";\n",
    );
    send(&server, "bob@example.org", "first");
    arrived(&server, "bob", "INBOX", 1);
    std::thread::sleep(Duration::from_millis(2100));
    send(&server, "bob@example.org", "second");
    arrived(&server, "bob", "INBOX", 2);
    assert_eq!(messages(&server, "alice", "seen").len(), 0);
    assert_eq!(messages(&server, "alice", "INBOX").len(), 2);
}
