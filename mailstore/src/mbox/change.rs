//! What sessions and deliveries do to an mbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::meta::{Meta, UID_OCTETS};
use super::scan::Found;
use super::side::Journal;
use super::{Folder, Incoming, Locked, Site, from, lock, scan};
use crate::account::Shared;
use crate::append::{AppendOptions, Delivered, DeliveryId};
use crate::backend::{Backend, Item, Link, Source};
use crate::durable::{File, Stat, read_full_at};
use crate::error::{Error, IoContext};
use crate::flags::{FlagChange, FlagMode};
use crate::index::Index;
use crate::mailbox::Stored;
use crate::quota::QuotaUsed;
use crate::table::Table;
use crate::wire::Reader;

impl Backend for Folder {
    fn table(&self) -> &Table {
        &self.table
    }

    fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    fn refresh(&mut self, now: SystemTime) -> Result<(), Error> {
        self.refresh_now(now)
    }

    fn reader(&mut self, uid: u32, now: SystemTime) -> Result<Reader, Error> {
        self.reader_now(uid, now)
    }

    fn link(&mut self, _uid: u32, _now: SystemTime) -> Result<Option<Link>, Error> {
        Ok(None)
    }

    fn set_flags(
        &mut self,
        uids: &[u32],
        change: &FlagChange,
        unchanged_since: Option<u64>,
        now: SystemTime,
    ) -> Result<Stored, Error> {
        let mut locked = self.lock(now)?;
        self.refresh_locked(&locked)?;
        if change.mode != FlagMode::Remove {
            for keyword in &change.keywords {
                self.table.keyword(keyword, super::KEYWORDS)?;
            }
        }
        if change.mode != FlagMode::Remove {
            self.list_keywords(&mut locked, &change.keywords)?;
        }
        self.reserve_modseq()?;
        let mut stored = Stored::default();
        let mut changed = Vec::new();
        for &uid in &uids.iter().copied().collect::<BTreeSet<u32>>() {
            let Some((message, found)) = self.table.message(uid).zip(self.found.get(&uid)) else {
                continue;
            };
            if unchanged_since.is_some_and(|limit| message.modseq > limit) {
                stored.modified.push(uid);
                continue;
            }
            let meta = changed_meta(&found.meta, change);
            if meta != found.meta {
                changed.push((uid, meta));
            }
        }
        if !changed.is_empty() {
            self.write_flags(&mut locked, &changed)?;
            let modseq = self.table.next_modseq();
            for (uid, meta) in changed {
                let keywords = self.keyword_bits(&meta.keywords);
                self.table.update(uid, |message| {
                    message.flags = meta.flags;
                    message.keywords = keywords;
                    message.modseq = modseq;
                });
                stored.changed.push(uid);
            }
        }
        stored.highest_modseq = self.table.view().highest_modseq;
        Ok(stored)
    }

    fn expunge(&mut self, uids: &[u32], now: SystemTime) -> Result<Vec<u32>, Error> {
        let mut locked = self.lock(now)?;
        self.refresh_locked(&locked)?;
        let gone: BTreeSet<u32> = uids
            .iter()
            .copied()
            .filter(|uid| self.found.contains_key(uid))
            .collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        self.reserve_modseq()?;
        // A UID that no message bears any more must not be given again.
        let mut side = self.side.clone();
        side.reserve_uids(self.table.view().uid_next);
        if side != self.side {
            side.write(self.durable(), &self.site.state())?;
            self.side = side;
        }
        let kept = self.found.iter().filter(|(uid, _)| !gone.contains(uid));
        let kept = kept
            .map(|(_, found)| (found.clone(), found.meta.clone()))
            .collect();
        self.rewrite(&mut locked, kept)?;
        let gone: Vec<u32> = gone.into_iter().collect();
        self.index.remove(&gone);
        Ok(self.table.remove(&gone))
    }

