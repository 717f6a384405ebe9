//! Taking up where an index left off.

use std::collections::BTreeMap;
use std::time::Duration;

use super::meta::Meta;
use super::scan::Found;
use super::{Folder, Known, Side};
use crate::durable::{File, Kind, Stat, read_full_at};
use crate::error::Error;
use crate::flags::Flags;
use crate::index::Facts;
use crate::index::codec::{Cursor, put_number, put_string, put_time};
use crate::table::Table;

/// A file changed within this time of when it was looked at may change again without its time telling.
const GRANULARITY: Duration = Duration::from_secs(2);
/// Octets at the end of the file that must be as they were.
const TAIL: u64 = 1024;

/// What the index says of the file as a whole.
struct Site {
    seen: Stat,
    /// It was old when it was looked at: the same time tells the same file.
    is_settled: bool,
    tail: u32,
}

impl Site {
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(33);
        out.extend_from_slice(&self.seen.len.to_le_bytes());
        out.extend_from_slice(&self.seen.inode.to_le_bytes());
        put_time(&mut out, self.seen.modified);
        out.extend_from_slice(&self.seen.mode.to_le_bytes());
        out.push(u8::from(self.is_settled));
        out.extend_from_slice(&self.tail.to_le_bytes());
        out
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(octets);
        Some(Self {
            seen: Stat {
                kind: Kind::File,
                len: cursor.u64()?,
                inode: cursor.u64()?,
                modified: cursor.time()?,
                mode: cursor.u32()?,
            },
            is_settled: cursor.u8()? == 1,
            tail: cursor.u32()?,
        })
    }
}

/// A sum of the last octets below `len`; nothing when they are not there.
fn tail(file: &dyn File, len: u64) -> Option<u32> {
    let from = len.saturating_sub(TAIL);
    let mut octets = vec![0; usize::try_from(len - from).ok()?];
    let read = read_full_at(file, &mut octets, from).ok()?;
    (read == octets.len()).then(|| crc32fast::hash(&octets))
}

fn put_found(out: &mut Vec<u8>, found: &Found) {
    put_number(out, found.from);
    for place in [found.header, found.blank, found.body, found.end] {
        put_number(out, place.saturating_sub(found.from));
    }
    put_time(out, found.date);
    out.extend_from_slice(&found.hash.to_le_bytes());
    let bits = [found.counted, found.slot.is_some(), found.claimed];
    let bits = bits.into_iter().zip(0u8..);
    out.push(bits.fold(0, |bits, (set, place)| bits | u8::from(set) << place));
    if let Some((at, width)) = found.slot {
        put_number(out, at.saturating_sub(found.from));
        put_number(out, width as u64);
    }
    put_number(out, found.hidden.len() as u64);
    for (start, end) in &found.hidden {
        put_number(out, start.saturating_sub(found.from));
        put_number(out, end.saturating_sub(*start));
    }
    let meta = &found.meta;
    out.push(meta.flags.bits());
    put_strings(out, &meta.keywords);
    let (validity, last) = meta.base.unwrap_or_default();
    put_number(out, validity.into());
    put_number(out, last.into());
    put_strings(out, &meta.listed);
    put_string(out, meta.delivery.as_deref().unwrap_or("").as_bytes());
}

fn put_strings(out: &mut Vec<u8>, strings: &[String]) {
    put_number(out, strings.len() as u64);
    for string in strings {
        put_string(out, string.as_bytes());
    }
}

fn read_found(octets: &[u8], uid: u32) -> Option<Found> {
    let cursor = &mut Cursor(octets);
    let from = cursor.number()?;
    let mut place = || from.checked_add(cursor.number()?);
    let (header, blank, body, end) = (place()?, place()?, place()?, place()?);
    let date = cursor.time()?;
    let hash = cursor.u32()?;
    let bits = cursor.u8()?;
    let slot = if bits & 2 == 0 {
        None
    } else {
        let at = from.checked_add(cursor.number()?)?;
        Some((at, usize::try_from(cursor.number()?).ok()?))
    };
    let mut hidden = Vec::new();
    for _ in 0..cursor.number()? {
        let start = from.checked_add(cursor.number()?)?;
        hidden.push((start, start.checked_add(cursor.number()?)?));
    }
    let flags = Flags::from_bits(cursor.u8()?);
    let keywords = read_strings(cursor)?;
    let validity = u32::try_from(cursor.number()?).ok()?;
    let last = u32::try_from(cursor.number()?).ok()?;
    let listed = read_strings(cursor)?;
    let delivery = String::from_utf8(cursor.string()?.to_vec()).ok()?;
    // The sums keep out what a crash tore, and not what somebody made up.
    let runs = || hidden.iter().flat_map(|&(start, end)| [start, end]);
    let within = header..=blank;
    let is_sound = [from, header, blank, body, end].is_sorted()
        && runs().is_sorted()
        && runs().all(|at| within.contains(&at))
        && slot.is_none_or(|(at, width)| within.contains(&at) && (width as u64) <= blank - at);
    is_sound.then_some(())?;
    Some(Found {
        from,
        header,
        blank,
        body,
        end,
        date,
        meta: Meta {
            uid,
            flags,
            keywords,
            base: (validity > 0).then_some((validity, last)),
            listed,
            delivery: Some(delivery).filter(|delivery| !delivery.is_empty()),
        },
        hidden,
        slot,
        hash,
        claimed: bits & 4 != 0,
        counted: bits & 1 != 0,
    })
}

