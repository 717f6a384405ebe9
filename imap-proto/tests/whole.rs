//! A message at hand: what FETCH, SEARCH, SORT and THREAD make of its octets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::num::{NonZeroU32, NonZeroU64};

use bytes::Bytes;
use imap_proto::{
    Command, CommandBody, DateTime, Dialect, Flag, Message, Response, SequenceSet, SortCriterion,
    SortFields, SortKey, StatusResponse, Tag, ThreadAlgorithm, ThreadInput, Untagged, View,
    ViewOptions, WholeMessage, sort, thread,
};

const MAIL: &[u8] = b"Date: Mon, 2 Nov 2026 10:00:00 +0100\r\n\
From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n\
To: \"Quoted, Name\" <q@example.net>, Group: a@b, c@d;\r\n\
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
Message-ID: <one@example.org>\r\n\
References: <zero@example.org>\r\n\
Content-Type: multipart/mixed; boundary=b\r\n\r\n\
--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=C3=B6n\r\n\
--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: in@example.com\r\n\r\ninner text\r\n\
--b\r\nContent-Type: application/x; name=y\r\nContent-Transfer-Encoding: x-unknown\r\n\r\n???\r\n\
--b--\r\n";

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn message(at: u32) -> Message {
    Message {
        sequence: number(at),
        uid: number(at),
    }
}

fn command(text: &str) -> CommandBody {
    let line = Bytes::from(format!("t {text}\r\n"));
    Command::parse(&line, Dialect::SERVER).unwrap().body
}

/// A message's FETCH response, as it goes out.
fn fetched(octets: &'static [u8], attributes: &str) -> String {
    let CommandBody::Fetch(fetch) = command(&format!("FETCH 1 ({attributes})")) else {
        panic!("{attributes}");
    };
    let octets = Bytes::from_static(octets);
    let whole = WholeMessage::new(message(1), &[Flag::Seen], DateTime::EPOCH, &octets)
        .with_mod_seq(NonZeroU64::new(7).unwrap());
    let items = fetch.attributes.iter().filter_map(|one| whole.item(one));
    let (sequence, items) = (number(1), items.collect());
    let response = Response::Untagged(Untagged::Fetch { sequence, items });
    String::from_utf8(response.to_vec(Dialect::SERVER)).unwrap()
}

#[test]
fn each_attribute() {
    for (attribute, shown) in [
        ("UID FLAGS MODSEQ", "UID 1 FLAGS (\\Seen) MODSEQ (7)"),
        (
            "INTERNALDATE",
            "INTERNALDATE \" 1-Jan-1970 00:00:00 +0000\"",
        ),
        (
            "ENVELOPE",
            "ENVELOPE (\"Mon, 2 Nov 2026 10:00:00 +0100\" \"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\" \
             ((\"=?utf-8?q?J=C3=BCrgen?=\" NIL \"j\" \"example.org\")) \
             ((\"=?utf-8?q?J=C3=BCrgen?=\" NIL \"j\" \"example.org\")) \
             ((\"=?utf-8?q?J=C3=BCrgen?=\" NIL \"j\" \"example.org\")) \
             ((\"Quoted, Name\" NIL \"q\" \"example.net\")(NIL NIL \"Group\" NIL)\
             (NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)) \
             NIL NIL NIL \"<one@example.org>\")",
        ),
        (
            "BODY",
            "BODY ((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"QUOTED-PRINTABLE\" 10 0)\
             (\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 50 (NIL \"inner\" ",
        ),
        (
            "BODYSTRUCTURE",
            "\"MIXED\" (\"BOUNDARY\" \"b\") NIL NIL NIL)",
        ),
        ("BODY[1]", "BODY[1] {10}\r\nsch=C3=B6n)"),
        (
            "BODY[1.MIME]",
            "Content-Type: text/plain; charset=utf-8\r\n",
        ),
        (
            "BODY[2.HEADER]",
            "BODY[2.HEADER] {40}\r\nSubject: inner\r\n",
        ),
        ("BODY[2.TEXT]<2.4>", "BODY[2.TEXT]<2> {4}\r\nner )"),
        ("BODY[9]", "BODY[9] NIL"),
        ("BINARY[1]", "BINARY[1] ~{6}\r\nschön)"),
        ("BINARY.SIZE[1]", "BINARY.SIZE[1] 6"),
        ("BINARY[9]", "BINARY[9] NIL"),
        ("PREVIEW", "PREVIEW {6}\r\nschön)"),
        // Whose encoding nobody knows, and what octets cannot tell.
        ("BINARY[3] EMAILID", "* 1 FETCH ()"),
    ] {
        let all = fetched(MAIL, attribute);
        assert!(all.contains(shown), "{attribute}:\n{all}");
    }
    let size = format!("RFC822.SIZE {}", MAIL.len());
    assert!(fetched(MAIL, "RFC822.SIZE").contains(&size));
}