    fn place(&mut self, items: Vec<Item>, now: SystemTime) -> Result<Vec<u32>, Error> {
        let mut locked = self.lock(now)?;
        self.refresh_locked(&locked)?;
        self.reserve_modseq()?;
        let count = u32::try_from(items.len()).map_err(|_| Error::NoUidsLeft)?;
        let first = self.table.view().uid_next;
        let next = first.checked_add(count).ok_or(Error::NoUidsLeft)?;
        if next > self.side.uid_ceiling {
            let mut side = self.side.clone();
            side.reserve_uids(next);
            // Not given yet; what is reserved is the labels' right to be believed.
            side.uid_next = self.side.uid_next;
            side.write(self.durable(), &self.site.state())?;
            self.side = side;
        }
        let mut messages = Vec::with_capacity(items.len());
        for item in &items {
            for keyword in &item.keywords {
                self.table.keyword(keyword, super::KEYWORDS)?;
            }
            self.list_keywords(&mut locked, &item.keywords)?;
        }
        for (item, uid) in items.into_iter().zip(first..) {
            let Source::Mbox(incoming) = item.source else {
                continue;
            };
            let base =
                (uid == first && self.found.is_empty()).then_some((self.side.uid_validity, uid));
            let listed = if base.is_some() {
                self.table.view().keyword_names().to_vec()
            } else {
                Vec::new()
            };
            let meta = Meta {
                uid,
                flags: item.flags,
                keywords: item.keywords,
                base,
                listed,
                delivery: None,
            };
            messages.push((incoming, meta, item.internal_date));
        }
        let growth = append(&self.shared, &self.site, &locked, &messages)?;
        self.take_growth(growth);
        self.refresh_locked(&locked)?;
        let uids: Vec<u32> = (first..next).collect();
        for &uid in &uids {
            self.table.add_recent(uid);
        }
        Ok(uids)
    }

    fn skip_uids(&mut self, next: u32) {
        self.table.raise_uid_next(next);
    }

    fn index(&mut self) -> (&mut Index, &mut Table) {
        (&mut self.index, &mut self.table)
    }

    fn tag(&self, uid: u32) -> u64 {
        self.found.get(&uid).map_or(0, Found::tag)
    }

    fn save(&mut self) {
        self.save_index(false);
    }

    fn take_growth(&mut self, growth: Growth) {
        if self.seen == Some(growth.before) || self.grown == Some(growth.before) {
            self.grown = Some(growth.after);
        }
    }
}

fn changed_meta(meta: &Meta, change: &FlagChange) -> Meta {
    let mut meta = meta.clone();
    let named = |keyword: &String| {
        change
            .keywords
            .iter()
            .any(|name| name.eq_ignore_ascii_case(keyword))
    };
    match change.mode {
        FlagMode::Add => meta.flags |= change.flags,
        FlagMode::Remove => {
            meta.flags = meta.flags & !change.flags;
            meta.keywords.retain(|keyword| !named(keyword));
        }
        FlagMode::Replace => {
            meta.flags = change.flags;
            meta.keywords.retain(named);
        }
    }
    if change.mode != FlagMode::Remove {
        for keyword in &change.keywords {
            if !meta
                .keywords
                .iter()
                .any(|known| known.eq_ignore_ascii_case(keyword))
            {
                meta.keywords.push(keyword.clone());
            }
        }
    }
    meta
}

impl Folder {
    /// Writes the file anew with what sessions are told.
    pub(super) fn write_all_anew(&mut self, now: SystemTime) -> Result<(), Error> {
        let mut locked = self.lock(now)?;
        self.refresh_locked(&locked)?;
        let kept = self
            .found
            .values()
            .map(|found| (found.clone(), found.meta.clone()))
            .collect();
        self.rewrite(&mut locked, kept)
    }

    /// Names keywords in the first message's `X-IMAPbase`, where Dovecot looks for them.
    fn list_keywords(&mut self, locked: &mut Locked, keywords: &[String]) -> Result<(), Error> {
        let Some(first) = self.found.values().next() else {
            return Ok(());
        };
        let listed = |keyword: &String| {
            first
                .meta
                .listed
                .iter()
                .any(|known| known.eq_ignore_ascii_case(keyword))
        };
        if keywords.iter().all(listed) {
            return Ok(());
        }
        let kept = self
            .found
            .values()
            .map(|found| (found.clone(), found.meta.clone()))
            .collect();
        self.rewrite(locked, kept)
    }

