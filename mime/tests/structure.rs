//! The part tree: the same however the message is cut, covering each octet once, within its limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use mime::{Headers, Kind, Limits, Part, Scanner, Structure};
use proptest::prelude::*;

/// Lines that make a message interesting.
const LINES: &[&str] = &[
    "Content-Type: multipart/mixed; boundary=a",
    "Content-Type: multipart/digest; boundary=\"ab\"",
    "Content-Type: multipart/mixed;\n\tboundary=\"a--\"",
    "Content-Type: multipart/alternative; boundary=",
    "content-type:message/rfc822",
    "Content-Type: message/global",
    "Content-Type: text/html",
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment; filename=x",
    "Content-ID: <x>",
    "Content-Id: <second>",
    "Subject: x",
    "From someone Thu Jan  1 00:00:00 1970",
    "--a",
    "--a--",
    "--ab",
    "--ab--",
    "--a-- ",
    "--abc",
    "--",
    "-",
    "",
    "",
    "",
    " folded",
    "text",
    "\r",
    "\0\u{e9}",
];

fn message() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![4 => Just("\r\n"), 4 => Just("\n"), 1 => Just(""), 1 => Just("\r")];
    let line = (prop::sample::select(LINES), end);
    prop::collection::vec(line, 0..40).prop_map(|lines| {
        let lines = lines.into_iter().map(|(line, end)| [line, end].concat());
        lines.collect::<String>().into_bytes()
    })
}

/// Walks through the tree and checks that the ranges meet without overlap.
fn check_cover(structure: &Structure, message: &[u8]) {
    let root = structure.root();
    assert_eq!(structure.size(), message.len() as u64);
    assert_eq!(root.header().start, 0);
    assert_eq!(root.body().end, message.len() as u64);
    let mut leaves = Vec::new();
    for part in structure.parts() {
        let (header, body) = (part.header(), part.body());
        assert!(header.start <= header.end && header.end == body.start && body.start <= body.end);
        let lines = |octets: &[u8]| octets.iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert_eq!(part.header_lines(), lines(header.of(message)), "{part:?}");
        assert_eq!(part.body_lines(), lines(body.of(message)), "{part:?}");
        if !part.is_opaque() {
            let headers = Headers::new(part.span().of(message));
            if part.kind() != Kind::Leaf || !header.is_empty() {
                check_header(part, &headers, message);
            }
        }
        match part.kind() {
            Kind::Leaf => {
                assert_eq!(part.children().count(), 0);
                leaves.push(body);
            }
            Kind::Message => {
                let nested = part.nested().unwrap();
                assert_eq!(part.children().count(), 1);
                assert_eq!(nested.span(), body);
            }
            Kind::Multipart => {
                assert_eq!(part.preamble().start, body.start);
                let mut at = part.preamble().end;
                for child in part.children() {
                    let delimiter = mime::Span::new(at, child.header().start).of(message);
                    check_delimiter(delimiter);
                    assert_eq!(child.parent(), Some(part));
                    assert_eq!(child.depth(), part.depth() + 1);
                    at = child.body().end;
                }
                assert!(at > body.start && at <= body.end);
                let rest = mime::Span::new(at, body.end);
                if !part.epilogue().is_empty() {
                    assert!(part.epilogue().start > at);
                    assert_eq!(part.epilogue().end, rest.end);
                }
            }
        }
    }
    for pair in leaves.windows(2) {
        assert!(pair[0].end <= pair[1].start);
    }
}

