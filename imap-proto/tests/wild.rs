//! Forms that servers in the world are known to send, against the grammar.
//! None ends the connection, and an odd item of FETCH loses no other.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use imap_proto::{Client, ClientConfig, ClientEvent, Dialect, FetchItem, Response, Step, Untagged};

/// What a client makes of one response, whole and octet by octet; and that it
/// goes on behind it.
fn hear(response: &[u8]) -> ClientEvent {
    let hear = |piece: usize| {
        let now = Instant::now();
        let mut client = Client::new(Arc::new(ClientConfig::default()), now);
        let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1] hi\r\n");
        assert!(client.poll(&mut input, now).is_ok());
        let wire = [response, b"\r\n* 23 EXISTS\r\n"].concat();
        let mut events = Vec::new();
        for piece in wire.chunks(piece) {
            input.extend_from_slice(piece);
            loop {
                match client.poll(&mut input, now) {
                    Ok(Step::Event(event)) => events.push(event),
                    Ok(Step::NeedInput) => break,
                    other => panic!("{}: {other:?}", response.escape_ascii()),
                }
            }
        }
        let next = events.pop();
        assert_eq!(next, Some(ClientEvent::Untagged(Untagged::Exists(23))));
        assert_eq!(events.len(), 1, "{}: {events:?}", response.escape_ascii());
        events.remove(0)
    };
    let whole = hear(10_000);
    assert_eq!(hear(1), whole);
    whole
}

/// The names of the items that are understood, and of those that are kept as
/// they came.
fn items(items: &str) -> (Vec<String>, Vec<String>) {
    let event = hear(format!("* 7 FETCH ({items})").as_bytes());
    let ClientEvent::Untagged(Untagged::Fetch { items: all, .. }) = event else {
        panic!("{items}: {event:?}");
    };
    let (mut known, mut opaque) = (Vec::new(), Vec::new());
    for item in all {
        match item {
            FetchItem::Opaque { name, value } => {
                let text = String::from_utf8_lossy(&value).into_owned();
                assert!(items.contains(&*text), "{items}: {text}");
                opaque.push(name.to_string());
            }
            item => {
                let text = format!("{item:?}");
                let name = text.split(['(', ' ']).next();
                known.push(name.unwrap_or_default().to_owned());
            }
        }
    }
    (known, opaque)
}

