//! A message on its way into a Maildir: written in `tmp`, synced, then given its name in `new` or `cur`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::durable::{Durable, File};
use crate::error::{Error, IoContext};
use crate::flags::{Flags, Keywords};
use crate::mailbox::OwnChanges;
use crate::maildir::{name, path_of};
use crate::wire::ToDisk;

const BUFFER: usize = 64 * 1024;

/// Removes its file from `tmp` unless it was published.
pub(crate) struct Incoming {
    durable: Durable,
    folder: PathBuf,
    temporary: PathBuf,
    file: Box<dyn File>,
    base: String,
    to_disk: ToDisk,
    buffer: Vec<u8>,
    written: u64,
    published: bool,
}

impl Incoming {
    pub(crate) fn begin(
        durable: &Durable,
        folder: &Path,
        base: String,
        temporary: &str,
        save_crlf: bool,
    ) -> Result<Self, Error> {
        let temporary = folder.join("tmp").join(temporary);
        let file = durable.create(&temporary)?;
        Ok(Self {
            durable: durable.clone(),
            folder: folder.to_owned(),
            temporary,
            file,
            base,
            to_disk: ToDisk::new(save_crlf),
            buffer: Vec::new(),
            written: 0,
            published: false,
        })
    }

    pub(crate) fn write(&mut self, wire: &[u8]) -> Result<(), Error> {
        for part in wire.chunks(BUFFER) {
            self.to_disk.push(part, &mut self.buffer);
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file
            .write_all_at(&self.buffer, self.written)
            .at("write", &self.temporary)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the content and makes it durable; gives the base with its sizes, and the wire size.
    pub(crate) fn seal(&mut self, internal_date: SystemTime) -> Result<(String, u64), Error> {
        self.to_disk.finish(&mut self.buffer);
        self.flush()?;
        self.file
            .set_modified(internal_date)
            .at("set time of", &self.temporary)?;
        self.durable.sync(&*self.file, &self.temporary)?;
        let size = self.to_disk.wire_size();
        Ok((format!("{},S={},W={size}", self.base, self.written), size))
    }

    /// Gives a sealed message its name; the caller syncs the directory.
    pub(crate) fn rename_to(&mut self, path: &Path) -> Result<(), Error> {
        self.durable.rename(&self.temporary, path)?;
        self.published = true;
        Ok(())
    }

    /// Makes a sealed message visible and durable without a UID: in `new` when it has no flags, else in `cur`.
    pub(crate) fn deliver(
        &mut self,
        base: &str,
        flags: Flags,
        keywords: Keywords,
        own: &OwnChanges,
    ) -> Result<(), Error> {
        let in_new = flags.is_empty() && keywords.is_empty();
        let (directory, name) = if in_new {
            (self.folder.join("new"), base.as_bytes().to_vec())
        } else {
            (
                self.folder.join("cur"),
                name::with_flags(base.as_bytes(), flags, keywords),
            )
        };
        let path = path_of(&directory, &name);
        own.expect(in_new, &name);
        self.rename_to(&path).inspect_err(|_| {
            own.take(in_new, &name);
        })?;
        if let Err(error) = self.durable.sync_dir(&directory) {
            // It was not acknowledged: the caller tries again, and this one must not stay beside it.
            own.expect(in_new, &name);
            if self.durable.remove(&path).is_err() {
                own.take(in_new, &name);
            }
            return Err(error);
        }
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.published {
            // What stays is swept once it is old.
            let _ = self.durable.remove(&self.temporary);
        }
    }
}