fn check_delimiter(delimiter: &[u8]) {
    let text = delimiter.strip_prefix(b"\r").unwrap_or(delimiter);
    let text = text.strip_prefix(b"\n").unwrap_or(text);
    assert!(text.starts_with(b"--"), "{:?}", delimiter.escape_ascii());
    assert_eq!(text.iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert!(text.ends_with(b"\n"));
}

/// The header that the scanner found is what [`Headers`] reads, unless a boundary cut it short.
fn check_header(part: Part<'_>, headers: &Headers<'_>, message: &[u8]) {
    let own = part.header().len() as usize;
    if headers.header_len() != own {
        let after = &message[part.header().end as usize..];
        let before = Headers::new(part.header().of(message));
        assert_eq!(before.header_len(), own);
        assert!(
            after.starts_with(b"--") || after.is_empty(),
            "{:?}",
            part.header()
        );
    }
}

fn scan(message: &[u8], cuts: &[usize], limits: Limits) -> Structure {
    let mut scanner = Scanner::with_limits(limits);
    let mut rest = message;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() || cuts.is_empty() {
            break;
        }
        let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
        scanner.feed(chunk);
        rest = tail;
    }
    scanner.feed(rest);
    scanner.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn chunked_equals_whole(message in message(), cuts in prop::collection::vec(1usize..40, 1..8)) {
        let whole = Structure::parse(&message);
        check_cover(&whole, &message);
        prop_assert_eq!(&scan(&message, &cuts, Limits::default()), &whole);
        prop_assert_eq!(&scan(&message, &[1], Limits::default()), &whole);
    }

    #[test]
    fn limits_keep_all_octets_covered(
        message in message(),
        depth in 1u32..4,
        parts in 1usize..6,
        stored in 1usize..200,
    ) {
        let limits = Limits { depth, parts, stored };
        let whole = Structure::parse_with(&message, limits);
        check_cover(&whole, &message);
        prop_assert!(whole.parts().count() <= parts);
        prop_assert!(whole.parts().all(|part| part.depth() <= depth));
        prop_assert_eq!(&scan(&message, &[1, 5], limits), &whole);
    }

    #[test]
    fn any_octets(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let whole = Structure::parse(&message);
        check_cover(&whole, &message);
        prop_assert_eq!(&scan(&message, &[1], Limits::default()), &whole);
    }
}

/// Kind, media type and body of each part, in one line each.
fn outline(message: &[u8]) -> Vec<String> {
    let structure = Structure::parse(message);
    check_cover(&structure, message);
    assert_eq!(scan(message, &[1], Limits::default()), structure);
    let show = |part: Part<'_>| {
        let (main, sub) = part.media_type();
        let indent = "  ".repeat(part.depth() as usize - 1);
        match part.kind() {
            Kind::Leaf => {
                let body = part.body().of(message).escape_ascii();
                format!("{indent}{main}/{sub} {body}")
            }
            _ => format!("{indent}{main}/{sub}"),
        }
    };
    structure.parts().map(show).collect()
}

#[test]
fn example_of_rfc_2046_section_5_1_1() {
    let message = b"From: Nathaniel Borenstein <nsb@bellcore.com>\r\n\
        MIME-Version: 1.0\r\n\
        Content-type: multipart/mixed; boundary=\"simple boundary\"\r\n\r\n\
        This is the preamble.\r\n\
        --simple boundary\r\n\r\n\
        Implicitly typed.\r\nDoes NOT end with a linebreak.\r\n\
        --simple boundary\r\n\
        Content-type: text/plain; charset=us-ascii\r\n\r\n\
        DOES end with a linebreak.\r\n\r\n\
        --simple boundary--\r\n\r\n\
        This is the epilogue.\r\n";
    assert_eq!(
        outline(message),
        [
            "multipart/mixed",
            "  text/plain Implicitly typed.\\r\\nDoes NOT end with a linebreak.",
            "  text/plain DOES end with a linebreak.\\r\\n",
        ]
    );
    let structure = Structure::parse(message);
    let root = structure.root();
    assert_eq!(root.preamble().of(message), b"This is the preamble.");
    assert_eq!(
        root.epilogue().of(message),
        b"\r\nThis is the epilogue.\r\n"
    );
    let second = structure.find(&[2]).unwrap();
    assert_eq!(second.body_lines(), 1);
    assert_eq!(second.header_lines(), 2);
}

#[test]
fn a_digest_contains_messages_by_default() {
    let message = b"Content-Type: multipart/digest; boundary=d\n\n\
        --d\n\nSubject: one\n\nbody\n--d\nContent-Type: text/plain\n\nnote\n--d--\n";
    assert_eq!(
        outline(message),
        [
            "multipart/digest",
            "  message/rfc822",
            "    text/plain body",
            "  text/plain note",
        ]
    );
}

