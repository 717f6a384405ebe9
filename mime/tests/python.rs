//! Messages made from a seed, read here and by Python's email package: both must see the same.
//!
//! Runs where `POSTHASTE_INTEROP=1` is set; then a missing `python3` is a failure. Where the two
//! differ by design, and the script therefore makes no such messages:
//! - Python ends lines at a CR alone, RFC 5322 §2.3 does not allow one;
//! - behind the white space after a boundary nothing more may follow there;
//! - a folded line without a field above it is skipped there and begins the body here;
//! - every `message/*` part is read as a message there, only message/rfc822 and message/global
//!   here (RFC 2046 §5.2.4);
//! - a boundary line right behind another is skipped there and ends an empty part here;
//! - a part that should have ended at a boundary loses its last line end there, once for each
//!   multipart around it; here that only belongs to a boundary that exists (the test allows for
//!   it);
//! - of a multipart in which only the closing boundary is found, what follows that is lost there
//!   (the test allows for it);
//! - white space at the end of quoted-printable lines is kept there and goes away here (RFC 2045
//!   §6.7 rule 3).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::process::Command;

use mime::{Date, Headers, Kind, Structure, address};

const MESSAGES: &str = "600";

fn octets(word: &str) -> Vec<u8> {
    if word == "-" {
        return Vec::new();
    }
    let digits = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).unwrap();
    (0..word.len()).step_by(2).map(digits).collect()
}

fn show(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// What is read here, in the words of the script.
fn opinion(message: &[u8]) -> Vec<String> {
    let word = |octets: &[u8]| show(octets);
    let structure = Structure::parse(message);
    let mut lines = Vec::new();
    for part in structure.parts() {
        let (main, sub) = part.media_type();
        let kind = format!("{main}/{sub}").to_ascii_lowercase();
        let depth = part.depth() - 1;
        if part.kind() == Kind::Leaf {
            let name = part.file_name().unwrap_or_default();
            let body = part.decoded(message);
            lines.push(format!(
                "P {depth} {kind} {} {}",
                word(name.as_bytes()),
                word(&body)
            ));
        } else {
            lines.push(format!("P {depth} {kind}  "));
        }
    }
    let headers = Headers::new(message);
    for field in headers.clone() {
        lines.push(format!("F {} {}", field.name(), word(&field.unfolded())));
    }
    if let Some(field) = headers.clone().find("Subject") {
        lines.push(format!("S {}", word(field.text().trim().as_bytes())));
    }
    if let Some(field) = headers.clone().find("Date")
        && let Some(date) = Date::parse(field.raw_value())
    {
        let seconds = date.timestamp().as_second();
        lines.push(format!("D {seconds} {}", date.offset().seconds()));
    }
    if let Some(field) = headers.clone().find("To") {
        for mailbox in address::mailboxes(field.raw_value()) {
            lines.push(format!(
                "A {} {} {}",
                word(mailbox.name.unwrap_or_default().as_bytes()),
                word(mailbox.local_part.as_bytes()),
                word(mailbox.domain.unwrap_or_default().as_bytes()),
            ));
        }
    }
    lines
}

/// One line of the script with its octets made readable.
fn readable(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let plain = match words[0] {
        "P" => 3,
        "F" => 2,
        "D" => words.len(),
        _ => 1,
    };
    let words = words.iter().enumerate().map(|(at, word)| match at {
        at if at < plain || at == 5 => (*word).to_owned(),
        _ => show(&octets(word)),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Without the line ends at the end of readable octets.
fn without_eol(text: &str) -> &str {
    let mut text = text;
    while let Some(shorter) = text.strip_suffix("\\n") {
        text = shorter.strip_suffix("\\r").unwrap_or(shorter);
    }
    text
}

#[test]
fn python_reads_the_same() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/opinions.py");
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let output = Command::new("python3")
        .args([script, "1", MESSAGES])
        .output()
        .expect("python3 must be installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut message = Vec::new();
    let mut theirs = Vec::new();
    let mut count = 0;
    let mut different = 0;
    for line in text.lines() {
        if let Some(word) = line.strip_prefix("M ") {
            message = octets(word);
            theirs.clear();
        } else if line != "." {
            theirs.push(readable(line));
        } else {
            count += 1;
            let mut ours = opinion(&message);
            for (ours, theirs) in ours.iter_mut().zip(&mut theirs) {
                if !theirs.starts_with("P ") {
                    continue;
                }
                if let Some(open) = theirs.strip_suffix(" 1") {
                    *theirs = without_eol(open).to_owned();
                    *ours = without_eol(ours).to_owned();
                } else if let Some(opaque) = theirs.strip_suffix(" 2") {
                    *theirs = opaque.to_owned();
                    let words: Vec<&str> = ours.splitn(5, ' ').take(4).collect();
                    *ours = words.join(" ") + " ";
                } else if let Some(closed) = theirs.strip_suffix(" 0") {
                    *theirs = closed.to_owned();
                }
            }
            if ours != theirs {
                different += 1;
                let ours = ours.join("\n");
                let theirs = theirs.join("\n");
                let same = ours
                    .bytes()
                    .zip(theirs.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();
                let start = same.saturating_sub(40);
                let cut = |text: &str| text.chars().skip(start).take(120).collect::<String>();
                eprintln!(
                    "message {count}:\n{}\nhere:   {:?}\nPython: {:?}\n",
                    String::from_utf8_lossy(&message),
                    cut(&ours),
                    cut(&theirs)
                );
            }
        }
    }
    assert_eq!(count.to_string(), MESSAGES);
    assert_eq!(different, 0, "messages are read differently");
}
