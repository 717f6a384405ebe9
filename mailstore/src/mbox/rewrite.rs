//! Changing messages where they are: all changes of an mbox but appends.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Weak;
use std::time::SystemTime;

use super::draft::{BLOCK, Draft};
use super::meta::{self, Meta, UID_OCTETS};
use super::recover::{NO_LINE_END, parting};
use super::redo::Redo;
use super::scan::Found;
use super::{Folder, Locked, Site, scan};
use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};

/// Octets of the mbox and where they belong.
type Patch = (u64, Vec<u8>);

/// How a file becomes what it is to be.
struct Plan {
    /// What is written over in place, before `start`.
    patches: Vec<Patch>,
    /// What messages there say then.
    patched: Vec<(u32, Meta)>,
    /// From here on the file is written anew.
    start: u64,
    /// What it holds from there on.
    kept: Vec<(Found, Meta)>,
}

/// Octets that change flags where they stand, when there is room for them.
fn flag_patch(found: &Found, meta: &Meta) -> Option<Patch> {
    let (at, width) = found.slot?;
    let lines = meta.flag_lines(width);
    (lines.len() == meta::STATUS_OCTETS + width + 1)
        .then(|| (at + UID_OCTETS as u64, lines.into_bytes()))
}

impl Folder {
    pub(super) fn all(&self) -> Vec<(Found, Meta)> {
        let found = self.found.values();
        found
            .map(|found| (found.clone(), found.meta.clone()))
            .collect()
    }

    /// Writes all messages anew with what sessions are told.
    pub(super) fn write_all_anew(&mut self, now: SystemTime) -> Result<(), Error> {
        let locked = self.lock(now)?;
        self.refresh_locked(&locked)?;
        let kept = self.all();
        self.rewrite(&locked, kept, true)
    }

    /// Names keywords in the first message's `X-IMAPbase`, where Dovecot looks for them.
    pub(super) fn list_keywords(
        &mut self,
        locked: &Locked,
        keywords: &[String],
    ) -> Result<(), Error> {
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
        let kept = self.all();
        self.rewrite(locked, kept, false)
    }

    /// Writes flags over the old ones where each has its room; else what follows the first that has none anew.
    pub(super) fn write_flags(
        &mut self,
        locked: &Locked,
        changed: &[(u32, Meta)],
    ) -> Result<(), Error> {
        let patches: Option<Vec<Patch>> = changed
            .iter()
            .map(|(uid, meta)| flag_patch(self.found.get(uid)?, meta))
            .collect();
        let Some(patches) = patches else {
            let mut kept = self.all();
            let metas: BTreeMap<u32, &Meta> =
                changed.iter().map(|(uid, meta)| (*uid, meta)).collect();
            for (found, meta) in &mut kept {
                if let Some(changed) = metas.get(&found.meta.uid) {
                    *meta = Meta::clone(changed);
                }
            }
            return self.rewrite(locked, kept, false);
        };
        let written = overwrite(self.durable(), &self.site, &*locked.file, &patches);
        self.doubt_unless(written)?;
        for (uid, meta) in changed {
            if let Some(found) = self.found.get_mut(uid) {
                found.meta = meta.clone();
            }
        }
        self.see(locked.file.stat().at("stat", self.path())?);
        Ok(())
    }

    /// After a failure the file is read anew, as nobody knows how far it came.
    fn doubt_unless(&mut self, written: Result<(), Error>) -> Result<(), Error> {
        if written.is_err()
            && let Some(seen) = &mut self.seen
        {
            (seen.modified, seen.len) = (SystemTime::UNIX_EPOCH, 0);
        }
        written
    }

    /// Makes the file hold these messages, which are in its order, with these states. `whole`: every one is written
    /// anew.
    pub(super) fn rewrite(
        &mut self,
        locked: &Locked,
        kept: Vec<(Found, Meta)>,
        whole: bool,
    ) -> Result<(), Error> {
        let plan = self.plan(locked, kept, whole)?;
        self.lent.retain(|lent| lent.strong_count() > 0);
        for lent in self.lent.iter().filter_map(Weak::upgrade) {
            if lent.end() > plan.start {
                lent.keep(self.durable(), &self.site)?;
            }
        }
        let redo = drafted(self.durable(), &self.site, &*locked.file, |draft| {
            for (place, octets) in &plan.patches {
                draft.run(*place);
                draft.put(octets)?;
            }
            draft.run(plan.start);
            for (found, meta) in &plan.kept {
                render(draft, &*locked.file, self.path(), found, meta)?;
            }
            Ok(())
        })?;
        let written = carry_out(self.durable(), &self.site, &*locked.file, redo);
        self.doubt_unless(written)?;
        self.take_over(locked, plan)
    }

