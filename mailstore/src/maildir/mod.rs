//! One Maildir folder.

mod change;
mod incoming;
mod keywords;
pub(crate) mod name;
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
pub(crate) use reading::{Lying, open_message, read_only};
pub(crate) use verify::check;

use crate::account::Shared;
use crate::durable::{Durable, Stat};
use crate::error::{Error, IoContext};
use crate::index::Index;
use crate::lock::DotLock;
use crate::table::Table;
use crate::wire::{Extent, Form, Reader, ToWire};
use keywords::KeywordFile;
use scan::Stamp;
use uidlist::UidList;

/// A UID list above this is refused: about a line of 256 octets for each of 16 million messages.
const LIST_LIMIT: u64 = 4 << 30;
/// Modification sequences reserved by one write of the `posthaste-modseq` file.
const RESERVE: u64 = 4096;
/// Files in `tmp` of this age were left by a crash.
const ABANDONED: Duration = Duration::from_secs(36 * 3600);

/// A directory and the octets of a name in it.
pub(crate) fn path_of(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(name))
}

/// Where a present message is.
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
    /// When it was looked at last.
    now: SystemTime,
}

impl Folder {
    /// Opens a folder whose directories exist.
    pub(crate) fn open(shared: &Arc<Shared>, path: &Path, now: SystemTime) -> Result<Self, Error> {
        let durable = &shared.durable;
        durable.make_dirs_in(path, &["tmp", "new", "cur"])?;
        let ceiling = read_modseq(durable, path)?;
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
            now,
        };
        let restored = folder.restore()?;
        if !restored {
            folder.open_list(now)?;
            folder.table = Table::new(folder.list.uid_validity, folder.list.uid_next, ceiling);
        }
        folder.sweep(now)?;
        folder.look(now, !restored)?;
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
        if self.read_list(&path)? {
            return Ok(());
        }
        // Courier's list has the form of version 1; it is taken over when there is no other.
        let courier = self
            .durable()
            .read_maybe(&self.path.join("courierimapuiddb"), LIST_LIMIT)?;
        self.list = match courier.and_then(|(content, _)| UidList::parse(&content)) {
            Some(list) => list,
            None => UidList::new(self.shared.next_uid_validity(now)?, 1),
        };
        self.list_loaded = true;
        let content = self.list.write();
        self.durable().replace(&path, &content)?;
        self.list_seen = self.durable().stat_maybe(&path)?;
        Ok(())
    }

    /// False when there is no list that can be read.
    fn read_list(&mut self, path: &Path) -> Result<bool, Error> {
        let Some((content, stat)) = self.durable().read_maybe(path, LIST_LIMIT)? else {
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

    /// Reads the list again if another program wrote it; true when it did.
    fn reread_list(&mut self, now: SystemTime) -> Result<bool, Error> {
        let path = self.list_path();
        let stat = self.durable().stat_maybe(&path)?;
        if stat == self.list_seen && stat.is_some() {
            return Ok(false);
        }
        let (validity, next) = (self.list.uid_validity, self.list.uid_next);
        if !self.read_list(&path)? {
            self.open_list(now)?;
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
            self.reread_list(now)?;
        }
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
            let file = self.durable().open_write(&path)?;
            let end = file.stat().at("stat", &path)?.len;
            file.write_all_at(lines, end).at("write", &path)?;
            self.durable().sync_data(&*file, &path)?;
        }
        self.list_seen = self.durable().stat_maybe(&path)?;
        Ok(())
    }

    /// Makes sure that the next modification sequence is below what the disk says may have been given.
    fn reserve_modseq(&mut self) -> Result<(), Error> {
        if self.table.view().highest_modseq + 1 < self.ceiling {
            return Ok(());
        }
        let lock = self.path.join("posthaste-modseq.lock");
        let _lock = DotLock::acquire(self.durable(), lock, &self.shared.host, self.now)?;
        // Another process may have reserved more.
        let reserved = read_modseq(self.durable(), &self.path)?;
        let ceiling = self.table.view().highest_modseq.max(reserved) + RESERVE;
        self.durable()
            .replace(&self.path.join(MODSEQ), format!("{ceiling}\n").as_bytes())?;
        self.ceiling = ceiling;
        self.reserved = ceiling;
        Ok(())
    }

    /// Removes what crashes left in `tmp`.
    fn sweep(&self, now: SystemTime) -> Result<(), Error> {
        let tmp = self.path.join("tmp");
        let mut names = Vec::new();
        self.durable()
            .readdir(&tmp, |name, _| names.push(tmp.join(name)))?;
        for path in names {
            let old = self.durable().stat_maybe(&path)?.is_some_and(|stat| {
                now.duration_since(stat.modified)
                    .is_ok_and(|age| age > ABANDONED)
            });
            if old {
                self.durable().remove(&path)?;
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
            let file = folder.durable().open(path)?;
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
    let content = UidList::new(uid_validity, 1).write();
    shared.durable.replace(&path, &content)
}

const MODSEQ: &str = "posthaste-modseq";

fn read_modseq(durable: &Durable, path: &Path) -> Result<u64, Error> {
    let path = path.join(MODSEQ);
    match durable.read_maybe(&path, 64)? {
        None => Ok(1),
        Some((content, _)) => std::str::from_utf8(&content)
            .ok()
            .and_then(|text| text.trim_end().parse().ok())
            .ok_or(Error::Corrupt {
                path,
                at: 0,
                what: "no number",
            }),
    }
}

/// Wire size of a file in disk form.
fn count_wire(file: &dyn crate::durable::File, len: u64) -> std::io::Result<u64> {
    let mut block = vec![0; 64 * 1024];
    let (mut at, mut size, mut to_wire) = (0, 0, ToWire::default());
    while at < len {
        let read = crate::durable::read_full_at(file, &mut block, at)?;
        if read == 0 {
            break;
        }
        size += to_wire.count(block.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok(size)
}
