//! CONDSTORE and QRESYNC (RFC 7162): changes that are not lost, and a client
//! that comes back.

use std::collections::BTreeMap;

use super::Imap;
use super::common::Server;

fn mailbox(messages: u32) -> (Server, Imap) {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    for number in 1..=messages {
        imap.append("INBOX", &format!("Subject: n{number}\r\n\r\n{number}\r\n"));
    }
    imap.ok("SELECT INBOX");
    (server, imap)
}

/// The number behind a word.
fn behind(lines: &[String], word: &str) -> u64 {
    let found = lines.iter().find_map(|line| {
        let rest = line.split_once(word)?.1.trim_start_matches([' ', '(']);
        let end = rest.find(|octet: char| !octet.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].parse().ok()
    });
    found.unwrap_or_else(|| panic!("{word}: {lines:?}"))
}

#[test]
fn changes_of_others_are_not_lost() {
    let (server, mut imap) = mailbox(4);
    // The first command that knows of sequences is answered with the highest.
    let fetched = imap.ok("FETCH 1:4 (MODSEQ)");
    let highest = behind(&fetched, "[HIGHESTMODSEQ");
    assert!(
        (1..=4).all(|number| behind(&fetched, &format!("* {number} FETCH (MODSEQ")) <= highest)
    );
    assert!(
        !imap
            .ok("FETCH 1 (MODSEQ)")
            .join("")
            .contains("HIGHESTMODSEQ")
    );
    let mut other = Imap::login(&server, "alice");
    let selected = other.ok("SELECT INBOX (CONDSTORE)");
    assert_eq!(behind(&selected, "[HIGHESTMODSEQ"), highest);
    assert_eq!(
        behind(&other.ok("STATUS INBOX (HIGHESTMODSEQ)"), "HIGHESTMODSEQ"),
        highest
    );
    // A silent change is told with its sequence all the same.
    let stored = other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)");
    let changed = behind(&stored, "* 2 FETCH (UID 2 MODSEQ");
    assert!(
        changed > highest && !stored.join("").contains("FLAGS"),
        "{stored:?}"
    );
    // Who knows of less changes nothing that another changed.
    let refused = imap.ok(&format!(
        "STORE 1:2 (UNCHANGEDSINCE {highest}) +FLAGS.SILENT (\\Draft)"
    ));
    assert!(
        refused.last().unwrap().contains(" OK [MODIFIED 2] "),
        "{refused:?}"
    );
    assert!(behind(&refused, "* 1 FETCH (UID 1 MODSEQ") > changed);
    assert!(
        refused
            .iter()
            .any(|line| line.starts_with("* 2 FETCH (UID 2 MODSEQ (")
                && line.ends_with("FLAGS (\\Flagged))")),
        "{refused:?}"
    );
    let refused = imap.ok("UID STORE 1 (UNCHANGEDSINCE 1) FLAGS ()");
    assert!(
        refused.last().unwrap().contains(" OK [MODIFIED 1] "),
        "{refused:?}"
    );
    let since = imap.ok(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {highest})"));
    assert_eq!(since.len(), 3, "{since:?}");
    assert!(
        since[1].starts_with(&format!("* 2 FETCH (MODSEQ ({changed}) FLAGS (\\Flagged)")),
        "{since:?}"
    );
    let found = imap.ok(&format!("SEARCH MODSEQ {changed}"));
    let last = behind(&since, "* 1 FETCH (MODSEQ");
    assert_eq!(found[0], format!("* SEARCH 1 2 (MODSEQ {last})"));
    let found = imap.ok(&format!("SEARCH RETURN (ALL) MODSEQ {changed} FLAGGED"));
    assert!(
        found[0].ends_with(&format!(" ALL 2 MODSEQ {changed}")),
        "{found:?}"
    );
    // Reading a message changes it.
    let read = imap.ok("FETCH 3 BODY[TEXT]");
    assert!(read.join("").contains(" UID 3 MODSEQ ("), "{read:?}");
    assert!(imap.say("SELECT INBOX (QRESYNC (1 1))")[0].contains(" BAD "));
}

