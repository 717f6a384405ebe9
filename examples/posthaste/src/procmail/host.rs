//! Carries out what an rcfile asks for, with files and processes.
//!
//! Nothing of the process changes but, in a process of its own, the umask: the rcfile's current
//! directory is a path that names are joined to, so several runs can share a process.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use procmail_rules::{
    CutShort, Delivery, Effect, Error, Evaluator, FolderKind, Limits, LockTry, Log, Outcome, Ran,
    Reply, Step, WriteFault, format,
};
use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock};

use super::signals::Held;
use super::{notify, process};

/// Numbers the files this process makes.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// The host's answers where it has a choice.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Programs are run, with all that the user running this may do.
    pub programs: bool,
    /// The umask is the process's own, so that programs get it too.
    pub own_process: bool,
}

/// Files, processes and the log of one run.
#[derive(Debug)]
pub struct Host {
    policy: Policy,
    name: String,
    logname: String,
    place: Place,
    saved: Vec<Place>,
    /// The second of the last stamp in the log.
    stamped: u64,
    /// What was printed, where it is not written at once.
    kept: Option<Vec<u8>>,
    /// What a signal has to know of, in a process of its own.
    held: Held,
}

/// What a clone changes without its parent noticing.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    log: Option<File>,
    umask: u32,
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn done(success: bool) -> Reply {
    if success { Reply::Done } else { Reply::Failed }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// The time in ctime's layout, without its newline.
#[must_use]
pub fn date() -> String {
    jiff::Zoned::now()
        .strftime("%a %b %e %H:%M:%S %Y")
        .to_string()
}

impl Host {
    /// A host named `name` for the user `logname`, in `directory`.
    #[must_use]
    pub fn new(policy: Policy, name: &str, logname: &str, directory: &Path, umask: u32) -> Self {
        let host = Self {
            policy,
            name: name.to_owned(),
            logname: logname.to_owned(),
            place: Place {
                directory: directory.to_owned(),
                log: None,
                umask,
            },
            saved: Vec::new(),
            stamped: 0,
            kept: None,
            held: Held::default(),
        };
        host.apply_umask();
        host
    }

    /// Lets signals end the process in order, while it handles this message.
    pub(super) fn hold(&mut self, held: &Held, message: &[u8]) {
        self.held = held.clone();
        self.held.deliver(message);
    }

    /// Keeps what is printed instead of writing it to standard output.
    pub fn keep_output(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// What was printed, where it is kept.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.kept.as_deref().unwrap_or(&[])
    }

    /// Sends the log to this file from the start.
    pub fn log_to(&mut self, file: File) {
        self.place.log = Some(file);
    }

    /// Removes the lockfiles of a run that was broken off, which would block the next ones.
    pub(super) fn release_locks(&self) {
        self.held.release_all();
    }

    /// Runs the rcfiles to their end.
    ///
    /// # Errors
    ///
    /// A limit was exceeded: the mail is not taken care of.
    pub fn run(&mut self, mut evaluator: Evaluator) -> Result<Outcome, Error> {
        loop {
            match evaluator.step()? {
                Step::Ask(effect) => {
                    let reply = self.act(effect);
                    // Every reply below is one its effect allows.
                    let _ = evaluator.answer(reply);
                }
                Step::NeedAnswer => {
                    let _ = evaluator.answer(Reply::Failed);
                }
                Step::Done(outcome) => return Ok(outcome),
            }
        }
    }

    /// Carries out one effect.
    pub fn act(&mut self, effect: Effect) -> Reply {
        match effect {
            Effect::Log(log) => {
                self.write_log(&log);
                Reply::Done
            }
            Effect::OpenLog { path } => match self.open_log(&path) {
                Ok(file) => {
                    self.held.log_to(file.try_clone().ok());
                    self.place.log = Some(file);
                    Reply::Done
                }
                Err(_) => Reply::Failed,
            },
            Effect::ReadRc { path } => Reply::Rc(read_regular(&self.at(&path)).ok()),
            Effect::ChangeDirectory { path } => self.change_directory(&path),
            Effect::Folder { path, wanted } => self.folder(&self.at(&path), wanted),
            Effect::Deliver(delivery) => self.deliver(&delivery),
            Effect::Link {
                file,
                folder,
                kind,
                prefix,
            } => match self.enter(&self.at(&file), &folder, kind, &prefix) {
                Ok(file) => Reply::Delivered { file },
                Err(_) => Reply::Failed,
            },
            Effect::Run(run) => Reply::Ran(if self.policy.programs {
                process::run(
                    &run,
                    &self.place.directory,
                    self.place.log.as_ref(),
                    process::Manner::Person,
                )
            } else {
                Ran::refused()
            }),
            Effect::Print { content } => done(self.print(&content).is_ok()),
            Effect::Lock { path } => Reply::Lock(self.lock(&path)),
            Effect::Unlock { path } | Effect::ForceLock { path } => {
                done(self.held.release(&self.at(&path)).is_ok())
            }
            Effect::Sleep(time) => {
                std::thread::sleep(time);
                Reply::Done
            }
            Effect::Umask(mask) => {
                self.place.umask = mask;
                self.apply_umask();
                Reply::Done
            }
            Effect::Notify {
                service,
                folder,
                grown,
            } => self.notify(&service, &folder, grown),
            Effect::CloneBegin => match self.remember() {
                Ok(place) => {
                    self.saved.push(place);
                    Reply::Done
                }
                Err(_) => Reply::Failed,
            },
            Effect::CloneEnd { .. } => {
                if let Some(place) = self.saved.pop() {
                    self.place = place;
                    self.apply_umask();
                }
                Reply::Done
            }
            // No privileges are held, and a caller is told at the end.
            _ => Reply::Done,
        }
    }

    fn at(&self, name: &[u8]) -> PathBuf {
        self.place.directory.join(path(name))
    }

    fn apply_umask(&self) {
        if self.policy.own_process {
            rustix::process::umask(Mode::from_bits_truncate(self.place.umask));
        }
    }

    fn mode(&self, mode: u32) -> u32 {
        mode & !self.place.umask
    }

    fn remember(&self) -> io::Result<Place> {
        Ok(Place {
            directory: self.place.directory.clone(),
            log: self.place.log.as_ref().map(File::try_clone).transpose()?,
            umask: self.place.umask,
        })
    }

    fn open_log(&self, name: &[u8]) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(self.mode(0o667))
            .open(self.at(name))
    }

    /// A log that cannot be written to must not stop the delivery.
    fn write_log(&mut self, log: &Log) {
        let mut text = Vec::new();
        let second = now();
        if log.stamped && second != self.stamped {
            self.stamped = second;
            let stamp = format!("procmail: [{}] {}\n", std::process::id(), date());
            text.extend_from_slice(stamp.as_bytes());
        }
        text.extend_from_slice(&log.text);
        let _ = match &mut self.place.log {
            Some(file) => file.write_all(&text),
            None => io::stderr().write_all(&text),
        };
    }

    fn change_directory(&mut self, name: &[u8]) -> Reply {
        let path = if name == b"." {
            self.place.directory.clone()
        } else {
            self.at(name)
        };
        let there = path.as_os_str().is_empty() || path.is_dir();
        if there {
            self.place.directory = path;
        }
        done(there)
    }

    fn folder(&self, path: &Path, wanted: Option<FolderKind>) -> Reply {
        let Some(kind) = wanted else {
            return Reply::Folder(if path.is_dir() {
                FolderKind::Directory
            } else {
                FolderKind::Mbox
            });
        };
        let make = |path: &Path| {
            path.is_dir()
                || DirBuilder::new()
                    .mode(self.mode(0o777))
                    .create(path)
                    .is_ok()
        };
        if !make(path) {
            return Reply::Failed;
        }
        let parts = ["new", "cur", "tmp"].into_iter();
        let missing = parts
            .filter(|_| kind == FolderKind::Maildir)
            .find(|part| !make(&path.join(part)));
        match missing {
            Some(part) => Reply::NoMaildir { part: part.into() },
            None => Reply::Folder(kind),
        }
    }

    fn unique(&self) -> String {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        format::maildir_name(now(), std::process::id(), serial, &self.name)
    }

    fn deliver(&self, delivery: &Delivery) -> Reply {
        let delivered = if delivery.kind == FolderKind::Mbox {
            self.append(delivery)
        } else {
            self.file(delivery)
        };
        match delivered {
            Ok(reply) => reply,
            Err(_) => Reply::Failed,
        }
    }

    /// Makes a file of its own in a directory. An error is one before the writing.
    fn file(&self, delivery: &Delivery) -> io::Result<Reply> {
        let (between, name) = match delivery.kind {
            FolderKind::Maildir => ("/tmp/", self.unique()),
            _ => ("/", format!("_{}", self.unique())),
        };
        let name = [&delivery.folder, between.as_bytes(), name.as_bytes()].concat();
        let temporary = self.at(&name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(self.mode(0o667))
            .open(&temporary)?;
        let written = file
            .write_all(&delivery.content)
            .and_then(|()| file.sync_all());
        if let Err(error) = written
            && !delivery.partial
        {
            let _ = fs::remove_file(&temporary);
            return Ok(cut_short(name, &error, false));
        }
        let entered = self.enter(
            &temporary,
            &delivery.folder,
            delivery.kind,
            &delivery.prefix,
        );
        let removed = fs::remove_file(&temporary);
        let file = entered?;
        removed?;
        Ok(Reply::Delivered { file })
    }

    /// Appends under a kernel lock; what is left of a failed write is cut off again.
    fn append(&self, delivery: &Delivery) -> io::Result<Reply> {
        let folder = &delivery.folder;
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(self.mode(0o667))
            .open(self.at(folder))?;
        fcntl_lock(&file, FlockOperation::LockExclusive)?;
        let metadata = file.metadata()?;
        let written = file.write_all(&delivery.content).and_then(|()| {
            file.sync_data().or_else(|error| match error.kind() {
                // It is no file: a pipe, a device.
                io::ErrorKind::InvalidInput => Ok(()),
                _ => Err(error),
            })
        });
        match written {
            Err(error) if !delivery.partial => {
                let restored = metadata.is_file() && file.set_len(metadata.len()).is_ok();
                Ok(cut_short(folder.clone(), &error, restored))
            }
            _ => Ok(Reply::Delivered {
                file: folder.clone(),
            }),
        }
    }

    /// Links a file into a folder under the name it gets there.
    fn enter(
        &self,
        from: &Path,
        folder: &[u8],
        kind: FolderKind,
        prefix: &[u8],
    ) -> io::Result<Vec<u8>> {
        // An MH number may be taken by somebody else before it can be used.
        let mut tries = 0;
        loop {
            let name = match kind {
                FolderKind::Maildir => [folder, b"/new/", self.unique().as_bytes()].concat(),
                FolderKind::Mh => {
                    let names: BTreeSet<Vec<u8>> = fs::read_dir(self.at(folder))?
                        .flatten()
                        .map(|entry| entry.file_name().into_vec())
                        .collect();
                    let number = format::mh_next(names.iter().map(Vec::as_slice)) + tries;
                    [folder, b"/", number.to_string().as_bytes()].concat()
                }
                _ => {
                    let code = format::inode_code(fs::metadata(from)?.ino());
                    [folder, b"/", prefix, code.as_bytes()].concat()
                }
            };
            match fs::hard_link(from, self.at(&name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 16 => {
                    if kind == FolderKind::Directory {
                        // A directory that is named twice has the file already.
                        let (one, other) = (fs::metadata(from)?, fs::metadata(self.at(&name))?);
                        let same = (one.dev(), one.ino()) == (other.dev(), other.ino());
                        return if same { Ok(name) } else { Err(error) };
                    }
                    tries += 1;
                }
                linked => return linked.map(|()| name),
            }
        }
    }

    fn print(&mut self, content: &[u8]) -> io::Result<()> {
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(content);
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(content)?;
        stdout.flush()
    }

    fn lock(&self, name: &[u8]) -> LockTry {
        let lock = self.at(name);
        let taken = self
            .held
            .take(&lock, || super::lockfile::try_lock(&lock, &self.name));
        match taken {
            Ok(true) => LockTry::Taken,
            Ok(false) => {
                let metadata = fs::symlink_metadata(&lock).ok();
                let age = metadata
                    .as_ref()
                    .and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
                LockTry::Busy {
                    age: age.map_or(0, |age| age.as_secs()),
                    size: metadata.map_or(0, |metadata| metadata.len()),
                }
            }
            Err(attempted) => {
                let directory = name
                    .iter()
                    .rposition(|byte| *byte == b'/')
                    .map_or(0, |at| at + 1);
                let shown = name.get(..directory).unwrap_or(&[]);
                LockTry::Impossible {
                    attempted: [shown, attempted.as_bytes()].concat(),
                }
            }
        }
    }

    /// `user@offset:folder` to the mail notifier.
    fn notify(&self, service: &[u8], folder: &[u8], grown: Option<usize>) -> Reply {
        let offset = grown.map(|grown| {
            let length = fs::metadata(self.at(folder)).map_or(0, |metadata| metadata.len());
            length.saturating_sub(u64::try_from(grown).unwrap_or(0))
        });
        let offset = offset.map_or_else(String::new, |offset| offset.to_string());
        let start = format!("{}@{offset}:", self.logname);
        let text = [start.as_bytes(), folder].concat();
        if notify::send(service, &text) {
            Reply::Notified { text }
        } else {
            Reply::Failed
        }
    }
}

fn cut_short(file: Vec<u8>, error: &io::Error, restored: bool) -> Reply {
    let fault = match error.kind() {
        io::ErrorKind::StorageFull => WriteFault::NoSpace,
        io::ErrorKind::QuotaExceeded => WriteFault::QuotaExceeded,
        _ => WriteFault::Other,
    };
    Reply::CutShort(CutShort {
        file,
        fault,
        restored,
    })
}

/// Reads a regular file; anything else is refused. Of what is longer than any rcfile may be, one octet more is read.
pub(super) fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe without a writer must not be waited for.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut text = Vec::new();
    let most = u64::try_from(Limits::default().rc_size).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut text)?;
    Ok(text)
}