    fn plan(
        &self,
        locked: &Locked,
        mut kept: Vec<(Found, Meta)>,
        whole: bool,
    ) -> Result<Plan, Error> {
        let (mut patches, mut patched) = (Vec::new(), Vec::new());
        let mut staying = 0;
        for ((found, meta), old) in kept.iter().zip(self.found.values()) {
            if whole || found.from != old.from {
                break;
            }
            if *meta != found.meta {
                let Some(patch) = flag_patch(found, meta) else {
                    break;
                };
                patches.push(patch);
                patched.push((found.meta.uid, meta.clone()));
            }
            staying += 1;
        }
        let base = (
            self.side.uid_validity,
            self.table.view().uid_next.saturating_sub(1),
        );
        if let Some((found, meta)) = kept.first_mut() {
            meta.base = Some(base);
            meta.listed = self.table.view().keyword_names().to_vec();
            let patch = match staying {
                0 => None,
                _ => base_patch(&*locked.file, self.path(), found, meta)?,
            };
            match patch {
                Some(patch) => {
                    patches.push(patch);
                    patched.push((found.meta.uid, meta.clone()));
                }
                None => {
                    staying = 0;
                    patches.clear();
                    patched.clear();
                }
            }
        }
        let start = match self.found.values().nth(staying) {
            Some(found) => found.from,
            None => locked.file.stat().at("stat", self.path())?.len,
        };
        let mut kept = kept.split_off(staying);
        let not_first = usize::from(staying == 0);
        for (_, meta) in kept.iter_mut().skip(not_first) {
            meta.base = None;
        }
        Ok(Plan {
            patches,
            patched,
            start,
            kept,
        })
    }

    /// Takes in what was written.
    fn take_over(&mut self, locked: &Locked, plan: Plan) -> Result<(), Error> {
        let stat = locked.file.stat().at("stat", self.path())?;
        let found = scan::scan(&*locked.file, self.path(), plan.start, stat.len)?;
        let moved = self
            .found
            .extract_if(.., |_, found| found.from >= plan.start);
        let before: HashMap<u32, u64> = moved.map(|(uid, found)| (uid, found.tag())).collect();
        for (uid, meta) in plan.patched {
            if let Some(found) = self.found.get_mut(&uid) {
                found.meta = meta;
                self.table.touch(uid);
            }
        }
        let mut side = self.side.clone();
        if let Some(first) = found.first() {
            // Every one from there on bears its UID now.
            let uid = first.meta.uid;
            side.unlabelled.retain(|(unlabelled, _)| *unlabelled < uid);
        }
        for found in found {
            let uid = found.meta.uid;
            self.table.touch(uid);
            if before.get(&uid).is_some_and(|tag| *tag != found.tag()) {
                // Its last line had no end before.
                self.table.update(uid, |message| message.size = None);
            }
            self.found.insert(uid, found);
        }
        self.see(stat);
        if side != self.side {
            side.reserve_uids(self.table.view().uid_next);
            self.write_side(&side)?;
            self.side = side;
        }
        Ok(())
    }
}

/// The message as it is to stand in the file.
fn render(
    draft: &mut Draft<'_>,
    mbox: &dyn File,
    path: &Path,
    found: &Found,
    meta: &Meta,
) -> Result<(), Error> {
    draft.copy(mbox, path, found.from, found.header)?;
    for (start, end) in found.visible_header() {
        draft.copy(mbox, path, start, end)?;
    }
    if draft.last() != b'\n' {
        // The file was cut within the header.
        draft.put(b"\n")?;
    }
    if let Some(octets) = found.content_length() {
        draft.put(format!("Content-Length: {octets}\n").as_bytes())?;
    }
    draft.put(meta.write(meta.width()).as_bytes())?;
    body(draft, mbox, path, found, found.header_end())
}

/// The message from a place of its own on, with a line end at its end and the empty line behind it.
fn body(
    draft: &mut Draft<'_>,
    mbox: &dyn File,
    path: &Path,
    found: &Found,
    from: u64,
) -> Result<(), Error> {
    let mut from = from;
    if let Some(line) = scan::open_from_line(mbox, path, found)? {
        draft.copy(mbox, path, from, line)?;
        draft.put(b">")?;
        from = line;
    }
    draft.copy(mbox, path, from, found.end)?;
    if draft.last() != b'\n' {
        draft.put(b"\n")?;
    }
    draft.put(b"\n")
}

/// What must stand behind the end of the file before a message can. A last line that has no end and is text for that
/// alone is quoted first; and a body whose length is told stays as long as it is.
pub(super) fn end_of_last(
    durable: &Durable,
    site: &Site,
    mbox: &dyn File,
) -> Result<&'static [u8], Error> {
    let path = &site.file;
    let len = mbox.stat().at("stat", path)?.len;
    let parting = parting(mbox, path, len)?;
    if parting != NO_LINE_END {
        return Ok(parting);
    }
    let Some(last) = scan::scan(mbox, path, 0, len)?.pop() else {
        return Ok(parting);
    };
    if last.counted {
        return Ok(b"\n");
    }
    if scan::open_from_line(mbox, path, &last)?.is_none() {
        return Ok(parting);
    }
    let redo = drafted(durable, site, mbox, |draft| {
        draft.run(last.from);
        body(draft, mbox, path, &last, last.from)
    })?;
    carry_out(durable, site, mbox, redo)?;
    Ok(b"")
}