#[test]
fn what_vanished_is_told_to_who_comes_back() {
    let (mut server, mut imap) = mailbox(6);
    let enabled = imap.ok("UNSELECT").len() + imap.ok("ENABLE QRESYNC").len();
    assert_eq!(enabled, 3);
    let selected = imap.ok("SELECT INBOX");
    let (valid, highest) = (
        behind(&selected, "[UIDVALIDITY"),
        behind(&selected, "[HIGHESTMODSEQ"),
    );
    imap.ok("STORE 2,4:5 +FLAGS.SILENT (\\Deleted)");
    let gone = imap.ok("UID EXPUNGE 4:5");
    assert_eq!(gone[0], "* VANISHED 4:5");
    let expunged = behind(&gone, "OK [HIGHESTMODSEQ");
    let moved = imap.ok("MOVE 1 Trash");
    assert!(moved[0].contains("[COPYUID "), "{moved:?}");
    assert_eq!(moved[1], "* VANISHED 1");
    assert!(behind(&moved, "OK [HIGHESTMODSEQ") > expunged);
    let closed = imap.ok("CLOSE");
    assert!(!closed.join("").contains("HIGHESTMODSEQ"), "{closed:?}");
    let back = |server: &Server, known: &str| {
        let mut imap = Imap::login(server, "alice");
        imap.ok("ENABLE QRESYNC");
        let lines = imap.ok(&format!("SELECT INBOX (QRESYNC ({known}))"));
        let news: Vec<_> = lines
            .into_iter()
            .filter(|line| line.contains("VANISHED") || line.contains("FETCH"))
            .collect();
        (imap, news)
    };
    // After a restart, too.
    server.stop();
    server.run();
    let (mut imap, news) = back(&server, &format!("{valid} {highest}"));
    assert_eq!(news, ["* VANISHED (EARLIER) 1:2,4:5"]);
    assert_eq!(
        back(&server, &format!("{valid} {highest} 1:3,6:9")).1,
        ["* VANISHED (EARLIER) 1:2"]
    );
    assert_eq!(
        back(&server, &format!("{} 1", valid + 1)).1.len(),
        0,
        "another mailbox"
    );
    imap.ok("UID STORE 6 +FLAGS.SILENT (\\Seen)");
    let (_, news) = back(&server, &format!("{valid} {expunged}"));
    assert_eq!(news[0], "* VANISHED (EARLIER) 1:2");
    assert!(
        news[1].starts_with("* 2 FETCH (UID 6 FLAGS (\\Seen) MODSEQ ("),
        "{news:?}"
    );
    assert_eq!(news.len(), 2);
    // A sequence from a future that never was.
    assert_eq!(back(&server, &format!("{valid} 999999999999")).1.len(), 3);
    let fetched = imap.ok(&format!(
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE {expunged} VANISHED)"
    ));
    assert_eq!(fetched[0], "* VANISHED (EARLIER) 1:2");
    assert!(
        fetched[1].starts_with("* 2 FETCH (UID 6 MODSEQ ("),
        "{fetched:?}"
    );
    assert!(imap.say("FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)")[0].contains(" BAD "));
}

