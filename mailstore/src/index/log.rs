//! The index's file: a header that says where the log ends, then frames, each checked by a sum that takes in the
//! one before it. `docs/format.md` has every octet.

use std::path::{Path, PathBuf};

use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};

const MAGIC: &[u8; 8] = b"PHINDEX1";
/// Octets of the header before the slot.
const FIXED: usize = 24;
/// Octets of the header.
const HEADER: usize = 40;
/// Octets before a frame's body.
const FRAME: usize = 8;
/// An index above this is not read: about 16 million messages.
const LIMIT: u64 = 4 << 30;

/// An index's file that this process writes.
pub(super) struct Log {
    path: PathBuf,
    file: Box<dyn File>,
    salt: u64,
    /// Octets that count.
    end: u64,
    /// The last frame's sum.
    sum: u32,
    /// Octets of the first frame.
    first: u64,
}

/// A log as it was read.
pub(super) struct Read {
    pub(super) uid_validity: u32,
    /// The file's octets, up to its end.
    pub(super) octets: Vec<u8>,
    /// Where the bodies of the frames are.
    pub(super) bodies: Vec<std::ops::Range<usize>>,
    log: Log,
}

impl Read {
    /// The log to go on with; nothing when another process has it.
    pub(super) fn claim(self) -> Result<(Option<Log>, Vec<u8>), Error> {
        let claimed = self.log.file.try_claim().at("lock", &self.log.path)?;
        Ok((claimed.then_some(self.log), self.octets))
    }
}

fn sum(before: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_le_bytes());
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

fn fixed(uid_validity: u32, salt: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&salt.to_le_bytes());
    out.extend_from_slice(&uid_validity.to_le_bytes());
    let check = crc32fast::hash(&out);
    out.extend_from_slice(&check.to_le_bytes());
    out
}

/// Where the log ends and with which sum.
fn slot(salt: u64, end: u64, last: u32) -> [u8; HEADER - FIXED] {
    let mut out = [0; HEADER - FIXED];
    let check = sum(
        last,
        &[&salt.to_le_bytes(), &end.to_le_bytes(), b"posthaste"],
    );
    let octets = end
        .to_le_bytes()
        .into_iter()
        .chain(last.to_le_bytes())
        .chain(check.to_le_bytes());
    for (slot, octet) in out.iter_mut().zip(octets) {
        *slot = octet;
    }
    out
}

fn frame(before: u32, body: &[u8]) -> Option<(Vec<u8>, u32)> {
    let len = u32::try_from(body.len()).ok()?.to_le_bytes();
    let sum = sum(before, &[&len, body]);
    let mut out = Vec::with_capacity(FRAME + body.len());
    out.extend_from_slice(&len);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(body);
    Some((out, sum))
}

/// The sum that the first frame takes in.
fn seed(salt: u64) -> u32 {
    crc32fast::hash(&salt.to_le_bytes())
}

/// Reads a log; nothing when there is none, or when one octet of it is not as it was written.
pub(super) fn read(durable: &Durable, path: &Path) -> Result<Option<Read>, Error> {
    let file = match durable.open_own_write(path) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER];
    let read = read_full_at(&*file, &mut header, 0).at("read", path)?;
    let parsed = header.get(..read).and_then(parse_header);
    let Some((salt, uid_validity, end, last)) = parsed.filter(|(_, _, end, _)| *end <= LIMIT)
    else {
        return Ok(None);
    };
    // A header can be made by anybody, and memory for what it promises must be there in the file.
    if file.stat().at("stat", path)?.len < end {
        return Ok(None);
    }
    let octets = crate::durable::read_all(&*file, end).at("read", path)?;
    let Some(bodies) = frames(&octets, end, salt, last) else {
        return Ok(None);
    };
    let first = bodies.first().map_or(0, |body| body.len() as u64);
    Ok(Some(Read {
        uid_validity,
        octets,
        bodies,
        log: Log {
            path: path.to_owned(),
            file,
            salt,
            end,
            sum: last,
            first,
        },
    }))
}

fn parse_header(header: &[u8]) -> Option<(u64, u32, u64, u32)> {
    let mut cursor = super::codec::Cursor(header);
    let magic: [u8; 8] = cursor.array()?;
    let salt = cursor.u64()?;
    let uid_validity = cursor.u32()?;
    let end_at = header.get(FIXED..)?;
    let end = u64::from_le_bytes(*end_at.first_chunk()?);
    let last = u32::from_le_bytes(*end_at.get(8..)?.first_chunk()?);
    let whole = magic == *MAGIC
        && header.get(..FIXED)? == fixed(uid_validity, salt)
        && *end_at == slot(salt, end, last);
    whole.then_some((salt, uid_validity, end, last))
}

fn frames(octets: &[u8], end: u64, salt: u64, last: u32) -> Option<Vec<std::ops::Range<usize>>> {
    (octets.len() as u64 == end).then_some(())?;
    let mut bodies = Vec::new();
    let mut before = seed(salt);
    let mut at = HEADER;
    while at < octets.len() {
        let mut cursor = super::codec::Cursor(octets.get(at..)?);
        let len: [u8; 4] = cursor.array()?;
        let told = cursor.u32()?;
        let body = cursor.octets(usize::try_from(u32::from_le_bytes(len)).ok()?)?;
        (sum(before, &[&len, body]) == told).then_some(())?;
        before = told;
        let from = at + FRAME;
        at = from + body.len();
        bodies.push(from..at);
    }
    (before == last && !bodies.is_empty()).then_some(bodies)
}

impl Log {
    /// Puts a log of one frame in place of what is there. It is not synced: a torn one is read as none.
    ///
    /// Nothing is given when another process took the new file before this one could.
    pub(super) fn create(
        durable: &Durable,
        path: &Path,
        uid_validity: u32,
        salt: u64,
        body: &[u8],
    ) -> Result<Option<Self>, Error> {
        let Some((frame, sum)) = frame(seed(salt), body) else {
            return Ok(None);
        };
        let end = (HEADER + frame.len()) as u64;
        let mut content = fixed(uid_validity, salt);
        content.extend_from_slice(&slot(salt, end, sum));
        content.extend_from_slice(&frame);
        durable.publish(path, &content)?;
        let file = durable.open_own_write(path)?;
        if !file.try_claim().at("lock", path)? {
            return Ok(None);
        }
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            salt,
            end,
            sum,
            first: body.len() as u64,
        }))
    }

    /// Adds a frame; it counts once the header says so.
    pub(super) fn append(&mut self, body: &[u8]) -> Result<(), Error> {
        let Some((frame, sum)) = frame(self.sum, body) else {
            return Err(Error::TooLarge {
                octets: body.len(),
                limit: u32::MAX as usize,
            });
        };
        self.file
            .write_all_at(&frame, self.end)
            .at("write", &self.path)?;
        let end = self.end + frame.len() as u64;
        self.file
            .write_all_at(&slot(self.salt, end, sum), FIXED as u64)
            .at("write", &self.path)?;
        self.end = end;
        self.sum = sum;
        Ok(())
    }

    /// Whether the log is so long that writing it anew is cheaper than reading it.
    pub(super) fn is_long(&self) -> bool {
        self.end > (64 << 10) + 2 * self.first
    }
}
