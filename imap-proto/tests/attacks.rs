//! Attacks on both machines, and on what a session holds.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    Client, ClientConfig, ClientEvent, CommandBody, Config, Error, Event, Extension, NumberSet,
    QResync, Response, Resync, Server, State, Step, Untagged, View, ViewOptions,
};

/// A server that offers everything, and what it heard and said.
struct Host {
    server: Server,
    input: BytesMut,
    now: Instant,
    heard: Vec<String>,
}

impl Host {
    fn new(without: &[Extension]) -> Self {
        let now = Instant::now();
        let mut config = Config {
            login_without_tls: true,
            mechanisms_without_tls: vec!["PLAIN".into()],
            ..Config::default()
        };
        config.extensions = Extension::ALL.iter().copied().collect();
        without
            .iter()
            .for_each(|one| config.extensions.remove(*one));
        let mut host = Self {
            server: Server::new(Arc::new(config), now),
            input: BytesMut::new(),
            now,
            heard: Vec::new(),
        };
        host.said();
        host
    }

    fn selected() -> Self {
        let mut host = Self::new(&[]);
        host.hear(b"0 LOGIN u p\r\n1 SELECT INBOX\r\n");
        host.heard.clear();
        host.said();
        host
    }

    fn said(&mut self) -> String {
        let output = self.server.output();
        let octets = output.copy_to_bytes(output.remaining());
        String::from_utf8(octets.to_vec()).unwrap()
    }

    fn hear(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            let event = match self.server.poll(&mut self.input, self.now) {
                Ok(Step::Event(event)) => event,
                Ok(Step::NeedInput | Step::Closed) | Err(_) => return,
                other => panic!("{other:?}"),
            };
            let shown = match &event {
                Event::Command(command) => {
                    self.server.ok("done").unwrap();
                    {
                        let body = format!("{:?}", command.body);
                        let name = body.split(|one: char| !one.is_alphanumeric()).next();
                        format!("{} {}", command.tag.as_str(), name.unwrap_or_default())
                    }
                }
                Event::Authenticate { .. } => {
                    self.server.challenge(b"").unwrap();
                    "Authenticate".into()
                }
                Event::AuthData(_) => {
                    self.server.no("no").unwrap();
                    "AuthData".into()
                }
                Event::PayloadStart(_) | Event::PayloadPart(_) => {
                    self.server.accept_payload().unwrap();
                    continue;
                }
                Event::Payload(_) => continue,
                Event::PayloadEnd { last } => {
                    if *last {
                        self.server.ok("stored").unwrap();
                    }
                    "PayloadEnd".into()
                }
                Event::IdleDone => {
                    self.server.ok("idled").unwrap();
                    "IdleDone".into()
                }
                Event::Rejected(rejected) => format!("Rejected {}", rejected.rejection),
                other => format!("{other:?}"),
            };
            self.heard.push(shown);
        }
    }
}

/// A command for DONE, or in a SASL exchange: its literal is no command,
/// whatever is in it, and the rest behind the literal is none, either.
#[test]
fn literals_of_what_is_no_command() {
    let smuggled =
        b"b APPEND INBOX {12+}\r\nx DELETE y\r\n (\\Seen) {10+}\r\nz LOGOUT\r\n\r\nc NOOP\r\n";
    for (before, refused, login) in [
        (&b"a IDLE\r\n"[..], "Rejected expected DONE", true),
        (b"a AUTHENTICATE PLAIN\r\n", "AuthCancelled", false),
    ] {
        for piece in [1, 2, 3, 7, 1000] {
            let mut host = if login {
                Host::selected()
            } else {
                Host::new(&[])
            };
            for octets in [before, smuggled].concat().chunks(piece) {
                host.hear(octets);
            }
            assert_eq!(host.heard[1..], [refused, "c Noop"], "in pieces of {piece}");
            let said = host.said();
            assert!(said.ends_with("c OK done\r\n"), "{said}");
            assert_eq!(said.matches("a BAD").count(), 1, "{said}");
        }
    }
    // Too large to be skipped.
    let mut host = Host::selected();
    host.hear(b"a IDLE\r\nb APPEND INBOX {99999999999999999999+}\r\nx DELETE y\r\n");
    assert_eq!(host.heard, ["Idle"]);
    assert!(
        host.said()
            .ends_with("* BYE [TOOBIG] Literal too large\r\n")
    );
    assert_eq!(host.server.state(), State::Logout);
}

