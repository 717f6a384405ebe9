//! The mailboxes there are: listing, making, removing and renaming them.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::SystemTime;

use super::{Account, Format, Site, maildir, maildir_fs, mbox};
use crate::error::Error;
use crate::{acl, metadata, name};

/// One mailbox of [`Account::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, `/` between levels.
    pub name: String,
    /// Whether it can be opened; a level that only has children cannot.
    pub selectable: bool,
    /// Whether there are mailboxes below it.
    pub has_children: bool,
    /// What it is for (RFC 6154 §2), as [`Account::set_special_use`] said.
    pub special_use: Option<String>,
}

/// Where no time is told: only locks of dead processes are broken, not old ones.
const NO_CLOCK: SystemTime = SystemTime::UNIX_EPOCH;

impl Account {
    /// Every mailbox and every level above one, in the order of their names, INBOX first. A name on the disk that is
    /// no modified UTF-7 is told with `\u{FFFD}` and two hexadecimal digits for each octet that is to blame, and
    /// can be opened by that.
    ///
    /// # Errors
    /// The disk fails.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut names: BTreeMap<Vec<String>, bool> = BTreeMap::new();
        for name in self.shared.existing()? {
            let levels: Vec<String> = name.split('/').map(str::to_owned).collect();
            for above in 1..levels.len() {
                names
                    .entry(levels.get(..above).unwrap_or_default().to_vec())
                    .or_insert(false);
            }
            names.insert(levels, true);
        }
        names.insert(vec!["INBOX".to_owned()], true);
        let mut listed: Vec<Listed> = Vec::with_capacity(names.len());
        let mut uses = metadata::special_uses(&self.shared)?;
        let mut iter = names.into_iter().peekable();
        while let Some((levels, selectable)) = iter.next() {
            // Children follow their parent in this order.
            let has_children = iter
                .peek()
                .is_some_and(|(next, _)| next.starts_with(&levels));
            let name = levels.join("/");
            listed.push(Listed {
                special_use: uses.remove(&name),
                name,
                selectable,
                has_children,
            });
        }
        listed.sort_by_key(|listed| listed.name != "INBOX");
        Ok(listed)
    }

    /// Makes a mailbox. Levels above it need not exist.
    ///
    /// # Errors
    /// [`Error::MailboxExists`], [`Error::InvalidName`], or the disk fails.
    pub fn create(&self, name: &str) -> Result<(), Error> {
        let name = name::canonical(name)?;
        let _mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let site = self.shared.site(&name)?;
        if name == "INBOX" || self.shared.site_exists(&site)? {
            return Err(Error::MailboxExists(name));
        }
        if let Site::Mbox(site) = &site {
            mbox::check_levels(&self.shared.durable, &self.shared.root, site, &name)?;
            mbox::forget(&self.shared.durable, site)?;
        }
        // What was said of an earlier mailbox of the name, and could not be taken back in time.
        metadata::forget(&self.shared, &name, NO_CLOCK)?;
        self.shared.make(&site)?;
        if let Some((above, _)) = name.rsplit_once('/') {
            acl::inherit(&self.shared, &self.shared.site(above)?, &site)?;
        }
        Ok(())
    }

    /// Makes a mailbox that is to take over the UIDs of another one, unless it has messages or UIDs of its own.
    pub(crate) fn create_as(
        &self,
        name: &str,
        uid_validity: u32,
        now: SystemTime,
    ) -> Result<(), Error> {
        let name = name::canonical(name)?;
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if mailboxes
            .get(&name)
            .is_some_and(|known| known.strong_count() > 0)
        {
            return Ok(());
        }
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            self.shared.make(&site)?;
        }
        match &site {
            Site::Maildir(folder) => {
                crate::maildir::begin_as(&self.shared, folder, uid_validity, now)
            }
            Site::Mbox(site) => crate::mbox::begin_as(&self.shared, site, uid_validity, now),
            Site::Memory(name) => self.shared.memory().begin_as(name, uid_validity),
        }
    }

    /// Removes a mailbox and its messages; those below it stay.
    ///
    /// # Errors
    /// [`Error::Inbox`], [`Error::NoSuchMailbox`], or the disk fails.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        let name = name::canonical(name)?;
        if name == "INBOX" {
            return Err(Error::Inbox);
        }
        let durable = &self.shared.durable;
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let site = self.shared.site(&name)?;
        if !self.shared.site_exists(&site)? {
            return Err(Error::NoSuchMailbox(name));
        }
        if let Some(mailbox) = mailboxes
            .remove(&name)
            .and_then(|mailbox| mailbox.upgrade())
        {
            mailbox.retire();
        }
        acl::forget(&self.shared, &site)?;
        match site {
            Site::Maildir(directory) if self.shared.format == Format::MaildirFs => {
                maildir_fs::delete(durable, &self.shared.root, &directory)
            }
            Site::Maildir(directory) => maildir::delete(durable, &self.shared.root, &directory),
            Site::Mbox(site) => {
                crate::mbox::settle(&self.shared, &site, NO_CLOCK)?;
                mbox::delete(durable, &self.shared.root, &site)
            }
            Site::Memory(name) => {
                self.shared.memory().delete(&name);
                Ok(())
            }
        }?;
        metadata::forget(&self.shared, &name, NO_CLOCK)?;
        self.shared.quota.doubt(&self.shared)
    }

    /// Gives a mailbox, and those below it, another name. INBOX itself stays: its messages move to the new
    /// mailbox (RFC 9051 §6.3.6).
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], [`Error::MailboxExists`], [`Error::InvalidName`], or the disk fails.
    pub fn rename(&self, from: &str, to: &str, now: SystemTime) -> Result<(), Error> {
        let (from, to) = (name::canonical(from)?, name::canonical(to)?);
        if self.exists(&to)? {
            return Err(Error::MailboxExists(to));
        }
        if from == "INBOX" {
            self.create(&to)?;
            let inbox = self.mailbox("INBOX", now)?;
            let uids: Vec<u32> = inbox
                .refresh(now)?
                .messages()
                .iter()
                .map(|message| message.uid)
                .collect();
            inbox.move_to(&uids, &*self.mailbox(&to, now)?, now)?;
            return Ok(());
        }
        let below = format!("{from}/");
        if to.starts_with(&below) {
            return Err(Error::InvalidName {
                name: to,
                reason: "a mailbox cannot go below itself",
            });
        }
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut moves = Vec::new();
        for name in self.shared.existing()? {
            let Some(rest) = name
                .strip_prefix(&from)
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            else {
                continue;
            };
            let target = format!("{to}{rest}");
            let site = self.shared.site(&name::canonical(&target)?)?;
            if self.shared.site_exists(&site)? {
                return Err(Error::MailboxExists(target));
            }
            if let Site::Mbox(site) = &site {
                mbox::check_levels(&self.shared.durable, &self.shared.root, site, &target)?;
            }
            moves.push((name.clone(), self.shared.site(&name)?, site));
        }
        if moves.is_empty() {
            return Err(Error::NoSuchMailbox(from));
        }
        for (name, _, _) in &moves {
            if let Some(mailbox) = mailboxes.remove(name).and_then(|mailbox| mailbox.upgrade()) {
                mailbox.retire();
            }
        }
        metadata::copy(&self.shared, &from, &to, now)?;
        if self.shared.format == Format::MaildirFs {
            // The directory takes those below it along.
            let root = &self.shared.root;
            maildir_fs::rename(&self.shared.durable, root, &from, &to)?;
            moves.clear();
        }
        for (_, site, target) in moves {
            acl::renamed(&self.shared, &site, &target)?;
            match (site, target) {
                (Site::Maildir(from), Site::Maildir(to)) => {
                    self.shared.durable.rename(&from, &to)?
                }
                (Site::Mbox(from), Site::Mbox(to)) => {
                    crate::mbox::settle(&self.shared, &from, now)?;
                    mbox::rename(&self.shared.durable, &self.shared.root, &from, &to)?
                }
                (Site::Memory(from), Site::Memory(to)) => self.shared.memory().rename(&from, &to),
                _ => {}
            }
        }
        if self.shared.format != Format::Memory {
            self.shared.durable.sync_dir(&self.shared.root)?;
        }
        metadata::forget_below(&self.shared, &from, now)?;
        if self.shared.quota.knows_names() {
            self.shared.quota.doubt(&self.shared)?;
        }
        Ok(())
    }
}
