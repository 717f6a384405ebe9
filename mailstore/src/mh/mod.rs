//! MH folders (mh-format(5)): a directory with a file for each message, its name a number, and `.mh_sequences`.

mod sequences;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::durable::{Durable, File};
use crate::error::{Error, IoContext};
use crate::flags::Flags;
use crate::lock::DotLock;
use sequences::Sequences;

const SEQUENCES: &str = ".mh_sequences";
/// Sequences above this are refused.
const LIMIT: u64 = 64 << 20;

/// Sequences that stand for flags; a message is seen unless it is in `unseen`.
const FLAGS: [(&str, Flags); 4] = [
    ("replied", Flags::ANSWERED),
    ("flagged", Flags::FLAGGED),
    ("draft", Flags::DRAFT),
    ("deleted", Flags::DELETED),
];
const UNSEEN: &str = "unseen";
/// nmh's own place in the folder: no keyword.
const CURRENT: &str = "cur";

/// A message of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) flags: Flags,
    pub(crate) keywords: Vec<String>,
}

/// One folder. Every access takes what is there at that moment.
pub(crate) struct MhFolder {
    durable: Durable,
    path: PathBuf,
    host: String,
}

impl MhFolder {
    pub(crate) fn new(durable: &Durable, path: &Path, host: &str) -> Self {
        Self {
            durable: durable.clone(),
            path: path.to_owned(),
            host: host.to_owned(),
        }
    }

    pub(crate) fn file(&self, number: u64) -> PathBuf {
        self.path.join(number.to_string())
    }

    fn numbers(&self) -> Result<Vec<u64>, Error> {
        let mut numbers = Vec::new();
        self.durable.readdir(&self.path, |name, _| {
            numbers.extend(number_of(name.as_bytes()));
        })?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn sequences(&self) -> Result<Sequences, Error> {
        let read = self.durable.read_maybe(&self.path.join(SEQUENCES), LIMIT)?;
        Ok(read.map_or_else(Sequences::default, |(content, _)| {
            Sequences::parse(&String::from_utf8_lossy(&content))
        }))
    }

    /// The messages in the order of their numbers.
    pub(crate) fn messages(&self) -> Result<Vec<Numbered>, Error> {
        let sequences = self.sequences()?;
        let numbers = self.numbers()?;
        let message = |number: u64| {
            let mut flags = Flags::NONE;
            if !sequences.has(UNSEEN, number) {
                flags |= Flags::SEEN;
            }
            for (name, flag) in FLAGS {
                if sequences.has(name, number) {
                    flags |= flag;
                }
            }
            let others = sequences.names().filter(|name| {
                ![UNSEEN, CURRENT].contains(name) && !FLAGS.iter().any(|(flag, _)| flag == name)
            });
            let keywords = others.filter(|name| sequences.has(name, number));
            Numbered {
                number,
                flags,
                keywords: keywords.map(str::to_owned).collect(),
            }
        };
        Ok(numbers.into_iter().map(message).collect())
    }

    /// Puts sealed files into the folder, in this order, behind what is there; the sequences first, so that no
    /// message is ever without its flags.
    pub(crate) fn append(
        &self,
        messages: &[(PathBuf, Flags, Vec<String>)],
        now: SystemTime,
    ) -> Result<(), Error> {
        let lock = self.path.join(format!("{SEQUENCES}.lock"));
        let _lock = DotLock::acquire(&self.durable, lock, &self.host, now)?;
        let locked = self.lock_sequences()?;
        let mut sequences = self.sequences()?;
        let last = self.numbers()?.last().copied().unwrap_or(0);
        // A name may be any number, and the ones behind it must be numbers too.
        last.checked_add(messages.len() as u64 + 1)
            .ok_or(Error::NoUidsLeft)?;
        let first = last + 1;
        // Numbers that are free must have no flags of a message that had them before.
        sequences.forget_from(first);
        for ((_, flags, keywords), next) in messages.iter().zip(first..) {
            if !flags.contains(Flags::SEEN) {
                sequences.add(UNSEEN, next);
            }
            for (name, flag) in FLAGS {
                if flags.contains(flag) {
                    sequences.add(name, next);
                }
            }
            for keyword in keywords {
                sequences.add(keyword, next);
            }
        }
        // Written over the old ones: nmh's lock is on this very file.
        let text = sequences.write();
        let path = self.path.join(SEQUENCES);
        locked.write_all_at(text.as_bytes(), 0).at("write", &path)?;
        locked.set_len(text.len() as u64).at("cut", &path)?;
        self.durable.sync(&*locked, &path)?;
        for ((file, _, _), number) in messages.iter().zip(first..) {
            self.durable.link(file, &self.file(number))?;
        }
        self.durable.sync_dir(&self.path)?;
        // It fails only where there is no such lock, and closing the file gives it back too.
        let _ = locked.unlock();
        Ok(())
    }

    /// The sequences' file with the `fcntl` lock that nmh takes.
    fn lock_sequences(&self) -> Result<Box<dyn File>, Error> {
        let path = self.path.join(SEQUENCES);
        if self.durable.stat_maybe(&path)?.is_none() {
            match self.durable.create(&path) {
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => {
                    other?;
                }
            }
        }
        let file = self.durable.open_write(&path)?;
        for _ in 0..600 {
            if file.try_lock().at("lock", &path)? {
                return Ok(file);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Err(Error::Locked { path })
    }
}

/// The number that a file's name is.
fn number_of(name: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(name).ok()?;
    let number: u64 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

/// Names of the folders below `root` that hold messages or sequences; `""` is `root` itself.
pub(crate) fn folders(durable: &Durable, root: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    walk(durable, root, "", 32, &mut found)?;
    Ok(found)
}

fn walk(
    durable: &Durable,
    path: &Path,
    name: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), Error> {
    let (mut is_folder, mut below) = (false, Vec::<OsString>::new());
    durable.readdir(path, |entry, kind| {
        let octets = entry.as_bytes();
        is_folder |= octets == SEQUENCES.as_bytes();
        if kind == crate::durable::Kind::Directory {
            if !octets.starts_with(b".") && number_of(octets).is_none() {
                below.push(entry.to_owned());
            }
        } else {
            is_folder |= number_of(octets).is_some();
        }
    })?;
    if is_folder {
        found.push(name.to_owned());
    }
    below.sort();
    for level in below.iter().filter(|_| depth > 0) {
        let Some(text) = level.to_str() else { continue };
        let name = if name.is_empty() {
            text.to_owned()
        } else {
            format!("{name}/{text}")
        };
        walk(durable, &path.join(level), &name, depth - 1, found)?;
    }
    Ok(())
}