/// A long front and a literal after the other behind it, each waiting for `+`:
/// the front is not read again at each. A search is judged when it is whole;
/// an APPEND, whose message has to be told from its URLs, is refused.
#[test]
fn many_literals_behind_a_long_front() {
    let hears = |front: &str, between: &str| {
        let mut host = Host::selected();
        host.hear(format!("a {front} {{1}}\r\n").as_bytes());
        let mut went = 0;
        while went < 50 && host.said() == "+ OK\r\n" {
            went += 1;
            host.hear(format!("x {between} {{1}}\r\n").as_bytes());
        }
        host.said();
        host.hear(b"x\r\n");
        (went, host.heard)
    };
    let long = "x".repeat(60_000);
    let (went, heard) = hears(&format!("APPEND INBOX CATENATE (URL {long} URL"), "URL");
    assert!((2..10).contains(&went), "{went}");
    assert_eq!(heard[0], "Rejected too many literals");
    assert_eq!(hears("APPEND INBOX CATENATE (URL x URL", "URL").0, 50);
    let (went, heard) = hears(&format!("SEARCH FROM {long} TO"), "SUBJECT");
    assert_eq!((went, heard), (50, vec!["a Search".to_owned()]));
    // What is wrong in front is told at the first all the same.
    assert_eq!(hears(&format!("SEARCH FROM {long} KEYWORD"), "TO").0, 0);
}

/// Literals of every kind, in good commands and in garbage, cut in two at each
/// octet: the same is heard and said, and the next command is found.
#[test]
fn literals_cut_at_each_octet() {
    for wire in [
        &b"a LOGIN {4+}\r\n\r\nx {2+}\r\n}\r p\r\n"[..],
        b"a LOGIN {1}\r\nu {1}\r\np\r\n",
        b"a LOGIN {3+}\r\nu\0v {1+}\r\np\r\n",
        b"a FOO {5+}\r\nb NO\n (\"{3+}\r\nc N {0+}\r\n)\r\n",
        b"a \"{3+}\r\nb {\r\n",
        b"a {3+}\r\n\r\n\r\r\n",
        b"a LOGIN \"u {3+}\r\nx NOOP\r\n",
        b"a LOGIN ~{3+}\r\nu\0v p\r\n",
        b"{3+}\r\nabc\r\n",
        b"a LOGIN {4097+}\r\n",
        b"\0 LOGIN {3+}\r\nu\0v\0p\r\n",
        b"\r\n\n\r\r\n{0+}\r\n\r\n",
    ] {
        for without in [
            &[][..],
            &[Extension::LiteralPlus],
            &[
                Extension::LiteralPlus,
                Extension::LiteralMinus,
                Extension::Imap4Rev2,
            ],
        ] {
            let wire = match wire.ends_with(b"{4097+}\r\n") {
                true => [wire, &[b'x'; 4097][..], b" p\r\n"].concat(),
                false => wire.to_vec(),
            };
            let mut whole = Host::new(without);
            whole.hear(&wire);
            whole.hear(b"next NOOP\r\n");
            let said = whole.said();
            let last = whole.heard.last().map(String::as_str);
            assert_eq!(last, Some("next Noop"), "{}", wire.escape_ascii());
            let step = if wire.len() > 1000 { 97 } else { 1 };
            for at in (0..wire.len()).step_by(step) {
                let mut cut = Host::new(without);
                cut.hear(&wire[..at]);
                cut.hear(&wire[at..]);
                cut.hear(b"next NOOP\r\n");
                assert_eq!(cut.heard, whole.heard, "{} at {at}", wire.escape_ascii());
                assert_eq!(cut.said(), said, "{} at {at}", wire.escape_ascii());
            }
        }
    }
}