#[test]
fn boundaries_that_begin_alike() {
    let message = b"Content-Type: multipart/mixed; boundary=a\n\n\
        --a\nContent-Type: multipart/mixed; boundary=ab\n\n\
        --ab\n\nx\n--ab\n\ny\n--ab--\n--a\n\nz\n--a--\n";
    assert_eq!(
        outline(message),
        [
            "multipart/mixed",
            "  multipart/mixed",
            "    text/plain x",
            "    text/plain y",
            "  text/plain z",
        ]
    );
}

#[test]
fn one_boundary_at_two_levels_is_the_inner_one() {
    let message = b"Content-Type: multipart/mixed; boundary=a\n\n\
        --a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\n--a\n\ny\n--a--\n";
    assert_eq!(
        outline(message),
        [
            "multipart/mixed",
            "  multipart/mixed",
            "    text/plain x",
            "  text/plain y",
        ]
    );
}

#[test]
fn a_line_that_only_begins_like_a_boundary_is_text() {
    assert_eq!(
        outline(
            b"Content-Type: multipart/mixed; boundary=a\n\n--a \t\n\nx\n--ab\n--a-b\ny\n--a--b\n"
        ),
        ["multipart/mixed", "  text/plain x\\n--ab\\n--a-b\\ny"]
    );
    assert_eq!(
        outline(b"Content-Type: multipart/mixed; boundary=\"a--\"\n\n--a--\n\nx\n--a----\n"),
        ["multipart/mixed", "  text/plain x"]
    );
}

#[test]
fn boundaries_that_never_come() {
    assert_eq!(
        outline(b"Content-Type: multipart/mixed; boundary=a\n\nhello\n--b\n"),
        ["text/plain hello\\n--b\\n"]
    );
    assert_eq!(
        outline(b"Content-Type: multipart/mixed\n\nhello\n--\n"),
        ["text/plain hello\\n--\\n"]
    );
    // The outer boundary ends an inner multipart that was never closed.
    assert_eq!(
        outline(
            b"Content-Type: multipart/mixed; boundary=a\n\n--a\n\
              Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--a\n\ny\n"
        ),
        [
            "multipart/mixed",
            "  multipart/mixed",
            "    text/plain x",
            "  text/plain y\\n",
        ]
    );
}

#[test]
fn headers_that_never_end() {
    assert_eq!(outline(b"Subject: x"), ["text/plain "]);
    assert_eq!(outline(b""), ["text/plain "]);
    assert_eq!(
        outline(b"no header\nat all"),
        ["text/plain no header\\nat all"]
    );
    assert_eq!(
        outline(
            b"Content-Type: multipart/mixed; boundary=a\n--a\nContent-Type: message/rfc822\n--a\nX: y\n--a--"
        ),
        ["multipart/mixed", "  message/rfc822", "    text/plain ", "  text/plain "]
    );
}

