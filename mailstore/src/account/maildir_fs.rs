//! Dovecot's `LAYOUT=fs`: INBOX is the root, the mailbox `A/B` is its directory `A/B`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::maildir::{TRASH, empty_trash};
use crate::durable::{Durable, Kind};
use crate::error::Error;
use crate::name;

/// The directories of a mailbox's own messages.
const OWN: [&str; 3] = ["new", "tmp", "cur"];
/// Levels that a walk goes down, against links that lead in circles.
const DEPTH: usize = 32;

/// Whether a level may be called so: it stands beside the files of the mailbox above it.
fn is_level(file_name: &[u8]) -> bool {
    let taken = [&b"dovecot"[..], b"posthaste-", b"maildir", b"courier", b"."];
    !OWN.iter().any(|own| own.as_bytes() == file_name)
        && !file_name.starts_with(b"subscriptions")
        && !taken.iter().any(|taken| file_name.starts_with(taken))
}

/// The directory of a mailbox.
pub(super) fn directory(root: &Path, name: &str) -> Result<PathBuf, Error> {
    let mut path = root.to_owned();
    if name == "INBOX" {
        return Ok(path);
    }
    for level in name::levels(name)? {
        let file_name = name::to_disk(level)?;
        if !is_level(&file_name) {
            return Err(Error::InvalidName {
                name: name.to_owned(),
                reason: "a level cannot begin with a dot, and some names are taken",
            });
        }
        path.push(OsStr::from_bytes(&file_name));
    }
    Ok(path)
}

/// Names of the mailboxes that have a directory of messages, INBOX aside.
pub(super) fn existing(durable: &Durable, root: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut left = super::LEVELS;
    walk(durable, root, "", DEPTH, &mut left, &mut names)?;
    Ok(names)
}

fn walk(
    durable: &Durable,
    directory: &Path,
    above: &str,
    depth: usize,
    left: &mut usize,
    names: &mut Vec<String>,
) -> Result<(), Error> {
    super::count_level(directory, left)?;
    let levels = super::reached(levels_in(durable, directory))?;
    for file_name in levels.unwrap_or_default() {
        let Some(level) = name::from_disk(file_name.as_bytes()).filter(|name| !name.contains('/'))
        else {
            continue;
        };
        let (path, name) = (directory.join(&file_name), format!("{above}{level}"));
        if !name::canonical(&name).is_ok_and(|canonical| canonical == name) {
            continue;
        }
        let messages = super::reached(durable.stat_maybe(&path.join("cur")))?;
        if name != "INBOX" && messages.flatten().is_some() {
            names.push(name.clone());
        }
        if depth > 0 {
            walk(durable, &path, &format!("{name}/"), depth - 1, left, names)?;
        }
    }
    Ok(())
}

/// The directories in one that stand for levels.
fn levels_in(durable: &Durable, directory: &Path) -> Result<Vec<OsString>, Error> {
    let mut found: Vec<(OsString, Kind)> = Vec::new();
    durable.readdir(directory, |name, kind| {
        if kind != Kind::File && is_level(name.as_bytes()) {
            found.push((name.to_owned(), kind));
        }
    })?;
    let mut levels = Vec::new();
    for (name, kind) in found {
        let kind = match kind {
            Kind::Other => super::reached(durable.stat_maybe(&directory.join(&name)))?
                .flatten()
                .map_or(Kind::Other, |stat| stat.kind),
            known => known,
        };
        if kind == Kind::Directory {
            levels.push(name);
        }
    }
    Ok(levels)
}

/// `cur` comes last: a folder without it is one that was never finished.
pub(super) fn make(durable: &Durable, path: &Path) -> Result<(), Error> {
    durable.make_dir(path)?;
    durable.make_dirs_in(path, &OWN)
}

/// Takes a mailbox away: whole, by one rename, where nothing is below it; else its own files, and `cur` last, so that
/// what a crash leaves is the mailbox with fewer messages.
pub(super) fn delete(durable: &Durable, root: &Path, directory: &Path) -> Result<(), Error> {
    let trash = root.join(TRASH);
    empty_trash(durable, root)?;
    if levels_in(durable, directory)?.is_empty() {
        durable.rename(directory, &trash)?;
    } else {
        durable.make_dir(&trash)?;
        for name in own_entries(durable, directory)? {
            durable.rename(&directory.join(&name), &trash.join(&name))?;
        }
        durable.sync_dir(directory)?;
    }
    if let Some(above) = directory.parent() {
        durable.sync_dir(above)?;
    }
    remove_empty_levels(durable, root, directory);
    empty_trash(durable, root)
}

/// What belongs to the mailbox of a directory and not to those below it, `cur` last.
fn own_entries(durable: &Durable, directory: &Path) -> Result<Vec<OsString>, Error> {
    let levels = levels_in(durable, directory)?;
    let mut names: Vec<OsString> = Vec::new();
    durable.readdir(directory, |name, _| {
        if !levels.iter().any(|level| level == name) {
            names.push(name.to_owned());
        }
    })?;
    names.sort_by_key(|name| name == "cur");
    Ok(names)
}

/// Gives a mailbox and all below it another name.
pub(super) fn rename(durable: &Durable, root: &Path, from: &str, to: &str) -> Result<(), Error> {
    let (from, to) = (directory(root, from)?, directory(root, to)?);
    if let Some(above) = to.parent() {
        durable.make_dir(above)?;
    }
    merge(durable, &from, &to)?;
    for path in [&to, &from] {
        if let Some(above) = path.parent() {
            durable.sync_dir(above)?;
        }
    }
    remove_empty_levels(durable, root, &from);
    Ok(())
}

/// One rename, unless levels of the new name are there already: then what is missing in them.
fn merge(durable: &Durable, from: &Path, to: &Path) -> Result<(), Error> {
    if durable.stat_maybe(to)?.is_none() {
        return durable.rename(from, to);
    }
    for level in levels_in(durable, from)? {
        merge(durable, &from.join(&level), &to.join(&level))?;
    }
    for name in own_entries(durable, from)? {
        durable.rename(&from.join(&name), &to.join(&name))?;
    }
    durable.sync_dir(to)?;
    // Not empty where something came in between: that stays.
    let _ = durable.remove_dir(from);
    Ok(())
}

fn remove_empty_levels(durable: &Durable, root: &Path, directory: &Path) {
    let levels = directory
        .ancestors()
        .skip(1)
        .take_while(|level| *level != root && level.starts_with(root));
    for level in levels {
        if durable.remove_dir(level).is_err() {
            // Not empty, then.
            return;
        }
    }
}
