//! Mailboxes of a store that is read and not taken over.

use std::path::{Path, PathBuf};

use super::{maildir, maildir_fs, mbox};
use crate::durable::Durable;
use crate::error::Error;

/// Maildirs below a directory, in both layouts, with their names.
pub(crate) fn foreign_maildirs(
    durable: &Durable,
    root: &Path,
) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    if durable.stat_maybe(&root.join("cur"))?.is_some() {
        found.push(("INBOX".to_owned(), root.to_owned()));
    }
    for name in maildir::existing(durable, root)? {
        let path = maildir::directory(root, &name)?;
        found.push((name, path));
    }
    for name in maildir_fs::existing(durable, root)? {
        if found.iter().all(|(known, _)| *known != name) {
            let path = maildir_fs::directory(root, &name)?;
            found.push((name, path));
        }
    }
    Ok(found)
}

/// Mbox files below a directory, with their names.
pub(crate) fn foreign_mboxes(
    durable: &Durable,
    root: &Path,
) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    for inbox in ["INBOX", "inbox"] {
        let path = root.join(inbox);
        if found.is_empty() && durable.stat_maybe(&path)?.is_some() {
            found.push(("INBOX".to_owned(), path));
        }
    }
    for name in mbox::existing(durable, root, Path::new(""))? {
        let path = mbox::site(root, Path::new(""), &name)?.file;
        if found.iter().all(|(_, known)| *known != path) {
            found.push((name, path));
        }
    }
    Ok(found)
}