#[test]
fn who_is_not_told_yet_hears_so() {
    let (server, mut imap) = mailbox(3);
    imap.ok("UNSELECT");
    imap.ok("ENABLE QRESYNC");
    let known = behind(&imap.ok("SELECT INBOX"), "[HIGHESTMODSEQ");
    let mut other = Imap::login(&server, "alice");
    other.ok("SELECT INBOX");
    other.ok("STORE 1 +FLAGS (\\Deleted)");
    let told = imap.ok("NOOP");
    assert!(told[0].starts_with("* 1 FETCH (UID 1 MODSEQ ("), "{told:?}");
    other.ok("EXPUNGE");
    other.ok("STORE 1 +FLAGS (\\Flagged)");
    // RFC 7162 §6: the flags may be told, what was expunged not; so lost
    // connection, the client begins before it.
    let fetched = imap.ok("FETCH 3 (UID)");
    assert!(
        fetched[1].starts_with("* 2 FETCH (UID 2 MODSEQ ("),
        "{fetched:?}"
    );
    let held = behind(&fetched, "OK [HIGHESTMODSEQ");
    let changed = behind(&fetched, "* 2 FETCH (UID 2 MODSEQ");
    assert!(
        known < held && held < changed - 1,
        "{known} {held} {changed}"
    );
    let told = imap.ok("NOOP");
    assert_eq!(told[0], "* VANISHED 1");
    assert_eq!(behind(&told, "OK [HIGHESTMODSEQ"), changed);
    assert!(!imap.ok("NOOP").join("").contains("HIGHESTMODSEQ"));
}

/// What a client remembers of a mailbox between its connections.
#[derive(Default)]
struct Remembered {
    valid: u64,
    mod_seq: u64,
    flags: BTreeMap<u32, String>,
}

impl Remembered {
    fn hear(&mut self, line: &str) {
        if let Some(uids) = line.strip_prefix("* VANISHED ") {
            for range in uids.trim_start_matches("(EARLIER) ").split(',') {
                let (first, last) = range.split_once(':').unwrap_or((range, range));
                let gone = first.parse::<u32>().unwrap()..=last.parse().unwrap();
                self.flags.retain(|uid, _| !gone.contains(uid));
            }
        } else if line.contains(" FETCH (UID ") && line.contains(" FLAGS (") {
            let line = &[line.to_owned()];
            let flags = line[0]
                .split_once("FLAGS (")
                .unwrap()
                .1
                .split_once(')')
                .unwrap()
                .0;
            let mut flags: Vec<_> = flags.split(' ').collect();
            flags.sort_unstable();
            let uid = u32::try_from(behind(line, "UID")).unwrap();
            self.flags.insert(uid, flags.join(" "));
        }
    }
}

#[test]
fn a_client_that_comes_back_ends_with_the_store() {
    let (server, mut writer) = mailbox(20);
    let mut client = Remembered::default();
    // A generator of numbers that are as good as any.
    let mut state = 7_u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (state >> 16) % below
    };
    for round in 0..12 {
        for _ in 0..random(9) {
            let uid = 1 + random(40);
            match random(5) {
                0 => drop(writer.append("INBOX", "Subject: new\r\n\r\nx\r\n")),
                1 => drop(writer.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))),
                2 => drop(writer.ok("EXPUNGE")),
                3 => drop(writer.ok(&format!("UID STORE {uid}:* FLAGS (k{round} \\Seen)"))),
                _ => drop(writer.ok(&format!("UID STORE {uid} -FLAGS (\\Deleted \\Seen)"))),
            }
        }
        let mut imap = Imap::login(&server, "alice");
        imap.ok("ENABLE QRESYNC");
        let known = match client.mod_seq {
            0 => String::new(),
            mod_seq => format!(" (QRESYNC ({} {mod_seq}))", client.valid),
        };
        let lines = imap.ok(&format!("SELECT INBOX{known}"));
        lines.iter().for_each(|line| client.hear(line));
        if client.mod_seq == 0 {
            let all = imap.ok("UID FETCH 1:* (FLAGS MODSEQ)");
            all.iter().for_each(|line| client.hear(line));
        }
        client.valid = behind(&lines, "[UIDVALIDITY");
        client.mod_seq = behind(&lines, "[HIGHESTMODSEQ");
        let mut fresh = Remembered::default();
        let mut other = Imap::login(&server, "alice");
        other.ok("EXAMINE INBOX");
        let all = other.ok("UID FETCH 1:* (FLAGS)");
        all.iter().for_each(|line| fresh.hear(line));
        assert_eq!(client.flags, fresh.flags, "round {round}: {lines:?}");
    }
}
