//! Mailboxes in memory, for tests: nothing of them outlives their [`Store`](crate::Store).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::account::Shared;
use crate::append::{AppendOptions, Delivered, DeliveryId};
use crate::backend::{Backend, Item, Link, Source};
use crate::durable::{Kind, ReadOnly, Readable, Stat, read_from};
use crate::error::Error;
use crate::flags::{FlagChange, FlagMode, Flags, Keywords};
use crate::index::Index;
use crate::mailbox::Stored;
use crate::object_id::ObjectId;
use crate::quota::QuotaUsed;
use crate::table::{Message, Table};
use crate::verify::{Checked, Told};
use crate::wire::{Extent, Form, Reader, ToDisk};

/// Keywords that a mailbox can have.
const KEYWORDS: usize = 64;

/// What an account keeps on its root where others have a directory.
#[derive(Default)]
pub(crate) struct Root {
    mailboxes: Mutex<BTreeMap<String, Arc<Mutex<Contents>>>>,
    files: Mutex<HashMap<String, Vec<u8>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Root {
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        lock(&self.files).get(name).cloned()
    }

    pub(crate) fn replace(&self, name: &str, content: &[u8]) {
        lock(&self.files).insert(name.to_owned(), content.to_vec());
    }

    pub(crate) fn existing(&self) -> Vec<String> {
        let mailboxes = lock(&self.mailboxes);
        let names = mailboxes.keys().filter(|name| *name != "INBOX");
        names.cloned().collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        lock(&self.mailboxes).contains_key(name)
    }

    pub(crate) fn make(&self, name: &str) -> Result<(), Error> {
        let mut mailboxes = lock(&self.mailboxes);
        if !mailboxes.contains_key(name) {
            let contents = Contents {
                object_id: ObjectId::fresh(name.as_ref())?,
                ..Contents::default()
            };
            mailboxes.insert(name.to_owned(), Arc::new(Mutex::new(contents)));
        }
        Ok(())
    }

    pub(crate) fn delete(&self, name: &str) {
        lock(&self.mailboxes).remove(name);
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let mut mailboxes = lock(&self.mailboxes);
        if let Some(contents) = mailboxes.remove(from) {
            mailboxes.insert(to.to_owned(), contents);
        }
    }

    fn contents(&self, name: &str) -> Result<Arc<Mutex<Contents>>, Error> {
        let contents = lock(&self.mailboxes).get(name).cloned();
        contents.ok_or_else(|| Error::NoSuchMailbox(name.to_owned()))
    }

    /// What these mailboxes hold.
    pub(crate) fn measure(&self, counts: impl Fn(&str) -> bool) -> QuotaUsed {
        let mut used = QuotaUsed::default();
        for (name, contents) in lock(&self.mailboxes).iter() {
            if counts(name) {
                for kept in lock(contents).messages.values() {
                    used.storage += kept.content.len() as u64;
                    used.messages += 1;
                }
            }
        }
        used
    }

    /// Begins a mailbox with this UIDVALIDITY, unless it has one or messages.
    pub(crate) fn begin_as(&self, name: &str, uid_validity: u32) -> Result<(), Error> {
        self.make(name)?;
        let contents = self.contents(name)?;
        let mut contents = lock(&contents);
        if contents.uid_validity == 0 {
            contents.uid_validity = uid_validity;
        }
        Ok(())
    }

    pub(crate) fn check(&self, name: &str) -> Result<Checked, Error> {
        let contents = self.contents(name)?;
        let mut checked = Checked::default();
        for (&uid, kept) in &lock(&contents).messages {
            checked.messages.insert(
                uid,
                Told {
                    path: name.into(),
                    flags: kept.flags,
                    keywords: kept.keywords.iter().cloned().collect(),
                    size: kept.content.len() as u64,
                    internal_date: kept.internal_date,
                },
            );
        }
        Ok(checked)
    }
}

/// A mailbox as every session of every account of the store shares it.
#[derive(Default)]
struct Contents {
    /// 0 until somebody opened it.
    uid_validity: u32,
    last_uid: u32,
    /// No session was told a higher one.
    modseq: u64,
    object_id: ObjectId,
    messages: BTreeMap<u32, Kept>,
    delivered: HashSet<String>,
}

struct Kept {
    /// In wire form.
    content: Arc<[u8]>,
    flags: Flags,
    keywords: BTreeSet<String>,
    internal_date: SystemTime,
    save_date: SystemTime,
    /// No session was told of it.
    recent: bool,
}

impl Contents {
    fn add(&mut self, kept: Kept) -> Result<u32, Error> {
        let uid = self.last_uid.checked_add(1).filter(|uid| *uid < u32::MAX);
        let uid = uid.ok_or(Error::NoUidsLeft)?;
        self.last_uid = uid;
        self.messages.insert(uid, kept);
        Ok(uid)
    }
}

