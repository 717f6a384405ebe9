//! A user's Sieve scripts as files: `NAME.sieve` in a folder, and a symbolic
//! link to the active one, as Pigeonhole lays them out.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mailstore::{Fs as _, RealFs};

use super::local::{SCRIPT_LIMIT, read_script};
use super::{BoxFuture, ScriptError, ScriptInfo, ScriptResult, Scripts};
use crate::blocking::Blocking;

/// Scripts of one user: stops a client from filling the disk.
const SCRIPTS: usize = 100;

/// Octets of a script's name with its ending, as file systems have it.
const NAME: usize = 255;

/// Where a script goes that was put at the active one's place by hand.
const BY_HAND: &str = "dovecot.orig";

const ENDING: &str = ".sieve";

/// Where the scripts are.
#[derive(Debug, Clone)]
pub struct ScriptPlace {
    /// The folder.
    pub folder: PathBuf,
    /// The name that deliveries look at.
    pub active: PathBuf,
}

/// [`Scripts`] on this host's disk.
#[derive(Debug)]
pub(super) struct LocalScripts {
    /// Held while files change.
    place: Arc<Mutex<ScriptPlace>>,
    blocking: Blocking,
}

impl LocalScripts {
    pub(super) fn new(place: ScriptPlace, blocking: Blocking) -> Self {
        Self {
            place: Arc::new(Mutex::new(place)),
            blocking,
        }
    }

    fn run<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&ScriptPlace) -> ScriptResult<T> + Send + 'static,
    ) -> BoxFuture<'a, ScriptResult<T>> {
        let place = Arc::clone(&self.place);
        let ran = self.blocking.run(move || {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner);
            work(&place)
        });
        Box::pin(async {
            let stopping = || ScriptError::Storage("the server is stopping".into());
            ran.await.ok_or_else(stopping)?
        })
    }
}

impl Scripts for LocalScripts {
    fn list(&self) -> BoxFuture<'_, ScriptResult<Vec<ScriptInfo>>> {
        self.run(ScriptPlace::list)
    }

    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ScriptResult<Bytes>> {
        let name = name.to_owned();
        self.run(move |place| place.read(&name))
    }

    fn has_room<'a>(&'a self, name: &'a str, octets: u64) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.to_owned();
        self.run(move |place| place.has_room(&name, octets))
    }

    fn put<'a>(&'a self, name: &'a str, source: Bytes) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.to_owned();
        self.run(move |place| place.put(&name, &source))
    }

    fn activate<'a>(&'a self, name: Option<&'a str>) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.map(str::to_owned);
        self.run(move |place| place.activate(name.as_deref()))
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ScriptResult<()>> {
        let name = name.to_owned();
        self.run(move |place| place.remove(&name))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, ScriptResult<()>> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.run(move |place| place.rename(&from, &to))
    }
}

impl ScriptPlace {
    /// The file of a script. Names come from clients: none may lead out of
    /// the folder, nor be one that this server makes on its way.
    fn file(&self, name: &str) -> ScriptResult<PathBuf> {
        let bad = name.is_empty()
            || name.starts_with('.')
            || name.contains(['/', '\0'])
            || name.len() + ENDING.len() > NAME;
        if bad {
            return Err(ScriptError::Name(name.to_owned()));
        }
        Ok(self.folder.join(format!("{name}{ENDING}")))
    }

