//! Messages that other projects ship for their tests, read here and by mail-parser.
//!
//! The messages are those of the mail-parser package itself, and some made from a seed. `mime/tests/differences.md` lists what
//! the two read differently and what the RFCs say to it; a difference that is not listed fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mail_parser::{MimeHeaders as _, PartType};
use mime::{Headers, Kind, Structure};

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo must run");
    String::from_utf8(output.stdout).unwrap()
}

/// Where cargo has put the package.
fn package() -> PathBuf {
    let version = cargo(&["-vV"]);
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("cargo names its host");
    // The packages of other platforms need not be on this machine.
    let text = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--offline",
        "--filter-platform",
        host,
    ]);
    let end = text
        .match_indices("/Cargo.toml\"")
        .find(|(at, _)| {
            let name = text[..*at].rsplit('/').next().unwrap();
            name.starts_with("mail-parser-0.")
        })
        .expect("mail-parser is a dependency")
        .0;
    let start = text[..end].rfind('"').unwrap() + 1;
    PathBuf::from(&text[start..end])
}

fn messages(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            messages(&path, out);
        } else if path.extension().is_some_and(|end| end == "eml") {
            out.push(path);
        }
    }
}

/// What one of the two reads: a line for each thing.
type Opinion = BTreeMap<&'static str, Vec<String>>;

fn without_eol(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).replace('\r', "");
    text.trim_end().to_owned()
}

fn ours(message: &[u8]) -> Opinion {
    let mut opinion = Opinion::new();
    let structure = Structure::parse(message);
    for part in structure.parts() {
        let (main, sub) = part.media_type();
        let depth = part.depth();
        let kind = format!("{main}/{sub}").to_ascii_lowercase();
        if part.kind() == Kind::Leaf {
            opinion
                .entry("tree")
                .or_default()
                .push(format!("{depth} {kind}"));
            let text = match part.text(message) {
                Some(text) => without_eol(text.as_bytes()),
                None => without_eol(&part.decoded(message)),
            };
            opinion.entry("bodies").or_default().push(text);
            let name = part.file_name().unwrap_or_default().into_owned();
            opinion.entry("names").or_default().push(name);
        } else {
            opinion
                .entry("tree")
                .or_default()
                .push(format!("{depth} {kind}"));
        }
    }
    let headers = Headers::new(message);
    let subject = headers.clone().find("Subject");
    let subject = subject.map_or(String::new(), |field| field.text().trim().to_owned());
    opinion.insert("subject", vec![subject]);
    let date = headers.clone().find("Date").and_then(|field| field.date());
    let date = date.map(|date| date.timestamp().as_second());
    opinion.insert("date", vec![format!("{date:?}")]);
    for name in ["From", "To"] {
        let list = headers.clone().find(name).map(|field| {
            let list = mime::address::mailboxes(field.raw_value());
            list.map(|mailbox| {
                let name = mailbox.display_name().unwrap_or_default().into_owned();
                let domain = mailbox
                    .domain
                    .map_or(String::new(), |domain| format!("@{domain}"));
                format!("{name} <{}{domain}>", mailbox.local_part)
            })
            .collect()
        });
        opinion.insert(name, list.unwrap_or_default());
    }
    opinion
}

/// mail-parser's opinion; none of a message on which it panics.
fn theirs(message: &[u8]) -> Option<Opinion> {
    std::panic::catch_unwind(|| theirs_or_panic(message)).ok()
}

fn theirs_or_panic(message: &[u8]) -> Opinion {
    let mut opinion = Opinion::new();
    let parser = mail_parser::MessageParser::default();
    let Some(parsed) = parser.parse(message) else {
        return opinion;
    };
    walk(&parsed, 0, 1, &mut opinion);
    opinion.insert(
        "subject",
        vec![parsed.subject().unwrap_or_default().trim().to_owned()],
    );
    let date = parsed.date().map(mail_parser::DateTime::to_timestamp);
    opinion.insert("date", vec![format!("{date:?}")]);
    for (key, list) in [("From", parsed.from()), ("To", parsed.to())] {
        let list = list.map(|list| {
            list.clone()
                .into_list()
                .into_iter()
                .map(|one| {
                    let name = one.name.unwrap_or_default();
                    format!("{name} <{}>", one.address.unwrap_or_default())
                })
                .collect()
        });
        opinion.insert(key, list.unwrap_or_default());
    }
    opinion
}

