//! The examples of the RFCs, a file for each: what a client (`C:`) or a server
//! (`S:`) says is parsed, and encoded to the same, or to what `=:` says. The
//! line ends and NUL of literals are written `\r\n` and `\0`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::path::Path;

use bytes::Bytes;
use imap_proto::{Command, Dialect, Response, Untagged};

#[test]
fn parse_and_encode() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let (side, example) = line.split_once(": ").unwrap();
            let other = lines.next_if(|(_, next)| next.starts_with("=: "));
            let expected = other.map_or(example, |(_, other)| other.split_at(3).1);
            let place = format!("{}:{}", path.display(), number + 1);
            let encoded = encode(side, example, &place);
            assert_eq!(encoded, expected, "{place}");
            // What was encoded is the same again.
            assert_eq!(encode(side, &encoded, &place), encoded, "{place}");
            count += 1;
        }
    }
    assert!(count > 1000, "{count} examples");
}

fn encode(side: &str, example: &str, place: &str) -> String {
    let example = example.replace("\\r\\n", "\r\n").replace("\\0", "\0");
    let octets = Bytes::from(example + "\r\n");
    let encoded = match side {
        "C" => match Command::parse(&octets, Dialect::SERVER) {
            Ok(command) => command.to_vec(Dialect::SERVER),
            Err(error) => panic!("{place}: {error}"),
        },
        "S" => match Response::parse(&octets, Dialect::SERVER) {
            Ok(Response::Untagged(Untagged::Other(raw))) if !raw.starts_with(b"X") => {
                panic!("{place}: not understood")
            }
            Ok(response) => response.to_vec(Dialect::SERVER),
            Err(error) => panic!("{place}: {error}"),
        },
        other => panic!("{place}: {other}"),
    };
    let line = String::from_utf8(encoded).unwrap();
    let line = line.strip_suffix("\r\n").unwrap();
    line.replace("\r\n", "\\r\\n").replace('\0', "\\0")
}
