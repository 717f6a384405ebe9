//! Segments made ready before they are needed.
//!
//! A sync of a file whose octets are all there already writes these octets and nothing else; where a file grows,
//! or has room that was never written, the file system writes its own books too, which takes as long again.

use std::path::{Path, PathBuf};

use crate::durable::{Durable, File, Kind};
use crate::error::{Error, IoContext};

/// Octets of zeros written between two groups of the log.
const STEP: usize = 1 << 20;
/// Files kept for later.
const KEPT: usize = 2;

/// Files full of octets that mean nothing, named `spare-N` beside the segments.
pub(super) struct Spares {
    directory: PathBuf,
    octets: u64,
    ready: Vec<PathBuf>,
    filling: Option<Filling>,
    /// There was no room for one.
    given_up: bool,
    next: u64,
}

struct Filling {
    path: PathBuf,
    file: Box<dyn File>,
    filled: u64,
}

impl Spares {
    /// Finds what earlier openings left. A spare that was not filled to its end goes.
    pub(super) fn open(directory: &Path, octets: u64, durable: &Durable) -> Result<Self, Error> {
        let mut found = Vec::new();
        durable.readdir(directory, |name, kind| {
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix("spare-")?.parse::<u64>().ok());
            found.extend(number.map(|number| (number, directory.join(name), kind)));
        })?;
        let mut spares = Self {
            directory: directory.to_owned(),
            octets,
            ready: Vec::new(),
            filling: None,
            given_up: false,
            next: found
                .iter()
                .map(|(number, ..)| number.saturating_add(1))
                .max()
                .unwrap_or(0),
        };
        for (_, path, kind) in found {
            if kind == Kind::Directory {
                continue;
            }
            let whole = durable.stat(&path)?.len >= octets;
            if whole && spares.ready.len() < KEPT {
                spares.ready.push(path);
            } else {
                durable.remove(&path)?;
            }
        }
        Ok(spares)
    }

    /// Gives a spare the name of a segment, if there is one. The caller syncs the directory.
    pub(super) fn take(
        &mut self,
        durable: &Durable,
        segment: &Path,
    ) -> Result<Option<Box<dyn File>>, Error> {
        let Some(path) = self.ready.pop() else {
            return Ok(None);
        };
        durable.rename(&path, segment)?;
        durable.open_write(segment).map(Some)
    }

    /// The name that a segment's file of so many octets gets to be kept; `None` when it is not to be.
    pub(super) fn name_for(&mut self, octets: u64) -> Option<PathBuf> {
        let usual = octets >= self.octets && octets < self.octets.saturating_mul(2);
        (usual && self.ready.len() < KEPT).then(|| self.name())
    }

    /// Takes in what has the name of [`name_for`](Self::name_for), durably. It will be written over.
    pub(super) fn keep(&mut self, path: Option<PathBuf>) {
        self.ready.extend(path);
    }

    fn name(&mut self) -> PathBuf {
        let path = self.directory.join(format!("spare-{}", self.next));
        self.next += 1;
        path
    }

    /// Whether [`fill`](Self::fill) has something to do.
    pub(super) fn is_wanted(&self) -> bool {
        self.ready.is_empty() && !self.given_up
    }

    /// Fills a new spare a little further. Where the disk has no room for it, there will be none, so that what
    /// room there is stays for mail: a segment that grows serves too.
    pub(super) fn fill(&mut self, durable: &Durable) {
        let path = match &self.filling {
            Some(filling) => filling.path.clone(),
            None => self.name(),
        };
        if self.fill_step(durable, &path).is_err() {
            self.given_up = true;
            self.filling = None;
            // What stays is removed when the spool is opened again.
            let _ = durable.remove(&path);
        }
    }

    fn fill_step(&mut self, durable: &Durable, path: &Path) -> Result<(), Error> {
        let mut filling = match self.filling.take() {
            Some(filling) => filling,
            None => Filling {
                path: path.to_owned(),
                file: durable.create(path)?,
                filled: 0,
            },
        };
        let rest = self.octets.saturating_sub(filling.filled);
        let step = usize::try_from(rest).map_or(STEP, |rest| rest.min(STEP));
        let file = &*filling.file;
        file.write_all_at(&vec![0; step], filling.filled)
            .at("write", path)?;
        filling.filled += step as u64;
        if filling.filled < self.octets {
            self.filling = Some(filling);
            return Ok(());
        }
        durable.sync(file, path)?;
        self.ready.push(filling.path);
        Ok(())
    }
}