/// What a client sends behind COMPRESS is not read as commands: it is the
/// host's, to be inflated.
#[test]
fn nothing_is_read_behind_compress() {
    let mut host = Host::selected();
    host.input
        .extend_from_slice(b"a COMPRESS DEFLATE\r\nb DELETE x\r\n");
    let step = host.server.poll(&mut host.input, host.now);
    assert!(matches!(step, Ok(Step::Event(Event::Command(_)))));
    let step = host.server.poll(&mut host.input, host.now);
    assert_eq!(step, Ok(Step::NeedAnswer));
    assert_eq!(host.input, "b DELETE x\r\n");
    // What was pipelined before it is.
    let mut host = Host::selected();
    host.hear(b"a NOOP\r\nb COMPRESS DEFLATE\r\n");
    assert_eq!(host.heard, ["a Noop", "b Compress"]);
}

/// RFC 8437 §3: nothing of the old user's session is left.
#[test]
fn unauthenticate_forgets_all() {
    let mut host = Host::new(&[]);
    host.hear(
        b"a LOGIN u p\r\nb ENABLE QRESYNC UIDONLY UTF8=ACCEPT\r\nc SELECT x\r\nd LANGUAGE de\r\n",
    );
    for extension in [Extension::QResync, Extension::UidOnly, Extension::CondStore] {
        assert!(host.server.is_enabled(extension));
    }
    host.hear(b"e FETCH 1 FLAGS\r\nf UNAUTHENTICATE\r\ng FETCH 1 FLAGS\r\n");
    assert_eq!(
        host.heard[3..],
        [
            "Rejected UIDs are required",
            "f Unauthenticate",
            "Rejected not allowed before authentication",
        ]
    );
    assert_eq!(host.server.state(), State::NotAuthenticated);
    for extension in [Extension::QResync, Extension::UidOnly, Extension::CondStore] {
        assert!(!host.server.is_enabled(extension));
    }
    host.hear(b"h LOGIN v p\r\ni FETCH $ FLAGS\r\nj SELECT x (QRESYNC (1 1))\r\nk SELECT x\r\nl FETCH 1 FLAGS\r\n");
    assert_eq!(
        host.heard[6..],
        [
            "h Login",
            "Rejected not allowed without a selected mailbox",
            "Rejected not allowed before ENABLE QRESYNC",
            "k Select",
            "l Fetch",
        ]
    );
    // Names are modified UTF-7 again.
    host.said();
    let list = imap_proto::MailboxList::new(imap_proto::Mailbox::new("ü").unwrap(), None);
    host.server.untagged(&Untagged::List(list)).unwrap();
    assert!(host.said().contains("&APw-"));
    // And whoever does not log in again has no more time than at first.
    host.hear(b"m UNAUTHENTICATE\r\n");
    assert!(host.server.poll_timeout().is_some());
}

/// RFC 9586 §3: whatever names sequence numbers is refused, and only that.
#[test]
fn uid_only() {
    let mut host = Host::new(&[]);
    host.hear(b"a LOGIN u p\r\nb ENABLE QRESYNC UIDONLY\r\nc SELECT x\r\n");
    for (command, allowed) in [
        ("FETCH 1 FLAGS", false),
        ("FETCH $ FLAGS", false),
        ("UID FETCH 1:* (UID FLAGS)", true),
        ("UID FETCH $ FLAGS", true),
        ("STORE 1 FLAGS ()", false),
        ("UID STORE 1 FLAGS ()", true),
        ("STORE 1 ANNOTATION (/comment (value.priv NIL))", false),
        ("COPY 1 y", false),
        ("UID COPY 1 y", true),
        ("MOVE 1 y", false),
        ("UID MOVE 1 y", true),
        ("SEARCH ALL", false),
        ("SEARCH RETURN (SAVE) ALL", false),
        ("UID SEARCH ALL", true),
        ("UID SEARCH 1:2", false),
        ("UID SEARCH NOT OR SEEN (DRAFT 1)", false),
        ("UID SEARCH FUZZY 1", false),
        ("UID SEARCH UID 1:2", true),
        ("UID SEARCH $", true),
        ("SORT (DATE) UTF-8 ALL", false),
        ("UID SORT (DATE) UTF-8 1", false),
        ("UID SORT (DATE) UTF-8 SEEN", true),
        ("THREAD REFS UTF-8 ALL", false),
        ("UID THREAD REFS UTF-8 1:*", false),
        ("UID THREAD REFS UTF-8 SEEN", true),
        ("ESEARCH IN (personal) 1:5", false),
        ("ESEARCH IN (personal) SEEN", true),
        ("SELECT x (QRESYNC (7 20))", true),
        ("SELECT x (QRESYNC (7 20 1:9))", true),
        ("SELECT x (QRESYNC (7 20 1:9 (1,2 3,4)))", false),
        ("EXPUNGE", true),
        ("UID EXPUNGE 1", true),
        ("NOOP", true),
        ("CLOSE", true),
    ] {
        host.heard.clear();
        host.hear(format!("z {command}\r\n").as_bytes());
        let refused = host.heard == ["Rejected UIDs are required"];
        assert_eq!(refused, !allowed, "{command}: {:?}", host.heard);
        let said = host.said();
        assert_eq!(said.contains("z BAD [UIDREQUIRED] "), refused, "{said}");
        if command.starts_with("SELECT") && refused {
            host.hear(b"y SELECT x\r\n");
        }
    }
    // REPLACE is refused before its literal is read.
    host.hear(b"c SELECT x\r\n");
    host.heard.clear();
    host.hear(b"z REPLACE 4 x {3+}\r\nabc\r\ny UID REPLACE 4 x {3+}\r\nabc\r\n");
    assert_eq!(host.heard, ["Rejected UIDs are required", "PayloadEnd"]);
}