#[test]
fn odd_octets() {
    // Nothing of a message can keep it from being shown.
    for octets in [
        &b""[..],
        b"\r\n",
        b"no header at all",
        b"From:\r\nTo: <\r\nDate: \0\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
    ] {
        let all = "ENVELOPE BODY BODYSTRUCTURE PREVIEW BODY[] BODY[1] BODY[1.1.TEXT] BINARY[1] \
                   RFC822.SIZE BODY[HEADER.FIELDS (To)] BODY[1.MIME]";
        let line = fetched(octets, all);
        let parsed = Response::parse(&Bytes::from(line.clone()), Dialect::SERVER).unwrap();
        let Response::Untagged(Untagged::Fetch { items, .. }) = parsed else {
            panic!("{line}");
        };
        assert_eq!(items.len(), 11, "{line}");
        assert!(!format!("{items:?}").contains("Opaque"), "{line}");
    }
}

#[test]
fn searched_whole() {
    let octets = Bytes::from_static(MAIL);
    let other = Bytes::from_static(b"Subject: other\r\n\r\nneedle\r\n");
    let mut view = View::new([1, 2].map(number), ViewOptions::default());
    let tag = Tag::new("t").unwrap();
    let mut finds = |text: &str| -> Result<Option<String>, StatusResponse> {
        let CommandBody::Search(search) = command(text) else {
            panic!("{text}");
        };
        let answer = view.search(&search, &tag, false, 0, |message| {
            let (octets, flags): (_, &[Flag]) = match message.uid.get() {
                1 => (&octets, &[Flag::Seen]),
                _ => (&other, &[]),
            };
            let whole = WholeMessage::new(message, flags, DateTime::EPOCH, octets);
            Some(whole.with_mod_seq(NonZeroU64::from(message.uid)))
        })?;
        Ok(answer.map(|answer| {
            let line = Response::Untagged(answer).to_vec(Dialect::SERVER);
            String::from_utf8(line).unwrap()
        }))
    };
    for (search, line) in [
        ("SEARCH SEEN", "* SEARCH 1\r\n"),
        (
            "SEARCH CHARSET UTF-8 SUBJECT {7+}\r\ngrü\u{df}E",
            "* SEARCH 1\r\n",
        ),
        ("SEARCH CHARSET UTF-8 BODY {6+}\r\nschön", "* SEARCH 1\r\n"),
        ("SEARCH TEXT needle", "* SEARCH 2\r\n"),
        ("SEARCH BODY \"inner text\"", "* SEARCH 1\r\n"),
        ("SEARCH SENTON 2-Nov-2026", "* SEARCH 1\r\n"),
        ("SEARCH HEADER Message-ID one@", "* SEARCH 1\r\n"),
        ("SEARCH LARGER 100", "* SEARCH 1\r\n"),
        ("SEARCH MODSEQ 1", "* SEARCH 1 2 (MODSEQ 2)\r\n"),
        ("SEARCH NOT ALL", "* SEARCH\r\n"),
    ] {
        assert_eq!(finds(search).unwrap().unwrap(), line, "{search}");
    }
    assert_eq!(finds("SEARCH RETURN (SAVE) SEEN"), Ok(None));
    let refusal = finds("SEARCH CHARSET KOI8-R ALL").unwrap_err();
    assert!(format!("{refusal:?}").contains("BadCharset"));
    let saved = |view: &View| view.resolve(&SequenceSet::SavedResult, false).unwrap();
    assert!(finds("SEARCH RETURN (SAVE) CHARSET KOI8-R ALL").is_err());
    assert_eq!(saved(&view), [], "a search that failed saves nothing");
}

#[test]
fn sorted_and_threaded() {
    let headers = [
        "Subject: b\r\nFrom: Zoe <a@x>\r\nMessage-ID: <1@x>\r\n\r\n",
        "Subject: Re: a\r\nFrom: <b@x>\r\nReferences: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n",
        "Subject: [x] =?utf-8?q?=C3=A4?=\r\nFrom: Adam <c@x>\r\nIn-Reply-To: <2@x>\r\n\
         Date: Mon, 2 Nov 2020 10:00:00 +0100\r\n\r\n",
    ];
    let all = || (1..).zip(headers);
    let mut fields: Vec<_> = all()
        .map(|(at, header)| SortFields::of_header(message(at), 1 << 40, 9, header.as_bytes()))
        .collect();
    for (key, order) in [
        (SortKey::Subject, [2, 1, 3]),
        (SortKey::From, [1, 2, 3]),
        (SortKey::DisplayFrom, [3, 2, 1]),
        (SortKey::Date, [3, 1, 2]),
    ] {
        let reverse = false;
        sort(&mut fields, &[SortCriterion { reverse, key }]);
        let sorted: Vec<_> = fields.iter().map(|one| one.message().uid.get()).collect();
        assert_eq!(sorted, order);
    }
    let inputs: Vec<_> = all()
        .map(|(at, header)| ThreadInput::of_header(number(at), 0, header.as_bytes()))
        .collect();
    let nodes = thread(&inputs, ThreadAlgorithm::References);
    let nodes: Vec<_> = nodes
        .iter()
        .map(|node| (node.depth, node.number.unwrap().get()))
        .collect();
    assert_eq!(nodes, [(0, 1), (1, 2), (2, 3)]);
}