#[test]
fn encoded_messages_are_not_taken_apart() {
    assert_eq!(
        outline(b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYgo=\n"),
        ["application/octet-stream QTogYgo=\\n"]
    );
}

#[test]
fn content_fields() {
    let message = b"Content-Type: image/png;\r\n name*=utf-8''%C3%A9.png\r\n\
        Content-Disposition: attachment; filename=\"=?utf-8?q?=C3=A9?= 1.png\"\r\n\
        Content-Language: de, en\r\nContent-Location: http://x/\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n\
        Content-ID: <1@x>\r\nContent-Description: a\r\n picture\r\nContent-Transfer-Encoding: Base64 (x)\r\n\
        Content-Type: text/plain\r\nContent-Unknown: x\r\n\r\n";
    let structure = Structure::parse(message);
    let part = structure.root();
    assert_eq!(part.media_type(), ("image", "png"));
    assert_eq!(
        part.content_type().unwrap().parameter("name").unwrap(),
        "é.png"
    );
    assert!(part.disposition().unwrap().is("Attachment"));
    assert_eq!(part.file_name().unwrap(), "é 1.png");
    assert_eq!(part.languages().collect::<Vec<_>>(), ["de", "en"]);
    assert_eq!(part.location(), Some("http://x/"));
    assert_eq!(part.md5(), Some("Q2hlY2sgSW50ZWdyaXR5IQ=="));
    assert_eq!(part.id(), Some("<1@x>"));
    assert_eq!(part.description(), Some("a picture"));
    assert_eq!(part.encoding(), mime::Encoding::Base64);
    assert_eq!(part.encoding_value(), Some("Base64 (x)"));
}

/// The tree of RFC 9051 §6.4.5.1, whose part numbers it lists.
fn numbered() -> Vec<u8> {
    let leaf = |kind: &str, text: &str| format!("Content-Type: {kind}\r\n\r\n{text}");
    let multi = |boundary: &str, parts: &[String]| {
        let mut out = format!(
            "Subject: {boundary}\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n"
        );
        for part in parts {
            out.push_str(&format!("--{boundary}\r\n{part}\r\n"));
        }
        out + &format!("--{boundary}--\r\n")
    };
    let three = multi(
        "three",
        &[
            leaf("text/plain", "3.1"),
            leaf("application/octet-stream", "3.2"),
        ],
    );
    let alternative = multi(
        "four-two-two",
        &[
            leaf("text/plain", "4.2.2.1"),
            leaf("text/richtext", "4.2.2.2"),
        ],
    );
    let four_two = multi("four-two", &[leaf("text/plain", "4.2.1"), alternative]);
    let four = multi(
        "four",
        &[leaf("image/gif", "4.1"), leaf("message/rfc822", &four_two)],
    );
    multi(
        "root",
        &[
            leaf("text/plain", "1"),
            leaf("application/octet-stream", "2"),
            leaf("message/rfc822", &three),
            four,
        ],
    )
    .into_bytes()
}

#[test]
fn sections_of_rfc_9051() {
    let message = numbered();
    let structure = Structure::parse(&message);
    check_cover(&structure, &message);
    let section = |text: &str| {
        let section = mime::Section::parse(text).unwrap();
        let octets = section.octets(&structure, &message)?;
        Some(String::from_utf8(octets.into_owned()).unwrap())
    };
    for number in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
        assert_eq!(section(number).as_deref(), Some(number));
    }
    assert_eq!(section("").unwrap().as_bytes(), message);
    assert_eq!(
        section("4.2.2.1.MIME").unwrap(),
        "Content-Type: text/plain\r\n\r\n"
    );
    assert!(section("HEADER").unwrap().starts_with("Subject: root\r\n"));
    assert!(section("TEXT").unwrap().starts_with("--root\r\n"));
    assert!(
        section("3.HEADER")
            .unwrap()
            .starts_with("Subject: three\r\n")
    );
    assert!(section("3.TEXT").unwrap().starts_with("--three\r\n"));
    assert_eq!(
        section("3.HEADER.FIELDS (SUBJECT)").unwrap(),
        "Subject: three\r\n\r\n"
    );
    assert_eq!(
        section("4.2.HEADER.FIELDS.NOT (content-type)").unwrap(),
        "Subject: four-two\r\n\r\n"
    );
    assert_eq!(
        section("3").unwrap(),
        section("3.HEADER").unwrap() + &section("3.TEXT").unwrap()
    );
    for none in [
        "5",
        "1.1",
        "3.3",
        "4.HEADER",
        "1.TEXT",
        "4.2.2.1.1",
        "2.HEADER.FIELDS (a)",
    ] {
        assert_eq!(section(none), None, "{none}");
    }
}

#[test]
fn part_one_of_a_message_that_is_no_multipart() {
    let message = b"Subject: x\r\n\r\nbody";
    let structure = Structure::parse(message);
    assert_eq!(structure.find(&[1]), Some(structure.root()));
    assert_eq!(structure.find(&[1, 1]), None);
    let nested = b"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nA: b\n\nbody";
    let structure = Structure::parse(nested);
    let text = |number: &[u32]| structure.find(number).map(|part| part.body().of(nested));
    assert_eq!(text(&[1, 1, 1]), Some(&b"body"[..]));
    assert_eq!(text(&[1, 1]), Some(&b"A: b\n\nbody"[..]));
    assert_eq!(text(&[1, 1, 1, 1]), None);
}