/// Sets that name four thousand million UIDs cost what the mailbox is.
#[test]
fn known_uids_without_end() {
    let nz = |number| NonZeroU32::new(number).unwrap();
    let count = 300_000;
    let everything = || {
        let mut all = NumberSet::default();
        all.insert_range(nz(1), nz(u32::MAX));
        all
    };
    // Each second is gone.
    let view = View::new((1..=count).map(|one| nz(one * 2)), ViewOptions::default());
    let mut known = QResync {
        uid_validity: nz(7),
        mod_seq: 5,
        known_uids: Some(everything()),
        sequence_match: Some((everything(), everything())),
    };
    let mut since = Resync {
        uid_next: nz(u32::MAX),
        vanished: None,
        changed: everything(),
    };
    // Only what there is, is told as changed.
    since.changed = (1..=count).map(|one| nz(one * 2)).collect();
    let answer = view.resync(&known, nz(7), since.clone());
    let Some(Untagged::Vanished { uids, .. }) = answer.vanished else {
        panic!("nothing gone");
    };
    assert_eq!(uids.ranges().len(), count as usize + 1);
    assert_eq!(answer.changed.iter().count(), count as usize);
    known.known_uids = None;
    since.vanished = Some(everything());
    let answer = view.resync(&known, nz(7), since);
    assert!(answer.vanished.is_some());
    assert!(view.vanished_earlier(&everything(), None).is_some());
    assert!(
        view.vanished_earlier(&everything(), Some(&everything()))
            .is_some()
    );
    let all = imap_proto::SequenceSet::from_text("1:4294967295,*,4294967295:1").unwrap();
    assert_eq!(view.resolve(&all, true).unwrap().len(), count as usize);
    assert!(view.resolve(&all, false).is_err());
}

/// Tags of a mebibyte, on both sides.
#[test]
fn endless_tags() {
    let tag = vec![b'a'; 1024 * 1024];
    let mut host = Host::selected();
    for piece in tag.chunks(1000) {
        host.hear(piece);
        assert!(host.input.len() <= 70_000, "{}", host.input.len());
    }
    host.hear(b" NOOP\r\nb NOOP\r\n");
    assert_eq!(host.heard, ["Rejected line too long", "b Noop"]);
    assert_eq!(host.said(), "* BAD line too long\r\nb OK done\r\n");
    let (mut client, mut input, now) = peer();
    client.command(CommandBody::Noop).unwrap();
    input.extend_from_slice(&tag);
    input.extend_from_slice(b" OK done\r\n");
    let step = client.poll(&mut input, now);
    assert!(matches!(step, Err(Error::PeerMisbehaved(_))), "{step:?}");
}

