//! What other programs did: new files, renamed flags, deletions.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Entry, Folder, name, name_of, path_of};
use crate::durable::{Durable, Kind, Stat};
use crate::error::Error;
use crate::index::Slots;
use crate::table::Message;

/// A directory's modification time, when its names were read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified: SystemTime,
    pub(super) age: Age,
}

/// What the same time says at the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// It was old when the names were read: nothing has changed since.
    Settled,
    /// It was so new that a later change may have left it the same.
    Recent,
    /// It is of a change made here. Another's change in the same instant is looked for once time has passed, so
    /// that a session's own work does not make it read the directory each time.
    Own,
}

/// Coarsest modification time of the file systems there are.
const GRANULARITY: Duration = Duration::from_secs(2);

impl Stamp {
    fn new(modified: SystemTime, now: SystemTime) -> Self {
        Self {
            modified,
            age: if far(modified, now) {
                Age::Settled
            } else {
                Age::Recent
            },
        }
    }

    /// Of a directory that is to be read again, whatever time it has.
    pub(super) fn doubted(self) -> Self {
        Self {
            age: Age::Recent,
            ..self
        }
    }

    fn unchanged(self, modified: SystemTime, now: SystemTime) -> bool {
        self.modified == modified
            && match self.age {
                Age::Settled => true,
                Age::Recent => false,
                Age::Own => !far(modified, now),
            }
    }
}

fn far(modified: SystemTime, now: SystemTime) -> bool {
    let distance = now
        .duration_since(modified)
        .unwrap_or_else(|error| error.duration());
    distance > GRANULARITY
}

/// So often is a file that has another name by now looked for.
const SEARCHES: usize = 4;

/// Whether a name in `new` or `cur` is a message's. A directory could be neither read nor expunged; what else is no
/// file is told of, so that it can be expunged.
pub(super) fn is_message(name: &[u8], kind: Kind) -> bool {
    kind != Kind::Directory && !name.starts_with(b".") && is_listable(name)
}

/// Whether a UID list can hold the name. One that begins with its flags has no base, and one with a line end would be
/// read as two lines, with a UID of whose making it is. Dovecot passes over these too.
pub(super) fn is_listable(name: &[u8]) -> bool {
    name.first().is_some_and(|&first| first != b':')
        && memchr::memchr2(b'\n', b'\r', name).is_none()
}

/// Files by their base.
pub(super) type Found = HashMap<Box<[u8]>, Entry>;

/// `None` where no file is, as behind a link that leads nowhere or to itself.
pub(super) fn stat_message(durable: &Durable, path: &Path) -> Result<Option<Stat>, Error> {
    match durable.stat_maybe(path) {
        Err(error) if error.is_no_file_of_ours() => Ok(None),
        other => other,
    }
}

impl Folder {
    /// Brings the table up to what is on the disk; `force` reads the directories whatever their times say.
    pub(super) fn look(&mut self, now: SystemTime, force: bool) -> Result<(), Error> {
        self.now = now;
        self.keywords.refresh(&self.shared.durable)?;
        self.table.set_keyword_names(&self.keywords.names);
        let outrun = self.is_outrun()?;
        let force = self.reread_list(now, false)? || force || outrun || self.list_suspect;
        let new_modified = self.durable().stat(&self.new)?.modified;
        let cur_modified = self.durable().stat(&self.cur)?.modified;
        let scan_new = force
            || !self
                .new_stamp
                .is_some_and(|stamp| stamp.unchanged(new_modified, now));
        let scan_cur = force
            || !self
                .cur_stamp
                .is_some_and(|stamp| stamp.unchanged(cur_modified, now));
        if !scan_new && !scan_cur {
            self.table.raise_uid_next(self.list.uid_next);
            return Ok(());
        }
        self.ordered(|folder| folder.scan_both(scan_new, scan_cur, force, now))
    }

