//! One mbox file.

mod change;
mod from;
mod incoming;
mod meta;
mod reading;
mod restore;
mod scan;
mod side;
mod verify;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

pub(crate) use change::{Growth, deliver};
pub(crate) use incoming::Incoming;
pub(crate) use reading::{Lying, is_state_field};
pub(crate) use verify::check;

use crate::account::{MboxLocks, Shared};
use crate::durable::{Durable, File, Stat};
use crate::error::{Error, IoContext};
use crate::flags::Keywords;
use crate::index::Index;
use crate::lock::DotLock;
use crate::table::{Message, Table};
use crate::wire::Reader;
use scan::Found;
use side::Side;

/// Keywords a mailbox can have in a snapshot; more stay in the file.
const KEYWORDS: usize = 64;

/// Where a mailbox's files are.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The mbox itself.
    pub(crate) file: PathBuf,
    /// Its state, journal and waiting messages begin with this.
    pub(crate) side: PathBuf,
}

impl Site {
    fn sibling(&self, extension: &str) -> PathBuf {
        // A mailbox's own name may have dots.
        let mut name = self.side.as_os_str().to_owned();
        name.push(format!(".{extension}"));
        PathBuf::from(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.sibling("state")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.sibling("append")
    }

    /// What can be made again from the mail.
    pub(crate) fn index_files(&self) -> [PathBuf; 2] {
        ["index", "cache"].map(|extension| self.sibling(extension))
    }

    pub(crate) fn waiting(&self, count: u64) -> PathBuf {
        self.sibling(&format!("{}-{count}.incoming", std::process::id()))
    }

    fn lock(&self) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    }

    fn rewritten(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.file.file_name().unwrap_or_default());
        // What ends so is no mailbox to Dovecot.
        name.push(".posthaste.lock");
        self.file.with_file_name(name)
    }
}

/// The file, with both locks.
struct Locked {
    file: Arc<dyn File>,
    _dot: Option<DotLock>,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // It fails only where there is no such lock, and closing the file would give it back too.
        let _ = self.file.unlock();
    }
}

/// Times that both locks are tried for, about 30 seconds.
const LOCK_TRIES: u64 = 24;
/// Tries for the `fcntl` lock while the other one is held, with pauses of 50 ms: a second.
const FCNTL_TRIES: usize = 20;

/// Takes the locks in the configured order and undoes a half append. `known` is the handle to go on with while it
/// is still the file that has the name: closing another handle of the same file would give the lock back.
///
/// Whoever holds the second lock may wait for the first, as Dovecot does when it reads and then wants to write; so
/// the first one is given back when the second does not come soon.
fn lock(
    shared: &Shared,
    site: &Site,
    known: Option<&Arc<dyn File>>,
    now: SystemTime,
) -> Result<Locked, Error> {
    let durable = &shared.durable;
    for attempt in 0..LOCK_TRIES {
        if let Some(locked) = try_lock(shared, site, known, now)? {
            side::recover(durable, &site.journal(), &*locked.file, &site.file)?;
            return Ok(locked);
        }
        // Two that wait for each other do so for different times.
        let pause = 50 + (u64::from(std::process::id()) + 7 * attempt) % 11 * 30;
        thread::sleep(Duration::from_millis(pause));
    }
    Err(Error::Locked {
        path: site.file.clone(),
    })
}

/// Both locks; `None` when somebody has the second one.
fn try_lock(
    shared: &Shared,
    site: &Site,
    known: Option<&Arc<dyn File>>,
    now: SystemTime,
) -> Result<Option<Locked>, Error> {
    let durable = &shared.durable;
    if shared.mbox_locks == MboxLocks::FcntlDotlock {
        let file = current(durable, site, known)?;
        let mut locked = Locked { file, _dot: None };
        if !try_fcntl(&*locked.file, site)? {
            return Ok(None);
        }
        locked._dot = match DotLock::acquire_soon(durable, site.lock(), &shared.host, now) {
            Err(Error::Locked { .. }) => return Ok(None),
            other => allowed(other)?,
        };
        // Another file may have got the name before the dotlock was there.
        let stat = durable.stat_maybe(&site.file)?;
        let inode = locked.file.stat().at("stat", &site.file)?.inode;
        return Ok(stat.filter(|stat| stat.inode == inode).map(|_| locked));
    }
    let dot = allowed(DotLock::acquire(durable, site.lock(), &shared.host, now))?;
    let file = current(durable, site, known)?;
    if !try_fcntl(&*file, site)? {
        return Ok(None);
    }
    Ok(Some(Locked { file, _dot: dot }))
}