#[test]
fn ten_thousand_parts_and_one_more() {
    let mut message = b"Content-Type: multipart/mixed; boundary=a\n\n".to_vec();
    for _ in 0..20_000 {
        message.extend_from_slice(b"--a\n\nx\n");
    }
    let structure = Structure::parse(&message);
    assert_eq!(structure.parts().count(), Limits::default().parts);
    assert!(structure.is_truncated());
    check_cover(&structure, &message);
    let last = structure.parts().last().unwrap();
    assert!(last.is_opaque() && last.is("application", "octet-stream"));
    assert_eq!(last.body().end, message.len() as u64);
}

#[test]
fn a_thousand_levels() {
    let mut multiparts = Vec::new();
    let mut messages = Vec::new();
    for level in 0..1000 {
        multiparts.extend_from_slice(
            format!("Content-Type: multipart/mixed; boundary=b{level}.\n\n--b{level}.\n")
                .as_bytes(),
        );
        messages.extend_from_slice(b"Content-Type: message/rfc822\n\n");
    }
    for message in [multiparts, messages] {
        let structure = Structure::parse(&message);
        check_cover(&structure, &message);
        assert!(structure.is_truncated());
        assert_eq!(structure.parts().count(), 100);
        assert!(structure.parts().last().unwrap().is_opaque());
        let deep = Structure::parse_with(
            &message,
            Limits {
                depth: 2000,
                ..Limits::default()
            },
        );
        check_cover(&deep, &message);
        assert_eq!(deep.parts().count(), 1001);
    }
}

#[test]
fn long_lines_cost_no_memory_and_change_nothing() {
    let mut message = b"X: ".to_vec();
    message.resize(100_000, b'x');
    message.extend_from_slice(b"\nContent-Type: text/html; x=");
    message.resize(200_000, b'y');
    message.extend_from_slice(b"\n\nbody");
    let structure = Structure::parse(&message);
    check_cover(&structure, &message);
    assert_eq!(structure.root().media_type(), ("text", "html"));
    assert_eq!(structure.root().body().of(&message), b"body");
    for size in [1, 4096, 8191, 8192, 8193, 150_000] {
        assert_eq!(
            scan(&message, &[size], Limits::default()),
            structure,
            "{size}"
        );
    }
}

#[test]
fn a_type_that_is_not_kept_declares_nothing() {
    let part = "--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n";
    let message = format!(
        "Content-Type: multipart/mixed; boundary=a\n\n{}--a--\n",
        part.repeat(3)
    );
    for stored in 1..200 {
        let limits = Limits {
            stored,
            ..Limits::default()
        };
        let structure = Structure::parse_with(message.as_bytes(), limits);
        check_cover(&structure, message.as_bytes());
        for part in structure.parts() {
            let is_multipart = part.kind() == Kind::Multipart;
            assert_eq!(part.is("multipart", "*"), is_multipart, "{stored}");
        }
    }
}

#[test]
fn the_tree_and_the_parameter_name_one_boundary() {
    let message = b"Content-Type: multipart/mixed; boundary=a; boundary*0=\"b\"; boundary*1=c\n\n\
        --a\n\nx\n--bc\n\ny\n--bc--\n";
    assert_eq!(outline(message), ["multipart/mixed", "  text/plain y"]);
    let structure = Structure::parse(message);
    let declared = structure.root().content_type().unwrap();
    assert_eq!(declared.parameter("boundary").unwrap(), "bc");
}

#[test]
fn around_parts_no_encoding_counts() {
    let message = b"Content-Type: multipart/mixed; boundary=a\n\
        Content-Transfer-Encoding: base64\n\n--a\n\nYQ==\n--a--\n";
    let structure = Structure::parse(message);
    let root = structure.root();
    assert_eq!(root.encoding(), mime::Encoding::Binary);
    assert_eq!(*root.decoded(message), *root.body().of(message));
}
