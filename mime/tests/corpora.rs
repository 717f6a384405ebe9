//! Messages that other projects ship for their tests, read here and by Python's email package.
//!
//! Runs where `POSTHASTE_INTEROP=1` is set; `POSTHASTE_CORPORA` must then name the folder that
//! `tests/python/fetch-corpora FOLDER` has filled, and a missing corpus is a failure. What the two
//! read differently is listed in `differences.md` with the RFCs' word on it; a difference that is
//! not listed fails, and so does one that is listed but not there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use mime::{Headers, Kind, Structure, address};

/// Each corpus with the least number of messages in it.
const CORPORA: &[(&str, usize)] = &[("python", 46), ("django-mailbox", 21), ("eml-format", 3)];

/// What is read in a message: for each aspect a line for each thing.
type Opinion = BTreeMap<&'static str, Vec<String>>;

const ASPECTS: &[&str] = &[
    "tree", "bodies", "texts", "names", "subject", "date", "From", "To",
];

fn readable(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

fn without_eol(octets: &[u8]) -> String {
    let mut octets = octets.to_vec();
    octets.retain(|&octet| octet != b'\r');
    let end = octets
        .iter()
        .rposition(|octet| !b" \t\n\x0b\x0c".contains(octet));
    octets.truncate(end.map_or(0, |at| at + 1));
    readable(&octets)
}

fn ours(message: &[u8]) -> Opinion {
    let mut opinion: Opinion = ASPECTS.iter().map(|name| (*name, Vec::new())).collect();
    let mut add = |aspect, line| opinion.entry(aspect).or_default().push(line);
    let structure = Structure::parse(message);
    for part in structure.parts() {
        let (main, sub) = part.media_type();
        let kind = format!("{main}/{sub}").to_ascii_lowercase();
        add("tree", format!("{} {kind}", part.depth()));
        if part.kind() == Kind::Leaf {
            add("bodies", without_eol(&part.decoded(message)));
            if let Some(text) = part.text(message).filter(|_| part.is("text", "*")) {
                add("texts", without_eol(text.as_bytes()));
            }
            let name = part.file_name().unwrap_or_default();
            add("names", readable(name.as_bytes()));
        }
    }
    let headers = Headers::new(message);
    let find = |name| headers.clone().find(name);
    let subject = find("Subject").map_or(String::new(), |field| field.text().trim().to_owned());
    add("subject", readable(subject.as_bytes()));
    let date = find("Date").and_then(|field| field.date());
    let date = date.map(|date| date.timestamp().as_second().to_string());
    add("date", date.unwrap_or("None".to_owned()));
    for name in ["From", "To"] {
        let Some(field) = find(name) else { continue };
        for mailbox in address::mailboxes(field.raw_value()) {
            let display = mailbox.display_name().unwrap_or_default();
            let domain = mailbox.domain.as_ref();
            let domain = domain.map_or(String::new(), |domain| format!("@{domain}"));
            let address = format!("{}{domain}", mailbox.local_part);
            let display = readable(display.as_bytes());
            add(
                name,
                format!("{display} <{}>", readable(address.as_bytes())),
            );
        }
    }
    opinion
}

/// What the script says, message for message.
fn theirs(folder: &Path) -> BTreeMap<String, Opinion> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/corpora.py");
    let output = Command::new("python3")
        .args(["-B", script])
        .arg(folder)
        .output()
        .expect("python3 must be installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let octets = |word: &str| -> String {
        let digits = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).unwrap();
        let length = if word == "-" { 0 } else { word.len() };
        readable(&(0..length).step_by(2).map(digits).collect::<Vec<u8>>())
    };
    let mut all = BTreeMap::new();
    let mut name = String::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (what, rest) = line.split_once(' ').unwrap();
        if what == "M" {
            rest.clone_into(&mut name);
            let opinion: Opinion = ASPECTS.iter().map(|name| (*name, Vec::new())).collect();
            all.insert(name.clone(), opinion);
            continue;
        }
        let (what, line) = match (what, rest.split_once(' ')) {
            ("X", Some((aspect, class))) => (aspect, class.to_owned()),
            ("tree" | "date", _) => (what, rest.to_owned()),
            (_, Some((display, address))) => {
                (what, format!("{} <{}>", octets(display), octets(address)))
            }
            _ => (what, octets(rest)),
        };
        let aspect = ASPECTS.iter().find(|name| **name == what).unwrap();
        let opinion: &mut Opinion = all.get_mut(&name).unwrap();
        opinion.entry(aspect).or_default().push(line);
    }
    all
}

/// `file aspect` of each difference with these corpora that is listed.
fn listed() -> BTreeSet<&'static str> {
    let lines = include_str!("differences.md").lines();
    let keys = lines.filter_map(|line| line.strip_prefix("- `")?.split('`').next());
    keys.filter(|key| {
        CORPORA
            .iter()
            .any(|(corpus, _)| key.split('/').next() == Some(corpus))
    })
    .collect()
}

/// The first place where the two differ.
fn place(ours: &[String], theirs: &[String]) -> String {
    let ours = ours.join("|");
    let theirs = theirs.join("|");
    let pairs = ours.bytes().zip(theirs.bytes());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let cut = |text: &str| -> String {
        let text = text.chars().skip(same.saturating_sub(40));
        text.take(160).collect()
    };
    format!("  here:   {}\n  Python: {}", cut(&ours), cut(&theirs))
}

#[test]
fn python_reads_the_same_but_for_what_is_listed() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let folder = std::env::var_os("POSTHASTE_CORPORA").expect(
        "POSTHASTE_CORPORA must name the folder that tests/python/fetch-corpora has filled",
    );
    let folder = Path::new(&folder);
    let all = theirs(folder);
    for (corpus, least) in CORPORA {
        let of_corpus = |name: &&String| name.split('/').next() == Some(corpus);
        let count = all.keys().filter(of_corpus).count();
        assert!(count >= *least, "{corpus}: {count} messages");
    }
    let mut listed = listed();
    let mut unlisted = Vec::new();
    for (name, theirs) in &all {
        let message = std::fs::read(folder.join(name)).unwrap();
        let ours = ours(&message);
        for aspect in ASPECTS {
            let key = format!("{name} {aspect}");
            if ours[aspect] != theirs[aspect] && !listed.remove(key.as_str()) {
                unlisted.push(format!("{key}\n{}", place(&ours[aspect], &theirs[aspect])));
            }
        }
    }
    assert!(
        unlisted.is_empty(),
        "{}:\n{}",
        unlisted.len(),
        unlisted.join("\n")
    );
    assert!(listed.is_empty(), "listed, but read the same: {listed:?}");
}
