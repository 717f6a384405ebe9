//! The examples of the RFCs, a file for each; `transcripts/examples/README.md`
//! tells how they are written, and which lines of the RFCs are not among them.
//!
//! Each is parsed and encoded again, and goes through both machines: whole,
//! octet by octet, and cut at random.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

mod append;
mod client;
mod server;

use std::fmt::Debug;
use std::path::Path;

use bytes::Bytes;
use imap_proto::{Command, Dialect, Response, Untagged};
use proto_core::transcript::unescape;

/// Ways to cut what comes over the wire: whole, octet by octet, at random.
pub const CUTS: std::ops::Range<u64> = 0..6;

pub type Outcome = Result<(), String>;

#[test]
fn parsed_encoded_and_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/examples");
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let (side, example) = line.split_at(3);
            let other = lines.next_if(|(_, next)| next.starts_with("=: "));
            let expected = other.map_or(example, |(_, other)| other.split_at(3).1);
            if let Err(error) = play(side, example, expected) {
                let file = path.file_name().unwrap().display();
                wrong.push(format!("{file}:{}: {error}", number + 1));
            }
            count += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count > 1700, "{count} examples");
}

fn play(side: &str, example: &str, expected: &str) -> Outcome {
    let octets = |text: &str| match side {
        // Long lines are written short there.
        "R: " => Bytes::from([&unescape(text)[..], b"\r\n"].concat()),
        _ => Bytes::from(text.replace("\\r\\n", "\r\n").replace("\\0", "\0") + "\r\n"),
    };
    let (wire, expected) = (octets(example), octets(expected));
    match side {
        "C: " if append::is_append(&wire) => append::play(&wire, &expected),
        "C: " => command(&wire, &expected),
        "S: " => response(&wire, &expected),
        "D: " => sasl(&wire),
        "R: " => server::refused(&wire),
        other => Err(format!("what is {other:?}?")),
    }
}

fn command(wire: &Bytes, expected: &Bytes) -> Outcome {
    let parse = |octets| Command::parse(octets, Dialect::SERVER).map_err(|error| error.to_string());
    let command = parse(wire)?;
    let encode = |command: &Command| Bytes::from(command.to_vec(Dialect::SERVER));
    same("encoded", &encode(&command), expected)?;
    same("encoded again", &encode(&parse(expected)?), expected)?;
    server::hears(wire, &command)?;
    client::says(command)
}

fn response(wire: &Bytes, expected: &Bytes) -> Outcome {
    let parse = |octets| match Response::parse(octets, Dialect::SERVER) {
        Ok(Response::Untagged(Untagged::Other(raw))) if !raw.starts_with(b"X") => {
            Err("not understood".to_owned())
        }
        other => other.map_err(|error| error.to_string()),
    };
    let response = parse(wire)?;
    let encode = |response: &Response| Bytes::from(response.to_vec(Dialect::SERVER));
    same("encoded", &encode(&response), expected)?;
    same("encoded again", &encode(&parse(expected)?), expected)?;
    client::hears(wire, &response)?;
    server::says(response, expected)
}

/// What a client says in a SASL exchange.
fn sasl(wire: &[u8]) -> Outcome {
    let data = server::hears_sasl(wire)?;
    same("sent", &client::says_sasl(&data), wire)
}

/// Octets as text, anything else as `Debug` shows it.
pub fn same<T, U>(what: &str, got: &T, expected: &U) -> Outcome
where
    T: PartialEq<U> + Debug + ?Sized,
    U: Debug + ?Sized,
{
    match got == expected {
        true => Ok(()),
        false => Err(format!("{what}:\n  {got:?}\nis not\n  {expected:?}")),
    }
}

/// `octets` in pieces, as `cut` wants them.
pub fn pieces(octets: &[u8], cut: u64) -> Vec<&[u8]> {
    let mut state = cut.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let (mut rest, mut pieces) = (octets, Vec::new());
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = match cut {
            0 => rest.len(),
            1 => 1,
            _ => usize::try_from(state >> 33).unwrap() % 40 + 1,
        };
        let (piece, left) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}
