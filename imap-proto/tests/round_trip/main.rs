//! Whatever the types can hold is parsed to the same from what it encodes to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod command;
mod response;
mod terms;

use bytes::{Buf, Bytes};
use imap_proto::*;
use proptest::collection::vec;
use proptest::prelude::*;

use self::command::body;
use self::response::{status, untagged};
use self::terms::tag;

fn dialect() -> impl Strategy<Value = Dialect> {
    let literals = vec![
        Literals::Server,
        Literals::Synchronizing,
        Literals::Minus,
        Literals::Plus,
    ];
    (any::<bool>(), prop::sample::select(literals))
        .prop_map(|(utf8, literals)| Dialect { utf8, literals })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn commands(tag in tag(), body in body(), dialect in dialect()) {
        let command = Command { tag, body };
        let octets = Bytes::from(command.to_vec(dialect));
        let parsed = Command::parse(&octets, dialect);
        prop_assert_eq!(parsed, Ok(command), "{}", octets.escape_ascii());
    }

    #[test]
    fn responses(data in untagged(), utf8 in any::<bool>()) {
        let dialect = Dialect { utf8, ..Dialect::SERVER };
        let response = Response::Untagged(data);
        let octets = Bytes::from(response.to_vec(dialect));
        let parsed = Response::parse(&octets, dialect);
        prop_assert_eq!(parsed, Ok(response), "{}", octets.escape_ascii());
    }

    #[test]
    fn tagged(tag in tag(), status in status()) {
        let response = Response::Tagged { tag, status };
        let octets = Bytes::from(response.to_vec(Dialect::SERVER));
        let parsed = Response::parse(&octets, Dialect::SERVER);
        prop_assert_eq!(parsed, Ok(response), "{}", octets.escape_ascii());
    }

    #[test]
    fn continued(text in "[ -~]{0,20}") {
        let response = Response::Continue(text.into());
        let octets = Bytes::from(response.to_vec(Dialect::SERVER));
        prop_assert_eq!(Response::parse(&octets, Dialect::SERVER), Ok(response));
    }

    /// A client hears what a server says, however it is cut.
    #[test]
    fn through_both(data in untagged(), piece in 1_usize..40) {
        let now = start();
        let mut server = Server::new(std::sync::Arc::default(), now);
        let mut client = Client::new(std::sync::Arc::default(), now);
        // What no server may send is refused, and nothing of it sent.
        if server.untagged(&data).is_err() {
            return Ok(());
        }
        let mut wire = bytes::BytesMut::new();
        let mut heard = Vec::new();
        while server.output().has_remaining() {
            let count = server.output().remaining().min(piece);
            wire.extend_from_slice(&server.output().copy_to_bytes(count));
            while let Step::Event(event) = client.poll(&mut wire, now).unwrap() {
                heard.push(event);
            }
        }
        prop_assert!(matches!(heard.first(), Some(ClientEvent::Greeting(_))));
        prop_assert_eq!(&heard[1..], &[ClientEvent::Untagged(data)]);
    }

    /// A server takes what a client encodes, however it is cut.
    #[test]
    fn through_the_server(body in body(), piece in 1_usize..40) {
        let command = Command { tag: Tag::new("t").unwrap(), body };
        let octets = command.to_vec(Dialect { utf8: false, literals: Literals::Plus });
        let now = start();
        let mut config = Config { login_without_tls: true, starttls: true, ..Config::default() };
        config.extensions = Extension::ALL.iter().copied().collect();
        let mut server = Server::new(std::sync::Arc::new(config), now);
        let mut input = bytes::BytesMut::from("a LOGIN u p\r\n");
        prop_assert!(matches!(server.poll(&mut input, now), Ok(Step::Event(_))));
        server.ok("in").unwrap();
        input.extend_from_slice(b"b SELECT INBOX\r\n");
        prop_assert!(matches!(server.poll(&mut input, now), Ok(Step::Event(_))));
        server.ok("in").unwrap();
        let mut seen = None;
        for part in octets.chunks(piece) {
            prop_assert!(seen.is_none());
            input.extend_from_slice(part);
            match server.poll(&mut input, now) {
                Ok(Step::NeedInput) => {}
                other => seen = Some(other),
            }
        }
        prop_assert!(input.is_empty());
        if let Some(Ok(Step::Event(Event::Command(got)))) = &seen {
            prop_assert_eq!(got, &command);
        }
    }

    #[test]
    fn garbage_never_panics(octets in vec(any::<u8>(), 0..60), words in "[a-zA-Z0-9 (){}\\[\\]\"<>.*%$\\\\,:~+-]{0,40}") {
        for text in [octets, words.clone().into_bytes(), format!("a {words}").into_bytes(), format!("* 1 FETCH ({words})").into_bytes()] {
            let text = Bytes::from(text);
            for utf8 in [false, true] {
                let dialect = Dialect { utf8, ..Dialect::SERVER };
                if let Ok(command) = Command::parse(&text, dialect) {
                    let again = Bytes::from(command.to_vec(dialect));
                    prop_assert_eq!(Command::parse(&again, dialect), Ok(command));
                }
                if let Ok(response) = Response::parse(&text, dialect) {
                    let again = Bytes::from(response.to_vec(dialect));
                    prop_assert!(Response::parse(&again, dialect).is_ok(), "{}", again.escape_ascii());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn urls(url in terms::url()) {
        let again = ImapUrl::parse(url.as_str());
        prop_assert_eq!(again.as_ref().map(ImapUrl::parts), Ok(url.parts()));
        prop_assert!(url.as_str().starts_with(url.rump()));
    }

    #[test]
    fn url_garbage(text in "\\PC{0,20}", path in "(imap://)?[a-z@:;=?/%.A-Z0-9]{0,40}") {
        for text in [text, path] {
            if let Ok(url) = ImapUrl::parse(&text) {
                let _ = url.resolve(&url);
            }
        }
    }
}

#[allow(clippy::disallowed_methods)]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}
