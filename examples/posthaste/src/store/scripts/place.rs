//! The scripts of one folder, for whoever changes them alone.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mailstore::{Fs as _, RealFs};

use super::ScriptPlace;
use super::name::{self, Files};
use crate::files;
use crate::store::local::{SCRIPT_LIMIT, read_script};
use crate::store::{ScriptError, ScriptInfo, ScriptResult};

/// Scripts of one user: stops a client from filling the disk.
pub(super) const SCRIPTS: usize = 100;

/// Where a script goes that was put at the active one's place by hand.
pub(super) const BY_HAND: &str = "dovecot.orig";

/// A program that is at work on a file publishes it sooner. One that was
/// killed leaves it.
const LEFT: Duration = Duration::from_secs(3600);

impl ScriptPlace {
    /// The files of a script. Names come from clients: none leads out of the folder.
    fn files(&self, name: &str) -> ScriptResult<Files> {
        if name::is_name(name) {
            Ok(name::files(&self.folder, &self.active, name))
        } else {
            Err(ScriptError::Name(name.to_owned()))
        }
    }

    /// The name of the script in this file of the folder.
    fn name_of(&self, file: &str) -> Option<String> {
        name::name_of(&self.folder, &self.active, file, |path| {
            let file = RealFs.open_own(path).ok()?;
            let name = files::read(&*file, name::LONGEST as u64).ok()?;
            String::from_utf8(name).ok()
        })
    }

    /// Makes the folder, if it is not there, so that it outlives a crash.
    pub(super) fn make_folder(&self) -> ScriptResult<()> {
        let missing = self.folder.ancestors().take_while(|path| !path.exists());
        let missing: Vec<&Path> = missing.collect();
        let make = || {
            if !missing.is_empty() {
                fs::create_dir_all(&self.folder)?;
            }
            let parents = missing.iter().filter_map(|path| path.parent());
            parents
                .filter(|parent| !parent.as_os_str().is_empty())
                .try_for_each(|parent| RealFs.fsync_dir(parent))
        };
        make().map_err(|error| failed(&self.folder, &error))
    }

    /// The script that the active link leads to.
    fn active_name(&self) -> Option<String> {
        let target = fs::read_link(&self.active).ok()?;
        let target = self.active.parent()?.join(target);
        let folder = fs::canonicalize(target.parent()?).ok()?;
        let own = fs::canonicalize(&self.folder).ok()?;
        if folder != own {
            return None;
        }
        self.name_of(target.file_name()?.to_str()?)
    }

