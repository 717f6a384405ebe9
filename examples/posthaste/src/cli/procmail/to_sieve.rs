//! `posthaste procmail to-sieve`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use procmail_rules::{Fidelity, Script, Translation};

use crate::cli::print;
use crate::cli::sieve::read;
use crate::procmail::{Fate, by_procmail, by_sieve};

/// Differences that are shown; the others are counted.
const SHOWN: usize = 50;

pub(super) fn run(rcfile: &Path, mailbox: Option<&Path>) -> bool {
    let Some(text) = read(rcfile) else {
        return false;
    };
    let translation = Script::parse(&text).to_sieve();
    let Some(mailbox) = mailbox else {
        print::octets(translation.script.as_bytes());
        return tell(rcfile, &translation);
    };
    match verify(&text, &translation, mailbox) {
        Ok(same) => same,
        Err(fault) => {
            print::error(format_args!("{}: {fault}", mailbox.display()));
            false
        }
    }
}

/// Says what is not exact; true if all is translated.
fn tell(rcfile: &Path, translation: &Translation) -> bool {
    let mut all = true;
    for remark in &translation.remarks {
        let word = match remark.outcome {
            Fidelity::Exact => continue,
            Fidelity::Close => "differs",
            Fidelity::Refused => {
                all = false;
                "not translated"
            }
        };
        print::error(format_args!(
            "{}:{}: {word}: {}",
            rcfile.display(),
            remark.line,
            remark.text
        ));
    }
    all
}

/// Runs both on each message; true if the same comes of all.
fn verify(rc: &[u8], translation: &Translation, mailbox: &Path) -> io::Result<bool> {
    let capabilities = sieve::Capabilities::default();
    let script =
        sieve::compile(translation.script.as_bytes(), &capabilities).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            io::Error::other(format!(
                "the script does not compile: {}",
                faults.join("; ")
            ))
        })?;
    let regexes = Arc::default();
    let (mut differing, mut count) = (0, 0);
    for (name, message) in messages(mailbox)? {
        count += 1;
        let procmail = by_procmail(rc, &regexes, &message).map_err(io::Error::other)?;
        let sieve = by_sieve(&script, &message).unwrap_or_else(|error| BTreeSet::from([error]));
        if procmail == sieve {
            continue;
        }
        differing += 1;
        if differing <= SHOWN {
            print::line(format_args!(
                "{name}: procmail: {}; sieve: {}",
                shown(&procmail),
                shown(&sieve)
            ));
        }
    }
    print::line(format_args!("{count} messages, {differing} differ"));
    Ok(differing == 0)
}

fn shown(fate: &Fate) -> String {
    if fate.is_empty() {
        return "nowhere".to_owned();
    }
    let parts: Vec<&str> = fate.iter().map(String::as_str).collect();
    parts.join(", ")
}

/// The messages of an mbox or a Maildir, with names for people.
fn messages(mailbox: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    if !mailbox.is_dir() {
        let text = with_lf(&fs::read(mailbox)?);
        let numbered = split(&text).into_iter().enumerate();
        return Ok(numbered
            .map(|(index, message)| (format!("message {}", index + 1), message.to_vec()))
            .collect());
    }
    let mut found = Vec::new();
    for part in ["new", "cur"] {
        let folder = mailbox.join(part);
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                found.push((name, with_lf(&fs::read(entry.path())?)));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Cuts an mbox at its `From ` lines, which stand at the start and behind empty lines.
fn split(text: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    let mut start = 0;
    for at in memchr::memmem::find_iter(text, b"\n\nFrom ") {
        messages.push(text.get(start..at + 1).unwrap_or(&[]));
        start = at + 2;
    }
    let rest = text.get(start..).unwrap_or(&[]);
    if !rest.is_empty() {
        messages.push(rest);
    }
    messages
}

fn with_lf(octets: &[u8]) -> Vec<u8> {
    let mut text = octets.to_vec();
    let mut before = 0;
    text.retain(|_| {
        let drop = octets.get(before..before + 2) == Some(b"\r\n");
        before += 1;
        !drop
    });
    text
}