    /// The script that the active link leads to.
    fn active_name(&self) -> Option<String> {
        let target = fs::read_link(&self.active).ok()?;
        let target = self.active.parent()?.join(target);
        let folder = fs::canonicalize(target.parent()?).ok()?;
        let own = fs::canonicalize(&self.folder).ok()?;
        let name = target.file_name()?.to_str()?.strip_suffix(ENDING)?;
        (folder == own).then(|| name.to_owned())
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
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            names.extend(
                name.filter(|name| !name.starts_with('.') && !name.is_empty())
                    .map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    fn list(&self) -> ScriptResult<Vec<ScriptInfo>> {
        let active = self.active_name();
        let info = |name: String| ScriptInfo {
            active: active.as_ref() == Some(&name),
            name,
        };
        Ok(self.names()?.into_iter().map(info).collect())
    }

    fn read(&self, name: &str) -> ScriptResult<Bytes> {
        let path = self.file(name)?;
        match read_script(&path) {
            Ok(Some(source)) => Ok(source),
            Ok(None) => Err(ScriptError::Unknown(name.to_owned())),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    fn has_room(&self, name: &str, octets: u64) -> ScriptResult<()> {
        self.file(name)?;
        if octets > SCRIPT_LIMIT {
            return Err(ScriptError::TooLarge(SCRIPT_LIMIT));
        }
        let names = self.names()?;
        if names.len() >= SCRIPTS && !names.iter().any(|own| own == name) {
            return Err(ScriptError::TooMany(SCRIPTS));
        }
        Ok(())
    }

    fn put(&self, name: &str, source: &[u8]) -> ScriptResult<()> {
        self.has_room(name, source.len() as u64)?;
        let path = self.file(name)?;
        fs::create_dir_all(&self.folder).map_err(|error| failed(&self.folder, &error))?;
        let fresh = self.folder.join(".posthaste.new");
        let write = || {
            // One that a crash has left.
            remove_if_there(&fresh)?;
            let file = RealFs.create_excl(&fresh)?;
            file.write_all_at(source, 0)?;
            file.sync()?;
            RealFs.rename(&fresh, &path)?;
            RealFs.fsync_dir(&self.folder)
        };
        write().map_err(|error| failed(&path, &error))
    }

    fn activate(&self, name: Option<&str>) -> ScriptResult<()> {
        let link = match name {
            None => None,
            Some(name) => {
                let path = self.file(name)?;
                if !path.is_file() {
                    return Err(ScriptError::Unknown(name.to_owned()));
                }
                Some(path)
            }
        };
        let change = || {
            self.keep_what_was_put_by_hand()?;
            match link {
                None => remove_if_there(&self.active),
                Some(path) => {
                    let mut fresh = self.active.clone().into_os_string();
                    fresh.push(".new");
                    let fresh = PathBuf::from(fresh);
                    remove_if_there(&fresh)?;
                    symlink(self.seen_from_active(&path), &fresh)?;
                    RealFs.rename(&fresh, &self.active)
                }
            }?;
            match self.active.parent() {
                Some(folder) => RealFs.fsync_dir(folder),
                None => Ok(()),
            }
        };
        change().map_err(|error| failed(&self.active, &error))
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
        match fs::symlink_metadata(&self.active) {
            Ok(found) if found.is_file() => {
                fs::create_dir_all(&self.folder)?;
                let kept = self.folder.join(format!("{BY_HAND}{ENDING}"));
                match RealFs.link(&self.active, &kept) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        let why = format!("{} is in the way", kept.display());
                        Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
                    }
                    linked => linked,
                }
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, name: &str) -> ScriptResult<()> {
        let path = self.file(name)?;
        if self.active_name().as_deref() == Some(name) {
            return Err(ScriptError::Active(name.to_owned()));
        }
        match RealFs.unlink(&path) {
            Ok(()) => RealFs
                .fsync_dir(&self.folder)
                .map_err(|error| failed(&path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ScriptError::Unknown(name.to_owned()))
            }
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// The active script stays active under its new name: there is never a
    /// moment without one.
    fn rename(&self, from: &str, to: &str) -> ScriptResult<()> {
        let (old, new) = (self.file(from)?, self.file(to)?);
        match RealFs.link(&old, &new) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ScriptError::Unknown(from.to_owned()));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ScriptError::Exists(to.to_owned()));
            }
            Err(error) => return Err(failed(&new, &error)),
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

fn failed(path: &Path, error: &io::Error) -> ScriptError {
    ScriptError::Storage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(home: &Path) -> ScriptPlace {
        ScriptPlace {
            folder: home.join("sieve"),
            active: home.join(".dovecot.sieve"),
        }
    }

    fn names(place: &ScriptPlace) -> Vec<(String, bool)> {
        let list = place.list().unwrap();
        list.into_iter().map(|own| (own.name, own.active)).collect()
    }

    #[test]
    fn scripts_come_and_go() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        assert!(names(&place).is_empty());
        place.put("one", b"keep;").unwrap();
        place.put("one", b"discard;").unwrap();
        place.put("zwei \u{e4}", b"stop;").unwrap();
        place.activate(Some("one")).unwrap();
        assert_eq!(fs::read(&place.active).unwrap(), b"discard;");
        assert_eq!(
            fs::read_link(&place.active).unwrap(),
            Path::new("sieve/one.sieve")
        );
        assert!(matches!(place.remove("one"), Err(ScriptError::Active(_))));
        place.rename("one", "two").unwrap();
        assert_eq!(
            names(&place),
            [("two".into(), true), ("zwei \u{e4}".into(), false)]
        );
        assert!(matches!(
            place.rename("zwei \u{e4}", "two"),
            Err(ScriptError::Exists(_))
        ));
        place.activate(None).unwrap();
        place.activate(None).unwrap();
        place.remove("two").unwrap();
        assert!(matches!(place.remove("two"), Err(ScriptError::Unknown(_))));
        assert!(matches!(
            place.activate(Some("two")),
            Err(ScriptError::Unknown(_))
        ));
        assert!(matches!(place.read("two"), Err(ScriptError::Unknown(_))));
    }

    #[test]
    fn names_stay_in_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            ".posthaste",
            "a\0b",
            &"n".repeat(250),
        ] {
            assert!(
                matches!(place.put(name, b""), Err(ScriptError::Name(_))),
                "{name:?}"
            );
        }
        place.put(&"n".repeat(249), b"").unwrap();
        for n in 1..SCRIPTS {
            place.put(&n.to_string(), b"").unwrap();
        }
        assert!(matches!(
            place.put("more", b""),
            Err(ScriptError::TooMany(_))
        ));
        place.put("1", b"again").unwrap();
    }

    #[test]
    fn what_was_put_by_hand_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        fs::write(&place.active, "stop;").unwrap();
        place.put("own", b"keep;").unwrap();
        place.activate(Some("own")).unwrap();
        assert_eq!(&place.read(BY_HAND).unwrap()[..], b"stop;");
        assert_eq!(fs::read(&place.active).unwrap(), b"keep;");
        fs::remove_file(&place.active).unwrap();
        fs::write(&place.active, "discard;").unwrap();
        assert!(place.activate(None).is_err());
        assert_eq!(fs::read(&place.active).unwrap(), b"discard;");
    }
}
