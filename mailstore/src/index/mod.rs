//! The index of a mailbox: what can be told of its messages without opening them.
//!
//! Two files beside the mail. The *index* is a log: each change of the mailbox adds a frame, and when the log
//! is long it is written anew. It says of each message where it is, its flags, dates, sizes and modification
//! sequence, and of the mailbox by what it is seen whether somebody else changed it. The *cache* holds the
//! [`Digest`] of each message that was asked for: envelope, structure, header fields, preview.
//!
//! Both can be made again from the mail, so neither is ever synced, and no acknowledgement waits for them. What a
//! crash left of them is believed only if every sum is right; then what they say is compared with the mail.

mod cache;
pub(crate) mod codec;
mod digest;
mod log;
mod record;
mod slots;

use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

pub(crate) use cache::{CacheFile, Wanted};
pub(crate) use digest::build;
pub use digest::{Addresses, Digest, Envelope, EnvelopeAddress, INDEXED_FIELDS, Indexed};
pub(crate) use record::State;
pub(crate) use slots::Slots;

use crate::durable::Durable;
use crate::table::{Message, Table};
use cache::{Cache, Place};
use codec::Cursor;
use log::Log;
use record::Record;

/// The cache is written anew when less than a half of it is in use, and at least this much is not.
const WASTE: u64 = 1 << 20;

/// What an index said when it was opened.
pub(crate) struct Loaded {
    pub(crate) uid_validity: u32,
    pub(crate) state: State,
    pub(crate) keyword_names: Vec<String>,
    /// Ascending by UID.
    pub(crate) messages: Vec<Message>,
    /// Expunges as (modification sequence, UID), ascending.
    pub(crate) vanished: Vec<(u64, u32)>,
    /// Every modification sequence that this mailbox ever gave is in it: it was written under the same run of
    /// the system or closed, nobody reserved sequences behind it, and nobody else writes it now.
    pub(crate) is_latest: bool,
}

/// What the format adds to what the table says.
pub(crate) struct Facts {
    /// See [`State::ceiling`].
    pub(crate) ceiling: u64,
    /// See [`State::site`].
    pub(crate) site: Vec<u8>,
}

/// The index of one mailbox, in memory and on the disk.
pub(crate) struct Index {
    pub(crate) slots: Slots,
    path: PathBuf,
    cache: Cache,
    /// Octets of the cache that slots lead to.
    live: u64,
    keeping: Keeping,
    /// As of the last frame.
    written: Option<State>,
    keywords: Vec<String>,
    boot: u128,
}

enum Keeping {
    /// A log of this process, for this UIDVALIDITY.
    Log(Log, u32),
    /// To be made with the next save.
    Nothing,
    /// Not kept: another process keeps it, the disk refused it, or it is not wanted.
    Never,
}

/// No mailbox comes so far, with sequences or with octets.
const GREATEST: u64 = 1 << 62;

/// A number that no other file has.
fn fresh() -> u64 {
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.finish().max(1)
}

impl Index {
    /// An index that is not read from the disk, and kept there if `kept`.
    pub(crate) fn new(path: PathBuf, cache: PathBuf, kept: bool, durable: &Durable) -> Self {
        Self {
            slots: Slots::default(),
            path,
            cache: Cache::new(cache, 0, 0),
            live: 0,
            keeping: if kept {
                Keeping::Nothing
            } else {
                Keeping::Never
            },
            written: None,
            keywords: Vec::new(),
            boot: durable.boot(),
        }
    }

    /// Reads the index, if there is one to be believed. `ceiling` is what the disk says of modification
    /// sequences that may have been given.
    pub(crate) fn load(&mut self, durable: &Durable, ceiling: u64) -> Option<Loaded> {
        if matches!(self.keeping, Keeping::Never) {
            return None;
        }
        // One that cannot be read is made anew; the mail itself says it if the disk fails.
        let read = log::read(durable, &self.path).ok().flatten()?;
        let uid_validity = read.uid_validity;
        let mut building = Building::default();
        for body in read.bodies.clone() {
            let from = body.start;
            let octets = read.octets.get(body)?;
            building.frame(octets, from)?;
        }
        let state = building.state.take()?;
        (uid_validity > 0 && building.is_sound(&state)).then_some(())?;
        let (log, octets) = read.claim().ok()?;
        let is_claimed = log.is_some();
        self.keeping = match log {
            Some(log) => Keeping::Log(log, uid_validity),
            None => Keeping::Never,
        };
        building.messages.retain(|one| !one.is_gone);
        self.slots = Slots::over(octets);
        for one in &building.messages {
            // A place that no record can have is one of another file, or nobody's.
            let digest = one.digest.within(state.cache_end);
            self.slots.put_at(one.message.uid, one.at, one.len, digest);
            self.live += u64::from(digest.len);
        }
        let cache = self.cache.path().to_owned();
        self.cache = Cache::new(cache, state.generation, state.cache_end);
        self.keywords.clone_from(&building.keywords);
        let same_boot = self.boot != 0 && state.boot == self.boot;
        let is_latest = is_claimed && state.ceiling == ceiling && (same_boot || state.closed);
        self.written = Some(state.clone());
        Some(Loaded {
            uid_validity,
            state,
            keyword_names: building.keywords,
            messages: building
                .messages
                .into_iter()
                .map(|one| one.message)
                .collect(),
            vanished: building.vanished,
            is_latest,
        })
    }

