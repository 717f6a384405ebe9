//! One Maildir folder.

mod change;
mod doubles;
mod incoming;
mod keywords;
pub(crate) mod name;
mod order;
mod reading;
mod restore;
mod scan;
mod uidlist;
mod verify;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use change::{deliver, measure};
pub(crate) use incoming::Incoming;
pub(crate) use order::above_all;
pub(crate) use reading::{Lying, open_message, read_only};
pub(crate) use verify::check;

use crate::account::Shared;
use crate::durable::{Durable, File, Kind, Stat, read_full_at};
use crate::error::{Error, IoContext};
use crate::index::Index;
use crate::lock::DotLock;
use crate::mailbox::OwnChanges;
use crate::object_id::ObjectId;
use crate::table::Table;
use crate::wire::{Extent, Form, Reader, ToWire};
use keywords::KeywordFile;
use scan::Stamp;
use uidlist::UidList;

/// A UID list above this is refused: about a line of 256 octets for each of 16 million messages.
const LIST_LIMIT: u64 = 4 << 30;
/// A list's first line is looked for in so many octets when nothing else of it is wanted.
const LIST_HEADER: usize = 1024;
/// Octets of a message that are counted at once.
const BLOCK: u64 = 64 << 10;
/// Files in `tmp` of this age were left by a crash.
const ABANDONED: Duration = Duration::from_secs(36 * 3600);

/// A directory and the octets of a name in it.
pub(crate) fn path_of(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(name))
}

/// Where a present message is.
#[derive(PartialEq, Eq)]
struct Entry {
    name: Box<[u8]>,
    in_new: bool,
}

/// In the index's slots: 1 for a file in `new` and 0 for one in `cur`, then its name.
fn name_of(place: &[u8]) -> &[u8] {
    place.get(1..).unwrap_or_default()
}

/// The state of a folder that all sessions share; its mailbox's lock guards it.
pub(crate) struct Folder {
    shared: Arc<Shared>,
    path: PathBuf,
    new: PathBuf,
    cur: PathBuf,
    table: Table,
    list: UidList,
    /// Whether `list` has the file's lines: not when the index said all there is to know.
    list_loaded: bool,
    /// The list's file as it was read or written last.
    list_seen: Option<Stat>,
    /// A write of the list failed: what the file holds may not be on the disk, so it is written anew.
    list_suspect: bool,
    /// The files of the table's messages are in its slots.
    index: Index,
    new_stamp: Option<Stamp>,
    cur_stamp: Option<Stamp>,
    keywords: KeywordFile,
    /// Modification sequences below this may be given.
    ceiling: u64,
    /// What the disk says of them.
    reserved: u64,
    /// The file that says so, as it was read or written last.
    modseq_seen: Option<Stat>,
    /// The end of the range that was reserved last for changes.
    changed: u64,
    /// What another process changed is being looked at.
    doubts: bool,
    /// `cur`, whose lock makes one order of the changes of all processes, and whether it is held.
    order: Option<Box<dyn File>>,
    in_order: bool,
    /// The index is the latest and this process', so that nobody else was told of sequences.
    is_alone: bool,
    /// Told of each name before it is changed.
    own: Arc<OwnChanges>,
    /// When it was looked at last.
    now: SystemTime,
}

