//! Mbox files: the mailbox `A/B` is the file `A/B` below the root, INBOX has a path of its own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::durable::{Durable, Kind};
use crate::error::Error;
use crate::mbox::Site;
use crate::name;

/// Where the state of all mailboxes is, below the root.
const SIDE: &str = ".posthaste";
/// Levels that a walk goes down, against links that lead in circles.
const DEPTH: usize = 32;

/// The files of a mailbox.
pub(super) fn site(root: &Path, inbox: &Path, name: &str) -> Result<Site, Error> {
    let levels = name::levels(name)?;
    let bad = |level: &&str| level.starts_with('.') || level.ends_with(".lock");
    if levels.iter().any(bad) || is_own(name) {
        let reason = "a level of an mbox name cannot begin with a dot or end in .lock, and some names are taken";
        return Err(Error::InvalidName {
            name: name.to_owned(),
            reason,
        });
    }
    let mut encoded = Vec::new();
    for level in &levels {
        if !encoded.is_empty() {
            encoded.push(b'/');
        }
        encoded.extend(name::to_disk(level)?);
    }
    let mut side = Vec::with_capacity(encoded.len());
    for &octet in &encoded {
        match octet {
            b'%' => side.extend_from_slice(b"%25"),
            b'/' => side.extend_from_slice(b"%2F"),
            other => side.push(other),
        }
    }
    let side = root.join(SIDE).join(OsStr::from_bytes(&side));
    let file = if name == "INBOX" {
        inbox.to_owned()
    } else {
        root.join(OsStr::from_bytes(&encoded))
    };
    Ok(Site { file, side })
}

/// A file holds messages or a directory mailboxes; none does both.
pub(super) fn check_levels(
    durable: &Durable,
    root: &Path,
    site: &Site,
    name: &str,
) -> Result<(), Error> {
    let invalid = |reason| {
        Err(Error::InvalidName {
            name: name.to_owned(),
            reason,
        })
    };
    if durable
        .stat_maybe(&site.file)?
        .is_some_and(|stat| stat.kind == Kind::Directory)
    {
        return invalid("it is a level with mailboxes below it, which an mbox cannot be");
    }
    let above = site.file.ancestors().skip(1);
    for level in above.take_while(|level| *level != root && level.starts_with(root)) {
        if durable
            .stat_maybe(level)?
            .is_some_and(|stat| stat.kind == Kind::File)
        {
            return invalid("the mailbox above it is an mbox, which has none below it");
        }
    }
    Ok(())
}

/// Makes an empty mailbox and the levels above it.
pub(super) fn make(durable: &Durable, site: &Site) -> Result<(), Error> {
    let Some(directory) = site.file.parent() else {
        return Ok(());
    };
    durable.make_dir(directory)?;
    durable.create(&site.file)?;
    durable.sync_dir(directory)
}

/// Removes the state of an earlier mailbox of the name, whose file is gone: by another program, or by a deletion that
/// a crash cut. The new one is another mailbox.
pub(super) fn forget(durable: &Durable, site: &Site) -> Result<(), Error> {
    let mut had = false;
    for path in [site.state(), site.journal()] {
        had |= durable.remove(&path)?;
    }
    match site.state().parent() {
        Some(directory) if had => durable.sync_dir(directory),
        _ => Ok(()),
    }
}

/// Removes a mailbox, and the levels above it that are empty then.
pub(super) fn delete(durable: &Durable, root: &Path, site: &Site) -> Result<(), Error> {
    durable.remove(&site.file)?;
    if let Some(directory) = site.file.parent() {
        durable.sync_dir(directory)?;
    }
    durable.remove(&site.state())?;
    durable.remove(&site.journal())?;
    durable.remove(&site.rewriting())?;
    for path in site.put_aside() {
        durable.remove(&path)?;
    }
    remove_empty_levels(durable, root, &site.file);
    Ok(())
}

/// Gives a mailbox another name, with its state.
pub(super) fn rename(durable: &Durable, root: &Path, from: &Site, to: &Site) -> Result<(), Error> {
    if let Some(directory) = to.file.parent() {
        durable.make_dir(directory)?;
    }
    // Without its state a mailbox has no more than its header fields, so that goes first, as a copy.
    match durable.read_maybe(&from.state(), 1 << 30) {
        Ok(None) => {}
        Ok(Some((state, _))) => durable.replace(&to.state(), &state)?,
        // It is made anew.
        Err(error) if error.is_no_file_of_ours() => {}
        Err(error) => return Err(error),
    }
    durable.rename(&from.file, &to.file)?;
    for path in [&to.file, &from.file] {
        if let Some(directory) = path.parent() {
            durable.sync_dir(directory)?;
        }
    }
    durable.remove(&from.state())?;
    remove_empty_levels(durable, root, &from.file);
    Ok(())
}

fn remove_empty_levels(durable: &Durable, root: &Path, file: &Path) {
    let levels = file
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

/// Names of the mailboxes that have a file, INBOX aside.
pub(super) fn existing(durable: &Durable, root: &Path, inbox: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut left = super::LEVELS;
    walk(durable, root, "", DEPTH, &mut left, &mut |path, name| {
        if path != inbox
            && name::canonical(&name).is_ok_and(|canonical| canonical == name && name != "INBOX")
        {
            names.push(name);
        }
    })?;
    Ok(names)
}

fn walk(
    durable: &Durable,
    directory: &Path,
    above: &str,
    depth: usize,
    left: &mut usize,
    each: &mut dyn FnMut(&Path, String),
) -> Result<(), Error> {
    super::count_level(directory, left)?;
    let mut entries: Vec<(PathBuf, String, Kind)> = Vec::new();
    let read = durable.readdir(directory, |name, kind| {
        let level = name.as_bytes();
        let level = (!level.starts_with(b".") && !level.ends_with(b".lock")).then_some(level);
        if let Some(level) = level
            .and_then(name::from_disk)
            .filter(|level| !level.contains('/'))
        {
            entries.push((directory.join(name), format!("{above}{level}"), kind));
        }
    });
    super::reached(read)?;
    for (path, name, kind) in entries {
        let kind = match kind {
            Kind::Other => super::reached(durable.stat_maybe(&path))?
                .flatten()
                .map_or(Kind::Other, |stat| stat.kind),
            known => known,
        };
        match kind {
            Kind::File if !is_own(&name) => each(&path, name),
            Kind::Directory if depth > 0 => {
                walk(durable, &path, &format!("{name}/"), depth - 1, left, each)?
            }
            _ => {}
        }
    }
    Ok(())
}

/// The account's own files beside the mailboxes.
fn is_own(name: &str) -> bool {
    [
        "subscriptions",
        "posthaste-metadata",
        "posthaste-metadata.tmp",
        "posthaste-uidvalidity",
        "posthaste-uidvalidity.tmp",
        "subscriptions.tmp",
    ]
    .contains(&name)
}
