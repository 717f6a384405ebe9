use std::num::NonZeroU32;

use super::*;
use crate::{Command, CommandBody, Search, Tag, View, ViewOptions};

struct Mail {
    number: u32,
    flags: Vec<Flag>,
    header: Option<&'static str>,
    body: Option<&'static str>,
}

impl Candidate for Mail {
    fn message(&self) -> Message {
        let number = NonZeroU32::new(self.number).unwrap();
        let uid = number.checked_add(100).unwrap();
        Message {
            sequence: number,
            uid,
        }
    }
    fn has_flag(&self, flag: &Flag) -> bool {
        self.flags.contains(flag)
    }
    fn internal_date(&self) -> DateTime {
        DateTime::from_timestamp(86_400 * i64::from(self.number), 0).unwrap()
    }
    fn size(&self) -> u64 {
        u64::from(self.number) * 1000
    }
    fn has_email_id(&self, id: &[u8]) -> Option<bool> {
        self.header.map(|_| id == b"M5")
    }
    fn sent_date(&self) -> Option<Option<Date>> {
        self.header.map(|_| None)
    }
    fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool> {
        let header = self.header?;
        Some(header.lines().any(|line| {
            let (field, value) = line.split_once(": ").unwrap();
            field.as_bytes().eq_ignore_ascii_case(name) && needle.is_in(value)
        }))
    }
    fn header_contains(&self, needle: &Needle) -> Option<bool> {
        self.header.map(|header| needle.is_in(header))
    }
    fn body_contains(&self, needle: &Needle) -> Option<bool> {
        self.body.map(|body| needle.is_in(body))
    }
}

fn search(text: &str) -> Search {
    let line = bytes::Bytes::from(format!("a SEARCH {text}"));
    match Command::parse(&line, crate::Dialect::SERVER).unwrap().body {
        CommandBody::Search(search) => search,
        other => panic!("{other:?}"),
    }
}

fn program(text: &str) -> Program {
    let search = search(text);
    let uids = (101..=109).filter_map(NonZeroU32::new);
    let view = View::new(uids, ViewOptions::default());
    Program::new(&search.keys, search.charset.as_ref(), &view, 86_400 * 10).unwrap()
}

#[test]
fn table() {
    let mail = Mail {
        number: 5,
        flags: vec![Flag::Seen, Flag::keyword("$Junk").unwrap()],
        header: Some("Subject: Ängste und Straßen\nFrom: joe@example.org"),
        body: Some("Hello World"),
    };
    for (text, expected) in [
        ("ALL", true),
        ("SEEN", true),
        ("UNSEEN", false),
        ("NEW", false),
        ("OLD", true),
        ("KEYWORD $junk", true),
        ("5", true),
        ("1:4", false),
        ("*", false),
        ("UID 105", true),
        ("UID 5", false),
        ("LARGER 4999", true),
        ("SMALLER 5000", false),
        ("ON 6-Jan-1970", true),
        ("BEFORE 6-Jan-1970", false),
        ("SINCE 6-Jan-1970", true),
        ("SENTON 6-Jan-1970", false),
        ("OLDER 432000", true),
        ("OLDER 432001", false),
        ("YOUNGER 432000", true),
        ("YOUNGER 431999", false),
        ("FROM EXAMPLE.ORG", true),
        ("SUBJECT \"ÄNGSTE UND\"", true),
        ("HEADER Reply-To \"\"", false),
        ("HEADER subject \"\"", true),
        ("BODY world", true),
        ("TEXT joe@", true),
        ("TEXT nothing", false),
        ("OR UNSEEN BODY hello", true),
        ("NOT (SEEN BODY nothing)", true),
        ("SEEN UNSEEN", false),
        ("EMAILID M5", true),
        ("EMAILID m5", false),
        ("NOT EMAILID M6", true),
        ("THREADID T5", false),
    ] {
        let verdict = program(text).evaluate(&mail);
        let expected = if expected {
            Verdict::Match
        } else {
            Verdict::NoMatch
        };
        assert_eq!(verdict, expected, "{text}");
    }
}