/// Each with UID before and FLAGS behind it, which are always heard.
#[test]
fn odd_items() {
    for (item, name, is_known) in [
        // mail.ru: a parameter without value; NIL among addresses.
        (
            r#"BODYSTRUCTURE ((("text" "plain" ("charset" "utf-8") NIL NIL "8bit" 1721 0 NIL NIL NIL NIL)("text" "html" ("charset" "utf-8") NIL NIL "8bit" 31289 0 NIL NIL NIL NIL) "alternative" ("boundary" NIL))("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 9 NIL NIL NIL NIL) "mixed" ("boundary" NIL))"#,
            "BodyStructure",
            true,
        ),
        (
            r#"ENVELOPE ("d" "s" (NIL) NIL NIL ((NIL NIL "a" "b")) NIL NIL NIL "<i>")"#,
            "ENVELOPE",
            false,
        ),
        // Proton Bridge: octets beyond ASCII in quoted strings, empty lists.
        (
            "ENVELOPE (\"d\" \"Test\" ((\"Clément\" NIL \"c\" \"h\")) () () ((\"Wrȯng\" NIL \"to\" \"h\")) () () \"\" \"<i>\")",
            "Envelope",
            true,
        ),
        // A bridge: more or fewer fields than ten.
        (
            r#"ENVELOPE ("d" "s" ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL NIL "<i>")"#,
            "ENVELOPE",
            false,
        ),
        (
            r#"ENVELOPE ("d" "s" NIL NIL NIL NIL NIL NIL "<i>")"#,
            "ENVELOPE",
            false,
        ),
        // iCloud: quotes in a Message-ID, which nobody escaped.
        (
            r#"ENVELOPE ("d" "s" NIL NIL NIL NIL NIL NIL NIL "<"a.b"@h>")"#,
            "ENVELOPE",
            false,
        ),
        ("ENVELOPE NIL", "ENVELOPE", false),
        ("ENVELOPE ()", "ENVELOPE", false),
        // 163.com and others: quotes that nobody escaped.
        (
            r#"BODY (("text" "html" ("charset" "UTF-8") NIL NIL "quoted-printable" 1224 16)("application" "octet-stream" ("name" "1.pdf") NIL """" "base64" 65322) "MIXED")"#,
            "BODY",
            false,
        ),
        // Exchange: a description or a word for the disposition.
        (
            r#"BODYSTRUCTURE (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("application" "octet-stream" ("name" "x") NIL NIL "base64" 171724 NIL ("attachment" ("filename" "x")) NIL NIL) "mixed" ("boundary" "b") "S/MIME Encrypted Message" NIL)"#,
            "BodyStructure",
            true,
        ),
        (
            r#"BODYSTRUCTURE ("text" "plain" ("charset" "ISO-8859-1") NIL NIL "QUOTED-PRINTABLE" 850 31 NIL "inline" NIL NIL)"#,
            "BodyStructure",
            true,
        ),
        // Gmail: a part without type.
        (
            r#"BODYSTRUCTURE (("TEXT" "PLAIN" NIL NIL NIL "BASE64" 1 1 NIL NIL NIL)("RELATED" NIL ("ATTACHMENT" NIL) NIL) "MIXED" ("BOUNDARY" "b") NIL NIL)"#,
            "BODYSTRUCTURE",
            false,
        ),
        // A multipart without parts, by type or by NIL.
        (
            r#"BODYSTRUCTURE ("message" "rfc822" NIL NIL NIL "7bit" 903 ("d" "s" NIL NIL NIL NIL NIL NIL NIL NIL) (NIL "alternative" ("boundary" "b") NIL NIL NIL) 17 NIL NIL NIL NIL)"#,
            "BODYSTRUCTURE",
            false,
        ),
        (
            r#"BODYSTRUCTURE ("mixed" ("boundary" "b") NIL NIL)"#,
            "BODYSTRUCTURE",
            false,
        ),
        ("BODYSTRUCTURE NIL", "BODYSTRUCTURE", false),
        ("BODYSTRUCTURE ()", "BODYSTRUCTURE", false),
        // Yandex: a size that is missing.
        (
            r#"BODYSTRUCTURE ("text" "plain" ("charset" "utf-8") NIL NIL "8bit")"#,
            "BODYSTRUCTURE",
            false,
        ),
        // Galaxy Tab's mail: alternatives within alternatives, well formed.
        (
            r#"BODYSTRUCTURE ((("TEXT" "PLAIN" ("CHARSET" "UTF-8") NIL NIL "base64" 5374 125 NIL NIL NIL)("IMAGE" "PNG" ("NAME" "I.PNG") "_c@d" "i.png" "base64" 14824 NIL ("INLINE" ("FILENAME" "i.png" "size" "10831")) NIL) "RELATED" ("BOUNDARY" "1") NIL NIL) "ALTERNATIVE" ("boundary" "2") NIL NIL)"#,
            "BodyStructure",
            true,
        ),
        // Attributes of Gmail.
        (
            r#"X-GM-LABELS ("\\Inbox" "\\Sent" foo "a b")"#,
            "X-GM-LABELS",
            false,
        ),
        ("X-GM-MSGID 1563491715126921418", "X-GM-MSGID", false),
        // Gmail: keywords with spaces and brackets.
        (r"FLAGS (\Seen OIB-Seen-[Gmail]/All Mail)", "FLAGS", false),
        // InterMail: quoted flags.
        (r#"FLAGS ("\\Deleted" \Seen)"#, "FLAGS", false),
        // Dates that are none, sizes and numbers that are none.
        (
            r#"INTERNALDATE "00-Jan-0000 00:00:00 +0000""#,
            "INTERNALDATE",
            false,
        ),
        ("INTERNALDATE NIL", "INTERNALDATE", false),
        (r#"INTERNALDATE """#, "INTERNALDATE", false),
        ("RFC822.SIZE NIL", "RFC822.SIZE", false),
        ("RFC822.SIZE -1", "RFC822.SIZE", false),
        ("RFC822.SIZE 4294967296", "Rfc822Size", true),
        ("MODSEQ (0)", "MODSEQ", false),
        ("UID 0", "UID", false),
        // Outlook.com: parts that are not there, or empty.
        ("BODY[1.2] NIL", "Section", true),
        (r#"BODY[1.2] """#, "Section", true),
        ("BODY[TEXT] {0}\r\n", "Section", true),
        // Names of header fields in quotes, or in another case.
        (
            "BODY[HEADER.FIELDS (\"From\" \"To\")] {2}\r\n\r\n",
            "Section",
            true,
        ),
        ("BODY[header.fields (from)]<0> {2}\r\n\r\n", "Section", true),
        ("BINARY[1] ~{3}\r\na\0b", "Binary", true),
    ] {
        let (known, opaque) = items(&format!("UID 9 {item} FLAGS (\\Answered)"));
        let mut expected = vec!["Uid", "Flags"];
        if is_known {
            expected.insert(1, name);
            assert!(opaque.is_empty(), "{item}: {opaque:?}");
        } else {
            assert_eq!(opaque, [name], "{item}");
        }
        assert_eq!(known, expected, "{item}");
        assert_eq!(streamed(item), expected.len() + opaque.len() - 1, "{item}");
    }
}

/// How many items stand before a content that is streamed behind an odd one.
fn streamed(item: &str) -> usize {
    let now = Instant::now();
    let config = ClientConfig {
        inline: 5,
        ..ClientConfig::default()
    };
    let mut client = Client::new(Arc::new(config), now);
    let text = format!(
        "* OK [CAPABILITY IMAP4rev1] hi\r\n* 7 FETCH (UID 9 {item} BODY[] {{6}}\r\nabcdef)\r\n"
    );
    let mut input = BytesMut::from(&*text);
    assert!(client.poll(&mut input, now).is_ok());
    match client.poll(&mut input, now) {
        Ok(Step::Event(ClientEvent::PayloadStart { items, .. })) => items.len(),
        other => panic!("{item}: {other:?}"),
    }
}

/// imap.qq.com, SurgeMail and others: spaces where none belong.
#[test]
fn spaces_to_spare() {
    for (odd, plain) in [
        ("* 7 FETCH (UID 19436 )", "* 7 FETCH (UID 19436)"),
        ("* 7 FETCH ( UID 19436)", "* 7 FETCH (UID 19436)"),
        ("* 7 FETCH (UID 5  FLAGS ())", "* 7 FETCH (UID 5 FLAGS ())"),
        (
            "* 7 FETCH (FLAGS (\\Seen ) UID 5)",
            "* 7 FETCH (FLAGS (\\Seen) UID 5)",
        ),
        ("* 7 FETCH (FLAGS ( ) UID 5)", "* 7 FETCH (FLAGS () UID 5)"),
        ("* 7 FETCH (UID 5) ", "* 7 FETCH (UID 5)"),
        (
            "* FLAGS (\\Seen $Forwarded )",
            "* FLAGS (\\Seen $Forwarded)",
        ),
        (
            "* OK [PERMANENTFLAGS (\\Seen $Forwarded )] Limited",
            "* OK [PERMANENTFLAGS (\\Seen $Forwarded)] Limited",
        ),
        (
            "* LIST (\\HasNoChildren ) \"/\" a",
            "* LIST (\\HasNoChildren) \"/\" a",
        ),
        ("* LIST () \"/\" a ", "* LIST () \"/\" a"),
        ("* STATUS a (MESSAGES 1 )", "* STATUS a (MESSAGES 1)"),
        ("* STATUS a (MESSAGES 1) ", "* STATUS a (MESSAGES 1)"),
        ("* SEARCH ", "* SEARCH"),
        ("* SEARCH 1 2 ", "* SEARCH 1 2"),
        ("* SORT 2 1 ", "* SORT 2 1"),
        (
            "* CAPABILITY IMAP4rev1  IDLE ",
            "* CAPABILITY IMAP4rev1 IDLE",
        ),
        ("* 22 EXISTS ", "* 22 EXISTS"),
        ("* 1 RECENT ", "* 1 RECENT"),
        ("* 3 EXPUNGE ", "* 3 EXPUNGE"),
        (
            "* NAMESPACE ((\"INBOX.\" \".\")) NIL  NIL",
            "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL",
        ),
        (
            "* QUOTA \"\" (STORAGE 10 512 )",
            "* QUOTA \"\" (STORAGE 10 512)",
        ),
        ("* QUOTAROOT INBOX \"\" ", "* QUOTAROOT INBOX \"\""),
    ] {
        assert_eq!(hear(odd.as_bytes()), hear(plain.as_bytes()), "{odd}");
        let plain = hear(plain.as_bytes());
        assert!(matches!(plain, ClientEvent::Untagged(_)), "{plain:?}");
    }
}

/// What is no response of the grammar comes as it was sent.
#[test]
fn kept_as_they_came() {
    for odd in [
        // Courier counted from 0.
        &b"* 0 FETCH (UID 16334 FLAGS ())"[..],
        // GreenMail, InterMail, Gmail.
        b"* FLAGS (\\Answered \\Flagged \\*)",
        b"* FLAGS (\"\\\\Deleted\" \\Answered)",
        b"* FLAGS (\\Seen OIB-Seen-[Gmail]/All Mail)",
        b"* 1 FETCH",
        b"* 1 FETCH UID 5",
        b"* 1 FETCH (UID 5",
        b"* 1 FETCH (UID 5))",
        b"* 1 FETCH (BODY[] {3}\r\nabc",
        b"* 1 FETCH (\"UID\" 5)",
        b"* LIST",
        b"* LIST (\\HasNoChildren) \"/\"",
        b"* VANISHED (EARLIER)",
        b"* SEARCH 1 x",
        b"* ESEARCH (TAG \"A1\" UID ALL 1",
        b"* STATUS INBOX",
        b"* ",
        b"* 99999999999 EXISTS",
        b"* -1 EXISTS",
    ] {
        match hear(odd) {
            ClientEvent::Unparsed { octets, .. } => assert_eq!(octets, odd),
            ClientEvent::Untagged(Untagged::Other(octets)) => {
                assert!(odd.ends_with(&octets), "{}", odd.escape_ascii());
            }
            other => panic!("{}: {other:?}", odd.escape_ascii()),
        }
    }
}

/// Odd, and understood all the same.
#[test]
fn understood() {
    for (odd, plain) in [
        // Texts that are missing, or not of UTF-8.
        (&b"* OK"[..], "* OK ."),
        (b"* OK [UIDNEXT 5]", "* OK [UIDNEXT 5] ."),
        (b"* NO caf\xE9", "* NO caf?"),
        // Codes without their argument, or that nobody knows.
        (b"* OK [UNSEEN] first", "* OK [UNSEEN] first"),
        (b"* OK [UIDVALIDITY] x", "* OK [UIDVALIDITY] x"),
        (b"* OK [XCODE a (b] c) d", "* OK [XCODE a (b] c) d"),
        (b"* OK [ALERT", "* OK (ALERT"),
        // A mailbox in UTF-8 that nobody enabled.
        (
            "* LIST () \"/\" \"Entwürfe\"".as_bytes(),
            "* LIST () \"/\" Entw&APw-rfe",
        ),
        // Domino: a backslash between levels.
        (
            b"* NAMESPACE ((\"\" \"\\\\\")) ((\"Other\\\\\" \"\\\\\")) NIL",
            "* NAMESPACE ((\"\" \"\\\\\")) ((\"Other\\\\\" \"\\\\\")) NIL",
        ),
        (b"* LIST () \"\\\\\" a", "* LIST () \"\\\\\" a"),
        (b"* LIST () NIL a", "* LIST () NIL a"),
        // Any case.
        (b"* ok [uidnext 5] x", "* OK [UIDNEXT 5] x"),
        (
            b"* 1 fetch (uid 5 flags (\\SEEN))",
            "* 1 FETCH (UID 5 FLAGS (\\Seen))",
        ),
        (b"* list () \"/\" inbox", "* LIST () \"/\" INBOX"),
        (b"* 1 FETCH ()", "* 1 FETCH ()"),
    ] {
        let event = hear(odd);
        let ClientEvent::Untagged(data) = event else {
            panic!("{}: {event:?}", odd.escape_ascii());
        };
        let line = Response::Untagged(data).to_vec(Dialect::SERVER);
        assert_eq!(String::from_utf8(line).unwrap(), format!("{plain}\r\n"));
    }
}

/// A challenge without its space, as Proton Bridge sends it.
#[test]
fn bare_continuation() {
    let now = Instant::now();
    let mut client = Client::new(Arc::new(ClientConfig::default()), now);
    let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1] hi\r\n");
    assert!(client.poll(&mut input, now).is_ok());
    client.authenticate("PLAIN", None).unwrap();
    input.extend_from_slice(b"+\r\n");
    let step = client.poll(&mut input, now);
    assert!(
        matches!(&step, Ok(Step::Event(ClientEvent::Challenge(data))) if data.expose().is_empty()),
        "{step:?}"
    );
}
