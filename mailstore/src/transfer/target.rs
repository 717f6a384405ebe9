//! Mailboxes to be filled.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::identity::{self, Identity};
use super::source::{Letter, Messages};
use super::{Foreign, Target, eml};
use crate::append::{Append, AppendOptions};
use crate::durable::Durable;
use crate::error::{Error, IoContext};
use crate::flags::Flags;
use crate::mailbox::Mailbox;
use crate::maildir;
use crate::mh::MhFolder;

/// A message that is to go in.
pub(super) enum Waiting {
    Append(Box<Append>, AppendOptions, Option<u32>),
    File(TemporaryFile, Flags, Vec<String>),
}

/// One mailbox of the target.
pub(super) trait Sink {
    /// What is in it.
    fn each(&self, found: &mut dyn FnMut(Identity)) -> Result<(), Error>;
    /// Whether a message cannot go in together with so many that wait.
    fn leaves_a_gap(&self, _uid: Option<u32>, _waiting: usize) -> bool {
        false
    }
    fn take(
        &mut self,
        letter: &mut Letter,
        content: Option<Vec<u8>>,
        now: SystemTime,
    ) -> Result<Waiting, Error>;
    /// Makes messages durable, in this order.
    fn put(&mut self, waiting: Vec<Waiting>, now: SystemTime) -> Result<(), Error>;
}

impl Target {
    pub(super) fn open(
        &self,
        durable: &Durable,
        name: &str,
        host: &str,
        messages: &dyn Messages,
        now: SystemTime,
    ) -> Result<Box<dyn Sink>, Error> {
        let (format, path) = match self {
            Self::Account(account) => {
                if let Some(uid_validity) = messages.uid_validity() {
                    account.create_as(name, uid_validity, now)?;
                } else if !account.exists(name)? {
                    account.create(name)?;
                }
                let mailbox = account.mailbox(name, now)?;
                let view = mailbox.refresh(now)?;
                let keeps_uids = messages.uid_validity() == Some(view.uid_validity);
                return Ok(Box::new(OfAccount {
                    mailbox,
                    keeps_uids,
                    next: view.uid_next,
                }));
            }
            Self::Files { format, path } => (*format, path),
        };
        let path = if name == "INBOX" {
            path.clone()
        } else {
            path.join(name)
        };
        durable.make_dir(&path)?;
        let folder = MhFolder::new(durable, &path, host);
        match format {
            Foreign::Mh | Foreign::Eml => Ok(Box::new(OfFiles {
                durable: durable.clone(),
                format,
                folder,
                path,
                count: 0,
            })),
            Foreign::Maildir | Foreign::Mbox => Err(Error::InvalidName {
                name: name.to_owned(),
                reason: "a Maildir or mbox is filled as an account",
            }),
        }
    }
}

struct OfAccount {
    mailbox: Arc<Mailbox>,
    keeps_uids: bool,
    /// The UID that the next message gets.
    next: u32,
}

