//! What sessions and deliveries do to an mbox.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::meta::Meta;
use super::rewrite::end_of_last;
use super::scan::Found;
use super::side::Journal;
use super::{Folder, Incoming, Locked, Site, from, lock, scan};
use crate::account::Shared;
use crate::append::{AppendOptions, Delivered, DeliveryId};
use crate::backend::{Backend, Item, Link, Source};
use crate::durable::Stat;
use crate::error::{Error, IoContext};
use crate::flags::{FlagChange, FlagMode};
use crate::index::Index;
use crate::mailbox::Stored;
use crate::object_id::ObjectId;
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
        let locked = self.lock(now)?;
        self.refresh_locked(&locked)?;
        if change.mode != FlagMode::Remove {
            for keyword in &change.keywords {
                self.table.keyword(keyword, super::KEYWORDS)?;
            }
        }
        if change.mode != FlagMode::Remove {
            self.list_keywords(&locked, &change.keywords)?;
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
            self.write_flags(&locked, &changed)?;
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
        let locked = self.lock(now)?;
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
            self.write_side(&side)?;
            self.side = side;
        }
        let kept = self.found.iter().filter(|(uid, _)| !gone.contains(uid));
        let kept = kept
            .map(|(_, found)| (found.clone(), found.meta.clone()))
            .collect();
        self.rewrite(&locked, kept, false)?;
        let gone: Vec<u32> = gone.into_iter().collect();
        self.index.remove(&gone);
        Ok(self.table.remove(&gone))
    }

    fn place(&mut self, items: Vec<Item>, now: SystemTime) -> Result<Vec<u32>, Error> {
        let locked = self.lock(now)?;
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
            self.write_side(&side)?;
            self.side = side;
        }
        let mut messages = Vec::with_capacity(items.len());
        for item in &items {
            for keyword in &item.keywords {
                self.table.keyword(keyword, super::KEYWORDS)?;
            }
            self.list_keywords(&locked, &item.keywords)?;
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

    fn file(&mut self) -> Option<(Stat, bool)> {
        let by_others = std::mem::take(&mut self.by_others);
        Some((self.grown.or(self.seen)?, by_others))
    }

    fn object_id(&mut self, now: SystemTime) -> Result<ObjectId, Error> {
        self.object_id_now(now)
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
    let parting = end_of_last(&shared.durable, site, &*locked.file)?;
    let stat = locked.file.stat().at("stat", &site.file)?;
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