/// Where the directory is not ours to write to, as a spool of others', only the other lock is left.
fn allowed(lock: Result<DotLock, Error>) -> Result<Option<DotLock>, Error> {
    match lock {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn try_fcntl(file: &dyn File, site: &Site) -> Result<bool, Error> {
    for attempt in 0..FCNTL_TRIES {
        if attempt > 0 {
            thread::sleep(Duration::from_millis(50));
        }
        if file.try_lock().at("lock", &site.file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The file that has the name now; made when there is none.
fn current(
    durable: &Durable,
    site: &Site,
    known: Option<&Arc<dyn File>>,
) -> Result<Arc<dyn File>, Error> {
    let stat = match durable.stat_maybe(&site.file)? {
        Some(stat) => stat,
        None => {
            let file = durable.create(&site.file)?;
            durable.sync(&*file, &site.file)?;
            if let Some(directory) = site.file.parent() {
                durable.sync_dir(directory)?;
            }
            file.stat().at("stat", &site.file)?
        }
    };
    let same = match known {
        Some(file) => file.stat().at("stat", &site.file)?.inode == stat.inode,
        None => false,
    };
    Ok(match known {
        Some(file) if same => Arc::clone(file),
        _ => Arc::from(durable.open_write(&site.file)?),
    })
}

/// Begins the state of an mbox with this UIDVALIDITY, unless it has a state or messages.
pub(crate) fn begin_as(
    shared: &Shared,
    site: &Site,
    uid_validity: u32,
    now: SystemTime,
) -> Result<(), Error> {
    let locked = lock(shared, site, None, now)?;
    let empty = locked.file.stat().at("stat", &site.file)?.len == 0;
    if uid_validity == 0 || !empty || Side::read(&shared.durable, &site.state())?.is_some() {
        return Ok(());
    }
    let side = Side {
        uid_validity,
        uid_next: 1,
        uid_ceiling: 1,
        ..Side::default()
    };
    side.write(&shared.durable, &site.state())
}

/// How many messages a file has, as it is without any lock: for counting alone.
pub(crate) fn count(durable: &Durable, path: &Path) -> Result<u64, Error> {
    let file = durable.open(path)?;
    let len = file.stat().at("stat", path)?.len;
    Ok(scan::scan(&*file, path, 0, len)?.len() as u64)
}

/// The state of an mbox that all sessions share.
pub(crate) struct Folder {
    shared: Arc<Shared>,
    site: Site,
    table: Table,
    side: Side,
    file: Option<Arc<dyn File>>,
    /// The file when it was read or written last.
    seen: Option<Stat>,
    /// What it is since, by nothing but appends of this process.
    grown: Option<Stat>,
    /// When it was seen.
    seen_at: SystemTime,
    /// When the locks were taken last.
    locked_at: SystemTime,
    /// What the index was told of the file.
    saved: Option<Stat>,
    /// The next modification sequence is to be reserved, whatever the state file says.
    must_reserve: bool,
    found: BTreeMap<u32, Found>,
    index: Index,
}

impl Folder {
    pub(crate) fn open(shared: &Arc<Shared>, site: &Site, now: SystemTime) -> Result<Self, Error> {
        let mut folder = Self {
            shared: Arc::clone(shared),
            site: site.clone(),
            table: Table::new(1, 1, 1),
            side: Side::default(),
            file: None,
            seen: None,
            grown: None,
            seen_at: now,
            locked_at: now,
            saved: None,
            must_reserve: false,
            found: BTreeMap::new(),
            index: Index::new(
                site.sibling("index"),
                site.sibling("cache"),
                shared.index,
                &shared.durable,
            ),
        };
        folder.sweep()?;
        let locked = lock(shared, site, None, now)?;
        folder.file = Some(Arc::clone(&locked.file));
        if folder.restore()? {
            folder.refresh_locked(&locked)?;
            return Ok(folder);
        }
        let stat = locked.file.stat().at("stat", &site.file)?;
        let found = scan::scan(&*locked.file, &site.file, 0, stat.len)?;
        folder.open_side(found.first(), now)?;
        let side = &folder.side;
        folder.table = Table::new(side.uid_validity, side.uid_next, side.modseq_ceiling.max(1));
        folder.take(&locked, found, true)?;
        Ok(folder)
    }

    fn durable(&self) -> &Durable {
        &self.shared.durable
    }

    /// The state file, or what the mbox says when it was another program's so far.
    fn open_side(&mut self, first: Option<&Found>, now: SystemTime) -> Result<(), Error> {
        if let Some(side) = Side::read(self.durable(), &self.site.state())? {
            self.side = side;
            return Ok(());
        }
        let (uid_validity, last) = match first.and_then(|first| first.meta.base) {
            Some(base) => base,
            None => (self.shared.next_uid_validity(now)?, 0),
        };
        self.side = Side {
            uid_validity,
            uid_next: last.saturating_add(1),
            ..Side::default()
        };
        self.side.uid_ceiling = self.side.uid_next;
        self.side.write(self.durable(), &self.site.state())
    }

    /// Removes what crashes left of messages on their way in. Those of other processes that still run stay.
    fn sweep(&self) -> Result<(), Error> {
        let Some((directory, name)) = self.site.side.parent().zip(self.site.side.file_name())
        else {
            return Ok(());
        };
        let prefix = format!("{}.", name.to_string_lossy());
        let mut left = Vec::new();
        let listed = self.durable().readdir(directory, |file_name, _| {
            let path = directory.join(file_name);
            let file_name = file_name.to_string_lossy();
            let pid = file_name
                .strip_prefix(&prefix)
                .and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
            if let Some(pid) = pid
                && incoming::is_leftover(&path)
                && pid != std::process::id()
            {
                left.push((path, pid));
            }
        });
        match listed {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        }
        for (path, pid) in left {
            if !self.durable().process_alive(pid) {
                self.durable().remove(&path)?;
            }
        }
        Ok(())
    }

    fn lock(&mut self, now: SystemTime) -> Result<Locked, Error> {
        self.locked_at = now;
        let locked = lock(&self.shared, &self.site, self.file.as_ref(), now)?;
        self.file = Some(Arc::clone(&locked.file));
        // Another process may have given UIDs and sequences since; it wrote them under this lock.
        if let Some(side) = Side::read(self.durable(), &self.site.state())? {
            self.side = side;
        }
        Ok(locked)
    }

    /// The file is read, or was written, as it is.
    fn see(&mut self, stat: Stat) {
        self.seen = Some(stat);
        self.grown = None;
        self.seen_at = self.locked_at;
    }

    fn refresh_now(&mut self, now: SystemTime) -> Result<(), Error> {
        if self.durable().stat_maybe(&self.site.file)? == self.seen && self.seen.is_some() {
            return Ok(());
        }
        let locked = self.lock(now)?;
        self.refresh_locked(&locked)
    }

    /// Reads what this process added behind the known end, or all of a file that is another than it was.
    fn refresh_locked(&mut self, locked: &Locked) -> Result<(), Error> {
        let stat = locked.file.stat().at("stat", &self.site.file)?;
        if Some(stat) == self.seen {
            return Ok(());
        }
        let path = &self.site.file;
        // Another program that appends may have changed flags before the old end too.
        if let Some(seen) = self.seen
            && self.grown == Some(stat)
            && seen.len > 0
            && stat.len > seen.len
            && scan::begins(&*locked.file, path, seen.len, stat.len)?
        {
            let found = scan::scan(&*locked.file, path, seen.len, stat.len)?;
            return self.take(locked, found, false);
        }
        let found = scan::scan(&*locked.file, path, 0, stat.len)?;
        self.take(locked, found, true)
    }

    /// Gives UIDs to what was found, durably, and brings the table up to it. `all`: the whole file was read.
    fn take(&mut self, locked: &Locked, mut found: Vec<Found>, all: bool) -> Result<(), Error> {
        let first_look = self.seen.is_none();
        let base = found
            .first()
            .filter(|_| all)
            .and_then(|first| first.meta.base);
        let believed = match base {
            Some((validity, last)) if validity == self.side.uid_validity => {
                self.side.uid_ceiling.max(last.saturating_add(1))
            }
            _ => self.side.uid_ceiling,
        };
        let mut unlabelled: HashMap<u32, VecDeque<u32>> = HashMap::new();
        for &(uid, hash) in &self.side.unlabelled {
            unlabelled.entry(hash).or_default().push_back(uid);
        }
        let mut side = self.side.clone();
        side.uid_next = side.uid_next.max(self.table.view().uid_next);
        let mut last = if all {
            0
        } else {
            self.found.keys().next_back().copied().unwrap_or(0)
        };
        let (mut labels, mut fresh) = (Vec::new(), Vec::new());
        if all {
            side.unlabelled.clear();
        }
        for message in &mut found {
            let label = message.meta.uid;
            let remembered = unlabelled
                .get_mut(&message.hash)
                .and_then(VecDeque::pop_front);
            let uid = if label > last && label < believed {
                label
            } else if let Some(uid) = remembered.filter(|&uid| uid > last && label == 0) {
                side.unlabelled.push((uid, message.hash));
                uid
            } else {
                let uid = side.uid_next;
                match message.slot {
                    Some((at, _)) => labels.push((at, uid)),
                    None => side.unlabelled.push((uid, message.hash)),
                }
                fresh.push(uid);
                uid
            };
            last = uid;
            message.meta.uid = uid;
            side.uid_next = side
                .uid_next
                .max(uid.checked_add(1).ok_or(Error::NoUidsLeft)?);
        }
        let changed =
            side.unlabelled != self.side.unlabelled || side.uid_next > self.side.uid_ceiling;
        if changed {
            side.reserve_uids(side.uid_next);
            side.write(self.durable(), &self.site.state())?;
        }
        for (at, uid) in &labels {
            let line = format!("X-UID: {uid:010}\n");
            locked
                .file
                .write_all_at(line.as_bytes(), *at)
                .at("write", &self.site.file)?;
        }
        if !labels.is_empty() {
            self.durable().sync_data(&*locked.file, &self.site.file)?;
        }
        self.side = side;
        self.see(locked.file.stat().at("stat", &self.site.file)?);
        self.show(found, all, first_look, &fresh)
    }

    /// Brings the table up to what was found.
    fn show(
        &mut self,
        found: Vec<Found>,
        all: bool,
        first_look: bool,
        fresh: &[u32],
    ) -> Result<(), Error> {
        let new: BTreeMap<u32, Found> = found
            .into_iter()
            .map(|found| (found.meta.uid, found))
            .collect();
        if all {
            let gone: Vec<u32> = self
                .found
                .keys()
                .copied()
                .filter(|uid| !new.contains_key(uid))
                .collect();
            if !gone.is_empty() {
                self.reserve_modseq()?;
                self.table.remove(&gone);
                self.index.remove(&gone);
            }
        }
        let mut known = BTreeMap::new();
        if all {
            known = std::mem::take(&mut self.found);
        }
        let mut modseq = first_look.then(|| self.table.view().highest_modseq);
        let mut added = Vec::new();
        for (uid, found) in new {
            let keywords = self.keyword_bits(&found.meta.keywords);
            match self.table.message(uid) {
                Some(known) if (known.flags, known.keywords) == (found.meta.flags, keywords) => {}
                Some(_) => {
                    let modseq = self.modseq(&mut modseq)?;
                    self.table.update(uid, |message| {
                        message.flags = found.meta.flags;
                        message.keywords = keywords;
                        message.modseq = modseq;
                    });
                }
                None => added.push(Message {
                    uid,
                    flags: found.meta.flags,
                    keywords,
                    modseq: self.modseq(&mut modseq)?,
                    internal_date: found.date,
                    save_date: None,
                    size: None,
                }),
            }
            if known.get(&uid) != Some(&found) {
                self.table.touch(uid);
            }
            self.found.insert(uid, found);
        }
        self.table.insert(added);
        self.table.raise_uid_next(self.side.uid_next);
        for &uid in fresh {
            self.table.add_recent(uid);
        }
        Ok(())
    }

    /// One modification sequence for all of a change.
    fn modseq(&mut self, modseq: &mut Option<u64>) -> Result<u64, Error> {
        match modseq {
            Some(modseq) => Ok(*modseq),
            None => {
                self.reserve_modseq()?;
                Ok(*modseq.insert(self.table.next_modseq()))
            }
        }
    }

    fn reserve_modseq(&mut self) -> Result<(), Error> {
        let highest = self.table.view().highest_modseq;
        if highest + 1 < self.side.modseq_ceiling && !self.must_reserve {
            return Ok(());
        }
        let mut side = self.side.clone();
        side.reserve_modseq(highest);
        side.write(self.durable(), &self.site.state())?;
        self.side = side;
        self.must_reserve = false;
        Ok(())
    }

    fn keyword_bits(&mut self, names: &[String]) -> Keywords {
        let mut keywords = Keywords::default();
        for name in names {
            // One that has no room is not told, and stays in the file.
            if let Ok(index) = self.table.keyword(name, KEYWORDS) {
                keywords.set(index);
            }
        }
        keywords
    }

    fn reader_now(&mut self, uid: u32, now: SystemTime) -> Result<Reader, Error> {
        self.refresh_now(now)?;
        let found = self.found.get(&uid).ok_or(Error::NoSuchMessage(uid))?;
        let file = self.file.as_ref().ok_or(Error::NoSuchMessage(uid))?;
        let size = match self.table.message(uid).and_then(|message| message.size) {
            Some(size) => size,
            None => {
                let size = crate::wire::measure(Arc::clone(file), found.extents())
                    .at("read", &self.site.file)?;
                self.table.update(uid, |message| message.size = Some(size));
                size
            }
        };
        Ok(Reader::new(Arc::clone(file), found.extents(), size))
    }

    fn path(&self) -> &Path {
        &self.site.file
    }
}