impl Sink for OfAccount {
    fn each(&self, found: &mut dyn FnMut(Identity)) -> Result<(), Error> {
        let view = self.mailbox.snapshot();
        for message in view.messages() {
            let read = self
                .mailbox
                .reader(message.uid, message.internal_date)
                .and_then(|mut reader| {
                    identity::read(&mut reader).at("read", Path::new(self.mailbox.name()))
                });
            match read {
                Ok(whole) => found(whole.identity),
                Err(Error::NoSuchMessage(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn leaves_a_gap(&self, uid: Option<u32>, waiting: usize) -> bool {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        self.keeps_uids
            && waiting > 0
            && uid.is_some_and(|uid| uid > self.next.saturating_add(waiting))
    }

    fn take(
        &mut self,
        letter: &mut Letter,
        content: Option<Vec<u8>>,
        now: SystemTime,
    ) -> Result<Waiting, Error> {
        let mut append = self.mailbox.append(now)?;
        match content {
            Some(content) => append.write(&content)?,
            None => {
                letter.reader.seek(0).at("read", Path::new(&letter.what))?;
                append.incoming.write_all_from(&mut letter.reader)?;
            }
        }
        let options = AppendOptions {
            flags: letter.flags,
            keywords: std::mem::take(&mut letter.keywords),
            internal_date: letter.internal_date,
        };
        Ok(Waiting::Append(
            Box::new(append),
            options,
            letter.uid.filter(|_| self.keeps_uids),
        ))
    }

    fn put(&mut self, waiting: Vec<Waiting>, now: SystemTime) -> Result<(), Error> {
        let mut appends = Vec::with_capacity(waiting.len());
        let mut first = None;
        for waiting in waiting {
            if let Waiting::Append(append, options, uid) = waiting {
                first = first.or(uid);
                appends.push((*append, options));
            }
        }
        let appended = self.mailbox.commit_all(appends, first, now)?;
        if let Some(last) = appended.last() {
            self.next = last.uid.saturating_add(1);
        }
        Ok(())
    }
}

/// A file that is removed unless it got a name.
pub(super) struct TemporaryFile {
    durable: Durable,
    path: PathBuf,
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // What stays is hidden and removed by the next transfer.
        let _ = self.durable.remove(&self.path);
    }
}

struct OfFiles {
    durable: Durable,
    format: Foreign,
    folder: MhFolder,
    path: PathBuf,
    count: u64,
}

const TEMPORARY: &str = ".posthaste-transfer-";

impl OfFiles {
    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        if self.format == Foreign::Mh {
            let messages = self.folder.messages()?.into_iter();
            return Ok(messages
                .map(|message| self.folder.file(message.number))
                .collect());
        }
        let messages = eml::messages(&self.durable, &self.path)?.into_iter();
        Ok(messages.map(|message| message.path).collect())
    }

    /// The files get the names behind the last one; their flags first.
    fn put_eml(&self, files: &[(PathBuf, Flags, Vec<String>)]) -> Result<(), Error> {
        let last = self.files()?.into_iter().filter_map(|path| {
            let name = path.file_stem()?.to_str()?;
            // A name of another program, of no order.
            name.parse::<u64>().ok().filter(|number| *number < 1 << 62)
        });
        let first = last.max().unwrap_or(0) + 1;
        let names: Vec<String> = (first..)
            .take(files.len())
            .map(|number| format!("{number:06}.eml"))
            .collect();
        let lines: String = names
            .iter()
            .zip(files)
            .map(|(name, (_, flags, keywords))| eml::line(name, *flags, keywords))
            .collect();
        let flags = self.path.join(eml::FLAGS);
        let file = match self.durable.open_write(&flags) {
            Err(error) if error.is_not_found() => self.durable.create(&flags)?,
            other => other?,
        };
        let end = file.stat().at("stat", &flags)?.len;
        file.write_all_at(lines.as_bytes(), end)
            .at("write", &flags)?;
        self.durable.sync(&*file, &flags)?;
        for (name, (file, _, _)) in names.iter().zip(files) {
            self.durable.link(file, &self.path.join(name))?;
        }
        self.durable.sync_dir(&self.path)
    }
}

impl Sink for OfFiles {
    fn each(&self, found: &mut dyn FnMut(Identity)) -> Result<(), Error> {
        let mut left = Vec::new();
        self.durable.readdir(&self.path, |name, _| {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with(TEMPORARY))
            {
                left.push(self.path.join(name));
            }
        })?;
        for path in left {
            self.durable.remove(&path)?;
        }
        for path in self.files()? {
            let (mut reader, _) = maildir::open_message(&self.durable, &path)?;
            found(identity::read(&mut reader).at("read", &path)?.identity);
        }
        Ok(())
    }

    fn take(
        &mut self,
        letter: &mut Letter,
        content: Option<Vec<u8>>,
        _now: SystemTime,
    ) -> Result<Waiting, Error> {
        self.count += 1;
        let name = format!("{TEMPORARY}{}-{}", std::process::id(), self.count);
        let path = self.path.join(name);
        self.durable.remove(&path)?;
        let file = self.durable.create(&path)?;
        let temporary = TemporaryFile {
            durable: self.durable.clone(),
            path,
        };
        let path = &temporary.path;
        // MH keeps LF line ends; an .eml file is the message as it travels.
        let mut to_disk = crate::wire::ToDisk::new(self.format == Foreign::Eml);
        let (mut at, mut disk) = (0, Vec::new());
        let mut write = |wire: &[u8], last: bool| {
            disk.clear();
            to_disk.push(wire, &mut disk);
            if last {
                to_disk.finish(&mut disk);
            }
            file.write_all_at(&disk, at).at("write", path)?;
            at += disk.len() as u64;
            Ok::<(), Error>(())
        };
        match content {
            Some(content) => write(&content, true)?,
            None => {
                letter.reader.seek(0).at("read", Path::new(&letter.what))?;
                let mut part = vec![0; 64 << 10];
                loop {
                    let read = std::io::Read::read(&mut letter.reader, &mut part)
                        .at("read", Path::new(&letter.what))?;
                    let part = part.get(..read).unwrap_or_default();
                    write(part, part.is_empty())?;
                    if part.is_empty() {
                        break;
                    }
                }
            }
        }
        file.set_modified(letter.internal_date)
            .at("set time of", path)?;
        self.durable.sync(&*file, path)?;
        let keywords = std::mem::take(&mut letter.keywords);
        Ok(Waiting::File(temporary, letter.flags, keywords))
    }

    fn put(&mut self, waiting: Vec<Waiting>, now: SystemTime) -> Result<(), Error> {
        let (mut files, mut held) = (Vec::with_capacity(waiting.len()), Vec::new());
        for waiting in waiting {
            if let Waiting::File(file, flags, keywords) = waiting {
                files.push((file.path.clone(), flags, keywords));
                held.push(file);
            }
        }
        match self.format {
            Foreign::Mh => self.folder.append(&files, now),
            _ => self.put_eml(&files),
        }
    }
}
