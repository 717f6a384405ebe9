//! Mailboxes to be read.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{Foreign, Source, eml};
use crate::account::{foreign_maildirs, foreign_mboxes};
use crate::durable::{Durable, Fs, Kind, RealFs};
use crate::error::{Error, IoContext};
use crate::flags::Flags;
use crate::mailbox::Mailbox;
use crate::mh::{self, MhFolder, Numbered};
use crate::table::Snapshot;
use crate::wire::Reader;
use crate::{maildir, mbox};

/// A message and what is known of it.
pub(super) struct Letter {
    pub(super) reader: Reader,
    pub(super) flags: Flags,
    pub(super) keywords: Vec<String>,
    pub(super) internal_date: SystemTime,
    /// Its UID, where the target should keep it.
    pub(super) uid: Option<u32>,
    /// What it is called in a report.
    pub(super) what: String,
}

/// The messages of one mailbox, in their order.
pub(super) trait Messages {
    fn len(&self) -> usize;
    fn letter(&mut self, index: usize, now: SystemTime) -> Result<Letter, Error>;
    fn what(&self, index: usize) -> String;
    /// UIDVALIDITY, where UIDs are to be kept.
    fn uid_validity(&self) -> Option<u32> {
        None
    }
}

impl Foreign {
    /// What a path seems to hold; `None` where it is not clear.
    ///
    /// # Errors
    /// The path cannot be read.
    pub fn detect(path: &Path) -> Result<Option<Self>, Error> {
        let durable = Durable::new(Arc::new(RealFs) as Arc<dyn Fs>);
        let stat = durable.stat(path)?;
        if stat.kind == Kind::File {
            let file = durable.open(path)?;
            let mut start = [0; 5];
            let read = crate::durable::read_full_at(&*file, &mut start, 0);
            return Ok(match read {
                Ok(0) => Some(Self::Mbox),
                Ok(_) if start == *b"From " => Some(Self::Mbox),
                _ => None,
            });
        }
        if durable.stat_maybe(&path.join("cur"))?.is_some() {
            return Ok(Some(Self::Maildir));
        }
        let (mut eml, mut below) = (false, Vec::new());
        durable.readdir(path, |name, kind| match kind {
            Kind::Directory => below.push(path.join(name)),
            _ => eml |= eml::is_message(name.as_bytes()),
        })?;
        if !foreign_maildirs(&durable, path)?.is_empty() {
            return Ok(Some(Self::Maildir));
        }
        if !mh::folders(&durable, path)?.is_empty() {
            return Ok(Some(Self::Mh));
        }
        if eml || !eml::folders(&durable, path)?.is_empty() {
            return Ok(Some(Self::Eml));
        }
        let mboxes = foreign_mboxes(&durable, path)?;
        let first = mboxes
            .first()
            .map(|(_, file)| Self::detect(file))
            .transpose()?;
        Ok(first.flatten())
    }
}

impl Source {
    /// Names of the mailboxes.
    pub(super) fn mailboxes(&self, durable: &Durable) -> Result<Vec<String>, Error> {
        let (format, path) = match self {
            Self::Account(account) => {
                let listed = account.list()?.into_iter();
                return Ok(listed
                    .filter(|listed| listed.selectable)
                    .map(|listed| listed.name)
                    .collect());
            }
            Self::Files { format, path } => (format, path),
        };
        let mut names: Vec<String> = match format {
            Foreign::Maildir => {
                let found = foreign_maildirs(durable, path)?;
                found.into_iter().map(|(name, _)| name).collect()
            }
            Foreign::Mbox if durable.stat(path)?.kind == Kind::File => vec!["INBOX".to_owned()],
            Foreign::Mbox => {
                let found = foreign_mboxes(durable, path)?;
                found.into_iter().map(|(name, _)| name).collect()
            }
            Foreign::Mh => named(mh::folders(durable, path)?),
            Foreign::Eml => named(eml::folders(durable, path)?),
        };
        names.sort_by_key(|name| (name != "INBOX", name.clone()));
        Ok(names)
    }

    pub(super) fn open(
        &self,
        durable: &Durable,
        name: &str,
        host: &str,
        now: SystemTime,
    ) -> Result<Box<dyn Messages>, Error> {
        let (format, path) = match self {
            Self::Account(account) => {
                let mailbox = account.mailbox(name, now)?;
                let view = mailbox.refresh(now)?;
                return Ok(Box::new(OfAccount { mailbox, view }));
            }
            Self::Files { format, path } => (format, path),
        };
        let root = path.as_path();
        let missing = || Error::NoSuchMailbox(name.to_owned());
        let of = |found: Vec<(String, PathBuf)>| {
            let path = found.into_iter().find(|(own, _)| own == name);
            path.map(|(_, path)| path).ok_or_else(missing)
        };
        let durable = durable.clone();
        let below = if name == "INBOX" && !path.join(name).exists() {
            path.clone()
        } else {
            path.join(name)
        };
        Ok(match format {
            Foreign::Maildir => {
                let folder = of(foreign_maildirs(&durable, path)?)?;
                for directory in ["new", "cur"].map(|part| folder.join(part)) {
                    if durable.stat_maybe(&directory)?.is_some() {
                        within(path, &directory)?;
                    }
                }
                let found = maildir::read_only(&durable, &folder)?;
                Box::new(OfMaildir { durable, found })
            }
            Foreign::Mbox => {
                let path = match durable.stat(path)?.kind {
                    Kind::File => path.clone(),
                    _ => of(foreign_mboxes(&durable, path)?)?,
                };
                within(root, &path)?;
                let found = mbox::Lying::read(&durable, &path, host, now)?;
                Box::new(OfMbox { path, found })
            }
            Foreign::Mh => {
                within(root, &below)?;
                let folder = MhFolder::new(&durable, &below, host);
                let found = folder.messages()?;
                Box::new(OfMh {
                    durable,
                    folder,
                    found,
                })
            }
            Foreign::Eml => {
                within(root, &below)?;
                Box::new(OfEml {
                    found: eml::messages(&durable, &below)?,
                    durable,
                })
            }
        })
    }
}