/// A message on its way in.
pub(crate) struct Incoming {
    to_wire: ToDisk,
    content: Vec<u8>,
}

impl Incoming {
    pub(crate) fn begin() -> Self {
        Self {
            to_wire: ToDisk::new(true),
            content: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, wire: &[u8]) {
        self.to_wire.push(wire, &mut self.content);
    }

    pub(crate) fn seal(mut self) -> Vec<u8> {
        self.to_wire.finish(&mut self.content);
        self.content
    }
}

/// What the sessions of one account share.
pub(crate) struct Folder {
    contents: Arc<Mutex<Contents>>,
    table: Table,
    /// Never kept: what it would say is in memory already.
    index: Index,
}

impl Folder {
    pub(crate) fn open(shared: &Shared, name: &str, now: SystemTime) -> Result<Self, Error> {
        let contents = shared.memory().contents(name)?;
        let table = {
            let mut kept = lock(&contents);
            if kept.uid_validity == 0 {
                kept.uid_validity = shared.next_uid_validity(now)?;
            }
            Table::new(
                kept.uid_validity,
                kept.last_uid.saturating_add(1),
                kept.modseq.max(1),
            )
        };
        let none = std::path::PathBuf::new;
        let mut folder = Self {
            contents,
            table,
            index: Index::new(none(), none(), false, &shared.durable),
        };
        folder.changing(true, |_, _| Ok(()))?;
        Ok(folder)
    }

    /// Brings the table up to the contents, before and after a change of them.
    fn changing<T>(
        &mut self,
        first: bool,
        change: impl FnOnce(&mut Contents, &mut Table) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let contents = Arc::clone(&self.contents);
        let mut contents = lock(&contents);
        self.look(&mut contents, first);
        let done = change(&mut contents, &mut self.table);
        self.look(&mut contents, first);
        contents.modseq = contents.modseq.max(self.table.view().highest_modseq);
        done
    }

    fn look(&mut self, contents: &mut Contents, first: bool) {
        let table = &mut self.table;
        let known = table.view().messages().iter().map(|message| message.uid);
        let gone: Vec<u32> = known
            .filter(|uid| !contents.messages.contains_key(uid))
            .collect();
        table.remove(&gone);
        let mut modseq = first.then(|| table.view().highest_modseq);
        let mut added = Vec::new();
        for (&uid, kept) in &mut contents.messages {
            let keywords = bits(table, &kept.keywords);
            match table.message(uid) {
                Some(known) if (known.flags, known.keywords) == (kept.flags, keywords) => continue,
                Some(_) => {
                    let modseq = *modseq.get_or_insert_with(|| table.next_modseq());
                    table.update(uid, |message| {
                        message.flags = kept.flags;
                        message.keywords = keywords;
                        message.modseq = modseq;
                    });
                }
                None => {
                    if std::mem::take(&mut kept.recent) {
                        table.add_recent(uid);
                    }
                    added.push(Message {
                        uid,
                        flags: kept.flags,
                        keywords,
                        modseq: *modseq.get_or_insert_with(|| table.next_modseq()),
                        internal_date: kept.internal_date,
                        save_date: Some(kept.save_date),
                        size: Some(kept.content.len() as u64),
                    });
                }
            }
        }
        table.insert(added);
        table.raise_uid_next(contents.last_uid.saturating_add(1));
    }
}

fn bits(table: &mut Table, names: &BTreeSet<String>) -> Keywords {
    let mut keywords = Keywords::default();
    for name in names {
        // Those that had no room were refused when they came.
        if let Ok(index) = table.keyword(name, KEYWORDS) {
            keywords.set(index);
        }
    }
    keywords
}

fn named(names: &[String], wanted: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
}

/// The name by which a keyword is known in the mailbox already, or its own.
fn canonical(table: &mut Table, names: &[String]) -> Result<Vec<String>, Error> {
    let canonical = |name: &String| {
        let index = table.keyword(name, KEYWORDS)?;
        let known = table.view().keyword_names().get(index);
        Ok(known.unwrap_or(name).clone())
    };
    names.iter().map(canonical).collect()
}

impl Backend for Folder {
    fn index(&mut self) -> (&mut Index, &mut Table) {
        (&mut self.index, &mut self.table)
    }

    fn tag(&self, _uid: u32) -> u64 {
        0
    }

    fn save(&mut self) {
        self.table.take_news();
    }

    fn table(&self) -> &Table {
        &self.table
    }

    fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    fn refresh(&mut self, _now: SystemTime) -> Result<(), Error> {
        self.changing(false, |_, _| Ok(()))
    }