    /// Reads the directories that may have changed.
    fn scan_both(
        &mut self,
        scan_new: bool,
        scan_cur: bool,
        force: bool,
        now: SystemTime,
    ) -> Result<(), Error> {
        // Another process may have been at work while this one waited for its turn: UIDs of a list are taken over
        // with their messages, or never.
        let seen = self.list_seen;
        self.load_list(now)?;
        let force = self.reread_list(now, false)? || self.list_seen != seen || force;
        let new_modified = self.durable().stat(&self.new)?.modified;
        let cur_modified = self.durable().stat(&self.cur)?.modified;
        let changed = |stamp: Option<Stamp>, modified| {
            force || !stamp.is_some_and(|stamp| stamp.unchanged(modified, now))
        };
        let scan_new = scan_new || changed(self.new_stamp, new_modified);
        let scan_cur = scan_cur || changed(self.cur_stamp, cur_modified);
        self.begin_look()?;
        let (mut found, mut doubles) = (Found::new(), Vec::new());
        if scan_new {
            doubles.extend(self.scan(&self.new, true, &mut found)?);
        }
        if scan_cur {
            doubles.extend(self.scan(&self.cur, false, &mut found)?);
        } else {
            doubles.extend(self.known_elsewhere(&found));
        }
        self.part(&mut found, doubles, now)?;
        if scan_cur {
            self.remove_missing(&mut found, force)?;
        }
        self.update_known(&mut found)?;
        let moved = self.add_unknown(found, now)?;
        // Only now is what another program's list told in the table too.
        self.table.raise_uid_next(self.list.uid_next);
        self.new_stamp = Some(Stamp::new(new_modified, now));
        if scan_cur {
            self.cur_stamp = Some(Stamp::new(cur_modified, now));
        }
        self.end_look()?;
        if moved {
            // The renames made here are known; a change of another's beside them is found once time has settled.
            self.stamp_own_change();
        }
        Ok(())
    }

    /// Takes the time that our own change left in `cur` as seen, to be looked at once more when it has settled.
    pub(super) fn stamp_own_change(&mut self) {
        self.cur_stamp = self.durable().stat(&self.cur).ok().map(|stat| Stamp {
            modified: stat.modified,
            age: Age::Own,
        });
    }

    /// Whether `cur` is as it was left, so that a change made now may be taken as seen.
    pub(super) fn cur_is_seen(&self) -> bool {
        self.durable().stat(&self.cur).is_ok_and(|stat| {
            self.cur_stamp
                .is_some_and(|stamp| stamp.modified == stat.modified)
        })
    }

    /// Finds what is in a directory; gives what was found before of the same bases.
    pub(super) fn scan(
        &self,
        directory: &Path,
        in_new: bool,
        found: &mut Found,
    ) -> Result<Vec<Entry>, Error> {
        let (mut doubles, mut no_files) = (Vec::new(), Vec::new());
        let mut find = |name: Box<[u8]>| {
            // A name in both is mostly one that moved while this looked; the later place, `cur`, counts.
            let base = name::base(&name).into();
            doubles.extend(found.insert(base, Entry { name, in_new }));
        };
        self.durable().readdir(directory, |file_name, kind| {
            let name = file_name.as_bytes();
            match is_message(name, kind) {
                true if kind == Kind::File => find(name.into()),
                true => no_files.push(Box::from(name)),
                false => {}
            }
        })?;
        for name in no_files {
            // A link that leads nowhere would get a UID each time, and never be told of.
            if stat_message(self.durable(), &path_of(directory, &name))?.is_some() {
                find(name);
            }
        }
        Ok(doubles)
    }

    /// Expunges messages that are gone. A file that is renamed while a directory is read may be in neither
    /// answer, so a message must be missing twice; and one that another program has just put into the list must not
    /// be passed over for that, as it would need another UID when it is seen.
    fn remove_missing(&mut self, found: &mut Found, listed: bool) -> Result<(), Error> {
        let missing = |files: &Slots, found: &Found| -> Vec<u32> {
            let gone = files
                .iter()
                .filter(|(_, place)| !found.contains_key(name::base(name_of(place))));
            gone.map(|(uid, _)| uid).collect()
        };
        let first = self.cur_stamp.is_none() && self.index.slots.len() == 0;
        let shown = if first { 0 } else { self.table.view().uid_next };
        let passed_over = listed
            && self
                .list
                .bases_from(shown)
                .any(|base| !found.contains_key(base));
        if !passed_over && missing(&self.index.slots, found).is_empty() {
            return Ok(());
        }
        let mut gone = Vec::new();
        for _ in 0..SEARCHES {
            let before = self.durable().stat(&self.cur)?.modified;
            self.scan(&self.new, true, found)?;
            self.scan(&self.cur, false, found)?;
            gone = missing(&self.index.slots, found);
            // While names change, one that is there may be passed over more than once.
            if gone.is_empty() || self.durable().stat(&self.cur)?.modified == before {
                break;
            }
        }
        if !gone.is_empty() {
            self.forget(&gone)?;
        }
        Ok(())
    }

    /// Takes messages out of the table; their files are gone.
    pub(super) fn forget(&mut self, gone: &[u32]) -> Result<Vec<u32>, Error> {
        self.reserve_modseq()?;
        for uid in gone {
            if let Some(place) = self.index.slots.get(*uid) {
                self.list.forget(name::base(name_of(place)));
            }
        }
        self.index.remove(gone);
        Ok(self.table.remove(gone))
    }

