//! BODYSTRUCTURE and ENVELOPE of messages made from a seed, against Dovecot's answer.
//!
//! Runs where `POSTHASTE_INTEROP=1` is set; then a missing Dovecot or `python3` is a failure.
//!
//! What the two answer differently by design is levelled before they are compared: Dovecot joins RFC 2231 continuations, and folds
//! tabs in values to spaces. Of damaged messages, which are not made here, Dovecot
//! - reads all lines to the next blank one as header, where here a line that is no field begins the
//!   body;
//! - takes every line that begins with a boundary for a boundary line;
//! - answers a multipart without parts as one with an empty part, where here it is its text;
//! - takes the last of several `Date` or `Subject` fields and joins several `To` fields.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../examples/body_structure.rs"]
#[allow(dead_code, reason = "the program around it is not needed")]
mod body_structure;

use std::process::Command;

use mime::Structure;
use mime::build::to_crlf;

const MESSAGES: usize = 300;

#[derive(Debug, PartialEq)]
enum Item {
    Atom(String),
    List(Vec<Self>),
}

/// Reads one item of an IMAP response.
fn item(text: &mut &[u8]) -> Item {
    *text = text.trim_ascii_start();
    match text[0] {
        b'(' => {
            *text = &text[1..];
            let mut list = Vec::new();
            loop {
                *text = text.trim_ascii_start();
                if text[0] == b')' {
                    *text = &text[1..];
                    return Item::List(level(list));
                }
                list.push(item(text));
            }
        }
        b'"' => {
            let mut out = Vec::new();
            *text = &text[1..];
            while text[0] != b'"' {
                if text[0] == b'\\' {
                    *text = &text[1..];
                }
                out.push(text[0]);
                *text = &text[1..];
            }
            *text = &text[1..];
            atom(&out)
        }
        b'{' => {
            let end = text.iter().position(|&byte| byte == b'\n').unwrap();
            let length = String::from_utf8_lossy(&text[1..end]);
            let length = length.trim_end_matches(['}', '\r']).parse().unwrap();
            let (literal, rest) = text[end + 1..].split_at(length);
            *text = rest;
            atom(literal)
        }
        _ => {
            let end = text.iter().position(|byte| b" ()".contains(byte));
            let (word, rest) = text.split_at(end.unwrap_or(text.len()));
            *text = rest;
            atom(word)
        }
    }
}

fn atom(text: &[u8]) -> Item {
    let text = String::from_utf8_lossy(text).replace('\t', " ");
    Item::Atom(text.to_ascii_lowercase())
}

/// Joins the RFC 2231 continuations of a parameter list.
fn level(list: Vec<Item>) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    let mut joins = false;
    for item in list {
        let Item::Atom(text) = &item else {
            joins = false;
            out.push(item);
            continue;
        };
        if joins {
            if let Some(Item::Atom(last)) = out.last_mut() {
                last.push_str(text);
            }
            joins = false;
        } else if let Some(name) = text.strip_suffix("*0*") {
            out.push(Item::Atom(format!("{name}*")));
        } else {
            let number = text
                .strip_suffix('*')
                .and_then(|text| text.rsplit_once('*'));
            joins = number.is_some_and(|(_, number)| number.parse::<u32>().is_ok());
            if !joins {
                out.push(item);
            }
        }
    }
    out
}

fn read(text: &str) -> Item {
    item(&mut text.as_bytes())
}

fn octets(word: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).unwrap();
    (0..word.len()).step_by(2).map(digits).collect()
}

#[test]
fn dovecot_answers_the_same() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/dovecot.py");
    let count = MESSAGES.to_string();
    let mut command = Command::new("python3");
    // No compiled files beside the sources.
    command.args(["-B", script, "1", &count]);
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let output = command.output().expect("python3 must be installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (number, lines) in lines.chunks(3).enumerate() {
        let [message, body, envelope] = [0, 1, 2].map(|at| octets(&lines[at][2..]));
        let dovecot = |octets: &[u8]| read(&format!("({})", String::from_utf8_lossy(octets)));
        let crlf = to_crlf(&message);
        let structure = Structure::parse(&crlf);
        let root = structure.root();
        let show = String::from_utf8_lossy(&message);
        let ours = read(&body_structure::body(root, &crlf));
        assert_eq!(ours, dovecot(&body), "message {number}:\n{show}");
        let ours = read(&body_structure::envelope(root.header().of(&crlf)));
        assert_eq!(ours, dovecot(&envelope), "message {number}:\n{show}");
    }
    assert_eq!(lines.len(), 3 * MESSAGES);
}
