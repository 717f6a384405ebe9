//! What sessions do: flags, expunge, copy, append.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::keywords::KeywordFile;
use super::scan::is_message;
use super::{Entry, Folder, Incoming, name, path_of};
use crate::account::Shared;
use crate::append::{AppendOptions, Delivered, DeliveryId};
use crate::backend::{Backend, Item, Link, Source};
use crate::durable::Durable;
use crate::error::Error;
use crate::flags::{FlagChange, FlagMode, Flags, Keywords};
use crate::index::Index;
use crate::lock::DotLock;
use crate::mailbox::{OwnChanges, Stored};
use crate::object_id::ObjectId;
use crate::quota::QuotaUsed;
use crate::table::{Message, Table};
use crate::wire::Reader;

/// A message whose file is in `cur`.
struct Placed {
    name: Vec<u8>,
    /// Where it was in another mailbox.
    from: Option<PathBuf>,
    flags: Flags,
    keywords: Keywords,
    internal_date: SystemTime,
    size: Option<u64>,
}

impl Backend for Folder {
    fn table(&self) -> &Table {
        &self.table
    }

    fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    fn refresh(&mut self, now: SystemTime) -> Result<(), Error> {
        self.look(now, false)
    }

    fn reader(&mut self, uid: u32, now: SystemTime) -> Result<Reader, Error> {
        self.reader_now(uid, now)
    }

    fn set_flags(
        &mut self,
        uids: &[u32],
        change: &FlagChange,
        unchanged_since: Option<u64>,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        self.set_flags_now(uids, change, unchanged_since, now)
    }

    fn expunge(&mut self, uids: &[u32], now: SystemTime) -> Result<Vec<u32>, Error> {
        self.ordered(|folder| folder.expunge_now(uids, now))
    }

    fn link(&mut self, uid: u32, now: SystemTime) -> Result<Option<Link>, Error> {
        self.with_file(uid, now, |folder, entry, path| {
            let stat = folder.durable().stat(path)?;
            let disk_size = name::size(&entry.name, b'S').filter(|&size| size == stat.len);
            Ok(Some(Link {
                path: path.to_owned(),
                disk_size,
                in_new: entry.in_new,
                own: Arc::clone(&folder.own),
            }))
        })
    }

    fn place(&mut self, items: Vec<Item>, now: SystemTime) -> Result<Vec<u32>, Error> {
        self.place_now(items, now)
    }

    fn object_id(&mut self, now: SystemTime) -> Result<ObjectId, Error> {
        self.object_id_now(now)
    }

    fn is_seen(&self) -> bool {
        self.cur_is_seen()
    }

    fn moved_away(&mut self, uids: &[u32], seen: bool, now: SystemTime) -> Result<(), Error> {
        if seen {
            self.stamp_own_change();
        }
        self.ordered(|folder| {
            folder.catch_up(now)?;
            // The renames came to the disk with the other mailbox's directory.
            folder.forget(uids).map(|_| ())
        })
    }

    fn skip_uids(&mut self, next: u32) {
        self.list.uid_next = self.list.uid_next.max(next);
    }

    fn index(&mut self) -> (&mut Index, &mut Table) {
        (&mut self.index, &mut self.table)
    }

    fn tag(&self, uid: u32) -> u64 {
        // A base never gets another message.
        let place = self.index.slots.get(uid).unwrap_or_default();
        u64::from(crc32fast::hash(name::base(super::name_of(place))))
    }

    fn save(&mut self) {
        self.save_index(false);
    }
}

impl Folder {
    /// The letters of these keywords; made if need be, unless `known_only`.
    pub(crate) fn keywords(
        &mut self,
        names: &[String],
        known_only: bool,
        now: SystemTime,
    ) -> Result<Keywords, Error> {
        if names.is_empty() {
            return Ok(Keywords::default());
        }
        if !known_only {
            self.keywords
                .add(&self.shared.durable, names, &self.shared.host, now)?;
            self.table.set_keyword_names(&self.keywords.names);
        }
        Ok(self.keywords.letters(names))
    }