    /// Writes flags over the old ones where each has its room; else the whole file anew.
    fn write_flags(&mut self, locked: &mut Locked, changed: &[(u32, Meta)]) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(changed.len());
        for (uid, meta) in changed {
            let Some((at, width)) = self.found.get(uid).and_then(|found| found.slot) else {
                break;
            };
            let lines = meta.flag_lines(width);
            if lines.len() != super::meta::STATUS_OCTETS + width + 1 {
                break;
            }
            writes.push((at + UID_OCTETS as u64, lines));
        }
        if writes.len() < changed.len() {
            let metas: std::collections::HashMap<u32, &Meta> =
                changed.iter().map(|(uid, meta)| (*uid, meta)).collect();
            let kept = self
                .found
                .iter()
                .map(|(uid, found)| {
                    (
                        found.clone(),
                        metas.get(uid).map_or(&found.meta, |meta| *meta).clone(),
                    )
                })
                .collect();
            return self.rewrite(locked, kept);
        }
        for (at, lines) in writes {
            locked
                .file
                .write_all_at(lines.as_bytes(), at)
                .at("write", self.path())?;
        }
        self.durable().sync_data(&*locked.file, self.path())?;
        for (uid, meta) in changed {
            if let Some(found) = self.found.get_mut(uid) {
                found.meta = meta.clone();
            }
        }
        self.see(locked.file.stat().at("stat", self.path())?);
        Ok(())
    }

    /// Writes the file anew beside itself with these messages, and puts it in place.
    fn rewrite(&mut self, locked: &mut Locked, kept: Vec<(Found, Meta)>) -> Result<(), Error> {
        let temporary = self.site.rewritten();
        self.durable().remove(&temporary)?;
        let file: Arc<dyn File> = Arc::from(self.durable().create(&temporary)?);
        // Nobody else knows the file yet, so this cannot have to wait.
        file.try_lock().at("lock", &temporary)?;
        let written = self.write_anew(locked, &*file, &temporary, kept);
        if let Err(error) = written {
            // The mbox is untouched; the next rewrite would remove the leftover too.
            let _ = self.durable().remove(&temporary);
            return Err(error);
        }
        // What follows under this lock is done to the new file.
        locked.file = Arc::clone(&file);
        self.file = Some(Arc::clone(&file));
        let stat = file.stat().at("stat", self.path())?;
        let found = scan::scan(&*file, self.path(), 0, stat.len)?;
        // Every message bears its UID now.
        self.found = found
            .into_iter()
            .map(|found| (found.meta.uid, found))
            .collect();
        for uid in self.found.keys() {
            self.table.touch(*uid);
        }
        self.see(stat);
        if !self.side.unlabelled.is_empty() {
            let mut side = self.side.clone();
            side.unlabelled.clear();
            side.reserve_uids(self.table.view().uid_next);
            side.write(self.durable(), &self.site.state())?;
            self.side = side;
        }
        Ok(())
    }

    fn write_anew(
        &self,
        locked: &Locked,
        file: &dyn File,
        temporary: &std::path::Path,
        kept: Vec<(Found, Meta)>,
    ) -> Result<(), Error> {
        let mut out = Output {
            file,
            path: temporary,
            at: 0,
            buffer: Vec::new(),
        };
        for (index, (found, mut meta)) in kept.into_iter().enumerate() {
            meta.base = None;
            if index == 0 {
                meta.base = Some((
                    self.side.uid_validity,
                    self.table.view().uid_next.saturating_sub(1),
                ));
                meta.listed = self.table.view().keyword_names().to_vec();
            }
            out.copy(&*locked.file, self.path(), found.from, found.header)?;
            for (start, end) in found.visible_header() {
                out.copy(&*locked.file, self.path(), start, end)?;
            }
            if let Some(octets) = found.content_length() {
                out.put(format!("Content-Length: {octets}\n").as_bytes())?;
            }
            out.put(meta.write(meta.width()).as_bytes())?;
            out.copy(&*locked.file, self.path(), found.header_end(), found.end)?;
            if !out.buffer.ends_with(b"\n") {
                out.put(b"\n")?;
            }
            out.put(b"\n")?;
            out.flush_above(64 << 10)?;
        }
        out.flush_above(0)?;
        let stat = locked.file.stat().at("stat", self.path())?;
        file.set_mode(stat.mode).at("set mode of", temporary)?;
        self.durable().sync(file, temporary)?;
        self.durable().rename(temporary, self.path())?;
        match self.path().parent() {
            Some(directory) => self.durable().sync_dir(directory),
            None => Ok(()),
        }
    }
}

/// A file written from its start on.
struct Output<'a> {
    file: &'a dyn File,
    path: &'a std::path::Path,
    at: u64,
    buffer: Vec<u8>,
}