#[test]
fn asks_only_for_what_decides() {
    let mail = Mail {
        number: 5,
        flags: vec![],
        header: None,
        body: None,
    };
    for (text, expected) in [
        ("BODY x SEEN", Verdict::NoMatch),
        ("OR TEXT x UNSEEN", Verdict::Match),
        ("BODY x SUBJECT y", Verdict::Needs(Need::Header)),
        ("BODY x", Verdict::Needs(Need::Body)),
        ("TEXT x", Verdict::Needs(Need::Header)),
        ("NOT SENTON 1-Jan-2000", Verdict::Needs(Need::Header)),
        ("EMAILID M5", Verdict::Needs(Need::Header)),
        ("EMAILID M5 SEEN", Verdict::NoMatch),
    ] {
        assert_eq!(program(text).evaluate(&mail), expected, "{text}");
    }
}

#[test]
fn errors() {
    let view = View::default();
    let run = |text: &str| {
        let search = search(text);
        Program::new(&search.keys, search.charset.as_ref(), &view, 0).map(|_| ())
    };
    assert_eq!(run("CHARSET KOI8-R TEXT x"), Err(SearchError::BadCharset));
    assert_eq!(run("CHARSET utf-8 TEXT x"), Ok(()));
    assert_eq!(run("1"), Err(SearchError::NoSuchMessage(NoSuchMessage)));
    assert_eq!(run("UID 1"), Ok(()));
}

#[test]
fn answers() {
    let found: Vec<_> = [2, 10, 11, 12, 15, 21]
        .into_iter()
        .filter_map(NonZeroU32::new)
        .map(|number| Message {
            sequence: number,
            uid: number,
        })
        .collect();
    let tag = Tag::new("A282").unwrap();
    let show = |text: &str, rev2| {
        let search = search(text);
        let answer = search.answer(&tag, &found, rev2, None).map(|data| {
            let line = crate::Response::Untagged(data).to_vec(crate::Dialect::SERVER);
            String::from_utf8(line).unwrap()
        });
        (
            answer.unwrap_or_default(),
            search.saves(&found).map(|set| format!("{set:?}")),
        )
    };
    let saved = |text: &str| Some(text.to_owned());
    for (text, rev2, answer, saves) in [
        ("ALL", false, "* SEARCH 2 10 11 12 15 21\r\n", None),
        (
            "ALL",
            true,
            "* ESEARCH (TAG \"A282\") ALL 2,10:12,15,21\r\n",
            None,
        ),
        (
            "RETURN () ALL",
            false,
            "* ESEARCH (TAG \"A282\") ALL 2,10:12,15,21\r\n",
            None,
        ),
        (
            "RETURN (MIN COUNT) ALL",
            false,
            "* ESEARCH (TAG \"A282\") MIN 2 COUNT 6\r\n",
            None,
        ),
        ("RETURN (SAVE) ALL", false, "", saved("2,10:12,15,21")),
        (
            "RETURN (SAVE MIN) ALL",
            false,
            "* ESEARCH (TAG \"A282\") MIN 2\r\n",
            saved("2"),
        ),
        (
            "RETURN (MAX SAVE MIN) ALL",
            false,
            "* ESEARCH (TAG \"A282\") MIN 2 MAX 21\r\n",
            saved("2,21"),
        ),
        (
            "RETURN (MAX SAVE MIN COUNT) ALL",
            false,
            "* ESEARCH (TAG \"A282\") MIN 2 MAX 21 COUNT 6\r\n",
            saved("2,10:12,15,21"),
        ),
        (
            "RETURN (PARTIAL -1:-2) ALL",
            false,
            "* ESEARCH (TAG \"A282\") PARTIAL (-1:-2 15,21)\r\n",
            None,
        ),
        (
            "RETURN (PARTIAL 7:9) ALL",
            false,
            "* ESEARCH (TAG \"A282\") PARTIAL (7:9 NIL)\r\n",
            None,
        ),
    ] {
        assert_eq!(show(text, rev2), (answer.to_owned(), saves), "{text}");
    }
}