fn walk(message: &mail_parser::Message<'_>, id: u32, depth: u32, opinion: &mut Opinion) {
    let Some(part) = message.parts.get(id as usize) else {
        return;
    };
    let kind = part.content_type().map_or("text/plain".to_owned(), |kind| {
        format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase()
    });
    let mut leaf = |octets: &[u8]| {
        opinion
            .entry("tree")
            .or_default()
            .push(format!("{depth} {kind}"));
        opinion
            .entry("bodies")
            .or_default()
            .push(without_eol(octets));
        let name = part.attachment_name().unwrap_or_default().to_owned();
        opinion.entry("names").or_default().push(name);
    };
    match &part.body {
        PartType::Text(text) | PartType::Html(text) => leaf(text.as_bytes()),
        PartType::Binary(octets) | PartType::InlineBinary(octets) => leaf(octets),
        PartType::Message(nested) => {
            opinion
                .entry("tree")
                .or_default()
                .push(format!("{depth} message/rfc822"));
            walk(nested, 0, depth + 1, opinion);
        }
        PartType::Multipart(children) => {
            opinion
                .entry("tree")
                .or_default()
                .push(format!("{depth} {kind}"));
            for child in children {
                walk(message, *child, depth + 1, opinion);
            }
        }
    }
}

/// `file aspect` of each difference that is listed.
fn listed() -> Vec<String> {
    let text = include_str!("../../mime/tests/differences.md");
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- `"));
    lines
        .map(|line| line.split('`').next().unwrap().to_owned())
        .collect()
}

#[test]
fn mail_parser_reads_the_same_but_for_what_is_listed() {
    let folder = package().join("resources/eml");
    let mut files = Vec::new();
    messages(&folder, &mut files);
    files.sort();
    assert!(files.len() > 100);
    let listed = listed();
    let mut unlisted = Vec::new();
    for file in &files {
        let message = std::fs::read(file).unwrap();
        let name = file.strip_prefix(&folder).unwrap().display();
        let different = differences(&message, &name.to_string());
        unlisted.extend(
            different
                .into_iter()
                .filter(|(key, _)| !listed.contains(key)),
        );
    }
    report(&unlisted);
}

/// `octets` of lines `M octets` in hexadecimal.
fn seeded(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let digits = |word: &str, at: usize| u8::from_str_radix(&word[at..at + 2], 16).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("M "))
        .map(move |word| (0..word.len() / 2).map(|at| digits(word, 2 * at)).collect())
}

/// Messages made from a seed by the script that `mime/tests/python.rs` uses. Left out are those that
/// the two read differently in the ways that are listed: every third, which is damaged, and those
/// with a multipart that is not closed. Runs where
/// `POSTHASTE_INTEROP=1` is set; then a missing `python3` is a failure.
#[test]
fn mail_parser_reads_sound_messages_the_same() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../mime/tests/python/opinions.py"
    );
    let output = Command::new("python3")
        .args(["-B", script, "2", "600"])
        .output();
    let output = output.expect("python3 must be installed");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut unlisted = Vec::new();
    let mut count = 0;
    for (number, message) in seeded(&text).enumerate() {
        if number % 3 != 2 && is_closed(&message) {
            count += 1;
            unlisted.extend(differences(&message, &number.to_string()));
        }
    }
    assert!(count > 150, "{count}");
    report(&unlisted);
}

/// Whether all multiparts end in their closing boundary line. mail-parser reads on behind one that
/// does not, and gives its last part undecoded.
fn is_closed(message: &[u8]) -> bool {
    let structure = Structure::parse(message);
    structure
        .parts()
        .all(|part| part.kind() != Kind::Multipart || part.epilogue().start > 0)
}

fn report(unlisted: &[(String, String)]) {
    let lines: Vec<String> = unlisted
        .iter()
        .map(|(key, what)| format!("{key}\n{what}"))
        .collect();
    assert!(lines.is_empty(), "{}:\n{}", lines.len(), lines.join("\n"));
}

/// `name aspect` and the place of each difference.
fn differences(message: &[u8], name: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let ours = ours(message);
    let Some(theirs) = theirs(message) else {
        return out;
    };
    for (aspect, own) in &ours {
        let other = theirs.get(aspect).cloned().unwrap_or_default();
        let key = format!("{name} {aspect}");
        if *own != other {
            let pair = own.iter().zip(&other).find(|(a, b)| a != b);
            let cut = |text: &str| text.chars().take(200).collect::<String>();
            let cut_both = |a: &str, b: &str| format!("  {:?}\n  {:?}", cut(a), cut(b));
            let shown = match pair {
                Some((a, b)) => {
                    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
                    let tail = |text: &str| {
                        let from = same.saturating_sub(20);
                        String::from_utf8_lossy(&text.as_bytes()[from..]).into_owned()
                    };
                    cut_both(&tail(a), &tail(b))
                }
                None => cut_both(&own.join("|"), &other.join("|")),
            };
            out.push((key, shown));
        }
    }
    out
}
