//! One mbox file.

mod change;
mod draft;
mod from;
mod header;
mod incoming;
mod lent;
mod locks;
mod meta;
mod reading;
mod recover;
mod redo;
mod restore;
mod rewrite;
mod scan;
mod side;
mod state;
mod verify;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

pub(crate) use change::{Growth, deliver};
pub(crate) use incoming::Incoming;
pub(crate) use reading::{Lying, is_state_field};
pub(crate) use verify::check;

use crate::account::Shared;
use crate::durable::{Durable, File, ReadOnly, Stat};
use crate::error::{Error, IoContext};
use crate::flags::Keywords;
use crate::index::Index;
use crate::object_id::ObjectId;
use crate::table::{Message, Table};
use crate::wire::Reader;
use lent::Lent;
use locks::{Locked, lock};
use scan::Found;
use side::{Known, Side};

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

    pub(crate) fn rewriting(&self) -> PathBuf {
        self.sibling("rewrite")
    }

    /// What was found damaged.
    pub(crate) fn put_aside(&self) -> impl Iterator<Item = PathBuf> {
        let damaged = [self.state(), self.rewriting()];
        damaged.into_iter().flat_map(|path| side::aside(&path))
    }

    /// What can be made again from the mail.
    pub(crate) fn index_files(&self) -> [PathBuf; 2] {
        ["index", "cache"].map(|extension| self.sibling(extension))
    }

    pub(crate) fn waiting(&self, count: u64) -> PathBuf {
        self.sibling(&format!("{}-{count}.incoming", std::process::id()))
    }

    /// A message that is read while the mbox is written over.
    fn lent(&self, count: u64) -> PathBuf {
        self.sibling(&format!("{}-r{count}.incoming", std::process::id()))
    }

    fn lock(&self) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    }
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
    let is_new = matches!(Side::look(&shared.durable, &site.state())?, Known::Nothing);
    if uid_validity == 0 || !empty || !is_new {
        return Ok(());
    }
    let side = Side {
        uid_validity,
        uid_next: 1,
        uid_ceiling: 1,
        object_id: ObjectId::fresh(&site.state())?,
        ..Side::default()
    };
    side.write(&shared.durable, &site.state())
}

/// Ends what a crash cut short, before the mbox gets another name or goes.
pub(crate) fn settle(shared: &Shared, site: &Site, now: SystemTime) -> Result<(), Error> {
    for journal in [site.journal(), site.rewriting()] {
        if shared.durable.stat_maybe(&journal)?.is_some() {
            return lock(shared, site, None, now).map(drop);
        }
    }
    Ok(())
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
    /// The state file as it was read or written last.
    side_seen: Option<Stat>,
    file: Option<Arc<dyn File>>,
    /// The file when it was read or written last.
    seen: Option<Stat>,
    /// What it is since, by nothing but appends of this process.
    grown: Option<Stat>,
    /// Others changed it, too.
    by_others: bool,
    /// When it was seen.
    seen_at: SystemTime,
    /// When the locks were taken last.
    locked_at: SystemTime,
    /// What the index was told of the file.
    saved: Option<Stat>,
    /// The next modification sequence is to be reserved, whatever the state file says.
    must_reserve: bool,
    /// Another process changed something since this one looked.
    doubts: bool,
    /// The index is the latest and this process', so that nobody else was told of sequences.
    is_alone: bool,
    found: BTreeMap<u32, Found>,
    /// What readers have of it.
    lent: Vec<Weak<Lent>>,
    index: Index,
}

impl Folder {
    pub(crate) fn open(shared: &Arc<Shared>, site: &Site, now: SystemTime) -> Result<Self, Error> {
        let mut folder = Self {
            shared: Arc::clone(shared),
            site: site.clone(),
            table: Table::new(1, 1, 1),
            side: Side::default(),
            side_seen: None,
            file: None,
            seen: None,
            grown: None,
            by_others: false,
            seen_at: now,
            locked_at: now,
            saved: None,
            must_reserve: false,
            doubts: false,
            is_alone: false,
            found: BTreeMap::new(),
            lent: Vec::new(),
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
            folder.announce();
            folder.refresh_locked(&locked)?;
            return Ok(folder);
        }
        let stat = locked.file.stat().at("stat", &site.file)?;
        let found = scan::scan(&*locked.file, &site.file, 0, stat.len)?;
        let is_rebuilt = folder.open_side(&found, now)?;
        let side = &folder.side;
        folder.table = Table::new(side.uid_validity, side.uid_next, side.modseq_ceiling.max(1));
        folder.announce();
        folder.take(&locked, found, true)?;
        if is_rebuilt && !folder.found.is_empty() {
            // The labels of the mail are to say what the new state does.
            let all = folder.all();
            folder.rewrite(&locked, all, true)?;
        }
        Ok(folder)
    }

    fn durable(&self) -> &Durable {
        &self.shared.durable
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

    /// The next look reads all of the file.
    fn read_anew(&mut self) {
        self.grown = None;
        if let Some(seen) = &mut self.seen {
            (seen.modified, seen.len) = (SystemTime::UNIX_EPOCH, 0);
        }
    }

    /// The file is read, or was written, as it is.
    fn see(&mut self, stat: Stat) {
        self.seen = Some(stat);
        self.grown = None;
        self.seen_at = self.locked_at;
    }

    fn refresh_now(&mut self, now: SystemTime) -> Result<(), Error> {
        if self.durable().stat_maybe(&self.site.file)? == self.seen
            && self.seen.is_some()
            && self.durable().stat_maybe(&self.site.state())? == self.side_seen
        {
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
        self.by_others |= self.grown != Some(stat);
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
                    Some((at, _)) => labels.push((at, format!("X-UID: {uid:010}\n").into_bytes())),
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
            self.write_side(&side)?;
        }
        rewrite::overwrite(self.durable(), &self.site, &*locked.file, &labels)?;
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
        if self.doubts {
            self.reserve_modseq()?;
        }
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
                    // Of those that were there already nobody knows.
                    save_date: (!first_look).then_some(self.locked_at),
                    size: None,
                }),
            }
            if let Some(known) = known.get(&uid)
                && known.tag() != found.tag()
            {
                // A last line that had no end has one now, or another program changed the text.
                self.table.update(uid, |message| message.size = None);
            }
            if known.get(&uid) != Some(&found) {
                self.table.touch(uid);
            }
            self.found.insert(uid, found);
        }
        self.table.insert(added);
        self.table.raise_uid_next(self.side.uid_next);
        if std::mem::take(&mut self.doubts) {
            self.table.doubt_all();
        }
        for &uid in fresh {
            self.table.add_recent(uid);
        }
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
        let lent = Arc::new(Lent::new(file, found, &self.site.file)?);
        self.lent.retain(|lent| lent.strong_count() > 0);
        self.lent.push(Arc::downgrade(&lent));
        Ok(Reader::new(Arc::new(ReadOnly(lent)), found.extents(), size))
    }

    fn path(&self) -> &Path {
        &self.site.file
    }
}