/// Whoever made the source may have made links in it to what the one who reads it may read.
fn within(root: &Path, path: &Path) -> Result<(), Error> {
    let real = |path: &Path| std::fs::canonicalize(path).at("resolve", path);
    if real(path)?.starts_with(real(root)?) {
        return Ok(());
    }
    Err(Error::Corrupt {
        path: path.to_owned(),
        at: 0,
        what: "a symbolic link leads out of the source",
    })
}

/// The top folder is INBOX.
fn named(names: Vec<String>) -> Vec<String> {
    let name = |name: String| match name.as_str() {
        "" => "INBOX".to_owned(),
        _ => name,
    };
    names.into_iter().map(name).collect()
}

struct OfAccount {
    mailbox: Arc<Mailbox>,
    view: Snapshot,
}

impl Messages for OfAccount {
    fn len(&self) -> usize {
        self.view.messages().len()
    }

    fn letter(&mut self, index: usize, now: SystemTime) -> Result<Letter, Error> {
        let message = self.view.messages().get(index);
        let message = message.ok_or(Error::NoSuchMessage(0))?;
        Ok(Letter {
            reader: self.mailbox.reader(message.uid, now)?,
            flags: message.flags,
            keywords: self
                .view
                .keywords(message)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            internal_date: message.internal_date,
            uid: Some(message.uid),
            what: self.what(index),
        })
    }

    fn what(&self, index: usize) -> String {
        let uid = self
            .view
            .messages()
            .get(index)
            .map_or(0, |message| message.uid);
        format!("{} UID {uid}", self.mailbox.name())
    }

    fn uid_validity(&self) -> Option<u32> {
        Some(self.view.uid_validity)
    }
}

struct OfMaildir {
    durable: Durable,
    found: Vec<maildir::Lying>,
}

impl Messages for OfMaildir {
    fn len(&self) -> usize {
        self.found.len()
    }

    fn letter(&mut self, index: usize, _now: SystemTime) -> Result<Letter, Error> {
        let found = self.found.get(index).ok_or(Error::NoSuchMessage(0))?;
        let (reader, internal_date) = maildir::open_message(&self.durable, &found.path)?;
        Ok(Letter {
            reader,
            flags: found.flags,
            keywords: found.keywords.clone(),
            internal_date,
            uid: None,
            what: self.what(index),
        })
    }

    fn what(&self, index: usize) -> String {
        shown(self.found.get(index).map(|found| found.path.as_path()))
    }
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

struct OfMbox {
    path: PathBuf,
    found: mbox::Lying,
}

impl Messages for OfMbox {
    fn len(&self) -> usize {
        self.found.len()
    }

    fn letter(&mut self, index: usize, _now: SystemTime) -> Result<Letter, Error> {
        let letter = self.found.letter(index, &self.path)?;
        Ok(Letter {
            reader: letter.reader,
            flags: letter.flags,
            keywords: letter.keywords,
            internal_date: letter.date,
            uid: None,
            what: self.what(index),
        })
    }

    fn what(&self, index: usize) -> String {
        format!("{} message {}", self.path.display(), index + 1)
    }
}

struct OfMh {
    durable: Durable,
    folder: MhFolder,
    found: Vec<Numbered>,
}

impl Messages for OfMh {
    fn len(&self) -> usize {
        self.found.len()
    }

    fn letter(&mut self, index: usize, _now: SystemTime) -> Result<Letter, Error> {
        let found = self.found.get(index).ok_or(Error::NoSuchMessage(0))?;
        let path = self.folder.file(found.number);
        let (reader, internal_date) = maildir::open_message(&self.durable, &path)?;
        Ok(Letter {
            reader,
            flags: found.flags,
            keywords: found.keywords.clone(),
            internal_date,
            uid: None,
            what: self.what(index),
        })
    }

    fn what(&self, index: usize) -> String {
        let path = self
            .found
            .get(index)
            .map(|found| self.folder.file(found.number));
        shown(path.as_deref())
    }
}

struct OfEml {
    durable: Durable,
    found: Vec<eml::Message>,
}

impl Messages for OfEml {
    fn len(&self) -> usize {
        self.found.len()
    }

    fn letter(&mut self, index: usize, _now: SystemTime) -> Result<Letter, Error> {
        let found = self.found.get(index).ok_or(Error::NoSuchMessage(0))?;
        let (reader, internal_date) = maildir::open_message(&self.durable, &found.path)?;
        Ok(Letter {
            reader,
            flags: found.flags,
            keywords: found.keywords.clone(),
            internal_date,
            uid: None,
            what: self.what(index),
        })
    }

    fn what(&self, index: usize) -> String {
        shown(self.found.get(index).map(|found| found.path.as_path()))
    }
}
