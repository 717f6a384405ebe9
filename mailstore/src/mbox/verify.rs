//! An mbox against what is written down of it.

use std::sync::Arc;
use std::time::SystemTime;

use super::side::{Known, Side};
use super::{Folder, Site, lock, scan};
use crate::account::Shared;
use crate::error::{Error, IoContext};
use crate::verify::{Checked, Told};

pub(crate) fn check(
    shared: &Arc<Shared>,
    site: &Site,
    mend: bool,
    now: SystemTime,
) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    let durable = &shared.durable;
    for (journal, what) in [
        (site.journal(), "an append that a crash may have cut"),
        (site.rewriting(), "a change that a crash may have cut"),
    ] {
        if durable.stat_maybe(&journal)?.is_some() {
            // Taking the lock ends it.
            checked.found(journal, what, mend);
            if !mend {
                return Ok(checked);
            }
        }
    }
    if matches!(Side::look(durable, &site.state())?, Known::Damaged) {
        checked.found(site.state(), "not a state file", mend);
        if !mend {
            return Ok(checked);
        }
        // Opening puts it aside and makes another.
        drop(Folder::open(shared, site, now)?);
    }
    let wrong = labels(shared, site, &mut checked, mend, now)?;
    if mend && wrong {
        // Every message gets the label that sessions are told.
        let mut folder = Folder::open(shared, site, now)?;
        folder.write_all_anew(now)?;
        labels(shared, site, &mut Checked::default(), mend, now)?;
    }
    messages(shared, site, &mut checked, now)?;
    Ok(checked)
}

/// What is wrong with the labels of the messages; true when there is such.
fn labels(
    shared: &Shared,
    site: &Site,
    checked: &mut Checked,
    mend: bool,
    now: SystemTime,
) -> Result<bool, Error> {
    let locked = lock(shared, site, None, now)?;
    let len = locked.file.stat().at("stat", &site.file)?.len;
    let found = match scan::scan(&*locked.file, &site.file, 0, len) {
        Ok(found) => found,
        Err(Error::Corrupt { at, what, .. }) => {
            checked.found(&site.file, format!("{what} at octet {at}"), false);
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let side = Side::read(&shared.durable, &site.state())?;
    let before = checked.findings.len();
    let mut last = 0;
    for (index, message) in found.iter().enumerate() {
        let uid = message.meta.uid;
        let at =
            |problem: String| format!("message {} at octet {}: {problem}", index + 1, message.from);
        if uid != 0 && uid <= last {
            let problem = at(format!("its UID {uid} is not above {last}"));
            checked.found(&site.file, problem, mend);
        }
        last = last.max(uid);
        if message.claims_other_length() {
            let problem = at("its Content-Length is not that of its body".to_owned());
            checked.found(&site.file, problem, mend);
        }
        if index > 0 && message.meta.base.is_some() {
            let problem = at("it has the X-IMAPbase of a first message".to_owned());
            checked.found(&site.file, problem, mend);
        }
        if let (0, Some((validity, _)), Some(side)) = (index, message.meta.base, &side)
            && validity != side.uid_validity
        {
            let problem = at(format!(
                "its UIDVALIDITY {validity} is not {}",
                side.uid_validity
            ));
            checked.found(&site.file, problem, mend);
        }
    }
    if let Some(side) = &side
        && last >= side.uid_ceiling.max(1)
    {
        let problem = format!("UID {last} was never given: {} is the next", side.uid_next);
        checked.found(&site.file, problem, mend);
    }
    Ok(checked.findings.len() > before)
}

/// The messages that bear their UID.
fn messages(
    shared: &Shared,
    site: &Site,
    checked: &mut Checked,
    now: SystemTime,
) -> Result<(), Error> {
    let locked = lock(shared, site, None, now)?;
    let len = locked.file.stat().at("stat", &site.file)?.len;
    let Ok(found) = scan::scan(&*locked.file, &site.file, 0, len) else {
        return Ok(());
    };
    for message in found {
        if message.meta.uid == 0 {
            continue;
        }
        let size = crate::wire::measure(Arc::clone(&locked.file), message.extents())
            .at("read", &site.file)?;
        checked.messages.insert(
            message.meta.uid,
            Told {
                path: site.file.clone(),
                flags: message.meta.flags,
                keywords: message.meta.keywords.clone(),
                size,
                internal_date: message.date,
            },
        );
    }
    Ok(())
}