/// RFC 5267 §3: SORT answers in its order; RFC 7377 §2.1: each mailbox by
/// itself, in UIDs.
#[test]
fn answers_of_sort_and_esearch() {
    let number = |number| NonZeroU32::new(number).unwrap();
    let message = |sequence: u32| Message {
        sequence: number(sequence),
        uid: number(sequence + 100),
    };
    let tag = Tag::new("a").unwrap();
    let command = |text: &str| {
        let line = bytes::Bytes::from(format!("a {text}"));
        Command::parse(&line, crate::Dialect::SERVER).unwrap().body
    };
    let show = |data: Option<crate::Untagged>| {
        let data = data.map(crate::Response::Untagged);
        let line = data.map(|data| data.to_vec(crate::Dialect::SERVER));
        String::from_utf8(line.unwrap_or_default()).unwrap()
    };
    let sorted = [5, 4, 3, 7, 8, 9].map(message);
    for (text, answer) in [
        ("SORT (DATE) UTF-8 ALL", "* SORT 5 4 3 7 8 9\r\n"),
        (
            "SORT RETURN () (DATE) UTF-8 ALL",
            "* ESEARCH (TAG \"a\") ALL 5,4,3,7:9\r\n",
        ),
        (
            "UID SORT RETURN (MIN MAX COUNT PARTIAL 2:3) (DATE) UTF-8 ALL",
            "* ESEARCH (TAG \"a\") UID MIN 105 MAX 109 COUNT 6 PARTIAL (2:3 104,103)\r\n",
        ),
        ("SORT RETURN (SAVE) (DATE) UTF-8 ALL", ""),
    ] {
        let CommandBody::Sort(sort) = command(text) else {
            panic!("{text}");
        };
        assert_eq!(show(sort.answer(&tag, &sorted)), answer, "{text}");
    }
    let CommandBody::MultiSearch(search) = command("ESEARCH IN (PERSONAL) ALL") else {
        panic!();
    };
    let inbox = crate::Mailbox::inbox();
    assert_eq!(search.answer(&tag, &inbox, number(7), &[]), None);
    assert_eq!(
        show(search.answer(&tag, &inbox, number(7), &[1, 2].map(message))),
        "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY 7) UID ALL 101:102\r\n"
    );
}

/// RFC 9738 §3.2, RFC 5257 §4.5, RFC 5466 §3.1.
#[test]
fn keys_of_extensions() {
    let mail = Mail {
        number: 5,
        flags: Vec::new(),
        header: Some(""),
        body: Some(""),
    };
    for (text, found) in [
        ("UIDAFTER 104", true),
        ("UIDAFTER 105", false),
        ("UIDAFTER 4294967295", false),
        ("UIDBEFORE 106", true),
        ("UIDBEFORE 105", false),
        ("UIDBEFORE 1", false),
        ("ANNOTATION /comment value NIL", true),
        ("ANNOTATION /comment value \"x\"", false),
    ] {
        let verdict = match found {
            true => Verdict::Match,
            false => Verdict::NoMatch,
        };
        assert_eq!(program(text).evaluate(&mail), verdict, "{text}");
    }
    let view = View::new([], ViewOptions::default());
    let undefined = Program::new(&search("FILTER f").keys, None, &view, 0).unwrap_err();
    let code = undefined.status().code;
    assert!(matches!(code, Some(Code::UndefinedFilter(_))), "{code:?}");
    let asked = search("ANNOTATION /vendor/% value.priv \"x\"").keys;
    let wanted = match asked.keys().next() {
        Some(crate::SearchKey::Annotation(wanted)) => wanted,
        other => panic!("{other:?}"),
    };
    let entry = |name| crate::EntryName::new(name).unwrap();
    assert!(wanted.is_of(&entry("/vendor/foo")));
    assert!(!wanted.is_of(&entry("/vendor/foo/bar")));
}
