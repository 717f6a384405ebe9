//! A folder as it is, read without changing anything in it.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::keywords::KeywordFile;
use super::scan::is_message;
use super::uidlist::UidList;
use super::{LIST_LIMIT, count_wire, name, path_of};
use crate::durable::Durable;
use crate::error::{Error, IoContext};
use crate::flags::Flags;
use crate::wire::{Extent, Form, Reader};

/// A message of it.
#[derive(Clone, Debug)]
pub(crate) struct Lying {
    pub(crate) path: PathBuf,
    pub(crate) flags: Flags,
    pub(crate) keywords: Vec<String>,
}

/// The messages: in the order of the UIDs that a list gives, then in that of their arrival.
pub(crate) fn read_only(durable: &Durable, folder: &Path) -> Result<Vec<Lying>, Error> {
    let mut list = None;
    for file in ["dovecot-uidlist", "courierimapuiddb"] {
        if list.is_none()
            && let Some((content, _)) = durable.read_maybe(&folder.join(file), LIST_LIMIT)?
        {
            list = UidList::parse(&content);
        }
    }
    let mut keywords = KeywordFile::new(folder);
    keywords.refresh(durable)?;
    let mut found: HashMap<Vec<u8>, PathBuf> = HashMap::new();
    // A name in both is one that moved while this looked.
    for directory in ["new", "cur"] {
        let listed = durable.readdir(&folder.join(directory), |file_name, kind| {
            let name = file_name.as_bytes();
            if is_message(name, kind) {
                let path = path_of(&folder.join(directory), name);
                found.insert(name::base(name).to_vec(), path);
            }
        });
        match listed {
            Err(error) if error.is_not_found() => {}
            other => other?,
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    let uid = |base: &[u8]| {
        let uid = list.as_ref().and_then(|list| list.uid(base));
        uid.unwrap_or(u32::MAX)
    };
    found.sort_by(|(a, _), (b, _)| (uid(a), name::arrival(a)).cmp(&(uid(b), name::arrival(b))));
    let lying = found.into_iter().map(|(_, path)| {
        let (flags, letters) = name::flags(path.file_name().unwrap_or_default().as_bytes());
        let known = letters
            .indices()
            .filter_map(|index| keywords.names.get(index));
        Lying {
            flags,
            keywords: known.filter(|name| !name.is_empty()).cloned().collect(),
            path,
        }
    });
    Ok(lying.collect())
}

/// A message in a file of its own, whatever its line ends are.
pub(crate) fn open_message(
    durable: &Durable,
    path: &Path,
) -> Result<(Reader, std::time::SystemTime), Error> {
    let file = durable.open_own(path)?;
    let stat = file.stat().at("stat", path)?;
    let size = count_wire(&*file, stat.len).at("read", path)?;
    let form = if size == stat.len {
        Form::Wire
    } else {
        Form::Lines
    };
    let extents = vec![Extent {
        start: 0,
        end: stat.len,
        form,
    }];
    Ok((Reader::new(file.into(), extents, size), stat.modified))
}