/// The first message's `X-IMAPbase` with what it is to say; `None` when there is none, or no room for it.
fn base_patch(
    mbox: &dyn File,
    path: &Path,
    found: &Found,
    meta: &Meta,
) -> Result<Option<Patch>, Error> {
    for &(start, end) in &found.hidden {
        let mut octets = vec![0; usize::try_from(end - start).unwrap_or_default()];
        let read = read_full_at(mbox, &mut octets, start).at("read", path)?;
        octets.truncate(read);
        let mut at = start;
        let mut lines = octets.split_inclusive(|octet| *octet == b'\n').peekable();
        while let Some(line) = lines.next() {
            let field = meta::field(line);
            if field.as_deref().is_some_and(meta::is_base) {
                let folded = lines
                    .peek()
                    .is_some_and(|next| next.starts_with(b" ") || next.starts_with(b"\t"));
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                let room = text.strip_suffix(b"\r").unwrap_or(text).len();
                let text = meta.base_line(room);
                let fits = !folded && text.len() == room;
                return Ok(fits.then(|| (at, text.into_bytes())));
            }
            at += line.len() as u64;
        }
    }
    Ok(None)
}

/// A journal that `fill` writes; without one nothing is to be done.
fn drafted(
    durable: &Durable,
    site: &Site,
    mbox: &dyn File,
    fill: impl FnOnce(&mut Draft<'_>) -> Result<(), Error>,
) -> Result<Redo, Error> {
    let path = site.rewriting();
    let mut draft = Draft::begin(durable, &path, mbox, &site.file)?;
    let drafted = fill(&mut draft).and_then(|()| draft.publish(false));
    if drafted.is_err() {
        // It may have its name already, but nothing was done by it.
        let _ = durable.remove(&path);
    }
    drafted
}

/// Does what the journal says.
///
/// # Errors
/// The mbox is as it was when the disk is full. After another failure whoever takes the locks next goes on.
fn carry_out(durable: &Durable, site: &Site, mbox: &dyn File, redo: Redo) -> Result<(), Error> {
    let path = &site.file;
    if let Err(error) = redo.make_room(durable, mbox, path) {
        let undone = mbox.set_len(redo.old_len()).at("cut", path);
        if undone.and_then(|()| durable.sync(mbox, path)).is_ok() {
            let _ = redo.end(durable);
        }
        return Err(error);
    }
    // From here on the way back is longer than the way on, so a failure that passes is waited out.
    if redo
        .apply(durable, mbox, path, redo.old_len().max(redo.new_len()))
        .is_err()
    {
        redo.apply(durable, mbox, path, redo.old_len().max(redo.new_len()))?;
    }
    // Whoever finds it again sees that all was done.
    let _ = redo.end(durable);
    Ok(())
}

/// Writes octets over others, of which none may be torn in a way that makes sense.
pub(super) fn overwrite(
    durable: &Durable,
    site: &Site,
    mbox: &dyn File,
    patches: &[Patch],
) -> Result<(), Error> {
    let (mut torn, mut whole) = (Vec::new(), Vec::new());
    for patch in patches {
        let by_journal = may_tear(mbox, &site.file, patch)?;
        if by_journal { &mut torn } else { &mut whole }.push(patch);
    }
    if !torn.is_empty() {
        let redo = drafted(durable, site, mbox, |draft| {
            for (place, octets) in torn {
                draft.run(*place);
                draft.put(octets)?;
            }
            draft.run(draft.old_len());
            Ok(())
        })?;
        carry_out(durable, site, mbox, redo)?;
    }
    for (place, octets) in &whole {
        mbox.write_all_at(octets, *place).at("write", &site.file)?;
    }
    if whole.is_empty() {
        return Ok(());
    }
    durable.sync_data(mbox, &site.file)
}

/// Whether the octets that change stand in several blocks.
fn may_tear(mbox: &dyn File, path: &Path, (place, octets): &Patch) -> Result<bool, Error> {
    let block = |at: usize| (place + at as u64) / BLOCK;
    if block(0) == block(octets.len().saturating_sub(1)) {
        return Ok(false);
    }
    let mut old = vec![0; octets.len()];
    read_full_at(mbox, &mut old, *place).at("read", path)?;
    let differs = |(old, new): (&u8, &u8)| old != new;
    let mut pairs = old.iter().zip(octets);
    let first = pairs.clone().position(differs);
    let last = pairs.rposition(differs);
    Ok(first.map(block) != last.map(block))
}
