//! Delivery to folders.

use super::Machine;
use crate::effect::{CutShort, Delivery, Effect, FolderKind, Reply, WriteFault};
use crate::error::Error;
use crate::format::{self, Part};

/// A folder ready to be delivered to.
struct Target {
    path: Vec<u8>,
    kind: FolderKind,
}

/// What of a message is written, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) part: Part,
    /// Nothing is quoted or added.
    pub(super) raw: bool,
    /// What could be written counts.
    pub(super) partial: bool,
    /// An mbox is locked, as nothing else has.
    pub(super) lock: bool,
    /// The name of what cannot be made a directory stays as it is: nothing can be written to it.
    pub(super) exact: bool,
}

/// Splits a folder name into the bare name and the kind its suffix asks for.
pub(crate) fn folder_kind(name: &[u8]) -> (&[u8], Option<FolderKind>) {
    let (bare, kind) = match name {
        [_, .., b'/', b'.'] => (name.get(..name.len() - 2), FolderKind::Mh),
        [_, .., b'/'] => (name.get(..name.len() - 1), FolderKind::Maildir),
        _ => return (name, None),
    };
    let mut bare = bare.unwrap_or(name);
    while let [rest @ .., b'/'] = bare {
        if rest.is_empty() {
            break;
        }
        bare = rest;
    }
    (bare, Some(kind))
}

impl Machine {
    /// The part of the message an action is given.
    pub(super) fn part(&self, part: Part) -> &[u8] {
        match part {
            Part::Whole => self.message.text(),
            Part::Header => self.message.header(),
            Part::Body => self.message.body(),
        }
    }

    pub(super) fn set_last_folder(&mut self, name: &[u8]) -> Result<(), Error> {
        self.trace_line(&[b"Assigning \"LASTFOLDER=", name, b"\""])?;
        self.set_value(b"LASTFOLDER", name)?;
        name.clone_into(&mut self.last_folder);
        Ok(())
    }

    /// Writes to standard output, like a lone `|`.
    pub(super) async fn print(
        &mut self,
        name: &[u8],
        part: Part,
        raw: bool,
    ) -> Result<bool, Error> {
        let mut content = self.part(part).to_vec();
        if !raw {
            format::terminate(&mut content);
        }
        self.last_size = content.len();
        self.last_file = Some(name.to_vec());
        self.set_last_folder(name)?;
        let printed = self.ask(Effect::Print { content }).await? == Reply::Done;
        if !printed {
            self.log_quoted(b"Error while writing to", name)?;
        }
        Ok(printed)
    }

    /// Delivers to the folders named; the first decides whether there can be more.
    pub(super) async fn deliver(&mut self, names: &[Vec<u8>], how: How) -> Result<bool, Error> {
        let Some((first, more)) = names.split_first() else {
            return self.deliver_nowhere();
        };
        if first.is_empty() {
            let rest = more.join(&b' ');
            self.skipped(&rest)?;
            return self.deliver_nowhere();
        }
        if first == b"/dev/null" {
            if !more.is_empty() {
                let rest = more.join(&b' ');
                self.skipped(&rest)?;
            }
            self.last_size = self.part(how.part).len();
            self.last_file = Some(first.clone());
            self.set_last_folder(first)?;
            self.trace_quoted(b"Opening", first)?;
            return Ok(true);
        }
        let Some(target) = self.prepare(first).await? else {
            return Ok(false);
        };
        let is_mbox = target.kind == FolderKind::Mbox;
        if is_mbox && how.exact && target.path != *first {
            return self.no_directory(first, target.path, how).await;
        }
        if is_mbox {
            let rest = more.join(&b' ');
            self.skipped(&rest)?;
            return self.append(target.path, how).await;
        }
        self.deliver_file(target, more, how).await
    }

    fn deliver_nowhere(&mut self) -> Result<bool, Error> {
        self.set_last_folder(b"")?;
        self.trace_quoted(b"Opening", b"")?;
        self.log_quoted(b"Error while writing to", b"")?;
        Ok(false)
    }

    /// Fails to write to a name that only a directory can have.
    async fn no_directory(&mut self, name: &[u8], path: Vec<u8>, how: How) -> Result<bool, Error> {
        if how.lock {
            self.take_last_lock(&path).await?;
        }
        self.last_file = Some(name.to_vec());
        self.set_last_folder(name)?;
        self.trace_quoted(b"Opening", name)?;
        self.log_quoted(b"Error while writing to", &path)?;
        Ok(false)
    }

    /// Finds out what a folder is, and makes it if its name asks for a directory.
    async fn prepare(&mut self, name: &[u8]) -> Result<Option<Target>, Error> {
        let (path, wanted) = folder_kind(name);
        let path = path.to_vec();
        let effect = Effect::Folder {
            path: path.clone(),
            wanted,
        };
        match self.ask(effect).await? {
            Reply::Folder(kind) => Ok(Some(Target { path, kind })),
            Reply::NoMaildir { part } => {
                self.no_maildir(&path, &part)?;
                Ok(None)
            }
            _ => {
                self.log_quoted(b"Unable to treat as directory", &path)?;
                Ok(Some(Target {
                    path,
                    kind: FolderKind::Mbox,
                }))
            }
        }
    }

    /// A folder that is there, and cannot be made a Maildir, is given up.
    fn no_maildir(&mut self, path: &[u8], part: &[u8]) -> Result<(), Error> {
        let part = [path, b"/", part].concat();
        self.log_quoted(b"Unable to treat as directory", &part)?;
        self.skipped(path)
    }