    fn reader(&mut self, uid: u32, _now: SystemTime) -> Result<Reader, Error> {
        let content = lock(&self.contents)
            .messages
            .get(&uid)
            .map(|kept| Arc::clone(&kept.content));
        let content = content.ok_or(Error::NoSuchMessage(uid))?;
        let size = content.len() as u64;
        let extents = vec![Extent {
            start: 0,
            end: size,
            form: Form::Wire,
        }];
        Ok(Reader::new(
            Arc::new(ReadOnly(Octets(content))),
            extents,
            size,
        ))
    }

    fn set_flags(
        &mut self,
        uids: &[u32],
        change: &FlagChange,
        unchanged_since: Option<u64>,
        _now: SystemTime,
    ) -> Result<Stored, Error> {
        let mut stored = Stored::default();
        self.changing(false, |contents, table| {
            let names = match change.mode {
                FlagMode::Remove => change.keywords.clone(),
                _ => canonical(table, &change.keywords)?,
            };
            for &uid in &uids.iter().copied().collect::<BTreeSet<u32>>() {
                let Some((message, kept)) = table.message(uid).zip(contents.messages.get_mut(&uid))
                else {
                    continue;
                };
                if unchanged_since.is_some_and(|limit| message.modseq > limit) {
                    stored.modified.push(uid);
                    continue;
                }
                let before = (kept.flags, kept.keywords.clone());
                match change.mode {
                    FlagMode::Add => kept.flags |= change.flags,
                    FlagMode::Remove => {
                        kept.flags = kept.flags & !change.flags;
                        kept.keywords.retain(|name| !named(&names, name));
                    }
                    FlagMode::Replace => {
                        kept.flags = change.flags;
                        kept.keywords.clear();
                    }
                }
                if change.mode != FlagMode::Remove {
                    kept.keywords.extend(names.iter().cloned());
                }
                if before != (kept.flags, kept.keywords.clone()) {
                    stored.changed.push(uid);
                }
            }
            Ok(())
        })?;
        stored.highest_modseq = self.table.view().highest_modseq;
        Ok(stored)
    }

    fn expunge(&mut self, uids: &[u32], _now: SystemTime) -> Result<Vec<u32>, Error> {
        self.changing(false, |contents, _| {
            let gone = uids.iter().copied();
            Ok(gone
                .filter(|uid| contents.messages.remove(uid).is_some())
                .collect())
        })
    }

    fn link(&mut self, _uid: u32, _now: SystemTime) -> Result<Option<Link>, Error> {
        Ok(None)
    }

    fn place(&mut self, items: Vec<Item>, now: SystemTime) -> Result<Vec<u32>, Error> {
        self.changing(false, |contents, table| {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                let Source::Memory(content) = item.source else {
                    continue;
                };
                all.push(Kept {
                    content: content.into(),
                    flags: item.flags,
                    keywords: canonical(table, &item.keywords)?.into_iter().collect(),
                    internal_date: item.internal_date,
                    save_date: now,
                    recent: true,
                });
            }
            let room = u32::MAX - 1 - contents.last_uid.min(u32::MAX - 1);
            if all.len() > usize::try_from(room).unwrap_or(usize::MAX) {
                return Err(Error::NoUidsLeft);
            }
            all.into_iter().map(|kept| contents.add(kept)).collect()
        })
    }

    fn object_id(&mut self, _now: SystemTime) -> Result<ObjectId, Error> {
        Ok(lock(&self.contents).object_id)
    }

    fn skip_uids(&mut self, next: u32) {
        let mut contents = lock(&self.contents);
        contents.last_uid = contents.last_uid.max(next.saturating_sub(1));
    }
}

/// Delivers without opening the mailbox.
pub(crate) fn deliver(
    shared: &Shared,
    mailbox: &str,
    incoming: Incoming,
    id: &DeliveryId,
    options: AppendOptions,
    now: SystemTime,
) -> Result<Delivered, Error> {
    let content = incoming.seal();
    let contents = shared.memory().contents(mailbox)?;
    let name = id.field();
    if id.maybe_delivered && lock(&contents).delivered.contains(&name) {
        return Ok(Delivered::Duplicate);
    }
    let more = QuotaUsed {
        storage: content.len() as u64,
        messages: 1,
    };
    let admission = shared.quota.admit(shared, mailbox, more, None, now)?;
    let mut contents = lock(&contents);
    contents.add(Kept {
        content: content.into(),
        flags: options.flags,
        keywords: options.keywords.into_iter().collect(),
        internal_date: options.internal_date,
        save_date: now,
        recent: true,
    })?;
    contents.delivered.insert(name);
    admission.done(shared);
    Ok(Delivered::Stored)
}

/// Octets that are read as a file is.
struct Octets(Arc<[u8]>);

impl Readable for Octets {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(read_from(&self.0, buf, at))
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(Stat {
            kind: Kind::File,
            len: self.0.len() as u64,
            modified: SystemTime::UNIX_EPOCH,
            inode: 0,
            mode: 0o600,
        })
    }
}
