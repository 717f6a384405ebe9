//! Directories of `.eml` files. A file cannot tell its flags, so those are in `posthaste-flags` beside it:
//! `NAME<TAB>\Seen $Junk` to a line, the last one of a name counting.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::durable::{Durable, Kind};
use crate::error::Error;
use crate::flags::Flags;

pub(super) const FLAGS: &str = "posthaste-flags";
/// Flags above this are not read.
const LIMIT: u64 = 1 << 30;
/// Levels that a walk goes down.
const DEPTH: usize = 32;

pub(super) struct Message {
    pub(super) path: PathBuf,
    pub(super) flags: Flags,
    pub(super) keywords: Vec<String>,
}

pub(super) fn is_message(name: &[u8]) -> bool {
    let extension = name.rsplitn(2, |&octet| octet == b'.').next();
    !name.starts_with(b".")
        && name.contains(&b'.')
        && extension.is_some_and(|end| end.eq_ignore_ascii_case(b"eml"))
}

/// Directories below `root` that have messages, as names; `""` is `root` itself.
pub(super) fn folders(durable: &Durable, root: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    walk(durable, root, "", DEPTH, &mut found)?;
    Ok(found)
}

fn walk(
    durable: &Durable,
    path: &Path,
    name: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), Error> {
    let (mut has_messages, mut below) = (false, Vec::new());
    durable.readdir(path, |entry, kind| {
        if kind == Kind::Directory {
            below.extend(
                entry
                    .to_str()
                    .filter(|name| !name.starts_with('.'))
                    .map(str::to_owned),
            );
        } else {
            has_messages |= is_message(entry.as_bytes());
        }
    })?;
    if has_messages {
        found.push(name.to_owned());
    }
    below.sort();
    for level in below.iter().filter(|_| depth > 0) {
        let name = if name.is_empty() {
            level.clone()
        } else {
            format!("{name}/{level}")
        };
        walk(durable, &path.join(level), &name, depth - 1, found)?;
    }
    Ok(())
}

/// The messages of one directory, in the order of their names.
pub(super) fn messages(durable: &Durable, folder: &Path) -> Result<Vec<Message>, Error> {
    let mut names = Vec::new();
    durable.readdir(folder, |name, kind| {
        if kind != Kind::Directory && is_message(name.as_bytes()) {
            names.push(name.to_owned());
        }
    })?;
    names.sort();
    let flags = read_flags(durable, folder)?;
    let message = |name: std::ffi::OsString| {
        let (flags, keywords) = name
            .to_str()
            .and_then(|name| flags.get(name))
            .cloned()
            .unwrap_or_default();
        Message {
            path: folder.join(name),
            flags,
            keywords,
        }
    };
    Ok(names.into_iter().map(message).collect())
}

fn read_flags(
    durable: &Durable,
    folder: &Path,
) -> Result<HashMap<String, (Flags, Vec<String>)>, Error> {
    let mut known = HashMap::new();
    let Some((content, _)) = durable.read_maybe(&folder.join(FLAGS), LIMIT)? else {
        return Ok(known);
    };
    for line in String::from_utf8_lossy(&content).lines() {
        let Some((name, words)) = line.split_once('\t') else {
            continue;
        };
        let (mut flags, mut keywords) = (Flags::NONE, Vec::new());
        for word in words.split_ascii_whitespace() {
            match Flags::NAMES.iter().find(|(_, name)| *name == word) {
                Some((flag, _)) => flags |= *flag,
                None => keywords.push(word.to_owned()),
            }
        }
        known.insert(name.to_owned(), (flags, keywords));
    }
    Ok(known)
}

/// The line of a message.
pub(super) fn line(name: &str, flags: Flags, keywords: &[String]) -> String {
    let words = Flags::NAMES
        .iter()
        .filter(|(flag, _)| flags.contains(*flag));
    let mut words: Vec<&str> = words.map(|(_, name)| *name).collect();
    words.extend(keywords.iter().map(String::as_str));
    format!("{name}\t{}\n", words.join(" "))
}