    /// Appends to an mbox.
    async fn append(&mut self, path: Vec<u8>, how: How) -> Result<bool, Error> {
        let How {
            part, raw, partial, ..
        } = how;
        if how.lock {
            self.take_last_lock(&path).await?;
        }
        let content = if raw {
            self.part(part).to_vec()
        } else {
            self.mbox_content(part)
        };
        self.last_file = Some(path.clone());
        self.set_last_folder(&path)?;
        self.trace_quoted(b"Opening", &path)?;
        let size = content.len();
        let delivery = Delivery {
            folder: path.clone(),
            kind: FolderKind::Mbox,
            content,
            prefix: Vec::new(),
            timeout: self.timeout(),
            partial,
        };
        let reply = self.ask(Effect::Deliver(delivery)).await?;
        if reply != Reply::Failed {
            self.trace_line(&[b"Acquiring kernel-lock"])?;
        }
        match reply {
            Reply::Delivered { .. } => {
                self.last_size = size;
                return Ok(true);
            }
            Reply::CutShort(cut) => {
                self.cut_short(&cut, self.part(part).len())?;
                if cut.restored && (self.logging || self.is_verbose()) {
                    self.log_line(&[b"Truncated file to former size"])?;
                }
            }
            _ => self.log_quoted(b"Error while writing to", &path)?,
        }
        Ok(false)
    }

    fn cut_short(&mut self, cut: &CutShort, size: usize) -> Result<(), Error> {
        self.last_size = size;
        let what: &[u8] = match cut.fault {
            WriteFault::NoSpace => b"No space left to finish writing",
            WriteFault::QuotaExceeded => b"Quota exceeded while writing",
            WriteFault::Other => b"Error while writing to",
        };
        self.log_quoted(what, &cut.file)
    }

    fn mbox_content(&self, part: Part) -> Vec<u8> {
        let header_length = if part == Part::Body {
            0
        } else {
            self.message.header().len()
        };
        format::mbox(self.part(part), header_length, self.message.shield())
    }

    /// What goes into a file of its own.
    fn file_content(&self, kind: FolderKind, part: Part, raw: bool) -> Vec<u8> {
        let text = self.part(part);
        if kind == FolderKind::Maildir {
            let envelope = if part == Part::Body {
                0
            } else {
                format::envelope_length(text)
            };
            return text.get(envelope..).unwrap_or(&[]).to_vec();
        }
        let mut content = text.to_vec();
        if !raw {
            format::terminate(&mut content);
        }
        content
    }

    async fn deliver_file(
        &mut self,
        target: Target,
        more: &[Vec<u8>],
        how: How,
    ) -> Result<bool, Error> {
        let How {
            part, raw, partial, ..
        } = how;
        let content = self.file_content(target.kind, part, raw);
        let size = content.len();
        let delivery = Delivery {
            folder: target.path.clone(),
            kind: target.kind,
            content,
            prefix: self.settings.message_prefix.clone(),
            timeout: self.timeout(),
            partial,
        };
        let file = match self.ask(Effect::Deliver(delivery)).await? {
            Reply::Delivered { file } => file,
            Reply::CutShort(cut) => {
                self.cut_short(&cut, self.part(part).len())?;
                return Ok(false);
            }
            _ => {
                self.log_quoted(b"Couldn't create or rename temp file", &target.path)?;
                return Ok(false);
            }
        };
        self.last_size = size;
        self.last_file = Some(file.clone());
        self.set_last_folder(&file)?;
        if target.kind != FolderKind::Maildir {
            self.trace_quoted(b"Opening", &file)?;
            self.trace_line(&[b"Acquiring kernel-lock"])?;
        }
        let mut files = vec![file.clone()];
        for name in more {
            if let Some(linked) = self.link(&file, name).await? {
                files.push(linked);
            }
        }
        if files.len() > 1 {
            self.last_folder = files.join(&b' ');
            let all = self.last_folder.clone();
            self.set_value(b"LASTFOLDER", &all)?;
        }
        Ok(true)
    }

    /// Links a delivered file into one more directory, which is made if it is missing.
    async fn link(&mut self, file: &[u8], name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if name.is_empty() {
            self.log_quoted(b"Unable to treat as directory", b"")?;
            return Ok(None);
        }
        let (path, wanted) = folder_kind(name);
        let wanted = Some(wanted.unwrap_or(FolderKind::Directory));
        let folder = path.to_vec();
        let kind = match self
            .ask(Effect::Folder {
                path: folder.clone(),
                wanted,
            })
            .await?
        {
            Reply::Folder(kind) if kind != FolderKind::Mbox => kind,
            Reply::NoMaildir { part } => {
                self.no_maildir(&folder, &part)?;
                return Ok(None);
            }
            _ => {
                self.log_quoted(b"Unable to treat as directory", path)?;
                self.skipped(path)?;
                return Ok(None);
            }
        };
        let prefix = self.settings.message_prefix.clone();
        let effect = Effect::Link {
            file: file.to_vec(),
            folder,
            kind,
            prefix,
        };
        match self.ask(effect).await? {
            Reply::Delivered { file } => {
                self.trace_quoted(b"Linking to", &file)?;
                Ok(Some(file))
            }
            _ => {
                self.log_quoted(b"Couldn't make link to", path)?;
                Ok(None)
            }
        }
    }
}