    /// Takes over names that changed, and leaves only the messages that are not in the table yet.
    fn update_known(&mut self, found: &mut Found) -> Result<(), Error> {
        let mut changed = Vec::new();
        let mut renamed = Vec::new();
        for (uid, place) in self.index.slots.iter() {
            let Some(now) = found.remove(name::base(name_of(place))) else {
                continue;
            };
            if *now.name != *name_of(place) || place.first() != Some(&u8::from(now.in_new)) {
                changed.push((uid, name::flags(&now.name)));
                renamed.push((uid, now));
            }
        }
        for (uid, entry) in &renamed {
            self.put_entry(*uid, entry);
        }
        changed.retain(|(uid, (flags, keywords))| {
            self.table
                .message(*uid)
                .is_some_and(|known| (known.flags, known.keywords) != (*flags, *keywords))
        });
        if changed.is_empty() {
            return Ok(());
        }
        self.reserve_modseq()?;
        let modseq = self.table.next_modseq();
        for (uid, (flags, keywords)) in changed {
            self.table.update(uid, |message| {
                message.flags = flags;
                message.keywords = keywords;
                message.modseq = modseq;
            });
        }
        Ok(())
    }

    /// Gives UIDs to messages that have none, moves those in `new` to `cur` and puts all into the table. True
    /// when something was moved.
    fn add_unknown(&mut self, mut found: Found, now: SystemTime) -> Result<bool, Error> {
        if found.is_empty() && !self.list_suspect {
            return Ok(false);
        }
        let first = self.cur_stamp.is_none() && self.index.slots.len() == 0;
        let shown = self.table.view().uid_next;
        let mut fresh: Vec<Box<[u8]>> = Vec::new();
        for base in found.keys() {
            match self.list.uid(base) {
                // A UID that was shown as gone does not come back; neither does one that was passed over.
                Some(uid) if uid < shown && !first => {}
                Some(_) => continue,
                None => {}
            }
            fresh.push(base.clone());
        }
        if !fresh.is_empty() || self.list_suspect {
            fresh.sort_unstable_by(|a, b| name::arrival(a).cmp(&name::arrival(b)));
            let lock = self.lock_list(now)?;
            if self.reread_list(now, true)? {
                // Another program gave UIDs just now: to these files, or to others, which go before these.
                let mut listed = Found::new();
                self.scan(&self.new, true, &mut listed)?;
                self.scan(&self.cur, false, &mut listed)?;
                listed.retain(|base, _| self.list.uid(base).is_some_and(|uid| uid >= shown));
                found.extend(listed);
                fresh.retain(|base| self.list.uid(base).is_none_or(|uid| uid < shown && !first));
            }
            if !self.list.has_room(fresh.len()) {
                drop(lock);
                self.begin_anew(now)?;
                return self.look(now, true).map(|()| false);
            }
            self.assign(&fresh)?;
        }
        if !first {
            self.reserve_modseq()?;
        }
        let modseq = if first {
            self.table.view().highest_modseq
        } else {
            self.table.next_modseq()
        };
        let mut moved = false;
        let mut messages = Vec::with_capacity(found.len());
        for _ in 0..SEARCHES {
            let mut renamed = Vec::new();
            for (base, mut entry) in found.drain() {
                let Some(uid) = self.list.uid(&base) else {
                    continue;
                };
                let recent = entry.in_new;
                if entry.in_new {
                    moved |= self.move_to_cur(&mut entry)?;
                }
                let Some(stat) = stat_message(self.durable(), &self.entry_path(&entry))? else {
                    renamed.push(base);
                    continue;
                };
                let (flags, keywords) = name::flags(&entry.name);
                let size = name::size(&entry.name, b'W').or_else(|| self.list.wire_size(&base));
                messages.push(Message {
                    uid,
                    flags,
                    keywords,
                    modseq,
                    internal_date: stat.modified,
                    save_date: name::save_date(&base),
                    size,
                });
                self.put_entry(uid, &entry);
                if recent {
                    self.table.add_recent(uid);
                }
            }
            if renamed.is_empty() {
                break;
            }
            // By another program, in this moment: passed over, a message would need another UID later.
            let mut again = Found::new();
            self.scan(&self.new, true, &mut again)?;
            self.scan(&self.cur, false, &mut again)?;
            found.extend(renamed.iter().filter_map(|base| again.remove_entry(base)));
        }
        self.table.insert(messages);
        Ok(moved)
    }

    /// A folder that may not be written to is served from `new`.
    fn move_to_cur(&self, entry: &mut Entry) -> Result<bool, Error> {
        let mut to = entry.name.to_vec();
        if !to.contains(&b':') {
            to.extend_from_slice(b":2,");
        }
        match self.rename_file(entry, &path_of(&self.new, &entry.name), &to) {
            Ok(()) => {
                *entry = Entry {
                    name: to.into(),
                    in_new: false,
                };
                Ok(true)
            }
            Err(error) if error.is_not_found() || error.is_not_allowed() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
