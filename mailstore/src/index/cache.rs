//! The digests' file: records that are written once and read by their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};

const MAGIC: &[u8; 8] = b"PHCACHE1";
const HEADER: usize = 20;
/// Octets before a record's digest.
const RECORD: usize = 20;
/// A digest above this is made anew each time, so that no message fills the disk with what it makes of itself.
pub(super) const LIMIT: usize = 256 << 10;
/// Records that lie as near as this are read in one piece.
const NEAR: u64 = 16 << 10;
/// Octets read at once at most.
const PIECE: u64 = 1 << 20;

/// Where a record is; `len` 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) at: u64,
    pub(super) len: u32,
}

impl Place {
    pub(crate) fn is_none(self) -> bool {
        self.len == 0
    }

    /// The place, if it can be a record's in a file of so many octets.
    pub(super) fn within(self, end: u64) -> Self {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        let behind = self.at.checked_add(RECORD as u64 + u64::from(self.len));
        match len <= LIMIT && behind.is_some_and(|behind| behind <= end) {
            true => self,
            false => Self::default(),
        }
    }
}

/// One record that is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) uid: u32,
    pub(crate) tag: u64,
    pub(crate) place: Place,
}

/// An open digest file that threads read without a lock.
#[derive(Clone)]
pub(crate) struct CacheFile {
    file: Arc<dyn File>,
    generation: u64,
}

/// The digest file of a mailbox, as its index knows it.
pub(super) struct Cache {
    path: PathBuf,
    /// 0: there is none.
    pub(super) generation: u64,
    end: u64,
    open: Option<CacheFile>,
}

fn header(generation: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&generation.to_le_bytes());
    let check = crc32fast::hash(&out);
    out.extend_from_slice(&check.to_le_bytes());
    out
}

/// `len`, UID, tag, then the sum of these, the generation, the place and the digest.
fn record_head(generation: u64, at: u64, uid: u32, tag: u64, digest: &[u8]) -> Vec<u8> {
    let len = u32::try_from(digest.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(RECORD + digest.len());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&uid.to_le_bytes());
    out.extend_from_slice(&tag.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&generation.to_le_bytes());
    hasher.update(&at.to_le_bytes());
    hasher.update(&out);
    hasher.update(digest);
    out.extend_from_slice(&hasher.finalize().to_le_bytes());
    out
}

impl Cache {
    pub(super) fn new(path: PathBuf, generation: u64, end: u64) -> Self {
        Self {
            path,
            generation,
            end,
            open: None,
        }
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The file, when it is the one that the index speaks of.
    pub(super) fn file(&mut self, durable: &Durable) -> Option<CacheFile> {
        if self.open.is_none() && self.generation != 0 {
            let file = durable.open_own_write(&self.path).ok()?;
            let mut octets = [0; HEADER];
            let read = read_full_at(&*file, &mut octets, 0).ok()?;
            if octets.get(..read)? != header(self.generation) {
                self.generation = 0;
                return None;
            }
            self.open = Some(CacheFile {
                file: Arc::from(file),
                generation: self.generation,
            });
        }
        self.open.clone()
    }

    /// Begins a new file.
    pub(super) fn create(&mut self, durable: &Durable, generation: u64) -> Result<(), Error> {
        self.open = None;
        self.generation = 0;
        durable.publish(&self.path, &header(generation))?;
        let file = durable.open_own_write(&self.path)?;
        self.open = Some(CacheFile {
            file: Arc::from(file),
            generation,
        });
        self.generation = generation;
        self.end = HEADER as u64;
        Ok(())
    }

    /// Adds digests in one write; gives their places.
    pub(super) fn append(&mut self, digests: &[(Wanted, &[u8])]) -> Result<Vec<Place>, Error> {
        let Some(open) = &self.open else {
            return Ok(Vec::new());
        };
        let mut out = Vec::new();
        let mut places = Vec::with_capacity(digests.len());
        for (wanted, digest) in digests {
            let at = self.end + out.len() as u64;
            out.extend(record_head(
                self.generation,
                at,
                wanted.uid,
                wanted.tag,
                digest,
            ));
            out.extend_from_slice(digest);
            let len = u32::try_from(digest.len()).unwrap_or(0);
            places.push(Place { at, len });
        }
        open.file
            .write_all_at(&out, self.end)
            .at("write", &self.path)?;
        self.end += out.len() as u64;
        Ok(places)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl CacheFile {
    /// The digests at these places; nothing for one that is not what was written there.
    pub(crate) fn read(&self, wanted: &[Wanted]) -> Vec<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(wanted.len());
        let mut piece = Piece::default();
        for (index, one) in wanted.iter().enumerate() {
            if !one.place.is_none() && !piece.holds(one.place) {
                piece = self.piece(wanted.get(index..).unwrap_or_default());
            }
            out.push(piece.record(self.generation, one));
        }
        out
    }

    /// A record with its tag, to be written elsewhere.
    pub(super) fn copy(&self, uid: u32, place: Place) -> Option<(Wanted, Vec<u8>)> {
        let mut head = [0; RECORD];
        read_full_at(&*self.file, &mut head, place.at).ok()?;
        let tag = u64::from_le_bytes(*head.get(8..)?.first_chunk()?);
        let wanted = Wanted { uid, tag, place };
        let digest = self.piece(&[wanted]).record(self.generation, &wanted)?;
        Some((wanted, digest))
    }

    /// The first place's record and those behind it that are near.
    fn piece(&self, wanted: &[Wanted]) -> Piece {
        let mut places = wanted
            .iter()
            .map(|one| one.place)
            .filter(|place| !place.is_none());
        let Some(first) = places.next() else {
            return Piece::default();
        };
        let ends = |place: Place| place.at + RECORD as u64 + u64::from(place.len);
        let mut end = ends(first);
        for place in places {
            if place.at < first.at || place.at > end + NEAR || ends(place) - first.at > PIECE {
                break;
            }
            end = end.max(ends(place));
        }
        let mut octets = vec![0; usize::try_from(end - first.at).unwrap_or(0)];
        // What cannot be read is made anew from the message.
        let read = read_full_at(&*self.file, &mut octets, first.at).unwrap_or(0);
        octets.truncate(read);
        Piece {
            at: first.at,
            octets,
        }
    }
}

#[derive(Default)]
struct Piece {
    at: u64,
    octets: Vec<u8>,
}

impl Piece {
    fn range(&self, place: Place) -> Option<&[u8]> {
        let from = usize::try_from(place.at.checked_sub(self.at)?).ok()?;
        let len = RECORD + usize::try_from(place.len).ok()?;
        self.octets.get(from..from.checked_add(len)?)
    }

    fn holds(&self, place: Place) -> bool {
        self.range(place).is_some()
    }

    fn record(&self, generation: u64, wanted: &Wanted) -> Option<Vec<u8>> {
        if wanted.place.is_none() {
            return None;
        }
        let (head, digest) = self.range(wanted.place)?.split_at_checked(RECORD)?;
        let told = record_head(generation, wanted.place.at, wanted.uid, wanted.tag, digest);
        (*head == told).then(|| digest.to_vec())
    }
}