fn read_strings(cursor: &mut Cursor<'_>) -> Option<Vec<String>> {
    let mut strings = Vec::new();
    for _ in 0..cursor.number()? {
        strings.push(String::from_utf8(cursor.string()?.to_vec()).ok()?);
    }
    Some(strings)
}

impl Folder {
    /// Takes the state from the index; false when there is none, or it is of another mailbox.
    pub(super) fn restore(&mut self) -> Result<bool, Error> {
        let durable = self.shared.durable.clone();
        let Known::Side(side) = Side::look(&durable, &self.site.state())? else {
            return Ok(false);
        };
        let Some(loaded) = self.index.load(&durable, side.modseq_ceiling) else {
            return Ok(false);
        };
        let slots = &self.index.slots;
        let found = loaded.messages.iter().map(|message| {
            let found = read_found(slots.get(message.uid)?, message.uid)?;
            Some((message.uid, found))
        });
        let found: Option<BTreeMap<u32, Found>> = found.collect();
        let site = Site::read(&loaded.state.site);
        let (Some(found), Some(site)) = (found, site) else {
            self.index.discard();
            return Ok(false);
        };
        let stat = durable.stat_maybe(&self.site.file)?;
        let file = self.file.as_deref();
        let is_same = file.and_then(|file| tail(file, site.seen.len)) == Some(site.tail);
        if side.uid_validity != loaded.uid_validity || !is_same {
            self.index.discard();
            return Ok(false);
        }
        self.index.slots.forget_places();
        let is_settled = site.is_settled && stat == Some(site.seen);
        let mut messages = loaded.messages;
        let mut highest = loaded.state.highest_modseq;
        let mut forgotten = loaded.state.forgotten;
        self.is_alone = loaded.is_latest;
        if loaded.is_latest {
            // What a closed index does not tell is reserved anew, so that it is not taken for the latest again.
            self.must_reserve = loaded.state.closed;
        } else {
            highest = highest.max(side.modseq_ceiling);
            if !is_settled {
                // Sequences may have been given that the index lost.
                for message in &mut messages {
                    message.modseq = highest;
                }
                forgotten = highest;
            }
        }
        let uid_next = loaded.state.uid_next.max(side.uid_next);
        self.table = Table::new(side.uid_validity, uid_next, highest)
            .with_keyword_names(&loaded.keyword_names)
            .remembering(messages, loaded.vanished, forgotten);
        self.side = side;
        self.found = found;
        self.seen = Some(site.seen);
        if !site.is_settled {
            self.read_anew();
        }
        Ok(true)
    }

    /// Tells the index what changed.
    pub(super) fn save_index(&mut self, closed: bool) {
        let Some((seen, file)) = self.seen.zip(self.file.as_deref()) else {
            return;
        };
        if self.saved == Some(seen) && !self.table.has_news() && !closed {
            return;
        }
        let Some(tail) = tail(file, seen.len) else {
            return;
        };
        let distance = self
            .seen_at
            .duration_since(seen.modified)
            .unwrap_or_else(|error| error.duration());
        let site = Site {
            seen,
            is_settled: distance > GRANULARITY,
            tail,
        };
        let facts = Facts {
            ceiling: self.side.modseq_ceiling,
            site: site.write(),
        };
        let found = &self.found;
        let durable = self.shared.durable.clone();
        let saved = self.index.save(
            &durable,
            &mut self.table,
            facts,
            closed,
            &mut |uid, _, out| {
                if let Some(found) = found.get(&uid) {
                    put_found(out, found);
                }
            },
        );
        self.saved = Some(seen);
        if !saved {
            self.must_reserve = true;
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.index.is_open() {
            self.save_index(true);
        }
    }
}