    fn set_flags_now(
        &mut self,
        uids: &[u32],
        change: &FlagChange,
        unchanged_since: Option<u64>,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        let named = self.keywords(&change.keywords, change.mode == FlagMode::Remove, now)?;
        self.ordered(|folder| {
            folder.catch_up(now)?;
            folder.set_flags_ordered(uids, change, named, unchanged_since, now)
        })
    }

    fn set_flags_ordered(
        &mut self,
        uids: &[u32],
        change: &FlagChange,
        named: Keywords,
        unchanged_since: Option<u64>,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        let seen = self.cur_is_seen();
        let mut stored = Stored::default();
        let mut modseq = None;
        let renamed = self.rename_all(
            uids,
            change,
            named,
            unchanged_since,
            now,
            &mut stored,
            &mut modseq,
        );
        if seen {
            self.stamp_own_change();
        }
        if modseq.is_some() {
            self.durable().sync_dir(&self.cur)?;
        }
        renamed?;
        stored.highest_modseq = self.table.view().highest_modseq;
        Ok(stored)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the loop of set_flags, apart so that an error still syncs"
    )]
    fn rename_all(
        &mut self,
        uids: &[u32],
        change: &FlagChange,
        named: Keywords,
        unchanged_since: Option<u64>,
        now: SystemTime,
        stored: &mut Stored,
        modseq: &mut Option<u64>,
    ) -> Result<(), Error> {
        for &uid in uids {
            let Some(message) = self.table.message(uid) else {
                continue;
            };
            if unchanged_since
                .is_some_and(|limit| message.modseq > limit && Some(message.modseq) != *modseq)
            {
                stored.modified.push(uid);
                continue;
            }
            let renamed = self.with_file(uid, now, |folder, entry, path| {
                let (flags, keywords) = name::flags(&entry.name);
                let (flags, keywords) = change.apply(flags, keywords, named);
                let to = name::with_flags(&entry.name, flags, keywords);
                if *to == *entry.name && !entry.in_new {
                    return Ok(None);
                }
                folder.rename_file(entry, path, &to)?;
                Ok(Some((to, flags, keywords)))
            });
            let (to, flags, keywords) = match renamed {
                Ok(Some(renamed)) => renamed,
                Ok(None) | Err(Error::NoSuchMessage(_)) => continue,
                Err(error) => return Err(error),
            };
            self.put_entry(
                uid,
                &Entry {
                    name: to.into(),
                    in_new: false,
                },
            );
            let modseq = *modseq.get_or_insert_with(|| self.table.next_modseq());
            self.table.update(uid, |message| {
                message.flags = flags;
                message.keywords = keywords;
                message.modseq = modseq;
            });
            stored.changed.push(uid);
        }
        Ok(())
    }

    fn expunge_now(&mut self, uids: &[u32], now: SystemTime) -> Result<Vec<u32>, Error> {
        self.catch_up(now)?;
        let seen = self.cur_is_seen();
        let mut gone = Vec::new();
        let mut failed = None;
        for &uid in uids {
            if self.index.slots.get(uid).is_none() {
                continue;
            }
            let removed = self.with_file(uid, now, |folder, entry, path| {
                // Not `remove`, which takes a missing name for done: it may have another name by now.
                folder.durable().stat(path)?;
                folder.own.expect(entry.in_new, &entry.name);
                let removed = folder.durable().remove(path);
                if !matches!(removed, Ok(true)) {
                    folder.own.take(entry.in_new, &entry.name);
                }
                removed
            });
            match removed {
                Ok(_) => gone.push(uid),
                Err(Error::NoSuchMessage(_)) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if seen {
            self.stamp_own_change();
        }
        let gone = if gone.is_empty() {
            gone
        } else {
            self.forget(&gone)?
        };
        if !gone.is_empty() {
            self.durable().sync_dir(&self.cur)?;
        }
        failed.map_or(Ok(gone), Err)
    }

    /// Into `cur`, then on the disk, then with UIDs.
    fn place_now(&mut self, items: Vec<Item>, now: SystemTime) -> Result<Vec<u32>, Error> {
        let mut with_letters = Vec::with_capacity(items.len());
        for item in items {
            let keywords = self.keywords(&item.keywords, false, now)?;
            with_letters.push((item, keywords));
        }
        self.ordered(|folder| folder.place_all(with_letters, now))
    }

    fn place_all(
        &mut self,
        with_letters: Vec<(Item, Keywords)>,
        now: SystemTime,
    ) -> Result<Vec<u32>, Error> {
        self.catch_up(now)?;
        let mut lock = self.lock_unchanged_list(now)?;
        if !self.list.has_room(with_letters.len()) {
            drop(lock);
            self.begin_anew(now)?;
            lock = self.lock_unchanged_list(now)?;
        }
        let seen = self.cur_is_seen();
        let mut placed: Vec<Placed> = Vec::with_capacity(with_letters.len());
        let result = self.place_locked(with_letters, &mut placed, now);
        if result.is_err() {
            for placed in &placed {
                self.take_back(placed);
            }
        }
        if seen {
            self.stamp_own_change();
        }
        drop(lock);
        result
    }

    /// Puts a name into `cur`.
    fn expecting(&self, name: &[u8], put: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        self.own.expect(false, name);
        let put = put();
        if put.is_err() {
            self.own.take(false, name);
        }
        put
    }

    /// Undoes what was not acknowledged. What cannot be removed becomes a message of its own.
    fn take_back(&self, placed: &Placed) {
        let path = path_of(&self.cur, &placed.name);
        self.own.expect(false, &placed.name);
        let undone = match &placed.from {
            Some(from) => {
                let back = self.durable().rename(&path, from);
                back.and_then(|()| {
                    from.parent()
                        .map_or(Ok(()), |from| self.durable().sync_dir(from))
                })
            }
            None => self.durable().remove(&path).map(|_| ()),
        };
        if undone.is_err() {
            self.own.take(false, &placed.name);
        }
    }

    /// Gives a file another name in `cur`.
    pub(super) fn rename_file(&self, entry: &Entry, path: &Path, to: &[u8]) -> Result<(), Error> {
        self.own.expect(entry.in_new, &entry.name);
        self.own.expect(false, to);
        let renamed = self.durable().rename(path, &path_of(&self.cur, to));
        if renamed.is_err() {
            self.own.take(entry.in_new, &entry.name);
            self.own.take(false, to);
        }
        renamed
    }

    /// The list's lock, with everything known that other programs put into the list before.
    fn lock_unchanged_list(&mut self, now: SystemTime) -> Result<DotLock, Error> {
        for _ in 0..100 {
            let lock = self.lock_list(now)?;
            let stat = self.durable().stat_maybe(&self.list_path())?;
            if stat.is_some() && stat == self.list_seen && !self.list_suspect && self.list_loaded {
                return Ok(lock);
            }
            drop(lock);
            self.look(now, true)?;
        }
        Err(Error::Locked {
            path: self.list_path(),
        })
    }

    fn place_locked(
        &mut self,
        items: Vec<(Item, Keywords)>,
        placed: &mut Vec<Placed>,
        now: SystemTime,
    ) -> Result<Vec<u32>, Error> {
        let mut name;
        for (item, keywords) in items {
            let flags = item.flags;
            let mut from = None;
            match item.source {
                Source::Maildir(mut incoming, base) => {
                    name = name::with_flags(base.as_bytes(), flags, keywords);
                    self.expecting(&name, || incoming.rename_to(&path_of(&self.cur, &name)))?;
                }
                source @ (Source::Link(_) | Source::Move(_)) => {
                    let (Source::Link(link) | Source::Move(link)) = &source else {
                        continue;
                    };
                    let mut base = name::fresh(now, self.shared.count(), &self.shared.host);
                    for (field, size) in [('S', link.disk_size), ('W', item.size)] {
                        if let Some(size) = size {
                            base.push_str(&format!(",{field}={size}"));
                        }
                    }
                    name = name::with_flags(base.as_bytes(), flags, keywords);
                    let to = path_of(&self.cur, &name);
                    if matches!(source, Source::Link(_)) {
                        self.expecting(&name, || self.durable().link(&link.path, &to))?;
                    } else {
                        let old = link.path.file_name().unwrap_or_default().as_bytes();
                        link.own.expect(link.in_new, old);
                        let renamed =
                            self.expecting(&name, || self.durable().rename(&link.path, &to));
                        if renamed.is_err() {
                            link.own.take(link.in_new, old);
                        }
                        renamed?;
                        from = Some(link.path.clone());
                    }
                }
                Source::Mbox(_) | Source::Memory(_) => continue,
            }
            placed.push(Placed {
                name,
                from,
                flags,
                keywords,
                internal_date: item.internal_date,
                size: item.size,
            });
        }
        self.durable().sync_dir(&self.cur)?;
        let bases: Vec<Box<[u8]>> = placed
            .iter()
            .map(|placed| name::base(&placed.name).into())
            .collect();
        self.assign(&bases)?;
        let modseq = self.table.next_modseq();
        let mut uids = Vec::with_capacity(placed.len());
        let mut messages = Vec::with_capacity(placed.len());
        for (placed, base) in placed.iter().zip(&bases) {
            let uid = self.list.uid(base).ok_or(Error::NoUidsLeft)?;
            uids.push(uid);
            self.put_entry(
                uid,
                &Entry {
                    name: placed.name.as_slice().into(),
                    in_new: false,
                },
            );
            self.table.add_recent(uid);
            messages.push(Message {
                uid,
                flags: placed.flags,
                keywords: placed.keywords,
                modseq,
                internal_date: placed.internal_date,
                save_date: name::save_date(base),
                size: placed.size,
            });
        }
        self.table.insert(messages);
        Ok(uids)
    }
}

/// Octets and number of the messages in a directory.
pub(crate) fn measure(durable: &Durable, directory: &Path) -> Result<(u64, u64), Error> {
    let (mut octets, mut messages, mut unknown) = (0u64, 0, Vec::new());
    durable.readdir(directory, |file_name, kind| {
        let name = file_name.as_bytes();
        if !is_message(name, kind) {
            return;
        }
        messages += 1;
        match name::size(name, b'S') {
            Some(size) => octets = octets.saturating_add(size),
            None => unknown.push(path_of(directory, name)),
        }
    })?;
    for path in unknown {
        if let Some(stat) = durable.stat_maybe(&path)? {
            octets = octets.saturating_add(stat.len);
        }
    }
    Ok((octets, messages))
}

/// Delivers without opening the folder. The message gets its UID with the next refresh.
pub(crate) fn deliver(
    shared: &Shared,
    (folder, mailbox): (&Path, &str),
    mut incoming: Incoming,
    id: &DeliveryId,
    options: &AppendOptions,
    own: &OwnChanges,
    now: SystemTime,
) -> Result<Delivered, Error> {
    let (base, _) = incoming.seal(options.internal_date)?;
    let unique = id.base(&shared.host).into_bytes();
    let read = || all_names(&shared.durable, folder);
    if id.maybe_delivered && shared.deliveries.had(folder, &unique, now, read)? {
        return Ok(Delivered::Duplicate);
    }
    let mut keywords = Keywords::default();
    if !options.keywords.is_empty() {
        let mut file = KeywordFile::new(folder);
        file.refresh(&shared.durable)?;
        file.add(&shared.durable, &options.keywords, &shared.host, now)?;
        keywords = file.letters(&options.keywords);
    }
    let more = QuotaUsed {
        storage: name::size(base.as_bytes(), b'S').unwrap_or_default(),
        messages: 1,
    };
    let admission = shared.quota.admit(shared, mailbox, more, None, now)?;
    let placed = incoming.deliver(&base, options.flags, keywords, own);
    shared.deliveries.made(folder, &unique, placed.is_ok());
    placed?;
    admission.done(shared);
    Ok(Delivered::Stored)
}

/// The unique part of every name in the folder, whatever became of the flags.
fn all_names(durable: &Durable, folder: &Path) -> Result<HashSet<Vec<u8>>, Error> {
    let mut names = HashSet::new();
    // A message moves from `new` to `cur`, so this order misses none.
    for directory in ["new", "cur"] {
        durable.readdir(&folder.join(directory), |file_name, _| {
            names.insert(name::unique(file_name.as_bytes()).to_vec());
        })?;
    }
    Ok(names)
}