impl Folder {
    /// Opens a folder whose directories exist.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        path: &Path,
        own: &Arc<OwnChanges>,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let durable = &shared.durable;
        durable.make_dirs_in(path, &["tmp", "new", "cur"])?;
        let (reserved, modseq_seen) = order::read_modseq(durable, path, now)?;
        let ceiling = reserved.ceiling;
        let mut folder = Self {
            shared: Arc::clone(shared),
            path: path.to_owned(),
            new: path.join("new"),
            cur: path.join("cur"),
            table: Table::new(1, 1, ceiling),
            list: UidList::default(),
            list_loaded: true,
            list_seen: None,
            list_suspect: false,
            index: Index::new(
                path.join("posthaste-index"),
                path.join("posthaste-cache"),
                shared.index,
                durable,
            ),
            new_stamp: None,
            cur_stamp: None,
            keywords: KeywordFile::new(path),
            ceiling,
            reserved: ceiling,
            modseq_seen,
            changed: reserved.changed,
            doubts: false,
            order: None,
            in_order: false,
            is_alone: false,
            own: Arc::clone(own),
            now,
        };
        let restored = folder.restore()?;
        if restored.is_none() {
            folder.open_list(now)?;
            folder.table = Table::new(folder.list.uid_validity, folder.list.uid_next, ceiling);
        }
        folder.sweep(now)?;
        folder.ordered(|folder| {
            folder.announce();
            // UIDs of a list that changed are taken over with their messages, or never.
            folder.look(now, restored != Some(true))
        })?;
        Ok(folder)
    }

    fn durable(&self) -> &Durable {
        &self.shared.durable
    }

    fn list_path(&self) -> PathBuf {
        self.path.join("dovecot-uidlist")
    }

    fn lock_list(&self, now: SystemTime) -> Result<DotLock, Error> {
        DotLock::acquire(
            self.durable(),
            self.path.join("dovecot-uidlist.lock"),
            &self.shared.host,
            now,
        )
    }

    /// Reads the list, or begins one with a UIDVALIDITY that the account never gave before.
    fn open_list(&mut self, now: SystemTime) -> Result<(), Error> {
        let path = self.list_path();
        if self.read_list(&path)? {
            return Ok(());
        }
        let _lock = self.lock_list(now)?;
        self.open_list_locked(now)
    }

    fn open_list_locked(&mut self, now: SystemTime) -> Result<(), Error> {
        let path = self.list_path();
        if self.read_list(&path)? {
            return Ok(());
        }
        // Courier's list has the form of version 1; it is taken over when there is no other.
        let courier = self.path.join("courierimapuiddb");
        let courier = match self.durable().read_maybe(&courier, LIST_LIMIT) {
            Err(error) if error.is_no_file_of_ours() => None,
            other => other?,
        };
        self.list = match courier.and_then(|(content, _)| UidList::parse(&content)) {
            Some(list) => list,
            None => UidList::new(self.shared.next_uid_validity(now)?, 1),
        };
        self.list_loaded = true;
        self.list.set_object_id(ObjectId::fresh(&path)?);
        self.replace_list()
    }

    /// Writes all of the list anew.
    fn replace_list(&mut self) -> Result<(), Error> {
        let path = self.list_path();
        let content = self.list.write();
        self.durable().replace(&path, &content)?;
        self.list_seen = self.durable().stat_maybe(&path)?;
        Ok(())
    }

    fn object_id_now(&mut self, now: SystemTime) -> Result<ObjectId, Error> {
        let path = self.list_path();
        let file = match self.durable().open_own(&path) {
            Err(error) if error.is_not_found() => None,
            other => Some(other?),
        };
        if let Some(file) = file {
            let mut start = [0; LIST_HEADER];
            let read = read_full_at(&*file, &mut start, 0).at("read", &path)?;
            if let Some(id) = start.get(..read).and_then(UidList::object_id_in) {
                return Ok(id);
            }
        }
        // A list of before there were identifiers, or with a longer header.
        let _lock = self.lock_list(now)?;
        self.list_seen = None;
        self.reread_list(now, true)?;
        if let Some(id) = self.list.object_id() {
            return Ok(id);
        }
        let id = ObjectId::fresh(&path)?;
        self.list.set_object_id(id);
        self.replace_list()?;
        Ok(id)
    }

    /// False when there is no list that can be read.
    fn read_list(&mut self, path: &Path) -> Result<bool, Error> {
        let read = match self.durable().read_maybe(path, LIST_LIMIT) {
            // No list, as one that is not in the form.
            Err(error) if error.is_no_file_of_ours() => None,
            other => other?,
        };
        let Some((content, stat)) = read else {
            return Ok(false);
        };
        let Some(list) = UidList::parse(&content) else {
            return Ok(false);
        };
        self.list = list;
        self.list_loaded = true;
        self.list_seen = Some(stat);
        Ok(true)
    }

    /// Reads the list again if another program wrote it; true when it did. `locked`: the caller holds its lock.
    fn reread_list(&mut self, now: SystemTime, locked: bool) -> Result<bool, Error> {
        let path = self.list_path();
        let stat = self.durable().stat_maybe(&path)?;
        if stat == self.list_seen && stat.is_some() {
            return Ok(false);
        }
        let (validity, next) = (self.list.uid_validity, self.list.uid_next);
        if !self.read_list(&path)? {
            if locked {
                self.open_list_locked(now)?;
            } else {
                self.open_list(now)?;
            }
        }
        if self.list.uid_validity == validity {
            // The list may have been put back to an older one; UIDs that were shown stay given.
            self.list.uid_next = self.list.uid_next.max(next);
        } else {
            self.reserve_modseq()?;
            self.table.reset(self.list.uid_validity, self.list.uid_next);
            self.index.discard();
            self.cur_stamp = None;
            self.new_stamp = None;
        }
        Ok(true)
    }

    /// Reads the list's lines, if the index had made that needless so far.
    fn load_list(&mut self, now: SystemTime) -> Result<(), Error> {
        if !self.list_loaded {
            self.list_seen = None;
            self.reread_list(now, false)?;
        }
        Ok(())
    }

    /// The UIDs are used up, or another program's list says so: they begin anew under another UIDVALIDITY.
    fn begin_anew(&mut self, now: SystemTime) -> Result<(), Error> {
        let _lock = self.lock_list(now)?;
        let path = self.list_path();
        let id = match self.list.object_id() {
            Some(id) => id,
            None => ObjectId::fresh(&path)?,
        };
        self.list = UidList::new(self.shared.next_uid_validity(now)?, 1);
        self.list.set_object_id(id);
        self.replace_list()?;
        self.reserve_modseq()?;
        self.table.reset(self.list.uid_validity, self.list.uid_next);
        self.index.discard();
        self.cur_stamp = None;
        self.new_stamp = None;
        Ok(())
    }

    /// Gives UIDs to bases that have none, in this order, and makes them durable before anybody sees them. The
    /// caller holds the list's lock and has read the list under it.
    fn assign(&mut self, bases: &[Box<[u8]>]) -> Result<(), Error> {
        let mut lines = Vec::new();
        for base in bases {
            self.list
                .assign(base, &mut lines)
                .ok_or(Error::NoUidsLeft)?;
        }
        if let Err(error) = self.write_list(&lines) {
            // What was given is not shown; the next caller begins from the file.
            self.list_suspect = true;
            self.list_seen = None;
            return Err(error);
        }
        self.list_suspect = false;
        self.table.raise_uid_next(self.list.uid_next);
        Ok(())
    }

    fn write_list(&mut self, lines: &[u8]) -> Result<(), Error> {
        let path = self.list_path();
        if self.list_suspect || !self.list.appendable || self.list.wasteful() {
            let content = self.list.write();
            self.durable().replace(&path, &content)?;
        } else {
            let file = self.durable().open_own_write(&path)?;
            let end = file.stat().at("stat", &path)?.len;
            file.write_all_at(lines, end).at("write", &path)?;
            self.durable().sync_data(&*file, &path)?;
        }
        self.list_seen = self.durable().stat_maybe(&path)?;
        Ok(())
    }

    /// Removes what crashes left in `tmp`.
    fn sweep(&self, now: SystemTime) -> Result<(), Error> {
        let tmp = self.path.join("tmp");
        let mut names = Vec::new();
        self.durable().readdir(&tmp, |name, kind| {
            if kind == Kind::File {
                names.push(tmp.join(name));
            }
        })?;
        for path in names {
            if is_abandoned(self.durable(), &path, now)? {
                // What cannot be removed keeps nobody from the mail.
                let _ = self.durable().remove(&path);
            }
        }
        Ok(())
    }

    fn entry(&self, uid: u32) -> Option<Entry> {
        let place = self.index.slots.get(uid)?;
        Some(Entry {
            name: name_of(place).into(),
            in_new: place.first() == Some(&1),
        })
    }

    fn put_entry(&mut self, uid: u32, entry: &Entry) {
        let mut place = Vec::with_capacity(entry.name.len() + 1);
        place.push(u8::from(entry.in_new));
        place.extend_from_slice(&entry.name);
        self.index.slots.put(uid, &place);
        self.table.touch(uid);
    }

    fn entry_path(&self, entry: &Entry) -> PathBuf {
        path_of(
            if entry.in_new { &self.new } else { &self.cur },
            &entry.name,
        )
    }

    /// Does something with a message's file; when another program renamed it meanwhile, looks again once.
    fn with_file<T>(
        &mut self,
        uid: u32,
        now: SystemTime,
        act: impl Fn(&Self, &Entry, &Path) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut again = true;
        loop {
            let entry = self.entry(uid).ok_or(Error::NoSuchMessage(uid))?;
            match act(self, &entry, &self.entry_path(&entry)) {
                Err(error) if error.is_not_found() && again => {
                    again = false;
                    self.look(now, true)?;
                }
                Err(error) if error.is_not_found() => return Err(Error::NoSuchMessage(uid)),
                other => return other,
            }
        }
    }

    /// The message's content.
    fn reader_now(&mut self, uid: u32, now: SystemTime) -> Result<Reader, Error> {
        let (file, len, path) = self.with_file(uid, now, |folder, _, path| {
            let file = folder.durable().open_own(path)?;
            let len = file.stat().at("stat", path)?.len;
            Ok((file, len, path.to_owned()))
        })?;
        let entry = self.entry(uid).ok_or(Error::NoSuchMessage(uid))?;
        // The name's W is believed when its S is true, or when nothing else was said.
        let named = name::size(&entry.name, b'S').is_none_or(|size| size == len);
        let known = self
            .table
            .message(uid)
            .and_then(|message| message.size)
            .filter(|&size| named && size >= len);
        let size = match known {
            Some(size) => size,
            None => {
                let size = count_wire(&*file, len).at("read", &path)?;
                self.table.update(uid, |message| message.size = Some(size));
                size
            }
        };
        let form = if size == len { Form::Wire } else { Form::Lines };
        Ok(Reader::new(
            Arc::from(file),
            vec![Extent {
                start: 0,
                end: len,
                form,
            }],
            size,
        ))
    }
}