    fn names(&self) -> ScriptResult<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&self.folder, &error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(&self.folder, &error))?;
            let file = entry.file_name();
            names.extend(file.to_str().and_then(|file| self.name_of(file)));
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn list(&self) -> ScriptResult<Vec<ScriptInfo>> {
        let active = self.active_name();
        let info = |name: String| ScriptInfo {
            active: active.as_ref() == Some(&name),
            name,
        };
        Ok(self.names()?.into_iter().map(info).collect())
    }

    pub(super) fn read(&self, name: &str) -> ScriptResult<Bytes> {
        let path = self.files(name)?.script;
        match read_script(&path) {
            Ok(Some(source)) => Ok(source),
            Ok(None) => Err(ScriptError::Unknown(name.to_owned())),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    pub(super) fn has_room(&self, name: &str, octets: u64) -> ScriptResult<()> {
        self.files(name)?;
        if octets > SCRIPT_LIMIT {
            return Err(ScriptError::TooLarge(SCRIPT_LIMIT));
        }
        let names = self.names()?;
        if names.len() >= SCRIPTS && !names.iter().any(|own| own == name) {
            return Err(ScriptError::TooMany(SCRIPTS));
        }
        Ok(())
    }

    pub(super) fn put(&self, name: &str, source: &[u8]) -> ScriptResult<()> {
        self.has_room(name, source.len() as u64)?;
        let files = self.files(name)?;
        self.sweep(&self.folder, files::PREFIX, SystemTime::now());
        self.tell_name(&files, name)?;
        publish(&files.script, source)
    }

    /// Puts the true name of a script beside it, before the script is there.
    fn tell_name(&self, files: &Files, name: &str) -> ScriptResult<()> {
        match &files.named {
            Some(path) => publish(path, name.as_bytes()),
            None => Ok(()),
        }
    }

    pub(super) fn activate(&self, name: Option<&str>) -> ScriptResult<()> {
        let link = match name {
            None => None,
            Some(name) => {
                let path = self.files(name)?.script;
                if !path.is_file() {
                    return Err(ScriptError::Unknown(name.to_owned()));
                }
                Some(path)
            }
        };
        let change = || {
            self.keep_what_was_put_by_hand()?;
            match link {
                None => remove_if_there(&self.active)?,
                Some(path) => self.link(&path)?,
            }
            match self.active.parent() {
                Some(folder) => RealFs.fsync_dir(folder),
                None => Ok(()),
            }
        };
        change().map_err(|error| failed(&self.active, &error))
    }

    /// Leads the active link to a script.
    fn link(&self, path: &Path) -> io::Result<()> {
        let home = self.active.parent().unwrap_or(Path::new(""));
        let own = self.active.file_name().unwrap_or_default();
        let prefix = format!("{}{}", own.to_string_lossy(), files::PREFIX);
        self.sweep(home, &prefix, SystemTime::now());
        let fresh = files::fresh_name(home, &prefix)?;
        symlink(self.seen_from_active(path), &fresh)?;
        RealFs.rename(&fresh, &self.active).inspect_err(|_| {
            let _ = RealFs.unlink(&fresh);
        })
    }

    /// Removes what programs that were killed have left: long ago, since the
    /// folder may lie where no lock tells who is at work.
    pub(super) fn sweep(&self, folder: &Path, prefix: &str, now: SystemTime) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if !name
                .to_str()
                .is_some_and(|name| files::is_fresh(name, prefix))
            {
                continue;
            }
            let since = entry.metadata().and_then(|found| found.modified());
            let left =
                since.is_ok_and(|since| now.duration_since(since).is_ok_and(|ago| ago > LEFT));
            if left && let Err(error) = RealFs.unlink(&entry.path()) {
                tracing::debug!(path = %entry.path().display(), %error, "stays");
            }
        }
    }

    /// The link's content: relative where the folder lies beside it, so that a
    /// home can be moved.
    fn seen_from_active(&self, path: &Path) -> PathBuf {
        let beside = self
            .active
            .parent()
            .and_then(|home| path.strip_prefix(home).ok());
        beside.unwrap_or(path).to_owned()
    }

    /// An active script that is no link would be lost.
    fn keep_what_was_put_by_hand(&self) -> io::Result<()> {
        let found = match fs::symlink_metadata(&self.active) {
            Ok(found) if found.is_file() => found,
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let kept = name::files(&self.folder, &self.active, BY_HAND).script;
        match RealFs.link(&self.active, &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A crash, or another program, came between this and what follows it.
                let same = fs::symlink_metadata(&kept)
                    .is_ok_and(|kept| (kept.dev(), kept.ino()) == (found.dev(), found.ino()));
                if same {
                    return Ok(());
                }
                let why = format!("{} is in the way", kept.display());
                Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
            }
            linked => linked,
        }
    }

    pub(super) fn remove(&self, name: &str) -> ScriptResult<()> {
        let files = self.files(name)?;
        if self.active_name().as_deref() == Some(name) {
            return Err(ScriptError::Active(name.to_owned()));
        }
        let path = &files.script;
        match RealFs.unlink(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ScriptError::Unknown(name.to_owned()));
            }
            Err(error) => return Err(failed(path, &error)),
        }
        let rest = || {
            if let Some(named) = &files.named {
                remove_if_there(named)?;
            }
            RealFs.fsync_dir(&self.folder)
        };
        rest().map_err(|error| failed(path, &error))
    }

    /// The active script stays active under its new name: there is never a
    /// moment without one.
    pub(super) fn rename(&self, from: &str, to: &str) -> ScriptResult<()> {
        let (old, new) = (self.files(from)?, self.files(to)?);
        if fs::symlink_metadata(&old.script).is_err() {
            return Err(ScriptError::Unknown(from.to_owned()));
        }
        self.tell_name(&new, to)?;
        match RealFs.link(&old.script, &new.script) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ScriptError::Unknown(from.to_owned()));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ScriptError::Exists(to.to_owned()));
            }
            Err(error) => return Err(failed(&new.script, &error)),
        }
        if self.active_name().as_deref() == Some(from) {
            self.activate(Some(to))?;
        }
        self.remove(from)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match RealFs.unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn publish(path: &Path, octets: &[u8]) -> ScriptResult<()> {
    files::publish(path, octets, None).map_err(|error| failed(path, &error))
}

pub(super) fn failed(path: &Path, error: &io::Error) -> ScriptError {
    ScriptError::Storage(format!("{}: {error}", path.display()))
}