    /// Forgets what was read: it is of another mailbox.
    pub(crate) fn discard(&mut self) {
        self.slots.clear();
        self.live = 0;
        self.cache.generation = 0;
        self.written = None;
        if !matches!(self.keeping, Keeping::Never) {
            self.keeping = Keeping::Nothing;
        }
    }

    /// Writes what changed since the last call: messages that the table touched, and `facts` if they are others.
    /// False when the index is lost by it: what it says from now on must not be taken for the latest.
    pub(crate) fn save(
        &mut self,
        durable: &Durable,
        table: &mut Table,
        facts: Facts,
        closed: bool,
        place: &mut dyn FnMut(u32, &Slots, &mut Vec<u8>),
    ) -> bool {
        let news = table.take_news();
        if matches!(self.keeping, Keeping::Never) {
            return true;
        }
        let uid_validity = table.view().uid_validity;
        let state = State {
            uid_next: table.view().uid_next,
            highest_modseq: table.view().highest_modseq,
            forgotten: table.forgotten(),
            ceiling: facts.ceiling,
            boot: self.boot,
            closed,
            generation: self.cache.generation,
            cache_end: self.cache.end(),
            site: facts.site,
        };
        let names = table.view().keyword_names();
        let mut out = Vec::new();
        let anew = match &self.keeping {
            Keeping::Log(log, validity) => *validity != uid_validity || log.is_long(),
            _ => true,
        };
        if !anew
            && news.is_empty()
            && self.written.as_ref() == Some(&state)
            && names == self.keywords
        {
            return true;
        }
        record::put_state(&mut out, &state);
        if anew || names != self.keywords {
            record::put_keywords(&mut out, names);
            self.keywords = names.to_vec();
        }
        let mut octets = Vec::new();
        let mut put = |out: &mut Vec<u8>, slots: &Slots, message: &Message| {
            octets.clear();
            place(message.uid, slots, &mut octets);
            record::put_message(out, message, slots.digest(message.uid), &octets);
        };
        if anew {
            for (modseq, uid) in table.remembered() {
                record::put_gone(&mut out, uid, modseq);
            }
            for message in table.view().messages() {
                put(&mut out, &self.slots, message);
            }
        } else {
            for (modseq, uid) in news.gone {
                record::put_gone(&mut out, uid, modseq);
            }
            for message in news.touched.iter().filter_map(|uid| table.message(*uid)) {
                put(&mut out, &self.slots, message);
            }
        }
        let saved = self.write(durable, uid_validity, anew, &out);
        if saved {
            self.written = Some(state);
        } else {
            self.keeping = Keeping::Never;
            // Best gone; where that fails too, its ceiling tells that it is old.
            let _ = durable.remove(&self.path);
        }
        saved
    }

    fn write(&mut self, durable: &Durable, uid_validity: u32, anew: bool, out: &[u8]) -> bool {
        if let (Keeping::Log(log, _), false) = (&mut self.keeping, anew) {
            return log.append(out).is_ok();
        }
        // Dropped first: its lock would be in the way of nobody else, but its file is no more.
        match Log::create(durable, &self.path, uid_validity, fresh(), out) {
            Ok(Some(log)) => {
                self.keeping = Keeping::Log(log, uid_validity);
                true
            }
            _ => false,
        }
    }

    /// Whether anything but the closing itself was written: an index that was only read stays as it is.
    pub(crate) fn is_open(&self) -> bool {
        self.written.as_ref().is_some_and(|state| !state.closed)
    }

    /// Takes messages out.
    pub(crate) fn remove(&mut self, gone: &[u32]) {
        for uid in gone {
            self.live = self
                .live
                .saturating_sub(u64::from(self.slots.digest(*uid).len));
        }
        self.slots.remove(gone);
    }

    /// Where a message's digest is.
    pub(crate) fn digest(&self, uid: u32) -> Place {
        self.slots.digest(uid)
    }

    /// The digests' file, for reading without the mailbox's lock.
    pub(crate) fn cache(&mut self, durable: &Durable) -> Option<CacheFile> {
        let file = self.cache.file(durable);
        if file.is_none() && self.live > 0 {
            self.slots.forget_digests();
            self.live = 0;
        }
        file
    }