/// Whether a file in `tmp` was left by a crash. A message that is still on its way in may have the time of its
/// INTERNALDATE already; its name tells when it was begun.
fn is_abandoned(durable: &Durable, path: &Path, now: SystemTime) -> Result<bool, Error> {
    let is_old = |time| now.duration_since(time).is_ok_and(|age| age > ABANDONED);
    let begun = name::save_date(path.file_name().unwrap_or_default().as_bytes());
    if !begun.is_none_or(is_old) {
        return Ok(false);
    }
    let stat = durable.stat_maybe(path)?;
    Ok(stat.is_some_and(|stat| is_old(stat.modified)))
}

/// What is written beside a folder and can be made again from it.
pub(crate) fn index_files(folder: &Path) -> [PathBuf; 2] {
    ["posthaste-index", "posthaste-cache"].map(|name| folder.join(name))
}

/// Begins the UID list of a folder with this UIDVALIDITY, unless it has a list or messages.
pub(crate) fn begin_as(
    shared: &Shared,
    folder: &Path,
    uid_validity: u32,
    now: SystemTime,
) -> Result<(), Error> {
    let lock = folder.join("dovecot-uidlist.lock");
    let _lock = DotLock::acquire(&shared.durable, lock, &shared.host, now)?;
    let path = folder.join("dovecot-uidlist");
    for list in [&path, &folder.join("courierimapuiddb")] {
        if shared.durable.stat_maybe(list)?.is_some() {
            return Ok(());
        }
    }
    if uid_validity == 0 || !read_only(&shared.durable, folder)?.is_empty() {
        return Ok(());
    }
    let mut list = UidList::new(uid_validity, 1);
    list.set_object_id(ObjectId::fresh(&path)?);
    shared.durable.replace(&path, &list.write())
}

/// Wire size of a file in disk form.
fn count_wire(file: &dyn crate::durable::File, len: u64) -> std::io::Result<u64> {
    // Most messages are far shorter than a block, and making one costs more than reading them.
    let mut block = vec![0; usize::try_from(len.min(BLOCK)).unwrap_or_default()];
    let (mut at, mut size, mut to_wire) = (0, 0, ToWire::default());
    while at < len {
        let read = read_full_at(file, &mut block, at)?;
        if read == 0 {
            break;
        }
        size += to_wire.count(block.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok(size)
}
