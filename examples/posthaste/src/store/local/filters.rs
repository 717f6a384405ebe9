//! The filters that run on a user's mail, read from the disk.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mailstore::{Format, Fs as _, RealFs};

use super::{AccountPlace, FilterKind};
use crate::files;
use crate::store::{Filter, Procmailrc};

/// The scripts of a delivery. One that cannot be read is told of and left out:
/// the others still have their say.
pub(super) fn read_filters(place: &AccountPlace) -> Vec<Filter> {
    let of_all = |paths: &[PathBuf]| -> Vec<Filter> {
        let scripts = paths.iter().flat_map(|path| scripts_of(path));
        scripts
            .filter_map(|path| told(read_script(&path)))
            .map(Filter::Sieve)
            .collect()
    };
    let mut filters = of_all(&place.before);
    for (kind, path) in &place.filters {
        let text = match read_script(path) {
            Ok(None) => continue,
            text => told(text),
        };
        filters.extend(text.map(|text| match kind {
            FilterKind::Sieve => Filter::Sieve(text),
            FilterKind::Procmail => Filter::Procmail(Procmailrc {
                text,
                home: place.home.clone(),
                mail: place.mail.root.clone(),
                inbox: (place.mail.format == Format::Mbox).then(|| place.mail.inbox.clone()),
            }),
        }));
        break;
    }
    filters.extend(of_all(&place.after));
    filters
}

fn told(read: io::Result<Option<Bytes>>) -> Option<Bytes> {
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, "a filter is left out");
        None
    })
}

/// A script, or those of a folder in the order of their names.
fn scripts_of(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return vec![path.to_owned()];
    };
    let mut scripts: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "sieve")
        })
        .collect();
    scripts.sort();
    scripts
}

/// A script longer than this is not read: no person wrote it.
pub(in crate::store) const SCRIPT_LIMIT: u64 = 1 << 20;

pub(in crate::store) fn read_script(path: &Path) -> io::Result<Option<Bytes>> {
    let read = match RealFs.open(path) {
        Ok(file) => files::read(&*file, SCRIPT_LIMIT),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error),
    };
    read.map(|text| Some(Bytes::from(text)))
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}
