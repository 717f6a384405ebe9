//! Maildir++: INBOX is the root, the mailbox `A/B` is its directory `.A.B`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::durable::{Durable, Kind};
use crate::error::Error;
use crate::name;

/// The directory of a mailbox.
pub(super) fn directory(root: &Path, name: &str) -> Result<PathBuf, Error> {
    if name == "INBOX" {
        return Ok(root.to_owned());
    }
    let levels = name::levels(name)?;
    if levels.iter().any(|level| level.contains('.')) {
        let reason = "a dot separates levels in Maildir++ and cannot be in a name";
        return Err(Error::InvalidName {
            name: name.to_owned(),
            reason,
        });
    }
    let mut file_name = vec![b'.'];
    file_name.extend(name::to_disk(&levels.join("."))?);
    Ok(root.join(OsStr::from_bytes(&file_name)))
}

/// Names of the mailboxes that have a directory, INBOX aside.
pub(super) fn existing(durable: &Durable, root: &Path) -> Result<Vec<String>, Error> {
    let mut found: Vec<OsString> = Vec::new();
    durable.readdir(root, |name, kind| {
        if kind != Kind::File {
            found.push(name.to_owned());
        }
    })?;
    let mut names = Vec::new();
    for file_name in found {
        let Some(levels) = file_name.as_bytes().strip_prefix(b".") else {
            continue;
        };
        let Some(name) = name::from_disk(levels).filter(|name| !name.contains('/')) else {
            continue;
        };
        let name = name.replace('.', "/");
        if name::canonical(&name).is_ok_and(|canonical| canonical == name && name != "INBOX")
            && super::reached(durable.stat_maybe(&root.join(&file_name).join("cur")))?
                .flatten()
                .is_some()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Takes a mailbox away whole, by one rename; what a crash leaves of it is removed by the next delete.
pub(super) fn delete(durable: &Durable, root: &Path, directory: &Path) -> Result<(), Error> {
    let trash = root.join(TRASH);
    empty_trash(durable, root)?;
    durable.rename(directory, &trash)?;
    durable.sync_dir(root)?;
    empty_trash(durable, root)
}

/// A deleted mailbox on its way out. Two dots: no mailbox has such a name.
pub(super) const TRASH: &str = "..posthaste-deleted";

/// `cur` comes last: a folder without it is one that was never finished.
pub(super) fn make(durable: &Durable, root: &Path, path: &Path) -> Result<(), Error> {
    durable.make_dir(path)?;
    let marker = path.join("maildirfolder");
    if path != root && durable.stat_maybe(&marker)?.is_none() {
        // Tells delivery agents that the quota is kept in the directory above.
        match durable.create(&marker) {
            // Another process makes the same mailbox.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            made => drop(made?),
        }
    }
    durable.make_dirs_in(path, &["tmp", "new", "cur"])
}

/// Removes a deleted mailbox; of one that was a link to a directory elsewhere, the link alone.
pub(super) fn empty_trash(durable: &Durable, root: &Path) -> Result<(), Error> {
    let mut kind = None;
    durable.readdir(root, |name, known| {
        if name == TRASH {
            kind = Some(known);
        }
    })?;
    let trash = root.join(TRASH);
    match kind {
        None => Ok(()),
        Some(Kind::Directory) => remove_tree(durable, &trash),
        Some(_) => durable.remove(&trash).map(|_| ()),
    }
}

/// Removes a directory and all in it; nothing when it is not there.
fn remove_tree(durable: &Durable, path: &Path) -> Result<(), Error> {
    let mut names: Vec<(PathBuf, Kind)> = Vec::new();
    match durable.readdir(path, |name, kind| names.push((path.join(name), kind))) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    }
    for (path, kind) in names {
        if kind == Kind::Directory {
            remove_tree(durable, &path)?;
        } else {
            durable.remove(&path)?;
        }
    }
    durable.remove_dir(path)
}