    /// Keeps digests that were made; those of messages that are gone are left out. What cannot be kept is made
    /// again when it is asked for again.
    pub(crate) fn keep_digests(
        &mut self,
        durable: &Durable,
        table: &mut Table,
        made: &[(Wanted, &[u8])],
    ) {
        if matches!(self.keeping, Keeping::Never) {
            return;
        }
        let made: Vec<(Wanted, &[u8])> = made
            .iter()
            .copied()
            .filter(|(wanted, digest)| {
                digest.len() <= cache::LIMIT && table.message(wanted.uid).is_some()
            })
            .collect();
        if made.is_empty() {
            return;
        }
        if self.cache(durable).is_none() {
            self.slots.forget_digests();
            self.live = 0;
            // An old index would lead into the new file: its generation says that it is another.
            if self.cache.create(durable, fresh()).is_err() {
                return;
            }
        }
        if self.cache.end().saturating_sub(self.live) > self.live + WASTE {
            self.shrink_cache(durable, table);
        }
        let Ok(places) = self.cache.append(&made) else {
            return;
        };
        for ((wanted, _), place) in made.iter().zip(places) {
            self.live += u64::from(place.len);
            self.live = self
                .live
                .saturating_sub(u64::from(self.slots.digest(wanted.uid).len));
            self.slots.set_digest(wanted.uid, place);
            table.touch(wanted.uid);
        }
    }

    /// Copies the records in use to a new cache. One that is not as it was written is left out.
    fn shrink_cache(&mut self, durable: &Durable, table: &mut Table) {
        let Some(old) = self.cache(durable) else {
            return;
        };
        if self.cache.create(durable, fresh()).is_err() {
            return self.slots.forget_digests();
        }
        self.live = 0;
        let uids: Vec<u32> = self.slots.iter().map(|(uid, _)| uid).collect();
        for uids in uids.chunks(256) {
            let places = uids.iter().map(|uid| (*uid, self.slots.digest(*uid)));
            let places: Vec<(u32, Place)> = places.filter(|(_, place)| !place.is_none()).collect();
            let kept: Vec<(Wanted, Vec<u8>)> = places
                .iter()
                .filter_map(|(uid, place)| old.copy(*uid, *place))
                .collect();
            let records: Vec<(Wanted, &[u8])> = kept
                .iter()
                .map(|(wanted, digest)| (*wanted, &digest[..]))
                .collect();
            let written = self.cache.append(&records).unwrap_or_default();
            for (uid, _) in places {
                self.slots.set_digest(uid, Place::default());
                table.touch(uid);
            }
            for ((wanted, _), place) in kept.iter().zip(written) {
                self.live += u64::from(place.len);
                self.slots.set_digest(wanted.uid, place);
            }
        }
    }
}

/// One message while an index is read.
struct Built {
    message: Message,
    at: usize,
    len: u32,
    digest: Place,
    is_gone: bool,
}

#[derive(Default)]
struct Building {
    state: Option<State>,
    keywords: Vec<String>,
    messages: Vec<Built>,
    vanished: Vec<(u64, u32)>,
}

impl Building {
    /// Whether the numbers are some that can be gone on from. The sums keep out what a crash tore, and not what somebody
    /// made up.
    fn is_sound(&self, state: &State) -> bool {
        let of_message = |built: &Built| {
            let (uid, modseq) = (built.message.uid, built.message.modseq);
            (1..state.uid_next).contains(&uid) && modseq <= state.highest_modseq
        };
        state.highest_modseq <= GREATEST
            && state.forgotten <= state.highest_modseq
            && state.cache_end <= GREATEST
            && self.messages.iter().all(of_message)
            && self.vanished.is_sorted()
            && self
                .vanished
                .iter()
                .all(|(modseq, _)| *modseq <= state.highest_modseq)
    }

    /// Takes a frame's records; `from` is where the frame's body is in the file.
    fn frame(&mut self, octets: &[u8], from: usize) -> Option<()> {
        let mut cursor = Cursor(octets);
        while !cursor.0.is_empty() {
            match record::read(&mut cursor)? {
                Record::State(state) => self.state = Some(state),
                Record::Keywords(names) => self.keywords = names,
                Record::Message {
                    message,
                    digest,
                    place,
                } => {
                    let end = from + octets.len() - cursor.0.len();
                    self.put(Built {
                        message,
                        at: end - place.len(),
                        len: u32::try_from(place.len()).ok()?,
                        digest,
                        is_gone: false,
                    });
                }
                Record::Gone { uid, modseq } => {
                    self.vanished.push((modseq, uid));
                    // Taken out when all is read: one by one would take the square of the time.
                    if let Ok(index) = self.find(uid)
                        && let Some(built) = self.messages.get_mut(index)
                    {
                        built.is_gone = true;
                    }
                }
            }
        }
        Some(())
    }

    fn find(&self, uid: u32) -> Result<usize, usize> {
        self.messages
            .binary_search_by_key(&uid, |built| built.message.uid)
    }

    fn put(&mut self, built: Built) {
        let uid = built.message.uid;
        if self
            .messages
            .last()
            .is_none_or(|last| last.message.uid < uid)
        {
            return self.messages.push(built);
        }
        match self.find(uid) {
            Ok(index) => {
                if let Some(known) = self.messages.get_mut(index) {
                    *known = built;
                }
            }
            Err(index) => self.messages.insert(index, built),
        }
    }
}