fn peer() -> (Client, BytesMut, Instant) {
    let now = Instant::now();
    let mut client = Client::new(Arc::new(ClientConfig::default()), now);
    let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1] hi\r\n");
    assert!(client.poll(&mut input, now).is_ok());
    (client, input, now)
}

/// A server that never stops: each response is given out, and none is kept.
#[test]
fn untagged_data_without_end() {
    let (mut client, mut input, now) = peer();
    let responses =
        "* 1 EXISTS\r\n* CAPABILITY IMAP4rev1\r\n* OK x\r\n* X y\r\n* 1 FETCH (UID 1)\r\n";
    let responses = responses.repeat(100);
    let mut count = 0;
    for _ in 0..200 {
        input.extend_from_slice(responses.as_bytes());
        while let Step::Event(_) = client.poll(&mut input, now).unwrap() {
            count += 1;
        }
        assert!(input.is_empty());
        assert!(!client.output().has_remaining());
    }
    assert_eq!(count, 200 * 500);
    assert_eq!(client.capabilities().len(), 1);
}

/// Lists of elements that take more memory than octets: each kind is bounded.
#[test]
fn small_elements_without_end() {
    let (mut client, mut input, now) = peer();
    for (front, element, end) in [
        ("* CAPABILITY", " a", ""),
        ("* ENABLED", " a", ""),
        ("* FLAGS (a", " a", ")"),
        ("* LIST (\\a", " \\a", ") \"/\" x"),
        ("* LIST () \"/\" x (a (b)", " a (b)", ")"),
        ("* STATUS x (MESSAGES 1", " MESSAGES 1", ")"),
        ("* ESEARCH", " COUNT 1", ""),
        ("* ESEARCH", " ADDTO (1 1)", ""),
        ("* ESEARCH ADDTO (1 1", " 1 1", ")"),
        ("* ESEARCH", " X 1", ""),
        ("* NAMESPACE ((\"\" NIL)", "(\"\" NIL)", ") NIL NIL"),
        ("* QUOTA \"\" (A 1 1", " A 1 1", ")"),
        ("* QUOTAROOT x", " a", ""),
        ("* ACL x", " a r", ""),
        ("* LISTRIGHTS x a r", " r", ""),
        ("* METADATA x /a", " /a", ""),
        ("* METADATA x (/a NIL", " /a NIL", ")"),
        ("* ID (\"a\" NIL", " \"a\" NIL", ")"),
        ("* URLFETCH", " a NIL", ""),
        ("* GENURLAUTH", " a", ""),
        ("* LANGUAGE (a", " a", ")"),
        ("* COMPARATOR a (a", " a", ")"),
        ("* 1 FETCH (UID 1", " UID 1", ")"),
        ("* 1 FETCH (ANNOTATION (/a (b NIL)", " /a (b NIL)", "))"),
    ] {
        let text = format!("{front}{}{end}\r\n", element.repeat(101_000));
        input.extend_from_slice(text.as_bytes());
        match client.poll(&mut input, now) {
            Ok(Step::Event(ClientEvent::Unparsed { error, .. })) => {
                assert_eq!(error.kind, imap_proto::ParseErrorKind::Count, "{front}");
            }
            Ok(Step::Event(ClientEvent::Untagged(Untagged::Fetch { items, .. }))) => {
                assert!(matches!(items[..], [imap_proto::FetchItem::Opaque { .. }]));
            }
            other => panic!("{front}: {:.200}", format!("{other:?}")),
        }
        assert!(input.is_empty());
    }
    // A code of too many is text.
    for code in [
        "CAPABILITY a",
        "REFERRAL imap://a/",
        "URLMECH a",
        "BADCHARSET (a",
    ] {
        let text = format!("* OK [{code}{}] x\r\n", &" a".repeat(101_000));
        let octets = Bytes::from(text);
        let response = Response::parse(&octets, imap_proto::Dialect::SERVER);
        match response {
            Ok(Response::Untagged(Untagged::Status(status))) => match status.code {
                None | Some(imap_proto::Code::Other { .. }) => {}
                Some(code) => panic!("{:.100}", format!("{code:?}")),
            },
            other => panic!("{other:?}"),
        }
    }
}
