//! Who may put how much into an account, and what is written down of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::maildirsize::{self, MaildirSize};
use super::{QuotaLimits, QuotaResource, QuotaRule, QuotaUsed, account_limits, mailbox_limits};
use crate::account::{Format, Shared, Site};
use crate::durable::Stat;
use crate::error::Error;
use crate::lock::DotLock;
use crate::{maildir, mbox};

/// An account's rules, and what is known of its use.
#[derive(Default)]
pub(crate) struct Ledger {
    rules: Vec<QuotaRule>,
    /// Messages of the mbox files as they were when they were counted; holding it keeps others from counting too.
    counted: Mutex<HashMap<PathBuf, (Stat, u64)>>,
}

/// A change that fits. [`done`](Self::done) writes it down once it is made.
#[must_use]
pub(crate) struct Admission {
    storage: i64,
    messages: i64,
    /// Whether a file holds the sums.
    kept: bool,
}

impl Admission {
    fn nothing() -> Self {
        Self {
            storage: 0,
            messages: 0,
            kept: false,
        }
    }

    /// The change was made.
    pub(crate) fn done(self, shared: &Shared) {
        if self.kept && (self.storage, self.messages) != (0, 0) {
            let line = format!("{} {}\n", self.storage, self.messages);
            let path = shared.root.join(maildirsize::NAME);
            if shared.durable.append(&path, line.as_bytes()).is_err() {
                // A file that lacks a line is worse than none, which is counted anew.
                let _ = shared.durable.remove(&path);
            }
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Ledger {
    pub(crate) fn new(rules: Vec<QuotaRule>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    fn counting(&self) -> MutexGuard<'_, HashMap<PathBuf, (Stat, u64)>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self, mailbox: &str) -> bool {
        mailbox_limits(&self.rules, mailbox, QuotaLimits::default()).is_some()
    }

    /// Whether messages that come or go are to be measured at all.
    pub(crate) fn is_kept(&self, shared: &Shared) -> Result<bool, Error> {
        let limits = account_limits(&self.rules);
        if limits != QuotaLimits::default() {
            return Ok(true);
        }
        let file = shared.root.join(maildirsize::NAME);
        Ok(shared.format.has_maildirs() && shared.durable.stat_maybe(&file)?.is_some())
    }

    /// Whether so much may go into a mailbox. `freed`: the mailbox that so much is taken out of at the same time.
    ///
    /// # Errors
    /// [`Error::OverQuota`].
    pub(crate) fn admit(
        &self,
        shared: &Shared,
        mailbox: &str,
        more: QuotaUsed,
        freed: Option<(&str, QuotaUsed)>,
        now: SystemTime,
    ) -> Result<Admission, Error> {
        if !self.is_kept(shared)? || !self.counts(mailbox) {
            return Ok(Admission::nothing());
        }
        let admission = Admission {
            storage: signed(more.storage),
            messages: signed(more.messages),
            kept: shared.format.has_maildirs(),
        };
        let (limits, mut used, sure) = self.look(shared, now)?;
        // That is there already, and taken out of the sums when it goes.
        let freed = freed.filter(|(mailbox, _)| self.counts(mailbox));
        let less = freed.map_or(QuotaUsed::default(), |(_, less)| less);
        let more = QuotaUsed {
            storage: more.storage.saturating_sub(less.storage),
            messages: more.messages.saturating_sub(less.messages),
        };
        let limits = mailbox_limits(&self.rules, mailbox, limits).unwrap_or_default();
        if above(limits, used, more).is_some() && !sure {
            used = self.count_anew(shared, true, now)?.1;
        }
        match above(limits, used, more) {
            None => Ok(admission),
            Some((resource, used, wanted, limit)) => Err(Error::OverQuota {
                mailbox: mailbox.to_owned(),
                resource,
                used,
                wanted,
                limit,
            }),
        }
    }

    /// So much was taken out of a mailbox.
    pub(crate) fn release(&self, shared: &Shared, mailbox: &str, less: QuotaUsed) {
        let admission = Admission {
            storage: -signed(less.storage),
            messages: -signed(less.messages),
            kept: shared.format.has_maildirs() && self.counts(mailbox),
        };
        let there = shared
            .durable
            .stat_maybe(&shared.root.join(maildirsize::NAME));
        if there.is_ok_and(|stat| stat.is_some()) {
            admission.done(shared);
        }
    }

    /// Something changed that nobody measured: the next one who asks counts.
    pub(crate) fn doubt(&self, shared: &Shared) -> Result<(), Error> {
        if !shared.format.has_maildirs() {
            return Ok(());
        }
        let path = shared.root.join(maildirsize::NAME);
        if account_limits(&self.rules) == QuotaLimits::default()
            && shared.durable.stat_maybe(&path)?.is_some()
        {
            // The limits stand there alone.
            return shared.durable.append(&path, b"? ?\n").map(|_| ());
        }
        shared.durable.remove(&path).map(|_| ())
    }

    /// The account's limits and what is used of them; `None` where nothing is limited.
    pub(crate) fn usage(
        &self,
        shared: &Shared,
        now: SystemTime,
    ) -> Result<Option<(QuotaLimits, QuotaUsed)>, Error> {
        if !self.is_kept(shared)? {
            return Ok(None);
        }
        let (limits, used, _) = self.look(shared, now)?;
        Ok(Some((limits, used)))
    }

    /// Limits, use, and whether the use was counted just now.
    fn look(
        &self,
        shared: &Shared,
        now: SystemTime,
    ) -> Result<(QuotaLimits, QuotaUsed, bool), Error> {
        match self.kept(shared)? {
            Some(file) => Ok((file.limits, file.used, file.is_sure(now))),
            None => self.count_anew(shared, false, now),
        }
    }

    /// The file that holds the sums, if it is of these limits.
    fn kept(&self, shared: &Shared) -> Result<Option<MaildirSize>, Error> {
        if !shared.format.has_maildirs() {
            return Ok(None);
        }
        let own = account_limits(&self.rules);
        let file = MaildirSize::read(&shared.durable, &shared.root)?;
        Ok(file.filter(|file| own == QuotaLimits::default() || own == file.limits))
    }

    /// As [`look`](Self::look). `doubted`: sums that were added up will not do.
    fn count_anew(
        &self,
        shared: &Shared,
        doubted: bool,
        now: SystemTime,
    ) -> Result<(QuotaLimits, QuotaUsed, bool), Error> {
        let mut counted = self.counting();
        let mut limits = account_limits(&self.rules);
        if shared.format == Format::Memory {
            let used = shared.memory().measure(|name| self.counts(name));
            return Ok((limits, used, true));
        }
        if !shared.format.has_maildirs() {
            return Ok((limits, self.count_mboxes(shared, &mut counted)?, true));
        }
        let root = &shared.root;
        if limits == QuotaLimits::default() {
            limits = maildirsize::limits(&shared.durable, root)?.unwrap_or_default();
        }
        let path = root.join(maildirsize::NAME);
        let lock = root.join("maildirsize.lock");
        let _lock = DotLock::acquire(&shared.durable, lock, &shared.host, now)?;
        if let Some(file) = self.kept(shared)?
            && (!doubted || file.is_sure(now))
        {
            // Whoever had the lock has counted.
            return Ok((file.limits, file.used, file.is_sure(now)));
        }
        // What is delivered while this counts may be counted, and added to the old file, or neither.
        let mut used = QuotaUsed::default();
        for _ in 0..3 {
            let before = self.stamps(shared)?;
            used = self.count_maildirs(shared)?;
            let sums = maildirsize::write(limits, used);
            shared.durable.replace(&path, sums.as_bytes())?;
            if before == self.stamps(shared)? {
                break;
            }
        }
        Ok((limits, used, true))
    }

    /// The directories of messages that count.
    fn directories(&self, shared: &Shared) -> Result<Vec<PathBuf>, Error> {
        let mut directories = Vec::new();
        for name in shared.existing()?.into_iter().chain(["INBOX".to_owned()]) {
            if !self.counts(&name) {
                continue;
            }
            if let Site::Maildir(folder) = shared.site(&name)? {
                directories.extend(["new", "cur"].map(|directory| folder.join(directory)));
            }
        }
        Ok(directories)
    }

    fn stamps(&self, shared: &Shared) -> Result<Vec<Option<SystemTime>>, Error> {
        let directories = self.directories(shared)?;
        let stamp = |path: &PathBuf| {
            let stat = shared.durable.stat_maybe(path)?;
            Ok(stat.map(|stat| stat.modified))
        };
        directories.iter().map(stamp).collect()
    }

    fn count_maildirs(&self, shared: &Shared) -> Result<QuotaUsed, Error> {
        let mut used = QuotaUsed::default();
        for directory in self.directories(shared)? {
            match maildir::measure(&shared.durable, &directory) {
                Ok((storage, messages)) => {
                    used.storage = used.storage.saturating_add(storage);
                    used.messages += messages;
                }
                // Never made, or deleted in this moment.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(used)
    }

    fn count_mboxes(
        &self,
        shared: &Shared,
        counted: &mut HashMap<PathBuf, (Stat, u64)>,
    ) -> Result<QuotaUsed, Error> {
        let mut used = QuotaUsed::default();
        let mut seen = HashMap::new();
        for name in shared.existing()?.into_iter().chain(["INBOX".to_owned()]) {
            let Site::Mbox(site) = shared.site(&name)? else {
                continue;
            };
            let Some(stat) = shared.durable.stat_maybe(&site.file)? else {
                continue;
            };
            if !self.counts(&name) {
                continue;
            }
            let messages = match counted.get(&site.file) {
                Some((known, messages)) if *known == stat => *messages,
                _ => mbox::count(&shared.durable, &site.file)?,
            };
            used.storage = used.storage.saturating_add(stat.len);
            used.messages += messages;
            seen.insert(site.file, (stat, messages));
        }
        *counted = seen;
        Ok(used)
    }

    /// Whether a mailbox's name matters to the sums.
    pub(crate) fn knows_names(&self) -> bool {
        self.rules.iter().any(|rule| rule.ignore)
    }
}

/// What `more` would be above of: resource, used, wanted, limit.
fn above(
    limits: QuotaLimits,
    used: QuotaUsed,
    more: QuotaUsed,
) -> Option<(QuotaResource, u64, u64, u64)> {
    [
        (
            QuotaResource::Storage,
            used.storage,
            more.storage,
            limits.storage,
        ),
        (
            QuotaResource::Message,
            used.messages,
            more.messages,
            limits.messages,
        ),
    ]
    .into_iter()
    .find_map(|(resource, used, wanted, limit)| {
        let limit = limit.filter(|_| wanted > 0)?;
        (used.saturating_add(wanted) > limit).then_some((resource, used, wanted, limit))
    })
}

/// What the mailbox's files are read as.
impl Format {
    fn has_maildirs(self) -> bool {
        matches!(self, Self::Maildir | Self::MaildirFs)
    }
}
