//! SORT, THREAD, PARTIAL, PREVIEW: what the index makes cheap.

use super::common::Server;
use super::{Imap, NESTED};

/// Three messages, of which the second answers the first.
fn conversation() -> (Server, Imap) {
    let server = Server::start("");
    let mut imap = Imap::login(&server, "alice");
    imap.append(
        "INBOX \"01-Oct-2026 10:00:00 +0000\"",
        "From: Zoe <z@x.test>\r\nSubject: Plans\r\nMessage-ID: <1@x>\r\n\
         Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\nFirst  of\r\nall.\r\n",
    );
    imap.append(
        "INBOX \"02-Oct-2026 10:00:00 +0000\"",
        "From: Adam <a@x.test>\r\nSubject: Re: plans\r\nMessage-ID: <2@x>\r\n\
         References: <1@x>\r\nDate: Sun, 1 Nov 2026 10:00:00 +0000\r\n\r\nYes.\r\n",
    );
    imap.append(
        "INBOX \"03-Oct-2026 10:00:00 +0000\"",
        "From: m@x.test\r\nSubject: =?utf-8?q?=C3=84pfel?=\r\nMessage-ID: <3@x>\r\n\
         Date: Tue, 3 Nov 2026 10:00:00 +0000\r\n\r\nLonger than the other two are.\r\n",
    );
    imap.ok("SELECT INBOX");
    (server, imap)
}

#[test]
fn sorts() {
    let (_server, mut imap) = conversation();
    let mut sorts = |criteria: &str, order: &str| {
        let lines = imap.ok(&format!("SORT ({criteria}) UTF-8 ALL"));
        assert_eq!(lines[0], format!("* SORT{order}"), "{criteria}");
    };
    sorts("ARRIVAL", " 1 2 3");
    sorts("REVERSE ARRIVAL", " 3 2 1");
    sorts("DATE", " 2 1 3");
    sorts("SUBJECT DATE", " 2 1 3");
    sorts("SUBJECT REVERSE DATE", " 1 2 3");
    sorts("FROM", " 2 3 1");
    sorts("DISPLAYFROM", " 2 3 1");
    sorts("REVERSE SIZE", " 3 2 1");
    assert_eq!(
        imap.ok("UID SORT (DATE) UTF-8 SUBJECT plans")[0],
        "* SORT 2 1"
    );
    let returned = imap.ok("SORT RETURN (MIN MAX COUNT ALL) (DATE) UTF-8 ALL");
    let tag = imap.tag;
    assert_eq!(
        returned[0],
        format!("* ESEARCH (TAG \"t{tag}\") MIN 2 MAX 3 COUNT 3 ALL 2,1,3")
    );
    let page = imap.ok("UID SORT RETURN (PARTIAL 1:2) (DATE) UTF-8 ALL");
    assert!(page[0].ends_with(" UID PARTIAL (1:2 2,1)"), "{page:?}");
    imap.ok("SORT RETURN (SAVE COUNT) (DATE) UTF-8 SUBJECT plans");
    let saved = imap.ok("FETCH $ UID");
    assert_eq!(saved[..2], ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)"]);
    assert!(imap.say("SORT (SUBJECT) KOI8-R ALL")[0].contains("NO [BADCHARSET"));
    assert!(imap.say("SORT (COLOUR) UTF-8 ALL")[0].contains(" BAD "));
}

#[test]
fn threads() {
    let (_server, mut imap) = conversation();
    for (algorithm, threads) in [
        ("REFERENCES", "(1 2)(3)"),
        ("REFS", "(1 2)(3)"),
        ("ORDEREDSUBJECT", "(2 1)(3)"),
    ] {
        let lines = imap.ok(&format!("THREAD {algorithm} UTF-8 ALL"));
        assert_eq!(lines[0], format!("* THREAD {threads}"), "{algorithm}");
    }
    assert_eq!(
        imap.ok("UID THREAD REFERENCES UTF-8 FROM adam")[0],
        "* THREAD (2)"
    );
    assert_eq!(imap.ok("THREAD REFERENCES UTF-8 DRAFT")[0], "* THREAD");
}

#[test]
fn numbers_stand_while_they_are_sorted() {
    let (server, mut imap) = conversation();
    let mut other = Imap::login(&server, "alice");
    other.ok("SELECT INBOX");
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    // Its number is taken still, though there is nothing to sort it by.
    let sorted = imap.ok("SORT (SUBJECT) UTF-8 ALL");
    assert_eq!(sorted[0], "* SORT 2 3");
    assert!(!sorted.join(" ").contains("EXPUNGE"), "{sorted:?}");
    assert!(
        !imap
            .ok("THREAD REFS UTF-8 ALL")
            .join(" ")
            .contains("EXPUNGE")
    );
    let sorted = imap.ok("UID SORT (SUBJECT) UTF-8 ALL");
    assert_eq!(sorted[..2], ["* SORT 2 3", "* 1 EXPUNGE"]);
}

#[test]
fn saved_when() {
    let (_server, mut imap) = conversation();
    let saved = imap.ok("FETCH 1 (INTERNALDATE SAVEDATE)");
    assert!(
        saved[0].contains("INTERNALDATE \" 1-Oct-2026 "),
        "{saved:?}"
    );
    assert!(saved[0].contains(" SAVEDATE \""), "{saved:?}");
    assert_eq!(imap.ok("SEARCH SAVEDATESUPPORTED")[0], "* SEARCH 1 2 3");
    assert_eq!(imap.ok("SEARCH SAVEDBEFORE 2-Jan-2020")[0], "* SEARCH");
    assert_eq!(imap.ok("SEARCH SAVEDSINCE 2-Jan-2020")[0], "* SEARCH 1 2 3");
}

#[test]
fn pages_and_previews() {
    let (_server, mut imap) = conversation();
    imap.append("INBOX", NESTED);
    let pages = imap.ok("UID SEARCH RETURN (PARTIAL -1:-2) ALL");
    assert!(pages[0].ends_with(" UID PARTIAL (-1:-2 3:4)"), "{pages:?}");
    let page = imap.ok("UID FETCH 1:* (UID) (PARTIAL 2:3)");
    assert_eq!(page[..2], ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"]);
    assert!(page[2].contains(" OK "));
    let previews = imap.ok("FETCH 1,4 (PREVIEW)");
    assert_eq!(previews[0], "* 1 FETCH (PREVIEW \"First of all.\")");
    assert!(previews.join("\n").contains("schön"), "{previews:?}");
    assert_eq!(
        imap.ok("FETCH 2 (PREVIEW (LAZY))")[0],
        "* 2 FETCH (PREVIEW \"Yes.\")"
    );
}