impl Output<'_> {
    fn put(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(octets);
        Ok(())
    }

    fn copy(
        &mut self,
        from: &dyn File,
        path: &std::path::Path,
        mut start: u64,
        end: u64,
    ) -> Result<(), Error> {
        while start < end {
            let want = usize::try_from(end - start)
                .unwrap_or(usize::MAX)
                .min(64 << 10);
            let old = self.buffer.len();
            self.buffer.resize(old + want, 0);
            let read = read_full_at(from, self.buffer.get_mut(old..).unwrap_or_default(), start)
                .at("read", path)?;
            if read < want {
                return Err(Error::Corrupt {
                    path: path.to_owned(),
                    at: start,
                    what: "the mbox was cut",
                });
            }
            start += want as u64;
            self.flush_above(1 << 20)?;
        }
        Ok(())
    }

    /// Writes what is buffered but the last octet, by which the caller sees whether a line has ended.
    fn flush_above(&mut self, limit: usize) -> Result<(), Error> {
        if self.buffer.len() <= limit {
            return Ok(());
        }
        let keep = if limit == 0 { 0 } else { 1 };
        let rest = self.buffer.split_off(self.buffer.len() - keep);
        self.file
            .write_all_at(&self.buffer, self.at)
            .at("write", self.path)?;
        self.at += self.buffer.len() as u64;
        self.buffer = rest;
        Ok(())
    }
}

/// An append by this process: the file as it was before and is behind it. Only of such a growth is it known that
/// what stood before it is as it was.
#[derive(Clone, Copy)]
pub(crate) struct Growth {
    pub(super) before: Stat,
    pub(super) after: Stat,
}

/// Appends messages to the end of the file, all or none, even when a crash comes between.
fn append(
    shared: &Shared,
    site: &Site,
    locked: &Locked,
    messages: &[(Incoming, Meta, SystemTime)],
) -> Result<Growth, Error> {
    let stat = locked.file.stat().at("stat", &site.file)?;
    // As if empty lines stood before the file.
    let mut tail = [b'\n'; 3];
    if stat.len > 0 {
        let from = stat.len.saturating_sub(3);
        let missing = usize::try_from(3u64.saturating_sub(stat.len)).unwrap_or_default();
        let room = tail.get_mut(missing..).unwrap_or_default();
        read_full_at(&*locked.file, room, from).at("read", &site.file)?;
    }
    let parting: &[u8] = match tail {
        [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n'] => b"",
        [_, _, b'\n'] => b"\n",
        _ => b"\n\n",
    };
    let journal = Journal::begin(
        &shared.durable,
        &site.journal(),
        stat.inode,
        stat.len,
        |each| {
            each(parting)?;
            for (incoming, meta, date) in messages {
                each(from::write(*date).as_bytes())?;
                incoming.pour(&meta.write(meta.width()), &mut *each)?;
                each(b"\n")?;
            }
            Ok(())
        },
    )?;
    let poured = journal
        .pour(&*locked.file, &site.file, stat.len)
        .and_then(|()| shared.durable.sync_data(&*locked.file, &site.file));
    if let Err(error) = poured {
        let undone = locked.file.set_len(stat.len).at("cut", &site.file);
        if undone
            .and_then(|()| shared.durable.sync(&*locked.file, &site.file))
            .is_ok()
        {
            journal.end();
        }
        return Err(error);
    }
    journal.end();
    let after = locked.file.stat().at("stat", &site.file)?;
    Ok(Growth {
        before: stat,
        after,
    })
}

/// Delivers without reading the file first. The message gets its UID with the next refresh.
pub(crate) fn deliver(
    shared: &Shared,
    site: &Site,
    mailbox: &str,
    mut incoming: Incoming,
    id: &DeliveryId,
    options: AppendOptions,
    now: SystemTime,
) -> Result<(Delivered, Option<Growth>), Error> {
    incoming.seal()?;
    let locked = lock(shared, site, None, now)?;
    let name = id.field();
    if id.maybe_delivered {
        let read = || {
            let len = locked.file.stat().at("stat", &site.file)?.len;
            let found = scan::scan(&*locked.file, &site.file, 0, len)?;
            let names = found.into_iter().filter_map(|found| found.meta.delivery);
            Ok(names.map(String::into_bytes).collect())
        };
        let deliveries = &shared.deliveries;
        if deliveries.had(&site.file, name.as_bytes(), now, read)? {
            return Ok((Delivered::Duplicate, None));
        }
    }
    let AppendOptions {
        flags,
        keywords,
        internal_date,
    } = options;
    let meta = Meta {
        flags,
        keywords,
        delivery: Some(name.clone()),
        ..Meta::default()
    };
    let more = QuotaUsed {
        storage: incoming.octets(),
        messages: 1,
    };
    let admission = shared.quota.admit(shared, mailbox, more, None, now)?;
    let appended = append(shared, site, &locked, &[(incoming, meta, internal_date)]);
    shared
        .deliveries
        .made(&site.file, name.as_bytes(), appended.is_ok());
    let growth = appended?;
    admission.done(shared);
    Ok((Delivered::Stored, Some(growth)))
}
